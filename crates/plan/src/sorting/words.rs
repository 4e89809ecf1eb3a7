//! Keys of one column of numbers, days or times: a word for each row, which compares as the value does.
//!
//! The row format would write nine bytes and a place for each of them, to be read back as the same word.

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// The keys of a batch.
#[derive(Debug)]
pub(super) struct Words {
    values: Vec<u64>,
    nulls: Option<NullBuffer>,
    nulls_first: bool,
}

/// A value as a word that compares as the value does; floats in the total order of IEEE 754, as in the row format.
trait Word: Copy {
    fn word(self) -> u64;
}

macro_rules! integers {
    ($($native:ty),*) => {
        $(impl Word for $native {
            #[inline]
            fn word(self) -> u64 {
                // the sign bit of signed numbers turned over
                (i64::from(self) as u64) ^ (1 << 63)
            }
        })*
    };
}

integers!(i8, i16, i32, i64);

macro_rules! naturals {
    ($($native:ty),*) => {
        $(impl Word for $native {
            #[inline]
            fn word(self) -> u64 {
                u64::from(self)
            }
        })*
    };
}

naturals!(u8, u16, u32, u64);

impl Word for f64 {
    #[inline]
    fn word(self) -> u64 {
        let bits = self.to_bits();
        // all bits of negative numbers are turned over, the sign of others
        bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
    }
}

impl Word for f32 {
    #[inline]
    fn word(self) -> u64 {
        let bits = self.to_bits();
        u64::from(bits ^ ((bits as i32 >> 31) as u32 | 1 << 31))
    }
}

/// Whether a column of this type alone has words for keys.
pub(super) fn knows(data_type: &DataType) -> bool {
    use DataType::{
        Date32, Date64, Duration, Float32, Float64, Int8, Int16, Int32, Int64, Time32, Time64, Timestamp,
        UInt8, UInt16, UInt32, UInt64,
    };
    matches!(
        data_type,
        Int8 | Int16
            | Int32
            | Int64
            | UInt8
            | UInt16
            | UInt32
            | UInt64
            | Float32
            | Float64
            | Date32
            | Date64
            | Time32(_)
            | Time64(_)
            | Timestamp(_, _)
            | Duration(_)
    )
}

fn encode<T: ArrowPrimitiveType<Native: Word>>(array: &PrimitiveArray<T>, options: SortOptions) -> Words {
    let turned = if options.descending { u64::MAX } else { 0 };
    Words {
        values: array.values().iter().map(|value| value.word() ^ turned).collect(),
        nulls: array.nulls().filter(|nulls| nulls.null_count() > 0).cloned(),
        nulls_first: options.nulls_first,
    }
}

impl Words {
    /// The keys of a column; none of one that [`knows`] does not know.
    pub(super) fn of(array: &ArrayRef, options: SortOptions) -> Option<Words> {
        macro_rules! first_of {
            ($($data_type:ty),*) => {
                $(if let Some(array) = array.as_any().downcast_ref::<PrimitiveArray<$data_type>>() {
                    return Some(encode(array, options));
                })*
            };
        }
        first_of!(Float64Type, Int64Type, Int32Type, Date32Type, TimestampMicrosecondType);
        first_of!(TimestampNanosecondType, TimestampMillisecondType, TimestampSecondType, Date64Type);
        first_of!(Float32Type, Int8Type, Int16Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type);
        first_of!(Time32SecondType, Time32MillisecondType, Time64MicrosecondType, Time64NanosecondType);
        first_of!(DurationSecondType, DurationMillisecondType, DurationMicrosecondType);
        first_of!(DurationNanosecondType);
        None
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn size(&self) -> usize {
        self.values.capacity() * size_of::<u64>()
    }

    pub(super) fn has_nulls(&self) -> bool {
        self.nulls.is_some()
    }

    /// Whether the row's null stands before or after the values, and its word.
    #[inline]
    pub(super) fn key(&self, row: usize) -> (u64, u64) {
        match self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            true if self.nulls_first => (0, 0),
            true => (2, 0),
            false => (1, self.values[row]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float32Array, Float64Array, Int16Array, Int64Array, UInt32Array};
    use datafusion::arrow::row::{RowConverter, SortField};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Any two rows compare as in the row format.
    fn check(array: ArrayRef, options: SortOptions) {
        let field = SortField::new_with_options(array.data_type().clone(), options);
        assert!(knows(array.data_type()));
        let rows =
            RowConverter::new(vec![field]).unwrap().convert_columns(std::slice::from_ref(&array)).unwrap();
        let words = Words::of(&array, options).unwrap();
        for a in 0..array.len() {
            for b in 0..array.len() {
                let wanted = rows.row(a).cmp(&rows.row(b));
                assert_eq!(words.key(a).cmp(&words.key(b)), wanted, "{a} {b} of {array:?} {options:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn as_the_row_format(
            floats in prop::collection::vec(prop::option::weighted(0.9, prop_oneof![
                any::<f64>(), Just(0.0), Just(-0.0), Just(f64::NAN), Just(-f64::NAN), Just(f64::INFINITY),
            ]), 0..20),
            whole in prop::collection::vec(prop::option::weighted(0.9, any::<i64>()), 0..20),
            descending in any::<bool>(),
            nulls_first in any::<bool>(),
        ) {
            let options = SortOptions { descending, nulls_first };
            check(Arc::new(Float64Array::from(floats.clone())), options);
            let single = floats.iter().map(|value| value.map(|value| value as f32));
            check(Arc::new(single.collect::<Float32Array>()), options);
            check(Arc::new(Int64Array::from(whole.clone())), options);
            check(Arc::new(whole.iter().map(|v| v.map(|v| v as i16)).collect::<Int16Array>()), options);
            check(Arc::new(whole.iter().map(|v| v.map(|v| v as u32)).collect::<UInt32Array>()), options);
            check(Arc::new(Int64Array::from(whole).reinterpret_cast::<TimestampSecondType>()), options);
        }
    }
}
