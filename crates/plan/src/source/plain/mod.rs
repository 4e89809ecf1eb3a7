//! Plain CSV at the speed of a loop.
//!
//! Most CSV files hold no quotes: every line is a row and every comma is between two cells. DataFusion's reader looks at
//! each byte through the state machine that quotes need. A rule puts a reader of ours in its place, for local files,
//! columns of numbers, texts, masks, days and times, and no options but header, delimiter and quote. It stops at the first batch
//! that is not plain (a quote, a lone carriage return, an empty line, a cell that does not fit its column, too many or
//! too few cells, bytes that are no UTF-8), and DataFusion's reader goes on from the first row of that batch to the end
//! of the file: its rows and its errors are those that count.
//!
//! - `cells`: one line into the columns of a batch.
//! - `times`: points in time.
//! - `reader`: a file, or a range of one, into batches.

mod cells;
mod reader;
mod times;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    CsvOpener, CsvSource, FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::{StreamExt, stream};
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};
use std::fmt;
use std::sync::Arc;

use reader::{Form, PlainReader};

/// Puts [`PlainCsv`] in the place of DataFusion's source of CSV files.
#[derive(Debug)]
pub(crate) struct PlainFiles;

impl PhysicalOptimizerRule for PlainFiles {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match plan.downcast_ref::<DataSourceExec>().and_then(plain) {
                Some(plain) => Transformed::yes(Arc::new(plain) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "plain_csv"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn plain(scan: &DataSourceExec) -> Option<DataSourceExec> {
    let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
    let csv = config.file_source.downcast_ref::<CsvSource>()?;
    let special = csv.truncate_rows()
        || csv.escape().is_some()
        || csv.comment().is_some()
        || csv.terminator().is_some()
        || !csv.delimiter().is_ascii()
        || [b'\n', b'\r', csv.quote()].contains(&csv.delimiter());
    let schema = csv.table_schema().file_schema();
    let split = SplitProjection::new(schema, csv.projection()?);
    let known = split.file_indices.iter().all(|at| cells::knows(schema.field(*at).data_type()));
    if special || !known || config.file_compression_type.is_compressed() {
        return None;
    }
    let mut config = config.clone();
    config.file_source = Arc::new(PlainCsv { csv: csv.clone(), batch_rows: 0 });
    Some(DataSourceExec::new(Arc::new(config)))
}

/// CSV files that are probably plain.
#[derive(Clone)]
struct PlainCsv {
    csv: CsvSource,
    batch_rows: usize,
}

impl FileSource for PlainCsv {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let schema = self.csv.table_schema().file_schema();
        let projection = match self.csv.projection() {
            Some(projection) => SplitProjection::new(schema, projection),
            None => SplitProjection::unprojected(self.csv.table_schema()),
        };
        let form = Form {
            schema: Arc::clone(schema),
            wanted: projection.file_indices.clone(),
            delimiter: self.csv.delimiter(),
            quote: self.csv.quote(),
            batch_rows: self.batch_rows.max(1),
        };
        let compression = base_config.file_compression_type;
        let csv = CsvOpener::new(Arc::new(self.csv.clone()), compression, Arc::clone(&object_store));
        let opener = Opener { form, header: self.csv.has_header(), object_store, csv: Arc::new(csv) };
        ProjectionOpener::try_new(projection, Arc::new(opener), schema)
    }

    fn table_schema(&self) -> &TableSchema {
        self.csv.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        let csv = self.csv.with_batch_size(batch_size);
        let csv = csv.downcast_ref::<CsvSource>().cloned().unwrap_or_else(|| self.csv.clone());
        Arc::new(Self { csv, batch_rows: batch_size })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.csv.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.csv.metrics()
    }

    fn file_type(&self) -> &str {
        self.csv.file_type()
    }

    fn supports_repartitioning(&self) -> bool {
        self.csv.supports_repartitioning()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.csv.fmt_extra(t, f)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.csv.apply_expressions(f)
    }
}

struct Opener {
    form: Form,
    header: bool,
    object_store: Arc<dyn ObjectStore>,
    /// Where files are not on this machine.
    csv: Arc<CsvOpener>,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (form, header, csv) = (self.form.clone(), self.header, Arc::clone(&self.csv));
        let store = Arc::clone(&self.object_store);
        Ok(Box::pin(async move {
            let size = file.object_meta.size;
            let (start, end) = match &file.range {
                Some(range) => {
                    (u64::try_from(range.start).unwrap_or(0), u64::try_from(range.end).unwrap_or(0))
                }
                None => (0, size),
            };
            if start >= end || start >= size {
                return Ok(stream::empty().boxed());
            }
            let options = GetOptions { range: Some(GetRange::Bounded(0..size)), ..GetOptions::default() };
            let found = store.get_opts(&file.object_meta.location, options).await?;
            let GetResultPayload::File(open, _) = found.payload else {
                return csv.open(file)?.await;
            };
            // what begins behind the end is another range's
            let end = if end >= size { u64::MAX } else { end };
            let reader = PlainReader::new(open, form, header && start == 0, start, end)?;
            Ok(stream::iter(reader.map(|batch| batch.map_err(DataFusionError::from))).boxed())
        }))
    }
}
