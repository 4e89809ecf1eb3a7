//! Where a table is written, and how it takes its place when it is complete.
//!
//! Everything is written beside the target under a hidden name. What is complete is renamed: the whole table, or, to
//! append and to replace partitions, one file or directory after the other; if one of these renames fails, those
//! before it are taken back.

use super::{WriteMode, WriteOptions};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use trefoil_core::{Error, ErrorKind, Result};

/// Whether to write at all.
///
/// # Errors
/// When something is there and the mode does not allow that, or the path cannot be a table.
pub(super) fn check(
    operation: &'static str,
    target: &Path,
    file: bool,
    options: &WriteOptions,
) -> Result<bool> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, operation, message));
    if target.parent().is_none() || target.file_name().is_none() {
        return match target.exists() && options.mode == WriteMode::ErrorIfExists {
            true => Err(exists(operation, target)),
            false => invalid(format!("`{}` is not a path for a table", target.display())),
        };
    }
    let in_parts = matches!(options.mode, WriteMode::Append | WriteMode::OverwritePartitions);
    if file && (in_parts || !options.partition_by.is_empty()) {
        return invalid(format!(
            "`{}` is one file; partitions and appended files need a directory",
            target.display()
        ));
    }
    if options.mode == WriteMode::OverwritePartitions && options.partition_by.is_empty() {
        return invalid(
            "there are no partitions to overwrite; name their columns with `partition_by`".into(),
        );
    }
    if in_parts && target.is_file() {
        return invalid(format!("`{}` is a file, not the directory of a table", target.display()));
    }
    let empty_dir = || fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    let there = target.symlink_metadata().is_ok() && !empty_dir();
    match options.mode {
        WriteMode::ErrorIfExists if there => Err(exists(operation, target)),
        WriteMode::Ignore if there => Ok(false),
        _ => Ok(true),
    }
}

fn exists(operation: &'static str, target: &Path) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("`{}` exists already", target.display()))
        .with_help("write to another path, or allow it with `WriteOptions::new().overwrite(true)`")
}

/// A file or directory that is not complete yet; removed on drop.
pub(super) struct Unfinished(pub(super) PathBuf);

impl Unfinished {
    pub(super) fn beside(target: &Path, operation: &'static str) -> Result<Self> {
        let parent = target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(|error| {
            Error::new(ErrorKind::Io, operation, format!("cannot create `{}`: {error}", parent.display()))
                .with_source(error)
        })?;
        Ok(Self(sibling(target, "part")))
    }

    /// Puts what was written in its place.
    pub(super) fn publish(self, target: &Path, mode: WriteMode) -> io::Result<()> {
        match mode {
            WriteMode::Append if target.is_dir() => {
                let mut moves = Moves::default();
                let done = merge(&self.0, target, &mut moves);
                moves.end(done)
            }
            WriteMode::OverwritePartitions if target.is_dir() => {
                let mut moves = Moves::default();
                let done = replace_leaves(&self.0, target, &mut moves);
                moves.end(done)
            }
            _ => {
                let mut moves = Moves::default();
                let overwrite = mode != WriteMode::ErrorIfExists && target.is_dir();
                let done = match overwrite {
                    true => moves.replace(&self.0, target),
                    false => moves.rename(&self.0, target),
                };
                moves.end(done)
            }
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

/// The renames of one publication, so that they can be taken back.
#[derive(Default)]
struct Moves {
    done: Vec<(PathBuf, PathBuf)>,
    old: Vec<PathBuf>,
}

impl Moves {
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        self.done.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    /// Puts a directory in the place of another, which stays under a hidden name until the end.
    fn replace(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let old = sibling(to, "old");
        self.rename(to, &old)?;
        self.old.push(old);
        self.rename(from, to)
    }

    fn end(self, done: io::Result<()>) -> io::Result<()> {
        if let Err(error) = done {
            for (from, to) in self.done.iter().rev() {
                fs::rename(to, from)?;
            }
            return Err(error);
        }
        self.old.iter().try_for_each(fs::remove_dir_all)
    }
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> PathBuf {
    path.file_name().unwrap_or_default().into()
}

/// Moves every file of a tree into another; names of files are unique.
fn merge(from: &Path, to: &Path, moves: &mut Moves) -> io::Result<()> {
    for path in entries(from)? {
        let target = to.join(name(&path));
        match path.is_dir() && target.is_dir() {
            true => merge(&path, &target, moves)?,
            false => moves.rename(&path, &target)?,
        }
    }
    Ok(())
}

/// Puts every directory that holds files in the place of the one of its name.
fn replace_leaves(from: &Path, to: &Path, moves: &mut Moves) -> io::Result<()> {
    for path in entries(from)?.into_iter().filter(|path| path.is_dir()) {
        let target = to.join(name(&path));
        let leaf = entries(&path)?.iter().any(|inside| inside.is_file());
        match (target.is_dir(), leaf) {
            (false, _) => moves.rename(&path, &target)?,
            (true, true) => moves.replace(&path, &target)?,
            (true, false) => replace_leaves(&path, &target, moves)?,
        }
    }
    Ok(())
}

/// A hidden name in the same directory, so that a rename stays within one file system and readers of the
/// directory pass it over.
fn sibling(target: &Path, what: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{what}-{}", unique()))
}

/// A text that no other write of this or another process uses.
pub(super) fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{:x}-{}-{number}", now.map_or(0, |now| now.as_nanos()), std::process::id())
}
