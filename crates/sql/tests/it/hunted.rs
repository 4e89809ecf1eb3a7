//! What Spark's own tests found here: answers that were wrong and everyday statements that were refused. The statements are
//! ours, with Spark's answers; what has no answer of one query is below.

use super::as_spark::{check_file, rows};
use super::clauses::{fails, gives};
use super::session;
use trefoil_plan::{ErrorKind, Session};

#[test]
fn statements() {
    check_file("spark_hunted.jsonl", 110, &[]);
}

#[track_caller]
fn does(session: &Session, text: &str) {
    if let Err(error) = rows(session, text) {
        panic!("{text}\n{error}");
    }
}

#[test]
fn group_by_all_knows_aggregates_of_the_session() {
    use trefoil_sql::{Aggregate, SqlSession};
    let s = session();
    let total =
        Aggregate::new(0_i64, |sum: &mut i64, x: i64| *sum += x, |sum, other| *sum += other, |sum: i64| sum);
    s.register_aggregate("Total", total).unwrap();
    let t = "VALUES ('a', 1), ('b', 2), ('a', 3) AS t(k, x)";
    gives(&s, &format!("SELECT upper(k) AS u, total(x) FROM {t} GROUP BY ALL ORDER BY u"), &["A|4", "B|2"]);
}

/// Rules of plans know `max` by its name: a closure of that name would be taken for it, in any dialect.
#[test]
fn closures_take_no_name_that_plans_know() {
    use trefoil_plan::Dialect;
    use trefoil_sql::{Aggregate, SqlSession};
    let first = || Aggregate::new(0_i64, |seen: &mut i64, x: i64| *seen = x, |_, _| (), |seen: i64| seen);
    for dialect in [Dialect::Spark, Dialect::DataFusion] {
        let s = Session::builder().workers(1).memory("64MiB").dialect(dialect).build().unwrap();
        for name in ["max", "Sum", "bit_xor", "bool_and", "quantile", "var"] {
            let error = s.register_aggregate(name, first()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{name}: {error}");
            let error = s.register_window_fn(name, |xs: &[Option<i64>]| xs.to_vec()).unwrap_err();
            assert!(error.to_string().contains("take another name"), "{name}: {error}");
        }
        s.register_aggregate("maximal", first()).unwrap();
    }
}

#[test]
fn variables() {
    let s = session();
    does(&s, "DECLARE VARIABLE a, b INT DEFAULT 5");
    does(&s, "DECLARE VARIABLE t STRING");
    gives(&s, "SELECT a, session.b + 1, system.session.a + 0, typeof(t), t", &["5|6|5|string|NULL"]);
    does(&s, "SET VAR a = b + 1, b = a * 10");
    gives(&s, "SELECT a, b", &["6|50"]);
    does(&s, "SET VARIABLE (a, session.t) = (SELECT 7, 'x')");
    gives(&s, "SELECT a, t", &["7|x"]);
    does(&s, "SET VAR (a, b) = (SELECT 1, 2 WHERE false)");
    gives(&s, "SELECT a, b, typeof(a)", &["NULL|NULL|int"]);
    does(&s, "SET VAR a = DEFAULT, t = DEFAULT");
    gives(&s, "SELECT a, t", &["5|NULL"]);
    does(&s, "EXECUTE IMMEDIATE 'SELECT id, id * ? FROM range(10) WHERE id = 3' INTO a, b USING 4");
    gives(&s, "SELECT a, b", &["3|12"]);
    // A column goes before a variable.
    gives(&s, "SELECT a FROM VALUES (9) AS v(a)", &["9"]);
    fails(
        &s,
        "SET VAR (a, b) = (SELECT id, id + 1 FROM range(2))",
        ErrorKind::InvalidArgument,
        "TOO_MANY_ROWS",
    );
    fails(&s, "SET VAR (a, b) = (SELECT 1)", ErrorKind::ShapeMismatch, "ASSIGNMENT_ARITY_MISMATCH");
    fails(&s, "SET VAR a = 1, a = 2", ErrorKind::Syntax, "DUPLICATE_ASSIGNMENTS");
    fails(&s, "SET VAR nosuch = 1", ErrorKind::NotFound, "nosuch");
    fails(&s, "DECLARE VARIABLE c, c INT", ErrorKind::Syntax, "DUPLICATE_VARIABLE_NAME");
    fails(&s, "DECLARE VARIABLE c", ErrorKind::Syntax, "DECLARE VARIABLE");
    does(&s, "DROP TEMPORARY VARIABLE session.t");
    fails(&s, "DROP TEMPORARY VARIABLE t", ErrorKind::NotFound, "`t`");
}

#[test]
fn tables() {
    let s = session();
    does(&s, "CREATE TABLE counts (k INT, n INT)");
    does(&s, "INSERT INTO counts VALUES (1, 2), (3, 4)");
    does(&s, "TRUNCATE TABLE counts");
    gives(&s, "SELECT count(*) FROM counts", &["0"]);
    does(&s, "INSERT INTO counts VALUES (5, 6)");
    gives(&s, "SELECT * FROM counts", &["5|6"]);
    gives(&s, "(TABLE counts) UNION ALL TABLE counts", &["5|6", "5|6"]);
    does(&s, "CREATE TEMPORARY VIEW pairs AS VALUES (1, 'x'), (2, 'y') AS t(a, b)");
    gives(&s, "SELECT b FROM pairs WHERE a = 2", &["y"]);
    does(&s, "CREATE TEMPORARY VIEW bare AS VALUES (1, 'x')");
    gives(&s, "SELECT col2, col1 FROM bare", &["x|1"]);
}

#[test]
fn is_refused() {
    let s = session();
    const T: &str = "VALUES (1, 2), (3, NULL) AS t(a, b)";
    let refused = |text: &str, part: &str| fails(&s, text, ErrorKind::Unsupported, part);
    refused(&format!("SELECT count(t.*) FROM {T}"), "count(t.*)");
    refused(&format!("SELECT count() FROM {T}"), "WRONG_NUM_ARGS");
    refused(&format!("FROM {T} |> AGGREGATE sum(b) GROUP BY 1"), "a position in GROUP BY");
    fails(&s, "SELECT DATE'2024-01-01' UNION SELECT 1", ErrorKind::TypeMismatch, "INCOMPATIBLE_COLUMN_TYPE");
    fails(&s, "SELECT encode('größe', 'US-ASCII')", ErrorKind::InvalidArgument, "MALFORMED_CHARACTER_CODING");
    fails(&s, "SELECT decode(X'E9', 'UTF-8')", ErrorKind::InvalidArgument, "MALFORMED_CHARACTER_CODING");
    fails(&s, "SELECT ceil(1e300)", ErrorKind::InvalidArgument, "ARITHMETIC_OVERFLOW");
    gives(
        &s,
        "SELECT CAST(TIME'09:08:01.987654' AS TIME(3)), CAST('09:08:01.9' AS TIME(0))",
        &["09:08:01.987|09:08:01"],
    );
    gives(
        &s,
        "SELECT a, sum(a) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM VALUES (1), (2), (3) AS t(a) \
         WINDOW w AS (ORDER BY a) ORDER BY a",
        &["1|1", "2|3", "3|5"],
    );
    fails(&s, "SELECT sum(a) OVER (nosuch) FROM VALUES (1) AS t(a)", ErrorKind::InvalidArgument, "nosuch");
}

/// The time of a statement is one, also for rows that are made one after the other.
#[test]
fn now_is_one_moment() {
    let s = session();
    gives(&s, "SELECT count(DISTINCT now()), count(DISTINCT current_timestamp) FROM range(20000)", &["1|1"]);
    does(&s, "SET TIME ZONE 'Europe/Berlin'");
    gives(&s, "SELECT now() = current_timestamp(), count(DISTINCT now()) FROM range(20000)", &["true|1"]);
}
