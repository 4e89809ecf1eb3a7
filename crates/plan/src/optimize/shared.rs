//! A part of a plan that several places read, and that runs once.
//!
//! Every place has a [`SharedExec`] of its own; they have one [`Cell`] in common. Whoever asks for a partition
//! first starts it; its rows are gathered, charged to the budget, and handed to everyone who asks. They are given
//! back when the last place is dropped. Any reader drives the gathering, so none waits for one that has gone.

use crate::frame::{compact, new_bytes};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

type Gathered = std::result::Result<Arc<Rows>, Arc<DataFusionError>>;

/// The rows of a partition, and what they are charged with.
struct Rows {
    batches: Vec<RecordBatch>,
    _charge: MemoryReservation,
}

/// What the places of a part have in common.
#[derive(Default)]
pub(super) struct Cell {
    /// The part of the place that was asked first. All partitions come from it: an exchange below gives each its rows in one
    /// pass, and in a second one, for a partition that is asked at another place, would make them again.
    input: OnceLock<Arc<dyn ExecutionPlan>>,
    partitions: Mutex<HashMap<usize, Shared<BoxFuture<'static, Gathered>>>>,
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cell({} partitions)", self.partitions.lock().len())
    }
}

/// One of the places.
#[derive(Debug)]
pub(super) struct SharedExec {
    input: Arc<dyn ExecutionPlan>,
    cell: Arc<Cell>,
    properties: Arc<PlanProperties>,
}

impl SharedExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, cell: Arc<Cell>) -> Self {
        let properties = Arc::clone(input.properties());
        Self { input, cell, properties }
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: places={}", Arc::strong_count(&self.cell))
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // It does; but a sort that one place wants must not be pushed below it, where the others' rows come from.
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(Self::new(input, Arc::clone(&self.cell)))),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = {
            let mut partitions = self.cell.partitions.lock();
            match partitions.get(&partition) {
                Some(rows) => rows.clone(),
                None => {
                    let charge = MemoryConsumer::new("shared rows").register(context.memory_pool());
                    let input = self.cell.input.get_or_init(|| Arc::clone(&self.input));
                    let input = input.execute(partition, context)?;
                    let rows = gather(input, charge).boxed().shared();
                    partitions.insert(partition, rows.clone());
                    rows
                }
            }
        };
        let batches = stream::once(rows).map(|rows| match rows {
            Ok(rows) => Ok(stream::iter(rows.batches.clone()).map(Ok)),
            Err(error) => Err(DataFusionError::Shared(error)),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches.try_flatten())))
    }
}

async fn gather(mut input: SendableRecordBatchStream, charge: MemoryReservation) -> Gathered {
    let (mut batches, mut seen) = (Vec::new(), HashSet::new());
    while let Some(batch) = input.next().await {
        let batch = batch.and_then(compact).map_err(Arc::new)?;
        charge.try_grow(new_bytes(&batch, &mut seen)).map_err(Arc::new)?;
        batches.push(batch);
    }
    Ok(Arc::new(Rows { batches, _charge: charge }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;
    use datafusion::physical_plan::Partitioning;
    use datafusion::physical_plan::expressions::col;
    use datafusion::physical_plan::repartition::RepartitionExec;
    use datafusion::prelude::SessionContext;

    /// Rows dealt to two partitions.
    async fn dealt(context: &SessionContext) -> Arc<dyn ExecutionPlan> {
        let numbers = Arc::new(Int64Array::from_iter_values(0..1000)) as _;
        let rows = RecordBatch::try_from_iter([("x", numbers)]).unwrap();
        let plan = context.read_batch(rows).unwrap().create_physical_plan().await.unwrap();
        let by = Partitioning::Hash(vec![col("x", &plan.schema()).unwrap()], 2);
        Arc::new(RepartitionExec::try_new(plan, by).unwrap())
    }

    #[tokio::test]
    async fn partitions_asked_at_different_places_come_from_one() {
        let context = SessionContext::new();
        let cell = Arc::new(Cell::default());
        let inputs = [dealt(&context).await, dealt(&context).await];
        let places = inputs.clone().map(|input| SharedExec::new(input, Arc::clone(&cell)));
        let [first, second] =
            [0, 1].map(|at| places[at].execute(at, context.task_ctx()).unwrap().try_collect::<Vec<_>>());
        let (first, second) = tokio::join!(first, second);
        let rows: usize = first.unwrap().iter().chain(&second.unwrap()).map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 1000);
        let made = inputs.map(|input| input.metrics().and_then(|all| all.output_rows()).unwrap_or(0));
        assert_eq!(made, [1000, 0]);
    }
}
