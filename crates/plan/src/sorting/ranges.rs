//! Ranges of keys: where to cut, which rows belong to which, and the sorting of one.

use super::keys::{BatchKeys, Prefix};
use std::cmp::Ordering;
use std::ops::Range;

/// A row: the beginning of its key, and where it is put (the block in the upper half, the place in the lower).
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<P> {
    prefix: P,
    place: u64,
}

impl<P: Prefix> Entry<P> {
    pub(super) fn at(&self) -> (usize, usize) {
        parts(self.place)
    }
}

fn parts(place: u64) -> (usize, usize) {
    ((place >> 32) as usize, (place & u64::from(u32::MAX)) as usize)
}

/// The keys of all rows, batch by batch.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) batches: Vec<BatchKeys>,
    pub(super) skip: usize,
    /// Bytes of the longest key behind what is left out.
    pub(super) longest: usize,
}

/// Where the rows of some batches go, so that those of a range lie together; the entries look for them there.
#[derive(Debug)]
pub(super) struct Block {
    /// For each row, batch after batch, its new place.
    pub(super) places: Vec<u32>,
    /// Where each range begins, and the end of the last.
    pub(super) starts: Vec<u32>,
    /// For each place the batch and row that it was; nothing if prefixes say all.
    origins: Vec<u64>,
}

impl Block {
    /// What is needed when the rows are where they belong.
    pub(super) fn moved(self) -> Self {
        Block { places: Vec::new(), ..self }
    }
}

impl Keys {
    fn key(&self, (batch, row): (usize, usize)) -> &[u8] {
        match &self.batches[batch] {
            // `row.data()` borrows from the rows
            BatchKeys::Rows(rows) => rows.row(row).data().get(self.skip..).unwrap_or_default(),
            // its prefix says all
            BatchKeys::Words(_) => &[],
        }
    }

    fn prefix<P: Prefix>(&self, (batch, row): (usize, usize)) -> P {
        match &self.batches[batch] {
            BatchKeys::Rows(_) => P::of(self.key((batch, row))),
            BatchKeys::Words(words) => P::of_word(words.key(row)),
        }
    }

    /// Whether prefixes say all.
    pub(super) fn exact<P: Prefix>(&self) -> bool {
        self.longest <= P::BYTES
    }

    /// What [`Keys::sort`] needs where prefixes say all.
    pub(super) fn without_rows(&self) -> Keys {
        Keys { batches: Vec::new(), ..*self }
    }

    /// Where to cut the keys into about so many ranges: keys of rows in equal distances, sorted.
    pub(super) fn cuts<P: Prefix>(&self, ranges: usize) -> Cuts<P> {
        /// Rows looked at for each cut.
        const SAMPLE: usize = 16;
        let total: usize = self.batches.iter().map(BatchKeys::len).sum();
        let step = (total / (ranges * SAMPLE)).max(1);
        let exact = self.exact::<P>();
        let (mut sample, mut next) = (Vec::new(), 0);
        for (batch, keys) in self.batches.iter().enumerate() {
            while next < keys.len() {
                let key = if exact { Vec::new() } else { self.key((batch, next)).to_vec() };
                sample.push(Start { prefix: self.prefix((batch, next)), key });
                next += step;
            }
            next -= keys.len();
        }
        sample.sort_unstable();
        let mut starts: Vec<Start<P>> =
            (1..ranges).filter_map(|at| sample.get(at * sample.len() / ranges)).cloned().collect();
        starts.dedup();
        Cuts::new(starts)
    }

    /// Deals the rows of some batches, which become a block, to ranges, each in the order of the input.
    pub(super) fn deal<P: Prefix>(
        &self,
        batches: Range<usize>,
        block: usize,
        cuts: &Cuts<P>,
        ranges: &mut [Vec<Entry<P>>],
    ) -> Block {
        let (rows, exact) =
            (self.batches[batches.clone()].iter().map(BatchKeys::len).sum(), self.exact::<P>());
        let mut found: Vec<(u32, P)> = Vec::with_capacity(rows);
        // where the rows of each range begin
        let mut starts = vec![0_u32; cuts.ranges() + 1];
        let mut add = |prefix: P, key: &[u8]| {
            let range = cuts.range(prefix, key, exact);
            starts[range + 1] += 1;
            found.push((range as u32, prefix));
        };
        for batch in batches.clone() {
            match &self.batches[batch] {
                BatchKeys::Rows(rows) => rows.iter().for_each(|row| {
                    let key = row.data().get(self.skip..).unwrap_or_default();
                    add(P::of(key), key);
                }),
                BatchKeys::Words(words) => {
                    (0..words.len()).for_each(|row| add(P::of_word(words.key(row)), &[]));
                }
            }
        }
        for range in 1..starts.len() {
            starts[range] += starts[range - 1];
        }
        let mut next = starts.clone();
        let upper = (block as u64) << 32;
        let places: Vec<u32> = found
            .iter()
            .map(|(range, prefix)| {
                let place = next[*range as usize];
                next[*range as usize] += 1;
                ranges[*range as usize].push(Entry { prefix: *prefix, place: upper | u64::from(place) });
                place
            })
            .collect();
        let mut origins = Vec::new();
        if !exact {
            origins.resize(places.len(), 0);
            let rows = batches.flat_map(|batch| {
                (0..self.batches[batch].len() as u64).map(move |row| ((batch as u64) << 32) | row)
            });
            places.iter().zip(rows).for_each(|(place, row)| origins[*place as usize] = row);
        }
        Block { places, starts, origins }
    }

    /// Puts the rows of a range in order; the keys are not looked at if the prefixes say all.
    pub(super) fn sort<P: Prefix>(&self, range: &mut Vec<Entry<P>>, blocks: &[Block]) {
        if self.exact::<P>() {
            by_buckets(range, |some| some.sort_unstable_by_key(|entry| (entry.prefix, entry.place)));
            return;
        }
        by_buckets(range, |some| {
            some.sort_unstable_by(|a, b| {
                let by_prefix = a.prefix.cmp(&b.prefix);
                let key = |(block, place): (usize, usize)| self.key(parts(blocks[block].origins[place]));
                let by_key = || key(a.at()).cmp(key(b.at()));
                by_prefix.then_with(by_key).then_with(|| a.place.cmp(&b.place))
            });
        });
    }
}

/// Deals rows to buckets by the highest bits in which their first words differ, and sorts each of them: most are of a
/// few rows, and what is skewed is sorted as it would have been.
fn by_buckets<P: Prefix>(range: &mut Vec<Entry<P>>, mut sort: impl FnMut(&mut [Entry<P>])) {
    /// Fewer rows are sorted at once.
    const FEW: usize = 256;
    const MOST_BITS: u32 = 13;
    let words = || range.iter().map(|entry| entry.prefix.word());
    let (Some(low), Some(high)) = (words().min(), words().max()) else { return };
    if range.len() < FEW || low == high {
        return sort(range);
    }
    // about four rows to a bucket
    let bits = (range.len() / 4).ilog2().min(MOST_BITS);
    let shift = (u64::BITS - (high - low).leading_zeros()).saturating_sub(bits);
    let bucket = |entry: &Entry<P>| ((entry.prefix.word() - low) >> shift) as usize;
    let mut starts = vec![0_u32; (1 << bits) + 1];
    range.iter().for_each(|entry| starts[bucket(entry) + 1] += 1);
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut dealt = range.clone();
    for entry in range.iter() {
        let place = &mut next[bucket(entry)];
        dealt[*place as usize] = *entry;
        *place += 1;
    }
    for pair in starts.windows(2) {
        let some = pair[0] as usize..pair[1] as usize;
        if some.len() > 1 {
            sort(&mut dealt[some]);
        }
    }
    *range = dealt;
}

/// The first key of a range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Start<P> {
    prefix: P,
    key: Vec<u8>,
}

/// The first keys of all ranges but the first, in order, and where to begin to look among them.
#[derive(Debug)]
pub(super) struct Cuts<P> {
    starts: Vec<Start<P>>,
    low: u64,
    shift: u32,
    /// Of cells of equal width of the first word, how many cuts lie before each.
    cells: Vec<u32>,
}

/// Cells of the table of cuts, a few for each cut that there may be.
const CELLS: usize = 4096;

impl<P: Prefix> Cuts<P> {
    fn new(starts: Vec<Start<P>>) -> Self {
        let low = starts.first().map_or(0, |start| start.prefix.word());
        let high = starts.last().map_or(0, |start| start.prefix.word());
        let shift = (u64::BITS - (high - low).leading_zeros()).saturating_sub(CELLS.ilog2());
        let mut cuts = Cuts { starts, low, shift, cells: vec![0; CELLS + 1] };
        for start in &cuts.starts {
            let cell = cuts.cell(start.prefix);
            cuts.cells[cell + 1] += 1;
        }
        for cell in 1..cuts.cells.len() {
            cuts.cells[cell] += cuts.cells[cell - 1];
        }
        cuts
    }

    pub(super) fn ranges(&self) -> usize {
        self.starts.len() + 1
    }

    /// Never falls where prefixes rise.
    #[inline]
    fn cell(&self, prefix: P) -> usize {
        ((prefix.word().saturating_sub(self.low) >> self.shift) as usize).min(CELLS - 1)
    }

    /// The range of a key; which is not looked at if prefixes say all.
    #[inline]
    fn range(&self, prefix: P, key: &[u8], exact: bool) -> usize {
        let cell = self.cell(prefix);
        let (from, to) = (self.cells[cell] as usize, self.cells[cell + 1] as usize);
        let near = &self.starts[from..to];
        let among = match exact {
            true => near.partition_point(|cut| cut.prefix <= prefix),
            false => near.partition_point(|cut| match cut.prefix.cmp(&prefix) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => *cut.key <= *key,
            }),
        };
        from + among
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Common, Encoder, Long, Short};
    use super::*;
    use datafusion::arrow::array::{Array, ArrayRef, Float64Array, StringArray};
    use datafusion::arrow::compute::SortOptions;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Sorts batches of these columns as two blocks; the places of the rows, counted through all batches.
    fn order<P: Prefix>(batches: &[Vec<ArrayRef>], ranges: usize) -> Option<Vec<usize>> {
        let fields = batches[0].iter().map(|column| (column.data_type().clone(), SortOptions::default()));
        let encoder = Encoder::new(&fields.collect::<Vec<_>>()).unwrap();
        let mut common = Common::default();
        let keys = batches.iter().map(|batch| {
            let keys = encoder.keys(batch).unwrap();
            let mut own = Common::default();
            own.look(&keys);
            common = std::mem::take(&mut common).and(own);
            keys
        });
        let batches = keys.collect::<Vec<_>>();
        let (skip, longest) = common.lengths();
        let keys = Keys { batches, skip, longest };
        if matches!(keys.batches[0], BatchKeys::Words(_)) && !keys.exact::<P>() {
            return None;
        }
        let cuts = keys.cuts::<P>(ranges);
        let mut dealt = vec![Vec::new(); cuts.ranges()];
        let (count, half) = (batches_len(&keys), keys.batches.len() / 2);
        let blocks = vec![
            keys.deal(0..half, 0, &cuts, &mut dealt),
            keys.deal(half..keys.batches.len(), 1, &cuts, &mut dealt),
        ];
        let first = blocks[0].places.len();
        let mut out = Vec::new();
        for mut range in dealt {
            keys.sort(&mut range, &blocks);
            out.extend(range.iter().map(|entry| {
                let (block, place) = entry.at();
                let row = blocks[block].places.iter().position(|at| *at as usize == place).unwrap();
                block * first + row
            }));
        }
        assert_eq!(out.len(), count);
        Some(out)
    }

    fn batches_len(keys: &Keys) -> usize {
        keys.batches.iter().map(BatchKeys::len).sum()
    }

    proptest! {
        #[test]
        fn as_a_stable_sort(
            batches in prop::collection::vec(
                prop::collection::vec(("(http://)?[ab\u{e9}]{0,20}", -3..3_i32), 1..300), 1..6),
            ranges in 1..20_usize,
        ) {
            let rows: Vec<(String, f64)> =
                batches.iter().flatten().map(|(text, number)| (text.clone(), f64::from(*number) / 2.0)).collect();
            let columns = |with_text: bool| -> Vec<Vec<ArrayRef>> {
                batches
                    .iter()
                    .map(|batch| {
                        let texts = StringArray::from_iter_values(batch.iter().map(|row| &row.0));
                        let numbers = Float64Array::from_iter_values(batch.iter().map(|row| f64::from(row.1) / 2.0));
                        let numbers: ArrayRef = Arc::new(numbers);
                        if with_text { vec![Arc::new(texts) as ArrayRef, numbers] } else { vec![numbers] }
                    })
                    .collect()
            };
            let mut wanted: Vec<usize> = (0..rows.len()).collect();
            wanted.sort_by(|a, b| rows[*a].0.cmp(&rows[*b].0).then(rows[*a].1.total_cmp(&rows[*b].1)));
            prop_assert_eq!(order::<Short>(&columns(true), ranges), Some(wanted.clone()));
            prop_assert_eq!(order::<Long>(&columns(true), ranges), Some(wanted.clone()));
            wanted.sort_unstable();
            wanted.sort_by(|a, b| rows[*a].1.total_cmp(&rows[*b].1));
            prop_assert_eq!(order::<Short>(&columns(false), ranges), Some(wanted.clone()));
            prop_assert_eq!(order::<Long>(&columns(false), ranges), Some(wanted));
        }

        #[test]
        fn nulls_stand_at_one_end(
            batches in prop::collection::vec(
                prop::collection::vec(prop::option::weighted(0.8, -3..3_i32), 1..300), 1..6),
            ranges in 1..20_usize,
        ) {
            let rows: Vec<Option<i32>> = batches.iter().flatten().copied().collect();
            let columns: Vec<Vec<ArrayRef>> = batches
                .iter()
                .map(|batch| {
                    vec![Arc::new(batch.iter().map(|v| v.map(f64::from)).collect::<Float64Array>()) as ArrayRef]
                })
                .collect();
            let mut wanted: Vec<usize> = (0..rows.len()).collect();
            wanted.sort_by_key(|row| rows[*row]);
            prop_assert_eq!(order::<Long>(&columns, ranges), Some(wanted));
        }
    }
}
