//! Skewness and kurtosis: aggregations over the third and fourth moments.
//!
//! Moments of parts are merged by the formulas of P. Pébay, "Formulas for robust, one-pass parallel computation
//! of covariances and arbitrary-order statistical moments" (Sandia, 2008), so the answer does not lose digits to
//! large means and hardly depends on the partitions. The corrections for bias are those of pandas.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Figure {
    Skew,
    Kurt,
}

pub(super) fn call(value: Expr, figure: Figure) -> Expr {
    udaf(figure).call(vec![value])
}

pub(super) fn udaf(figure: Figure) -> Arc<AggregateUDF> {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    Arc::new(AggregateUDF::from(Shape { figure, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shape {
    figure: Figure,
    signature: Signature,
}

const STATE: [&str; 5] = ["n", "mean", "m2", "m3", "m4"];

impl AggregateUDFImpl for Shape {
    fn name(&self) -> &str {
        match self.figure {
            Figure::Skew => "skew",
            Figure::Kurt => "kurt",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> PlanResult<Vec<FieldRef>> {
        let field = |name| Field::new(format_state_name(args.name, name), DataType::Float64, true);
        Ok(STATE.iter().map(|name| Arc::new(field(name))).collect())
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> PlanResult<Box<dyn Accumulator>> {
        Ok(Box::new(Gathered { figure: self.figure, all: Moments::default() }))
    }

    fn create_sliding_accumulator(&self, _args: AccumulatorArgs) -> PlanResult<Box<dyn Accumulator>> {
        Ok(Box::new(Window { figure: self.figure, values: VecDeque::new() }))
    }
}

/// The number of values, their mean, and the sums of the powers of their distances from it.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    fn of(value: f64) -> Self {
        Moments { n: 1.0, mean: value, ..Self::default() }
    }

    fn and(self, other: Self) -> Self {
        if self.n == 0.0 || other.n == 0.0 {
            return if self.n == 0.0 { other } else { self };
        }
        let (a, b, n) = (self.n, other.n, self.n + other.n);
        let d = other.mean - self.mean;
        let d2 = d * d;
        Moments {
            n,
            mean: self.mean + d * b / n,
            m2: self.m2 + other.m2 + d2 * a * b / n,
            m3: self.m3
                + other.m3
                + d * d2 * a * b * (a - b) / (n * n)
                + 3.0 * d * (a * other.m2 - b * self.m2) / n,
            m4: self.m4
                + other.m4
                + d2 * d2 * a * b * (a * a - a * b + b * b) / (n * n * n)
                + 6.0 * d2 * (a * a * other.m2 + b * b * self.m2) / (n * n)
                + 4.0 * d * (a * other.m3 - b * self.m3) / n,
        }
    }

    fn figure(self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::Skew => self.skew(),
            Figure::Kurt => self.kurt(),
        }
    }

    fn skew(self) -> Option<f64> {
        let n = self.n;
        if n < 3.0 {
            return None;
        }
        if self.m2 <= 0.0 {
            return None;
        }
        Some(n * (n - 1.0).sqrt() / (n - 2.0) * self.m3 / self.m2.powf(1.5))
    }

    fn kurt(self) -> Option<f64> {
        let n = self.n;
        if n < 4.0 {
            return None;
        }
        if self.m2 <= 0.0 {
            return None;
        }
        let raw = n * (n + 1.0) * (n - 1.0) * self.m4 / ((n - 2.0) * (n - 3.0) * self.m2 * self.m2);
        Some(raw - 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0)))
    }
}

#[derive(Debug)]
struct Gathered {
    figure: Figure,
    all: Moments,
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        for value in values.iter().flat_map(|array| array.as_primitive::<Float64Type>().iter().flatten()) {
            self.all = self.all.and(Moments::of(value));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        Ok(ScalarValue::Float64(self.all.figure(self.figure)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        let Moments { n, mean, m2, m3, m4 } = self.all;
        Ok([n, mean, m2, m3, m4].map(|value| ScalarValue::Float64(Some(value))).to_vec())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> PlanResult<()> {
        let [n, mean, m2, m3, m4] = states else { return Ok(()) };
        let column = |array: &ArrayRef| -> Float64Array { array.as_primitive::<Float64Type>().clone() };
        let (n, mean, m2, m3, m4) = (column(n), column(mean), column(m2), column(m3), column(m4));
        for row in 0..n.len() {
            self.all = self.all.and(Moments {
                n: n.value(row),
                mean: mean.value(row),
                m2: m2.value(row),
                m3: m3.value(row),
                m4: m4.value(row),
            });
        }
        Ok(())
    }
}

/// The values of a window. Moments that values are taken off lose their digits, so they are taken anew.
#[derive(Debug)]
struct Window {
    figure: Figure,
    values: VecDeque<f64>,
}

impl Accumulator for Window {
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        let values = values.iter().flat_map(|array| array.as_primitive::<Float64Type>().iter().flatten());
        self.values.extend(values);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        let gone = values.first().map_or(0, |values| values.len() - values.null_count());
        self.values.drain(..gone.min(self.values.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        let all = self.values.iter().fold(Moments::default(), |all, value| all.and(Moments::of(*value)));
        Ok(ScalarValue::Float64(all.figure(self.figure)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        internal_err!("a window has no state to hand on")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> PlanResult<()> {
        internal_err!("a window has no state to take over")
    }
}
