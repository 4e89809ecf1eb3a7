//! What a frame tells about itself, most of it by running.

use super::sealed::AsFrame;
use super::{partitions, rows, summary};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use trefoil_core::Partition;
use trefoil_plan::{DataFrame, Result};

/// Questions to a [`DataFrame`]: shape, types, figures.
pub trait FrameReports: AsFrame {
    /// The names and types of the columns. pandas: `df.dtypes`.
    fn dtypes(&self) -> Vec<(String, DataType)> {
        summary::dtypes(self.as_frame())
    }

    /// The numbers of rows and columns. pandas: `df.shape`.
    ///
    /// # Errors
    /// What running the frame can raise.
    fn shape(&self) -> impl Future<Output = Result<(usize, usize)>> + Send {
        let frame = self.as_frame().clone();
        async move { Ok((frame.count().await?, frame.schema().fields().len())) }
    }

    /// The last `n` rows in the order of the sort; of a frame that is not sorted, any `n` rows.
    /// Counts the rows first. pandas: `df.tail(n)`.
    ///
    /// # Errors
    /// What running the frame can raise.
    fn tail(&self, n: usize) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        async move {
            let rows = frame.count().await?;
            rows::limit("tail", &frame, rows.saturating_sub(n), n)
        }
    }

    /// Count, mean, standard deviation, smallest, quartiles and largest of every numeric column, as a frame
    /// of eight rows with a column `statistic`. pandas: `df.describe()`.
    ///
    /// # Errors
    /// A frame without numeric columns, and what running it can raise.
    fn describe(&self) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        async move { summary::describe(&frame).await }
    }

    /// A text: rows, columns, and for each column its type and how many values are not null.
    /// pandas: `df.info()`.
    ///
    /// # Errors
    /// What running the frame can raise.
    fn info(&self) -> impl Future<Output = Result<String>> + Send {
        let frame = self.as_frame().clone();
        async move { summary::info(&frame).await }
    }

    /// Runs Rust code on every partition, each as a task of the engine, and makes a frame of the results.
    ///
    /// The frame is persisted first; the closure borrows its Arrow batches from the store. Columns and types
    /// come from the first result and must be the same in all; a partition may give no batches at all.
    /// Dask: `ddf.map_partitions(f)`.
    ///
    /// ```
    /// use trefoil_core::Error;
    /// use trefoil_frames::frame::FrameReports;
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    ///     let firsts = diamonds
    ///         .map_partitions(|part| {
    ///             let batches = part.batches()?;
    ///             Ok::<_, Error>(batches.iter().take(1).map(|batch| batch.slice(0, 1)).collect())
    ///         })
    ///         .await?;
    ///     assert!(firsts.count().await? >= 1);
    ///     Ok::<(), Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// What running the frame can raise; the error of the closure
    /// ([`User`](trefoil_plan::ErrorKind::User), it can be downcast); results with different columns; no
    /// result at all.
    fn map_partitions<F, E>(&self, work: F) -> impl Future<Output = Result<DataFrame>> + Send
    where
        F: Fn(&Partition) -> Result<Vec<RecordBatch>, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let frame = self.as_frame().clone();
        async move { partitions::map(&frame, work).await }
    }

    /// The bytes that the values of each column take in Arrow arrays. pandas: `df.memory_usage(deep=True)`.
    ///
    /// # Errors
    /// What running the frame can raise.
    fn memory_usage(&self) -> impl Future<Output = Result<Vec<(String, usize)>>> + Send {
        let frame = self.as_frame().clone();
        async move { summary::memory_usage(&frame).await }
    }
}

impl FrameReports for DataFrame {}
