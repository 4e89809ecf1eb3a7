//! All figures of a column in one pass, as an aggregation.
//!
//! `summary(value, q, ...)` gives a list: count, mean, sample standard deviation, smallest value, the exact quantiles
//! asked for, largest value. Each worker keeps the values it sees once, whatever is asked, and sorts them before it
//! hands them on; a quantile of several sorted lists is found by bisection, so nothing is sorted or merged on one
//! thread. Means and squares are computed batch by batch and put together (T. F. Chan, G. H. Golub and R. J. LeVeque,
//! 1979). The order of values is that of `quantile`: `NaN` is the largest.

use super::ordered::{between, place};
use super::quantile::literal;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use std::sync::{Arc, LazyLock};

const NAME: &str = "summary";

/// `summary(value, q, ...)`: a list of count, mean, sample standard deviation, least value, the exact quantiles at the
/// literals `q` in 0..=1, greatest value. All but the count are null of no values; the deviation also of a single one.
///
/// ```
/// use datafusion::logical_expr::{col, lit};
///
/// let figures = trefoil_plan::summary_udaf().call(vec![col("price"), lit(0.25), lit(0.5)]);
/// assert_eq!(figures.to_string(), "summary(price, Float64(0.25), Float64(0.5))");
/// ```
pub fn summary_udaf() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::from(Summary { signature }))
    });
    Arc::clone(&UDAF)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Summary {
    signature: Signature,
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Float64, true))
}

impl AggregateUDFImpl for Summary {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [value, rest @ ..]
                if (value.is_numeric() || value.is_null()) && rest.iter().all(DataType::is_numeric) =>
            {
                Ok(vec![DataType::Float64; arg_types.len()])
            }
            _ => plan_err!("{NAME} works on numbers and places in 0..=1, not on {arg_types:?}"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, data_type: DataType| {
            Arc::new(Field::new(format_state_name(args.name, name), data_type, true))
        };
        Ok(vec![
            field("count", DataType::Int64),
            field("sum", DataType::Float64),
            field("mean", DataType::Float64),
            field("squares", DataType::Float64),
            field("sorted", DataType::List(item())),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("{NAME} of distinct values is not supported: take the distinct rows first");
        }
        let asked = args.exprs.iter().skip(1).map(|q| match literal(q) {
            Some(q) => Ok(q),
            None => plan_err!("the places of quantiles must be numbers in 0..=1 that are written down"),
        });
        Ok(Box::new(Figures { asked: asked.collect::<Result<_>>()?, ..Figures::default() }))
    }
}

/// A number that compares as `value` does in the total order.
fn rank(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn of_rank(rank: u64) -> f64 {
    f64::from_bits(if rank >> 63 == 1 { rank & !(1 << 63) } else { !rank })
}

/// Count, sum, and what the variance needs.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: i64,
    sum: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        if values.is_empty() {
            return Self::default();
        }
        let sum = total(values, |value| value);
        let mean = sum / count;
        let squares = total(values, |value| (value - mean) * (value - mean));
        Moments { count: values.len() as i64, sum, mean, squares }
    }

    fn add(&mut self, other: Moments) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = other;
            }
            return;
        }
        let (here, there) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        self.count += other.count;
        self.sum += other.sum;
        self.mean += apart * there / (here + there);
        self.squares += other.squares + apart * apart * here * there / (here + there);
    }
}

/// The sum of `of(value)`, in lanes, so that it does not wait for one addition after another.
fn total(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|value| of(*value)).sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[derive(Debug, Default)]
struct Figures {
    asked: Vec<f64>,
    moments: Moments,
    /// Ranks of values, in any order.
    loose: Vec<u64>,
    /// Lists of values from the smallest to the largest.
    sorted: Vec<Float64Array>,
}

impl Figures {
    /// The values as one more sorted list.
    fn sort(&mut self) {
        let mut ranks = std::mem::take(&mut self.loose);
        if ranks.is_empty() {
            return;
        }
        ranks.sort_unstable();
        // in place: a rank and a number are as long
        let values: Vec<f64> = ranks.into_iter().map(of_rank).collect();
        self.sorted.push(Float64Array::new(ScalarBuffer::from(values), None));
    }

    fn len(&self) -> usize {
        self.sorted.iter().map(Float64Array::len).sum()
    }

    /// The value at a place of all lists together.
    fn at(&self, place: usize) -> f64 {
        // the least rank with more than `place` values up to it
        let (mut low, mut high) = (0_u64, u64::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            let up_to = |list: &Float64Array| list.values().partition_point(|value| rank(*value) <= middle);
            match self.sorted.iter().map(up_to).sum::<usize>() > place {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        of_rank(low)
    }

    fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.len();
        let (place, part) = place(count, q)?;
        let next = (part > 0.0 && place + 1 < count).then(|| self.at(place + 1));
        Some(between(self.at(place), next, part))
    }
}

fn one_list(values: Float64Array) -> Result<ListArray> {
    let Ok(len) = i32::try_from(values.len()) else {
        return exec_err!("{NAME}: more than 2^31 values at once: use `approx_quantile`, or more partitions");
    };
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, len]));
    Ok(ListArray::try_new(item(), offsets, Arc::new(values), None)?)
}

impl Accumulator for Figures {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let values = values.as_primitive::<Float64Type>();
        let mut add = |values: &[f64]| {
            self.moments.add(Moments::of(values));
            self.loose.extend(values.iter().map(|value| rank(*value)));
        };
        match values.null_count() {
            0 => add(values.values()),
            _ => add(&values.iter().flatten().collect::<Vec<f64>>()),
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.sort();
        let values = match &self.sorted[..] {
            [one] => one.clone(),
            many => {
                Float64Array::from_iter_values(many.iter().flat_map(|list| list.values().iter().copied()))
            }
        };
        self.sorted.clear();
        let Moments { count, sum, mean, squares } = self.moments;
        Ok(vec![
            ScalarValue::Int64(Some(count)),
            ScalarValue::Float64(Some(sum)),
            ScalarValue::Float64(Some(mean)),
            ScalarValue::Float64(Some(squares)),
            ScalarValue::List(Arc::new(one_list(values)?)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, sums, means, squares, lists] = states else {
            return exec_err!("{NAME} is merged from five columns, not from {}", states.len());
        };
        let [sums, means, squares] = [sums, means, squares].map(|array| array.as_primitive::<Float64Type>());
        let counts = counts.as_primitive::<Int64Type>();
        for (row, list) in lists.as_list::<i32>().iter().enumerate() {
            let Some(list) = list else { continue };
            let (sum, mean) = (sums.value(row), means.value(row));
            self.moments.add(Moments { count: counts.value(row), sum, mean, squares: squares.value(row) });
            if !list.is_empty() {
                self.sorted.push(list.as_primitive::<Float64Type>().clone());
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.sort();
        let Moments { count, sum, squares, .. } = self.moments;
        let mut figures = vec![
            Some(count as f64),
            (count > 0).then(|| sum / count as f64),
            (count > 1).then(|| (squares / (count - 1) as f64).sqrt()),
        ];
        let quantiles = [0.0].iter().chain(&self.asked).chain(&[1.0]).map(|q| self.quantile(*q));
        figures.extend(quantiles);
        Ok(ScalarValue::List(Arc::new(one_list(Float64Array::from(figures))?)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.loose.capacity() * size_of::<u64>() + self.len() * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::ordered;
    use proptest::prelude::*;

    fn figures(accumulator: &mut Figures) -> Vec<Option<f64>> {
        match accumulator.evaluate().unwrap() {
            ScalarValue::List(list) => list.value(0).as_primitive::<Float64Type>().iter().collect(),
            other => panic!("{other:?}"),
        }
    }

    fn model(values: &[f64], asked: &[f64]) -> Vec<Option<f64>> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let mut figures =
            vec![Some(n), (n > 0.0).then_some(mean), (n > 1.0).then(|| (squares / (n - 1.0)).sqrt())];
        let all = [0.0].iter().chain(asked).chain(&[1.0]);
        figures.extend(all.map(|q| ordered::quantile(&mut values.to_vec(), *q, Default::default())));
        figures
    }

    fn close(found: Option<f64>, wanted: Option<f64>) -> bool {
        match (found, wanted) {
            (Some(f), Some(w)) => {
                (f.is_nan() && w.is_nan()) || f == w || (f - w).abs() <= 1e-9 * w.abs().max(1.0)
            }
            (f, w) => f == w,
        }
    }

    proptest! {
        #[test]
        fn as_a_sorted_copy(
            parts in prop::collection::vec(
                prop::collection::vec(
                    prop::collection::vec(prop::option::weighted(0.9, prop_oneof![
                        6 => (-9..9_i32).prop_map(f64::from),
                        4 => -1e6..1e6_f64,
                        1 => Just(-0.0),
                    ]), 0..40),
                    0..4),
                1..4),
            odd in prop::option::weighted(0.2, prop_oneof![Just(f64::NAN), Just(f64::INFINITY)]),
            q in 0.0..=1.0_f64,
        ) {
            let asked = vec![q, 0.5];
            let mut last = Figures { asked: asked.clone(), ..Figures::default() };
            let mut all: Vec<f64> = Vec::new();
            for (at, batches) in parts.iter().enumerate() {
                let mut part = Figures { asked: asked.clone(), ..Figures::default() };
                for batch in batches {
                    part.update_batch(&[Arc::new(Float64Array::from(batch.clone()))]).unwrap();
                    all.extend(batch.iter().flatten());
                }
                if let (0, Some(odd)) = (at, odd) {
                    part.update_batch(&[Arc::new(Float64Array::from(vec![odd]))]).unwrap();
                    all.push(odd);
                }
                let state: Vec<ArrayRef> = part.state().unwrap().iter().map(|s| s.to_array().unwrap()).collect();
                last.merge_batch(&state).unwrap();
            }
            for (found, wanted) in figures(&mut last).into_iter().zip(model(&all, &asked)) {
                prop_assert!(close(found, wanted), "{:?}, not {:?} of {:?}", found, wanted, all);
            }
        }
    }

    #[test]
    fn ranks_are_in_the_total_order() {
        let all = [f64::NEG_INFINITY, f64::MIN, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, 1e-300, 1.0, f64::MAX];
        let all = all.into_iter().chain([f64::INFINITY, f64::NAN]).collect::<Vec<_>>();
        for pair in all.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]), "{pair:?}");
        }
        all.iter().for_each(|value| assert_eq!(of_rank(rank(*value)).to_bits(), value.to_bits()));
    }
}
