//! Files as tables: which files a path means, how each format is read, and what is wrong with them.

mod by_path;
mod compression;
mod csv;
pub(crate) mod diagnose;
mod find;
pub(crate) mod keys;
mod open;
mod parquet;
mod plain;
mod remote;
mod stated;
mod stores;
mod tolerant;
mod trees;

pub(crate) use by_path::{is_format, register_file_schemas, register_formats};
pub use csv::{CsvOptions, JsonOptions, Malformed};
pub(crate) use find::Format;
pub use keys::partition_directory;
#[cfg(feature = "delta")]
pub(crate) use open::directory;
pub(crate) use parquet::{Clustered, FilteredParquet, damaged};
pub(crate) use plain::PlainFiles;
pub use stated::PATH_OPTION;
pub(crate) use stores::{Address, Stores, address};

use crate::frame::DataFrame;
use crate::session::Session;
use std::path::Path;
use trefoil_core::Result;

impl Session {
    /// Reads CSV: one file, all CSV files below a directory, or a pattern such as `data/*.csv`. The first
    /// line gives the names of the columns, the first 10,000 rows their types. Files that end in `.gz`, `.bz2`,
    /// `.xz` or `.zst` are decompressed, those in `.tsv` are split at tabs.
    ///
    /// Nothing but the start of the files is read now; see [`CsvOptions`] for other layouts.
    ///
    /// With the features `s3`, `gcs`, `azure` and `http` the path may be an address, as for all formats:
    /// `s3://bucket/directory`, `https://host/file.csv`. Settings come from the environment and from
    /// [`SessionBuilder::store_setting`](crate::SessionBuilder::store_setting).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](trefoil_core::ErrorKind::NotFound) when there is no such file (with near
    /// names) or no CSV file in the directory, [`ErrorKind::MalformedData`](trefoil_core::ErrorKind) for an
    /// empty file or a ragged row at the start. Broken rows farther down are reported, with file and line,
    /// by the method that reads them.
    pub async fn read_csv(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        self.read_csv_with(path, CsvOptions::new()).await
    }

    /// As [`Session::read_csv`], with options.
    ///
    /// # Errors
    /// As [`Session::read_csv`], and [`ErrorKind::UnknownColumn`](trefoil_core::ErrorKind::UnknownColumn)
    /// when a type is given for a column that is not there.
    pub async fn read_csv_with(&self, path: impl AsRef<Path>, options: CsvOptions) -> Result<DataFrame> {
        self.read("read_csv", Format::Csv, path.as_ref(), options).await
    }

    /// Reads Parquet: one file, all `.parquet` files below a directory, or a pattern such as
    /// `data/2024-*.parquet`. Directories named `key=value` become columns.
    ///
    /// # Errors
    /// As [`Session::read_csv`].
    pub async fn read_parquet(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        self.read("read_parquet", Format::Parquet, path.as_ref(), CsvOptions::new()).await
    }

    /// Reads JSON with one object a line: one file, all such files below a directory (`.json`, `.jsonl`,
    /// `.ndjson`, also compressed), or a pattern.
    ///
    /// # Errors
    /// As [`Session::read_csv`].
    pub async fn read_json(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        self.read_json_with(path, JsonOptions::new()).await
    }

    /// As [`Session::read_json`], with options.
    ///
    /// # Errors
    /// As [`Session::read_csv`].
    pub async fn read_json_with(&self, path: impl AsRef<Path>, options: JsonOptions) -> Result<DataFrame> {
        self.read("read_json", Format::Json, path.as_ref(), options.0).await
    }

    /// Reads Arrow IPC files (`.arrow`, `.feather`, `.ipc`): one, all below a directory, or a pattern.
    ///
    /// # Errors
    /// As [`Session::read_csv`].
    pub async fn read_arrow(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        self.read("read_arrow", Format::Arrow, path.as_ref(), CsvOptions::new()).await
    }

    /// Reads Avro object container files (`.avro`): one, all below a directory, or a pattern.
    ///
    /// # Errors
    /// As [`Session::read_csv`], and [`ErrorKind::Unsupported`](trefoil_core::ErrorKind::Unsupported) without the
    /// feature `avro`.
    pub async fn read_avro(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        self.read("read_avro", Format::Avro, path.as_ref(), CsvOptions::new()).await
    }

    /// Reads a Delta Lake table: the newest version of the table in a directory, or that behind `@v`, as in
    /// `data/sales@v3`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](trefoil_core::ErrorKind::NotFound) when there is no table or no such version,
    /// [`ErrorKind::Unsupported`](trefoil_core::ErrorKind::Unsupported) for a table that needs a newer reader, and
    /// without the feature `delta`.
    pub async fn read_delta(&self, path: impl AsRef<Path>) -> Result<DataFrame> {
        const OPERATION: &str = "read_delta";
        let path = path.as_ref().to_string_lossy().into_owned();
        let table = self
            .plan(OPERATION, move |state| async move { by_path::delta(&state, OPERATION, &path).await })
            .await?;
        let frame = self.context().read_table(table).map_err(|error| self.error(error, OPERATION))?;
        Ok(DataFrame::new(self.clone(), frame))
    }

    async fn read(
        &self,
        operation: &'static str,
        format: Format,
        path: &Path,
        options: CsvOptions,
    ) -> Result<DataFrame> {
        let path = path.to_string_lossy().into_owned();
        let nulls = options.nulls.clone();
        let (table, types) = self
            .plan(operation, move |state| async move {
                open::open(&state, operation, format, &path, &options).await
            })
            .await?;
        let frame = self.context().read_table(table).and_then(|frame| match types {
            Some(types) => frame.select(open::convert(&types, &nulls)),
            None => Ok(frame),
        });
        let frame = frame.map_err(|error| self.error(error, operation))?;
        Ok(DataFrame::new(self.clone(), frame))
    }
}
