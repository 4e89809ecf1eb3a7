//! Verbs that choose and order rows: filter, sort, head, the largest, distinct rows, rows without nulls.

use super::check::{self, Class, class, invalid};
use super::expr::{Expr, IntoExpr, SortKey, asc, desc, lit};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{ExprFunctionExt, LogicalPlanBuilder};
use trefoil_plan::{DataFrame, Result, plan_error};

pub(super) fn filter(op: &'static str, frame: &DataFrame, mask: Expr) -> Result<DataFrame> {
    let mask = check::resolve(op, frame, mask.unalias())?;
    check::row_wise(op, &mask)?;
    check::no_window(op, &mask)?;
    let kind = check::type_of(op, frame, &mask)?;
    if !matches!(class(&kind), Class::Mask | Class::Null) {
        return Err(check::mismatch(op, format!("`{}` is {kind}, not a mask", check::plain(&mask)))
            .with_help("a filter needs a Boolean expression, such as `col(\"x\").gt(lit(1))`"));
    }
    let inner = frame.inner().clone().filter(mask).map_err(|e| plan_error(e, op))?;
    Ok(DataFrame::new(frame.session().clone(), inner))
}

pub(super) fn keys(
    op: &'static str,
    frame: &DataFrame,
    keys: impl IntoIterator<Item = SortKey>,
) -> Result<Vec<Sort>> {
    let keys: Vec<Sort> = keys
        .into_iter()
        .map(|key| {
            let (_, expr) = check::named_row(op, frame, key.expr())?;
            check::no_window(op, &expr)?;
            Ok(key.with_expr(expr))
        })
        .collect::<Result<_>>()?;
    if keys.is_empty() {
        return Err(invalid(op, "the list of columns is empty").with_help("name at least one column"));
    }
    Ok(keys)
}

pub(super) fn sort(
    op: &'static str,
    frame: &DataFrame,
    by: impl IntoIterator<Item = SortKey>,
) -> Result<DataFrame> {
    let by = keys(op, frame, by)?;
    let inner = frame.inner().clone().sort(by).map_err(|e| plan_error(e, op))?;
    Ok(DataFrame::new(frame.session().clone(), inner))
}

pub(super) fn limit(op: &'static str, frame: &DataFrame, skip: usize, n: usize) -> Result<DataFrame> {
    let frame = super::order::made_plain(op, frame)?;
    let inner = frame.inner().clone().limit(skip, Some(n)).map_err(|e| plan_error(e, op))?;
    Ok(DataFrame::new(frame.session().clone(), inner))
}

pub(super) fn extreme<S: AsRef<str>>(
    op: &'static str,
    frame: &DataFrame,
    n: usize,
    by: impl IntoIterator<Item = S>,
    largest: bool,
) -> Result<DataFrame> {
    let by = check::list(op, frame, by)?;
    let by = by.into_iter().map(|name| if largest { desc(name) } else { asc(name) });
    limit(op, &sort(op, frame, by)?, 0, n)
}

pub(super) fn distinct(op: &'static str, frame: &DataFrame) -> Result<DataFrame> {
    check::names(op, frame)?;
    let inner = frame.inner().clone().distinct().map_err(|e| plan_error(e, op))?;
    Ok(DataFrame::new(frame.session().clone(), inner))
}

const RANK: &str = "__trefoil_rank";

/// One row per key: the first in the order of `order`.
pub(super) fn distinct_of<S: AsRef<str>>(
    frame: &DataFrame,
    columns: impl IntoIterator<Item = S>,
    order: impl IntoIterator<Item = SortKey>,
) -> Result<DataFrame> {
    const OP: &str = "drop_duplicates_of";
    let keys = check::list(OP, frame, columns)?;
    let all = check::names(OP, frame)?;
    let partition = keys.iter().map(|k| check::column(OP, frame, k)).collect::<Result<Vec<_>>>()?;
    let order: Vec<SortKey> = order.into_iter().collect();
    // rows that `order` leaves tied are told apart by their other columns, so that the answer does not
    // depend on how the rows are spread over partitions
    let ties = all.iter().filter(|name| !keys.contains(name)).map(asc);
    let mut by = Vec::new();
    for key in order.into_iter().chain(ties) {
        let expr = check::named_row(OP, frame, key.expr())?.1;
        check::no_window(OP, &expr)?;
        if is_sortable(&check::type_of(OP, frame, &expr)?) {
            by.push(key.with_expr(expr));
        }
    }
    let rank =
        row_number().partition_by(partition).order_by(by).build().map_err(|e| plan_error(e, OP))?.alias(RANK);
    let ranked = LogicalPlanBuilder::from(check::plan(frame))
        .window([rank])
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| plan_error(e, OP))?;
    let first = filter(OP, &check::with_plan(frame, ranked), super::col(RANK).eq(lit(1_u64)))?;
    let mut kept = check::all(OP, &first)?;
    kept.retain(|(name, _)| name != RANK);
    check::project(OP, &first, kept)
}

fn is_sortable(data_type: &datafusion::arrow::datatypes::DataType) -> bool {
    !data_type.is_nested()
}

pub(super) fn dropna(op: &'static str, frame: &DataFrame, columns: Vec<String>) -> Result<DataFrame> {
    let mask = columns
        .iter()
        .map(|name| Ok(check::column(op, frame, name)?.is_not_null()))
        .reduce(|a, b| Ok(a?.and(b?)));
    match mask {
        Some(mask) => filter(op, frame, mask?),
        None => Ok(frame.clone()),
    }
}

pub(super) fn by_name<E: IntoExpr>(columns: impl IntoIterator<Item = E>) -> Vec<SortKey> {
    columns.into_iter().map(asc).collect()
}

/// Rows for which SQL text holds.
pub(super) fn query(frame: &DataFrame, condition: &str) -> Result<DataFrame> {
    const OP: &str = "query";
    // column names as SQL reads them: in lower case unless quoted
    let mask = frame.inner().parse_sql_expr(condition).map_err(|e| plan_error(e, OP))?;
    filter(OP, frame, mask)
}
