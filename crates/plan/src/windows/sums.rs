//! The values of a window that slides down the rows, and sums over them.
//!
//! Sums are kept with the error of each addition beside them (A. Neumaier, 1974), because what leaves a sliding
//! window is subtracted: after a hundred million rows the sum of the last ten is still that of ten numbers. `NaN`
//! and infinities are counted apart, so one of them is gone when it leaves the window. Rows that are all there and
//! finite, which is the usual case, go through loops without a branch.

/// The values of the last rows, to know which leaves; none are kept of a window that nothing leaves.
#[derive(Debug)]
pub(super) struct Ring<T> {
    rows: Option<usize>,
    values: Vec<T>,
    /// Which of them are there; empty while all are.
    there: Vec<bool>,
    missing: usize,
    next: usize,
}

impl<T: Copy + Default> Ring<T> {
    pub(super) fn new(rows: Option<usize>) -> Self {
        Ring { rows, values: Vec::new(), there: Vec::new(), missing: 0, next: 0 }
    }

    /// Takes a row in, gives the value of the row that leaves.
    #[inline]
    pub(super) fn push(&mut self, value: Option<T>) -> Option<T> {
        let rows = self.rows?;
        if value.is_none() && self.there.is_empty() {
            self.there.resize(self.values.len(), true);
        }
        self.missing += usize::from(value.is_none());
        let kept = value.unwrap_or_default();
        if self.values.len() < rows {
            self.values.push(kept);
            if self.missing > 0 || !self.there.is_empty() {
                self.there.push(value.is_some());
            }
            return None;
        }
        let left = std::mem::replace(&mut self.values[self.next], kept);
        let was_there = match self.there.get_mut(self.next) {
            Some(there) => std::mem::replace(there, value.is_some()),
            None => true,
        };
        self.missing -= usize::from(!was_there);
        if self.missing == 0 {
            self.there.clear();
        }
        self.next += 1;
        if self.next == rows {
            self.next = 0;
        }
        was_there.then_some(left)
    }

    /// Whether every row in it has a value.
    pub(super) fn is_full_of_values(&self) -> bool {
        self.missing == 0
    }

    /// Whether a row leaves for each that comes in.
    pub(super) fn is_filled(&self) -> bool {
        self.rows == Some(self.values.len())
    }

    /// Takes rows in while all of those in it have a value, and tells of them run by run, each with the rows that leave
    /// for it, one for one; or with none.
    #[inline]
    pub(super) fn push_all(&mut self, mut rows: &[T], mut step: impl FnMut(&[T], Option<&[T]>)) {
        let Some(window) = self.rows else {
            return step(rows, None);
        };
        let room = window - self.values.len();
        if room > 0 {
            let (filling, rest) = rows.split_at(room.min(rows.len()));
            step(filling, None);
            self.values.extend_from_slice(filling);
            rows = rest;
        }
        if rows.is_empty() {
            return;
        }
        // first those leave that were in it, from `next` on and around, then those that came in here
        let old = rows.len().min(window);
        let straight = old.min(window - self.next);
        let around = old - straight;
        let leaving = [
            &self.values[self.next..self.next + straight],
            &self.values[..around],
            &rows[..rows.len() - old],
        ];
        let mut entering = rows;
        for left in leaving {
            let (these, rest) = entering.split_at(left.len());
            step(these, Some(left));
            entering = rest;
        }
        if rows.len() >= window {
            self.values.copy_from_slice(&rows[rows.len() - window..]);
            self.next = 0;
        } else {
            self.values[self.next..self.next + straight].copy_from_slice(&rows[..straight]);
            self.values[..around].copy_from_slice(&rows[straight..]);
            self.next = (self.next + old) % window;
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.there.clear();
        (self.missing, self.next) = (0, 0);
    }
}

/// A sum that values are added to and taken from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    error: f64,
    pub(super) count: i64,
    nan: i64,
    infinite: [i64; 2],
}

/// The sum of two numbers and what it lacks (D. E. Knuth).
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

impl Sum {
    #[inline]
    pub(super) fn change(&mut self, value: f64, by: i64) {
        self.count += by;
        if value.is_finite() {
            let (sum, error) = two_sum(self.sum, if by > 0 { value } else { -value });
            (self.sum, self.error) = (sum, self.error + error);
        } else if value.is_nan() {
            self.nan += by;
        } else {
            self.infinite[usize::from(value > 0.0)] += by;
        }
        if self.count == 0 {
            *self = Sum::default();
        }
    }

    #[inline]
    pub(super) fn value(&self) -> f64 {
        match self.infinite {
            _ if self.nan > 0 => f64::NAN,
            [0, 0] => self.sum + self.error,
            [_, 0] => f64::NEG_INFINITY,
            [0, _] => f64::INFINITY,
            _ => f64::NAN,
        }
    }

    fn is_finite(&self) -> bool {
        self.nan == 0 && self.infinite == [0, 0]
    }
}

/// The sum or the mean of a window.
#[derive(Debug)]
pub(super) struct Sums {
    seen: Ring<f64>,
    sum: Sum,
    mean: bool,
}

impl Sums {
    pub(super) fn new(rows: Option<usize>, mean: bool) -> Self {
        Sums { seen: Ring::new(rows), sum: Sum::default(), mean }
    }

    #[inline]
    pub(super) fn push(&mut self, value: Option<f64>) -> Option<f64> {
        if let Some(value) = value {
            self.sum.change(value, 1);
        }
        if let Some(left) = self.seen.push(value) {
            self.sum.change(left, -1);
        }
        let sum = self.sum.value();
        let figure = if self.mean { sum / self.sum.count as f64 } else { sum };
        (self.sum.count > 0).then_some(figure)
    }

    /// The figures of rows that all have a value, behind others that have; none if it must go row by row.
    pub(super) fn push_all(&mut self, rows: &[f64]) -> Option<Vec<f64>> {
        // not `all`, which looks at one after another
        let finite = rows.iter().fold(true, |all, value| all & value.is_finite());
        if !finite || !self.sum.is_finite() || !self.seen.is_full_of_values() {
            return None;
        }
        let before = self.sum.count;
        let mut out: Vec<f64> = Vec::with_capacity(rows.len());
        let mut state = (self.sum.sum, self.sum.error);
        let mut growing = 0;
        self.seen.push_all(rows, |rows, left| {
            // in variables of its own, which stay in registers
            let (mut sum, mut error) = state;
            match left {
                Some(left) => out.extend(rows.iter().zip(left).map(|(value, left)| {
                    let (change, lost) = two_sum(*value, -left);
                    let (total, more) = two_sum(sum, change);
                    (sum, error) = (total, error + (lost + more));
                    sum + error
                })),
                None => {
                    growing += rows.len();
                    out.extend(rows.iter().map(|value| {
                        let (total, more) = two_sum(sum, *value);
                        (sum, error) = (total, error + more);
                        sum + error
                    }));
                }
            }
            state = (sum, error);
        });
        let count = before + growing as i64;
        (self.sum.sum, self.sum.error, self.sum.count) = (state.0, state.1, count);
        if self.mean {
            let (filling, full) = out.split_at_mut(growing);
            filling.iter_mut().zip(before + 1..).for_each(|(figure, count)| *figure /= count as f64);
            full.iter_mut().for_each(|figure| *figure /= count as f64);
        }
        Some(out)
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.sum = Sum::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Rows one by one and in pieces: the same leave.
        #[test]
        fn a_ring_is_a_queue(
            window in prop::option::of(1..9_usize),
            pieces in prop::collection::vec(
                (prop::collection::vec(prop::option::weighted(0.9, 0..100_i64), 0..25), any::<bool>()), 0..8),
        ) {
            let mut ring = Ring::new(window);
            let mut queue: VecDeque<Option<i64>> = VecDeque::new();
            for (piece, at_once) in pieces {
                let mut wanted = Vec::new();
                for value in &piece {
                    queue.push_back(*value);
                    let left = window.filter(|window| queue.len() > *window).and_then(|_| queue.pop_front());
                    wanted.push((*value, left.flatten()));
                }
                let whole: Option<Vec<i64>> = piece.iter().copied().collect();
                let found = match whole.filter(|_| at_once && ring.is_full_of_values()) {
                    Some(whole) => {
                        let mut found = Vec::new();
                        ring.push_all(&whole, |rows, left| {
                            let left = |at: usize| left.map(|left| left[at]);
                            found.extend(rows.iter().enumerate().map(|(at, value)| (Some(*value), left(at))));
                        });
                        found
                    }
                    None => piece.iter().map(|value| (*value, ring.push(*value))).collect(),
                };
                prop_assert_eq!(found, wanted);
            }
        }

        /// Sums at once are those row by row, also of numbers of very different size.
        #[test]
        fn at_once_as_row_by_row(
            window in prop::option::of(1..9_usize),
            mean in any::<bool>(),
            pieces in prop::collection::vec(
                prop::collection::vec(prop_oneof![-1e3..1e3, -1e16..1e16_f64, Just(0.0)], 0..25), 0..8),
        ) {
            let (mut one, mut other) = (Sums::new(window, mean), Sums::new(window, mean));
            for piece in pieces {
                let wanted: Vec<f64> = piece.iter().filter_map(|value| one.push(Some(*value))).collect();
                let found = other.push_all(&piece);
                prop_assert!(found.is_some());
                for (found, wanted) in found.into_iter().flatten().zip(wanted) {
                    prop_assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{} {}", found, wanted);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_goes_row_by_row() {
        let mut sums = Sums::new(Some(2), false);
        assert_eq!(sums.push_all(&[1.0, 2.0, 3.0]), Some(vec![1.0, 3.0, 5.0]));
        assert_eq!(sums.push_all(&[1.0, f64::NAN]), None);
        assert!(sums.push(Some(f64::NAN)).is_some_and(f64::is_nan));
        assert_eq!(sums.push_all(&[1.0]), None);
        assert!(sums.push(None).is_some_and(f64::is_nan));
        assert_eq!(sums.push(Some(4.0)), Some(4.0));
        assert_eq!(sums.push_all(&[1.0]), None, "a row of the window has no value");
        assert_eq!(sums.push(Some(5.0)), Some(9.0));
        assert_eq!(sums.push_all(&[6.0, 7.0]), Some(vec![11.0, 13.0]));
    }

    #[test]
    fn the_error_of_additions_is_kept() {
        let mut sums = Sums::new(Some(1), false);
        let mut rows = vec![1e16, 1.0];
        rows.extend((0..10_000).map(|row| if row % 2 == 0 { 1e16 } else { 0.1 }));
        let figures = sums.push_all(&rows).unwrap();
        assert_eq!(figures[1], 1.0);
        assert_eq!(figures.last(), Some(&0.1));
    }
}
