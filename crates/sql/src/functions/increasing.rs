//! `monotonically_increasing_id`: numbers that rise from row to row. Each call in a query counts for itself, from 0; with
//! several workers each number comes once, and rises within a partition.

use super::Set;
use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const NAME: &str = "monotonically_increasing_id";

#[derive(Clone, Debug)]
struct Increasing {
    signature: Signature,
    /// Of a call in a plan; none before it is optimized.
    next: Option<Arc<AtomicI64>>,
}

impl PartialEq for Increasing {
    fn eq(&self, other: &Self) -> bool {
        match (&self.next, &other.next) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Increasing {}

impl Hash for Increasing {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

impl ScalarUDFImpl for Increasing {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(NAME, DataType::Int64, false)))
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if self.next.is_some() {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let counting = Self { next: Some(Arc::default()), ..self.clone() };
        Ok(ExprSimplifyResult::Simplified(ScalarUDF::new_from_impl(counting).call(args)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows as i64;
        let first = self.next.as_ref().map_or(0, |next| next.fetch_add(rows, Ordering::Relaxed));
        let numbers = Int64Array::from_iter_values(first..first + rows);
        Ok(ColumnarValue::Array(Arc::new(numbers) as ArrayRef))
    }
}

pub(super) fn add(set: &mut Set) {
    let signature = Signature::one_of(vec![TypeSignature::Nullary], Volatility::Volatile);
    set.udf(ScalarUDF::new_from_impl(Increasing { signature, next: None }));
}
