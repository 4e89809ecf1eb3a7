//! The object store: immutable values behind counted handles, charged to the budget, spilled when cold.
//!
//! States of a stored partition:
//!
//! ```text
//!   put ──> Resident ──relieve──> Spilled ──drop──> gone
//!     └── does not fit ────────────^   └─ read: mapped back, not charged (the kernel may drop the pages)
//! ```
//!
//! Owners: a [`Partition`](crate::Partition) handle owns its entry; the store knows entries only weakly, so
//! dropping the last handle frees memory and file. An entry owns the store's inner part, so a partition
//! outlives its engine and the spill directory goes with the last of them.
//!
//! Locks: the entry list is never locked while a file is written; an entry's own lock is, and it is taken
//! by readers of that partition only. A victim whose lock is taken is passed over, so relief never waits.

mod map;
mod spill;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parking_lot::Mutex;

use crate::data::{Batches, unique_bytes};
use crate::error::Result;
use crate::events::EventKind;
use crate::id::next_number;
use crate::memory::{Budget, Relief};
pub(crate) use spill::SpillDir;
use spill::SpillFile;

/// The account of stored partitions in the budget.
const CONSUMER: &str = "object store";

/// What one relief at least writes, so that calls are rare.
const MIN_RELIEF: usize = 16 << 20;

struct Inner {
    budget: Budget,
    dir: SpillDir,
    entries: Mutex<HashMap<u64, Weak<Entry>>>,
    /// Ticks with every use; the order of relief is the order of last uses.
    clock: AtomicU64,
    spilled_count: AtomicUsize,
    spilled_bytes: AtomicUsize,
}

/// A stored partition.
pub(crate) struct Entry {
    id: u64,
    pub(crate) schema: SchemaRef,
    pub(crate) rows: usize,
    /// Bytes of memory the batches hold when resident, shared buffers counted once.
    pub(crate) bytes: usize,
    state: Mutex<State>,
    last_use: AtomicU64,
    store: Arc<Inner>,
}

enum State {
    /// In memory and charged.
    Resident(Batches),
    /// On disk, not charged. The weak handle shares one mapping among readers.
    Spilled { file: SpillFile, mapped: Weak<Vec<RecordBatch>> },
}

impl Entry {
    pub(crate) fn batches(&self) -> Result<Batches> {
        self.last_use.store(self.store.tick(), Ordering::Relaxed);
        match &mut *self.state.lock() {
            State::Resident(batches) => Ok(batches.clone()),
            State::Spilled { file, mapped } => {
                if let Some(shared) = mapped.upgrade() {
                    return Ok(Batches(shared));
                }
                let started = Instant::now();
                let batches = Arc::new(file.read()?);
                self.store.note_restore(self.id, self.bytes, started);
                *mapped = Arc::downgrade(&batches);
                Ok(Batches(batches))
            }
        }
    }

    pub(crate) fn is_spilled(&self) -> bool {
        matches!(&*self.state.lock(), State::Spilled { .. })
    }

    /// Writes the batches to disk and forgets them; returns the bytes given back, 0 if someone uses them.
    fn spill(&self) -> Result<usize> {
        let Some(mut state) = self.state.try_lock() else { return Ok(0) };
        let State::Resident(batches) = &*state else { return Ok(0) };
        if !batches.is_unshared() {
            return Ok(0);
        }
        let started = Instant::now();
        let file = SpillFile::write(&self.store.dir, &self.schema, batches)?;
        *state = State::Spilled { file, mapped: Weak::new() };
        drop(state);
        self.store.note_spill(self.id, self.bytes, started);
        self.store.budget.shrink(CONSUMER, self.bytes);
        Ok(self.bytes)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.store.entries.lock().remove(&self.id);
        if matches!(self.state.get_mut(), State::Resident(_)) {
            self.store.budget.shrink(CONSUMER, self.bytes);
        }
    }
}

impl Inner {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn note_spill(&self, object: u64, bytes: usize, started: Instant) {
        self.spilled_count.fetch_add(1, Ordering::Relaxed);
        self.spilled_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.budget.emit(|hub| EventKind::Spilled { object, bytes, started: hub.at(started) });
    }

    fn note_restore(&self, object: u64, bytes: usize, started: Instant) {
        self.budget.emit(|hub| EventKind::Restored { object, bytes, started: hub.at(started) });
    }
}

impl Relief for Inner {
    fn relieve(&self, bytes: usize) -> usize {
        let wanted = bytes.max(MIN_RELIEF);
        let mut victims: Vec<Arc<Entry>> = self.entries.lock().values().filter_map(Weak::upgrade).collect();
        victims.sort_by_key(|entry| entry.last_use.load(Ordering::Relaxed));
        let mut freed = 0;
        for victim in victims {
            if freed >= wanted {
                break;
            }
            // A file that cannot be written leaves its partition in memory; the next may be smaller, and
            // if nothing helps the request is refused with the budget's own message.
            freed += victim.spill().unwrap_or(0);
        }
        freed
    }
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
            clock: AtomicU64::new(0),
            spilled_count: AtomicUsize::new(0),
            spilled_bytes: AtomicUsize::new(0),
        });
        let relief: Weak<dyn Relief> = Arc::downgrade(&(Arc::clone(&inner) as Arc<dyn Relief>));
        budget.set_relief(relief);
        Self(inner)
    }

    /// Stores batches: in memory if the budget grants it, after spilling colder partitions if need be, and
    /// on disk at once if it does not.
    pub(crate) fn put(&self, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Arc<Entry>> {
        let bytes = unique_bytes(&batches);
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let id = next_number();
        let state = if self.0.budget.try_grow(CONSUMER, bytes).is_ok() {
            State::Resident(Batches(Arc::new(batches)))
        } else {
            let started = Instant::now();
            let file = SpillFile::write(&self.0.dir, &schema, &batches)?;
            self.0.note_spill(id, bytes, started);
            State::Spilled { file, mapped: Weak::new() }
        };
        let entry = Arc::new(Entry {
            id,
            schema,
            rows,
            bytes,
            state: Mutex::new(state),
            last_use: AtomicU64::new(self.0.tick()),
            store: Arc::clone(&self.0),
        });
        self.0.entries.lock().insert(entry.id, Arc::downgrade(&entry));
        Ok(entry)
    }

    /// Partitions stored now, in memory or spilled.
    pub fn partition_count(&self) -> usize {
        self.0.entries.lock().len()
    }

    /// How many times a partition was written to disk since the start.
    pub fn spill_count(&self) -> usize {
        self.0.spilled_count.load(Ordering::Relaxed)
    }

    /// Bytes of memory given back by spilling since the start.
    pub fn spilled_bytes(&self) -> usize {
        self.0.spilled_bytes.load(Ordering::Relaxed)
    }

    /// Spills cold partitions until about `bytes` are given back; returns how many were.
    pub fn spill(&self, bytes: usize) -> usize {
        if bytes == 0 { 0 } else { self.0.relieve(bytes) }
    }

    /// The directory spill files go to; it is removed with the engine and its last partition.
    pub fn spill_dir(&self) -> &Path {
        self.0.dir.path()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} partitions, {} spills)", self.partition_count(), self.spill_count())
    }
}
