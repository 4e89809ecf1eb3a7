//! Partitions that follow one another are read one after another, instead of being merged row by row.
//!
//! Where a plan merges the sorted partitions of a table with known divisions, every row of a partition comes
//! before every row of the next, as long as nothing between the scan and the merge moved rows to other partitions;
//! the plan says so itself, by its range partitioning. A rule puts an operator there that gives the rows of the
//! first partition, then those of the second, and so on.

use crate::optimize::only;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// Puts [`InOrderExec`] in the place of merges that have nothing to merge.
#[derive(Debug)]
pub(crate) struct InOrder;

impl PhysicalOptimizerRule for InOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>() else {
                return Ok(Transformed::no(plan));
            };
            if merge.fetch().is_some() || !follow(merge.input(), merge.expr()) {
                return Ok(Transformed::no(plan));
            }
            let (input, properties) = (Arc::clone(merge.input()), Arc::clone(merge.properties()));
            Ok(Transformed::yes(Arc::new(InOrderExec { input, properties }) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &str {
        "partitions_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Operators whose partitions do not wait for one another.
const ALONE: &[&str] = &[
    "FilterExec",
    "ProjectionExec",
    "CoalesceBatchesExec",
    "CooperativeExec",
    "BoundedWindowAggExec",
    "WindowAggExec",
    "RunningWindowExec",
    "MapBatchesExec",
    "RunningFilterExec",
    "AggregateExec",
    "SortExec",
];

/// Whether a partition can be read to its end before another is looked at. Joins and exchanges may wait until
/// all of their partitions are read.
fn alone(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children()[..] {
        [] => true,
        [input] => ALONE.contains(&plan.name()) && alone(input),
        _ => false,
    }
}

/// Whether the partitions of `input`, each sorted by `order`, follow one another in that order.
fn follow(input: &Arc<dyn ExecutionPlan>, order: &LexOrdering) -> bool {
    if !alone(input) {
        return false;
    }
    let Partitioning::Range(range) = input.output_partitioning() else { return false };
    let (ranges, order): (Vec<_>, Vec<_>) = (range.ordering().iter().collect(), order.iter().collect());
    let shared = ranges.len().min(order.len());
    // sorted by fewer keys: they rise from partition to partition; by more: those only matter within one
    ranges[..shared] == order[..shared]
}

/// The rows of the partitions of a plan, partition after partition.
#[derive(Debug)]
struct InOrderExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for InOrderExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InOrderExec: partitions={}", self.input.output_partitioning().partition_count())
    }
}

impl ExecutionPlan for InOrderExec {
    fn name(&self) -> &str {
        "InOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only(children, &*self)?;
        Ok(Arc::new(Self { input, properties: Arc::clone(&self.properties) }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if index != 0 {
            return internal_err!("InOrderExec gives one partition");
        }
        let count = self.input.output_partitioning().partition_count();
        let streams = (0..count).map(|at| self.input.execute(at, Arc::clone(&context)));
        let streams = streams.collect::<Result<Vec<_>>>()?;
        let rows = stream::iter(streams).flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), rows)))
    }
}
