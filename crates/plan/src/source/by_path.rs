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

/// Makes `parquet`, `csv`, `json` and `arrow` schemas of the context.
pub(crate) fn register_file_schemas(context: &SessionContext) -> Result<()> {
    let catalog = context
        .catalog("datafusion")
        .ok_or_else(|| Error::new(ErrorKind::Internal, "session", "the default catalog is missing"))?;
    for format in Format::ALL {
        let schema = FileSchema { format, state: context.state_weak_ref() };
        catalog
            .register_schema(format.word(), Arc::new(schema))
            .map_err(|error| plan_error(error, "session"))?;
    }
    Ok(())
}

struct FileSchema {
    format: Format,
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
        open::open(&state, "sql", self.format, path, &CsvOptions::new())
            .await
            .map(|(table, ..)| Some(table))
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn table_exist(&self, _path: &str) -> bool {
        false
    }
}

impl fmt::Debug for FileSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSchema({})", self.format.word())
    }
}
