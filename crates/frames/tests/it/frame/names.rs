//! Names of pandas and Dask that are no verb here: what to write instead gives what they give.

use super::helpers::*;
use datafusion::arrow::array::{ArrayRef, AsArray, DurationMillisecondArray, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use std::sync::Arc;
use trefoil_core::ErrorKind;
use trefoil_frames::frame::*;
use trefoil_plan::{Session, quantile_udaf};

fn numbers() -> trefoil_plan::DataFrame {
    frame(vec![
        ("a", ints(&[Some(1), Some(4), Some(-3), None])),
        ("b", floats(&[Some(0.5), Some(2.0), Some(4.0), Some(8.0)])),
    ])
}

/// rdiv, rtruediv, rsub, rmul, rmod, rpow, rfloordiv, divide; case_when.
#[test]
fn arithmetic_from_the_left() {
    let f = numbers();
    let (a, b) = (|| col("a"), || col("b"));
    check(f.select([(lit(1.0) / b()).alias("x")]), "x\n2.0\n0.5\n0.25\n0.125");
    check(f.select([(lit(10) - a()).alias("x")]), "x\n9\n6\n13\n-");
    check(f.select([(lit(2) * a()).alias("x")]), "x\n2\n8\n-6\n-");
    check(f.select([(a() / b()).alias("x")]), "x\n2.0\n2.0\n-0.75\n-");
    check(f.select([lit(2.0).pow(a().cast(DataType::Float64)).alias("x")]), "x\n2.0\n16.0\n0.125\n-");
    // a quotient is rounded down, as in pandas; a remainder has the sign of the dividend, as in SQL
    let whole = f.dropna().unwrap();
    check(whole.select([lit(7).floor_div(a()).alias("x")]), "x\n7\n1\n-3");
    check(whole.select([a().floor_div(lit(2)).alias("x")]), "x\n0\n2\n-2");
    check(whole.select([(lit(7) % a()).alias("x")]), "x\n0\n3\n1");
    let cases = when(a().gt(lit(3)), lit("large")).when(a().gt(lit(0)), lit("small")).otherwise(lit("none"));
    check(f.select([cases.alias("x")]), "x\nsmall\nlarge\nnone\nnone");
}

/// ndim, analyze, expr, lower_once, simplify, nbytes, median_approximate, tz, tokenize, clear_divisions,
/// compute_current_divisions, rename_axis, Index.name, DataFrame, Series, Scalar, assert_eq, map of settings.
#[test]
fn what_is_asked_of_a_frame() {
    let f = numbers();
    // two dimensions
    assert_eq!(run(f.shape()).unwrap(), (4, 2));
    // a plan, before and after it is optimised, and what a run took
    let some: trefoil_plan::DataFrame = f.filter(col("a").gt(lit(0))).unwrap().select(["b"]).unwrap();
    let logical = some.inner().logical_plan().display_indent().to_string();
    assert!(logical.contains("Filter: "), "{logical}");
    let plan = run(some.explain()).unwrap();
    assert!(plan.contains("Filter"), "{plan}");
    let ran = run(some.explain_analyze()).unwrap();
    assert!(ran.contains("rows") && ran.contains("Filter"), "{ran}");
    // plans are alike if they do the same, and only then
    let alike = f.filter(col("a").gt(lit(0))).unwrap().select(["b"]).unwrap();
    let other = f.filter(col("a").gt(lit(1))).unwrap().select(["b"]).unwrap();
    assert_eq!(some.inner().logical_plan(), alike.inner().logical_plan());
    assert_ne!(some.inner().logical_plan(), other.inner().logical_plan());
    // bytes by column
    let bytes = run(f.memory_usage()).unwrap();
    assert!(bytes.iter().any(|(name, bytes)| name == "b" && *bytes >= 32), "{bytes:?}");
    // an expression is what a series is, a frame of one row what a scalar is
    let series: Expr = col("b").approx_quantile(0.5);
    let scalar =
        f.agg([series.alias("m"), quantile_udaf().call(vec![col("b"), lit(0.5)]).alias("q")]).unwrap();
    assert_eq!(run(scalar.count()).unwrap(), 1);
    check(scalar.select(["q"]), "q\n3.0");
    check(scalar.select([col("m").is_between(lit(2.0), lit(4.0))]), "m\ntrue");
    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Row {
        a: Option<i64>,
        b: f64,
    }
    let rows: Vec<Row> = run(f.tail(2)).map(|f| run(f.to_rows()).unwrap()).unwrap();
    assert_eq!(rows, [Row { a: Some(-3), b: 4.0 }, Row { a: None, b: 8.0 }]);
    // the zone of a column is part of its type
    let zone = DataType::Timestamp(TimeUnit::Second, Some("Europe/Paris".into()));
    let zoned = f.select([col("a").cast(zone.clone())]).unwrap();
    assert_eq!(zoned.dtypes(), [("a".to_owned(), zone)]);
    // divisions: looked for, named by their column, dropped by what loses the order
    let known =
        run(run(f.sort(["b"]).unwrap().persist()).unwrap().repartition(Partitions::Known(vec!["b".into()])));
    let known = known.unwrap();
    let names = |f: &trefoil_plan::DataFrame| f.divided().map(|d| d.keys()[0].0.clone());
    assert_eq!(names(&known), Some("b".to_owned()));
    let renamed = run(known.rename([("b", "c")]).unwrap().persist()).unwrap();
    assert_eq!(renamed.columns(), ["a", "c"]);
    assert_eq!(names(&run(known.repartition(Partitions::Count(2))).unwrap()), None);
    let unsorted = run(f.sort(["a"]).unwrap().sort_by([desc("b")]).unwrap().persist()).unwrap();
    let error = run(unsorted.repartition(Partitions::Known(vec!["b".into()]))).unwrap_err();
    assert!(error.to_string().contains('b'), "{error}");
}

/// config.get, config.set.
#[test]
fn settings_are_of_a_session() {
    let session = Session::builder().workers(3).memory("64MiB").name("settings").build().unwrap();
    assert_eq!((session.workers(), session.budget().limit()), (3, 64 << 20));
    let error = Session::builder().memory("much").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // and of no other
    assert_ne!(super::helpers::session().budget().limit(), 64 << 20);
}

/// to_period, start_time, end_time, time, microsecond, nanosecond, weekofyear; days, seconds, microseconds,
/// nanoseconds and components of durations.
#[test]
fn parts_of_times() {
    // 2024-02-29 13:45:07.123456789, 1969-12-31 23:59:59.5
    let times =
        TimestampNanosecondArray::from(vec![Some(1_709_214_307_123_456_789), Some(-500_000_000), None]);
    let spans = DurationMillisecondArray::from(vec![Some(93_784_005), Some(-1_500), None]);
    let f = frame(vec![("t", Arc::new(times) as ArrayRef), ("d", Arc::new(spans) as ArrayRef)]);
    let t = || col("t").dt();
    let text = |e: Expr| e.cast(DataType::Utf8).alias("x");
    check(f.select([t().strftime("%Y-%m").alias("x")]), "x\n2024-02\n1969-12\n-");
    check(f.select([text(t().floor("1h"))]), "x\n2024-02-29T13:00:00\n1969-12-31T23:00:00\n-");
    check(f.select([text(t().ceil("1h"))]), "x\n2024-02-29T14:00:00\n1970-01-01T00:00:00\n-");
    check(f.select([t().strftime("%6f").alias("x")]), "x\n123456\n500000\n-");
    check(f.select([t().strftime("%9f").alias("x")]), "x\n123456789\n500000000\n-");
    check(f.select([t().week().alias("x")]), "x\n9\n1\n-");
    let clock = col("t").cast(DataType::Time64(TimeUnit::Nanosecond));
    check(f.select([text(clock)]), "x\n13:45:07.123456789\n23:59:59.500\n-");
    // 1 day 2:03:04.005; pandas' days and seconds of a negative one are of the day before
    let seconds = || col("d").dt().total_seconds();
    check(f.select([seconds().alias("x")]), "x\n93784.005\n-1.5\n-");
    let days = || (seconds() / lit(86_400.0)).floor();
    check(f.select([days().alias("x")]), "x\n1.0\n-1.0\n-");
    let in_day = || (seconds() - days() * lit(86_400.0)).floor();
    check(f.select([in_day().alias("x")]), "x\n7384.0\n86398.0\n-");
    let rest = (seconds() - seconds().floor()) * lit(1e6);
    check(f.select([rest.round(0).alias("x")]), "x\n5000.0\n500000.0\n-");
}

/// decode, encode, istitle, slice_replace, translate.
#[test]
fn texts_by_other_means() {
    let f = frame(vec![("s", texts(&[Some("Hello World"), Some("hello"), Some("caf\u{e9}"), None]))]);
    let bytes = f.select([col("s").cast(DataType::Binary)]).unwrap();
    let batches = run(bytes.collect()).unwrap();
    assert_eq!(batches[0].column(0).as_binary::<i32>().value(2), "caf\u{e9}".as_bytes());
    check(bytes.select([col("s").cast(DataType::Utf8)]), "s\nHello World\nhello\ncaf\u{e9}\n-");
    let title = col("s").str().fullmatch("(\\p{Lu}\\p{Ll}* ?)+");
    check(f.select([title.alias("x")]), "x\ntrue\nfalse\nfalse\n-");
    let s = || col("s").str();
    let replaced = s().slice(0, Some(1)) + lit("--") + s().slice(3, None);
    check(f.select([replaced.alias("x")]), "x\nH--lo World\nh--lo\nc--\u{e9}\n-");
    let one_by_one = s().replace("l", "L").str().replace("o", "0");
    check(f.select([one_by_one.alias("x")]), "x\nHeLL0 W0rLd\nheLL0\ncaf\u{e9}\n-");
}

/// from_graph: partitions that tasks have made.
#[test]
fn frames_of_a_graph() {
    let f = numbers();
    let stored = run(run(f.repartition(Partitions::Count(2))).unwrap().persist()).unwrap();
    let back = run(session().frame_from_refs(stored.partitions().unwrap())).unwrap();
    assert_eq!(lines(&back).unwrap(), lines(&f).unwrap());
}
