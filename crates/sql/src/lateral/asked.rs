//! Sub-queries in expressions, where DataFusion's rules leave them.
//!
//! DataFusion joins most `EXISTS`, `IN` and scalar sub-queries of filters, and scalar ones that compare for equality in a
//! select list. [`Asked`] comes after those rules and makes what is left, in filters, select lists, groups, aggregates and
//! the conditions of inner joins, a join with a `LATERAL` sub-query of one row, which [`Laterals`](super::Laterals) takes
//! apart:
//!
//! ```text
//! EXISTS (q)            count(*) of q, above 0
//! x IN (q)              the greatest of 2 (equal), 1 (unknown) and 0 over q
//! x IN (q) without      its different values joined by x, and how many rows and nulls q has
//!   outer columns
//! (SELECT count(..) ..) the row itself
//! ```

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Expr, FetchType, Filter, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, lit, when,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The rule; it stands between DataFusion's, which take sub-queries apart, and the one for `LATERAL`.
#[derive(Debug)]
pub(super) struct Asked {
    /// Whether it stands before them, and only makes filters of conditions and knows what always has a row.
    pub(super) before: bool,
}

impl OptimizerRule for Asked {
    fn name(&self) -> &str {
        if self.before { "asked_before" } else { "asked" }
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if self.before {
            return before(plan);
        }
        match plan {
            LogicalPlan::Projection(projection) if projection.expr.iter().any(asks) => {
                Ok(Transformed::yes(in_projection(projection, config)?))
            }
            LogicalPlan::Filter(filter) if asks(&filter.predicate) => {
                Ok(Transformed::yes(in_filter(filter, config)?))
            }
            LogicalPlan::Aggregate(aggregate)
                if aggregate.group_expr.iter().chain(&aggregate.aggr_expr).any(asks) =>
            {
                in_aggregate(aggregate, config)
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn before(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let known = plan.map_expressions(|expr| {
        expr.transform(|expr| match expr {
            Expr::Exists(Exists { ref subquery, negated }) if always_has_a_row(&subquery.subquery) => {
                Ok(Transformed::yes(lit(!negated)))
            }
            other => Ok(Transformed::no(other)),
        })
    })?;
    known.transform_data(|plan| {
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        if join.join_type != JoinType::Inner || !join.filter.as_ref().is_some_and(has_any) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let filter = join.filter.take().into_iter().flat_map(split_conjunction_owned);
        let (above, here): (Vec<Expr>, Vec<Expr>) = filter.partition(has_any);
        join.filter = conjunction(here);
        let joined = LogicalPlan::Join(join);
        Ok(Transformed::yes(match conjunction(above) {
            Some(above) => LogicalPlan::Filter(Filter::try_new(above, Arc::new(joined))?),
            None => joined,
        }))
    })
}

/// Whether a plan has a row whatever it reads: an aggregate of all rows. DataFusion looks for the rows below it.
fn always_has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) => {
            plan.inputs().into_iter().all(always_has_a_row)
        }
        _ => false,
    }
}

/// Whether an expression has a sub-query.
fn has_any(expr: &Expr) -> bool {
    let found = expr
        .exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_))));
    found.unwrap_or(false)
}

/// Whether an expression has a sub-query that DataFusion leaves in it.
fn asks(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_asked(expr))).unwrap_or(false)
}

fn is_asked(expr: &Expr) -> bool {
    match expr {
        Expr::Exists(_) => true,
        Expr::InSubquery(found) => !has_outer(&found.expr),
        Expr::ScalarSubquery(subquery) => {
            !subquery.outer_ref_columns.is_empty() && has_one_row(&subquery.subquery)
        }
        _ => false,
    }
}

fn has_outer(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..)))).unwrap_or(true)
}

/// Whether a plan has at most one row, whatever it reads.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Limit(limit) => {
            matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1))))
                || plan.inputs().into_iter().all(has_one_row)
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Distinct(_) => plan.inputs().into_iter().all(has_one_row),
        _ => false,
    }
}

fn in_projection(projection: Projection, config: &dyn OptimizerConfig) -> Result<LogicalPlan> {
    let names = NamePreserver::new_for_projection();
    let mut input = Arc::unwrap_or_clone(projection.input);
    let mut exprs = Vec::with_capacity(projection.expr.len());
    for expr in projection.expr {
        let name = names.save(&expr);
        let made = expr.transform_up(|expr| answer(expr, &mut input, config))?.data;
        exprs.push(name.restore(made));
    }
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
}

fn in_filter(filter: Filter, config: &dyn OptimizerConfig) -> Result<LogicalPlan> {
    let columns = filter.input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut input = Arc::unwrap_or_clone(filter.input);
    let predicate = filter.predicate.transform_up(|expr| answer(expr, &mut input, config))?.data;
    let kept = Filter::try_new(predicate, Arc::new(input))?;
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Filter(kept)))?))
}

/// The sub-queries become columns of a projection below the groups.
fn in_aggregate(aggregate: Aggregate, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let mut columns: Vec<Expr> = aggregate.input.schema().columns().into_iter().map(Expr::Column).collect();
    let names = NamePreserver::new_for_projection();
    let mut lift = |expr: Expr| -> Result<Expr> {
        let name = names.save(&expr);
        let made = expr.transform_up(|expr| {
            if !is_asked(&expr) {
                return Ok(Transformed::no(expr));
            }
            let column = config.alias_generator().next("#asked");
            columns.push(expr.alias(column.clone()));
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column))))
        })?;
        Ok(name.restore(made.data))
    };
    let groups = aggregate.group_expr.into_iter().map(&mut lift).collect::<Result<Vec<_>>>()?;
    let aggregates = aggregate.aggr_expr.into_iter().map(&mut lift).collect::<Result<Vec<_>>>()?;
    let below = in_projection(Projection::try_new(columns, aggregate.input)?, config)?;
    let made = Aggregate::try_new(Arc::new(below), groups, aggregates)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(made)))
}

/// Joins a sub-query to the input, and gives what stands for it.
fn answer(expr: Expr, input: &mut LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<Expr>> {
    if !is_asked(&expr) {
        return Ok(Transformed::no(expr));
    }
    let table = config.alias_generator().next("#asked");
    Ok(Transformed::yes(match expr {
        Expr::Exists(Exists { subquery, negated }) => {
            let rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
                .aggregate(Vec::<Expr>::new(), [count(lit(1_i64)).alias("#n")])?
                .build()?;
            beside(input, rows, &subquery, &table)?;
            let rows = column(&table, "#n");
            if negated { rows.eq(lit(0_i64)) } else { rows.gt(lit(0_i64)) }
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            if subquery.outer_ref_columns.is_empty() {
                among(input, *expr, negated, &subquery, &table)?
            } else {
                compared(input, *expr, negated, &subquery, &table)?
            }
        }
        Expr::ScalarSubquery(subquery) => {
            let name = subquery.subquery.schema().field(0).name().clone();
            let rows = subquery.subquery.as_ref().clone();
            beside_kind(input, rows, &subquery, &table, JoinType::Left)?;
            column(&table, &name)
        }
        other => other,
    }))
}

fn column(table: &str, name: &str) -> Expr {
    Expr::Column(Column::new(Some(table.to_owned()), name))
}

/// Puts a plan of one row beside each row of the input, once if it refers to none of its columns.
fn beside(input: &mut LogicalPlan, rows: LogicalPlan, subquery: &Subquery, table: &str) -> Result<()> {
    beside_kind(input, rows, subquery, table, JoinType::Inner)
}

fn beside_kind(
    input: &mut LogicalPlan,
    rows: LogicalPlan,
    subquery: &Subquery,
    table: &str,
    kind: JoinType,
) -> Result<()> {
    let rows = if subquery.outer_ref_columns.is_empty() {
        rows
    } else {
        LogicalPlan::Subquery(Subquery { subquery: Arc::new(rows), ..subquery.clone() })
    };
    let rows = LogicalPlanBuilder::from(rows).alias(table)?.build()?;
    *input = LogicalPlanBuilder::from(input.clone()).join_on(rows, kind, [lit(true)])?.build()?;
    Ok(())
}

/// `x IN (q)` of a `q` that refers outside: each of its rows is equal, unknown or neither.
fn compared(
    input: &mut LogicalPlan,
    x: Expr,
    negated: bool,
    subquery: &Subquery,
    table: &str,
) -> Result<Expr> {
    let schema = Arc::clone(input.schema());
    let mut outer = subquery.outer_ref_columns.clone();
    let x = x.transform_up(|expr| {
        let Expr::Column(column) = expr else { return Ok(Transformed::no(expr)) };
        let (_, field) = schema.qualified_field_from_column(&column)?;
        let reference = Expr::OuterReferenceColumn(Arc::clone(field), column);
        if !outer.contains(&reference) {
            outer.push(reference.clone());
        }
        Ok(Transformed::yes(reference))
    })?;
    let Some(y) = subquery.subquery.schema().columns().into_iter().next() else { return Ok(lit(false)) };
    let test = x.data.eq(Expr::Column(y));
    let rank =
        when(test.clone().is_true(), lit(2_i64)).when(test.is_null(), lit(1_i64)).otherwise(lit(0_i64))?;
    let rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
        .project([rank.alias("#rank")])?
        .aggregate(Vec::<Expr>::new(), [max(Expr::Column(Column::new_unqualified("#rank"))).alias("#n")])?
        .build()?;
    let marked = Subquery { outer_ref_columns: outer, ..subquery.clone() };
    beside(input, rows, &marked, table)?;
    // No rows have no rank. What is unknown is false, in it and not in it, as in Spark.
    let rank = when(column(table, "#n").is_null(), lit(0_i64)).otherwise(column(table, "#n"))?;
    Ok(rank.eq(lit(if negated { 0_i64 } else { 2_i64 })))
}

/// `x IN (q)` of a `q` by itself: a join of its different values, and whether it has rows and nulls.
fn among(input: &mut LogicalPlan, x: Expr, negated: bool, subquery: &Subquery, table: &str) -> Result<Expr> {
    let Some(y) = subquery.subquery.schema().columns().into_iter().next() else { return Ok(lit(false)) };
    let y = Expr::Column(y);
    let (values, all) = (format!("{table}_values"), format!("{table}_all"));
    let rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    let distinct =
        rows.clone().project([y.clone().alias("#y")])?.distinct()?.alias(values.as_str())?.build()?;
    let numbers = [count(lit(1_i64)).alias("#rows"), count(y).alias("#known")];
    let numbers = rows.aggregate(Vec::<Expr>::new(), numbers)?.alias(all.as_str())?.build()?;
    let found = column(&values, "#y");
    *input = LogicalPlanBuilder::from(input.clone())
        .join_on(distinct, JoinType::Left, [x.clone().eq(found.clone())])?
        .join_on(numbers, JoinType::Inner, [lit(true)])?
        .build()?;
    // What is unknown is false, in it and not in it, as in Spark.
    if !negated {
        return Ok(found.is_not_null());
    }
    let (rows, known) = (column(&all, "#rows"), column(&all, "#known"));
    let differs = found.is_null().and(x.is_not_null()).and(known.eq(rows.clone()));
    Ok(rows.eq(lit(0_i64)).or(differs))
}
