//! Whether new files belong to a table that is there: the same directories, the same columns.

use super::file::Format;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use trefoil_core::{Error, ErrorKind, Result};

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Checks that files of these columns may be added to a directory: it has the same layout and columns, as far as
/// its first file shows.
pub(super) fn fits(
    operation: &'static str,
    target: &Path,
    format: Format,
    schema: &SchemaRef,
    keys: &[String],
) -> Result<()> {
    let io = |error: io::Error| {
        Error::new(ErrorKind::Io, operation, format!("`{}`: {error}", target.display())).with_source(error)
    };
    let mut at = target.to_owned();
    for depth in 0.. {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&at).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if !is_hidden(&path) {
                entries.push(path);
            }
        }
        entries.sort();
        let Some(first) = entries.into_iter().next() else { return Ok(()) };
        let key = match first.is_dir() {
            true => first.file_name().and_then(|name| name.to_str()?.split_once('=')).map(|(key, _)| key),
            false => None,
        };
        let wanted = keys.get(depth).map(String::as_str);
        if key != wanted || (first.is_dir() && key.is_none()) {
            let text = |key: Option<&str>| key.map_or("files".to_owned(), |key| format!("`{key}=...`"));
            let message =
                format!("`{}` holds {}, what is appended would be {}", at.display(), text(key), text(wanted));
            return Err(Error::new(ErrorKind::InvalidArgument, operation, message)
                .with_help("partition by the columns the table is partitioned by"));
        }
        if key.is_none() && first.extension().is_some_and(|end| end == format.extension()) {
            return same_columns(operation, &first, format, schema, keys);
        }
        if key.is_none() {
            return Ok(());
        }
        at = first;
    }
    Ok(())
}

fn same_columns(
    operation: &'static str,
    file: &Path,
    format: Format,
    schema: &SchemaRef,
    keys: &[String],
) -> Result<()> {
    let own = schema.fields().iter().filter(|field| !keys.contains(field.name()));
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
        let text = format!("`{}` cannot be read: {error}", file.display());
        Error::new(ErrorKind::MalformedData, operation, text)
    };
    let (found, wanted): (Vec<String>, Vec<String>) = match format {
        Format::Parquet => {
            let open = File::open(file).map_err(|error| broken(error.into()))?;
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(open).map_err(|error| broken(error.into()))?;
            let text = |field: &datafusion::arrow::datatypes::Field| {
                format!("{} {}", field.name(), plain(field.data_type()))
            };
            (
                reader.schema().fields().iter().map(|field| text(field)).collect(),
                own.map(|field| text(field)).collect(),
            )
        }
        Format::Csv => {
            let mut line = String::new();
            let open = File::open(file).map_err(|error| broken(error.into()))?;
            BufReader::new(open).read_line(&mut line).map_err(|error| broken(error.into()))?;
            let names = line.trim_end().split(',').map(|name| name.trim_matches('"').to_owned());
            (names.collect(), own.map(|field| field.name().clone()).collect())
        }
        Format::Json | Format::Arrow => return Ok(()),
    };
    if found == wanted {
        return Ok(());
    }
    let message =
        format!("`{}` has ({}), the frame has ({})", file.display(), found.join(", "), wanted.join(", "));
    Err(Error::new(ErrorKind::TypeMismatch, operation, message)
        .with_help("append columns of the same names and types in the same order"))
}

/// A type as it comes back from a file: texts have one layout there.
fn plain(data_type: &datafusion::arrow::datatypes::DataType) -> String {
    use datafusion::arrow::datatypes::DataType;
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8.to_string(),
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary.to_string(),
        other => other.to_string(),
    }
}
