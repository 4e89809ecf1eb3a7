//! Frames and arrays: numeric columns as a view without a copy, or as a chunked array.

use super::check;
use crate::array::{Array, ArraySession, chunks};
use datafusion::arrow::array::{Array as ArrowArray, ArrowPrimitiveType, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowNativeType, DataType, Float32Type, Float64Type, Int32Type, Int64Type,
};
use ndarray::{ArrayD, ArrayView1, IxDyn};
use trefoil_core::{Arg, Call, Error, ErrorKind, Input, Partition, TaskSpec};
use trefoil_plan::{DataFrame, Result, plan_error};

mod sealed {
    pub trait Sealed {}
}

/// What a column can be viewed as: `f64`, `f32`, `i64`, `i32`.
pub trait ColumnValue: sealed::Sealed + ArrowNativeType + Send + Sync {
    #[doc(hidden)]
    type Arrow: ArrowPrimitiveType<Native = Self>;
}

macro_rules! values {
    ($($native:ty => $arrow:ty),*) => {$(
        impl sealed::Sealed for $native {}
        impl ColumnValue for $native {
            type Arrow = $arrow;
        }
    )*};
}
values!(f64 => Float64Type, f32 => Float32Type, i64 => Int64Type, i32 => Int32Type);

/// A column of a batch as a one-dimensional array over the same memory; nothing is copied.
///
/// ```
/// use trefoil_frames::frame::column_view;
///
/// let session = trefoil_plan::Session::local()?;
/// session.block_on(async {
///     let prices = session.read_csv("../../examples/data/diamonds.csv").await?.persist().await?;
///     let sums = session.try_map(prices.partitions()?, |part| {
///         let batches = part.batches()?;
///         batches.iter().map(|batch| Ok(column_view::<f64>(batch, "carat")?.sum())).sum::<Result<f64, trefoil_core::Error>>()
///     });
///     let total: f64 = session.gather(sums).await?.into_iter().sum();
///     assert!((total - 43_040.87).abs() < 1e-6);
///     Ok::<(), trefoil_plan::Error>(())
/// })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
///
/// # Errors
/// An unknown column, one of another type, one with nulls (which have no place in an array).
pub fn column_view<'b, T: ColumnValue>(batch: &'b RecordBatch, column: &str) -> Result<ArrayView1<'b, T>> {
    const OP: &str = "column_view";
    let Some(array) = batch.column_by_name(column) else {
        let schema = batch.schema();
        return Err(Error::unknown_column(OP, column, schema.fields().iter().map(|f| f.name().clone())));
    };
    let Some(values) = array.as_primitive_opt::<T::Arrow>() else {
        let text = format!("`{column}` is {}, not {}", array.data_type(), T::Arrow::DATA_TYPE);
        return Err(check::mismatch(OP, text).with_help("convert it with `astype` first"));
    };
    if values.null_count() > 0 {
        return Err(check::invalid(OP, format!("`{column}` has {} nulls", values.null_count()))
            .with_help("fill or drop them first: `fillna_of`, `dropna_of`"));
    }
    Ok(ArrayView1::from(&values.values()[..]))
}

/// Numeric columns as a matrix with a row per row, a chunk per partition; null becomes `NaN`.
pub(super) async fn to_array(frame: &DataFrame, columns: Vec<String>) -> Result<Array<f64>> {
    const OP: &str = "to_array";
    let columns = check::list(OP, frame, columns)?;
    for name in &columns {
        let (_, field) = check::find(OP, frame, name)?;
        if !matches!(check::class(field.data_type()), check::Class::Number | check::Class::Mask) {
            let text = format!("`{name}` is {}, not a number", field.data_type());
            return Err(check::mismatch(OP, text).with_help("convert it, or `get_dummies` of it"));
        }
    }
    let kept = frame.persist().await?;
    let mut parts = frame.session().gather(kept.partitions()?).await?;
    parts.retain(|part| part.num_rows() > 0);
    let rows: Vec<usize> = parts.iter().map(Partition::num_rows).collect();
    let total: usize = rows.iter().sum();
    if total == 0 {
        return Err(Error::new(ErrorKind::InvalidArgument, OP, "the frame has no rows"));
    }
    let width = columns.len();
    let blocks = parts.into_iter().map(|part| {
        let columns = columns.clone();
        Call::new(TaskSpec::new(OP), (Arg::Value(part),), move |(part,): (Input<Partition>,)| {
            block(&part, &columns)
        })
    });
    frame.session().engine().array().from_blocks([total, width], chunks(vec![rows, vec![width]]), blocks)
}

fn block(part: &Partition, columns: &[String]) -> Result<ArrayD<f64>> {
    const OP: &str = "to_array";
    let mut values = vec![0.0; part.num_rows() * columns.len()];
    let mut start = 0;
    for batch in part.batches()?.iter() {
        for (at, name) in columns.iter().enumerate() {
            let Some(array) = batch.column_by_name(name) else { continue };
            let array = cast(array, &DataType::Float64).map_err(|e| plan_error(e.into(), OP))?;
            let cells = values[start..].iter_mut().skip(at).step_by(columns.len());
            for (cell, value) in cells.zip(array.as_primitive::<Float64Type>()) {
                *cell = value.unwrap_or(f64::NAN);
            }
        }
        start += batch.num_rows() * columns.len();
    }
    let shape = IxDyn(&[part.num_rows(), columns.len()]);
    ArrayD::from_shape_vec(shape, values)
        .map_err(|e| Error::new(ErrorKind::Internal, OP, "the rows do not fill the chunk").with_source(e))
}
