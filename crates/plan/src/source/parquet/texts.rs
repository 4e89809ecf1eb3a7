//! Columns of texts and bytes, as views.
//!
//! Views of a dictionary's entries point into its page, and rows are gathered as numbers of entries until a batch is
//! made. Values of other pages are copied, so that a few rows do not hold on to a page of a megabyte, and the page's
//! memory is free for the next.

use super::broken;
use super::pages::Body;
use super::values::{NULL, Place, Plain, Rows, Values, present};
use datafusion::arrow::array::builder::make_view;
use datafusion::arrow::array::{
    Array, ArrayRef, GenericByteViewArray, NullBufferBuilder, UInt32Array, new_empty_array,
};
use datafusion::arrow::buffer::{Buffer, ScalarBuffer};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::ByteViewType;
use datafusion::common::Result;
use std::sync::Arc;

/// Where the values of a page begin that have their length before them, and where the last one ends.
pub(super) fn starts_of(bytes: &[u8], mut at: usize, count: usize, starts: &mut Vec<u32>) -> Result<()> {
    starts.clear();
    starts.reserve(count + 1);
    for _ in 0..count {
        let length = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
        let Some(length) = length else {
            return Err(broken("a page ends before its last value".into()));
        };
        starts.push(u32::try_from(at).unwrap_or(u32::MAX));
        at = at.saturating_add(4).saturating_add(u32::from_le_bytes(*length) as usize);
    }
    if at > bytes.len() || u32::try_from(at).is_err() {
        return Err(broken("a page ends before its last value".into()));
    }
    starts.push(u32::try_from(at).unwrap_or(u32::MAX));
    Ok(())
}

/// Rows that are not an array yet.
enum Waiting {
    Ids { ids: Vec<u32>, nulls: NullBufferBuilder },
    Views { views: Vec<u128>, nulls: NullBufferBuilder, copied: Vec<u8> },
}

struct Gathered {
    parts: Vec<ArrayRef>,
    waiting: Option<Waiting>,
}

pub(super) struct Texts<T: ByteViewType> {
    dictionary: Arc<GenericByteViewArray<T>>,
    out: Gathered,
    filter: Gathered,
}

impl<T: ByteViewType> Texts<T> {
    pub(super) fn new() -> Self {
        let gathered = || Gathered { parts: Vec::new(), waiting: None };
        Self { dictionary: Arc::new(empty()), out: gathered(), filter: gathered() }
    }

    fn place(&mut self, place: Place) -> &mut Gathered {
        match place {
            Place::Out => &mut self.out,
            Place::Filter => &mut self.filter,
        }
    }

    /// Makes an array of the rows that wait.
    fn flush(&mut self, place: Place) -> Result<()> {
        let part: ArrayRef = match self.place(place).waiting.take() {
            None => return Ok(()),
            Some(Waiting::Ids { ids, mut nulls }) => {
                let ids = UInt32Array::new(ScalarBuffer::from(ids), nulls.finish());
                take(self.dictionary.as_ref(), &ids, None)?
            }
            Some(Waiting::Views { views, mut nulls, copied }) => {
                Arc::new(checked::<T>(views, Buffer::from_vec(copied), nulls.finish())?)
            }
        };
        self.place(place).parts.push(part);
        Ok(())
    }
}

fn empty<T: ByteViewType>() -> GenericByteViewArray<T> {
    GenericByteViewArray::<T>::new_null(0)
}

/// An array whose texts are UTF-8.
fn checked<T: ByteViewType>(
    views: Vec<u128>,
    bytes: Buffer,
    nulls: Option<datafusion::arrow::buffer::NullBuffer>,
) -> Result<GenericByteViewArray<T>> {
    let array = GenericByteViewArray::<T>::try_new(ScalarBuffer::from(views), vec![bytes], nulls);
    array.map_err(|error| broken(error.to_string()))
}

impl<T: ByteViewType> Values for Texts<T> {
    fn set_dictionary(&mut self, body: Body, count: usize) -> Result<Option<Body>> {
        // Rows that wait are of the old one.
        self.flush(Place::Out)?;
        self.flush(Place::Filter)?;
        let mut starts = Vec::new();
        starts_of(body.bytes(), 0, count, &mut starts)?;
        let bytes = body.bytes();
        let views = starts.windows(2).map(|ends| {
            let from = ends[0] as usize + 4;
            make_view(&bytes[from..ends[1] as usize], 0, ends[0] + 4)
        });
        let views: Vec<u128> = views.collect();
        self.dictionary = Arc::new(checked(views, body.into_buffer(), None)?);
        Ok(None)
    }

    fn dictionary_len(&self) -> usize {
        self.dictionary.len()
    }

    fn dictionary(&self) -> Result<ArrayRef> {
        Ok(Arc::clone(&self.dictionary) as ArrayRef)
    }

    fn take_ids(
        &mut self,
        place: Place,
        ids: &[u32],
        first: usize,
        rows: Rows<'_>,
        has_nulls: bool,
    ) -> Result<()> {
        if matches!(self.place(place).waiting, Some(Waiting::Views { .. })) {
            self.flush(place)?;
        }
        let waiting = self
            .place(place)
            .waiting
            .get_or_insert_with(|| Waiting::Ids { ids: Vec::new(), nulls: NullBufferBuilder::new(0) });
        let Waiting::Ids { ids: taken, nulls } = waiting else { return Ok(()) };
        let begin = taken.len();
        match rows {
            Rows::Range(from, to) => {
                taken.extend_from_slice(&ids[from.wrapping_sub(first)..to.wrapping_sub(first)])
            }
            Rows::Some(rows) => taken.extend(rows.iter().map(|row| ids[(*row as usize).wrapping_sub(first)])),
        }
        if !has_nulls {
            nulls.append_n_non_nulls(rows.len());
            return Ok(());
        }
        nulls.append_buffer(&present(ids, first, rows));
        taken[begin..].iter_mut().filter(|id| **id == NULL).for_each(|id| *id = 0);
        Ok(())
    }

    fn take_plain(&mut self, place: Place, page: Plain<'_>, rows: Rows<'_>) -> Result<()> {
        if matches!(self.place(place).waiting, Some(Waiting::Ids { .. })) {
            self.flush(place)?;
        }
        let waiting = self.place(place).waiting.get_or_insert_with(|| Waiting::Views {
            views: Vec::new(),
            nulls: NullBufferBuilder::new(0),
            copied: Vec::new(),
        });
        let Waiting::Views { views, nulls, copied } = waiting else { return Ok(()) };
        for at in 0..rows.len() {
            let row = match rows {
                Rows::Range(from, _) => from + at,
                Rows::Some(rows) => rows[at] as usize,
            };
            let value = page.value(row);
            let ends =
                value.checked_add(1).and_then(|next| Some((page.starts.get(value)?, page.starts.get(next)?)));
            match ends {
                Some((&from, &to)) => {
                    let bytes = &page.bytes[from as usize + 4..to as usize];
                    let offset = copied.len();
                    if bytes.len() > 12 {
                        copied.extend_from_slice(bytes);
                    }
                    views.push(make_view(bytes, 0, u32::try_from(offset).unwrap_or(u32::MAX)));
                    nulls.append_non_null();
                }
                None if value == usize::MAX => {
                    views.push(0);
                    nulls.append_null();
                }
                None => return Err(broken("a page has fewer values than rows".into())),
            }
        }
        // A view has 32 bits for its place.
        if self.waiting_bytes(place) > 1 << 30 {
            self.flush(place)?;
        }
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        None
    }

    fn finish(&mut self, place: Place) -> Result<ArrayRef> {
        self.flush(place)?;
        let mut parts = std::mem::take(&mut self.place(place).parts);
        Ok(match parts.len() {
            0 => new_empty_array(&T::DATA_TYPE),
            1 => parts.swap_remove(0),
            _ => {
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                concat(&parts)?
            }
        })
    }
}

impl<T: ByteViewType> Texts<T> {
    fn waiting_bytes(&mut self, place: Place) -> usize {
        match &self.place(place).waiting {
            Some(Waiting::Views { copied, .. }) => copied.len(),
            _ => 0,
        }
    }
}
