//! Division downwards to a whole number, `//` of Python.
//!
//! A function of its own, because whole numbers beyond 2^53 are not what a floating-point quotient rounds down to.

use super::expr::Expr;
use datafusion::arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::compute::{CastOptions, binary, cast_with_options, try_binary};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::plan_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// `dividend // divisor`.
pub(super) fn floor_div(dividend: Expr, divisor: Expr) -> Expr {
    static UDF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        Arc::new(ScalarUDF::from(FloorDiv { signature: Signature::user_defined(Volatility::Immutable) }))
    });
    UDF.call(vec![dividend, divisor])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FloorDiv {
    signature: Signature,
}

fn whole(a: i64, b: i64) -> Result<i64, ArrowError> {
    if b == 0 {
        return Err(ArrowError::DivideByZero);
    }
    let Some(quotient) = a.checked_div(b) else {
        return Err(ArrowError::ArithmeticOverflow(format!("Overflow happened on: {a} // {b}")));
    };
    // the quotient was rounded towards zero
    let up = a % b != 0 && (a < 0) != (b < 0);
    Ok(quotient - i64::from(up))
}

impl ScalarUDFImpl for FloorDiv {
    fn name(&self) -> &str {
        "floor_div"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> PlanResult<Vec<DataType>> {
        let [a, b] = take_function_args(self.name(), arg_types)?;
        match (a, b) {
            (a, b) if a.is_integer() && b.is_integer() => Ok(vec![DataType::Int64; 2]),
            (a, b) if (a.is_numeric() || a.is_null()) && (b.is_numeric() || b.is_null()) => {
                Ok(vec![DataType::Float64; 2])
            }
            _ => plan_err!("floor_div works on numbers, not on {a} and {b}"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [a, b] = take_function_args(self.name(), arrays)?;
        if a.data_type() == &DataType::Int64 {
            let (a, b) = (a.as_primitive::<Int64Type>(), b.as_primitive::<Int64Type>());
            let quotients: PrimitiveArray<Int64Type> = try_binary(a, b, whole)?;
            return Ok(ColumnarValue::Array(Arc::new(quotients)));
        }
        let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
        let quotients: PrimitiveArray<Float64Type> = binary(a, b, |a, b| (a / b).floor())?;
        let quotients: ArrayRef = Arc::new(quotients);
        // one that is no whole number is an error, not null
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        Ok(ColumnarValue::Array(cast_with_options(&quotients, &DataType::Int64, &strict)?))
    }
}
