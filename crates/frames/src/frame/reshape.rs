//! Wide to long and long to wide.

use super::check::{self, Class, class, invalid, mismatch, unify};
use super::expr::{Expr, choose, col, lit};
use super::group::{Aggregation, GroupBy};
use super::{categories, join};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::UnnestOptions;
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
    // the distinct values must become column names, so they are looked up, as text
    let text = Expr::Cast(Cast::new(Box::new(col(columns)), DataType::Utf8));
    let keyed = if class(field.data_type()) == Class::Text {
        frame.clone()
    } else {
        super::columns::with_columns(OP, frame, vec![(columns.to_owned(), check::resolve(OP, frame, text)?)])?
    };
    let found = categories::distinct_values(OP, &keyed, &[columns.to_owned()]).await?;
    let found: Vec<String> = found.into_iter().flatten().flatten().collect();
    if found.is_empty() {
        return Err(invalid(OP, format!("`{columns}` has no values, so there would be no columns")));
    }
    GroupBy::new(&keyed, index).agg(found.into_iter().map(|name| {
        let cell = choose(col(columns).eq(lit(name.as_str())), col(values), None);
        how.of(cell).alias(name)
    }))
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
