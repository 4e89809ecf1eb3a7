//! A stored partition: its states, and the moves between them.
//!
//! ```text
//!   put ──> Resident ──evict──> Spilled ──drop──> gone
//!     │        │  ^                │ read: mapped, not charged (the kernel may drop the pages)
//!     │        │  └──recompute──┐  └─ file lost or damaged ─┐
//!     │        └─evict, cheap to compute again─> Absent <───┘
//!     └── does not fit in memory ──> Spilled
//! ```
//!
//! The lock of an entry is held while its file is written or read, by readers of that entry only; relief
//! passes over an entry whose lock is taken. It is not held while a lineage computes: two readers of an
//! absent partition may both compute it, and the first to come back fills it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parking_lot::Mutex;

use super::buffers::own_arrays;
use super::evict::{Facts, Rank, Way};
use super::lineage::Lineage;
use super::spill::SpillFile;
use super::{CONSUMER, Evict, Inner, ObjectInfo, ObjectKind, Place};
use crate::data::{Batches, unique_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::id::next_number;

enum State {
    /// In memory and charged.
    Resident(Batches),
    /// On disk, not charged. The weak handle shares one mapping among readers.
    Spilled { file: SpillFile, mapped: Weak<Vec<RecordBatch>> },
    /// Nowhere: the lineage gives it back. Only an entry with a lineage gets here.
    Absent { cause: Option<Error> },
}

/// A stored partition.
pub(crate) struct Entry {
    id: u64,
    pub(crate) schema: SchemaRef,
    pub(crate) rows: usize,
    /// Bytes of memory the batches hold when resident, shared buffers counted once.
    pub(crate) bytes: usize,
    lineage: Option<Lineage>,
    state: Mutex<State>,
    rank: Rank,
    store: Arc<Inner>,
}

impl Entry {
    /// Stores batches: in memory if the budget grants it, after spilling colder objects if need be, and on
    /// disk at once if it does not.
    pub(super) fn put(
        store: &Arc<Inner>,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        lineage: Option<Lineage>,
    ) -> Result<Arc<Self>> {
        let id = next_number();
        let bytes = unique_bytes(&batches);
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let state = match store.admit(batches)? {
            Ok(resident) => State::Resident(resident),
            Err(batches) => {
                let started = Instant::now();
                let file = store.dir.write_batches(&schema, &batches)?;
                store.note_spill(id, bytes, started);
                State::Spilled { file, mapped: Weak::new() }
            }
        };
        let mut entry = Self {
            id,
            schema,
            rows,
            bytes,
            lineage,
            state: Mutex::new(state),
            rank: Rank::new(0, 0),
            store: Arc::clone(store),
        };
        let has_file = matches!(entry.state.get_mut(), State::Spilled { .. });
        let facts = entry.facts(has_file);
        entry.rank.touch(store.policy.worth(&facts), store.tick());
        let entry = Arc::new(entry);
        store.register(entry.id, Arc::downgrade(&entry) as Weak<dyn Evict>);
        Ok(entry)
    }

    fn facts(&self, has_file: bool) -> Facts {
        let recompute = self.lineage.as_ref().and_then(Lineage::time);
        Facts { bytes: self.bytes, has_file, is_value: false, recompute }
    }

    /// The batches, wherever they are now.
    pub(crate) fn batches(&self) -> Result<Batches> {
        self.rank.touch(self.store.policy.worth(&self.facts(false)), self.store.tick());
        let cause = match self.look()? {
            Ok(batches) => return Ok(batches),
            Err(cause) => cause,
        };
        let Some(lineage) = &self.lineage else {
            return Err(cause.unwrap_or_else(|| {
                Error::new(ErrorKind::Internal, "read stored partition", "it is neither kept nor computable")
            }));
        };
        let batches = lineage.recover(&self.schema, self.rows, cause.as_ref())?;
        self.store.counts.recomputes.fetch_add(1, Ordering::Relaxed);
        self.refill(batches)
    }

    /// The batches if they are here, or why they are not.
    fn look(&self) -> Result<Result<Batches, Option<Error>>> {
        let mut state = self.state.lock();
        let lost = match &mut *state {
            State::Resident(batches) => return Ok(Ok(batches.clone())),
            State::Absent { cause } => return Ok(Err(cause.clone())),
            State::Spilled { file, mapped } => {
                if let Some(shared) = mapped.upgrade() {
                    return Ok(Ok(Batches(shared)));
                }
                let started = Instant::now();
                match file.read_batches() {
                    Ok(batches) => {
                        let batches = Arc::new(batches);
                        *mapped = Arc::downgrade(&batches);
                        self.store.note_restore(self.id, self.bytes, started);
                        return Ok(Ok(Batches(batches)));
                    }
                    Err(error) => error,
                }
            }
        };
        if self.lineage.is_none() {
            return Err(lost.with_help(
                "the file was changed or removed from outside, and the rows were given with `put_batches` or \
                 `frame_from_batches`, so there is nothing to compute them from: store them again, or let a \
                 call or a query make them",
            ));
        }
        // The damaged file goes.
        *state = State::Absent { cause: Some(lost.clone()) };
        Ok(Err(Some(lost)))
    }

    /// Puts recomputed batches in the place of lost ones, in memory or on disk, and hands them out.
    fn refill(&self, batches: Vec<RecordBatch>) -> Result<Batches> {
        let mut state = self.state.lock();
        match &*state {
            State::Resident(found) => return Ok(found.clone()),
            State::Spilled { .. } => return Ok(Batches(Arc::new(batches))),
            State::Absent { .. } => {}
        }
        Ok(match self.store.admit(batches)? {
            Ok(resident) => {
                *state = State::Resident(resident.clone());
                resident
            }
            Err(batches) => {
                let batches = Arc::new(batches);
                let started = Instant::now();
                // If the disk refuses as well, the next reader computes once more.
                if let Ok(file) = self.store.dir.write_batches(&self.schema, &batches) {
                    self.store.note_spill(self.id, self.bytes, started);
                    *state = State::Spilled { file, mapped: Arc::downgrade(&batches) };
                }
                Batches(batches)
            }
        })
    }

    pub(crate) fn is_spilled(&self) -> bool {
        matches!(&*self.state.lock(), State::Spilled { .. })
    }
}

impl Evict for Entry {
    fn rank(&self) -> &Rank {
        &self.rank
    }

    fn evict(&self) -> Result<usize> {
        let Some(mut state) = self.state.try_lock() else { return Ok(0) };
        let State::Resident(batches) = &*state else { return Ok(0) };
        if !batches.is_unshared() || self.store.buffers.used_outside(batches) {
            return Ok(0);
        }
        let started = Instant::now();
        let (way, _) = self.facts(false).way();
        let next = if way == Way::Drop {
            State::Absent { cause: None }
        } else {
            match self.store.dir.write_batches(&self.schema, batches) {
                Ok(file) => State::Spilled { file, mapped: Weak::new() },
                // On a disk that is full, what can be computed again need not be kept.
                Err(_) if self.lineage.is_some() => State::Absent { cause: None },
                Err(error) => return Err(error),
            }
        };
        match &next {
            State::Absent { .. } => {
                self.store.counts.drops.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.store.note_spill(self.id, self.bytes, started),
        }
        let before = std::mem::replace(&mut *state, next);
        drop(state);
        let State::Resident(batches) = before else { return Ok(0) };
        Ok(self.store.dismiss(batches))
    }

    fn info(&self) -> ObjectInfo {
        let state = self.state.lock();
        let (place, disk_bytes, users) = match &*state {
            State::Resident(batches) => (Place::Memory, 0, Arc::strong_count(&batches.0) - 1),
            State::Spilled { file, mapped } => (Place::Disk, file.length(), mapped.strong_count()),
            State::Absent { .. } => (Place::Nowhere, 0, 0),
        };
        ObjectInfo {
            id: self.id,
            kind: ObjectKind::Partition { rows: self.rows },
            type_name: "Partition",
            memory_bytes: self.bytes,
            disk_bytes,
            place,
            users,
            recomputable: self.lineage.is_some(),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.store.forget(self.id);
        let state = std::mem::replace(self.state.get_mut(), State::Absent { cause: None });
        if let State::Resident(batches) = state {
            self.store.dismiss(batches);
        }
    }
}

impl Inner {
    /// Takes batches in and charges what of them is new; gives them back if the budget refuses.
    fn admit(&self, batches: Vec<RecordBatch>) -> Result<Result<Batches, Vec<RecordBatch>>> {
        let batches = own_arrays(batches).map_err(|error| {
            Error::new(ErrorKind::Internal, "put_batches", "the batches are not consistent")
                .with_source(error)
        })?;
        let new = self.buffers.add(&batches);
        if self.budget.try_grow(CONSUMER, new).is_ok() {
            return Ok(Ok(Batches(Arc::new(batches))));
        }
        // Another partition may have come to share these buffers meanwhile, trusting that they are paid for.
        let gone = self.buffers.remove(&batches);
        match new.checked_sub(gone) {
            Some(owed) => self.budget.grow(CONSUMER, owed),
            None => self.budget.shrink(CONSUMER, gone - new),
        }
        Ok(Err(batches))
    }

    /// Lets resident batches go; returns the bytes given back.
    fn dismiss(&self, batches: Batches) -> usize {
        let gone = self.buffers.remove(&batches);
        drop(batches);
        self.budget.shrink(CONSUMER, gone);
        gone
    }
}
