//! The verbs of a frame, one trait: each checks its arguments, then extends the plan.

use super::asof::AsOf;
use super::categories::Dummies;
use super::check;
use super::expr::{Expr, IntoExpr, SortKey};
use super::group::{Aggregation, GroupBy};
use super::join::{self, Join, JoinKind};
use super::pivot::{self, Pivot};
use super::resample::Resample;
use super::sample::{self, Draw};
use super::sealed::AsFrame;
use super::span::Span;
use super::windows::{OrderedExpr, RankMethod};
use super::{categories, columns, reshape, rows, summary};
use crate::Seed;
use datafusion::arrow::datatypes::DataType;
use trefoil_plan::{DataFrame, Result};

fn owned<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

/// The lazy verbs of a [`DataFrame`]: nothing runs before `collect`, `show`, `persist` or a write.
///
/// Every verb looks at the schema at once: an unknown column is refused with the nearest name
/// ([`UnknownColumn`](trefoil_plan::ErrorKind::UnknownColumn)), types that do not fit with the names and
/// types of the columns ([`TypeMismatch`](trefoil_plan::ErrorKind::TypeMismatch)), two columns of one name
/// ([`AlreadyExists`](trefoil_plan::ErrorKind::AlreadyExists)), an empty list or an impossible argument
/// ([`InvalidArgument`](trefoil_plan::ErrorKind::InvalidArgument)).
pub trait FrameMethods: AsFrame {
    /// These columns and expressions only; aggregations alone give one row.
    /// pandas: `df[["a", "b"]]`.
    ///
    /// # Errors
    /// Unknown columns, types that do not fit, duplicate names, an empty list.
    fn select<E: IntoExpr>(&self, columns: impl IntoIterator<Item = E>) -> Result<DataFrame> {
        columns::select(self.as_frame(), columns)
    }

    /// The rows where `mask` is true (not where it is null). pandas: `df[mask]`.
    ///
    /// # Errors
    /// Unknown columns, types that do not fit, an expression that is not a mask.
    fn filter(&self, mask: Expr) -> Result<DataFrame> {
        rows::filter("filter", self.as_frame(), mask)
    }

    /// Adds a column, or replaces the one of that name in its place. pandas: `df[name] = expr`.
    ///
    /// # Errors
    /// Unknown columns, types that do not fit, an aggregation.
    fn with_column(&self, name: impl Into<String>, expr: impl IntoExpr) -> Result<DataFrame> {
        let expr = check::resolve("with_column", self.as_frame(), expr.into_expr().unalias())?;
        columns::with_columns("with_column", self.as_frame(), vec![(name.into(), expr)])
    }

    /// Adds or replaces columns under the names of the expressions; they see the old columns.
    /// pandas: `df.assign(a=..., b=...)`.
    ///
    /// # Errors
    /// Unknown columns, types that do not fit, an aggregation, two expressions of one name.
    fn with_columns<E: IntoExpr>(&self, exprs: impl IntoIterator<Item = E>) -> Result<DataFrame> {
        const OP: &str = "with_columns";
        let new =
            exprs.into_iter().map(|e| check::named(OP, self.as_frame(), e)).collect::<Result<Vec<_>>>()?;
        if new.is_empty() {
            return Err(check::invalid(OP, "the list of columns is empty"));
        }
        columns::with_columns(OP, self.as_frame(), new)
    }

    /// Adds or replaces columns, as pairs of name and expression; they see the old columns.
    /// pandas: `df.assign(name=expr)`.
    ///
    /// # Errors
    /// As [`with_columns`](FrameMethods::with_columns).
    fn assign<E: IntoExpr>(
        &self,
        pairs: impl IntoIterator<Item = (impl Into<String>, E)>,
    ) -> Result<DataFrame> {
        const OP: &str = "assign";
        let new = pairs
            .into_iter()
            .map(|(name, e)| Ok((name.into(), check::resolve(OP, self.as_frame(), e.into_expr().unalias())?)))
            .collect::<Result<Vec<_>>>()?;
        if new.is_empty() {
            return Err(check::invalid(OP, "the list of columns is empty"));
        }
        columns::with_columns(OP, self.as_frame(), new)
    }

    /// Without these columns. pandas: `df.drop(columns=[...])`.
    ///
    /// # Errors
    /// Unknown columns, an empty list, no column left.
    fn drop<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        columns::drop(self.as_frame(), columns)
    }

    /// Renames columns, as pairs of old and new. pandas: `df.rename(columns={old: new})`, which ignores
    /// unknown names.
    ///
    /// # Errors
    /// Unknown columns, duplicate names, an empty list.
    fn rename(
        &self,
        pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<DataFrame> {
        columns::rename(self.as_frame(), pairs.into_iter().map(|(a, b)| (a.into(), b.into())).collect())
    }

    /// Converts columns; a value that does not fit is an error when the frame runs.
    /// pandas: `df.astype({name: dtype})`.
    ///
    /// # Errors
    /// Unknown columns, types without a conversion, an empty list.
    fn astype(&self, pairs: impl IntoIterator<Item = (impl Into<String>, DataType)>) -> Result<DataFrame> {
        columns::astype(self.as_frame(), pairs.into_iter().map(|(name, to)| (name.into(), to)).collect())
    }

    /// Fills the nulls of every column that holds values of this kind (numbers, text or masks).
    /// `NaN` is a value, not a null. pandas: `df.fillna(value)`.
    ///
    /// # Errors
    /// A value that no column can hold.
    fn fillna(&self, value: Expr) -> Result<DataFrame> {
        columns::fillna(self.as_frame(), value)
    }

    /// Fills the nulls of some columns. pandas: `df.fillna({name: value})`.
    ///
    /// # Errors
    /// Unknown columns, a value of another kind than the column, an empty list.
    fn fillna_of(&self, pairs: impl IntoIterator<Item = (impl Into<String>, Expr)>) -> Result<DataFrame> {
        columns::fillna_of(self.as_frame(), pairs.into_iter().map(|(n, e)| (n.into(), e)).collect())
    }

    /// The rows without any null (`NaN` is a value). pandas: `df.dropna()`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn dropna(&self) -> Result<DataFrame> {
        let all = check::names("dropna", self.as_frame())?;
        rows::dropna("dropna", self.as_frame(), all)
    }

    /// The rows without a null in these columns. pandas: `df.dropna(subset=[...])`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    fn dropna_of<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        let columns = check::list("dropna_of", self.as_frame(), columns)?;
        rows::dropna("dropna_of", self.as_frame(), columns)
    }

    /// Sorts by columns from small to large, nulls last; rows with equal keys come in any order.
    /// pandas: `df.sort_values([...])`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    fn sort<E: IntoExpr>(&self, by: impl IntoIterator<Item = E>) -> Result<DataFrame> {
        rows::sort("sort", self.as_frame(), rows::by_name(by))
    }

    /// Sorts by keys with a direction each, such as `[desc("price"), asc("cut").nulls_first()]`.
    /// pandas: `df.sort_values([...], ascending=[...], na_position=...)`.
    ///
    /// # Errors
    /// Unknown columns, types that do not fit, an empty list.
    fn sort_by(&self, by: impl IntoIterator<Item = SortKey>) -> Result<DataFrame> {
        rows::sort("sort_by", self.as_frame(), by)
    }

    /// The first `n` rows; of a frame that is not sorted, any `n` rows. pandas: `df.head(n)`.
    ///
    /// # Errors
    /// None that a user can cause.
    fn head(&self, n: usize) -> Result<DataFrame> {
        rows::limit("head", self.as_frame(), 0, n)
    }

    /// `n` rows after the first `skip`, in the order of the sort. pandas: `df.iloc[skip:skip + n]`.
    ///
    /// # Errors
    /// None that a user can cause.
    fn limit(&self, skip: usize, n: usize) -> Result<DataFrame> {
        rows::limit("limit", self.as_frame(), skip, n)
    }

    /// The `n` rows with the largest values, largest first. pandas: `df.nlargest(n, [...])`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    fn nlargest<S: AsRef<str>>(&self, n: usize, by: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        rows::extreme("nlargest", self.as_frame(), n, by, true)
    }

    /// The `n` rows with the smallest values, smallest first. pandas: `df.nsmallest(n, [...])`.
    ///
    /// # Errors
    /// Unknown columns, an empty list.
    fn nsmallest<S: AsRef<str>>(&self, n: usize, by: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        rows::extreme("nsmallest", self.as_frame(), n, by, false)
    }

    /// The distinct rows, in any order. pandas: `df.drop_duplicates()`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn unique(&self) -> Result<DataFrame> {
        rows::distinct("unique", self.as_frame())
    }

    /// The distinct rows, in any order; the same as [`unique`](FrameMethods::unique).
    /// pandas: `df.drop_duplicates()`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn drop_duplicates(&self) -> Result<DataFrame> {
        rows::distinct("drop_duplicates", self.as_frame())
    }

    /// One row per distinct value of `columns`: the first in the order of `order`, then of the other columns.
    /// pandas: `df.sort_values(order).drop_duplicates(columns)`.
    ///
    /// # Errors
    /// Unknown columns, an empty list of columns.
    fn drop_duplicates_of<S: AsRef<str>>(
        &self,
        columns: impl IntoIterator<Item = S>,
        order: impl IntoIterator<Item = SortKey>,
    ) -> Result<DataFrame> {
        rows::distinct_of(self.as_frame(), columns, order)
    }

    /// How often each value (or combination) occurs, in a column `count`, most frequent first. Null counts
    /// as a value (pandas: `value_counts(dropna=False)`). pandas: `df[[...]].value_counts()`.
    ///
    /// # Errors
    /// Unknown columns, an empty list, a column called `count`.
    fn value_counts<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        summary::value_counts(self.as_frame(), columns)
    }

    /// Groups rows by columns and expressions; errors come with the aggregation.
    /// pandas: `df.groupby([...])`.
    ///
    /// ```
    /// use trefoil_frames::frame::{ExprMethods, FrameMethods, col};
    /// # let session = trefoil_plan::Session::local()?;
    /// # session.block_on(async {
    /// let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    /// let by_cut = diamonds.group_by(["cut"]).agg([col("price").max(), col("carat").mean().alias("size")])?;
    /// assert_eq!(by_cut.columns(), ["cut", "price_max", "size"]);
    /// # Ok::<(), trefoil_plan::Error>(()) })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    fn group_by<E: IntoExpr>(&self, keys: impl IntoIterator<Item = E>) -> GroupBy {
        GroupBy::new(self.as_frame(), keys)
    }

    /// Every column but those of the order moved by `n` rows; see [`OrderedExpr::shift`].
    /// pandas: `df.shift(n)`.
    ///
    /// # Errors
    /// A frame without an order.
    fn shift(&self, n: i64) -> Result<DataFrame> {
        columns::each("shift", self.as_frame(), columns::Which::All, |value| value.shift(n))
    }

    /// The numeric columns, but those of the order, less themselves `n` rows before. pandas: `df.diff(n)`.
    ///
    /// # Errors
    /// A frame without an order or without numbers.
    fn diff(&self, n: i64) -> Result<DataFrame> {
        columns::each("diff", self.as_frame(), columns::Which::Numeric, |value| value.diff(n))
    }

    /// The relative changes of the numeric columns since `n` rows before. pandas: `df.pct_change(n)`.
    ///
    /// # Errors
    /// As [`diff`](FrameMethods::diff).
    fn pct_change(&self, n: i64) -> Result<DataFrame> {
        columns::each("pct_change", self.as_frame(), columns::Which::Numeric, |value| value.pct_change(n))
    }

    /// The running sums of the numeric columns, but those of the order. pandas: `df.cumsum()`.
    ///
    /// # Errors
    /// As [`diff`](FrameMethods::diff).
    fn cumsum(&self) -> Result<DataFrame> {
        columns::each("cumsum", self.as_frame(), columns::Which::Numeric, OrderedExpr::cumsum)
    }

    /// The running products of the numeric columns, but those of the order. pandas: `df.cumprod()`.
    ///
    /// # Errors
    /// As [`diff`](FrameMethods::diff).
    fn cumprod(&self) -> Result<DataFrame> {
        columns::each("cumprod", self.as_frame(), columns::Which::Numeric, OrderedExpr::cumprod)
    }

    /// The smallest values so far of the numeric columns, but those of the order. pandas: `df.cummin()`.
    ///
    /// # Errors
    /// As [`diff`](FrameMethods::diff).
    fn cummin(&self) -> Result<DataFrame> {
        columns::each("cummin", self.as_frame(), columns::Which::Numeric, OrderedExpr::cummin)
    }

    /// The largest values so far of the numeric columns, but those of the order. pandas: `df.cummax()`.
    ///
    /// # Errors
    /// As [`diff`](FrameMethods::diff).
    fn cummax(&self) -> Result<DataFrame> {
        columns::each("cummax", self.as_frame(), columns::Which::Numeric, OrderedExpr::cummax)
    }

    /// The numeric columns as ranks. Needs no order, but for [`RankMethod::First`]. pandas: `df.rank()`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn rank(&self, method: RankMethod) -> Result<DataFrame> {
        columns::each("rank", self.as_frame(), columns::Which::Numeric, |value| value.rank(method))
    }

    /// Nulls of every column take the last value before them. pandas: `df.ffill()`.
    ///
    /// # Errors
    /// A frame without an order.
    fn ffill(&self) -> Result<DataFrame> {
        columns::each("ffill", self.as_frame(), columns::Which::All, OrderedExpr::ffill)
    }

    /// Nulls of every column take the next value after them. pandas: `df.bfill()`.
    ///
    /// # Errors
    /// A frame without an order.
    fn bfill(&self) -> Result<DataFrame> {
        columns::each("bfill", self.as_frame(), columns::Which::All, OrderedExpr::bfill)
    }

    /// Nulls of the numeric columns lie between their neighbours; see [`OrderedExpr::interpolate`].
    /// pandas: `df.interpolate()`.
    ///
    /// # Errors
    /// As [`diff`](FrameMethods::diff).
    fn interpolate(&self) -> Result<DataFrame> {
        columns::each("interpolate", self.as_frame(), columns::Which::Numeric, OrderedExpr::interpolate)
    }

    /// Rows grouped into equal lengths of time, empty ones included, in order of time:
    /// `resample("time", "1h").mean(["x"])`. pandas: `df.resample("1h", on="time")`.
    fn resample(&self, time: &str, span: impl Into<Span>) -> Resample {
        Resample::new(self.as_frame(), time, span.into())
    }

    /// Aggregates all rows to one. pandas: `df.agg(...)`.
    ///
    /// # Errors
    /// As [`GroupBy::agg`].
    fn agg(&self, aggregations: impl IntoIterator<Item = Expr>) -> Result<DataFrame> {
        summary::agg(self.as_frame(), aggregations)
    }

    /// Joins on columns of the same names; other shared names get the suffixes `_x` and `_y`.
    /// pandas: `df.merge(other, on=[...], how=...)`.
    ///
    /// # Errors
    /// Unknown columns in either frame, key types that cannot be equal, duplicate names, an empty list.
    fn join<S: AsRef<str>>(
        &self,
        other: &DataFrame,
        on: impl IntoIterator<Item = S>,
        kind: JoinKind,
    ) -> Result<DataFrame> {
        join::join("join", self.as_frame(), other, &Join::on(on, kind))
    }

    /// Joins with keys of different names or other suffixes.
    /// pandas: `df.merge(other, left_on=..., right_on=..., suffixes=...)`.
    ///
    /// # Errors
    /// As [`join`](FrameMethods::join).
    fn join_with(&self, other: &DataFrame, how: &Join) -> Result<DataFrame> {
        join::join("join_with", self.as_frame(), other, how)
    }

    /// Every row with every row of `other`. pandas: `df.merge(other, how="cross")`.
    ///
    /// # Errors
    /// Duplicate names after the suffixes `_x` and `_y`.
    fn cross_join(&self, other: &DataFrame) -> Result<DataFrame> {
        join::cross(self.as_frame(), other)
    }

    /// Pairs of rows for which a condition holds, such as `col("start").lt_eq(col("at"))`; it is written over
    /// the columns of both frames, shared names with the suffixes `_x` and `_y`. Equalities in it are joined
    /// by hashing, the rest is tested pair by pair. polars: `df.join_where(other, condition)`.
    ///
    /// # Errors
    /// Unknown columns, a condition that is not a mask, duplicate names after the suffixes.
    fn join_where(&self, other: &DataFrame, condition: Expr) -> Result<DataFrame> {
        join::on(self.as_frame(), other, condition)
    }

    /// Joins each row with the nearest row of `other` in time (or another order), of the same group if there
    /// are keys. All rows of this frame stay; the result has no order.
    /// pandas: `pd.merge_asof(df, other, on="time", by=[...])`.
    ///
    /// # Errors
    /// Unknown columns, key types that cannot be equal, duplicate names.
    fn join_asof(&self, other: &DataFrame, how: &AsOf) -> Result<DataFrame> {
        super::asof::join(self.as_frame(), other, how)
    }

    /// A row per value of a list column; an empty or null list gives one null. Other columns are repeated.
    /// pandas: `df.explode(column)`.
    ///
    /// # Errors
    /// An unknown column, one that is no list.
    fn explode(&self, column: &str) -> Result<DataFrame> {
        reshape::explode(self.as_frame(), column)
    }

    /// The most frequent values of a column (several, if equally frequent), in order, nulls aside.
    /// pandas: `df[column].mode()`.
    ///
    /// # Errors
    /// An unknown column.
    fn mode(&self, column: &str) -> Result<DataFrame> {
        summary::mode(self.as_frame(), column)
    }

    /// The number of different values of every column, in one row. pandas: `df.nunique()`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn n_unique(&self) -> Result<DataFrame> {
        summary::each("n_unique", self.as_frame(), columns::Which::All, super::ExprMethods::n_unique)
    }

    /// The exact quantile of every numeric column, in one row. pandas: `df.quantile(q, numeric_only=True)`.
    ///
    /// # Errors
    /// A `q` outside 0..=1, a frame without numbers.
    fn quantile(&self, q: f64) -> Result<DataFrame> {
        summary::quantile(self.as_frame(), q)
    }

    /// The sum of every numeric column, in one row. pandas: `df.sum(numeric_only=True)`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn sum(&self) -> Result<DataFrame> {
        summary::each("sum", self.as_frame(), columns::Which::Numeric, super::ExprMethods::sum)
    }

    /// The mean of every numeric column, in one row. pandas: `df.mean(numeric_only=True)`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn mean(&self) -> Result<DataFrame> {
        summary::each("mean", self.as_frame(), columns::Which::Numeric, super::ExprMethods::mean)
    }

    /// The median of every numeric column, in one row. pandas: `df.median(numeric_only=True)`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn median(&self) -> Result<DataFrame> {
        summary::each("median", self.as_frame(), columns::Which::Numeric, super::ExprMethods::median)
    }

    /// The sample standard deviation of every numeric column, in one row. pandas: `df.std(numeric_only=True)`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn std(&self) -> Result<DataFrame> {
        summary::each("std", self.as_frame(), columns::Which::Numeric, super::ExprMethods::std)
    }

    /// The sample variance of every numeric column, in one row. pandas: `df.var(numeric_only=True)`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn var(&self) -> Result<DataFrame> {
        summary::each("var", self.as_frame(), columns::Which::Numeric, super::ExprMethods::var)
    }

    /// How many values of every column are not null, in one row (the number of rows is
    /// [`count`](DataFrame::count)). pandas: `df.count()`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn count_values(&self) -> Result<DataFrame> {
        summary::each("count_values", self.as_frame(), columns::Which::All, super::ExprMethods::count)
    }

    /// Whether each value is null, for every column. pandas: `df.isna()`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn is_null(&self) -> Result<DataFrame> {
        columns::every("is_null", self.as_frame(), columns::Which::All, Expr::is_null)
    }

    /// Whether each value is not null, for every column. pandas: `df.notna()`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn is_not_null(&self) -> Result<DataFrame> {
        columns::every("is_not_null", self.as_frame(), columns::Which::All, Expr::is_not_null)
    }

    /// The numeric columns rounded; see [`round`](super::ExprMethods::round). pandas: `df.round(decimals)`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn round(&self, decimals: i32) -> Result<DataFrame> {
        let round = |value: Expr| super::ExprMethods::round(value, decimals);
        columns::every("round", self.as_frame(), columns::Which::Numeric, round)
    }

    /// The absolute values of the numeric columns. pandas: `df.abs()`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn abs(&self) -> Result<DataFrame> {
        columns::every("abs", self.as_frame(), columns::Which::Numeric, super::ExprMethods::abs)
    }

    /// The numeric columns kept between two values; see [`clip`](super::ExprMethods::clip).
    /// pandas: `df.clip(low, high)`.
    ///
    /// # Errors
    /// A frame without numbers.
    fn clip(&self, low: Expr, high: Expr) -> Result<DataFrame> {
        let clip = |value: Expr| super::ExprMethods::clip(value, low.clone(), high.clone());
        columns::every("clip", self.as_frame(), columns::Which::Numeric, clip)
    }

    /// The columns of some types only. pandas: `df.select_dtypes(...)`.
    ///
    /// ```
    /// use trefoil_frames::frame::FrameMethods;
    /// # let session = trefoil_plan::Session::local()?;
    /// # session.block_on(async {
    /// let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    /// let numbers = diamonds.select_dtypes(|data_type| data_type.is_numeric())?;
    /// assert_eq!(numbers.columns().len(), 7);
    /// # Ok::<(), trefoil_plan::Error>(()) })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// No column of these types.
    fn select_dtypes(&self, keep: impl Fn(&DataType) -> bool) -> Result<DataFrame> {
        columns::select_dtypes(self.as_frame(), keep)
    }

    /// The rows for which a condition written as SQL holds: `query("price > 100 AND cut = 'Ideal'")`.
    /// pandas: `df.query("price > 100 and cut == 'Ideal'")`.
    ///
    /// # Errors
    /// Text that is no SQL expression, unknown columns, a condition that is not a mask.
    fn query(&self, condition: &str) -> Result<DataFrame> {
        rows::query(self.as_frame(), condition)
    }

    /// The row with the largest value of a column, any of equal ones.
    /// pandas: `df.loc[df[column].idxmax()]`.
    ///
    /// # Errors
    /// An unknown column.
    fn row_of_max(&self, column: &str) -> Result<DataFrame> {
        self.nlargest(1, [column])
    }

    /// The row with the smallest value of a column; see [`row_of_max`](FrameMethods::row_of_max).
    /// pandas: `df.loc[df[column].idxmin()]`.
    ///
    /// # Errors
    /// An unknown column.
    fn row_of_min(&self, column: &str) -> Result<DataFrame> {
        self.nsmallest(1, [column])
    }

    /// The smallest value of every column, in one row. pandas: `df.min()`.
    ///
    /// # Errors
    /// A column whose values have no order.
    fn min(&self) -> Result<DataFrame> {
        summary::each("min", self.as_frame(), columns::Which::All, super::ExprMethods::min)
    }

    /// The largest value of every column, in one row. pandas: `df.max()`.
    ///
    /// # Errors
    /// A column whose values have no order.
    fn max(&self) -> Result<DataFrame> {
        summary::each("max", self.as_frame(), columns::Which::All, super::ExprMethods::max)
    }

    /// The rows of this frame and of `others`; see [`concat`](super::concat).
    /// pandas: `pd.concat([df, *others])`.
    ///
    /// # Errors
    /// As [`concat`](super::concat).
    fn concat<'a>(&'a self, others: impl IntoIterator<Item = &'a DataFrame>) -> Result<DataFrame> {
        let frames: Vec<&DataFrame> = std::iter::once(self.as_frame()).chain(others).collect();
        join::concat("concat", &frames)
    }

    /// Prefixes the names of all columns. pandas: `df.add_prefix(prefix)`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn add_prefix(&self, prefix: &str) -> Result<DataFrame> {
        columns::rename_all("add_prefix", self.as_frame(), |name| format!("{prefix}{name}"))
    }

    /// Appends to the names of all columns. pandas: `df.add_suffix(suffix)`.
    ///
    /// # Errors
    /// Two columns of one name.
    fn add_suffix(&self, suffix: &str) -> Result<DataFrame> {
        columns::rename_all("add_suffix", self.as_frame(), |name| format!("{name}{suffix}"))
    }

    /// All columns but `ids` stacked on one another: a row per value that is not null, with `variable` and
    /// `value`; the other way is [`unstack`](super::FrameReports::unstack).
    /// pandas: `df.set_index(ids).stack()`.
    ///
    /// # Errors
    /// As [`melt`](FrameMethods::melt).
    fn stack<S: AsRef<str>>(&self, ids: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        reshape::stack(self.as_frame(), owned(ids))
    }

    /// From wide to long: one row per row and value column, with `variable` and `value`.
    /// pandas: `df.melt(id_vars=ids, value_vars=values)`.
    ///
    /// # Errors
    /// Unknown columns, value columns without a common type, an empty list of value columns.
    fn melt<S: AsRef<str>, T: AsRef<str>>(
        &self,
        ids: impl IntoIterator<Item = S>,
        values: impl IntoIterator<Item = T>,
    ) -> Result<DataFrame> {
        reshape::melt(self.as_frame(), owned(ids), owned(values))
    }

    /// From long to wide: a row per distinct `index`, a column per distinct value of `columns` (in order, null
    /// aside), cells that aggregate `values`, null where there are no rows. Looks at the data once, to know the
    /// columns. pandas: `df.pivot_table(index=..., columns=..., values=..., aggfunc=...)`.
    ///
    /// # Errors
    /// Unknown columns, types that do not fit, no values to make columns of, and what running the frame
    /// can raise.
    fn pivot_table<S: AsRef<str>>(
        &self,
        index: impl IntoIterator<Item = S>,
        columns: &str,
        values: &str,
        aggregation: Aggregation,
    ) -> impl Future<Output = Result<DataFrame>> + Send {
        let (frame, index) = (self.as_frame().clone(), owned(index));
        let pivot = Pivot::new(index, [columns]).value(values, [aggregation]);
        async move { pivot::run("pivot_table", &frame, &pivot).await }
    }

    /// The same with several keys, values and aggregations, a value for empty cells, and margins; see [`Pivot`].
    /// pandas: `df.pivot_table(values=[...], aggfunc=[...], fill_value=..., margins=True)`.
    ///
    /// # Errors
    /// As [`pivot_table`](FrameMethods::pivot_table), nothing to put into the cells, a value to fill with that is of
    /// another kind.
    fn pivot_table_with(&self, how: &Pivot) -> impl Future<Output = Result<DataFrame>> + Send {
        let (frame, how) = (self.as_frame().clone(), how.clone());
        async move { pivot::run("pivot_table_with", &frame, &how).await }
    }

    /// Looks once at every text column and remembers its distinct values with the plan, which
    /// [`get_dummies`](FrameMethods::get_dummies) needs. pandas: `df.astype("category")` for each.
    ///
    /// The categories are kept as field metadata ([`CATEGORIES`](super::CATEGORIES)); they survive filters,
    /// sorts, joins, renames, `persist` and SQL, and are forgotten when a column is computed anew.
    ///
    /// # Errors
    /// What running the frame can raise.
    fn categorize(&self) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        async move { categories::categorize(&frame, None).await }
    }

    /// The same for some columns only. pandas: `df.astype({name: "category"})`.
    ///
    /// # Errors
    /// Unknown columns, columns that are not text, an empty list, and what running the frame can raise.
    fn categorize_of<S: AsRef<str>>(
        &self,
        columns: impl IntoIterator<Item = S>,
    ) -> impl Future<Output = Result<DataFrame>> + Send {
        let (frame, columns) = (self.as_frame().clone(), owned(columns));
        async move { categories::categorize(&frame, Some(columns)).await }
    }

    /// One-hot encodes every text column: the other columns first, then a mask `cut_Ideal` per category,
    /// in order; null belongs to none. pandas: `pd.get_dummies(df)`.
    ///
    /// # Errors
    /// Categories that are not known (`categorize().await` first), duplicate names.
    fn get_dummies(&self) -> Result<DataFrame> {
        categories::get_dummies("get_dummies", self.as_frame(), &Dummies::new())
    }

    /// One-hot encodes some columns. pandas: `pd.get_dummies(df, columns=[...])`.
    ///
    /// # Errors
    /// As [`get_dummies`](FrameMethods::get_dummies), and unknown columns or an empty list.
    fn get_dummies_of<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        categories::get_dummies("get_dummies_of", self.as_frame(), &Dummies::new().columns(owned(columns)))
    }

    /// One-hot encodes with other names, without the first category, with a column for null, as numbers; see
    /// [`Dummies`]. pandas: `pd.get_dummies(df, prefix=..., drop_first=True, dummy_na=True, dtype=...)`.
    ///
    /// # Errors
    /// As [`get_dummies_of`](FrameMethods::get_dummies_of), a prefix for a column that is not encoded, a type that is
    /// no number.
    fn get_dummies_with(&self, how: &Dummies) -> Result<DataFrame> {
        categories::get_dummies("get_dummies_with", self.as_frame(), how)
    }

    /// `round(fraction * rows)` rows drawn at random without replacement: the same ones for the same seed,
    /// however often and on however many partitions it is computed. pandas: `df.sample(frac=fraction)`.
    ///
    /// # Errors
    /// A fraction outside 0..=1, a frame that gives other rows every time (`random()`: persist it first).
    fn sample(&self, fraction: f64, seed: Seed) -> Result<DataFrame> {
        sample::draw("sample", self.as_frame(), &[], &Draw::share(fraction, seed))
    }

    /// `n` rows (or all) drawn at random without replacement; see [`sample`](FrameMethods::sample).
    /// pandas: `df.sample(n)`.
    ///
    /// # Errors
    /// A frame that gives other rows every time (`random()`: persist it first).
    fn sample_n(&self, n: usize, seed: Seed) -> Result<DataFrame> {
        sample::draw("sample_n", self.as_frame(), &[], &Draw::rows(n, seed))
    }

    /// Rows drawn with replacement, or with weights; see [`Draw`]. Within groups:
    /// [`GroupBy::sample`]. pandas: `df.sample(..., replace=True, weights=...)`.
    ///
    /// # Errors
    /// As [`sample`](FrameMethods::sample), weights that are no numbers.
    fn sample_with(&self, how: &Draw) -> Result<DataFrame> {
        sample::draw("sample_with", self.as_frame(), &[], how)
    }

    /// Splits the rows at random in two: first the larger `train`, then `test` with
    /// `ceil(fraction * rows)` rows. scikit-learn: `train_test_split(df, test_size=fraction)`.
    ///
    /// The parts have no row in common and miss none, whether they are computed together or apart, often
    /// or once, on 1 or 100 partitions: rows are ordered by a hash of their values and the seed, and the
    /// first are drawn (equal rows are interchangeable). The rows of the frame itself must not change
    /// between computations: persist the result of unsorted `head`, or of floating-point sums whose last
    /// digits depend on the order of addition. Costs a sort and a count.
    ///
    /// # Errors
    /// A fraction outside 0..=1, a frame that gives other rows every time (`random()`: persist it first).
    fn train_test_split(&self, fraction: f64, seed: Seed) -> Result<(DataFrame, DataFrame)> {
        sample::split(self.as_frame(), fraction, seed)
    }
}

impl FrameMethods for DataFrame {}
