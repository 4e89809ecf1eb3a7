//! Integration tests of the frames leaf, one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod array;
mod bag;
#[cfg(feature = "frame")]
mod coverage;
mod delayed;
#[cfg(feature = "frame")]
mod frame;
