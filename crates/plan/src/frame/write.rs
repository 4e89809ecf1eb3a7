//! Frames to files, all or nothing.
//!
//! Everything is written beside the target under a temporary name and renamed when it is complete, so a
//! reader never sees half a table, and a query that fails or is cancelled leaves nothing behind.

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
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;
use trefoil_core::{Error, ErrorKind, Result};

/// How to write a frame.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct WriteOptions {
    overwrite: bool,
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
}

#[derive(Clone, Copy)]
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
        check_target(operation, &target, &options)?;
        let schema = self.schema();
        self.run(operation, move |frame| {
            let (target, schema) = (target.clone(), schema.clone());
            let overwrite = options.overwrite;
            async move {
                let unfinished = Unfinished::beside(&target, operation).map_err(external)?;
                let context = Arc::new(frame.task_ctx());
                let plan = frame.create_physical_plan().await?;
                let rows = if is_file(&target, format) {
                    let stream = execute_stream(plan, context)?;
                    write_file(unfinished.0.clone(), schema, format, stream).await?
                } else {
                    fs::create_dir(&unfinished.0)?;
                    write_dir(&unfinished.0, &schema, format, execute_stream_partitioned(plan, context)?)
                        .await?
                };
                unfinished.publish(&target, overwrite)?;
                Ok(rows)
            }
        })
        .await
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

fn check_target(operation: &'static str, target: &Path, options: &WriteOptions) -> Result<()> {
    let empty_dir = || fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    if !options.overwrite && target.symlink_metadata().is_ok() && !empty_dir() {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            operation,
            format!("`{}` exists already", target.display()),
        )
        .with_help("write to another path, or allow it with `WriteOptions::new().overwrite(true)`"));
    }
    match target.parent() {
        Some(_) if target.file_name().is_some() => Ok(()),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            operation,
            format!("`{}` is not a path for a table", target.display()),
        )),
    }
}

/// A file or directory that is not complete yet; removed on drop.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(target: &Path, operation: &'static str) -> Result<Self> {
        let parent = target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(|error| {
            Error::new(ErrorKind::Io, operation, format!("cannot create `{}`: {error}", parent.display()))
                .with_source(error)
        })?;
        Ok(Self(sibling(target, "part")))
    }

    fn publish(self, target: &Path, overwrite: bool) -> io::Result<()> {
        let replaced = (overwrite && target.is_dir()).then(|| sibling(target, "old"));
        if let Some(old) = &replaced {
            fs::rename(target, old)?;
        }
        if let Err(error) = fs::rename(&self.0, target) {
            if let Some(old) = &replaced {
                fs::rename(old, target)?;
            }
            return Err(error);
        }
        match replaced {
            Some(old) => fs::remove_dir_all(old),
            None => Ok(()),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already if it was published.
        let _ = match self.0.is_dir() {
            true => fs::remove_dir_all(&self.0),
            false => fs::remove_file(&self.0),
        };
    }
}

/// A hidden name in the same directory, so that a rename stays within one file system and readers of the
/// directory pass it over.
fn sibling(target: &Path, what: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    target.with_file_name(format!(".{name}.{what}-{}-{number}", std::process::id()))
}

async fn write_dir(
    dir: &Path,
    schema: &SchemaRef,
    format: Format,
    streams: Vec<SendableRecordBatchStream>,
) -> PlanResult<usize> {
    let mut writers = JoinSet::new();
    let extension = match format {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
        Format::Json => "json",
    };
    for (index, stream) in streams.into_iter().enumerate() {
        let path = dir.join(format!("part-{index:05}.{extension}"));
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
