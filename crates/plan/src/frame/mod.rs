//! A lazy table: a session and a logical plan.

mod explain;
mod html;
mod light;
mod map;
mod origin;
mod persist;
mod run;
mod stream;
mod text;
pub(crate) mod write;

pub(crate) use persist::Gathering;
pub(crate) use run::new_bytes;
pub use stream::FrameStream;
pub use write::{WriteMode, WriteOptions};

use crate::session::Session;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::fmt;
use std::sync::Arc;
use trefoil_core::{Label, Result};

/// A lazy table: nothing is read or computed before a method such as [`DataFrame::collect`] asks for rows.
///
/// Cheap to clone. The rows of a frame without an `ORDER BY` come in no promised order, although a frame
/// that only reads, filters and projects keeps the order of its source in [`DataFrame::collect`].
///
/// ```
/// use trefoil_plan::Session;
///
/// let session = Session::local()?;
/// session.block_on(async {
///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
///     assert_eq!(diamonds.columns()[..2], ["carat", "cut"]);
///     println!("{}", diamonds.to_text(3).await?);
///     Ok::<(), trefoil_plan::Error>(())
/// })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a frame is lazy: it does nothing until it is collected, shown or written"]
pub struct DataFrame {
    session: Session,
    inner: datafusion::dataframe::DataFrame,
    /// What the user wrote, for reports.
    text: Option<Arc<str>>,
}

impl DataFrame {
    /// A frame of `session` from a frame of DataFusion, which must come from the session's context.
    pub fn new(session: Session, inner: datafusion::dataframe::DataFrame) -> DataFrame {
        DataFrame { session, inner, text: None }
    }

    /// The same frame, called by the text it was made of in status, tables and traces.
    pub fn with_text(mut self, text: impl Into<Arc<str>>) -> DataFrame {
        self.text = Some(text.into());
        self
    }

    /// What a run of this frame is called: the text it was made of, or the operation and the root of its plan.
    fn label(&self, operation: &str) -> Label {
        match &self.text {
            Some(text) => Arc::clone(text).into(),
            None => {
                let root: String =
                    self.inner.logical_plan().display().to_string().chars().take(200).collect();
                format!("{operation}: {root}").into()
            }
        }
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

    /// The names of the columns, in order.
    pub fn columns(&self) -> Vec<String> {
        self.inner.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Computes all rows. At least one batch comes back, without rows if there are none.
    ///
    /// # Errors
    /// Whatever the query fails with: [`ErrorKind`](trefoil_core::ErrorKind) `MalformedData` for broken
    /// input (with file and line), `OutOfMemory`, `TypeMismatch`, `ShutDown` and so on.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>> {
        let partitions = self.run("collect", run::partitions).await?;
        let mut batches: Vec<RecordBatch> =
            partitions.into_iter().flatten().filter(|batch| batch.num_rows() > 0).collect();
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(self.schema()));
        }
        Ok(batches)
    }

    /// The rows as they are computed, for results that should not be in memory at once.
    ///
    /// The query starts when the stream is first polled and stops when the stream is dropped.
    pub fn stream(&self) -> FrameStream {
        FrameStream::new(self)
    }

    /// The number of rows.
    ///
    /// # Errors
    /// As [`DataFrame::collect`].
    pub async fn count(&self) -> Result<usize> {
        self.run("count", |frame| async move { frame.count().await }).await
    }
}

impl fmt::Debug for DataFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self
            .inner
            .schema()
            .fields()
            .iter()
            .map(|field| format!("{}: {}", field.name(), text::type_name(field.data_type())))
            .collect();
        write!(f, "DataFrame({})", columns.join(", "))
    }
}
