//! DataFusion's metrics of a plan in the engine's words.

use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use trefoil_core::OperatorMetrics;

/// The operators of a plan, ready to be asked at any time.
pub(crate) struct Operators {
    plan: Arc<dyn ExecutionPlan>,
    /// What is known before the plan runs; parents first.
    known: Vec<OperatorMetrics>,
    /// One moment on both clocks: since the start of the engine, and since 1970.
    moment: (Duration, Duration),
}

impl Operators {
    /// `since_start` gives a time of the clock as time since the start of the engine.
    pub(crate) fn new(plan: Arc<dyn ExecutionPlan>, since_start: impl Fn(Instant) -> Duration) -> Self {
        let moment =
            (since_start(Instant::now()), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let mut known = Vec::new();
        walk(&plan, 0, &mut |operator, depth| known.push(describe(operator, depth)));
        Self { plan, known, moment }
    }

    /// What the operators have done so far, parents first.
    pub(crate) fn read(&self) -> Vec<OperatorMetrics> {
        let mut operators = self.known.clone();
        let mut rest = operators.iter_mut();
        walk(&self.plan, 0, &mut |plan, _| {
            if let (Some(operator), Some(metrics)) = (rest.next(), plan.metrics()) {
                self.fill(operator, &metrics);
            }
        });
        operators
    }

    fn fill(&self, operator: &mut OperatorMetrics, metrics: &MetricsSet) {
        operator.rows = metrics.output_rows().map(|rows| rows as u64);
        operator.compute = metrics.elapsed_compute().map(|nanos| Duration::from_nanos(nanos as u64));
        operator.spilled_bytes = metrics.spilled_bytes().unwrap_or(0) as u64;
        operator.spills = metrics.spill_count().unwrap_or(0) as u64;
        let (mut start, mut end) = (None, None);
        for metric in metrics.iter() {
            match metric.value() {
                MetricValue::StartTimestamp(time) => {
                    let time = time.value().and_then(|time| self.since_start(time.timestamp_nanos_opt()?));
                    start = start.into_iter().chain(time).min();
                }
                MetricValue::EndTimestamp(time) => {
                    let time = time.value().and_then(|time| self.since_start(time.timestamp_nanos_opt()?));
                    end = end.into_iter().chain(time).max();
                }
                MetricValue::PeakMemoryUsage { gauge, .. } | MetricValue::CurrentMemoryUsage(gauge) => {
                    *operator.memory_bytes.get_or_insert(0) += gauge.value() as u64;
                }
                MetricValue::Gauge { name, gauge } if name.contains("mem_used") => {
                    *operator.memory_bytes.get_or_insert(0) += gauge.value() as u64;
                }
                _ => {}
            }
        }
        // An operator that has not ended has begun all the same; it lasts until now.
        operator.span = start.map(|start| (start, end.unwrap_or(start).max(start)));
    }

    fn since_start(&self, unix_nanos: i64) -> Option<Duration> {
        let (ours, unix) = self.moment;
        (ours + Duration::from_nanos(u64::try_from(unix_nanos).ok()?)).checked_sub(unix)
    }
}

/// Visits parents first; what only counts batches, so that others have their turn, is passed over.
fn walk(plan: &Arc<dyn ExecutionPlan>, depth: usize, visit: &mut impl FnMut(&Arc<dyn ExecutionPlan>, usize)) {
    let counts_only = plan.is::<CooperativeExec>();
    if !counts_only {
        visit(plan, depth);
    }
    for child in plan.children() {
        walk(child, if counts_only { depth } else { depth + 1 }, visit);
    }
}

fn describe(plan: &Arc<dyn ExecutionPlan>, depth: usize) -> OperatorMetrics {
    let line = displayable(plan.as_ref()).one_line().to_string();
    let line = line.trim_end();
    let mut operator = OperatorMetrics::default();
    operator.name = plan.name().to_owned();
    operator.detail =
        line.strip_prefix(plan.name()).unwrap_or(line).trim_start_matches(':').trim().to_owned();
    operator.depth = depth;
    operator.expected_rows = plan.downcast_ref::<DataSourceExec>().and_then(|scan| {
        let statistics = scan.data_source().partition_statistics(None).ok()?;
        statistics.num_rows.get_value().map(|rows| *rows as u64)
    });
    operator
}
