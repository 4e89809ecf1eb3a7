//! Engines without threads of their own: work runs on the thread that built the engine, while it waits, one
//! task at a time in an order drawn from a seed. The same program with the same seed runs the same order.
//!
//! ```text
//!   spawn ──> ready tasks and futures ──draw──> run ──> ... until what is waited for is done
//!                          │ none
//!                          └──> the clock jumps to the next pause or deadline
//! ```
//!
//! A wait steps the engines that its thread drives instead of parking; only when there is nothing to do
//! does it park, for completions by other threads. A task that waits runs what it waits for inside, as
//! workers do, and other ready work only if that is not ready.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::future::{AbortHandle, Abortable, BoxFuture};
use parking_lot::Mutex;

use super::park::Parker;
use super::pool::PoolShared;
use crate::refs::Task;
use crate::schedule::{Event, mix};

/// What a thread drives.
struct Driving {
    pools: Vec<Weak<PoolShared>>,
    /// Where it sleeps, once it has driven one.
    parker: Option<Arc<Parker>>,
}

thread_local! {
    static DRIVEN: RefCell<Driving> = const { RefCell::new(Driving { pools: Vec::new(), parker: None }) };
}

enum Ready {
    Task(Task),
    Future(Arc<Driven>),
}

/// What a pool without threads has instead.
pub(super) struct Replay {
    ready: Mutex<(VecDeque<Ready>, u64)>,
    /// Those that have begun, for the end of the engine.
    futures: Mutex<Vec<Weak<Driven>>>,
    /// Nanoseconds since the start of the engine, which only pass in jumps.
    clock: AtomicU64,
    /// Where the driving thread sleeps.
    parker: Arc<Parker>,
}

impl Replay {
    /// With the order of this seed, driven by the calling thread.
    pub(super) fn new(seed: u64) -> Self {
        let parker = DRIVEN.with_borrow_mut(|driving| Arc::clone(driving.parker.get_or_insert_default()));
        let ready = Mutex::new((VecDeque::new(), seed));
        Self { ready, futures: Mutex::default(), clock: AtomicU64::new(0), parker }
    }

    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.load(Ordering::Relaxed))
    }

    pub(super) fn push(&self, task: Task) {
        self.make_ready(Ready::Task(task));
    }

    fn make_ready(&self, ready: Ready) {
        self.ready.lock().0.push_back(ready);
        self.parker.unpark();
    }

    pub(super) fn len(&self) -> usize {
        self.ready.lock().0.len()
    }

    /// Takes one of the ready ones, whichever is drawn.
    fn draw(&self) -> Option<Ready> {
        let mut guard = self.ready.lock();
        let (ready, state) = &mut *guard;
        if ready.is_empty() {
            return None;
        }
        *state = mix(*state);
        ready.swap_remove_back((*state % ready.len() as u64) as usize)
    }

    /// Every task that is queued. Futures are dropped, which ends their tasks.
    pub(super) fn drain(&self) -> Vec<Task> {
        let futures = std::mem::take(&mut *self.futures.lock());
        for driven in futures.iter().filter_map(Weak::upgrade) {
            let future = driven.future.lock().take();
            drop(future);
        }
        let ready = std::mem::take(&mut self.ready.lock().0);
        ready
            .into_iter()
            .filter_map(|ready| if let Ready::Task(task) = ready { Some(task) } else { None })
            .collect()
    }
}

/// A future that the driving thread polls.
struct Driven {
    future: Mutex<Option<BoxFuture<'static, ()>>>,
    pool: Weak<PoolShared>,
    queued: AtomicBool,
    /// It was its turn while it was being polled further down on the stack.
    missed: AtomicBool,
}

impl Wake for Driven {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel)
            && let Some(pool) = self.pool.upgrade()
            && let Some(replay) = pool.replay()
        {
            replay.make_ready(Ready::Future(self));
        }
    }
}

impl Driven {
    fn run(self: Arc<Self>) {
        self.queued.store(false, Ordering::Release);
        // Taken out: a future may wait inside itself, and then it must not be polled again there.
        let Some(mut future) = self.future.lock().take() else {
            return self.missed.store(true, Ordering::Release);
        };
        let waker = Waker::from(Arc::clone(&self));
        if future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            *self.future.lock() = Some(future);
            if self.missed.swap(false, Ordering::AcqRel) {
                self.wake();
            }
        }
    }
}

impl PoolShared {
    /// Has the calling thread drive this pool.
    pub(super) fn drive_here(self: &Arc<Self>) {
        DRIVEN.with_borrow_mut(|driving| {
            driving.pools.retain(|pool| pool.strong_count() > 0);
            driving.pools.push(Arc::downgrade(self));
        });
    }

    /// Has the driving thread poll a future; gives what stops it.
    pub(super) fn spawn_driven(self: &Arc<Self>, future: BoxFuture<'static, ()>) -> AbortHandle {
        let (abort, registration) = AbortHandle::new_pair();
        let future = Abortable::new(future, registration);
        let driven = Arc::new(Driven {
            future: Mutex::new(Some(Box::pin(async move {
                // Aborted or not: it is over.
                let _ = future.await;
            }))),
            pool: Arc::downgrade(self),
            queued: AtomicBool::new(false),
            missed: AtomicBool::new(false),
        });
        if let Some(replay) = self.replay() {
            let mut futures = replay.futures.lock();
            if futures.len().is_power_of_two() {
                futures.retain(|driven| driven.strong_count() > 0);
            }
            futures.push(Arc::downgrade(&driven));
        }
        driven.wake();
        abort
    }

    /// Runs what there is until this parker is notified.
    pub(super) fn drive_until(self: &Arc<Self>, parker: &Parker) {
        while !parker.is_notified() {
            if !self.step() {
                parker.park(None);
                return;
            }
        }
    }

    /// Runs one thing; false if there is nothing to do.
    fn step(self: &Arc<Self>) -> bool {
        let Some(replay) = self.replay() else { return false };
        if self.is_down() {
            return false;
        }
        let prioritised = |urgent| self.prioritised().pop(urgent).map(Ready::Task);
        let next = prioritised(true).or_else(|| replay.draw()).or_else(|| prioritised(false));
        match next {
            Some(Ready::Task(task)) => {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.run()));
                true
            }
            Some(Ready::Future(future)) => {
                // Timers and the like of tokio work, in real time.
                let _context = self.cpu().enter();
                future.run();
                true
            }
            None => match self.next_timer() {
                Some(at) => {
                    let now = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
                    replay.clock.fetch_max(now, Ordering::Relaxed);
                    // Somebody else may be needed for what is looked for again.
                    std::thread::yield_now();
                    self.tell(Event::Tick);
                    true
                }
                None => false,
            },
        }
    }
}

/// Where this thread sleeps, if it drives an engine.
pub(super) fn driving() -> Option<Arc<Parker>> {
    DRIVEN
        .try_with(|driven| {
            let driven = driven.borrow();
            let any = driven.pools.iter().any(|pool| pool.strong_count() > 0);
            driven.parker.as_ref().filter(|_| any).cloned()
        })
        .ok()
        .flatten()
}

/// Runs one thing of an engine that this thread drives; false if there is nothing to do.
pub(super) fn step() -> bool {
    let pools =
        DRIVEN.with_borrow(|driving| driving.pools.iter().filter_map(Weak::upgrade).collect::<Vec<_>>());
    pools.iter().any(PoolShared::step)
}
