//! The rule that runs equal parts of a plan once.
//!
//! A common table expression that is used twice is planned twice. Where two parts of a plan are the same, node by
//! node, and both end in an aggregate (so that few rows are left to keep), they become places of one
//! [`SharedExec`]. Nothing is shared that draws random numbers, below a recursive query, or through nodes that
//! are not compared here.

use super::OptimizeOptions;
use super::grouped::place;
use super::shared::{Cell, SharedExec};
use crate::stored;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct CommonPlans;

impl PhysicalOptimizerRule for CommonPlans {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !OptimizeOptions::of(config).share_plans {
            return Ok(plan);
        }
        let found = results(&plan)?;
        // Outer parts come first, so what they hold is only shared by itself elsewhere.
        let mut cells: HashMap<*const (), Arc<Cell>> = HashMap::new();
        for (at, one) in found.iter().enumerate() {
            if cells.contains_key(&address(one)) {
                continue;
            }
            let equal = found[at + 1..].iter().filter(|other| same(one, other));
            let equal: Vec<_> = equal.filter(|other| !cells.contains_key(&address(other))).collect();
            if !equal.is_empty() && !draws(one)? {
                let cell = Arc::new(Cell::default());
                for part in equal.into_iter().chain([one]) {
                    cells.insert(address(part), Arc::clone(&cell));
                }
            }
        }
        if cells.is_empty() {
            return Ok(plan);
        }
        plan.transform_down(|node| {
            Ok(match cells.get(&address(&node)) {
                Some(cell) => {
                    let shared = Arc::new(SharedExec::new(node, Arc::clone(cell)));
                    Transformed::new(shared as Arc<dyn ExecutionPlan>, true, TreeNodeRecursion::Jump)
                }
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "common_plans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The aggregates whose rows are final, outer ones first; none of a plan with a recursive query, which runs its parts again.
pub(super) fn results(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        if node.is::<RecursiveQueryExec>() {
            found.clear();
            return Ok(TreeNodeRecursion::Stop);
        }
        if is_result(node) {
            found.push(Arc::clone(node));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

pub(super) fn address(plan: &Arc<dyn ExecutionPlan>) -> *const () {
    Arc::as_ptr(plan).cast()
}

/// An aggregate whose rows are final.
fn is_result(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let done = |aggregate: &AggregateExec| {
        !matches!(aggregate.mode(), AggregateMode::Partial | AggregateMode::PartialReduce)
    };
    plan.downcast_ref::<AggregateExec>().is_some_and(done)
}

/// Whether two plans give the same rows.
pub(super) fn same(one: &Arc<dyn ExecutionPlan>, other: &Arc<dyn ExecutionPlan>) -> bool {
    let (mine, theirs) = (one.children(), other.children());
    one.schema() == other.schema()
        && one.output_partitioning().partition_count() == other.output_partitioning().partition_count()
        && mine.len() == theirs.len()
        && same_node(one.as_ref(), other.as_ref())
        && mine.iter().zip(theirs).all(|(mine, theirs)| same(mine, theirs))
}

pub(super) fn same_node(one: &dyn ExecutionPlan, other: &dyn ExecutionPlan) -> bool {
    if let (Some(a), Some(b)) = (one.downcast_ref::<AggregateExec>(), other.downcast_ref::<AggregateExec>()) {
        let same_functions = a.aggr_expr().iter().zip(b.aggr_expr()).all(|(a, b)| {
            a == b
                && a.is_distinct() == b.is_distinct()
                && a.ignore_nulls() == b.ignore_nulls()
                && a.order_bys() == b.order_bys()
        });
        return a.mode() == b.mode()
            && a.group_expr() == b.group_expr()
            && a.aggr_expr().len() == b.aggr_expr().len()
            && same_functions
            && a.filter_expr() == b.filter_expr()
            && a.limit_options() == b.limit_options();
    }
    if let (Some(a), Some(b)) =
        (one.downcast_ref::<RepartitionExec>(), other.downcast_ref::<RepartitionExec>())
    {
        return match (a.partitioning(), b.partitioning()) {
            (Partitioning::RoundRobinBatch(a), Partitioning::RoundRobinBatch(b)) => a == b,
            (Partitioning::Hash(a, parts), Partitioning::Hash(b, others)) => parts == others && a == b,
            _ => false,
        };
    }
    if let (Some(a), Some(b)) = (one.downcast_ref::<FilterExec>(), other.downcast_ref::<FilterExec>()) {
        return a.predicate() == b.predicate() && a.projection() == b.projection() && a.fetch() == b.fetch();
    }
    if let (Some(a), Some(b)) = (one.downcast_ref::<ProjectionExec>(), other.downcast_ref::<ProjectionExec>())
    {
        return a.expr() == b.expr();
    }
    if let (Some(a), Some(b)) = (one.downcast_ref::<HashJoinExec>(), other.downcast_ref::<HashJoinExec>()) {
        let filters = match (a.filter(), b.filter()) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                a.expression() == b.expression()
                    && a.column_indices() == b.column_indices()
                    && a.schema() == b.schema()
            }
            _ => false,
        };
        return filters
            && a.on() == b.on()
            && a.join_type() == b.join_type()
            && a.partition_mode() == b.partition_mode()
            && a.null_equality() == b.null_equality()
            && a.null_aware == b.null_aware
            && a.projection == b.projection
            && a.fetch() == b.fetch();
    }
    if let (Some(a), Some(b)) = (one.downcast_ref::<DataSourceExec>(), other.downcast_ref::<DataSourceExec>())
    {
        let sources = (a.data_source().as_ref(), b.data_source().as_ref());
        let files = (sources.0.downcast_ref::<FileScanConfig>(), sources.1.downcast_ref::<FileScanConfig>());
        return match files {
            (Some(a), Some(b)) => same_columns(a, b) && a.file_source.filter() == b.file_source.filter(),
            _ => stored::is_same_scan(sources.0, sources.1),
        };
    }
    let both = |is: fn(&dyn ExecutionPlan) -> bool| is(one) && is(other);
    both(|plan| plan.is::<CooperativeExec>() || plan.is::<UnionExec>())
        || (both(|plan| plan.is::<CoalescePartitionsExec>()) && one.fetch() == other.fetch())
}

/// Whether two scans read the same columns of the same files, but for rows that a filter leaves out.
pub(super) fn scans_alike(one: &DataSourceExec, other: &DataSourceExec) -> bool {
    let sources = (one.data_source().as_ref(), other.data_source().as_ref());
    match (sources.0.downcast_ref::<FileScanConfig>(), sources.1.downcast_ref::<FileScanConfig>()) {
        (Some(a), Some(b)) => same_columns(a, b),
        _ => stored::is_same_scan(sources.0, sources.1),
    }
}

/// Whether two scans read the same rows, but for columns.
pub(super) fn rows_alike(one: &DataSourceExec, other: &DataSourceExec) -> bool {
    let sources = (one.data_source().as_ref(), other.data_source().as_ref());
    match (sources.0.downcast_ref::<FileScanConfig>(), sources.1.downcast_ref::<FileScanConfig>()) {
        (Some(a), Some(b)) => same_files(a, b) && a.file_source.filter() == b.file_source.filter(),
        _ => stored::is_same_table(sources.0, sources.1),
    }
}

/// Which columns of its files or stored table a scan gives; none if it calculates some.
pub(super) fn scanned(scan: &DataSourceExec) -> Option<Vec<usize>> {
    let source = scan.data_source().as_ref();
    match source.downcast_ref::<FileScanConfig>() {
        Some(files) => match files.file_source.projection() {
            Some(columns) => columns.iter().map(|item| place(&item.expr)).collect(),
            None => Some((0..scan.schema().fields().len()).collect()),
        },
        None => stored::scanned_columns(source),
    }
}

fn same_columns(a: &FileScanConfig, b: &FileScanConfig) -> bool {
    same_files(a, b) && a.file_source.projection() == b.file_source.projection()
}

fn same_files(a: &FileScanConfig, b: &FileScanConfig) -> bool {
    let files = |config: &FileScanConfig| -> Vec<_> {
        let groups = config.file_groups.iter().enumerate();
        groups
            .flat_map(|(group, files)| {
                files.iter().map(move |file| {
                    let range = file.range.as_ref().map(|range| (range.start, range.end));
                    (group, file.object_meta.clone(), range, file.partition_values.clone())
                })
            })
            .collect()
    };
    a.object_store_url == b.object_store_url
        && a.limit == b.limit
        && a.file_source.file_type() == "parquet"
        && b.file_source.file_type() == "parquet"
        && a.file_source.table_schema().table_schema() == b.file_source.table_schema().table_schema()
        && files(a) == files(b)
}

/// Whether a plan gives other rows each time it runs.
pub(super) fn draws(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut volatile = false;
    plan.apply(|node| {
        let mut look = |expr: &Arc<dyn PhysicalExpr>| {
            volatile |= is_volatile(expr);
            Ok(TreeNodeRecursion::Continue)
        };
        node.apply_expressions(&mut look)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(volatile)
}
