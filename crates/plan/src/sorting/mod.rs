//! Sorting whole inputs on all workers at once.
//!
//! DataFusion sorts each batch, merges the batches of a partition on one thread and the partitions on one more:
//! every row is compared and copied twice where nothing runs beside it. Where a plan ends in such a merge, a rule
//! puts an operator of ours in its place. It gathers the rows, cuts their range of keys into many small ranges
//! (sample sort: W. D. Frazer and A. C. McKellar, 1970), and the workers sort range after range; what they give is
//! in order already, so nothing is merged. Equal rows keep the order of the input.
//!
//! It needs the rows, their keys and two to four words for each of them in memory. As soon as this is more than half of
//! the budget, or is refused, a sort goes on with what was gathered that writes sorted runs and merges them. It also sorts what is sorted
//! partition by partition, and everything in the second plan of a query that ran out of memory.
//!
//! - `keys`: keys as bytes or words; `words`: those of one column of numbers.
//! - `ranges`: ranges of keys, and the sorting of one.
//! - `table`: the moving of rows.
//! - `gather`: reading the input, up to a limit.
//! - `deal`: putting rows together by their ranges.
//! - `exec`: the operator for all partitions and workers.
//! - `runs`: the operator for a partition, which spills.

mod deal;
mod exec;
mod gather;
mod keys;
mod ranges;
mod runs;
mod table;
mod words;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

use crate::optimize::{OptimizeOptions, replaced};
use exec::ParallelSortExec;
use runs::RunSortExec;

/// Puts [`ParallelSortExec`] in the place of sorts that give one partition.
#[derive(Debug)]
pub(crate) struct ParallelSorts;

/// Marks the plan of a query that ran out of memory: a sort that keeps everything in one piece is no good there.
pub(crate) const NEVER: usize = usize::MAX;

impl PhysicalOptimizerRule for ParallelSorts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let execution = &config.execution;
        if execution.target_partitions < 2 || execution.sort_in_place_threshold_bytes == NEVER {
            return Ok(plan);
        }
        plan.transform_up(|plan| {
            let Some(sort) = whole(&plan) else { return Ok(Transformed::no(plan)) };
            if !encodes(sort.expr(), sort.input())? || sorted(sort)? {
                return Ok(Transformed::no(plan));
            }
            let (input, expr) = (Arc::clone(sort.input()), sort.expr().clone());
            let ours = ParallelSortExec::new(input, expr, Arc::clone(plan.properties()));
            Ok(Transformed::yes(Arc::new(ours) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &str {
        "parallel_sorts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Puts [`RunSortExec`] in the place of the sorts that are left.
#[derive(Debug)]
pub(crate) struct RunSorts;

impl PhysicalOptimizerRule for RunSorts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !OptimizeOptions::of(config).run_sorts {
            return Ok(plan);
        }
        let ours = |node: &Arc<dyn ExecutionPlan>| {
            let Some(sort) = node.downcast_ref::<SortExec>().filter(|sort| sort.fetch().is_none()) else {
                return Ok(None);
            };
            let ours = || Arc::new(RunSortExec::new(sort.clone())) as Arc<dyn ExecutionPlan>;
            Ok(encodes(sort.expr(), sort.input())?.then(ours))
        };
        Ok(replaced(&plan, &ours)?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "run_sorts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The sort of a node that sorts all rows of its input: in one partition, or in several that are merged.
fn whole(plan: &Arc<dyn ExecutionPlan>) -> Option<&SortExec> {
    if let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>() {
        let sort = merge.input().downcast_ref::<SortExec>()?;
        let same = merge.expr() == sort.expr();
        return (merge.fetch().is_none() && sort.fetch().is_none() && sort.preserve_partitioning() && same)
            .then_some(sort);
    }
    let sort = plan.downcast_ref::<SortExec>()?;
    let one = sort.input().output_partitioning().partition_count() == 1;
    (one && sort.fetch().is_none() && !sort.preserve_partitioning()).then_some(sort)
}

/// Whether the keys can be written as bytes.
fn encodes(expr: &LexOrdering, input: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let fields: Vec<SortField> = fields(expr, input)?
        .into_iter()
        .map(|(data_type, options)| SortField::new_with_options(data_type, options))
        .collect();
    Ok(RowConverter::supports_fields(&fields))
}

/// Whether the input is sorted already, so that there is nothing to do but a merge.
fn sorted(sort: &SortExec) -> Result<bool> {
    sort.input().equivalence_properties().ordering_satisfy(sort.expr().clone())
}

fn fields(expr: &LexOrdering, input: &Arc<dyn ExecutionPlan>) -> Result<Vec<(DataType, SortOptions)>> {
    let schema = input.schema();
    expr.iter().map(|key| Ok((key.expr.data_type(&schema)?, key.options))).collect()
}
