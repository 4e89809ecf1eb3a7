//! Frames side by side, row by row: `hstack`, and `modes` on top of it.
//!
//! Every frame is persisted, and their partitions are walked together: a batch ends where one of them has a batch that
//! ends, so that columns are slices of what is in the store.

use super::check::{self, invalid};
use super::summary;
use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use std::collections::VecDeque;
use std::sync::Arc;
use trefoil_core::{Partition, Ref};
use trefoil_plan::{DataFrame, Result, plan_error};

/// Batches are put together into a partition until there are so many rows.
const PARTITION_ROWS: usize = 1 << 20;

/// Where in a frame the next row is.
struct Cursor {
    schema: SchemaRef,
    partitions: VecDeque<Ref<Partition>>,
    batches: VecDeque<RecordBatch>,
}

impl Cursor {
    async fn of(frame: &DataFrame) -> Result<Self> {
        let kept = frame.persist().await?;
        let partitions = kept.partitions()?.into_iter().collect();
        Ok(Self { schema: frame.schema(), partitions, batches: VecDeque::new() })
    }

    /// How many rows come in one piece; none at the end.
    async fn rows(&mut self) -> Result<Option<usize>> {
        loop {
            match self.batches.front() {
                Some(batch) if batch.num_rows() == 0 => {
                    self.batches.pop_front();
                }
                Some(batch) => return Ok(Some(batch.num_rows())),
                None => match self.partitions.pop_front() {
                    Some(partition) => self.batches = partition.await?.batches()?.iter().cloned().collect(),
                    None => return Ok(None),
                },
            }
        }
    }

    /// The columns of the next rows, null behind the end.
    fn take(&mut self, rows: usize) -> Vec<ArrayRef> {
        let Some(batch) = self.batches.front_mut() else {
            return self.schema.fields().iter().map(|f| new_null_array(f.data_type(), rows)).collect();
        };
        let taken = batch.slice(0, rows);
        *batch = batch.slice(rows, batch.num_rows() - rows);
        taken.columns().to_vec()
    }
}

/// The columns of all frames.
pub(super) async fn hstack(op: &'static str, frames: &[DataFrame]) -> Result<DataFrame> {
    let Some(session) = frames.first().map(|frame| frame.session().clone()) else {
        return Err(invalid(op, "there are no frames"));
    };
    let mut names = Vec::new();
    for frame in frames {
        names.extend(check::names(op, frame)?);
    }
    check::distinct(op, &names)?;
    let fields = frames.iter().flat_map(|frame| {
        let schema = frame.schema();
        schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<Field>>()
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut cursors = Vec::new();
    for frame in frames {
        cursors.push(Cursor::of(frame).await?);
    }
    let (mut stored, mut batches, mut gathered) = (Vec::new(), Vec::new(), 0);
    loop {
        let mut rows: Option<usize> = None;
        for cursor in &mut cursors {
            if let Some(here) = cursor.rows().await? {
                rows = Some(rows.map_or(here, |rows| rows.min(here)));
            }
        }
        if gathered >= PARTITION_ROWS || rows.is_none() {
            stored.push(session.engine().put_batches(Arc::clone(&schema), std::mem::take(&mut batches))?);
            gathered = 0;
        }
        let Some(rows) = rows else { break };
        let columns = cursors.iter_mut().flat_map(|cursor| cursor.take(rows)).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        batches.push(batch.map_err(|e| plan_error(e.into(), op))?);
        gathered += rows;
    }
    session.frame_from_refs(stored.into_iter().map(Ref::ready)).await
}

/// The most frequent values of every column, side by side.
pub(super) async fn modes(frame: &DataFrame) -> Result<DataFrame> {
    const OP: &str = "modes";
    let columns = check::names(OP, frame)?;
    let each = columns.iter().map(|column| summary::mode(frame, column)).collect::<Result<Vec<_>>>()?;
    hstack(OP, &each).await
}
