//! Threads: the task pool, the two tokio runtimes, and blocking waits that cannot starve them.
//!
//! Who runs what:
//! - the task pool (`pool`): `workers` threads with work-stealing deques; synchronous tasks;
//! - the CPU runtime (tokio, `workers` threads): DataFusion's operators and async tasks;
//! - the control runtime (tokio, 2 threads): actors, timers, IO, planning and light queries, so that they stay
//!   prompt (`place`).
//!
//! Tasks with options pass `managed` on their way from their dependencies to the pool, which drives the pure
//! state machine of `schedule`. An engine for tests has no worker threads: `replay` runs its tasks.
//!
//! Order of shutdown: the pool refuses new tasks and fails queued ones, then both runtimes drop their
//! futures (whose guards complete their refs), without waiting for running code. No ref is left pending.

mod home;
mod idle;
mod managed;
mod park;
mod place;
mod pool;
mod prioritised;
mod replay;
mod wait;

use home::at_home;
pub(crate) use home::{Home, settle, thread_home};
pub(crate) use managed::Wait;
pub(crate) use park::Parker;
pub(crate) use place::AbortOnDrop;
pub(crate) use pool::{Abort, Parts, PoolShared, keep_first, shut_down};
pub(crate) use wait::{block_on, block_on_until, mark_runtime_thread, wait_blocking};
