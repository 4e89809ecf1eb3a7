//! The object store: immutable values behind counted handles, charged to the budget, spilled when cold.
//!
//! | object | put by | leaves memory as | comes back |
//! |---|---|---|---|
//! | partition (`entry`) | `put_batches`, `persist`, `spawn_stored` | Arrow IPC file, or dropped if cheap to compute | mapped, without a copy |
//! | value of a serde type (`value`) | `put_spillable` | postcard file | decoded |
//! | any other value | `put` | never: pinned, and counted so | |
//!
//! Owners: a handle ([`Partition`](crate::Partition), [`Stored`]) owns its entry; the store knows entries
//! only weakly, so dropping the last handle frees memory and file. An entry owns the store's inner part, so
//! it outlives its engine and the spill directory goes with the last of them.
//!
//! Who goes first is decided in `evict`, what is charged in `buffers`, how lost data is computed again in
//! `lineage`; `spill` writes and reads files through `disk`.
//!
//! Locks, in the order in which they may be nested: an entry's own, then the buffer register or the budget's
//! accounts. The list of entries is locked alone. An entry whose lock is taken is passed over by relief, so
//! relief never waits.

mod buffers;
mod disk;
mod entry;
mod evict;
#[cfg(test)]
mod faults;
mod lineage;
mod map;
mod sizes;
mod spill;
mod value;
mod verbs;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parking_lot::Mutex;

use crate::error::Result;
use crate::events::EventKind;
use crate::memory::{Budget, Relief};
use buffers::Buffers;
pub(crate) use buffers::{address, each};
pub(crate) use disk::{Disk, OsDisk};
pub(crate) use entry::Entry;
use evict::{GreedyDual, Rank};
pub use lineage::Lineage;
pub use spill::Compression;
pub(crate) use spill::SpillDir;
pub use value::Stored;

/// The account of stored objects in the budget.
const CONSUMER: &str = "object store";

/// The account of values that cannot be spilled.
pub(crate) const PINNED: &str = "put values";

/// What one relief at least writes, so that calls are rare; at most an eighth of the budget.
const MIN_RELIEF: usize = 16 << 20;

/// An object that can leave memory.
trait Evict: Send + Sync {
    fn rank(&self) -> &Rank;
    /// Gives the object's memory back; returns how much that was, 0 if someone uses it.
    fn evict(&self) -> Result<usize>;
    fn info(&self) -> ObjectInfo;
}

/// What has happened since the start.
#[derive(Default)]
struct Counts {
    spills: AtomicUsize,
    spilled_bytes: AtomicUsize,
    restores: AtomicUsize,
    drops: AtomicUsize,
    recomputes: AtomicUsize,
    failures: AtomicUsize,
}

struct Inner {
    budget: Budget,
    dir: SpillDir,
    entries: Mutex<HashMap<u64, Weak<dyn Evict>>>,
    buffers: Buffers,
    policy: GreedyDual,
    /// Ticks with every use.
    clock: AtomicU64,
    counts: Counts,
}

impl Inner {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn note_spill(&self, object: u64, bytes: usize, started: Instant) {
        self.counts.spills.fetch_add(1, Ordering::Relaxed);
        self.counts.spilled_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.budget.emit(|hub| EventKind::Spilled { object, bytes, started: hub.at(started) });
    }

    fn note_restore(&self, object: u64, bytes: usize, started: Instant) {
        self.counts.restores.fetch_add(1, Ordering::Relaxed);
        self.budget.emit(|hub| EventKind::Restored { object, bytes, started: hub.at(started) });
    }

    fn register(&self, id: u64, entry: Weak<dyn Evict>) {
        self.entries.lock().insert(id, entry);
    }

    fn forget(&self, id: u64) {
        self.entries.lock().remove(&id);
    }

    fn all(&self) -> Vec<Arc<dyn Evict>> {
        self.entries.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl Relief for Inner {
    fn relieve(&self, bytes: usize) -> usize {
        let wanted = bytes.max(MIN_RELIEF.min(self.budget.limit() / 8));
        let mut victims: Vec<_> = self.all().into_iter().map(|entry| (entry.rank().get(), entry)).collect();
        victims.sort_by_key(|(rank, _)| *rank);
        let mut freed = 0;
        for ((worth, _), victim) in victims {
            if freed >= wanted {
                break;
            }
            match victim.evict() {
                Ok(0) => {}
                Ok(bytes) => {
                    self.policy.evicted(worth);
                    freed += bytes;
                }
                // A file that cannot be written leaves its object in memory; the next may be smaller, and
                // if nothing helps the request is refused with the budget's own message.
                Err(_) => {
                    self.counts.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        freed
    }
}

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectKind {
    /// A slice of a table.
    Partition {
        /// Its rows.
        rows: usize,
    },
    /// A value of a serde type.
    Value,
}

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In memory and charged; it may be spilled.
    Memory,
    /// In memory and charged, and it cannot leave, because its type does not come back from bytes.
    Pinned,
    /// On disk, not charged.
    Disk,
    /// Computed again when it is needed.
    Nowhere,
}

/// A stored object as [`Store::objects`] shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// A number no other object of this process has.
    pub id: u64,
    /// What kind of object it is.
    pub kind: ObjectKind,
    /// The Rust type.
    pub type_name: &'static str,
    /// Bytes of memory it takes when it is there; buffers shared with other objects count for each.
    pub memory_bytes: usize,
    /// Bytes of its spill file; 0 if it has none.
    pub disk_bytes: u64,
    /// Where it is.
    pub place: Place,
    /// Who reads it now, handles aside.
    pub users: usize,
    /// Whether it can be computed again if it is lost.
    pub recomputable: bool,
}

/// The object store of an engine. A clone is the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    pub(crate) fn new(budget: Budget, dir: SpillDir) -> Self {
        let inner = Arc::new(Inner {
            budget: budget.clone(),
            dir,
            entries: Mutex::default(),
            buffers: Buffers::default(),
            policy: GreedyDual::default(),
            clock: AtomicU64::new(0),
            counts: Counts::default(),
        });
        let relief: Weak<dyn Relief> = Arc::downgrade(&(Arc::clone(&inner) as Arc<dyn Relief>));
        budget.set_relief(relief);
        Self(inner)
    }

    pub(crate) fn put(
        &self,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        lineage: Option<Lineage>,
    ) -> Result<Arc<Entry>> {
        Entry::put(&self.0, schema, batches, lineage)
    }

    /// Objects stored now that may be spilled: partitions and values, in memory or not.
    pub fn object_count(&self) -> usize {
        self.0.entries.lock().len()
    }

    /// Partitions and spillable values, in order of their ids. Values of [`Engine::put`](crate::Engine::put)
    /// are pinned, and only their bytes are known: [`Store::pinned_bytes`].
    pub fn objects(&self) -> Vec<ObjectInfo> {
        let mut infos: Vec<ObjectInfo> = self.0.all().iter().map(|entry| entry.info()).collect();
        infos.sort_by_key(|info| info.id);
        infos
    }

    /// Partitions stored now, in memory or spilled.
    pub fn partition_count(&self) -> usize {
        let is_partition = |info: &ObjectInfo| matches!(info.kind, ObjectKind::Partition { .. });
        self.objects().iter().filter(|info| is_partition(info)).count()
    }

    /// Bytes charged for the values of [`Engine::put`](crate::Engine::put), which are never spilled.
    pub fn pinned_bytes(&self) -> usize {
        self.0.budget.held_by(PINNED)
    }

    /// How many times an object was written to disk since the start.
    pub fn spill_count(&self) -> usize {
        self.0.counts.spills.load(Ordering::Relaxed)
    }

    /// Bytes of memory given back by spilling since the start.
    pub fn spilled_bytes(&self) -> usize {
        self.0.counts.spilled_bytes.load(Ordering::Relaxed)
    }

    /// How many times an object was read back from disk since the start.
    pub fn restore_count(&self) -> usize {
        self.0.counts.restores.load(Ordering::Relaxed)
    }

    /// How many partitions were dropped instead of spilled, because they can be computed again.
    pub fn drop_count(&self) -> usize {
        self.0.counts.drops.load(Ordering::Relaxed)
    }

    /// How many times a dropped or lost partition was computed again.
    pub fn recompute_count(&self) -> usize {
        self.0.counts.recomputes.load(Ordering::Relaxed)
    }

    /// How many spill files could not be written, for want of disk space for example.
    pub fn spill_failure_count(&self) -> usize {
        self.0.counts.failures.load(Ordering::Relaxed)
    }

    /// Spills cold objects until about `bytes` are given back; returns how many were.
    pub fn spill(&self, bytes: usize) -> usize {
        if bytes == 0 { 0 } else { self.0.relieve(bytes) }
    }

    /// The directory spill files go to; it is removed with the engine and its last object.
    pub fn spill_dir(&self) -> &Path {
        self.0.dir.path()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} objects, {} spills)", self.object_count(), self.spill_count())
    }
}
