//! Opens a file, or leaves it to DataFusion.
//!
//! What a file holds is known when its footer has been read. If a column is not one that is read here ([`kinds`]), or
//! the file is not on this machine, or has Bloom filters that a filter may ask, DataFusion's reader reads it, and the
//! exact filters are applied to its batches.

use super::column::{Column, Source};
use super::filter::{Filter, mask_of, schema_of};
use super::kinds;
use super::parts::parts;
use super::scan::{Batches, Rows, Scan};
use super::selection::Selection;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccessPlanFilter};
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, ParquetFileMetrics, ParquetFileReaderFactory,
};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, conjunction, reassign_expr_columns};
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet};
use datafusion_datasource::morsel::{MorselPlanner, Morselizer};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};
use std::collections::VecDeque;
use std::sync::Arc;

/// What every file of a scan is read for.
pub(super) struct Task {
    pub(super) partition: usize,
    /// The columns of the files, as the table has them.
    pub(super) schema: SchemaRef,
    /// Places in `schema`: first the columns that go out, then those that only exact filters need.
    pub(super) columns: Vec<usize>,
    pub(super) wanted: usize,
    /// Over `schema`.
    pub(super) exact: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) running: Vec<Arc<dyn PhysicalExpr>>,
    /// What row groups are left out by: all filters, over `schema`.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Rows of a row group that stay together.
    pub(super) together: usize,
    pub(super) max_in_list: usize,
    pub(super) batch_rows: usize,
    pub(super) metrics: ExecutionPlanMetricsSet,
    pub(super) readers: Arc<dyn ParquetFileReaderFactory>,
    pub(super) store: Arc<dyn ObjectStore>,
    /// DataFusion's reader, for the same columns.
    pub(super) other: Box<dyn Morselizer>,
}

pub(super) struct Opener(pub(super) Arc<Task>);

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let task = Arc::clone(&self.0);
        Ok(Box::pin(async move {
            match task.scan(&file).await? {
                Some(scan) => {
                    let file = file.object_meta.location.to_string();
                    Ok(Batches { scan: Some(scan), file, steps: 0 }.boxed())
                }
                None => task.left(file).await,
            }
        }))
    }
}

impl Task {
    /// The scan of a file; none if DataFusion reads it.
    async fn scan(&self, file: &PartitionedFile) -> Result<Option<Scan>> {
        let mut reader = self.readers.create_reader(
            self.partition,
            file.clone(),
            file.metadata_size_hint,
            &self.metrics,
        )?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
        let metadata = reader.get_metadata(Some(&options)).await?;
        let Some(mut columns) = self.columns_of(&metadata)? else { return Ok(None) };
        let count = metadata.num_row_groups();
        let mut access = RowGroupAccessPlanFilter::new(ParquetAccessPlan::new_all(count));
        let parts = parts(&metadata, file.range.as_ref(), file.object_meta.size, self.together);
        if let Some(parts) = &parts {
            let mut plan = ParquetAccessPlan::new_none(count);
            parts.iter().for_each(|part| plan.scan(part.group));
            access = RowGroupAccessPlanFilter::new(plan);
        } else if let Some(range) = &file.range {
            access.prune_by_range(metadata.row_groups(), range);
        }
        let metrics =
            ParquetFileMetrics::new(self.partition, file.object_meta.location.as_ref(), &self.metrics);
        let predicate = self.predicate.clone();
        let mut prune = Prune::new(&self.schema, predicate, self.max_in_list, &metadata, metrics)?;
        prune.apply(&metadata, &mut access)?;
        let groups: VecDeque<Rows> = access
            .row_group_indexes()
            .map(|group| {
                let part = parts.iter().flatten().find(|part| part.group == group);
                let of = usize::try_from(metadata.row_group(group).num_rows()).unwrap_or_default();
                let rows = part.map_or(0..of, |part| part.rows.clone());
                Rows { group, rows, of, all: access.is_fully_matched()[group] }
            })
            .collect();
        let options =
            GetOptions { range: Some(GetRange::Bounded(0..file.object_meta.size)), ..GetOptions::default() };
        let found = self.store.get_opts(&file.object_meta.location, options).await?;
        let GetResultPayload::File(open, _) = found.payload else { return Ok(None) };
        let bytes: u64 = groups
            .iter()
            .map(|Rows { group, rows, of, .. }| {
                let group = metadata.row_group(*group);
                let bytes: u64 =
                    columns.iter().map(|column| group.column(column.leaf()).byte_range().1).sum();
                // as if all rows took the same
                (bytes as f64 * rows.len() as f64 / (*of).max(1) as f64) as u64
            })
            .sum();
        prune.metrics.bytes_scanned.add(usize::try_from(bytes).unwrap_or_default());
        Ok(Some(Scan {
            source: Source { file: Arc::new(open), metadata },
            filters: self.filters(&mut columns)?,
            columns,
            wanted: self.wanted,
            schema: Arc::new(self.schema.project(&self.columns[..self.wanted])?),
            batch_rows: self.batch_rows.max(1),
            groups,
            prune,
            current: None,
            selection: Selection::default(),
            gathered: 0,
        }))
    }

    /// The columns of a file; none if one of them is not read here.
    fn columns_of(&self, metadata: &ParquetMetaData) -> Result<Option<Vec<Column>>> {
        let file = metadata.file_metadata();
        let found = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
        let mut columns = Vec::with_capacity(self.columns.len());
        for at in &self.columns {
            let field = self.schema.field(*at);
            let mut leaves = (0..file.schema_descr().num_columns()).filter(|leaf| {
                matches!(file.schema_descr().column(*leaf).path().parts(), [name] if name == field.name())
            });
            let (Some(leaf), None) = (leaves.next(), leaves.next()) else { return Ok(None) };
            let Ok(given) = found.field_with_name(field.name()) else { return Ok(None) };
            let descriptor = file.schema_descr().column(leaf);
            let Some(values) = kinds::values_of(&descriptor, given.data_type(), field.data_type()) else {
                return Ok(None);
            };
            let readable = metadata.row_groups().iter().all(|group| {
                let chunk = group.column(leaf);
                kinds::reads(chunk) && chunk.num_values() == group.num_rows()
            });
            if !readable || (given.is_nullable() && !field.is_nullable()) {
                return Ok(None);
            }
            columns.push(Column::new(Arc::new(field.clone()), leaf, values));
        }
        let asked = self.predicate.iter().flat_map(collect_columns).any(|column| {
            let leaf = (0..file.schema_descr().num_columns())
                .find(|leaf| file.schema_descr().column(*leaf).path().string() == column.name());
            let groups = metadata.row_groups();
            leaf.is_some_and(|leaf| {
                groups.iter().any(|group| group.column(leaf).bloom_filter_offset().is_some())
            })
        });
        Ok((!asked).then_some(columns))
    }

    fn filters(&self, columns: &mut [Column]) -> Result<Vec<Filter>> {
        let mut filters = Vec::new();
        let all =
            self.exact.iter().map(|expr| (expr, false)).chain(self.running.iter().map(|expr| (expr, true)));
        for (expr, running) in all {
            let mut places: Vec<usize> = Vec::new();
            for column in collect_columns(expr) {
                places.extend(self.columns.iter().position(|at| *at == column.index()));
            }
            places.sort_unstable();
            places.iter().for_each(|place| columns[*place].filtered = true);
            let schema = schema_of(columns, &places);
            let expr = reassign_expr_columns(Arc::clone(expr), &schema)?;
            filters.push(match running {
                true => Filter::running(expr, places, schema),
                false => Filter::exact(expr, places, schema),
            });
        }
        Ok(filters)
    }

    /// The batches of DataFusion's reader, filtered.
    async fn left(&self, file: PartitionedFile) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let mut planners: VecDeque<Box<dyn MorselPlanner>> = VecDeque::from([self.other.plan_file(file)?]);
        let mut parts = Vec::new();
        while let Some(planner) = planners.pop_front() {
            let Some(mut plan) = planner.plan()? else { continue };
            parts.extend(plan.take_morsels().into_iter().map(|morsel| morsel.into_stream()));
            planners.extend(plan.take_ready_planners());
            if let Some(pending) = plan.take_pending_planner() {
                planners.push_back(pending.into_future().await?);
            }
        }
        let schema = Arc::new(self.schema.project(&self.columns)?);
        let exact = match self.exact.is_empty() {
            true => None,
            false => Some(reassign_expr_columns(conjunction(self.exact.iter().cloned()), &schema)?),
        };
        let wanted: Vec<usize> = (0..self.wanted).collect();
        let filtered = move |batch: Result<RecordBatch>| {
            let batch = batch?;
            let batch = match &exact {
                Some(exact) => filter_record_batch(&batch, &mask_of(exact, &batch)?)?,
                None => batch,
            };
            Ok(batch.project(&wanted)?)
        };
        Ok(stream::iter(parts).flatten().map(filtered).boxed())
    }
}

/// Leaves out row groups by their statistics: once when the file is opened, and each before it is read, if a filter that
/// fills while the query runs has changed.
pub(super) struct Prune {
    /// Over `schema`.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Of the file.
    schema: SchemaRef,
    max_in_list: usize,
    generation: u64,
    metrics: ParquetFileMetrics,
    errors: Count,
}

impl Prune {
    /// `predicate` is over `schema`, the table's.
    pub(super) fn new(
        schema: &Schema,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        max_in_list: usize,
        metadata: &ParquetMetaData,
        metrics: ParquetFileMetrics,
    ) -> Result<Self> {
        let file = metadata.file_metadata();
        let found = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
        // With the types of the table, which those of the file may be read as.
        let fields = found.fields().iter().map(|field| match schema.field_with_name(field.name()) {
            Ok(wanted) => Arc::new(field.as_ref().clone().with_data_type(wanted.data_type().clone())),
            Err(_) => Arc::clone(field),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        // A filter may ask for a column that this file has not: then nothing is left out.
        let predicate = predicate.and_then(|expr| reassign_expr_columns(expr, &schema).ok());
        Ok(Self { predicate, schema, max_in_list, generation: 0, metrics, errors: Count::new() })
    }

    pub(super) fn apply(
        &mut self,
        metadata: &ParquetMetaData,
        access: &mut RowGroupAccessPlanFilter,
    ) -> Result<()> {
        let Some(predicate) = &self.predicate else { return Ok(()) };
        self.generation = snapshot_generation(predicate);
        let pruning = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .with_error_counter(&self.errors)
            .with_max_in_list_size(self.max_in_list)
            .build(Arc::clone(predicate));
        if let Some(pruning) = pruning {
            let descriptor = metadata.file_metadata().schema_descr();
            access.prune_by_statistics(
                &self.schema,
                descriptor,
                metadata.row_groups(),
                &pruning,
                &self.metrics,
            );
        }
        Ok(())
    }

    /// Whether a row group that was kept may still have rows that pass.
    pub(super) fn keeps(&mut self, metadata: &ParquetMetaData, group: usize) -> Result<bool> {
        let changed =
            self.predicate.as_ref().is_some_and(|expr| snapshot_generation(expr) != self.generation);
        if !changed {
            return Ok(true);
        }
        let mut plan = ParquetAccessPlan::new_none(metadata.num_row_groups());
        plan.scan(group);
        let mut access = RowGroupAccessPlanFilter::new(plan);
        self.apply(metadata, &mut access)?;
        Ok(!access.is_empty())
    }
}

/// What is wrong with a file.
pub(crate) fn damaged(text: String) -> DataFusionError {
    DataFusionError::ParquetError(Box::new(datafusion::parquet::errors::ParquetError::General(text)))
}
