//! A session: an engine plus a catalog of tables and the configuration of queries.

use crate::error::plan_error;
use crate::frame::DataFrame;
use crate::stem::{Engine, Error, ErrorKind, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::{
    CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionConfig, SessionContext,
};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// An engine plus a catalog of tables; cheap to clone.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    context: SessionContext,
}

/// Builds a [`Session`].
#[derive(Default)]
pub struct SessionBuilder {
    engine: Option<Engine>,
}

impl SessionBuilder {
    /// Uses an engine that exists instead of starting one.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Makes the session.
    ///
    /// # Errors
    /// When the engine cannot be started.
    pub fn build(self) -> Result<Session> {
        let engine = match self.engine {
            Some(engine) => engine,
            None => Engine::new()?,
        };
        let config =
            SessionConfig::new().with_target_partitions(engine.workers()).with_information_schema(true);
        Ok(Session { inner: Arc::new(Inner { engine, context: SessionContext::new_with_config(config) }) })
    }
}

impl Session {
    /// A session on a new engine with default settings.
    ///
    /// # Errors
    /// When the engine cannot be started.
    pub fn local() -> Result<Session> {
        Session::builder().build()
    }

    /// Configures a session.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// The engine below.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The DataFusion context of this session.
    pub fn context(&self) -> &SessionContext {
        &self.inner.context
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        future: impl Future<Output = datafusion::error::Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.engine().on_cpu(future).await?.map_err(|e| plan_error(e, operation))
    }

    /// Reads a CSV file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read_csv(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        let path = path.as_ref().to_string_lossy().into_owned();
        let context = self.context().clone();
        let frame =
            self.run("read_csv", async move { context.read_csv(path, CsvReadOptions::new()).await }).await?;
        Ok(DataFrame::new(self.clone(), frame))
    }

    /// Reads Parquet files.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn read_parquet(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        let path = path.as_ref().to_string_lossy().into_owned();
        let context = self.context().clone();
        let frame =
            self.run("read_parquet", async move {
                context.read_parquet(path, ParquetReadOptions::default()).await
            })
            .await?;
        Ok(DataFrame::new(self.clone(), frame))
    }

    /// Reads newline-delimited JSON.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read_json(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        let path = path.as_ref().to_string_lossy().into_owned();
        let context = self.context().clone();
        let frame = self
            .run("read_json", async move { context.read_json(path, JsonReadOptions::default()).await })
            .await?;
        Ok(DataFrame::new(self.clone(), frame))
    }

    /// Makes a frame visible to SQL under a name.
    ///
    /// # Errors
    /// When the name is not valid.
    pub fn register(&self, name: &str, frame: &DataFrame) -> Result<()> {
        self.context()
            .register_table(name, frame.inner().clone().into_view())
            .map(|_| ())
            .map_err(|e| plan_error(e, "register"))
    }

    /// The table registered under a name.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownTable`] when there is none.
    pub async fn table(&self, name: &str) -> Result<DataFrame> {
        let (context, name) = (self.context().clone(), name.to_owned());
        let frame = self.run("table", async move { context.table(name).await }).await?;
        Ok(DataFrame::new(self.clone(), frame))
    }

    /// A frame over batches in memory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when there is no batch or the schemas differ.
    pub fn frame_from_batches(&self, batches: Vec<RecordBatch>) -> Result<DataFrame> {
        if batches.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "frame_from_batches", "no batches"));
        }
        let frame = self.context().read_batches(batches).map_err(|e| plan_error(e, "frame_from_batches"))?;
        Ok(DataFrame::new(self.clone(), frame))
    }
}

impl Deref for Session {
    type Target = Engine;
    fn deref(&self) -> &Engine {
        self.engine()
    }
}
