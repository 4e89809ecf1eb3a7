//! Groups that do not fit into memory are spilled in parts: an operator of ours where DataFusion makes the last groups.
//!
//! DataFusion's sorts all groups it holds and writes them in one turn, which no cancelled query can leave and which is as long as
//! memory is large. Then it merges what it has sorted, row by row. Here the groups are spread over files by a hash of their keys
//! ([`parts`]), some thousands in a turn, and each file is made into groups by itself: nothing is sorted, nothing merged
//! (hybrid hashing: D. J. DeWitt et al., 1984, without its part that stays). As long as memory is enough, the groups are found and summed by
//! what DataFusion finds and sums them by ([`stream`]), in small tables ([`table`]).

mod parts;
mod stream;
mod table;

use super::OptimizeOptions;
use super::instead::{Grouping, InsteadExec, hashes};
use super::replace::replaced;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use std::sync::Arc;

/// Makes [`Parted`] groups where aggregates give values.
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
            Ok(aggregate.map(|aggregate| Arc::new(InsteadExec::new(aggregate.clone(), Parted)) as _))
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
    matches!(aggregate.mode(), Final | FinalPartitioned | Single | SinglePartitioned) && hashes(aggregate)
}

/// Groups that go to disk in parts.
#[derive(Clone, Debug)]
struct Parted;

impl Grouping for Parted {
    const NAME: &'static str = "PartedAggregateExec";

    fn run(
        &self,
        aggregate: &Arc<AggregateExec>,
        metrics: &ExecutionPlanMetricsSet,
        index: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        stream::run(aggregate, metrics, index, &context)
    }
}
