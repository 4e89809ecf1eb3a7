//! What all leaves exchange: partitions of Arrow record batches, and data sets made of them.

mod dataset;
mod partition;

pub use dataset::Dataset;
pub use partition::{Batches, Partition};
pub(crate) use partition::{check_schema, unique_bytes};
