//! Filters over groups of all rows that ask nothing of them.
//!
//! `SELECT * FROM (SELECT count(*), 1 AS part FROM t) WHERE part = 2` has no rows. DataFusion pushes a filter below an aggregate if
//! all its columns are keys, which is so of no columns at all: the count is then one of no rows, and is given. This
//! rule decides such a filter before.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{EmptyRelation, Expr, Filter, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct ConstantFilters;

impl OptimizerRule for ConstantFilters {
    fn name(&self) -> &str {
        "constant_filters"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let (mut kept, mut changed) = (Vec::new(), false);
        for part in split_conjunction_owned(filter.predicate.clone()) {
            let Some(constant) = constant(part.clone(), &filter.input)? else {
                kept.push(part);
                continue;
            };
            let context = SimplifyContext::builder()
                .with_schema(Arc::new(DFSchema::empty()))
                .with_config_options(config.options())
                .with_query_execution_start_time(config.query_execution_start_time())
                .build();
            match ExprSimplifier::new(context).simplify(constant)? {
                Expr::Literal(ScalarValue::Boolean(Some(true)), _) => changed = true,
                Expr::Literal(..) => {
                    let schema = Arc::clone(filter.input.schema());
                    let none = EmptyRelation { produce_one_row: false, schema };
                    return Ok(Transformed::yes(LogicalPlan::EmptyRelation(none)));
                }
                _ => kept.push(part),
            }
        }
        if !changed {
            return Ok(Transformed::no(plan));
        }
        let input = Arc::clone(&filter.input);
        Ok(Transformed::yes(match conjunction(kept) {
            Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, input)?),
            None => Arc::unwrap_or_clone(input),
        }))
    }
}

/// The condition without columns, if it has none where it reaches the groups of all rows; none if it does not get there.
fn constant(condition: Expr, plan: &LogicalPlan) -> Result<Option<Expr>> {
    let is_open = |expr: &Expr| !expr.column_refs().is_empty() || asks(expr);
    match plan {
        LogicalPlan::Aggregate(groups) if groups.group_expr.is_empty() => {
            Ok((!is_open(&condition) && !condition.is_volatile()).then_some(condition))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let inner: Vec<Expr> = alias.input.schema().columns().into_iter().map(Expr::Column).collect();
            constant(placed(condition, &alias.schema, &inner)?, &alias.input)
        }
        LogicalPlan::Projection(projection) => {
            constant(placed(condition, &projection.schema, &projection.expr)?, &projection.input)
        }
        LogicalPlan::Filter(filter) => constant(condition, &filter.input),
        _ => Ok(None),
    }
}

/// Whether it asks something that is not known here.
fn asks(expr: &Expr) -> bool {
    let is_one = |expr: &Expr| {
        let inner = matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::OuterReferenceColumn(..)
        );
        Ok(inner || matches!(expr, Expr::Placeholder(_)))
    };
    expr.exists(is_one).unwrap_or(true)
}

/// The condition with what the columns of `schema` are.
fn placed(condition: Expr, schema: &DFSchema, exprs: &[Expr]) -> Result<Expr> {
    condition
        .transform_up(|expr| {
            let at = match &expr {
                Expr::Column(column) => schema.maybe_index_of_column(column),
                _ => None,
            };
            Ok(match at.and_then(|at| exprs.get(at)) {
                Some(expr) => Transformed::new(expr.clone().unalias(), true, TreeNodeRecursion::Continue),
                None => Transformed::no(expr),
            })
        })
        .data()
}
