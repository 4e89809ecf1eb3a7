//! `current_database` and `current_schema`, which the options of the session know.

use super::Set;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentDatabase {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for CurrentDatabase {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = crate::databases::of_schema(&args.config_options.catalog.default_schema);
        Ok(ColumnarValue::Scalar(ScalarValue::from(name)))
    }
}

pub(super) fn add(set: &mut Set) {
    for name in ["current_database", "current_schema"] {
        let signature = Signature::nullary(Volatility::Stable);
        set.udf(ScalarUDF::new_from_impl(CurrentDatabase { name, signature }));
    }
}
