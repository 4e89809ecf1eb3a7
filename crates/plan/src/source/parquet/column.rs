//! A column of the row group that is being read.
//!
//! ```text
//!   begin ──► unopened ──seek──► at a page, its header known ──load──► unpacked ──seek──► the next page ..
//! ```
//!
//! A column that no row is wanted of stays unopened: its bytes are not even read. Pages before the rows that are wanted
//! are passed over packed. Steps are the reader's ([`super::scan`]) and come in order; within a step a column may be asked
//! several times, by filters and for the batch, and then has all rows of the step in one page.

use super::hybrid::Hybrid;
use super::levels::Valid;
use super::pages::{Next, Page, Pages, Spare};
use super::selection::{Selection, Table};
use super::texts::starts_of;
use super::values::{Place, Plain, Rows, Values};
use super::{broken, unsupported};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::Result;
use datafusion::parquet::basic::Encoding;
use datafusion::parquet::file::metadata::ParquetMetaData;
use std::fs::File;
use std::sync::Arc;

pub(super) struct Column {
    pub(super) field: FieldRef,
    /// Among the columns of the file.
    leaf: usize,
    values: Box<dyn Values>,
    group: usize,
    /// Whether only some rows of the group are asked for.
    partly: bool,
    pages: Option<Pages>,
    /// The current page as far as it is known: rows from the first to before the second are in it.
    rows: (usize, usize),
    state: State,
    /// Of the rows of the page from `ids_from` on.
    ids: Vec<u32>,
    ids_from: usize,
    /// Of the values that are there, of a page with nulls.
    held: Vec<u32>,
    starts: Vec<u32>,
    spare: Spare,
    /// Counts dictionaries.
    version: u64,
    /// Whether a filter asks for it, and so perhaps for fewer rows of a step first and for more later.
    pub(super) filtered: bool,
}

enum State {
    /// No page is current.
    Between,
    Packed,
    Unpacked(Page, Form),
}

enum Form {
    Plain {
        places: Option<Vec<u32>>,
    },
    /// Numbers of entries; how many rows are behind.
    Ids(Hybrid, usize),
    /// The same, for all rows of the page in `ids`, because some are null.
    AllIds,
}

impl Column {
    pub(super) fn new(field: FieldRef, leaf: usize, values: Box<dyn Values>) -> Self {
        Self {
            field,
            leaf,
            values,
            group: 0,
            partly: false,
            pages: None,
            rows: (0, 0),
            state: State::Between,
            ids: Vec::new(),
            ids_from: 0,
            held: Vec::new(),
            starts: Vec::new(),
            spare: Spare::default(),
            version: 0,
            filtered: false,
        }
    }

    /// Goes to the begin of a row group, of which only some rows will be asked for if `partly`.
    pub(super) fn begin(&mut self, group: usize, partly: bool) {
        if let Some(mut pages) = self.pages.take() {
            if let State::Unpacked(page, _) = std::mem::replace(&mut self.state, State::Between) {
                pages.recycle(page.body);
            }
            self.spare = pages.into_spare();
        }
        (self.group, self.partly) = (group, partly);
        self.rows = (0, 0);
        self.state = State::Between;
    }

    /// How many rows from `row` on are in its page.
    pub(super) fn rows_in_page(&mut self, source: &Source, row: usize) -> Result<usize> {
        self.seek(source, row)?;
        Ok(self.rows.1 - row)
    }

    /// Whether the page of a row holds numbers of dictionary entries; if so how many entries there are, and of which
    /// dictionary.
    pub(super) fn dictionary_at(&mut self, source: &Source, row: usize) -> Result<Option<(u64, usize)>> {
        self.seek(source, row)?;
        self.load()?;
        let coded = matches!(&self.state, State::Unpacked(_, Form::Ids(..) | Form::AllIds));
        Ok(coded.then(|| (self.version, self.values.dictionary_len())))
    }

    /// Its place among the columns of the file.
    pub(super) fn leaf(&self) -> usize {
        self.leaf
    }

    pub(super) fn dictionary(&self) -> Result<ArrayRef> {
        self.values.dictionary()
    }

    /// Keeps the rows of a step whose entries pass; the step is in one page, which [`Self::dictionary_at`] has seen.
    pub(super) fn keep(&mut self, first: usize, table: &Table, selection: &mut Selection) -> Result<()> {
        let at = first - self.rows.0;
        if let Some(id) = self.same(at, selection.step())? {
            if id as usize >= self.values.dictionary_len() {
                check(&[id], self.values.dictionary_len())?;
            } else if !table.passes(id) {
                selection.clear();
            }
            return Ok(());
        }
        self.read_ids(at, at + selection.step())?;
        let ids = &self.ids[at - self.ids_from..][..selection.step()];
        selection.retain(ids, table);
        Ok(())
    }

    /// Gathers the rows of a step that begins at row `first` of the group.
    pub(super) fn take(
        &mut self,
        source: &Source,
        place: Place,
        first: usize,
        selection: &Selection,
    ) -> Result<()> {
        let mut rows = selection.rows();
        while let Some(next) = first_of(rows) {
            self.seek(source, first + next)?;
            self.load()?;
            let (here, rest) = split(rows, self.rows.1 - first);
            self.take_of_page(place, first, selection.step(), here)?;
            rows = rest;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, place: Place) -> Result<ArrayRef> {
        self.values.finish(place)
    }

    fn take_of_page(&mut self, place: Place, first: usize, step: usize, rows: Rows<'_>) -> Result<()> {
        let begin = first.wrapping_sub(self.rows.0);
        if let State::Unpacked(page, Form::Plain { places }) = &self.state {
            let bytes = &page.body.bytes()[if self.values.width().is_some() { page.values } else { 0 }..];
            let plain = Plain { bytes, starts: &self.starts, places: places.as_deref(), begin };
            return self.values.take_plain(place, plain, rows);
        }
        if self.filtered && first >= self.rows.0 {
            self.read_ids(first - self.rows.0, (first + step).min(self.rows.1) - self.rows.0)?;
        } else if let (Some(from), Some(last)) = (first_of(rows), last_of(rows)) {
            self.read_ids(from.wrapping_add(begin), last.wrapping_add(begin) + 1)?;
        }
        let nulls = matches!(self.state, State::Unpacked(_, Form::AllIds));
        self.values.take_ids(place, &self.ids, self.ids_from.wrapping_sub(begin), rows, nulls)
    }

    /// The entry of the next `count` rows of the page, if it is one for all of them, as where a file is sorted; they stay unread.
    fn same(&mut self, from: usize, count: usize) -> Result<Option<u32>> {
        let State::Unpacked(page, Form::Ids(hybrid, behind)) = &mut self.state else { return Ok(None) };
        let Some(skipped) = from.checked_sub(*behind) else { return Ok(None) };
        let bytes = page.body.bytes();
        hybrid.skip(bytes, skipped)?;
        *behind = from;
        hybrid.same(bytes, count)
    }

    /// Has the numbers of the entries of some rows of the page in `ids`.
    fn read_ids(&mut self, from: usize, to: usize) -> Result<()> {
        let State::Unpacked(page, Form::Ids(hybrid, behind)) = &mut self.state else { return Ok(()) };
        if self.ids_from <= from && to <= self.ids_from + self.ids.len() {
            return Ok(());
        }
        let bytes = page.body.bytes();
        let skipped =
            from.checked_sub(*behind).ok_or_else(|| broken("rows were read out of order".into()))?;
        hybrid.skip(bytes, skipped)?;
        self.ids.clear();
        hybrid.read(bytes, to - from, &mut self.ids)?;
        (self.ids_from, *behind) = (from, to);
        check(&self.ids, self.values.dictionary_len())
    }

    /// Makes the page of a row the current one.
    fn seek(&mut self, source: &Source, row: usize) -> Result<()> {
        while row >= self.rows.1 {
            let pages = match &mut self.pages {
                Some(pages) => pages,
                None => {
                    let group = source.metadata.row_group(self.group);
                    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
                    let spare = std::mem::take(&mut self.spare);
                    let pages = Pages::open(&source.file, group.column(self.leaf), rows, self.partly, spare)?;
                    self.pages.insert(pages)
                }
            };
            match std::mem::replace(&mut self.state, State::Between) {
                State::Between => {}
                State::Packed => pages.skip()?,
                State::Unpacked(page, _) => pages.recycle(page.body),
            }
            match pages.peek()? {
                Next::End => return Err(broken("a column has fewer rows than its row group".into())),
                Next::Dictionary => {
                    let page = pages.next()?;
                    if let Some(body) = self.values.set_dictionary(page.body, page.count)? {
                        pages.recycle(body);
                    }
                    self.version += 1;
                }
                Next::Rows(count) => {
                    self.rows = (self.rows.1, self.rows.1.saturating_add(count));
                    self.state = State::Packed;
                }
            }
        }
        Ok(())
    }

    /// Unpacks the current page.
    fn load(&mut self) -> Result<()> {
        if !matches!(self.state, State::Packed) {
            return Ok(());
        }
        let Some(pages) = &mut self.pages else { return Ok(()) };
        let page = pages.next()?;
        if page.count != self.rows.1 - self.rows.0 {
            return Err(broken("a page has another number of rows than it says".into()));
        }
        let bytes = page.body.bytes();
        let held = page.valid.as_ref().map_or(page.count, Valid::held);
        self.ids.clear();
        self.ids_from = 0;
        let hybrid = match page.encoding {
            Encoding::PLAIN => {
                let needed = match self.values.width() {
                    None => {
                        starts_of(bytes, page.values, held, &mut self.starts)?;
                        0
                    }
                    Some(0) => held.div_ceil(8),
                    Some(width) => held.saturating_mul(width),
                };
                if needed > bytes.len().saturating_sub(page.values) {
                    return Err(broken("a page has fewer values than rows".into()));
                }
                let places = page.valid.as_ref().map(Valid::places);
                self.state = State::Unpacked(page, Form::Plain { places });
                return Ok(());
            }
            #[allow(deprecated)]
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => match bytes.get(page.values) {
                Some(width) => Hybrid::new(page.values + 1, *width)?,
                None if held == 0 => Hybrid::new(page.values, 0)?,
                None => return Err(broken("a page ends before its values".into())),
            },
            // Of masks, behind the length of the runs.
            Encoding::RLE => Hybrid::new(page.values + 4, 1)?,
            other => return Err(unsupported(format!("values encoded as {other}"))),
        };
        self.state = match &page.valid {
            None => State::Unpacked(page, Form::Ids(hybrid, 0)),
            Some(valid) => {
                let mut hybrid = hybrid;
                self.held.clear();
                hybrid.read(bytes, held, &mut self.held)?;
                check(&self.held, self.values.dictionary_len())?;
                valid.spread(&self.held, &mut self.ids);
                State::Unpacked(page, Form::AllIds)
            }
        };
        Ok(())
    }
}

/// What the columns of a file are read from.
pub(super) struct Source {
    pub(super) file: Arc<File>,
    pub(super) metadata: Arc<ParquetMetaData>,
}

fn check(ids: &[u32], entries: usize) -> Result<()> {
    // A loop that the compiler makes eight comparisons at a time of.
    let most = ids.iter().fold(0, |most, id| (*id).max(most));
    match most as usize >= entries && !ids.is_empty() {
        true => Err(broken(format!("entry {most} of a dictionary of {entries} entries"))),
        false => Ok(()),
    }
}

fn first_of(rows: Rows<'_>) -> Option<usize> {
    match rows {
        Rows::Range(from, to) => (from < to).then_some(from),
        Rows::Some(rows) => rows.first().map(|row| *row as usize),
    }
}

fn last_of(rows: Rows<'_>) -> Option<usize> {
    match rows {
        Rows::Range(from, to) => (from < to).then(|| to - 1),
        Rows::Some(rows) => rows.last().map(|row| *row as usize),
    }
}

/// Rows before `at` and the others.
fn split(rows: Rows<'_>, at: usize) -> (Rows<'_>, Rows<'_>) {
    match rows {
        Rows::Range(from, to) => {
            let at = at.clamp(from, to);
            (Rows::Range(from, at), Rows::Range(at, to))
        }
        Rows::Some(rows) => {
            let (here, rest) = rows.split_at(rows.partition_point(|row| (*row as usize) < at));
            (Rows::Some(here), Rows::Some(rest))
        }
    }
}
