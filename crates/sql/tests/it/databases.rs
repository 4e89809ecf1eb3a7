//! Databases, and the statements that change tables and views or say what they are. The answers are those of Spark 4.3, as far
//! as both have them.

use super::as_spark::rows;
use super::clauses::{fails, gives};
use super::session;
use trefoil_plan::{ErrorKind, Session};

/// Runs statements, one after the other.
fn run(session: &Session, texts: &[&str]) {
    for text in texts {
        rows(session, text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    }
}

/// A session whose tables of files are in a directory that goes with the test.
fn warehouse() -> (Session, tempfile::TempDir) {
    let (session, dir) = (session(), tempfile::tempdir().unwrap());
    run(&session, &[&format!("SET spark.sql.warehouse.dir = '{}'", dir.path().display())]);
    (session, dir)
}

#[test]
fn tables_are_in_databases() {
    let (s, dir) = warehouse();
    run(&s, &["CREATE DATABASE d1 COMMENT 'of one'", "CREATE SCHEMA IF NOT EXISTS d1"]);
    gives(&s, "SHOW DATABASES", &["d1", "default"]);
    gives(&s, "SHOW SCHEMAS LIKE 'd?|*1'", &["d1"]);
    gives(&s, "DESCRIBE DATABASE d1", &["Catalog Name|spark_catalog", "Namespace Name|d1", "Comment|of one"]);
    gives(
        &s,
        "SELECT current_database(), current_schema(), current_catalog()",
        &["default|default|spark_catalog"],
    );
    // In memory, and files.
    run(
        &s,
        &["CREATE TABLE d1.m (n INT)", "INSERT INTO d1.m VALUES (1), (2)", "CREATE TABLE m AS SELECT 7 AS n"],
    );
    run(&s, &["CREATE TABLE d1.f USING parquet AS SELECT 1 AS a", "INSERT INTO d1.f VALUES (2)"]);
    assert!(dir.path().join("d1.db/f").is_dir());
    gives(&s, "SELECT (SELECT sum(n) FROM d1.m), (SELECT n FROM m), (SELECT n FROM default.m)", &["3|7|7"]);
    gives(&s, "SHOW TABLES", &["default|m|false"]);
    gives(&s, "SHOW TABLES IN d1", &["d1|f|false", "d1|m|false"]);
    run(&s, &["USE d1"]);
    gives(&s, "SELECT current_database()", &["d1"]);
    gives(&s, "SELECT max(m.n) + max(x.n) FROM m, spark_catalog.default.m AS x", &["9"]);
    gives(&s, "SELECT d1.f.a FROM f ORDER BY f.a", &["1", "2"]);
    gives(&s, "SELECT default.m.n FROM default.m", &["7"]);
    run(&s, &["CREATE VIEW v AS SELECT n + 1 AS k FROM m", "INSERT OVERWRITE f SELECT 5", "USE default"]);
    gives(&s, "SELECT k, a FROM d1.v, d1.f ORDER BY k", &["2|5", "3|5"]);
    gives(&s, "DESCRIBE d1.m", &["n|int|NULL"]);
    gives(&s, "SHOW COLUMNS IN d1.f", &["a"]);
    run(&s, &["CACHE TABLE d1.m", "UNCACHE TABLE d1.m", "TRUNCATE TABLE d1.m"]);
    gives(&s, "SELECT count(*) FROM d1.m", &["0"]);
    gives(&s, "SELECT count(*) FROM m", &["1"]);
    assert_eq!((s.database(), s.tables()), ("default".into(), vec!["m".to_owned()]));

    fails(&s, "DROP DATABASE d1", ErrorKind::InvalidArgument, "[SCHEMA_NOT_EMPTY]");
    run(&s, &["DROP VIEW d1.v", "DROP TABLE d1.m", "DROP DATABASE d1 CASCADE", "DROP DATABASE IF EXISTS d1"]);
    assert!(!dir.path().join("d1.db/f").exists());
    gives(&s, "SHOW DATABASES", &["default"]);
    // A table of that name begins anew.
    run(&s, &["CREATE DATABASE d1", "CREATE TABLE d1.f (b INT) USING parquet"]);
    gives(&s, "SELECT count(*) FROM d1.f", &["0"]);
}

#[test]
fn databases_that_are_not_there() {
    let (s, _dir) = warehouse();
    run(&s, &["CREATE DATABASE sales"]);
    for (text, kind, part) in [
        ("CREATE DATABASE sales", ErrorKind::AlreadyExists, "[SCHEMA_ALREADY_EXISTS]"),
        ("CREATE DATABASE parquet", ErrorKind::AlreadyExists, "42P06"),
        ("CREATE DATABASE far LOCATION '/x'", ErrorKind::Unsupported, "LOCATION"),
        ("USE sale", ErrorKind::NotFound, "did you mean `sales`?"),
        ("USE sale", ErrorKind::NotFound, "[SCHEMA_NOT_FOUND]"),
        ("DROP DATABASE sale", ErrorKind::NotFound, "42704"),
        ("DROP DATABASE default", ErrorKind::Unsupported, "[UNSUPPORTED_FEATURE.DROP_DATABASE]"),
        ("SHOW TABLES IN sale", ErrorKind::NotFound, "[SCHEMA_NOT_FOUND]"),
        ("CREATE TABLE sale.t (a INT) USING parquet", ErrorKind::NotFound, "[SCHEMA_NOT_FOUND]"),
        ("SELECT * FROM sale.t", ErrorKind::UnknownTable, "[TABLE_OR_VIEW_NOT_FOUND]"),
        ("SELECT * FROM sales.t", ErrorKind::UnknownTable, "[TABLE_OR_VIEW_NOT_FOUND]"),
    ] {
        fails(&s, text, kind, part);
    }
}

#[test]
fn views_and_tables_are_altered() {
    let (s, dir) = warehouse();
    run(&s, &["CREATE VIEW v AS SELECT 1 AS a", "ALTER VIEW v AS SELECT 2 AS b, 3 AS c"]);
    gives(&s, "SELECT * FROM v", &["2|3"]);
    run(
        &s,
        &[
            "ALTER VIEW v RENAME TO w",
            "CREATE DATABASE d",
            "CREATE TABLE d.t (a INT)",
            "INSERT INTO d.t VALUES (1)",
        ],
    );
    gives(&s, "SELECT b FROM w", &["2"]);
    run(&s, &["ALTER TABLE d.t RENAME TO u", "ALTER TABLE d.u ADD COLUMNS (z INT COMMENT 'last', s STRING)"]);
    run(&s, &["INSERT INTO d.u VALUES (2, 20, 'x')"]);
    gives(&s, "SELECT * FROM d.u ORDER BY a", &["1|NULL|NULL", "2|20|x"]);
    gives(&s, "DESCRIBE d.u", &["a|int|NULL", "z|int|NULL", "s|string|NULL"]);
    let place = dir.path().join("place");
    let make =
        format!("CREATE TABLE f USING parquet LOCATION '{}' AS SELECT 1 AS a, 2 AS y", place.display());
    run(&s, &[&make, "ALTER TABLE f RENAME TO g", "INSERT INTO g VALUES (3, 4)"]);
    gives(&s, "SELECT * FROM g ORDER BY a", &["1|2", "3|4"]);
    run(
        &s,
        &[
            "CREATE TABLE owned (a INT) USING parquet",
            "CREATE TABLE texts (a INT) USING csv",
            "CREATE TABLE n (a INT NOT NULL)",
        ],
    );
    for (text, kind, part) in [
        ("ALTER VIEW nosuch AS SELECT 1", ErrorKind::UnknownTable, "[TABLE_OR_VIEW_NOT_FOUND]"),
        ("ALTER TABLE nosuch RENAME TO x", ErrorKind::UnknownTable, "42P01"),
        ("ALTER VIEW g RENAME TO x", ErrorKind::InvalidArgument, "[EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE]"),
        ("ALTER TABLE w RENAME TO x", ErrorKind::InvalidArgument, "[EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW]"),
        ("ALTER TABLE g RENAME TO w", ErrorKind::AlreadyExists, "[TABLE_OR_VIEW_ALREADY_EXISTS]"),
        ("ALTER TABLE n ADD COLUMNS (A INT)", ErrorKind::AlreadyExists, "[COLUMN_ALREADY_EXISTS]"),
        ("ALTER TABLE n ADD COLUMNS (q INT FIRST)", ErrorKind::Unsupported, "FIRST"),
        ("ALTER TABLE g ADD COLUMNS (q INT)", ErrorKind::Unsupported, "table of files"),
        ("ALTER TABLE g DROP COLUMN a", ErrorKind::Unsupported, "known are RENAME TO and ADD COLUMNS"),
        ("ALTER TABLE owned RENAME TO x", ErrorKind::Unsupported, "directory of its name"),
        ("ALTER TABLE n ADD COLUMNS (q INT)", ErrorKind::Unsupported, "constraints or defaults"),
        ("ALTER TABLE n ADD COLUMNS (q INT NOT NULL)", ErrorKind::Unsupported, "NOT NULL"),
    ] {
        fails(&s, text, kind, part);
    }
    gives(
        &s,
        "SHOW TABLES",
        &[
            "default|g|false",
            "default|n|false",
            "default|owned|false",
            "default|texts|false",
            "default|w|false",
        ],
    );
}

#[test]
fn tables_are_described() {
    let (s, dir) = warehouse();
    run(
        &s,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.p USING parquet PARTITIONED BY (y) AS SELECT 1 AS a, 'x' AS y",
        ],
    );
    let location = dir.path().join("d.db/p");
    for word in ["EXTENDED", "FORMATTED"] {
        gives(
            &s,
            &format!("DESCRIBE {word} d.p"),
            &[
                "a|int|NULL",
                "y|string|NULL",
                "||",
                "# Detailed Table Information||",
                "Catalog|spark_catalog|",
                "Database|d|",
                "Table|p|",
                "Type|MANAGED|",
                "Provider|parquet|",
                &format!("Location|{}|", location.display()),
                "Partition Columns|y|",
            ],
        );
    }
    run(&s, &["CREATE VIEW v AS SELECT 1 AS a"]);
    let view = rows(&s, "DESC TABLE EXTENDED v").unwrap();
    assert!(view.contains(&"Type|VIEW|".to_owned()), "{view:?}");
    gives(&s, "DESCRIBE d.p a", &["col_name|a", "data_type|int", "comment|NULL"]);
    fails(&s, "DESCRIBE d.p b", ErrorKind::UnknownColumn, "[UNRESOLVED_COLUMN");
    for query in
        ["DESCRIBE QUERY SELECT 1 AS x, 'a' AS y", "DESC WITH t AS (SELECT 1 AS x, 'a' AS y) SELECT * FROM t"]
    {
        gives(&s, query, &["x|int|NULL", "y|string|NULL"]);
    }
    gives(&s, "DESCRIBE QUERY TABLE v", &["a|int|NULL"]);
}

#[test]
fn texts_have_lengths() {
    let (s, dir) = warehouse();
    let place = dir.path().join("place");
    run(
        &s,
        &[
            "CREATE TABLE m (a CHAR(5), b VARCHAR(3), n INT)",
            "CREATE TABLE f (a CHAR(5), b VARCHAR(3), n INT) USING parquet",
        ],
    );
    for t in ["m", "f"] {
        run(
            &s,
            &[
                &format!("INSERT INTO {t} VALUES ('ab', 'xyz', 1), (NULL, NULL, 2)"),
                &format!("INSERT INTO {t} VALUES ('abc      ', 'x    ', 3)"),
                &format!("INSERT INTO {t} (n, b) VALUES (4, 'ééé')"),
            ],
        );
        gives(&s, &format!("DESCRIBE {t}"), &["a|char(5)|NULL", "b|varchar(3)|NULL", "n|int|NULL"]);
        gives(
            &s,
            &format!("SELECT concat('[', a, ']', b), typeof(a), length(a), length(b) FROM {t} ORDER BY n"),
            &[
                "[ab   ]xyz|string|5|3",
                "NULL|string|NULL|NULL",
                "[abc  ]x  |string|5|3",
                "NULL|string|NULL|3",
            ],
        );
        for values in ["('abcdef', 'x', 5)", "('abc', 'xabc', 5)", "(NULL, 1234, 5)"] {
            let insert = format!("INSERT INTO {t} VALUES {values}");
            fails(&s, &insert, ErrorKind::InvalidArgument, "[EXCEED_LIMIT_LENGTH]");
            fails(&s, &insert, ErrorKind::InvalidArgument, "SQLSTATE: 54006");
        }
        gives(
            &s,
            &format!(
                "SELECT a = 'ab', 'ab' = a, a <=> 'ab', a > 'aa', a IN ('ab', 'zz'), a NOT IN ('ab'), a LIKE 'ab', \
                 a = concat('a', 'b'), b = 'xyz ', CASE a WHEN 'ab' THEN 1 END, a BETWEEN 'ab' AND 'ab', upper(a) = 'AB' \
                 FROM {t} WHERE n = 1"
            ),
            &["true|true|true|true|true|false|false|true|false|1|true|false"],
        );
        gives(
            &s,
            &format!("SELECT x.n FROM (SELECT a, max(n) AS n FROM {t} GROUP BY a) x WHERE x.a = 'ab'"),
            &["1"],
        );
        gives(&s, &format!("SELECT count(*) FROM {t} WHERE a IN ('abc', NULL) OR b IN ('xyz ')"), &["1"]);
    }
    run(&s, &["CREATE TABLE k (k CHAR(2))", "INSERT INTO k VALUES ('ab')"]);
    gives(&s, "SELECT n FROM f JOIN k ON a = k", &["1"]);
    gives(&s, "SELECT count(*) FROM f JOIN (SELECT 'ab' AS k) z ON a = z.k", &["0"]);
    run(&s, &["CREATE TABLE copy AS SELECT b, a AS c FROM m", "CREATE VIEW v AS SELECT a FROM f"]);
    gives(&s, "DESCRIBE copy", &["b|varchar(3)|NULL", "c|char(5)|NULL"]);
    gives(&s, "DESCRIBE v", &["a|char(5)|NULL"]);
    fails(&s, "INSERT INTO copy VALUES ('abcd', 'x')", ErrorKind::InvalidArgument, "[EXCEED_LIMIT_LENGTH]");
    // Files of others hold what they hold.
    run(
        &s,
        &[
            &format!("CREATE TABLE plain USING parquet LOCATION '{}' AS SELECT 'ab' AS a", place.display()),
            &format!("CREATE TABLE sized (a CHAR(4)) USING parquet LOCATION '{}'", place.display()),
        ],
    );
    gives(&s, "SELECT a || '|', a = 'ab' FROM sized", &["ab  |true".replacen("|", "||", 1).as_str()]);
    // A cast is one to STRING.
    gives(
        &s,
        "SELECT CAST('abcdef' AS CHAR(3)), CAST(1234 AS VARCHAR(2)), CAST('a' AS CHAR(3)) || '|'",
        &["abcdef|1234|a|"],
    );
    for text in
        ["CREATE TABLE no (a CHAR) USING parquet", "CREATE TABLE no (a VARCHAR)", "SELECT CAST('a' AS CHAR)"]
    {
        fails(&s, text, ErrorKind::Syntax, "[DATATYPE_MISSING_SIZE]");
    }
    fails(&s, "ALTER TABLE m ADD COLUMNS (z CHAR(2))", ErrorKind::Unsupported, "CHAR");
    fails(&s, "CREATE TABLE no (a CHAR(2)) AS SELECT 'abc'", ErrorKind::Unsupported, "beside AS query");
    fails(&s, "UPDATE m SET a = 'abcdefg'", ErrorKind::Unsupported, "CHAR");
}
