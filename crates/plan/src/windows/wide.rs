//! Sums of whole numbers and decimals, wider than what they are sums of: a window may leave the range of its type and
//! come back.

use super::sums::Ring;

/// The sum of a window in 128 bits.
#[derive(Debug)]
pub(super) struct WideSum {
    seen: Ring<i128>,
    sum: i128,
    count: usize,
    /// Some sum did not fit into its type.
    left: bool,
}

impl WideSum {
    pub(super) fn new(rows: Option<usize>) -> Self {
        Self { seen: Ring::new(rows), sum: 0, count: 0, left: false }
    }

    /// Takes a row in, gives the sum; none of no values.
    #[inline]
    pub(super) fn push(&mut self, value: Option<i128>) -> Option<i128> {
        if let Some(value) = value {
            (self.sum, self.count) = (self.sum.wrapping_add(value), self.count + 1);
        }
        if let Some(left) = self.seen.push(value) {
            (self.sum, self.count) = (self.sum.wrapping_sub(left), self.count - 1);
        }
        (self.count > 0).then_some(self.sum)
    }

    /// As `push`; a sum that is no BIGINT is none, and is remembered.
    #[inline]
    pub(super) fn push_whole(&mut self, value: Option<i64>) -> Option<i64> {
        let sum = self.push(value.map(i128::from))?;
        let fits = i64::try_from(sum).ok();
        self.left |= fits.is_none();
        fits
    }

    pub(super) fn has_left_its_type(&self) -> bool {
        self.left
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
        (self.sum, self.count) = (0, 0);
    }
}
