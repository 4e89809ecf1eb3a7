//! Blocking waits from any thread.
//!
//! - On a pool worker, a wait for a ref first runs the awaited task itself, or the first ready task it
//!   depends on, if nobody has started it. Only tasks the awaited one needs are run inline: running
//!   anything else could put a task on the stack above the very task it waits for. When nothing is left
//!   to run, the worker blocks and the pool lets another thread work in its place.
//! - On a thread of our tokio runtimes, the wait goes through `block_in_place`, so the runtime moves its
//!   other work to another thread.
//! - On a thread that drives an engine for tests (`replay`), the wait runs that engine's work.
//! - Elsewhere the thread looks again for a moment, and, if it waits for a task, gives way to others, then parks.
//!
//! Before a task parks, `managed` looks whether its wait could ever end.

use std::cell::Cell;
use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::park::Parker;
use super::pool::{Inline, worker_pool};
use super::replay::{driving, step};
use crate::error::Result;
use crate::refs::{AwaitingMark, CpusBack, Ref, Task, Waiter, in_task, lend_cpus};

/// How often a thread outside the engine looks before it sleeps, some microseconds in all: an answer that is about to
/// come then costs neither side a system call that wakes.
const LOOKS: usize = 64;

/// How often it then lets others run, if it waits for a task: those of a flood come soon, and the workers may need its
/// processor. Nobody else does that: where more threads than processors are busy, Linux takes who gives way at its word,
/// and the answer of an actor, which is there after some microseconds, would be read after as many milliseconds.
const YIELDS: usize = 32;

/// How deep tasks run inside waiting tasks before the wait moves to another thread: bounds the stack.
const MAX_INLINE_DEPTH: usize = 128;

thread_local! {
    static RUNTIME_THREAD: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread does nothing but drive one future to its end.
    static LENT: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is nobody's worker and sits in [`block_on`]: what it waits for may run on it.
pub(super) fn is_lent() -> bool {
    LENT.get()
}

/// Sets [`is_lent`] until it is dropped.
struct Lent(bool);

impl Lent {
    fn enter() -> Self {
        Self(LENT.replace(true))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        LENT.set(self.0);
    }
}

/// Called on every thread of our tokio runtimes.
pub(crate) fn mark_runtime_thread() {
    RUNTIME_THREAD.set(true);
}

/// Blocks until `reference` is done or the deadline passes.
///
/// # Errors
///
/// `Deadlock` if the wait could never end.
pub(crate) fn wait_blocking<T>(reference: &Ref<T>, deadline: Option<Instant>) -> Result<()> {
    if reference.is_done() {
        return Ok(());
    }
    let expired = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    // Those lent here, or by a task that ran inside this one and blocked.
    let _back = CpusBack;
    // A wait with an end is no part of a deadlock.
    let mark = if deadline.is_none() { reference.runnable().and_then(AwaitingMark::enter) } else { None };
    let note = || mark.as_ref().map_or(Ok(()), AwaitingMark::note);
    let park = || {
        let parker = Arc::new(Parker::default());
        if reference.cell().base().register(Waiter::Thread(Arc::clone(&parker))).is_none() {
            parker.park(deadline);
        }
    };
    if let Some(parker) = driving() {
        let (mut registered, mut needed) = (false, Needed::default());
        while !reference.is_done() && !expired() {
            let inside = if in_task() { needed.next(reference) } else { None };
            match inside {
                Some(task) => task.run(),
                None if step() => {}
                None => {
                    lend_cpus();
                    note()?;
                    if !std::mem::replace(&mut registered, true)
                        && reference.cell().base().register(Waiter::Thread(Arc::clone(&parker))).is_some()
                    {
                        break;
                    }
                    if !step() {
                        parker.park(deadline);
                    }
                }
            }
        }
        return Ok(());
    }
    match worker_pool() {
        Some(pool) => {
            let mut needed = Needed::default();
            while !reference.is_done() && !expired() {
                let next = needed.next(reference);
                let inline = Inline::enter(MAX_INLINE_DEPTH);
                match (next, inline) {
                    (Some(task), Some(_depth)) => {
                        // Someone else may have claimed it since: then look again.
                        task.run();
                    }
                    _ => {
                        // Before the look for a deadlock: what is lent is in nobody's way.
                        lend_cpus();
                        note()?;
                        pool.blocking(park);
                    }
                }
            }
        }
        None if RUNTIME_THREAD.get() => {
            lend_cpus();
            note()?;
            tokio::task::block_in_place(park);
        }
        None => {
            let look = |_| {
                std::hint::spin_loop();
                reference.is_done()
            };
            let give_way = |_| {
                std::thread::yield_now();
                reference.is_done()
            };
            let yields = if reference.runnable().is_some() { YIELDS } else { 0 };
            if !(0..LOOKS).any(look) && !(0..yields).any(give_way) {
                park();
            }
        }
    }
    Ok(())
}

/// Ready tasks among those that an awaited one needs, and itself: a walk down to what is ready that goes on
/// where it was after each, and begins again as long as it finds something. So waiting for a chain costs its
/// length, not the square of it.
#[derive(Default)]
struct Needed {
    walk: Vec<Task>,
    /// Those whose needs are on the walk, or were.
    entered: HashSet<u64>,
    found: bool,
}

impl Needed {
    fn next<T>(&mut self, awaited: &Ref<T>) -> Option<Task> {
        loop {
            while let Some(task) = self.walk.pop() {
                if task.base().is_queued() {
                    self.found = true;
                    return Some(task);
                }
                if !task.base().is_claimed() && self.entered.insert(task.base().rest.number()) {
                    // Looked at again when what it needs has been.
                    let again = Arc::clone(&task);
                    self.walk.push(again);
                    task.upstream(&mut |needed| self.walk.push(needed));
                }
            }
            if !self.entered.is_empty() && !std::mem::take(&mut self.found) {
                return None;
            }
            self.entered.clear();
            let awaited = awaited.runnable().filter(|task| !task.base().is_claimed())?;
            self.walk.push(awaited);
        }
    }
}

/// Drives a future on the calling thread, wherever that is.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    match drive(future, None) {
        Some(output) => output,
        None => unreachable!("only a deadline ends the drive of a future early"),
    }
}

/// Drives a future on the calling thread until the deadline, and drops it then.
pub(crate) fn block_on_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    drive(future, Some(deadline))
}

fn drive<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut drive = || {
        let parker = Arc::new(Parker::default());
        let waker = parker.waker();
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            if !parker.park(deadline) {
                return None;
            }
        }
    };
    if let Some(parker) = driving() {
        let waker = parker.waker();
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            if !step() && !parker.park(deadline) {
                return None;
            }
        }
    }
    match worker_pool() {
        Some(pool) => pool.blocking(drive),
        None if RUNTIME_THREAD.get() => tokio::task::block_in_place(drive),
        // A wait with an end must be able to look at the clock.
        None if deadline.is_some() => drive(),
        None => {
            let _lent = Lent::enter();
            drive()
        }
    }
}
