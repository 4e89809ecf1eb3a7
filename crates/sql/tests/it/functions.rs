//! Ciphers, XML, geometries, random numbers, counters, collations.

use super::{prints as check, rows, session};
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

#[track_caller]
fn fails(session: &Session, query: &str, condition: &str) {
    let done = session.block_on(async { session.sql(query).await?.collect().await });
    let error = done.expect_err(query).to_string();
    assert!(error.contains(condition), "{query}\nlacks {condition} in\n{error}");
}

#[test]
fn ciphers() {
    let s = session();
    for (key, mode) in [(16, "ECB"), (24, "CBC"), (32, "GCM"), (16, "CBC"), (24, "GCM"), (32, "ECB")] {
        for text in ["", "Spark", "sixteen bytes ..", "more than one block of text"] {
            let (key, mode) = (format!("repeat('k', {key})"), format!("'{mode}'"));
            let query = format!(
                "SELECT CAST(aes_decrypt(aes_encrypt('{text}', {key}, {mode}), {key}, {mode}) AS STRING) = '{text}'"
            );
            check(&s, &query, &["true"]);
        }
    }
    check(
        &s,
        "SELECT base64(aes_encrypt('Spark', 'abcdefghijklmnop12345678ABCDEFGH', 'CBC', 'DEFAULT', unhex('00000000000000000000000000000000')))",
        &["AAAAAAAAAAAAAAAAAAAAAPSd4mWyMZ5mhvjiAPQJnfg="],
    );
    check(&s, "SELECT try_aes_decrypt(X'00112233', '1234567890abcdef')", &["NULL"]);
    check(&s, "SELECT aes_encrypt(NULL, '1234567890abcdef')", &["NULL"]);
    fails(&s, "SELECT aes_encrypt('a', 'short')", "[INVALID_PARAMETER_VALUE.AES_KEY_LENGTH]");
    fails(
        &s,
        "SELECT aes_encrypt('a', '1234567890abcdef', 'GCM', 'DEFAULT', X'00')",
        "[INVALID_PARAMETER_VALUE.AES_IV_LENGTH]",
    );
    fails(&s, "SELECT aes_encrypt('a', '1234567890abcdef', 'XTS')", "[UNSUPPORTED_FEATURE.AES_MODE]");
    fails(
        &s,
        "SELECT aes_encrypt('a', '1234567890abcdef', 'ECB', 'DEFAULT', X'00')",
        "[UNSUPPORTED_FEATURE.AES_MODE_IV]",
    );
    fails(
        &s,
        "SELECT aes_encrypt('a', '1234567890abcdef', 'CBC', 'DEFAULT', '', 'more')",
        "[UNSUPPORTED_FEATURE.AES_MODE_AAD]",
    );
    fails(
        &s,
        "SELECT aes_decrypt(X'00112233', '1234567890abcdef')",
        "[INVALID_PARAMETER_VALUE.AES_CRYPTO_ERROR]",
    );
}

#[test]
fn xml() {
    let s = session();
    check(
        &s,
        "SELECT to_json(from_xml('<p id=\"7\"><a>1</a><a>2</a><b><c>x</c></b><d u=\"m\">3.5</d><e/></p>', \
         '_id INT, a ARRAY<INT>, b STRUCT<c: STRING>, d STRUCT<_VALUE: DOUBLE, _u: STRING>, e STRING, f INT', \
         map()))",
        &[r#"{"_id":7,"a":[1,2],"b":{"c":"x"},"d":{"_VALUE":3.5,"_u":"m"},"e":""}"#],
    );
    check(&s, "SELECT to_json(from_xml('<p><a>1</a', 'a INT'))", &["{}"]);
    fails(&s, "SELECT from_xml('<p>', 'a INT', map('mode', 'FAILFAST'))", "[MALFORMED_RECORD_IN_PARSING");
    check(
        &s,
        "SELECT schema_of_xml('<p x=\"1\"><a>1</a><a>2.5</a><b>true</b><c>2024-01-31</c></p>')",
        &["STRUCT<_x: BIGINT, a: ARRAY<DOUBLE>, b: BOOLEAN, c: DATE>"],
    );
    let written = "SELECT replace(to_xml(named_struct('_id', 1, 'a', array(1, 2), 'b', named_struct('c', '<&>'), 'n', NULL)), '\\n', '')";
    check(
        &s,
        written,
        &["<ROW id=\"1\">    <a>1</a>    <a>2</a>    <b>        <c>&lt;&amp;></c>    </b></ROW>"],
    );
    fails(&s, "SELECT to_xml(1)", "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE]");
}

#[test]
fn paths() {
    let s = session();
    const X: &str = "'<a><b>1</b><b>2</b><c k=\"v\">x</c></a>'";
    let one = |call: &str, expect: &str| check(&s, &format!("SELECT {}", call.replace('$', X)), &[expect]);
    one("array_join(xpath($, 'a/b/text()'), ' ')", "1 2");
    one("size(xpath($, 'a/b')), xpath($, 'a/b')[0]", "2|NULL");
    one("array_join(xpath($, 'a/c/@k'), ' ')", "v");
    one("xpath_boolean($, 'a/b = 2'), xpath_boolean($, 'a/z')", "true|false");
    one("xpath_double($, 'sum(a/b)'), xpath_int($, 'a/b[2]'), xpath_long($, 'count(a/b)')", "3.0|2|2");
    one("xpath_int($, 'a/c'), xpath_double($, 'a/z')", "0|NaN");
    one("xpath_string($, 'a/c'), xpath_string($, 'a/z')", "x|");
    one("xpath_string('', 'a'), xpath(NULL, 'a')", "NULL|NULL");
    fails(&s, "SELECT xpath_string('<a', 'a')", "is no XML document");
    fails(&s, "SELECT xpath_string('<a/>', 'a[')", "is no XPath");
}

#[test]
fn geometries() {
    let s = session();
    const POINT: &str = "X'0101000000000000000000F03F0000000000000040'";
    check(&s, &format!("SELECT hex(st_asbinary(st_geogfromwkb({POINT}))) = hex({POINT})"), &["true"]);
    check(
        &s,
        &format!(
            "SELECT st_srid(st_setsrid(st_geomfromwkb({POINT}), 3857)), st_srid(st_geomfromwkb({POINT}))"
        ),
        &["3857|0"],
    );
    check(&s, "SELECT st_srid(st_geomfromwkb(NULL))", &["NULL"]);
    fails(&s, "SELECT st_geomfromwkb(X'0101000000')", "[WKB_PARSE_ERROR]");
    fails(&s, "SELECT st_geomfromwkb(X'0201000000')", "[WKB_PARSE_ERROR]");
    fails(&s, &format!("SELECT st_geomfromwkb({POINT}, -5)"), "[ST_INVALID_SRID_VALUE]");
    fails(&s, "SELECT st_srid('x')", "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE]");
}

#[test]
fn random_numbers() {
    let s = session();
    // Spark's numbers for these seeds.
    check(
        &s,
        "SELECT rand(0), random(0), randn(0)",
        &["0.7604953758285915|0.7604953758285915|1.6034991609278433"],
    );
    check(&s, "SELECT randn(NULL) = randn(0)", &["true"]);
    check(
        &s,
        "SELECT count(*), count(DISTINCT x), min(x) >= 0, max(x) < 1 FROM (SELECT rand() AS x FROM range(0, 5000))",
        &["5000|5000|true|true"],
    );
    check(&s, "SELECT min(x), max(x) FROM (SELECT uniform(10, 20, 0) AS x FROM range(0, 5000))", &["10|19"]);
    check(
        &s,
        "SELECT typeof(uniform(1, 2)), typeof(uniform(1, 2.5D)), typeof(uniform(1S, 2))",
        &["int|double|int"],
    );
    // A query that runs twice gives the same numbers.
    let frame = s.block_on(s.sql("SELECT rand(5) AS x FROM range(0, 100)")).unwrap();
    let sum = || {
        let batches = s.block_on(frame.collect()).unwrap();
        let mut texts: Vec<String> =
            batches.iter().flat_map(|b| trefoil_sql::spark_format::column(b.column(0)).unwrap()).collect();
        texts.sort();
        texts
    };
    assert_eq!(sum(), sum());
    assert_ne!(rows(&s, "SELECT rand()").unwrap(), rows(&s, "SELECT rand()").unwrap());
    fails(&s, "SELECT rand(id) FROM range(0, 2)", "must be a constant");
    fails(&s, "SELECT uniform(1)", "[WRONG_NUM_ARGS");
}

#[test]
fn counters() {
    let s = session();
    let diffs = |values: &str, call: &str, expect: &[&str]| {
        check(
            &s,
            &format!("SELECT {call} OVER (ORDER BY t) FROM VALUES {values} AS v(t, c, s) ORDER BY t"),
            expect,
        );
    };
    diffs(
        "(1, 100, 0), (2, 200, 0), (3, NULL, 0), (4, 400, 0), (5, 50, 0), (6, 100, 0)",
        "counter_diff(c)",
        &["NULL", "100", "NULL", "200", "NULL", "50"],
    );
    diffs(
        "(1, DOUBLE('NaN'), 0), (2, DOUBLE('NaN'), 0), (3, 200.0D, 0), (4, DOUBLE('Infinity'), 0)",
        "counter_diff(c)",
        &["NULL", "NaN", "NULL", "Infinity"],
    );
    diffs("(1, 10.50, 0), (2, 20.5, 0)", "counter_diff(CAST(c AS DECIMAL(10,2)))", &["NULL", "10.00"]);
    const STARTS: &str = "(1, 100, TIMESTAMP'2026-01-01 00:05:00'), (2, NULL, TIMESTAMP'2026-01-01 00:06:00'), (3, 300, TIMESTAMP'2026-01-01 00:07:00'), (4, 301, NULL)";
    diffs(STARTS, "counter_diff(c, s)", &["NULL", "NULL", "NULL", "1"]);
    let one = |values: &str, call: &str| {
        format!("SELECT {call} OVER (ORDER BY t) FROM VALUES {values} AS v(t, c, s)")
    };
    fails(&s, &one("(1, -5, 0)", "counter_diff(c)"), "[COUNTER_DIFF_NEGATIVE_COUNTER_VALUE]");
    fails(
        &s,
        &one(
            "(1, 1, TIMESTAMP'2026-01-01 00:05:00'), (2, 2, TIMESTAMP'2026-01-01 00:01:00')",
            "counter_diff(c, s)",
        ),
        "[COUNTER_DIFF_START_TIME_DECREASED]",
    );
    fails(&s, &one("(1, 'x', 0)", "counter_diff(c)"), "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE]");
}

#[test]
fn histograms() {
    let s = session();
    let bins = |values: &str, count: usize, expect: &str| {
        let query = format!(
            "SELECT array_join(transform(histogram_numeric(n, {count}), b -> concat_ws('=', b.x, b.y)), ' ') FROM VALUES {values} AS t(n)"
        );
        check(&s, &query, &[expect]);
    };
    bins("(0), (1), (2), (10)", 3, "0=2.0 2=1.0 10=1.0");
    bins("(0.0D), (1.0D), (4.0D), (10.0D), (NULL)", 2, "1.6666666666666665=3.0 10.0=1.0");
    check(
        &s,
        "SELECT typeof(histogram_numeric(n, 5)) FROM VALUES (1) AS t(n)",
        &["array<struct<x:int,y:double>>"],
    );
    fails(&s, "SELECT histogram_numeric(n, 1) FROM VALUES (1) AS t(n)", "[INVALID_PARAMETER_VALUE]");
}

#[test]
fn collations() {
    let s = session();
    check(
        &s,
        "SELECT collation('a'), collation('a' COLLATE unicode_ci), 'a' COLLATE UTF8_BINARY",
        &["SYSTEM.BUILTIN.UTF8_BINARY|SYSTEM.BUILTIN.UNICODE_CI|a"],
    );
    // Another order of texts is refused, not passed over.
    fails(&s, "SELECT ('a' COLLATE UTF8_LCASE) = 'A'", "UTF8_LCASE");
    fails(&s, "SELECT collation('a' COLLATE nothing_such)", "[COLLATION_INVALID_NAME]");
}
