//! Nulls filled from their neighbours: a window function that sees all rows of its group at once, in order.

use super::windows::whole_window;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, TimeUnit};
use datafusion::common::plan_err;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{Expr, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use std::sync::Arc;

/// What a null between two values becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Method {
    /// A value on the line between them; after the last value, that one.
    Line,
    /// The nearer of them, the one before if both are as near.
    Nearest,
}

/// The nulls of `value` filled; how far rows lie apart is told by `place`, or their number.
pub(super) fn call(value: Expr, place: Option<Expr>, method: Method) -> Expr {
    let signature = Signature::user_defined(Volatility::Immutable);
    let function = WindowUDF::from(Interpolate { method, signature });
    whole_window(Arc::new(function), std::iter::once(value).chain(place).collect())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Interpolate {
    method: Method,
    signature: Signature,
}

impl WindowUDFImpl for Interpolate {
    fn name(&self) -> &str {
        match self.method {
            Method::Line => "interpolate",
            Method::Nearest => "interpolate_nearest",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> PlanResult<Vec<DataType>> {
        let (value, place) = match arg_types {
            [value] => (value, None),
            [value, place] => (value, Some(place)),
            _ => return plan_err!("{} takes a value and, if you like, a place", self.name()),
        };
        if !(value.is_numeric() || value.is_null()) {
            return plan_err!("{} works on numbers, not on {value}", self.name());
        }
        let place = match place {
            None => None,
            Some(DataType::Timestamp(_, zone)) => {
                Some(DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()))
            }
            Some(DataType::Date32 | DataType::Date64) => {
                Some(DataType::Timestamp(TimeUnit::Nanosecond, None))
            }
            Some(number) if number.is_numeric() => Some(DataType::Float64),
            Some(other) => return plan_err!("places are numbers or times, not {other}"),
        };
        Ok(std::iter::once(DataType::Float64).chain(place).collect())
    }

    fn partition_evaluator(&self, _args: PartitionEvaluatorArgs) -> PlanResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator(self.method)))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> PlanResult<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Float64, true)))
    }
}

#[derive(Debug)]
struct Evaluator(Method);

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> PlanResult<ArrayRef> {
        let places = match values.get(1) {
            None => (0..num_rows).map(|row| Some(row as f64)).collect(),
            Some(places) => numbers(places)?,
        };
        let Some(values) = values.first() else {
            return Ok(Arc::new(Float64Array::new_null(num_rows)));
        };
        let values: Vec<Option<f64>> = values.as_primitive::<Float64Type>().iter().collect();
        Ok(Arc::new(Float64Array::from(fill(self.0, &values, &places))))
    }
}

/// Places as numbers: times count from the first of them, so that no digit of theirs is lost.
fn numbers(places: &ArrayRef) -> PlanResult<Vec<Option<f64>>> {
    if let DataType::Float64 = places.data_type() {
        return Ok(places.as_primitive::<Float64Type>().iter().map(usable).collect());
    }
    let places = cast(places, &DataType::Int64)?;
    let places = places.as_primitive::<Int64Type>();
    let first = places.iter().flatten().next().unwrap_or(0);
    Ok(places.iter().map(|place| place.map(|place| place.wrapping_sub(first) as f64)).collect())
}

fn usable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| !value.is_nan())
}

/// A row without a place keeps what it has, and nobody looks at it.
fn fill(method: Method, values: &[Option<f64>], places: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut found: Vec<Option<f64>> = values.to_vec();
    let mut last: Option<(usize, f64, f64)> = None;
    for (row, (value, place)) in values.iter().zip(places).enumerate() {
        let (Some(value), Some(place)) = (usable(*value), *place) else { continue };
        if let Some((start, before, from)) = last {
            let between = found.iter_mut().zip(places).take(row).skip(start + 1);
            for (slot, at) in between.filter_map(|(slot, at)| Some((slot, (*at)?))) {
                let way = if place == from { 0.0 } else { (at - from) / (place - from) };
                *slot = Some(match method {
                    Method::Line => before + (value - before) * way,
                    Method::Nearest if way > 0.5 => value,
                    Method::Nearest => before,
                });
            }
        }
        last = Some((row, value, place));
    }
    if let (Method::Line, Some((start, value, _))) = (method, last) {
        let rest = found.iter_mut().zip(places).skip(start + 1);
        rest.filter(|(_, place)| place.is_some()).for_each(|(slot, _)| *slot = Some(value));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_the_neighbours() {
        let check =
            |method: Method, values: &[Option<f64>], places: &[Option<f64>], wanted: &[Option<f64>]| {
                assert_eq!(fill(method, values, places), wanted, "{method:?} of {values:?} at {places:?}");
            };
        let n = None;
        let s = Some;
        let rows = [s(0.0), s(1.0), s(2.0), s(3.0), s(4.0)];
        check(Method::Line, &[n, s(1.0), n, n, s(4.0)], &rows, &[n, s(1.0), s(2.0), s(3.0), s(4.0)]);
        check(Method::Line, &[s(1.0), n, s(5.0), n, n], &rows, &[s(1.0), s(3.0), s(5.0), s(5.0), s(5.0)]);
        check(Method::Nearest, &[n, s(1.0), n, n, s(4.0)], &rows, &[n, s(1.0), s(1.0), s(4.0), s(4.0)]);
        check(Method::Nearest, &[s(1.0), n, s(5.0), n, n], &rows, &[s(1.0), s(1.0), s(5.0), n, n]);
        let uneven = [s(0.0), s(1.0), n, s(8.0), s(10.0)];
        check(Method::Line, &[s(0.0), n, n, n, s(5.0)], &uneven, &[s(0.0), s(0.5), n, s(4.0), s(5.0)]);
        check(Method::Nearest, &[s(0.0), n, n, n, s(5.0)], &uneven, &[s(0.0), s(0.0), n, s(5.0), s(5.0)]);
        // a value without a place is no neighbour, equal places have no line
        check(
            Method::Line,
            &[s(0.0), n, s(9.0), n, s(5.0)],
            &uneven,
            &[s(0.0), s(0.5), s(9.0), s(4.0), s(5.0)],
        );
        check(Method::Line, &[s(1.0), n, s(2.0)], &[s(3.0); 3], &[s(1.0), s(1.0), s(2.0)]);
        check(Method::Line, &[n; 3], &rows[..3], &[n; 3]);
        check(Method::Line, &[s(1.0), s(f64::NAN), s(3.0)], &rows[..3], &[s(1.0), s(2.0), s(3.0)]);
        check(Method::Line, &[], &[], &[]);
    }
}
