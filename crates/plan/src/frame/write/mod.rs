//! Frames to files, all or nothing.
//!
//! Everything is written beside the target under a temporary name and renamed when it is complete, so a
//! reader never sees half a table, and a query that fails or is cancelled leaves nothing behind. What goes to a store
//! is written on this machine first ([`store`]).

pub(crate) mod file;
mod fits;
mod parquet;
mod place;
mod store;
mod tree;

use super::DataFrame;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::physical_plan::{execute_stream, execute_stream_partitioned};
use file::Format;
use place::Unfinished;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use store::Remote;
use trefoil_core::{Error, ErrorKind, Result};

/// What to do where something is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteMode {
    /// Fail.
    #[default]
    ErrorIfExists,
    /// Replace the file or directory, once the new one is complete.
    Overwrite,
    /// Add files to the directory, once they are complete.
    Append,
    /// Write nothing, and give 0 rows.
    Ignore,
    /// Replace those `key=value` directories that the frame has rows for, and leave the others.
    OverwritePartitions,
}

/// How to write a frame.
///
/// ```
/// use trefoil_plan::{Session, WriteMode, WriteOptions};
///
/// let dir = tempfile::tempdir().map_err(trefoil_plan::Error::user)?;
/// let session = Session::local()?;
/// session.block_on(async {
///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
///     let by_cut = WriteOptions::new().partition_by(["cut"]);
///     diamonds.write_parquet_with(dir.path().join("t"), by_cut.clone()).await?;
///     // Only the partitions that the frame has rows for are replaced.
///     let again = by_cut.mode(WriteMode::OverwritePartitions);
///     assert_eq!(diamonds.write_parquet_with(dir.path().join("t"), again).await?, 53_940);
///     assert_eq!(session.read_parquet(dir.path().join("t")).await?.count().await?, 53_940);
///     Ok::<(), trefoil_plan::Error>(())
/// })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct WriteOptions {
    mode: WriteMode,
    partition_by: Vec<String>,
}

impl WriteOptions {
    /// Refuse to replace what is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replace the file or directory if there is one, once the new one is complete.
    pub fn overwrite(self, overwrite: bool) -> Self {
        self.mode(if overwrite { WriteMode::Overwrite } else { WriteMode::ErrorIfExists })
    }

    /// Add files to the directory, if there is one, once they are complete. pandas: `mode="a"`.
    pub fn append(self, append: bool) -> Self {
        self.mode(if append { WriteMode::Append } else { WriteMode::ErrorIfExists })
    }

    /// What to do where something is there already.
    pub fn mode(mut self, mode: WriteMode) -> Self {
        self.mode = mode;
        self
    }

    /// Write a tree of directories named `column=value`, as Hive and Spark do; the columns are not in the
    /// files, and are the last ones when the tree is read.
    pub fn partition_by<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.partition_by = columns.into_iter().map(Into::into).collect();
        self
    }
}

impl DataFrame {
    /// Writes Parquet: to one file if `path` ends in `.parquet`, otherwise to a directory with a file for
    /// each partition. Gives the number of rows written.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] when something is there (see [`DataFrame::write_parquet_with`]),
    /// [`ErrorKind::Io`] when it cannot be written, and whatever the query fails with.
    ///
    /// ```
    /// use trefoil_plan::Session;
    ///
    /// let dir = tempfile::tempdir().map_err(trefoil_plan::Error::user)?;
    /// let session = Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    ///     let path = dir.path().join("diamonds.parquet");
    ///     assert_eq!(diamonds.write_parquet(&path).await?, 53_940);
    ///     assert_eq!(session.read_parquet(&path).await?.count().await?, 53_940);
    ///     Ok::<(), trefoil_plan::Error>(())
    /// })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub async fn write_parquet(&self, path: impl AsRef<Path>) -> Result<usize> {
        self.write_parquet_with(path, WriteOptions::new()).await
    }

    /// As [`DataFrame::write_parquet`], with options.
    ///
    /// # Errors
    /// As [`DataFrame::write_parquet`].
    pub async fn write_parquet_with(&self, path: impl AsRef<Path>, options: WriteOptions) -> Result<usize> {
        self.write("write_parquet", path.as_ref(), Format::Parquet, options).await
    }

    /// Writes CSV with a header line: to one file if `path` ends in `.csv`, otherwise to a directory with a
    /// file for each partition. Gives the number of rows written.
    ///
    /// # Errors
    /// As [`DataFrame::write_parquet`], and [`ErrorKind::Unsupported`] or
    /// [`ErrorKind::InvalidArgument`] for nested columns, which CSV cannot hold.
    pub async fn write_csv(&self, path: impl AsRef<Path>) -> Result<usize> {
        self.write_csv_with(path, WriteOptions::new()).await
    }

    /// As [`DataFrame::write_csv`], with options.
    ///
    /// # Errors
    /// As [`DataFrame::write_csv`].
    pub async fn write_csv_with(&self, path: impl AsRef<Path>, options: WriteOptions) -> Result<usize> {
        self.write("write_csv", path.as_ref(), Format::Csv, options).await
    }

    /// Writes JSON, one object a line: to one file if `path` ends in `.json`, `.jsonl` or `.ndjson`,
    /// otherwise to a directory with a file for each partition. Gives the number of rows written.
    ///
    /// # Errors
    /// As [`DataFrame::write_parquet`].
    pub async fn write_json(&self, path: impl AsRef<Path>) -> Result<usize> {
        self.write_json_with(path, WriteOptions::new()).await
    }

    /// As [`DataFrame::write_json`], with options.
    ///
    /// # Errors
    /// As [`DataFrame::write_parquet`].
    pub async fn write_json_with(&self, path: impl AsRef<Path>, options: WriteOptions) -> Result<usize> {
        self.write("write_json", path.as_ref(), Format::Json, options).await
    }

    /// Writes Arrow IPC: to one file if `path` ends in `.arrow`, `.feather` or `.ipc`, otherwise to a directory
    /// with a file for each partition. Gives the number of rows written.
    ///
    /// # Errors
    /// As [`DataFrame::write_parquet`].
    pub async fn write_arrow(&self, path: impl AsRef<Path>) -> Result<usize> {
        self.write_arrow_with(path, WriteOptions::new()).await
    }

    /// As [`DataFrame::write_arrow`], with options.
    ///
    /// # Errors
    /// As [`DataFrame::write_parquet`].
    pub async fn write_arrow_with(&self, path: impl AsRef<Path>, options: WriteOptions) -> Result<usize> {
        self.write("write_arrow", path.as_ref(), Format::Arrow, options).await
    }

    pub(crate) async fn write(
        &self,
        operation: &'static str,
        path: &Path,
        format: Format,
        options: WriteOptions,
    ) -> Result<usize> {
        self.check_keys(operation, &options.partition_by)?;
        if let Some(address) = crate::source::address(operation, &path.to_string_lossy())? {
            let schema = self.schema();
            let remote = Remote::new(operation, self.session(), address, format, &schema, &options).await?;
            return match remote {
                Some(remote) => self.upload(operation, remote, format, options).await,
                None => Ok(0),
            };
        }
        let target = std::path::absolute(path)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, operation, error.to_string()))?;
        let is_file = format.is_file(&target) && !target.is_dir();
        if !place::check(operation, &target, is_file, &options)? {
            return Ok(0);
        }
        let schema = self.schema();
        if options.mode == WriteMode::Append && target.is_dir() {
            fits::fits(operation, &target, format, &schema, &options.partition_by)?;
        }
        self.run(operation, move |frame| {
            let (target, schema, options) = (target.clone(), schema.clone(), options.clone());
            async move {
                let unfinished = Unfinished::beside(&target, operation).map_err(external)?;
                let rows =
                    files(frame, &unfinished.0, is_file, format, schema, &options.partition_by).await?;
                unfinished.publish(&target, options.mode)?;
                Ok(rows)
            }
        })
        .await
    }

    /// Writes to a store.
    async fn upload(
        &self,
        operation: &'static str,
        remote: Remote,
        format: Format,
        options: WriteOptions,
    ) -> Result<usize> {
        let (session, schema) = (self.session().clone(), self.schema());
        self.run(operation, move |frame| {
            let (remote, schema, options) = (remote.clone(), schema.clone(), options.clone());
            let unfinished = Remote::place(&session);
            async move {
                let place = &unfinished.0;
                let rows = files(frame, place, remote.is_file, format, schema, &options.partition_by).await?;
                remote.publish(place, options.mode).await?;
                Ok(rows)
            }
        })
        .await
    }

    fn check_keys(&self, operation: &'static str, keys: &[String]) -> Result<()> {
        let columns = self.columns();
        if let Some(twice) = keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key)) {
            let message = format!("`{}` is named twice as a column of directories", twice.1);
            return Err(Error::new(ErrorKind::InvalidArgument, operation, message));
        }
        if let Some(missing) = keys.iter().find(|key| !columns.contains(key)) {
            return Err(Error::unknown_column(operation, missing, &columns));
        }
        if !keys.is_empty() && keys.len() >= columns.len() {
            let message = "all columns are names of directories, none is left for the files";
            return Err(Error::new(ErrorKind::InvalidArgument, operation, message));
        }
        Ok(())
    }
}

/// Writes the rows of a frame to a file, or to the files of a directory; gives their number.
async fn files(
    frame: datafusion::dataframe::DataFrame,
    place: &Path,
    is_file: bool,
    format: Format,
    schema: SchemaRef,
    keys: &[String],
) -> PlanResult<usize> {
    let context = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    if is_file && format == Format::Parquet {
        let streams = execute_stream_partitioned(plan, Arc::clone(&context))?;
        return parquet::file(place, schema, streams, &context).await;
    }
    if is_file {
        return tree::file(place, schema, format, execute_stream(plan, context)?).await;
    }
    fs::create_dir(place)?;
    match keys.is_empty() {
        true => tree::flat(place, &schema, format, plan, context).await,
        false => tree::parted(place, keys, format, plan, context).await,
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
