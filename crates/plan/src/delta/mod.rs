//! Delta Lake tables, read: ``FROM delta.`path` ``, at their newest version or ``delta.`path@v3` ``.
//!
//! The crate `delta_kernel` knows the protocol: logs and checkpoints, deleted rows, names of columns, keys of directories,
//! which files a filter rules out, and which tables need a newer reader. We bring what it asks of an engine: `kernel` reads the
//! log through the session's stores, `scan` the rows, through the asynchronous reader of Parquet, `filter` translates filters.
//! A table is the version that was read when it was named.

mod filter;
mod kernel;
mod reader;
mod scan;

use crate::error::plan_error;
use crate::source::directory;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use delta_kernel::{KernelError, Snapshot};
use futures::StreamExt;
use kernel::{Files, Kernel};
use object_store::path::Path as Key;
use scan::DeltaTable;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

/// The table at a path, which may end in `@v` and a version.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no table or no such version, [`ErrorKind::Unsupported`] when it needs what
/// the kernel does not know, [`ErrorKind::MalformedData`] for a log that is broken.
pub(crate) async fn open(
    state: &SessionState,
    operation: &'static str,
    path: &str,
) -> Result<Arc<dyn TableProvider>> {
    let (path, version) = version(path);
    let root = directory(operation, path)?;
    let store = state
        .runtime_env()
        .object_store_registry
        .get_store(&root)
        .map_err(|error| plan_error(error, operation))?;
    let log = Key::from_url_path(format!("{}_delta_log", root.path())).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, operation, format!("`{path}` is no path: {error}"))
    })?;
    match store.list(Some(&log)).next().await {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(plan_error(DataFusionError::from(error), operation)),
        None => {
            let message = format!("`{path}` is no Delta table: it has no `_delta_log`");
            return Err(Error::new(ErrorKind::NotFound, operation, message)
                .with_help("give the directory of the table, not one of its files"));
        }
    }
    let kernel = Arc::new(Kernel::new(Files::new(store)));
    let mut builder = Snapshot::builder_for(root.as_str());
    if let Some(version) = version {
        builder = builder.at_version(version);
    }
    let snapshot = builder.build(kernel.as_ref()).map_err(|error| failed(operation, path, version, error))?;
    let table = DeltaTable::new(snapshot, kernel).map_err(|error| failed(operation, path, version, error))?;
    Ok(Arc::new(table))
}

/// A path and the version behind it.
fn version(path: &str) -> (&str, Option<u64>) {
    let parts = path.rsplit_once("@v").and_then(|(bare, version)| Some((bare, version.parse().ok()?)));
    parts.map_or((path, None), |(bare, version)| (bare, Some(version)))
}

/// What the kernel says, of a table.
fn failed(operation: &'static str, path: &str, version: Option<u64>, error: KernelError) -> Error {
    let table = match version {
        Some(version) => format!("version {version} of the Delta table `{path}`"),
        None => format!("the Delta table `{path}`"),
    };
    let kind = kind(&error);
    Error::new(kind, operation, format!("{table}: {error}")).with_source(error)
}

fn kind(error: &KernelError) -> ErrorKind {
    match error {
        KernelError::Backtraced { source, .. } => kind(source),
        KernelError::Unsupported(_) => ErrorKind::Unsupported,
        KernelError::FileNotFound(_) | KernelError::EmptyLog | KernelError::MissingVersion(_) => {
            ErrorKind::NotFound
        }
        KernelError::ObjectStore(_) | KernelError::IOError(_) => ErrorKind::Io,
        _ => ErrorKind::MalformedData,
    }
}

/// The same inside a plan.
fn in_plan(error: KernelError) -> DataFusionError {
    let kind = kind(&error);
    DataFusionError::External(Box::new(Error::new(kind, "delta", error.to_string()).with_source(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |path: &str, expect: (&str, Option<u64>)| assert_eq!(version(path), expect, "{path}");
        check("a/b", ("a/b", None));
        check("a/b@v12", ("a/b", Some(12)));
        check("a@v1/b", ("a@v1/b", None));
        check("a@v", ("a@v", None));
        check("me@very/x@v0", ("me@very/x", Some(0)));
    }
}
