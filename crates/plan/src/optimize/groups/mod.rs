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
//!             └──────── Packed ────────┘            each stays an AggregateExec within, which does the rest
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
use super::instead::{Grouping, InsteadExec, hashes};
use super::replace::replaced;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use keys::Layout;
use std::sync::Arc;
pub(super) use stream::RestExec;

/// How often a worker is guessed to see a key that comes again and again, at least.
const AGAIN: f64 = 2.0;
/// Numbers that have a place: 64 MiB of them.
const MOST: f64 = 16_777_216.0;

/// Makes [`Packed`] groups where aggregates are.
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
    Some(Arc::new(InsteadExec::new(aggregate.clone(), Packed { layout, dense })))
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
    if !mode || !hashes(aggregate) {
        return None;
    }
    let schema = aggregate.group_expr().group_schema(&aggregate.input().schema()).ok()?;
    Layout::of(&schema)
}

/// The aggregate that an operator is, whoever runs it.
pub(super) fn aggregate_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&AggregateExec> {
    let ours = plan.downcast_ref::<InsteadExec<Packed>>().map(InsteadExec::aggregate);
    ours.or_else(|| plan.downcast_ref())
}

/// Groups by keys of fixed width.
#[derive(Clone, Debug)]
struct Packed {
    layout: Layout,
    dense: Option<Dense>,
}

impl Grouping for Packed {
    const NAME: &'static str = "PackedAggregateExec";

    fn run(
        &self,
        aggregate: &Arc<AggregateExec>,
        metrics: &ExecutionPlanMetricsSet,
        index: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        stream::run(aggregate, &self.layout, self.dense, metrics, index, context)
    }
}
