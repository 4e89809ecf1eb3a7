//! Rows grouped into equal lengths of time, the empty ones included.
//!
//! The bins that hold rows are aggregated; a second small plan makes all bins between the first and the last
//! and takes the figures from there. The rows are therefore read twice: `persist` first what is expensive.

use super::check::{self, Named, invalid};
use super::expr::{Expr, ExprMethods, asc, desc, lit};
use super::group::GroupBy;
use super::join::{self, Join, JoinKind};
use super::span::Span;
use super::{columns, rows};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, UnnestOptions};
use datafusion::functions::datetime::expr_fn::date_bin;
use datafusion::functions::expr_fn::to_local_time;
use datafusion::functions_nested::range::gen_series;
use datafusion::logical_expr::expr::AggregateFunction;
use trefoil_plan::{DataFrame, Result, plan_error};

/// Rows grouped by time, waiting for an aggregation; from [`resample`](super::FrameMethods::resample).
///
/// The result is sorted by the time column, which holds the start of each bin. Bins of a fixed length start
/// at multiples of it since 1970 (weeks on Mondays), calendar ones with a month; days and longer ones by the
/// clock of the column's zone. In an empty bin counts are 0 and everything else is null (pandas: sums are 0).
#[derive(Clone, Debug)]
#[must_use = "a group does nothing until it is aggregated"]
pub struct Resample {
    frame: DataFrame,
    time: String,
    span: Span,
}

impl Resample {
    pub(super) fn new(frame: &DataFrame, time: &str, span: Span) -> Self {
        Resample { frame: frame.clone(), time: time.to_owned(), span }
    }

    /// Computes aggregations per bin. pandas: `.agg(...)`.
    ///
    /// # Errors
    /// An unknown column, one that is no date or timestamp, text that is no length of time, and what
    /// [`GroupBy::agg`] reports.
    pub fn agg(&self, aggregations: impl IntoIterator<Item = Expr>) -> Result<DataFrame> {
        let aggregations = aggregations.into_iter().map(|e| (check::output_name(&e), e)).collect();
        self.run("resample", aggregations)
    }

    /// The sum of columns per bin. pandas: `.sum(min_count=1)`.
    ///
    /// # Errors
    /// As [`agg`](Resample::agg).
    pub fn sum<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each(columns, ExprMethods::sum)
    }

    /// The mean of columns per bin. pandas: `.mean()`.
    ///
    /// # Errors
    /// As [`agg`](Resample::agg).
    pub fn mean<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each(columns, ExprMethods::mean)
    }

    /// The smallest value of columns per bin. pandas: `.min()`.
    ///
    /// # Errors
    /// As [`agg`](Resample::agg).
    pub fn min<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each(columns, ExprMethods::min)
    }

    /// The largest value of columns per bin. pandas: `.max()`.
    ///
    /// # Errors
    /// As [`agg`](Resample::agg).
    pub fn max<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each(columns, ExprMethods::max)
    }

    /// How many values of columns per bin are not null. pandas: `.count()`.
    ///
    /// # Errors
    /// As [`agg`](Resample::agg).
    pub fn count<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        self.each(columns, ExprMethods::count)
    }

    /// The first, largest, smallest and last value of a column per bin, by time, as `open`, `high`, `low` and `close`.
    /// pandas: `["x"].ohlc()`.
    ///
    /// # Errors
    /// As [`agg`](Resample::agg).
    pub fn ohlc(&self, column: &str) -> Result<DataFrame> {
        check::find("ohlc", &self.frame, column)?;
        let value = || super::col(column);
        let outputs = [
            ("open", value().first_by(asc(&self.time))),
            ("high", value().max()),
            ("low", value().min()),
            ("close", value().first_by(desc(&self.time))),
        ];
        self.run("ohlc", outputs.map(|(name, expr)| (name.to_owned(), expr)).to_vec())
    }

    fn each<S: AsRef<str>>(
        &self,
        columns: impl IntoIterator<Item = S>,
        aggregation: fn(Expr) -> Expr,
    ) -> Result<DataFrame> {
        let columns = check::list("resample", &self.frame, columns)?;
        self.run("resample", columns.into_iter().map(|n| (n.clone(), aggregation(super::col(n)))).collect())
    }

    fn run(&self, op: &'static str, outputs: Vec<Named>) -> Result<DataFrame> {
        self.span.check(op)?;
        let (_, field) = check::find(op, &self.frame, &self.time)?;
        if !matches!(field.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) {
            let text = format!("`{}` is {}, not a time", self.time, field.data_type());
            return Err(
                check::mismatch(op, text).with_help("parse it first: `col(\"t\").str().to_timestamp()`")
            );
        }
        if outputs.is_empty() {
            return Err(invalid(op, "the list of aggregations is empty").with_help("give at least one"));
        }
        let counts: Vec<String> = outputs
            .iter()
            .filter(|(_, e)| matches!(e.clone().unalias(), Expr::AggregateFunction(AggregateFunction { func, .. }) if func.name() == "count"))
            .map(|(name, _)| name.clone())
            .collect();
        let kept = rows::dropna(op, &self.frame, vec![self.time.clone()])?;
        let stride = lit(self.span.interval());
        // Monday, 5 January 1970; multiples of everything shorter than a week fall together with the epoch
        let weeks = self.span.nanoseconds().is_some_and(|n| n % 604_800_000_000_000 == 0);
        let origin = if weeks { 4 * 86_400_000_000_000 } else { 0 };
        let origin = lit(ScalarValue::TimestampNanosecond(Some(origin), None));
        // days and longer are those of the clock on the wall; shorter ones are the same everywhere
        let zoned = matches!(field.data_type(), DataType::Timestamp(_, Some(_)));
        let local = zoned && self.span.nanoseconds().is_none_or(|n| n % 86_400_000_000_000 == 0);
        let time = super::col(&self.time);
        let time = if local { to_local_time(vec![time]) } else { time };
        let start = date_bin(stride.clone(), time, origin).alias(&self.time);
        let aggregations = outputs.into_iter().map(|(name, e)| e.unalias().alias(name));
        let binned = GroupBy::new(&kept, [start]).agg(aggregations)?;

        const BINS: &str = "__trefoil_bins";
        let time = super::col(&self.time);
        let ends = super::summary::agg(
            &binned,
            [time.clone().min().alias("first"), time.clone().max().alias("last")],
        )?;
        let series = gen_series(super::col("first"), super::col("last"), stride);
        let bins = check::project(op, &ends, vec![(BINS.to_owned(), series)])?;
        // no rows, no bins
        let some = UnnestOptions::new().with_preserve_nulls(false);
        let bins = bins.inner().clone().unnest_columns_with_options(&[BINS], some);
        let bins = bins.map_err(|e| plan_error(e, op))?;
        let bins = DataFrame::new(self.frame.session().clone(), bins);
        let (_, wanted) = check::find(op, &binned, &self.time)?;
        let bin = super::col(BINS).cast(wanted.data_type().clone());
        let bins = check::project(op, &bins, vec![(self.time.clone(), check::resolve(op, &bins, bin)?)])?;
        let all = join::join(op, &bins, &binned, &Join::on([&self.time], JoinKind::Left))?;
        let filled = counts
            .into_iter()
            .map(|name| {
                Ok((name.clone(), check::resolve(op, &all, super::col(&name).fill_null(lit(0_i64)))?))
            })
            .collect::<Result<Vec<_>>>()?;
        let all = if filled.is_empty() { all } else { columns::with_columns(op, &all, filled)? };
        let all = match local {
            true => {
                let instant = super::col(&self.time).cast(field.data_type().clone());
                columns::with_columns(
                    op,
                    &all,
                    vec![(self.time.clone(), check::resolve(op, &all, instant)?)],
                )?
            }
            false => all,
        };
        rows::sort(op, &all, [asc(&self.time)])
    }
}
