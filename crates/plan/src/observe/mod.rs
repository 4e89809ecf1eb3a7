//! What queries tell of themselves: their plans' metrics as events, as tables, as text.
//!
//! A query is announced to the engine before it is planned. The plan is caught where DataFusion ends
//! planning, by an optimizer rule that runs last and changes nothing ([`CatchPlan`]); it finds the query
//! that is being planned through a task-local, so whatever plans inside [`Watch::over`] is seen, also
//! writing and counting. From then on the engine can ask the operators at any time what they have done.

mod metrics;
mod system;
mod tree;

pub(crate) use system::{SCHEMA, register};
pub(crate) use tree::tree;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result as PlanResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;
use std::sync::Arc;
use tracing::Instrument;
use trefoil_core::{Engine, Label, Outcome, QueryGuard, Result};

pub(crate) use metrics::Operators;

tokio::task_local! {
    static WATCHED: Watch;
}

/// A query under watch. Dropped before its end, it counts as cancelled.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<Option<QueryGuard>>>);

impl Watch {
    /// Announces a query.
    pub(crate) fn begin(engine: &Engine, text: impl Into<Label>) -> Self {
        Self(Arc::new(Mutex::new(Some(engine.begin_query(text)))))
    }

    /// Runs `work`; what is planned in it is the plan of this query.
    pub(crate) async fn over<F: Future>(self, work: F) -> F::Output {
        let span = self.0.lock().as_ref().map_or_else(tracing::Span::none, |query| query.span().clone());
        WATCHED.scope(self, work).instrument(span).await
    }

    /// The query has ended.
    pub(crate) fn end<T>(&self, result: &Result<T>) {
        if let Some(query) = self.0.lock().take() {
            query.finish(Outcome::of(result));
        }
    }

    fn planned(&self, plan: &Arc<dyn ExecutionPlan>) {
        if let Some(query) = &*self.0.lock() {
            let operators = Operators::new(Arc::clone(plan), |time| query.since_start(time));
            query.planned(move || operators.read());
        }
    }
}

/// Shows the finished plan to the query that is being planned.
#[derive(Debug)]
pub(crate) struct CatchPlan;

impl PhysicalOptimizerRule for CatchPlan {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        // Outside of a query, as in `explain`, nobody wants it.
        let _ = WATCHED.try_with(|watch| watch.planned(&plan));
        Ok(plan)
    }

    fn name(&self) -> &str {
        "trefoil_catch_plan"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
