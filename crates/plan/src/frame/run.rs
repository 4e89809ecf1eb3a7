//! Running a frame: on the CPU runtime, or on the light runtime if it is light, with a second plan if memory is short, with a second look at the
//! files if their bytes are malformed.

use super::bytes::{compact, new_bytes};
use super::light::{Light, is_light, light};
use super::{DataFrame, Planned};
use crate::error::{is_malformed, is_out_of_memory};
use crate::memory::BudgetPool;
use crate::observe::Watch;
use crate::optimize::OptimizeOptions;
use crate::sorting;
use crate::source::diagnose;
use crate::stored;
use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame as Inner;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use futures::StreamExt;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::{JoinSet, yield_now};
use trefoil_core::Result;

/// Operations that gather rows. For the others partitions matter: as files, as stored partitions, in the plan that
/// is shown.
const GATHERS: [&str; 4] = ["collect", "show", "to_html", "count"];

impl DataFrame {
    /// Runs `work` on one of the engine's runtimes and translates its error; the future may be awaited from any
    /// executor, and dropping it stops the query.
    pub(crate) async fn run<T, F>(
        &self,
        operation: &'static str,
        work: impl Fn(Inner) -> F + Send + Sync + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = PlanResult<T>> + Send,
    {
        let (inner, prompt) = match (&self.plan, GATHERS.contains(&operation)) {
            (Planned::Light(light), true) => (light.frame(), true),
            (_, true) => light(self.session(), self.inner().clone()),
            (_, false) => (self.inner().clone(), false),
        };
        self.watched(operation, prompt, async move { with_second_plan(inner, work).await }).await
    }

    /// The rows of a light frame: as [`DataFrame::run`] with [`partitions`], without copies of the state.
    pub(super) async fn run_light(
        &self,
        operation: &'static str,
        light: Arc<Light>,
    ) -> Result<Vec<Vec<RecordBatch>>> {
        let query = async move {
            match rows(light.state(), light.plan()).await {
                Err(error) if is_out_of_memory(&error) => match second_plan(light.frame()) {
                    Some(second) => {
                        settle().await;
                        partitions(second).await
                    }
                    None => Err(error),
                },
                result => result,
            }
        };
        self.watched(operation, true, query).await
    }

    /// Runs a query under watch, and translates its error.
    async fn watched<T: Send + 'static>(
        &self,
        operation: &'static str,
        prompt: bool,
        query: impl Future<Output = PlanResult<T>> + Send + 'static,
    ) -> Result<T> {
        let engine = self.session().engine();
        let plan = self.logical_plan().clone();
        let watch = Watch::begin(engine, self.label(operation));
        let over = watch.clone();
        let query = over.over(async move {
            match query.await {
                Err(error) if is_malformed(&error) => {
                    Err(diagnose::in_plan(&plan, operation).map_or(Failure::Query(error), Failure::Found))
                }
                other => other.map_err(Failure::Query),
            }
        });
        let done = if prompt { engine.promptly(query).await } else { engine.on_cpu(query).await };
        let result = done.and_then(|done| {
            done.map_err(|failure| match failure {
                Failure::Found(error) => error,
                Failure::Query(error) => self.session().error(error, operation),
            })
        });
        watch.end(&result);
        result
    }
}

enum Failure {
    /// The row at fault, found by reading the files again.
    Found(trefoil_core::Error),
    Query(DataFusionError),
}

/// Runs `work`; if it runs out of memory in a plan that joins or sorts, once more with [`second_plan`].
async fn with_second_plan<T, F>(frame: Inner, work: impl Fn(Inner) -> F) -> PlanResult<T>
where
    F: Future<Output = PlanResult<T>>,
{
    // Kept only where there is another plan: a frame holds a copy of the session's state.
    let again = has_second_plan(frame.logical_plan()).then(|| frame.clone());
    match (work(frame).await, again) {
        (Err(error), Some(frame)) if is_out_of_memory(&error) => match second_plan(frame) {
            Some(second) => {
                settle().await;
                work(second).await
            }
            None => Err(error),
        },
        (result, _) => result,
    }
}

/// The aborted operators of a first attempt give their memory back when they are next polled.
pub(super) async fn settle() {
    for _ in 0..16 {
        yield_now().await;
    }
}

/// The same frame, planned to need less memory; none if nothing in it could need less. The build side of a hash join
/// must fit in memory, a sort-merge join spills. Sorts spill early and sort what they hold in place. And no part is
/// kept for several places.
pub(super) fn second_plan(frame: Inner) -> Option<Inner> {
    if !has_second_plan(frame.logical_plan()) {
        return None;
    }
    let (mut state, plan) = frame.into_parts();
    let options = state.config_mut().options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.sort_in_place_threshold_bytes = sorting::NEVER;
    if let Some(ours) = options.extensions.get_mut::<OptimizeOptions>() {
        ours.share_plans = false;
        ours.wanted_groups = false;
        ours.joined_groups = false;
    }
    // DataFusion plans sort-merge joins only over several partitions.
    options.execution.target_partitions = options.execution.target_partitions.max(2);
    if let Some(pool) = state.config().get_extension::<BudgetPool>() {
        let runtime = RuntimeEnvBuilder::from_runtime_env(state.runtime_env());
        let runtime = runtime.with_memory_pool(Arc::new(pool.frugal())).build_arc().ok()?;
        state = SessionStateBuilder::new_from_existing(state).with_runtime_env(runtime).build();
    }
    Some(Inner::new(state, plan))
}

/// Whether a plan joins or sorts, or has two aggregates that could be one.
pub(super) fn has_second_plan(plan: &LogicalPlan) -> bool {
    let (mut found, mut aggregates) = (false, 0);
    let mut look = |node: &LogicalPlan| {
        found |= matches!(node, LogicalPlan::Join(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_));
        aggregates += usize::from(matches!(node, LogicalPlan::Aggregate(_)));
    };
    let walked = plan.apply_with_subqueries(|node| {
        look(node);
        // A view's plan is inlined later; look inside.
        if let LogicalPlan::TableScan(scan) = node
            && let Some(view) = scan.source.get_logical_plan()
        {
            view.apply(|node| {
                look(node);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && (found || aggregates > 1)
}

/// All batches, partition by partition.
///
/// They are charged to the budget while they are gathered, so that a result that does not fit is refused
/// instead of being gathered until the system kills the process. When they are handed out they are the
/// caller's.
pub(super) async fn partitions(frame: Inner) -> PlanResult<Vec<Vec<RecordBatch>>> {
    let (state, plan) = frame.into_parts();
    rows(&state, &plan).await
}

/// As [`partitions`].
async fn rows(state: &SessionState, plan: &LogicalPlan) -> PlanResult<Vec<Vec<RecordBatch>>> {
    let context = Arc::new(context(state));
    let plan = state.create_physical_plan(plan).await?;
    // What is in the store is charged there already, and comes out without a copy.
    let free = Arc::new(AtomicUsize::new(stored_bytes(&plan)));
    let mut streams = execute_stream_partitioned(plan, Arc::clone(&context))?;
    let charge = || MemoryConsumer::new("collected rows").register(context.memory_pool());
    if streams.len() == 1
        && let Some(stream) = streams.pop()
    {
        // No other thread needs to be woken for one reader.
        return Ok(vec![gather(stream, charge(), free).await?.0]);
    }
    let mut readers = JoinSet::new();
    for (index, stream) in streams.into_iter().enumerate() {
        let charge = charge();
        let gathering = gather(stream, charge, Arc::clone(&free));
        readers.spawn(async move { (index, gathering.await) });
    }
    let mut all = Vec::new();
    while let Some(done) = readers.join_next().await {
        let (index, batches) = done.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        all.push((index, batches?));
    }
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, (batches, _))| batches).collect())
}

/// What the operators of a plan run with. The operators of light plans are known, and ask for no function by name: so
/// the names of hundreds of functions are not copied.
fn context(state: &SessionState) -> TaskContext {
    if !is_light(state) {
        return TaskContext::from(state);
    }
    TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        Arc::clone(state.runtime_env()),
    )
}

/// The reservation comes back with the batches, so that it lives until all partitions are there.
async fn gather(
    mut stream: SendableRecordBatchStream,
    charge: MemoryReservation,
    free: Arc<AtomicUsize>,
) -> PlanResult<(Vec<RecordBatch>, MemoryReservation)> {
    let (mut batches, mut seen) = (Vec::new(), HashSet::new());
    while let Some(batch) = stream.next().await {
        let batch = compact(batch?)?;
        // A cancelled query stops at the next batch, even if its operators always have one ready.
        yield_now().await;
        let bytes = new_bytes(&batch, &mut seen);
        let mut used = 0;
        let _ = free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
            used = free.min(bytes);
            Some(free - used)
        });
        charge.try_grow(bytes - used)?;
        batches.push(batch);
    }
    Ok((batches, charge))
}

fn stored_bytes(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let here = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|scan| stored::scanned_bytes(scan.data_source().as_ref()))
        .unwrap_or(0);
    here + plan.children().into_iter().map(stored_bytes).sum::<usize>()
}
