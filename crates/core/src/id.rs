//! Identifiers: plain numbers, unique across processes.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The identifier of a value behind a [`Ref`](crate::Ref): which process made it, and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefId {
    process: u64,
    number: u64,
}

impl RefId {
    /// The id with this number, from [`next_ref_number`].
    pub(crate) fn of(number: u64) -> Self {
        Self { process: process_id(), number }
    }

    pub(crate) fn parts(&self) -> (u64, u64) {
        (self.process, self.number)
    }

    /// The value's number within the process that made it, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Debug for RefId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.process >> 32, self.number)
    }
}

impl fmt::Display for RefId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A number for a new [`RefId`], or a call. Each thread takes a block at a time: one shared counter would be the
/// busiest word of the process.
#[inline]
pub(crate) fn next_ref_number() -> u64 {
    const BLOCK: u64 = 1024;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static LAST: Cell<u64> = const { Cell::new(0) };
    }
    let mut last = LAST.get();
    if last.is_multiple_of(BLOCK) {
        last = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
    }
    LAST.set(last + 1);
    last + 1
}

/// A number no other object of this process has.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A random number drawn once per process, so that ids of two processes do not meet.
pub(crate) fn process_id() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(|| {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.finish()
    })
}
