//! Stored values of the user's own types that can be spilled: postcard bytes in a file with a checksum.
//!
//! ```text
//!   put_spillable ──> Resident ──evict──> Resident nowhere, file kept ──load──> Resident, file kept
//! ```
//!
//! A value never changes, so its file is written once, at the first eviction; later ones only forget the
//! memory. A value is not evicted while somebody holds what [`Stored::load`] gave.
//!
//! Postcard is not self-describing, and a type may serialise what it cannot read back (untagged enums,
//! skipped fields). So before the memory is given up, the file is read back and encoded again; unless the
//! same bytes come out, the value stays in memory and counts as pinned from then on.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrow_schema::ArrowError;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::evict::{Facts, Rank, Way};
use super::spill::SpillFile;
use super::{CONSUMER, Evict, Inner, ObjectInfo, ObjectKind, Place};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Arg, Call, IntoArg, TaskSpec};
use crate::id::next_number;

struct State<T> {
    resident: Option<Arc<T>>,
    file: Option<SpillFile>,
    /// Why the value cannot leave memory, once that is known.
    pinned: Option<&'static str>,
}

struct ValueEntry<T> {
    id: u64,
    bytes: usize,
    state: Mutex<State<T>>,
    rank: Rank,
    store: Arc<Inner>,
}

/// A handle to a stored value that may be on disk; from [`Engine::put_spillable`](crate::Engine::put_spillable).
///
/// A clone is another handle to the same value; the last one dropped frees memory and file. It can be given
/// to a task wherever a `T` is expected (the task gets a clone).
///
/// # Examples
///
/// ```
/// use trefoil_core::Engine;
///
/// let engine = Engine::builder().memory("64MiB").build()?;
/// let words = engine.put_spillable(vec!["cold".to_owned(), "words".to_owned()])?;
/// engine.store().spill(usize::MAX);
/// assert!(words.is_spilled());
/// assert_eq!(words.load()?[1], "words");
/// # Ok::<(), trefoil_core::Error>(())
/// ```
pub struct Stored<T>(Arc<ValueEntry<T>>);

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Stored<T> {
    /// `value` is charged by the caller.
    pub(super) fn new(store: &Arc<Inner>, value: T, bytes: usize) -> Self {
        let mut entry = ValueEntry {
            id: next_number(),
            bytes,
            state: Mutex::new(State { resident: Some(Arc::new(value)), file: None, pinned: None }),
            rank: Rank::new(0, 0),
            store: Arc::clone(store),
        };
        let facts = entry.state.get_mut().facts(bytes);
        entry.rank.touch(store.policy.worth(&facts), store.tick());
        let entry = Arc::new(entry);
        store.register(entry.id, Arc::downgrade(&entry) as Weak<dyn Evict>);
        Self(entry)
    }

    /// The value, read back from its file if it was spilled. It stays in memory while this is held.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DataLost`] if the file is gone or damaged; [`ErrorKind::OutOfMemory`] if the budget
    /// cannot hold the value.
    pub fn load(&self) -> Result<Arc<T>> {
        let entry = &*self.0;
        let mut state = entry.state.lock();
        entry.rank.touch(entry.store.policy.worth(&state.facts(entry.bytes)), entry.store.tick());
        if let Some(value) = &state.resident {
            return Ok(Arc::clone(value));
        }
        let Some(file) = &state.file else {
            return Err(Error::new(
                ErrorKind::Internal,
                "load",
                "a stored value is neither in memory nor on disk",
            ));
        };
        entry.store.budget.try_grow(CONSUMER, entry.bytes)?;
        let started = Instant::now();
        let read = file.read_value(entry.store.dir.compression(), |bytes| postcard::from_bytes::<T>(bytes));
        match read {
            Ok(value) => {
                entry.store.note_restore(entry.id, entry.bytes, started);
                let value = Arc::new(value);
                state.resident = Some(Arc::clone(&value));
                Ok(value)
            }
            Err(error) => {
                entry.store.budget.shrink(CONSUMER, entry.bytes);
                Err(error.with_help(
                    "the file was changed or removed from outside, and the value was given with \
                     `put_spillable`, so there is nothing to compute it from: store it again",
                ))
            }
        }
    }

    /// Whether the value is on disk only.
    pub fn is_spilled(&self) -> bool {
        self.0.state.lock().resident.is_none()
    }

    /// Bytes of memory charged for the value while it is there.
    pub fn memory_bytes(&self) -> usize {
        self.0.bytes
    }

    /// A number no other object of this process has.
    pub fn id(&self) -> u64 {
        self.0.id
    }
}

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Stored<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.0.state.lock().resident.is_some() { "in memory" } else { "spilled" };
        write!(f, "Stored({}, {place})", std::any::type_name::<T>())
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> IntoArg<T> for Stored<T> {
    fn into_arg(self) -> Arg<T> {
        let load = move |()| self.load().map(|value| T::clone(&value));
        Arg::Call(Call::new(TaskSpec::new("load"), (), load))
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> IntoArg<T> for &Stored<T> {
    fn into_arg(self) -> Arg<T> {
        self.clone().into_arg()
    }
}

impl<T> State<T> {
    fn facts(&self, bytes: usize) -> Facts {
        Facts { bytes, has_file: self.file.is_some(), is_value: true, recompute: None }
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Evict for ValueEntry<T> {
    fn rank(&self) -> &Rank {
        &self.rank
    }

    fn evict(&self) -> Result<usize> {
        let Some(mut state) = self.state.try_lock() else { return Ok(0) };
        let Some(value) = state.resident.as_ref().filter(|value| Arc::strong_count(value) == 1) else {
            return Ok(0);
        };
        if state.pinned.is_some() {
            return Ok(0);
        }
        if state.facts(self.bytes).way().0 == Way::Write {
            let started = Instant::now();
            let sum = match checksum(&**value) {
                Ok(sum) => sum,
                Err(_) => {
                    state.pinned = Some("it does not serialise");
                    return Ok(0);
                }
            };
            let file = self.store.dir.write_value(|to| encode(&**value, to).map_err(ArrowError::from))?;
            let compression = self.store.dir.compression();
            let again = file.read_value(compression, |bytes| postcard::from_bytes::<T>(bytes));
            if again.ok().and_then(|again| checksum(&again).ok()) != Some(sum) {
                state.pinned = Some("it does not come back from its serialised form");
                return Ok(0);
            }
            state.file = Some(file);
            self.store.note_spill(self.id, self.bytes, started);
        }
        let value = state.resident.take();
        drop(state);
        drop(value);
        self.store.budget.shrink(CONSUMER, self.bytes);
        Ok(self.bytes)
    }

    fn info(&self) -> ObjectInfo {
        let state = self.state.lock();
        let place = match (&state.resident, state.pinned) {
            (None, _) => Place::Disk,
            (Some(_), None) => Place::Memory,
            (Some(_), Some(_)) => Place::Pinned,
        };
        ObjectInfo {
            id: self.id,
            kind: ObjectKind::Value,
            type_name: std::any::type_name::<T>(),
            memory_bytes: self.bytes,
            disk_bytes: state.file.as_ref().map_or(0, SpillFile::length),
            place,
            users: state.resident.as_ref().map_or(0, |value| Arc::strong_count(value) - 1),
            recomputable: false,
        }
    }
}

impl<T> Drop for ValueEntry<T> {
    fn drop(&mut self) {
        self.store.forget(self.id);
        if self.state.get_mut().resident.take().is_some() {
            self.store.budget.shrink(CONSUMER, self.bytes);
        }
    }
}

/// Keeps the error of the disk, which postcard would replace by its own.
struct Keeping<'a> {
    to: &'a mut dyn Write,
    error: Option<io::Error>,
}

impl Write for Keeping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).map_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            self.error = Some(error);
            copy
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn encode<T: Serialize>(value: &T, to: &mut dyn Write) -> io::Result<()> {
    let mut keeping = Keeping { to, error: None };
    match postcard::to_io(value, &mut keeping) {
        Ok(_) => Ok(()),
        Err(error) => Err(keeping.error.unwrap_or_else(|| io::Error::other(error))),
    }
}

/// The checksum of a value's serialised form.
fn checksum<T: Serialize>(value: &T) -> io::Result<u32> {
    struct Sum(crc32fast::Hasher);
    impl Write for Sum {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sum = Sum(crc32fast::Hasher::new());
    // Buffered: numbers are written byte by byte.
    let mut buffered = io::BufWriter::with_capacity(64 << 10, &mut sum);
    encode(value, &mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    Ok(sum.0.finalize())
}
