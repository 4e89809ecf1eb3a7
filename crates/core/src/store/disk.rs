//! What the store asks of the file system, in four verbs, so that tests can make a disk fail.
//!
//! The engine uses [`OsDisk`]. Tests of this crate put a disk of `faults` in its place.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use arrow_buffer::Buffer;

use super::map::map_file;

/// The file system as spill files need it.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// A new file, open for writing; everything is written once, front to back.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>>;
    /// Gives a complete file its final name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// The bytes of a complete file, mapped.
    fn map(&self, path: &Path) -> io::Result<Buffer>;
    /// Removes a file; one that is not there is removed already.
    fn remove(&self, path: &Path);
}

/// The file system of the machine.
#[derive(Debug)]
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(fs::File::create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn map(&self, path: &Path) -> io::Result<Buffer> {
        map_file(path)
    }

    fn remove(&self, path: &Path) {
        let _ = fs::remove_file(path);
    }
}
