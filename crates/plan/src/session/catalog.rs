//! Names for tables: register, look up, list, forget.

use super::Session;
use crate::created::CreatedTable;
use crate::frame::DataFrame;
use crate::stored::StoredTable;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::TableType;
use datafusion::logical_expr::{CreateMemoryTable, LogicalPlan};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

impl Session {
    /// Makes a frame visible to SQL and to [`Session::table`] under a name.
    ///
    /// Nothing is computed or copied: the name stands for the plan of the frame (a view), or for the
    /// stored partitions if the frame was persisted. A table of that name is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an empty name.
    pub fn register(&self, name: &str, frame: &DataFrame) -> Result<()> {
        self.register_as(name, TableReference::bare(name), frame)
    }

    pub(super) fn register_as(&self, name: &str, reference: TableReference, frame: &DataFrame) -> Result<()> {
        check_name("register", name)?;
        let provider: Arc<dyn TableProvider> = match frame.stored() {
            Some(table) => Arc::new(table.clone()),
            None => frame.inner().clone().into_view(),
        };
        // A table and a view of one name would be two entries otherwise.
        let error = |error| self.error(error, "register");
        self.context().deregister_table(reference.clone()).map_err(error)?;
        self.context().register_table(reference, provider).map_err(error)?;
        Ok(())
    }

    /// Stores batches and makes them visible to SQL under a name.
    ///
    /// # Errors
    /// As [`Session::frame_from_batches`] and [`Session::register`].
    pub fn register_batches(&self, name: &str, batches: Vec<RecordBatch>) -> Result<()> {
        check_name("register_batches", name)?;
        let frame = self.frame_from_batches(batches)?;
        self.register(name, &frame)
    }

    /// Carries a `CREATE TABLE` out: the rows of its query, or none, become partitions in the engine's store,
    /// charged to the budget and spilled when memory is short; `INSERT`, `UPDATE` and `DELETE` change the
    /// table.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] when there is a table of that name, and neither `IF NOT EXISTS` nor
    /// `OR REPLACE`; whatever the query fails with.
    pub async fn create_table(&self, create: CreateMemoryTable) -> Result<()> {
        const OPERATION: &str = "create table";
        let fail = |error| self.error(error, OPERATION);
        let exists = self.context().table_exist(create.name.clone()).map_err(fail)?;
        match (exists, create.if_not_exists, create.or_replace) {
            (_, true, true) => {
                let message = "IF NOT EXISTS and OR REPLACE exclude one another";
                return Err(Error::new(ErrorKind::InvalidArgument, OPERATION, message));
            }
            (true, true, false) => return Ok(()),
            (true, false, false) => {
                let message = format!("there is a table `{}` already", create.name);
                return Err(Error::new(ErrorKind::AlreadyExists, OPERATION, message)
                    .with_help("drop it first, or write CREATE OR REPLACE TABLE"));
            }
            _ => {}
        }
        let input = Arc::unwrap_or_clone(create.input);
        // Columns that are listed may be NOT NULL; those of a query may be null later, whatever its rows are today.
        let listed = matches!(input, LogicalPlan::EmptyRelation(_));
        let rows = datafusion::dataframe::DataFrame::new(self.context().state(), input);
        let frame = DataFrame::new(self.clone(), rows);
        let schema = match listed {
            true => frame.schema(),
            false => nullable(&frame.schema()),
        };
        let mut names = std::collections::HashSet::new();
        if let Some(twice) = frame.columns().into_iter().find(|name| !names.insert(name.clone())) {
            let message = format!("the table would have two columns `{twice}`");
            return Err(Error::new(ErrorKind::InvalidArgument, OPERATION, message)
                .with_help("name one of them with AS"));
        }
        let partitions = frame.store(OPERATION).await?;
        let defaults = create.column_defaults.into_iter().collect();
        let table = CreatedTable::new(self.engine(), schema, partitions, create.constraints, defaults);
        // Two tables of one name would be two entries otherwise.
        self.context().deregister_table(create.name.clone()).map_err(fail)?;
        self.context().register_table(create.name, Arc::new(table)).map_err(fail)?;
        Ok(())
    }

    /// Forgets a name. Frames made from it before keep working.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownTable`] when there is no table of that name.
    pub fn deregister(&self, name: &str) -> Result<()> {
        self.deregister_as(name, TableReference::bare(name))
    }

    pub(super) fn deregister_as(&self, name: &str, reference: TableReference) -> Result<()> {
        let gone =
            self.context().deregister_table(reference).map_err(|error| self.error(error, "deregister"))?;
        match gone {
            Some(_) => Ok(()),
            None => Err(Error::unknown_table("deregister", name, self.tables())),
        }
    }

    /// The table registered under a name, as a frame.
    ///
    /// The name is taken as it is written, upper and lower case included.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownTable`], with the nearest name, when there is none.
    pub async fn table(&self, name: &str) -> Result<DataFrame> {
        // The tables of the engine itself are the only ones in a schema of their own.
        let reference = match name.split_once('.') {
            Some((crate::observe::SCHEMA, table)) => TableReference::partial(crate::observe::SCHEMA, table),
            _ => TableReference::bare(name),
        };
        self.table_as(name, reference).await
    }

    pub(super) async fn table_as(&self, name: &str, reference: TableReference) -> Result<DataFrame> {
        let context = self.context().clone();
        let found = self.plan("table", move |_| async move { context.table_provider(reference).await }).await;
        let provider = found.map_err(|error| match error.kind() {
            ErrorKind::UnknownTable => Error::unknown_table("table", name, self.tables()),
            _ => error,
        })?;
        self.frame_from_provider("table", name, provider)
    }

    /// The names of all tables and views of the current database, sorted; see [`Session::database`].
    pub fn tables(&self) -> Vec<String> {
        self.tables_in(&self.database()).unwrap_or_default()
    }

    /// A frame that scans a table provider; a view is taken apart, so that its plan is the frame's.
    pub(crate) fn frame_from_provider(
        &self,
        operation: &'static str,
        name: &str,
        provider: Arc<dyn TableProvider>,
    ) -> Result<DataFrame> {
        use datafusion::datasource::provider_as_source;
        use datafusion::logical_expr::LogicalPlanBuilder;
        let is_view = provider.table_type() == TableType::View;
        let plan = match provider.get_logical_plan() {
            Some(plan) if is_view => {
                LogicalPlanBuilder::from(plan.into_owned()).alias(TableReference::bare(name))
            }
            _ => LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(provider), None),
        };
        let plan = plan.and_then(LogicalPlanBuilder::build).map_err(|error| self.error(error, operation))?;
        let frame = datafusion::dataframe::DataFrame::new(self.context().state(), plan);
        Ok(DataFrame::new(self.clone(), frame))
    }

    /// A frame over stored partitions.
    pub(crate) fn frame_from_stored(&self, operation: &'static str, table: StoredTable) -> Result<DataFrame> {
        let frame =
            self.context().read_table(Arc::new(table)).map_err(|error| self.error(error, operation))?;
        Ok(DataFrame::new(self.clone(), frame))
    }
}

fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| Field::clone(field).with_nullable(true));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn check_name(operation: &'static str, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, operation, "the name of a table is empty"));
    }
    Ok(())
}
