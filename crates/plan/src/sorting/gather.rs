//! Reading the input of a sort into memory, up to a limit.
//!
//! Every partition is read by a task of its own, which writes down the keys as well. The first that may not take
//! more makes all of them stop; then what they have and what they have not read yet is handed back. A run is read in the same way, by one task.

use super::keys::{BatchKeys, Common, Encoder};
use super::ranges::Keys;
use crate::frame::{compact, new_bytes};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{SortOptions, concat_batches};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::LexOrdering;
use futures::{Stream, StreamExt, stream};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::{JoinSet, yield_now};

/// Batches of fewer rows are put together.
const FEW: usize = 1024;
/// So many rows make a batch then.
const ENOUGH: usize = 8192;

/// What the readers of one sort share.
#[derive(Debug)]
pub(super) struct Limit {
    most: usize,
    /// Charged for each row besides.
    row: usize,
    /// Keys of rows that are there are not refused.
    is_run: bool,
    held: AtomicUsize,
    short: AtomicBool,
}

impl Limit {
    /// Of rows that are sorted all at once.
    pub(super) fn of_all(most: usize) -> Arc<Self> {
        let (held, short) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { most, row: 0, is_run: false, held, short })
    }

    /// Of a run: so much is charged for each row.
    pub(super) fn of_run(row: usize) -> Self {
        let (held, short) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { most: usize::MAX, row, is_run: true, held, short }
    }

    /// Takes memory, or has everybody stop.
    fn take(&self, reservation: &MemoryReservation, bytes: usize) -> bool {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let taken = held <= self.most && reservation.try_grow(bytes).is_ok();
        if !taken {
            self.short.store(true, Ordering::Relaxed);
        }
        taken
    }

    /// Takes memory for keys, and for where the rows are, or has everybody stop. Rows of a run are sorted next, with keys.
    fn take_keys(&self, reservation: &MemoryReservation, keys: &BatchKeys) -> Option<usize> {
        let bytes = keys.size() + keys.len() * self.row;
        let mut taken = self.take(reservation, bytes);
        if !taken && self.is_run {
            reservation.grow(bytes);
            taken = true;
        }
        taken.then_some(bytes)
    }
}

/// A partition that was read, or a part of it.
pub(super) struct Part {
    pub(super) batches: Vec<RecordBatch>,
    keys: Vec<BatchKeys>,
    common: Common,
    /// What is charged for the batches, together with the keys.
    pub(super) held: MemoryReservation,
    key_bytes: usize,
    /// Small batches, and their rows.
    few: (Vec<RecordBatch>, usize),
    /// A batch that there was no memory for.
    pub(super) refused: Option<RecordBatch>,
    /// What was not read.
    pub(super) rest: Option<SendableRecordBatchStream>,
}

/// Reads partitions; those that could not be read whole have a rest.
pub(super) async fn read(
    inputs: Vec<SendableRecordBatchStream>,
    expr: &LexOrdering,
    fields: &[(DataType, SortOptions)],
    limit: &Arc<Limit>,
    account: &MemoryReservation,
) -> Result<Vec<Part>> {
    let mut readers = JoinSet::new();
    for (index, input) in inputs.into_iter().enumerate() {
        let encoder = Encoder::new(fields)?;
        let (expr, limit, held) = (expr.clone(), Arc::clone(limit), account.new_empty());
        readers.spawn(async move { (index, read_one(input, None, &expr, &encoder, &limit, held).await) });
    }
    let mut parts = Vec::new();
    while let Some(done) = readers.join_next().await {
        let (index, part) = done.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        parts.push((index, part?));
    }
    parts.sort_by_key(|(index, _)| *index);
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

/// Reads what comes `first`, and then `input`, as far as there is memory. A run is to have its keys: those of small batches that wait, too.
pub(super) async fn read_one(
    mut input: SendableRecordBatchStream,
    mut first: Option<RecordBatch>,
    expr: &LexOrdering,
    encoder: &Encoder,
    limit: &Limit,
    held: MemoryReservation,
) -> Result<Part> {
    let mut part = Part {
        batches: Vec::new(),
        keys: Vec::new(),
        common: Common::default(),
        held,
        key_bytes: 0,
        few: (Vec::new(), 0),
        refused: None,
        rest: None,
    };
    let mut seen = HashSet::new();
    while !limit.short.load(Ordering::Relaxed) {
        let batch = match first.take() {
            Some(batch) => Some(Ok(batch)),
            None => input.next().await,
        };
        let Some(batch) = batch else {
            part.flush(expr, encoder, limit)?;
            return Ok(part);
        };
        let batch = compact(batch?)?;
        // A cancelled query stops at the next batch, even if its operators always have one ready.
        yield_now().await;
        if batch.num_rows() == 0 {
            continue;
        }
        if !limit.take(&part.held, new_bytes(&batch, &mut seen)) {
            part.refused = Some(batch);
            break;
        }
        if batch.num_rows() >= FEW {
            part.flush(expr, encoder, limit)?;
            part.add(batch, expr, encoder, limit)?;
            continue;
        }
        part.few.1 += batch.num_rows();
        part.few.0.push(batch);
        if part.few.1 >= ENOUGH {
            part.flush(expr, encoder, limit)?;
            // what comes next may lie where these did
            seen.clear();
        }
    }
    if limit.is_run {
        part.flush(expr, encoder, limit)?;
    }
    part.rest = Some(input);
    Ok(part)
}

impl Part {
    fn flush(&mut self, expr: &LexOrdering, encoder: &Encoder, limit: &Limit) -> Result<()> {
        let (few, _) = std::mem::take(&mut self.few);
        match &few[..] {
            [] => Ok(()),
            [first, ..] => {
                let batch = concat_batches(first.schema_ref(), &few)?;
                self.add(batch, expr, encoder, limit)
            }
        }
    }

    fn add(
        &mut self,
        batch: RecordBatch,
        expr: &LexOrdering,
        encoder: &Encoder,
        limit: &Limit,
    ) -> Result<()> {
        let columns: Vec<ArrayRef> =
            expr.iter().map(|key| Ok(key.evaluate_to_sort_column(&batch)?.values)).collect::<Result<_>>()?;
        let keys = encoder.keys(&columns)?;
        self.batches.push(batch);
        // without memory for the keys the batch is kept, and is the last one
        if let Some(bytes) = limit.take_keys(&self.held, &keys) {
            self.key_bytes += bytes;
            self.common.look(&keys);
            self.keys.push(keys);
        }
        Ok(())
    }

    /// Whether the partition was read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_none() && self.keys.len() == self.batches.len()
    }

    /// What is charged for it.
    pub(super) fn bytes(&self) -> usize {
        self.held.size()
    }

    /// What is charged for a row without its key.
    pub(super) fn row_bytes(&self) -> usize {
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        (self.held.size() - self.key_bytes) / rows.max(1)
    }

    /// The rows with their keys, and what is charged for them.
    pub(super) fn into_run(self) -> (Vec<RecordBatch>, Keys, MemoryReservation) {
        let (skip, longest) = self.common.lengths();
        (self.batches, Keys { batches: self.keys, skip, longest }, self.held)
    }

    /// The rows as they came; memory is given back batch by batch.
    pub(super) fn replay(mut self) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
        self.keys.clear();
        self.held.shrink(self.key_bytes);
        let batches: Vec<RecordBatch> = self.batches.into_iter().chain(self.few.0).collect();
        let each = self.held.size() / batches.len().max(1);
        let held = self.held;
        let kept = stream::iter(batches).map(move |batch| {
            held.shrink(each.min(held.size()));
            Ok(batch)
        });
        let refused = stream::iter(self.refused.map(Ok));
        kept.chain(refused).chain(stream::iter(self.rest).flatten())
    }
}

/// How many rows there are, and how long the longest key is behind what all begin with.
pub(super) fn sizes(parts: &[Part]) -> (usize, usize) {
    let rows = parts.iter().flat_map(|part| &part.keys).map(BatchKeys::len).sum();
    let common = parts.iter().map(|part| part.common.clone()).fold(Common::default(), Common::and);
    (rows, common.lengths().1)
}

/// The batches of all parts with their keys, and what is charged for them.
pub(super) fn together(parts: Vec<Part>) -> (Vec<RecordBatch>, Keys, Vec<MemoryReservation>) {
    let (mut batches, mut keys, mut held) = (Vec::new(), Vec::new(), Vec::new());
    let mut common = Common::default();
    for part in parts {
        batches.extend(part.batches);
        keys.extend(part.keys);
        held.push(part.held);
        common = common.and(part.common);
    }
    let (skip, longest) = common.lengths();
    (batches, Keys { batches: keys, skip, longest }, held)
}
