//! Frames from data that is in memory already: batches of the user, results of tasks.

use super::Session;
use crate::frame::DataFrame;
use crate::stored::{DivisionKey, Divisions, StoredTable};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use trefoil_core::{Dataset, Error, ErrorKind, Partition, Ref, Result};

/// Below this many rows a table stays one partition: splitting would cost more than it gives, and the
/// rows come out in the order they went in.
const ROWS_WORTH_SPLITTING: usize = 32 * 1024;

impl Session {
    /// A frame over batches in memory. They go to the engine's store, without a copy, and are charged to
    /// its budget.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when there is no batch (there would be no schema),
    /// [`ErrorKind::TypeMismatch`] when a batch has other columns than the first,
    /// [`ErrorKind::OutOfMemory`] when they do not fit.
    ///
    /// ```
    /// use datafusion::arrow::array::{Int64Array, RecordBatch};
    /// use std::sync::Arc;
    /// use trefoil_plan::Session;
    ///
    /// let session = Session::local()?;
    /// let column = Arc::new(Int64Array::from(vec![1, 2, 3]));
    /// let batch = RecordBatch::try_from_iter([("n", column as _)]).map_err(trefoil_plan::Error::user)?;
    /// let frame = session.frame_from_batches(vec![batch])?;
    /// assert_eq!(session.block_on(frame.count())?, 3);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub fn frame_from_batches(&self, batches: Vec<RecordBatch>) -> Result<DataFrame> {
        const OPERATION: &str = "frame_from_batches";
        let Some(first) = batches.first() else {
            return Err(Error::new(ErrorKind::InvalidArgument, OPERATION, "there is no batch, so no schema")
                .with_help("give one batch, if need be without rows"));
        };
        let schema = first.schema();
        check_schemas(OPERATION, &schema, batches.iter().map(|batch| batch.schema_ref().as_ref()))?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let parts = if rows < ROWS_WORTH_SPLITTING { 1 } else { self.workers().min(batches.len()) };
        let mut partitions = Vec::with_capacity(parts);
        let mut batches = batches.into_iter().peekable();
        let share = rows.div_ceil(parts.max(1));
        while batches.peek().is_some() {
            let mut part = Vec::new();
            let mut size = 0;
            while let Some(batch) = batches.next_if(|_| size < share || parts == 1) {
                size += batch.num_rows();
                part.push(batch);
            }
            partitions.push(self.put_batches(schema.clone(), part)?);
        }
        self.frame_from_stored(OPERATION, StoredTable::new(schema, partitions))
    }

    /// A frame over partitions that exist or will: results of tasks, partitions of a persisted frame.
    ///
    /// Waits for all of them; nothing is copied, each becomes one partition of the frame.
    ///
    /// # Errors
    /// The error of a ref that failed, [`ErrorKind::InvalidArgument`] when there is none,
    /// [`ErrorKind::TypeMismatch`] when one has other columns than the first.
    pub async fn frame_from_refs(&self, refs: impl IntoIterator<Item = Ref<Partition>>) -> Result<DataFrame> {
        const OPERATION: &str = "frame_from_refs";
        let refs: Vec<Ref<Partition>> = refs.into_iter().collect();
        let mut partitions = Vec::with_capacity(refs.len());
        for partition in refs {
            partitions.push(partition.await?);
        }
        let Some(first) = partitions.first() else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                OPERATION,
                "there is no partition, so no schema",
            )
            .with_help("give one partition, if need be without rows"));
        };
        let schema = first.schema().clone();
        check_schemas(OPERATION, &schema, partitions.iter().map(|part| part.schema().as_ref()))?;
        self.frame_from_stored(OPERATION, StoredTable::new(schema, partitions))
    }

    /// A frame over partitions whose rows are sorted by `keys`, from one partition to the next. Their order is
    /// looked at once and remembered, see [`Divisions`].
    ///
    /// # Errors
    /// As [`Session::frame_from_refs`], and as [`Divisions::find`].
    pub async fn frame_from_sorted(
        &self,
        partitions: Vec<Partition>,
        keys: Vec<DivisionKey>,
    ) -> Result<DataFrame> {
        const OPERATION: &str = "frame_from_sorted";
        let Some(first) = partitions.first() else { return self.frame_from_refs([]).await };
        let schema = first.schema().clone();
        check_schemas(OPERATION, &schema, partitions.iter().map(|part| part.schema().as_ref()))?;
        let over = schema.clone();
        let (kept, divisions) =
            self.on_cpu(async move { Divisions::find(OPERATION, &over, partitions, &keys) }).await??;
        self.frame_from_stored(OPERATION, StoredTable::new(schema, kept).divided(divisions))
    }

    /// As [`Session::frame_from_sorted`], for partitions that begin at the given split points (all but the
    /// first do); they may be empty. Frames divided at the same points are joined partition by partition.
    ///
    /// # Errors
    /// As [`Session::frame_from_sorted`], and as [`Divisions::at`].
    pub async fn frame_from_divided(
        &self,
        partitions: Vec<Partition>,
        keys: Vec<DivisionKey>,
        splits: Vec<Vec<ScalarValue>>,
    ) -> Result<DataFrame> {
        const OPERATION: &str = "frame_from_divided";
        let Some(first) = partitions.first() else { return self.frame_from_refs([]).await };
        let schema = first.schema().clone();
        check_schemas(OPERATION, &schema, partitions.iter().map(|part| part.schema().as_ref()))?;
        let (over, parts) = (schema.clone(), partitions.clone());
        let divisions =
            self.on_cpu(async move { Divisions::at(OPERATION, &over, &parts, &keys, splits) }).await??;
        self.frame_from_stored(OPERATION, StoredTable::new(schema, partitions).divided(divisions))
    }

    /// A frame over a data set, as [`Session::frame_from_refs`], also when it has no partition.
    ///
    /// # Errors
    /// As [`Session::frame_from_refs`].
    pub async fn frame_from_dataset(&self, dataset: &Dataset) -> Result<DataFrame> {
        const OPERATION: &str = "frame_from_dataset";
        let mut partitions = Vec::with_capacity(dataset.partition_count());
        for partition in dataset.partitions() {
            partitions.push(partition.clone().await?);
        }
        let schema = dataset.schema().clone();
        check_schemas(OPERATION, &schema, partitions.iter().map(|part| part.schema().as_ref()))?;
        self.frame_from_stored(OPERATION, StoredTable::new(schema, partitions))
    }
}

/// All must have the names and types of `want`, in its order.
fn check_schemas<'a>(
    operation: &'static str,
    want: &SchemaRef,
    all: impl Iterator<Item = &'a Schema>,
) -> Result<()> {
    for (index, have) in all.enumerate() {
        if have.fields().len() != want.fields().len() {
            return Err(Error::new(
                ErrorKind::TypeMismatch,
                operation,
                format!(
                    "partition {index} has {} columns, partition 0 has {}",
                    have.fields().len(),
                    want.fields().len()
                ),
            ));
        }
        let pairs = have.fields().iter().zip(want.fields());
        if let Some((have, want)) =
            pairs.into_iter().find(|(h, w)| h.name() != w.name() || h.data_type() != w.data_type())
        {
            return Err(Error::new(
                ErrorKind::TypeMismatch,
                operation,
                format!(
                    "partition {index} has column `{}` of {}, partition 0 has `{}` of {}",
                    have.name(),
                    have.data_type(),
                    want.name(),
                    want.data_type()
                ),
            ));
        }
    }
    Ok(())
}
