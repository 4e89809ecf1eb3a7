//! Groups and aggregations.

use super::check::{self, Named, invalid};
use super::expr::{Expr, ExprMethods, IntoExpr, lit};
use super::sample::Draw;
use super::windows::OrderedExpr;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::LogicalPlanBuilder;
use std::sync::Arc;
use trefoil_plan::{DataFrame, Result, plan_error};

/// An aggregation by name, for [`pivot_table`](super::FrameMethods::pivot_table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Aggregation {
    /// The sum.
    Sum,
    /// The arithmetic mean.
    Mean,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// How many values are not null.
    Count,
    /// How many different values there are.
    NUnique,
    /// The sample standard deviation.
    Std,
    /// The sample variance.
    Var,
    /// The exact median.
    Median,
    /// The first value that is not null, of any order.
    First,
    /// The last value that is not null, of any order.
    Last,
    /// The product.
    Product,
    /// All values as a list, in any order.
    List,
}

impl Aggregation {
    /// The aggregation of an expression.
    pub fn of(self, value: Expr) -> Expr {
        match self {
            Aggregation::Sum => value.sum(),
            Aggregation::Mean => value.mean(),
            Aggregation::Min => value.min(),
            Aggregation::Max => value.max(),
            Aggregation::Count => value.count(),
            Aggregation::NUnique => value.n_unique(),
            Aggregation::Std => value.std(),
            Aggregation::Var => value.var(),
            Aggregation::Median => value.median(),
            Aggregation::First => value.first(),
            Aggregation::Last => value.last(),
            Aggregation::Product => value.product(),
            Aggregation::List => value.to_list(),
        }
    }

    /// As in the names of columns.
    pub(super) fn name(self) -> &'static str {
        match self {
            Aggregation::Sum => "sum",
            Aggregation::Mean => "mean",
            Aggregation::Min => "min",
            Aggregation::Max => "max",
            Aggregation::Count => "count",
            Aggregation::NUnique => "n_unique",
            Aggregation::Std => "std",
            Aggregation::Var => "var",
            Aggregation::Median => "median",
            Aggregation::First => "first",
            Aggregation::Last => "last",
            Aggregation::Product => "product",
            Aggregation::List => "list",
        }
    }
}

/// Rows grouped by keys, waiting for an aggregation; made by
/// [`group_by`](super::FrameMethods::group_by).
///
/// The result has one row per distinct key, in no particular order: first the key columns, then the
/// aggregates. Null is a key like any other (pandas: `groupby(..., dropna=False)`; drop nulls first for
/// the default of pandas).
#[derive(Clone)]
#[must_use = "a group does nothing until it is aggregated"]
pub struct GroupBy {
    frame: DataFrame,
    keys: Vec<Expr>,
}

impl GroupBy {
    pub(super) fn new<E: IntoExpr>(frame: &DataFrame, keys: impl IntoIterator<Item = E>) -> GroupBy {
        GroupBy { frame: frame.clone(), keys: keys.into_iter().map(IntoExpr::into_expr).collect() }
    }

    /// Computes aggregations per group. Without an alias a column is called `price_mean`.
    ///
    /// pandas: `df.groupby(keys).agg(most=("price", "max"), n=("price", "count"))`.
    ///
    /// # Errors
    /// Unknown columns, types an aggregation cannot work on, duplicate names, an expression that
    /// uses a column outside an aggregation, empty lists.
    pub fn agg(&self, aggregations: impl IntoIterator<Item = Expr>) -> Result<DataFrame> {
        self.run("agg", aggregations.into_iter().map(|e| (check::output_name(&e), e)).collect())
    }

    /// The sum of columns per group, null where a group has no value. pandas: `groupby(keys)[columns].sum()`.
    ///
    /// # Errors
    /// Unknown columns, a column that is not numeric, an empty list.
    pub fn sum<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("sum", columns, ExprMethods::sum)
    }

    /// The mean of columns per group. pandas: `groupby(keys)[columns].mean()`.
    ///
    /// # Errors
    /// Unknown columns, a column that is not numeric, an empty list.
    pub fn mean<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("mean", columns, ExprMethods::mean)
    }

    /// The smallest value of columns per group. pandas: `groupby(keys)[columns].min()`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    pub fn min<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("min", columns, ExprMethods::min)
    }

    /// The largest value of columns per group. pandas: `groupby(keys)[columns].max()`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    pub fn max<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("max", columns, ExprMethods::max)
    }

    /// How many values per group are not null. pandas: `groupby(keys)[columns].count()`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    pub fn count<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("count", columns, ExprMethods::count)
    }

    /// How many different values per group. pandas: `groupby(keys)[columns].nunique()`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    pub fn n_unique<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("n_unique", columns, ExprMethods::n_unique)
    }

    /// The sample standard deviation per group. pandas: `groupby(keys)[columns].std()`.
    ///
    /// # Errors
    /// Unknown columns, a column that is not numeric, an empty list.
    pub fn std<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("std", columns, ExprMethods::std)
    }

    /// The sample variance per group. pandas: `groupby(keys)[columns].var()`.
    ///
    /// # Errors
    /// Unknown columns, a column that is not numeric, an empty list.
    pub fn var<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("var", columns, ExprMethods::var)
    }

    /// The exact median per group. pandas: `groupby(keys)[columns].median()`.
    ///
    /// # Errors
    /// Unknown columns, a column that is not numeric, an empty list.
    pub fn median<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("median", columns, ExprMethods::median)
    }

    /// The first value per group that is not null; rows have an order only within one partition, see
    /// [`first_by`](ExprMethods::first_by). pandas: `groupby(keys)[columns].first()`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    pub fn first<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("first", columns, ExprMethods::first)
    }

    /// The last value per group that is not null; see [`first`](GroupBy::first).
    /// pandas: `groupby(keys)[columns].last()`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    pub fn last<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("last", columns, ExprMethods::last)
    }

    /// The number of rows per group, in a column `size`. pandas: `groupby(keys).size()`.
    ///
    /// # Errors
    /// Unknown keys.
    pub fn size(&self) -> Result<DataFrame> {
        self.run("size", vec![("size".to_owned(), count(lit(1_i64)))])
    }

    /// Aggregations, shifts, running figures and ranks as new columns, each within the row's group; the rows
    /// stay. pandas: `df.assign(m=df.groupby(keys)["x"].transform("mean"))`.
    ///
    /// # Errors
    /// As [`with_columns`](super::FrameMethods::with_columns).
    pub fn transform(&self, exprs: impl IntoIterator<Item = Expr>) -> Result<DataFrame> {
        const OP: &str = "transform";
        self.some_keys(OP)?;
        let new = exprs
            .into_iter()
            .map(|e| {
                let name = check::output_name(&e);
                let within = e.unalias().over(&self.keys);
                Ok((name, check::resolve(OP, &self.frame, within)?))
            })
            .collect::<Result<Vec<_>>>()?;
        super::columns::with_columns(OP, &self.frame, new)
    }

    /// The first `n` rows of each group in the order of the frame. pandas: `df.groupby(keys).head(n)`.
    ///
    /// # Errors
    /// Unknown keys, a frame without an order.
    pub fn head(&self, n: usize) -> Result<DataFrame> {
        const OP: &str = "head";
        const PLACE: &str = "__trefoil_place";
        self.some_keys(OP)?;
        let place = check::resolve(OP, &self.frame, lit(1_i64).cumcount().over(&self.keys))?;
        let placed = super::columns::with_columns(OP, &self.frame, vec![(PLACE.to_owned(), place)])?;
        let mask = super::col(PLACE).lt(lit(i64::try_from(n).unwrap_or(i64::MAX)));
        super::columns::drop(&super::rows::filter(OP, &placed, mask)?, [PLACE])
    }

    /// Runs Rust code on the rows of each group, groups side by side as tasks, and stacks what it gives. The
    /// closure gets a group as one batch, in the order of the frame's columns; the frame is sorted by the
    /// keys for this, and one batch of groups at a time is in memory. The groups come in the order of the
    /// keys. pandas: `df.groupby(keys).apply(f)`.
    ///
    /// ```
    /// use trefoil_core::Error;
    /// use trefoil_frames::frame::*;
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    ///     let firsts = diamonds
    ///         .group_by(["cut"])
    ///         .apply(|group| Ok::<_, Error>(group.slice(0, 1)))
    ///         .await?;
    ///     assert_eq!(firsts.count().await?, 5);
    ///     Ok::<(), Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Unknown keys, what running the frame can raise, the error of the closure
    /// ([`User`](trefoil_plan::ErrorKind::User)), results with different columns, a frame without rows
    /// (the columns would not be known).
    pub fn apply<F, E>(&self, work: F) -> impl Future<Output = Result<DataFrame>> + Send
    where
        F: Fn(&RecordBatch) -> Result<RecordBatch, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (frame, keys) = (self.frame.clone(), self.keys.clone());
        async move { super::apply::apply(&frame, keys, None, work).await }
    }

    /// As [`apply`](GroupBy::apply), with the columns of the result declared: they are checked, and the result of a
    /// frame without rows is a frame without rows. Dask: `ddf.groupby(keys).apply(f, meta=...)`.
    ///
    /// # Errors
    /// As [`apply`](GroupBy::apply); a result with other columns.
    pub fn apply_as<F, E>(&self, columns: Schema, work: F) -> impl Future<Output = Result<DataFrame>> + Send
    where
        F: Fn(&RecordBatch) -> Result<RecordBatch, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (frame, keys) = (self.frame.clone(), self.keys.clone());
        async move { super::apply::apply(&frame, keys, Some(Arc::new(columns)), work).await }
    }

    /// The last `n` rows of each group in the order of the frame. pandas: `df.groupby(keys).tail(n)`.
    ///
    /// # Errors
    /// Unknown keys, a frame without an order.
    pub fn tail(&self, n: usize) -> Result<DataFrame> {
        const OP: &str = "tail";
        const PLACE: &str = "__trefoil_place";
        const SIZE: &str = "__trefoil_size";
        self.some_keys(OP)?;
        let place = check::resolve(OP, &self.frame, lit(1_i64).cumcount().over(&self.keys))?;
        let size = check::resolve(OP, &self.frame, lit(1_i64).count().over(&self.keys))?;
        let columns = vec![(PLACE.to_owned(), place), (SIZE.to_owned(), size)];
        let placed = super::columns::with_columns(OP, &self.frame, columns)?;
        let n = lit(i64::try_from(n).unwrap_or(i64::MAX));
        let mask = (super::col(SIZE) - super::col(PLACE)).lt_eq(n);
        super::columns::drop(&super::rows::filter(OP, &placed, mask)?, [PLACE, SIZE])
    }

    /// Row `n` of each group, from 0, in the order of the frame. pandas: `df.groupby(keys).nth(n)`.
    ///
    /// # Errors
    /// Unknown keys, a frame without an order.
    pub fn nth(&self, n: usize) -> Result<DataFrame> {
        const OP: &str = "nth";
        const PLACE: &str = "__trefoil_place";
        self.some_keys(OP)?;
        let place = check::resolve(OP, &self.frame, lit(1_i64).cumcount().over(&self.keys))?;
        let placed = super::columns::with_columns(OP, &self.frame, vec![(PLACE.to_owned(), place)])?;
        let mask = super::col(PLACE).eq(lit(i64::try_from(n).unwrap_or(i64::MAX)));
        super::columns::drop(&super::rows::filter(OP, &placed, mask)?, [PLACE])
    }

    /// The `n` largest values of a column per group, a row each, largest first; nulls aside. The other columns
    /// are the keys. pandas: `df.groupby(keys)[column].nlargest(n)`.
    ///
    /// # Errors
    /// Unknown columns, a column that is not numeric.
    pub fn nlargest(&self, n: usize, column: &str) -> Result<DataFrame> {
        self.best("nlargest", column, super::col(column).top_k(n))
    }

    /// The `n` smallest values of a column per group; see [`nlargest`](GroupBy::nlargest).
    ///
    /// # Errors
    /// As [`nlargest`](GroupBy::nlargest).
    pub fn nsmallest(&self, n: usize, column: &str) -> Result<DataFrame> {
        self.best("nsmallest", column, super::col(column).bottom_k(n))
    }

    fn best(&self, op: &'static str, column: &str, list: Expr) -> Result<DataFrame> {
        let lists = self.run(op, vec![(column.to_owned(), list)])?;
        super::rows::dropna(op, &super::reshape::explode(&lists, column)?, vec![column.to_owned()])
    }

    /// The exact quantile of columns per group. pandas: `groupby(keys)[columns].quantile(q)`.
    ///
    /// # Errors
    /// A `q` outside 0..=1, unknown columns, a column that is not numeric, an empty list.
    pub fn quantile<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>, q: f64) -> Result<DataFrame> {
        const OP: &str = "quantile";
        if !(0.0..=1.0).contains(&q) {
            return Err(invalid(OP, format!("the quantile is {q}, it must be between 0 and 1")));
        }
        let columns = check::list(OP, &self.frame, columns)?;
        let of = |name: String| {
            let value = super::col(&name).cast(datafusion::arrow::datatypes::DataType::Float64);
            (name, value.quantile(q))
        };
        self.run(OP, columns.into_iter().map(of).collect())
    }

    /// Rows of each group drawn at random: so many of each, or a share of each; see [`Draw`].
    /// pandas: `df.groupby(keys).sample(n, random_state=...)`.
    ///
    /// ```
    /// use trefoil_frames::{frame::*, seed};
    ///
    /// # let session = trefoil_plan::Session::local()?;
    /// # session.block_on(async {
    /// let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    /// let ten_of_each = diamonds.group_by(["cut"]).sample(&Draw::rows(10, seed(7)))?;
    /// assert_eq!(ten_of_each.count().await?, 50);
    /// # Ok::<(), trefoil_plan::Error>(()) })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// Unknown keys, and as [`sample_with`](super::FrameMethods::sample_with).
    pub fn sample(&self, how: &Draw) -> Result<DataFrame> {
        const OP: &str = "sample";
        self.some_keys(OP)?;
        super::sample::draw(OP, &self.frame, &self.keys, how)
    }

    /// The product of columns per group. pandas: `groupby(keys)[columns].prod(min_count=1)`.
    ///
    /// # Errors
    /// Unknown columns, a column that is not numeric, an empty list.
    pub fn product<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each("product", columns, OrderedExpr::product)
    }

    /// The rows of the groups for which a condition over aggregations holds, such as
    /// `lit(1).count().gt(lit(5))`. pandas: `df.groupby(keys).filter(lambda g: len(g) > 5)`.
    ///
    /// # Errors
    /// Unknown columns, a condition that is not a mask.
    pub fn filter(&self, condition: Expr) -> Result<DataFrame> {
        const OP: &str = "filter";
        const KEEP: &str = "__trefoil_keep";
        self.some_keys(OP)?;
        let keep = check::resolve(OP, &self.frame, condition.unalias().over(&self.keys))?;
        let marked = super::columns::with_columns(OP, &self.frame, vec![(KEEP.to_owned(), keep)])?;
        super::columns::drop(&super::rows::filter(OP, &marked, super::col(KEEP))?, [KEEP])
    }

    fn some_keys(&self, op: &'static str) -> Result<()> {
        if self.keys.is_empty() {
            return Err(invalid(op, "the list of group keys is empty"));
        }
        Ok(())
    }

    fn each<S: AsRef<str>>(
        &self,
        op: &'static str,
        columns: impl IntoIterator<Item = S>,
        aggregation: fn(Expr) -> Expr,
    ) -> Result<DataFrame> {
        let columns = check::list(op, &self.frame, columns)?;
        self.run(op, columns.into_iter().map(|name| (name.clone(), aggregation(super::col(name)))).collect())
    }

    pub(super) fn run(&self, op: &'static str, outputs: Vec<Named>) -> Result<DataFrame> {
        if self.keys.is_empty() {
            return Err(invalid(op, "the list of group keys is empty")
                .with_help("use `agg` of the frame to aggregate all rows"));
        }
        let keys: Vec<Named> =
            self.keys.iter().map(|e| check::named_row(op, &self.frame, e)).collect::<Result<_>>()?;
        // keys that are computed become columns first, so that the aggregation sees plain columns only
        let mut columns = check::all(op, &self.frame)?;
        let mut plain = Vec::new();
        for (i, (name, expr)) in keys.into_iter().enumerate() {
            let source = match &expr {
                Expr::Column(column) => column.name.clone(),
                _ => {
                    columns.push((format!("__trefoil_key_{i}"), expr));
                    format!("__trefoil_key_{i}")
                }
            };
            plain.push((name, source));
        }
        let keyed = check::project(op, &self.frame, columns)?;
        let keys = plain
            .into_iter()
            .map(|(name, source)| Ok((name, check::column(op, &keyed, &source)?)))
            .collect::<Result<_>>()?;
        let outputs = outputs
            .into_iter()
            .map(|(name, expr)| Ok((name, check::resolve(op, &keyed, expr.unalias())?)))
            .collect::<Result<_>>()?;
        aggregate(op, &keyed, keys, outputs)
    }
}

/// One row per key, or one row if there are no keys. Keys are plain columns; all expressions are resolved.
pub(super) fn aggregate(
    op: &'static str,
    frame: &DataFrame,
    keys: Vec<Named>,
    outputs: Vec<Named>,
) -> Result<DataFrame> {
    if outputs.is_empty() {
        return Err(invalid(op, "the list of aggregations is empty").with_help("give at least one"));
    }
    let names: Vec<String> = keys.iter().chain(&outputs).map(|(name, _)| name.clone()).collect();
    check::distinct(op, &names)?;
    // pull the aggregations out of their expressions: `x.sum() / y.sum()` is two of them and a division
    let mut found: Vec<Expr> = Vec::new();
    let mut finals = keys.clone();
    for (name, expr) in outputs {
        check::no_window(op, &expr)?;
        if !check::has_aggregate(&expr) {
            return Err(invalid(op, format!("`{}` is not an aggregation", check::plain(&expr)))
                .with_help("aggregate it, as in `col(\"x\").sum()`, or make it a group key"));
        }
        let outer = expr
            .transform_down(|node| {
                Ok(match node {
                    Expr::AggregateFunction(_) => {
                        let i = found.iter().position(|e| *e == node).unwrap_or_else(|| {
                            found.push(node);
                            found.len() - 1
                        });
                        Transformed::yes(super::col(format!("__trefoil_agg_{i}")))
                    }
                    other => Transformed::no(other),
                })
            })
            .map_err(|e| plan_error(e, op))?
            .data;
        let outside = outer.column_refs().into_iter().find(|column| {
            !is_aggregate_name(column) && !keys.iter().any(|(_, key)| *key == Expr::Column((*column).clone()))
        });
        if let Some(column) = outside {
            return Err(invalid(op, format!("`{}` stands outside an aggregation", column.name))
                .with_help("aggregate it too, or make it a group key"));
        }
        finals.push((name, outer));
    }
    let aggregates =
        found.into_iter().enumerate().map(|(i, e)| e.alias(format!("__trefoil_agg_{i}"))).collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(check::plan(frame))
        .aggregate(keys.into_iter().map(|(_, key)| key), aggregates)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, op))?;
    check::project(op, &check::with_plan(frame, plan), finals)
}

fn is_aggregate_name(column: &Column) -> bool {
    column.relation.is_none() && column.name.starts_with("__trefoil_agg_")
}
