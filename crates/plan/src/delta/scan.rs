//! A Delta table as a table of DataFusion: the kernel says which files, this reads their rows.

use super::kernel::{Kernel, key};
use super::reader::Reader;
use super::{filter, in_plan};
use async_trait::async_trait;
use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::parquet::arrow::ParquetRecordBatchStreamBuilder;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderMetadata;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use delta_kernel::engine::arrow_conversion::TryFromKernel;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine::arrow_utils::{
    RowIndexBuilder, fixup_parquet_read, ordering_needs_row_indexes, parquet_read_plan,
};
use delta_kernel::engine::reader_options;
use delta_kernel::scan::state::{ScanFile, transform_to_logical};
use delta_kernel::schema::SchemaRef as KernelSchemaRef;
use delta_kernel::{KernelResult, SnapshotRef};
use futures::{Stream, StreamExt, TryStreamExt};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// A version of a table.
pub(super) struct DeltaTable {
    snapshot: SnapshotRef,
    kernel: Arc<Kernel>,
    schema: SchemaRef,
}

impl DeltaTable {
    pub(super) fn new(snapshot: SnapshotRef, kernel: Arc<Kernel>) -> KernelResult<Self> {
        let schema = Arc::new(Schema::try_from_kernel(snapshot.schema().as_ref())?);
        Ok(Self { snapshot, kernel, schema: without_notes(&schema) })
    }

    /// The files that the filters leave, and how they are read.
    fn plan(&self, columns: &[usize], filters: &[Expr]) -> KernelResult<(Rows, Vec<ScanFile>)> {
        let schema = Arc::new(self.schema.project(columns)?);
        let predicate = filter::all(filters, &self.schema).map(Arc::new);
        let scan = |names: &[&str]| {
            let columns = self.snapshot.schema().project(names)?;
            let scan = Arc::clone(&self.snapshot).scan_builder().with_schema(columns);
            scan.with_predicate(predicate.clone()).build()
        };
        let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut all = self.schema.fields().iter().map(|field| field.name().as_str());
        let mut plan = scan(&names)?;
        // Keys of directories are in no file: some column must say how many rows there are. It is dropped by `Rows::typed`.
        while plan.physical_schema().num_fields() == 0 {
            let Some(another) = all.find(|name| !names.contains(name)) else { break };
            names.push(another);
            plan = scan(&names)?;
        }
        let scan = plan;
        let mut files = Vec::new();
        for part in scan.scan_metadata(self.kernel.as_ref())? {
            files = part?.visit_scan_files(files, |files: &mut Vec<ScanFile>, file| files.push(file))?;
        }
        let rows = Rows {
            kernel: Arc::clone(&self.kernel),
            root: scan.table_root().clone(),
            physical: Arc::clone(scan.physical_schema()),
            logical: Arc::clone(scan.logical_schema()),
            schema,
        };
        Ok((rows, files))
    }
}

/// Columns without what Delta notes about them: they would differ from those of other tables.
fn without_notes(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_metadata(Default::default()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Files in groups of about the same size.
fn groups(mut files: Vec<ScanFile>, count: usize) -> Vec<Vec<ScanFile>> {
    files.sort_by_key(|file| std::cmp::Reverse(file.size));
    let mut groups: Vec<(i64, Vec<ScanFile>)> = vec![(0, Vec::new()); count.min(files.len()).max(1)];
    for file in files {
        if let Some((size, group)) = groups.iter_mut().min_by_key(|(size, _)| *size) {
            // Opening a file costs as much as some bytes.
            *size += file.size.saturating_add(1 << 16);
            group.push(file);
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[async_trait]
impl TableProvider for DeltaTable {
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
        let columns: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        // Rows without columns are counted by one of them.
        let read = if columns.is_empty() { vec![0] } else { columns.clone() };
        let (rows, files) = self.plan(&read, filters).map_err(in_plan)?;
        let (rows, schema) = (Arc::new(rows), Arc::new(self.schema.project(&columns)?));
        let part = |files| {
            Arc::new(Part { rows: Arc::clone(&rows), schema: Arc::clone(&schema), files })
                as Arc<dyn PartitionStream>
        };
        let parts = groups(files, state.config().target_partitions()).into_iter().map(part).collect();
        Ok(Arc::new(StreamingTableExec::try_new(Arc::clone(&schema), parts, None, [], false, limit)?))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let of = |filter: &&Expr| match filter::one(filter, &self.schema) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(of).collect())
    }
}

impl fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeltaTable({} at version {})", self.snapshot.table_root(), self.snapshot.version())
    }
}

/// How the files of a scan are read.
struct Rows {
    kernel: Arc<Kernel>,
    root: Url,
    /// The columns as the files have them, and as the table has them.
    physical: KernelSchemaRef,
    logical: KernelSchemaRef,
    schema: SchemaRef,
}

/// Files of one partition of the plan.
struct Part {
    rows: Arc<Rows>,
    /// That of the rows, or no columns.
    schema: SchemaRef,
    files: Vec<ScanFile>,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let size = context.session_config().batch_size();
        let rows = Arc::clone(&self.rows);
        let read = move |file| {
            let rows = Arc::clone(&rows);
            async move { rows.of_file(file, size).await }
        };
        let all = futures::stream::iter(self.files.clone()).then(read).try_flatten();
        let bare = self.schema.fields().is_empty();
        let all = all.map(move |batch| match bare {
            true => batch.and_then(|batch| Ok(batch.project(&[])?)),
            false => batch,
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), all))
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of the Delta table {}", self.files.len(), self.rows.root)
    }
}

impl Rows {
    async fn of_file(
        self: Arc<Self>,
        file: ScanFile,
        size: usize,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + 'static> {
        let location = self.root.join(&file.path).map_err(|error| in_plan(error.into()))?;
        let kept = file.dv_info.get_selection_vector(self.kernel.as_ref(), &self.root).map_err(in_plan)?;
        let store = Arc::clone(&self.kernel.files.store);
        let size_of_file = u64::try_from(file.size).unwrap_or_default();
        let mut reader = Reader { store, key: key(&location).map_err(in_plan)?, size: size_of_file };
        let metadata = ArrowReaderMetadata::load_async(&mut reader, reader_options()).await?;
        let (order, mask) = parquet_read_plan(&self.physical, &metadata).map_err(in_plan)?;
        let mut indexes = match ordering_needs_row_indexes(&order) {
            true => Some(RowIndexBuilder::new(metadata.metadata().row_groups()).build().map_err(in_plan)?),
            false => None,
        };
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata).with_batch_size(size);
        if let Some(mask) = mask {
            builder = builder.with_projection(mask);
        }
        let mut done = 0;
        Ok(builder.build()?.map(move |batch| -> Result<RecordBatch> {
            let batch = batch.map_err(DataFusionError::from)?;
            let read = batch.num_rows();
            let data = fixup_parquet_read(
                batch,
                &order,
                indexes.as_mut(),
                Some(location.as_str()),
                Some(&self.physical),
            );
            let logical = transform_to_logical(
                self.kernel.as_ref(),
                Box::new(data.map_err(in_plan)?),
                &self.physical,
                &self.logical,
                file.transform.clone(),
            );
            let batch: RecordBatch =
                (*logical.and_then(ArrowEngineData::try_from_engine_data).map_err(in_plan)?).into();
            let batch = self.typed(&batch)?;
            // What is behind the end of the vector was not deleted.
            let batch = match &kept {
                Some(kept) => {
                    let mask: BooleanArray =
                        (done..done + read).map(|row| Some(kept.get(row).copied().unwrap_or(true))).collect();
                    filter_record_batch(&batch, &mask)?
                }
                None => batch,
            };
            done += read;
            Ok(batch)
        }))
    }

    /// The columns by the names and types that the table told.
    fn typed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            match column.data_type() == field.data_type() {
                true => Ok(Arc::clone(column)),
                false => cast(column, field.data_type()),
            }
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<Vec<_>, _>>()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel::Files;
    use super::*;
    use datafusion::logical_expr::{col, lit};
    use delta_kernel::Snapshot;
    use object_store::local::LocalFileSystem;

    #[tokio::test(flavor = "multi_thread")]
    async fn files_that_filters_rule_out() {
        let table = |name: &str| {
            let path = format!("{}/tests/data/delta/{name}", env!("CARGO_MANIFEST_DIR"));
            let root = Url::from_directory_path(path).unwrap();
            let kernel = Arc::new(Kernel::new(Files::new(Arc::new(LocalFileSystem::new()))));
            let snapshot = Snapshot::builder_for(root.as_str()).build(kernel.as_ref()).unwrap();
            DeltaTable::new(snapshot, kernel).unwrap()
        };
        let check = |name: &str, filter: Expr, expect: usize| {
            let (_, files) = table(name).plan(&[0], std::slice::from_ref(&filter)).unwrap();
            assert_eq!(files.len(), expect, "{name}: {filter}");
        };
        check("history", lit(true), 3);
        check("history", col("id").lt(lit(5_i64)), 1);
        check("history", lit(99_i64).lt(col("id")), 1);
        check("history", col("id").lt(lit(5_i64)).or(col("id").gt(lit(99_i64))), 2);
        // A number of another type, and what is not translated, leave all.
        check("history", col("id").lt(lit(5.5)), 3);
        check("history", col("id").lt(lit(5_i64)).or(col("price").gt(lit(1.0))), 3);
        check("history", col("id").lt(lit(5_i64)).and(col("price").gt(lit(1.0))), 1);
        check("keys", lit(true), 9);
        check("keys", col("shop").eq(lit("x/y")), 2);
        check("keys", col("shop").is_null(), 2);
        check("keys", col("shop").is_not_null().and(col("n").gt_eq(lit(6_i32))), 3);
    }
}
