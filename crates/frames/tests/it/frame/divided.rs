//! Known divisions: the same answers as without, and less work for them.

use super::helpers::*;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;
use proptest::prelude::*;
use trefoil_core::ErrorKind;
use trefoil_frames::frame::*;
use trefoil_plan::DataFrame;

/// `k` and `x`, each may be null, and a number of the row.
type Row = (Option<i64>, Option<i64>);

fn to_batch(rows: &[(usize, Row)]) -> RecordBatch {
    batch(vec![
        ("k", ints(&rows.iter().map(|r| r.1.0).collect::<Vec<_>>())),
        ("x", ints(&rows.iter().map(|r| r.1.1).collect::<Vec<_>>())),
        ("row", ints(&rows.iter().map(|r| Some(r.0 as i64)).collect::<Vec<_>>())),
    ])
}

fn dealt(rows: &[Row], n: usize) -> DataFrame {
    let mut parts = vec![Vec::new(); n];
    for (i, row) in rows.iter().enumerate() {
        parts[(i * 7 + i / 3) % n].push((i, *row));
    }
    partitioned(std::iter::once(vec![to_batch(&[])]).chain(parts.iter().map(|p| vec![to_batch(p)])).collect())
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = |to: i64| prop::option::weighted(0.85, -to..to);
    prop::collection::vec((value(6), value(50)), 0..60)
}

fn sorted_lines(frame: &DataFrame) -> Vec<String> {
    let mut found = lines(frame).unwrap();
    found[1..].sort();
    found
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_answers(
        left in rows(), right in rows(), n in prop::sample::select(&[1_usize, 2, 7][..]), count in 1..6_usize,
        limit in -6..6_i64, two in any::<bool>(),
    ) {
        let (plain, other) = (dealt(&left, n), dealt(&right, 8 - n));
        let by = if two { keys(&["k", "x"]) } else { keys(&["k"]) };
        let divided = run(plain.repartition(Partitions::Sorted(by.clone(), count))).unwrap();
        prop_assert!(divided.divided().is_some());
        let like = Partitions::Like(by.clone(), Box::new(divided.clone()));
        let other_divided = run(other.repartition(like)).unwrap();
        let splits = |frame: &DataFrame| frame.divided().unwrap().splits().to_vec();
        prop_assert_eq!(splits(&other_divided), splits(&divided));
        let masks = [
            col("k").eq(lit(limit)), col("k").gt(lit(limit)), col("k").lt_eq(lit(limit)), col("k").is_null(),
            col("k").is_not_null(), col("k").is_in([limit, 3]), col("k").is_between(lit(limit), lit(limit + 2)),
            col("k").gt(lit(limit)) & col("x").lt(lit(0)), col("k").not_eq(lit(limit)), col("k").gt(lit(100)),
        ];
        for mask in masks {
            let (a, b) = (plain.filter(mask.clone()).unwrap(), divided.filter(mask.clone()).unwrap());
            prop_assert_eq!(sorted_lines(&a), sorted_lines(&b), "{}", mask);
            prop_assert_eq!(run(a.count()).unwrap(), run(b.count()).unwrap());
        }
        for group in [keys(&["k"]), keys(&["k", "x"]), keys(&["x"])] {
            let of = |f: &DataFrame| f.group_by(&group).agg([col("row").sum(), lit(1).count().alias("n")]).unwrap();
            prop_assert_eq!(sorted_lines(&of(&plain)), sorted_lines(&of(&divided)));
        }
        for kind in [
            JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full, JoinKind::Semi, JoinKind::Anti,
        ] {
            for on in [keys(&["k"]), by.clone()] {
                let a = plain.join(&other, &on, kind).unwrap();
                let b = divided.join(&other_divided, &on, kind).unwrap();
                prop_assert_eq!(sorted_lines(&a), sorted_lines(&b), "{:?}", kind);
                let c = divided.join(&other, &on, kind).unwrap();
                prop_assert_eq!(sorted_lines(&a), sorted_lines(&c), "{:?}", kind);
            }
        }
        // in order: sorts, heads, tails, running figures
        let order = || [asc("k"), asc("x"), asc("row")];
        prop_assert_eq!(lines(&plain.sort_by(order()).unwrap()).unwrap(), lines(&divided.sort_by(order()).unwrap()).unwrap());
        let ends = |f: &DataFrame, k: usize| {
            let only = |f: DataFrame| lines(&f.select(["k"]).unwrap()).unwrap();
            (only(f.head(k).unwrap()), only(run(f.tail(k)).unwrap()), only(f.limit(3, k).unwrap()))
        };
        prop_assert_eq!(ends(&plain.sort(&by).unwrap(), 5), ends(&divided, 5));
        let ranked = divided.with_column("n", col("row").cumcount()).unwrap();
        let numbers = run(ranked.select(["n"]).unwrap().collect()).unwrap();
        let mut found: Vec<i64> =
            numbers.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
        found.sort();
        prop_assert_eq!(found, (0..left.len() as i64).collect::<Vec<_>>());
        let extremes = [col("k").min().alias("low"), col("k").max().alias("high"), col("k").count().alias("n")];
        prop_assert_eq!(lines(&plain.agg(extremes.clone()).unwrap()).unwrap(), lines(&divided.agg(extremes).unwrap()).unwrap());
        let ends = run(divided.divisions("k")).unwrap();
        prop_assert_eq!(ends.len(), run(divided.partition_count()).unwrap());
    }
}

/// Many rows, so that the planner thinks of several partitions.
fn large(parts: usize) -> DataFrame {
    let n = 300_000_i64;
    let range = session().frame_from_range("v", 0..n).unwrap();
    let f = range.with_column("k", (col("v") * lit(7919)) % lit(n)).unwrap();
    run(f.repartition(Partitions::Sorted(keys(&["k"]), parts))).unwrap()
}

fn plan(frame: &DataFrame) -> String {
    let text = run(frame.explain()).unwrap();
    text.split("== physical plan ==").nth(1).unwrap().to_owned()
}

#[test]
fn less_work() {
    let f = large(8);
    assert_eq!(run(f.partition_count()).unwrap(), 8);
    // a filter passes partitions over
    let some = f.filter(col("k").is_between(lit(40_000), lit(60_000))).unwrap();
    assert!(plan(&some).contains("partitions=1,"), "{}", plan(&some));
    assert_eq!(run(some.count()).unwrap(), 20_001);
    let none = f.filter(col("k").lt(lit(-1))).unwrap();
    assert_eq!(run(none.count()).unwrap(), 0);
    // a sort is not done again, in SQL either
    for frame in [f.sort(["k"]).unwrap(), f.head(10).unwrap()] {
        assert!(!plan(&frame).contains("SortExec"), "{}", plan(&frame));
    }
    check(f.head(3), "v|k\n0|0\n217679|1\n135358|2");
    session().register("divided_table", &f).unwrap();
    let sql =
        run(session().context().sql("SELECT k FROM divided_table WHERE k > 299990 ORDER BY k")).unwrap();
    let sql = DataFrame::new(session().clone(), sql);
    assert!(plan(&sql).contains("partitions=1,") && !plan(&sql).contains("SortExec"), "{}", plan(&sql));
    assert_eq!(run(sql.count()).unwrap(), 9);
    // groups and joins over the keys move no rows
    let groups = f.group_by(["k"]).sum(["v"]).unwrap();
    assert!(!plan(&groups).contains("Hash("), "{}", plan(&groups));
    assert_eq!(run(groups.count()).unwrap(), 300_000);
    let other = f.filter((col("v") % lit(3)).eq(lit(0))).unwrap();
    let other = other.rename([("v", "w")]).unwrap();
    let like = Partitions::Like(keys(&["k"]), Box::new(f.clone()));
    let other = run(other.repartition(like)).unwrap();
    let joined = f.join(&other, ["k"], JoinKind::Inner).unwrap();
    assert!(!plan(&joined).contains("RepartitionExec"), "{}", plan(&joined));
    assert_eq!(run(joined.count()).unwrap(), run(other.count()).unwrap());
}

#[test]
fn what_is_not_sorted_is_refused() {
    let f = session().frame_from_range("k", 0..100).unwrap();
    let known = run(f.repartition(Partitions::Known(keys(&["k"])))).unwrap();
    assert_eq!(known.divided().unwrap().keys()[0].0, "k");
    check(known.head(2), "k\n0\n1");
    let falling = f.with_column("k", lit(0_i64) - col("k")).unwrap();
    let check = |how: Partitions, frame: &DataFrame, kind: ErrorKind, words: &str| {
        let error = run(frame.repartition(how)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    check(Partitions::Known(keys(&["k"])), &falling, ErrorKind::InvalidArgument, "not sorted by `k`");
    check(Partitions::Known(keys(&["j"])), &f, ErrorKind::UnknownColumn, "`j`");
    check(
        Partitions::Like(keys(&["k"]), Box::new(falling)),
        &f,
        ErrorKind::InvalidArgument,
        "no known divisions",
    );
    let at = |values: &[i64]| values.iter().map(|v| vec![ScalarValue::from(*v)]).collect::<Vec<_>>();
    check(Partitions::At(keys(&["k"]), at(&[50, 20])), &f, ErrorKind::InvalidArgument, "do not rise");
    let wide = vec![vec![ScalarValue::from(1_i64), ScalarValue::from(2_i64)]];
    check(Partitions::At(keys(&["k"]), wide), &f, ErrorKind::InvalidArgument, "2 values, there are 1");
    // partitions may be empty
    let cut = run(f.repartition(Partitions::At(keys(&["k"]), at(&[-5, 20, 60, 500])))).unwrap();
    assert_eq!(
        run(cut.divisions("k")).unwrap(),
        [None, Some((0, 19)), Some((20, 59)), Some((60, 99)), None]
            .map(|pair| { pair.map(|(low, high): (i64, i64)| (low.to_string(), high.to_string())) })
    );
    assert_eq!(run(cut.filter(col("k").gt_eq(lit(60))).unwrap().count()).unwrap(), 40);
    // partitions that overlap are refused, whatever the caller says
    let parts = run(session().gather(cut.partitions().unwrap())).unwrap();
    let backwards = parts.into_iter().rev().collect();
    let rising = SortOptions { descending: false, nulls_first: false };
    let error = run(session().frame_from_sorted(backwards, vec![("k".to_owned(), rising)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}
