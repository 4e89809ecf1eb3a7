//! Which queries are light: small enough to run on the control runtime, beside whatever keeps the CPU busy.
//!
//! A bound on the values that the operators of a plan hand on, from the rows of its tables. Only tables whose
//! rows are known without reading (stored ones, literal rows) and operators that cannot multiply them beyond
//! a product count; files, closures of the user, `unnest` and anything unknown make a query heavy. A light
//! query runs in one partition: an exchange costs more than its work.

use crate::session::Session;
use crate::stored::StoredTable;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame as Inner;
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::any::Any;
use trefoil_core::Partition;

/// Values, rows times columns of all operators: a few milliseconds.
const MOST: usize = 250_000;

/// The frame, in one partition if it is light, and whether it is.
pub(super) fn light(session: &Session, frame: Inner) -> (Inner, bool) {
    let mut values = 0;
    if rows(session, frame.logical_plan(), &mut values).is_none() {
        return (frame, false);
    }
    let (mut state, plan) = frame.into_parts();
    state.config_mut().options_mut().execution.target_partitions = 1;
    (Inner::new(state, plan), true)
}

/// At most so many rows come out of `plan`; `values` is what it and all below hand on. None if that is not known.
fn rows(session: &Session, plan: &LogicalPlan, values: &mut usize) -> Option<usize> {
    if !plain(session, plan) {
        return None;
    }
    let inputs = plan.inputs();
    let mut below = Vec::with_capacity(inputs.len());
    for input in inputs {
        below.push(rows(session, input, values)?);
    }
    let rows = match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok()?;
            let provider: &dyn TableProvider = provider.as_ref();
            if let Some(stored) = (provider as &dyn Any).downcast_ref::<StoredTable>() {
                stored.partitions().iter().map(Partition::num_rows).sum()
            } else {
                let view = scan.source.get_logical_plan()?;
                rows(session, &view, values)?
            }
        }
        LogicalPlan::Values(literal) => literal.values.len(),
        LogicalPlan::EmptyRelation(_) => 1,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::SubqueryAlias(_) => below.first().copied()?,
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.first() {
            Some(Expr::GroupingSet(_)) => return None,
            _ => below.first().copied()?.max(1),
        },
        LogicalPlan::Union(_) => below.iter().sum(),
        LogicalPlan::Join(_) => below.iter().try_fold(1usize, |product, rows| product.checked_mul(*rows))?,
        _ => return None,
    };
    *values = values.saturating_add(rows.saturating_mul(plan.schema().fields().len().max(1)));
    (*values <= MOST).then_some(rows)
}

/// Whether all expressions of a node, without its inputs, are of known cost.
fn plain(session: &Session, plan: &LogicalPlan) -> bool {
    let mut plain = true;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            plain &= match expr {
                Expr::ScalarFunction(call) => !session.is_closure(call.func.name()),
                Expr::AggregateFunction(call) => !session.is_closure(call.func.name()),
                Expr::WindowFunction(call) => !session.is_closure(&call.fun.to_string()),
                Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                    false
                }
                _ => true,
            };
            Ok::<_, DataFusionError>(match plain {
                true => TreeNodeRecursion::Continue,
                false => TreeNodeRecursion::Stop,
            })
        })
    });
    walked.is_ok() && plain
}
