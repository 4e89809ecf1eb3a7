//! Least and greatest values of the columns of a stored table, for the order of joins.
//!
//! Looked up once a table, when a plan first asks, and only for whole numbers and days, whose range says how many
//! different values there can be. A table of which a partition has left memory is not read for it.

use datafusion::arrow::array::{Array, ArrowPrimitiveType, AsArray};
use datafusion::arrow::compute::{max, min};
use datafusion::arrow::datatypes::*;
use datafusion::common::ScalarValue;
use std::sync::{Arc, OnceLock};
use trefoil_core::Partition;

type Range = (ScalarValue, ScalarValue);

/// Filled once; clones of a table share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(Arc<OnceLock<Vec<Option<Range>>>>);

impl Ranges {
    /// By column; none of a column of another type, of no value, or if it is not looked up.
    pub(super) fn of(&self, schema: &Schema, partitions: &[Partition]) -> &[Option<Range>] {
        self.0.get_or_init(|| {
            let mut ranges = vec![None; schema.fields().len()];
            if partitions.iter().any(Partition::is_spilled) {
                return ranges;
            }
            for partition in partitions {
                // The scan will say what is wrong with it.
                let Ok(batches) = partition.batches() else { return vec![None; ranges.len()] };
                for batch in batches.iter() {
                    for (range, column) in ranges.iter_mut().zip(batch.columns()) {
                        if let Some(found) = range_of(column.as_ref()) {
                            *range = Some(range.take().map_or(found.clone(), |known| wider(known, found)));
                        }
                    }
                }
            }
            ranges
        })
    }
}

fn wider((low, high): Range, (least, greatest): Range) -> Range {
    (if least < low { least } else { low }, if greatest > high { greatest } else { high })
}

fn range_of(column: &dyn Array) -> Option<Range> {
    match column.data_type() {
        DataType::Int8 => of::<Int8Type>(column),
        DataType::Int16 => of::<Int16Type>(column),
        DataType::Int32 => of::<Int32Type>(column),
        DataType::Int64 => of::<Int64Type>(column),
        DataType::UInt8 => of::<UInt8Type>(column),
        DataType::UInt16 => of::<UInt16Type>(column),
        DataType::UInt32 => of::<UInt32Type>(column),
        DataType::UInt64 => of::<UInt64Type>(column),
        DataType::Date32 => of::<Date32Type>(column),
        _ => None,
    }
}

fn of<T: ArrowPrimitiveType>(column: &dyn Array) -> Option<Range>
where
    T::Native: PartialOrd,
{
    let values = column.as_primitive::<T>();
    let scalar = |value| ScalarValue::new_primitive::<T>(Some(value), &T::DATA_TYPE).ok();
    Some((scalar(min(values)?)?, scalar(max(values)?)?))
}
