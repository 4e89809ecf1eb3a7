//! Sketches: the answers, bytes and errors of Spark 4.3.

use super::{prints as check, session};
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

#[track_caller]
fn fails(session: &Session, query: &str, condition: &str) {
    let done = session.block_on(async { session.sql(query).await?.collect().await });
    let error = done.expect_err(query).to_string();
    assert!(error.contains(condition), "{query}\nlacks {condition} in\n{error}");
}

#[test]
fn distinct_values() {
    let s = session();
    let one = |query: &str, expect: &str| check(&s, query, &[expect]);
    one("SELECT hll_sketch_estimate(hll_sketch_agg(n)) FROM VALUES (1), (1), (2), (NULL) AS t(n)", "2");
    one("SELECT hll_sketch_estimate(hll_sketch_agg(s, 4)) FROM VALUES ('a'), ('b'), ('') AS t(s)", "2");
    one("SELECT hll_sketch_estimate(hll_sketch_agg(n)) FROM VALUES (1) AS t(n) WHERE n > 1", "0");
    one(
        "SELECT hll_sketch_estimate(hll_union(hll_sketch_agg(n, 5), hll_sketch_agg(n + 1, 6), true)) FROM VALUES (1), (2) AS t(n)",
        "3",
    );
    one(
        "SELECT hll_sketch_estimate(X'0201070C030002082BF2FB06862FF90D000000000000000000000000000000000000000000000000')",
        "2",
    );
    // Many values in many batches and partitions: within a few percent.
    one(
        "SELECT abs(hll_sketch_estimate(hll_sketch_agg(id % 5000)) - 5000) < 250 FROM range(0, 40000)",
        "true",
    );
    one(
        "SELECT abs(theta_sketch_estimate(theta_sketch_agg(id % 9000)) - 9000) < 450 FROM range(0, 40000)",
        "true",
    );
    one(
        "SELECT count(*) FROM (SELECT id % 10 AS k, hll_sketch_estimate(hll_sketch_agg(id)) AS n FROM range(0, 1000) GROUP BY id % 10) WHERE n = 100",
        "10",
    );
    fails(&s, "SELECT hll_sketch_agg(n, 3) FROM VALUES (1) AS t(n)", "[HLL_INVALID_LG_K]");
    fails(&s, "SELECT hll_sketch_agg(n, n) FROM VALUES (10) AS t(n)", "[HLL_K_MUST_BE_CONSTANT]");
    fails(
        &s,
        "SELECT hll_union(hll_sketch_agg(n, 5), hll_sketch_agg(n, 6)) FROM VALUES (1) AS t(n)",
        "[HLL_UNION_DIFFERENT_LG_K]",
    );
    fails(&s, "SELECT hll_sketch_estimate(X'0102')", "[HLL_INVALID_INPUT_SKETCH_BUFFER]");
    fails(&s, "SELECT hll_sketch_agg(1.5)", "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE]");
    // Distinct values are grouped before they are counted, or refused.
    one("SELECT hll_sketch_estimate(hll_sketch_agg(DISTINCT n)) FROM VALUES (1), (1) AS t(n)", "1");
    one("SELECT theta_sketch_estimate(X'01030300003ACC9317C11D528507017B')", "1");
}

#[test]
fn theta_sketches_have_the_bytes_of_spark() {
    let s = session();
    let bytes = |values: &str, expect: &str| {
        check(&s, &format!("SELECT hex(theta_sketch_agg(c)) FROM VALUES {values} AS t(c)"), &[expect]);
    };
    bytes("(1), (2)", "0104033D011ACC93022D0C35EE5BEFC8AE3EFA70D1DFA7AB80");
    bytes("(1.5D), (2D)", "0104033C011ACC9302F79638E36154111DB041A498DA8936");
    bytes("(1.5F), (2F)", "0104033C011ACC9302F79638E36154111DB041A498DA8936");
    bytes("('a'), ('')", "01030300003ACC9317C11D528507017B");
    bytes("(array(1, 2)), (array())", "01030300003ACC93F9E7651C9BE3D926");
    bytes("(array(1L, 2L))", "01030300003ACC93AB6C590F07417D2E");
    check(&s, "SELECT hex(theta_sketch_agg(c)) FROM VALUES (1) AS t(c) WHERE c > 1", &["01030300001E0000"]);
    check(
        &s,
        "SELECT hex(theta_intersection_agg(c)) FROM VALUES (X'') AS t(c) WHERE false",
        &["01030300001E0000"],
    );
    let sets = "SELECT theta_sketch_estimate(theta_union(a, b)), theta_sketch_estimate(theta_intersection(a, b)), \
                theta_sketch_estimate(theta_difference(a, b)) FROM (SELECT theta_sketch_agg(x) AS a, \
                theta_sketch_agg(y) AS b FROM VALUES (1, 2), (2, 3), (3, 4) AS t(x, y))";
    check(&s, sets, &["4|2|1"]);
    fails(&s, "SELECT theta_sketch_agg(c, 2) FROM VALUES (1) AS t(c)", "[SKETCH_INVALID_LG_NOM_ENTRIES]");
    fails(&s, "SELECT theta_sketch_estimate(X'0102')", "[THETA_INVALID_INPUT_SKETCH_BUFFER]");
    fails(&s, "SELECT theta_sketch_agg(true)", "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE]");
}

#[test]
fn numbers_beside_values() {
    let s = session();
    const T: &str = "VALUES (1, 1, 7), (2, 5, 8) AS t(k, v, w)";
    let one = |expr: &str, expect: &str| check(&s, &format!("SELECT {expr} FROM {T}"), &[expect]);
    const A: &str = "tuple_sketch_agg_integer(k, v)";
    one("hex(tuple_sketch_agg_integer(1, 2, 12, 'max'))", "01030901001ACC9315F97DCBBD86A1050200000002");
    one(
        &format!(
            "tuple_sketch_summary_integer({A}), tuple_sketch_summary_integer({A}, 'min'), \
             tuple_sketch_summary_integer({A}, 'max'), tuple_sketch_summary_integer({A}, 'alwaysone')"
        ),
        "6|1|5|2",
    );
    let joined = |verb: &str, right: &str, more: &str| {
        format!("tuple_sketch_summary_integer(tuple_{verb}_integer({A}, {right}{more}))")
    };
    one(&joined("union", A, ""), "12");
    one(&joined("intersection", A, ", 'min'"), "6");
    one(&joined("union_theta", "theta_sketch_agg(w)", ""), "6");
    one(&joined("intersection_theta", "theta_sketch_agg(k)", ""), "6");
    one(&joined("difference_theta", "theta_sketch_agg(w)", ""), "6");
    one(
        "tuple_sketch_summary_double(tuple_union_theta_double(tuple_sketch_agg_double(k, v), theta_sketch_agg(w), 12, 'alwaysone'))",
        "8.0",
    );
    // What Spark wrote.
    let written = "X'02030901000ACC93020000000000000015F97DCBBD86A105000000000000F03F00C397FC1281709D1E000000000000044000'";
    check(
        &s,
        &format!("SELECT tuple_sketch_summary_double({written}), tuple_sketch_theta_double({written})"),
        &["3.5|1.0"],
    );
    fails(
        &s,
        &format!("SELECT tuple_sketch_agg_integer(k, v, 12, 'foo') FROM {T}"),
        "[TUPLE_INVALID_SKETCH_MODE]",
    );
    fails(&s, "SELECT tuple_sketch_estimate_double(X'01')", "[TUPLE_INVALID_INPUT_SKETCH_BUFFER]");
}

#[test]
fn quantiles() {
    let s = session();
    const T: &str = "VALUES (1), (2), (3), (4), (5) AS t(n)";
    let one = |expr: &str, expect: &str| check(&s, &format!("SELECT {expr} FROM {T}"), &[expect]);
    // What Spark wrote.
    let written = "X'05010F00C80008000500000000000000C8000100C30000000100000000000000050000000000000001000000000000000200000000000000030000000000000004000000000000000500000000000000'";
    one(
        &format!(
            "max(kll_sketch_get_n_bigint({written}) * 10 + kll_sketch_get_quantile_bigint({written}, 0.5))"
        ),
        "53",
    );
    one(&format!("length(kll_sketch_agg_bigint(n)) = length({written})"), "true");
    one(
        "kll_sketch_get_n_bigint(kll_sketch_merge_bigint(kll_sketch_agg_bigint(NULL), kll_sketch_agg_bigint(n)))",
        "5",
    );
    let sketch = "kll_sketch_agg_bigint(n)";
    let get = |function: &str, array: &str| {
        format!("array_join(kll_sketch_get_{function}_bigint({sketch}, {array}), ' ')")
    };
    one(&get("quantile", "array(0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)"), "1 1 2 3 3 4 5");
    one(&get("rank", "array(0L, 1L, 3L, 5L, 7L)"), "0.0 0.2 0.6 1.0 1.0");
    one("kll_sketch_get_quantile_double(kll_sketch_agg_double(n / 2), 0.5)", "1.5");
    one(
        "contains(kll_sketch_to_string_float(kll_sketch_agg_float(n)), 'Max Item               : 5.0')",
        "true",
    );
    check(
        &s,
        "SELECT abs(kll_sketch_get_quantile_bigint(kll_sketch_agg_bigint(id), 0.5) - 50000) < 3000 FROM range(0, 100000)",
        &["true"],
    );
    fails(&s, &format!("SELECT kll_sketch_agg_bigint(n, 4) FROM {T}"), "[KLL_SKETCH_K_OUT_OF_RANGE]");
    fails(
        &s,
        &format!("SELECT kll_sketch_get_quantile_bigint({sketch}, 1.5) FROM {T}"),
        "[KLL_SKETCH_INVALID_QUANTILE_RANGE]",
    );
    fails(&s, "SELECT kll_sketch_get_n_bigint(X'01')", "[KLL_INVALID_INPUT_SKETCH_BUFFER]");
}

#[test]
fn frequent_values() {
    let s = session();
    let items = |values: &str, arguments: &str, expect: &str| {
        let query = format!(
            "SELECT array_join(transform(approx_top_k({arguments}), x -> concat_ws('=', x.item, x.count)), ' ') FROM VALUES {values} AS t(c)"
        );
        check(&s, &query, &[expect]);
    };
    items("('a'), ('b'), ('c'), ('c'), ('c'), ('c'), ('d'), ('d')", "c, 2", "c=4 d=2");
    // Values of one count in the order of Java's sketch; nulls count.
    items("(0), (0), (1), (1), (2), (3), (4), (4)", "c", "0=2 4=2 1=2 2=1 3=1");
    items("(1.5), (2.5), (1.5), (3.5), (4.5)", "c, 1", "1.5=2");
    items("(NULL), (NULL), (1), (2), (2), (2)", "c, 3", "2=3 2 1=1");
    check(
        &s,
        "SELECT typeof(approx_top_k(c)), typeof(approx_top_k_accumulate(c)) FROM VALUES ('x') AS t(c)",
        &[
            "array<struct<item:string,count:bigint>>|struct<sketch:binary,maxItemsTracked:int,itemDataType:string,itemDataTypeDDL:string>",
        ],
    );
    check(&s, "SELECT size(approx_top_k(c)) FROM VALUES ('x') AS t(c) WHERE false", &["0"]);
    check(&s, "SELECT approx_top_k(id % 7, 1)[0].count FROM range(0, 70001)", &["10001"]);
    fails(&s, "SELECT approx_top_k(c, 0) FROM VALUES ('x') AS t(c)", "[APPROX_TOP_K_NON_POSITIVE_ARG]");
    fails(
        &s,
        "SELECT approx_top_k(c, 5, 3) FROM VALUES ('x') AS t(c)",
        "[APPROX_TOP_K_MAX_ITEMS_TRACKED_LESS_THAN_K]",
    );
    fails(
        &s,
        "SELECT approx_top_k(c, 5, 2000000) FROM VALUES ('x') AS t(c)",
        "[APPROX_TOP_K_MAX_ITEMS_TRACKED_EXCEEDS_LIMIT]",
    );
    fails(&s, "SELECT approx_top_k(array(1))", "[DATATYPE_MISMATCH.TYPE_CHECK_FAILURE_WITH_HINT]");
    let two = "(SELECT approx_top_k_accumulate(c, 10) AS s FROM VALUES (1) AS t(c) UNION ALL SELECT approx_top_k_accumulate(c, 20) FROM VALUES (1) AS t(c))";
    fails(&s, &format!("SELECT approx_top_k_combine(s) FROM {two}"), "[APPROX_TOP_K_SKETCH_SIZE_NOT_MATCH]");
    check(
        &s,
        &format!("SELECT approx_top_k_estimate(approx_top_k_combine(s, 30))[0].count FROM {two}"),
        &["2"],
    );
}
