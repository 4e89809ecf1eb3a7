//! Statements that are not queries.

use super::{check, data, rows, session};
use trefoil_plan::ErrorKind;
use trefoil_sql::SqlSession;

#[test]
fn commands_are_carried_out_at_once() {
    let session = session();
    let run = |text: &str| {
        // The frame is dropped on purpose: no `collect` is needed.
        let _ = session.block_on(session.sql(text)).unwrap_or_else(|error| panic!("{text}\n{error}"));
    };
    run("CREATE TABLE t (n BIGINT, s STRING)");
    run("INSERT INTO t VALUES (1, 'x'), (2, 'y')");
    check(&session, "INSERT INTO t VALUES (3, NULL)", &["1"]);
    check(&session, "SELECT n, s FROM t ORDER BY n", &["1|x", "2|y", "3|null"]);
    run("CREATE VIEW big AS SELECT n FROM t WHERE n > 1");
    check(&session, "SELECT count(*) FROM big", &["2"]);
    run("CREATE OR REPLACE TEMP VIEW big AS SELECT n FROM t WHERE n > 2");
    check(&session, "SELECT count(*) FROM big", &["1"]);
    check(
        &session,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
        &["big", "t"],
    );
    assert_eq!(session.tables(), ["big", "t"]);
    assert!(rows(&session, "SHOW TABLES").unwrap().iter().any(|row| row.contains("|big|")));
    let described = rows(&session, "DESCRIBE t").unwrap();
    assert!(described[0].starts_with("n|bigint"), "{described:?}");
    let plan = rows(&session, "EXPLAIN SELECT n FROM t WHERE n = 2").unwrap().join("\n");
    assert!(plan.contains("Filter"), "{plan}");
    run("EXPLAIN ANALYZE SELECT n FROM t");
    run("CREATE TABLE u AS SELECT n * 2 AS m FROM t");
    check(&session, "SELECT max(m) FROM u", &["6"]);
    // None of these literals is null; what comes later may be.
    run("CREATE TABLE v AS SELECT * FROM VALUES (1, 'a'), (2, 'b') AS v(x, y)");
    run("INSERT INTO v VALUES (NULL, NULL)");
    check(&session, "SELECT count(*), count(x), count(y) FROM v", &["3|2|2"]);
    run("DROP TABLE v");
    run("DROP VIEW big");
    run("DROP TABLE t");
    assert_eq!(session.tables(), ["u"]);
    run("SET datafusion.execution.batch_size = 1024");
    check(&session, "SELECT max(m) FROM u", &["6"]);
}

#[test]
fn external_tables_and_copies() {
    let session = session();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("cuts.csv");
    let create = format!(
        "CREATE EXTERNAL TABLE diamonds STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
        std::fs::canonicalize(data("diamonds.csv")).unwrap().display()
    );
    let copy = format!("COPY (SELECT cut, count(*) AS n FROM diamonds GROUP BY cut) TO '{}'", out.display());
    let _ = session.block_on(session.sql(&create)).unwrap();
    check(&session, &copy, &["5"]);
    check(&session, &format!("SELECT sum(n) FROM csv.`{}`", out.display()), &["53940"]);
}

#[test]
fn views_and_frames_see_one_another() {
    let session = session();
    let other = trefoil_plan::Session::builder().engine(session.engine().clone()).build().unwrap();
    session.block_on(async {
        let frame = session.sql("SELECT 1 AS a UNION ALL SELECT 2").await.unwrap();
        session.register("Nums", &frame).unwrap();
        let error = session.sql("SELECT * FROM Nums").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTable);
        assert!(error.to_string().contains("did you mean `Nums`"), "{error}");
        assert_eq!(session.sql("SELECT * FROM `Nums`").await.unwrap().count().await.unwrap(), 2);
        assert_eq!(session.table("Nums").await.unwrap().count().await.unwrap(), 2);
        let error = other.sql("SELECT * FROM `Nums`").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTable);
    });
}
