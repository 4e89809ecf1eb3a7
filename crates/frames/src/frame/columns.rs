//! Verbs that change columns: select, drop, rename, new columns, types.

use super::check::{self, Class, Named, class, invalid};
use super::expr::{Expr, IntoExpr};
use super::group;
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Cast;
use std::collections::HashMap;
use trefoil_plan::{DataFrame, Result};

pub(super) fn select<E: IntoExpr>(
    frame: &DataFrame,
    columns: impl IntoIterator<Item = E>,
) -> Result<DataFrame> {
    const OP: &str = "select";
    let columns: Vec<Named> =
        columns.into_iter().map(|e| check::named(OP, frame, e)).collect::<Result<_>>()?;
    if columns.is_empty() {
        return Err(invalid(OP, "the list of columns is empty").with_help("name at least one column"));
    }
    let aggregates = columns.iter().filter(|(_, e)| check::has_aggregate(e)).count();
    match aggregates {
        0 => check::project(OP, frame, columns),
        n if n == columns.len() => group::aggregate(OP, frame, vec![], columns),
        _ => Err(invalid(OP, "columns and aggregations do not mix")
            .with_help("use `group_by` for one row per group, or aggregate alone")),
    }
}

/// Replaces the columns that exist, appends the others.
pub(super) fn with_columns(op: &'static str, frame: &DataFrame, new: Vec<Named>) -> Result<DataFrame> {
    let fresh: Vec<String> = new.iter().map(|(name, _)| name.clone()).collect();
    check::distinct(op, &fresh)?;
    for (_, expr) in &new {
        check::row_wise(op, expr)?;
    }
    let mut columns = check::all(op, frame)?;
    for (name, expr) in new {
        match columns.iter_mut().find(|(old, _)| *old == name) {
            Some(slot) => slot.1 = expr,
            None => columns.push((name, expr)),
        }
    }
    check::project(op, frame, columns)
}

pub(super) fn drop<S: AsRef<str>>(
    frame: &DataFrame,
    columns: impl IntoIterator<Item = S>,
) -> Result<DataFrame> {
    const OP: &str = "drop";
    let gone = check::list(OP, frame, columns)?;
    let mut kept = check::all(OP, frame)?;
    kept.retain(|(name, _)| !gone.contains(name));
    if kept.is_empty() {
        return Err(invalid(OP, "no column would be left"));
    }
    check::project(OP, frame, kept)
}

pub(super) fn rename(frame: &DataFrame, pairs: Vec<(String, String)>) -> Result<DataFrame> {
    const OP: &str = "rename";
    let old = check::list(OP, frame, pairs.iter().map(|(old, _)| old))?;
    let new: HashMap<&String, &String> = old.iter().zip(pairs.iter().map(|(_, new)| new)).collect();
    let mut columns = check::all(OP, frame)?;
    for (name, _) in &mut columns {
        if let Some(fresh) = new.get(name) {
            *name = (*fresh).clone();
        }
    }
    check::project(OP, frame, columns)
}

pub(super) fn rename_all(
    op: &'static str,
    frame: &DataFrame,
    new: impl Fn(&str) -> String,
) -> Result<DataFrame> {
    let mut columns = check::all(op, frame)?;
    for (name, _) in &mut columns {
        *name = new(name);
    }
    check::project(op, frame, columns)
}

pub(super) fn astype(frame: &DataFrame, pairs: Vec<(String, DataType)>) -> Result<DataFrame> {
    const OP: &str = "astype";
    let names = check::list(OP, frame, pairs.iter().map(|(name, _)| name))?;
    let mut columns = check::all(OP, frame)?;
    for (name, (_, to)) in names.iter().zip(&pairs) {
        let (column, field) = check::find(OP, frame, name)?;
        if !can_cast_types(field.data_type(), to) {
            let text = format!("`{name}` is {} and cannot become {to}", field.data_type());
            return Err(check::mismatch(OP, text));
        }
        let cast = Expr::Cast(Cast::new(Box::new(Expr::Column(column)), to.clone()));
        if let Some(slot) = columns.iter_mut().find(|(old, _)| old == name) {
            slot.1 = cast;
        }
    }
    check::project(OP, frame, columns)
}

pub(super) fn fillna(frame: &DataFrame, value: Expr) -> Result<DataFrame> {
    const OP: &str = "fillna";
    let value = check::resolve(OP, frame, value)?;
    let kind = check::type_of(OP, frame, &value)?;
    let mut columns = check::all(OP, frame)?;
    let mut filled = 0;
    for ((_, expr), (_, field)) in columns.iter_mut().zip(check::fields(OP, frame)?) {
        if class(field.data_type()) == class(&kind) && check::unify(field.data_type(), &kind).is_some() {
            *expr = super::ExprMethods::fill_null(expr.clone(), value.clone());
            filled += 1;
        }
    }
    if filled == 0 {
        return Err(check::mismatch(
            OP,
            format!("`{}` is {kind}, no column holds that", check::plain(&value)),
        ));
    }
    check::project(OP, frame, columns)
}

pub(super) fn fillna_of(frame: &DataFrame, pairs: Vec<(String, Expr)>) -> Result<DataFrame> {
    const OP: &str = "fillna_of";
    let names = check::list(OP, frame, pairs.iter().map(|(name, _)| name))?;
    let mut filled = Vec::new();
    for (name, (_, value)) in names.into_iter().zip(pairs) {
        let (column, field) = check::find(OP, frame, &name)?;
        let value = check::resolve(OP, frame, value)?;
        let kind = check::type_of(OP, frame, &value)?;
        if check::unify(field.data_type(), &kind).is_none() {
            let text = format!("`{name}` is {}, `{}` is {kind}", field.data_type(), check::plain(&value));
            return Err(check::mismatch(OP, text));
        }
        filled.push((name, super::ExprMethods::fill_null(Expr::Column(column), value)));
    }
    with_columns(OP, frame, filled)
}

/// Which columns a verb on the whole frame changes; those the frame is sorted by are left alone.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Which {
    All,
    Numeric,
}

/// Replaces columns by what `change` makes of them, those of the order aside.
pub(super) fn each(
    op: &'static str,
    frame: &DataFrame,
    which: Which,
    change: impl Fn(Expr) -> Expr,
) -> Result<DataFrame> {
    replace(op, frame, which, super::order::key_columns(frame), change)
}

/// The same for all columns.
pub(super) fn every(
    op: &'static str,
    frame: &DataFrame,
    which: Which,
    change: impl Fn(Expr) -> Expr,
) -> Result<DataFrame> {
    replace(op, frame, which, Vec::new(), change)
}

pub(super) fn select_dtypes(frame: &DataFrame, keep: impl Fn(&DataType) -> bool) -> Result<DataFrame> {
    const OP: &str = "select_dtypes";
    let mut columns = check::fields(OP, frame)?;
    columns.retain(|(_, field)| keep(field.data_type()));
    let columns: Vec<Named> =
        columns.into_iter().map(|(column, field)| (field.name().clone(), Expr::Column(column))).collect();
    if columns.is_empty() {
        return Err(invalid(OP, "no column has one of these types").with_help("see `dtypes`"));
    }
    check::project(OP, frame, columns)
}

fn replace(
    op: &'static str,
    frame: &DataFrame,
    which: Which,
    keys: Vec<String>,
    change: impl Fn(Expr) -> Expr,
) -> Result<DataFrame> {
    let mut columns = Vec::new();
    let mut changed = 0;
    for (column, field) in check::fields(op, frame)? {
        let name = field.name().clone();
        let mut expr = Expr::Column(column);
        if !keys.contains(&name) && (which == Which::All || class(field.data_type()) == Class::Number) {
            expr = check::resolve(op, frame, change(expr))?;
            changed += 1;
        }
        columns.push((name, expr));
    }
    if changed == 0 {
        return Err(invalid(op, "no column is numeric, those of the order aside")
            .with_help("convert with `astype` first"));
    }
    check::project(op, frame, columns)
}
