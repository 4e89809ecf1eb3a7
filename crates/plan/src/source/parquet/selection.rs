//! The rows of a step that are left, and which entries of a dictionary pass a filter.

use super::values::{NULL, Rows};
use datafusion::arrow::array::{Array, BooleanArray};

/// Rows of a step, in order.
#[derive(Debug, Default)]
pub(super) struct Selection {
    step: usize,
    all: bool,
    rows: Vec<u32>,
}

impl Selection {
    /// All of a step of so many rows.
    pub(super) fn reset(&mut self, step: usize) {
        self.step = step;
        self.all = true;
    }

    /// Rows of the step, those that are gone too.
    pub(super) fn step(&self) -> usize {
        self.step
    }

    pub(super) fn len(&self) -> usize {
        if self.all { self.step } else { self.rows.len() }
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        if self.all { Rows::Range(0, self.step) } else { Rows::Some(&self.rows) }
    }

    /// Keeps none.
    pub(super) fn clear(&mut self) {
        self.all = false;
        self.rows.clear();
    }

    /// Keeps the rows whose entries pass, without a branch for each; there is an id for each row of the step.
    pub(super) fn retain(&mut self, ids: &[u32], table: &Table) {
        let mut kept = 0;
        if self.all {
            self.rows.resize(self.step, 0);
            let rows = &mut self.rows[..];
            for (row, id) in (0_u32..).zip(ids) {
                // `kept` is at most `row`.
                rows[kept] = row;
                kept += usize::from(table.passes(*id));
            }
            self.all = kept == self.step;
        } else {
            for at in 0..self.rows.len() {
                let row = self.rows[at];
                self.rows[kept] = row;
                kept += usize::from(table.passes(ids[row as usize]));
            }
        }
        self.rows.truncate(kept);
    }

    /// Keeps those of the rows left for which the mask is true; it has one value for each of them.
    pub(super) fn retain_masked(&mut self, mask: &BooleanArray) {
        let kept = mask.true_count();
        if kept == self.len() {
            return;
        }
        let bits = match mask.nulls() {
            Some(nulls) => mask.values() & nulls.inner(),
            None => mask.values().clone(),
        };
        let rows = bits.set_indices_u32();
        self.rows = match self.all {
            true => rows.collect(),
            false => rows.map(|at| self.rows[at as usize]).collect(),
        };
        self.all = false;
    }
}

/// Which entries of a dictionary pass.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<bool>,
    null: bool,
}

impl Table {
    /// Of a mask over the entries, and what null gives.
    pub(super) fn new(mask: &BooleanArray, null: bool) -> Self {
        let entries = (0..mask.len()).map(|at| mask.is_valid(at) && mask.value(at)).collect();
        Self { entries, null }
    }

    pub(super) fn passes(&self, id: u32) -> bool {
        debug_assert!(id == NULL || (id as usize) < self.entries.len());
        self.entries.get(id as usize).copied().unwrap_or(self.null)
    }
}
