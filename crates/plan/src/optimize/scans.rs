//! Scans of Parquet that filter while they decode, in the place of DataFusion's and of the filters above them.

use super::OptimizeOptions;
use super::groups::aggregate_of;
use super::instead::needs_order;
use super::replace::replaced;
use super::running::RunningFilterExec;
use crate::known::{self, Trait};
use crate::source::FilteredParquet;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, Partitioning, ReplaceChildrenOptions,
};
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

#[derive(Debug)]
pub(crate) struct FilteredScans;

impl PhysicalOptimizerRule for FilteredScans {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let options = OptimizeOptions::of(config);
        if !options.filtered_scans {
            return Ok(plan);
        }
        let plan = replaced(&plan, &|plan| other(plan, &options))?.unwrap_or(plan);
        match config.execution.enable_file_stream_work_stealing {
            true => Ok(dealt(&plan, Order::Seen, options.piece_rows > 0)?.unwrap_or(plan)),
            false => Ok(plan),
        }
    }

    fn name(&self) -> &str {
        "filtered_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What becomes of the order in which a scan gives rows.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Somebody sees it: it is that of the files.
    Seen,
    /// It only says which of equal rows comes first, or makes work above easier.
    Used,
    /// It is lost anyway.
    Lost,
}

/// The plan with scans in pieces where the order of their rows is lost, and scans whose workers read what is theirs and nothing else
/// where it is seen: DataFusion's take the next file or half of one, whosever it is. None if it stays as it is.
fn dealt(plan: &Plan, order: Order, pieces: bool) -> Result<Option<Plan>> {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        return Ok(match order {
            Order::Seen if plan.output_partitioning().partition_count() > 1 => plan.with_preserve_order(true),
            Order::Lost if pieces => FilteredParquet::in_pieces(scan).map(|scan| Arc::new(scan) as Plan),
            _ => None,
        });
    }
    let order = match aggregate_of(plan) {
        Some(groups) => {
            let any_order = groups.aggr_expr().iter().all(|one| takes_any_order(one));
            if needs_order(groups) || !any_order {
                Order::Seen
            } else if is_by_a_number(groups) {
                Order::Used
            } else {
                Order::Lost
            }
        }
        // Batches of several streams come as they come.
        None if is_mixed(plan) => Order::Lost,
        None if plan.is::<SortExec>() && order == Order::Seen => Order::Used,
        None => order,
    };
    let (mut children, mut changed) = (Vec::new(), false);
    for child in plan.children() {
        let below = dealt(child, order, pieces)?;
        changed |= below.is_some();
        children.push(below.unwrap_or_else(|| Arc::clone(child)));
    }
    let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    Ok(if changed { Some(Arc::clone(plan).replace_children(children, keep)?) } else { None })
}

/// Whether a function gives the same whatever the order of its rows is, sums of floats aside. Most functions say that they need an
/// order if they say nothing.
fn takes_any_order(function: &AggregateFunctionExpr) -> bool {
    let own = function.fun();
    function.order_bys().is_empty()
        && (own.inner().order_sensitivity().is_insensitive() || known::is(own.name(), Trait::AnyOrder))
}

/// Whether the key is a whole number: rows of a file often have theirs in order, and a worker with rows that follow one another
/// has fewer groups, closer together.
fn is_by_a_number(groups: &AggregateExec) -> bool {
    let [(key, _)] = groups.group_expr().expr() else { return false };
    let kind = key.data_type(&groups.input().schema());
    groups.mode().input_mode() == AggregateInputMode::Raw && kind.is_ok_and(|kind| kind.is_integer())
}

fn is_mixed(plan: &Plan) -> bool {
    plan.is::<CoalescePartitionsExec>()
        || plan.downcast_ref::<RepartitionExec>().is_some_and(|dealt| {
            !dealt.preserve_order() && dealt.input().output_partitioning().partition_count() > 1
        })
}

fn other(plan: &Plan, options: &OptimizeOptions) -> Result<Option<Plan>> {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        return Ok(FilteredParquet::of(scan, options.row_filters, options.piece_rows)
            .map(|scan| Arc::new(scan) as Plan));
    }
    if let Some(running) = plan.downcast_ref::<RunningFilterExec>() {
        // The scan applies those filters, and others.
        let own = running.input.downcast_ref::<DataSourceExec>().and_then(FilteredParquet::in_scan);
        return Ok(own.map(|_| Arc::clone(&running.input)));
    }
    let Some(filter) = plan.downcast_ref::<FilterExec>().filter(|filter| filter.fetch().is_none()) else {
        return Ok(None);
    };
    // A small file is read in one piece, and its batches are dealt to the workers: fewer of them by then.
    let dealt = filter.input().downcast_ref::<RepartitionExec>();
    let dealt = dealt.filter(|dealt| {
        matches!(dealt.partitioning(), Partitioning::RoundRobinBatch(_)) && !dealt.preserve_order()
    });
    let below = dealt.map_or(filter.input(), |dealt| dealt.input());
    let scan = below.downcast_ref::<DataSourceExec>().and_then(FilteredParquet::in_scan);
    let Some((config, source)) = scan else { return Ok(None) };
    let places = filter.projection().as_ref().map(|places| places.to_vec());
    let scan = source.filtered(config, filter.predicate(), places.as_deref())?;
    // Operators above know the columns by name and place.
    let same = |scan: &DataSourceExec| scan.schema().fields() == plan.schema().fields();
    let Some(scan) = scan.filter(same) else { return Ok(None) };
    let scan = Arc::new(scan) as Plan;
    Ok(Some(match dealt {
        Some(dealt) => Arc::new(RepartitionExec::try_new(scan, dealt.partitioning().clone())?),
        None => scan,
    }))
}
