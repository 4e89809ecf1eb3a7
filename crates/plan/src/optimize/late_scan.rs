//! The rule that lets a scan of Parquet filter rows while it decodes.
//!
//! DataFusion either decodes all columns of all rows and filters afterwards, or, for a whole session, decodes
//! the columns of the filters first and of the others only the rows that are left. The second costs more where
//! most rows are left, and much less where few are. Here every scan gets the way that its filters ask for: those
//! of the query, and those that a join derives from the keys it has hashed while the query runs.

use super::OptimizeOptions;
use super::estimate::{estimate, of_expr};
use super::selectivity::selectivity;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinSide, JoinType};
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct LateScan;

/// The part of its rows that is left of a scan, by its address.
type Kept = HashMap<*const (), f64>;

impl PhysicalOptimizerRule for LateScan {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let percent = OptimizeOptions::of(config).late_scan_percent as f64;
        let mut kept = Kept::new();
        if percent > 0.0 {
            collect(&plan, &mut kept);
        }
        kept.retain(|_, part| *part * 100.0 <= percent);
        if kept.is_empty() {
            return Ok(plan);
        }
        plan.transform_up(|plan| {
            let late = kept.contains_key(&address(&plan)).then(|| late(&plan)).flatten();
            Ok(late.map_or_else(|| Transformed::no(plan), Transformed::yes))
        })
        .data()
    }

    fn name(&self) -> &str {
        "late_scan"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn address(plan: &Arc<dyn ExecutionPlan>) -> *const () {
    Arc::as_ptr(plan).cast()
}

/// The scan with its filters inside; none if it does not read Parquet.
fn late(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    let (config, source) = scan.downcast_to_file_source::<ParquetSource>()?;
    let source = source.clone().with_pushdown_filters(true);
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build();
    Some(DataSourceExec::from_data_source(config))
}

fn collect(plan: &Arc<dyn ExecutionPlan>, kept: &mut Kept) {
    if let Some(filter) = plan.downcast_ref::<FilterExec>()
        && filter.input().is::<DataSourceExec>()
        && let Some(input) = estimate(filter.input())
    {
        *kept.entry(address(filter.input())).or_insert(1.0) *=
            selectivity(filter.predicate(), &input.columns);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && join.join_type().on_lr_is_preserved().1
        && let (Some(build), Some(probe)) = (estimate(join.left()), estimate(join.right()))
    {
        for (_, key) in join.on() {
            let part = (build.rows / of_expr(key, &probe).distinct).min(1.0);
            if let Some(column) = key.downcast_ref::<Column>()
                && let Some(scan) = scan_of(join.right(), column.index())
            {
                *kept.entry(scan).or_insert(1.0) *= part;
            }
        }
    }
    for child in plan.children() {
        collect(child, kept);
    }
}

/// The scan that a column comes from unchanged.
fn scan_of(plan: &Arc<dyn ExecutionPlan>, column: usize) -> Option<*const ()> {
    if plan.is::<DataSourceExec>() {
        return Some(address(plan));
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let column =
            filter.projection().as_ref().map_or(Some(column), |places| places.get(column).copied())?;
        return scan_of(filter.input(), column);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let column = projection.expr().get(column)?.expr.downcast_ref::<Column>()?.index();
        return scan_of(projection.input(), column);
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let column = aggregate.group_expr().expr().get(column)?.0.downcast_ref::<Column>()?.index();
        return scan_of(aggregate.input(), column);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let column = join.projection.as_ref().map_or(Some(column), |places| places.get(column).copied())?;
        let width = join.left().schema().fields().len();
        let (side, column) = match join.join_type() {
            JoinType::LeftSemi | JoinType::LeftAnti => (JoinSide::Left, column),
            JoinType::RightSemi | JoinType::RightAnti => (JoinSide::Right, column),
            JoinType::Inner if column < width => (JoinSide::Left, column),
            JoinType::Inner => (JoinSide::Right, column - width),
            _ => return None,
        };
        return scan_of(if side == JoinSide::Left { join.left() } else { join.right() }, column);
    }
    None
}
