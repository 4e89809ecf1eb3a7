//! Correlated sub-queries in FROM, against one run of them for each row of the table before.

use super::session;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use trefoil_plan::{ErrorKind, Session};
use trefoil_sql::SqlSession;

type Row = (Option<String>, Option<i64>);

/// Sub-queries over `r` and `s`; `{k}` and `{v}` are the columns of the row outside.
const SUBQUERIES: [&str; 33] = [
    "SELECT {v} + 1 AS x",
    "SELECT {v} AS x, {k} AS y, 1 AS z",
    "SELECT x.v + {v} AS x FROM r x WHERE x.k = {k}",
    "SELECT x.v AS x FROM r x WHERE x.k = {k} ORDER BY x.v DESC LIMIT 2",
    "SELECT x.v AS x, {k} AS y FROM r x WHERE x.v < {v} ORDER BY x.v, x.k LIMIT 2 OFFSET 1",
    "SELECT x.v AS x FROM r x ORDER BY abs(x.v - {v}), x.v LIMIT 1",
    "SELECT count(*) AS n, sum(x.v) AS s FROM r x WHERE x.v > {v}",
    "SELECT count(*) AS n FROM r x WHERE x.v > {v} HAVING count(*) > 1",
    "SELECT x.k AS y, max(x.v) AS m FROM r x WHERE x.v < {v} GROUP BY x.k",
    "SELECT x.v % 3 + {v} AS y, count(*) AS n FROM r x GROUP BY x.v % 3 + {v}",
    "SELECT DISTINCT x.k AS y FROM r x WHERE x.v <> {v}",
    "SELECT x.k AS y, row_number() OVER (PARTITION BY x.k ORDER BY x.v) AS n FROM r x WHERE x.v > {v}",
    "SELECT sum(x.v + {v}) OVER (PARTITION BY x.k) AS n FROM r x",
    "SELECT x.v AS x FROM r x WHERE x.k = {k} UNION ALL SELECT {v}",
    "SELECT x.v AS x FROM r x WHERE x.k = {k} UNION SELECT {v}",
    "SELECT w.v AS x FROM (VALUES ({v}), ({v} * 2), (NULL)) AS w(v)",
    "SELECT x.v AS x, y.v AS w FROM r x JOIN s y ON x.k = y.k AND y.v > {v}",
    "SELECT x.v AS x, y.v AS w FROM r x LEFT JOIN s y ON x.k = y.k AND y.v > {v}",
    "SELECT x.v AS x, y.v AS w FROM r x LEFT JOIN (SELECT * FROM s WHERE v < {v}) y ON x.k = y.k",
    "SELECT x.v AS x, y.v AS w FROM (SELECT * FROM r WHERE v > {v}) x JOIN (SELECT * FROM s WHERE v < {v}) y ON x.k = y.k",
    "SELECT x.v AS x FROM r x WHERE x.v IN (SELECT y.v FROM s y WHERE y.v > {v})",
    "SELECT x.v AS x FROM r x WHERE EXISTS (SELECT 1 FROM s y WHERE y.k = x.k AND y.v > {v})",
    "SELECT x.v AS x FROM r x WHERE NOT EXISTS (SELECT 1 FROM s y WHERE y.k = x.k AND y.v > {v})",
    "SELECT x.v AS x FROM r x WHERE x.k = {k} AND x.v = (SELECT max(y.v) FROM s y WHERE y.k = x.k)",
    "SELECT x.v AS x FROM r x WHERE x.k = {k} INTERSECT SELECT y.v FROM s y WHERE y.v > {v}",
    "SELECT u.z AS x FROM r x, LATERAL (SELECT x.v + {v} AS z) u WHERE x.k = {k}",
    "SELECT u.n AS x FROM r x, LATERAL (SELECT count(*) AS n FROM s y WHERE y.v > x.v + {v}) u",
    "SELECT max(w.z) AS m FROM (SELECT x.v + {v} AS z FROM r x ORDER BY x.v + {v} LIMIT 3) w",
    "SELECT explode(array({v}, {v} + 1, NULL)) AS e",
    "SELECT size(collect_list(x.v)) AS n FROM r x WHERE x.k = {k}",
    "SELECT sum(x.v) FILTER (WHERE x.v > {v}) AS s, count(DISTINCT x.k) AS n FROM r x",
    "WITH c AS (SELECT x.v AS x FROM r x WHERE x.k = {k}) SELECT a.x AS x, b.x AS y FROM c a, c b WHERE a.x < b.x",
    "SELECT max(x.v) AS m FROM r x",
];

fn table(rows: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    let key = prop_oneof![1 => Just(None), 6 => "[a-c]".prop_map(Some)];
    let value = prop_oneof![1 => Just(None), 6 => (-4..5_i64).prop_map(Some)];
    proptest::collection::vec((key, value), rows)
}

fn batch(rows: &[Row]) -> RecordBatch {
    let k: StringArray = rows.iter().map(|(k, _)| k.as_deref()).collect();
    let v: Int64Array = rows.iter().map(|(_, v)| *v).collect();
    let columns = [("k", Arc::new(k) as ArrayRef, true), ("v", Arc::new(v), true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn answer(session: &Session, text: &str) -> Vec<String> {
    let batches = session.block_on(async { session.sql(text).await?.collect().await });
    let mut lines = Vec::new();
    for batch in batches.unwrap_or_else(|error| panic!("{text}: {error}")) {
        let options = FormatOptions::default().with_null("null");
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(cells.join(","));
        }
    }
    lines.sort();
    lines
}

fn text(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn literal(row: &Row) -> (String, String) {
    let k = row.0.as_ref().map_or_else(|| "CAST(NULL AS STRING)".to_owned(), |k| format!("'{k}'"));
    let v = row.1.map_or_else(|| "NULL".to_owned(), |v| v.to_string());
    (k, format!("CAST({v} AS BIGINT)"))
}

fn check(session: &Session, left: &[Row], subquery: &str) {
    let inside = |k: &str, v: &str| subquery.replace("{k}", k).replace("{v}", v);
    let lateral = inside("l.k", "l.v");
    let mut runs: BTreeMap<&Row, Vec<String>> = BTreeMap::new();
    for row in left {
        let (k, v) = literal(row);
        runs.entry(row).or_insert_with(|| answer(session, &inside(&k, &v)));
    }
    let prefix = |row: &Row| format!("{},{}", text(row.0.as_ref()), text(row.1));
    let mut expect: Vec<String> = left
        .iter()
        .flat_map(|row| runs[row].iter().map(move |rest| format!("{},{rest}", prefix(row))))
        .collect();
    expect.sort();
    let query = format!("SELECT l.k, l.v, t.* FROM l, LATERAL ({lateral}) AS t");
    assert_eq!(answer(session, &query), expect, "{query} over {left:?}");

    // A row without rows of its own stays, with nulls.
    let width = session.block_on(session.sql(&inside("'a'", "CAST(1 AS BIGINT)"))).unwrap().columns().len();
    let nulls = vec!["null"; width].join(",");
    let mut kept = expect;
    for row in left.iter().filter(|row| runs[row].is_empty()) {
        kept.push(format!("{},{nulls}", prefix(row)));
    }
    kept.sort();
    let query = format!("SELECT l.k, l.v, t.* FROM l LEFT JOIN LATERAL ({lateral}) AS t ON true");
    assert_eq!(answer(session, &query), kept, "{query} over {left:?}");
}

fn check_all(tables: &[Vec<Row>; 3]) {
    let session = session();
    for (name, rows) in ["l", "r", "s"].iter().zip(tables) {
        session.register_batches(name, vec![batch(rows)]).unwrap();
    }
    for subquery in SUBQUERIES {
        check(&session, &tables[0], subquery);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn a_lateral_subquery_runs_for_each_row(l in table(0..9), r in table(0..12), s in table(0..8)) {
        check_all(&[l, r, s]);
    }
}

#[test]
fn tables_without_rows() {
    check_all(&[vec![], vec![], vec![]]);
    let row = |k: &str, v: i64| (Some(k.to_owned()), Some(v));
    check_all(&[vec![row("a", 1), (None, None), row("a", 1)], vec![], vec![row("a", 3)]]);
}

#[test]
fn conditions_and_forms() {
    let session = session();
    let row = |k: &str, v: i64| (Some(k.to_owned()), Some(v));
    session.register_batches("l", vec![batch(&[row("a", 1), row("b", 2), (None, Some(3))])]).unwrap();
    session.register_batches("r", vec![batch(&[row("a", 10), row("a", 11), (None, Some(12))])]).unwrap();
    let check = |query: &str, expect: &[&str]| assert_eq!(answer(&session, query), expect, "{query}");
    // Equality beside what joins the domain back: null does not equal null.
    check(
        "SELECT l.v, t.x FROM l, LATERAL (SELECT x.v AS x, x.k AS y FROM r x ORDER BY x.v - l.v LIMIT 3) t WHERE t.y = l.k",
        &["1,10", "1,11"],
    );
    check(
        "SELECT l.v, t.x FROM l LEFT JOIN LATERAL (SELECT x.v AS x, x.k AS y FROM r x WHERE x.v > l.v ORDER BY x.v LIMIT 2) t \
         ON t.y = l.k AND t.x > 10",
        &["1,11", "2,null", "3,null"],
    );
    check(
        "SELECT l.v, x FROM l, LATERAL explode(array(l.v, 7)) AS t(x)",
        &["1,1", "1,7", "2,2", "2,7", "3,3", "3,7"],
    );
    check(
        "SELECT v, x FROM l, LATERAL explode_outer(CASE WHEN v = 1 THEN array(v) END) AS t(x)",
        &["1,1", "2,null", "3,null"],
    );
    check("SELECT v, p, x FROM l, LATERAL posexplode(array(v)) t(p, x) WHERE x > 1", &["2,0,2", "3,0,3"]);
    check(
        "SELECT l.v, t.a, u.b FROM l, LATERAL (SELECT l.v + 1 AS a) t, LATERAL (SELECT t.a * l.v AS b) u",
        &["1,2,2", "2,3,6", "3,4,12"],
    );
    check(
        "SELECT l.v, t.s FROM l JOIN LATERAL (SELECT sum(x.v) AS s FROM r x WHERE x.k = l.k) t ON t.s IS NOT NULL",
        &["1,21"],
    );
    // What an aggregate gives without rows, in sub-queries that DataFusion takes apart.
    check(
        "SELECT v, (SELECT size(collect_list(v)) FROM r WHERE r.k = l.k), (SELECT count_if(v > 10) FROM r WHERE r.k = l.k) FROM l",
        &["1,2,1", "2,0,0", "3,0,0"],
    );
    // A name within that is also one before: the one within is meant.
    check(
        "SELECT t.x FROM l, LATERAL (SELECT l.v AS x FROM r l WHERE EXISTS (SELECT 1 FROM r y WHERE y.v > l.v)) t",
        &["10", "10", "10", "11", "11", "11"],
    );
    // What cannot be taken apart is refused, not answered wrong.
    let refused = session.block_on(async {
        session
            .sql("SELECT * FROM l, LATERAL (SELECT k, count(*) FROM r WHERE r.v > l.v GROUP BY ROLLUP (k)) t")
            .await?
            .collect()
            .await
    });
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("LATERAL"), "{error}");
}
