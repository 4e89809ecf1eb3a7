//! Spill files: bytes with a checksum, one file per immutable object, in a directory per engine.
//!
//! A partition is written in the Arrow IPC file format and mapped back without a copy; a value is written by
//! its codec. With compression on, the buffers of a partition are LZ4 blocks inside the format, and a value
//! is one LZ4 frame; both are then copied when they are read.
//!
//! Life of the directory: created by `SpillDir::create` as `trefoil-<pid>-<number>` below the configured
//! parent (which is created too), removed with everything in it when the last owner drops it. Directories
//! of processes that no longer run are swept when a new one is created beside them.
//!
//! Life of a file: written under a name of its own that ends in `.partial`, renamed when it is complete,
//! removed when its `SpillFile` is dropped. A write that fails leaves nothing behind.

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::CompressionType;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::root_as_footer;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{ArrowError, Schema};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};

use super::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::id::next_number;

const PREFIX: &str = "trefoil-";

/// Whether spill files are compressed; see
/// [`EngineBuilder::spill_compression`](crate::EngineBuilder::spill_compression).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// As they are in memory: written at the speed of the disk and mapped back without a copy.
    #[default]
    None,
    /// LZ4: less disk for more work, and a copy when they are read.
    Lz4,
}

/// The directory an engine spills to; removed on drop.
#[derive(Debug)]
pub(crate) struct SpillDir {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    compression: Compression,
}

impl SpillDir {
    /// Creates a fresh directory below `parent` and checks that it can be written.
    pub(crate) fn create(parent: &Path, disk: Arc<dyn Disk>, compression: Compression) -> Result<Self> {
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
        let dir = Self { path, disk, compression };
        // A directory on a full or read-only device may be creatable and yet useless: find out now.
        let probe = dir.path.join("probe");
        fs::write(&probe, b"trefoil").map_err(|e| refuse(&probe, e))?;
        fs::remove_file(&probe).map_err(|e| refuse(&probe, e))?;
        Ok(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    /// Writes one file; on failure none remains.
    fn write(
        &self,
        extension: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), ArrowError>,
    ) -> Result<SpillFile> {
        let path = self.path.join(format!("{}.{extension}", next_number()));
        let partial = path.with_extension("partial");
        let written = || -> Result<(u64, u32), ArrowError> {
            // Headers are gathered; columns are larger than this and go out without a copy.
            let file = BufWriter::with_capacity(32 << 10, self.disk.create(&partial)?);
            let mut summing = Summing { inner: file, length: 0, hasher: crc32fast::Hasher::new() };
            fill(&mut summing)?;
            summing.flush()?;
            self.disk.rename(&partial, &path)?;
            Ok((summing.length, summing.hasher.finalize()))
        };
        match written() {
            Ok((length, checksum)) => Ok(SpillFile { path, length, checksum, disk: Arc::clone(&self.disk) }),
            Err(error) => {
                self.disk.remove(&partial);
                Err(Error::new(ErrorKind::Io, "spill", format!("cannot write {}: {error}", path.display()))
                    .with_help("free disk space or choose another directory with `spill_dir(path)`")
                    .with_source(error))
            }
        }
    }

    /// Writes `batches` as one file.
    pub(super) fn write_batches(&self, schema: &Schema, batches: &[RecordBatch]) -> Result<SpillFile> {
        self.write("arrow", |to| {
            let options = match self.compression {
                Compression::None => IpcWriteOptions::default(),
                Compression::Lz4 => {
                    IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?
                }
            };
            let mut writer = FileWriter::try_new_with_options(to, schema, options)?;
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()
        })
    }

    /// Writes what `encode` writes as one file.
    pub(super) fn write_value(
        &self,
        encode: impl FnOnce(&mut dyn Write) -> Result<(), ArrowError>,
    ) -> Result<SpillFile> {
        self.write("value", |to| match self.compression {
            Compression::None => encode(to),
            Compression::Lz4 => {
                let mut frame = FrameEncoder::new(to);
                encode(&mut frame)?;
                frame.finish().map(|_| ()).map_err(|error| ArrowError::from(io::Error::other(error)))
            }
        })
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

/// An object on disk; the file goes when this is dropped.
#[derive(Debug)]
pub(super) struct SpillFile {
    path: PathBuf,
    length: u64,
    checksum: u32,
    disk: Arc<dyn Disk>,
}

impl SpillFile {
    /// Bytes on disk.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The file's bytes, mapped, after a look at length and checksum.
    fn map(&self) -> Result<Buffer> {
        let buffer = self.disk.map(&self.path).map_err(|e| self.lost(e.to_string()).with_source(e))?;
        if buffer.len() as u64 != self.length {
            return Err(self.lost(format!("{} bytes instead of {}", buffer.len(), self.length)));
        }
        if crc32fast::hash(&buffer) != self.checksum {
            return Err(self.lost("checksum does not match"));
        }
        Ok(buffer)
    }

    /// The batches, their columns in the mapping unless they are compressed.
    pub(super) fn read_batches(&self) -> Result<Vec<RecordBatch>> {
        decode(&self.map()?).map_err(|e| self.lost(e.to_string()).with_source(e))
    }

    /// What `decode` makes of the bytes that were encoded.
    pub(super) fn read_value<T>(
        &self,
        compression: Compression,
        decode: impl FnOnce(&[u8]) -> Result<T, postcard::Error>,
    ) -> Result<T> {
        let buffer = self.map()?;
        let value = match compression {
            Compression::None => decode(&buffer),
            Compression::Lz4 => {
                let mut bytes = Vec::new();
                FrameDecoder::new(&*buffer)
                    .read_to_end(&mut bytes)
                    .map_err(|e| self.lost(e.to_string()).with_source(e))?;
                decode(&bytes)
            }
        };
        value.map_err(|e| self.lost(e.to_string()).with_source(e))
    }

    fn lost(&self, why: impl Into<String>) -> Error {
        let message = format!("{}: {}", self.path.display(), why.into());
        Error::new(ErrorKind::DataLost, "read spilled object", message)
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.disk.remove(&self.path);
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
    let mut decoder = FileDecoder::new(Arc::new(schema), footer.version()).with_require_alignment(true);
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
