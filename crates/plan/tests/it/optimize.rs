//! Our rules for the physical plan change how a query runs, never what it answers.

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use trefoil_plan::{DataFrame, Session};

/// Every shape that the graph of joins takes apart, and some that it must leave alone.
const QUERIES: [&str; 83] = [
    "SELECT * FROM a, b WHERE a.k = b.k",
    "SELECT * FROM a, b, c WHERE a.k = b.k AND b.v = c.k",
    "SELECT c.w, a.v FROM a, b, c WHERE a.k = b.k AND b.k = c.k AND a.v > 2",
    "SELECT * FROM a, b, c WHERE a.k = b.k AND b.v = c.v AND c.k = a.k",
    "SELECT a.k, b.v, c.w, d.w FROM a, b, c, d WHERE a.k = b.k AND b.v = c.v AND c.w = d.k AND d.v < 4",
    "SELECT * FROM a, b, c, d WHERE a.k = b.k AND a.v = c.k AND a.w = d.k",
    "SELECT x.k, y.v, z.w FROM a x, a y, a z WHERE x.k = y.v AND y.k = z.v",
    "SELECT * FROM a, b, c WHERE a.k = b.k AND b.v = c.v AND (a.w < c.w OR b.w = 1)",
    "SELECT * FROM a, b, c WHERE a.k = b.k AND b.v = c.v AND a.w + b.w = c.w",
    "SELECT * FROM a, b, c WHERE a.k + 1 = b.k AND b.v = c.v + a.w",
    "SELECT * FROM a JOIN b ON a.k = b.k AND a.v < b.v JOIN c ON b.w = c.w",
    "SELECT * FROM a WHERE k IN (SELECT v FROM b WHERE w < 3)",
    "SELECT * FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.v <> a.v)",
    "SELECT * FROM a, b WHERE a.k = b.k AND EXISTS (SELECT 1 FROM c WHERE c.k = a.v AND c.v <> b.v)",
    "SELECT * FROM a, b WHERE a.k = b.k AND a.v IN (SELECT k FROM c WHERE w = 2) AND b.v NOT IN (SELECT k FROM d WHERE k IS NOT NULL)",
    "SELECT a.k, sum(b.v) AS s, count(*) AS n FROM a, b, c WHERE a.k = b.k AND b.v = c.v GROUP BY a.k",
    "SELECT * FROM a, (SELECT k, max(v) AS m FROM b GROUP BY k) g, c WHERE a.k = g.k AND g.m = c.v",
    "SELECT * FROM a, b WHERE a.k = b.k AND b.v > (SELECT avg(v) FROM b x WHERE x.k = b.k)",
    "SELECT * FROM a LEFT JOIN b ON a.k = b.k, c WHERE a.v = c.v",
    "SELECT * FROM (SELECT a.k AS i, a.v + b.v AS s FROM a, b WHERE a.k = b.k) t, c WHERE t.s = c.k",
    "SELECT * FROM a, b, c WHERE a.k = b.k AND c.v = 1",
    "SELECT a.v FROM a, b, c WHERE a.k = b.k AND b.k = c.k UNION ALL SELECT d.v FROM d, a WHERE d.k = a.k",
    "SELECT * FROM a, b, c, d WHERE a.k = b.k AND b.k = c.k AND c.k = d.k AND a.v = d.v AND b.w = c.w",
    "WITH g AS (SELECT k, sum(v) AS s FROM b GROUP BY k) SELECT x.k, x.s, y.k AS l FROM g x, g y WHERE x.s = y.s",
    "WITH g AS (SELECT k, sum(v) AS s FROM b GROUP BY k) SELECT * FROM g WHERE s = (SELECT max(s) FROM g)",
    "WITH g AS (SELECT k, count(*) AS n FROM b WHERE v > 1 GROUP BY k) SELECT * FROM g UNION ALL SELECT n, k FROM g",
    "SELECT k, count(DISTINCT v) AS n FROM b GROUP BY k UNION ALL SELECT k, count(v) AS n FROM b GROUP BY k",
    "WITH g AS (SELECT b.v AS i, max(a.w) AS m FROM a, b WHERE a.k = b.k GROUP BY b.v) SELECT x.m, y.i FROM g x, g y, c WHERE x.i = c.k AND y.i = c.v",
    "SELECT a.k, a.k AS again, b.k AS more FROM a, b, c WHERE a.k = b.k AND b.v = c.v AND a.v = 3",
    "SELECT * FROM b LEFT JOIN a ON a.k = b.k AND a.v > b.v",
    "SELECT * FROM a LEFT JOIN b ON a.k = b.k LEFT JOIN d ON d.v = b.v WHERE a.w > 1",
    "SELECT * FROM (SELECT k, max(v) AS m FROM b GROUP BY k) g RIGHT JOIN c ON g.k = c.k",
    "SELECT b.k, x.w FROM b FULL JOIN (SELECT a.v, c.w FROM a, c WHERE a.k = c.k) x ON x.v = b.v",
    "SELECT * FROM (SELECT k, v FROM b GROUP BY k, v) g WHERE k NOT IN (SELECT k FROM d WHERE k IS NOT NULL)",
    "SELECT k, v FROM b EXCEPT SELECT k, v FROM d",
    "SELECT k FROM b INTERSECT SELECT v FROM a",
    "SELECT k, v, sum(w) AS s, count(*) AS n, avg(w) AS m, grouping(k) AS g FROM b GROUP BY ROLLUP (k, v)",
    "SELECT k, v, w, min(v) AS m, count(w) FILTER (WHERE v > 2) AS n FROM b GROUP BY CUBE (k, v, w)",
    "SELECT k + 1 AS x, v, count(DISTINCT w) AS n, sum(w) AS s FROM b GROUP BY GROUPING SETS ((k + 1, v), (v), ())",
    "SELECT k, v, sum(w) AS s FROM b GROUP BY GROUPING SETS ((k), (v))",
    "SELECT k, v, max(w) AS s FROM b GROUP BY GROUPING SETS ((k, v), (k), (k), (v)) HAVING max(w) > 1",
    "SELECT k, v FROM b WHERE w > 99 GROUP BY ROLLUP (k, v)",
    "SELECT CAST(k AS VARCHAR) AS t, sum(w) AS s FROM b GROUP BY CAST(k AS VARCHAR)",
    "SELECT 'a longer text ' || CAST(k AS VARCHAR) AS t, CAST(v AS VARCHAR) AS u, count(*) AS n FROM b GROUP BY 1, 2",
    "SELECT repeat('x', k) AS t, CAST(v AS INT) AS u, CAST(w AS SMALLINT) AS x, sum(v) AS s FROM b GROUP BY 1, 2, 3",
    "SELECT t, u, max(w) AS m FROM (SELECT CAST(k - 2147483648 AS INT) AS t, CAST(v AS INT) AS u, w FROM b) x GROUP BY ROLLUP (t, u)",
    "SELECT a.v, sum(b.w) AS s, count(*) AS n, avg(b.v) AS m FROM a, b WHERE a.k = b.k GROUP BY a.v",
    "SELECT a.v, b.v + 1 AS x, a.w + b.w AS y, min(b.w) AS m, count(b.v) AS n FROM a, b WHERE a.k = b.k GROUP BY 1, 2, 3",
    "SELECT CAST(c.v AS VARCHAR) AS t, sum(b.w) AS s, round(stddev(b.w), 6) AS d FROM a, b, c WHERE a.k = b.k AND b.v = c.k GROUP BY 1",
    "SELECT a.v, b.v, sum(b.w) FILTER (WHERE b.v > 2) AS s, count(*) FILTER (WHERE b.w IS NULL) AS n FROM a, b WHERE a.k = b.k GROUP BY ROLLUP (a.v, b.v)",
    "SELECT a.v, sum(CASE WHEN a.w > 2 THEN b.w END) AS s, sum(CASE WHEN a.w > 2 THEN b.w ELSE 0 END) AS z, min(CASE WHEN a.w = 1 THEN b.v ELSE 4 END) AS m, count(CASE WHEN a.w < 4 THEN b.w END) AS n, count(CASE a.w WHEN 2 THEN 1 END) AS e FROM a, b WHERE a.k = b.k GROUP BY a.v",
    "SELECT a.v, b.v, sum(b.w) FILTER (WHERE a.w > 2) AS s, sum(b.w) AS t, count(*) FILTER (WHERE a.w IS NULL) AS n, max(b.w) FILTER (WHERE a.v = 1 OR a.w = 3) AS m FROM a, b WHERE a.k = b.k GROUP BY ROLLUP (a.v, b.v)",
    "SELECT c.w, sum(CASE WHEN c.v > 2 THEN b.w END) AS s, sum(CASE WHEN a.v > 2 THEN b.w END) AS t, max(CASE WHEN a.w < 3 AND a.v > 1 THEN 5 END) AS m FROM a, b, c WHERE a.k = b.k AND b.v = c.k GROUP BY c.w",
    "SELECT a.v, count(DISTINCT b.w) AS n, sum(a.w + b.w) AS s FROM a, b WHERE a.k = b.k GROUP BY a.v",
    "SELECT a.v, count(*) AS n FROM a, b WHERE a.k + 1 = b.k + b.v AND a.k < 5 GROUP BY a.v",
    "SELECT d.w, max(x.s) AS m FROM d, (SELECT b.k, a.v, sum(b.w) AS s FROM a, b WHERE a.k = b.k GROUP BY b.k, a.v) x WHERE x.v = d.k GROUP BY d.w",
    "SELECT k, sum(b.w) AS s FROM a JOIN b USING (k) GROUP BY k",
    "SELECT a.v, first_value(b.w ORDER BY b.w) AS f, sum(b.w) AS s FROM a, b WHERE a.k = b.k AND a.v <> b.v GROUP BY a.v",
    "WITH g AS (SELECT a.v AS y, b.k AS i, sum(b.w) AS s FROM a, b WHERE a.k = b.k GROUP BY a.v, b.k) SELECT x.i, x.s, z.s AS t FROM g x, g z WHERE x.i = z.i AND x.y = 2 AND z.y = 3",
    "WITH g AS (SELECT k, v, count(*) AS n FROM b GROUP BY k, v) SELECT * FROM g WHERE v = 1 AND k > 2 UNION ALL SELECT * FROM g WHERE k > 2 AND v IS NULL UNION ALL SELECT * FROM g WHERE v = 3",
    "WITH g AS (SELECT a.v, count(b.w) AS n FROM a LEFT JOIN b ON a.k = b.k GROUP BY a.v) SELECT * FROM g WHERE v > 3 UNION ALL SELECT n, v FROM g WHERE v <= 3",
    "WITH g AS (SELECT v + 1 AS y, w, max(k) AS m FROM b GROUP BY v + 1, w) SELECT x.w, x.m, z.m AS n FROM g x, g z, g u WHERE x.w = z.w AND u.w = x.w AND x.y = 2 AND z.y = 3 AND u.y = 2",
    "WITH g AS (SELECT v, w, sum(k) AS m FROM b WHERE k IN (SELECT k FROM a) GROUP BY v, w) SELECT x.w, x.m, z.m AS n FROM g x JOIN g z ON x.w = z.w WHERE x.v = 2 AND z.v = 4 AND x.m > 1",
    "SELECT a.w, b.k FROM a, b, (SELECT k, min(v) AS m FROM b GROUP BY k) g WHERE a.k = b.k AND g.k = b.k AND g.m = b.v",
    "SELECT * FROM a WHERE EXISTS (SELECT 1 FROM (SELECT k, max(v) AS m FROM b GROUP BY k) g WHERE g.k = a.k AND g.m = a.v)",
    "SELECT * FROM a LEFT JOIN (SELECT k + 1 AS i, w, count(*) AS n FROM b GROUP BY k + 1, w) g ON a.k = g.i AND a.v = g.n AND a.w = g.w",
    "SELECT * FROM d WHERE NOT EXISTS (SELECT 1 FROM (SELECT k, max(v) AS m FROM b GROUP BY k) g WHERE g.k = d.k AND g.m = d.v)",
    "SELECT a.k, b.v FROM a, b WHERE a.k = b.k AND b.v = (SELECT min(x.v) FROM b x, c WHERE x.w = c.k AND x.k = a.k)",
    "SELECT b.k, b.w FROM a, b WHERE a.k = b.k AND b.v < (SELECT avg(x.v) FROM b x WHERE x.k = a.k)",
    "SELECT a.w, b.w FROM a, b, c WHERE a.k = b.k AND b.w = c.k AND b.v = (SELECT min(x.v) FROM b x, c y WHERE x.w = y.k AND x.k = a.k)",
    "SELECT a.w, b.w FROM a, b, c WHERE a.k = b.k AND b.w = c.k AND c.v > 2 AND b.v = (SELECT max(x.v) FROM b x, c y WHERE x.w = y.k AND y.v > 2 AND x.k = b.k)",
    "SELECT b.k, b.v FROM b WHERE b.v > (SELECT sum(x.w) FROM b x WHERE x.k = b.k)",
    "SELECT b.k, b.v FROM a, b WHERE a.k = b.k AND b.v >= (SELECT count(*) FROM b x WHERE x.k = b.k)",
    "SELECT b.v, g.m FROM a, b, (SELECT k, avg(v) AS m, min(w) AS l FROM b GROUP BY k HAVING max(v) > 2) g WHERE a.k = b.k AND b.k = g.k AND b.v > g.m",
    "SELECT b.v, g.m, d.v AS x FROM a, b, d, (SELECT k, w, max(v) AS m FROM b WHERE v < 5 GROUP BY k, w) g WHERE a.k = b.k AND b.k = g.k AND b.w = g.w AND b.v < 5 AND d.k = g.m",
    "SELECT a.k, b.w FROM a, b WHERE a.k = b.k AND a.w = b.w AND b.v <= (SELECT avg(x.v) FROM b x WHERE x.k = a.k)",
    "SELECT x.k, y.w FROM b x, b y, a WHERE x.k = y.v AND y.k = a.k AND y.w = (SELECT min(q.w) FROM b p, b q WHERE p.k = q.v AND q.k = a.k)",
    "SELECT b.k FROM a, b WHERE a.k = b.k AND NOT EXISTS (SELECT 1 FROM (SELECT k, max(v) AS m FROM b GROUP BY k) g WHERE g.k = a.k AND g.m = b.v)",
    "SELECT a.k, sum(b.v) AS s FROM a, b WHERE a.k = b.k GROUP BY a.k HAVING sum(b.v) > (SELECT avg(b.w) FROM a, b WHERE a.k = b.k)",
    "SELECT a.v, count(*) AS n FROM a, b, c WHERE a.k = b.k AND b.v = c.k AND c.v < 4 GROUP BY a.v UNION ALL SELECT c.w, sum(b.w) FROM c, b, a WHERE a.k = b.k AND b.v = c.k AND c.v < 4 GROUP BY c.w",
    "SELECT x.k, count(*) AS n FROM b x, b y WHERE x.k = y.v GROUP BY x.k UNION ALL SELECT y.w, sum(x.v) FROM b x, b y WHERE y.k = x.v GROUP BY y.w",
    "SELECT a.v, count(*) AS n FROM a, b WHERE a.k = b.k AND a.v < b.v GROUP BY a.v UNION ALL SELECT a.w, max(b.w) FROM a, b WHERE a.k = b.k AND a.v < b.v GROUP BY a.w UNION ALL SELECT b.v, min(a.w) FROM a, b WHERE a.k = b.k GROUP BY b.v",
    "SELECT k, sum(v) AS s FROM (SELECT k, v FROM a UNION ALL SELECT v, w FROM b) u GROUP BY k HAVING sum(v) >= (SELECT max(s) FROM (SELECT k, sum(v) AS s FROM (SELECT k, v FROM a UNION ALL SELECT v, w FROM b) u GROUP BY k) g) - 5",
];

type Row = (Option<i64>, Option<i64>, Option<i64>);

fn table(rows: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    let value = || prop_oneof![1 => Just(None), 8 => (0..7_i64).prop_map(Some)];
    proptest::collection::vec((value(), value(), value()), rows)
}

/// Tables of very different sizes, as files, so that they have statistics.
fn tables() -> impl Strategy<Value = [Vec<Row>; 4]> {
    (table(0..4), table(0..60), table(0..12), table(0..30)).prop_map(|(a, b, c, d)| [a, b, c, d])
}

fn batch(rows: &[Row]) -> RecordBatch {
    let k: Int64Array = rows.iter().map(|row| row.0).collect();
    let v: Int64Array = rows.iter().map(|row| row.1).collect();
    let w: Int64Array = rows.iter().map(|row| row.2).collect();
    let columns = [("k", Arc::new(k) as ArrayRef, true), ("v", Arc::new(v), true), ("w", Arc::new(w), true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn write(dir: &Path, tables: &[Vec<Row>; 4]) {
    let session = Session::builder().workers(1).memory("64MiB").build().unwrap();
    for (name, rows) in ["a", "b", "c", "d"].iter().zip(tables) {
        let frame = session.frame_from_batches(vec![batch(rows)]).unwrap();
        session.block_on(frame.write_parquet(dir.join(format!("{name}.parquet")))).unwrap();
    }
}

fn open(dir: &Path, workers: usize, memory: &str, settings: &[(&str, &str)]) -> Session {
    let session = Session::builder().workers(workers).memory(memory).build().unwrap();
    for (key, value) in settings {
        session.context().state_ref().write().config_mut().options_mut().set(key, value).unwrap();
    }
    for name in ["a", "b", "c", "d"] {
        let frame = session.block_on(session.read_parquet(dir.join(format!("{name}.parquet")))).unwrap();
        session.register(name, &frame).unwrap();
    }
    session
}

pub(crate) fn answer(session: &Session, query: &str) -> Vec<String> {
    let context = session.context().clone();
    let rows = session.block_on(async {
        let inner = context.sql(query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        DataFrame::new(session.clone(), inner).collect().await
    });
    let mut lines = Vec::new();
    for batch in rows.unwrap_or_else(|error| panic!("{query}: {error}")) {
        let options = FormatOptions::default().with_null("null");
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(
                columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(","),
            );
        }
    }
    lines.sort();
    lines
}

const OFF: [(&str, &str); 15] = [
    ("trefoil.piece_rows", "0"),
    ("trefoil.key_bits", "false"),
    ("trefoil.wanted_groups", "false"),
    ("trefoil.joined_groups", "false"),
    ("trefoil.eager_groups", "false"),
    ("trefoil.filtered_scans", "false"),
    ("trefoil.join_order", "false"),
    ("trefoil.row_filters", "false"),
    ("trefoil.share_plans", "false"),
    ("trefoil.small_decimals", "false"),
    ("trefoil.like_pieces", "false"),
    ("trefoil.packed_groups", "false"),
    ("trefoil.grouping_sets", "false"),
    ("trefoil.parted_groups", "false"),
    ("trefoil.run_sorts", "false"),
];

fn check(tables: &[Vec<Row>; 4]) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), tables);
    let plain = open(dir.path(), 1, "64MiB", &OFF);
    let late = [
        ("trefoil.filtered_scans", "false"),
        ("datafusion.execution.parquet.pushdown_filters", "true"),
        ("datafusion.execution.batch_size", "7"),
    ];
    let ours = [
        open(dir.path(), 1, "64MiB", &[]),
        open(dir.path(), 1, "64MiB", &[("trefoil.eager_rows", "0")]),
        open(dir.path(), 2, "8MiB", &late),
        open(
            dir.path(),
            5,
            "64MiB",
            &[("datafusion.execution.batch_size", "3"), ("trefoil.eager_rows", "0")],
        ),
        open(dir.path(), 2, "64MiB", &[("trefoil.filtered_scans", "false")]),
        open(
            dir.path(),
            3,
            "64MiB",
            &[("trefoil.piece_rows", "2"), ("datafusion.optimizer.repartition_file_min_size", "0")],
        ),
    ];
    for query in QUERIES {
        let expect = answer(&plain, query);
        for (number, session) in ours.iter().enumerate() {
            assert_eq!(answer(session, query), expect, "{query} in session {number} over {tables:?}");
        }
    }
    for session in ours {
        assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
    }
}

proptest! {
    // A step of shrinking is two hundred queries.
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn answers_do_not_depend_on_the_rules(tables in tables()) {
        check(&tables);
    }
}

#[test]
fn tables_without_rows() {
    check(&[vec![], vec![(Some(1), None, Some(2))], vec![], vec![(Some(1), Some(1), Some(1))]]);
}

pub(crate) fn plan_of(session: &Session, query: &str) -> String {
    let context = session.context().clone();
    let query = query.to_owned();
    let plan =
        session.block_on(async { context.sql(&query).await.unwrap().create_physical_plan().await }).unwrap();
    datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string()
}

#[test]
fn the_most_selective_table_is_joined_first_and_filters_the_scans_of_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let rows =
        |count: i64, keys: i64| (0..count).map(|i| (Some(i), Some(i % keys), Some(i))).collect::<Vec<Row>>();
    // `b` has a thousand rows for each of `a`'s; `c` refers to `a`, `d` to nobody.
    write(dir.path(), &[rows(100, 100), rows(20_000, 100), rows(3000, 100), rows(1, 1)]);
    let query = "SELECT b.w, c.w FROM b, c, a WHERE b.v = a.k AND c.v = a.k AND a.w < 2";
    let joins = |plan: &str| {
        plan.lines().filter(|line| line.contains("JoinExec") || line.contains("DataSourceExec")).count()
    };
    let ours = open(dir.path(), 2, "64MiB", &[]);
    let plan = plan_of(&ours, query);
    assert_eq!(joins(&plan), 5, "{plan}");
    // From the top: the table of many rows is looked up last, so it is the last line.
    let last = plan.lines().rfind(|line| line.contains("DataSourceExec")).unwrap();
    assert!(last.contains("b.parquet"), "{plan}");
    assert!(!plan.contains("partitioning=Hash"), "{plan}");
    let plain = open(dir.path(), 2, "64MiB", &OFF);
    assert_ne!(plan_of(&plain, query), plan);
    assert_eq!(answer(&plain, query), answer(&ours, query));
}

#[test]
fn equal_parts_run_once() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64| (0..count).map(|i| (Some(i % 50), Some(i % 7), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[rows(10), rows(1000), rows(10), rows(10)]);
    let session = open(dir.path(), 2, "64MiB", &[]);
    let check = |query: &str, places: usize| {
        let plan = plan_of(&session, query);
        assert_eq!(plan.matches("SharedExec").count(), places, "{query}\n{plan}");
    };
    check(
        "WITH g AS (SELECT k, sum(w) AS s FROM b GROUP BY k) SELECT * FROM g WHERE s = (SELECT max(s) FROM g)",
        2,
    );
    let three = "WITH g AS (SELECT k, sum(w) AS s FROM b WHERE v < 5 GROUP BY k) \
                 SELECT * FROM g x, g y, g z WHERE x.k = y.k AND y.k = z.k";
    check(three, 3);
    // Other filters, other functions, other tables, rows drawn at random.
    check(
        "SELECT k, sum(w) FROM b WHERE v < 5 GROUP BY k UNION ALL SELECT k, sum(w) FROM b WHERE v < 6 GROUP BY k",
        0,
    );
    check("SELECT k, sum(w) FROM b GROUP BY k UNION ALL SELECT k, sum(v) FROM b GROUP BY k", 0);
    check("SELECT k, sum(w) AS s FROM a GROUP BY k UNION ALL SELECT k, sum(w) AS s FROM b GROUP BY k", 0);
    // Groups of which each place wants some: filters on keys of the groups.
    let years =
        "WITH g AS (SELECT a.v AS year, b.k, sum(b.w) AS s FROM a, b WHERE a.k = b.v GROUP BY a.v, b.k)";
    let together = format!("{years} SELECT * FROM g x, g y WHERE x.k = y.k AND x.year = 2 AND y.year = 3");
    check(&together, 2);
    check(&format!("{years} SELECT * FROM g WHERE year = 2 UNION ALL SELECT * FROM g WHERE year > 4"), 2);
    check(
        &format!(
            "{years} SELECT * FROM g WHERE year = 2 AND k < 9 UNION ALL SELECT * FROM g WHERE year = 3 AND k < 8"
        ),
        0,
    );
    let plain = open(dir.path(), 2, "64MiB", &OFF);
    assert_eq!(answer(&session, &together), answer(&plain, &together));
    let drawn = "SELECT k, sum(w) AS s FROM b WHERE random() < 0.5 GROUP BY k";
    check(&format!("{drawn} UNION ALL {drawn}"), 0);
}

#[test]
fn groups_are_made_of_rows_that_are_joined_anyway() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64| (0..count).map(|i| (Some(i % 500), Some(i % 7), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[rows(500), rows(20_000), rows(500), rows(20_000)]);
    let session = open(dir.path(), 2, "64MiB", &[]);
    let plain = open(dir.path(), 2, "64MiB", &OFF);
    let check = |query: &str, places: usize| {
        let plan = plan_of(&session, query);
        assert_eq!(plan.matches("SharedExec").count(), places, "{query}\n{plan}");
        assert_eq!(answer(&session, query), answer(&plain, query), "{query}");
    };
    let means = "(SELECT avg(x.v) FROM b x WHERE x.k = a.k)";
    check(&format!("SELECT b.w FROM a, b WHERE a.w < 3 AND a.k = b.k AND b.v < {means}"), 2);
    check(&format!("SELECT b.w FROM a, b WHERE a.w < 3 AND a.k = b.k AND b.v < {means}  AND a.v < 2"), 2);
    check(
        "SELECT b.w FROM a, b, (SELECT k, min(v) AS m FROM b GROUP BY k) g WHERE a.w < 3 AND a.k = b.k AND g.k = a.k AND b.v = g.m + 1",
        2,
    );
    check(
        "SELECT b.w FROM a, b, c WHERE a.w < 3 AND a.k = b.k AND b.w = c.w AND b.v = (SELECT max(x.v) FROM b x, c y WHERE x.w = y.w AND x.k = a.k)",
        2,
    );
    // An order that one place wants stays above: the groups are few, so the other side is looked up, in its order.
    let sorted = "SELECT b.w FROM c, b WHERE c.w < 1 AND c.k = b.v AND b.k < (SELECT avg(x.k) FROM b x WHERE x.v = c.k) ORDER BY b.w";
    check(sorted, 2);
    let plan = plan_of(&session, sorted);
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut shared = None;
    let mut sorts = 0;
    for line in plan.lines() {
        shared = shared.filter(|shared| depth(line) > *shared);
        if line.contains("SharedExec") {
            shared = Some(depth(line));
        }
        sorts += usize::from(line.contains("SortExec"));
        assert!(shared.is_none() || !line.contains("SortExec"), "{line}\n{plan}");
    }
    assert_eq!(sorts, 1, "{plan}");
    // Two aggregates of the same joins, which read different columns.
    let joins = "FROM a, b WHERE a.k = b.k AND a.w < 3";
    check(
        &format!(
            "SELECT b.v, sum(b.w) FROM a, b WHERE a.k = b.k AND a.w < 3 GROUP BY b.v HAVING sum(b.w) > (SELECT sum(b.w) / 10 {joins})"
        ),
        2,
    );
    check(
        &format!(
            "SELECT max(b.v) {joins} UNION ALL SELECT sum(b.v + b.w + a.v) {joins} UNION ALL SELECT min(b.w) {joins}"
        ),
        3,
    );
    check(&format!("SELECT sum(b.v) {joins} UNION ALL SELECT max(b.v) {joins} AND b.v > 2"), 0);
    check("SELECT sum(b.v) FROM a, b WHERE a.k = b.k UNION ALL SELECT max(b.v) FROM a, b WHERE a.k = b.k", 0);
    // Rows are left out of one side, another table, something is joined by what is no key, or how often rows come is seen.
    check(&format!("SELECT b.w FROM a, b WHERE a.w < 3 AND a.k = b.k AND b.v < {means} AND b.w > 9"), 0);
    check(
        "SELECT b.w FROM a, b WHERE a.w < 3 AND a.k = b.k AND b.v < (SELECT avg(x.v) FROM b x WHERE x.k = a.k AND x.w > 9)",
        0,
    );
    check(
        "SELECT b.w FROM a, b WHERE a.w < 3 AND a.k = b.k AND b.v < (SELECT avg(x.v) FROM d x WHERE x.k = a.k)",
        0,
    );
    check(&format!("SELECT b.w FROM a, b WHERE a.w < 3 AND a.k = b.k AND a.w = b.w AND b.v < {means}"), 0);
    check(
        "SELECT b.w FROM a, b WHERE a.w < 3 AND a.k = b.k AND b.v < (SELECT sum(x.v) FROM b x WHERE x.k = a.k)",
        0,
    );
}

#[test]
fn filters_over_groups_of_all_rows_that_ask_nothing_of_them() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[vec![(Some(1), Some(2), None); 3], vec![], vec![], vec![]]);
    let session = open(dir.path(), 2, "64MiB", &[]);
    let check = |query: &str, expect: &[&str]| assert_eq!(answer(&session, query), expect, "{query}");
    let groups = "(SELECT count(*) AS n, 1 AS part, NULL AS no FROM a) g";
    check(&format!("SELECT n FROM {groups} WHERE part = 2"), &[]);
    check(&format!("SELECT n FROM {groups} WHERE part = 1"), &["3"]);
    check(&format!("SELECT n FROM {groups} WHERE part = 1 AND n > 3"), &[]);
    check(&format!("SELECT n FROM {groups} WHERE n = 3 AND part + 1 = 3"), &[]);
    check(&format!("SELECT n FROM {groups} WHERE no = 1"), &[]);
    check(&format!("SELECT n FROM (SELECT * FROM {groups}) h WHERE h.part IN (1, 2) AND h.n = 3"), &["3"]);
    check("SELECT count(*) FROM a HAVING 1 = 2", &[]);
    check("SELECT count(*) FROM a WHERE 1 = 2", &["0"]);
    check("SELECT k, n FROM (SELECT k, count(*) AS n, 1 AS part FROM a GROUP BY k) g WHERE part = 2", &[]);
    check(&format!("SELECT n FROM {groups} UNION ALL SELECT n FROM {groups} WHERE part = 3"), &["3"]);
}

#[test]
fn rows_of_equal_parts_that_do_not_fit_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..300_000_i64).map(|i| (Some(i), Some(i % 7), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[vec![], rows, vec![], vec![]]);
    let query = "WITH g AS (SELECT k, sum(w) AS s FROM b GROUP BY k) \
                 SELECT count(*) AS n, sum(x) AS t FROM (SELECT s AS x FROM g UNION ALL SELECT k AS x FROM g) u";
    for (memory, settings) in [("64MiB", &[][..]), ("9MiB", &[]), ("9MiB", &OFF)] {
        let session = open(dir.path(), 2, memory, settings);
        assert_eq!(answer(&session, query), ["600000,89999700000"], "{memory}");
        assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
    }
}

/// Keys of every type that is packed, some that are not, and some that only turn out not to fit.
const GROUPS: [&str; 17] = [
    "SELECT k, sum(v), avg(v), count(*), min(w), max(w) FROM b GROUP BY k",
    "SELECT k, v, sum(w) FROM b GROUP BY k, v",
    "SELECT k, v, w, count(*) FROM b GROUP BY k, v, w",
    "SELECT k, v, sum(w) FROM b WHERE v = 3 GROUP BY k, v",
    "SELECT CAST(k AS INT), CAST(v AS SMALLINT), CAST(w AS TINYINT), sum(k) FROM b GROUP BY 1, 2, 3",
    "SELECT CAST(k AS VARCHAR) AS t, count(v), count(DISTINCT w) FROM b GROUP BY t",
    "SELECT CASE WHEN k = 3 THEN 'longer than seven' ELSE CAST(k AS VARCHAR) END AS t, v, sum(w) FROM b GROUP BY t, v",
    "SELECT CAST(k AS VARCHAR) AS t, CAST(v AS VARCHAR) AS u, sum(w) FROM b GROUP BY t, u",
    "SELECT CAST(k AS DECIMAL(20, 2)) AS d, sum(CAST(v AS DECIMAL(15, 2)) * (1 - CAST(w AS DECIMAL(15, 2)))) FROM b GROUP BY d",
    "SELECT CASE WHEN k = 3 THEN CAST('12345678901234567890123' AS DECIMAL(38, 2)) ELSE k END AS d, sum(v) FROM b GROUP BY d",
    "SELECT CAST(k * 1000000000 AS TIMESTAMP) AS t, sum(v) FILTER (WHERE w > 2) FROM b GROUP BY t",
    "SELECT CAST(k AS DOUBLE) AS d, sum(v) FROM b GROUP BY d",
    "SELECT t, k, sum(w) FROM (SELECT 'one' AS t, k, w FROM b UNION ALL SELECT 'another, longer text', v, w FROM b) u GROUP BY t, k",
    "SELECT arrow_cast(CAST(k AS VARCHAR), 'LargeUtf8') AS t, arrow_cast(CAST(v AS VARCHAR), 'Utf8') AS u, count(w) FROM b GROUP BY t, u",
    "SELECT k * 100000007 AS p, v, sum(w), avg(w) FROM b GROUP BY p, v",
    "SELECT k, sum(s) FROM (SELECT k, v, sum(w) AS s FROM b GROUP BY k, v) g GROUP BY k",
    "SELECT CAST(k AS VARCHAR) || 'abcab' AS t FROM b WHERE CAST(k AS VARCHAR) || 'abcab' LIKE '%a%b%' GROUP BY t",
];

fn check_groups(rows: &[Row]) {
    let dir = tempfile::tempdir().unwrap();
    let others = [vec![], vec![], vec![]];
    let [a, c, d] = others;
    write(dir.path(), &[a, rows.to_vec(), c, d]);
    let plain = open(dir.path(), 1, "64MiB", &OFF);
    let small = ("datafusion.execution.batch_size", "7");
    let skip = [
        small,
        ("datafusion.execution.skip_partial_aggregation_probe_rows_threshold", "10"),
        ("datafusion.execution.skip_partial_aggregation_probe_ratio_threshold", "0.1"),
    ];
    let finals = ("trefoil.packed_final_groups", "true");
    let ours = [
        open(dir.path(), 1, "64MiB", &[]),
        open(dir.path(), 3, "64MiB", &[small, finals]),
        open(dir.path(), 2, "64MiB", &skip),
    ];
    for query in GROUPS {
        let expect = answer(&plain, query);
        for (number, session) in ours.iter().enumerate() {
            assert_eq!(answer(session, query), expect, "{query} in session {number} over {rows:?}");
        }
    }
    for session in ours {
        assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn groups_do_not_depend_on_how_they_are_found(rows in table(0..90)) {
        check_groups(&rows);
    }
}

#[test]
fn faster_operators_are_put_in_and_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64| (0..count).map(|i| (Some(i % 50), Some(i % 7), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[rows(10), rows(1000), rows(10), rows(10)]);
    let decimals = "SELECT k FROM b WHERE CAST(v AS DECIMAL(15, 2)) * CAST(w AS DECIMAL(15, 2)) > 3";
    let like = "SELECT count(*) FROM b WHERE CAST(k AS VARCHAR) LIKE '%1%2%'";
    let rows = [
        (decimals, "trefoil.small_decimals", "small(", 1),
        (like, "trefoil.like_pieces", "pieces(", 1),
        ("SELECT k, sum(v) FROM b GROUP BY k", "trefoil.packed_groups", "PackedAggregateExec", 1),
        (
            "SELECT k, v, sum(w) FROM b WHERE v = 3 GROUP BY k, v",
            "trefoil.packed_groups",
            "PackedAggregateExec",
            1,
        ),
        (
            "SELECT CAST(k AS FLOAT), sum(v) FROM b GROUP BY 1",
            "trefoil.packed_groups",
            "PackedAggregateExec",
            0,
        ),
        ("SELECT sum(v) FROM b", "trefoil.packed_groups", "PackedAggregateExec", 0),
        ("SELECT k, v, w, sum(v) FROM b GROUP BY k, v, w", "trefoil.packed_groups", "PackedAggregateExec", 0),
        (
            "SELECT CAST(k AS VARCHAR), CAST(v AS VARCHAR), w, sum(v) FROM b GROUP BY 1, 2, 3",
            "trefoil.packed_groups",
            "PackedAggregateExec",
            1,
        ),
        ("SELECT DISTINCT k FROM b LIMIT 3", "trefoil.packed_groups", "PackedAggregateExec", 0),
    ];
    for (query, setting, word, places) in rows {
        let ours = open(dir.path(), 2, "64MiB", &[]);
        let without = open(dir.path(), 2, "64MiB", &[(setting, "false")]);
        let plan = plan_of(&ours, query);
        assert_eq!(plan.matches(word).count(), places, "{query}\n{plan}");
        assert_eq!(plan_of(&without, query).matches(word).count(), 0, "{query} without {setting}");
        assert!(!query.contains("LIMIT") || answer(&ours, query).len() == 3, "{query}");
    }
}

#[test]
fn groups_that_do_not_fit_are_handed_over_or_come_out_early() {
    let dir = tempfile::tempdir().unwrap();
    // 200,000 groups of two rows each, far apart and close together.
    let rows = |step: i64| {
        (0..400_000_i64).map(|i| (Some(i / 2 * step), Some(i % 7), Some(i))).collect::<Vec<Row>>()
    };
    write(dir.path(), &[vec![], rows(1), rows(1_000_003), vec![]]);
    let cases = [
        ("512MiB", 2, "false"),
        ("512MiB", 2, "true"),
        ("24MiB", 2, "false"),
        ("24MiB", 2, "true"),
        ("12MiB", 1, "false"),
    ];
    for (memory, workers, finals) in cases {
        let session = open(dir.path(), workers, memory, &[("trefoil.packed_final_groups", finals)]);
        for (table, step) in [("b", 1_i64), ("c", 1_000_003)] {
            let query = format!(
                "SELECT count(*), sum(k), sum(s), min(n), max(n) FROM (SELECT k, sum(w) AS s, count(v) AS n FROM {table} GROUP BY k) g"
            );
            let keys = 200_000_i64 * 199_999 / 2 * step;
            let expect = format!("200000,{keys},{},2,2", 400_000_i64 * 399_999 / 2);
            assert_eq!(answer(&session, &query), [expect], "{memory} {table}");
        }
        assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
    }
}

#[test]
fn grouping_sets_are_made_of_the_groups_of_all_columns() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64| (0..count).map(|i| (Some(i % 50), Some(i % 7), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[rows(10), rows(1000), rows(10), rows(10)]);
    let check = |query: &str, workers: usize, places: usize| {
        let session = open(dir.path(), workers, "64MiB", &[]);
        let plan = plan_of(&session, query);
        assert_eq!(plan.matches("SetsExec").count(), places, "{query}\n{plan}");
    };
    for workers in [1, 2] {
        check("SELECT k, v, sum(w) FROM b GROUP BY ROLLUP (k, v)", workers, 1);
        check("SELECT k, v, sum(w) FROM b GROUP BY GROUPING SETS ((k, v), (v))", workers, 1);
        // No set needs the groups of all columns; one set is no set.
        check("SELECT k, v, sum(w) FROM b GROUP BY GROUPING SETS ((k), (v))", workers, 0);
        check("SELECT k, v, sum(w) FROM b GROUP BY k, v", workers, 0);
    }
}

#[test]
fn groups_are_made_before_joins_where_that_leaves_fewer_rows() {
    let dir = tempfile::tempdir().unwrap();
    let rows =
        |count: i64, keys: i64| (0..count).map(|i| (Some(i), Some(i % keys), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[rows(100, 7), rows(20_000, 100), rows(3000, 3000), rows(100, 10)]);
    let settings = [("trefoil.eager_rows", "10000")];
    let plain = open(dir.path(), 2, "64MiB", &OFF);
    let check = |query: &str, early: usize| {
        for workers in [1, 2] {
            let session = open(dir.path(), workers, "64MiB", &settings);
            let plan = plan_of(&session, query);
            let below = plan.lines().skip_while(|line| !line.contains("JoinExec"));
            let found = below.filter(|line| line.contains("AggregateExec")).count();
            assert_eq!(found, early, "{query}\n{plan}");
            assert_eq!(answer(&session, query), answer(&plain, query), "{query}");
        }
    };
    check("SELECT a.v, sum(b.w) AS s, max(b.k) AS m FROM a, b WHERE a.k = b.v GROUP BY a.v", 1);
    check("SELECT a.v, d.v, count(*) AS n FROM a, b, d WHERE a.k = b.v AND d.k = a.k GROUP BY a.v, d.v", 1);
    check("SELECT a.v, sum(b.w) AS s FROM a, b WHERE a.k = b.v GROUP BY ROLLUP (a.v)", 1);
    check(
        "SELECT a.v, avg(b.w) AS s, sum(CASE WHEN b.k > 3 THEN b.w END) AS t FROM a, b WHERE a.k = b.v GROUP BY a.v",
        1,
    );
    // A condition of the other side is asked about the sums.
    let conditions = "sum(CASE WHEN a.w > 50 THEN b.w END) AS s, sum(CASE a.w WHEN 3 THEN b.w ELSE 0 END) AS t, count(*) FILTER (WHERE a.w < 9) AS n";
    check(&format!("SELECT a.v, {conditions} FROM a, b WHERE a.k = b.v GROUP BY a.v"), 1);
    let sums = |other: &str| format!("SELECT a.v, {other} AS s FROM a, b WHERE a.k = b.v GROUP BY a.v");
    check(&sums("max(CASE WHEN a.w > 50 THEN b.w ELSE 7 END)"), 1);
    check(&sums("sum(CASE WHEN a.w > 50 THEN b.w ELSE 1 END)"), 0);
    check(&sums("count(CASE WHEN a.w > 50 THEN b.w ELSE 1 END)"), 0);
    check(&sums("avg(CASE WHEN a.w > 50 THEN b.w END)"), 0);
    check(&sums("sum(CASE WHEN a.w > b.w THEN b.w END)"), 0);
    check(&sums("sum(CASE WHEN a.w > 50 THEN a.w + b.w END)"), 0);
    // A calculation that could fail for a row without a partner waits until the join is made.
    check("SELECT a.v, sum(100 / (b.v - 100)) AS s FROM a, b WHERE a.k = b.v GROUP BY a.v", 0);
    // Groups as many as rows, few rows, a join that leaves most of them out, and what both sides give.
    check("SELECT c.v, sum(b.w) AS s FROM b, c WHERE c.k = b.k GROUP BY c.v", 0);
    check("SELECT a.v, sum(c.w) AS s FROM a, c WHERE a.k = c.v GROUP BY a.v", 0);
    check("SELECT a.v, sum(b.w) AS s FROM a, b WHERE a.k = b.v AND a.w < 3 GROUP BY a.v", 0);
    check("SELECT a.v, sum(b.w + a.w) AS s FROM a, b WHERE a.k = b.v GROUP BY a.v", 0);
    check("SELECT a.v, count(DISTINCT b.w) AS s FROM a, b WHERE a.k = b.v GROUP BY a.v", 0);
}

/// Built by hand, as extensions do.
#[test]
fn a_sort_of_some_rows_below_a_projection_keeps_its_limit() {
    use datafusion::logical_expr::{LogicalPlanBuilder, col};
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..100_i64).map(|i| (Some(i), Some(i % 7), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[vec![], rows, vec![], vec![]]);
    for workers in [1, 2] {
        let session = open(dir.path(), workers, "64MiB", &[]);
        let context = session.context().clone();
        let lines = session.block_on(async {
            let (state, plan) = context.table("b").await.unwrap().into_parts();
            let plan = LogicalPlanBuilder::from(plan)
                .sort_with_limit([col("w").sort(false, false)], Some(3))
                .unwrap()
                .project([col("v"), col("w") + col("k")])
                .unwrap()
                .build()
                .unwrap();
            let frame = DataFrame::new(session.clone(), datafusion::dataframe::DataFrame::new(state, plan));
            frame.collect().await
        });
        assert_eq!(lines.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    }
}

#[test]
fn a_key_of_one_value_makes_no_more_groups() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64| (0..count).map(|i| (Some(i), Some(i % 1000), Some(i % 2))).collect::<Vec<Row>>();
    write(dir.path(), &[rows(1000), rows(20_000), vec![], vec![]]);
    let session = open(dir.path(), 2, "64MiB", &[("trefoil.eager_rows", "5000")]);
    let early = |condition: &str| {
        let query =
            format!("SELECT a.v, b.w, count(*) FROM a, b WHERE a.k = b.v AND {condition} GROUP BY a.v, b.w");
        let plan = plan_of(&session, &query);
        plan.lines().skip_while(|line| !line.contains("JoinExec")).any(|line| line.contains("AggregateExec"))
    };
    assert!(early("b.w = 1"));
    assert!(!early("b.w >= 1"));
}

#[test]
fn only_groups_that_a_join_asks_for_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64, keys: i64| {
        (0..count).map(|i| (Some(i), Some(i % keys), Some(i % 5))).collect::<Vec<Row>>()
    };
    write(dir.path(), &[rows(100, 7), rows(60_000, 30_000), rows(3000, 3000), rows(100, 10)]);
    let plain = open(dir.path(), 2, "64MiB", &OFF);
    let check = |query: &str, places: usize| {
        for workers in [1, 2] {
            let session = open(dir.path(), workers, "64MiB", &[]);
            let plan = plan_of(&session, query);
            assert_eq!(plan.matches("SharedExec").count(), places, "{query}\n{plan}");
            assert_eq!(answer(&session, query), answer(&plain, query), "{query}");
        }
    };
    let least = "(SELECT v, min(w) AS m FROM b GROUP BY v) g";
    check(&format!("SELECT a.k FROM a, {least} WHERE a.k = g.v AND a.w = g.m"), 2);
    check("SELECT a.k FROM a WHERE a.w = (SELECT min(b.w) FROM b WHERE b.v = a.k)", 2);
    // The filter of the join goes down by itself; nothing is a key of the groups; as many rows as groups.
    check(&format!("SELECT a.k FROM a, {least} WHERE a.k = g.v"), 0);
    check(&format!("SELECT a.k FROM a, {least} WHERE a.w = g.m AND a.k = g.m + 1"), 0);
    check(&format!("SELECT c.k FROM c, {least} WHERE c.k = g.v AND c.w = g.m"), 2);
    check("SELECT c.k FROM c, (SELECT v, min(w) AS m FROM a GROUP BY v) g WHERE c.k = g.v AND c.w = g.m", 0);
}

#[test]
fn the_smaller_side_of_other_joins_is_hashed() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64| (0..count).map(|i| (Some(i), Some(i % 7), Some(i))).collect::<Vec<Row>>();
    write(dir.path(), &[rows(100), rows(20_000), rows(100), rows(10)]);
    let check = |query: &str, join: &str| {
        let ours = open(dir.path(), 2, "64MiB", &[]);
        let plain = open(dir.path(), 2, "64MiB", &[("trefoil.outer_sides", "false")]);
        let plan = plan_of(&ours, query);
        assert!(plan.contains(join), "{query}\n{plan}");
        assert_eq!(answer(&ours, query), answer(&plain, query), "{query}");
    };
    // The hashed side is the left one.
    check(
        "SELECT * FROM (SELECT a.k FROM a, c WHERE a.k = c.k) s LEFT JOIN b ON b.k = s.k",
        "mode=CollectLeft, join_type=Left,",
    );
    check("SELECT b.k, c.w FROM b LEFT JOIN c ON b.k = c.k", "mode=CollectLeft, join_type=Right,");
    check("SELECT k, v FROM b EXCEPT SELECT k, v FROM a", "mode=CollectLeft, join_type=RightAnti,");
    check("SELECT k FROM a EXCEPT SELECT k FROM b", "mode=CollectLeft, join_type=LeftAnti,");
}

#[test]
fn scans_ask_for_the_keys_of_joins_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64, step: i64, far: i64| {
        (0..count)
            .map(|i| (Some(i * step), (i % 9 != 3).then_some(i % 200), Some(i * far)))
            .collect::<Vec<Row>>()
    };
    write(
        dir.path(),
        &[rows(1500, 7, 3), rows(20_000, 1, 1 << 40), rows(3000, 2, 1 << 40), rows(100, 10, 1)],
    );
    let plain = open(dir.path(), 2, "64MiB", &OFF);
    let check = |query: &str, bits: usize| {
        for workers in [1, 2] {
            let session = open(dir.path(), workers, "64MiB", &[]);
            let plan = plan_of(&session, query);
            assert_eq!(plan.matches("KeyBitsExec").count(), bits, "{query}\n{plan}");
            assert_eq!(answer(&session, query), answer(&plain, query), "{query}");
            assert_eq!(session.budget().reserved(), 0, "{query}");
        }
    };
    check("SELECT a.k, b.w FROM a, b WHERE a.k = b.k AND a.v = b.v", 1);
    check("SELECT count(*), sum(b.v) FROM a, b WHERE a.k = b.k AND a.w > 30", 0);
    // Keys that lie too far apart.
    check("SELECT count(*) FROM c, b WHERE c.w = b.w AND c.v = b.v", 1);
    check("SELECT count(*) FROM b WHERE EXISTS (SELECT 1 FROM a WHERE a.k = b.k AND a.v = b.v)", 1);
    check("SELECT count(*) FROM b WHERE NOT EXISTS (SELECT 1 FROM a WHERE a.k = b.k AND a.v = b.v)", 0);
    check("SELECT count(*) FROM a, b WHERE a.k + 1 = b.k + 2 AND a.v = b.v", 1);
    check(
        "SELECT count(*) FROM a JOIN b ON (a.k IS NOT DISTINCT FROM b.k) AND (a.v IS NOT DISTINCT FROM b.v)",
        0,
    );
    check(
        "SELECT count(*), sum(c.k) FROM a, b, c WHERE a.k = b.k AND a.v = b.v AND c.k = b.k AND c.v = b.v",
        2,
    );
}

#[test]
fn keys_that_come_again_are_grouped_before_the_exchange() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |count: i64, keys: i64| {
        (0..count).map(|i| (Some(i % keys), Some(i * 1000 % 7_919_000), Some(i))).collect::<Vec<Row>>()
    };
    write(dir.path(), &[rows(1000, 1000), rows(20_000, 2000), rows(20_000, 15_000), vec![]]);
    let probe = ("datafusion.execution.skip_partial_aggregation_probe_rows_threshold", "500");
    let small = ("datafusion.execution.batch_size", "100");
    let plain = open(dir.path(), 1, "64MiB", &OFF);
    let check = |query: &str, most: usize| {
        for workers in [2, 3] {
            let session = open(dir.path(), workers, "64MiB", &[probe, small]);
            let plan = answer(&session, &format!("EXPLAIN ANALYZE {query}")).concat();
            let partial = plan.split("mode=Partial,").nth(1).unwrap();
            let rows = partial.split("output_rows=").nth(1).unwrap();
            let rows: String = rows.chars().take_while(|c| !",]".contains(*c)).collect();
            let (number, unit) = rows.split_once(' ').unwrap_or((&rows, ""));
            let rows = number.parse::<f64>().unwrap() * if unit == "K" { 1e3 } else { 1.0 };
            assert!(rows <= (most * workers) as f64, "{rows} of {query} with {workers} workers\n{plan}");
            assert_eq!(answer(&session, query), answer(&plain, query), "{query}");
        }
    };
    check("SELECT k, count(*), sum(w) FROM b GROUP BY k", 2000);
    check("SELECT a.k, count(b.w) FROM a LEFT JOIN b ON a.k = b.k GROUP BY a.k", 2000);
}
