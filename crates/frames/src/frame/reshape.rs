//! Wide to long and long to wide.

use super::check::{self, invalid, mismatch, unify};
use super::expr::{Expr, ExprMethods, choose, col, lit};
use super::group::{Aggregation, GroupBy};
use super::join;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, UnnestOptions};
use datafusion::logical_expr::Cast;
use trefoil_plan::{DataFrame, Result, plan_error};

pub(super) fn melt(frame: &DataFrame, ids: Vec<String>, values: Vec<String>) -> Result<DataFrame> {
    const OP: &str = "melt";
    let ids = if ids.is_empty() { ids } else { check::list(OP, frame, ids)? };
    let values = check::list(OP, frame, values)?;
    let mut common = DataType::Null;
    for name in &values {
        let (_, field) = check::find(OP, frame, name)?;
        common = match unify(&common, field.data_type()) {
            Some(wider) => wider,
            None => {
                let text = format!("`{name}` is {}, the columns before are {common}", field.data_type());
                return Err(mismatch(OP, text).with_help("convert with `astype`"));
            }
        };
    }
    let mut parts = Vec::new();
    for name in &values {
        let mut outputs = Vec::new();
        for id in &ids {
            outputs.push((id.clone(), check::column(OP, frame, id)?));
        }
        let value = Expr::Cast(Cast::new(Box::new(check::column(OP, frame, name)?), common.clone()));
        outputs.push(("variable".to_owned(), lit(name.as_str())));
        outputs.push(("value".to_owned(), value));
        parts.push(check::project(OP, frame, outputs)?);
    }
    join::concat(OP, &parts.iter().collect::<Vec<_>>())
}

pub(super) fn stack(frame: &DataFrame, ids: Vec<String>) -> Result<DataFrame> {
    const OP: &str = "stack";
    let ids = if ids.is_empty() { ids } else { check::list(OP, frame, ids)? };
    let values = check::names(OP, frame)?.into_iter().filter(|name| !ids.contains(name)).collect();
    super::rows::dropna(OP, &melt(frame, ids, values)?, vec!["value".to_owned()])
}

pub(super) async fn unstack(
    frame: &DataFrame,
    index: Vec<String>,
    columns: &str,
    values: &str,
) -> Result<DataFrame> {
    const OP: &str = "unstack";
    let cells = index.iter().map(String::as_str).chain([columns]);
    let twice = GroupBy::new(frame, cells).agg([lit(1_i64).count().alias("n")])?;
    let twice = super::rows::filter(OP, &twice, col("n").gt(lit(1_i64)))?;
    if twice.count().await? > 0 {
        return Err(invalid(OP, format!("some cells have more than one value of `{values}`"))
            .with_help("`pivot_table` aggregates them"));
    }
    pivot_table(frame, index, columns, values, Aggregation::First).await
}

pub(super) async fn pivot_table(
    frame: &DataFrame,
    index: Vec<String>,
    columns: &str,
    values: &str,
    how: Aggregation,
) -> Result<DataFrame> {
    const OP: &str = "pivot_table";
    let index = check::list(OP, frame, index)?;
    check::find(OP, frame, values)?;
    let (_, field) = check::find(OP, frame, columns)?;
    if field.data_type().is_nested() {
        return Err(mismatch(OP, format!("`{columns}` is {}, it cannot name columns", field.data_type())));
    }
    // the distinct values become column names, so they are looked up
    let found = distinct(OP, frame, columns).await?;
    if found.is_empty() {
        return Err(invalid(OP, format!("`{columns}` has no values, so there would be no columns")));
    }
    GroupBy::new(frame, index).agg(found.into_iter().map(|(value, name)| {
        let cell = choose(col(columns).eq(lit(value)), col(values), None);
        how.of(cell).alias(name)
    }))
}

/// The distinct values of a column, in their order, with their texts.
async fn distinct(op: &'static str, frame: &DataFrame, column: &str) -> Result<Vec<(ScalarValue, String)>> {
    let fail = |e: datafusion::common::DataFusionError| plan_error(e, op);
    let batches = super::rows::distinct(op, &super::columns::select(frame, [column])?)?.collect().await?;
    let mut found = Vec::new();
    for batch in &batches {
        let values = batch.column(0);
        let texts = cast(values, &DataType::Utf8).map_err(|e| fail(e.into()))?;
        for (row, text) in texts.as_string::<i32>().iter().enumerate() {
            if let Some(text) = text {
                found.push((ScalarValue::try_from_array(values, row).map_err(fail)?, text.to_owned()));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    Ok(found)
}

pub(super) fn explode(frame: &DataFrame, column: &str) -> Result<DataFrame> {
    const OP: &str = "explode";
    let (_, field) = check::find(OP, frame, column)?;
    let is_list = matches!(
        field.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_)
    );
    if !is_list {
        return Err(mismatch(OP, format!("`{column}` is {}, not a list", field.data_type())));
    }
    let plain = check::project(OP, frame, check::all(OP, frame)?)?;
    // an empty list keeps its row, as a null
    let lists = col(column);
    let kept = choose(super::ExprMethods::list(lists.clone()).len().gt(lit(0_i64)), lists, None);
    let kept = super::columns::with_columns(
        OP,
        &plain,
        vec![(column.to_owned(), check::resolve(OP, &plain, kept)?)],
    )?;
    let options = UnnestOptions::new().with_preserve_nulls(true);
    let inner = kept
        .inner()
        .clone()
        .unnest_columns_with_options(&[column], options)
        .map_err(|e| plan_error(e, OP))?;
    Ok(DataFrame::new(frame.session().clone(), inner))
}
