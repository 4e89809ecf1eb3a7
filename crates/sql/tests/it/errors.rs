//! What a wrong statement is answered with.

use super::{check, data, session};
use trefoil_plan::ErrorKind::{self, *};
use trefoil_sql::SqlSession;

#[test]
fn wrong_statements() {
    let session = session();
    session.block_on(async {
        let diamonds = session.read_csv(data("diamonds.csv")).await.unwrap();
        session.register("diamonds", &diamonds).unwrap();
        let mixed = session.sql("SELECT 1 AS `Name`").await.unwrap();
        session.register("mixed", &mixed).unwrap();
    });
    let check_error = |query: &str, kind: ErrorKind, parts: &[&str]| {
        let error = session.block_on(async { session.sql(query).await?.collect().await }).expect_err(query);
        assert_eq!(error.kind(), kind, "{query}\n{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{query}\nlacks {part:?} in\n{error}");
        }
        // The session keeps working.
        check(&session, "SELECT 1", &["1"]);
    };
    let refused = |query: &str, clause: &str| {
        check_error(query, Unsupported, &[clause, "is not supported"]);
    };
    check_error(
        "SELECT prise FROM diamonds",
        UnknownColumn,
        &["no column `prise`; did you mean `price`?", "    SELECT prise FROM diamonds\n           ^"],
    );
    check_error("SELECT d.prise FROM diamonds d", UnknownColumn, &["did you mean `price`?"]);
    check(&session, "SELECT Name FROM mixed WHERE NAME = 1 AND `name` = 1", &["1"]);
    check_error(
        "SELECT price FROM diamonts",
        UnknownTable,
        &[
            "no table `diamonts`; did you mean `diamonds`?",
            "    SELECT price FROM diamonts\n                      ^",
        ],
    );
    check_error(
        "SELECT * FROM other.place",
        UnknownTable,
        &["no table `other.place`; there is no schema `other`; files are read as parquet.`path`"],
    );
    check_error("DROP TABLE diamonts", UnknownTable, &["did you mean `diamonds`?"]);
    check_error(
        "CREATE EXTERNAL TABLE e STORED AS PARQUET LOCATION '/nowhere/at/all/'",
        NotFound,
        &["/nowhere/at/all/"],
    );
    check_error("CREATE TABLE u (a INT) USING orc", Unsupported, &["USING orc", "parquet"]);
    check_error("CREATE TABLE u (a INT) PARTITIONED BY (a)", Unsupported, &["PARTITIONED BY"]);
    check_error(
        "SELECT * FORM diamonds",
        Syntax,
        &["line 1, column 10", "    SELECT * FORM diamonds\n             ^"],
    );
    check_error(
        "SELECT *\nFROM diamonds\nWHERE (price > 3",
        Syntax,
        &["    WHERE (price > 3\n                    ^"],
    );
    check_error("SELECT 'open", Syntax, &[]);
    check_error("", Syntax, &["no statement"]);
    check_error("SELECT 1; SELECT 2", Unsupported, &["2 statements"]);
    check_error(
        "SELECT cut + price FROM diamonds",
        InvalidArgument,
        &["[CAST_INVALID_INPUT]", "SQLSTATE: 22018"],
    );
    check_error("SELECT date '2024-01-01' * price FROM diamonds", TypeMismatch, &["[DATATYPE_MISMATCH"]);
    check_error("SELECT sum(cut) FROM diamonds", InvalidArgument, &["[CAST_INVALID_INPUT]"]);
    check_error("SELECT price FROM diamonds WHERE cut", TypeMismatch, &[]);
    check_error(
        "SELECT cast(cut AS INT) FROM diamonds",
        InvalidArgument,
        &["[CAST_INVALID_INPUT]", "\"INT\"", "try_cast"],
    );
    check_error("SELECT nosuch(price) FROM diamonds", NotFound, &["nosuch"]);
    check_error("SELECT price / 0 FROM diamonds", InvalidArgument, &["zero"]);
    check_error("SELECT x FROM diamonds a, diamonds b", InvalidArgument, &["`x` is ambiguous"]);
    check_error("SELECT cut, price FROM diamonds GROUP BY cut", InvalidArgument, &["price"]);

    check_error(
        "SELECT 2147483647 + 1",
        InvalidArgument,
        &["[ARITHMETIC_OVERFLOW]", "SQLSTATE: 22003", "try_add"],
    );
    check_error("SELECT price % 0 FROM diamonds", InvalidArgument, &["[REMAINDER_BY_ZERO]"]);
    check_error("SELECT cast(300 AS TINYINT)", InvalidArgument, &["[CAST_OVERFLOW]"]);
    check_error("SELECT levenshtein('a')", InvalidArgument, &["[WRONG_NUM_ARGS"]);
    check_error("SELECT * FROM diamonds TABLESAMPLE (101 PERCENT)", InvalidArgument, &["between 0 and 100"]);
    refused("SELECT * FROM diamonds VERSION AS OF 1", "VERSION AS OF");
    refused("SELECT * FROM diamonds TIMESTAMP AS OF '2024-01-01'", "TIMESTAMP AS OF");
    refused("WITH t AS (SELECT * FROM diamonds VERSION AS OF 1) SELECT 1", "VERSION AS OF");
    refused("SELECT (SELECT max(x) FROM diamonds VERSION AS OF 1)", "VERSION AS OF");
    refused("EXPLAIN SELECT * FROM diamonds VERSION AS OF 1", "VERSION AS OF");
    refused("SELECT /*+ SKEW(diamonds) */ cut FROM diamonds", "the optimizer hint SKEW");
    refused(
        "SELECT * FROM diamonds a JOIN diamonds b ON a.x = b.x EXCEPT ALL SELECT * FROM diamonds a JOIN diamonds b ON a.x = b.x",
        "EXCEPT ALL",
    );
    refused("SELECT cut FROM diamonds FOR UPDATE", "FOR UPDATE");
}

#[test]
fn after_shutdown() {
    let session = session();
    let frame = session.block_on(session.sql("SELECT 1")).unwrap();
    session.shutdown();
    let error = session.block_on(session.sql("SELECT 1")).unwrap_err();
    assert_eq!(error.kind(), ShutDown);
    assert_eq!(session.block_on(frame.collect()).unwrap_err().kind(), ShutDown);
}
