//! Delta Lake tables, read: ``FROM delta.`path` ``, at their newest version, ``delta.`path@v3` `` or the version of a moment,
//! ``delta.`path@20240131000000000` ``.
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
use chrono::{DateTime, NaiveDateTime};
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use delta_kernel::history_manager::{HistoryCommitType, latest_version_as_of};
use delta_kernel::{KernelError, KernelResult, Snapshot};
use futures::StreamExt;
use kernel::{Files, Kernel};
use object_store::path::Path as Key;
use scan::DeltaTable;
use std::sync::Arc;
use trefoil_core::{Engine, Error, ErrorKind, Result};
use url::Url;

/// Which version of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Newest,
    Version(u64),
    /// The last one up to a moment, in milliseconds since 1970.
    Moment(i64),
}

/// The table at a path, which may end in `@v` and a version or in `@` and a moment, `yyyyMMddHHmmssSSS` in UTC.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no table, no such version or none of that time, [`ErrorKind::Unsupported`] when
/// it needs what the kernel does not know, [`ErrorKind::MalformedData`] for a log that is broken.
pub(crate) async fn open(
    state: &SessionState,
    operation: &'static str,
    path: &str,
) -> Result<Arc<dyn TableProvider>> {
    let (path, at) = at(path);
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
    // The kernel blocks its thread while it reads the log.
    let read = move || table(&root, kernel, at);
    let opened = match Engine::current() {
        Ok(engine) => engine.run_blocking(read).await?,
        Err(_) => read(),
    };
    match opened {
        Ok(Found::Table(table)) => Ok(Arc::new(*table)),
        Ok(Found::Newest(newest)) => {
            let message = format!(
                "the Delta table `{path}` has no version of that time: the newest is of {}",
                time(newest)
            );
            Err(Error::new(ErrorKind::NotFound, operation, message)
                .with_help("leave the time out for the newest"))
        }
        Err(error) => Err(failed(operation, path, at, error)),
    }
}

enum Found {
    Table(Box<DeltaTable>),
    /// None: the moment is after that of the newest version, and what will have been there by then nobody knows.
    Newest(i64),
}

fn table(root: &Url, kernel: Arc<Kernel>, at: At) -> KernelResult<Found> {
    let builder = || Snapshot::builder_for(root.as_str());
    let snapshot = match at {
        At::Newest => builder().build(kernel.as_ref())?,
        At::Version(version) => builder().at_version(version).build(kernel.as_ref())?,
        At::Moment(moment) => {
            let newest = builder().build(kernel.as_ref())?;
            let kind = HistoryCommitType::Recreatable;
            let found = latest_version_as_of(&newest, kernel.as_ref(), moment, kind)?;
            if found.version == newest.version() && found.timestamp < moment {
                return Ok(Found::Newest(found.timestamp));
            }
            builder().at_version(found.version).build(kernel.as_ref())?
        }
    };
    DeltaTable::new(snapshot, kernel).map(|table| Found::Table(Box::new(table)))
}

/// How a moment is written behind a path.
const MOMENT: &str = "%Y%m%d%H%M%S%3f";

fn time(moment: i64) -> String {
    DateTime::from_timestamp_millis(moment).map_or_else(|| moment.to_string(), |time| time.to_rfc3339())
}

/// A path and what is behind it.
fn at(path: &str) -> (&str, At) {
    let parts = path.rsplit_once('@').and_then(|(bare, behind)| Some((bare, at_of(behind)?)));
    parts.unwrap_or((path, At::Newest))
}

fn at_of(behind: &str) -> Option<At> {
    match behind.strip_prefix('v') {
        Some(version) => version.parse().ok().map(At::Version),
        None if behind.len() == 17 && behind.bytes().all(|byte| byte.is_ascii_digit()) => {
            let moment = NaiveDateTime::parse_from_str(behind, MOMENT).ok()?;
            Some(At::Moment(moment.and_utc().timestamp_millis()))
        }
        None => None,
    }
}

/// What the kernel says, of a table.
fn failed(operation: &'static str, path: &str, at: At, error: KernelError) -> Error {
    let table = match at {
        At::Newest => format!("the Delta table `{path}`"),
        At::Version(version) => format!("version {version} of the Delta table `{path}`"),
        At::Moment(moment) => format!("the Delta table `{path}` at {}", time(moment)),
    };
    let kind = kind(&error);
    Error::new(kind, operation, format!("{table}: {error}")).with_source(error)
}

fn kind(error: &KernelError) -> ErrorKind {
    match error {
        KernelError::Backtraced { source, .. } => kind(source),
        KernelError::Unsupported(_) => ErrorKind::Unsupported,
        KernelError::FileNotFound(_)
        | KernelError::EmptyLog
        | KernelError::MissingVersion(_)
        | KernelError::LogHistory(_) => ErrorKind::NotFound,
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
        let check = |path: &str, expect: (&str, At)| assert_eq!(at(path), expect, "{path}");
        check("a/b", ("a/b", At::Newest));
        check("a/b@v12", ("a/b", At::Version(12)));
        check("a@v1/b", ("a@v1/b", At::Newest));
        check("a@v", ("a@v", At::Newest));
        check("me@very/x@v0", ("me@very/x", At::Version(0)));
        check("a@19700101000001002", ("a", At::Moment(1002)));
        check("a@20240230000000000", ("a@20240230000000000", At::Newest));
        check("a@2024", ("a@2024", At::Newest));
    }
}
