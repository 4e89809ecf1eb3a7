//! Groups by keys of fixed width: an operator of ours where DataFusion aggregates by hash.
//!
//! A profile of TPC-H spends more time on finding the group of a row than on what is summed. DataFusion keeps a hash
//! table of places, so each row costs two looks at memory; keys of several columns are compared column by column.
//! Here all columns of a key are packed into one number of 64 or 128 bits ([`keys`], [`texts`]) and the group is found in a
//! table of numbers ([`table`]): by the number itself where keys lie close together, as most identifiers do, else by
//! hash. What is summed is DataFusion's, accumulator by accumulator.
//!
//! ```text
//!   rows ─ Partial ─ exchange ─ FinalPartitioned ─ groups
//!             │                        │
//!             └────── GroupsExec ──────┘            each stays an AggregateExec within, which does the rest
//! ```
//!
//! [`stream`] hands what is left to DataFusion's operator as soon as something comes that this one is not made for: a
//! key that does not fit, partial groups that save nothing, final groups that do not fit into memory.

mod keys;
mod stream;
mod table;
mod texts;

use super::OptimizeOptions;
use super::estimate::{estimate, of_expr};
use super::replace::replaced;
use datafusion::arrow::datatypes::DataType;
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
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputOrderMode, PlanProperties,
    ReplaceChildrenOptions,
};
use keys::Layout;
use std::fmt;
use std::sync::Arc;
pub(super) use stream::RestExec;

/// How often a worker is guessed to see a key that comes again and again, at least.
const AGAIN: f64 = 2.0;
/// Numbers that have a place: 64 MiB of them.
const MOST: f64 = 16_777_216.0;

/// Puts [`GroupsExec`] in the place of aggregates.
#[derive(Debug)]
pub(crate) struct Groups;

impl PhysicalOptimizerRule for Groups {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = OptimizeOptions::of(config);
        if !options.packed_groups {
            return Ok(plan);
        }
        let finals = options.packed_final_groups;
        Ok(replaced(&plan, &|node| Ok(ours(node, finals)))?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "packed_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Ours for an aggregate that it is made for.
fn ours(plan: &Arc<dyn ExecutionPlan>, finals: bool) -> Option<Arc<dyn ExecutionPlan>> {
    let aggregate = plan.downcast_ref::<AggregateExec>()?;
    let layout = layout_of(aggregate, finals)?;
    let dense = dense(aggregate);
    Some(Arc::new(GroupsExec::new(Arc::new(aggregate.clone()), layout, dense)))
}

/// Keys that are whole numbers close together, by what files tell. The first rows do not show that: of a million customers
/// each has ten orders, and a hundred thousand orders have as many customers.
#[derive(Clone, Copy, Debug)]
struct Dense {
    /// How far apart the least and the greatest are: a place each takes no more than a few bytes for each row.
    span: i64,
    /// Whether a worker is guessed to see each of them again and again.
    again: bool,
}

fn dense(aggregate: &AggregateExec) -> Option<Dense> {
    let [(key, _)] = aggregate.group_expr().expr() else { return None };
    let kind = key.data_type(&aggregate.input().schema()).ok()?;
    let partial = aggregate.mode() == &AggregateMode::Partial;
    if !partial || !(kind.is_integer() || kind == DataType::Date32) {
        return None;
    }
    let input = estimate(aggregate.input())?;
    let column = of_expr(key, &input);
    let (least, most) = column.range?;
    let (span, workers) = (most - least + 1.0, aggregate.input().output_partitioning().partition_count());
    let again = input.rows / workers as f64 >= AGAIN * column.distinct;
    (span <= input.rows.min(MOST)).then_some(Dense { span: span as i64, again })
}

/// How the keys of an aggregate are packed; none if it is not for us.
fn layout_of(aggregate: &AggregateExec, finals: bool) -> Option<Layout> {
    let mode = match aggregate.mode() {
        AggregateMode::Partial => true,
        AggregateMode::Final | AggregateMode::FinalPartitioned => finals,
        _ => false,
    };
    let functions = aggregate
        .aggr_expr()
        .iter()
        .all(|function| function.groups_accumulator_supported() && function.order_bys().is_empty());
    let group = aggregate.group_expr();
    let plain = mode
        && functions
        && group.is_single()
        && !group.expr().is_empty()
        && !needs_order(aggregate)
        && aggregate.limit_options().is_none()
        && aggregate.dynamic_expressions_produced().is_empty();
    let schema = group.group_schema(&aggregate.input().schema()).ok().filter(|_| plain)?;
    Layout::of(&schema)
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

/// The aggregate that an operator is, whoever runs it.
pub(super) fn aggregate_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&AggregateExec> {
    let ours = plan.downcast_ref::<GroupsExec>().map(|groups| &*groups.aggregate);
    ours.or_else(|| plan.downcast_ref())
}

/// An aggregate by keys of fixed width.
#[derive(Debug)]
struct GroupsExec {
    aggregate: Arc<AggregateExec>,
    layout: Layout,
    dense: Option<Dense>,
    metrics: ExecutionPlanMetricsSet,
}

impl GroupsExec {
    fn new(aggregate: Arc<AggregateExec>, layout: Layout, dense: Option<Dense>) -> Self {
        Self { aggregate, layout, dense, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for GroupsExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `AggregateExec: mode=..` as people know it, with a word before.
        if !matches!(t, DisplayFormatType::TreeRender) {
            write!(f, "Packed")?;
        }
        self.aggregate.fmt_as(t, f)
    }
}

impl ExecutionPlan for GroupsExec {
    fn name(&self) -> &str {
        "PackedAggregateExec"
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
            Some(aggregate) => {
                Ok(Arc::new(Self::new(Arc::new(aggregate.clone()), self.layout.clone(), self.dense)))
            }
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
        stream::run(&self.aggregate, &self.layout, self.dense, &self.metrics, index, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
