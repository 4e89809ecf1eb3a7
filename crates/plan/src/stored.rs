//! A table over partitions in the engine's store, scanned without copying.
//!
//! Each [`Partition`] is one partition of the plan. A partition is brought into memory when its stream
//! is first polled and held only until its last batch was handed out; the batches that come out are the
//! stored ones, so their buffers are the same memory.

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, project_schema};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::projection::{all_alias_free_columns, new_projections_for_columns};
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, Partitioning};
use futures::Stream;
use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use trefoil_core::{Batches, Partition};

/// A table whose partitions are held by the engine's store (or by the user).
#[derive(Clone, Debug)]
pub struct StoredTable {
    schema: SchemaRef,
    partitions: Arc<[Partition]>,
}

impl StoredTable {
    /// A table of these partitions, which must all have the columns of `schema`.
    pub fn new(schema: SchemaRef, partitions: Vec<Partition>) -> Self {
        Self { schema, partitions: partitions.into() }
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
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = Source {
            table: self.clone(),
            projection: projection.cloned(),
            projected: project_schema(&self.schema, projection)?,
            fetch: limit,
        };
        Ok(DataSourceExec::from_data_source(source))
    }
}

/// The scan of a [`StoredTable`].
#[derive(Clone, Debug)]
struct Source {
    table: StoredTable,
    projection: Option<Vec<usize>>,
    projected: SchemaRef,
    fetch: Option<usize>,
}

impl DataSource for Source {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partition = self.table.partitions.get(partition).cloned();
        Ok(Box::pin(cooperative(Scan {
            schema: Arc::clone(&self.projected),
            projection: self.projection.clone(),
            left: self.fetch.unwrap_or(usize::MAX),
            state: partition.map_or(State::Done, State::Closed),
        })))
    }

    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.table.partitions.iter().map(Partition::num_rows).sum();
        write!(f, "stored, partitions={}, rows={rows}", self.table.partitions.len())?;
        match self.fetch {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.table.partitions.len())
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.projected))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let all = &self.table.partitions;
        let wanted = match partition {
            Some(index) => all.get(index..=index).unwrap_or_default(),
            None => all,
        };
        let mut statistics = Statistics::new_unknown(&self.projected);
        let rows = wanted.iter().map(Partition::num_rows).sum::<usize>();
        statistics.num_rows = match self.fetch {
            None => Precision::Exact(rows),
            Some(fetch) => Precision::Inexact(rows.min(fetch)),
        };
        let bytes = wanted.iter().map(Partition::memory_bytes).sum::<usize>();
        statistics.total_byte_size = Precision::Inexact(bytes);
        Ok(Arc::new(statistics))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { fetch: limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let exprs: Vec<_> = projection.iter().cloned().collect();
        if !all_alias_free_columns(&exprs) {
            return Ok(None);
        }
        let all: Vec<usize> = (0..self.table.schema.fields().len()).collect();
        let columns = new_projections_for_columns(&exprs, self.projection.as_ref().unwrap_or(&all));
        let projected = project_schema(&self.table.schema, Some(&columns))?;
        Ok(Some(Arc::new(Self { projection: Some(columns), projected, ..self.clone() })))
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

/// The bytes in memory of a scan of a [`StoredTable`], if it is one.
pub(crate) fn scanned_bytes(source: &dyn DataSource) -> Option<usize> {
    let source = (source as &dyn Any).downcast_ref::<Source>()?;
    Some(source.table.partitions.iter().map(Partition::memory_bytes).sum())
}

enum State {
    Closed(Partition),
    Open { batches: Batches, next: usize },
    Done,
}

/// The batches of one partition.
struct Scan {
    schema: SchemaRef,
    projection: Option<Vec<usize>>,
    left: usize,
    state: State,
}

impl Scan {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match &mut self.state {
                State::Closed(partition) => {
                    let batches =
                        partition.batches().map_err(|error| DataFusionError::External(Box::new(error)))?;
                    self.state = State::Open { batches, next: 0 };
                }
                State::Open { batches, next } => {
                    let Some(batch) = batches.get(*next).filter(|_| self.left > 0) else {
                        self.state = State::Done;
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
                    // Stored batches may differ from the table in nullability and metadata; a projection to
                    // no column (a bare count) keeps the number of rows.
                    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                    let columns = batch.columns().to_vec();
                    let schema = Arc::clone(&self.schema);
                    return Ok(Some(RecordBatch::try_new_with_options(schema, columns, &options)?));
                }
                State::Done => return Ok(None),
            }
        }
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
