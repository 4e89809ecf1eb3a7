//! Sorting a partition that does not fit into memory, in runs.
//!
//! ```text
//!   input ─> run, until memory is short ─> ranges, one sorted after another ─> values     it was the only one
//!                    ^                                   │
//!                    └───────────────────────────────────┴─> a file ... a file ─> merge ─> values
//! ```
//!
//! A run is sorted as everything is where it fits ([`ranges`](super::ranges)), by encoded keys, but by one worker: some ten thousand rows in a
//! turn, between which a cancelled query stops. DataFusion's sort sorts small runs in one turn, and merges large ones
//! from their batches, with memory for the keys that it did not foresee. The files are merged by DataFusion, in several steps if memory asks for it.
//!
//! Memory may be short because others hold it, and stay so: a small run and a merge of two files are not refused ([`Floor`]).

use super::deal::{Dealt, blocks, deal};
use super::gather::{self, Limit, Part};
use super::keys::{Encoder, Long, Prefix, Short};
use super::ranges::{Block, Entry, Keys};
use super::table::Table;
use crate::floor::Floor;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput, SpillMetrics,
};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::streaming_merge::{SortedSpillFile, StreamingMergeBuilder};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;
use tokio::task::yield_now;

/// Most bytes of a batch on disk, about: a merge holds up to four of each file, and cuts them where that is too much.
const BATCH_BYTES: usize = 256 << 10;
/// The part of the budget that the merges of all workers may have.
const MERGES: usize = 4;
/// Most rows of a block, and of a range: what is handled in a turn.
const TURN_ROWS: usize = 32 * 1024;
/// Blocks and ranges that a run has at least, if it is not tiny: beside the run there is a copy of one.
const TURNS: usize = 16;
/// Fewer rows are one block.
const FEW: usize = 1024;
/// Bytes for each row: its entry, with what growing lists have in reserve, where it came from, and where it goes.
const ROW: usize = size_of::<Entry<Long>>() / 4 * 5 + size_of::<u64>() + size_of::<u32>();

type Stream = BoxStream<'static, Result<RecordBatch>>;

/// Sorts each partition.
#[derive(Debug)]
pub(super) struct RunSortExec {
    /// Says what is sorted by what.
    sort: SortExec,
    metrics: ExecutionPlanMetricsSet,
}

impl RunSortExec {
    /// In the place of a sort that gives all rows.
    pub(super) fn new(sort: SortExec) -> Self {
        Self { sort, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for RunSortExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(t, DisplayFormatType::TreeRender) {
            f.write_str("Run")?;
        }
        self.sort.fmt_as(t, f)
    }
}

impl ExecutionPlan for RunSortExec {
    fn name(&self) -> &str {
        "RunSortExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.sort.properties()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.sort.input()]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.sort.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sort = Arc::new(self.sort.clone()).replace_children(children, options)?;
        match sort.downcast_ref::<SortExec>() {
            Some(sort) => Ok(Arc::new(Self::new(sort.clone()))),
            None => internal_err!("a sort became another operator"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.sort.input();
        let schema = input.schema();
        let fields = super::fields(self.sort.expr(), input)?;
        let config = context.session_config();
        let spills = SpillMetrics::new(&self.metrics, index);
        let manager = SpillManager::new(context.runtime_env(), spills, Arc::clone(&schema));
        let merges = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(limit) => limit / MERGES / config.target_partitions().max(1),
            _ => usize::MAX,
        };
        let pool = Floor::under(context.memory_pool());
        let runs = Runs {
            schema: Arc::clone(&schema),
            expr: self.sort.expr().clone(),
            encoder: Encoder::new(&fields)?,
            manager: manager.with_compression_type(config.spill_compression()),
            account: MemoryConsumer::new(format!("RunSort[{index}]")).with_can_spill(true).register(&pool),
            pool: Arc::clone(context.memory_pool()),
            merges,
            index,
            batch_rows: config.batch_size().max(1),
            metrics: BaselineMetrics::new(&self.metrics, index),
            files: Vec::new(),
        };
        let input = input.execute(index, context)?;
        let rows = stream::once(async move { runs.sorted(input).await }).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The sort of a partition.
struct Runs {
    schema: SchemaRef,
    expr: LexOrdering,
    encoder: Encoder,
    manager: SpillManager,
    /// For the run.
    account: MemoryReservation,
    pool: Arc<dyn MemoryPool>,
    /// What a merge may have of it.
    merges: usize,
    index: usize,
    /// Most rows of a batch; fewer if they are wide.
    batch_rows: usize,
    metrics: BaselineMetrics,
    files: Vec<SortedSpillFile>,
}

impl Runs {
    async fn sorted(mut self, mut input: SendableRecordBatchStream) -> Result<Stream> {
        let mut first = None;
        loop {
            let (limit, held) = (Limit::of_run(ROW), self.account.new_empty());
            let mut part =
                gather::read_one(input, first.take(), &self.expr, &self.encoder, &limit, held).await?;
            let rest = part.rest.take();
            first = part.refused.take();
            if let Some(batch) = first.as_ref().filter(|_| part.batches.is_empty()) {
                // More than there is, by itself: refused again, now in words.
                part.held.try_grow(batch.get_array_memory_size())?;
            }
            if rest.is_none() && self.files.is_empty() {
                let run = self.ranges(part).await?;
                return Ok(self.in_memory(run));
            }
            let row_bytes = part.row_bytes().max(1);
            self.batch_rows = (BATCH_BYTES / row_bytes).clamp(1, self.batch_rows);
            let run = self.ranges(part).await?;
            self.spill(run).await?;
            match rest {
                Some(rest) => input = rest,
                None => return self.merged(),
            }
        }
    }

    /// Sorts the rows, a range whenever it is asked for.
    async fn ranges(&self, part: Part) -> Result<Run> {
        let (batches, keys, held) = part.into_run();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let turn_rows = (rows / TURNS).clamp(FEW, TURN_ROWS);
        let ranges: Ranges = match keys.longest <= Short::BYTES {
            true => Box::new(self.dealt::<Short>(keys, batches, turn_rows).await?),
            false => Box::new(self.dealt::<Long>(keys, batches, turn_rows).await?),
        };
        Ok(Run { ranges, _held: held })
    }

    async fn dealt<P: Prefix>(
        &self,
        mut keys: Keys,
        batches: Vec<RecordBatch>,
        turn_rows: usize,
    ) -> Result<Sorted<P>> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let cuts = keys.cuts::<P>((rows / turn_rows).max(1));
        let list = blocks(&batches, turn_rows);
        let Dealt { ranges, mut blocks, columns } = deal(&keys, &cuts, &list, 0, batches).await?;
        if keys.exact::<P>() {
            keys = keys.without_rows();
        }
        let starts = blocks.iter_mut().map(|block| std::mem::take(&mut block.starts)).collect();
        let table = Table::new(Arc::clone(&self.schema), columns, starts);
        let ranges = ranges.into_iter().enumerate();
        Ok(Sorted { ranges, large: None, keys, blocks, table, turn_rows, batch_rows: self.batch_rows })
    }

    /// The rows of the only run.
    fn in_memory(self, run: Run) -> Stream {
        let metrics = self.metrics;
        let batches = stream::try_unfold(run, |mut run| async move {
            yield_now().await;
            let batches = run.ranges.next().transpose()?;
            let batches = batches.map(|batches| stream::iter(batches.into_iter().map(Ok)));
            Ok::<_, DataFusionError>(batches.map(|batches| (batches, run)))
        });
        batches.try_flatten().map(move |batch| batch.record_output(&metrics)).boxed()
    }

    /// Writes a run to a file of its own.
    async fn spill(&mut self, mut run: Run) -> Result<()> {
        let mut file = self.manager.create_in_progress_file("a run of a sort")?;
        let mut most = 0;
        for batches in run.ranges.by_ref() {
            for batch in batches? {
                most = most.max(file.append_batch(&batch)?);
            }
            yield_now().await;
        }
        if let Some(file) = file.finish()? {
            self.files.push(SortedSpillFile { file, max_record_batch_memory: most });
        }
        Ok(())
    }

    /// The rows of all runs.
    fn merged(self) -> Result<Stream> {
        // Enough for the batches of two files, in any case.
        let largest = self.files.iter().map(|run| run.max_record_batch_memory).max().unwrap_or_default();
        let pool = Floor::and_ceiling(&self.pool, self.merges.max(4 * largest));
        let account = MemoryConsumer::new(format!("RunSortMerge[{}]", self.index)).register(&pool);
        let merge = StreamingMergeBuilder::new()
            .with_sorted_spill_files(self.files)
            .with_spill_manager(self.manager)
            .with_schema(self.schema)
            .with_expressions(&self.expr)
            .with_metrics(self.metrics)
            .with_batch_size(self.batch_rows)
            .with_reservation(account)
            // equal rows in the order of the runs, if all are merged at once
            .with_round_robin_tie_breaker(false);
        Ok(merge.build()?.boxed())
    }
}

type Ranges = Box<dyn Iterator<Item = Result<Vec<RecordBatch>>> + Send>;

/// A run in its order, and what is charged for it.
struct Run {
    ranges: Ranges,
    _held: MemoryReservation,
}

/// Sorts range after range.
struct Sorted<P> {
    ranges: std::iter::Enumerate<std::vec::IntoIter<Vec<Entry<P>>>>,
    /// A range that is sorted and has too many rows for a turn, and how many of them are out.
    large: Option<(Vec<Entry<P>>, usize)>,
    keys: Keys,
    blocks: Vec<Block>,
    table: Table,
    turn_rows: usize,
    batch_rows: usize,
}

impl<P: Prefix> Iterator for Sorted<P> {
    type Item = Result<Vec<RecordBatch>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((range, out)) = &mut self.large {
            let rows = self.batch_rows.min(range.len() - *out);
            if rows > 0 {
                *out += rows;
                return Some(self.table.some(&range[*out - rows..*out]));
            }
            self.large = None;
        }
        let (at, mut range) = self.ranges.next()?;
        self.keys.sort(&mut range, &self.blocks);
        if range.len() <= 2 * self.turn_rows {
            return Some(self.table.rows(at, &range, self.batch_rows));
        }
        self.large = Some((range, 0));
        Some(Ok(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
    use datafusion::arrow::compute::{SortOptions, concat_batches};
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::catalog::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_expr::PhysicalSortExpr;
    use datafusion::physical_expr::expressions::col;
    use datafusion::prelude::SessionConfig;
    use proptest::prelude::*;
    use std::task::Poll;

    /// What became of a sort, watched from one poll to the next.
    struct Polled {
        /// Keys and numbers of the rows.
        rows: Vec<(Option<String>, i64, i64)>,
        files: usize,
        bytes_spilled: usize,
        /// The most that was spilled in a turn, and the most that was held after one.
        most_bytes: usize,
        most_held: usize,
        error: Option<DataFusionError>,
    }

    fn context(memory: usize) -> Arc<TaskContext> {
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)));
        let context = TaskContext::default().with_session_config(SessionConfig::new().with_batch_size(512));
        Arc::new(context.with_runtime(runtime.build_arc().unwrap()))
    }

    /// Batches of a text, a number and the number of the row.
    fn batches(rows: &[(Option<String>, i64)], per_batch: usize) -> Vec<RecordBatch> {
        let mut ids = 0..;
        let batch = |rows: &[(Option<String>, i64)]| {
            let columns: [(&str, ArrayRef, bool); 3] = [
                ("text", Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>()), true),
                ("number", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))), true),
                ("id", Arc::new(Int64Array::from_iter_values(ids.by_ref().take(rows.len()))), true),
            ];
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        };
        rows.chunks(per_batch).map(batch).collect()
    }

    fn sort(batches: &[RecordBatch], keys: &[(&str, SortOptions)]) -> RunSortExec {
        let schema = batches[0].schema();
        let input = MemorySourceConfig::try_new_exec(&[batches.to_vec()], schema.clone(), None).unwrap();
        let key = |(name, options): &(&str, SortOptions)| PhysicalSortExpr {
            expr: col(name, &schema).unwrap(),
            options: *options,
        };
        let expr = LexOrdering::new(keys.iter().map(key)).unwrap();
        RunSortExec::new(SortExec::new(expr, input))
    }

    async fn polled(sort: &RunSortExec, context: &Arc<TaskContext>) -> Polled {
        let metric =
            |of: fn(&MetricsSet) -> Option<usize>| sort.metrics().and_then(|all| of(&all)).unwrap_or(0);
        let bytes = || metric(MetricsSet::spilled_bytes);
        let others = context.memory_pool().reserved();
        let mut stream = sort.execute(0, Arc::clone(context)).unwrap();
        let (mut out, mut error, mut most_bytes, mut most_held) = (Vec::new(), None, 0, 0);
        loop {
            let before = bytes();
            let next = futures::poll!(stream.next());
            most_bytes = most_bytes.max(bytes() - before);
            most_held = most_held.max(context.memory_pool().reserved() - others);
            match next {
                Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(batch))) => out.push(batch),
                Poll::Ready(Some(Err(refused))) => error = Some(refused),
                Poll::Pending => yield_now().await,
            }
        }
        drop(stream);
        // Readers of files end when they find that nobody listens.
        while context.memory_pool().reserved() > others {
            yield_now().await;
        }
        let all = concat_batches(&sort.sort.input().schema(), &out).unwrap();
        let (texts, numbers) = (all.column(0).as_string::<i32>(), all.column(1).as_primitive::<Int64Type>());
        let ids = all.column(2).as_primitive::<Int64Type>();
        let row = |at: usize| {
            let text = texts.is_valid(at).then(|| texts.value(at).to_owned());
            (text, numbers.value(at), ids.value(at))
        };
        Polled {
            rows: (0..all.num_rows()).map(row).collect(),
            files: metric(MetricsSet::spill_count),
            bytes_spilled: bytes(),
            most_bytes,
            most_held,
            error,
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Runtime::new().unwrap().block_on(future)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn as_a_stable_sort(
            rows in prop::collection::vec(
                (prop::option::weighted(0.9, "(a beginning that many share )?[ab\u{e9}]{0,9}"), -30..30_i64),
                1..3000),
            per_batch in 1..400_usize,
            by_text in any::<bool>(),
            descending in any::<bool>(),
            nulls_first in any::<bool>(),
            memory in prop::sample::select(vec![1_usize << 30, 512 << 10, 128 << 10]),
        ) {
            let options = SortOptions { descending, nulls_first };
            let keys = match by_text {
                true => vec![("text", options), ("number", SortOptions::default())],
                false => vec![("number", options)],
            };
            let found = block_on(polled(&sort(&batches(&rows, per_batch), &keys), &context(memory)));
            prop_assert!(found.error.is_none(), "{:?}", found.error);
            prop_assert!(memory < 1 << 30 || found.files == 0);
            let by_keys = |a: &(Option<String>, i64, i64), b: &(Option<String>, i64, i64)| {
                let way = |order: std::cmp::Ordering| if descending { order.reverse() } else { order };
                match (by_text, &a.0, &b.0) {
                    (false, ..) => way(a.1.cmp(&b.1)),
                    (true, Some(of_a), Some(of_b)) => way(of_a.cmp(of_b)).then(a.1.cmp(&b.1)),
                    (true, of_a, of_b) => {
                        let nulls = of_a.is_some().cmp(&of_b.is_some());
                        (if nulls_first { nulls } else { nulls.reverse() }).then(a.1.cmp(&b.1))
                    }
                }
            };
            let mut wanted: Vec<(Option<String>, i64, i64)> =
                rows.iter().cloned().zip(0..).map(|((text, number), id)| (text, number, id)).collect();
            wanted.sort_by(by_keys);
            let mut sorted = found.rows;
            prop_assert!(sorted.is_sorted_by(|a, b| by_keys(a, b).is_le()));
            // Equal rows keep their order, but for merges in several steps.
            if found.files > 1 {
                sorted.sort_by(|a, b| by_keys(a, b).then(a.2.cmp(&b.2)));
            }
            prop_assert_eq!(sorted, wanted);
        }
    }

    /// Numbers in no order, of which so many are different.
    fn mixed(rows: i64, different: i64) -> Vec<(Option<String>, i64)> {
        (0..rows).map(|at| (Some("some text".to_owned()), at * 7919 % different)).collect()
    }

    #[test]
    fn runs_are_written_in_short_turns() {
        let ascending = SortOptions::default();
        let check = |rows: Vec<(Option<String>, i64)>, keys: &[(&str, SortOptions)]| {
            let context = context(16 << 20);
            let found = block_on(polled(&sort(&batches(&rows, 512), keys), &context));
            assert!(found.error.is_none(), "{:?}", found.error);
            let key = |row: &(Option<String>, i64, i64)| match keys {
                [("text", _), ..] => (row.0.clone(), row.1),
                _ => (None, row.1),
            };
            assert!(found.rows.is_sorted_by_key(key));
            assert_eq!(found.rows.len(), rows.len());
            let (all, most) = (found.bytes_spilled, found.most_bytes);
            assert!(all > 8 << 20 && most < 1 << 20, "{most} of {all} in a turn");
            assert!(found.files < 16, "{} files", found.files);
        };
        check(mixed(400_000, 399_989), &[("number", ascending)]);
        check(mixed(400_000, 399_989), &[("text", ascending), ("number", ascending)]);
        // One range of all rows.
        check(mixed(400_000, 1), &[("number", ascending)]);
    }

    #[test]
    fn what_others_hold_stops_no_sort() {
        let rows = mixed(50_000, 49_999);
        let context = context(64 << 20);
        let other = MemoryConsumer::new("other").register(context.memory_pool());
        other.grow(64 << 20);
        let sort = sort(&batches(&rows, 500), &[("number", SortOptions::default())]);
        let found = block_on(polled(&sort, &context));
        assert!(found.error.is_none(), "{:?}", found.error);
        assert!(found.rows.is_sorted_by_key(|row| row.1));
        assert_eq!(found.rows.len(), rows.len());
        assert!(found.most_held < 1 << 20, "{}", found.most_held);
        assert!(found.files > 4, "{}", found.files);
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused() {
        let sort = sort(&batches(&mixed(50_000, 49_999), 50_000), &[("number", SortOptions::default())]);
        let found = block_on(polled(&sort, &context(256 << 10)));
        assert!(matches!(found.error, Some(DataFusionError::ResourcesExhausted(_))), "{:?}", found.error);
        assert_eq!(found.rows.len(), 0);
    }
}
