//! Values of a column: its dictionary, and what was taken of its pages for a batch.
//!
//! [`Values`] is what a kind of column does; [`numbers`](super::numbers) and [`texts`](super::texts) are the kinds. Each has two places to
//! gather rows in: one for the batch that goes out ([`Place::Out`]) and one for filters ([`Place::Filter`]).

use super::pages::Body;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::common::Result;

/// Where rows are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Out,
    Filter,
}

/// The number of a dictionary's entry that stands for null.
pub(super) const NULL: u32 = u32::MAX;

/// Rows of a step, counted from its begin.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// From the first to before the second.
    Range(usize, usize),
    /// In order.
    Some(&'a [u32]),
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Range(from, to) => to - from,
            Self::Some(rows) => rows.len(),
        }
    }
}

/// Which rows are not null, by their ids as [`Values::take_ids`] gets them.
pub(super) fn present(ids: &[u32], first: usize, rows: Rows<'_>) -> NullBuffer {
    NullBuffer::new(match rows {
        Rows::Range(from, to) => {
            let ids = &ids[from.wrapping_sub(first)..to.wrapping_sub(first)];
            BooleanBuffer::collect_bool(ids.len(), |at| ids[at] != NULL)
        }
        Rows::Some(rows) => {
            BooleanBuffer::collect_bool(rows.len(), |at| ids[(rows[at] as usize).wrapping_sub(first)] != NULL)
        }
    })
}

/// Values as a page has them, one behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain<'a> {
    pub(super) bytes: &'a [u8],
    /// Where each value begins if they differ in length, and at last where the last one ends.
    pub(super) starts: &'a [u32],
    /// For each row of the page its value, or [`NULL`]; none if each row has one.
    pub(super) places: Option<&'a [u32]>,
    /// The row of the page at which the step begins; wraps if the page begins inside of the step.
    pub(super) begin: usize,
}

impl Plain<'_> {
    /// The value of a row of the step; [`usize::MAX`] if it is null.
    pub(super) fn value(&self, row: usize) -> usize {
        let row = row.wrapping_add(self.begin);
        match self.places {
            None => row,
            Some(places) => match places.get(row) {
                Some(&place) if place != NULL => place as usize,
                _ => usize::MAX,
            },
        }
    }
}

/// What a kind of column does with its dictionary and its pages.
pub(super) trait Values: Send {
    /// Takes the dictionary of a row group; gives back memory that it does not need any more.
    fn set_dictionary(&mut self, body: Body, count: usize) -> Result<Option<Body>>;

    /// The entries of the dictionary.
    fn dictionary_len(&self) -> usize;

    /// The entries as an array.
    fn dictionary(&self) -> Result<ArrayRef>;

    /// Gathers entries of the dictionary: `ids[row - first]` for each row, where `first` wraps. Ids are entries, or
    /// [`NULL`] if `nulls`.
    fn take_ids(
        &mut self,
        place: Place,
        ids: &[u32],
        first: usize,
        rows: Rows<'_>,
        nulls: bool,
    ) -> Result<()>;

    /// Gathers values of a page.
    fn take_plain(&mut self, place: Place, page: Plain<'_>, rows: Rows<'_>) -> Result<()>;

    /// Bytes of a value; none if they differ.
    fn width(&self) -> Option<usize>;

    /// The rows gathered, as an array.
    fn finish(&mut self, place: Place) -> Result<ArrayRef>;
}
