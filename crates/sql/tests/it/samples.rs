//! `TABLESAMPLE .. REPEATABLE`: the same rows, however a table is stored and computed.

use super::{check, data, rows, session};
use std::collections::BTreeSet;
use trefoil_plan::{ErrorKind, Session};
use trefoil_sql::{SqlSession, spark_format};

fn drawn(session: &Session, query: &str) -> Vec<String> {
    let batches = session.block_on(async { session.sql(query).await?.collect().await });
    let batches = batches.unwrap_or_else(|error| panic!("{query}\n{error}"));
    let rows = batches.iter().flat_map(|batch| spark_format::rows(batch).unwrap());
    let mut rows: Vec<String> = rows.map(|row| row.join("|")).collect();
    rows.sort();
    rows
}

#[test]
fn a_seed_gives_the_same_rows_whatever_the_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let many = dir.path().join("many");
    let diamonds = format!("csv.`{}`", data("diamonds.csv"));
    let session = session();
    session.block_on(async {
        let spread = format!("SELECT /*+ REPARTITION(7) */ * FROM {diamonds} ORDER BY price");
        session.sql(&spread).await.unwrap().write_parquet(&many).await.unwrap();
    });
    let forms = ["0.5 PERCENT", "100 ROWS", "BUCKET 1 OUT OF 400"];
    let query = |from: &str, form: &str, seed: i64| {
        format!("SELECT carat, cut, price, x FROM {from} TABLESAMPLE ({form}) REPEATABLE ({seed}) AS d")
    };
    for form in forms {
        let first = drawn(&session, &query(&diamonds, form, 7));
        assert!((60..500).contains(&first.len()), "{form}: {}", first.len());
        for workers in [1, 3] {
            let other = Session::builder().workers(workers).memory("256MiB").build().unwrap();
            let set = format!("SET datafusion.execution.batch_size = {}", 100 * workers);
            let _ = other.block_on(other.sql(&set)).unwrap();
            assert_eq!(drawn(&other, &query(&diamonds, form, 7)), first, "{form}, {workers} workers");
        }
        let parquet = format!("parquet.`{}`", many.display());
        assert_eq!(drawn(&session, &query(&parquet, form, 7)), first, "{form}, another file");
        assert_ne!(drawn(&session, &query(&diamonds, form, 8)), first, "{form}, another seed");
    }
}

#[test]
fn lots_are_fair_and_nested() {
    let session = session();
    let count = |text: &str| rows(&session, text).unwrap()[0].parse::<usize>().unwrap();
    for seed in [0, 1, 5, 1_000_000] {
        let part = |share: &str| {
            let text =
                format!("SELECT id FROM range(20000) TABLESAMPLE ({share} PERCENT) REPEATABLE ({seed})");
            drawn(&session, &text).into_iter().collect::<BTreeSet<_>>()
        };
        let (few, some, all) = (part("5"), part("20"), part("100"));
        assert!((800..1200).contains(&few.len()), "{seed}: {}", few.len());
        assert!((3700..4300).contains(&some.len()), "{seed}: {}", some.len());
        assert!(few.is_subset(&some) && all.len() == 20_000);
        // Rows with equal values are drawn apart.
        let equal = format!(
            "SELECT count(*) FROM (SELECT 1 AS a FROM range(20000)) TABLESAMPLE (20 PERCENT) REPEATABLE ({seed})"
        );
        assert!((3700..4300).contains(&count(&equal)), "{seed}");
    }
    for (form, expect) in
        [("0 PERCENT", 0), ("0 ROWS", 0), ("3 ROWS", 3), ("300 ROWS", 100), ("100 PERCENT", 100)]
    {
        let text = format!("SELECT count(*) FROM range(100) TABLESAMPLE ({form}) REPEATABLE (1)");
        assert_eq!(count(&text), expect, "{form}");
    }
}

#[test]
fn where_it_may_stand() {
    let session = session();
    // Names of tables stay, before and after the alias, in sub-queries, pipes and joins.
    for text in [
        "SELECT r.id FROM range(9) TABLESAMPLE (100 PERCENT) REPEATABLE (3) AS r WHERE r.id = 4",
        "SELECT r.id FROM (SELECT id FROM range(9)) TABLESAMPLE (9 ROWS) REPEATABLE (3) AS r WHERE r.id = 4",
        "FROM range(9) |> TABLESAMPLE (9 ROWS) REPEATABLE (3) |> WHERE id = 4",
        "SELECT a.id FROM range(9) a JOIN range(5) TABLESAMPLE (100 PERCENT) REPEATABLE (3) b ON a.id = b.id WHERE b.id = 4",
        "SELECT t.a FROM (SELECT id FROM range(9)) TABLESAMPLE (100 PERCENT) REPEATABLE (3) AS t(a) WHERE a = 4",
        "SELECT t.id FROM range(9) TABLESAMPLE (100 PERCENT) t WHERE id = 4",
        "SELECT a.id FROM range(9) TABLESAMPLE (9 ROWS) b JOIN range(9) a USING (id) WHERE a.id = 4",
        "SELECT t.id FROM range(9) t TABLESAMPLE (9 ROWS) WHERE id = 4",
        "SELECT * FROM (SELECT * FROM range(9)) TABLESAMPLE (100 PERCENT) REPEATABLE (3) WHERE id = 4",
    ] {
        check(&session, text, &["4"]);
    }
    let refused = |text: &str, kind: ErrorKind, says: &str| {
        let done = session.block_on(async { session.sql(text).await?.collect().await });
        let error = done.expect_err(text);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(
        "SELECT * FROM range(9) TABLESAMPLE (1 ROWS) REPEATABLE (1.5)",
        ErrorKind::InvalidArgument,
        "whole number",
    );
    refused("SELECT * FROM range(9) TABLESAMPLE (1 ROWS) REPEATABLE ('x')", ErrorKind::Syntax, "number");
    check(
        &session,
        "SELECT count(*) FROM (SELECT map('a', id) AS m, array(id) AS a FROM range(9)) TABLESAMPLE (4 ROWS) REPEATABLE (1)",
        &["4"],
    );
}
