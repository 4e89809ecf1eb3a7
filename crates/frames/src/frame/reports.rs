//! What a frame tells about itself, most of it by running.

use super::layout::{self, Overlap, Partitions};
use super::sealed::AsFrame;
use super::{beside, build, describe, graph, partitions, rows, summary};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use serde::de::DeserializeOwned;
use std::path::Path;
use trefoil_core::{Call, Partition, Ref, TaskGraph};
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
        async move { describe::describe(&frame, describe::QUARTILES.to_vec()).await }
    }

    /// As [`describe`](FrameReports::describe), with these quantiles, in 0..=1, instead of the quartiles.
    /// pandas: `df.describe(percentiles=[...])`.
    ///
    /// ```
    /// use trefoil_frames::frame::FrameReports;
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    ///     let figures = diamonds.describe_with([0.01, 0.99]).await?;
    ///     assert_eq!(figures.count().await?, 7); // count, mean, std, min, 1%, 99%, max
    ///     Ok::<(), trefoil_plan::Error>(())
    /// })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`describe`](FrameReports::describe), and a quantile out of range.
    fn describe_with(
        &self,
        quantiles: impl IntoIterator<Item = f64>,
    ) -> impl Future<Output = Result<DataFrame>> + Send {
        let (frame, quantiles) = (self.as_frame().clone(), quantiles.into_iter().collect());
        async move { describe::describe(&frame, quantiles).await }
    }

    /// The columns of this frame and of `others` side by side, row by row in the order of their sources; shorter
    /// frames are filled up with nulls. The frame that comes back is persisted. pandas:
    /// `pd.concat([df, *others], axis=1)`, of frames with default indexes; polars: `df.hstack(other)`.
    ///
    /// ```
    /// use trefoil_frames::frame::{FrameMethods, FrameReports, FrameSession};
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// session.block_on(async {
    ///     let (a, b) = (session.frame_from_range("a", 0..3)?, session.frame_from_range("b", 5..7)?);
    ///     let both = a.hstack([&b]).await?;
    ///     assert_eq!(both.columns(), ["a", "b"]);
    ///     assert_eq!((both.count().await?, both.dropna()?.count().await?), (3, 2));
    ///     Ok::<(), trefoil_plan::Error>(())
    /// })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// Two columns of one name, and what running the frames can raise.
    fn hstack<'a>(
        &self,
        others: impl IntoIterator<Item = &'a DataFrame>,
    ) -> impl Future<Output = Result<DataFrame>> + Send {
        let frames: Vec<DataFrame> =
            std::iter::once(self.as_frame().clone()).chain(others.into_iter().cloned()).collect();
        async move { beside::hstack("hstack", &frames).await }
    }

    /// The most frequent values of every column, in order, nulls aside, under the name of the column; shorter columns
    /// are filled up with nulls. One column: [`mode`](super::FrameMethods::mode). pandas: `df.mode()`.
    ///
    /// # Errors
    /// What running the frame can raise.
    fn modes(&self) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        async move { beside::modes(&frame).await }
    }

    /// Pearson's correlation of every pair of numeric columns, as a frame with a column `column` and one for
    /// each of them. pandas: `df.corr(numeric_only=True)`.
    ///
    /// # Errors
    /// A frame without numeric columns, and what running it can raise.
    fn corr(&self) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        async move { summary::pairs("corr", &frame, super::ExprMethods::corr).await }
    }

    /// The sample covariance of every pair of numeric columns; see [`corr`](FrameReports::corr).
    /// pandas: `df.cov(numeric_only=True)`.
    ///
    /// # Errors
    /// As [`corr`](FrameReports::corr).
    fn cov(&self) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        async move { summary::pairs("cov", &frame, super::ExprMethods::cov).await }
    }

    /// A new column with the number, from 0, of the quantile bin a value is in: `qcut("price", 4, "quarter")`.
    /// Looks at the data once, for the exact quantiles. pandas: `pd.qcut(s, bins, labels=False)`.
    ///
    /// # Errors
    /// An unknown column, one that is not numeric, no bins, quantiles that are equal, and what running the
    /// frame can raise.
    fn qcut(&self, column: &str, bins: usize, name: &str) -> impl Future<Output = Result<DataFrame>> + Send {
        let (frame, column, name) = (self.as_frame().clone(), column.to_owned(), name.to_owned());
        async move { super::cut::qcut(&frame, &column, bins, &name).await }
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

    /// Numbers the rows from 0 in a new first column, in the order of the source: partition after partition,
    /// row after row. The frame that comes back is persisted and sorted by the number, so that `shift`,
    /// `rolling` and the like follow the order of a file. polars: `df.with_row_index(name)`; pandas:
    /// `df.reset_index()`.
    ///
    /// # Errors
    /// A column of that name, and what running the frame can raise.
    fn with_row_index(&self, name: &str) -> impl Future<Output = Result<DataFrame>> + Send {
        let (frame, name) = (self.as_frame().clone(), name.to_owned());
        async move { partitions::with_row_index(&frame, &name).await }
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

    /// As [`map_partitions`](FrameReports::map_partitions), with the columns of the result declared: they are
    /// checked, and a frame whose partitions give no batch at all is empty and no error.
    /// Dask: `ddf.map_partitions(f, meta=...)`.
    ///
    /// # Errors
    /// As [`map_partitions`](FrameReports::map_partitions); a result with other columns.
    fn map_partitions_as<F, E>(
        &self,
        columns: Schema,
        work: F,
    ) -> impl Future<Output = Result<DataFrame>> + Send
    where
        F: Fn(&Partition) -> Result<Vec<RecordBatch>, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let frame = self.as_frame().clone();
        async move { partitions::map_as(&frame, columns, work).await }
    }

    /// The known categories of a column, in order; see [`categorize`](super::FrameMethods::categorize) and
    /// [`cat`](super::ExprMethods::cat). pandas: `s.cat.categories`.
    ///
    /// # Errors
    /// An unknown column, metadata that are no list of texts.
    fn categories(&self, column: &str) -> Result<Option<Vec<String>>> {
        const OP: &str = "categories";
        super::categories::of(OP, &super::check::find(OP, self.as_frame(), column)?.1)
    }

    /// From long to wide without an aggregation: a column per distinct value of `columns` (in order), with
    /// the value of `values`. Looks at the data twice. pandas: `df.pivot(index=..., columns=..., values=...)`.
    ///
    /// # Errors
    /// More than one value for a cell, and as [`pivot_table`](super::FrameMethods::pivot_table).
    fn unstack<S: AsRef<str>>(
        &self,
        index: impl IntoIterator<Item = S>,
        columns: &str,
        values: &str,
    ) -> impl Future<Output = Result<DataFrame>> + Send {
        let index: Vec<String> = index.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let (frame, columns, values) = (self.as_frame().clone(), columns.to_owned(), values.to_owned());
        async move { super::pivot::unstack(&frame, index, &columns, &values).await }
    }

    /// The rows as values that serde can read: structs with a field per column, tuples of all columns in their
    /// order, or, of a frame with one column, the values themselves.
    ///
    /// `NaN` and infinities come as null, times as text. pandas: `df.to_dict("records")`, `df.itertuples()`.
    ///
    /// ```
    /// use trefoil_frames::frame;
    /// use trefoil_frames::frame::{FrameMethods, FrameReports};
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// let cuts = frame!(session, { "cut" => ["Ideal", "Fair"], "carat" => vec![Some(0.3), None] })?;
    /// let pairs: Vec<(String, Option<f64>)> = session.block_on(cuts.to_rows())?;
    /// assert_eq!(pairs, [("Ideal".to_owned(), Some(0.3)), ("Fair".to_owned(), None)]);
    /// let names: Vec<String> = session.block_on(cuts.select(["cut"])?.to_rows())?;
    /// assert_eq!(names, ["Ideal", "Fair"]);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`TypeMismatch`](trefoil_plan::ErrorKind::TypeMismatch) for a row that is no `T`, and what running
    /// the frame can raise.
    fn to_rows<T: DeserializeOwned + Send>(&self) -> impl Future<Output = Result<Vec<T>>> + Send {
        let frame = self.as_frame().clone();
        async move { build::to_rows(&frame).await }
    }

    /// The rows as a bag of values that serde can read, as in [`to_rows`](FrameReports::to_rows), partition by partition. Dask:
    /// `ddf.to_bag()`.
    ///
    /// ```
    /// use trefoil_frames::frame;
    /// use trefoil_frames::frame::FrameReports;
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// let cuts = frame!(session, { "cut" => ["Ideal", "Fair"], "price" => [326_i64, 400] })?;
    /// let prices = session.block_on(async {
    ///     let bag = cuts.to_bag::<(String, i64)>().await?;
    ///     bag.map(|(_, price)| price).compute().await
    /// })?;
    /// assert_eq!(prices, [326, 400]);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// What running the frame can raise; a row that is no `T` when the bag runs.
    fn to_bag<T>(&self) -> impl Future<Output = Result<crate::bag::Bag<T>>> + Send
    where
        T: DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let frame = self.as_frame().clone();
        async move { build::to_bag(&frame).await }
    }

    /// Numeric columns (or masks) as a chunked array with a row per row and a chunk per partition; null becomes
    /// `NaN`. Rows lie together in an array and columns in a frame, so the values are copied once; a column
    /// alone can be viewed in place, see [`column_view`](super::column_view). Dask: `ddf.to_dask_array()`.
    ///
    /// # Errors
    /// Unknown columns, columns that are no numbers, no rows, and what running the frame can raise.
    fn to_array<S: AsRef<str>>(
        &self,
        columns: impl IntoIterator<Item = S>,
    ) -> impl Future<Output = Result<crate::array::Array<f64>>> + Send {
        let frame = self.as_frame().clone();
        let columns: Vec<String> = columns.into_iter().map(|name| name.as_ref().to_owned()).collect();
        async move { super::arrays::to_array(&frame, columns).await }
    }

    /// Cuts the frame into other partitions, in the store. Dask: `ddf.repartition(...)`, `ddf.shuffle(...)`.
    ///
    /// ```
    /// use trefoil_frames::frame::{FrameReports, Partitions};
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    ///     let ten = diamonds.repartition(Partitions::Count(10)).await?;
    ///     assert_eq!(ten.partition_count().await?, 10);
    ///     let sorted = diamonds.repartition(Partitions::Sorted(vec!["price".into()], 4)).await?;
    ///     assert_eq!(sorted.divisions("price").await?.len(), 4);
    ///     Ok::<(), trefoil_plan::Error>(())
    /// })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// No partitions, unknown columns, text that is no number of bytes, and what running the frame can
    /// raise.
    fn repartition(&self, how: Partitions) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        async move { layout::repartition(&frame, how).await }
    }

    /// The number of partitions the frame has once it is persisted (which it is for this).
    /// Dask: `ddf.npartitions`.
    ///
    /// # Errors
    /// What running the frame can raise.
    fn partition_count(&self) -> impl Future<Output = Result<usize>> + Send {
        let frame = self.as_frame().clone();
        async move { Ok(frame.persist().await?.partitions()?.len()) }
    }

    /// The smallest and the largest value of a column in each partition, as text; `None` where it has none.
    /// Dask: `ddf.divisions`.
    ///
    /// # Errors
    /// An unknown column, and what running the frame can raise.
    fn divisions(&self, column: &str) -> impl Future<Output = Result<Vec<Option<(String, String)>>>> + Send {
        let (frame, column) = (self.as_frame().clone(), column.to_owned());
        async move { layout::divisions(&frame, &column).await }
    }

    /// Runs Rust code on every partition together with `before` rows before it and `after` rows after it,
    /// however many partitions those lie in; a result per partition, of the same columns for all. The order
    /// of rows is that of the partitions. Dask: `ddf.map_overlap(f, before, after)`.
    ///
    /// # Errors
    /// As [`map_partitions`](FrameReports::map_partitions).
    fn map_overlap<F, E>(
        &self,
        before: usize,
        after: usize,
        work: F,
    ) -> impl Future<Output = Result<DataFrame>> + Send
    where
        F: Fn(&Overlap) -> Result<RecordBatch, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let frame = self.as_frame().clone();
        async move { layout::map_overlap(&frame, before, after, work).await }
    }

    /// Runs a call, such as that of a `#[task]`, on every partition: `frame.map_calls(|part| clean(part))`.
    ///
    /// # Errors
    /// As [`map_partitions`](FrameReports::map_partitions).
    fn map_calls<F>(&self, call: F) -> impl Future<Output = Result<DataFrame>> + Send
    where
        F: Fn(Ref<Partition>) -> Call<Partition> + Send,
    {
        let frame = self.as_frame().clone();
        async move { layout::map_calls(&frame, call).await }
    }

    /// Writes the frame to a new directory of Parquet files and gives a frame that reads them: what was
    /// computed so far is safe, and its memory free. Spark: `df.checkpoint()`.
    ///
    /// # Errors
    /// As [`write_parquet`](DataFrame::write_parquet), and what running the frame can raise.
    fn checkpoint(
        &self,
        directory: impl AsRef<Path> + Send,
    ) -> impl Future<Output = Result<DataFrame>> + Send {
        let frame = self.as_frame().clone();
        let path = directory.as_ref().to_owned();
        async move {
            frame.write_parquet(&path).await?;
            frame.session().read_parquet(&path).await
        }
    }

    /// The optimised plan as a graph, to look at or to draw: `.to_mermaid()`, `.to_dot()`, `.to_svg()`,
    /// `.save("plan.svg")`. Dask: `ddf.visualize()`.
    ///
    /// # Errors
    /// When the frame cannot be planned.
    fn graph(&self) -> impl Future<Output = Result<TaskGraph>> + Send {
        let frame = self.as_frame().clone();
        async move { graph::of(&frame).await }
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
