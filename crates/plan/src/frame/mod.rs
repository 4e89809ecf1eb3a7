//! A lazy table: a session and a logical plan.

mod bytes;
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

pub(crate) use bytes::{compact, new_bytes};
pub(crate) use persist::Gathering;
pub use stream::FrameStream;
pub use write::{WriteMode, WriteOptions};

use crate::session::Session;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use light::Light;
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
    plan: Planned,
    /// What the user wrote, for reports.
    text: Option<Arc<str>>,
}

/// What a frame computes, and the state that it was planned with.
#[derive(Clone)]
enum Planned {
    Frame(datafusion::dataframe::DataFrame),
    /// Shared by those who run it: a copy of a state copies the names of all functions.
    Light(Arc<Light>),
}

impl DataFrame {
    /// A frame of `session` from a frame of DataFusion, which must come from the session's context.
    pub fn new(session: Session, inner: datafusion::dataframe::DataFrame) -> DataFrame {
        DataFrame { session, plan: Planned::Frame(inner), text: None }
    }

    /// As [`DataFrame::new`], from a plan and the state that planned it. Small queries begin sooner so.
    pub fn planned(session: Session, state: SessionState, plan: LogicalPlan) -> DataFrame {
        let plan = match Light::new(&session, state, plan) {
            Ok(light) => Planned::Light(Arc::new(light)),
            Err(parts) => {
                let (state, plan) = *parts;
                Planned::Frame(datafusion::dataframe::DataFrame::new(state, plan))
            }
        };
        DataFrame { session, plan, text: None }
    }

    fn logical_plan(&self) -> &LogicalPlan {
        match &self.plan {
            Planned::Frame(inner) => inner.logical_plan(),
            Planned::Light(light) => light.plan(),
        }
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
                let root: String = self.logical_plan().display().to_string().chars().take(200).collect();
                format!("{operation}: {root}").into()
            }
        }
    }

    /// The DataFusion frame inside.
    pub fn inner(&self) -> &datafusion::dataframe::DataFrame {
        match &self.plan {
            Planned::Frame(inner) => inner,
            Planned::Light(light) => light.inner(),
        }
    }

    /// The session this frame belongs to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The names and types of the columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(self.logical_plan().schema().as_arrow().clone())
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> Vec<String> {
        self.logical_plan().schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Computes all rows. At least one batch comes back, without rows if there are none.
    ///
    /// # Errors
    /// Whatever the query fails with: [`ErrorKind`](trefoil_core::ErrorKind) `MalformedData` for broken
    /// input (with file and line), `OutOfMemory`, `TypeMismatch`, `ShutDown` and so on.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>> {
        const OPERATION: &str = "collect";
        let partitions = match &self.plan {
            Planned::Light(light) => self.run_light(OPERATION, Arc::clone(light)).await?,
            Planned::Frame(_) => self.run(OPERATION, run::partitions).await?,
        };
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
            .logical_plan()
            .schema()
            .fields()
            .iter()
            .map(|field| format!("{}: {}", field.name(), text::type_name(field.data_type())))
            .collect();
        write!(f, "DataFrame({})", columns.join(", "))
    }
}
