//! Filters that a scan applies to the rows of a step.
//!
//! - Of one column that holds numbers of dictionary entries, a filter is asked once about the entries and then looked up
//!   by number; again if it has been filled in between. Not if there are about as many entries as rows, and not if an entry makes it fail: the row of that entry
//!   may have been dropped before it is reached.
//! - Otherwise its columns are gathered for the rows that are left, and it is asked about those.
//! - Filters that joins and sorts fill while the query runs ([`Filter::running`]) may be left out at any time. One that
//!   has kept more than [`MOST`] of some rows is left out for a while, and those that keep few go first ([`Filter::rank`]).

use super::broken;
use super::column::{Column, Source};
use super::selection::{Selection, Table};
use super::values::Place;
use datafusion::arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use std::sync::Arc;

/// The part of its rows above which a running filter is not worth its while, in percent.
const MOST: usize = 70;
/// Rows that are looked at before one is judged.
const TRIAL: usize = 16_384;
/// Steps that pass before it is tried again, as it may have become tighter or the rows others: from few to many, while it
/// stays as it is.
const PAUSE: usize = 64;
const FIRST_PAUSE: usize = 2;
/// A dictionary is asked about if each entry stands for at least so many rows.
const ROWS_PER_ENTRY: usize = 4;

pub(super) struct Filter {
    /// Over `schema`.
    expr: Arc<dyn PhysicalExpr>,
    /// Its columns among those of the scan.
    pub(super) columns: Vec<usize>,
    schema: SchemaRef,
    /// Which entries pass of which dictionary, as of which state of a running filter; none if that cannot be said.
    table: Option<((u64, u64), Option<Table>)>,
    trial: Option<Trial>,
}

/// How a running filter has done lately.
#[derive(Debug, Default)]
struct Trial {
    /// The part of its rows that it kept when it was judged last; none before.
    share: Option<f32>,
    seen: usize,
    kept: usize,
    /// Counts how often the filter was filled.
    generation: u64,
    /// Steps that it lets pass unseen, and the next time that it is not worth its while.
    pause: usize,
    next_pause: usize,
}

impl Filter {
    /// One that must hold.
    pub(super) fn exact(expr: Arc<dyn PhysicalExpr>, columns: Vec<usize>, schema: SchemaRef) -> Self {
        Self { expr, columns, schema, table: None, trial: None }
    }

    /// One that may be left out.
    pub(super) fn running(expr: Arc<dyn PhysicalExpr>, columns: Vec<usize>, schema: SchemaRef) -> Self {
        Self { trial: Some(Trial::default()), ..Self::exact(expr, columns, schema) }
    }

    pub(super) fn is_running(&self) -> bool {
        self.trial.is_some()
    }

    /// The place among all filters: those that must hold, then running ones, those first that keep few rows.
    pub(super) fn rank(&self) -> f32 {
        match &self.trial {
            None => -1.0,
            Some(trial) => trial.share.unwrap_or(1.0),
        }
    }

    /// Drops the rows of a step that the filter rules out. `rows` are the rows of the row group.
    pub(super) fn apply(
        &mut self,
        columns: &mut [Column],
        source: &Source,
        first: usize,
        rows: usize,
        selection: &mut Selection,
    ) -> Result<()> {
        let before = selection.len();
        let mut generation = 0;
        if let Some(trial) = &mut self.trial {
            if trial.pause > 0 {
                trial.pause -= 1;
                return Ok(());
            }
            generation = snapshot_generation(&self.expr);
            let filled = std::mem::replace(&mut trial.generation, generation) != generation;
            if self.is_open()? {
                return Ok(());
            }
            if filled {
                return self.apply_to_rows(columns, source, first, selection);
            }
        }
        if let [column] = self.columns[..]
            && let Some((version, entries)) = columns[column].dictionary_at(source, first)?
            && entries.saturating_mul(ROWS_PER_ENTRY) <= rows
        {
            let known = (version, generation);
            if self.table.as_ref().is_none_or(|(of, _)| *of != known) {
                self.table = Some((known, self.table_of(&columns[column])));
            }
            if let Some((_, Some(table))) = &self.table {
                columns[column].keep(first, table, selection)?;
                self.judge(before, selection.len());
                return Ok(());
            }
        }
        self.apply_to_rows(columns, source, first, selection)
    }

    /// Asks about the rows that are left.
    fn apply_to_rows(
        &mut self,
        columns: &mut [Column],
        source: &Source,
        first: usize,
        selection: &mut Selection,
    ) -> Result<()> {
        let before = selection.len();
        let Some(mask) = self.mask(columns, source, first, selection)? else { return Ok(()) };
        selection.retain_masked(&mask);
        self.judge(before, selection.len());
        Ok(())
    }

    fn judge(&mut self, before: usize, kept: usize) {
        let Some(trial) = &mut self.trial else { return };
        trial.seen += before;
        trial.kept += kept;
        if trial.seen >= TRIAL {
            trial.share = Some(trial.kept as f32 / trial.seen as f32);
            if trial.kept * 100 > trial.seen * MOST {
                trial.pause = trial.next_pause.clamp(FIRST_PAUSE, PAUSE);
                trial.next_pause = 2 * trial.pause;
            } else {
                trial.next_pause = FIRST_PAUSE;
            }
            (trial.seen, trial.kept) = (0, 0);
        }
    }

    /// The filter of the rows that are left; none if all pass.
    fn mask(
        &self,
        columns: &mut [Column],
        source: &Source,
        first: usize,
        selection: &Selection,
    ) -> Result<Option<BooleanArray>> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns[*column].take(source, Place::Filter, first, selection)?;
            arrays.push(columns[*column].finish(Place::Filter)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(selection.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        match self.expr.evaluate(&batch)? {
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => Ok(None),
            value => Ok(Some(as_boolean_array(&value.into_array(batch.num_rows())?)?.clone())),
        }
    }

    /// Whether a running filter knows nothing yet: then it is the literal true.
    fn is_open(&self) -> Result<bool> {
        let batch = RecordBatch::new_empty(Arc::clone(&self.schema));
        let value = self.expr.evaluate(&batch)?;
        Ok(matches!(value, ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))))
    }

    fn table_of(&self, column: &Column) -> Option<Table> {
        let evaluate = |array: Arc<dyn Array>| -> Result<BooleanArray> {
            let length = array.len();
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![array])?;
            Ok(as_boolean_array(&self.expr.evaluate(&batch)?.into_array(length)?)?.clone())
        };
        let entries = evaluate(column.dictionary().ok()?).ok()?;
        let null = match column.field.is_nullable() {
            true => {
                let null = evaluate(new_null_array(column.field.data_type(), 1)).ok()?;
                null.is_valid(0) && null.value(0)
            }
            false => false,
        };
        Some(Table::new(&entries, null))
    }
}

/// The columns of some filters as a schema of their own.
pub(super) fn schema_of(columns: &[Column], of: &[usize]) -> SchemaRef {
    Arc::new(Schema::new(of.iter().map(|at| Arc::clone(&columns[*at].field)).collect::<Vec<_>>()))
}

/// The mask as it counts: null is false.
pub(super) fn mask_of(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let mask = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    as_boolean_array(&mask).cloned().map_err(|_| broken("a filter gives no mask".into()))
}
