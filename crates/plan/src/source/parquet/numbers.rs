//! Columns of numbers, days, moments, decimals and masks.

use super::broken;
use super::pages::Body;
use super::values::{NULL, Place, Plain, Rows, Values, present};
use datafusion::arrow::array::{
    ArrayData, ArrayRef, BooleanArray, BooleanBufferBuilder, NullBufferBuilder, make_array,
};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::{ArrowNativeType, DataType};
use datafusion::common::Result;
use std::sync::Arc;

/// How the bytes of a value become a number.
pub(super) trait Number: Send + 'static {
    type Native: ArrowNativeType;
    fn width(&self) -> usize;
    /// Of exactly as many bytes.
    fn of(&self, bytes: &[u8]) -> Self::Native;
}

/// One that is stored as it is, or in a wider one that it is cut out of, or in a narrower one that it is made of.
pub(super) struct As<S, N>(std::marker::PhantomData<fn(S) -> N>);

impl<S, N> As<S, N> {
    pub(super) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

macro_rules! stored {
    ($($stored:ty => $native:ty),* $(,)?) => { $(
        impl Number for As<$stored, $native> {
            type Native = $native;

            fn width(&self) -> usize {
                size_of::<$stored>()
            }

            // Small integers are written as larger ones; what does not fit was never written.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_lossless, clippy::unnecessary_cast)]
            #[inline]
            fn of(&self, bytes: &[u8]) -> $native {
                bytes.first_chunk().map_or_else(Default::default, |bytes| <$stored>::from_le_bytes(*bytes) as $native)
            }
        }
    )* };
}

stored!(
    i32 => i8, i32 => i16, i32 => i32, i32 => u8, i32 => u16, i32 => u32, i32 => i128,
    i64 => i64, i64 => u64, i64 => i128, f32 => f32, f64 => f64,
);

/// A decimal in as many bytes as its digits need, the highest first.
pub(super) struct Digits(pub(super) usize);

impl Number for Digits {
    type Native = i128;

    fn width(&self) -> usize {
        self.0
    }

    #[inline]
    fn of(&self, bytes: &[u8]) -> i128 {
        let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        let start = if negative { -1 } else { 0 };
        bytes.iter().fold(start, |value: i128, byte| value << 8 | i128::from(*byte))
    }
}

struct Gathered<N> {
    values: Vec<N>,
    nulls: NullBufferBuilder,
}

impl<N> Gathered<N> {
    fn new() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

/// Entries of a dictionary: a large one stays as it is written, because not all of it may be asked for.
enum Dictionary<N> {
    Entries(Vec<N>),
    Written(Body, usize),
}

/// The most entries that are all made numbers.
const SMALL: usize = 4096;

pub(super) struct Numbers<P: Number> {
    number: P,
    data_type: DataType,
    dictionary: Dictionary<P::Native>,
    out: Gathered<P::Native>,
    filter: Gathered<P::Native>,
    /// The most rows that one batch had.
    usual: usize,
}

impl<P: Number> Numbers<P> {
    pub(super) fn new(number: P, data_type: DataType) -> Self {
        Self {
            number,
            data_type,
            dictionary: Dictionary::Entries(Vec::new()),
            out: Gathered::new(),
            filter: Gathered::new(),
            usual: 0,
        }
    }

    fn place(&mut self, place: Place) -> &mut Gathered<P::Native> {
        match place {
            Place::Out => {
                // Grown once, not by doubling.
                if self.out.values.capacity() == 0 {
                    self.out.values.reserve(self.usual);
                }
                &mut self.out
            }
            Place::Filter => &mut self.filter,
        }
    }

    fn array(
        &self,
        values: Vec<P::Native>,
        nulls: Option<datafusion::arrow::buffer::NullBuffer>,
    ) -> Result<ArrayRef> {
        let data = ArrayData::builder(self.data_type.clone())
            .len(values.len())
            .add_buffer(Buffer::from_vec(values))
            .nulls(nulls)
            .build()?;
        Ok(make_array(data))
    }
}

impl<P: Number> Values for Numbers<P> {
    fn set_dictionary(&mut self, body: Body, count: usize) -> Result<Option<Body>> {
        let (bytes, width) = (body.bytes(), self.number.width());
        let held = width.checked_mul(count).and_then(|length| bytes.get(..length));
        let Some(held) = held.filter(|_| width > 0) else {
            return Err(broken(format!("a dictionary of {count} values has {} bytes", bytes.len())));
        };
        if count <= SMALL {
            let entries = held.chunks_exact(width).map(|bytes| self.number.of(bytes)).collect();
            self.dictionary = Dictionary::Entries(entries);
            return Ok(Some(body));
        }
        Ok(match std::mem::replace(&mut self.dictionary, Dictionary::Written(body, count)) {
            Dictionary::Written(body, _) => Some(body),
            Dictionary::Entries(_) => None,
        })
    }

    fn dictionary_len(&self) -> usize {
        match &self.dictionary {
            Dictionary::Entries(entries) => entries.len(),
            Dictionary::Written(_, count) => *count,
        }
    }

    fn dictionary(&self) -> Result<ArrayRef> {
        let entries = match &self.dictionary {
            Dictionary::Entries(entries) => entries.clone(),
            Dictionary::Written(body, count) => {
                let bytes = body.bytes().chunks_exact(self.number.width());
                bytes.take(*count).map(|bytes| self.number.of(bytes)).collect()
            }
        };
        self.array(entries, None)
    }

    fn take_ids(
        &mut self,
        place: Place,
        ids: &[u32],
        first: usize,
        rows: Rows<'_>,
        nulls: bool,
    ) -> Result<()> {
        let mut values = std::mem::take(&mut self.place(place).values);
        match &self.dictionary {
            Dictionary::Entries(entries) => {
                let entry = |id: u32| entries.get(id as usize).copied().unwrap_or_default();
                extend(&mut values, ids, first, rows, entry);
            }
            Dictionary::Written(body, _) => {
                let entry = written(&self.number, body.bytes());
                extend(&mut values, ids, first, rows, entry);
            }
        }
        let gathered = self.place(place);
        gathered.values = values;
        match nulls {
            true => gathered.nulls.append_buffer(&present(ids, first, rows)),
            false => gathered.nulls.append_n_non_nulls(rows.len()),
        }
        Ok(())
    }

    fn take_plain(&mut self, place: Place, page: Plain<'_>, rows: Rows<'_>) -> Result<()> {
        let width = self.number.width();
        let last = match rows {
            Rows::Range(_, to) => to.checked_sub(1),
            Rows::Some(rows) => rows.last().map(|row| *row as usize),
        };
        let Some(last) = last else { return Ok(()) };
        let mut values = std::mem::take(&mut self.place(place).values);
        if let Some(places) = page.places {
            // The values of the page are the entries, and the places the ids; `Column` has seen that all are there.
            let first = 0_usize.wrapping_sub(page.begin);
            extend(&mut values, places, first, rows, written(&self.number, page.bytes));
            let gathered = self.place(place);
            gathered.values = values;
            gathered.nulls.append_buffer(&present(places, first, rows));
            return Ok(());
        }
        let last = page.value(last);
        if last.saturating_add(1).saturating_mul(width) > page.bytes.len() {
            return Err(broken("a page has fewer values than rows".into()));
        }
        match rows {
            Rows::Range(from, _) => {
                let held = &page.bytes[page.value(from) * width..(last + 1) * width];
                values.extend(held.chunks_exact(width).map(|bytes| self.number.of(bytes)));
            }
            Rows::Some(rows) => values.extend(rows.iter().map(|row| {
                let at = page.value(*row as usize) * width;
                self.number.of(&page.bytes[at..at + width])
            })),
        }
        let gathered = self.place(place);
        gathered.values = values;
        gathered.nulls.append_n_non_nulls(rows.len());
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        Some(self.number.width())
    }

    fn finish(&mut self, place: Place) -> Result<ArrayRef> {
        let gathered = std::mem::replace(self.place(place), Gathered::new());
        let Gathered { values, mut nulls } = gathered;
        if place == Place::Out {
            self.usual = self.usual.max(values.len());
        }
        self.array(values, nulls.finish())
    }
}

/// Reads entries where they are written.
fn written<P: Number>(number: &P, bytes: &[u8]) -> impl Fn(u32) -> P::Native {
    let width = number.width();
    move |id| {
        let at = (id as usize).saturating_mul(width);
        bytes.get(at..at.saturating_add(width)).map_or_else(Default::default, |bytes| number.of(bytes))
    }
}

/// Puts the entries of rows behind `values`.
fn extend<N>(values: &mut Vec<N>, ids: &[u32], first: usize, rows: Rows<'_>, entry: impl Fn(u32) -> N) {
    match rows {
        Rows::Range(from, to) => {
            values.extend(ids[from.wrapping_sub(first)..to.wrapping_sub(first)].iter().map(|id| entry(*id)));
        }
        Rows::Some(rows) => {
            values.extend(rows.iter().map(|row| entry(ids[(*row as usize).wrapping_sub(first)])));
        }
    }
}

struct GatheredMasks {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl GatheredMasks {
    fn new() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
    }
}

/// Columns of true and false. They have no dictionary; where they are written as runs, the ids are the values.
pub(super) struct Masks {
    out: GatheredMasks,
    filter: GatheredMasks,
}

impl Masks {
    pub(super) fn new() -> Self {
        Self { out: GatheredMasks::new(), filter: GatheredMasks::new() }
    }

    fn place(&mut self, place: Place) -> &mut GatheredMasks {
        match place {
            Place::Out => &mut self.out,
            Place::Filter => &mut self.filter,
        }
    }

    fn push(&mut self, place: Place, value: Option<bool>) {
        let gathered = self.place(place);
        gathered.values.append(value.unwrap_or_default());
        gathered.nulls.append(value.is_some());
    }
}

impl Values for Masks {
    fn set_dictionary(&mut self, _body: Body, _count: usize) -> Result<Option<Body>> {
        Err(broken("a column of masks has a dictionary".into()))
    }

    fn dictionary_len(&self) -> usize {
        2
    }

    fn dictionary(&self) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::from(vec![false, true])))
    }

    fn take_ids(
        &mut self,
        place: Place,
        ids: &[u32],
        first: usize,
        rows: Rows<'_>,
        _nulls: bool,
    ) -> Result<()> {
        let value = |id: u32| (id != NULL).then_some(id != 0);
        match rows {
            Rows::Range(from, to) => {
                ids[from.wrapping_sub(first)..to.wrapping_sub(first)]
                    .iter()
                    .for_each(|id| self.push(place, value(*id)));
            }
            Rows::Some(rows) => {
                rows.iter().for_each(|row| self.push(place, value(ids[(*row as usize).wrapping_sub(first)])));
            }
        }
        Ok(())
    }

    fn take_plain(&mut self, place: Place, page: Plain<'_>, rows: Rows<'_>) -> Result<()> {
        for at in 0..rows.len() {
            let row = match rows {
                Rows::Range(from, _) => from + at,
                Rows::Some(rows) => rows[at] as usize,
            };
            let value = match page.value(row) {
                usize::MAX => None,
                bit => match page.bytes.get(bit / 8) {
                    Some(byte) => Some(byte >> (bit % 8) & 1 == 1),
                    None => return Err(broken("a page has fewer values than rows".into())),
                },
            };
            self.push(place, value);
        }
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        Some(0)
    }

    fn finish(&mut self, place: Place) -> Result<ArrayRef> {
        let gathered = std::mem::replace(self.place(place), GatheredMasks::new());
        let GatheredMasks { mut values, mut nulls } = gathered;
        Ok(Arc::new(BooleanArray::new(values.finish(), nulls.finish())))
    }
}
