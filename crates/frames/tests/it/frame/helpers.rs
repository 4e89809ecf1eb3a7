//! One session for all tests, small tables, and frames as compact text.

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampSecondArray,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use std::sync::{Arc, LazyLock};
use trefoil_plan::{DataFrame, Result, Session};

pub fn session() -> &'static Session {
    static SESSION: LazyLock<Session> = LazyLock::new(|| Session::local().unwrap());
    &SESSION
}

pub fn run<F: Future>(future: F) -> F::Output {
    session().engine().block_on(future)
}

/// A frame of these partitions, each a list of batches of one schema.
pub fn partitioned(partitions: Vec<Vec<RecordBatch>>) -> DataFrame {
    let schema = partitions.iter().flatten().next().unwrap().schema();
    let table = MemTable::try_new(schema, partitions).unwrap();
    let inner = session().context().read_table(Arc::new(table)).unwrap();
    DataFrame::new(session().clone(), inner)
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

pub fn frame(columns: Vec<(&str, ArrayRef)>) -> DataFrame {
    partitioned(vec![vec![batch(columns)]])
}

pub fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

pub fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

pub fn masks(values: &[Option<bool>]) -> ArrayRef {
    Arc::new(BooleanArray::from(values.to_vec()))
}

/// Six gems in two partitions, with nulls.
pub fn gems() -> DataFrame {
    let all = batch(vec![
        ("id", ints(&[Some(1), Some(2), Some(3), Some(4), Some(5), Some(6)])),
        ("cut", texts(&[Some("Ideal"), Some("Good"), None, Some("Ideal"), Some("Fair"), Some("Good")])),
        ("carat", floats(&[Some(0.25), Some(1.1), Some(2.0), None, Some(0.9), Some(1.5)])),
        ("price", ints(&[Some(326), Some(400), None, Some(1000), Some(55), Some(400)])),
        (
            "sold",
            Arc::new(TimestampSecondArray::from(vec![
                Some(1_700_000_000),
                Some(1_600_000_000),
                None,
                Some(0),
                Some(951_782_400),
                Some(86_399),
            ])),
        ),
        ("Lab Grown", masks(&[Some(true), Some(false), None, Some(true), Some(false), Some(false)])),
    ]);
    partitioned(vec![vec![all.slice(0, 2), all.slice(2, 2)], vec![all.slice(4, 2)]])
}

/// `name|name` and a line `value|value` per row; null is `-`.
pub fn lines(frame: &DataFrame) -> Result<Vec<String>> {
    let batches = run(frame.collect())?;
    let names: Vec<String> = frame.schema().fields().iter().map(|f| f.name().clone()).collect();
    let mut lines = vec![names.join("|")];
    let options = FormatOptions::default().with_null("-");
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|a| ArrayFormatter::try_new(a.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    Ok(lines)
}

fn expected(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Compares all rows in their order.
#[track_caller]
pub fn check(frame: Result<DataFrame>, expect: &str) {
    let found = lines(&frame.unwrap()).unwrap();
    assert_eq!(found, expected(expect), "found:\n{}", found.join("\n"));
}

/// Compares all rows in any order.
#[track_caller]
pub fn check_rows(frame: Result<DataFrame>, expect: &str) {
    let mut found = lines(&frame.unwrap()).unwrap();
    let mut wanted = expected(expect);
    found[1..].sort();
    wanted[1..].sort();
    assert_eq!(found, wanted, "found:\n{}", found.join("\n"));
}
