//! Joins that make many batches of one give up the thread now and then, so that a cancelled query ends.
//!
//! DataFusion makes leaves and exchanges of a plan count what they hand out against tokio's budget for a
//! task. A cross join over rows it has buffered reads no leaf for hours: below an aggregate it would never
//! look up, and a dropped query would run on with its memory. So joins count, too.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_coop::EnsureCooperative;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use std::sync::Arc;

pub(crate) type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Puts rules that replace operators, and then ours, among DataFusion's: behind the one that does the same for
/// leaves, because rules before it look for the operators, and before the filters that joins make while they
/// run are handed down, because no plan may be changed after that.
pub(crate) fn add_to(rules: &mut Vec<Rule>, replacing: [Rule; 4]) {
    let behind = rules.iter().position(|rule| rule.name() == EnsureCooperative::new().name());
    let at = behind.map_or(rules.len(), |at| at + 1);
    rules.insert(at, Arc::new(YieldingJoins));
    rules.splice(at..at, replacing);
}

/// Wraps the joins of a plan.
#[derive(Debug)]
struct YieldingJoins;

impl PhysicalOptimizerRule for YieldingJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let is_join = plan.is::<CrossJoinExec>()
                || plan.is::<HashJoinExec>()
                || plan.is::<NestedLoopJoinExec>()
                || plan.is::<SortMergeJoinExec>();
            Ok(match is_join {
                true => Transformed::yes(Arc::new(CooperativeExec::new(plan)) as Arc<dyn ExecutionPlan>),
                false => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "yielding_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
