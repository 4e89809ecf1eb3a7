//! Expressions that are computed in another way, with the same result.
//!
//! [`Decimals`] calculates decimals in 64 bits where their digits fit, [`Pieces`] looks for the pieces of a LIKE pattern
//! instead of running a regular expression. [`Kernels`] puts them into projections, filters and the arguments of
//! aggregates. It runs when the plan is complete, so whoever looks for DataFusion's expressions (pruning of files,
//! estimates) has seen them; predicates of scans stay as they are.

mod decimals;
mod pieces;

use super::OptimizeOptions;
use super::replace::replaced;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, LikeExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use decimals::Decimals;
pub(super) use pieces::Pieces;
use std::sync::Arc;

/// Which of the two.
#[derive(Clone, Copy)]
struct Wanted {
    decimals: bool,
    like: bool,
}

/// Puts [`Decimals`] and [`Pieces`] where they fit.
#[derive(Debug)]
pub(crate) struct Kernels;

impl PhysicalOptimizerRule for Kernels {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = OptimizeOptions::of(config);
        let wanted = Wanted { decimals: options.small_decimals, like: options.like_pieces };
        if !wanted.decimals && !wanted.like {
            return Ok(plan);
        }
        Ok(replaced(&plan, &|node| own(node, wanted))?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "kernels"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The operator with other expressions of its own.
fn own(plan: &Arc<dyn ExecutionPlan>, wanted: Wanted) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let schema = projection.input().schema();
        let (mut exprs, mut changed) = (projection.expr().to_vec(), false);
        for ProjectionExpr { expr, .. } in &mut exprs {
            if let Some(other) = rewritten(expr, &schema, wanted)? {
                *expr = other;
                changed = true;
            }
        }
        if changed {
            return Ok(Some(Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?)));
        }
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        if let Some(predicate) = rewritten(filter.predicate(), &filter.input().schema(), wanted)? {
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
            return Ok(Some(Arc::new(filter)));
        }
    } else if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return arguments(aggregate, wanted);
    }
    Ok(None)
}

fn arguments(aggregate: &AggregateExec, wanted: Wanted) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let raw = matches!(aggregate.mode().input_mode(), AggregateInputMode::Raw);
    if !raw || !aggregate.dynamic_expressions_produced().is_empty() {
        return Ok(None);
    }
    let schema = aggregate.input_schema();
    let (mut functions, mut changed) = (aggregate.aggr_expr().to_vec(), false);
    for function in &mut functions {
        let (mut arguments, mut other) = (function.expressions(), false);
        for argument in &mut arguments {
            if let Some(expr) = rewritten(argument, &schema, wanted)? {
                *argument = expr;
                other = true;
            }
        }
        // Those that depend on an order, or read backwards, carry more than their arguments.
        if other
            && function.order_bys().is_empty()
            && !function.is_reversed()
            && let Some(new) = function.with_new_expressions(arguments, Vec::new())
        {
            *function = Arc::new(new);
            changed = true;
        }
    }
    Ok(changed.then(|| Arc::new(aggregate.with_new_aggr_exprs(functions)) as Arc<dyn ExecutionPlan>))
}

/// None if nothing of the expression changes.
fn rewritten(
    expr: &Arc<dyn PhysicalExpr>,
    schema: &Schema,
    wanted: Wanted,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let other = Arc::clone(expr).transform_up(|part| {
        let other = if let Some(binary) = part.downcast_ref::<BinaryExpr>().filter(|_| wanted.decimals) {
            Decimals::of(binary, schema)
        } else if let Some(like) = part.downcast_ref::<LikeExpr>().filter(|_| wanted.like) {
            Pieces::of(like, schema)
        } else {
            None
        };
        Ok(other.map_or_else(|| Transformed::no(part), Transformed::yes))
    })?;
    Ok(other.transformed.then_some(other.data))
}
