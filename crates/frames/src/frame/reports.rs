//! What a frame tells about itself, most of it by running.

use super::sealed::AsFrame;
use super::{rows, summary};
use datafusion::arrow::datatypes::DataType;
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
