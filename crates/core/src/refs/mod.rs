//! Refs: handles to values that exist or will.
//!
//! A cell holds one outcome, set once, and who waits for it. Its states (`raw` has the memory protocol):
//!
//! ```text
//!   Waiting ──last dependency done──> Queued ──claimed by a worker──> Running ──> Done
//!      └────────── cancel, shutdown, failed dependency ─────────────────^───────────^
//! ```
//!
//! The outcome is written first, then one swap marks the cell done and takes the list of waiters, then they
//! are told; whoever comes after the swap is told at once. So every waiter hears exactly once, and what it
//! then reads is there. No waiter is polled and no thread is parked for a
//! dataflow edge: a dependent task is itself a waiter.

mod cell;
mod completed;
mod current;
mod errand;
mod listeners;
mod promise;
mod raw;
mod reference;
mod scope;
mod task;
mod travel;
#[cfg(test)]
mod twin;

pub(crate) use cell::{Boxed, DynJob, Job, Outcome, Started, Stop, Task, Waiter};
pub use completed::Completed;
pub(crate) use completed::wait_for;
pub(crate) use current::{
    AwaitingMark, CpusBack, current_scope, current_task_cancelled, current_task_home, in_task, lend_cpus,
    take_cpus_back,
};
pub use errand::{Errand, Note, WaitMark};
pub use promise::Promise;
pub use reference::{Ref, Value};
pub(crate) use scope::Scope;
pub(crate) use task::{Managed, Origin, TaskCell};
