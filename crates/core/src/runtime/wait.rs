//! Blocking waits from any thread.
//!
//! - On a pool worker, a wait for a ref first runs the awaited task itself, or the first ready task it
//!   depends on, if nobody has started it. Only tasks the awaited one needs are run inline: running
//!   anything else could put a task on the stack above the very task it waits for. When nothing is left
//!   to run, the worker blocks and the pool lets another thread work in its place.
//! - On a thread of our tokio runtimes, the wait goes through `block_in_place`, so the runtime moves its
//!   other work to another thread.
//! - Elsewhere the thread gives way to others for a moment, then parks.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::park::Parker;
use super::pool::{Inline, worker_pool};
use crate::refs::{Ref, Task, Waiter};

/// How often a thread outside the engine lets others run before it sleeps: a result that is about to come,
/// as those of a flood are, then costs neither side a system call that wakes.
const YIELDS: usize = 32;

/// How deep tasks run inside waiting tasks before the wait moves to another thread: bounds the stack.
const MAX_INLINE_DEPTH: usize = 128;

thread_local! {
    static RUNTIME_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Called on every thread of our tokio runtimes.
pub(crate) fn mark_runtime_thread() {
    RUNTIME_THREAD.set(true);
}

/// Blocks until `reference` is done or the deadline passes.
pub(crate) fn wait_blocking<T>(reference: &Ref<T>, deadline: Option<Instant>) {
    if reference.is_done() {
        return;
    }
    let park = || {
        let parker = Arc::new(Parker::default());
        if reference.cell().base().register(Waiter::Thread(Arc::clone(&parker))).is_none() {
            parker.park(deadline);
        }
    };
    match worker_pool() {
        Some(pool) => {
            let expired = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            while !reference.is_done() && !expired() {
                let next = reference.runnable().and_then(first_claimable);
                let inline = Inline::enter(MAX_INLINE_DEPTH);
                match (next, inline) {
                    (Some(task), Some(_depth)) => {
                        // Someone else may have claimed it since: then look again.
                        task.run();
                    }
                    _ => pool.blocking(park),
                }
            }
        }
        None if RUNTIME_THREAD.get() => tokio::task::block_in_place(park),
        None => {
            for _ in 0..YIELDS {
                std::thread::yield_now();
                if reference.is_done() {
                    return;
                }
            }
            park();
        }
    }
}

/// The awaited task, or the first ready task among those it waits for.
fn first_claimable(task: Task) -> Option<Task> {
    let mut stack = vec![task];
    let mut seen = std::collections::HashSet::new();
    while let Some(task) = stack.pop() {
        if task.base().is_queued() {
            return Some(task);
        }
        if seen.insert(task.base().rest.id()) {
            task.upstream(&mut |needed| stack.push(needed));
        }
    }
    None
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
    match worker_pool() {
        Some(pool) => pool.blocking(drive),
        None if RUNTIME_THREAD.get() => tokio::task::block_in_place(drive),
        None => drive(),
    }
}
