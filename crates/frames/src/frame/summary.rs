//! What a frame looks like: its shape, its types, its figures.

use super::check::{self, Class, class, invalid};
use super::expr::{Expr, ExprMethods, asc, col, desc, lit};
use super::group::{self, GroupBy};
use super::rows;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::functions_aggregate::expr_fn::count;
use futures::TryStreamExt;
use std::fmt::Write;
use std::sync::Arc;
use trefoil_plan::{DataFrame, Error, ErrorKind, Result, plan_error};

pub(super) fn value_counts<S: AsRef<str>>(
    frame: &DataFrame,
    columns: impl IntoIterator<Item = S>,
) -> Result<DataFrame> {
    const OP: &str = "value_counts";
    let columns = check::list(OP, frame, columns)?;
    let counted = GroupBy::new(frame, &columns).agg([count(lit(1_i64)).alias("count")])?;
    // ties in the order of the values: the answer does not depend on the partitions
    rows::sort(OP, &counted, std::iter::once(desc("count")).chain(columns.iter().map(asc)))
}

/// One row of all the aggregates, as a batch.
async fn one_row(op: &'static str, frame: &DataFrame, outputs: Vec<check::Named>) -> Result<RecordBatch> {
    let outputs =
        outputs.into_iter().map(|(n, e)| Ok((n, check::resolve(op, frame, e)?))).collect::<Result<_>>()?;
    let rows = group::aggregate(op, frame, vec![], outputs)?.collect().await?;
    rows.into_iter()
        .find(|batch| batch.num_rows() == 1)
        .ok_or_else(|| Error::new(ErrorKind::Internal, op, "an aggregation of all rows gave no row"))
}

const STATISTICS: [&str; 8] = ["count", "mean", "std", "min", "25%", "50%", "75%", "max"];

pub(super) async fn describe(frame: &DataFrame) -> Result<DataFrame> {
    const OP: &str = "describe";
    let names = check::names(OP, frame)?;
    let schema = frame.schema();
    let numeric: Vec<String> = names
        .into_iter()
        .zip(schema.fields())
        .filter(|(_, field)| class(field.data_type()) == Class::Number)
        .map(|(name, _)| name)
        .collect();
    if numeric.is_empty() {
        return Err(invalid(OP, "no column is numeric").with_help("see `value_counts` for text"));
    }
    let mut outputs = Vec::new();
    for (i, name) in numeric.iter().enumerate() {
        let value = || col(name).cast(DataType::Float64);
        let figures = [
            value().count(),
            value().mean(),
            value().std(),
            value().min(),
            value().quantile(0.25),
            value().quantile(0.5),
            value().quantile(0.75),
            value().max(),
        ];
        for (figure, what) in figures.into_iter().zip(STATISTICS) {
            outputs.push((format!("{i} {what}"), figure));
        }
    }
    let row = one_row(OP, frame, outputs).await?;
    let figures = row
        .columns()
        .iter()
        .map(|array| {
            let array = cast(array, &DataType::Float64).map_err(|e| plan_error(e.into(), OP))?;
            Ok(array.as_primitive::<Float64Type>().iter().next().flatten())
        })
        .collect::<Result<Vec<Option<f64>>>>()?;
    let mut columns: Vec<(String, ArrayRef, bool)> =
        vec![("statistic".to_owned(), Arc::new(StringArray::from_iter_values(STATISTICS)), false)];
    for (name, values) in numeric.into_iter().zip(figures.chunks(STATISTICS.len())) {
        columns.push((name, Arc::new(values.iter().copied().collect::<Float64Array>()), true));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| plan_error(e.into(), OP))?;
    frame.session().frame_from_batches(vec![batch])
}

pub(super) fn dtypes(frame: &DataFrame) -> Vec<(String, DataType)> {
    frame.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
}

pub(super) async fn info(frame: &DataFrame) -> Result<String> {
    const OP: &str = "info";
    let names = check::names(OP, frame)?;
    let mut outputs = vec![("rows".to_owned(), count(lit(1_i64)))];
    outputs.extend(names.iter().enumerate().map(|(i, name)| (i.to_string(), count(col(name)))));
    let row = one_row(OP, frame, outputs).await?;
    let mut counts = row.columns().iter().map(|array| array.as_primitive::<Int64Type>().value(0));
    let rows = counts.next().unwrap_or(0);
    let head = ["column", "non-null"].map(str::len);
    let wide = names.iter().map(|n| n.chars().count()).chain([head[0]]).max().unwrap_or(0);
    let digits = rows.to_string().len().max(head[1]);
    let mut text = format!("{rows} rows x {} columns\n", names.len());
    // writing to a string cannot fail
    let _ = writeln!(text, "{:wide$}  {:>digits$}  type", "column", "non-null");
    for ((name, field), filled) in names.iter().zip(frame.schema().fields()).zip(counts) {
        let _ = writeln!(text, "{name:wide$}  {filled:>digits$}  {}", field.data_type());
    }
    Ok(text)
}

pub(super) async fn memory_usage(frame: &DataFrame) -> Result<Vec<(String, usize)>> {
    const OP: &str = "memory_usage";
    let mut usage: Vec<(String, usize)> = check::names(OP, frame)?.into_iter().map(|n| (n, 0)).collect();
    let mut batches = frame.stream();
    while let Some(batch) = batches.try_next().await? {
        for ((_, bytes), array) in usage.iter_mut().zip(batch.columns()) {
            *bytes += array.to_data().get_slice_memory_size().map_err(|e| plan_error(e.into(), OP))?;
        }
    }
    Ok(usage)
}

pub(super) fn agg(frame: &DataFrame, outputs: impl IntoIterator<Item = Expr>) -> Result<DataFrame> {
    const OP: &str = "agg";
    let outputs = outputs.into_iter().map(|e| check::named(OP, frame, e)).collect::<Result<_>>()?;
    group::aggregate(OP, frame, vec![], outputs)
}
