//! Fork-join loops: the caller works itself, and waits only for pieces that somebody has begun.
//!
//! ```text
//!   next piece (a counter) <── caller, helper task, helper task ...
//! ```
//!
//! Helpers are ordinary tasks, one per worker besides the caller. A helper that comes late finds the counter
//! at the end and goes; so the loop ends even if no worker is free, in a task, in a loop inside a loop, or
//! outside, and nothing waits for a task that has not started.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::jobs::{FnJob, Named};
use super::launch::start_all;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::refs::{Origin, Promise, Ref};

/// How often the caller lets others run before it sleeps: pieces begun by helpers end soon.
const YIELDS: usize = 64;

/// What helpers are called in events.
struct ParFor;

impl Named for ParFor {
    const NAME: &'static str = "par_for";
}

struct Loop<F> {
    work: F,
    len: usize,
    grain: usize,
    next: AtomicUsize,
    unfinished: AtomicUsize,
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    promise: Mutex<Option<Promise<()>>>,
    location: &'static Location<'static>,
}

impl<F: Fn(Range<usize>) + Send + Sync + 'static> Loop<F> {
    /// Takes pieces until there are none.
    fn help(&self) {
        let pieces = self.len.div_ceil(self.grain);
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            let begin = piece * self.grain;
            let range = begin..self.len.min(begin.saturating_add(self.grain));
            // After a failure the rest is counted and not run.
            if !self.failed.load(Ordering::Relaxed)
                && let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.work)(range)))
            {
                self.failed.store(true, Ordering::Relaxed);
                let info = TaskInfo { name: "par_for".into(), location: self.location, attempt: 1 };
                let error = Error::panicked("task", &*payload).in_task(info);
                self.failure.lock().get_or_insert(error);
            }
            // What all pieces wrote is seen by whoever sees that none is unfinished.
            if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
                let promise = self.promise.lock().take();
                if let Some(promise) = promise {
                    promise.fulfil(Ok(()));
                }
            }
        }
    }
}

impl Engine {
    /// Runs `work` on the pieces of `0..len`, each of `grain` numbers (the last may be shorter), on this thread
    /// and on free workers, and returns when all are done. Works from anywhere, tasks included, at any depth;
    /// it computes on the thread it is called on.
    ///
    /// A piece should be worth some microseconds. Which thread runs which piece, and in which order, is not
    /// defined.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if `grain` is 0; [`ErrorKind::Panicked`] if a piece panicked, after
    /// which no further piece begins.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use trefoil_core::Engine;
    ///
    /// let engine = Engine::new()?;
    /// let total = Arc::new(AtomicU64::new(0));
    /// let own = total.clone();
    /// engine.par_for(1000, 100, move |piece| {
    ///     own.fetch_add(piece.map(|i| i as u64).sum(), Ordering::Relaxed);
    /// })?;
    /// assert_eq!(total.load(Ordering::Relaxed), 499_500);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn par_for<F>(&self, len: usize, grain: usize, work: F) -> Result<()>
    where
        F: Fn(Range<usize>) + Send + Sync + 'static,
    {
        let location = Location::caller();
        if grain == 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, "par_for", "pieces of 0 numbers")
                .with_help("a grain of 1 or more; pieces worth some microseconds are good"));
        }
        let pieces = len.div_ceil(grain);
        if pieces == 0 {
            return Ok(());
        }
        let (promise, ended) = Ref::promise("par_for");
        let shared = Arc::new(Loop {
            work,
            len,
            grain,
            next: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(pieces),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            promise: Mutex::new(Some(promise)),
            location,
        });
        let helpers = (1..self.workers().min(pieces)).map(|_| {
            let shared = Arc::clone(&shared);
            let work = move || {
                shared.help();
                Ok(())
            };
            FnJob::<_, ParFor>::new(location, work)
        });
        drop::<Vec<Ref<()>>>(start_all(self.pool(), &Origin::default(), helpers));
        shared.help();
        for _ in 0..YIELDS {
            if ended.is_done() {
                break;
            }
            std::thread::yield_now();
        }
        ended.get_value()?;
        let failure = shared.failure.lock().take();
        failure.map_or(Ok(()), Err)
    }
}
