//! Expressions that look at other rows in the order of the frame: shifts, running figures, ranks, fills,
//! rolling windows.

use super::ewm::{Ewm, EwmExpr};
use super::expr::{Expr, ExprMethods, IntoExpr, SortKey, choose, lit};
use super::finite::finite;
use super::interpolate::{self, Method};
use super::moments;
use super::order::ROW_ORDER;
use super::span::Span;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate as agg;
use datafusion::functions_window as win;
use datafusion::logical_expr::expr::{NullTreatment, Sort, WindowFunction};
use datafusion::logical_expr::{
    AggregateUDF, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use std::sync::Arc;

fn row_order() -> Sort {
    Sort::new(super::col(ROW_ORDER), true, false)
}

fn unbounded() -> ScalarValue {
    ScalarValue::UInt64(None)
}

fn rows(start: WindowFrameBound, end: WindowFrameBound) -> WindowFrame {
    WindowFrame::new_bounds(WindowFrameUnits::Rows, start, end)
}

/// From the first row to this one.
fn so_far() -> WindowFrame {
    rows(WindowFrameBound::Preceding(unbounded()), WindowFrameBound::CurrentRow)
}

/// From this row to the last.
fn from_here() -> WindowFrame {
    rows(WindowFrameBound::CurrentRow, WindowFrameBound::Following(unbounded()))
}

/// A window over an aggregation.
fn aggregate(function: Arc<AggregateUDF>, args: Vec<Expr>, order: Vec<Sort>, frame: WindowFrame) -> Expr {
    window(WindowFunctionDefinition::AggregateUDF(function), args, order, frame)
}

pub(super) fn window(
    function: WindowFunctionDefinition,
    args: Vec<Expr>,
    order: Vec<Sort>,
    frame: WindowFrame,
) -> Expr {
    let mut window = Box::new(WindowFunction::new(function, args));
    window.params.order_by = order;
    window.params.window_frame = frame;
    Expr::WindowFunction(window)
}

/// A window function of DataFusion or ours in the order of the frame.
fn in_order(call: Expr, nulls: Option<NullTreatment>, frame: WindowFrame) -> Expr {
    match call {
        Expr::WindowFunction(mut window) => {
            window.params.order_by = vec![row_order()];
            window.params.window_frame = frame;
            window.params.null_treatment = nulls;
            Expr::WindowFunction(window)
        }
        other => other,
    }
}

pub(super) fn whole_window(function: Arc<datafusion::logical_expr::WindowUDF>, args: Vec<Expr>) -> Expr {
    let all = rows(WindowFrameBound::Preceding(unbounded()), WindowFrameBound::Following(unbounded()));
    window(WindowFunctionDefinition::WindowUDF(function), args, vec![row_order()], all)
}

/// How equal values share ranks; for [`rank`](OrderedExpr::rank).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RankMethod {
    /// The mean of their places: 1, 2.5, 2.5, 4. A `Float64`, the others are `Int64`.
    Average,
    /// The first of their places: 1, 2, 2, 4.
    Min,
    /// The last of their places: 1, 3, 3, 4.
    Max,
    /// As `Min`, without gaps: 1, 2, 2, 3.
    Dense,
    /// One each, in the order of the frame: 1, 2, 3, 4.
    First,
}

/// What an expression can be asked that depends on the order of the rows.
///
/// The order is that of the frame: the keys of its last [`sort`](super::FrameMethods::sort), as long as only
/// filters, limits and projections that keep these columns followed. A frame without an order refuses these
/// expressions; give one its own order with [`sorted_by`](OrderedExpr::sorted_by). Rows with equal keys come
/// in any order, so sort by enough columns to tell rows apart
/// ([`with_row_index`](super::FrameReports::with_row_index) numbers the rows of a file). Within groups:
/// [`over`](ExprMethods::over).
///
/// ```
/// use trefoil_frames::frame::*;
/// let change = col("price").diff(1).over(["cut"]);
/// let smooth = col("price").rolling(7).min_periods(1).mean();
/// let when = col("price").shift(1).sorted_by([asc("time")]);
/// # let _ = (change, smooth, when);
/// ```
pub trait OrderedExpr: ExprMethods {
    /// The order for the parts of this expression that look at other rows, instead of the frame's.
    fn sorted_by(self, keys: impl IntoIterator<Item = SortKey>) -> Expr {
        super::order::sorted_by(self.to_expr(), keys)
    }

    /// The value `n` rows before (after, if negative), null where there is none. pandas: `s.shift(n)`.
    fn shift(self, n: i64) -> Expr {
        let call = match n {
            0 => return self.to_expr(),
            1.. => win::lead_lag::lag(self.to_expr(), Some(n), None),
            _ => win::lead_lag::lead(self.to_expr(), Some(n.saturating_neg()), None),
        };
        in_order(call, None, WindowFrame::new(Some(true)))
    }

    /// The value less the one `n` rows before. pandas: `s.diff(n)`.
    fn diff(self, n: i64) -> Expr {
        let value = self.to_expr();
        value.clone() - value.shift(n)
    }

    /// The relative change since `n` rows before. Nulls are not filled first.
    /// pandas: `s.pct_change(n, fill_method=None)`.
    fn pct_change(self, n: i64) -> Expr {
        let value = self.to_expr();
        value.clone().cast(DataType::Float64) / value.shift(n).cast(DataType::Float64) - lit(1.0)
    }

    /// The running sum; null stays null and is passed over. pandas: `s.cumsum()`.
    fn cumsum(self) -> Expr {
        running(agg::sum::sum_udaf(), self.to_expr())
    }

    /// The running product; see [`product`](OrderedExpr::product). pandas: `s.cumprod()`.
    fn cumprod(self) -> Expr {
        running(super::aggregates::product_udaf(), self.to_expr())
    }

    /// The smallest value so far. pandas: `s.cummin()`.
    fn cummin(self) -> Expr {
        running(agg::min_max::min_udaf(), self.to_expr())
    }

    /// The largest value so far. pandas: `s.cummax()`.
    fn cummax(self) -> Expr {
        running(agg::min_max::max_udaf(), self.to_expr())
    }

    /// How many rows come before. pandas: `s.groupby(keys).cumcount()`, with `.over(keys)`.
    fn cumcount(self) -> Expr {
        let number = in_order(win::row_number::row_number(), None, WindowFrame::new(Some(true)));
        number.cast(DataType::Int64) - lit(1_i64)
    }

    /// Aggregation: the product of the values; of integers as `Int64`, an error if it does not fit.
    /// pandas: `s.prod(min_count=1)`.
    fn product(self) -> Expr {
        super::aggregates::product_udaf().call(vec![self.to_expr()])
    }

    /// The place of the value among the others, from 1 for the smallest; null for null.
    /// Needs no order of the frame, but for [`RankMethod::First`]. pandas: `s.rank(method=...)`.
    fn rank(self, method: RankMethod) -> Expr {
        rank(self.to_expr(), method, false)
    }

    /// As [`rank`](OrderedExpr::rank), from 1 for the largest. pandas: `s.rank(ascending=False)`.
    fn rank_desc(self, method: RankMethod) -> Expr {
        rank(self.to_expr(), method, true)
    }

    /// Nulls take the last value before them. pandas: `s.ffill()`.
    fn ffill(self) -> Expr {
        let last = win::nth_value::last_value(self.to_expr());
        in_order(last, Some(NullTreatment::IgnoreNulls), so_far())
    }

    /// Nulls take the next value after them. pandas: `s.bfill()`.
    fn bfill(self) -> Expr {
        let first = win::nth_value::first_value(self.to_expr());
        in_order(first, Some(NullTreatment::IgnoreNulls), from_here())
    }

    /// As [`ffill`](OrderedExpr::ffill), at most `limit` rows after the value. pandas: `s.ffill(limit=limit)`.
    fn ffill_limit(self, limit: usize) -> Expr {
        let last = win::nth_value::last_value(self.to_expr());
        let start = WindowFrameBound::Preceding(ScalarValue::UInt64(Some(limit as u64)));
        in_order(last, Some(NullTreatment::IgnoreNulls), rows(start, WindowFrameBound::CurrentRow))
    }

    /// As [`bfill`](OrderedExpr::bfill), at most `limit` rows before the value. pandas: `s.bfill(limit=limit)`.
    fn bfill_limit(self, limit: usize) -> Expr {
        let first = win::nth_value::first_value(self.to_expr());
        let end = WindowFrameBound::Following(ScalarValue::UInt64(Some(limit as u64)));
        in_order(first, Some(NullTreatment::IgnoreNulls), rows(WindowFrameBound::CurrentRow, end))
    }

    /// Nulls between two values lie on the line between them, by row; nulls at the end take the last value,
    /// those at the start stay. A `Float64`. pandas: `s.interpolate()`.
    fn interpolate(self) -> Expr {
        interpolate::call(self.to_expr(), None, Method::Line)
    }

    /// As [`interpolate`](OrderedExpr::interpolate), where rows are as far apart as `place` says: a time or a number
    /// that the frame is sorted by. A row whose place is null stays as it is. pandas: `s.interpolate("index")`,
    /// `s.interpolate("time")`.
    fn interpolate_by(self, place: impl IntoExpr) -> Expr {
        interpolate::call(self.to_expr(), Some(place.into_expr()), Method::Line)
    }

    /// Nulls between two values become the nearer of them, by row, the one before if both are as near; nulls at the
    /// ends stay. A `Float64`. pandas: `s.interpolate("nearest")`.
    fn interpolate_nearest(self) -> Expr {
        interpolate::call(self.to_expr(), None, Method::Nearest)
    }

    /// Figures over the last `rows` rows, this one included. pandas: `s.rolling(rows)`.
    fn rolling(self, rows: usize) -> Rolling {
        let periods = rows.max(1) as u64;
        Rolling { value: self.to_expr(), over: Over::Rows(periods), periods, center: false }
    }

    /// Figures over the rows whose `time` is later than this row's less `span` (and not later than this
    /// row's), such as `rolling_by("time", "2h")`. The order is that of `time`.
    /// pandas: `df.rolling("2h", on="time")["s"]`.
    fn rolling_by(self, time: impl IntoExpr, span: impl Into<Span>) -> Rolling {
        let over = Over::Time(time.into_expr(), span.into());
        Rolling { value: self.to_expr(), over, periods: 1, center: false }
    }

    /// Figures over all rows so far. pandas: `s.expanding()`.
    fn expanding(self) -> Rolling {
        Rolling { value: self.to_expr(), over: Over::SoFar, periods: 1, center: false }
    }

    /// Figures that weigh recent rows more. pandas: `s.ewm(...)`.
    fn ewm(self, weights: Ewm) -> EwmExpr {
        EwmExpr::new(self.to_expr(), weights)
    }

    /// The same by time: `ewm_by("time", Ewm::half_life_of("1h")).mean()`. The order of the frame must be that
    /// of `time`. pandas: `s.ewm(halflife="1h", times=df.time)`.
    fn ewm_by(self, time: impl IntoExpr, weights: Ewm) -> EwmExpr {
        EwmExpr::by(self.to_expr(), time.into_expr(), weights)
    }
}

impl OrderedExpr for Expr {}

fn running(function: Arc<AggregateUDF>, value: Expr) -> Expr {
    let window = aggregate(function, vec![value.clone()], vec![row_order()], so_far());
    choose(value.is_not_null(), window, None)
}

fn rank(value: Expr, method: RankMethod, descending: bool) -> Expr {
    let key = Sort::new(value.clone(), !descending, false);
    let of = |call: Expr, order: Vec<Sort>| match call {
        Expr::WindowFunction(mut window) => {
            window.params.order_by = order;
            Expr::WindowFunction(window)
        }
        other => other,
    };
    let first = || of(win::rank::rank(), vec![key.clone()]).cast(DataType::Int64);
    let last = || {
        let peers = WindowFrame::new_bounds(
            WindowFrameUnits::Range,
            WindowFrameBound::Preceding(unbounded()),
            WindowFrameBound::CurrentRow,
        );
        aggregate(agg::count::count_udaf(), vec![value.clone()], vec![key.clone()], peers)
    };
    let place = match method {
        RankMethod::Min => first(),
        RankMethod::Max => last(),
        RankMethod::Average => (first().cast(DataType::Float64) + last().cast(DataType::Float64)) / lit(2.0),
        RankMethod::Dense => of(win::rank::dense_rank(), vec![key.clone()]).cast(DataType::Int64),
        RankMethod::First => {
            of(win::row_number::row_number(), vec![key.clone(), row_order()]).cast(DataType::Int64)
        }
    };
    choose(value.is_not_null(), place, None)
}

/// A window over two values.
struct Pair {
    window: Rolling,
    other: Expr,
}

impl std::ops::Deref for Pair {
    type Target = Rolling;

    fn deref(&self) -> &Rolling {
        &self.window
    }
}

#[derive(Clone, Debug)]
enum Over {
    Rows(u64),
    Time(Expr, Span),
    SoFar,
}

/// A window that moves along the rows; from [`rolling`](OrderedExpr::rolling),
/// [`rolling_by`](OrderedExpr::rolling_by) and [`expanding`](OrderedExpr::expanding).
///
/// Nulls, `NaN` and infinities are passed over, as in pandas. A row with fewer values than
/// [`min_periods`](Rolling::min_periods) in its window gets null.
#[derive(Clone, Debug)]
#[must_use = "a window gives a column when it is asked for a figure, such as `mean()`"]
pub struct Rolling {
    value: Expr,
    over: Over,
    periods: u64,
    center: bool,
}

impl Rolling {
    /// How many values there must be: the number of rows for `rolling`, 1 for the others, unless said.
    /// pandas: `min_periods=`.
    pub fn min_periods(mut self, values: usize) -> Self {
        self.periods = values as u64;
        self
    }

    /// Puts the row in the middle of its window of rows; of an even number, the right middle.
    /// pandas: `center=True`.
    pub fn center(mut self) -> Self {
        self.center = true;
        self
    }

    fn frame(&self) -> (Vec<Sort>, WindowFrame) {
        let before = |n: u64| WindowFrameBound::Preceding(ScalarValue::UInt64(Some(n)));
        match &self.over {
            Over::SoFar => (vec![row_order()], so_far()),
            Over::Rows(n) if self.center => {
                let after = (n - 1) / 2;
                let end = WindowFrameBound::Following(ScalarValue::UInt64(Some(after)));
                (vec![row_order()], rows(before(n - 1 - after), end))
            }
            Over::Rows(n) => (vec![row_order()], rows(before(n - 1), WindowFrameBound::CurrentRow)),
            Over::Time(time, span) => {
                // open at the start: a window of 2 h at 12:00 has no row of 10:00
                let start = WindowFrameBound::Preceding(span.less_a_nanosecond());
                let frame =
                    WindowFrame::new_bounds(WindowFrameUnits::Range, start, WindowFrameBound::CurrentRow);
                let time = time.clone().cast(DataType::Timestamp(TimeUnit::Nanosecond, None));
                (vec![Sort::new(time, true, false)], frame)
            }
        }
    }

    fn of(&self, function: Arc<AggregateUDF>, more: Vec<Expr>) -> Expr {
        let (order, frame) = self.frame();
        let mut args = vec![finite(self.value.clone())];
        args.extend(more);
        aggregate(function, args, order, frame)
    }

    fn enough(&self, figure: Expr) -> Expr {
        if self.periods == 0 {
            return figure;
        }
        let values = self.of(agg::count::count_udaf(), vec![]);
        let wanted = i64::try_from(self.periods).unwrap_or(i64::MAX);
        choose(values.gt_eq(lit(wanted)), figure, None)
    }

    /// The sum. pandas: `.sum()`.
    pub fn sum(&self) -> Expr {
        self.enough(self.of(agg::sum::sum_udaf(), vec![]))
    }

    /// The arithmetic mean. pandas: `.mean()`.
    pub fn mean(&self) -> Expr {
        self.enough(self.of(agg::average::avg_udaf(), vec![]))
    }

    /// The smallest value. pandas: `.min()`.
    pub fn min(&self) -> Expr {
        self.enough(self.of(agg::min_max::min_udaf(), vec![]))
    }

    /// The largest value. pandas: `.max()`.
    pub fn max(&self) -> Expr {
        self.enough(self.of(agg::min_max::max_udaf(), vec![]))
    }

    /// How many values there are. pandas: `.count()`.
    pub fn count(&self) -> Expr {
        self.of(agg::count::count_udaf(), vec![])
    }

    /// The sample variance. pandas: `.var()`.
    pub fn var(&self) -> Expr {
        let var = self.of(agg::variance::var_samp_udaf(), vec![]);
        // what leaves the window is taken off a running figure, which may end a little below zero
        self.enough(choose(var.clone().lt(lit(0.0)), lit(0.0), Some(var)))
    }

    /// The sample standard deviation. Where it should be 0 it may be some 1e-8 of the values: what leaves the
    /// window is subtracted. pandas: `.std()`.
    pub fn std(&self) -> Expr {
        datafusion::functions::expr_fn::sqrt(self.var())
    }

    /// The median. pandas: `.median()`.
    pub fn median(&self) -> Expr {
        self.quantile(0.5)
    }

    /// The exact quantile at `q` in 0..=1, between two values on the line from one to the other.
    /// pandas: `.quantile(q)`.
    pub fn quantile(&self, q: f64) -> Expr {
        self.enough(self.of(trefoil_plan::quantile_udaf(), vec![lit(q)]))
    }

    /// As [`quantile`](Rolling::quantile), with another value between two. pandas:
    /// `.quantile(q, interpolation="lower")`.
    pub fn quantile_with(&self, q: f64, how: trefoil_plan::Interpolation) -> Expr {
        self.enough(self.of(trefoil_plan::quantile_udaf(), vec![lit(q), lit(how.name())]))
    }

    /// The skewness, corrected for its bias; see [`skew`](ExprMethods::skew). Looks at the whole window for each row.
    /// pandas: `.skew()`.
    pub fn skew(&self) -> Expr {
        self.enough(self.of(moments::udaf(moments::Figure::Skew), vec![]))
    }

    /// The excess kurtosis, corrected for its bias; see [`skew`](Rolling::skew). pandas: `.kurt()`.
    pub fn kurt(&self) -> Expr {
        self.enough(self.of(moments::udaf(moments::Figure::Kurt), vec![]))
    }

    /// A figure by a closure: it gets the values of a window in their order as one Arrow array, nulls included, and
    /// gives a value of type `output`. pandas: `.apply(f)`.
    ///
    /// ```
    /// use datafusion::arrow::array::{Array, ArrayRef};
    /// use datafusion::arrow::datatypes::DataType;
    /// use datafusion::common::ScalarValue;
    /// use trefoil_frames::frame::{OrderedExpr, col};
    ///
    /// let nulls = col("price").rolling(7).min_periods(0).apply("nulls", DataType::UInt64, |window: &ArrayRef| {
    ///     Ok::<_, std::fmt::Error>(ScalarValue::from(window.null_count() as u64))
    /// });
    /// # let _ = nulls;
    /// ```
    pub fn apply<E>(
        &self,
        name: impl Into<String>,
        output: DataType,
        work: impl Fn(&ArrayRef) -> Result<ScalarValue, E> + Send + Sync + 'static,
    ) -> Expr
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (order, frame) = self.frame();
        let function = super::aggregates::custom_udaf(name.into(), output, work);
        self.enough(aggregate(function, vec![self.value.clone()], order, frame))
    }

    /// The sample covariance with another value of the same rows; rows that lack one of the two are passed
    /// over. pandas: `.cov(other)`.
    pub fn cov(&self, other: Expr) -> Expr {
        let pair = self.with(other);
        pair.enough(pair.of(agg::covariance::covar_samp_udaf(), vec![pair.other.clone()]))
    }

    /// Pearson's correlation with another value of the same rows; see [`cov`](Rolling::cov).
    /// pandas: `.corr(other)`.
    pub fn corr(&self, other: Expr) -> Expr {
        let pair = self.with(other);
        pair.enough(pair.of(agg::correlation::corr_udaf(), vec![pair.other.clone()]))
    }

    /// The values of rows that have both.
    fn with(&self, other: Expr) -> Pair {
        let (one, two) = (finite(self.value.clone() * lit(1.0)), finite(other * lit(1.0)));
        let both = one.clone().is_not_null().and(two.clone().is_not_null());
        let window = Rolling { value: choose(both.clone(), one, None), ..self.clone() };
        Pair { window, other: choose(both, two, None) }
    }
}
