//! What holds for values of every kind: a check or more for each row of the table "Null, NaN and other values" of
//! `docs/tutorials/frames.md`, and the names of tier 2 that other tests do not show by themselves.

use super::helpers::*;
use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, ListArray, StructArray, TimestampSecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type, TimeUnit};
use datafusion::common::ScalarValue;
use std::sync::Arc;
use trefoil_core::ErrorKind;
use trefoil_frames::frame::*;
use trefoil_plan::CsvOptions;

fn gaps() -> trefoil_plan::DataFrame {
    frame(vec![
        ("id", ints(&[Some(1), Some(2), Some(3), Some(4)])),
        ("k", texts(&[Some("a"), None, Some("a"), None])),
        ("x", floats(&[Some(1.0), Some(f64::NAN), None, Some(-2.0)])),
    ])
}

#[test]
fn null() {
    let f = gaps();
    // passed over by aggregations; of every type
    let all = [
        col("x").count().alias("x"),
        col("k").count().alias("k"),
        col("k").min().alias("least"),
        lit(1).count().alias("rows"),
    ];
    check(f.agg(all), "x|k|least|rows\n3|2|a|4");
    // a comparison with null is null, and a filter drops it on both sides
    check(f.filter(col("k").eq(lit("a"))).unwrap().select(["id"]), "id\n1\n3");
    check(f.filter(col("k").not_eq(lit("a"))).unwrap().select(["id"]), "id");
    check(f.select([col("k").eq(lit("a")).alias("m")]).unwrap().head(2), "m\ntrue\n-");
    // as a key: a group of its own, counted as a value, and no match in a join
    check_rows(f.group_by(["k"]).size(), "k|size\na|2\n-|2");
    check(f.value_counts(["k"]), "k|count\na|2\n-|2");
    let other = frame(vec![("k", texts(&[Some("a"), None])), ("z", ints(&[Some(10), Some(20)]))]);
    check_rows(
        f.select(["id", "k"]).unwrap().join(&other, ["k"], JoinKind::Left),
        "id|k|z\n1|a|10\n2|-|-\n3|a|10\n4|-|-",
    );
    // how to get what pandas does
    check_rows(f.dropna_of(["k"]).unwrap().group_by(["k"]).size(), "k|size\na|2");
    let (own, theirs) =
        (f.fillna_of([("k", lit("?"))]).unwrap(), other.fillna_of([("k", lit("?"))]).unwrap());
    check_rows(
        own.select(["id", "k"]).unwrap().join(&theirs, ["k"], JoinKind::Inner),
        "id|k|z\n1|a|10\n2|?|20\n3|a|10\n4|?|20",
    );
    let right = frame(vec![("t", ints(&[Some(1)])), ("k", texts(&[None])), ("z", ints(&[Some(7)]))]);
    let left = frame(vec![("t", ints(&[Some(2)])), ("k", texts(&[None]))]);
    check(left.join_asof(&right, &AsOf::on("t").by(["k"])), "t|k|z\n2|-|7");
}

#[test]
fn nan() {
    let f = gaps();
    // a number that is not null, the largest in sorts
    check(
        f.select([col("x").is_nan().alias("n"), col("x").is_null().alias("m")]),
        "n|m\nfalse|false\ntrue|false\n-|true\nfalse|false",
    );
    check(f.sort(["x"]).unwrap().select(["id"]), "id\n4\n1\n2\n3");
    check(f.sort_by([desc("x")]).unwrap().select(["id"]), "id\n2\n1\n4\n3");
    check(f.dropna_of(["x"]).unwrap().select(["id"]), "id\n1\n2\n4");
    check(f.agg([col("x").sum().alias("x")]), "x\nNaN");
    check(f.select([col("x").fill_nan(lit(0.5))]), "x\n1.0\n0.5\n-\n-2.0");
    check(
        f.agg([col("x").quantile(1.0).alias("most"), col("x").quantile(0.0).alias("least")]),
        "most|least\nNaN|-2.0",
    );
    // windows pass it over
    let sums = f.sort(["id"]).unwrap().select([col("x").rolling(2).min_periods(1).sum()]);
    check(sums, "x\n1.0\n1.0\n-\n-2.0");
    // how to make it missing, as in pandas
    let missing = f.with_column("x", col("x").fill_nan(lit(ScalarValue::Null))).unwrap();
    check(missing.agg([col("x").sum().alias("sum"), col("x").count().alias("n")]), "sum|n\n-1.0|2");
}

#[test]
fn whole_numbers() {
    let f = frame(vec![("a", ints(&[Some(7), None, Some(-7)])), ("b", ints(&[Some(2), Some(2), Some(2)]))]);
    // they stay whole beside nulls; a sum of nothing is null
    assert_eq!(f.dtypes()[0].1, DataType::Int64);
    check(f.select([col("a") + col("b")]), "a\n9\n-\n-5");
    let none = f.filter(lit(false)).unwrap();
    check(none.agg([col("a").sum().alias("s"), col("a").sum().fill_null(lit(0)).alias("z")]), "s|z\n-|0");
    // `/` divides truly, `floor_div` downwards
    check(
        f.select([(col("a") / col("b")).alias("t"), col("a").floor_div(col("b")).alias("f")]),
        "t|f\n3.5|3\n-|-\n-3.5|-4",
    );
    // `%` has the sign of the left side; theirs has that of the right one
    let theirs = col("a") - col("a").floor_div(col("b")) * col("b");
    check(f.select([(col("a") % col("b")).alias("o"), theirs.alias("t")]), "o|t\n1|1\n-|-\n-1|1");
    // also where floating-point numbers have no ones any more
    let wide = 9_007_199_254_740_993;
    let large = frame(vec![("a", ints(&[Some(wide), Some(-wide), Some(i64::MAX)]))]);
    check(large.select([col("a").floor_div(lit(1))]), &format!("a\n{wide}\n-{wide}\n{}", i64::MAX));
    check(
        f.select([col("a").floor_div(lit(-2)).alias("i"), col("a").floor_div(lit(2.5)).alias("f")]),
        "i|f\n-4|2\n-|-\n3|-3",
    );
    for zero in [lit(0), lit(0.0)] {
        assert!(run(f.select([col("a").floor_div(zero)]).unwrap().collect()).is_err());
    }
    // overflow: arithmetic wraps, products do not
    let large = frame(vec![("a", ints(&[Some(i64::MAX), Some(2)]))]);
    check(large.select([col("a") + lit(1_i64)]), &format!("a\n{}\n3", i64::MIN));
    let error = run(large.agg([col("a").product()]).unwrap().collect()).unwrap_err();
    assert!(error.to_string().contains("does not fit in Int64"), "{error}");
    // rounding: halves away from zero
    let halves = frame(vec![("x", floats(&[Some(0.5), Some(1.5), Some(-2.5)]))]);
    check(halves.select([col("x").round(0)]), "x\n1.0\n2.0\n-3.0");
}

/// The bins of a frame in a zone; hours are the same everywhere.
#[test]
fn days_are_those_of_the_zone() {
    // midnight, 3 and 4 o'clock on the day when clocks go forward, midnight after it
    let f = frame(vec![
        ("t", ints(&[Some(1_711_839_600), Some(1_711_846_800), Some(1_711_850_400), Some(1_711_922_400)])),
        ("v", ints(&[Some(1), Some(2), Some(3), Some(4)])),
    ]);
    let zone = DataType::Timestamp(TimeUnit::Second, Some("Europe/Paris".into()));
    let f = f.with_column("t", col("t").cast(zone.clone())).unwrap();
    let days = f.resample("t", "1d").sum(["v"]).unwrap();
    assert_eq!(days.dtypes()[0].1, zone);
    check(Ok(days), "t|v\n2024-03-31T00:00:00+01:00|6\n2024-04-01T00:00:00+02:00|4");
    check(
        f.resample("t", "12h").sum(["v"]),
        "t|v\n2024-03-30T13:00:00+01:00|1\n2024-03-31T01:00:00+01:00|5\n2024-03-31T14:00:00+02:00|4",
    );
    // no rows, no bins
    check(f.filter(lit(false)).unwrap().resample("t", "1d").sum(["v"]), "t|v");
    let month = f.resample("t", "1mo").sum(["v"]);
    check(month, "t|v\n2024-03-01T00:00:00+01:00|6\n2024-04-01T00:00:00+02:00|4");
}

#[test]
fn roots_of_negative_numbers() {
    let f = frame(vec![("x", floats(&[Some(4.0), Some(-1.0), None, Some(-0.0)]))]);
    check(f.select([col("x").sqrt()]), "x\n2.0\nNaN\n-\n-0.0");
}

#[test]
fn times_and_zones() {
    // the last second before and the first after clocks in Paris go forward
    let utc = TimestampSecondArray::from(vec![Some(1_711_846_799), Some(1_711_846_800), None]);
    let f = frame(vec![
        ("utc", Arc::new(utc.clone().with_timezone("UTC")) as ArrayRef),
        ("wall", Arc::new(utc) as ArrayRef),
    ]);
    let paris = f.with_column("paris", col("utc").dt().tz_convert("Europe/Paris")).unwrap();
    let zone = |zone: &str| DataType::Timestamp(TimeUnit::Second, Some(zone.into()));
    assert_eq!(paris.dtypes()[2].1, zone("Europe/Paris"));
    // `dt()` answers in the zone, the instants are the same
    check(
        paris.select([
            col("utc").dt().hour().alias("utc"),
            col("wall").dt().hour().alias("wall"),
            col("paris").dt().hour().alias("paris"),
            col("paris").eq(col("utc")).alias("same"),
        ]),
        "utc|wall|paris|same\n0|0|1|true\n1|1|3|true\n-|-|-|-",
    );
    check(paris.agg([(col("paris").max() - col("paris").min()).cast(DataType::Int64).alias("s")]), "s\n1");
    // the wall-clock time of the zone
    let wall = paris.select([col("paris").dt().tz_drop().alias("w")]).unwrap();
    assert_eq!(wall.dtypes()[0].1, DataType::Timestamp(TimeUnit::Second, None));
    check(wall.select([col("w").dt().hour()]), "w\n1\n3\n-");
    // keys of groups and joins keep their zone
    let days = paris.group_by([col("paris").dt().date().alias("day")]).size();
    check_rows(days, "day|size\n2024-03-31|2\n-|1");
    let joined = paris.select(["paris"]).unwrap().join(&paris, ["paris"], JoinKind::Inner).unwrap();
    assert_eq!(joined.dtypes()[0].1, zone("Europe/Paris"));
    assert_eq!(run(joined.count()).unwrap(), 2);
    let unknown = paris.with_column("x", col("utc").dt().tz_convert("Europe/Nowhere")).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidArgument, "{unknown}");
}

#[test]
fn decimals() {
    let price =
        Decimal128Array::from(vec![Some(10), Some(20), None, Some(-5)]).with_precision_and_scale(9, 2);
    let f = frame(vec![
        ("k", texts(&[Some("a"), Some("a"), Some("b"), Some("b")])),
        ("price", Arc::new(price.unwrap()) as ArrayRef),
    ]);
    let kind = |frame: &trefoil_plan::DataFrame, at: usize| frame.dtypes()[at].1.clone();
    // 0.10 + 0.20 is 0.30
    let sums = f.group_by(["k"]).sum(["price"]).unwrap().sort(["k"]).unwrap();
    check(Ok(sums.clone()), "k|price\na|0.30\nb|-0.05");
    assert!(matches!(kind(&sums, 1), DataType::Decimal128(_, 2)));
    check(f.select([(col("price") + col("price")).alias("twice")]), "twice\n0.20\n0.40\n-\n-0.10");
    check(
        f.agg([col("price").max().alias("most"), col("price").mean().alias("mean")]),
        "most|mean\n0.20|0.083333",
    );
    check(f.filter(col("price").gt(lit(0.15))).unwrap().select(["price"]), "price\n0.20");
    check(f.sort(["price"]).unwrap().select(["price"]), "price\n-0.05\n0.10\n0.20\n-");
    // figures that are no fractions of ten are floats
    let floats = f.agg([col("price").quantile(0.5).alias("q"), col("price").cast(DataType::Float64).std()]);
    assert_eq!(kind(floats.as_ref().unwrap(), 0), DataType::Float64);
    check(floats.unwrap().select(["q"]), "q\n0.1");
    let float = f.astype([("price", DataType::Float64)]).unwrap();
    check(float.agg([col("price").sum().alias("s")]).unwrap().select([col("s").round(2)]), "s\n0.25");
}

#[test]
fn nested() {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None, Some(3)]),
        None,
        Some(vec![]),
    ]);
    let fields = Fields::from(vec![
        Field::new("x", DataType::Float64, true),
        Field::new("name", DataType::Utf8, true),
    ]);
    let points = StructArray::new(
        fields,
        vec![floats(&[Some(0.5), None, Some(2.0)]), texts(&[Some("p"), Some("q"), None])],
        Some(vec![true, true, false].into()),
    );
    let f = frame(vec![
        ("id", ints(&[Some(1), Some(2), Some(3)])),
        ("xs", Arc::new(lists) as ArrayRef),
        ("p", Arc::new(points) as ArrayRef),
    ]);
    assert!(f.dtypes()[1..].iter().all(|(_, kind)| kind.is_nested()));
    check(f.select([col("id"), col("xs").list().len().alias("n")]), "id|n\n1|3\n2|-\n3|0");
    check_rows(f.explode("xs").unwrap().select(["id", "xs"]), "id|xs\n1|1\n1|-\n1|3\n2|-\n3|-");
    check(f.select([col("p").structs().field("x").alias("x")]), "x\n0.5\n-\n-");
    check(f.select([col("p").is_null().alias("m")]), "m\nfalse\nfalse\ntrue");
    check(f.dropna().unwrap().select(["id"]), "id\n1");
    // as keys, and through the store
    let stored = run(f.persist()).unwrap();
    assert_eq!(run(stored.group_by(["xs"]).size().unwrap().count()).unwrap(), 3);
    assert_eq!(run(stored.drop_duplicates().unwrap().count()).unwrap(), 3);
    let sum = f.agg([col("xs").sum()]).unwrap_err();
    assert_eq!(sum.kind(), ErrorKind::TypeMismatch, "{sum}");
}

#[test]
fn names_of_tier_two() {
    let f = frame(vec![
        ("a", ints(&[Some(1), Some(4), Some(9)])),
        ("b", floats(&[Some(0.5), Some(1.5), Some(4.0)])),
        ("s", texts(&[Some("1"), Some("x"), Some("2.5")])),
    ]);
    // to_string, pipe, empty
    let text = run(f.to_text(5)).unwrap();
    assert!(text.contains("3 rows") && text.contains("0.5"), "{text}");
    let pipe = |f: &trefoil_plan::DataFrame| f.head(1);
    check(pipe(&f).unwrap().select(["a"]), "a\n1");
    assert!(run(f.filter(lit(false)).unwrap().count()).unwrap() == 0);
    // to_numeric, to_timedelta, to_timestamp
    check(f.select([col("s").try_cast(DataType::Float64)]), "s\n1.0\n-\n2.5");
    let seconds = f.select([col("a").cast(DataType::Duration(TimeUnit::Second))]).unwrap();
    check(seconds.select([col("a").cast(DataType::Int64)]), "a\n1\n4\n9");
    let times = f.select([col("a").cast(DataType::Timestamp(TimeUnit::Second, None))]).unwrap();
    check(times.select([col("a").dt().second()]), "a\n1\n4\n9");
    // autocorr: a column beside itself, one row later
    let sorted = f.sort(["a"]).unwrap();
    let beside = sorted.with_column("before", col("b").shift(1)).unwrap();
    check(beside.agg([col("b").corr(col("before")).alias("r")]), "r\n1.0");
    // is_monotonic_increasing: no step goes down
    let steps = sorted.with_column("step", col("b").diff(1)).unwrap();
    check(steps.agg([col("step").gt_eq(lit(0.0)).all().alias("up")]), "up\ntrue");
    // combine: a join, and an expression of both columns
    let other = f.select([col("a"), (col("b") * lit(10.0)).alias("b")]).unwrap();
    let both = f.select(["a", "b"]).unwrap().join(&other, ["a"], JoinKind::Inner).unwrap();
    check_rows(both.select([col("a"), (col("b_x") + col("b_y")).alias("b")]), "a|b\n1|5.5\n4|16.5\n9|44.0");
    // several figures of a window at once
    let window = col("b").rolling(2);
    let figures = sorted.select([window.sum().alias("sum"), window.max().alias("max")]);
    check(figures, "sum|max\n-|-\n2.0|1.5\n5.5|4.0");
    // ordered categories: their order is that of the codes
    let sizes = col("s").cat().set_categories(["x", "2.5", "1"]);
    let coded = f.with_column("s", sizes).unwrap().with_column("code", col("s").cat().codes()).unwrap();
    check(coded.sort(["code"]).unwrap().select(["s"]), "s\nx\n2.5\n1");
    // remove_unused_categories: to look again
    let fewer = run(coded.filter(col("s").eq(lit("x"))).unwrap().categorize_of(["s"])).unwrap();
    assert_eq!(fewer.categories("s").unwrap().unwrap(), ["x"]);
    // dot, from_dask_array
    let array = run(f.to_array(["a", "b"])).unwrap();
    let product = run(array.dot(&array.t()).unwrap().compute()).unwrap();
    assert_eq!((product.shape(), product[[0, 2]]), (&[3, 3][..], 11.0));
    let values = run(array.compute()).unwrap();
    let column = Arc::new(values.iter().copied().collect::<Float64Array>());
    let back = session().frame_from_columns([("v", column as ArrayRef)]).unwrap();
    check(back.agg([col("v").sum().alias("s")]), "s\n20.0");
    // files: read_table, read_fwf, to_json, read_json
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("t.tsv"), "a\tb\n1\tx\n2\ty\n").unwrap();
    let tabs = CsvOptions::new().delimiter(b'\t');
    check(run(session().read_csv_with(at("t.tsv"), tabs)), "a|b\n1|x\n2|y");
    std::fs::write(at("f.txt"), "line\n  1 ab\n 22 cd\n").unwrap();
    let lines = run(session().read_csv(at("f.txt"))).unwrap();
    let part = |from, to| col("line").str().slice(from, Some(to)).str().strip();
    let fixed = lines.select([part(0, 3).cast(DataType::Int64).alias("n"), part(3, 6).alias("s")]);
    check(fixed, "n|s\n1|ab\n22|cd");
    run(f.write_json(at("f.json"))).unwrap();
    check(run(session().read_json(at("f.json"))).unwrap().select(["a", "b"]), "a|b\n1|0.5\n4|1.5\n9|4.0");
}
