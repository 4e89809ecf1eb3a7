//! Where a persisted partition came from, so that it can be computed again when its data is lost.
//!
//! Known of a partition are the plan, which stream of it, which rows of that stream, and a digest of their
//! values that does not depend on order or batches. To recover, the plan runs once more; the streams that
//! are not needed are read and thrown away, because operators that exchange rows between streams wait for
//! all of them. Rows with another digest (the files have changed, or the query draws lots) are an error.
//!
//! A plan to persist is made without DataFusion's exchange of files between the streams of a scan, which
//! would give each stream other rows at each run.

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::dataframe::DataFrame as Inner;
use datafusion::error::Result as PlanResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream_partitioned;
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;
use tokio::task::{JoinSet, yield_now};
use trefoil_core::{Engine, Error, ErrorKind, Lineage, Result, WeakEngine};

use crate::error::plan_error;

const OPERATION: &str = "recompute partition";

/// The plan that partitions were made by.
pub(super) struct Origin {
    engine: WeakEngine,
    frame: Inner,
}

/// The same frame, planned so that each stream gives the same rows at each run.
pub(super) fn repeatable(frame: Inner) -> Inner {
    let (mut state, plan) = frame.into_parts();
    state.config_mut().options_mut().execution.enable_file_stream_work_stealing = false;
    Inner::new(state, plan)
}

/// The streams of a frame's plan.
pub(super) async fn streams(frame: &Inner) -> PlanResult<Vec<SendableRecordBatchStream>> {
    let context = Arc::new(frame.task_ctx());
    let plan = frame.clone().create_physical_plan().await?;
    execute_stream_partitioned(plan, context)
}

impl Origin {
    pub(super) fn new(engine: &Engine, frame: Inner) -> Arc<Self> {
        Arc::new(Self { engine: engine.downgrade(), frame })
    }

    /// The lineage of these rows of a stream.
    pub(super) fn lineage(
        self: &Arc<Self>,
        stream: usize,
        rows: Range<usize>,
        batches: &[RecordBatch],
    ) -> PlanResult<Lineage> {
        let expected = digest(batches)?;
        let origin = Arc::clone(self);
        Ok(Lineage::new(move || origin.again(stream, rows.clone(), expected)))
    }

    fn again(&self, stream: usize, rows: Range<usize>, expected: u64) -> Result<Vec<RecordBatch>> {
        let engine = self
            .engine
            .upgrade()
            .ok_or_else(|| Error::new(ErrorKind::ShutDown, OPERATION, "the engine has been shut down"))?;
        let frame = self.frame.clone();
        let batches = engine
            .block_on(engine.on_cpu(async move { rows_of(&frame, stream, rows).await }))?
            .map_err(|error| plan_error(error, OPERATION))?;
        if digest(&batches).map_err(|error| plan_error(error, OPERATION))? != expected {
            return Err(Error::new(ErrorKind::DataLost, OPERATION, "the query gave other rows this time")
                .with_help("its files have changed or it is random: persist the frame again"));
        }
        Ok(batches)
    }
}

async fn rows_of(frame: &Inner, wanted: usize, rows: Range<usize>) -> PlanResult<Vec<RecordBatch>> {
    let mut rest = JoinSet::new();
    let mut chosen = None;
    for (index, mut stream) in streams(frame).await?.into_iter().enumerate() {
        match index == wanted {
            true => chosen = Some(stream),
            false => {
                rest.spawn(async move {
                    while stream.next().await.is_some_and(|batch| batch.is_ok()) {
                        yield_now().await;
                    }
                });
            }
        }
    }
    let mut batches = Vec::new();
    let mut at = 0;
    if let Some(mut stream) = chosen {
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            yield_now().await;
            let here = at..at + batch.num_rows();
            at = here.end;
            let (start, end) = (rows.start.max(here.start), rows.end.min(here.end));
            if start < end {
                batches.push(batch.slice(start - here.start, end - start));
            }
            if at >= rows.end {
                break;
            }
        }
    }
    Ok(batches)
}

/// A number that two sets of rows share if they hold the same rows, in any order and batches. Floats count in
/// single precision, because the last digits of their sums depend on the order of addition.
fn digest(batches: &[RecordBatch]) -> PlanResult<u64> {
    let state = RandomState::with_seed(0x7472_6566_6f69_6c21);
    let mut sum = 0u64;
    let mut hashes = Vec::new();
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Float64 => Ok(cast(column, &DataType::Float32)?),
                _ => Ok(Arc::clone(column)),
            })
            .collect::<PlanResult<Vec<ArrayRef>>>()?;
        hashes.clear();
        hashes.resize(batch.num_rows(), 0);
        create_hashes(&columns, &state, &mut hashes)?;
        // Sums of hashes that are not mixed would let two changes cancel.
        let mixed = hashes.iter().map(|hash| (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        sum = mixed.fold(sum, u64::wrapping_add);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float64Array, StringArray};

    fn batch(floats: Vec<f64>, texts: Vec<&str>) -> RecordBatch {
        let floats = Arc::new(Float64Array::from(floats)) as ArrayRef;
        let texts = Arc::new(StringArray::from(texts)) as ArrayRef;
        RecordBatch::try_from_iter([("f", floats), ("s", texts)]).unwrap()
    }

    #[test]
    fn digests_ignore_order_batches_and_last_digits() {
        let one = digest(&[batch(vec![0.5, 1.1], vec!["a", "b"])]).unwrap();
        let other = digest(&[batch(vec![1.1 + 1e-15], vec!["b"]), batch(vec![0.5], vec!["a"])]).unwrap();
        assert_eq!(one, other);
        assert_ne!(one, digest(&[batch(vec![0.5, 1.1], vec!["b", "a"])]).unwrap());
        assert_ne!(one, digest(&[batch(vec![0.5], vec!["a"])]).unwrap());
    }
}
