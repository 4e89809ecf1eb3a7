//! Groups by a number in whose order the rows are.
//!
//! Where orders are numbered as they come, all rows of one order are in one place of the file, and the footer says so
//! ([`Clustered`](crate::source::Clustered)). Then a group is complete long before the last row is read. It needs no exchange between
//! workers, and no table of all groups:
//!
//! ```text
//!   scan ─ Partial ─ exchange ─ Final      becomes      scan by clusters ─ InClusters
//! ```
//!
//! The rows of a cluster are aggregated by DataFusion's operator, whole, with all that it can do (it spills a cluster that
//! does not fit), and then those of the next one. The rows of a batch with the first numbers of the next cluster wait.
//! It is done where many groups are guessed, and where nobody above counts on which worker has which group.

use super::OptimizeOptions;
use super::estimate::{estimate, of_expr};
use super::groups::{RestExec, aggregate_of};
use super::instead::{Grouping, InsteadExec, is_whole};
use super::replace::with_children;
use super::shared::SharedExec;
use crate::source::{Clustered, FilteredParquet, damaged};
use datafusion::arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::kernels::cmp::lt;
use datafusion::arrow::compute::{cast, filter_record_batch, max, min, not};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Distribution, EquivalenceProperties};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{Boundedness, ChildrenPropertiesMode, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, ready, stream};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

type Plan = Arc<dyn ExecutionPlan>;

#[derive(Debug)]
pub(crate) struct ClusteredGroups;

impl PhysicalOptimizerRule for ClusteredGroups {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let options = OptimizeOptions::of(config);
        if !options.clustered_groups {
            return Ok(plan);
        }
        Ok(placed(&plan, true, options.clustered_least as f64)?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "clustered_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with groups by clusters; none if it stays as it is. `free`: nobody counts on which partition has which rows.
fn placed(plan: &Plan, free: bool, least: f64) -> Result<Option<Plan>> {
    if free && let Some(ours) = clustered(plan, least)? {
        return Ok(Some(ours));
    }
    let mixes = plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<RepartitionExec>();
    // What several places read has the rows of whoever asks first.
    let shared = plan.is::<SharedExec>();
    let required = plan.input_distribution_requirements().into_per_child();
    let (mut children, mut changed) = (Vec::new(), false);
    for (child, required) in plan.children().into_iter().zip(required) {
        let free = !shared && (free || mixes) && matches!(required, Distribution::UnspecifiedDistribution);
        let below = placed(child, free, least)?;
        changed |= below.is_some();
        children.push(below.unwrap_or_else(|| Arc::clone(child)));
    }
    // Joins keep the filters they have handed down.
    let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    Ok(if changed { Some(Arc::clone(plan).replace_children(children, keep)?) } else { None })
}

/// The operator in the place of a whole aggregate.
fn clustered(plan: &Plan, least: f64) -> Result<Option<Plan>> {
    let Some(whole) = aggregate_of(plan).filter(|whole| whole.mode() == &AggregateMode::FinalPartitioned)
    else {
        return Ok(None);
    };
    let exchange =
        whole.input().downcast_ref::<RepartitionExec>().filter(|exchange| !exchange.preserve_order());
    let Some(partial) = exchange.and_then(|exchange| aggregate_of(exchange.input())) else { return Ok(None) };
    let fits = partial.mode() == &AggregateMode::Partial
        && partial.group_expr().is_single()
        && partial.aggr_expr().iter().all(|function| function.order_bys().is_empty())
        && is_whole(whole)
        && is_whole(partial);
    if !fits {
        return Ok(None);
    }
    let Some(guess) = estimate(partial.input()) else { return Ok(None) };
    for (expr, _) in partial.group_expr().expr() {
        let Some(column) = expr.downcast_ref::<Column>().filter(|_| of_expr(expr, &guess).distinct >= least)
        else {
            continue;
        };
        let Some((scan, place)) = scanned(partial.input(), column.index()) else { continue };
        let Some(Clustered { scan, cuts }) = FilteredParquet::in_clusters(scan, place, least == 0.0) else {
            continue;
        };
        let input = over(partial.input(), Arc::new(scan))?;
        let aggregate = AggregateExec::try_new(
            AggregateMode::Single,
            partial.group_expr().clone(),
            partial.aggr_expr().to_vec(),
            partial.filter_expr().to_vec(),
            input,
            partial.input_schema(),
        )?;
        // Somebody above would not find what has another name.
        if aggregate.schema() != plan.schema() {
            return Ok(None);
        }
        let groups = InClusters { key: column.index(), cuts: Arc::new(cuts) };
        return Ok(Some(Arc::new(InsteadExec::new(aggregate, groups))));
    }
    Ok(None)
}

/// The scan below operators that keep the order of rows, and the place of a column there.
fn scanned(plan: &Plan, place: usize) -> Option<(&DataSourceExec, usize)> {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        return Some((scan, place));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let column = projection.expr().get(place)?.expr.downcast_ref::<Column>()?;
        return scanned(projection.input(), column.index());
    }
    let rest = plan.downcast_ref::<CooperativeExec>()?;
    scanned(rest.input(), place)
}

/// The same operators over another scan.
fn over(plan: &Plan, scan: Plan) -> Result<Plan> {
    match plan.children()[..] {
        [child] => with_children(plan, vec![over(child, scan)?]),
        _ => Ok(scan),
    }
}

/// Groups of clusters, over the input of all partitions; those of one cluster are made by a copy of the aggregate.
#[derive(Clone, Debug)]
struct InClusters {
    /// The column of the input that has clusters.
    key: usize,
    /// The least numbers of all clusters but the first, a list for each partition.
    cuts: Arc<Vec<Vec<i64>>>,
}

impl Grouping for InClusters {
    const NAME: &'static str = "ClusteredAggregateExec";

    fn run(
        &self,
        aggregate: &Arc<AggregateExec>,
        metrics: &ExecutionPlanMetricsSet,
        index: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = Rows {
            input: aggregate.input().execute(index, Arc::clone(&context))?,
            key: self.key,
            cuts: Arc::clone(&self.cuts),
            index,
            next: 0,
            waiting: None,
            cluster_ended: false,
            ended: false,
        };
        let state = State {
            rows: Arc::new(Mutex::new(rows)),
            aggregate: Arc::clone(aggregate),
            cluster: None,
            metrics: BaselineMetrics::new(metrics, index),
            all_metrics: metrics.clone(),
            context,
        };
        let batches = stream::try_unfold(state, |mut state| async move {
            Ok(state.next().await?.map(|batch| (batch, state)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(aggregate.schema(), batches)))
    }

    fn properties(&self, aggregate: &AggregateExec) -> Arc<PlanProperties> {
        Arc::new(PlanProperties::new(
            EquivalenceProperties::new(aggregate.schema()),
            Partitioning::UnknownPartitioning(aggregate.input().output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ))
    }

    fn benefits_from_input_partitioning(&self, _aggregate: &AggregateExec) -> Vec<bool> {
        vec![false]
    }

    fn describe(&self, aggregate: &AggregateExec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clusters: usize = self.cuts.iter().map(|cuts| cuts.len() + 1).sum();
        write!(f, ", clusters={clusters} of {}", aggregate.input_schema().field(self.key).name())
    }
}

struct State {
    rows: Arc<Mutex<Rows>>,
    aggregate: Arc<AggregateExec>,
    /// The operator for the rows of the cluster that is being read, and its groups.
    cluster: Option<(Plan, SendableRecordBatchStream)>,
    metrics: BaselineMetrics,
    all_metrics: ExecutionPlanMetricsSet,
    context: Arc<TaskContext>,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let (operator, groups) = match &mut self.cluster {
                Some(cluster) => cluster,
                None if self.rows.lock().is_done() => return Ok(None),
                None => self.cluster.insert(begun(&self.aggregate, &self.rows, &self.context)?),
            };
            if let Some(batch) = groups.next().await {
                let batch = batch?;
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            let metrics = operator.metrics().unwrap_or_default();
            if let Some(elapsed) = metrics.elapsed_compute() {
                self.metrics.elapsed_compute().add_duration(std::time::Duration::from_nanos(elapsed as u64));
            }
            // What it has spilled this operator has.
            for metric in metrics
                .iter()
                .filter(|metric| metric.value().name().contains("spill") && metric.value().as_usize() > 0)
            {
                self.all_metrics.register(Arc::clone(metric));
            }
            self.cluster = None;
        }
    }
}

/// An operator for the rows of the next cluster.
fn begun(
    aggregate: &Arc<AggregateExec>,
    rows: &Arc<Mutex<Rows>>,
    context: &Arc<TaskContext>,
) -> Result<(Plan, SendableRecordBatchStream)> {
    let schema = aggregate.input().schema();
    let rows = Arc::clone(rows);
    // Whoever asks again behind the end of a cluster is not given the next one.
    let cluster = stream::poll_fn(move |context| rows.lock().poll(context)).fuse();
    let cluster = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), cluster));
    let rest: Plan = Arc::new(RestExec::new(cluster, schema));
    let operator = with_children(&(Arc::clone(aggregate) as Plan), vec![rest])?;
    let groups = operator.execute(0, Arc::clone(context))?;
    Ok((operator, groups))
}

/// The rows of a partition, cluster by cluster.
struct Rows {
    input: SendableRecordBatchStream,
    key: usize,
    cuts: Arc<Vec<Vec<i64>>>,
    index: usize,
    /// The first cut that no row has reached.
    next: usize,
    /// Rows of the next cluster.
    waiting: Option<RecordBatch>,
    /// Nothing more comes of the cluster that is being read, and of the input.
    cluster_ended: bool,
    ended: bool,
}

impl Rows {
    fn is_done(&self) -> bool {
        self.ended && self.waiting.is_none()
    }

    /// The next rows of the cluster.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        if std::mem::take(&mut self.cluster_ended) {
            return Poll::Ready(None);
        }
        let batch = match self.waiting.take() {
            Some(batch) => batch,
            None if self.ended => return Poll::Ready(None),
            None => match ready!(self.input.poll_next_unpin(context)) {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
            },
        };
        Poll::Ready(self.cut(batch).transpose())
    }

    /// The rows of the batch that belong to the cluster; none if it has ended.
    fn cut(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let cuts = self.cuts.get(self.index).map_or(&[][..], |cuts| cuts);
        let Some(cut) = cuts.get(self.next).copied().or(cuts.last().copied()) else { return Ok(Some(batch)) };
        let numbers = cast(batch.column(self.key), &DataType::Int64)?;
        let numbers: &Int64Array = numbers.as_primitive::<Int64Type>();
        let (Some(least), Some(most)) = (min(numbers), max(numbers)) else { return Ok(Some(batch)) };
        let passed = self.next.checked_sub(1).map(|before| cuts[before]);
        if passed.is_some_and(|passed| least < passed) || numbers.null_count() > 0 {
            let name = batch.schema_ref().field(self.key).name().clone();
            return Err(damaged(format!(
                "`{name}` has rows in a row group whose statistics deny them ({least} among them); write the file anew, or read it without them: SET trefoil.clustered_groups = false"
            )));
        }
        if self.next == cuts.len() || most < cut {
            return Ok(Some(batch));
        }
        if least >= cut {
            self.next = cuts.partition_point(|cut| *cut <= least);
            self.waiting = Some(batch);
            return Ok(None);
        }
        let below = lt(numbers, &Int64Array::new_scalar(cut))?;
        self.next += 1;
        self.waiting = Some(filter_record_batch(&batch, &not(&below)?)?);
        self.cluster_ended = true;
        Ok(Some(filter_record_batch(&batch, &below)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clusters of numbers that come in these batches, or the error.
    fn clusters(batches: &[&[Option<i64>]], cuts: &[i64]) -> std::result::Result<Vec<Vec<i64>>, String> {
        let batch = |numbers: &&[Option<i64>]| {
            let numbers: Int64Array = numbers.iter().copied().collect();
            RecordBatch::try_from_iter_with_nullable([("k", Arc::new(numbers) as _, true)]).unwrap()
        };
        let batches: Vec<RecordBatch> = batches.iter().map(batch).collect();
        let schema = batches[0].schema();
        let input = stream::iter(batches.into_iter().map(Ok));
        let mut rows = Rows {
            input: Box::pin(RecordBatchStreamAdapter::new(schema, input)),
            key: 0,
            cuts: Arc::new(vec![cuts.to_vec()]),
            index: 0,
            next: 0,
            waiting: None,
            cluster_ended: false,
            ended: false,
        };
        let mut found = Vec::new();
        while !rows.is_done() {
            let mut cluster = Vec::new();
            while let Poll::Ready(Some(batch)) = rows.poll(&mut Context::from_waker(std::task::Waker::noop()))
            {
                let batch = batch.map_err(|error| error.to_string())?;
                cluster.extend(batch.column(0).as_primitive::<Int64Type>().iter().flatten());
            }
            found.push(cluster);
        }
        Ok(found)
    }

    #[test]
    fn batches_are_cut_where_clusters_begin() {
        let check = |batches: &[&[Option<i64>]], cuts: &[i64], expect: &[&[i64]]| {
            assert_eq!(clusters(batches, cuts).unwrap(), expect, "{batches:?} {cuts:?}");
        };
        let all: &[Option<i64>] = &[Some(1), Some(5), Some(3), Some(9), Some(7)];
        check(&[all], &[], &[&[1, 5, 3, 9, 7]]);
        check(&[all], &[5], &[&[1, 3], &[5, 9, 7]]);
        check(&[all], &[3, 7, 9], &[&[1], &[5, 3], &[7], &[9]]);
        check(&[&[Some(1)], &[], &[Some(5), Some(6)], &[Some(6)]], &[5], &[&[1], &[5, 6, 6]]);
        // Row groups of which a filter left nothing.
        check(&[&[Some(1)], &[Some(8)]], &[3, 5, 8], &[&[1], &[8]]);
    }

    #[test]
    fn rows_that_statistics_deny_are_an_error() {
        for batches in [
            &[&[Some(1), Some(5)][..], &[Some(4)][..]][..],
            &[&[Some(5)][..], &[Some(6)][..], &[Some(1)][..]][..],
            &[&[Some(1), None][..]][..],
        ] {
            let error = clusters(batches, &[5]).unwrap_err();
            assert!(error.contains("`k` has rows in a row group whose statistics deny them"), "{error}");
        }
    }
}
