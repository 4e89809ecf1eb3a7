//! The relational kernel of trefoil: sessions, sources, sinks, DataFusion bound to the engine.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod error;
mod frame;
mod session;
mod stem;

pub use error::plan_error;
pub use frame::DataFrame;
pub use session::{Session, SessionBuilder};
pub use stem::{Engine, Error, ErrorKind, Result};
