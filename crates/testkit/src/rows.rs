//! A random table of two nullable columns, `k` (text, few values) and `v` (whole numbers), and what a loop
//! over its rows says of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use trefoil_core::{Partition, Result};

/// A row: `k` and `v`.
pub type Row = (Option<String>, Option<i64>);

/// A table of rows in partitions of batches; any of them may be empty.
#[derive(Clone, Debug)]
pub struct Table {
    /// Rows by partition and batch.
    pub parts: Vec<Vec<Vec<Row>>>,
}

/// Tables of up to 1, 2 or 7 partitions, empty ones included.
pub fn table() -> impl Strategy<Value = Table> {
    let key = prop_oneof![1 => Just(None), 6 => "[a-d]".prop_map(Some)];
    let value = prop_oneof![1 => Just(None), 6 => (-20..20_i64).prop_map(Some)];
    let batch = prop::collection::vec((key, value), 0..12);
    let part = prop::collection::vec(batch, 1..4);
    prop_oneof![Just(1_usize), Just(2), Just(7)]
        .prop_flat_map(move |parts| prop::collection::vec(part.clone(), parts))
        .prop_map(|parts| Table { parts })
}

impl Table {
    /// The columns.
    pub fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("k", DataType::Utf8, true),
            Field::new("v", DataType::Int64, true),
        ]))
    }

    /// All rows, in order.
    pub fn rows(&self) -> Vec<Row> {
        self.parts.iter().flatten().flatten().cloned().collect()
    }

    /// The table as partitions outside any store.
    ///
    /// # Errors
    ///
    /// None for a table of this strategy; what Arrow says otherwise.
    pub fn partitions(&self) -> Result<Vec<Partition>> {
        self.parts
            .iter()
            .map(|batches| {
                let batches = batches.iter().map(|rows| to_batch(rows)).collect::<Result<Vec<_>>>()?;
                Partition::from_batches(Self::schema(), batches)
            })
            .collect()
    }

    /// Rows whose `v` is above `limit`.
    pub fn above(&self, limit: i64) -> Vec<Row> {
        self.rows().into_iter().filter(|(_, v)| v.is_some_and(|v| v > limit)).collect()
    }

    /// The sum of `v` for each `k`, null among the keys; a sum of nothing is null.
    pub fn sums(&self) -> Vec<Row> {
        let mut sums: BTreeMap<Option<String>, Option<i64>> = BTreeMap::new();
        for (k, v) in self.rows() {
            let sum = sums.entry(k).or_default();
            *sum = match (*sum, v) {
                (Some(sum), Some(v)) => Some(sum + v),
                (sum, v) => sum.or(v),
            };
        }
        sums.into_iter().collect()
    }
}

fn to_batch(rows: &[Row]) -> Result<RecordBatch> {
    let k: StringArray = rows.iter().map(|(k, _)| k.as_deref()).collect();
    let v: Int64Array = rows.iter().map(|(_, v)| *v).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(k), Arc::new(v)];
    RecordBatch::try_new(Table::schema(), columns).map_err(trefoil_core::Error::user)
}
