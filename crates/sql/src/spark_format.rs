//! Values printed as Spark's shell prints them.
//!
//! ```
//! use std::sync::Arc;
//! use trefoil_plan::arrow::array::{ArrayRef, Float64Array};
//!
//! let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(1e10)]));
//! assert_eq!(trefoil_sql::spark_format::column(&column)?, ["1.0", "NULL", "1.0E10"]);
//! # Ok::<(), trefoil_plan::Error>(())
//! ```

use crate::value::{self, datetime, format, types};
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use trefoil_core::Result;
use trefoil_plan::plan_error;

/// The text of every value of a column: `NULL`, `true`, `1.0`, `12.50`, `2024-01-31`, `["a","b"]`,
/// `{"f":1}`, `{1:"a"}`; binary as the text it encodes, intervals as `1-2` and `0 00:00:01.000000000`.
///
/// # Errors
/// [`ErrorKind::Unsupported`](trefoil_core::ErrorKind::Unsupported) for types that Spark has no like of.
pub fn column(array: &ArrayRef) -> Result<Vec<String>> {
    if let DataType::Timestamp(TimeUnit::Nanosecond, _) = array.data_type() {
        let nanos = array.as_primitive::<TimestampNanosecondType>();
        let zone = types::zone_of(array.data_type());
        let local = |nanos: i64| {
            let micros = zone.and_then(|zone| datetime::from_utc(nanos.div_euclid(1000), zone));
            micros
                .and_then(|micros| micros.checked_mul(1000)?.checked_add(nanos.rem_euclid(1000)))
                .unwrap_or(nanos)
        };
        let text = |nanos: Option<i64>| {
            nanos.map_or_else(|| "NULL".into(), |nanos| datetime::nanos_text(local(nanos)))
        };
        return Ok(nanos.iter().map(text).collect());
    }
    let values = value::read(array).map_err(|error| plan_error(error, "format"))?;
    let data_type = types::plain(array.data_type());
    Ok(values.iter().map(|value| format::text(value, &data_type)).collect())
}

/// The rows of a batch, a text for each cell.
///
/// # Errors
/// As [`column()`].
pub fn rows(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let columns = batch.columns().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
}

/// The name of a type in Spark, in lower case: `bigint`, `array<string>`, `struct<a:int>`.
///
/// ```
/// use trefoil_plan::arrow::datatypes::DataType;
///
/// assert_eq!(trefoil_sql::spark_format::type_name(&DataType::Decimal128(10, 2)), "decimal(10,2)");
/// ```
pub fn type_name(data_type: &DataType) -> String {
    types::name(data_type)
}
