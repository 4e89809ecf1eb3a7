//! The rule for grouping sets: groups of all columns first, then each of them in every set.
//!
//! DataFusion puts each row into the groups of every set: a rollup of four columns looks up five groups a row. The groups
//! of a set are made of those of all columns, and these are mostly far fewer than the rows. So the rows are grouped by
//! all columns once, as far as one partition goes, and what that gives is put into the sets.
//!
//! ```text
//!   rows ─ Partial by the sets ─ exchange ─ Final           rows ─ Partial by all ─ SetsExec ─ exchange ─ Final
//! ```
//!
//! Partial states are merged behind as they are anyway, so the functions may be any that DataFusion groups. It is done
//! only where one of the sets holds all columns, whose groups are needed in any case.

use super::OptimizeOptions;
use super::replace::{only, replaced};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{
    AggregateExec, AggregateMode, PhysicalGroupBy, evaluate_group_by,
};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, ChildrenPropertiesMode, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputOrderMode, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Plan = Arc<dyn ExecutionPlan>;

/// Puts [`SetsExec`] behind groups of all columns, in the place of groups by sets.
#[derive(Debug)]
pub(crate) struct GroupingSets;

impl PhysicalOptimizerRule for GroupingSets {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        if !OptimizeOptions::of(config).grouping_sets {
            return Ok(plan);
        }
        Ok(replaced(&plan, &ours)?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "grouping_sets"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn ours(plan: &Plan) -> Result<Option<Plan>> {
    let Some(aggregate) = plan.downcast_ref::<AggregateExec>().filter(|aggregate| is_for_us(aggregate))
    else {
        return Ok(None);
    };
    let sets = aggregate.group_expr();
    let all = AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(sets.expr().to_vec()),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        Arc::clone(aggregate.input()),
        aggregate.input_schema(),
    )?;
    let ours = expanded(aggregate, Arc::new(all))?;
    // Where the names differ, somebody above would not find them.
    Ok((ours.schema() == plan.schema()).then_some(ours))
}

/// What an aggregate gives, partial or whole as it is, from partial groups of all its columns, of which some may be equal.
pub(super) fn merged(aggregate: &AggregateExec, rows: Plan) -> Result<Plan> {
    let groups = aggregate.group_expr();
    let merge = |mode| {
        AggregateExec::try_new(
            mode,
            PhysicalGroupBy::new_single(first_columns(groups)),
            aggregate.aggr_expr().to_vec(),
            vec![None; aggregate.aggr_expr().len()],
            Arc::clone(&rows),
            aggregate.input_schema(),
        )
    };
    if groups.has_grouping_set() {
        return expanded(aggregate, Arc::new(merge(AggregateMode::PartialReduce)?));
    }
    Ok(Arc::new(merge(match aggregate.mode() {
        AggregateMode::Partial => AggregateMode::PartialReduce,
        _ => AggregateMode::Final,
    })?))
}

/// Partial groups of all columns, put into the sets; and merged, if the aggregate is to be whole.
fn expanded(aggregate: &AggregateExec, all: Plan) -> Result<Plan> {
    let sets = aggregate.group_expr();
    let none = AggregateExec::try_new(
        AggregateMode::Partial,
        sets.clone(),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        Arc::new(EmptyExec::new(aggregate.input().schema())),
        aggregate.input_schema(),
    )?;
    let inside =
        PhysicalGroupBy::new(first_columns(sets), sets.null_expr().to_vec(), sets.groups().to_vec(), true);
    let expanded = Arc::new(SetsExec::new(all, inside, Arc::new(none)));
    if aggregate.mode() == &AggregateMode::Partial {
        return Ok(expanded);
    }
    let filters = vec![None; aggregate.aggr_expr().len()];
    let whole = AggregateExec::try_new(
        AggregateMode::Final,
        sets.as_final(),
        aggregate.aggr_expr().to_vec(),
        filters,
        expanded,
        aggregate.input_schema(),
    )?;
    Ok(Arc::new(whole))
}

/// The columns of groups as what they are in the output: the first ones.
fn first_columns(groups: &PhysicalGroupBy) -> Vec<(Arc<dyn PhysicalExpr>, String)> {
    let columns = groups.expr().iter().enumerate();
    columns.map(|(at, (_, name))| (Arc::new(Column::new(name, at)) as _, name.clone())).collect()
}

fn is_for_us(aggregate: &AggregateExec) -> bool {
    let sets = aggregate.group_expr();
    let mode = match aggregate.mode() {
        AggregateMode::Partial => true,
        AggregateMode::Single => aggregate.input().output_partitioning().partition_count() == 1,
        _ => false,
    };
    let functions = aggregate.aggr_expr().iter().all(|function| {
        function.groups_accumulator_supported() && function.order_bys().is_empty() && !function.is_distinct()
    });
    mode && functions
        && sets.has_grouping_set()
        && sets.groups().len() > 1
        && sets.groups().iter().any(|set| set.iter().all(|null| !null))
        && aggregate.input_order_mode() == &InputOrderMode::Linear
        && aggregate.limit_options().is_none()
        && aggregate.dynamic_expressions_produced().is_empty()
}

/// Partial groups of all columns as partial groups of each set.
#[derive(Debug)]
struct SetsExec {
    input: Plan,
    /// The sets, of the columns of the input.
    sets: PhysicalGroupBy,
    /// The groups by the sets of no rows: the set of no columns has one.
    none: Plan,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SetsExec {
    fn new(input: Plan, sets: PhysicalGroupBy, none: Plan) -> Self {
        let count = input.output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(none.schema()),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { input, sets, none, properties, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for SetsExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.sets.expr().iter().map(|(_, name)| name.as_str()).collect();
        write!(f, "SetsExec: sets={} of ({})", self.sets.groups().len(), names.join(", "))
    }
}

impl ExecutionPlan for SetsExec {
    fn name(&self) -> &str {
        "SetsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for (expr, _) in self.sets.expr().iter().chain(self.sets.null_expr()) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Plan>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        let input = only(children, &*self)?;
        Ok(Arc::new(Self::new(input, self.sets.clone(), Arc::clone(&self.none))))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(index, Arc::clone(&context))?;
        let metrics = BaselineMetrics::new(&self.metrics, index);
        let (sets, schema) = (self.sets.clone(), self.schema());
        let (width, none) = (sets.expr().len(), Arc::clone(&self.none));
        let any = Arc::new(AtomicBool::new(false));
        let found = Arc::clone(&any);
        let rows = input.flat_map(move |batch| {
            let timer = metrics.elapsed_compute().timer();
            let expanded = batch.and_then(|batch| {
                found.fetch_or(batch.num_rows() > 0, Ordering::Relaxed);
                let states = batch.columns().get(width..).unwrap_or_default();
                let groups = evaluate_group_by(&sets, &batch)?.into_iter();
                let batches = groups.map(|group| {
                    let columns: Vec<ArrayRef> = group.into_iter().chain(states.iter().cloned()).collect();
                    Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?.record_output(&metrics))
                });
                batches.collect::<Result<Vec<_>>>()
            });
            timer.done();
            stream::iter(match expanded {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        let rest = stream::once(async move {
            match any.load(Ordering::Relaxed) {
                true => Ok(stream::empty().boxed()),
                false => none.execute(0, context).map(StreamExt::boxed),
            }
        });
        let rows = rows.chain(rest.try_flatten());
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
