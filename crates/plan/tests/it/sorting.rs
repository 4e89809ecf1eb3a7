//! Sorts on all workers at once: the order of DataFusion's sort, for keys of any type; equal rows keep the order of the
//! input; what does not fit in memory is spilled; a sort that nobody waits for any more gives everything back.

use datafusion::arrow::array::{
    ArrayRef, AsArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringViewArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use futures::TryStreamExt;
use proptest::prelude::*;
use std::sync::Arc;
use trefoil_plan::{DataFrame, Session};

fn session(workers: usize, memory: usize) -> Session {
    Session::builder().workers(workers).memory_bytes(memory).build().unwrap()
}

/// A frame of `SELECT * FROM t ORDER BY order` over these partitions.
async fn sorted(session: &Session, partitions: &[Vec<RecordBatch>], order: &str) -> DataFrame {
    let schema = partitions.iter().flatten().next().unwrap().schema();
    let table = MemTable::try_new(schema, partitions.to_vec()).unwrap();
    session.context().deregister_table("t").unwrap();
    session.context().register_table("t", Arc::new(table)).unwrap();
    let frame = session.context().sql(&format!("SELECT * FROM t ORDER BY {order}")).await.unwrap();
    DataFrame::new(session.clone(), frame)
}

async fn plan(frame: &DataFrame) -> String {
    let plan = frame.inner().clone().create_physical_plan().await.unwrap();
    displayable(plan.as_ref()).indent(false).to_string()
}

fn one(schema: &SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(schema, batches).unwrap()
}

/// The same session, but with DataFusion's sort.
fn without(session: &Session) {
    let state = session.context().state_ref();
    let mut state = state.write();
    let options = state.config_mut().options_mut();
    options.execution.sort_in_place_threshold_bytes = usize::MAX;
    options.set("trefoil.run_sorts", "false").unwrap();
}

#[derive(Clone, Debug)]
struct Row {
    number: Option<i32>,
    text: Option<String>,
    float: Option<f64>,
    day: i32,
}

fn row() -> impl Strategy<Value = Row> {
    let float = prop_oneof![
        4 => (-3..3_i32).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(-0.0),
        1 => Just(f64::INFINITY),
    ];
    (
        prop::option::weighted(0.8, -3..3_i32),
        prop::option::weighted(0.8, "(a long beginning that many share )?[ab\u{e9}]{0,9}"),
        prop::option::weighted(0.8, float),
        0..3_i32,
    )
        .prop_map(|(number, text, float, day)| Row { number, text, float, day })
}

fn batch(rows: &[Row], first: i64) -> RecordBatch {
    let columns: [(&str, ArrayRef); 6] = [
        ("number", Arc::new(rows.iter().map(|row| row.number).collect::<Int32Array>())),
        ("text", Arc::new(rows.iter().map(|row| row.text.clone()).collect::<StringArray>())),
        ("view", Arc::new(rows.iter().map(|row| row.text.clone()).collect::<StringViewArray>())),
        ("float", Arc::new(rows.iter().map(|row| row.float).collect::<Float64Array>())),
        ("day", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.day)))),
        ("id", Arc::new(Int64Array::from_iter_values(first..first + rows.len() as i64))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_datafusion_sorts(
        partitions in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(row(), 0..40), 0..4), 2..5),
        keys in prop::collection::vec((
            prop::sample::select(vec!["number", "text", "view", "float", "day", "number % 2"]),
            any::<bool>(),
            any::<bool>(),
        ), 1..4),
    ) {
        let mut first = 0;
        let partitions: Vec<Vec<RecordBatch>> = partitions
            .iter()
            .map(|batches| {
                let batches = batches.iter().map(|rows| {
                    first += rows.len() as i64;
                    batch(rows, first - rows.len() as i64)
                });
                std::iter::once(batch(&[], 0)).chain(batches.collect::<Vec<_>>()).collect()
            })
            .collect();
        let order = keys.iter().map(|(key, descending, nulls_first)| {
            let way = if *descending { "DESC" } else { "ASC" };
            format!("{key} {way} NULLS {}", if *nulls_first { "FIRST" } else { "LAST" })
        });
        let order = order.collect::<Vec<_>>().join(", ");
        let (ours, theirs) = (session(2, 64 << 20), session(2, 64 << 20));
        without(&theirs);
        let (found, wanted) = ours.block_on(async {
            let found = sorted(&ours, &partitions, &order).await;
            let shown = plan(&found).await;
            assert!(shown.contains("ParallelSortExec") && !shown.contains("SortPreservingMerge"), "{shown}");
            // what is equal by the keys comes in the order of the rows
            let wanted = sorted(&theirs, &partitions, &format!("{order}, id")).await;
            let shown = plan(&wanted).await;
            assert!(!shown.contains("ParallelSortExec") && !shown.contains("RunSortExec"), "{shown}");
            (found.collect().await.unwrap(), wanted.collect().await.unwrap())
        });
        let schema = partitions[0][0].schema();
        prop_assert_eq!(one(&schema, &found), one(&schema, &wanted), "{}", order);
    }
}

/// Enough rows for many ranges.
#[test]
fn keys_of_any_distribution() {
    let session = session(3, 512 << 20);
    let check = |name: &str, key: &dyn Fn(i64) -> String| {
        const ROWS: i64 = 120_000;
        let batches = (0..ROWS).step_by(5000).map(|from| {
            let ids = from..from + 5000;
            let columns: [(&str, ArrayRef); 2] = [
                ("key", Arc::new(StringArray::from_iter_values(ids.clone().map(key)))),
                ("id", Arc::new(Int64Array::from_iter_values(ids))),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        });
        let batches: Vec<RecordBatch> = batches.collect();
        let partitions: Vec<Vec<RecordBatch>> = batches.chunks(9).map(<[RecordBatch]>::to_vec).collect();
        let frame = session.block_on(sorted(&session, &partitions, "key"));
        let found = one(&batches[0].schema(), &session.block_on(frame.collect()).unwrap());
        assert_eq!(found.num_rows() as i64, ROWS);
        let mut wanted: Vec<(String, i64)> = (0..ROWS).map(|id| (key(id), id)).collect();
        wanted.sort();
        let ids = found.column(1).as_primitive::<Int64Type>().values();
        let differ = ids.iter().zip(&wanted).position(|(found, wanted)| *found != wanted.1);
        assert_eq!(differ, None, "{name}");
    };
    let mixed = |id: i64| (id.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 20).rem_euclid(1 << 30);
    check("one", &|_| "the same".to_owned());
    check("two", &|id| (id % 2).to_string());
    check("sorted", &|id| format!("{id:09}"));
    check("reversed", &|id| format!("{:09}", 1_000_000 - id));
    check("random", &|id| mixed(id).to_string());
    check("mostly one", &|id| if id % 50 == 0 { mixed(id).to_string() } else { "5".to_owned() });
    check("behind a long beginning", &|id| format!("https://example.org/{}/{}", id % 3, mixed(id)));
    check("short and long", &|id| "x".repeat((mixed(id) % 40) as usize));
}

#[test]
fn what_does_not_fit_is_spilled() {
    let memory = 8 << 20;
    let session = session(2, memory);
    let rows: i64 = 2_000_000;
    let text = format!("SELECT value AS v, (value * 7919) % {rows} AS k FROM range(0, {rows}) ORDER BY k");
    session.block_on(async {
        let frame = DataFrame::new(session.clone(), session.context().sql(&text).await.unwrap());
        assert!(plan(&frame).await.contains("ParallelSortExec"));
        let (mut stream, mut next) = (frame.stream(), 0);
        while let Some(batch) = stream.try_next().await.unwrap() {
            for k in batch.column(1).as_primitive::<Int64Type>().values() {
                assert_eq!(*k, next);
                next += 1;
            }
        }
        assert_eq!(next, rows);
    });
    assert!(session.budget().peak() <= memory, "{}", session.budget().peak());
    given_back(&session);
}

/// The rows of each partition in order, for a window; whether they fit or not.
#[test]
fn what_is_sorted_partition_by_partition() {
    let text = "SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v DESC) AS n
                FROM (SELECT value * 7919 % 1009 AS k, value AS v FROM range(0, 300000)) ORDER BY k, n";
    let found = |memory: usize, ours: bool| {
        let session = session(2, memory);
        if !ours {
            without(&session);
        }
        let found = session.block_on(async {
            let frame = DataFrame::new(session.clone(), session.context().sql(text).await.unwrap());
            assert_eq!(plan(&frame).await.contains("RunSortExec"), ours);
            let schema = frame.inner().schema().inner().clone();
            one(&schema, &frame.collect().await.unwrap())
        });
        given_back(&session);
        found
    };
    let wanted = found(256 << 20, false);
    assert_eq!(wanted.num_rows(), 300_000);
    assert!(found(256 << 20, true) == wanted);
    assert!(found(24 << 20, true) == wanted);
}

#[test]
fn a_sort_that_is_dropped_gives_everything_back() {
    let session = session(2, 256 << 20);
    let text = "SELECT value AS v, (value * 7919) % 1000003 AS k FROM range(0, 1000003) ORDER BY k";
    session.block_on(async {
        let frame = DataFrame::new(session.clone(), session.context().sql(text).await.unwrap());
        let mut stream = frame.stream();
        let first = stream.try_next().await.unwrap().unwrap();
        assert_eq!(first.column(1).as_primitive::<Int64Type>().value(0), 0);
    });
    given_back(&session);
}

fn given_back(session: &Session) {
    let begin = std::time::Instant::now();
    while session.budget().reserved() > 0 {
        assert!(begin.elapsed().as_secs() < 20, "{:?}", session.budget().consumers());
        std::thread::yield_now();
    }
}
