//! From wide to long: `melt`, `stack`, `explode`. The other way is in `pivot`.

use super::check::{self, mismatch, unify};
use super::expr::{Expr, choose, col, lit};
use super::join;
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

pub(super) fn stack(frame: &DataFrame, ids: Vec<String>) -> Result<DataFrame> {
    const OP: &str = "stack";
    let ids = if ids.is_empty() { ids } else { check::list(OP, frame, ids)? };
    let values = check::names(OP, frame)?.into_iter().filter(|name| !ids.contains(name)).collect();
    super::rows::dropna(OP, &melt(frame, ids, values)?, vec!["value".to_owned()])
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
