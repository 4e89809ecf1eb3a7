//! Which columns of a file are read here, and as what.

use super::numbers::{As, Digits, Masks, Numbers};
use super::texts::Texts;
use super::values::Values;
use datafusion::arrow::datatypes::{BinaryViewType, DataType, StringViewType, TimeUnit};
use datafusion::parquet::basic::{Compression, Encoding, Type};
use datafusion::parquet::file::metadata::ColumnChunkMetaData;
use datafusion::parquet::schema::types::ColumnDescriptor;

/// Whether columns of a type of Arrow may be read here at all.
pub(super) fn knows(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(
        data_type,
        Boolean
            | Int8
            | Int16
            | Int32
            | Int64
            | UInt8
            | UInt16
            | UInt32
            | UInt64
            | Float32
            | Float64
            | Date32
            | Time32(TimeUnit::Millisecond)
            | Time64(_)
            | Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _)
            | Decimal128(..)
            | Utf8View
            | BinaryView
    )
}

/// How a column of a file becomes one of a type of Arrow; `found` is the type that the file gives it.
pub(super) fn values_of(
    column: &ColumnDescriptor,
    found: &DataType,
    wanted: &DataType,
) -> Option<Box<dyn Values>> {
    use DataType::*;
    let same = match (found, wanted) {
        (Utf8 | LargeUtf8, Utf8View) | (Binary | LargeBinary, BinaryView) => true,
        _ => found == wanted,
    };
    if !same || column.max_rep_level() > 0 || column.max_def_level() > 1 {
        return None;
    }
    macro_rules! numbers {
        ($stored:ty, $native:ty) => {
            Box::new(Numbers::new(As::<$stored, $native>::new(), wanted.clone()))
        };
    }
    Some(match (column.physical_type(), wanted) {
        (Type::BOOLEAN, Boolean) => Box::new(Masks::new()),
        (Type::INT32, Int8) => numbers!(i32, i8),
        (Type::INT32, Int16) => numbers!(i32, i16),
        (Type::INT32, Int32 | Date32 | Time32(_)) => numbers!(i32, i32),
        (Type::INT32, UInt8) => numbers!(i32, u8),
        (Type::INT32, UInt16) => numbers!(i32, u16),
        (Type::INT32, UInt32) => numbers!(i32, u32),
        (Type::INT32, Decimal128(..)) => numbers!(i32, i128),
        (Type::INT64, Int64 | Time64(_) | Timestamp(..)) => numbers!(i64, i64),
        (Type::INT64, UInt64) => numbers!(i64, u64),
        (Type::INT64, Decimal128(..)) => numbers!(i64, i128),
        (Type::FLOAT, Float32) => numbers!(f32, f32),
        (Type::DOUBLE, Float64) => numbers!(f64, f64),
        (Type::FIXED_LEN_BYTE_ARRAY, Decimal128(..)) if (1..=16).contains(&column.type_length()) => {
            let length = usize::try_from(column.type_length()).ok()?;
            Box::new(Numbers::new(Digits(length), wanted.clone()))
        }
        (Type::BYTE_ARRAY, Utf8View) => Box::new(Texts::<StringViewType>::new()),
        (Type::BYTE_ARRAY, BinaryView) => Box::new(Texts::<BinaryViewType>::new()),
        _ => return None,
    })
}

/// Whether the bytes of a column are written in a way that is read here.
#[allow(deprecated)]
pub(super) fn reads(chunk: &ColumnChunkMetaData) -> bool {
    let masks = chunk.column_type() == Type::BOOLEAN;
    let known = chunk.encodings().all(|encoding| match encoding {
        Encoding::PLAIN | Encoding::RLE | Encoding::BIT_PACKED => true,
        Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => !masks,
        _ => false,
    });
    // The others are features of the crate `parquet` that may be off; it says so.
    known && !matches!(chunk.compression(), Compression::LZO)
}
