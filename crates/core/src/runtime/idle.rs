//! How workers go to sleep, and how a push wakes one: no push is missed, and few pay for a wake-up.
//!
//! ```text
//!              nothing found                 64 rounds, nothing found
//!   working ───────────────────> searching ───────────────────────────> sleeping
//!      ^───── found something ──────┘ ^──────────── woken by a push ───────┘
//! ```
//!
//! One word counts who searches (low half) and who sleeps (high half). A pusher pushes, passes a fence and
//! reads the word: it wakes a sleeper only if nobody searches. That is enough because whoever is the last to
//! stop searching looks after the queues once more: with a task in hand it wakes the next worker if there is
//! more (`found`), without one it announces itself as a sleeper, passes a fence and looks a last time
//! (`sleep`), and if it sees something it goes on as a searcher. Of a push and a last look, one sees the other:
//! the fences on both sides order them. A sleeper that is woken is counted as searching by who wakes it, so a
//! flood of pushes wakes one worker, which wakes the next, and the pushers go on without system calls.
//!
//! Searching is bounded, so idle workers end up asleep and use no processor time. `tests/it/models.rs` runs
//! this file under a model checker.

use super::sync::{AtomicUsize, Condvar, Mutex, Ordering, fence};

const SEARCHING: usize = 1;
const SLEEPING: usize = 1 << (usize::BITS / 2);

/// Who searches and who sleeps.
pub(crate) struct Idle {
    counts: AtomicUsize,
    /// At most so many search at once; the others go to sleep without.
    most_searching: usize,
    /// Wake-ups given and not taken yet.
    permits: Mutex<usize>,
    wake: Condvar,
}

impl Idle {
    pub(crate) fn new(most_searching: usize) -> Self {
        Self { counts: AtomicUsize::new(0), most_searching, permits: Mutex::new(0), wake: Condvar::new() }
    }

    /// How many sleep.
    pub(crate) fn sleeping(&self) -> usize {
        self.counts.load(Ordering::SeqCst) / SLEEPING
    }

    /// After a push: wakes a worker unless one is searching or none sleeps.
    pub(crate) fn pushed(&self) {
        fence(Ordering::SeqCst);
        let counts = self.counts.load(Ordering::Relaxed);
        if counts >= SLEEPING && counts.is_multiple_of(SLEEPING) {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(&self) {
        let mut permits = self.permits.lock();
        let counts = self.counts.load(Ordering::SeqCst);
        // Changes to the sleepers' half are made under the lock.
        if counts >= SLEEPING {
            self.counts.fetch_sub(SLEEPING - SEARCHING, Ordering::SeqCst);
            *permits += 1;
            drop(permits);
            self.wake.notify_one();
        }
    }

    /// Wakes everyone, for shutdown.
    pub(crate) fn wake_all(&self) {
        let mut permits = self.permits.lock();
        let sleeping = self.counts.load(Ordering::SeqCst) / SLEEPING;
        self.counts.fetch_sub((SLEEPING - SEARCHING) * sleeping, Ordering::SeqCst);
        *permits += sleeping;
        drop(permits);
        self.wake.notify_all();
    }

    /// A worker without work wants to search; false if enough do.
    pub(crate) fn search(&self) -> bool {
        let counts = self.counts.load(Ordering::Relaxed);
        if counts % SLEEPING >= self.most_searching {
            return false;
        }
        self.counts.fetch_add(SEARCHING, Ordering::SeqCst);
        true
    }

    /// A searching worker stops; `more` tells whether a queue still holds something: pushes relied on it.
    pub(crate) fn found(&self, more: impl FnOnce() -> bool) {
        let before = self.counts.fetch_sub(SEARCHING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if before % SLEEPING == SEARCHING && before >= SLEEPING && more() {
            self.pushed();
        }
    }

    /// Sleeps until woken unless `stay` says that there is something to do; `searching` tells whether the
    /// worker is counted as such. Returns whether it is afterwards.
    pub(crate) fn sleep(&self, searching: bool, stay: impl FnOnce() -> bool) -> bool {
        let mut permits = self.permits.lock();
        let change = if searching { SLEEPING - SEARCHING } else { SLEEPING };
        self.counts.fetch_add(change, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if stay() {
            // Nobody can have woken us in between: that needs the lock. Who searched still does: pushes relied on
            // it, and it may take one of several tasks, after which `found` wakes the next.
            self.counts.fetch_sub(change, Ordering::SeqCst);
            return searching;
        }
        while *permits == 0 {
            self.wake.wait(&mut permits);
        }
        *permits -= 1;
        true
    }
}
