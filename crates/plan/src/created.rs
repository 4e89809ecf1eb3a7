//! Tables made by `CREATE TABLE`: their rows are partitions of the engine's store, so they are charged to the
//! budget and spill, and the statements that change them replace partitions, which themselves never change.
//!
//! A scan, and a statement that reads the table it changes, sees the partitions there were when it was
//! planned. `INSERT` adds partitions at its end. `DELETE` and `UPDATE` write all rows anew and put them in the
//! place of those they read; if the table was changed meanwhile they fail and change nothing.

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraints, exec_err, not_impl_err};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder, TableType, and, ident, lit, when};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::task::yield_now;
use trefoil_core::{Engine, Partition, WeakEngine};

use crate::frame::Gathering;
use crate::stored::StoredTable;

type Partitions = Arc<[Partition]>;

/// A table whose partitions change as a whole.
#[derive(Clone)]
pub(crate) struct CreatedTable {
    schema: SchemaRef,
    partitions: Arc<Mutex<Partitions>>,
    engine: WeakEngine,
    constraints: Constraints,
    defaults: HashMap<String, Expr>,
}

impl CreatedTable {
    pub(crate) fn new(
        engine: &Engine,
        schema: SchemaRef,
        partitions: Vec<Partition>,
        constraints: Constraints,
        defaults: HashMap<String, Expr>,
    ) -> Self {
        let partitions = Arc::new(Mutex::new(Partitions::from(partitions)));
        Self { schema, partitions, engine: engine.downgrade(), constraints, defaults }
    }

    /// The partitions there are now.
    fn now(&self) -> Partitions {
        Arc::clone(&self.partitions.lock())
    }

    fn stored(&self, partitions: &Partitions) -> StoredTable {
        StoredTable::new(Arc::clone(&self.schema), partitions.to_vec())
    }

    fn sink(&self, input: Arc<dyn ExecutionPlan>, change: Change) -> Arc<dyn ExecutionPlan> {
        let schema = match change {
            Change::Update(_) => input.schema(),
            _ => Arc::clone(&self.schema),
        };
        let sink = Sink { table: self.clone(), schema, change };
        Arc::new(DataSinkExec::new(input, Arc::new(sink), None))
    }

    /// Reads the table as a logical plan.
    fn scan_all(&self, partitions: &Partitions) -> Result<LogicalPlanBuilder> {
        let source = provider_as_source(Arc::new(self.stored(partitions)));
        LogicalPlanBuilder::scan("t", source, None)
    }
}

/// Whether a row is meant by the filters: null is no.
fn hit(filters: Vec<Expr>) -> Expr {
    filters.into_iter().reduce(and).map_or_else(|| lit(true), Expr::is_true)
}

/// The column that marks rows that an `UPDATE` changes.
const MARK: &str = "__trefoil_changed";

#[async_trait]
impl TableProvider for CreatedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.defaults.get(column)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.stored(&self.now()).scan(state, projection, filters, limit).await
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        operation: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::common::SchemaExt;
        self.schema.logically_equivalent_names_and_types(&input.schema())?;
        match operation {
            InsertOp::Append => Ok(self.sink(input, Change::Append)),
            InsertOp::Overwrite => Ok(self.sink(input, Change::Replace(self.now()))),
            InsertOp::Replace => not_impl_err!("REPLACE INTO a table in memory"),
        }
    }

    async fn delete_from(&self, state: &dyn Session, filters: Vec<Expr>) -> Result<Arc<dyn ExecutionPlan>> {
        let before = self.now();
        let kept = self.scan_all(&before)?.filter(hit(filters).is_not_true())?.build()?;
        let kept = state.create_physical_plan(&kept).await?;
        Ok(self.sink(kept, Change::Delete(before)))
    }

    async fn update(
        &self,
        state: &dyn Session,
        assignments: Vec<(String, Expr)>,
        filters: Vec<Expr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let before = self.now();
        let hit = hit(filters);
        let scan = self.scan_all(&before)?;
        let schema = Arc::clone(scan.schema());
        let mut columns = Vec::with_capacity(self.schema.fields().len() + 1);
        for field in self.schema.fields() {
            let new = assignments.iter().find(|(name, _)| name == field.name());
            columns.push(match new {
                None => ident(field.name()),
                Some((_, value)) => {
                    let value = value.clone().cast_to(field.data_type(), schema.as_ref())?;
                    when(hit.clone(), value).otherwise(ident(field.name()))?.alias(field.name())
                }
            });
        }
        columns.push(hit.alias(MARK));
        let changed = scan.project(columns)?.build()?;
        let changed = state.create_physical_plan(&changed).await?;
        Ok(self.sink(changed, Change::Update(before)))
    }

    async fn truncate(&self, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let before = self.now();
        let none = self.scan_all(&before)?.filter(lit(false))?.build()?;
        let none = state.create_physical_plan(&none).await?;
        Ok(self.sink(none, Change::Delete(before)))
    }
}

/// What a statement does with the rows it made, and which partitions it read.
enum Change {
    Append,
    Replace(Partitions),
    Delete(Partitions),
    Update(Partitions),
}

struct Sink {
    table: CreatedTable,
    /// What comes in: the table's columns, and those an `UPDATE` marks its rows with.
    schema: SchemaRef,
    change: Change,
}

#[async_trait]
impl DataSink for Sink {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(
        &self,
        mut data: SendableRecordBatchStream,
        _context: &Arc<TaskContext>,
    ) -> Result<u64> {
        let Some(engine) = self.table.engine.upgrade() else {
            return exec_err!("the engine has been shut down");
        };
        let mut gathering = Gathering::new(&engine, Arc::clone(&self.table.schema));
        let (mut rows, mut marked) = (0, 0);
        while let Some(batch) = data.next().await {
            let mut batch = batch?;
            yield_now().await;
            if matches!(self.change, Change::Update(_)) {
                let last = batch.num_columns() - 1;
                marked += batch.column(last).as_boolean().true_count();
                batch.remove_column(last);
            }
            rows += batch.num_rows();
            gathering.add(self.like_table(batch)?)?;
        }
        let new = gathering.finish()?;
        let mut now = self.table.partitions.lock();
        let unchanged = |before: &Partitions| Arc::ptr_eq(before, &now);
        let count = match &self.change {
            Change::Append => {
                *now = now.iter().cloned().chain(new).collect();
                return Ok(rows as u64);
            }
            Change::Replace(before) | Change::Delete(before) | Change::Update(before)
                if !unchanged(before) =>
            {
                return exec_err!("the table was changed by another statement meanwhile; run it again");
            }
            Change::Replace(_) => rows,
            Change::Delete(before) => before.iter().map(Partition::num_rows).sum::<usize>() - rows,
            Change::Update(_) => marked,
        };
        *now = new.into();
        Ok(count as u64)
    }
}

impl Sink {
    /// Computed columns may differ from the table's in nullability and metadata, and in nothing else.
    fn like_table(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().to_vec();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.table.schema), columns, &options)?)
    }
}

impl DisplayAs for Sink {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.change {
            Change::Append => "stored, append",
            Change::Replace(_) => "stored, replace",
            Change::Delete(_) => "stored, delete",
            Change::Update(_) => "stored, update",
        })
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl fmt::Debug for CreatedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreatedTable({} partitions)", self.now().len())
    }
}
