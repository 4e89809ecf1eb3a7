//! Running a frame: on the CPU runtime, with a second plan if memory is short, with a second look at the
//! files if their bytes are malformed.

use super::DataFrame;
use crate::error::{is_malformed, is_out_of_memory};
use crate::source::diagnose;
use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame as Inner;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect_partitioned;
use std::sync::Arc;
use trefoil_core::Result;

impl DataFrame {
    /// Runs `work` on the CPU runtime and translates its error; the future may be awaited from any
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
        let inner = self.inner().clone();
        let plan = inner.logical_plan().clone();
        let done = self
            .session()
            .engine()
            .on_cpu(async move {
                let result = with_second_plan(inner, work).await;
                match result {
                    Err(error) if is_malformed(&error) => {
                        Err(diagnose::in_plan(&plan, operation).map_or(Failure::Query(error), Failure::Found))
                    }
                    other => other.map_err(Failure::Query),
                }
            })
            .await?;
        done.map_err(|failure| match failure {
            Failure::Found(error) => error,
            Failure::Query(error) => self.session().error(error, operation),
        })
    }
}

enum Failure {
    /// The row at fault, found by reading the files again.
    Found(trefoil_core::Error),
    Query(DataFusionError),
}

/// Runs `work`; if it runs out of memory in a plan with joins, once more with a plan that joins by
/// sorting. The build side of a hash join must fit in memory, a sort-merge join spills.
async fn with_second_plan<T, F>(frame: Inner, work: impl Fn(Inner) -> F) -> PlanResult<T>
where
    F: Future<Output = PlanResult<T>>,
{
    match work(frame.clone()).await {
        Err(error) if is_out_of_memory(&error) => match sort_merge_plan(frame) {
            Some(second) => {
                // The aborted operators of the first attempt give their memory back when they are next
                // polled.
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                work(second).await
            }
            None => Err(error),
        },
        other => other,
    }
}

/// The same frame, planned with sort-merge joins; none if it joins nothing.
pub(super) fn sort_merge_plan(frame: Inner) -> Option<Inner> {
    let mut joins = false;
    let (mut state, plan) = frame.into_parts();
    let walked = plan.apply_with_subqueries(|node| {
        joins |= matches!(node, LogicalPlan::Join(_));
        // A view's plan is inlined later; look inside.
        if let LogicalPlan::TableScan(scan) = node
            && let Some(view) = scan.source.get_logical_plan()
        {
            view.apply(|node| {
                joins |= matches!(node, LogicalPlan::Join(_));
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if walked.is_err() || !joins {
        return None;
    }
    let options = state.config_mut().options_mut();
    if !options.optimizer.prefer_hash_join {
        return None;
    }
    options.optimizer.prefer_hash_join = false;
    // DataFusion plans sort-merge joins only over several partitions.
    options.execution.target_partitions = options.execution.target_partitions.max(2);
    Some(Inner::new(state, plan))
}

/// All batches, partition by partition.
pub(super) async fn partitions(frame: Inner) -> PlanResult<Vec<Vec<RecordBatch>>> {
    let context = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    collect_partitioned(plan, context).await
}
