//! Keys as bytes, ranges of keys, and the sorting of one range.
//!
//! A key is the row format of Arrow: bytes that compare as the rows do. What all keys begin with is left out, and
//! the next 8 or 16 bytes stand beside each row, so that most comparisons, and often all, are of one or two words.

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::interleave;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::Rows;
use datafusion::common::Result;
use std::cmp::Ordering;
use std::ops::Range;
use tokio::task::yield_now;

/// What the keys of some rows have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    /// The first key, as far as all others begin with it.
    start: Option<Vec<u8>>,
    /// The length of the longest key.
    longest: usize,
}

impl Common {
    /// Looks at more keys.
    pub(super) fn look(&mut self, rows: &Rows) {
        for row in rows.iter() {
            self.shorten(row.data());
        }
    }

    fn shorten(&mut self, key: &[u8]) {
        self.longest = self.longest.max(key.len());
        match &mut self.start {
            None => self.start = Some(key.to_vec()),
            Some(start) if key.starts_with(start) => {}
            Some(start) => {
                let same = start.iter().zip(key).take_while(|(a, b)| a == b).count();
                start.truncate(same);
            }
        }
    }

    pub(super) fn and(mut self, other: Common) -> Common {
        if let Some(start) = &other.start {
            self.shorten(start);
        }
        self.longest = self.longest.max(other.longest);
        self
    }

    /// How many bytes to leave out, and how many there are then at most.
    pub(super) fn lengths(&self) -> (usize, usize) {
        let skip = self.start.as_ref().map_or(0, Vec::len);
        (skip, self.longest.saturating_sub(skip))
    }
}

/// The beginning of a key, in words.
///
/// No key is the beginning of another one, so zeros behind a short one do not change the order.
pub(super) trait Prefix: Copy + Ord + Send + Sync + 'static {
    const BYTES: usize;

    fn of(key: &[u8]) -> Self;
}

fn word(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(bytes)
        }
    }
}

/// Keys of up to eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Short(u64);

impl Prefix for Short {
    const BYTES: usize = 8;

    fn of(key: &[u8]) -> Self {
        Short(word(key))
    }
}

/// The first sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Long(u64, u64);

impl Prefix for Long {
    const BYTES: usize = 16;

    fn of(key: &[u8]) -> Self {
        Long(word(key), key.get(8..).map_or(0, word))
    }
}

/// A row: the beginning of its key, and where it is put (the batch in the upper half, the place in the lower).
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<P> {
    prefix: P,
    place: u64,
}

impl<P> Entry<P> {
    fn at(&self) -> (usize, usize) {
        ((self.place >> 32) as usize, (self.place & u64::from(u32::MAX)) as usize)
    }
}

/// The keys of all rows, batch by batch.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) rows: Vec<Rows>,
    pub(super) skip: usize,
    /// Bytes of the longest key behind what is left out.
    pub(super) longest: usize,
}

/// The first key of a range.
#[derive(Clone, Debug)]
pub(super) struct Start<P> {
    prefix: P,
    key: Vec<u8>,
}

impl Keys {
    fn key(&self, (batch, row): (usize, usize)) -> &[u8] {
        // `row.data()` borrows from the rows
        self.rows[batch].row(row).data().get(self.skip..).unwrap_or_default()
    }

    /// Whether prefixes say all.
    pub(super) fn exact<P: Prefix>(&self) -> bool {
        self.longest <= P::BYTES
    }

    /// What [`Keys::sort`] needs where prefixes say all.
    pub(super) fn without_rows(&self) -> Keys {
        Keys { rows: Vec::new(), ..*self }
    }

    /// Where to cut the keys into about so many ranges: keys of rows in equal distances, sorted.
    pub(super) fn cuts<P: Prefix>(&self, ranges: usize) -> Vec<Start<P>> {
        /// Rows looked at for each cut.
        const SAMPLE: usize = 16;
        let total: usize = self.rows.iter().map(Rows::num_rows).sum();
        let step = (total / (ranges * SAMPLE)).max(1);
        let (mut sample, mut next) = (Vec::new(), 0);
        for (batch, rows) in self.rows.iter().enumerate() {
            while next < rows.num_rows() {
                sample.push(self.key((batch, next)));
                next += step;
            }
            next -= rows.num_rows();
        }
        sample.sort_unstable();
        let mut cuts: Vec<&[u8]> =
            (1..ranges).filter_map(|at| sample.get(at * sample.len() / ranges)).copied().collect();
        cuts.dedup();
        cuts.into_iter().map(|key| Start { prefix: P::of(key), key: key.to_vec() }).collect()
    }

    /// The rows of some batches, range by range, each in the order of the input; and for each batch how to put its rows
    /// together by their ranges, which is where the entries look for them: so a range is read in runs of rows, and not
    /// row by row from all over the memory.
    pub(super) async fn spread<P: Prefix>(
        &self,
        batches: Range<usize>,
        cuts: &[Start<P>],
    ) -> (Vec<Vec<Entry<P>>>, Vec<UInt32Array>) {
        let total: usize = self.rows[batches.clone()].iter().map(Rows::num_rows).sum();
        let expected = total / (cuts.len() + 1) * 9 / 8 + 8;
        let mut ranges: Vec<Vec<Entry<P>>> = (0..=cuts.len()).map(|_| Vec::with_capacity(expected)).collect();
        let (exact, mut moved) = (self.exact::<P>(), Vec::with_capacity(batches.len()));
        let mut found: Vec<(usize, P)> = Vec::new();
        for batch in batches {
            found.clear();
            // where the rows of each range begin in the batch
            let mut starts = vec![0_u32; cuts.len() + 2];
            for key in self.rows[batch].iter() {
                let key = key.data().get(self.skip..).unwrap_or_default();
                let prefix = P::of(key);
                let range = match exact {
                    true => cuts.partition_point(|cut| cut.prefix <= prefix),
                    false => cuts.partition_point(|cut| match cut.prefix.cmp(&prefix) {
                        Ordering::Less => true,
                        Ordering::Greater => false,
                        Ordering::Equal => *cut.key <= *key,
                    }),
                };
                starts[range + 1] += 1;
                found.push((range, prefix));
            }
            for range in 0..=cuts.len() {
                starts[range + 1] += starts[range];
            }
            let mut rows = vec![0_u32; found.len()];
            for (row, (range, prefix)) in found.iter().enumerate() {
                let place = starts[*range];
                starts[*range] += 1;
                rows[place as usize] = row as u32;
                ranges[*range]
                    .push(Entry { prefix: *prefix, place: ((batch as u64) << 32) | u64::from(place) });
            }
            moved.push(UInt32Array::from(rows));
            // a cancelled query stops here
            yield_now().await;
        }
        (ranges, moved)
    }

    /// Puts the rows of a range in order; the keys are not looked at if the prefixes say all.
    pub(super) fn sort<P: Prefix>(&self, range: &mut [Entry<P>], moved: &[UInt32Array]) {
        if self.exact::<P>() {
            range.sort_unstable_by_key(|entry| (entry.prefix, entry.place));
            return;
        }
        range.sort_unstable_by(|a, b| {
            let by_prefix = a.prefix.cmp(&b.prefix);
            let key = |(batch, place): (usize, usize)| self.key((batch, moved[batch].value(place) as usize));
            let by_key = || key(a.at()).cmp(key(b.at()));
            by_prefix.then_with(by_key).then_with(|| a.place.cmp(&b.place))
        });
    }
}

/// All rows, column by column.
#[derive(Debug)]
pub(super) struct Table {
    schema: SchemaRef,
    /// For each column its arrays, one a batch.
    columns: Vec<Vec<ArrayRef>>,
}

impl Table {
    pub(super) fn new(schema: SchemaRef, batches: &[RecordBatch]) -> Self {
        let columns = (0..schema.fields().len())
            .map(|at| batches.iter().map(|batch| batch.column(at).clone()).collect())
            .collect();
        Self { schema, columns }
    }

    /// These rows, in batches of at most so many.
    pub(super) fn rows<P>(&self, entries: &[Entry<P>], batch_rows: usize) -> Result<Vec<RecordBatch>> {
        let places: Vec<(usize, usize)> = entries.iter().map(Entry::at).collect();
        let mut out = Vec::with_capacity(places.len().div_ceil(batch_rows));
        for places in places.chunks(batch_rows) {
            self.push(places, &mut out)?;
        }
        Ok(out)
    }

    /// These rows as a batch; as several, if there is more text in them than an array holds.
    fn push(&self, places: &[(usize, usize)], out: &mut Vec<RecordBatch>) -> Result<()> {
        let column = |arrays: &Vec<ArrayRef>| {
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            interleave(&arrays, places)
        };
        match self.columns.iter().map(column).collect::<Result<Vec<_>, _>>() {
            Ok(columns) => {
                let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
                out.push(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?);
                Ok(())
            }
            Err(ArrowError::OffsetOverflowError(_)) if places.len() > 1 => {
                let (first, second) = places.split_at(places.len() / 2);
                self.push(first, out)?;
                self.push(second, out)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float64Array, StringArray};
    use datafusion::arrow::row::{RowConverter, SortField};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn check<P: Prefix>(batches: &[Vec<(String, f64)>], ranges: usize) -> Vec<(String, f64)> {
        let mut common = Common::default();
        let rows: Vec<Rows> = batches
            .iter()
            .map(|batch| {
                let texts =
                    Arc::new(StringArray::from_iter_values(batch.iter().map(|row| &row.0))) as ArrayRef;
                let numbers =
                    Arc::new(Float64Array::from_iter_values(batch.iter().map(|row| row.1))) as ArrayRef;
                let columns = [texts, numbers];
                let fields =
                    columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
                let rows = RowConverter::new(fields).unwrap().convert_columns(&columns).unwrap();
                let mut own = Common::default();
                own.look(&rows);
                common = std::mem::take(&mut common).and(own);
                rows
            })
            .collect();
        let (skip, longest) = common.lengths();
        let keys = Keys { rows, skip, longest };
        let cuts = keys.cuts::<P>(ranges);
        let (spread, moved) = futures::executor::block_on(keys.spread(0..batches.len(), &cuts));
        let mut out = Vec::new();
        for mut range in spread {
            keys.sort(&mut range, &moved);
            out.extend(range.iter().map(|entry| {
                let (batch, place) = entry.at();
                batches[batch][moved[batch].value(place) as usize].clone()
            }));
        }
        out
    }

    proptest! {
        #[test]
        fn as_a_stable_sort(
            batches in prop::collection::vec(
                prop::collection::vec(("(http://)?[ab\u{e9}]{0,20}", -3..3_i32), 1..30), 1..6),
            ranges in 1..20_usize,
        ) {
            let batches: Vec<Vec<(String, f64)>> = batches
                .into_iter()
                .map(|batch| batch.into_iter().map(|(text, number)| (text, f64::from(number) / 2.0)).collect())
                .collect();
            let mut wanted: Vec<(String, f64)> = batches.iter().flatten().cloned().collect();
            wanted.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            prop_assert_eq!(&check::<Short>(&batches, ranges), &wanted);
            prop_assert_eq!(&check::<Long>(&batches, ranges), &wanted);
        }
    }

    #[test]
    fn what_all_keys_begin_with_is_left_out() {
        let check = |keys: &[&str], wanted: (usize, usize)| {
            let mut common = Common::default();
            keys.iter().for_each(|key| common.shorten(key.as_bytes()));
            assert_eq!(common.lengths(), wanted, "{keys:?}");
            // one by one, put together
            let parts = keys.iter().map(|key| {
                let mut part = Common::default();
                part.shorten(key.as_bytes());
                part
            });
            assert_eq!(parts.fold(Common::default(), Common::and).lengths(), wanted, "{keys:?}");
        };
        check(&[], (0, 0));
        check(&["abc"], (3, 0));
        check(&["abc", "abd", "abcd"], (2, 2));
        check(&["abc", "xyz"], (0, 3));
        check(&["same", "same"], (4, 0));
    }
}
