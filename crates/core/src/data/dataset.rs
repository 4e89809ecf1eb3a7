//! A data set: a schema and partitions, each a ref. It never assumes its partitions are in this process.

use arrow_schema::SchemaRef;

use super::Partition;
use crate::refs::Ref;

/// A schema and its partitions, what the leaves hand to one another.
#[derive(Clone, Debug)]
pub struct Dataset {
    schema: SchemaRef,
    partitions: Vec<Ref<Partition>>,
}

impl Dataset {
    /// A data set of these partitions, all of this schema.
    pub fn new(schema: SchemaRef, partitions: Vec<Ref<Partition>>) -> Self {
        Self { schema, partitions }
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> &[Ref<Partition>] {
        &self.partitions
    }

    /// How many partitions there are.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }
}
