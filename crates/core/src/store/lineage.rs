//! How a partition can be computed again when its data is lost.
//!
//! A lineage is a closure that gives the partition's batches once more; it holds what that needs (a call
//! with its arguments, a query plan), so those live as long as the partition. It runs without any lock of
//! the store, on the thread that asked for the data, and may ask for other stored partitions, which are
//! recovered in the same way if they are lost too.
//!
//! What comes back is checked against what is known of the lost data (columns, rows); a lineage that gives
//! something else is an error, never an answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::data::check_schema;
use crate::error::{Error, ErrorKind, Result};

/// How often a lost partition is computed before its loss is an error.
const ATTEMPTS: usize = 3;

/// The way to compute a stored partition again; see
/// [`Engine::put_batches_with`](crate::Engine::put_batches_with).
#[derive(Clone)]
pub struct Lineage {
    compute: Arc<dyn Fn() -> Result<Vec<RecordBatch>> + Send + Sync>,
    time: Option<Duration>,
}

impl Lineage {
    /// A lineage that calls `compute`, which must give the same rows each time.
    ///
    /// It must not hold the partition it computes, which would then never be freed.
    pub fn new(compute: impl Fn() -> Result<Vec<RecordBatch>> + Send + Sync + 'static) -> Self {
        Self { compute: Arc::new(compute), time: None }
    }

    /// Says how long computing takes, about. When that is much less than writing and reading a file, the
    /// store drops the partition instead of spilling it. Default: not known, so it is spilled.
    #[must_use]
    pub fn takes(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    pub(super) fn time(&self) -> Option<Duration> {
        self.time
    }

    /// Computes the batches again. `cause` is why they are needed.
    pub(super) fn recover(
        &self,
        schema: &SchemaRef,
        rows: usize,
        cause: Option<&Error>,
    ) -> Result<Vec<RecordBatch>> {
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            let checked = (self.compute)().and_then(|batches| check(schema, rows, batches));
            match checked {
                Ok(batches) => return Ok(batches),
                Err(error) => {
                    let hopeless = matches!(error.kind(), ErrorKind::ShutDown | ErrorKind::Cancelled);
                    failure = Some(error);
                    if hopeless {
                        break;
                    }
                }
            }
        }
        let why = cause.map_or_else(|| "it was not kept".to_owned(), |cause| cause.message().to_owned());
        let error =
            Error::new(ErrorKind::DataLost, "recompute partition", format!("the data is lost ({why})"));
        Err(match failure {
            Some(failure) => {
                let message = format!("computing it again failed: {failure}");
                error.with_help(message).with_source(failure)
            }
            None => error,
        })
    }
}

fn check(schema: &SchemaRef, rows: usize, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    check_schema(schema, &batches)?;
    let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if found != rows {
        let message = format!("{found} rows came back instead of {rows}: the work does not repeat itself");
        return Err(Error::new(ErrorKind::DataLost, "recompute partition", message));
    }
    Ok(batches)
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lineage").field("time", &self.time).finish_non_exhaustive()
    }
}
