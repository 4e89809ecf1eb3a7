//! What clients have begun and not ended: queries that were planned, prepared statements. Both are forgotten when there are
//! too many, the oldest first, because a client may go away without a word.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tonic::Status;
use trefoil_plan::DataFrame;
use trefoil_plan::arrow::array::RecordBatch;
use trefoil_plan::arrow::datatypes::DataType;
use trefoil_sql::{Parameter, spark_format, sql_type_name};

use crate::answers::status;

/// Queries that wait for being fetched.
const WAITING: usize = 1024;

/// Prepared statements.
const PREPARED: usize = 4096;

/// A statement, and what was bound to it.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) text: String,
    /// Rows of values.
    pub(crate) bound: Vec<Vec<Parameter>>,
}

/// Things under handles.
#[derive(Default)]
pub(crate) struct State {
    last: AtomicU64,
    waiting: Mutex<BTreeMap<u64, DataFrame>>,
    prepared: Mutex<BTreeMap<u64, Prepared>>,
}

fn keep<T>(map: &Mutex<BTreeMap<u64, T>>, handle: u64, value: T, most: usize) {
    let mut map = map.lock();
    map.insert(handle, value);
    while map.len() > most {
        map.pop_first();
    }
}

fn bytes_of(handle: u64) -> Bytes {
    Bytes::copy_from_slice(&handle.to_be_bytes())
}

fn handle_of(bytes: &[u8]) -> Result<u64, Status> {
    let bytes: [u8; 8] =
        bytes.try_into().map_err(|_| Status::invalid_argument("this is no handle of this server"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn no_statement() -> Status {
    Status::not_found("there is no such prepared statement: it was closed, or too many were made since")
}

impl State {
    /// A number that no other has.
    pub(crate) fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a query until its rows are fetched.
    pub(crate) fn wait(&self, frame: DataFrame) -> Bytes {
        let handle = self.number();
        keep(&self.waiting, handle, frame, WAITING);
        bytes_of(handle)
    }

    /// The query to be fetched, once.
    pub(crate) fn fetch(&self, handle: &[u8]) -> Result<DataFrame, Status> {
        let handle = handle_of(handle)?;
        let frame = self.waiting.lock().remove(&handle);
        frame.ok_or_else(|| Status::not_found("the rows of this query were fetched already"))
    }

    pub(crate) fn prepare(&self, text: String) -> Bytes {
        let handle = self.number();
        keep(&self.prepared, handle, Prepared { text, bound: Vec::new() }, PREPARED);
        bytes_of(handle)
    }

    pub(crate) fn prepared(&self, handle: &[u8]) -> Result<Prepared, Status> {
        self.prepared.lock().get(&handle_of(handle)?).cloned().ok_or_else(no_statement)
    }

    pub(crate) fn bind(&self, handle: &[u8], rows: Vec<Vec<Parameter>>) -> Result<(), Status> {
        let handle = handle_of(handle)?;
        let mut prepared = self.prepared.lock();
        prepared.get_mut(&handle).ok_or_else(no_statement)?.bound = rows;
        Ok(())
    }

    pub(crate) fn close(&self, handle: &[u8]) -> Result<(), Status> {
        self.prepared.lock().remove(&handle_of(handle)?);
        Ok(())
    }
}

/// Whether preparing a statement may plan it: a query changes nothing by being planned, other statements are carried out.
pub(crate) fn is_query(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '(').to_lowercase();
    let first: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
    let changes = ["insert", "update", "delete", "merge"];
    match first.as_str() {
        "select" | "values" | "table" | "from" | "show" | "describe" | "desc" => true,
        "with" => !text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| changes.contains(&word)),
        _ => false,
    }
}

/// Values of a batch, row by row.
pub(crate) fn values(batch: &RecordBatch) -> Result<Vec<Vec<Parameter>>, Status> {
    let mut rows = vec![Vec::with_capacity(batch.num_columns()); batch.num_rows()];
    for column in batch.columns() {
        let texts = spark_format::column(column).map_err(status)?;
        let name = sql_type_name(column.data_type());
        for (index, (row, text)) in rows.iter_mut().zip(texts).enumerate() {
            row.push(match column.is_null(index) || column.data_type() == &DataType::Null {
                true => Parameter::Null,
                false => Parameter::Typed(text, name.clone()),
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let check = |text: &str, expect: bool| assert_eq!(is_query(text), expect, "{text}");
        check("SELECT 1", true);
        check("  (select 1)", true);
        check("WITH a AS (SELECT 1) SELECT * FROM a", true);
        check("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", false);
        check("FROM t |> LIMIT 3", true);
        check("INSERT INTO t SELECT 1", false);
        check("EXPLAIN ANALYZE SELECT 1", false);
        check("DROP TABLE t", false);
        check("", false);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let state = State::default();
        let first = state.prepare("SELECT 1".to_owned());
        assert_eq!(state.prepared(&first).unwrap().text, "SELECT 1");
        let last = (0..PREPARED).map(|_| state.prepare(String::new())).last().unwrap();
        assert!(state.prepared(&first).is_err() && state.prepared(&last).is_ok());
        state.close(&last).unwrap();
        assert!(state.prepared(&last).is_err());
        assert!(state.prepared(b"no handle").is_err());
    }
}
