//! Joins that look keys up in an array of their range: DataFusion's operator with a larger limit of ours. They answer as
//! joins by hash do, and the limit can be set.

use super::optimize::answer;
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use datafusion::physical_plan::{ExecutionPlan, collect};
use proptest::prelude::*;
use std::sync::Arc;
use trefoil_plan::Session;

const LIMIT: &str = "datafusion.execution.perfect_hash_join_small_build_threshold";

const QUERIES: [&str; 7] = [
    "SELECT * FROM a JOIN b ON a.k = b.k",
    "SELECT * FROM a LEFT JOIN b ON a.k = b.k",
    "SELECT * FROM a FULL JOIN b ON a.k = b.k AND a.v < b.v",
    "SELECT * FROM a LEFT SEMI JOIN b ON a.k = b.k",
    "SELECT * FROM a LEFT ANTI JOIN b ON a.k = b.k",
    "SELECT * FROM a JOIN b ON a.k IS NOT DISTINCT FROM b.k",
    "SELECT a.v, count(*) FROM a JOIN b ON a.k = b.k GROUP BY a.v",
];

type Row = (Option<i64>, i32);

/// Keys that lie close together, far apart, and at the ends of their type.
fn table() -> impl Strategy<Value = Vec<Row>> {
    let key = prop_oneof![
        1 => Just(None),
        4 => (0..9_i64).prop_map(Some),
        2 => (-3..3_i64).prop_map(|k| Some(k * 500_000)),
    ];
    let key = prop_oneof![30 => key, 1 => prop_oneof![Just(Some(i64::MIN)), Just(Some(i64::MAX))]];
    proptest::collection::vec((key, 0..5_i32), 0..40)
}

fn open(tables: &[(&str, &[Row])], limit: Option<usize>, batch: usize) -> Session {
    let session = Session::builder().workers(2).memory("4GiB").build().unwrap();
    for (name, rows) in tables {
        let k: Int64Array = rows.iter().map(|row| row.0).collect();
        let v: Int32Array = rows.iter().map(|row| Some(row.1)).collect();
        let columns = [("k", Arc::new(k) as ArrayRef, true), ("v", Arc::new(v), true)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        session.register_batches(name, vec![batch]).unwrap();
    }
    session.block_on(async {
        let set = |name: &str, value: usize| format!("SET {name} = {value}");
        session.context().sql(&set("datafusion.execution.batch_size", batch)).await.unwrap();
        if let Some(limit) = limit {
            session.context().sql(&set(LIMIT, limit)).await.unwrap();
        }
    });
    session
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn answers_do_not_depend_on_the_limit(a in table(), b in table(), batch in 1..50_usize) {
        let tables = [("a", &a[..]), ("b", &b[..])];
        let hashed = open(&tables, Some(0), batch);
        let ours = open(&tables, None, batch);
        for query in QUERIES {
            prop_assert_eq!(answer(&hashed, query), answer(&ours, query), "{} over {:?} and {:?}", query, a, b);
        }
    }
}

/// How many joins of a query used arrays.
fn arrays(session: &Session) -> usize {
    fn count(plan: &dyn ExecutionPlan) -> usize {
        let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("array_map_created_count"));
        let below: usize = plan.children().into_iter().map(|child| count(child.as_ref())).sum();
        own.map_or(0, |own| own.as_usize()) + below
    }
    session
        .block_on(session.engine().on_cpu({
            let context = session.context().clone();
            async move {
                let frame = context.sql("SELECT * FROM a JOIN b ON a.k = b.k").await.unwrap();
                let task = Arc::new(frame.task_ctx());
                let plan = frame.create_physical_plan().await.unwrap();
                collect(Arc::clone(&plan), task).await.unwrap();
                count(plan.as_ref())
            }
        }))
        .unwrap()
}

#[test]
fn keys_of_a_wide_range_are_looked_up_in_an_array() {
    // 300 keys in a range of three million: far too sparse for DataFusion's own limit.
    let sparse: Vec<Row> = (0..300).map(|k| (Some(k * 10_000), 1)).collect();
    let tables = [("a", &sparse[..]), ("b", &sparse[..])];
    assert_eq!(arrays(&open(&tables, None, 8192)), 1);
    assert_eq!(arrays(&open(&tables, Some(1024), 8192)), 0);
}

#[test]
fn the_limit_follows_the_budget() {
    let check = |memory: &str, expect: usize| {
        let session = Session::builder().workers(1).memory(memory).build().unwrap();
        let state = session.context().state_ref();
        let limit = state.read().config().options().execution.perfect_hash_join_small_build_threshold;
        assert_eq!(limit, expect, "{memory}");
    };
    check("64GiB", 8 << 20);
    check("1GiB", 4 << 20);
    check("16MiB", 64 << 10);
    check("1MiB", 4 << 10);
}
