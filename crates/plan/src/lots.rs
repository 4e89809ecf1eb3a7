//! Lots: numbers by chance that depend on nothing but a seed and the values of a row.
//!
//! A query is computed with any number of partitions, its batches in any order. So a sample that is to be the same every
//! time is drawn by lots: the hash of a row's values (Arrow's row encoding, mixed with the seed), and, for rows with
//! equal values, of their number among them.

use datafusion::arrow::array::{Array, ArrayRef, UInt64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};
use trefoil_core::mix;

static ROW_HASH: LazyLock<ScalarUDF> = LazyLock::new(|| ScalarUDF::from(RowHash::new()));

/// `trefoil_row_hash(seed, columns...)`, of an unsigned seed: [`row_hashes`] as a function of plans.
pub fn row_hash_udf() -> &'static ScalarUDF {
    &ROW_HASH
}

/// Whether values of these types can be told apart, so that their rows have hashes.
///
/// ```
/// use trefoil_plan::arrow::datatypes::DataType;
/// use trefoil_plan::hashable;
///
/// assert!(hashable(&[DataType::Int64, DataType::Utf8View]));
/// let lists = DataType::new_list(DataType::Utf8, true);
/// assert!(!hashable(&[DataType::Dictionary(Box::new(DataType::Int8), Box::new(lists))]));
/// ```
pub fn hashable<'a>(types: impl IntoIterator<Item = &'a DataType>) -> bool {
    let fields: Vec<SortField> = types.into_iter().map(|t| SortField::new(t.clone())).collect();
    RowConverter::supports_fields(&fields)
}

/// `trefoil_row_hash(seed, columns...)`: a hash of the values of a row, the same for equal rows whatever
/// batch they are in.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowHash {
    signature: Signature,
}

impl RowHash {
    fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RowHash {
    fn name(&self) -> &str {
        "trefoil_row_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some((seed, columns)) = arrays.split_first() else {
            let [_seed] = take_function_args::<1, _>(self.name(), arrays)?;
            return Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(Vec::<u64>::new()))));
        };
        let seed = seed.as_any().downcast_ref::<UInt64Array>().and_then(|s| s.iter().next().flatten());
        Ok(ColumnarValue::Array(Arc::new(row_hashes(seed.unwrap_or(0), columns, args.number_rows)?)))
    }
}

/// The hashes of so many rows, from a seed; rows with equal values have equal hashes, whatever batch they are in.
///
/// # Errors
/// For types that cannot be ordered.
///
/// ```
/// use std::sync::Arc;
/// use trefoil_plan::arrow::array::{ArrayRef, Int64Array};
///
/// let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 1]));
/// let hashes = trefoil_plan::row_hashes(7, &[column], 3).map_err(trefoil_plan::Error::user)?;
/// assert!(hashes.value(0) == hashes.value(2) && hashes.value(0) != hashes.value(1));
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
pub fn row_hashes(seed: u64, columns: &[ArrayRef], rows: usize) -> Result<UInt64Array> {
    let start = mix(seed);
    if columns.is_empty() {
        return Ok(UInt64Array::from(vec![start; rows]));
    }
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let encoded = RowConverter::new(fields)?.convert_columns(columns)?;
    Ok(encoded.iter().map(|row| hash(start, row.as_ref())).collect())
}

/// Chains the words of `bytes` through [`mix`]; the length tells a short tail from zeros.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut state = start;
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (slot, byte) in last.iter_mut().zip(tail) {
        *slot = *byte;
    }
    mix(mix(state ^ u64::from_le_bytes(last)) ^ bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, StringArray, StringViewArray};

    #[test]
    fn the_hash_is_of_the_values() {
        let check = |a: ArrayRef, b: ArrayRef, equal: bool| {
            let (a, b) = (row_hashes(7, &[a], 1).unwrap(), row_hashes(7, &[b], 1).unwrap());
            assert_eq!(a == b, equal);
        };
        check(Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![1])), true);
        check(Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![2])), false);
        check(Arc::new(Int64Array::from(vec![0])), Arc::new(Int64Array::from(vec![None])), false);
        check(Arc::new(StringArray::from(vec!["ab"])), Arc::new(StringViewArray::from(vec!["ab"])), true);
        check(Arc::new(StringArray::from(vec![""])), Arc::new(StringArray::from(vec!["\0"])), false);
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let columns = [column];
        assert_ne!(row_hashes(1, &columns, 1).unwrap(), row_hashes(2, &columns, 1).unwrap());
    }
}
