//! The way from a plan down to the rows that its groups are made of.

use super::replace::with_children;
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// For each column that somebody asks a plan for, where it is; none if it is none of the columns.
pub(super) type Asked = Vec<Option<usize>>;

/// The plan over another input of its groups: `change` is given the aggregate that reads the rows and which of its keys the
/// asked columns are. None if the plan is no groups, or has them by sets, or `change` gives none.
pub(super) fn regrouped<F>(plan: &Plan, asked: &Asked, change: &F) -> Result<Option<Plan>>
where
    F: Fn(&AggregateExec, &Asked) -> Result<Option<Plan>>,
{
    let below = if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let of = |at: usize| projection.expr().get(at).and_then(|item| place(&item.expr));
        regrouped(projection.input(), &moved(asked, of), change)?
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>().filter(|filter| filter.fetch().is_none()) {
        let of = |at: usize| match filter.projection() {
            Some(projection) => projection.get(at).copied(),
            None => Some(at),
        };
        regrouped(filter.input(), &moved(asked, of), change)?
    } else if let Some(child) = handed_on(plan) {
        regrouped(child, asked, change)?
    } else {
        let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else { return Ok(None) };
        let groups = aggregate.group_expr();
        if groups.has_grouping_set() || aggregate.limit_options().is_some() {
            return Ok(None);
        }
        let keys = moved(asked, |at| (at < groups.expr().len()).then_some(at));
        match aggregate.mode() {
            AggregateMode::Single | AggregateMode::SinglePartitioned => change(aggregate, &keys)?,
            AggregateMode::Final | AggregateMode::FinalPartitioned => {
                let of = |at: usize| groups.expr().get(at).and_then(|(expr, _)| place(expr));
                of_partial(aggregate.input(), &moved(&keys, of), change)?
            }
            AggregateMode::Partial | AggregateMode::PartialReduce => return Ok(None),
        }
    };
    below.map(|child| with_children(plan, vec![child])).transpose()
}

fn of_partial<F>(plan: &Plan, keys: &Asked, change: &F) -> Result<Option<Plan>>
where
    F: Fn(&AggregateExec, &Asked) -> Result<Option<Plan>>,
{
    let below = match (plan.downcast_ref::<AggregateExec>(), handed_on(plan)) {
        (Some(aggregate), _) if aggregate.mode() == &AggregateMode::Partial => change(aggregate, keys)?,
        (None, Some(child)) => of_partial(child, keys, change)?,
        _ => None,
    };
    below.map(|child| with_children(plan, vec![child])).transpose()
}

pub(super) fn place(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

fn moved(asked: &Asked, to: impl Fn(usize) -> Option<usize>) -> Asked {
    asked.iter().map(|at| at.and_then(&to)).collect()
}

/// The input of a node that hands on all rows as they are.
fn handed_on(plan: &Plan) -> Option<&Plan> {
    let is_one =
        plan.is::<RepartitionExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<CooperativeExec>();
    match plan.children()[..] {
        [child] if is_one && plan.fetch().is_none() => Some(child),
        _ => None,
    }
}
