//! Groups that do not fit into memory are spilled in parts: an operator of ours where DataFusion makes the last groups.
//!
//! DataFusion's sorts all groups it holds and writes them in one turn, which no cancelled query can leave and which is as long as
//! memory is large. Then it merges what it has sorted, row by row. Here the groups are spread over files by a hash of their keys
//! ([`parts`]), some thousands in a turn, and each file is made into groups by itself: nothing is sorted, nothing merged
//! (hybrid hashing: D. J. DeWitt et al., 1984, without its part that stays). As long as memory is enough, the groups are found and summed by
//! what DataFusion finds and sums them by ([`stream`]).

mod parts;
mod stream;

use super::OptimizeOptions;
use super::groups::needs_order;
use super::replace::replaced;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::Arc;

/// Puts [`PartedExec`] in the place of aggregates that give values.
#[derive(Debug)]
pub(crate) struct PartedGroups;

impl PhysicalOptimizerRule for PartedGroups {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !OptimizeOptions::of(config).parted_groups {
            return Ok(plan);
        }
        let ours = |node: &Arc<dyn ExecutionPlan>| {
            let aggregate = node.downcast_ref::<AggregateExec>().filter(|aggregate| is_for_us(aggregate));
            Ok(aggregate.map(|aggregate| Arc::new(PartedExec::new(aggregate.clone())) as _))
        };
        Ok(replaced(&plan, &ours)?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "parted_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_for_us(aggregate: &AggregateExec) -> bool {
    use AggregateMode::{Final, FinalPartitioned, Single, SinglePartitioned};
    let gives_values = matches!(aggregate.mode(), Final | FinalPartitioned | Single | SinglePartitioned);
    let functions = aggregate
        .aggr_expr()
        .iter()
        .all(|function| function.groups_accumulator_supported() && function.order_bys().is_empty());
    let group = aggregate.group_expr();
    gives_values
        && functions
        && group.is_single()
        && !group.expr().is_empty()
        && !needs_order(aggregate)
        && aggregate.limit_options().is_none()
        && aggregate.dynamic_expressions_produced().is_empty()
}

/// An aggregate whose groups go to disk in parts.
#[derive(Debug)]
struct PartedExec {
    aggregate: Arc<AggregateExec>,
    metrics: ExecutionPlanMetricsSet,
}

impl PartedExec {
    fn new(aggregate: AggregateExec) -> Self {
        Self { aggregate: Arc::new(aggregate), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for PartedExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `AggregateExec: mode=..` as people know it, with a word before.
        if !matches!(t, DisplayFormatType::TreeRender) {
            write!(f, "Parted")?;
        }
        self.aggregate.fmt_as(t, f)
    }
}

impl ExecutionPlan for PartedExec {
    fn name(&self) -> &str {
        "PartedAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.aggregate.children()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        self.aggregate.benefits_from_input_partitioning()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.aggregate.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let aggregate = Arc::clone(&self.aggregate) as Arc<dyn ExecutionPlan>;
        let aggregate = aggregate.replace_children(children, options)?;
        match aggregate.downcast_ref::<AggregateExec>() {
            Some(aggregate) => Ok(Arc::new(Self::new(aggregate.clone()))),
            None => internal_err!("an aggregate became another operator"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        stream::run(&self.aggregate, &self.metrics, index, &context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
