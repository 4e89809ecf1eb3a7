//! Keeps the parameters of lambdas apart from the columns around them.
//!
//! DataFusion 55.2 gives a lambda's parameter the place after the last column of the operator's input. Rules that
//! put an expression over another input renumber its columns and not the parameters: over an input with more
//! columns, the place of a parameter is that of a column, which is then read instead, or the query fails
//! (`LambdaVariable .. doesn't match batch field`). So the first rule of all moves the parameters to places no
//! input has. Only their order matters where a lambda runs, and that stays.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::LambdaVariable;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use std::sync::Arc;

/// How far the parameters are moved: further than a table has columns.
const APART: usize = 1 << 24;

/// Moves the parameters of lambdas in projections and filters, the operators whose expressions later rules move.
#[derive(Debug)]
pub(crate) struct LambdasApart;

fn is_near(expr: &Arc<dyn PhysicalExpr>) -> Option<&LambdaVariable> {
    expr.downcast_ref::<LambdaVariable>().filter(|variable| variable.index() < APART)
}

/// The expression with its parameters moved; none if it has none to move.
fn moved(expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    if !expr.exists(|part| Ok(is_near(part).is_some()))? {
        return Ok(None);
    }
    let apart = Arc::clone(expr).transform_up(|part| match is_near(&part) {
        Some(variable) => {
            let variable = LambdaVariable::new(variable.index() + APART, Arc::clone(variable.field()));
            Ok(Transformed::yes(Arc::new(variable) as Arc<dyn PhysicalExpr>))
        }
        None => Ok(Transformed::no(part)),
    })?;
    Ok(Some(apart.data))
}

fn operator(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let (mut exprs, mut changed) = (projection.expr().to_vec(), false);
        for ProjectionExpr { expr, .. } in &mut exprs {
            if let Some(apart) = moved(expr)? {
                *expr = apart;
                changed = true;
            }
        }
        if changed {
            let projection = ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?;
            return Ok(Transformed::yes(Arc::new(projection)));
        }
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>()
        && let Some(predicate) = moved(filter.predicate())?
    {
        let filter = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
        return Ok(Transformed::yes(Arc::new(filter)));
    }
    Ok(Transformed::no(plan))
}

impl PhysicalOptimizerRule for LambdasApart {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(operator).data()
    }

    fn name(&self) -> &str {
        "lambdas_apart"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
