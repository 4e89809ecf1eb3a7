//! Queries over rows written in the query, against answers worked out by hand.

use super::{check, session};

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
    check("SELECT x FROM t ORDER BY x DESC", &["null", "3", "2", "1"]);
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
    check("SELECT g, sum(x) FROM t GROUP BY ROLLUP(g) ORDER BY g", &["a|4", "b|2", "null|6"]);
    check("SELECT date '2024-01-31' + INTERVAL '1' DAY", &["2024-02-01"]);
    check("SELECT (SELECT max(x) FROM t) - x FROM t WHERE x IN (SELECT 2)", &["1"]);
    check("SELECT x FROM t WHERE false", &[]);
    check("SELECT 1;", &["1"]);
    // DataFusion's meaning, which will become Spark's.
    check("SELECT 7 / 2, -7 % 4", &["3|-3"]);
}
