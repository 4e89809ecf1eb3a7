//! Bags from and to files of lines: text, and JSON with a value per line.
//!
//! A file is a partition, or several: with a block size, partition `i` holds the lines that start within
//! the `i`-th block, whichever block they end in. Files that end in `.gz` are decompressed and not split.
//! Files are read when a partition is pulled, line by line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use trefoil_core::{Error, ErrorKind, Result};

use super::Bag;
use super::build::{BagBuilder, invalid};
use super::part::{Items, Part};

/// How files of lines are read.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct TextOptions {
    block_bytes: Option<u64>,
}

impl TextOptions {
    /// A partition for each file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Splits files into partitions of about so many bytes, cut at line ends. Dask: `blocksize=`.
    pub fn block_bytes(mut self, bytes: u64) -> Self {
        self.block_bytes = Some(bytes);
        self
    }
}

impl BagBuilder<'_> {
    /// The lines of a file, of all files that match a pattern such as `logs/*.txt`, or of all files in a
    /// directory, without their line ends; files in the order of their names. Dask: `db.read_text(path)`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when no file matches; when it runs, [`ErrorKind::Io`], and
    /// [`ErrorKind::MalformedData`] for bytes that are not UTF-8, with file and place.
    pub fn read_text(&self, path: impl AsRef<Path>) -> Result<Bag<String>> {
        self.read_text_with(path, TextOptions::new())
    }

    /// As [`read_text`](BagBuilder::read_text), with options.
    ///
    /// # Errors
    /// As [`read_text`](BagBuilder::read_text), and [`ErrorKind::InvalidArgument`] for a block of no bytes.
    pub fn read_text_with(&self, path: impl AsRef<Path>, options: TextOptions) -> Result<Bag<String>> {
        self.lines("read_text", path.as_ref(), options, |line| Ok(Some(line.to_owned())))
    }

    /// The values of files with a JSON value per line, as `T` (`serde_json::Value` takes any); blank lines
    /// are passed over. Paths as in [`read_text`](BagBuilder::read_text).
    /// Dask: `db.read_text(path).map(json.loads)`.
    ///
    /// # Errors
    /// As [`read_text`](BagBuilder::read_text); when it runs, [`ErrorKind::MalformedData`] for a line that
    /// is no JSON or no `T`, with file and place.
    pub fn read_json<T: DeserializeOwned + Send + 'static>(&self, path: impl AsRef<Path>) -> Result<Bag<T>> {
        self.read_json_with(path, TextOptions::new())
    }

    /// As [`read_json`](BagBuilder::read_json), with options.
    ///
    /// # Errors
    /// As [`read_json`](BagBuilder::read_json), and [`ErrorKind::InvalidArgument`] for a block of no bytes.
    pub fn read_json_with<T: DeserializeOwned + Send + 'static>(
        &self,
        path: impl AsRef<Path>,
        options: TextOptions,
    ) -> Result<Bag<T>> {
        self.lines("read_json", path.as_ref(), options, |line| match line.trim() {
            "" => Ok(None),
            line => serde_json::from_str(line).map(Some).map_err(|error| error.to_string()),
        })
    }

    fn lines<T: Send + 'static>(
        &self,
        op: &'static str,
        path: &Path,
        options: TextOptions,
        parse: impl Fn(&str) -> Result<Option<T>, String> + Send + Sync + 'static,
    ) -> Result<Bag<T>> {
        if options.block_bytes == Some(0) {
            return Err(invalid(op, "a block has at least one byte"));
        }
        let parse: Arc<Parse<T>> = Arc::new(parse);
        let mut parts = Vec::new();
        for file in find(op, path)? {
            let bytes = fs::metadata(&file).map_err(|e| io_error(op, &file, e))?.len();
            let block = match options.block_bytes {
                Some(block) if !is_gzip(&file) => block,
                _ => bytes.max(1),
            };
            for index in 0..bytes.div_ceil(block).max(1) {
                let (file, parse) = (file.clone(), Arc::clone(&parse));
                // the last block has no end: the file may have grown
                let end = if (index + 1) * block >= bytes { u64::MAX } else { (index + 1) * block };
                parts.push(Part::new(Vec::new(), move |_| {
                    Lines::open(op, &file, index * block, end, Arc::clone(&parse))
                }));
            }
        }
        Ok(Bag::new(self.engine.clone(), parts))
    }
}

type Parse<T> = dyn Fn(&str) -> Result<Option<T>, String> + Send + Sync;

/// The lines that start in one range of a file.
struct Lines<T> {
    op: &'static str,
    file: PathBuf,
    reader: Box<dyn BufRead + Send>,
    /// Where the next line starts.
    at: u64,
    end: u64,
    line: Vec<u8>,
    parse: Arc<Parse<T>>,
    failed: bool,
}

impl<T: Send + 'static> Lines<T> {
    fn open(op: &'static str, file: &Path, start: u64, end: u64, parse: Arc<Parse<T>>) -> Result<Items<T>> {
        let fail = |e| io_error(op, file, e);
        let mut opened = File::open(file).map_err(fail)?;
        let mut at = start;
        let reader: Box<dyn BufRead + Send> = if is_gzip(file) {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(opened)))
        } else if start == 0 {
            Box::new(BufReader::new(opened))
        } else {
            // the line that runs into this block belongs to the one before; it ends at the first line end
            // at or after the byte before the start
            opened.seek(SeekFrom::Start(start - 1)).map_err(fail)?;
            let mut reader = BufReader::new(opened);
            at = start - 1 + skip_line(&mut reader).map_err(fail)?;
            Box::new(reader)
        };
        let file = file.to_owned();
        Ok(Box::new(Lines { op, file, reader, at, end, line: Vec::new(), parse, failed: false }))
    }

    fn next_line(&mut self) -> Result<Option<T>> {
        while self.at < self.end {
            self.line.clear();
            let read = self.reader.read_until(b'\n', &mut self.line);
            let bytes = read.map_err(|e| io_error(self.op, &self.file, e))?;
            if bytes == 0 {
                return Ok(None);
            }
            let start = self.at;
            self.at += bytes as u64;
            let mut line = self.line.as_slice();
            line = line.strip_suffix(b"\n").unwrap_or(line);
            line = line.strip_suffix(b"\r").unwrap_or(line);
            let malformed = |what: String| {
                let text = format!("the line at byte {start} of `{}` {what}", self.file.display());
                Error::new(ErrorKind::MalformedData, self.op, text)
            };
            let text = std::str::from_utf8(line).map_err(|e| malformed(format!("is not UTF-8: {e}")))?;
            if let Some(item) = (self.parse)(text).map_err(|e| malformed(format!("does not fit: {e}")))? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}

/// Reads to the end of a line, however long, without holding it.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let (bytes, over) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(bytes);
        skipped += bytes as u64;
        if over {
            return Ok(skipped);
        }
    }
}

impl<T: Send + 'static> Iterator for Lines<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.failed {
            return None;
        }
        let next = self.next_line().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

fn is_gzip(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

fn io_error(op: &'static str, file: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        // gzip reports broken data so
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            ErrorKind::MalformedData
        }
        _ => ErrorKind::Io,
    };
    Error::new(kind, op, format!("`{}`: {error}", file.display())).with_source(error)
}

/// The files a path means, in the order of their names; hidden ones are passed over.
fn find(op: &'static str, path: &Path) -> Result<Vec<PathBuf>> {
    let listed: Vec<PathBuf> = if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|e| io_error(op, path, e))?;
        entries
            .map(|entry| entry.map(|e| e.path()))
            .collect::<io::Result<_>>()
            .map_err(|e| io_error(op, path, e))?
    } else if path.exists() {
        vec![path.to_owned()]
    } else {
        let pattern = path.to_string_lossy();
        let found = glob::glob(&pattern)
            .map_err(|e| invalid(op, format!("`{pattern}` is not a pattern: {e}")).with_source(e))?;
        found.filter_map(|entry| entry.ok()).collect()
    };
    let hidden = |file: &Path| file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let mut files: Vec<PathBuf> = listed.into_iter().filter(|file| file.is_file() && !hidden(file)).collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, op, format!("no file matches `{}`", path.display()))
            .with_help("give a file, a directory, or a pattern such as `logs/*.txt`"));
    }
    Ok(files)
}

impl<T: AsRef<str> + Send + 'static> Bag<T> {
    /// Writes a line per item to `part-00000.txt` and so on, a file per partition, in a new directory that
    /// appears when it is complete. Gives the paths. Dask: `b.to_textfiles("dir/*.txt")`.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] when there is something at `directory`, [`ErrorKind::MalformedData`]
    /// for an item with a line end in it, [`ErrorKind::Io`], and what the bag reports.
    pub async fn write_text(&self, directory: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        self.write("write_text", directory.as_ref(), "txt", |item, out| {
            let text = item.as_ref();
            if text.contains('\n') {
                let start: String = text.chars().take(40).collect();
                return Err(Error::new(
                    ErrorKind::MalformedData,
                    "write_text",
                    format!("the item that starts with {start:?} has a line end in it"),
                ));
            }
            writeln!(out, "{text}").map_err(|e| io_error("write_text", Path::new("a part"), e))
        })
        .await
    }
}

impl<T: Send + 'static> Bag<T> {
    /// Writes each item as a line of JSON to `part-00000.jsonl` and so on; see
    /// [`write_text`](Bag::write_text). Dask: `b.map(json.dumps).to_textfiles(..)`.
    ///
    /// # Errors
    /// As [`write_text`](Bag::write_text), and an item that is not JSON, such as a map with keys that are
    /// no text.
    pub async fn write_json(&self, directory: impl AsRef<Path>) -> Result<Vec<PathBuf>>
    where
        T: Serialize,
    {
        const OP: &str = "write_json";
        self.write(OP, directory.as_ref(), "jsonl", |item, out| {
            let line = serde_json::to_string(item)
                .map_err(|e| Error::new(ErrorKind::MalformedData, OP, e.to_string()).with_source(e))?;
            writeln!(out, "{line}").map_err(|e| io_error(OP, Path::new("a part"), e))
        })
        .await
    }

    async fn write(
        &self,
        op: &'static str,
        directory: &Path,
        extension: &'static str,
        line: impl Fn(&T, &mut dyn Write) -> Result<()> + Copy + Send + Sync + 'static,
    ) -> Result<Vec<PathBuf>> {
        let target = std::path::absolute(directory).map_err(|e| io_error(op, directory, e))?;
        if target.symlink_metadata().is_ok() {
            let text = format!("`{}` exists already", target.display());
            return Err(Error::new(ErrorKind::AlreadyExists, op, text).with_help("write to another path"));
        }
        let Some(name) = target.file_name() else {
            return Err(invalid(op, format!("`{}` is not a path for files", target.display())));
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // written beside the target under a hidden name, so that nobody sees half of it
        let unfinished = Unfinished(target.with_file_name(format!(
            ".{}.part-{}-{}",
            name.to_string_lossy(),
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        )));
        fs::create_dir_all(&unfinished.0).map_err(|e| io_error(op, &unfinished.0, e))?;
        let calls: Vec<_> = self
            .parts
            .iter()
            .enumerate()
            .map(|(index, part)| {
                let path = unfinished.0.join(format!("part-{index:05}.{extension}"));
                part.task(op, move |items| {
                    let mut out = BufWriter::new(File::create(&path).map_err(|e| io_error(op, &path, e))?);
                    for item in items {
                        line(&item?, &mut out)?;
                    }
                    out.flush().map_err(|e| io_error(op, &path, e))
                })
            })
            .collect();
        let running = super::run::CancelOnDrop::new(self.engine.spawn_all(calls));
        running.finish().await?;
        fs::rename(&unfinished.0, &target).map_err(|e| io_error(op, &target, e))?;
        let count = self.parts.len();
        Ok((0..count).map(|index| target.join(format!("part-{index:05}.{extension}"))).collect())
    }
}

/// A directory that is not complete yet; removed on drop.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // gone already if it was published
        let _ = fs::remove_dir_all(&self.0);
    }
}
