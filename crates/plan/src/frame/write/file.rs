//! A file of a format, written batch by batch.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::MetadataVersion;
use datafusion::arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use datafusion::arrow::{csv, json};
use datafusion::error::Result as PlanResult;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A file format that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv,
    Json,
    Arrow,
}

impl Format {
    /// The end of the names of files of this format.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
        }
    }

    /// Whether a path by this name is one file of the format, and not a directory.
    pub(super) fn is_file(self, target: &Path) -> bool {
        let extension = target.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        match self {
            Format::Json => ["json", "jsonl", "ndjson"].contains(&extension.as_str()),
            Format::Arrow => ["arrow", "feather", "ipc"].contains(&extension.as_str()),
            other => extension == other.extension(),
        }
    }
}

/// How Parquet is written.
pub(super) fn parquet_properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::SNAPPY).build()
}

type Out = BufWriter<File>;

/// An open file; it is complete after [`Writer::finish`].
pub(super) enum Writer {
    Parquet(Box<ArrowWriter<Out>>),
    Csv(Box<csv::Writer<Out>>),
    Json(Box<json::LineDelimitedWriter<Out>>),
    Arrow(Box<FileWriter<Out>>),
}

impl Writer {
    pub(super) fn create(path: &Path, schema: SchemaRef, format: Format) -> PlanResult<Self> {
        let out = BufWriter::new(File::create(path)?);
        Ok(match format {
            Format::Parquet => {
                Self::Parquet(Box::new(ArrowWriter::try_new(out, schema, Some(parquet_properties()))?))
            }
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(out);
                // The header must be there even if no row comes.
                writer.write(&RecordBatch::new_empty(schema))?;
                Self::Csv(Box::new(writer))
            }
            Format::Json => Self::Json(Box::new(json::LineDelimitedWriter::new(out))),
            // DataFusion takes it that the first message begins at byte 8 where it reads from a store.
            Format::Arrow => {
                let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
                Self::Arrow(Box::new(FileWriter::try_new_with_options(out, &schema, options)?))
            }
        })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> PlanResult<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Csv(writer) => writer.write(batch)?,
            Self::Json(writer) => writer.write(batch)?,
            Self::Arrow(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> PlanResult<()> {
        let mut out = match self {
            Self::Parquet(writer) => (*writer).into_inner()?,
            Self::Csv(writer) => (*writer).into_inner(),
            Self::Json(mut writer) => {
                writer.finish()?;
                (*writer).into_inner()
            }
            Self::Arrow(mut writer) => {
                writer.finish()?;
                (*writer).into_inner()?
            }
        };
        out.flush()?;
        Ok(())
    }
}
