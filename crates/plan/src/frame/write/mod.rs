//! Frames to files, all or nothing.
//!
//! Everything is written beside the target under a temporary name and renamed when it is complete, so a
//! reader never sees half a table, and a query that fails or is cancelled leaves nothing behind. Files that are
//! appended to a directory are moved there one by one, each of them whole.

mod partitioned;
mod target;

use super::DataFrame;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::{csv, json};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::{execute_stream, execute_stream_partitioned};
use futures::StreamExt;
use partitioned::{Fan, Keys};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use target::{Unfinished, check_target};
use tokio::task::JoinSet;
use trefoil_core::{Error, ErrorKind, Result};

/// How to write a frame.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct WriteOptions {
    overwrite: bool,
    append: bool,
    partition_by: Vec<String>,
}

impl WriteOptions {
    /// Refuse to replace what is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replace the file or directory if there is one, once the new one is complete.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Add files to the directory, if there is one; its files must have the same columns (looked at in one of
    /// them, of Parquet and CSV). The files become visible one by one. pandas: `mode="a"`.
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    /// A directory `column=value` for each value of these columns, one within the other, without the columns
    /// in the files; null is `__HIVE_DEFAULT_PARTITION__`, as in Hive. Reading the directory gives the columns
    /// back, as text, after the others. pandas: `partition_cols=[...]`, Dask: `partition_on=[...]`.
    ///
    /// ```
    /// use trefoil_plan::{Session, WriteOptions};
    ///
    /// let dir = tempfile::tempdir().map_err(trefoil_plan::Error::user)?;
    /// let session = Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
    ///     let path = dir.path().join("by_cut");
    ///     diamonds.write_parquet_with(&path, WriteOptions::new().partition_by(["cut"])).await?;
    ///     let back = session.read_parquet(&path).await?;
    ///     assert_eq!(back.columns().last().map(String::as_str), Some("cut"));
    ///     assert_eq!(back.count().await?, 53_940);
    ///     Ok::<(), trefoil_plan::Error>(())
    /// })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub fn partition_by<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.partition_by = columns.into_iter().map(Into::into).collect();
        self
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Parquet,
    Csv,
    Json,
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

    async fn write(
        &self,
        operation: &'static str,
        path: &Path,
        format: Format,
        options: WriteOptions,
    ) -> Result<usize> {
        let target = std::path::absolute(path)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, operation, error.to_string()))?;
        let schema = self.schema();
        let keys = Keys::new(operation, &schema, &options.partition_by)?;
        check_target(operation, &target, format, &schema, &options)?;
        self.run(operation, move |frame| {
            let (target, schema, keys) = (target.clone(), schema.clone(), keys.clone());
            let (overwrite, append) = (options.overwrite, options.append);
            async move {
                let unfinished = Unfinished::beside(&target, operation).map_err(external)?;
                let context = Arc::new(frame.task_ctx());
                let plan = frame.create_physical_plan().await?;
                let rows = if is_file(&target, format) {
                    let stream = execute_stream(plan, context)?;
                    write_file(unfinished.path().to_owned(), schema, format, stream).await?
                } else {
                    fs::create_dir(unfinished.path())?;
                    let streams = execute_stream_partitioned(plan, context)?;
                    write_dir(unfinished.path(), &schema, format, streams, keys).await?
                };
                match append && target.is_dir() {
                    true => unfinished.merge_into(&target, rows)?,
                    false => unfinished.publish(&target, overwrite)?,
                }
                Ok(rows)
            }
        })
        .await
    }
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Json => "json",
        }
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn is_file(target: &Path, format: Format) -> bool {
    let extension = target.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
    match format {
        Format::Parquet => extension == "parquet",
        Format::Csv => extension == "csv",
        Format::Json => ["json", "jsonl", "ndjson"].contains(&extension.as_str()),
    }
}

async fn write_dir(
    dir: &Path,
    schema: &SchemaRef,
    format: Format,
    streams: Vec<SendableRecordBatchStream>,
    keys: Option<Keys>,
) -> PlanResult<usize> {
    let mut writers = JoinSet::new();
    for (index, stream) in streams.into_iter().enumerate() {
        if let Some(keys) = &keys {
            let fan = Fan::new(dir, format, index, keys.clone());
            writers.spawn(fan.write(stream));
            continue;
        }
        let path = dir.join(format!("part-{index:05}.{}", format.extension()));
        let schema = schema.clone();
        writers.spawn(async move {
            let rows = write_file(path.clone(), schema, format, stream).await?;
            // The first file stays even if it is empty: it has the schema.
            if rows == 0 && index > 0 {
                fs::remove_file(path)?;
            }
            Ok::<usize, DataFusionError>(rows)
        });
    }
    let mut rows = 0;
    while let Some(done) = writers.join_next().await {
        rows += done.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
    }
    Ok(rows)
}

async fn write_file(
    path: PathBuf,
    schema: SchemaRef,
    format: Format,
    mut stream: SendableRecordBatchStream,
) -> PlanResult<usize> {
    let mut writer = Writer::create(&path, schema, format)?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(rows)
}

type Out = BufWriter<File>;

enum Writer {
    Parquet(Box<ArrowWriter<Out>>),
    Csv(Box<csv::Writer<Out>>),
    Json(Box<json::LineDelimitedWriter<Out>>),
}

impl Writer {
    fn create(path: &Path, schema: SchemaRef, format: Format) -> PlanResult<Self> {
        let out = BufWriter::new(File::create(path)?);
        Ok(match format {
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                Self::Parquet(Box::new(ArrowWriter::try_new(out, schema, Some(properties))?))
            }
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(out);
                // The header must be there even if no row comes.
                writer.write(&RecordBatch::new_empty(schema))?;
                Self::Csv(Box::new(writer))
            }
            Format::Json => Self::Json(Box::new(json::LineDelimitedWriter::new(out))),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> PlanResult<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Csv(writer) => writer.write(batch)?,
            Self::Json(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(self) -> PlanResult<()> {
        let out = match self {
            Self::Parquet(writer) => (*writer).into_inner()?,
            Self::Csv(writer) => (*writer).into_inner(),
            Self::Json(mut writer) => {
                writer.finish()?;
                (*writer).into_inner()
            }
        };
        flush(out)?;
        Ok(())
    }
}

fn flush(mut out: Out) -> io::Result<()> {
    out.flush()
}
