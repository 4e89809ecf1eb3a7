//! The relational kernel of trefoil: sessions, sources, sinks, and DataFusion bound to the engine.
//!
//! A [`Session`] is an engine plus a catalog of tables. It reads files ([`Session::read_csv`],
//! [`Session::read_parquet`], [`Session::read_json`]) and gives lazy [`DataFrame`]s, which run on the
//! engine's CPU runtime, take their memory from the engine's budget and spill into its directory. Every
//! `async` method may be awaited from any executor, stops its query when the future is dropped, and gives
//! a [`ErrorKind::ShutDown`] error once the engine is shut down.
//!
//! SQL text is the business of `trefoil-sql`, the pandas-like verbs that of `trefoil-frames`; both build
//! on the types here.
//!
//! ```
//! use trefoil_plan::Session;
//!
//! let session = Session::local()?;
//! let rows = session.block_on(async {
//!     let cars = session.read_csv("../../examples/data/diamonds.csv").await?;
//!     cars.count().await
//! })?;
//! assert_eq!(rows, 53_940);
//! # Ok::<(), trefoil_plan::Error>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod constants;
mod created;
#[cfg(feature = "delta")]
mod delta;
mod error;
mod floor;
mod frame;
mod infallible;
mod known;
mod lambdas;
mod lots;
mod memory;
mod observe;
mod optimize;
mod recursion;
mod session;
mod sorting;
mod source;
mod stored;
mod totals;
mod windows;
mod yielding;

pub use datafusion::arrow;
pub use error::{plan_error, span_of};
pub use frame::{DataFrame, FrameStream, WriteMode, WriteOptions};
pub use known::is_known_aggregate;
pub use lots::{hashable, row_hash_udf, row_hashes};
pub use recursion::limit_recursion;
pub use session::{Dialect, Session, SessionBuilder};
pub use source::{CsvOptions, JsonOptions, Malformed, PATH_OPTION, partition_directory};
pub use stored::{DivisionKey, Divisions, StoredTable};
pub use trefoil_core::{Engine, Error, ErrorKind, Result, mix};
pub use windows::{Interpolation, quantile_udaf, summary_udaf};
