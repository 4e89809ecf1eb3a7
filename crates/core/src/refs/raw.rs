//! The memory of a cell: a job until someone claims it, an outcome once it is there, in the same place, and a list of
//! who waits, in one allocation and without locks. All `unsafe` code of the executor is here.
//!
//! ```text
//!   phase   UNSTARTED ─> BUILDING ─> WAITING ─> QUEUED ─> CLAIMED          who may touch the job
//!               │           └───────────┴──────────┴─────────^
//!               └─────────────────────────────────^
//!   edges   list of waiters ─────────────> DONE ─> TAKEN      who may touch the outcome
//! ```
//!
//! Two words carry the protocol, and every proof below leans on one of these three sentences.
//!
//! 1. *The job*: it is there while `phase` is below `CLAIMED`. Exactly one thread moves `phase` to
//!    `CLAIMED`, because that is a compare-exchange and no transition leaves it; that thread takes the job
//!    and gets the [`Claim`]. Before that, whoever holds the phase at `INSPECTED` has the job to itself,
//!    because every other transition waits for the phase to come back. The job's place is empty from then on.
//!    While it is `UNSTARTED` all may look at the job; what leads out of that takes `&mut`.
//! 2. *The outcome*: only the `Claim` writes it, into the place that the job has left, `complete` consumes the `Claim`,
//!    and the write comes before the swap of `edges` to `DONE` (release). Whoever has read `DONE` (acquire) may read it for as long as
//!    it borrows the cell. `TAKEN` is set with `&mut`, when no one else has a borrow.
//! 3. *The list*: a node belongs to its pusher until the compare-exchange that links it (release), then to
//!    the list, and to whoever swaps the list out (acquire), which happens once, in `complete`, or in `drop`
//!    with `&mut`. Nothing reads a linked node before that.
//!
//! `tests/it/models.rs` runs this file under a model checker, `refs/twin.rs` is the same interface in safe
//! code, against which random operations are compared, and `sanitize.sh` runs the tests under sanitizers.

use std::mem::ManuallyDrop;
use std::ptr;

use crate::sync::{Arc, AtomicPtr, AtomicU32, Ordering, UnsafeCell, yield_now};

/// Work that nobody has asked for yet.
const UNSTARTED: u32 = 0;
/// Dependencies are being registered: nobody but the builder touches the job.
const BUILDING: u32 = 1;
/// Waits for dependencies.
const WAITING: u32 = 2;
/// As `WAITING`, while one thread looks at the job.
const INSPECTED: u32 = 3;
/// May be claimed to run.
const QUEUED: u32 = 4;
/// The job is taken.
const CLAIMED: u32 = 5;

/// Marks in the low bits of `edges`.
const DONE: usize = 1;
const TAKEN: usize = 2;
const LISTENED: usize = 4;
const MARKS: usize = DONE | TAKEN | LISTENED;

struct Node<W> {
    next: *mut Node<W>,
    waiter: W,
}

fn marks<W>(edges: *mut Node<W>) -> usize {
    edges.addr() & MARKS
}

fn node<W>(edges: *mut Node<W>) -> *mut Node<W> {
    edges.map_addr(|address| address & !MARKS)
}

/// The part of a cell that does not depend on its types: where it stands, who waits, and whatever `rest`
/// the owner wants beside it.
pub(crate) struct Head<X, W> {
    edges: AtomicPtr<Node<W>>,
    phase: AtomicU32,
    /// A word for the owner, where it takes no room; begins as 1 in a cell that is wired, else as 0.
    pub(crate) word: AtomicU32,
    pub(crate) rest: X,
}

impl<X, W> Head<X, W> {
    /// There is room for the marks below a node's address.
    const ALIGNED: () = assert!(align_of::<Node<W>>() > MARKS);

    fn new(rest: X, phase: u32, mark: usize) -> Self {
        let () = Self::ALIGNED;
        let edges = AtomicPtr::new(ptr::without_provenance_mut(mark));
        let word = AtomicU32::new(u32::from(phase == BUILDING));
        Self { edges, phase: AtomicU32::new(phase), word, rest }
    }

    pub(crate) fn is_done(&self) -> bool {
        marks(self.edges.load(Ordering::Acquire)) & DONE != 0
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.phase.load(Ordering::Acquire) == QUEUED
    }

    /// Whether the job is taken.
    pub(crate) fn is_claimed(&self) -> bool {
        self.phase.load(Ordering::Acquire) == CLAIMED
    }

    /// Adds a waiter to the list that `complete` hands out; gives it back if that has happened.
    pub(crate) fn push(&self, waiter: W) -> Result<(), W> {
        if self.is_done() {
            return Err(waiter);
        }
        let new = Box::into_raw(Box::new(Node { next: ptr::null_mut(), waiter }));
        let mut edges = self.edges.load(Ordering::Acquire);
        loop {
            if marks(edges) & DONE != 0 {
                // SAFETY: `new` came from `Box::into_raw` and was not linked (3).
                return Err(unsafe { Box::from_raw(new) }.waiter);
            }
            // SAFETY: not linked yet, so it is ours (3).
            unsafe { (*new).next = node(edges) };
            let linked = new.map_addr(|address| address | marks(edges));
            match self.edges.compare_exchange(edges, linked, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => edges = now,
            }
        }
    }

    /// Notes that someone listens by other means than the list, so that `complete` says so; false if it is
    /// done already.
    pub(crate) fn listen(&self) -> bool {
        let mut edges = self.edges.load(Ordering::Acquire);
        loop {
            match marks(edges) {
                set if set & DONE != 0 => return false,
                set if set & LISTENED != 0 => return true,
                _ => {}
            }
            let marked = edges.map_addr(|address| address | LISTENED);
            match self.edges.compare_exchange(edges, marked, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => edges = now,
            }
        }
    }

    /// Waiting no more: it may be claimed to run. False if it was claimed meanwhile.
    pub(crate) fn queue(&self) -> bool {
        self.advance(|phase| (phase == WAITING).then_some(QUEUED)).is_some()
    }

    /// Ends the building: dependencies are registered.
    fn built(&self) {
        self.phase.store(WAITING, Ordering::Release);
    }

    /// Moves the phase as `step` says, which is not asked while someone builds or inspects, nor of what is not
    /// started; returns the phase before.
    fn advance(&self, step: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut phase = self.phase.load(Ordering::Acquire);
        loop {
            if phase == UNSTARTED {
                return None;
            }
            if phase == BUILDING || phase == INSPECTED {
                // Both are short: nothing of a user's runs meanwhile.
                yield_now();
                phase = self.phase.load(Ordering::Acquire);
                continue;
            }
            let next = step(phase)?;
            match self.phase.compare_exchange(phase, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(phase),
                Err(now) => phase = now,
            }
        }
    }
}

impl<X, W> Drop for Head<X, W> {
    fn drop(&mut self) {
        // A cell that goes without an outcome lets its waiters go untold.
        drop(Waiters(node(self.edges.load(Ordering::Acquire))));
    }
}

/// The list of waiters of a finished cell, newest first.
pub(crate) struct Waiters<W>(*mut Node<W>);

// SAFETY: it owns its nodes (3), so it may go where a waiter may.
unsafe impl<W: Send> Send for Waiters<W> {}

impl<W> Waiters<W> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_null()
    }
}

impl<W> Iterator for Waiters<W> {
    type Item = W;

    fn next(&mut self) -> Option<W> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: a node of a list that was swapped out is ours (3), and was boxed by `push`.
        let node = unsafe { Box::from_raw(self.0) };
        self.0 = node.next;
        Some(node.waiter)
    }
}

impl<W> Drop for Waiters<W> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
    }
}

/// What is never there at once, in one place: tasks are many, and a flood of them is as fast as they are small.
union Slot<J, T> {
    job: ManuallyDrop<J>,
    outcome: ManuallyDrop<T>,
}

/// A cell: head, job or outcome, and whatever `extra` its kind needs.
pub(crate) struct Core<X, W, E, T, J> {
    pub(crate) head: Head<X, W>,
    pub(crate) extra: E,
    slot: UnsafeCell<Slot<J, T>>,
}

// SAFETY: a shared cell hands out `&T` to many threads, and the job and waiters from one to another, never
// to two at a time (1, 3); `rest` and `extra` are shared.
unsafe impl<X: Send + Sync, W: Send, E: Send + Sync, T: Send + Sync, J: Send> Sync for Core<X, W, E, T, J> {}
// SAFETY: as for `Sync`; everything it owns may move.
unsafe impl<X: Send, W: Send, E: Send, T: Send, J: Send> Send for Core<X, W, E, T, J> {}

/// The right and the duty to complete a cell: its job was taken.
pub(crate) struct Claim<X, W, E, T, J> {
    cell: Arc<Core<X, W, E, T, J>>,
}

/// A job, and what goes with it.
pub(crate) type Taken<X, W, E, T, J> = (J, Claim<X, W, E, T, J>);

/// Who has to be told that a cell is done.
pub(crate) struct Told<X, W, E, T, J> {
    pub(crate) waiters: Waiters<W>,
    /// Whether someone listens by other means, see [`Head::listen`].
    pub(crate) listened: bool,
    pub(crate) cell: Arc<Core<X, W, E, T, J>>,
}

impl<X, W, E, T, J> Core<X, W, E, T, J> {
    fn new(rest: X, extra: E, job: J, phase: u32) -> Self {
        Self {
            head: Head::new(rest, phase, 0),
            extra,
            slot: UnsafeCell::new(Slot { job: ManuallyDrop::new(job) }),
        }
    }

    /// A cell that waits for nothing.
    pub(crate) fn queued(rest: X, extra: E, job: J) -> Self {
        Self::new(rest, extra, job, QUEUED)
    }

    /// A cell whose dependencies `wire` registers, given the job; nobody can claim it meanwhile.
    pub(crate) fn wired<R>(
        rest: X,
        extra: E,
        job: J,
        wire: impl FnOnce(&Arc<Self>, &J) -> R,
    ) -> (Arc<Self>, R) {
        let cell = Arc::new(Self::new(rest, extra, job, BUILDING));
        // SAFETY: the cell has just been made, BUILDING.
        let result = unsafe { Self::wire(&cell, wire) };
        (cell, result)
    }

    /// # Safety
    ///
    /// The phase is `BUILDING`, and the caller is who has moved it there.
    unsafe fn wire<R>(cell: &Arc<Self>, wire: impl FnOnce(&Arc<Self>, &J) -> R) -> R {
        /// Also if `wire` unwinds, as others may wait for the phase.
        struct Built<'a, X, W>(&'a Head<X, W>);
        impl<X, W> Drop for Built<'_, X, W> {
            fn drop(&mut self) {
                self.0.built();
            }
        }
        let _built = Built(&cell.head);
        // SAFETY: nobody else touches the job while the phase is BUILDING (1), which lasts until `_built`.
        cell.slot.with(|slot| wire(cell, unsafe { &(*slot).job }))
    }

    /// A cell whose work nobody has asked for yet.
    pub(crate) fn unstarted(rest: X, extra: E, job: J) -> Self {
        Self::new(rest, extra, job, UNSTARTED)
    }

    /// The job of a cell that is not started.
    pub(crate) fn unstarted_job(&self) -> Option<&J>
    where
        J: Sync,
    {
        let unstarted = self.head.phase.load(Ordering::Acquire) == UNSTARTED;
        // SAFETY: the job is there, and stays untouched for as long as `&self` lasts (1).
        unstarted.then(|| self.slot.with(|slot| unsafe { &*(*slot).job }))
    }

    /// As [`Core::unstarted_job`], to change it.
    pub(crate) fn unstarted_job_mut(&mut self) -> Option<&mut J> {
        let unstarted = self.head.phase.load(Ordering::Acquire) == UNSTARTED;
        // SAFETY: the job is there, and `&mut self` keeps everyone away (1).
        unstarted.then(|| self.slot.with_mut(|slot| unsafe { &mut *(*slot).job }))
    }

    /// Makes a cell that is not started one that waits for nothing; whether it was one.
    pub(crate) fn start_queued(&mut self) -> bool {
        let unstarted = self.head.phase.load(Ordering::Acquire) == UNSTARTED;
        if unstarted {
            self.head.phase.store(QUEUED, Ordering::Release);
        }
        unstarted
    }

    /// Starts a cell that nobody else has, and that is not started: `wire` registers its dependencies as those of
    /// [`Core::wired`].
    ///
    /// # Errors
    ///
    /// The cell, if others have it, too, or it is started.
    pub(crate) fn start_wired<R>(
        mut cell: Arc<Self>,
        wire: impl FnOnce(&Arc<Self>, &J) -> R,
    ) -> Result<(Arc<Self>, R), Arc<Self>> {
        match Arc::get_mut(&mut cell) {
            Some(own) if own.head.phase.load(Ordering::Acquire) == UNSTARTED => {
                own.head.word.store(1, Ordering::Relaxed);
                own.head.phase.store(BUILDING, Ordering::Release);
            }
            _ => return Err(cell),
        }
        // SAFETY: this thread has just moved the phase to BUILDING, and only it had the cell.
        let result = unsafe { Self::wire(&cell, wire) };
        Ok((cell, result))
    }

    /// Claims a queued cell in order to run its job.
    pub(crate) fn claim(cell: Arc<Self>) -> Option<Taken<X, W, E, T, J>> {
        cell.head
            .phase
            .compare_exchange(QUEUED, CLAIMED, Ordering::AcqRel, Ordering::Relaxed)
            .ok()
            // SAFETY: this thread has just moved the phase to CLAIMED (1).
            .map(|_| (unsafe { cell.take_job() }, Claim { cell }))
    }

    /// Claims a cell that has not started in order to end it.
    pub(crate) fn claim_unstarted(cell: Arc<Self>) -> Option<Taken<X, W, E, T, J>> {
        cell.head.advance(|phase| (phase < CLAIMED).then_some(CLAIMED))?;
        // SAFETY: this thread has just moved the phase to CLAIMED (1).
        Some((unsafe { cell.take_job() }, Claim { cell }))
    }

    /// Claims and completes a queued cell at once, if nobody else has claimed it: the waiters, and whether
    /// someone listens.
    pub(crate) fn finish(&self, outcome: T) -> Option<(Waiters<W>, bool)> {
        self.head.phase.compare_exchange(QUEUED, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        // SAFETY: this thread has just moved the phase to CLAIMED (1), and makes no claim of it but this (2).
        unsafe {
            drop(self.take_job());
            Some(self.publish(outcome))
        }
    }

    /// # Safety
    ///
    /// The cell was claimed, and whoever claimed it calls this once.
    unsafe fn publish(&self, outcome: T) -> (Waiters<W>, bool) {
        // SAFETY: it is not DONE, so nobody reads, nobody else may write (2), and the job has left the place (1).
        self.slot.with_mut(|slot| unsafe { (*slot).outcome = ManuallyDrop::new(outcome) });
        let edges = self.head.edges.swap(ptr::without_provenance_mut(DONE), Ordering::AcqRel);
        (Waiters(node(edges)), marks(edges) & LISTENED != 0)
    }

    /// # Safety
    ///
    /// The calling thread has moved the phase to `CLAIMED`, and calls this once.
    unsafe fn take_job(&self) -> J {
        // SAFETY: the job is there (1), and will not be read again.
        self.slot.with_mut(|slot| unsafe { ManuallyDrop::take(&mut (*slot).job) })
    }

    /// Looks at the job of a cell that waits for dependencies.
    pub(crate) fn inspect<R>(&self, look: impl FnOnce(&J) -> R) -> Option<R> {
        struct Back<'a, X, W>(&'a Head<X, W>);
        impl<X, W> Drop for Back<'_, X, W> {
            fn drop(&mut self) {
                self.0.built();
            }
        }
        self.head.phase.compare_exchange(WAITING, INSPECTED, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let _back = Back(&self.head);
        // SAFETY: this thread holds the phase at INSPECTED, until `_back` (1).
        Some(self.slot.with(|slot| look(unsafe { &(*slot).job })))
    }

    /// The outcome, if it is there and was not taken.
    pub(crate) fn outcome(&self) -> Option<&T> {
        let marks = marks(self.head.edges.load(Ordering::Acquire));
        // SAFETY: DONE was read with acquire, and `&self` keeps `take` away (2).
        (marks & (DONE | TAKEN) == DONE).then(|| self.slot.with(|slot| unsafe { &*(*slot).outcome }))
    }

    /// Moves the outcome out of a cell that nobody else has.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.outcome()?;
        self.head.edges.store(ptr::without_provenance_mut(DONE | TAKEN), Ordering::Release);
        // SAFETY: it was there, `&mut self` keeps everyone away, and it is marked as taken (2).
        Some(self.slot.with_mut(|slot| unsafe { ManuallyDrop::take(&mut (*slot).outcome) }))
    }

    /// A cell that is done from the start.
    pub(crate) fn done(rest: X, extra: E, job: J, outcome: T) -> Arc<Self> {
        let cell = Arc::new(Self::queued(rest, extra, job));
        let claimed = Self::claim(Arc::clone(&cell));
        if let Some((_, claim)) = claimed {
            claim.complete(outcome);
        }
        cell
    }
}

impl<X, W, E, T, J> Drop for Core<X, W, E, T, J> {
    fn drop(&mut self) {
        if self.head.phase.load(Ordering::Acquire) != CLAIMED {
            // SAFETY: nobody has claimed it, so the job is there; `&mut self` (1).
            self.slot.with_mut(|slot| unsafe { ManuallyDrop::drop(&mut (*slot).job) });
        } else if self.outcome().is_some() {
            // SAFETY: it is there and was not taken; `&mut self` (2).
            self.slot.with_mut(|slot| unsafe { ManuallyDrop::drop(&mut (*slot).outcome) });
        }
    }
}

impl<X, W, E, T, J> Claim<X, W, E, T, J> {
    /// The claimed cell.
    pub(crate) fn cell(&self) -> &Arc<Core<X, W, E, T, J>> {
        &self.cell
    }

    /// Writes the outcome and hands out who waits for it.
    pub(crate) fn complete(self, outcome: T) -> Told<X, W, E, T, J> {
        let cell = self.cell;
        // SAFETY: there is one claim per cell, and it ends here (2).
        let (waiters, listened) = unsafe { cell.publish(outcome) };
        Told { waiters, listened, cell }
    }
}
