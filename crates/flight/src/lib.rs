//! A Flight SQL server: a session's tables and SQL for ADBC and JDBC clients, over gRPC.
//!
//! All clients share one [`Session`](trefoil_plan::Session), so they see each other's views and tables. A server may ask for
//! a token and speak TLS. Queries run where the session's own do, in its budget; rows travel as they are computed.
//!
//! The parts: `serve` listens and ends, `access` checks the token, `service` answers what Flight SQL asks, `state` is what
//! clients have begun, `ingest` takes their rows, `answers` writes ours.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod answers;
mod ingest;
mod serve;
mod service;
mod state;

pub use serve::{Bound, FlightServer};
