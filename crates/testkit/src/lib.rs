//! Oracles and strategies for trefoil's own tests (unpublished).
//!
//! An oracle is dumb on purpose: a vector of rows and a loop. What it says is compared with what each front
//! end says of the same rows, cut into partitions and batches at random places.

mod rows;

pub use rows::{Row, Table, table};
