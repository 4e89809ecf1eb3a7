//! Where a table is written: what may be there already, and how the new files get there.

use super::{Format, WriteOptions, is_file};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use trefoil_core::{Error, ErrorKind, Result};

/// Refuses a target before anything runs.
pub(super) fn check_target(
    operation: &'static str,
    target: &Path,
    format: Format,
    schema: &SchemaRef,
    options: &WriteOptions,
) -> Result<()> {
    let invalid = |text: &str| Error::new(ErrorKind::InvalidArgument, operation, text.to_owned());
    if options.append && options.overwrite {
        return Err(invalid("a table is appended to or overwritten, not both"));
    }
    if is_file(target, format) && (options.append || !options.partition_by.is_empty()) {
        let text = format!("`{}` is a file", target.display());
        return Err(invalid(&text).with_help("append to a directory of files, partition into one"));
    }
    if options.append && target.is_dir() {
        return fits(operation, target, format, schema, &options.partition_by);
    }
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
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    pub(super) fn beside(target: &Path, operation: &'static str) -> Result<Self> {
        let parent = target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(|error| {
            Error::new(ErrorKind::Io, operation, format!("cannot create `{}`: {error}", parent.display()))
                .with_source(error)
        })?;
        Ok(Self(sibling(target, "part")))
    }

    /// Moves the files into a directory that is there, each under a name that is free; if one cannot be moved,
    /// those that were are taken out again. Of a table without rows nothing is moved.
    pub(super) fn merge_into(self, target: &Path, rows: usize) -> io::Result<()> {
        if rows == 0 && fs::read_dir(target)?.next().is_some() {
            return Ok(());
        }
        let mut moved = Vec::new();
        let result = merge(&self.0, target, &mut moved);
        if result.is_err() {
            for path in moved {
                let _ = fs::remove_file(path);
            }
        }
        result
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn publish(self, target: &Path, overwrite: bool) -> io::Result<()> {
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

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether files of these columns may be added to a directory: it has the same layout and columns.
fn fits(
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
        if key.is_none() {
            return same_columns(operation, &first, format, schema, keys);
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
        Format::Json => return Ok(()),
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

/// Moves what is below `from` below `to`; directories are made, files get the next free number.
fn merge(from: &Path, to: &Path, moved: &mut Vec<PathBuf>) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut entries = fs::read_dir(from)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    let mut number = fs::read_dir(to)?.count();
    for path in entries {
        if path.is_dir() {
            merge(&path, &to.join(path.file_name().unwrap_or_default()), moved)?;
            continue;
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        loop {
            let target = to.join(format!("part-{number:05}.{extension}"));
            number += 1;
            // a link fails if the name is taken, also by somebody who appends meanwhile
            match fs::hard_link(&path, &target) {
                Ok(()) => {
                    moved.push(target);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
