//! Databases: schemas of the session's one catalog. The first is called `default`, as Spark has it; DataFusion's name for it
//! is `public`. Names of tables without a database are looked for in the current one.

use super::Session;
use crate::frame::DataFrame;
use crate::source;
use datafusion::catalog::{CatalogProvider, MemorySchemaProvider};
use datafusion::common::TableReference;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

/// The database in which a session begins, and its name in the catalog.
const FIRST: (&str, &str) = ("default", "public");

/// Schemas that hold no tables of users, beside those that are formats of files.
const OWN: [&str; 2] = ["information_schema", crate::observe::SCHEMA];

/// The name of a database in the catalog.
fn schema_of(database: &str) -> &str {
    if database == FIRST.0 { FIRST.1 } else { database }
}

fn database_of(schema: &str) -> &str {
    if schema == FIRST.1 { FIRST.0 } else { schema }
}

impl Session {
    /// The catalog, which a session always has.
    fn databases_of(&self) -> Result<Arc<dyn CatalogProvider>> {
        let name = self.context().state_ref().read().config_options().catalog.default_catalog.clone();
        let missing = || Error::new(ErrorKind::Internal, "database", format!("there is no catalog `{name}`"));
        self.context().catalog(&name).ok_or_else(missing)
    }

    /// The names of all databases, sorted.
    ///
    /// ```
    /// let session = trefoil_plan::Session::local()?;
    /// session.create_database("sales")?;
    /// assert_eq!(session.databases(), ["default", "sales"]);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub fn databases(&self) -> Vec<String> {
        let schemas = self.databases_of().map(|catalog| catalog.schema_names()).unwrap_or_default();
        let mut names: Vec<String> =
            schemas.iter().map(|name| database_of(name).to_owned()).filter(|name| !is_own(name)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The database in which names of tables are looked for that have none before them.
    pub fn database(&self) -> String {
        let state = self.context().state_ref();
        let state = state.read();
        database_of(&state.config_options().catalog.default_schema).to_owned()
    }

    /// Makes a database without tables.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] when there is one of that name, [`ErrorKind::InvalidArgument`] for an empty name.
    pub fn create_database(&self, name: &str) -> Result<()> {
        if name.trim().is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "create database", "the name is empty"));
        }
        if is_own(name) || self.databases().iter().any(|known| known == name) {
            let message = format!("there is a database `{name}` already");
            return Err(Error::new(ErrorKind::AlreadyExists, "create database", message));
        }
        let made = Arc::new(MemorySchemaProvider::new());
        let done = self.databases_of()?.register_schema(schema_of(name), made);
        done.map(|_| ()).map_err(|error| self.error(error, "create database"))
    }

    /// Forgets a database, with its tables if `cascade` says so.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none of that name, [`ErrorKind::InvalidArgument`] for one that has tables while
    /// `cascade` is false, and for the database `default`.
    pub fn drop_database(&self, name: &str, cascade: bool) -> Result<()> {
        const OPERATION: &str = "drop database";
        let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, OPERATION, message);
        if schema_of(name) == FIRST.1 {
            return Err(invalid("the database `default` cannot be dropped".into()));
        }
        if !cascade && !self.tables_in(name)?.is_empty() {
            let error = invalid(format!("the database `{name}` has tables"));
            return Err(error.with_help("drop them first, or drop it with CASCADE"));
        }
        self.known(OPERATION, name)?;
        let done = self.databases_of()?.deregister_schema(schema_of(name), cascade);
        done.map(|_| ()).map_err(|error| self.error(error, OPERATION))
    }

    /// Makes a database the current one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none of that name.
    pub fn use_database(&self, name: &str) -> Result<()> {
        self.known("use", name)?;
        let state = self.context().state_ref();
        state.write().config_mut().options_mut().catalog.default_schema = schema_of(name).to_owned();
        Ok(())
    }

    /// The names of all tables and views of a database, sorted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no database of that name.
    pub fn tables_in(&self, database: &str) -> Result<Vec<String>> {
        self.known("tables", database)?;
        let schema = self.databases_of()?.schema(schema_of(database));
        let mut names = schema.map(|schema| schema.table_names()).unwrap_or_default();
        names.sort();
        Ok(names)
    }

    /// As [`Session::register`], in a database.
    ///
    /// # Errors
    /// As [`Session::register`], and [`ErrorKind::NotFound`] when there is no database of that name.
    pub fn register_in(&self, database: &str, name: &str, frame: &DataFrame) -> Result<()> {
        self.known("register", database)?;
        self.register_as(name, self.table_reference(database, name), frame)
    }

    /// As [`Session::deregister`], in a database.
    ///
    /// # Errors
    /// As [`Session::deregister`], and [`ErrorKind::NotFound`] when there is no database of that name.
    pub fn deregister_in(&self, database: &str, name: &str) -> Result<()> {
        self.known("deregister", database)?;
        self.deregister_as(name, self.table_reference(database, name))
    }

    /// As [`Session::table`], in a database.
    ///
    /// # Errors
    /// As [`Session::table`], and [`ErrorKind::NotFound`] when there is no database of that name.
    pub async fn table_in(&self, database: &str, name: &str) -> Result<DataFrame> {
        self.known("table", database)?;
        self.table_as(name, self.table_reference(database, name)).await
    }

    /// The name by which DataFusion knows a table of a database.
    pub fn table_reference(&self, database: &str, name: &str) -> TableReference {
        TableReference::partial(schema_of(database), name)
    }

    fn known(&self, operation: &'static str, name: &str) -> Result<()> {
        let known = self.databases();
        if known.iter().any(|known| known == name) || is_own(name) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::NotFound, operation, format!("there is no database `{name}`"));
        Err(match trefoil_core::suggest(name, known) {
            Some(near) => error.with_help(format!("did you mean `{near}`?")),
            None => error,
        })
    }
}

fn is_own(name: &str) -> bool {
    OWN.contains(&name) || source::is_format(name)
}
