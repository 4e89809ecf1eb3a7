//! Numbers kept in their order while some come and go, and what a quantile of them is.
//!
//! A sorted list in pieces of at most [`PIECE`] values: a value is put in or taken out by moving part of a piece, the
//! value at a place is found by walking over the lengths of the pieces. A window of some hundred rows is one piece.
//! The order is the total order of IEEE 754, in which `NaN` is the largest number, as in sorts.

/// Pieces are cut in two when they are longer than this.
const PIECE: usize = 1024;

/// A sorted list of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Ordered {
    /// None of them empty.
    pieces: Vec<Vec<f64>>,
    len: usize,
}

impl Ordered {
    /// A list of these values, which it sorts.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let pieces = values.chunks(PIECE / 2).map(<[f64]>::to_vec).collect();
        Ordered { pieces, len: values.len() }
    }

    /// The bytes of the list.
    pub(super) fn size(&self) -> usize {
        let values: usize = self.pieces.iter().map(Vec::capacity).sum();
        values * size_of::<f64>() + self.pieces.capacity() * size_of::<Vec<f64>>()
    }

    /// The values from the smallest to the largest.
    pub(super) fn into_values(self) -> Vec<f64> {
        self.pieces.concat()
    }

    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.len = 0;
    }

    /// The piece that has `value` or would have it.
    fn piece(&self, value: f64) -> usize {
        let ends_before = |piece: &Vec<f64>| piece.last().is_some_and(|last| last.total_cmp(&value).is_lt());
        match &self.pieces[..] {
            [] | [_] => 0,
            pieces => pieces.partition_point(ends_before).min(pieces.len() - 1),
        }
    }

    pub(super) fn insert(&mut self, value: f64) {
        self.len += 1;
        let at = self.piece(value);
        let Some(piece) = self.pieces.get_mut(at) else {
            self.pieces.push(vec![value]);
            return;
        };
        let place = piece.partition_point(|known| known.total_cmp(&value).is_lt());
        piece.insert(place, value);
        if piece.len() > PIECE {
            let upper = piece.split_off(PIECE / 2);
            self.pieces.insert(at + 1, upper);
        }
    }

    /// Takes one of the values equal to `value` out; whether there was one.
    pub(super) fn remove(&mut self, value: f64) -> bool {
        let at = self.piece(value);
        let Some(piece) = self.pieces.get_mut(at) else { return false };
        let place = piece.partition_point(|known| known.total_cmp(&value).is_lt());
        if piece.get(place).is_none_or(|known| known.total_cmp(&value).is_ne()) {
            return false;
        }
        piece.remove(place);
        if piece.is_empty() {
            self.pieces.remove(at);
        }
        self.len -= 1;
        true
    }

    /// The values at a place, counted from the smallest, and at the next.
    fn pair(&self, mut place: usize) -> Option<(f64, Option<f64>)> {
        let mut pieces = self.pieces.iter();
        while let Some(piece) = pieces.next() {
            if let Some(value) = piece.get(place) {
                let next = piece.get(place + 1).or_else(|| pieces.next().and_then(|piece| piece.first()));
                return Some((*value, next.copied()));
            }
            place -= piece.len();
        }
        None
    }

    /// The quantile `q` in 0..=1, between two values on the line from one to the other; none of no values.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        self.quantile_by(q, Interpolation::Linear)
    }

    /// The quantile `q` in 0..=1; none of no values.
    pub(super) fn quantile_by(&self, q: f64, how: Interpolation) -> Option<f64> {
        let (place, part) = place(self.len, q)?;
        let (low, high) = self.pair(place)?;
        Some(how.choose(low, high, place, part))
    }
}

/// What a quantile is that lies between two values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interpolation {
    /// On the line from one to the other.
    #[default]
    Linear,
    /// The smaller of them.
    Lower,
    /// The larger of them.
    Higher,
    /// The nearer of them; of two as near the one at an even place, counted from 0.
    Nearest,
    /// Their mean.
    Midpoint,
}

impl Interpolation {
    /// All, by their names in pandas.
    const NAMES: [(&str, Interpolation); 5] = [
        ("linear", Interpolation::Linear),
        ("lower", Interpolation::Lower),
        ("higher", Interpolation::Higher),
        ("nearest", Interpolation::Nearest),
        ("midpoint", Interpolation::Midpoint),
    ];

    /// The name that pandas has for it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, how)| *how == self).map_or("linear", |(name, _)| name)
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, how)| *how)
    }

    /// The quantile at `part` of the way from the value at a place to the next one.
    fn choose(self, low: f64, high: Option<f64>, place: usize, part: f64) -> f64 {
        let Some(next) = high.filter(|_| part > 0.0) else { return low };
        match self {
            Interpolation::Linear => between(low, high, part),
            Interpolation::Lower => low,
            Interpolation::Higher => next,
            Interpolation::Nearest if part > 0.5 || (part == 0.5 && place % 2 == 1) => next,
            Interpolation::Nearest => low,
            Interpolation::Midpoint => between(low, high, 0.5),
        }
    }
}

/// The quantile `q` in 0..=1 of values in any order, which it moves.
pub(super) fn quantile(values: &mut [f64], q: f64, how: Interpolation) -> Option<f64> {
    let (place, part) = place(values.len(), q)?;
    let (_, low, above) = values.select_nth_unstable_by(place, f64::total_cmp);
    let high = if part > 0.0 { above.iter().copied().min_by(f64::total_cmp) } else { None };
    Some(how.choose(*low, high, place, part))
}

/// The place below a quantile and how far it is from there to the next.
pub(super) fn place(len: usize, q: f64) -> Option<(usize, f64)> {
    let last = len.checked_sub(1)?;
    let exact = q.clamp(0.0, 1.0) * last as f64;
    // rounding may not lead past the last
    let place = (exact.floor() as usize).min(last);
    Some((place, exact - place as f64))
}

pub(super) fn between(low: f64, high: Option<f64>, part: f64) -> f64 {
    let Some(high) = high.filter(|high| part > 0.0 && *high != low) else { return low };
    let way = high - low;
    match way.is_finite() {
        // from the nearer end, so that the line meets both
        true if part < 0.5 => low + way * part,
        true => high - way * (1.0 - part),
        false => low * (1.0 - part) + high * part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By sorting a copy.
    fn model(values: &[f64], q: f64) -> Option<f64> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let exact = q * (sorted.len().checked_sub(1)?) as f64;
        let (low, high) = (sorted[exact.floor() as usize], sorted[exact.ceil() as usize]);
        Some(if low == high { low } else { low + (high - low) * (exact - exact.floor()) })
    }

    fn same(found: Option<f64>, wanted: Option<f64>) -> bool {
        match (found, wanted) {
            (Some(f), Some(w)) => (f.is_nan() && w.is_nan()) || f == w || (f - w).abs() <= 1e-12 * w.abs(),
            (f, w) => f == w,
        }
    }

    fn values() -> impl Strategy<Value = f64> {
        // many equal ones, and the odd ones
        prop_oneof![
            8 => (-20..20_i32).prop_map(f64::from),
            4 => -1e6..1e6_f64,
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
            1 => Just(0.0),
            1 => Just(-0.0),
        ]
    }

    proptest! {
        #[test]
        fn as_a_sorted_copy(
            first in prop::collection::vec(values(), 0..2_000),
            steps in prop::collection::vec((values(), any::<bool>(), any::<prop::sample::Index>()), 0..2_000),
            q in 0.0..=1.0_f64,
        ) {
            let mut all = first.clone();
            let mut list = Ordered::of(first);
            for (value, put, which) in steps {
                if put || all.is_empty() {
                    list.insert(value);
                    all.push(value);
                } else {
                    let gone = all.swap_remove(which.index(all.len()));
                    prop_assert!(list.remove(gone));
                }
                prop_assert_eq!(list.len, all.len());
            }
            for q in [0.0, q, 0.5, 1.0] {
                let wanted = model(&all, q);
                prop_assert!(same(list.quantile(q), wanted), "{q}: {:?}, not {wanted:?}", list.quantile(q));
                let found = quantile(&mut all.clone(), q, Interpolation::Linear);
                prop_assert!(same(found, wanted), "{q}: {found:?}, not {wanted:?}");
            }
            prop_assert!(!list.remove(1e99));
            list.clear();
            prop_assert_eq!((list.len, list.quantile(q)), (0, None));
        }
    }

    #[test]
    fn the_line_between_two_values() {
        let check = |values: &[f64], q: f64, wanted: f64| {
            assert_eq!(
                quantile(&mut values.to_vec(), q, Interpolation::Linear),
                Some(wanted),
                "{values:?} at {q}"
            );
            assert_eq!(Ordered::of(values.to_vec()).quantile(q), Some(wanted), "{values:?} at {q}");
        };
        check(&[7.0], 0.3, 7.0);
        check(&[2.0, 1.0], 0.25, 1.25);
        check(&[0.0, 1.0], 0.123_456_789_012_345, 0.123_456_789_012_345);
        check(&[3.0, 1.0, 2.0], 0.5, 2.0);
        check(&[f64::MAX, -f64::MAX], 0.5, 0.0);
        check(&[f64::INFINITY, f64::INFINITY], 0.5, f64::INFINITY);
        check(&[f64::NEG_INFINITY, 1.0], 1.0, 1.0);
        assert!(quantile(&mut [1.0, f64::NAN], 0.5, Interpolation::Linear).unwrap().is_nan());
    }

    /// What numpy 2 gives for `percentile(values, q, method=...)`.
    #[test]
    fn between_two_values() {
        let check = |values: &[f64], q: f64, wanted: [f64; 5]| {
            let found = Interpolation::NAMES.map(|(name, how)| {
                assert_eq!((how.name(), Interpolation::by_name(name)), (name, Some(how)));
                let one = quantile(&mut values.to_vec(), q, how).unwrap();
                assert_eq!(Ordered::of(values.to_vec()).quantile_by(q, how), Some(one), "{values:?} {q}");
                one
            });
            assert_eq!(found, wanted, "{values:?} at {q}");
        };
        // linear, lower, higher, nearest, midpoint
        check(&[1.0, 2.0, 4.0, 8.0], 0.5, [3.0, 2.0, 4.0, 4.0, 3.0]);
        check(&[1.0, 2.0], 0.5, [1.5, 1.0, 2.0, 1.0, 1.5]);
        check(&[1.0, 2.0], 0.75, [1.75, 1.0, 2.0, 2.0, 1.5]);
        check(&[5.0, 1.0, 3.0], 0.5, [3.0; 5]);
        check(&[5.0], 0.9, [5.0; 5]);
    }
}
