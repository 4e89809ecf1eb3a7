//! A lazy table: a session and a logical plan.

use crate::error::plan_error;
use crate::session::Session;
use crate::stem::Result;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::pretty::pretty_format_batches;
use std::sync::Arc;

/// A lazy table: nothing is read or computed before a method such as [`DataFrame::collect`] asks for rows.
#[derive(Clone)]
#[must_use = "a frame is lazy: it does nothing until it is collected, shown or written"]
pub struct DataFrame {
    session: Session,
    inner: datafusion::dataframe::DataFrame,
}

impl DataFrame {
    /// A frame of a session from a frame of DataFusion.
    pub fn new(session: Session, inner: datafusion::dataframe::DataFrame) -> DataFrame {
        DataFrame { session, inner }
    }

    /// The DataFusion frame inside.
    pub fn inner(&self) -> &datafusion::dataframe::DataFrame {
        &self.inner
    }

    /// The session this frame belongs to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The names and types of the columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(self.inner.schema().as_arrow().clone())
    }

    /// The names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.inner.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    /// Computes all rows.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>> {
        let inner = self.inner.clone();
        self.session.on_cpu(inner.collect()).await?.map_err(|e| plan_error(e, "collect"))
    }

    /// The number of rows.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn count(&self) -> Result<usize> {
        let inner = self.inner.clone();
        self.session.on_cpu(inner.count()).await?.map_err(|e| plan_error(e, "count"))
    }

    /// The first `n` rows as a text table.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn to_text(&self, n: usize) -> Result<String> {
        let head = self.inner.clone().limit(0, Some(n)).map_err(|e| plan_error(e, "to_text"))?;
        let batches = DataFrame::new(self.session.clone(), head).collect().await?;
        let table = pretty_format_batches(&batches).map_err(|e| plan_error(e.into(), "to_text"))?;
        Ok(table.to_string())
    }

    /// Prints the first 20 rows.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn show(&self) -> Result<()> {
        self.show_limit(20).await
    }

    /// Prints the first `n` rows.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn show_limit(&self, n: usize) -> Result<()> {
        println!("{}", self.to_text(n).await?);
        Ok(())
    }

    /// Computes the frame and keeps its partitions in the engine's store.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn persist(&self) -> Result<DataFrame> {
        let inner = self.inner.clone();
        let frame = self.session.on_cpu(inner.cache()).await?.map_err(|e| plan_error(e, "persist"))?;
        Ok(DataFrame::new(self.session.clone(), frame))
    }
}
