//! Reads row groups in steps.
//!
//! A step is some thousand rows. Filters drop rows of it one after the other, each reading only its own columns; the
//! other columns are read for the rows that are left, if there are any. Rows of several steps, and of several row groups,
//! become one batch. Columns of filters, which are asked several times, do not change their page inside of a step.

use super::column::{Column, Source};
use super::filter::Filter;
use super::open::Prune;
use super::selection::Selection;
use super::values::Place;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use futures::Stream;
use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Steps after which the thread is given up, with batches or without, so that a query that is dropped ends soon: an aggregate
/// above takes batch after batch as long as there is one, and all reading here is done at once.
const STEPS: usize = 2;

pub(super) struct Scan {
    pub(super) source: Source,
    pub(super) columns: Vec<Column>,
    /// The first so many columns go out; the others are for filters.
    pub(super) wanted: usize,
    pub(super) filters: Vec<Filter>,
    pub(super) schema: SchemaRef,
    pub(super) batch_rows: usize,
    pub(super) groups: VecDeque<Rows>,
    pub(super) prune: Prune,
    pub(super) current: Option<Current>,
    pub(super) selection: Selection,
    /// Rows of the next batch so far.
    pub(super) gathered: usize,
}

/// Rows of a row group.
pub(super) struct Rows {
    pub(super) group: usize,
    pub(super) rows: Range<usize>,
    /// Rows of the whole row group.
    pub(super) of: usize,
    /// Whether the exact filters keep all of them.
    pub(super) all: bool,
}

/// The row group that is being read.
pub(super) struct Current {
    /// The first row of the next step, and the one behind the last.
    at: usize,
    end: usize,
    /// Rows in all.
    rows: usize,
    all: bool,
}

impl Scan {
    /// One step; the batch that it completes.
    fn step(&mut self) -> Result<Option<RecordBatch>> {
        let Some(Current { at, end, rows, all }) = self.current else {
            self.next_group()?;
            return Ok(None);
        };
        let mut step = (end - at).min(self.batch_rows);
        let is_exact = |filter: &Filter| !filter.is_running();
        for filter in self.filters.iter().filter(|filter| !(all && is_exact(filter))) {
            for column in &filter.columns {
                step = step.min(self.columns[*column].rows_in_page(&self.source, at)?);
            }
        }
        self.selection.reset(step);
        for filter in &mut self.filters {
            if self.selection.len() == 0 {
                break;
            }
            if !(all && is_exact(filter)) {
                filter.apply(&mut self.columns, &self.source, at, rows, &mut self.selection)?;
            }
        }
        if self.selection.len() > 0 {
            for column in &mut self.columns[..self.wanted] {
                column.take(&self.source, Place::Out, at, &self.selection)?;
            }
            self.gathered += self.selection.len();
        }
        self.current = (at + step < end).then_some(Current { at: at + step, end, rows, all });
        match self.gathered * 2 > self.batch_rows {
            true => self.batch().map(Some),
            false => Ok(None),
        }
    }

    fn next_group(&mut self) -> Result<()> {
        let Some(Rows { group, rows, of, all }) = self.groups.pop_front() else { return Ok(()) };
        if !self.prune.keeps(&self.source.metadata, group)? {
            return Ok(());
        }
        self.filters.sort_by(|one, other| one.rank().total_cmp(&other.rank()));
        for column in &mut self.columns {
            column.begin(group, rows.len() < of);
        }
        let current = Current { at: rows.start, end: rows.end, rows: rows.len(), all };
        self.current = (!rows.is_empty()).then_some(current);
        Ok(())
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.gathered));
        self.gathered = 0;
        let arrays: Result<Vec<_>> =
            self.columns[..self.wanted].iter_mut().map(|column| column.finish(Place::Out)).collect();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays?, &options)?)
    }

    fn is_done(&self) -> bool {
        self.current.is_none() && self.groups.is_empty()
    }

    /// The next batch; none at the end, and where `steps` have become too many.
    fn next(&mut self, steps: &mut usize) -> Result<Option<RecordBatch>> {
        while *steps < STEPS && !self.is_done() {
            *steps += 1;
            if let Some(batch) = self.step()? {
                return Ok(Some(batch));
            }
        }
        match self.is_done() && self.gathered > 0 {
            true => self.batch().map(Some),
            false => Ok(None),
        }
    }
}

/// The batches of a [`Scan`]; ends at its first error.
pub(super) struct Batches {
    pub(super) scan: Option<Scan>,
    /// Names the file in an error.
    pub(super) file: String,
    /// Since the thread was given up.
    pub(super) steps: usize,
}

impl Stream for Batches {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(scan) = &mut this.scan else { return Poll::Ready(None) };
        match scan.next(&mut this.steps) {
            Ok(Some(batch)) => Poll::Ready(Some(Ok(batch))),
            Ok(None) if scan.is_done() => {
                this.scan = None;
                Poll::Ready(None)
            }
            Ok(None) => {
                this.steps = 0;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => {
                this.scan = None;
                Poll::Ready(Some(Err(error.context(format!("reading `{}`", this.file)))))
            }
        }
    }
}
