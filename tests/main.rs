//! The facade's integration tests: one binary, linked once, a module per subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod failures;
mod programs;
mod props;
mod tidy;
mod tour;
mod where_it_runs;
