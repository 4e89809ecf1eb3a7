//! The operator of running windows: one batch in, the same batch with more columns out.
//!
//! The input is sorted by the keys of the groups, if there are any, and then in the order of the windows; a group
//! that ends in the middle of a batch ends there.
//!
//! A window that reaches back over few rows, without groups, needs no more than those to begin anywhere. So batches are
//! computed by all workers, each with the rows before it, and handed out in their order.

use super::figures::{Figure, State};
use crate::optimize::only;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::partition;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt, TryStreamExt};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// A column that the operator adds.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) figure: Figure,
    /// Rows before the current one in the window; all, if none are said.
    pub(super) before: Option<usize>,
    pub(super) value: Arc<dyn PhysicalExpr>,
    /// What a sum that leaves its type says; of figures that cannot, none.
    pub(super) overflow: Option<Arc<DataFusionError>>,
}

#[derive(Debug)]
pub(super) struct RunningExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    columns: Vec<Column>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    /// How the input must be sorted.
    order: Vec<Option<OrderingRequirements>>,
    metrics: ExecutionPlanMetricsSet,
}

impl RunningExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        columns: Vec<Column>,
        schema: SchemaRef,
        properties: Arc<PlanProperties>,
        order: Vec<Option<OrderingRequirements>>,
    ) -> Self {
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, keys, columns, schema, properties, order, metrics }
    }
}

impl DisplayAs for RunningExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningWindowExec: windows=[")?;
        for (at, column) in self.columns.iter().enumerate() {
            let gap = if at == 0 { "" } else { ", " };
            write!(f, "{gap}{:?} of {}", column.figure, column.value)?;
            if let Some(before) = column.before {
                write!(f, " over {} rows", before.saturating_add(1))?;
            }
        }
        write!(f, "], groups={}", self.keys.len())
    }
}

impl ExecutionPlan for RunningExec {
    fn name(&self) -> &str {
        "RunningWindowExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.order.clone()
    }

    /// Its input is in order; nobody may deal the rows to others.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.keys.iter().chain(self.columns.iter().map(|column| &column.value)) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only(children, &*self)?;
        Ok(Arc::new(Self::new(
            input,
            self.keys.clone(),
            self.columns.clone(),
            Arc::clone(&self.schema),
            Arc::clone(&self.properties),
            self.order.clone(),
        )))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let workers = context.session_config().target_partitions();
        let input = self.input.execute(index, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, index);
        let running = Running::new(self.keys.clone(), self.columns.clone(), Arc::clone(&self.schema));
        if let Some(back) = self.reaches_back().filter(|_| workers > 1) {
            return Ok(Box::pin(RecordBatchStreamAdapter::new(
                Arc::clone(&self.schema),
                apart(input, running, back, workers, metrics),
            )));
        }
        let mut running = running;
        let rows = input.map(move |batch| {
            let batch = batch?;
            let timer = metrics.elapsed_compute().timer();
            let out = running.push(&batch);
            timer.done();
            out.record_output(&metrics)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Rows that are computed twice, at the beginning of a batch: a small part of it.
const NEAR: usize = 1024;

impl RunningExec {
    /// How many rows before its own a batch needs to be computed by itself; none if it cannot be, or should not.
    fn reaches_back(&self) -> Option<usize> {
        let reach = self.columns.iter().map(|column| column.before).collect::<Option<Vec<_>>>()?;
        reach.into_iter().max().filter(|rows| self.keys.is_empty() && *rows <= NEAR)
    }
}

/// The windows of each batch by a task of its own, `workers` at once.
fn apart(
    input: SendableRecordBatchStream,
    running: Running,
    back: usize,
    workers: usize,
    metrics: BaselineMetrics,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    // the rows before the next batch
    let mut before: VecDeque<RecordBatch> = VecDeque::new();
    let mut rows_before = 0;
    let elapsed = metrics.elapsed_compute().clone();
    let jobs = input.map_ok(move |batch| {
        let (mut running, elapsed) = (running.fresh(), elapsed.clone());
        let already: Vec<RecordBatch> = before.iter().cloned().collect();
        let tail = batch.num_rows().min(back);
        before.push_back(batch.slice(batch.num_rows() - tail, tail));
        rows_before += tail;
        while let Some(first) = before.front().map(RecordBatch::num_rows)
            && rows_before - first >= back
        {
            before.pop_front();
            rows_before -= first;
        }
        let task = SpawnedTask::spawn(async move {
            let timer = elapsed.timer();
            for batch in &already {
                running.push(batch)?;
            }
            let out = running.push(&batch);
            timer.done();
            out
        });
        async move { task.join().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))? }
    });
    jobs.try_buffered(workers + 1).map(move |out| out.record_output(&metrics))
}

/// The windows of a stream.
struct Running {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    columns: Vec<Column>,
    states: Vec<State>,
    schema: SchemaRef,
    /// The keys of the last row.
    last: Option<OwnedRow>,
}

impl Running {
    fn new(keys: Vec<Arc<dyn PhysicalExpr>>, columns: Vec<Column>, schema: SchemaRef) -> Self {
        let states = columns.iter().map(|column| column.figure.state(column.before)).collect();
        Self { keys, columns, states, schema, last: None }
    }

    /// The same windows, which have seen nothing.
    fn fresh(&self) -> Self {
        let mut fresh = Self::new(self.keys.clone(), self.columns.clone(), Arc::clone(&self.schema));
        fresh.states.iter_mut().zip(&self.states).for_each(|(state, known)| state.share(known));
        fresh
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let groups = self.groups(batch)?;
        let mut out = batch.columns().to_vec();
        for (column, state) in self.columns.iter().zip(&mut self.states) {
            let values = column.value.evaluate(batch)?.into_array(rows)?;
            let mut figures = state.output(rows);
            for (start, end, fresh) in &groups {
                if *fresh {
                    state.clear();
                }
                state.push(&values, *start, *end, &mut figures);
            }
            if let Some(overflow) = column.overflow.as_ref().filter(|_| state.has_left_its_type()) {
                return Err(DataFusionError::Shared(Arc::clone(overflow)));
            }
            out.push(figures.finish());
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), out)?)
    }

    /// The rows of each group, and whether it begins there.
    fn groups(&mut self, batch: &RecordBatch) -> Result<Vec<(usize, usize, bool)>> {
        let rows = batch.num_rows();
        if self.keys.is_empty() || rows == 0 {
            return Ok(vec![(0, rows, false)]);
        }
        let keys = self.keys.iter().map(|key| key.evaluate(batch)?.into_array(rows));
        let keys: Vec<ArrayRef> = keys.collect::<Result<_>>()?;
        let ends: Vec<ArrayRef> = keys.iter().map(|key| key.slice(0, 1)).collect();
        let fields: Vec<SortField> = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
        let converter = RowConverter::new(fields.clone())?;
        let first = converter.convert_columns(&ends)?.row(0).owned();
        let goes_on = self.last.as_ref().is_some_and(|last| last.row().data() == first.row().data());
        let ranges = partition(&keys)?.ranges();
        let ends: Vec<ArrayRef> = keys.iter().map(|key| key.slice(rows - 1, 1)).collect();
        self.last = Some(RowConverter::new(fields)?.convert_columns(&ends)?.row(0).owned());
        let groups = ranges.into_iter().enumerate();
        Ok(groups.map(|(at, range)| (range.start, range.end, at > 0 || !goes_on)).collect())
    }
}
