//! Putting operators in the place of others, from the leaves up, so that what a join has handed down stays there.

use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// The plan with what `other` gives for its nodes; none if it stays as it is.
pub(crate) fn replaced(plan: &Plan, other: &impl Fn(&Plan) -> Result<Option<Plan>>) -> Result<Option<Plan>> {
    let (mut children, mut changed) = (Vec::new(), false);
    for child in plan.children() {
        let placed = replaced(child, other)?;
        changed |= placed.is_some();
        children.push(placed.unwrap_or_else(|| Arc::clone(child)));
    }
    let below = match changed {
        // Joins keep the filters they have handed down.
        true => {
            let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
            Some(Arc::clone(plan).replace_children(children, keep)?)
        }
        false => None,
    };
    let own = other(below.as_ref().unwrap_or(plan))?;
    Ok(own.or(below))
}

/// The node over other children, all that follows from them found anew.
pub(crate) fn with_children(plan: &Plan, children: Vec<Plan>) -> Result<Plan> {
    let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(plan).replace_children(children, anew)
}

/// The one input that `node` gets.
pub(crate) fn only(mut children: Vec<Plan>, node: &dyn ExecutionPlan) -> Result<Plan> {
    match children.pop().filter(|_| children.is_empty()) {
        Some(input) => Ok(input),
        None => internal_err!("{} has one input", node.name()),
    }
}
