//! Groups by a number in whose order files are.

use crate::optimize::{answer, plan_of};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use trefoil_plan::Session;

/// Key, and two values.
type Row = (Option<i64>, i64, Option<i64>);

const QUERIES: [&str; 10] = [
    "SELECT k, sum(w) AS s, count(*) AS n, min(v) AS m FROM t GROUP BY k",
    "SELECT k, v, count(DISTINCT w) AS n FROM t GROUP BY k, v",
    "SELECT v, k, max(w) AS m FROM t WHERE w > 2 GROUP BY v, k HAVING max(w) < 6",
    "SELECT count(*) AS n, sum(s) AS s FROM (SELECT k, sum(v) AS s, avg(v) AS a FROM t GROUP BY k) g WHERE a > 2",
    "SELECT x.k, x.s, t.w FROM (SELECT k, sum(w) AS s FROM t GROUP BY k) x JOIN t ON x.k = t.k",
    "SELECT k, s, rank() OVER (PARTITION BY k ORDER BY s) AS r FROM (SELECT k, v, sum(w) AS s FROM t GROUP BY k, v) g",
    "SELECT n, count(*) AS c FROM (SELECT k, count(*) AS n FROM t GROUP BY k) g GROUP BY n",
    "SELECT k, sum(w) FILTER (WHERE v > 3) AS s FROM t GROUP BY k",
    "SELECT DISTINCT k FROM t",
    "WITH g AS (SELECT k, v, sum(w) AS s FROM t GROUP BY k, v) SELECT k, v, s FROM g UNION ALL SELECT k, v, rank() OVER (PARTITION BY k, v ORDER BY s) FROM g",
];

/// A file each.
fn write(dir: &Path, files: &[Vec<Row>]) {
    let session = Session::builder().workers(1).memory("64MiB").build().unwrap();
    for (number, rows) in files.iter().enumerate() {
        let k: Int64Array = rows.iter().map(|row| row.0).collect();
        let v: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
        let w: Int64Array = rows.iter().map(|row| row.2).collect();
        let columns =
            [("k", Arc::new(k) as ArrayRef, true), ("v", Arc::new(v), true), ("w", Arc::new(w), true)];
        let frame = session
            .frame_from_batches(vec![RecordBatch::try_from_iter_with_nullable(columns).unwrap()])
            .unwrap();
        session.block_on(frame.write_parquet(dir.join(format!("{number:03}.parquet")))).unwrap();
    }
}

fn open(dir: &Path, workers: usize, memory: &str, settings: &[(&str, &str)]) -> Session {
    let session = Session::builder().workers(workers).memory(memory).build().unwrap();
    for (key, value) in settings {
        session.context().state_ref().write().config_mut().options_mut().set(key, value).unwrap();
    }
    let frame = session.block_on(session.read_parquet(dir)).unwrap();
    session.register("t", &frame).unwrap();
    session
}

const OFF: (&str, &str) = ("trefoil.clustered_groups", "false");
const ALWAYS: (&str, &str) = ("trefoil.clustered_least", "0");

fn check(files: &[Vec<Row>]) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    let plain = open(dir.path(), 2, "64MiB", &[OFF]);
    let ours = [
        open(dir.path(), 2, "64MiB", &[ALWAYS]),
        open(dir.path(), 3, "64MiB", &[ALWAYS, ("datafusion.execution.batch_size", "2")]),
        open(
            dir.path(),
            2,
            "64MiB",
            &[ALWAYS, ("trefoil.packed_groups", "false"), ("trefoil.piece_rows", "1")],
        ),
    ];
    for query in QUERIES {
        let expect = answer(&plain, query);
        for (number, session) in ours.iter().enumerate() {
            assert_eq!(answer(session, query), expect, "{query} in session {number} over {files:?}");
        }
    }
    for session in ours {
        assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
    }
}

/// Files of rows whose keys lie within a short range, so that some of the ranges meet.
fn files() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let file = (0..40_i64, 1..6_i64).prop_flat_map(|(from, width)| {
        let key = prop_oneof![1 => Just(None), 40 => (from..from + width).prop_map(Some)];
        proptest::collection::vec((key, 0..7_i64, proptest::option::of(0..7_i64)), 1..12)
    });
    proptest::collection::vec(file, 2..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn answers_do_not_depend_on_clusters(files in files()) {
        check(&files);
    }
}

/// Files of so many keys, each of which comes `times`.
fn apart(files: i64, keys: i64, times: i64) -> Vec<Vec<Row>> {
    let file = |file: i64| {
        (0..keys * times).map(move |row| (Some(file * keys + row / times), row % 7, Some(row % 5)))
    };
    (0..files).map(|number| file(number).collect()).collect()
}

#[test]
fn files_in_the_order_of_a_key_are_grouped_one_after_another() {
    let mut files = apart(12, 100, 3);
    let found = |files: &[Vec<Row>], query: &str| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        write(dir, files);
        let session = open(dir, 2, "64MiB", &[("trefoil.clustered_least", "300")]);
        let plan = plan_of(&session, query);
        assert_eq!(answer(&session, query), answer(&open(dir, 2, "64MiB", &[OFF]), query), "{query}");
        plan.split_once("clusters=").map(|(_, rest)| rest.lines().next().unwrap().to_owned())
    };
    let sums_of = |rows: &str| format!("SELECT k, sum(w) AS s FROM t {rows} GROUP BY k");
    let sums = &sums_of("");
    assert_eq!(found(&files, sums).as_deref(), Some("12 of k"));
    let of_filter = "SELECT v, k + 0 AS k, s FROM (SELECT k, v, sum(w) AS s FROM t WHERE w < 4 GROUP BY k, v) g WHERE s > 1";
    assert_eq!(found(&files, of_filter).as_deref(), Some("12 of k"));
    // Files that a filter leaves out are not counted, and what is left has to be enough.
    assert_eq!(found(&files, &sums_of("WHERE k >= 400")).as_deref(), Some("8 of k"));
    assert_eq!(found(&files, &sums_of("WHERE k >= 800")), None);
    // Few groups; and somebody above who wants them by worker.
    assert_eq!(found(&files, "SELECT v, sum(w) AS s FROM t GROUP BY v"), None);
    let windows = "SELECT k, sum(s) OVER (PARTITION BY k) AS s FROM";
    assert_eq!(found(&files, &format!("{windows} ({sums}) g")), None);
    // Of two places that read the same groups one does.
    let both = format!("WITH g AS ({sums}) SELECT k, s FROM g UNION ALL {windows} g");
    assert_eq!(found(&files, &both), None);
    // Files that share a key are one cluster; a null may be anywhere.
    files[3][0].0 = Some(250);
    assert_eq!(found(&files, sums).as_deref(), Some("11 of k"));
    files[5][0].0 = None;
    assert_eq!(found(&files, sums), None);
}

#[test]
fn groups_that_do_not_fit_together_need_no_memory_one_after_another() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &apart(40, 20_000, 1));
    let query =
        "SELECT count(*) AS n, sum(s) AS s FROM (SELECT k, max(v) AS s, min(w) AS m FROM t GROUP BY k) g";
    let session = open(dir.path(), 2, "16MiB", &[]);
    assert!(plan_of(&session, query).contains("clusters=40 of k"), "{}", plan_of(&session, query));
    assert_eq!(answer(&session, query), answer(&open(dir.path(), 2, "512MiB", &[OFF]), query));
    assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
    // Clusters that do not fit themselves are spilled.
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &apart(8, 100_000, 1));
    let session = open(dir.path(), 2, "12MiB", &[]);
    assert!(plan_of(&session, query).contains("clusters=8 of k"));
    assert_eq!(answer(&session, query), answer(&open(dir.path(), 2, "512MiB", &[OFF]), query));
    assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
}
