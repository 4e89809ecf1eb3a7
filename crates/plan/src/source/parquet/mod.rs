//! Parquet files of this machine, filtered column by column while they are decoded.
//!
//! DataFusion's reader decodes all columns of all rows, and an operator above drops rows; or it decodes the columns of the
//! filters first and then hops from row to row, which costs more than it saves unless hardly a row is left. Here a scan goes in
//! steps of some thousand rows: the columns of the filters are looked at first, where possible by the number of a
//! dictionary's entry alone, and the others are decoded for the rows that are left. A join that has hashed its
//! build side says which keys can match, and that filter is applied here, too.
//!
//! ```text
//!   FilterExec ─ RunningFilterExec ─ DataSourceExec(parquet)      becomes      DataSourceExec(FilteredParquet)
//! ```
//!
//! - `open`: a file, by its footer; what is not read here is left to DataFusion, file by file.
//! - `parts`: which rows are whose; `clusters`: whose they are where they are in an order. `scan`: steps, row groups, batches. `filter`, `selection`: which rows of a step are left.
//! - `column`, `pages`: a column of a row group; `hybrid`: its packed numbers; `levels`: its nulls.
//! - `values`: what a column holds; `numbers`, `texts`, and `kinds`, which says which columns those are.
//!
//! Neither the page index nor Bloom filters are read: the filters look at all rows of a row group that its statistics keep, one
//! number each. Files with Bloom filters that may help are DataFusion's. The rule that puts it in is [`crate::optimize`]'s (`SET trefoil.filtered_scans = false` leaves all to DataFusion).

mod clusters;
mod column;
mod filter;
mod hybrid;
mod kinds;
mod levels;
mod numbers;
mod open;
mod pages;
mod parts;
mod scan;
mod selection;
mod texts;
mod values;

pub(crate) use clusters::Clustered;
pub(crate) use open::damaged;

use crate::infallible::is_infallible;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::parquet::{
    DefaultParquetFileReaderFactory, ParquetFileReaderFactory,
};
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::{collect_columns, conjunction};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::morsel::Morselizer;
use object_store::ObjectStore;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

type Filter = Arc<dyn PhysicalExpr>;

/// What is wrong with the bytes of a file.
fn broken(text: String) -> DataFusionError {
    open::damaged(text)
}

fn unsupported(text: String) -> DataFusionError {
    DataFusionError::NotImplemented(text)
}

/// The smallest piece is this part of what a worker would read.
const SMALLEST: usize = 8;
fn range_of(file: &PartitionedFile) -> (u64, u64) {
    let whole = (0, file.object_meta.size);
    file.range.as_ref().map_or(whole, |range| {
        let start = u64::try_from(range.start).unwrap_or_default();
        (start, u64::try_from(range.end).unwrap_or_default().max(start))
    })
}

fn bytes_of(file: &PartitionedFile) -> u64 {
    let (start, end) = range_of(file);
    end - start
}

/// Files of Parquet, and filters that all rows that go out pass.
#[derive(Clone)]
pub(crate) struct FilteredParquet {
    parquet: ParquetSource,
    /// Over the columns of the files.
    exact: Vec<Filter>,
    /// By the bits of joins: asked before those that operators hand down.
    keys: Vec<Filter>,
    /// Whether filters that are filled while the query runs drop rows, too.
    running: bool,
    /// Least rows of a piece that is read by itself; none if 0.
    piece_rows: usize,
    batch_rows: usize,
}

impl FilteredParquet {
    /// The scan with this source in the place of DataFusion's; none if it is one for DataFusion. With `running` the filters
    /// that joins and sorts fill while the query runs drop rows, too.
    pub(crate) fn of(scan: &DataSourceExec, running: bool, piece_rows: usize) -> Option<DataSourceExec> {
        let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
        let parquet = config.file_source.downcast_ref::<ParquetSource>()?;
        let table = parquet.table_schema();
        let split = SplitProjection::new(table.file_schema(), parquet.projection()?);
        let options = &parquet.table_parquet_options().global;
        // The order of row groups that a sort of few rows asks for is DataFusion's to keep.
        let ordered = Extra(parquet).to_string().contains("reverse_row_groups");
        let special = options.pushdown_filters
            || config.limit.is_some()
            || config.expr_adapter_factory.is_some()
            || !table.virtual_columns().is_empty()
            || ordered;
        let known =
            split.file_indices.iter().all(|at| kinds::knows(table.file_schema().field(*at).data_type()));
        if special || !known {
            return None;
        }
        let source = Self {
            parquet: parquet.clone(),
            exact: Vec::new(),
            keys: Vec::new(),
            running,
            piece_rows,
            batch_rows: 0,
        };
        Some(source.placed(config))
    }

    /// The source of a scan that [`Self::of`] made.
    pub(crate) fn in_scan(scan: &DataSourceExec) -> Option<(&FileScanConfig, &Self)> {
        let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
        Some((config, config.file_source.downcast_ref()?))
    }

    /// The scan of those rows for which `predicate`, over the output of the scan, is true, with the columns of the output at
    /// `places`. None if a part of it cannot be asked here.
    pub(crate) fn filtered(
        &self,
        config: &FileScanConfig,
        predicate: &Arc<dyn PhysicalExpr>,
        places: Option<&[usize]>,
    ) -> Result<Option<DataSourceExec>> {
        let Some(projection) = self.parquet.projection() else { return Ok(None) };
        let schema = self.parquet.table_schema().file_schema();
        let mut exact = self.exact.clone();
        for part in split_conjunction(predicate) {
            let part = projection.unproject_expr(part)?;
            let known = |column: &Column| {
                let field = schema.fields().get(column.index());
                field.is_some_and(|field| field.name() == column.name() && kinds::knows(field.data_type()))
            };
            if is_volatile(&part) || !collect_columns(&part).iter().all(known) {
                return Ok(None);
            }
            exact.push(part);
        }
        // Those that cannot fail may go first, the cheapest of them before the others.
        exact.sort_by_key(|part| match is_infallible(part, schema) {
            true => collect_columns(part).len().max(1),
            false => usize::MAX,
        });
        let mut parquet = self.parquet.clone();
        if let Some(places) = places {
            let picked = config.projected_schema()?;
            let picked = ProjectionExprs::from_indices(places, &picked);
            let Some(narrow) = parquet.try_pushdown_projection(&picked)? else { return Ok(None) };
            let Some(narrow) = narrow.downcast_ref::<ParquetSource>() else { return Ok(None) };
            parquet = narrow.clone();
        }
        Ok(Some(Self { parquet, exact, ..self.clone() }.placed(config)))
    }

    /// The scan in pieces, of which each worker takes the next one when it is done with one: filters leave more rows of one part
    /// of a file than of another. Half of what a worker would read is one piece, half of what is left the next, and
    /// so on, so that there are few and the last ones are small; none is smaller than it was told, as far as can be
    /// guessed, since each reads the dictionaries anew. The rows come in another order. None if it stays as it is.
    pub(crate) fn in_pieces(scan: &DataSourceExec) -> Option<DataSourceExec> {
        let (config, source) = Self::in_scan(scan)?;
        let workers = config.file_groups.len();
        let is_free = workers > 1 && !config.preserve_order && config.output_ordering.is_empty();
        if !is_free || config.output_partitioning.is_some() {
            return None;
        }
        let files = || config.file_groups.iter().flat_map(FileGroup::iter);
        let bytes: u64 = files().map(bytes_of).sum();
        let rows = config.statistics().num_rows.get_value().map(|rows| *rows as u64);
        // With nothing known of them, rows have the size of a few numbers.
        let row_bytes = rows.map_or(32.0, |rows| bytes as f64 / rows.max(1) as f64);
        let told = (row_bytes * source.piece_rows as f64) as u64;
        let least = told.max(bytes / (workers * SMALLEST) as u64).max(1);
        let mut pieces: Vec<PartitionedFile> = Vec::new();
        for file in files() {
            let (mut from, to) = range_of(file);
            let mut cut = |from: u64, to: u64| {
                let range = Some(FileRange { start: from as i64, end: to as i64 });
                pieces.push(PartitionedFile { range, ..file.clone() });
            };
            if (to - from) / 2 < least {
                pieces.push(file.clone());
                continue;
            }
            while (to - from) / 2 >= least {
                let half = from + (to - from) / 2;
                cut(from, half);
                from = half;
            }
            cut(from, to);
        }
        if pieces.len() == files().count() {
            return None;
        }
        // They are taken in this order, whosever they were.
        pieces.sort_by_key(|piece| Reverse(bytes_of(piece)));
        let each = pieces.len().div_ceil(workers);
        let mut config = config.clone();
        config.file_groups = pieces.chunks(each).map(|pieces| FileGroup::new(pieces.to_vec())).collect();
        config.file_groups.resize_with(workers, || FileGroup::new(Vec::new()));
        Some(DataSourceExec::new(Arc::new(config) as Arc<dyn DataSource>))
    }

    fn placed(self, config: &FileScanConfig) -> DataSourceExec {
        let mut config = config.clone();
        if !self.exact.is_empty() {
            let statistics = config.statistics().to_inexact();
            config = FileScanConfigBuilder::from(config).with_statistics(statistics).build();
        }
        config.file_source = Arc::new(self);
        DataSourceExec::new(Arc::new(config) as Arc<dyn DataSource>)
    }

    /// The filters that joins and sorts fill while the query runs.
    pub(crate) fn running_filters(&self) -> Vec<Filter> {
        self.handed_down().0
    }

    /// The scan with more of such filters, over the columns of the files. None if a column of them is not read here.
    pub(crate) fn asking(scan: &DataSourceExec, more: Vec<Filter>) -> Option<DataSourceExec> {
        let (config, source) = Self::in_scan(scan)?;
        let mut config = config.clone();
        config.file_source = Arc::new(Self { keys: more, ..source.clone() });
        Some(DataSourceExec::new(Arc::new(config) as Arc<dyn DataSource>))
    }

    /// The filters that are handed down by running operators and those that row groups are left out by; over the columns
    /// of the files.
    fn handed_down(&self) -> (Vec<Filter>, Option<Filter>) {
        let schema = self.parquet.table_schema().file_schema();
        let of_files =
            |part: &Filter| collect_columns(part).iter().all(|column| column.index() < schema.fields().len());
        let all = self.parquet.filter();
        let parts: Vec<Filter> = match &all {
            Some(all) => split_conjunction(all).into_iter().filter(|part| of_files(part)).cloned().collect(),
            None => Vec::new(),
        };
        let knows = |part: &Filter| {
            collect_columns(part).iter().all(|column| kinds::knows(schema.field(column.index()).data_type()))
        };
        let running = parts
            .iter()
            .filter(|part| self.running && part.is::<DynamicFilterPhysicalExpr>() && knows(part))
            .cloned();
        (running.collect(), (!parts.is_empty()).then(|| conjunction(parts.clone())))
    }

    /// DataFusion's reader of some columns.
    fn other(
        &self,
        columns: &[usize],
        store: Arc<dyn ObjectStore>,
        readers: Arc<dyn ParquetFileReaderFactory>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let table = self.parquet.table_schema();
        let mut source = ParquetSource::new(table.clone())
            .with_table_parquet_options(self.parquet.table_parquet_options().clone())
            .with_parquet_file_reader_factory(readers);
        if let Some(predicate) = self.parquet.filter() {
            source = source.with_predicate(predicate);
        }
        let columns = ProjectionExprs::from_indices(columns, table.table_schema());
        let source = source.with_batch_size(self.batch_rows.max(1));
        match source.try_pushdown_projection(&columns)? {
            Some(source) => source.create_morselizer(store, config, partition),
            None => Err(internal_datafusion_err!("a scan of Parquet takes no projection")),
        }
    }
}

impl FileSource for FilteredParquet {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let table = self.parquet.table_schema();
        let schema = table.file_schema();
        let projection = match self.parquet.projection() {
            Some(projection) => SplitProjection::new(schema, projection),
            None => SplitProjection::unprojected(table),
        };
        let mut columns = projection.file_indices.clone();
        let wanted = columns.len();
        let (mut running, predicate) = self.handed_down();
        running.splice(..0, self.keys.iter().cloned());
        for filter in self.exact.iter().chain(&running) {
            let mut more: Vec<usize> = collect_columns(filter).iter().map(Column::index).collect();
            more.sort_unstable();
            for column in more {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
        }
        let readers = match self.parquet.parquet_file_reader_factory() {
            Some(readers) => Arc::clone(readers),
            None => Arc::new(DefaultParquetFileReaderFactory::new(Arc::clone(&object_store))),
        };
        let other =
            self.other(&columns, Arc::clone(&object_store), Arc::clone(&readers), base_config, partition)?;
        let task = open::Task {
            partition,
            schema: Arc::clone(schema),
            columns,
            wanted,
            exact: self.exact.clone(),
            running,
            predicate,
            together: if self.piece_rows == 0 { usize::MAX } else { self.piece_rows * 2 },
            max_in_list: self.parquet.max_in_list_size(),
            batch_rows: self.batch_rows,
            metrics: self.parquet.metrics().clone(),
            readers,
            store: object_store,
            other,
        };
        ProjectionOpener::try_new(projection, Arc::new(open::Opener(Arc::new(task))), schema)
    }

    fn table_schema(&self) -> &TableSchema {
        self.parquet.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_rows: batch_size, ..self.clone() })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.parquet.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.parquet.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.parquet.metrics()
    }

    fn file_type(&self) -> &str {
        self.parquet.file_type()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.parquet.fmt_extra(t, f)?;
        if !self.exact.is_empty() {
            write!(f, ", where={}", conjunction(self.exact.iter().cloned()))?;
        }
        for (at, filter) in self.handed_down().0.iter().enumerate() {
            let columns = collect_columns(filter);
            let mut names: Vec<&str> = columns.iter().map(Column::name).collect();
            names.sort_unstable();
            write!(f, "{}keys of {}", if at == 0 { ", running filters=" } else { "; " }, names.join(", "))?;
        }
        Ok(())
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.exact {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        self.parquet.apply_expressions(f)
    }
}

/// What a source says of itself in a plan.
struct Extra<'a>(&'a ParquetSource);

impl fmt::Display for Extra<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_extra(DisplayFormatType::Default, f)
    }
}
