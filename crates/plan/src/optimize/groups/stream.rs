//! Rows in, groups out.
//!
//! ```text
//!   partial:  batches ─> groups ─> their states ─┐            final:  states ─> groups ─> their values
//!                │                               v                      │
//!                ├ memory is short ──> states of all groups so far      ├ memory is short, or a key does not fit
//!                ├ a key does not fit, or                               v
//!                v  hardly two rows have one key              DataFusion's operator, over the states of all groups
//!   states of all groups so far, then DataFusion's operator   so far and what is left of the input
//!   over what is left
//! ```
//!
//! Partial groups may come out several times, final ones once. DataFusion's operator does without partial groups
//! where they save nothing, and spills final ones.

use super::Dense;
use super::keys::{Key, Layout};
use super::table::Table;
use super::texts::Texts;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::aggregates::{
    AggregateExec, AggregateMode, aggregate_expressions, evaluate_group_by, evaluate_many,
};
use datafusion::physical_plan::execution_plan::{Boundedness, ChildrenPropertiesMode, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// The groups of a partition.
pub(super) fn run(
    aggregate: &Arc<AggregateExec>,
    layout: &Layout,
    dense: Option<Dense>,
    metrics: &ExecutionPlanMetricsSet,
    index: usize,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    match layout.is_wide() {
        true => start::<u128>(aggregate, layout, dense, metrics, index, context),
        false => start::<u64>(aggregate, layout, dense, metrics, index, context),
    }
}

fn start<K: Key>(
    aggregate: &Arc<AggregateExec>,
    layout: &Layout,
    dense: Option<Dense>,
    metrics: &ExecutionPlanMetricsSet,
    index: usize,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let partial = aggregate.mode() == &AggregateMode::Partial;
    let base = aggregate.group_expr().num_group_exprs();
    let filters = match partial {
        true => aggregate.filter_expr().to_vec(),
        // They were applied to the rows.
        false => vec![None; aggregate.aggr_expr().len()],
    };
    let accumulators = aggregate.aggr_expr().iter().map(|function| function.create_groups_accumulator());
    let reservation = MemoryConsumer::new(format!("PackedAggregate[{index}]"))
        .with_can_spill(true)
        .register(context.memory_pool());
    let state = State::<K> {
        input: aggregate.input().execute(index, Arc::clone(&context))?,
        aggregate: Arc::clone(aggregate),
        partial,
        layout: layout.clone(),
        table: Table::new(dense.map_or(0, |dense| dense.span)),
        texts: layout.texts(),
        groups: Vec::new(),
        arguments: aggregate_expressions(aggregate.aggr_expr(), aggregate.mode(), base)?,
        filters,
        accumulators: accumulators.collect::<Result<_>>()?,
        reservation: Some(reservation),
        rows: 0,
        // The first rows have a key each where all rows have few.
        probe: Probe::new(&context, partial).filter(|_| !dense.is_some_and(|dense| dense.again)),
        slice: context.session_config().batch_size().max(1),
        out: None,
        phase: Phase::Reading,
        metrics: BaselineMetrics::new(metrics, index),
        all_metrics: metrics.clone(),
        context,
    };
    let batches =
        stream::try_unfold(
            state,
            |mut state| async move { Ok(state.next().await?.map(|batch| (batch, state))) },
        );
    Ok(Box::pin(RecordBatchStreamAdapter::new(aggregate.schema(), batches)))
}

/// When partial groups are not worth their while: DataFusion's settings.
struct Probe {
    rows: usize,
    part: f64,
}

impl Probe {
    fn new(context: &TaskContext, partial: bool) -> Option<Self> {
        let options = &context.session_config().options().execution;
        let part = options.skip_partial_aggregation_probe_ratio_threshold;
        let rows = options.skip_partial_aggregation_probe_rows_threshold;
        (partial && part < 1.0).then_some(Self { rows, part })
    }
}

enum Phase {
    Reading,
    /// DataFusion's operator over what is left.
    Plain(SendableRecordBatchStream),
    Done,
}

struct State<K> {
    input: SendableRecordBatchStream,
    aggregate: Arc<AggregateExec>,
    partial: bool,
    layout: Layout,
    table: Table<K>,
    texts: Vec<Texts>,
    /// Of the rows of a batch.
    groups: Vec<usize>,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// None when DataFusion's operator has taken over.
    reservation: Option<MemoryReservation>,
    /// Read so far.
    rows: usize,
    probe: Option<Probe>,
    /// Rows of a batch that is handed out.
    slice: usize,
    /// Groups that are being handed out, and how many of them have been.
    out: Option<(RecordBatch, usize)>,
    phase: Phase,
    metrics: BaselineMetrics,
    all_metrics: ExecutionPlanMetricsSet,
    context: Arc<TaskContext>,
}

impl<K: Key> State<K> {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.slice() {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            match &mut self.phase {
                Phase::Done => return Ok(None),
                Phase::Plain(rest) => {
                    let Some(batch) = rest.next().await else {
                        self.phase = Phase::Done;
                        return Ok(None);
                    };
                    let batch = batch?;
                    self.metrics.record_output(batch.num_rows());
                    return Ok(Some(batch));
                }
                Phase::Reading => match self.input.next().await {
                    None => {
                        let elapsed = self.metrics.elapsed_compute().clone();
                        let _timer = elapsed.timer();
                        self.phase = Phase::Done;
                        self.out = self.emit(!self.partial)?.map(|batch| (batch, 0));
                    }
                    Some(batch) => {
                        let elapsed = self.metrics.elapsed_compute().clone();
                        let _timer = elapsed.timer();
                        self.batch(batch?)?;
                    }
                },
            }
        }
    }

    /// The next of the groups that are handed out.
    fn slice(&mut self) -> Option<RecordBatch> {
        let (batch, at) = self.out.as_mut()?;
        let rows = self.slice.min(batch.num_rows() - *at);
        if rows == 0 {
            self.out = None;
            return None;
        }
        let slice = batch.slice(*at, rows);
        *at += rows;
        Some(slice)
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        let columns = evaluate_group_by(self.aggregate.group_expr(), &batch)?;
        let keys = columns.first().and_then(|columns| self.layout.pack::<K>(columns, &mut self.texts));
        let Some(keys) = keys else { return self.hand_over(Some(batch)) };
        self.table.find(&keys, &mut self.groups);
        let count = self.table.len();
        let arguments = evaluate_many(&self.arguments, &batch)?;
        for ((accumulator, arguments), filter) in
            self.accumulators.iter_mut().zip(arguments).zip(&self.filters)
        {
            if self.partial {
                let filter = match filter {
                    Some(filter) => Some(filter.evaluate(&batch)?.into_array(batch.num_rows())?),
                    None => None,
                };
                let filter = filter.as_ref().map(|filter| filter.as_boolean());
                accumulator.update_batch(&arguments, &self.groups, filter, count)?;
            } else {
                accumulator.merge_batch(&arguments, &self.groups, count)?;
            }
        }
        self.rows += batch.num_rows();
        let saves_little = self
            .probe
            .as_ref()
            .is_some_and(|probe| self.rows >= probe.rows && count as f64 > self.rows as f64 * probe.part);
        if saves_little {
            return self.hand_over(None);
        }
        let size = self.size();
        match self.reservation.as_ref().map_or(Ok(()), |reservation| reservation.try_resize(size)) {
            Ok(()) => Ok(()),
            Err(DataFusionError::ResourcesExhausted(_)) if self.partial && count > 0 => {
                self.out = self.emit(false)?.map(|batch| (batch, 0));
                Ok(())
            }
            Err(DataFusionError::ResourcesExhausted(_)) if !self.partial => self.hand_over(None),
            Err(error) => Err(error),
        }
    }

    fn size(&self) -> usize {
        let accumulators: usize = self.accumulators.iter().map(|accumulator| accumulator.size()).sum();
        let texts: usize = self.texts.iter().map(Texts::size).sum();
        self.table.size() + texts + accumulators + self.groups.capacity() * size_of::<usize>()
    }

    /// All groups, with their values or their states; the table is empty then, and nothing is reserved.
    fn emit(&mut self, values: bool) -> Result<Option<RecordBatch>> {
        if self.table.len() == 0 {
            return Ok(None);
        }
        let null = self.table.null();
        let mut columns: Vec<ArrayRef> = self.layout.unpack(&self.table.take(), null, &mut self.texts)?;
        for accumulator in &mut self.accumulators {
            match values {
                true => columns.push(accumulator.evaluate(EmitTo::All)?),
                false => columns.extend(accumulator.state(EmitTo::All)?),
            }
        }
        if let Some(reservation) = &self.reservation {
            reservation.free();
        }
        let schema = match values || self.partial {
            true => self.aggregate.schema(),
            // States again, as they came in.
            false => self.aggregate.input().schema(),
        };
        Ok(Some(RecordBatch::try_new(schema, columns)?))
    }

    /// Lets DataFusion's operator do what is left, beginning with a batch that was not taken.
    fn hand_over(&mut self, batch: Option<RecordBatch>) -> Result<()> {
        let groups = self.emit(false)?;
        let mut first = Vec::new();
        match self.partial {
            true => self.out = groups.map(|groups| (groups, 0)),
            false => {
                let slice = |groups: RecordBatch| {
                    let rows = groups.num_rows();
                    let starts = (0..rows).step_by(self.slice);
                    let slices = starts.map(|at| groups.slice(at, self.slice.min(rows - at)));
                    slices.collect::<Vec<_>>()
                };
                first.extend(groups.map(slice).unwrap_or_default());
            }
        }
        first.extend(batch);
        let schema = self.input.schema();
        let end = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::empty()));
        let rest = std::mem::replace(&mut self.input, end);
        let rest = stream::iter(first.into_iter().map(Ok)).chain(rest);
        let rest = RecordBatchStreamAdapter::new(Arc::clone(&schema), rest);
        let rest: Arc<dyn ExecutionPlan> = Arc::new(RestExec::new(Box::pin(rest), schema));
        let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let aggregate = Arc::clone(&self.aggregate) as Arc<dyn ExecutionPlan>;
        let aggregate = aggregate.replace_children(vec![rest], keep)?;
        self.accumulators.clear();
        // It is no longer one of those that share the memory.
        self.reservation = None;
        self.phase = Phase::Plain(aggregate.execute(0, Arc::clone(&self.context))?);
        // What it spills is what this operator spills.
        for metric in aggregate.metrics().iter().flat_map(|metrics| metrics.iter()) {
            if metric.value().name().contains("spill") {
                self.all_metrics.register(Arc::clone(metric));
            }
        }
        Ok(())
    }
}

/// A stream that has begun, as the one partition of a plan.
pub(in crate::optimize) struct RestExec {
    rest: Mutex<Option<SendableRecordBatchStream>>,
    properties: Arc<PlanProperties>,
}

impl RestExec {
    pub(in crate::optimize) fn new(rest: SendableRecordBatchStream, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { rest: Mutex::new(Some(rest)), properties: Arc::new(properties) }
    }
}

impl fmt::Debug for RestExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestExec")
    }
}

impl DisplayAs for RestExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestExec")
    }
}

impl ExecutionPlan for RestExec {
    fn name(&self) -> &str {
        "RestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _index: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match self.rest.lock().take() {
            Some(rest) => Ok(rest),
            None => internal_err!("what is left of a stream is read once"),
        }
    }
}
