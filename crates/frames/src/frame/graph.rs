//! Plans as drawings.

use datafusion::logical_expr::LogicalPlan;
use trefoil_core::{NodeKind, TaskGraph};
use trefoil_plan::{DataFrame, Result, plan_error};

/// A label that fits a box: the operator and the start of what it does.
fn label(plan: &LogicalPlan) -> String {
    const WIDEST: usize = 60;
    let text = plan.display().to_string();
    if text.chars().count() <= WIDEST { text } else { text.chars().take(WIDEST - 1).chain(['…']).collect() }
}

pub(super) async fn of(frame: &DataFrame) -> Result<TaskGraph> {
    let inner = frame.inner().clone();
    let plan = frame.session().engine().on_cpu(async move { inner.into_optimized_plan() }).await?;
    let plan = plan.map_err(|e| plan_error(e, "graph"))?;
    let mut graph = TaskGraph::new();
    let mut next = 0_usize;
    let mut stack = vec![(&plan, None::<String>)];
    while let Some((plan, above)) = stack.pop() {
        let id = next.to_string();
        next += 1;
        let kind = if plan.inputs().is_empty() { NodeKind::Data } else { NodeKind::Task };
        graph.add_node(&id, label(plan), kind);
        if let Some(above) = above {
            graph.add_edge(&id, above);
        }
        stack.extend(plan.inputs().into_iter().map(|input| (input, Some(id.clone()))));
    }
    Ok(graph)
}
