//! One embeddable engine with three front ends: SQL, tasks and actors, data frames and arrays.
//!
//! A [`Session`] is an engine (threads, one memory budget, an object store) plus a catalog of tables. On it
//! you query files with SQL, prepare tables with frames, compute chunked arrays, run functions as tasks and
//! objects as actors, and hand data from one to the other without copying it.
//!
//! ```
//! use trefoil::prelude::*;
//!
//! #[task]
//! fn rows_and_bytes(part: &Partition) -> (usize, usize) {
//!     (part.num_rows(), part.memory_bytes())
//! }
//!
//! # fn main() -> trefoil::Result<()> {
//! let session = Session::local()?;
//! session.block_on(async {
//!     // SQL over a file
//!     let dear = session
//!         .sql("SELECT cut, price FROM csv.`examples/data/diamonds.csv` WHERE price > 15000")
//!         .await?;
//!     // ... as a frame
//!     let by_cut = dear.group_by(["cut"]).mean(["price"])?.sort(["cut"])?;
//!     assert_eq!(by_cut.count().await?, 5);
//!     // ... its partitions as arguments of tasks; nothing is copied
//!     let parts = dear.persist().await?.partitions()?;
//!     let sizes: Vec<Ref<(usize, usize)>> =
//!         parts.iter().map(|part| session.spawn(rows_and_bytes(part))).collect();
//!     let rows: usize = session.gather(sizes).await?.iter().map(|(rows, _)| rows).sum();
//!     assert_eq!(rows, 1655);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # Where to look
//!
//! - Start an engine: [`Session::local`], [`Session::builder`]; without tables, [`Engine`].
//! - SQL: `session.sql(..)` ([`SqlSession`]); files by path, ``FROM parquet.`dir` ``.
//! - Frames: [`DataFrame`] with the verbs of [`FrameMethods`](frame::FrameMethods) and expressions of
//!   [`col`](frame::col) and [`lit`](frame::lit).
//! - Arrays: `session.array()` ([`ArraySession`](array::ArraySession)), [`Array`](array::Array).
//! - Bags: `session.bag()` ([`BagSession`](bag::BagSession)), [`Bag`](bag::Bag).
//! - Tasks: [`#[task]`](macro@task), [`Call`], [`Ref`], [`Engine::spawn`], [`Engine::wait`].
//! - Actors: [`#[actor]`](macro@actor), [`ActorHandle`].
//! - Delayed graphs: [`Call`] is one; [`delayed()`](fn@delayed::delayed) makes calls of closures.
//! - Failures: [`Error`], one type for all, with a [kind](ErrorKind).
//! - Tutorials and design: the [`guide`](https://docs.rs/trefoil) module of the documentation.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `sql` | yes | the SQL leaf; builds DataFusion |
//! | `frames` | yes | frames, and everything of `arrays`; builds DataFusion |
//! | `tasks` | yes | tasks and actors |
//! | `arrays` | with `frames` | chunked arrays, bags and delayed graphs, without DataFusion |
//! | `metrics` | no | `Engine::report_metrics`, through the facade of the crate `metrics` |
//! | `prometheus` | no | `Engine::prometheus`: the same as text for Prometheus |
//! | `s3`, `gcs`, `azure`, `http` | no | files by address, `s3://bucket/path` and so on; builds an HTTP client |
//! | `avro`, `delta` | no | Avro files; Delta Lake tables, to be read |
//! | `flight` | no | a Flight SQL server for ADBC and JDBC clients; builds gRPC |
//! | `cli` | no | the binary `trefoil`, the SQL shell; with `flight`, its command `serve` |
//!
//! # Not here
//!
//! Trefoil runs in your process: it is no cluster manager and no replacement of a data warehouse.
//! Workers on other machines, training, serving and dashboards are planned, not there.

#[cfg(any(doc, doctest))]
pub mod guide;
pub mod prelude;

pub use trefoil_core::{
    Arg, ArgSlot, Args, Backoff, Batches, Budget, Call, Completed, Compression, Dag, Dataset, Engine,
    EngineBuilder, Error, ErrorKind, Input, IntoArg, Lineage, NodeKind, ObjectInfo, ObjectKind, Partition,
    Place, Promise, Ref, RefId, Reservation, Result, Store, Stored, TaskGraph, TaskInfo, TaskSpec, Value,
    format_bytes, parse_bytes, suggest, task_is_cancelled,
};
pub use trefoil_core::{
    Either, RefIter, RefStream, Split, StreamCall, StreamSink, block_on, block_on_timeout,
};

pub use trefoil_core::{
    ActorStatus, BlockingEvents, Event, EventKind, EventStream, Failure, Label, OperatorMetrics, Outcome,
    QueryStatus, Running, Status, TaskRecord, Trace, TraceRecorder, WorkerStatus,
};

#[cfg(feature = "metrics")]
pub use trefoil_core::MetricsReporter;
#[cfg(feature = "prometheus")]
pub use trefoil_core::Prometheus;

#[cfg(any(feature = "sql", feature = "frames"))]
pub use trefoil_plan::{
    CsvOptions, DataFrame, FrameStream, JsonOptions, Malformed, Session, SessionBuilder, WriteMode,
    WriteOptions, arrow, partition_directory,
};

#[cfg(feature = "sql")]
pub use trefoil_plan::Dialect;
#[cfg(feature = "sql")]
pub use trefoil_sql::{
    Aggregate, AsyncScalarFn, Parameter, Parameters, ScalarFn, SqlArgument, SqlReturn, SqlSession, SqlValue,
    WindowFn, spark_format,
};

#[cfg(feature = "flight")]
pub use trefoil_flight as flight;

#[cfg(feature = "tasks")]
pub use trefoil_tasks::{
    Actor, ActorBuilder, ActorContext, ActorEnd, ActorHandle, ActorId, ActorPool, ActorSession, Checkpoint,
    Overflow, Reserved, Restart, Restarts, TaskValue, Timer, WeakHandle, actor, group, placement, registry,
    sync, task,
};

#[cfg(feature = "frames")]
pub use trefoil_frames::frame;
#[cfg(feature = "arrays")]
pub use trefoil_frames::{Seed, array, bag, delayed, seed};

/// What the macros name. Not for users: it changes without notice.
#[cfg(feature = "tasks")]
#[doc(hidden)]
pub use trefoil_tasks::__private;
