//! Spark's clauses and functions, against answers worked out by hand or known of Spark.

use super::{check, session};
use trefoil_plan::ErrorKind;
use trefoil_sql::{SqlSession, spark_format};

/// Rows as Spark prints them, cells separated by a bar.
fn rows(query: &str) -> Vec<String> {
    let session = session();
    let batches = session
        .block_on(async { session.sql(query).await?.collect().await })
        .unwrap_or_else(|error| panic!("{query}\n{error}"));
    let rows = batches.iter().flat_map(|batch| spark_format::rows(batch).unwrap());
    rows.map(|row| row.join("|")).collect()
}

fn gives(query: &str, expect: &[&str]) {
    assert_eq!(rows(query), expect, "{query}");
}

#[test]
fn generators_make_rows() {
    const T: &str =
        "WITH t AS (SELECT * FROM VALUES (1, array('a', 'b')), (2, array()), (3, NULL) AS t(id, xs))";
    gives(
        &format!("{T} SELECT id, x FROM t LATERAL VIEW explode(xs) v AS x ORDER BY id, x"),
        &["1|a", "1|b"],
    );
    gives(
        &format!("{T} SELECT t.id, v.x FROM t LATERAL VIEW OUTER explode(xs) v AS x ORDER BY id, x"),
        &["1|a", "1|b", "2|NULL", "3|NULL"],
    );
    gives(&format!("{T} SELECT id, posexplode(xs) FROM t ORDER BY pos"), &["1|0|a", "1|1|b"]);
    gives(
        &format!("{T} SELECT id, explode_outer(xs) AS x FROM t WHERE id > 1 ORDER BY id"),
        &["2|NULL", "3|NULL"],
    );
    gives("SELECT explode(map('a', 1, 'b', 2)) AS (k, v)", &["a|1", "b|2"]);
    gives("SELECT k + 1 FROM (SELECT explode(array(1, 2)) AS k) ORDER BY 1", &["2", "3"]);
    gives("SELECT stack(2, 1, 'x', 2, 'y')", &["1|x", "2|y"]);
    gives("SELECT inline(array(named_struct('a', 1, 'b', 'x')))", &["1|x"]);
    gives("SELECT json_tuple('{\"a\": 1, \"b\": [2]}', 'a', 'b', 'c')", &["1|[2]|NULL"]);
    gives("SELECT * FROM explode(array(7, 8)) AS t(n) ORDER BY n", &["7", "8"]);
    gives("SELECT id FROM range(2, 8, 3) ORDER BY id", &["2", "5"]);
    gives(
        "SELECT a, b FROM VALUES (array(1, 2)) AS t(xs) LATERAL VIEW explode(xs) AS a LATERAL VIEW explode(xs) AS b \
         ORDER BY a, b",
        &["1|1", "1|2", "2|1", "2|2"],
    );
}

/// A rule that moves a lambda over an input with more columns must not take a column for its parameter.
#[test]
fn lambdas_below_generators_and_projections() {
    const T: &str = "(SELECT * FROM VALUES (1, array(1, 2), array(5)), (2, array(3), NULL) AS t(id, xs, ys))";
    let made = format!("SELECT s FROM {T} LATERAL VIEW explode(transform(xs, x -> x * 10)) v AS s");
    gives(&format!("{made} ORDER BY s"), &["10", "20", "30"]);
    gives(&format!("SELECT count(*) FROM ({made})"), &["3"]);
    let session = session();
    let count = session.block_on(async { session.sql(&made).await?.count().await }).unwrap();
    assert_eq!(count, 3);
    gives(&format!("SELECT id, transform(xs, x -> x + id) AS a FROM {T} ORDER BY id"), &["1|[2,3]", "2|[5]"]);
    gives(
        &format!(
            "SELECT a FROM (SELECT transform(xs, x -> transform(ys, y -> x + y + id)) AS a, id FROM {T}) WHERE id = 1"
        ),
        &["[[7],[8]]"],
    );
    gives(&format!("SELECT id FROM {T} WHERE exists(xs, x -> x > id + 1) ORDER BY id"), &[]);
    gives(&format!("SELECT id FROM {T} WHERE exists(xs, x -> x > id) ORDER BY id"), &["1", "2"]);
    gives(
        "SELECT transform(array(struct(1 AS a, 'p' AS b)), x -> x.a + 1)[0], filter(array(struct(1 AS a)), x -> x.a > 1)",
        &["2|[]"],
    );
    gives(&format!("SELECT count(*) FROM (SELECT explode(filter(xs, x -> x > 1)) FROM {T})"), &["2"]);
    gives(
        &format!("SELECT sum(n) FROM (SELECT aggregate(xs, 0, (a, x) -> a + x + id) AS n, ys FROM {T})"),
        &["10"],
    );
}

#[test]
fn values_without_parentheses() {
    gives("SELECT x FROM VALUES 'a', 'b' AS t(x) ORDER BY x", &["a", "b"]);
    gives("SELECT sum(x) FROM VALUES 1, -2 + 4, abs(-3) t(x)", &["6"]);
    gives("SELECT * FROM (VALUES 1, NULL) ORDER BY 1", &["NULL", "1"]);
    gives("VALUES 1, 2 ORDER BY 1", &["1", "2"]);
    gives("SELECT x, y FROM VALUES (1, 2), (3, 4) AS t(x, y) ORDER BY x", &["1|2", "3|4"]);
}

#[test]
fn structs_name_their_fields() {
    gives(
        "SELECT struct(1, 'a'), struct(id, s.x, 2 AS two, id + 1) FROM VALUES (7, named_struct('x', 8)) AS t(id, s)",
        &[r#"{"col1":1,"col2":"a"}|{"id":7,"x":8,"two":2,"col4":8}"#],
    );
    const T: &str = "VALUES (1, named_struct('x', 1, 'y', 'p')), (2, NULL) AS t(id, s)";
    gives(&format!("SELECT id, s.* FROM {T} ORDER BY id"), &["1|1|p", "2|NULL|NULL"]);
    gives(
        &format!("WITH t AS (SELECT * FROM {T}) SELECT y FROM (SELECT t.s.*, id FROM t) WHERE x = 1"),
        &["p"],
    );
    gives("SELECT struct(1, 2).col2, typeof(struct(1, 'a'))", &["2|struct<col1:int,col2:string>"]);
}

#[test]
fn sums_of_distinct_values() {
    const T: &str = "VALUES ('a', 1), ('a', 1), ('a', 2), ('b', 3), ('b', NULL) AS t(k, n)";
    gives(
        &format!("SELECT k, sum(DISTINCT n), sum(n), max(n) FROM {T} GROUP BY k ORDER BY k"),
        &["a|3|4|2", "b|3|3|3"],
    );
    gives(&format!("SELECT sum(DISTINCT n), sum(n + 1) FROM {T}"), &["6|11"]);
    // The rule that looks for `sum` by its name finds ours: distinct values are groups.
    let plan = rows(&format!("EXPLAIN SELECT k, sum(DISTINCT n), sum(n) FROM {T} GROUP BY k")).join("\n");
    assert!(!plan.contains("DISTINCT") || plan.contains("alias1"), "{plan}");
}

#[test]
fn windows_whose_sum_leaves_bigint_are_errors() {
    let session = session();
    const T: &str = "FROM VALUES (1, 9223372036854775807), (2, 1), (3, -5) AS t(i, x)";
    for frame in ["UNBOUNDED", "1"] {
        let query = format!("SELECT sum(x) OVER (ORDER BY i ROWS {frame} PRECEDING) {T}");
        let error = session.block_on(async { session.sql(&query).await?.collect().await }).expect_err(&query);
        assert!(error.to_string().contains("[ARITHMETIC_OVERFLOW]"), "{query}\n{error}");
    }
    // in the window, though not in its sum, BIGINT is left
    check(
        &session,
        &format!("SELECT sum(x) OVER (ORDER BY i DESC ROWS 2 PRECEDING) AS s {T} ORDER BY s"),
        &["-5", "-4", "9223372036854775803"],
    );
}

#[test]
fn sums_of_decimals_that_leave_their_digits_are_errors() {
    let session = session();
    const BIG: &str = "99999999999999999999999999999999999999BD";
    let fails = |query: &str| {
        let error = session.block_on(async { session.sql(query).await?.collect().await }).expect_err(query);
        assert!(error.to_string().contains("[ARITHMETIC_OVERFLOW]"), "{query}\n{error}");
    };
    let values = |more: &str| format!("VALUES (1, {BIG}), (1, {more}), (2, 5BD) AS t(k, x)");
    fails(&format!("SELECT sum(x) FROM {}", values("1BD")));
    fails(&format!("SELECT k, sum(x) FROM {} GROUP BY k", values("1BD")));
    // Here 128 bits would not be enough.
    fails(&format!("SELECT sum(x) FROM {}", values(BIG)));
    fails(&format!("SELECT k, sum(x) FROM {} GROUP BY k", values(BIG)));
    let less = values(&format!("-{BIG}"));
    gives(&format!("SELECT sum(x), typeof(sum(x)) FROM {less}"), &["5|decimal(38,0)"]);
    gives(&format!("SELECT k, sum(x) FROM {less} GROUP BY k ORDER BY k"), &["1|0", "2|5"]);
    gives(
        &format!("SELECT k, sum(x) FILTER (WHERE x < 9) FROM {less} GROUP BY k ORDER BY k"),
        &["1|-99999999999999999999999999999999999999", "2|5"],
    );
    gives(&format!("SELECT sum(x) FROM {less} WHERE k > 7"), &["NULL"]);
}

#[test]
fn nanoseconds_of_timestamps() {
    let session = session();
    let one = |query: &str| {
        let batches = session.block_on(async { session.sql(query).await?.collect().await }).unwrap();
        spark_format::rows(&batches[0]).unwrap()[0].join("|")
    };
    const T: &str = "TIMESTAMP_NTZ '2009-07-30 12:00:00.123456789'";
    assert_eq!(one(&format!("SELECT {T}")), "2009-07-30 12:00:00.123456");
    assert_eq!(
        one("SET spark.sql.timestampNanosTypes.enabled=true"),
        "spark.sql.timestampNanosTypes.enabled|true"
    );
    assert_eq!(one(&format!("SELECT {T}, day({T})")), "2009-07-30 12:00:00.123456789|30");
    assert_eq!(one(&format!("SELECT {T} > TIMESTAMP_NTZ '2009-07-30 12:00:00.123456788'")), "true");
    assert_eq!(one("SELECT TIMESTAMP '1969-12-31 23:59:59.1234567'"), "1969-12-31 23:59:59.1234567");
    assert_eq!(one(&format!("SELECT date_trunc('MICROSECOND', {T})")), "2009-07-30 12:00:00.123456");
}

#[test]
fn pivot_and_back() {
    const T: &str =
        "(SELECT * FROM VALUES ('a', 1, 10), ('a', 2, 20), ('b', 1, 30), ('a', 1, 5) AS t(k, q, v))";
    gives(&format!("SELECT * FROM {T} PIVOT (sum(v) FOR q IN (1, 2)) ORDER BY k"), &["a|15|20", "b|30|NULL"]);
    let session = session();
    let columns = |query: &str| session.block_on(session.sql(query)).unwrap().columns();
    assert_eq!(
        columns(&format!("SELECT * FROM {T} PIVOT (sum(v) FOR q IN (1, 2 AS two))")),
        ["k", "1", "two"]
    );
    assert_eq!(
        columns(&format!("SELECT * FROM {T} PIVOT (sum(v) AS s, max(v) FOR q IN (1 AS one))")),
        ["k", "one_s", "one_max(v)"]
    );
    const W: &str = "(SELECT * FROM VALUES (1, 10, NULL), (2, 20, 200) AS t(id, a, b))";
    gives(
        &format!("SELECT * FROM {W} UNPIVOT (v FOR name IN (a, b)) ORDER BY id, name"),
        &["1|a|10", "2|a|20", "2|b|200"],
    );
    gives(
        &format!(
            "SELECT id, name, v FROM {W} UNPIVOT INCLUDE NULLS (v FOR name IN (a, b)) WHERE id = 1 ORDER BY name"
        ),
        &["1|a|10", "1|b|NULL"],
    );
}

#[test]
fn samples() {
    gives("SELECT count(*) FROM range(10000) TABLESAMPLE (5 ROWS)", &["5"]);
    gives("SELECT count(*) FROM range(100) TABLESAMPLE (100 PERCENT)", &["100"]);
    gives("SELECT count(*) FROM range(100) TABLESAMPLE (0 PERCENT)", &["0"]);
    let drawn: u32 = rows("SELECT count(*) FROM range(10000) TABLESAMPLE (10 PERCENT)")[0].parse().unwrap();
    assert!((500..1500).contains(&drawn), "{drawn}");
}

#[test]
fn lambdas() {
    gives("SELECT transform(array(1, 2, NULL), x -> x * 10)", &["[10,20,null]"]);
    gives(
        "SELECT transform(xs, (x, i) -> x + i + n) FROM VALUES (array(1, 2), 5), (NULL, 1), (array(), 2) AS t(xs, n)",
        &["[6,8]", "NULL", "[]"],
    );
    gives("SELECT filter(array(1, 5, NULL), x -> x > 2), exists(array(1, 2), x -> x = 2)", &["[5]|true"]);
    gives(
        "SELECT aggregate(array(1, 2, 3), 100, (a, x) -> a - x), reduce(array(2, 3), 1, (a, x) -> a * x, a -> -a)",
        &["94|-6"],
    );
    gives("SELECT zip_with(array(1, 2), array('a'), (x, y) -> concat_ws('-', x, y))", &["[\"1-a\",\"2\"]"]);
    gives("SELECT map_filter(map('a', 1, 'b', 2), (k, v) -> v > 1)", &["{\"b\":2}"]);
    gives(
        "SELECT transform(array(array(1, 2), array(3)), xs -> aggregate(xs, 0, (a, x) -> a + x))",
        &["[3,3]"],
    );
}

#[test]
fn aggregates() {
    const T: &str = "FROM VALUES (1, 'a'), (3, 'b'), (2, NULL), (NULL, 'd') AS t(n, s)";
    gives(
        &format!("SELECT collect_list(n), sort_array(collect_set(s)), count_if(n > 1) {T}"),
        &["[1,3,2]|[\"a\",\"b\",\"d\"]|2"],
    );
    gives(&format!("SELECT max_by(s, n), min_by(s, n), max_by(n, n, 2) {T}"), &["b|a|[3,2]"]);
    gives(&format!("SELECT percentile(n, 0.5), median(n), percentile_approx(n, 0.5) {T}"), &["2.0|2.0|2"]);
    gives(&format!("SELECT listagg(s, '-') WITHIN GROUP (ORDER BY s DESC) {T}"), &["d-b-a"]);
    gives(&format!("SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY n DESC) {T}"), &["2.5"]);
    gives("SELECT try_sum(n) FROM VALUES (9223372036854775807L), (1L) AS t(n)", &["NULL"]);
    gives(
        "SELECT k, collect_list(v) FROM VALUES (1, 'x'), (2, 'y'), (1, 'z') AS t(k, v) GROUP BY k ORDER BY k",
        &["1|[\"x\",\"z\"]", "2|[\"y\"]"],
    );
    gives("SELECT v, max_by(v, v) OVER (ORDER BY v) FROM VALUES (1), (2) AS t(v)", &["1|1", "2|2"]);
}

#[test]
fn joins_find_nulls_and_names() {
    let session = session();
    check(
        &session,
        "SELECT A.x, b.Y FROM (SELECT 1 AS X) a JOIN (SELECT 1 AS x, 2 AS y) B ON a.X = b.x",
        &["1|2"],
    );
    let error = session.block_on(session.sql("SELECT count_min_sketch(1, 0.5D, 0.5D, 1)")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("sketches"), "{error}");
    check(
        &session,
        "SET spark.sql.parser.escapedStringLiterals=true",
        &["spark.sql.parser.escapedStringLiterals|true"],
    );
    check(&session, r"SELECT length('\n')", &["2"]);
    let error = session.block_on(session.sql("SET spark.sql.ansi.enabled=false")).unwrap_err();
    assert!(error.to_string().contains("not supported"), "{error}");
    let error = session.block_on(session.sql("SET spark.sql.ansi.enable=true")).unwrap_err();
    assert!(error.to_string().contains("did you mean `spark.sql.ansi.enabled`?"), "{error}");
}

#[test]
fn closures_are_functions() {
    use trefoil_sql::Aggregate;
    let session = session();
    session.register_fn("plus1", |x: i64| x + 1).unwrap();
    session.register_fn("shout", |s: &str| format!("{}!", s.to_uppercase())).unwrap();
    session.register_fn("or_zero", |x: Option<f64>| x.unwrap_or(0.0)).unwrap();
    session.register_fn("half", |x: i32| if x % 2 == 0 { Some(x / 2) } else { None }).unwrap();
    session.register_fn("area", |a: f64, b: f64, c: bool| if c { a * b } else { 0.0 }).unwrap();
    session
        .register_fn("checked", |x: i64| if x < 0 { Err(std::io::Error::other("below zero")) } else { Ok(x) })
        .unwrap();
    session.register_fn("boom", |x: i64| -> i64 { panic!("boom at {x}") }).unwrap();
    check(&session, "SELECT plus1(41), Plus1(NULL), shout('hey'), or_zero(NULL)", &["42|null|HEY!|0.0"]);
    check(&session, "SELECT half(x) FROM VALUES (2), (3) AS t(x)", &["1", "null"]);
    check(&session, "SELECT area(2, 3.5, true)", &["7.0"]);
    let fails = |query: &str, kind: ErrorKind, part: &str| {
        let error = session.block_on(async { session.sql(query).await?.collect().await }).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    fails("SELECT checked(x) FROM VALUES (-1) AS t(x)", ErrorKind::User, "below zero");
    fails("SELECT boom(x) FROM VALUES (7) AS t(x)", ErrorKind::Panicked, "boom at 7");
    fails("SELECT plus1(1, 2)", ErrorKind::TypeMismatch, "`plus1` takes 1 arguments, 2 were given");
    fails("SELECT plus1(array(1))", ErrorKind::TypeMismatch, "BIGINT");
    let mean = Aggregate::new(
        (0.0, 0_u64),
        |(sum, n): &mut (f64, u64), x: f64| {
            *sum += x;
            *n += 1;
        },
        |(sum, n), (s, m)| {
            *sum += s;
            *n += m;
        },
        |(sum, n)| if n == 0 { None } else { Some(sum / n as f64) },
    );
    session.register_aggregate("my_mean", mean).unwrap();
    check(&session, "SELECT my_mean(x) FROM VALUES (1), (2), (NULL), (6) AS t(x)", &["3.0"]);
    check(
        &session,
        "SELECT k, my_mean(x) FROM VALUES ('a', 1), ('b', NULL) AS t(k, x) GROUP BY k ORDER BY k",
        &["a|1.0", "b|null"],
    );
}

#[test]
fn statements_of_spark() {
    let session = session();
    let run = |text: &str| {
        let _ = session.block_on(session.sql(text)).unwrap_or_else(|error| panic!("{text}\n{error}"));
    };
    let check = |query: &str, expect: &[&str]| check(&session, query, expect);
    run("CREATE VIEW t AS SELECT * FROM VALUES (1, 'a'), (2, 'b') AS t(Id, s)");
    check("SHOW TABLES", &["default|t|false"]);
    check("SHOW TABLES LIKE 'x*'", &[]);
    check("SHOW COLUMNS IN T", &["Id", "s"]);
    check("DESCRIBE t", &["Id|int|null", "s|string|null"]);
    check("SHOW FUNCTIONS LIKE 'leven*'", &["levenshtein"]);
    check("DESCRIBE FUNCTION upper", &["Function: upper", "Usage: upper(str) -> str"]);
    check("SHOW DATABASES", &["default"]);
    run("CACHE TABLE t");
    check("SELECT sum(id) FROM t", &["3"]);
    run("UNCACHE TABLE t");
    check("SELECT sum(id) FROM t", &["3"]);
    run("CACHE TABLE u AS SELECT id * 10 AS n FROM t");
    check("SELECT n FROM u ORDER BY n", &["10", "20"]);
    run("DECLARE VARIABLE lo INT DEFAULT 1 + 1");
    check("SELECT id, lo + 1 FROM t WHERE id >= lo", &["2|3"]);
    run("SET VAR lo = lo - 1");
    check("SELECT count(*) FROM t WHERE id >= lo", &["2"]);
    run("DROP TEMPORARY VARIABLE lo");
    run("CREATE FUNCTION twice(x INT, by INT DEFAULT 2) RETURNS BIGINT RETURN x * by");
    check("SELECT twice(21), Twice(id, 3), typeof(twice(1)) FROM t WHERE id = 1", &["42|3|bigint"]);
    check("EXECUTE IMMEDIATE 'SELECT id FROM t WHERE id > ? AND s = :s' USING 1, 'b' AS s", &["2"]);
    check("SELECT IDENTIFIER('id') FROM IDENTIFIER('t') ORDER BY 1", &["1", "2"]);
    run("EXPLAIN EXTENDED SELECT 1");
    run("EXPLAIN FORMATTED SELECT id FROM t");
    let fails = |query: &str, kind: ErrorKind, part: &str| {
        let error = session.block_on(async { session.sql(query).await?.collect().await }).expect_err(query);
        assert_eq!(error.kind(), kind, "{query}\n{error}");
        assert!(error.to_string().contains(part), "{query}\n{error}");
    };
    fails("EXPLAIN COST SELECT 1", ErrorKind::Unsupported, "COST");
    fails("SELECT twice()", ErrorKind::InvalidArgument, "WRONG_NUM_ARGS");
    fails("UNCACHE TABLE t", ErrorKind::NotFound, "cached table");
    fails("SET VAR low = 1", ErrorKind::NotFound, "variable `low`");
    fails("CREATE FUNCTION f(x INT) RETURNS TABLE RETURN SELECT 1", ErrorKind::Unsupported, "table");
    fails("CREATE FUNCTION upper(x INT) RETURN x", ErrorKind::AlreadyExists, "upper");
    fails("CACHE LAZY TABLE t", ErrorKind::Unsupported, "LAZY");
    fails("DESCRIBE FUNCTION levenstein", ErrorKind::NotFound, "did you mean `levenshtein`?");
}

#[test]
fn parameters_are_values() {
    use trefoil_sql::{Parameter, Parameters};
    let session = session();
    let rows = |query: &str, parameters: Parameters| {
        let frame = session.block_on(session.sql_with(query, parameters))?;
        let batches = session.block_on(frame.collect())?;
        let rows = batches.iter().flat_map(|batch| spark_format::rows(batch).unwrap());
        Ok::<_, trefoil_plan::Error>(rows.map(|row| row.join("|")).collect::<Vec<_>>())
    };
    let given =
        Parameters::new().with(-5).with("it's; DROP TABLE t --").with(1.5).with(true).with(None::<i64>);
    assert_eq!(rows("SELECT ? - 1, ?, ?, ?, ?", given).unwrap(), ["-6|it's; DROP TABLE t --|1.5|true|NULL"]);
    let day = Parameter::Typed("2024-02-29".into(), "DATE".into());
    assert_eq!(
        rows("SELECT :d + 1, :D", Parameters::new().name("d", day)).unwrap(),
        ["2024-03-01|2024-02-29"]
    );
    let error = rows("SELECT :lo", Parameters::new().name("low", 1)).unwrap_err();
    assert!(
        error.to_string().contains("[UNBOUND_SQL_PARAMETER]") && error.to_string().contains("`:low`"),
        "{error}"
    );
    assert!(rows("SELECT ?", Parameters::from([1, 2])).is_err());
}

#[test]
fn keys_of_outer_joins() {
    const T: &str = "WITH a AS (SELECT * FROM VALUES (1, 'x'), (2, 'y') AS t(k, l)), \
                     b AS (SELECT * FROM VALUES (2, 'z'), (3, 'w') AS t(k, r)) ";
    gives(
        &format!("{T} SELECT k, l, r FROM a FULL JOIN b USING (k) ORDER BY k"),
        &["1|x|NULL", "2|y|z", "3|NULL|w"],
    );
    gives(
        &format!("{T} SELECT * FROM a FULL JOIN b USING (k) ORDER BY k"),
        &["1|x|NULL", "2|y|z", "3|NULL|w"],
    );
    gives(&format!("{T} SELECT k + 1, r FROM a RIGHT JOIN b USING (k) WHERE k > 2"), &["4|w"]);
    gives(
        &format!("{T} SELECT k, count(*) FROM a FULL OUTER JOIN b USING (k) GROUP BY k ORDER BY k"),
        &["1|1", "2|1", "3|1"],
    );
}
