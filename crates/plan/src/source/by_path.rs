//! Files by path in a query: ``SELECT * FROM parquet.`data/flights` ``.
//!
//! Each format is a schema of the catalog whose tables are the paths. It lists no tables and looks a path
//! up when a query names it.

use super::{CsvOptions, Format, open};
use crate::error::plan_error;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use parking_lot::RwLock;
use std::fmt;
use std::sync::{Arc, Weak};
use trefoil_core::{Error, ErrorKind, Result};

/// Makes `parquet`, `csv`, `json`, `arrow`, `avro` and `delta` schemas of the context.
pub(crate) fn register_file_schemas(context: &SessionContext) -> Result<()> {
    let catalog = context
        .catalog("datafusion")
        .ok_or_else(|| Error::new(ErrorKind::Internal, "session", "the default catalog is missing"))?;
    let kinds = Format::ALL.into_iter().map(|format| (format.word(), Kind::Files(format)));
    for (word, kind) in kinds.chain([("delta", Kind::Delta)]) {
        let schema = FileSchema { kind, state: context.state_weak_ref() };
        catalog.register_schema(word, Arc::new(schema)).map_err(|error| plan_error(error, "session"))?;
    }
    Ok(())
}

/// Whether a schema of the context is a format of files.
pub(crate) fn is_format(schema: &str) -> bool {
    schema == "delta" || Format::ALL.into_iter().any(|format| format.word() == schema)
}

/// The Delta table at a path.
#[cfg(feature = "delta")]
pub(super) async fn delta(
    state: &SessionState,
    operation: &'static str,
    path: &str,
) -> Result<Arc<dyn TableProvider>> {
    let (path, stated) = super::stated::split(operation, path)?;
    match stated.first() {
        Some((option, _)) => {
            let message = format!("Delta tables have no option {option}");
            Err(Error::new(ErrorKind::InvalidArgument, operation, message))
        }
        None => crate::delta::open(state, operation, path).await,
    }
}

#[cfg(not(feature = "delta"))]
pub(super) async fn delta(
    _: &SessionState,
    operation: &'static str,
    _: &str,
) -> Result<Arc<dyn TableProvider>> {
    Err(Error::new(
        ErrorKind::Unsupported,
        operation,
        "cannot read Delta tables: trefoil was built without its feature `delta`",
    )
    .with_help("build it with `features = [\"delta\"]`"))
}

/// What the paths of a schema are.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Files(Format),
    Delta,
}

/// Formats of `CREATE EXTERNAL TABLE .. STORED AS` that DataFusion does not know by itself.
pub(crate) fn register_formats(state: &mut SessionState) -> PlanResult<()> {
    #[cfg(feature = "avro")]
    state.register_file_format(Arc::new(datafusion_datasource_avro::AvroFormatFactory::new()), true)?;
    #[cfg(not(feature = "avro"))]
    let _ = state;
    Ok(())
}

struct FileSchema {
    kind: Kind,
    /// Weak: the state owns the catalog, which owns this.
    state: Weak<RwLock<SessionState>>,
}

#[async_trait]
impl SchemaProvider for FileSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, path: &str) -> PlanResult<Option<Arc<dyn TableProvider>>> {
        let Some(state) = self.state.upgrade() else {
            return Ok(None);
        };
        let state = state.read().clone();
        let table = match self.kind {
            Kind::Files(format) => {
                open::open(&state, "sql", format, path, &CsvOptions::new()).await.map(|(table, ..)| table)
            }
            Kind::Delta => delta(&state, "sql", path).await,
        };
        table.map(Some).map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn table_exist(&self, _path: &str) -> bool {
        false
    }
}

impl fmt::Debug for FileSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSchema({:?})", self.kind)
    }
}
