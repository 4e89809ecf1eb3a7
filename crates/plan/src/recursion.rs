//! Recursive queries that end: a limit of steps, and one of rows.
//!
//! DataFusion runs `WITH RECURSIVE` until a step has no rows. Where a limit is set, both terms of the query get a node
//! that counts: each execution of the recursive term is a step, and that of the first term begins anew. Without limits
//! plans stay as they are.

use crate::optimize::{OptimizeOptions, replaced};
use crate::yielding::Rule;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use trefoil_core::{Error, ErrorKind};

/// Limits the steps of recursive queries that are planned with these options, and the rows that they make; none is no
/// limit, which is what a session starts with.
///
/// ```
/// use trefoil_plan::{Session, limit_recursion};
///
/// let session = Session::local()?;
/// let state = session.context().state_ref();
/// limit_recursion(state.write().config_mut().options_mut(), Some(100), Some(1_000_000));
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
pub fn limit_recursion(options: &mut ConfigOptions, steps: Option<usize>, rows: Option<usize>) {
    let mut ours = OptimizeOptions::of(options);
    ours.recursion_steps = steps.unwrap_or(0);
    ours.recursion_rows = rows.unwrap_or(0);
    options.extensions.insert(ours);
}

/// Puts [`CountedExec`] below recursive queries.
#[derive(Debug)]
struct CountedRecursion;

/// Adds the rule behind all others: they look for what the terms are made of.
pub(crate) fn add_to(rules: &mut Vec<Rule>) {
    rules.push(Arc::new(CountedRecursion));
}

impl PhysicalOptimizerRule for CountedRecursion {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = OptimizeOptions::of(config);
        let limits = Limits { steps: options.recursion_steps, rows: options.recursion_rows };
        if limits == Limits::default() {
            return Ok(plan);
        }
        let other = |node: &Arc<dyn ExecutionPlan>| {
            let Some(query) = node.downcast_ref::<RecursiveQueryExec>() else { return Ok(None) };
            let seen = Arc::new(Seen::default());
            let counted = |input: &Arc<dyn ExecutionPlan>, step: bool| {
                Arc::new(CountedExec { input: Arc::clone(input), step, limits, seen: Arc::clone(&seen) })
                    as Arc<dyn ExecutionPlan>
            };
            let made = RecursiveQueryExec::try_new(
                query.name().to_owned(),
                query.schema(),
                counted(query.static_term(), false),
                counted(query.recursive_term(), true),
                query.is_distinct(),
            )?;
            Ok(Some(Arc::new(made) as Arc<dyn ExecutionPlan>))
        };
        Ok(replaced(&plan, &other)?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "counted_recursion"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The most steps and rows; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Limits {
    steps: usize,
    rows: usize,
}

/// What a recursive query has done since it began.
#[derive(Debug, Default)]
struct Seen {
    steps: AtomicUsize,
    rows: AtomicUsize,
}

/// A term of a recursive query.
#[derive(Debug)]
struct CountedExec {
    input: Arc<dyn ExecutionPlan>,
    /// Whether it is the recursive term.
    step: bool,
    limits: Limits,
    /// The same for both terms, and for what a step makes of them.
    seen: Arc<Seen>,
}

impl DisplayAs for CountedExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountedExec: steps={}, rows={}", self.limits.steps, self.limits.rows)
    }
}

impl ExecutionPlan for CountedExec {
    fn name(&self) -> &str {
        "CountedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => {
                let (step, limits, seen) = (self.step, self.limits, Arc::clone(&self.seen));
                Ok(Arc::new(Self { input, step, limits, seen }))
            }
            None => internal_err!("a term of a recursive query without rows to count"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (limits, seen) = (self.limits, Arc::clone(&self.seen));
        if self.step {
            // A step begins because the one before had rows. Those of a query with a LIMIT that has enough never begin.
            let rows = seen.rows.load(Ordering::Relaxed);
            if limits.rows > 0 && rows >= limits.rows {
                return Err(too_many("ROW", "rows", limits.rows, "cteRecursionRowLimit"));
            }
            let steps = seen.steps.fetch_add(1, Ordering::Relaxed);
            if limits.steps > 0 && steps >= limits.steps {
                return Err(too_many("LEVEL", "levels", limits.steps, "cteRecursionLevelLimit"));
            }
        } else {
            seen.steps.store(0, Ordering::Relaxed);
            seen.rows.store(0, Ordering::Relaxed);
        }
        let rows = self.input.execute(partition, context)?.inspect(move |batch| {
            let rows = batch.as_ref().map_or(0, |batch| batch.num_rows());
            seen.rows.fetch_add(rows, Ordering::Relaxed);
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// In Spark's words: no other dialect has limits.
fn too_many(what: &str, unit: &str, limit: usize, setting: &str) -> DataFusionError {
    let error = Error::new(
        ErrorKind::InvalidArgument,
        "sql",
        format!(
            "[RECURSION_{what}_LIMIT_EXCEEDED] a recursive query has made {limit} {unit} and is not at its end \
             SQLSTATE: 42836"
        ),
    );
    DataFusionError::External(Box::new(error.with_help(format!(
        "look at the condition that ends it, or raise the limit: SET spark.sql.{setting} = {}",
        limit.saturating_mul(10)
    ))))
}
