//! Numbers that are finite: what rolling windows look at.
//!
//! A function rather than `CASE WHEN value - value = 0`, because most batches hold nothing else: then it hands the
//! array on.

use super::expr::Expr;
use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// The value, null in place of `NaN` and infinities; of other types than floats the value as it is.
pub(super) fn finite(value: Expr) -> Expr {
    static UDF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        Arc::new(ScalarUDF::from(Finite { signature: Signature::any(1, Volatility::Immutable) }))
    });
    UDF.call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Finite {
    signature: Signature,
}

fn only_finite<T: ArrowPrimitiveType>(array: &ArrayRef, is_finite: impl Fn(T::Native) -> bool) -> ArrayRef {
    let array = array.as_primitive::<T>();
    // not `all`, which looks at one after another
    if array.values().iter().fold(true, |all, value| all & is_finite(*value)) {
        return Arc::new(array.clone());
    }
    let finite = BooleanBuffer::collect_bool(array.len(), |row| is_finite(array.values()[row]));
    let nulls = NullBuffer::union(array.nulls(), Some(&NullBuffer::new(finite)));
    Arc::new(PrimitiveArray::<T>::new(array.values().clone(), nulls))
}

impl ScalarUDFImpl for Finite {
    fn name(&self) -> &str {
        "finite"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> PlanResult<DataType> {
        let [value] = take_function_args(self.name(), arg_types)?;
        Ok(value.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [value] = take_function_args(self.name(), arrays)?;
        Ok(ColumnarValue::Array(match value.data_type() {
            DataType::Float64 => only_finite::<Float64Type>(&value, f64::is_finite),
            DataType::Float32 => only_finite::<Float32Type>(&value, f32::is_finite),
            _ => value,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float32Array, Float64Array};

    #[test]
    fn the_others_become_null() {
        let check = |values: Vec<Option<f64>>, wanted: Vec<Option<f64>>| {
            let array: ArrayRef = Arc::new(Float64Array::from(values.clone()));
            let found = only_finite::<Float64Type>(&array, f64::is_finite);
            assert_eq!(found.as_primitive::<Float64Type>(), &Float64Array::from(wanted), "{values:?}");
        };
        check(vec![], vec![]);
        check(vec![Some(1.0), None, Some(-0.0)], vec![Some(1.0), None, Some(-0.0)]);
        check(vec![Some(f64::NAN), None, Some(2.0)], vec![None, None, Some(2.0)]);
        check(vec![Some(f64::INFINITY), Some(f64::NEG_INFINITY)], vec![None, None]);
        let single: ArrayRef = Arc::new(Float32Array::from(vec![1.0, f32::NAN]));
        assert_eq!(only_finite::<Float32Type>(&single, f32::is_finite).null_count(), 1);
    }
}
