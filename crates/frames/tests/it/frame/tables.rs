//! Frames as tables of the program: from rows and columns, in partitions, drawn, computed together.

use super::helpers::*;
use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::{Session as PlanSession, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::TableType;
use datafusion::physical_plan::ExecutionPlan;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use trefoil_core::{Arg, Call, Error, ErrorKind, Input, Partition, TaskSpec};
use trefoil_frames::bag::BagSession;
use trefoil_frames::frame;
use trefoil_frames::frame::*;
use trefoil_plan::{DataFrame, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Gem {
    cut: String,
    carat: Option<f64>,
    price: i64,
    lab: bool,
    tags: Vec<String>,
}

fn gem(i: i64) -> Gem {
    Gem {
        cut: format!("c{}", i % 3),
        carat: (i % 4 != 0).then_some(i as f64 / 2.0),
        price: i * 10,
        lab: i % 2 == 0,
        tags: (0..i % 3).map(|t| format!("t{t}")).collect(),
    }
}

#[test]
fn construction() {
    let gems: Vec<Gem> = (0..20).map(gem).collect();
    let f = session().frame_from_rows(&gems).unwrap();
    assert_eq!(f.columns(), ["cut", "carat", "price", "lab", "tags"]);
    assert_eq!(run(f.to_rows::<Gem>()).unwrap(), gems);
    let filtered = f.filter(col("price").gt(lit(100)) & col("lab")).unwrap();
    let kept: Vec<Gem> = gems.iter().filter(|g| g.price > 100 && g.lab).cloned().collect();
    assert_eq!(run(filtered.to_rows::<Gem>()).unwrap(), kept);
    // rows of bags and bags of rows
    let bag = session().bag().of(gems.clone(), 3).unwrap();
    let again = run(bag.to_frame(session())).unwrap();
    assert_eq!(run(run(again.to_bag::<Gem>()).unwrap().compute()).unwrap(), gems);

    let session = session();
    let written = frame!(session, {
        "a" => [1, 2, 3],
        "b" => vec![Some("x"), None, Some("z")],
        "c" => [0.5, 1.5, 2.5],
        "d" => ints(&[None, Some(2), Some(3)]),
    });
    check(written, "a|b|c|d\n1|x|0.5|-\n2|-|1.5|2\n3|z|2.5|3");
    let range = session.frame_from_range("n", -2..20_000).unwrap();
    assert_eq!(run(range.count()).unwrap(), 20_002);
    check(range.agg([col("n").min().alias("a"), col("n").max().alias("b")]), "a|b\n-2|19999");
    check(session.frame_from_range("n", 3..3), "n");

    let check = |found: Result<DataFrame>, kind: ErrorKind, words: &str| {
        let error = found.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    check(frame!(session, {"a" => [1], "b" => [1, 2]}), ErrorKind::ShapeMismatch, "`b` has 2");
    check(frame!(session, {"a" => [1], "a" => [1]}), ErrorKind::AlreadyExists, "`a`");
    check(session.frame_from_rows::<Gem>([]), ErrorKind::InvalidArgument, "no row");
    check(session.frame_from_rows([1, 2]), ErrorKind::InvalidArgument, "row 0");
    let mixed = [serde_json::json!({"a": 1}), serde_json::json!({"a": {"b": 1}})];
    check(session.frame_from_rows(mixed), ErrorKind::TypeMismatch, "one type per field");
    let error = run(f.select(["cut"]).unwrap().to_rows::<Gem>()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
    assert!(error.to_string().contains("Gem"), "{error}");
}

/// Rows as other types than structs: tuples by position, the values of an only column.
#[test]
fn rows_by_position() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair(String, i64);
    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(i64);

    let gems: Vec<Gem> = (0..5).map(gem).collect();
    let f = session().frame_from_rows(&gems).unwrap();
    let only = |names: &[&str]| f.select(names.to_vec()).unwrap();

    type Row = (String, Option<f64>, i64, bool, Vec<String>);
    let all: Vec<Row> = run(f.to_rows()).unwrap();
    let expect: Vec<_> =
        gems.iter().map(|g| (g.cut.clone(), g.carat, g.price, g.lab, g.tags.clone())).collect();
    assert_eq!(all, expect);
    let pairs = run(only(&["cut", "price"]).to_rows::<Pair>()).unwrap();
    assert_eq!(pairs, gems.iter().map(|g| Pair(g.cut.clone(), g.price)).collect::<Vec<_>>());
    let listed = run(only(&["price"]).to_rows::<[i64; 1]>()).unwrap();
    assert_eq!(listed, [[0], [10], [20], [30], [40]]);
    let numbers = f.select([col("price").alias("a"), (col("price") + lit(1)).alias("b")]).unwrap();
    assert_eq!(run(numbers.to_rows::<Vec<i64>>()).unwrap()[2], [20, 21]);

    assert_eq!(run(only(&["price"]).to_rows::<i64>()).unwrap(), [0, 10, 20, 30, 40]);
    assert_eq!(run(only(&["price"]).to_rows::<(i64,)>()).unwrap()[4], (40,));
    assert_eq!(run(only(&["price"]).to_rows::<Id>()).unwrap()[4], Id(40));
    assert_eq!(run(only(&["price"]).to_rows::<Option<u8>>()).unwrap()[4], Some(40));
    assert_eq!(run(only(&["price"]).to_rows::<f64>()).unwrap()[1], 10.0);
    assert_eq!(run(only(&["lab"]).to_rows::<bool>()).unwrap(), [true, false, true, false, true]);
    assert_eq!(run(only(&["cut"]).to_rows::<String>()).unwrap()[1], "c1");
    let carats = run(only(&["carat"]).to_rows::<Option<f64>>()).unwrap();
    assert_eq!(carats, [None, Some(0.5), Some(1.0), Some(1.5), None]);
    // A column of lists is the lists.
    assert_eq!(run(only(&["tags"]).to_rows::<Vec<String>>()).unwrap()[2], ["t0", "t1"]);
    assert_eq!(run(only(&["tags"]).to_rows::<(Vec<String>,)>()).unwrap()[1].0, ["t0"]);
    // An object stays one.
    assert_eq!(
        run(only(&["price"]).to_rows::<serde_json::Value>()).unwrap()[1],
        serde_json::json!({"price": 10})
    );

    let fails = |error: Error, words: &str| {
        assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    fails(run(f.to_rows::<i64>()).unwrap_err(), "one value is wanted of 5 columns");
    fails(run(f.to_rows::<(String, f64)>()).unwrap_err(), "a tuple of 2 is wanted of 5 columns");
    fails(run(only(&["cut"]).to_rows::<i64>()).unwrap_err(), "i64");
    fails(run(only(&["carat"]).to_rows::<f64>()).unwrap_err(), "null");
}

fn sizes(f: &DataFrame) -> Vec<usize> {
    run(session().gather(f.partitions().unwrap())).unwrap().iter().map(Partition::num_rows).collect()
}

fn numbers(f: &DataFrame, name: &str) -> Vec<Option<i64>> {
    let batches = run(f.collect()).unwrap();
    batches
        .iter()
        .flat_map(|b| b.column_by_name(name).unwrap().as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
        .collect()
}

fn dealt(values: &[Option<i64>], parts: usize) -> DataFrame {
    let all = batch(vec![("x", ints(values))]);
    let share = values.len().div_ceil(parts).max(1);
    partitioned(
        (0..parts)
            .map(|p| {
                let start = (p * share).min(values.len());
                vec![all.slice(start, share.min(values.len() - start))]
            })
            .collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn repartitions(
        values in prop::collection::vec(prop::option::of(-9..9_i64), 0..60),
        parts in prop::sample::select(&[1_usize, 2, 7][..]),
        count in 1..9_usize,
    ) {
        let f = dealt(&values, parts);
        let counted = run(f.repartition(Partitions::Count(count))).unwrap();
        let found = sizes(&counted);
        prop_assert_eq!(found.len(), count);
        prop_assert!(found.iter().max().unwrap() - found.iter().min().unwrap() <= 1, "{:?}", found);
        prop_assert_eq!(numbers(&counted, "x"), values.clone());
        let limited = run(f.repartition(Partitions::Rows(count))).unwrap();
        prop_assert!(sizes(&limited).iter().all(|rows| *rows <= count));
        prop_assert_eq!(numbers(&limited, "x"), values.clone());
        // equal values together, every one in one partition only
        let keyed = run(f.repartition(Partitions::Key(vec!["x".into()], count))).unwrap();
        let sorted = run(f.repartition(Partitions::Sorted(vec!["x".into()], count))).unwrap();
        let mut expect = values.clone();
        expect.sort_by_key(|x| (x.is_none(), *x));
        prop_assert_eq!(numbers(&sorted, "x"), expect.clone());
        for f in [&keyed, &sorted] {
            let mut seen: Vec<Option<i64>> = Vec::new();
            for part in run(session().gather(f.partitions().unwrap())).unwrap() {
                let mut own: Vec<Option<i64>> = part
                    .batches()
                    .unwrap()
                    .iter()
                    .flat_map(|b| b.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
                    .collect();
                own.sort();
                own.dedup();
                seen.extend(own);
            }
            let all = seen.len();
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), all);
        }
        let divisions: Vec<_> = run(sorted.divisions("x")).unwrap().into_iter().flatten().collect();
        let as_number = |t: &String| t.parse::<i64>().unwrap();
        prop_assert!(divisions.windows(2).all(|w| as_number(&w[0].1) < as_number(&w[1].0)), "{:?}", divisions);
        // sums with two neighbours on each side, wherever the partitions are cut
        let near = run(counted.map_overlap(2, 2, |overlap: &Overlap| {
            let x = overlap.rows.column(0).as_primitive::<Int64Type>();
            let at = |i: usize| if i < x.len() && x.is_valid(i) { x.value(i) } else { 0 };
            let sums = (0..x.len()).map(|i| Some((i.saturating_sub(2)..i + 3).map(at).sum::<i64>()));
            let sums = batch(vec![("x", ints(&sums.collect::<Vec<_>>()))]);
            Ok::<_, Error>(overlap.trim(&sums))
        })).unwrap();
        let expect: Vec<Option<i64>> = (0..values.len())
            .map(|i| Some(values[i.saturating_sub(2)..values.len().min(i + 3)].iter().flatten().sum()))
            .collect();
        prop_assert_eq!(numbers(&near, "x"), expect);
    }
}

#[test]
fn partitions() {
    let f = session().frame_from_range("x", 0..40_000).unwrap();
    let eight = run(f.repartition(Partitions::Size("40000".into()))).unwrap();
    assert_eq!(run(eight.partition_count()).unwrap(), 8);
    assert_eq!(sizes(&eight), [5000; 8]);
    assert_eq!(run(eight.divisions("x")).unwrap()[1], Some(("5000".to_owned(), "9999".to_owned())));
    let task = |part| {
        Call::new(TaskSpec::new("first"), (Arg::Ref(part),), |(part,): (Input<Partition>,)| {
            let batches: Vec<RecordBatch> = part.batches()?.iter().take(1).map(|b| b.slice(0, 1)).collect();
            Partition::from_batches(part.schema().clone(), batches)
        })
    };
    let firsts = run(eight.map_calls(task)).unwrap();
    assert_eq!(numbers(&firsts, "x"), (0..8).map(|i| Some(i * 5000)).collect::<Vec<_>>());
    let dir = tempfile::tempdir().unwrap();
    let safe = run(eight.checkpoint(dir.path().join("safe"))).unwrap();
    assert_eq!(run(safe.count()).unwrap(), 40_000);
    let one = run(session().frame_from_refs([eight.partitions().unwrap().remove(2)])).unwrap();
    assert_eq!(numbers(&one, "x").len(), 5000);
    for wrong in [Partitions::Count(0), Partitions::Rows(0), Partitions::Size("none".into())] {
        assert_eq!(run(f.repartition(wrong)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let unknown = run(f.repartition(Partitions::Key(vec!["y".into()], 2))).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::UnknownColumn);
    let failing = run(eight.map_overlap(1, 1, |_| Err::<RecordBatch, _>("not today"))).unwrap_err();
    assert_eq!(failing.kind(), ErrorKind::User);
}

#[test]
fn whole_frames() {
    let f = frame!(session(), {
        "a" => [Some(1.26), None, Some(-3.5)],
        "b" => [1_i64, 2, 3],
        "s" => ["x", "y", "z"],
    })
    .unwrap();
    check(f.round(1), "a|b|s\n1.3|1|x\n-|2|y\n-3.5|3|z");
    check(f.abs(), "a|b|s\n1.26|1|x\n-|2|y\n3.5|3|z");
    check(f.clip(lit(0), lit(2)), "a|b|s\n1.26|1|x\n-|2|y\n0.0|2|z");
    check(f.is_null(), "a|b|s\nfalse|false|false\ntrue|false|false\nfalse|false|false");
    check(f.is_not_null(), "a|b|s\ntrue|true|true\nfalse|true|true\ntrue|true|true");
    check(f.count_values(), "a|b|s\n2|3|3");
    check(f.median(), "a|b\n-1.12|2.0");
    check(f.select(["b"]).unwrap().std(), "b\n1.0");
    check(f.select(["b"]).unwrap().var(), "b\n1.0");
    check(f.dropna(), "a|b|s\n1.26|1|x\n-3.5|3|z");
    check(f.row_of_max("a"), "a|b|s\n1.26|1|x");
    check(f.row_of_min("a"), "a|b|s\n-3.5|3|z");
    check(f.query("b > 1 AND s <> 'y'"), "a|b|s\n-3.5|3|z");
    check(f.select_dtypes(|t| t.is_integer()), "b\n1\n2\n3");
    check(f.astype([("b", DataType::Float64)]).unwrap().select(["b"]), "b\n1.0\n2.0\n3.0");
    assert_eq!(f.dtypes()[2], ("s".to_owned(), DataType::Utf8));
    assert_eq!(run(f.shape()).unwrap(), (3, 3));
    assert!(run(f.info()).unwrap().starts_with("3 rows x 3 columns"));
    assert_eq!(f.query("c > 1").unwrap_err().kind(), ErrorKind::UnknownColumn);
    assert_eq!(f.query("b >").unwrap_err().kind(), ErrorKind::Syntax);
    assert_eq!(f.query("b + 1").unwrap_err().kind(), ErrorKind::TypeMismatch);
    assert_eq!(f.select_dtypes(DataType::is_nested).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn plans_are_drawn() {
    let g = gems().filter(col("price").gt(lit(1))).unwrap().group_by(["cut"]).mean(["price"]).unwrap();
    let graph = run(g.graph()).unwrap();
    assert!(graph.labels().any(|label| label.starts_with("Aggregate")), "{}", graph.to_mermaid());
    assert!(graph.to_svg().unwrap().contains("<svg"));
    assert!(run(g.explain()).unwrap().contains("physical plan"));
}

/// A table that counts how often it is scanned, and the columns asked for.
#[derive(Debug)]
struct Counted {
    inner: MemTable,
    scans: Arc<AtomicUsize>,
    widest: Arc<AtomicUsize>,
}

#[async_trait]
impl TableProvider for Counted {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        self.widest.fetch_max(projection.map_or(3, Vec::len), Ordering::SeqCst);
        self.inner.scan(state, projection, filters, limit).await
    }
}

#[test]
fn what_frames_share_runs_once() {
    let (scans, widest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let all = batch(vec![
        ("k", ints(&[Some(1), Some(2), Some(1)])),
        ("x", ints(&[Some(10), Some(20), Some(30)])),
        ("unused", texts(&[None, None, None])),
    ]);
    let inner = MemTable::try_new(all.schema(), vec![vec![all.slice(0, 2)], vec![all.slice(2, 1)]]).unwrap();
    let table = Counted { inner, scans: Arc::clone(&scans), widest: Arc::clone(&widest) };
    let scan = session().context().read_table(Arc::new(table)).unwrap();
    let base = DataFrame::new(session().clone(), scan);
    let a = base.group_by(["k"]).sum(["x"]).unwrap().sort(["k"]).unwrap();
    let b = base.agg([col("x").max()]).unwrap();
    let c = base.filter(col("k").eq(lit(1))).unwrap().select(["x"]).unwrap().sort(["x"]).unwrap();
    let d = a.with_column("double", col("x") * lit(2)).unwrap();
    let alone: Vec<Vec<String>> = [&a, &b, &c, &d].map(|f| lines(f).unwrap()).into();
    assert_eq!(scans.swap(0, Ordering::SeqCst), 4);
    widest.store(0, Ordering::SeqCst);
    let together = run(share_all([&a, &b, &c, &d])).unwrap();
    assert_eq!(together.iter().map(|f| lines(f).unwrap()).collect::<Vec<_>>(), alone);
    assert_eq!(scans.swap(0, Ordering::SeqCst), 1);
    assert_eq!(widest.load(Ordering::SeqCst), 2);
    let batches = run(compute_all([&a, &b, &c])).unwrap();
    assert_eq!(
        batches.iter().map(|b| b.iter().map(RecordBatch::num_rows).sum::<usize>()).collect::<Vec<_>>(),
        [2, 1, 2]
    );
    assert_eq!(scans.swap(0, Ordering::SeqCst), 1);
    // a frame that uses its own base twice, and a bare count
    let twice = base.join(&base.group_by(["k"]).size().unwrap(), ["k"], JoinKind::Inner).unwrap();
    let counted = base.agg([lit(1).count().alias("n")]).unwrap();
    let alone = [&twice, &counted].map(|f| {
        let mut l = lines(f).unwrap();
        l.sort();
        l
    });
    scans.store(0, Ordering::SeqCst);
    let shared = run(share_all([&twice, &counted])).unwrap();
    let found: Vec<_> = shared
        .iter()
        .map(|f| {
            let mut l = lines(f).unwrap();
            l.sort();
            l
        })
        .collect();
    assert_eq!(found, alone);
    assert_eq!(scans.load(Ordering::SeqCst), 1);
    // nothing in common: nothing changes
    let lonely = run(share_all([&b])).unwrap();
    assert_eq!(lines(&lonely[0]).unwrap(), lines(&b).unwrap());
    assert!(run(compute_all(std::iter::empty())).unwrap().is_empty());
}

#[test]
fn rows_know_their_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), "x\n1\n2\n").unwrap();
    std::fs::write(dir.path().join("b.csv"), "x\n3\n").unwrap();
    let all = run(session().read_csv(dir.path().join("*.csv"))).unwrap();
    let named = all.with_column("file", source_file()).unwrap();
    let short = named.with_column("file", col("file").str().extract("[^/]*$", 0)).unwrap();
    check_rows(Ok(short), "x|file\n1|a.csv\n2|a.csv\n3|b.csv");
}

/// Run with `--nocapture` to see what building costs.
#[test]
fn long_chains_and_wide_frames() {
    let started = std::time::Instant::now();
    let mut f = gems();
    for i in 0..50 {
        f = f.with_column("price", col("price") + lit(i)).unwrap();
        f = f.filter(col("id").gt(lit(-i))).unwrap();
    }
    println!("a chain of 100 verbs was built in {:?}", started.elapsed());
    check(f.agg([col("price").sum()]), &format!("price_sum\n{}", 2181 + 5 * (0..50).sum::<i64>()));

    let names: Vec<String> = (0..3000).map(|i| format!("c{i}")).collect();
    let wide = batch(names.iter().map(|name| (name.as_str(), ints(&[Some(1), None]))).collect());
    let wide = partitioned(vec![vec![wide]]);
    let started = std::time::Instant::now();
    let built = wide.fillna(lit(0)).unwrap().abs().unwrap().rename([("c7", "seven")]).unwrap();
    println!("three verbs over 3,000 columns were built in {:?}", started.elapsed());
    let started = std::time::Instant::now();
    check(built.agg([col("seven").sum(), col("c2999").sum()]), "seven_sum|c2999_sum\n1|1");
    println!("an aggregation of two of them took {:?}", started.elapsed());
}
