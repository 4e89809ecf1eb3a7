//! Guesses of how many rows a plan gives and how many different values its columns have.
//!
//! Parquet files tell rows, least and greatest values. A whole-number column has at most as many values as its
//! range and as its table has rows, one of single letters has three; other columns may be different in every row. Filters are judged by
//! [`selectivity`](super::selectivity). Where nothing is known of the rows there is no guess.

use super::selectivity::{number, selectivity};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column as ColumnExpr, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use std::sync::Arc;

/// Different values of a column of texts of one letter: a flag or a state.
const LETTERS: f64 = 3.0;

/// What is guessed of a plan's output.
#[derive(Clone, Debug)]
pub(super) struct Estimate {
    pub(super) rows: f64,
    /// Before filters: what the numbers of distinct values refer to.
    pub(super) base: f64,
    pub(super) columns: Vec<Column>,
}

impl Estimate {
    fn unknown(&self) -> Column {
        Column { distinct: self.base, range: None, is_one: false }
    }
}

/// What is guessed of a column before filters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) distinct: f64,
    /// Least and greatest value, of numbers and dates.
    pub(super) range: Option<(f64, f64)>,
    /// Whether a filter leaves one value of it.
    pub(super) is_one: bool,
}

/// None where the files do not tell.
pub(super) fn estimate(plan: &Arc<dyn ExecutionPlan>) -> Option<Estimate> {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let mut input = estimate(filter.input())?;
        let kept = selectivity(filter.predicate(), &input.columns);
        input.rows = (input.rows * kept).max(1.0);
        for part in split_conjunction(filter.predicate()) {
            if let Some(column) = equated(part).and_then(|at| input.columns.get_mut(at)) {
                column.is_one = true;
            }
        }
        if let Some(projection) = filter.projection() {
            input.columns = projection.iter().filter_map(|at| input.columns.get(*at).copied()).collect();
        }
        return Some(input);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let input = estimate(projection.input())?;
        let columns = projection.expr().iter().map(|item| of_expr(&item.expr, &input)).collect();
        return Some(Estimate { columns, ..input });
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return of_aggregate(aggregate);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return hash_join(join);
    }
    if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
        let (left, right) = (estimate(join.left())?, estimate(join.right())?);
        let columns = [left.columns, right.columns].concat();
        return Some(Estimate { rows: left.rows * right.rows, base: left.base * right.base, columns });
    }
    match plan.children()[..] {
        [] => leaf(plan),
        // Whatever it is, it hands rows on or leaves some out.
        [child] if child.schema().fields().len() == plan.schema().fields().len() => estimate(child),
        _ => leaf(plan),
    }
}

/// Of groups, partial or not.
pub(super) fn of_aggregate(aggregate: &AggregateExec) -> Option<Estimate> {
    let input = estimate(aggregate.input())?;
    let groups: Vec<Column> =
        aggregate.group_expr().expr().iter().map(|(expr, _)| of_expr(expr, &input)).collect();
    let rows = groups.iter().map(|group| group.distinct).product::<f64>().min(input.rows).max(1.0);
    let width = aggregate.schema().fields().len();
    let columns = (0..width)
        .map(|at| Column {
            is_one: groups.get(at).is_some_and(|g| g.is_one),
            range: groups.get(at).and_then(|g| g.range),
            distinct: groups.get(at).map_or(rows, |g| g.distinct.min(rows)),
        })
        .collect();
    Some(Estimate { rows, base: rows, columns })
}

/// As many pairs as if every key of one side were among those of the other.
fn hash_join(join: &HashJoinExec) -> Option<Estimate> {
    let (left, right) = (estimate(join.left())?, estimate(join.right())?);
    let pairs = join
        .on()
        .iter()
        .map(|(mine, theirs)| of_expr(mine, &left).distinct.min(of_expr(theirs, &right).distinct));
    let keys = pairs.product::<f64>().min(left.base).min(right.base).max(1.0);
    let matched = |rows: f64, others: f64| (rows * (others / keys).min(1.0)).max(1.0);
    let inner = (left.rows * right.rows / keys).max(1.0);
    let (rows, base) = match join.join_type() {
        JoinType::Inner => (inner, left.base.max(right.base)),
        JoinType::LeftSemi => (matched(left.rows, right.rows), left.base),
        JoinType::RightSemi => (matched(right.rows, left.rows), right.base),
        JoinType::LeftAnti | JoinType::LeftMark => (left.rows, left.base),
        JoinType::RightAnti | JoinType::RightMark => (right.rows, right.base),
        JoinType::Left => (inner.max(left.rows), left.base),
        JoinType::Right => (inner.max(right.rows), right.base),
        JoinType::Full => (inner.max(left.rows).max(right.rows), left.base.max(right.base)),
    };
    let mark = Column { distinct: 2.0, range: None, is_one: false };
    let columns = match join.join_type() {
        JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
        JoinType::RightSemi | JoinType::RightAnti => right.columns,
        JoinType::LeftMark => [left.columns, vec![mark]].concat(),
        JoinType::RightMark => [right.columns, vec![mark]].concat(),
        _ => [left.columns, right.columns].concat(),
    };
    let columns = match &join.projection {
        Some(projection) => projection.iter().filter_map(|at| columns.get(*at).copied()).collect(),
        None => columns,
    };
    Some(Estimate { rows, base, columns })
}

fn leaf(plan: &Arc<dyn ExecutionPlan>) -> Option<Estimate> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
    let rows = known(&statistics.num_rows)? as f64;
    let fields = plan.schema().fields().clone();
    let columns = statistics
        .column_statistics
        .iter()
        .zip(fields.iter())
        .map(|(column, field)| {
            let least = column.min_value.get_value().and_then(number);
            let range = least.zip(column.max_value.get_value().and_then(number));
            let whole = field.data_type().is_integer() || matches!(field.data_type(), DataType::Date32);
            let distinct = match (known(&column.distinct_count), range) {
                (Some(distinct), _) => distinct as f64,
                (None, Some((least, greatest))) if whole => rows.min(greatest - least + 1.0),
                (None, _) if is_letter(&column.min_value) && is_letter(&column.max_value) => {
                    rows.min(LETTERS)
                }
                (None, _) => rows,
            };
            Column { distinct: distinct.max(1.0), range, is_one: false }
        })
        .collect();
    Some(Estimate { rows: rows.max(1.0), base: rows.max(1.0), columns })
}

fn is_letter(value: &Precision<ScalarValue>) -> bool {
    let text = value.get_value().and_then(|value| value.try_as_str().flatten());
    text.is_some_and(|text| text.len() <= 1)
}

/// The column that a condition lets have one value.
fn equated(condition: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    let binary = condition.downcast_ref::<BinaryExpr>().filter(|binary| binary.op() == &Operator::Eq)?;
    let column = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<ColumnExpr>().map(ColumnExpr::index);
    match (column(binary.left()), column(binary.right())) {
        (Some(at), None) if binary.right().is::<Literal>() => Some(at),
        (None, Some(at)) if binary.left().is::<Literal>() => Some(at),
        _ => None,
    }
}

fn known(value: &Precision<usize>) -> Option<usize> {
    value.get_value().copied()
}

/// A calculation has at most as many values as there are combinations of what it reads.
pub(super) fn of_expr(expr: &Arc<dyn PhysicalExpr>, input: &Estimate) -> Column {
    if let Some(column) = expr.downcast_ref::<ColumnExpr>() {
        return input.columns.get(column.index()).copied().unwrap_or(input.unknown());
    }
    let read = collect_columns(expr);
    let read = || read.iter().filter_map(|column| input.columns.get(column.index()));
    let distinct = read().map(|column| column.distinct).product::<f64>().min(input.base);
    Column { distinct, range: None, is_one: read().all(|column| column.is_one) }
}
