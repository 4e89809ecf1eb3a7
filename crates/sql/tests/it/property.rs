//! Random tables through SQL against a naive evaluation in memory.

use super::session;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

type Row = (Option<String>, Option<i64>);

static SESSION: LazyLock<Session> = LazyLock::new(session);

fn table() -> impl Strategy<Value = Vec<Row>> {
    let key = prop_oneof![1 => Just(None), 6 => "[a-d]".prop_map(Some)];
    let value = prop_oneof![1 => Just(None), 6 => (-20..20_i64).prop_map(Some)];
    proptest::collection::vec((key, value), 0..60)
}

/// Batches of random size, so that operators see borders.
fn register(name: &str, rows: &[Row], batch: usize) {
    let make = |rows: &[Row]| {
        let k: StringArray = rows.iter().map(|(k, _)| k.as_deref()).collect();
        let v: Int64Array = rows.iter().map(|(_, v)| *v).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("k", Arc::new(k) as ArrayRef, true),
            ("v", Arc::new(v) as ArrayRef, true),
        ])
        .unwrap()
    };
    let mut batches: Vec<RecordBatch> = rows.chunks(batch).map(make).collect();
    if batches.is_empty() {
        batches.push(make(&[]));
    }
    SESSION.register_batches(name, batches).unwrap();
}

/// The rows of a query as a text column and a number column.
fn query(text: &str) -> Vec<Row> {
    let batches = SESSION.block_on(async { SESSION.sql(text).await?.collect().await }).unwrap();
    let mut rows = Vec::new();
    for batch in batches {
        let k = cast(batch.column(0), &DataType::Utf8).unwrap();
        let v = cast(batch.column(1), &DataType::Int64).unwrap();
        let (k, v) = (k.as_string::<i32>(), v.as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            rows.push((
                k.is_valid(row).then(|| k.value(row).to_owned()),
                v.is_valid(row).then(|| v.value(row)),
            ));
        }
    }
    rows
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sql_is_naive_evaluation(left in table(), right in table(), batch in 1..20_usize, cut in -20..20_i64) {
        register("l", &left, batch);
        register("r", &right, batch + 3);

        let filtered: Vec<Row> = left.iter().filter(|(_, v)| v.is_some_and(|v| v > cut)).cloned().collect();
        prop_assert_eq!(sorted(query(&format!("SELECT k, v FROM l WHERE v > {cut}"))), sorted(filtered));

        let mut sums: BTreeMap<Option<String>, Option<i64>> = BTreeMap::new();
        for (k, v) in &left {
            let sum = sums.entry(k.clone()).or_default();
            *sum = match (*sum, v) {
                (Some(sum), Some(v)) => Some(sum + v),
                (sum, v) => sum.or(*v),
            };
        }
        let grouped = query("SELECT k, sum(v) FROM l GROUP BY k");
        prop_assert_eq!(sorted(grouped), sums.into_iter().collect::<Vec<_>>());

        // Nulls first on the way up; equal rows are equal, so the order is the only one.
        let mut ordered = left.clone();
        ordered.sort_by_key(|(k, v)| (*v, k.clone()));
        prop_assert_eq!(query("SELECT k, v FROM l ORDER BY v, k"), ordered);

        let mut joined = Vec::new();
        for (k, v) in &left {
            for (other, w) in &right {
                if k.is_some() && k == other {
                    joined.push((k.clone(), v.zip(*w).map(|(v, w)| v + w)));
                }
            }
        }
        prop_assert_eq!(sorted(query("SELECT l.k, l.v + r.v FROM l JOIN r ON l.k = r.k")), sorted(joined));

        let mut outer = Vec::new();
        for (k, v) in &left {
            let count = right.iter().filter(|(other, _)| k.is_some() && k == other).count();
            outer.extend(std::iter::repeat_n((k.clone(), *v), count.max(1)));
        }
        prop_assert_eq!(sorted(query("SELECT l.k, l.v FROM l LEFT JOIN r ON l.k = r.k")), sorted(outer));
    }
}
