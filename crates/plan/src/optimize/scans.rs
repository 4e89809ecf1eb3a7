//! Scans of Parquet that filter while they decode, in the place of DataFusion's and of the filters above them.

use super::OptimizeOptions;
use super::replace::replaced;
use super::running::RunningFilterExec;
use crate::source::FilteredParquet;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
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
        Ok(replaced(&plan, &|plan| other(plan, options.row_filters))?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "filtered_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn other(plan: &Plan, running: bool) -> Result<Option<Plan>> {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        return Ok(FilteredParquet::of(scan, running).map(|scan| Arc::new(scan) as Plan));
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
