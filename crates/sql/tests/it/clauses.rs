//! Clauses and statements of Spark's that DataFusion lacks, and tables of files.

use super::as_spark::rows;
use super::session;
use trefoil_plan::{ErrorKind, Session};
use trefoil_sql::SqlSession;

#[track_caller]
pub(crate) fn gives(session: &Session, query: &str, expect: &[&str]) {
    match rows(session, query) {
        Ok(found) => assert_eq!(found, expect, "{query}"),
        Err(error) => panic!("{query}\n{error}"),
    }
}

#[track_caller]
pub(crate) fn fails(session: &Session, query: &str, kind: ErrorKind, part: &str) {
    let error = rows(session, query).expect_err(query);
    assert_eq!(error.kind(), kind, "{query}\n{error}");
    assert!(error.to_string().contains(part), "{query}\nlacks {part:?} in\n{error}");
}

#[test]
fn bags_of_rows() {
    let s = session();
    const A: &str = "(SELECT x FROM VALUES (1), (1), (1), (2), (NULL), (NULL) AS a(x))";
    const B: &str = "(SELECT y FROM VALUES (1), (3), (NULL) AS b(y))";
    gives(&s, &format!("{A} EXCEPT ALL {B} ORDER BY x"), &["NULL", "1", "1", "2"]);
    gives(&s, &format!("{A} INTERSECT ALL {B} ORDER BY x"), &["NULL", "1"]);
    gives(&s, &format!("{A} MINUS {B} ORDER BY x"), &["2"]);
    gives(
        &s,
        "SELECT a, b FROM VALUES (1, 'p'), (1, 'p'), (2, 'q') AS t(a, b) EXCEPT ALL SELECT 1, 'p' ORDER BY a",
        &["1|p", "2|q"],
    );
    gives(&s, "SELECT 1, 1 EXCEPT ALL SELECT 2, 2", &["1|1"]);
}

#[test]
fn tuples() {
    let s = session();
    const T: &str = "(SELECT * FROM VALUES (1, 'a'), (2, 'b'), (NULL, 'c') AS t(n, s))";
    gives(
        &s,
        "SELECT (1, 2) = (1, 2), (1, 2) < (1, 3), (2, 1) <= (1, 9), (1, 2) <> (1, 2)",
        &["true|true|false|false"],
    );
    gives(&s, &format!("SELECT s FROM {T} WHERE (n, s) IN ((1, 'a'), (2, 'x'))"), &["a"]);
    gives(&s, &format!("SELECT s FROM {T} WHERE (n, s) IN (SELECT 2, 'b')"), &["b"]);
    // Null might be anything, so `c` is neither in it nor out of it.
    gives(
        &s,
        &format!("SELECT s FROM {T} WHERE (n, s) NOT IN (SELECT * FROM VALUES (2, 'b'), (5, 'c'))"),
        &["a"],
    );
    gives(&s, &format!("SELECT s FROM {T} WHERE (n, s) NOT IN (SELECT 2, 'b') ORDER BY s"), &["a", "c"]);
}

#[test]
fn groupings() {
    let s = session();
    const T: &str = "(SELECT * FROM VALUES ('x', 1, 10), ('x', 2, 20), ('y', 1, 30) AS t(a, b, v))";
    gives(
        &s,
        &format!("SELECT a, b, sum(v), grouping_id() FROM {T} GROUP BY a, b WITH ROLLUP ORDER BY 4, 1, 2"),
        &["x|1|10|0", "x|2|20|0", "y|1|30|0", "x|NULL|30|1", "y|NULL|30|1", "NULL|NULL|60|3"],
    );
    gives(
        &s,
        &format!(
            "SELECT grouping(b), grouping_id(a, b), count(*) FROM {T} GROUP BY CUBE (a, b) HAVING grouping_id() = 2 ORDER BY b"
        ),
        &["0|2|2", "0|2|1"],
    );
    gives(
        &s,
        &format!("SELECT typeof(grouping_id()), typeof(grouping(a)) FROM {T} GROUP BY ROLLUP(a) LIMIT 1"),
        &["bigint|tinyint"],
    );
    fails(
        &s,
        &format!("SELECT grouping(a) FROM {T} GROUP BY a"),
        ErrorKind::Unsupported,
        "UNSUPPORTED_GROUPING_EXPRESSION",
    );
    gives(&s, &format!("SELECT count(DISTINCT a, b), count(DISTINCT a) FROM {T}"), &["3|2"]);
}

#[test]
fn pipes() {
    let s = session();
    const T: &str = "FROM VALUES (1, 'a', 5), (2, 'b', 6), (3, 'a', 7) AS t(n, s, v)";
    gives(&s, &format!("{T} |> WHERE n > 1 |> SELECT s, v |> ORDER BY v DESC"), &["a|7", "b|6"]);
    gives(&s, &format!("{T} |> SET v = v * 2, n = v + 1 |> WHERE n > 13 |> ORDER BY n"), &["15|a|14"]);
    gives(&s, &format!("{T} |> DROP v |> AGGREGATE count(*) AS c GROUP BY s |> ORDER BY s"), &["a|2", "b|1"]);
    gives(&s, &format!("{T} |> EXTEND n + v AS w |> LIMIT 1 |> SELECT w"), &["6"]);
    gives(&s, &format!("{T} |> TABLESAMPLE (2 ROWS) |> AGGREGATE count(*)"), &["2"]);
    gives(&s, &format!("{T} |> DROP n |> PIVOT (sum(v) FOR s IN ('a', 'b'))"), &["12|6"]);
    // An inner WITH hides the outer one of its name.
    gives(
        &s,
        "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH a AS (SELECT 2 AS x) SELECT a.x FROM a)",
        &["2"],
    );
    gives(
        &s,
        "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH a AS (SELECT x + 1 AS x FROM a) SELECT x FROM a) t, a",
        &["2|1"],
    );
    gives(&s, "CREATE TEMPORARY VIEW r AS SELECT * FROM range(3)", &[]);
    gives(&s, "TABLE r |> AGGREGATE sum(id)", &["3"]);
    gives(&s, "TABLE r ORDER BY id DESC LIMIT 1", &["2"]);
}

#[test]
fn patterns_and_shifts() {
    let s = session();
    gives(
        &s,
        "SELECT 'Spark' LIKE ANY ('x%', 'S%'), 'Spark' LIKE ALL ('S%', 'x%'), 'Spark' NOT LIKE ALL ('x', 'y')",
        &["true|false|true"],
    );
    gives(&s, "SELECT 'SPARK' ILIKE ANY ('s%'), -16 >>> 28, -1L >>> 60, 'a' 'b'", &["true|15|15|ab"]);
    gives(
        &s,
        "SELECT dateadd(DAY, 3, DATE'2024-01-01'), datediff(MONTH, DATE'2024-01-15', DATE'2024-03-14')",
        &["2024-01-04 00:00:00|1"],
    );
    gives(&s, "SELECT named_struct('a', 1).a", &["1"]);
}

#[test]
fn sums_do_not_wrap() {
    let s = session();
    const BIG: &str = "VALUES (9223372036854775807L, 'a'), (1L, 'a'), (-5L, 'b') AS t(n, k)";
    fails(
        &s,
        &format!("SELECT sum(n) FROM {BIG} WHERE k = 'a'"),
        ErrorKind::InvalidArgument,
        "ARITHMETIC_OVERFLOW",
    );
    fails(
        &s,
        &format!("SELECT k, sum(n) FROM {BIG} GROUP BY k"),
        ErrorKind::InvalidArgument,
        "ARITHMETIC_OVERFLOW",
    );
    gives(&s, &format!("SELECT sum(n) FROM {BIG} WHERE n > 1"), &["9223372036854775807"]);
    gives(&s, &format!("SELECT sum(n) FROM {BIG} WHERE n = 0"), &["NULL"]);
    gives(
        &s,
        "SELECT k, sum(n) FILTER (WHERE n > 1), sum(n), typeof(sum(n)) FROM VALUES (1, 'a'), (2, 'a'), (NULL, 'b') AS t(n, k) \
         GROUP BY k ORDER BY k",
        &["a|2|3|bigint", "b|NULL|NULL|bigint"],
    );
    // A window may leave BIGINT and come back.
    gives(
        &s,
        "SELECT sum(n) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM \
         VALUES (1, 9223372036854775807L), (2, 0L), (3, 7L) AS t(i, n)",
        &["9223372036854775807", "9223372036854775807", "7"],
    );
    gives(&s, "SELECT sum(x), avg(x) FROM VALUES ('1.5'), ('2') AS t(x)", &["3.5|1.75"]);
    fails(&s, "SELECT sum(x) FROM VALUES ('a') AS t(x)", ErrorKind::InvalidArgument, "CAST_INVALID_INPUT");
}

#[test]
fn hints_are_honoured_or_refused() {
    let s = session();
    const JOIN: &str = "FROM range(100) a JOIN range(1000) b ON a.id = b.id";
    let plan = |query: &str| rows(&s, &format!("EXPLAIN {query}")).unwrap().join("\n");
    let merged = plan(&format!("SELECT /*+ MERGE(b) */ count(*) {JOIN}"));
    assert!(merged.contains("SortMergeJoin"), "{merged}");
    let spread = plan(&format!("SELECT /*+ BROADCAST(a) */ count(*) {JOIN}"));
    assert!(spread.contains("mode=CollectLeft"), "{spread}");
    let parted = plan(&format!("SELECT /*+ SHUFFLE_HASH(a) */ count(*) {JOIN}"));
    assert!(parted.contains("mode=Partitioned"), "{parted}");
    let few = plan("SELECT /*+ COALESCE(1) */ id, count(*) FROM range(100) GROUP BY id");
    assert!(!few.contains("RepartitionExec"), "{few}");
    for hint in ["MERGE(b)", "BROADCAST(b)", "SHUFFLE_HASH(b)", "REPARTITION(3)"] {
        gives(&s, &format!("SELECT /*+ {hint} */ count(*) {JOIN}"), &["100"]);
    }
    fails(&s, "SELECT /*+ BROADCASTT(a) */ 1", ErrorKind::Unsupported, "did you mean `BROADCAST`?");
    fails(&s, "SELECT /*+ REPARTITION(id) */ 1", ErrorKind::Unsupported, "number of partitions");
}

#[test]
fn orders() {
    let s = session();
    gives(
        &s,
        "SELECT * FROM VALUES (2, 'b'), (1, 'z'), (1, 'a') AS t(n, s) ORDER BY ALL",
        &["1|a", "1|z", "2|b"],
    );
    gives(&s, "SELECT n FROM VALUES (2), (1), (3) AS t(n) SORT BY n DESC", &["3", "2", "1"]);
    gives(&s, "SELECT n FROM VALUES (2), (1), (3) AS t(n) CLUSTER BY n", &["1", "2", "3"]);
    gives(&s, "SELECT n FROM VALUES (2), (1), (2) AS t(n) DISTRIBUTE BY n", &["1", "2", "2"]);
    gives(&s, "SELECT n FROM VALUES (2, 1), (1, 2) AS t(n, m) DISTRIBUTE BY n SORT BY m", &["2", "1"]);
    fails(&s, "SELECT 1 ORDER BY 2", ErrorKind::InvalidArgument, "ORDER_BY_POS_OUT_OF_RANGE");
    gives(
        &s,
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t",
        &["15"],
    );
}

#[test]
fn recursion_ends() {
    let s = session();
    const UP: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t";
    const INVALID: ErrorKind = ErrorKind::InvalidArgument;
    fails(&s, &format!("{UP}) SELECT count(*) FROM t"), INVALID, "[RECURSION_LEVEL_LIMIT_EXCEEDED]");
    fails(&s, &format!("{UP} WHERE n < 101) SELECT max(n) FROM t"), INVALID, "SQLSTATE: 42836");
    gives(&s, &format!("{UP} WHERE n < 100) SELECT max(n) FROM t"), &["100"]);
    // Each use of a query has steps of its own, and so has each run.
    gives(&s, &format!("{UP} WHERE n < 99) SELECT count(*) FROM t a JOIN t b ON a.n = b.n"), &["99"]);
    let twice = s.block_on(s.sql(&format!("{UP} WHERE n < 80) SELECT n FROM t"))).unwrap();
    for _ in 0..2 {
        assert_eq!(s.block_on(twice.count()).unwrap(), 80);
    }
    let set = |text: &str| gives(&s, &format!("SET {}", text.replace('|', " = ")), &[text]);
    set("spark.sql.cteRecursionLevelLimit|5");
    fails(&s, &format!("{UP}) SELECT count(*) FROM t"), INVALID, "has made 5 levels");
    set("spark.sql.cteRecursionLevelLimit|-1");
    gives(&s, &format!("{UP} WHERE n < 1000) SELECT max(n) FROM t"), &["1000"]);
    set("spark.sql.cteRecursionRowLimit|10");
    gives(&s, &format!("{UP} WHERE n < 9) SELECT max(n) FROM t"), &["9"]);
    fails(&s, &format!("{UP} WHERE n < 10) SELECT max(n) FROM t"), INVALID, "[RECURSION_ROW_LIMIT_EXCEEDED]");
    gives(&s, &format!("{UP}) SELECT count(*) FROM (SELECT n FROM t LIMIT 4)"), &["4"]);
    fails(&s, "SET spark.sql.cteRecursionRowLimit = many", INVALID, "`many` is no limit");
}

#[test]
fn conditions() {
    let s = session();
    for (query, kind, part) in [
        ("SELECT nosuch", ErrorKind::UnknownColumn, "[UNRESOLVED_COLUMN.WITH_SUGGESTION]"),
        ("SELECT * FROM nosuch", ErrorKind::UnknownTable, "[TABLE_OR_VIEW_NOT_FOUND]"),
        ("SELECT nosuch(1)", ErrorKind::NotFound, "[UNRESOLVED_ROUTINE]"),
        ("SELECT 1 FORM x y", ErrorKind::Syntax, "[PARSE_SYNTAX_ERROR]"),
        ("SELECT 1, 2 UNION SELECT 1", ErrorKind::InvalidArgument, "[NUM_COLUMNS_MISMATCH]"),
        ("SELECT id FROM range(2) a, range(2) b", ErrorKind::InvalidArgument, "[AMBIGUOUS_REFERENCE]"),
        ("SELECT id, count(*) FROM range(2)", ErrorKind::InvalidArgument, "[MISSING_AGGREGATION]"),
        ("SELECT 127Y + 1Y", ErrorKind::InvalidArgument, "[BINARY_ARITHMETIC_OVERFLOW]"),
        ("SELECT CAST(1 AS DATE)", ErrorKind::TypeMismatch, "CAST_WITH_FUNC_SUGGESTION"),
        ("SELECT to_char(1, '')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.EMPTY]"),
        ("SELECT to_char(1, 'S')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.WRONG_NUM_DIGIT]"),
        ("SELECT to_char(1, '9$')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.CUR_MUST_BEFORE_DIGIT]"),
        ("SELECT to_char(1, '.$9')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.CUR_MUST_BEFORE_DEC]"),
        ("SELECT to_char(1, '9,,9')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.CONT_THOUSANDS_SEPS]"),
        ("SELECT to_char(1, '.9,9')", ErrorKind::InvalidArgument, "THOUSANDS_SEPS_MUST_BEFORE_DEC]"),
        ("SELECT to_number('1', 'S9S')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.WRONG_NUM_TOKEN]"),
        ("SELECT to_number('1', 'PR9')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.UNEXPECTED_TOKEN]"),
        ("SELECT to_number('12', '000')", ErrorKind::InvalidArgument, "[INVALID_FORMAT.MISMATCH_INPUT]"),
    ] {
        fails(&s, query, kind, part);
        fails(&s, query, kind, "SQLSTATE: ");
    }
}

#[test]
fn functions_that_read_files() {
    let s = session();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.csv");
    std::fs::write(&file, "1;01/02/2024\nx;03/02/2024\n").unwrap();
    let path = file.display();
    gives(
        &s,
        &format!(
            "SELECT column_2 + 1 FROM read_csv('{path}', header => false, sep => ';', dateFormat => 'dd/MM/yyyy')"
        ),
        &["2024-02-02", "2024-02-04"],
    );
    std::fs::write(&file, "a,b\n1,2\n3\n").unwrap();
    gives(&s, &format!("SELECT r.* FROM read_csv('{path}', mode => 'DROPMALFORMED') r"), &["1|2"]);
    gives(
        &s,
        &format!("SELECT _corrupt_record FROM read_csv('{path}', mode => 'PERMISSIVE') WHERE b IS NULL"),
        &["3"],
    );
    gives(&s, &format!("SELECT count(*) FROM read_csv('{}')", super::data("diamonds.csv")), &["53940"]);
    gives(&s, &format!("SELECT count(*) FROM read_parquet('{}')", super::data("flights")), &["300000"]);
    fails(
        &s,
        &format!("SELECT * FROM read_csv('{path}', heder => true)"),
        ErrorKind::Unsupported,
        "did you mean `header`?",
    );
    fails(
        &s,
        &format!("SELECT * FROM read_csv('{path}', header => 7)"),
        ErrorKind::InvalidArgument,
        "true or false",
    );
    fails(
        &s,
        "SELECT * FROM read_parquet('nowhere', header => true)",
        ErrorKind::InvalidArgument,
        "no option",
    );
}

#[test]
fn tables_of_files() {
    let s = session();
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        rows(&s, text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    };
    run(&format!("SET spark.sql.warehouse.dir = '{}'", dir.path().join("warehouse").display()));

    run("CREATE TABLE plain (n INT, s STRING) USING parquet");
    gives(&s, "SELECT count(*) FROM plain", &["0"]);
    run("INSERT INTO plain VALUES (1, 'a'), (2, NULL)");
    run("INSERT INTO plain (s) SELECT 'only'");
    gives(&s, "SELECT * FROM plain ORDER BY s", &["2|NULL", "1|a", "NULL|only"]);
    run("INSERT OVERWRITE plain SELECT n + 10, s FROM plain WHERE n IS NOT NULL");
    gives(&s, "SELECT * FROM plain ORDER BY n", &["11|a", "12|NULL"]);
    fails(&s, "INSERT INTO plain SELECT 1", ErrorKind::InvalidArgument, "INSERT_COLUMN_ARITY_MISMATCH");
    fails(&s, "INSERT INTO plain VALUES ('x', 'y')", ErrorKind::InvalidArgument, "CAST_INVALID_INPUT");
    gives(&s, "SELECT count(*) FROM plain", &["2"]);

    run(
        "CREATE TABLE parted USING parquet PARTITIONED BY (y, m) AS SELECT * FROM VALUES (1, 2023, 'jan'), (2, 2024, 'jan'), (3, 2024, 'feb') AS t(n, y, m)",
    );
    gives(&s, "DESCRIBE parted", &["n|int|NULL", "y|int|NULL", "m|string|NULL"]);
    gives(&s, "SHOW PARTITIONS parted", &["y=2023/m=jan", "y=2024/m=feb", "y=2024/m=jan"]);
    run("INSERT OVERWRITE parted PARTITION (y = 2024, m = 'jan') SELECT 20");
    gives(&s, "SELECT * FROM parted ORDER BY n", &["1|2023|jan", "3|2024|feb", "20|2024|jan"]);
    run("INSERT OVERWRITE parted PARTITION (y = 2023, m = 'jan') SELECT 1 WHERE false");
    gives(&s, "SELECT n FROM parted ORDER BY n", &["3", "20"]);
    run("SET spark.sql.sources.partitionOverwriteMode = dynamic");
    run("INSERT OVERWRITE parted SELECT * FROM VALUES (30, 2024, 'feb'), (40, 2025, NULL)");
    gives(&s, "SELECT * FROM parted ORDER BY n", &["20|2024|jan", "30|2024|feb", "40|2025|NULL"]);
    run("SET spark.sql.sources.partitionOverwriteMode = static");
    run("INSERT OVERWRITE parted SELECT 50, 2026, 'mar'");
    gives(&s, "SELECT * FROM parted", &["50|2026|mar"]);
    fails(
        &s,
        "INSERT OVERWRITE parted PARTITION (y = 2026, m) SELECT 1, 'x'",
        ErrorKind::Unsupported,
        "partitionOverwriteMode",
    );
    fails(
        &s,
        "INSERT INTO parted PARTITION (n = 1) SELECT 1, 2",
        ErrorKind::InvalidArgument,
        "no partition column",
    );

    // Files elsewhere stay when their table goes.
    let csv = dir.path().join("csv");
    run(&format!(
        "CREATE TABLE outside USING csv LOCATION '{}' AS SELECT 1 AS a, DATE'2024-01-02' AS d",
        csv.display()
    ));
    run(&format!(
        "CREATE OR REPLACE TABLE outside (a BIGINT, d DATE) USING csv LOCATION '{}'",
        csv.display()
    ));
    gives(&s, "SELECT typeof(a), d + 1 FROM outside", &["bigint|2024-01-03"]);
    run("DROP TABLE outside");
    assert!(csv.is_dir());
    run("DROP TABLE parted");
    assert!(!dir.path().join("warehouse/parted").exists());
    fails(&s, "SELECT * FROM parted", ErrorKind::UnknownTable, "parted");
    fails(
        &s,
        "CREATE TABLE plain USING json AS SELECT 1 AS a",
        ErrorKind::AlreadyExists,
        "TABLE_OR_VIEW_ALREADY_EXISTS",
    );
    run("CREATE TABLE IF NOT EXISTS plain (x INT) USING json");
    fails(&s, "CREATE TABLE o (a INT) USING orc", ErrorKind::Unsupported, "USING orc");
    fails(
        &s,
        "CREATE TABLE o (a INT) USING parquet CLUSTERED BY (a) INTO 4 BUCKETS",
        ErrorKind::Unsupported,
        "CLUSTERED",
    );

    // A failed write leaves the table as it was.
    fails(&s, "INSERT OVERWRITE plain SELECT 1 / 0, 'x'", ErrorKind::InvalidArgument, "DIVIDE_BY_ZERO");
    gives(&s, "SELECT count(*) FROM plain", &["2"]);
}

#[test]
fn window_functions_and_async_ones() {
    let s = session();
    s.register_window_fn("share", |xs: &[Option<f64>]| {
        let sum: f64 = xs.iter().flatten().sum();
        xs.iter().map(|x| x.map(|x| x / sum)).collect()
    })
    .unwrap();
    s.register_window_fn("weighted", |xs: &[Option<i64>], ws: &[Option<i64>]| {
        let sum: i64 = xs.iter().zip(ws).filter_map(|(x, w)| Some((*x)? * (*w)?)).sum();
        vec![sum; xs.len()]
    })
    .unwrap();
    s.register_window_fn("short", |_: &[Option<i64>]| Vec::<i64>::new()).unwrap();
    s.register_window_fn("bad", |_: &[Option<i64>]| -> Vec<i64> { panic!("no window") }).unwrap();
    const T: &str = "FROM VALUES ('a', 1), ('a', 3), ('b', 5), ('b', NULL) AS t(k, n)";
    gives(
        &s,
        &format!("SELECT k, n, share(n) OVER (PARTITION BY k) AS x {T} ORDER BY k, n"),
        &["a|1|0.25", "a|3|0.75", "b|NULL|NULL", "b|5|1.0"],
    );
    gives(&s, &format!("SELECT DISTINCT weighted(n, n) OVER () {T}"), &["35"]);
    fails(
        &s,
        &format!("SELECT short(n) OVER () {T}"),
        ErrorKind::InvalidArgument,
        "gave 0 values for 4 rows",
    );
    fails(&s, &format!("SELECT bad(n) OVER () {T}"), ErrorKind::Panicked, "no window");

    s.register_async_fn("later", |x: i64, s: String| async move { format!("{s}{}", x + 1) }).unwrap();
    s.register_async_fn("maybe", |x: Option<i64>| async move {
        match x {
            Some(x) if x > 4 => Err(std::io::Error::other("too large")),
            other => Ok(other),
        }
    })
    .unwrap();
    s.register_async_fn("bust", |x: i64| async move { if x > 0 { panic!("at {x}") } else { x } }).unwrap();
    gives(&s, &format!("SELECT later(n, k) {T} ORDER BY 1"), &["NULL", "a2", "a4", "b6"]);
    gives(&s, &format!("SELECT maybe(n) {T} WHERE k = 'a' ORDER BY n"), &["1", "3"]);
    fails(&s, &format!("SELECT maybe(n) {T}"), ErrorKind::User, "too large");
    fails(&s, &format!("SELECT bust(n) {T}"), ErrorKind::Panicked, "at ");
    let many: Vec<String> = rows(&s, "SELECT later(id, '') FROM range(20000) ORDER BY id").unwrap();
    assert_eq!(many.len(), 20_000);
    assert_eq!(many[19_999], "20000");
}

#[test]
fn unpivot_of_several_columns() {
    let session = session();
    const SALES: &str = "(SELECT * FROM VALUES (2020, NULL, 1000, 2000, 2500), (2021, 2250, 3200, 4200, 5900), \
                         (2022, 4200, 3100, NULL, NULL) AS t(year, q1, q2, q3, q4))";
    let halves = |nulls: &str, names: &str| {
        format!(
            "SELECT * FROM {SALES} UNPIVOT {nulls} ((first, second) FOR half IN ({names})) ORDER BY year, half"
        )
    };
    // The example of Spark's documentation.
    let expect = [
        "2020|H1|NULL|1000",
        "2020|H2|2000|2500",
        "2021|H1|2250|3200",
        "2021|H2|4200|5900",
        "2022|H1|4200|3100",
    ];
    gives(&session, &halves("EXCLUDE NULLS", "(q1, q2) AS H1, (q3, q4) AS H2"), &expect);
    gives(&session, &halves("", "(q1, q2) AS H1, (q3, q4) AS H2"), &expect);
    let kept = [&expect[..], &["2022|H2|NULL|NULL"]].concat();
    gives(&session, &halves("INCLUDE NULLS", "(q1, q2) AS H1, (q3, q4) AS H2"), &kept);
    let one = format!(
        "SELECT half FROM {SALES} UNPIVOT ((a, b) FOR half IN ((q1, q2), (q4, q3))) WHERE year = 2021"
    );
    gives(&session, &format!("{one} ORDER BY ALL"), &["q1_q2", "q4_q3"]);
    let error = session.block_on(session.sql(&halves("", "(q1, q2), (q3)"))).unwrap_err();
    assert!(error.to_string().contains("[UNPIVOT_VALUE_SIZE_MISMATCH]"), "{error}");
}
