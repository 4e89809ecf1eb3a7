//! Integration tests of the relational kernel, one binary.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod array_joins;
#[cfg(feature = "avro")]
mod avro;
mod border;
mod cancel;
mod clustered;
mod created;
#[cfg(feature = "delta")]
mod delta;
mod lineage;
mod malformed;
mod memory;
mod observe;
mod optimize;
mod runtimes;
mod scans;
mod sorting;
mod sources;
mod stores;
mod text;
mod tolerant;
mod totals;
mod write;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use std::sync::Arc;
use trefoil_plan::Session;

fn session() -> Session {
    Session::builder().workers(2).memory("512MiB").build().unwrap()
}

fn data(name: &str) -> String {
    format!("{}/../../examples/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Columns `n` (numbers from `start`), `s` (texts) and `f`.
fn batch(start: i64, rows: i64) -> RecordBatch {
    let n = Int64Array::from_iter_values(start..start + rows);
    let s = StringArray::from_iter_values((start..start + rows).map(|i| format!("text {i}")));
    let f = Float64Array::from_iter_values((start..start + rows).map(|i| i as f64 / 2.0));
    RecordBatch::try_from_iter([
        ("n", Arc::new(n) as ArrayRef),
        ("s", Arc::new(s) as ArrayRef),
        ("f", Arc::new(f) as ArrayRef),
    ])
    .unwrap()
}

fn write(dir: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
