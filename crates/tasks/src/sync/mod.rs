//! What tasks and actors share besides values: queues, semaphores, events, barriers.
//!
//! Each is a handle: a clone is the same thing, and it can be given to tasks and actors as an argument (it
//! travels as a number within the process and cannot leave it). Every wait has two forms: an async one, safe
//! to drop at any time, and a `blocking_` one, which lets another thread work in the task's place. Nothing
//! here knows the engine; whoever may die while others wait for it belongs in a
//! [`WorkerGroup`](crate::group::WorkerGroup), which tells them.

mod barrier;
mod event;
mod handles;
mod queue;
mod semaphore;

pub use barrier::Barrier;
pub use event::Event;
pub use queue::Queue;
pub use semaphore::{Permit, Semaphore};

use trefoil_core::{Error, ErrorKind};

/// The error of a wait that took too long.
fn timed_out(operation: &'static str, timeout: std::time::Duration) -> Error {
    Error::new(ErrorKind::TimedOut, operation, format!("nothing happened within {timeout:?}"))
}

fn closed(operation: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::Closed, operation, format!("the {what} is closed"))
}
