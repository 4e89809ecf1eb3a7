//! Queries over rows written in the query, against answers worked out by hand.

use super::{check, session};
use trefoil_sql::SqlSession;

const T: &str =
    "WITH t(g, x, s) AS (VALUES ('a', 1, 'one'), ('b', 2, NULL), ('a', 3, 'three'), ('b', NULL, 'x'))";

#[test]
fn answers() {
    let session = session();
    let check = |query: &str, expect: &[&str]| check(&session, &format!("{T} {query}"), expect);
    check("SELECT 1", &["1"]);
    check("SELECT 'it''s', \"double\"", &["it's|double"]);
    check("SELECT `x` FROM t WHERE g = 'a' ORDER BY x", &["1", "3"]);
    check("SELECT g, sum(x), count(*), count(s) FROM t GROUP BY g ORDER BY g", &["a|4|2|2", "b|2|2|1"]);
    check("SELECT x FROM t ORDER BY x DESC", &["3", "2", "1", "null"]);
    check("SELECT g FROM t GROUP BY g HAVING min(x) > 1", &["b"]);
    check("SELECT a.x, b.x FROM t a JOIN t b ON a.x + 1 = b.x ORDER BY 1", &["1|2", "2|3"]);
    check("SELECT count(*) FROM t a, t b", &["16"]);
    check(
        "SELECT x, row_number() OVER (PARTITION BY g ORDER BY x) FROM t WHERE x IS NOT NULL ORDER BY x",
        &["1|1", "2|1", "3|2"],
    );
    check("SELECT g FROM t UNION SELECT 'c' ORDER BY g", &["a", "b", "c"]);
    check(
        "SELECT CASE WHEN x > 1 THEN 'big' ELSE 'small' END FROM t WHERE x IS NOT NULL ORDER BY x",
        &["small", "big", "big"],
    );
    check("SELECT g, sum(x) FROM t GROUP BY ROLLUP(g) ORDER BY g", &["null|6", "a|4", "b|2"]);
    check("SELECT date '2024-01-31' + INTERVAL '1' DAY", &["2024-02-01"]);
    check("SELECT (SELECT max(x) FROM t) - x FROM t WHERE x IN (SELECT 2)", &["1"]);
    check("SELECT x FROM t WHERE false", &[]);
    check("SELECT 1;", &["1"]);
    check("SELECT 7 / 2, 7 DIV 2, -7 % 4, pmod(-7, 4)", &["3.5|3|-3|1"]);
    check(
        "SELECT typeof(1), typeof(1L), typeof(1S), typeof(1.50), typeof(1D), typeof(1e0)",
        &["int|bigint|smallint|decimal(3,2)|double|double"],
    );
    check("SELECT 1.0 / 3, 2.50 * 2, 0.1 + 0.2 = 0.3", &["0.333333|5.00|true"]);
    check("SELECT try_add(2147483647, 1), try_cast('x' AS INT), try_divide(1, 0)", &["null|null|null"]);
    check("SELECT '2' > 10, '10' = 10, 1 + '2'", &["false|true|3"]);
    check("SELECT x + 1 AS y, y * 2 AS z FROM t WHERE x = 2", &["3|6"]);
    check("SELECT X, G FROM t WHERE `X` = 3", &["3|a"]);
    check("SELECT INTERVAL 2 DAYS 3 HOURS = INTERVAL '2 03' DAY TO HOUR", &["true"]);
    check("SELECT 5 & 3 | 8, 5 ^ 1, ~0, 1 << 4, -16 >> 2", &["9|4|-1|16|-4"]);
    check("SELECT g, x FROM t ORDER BY ALL DESC", &["b|2", "b|null", "a|3", "a|1"]);
}

#[test]
fn columns_are_named_as_in_spark() {
    let session = session();
    let check = |query: &str, expect: &[&str]| {
        let frame = session.block_on(session.sql(query)).unwrap();
        assert_eq!(frame.columns(), expect, "{query}");
    };
    check("SELECT count(*), count(1) FROM VALUES (1) AS t(a)", &["count(1)", "count(1)_2"]);
    check("SELECT a + 1, sum(a), A FROM VALUES (1) AS t(a) GROUP BY a", &["(a + 1)", "sum(a)", "A"]);
    check(
        "SELECT CAST(a AS STRING), -a, upper('x') FROM VALUES (1) AS t(a)",
        &["CAST(a AS STRING)", "(- a)", "upper(x)"],
    );
    check("SELECT 1, 1.5, NULL, 'x'", &["1", "1.5", "NULL", "x"]);
    check("SELECT t.a, a IS NULL FROM VALUES (1) AS t(a)", &["a", "(a IS NULL)"]);
}

#[test]
fn plain_datafusion_is_an_option() {
    let session = trefoil_plan::Session::builder()
        .workers(2)
        .dialect(trefoil_sql::Dialect::DataFusion)
        .build()
        .unwrap();
    check(&session, "SELECT 7 / 2", &["3"]);
    check(&session, "SELECT x FROM (VALUES (1), (NULL)) AS t(x) ORDER BY x", &["1", "null"]);
}

#[test]
fn names_with_back_ticks() {
    let session = session();
    let _ = session
        .block_on(session.sql("CREATE VIEW `a ``view``` AS SELECT * FROM VALUES (1) AS t(`n``1`)"))
        .unwrap();
    assert_eq!(session.tables(), ["a `view`"]);
    check(&session, "SELECT `n``1` + 1 AS `x``` FROM `a ``view``` WHERE `a ``view```.`n``1` > 0", &["2"]);
    let frame = session.block_on(session.sql("SELECT 1 AS `x```")).unwrap();
    assert_eq!(frame.columns(), ["x`"]);
}
