//! Ordered expressions against pandas (`tests/expected/windows.py`, recorded in `windows.json`), on 1, 2 and 7
//! partitions of shuffled rows, some of them empty.

use super::helpers::*;
use datafusion::arrow::array::{ArrayRef, AsArray, TimestampSecondArray, UInt32Array};
use datafusion::arrow::compute::{cast, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit};
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use trefoil_core::ErrorKind;
use trefoil_frames::frame::*;
use trefoil_plan::DataFrame;

fn recorded() -> &'static Value {
    static CASES: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../expected/windows.json")).unwrap());
    &CASES
}

fn column<T>(name: &str, of: impl Fn(&Value) -> Option<T>) -> Vec<Option<T>> {
    recorded()["input"][name].as_array().unwrap().iter().map(of).collect()
}

/// The table, its rows dealt to partitions in no order.
fn table(partitions: usize) -> DataFrame {
    let int = |name: &str| ints(&column(name, Value::as_i64));
    let time: TimestampSecondArray = column("t", Value::as_i64).into_iter().collect();
    let all = batch(vec![
        ("id", int("id")),
        ("g", texts(&column("g", |v| v.as_str().map(|s| &*s.to_owned().leak())))),
        ("x", floats(&column("x", Value::as_f64))),
        ("n", int("n")),
        ("y", int("y")),
        ("t", Arc::new(time) as ArrayRef),
    ]);
    let rows = all.num_rows();
    // 17 and 40 have no common divisor, so this is a permutation
    let dealt: Vec<u32> = (0..rows).map(|i| u32::try_from(i * 17 % rows).unwrap()).collect();
    let shuffled = take_record_batch(&all, &UInt32Array::from(dealt)).unwrap();
    let share = rows.div_ceil(partitions);
    let mut parts: Vec<_> = (0..partitions)
        .map(|p| vec![shuffled.slice(p * share, share.min(rows.saturating_sub(p * share)))])
        .collect();
    if partitions > 1 {
        parts.push(vec![all.slice(0, 0)]);
    }
    partitioned(parts).sort(["id"]).unwrap()
}

fn number(text: &str) -> i64 {
    text.parse().unwrap()
}

fn figure(window: &Rolling, name: &str) -> Expr {
    match name {
        "sum" => window.sum(),
        "mean" => window.mean(),
        "min" => window.min(),
        "max" => window.max(),
        "std" => window.std(),
        "var" => window.var(),
        "median" => window.median(),
        "count" => window.count(),
        other => panic!("{other}"),
    }
}

fn weighted(window: &EwmExpr, name: &str) -> Expr {
    match name {
        "mean" => window.mean(),
        "var" => window.var(),
        "std" => window.std(),
        other => panic!("{other}"),
    }
}

/// The largest less the smallest value of a window.
fn range(window: &ArrayRef) -> trefoil_plan::Result<datafusion::common::ScalarValue> {
    let numbers = cast(window, &DataType::Float64).unwrap();
    let numbers = || numbers.as_primitive::<Float64Type>().iter().flatten();
    let (low, high) = (numbers().reduce(f64::min), numbers().reduce(f64::max));
    Ok(high.zip(low).map(|(high, low)| high - low).into())
}

/// The expression a case is named after.
fn expression(case: &str) -> Expr {
    let words: Vec<&str> = case.split(' ').collect();
    let value = col(words[0]);
    let rows = |n: &str| usize::try_from(number(n)).unwrap();
    let grouped = |expr: Expr, words: &[&str]| if words.contains(&"g") { expr.over(["g"]) } else { expr };
    match words[1..] {
        ["of", "cumsum"] => col("y").cumsum().diff(1).fill_null(lit(0)),
        ["shift", k, ..] => grouped(value.shift(number(k)), &words),
        ["diff", k, ..] => grouped(value.diff(number(k)), &words),
        ["pct_change", k, ..] => grouped(value.pct_change(number(k)), &words),
        ["cumcount", ..] => value.cumcount().over(["g"]),
        ["cumsum", ..] => grouped(value.cumsum(), &words),
        ["cumprod", ..] => grouped(value.cast(DataType::Float64).cumprod(), &words),
        ["cummin", ..] => grouped(value.cummin(), &words),
        ["cummax", ..] => grouped(value.cummax(), &words),
        ["ffill", "limit", n] => value.ffill_limit(rows(n)),
        ["bfill", "limit", n, "g"] => value.bfill_limit(rows(n)).over(["g"]),
        ["interpolate", "nearest"] => value.interpolate_nearest(),
        ["interpolate", "by", "t"] => value.interpolate_by("t"),
        ["interpolate", "by", "y2"] => value.interpolate_by(col("y").cumsum() * lit(0.5)),
        ["ffill", ..] => grouped(value.ffill(), &words),
        ["bfill", ..] => grouped(value.bfill(), &words),
        ["interpolate", ..] => grouped(value.interpolate(), &words),
        ["rank", method, ..] => {
            let method = match method {
                "average" => RankMethod::Average,
                "min" => RankMethod::Min,
                "max" => RankMethod::Max,
                "dense" => RankMethod::Dense,
                "first" => RankMethod::First,
                other => panic!("{other}"),
            };
            let rank = if words.contains(&"desc") { value.rank_desc(method) } else { value.rank(method) };
            grouped(rank, &words)
        }
        ["rolling", n, "quantile", q] => value.rolling(rows(n)).min_periods(1).quantile(q.parse().unwrap()),
        ["rolling", n, "skew"] => value.rolling(rows(n)).min_periods(4).skew(),
        ["rolling", n, "kurt"] => value.rolling(rows(n)).min_periods(4).kurt(),
        ["rolling", "5h", "apply"] => value.rolling_by("t", "5h").apply("range", DataType::Float64, range),
        ["rolling", n, "apply"] => {
            value.rolling(rows(n)).min_periods(1).apply("range", DataType::Float64, range)
        }
        ["rolling", n, pair @ ("cov" | "corr")] => {
            let window = value.rolling(rows(n));
            let other = col(if words[0] == "x" { "n" } else { "y" });
            if pair == "cov" { window.min_periods(2).cov(other) } else { window.min_periods(4).corr(other) }
        }
        ["ewm", "by", half, "mean"] => value.ewm_by("t", Ewm::half_life_of(half)).mean(),
        ["rolling", n, "g", f] => figure(&value.rolling(rows(n)), f).over(["g"]),
        ["rolling", n, "center", f] => figure(&value.rolling(rows(n)).center().min_periods(1), f),
        ["rolling", n, "1", f] => figure(&value.rolling(rows(n)).min_periods(1), f),
        ["rolling", n, f] if n.parse::<i64>().is_ok() => figure(&value.rolling(rows(n)), f),
        ["rolling", span, f] => figure(&value.rolling_by("t", span), f),
        ["expanding", f] => figure(&value.expanding(), f),
        ["ewm", "0.3", adjust, ignore, f] => {
            let weights = Ewm::alpha(0.3).adjust(adjust == "True").ignore_nulls(ignore == "True");
            weighted(&value.ewm(weights), f)
        }
        ["ewm", "span", f] => weighted(&value.ewm(Ewm::span(5.0)), f),
        ["ewm", "com", f] => weighted(&value.ewm(Ewm::com(2.0)), f),
        ["ewm", "halflife", f] => weighted(&value.ewm(Ewm::half_life(3.0).min_periods(4)), f),
        ["ewm", "g", f] => weighted(&value.ewm(Ewm::span(3.0)), f).over(["g"]),
        ["transform", f] => {
            let figure = match f {
                "sum" => value.sum(),
                "mean" => value.mean(),
                "min" => value.min(),
                "max" => value.max(),
                "std" => value.std(),
                "var" => value.var(),
                "median" => value.median(),
                "count" => value.count(),
                "first" => value.first_by(asc("id")),
                "last" => value.first_by(desc("id")),
                "nunique" => value.n_unique(),
                other => panic!("{other}"),
            };
            figure.over(["g"])
        }
        _ => panic!("no expression for {case}"),
    }
}

fn values(frame: &DataFrame, name: &str) -> Vec<Option<f64>> {
    let mut all = Vec::new();
    for batch in run(frame.collect()).unwrap() {
        let column = cast(batch.column_by_name(name).unwrap(), &DataType::Float64).unwrap();
        all.extend(column.as_primitive::<Float64Type>().iter());
    }
    all
}

fn close(found: Option<f64>, expected: Option<f64>) -> bool {
    within(1e-9, found, expected)
}

fn within(tolerance: f64, found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(f), Some(e)) => (f - e).abs() <= tolerance * e.abs().max(1.0),
        (f, e) => f == e,
    }
}

#[test]
fn as_pandas() {
    let cases: Vec<(String, Expr, Vec<Option<f64>>)> = recorded()["cases"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, column)| {
            let expr = match name.as_str() {
                "zscore" => ((col("y") - col("y").mean()) / col("y").std()).over(["g"]),
                name => expression(name),
            };
            (name.clone(), expr, column.as_array().unwrap().iter().map(Value::as_f64).collect())
        })
        .collect();
    assert!(cases.len() > 400);
    let mut wrong = Vec::new();
    for partitions in [1, 2, 7] {
        let t = table(partitions);
        // many at once: windows of one order are computed together
        for some in cases.chunks(60) {
            let columns: Vec<Expr> = some.iter().map(|(name, e, _)| e.clone().alias(name)).collect();
            let found = run(t.with_columns(columns).unwrap().persist()).unwrap();
            for (name, _, expected) in some {
                let found = values(&found, name);
                // a variance that ends within rounding of 0 has a root of 1e-8
                let tolerance = if name.ends_with("std") { 1e-6 } else { 1e-9 };
                if found.len() != expected.len()
                    || !found.iter().zip(expected).all(|(f, e)| within(tolerance, *f, *e))
                {
                    wrong.push(format!("{name} on {partitions}:\n  found  {found:?}\n  pandas {expected:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

#[test]
fn resampled() {
    for (case, expected) in recorded()["resample"].as_object().unwrap() {
        let (span, f) = case.split_once(' ').unwrap();
        let span = if span == "1D" { "1d" } else { span };
        for partitions in [1, 2, 7] {
            let bins = table(partitions).resample("t", span);
            let found = match f {
                "sum" => bins.sum(["x"]),
                "mean" => bins.mean(["x"]),
                "min" => bins.min(["x"]),
                "max" => bins.max(["x"]),
                _ => bins.count(["x"]),
            };
            let found = found.unwrap().astype([("t", DataType::Timestamp(TimeUnit::Second, None))]).unwrap();
            let found = found.astype([("t", DataType::Int64)]).unwrap();
            let pairs: Vec<_> = values(&found, "t").into_iter().zip(values(&found, "x")).collect();
            let expected = expected.as_array().unwrap();
            let same = pairs.len() == expected.len()
                && pairs
                    .iter()
                    .zip(expected)
                    .all(|((t, x), e)| *t == e[0].as_f64() && close(*x, e[1].as_f64()));
            assert!(same, "{case} on {partitions}: {pairs:?}, pandas {expected:?}");
        }
    }
}

#[test]
fn bars() {
    for (span, expected) in recorded()["ohlc"].as_object().unwrap() {
        for partitions in [1, 2, 7] {
            let bars = table(partitions).resample("t", span.as_str()).ohlc("x").unwrap();
            let seconds = [("t", DataType::Timestamp(TimeUnit::Second, None))];
            let bars = bars.astype(seconds).unwrap().astype([("t", DataType::Int64)]).unwrap();
            let columns = ["t", "open", "high", "low", "close"].map(|name| values(&bars, name));
            let expected = expected.as_array().unwrap();
            assert_eq!(columns[0].len(), expected.len(), "{span}");
            for (row, wanted) in expected.iter().enumerate() {
                for (at, column) in columns.iter().enumerate() {
                    assert!(close(column[row], wanted[at].as_f64()), "{span} row {row}: {wanted}");
                }
            }
        }
    }
    let error = table(1).resample("t", "1h").ohlc("z").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownColumn);
}

#[test]
fn whole_frames() {
    let f = frame(vec![
        ("k", ints(&[Some(3), Some(1), Some(2)])),
        ("x", ints(&[Some(30), Some(10), None])),
        ("s", texts(&[None, Some("a"), Some("b")])),
    ]);
    let f = f.sort(["k"]).unwrap();
    check(f.shift(1), "k|x|s\n1|-|-\n2|10|a\n3|-|b");
    check(f.shift(-1), "k|x|s\n1|-|b\n2|30|-\n3|-|-");
    check(f.cumsum(), "k|x|s\n1|10|a\n2|-|b\n3|40|-");
    check(f.cumprod(), "k|x|s\n1|10|a\n2|-|b\n3|300|-");
    check(f.cummin(), "k|x|s\n1|10|a\n2|-|b\n3|10|-");
    check(f.cummax(), "k|x|s\n1|10|a\n2|-|b\n3|30|-");
    check(f.ffill(), "k|x|s\n1|10|a\n2|10|b\n3|30|b");
    check(f.bfill(), "k|x|s\n1|10|a\n2|30|b\n3|30|-");
    check(f.interpolate(), "k|x|s\n1|10.0|a\n2|20.0|b\n3|30.0|-");
    check(f.diff(2), "k|x|s\n1|-|a\n2|-|b\n3|20|-");
    check(f.pct_change(2), "k|x|s\n1|-|a\n2|-|b\n3|2.0|-");
    check(f.rank(RankMethod::Min), "k|x|s\n1|1|a\n2|-|b\n3|2|-");
    let down = f.sort_by([desc("k")]).unwrap();
    check(down.cumsum(), "k|x|s\n3|30|-\n2|-|b\n1|40|a");
    // the order outlives filters, limits, renamed and moved columns, and windows in groups
    let moved = f.filter(col("k").gt(lit(1))).unwrap().select([col("x"), col("k").alias("key")]).unwrap();
    check(moved.shift(1), "x|key\n-|2\n-|3");
    check(f.head(2).unwrap().with_column("n", lit(1).cumcount()), "k|x|s|n\n1|10|a|0\n2|-|b|1");
    let grouped = f.with_column("n", lit(1).cumcount().over(["s"])).unwrap();
    check(grouped.with_column("m", lit(1).cumcount()), "k|x|s|n|m\n1|10|a|0|0\n2|-|b|0|1\n3|30|-|0|2");
}

#[test]
fn groups() {
    let t = table(2);
    let g = t.group_by(["g"]);
    check(g.head(1).unwrap().select(["id", "g"]).unwrap().sort(["g"]), &{
        let groups = column("g", |v| v.as_str().map(str::to_owned));
        let first = |k: &str| groups.iter().position(|g| g.as_deref() == Some(k)).unwrap();
        format!("id|g\n{}|a\n{}|b\n{}|c", first("a"), first("b"), first("c"))
    });
    let first = |f: DataFrame| values(&f, "m");
    let direct = t.with_column("m", col("y").mean().over(["g"])).unwrap();
    assert_eq!(first(g.transform([col("y").mean().alias("m")]).unwrap()), first(direct));
    // apply: the groups in the order of the keys, their rows in the order of the frame
    for partitions in [1, 2, 7] {
        let sizes = run(table(partitions).group_by(["g"]).apply(|rows| {
            let ids =
                rows.column_by_name("id").unwrap().as_primitive::<datafusion::arrow::datatypes::Int64Type>();
            assert!(ids.values().is_sorted());
            Ok::<_, trefoil_core::Error>(rows.slice(0, 2).project(&[1, 0]).unwrap())
        }))
        .unwrap();
        let firsts =
            t.group_by(["g"]).head(2).unwrap().select(["g", "id"]).unwrap().sort(["g", "id"]).unwrap();
        assert_eq!(lines(&sizes).unwrap(), lines(&firsts).unwrap());
    }
    // with declared columns a frame without rows is no error, and other columns are one
    let declared = || {
        use datafusion::arrow::datatypes::{Field, Schema};
        Schema::new(vec![Field::new("id", DataType::Int64, true)])
    };
    let ids = |rows: &datafusion::arrow::array::RecordBatch| rows.project(&[0]);
    let none = t.filter(lit(false)).unwrap();
    check(run(none.group_by(["g"]).apply_as(declared(), ids)), "id");
    assert_eq!(run(run(g.apply_as(declared(), ids)).unwrap().count()).unwrap(), 40);
    let all = |rows: &datafusion::arrow::array::RecordBatch| Ok::<_, trefoil_core::Error>(rows.clone());
    let error = run(g.apply_as(declared(), all)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
    let error = run(none.group_by(["g"]).apply(all)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let error = run(g.apply(|_| Err::<datafusion::arrow::array::RecordBatch, _>("not today"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    let range = agg_with("range", col("y"), DataType::Int64, |values: &ArrayRef| {
        let values = values.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
        let (low, high) = (values.iter().flatten().min(), values.iter().flatten().max());
        Ok::<_, trefoil_core::Error>(datafusion::common::ScalarValue::Int64(
            high.zip(low).map(|(h, l)| h - l),
        ))
    });
    let spread = (col("y").max() - col("y").min()).alias("spread");
    let both = g.agg([range, spread]).unwrap();
    assert_eq!(values(&both, "range"), values(&both, "spread"));
    let product = g.agg([col("y").where_else(col("id").lt(lit(9)), lit(1)).product().alias("p")]).unwrap();
    let all: i64 = column("y", Value::as_i64).into_iter().take(9).flatten().product();
    assert_eq!(values(&product, "p").into_iter().flatten().product::<f64>(), all as f64);
}

#[test]
fn numbered_rows() {
    for partitions in [1, 3] {
        let all = batch(vec![("x", ints(&[Some(5), Some(3), Some(9), None]))]);
        let parts =
            (0..partitions).map(|p| vec![all.slice(p, 1), all.slice(0, 0), all.slice(3, 1)]).collect();
        let numbered = run(partitioned(parts).with_row_index("row")).unwrap();
        let found = lines(&numbered.with_column("before", col("x").shift(1)).unwrap()).unwrap();
        let expect: &[&str] = match partitions {
            1 => &["row|x|before", "0|5|-", "1|-|5"],
            _ => &["row|x|before", "0|5|-", "1|-|5", "2|3|-", "3|-|3", "4|9|-", "5|-|9"],
        };
        assert_eq!(found, expect);
    }
    let error = run(frame(vec![("x", ints(&[]))]).with_row_index("x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn refusals() {
    let check = |found: trefoil_plan::Result<DataFrame>, kind: ErrorKind, words: &str| {
        let error = found.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let plain = gems();
    let shifted = || col("price").shift(1);
    check(plain.with_column("p", shifted()), ErrorKind::InvalidArgument, "has no order");
    check(plain.cumsum(), ErrorKind::InvalidArgument, "has no order");
    let sorted = plain.sort(["id"]).unwrap();
    check(
        sorted.drop(["id"]).unwrap().with_column("p", shifted()),
        ErrorKind::InvalidArgument,
        "has no order",
    );
    check(sorted.group_by(["cut"]).size().unwrap().cumsum(), ErrorKind::InvalidArgument, "has no order");
    check(sorted.filter(shifted().gt(lit(1))), ErrorKind::InvalidArgument, "other rows");
    check(sorted.with_column("p", col("cut").diff(1)), ErrorKind::TypeMismatch, "cut");
    check(sorted.with_column("p", col("cut").rolling(2).mean()), ErrorKind::TypeMismatch, "cut");
    check(sorted.with_column("p", col("cut").interpolate()), ErrorKind::TypeMismatch, "cut");
    check(sorted.resample("cut", "1h").mean(["price"]), ErrorKind::TypeMismatch, "not a time");
    check(sorted.resample("sold", "soon").mean(["price"]), ErrorKind::InvalidArgument, "`soon`");
    check(sorted.resample("sould", "1h").mean(["price"]), ErrorKind::UnknownColumn, "sold");
    let own = plain.with_column("p", shifted().sorted_by([asc("id")])).unwrap().sort(["id"]).unwrap();
    assert_eq!(values(&own, "p")[..3], [None, Some(326.0), Some(400.0)]);
}
