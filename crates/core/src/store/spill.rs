//! Spill files: Arrow IPC with a checksum, one file per immutable partition, in a directory per engine.
//!
//! Life of the directory: created by `SpillDir::create` as `trefoil-<pid>-<number>` below the configured
//! parent (which is created too), removed with everything in it when the last owner drops it. Directories
//! of processes that no longer run are swept when a new one is created beside them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::root_as_footer;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Schema};

use super::map::map_file;
use crate::error::{Error, ErrorKind, Result};
use crate::id::next_number;

const PREFIX: &str = "trefoil-";

/// The directory an engine spills to; removed on drop.
#[derive(Debug)]
pub(crate) struct SpillDir {
    path: PathBuf,
}

impl SpillDir {
    /// Creates a fresh directory below `parent` and checks that it can be written.
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        let refuse = |path: &Path, error: io::Error| {
            Error::new(
                ErrorKind::Io,
                "spill directory",
                format!("cannot write to {}: {error}", path.display()),
            )
            .with_help("choose a writable directory with `spill_dir(path)`")
            .with_source(error)
        };
        fs::create_dir_all(parent).map_err(|e| refuse(parent, e))?;
        sweep(parent);
        let path = parent.join(format!("{PREFIX}{}-{}", std::process::id(), next_number()));
        create_private(&path).map_err(|e| refuse(&path, e))?;
        let dir = Self { path };
        // A directory on a full or read-only device may be creatable and yet useless: find out now.
        let probe = dir.path.join("probe");
        fs::write(&probe, b"trefoil").map_err(|e| refuse(&probe, e))?;
        fs::remove_file(&probe).map_err(|e| refuse(&probe, e))?;
        Ok(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn fresh_file(&self) -> PathBuf {
        self.path.join(format!("{}.arrow", next_number()))
    }
}

impl Drop for SpillDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Removes directories whose process is gone. Only where `/proc` tells; elsewhere they stay.
fn sweep(parent: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(pid, _)| pid.parse::<u32>().ok());
        if let Some(pid) = owner
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A partition on disk; the file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct SpillFile {
    path: PathBuf,
    length: u64,
    checksum: u32,
}

impl SpillFile {
    /// Writes `batches`; on failure no file remains.
    pub(crate) fn write(dir: &SpillDir, schema: &Schema, batches: &[RecordBatch]) -> Result<Self> {
        let path = dir.fresh_file();
        let partial = path.with_extension("partial");
        let result = write_batches(&partial, schema, batches)
            .and_then(|sums| fs::rename(&partial, &path).map(|()| sums).map_err(ArrowError::from));
        match result {
            Ok((length, checksum)) => Ok(Self { path, length, checksum }),
            Err(error) => {
                let _ = fs::remove_file(&partial);
                Err(Error::new(ErrorKind::Io, "spill", format!("cannot write {}: {error}", path.display()))
                    .with_help("free disk space or choose another directory with `spill_dir(path)`")
                    .with_source(error))
            }
        }
    }

    /// Maps the file and decodes it without a copy, after checking length and checksum.
    pub(crate) fn read(&self) -> Result<Vec<RecordBatch>> {
        let lost = |why: String| {
            Error::new(
                ErrorKind::DataLost,
                "read spilled partition",
                format!("{}: {why}", self.path.display()),
            )
            .with_help("the file was changed or removed from outside; compute the value again")
        };
        let buffer = map_file(&self.path).map_err(|e| lost(e.to_string()).with_source(e))?;
        if buffer.len() as u64 != self.length {
            return Err(lost(format!("{} bytes instead of {}", buffer.len(), self.length)));
        }
        if crc32fast::hash(&buffer) != self.checksum {
            return Err(lost("checksum does not match".to_owned()));
        }
        decode(&buffer).map_err(|e| lost(e.to_string()).with_source(e))
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Counts and sums what passes through.
struct Summing<W> {
    inner: W,
    length: u64,
    hasher: crc32fast::Hasher,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn write_batches(path: &Path, schema: &Schema, batches: &[RecordBatch]) -> Result<(u64, u32), ArrowError> {
    let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut writer =
        FileWriter::try_new(Summing { inner: file, length: 0, hasher: crc32fast::Hasher::new() }, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    let mut summing = writer.into_inner()?;
    summing.flush()?;
    Ok((summing.length, summing.hasher.finalize()))
}

fn decode(buffer: &Buffer) -> Result<Vec<RecordBatch>, ArrowError> {
    const TRAILER: usize = 10;
    let wrong = |what: &str| ArrowError::IpcError(what.to_owned());
    let trailer_start = buffer.len().checked_sub(TRAILER).ok_or_else(|| wrong("no footer"))?;
    let trailer: [u8; TRAILER] = buffer[trailer_start..].try_into().map_err(|_| wrong("no footer"))?;
    let footer_length = read_footer_length(trailer)?;
    let footer_start = trailer_start.checked_sub(footer_length).ok_or_else(|| wrong("short footer"))?;
    let footer = root_as_footer(&buffer[footer_start..trailer_start])
        .map_err(|e| ArrowError::IpcError(format!("bad footer: {e:?}")))?;
    let schema = fb_to_schema(footer.schema().ok_or_else(|| wrong("no schema"))?);
    let mut decoder =
        FileDecoder::new(std::sync::Arc::new(schema), footer.version()).with_require_alignment(true);
    let slice = |block: &arrow_ipc::Block| {
        let length = block.bodyLength() as usize + block.metaDataLength() as usize;
        buffer.slice_with_length(block.offset() as usize, length)
    };
    for block in footer.dictionaries().iter().flatten() {
        decoder.read_dictionary(block, &slice(block))?;
    }
    let mut batches = Vec::new();
    for block in footer.recordBatches().iter().flatten() {
        if let Some(batch) = decoder.read_record_batch(block, &slice(block))? {
            batches.push(batch);
        }
    }
    Ok(batches)
}
