//! The steps of the tour: each is a function that returns a value, which `tests/tour.rs` checks against
//! figures computed by other programs, and which prints as what the step shows.

pub mod arrays;
pub mod borders;
pub mod frames;
pub mod graph;
pub mod sql;
pub mod tasks;

use std::path::Path;

use trefoil::arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use trefoil::arrow::compute::cast;
use trefoil::arrow::datatypes::DataType;
use trefoil::prelude::*;

/// A path below the data directory, as SQL and the readers take it.
fn below(data: &Path, name: &str) -> String {
    data.join(name).display().to_string()
}

/// A column of a result as numbers; null becomes NaN.
pub fn numbers(batches: &[RecordBatch], column: &str) -> trefoil::Result<Vec<f64>> {
    let mut values = Vec::new();
    for batch in batches {
        let floats = cast(named(batch, column)?, &DataType::Float64).map_err(trefoil::Error::user)?;
        let floats: &Float64Array = floats.as_primitive();
        values.extend(floats.iter().map(|value| value.unwrap_or(f64::NAN)));
    }
    Ok(values)
}

/// A column of a result as text; null becomes empty.
pub fn texts(batches: &[RecordBatch], column: &str) -> trefoil::Result<Vec<String>> {
    let mut values = Vec::new();
    for batch in batches {
        let texts = cast(named(batch, column)?, &DataType::Utf8).map_err(trefoil::Error::user)?;
        values.extend(texts.as_string::<i32>().iter().map(|value| value.unwrap_or("").to_owned()));
    }
    Ok(values)
}

fn named<'a>(batch: &'a RecordBatch, column: &str) -> trefoil::Result<&'a dyn Array> {
    batch.column_by_name(column).map(|array| array.as_ref()).ok_or_else(|| {
        let known = batch.schema();
        let known = known.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        trefoil::Error::unknown_column("tour", column, known)
    })
}

/// The one number of a one-row frame.
async fn one_number(frame: &DataFrame, column: &str) -> trefoil::Result<f64> {
    let batches = frame.collect().await?;
    Ok(numbers(&batches, column)?.first().copied().unwrap_or(f64::NAN))
}
