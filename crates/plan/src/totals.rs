//! Totals of the rows that a filter lets pass, without handing those rows on.
//!
//! ```text
//!   AggregateExec, no groups ─ FilterExec ─ rows      becomes      FilteredTotalsExec ─ rows
//! ```
//!
//! DataFusion's filter copies the rows it keeps, of all columns, gathers them into whole batches and hands them to the
//! aggregate. Where one comparison of an AND keeps few rows it copies those once more before it looks at the next. Here
//! comparisons of columns with literals, which cost less than that, are all evaluated, their masks are combined, and of
//! the columns that are summed up what is left goes straight to the accumulators, which are DataFusion's.
//!
//! Sums, counts, means and extremes only: they hold next to no memory, so nothing is charged.

use crate::known::{self, Trait};
use crate::optimize::replaced;
use crate::yielding::Rule;
use datafusion::arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{filter_record_batch, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Accumulator, ColumnarValue, Operator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode, AggregateOutputMode};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Puts [`FilteredTotalsExec`] in the place of an aggregate over a filter.
#[derive(Debug)]
struct FilteredTotals;

/// Adds the rule behind all others: they look for filters and aggregates.
pub(crate) fn add_to(rules: &mut Vec<Rule>) {
    rules.push(Arc::new(FilteredTotals));
}

impl PhysicalOptimizerRule for FilteredTotals {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let other = |node: &Arc<dyn ExecutionPlan>| {
            let ours = node.downcast_ref::<AggregateExec>().and_then(FilteredTotalsExec::of);
            Ok(ours.map(|ours| Arc::new(ours) as Arc<dyn ExecutionPlan>))
        };
        Ok(replaced(&plan, &other)?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "filtered_totals"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An aggregate without groups, and the filter below it.
#[derive(Debug)]
struct FilteredTotalsExec {
    aggregate: AggregateExec,
    input: Arc<dyn ExecutionPlan>,
    metrics: ExecutionPlanMetricsSet,
}

impl FilteredTotalsExec {
    fn of(aggregate: &AggregateExec) -> Option<Self> {
        let filter = aggregate.input().downcast_ref::<FilterExec>()?;
        let raw = matches!(aggregate.mode().input_mode(), AggregateInputMode::Raw);
        let fits = raw
            && aggregate.group_expr().is_true_no_grouping()
            && aggregate.limit_options().is_none()
            && aggregate.dynamic_expressions_produced().is_empty()
            && aggregate.filter_expr().iter().all(Option::is_none)
            && aggregate.aggr_expr().iter().all(|function| is_total(function))
            && filter.fetch().is_none();
        fits.then(|| Self {
            aggregate: aggregate.clone(),
            input: Arc::clone(filter.input()),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    fn filter(&self) -> Result<&FilterExec> {
        match self.aggregate.input().downcast_ref::<FilterExec>() {
            Some(filter) => Ok(filter),
            None => internal_err!("the filter below an aggregate became another operator"),
        }
    }
}

/// Whether a function keeps a number or two, whatever it sees.
fn is_total(function: &AggregateFunctionExpr) -> bool {
    known::is(function.fun().name(), Trait::Small)
        && !function.is_distinct()
        && function.order_bys().is_empty()
}

impl DisplayAs for FilteredTotalsExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.aggregate.aggr_expr().iter().map(|function| function.name()).collect();
        write!(f, "FilteredTotalsExec: mode={:?}, aggr=[{}]", self.aggregate.mode(), names.join(", "))?;
        match self.filter() {
            Ok(filter) => write!(f, ", filter={}", filter.predicate()),
            Err(_) => Ok(()),
        }
    }
}

impl ExecutionPlan for FilteredTotalsExec {
    fn name(&self) -> &str {
        "FilteredTotalsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        if self.filter()?.apply_expressions(f)? == TreeNodeRecursion::Stop {
            return Ok(TreeNodeRecursion::Stop);
        }
        self.aggregate.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = Arc::clone(self.aggregate.input()).replace_children(children, options)?;
        let aggregate = Arc::new(self.aggregate.clone()) as Arc<dyn ExecutionPlan>;
        let aggregate = aggregate.replace_children(vec![filter], options)?;
        match aggregate.downcast_ref::<AggregateExec>().and_then(Self::of) {
            Some(ours) => Ok(Arc::new(ours)),
            None => internal_err!("an aggregate over a filter became another operator"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let filter = self.filter()?;
        let mut totals = Totals::new(&self.aggregate, filter)?;
        let mut input = self.input.execute(index, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, index);
        let rows = async move {
            while let Some(batch) = input.next().await {
                let batch = batch?;
                let timer = metrics.elapsed_compute().timer();
                totals.add(&batch)?;
                timer.done();
            }
            totals.finish().record_output(&metrics)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.aggregate.schema(), stream::once(rows))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The totals of a stream.
struct Totals {
    mask: Mask,
    /// The columns that are needed of those that come in.
    needed: Vec<usize>,
    narrow: SchemaRef,
    /// The arguments of each function, over those columns.
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    accumulators: Vec<Box<dyn Accumulator>>,
    partial: bool,
    schema: SchemaRef,
}

impl Totals {
    fn new(aggregate: &AggregateExec, filter: &FilterExec) -> Result<Self> {
        let outer = filter.schema();
        let input = filter.input().schema();
        let functions = aggregate.aggr_expr();
        // places in the output of the filter are places in its input, or in its projection
        let of_input = |at: usize| match filter.projection() {
            Some(projection) => projection.get(at).copied(),
            None => Some(at),
        };
        let used: BTreeSet<usize> = functions
            .iter()
            .flat_map(|function| function.expressions())
            .flat_map(|argument| collect_columns(&argument))
            .map(|column| column.index())
            .collect();
        let needed: Option<Vec<usize>> = used.iter().map(|at| of_input(*at)).collect();
        let Some(needed) = needed else {
            return internal_err!("a column of an aggregate is not among those of its filter");
        };
        // renumbered by hand: two columns may have one name
        let narrow = Arc::new(outer.project(&used.iter().copied().collect::<Vec<_>>())?);
        let renumbered = |argument: Arc<dyn PhysicalExpr>| -> Result<Arc<dyn PhysicalExpr>> {
            argument
                .transform_up(|part| {
                    let place = part
                        .downcast_ref::<Column>()
                        .and_then(|column| Some((column, used.iter().position(|at| *at == column.index())?)));
                    Ok(match place {
                        Some((column, place)) => {
                            Transformed::yes(Arc::new(Column::new(column.name(), place)) as _)
                        }
                        None => Transformed::no(part),
                    })
                })
                .data()
        };
        let arguments = functions
            .iter()
            .map(|function| function.expressions().into_iter().map(renumbered).collect::<Result<Vec<_>>>());
        Ok(Self {
            mask: Mask::new(filter.predicate(), &input),
            arguments: arguments.collect::<Result<_>>()?,
            accumulators: functions.iter().map(|f| f.create_accumulator()).collect::<Result<_>>()?,
            partial: matches!(aggregate.mode().output_mode(), AggregateOutputMode::Partial),
            needed,
            narrow,
            schema: aggregate.schema(),
        })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mask = self.mask.of(batch)?;
        let kept = mask.as_ref().map_or(batch.num_rows(), BooleanBuffer::count_set_bits);
        if kept == 0 {
            return Ok(());
        }
        let columns = self.needed.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let mut narrow = RecordBatch::try_new_with_options(Arc::clone(&self.narrow), columns, &options)?;
        if let Some(mask) = mask
            && kept < batch.num_rows()
        {
            narrow = filter_record_batch(&narrow, &BooleanArray::new(mask, None))?;
        }
        for (arguments, accumulator) in self.arguments.iter().zip(&mut self.accumulators) {
            let values = arguments.iter().map(|argument| argument.evaluate(&narrow)?.into_array(kept));
            accumulator.update_batch(&values.collect::<Result<Vec<_>>>()?)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for accumulator in &mut self.accumulators {
            match self.partial {
                true => {
                    for value in accumulator.state()? {
                        columns.push(value.to_array()?);
                    }
                }
                false => columns.push(accumulator.evaluate()?.to_array()?),
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(self.schema, columns, &options)?)
    }
}

/// A predicate in two parts: comparisons that are cheaper than to ask whether they are needed, and the rest.
struct Mask {
    cheap: Vec<Arc<dyn PhysicalExpr>>,
    rest: Option<Arc<dyn PhysicalExpr>>,
}

impl Mask {
    fn new(predicate: &Arc<dyn PhysicalExpr>, input: &Schema) -> Self {
        let parts = split_conjunction(predicate).into_iter().cloned();
        let (cheap, rest): (Vec<_>, Vec<_>) = parts.partition(|part| is_cheap(part, input));
        Self { cheap, rest: (!rest.is_empty()).then(|| conjunction(rest)) }
    }

    /// Which rows pass; all, if none is said.
    fn of(&self, batch: &RecordBatch) -> Result<Option<BooleanBuffer>> {
        let rows = batch.num_rows();
        let mut all: Option<BooleanBuffer> = None;
        for part in &self.cheap {
            if let Some(bits) = bits(part.evaluate(batch)?, rows)? {
                all = Some(all.map_or_else(|| bits.clone(), |all| &all & &bits));
            }
        }
        let Some(rest) = &self.rest else { return Ok(all) };
        let Some(known) = all else { return bits(rest.evaluate(batch)?, rows) };
        let kept = known.count_set_bits();
        if kept == 0 {
            return Ok(Some(known));
        }
        // as DataFusion does it: of few rows those are picked out first
        let value = match kept * 5 <= rows {
            true => rest.evaluate_selection(batch, &BooleanArray::new(known.clone(), None))?,
            false => rest.evaluate(batch)?,
        };
        Ok(Some(match bits(value, rows)? {
            Some(bits) => &known & &bits,
            None => known,
        }))
    }
}

/// The rows for which a predicate is true; all of them, if none is said.
fn bits(value: ColumnarValue, rows: usize) -> Result<Option<BooleanBuffer>> {
    Ok(match value {
        ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => None,
        ColumnarValue::Scalar(_) => Some(BooleanBuffer::new_unset(rows)),
        ColumnarValue::Array(array) => {
            let mask = as_boolean_array(&array)?;
            Some(match mask.nulls() {
                Some(_) => prep_null_mask_filter(mask).values().clone(),
                None => mask.values().clone(),
            })
        }
    })
}

/// A comparison of a column of numbers with a literal.
fn is_cheap(part: &Arc<dyn PhysicalExpr>, input: &Schema) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let Some(binary) = part.downcast_ref::<BinaryExpr>() else { return false };
    let number = |expr: &Arc<dyn PhysicalExpr>| {
        expr.is::<Column>()
            && expr.data_type(input).is_ok_and(|data_type| {
                data_type.is_primitive() && !matches!(data_type, DataType::Interval(_))
            })
    };
    let sides = number(binary.left()) && binary.right().is::<Literal>()
        || number(binary.right()) && binary.left().is::<Literal>();
    sides && matches!(binary.op(), Eq | NotEq | Lt | LtEq | Gt | GtEq)
}
