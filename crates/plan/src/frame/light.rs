//! Which queries are light: small enough to run on the light runtime, beside whatever keeps the CPU busy.
//!
//! A bound on the values that the operators of a plan hand on, from the rows of its tables. Only tables whose
//! rows are known without reading (stored ones, literal rows) and operators that cannot multiply them beyond
//! a product count; files, closures of the user, `unnest` and anything unknown make a query heavy. A light
//! query runs in one partition: an exchange costs more than its work.

use crate::session::Session;
use crate::stored::StoredTable;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame as Inner;
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionConfig;
use std::any::Any;
use std::sync::{Arc, OnceLock};
use trefoil_core::Partition;

/// Values, rows times columns of all operators: a few milliseconds.
const MOST: usize = 250_000;

/// The frame, in one partition if it is light, and whether it is.
pub(super) fn light(session: &Session, frame: Inner) -> (Inner, bool) {
    if !is_light_plan(session, frame.logical_plan()) {
        return (frame, false);
    }
    let (mut state, plan) = frame.into_parts();
    make_light(&mut state);
    (Inner::new(state, plan), true)
}

fn is_light_plan(session: &Session, plan: &LogicalPlan) -> bool {
    rows(session, plan, &mut 0).is_some()
}

fn make_light(state: &mut SessionState) {
    let config = state.config_mut();
    config.options_mut().execution.target_partitions = 1;
    config.set_extension(Arc::new(Mark));
}

/// In the configuration of light queries.
struct Mark;

/// Whether the query with this state is light.
pub(super) fn is_light(state: &SessionState) -> bool {
    state.config().get_extension::<Mark>().is_some()
}

/// A light plan, with the state that runs it.
pub(super) struct Light {
    state: SessionState,
    plan: LogicalPlan,
    /// That of the session, for what is made of it: it may be heavy.
    config: SessionConfig,
    inner: OnceLock<Inner>,
}

impl Light {
    /// Plan and state again, if it is not light.
    pub(super) fn new(
        session: &Session,
        mut state: SessionState,
        plan: LogicalPlan,
    ) -> Result<Self, Box<(SessionState, LogicalPlan)>> {
        if !is_light_plan(session, &plan) {
            return Err(Box::new((state, plan)));
        }
        let config = state.config().clone();
        make_light(&mut state);
        Ok(Self { state, plan, config, inner: OnceLock::new() })
    }

    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    pub(super) fn state(&self) -> &SessionState {
        &self.state
    }

    /// The frame of DataFusion, with the session's own configuration.
    pub(super) fn inner(&self) -> &Inner {
        self.inner.get_or_init(|| {
            let mut state = self.state.clone();
            *state.config_mut() = self.config.clone();
            Inner::new(state, self.plan.clone())
        })
    }

    /// A frame that runs as this one does.
    pub(super) fn frame(&self) -> Inner {
        Inner::new(self.state.clone(), self.plan.clone())
    }
}

/// At most so many rows come out of `plan`; `values` is what it and all below hand on. None if that is not known.
fn rows(session: &Session, plan: &LogicalPlan, values: &mut usize) -> Option<usize> {
    if !plain(session, plan) {
        return None;
    }
    let inputs = plan.inputs();
    let mut below = Vec::with_capacity(inputs.len());
    for input in inputs {
        below.push(rows(session, input, values)?);
    }
    let rows = match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok()?;
            let provider: &dyn TableProvider = provider.as_ref();
            if let Some(stored) = (provider as &dyn Any).downcast_ref::<StoredTable>() {
                stored.partitions().iter().map(Partition::num_rows).sum()
            } else {
                let view = scan.source.get_logical_plan()?;
                rows(session, &view, values)?
            }
        }
        LogicalPlan::Values(literal) => literal.values.len(),
        LogicalPlan::EmptyRelation(_) => 1,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::SubqueryAlias(_) => below.first().copied()?,
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.first() {
            Some(Expr::GroupingSet(_)) => return None,
            _ => below.first().copied()?.max(1),
        },
        LogicalPlan::Union(_) => below.iter().sum(),
        LogicalPlan::Join(_) => below.iter().try_fold(1usize, |product, rows| product.checked_mul(*rows))?,
        _ => return None,
    };
    *values = values.saturating_add(rows.saturating_mul(plan.schema().fields().len().max(1)));
    (*values <= MOST).then_some(rows)
}

/// Whether all expressions of a node, without its inputs, are of known cost.
fn plain(session: &Session, plan: &LogicalPlan) -> bool {
    let mut plain = true;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            plain &= match expr {
                Expr::ScalarFunction(call) => !session.is_closure(call.func.name()),
                Expr::AggregateFunction(call) => !session.is_closure(call.func.name()),
                Expr::WindowFunction(call) => !session.is_closure(&call.fun.to_string()),
                Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                    false
                }
                _ => true,
            };
            Ok::<_, DataFusionError>(match plain {
                true => TreeNodeRecursion::Continue,
                false => TreeNodeRecursion::Stop,
            })
        })
    });
    walked.is_ok() && plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataFrame;
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};

    fn rows_of(count: i64) -> Vec<RecordBatch> {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        vec![RecordBatch::try_from_iter([("a", Arc::clone(&column)), ("b", column)]).unwrap()]
    }

    #[test]
    fn small_known_work_is_light_and_the_rest_is_not() {
        let session = Session::builder().workers(2).memory("64MiB").build().unwrap();
        session.block_on(async {
            for (name, count) in [("small", 1_000), ("large", 200_000)] {
                session.register_batches(name, rows_of(count)).unwrap();
            }
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("file.csv");
            std::fs::write(&file, "a,b\n1,2\n").unwrap();
            let file = session.read_csv(file.to_str().unwrap()).await.unwrap();
            session.register("file", &file).unwrap();
            let same = Arc::new(|inputs: &[ColumnarValue]| Ok(inputs[0].clone()));
            let int = datafusion::arrow::datatypes::DataType::Int64;
            let closure = create_udf("closure", vec![int.clone()], int, Volatility::Immutable, same);
            session.context().register_udf(closure);
            session.note_closure("closure");

            let check = async |text: &str, expect: bool| {
                let inner = session.context().sql(text).await.unwrap();
                let frame = DataFrame::new(session.clone(), inner);
                assert_eq!(light(&session, frame.inner().clone()).1, expect, "{text}");
            };
            check("SELECT 1 + 1", true).await;
            check("VALUES (1, 2), (3, 4)", true).await;
            check("SELECT a, count(*) FROM small WHERE b > 3 GROUP BY a ORDER BY a LIMIT 5", true).await;
            check("SELECT sum(a) OVER (ORDER BY b) FROM small", true).await;
            check("SELECT * FROM small UNION ALL SELECT * FROM small", true).await;
            check("SELECT * FROM small AS s, (VALUES (1), (2)) AS v(x)", true).await;
            check("WITH w AS (SELECT DISTINCT a FROM small) SELECT * FROM w", true).await;
            // More values than are light: here, after a product, in all.
            check("SELECT * FROM large", false).await;
            check("SELECT count(*) FROM large", false).await;
            check("SELECT * FROM small AS s, small AS t", false).await;
            check(&["SELECT * FROM small"; 80].join(" UNION ALL "), false).await;
            // How much is not known without reading, or at all.
            check("SELECT * FROM file", false).await;
            check("SELECT unnest([1, 2, 3])", false).await;
            check("SELECT * FROM range(0, 3)", false).await;
            check("SELECT a, count(*) FROM small GROUP BY GROUPING SETS ((a), ())", false).await;
            check("SELECT closure(a) FROM small", false).await;
            check("SELECT * FROM small WHERE a IN (SELECT a FROM large)", false).await;
            check("SELECT (SELECT max(a) FROM small)", false).await;
        });
    }
}
