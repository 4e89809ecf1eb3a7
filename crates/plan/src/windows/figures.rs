//! The state of a window that moves down the rows, and its arithmetic.
//!
//! Sums are kept in [`Sums`] and [`WideSum`], variances in [`Spread`], the smallest and largest in [`Extreme`]; quantiles
//! are read off a sorted list.

use super::extreme::Extreme;
use super::ordered::Ordered;
use super::spread::Spread;
use super::sums::{Ring, Sums};
use super::wide::WideSum;
use crate::known::{self, Trait};
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Decimal128Builder, Float64Array, Float64Builder,
    Int64Array, Int64Builder, PrimitiveBuilder,
};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int64Type,
};
use std::sync::{Arc, OnceLock};

/// A figure and the type it is computed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    Count,
    Sum,
    SumOfWhole,
    /// A sum of whole numbers that is an error where it leaves their type.
    CheckedSum,
    /// A sum of decimals, with these digits in all and behind the point.
    SumOfDecimal(u8, i8),
    Mean,
    Var,
    Extreme {
        largest: bool,
        of: Kind,
    },
    Quantile(f64),
}

/// Values whose extremes we know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Float,
    Whole,
    /// Digits in all and behind the point.
    Decimal(u8, i8),
}

impl Figure {
    /// The figure of an aggregation by its name and types, if it is one of these.
    pub(super) fn of(name: &str, input: &DataType, output: &DataType) -> Option<Figure> {
        use DataType::{Decimal128, Float64, Int64};
        if !known::is(name, Trait::Running) {
            return None;
        }
        let extreme = |of| Figure::Extreme { largest: name == "max", of };
        Some(match (name, input, output) {
            ("count", _, Int64) => Figure::Count,
            ("sum", Float64, Float64) => Figure::Sum,
            ("sum", Int64, Int64) => Figure::SumOfWhole,
            ("avg", Float64, Float64) => Figure::Mean,
            ("var", Float64, Float64) => Figure::Var,
            ("median", Float64, Float64) => Figure::Quantile(0.5),
            ("min" | "max", Float64, Float64) => extreme(Kind::Float),
            ("min" | "max", Int64, Int64) => extreme(Kind::Whole),
            ("min" | "max", Decimal128(..), Decimal128(digits, scale)) if input == output => {
                extreme(Kind::Decimal(*digits, *scale))
            }
            // with ten digits more there is room for the sum of any rows
            ("sum", Decimal128(given, _), Decimal128(digits, scale))
                if *digits <= DECIMAL128_MAX_PRECISION && u16::from(*digits) == u16::from(*given) + 10 =>
            {
                Figure::SumOfDecimal(*digits, *scale)
            }
            _ => return None,
        })
    }

    /// The state of a window over this row and `before` rows before it, or all of them.
    pub(super) fn state(self, before: Option<usize>) -> State {
        let rows = before.map(|before| before.saturating_add(1));
        match self {
            Figure::Count => State::Count { seen: Ring::new(rows), count: 0, full: Arc::default() },
            Figure::Sum => State::Sum(Sums::new(rows, false)),
            Figure::Mean => State::Sum(Sums::new(rows, true)),
            Figure::SumOfWhole => State::SumOfWhole { seen: Ring::new(rows), sum: 0, count: 0 },
            Figure::Var => State::Var(Ring::new(rows), Spread::default()),
            Figure::Quantile(q) => State::Quantile(Ring::new(rows), Ordered::default(), q),
            Figure::CheckedSum => State::CheckedSum(WideSum::new(rows)),
            Figure::SumOfDecimal(digits, scale) => State::SumOfDecimal(WideSum::new(rows), digits, scale),
            Figure::Extreme { largest, of: Kind::Float } => {
                State::Extreme(Extreme::new(rows, largest, f64::total_cmp))
            }
            Figure::Extreme { largest, of: Kind::Whole } => {
                State::ExtremeOfWhole(Extreme::new(rows, largest, i64::cmp))
            }
            Figure::Extreme { largest, of: Kind::Decimal(digits, scale) } => {
                State::ExtremeOfDecimal(Extreme::new(rows, largest, i128::cmp), digits, scale)
            }
        }
    }
}

/// What a window knows of its rows.
#[derive(Debug)]
pub(super) enum State {
    Count {
        seen: Ring<()>,
        count: i64,
        /// The counts of windows that are full, all the same.
        full: Arc<OnceLock<ArrayRef>>,
    },
    /// A sum, or a mean.
    Sum(Sums),
    SumOfWhole {
        seen: Ring<i64>,
        sum: i64,
        count: i64,
    },
    Var(Ring<f64>, Spread),
    /// The quantile at a place.
    Quantile(Ring<f64>, Ordered, f64),
    Extreme(Extreme<f64>),
    ExtremeOfWhole(Extreme<i64>),
    CheckedSum(WideSum),
    /// With the digits of the sum, in all and behind the point.
    SumOfDecimal(WideSum, u8, i8),
    ExtremeOfDecimal(Extreme<i128>, u8, i8),
}

/// The values of the figure, row by row.
pub(super) enum Output {
    Whole(Int64Builder),
    Number(Float64Builder),
    Decimal(Decimal128Builder),
    Done(ArrayRef),
}

impl Output {
    pub(super) fn finish(self) -> ArrayRef {
        match self {
            Output::Whole(mut values) => Arc::new(values.finish()),
            Output::Number(mut values) => Arc::new(values.finish()),
            Output::Decimal(mut values) => Arc::new(values.finish()),
            Output::Done(values) => values,
        }
    }
}

/// Rows `start..end` of `values`, if none is null.
fn plain<T: ArrowPrimitiveType>(values: &ArrayRef, (start, end): (usize, usize)) -> Option<&[T::Native]> {
    let values = values.as_primitive::<T>();
    (values.null_count() == 0).then(|| &values.values()[start..end])
}

/// Counts of full windows are kept for batches of so many rows at least.
const FULL: usize = 8192;

/// The counts of windows of values that are all there.
fn counts(seen: &mut Ring<()>, count: &mut i64, rows: usize) -> Vec<i64> {
    let mut counts = Vec::with_capacity(rows);
    seen.push_all(&vec![(); rows], |rows, left| match left {
        Some(_) => counts.extend(std::iter::repeat_n(*count, rows.len())),
        None => {
            counts.extend(*count + 1..=*count + rows.len() as i64);
            *count += rows.len() as i64;
        }
    });
    counts
}

/// The sums of windows of values that are all there.
fn sums_of_whole(seen: &mut Ring<i64>, sum: &mut i64, count: &mut i64, rows: &[i64]) -> Vec<i64> {
    let mut sums = Vec::with_capacity(rows.len());
    seen.push_all(rows, |rows, left| {
        let mut total = *sum;
        match left {
            Some(left) => sums.extend(rows.iter().zip(left).map(|(value, left)| {
                total = total.wrapping_add(*value).wrapping_sub(*left);
                total
            })),
            None => {
                *count += rows.len() as i64;
                sums.extend(rows.iter().map(|value| {
                    total = total.wrapping_add(*value);
                    total
                }));
            }
        }
        *sum = total;
    });
    sums
}

/// Pushes rows `start..end` of `values` through `step`.
#[inline]
fn each<T: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    values: &ArrayRef,
    (start, end): (usize, usize),
    out: &mut PrimitiveBuilder<O>,
    mut step: impl FnMut(Option<T::Native>) -> Option<O::Native>,
) {
    let values = values.as_primitive::<T>();
    if values.null_count() == 0 {
        for value in &values.values()[start..end] {
            out.append_option(step(Some(*value)));
        }
        return;
    }
    for row in start..end {
        out.append_option(step(values.is_valid(row).then(|| values.value(row))));
    }
}

impl State {
    /// Where the figures of a batch go.
    pub(super) fn output(&self, rows: usize) -> Output {
        match self {
            State::Count { .. }
            | State::SumOfWhole { .. }
            | State::ExtremeOfWhole(_)
            | State::CheckedSum(_) => Output::Whole(Int64Builder::with_capacity(rows)),
            State::SumOfDecimal(_, digits, scale) | State::ExtremeOfDecimal(_, digits, scale) => {
                let values = Decimal128Builder::with_capacity(rows);
                Output::Decimal(values.with_data_type(DataType::Decimal128(*digits, *scale)))
            }
            _ => Output::Number(Float64Builder::with_capacity(rows)),
        }
    }

    /// A new group begins.
    pub(super) fn clear(&mut self) {
        match self {
            State::Count { seen, count, .. } => {
                seen.clear();
                *count = 0;
            }
            State::Sum(sums) => sums.clear(),
            State::SumOfWhole { seen, sum, count } => {
                seen.clear();
                (*sum, *count) = (0, 0);
            }
            State::Var(seen, spread) => {
                seen.clear();
                *spread = Spread::default();
            }
            State::Quantile(seen, list, _) => {
                seen.clear();
                list.clear();
            }
            State::Extreme(extreme) => extreme.clear(),
            State::ExtremeOfWhole(extreme) => extreme.clear(),
            State::ExtremeOfDecimal(extreme, ..) => extreme.clear(),
            State::CheckedSum(sum) | State::SumOfDecimal(sum, ..) => sum.clear(),
        }
    }

    /// Whether some sum did not fit into its type.
    pub(super) fn has_left_its_type(&self) -> bool {
        matches!(self, State::CheckedSum(sum) if sum.has_left_its_type())
    }

    /// What windows of the same kind have in common.
    pub(super) fn share(&mut self, other: &State) {
        if let (State::Count { full, .. }, State::Count { full: known, .. }) = (self, other) {
            *full = Arc::clone(known);
        }
    }

    /// The figures of all rows of a batch, if none of them is null; none if they must go another way.
    fn push_whole(&mut self, values: &ArrayRef) -> Option<ArrayRef> {
        let rows = values.len();
        match self {
            State::Count { seen, count, full } => {
                let some = values.logical_nulls().is_some_and(|nulls| nulls.null_count() > 0);
                if some || !seen.is_full_of_values() {
                    return None;
                }
                if seen.is_filled() {
                    let full = full.get_or_init(|| Arc::new(Int64Array::from_value(*count, rows.max(FULL))));
                    return (full.len() >= rows).then(|| full.slice(0, rows));
                }
                Some(Arc::new(Int64Array::from(counts(seen, count, rows))))
            }
            State::Sum(sums) => {
                let figures = sums.push_all(plain::<Float64Type>(values, (0, rows))?)?;
                Some(Arc::new(Float64Array::from(figures)))
            }
            State::SumOfWhole { seen, sum, count } => {
                let rows = plain::<Int64Type>(values, (0, rows)).filter(|_| seen.is_full_of_values())?;
                Some(Arc::new(Int64Array::from(sums_of_whole(seen, sum, count, rows))))
            }
            _ => None,
        }
    }

    /// Takes rows `start..end` of a group in and gives the figure for each.
    pub(super) fn push(&mut self, values: &ArrayRef, start: usize, end: usize, out: &mut Output) {
        if start == 0
            && end == values.len()
            && end > 0
            && let Some(done) = self.push_whole(values)
        {
            *out = Output::Done(done);
            return;
        }
        let rows = (start, end);
        match (self, out) {
            (State::Count { seen, count, .. }, Output::Whole(out)) => {
                let nulls = values.logical_nulls().filter(|nulls| nulls.null_count() > 0);
                if nulls.is_none() && seen.is_full_of_values() {
                    out.append_slice(&counts(seen, count, end - start));
                    return;
                }
                for row in start..end {
                    let value = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)).then_some(());
                    *count += i64::from(value.is_some()) - i64::from(seen.push(value).is_some());
                    out.append_value(*count);
                }
            }
            (State::Sum(sums), Output::Number(out)) => {
                match plain::<Float64Type>(values, rows).and_then(|rows| sums.push_all(rows)) {
                    Some(figures) => out.append_slice(&figures),
                    None => each::<Float64Type, Float64Type>(values, rows, out, |value| sums.push(value)),
                }
            }
            (State::SumOfWhole { seen, sum, count }, Output::Whole(out)) => {
                if let Some(rows) = plain::<Int64Type>(values, rows).filter(|_| seen.is_full_of_values()) {
                    out.append_slice(&sums_of_whole(seen, sum, count, rows));
                    return;
                }
                each::<Int64Type, Int64Type>(values, rows, out, |value| {
                    if let Some(value) = value {
                        (*sum, *count) = (sum.wrapping_add(value), *count + 1);
                    }
                    if let Some(left) = seen.push(value) {
                        (*sum, *count) = (sum.wrapping_sub(left), *count - 1);
                    }
                    (*count > 0).then_some(*sum)
                });
            }
            (State::Var(seen, spread), Output::Number(out)) => {
                each::<Float64Type, Float64Type>(values, rows, out, |value| {
                    if let Some(value) = value {
                        spread.add(value);
                    }
                    if let Some(left) = seen.push(value) {
                        spread.take(left);
                    }
                    spread.value()
                });
            }
            (State::Quantile(seen, list, q), Output::Number(out)) => {
                let q = *q;
                each::<Float64Type, Float64Type>(values, rows, out, |value| {
                    if let Some(value) = value {
                        list.insert(value);
                    }
                    if let Some(left) = seen.push(value) {
                        list.remove(left);
                    }
                    list.quantile(q)
                });
            }
            (State::Extreme(extreme), Output::Number(out)) => {
                each::<Float64Type, Float64Type>(values, rows, out, |value| extreme.push(value));
            }
            (State::ExtremeOfWhole(extreme), Output::Whole(out)) => {
                each::<Int64Type, Int64Type>(values, rows, out, |value| extreme.push(value));
            }
            (State::CheckedSum(sum), Output::Whole(out)) => {
                each::<Int64Type, Int64Type>(values, rows, out, |value| sum.push_whole(value));
            }
            (State::SumOfDecimal(sum, ..), Output::Decimal(out)) => {
                each::<Decimal128Type, Decimal128Type>(values, rows, out, |value| sum.push(value));
            }
            (State::ExtremeOfDecimal(extreme, ..), Output::Decimal(out)) => {
                each::<Decimal128Type, Decimal128Type>(values, rows, out, |value| extreme.push(value));
            }
            // `output` makes the one that fits
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Decimal128Array;
    use proptest::prelude::*;

    /// The figure of a window, by looking at all of its rows.
    fn naive(figure: Figure, window: &[Option<f64>]) -> Option<f64> {
        let values: Vec<f64> = window.iter().flatten().copied().collect();
        let n = values.len() as f64;
        let sum: f64 = values.iter().sum();
        let best = |largest: bool| {
            let order = |a: &f64, b: &f64| a.total_cmp(b);
            if largest { values.iter().copied().max_by(order) } else { values.iter().copied().min_by(order) }
        };
        match figure {
            Figure::Count => Some(n),
            Figure::Sum | Figure::SumOfWhole | Figure::CheckedSum | Figure::SumOfDecimal(..) => {
                (n > 0.0).then_some(sum)
            }
            Figure::Mean => (n > 0.0).then(|| sum / n),
            Figure::Var if n < 2.0 => None,
            Figure::Var => Some(values.iter().map(|v| (v - sum / n).powi(2)).sum::<f64>() / (n - 1.0)),
            Figure::Extreme { largest, .. } => best(largest),
            Figure::Quantile(q) => {
                crate::windows::ordered::quantile(&mut values.clone(), q, Default::default())
            }
        }
    }

    fn run(
        figure: Figure,
        before: Option<usize>,
        batches: &[Vec<Option<f64>>],
        of: Kind,
        pieces: bool,
    ) -> Vec<Option<f64>> {
        let mut state = figure.state(before);
        let mut found = Vec::new();
        for batch in batches {
            let values: ArrayRef = match of {
                Kind::Float => Arc::new(Float64Array::from(batch.clone())),
                Kind::Whole => Arc::new(batch.iter().map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
                Kind::Decimal(digits, scale) => {
                    let values: Decimal128Array = batch.iter().map(|v| v.map(|v| v as i128)).collect();
                    Arc::new(values.with_precision_and_scale(digits, scale).unwrap())
                }
            };
            let mut out = state.output(batch.len());
            if pieces {
                // as around the end of a group
                state.push(&values, 0, batch.len() / 2, &mut out);
                state.push(&values, batch.len() / 2, batch.len(), &mut out);
            } else {
                state.push(&values, 0, batch.len(), &mut out);
            }
            let out = out.finish();
            match out.data_type() {
                DataType::Int64 => {
                    found.extend(out.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| v as f64)));
                }
                DataType::Decimal128(..) => {
                    found.extend(out.as_primitive::<Decimal128Type>().iter().map(|v| v.map(|v| v as f64)));
                }
                _ => found.extend(out.as_primitive::<Float64Type>().iter()),
            }
        }
        found
    }

    fn close(found: Option<f64>, wanted: Option<f64>) -> bool {
        match (found, wanted) {
            (Some(f), Some(w)) => {
                (f - w).abs() <= 1e-9 * w.abs().max(1.0) || (f.is_nan() && w.is_nan()) || f == w
            }
            (f, w) => f == w,
        }
    }

    const DECIMAL: Kind = Kind::Decimal(7, 2);

    const ALL: [(Figure, Kind); 15] = [
        (Figure::Count, Kind::Float),
        (Figure::Sum, Kind::Float),
        (Figure::Mean, Kind::Float),
        (Figure::Var, Kind::Float),
        (Figure::Quantile(0.5), Kind::Float),
        (Figure::Quantile(0.3), Kind::Float),
        (Figure::Extreme { largest: true, of: Kind::Float }, Kind::Float),
        (Figure::Extreme { largest: false, of: Kind::Float }, Kind::Float),
        (Figure::SumOfWhole, Kind::Whole),
        (Figure::CheckedSum, Kind::Whole),
        (Figure::Extreme { largest: true, of: Kind::Whole }, Kind::Whole),
        (Figure::Extreme { largest: false, of: Kind::Whole }, Kind::Whole),
        (Figure::SumOfDecimal(17, 2), DECIMAL),
        (Figure::Extreme { largest: true, of: DECIMAL }, DECIMAL),
        (Figure::Extreme { largest: false, of: DECIMAL }, DECIMAL),
    ];

    proptest! {
        #[test]
        fn as_a_naive_window(
            batches in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(prop::option::weighted(0.8, -9..9_i32), 0..20),
                    prop::collection::vec((-9..9_i32).prop_map(Some), 0..20),
                ], 0..6),
            before in prop::option::of(0..12_usize),
            pieces in any::<bool>(),
        ) {
            let batches: Vec<Vec<Option<f64>>> =
                batches.iter().map(|b| b.iter().map(|v| v.map(f64::from)).collect()).collect();
            let rows: Vec<Option<f64>> = batches.iter().flatten().copied().collect();
            for (figure, of) in ALL {
                let found = run(figure, before, &batches, of, pieces);
                prop_assert_eq!(found.len(), rows.len());
                for (row, value) in found.iter().enumerate() {
                    let start = before.map_or(0, |before| row.saturating_sub(before));
                    let wanted = naive(figure, &rows[start..=row]);
                    prop_assert!(close(*value, wanted), "{:?} {:?} at {}: {:?}", figure, wanted, row, value);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_leaves_with_its_row() {
        let rows = vec![vec![
            Some(1.0),
            Some(f64::NAN),
            Some(2.0),
            Some(f64::INFINITY),
            Some(f64::NEG_INFINITY),
            Some(1e300),
            Some(3.0),
            Some(4.0),
        ]];
        let sums = run(Figure::Sum, Some(1), &rows, Kind::Float, true);
        let text: Vec<String> = sums.iter().map(|v| format!("{:?}", v.unwrap())).collect();
        assert_eq!(text, ["1.0", "NaN", "NaN", "inf", "NaN", "-inf", "1e300", "7.0"]);
        let var = run(Figure::Var, Some(1), &rows, Kind::Float, true);
        assert_eq!(var[7], Some(0.5));
        assert!(var[1].unwrap().is_nan() && var[0].is_none());
    }
}
