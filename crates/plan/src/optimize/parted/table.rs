//! Groups in memory: one table, or, from some size on, a table for each part of the hashes of their keys.
//!
//! A table that is one piece grows, and is taken out, in one turn, however large it is; and what it looks up is anywhere in memory. So rows
//! wait until there are some for each part, and then go to one small table after another.

use super::parts::{PARTS, Turn, dealt, hash};
use crate::frame::new_bytes;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::hash_utils::QualityRandomState;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{
    AggregateExec, PhysicalGroupBy, evaluate_group_by, evaluate_many,
};
use datafusion::physical_plan::metrics::Time;
use std::collections::HashSet;
use std::sync::Arc;

/// Tables that one is cut into.
const TABLES: usize = 16;
/// Rows that wait before they go to the tables of parts, and the part of a table's bytes that they may take.
const WAITING: (usize, usize) = (32 * 1024, 4);

/// How batches are read: those of the input, or of states.
pub(super) struct Rows {
    pub(super) group_by: PhysicalGroupBy,
    pub(super) arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    /// Of rows that are no states.
    pub(super) filters: Option<Vec<Option<Arc<dyn PhysicalExpr>>>>,
}

/// One piece.
struct Table {
    values: Box<dyn GroupValues>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// Of the rows of a batch.
    groups: Vec<usize>,
}

impl Table {
    fn new(aggregate: &AggregateExec) -> Result<Self> {
        let keys = aggregate.group_expr().group_schema(&aggregate.input().schema())?;
        let accumulators = aggregate.aggr_expr().iter().map(|function| function.create_groups_accumulator());
        Ok(Self {
            values: new_group_values(keys, &GroupOrdering::None)?,
            accumulators: accumulators.collect::<Result<_>>()?,
            groups: Vec::new(),
        })
    }

    fn merge(&mut self, rows: &Rows, batch: &RecordBatch) -> Result<()> {
        for columns in &evaluate_group_by(&rows.group_by, batch)? {
            self.values.intern(columns, &mut self.groups)?;
        }
        let count = self.values.len();
        let arguments = evaluate_many(&rows.arguments, batch)?;
        for (at, (accumulator, arguments)) in self.accumulators.iter_mut().zip(arguments).enumerate() {
            let Some(filters) = &rows.filters else {
                accumulator.merge_batch(&arguments, &self.groups, count)?;
                continue;
            };
            let filter = match filters.get(at).and_then(Option::as_ref) {
                Some(filter) => Some(filter.evaluate(batch)?.into_array(batch.num_rows())?),
                None => None,
            };
            let filter = filter.as_ref().map(|filter| filter.as_boolean());
            accumulator.update_batch(&arguments, &self.groups, filter, count)?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let accumulators: usize = self.accumulators.iter().map(|accumulator| accumulator.size()).sum();
        self.values.size() + accumulators + self.groups.capacity() * size_of::<usize>()
    }

    /// All groups, with their values or their states; the table is empty then.
    fn emit(&mut self, values: bool) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = self.values.emit(EmitTo::All)?;
        self.values.clear_shrink(0);
        self.groups = Vec::new();
        for accumulator in &mut self.accumulators {
            match values {
                true => columns.push(accumulator.evaluate(EmitTo::All)?),
                false => columns.extend(accumulator.state(EmitTo::All)?),
            }
        }
        Ok(columns)
    }
}

/// Rows that wait.
#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    seen: HashSet<usize>,
}

/// All groups that are in memory.
pub(super) struct Tables {
    aggregate: AggregateExec,
    /// What states are read with.
    states: (SchemaRef, Rows),
    /// One, or one for each part.
    tables: Vec<Table>,
    /// For the tables of parts.
    waiting: Waiting,
    /// Of keys; another one for parts of parts.
    state: QualityRandomState,
    cut: usize,
    turn: Turn,
    busy: Time,
}

impl Tables {
    /// One empty table, of which nothing has been cut.
    pub(super) fn new(
        aggregate: &AggregateExec,
        states: (SchemaRef, Rows),
        cut: usize,
        busy: Time,
    ) -> Result<Self> {
        Ok(Self {
            tables: vec![Table::new(aggregate)?],
            aggregate: aggregate.clone(),
            states,
            waiting: Waiting::default(),
            state: hash(0),
            cut,
            turn: Turn::default(),
            busy,
        })
    }

    /// One empty table, for a part that has been cut so often.
    pub(super) fn restart(&mut self, depth: usize) {
        self.tables.truncate(1);
        self.state = hash(depth);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.batches.is_empty() && self.tables.iter().all(|table| table.values.is_empty())
    }

    /// Of tables and of what waits for them.
    pub(super) fn size(&self) -> usize {
        self.waiting.bytes + self.tables.iter().map(Table::size).sum::<usize>()
    }

    /// Puts a batch into the groups; `None` if it holds states. A cancelled query stops between turns.
    pub(super) async fn merge(&mut self, rows: Option<&Rows>, batch: RecordBatch) -> Result<()> {
        if let [table] = &mut self.tables[..] {
            let busy = self.busy.timer();
            table.merge(rows.unwrap_or(&self.states.1), &batch)?;
            drop(busy);
            return match table.size() > self.cut {
                true => self.cut().await,
                false => Ok(()),
            };
        }
        let (waiting, (rows_wait, part)) = (&mut self.waiting, WAITING);
        waiting.rows += batch.num_rows();
        waiting.bytes += new_bytes(&batch, &mut waiting.seen);
        waiting.batches.push(batch);
        match waiting.rows >= rows_wait || waiting.bytes >= self.cut / part {
            true => self.flush(rows).await,
            false => Ok(()),
        }
    }

    /// Puts what waits into the groups.
    pub(super) async fn flush(&mut self, rows: Option<&Rows>) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.spread(rows, &waiting.batches).await
    }

    /// Makes a table for each part.
    async fn cut(&mut self) -> Result<()> {
        let Some(groups) = self.emit(false)? else { return Ok(()) };
        self.tables.clear();
        for _ in 0..TABLES {
            self.tables.push(Table::new(&self.aggregate)?);
        }
        for from in (0..groups.num_rows()).step_by(WAITING.0) {
            let rows = groups.slice(from, WAITING.0.min(groups.num_rows() - from));
            self.spread(None, &[rows]).await?;
        }
        Ok(())
    }

    async fn spread(&mut self, rows: Option<&Rows>, batches: &[RecordBatch]) -> Result<()> {
        let rows = rows.unwrap_or(&self.states.1);
        let all: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let tables = self.tables.len();
        let mut places: Vec<Vec<(usize, usize)>> =
            (0..tables).map(|_| Vec::with_capacity(all / tables * 5 / 4)).collect();
        for (at, batch) in batches.iter().enumerate() {
            let _timer = self.busy.timer();
            for keys in &evaluate_group_by(&rows.group_by, batch)? {
                for (row, part) in dealt(keys, &self.state, batch.num_rows())?.enumerate() {
                    places[part * tables / PARTS].push((at, row));
                }
            }
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        for (table, places) in self.tables.iter_mut().zip(places) {
            if places.is_empty() {
                continue;
            }
            let busy = self.busy.timer();
            let batch = interleave_record_batch(&batches, &places)?;
            table.merge(rows, &batch)?;
            drop(busy);
            self.turn.spend(batch.get_array_memory_size() * 2).await;
        }
        Ok(())
    }

    /// The groups of the next table that has some, with their values or their states. Nothing waits.
    pub(super) fn emit(&mut self, values: bool) -> Result<Option<RecordBatch>> {
        let Some(table) = self.tables.iter_mut().rev().find(|table| !table.values.is_empty()) else {
            return Ok(None);
        };
        let _timer = self.busy.timer();
        let schema = if values { self.aggregate.schema() } else { Arc::clone(&self.states.0) };
        Ok(Some(RecordBatch::try_new(schema, table.emit(values)?)?))
    }
}
