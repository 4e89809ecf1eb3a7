//! Operators of ours beside a loop: totals of filtered rows, and windows whose batches are computed by all workers.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use proptest::prelude::*;
use std::sync::Arc;
use trefoil_plan::{DataFrame, Session};

#[derive(Clone, Debug)]
struct Row {
    a: Option<i32>,
    b: Option<f64>,
    s: Option<String>,
    v: Option<f64>,
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop::option::weighted(0.9, -4..5_i32),
        prop::option::weighted(0.9, (-4..5_i32).prop_map(f64::from)),
        prop::option::weighted(0.9, "[ab]{0,3}"),
        prop::option::weighted(0.9, (-50..50_i32).prop_map(|v| f64::from(v) / 4.0)),
    )
        .prop_map(|(a, b, s, v)| Row { a, b, s, v })
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("a", Arc::new(rows.iter().map(|row| row.a).collect::<Int32Array>())),
        ("b", Arc::new(rows.iter().map(|row| row.b).collect::<Float64Array>())),
        ("s", Arc::new(rows.iter().map(|row| row.s.clone()).collect::<StringArray>())),
        ("v", Arc::new(rows.iter().map(|row| row.v).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

async fn frame(session: &Session, partitions: Vec<Vec<RecordBatch>>, text: &str) -> DataFrame {
    let schema = partitions.iter().flatten().next().unwrap().schema();
    let table = MemTable::try_new(schema, partitions).unwrap();
    let _ = session.context().deregister_table("t").unwrap();
    session.context().register_table("t", Arc::new(table)).unwrap();
    DataFrame::new(session.clone(), session.context().sql(text).await.unwrap())
}

async fn plan(frame: &DataFrame) -> String {
    let plan = frame.inner().clone().create_physical_plan().await.unwrap();
    displayable(plan.as_ref()).indent(false).to_string()
}

/// A predicate in SQL and as a function; null is not true.
type Part = (&'static str, fn(&Row) -> Option<bool>);

const PARTS: [Part; 8] = [
    ("a = 3", |row| row.a.map(|a| a == 3)),
    ("1 < a", |row| row.a.map(|a| a > 1)),
    ("b <= 2.0", |row| row.b.map(|b| b <= 2.0)),
    ("b <> 0.0", |row| row.b.map(|b| b != 0.0)),
    ("s LIKE 'a%'", |row| row.s.as_ref().map(|s| s.starts_with('a'))),
    ("s IS NOT NULL", |row| Some(row.s.is_some())),
    ("(a > 0 OR b > 0.0)", |row| match (row.a.map(|a| a > 0), row.b.map(|b| b > 0.0)) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }),
    // no column at all
    ("1 = 1", |_| Some(true)),
];

fn sum<T: std::iter::Sum<T> + Copy>(values: &[T]) -> Option<T> {
    (!values.is_empty()).then(|| values.iter().copied().sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn totals_of_filtered_rows(
        partitions in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(row(), 0..60), 1..4), 1..4),
        parts in prop::sample::subsequence(PARTS.to_vec(), 1..4),
        workers in 1..4_usize,
    ) {
        let session = Session::builder().workers(workers).memory("64MiB").build().unwrap();
        let rows: Vec<&Row> = partitions
            .iter()
            .flatten()
            .flatten()
            .filter(|row| parts.iter().all(|(_, holds)| holds(row) == Some(true)))
            .collect();
        let filter: Vec<&str> = parts.iter().map(|(text, _)| *text).collect();
        let text = format!(
            "SELECT sum(v), count(*), count(s), min(a), max(v), avg(b), sum(v * b), sum(a) FROM t WHERE {}",
            filter.join(" AND ")
        );
        let batches = partitions.iter().map(|part| part.iter().map(|rows| batch(rows)).collect()).collect();
        let found = session.block_on(async {
            let frame = frame(&session, batches, &text).await;
            let shown = plan(&frame).await;
            // rows that are dealt to idle workers first keep the filter before they are
            if filter != ["1 = 1"] && !shown.contains("RepartitionExec") {
                assert!(shown.contains("FilteredTotalsExec") && !shown.contains("FilterExec"), "{shown}");
            }
            frame.collect().await.unwrap()
        });
        prop_assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
        let found = &found[0];
        let number = |at: usize| {
            let column = found.column(at).as_primitive::<Float64Type>();
            column.is_valid(0).then(|| column.value(0))
        };
        let whole = |at: usize| {
            let column = datafusion::arrow::compute::cast(found.column(at), &datafusion::arrow::datatypes::DataType::Int64);
            let column = column.unwrap();
            let column = column.as_primitive::<Int64Type>();
            column.is_valid(0).then(|| column.value(0))
        };
        let v: Vec<f64> = rows.iter().filter_map(|row| row.v).collect();
        let b: Vec<f64> = rows.iter().filter_map(|row| row.b).collect();
        let both: Vec<f64> = rows.iter().filter_map(|row| Some(row.v? * row.b?)).collect();
        let a: Vec<i64> = rows.iter().filter_map(|row| row.a.map(i64::from)).collect();
        prop_assert_eq!(number(0), sum(&v));
        prop_assert_eq!(whole(1), Some(rows.len() as i64));
        prop_assert_eq!(whole(2), Some(rows.iter().filter(|row| row.s.is_some()).count() as i64));
        prop_assert_eq!(whole(3), a.iter().copied().min());
        prop_assert_eq!(number(4), v.iter().copied().max_by(f64::total_cmp));
        prop_assert_eq!(number(5), sum(&b).map(|total| total / b.len() as f64));
        prop_assert_eq!(number(6), sum(&both));
        prop_assert_eq!(whole(7), sum(&a));
    }

    /// Of batches smaller than the window, and larger.
    #[test]
    fn sliding_windows_by_all_workers(
        batches in prop::collection::vec(
            prop::collection::vec(prop::option::weighted(0.9, -50..50_i32), 0..40), 1..12),
        before in prop::sample::select(vec![0_usize, 1, 2, 7, 50, 1024, 1025]),
        workers in 1..4_usize,
    ) {
        let session = Session::builder().workers(workers).memory("64MiB").build().unwrap();
        let rows: Vec<Option<f64>> = batches.iter().flatten().map(|v| v.map(|v| f64::from(v) / 4.0)).collect();
        let mut next = 0;
        let batches: Vec<RecordBatch> = batches
            .iter()
            .map(|batch| {
                let ids = Int64Array::from_iter_values(next..next + batch.len() as i64);
                next += batch.len() as i64;
                let values = batch.iter().map(|v| v.map(|v| f64::from(v) / 4.0)).collect::<Float64Array>();
                let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(ids)), ("v", Arc::new(values))];
                RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
            })
            .collect();
        let over = format!("OVER (ORDER BY id ROWS BETWEEN {before} PRECEDING AND CURRENT ROW)");
        let text = format!("SELECT id, sum(v) {over}, max(v) {over}, count(v) {over} FROM t");
        let found = session.block_on(async {
            let frame = frame(&session, vec![batches], &text).await;
            let shown = plan(&frame).await;
            assert!(shown.contains("RunningWindowExec"), "{shown}");
            frame.collect().await.unwrap()
        });
        let mut at = 0;
        for batch in &found {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let sums = batch.column(1).as_primitive::<Float64Type>();
            let most = batch.column(2).as_primitive::<Float64Type>();
            let counts = batch.column(3).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let window: Vec<f64> = rows[at - at.min(before)..=at].iter().flatten().copied().collect();
                prop_assert_eq!(ids.value(row), at as i64);
                prop_assert_eq!(sums.is_valid(row).then(|| sums.value(row)), sum(&window));
                let largest = window.iter().copied().max_by(f64::total_cmp);
                prop_assert_eq!(most.is_valid(row).then(|| most.value(row)), largest);
                prop_assert_eq!(counts.value(row), window.len() as i64);
                at += 1;
            }
        }
        prop_assert_eq!(at, rows.len());
    }
}
