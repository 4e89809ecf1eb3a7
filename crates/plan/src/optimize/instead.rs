//! Operators of ours in the place of an aggregate of DataFusion's.
//!
//! The aggregate stays within: it says which rows go in, which come out, and how that is shown. [`Grouping`] says who makes the
//! groups, and what differs for those above.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputOrderMode, PlanProperties,
    ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// A way to make the groups of an aggregate.
pub(super) trait Grouping: fmt::Debug + Clone + Send + Sync + 'static {
    /// Of the operator; ends with the name of DataFusion's.
    const NAME: &'static str;

    /// The groups of a partition.
    fn run(
        &self,
        aggregate: &Arc<AggregateExec>,
        metrics: &ExecutionPlanMetricsSet,
        index: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream>;

    /// Of the rows that come out.
    fn properties(&self, aggregate: &AggregateExec) -> Arc<PlanProperties> {
        Arc::clone(aggregate.properties())
    }

    /// Whether rows may be dealt to more workers before they come in.
    fn benefits_from_input_partitioning(&self, aggregate: &AggregateExec) -> Vec<bool> {
        aggregate.benefits_from_input_partitioning()
    }

    /// What is shown behind the aggregate.
    fn describe(&self, _aggregate: &AggregateExec, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// An aggregate whose groups are made by `G`.
#[derive(Debug)]
pub(super) struct InsteadExec<G> {
    aggregate: Arc<AggregateExec>,
    groups: G,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl<G: Grouping> InsteadExec<G> {
    pub(super) fn new(aggregate: AggregateExec, groups: G) -> Self {
        let (properties, metrics) = (groups.properties(&aggregate), ExecutionPlanMetricsSet::new());
        Self { aggregate: Arc::new(aggregate), groups, properties, metrics }
    }

    pub(super) fn aggregate(&self) -> &AggregateExec {
        &self.aggregate
    }
}

impl<G: Grouping> DisplayAs for InsteadExec<G> {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(t, DisplayFormatType::TreeRender) {
            return self.aggregate.fmt_as(t, f);
        }
        // `AggregateExec: mode=..` as people know it, with a word before.
        write!(f, "{}", G::NAME.strip_suffix(self.aggregate.name()).unwrap_or_default())?;
        self.aggregate.fmt_as(t, f)?;
        self.groups.describe(&self.aggregate, f)
    }
}

impl<G: Grouping> ExecutionPlan for InsteadExec<G> {
    fn name(&self) -> &str {
        G::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        self.aggregate.children()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        self.groups.benefits_from_input_partitioning(&self.aggregate)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.aggregate.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Plan>,
        options: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        let aggregate = Arc::clone(&self.aggregate) as Plan;
        match aggregate.replace_children(children, options)?.downcast_ref::<AggregateExec>() {
            Some(aggregate) => Ok(Arc::new(Self::new(aggregate.clone(), self.groups.clone()))),
            None => internal_err!("an aggregate became another operator"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.groups.run(&self.aggregate, &self.metrics, index, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Whether groups are found by their keys, one set of keys for all, and all of them are handed out, when the input has ended.
pub(super) fn hashes(aggregate: &AggregateExec) -> bool {
    let group = aggregate.group_expr();
    let functions = aggregate.aggr_expr().iter();
    group.is_single()
        && !group.expr().is_empty()
        && functions.clone().all(|function| function.groups_accumulator_supported())
        && functions.clone().all(|function| function.order_bys().is_empty())
        && is_whole(aggregate)
}

/// Whether the aggregate hands out all groups, and none before the input has ended.
pub(super) fn is_whole(aggregate: &AggregateExec) -> bool {
    aggregate.limit_options().is_none()
        && aggregate.dynamic_expressions_produced().is_empty()
        && !needs_order(aggregate)
}

/// Whether the aggregate hands groups out as their keys pass in order. A column that is one value throughout is in order,
/// but none of its groups ends before the input does.
pub(super) fn needs_order(aggregate: &AggregateExec) -> bool {
    let properties = aggregate.input().equivalence_properties();
    let group = aggregate.group_expr().expr();
    let is_constant = |at: &usize| match group.get(*at) {
        Some((expr, _)) => properties.is_expr_constant(expr).is_some(),
        None => false,
    };
    match aggregate.input_order_mode() {
        InputOrderMode::Linear => false,
        InputOrderMode::PartiallySorted(places) => !places.iter().all(is_constant),
        InputOrderMode::Sorted => true,
    }
}
