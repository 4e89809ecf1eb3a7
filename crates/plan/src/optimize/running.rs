//! Rows that a running join rules out are dropped where they are read.
//!
//! A hash join that has hashed its build side knows which keys can match, and DataFusion hands that knowledge, a
//! filter that fills while the query runs, down to the scans of the probe side. DataFusion's scan of Parquet leaves out row
//! groups by it, no more; ours applies it to rows, and then `scans` takes this operator away again. Over stored tables, and
//! over Parquet that is not read by ours, an operator above the scan drops the rows, so that exchanges, aggregates and other
//! joins on the way up never see them:
//!
//! ```text
//!   join ─ aggregate ─ exchange ─ scan      the filter of the join stands on the scan, below the aggregate
//!   join ─ scan                             not here: the join's own look-up does the same
//! ```
//!
//! A filter that keeps most rows costs more than it saves, and how much it keeps shows only while it runs: one that
//! has kept more than [`MOST`] of some batches is left out for the next [`PAUSE`].

use super::OptimizeOptions;
use super::replace::only;
use crate::stored::pushed_filters;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::compute::{BatchCoalescer, filter_record_batch, prep_null_mask_filter};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::physical_plan::{FileScanConfig, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The part of its rows above which a filter is not worth its while, in percent.
const MOST: usize = 70;
/// Rows that are looked at before a filter is judged.
const TRIAL: usize = 16_384;
/// Batches that pass before a filter is tried again; it may have become tighter.
const PAUSE: usize = 64;

/// Puts [`RunningFilterExec`] on scans.
#[derive(Debug)]
pub(crate) struct RowFilters;

impl PhysicalOptimizerRule for RowFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !OptimizeOptions::of(config).row_filters {
            return Ok(plan);
        }
        Ok(place(&plan, &Keys::new())?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "row_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Names of the columns that the next operator above looks up itself.
type Keys = BTreeSet<String>;

/// The plan with filters on its scans; none if it stays as it is.
fn place(plan: &Arc<dyn ExecutionPlan>, own: &Keys) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        let filters: Vec<_> = filters_of(scan).into_iter().filter(|filter| names(filter) != *own).collect();
        if filters.is_empty() {
            return Ok(None);
        }
        return Ok(Some(Arc::new(RunningFilterExec::new(Arc::clone(plan), filters))));
    }
    let passes = plan.is::<FilterExec>() || plan.is::<ProjectionExec>() || plan.is::<CooperativeExec>();
    let join = plan.downcast_ref::<HashJoinExec>();
    let (mut children, mut changed) = (Vec::new(), false);
    for (at, child) in plan.children().into_iter().enumerate() {
        let keys = match join {
            Some(join) if at == 1 => names_of(join.on().iter().map(|(_, key)| key)),
            _ if passes => own.clone(),
            _ => Keys::new(),
        };
        let placed = place(child, &keys)?;
        changed |= placed.is_some();
        children.push(placed.unwrap_or_else(|| Arc::clone(child)));
    }
    if !changed {
        return Ok(None);
    }
    let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    Arc::clone(plan).replace_children(children, keep).map(Some)
}

fn names(filter: &Arc<dyn PhysicalExpr>) -> Keys {
    names_of([filter])
}

fn names_of<'a>(exprs: impl IntoIterator<Item = &'a Arc<dyn PhysicalExpr>>) -> Keys {
    let columns = exprs.into_iter().flat_map(collect_columns);
    columns.map(|column| column.name().to_owned()).collect()
}

/// The running filters of a scan, over its output.
fn filters_of(scan: &DataSourceExec) -> Vec<Arc<dyn PhysicalExpr>> {
    let schema = scan.schema();
    let source = scan.data_source().as_ref();
    if let Some(config) = source.downcast_ref::<FileScanConfig>() {
        let file_source = config.file_source();
        // One that filters while it decodes has dropped the rows already.
        let late = file_source
            .downcast_ref::<ParquetSource>()
            .is_none_or(|source| source.table_parquet_options().global.pushdown_filters);
        let Some(predicate) = file_source.filter().filter(|_| !late) else { return Vec::new() };
        // A column of the output may be an expression under the name of a column of the file.
        let plain = |name: &str| {
            file_source.projection().is_none_or(|projection| {
                let found = projection.iter().find(|item| item.alias == name);
                let column = found.and_then(|item| item.expr.downcast_ref::<Column>());
                column.is_some_and(|column| column.name() == name)
            })
        };
        return split_conjunction(&predicate)
            .into_iter()
            .filter(|part| part.is::<DynamicFilterPhysicalExpr>() && names(part).iter().all(|n| plain(n)))
            .filter_map(|part| reassign_expr_columns(Arc::clone(part), &schema).ok())
            .collect();
    }
    pushed_filters(source)
}

/// The rows of its input that running filters let pass.
#[derive(Debug)]
pub(super) struct RunningFilterExec {
    pub(super) input: Arc<dyn ExecutionPlan>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    metrics: ExecutionPlanMetricsSet,
}

impl RunningFilterExec {
    fn new(input: Arc<dyn ExecutionPlan>, filters: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        Self { input, filters, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for RunningFilterExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningFilterExec: ")?;
        for (at, filter) in self.filters.iter().enumerate() {
            let names: Vec<String> = names(filter).into_iter().collect();
            write!(f, "{}keys of {}", if at > 0 { "; " } else { "" }, names.join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for RunningFilterExec {
    fn name(&self) -> &str {
        "RunningFilterExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.filters {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only(children, &*self)?;
        Ok(Arc::new(Self::new(input, self.filters.clone())))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, index: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = context.session_config().batch_size();
        let input = self.input.execute(index, context)?;
        let schema = input.schema();
        let state = State {
            input,
            filters: self.filters.iter().map(Trial::new).collect(),
            // Large batches pass as they are, what is left of others is gathered.
            out: BatchCoalescer::new(Arc::clone(&schema), rows)
                .with_biggest_coalesce_batch_size(Some(rows / 2)),
            metrics: BaselineMetrics::new(&self.metrics, index),
            ended: false,
        };
        let batches = stream::try_unfold(state, |mut state| async move {
            Ok(state.next().await?.map(|batch| (batch, state)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct State {
    input: SendableRecordBatchStream,
    filters: Vec<Trial>,
    out: BatchCoalescer,
    metrics: BaselineMetrics,
    ended: bool,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.out.next_completed_batch() {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.input.next().await {
                None => {
                    self.ended = true;
                    self.out.finish_buffered_batch()?;
                }
                Some(batch) => {
                    let timer = self.metrics.elapsed_compute().timer();
                    let mut batch = batch?;
                    for filter in &mut self.filters {
                        batch = filter.apply(batch)?;
                    }
                    if batch.num_rows() > 0 {
                        self.out.push_batch(batch)?;
                    }
                    timer.done();
                }
            }
        }
    }
}

/// A filter and how it has done lately.
struct Trial {
    filter: Arc<dyn PhysicalExpr>,
    seen: usize,
    kept: usize,
    /// Batches that it lets pass unseen.
    pause: usize,
}

impl Trial {
    fn new(filter: &Arc<dyn PhysicalExpr>) -> Self {
        Self { filter: Arc::clone(filter), seen: 0, kept: 0, pause: 0 }
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        if self.pause > 0 || batch.num_rows() == 0 {
            self.pause = self.pause.saturating_sub(1);
            return Ok(batch);
        }
        let mask = match self.filter.evaluate(&batch)? {
            // Nothing is known yet.
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => return Ok(batch),
            value => value.into_array(batch.num_rows())?,
        };
        let mask = as_boolean_array(&mask)?;
        let mask = if mask.nulls().is_some() { prep_null_mask_filter(mask) } else { mask.clone() };
        let kept = mask.true_count();
        self.seen += batch.num_rows();
        self.kept += kept;
        if self.seen >= TRIAL {
            if self.kept * 100 > self.seen * MOST {
                self.pause = PAUSE;
            }
            (self.seen, self.kept) = (0, 0);
        }
        match kept == batch.num_rows() {
            true => Ok(batch),
            false => Ok(filter_record_batch(&batch, &mask)?),
        }
    }
}
