//! The filters that operators derive while they run, kept from columns of the same name.
//!
//! A join tells the scans below it which keys it has hashed; a sort with a limit and an aggregate do alike. On its
//! way down such a filter passes operators that look its columns up by name (DataFusion 55.2,
//! `FilterRemapper::try_remap`), and the first column of that name gets it. Where an operator on the way gives two
//! columns of one name, as joins do, that may be the wrong one, and rows are lost. The operators above such a place run
//! without these filters; each part below it in which that cannot happen gets its own.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};
use std::collections::HashSet;
use std::sync::Arc;

/// In the place of DataFusion's rule that hands these filters down.
#[derive(Debug)]
pub(crate) struct RunningFilters(FilterPushdown);

impl RunningFilters {
    pub(crate) fn new() -> Self {
        Self(FilterPushdown::new_post_optimization())
    }
}

impl PhysicalOptimizerRule for RunningFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !is_ambiguous(&plan, false) {
            return self.0.optimize(plan, config);
        }
        let children = plan.children().into_iter().map(|child| self.optimize(Arc::clone(child), config));
        let children = children.collect::<Result<Vec<_>>>()?;
        // Joins keep the filters they have handed down.
        let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
        plan.replace_children(children, keep)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether a filter from above may meet two columns of one name. Whoever makes the filter counts places, those
/// below look for names.
fn is_ambiguous(plan: &Arc<dyn ExecutionPlan>, below_maker: bool) -> bool {
    let makes = plan.is::<HashJoinExec>() || plan.is::<SortExec>() || plan.is::<AggregateExec>();
    plan.children()
        .into_iter()
        .any(|child| (below_maker && repeats_a_name(child)) || is_ambiguous(child, below_maker || makes))
}

fn repeats_a_name(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    schema.fields().iter().any(|field| !names.insert(field.name().as_str()))
}
