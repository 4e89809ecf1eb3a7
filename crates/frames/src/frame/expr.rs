//! Column expressions: [`col`], [`lit`] and what can be asked of an [`Expr`].
//!
//! Expressions are DataFusion's own, so the optimiser sees through them. Arithmetic (`+ - * / %`), masks
//! (`& | !`) and comparisons (`eq`, `not_eq`, `gt`, `gt_eq`, `lt`, `lt_eq`, `and`, `or`, `is_null`,
//! `is_not_null`, `like`) are theirs; [`ExprMethods`] adds the rest. When a verb takes an expression it
//! gives it the habits of pandas: `/` of two integers is a true division, `&` and `|` of two masks mean
//! *and* and *or*, `+` of two texts joins them, sums and means of a mask count its `true`s.

use super::cat::CatExpr;
use super::sealed::Sealed;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::functions::expr_fn as f;
use datafusion::functions_aggregate::expr_fn as agg;
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment, Sort, WindowFunction};
use datafusion::logical_expr::{
    Case, Cast, ExprFunctionExt, Literal, TryCast, WindowFrame, WindowFunctionDefinition,
};
use trefoil_plan::Interpolation;

pub use super::namespaces::{DtExpr, ListExpr, StrExpr, StructExpr};
pub use datafusion::logical_expr::{Expr, lit};

/// The column called exactly `name`: case, spaces and dots are kept, nothing is quoted.
///
/// pandas: `df["carat"]`.
///
/// ```
/// use trefoil_frames::frame::{ExprMethods, col, lit};
/// let rounded = col("carat").ceil().alias("carats");
/// let mask = (col("Price per kg") / col("carat")).gt(lit(1000)) & col("cut").is_in(["Ideal", "Good"]);
/// # let _ = (rounded, mask);
/// ```
pub fn col(name: impl Into<String>) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The path of the file a row was read from; only directly over a frame that reads files, such as
/// `session.read_csv("logs/*.csv").await?.with_column("file", source_file())?`. Anywhere else it is an error
/// when the frame runs. Dask: `dd.read_csv(..., include_path_column=True)`.
pub fn source_file() -> Expr {
    datafusion::functions::core::input_file_name().call(vec![])
}

/// What a verb accepts where it wants an expression: an [`Expr`], or the name of a column.
pub trait IntoExpr: Sealed {
    /// The expression.
    fn into_expr(self) -> Expr;
}

impl Sealed for Expr {}
impl IntoExpr for Expr {
    fn into_expr(self) -> Expr {
        self
    }
}
impl Sealed for &Expr {}
impl IntoExpr for &Expr {
    fn into_expr(self) -> Expr {
        self.clone()
    }
}
impl Sealed for &str {}
impl IntoExpr for &str {
    fn into_expr(self) -> Expr {
        col(self)
    }
}
impl Sealed for String {}
impl IntoExpr for String {
    fn into_expr(self) -> Expr {
        col(self)
    }
}
impl Sealed for &String {}
impl IntoExpr for &String {
    fn into_expr(self) -> Expr {
        col(self)
    }
}

/// One key of a sort: an expression, a direction and the place of the nulls (last unless said).
#[derive(Clone, Debug)]
pub struct SortKey {
    expr: Expr,
    descending: bool,
    nulls_first: bool,
}

impl SortKey {
    /// Puts nulls before all values. pandas: `na_position="first"`.
    #[must_use]
    pub fn nulls_first(mut self) -> Self {
        self.nulls_first = true;
        self
    }

    pub(super) fn expr(&self) -> &Expr {
        &self.expr
    }

    pub(super) fn with_expr(self, expr: Expr) -> Sort {
        Sort::new(expr, !self.descending, self.nulls_first)
    }
}

/// From the smallest value to the largest. pandas: `sort_values("x")`.
pub fn asc(key: impl IntoExpr) -> SortKey {
    SortKey { expr: key.into_expr(), descending: false, nulls_first: false }
}

/// From the largest value to the smallest. pandas: `sort_values("x", ascending=False)`.
pub fn desc(key: impl IntoExpr) -> SortKey {
    SortKey { expr: key.into_expr(), descending: true, nulls_first: false }
}

/// What an expression can be asked for, beyond its operators and comparisons.
///
/// An expression without an alias is named after its first column, an aggregation of a plain column
/// `column_aggregation` (`price_mean`).
#[allow(clippy::wrong_self_convention)] // expressions are built up by value, as their operators do
pub trait ExprMethods: Sealed + Sized {
    #[doc(hidden)]
    fn to_expr(self) -> Expr;

    /// The smallest integer at or above each value. pandas: `np.ceil(s)`.
    fn ceil(self) -> Expr {
        f::ceil(self.to_expr())
    }

    /// The largest integer at or below each value. pandas: `np.floor(s)`.
    fn floor(self) -> Expr {
        f::floor(self.to_expr())
    }

    /// Rounded to `decimals` digits, halves away from zero (pandas: `s.round(decimals)`, halves to even).
    fn round(self, decimals: i32) -> Expr {
        f::round(vec![self.to_expr(), lit(i64::from(decimals))])
    }

    /// The absolute value. pandas: `s.abs()`.
    fn abs(self) -> Expr {
        f::abs(self.to_expr())
    }

    /// The square root, `NaN` of negative numbers. pandas: `np.sqrt(s)`.
    fn sqrt(self) -> Expr {
        let value = self.to_expr();
        // DataFusion's is an error then
        choose(value.clone().lt(lit(0)), lit(f64::NAN), Some(f::sqrt(value)))
    }

    /// The natural logarithm. pandas: `np.log(s)`.
    fn ln(self) -> Expr {
        f::ln(self.to_expr())
    }

    /// e to the power of each value. pandas: `np.exp(s)`.
    fn exp(self) -> Expr {
        f::exp(self.to_expr())
    }

    /// The logarithm to base 10. pandas: `np.log10(s)`.
    fn log10(self) -> Expr {
        f::log10(self.to_expr())
    }

    /// The logarithm to base 2. pandas: `np.log2(s)`.
    fn log2(self) -> Expr {
        f::log2(self.to_expr())
    }

    /// -1, 0 or 1. pandas: `np.sign(s)`.
    fn sign(self) -> Expr {
        f::signum(self.to_expr())
    }

    /// The sine of an angle in radians. pandas: `np.sin(s)`.
    fn sin(self) -> Expr {
        f::sin(self.to_expr())
    }

    /// The cosine of an angle in radians. pandas: `np.cos(s)`.
    fn cos(self) -> Expr {
        f::cos(self.to_expr())
    }

    /// The tangent of an angle in radians. pandas: `np.tan(s)`.
    fn tan(self) -> Expr {
        f::tan(self.to_expr())
    }

    /// Each value to the power of `exponent`. pandas: `s.pow(exponent)`.
    fn pow(self, exponent: Expr) -> Expr {
        f::power(self.to_expr(), exponent)
    }

    /// Values below `low` become `low`, values above `high` become `high`, nulls stay.
    /// pandas: `s.clip(low, high)`.
    fn clip(self, low: Expr, high: Expr) -> Expr {
        let value = self.to_expr();
        let inside = f::least(vec![f::greatest(vec![value.clone(), low]), high]);
        choose(value.is_not_null(), inside, None)
    }

    /// Whether `low <= value <= high`. pandas: `s.between(low, high)`.
    fn is_between(self, low: Expr, high: Expr) -> Expr {
        self.to_expr().between(low, high)
    }

    /// Whether the value is one of `values`; null stays null. pandas: `s.isin(values)`.
    fn is_in<L: Literal>(self, values: impl IntoIterator<Item = L>) -> Expr {
        let list: Vec<Expr> = values.into_iter().map(lit).collect();
        if list.is_empty() { lit(false) } else { self.to_expr().in_list(list, false) }
    }

    /// The value, or `other` where it is null. pandas: `s.fillna(other)`.
    fn fill_null(self, other: Expr) -> Expr {
        f::coalesce(vec![self.to_expr(), other])
    }

    /// Whether the value is `NaN` (null stays null; `is_null` asks for nulls). pandas: `np.isnan(s)`.
    fn is_nan(self) -> Expr {
        f::isnan(self.to_expr())
    }

    /// The value, or `other` where it is `NaN`. pandas: `s.fillna(other)`, for `NaN` alone.
    fn fill_nan(self, other: Expr) -> Expr {
        f::nanvl(self.to_expr(), other)
    }

    /// The value where `mask` is true, elsewhere `other`. pandas: `s.where(mask, other)`.
    fn where_else(self, mask: Expr, other: Expr) -> Expr {
        choose(mask, self.to_expr(), Some(other))
    }

    /// `other` where `mask` is true, elsewhere the value. pandas: `s.mask(mask, other)`.
    fn mask(self, mask: Expr, other: Expr) -> Expr {
        choose(mask, other, Some(self.to_expr()))
    }

    /// Values that are a first of a pair become its second, others stay. pandas: `s.replace({old: new})`.
    fn replace_values<A: Literal, B: Literal>(self, pairs: impl IntoIterator<Item = (A, B)>) -> Expr {
        let value = self.to_expr();
        pick(&value, pairs, Some(value.clone()))
    }

    /// Values that are a first of a pair become its second, others null. pandas: `s.map({old: new})`.
    fn map_values<A: Literal, B: Literal>(self, pairs: impl IntoIterator<Item = (A, B)>) -> Expr {
        pick(&self.to_expr(), pairs, None)
    }

    /// The interval each number falls in, as text such as `(0, 1]`; see [`Cut`](super::Cut) for labels and
    /// other ends. Null outside all of them. pandas: `pd.cut(s, edges)`.
    fn cut(self, edges: &[f64]) -> Expr {
        super::cut::Cut::new(edges).of(self.to_expr())
    }

    /// Divided downwards to an integer; division by zero is an error. pandas: `s // other`.
    fn floor_div(self, other: Expr) -> Expr {
        super::floor_div::floor_div(self.to_expr(), other)
    }

    /// Converted to another type; a value that does not fit is an error when the frame runs.
    /// pandas: `s.astype(dtype)`.
    fn cast(self, to: DataType) -> Expr {
        Expr::Cast(Cast::new(Box::new(self.to_expr()), to))
    }

    /// Converted to another type; a value that does not fit becomes null.
    /// pandas: `pd.to_numeric(s, errors="coerce")`.
    fn try_cast(self, to: DataType) -> Expr {
        Expr::TryCast(TryCast::new(Box::new(self.to_expr()), to))
    }

    /// The text functions: `col("cut").str().lower()`. pandas: `s.str`.
    fn str(self) -> StrExpr {
        StrExpr::new(self.to_expr())
    }

    /// The date and time functions: `col("time").dt().hour()`. pandas: `s.dt`.
    fn dt(self) -> DtExpr {
        DtExpr::new(self.to_expr())
    }

    /// The functions of text with known categories: `col("cut").cat().codes()`. pandas: `s.cat`.
    fn cat(self) -> CatExpr {
        CatExpr::new(self.to_expr())
    }

    /// The functions of lists: `col("words").list().len()`. polars: `c.list`.
    fn list(self) -> ListExpr {
        ListExpr::new(self.to_expr())
    }

    /// The functions of structs: `col("point").structs().field("x")`. pandas: `s.struct`.
    fn structs(self) -> StructExpr {
        StructExpr::new(self.to_expr())
    }

    /// Aggregation: the sum of the values that are not null (null if there are none).
    /// pandas: `s.sum(min_count=1)`.
    fn sum(self) -> Expr {
        agg::sum(self.to_expr())
    }

    /// Aggregation: the arithmetic mean. pandas: `s.mean()`.
    fn mean(self) -> Expr {
        agg::avg(self.to_expr())
    }

    /// Aggregation: the smallest value. pandas: `s.min()`.
    fn min(self) -> Expr {
        agg::min(self.to_expr())
    }

    /// Aggregation: the largest value. pandas: `s.max()`.
    fn max(self) -> Expr {
        agg::max(self.to_expr())
    }

    /// Aggregation: how many values are not null. pandas: `s.count()`.
    fn count(self) -> Expr {
        agg::count(self.to_expr())
    }

    /// Aggregation: how many different values there are, nulls aside. pandas: `s.nunique()`.
    fn n_unique(self) -> Expr {
        agg::count_distinct(self.to_expr())
    }

    /// Aggregation: the sample standard deviation (`ddof = 1`). pandas: `s.std()`.
    fn std(self) -> Expr {
        agg::stddev(self.to_expr())
    }

    /// Aggregation: the sample variance (`ddof = 1`). pandas: `s.var()`.
    fn var(self) -> Expr {
        agg::var_sample(self.to_expr())
    }

    /// Aggregation: the exact median. pandas: `s.median()`.
    fn median(self) -> Expr {
        agg::median(self.to_expr())
    }

    /// Aggregation: the exact quantile at `q` in 0..=1, between two values on the line from one to the other; a
    /// `Float64`. Nulls aside; `NaN` is the largest number. pandas: `s.quantile(q)`.
    fn quantile(self, q: f64) -> Expr {
        trefoil_plan::quantile_udaf().call(vec![self.to_expr(), lit(q)])
    }

    /// As [`quantile`](ExprMethods::quantile), with another value between two. pandas:
    /// `s.quantile(q, interpolation="lower")`.
    ///
    /// ```
    /// use trefoil_frames::frame::{ExprMethods, Interpolation, col};
    /// let price = col("price").quantile_with(0.9, Interpolation::Nearest);
    /// # let _ = price;
    /// ```
    fn quantile_with(self, q: f64, how: Interpolation) -> Expr {
        trefoil_plan::quantile_udaf().call(vec![self.to_expr(), lit(q), lit(how.name())])
    }

    /// Aggregation: a quantile by a t-digest (T. Dunning, "Computing extremely accurate quantiles using
    /// t-digests", 2019): little memory, an error of about a percent at most. Dask: `s.quantile(q)`.
    fn approx_quantile(self, q: f64) -> Expr {
        agg::approx_percentile_cont(self.to_expr().sort(true, false), lit(q), None)
    }

    /// Aggregation: about how many different values there are, by HyperLogLog. Dask: `s.nunique_approx()`.
    fn approx_n_unique(self) -> Expr {
        agg::approx_distinct(self.to_expr())
    }

    /// Aggregation: all values as a list, nulls included, in no promised order. pandas: `.agg(list)`.
    fn to_list(self) -> Expr {
        agg::array_agg(self.to_expr())
    }

    /// Aggregation: whether all values of a mask are true, nulls aside. pandas: `s.all()`.
    fn all(self) -> Expr {
        agg::bool_and(self.to_expr())
    }

    /// Aggregation: whether any value of a mask is true. pandas: `s.any()`.
    fn any(self) -> Expr {
        agg::bool_or(self.to_expr())
    }

    /// Aggregation: the first value that is not null. Rows have an order only within one partition; to
    /// choose the row use [`ExprMethods::first_by`]. pandas: `s.groupby(...).first()`.
    fn first(self) -> Expr {
        skip_nulls(agg::first_value(self.to_expr(), vec![]), vec![])
    }

    /// Aggregation: the last value that is not null; see [`ExprMethods::first`].
    /// pandas: `s.groupby(...).last()`.
    fn last(self) -> Expr {
        skip_nulls(agg::last_value(self.to_expr(), vec![]), vec![])
    }

    /// Aggregation: the value, not null, of the row that `key` sorts first.
    /// pandas: `df.sort_values(key).groupby(...)["s"].first()`.
    fn first_by(self, key: SortKey) -> Expr {
        let by = key.expr().clone();
        skip_nulls(agg::first_value(self.to_expr(), vec![]), vec![key.with_expr(by)])
    }

    /// Turns the aggregations inside into values per row: those of the row's group; shifts, running figures,
    /// ranks and rolling windows ([`OrderedExpr`](super::OrderedExpr)) stay within the group.
    /// pandas: `df.groupby(keys)["s"].transform("mean")`.
    ///
    /// ```
    /// use trefoil_frames::frame::{ExprMethods, col};
    /// let over_the_mean = (col("price") - col("price").mean()).over(["cut"]);
    /// # let _ = over_the_mean;
    /// ```
    fn over<E: IntoExpr>(self, keys: impl IntoIterator<Item = E>) -> Expr {
        let keys: Vec<Expr> = keys.into_iter().map(IntoExpr::into_expr).collect();
        per_row(self.to_expr(), &keys)
    }

    /// Aggregation: Pearson's correlation with `other`. pandas: `s.corr(other)`.
    fn corr(self, other: Expr) -> Expr {
        agg::corr(self.to_expr(), other)
    }

    /// Aggregation: the `n` largest values as a list, the largest first; nulls aside, `NaN` is the largest.
    /// Numbers only: `Int64` or `Float64` come out. polars: `c.top_k(n)`.
    fn top_k(self, n: usize) -> Expr {
        super::top::call(self.to_expr(), n, true)
    }

    /// Aggregation: the `n` smallest values as a list, the smallest first; see
    /// [`top_k`](ExprMethods::top_k). polars: `c.bottom_k(n)`.
    fn bottom_k(self, n: usize) -> Expr {
        super::top::call(self.to_expr(), n, false)
    }

    /// Aggregation: the standard error of the mean. pandas: `s.sem()`.
    fn sem(self) -> Expr {
        let value = self.to_expr();
        agg::stddev(value.clone()) / f::sqrt(agg::count(value).cast(DataType::Float64))
    }

    /// Aggregation: the skewness, corrected for its bias; null of fewer than three values and of equal ones.
    /// pandas: `s.skew()`.
    fn skew(self) -> Expr {
        super::moments::call(self.to_expr(), super::moments::Figure::Skew)
    }

    /// Aggregation: the excess kurtosis, corrected for its bias; null of fewer than four values and of equal ones.
    /// pandas: `s.kurt()`.
    fn kurt(self) -> Expr {
        super::moments::call(self.to_expr(), super::moments::Figure::Kurt)
    }

    /// Aggregation: the sample covariance with `other`. pandas: `s.cov(other)`.
    fn cov(self, other: Expr) -> Expr {
        agg::covar_samp(self.to_expr(), other)
    }
}

impl ExprMethods for Expr {
    fn to_expr(self) -> Expr {
        self
    }
}

/// `CASE WHEN mask THEN value ELSE other END`; the types are checked when a verb takes the expression.
pub(super) fn choose(mask: Expr, value: Expr, other: Option<Expr>) -> Expr {
    Expr::Case(Case::new(None, vec![(Box::new(mask), Box::new(value))], other.map(Box::new)))
}

/// A value by cases: `when(mask, a).when(other, b).otherwise(c)`; null where no mask is true and nothing else
/// is said. polars: `pl.when(mask).then(a).otherwise(c)`; numpy: `np.select(...)`.
///
/// ```
/// use trefoil_frames::frame::{col, lit, when};
/// let size = when(col("carat").gt(lit(2)), lit("large")).when(col("carat").gt(lit(1)), lit("middle"));
/// let size = size.otherwise(lit("small"));
/// # let _ = size;
/// ```
pub fn when(mask: Expr, value: Expr) -> When {
    When { cases: vec![(mask, value)] }
}

/// Cases of a value; from [`when()`].
#[derive(Clone, Debug)]
#[must_use = "cases become an expression with `otherwise` or `end`"]
pub struct When {
    cases: Vec<(Expr, Expr)>,
}

impl When {
    /// Another case, for rows where no mask before is true.
    pub fn when(mut self, mask: Expr, value: Expr) -> Self {
        self.cases.push((mask, value));
        self
    }

    /// The value where no mask is true.
    pub fn otherwise(self, value: Expr) -> Expr {
        cases(self.cases, Some(value))
    }

    /// Null where no mask is true.
    pub fn end(self) -> Expr {
        cases(self.cases, None)
    }
}

/// `CASE WHEN .. THEN .. ELSE other END`.
pub(super) fn cases(cases: impl IntoIterator<Item = (Expr, Expr)>, other: Option<Expr>) -> Expr {
    let cases: Vec<_> = cases.into_iter().map(|(mask, value)| (Box::new(mask), Box::new(value))).collect();
    match (cases.is_empty(), other) {
        (true, other) => other.unwrap_or_else(|| lit(datafusion::common::ScalarValue::Null)),
        (false, other) => Expr::Case(Case::new(None, cases, other.map(Box::new))),
    }
}

fn pick<A: Literal, B: Literal>(
    value: &Expr,
    pairs: impl IntoIterator<Item = (A, B)>,
    other: Option<Expr>,
) -> Expr {
    cases(pairs.into_iter().map(|(from, to)| (value.clone().eq(lit(from)), lit(to))), other)
}

fn skip_nulls(aggregate: Expr, order: Vec<Sort>) -> Expr {
    let plain = aggregate.clone();
    // `build` fails only for what is no aggregate
    aggregate.order_by(order).null_treatment(NullTreatment::IgnoreNulls).build().unwrap_or(plain)
}

fn per_row(expr: Expr, keys: &[Expr]) -> Expr {
    let plain = expr.clone();
    let windows = expr.transform_up(|node| {
        let AggregateFunction { func, params } = match node {
            Expr::AggregateFunction(function) => function,
            Expr::WindowFunction(mut window) if window.params.partition_by.is_empty() => {
                window.params.partition_by = keys.to_vec();
                return Ok(Transformed::yes(Expr::WindowFunction(window)));
            }
            other => return Ok(Transformed::no(other)),
        };
        let window = WindowFunction::new(WindowFunctionDefinition::AggregateUDF(func), params.args);
        let mut window = Box::new(window);
        window.params.partition_by = keys.to_vec();
        window.params.order_by = params.order_by;
        window.params.window_frame = WindowFrame::new(None);
        window.params.filter = params.filter;
        window.params.null_treatment = params.null_treatment;
        window.params.distinct = params.distinct;
        Ok(Transformed::yes(Expr::WindowFunction(window)))
    });
    // the closure never fails
    windows.map(|t| t.data).unwrap_or(plain)
}
