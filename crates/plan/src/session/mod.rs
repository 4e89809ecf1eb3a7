//! A session: an engine plus a catalog of tables and the configuration of queries.

mod builder;
mod catalog;
mod databases;
mod tables;

pub use builder::{Dialect, SessionBuilder};

use crate::error::plan_error;
use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionContext;
use parking_lot::{Mutex, RwLock};
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use trefoil_core::{Engine, Result};

/// An [`Engine`] plus a catalog of tables; cheap to clone, and every clone is the same session.
///
/// It dereferences to its engine, so `session.put(..)`, `session.spawn(..)` and `session.block_on(..)` work.
/// Several sessions may share one engine (threads, memory, store) with catalogs of their own, and several
/// engines may live side by side.
///
/// ```
/// use trefoil_plan::{ErrorKind, Session};
///
/// let session = Session::builder().workers(2).memory("256MiB").build()?;
/// let other = Session::builder().engine(session.engine().clone()).build()?;
/// session.block_on(async {
///     let t = session.read_csv("../../examples/data/diamonds.csv").await?;
///     session.register("diamonds", &t)?;
///     assert_eq!(session.tables(), ["diamonds"]);
///     assert!(other.tables().is_empty());
///     assert_eq!(session.table("diamond").await.err().map(|e| e.kind()), Some(ErrorKind::UnknownTable));
///     Ok::<(), trefoil_plan::Error>(())
/// })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    context: SessionContext,
    dialect: Dialect,
    /// What was installed by [`Session::extend`].
    extensions: Mutex<HashSet<&'static str>>,
    /// Names of functions that run code of the user; see [`Session::note_closure`].
    closures: RwLock<HashSet<String>>,
}

impl Session {
    /// A session on a new engine: one worker per core, 80 % of the memory that is granted.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](trefoil_core::ErrorKind::Io) when threads or the spill directory cannot be made.
    pub fn local() -> Result<Session> {
        Session::builder().build()
    }

    /// Settings for a session and its engine.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// The engine below.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The DataFusion context of this session, for what trefoil does not wrap.
    ///
    /// Queries started directly on it run on the caller's runtime, with the engine's memory budget.
    pub fn context(&self) -> &SessionContext {
        &self.inner.context
    }

    /// What the text of queries means.
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    /// Installs functions, planners and rules, once for each `name`: calls after the first do nothing.
    ///
    /// Queries planned before keep the state they were planned with.
    pub fn extend(
        &self,
        name: &'static str,
        install: impl FnOnce(SessionStateBuilder) -> SessionStateBuilder,
    ) {
        let mut extensions = self.inner.extensions.lock();
        if extensions.insert(name) {
            let state = install(SessionStateBuilder::new_from_existing(self.context().state())).build();
            *self.context().state_ref().write() = state;
        }
    }

    /// Says that the function of this name runs code of the user, whose cost nobody knows: queries that call it
    /// never run where light ones do. Functions registered through the SQL leaf are noted already.
    ///
    /// ```
    /// let session = trefoil_plan::Session::local()?;
    /// session.note_closure("my_function");
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub fn note_closure(&self, name: &str) {
        self.inner.closures.write().insert(name.to_lowercase());
    }

    pub(crate) fn is_closure(&self, name: &str) -> bool {
        let closures = self.inner.closures.read();
        !closures.is_empty() && closures.contains(&name.to_lowercase())
    }

    /// Runs a planning step of DataFusion beside what keeps the CPU runtime busy; awaitable from any executor.
    pub(crate) async fn plan<T, E, F>(
        &self,
        operation: &'static str,
        step: impl FnOnce(SessionState) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        E: Into<PlanFailure> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send,
    {
        let context = self.context().clone();
        let done = self.engine().promptly(async move { step(context.state()).await }).await?;
        done.map_err(|failure| match failure.into() {
            PlanFailure::Own(error) => error,
            PlanFailure::DataFusion(error) => self.error(error, operation),
        })
    }

    /// As [`plan_error`], and with the names of the catalog for a table that is not there.
    pub fn error(&self, error: DataFusionError, operation: &'static str) -> trefoil_core::Error {
        let missing = match crate::error::root(&error) {
            DataFusionError::Plan(text) | DataFusionError::Execution(text) => missing_table(text),
            _ => None,
        };
        if let Some(name) = missing {
            return self.unknown_table(operation, name).with_source(error);
        }
        plan_error(error, operation)
    }

    fn unknown_table(&self, operation: &'static str, name: &str) -> trefoil_core::Error {
        let name = name.strip_prefix("datafusion.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        let error = trefoil_core::Error::unknown_table(operation, name, self.tables());
        match name.split_once('.') {
            Some((schema, _)) if !self.has_schema(schema) => error.with_help(format!(
                "there is no schema `{schema}`; files are read as parquet.`path`, csv.`path`, json.`path`, \
                 arrow.`path`, avro.`path` or delta.`path`"
            )),
            _ => error,
        }
    }

    fn has_schema(&self, name: &str) -> bool {
        self.context().catalog("datafusion").is_some_and(|catalog| catalog.schema(name).is_some())
    }
}

/// What a planning step can fail with.
pub(crate) enum PlanFailure {
    Own(trefoil_core::Error),
    DataFusion(DataFusionError),
}

impl From<trefoil_core::Error> for PlanFailure {
    fn from(error: trefoil_core::Error) -> Self {
        Self::Own(error)
    }
}

impl From<DataFusionError> for PlanFailure {
    fn from(error: DataFusionError) -> Self {
        Self::DataFusion(error)
    }
}

/// The name in DataFusion's messages about a table that is not there.
fn missing_table(text: &str) -> Option<&str> {
    const FORMS: [(&str, &str); 4] = [
        ("table '", "' not found"),
        ("No table named '", "'"),
        ("Table '", "' doesn't exist."),
        ("View '", "' doesn't exist."),
    ];
    FORMS.iter().find_map(|(start, end)| text.strip_prefix(start)?.strip_suffix(end))
}

impl Deref for Session {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        self.engine()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("engine", &self.engine().name())
            .field("tables", &self.tables())
            .finish()
    }
}
