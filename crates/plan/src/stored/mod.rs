//! A table over partitions in the engine's store, scanned without copying.
//!
//! Up to the target number of partitions, each [`Partition`] is one partition of the plan. More of them are
//! put in that many groups of neighbours, read one after another: operators run all partitions of a plan at
//! once, so a table far larger than the budget would otherwise be mapped in whole. A partition is brought
//! into memory when its turn comes and held only until its last batch was handed out; the batches that come
//! out are the stored ones, so their buffers are the same memory. A table with known [`Divisions`] is scanned
//! in their order, without the partitions that a filter on its keys rules out.

mod divisions;
mod in_order;
mod ranges;

pub use divisions::{DivisionKey, Divisions};
pub(crate) use in_order::InOrder;

use ranges::Ranges;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, Statistics, project_schema};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::projection::{all_alias_free_columns, new_projections_for_columns};
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, Partitioning};
use futures::Stream;
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use trefoil_core::{Batches, Partition};

/// A table whose partitions are held by the engine's store (or by the user).
#[derive(Clone, Debug)]
pub struct StoredTable {
    schema: SchemaRef,
    partitions: Arc<[Partition]>,
    divisions: Option<Arc<Divisions>>,
    ranges: Ranges,
}

impl StoredTable {
    /// A table of these partitions, which must all have the columns of `schema`.
    pub fn new(schema: SchemaRef, partitions: Vec<Partition>) -> Self {
        Self { schema, partitions: partitions.into(), divisions: None, ranges: Ranges::default() }
    }

    /// The same table with divisions that were found for exactly these partitions.
    pub(crate) fn divided(mut self, divisions: Divisions) -> Self {
        self.divisions = Some(Arc::new(divisions));
        self
    }

    /// How the partitions follow one another, if that is known.
    pub fn divisions(&self) -> Option<&Divisions> {
        self.divisions.as_deref()
    }

    /// The table without the partitions in which no row can fulfil the filters.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> Result<Self> {
        let Some(divisions) = &self.divisions else { return Ok(self.clone()) };
        let Some(all) = conjunction(filters.iter().cloned()) else { return Ok(self.clone()) };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .build(state.create_physical_expr(all, &schema)?);
        let Some(predicate) = predicate else { return Ok(self.clone()) };
        let possible = predicate.prune(divisions.as_ref())?;
        let mut kept: Vec<usize> = (0..self.partitions.len()).filter(|at| possible[*at]).collect();
        if kept.is_empty() {
            kept.push(0);
        }
        let partitions = kept.iter().map(|at| self.partitions[*at].clone()).collect();
        let divisions = Some(Arc::new(divisions.only(&kept)));
        Ok(Self { schema: Arc::clone(&self.schema), partitions, divisions, ranges: Ranges::default() })
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }
}

#[async_trait]
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = self.pruned(state, filters)?;
        let count = state.config().target_partitions();
        let source = Source {
            groups: match &table.divisions {
                Some(divisions) => divisions.groups(count),
                None => groups(&table.partitions, count),
            },
            table,
            projection: projection.cloned(),
            projected: project_schema(&self.schema, projection)?,
            fetch: limit,
            running: Vec::new(),
        };
        Ok(DataSourceExec::from_data_source(source))
    }

    /// Filters on the keys rule partitions out; they are still tested row by row.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let helps = |filter: &Expr| {
            let columns = filter.column_refs();
            !columns.is_empty()
                && self.divisions.as_ref().is_some_and(|d| columns.iter().all(|c| d.is_key(&c.name)))
        };
        let of = |filter: &&Expr| match helps(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(of).collect())
    }
}

/// Neighbours in at most `count` groups of about as many bytes.
fn groups(partitions: &[Partition], count: usize) -> Arc<[Range<usize>]> {
    if partitions.is_empty() {
        // A plan of no partition is not accepted everywhere.
        return std::iter::once(0..0).collect();
    }
    if partitions.len() <= count.max(1) {
        return (0..partitions.len()).map(|at| at..at + 1).collect();
    }
    let total: usize = partitions.iter().map(Partition::memory_bytes).sum();
    let share = total / count.max(1) + 1;
    let (mut groups, mut start, mut bytes) = (Vec::with_capacity(count), 0, 0);
    for (at, partition) in partitions.iter().enumerate() {
        bytes += partition.memory_bytes();
        let last = at + 1 == partitions.len();
        if last || (bytes >= share * (groups.len() + 1) && groups.len() + 1 < count) {
            groups.push(start..at + 1);
            start = at + 1;
        }
    }
    groups.into()
}

/// The scan of a [`StoredTable`].
#[derive(Clone, Debug)]
struct Source {
    table: StoredTable,
    /// Which partitions of the table each partition of the plan reads.
    groups: Arc<[Range<usize>]>,
    projection: Option<Vec<usize>>,
    projected: SchemaRef,
    fetch: Option<usize>,
    /// What joins above find out while they run, over the projected columns; an operator above applies it.
    running: Vec<Arc<dyn PhysicalExpr>>,
}

impl DataSource for Source {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let group = self.groups.get(partition).cloned().unwrap_or(0..0);
        Ok(Box::pin(cooperative(Scan {
            schema: Arc::clone(&self.projected),
            projection: self.projection.clone(),
            left: self.fetch.unwrap_or(usize::MAX),
            table: Arc::clone(&self.table.partitions),
            ahead: group,
            open: None,
        })))
    }

    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.table.partitions.iter().map(Partition::num_rows).sum();
        write!(f, "stored, partitions={}, rows={rows}", self.table.partitions.len())?;
        if let Some(divisions) = &self.table.divisions {
            let names: Vec<String> = divisions.keys().into_iter().map(|(name, _)| name).collect();
            write!(f, ", divided by {}", names.join(", "))?;
        }
        match self.fetch {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }

    fn output_partitioning(&self) -> Partitioning {
        let divided = self.table.divisions.as_ref();
        divided
            .and_then(|divisions| divisions.partitioning(&self.projected, &self.groups))
            .unwrap_or(Partitioning::UnknownPartitioning(self.groups.len()))
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        match &self.table.divisions {
            Some(divisions) => divisions.eq_properties(&self.projected),
            None => EquivalenceProperties::new(Arc::clone(&self.projected)),
        }
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let all = &self.table.partitions;
        let range = match partition {
            Some(index) => self.groups.get(index).cloned().unwrap_or(0..0),
            None => 0..all.len(),
        };
        let wanted = all.get(range.clone()).unwrap_or_default();
        let mut statistics = Statistics::new_unknown(&self.projected);
        let rows = wanted.iter().map(Partition::num_rows).sum::<usize>();
        statistics.num_rows = match self.fetch {
            None => Precision::Exact(rows),
            Some(fetch) => Precision::Inexact(rows.min(fetch)),
        };
        let bytes = wanted.iter().map(Partition::memory_bytes).sum::<usize>();
        statistics.total_byte_size = Precision::Inexact(bytes);
        let ranges = self.table.ranges.of(&self.table.schema, all);
        let all_columns: Vec<usize> = (0..ranges.len()).collect();
        let columns = self.projection.as_ref().unwrap_or(&all_columns);
        for (column, at) in statistics.column_statistics.iter_mut().zip(columns) {
            if let Some((least, greatest)) = ranges.get(*at).cloned().flatten() {
                // Of the whole table, whatever part of it this is.
                column.min_value = Precision::Inexact(least);
                column.max_value = Precision::Inexact(greatest);
            }
        }
        if let (Some(divisions), None) = (&self.table.divisions, self.fetch) {
            divisions.statistics(&self.projected, range, &mut statistics.column_statistics);
        }
        Ok(Arc::new(statistics))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { fetch: limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    /// Keeps filters that fill while the query runs for the operator that drops rows by them
    /// ([`pushed_filters`]); whoever pushed them still tests its rows.
    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let result =
            FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]);
        let running: Vec<_> =
            filters.into_iter().filter(|filter| filter.is::<DynamicFilterPhysicalExpr>()).collect();
        if running.is_empty() {
            return Ok(result);
        }
        let running = self.running.iter().cloned().chain(running).collect();
        Ok(result.with_updated_node(Arc::new(Self { running, ..self.clone() })))
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let exprs: Vec<_> = projection.iter().cloned().collect();
        // The running filters know the columns by their places.
        if !all_alias_free_columns(&exprs) || !self.running.is_empty() {
            return Ok(None);
        }
        let all: Vec<usize> = (0..self.table.schema.fields().len()).collect();
        let columns = new_projections_for_columns(&exprs, self.projection.as_ref().unwrap_or(&all));
        let projected = project_schema(&self.table.schema, Some(&columns))?;
        Ok(Some(Arc::new(Self { projection: Some(columns), projected, ..self.clone() })))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.running {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

/// The running filters that a scan of a [`StoredTable`] was given, over its output.
pub(crate) fn pushed_filters(source: &dyn DataSource) -> Vec<Arc<dyn PhysicalExpr>> {
    as_source(source).map(|source| source.running.clone()).unwrap_or_default()
}

/// The bytes in memory of a scan of a [`StoredTable`], if it is one.
pub(crate) fn scanned_bytes(source: &dyn DataSource) -> Option<usize> {
    let source = as_source(source)?;
    Some(source.table.partitions.iter().map(Partition::memory_bytes).sum())
}

/// Whether two sources scan the same columns of the same stored table, and so the same rows.
pub(crate) fn is_same_scan(one: &dyn DataSource, other: &dyn DataSource) -> bool {
    is_same_table(one, other) && scanned_columns(one) == scanned_columns(other)
}

/// Whether two sources scan the same rows of the same stored table, but for columns.
pub(crate) fn is_same_table(one: &dyn DataSource, other: &dyn DataSource) -> bool {
    match (as_source(one), as_source(other)) {
        (Some(a), Some(b)) => {
            Arc::ptr_eq(&a.table.partitions, &b.table.partitions)
                && a.groups == b.groups
                && a.fetch == b.fetch
        }
        _ => false,
    }
}

/// Which columns of a [`StoredTable`] a source gives, if it scans one.
pub(crate) fn scanned_columns(source: &dyn DataSource) -> Option<Vec<usize>> {
    let source = as_source(source)?;
    Some(source.projection.clone().unwrap_or_else(|| (0..source.table.schema.fields().len()).collect()))
}

fn as_source(source: &dyn DataSource) -> Option<&Source> {
    (source as &dyn Any).downcast_ref()
}

/// The batches of a group of partitions.
struct Scan {
    schema: SchemaRef,
    projection: Option<Vec<usize>>,
    left: usize,
    table: Arc<[Partition]>,
    /// The partitions not opened yet.
    ahead: Range<usize>,
    /// The partition being read, and its next batch.
    open: Option<(Batches, usize)>,
}

impl Scan {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            let Some((batches, next)) = &mut self.open else {
                let Some(partition) = self.ahead.next().and_then(|at| self.table.get(at)) else { break };
                let batches =
                    partition.batches().map_err(|error| DataFusionError::External(Box::new(error)))?;
                self.open = Some((batches, 0));
                continue;
            };
            let Some(batch) = batches.get(*next) else {
                self.open = None;
                continue;
            };
            *next += 1;
            let mut batch = match &self.projection {
                Some(columns) => batch.project(columns)?,
                None => batch.clone(),
            };
            if batch.num_rows() > self.left {
                batch = batch.slice(0, self.left);
            }
            self.left -= batch.num_rows();
            // Stored batches may differ from the table in nullability and metadata; a projection to no
            // column (a bare count) keeps the number of rows.
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = batch.columns().to_vec();
            let schema = Arc::clone(&self.schema);
            return Ok(Some(RecordBatch::try_new_with_options(schema, columns, &options)?));
        }
        self.open = None;
        Ok(None)
    }
}

impl Stream for Scan {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next().transpose())
    }
}

impl RecordBatchStream for Scan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
