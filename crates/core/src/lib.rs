//! The stem of trefoil: threads, memory budget, object store, refs and calls.
//!
//! ```text
//!   Call<T> ──spawn──> task ──> Ref<T>        graph: deferred calls; refs: values that exist or will
//!                        │
//!      schedule: who may run      runtime: task pool, CPU, control and light runtimes
//!                        │
//!   data: Partition, Dataset ──> store: resident or spilled ──> memory: one budget
//! ```
//!
//! This crate knows no SQL, no query engine, no web and no macros; the crates above it do. Users meet it
//! through the facade crate `trefoil`.
//!
//! One engine ([`Engine`]) runs everything. [`Engine::spawn`] starts calls, [`Ref`] hands out results to
//! async and blocking code alike, [`Engine::put_batches`] stores tables that spill when memory is short,
//! and every failure is an [`Error`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod combine;
mod data;
mod engine;
mod error;
mod events;
mod graph;
mod id;
mod memory;
mod refs;
mod runtime;
mod schedule;
mod store;
mod sync;

pub use combine::Either;
pub use data::{Batches, Dataset, Partition};
pub use engine::{Engine, EngineBuilder, WeakEngine};
pub use error::{Error, ErrorKind, Result, TaskInfo, suggest};
#[doc(hidden)]
pub use events::EventSink;
#[cfg(feature = "metrics")]
pub use events::MetricsReporter;
#[cfg(feature = "prometheus")]
pub use events::Prometheus;
pub use events::{
    ActorProbe, ActorStatus, BlockingEvents, Event, EventKind, EventStream, Failure, Label, OperatorMetrics,
    Outcome, QueryGuard, QueryStatus, Running, Status, TaskRecord, Trace, TraceRecorder, WorkerStatus,
};
pub use graph::{
    Arg, ArgSlot, Args, Call, Dag, Input, IntoArg, NodeKind, RefIter, RefStream, Split, StreamCall,
    StreamSink, TaskGraph, TaskSpec,
};
pub use id::RefId;
pub use memory::{Budget, Reservation, format_bytes, parse_bytes};
pub use refs::{Completed, Promise, Ref, Value};
#[doc(hidden)]
pub use refs::{Errand, Note, WaitMark};
pub use schedule::{Backoff, mix};
pub use store::{Compression, Lineage, ObjectInfo, ObjectKind, Place, Store, Stored};

/// Whether the task running on this thread was asked to stop with [`Ref::cancel`]; long synchronous work
/// should look now and then and return early.
pub fn task_is_cancelled() -> bool {
    refs::current_task_cancelled()
}

/// Drives a future to its end on the calling thread: in plain code, in tasks (another thread works in their
/// place meanwhile) and on the threads of an engine's runtimes.
pub fn block_on<F: Future>(future: F) -> F::Output {
    runtime::block_on(future)
}

/// [`block_on`] for `timeout` at most; then the future is dropped and there is no output.
pub fn block_on_timeout<F: Future>(future: F, timeout: std::time::Duration) -> Option<F::Output> {
    match std::time::Instant::now().checked_add(timeout) {
        Some(deadline) => runtime::block_on_until(future, deadline),
        None => Some(runtime::block_on(future)),
    }
}
