//! Which rows of a page have a value.
//!
//! The format says so as a number a row, in runs and packed bits, and keeps only the values that are there. Here it is a bit
//! a row. With a few nulls in a hundred rows, as keys of sales have, the bits are long runs of ones, and what belongs to
//! a run is copied at once.

use super::broken;
use super::hybrid::{Hybrid, word};
use super::values::NULL;
use datafusion::common::Result;

/// A bit a row; the rows behind the last are not there.
#[derive(Debug, Default)]
pub(super) struct Valid {
    words: Vec<u64>,
    rows: usize,
}

impl Valid {
    /// Of `count` rows, from byte `at` on; none if all have a value.
    pub(super) fn read(bytes: &[u8], at: usize, count: usize) -> Result<Option<Self>> {
        let mut hybrid = Hybrid::new(at, 1)?;
        if count == 0 || hybrid.same(bytes, count)? == Some(1) {
            return Ok(None);
        }
        let mut valid = Self::with_capacity(count);
        hybrid.read_bits(bytes, count, &mut valid)?;
        Ok((valid.held() < count).then_some(valid))
    }

    /// As the first writers had them: the highest bit of a byte first. And the bytes they take.
    pub(super) fn read_old(bytes: &[u8], count: usize) -> Result<(Option<Self>, usize)> {
        let length = count.div_ceil(8);
        let Some(bits) = bytes.get(..length) else {
            return Err(broken("a page ends before its values".into()));
        };
        let mut valid = Self::with_capacity(count);
        for (at, byte) in bits.iter().enumerate() {
            valid.push(u64::from(byte.reverse_bits()), (count - at * 8).min(8));
        }
        Ok(((valid.held() < count).then_some(valid), length))
    }

    fn with_capacity(rows: usize) -> Self {
        Self { words: Vec::with_capacity(rows.div_ceil(64) + 1), rows: 0 }
    }

    /// The lowest `count` bits, at most 64.
    fn push(&mut self, bits: u64, count: usize) {
        if count == 0 {
            return;
        }
        let bits = bits & (u64::MAX >> (64 - count));
        let at = self.rows % 64;
        match self.words.last_mut() {
            Some(last) if at > 0 => {
                *last |= bits << at;
                if at + count > 64 {
                    self.words.push(bits >> (64 - at));
                }
            }
            _ => self.words.push(bits),
        }
        self.rows += count;
    }

    /// The same bit many times.
    pub(super) fn push_run(&mut self, set: bool, mut count: usize) {
        let bits = if set { u64::MAX } else { 0 };
        while count > 0 {
            let now = count.min(64);
            self.push(bits, now);
            count -= now;
        }
    }

    /// Bits from `first` on, the lowest of a byte first.
    pub(super) fn push_packed(&mut self, bytes: &[u8], mut first: usize, mut count: usize) {
        while count > 0 {
            let now = count.min(56);
            self.push(word(bytes, first / 8) >> (first % 8), now);
            first += now;
            count -= now;
        }
    }

    /// Rows that have a value.
    pub(super) fn held(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Tells of runs of rows, in order: how many have values, and how many behind them have none.
    fn runs(&self, mut step: impl FnMut(usize, usize)) {
        let mut left = self.rows;
        for word in &self.words {
            let (mut word, mut here) = (*word, left.min(64));
            left -= here;
            while here > 0 {
                let ones = (word.trailing_ones() as usize).min(here);
                word = word.checked_shr(ones as u32).unwrap_or(0);
                let zeros = (word.trailing_zeros() as usize).min(here - ones);
                word = word.checked_shr(zeros as u32).unwrap_or(0);
                step(ones, zeros);
                here -= ones + zeros;
            }
        }
    }

    /// Puts a value for each row behind `out`; those that have none get [`NULL`].
    pub(super) fn spread(&self, values: &[u32], out: &mut Vec<u32>) {
        out.reserve(self.rows);
        let mut rest = values;
        self.runs(|ones, zeros| {
            let (these, behind) = rest.split_at(ones.min(rest.len()));
            rest = behind;
            out.extend_from_slice(these);
            // fewer only if the page is broken
            out.extend(std::iter::repeat_n(NULL, zeros + ones - these.len()));
        });
    }

    /// For each row the place of its value among those that are there, or [`NULL`].
    pub(super) fn places(&self) -> Vec<u32> {
        let (mut places, mut next) = (Vec::with_capacity(self.rows), 0_u32);
        self.runs(|ones, zeros| {
            let end = next + ones as u32;
            places.extend(next..end);
            next = end;
            places.extend(std::iter::repeat_n(NULL, zeros));
        });
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pieces of bits: the same many times, or packed from somewhere in some bytes.
    fn pieces() -> impl Strategy<Value = Vec<(bool, bool, usize, Vec<u8>)>> {
        let piece = (any::<bool>(), any::<bool>(), 0..200_usize, prop::collection::vec(any::<u8>(), 0..40));
        prop::collection::vec(piece, 0..8)
    }

    proptest! {
        #[test]
        fn bits_are_rows(pieces in pieces()) {
            let (mut valid, mut expect) = (Valid::default(), Vec::new());
            for (same, set, count, bytes) in pieces {
                if same {
                    valid.push_run(set, count);
                    expect.extend(vec![set; count]);
                } else {
                    let first = count.min(bytes.len() * 8);
                    valid.push_packed(&bytes, first, bytes.len() * 8 - first);
                    expect.extend((first..bytes.len() * 8).map(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1));
                }
            }
            let held = expect.iter().filter(|set| **set).count();
            prop_assert_eq!(valid.held(), held);
            let mut next = 0..;
            let places: Vec<u32> = expect.iter().map(|set| if *set { next.next().unwrap() } else { NULL }).collect();
            prop_assert_eq!(valid.places(), places.clone());
            let values: Vec<u32> = (0..held as u32).map(|value| value * 3).collect();
            let mut out = vec![7];
            valid.spread(&values, &mut out);
            let spread: Vec<u32> = places.iter().map(|place| if *place == NULL { NULL } else { place * 3 }).collect();
            prop_assert_eq!(&out[1..], &spread[..]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), count in 0..400_usize) {
            let old = Valid::read_old(&bytes, count).ok().and_then(|old| old.0);
            for valid in [Valid::read(&bytes, 0, count).ok().flatten(), old].into_iter().flatten() {
                let mut out = Vec::new();
                valid.spread(&[1, 2, 3], &mut out);
                prop_assert_eq!(out.len(), count);
            }
        }
    }
}
