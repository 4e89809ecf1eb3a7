//! Refs: handles to values that exist or will.
//!
//! A cell holds one outcome, set once, and a list of waiters. Its states:
//!
//! ```text
//!   Waiting ──last dependency done──> Queued ──claimed by a worker──> Running ──> Done
//!      └────────── cancel, shutdown, failed dependency ─────────────────^───────────^
//! ```
//!
//! The outcome is written first, then the cell is marked done under the lock of the waiter list, then the
//! waiters are told outside the lock; whoever registers after the mark is told at once. So every waiter
//! hears exactly once, and what it then reads is there. No waiter is polled and no thread is parked for a
//! dataflow edge: a dependent task is itself a waiter.

mod cell;
mod errand;
mod promise;
mod reference;
mod travel;

pub(crate) use cell::{
    Job, Outcome, Runnable, Started, TaskCell, Waiter, current_task_cancelled, current_task_cpus,
};
pub use errand::{Errand, Note, WaitMark};
pub use promise::Promise;
pub use reference::{Ref, Value};
