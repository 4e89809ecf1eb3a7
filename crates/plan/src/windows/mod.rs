//! Sliding and running figures at the speed of a loop.
//!
//! DataFusion evaluates such a window row by row, through a boxed accumulator and a dynamic value each. The usual
//! ones (sum, mean, count, smallest, largest, variance, median and quantile of numbers, over the rows from so many
//! before, or from the first, up to the current one) are found in the finished plan by a rule and computed by an
//! operator of ours, batch by batch: as little memory as there, state of one window, no work but the arithmetic. A
//! node with any other window in it is left alone.
//!
//! - `figures`: the state of a window and its arithmetic.
//! - `sums`: the rows of a window, and sums over them; `wide`: sums of whole numbers and decimals.
//! - `spread`: variances; `extreme`: the smallest and largest.
//! - `exec`: the operator.
//! - `ordered`: numbers in their order, for quantiles.
//! - `quantile`: the exact quantile as an aggregation.
//! - `summary`: all figures of a column as one aggregation.

mod exec;
mod extreme;
mod figures;
mod ordered;
mod quantile;
mod spread;
mod summary;
mod sums;
mod wide;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::windows::BoundedWindowAggExec;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};
use std::sync::Arc;

use exec::{Column, RunningExec};
use figures::Figure;
pub use ordered::Interpolation;
pub(crate) use quantile::NAME as QUANTILE;
pub use quantile::quantile_udaf;
pub use summary::summary_udaf;

/// Puts our operator in the place of DataFusion's where it can do the work.
#[derive(Debug)]
pub(crate) struct RunningWindows;

impl PhysicalOptimizerRule for RunningWindows {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let ours = plan.downcast_ref::<BoundedWindowAggExec>().and_then(replacement);
            Ok(match ours {
                Some(ours) => Transformed::yes(Arc::new(ours) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "running_windows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn replacement(node: &BoundedWindowAggExec) -> Option<RunningExec> {
    let grouped = !node.window_expr().first()?.partition_by().is_empty();
    if grouped && node.input_order_mode != InputOrderMode::Sorted {
        return None;
    }
    let keys = node.window_expr().first()?.partition_by().to_vec();
    let over = node.input().schema();
    let columns =
        node.window_expr().iter().map(|window| column(window, &over)).collect::<Option<Vec<_>>>()?;
    let (input, properties) = (Arc::clone(node.input()), Arc::clone(node.properties()));
    Some(RunningExec::new(input, keys, columns, node.schema(), properties, node.required_input_ordering()))
}

/// What a window computes, if it is one of ours.
fn column(window: &Arc<dyn WindowExpr>, over: &Schema) -> Option<Column> {
    let aggregate = if let Some(sliding) = window.as_any().downcast_ref::<SlidingAggregateWindowExpr>() {
        sliding.get_aggregate_expr()
    } else {
        window.as_any().downcast_ref::<PlainAggregateWindowExpr>()?.get_aggregate_expr()
    };
    // DataFusion does not tell of a FILTER but in this way; if it tells otherwise, it keeps the window
    let plain = format!("{window:?}").ends_with("filter: None }");
    if !plain || aggregate.is_distinct() || aggregate.ignore_nulls() {
        return None;
    }
    let frame = window.get_window_frame();
    if frame.units != WindowFrameUnits::Rows || frame.end_bound != WindowFrameBound::CurrentRow {
        return None;
    }
    let before = match &frame.start_bound {
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)) => None,
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))) => Some(usize::try_from(*rows).ok()?),
        WindowFrameBound::CurrentRow => Some(0),
        _ => return None,
    };
    let name = aggregate.fun().name();
    let arguments = aggregate.expressions();
    let mut overflow = None;
    let (value, figure) = match &arguments[..] {
        [value] => {
            let output = window.field().ok()?.data_type().clone();
            let figure = Figure::of(name, &value.data_type(over).ok()?, &output)?;
            if figure == Figure::SumOfWhole {
                overflow = overflow_of(aggregate).ok()?;
            }
            (value, if overflow.is_some() { Figure::CheckedSum } else { figure })
        }
        [value, q] if name == quantile::NAME && value.data_type(over).ok()? == DataType::Float64 => {
            (value, Figure::Quantile(quantile::literal(q)?))
        }
        _ => return None,
    };
    Some(Column { figure, before, value: Arc::clone(value), overflow })
}

/// What a sum of whole numbers says when it leaves their type; none of one that goes on at the other end. Spark's is an
/// error and DataFusion's is not, so the function is asked.
fn overflow_of(sum: &AggregateFunctionExpr) -> Result<Option<Arc<DataFusionError>>> {
    let mut accumulator = sum.create_accumulator()?;
    let too_much: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1]));
    let sum = accumulator.update_batch(&[too_much]).and_then(|()| accumulator.evaluate());
    Ok(sum.err().map(Arc::new))
}
