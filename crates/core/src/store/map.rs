//! Mapping a spill file into memory: the only unsafe code of trefoil.
//!
//! What it buys: a spilled partition is read back without a copy, at the speed of the page cache, and the
//! kernel may drop its pages again.
//!
//! Proof obligation of `Mmap::map`: nobody truncates or changes the file while the mapping lives. The
//! store holds to it by construction: a spill file is written once under a name no one else has (engine
//! directory plus a process-wide number), renamed into place complete, never opened for writing again, and
//! only ever unlinked, which leaves a mapping valid. The directory is created with access for its owner
//! alone. Someone who changes files in it by hand breaks the contract; the checksum finds that at the next
//! read, not during one.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use arrow_buffer::Buffer;
use bytes::Bytes;

/// Maps a complete, immutable file written by this process.
pub(super) fn map_file(path: &Path) -> io::Result<Buffer> {
    let file = File::open(path)?;
    // SAFETY: the file is immutable while mapped; see the module header.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Buffer::from(Bytes::from_owner(map)))
}
