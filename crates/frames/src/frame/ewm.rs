//! Exponentially weighted figures and interpolation: functions that see all rows of their group at once.
//!
//! The weights follow the definitions of pandas' user guide ("Exponentially weighted window").

use super::expr::{Expr, ExprMethods, lit};
use super::windows::whole_window;
use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use std::sync::{Arc, LazyLock};

/// How fast weights fall off, and what nulls and short histories mean; for
/// [`ewm`](super::OrderedExpr::ewm).
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Ewm {
    alpha: f64,
    adjust: bool,
    ignore_nulls: bool,
    periods: usize,
}

impl Ewm {
    /// Each row weighs `1 - alpha` of the next; `alpha` in 0..=1, 0 excluded (a value outside gives nulls).
    pub fn alpha(alpha: f64) -> Self {
        Ewm { alpha, adjust: true, ignore_nulls: false, periods: 0 }
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
}

impl EwmExpr {
    pub(super) fn new(value: Expr, weights: Ewm) -> Self {
        EwmExpr { value, weights }
    }

    fn of(&self, figure: Figure) -> Expr {
        let Ewm { alpha, adjust, ignore_nulls, periods } = self.weights;
        let all = All {
            figure,
            alpha: alpha.to_bits(),
            adjust,
            ignore_nulls,
            periods,
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        };
        whole_window(Arc::new(WindowUDF::from(all)), vec![self.value.clone() * lit(1.0)])
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

pub(super) fn interpolate_udwf() -> Arc<WindowUDF> {
    static UDWF: LazyLock<Arc<WindowUDF>> = LazyLock::new(|| {
        Arc::new(WindowUDF::from(All {
            figure: Figure::Interpolate,
            alpha: 0,
            adjust: false,
            ignore_nulls: false,
            periods: 0,
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        }))
    });
    Arc::clone(&UDWF)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Figure {
    Mean,
    Var,
    Interpolate,
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
    signature: Signature,
}

impl WindowUDFImpl for All {
    fn name(&self) -> &str {
        match self.figure {
            Figure::Mean => "ewm_mean",
            Figure::Var => "ewm_var",
            Figure::Interpolate => "interpolate",
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
        let Some(values) = values.first() else {
            return Ok(Arc::new(Float64Array::new_null(num_rows)));
        };
        let values = values.as_primitive::<Float64Type>();
        let values: Vec<Option<f64>> = values.iter().collect();
        let all = &self.0;
        let found = match all.figure {
            Figure::Mean => means(all, &values),
            Figure::Var => variances(all, &values),
            Figure::Interpolate => interpolate(&values),
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

fn interpolate(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut found: Vec<Option<f64>> = values.to_vec();
    let mut last: Option<(usize, f64)> = None;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = usable(*value) else { continue };
        if let Some((start, before)) = last {
            let step = (value - before) / (at - start) as f64;
            for (i, slot) in found.iter_mut().enumerate().take(at).skip(start + 1) {
                *slot = Some(before + step * (i - start) as f64);
            }
        }
        last = Some((at, value));
    }
    if let Some((start, value)) = last {
        found.iter_mut().skip(start + 1).for_each(|slot| *slot = Some(value));
    }
    found
}
