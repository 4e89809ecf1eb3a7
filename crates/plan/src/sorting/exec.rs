//! The operator: gathers, cuts, sorts range by range on all workers, and hands the ranges out in their order.

use super::deal::{blocks, deal};
use super::gather::{self, Limit, Part};
use super::keys::{Long, Prefix, Short};
use super::ranges::{Entry, Keys};
use super::runs::RunSortExec;
use super::table::Table;
use crate::optimize::{OptimizeOptions, only};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricValue, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Rows that a range should have: its entries, and its values of one column, fit into a core's cache.
const RANGE_ROWS: usize = 32 * 1024;
/// Rows that a block should have at least: the rows of a range are some hundred of them, in a run.
const BLOCK_ROWS: usize = 64 * 1024;
/// Rows are handed out in so many batches' size at once: about a range.
const BATCHES: usize = 4;
/// More ranges than this cost more than smaller ones save.
const MOST_RANGES: usize = 1024;
/// Bytes of a batch that is handed out, about.
const MOST_BYTES: usize = 32 << 20;

type Stream = BoxStream<'static, Result<RecordBatch>>;
type Spilling = Arc<Mutex<Option<Arc<dyn ExecutionPlan>>>>;

/// Sorts all rows of all partitions into one.
#[derive(Debug)]
pub(super) struct ParallelSortExec {
    input: Arc<dyn ExecutionPlan>,
    expr: LexOrdering,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The sort that spills, once it had to go on.
    spilling: Spilling,
}

impl ParallelSortExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        expr: LexOrdering,
        properties: Arc<PlanProperties>,
    ) -> Self {
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, expr, properties, metrics, spilling: Arc::default() }
    }
}

impl DisplayAs for ParallelSortExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParallelSortExec: expr=[{}]", self.expr)
    }
}

impl ExecutionPlan for ParallelSortExec {
    fn name(&self) -> &str {
        "ParallelSortExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

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
        for key in &self.expr {
            if f(&key.expr)? == TreeNodeRecursion::Stop {
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
        Ok(Arc::new(Self::new(input, self.expr.clone(), Arc::clone(&self.properties))))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if index != 0 {
            return internal_err!("ParallelSortExec gives one partition");
        }
        let count = self.input.output_partitioning().partition_count();
        let inputs = (0..count).map(|at| self.input.execute(at, Arc::clone(&context)));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let fields = super::fields(&self.expr, &self.input)?;
        let metrics = BaselineMetrics::new(&self.metrics, index);
        let sort = Sort {
            schema: self.input.schema(),
            expr: self.expr.clone(),
            spilling: Arc::clone(&self.spilling),
            context,
        };
        let rows = async move {
            let consumer = MemoryConsumer::new("ParallelSort").with_can_spill(true);
            let account = consumer.register(sort.context.memory_pool());
            let most = match sort.context.memory_pool().memory_limit() {
                MemoryLimit::Finite(bytes) => bytes / 2,
                _ => usize::MAX,
            };
            let parts = gather::read(inputs, &sort.expr, &fields, &Limit::of_all(most), &account).await?;
            sort.sorted(parts, account).await
        };
        let rows = stream::once(rows).try_flatten().map(move |batch| batch.record_output(&metrics));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut all = self.metrics.clone_inner();
        if let Some(spilling) = self.spilling.lock().as_ref().and_then(|sort| sort.metrics()) {
            let of_spills = |value: &MetricValue| {
                use MetricValue::{SpillCount, SpilledBytes, SpilledRows};
                matches!(value, SpillCount(_) | SpilledBytes(_) | SpilledRows(_))
            };
            spilling.iter().filter(|metric| of_spills(metric.value())).for_each(|m| all.push(Arc::clone(m)));
        }
        Some(all)
    }
}

/// One run of the operator.
struct Sort {
    schema: SchemaRef,
    expr: LexOrdering,
    spilling: Spilling,
    context: Arc<TaskContext>,
}

impl Sort {
    async fn sorted(self, parts: Vec<Part>, account: MemoryReservation) -> Result<Stream> {
        if !parts.iter().all(Part::is_whole) {
            return self.spill(parts);
        }
        let (rows, longest) = gather::sizes(&parts);
        let entry = match longest <= Short::BYTES {
            true => size_of::<Entry<Short>>(),
            false => size_of::<Entry<Long>>(),
        };
        let workers = self.context.session_config().target_partitions();
        // the rows, with what growing lists have in reserve, and where they came from
        let places = rows * entry / 4 * 5 + if longest > entry - 8 { rows * 8 } else { 0 };
        // what the workers have in hand: ranges twice, or a block
        let held: usize = parts.iter().map(Part::bytes).sum();
        let in_hand = held / ranges(rows).min(rows / BLOCK_ROWS).max(1) * (workers + 2);
        if account.try_grow(places + in_hand * 2).is_err() {
            return self.spill(parts);
        }
        let (batches, keys, held) = gather::together(parts);
        let bytes: usize = held.iter().map(MemoryReservation::size).sum();
        let batch_rows = (MOST_BYTES / (bytes / rows.max(1)).max(1)).max(1);
        let batch_rows = batch_rows.min(self.context.session_config().batch_size() * BATCHES);
        let work = Work { schema: self.schema, batches, workers, rows, batch_rows, held: (held, account) };
        match longest <= Short::BYTES {
            true => work.run::<Short>(keys).await,
            false => work.run::<Long>(keys).await,
        }
    }

    /// A sort that spills goes on with what there is.
    fn spill(self, parts: Vec<Part>) -> Result<Stream> {
        let several = parts.len() > 1;
        let replays = parts.into_iter().map(|part| {
            let rows = Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), part.replay()));
            let replay = Replay { schema: self.schema.clone(), rows: Mutex::new(Some(rows as _)) };
            Arc::new(replay) as Arc<dyn PartitionStream>
        });
        let input = StreamingTableExec::try_new(
            self.schema.clone(),
            replays.collect(),
            None,
            std::iter::empty::<LexOrdering>(),
            false,
            None,
        )?;
        let sort = SortExec::new(self.expr.clone(), Arc::new(input)).with_preserve_partitioning(several);
        let sort: Arc<dyn ExecutionPlan> =
            match OptimizeOptions::of(self.context.session_config().options()).run_sorts {
                true => Arc::new(RunSortExec::new(sort)),
                false => Arc::new(sort),
            };
        *self.spilling.lock() = Some(Arc::clone(&sort));
        let plan: Arc<dyn ExecutionPlan> = match several {
            true => Arc::new(SortPreservingMergeExec::new(self.expr.clone(), sort)),
            false => sort,
        };
        Ok(plan.execute(0, self.context)?.boxed())
    }
}

/// Rows that all are in memory.
struct Work {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    workers: usize,
    rows: usize,
    batch_rows: usize,
    held: (Vec<MemoryReservation>, MemoryReservation),
}

impl Work {
    async fn run<P: Prefix>(self, keys: Keys) -> Result<Stream> {
        let cuts = Arc::new(keys.cuts::<P>(ranges(self.rows)));
        let mut keys = Arc::new(keys);
        let Work { schema, mut batches, workers, batch_rows, held, .. } = self;
        let blocks = blocks(&batches, BLOCK_ROWS);
        let mut dealing = Vec::new();
        for worker in (0..workers).rev() {
            let first = blocks.len() * worker / workers;
            let mine = blocks[first..blocks.len() * (worker + 1) / workers].to_vec();
            let batches = batches.split_off(mine.first().map_or(batches.len(), |block| block.start));
            let (keys, cuts) = (Arc::clone(&keys), Arc::clone(&cuts));
            dealing.push(SpawnedTask::spawn(async move { deal(&keys, &cuts, &mine, first, batches).await }));
        }
        // of each range what each worker found
        let mut all: Vec<Vec<Vec<Entry<P>>>> = (0..cuts.ranges()).map(|_| Vec::new()).collect();
        let (mut blocks, mut columns) = (Vec::new(), Vec::new());
        for dealt in dealing.into_iter().rev() {
            let dealt = dealt.join().await.map_err(joining)??;
            all.iter_mut().zip(dealt.ranges).for_each(|(range, part)| range.push(part));
            blocks.extend(dealt.blocks);
            columns.extend(dealt.columns);
        }
        if keys.exact::<P>() {
            keys = Arc::new(keys.without_rows());
        }
        let starts = blocks.iter_mut().map(|block| std::mem::take(&mut block.starts)).collect();
        let (table, blocks) = (Arc::new(Table::new(schema, columns, starts)), Arc::new(blocks));
        let sorting = stream::iter(all.into_iter().enumerate()).map(move |(at, parts)| {
            let (table, keys, blocks) = (Arc::clone(&table), Arc::clone(&keys), Arc::clone(&blocks));
            let sorted = SpawnedTask::spawn(async move {
                let mut range = parts.concat();
                drop(parts);
                keys.sort(&mut range, &blocks);
                table.rows(at, &range, batch_rows)
            });
            async move { sorted.join().await.map_err(joining)? }
        });
        let batches = sorting
            .buffered(workers + 1)
            .map_ok(|batches| stream::iter(batches.into_iter().map(Ok::<_, DataFusionError>)));
        // what is charged is given back when the last batch is out
        let given_back = stream::once(async move { drop(held) }).filter_map(|()| async { None });
        Ok(batches.try_flatten().chain(given_back).boxed())
    }
}

fn ranges(rows: usize) -> usize {
    (rows / RANGE_ROWS).clamp(1, MOST_RANGES)
}

fn joining(error: tokio::task::JoinError) -> DataFusionError {
    DataFusionError::ExecutionJoin(Box::new(error))
}

/// A partition that is read once.
struct Replay {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replay")
    }
}

impl PartitionStream for Replay {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let nothing = || {
            let once = DataFusionError::Internal("the rows of a sort are read once".to_owned());
            Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream::iter([Err(once)]))) as _
        };
        self.rows.lock().take().unwrap_or_else(nothing)
    }
}
