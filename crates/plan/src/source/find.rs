//! Which files a path means.
//!
//! A path is a file, a directory (all files of the format below it, except hidden ones and those whose
//! name starts with `_`, in the order of their names), or a pattern with `*`, `?` or `[..]`.

use super::compression::ENDS;
use object_store::ObjectMeta;
use std::fs;
use std::path::{Path, PathBuf};
use trefoil_core::{Error, ErrorKind, Result, suggest};
use url::Url;

/// A file format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv,
    Json,
    Arrow,
    Avro,
}

impl Format {
    pub(crate) const ALL: [Format; 5] =
        [Format::Parquet, Format::Csv, Format::Json, Format::Arrow, Format::Avro];

    /// The word in SQL: ``SELECT * FROM csv.`path` ``.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Arrow => "arrow",
            Format::Avro => "avro",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Format::Parquet => "Parquet",
            Format::Csv => "CSV",
            Format::Json => "JSON",
            Format::Arrow => "Arrow",
            Format::Avro => "Avro",
        }
    }

    pub(crate) fn extensions(self) -> &'static [&'static str] {
        match self {
            Format::Parquet => &[".parquet"],
            Format::Csv => &[".csv", ".tsv"],
            Format::Json => &[".json", ".jsonl", ".ndjson"],
            Format::Arrow => &[".arrow", ".feather", ".ipc"],
            Format::Avro => &[".avro"],
        }
    }

    /// Whether whole files of this format may be compressed.
    fn may_be_compressed(self) -> bool {
        matches!(self, Format::Csv | Format::Json)
    }

    /// The end of the name of a file of this format, with that of its compression.
    pub(crate) fn end_of(self, name: &str) -> Option<usize> {
        let lower = name.to_lowercase();
        let compressed = ENDS.iter().map(|(end, _)| *end).filter(|end| lower.ends_with(end));
        let packed = compressed.map(str::len).next().filter(|_| self.may_be_compressed()).unwrap_or(0);
        let bare = &lower[..lower.len() - packed];
        let end = self.extensions().iter().find(|end| bare.ends_with(**end))?;
        Some(end.len() + packed)
    }

    fn owns(self, name: &str) -> bool {
        self.end_of(name).is_some()
    }
}

/// The files of a table.
#[derive(Debug)]
pub(crate) struct Found {
    /// Absolute paths, sorted; not empty.
    pub(crate) files: Vec<PathBuf>,
    /// The directory that was asked for, if it was one directory.
    pub(crate) root: Option<PathBuf>,
    /// Where they are, if not on this machine; the paths begin at its root.
    pub(crate) remote: Option<Remote>,
}

/// Objects of a store, in the order of the files.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) origin: Url,
    pub(crate) objects: Vec<ObjectMeta>,
}

/// Directories deeper than this are taken for a loop of links.
const DEEPEST: usize = 32;

pub(crate) fn find(operation: &'static str, format: Format, path: &str) -> Result<Found> {
    let path = local(operation, path)?;
    match fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => {
            let mut seen = Seen::default();
            walk(operation, format, &path, 0, &mut seen)?;
            if seen.files.is_empty() {
                return Err(none_in(operation, format, &path, &seen));
            }
            Ok(Found { files: seen.files, root: Some(path), remote: None })
        }
        Ok(_) => Ok(Found { files: vec![path], root: None, remote: None }),
        Err(_) if path.to_string_lossy().contains(['*', '?', '[']) => {
            let files = matching(operation, format, &path)?;
            Ok(Found { files, root: None, remote: None })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(operation, &path)),
        Err(error) => {
            Err(Error::new(ErrorKind::Io, operation, format!("`{}`: {error}", path.display()))
                .with_source(error))
        }
    }
}

/// A directory of this machine.
#[cfg(feature = "delta")]
pub(super) fn directory(operation: &'static str, path: &str) -> Result<PathBuf> {
    let path = local(operation, path)?;
    match fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(path),
        Ok(_) => {
            let message = format!("`{}` is a file, not a directory", path.display());
            Err(Error::new(ErrorKind::InvalidArgument, operation, message))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(operation, &path)),
        Err(error) => {
            Err(Error::new(ErrorKind::Io, operation, format!("`{}`: {error}", path.display()))
                .with_source(error))
        }
    }
}

/// An absolute local path.
fn local(operation: &'static str, path: &str) -> Result<PathBuf> {
    if path.trim().is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, operation, "the path is empty"));
    }
    let path = path.strip_prefix("file://").unwrap_or(path);
    std::path::absolute(path).map_err(|error| {
        Error::new(ErrorKind::Io, operation, format!("`{path}`: {error}")).with_source(error)
    })
}

#[derive(Default)]
struct Seen {
    files: Vec<PathBuf>,
    /// Files of other formats, for the message when none fits.
    others: Vec<String>,
}

fn walk(operation: &'static str, format: Format, dir: &Path, depth: usize, seen: &mut Seen) -> Result<()> {
    let io = |error: std::io::Error| {
        Error::new(ErrorKind::Io, operation, format!("`{}`: {error}", dir.display())).with_source(error)
    };
    if depth > DEEPEST {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            operation,
            format!("`{}` is nested more than {DEEPEST} deep", dir.display()),
        ));
    }
    let mut entries = fs::read_dir(dir).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            walk(operation, format, &path, depth + 1, seen)?;
        } else if format.owns(&name) {
            seen.files.push(path);
        } else {
            seen.others.push(name);
        }
    }
    Ok(())
}

fn matching(operation: &'static str, format: Format, pattern: &Path) -> Result<Vec<PathBuf>> {
    let bad = |error: String| Error::new(ErrorKind::InvalidArgument, operation, error);
    let text = pattern.to_string_lossy();
    // As a shell does: `*` does not find hidden files.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let paths = glob::glob_with(&text, options)
        .map_err(|error| bad(format!("`{text}` is not a pattern: {} (at {})", error.msg, error.pos)))?;
    let mut seen = Seen::default();
    for path in paths {
        let path = path.map_err(|error| bad(error.to_string()))?;
        match path.is_dir() {
            true => walk(operation, format, &path, 0, &mut seen)?,
            false => seen.files.push(path),
        }
    }
    if seen.files.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, operation, format!("no file matches `{text}`")));
    }
    Ok(seen.files)
}

fn none_in(operation: &'static str, format: Format, dir: &Path, seen: &Seen) -> Error {
    let looked = format.extensions().iter().map(|e| format!("*{e}")).collect::<Vec<_>>().join(", ");
    let error = Error::new(
        ErrorKind::NotFound,
        operation,
        format!("no {} file in `{}` (looked for {looked})", format.title(), dir.display()),
    );
    let other = Format::ALL.into_iter().find(|other| seen.others.iter().any(|name| other.owns(name)));
    match (other, seen.others.first()) {
        (Some(other), _) => error.with_help(format!(
            "the directory holds {} files; read them with `read_{}`",
            other.title(),
            other.word()
        )),
        (None, Some(name)) => error.with_help(format!("the directory holds other files, such as `{name}`")),
        (None, None) => error.with_help("the directory is empty"),
    }
}

/// A path that does not exist: says which part of it is wrong, and what is near.
fn missing(operation: &'static str, path: &Path) -> Error {
    let mut there = path;
    let mut wanted = path;
    while let Some(parent) = there.parent() {
        wanted = there;
        there = parent;
        if there.is_dir() {
            break;
        }
    }
    let error = Error::new(ErrorKind::NotFound, operation, format!("`{}` does not exist", path.display()));
    let names: Vec<String> = fs::read_dir(there)
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    let last = wanted.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match suggest(&last, &names) {
        Some(near) => error.with_help(format!("did you mean `{}`?", there.join(near).display())),
        None if wanted != path => error.with_help(format!("there is no `{last}` in `{}`", there.display())),
        None => error.with_help("relative paths start at the current directory of the process"),
    }
}
