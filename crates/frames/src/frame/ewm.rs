//! Exponentially weighted figures: functions that see all rows of their group at once.
//!
//! The weights follow the definitions of pandas' user guide ("Exponentially weighted window").

use super::expr::{Expr, ExprMethods, lit};
use super::windows::whole_window;
use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, TimeUnit};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use std::sync::Arc;

/// How fast weights fall off, and what nulls and short histories mean; for
/// [`ewm`](super::OrderedExpr::ewm).
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Ewm {
    alpha: f64,
    adjust: bool,
    ignore_nulls: bool,
    periods: usize,
    /// Nanoseconds in which a weight is halved, if weights fall off by time.
    half_life: Option<i64>,
}

impl Ewm {
    /// Each row weighs `1 - alpha` of the next; `alpha` in 0..=1, 0 excluded (a value outside gives nulls).
    pub fn alpha(alpha: f64) -> Self {
        Ewm { alpha, adjust: true, ignore_nulls: false, periods: 0, half_life: None }
    }

    /// The decay of a window of about `span` rows: `alpha = 2 / (span + 1)`.
    pub fn span(span: f64) -> Self {
        Self::alpha(2.0 / (span + 1.0))
    }

    /// The decay with this centre of mass: `alpha = 1 / (1 + com)`.
    pub fn com(com: f64) -> Self {
        Self::alpha(1.0 / (1.0 + com))
    }

    /// The decay that halves a weight every `rows` rows.
    pub fn half_life(rows: f64) -> Self {
        Self::alpha(1.0 - (-std::f64::consts::LN_2 / rows).exp())
    }

    /// The decay that halves a weight in a length of time, such as `"1h"`; for
    /// [`ewm_by`](super::OrderedExpr::ewm_by). Only the mean is defined. Text or calendar lengths that are no
    /// fixed length give nulls. pandas: `halflife="1h", times=...`.
    pub fn half_life_of(span: impl Into<super::Span>) -> Self {
        let half_life = span.into().nanoseconds().unwrap_or(0);
        Ewm { half_life: Some(half_life), ..Self::alpha(0.5) }
    }

    /// Whether weights are divided by their sum (the default), or the figure is a recursion.
    pub fn adjust(mut self, adjust: bool) -> Self {
        self.adjust = adjust;
        self
    }

    /// Whether nulls are taken out before weighing, instead of taking a place. pandas: `ignore_na=True`.
    pub fn ignore_nulls(mut self, ignore: bool) -> Self {
        self.ignore_nulls = ignore;
        self
    }

    /// How many values there must be for a figure; 0 by default, which asks for one.
    pub fn min_periods(mut self, values: usize) -> Self {
        self.periods = values;
        self
    }
}

/// An exponentially weighted window; from [`ewm`](super::OrderedExpr::ewm).
#[derive(Clone, Debug)]
#[must_use = "a window gives a column when it is asked for a figure, such as `mean()`"]
pub struct EwmExpr {
    value: Expr,
    weights: Ewm,
    time: Option<Expr>,
}

impl EwmExpr {
    pub(super) fn new(value: Expr, weights: Ewm) -> Self {
        EwmExpr { value, weights, time: None }
    }

    pub(super) fn by(value: Expr, time: Expr, weights: Ewm) -> Self {
        EwmExpr { value, weights, time: Some(time) }
    }

    fn of(&self, figure: Figure) -> Expr {
        let Ewm { alpha, adjust, ignore_nulls, periods, half_life } = self.weights;
        let value = self.value.clone() * lit(1.0);
        let mut args = vec![value];
        if let Some(time) = &self.time {
            let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
            args.push(time.clone().cast(nanoseconds).cast(DataType::Int64));
        }
        let types = [DataType::Float64, DataType::Int64][..args.len()].to_vec();
        let all = All {
            figure,
            alpha: alpha.to_bits(),
            adjust,
            ignore_nulls,
            periods,
            half_life: if self.time.is_some() { Some(half_life.unwrap_or(0)) } else { None },
            signature: Signature::exact(types, Volatility::Immutable),
        };
        whole_window(Arc::new(WindowUDF::from(all)), args)
    }

    /// The weighted mean. pandas: `.mean()`.
    pub fn mean(&self) -> Expr {
        self.of(Figure::Mean)
    }

    /// The weighted variance, corrected for its bias. pandas: `.var()`.
    pub fn var(&self) -> Expr {
        self.of(Figure::Var)
    }

    /// The weighted standard deviation, corrected for its bias. pandas: `.std()`.
    pub fn std(&self) -> Expr {
        self.var().sqrt()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Figure {
    Mean,
    Var,
}

/// A function of all values of a group, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct All {
    figure: Figure,
    /// The bits of an `f64`, which has no `Eq`.
    alpha: u64,
    adjust: bool,
    ignore_nulls: bool,
    periods: usize,
    half_life: Option<i64>,
    signature: Signature,
}

impl WindowUDFImpl for All {
    fn name(&self) -> &str {
        match self.figure {
            Figure::Mean => "ewm_mean",
            Figure::Var => "ewm_var",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _args: PartitionEvaluatorArgs) -> PlanResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator(self.clone())))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> PlanResult<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Float64, true)))
    }
}

#[derive(Debug)]
struct Evaluator(All);

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> PlanResult<ArrayRef> {
        let times = values.get(1).map(|times| times.as_primitive::<Int64Type>().clone());
        let Some(values) = values.first() else {
            return Ok(Arc::new(Float64Array::new_null(num_rows)));
        };
        let values = values.as_primitive::<Float64Type>();
        let values: Vec<Option<f64>> = values.iter().collect();
        let all = &self.0;
        if let (Some(half_life), Some(times)) = (all.half_life, times) {
            let times: Vec<Option<i64>> = times.iter().collect();
            let found = match all.figure {
                Figure::Mean => means_by_time(all, half_life, &values, &times),
                _ => vec![None; values.len()],
            };
            return Ok(Arc::new(Float64Array::from(found)));
        }
        let found = match all.figure {
            Figure::Mean => means(all, &values),
            Figure::Var => variances(all, &values),
        };
        Ok(Arc::new(Float64Array::from(found)))
    }
}

/// The state of an exponentially weighted figure: the weight of what came before, by the last value seen.
struct Weights {
    keep: f64,
    fresh: f64,
    adjust: bool,
    ignore_nulls: bool,
    old: f64,
}

impl Weights {
    fn of(all: &All) -> Option<Self> {
        let alpha = f64::from_bits(all.alpha);
        (alpha > 0.0 && alpha <= 1.0).then_some(Weights {
            keep: 1.0 - alpha,
            fresh: if all.adjust { 1.0 } else { alpha },
            adjust: all.adjust,
            ignore_nulls: all.ignore_nulls,
            old: 1.0,
        })
    }

    /// A row went by; `seen` says whether there was a value before it.
    fn age(&mut self, is_value: bool) {
        if is_value || !self.ignore_nulls {
            self.old *= self.keep;
        }
    }

    /// A value was taken in.
    fn renew(&mut self) {
        self.old = if self.adjust { self.old + self.fresh } else { 1.0 };
    }
}

fn usable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| !value.is_nan())
}

fn means(all: &All, values: &[Option<f64>]) -> Vec<Option<f64>> {
    let Some(mut weights) = Weights::of(all) else { return vec![None; values.len()] };
    let mut mean: Option<f64> = None;
    let mut count = 0_usize;
    values
        .iter()
        .map(|value| {
            let value = usable(*value);
            match (&mut mean, value) {
                (Some(mean), _) => {
                    weights.age(value.is_some());
                    if let Some(value) = value {
                        // equal values keep the mean exactly
                        if *mean != value {
                            *mean =
                                (weights.old * *mean + weights.fresh * value) / (weights.old + weights.fresh);
                        }
                        weights.renew();
                    }
                }
                (none, Some(value)) => *none = Some(value),
                (None, None) => {}
            }
            count += usize::from(value.is_some());
            mean.filter(|_| count >= all.periods.max(1))
        })
        .collect()
}

/// A value weighs half as much for each half-life between it and the row; rows without a time are passed over.
fn means_by_time(
    all: &All,
    half_life: i64,
    values: &[Option<f64>],
    times: &[Option<i64>],
) -> Vec<Option<f64>> {
    if half_life <= 0 {
        return vec![None; values.len()];
    }
    // the sum of the values and of their weights, as of the last row with a time
    let (mut sum, mut weight, mut last) = (0.0_f64, 0.0_f64, None::<i64>);
    let mut count = 0_usize;
    let rows = values.iter().zip(times).map(|(value, time)| {
        if let Some(time) = *time {
            if let Some(last) = last {
                let keep = (-std::f64::consts::LN_2 * (time - last) as f64 / half_life as f64).exp();
                (sum, weight) = (sum * keep, weight * keep);
            }
            last = Some(time);
            if let Some(value) = usable(*value) {
                (sum, weight) = (sum + value, weight + 1.0);
                count += 1;
            }
        }
        (count >= all.periods.max(1) && weight > 0.0).then(|| sum / weight)
    });
    rows.collect()
}

/// Weighted variance and its correction from running sums of weights and of their squares.
fn variances(all: &All, values: &[Option<f64>]) -> Vec<Option<f64>> {
    let Some(mut weights) = Weights::of(all) else { return vec![None; values.len()] };
    let mut state: Option<(f64, f64)> = None;
    let (mut sum, mut squares) = (1.0, 1.0);
    let mut count = 0_usize;
    values
        .iter()
        .map(|value| {
            let value = usable(*value);
            match (&mut state, value) {
                (Some((mean, cov)), _) => {
                    let decayed = value.is_some() || !all.ignore_nulls;
                    weights.age(value.is_some());
                    if decayed {
                        sum *= weights.keep;
                        squares *= weights.keep * weights.keep;
                    }
                    if let Some(value) = value {
                        let before = *mean;
                        let total = weights.old + weights.fresh;
                        *mean = (weights.old * before + weights.fresh * value) / total;
                        *cov = (weights.old * (*cov + (before - *mean).powi(2))
                            + weights.fresh * (value - *mean).powi(2))
                            / total;
                        sum += weights.fresh;
                        squares += weights.fresh * weights.fresh;
                        weights.old += weights.fresh;
                        if !all.adjust {
                            sum /= weights.old;
                            squares /= weights.old * weights.old;
                            weights.old = 1.0;
                        }
                    }
                }
                (none, Some(value)) => *none = Some((value, 0.0)),
                (None, None) => {}
            }
            count += usize::from(value.is_some());
            let (_, cov) = state?;
            let over = sum * sum - squares;
            (count >= all.periods.max(1) && over > 0.0).then(|| sum * sum / over * cov)
        })
        .collect()
}
