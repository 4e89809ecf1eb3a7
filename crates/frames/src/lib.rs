//! The frames leaf of trefoil: data frames, chunked arrays, bags, delayed graphs.
//!
//! [`mod@array`], [`bag`] and [`delayed`] need only the stem (`trefoil-core`); `frame` needs the
//! relational kernel and sits behind the feature `frame` (on by default).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod array;
pub mod bag;
pub mod delayed;
#[cfg(feature = "frame")]
pub mod frame;
mod seed;

pub use seed::{Seed, seed};
