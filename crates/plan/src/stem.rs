//! Placeholder for the parts of `trefoil-core` that have not landed yet.
//! Replaced by re-exports of `trefoil_core` as soon as they exist.
#![allow(missing_docs)]

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    UnknownColumn,
    UnknownTable,
    TypeMismatch,
    ShapeMismatch,
    Syntax,
    MalformedData,
    Io,
    OutOfMemory,
    User,
    Panicked,
    Cancelled,
    TimedOut,
    ActorDead,
    ShutDown,
    Cycle,
    Unsupported,
    DataLost,
    Internal,
}

#[derive(Debug, Clone)]
pub struct Error(Arc<Inner>);
#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    message: String,
    help: Option<String>,
}
impl Error {
    pub fn new(kind: ErrorKind, operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Error(Arc::new(Inner { kind, operation: operation.into(), message: message.into(), help: None }))
    }
    pub fn with_help(self, help: impl Into<String>) -> Self {
        let mut inner = (*self.0).clone();
        inner.help = Some(help.into());
        Error(Arc::new(inner))
    }
    pub fn with_source(self, _source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self
    }
    pub fn unknown_column<S: AsRef<str>>(
        operation: impl Into<Cow<'static, str>>,
        name: &str,
        _known: impl IntoIterator<Item = S>,
    ) -> Self {
        Error::new(ErrorKind::UnknownColumn, operation, format!("no column `{name}`"))
    }
    pub fn unknown_table<S: AsRef<str>>(
        operation: impl Into<Cow<'static, str>>,
        name: &str,
        _known: impl IntoIterator<Item = S>,
    ) -> Self {
        Error::new(ErrorKind::UnknownTable, operation, format!("no table `{name}`"))
    }
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    pub fn message(&self) -> &str {
        &self.0.message
    }
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.message)?;
        if let Some(help) = &self.0.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}
impl std::error::Error for Error {}

#[derive(Clone)]
pub struct Engine(Arc<tokio::runtime::Runtime>);
impl Engine {
    pub fn new() -> Result<Engine> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Io, "engine", e.to_string()))?;
        Ok(Engine(Arc::new(runtime)))
    }
    pub fn workers(&self) -> usize {
        2
    }
    pub async fn on_cpu<F>(&self, future: F) -> Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future).await.map_err(|e| Error::new(ErrorKind::Panicked, "engine", e.to_string()))
    }
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}
