//! What a frame looks like: its shape, its types, its figures.

use super::check::{self, Class, class, invalid};
use super::columns::Which;
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
pub(super) async fn one_row(
    op: &'static str,
    frame: &DataFrame,
    outputs: Vec<check::Named>,
) -> Result<RecordBatch> {
    let outputs =
        outputs.into_iter().map(|(n, e)| Ok((n, check::resolve(op, frame, e)?))).collect::<Result<_>>()?;
    let rows = group::aggregate(op, frame, vec![], outputs)?.collect().await?;
    rows.into_iter()
        .find(|batch| batch.num_rows() == 1)
        .ok_or_else(|| Error::new(ErrorKind::Internal, op, "an aggregation of all rows gave no row"))
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

/// One row with an aggregation of each column under its name.
pub(super) fn each(
    op: &'static str,
    frame: &DataFrame,
    which: Which,
    aggregation: impl Fn(Expr) -> Expr,
) -> Result<DataFrame> {
    let mut outputs = Vec::new();
    for (column, field) in check::fields(op, frame)? {
        let name = column.name;
        if which == Which::All || class(field.data_type()) == Class::Number {
            outputs.push((name.clone(), check::resolve(op, frame, aggregation(col(name)))?));
        }
    }
    if outputs.is_empty() {
        return Err(invalid(op, "no column is numeric").with_help("convert with `astype` first"));
    }
    group::aggregate(op, frame, vec![], outputs)
}

pub(super) fn quantile(frame: &DataFrame, q: f64) -> Result<DataFrame> {
    const OP: &str = "quantile";
    if !(0.0..=1.0).contains(&q) {
        return Err(invalid(OP, format!("the quantile is {q}, it must be between 0 and 1")));
    }
    each(OP, frame, Which::Numeric, |value| value.cast(DataType::Float64).quantile(q))
}

pub(super) fn mode(frame: &DataFrame, column: &str) -> Result<DataFrame> {
    const OP: &str = "mode";
    const MOST: &str = "__trefoil_most";
    let kept = rows::dropna(OP, frame, check::list(OP, frame, [column])?)?;
    let counted = GroupBy::new(&kept, [column]).agg([count(lit(1_i64)).alias("__trefoil_count")])?;
    let most = check::resolve(OP, &counted, col("__trefoil_count").max().over::<Expr>([]))?;
    let ranked = super::columns::with_columns(OP, &counted, vec![(MOST.to_owned(), most)])?;
    let best = rows::filter(OP, &ranked, col("__trefoil_count").eq(col(MOST)))?;
    rows::sort(OP, &super::columns::select(&best, [column])?, [asc(column)])
}

/// A frame with a row and a column per numeric column, of a figure for each pair.
pub(super) async fn pairs(
    op: &'static str,
    frame: &DataFrame,
    figure: fn(Expr, Expr) -> Expr,
) -> Result<DataFrame> {
    let mut numeric = Vec::new();
    for (column, field) in check::fields(op, frame)? {
        if class(field.data_type()) == Class::Number {
            numeric.push(column.name);
        }
    }
    if numeric.is_empty() {
        return Err(invalid(op, "no column is numeric").with_help("convert with `astype` first"));
    }
    let value = |name: &String| col(name).cast(DataType::Float64);
    let mut outputs = Vec::new();
    for (i, a) in numeric.iter().enumerate() {
        for (j, b) in numeric.iter().enumerate().skip(i) {
            outputs.push((format!("{i} {j}"), figure(value(a), value(b))));
        }
    }
    let row = one_row(op, frame, outputs).await?;
    let mut found = std::collections::HashMap::new();
    for (field, array) in row.schema().fields().iter().zip(row.columns()) {
        let array = cast(array, &DataType::Float64).map_err(|e| plan_error(e.into(), op))?;
        found.insert(field.name().clone(), array.as_primitive::<Float64Type>().iter().next().flatten());
    }
    let cell = |i: usize, j: usize| found.get(&format!("{} {}", i.min(j), i.max(j))).copied().flatten();
    let names = StringArray::from_iter_values(&numeric);
    let mut columns: Vec<(String, ArrayRef, bool)> = vec![("column".to_owned(), Arc::new(names), false)];
    for (j, name) in numeric.iter().enumerate() {
        let values: Float64Array = (0..numeric.len()).map(|i| cell(i, j)).collect();
        columns.push((name.clone(), Arc::new(values), true));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| plan_error(e.into(), op))?;
    frame.session().frame_from_batches(vec![batch])
}
