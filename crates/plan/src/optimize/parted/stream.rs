//! States in, values out.
//!
//! ```text
//!   input ─> tables ───────────────────────────────────────────────> values      all fit into memory
//!              │ memory is short, or the input has ended
//!              v
//!   32 files, by a hash of the key ── one after another ─> tables ─> values
//!                                                            │ memory is short again
//!                                                            v
//!                                                         32 files, by another hash
//! ```
//!
//! What is written is cut into turns of about [`TURN_BYTES`](super::parts::TURN_BYTES), between which a cancelled query stops.
//!
//! Memory may be short because others hold it, and stay so. A small table is kept whatever they hold ([`Floor`]): to cut it again would
//! end nowhere. So parts end whose groups fit into that, and whoever has begun ends.

use super::super::OptimizeOptions;
use super::parts::Parts;
use super::table::{Rows, Tables};
use crate::floor::Floor;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::spill_file::SpillFile;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, aggregate_expressions};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, Gauge, MetricBuilder, SpillMetrics, Time,
};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use futures::{StreamExt, stream};
use std::sync::Arc;

/// How often a part is cut into parts again: more groups than a million times what fits fail.
const DEPTH: usize = 4;

/// The groups of a partition.
pub(super) fn run(
    aggregate: &AggregateExec,
    metrics: &ExecutionPlanMetricsSet,
    index: usize,
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let input = aggregate.input();
    let states = states_of(aggregate)?;
    let config = context.session_config();
    let manager =
        SpillManager::new(context.runtime_env(), SpillMetrics::new(metrics, index), Arc::clone(&states))
            .with_compression_type(config.spill_compression());
    let metrics_of = BaselineMetrics::new(metrics, index);
    let cut = OptimizeOptions::of(config.options()).parted_cut;
    // Within less memory a table is small when it is written.
    let cut = match context.memory_pool().memory_limit() {
        MemoryLimit::Finite(limit) if limit / 8 < cut => usize::MAX,
        _ => cut,
    };
    let (rows, tables) = tables(aggregate, states, cut, metrics_of.elapsed_compute().clone())?;
    let state = State {
        input: input.execute(index, Arc::clone(context))?,
        rows: Some(rows),
        tables,
        reservation: MemoryConsumer::new(format!("PartedAggregate[{index}]"))
            .with_can_spill(true)
            .register(&Floor::under(context.memory_pool())),
        keys: aggregate.group_expr().num_group_exprs(),
        depth: 0,
        parts: None,
        pending: Vec::new(),
        manager,
        slice: config.batch_size().max(1),
        out: None,
        metrics: metrics_of,
        most: MetricBuilder::new(metrics).peak_memory_usage("peak_mem_used", index),
    };
    let batches =
        stream::try_unfold(
            state,
            |mut state| async move { Ok(state.next().await?.map(|batch| (batch, state))) },
        );
    Ok(Box::pin(RecordBatchStreamAdapter::new(aggregate.schema(), batches)))
}

/// How the input is read, and where its groups go.
fn tables(aggregate: &AggregateExec, states: SchemaRef, cut: usize, busy: Time) -> Result<(Rows, Tables)> {
    let (group_by, mode) = (aggregate.group_expr(), aggregate.mode());
    let keys = group_by.num_group_exprs();
    let rows = Rows {
        group_by: group_by.clone(),
        arguments: aggregate_expressions(aggregate.aggr_expr(), mode, keys)?,
        filters: is_raw(mode).then(|| aggregate.filter_expr().to_vec()),
    };
    let merged = Rows {
        group_by: group_by.as_final(),
        arguments: aggregate_expressions(aggregate.aggr_expr(), &AggregateMode::Final, keys)?,
        filters: None,
    };
    Ok((rows, Tables::new(aggregate, (states, merged), cut, busy)?))
}

/// Whether rows come in, not states.
fn is_raw(mode: &AggregateMode) -> bool {
    matches!(mode, AggregateMode::Single | AggregateMode::SinglePartitioned)
}

/// The columns of groups with their states.
fn states_of(aggregate: &AggregateExec) -> Result<SchemaRef> {
    let input = aggregate.input().schema();
    if !is_raw(aggregate.mode()) {
        return Ok(input);
    }
    let keys = aggregate.group_expr().group_schema(&input)?;
    let mut fields = keys.fields().to_vec();
    for function in aggregate.aggr_expr() {
        fields.extend(function.state_fields()?);
    }
    Ok(Arc::new(Schema::new_with_metadata(fields, input.metadata().clone())))
}

struct State {
    input: SendableRecordBatchStream,
    /// How the input is read, until the first part.
    rows: Option<Rows>,
    tables: Tables,
    reservation: MemoryReservation,
    keys: usize,
    /// How often the groups that are read have been cut into parts.
    depth: usize,
    /// What is written of them now.
    parts: Option<Parts>,
    /// Parts that are to be read, with their depth.
    pending: Vec<(usize, Arc<dyn SpillFile>)>,
    manager: SpillManager,
    /// Rows of a batch that is handed out.
    slice: usize,
    /// Groups that are being handed out, and how many of them have been.
    out: Option<(RecordBatch, usize)>,
    metrics: BaselineMetrics,
    /// The most that the groups took.
    most: Gauge,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.slice()? {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            match self.input.next().await {
                Some(batch) => {
                    self.tables.merge(self.rows.as_ref(), batch?).await?;
                    if self.is_too_much()? {
                        self.spill().await?;
                    }
                }
                None => {
                    self.input = Box::pin(EmptyRecordBatchStream::new(self.input.schema()));
                    self.end().await?;
                    if self.out.is_none() && !self.next_part()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next of the groups that are handed out.
    fn slice(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some((batch, at)) = self.out.as_mut() else { return Ok(None) };
            let rows = self.slice.min(batch.num_rows() - *at);
            if rows > 0 {
                let slice = batch.slice(*at, rows);
                *at += rows;
                return Ok(Some(slice));
            }
            self.out = self.emit(true)?;
        }
    }

    /// Charges the groups; whether they have become too many.
    fn is_too_much(&mut self) -> Result<bool> {
        let size = self.tables.size();
        self.most.set_max(size);
        match self.reservation.try_resize(size) {
            Ok(()) => Ok(false),
            Err(DataFusionError::ResourcesExhausted(_)) if !self.tables.is_empty() && self.depth < DEPTH => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// The groups of a table, with their values or their states, none of which is out.
    fn emit(&mut self, values: bool) -> Result<Option<(RecordBatch, usize)>> {
        let groups = self.tables.emit(values)?;
        // Less than the table had, as a rule; it is there in any case.
        let bytes = groups.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        self.reservation.resize(bytes + self.tables.size());
        Ok(groups.map(|groups| (groups, 0)))
    }

    /// Writes all groups.
    async fn spill(&mut self) -> Result<()> {
        self.tables.flush(self.rows.as_ref()).await?;
        while let Some((groups, _)) = self.emit(false)? {
            let open = || Parts::new(self.manager.clone(), self.keys, self.depth);
            let parts = self.parts.get_or_insert_with(open);
            self.reservation.resize(self.reservation.size() + groups.num_rows() * Parts::ROW_BYTES);
            parts.add(&groups, self.metrics.elapsed_compute()).await?;
        }
        self.reservation.free();
        Ok(())
    }

    /// The input, or a part, has ended: either all its groups are in memory, or they go to where the others of them are.
    async fn end(&mut self) -> Result<()> {
        if self.parts.is_some() {
            self.spill().await?;
        }
        match self.parts.take() {
            Some(parts) => {
                let depth = self.depth + 1;
                self.pending.extend(parts.finish()?.into_iter().map(|part| (depth, part)));
            }
            None => {
                self.tables.flush(self.rows.as_ref()).await?;
                self.out = self.emit(true)?;
            }
        }
        Ok(())
    }

    /// Begins with the next part, if there is one.
    fn next_part(&mut self) -> Result<bool> {
        let Some((depth, part)) = self.pending.pop() else { return Ok(false) };
        self.rows = None;
        self.depth = depth;
        self.tables.restart(depth);
        self.input = self.manager.read_spill_as_stream(part, None)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PartedGroups;
    use super::super::parts::TURN_BYTES;
    use super::*;
    use crate::optimize::OptimizeOptions;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_optimizer::PhysicalOptimizerRule;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use std::task::Poll;
    use tokio::task::yield_now;

    /// 50,000 groups of three rows, by keys of several types, with states of several columns.
    const QUERIES: [&str; 4] = [
        "SELECT value % 50000, count(*), avg(value), min(value) FROM range(0, 150000) GROUP BY 1",
        "SELECT CASE WHEN value % 50000 = 7 THEN NULL ELSE concat('a text of some length ', value % 50000) END,
           sum(value) FILTER (WHERE value % 3 = 0), max(cast(value AS VARCHAR))
         FROM range(0, 150000) GROUP BY 1",
        "SELECT CASE value % 50000 WHEN 3 THEN 'NaN'::double WHEN 5 THEN -0.0 ELSE cast(value % 50000 AS DOUBLE) END,
           value % 2, sum(value) FROM range(0, 150000) GROUP BY 1, 2",
        "SELECT value % 50000, value % 25000, value % 10 FROM range(0, 150000) GROUP BY 1, 2, 3",
    ];

    fn context(workers: usize, memory: Option<usize>) -> SessionContext {
        let default = OptimizeOptions::default();
        context_with(workers, memory, default.parted_cut)
    }

    fn context_with(workers: usize, memory: Option<usize>, parted_cut: usize) -> SessionContext {
        let mut config =
            SessionConfig::new().with_target_partitions(workers).with_repartition_aggregations(false);
        let options = OptimizeOptions { parted_groups: true, parted_cut, ..OptimizeOptions::default() };
        config.options_mut().extensions.insert(options);
        let mut runtime = RuntimeEnvBuilder::new();
        if let Some(memory) = memory {
            runtime = runtime.with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)));
        }
        SessionContext::new_with_config_rt(config, runtime.build_arc().unwrap())
    }

    async fn plan(context: &SessionContext, query: &str) -> Arc<dyn ExecutionPlan> {
        let plan = context.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        PartedGroups.optimize(plan, context.state().config_options()).unwrap()
    }

    fn find(plan: &Arc<dyn ExecutionPlan>, name: &str) -> Option<Arc<dyn ExecutionPlan>> {
        match plan.name() == name {
            true => Some(Arc::clone(plan)),
            false => plan.children().into_iter().find_map(|child| find(child, name)),
        }
    }

    fn sorted(batches: &[RecordBatch]) -> Vec<String> {
        let mut lines: Vec<String> =
            pretty_format_batches(batches).unwrap().to_string().lines().map(str::to_owned).collect();
        lines.sort();
        // The frame is as wide as the widest value.
        lines.retain(|line| line.starts_with('|'));
        lines.dedup();
        lines
    }

    /// What became of a query, watched from one poll to the next.
    #[derive(Default)]
    struct Polled {
        batches: Vec<RecordBatch>,
        rows_spilled: usize,
        bytes_spilled: usize,
        /// The most that was spilled in a turn, and the most that was held after one.
        most_bytes: usize,
        most_held: usize,
    }

    async fn polled(context: &SessionContext, query: &str) -> Polled {
        let plan = plan(context, query).await;
        let parted = find(&plan, "PartedAggregateExec").unwrap();
        let bytes = || parted.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0);
        let others = context.task_ctx().memory_pool().reserved();
        let mut stream = plan.execute(0, context.task_ctx()).unwrap();
        let mut polled = Polled::default();
        loop {
            let before = bytes();
            let next = futures::poll!(stream.next());
            polled.most_bytes = polled.most_bytes.max(bytes() - before);
            polled.most_held = polled.most_held.max(context.task_ctx().memory_pool().reserved() - others);
            match next {
                Poll::Ready(None) => break,
                Poll::Ready(Some(batch)) => polled.batches.push(batch.unwrap()),
                Poll::Pending => yield_now().await,
            }
        }
        polled.rows_spilled = parted.metrics().and_then(|metrics| metrics.spilled_rows()).unwrap_or(0);
        polled.bytes_spilled = bytes();
        polled
    }

    async fn whole(query: &str) -> Vec<String> {
        sorted(&context(1, None).sql(query).await.unwrap().collect().await.unwrap())
    }

    #[tokio::test]
    async fn groups_that_do_not_fit_are_spilled() {
        for query in QUERIES {
            let expect = whole(query).await;
            // Rows and states; parts that fit into memory, and parts that do not.
            for (workers, memory) in [(1, 2 << 20), (2, 2 << 20), (1, 512 << 10)] {
                let polled = polled(&context(workers, Some(memory)), query).await;
                assert!(sorted(&polled.batches) == expect, "{query} within {memory}");
                let spilled = polled.rows_spilled;
                assert!(spilled >= 50_000, "{query} within {memory} spilled {spilled}");
            }
        }
    }

    #[tokio::test]
    async fn large_tables_are_cut() {
        for query in QUERIES {
            let expect = whole(query).await;
            // In memory, spilled, and spilled again.
            for memory in [None, Some(2 << 20), Some(512 << 10)] {
                let polled = polled(&context_with(1, memory, 32 << 10), query).await;
                assert!(sorted(&polled.batches) == expect, "{query} within {memory:?}");
            }
        }
    }

    #[tokio::test]
    async fn tables_are_small() {
        let query = "SELECT value % 300000, count(*), avg(value) FROM range(0, 450000) GROUP BY 1";
        let context = context(1, None);
        let plan = context.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        let aggregate = find(&plan, "AggregateExec").unwrap();
        let aggregate = aggregate.downcast_ref::<AggregateExec>().unwrap();
        let states = states_of(aggregate).unwrap();
        let (rows, mut tables) = tables(aggregate, states, 4 << 20, Time::new()).unwrap();
        let mut input = aggregate.input().execute(0, context.task_ctx()).unwrap();
        while let Some(batch) = input.next().await {
            tables.merge(Some(&rows), batch.unwrap()).await.unwrap();
        }
        tables.flush(Some(&rows)).await.unwrap();
        assert!(tables.size() > 8 << 20, "{}", tables.size());
        let (mut groups, mut most) = (0, 0);
        while let Some(some) = tables.emit(true).unwrap() {
            groups += some.num_rows();
            most = most.max(some.num_rows());
        }
        assert_eq!(groups, 300_000);
        assert!(most < 300_000 / 10, "{most} groups in a table");
    }

    #[tokio::test]
    async fn groups_are_spilled_in_short_turns() {
        let query =
            "SELECT value % 300000, count(*), avg(value), min(value) FROM range(0, 450000) GROUP BY 1";
        let polled = polled(&context(1, Some(16 << 20)), query).await;
        assert_eq!(polled.batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 300_000);
        let (all, most) = (polled.bytes_spilled, polled.most_bytes);
        assert!(all > 8 * TURN_BYTES && most < 2 * TURN_BYTES, "{most} of {all} in a turn");
    }

    #[tokio::test]
    async fn what_others_hold_cuts_no_small_table() {
        let query = QUERIES[0];
        let context = context(1, Some(64 << 20));
        let other = MemoryConsumer::new("other").register(context.task_ctx().memory_pool());
        other.grow(64 << 20);
        let polled = polled(&context, query).await;
        assert!(sorted(&polled.batches) == whole(query).await);
        // Batches of the input are cut, parts are not; what is held besides is small.
        assert!((50_000..=150_000).contains(&polled.rows_spilled), "{}", polled.rows_spilled);
        assert!(polled.most_held < 2 << 20, "{}", polled.most_held);
    }
}
