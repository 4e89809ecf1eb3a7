//! What every verb does before it plans: names are looked up, duplicates and misplaced aggregations refused.
//!
//! Errors are raised when the verb is called, not when the frame runs. Types are checked in `types`.

use super::expr::IntoExpr;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection};
use std::collections::HashMap;
use std::sync::Arc;
use trefoil_plan::{DataFrame, Error, ErrorKind, Result, plan_error};

pub(super) use super::types::{Class, class, resolve, type_of, unify};

/// An output column: its name and what computes it.
pub(super) type Named = (String, Expr);

pub(super) fn invalid(op: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, op, message)
}

pub(super) fn mismatch(op: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::TypeMismatch, op, message)
}

pub(super) fn schema(frame: &DataFrame) -> &DFSchema {
    frame.inner().schema()
}

/// The column names of a frame, which must be distinct: only a query written by hand can break this.
pub(super) fn names(op: &'static str, frame: &DataFrame) -> Result<Vec<String>> {
    let names: Vec<String> = schema(frame).fields().iter().map(|f| f.name().clone()).collect();
    distinct(op, &names)?;
    Ok(names)
}

pub(super) fn distinct(op: &'static str, names: &[String]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        None => Ok(()),
        Some(twice) => {
            Err(Error::new(ErrorKind::AlreadyExists, op, format!("two columns would be called `{twice}`"))
                .with_help("give one of them another name with `alias` or `rename`"))
        }
    }
}

/// The field and the exact reference of the column called `name`.
pub(super) fn find(op: &'static str, frame: &DataFrame, name: &str) -> Result<(Column, FieldRef)> {
    find_in(op, schema(frame), name)
}

pub(super) fn find_in(op: &'static str, schema: &DFSchema, name: &str) -> Result<(Column, FieldRef)> {
    let mut found = schema.iter().filter(|(_, field)| field.name() == name);
    match (found.next(), found.next()) {
        (None, _) => {
            Err(Error::unknown_column(op, name, schema.fields().iter().map(|field| field.name().clone())))
        }
        (Some((relation, field)), None) => Ok((Column::new(relation.cloned(), name), field.clone())),
        _ => Err(invalid(op, format!("two columns are called `{name}`"))
            .with_help("give them different names in the query that made the frame")),
    }
}

/// A list of column names from the user: not empty, all known.
pub(super) fn list<S: AsRef<str>>(
    op: &'static str,
    frame: &DataFrame,
    names: impl IntoIterator<Item = S>,
) -> Result<Vec<String>> {
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() {
        return Err(invalid(op, "the list of columns is empty").with_help("name at least one column"));
    }
    for name in &names {
        find(op, frame, name)?;
    }
    distinct(op, &names)?;
    Ok(names)
}

/// The column called `name` as an expression that cannot be misread.
pub(super) fn column(op: &'static str, frame: &DataFrame, name: &str) -> Result<Expr> {
    Ok(Expr::Column(find(op, frame, name)?.0))
}

/// Every column of a frame under its own name.
pub(super) fn all(op: &'static str, frame: &DataFrame) -> Result<Vec<Named>> {
    names(op, frame)?;
    let columns = schema(frame).iter();
    Ok(columns
        .map(|(relation, field)| {
            let name = field.name().clone();
            (name.clone(), Expr::Column(Column::new(relation.cloned(), name)))
        })
        .collect())
}

/// The name and the checked form of an expression of the user.
pub(super) fn named(op: &'static str, frame: &DataFrame, expr: impl IntoExpr) -> Result<Named> {
    let expr = expr.into_expr();
    let name = output_name(&expr);
    Ok((name, resolve(op, frame, expr.unalias())?))
}

/// The same for expressions that are computed row by row.
pub(super) fn named_row(op: &'static str, frame: &DataFrame, expr: impl IntoExpr) -> Result<Named> {
    let (name, expr) = named(op, frame, expr)?;
    row_wise(op, &expr)?;
    Ok((name, expr))
}

pub(super) fn row_wise(op: &'static str, expr: &Expr) -> Result<()> {
    if has_aggregate(expr) {
        return Err(invalid(op, format!("`{}` is an aggregation, it has no value per row", plain(expr)))
            .with_help("use `agg` or `group_by(...).agg(...)` and join the result"));
    }
    Ok(())
}

pub(super) fn has_aggregate(expr: &Expr) -> bool {
    expr.exists(|node| Ok(matches!(node, Expr::AggregateFunction(_)))).unwrap_or(false)
}

/// The name of an expression without an alias.
pub(super) fn output_name(expr: &Expr) -> String {
    match expr {
        Expr::Alias(alias) => alias.name.clone(),
        Expr::Column(column) => column.name.clone(),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let verb = match func.name() {
                "avg" => "mean",
                "stddev" => "std",
                "first_value" => "first",
                "last_value" => "last",
                "count" if params.distinct => "n_unique",
                "covar_samp" => "cov",
                "approx_percentile_cont" => "approx_quantile",
                "approx_distinct" => "approx_n_unique",
                "array_agg" => "list",
                other => other,
            };
            match params.args.first().and_then(first_column) {
                Some(name) => format!("{name}_{verb}"),
                None => verb.to_owned(),
            }
        }
        other => first_column(other).unwrap_or_else(|| "literal".to_owned()),
    }
}

pub(super) fn has_window(expr: &Expr) -> bool {
    expr.exists(|node| Ok(matches!(node, Expr::WindowFunction(_)))).unwrap_or(false)
}

/// Filters and sort keys are computed where DataFusion knows no windows.
pub(super) fn no_window(op: &'static str, expr: &Expr) -> Result<()> {
    if has_window(expr) {
        return Err(invalid(op, format!("`{}` looks at other rows (`over`)", plain(expr)))
            .with_help("make it a column with `with_column` first"));
    }
    Ok(())
}

fn first_column(expr: &Expr) -> Option<String> {
    let mut first = None;
    // the visitor never fails
    let _ = expr.apply(|node| {
        Ok(match node {
            Expr::Column(column) => {
                first = Some(column.name.clone());
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Continue,
        })
    });
    first
}

/// An expression as the user wrote it, for messages.
pub(super) fn plain(expr: &Expr) -> String {
    let bare = expr.clone().transform_up(|node| {
        Ok(match node {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    });
    bare.map(|t| t.data.to_string()).unwrap_or_else(|_| expr.to_string())
}

/// A frame that computes `columns`, whose names must be distinct.
pub(super) fn project(op: &'static str, frame: &DataFrame, columns: Vec<Named>) -> Result<DataFrame> {
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    distinct(op, &names)?;
    if columns.iter().any(|(_, expr)| has_window(expr)) {
        return super::order::project(op, frame, columns);
    }
    let exprs: Vec<Expr> = columns
        .into_iter()
        .map(|(name, expr)| match &expr {
            Expr::Column(column) if column.relation.is_none() && column.name == name => expr,
            _ => expr.alias(name),
        })
        .collect();
    let plan = projection(exprs, plan(frame)).map_err(|e| plan_error(e, op))?;
    Ok(with_plan(frame, plan))
}

/// A projection whose schema is made in one pass: DataFusion looks every column up by going through all of
/// them, which is quadratic in the width of a frame.
pub(super) fn projection(exprs: Vec<Expr>, input: LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    let from = Arc::clone(input.schema());
    let places: HashMap<_, _> = from
        .iter()
        .enumerate()
        .map(|(i, (relation, field))| ((relation, field.name().as_str()), i))
        .collect();
    let mut fields = Vec::with_capacity(exprs.len());
    for expr in &exprs {
        let (inner, name) = match expr {
            Expr::Alias(alias) if alias.relation.is_none() && alias.metadata.is_none() => {
                (alias.expr.as_ref(), Some(&alias.name))
            }
            other => (other, None),
        };
        let place = match inner {
            Expr::Column(column) => places.get(&(column.relation.as_ref(), column.name.as_str())),
            _ => None,
        };
        fields.push(match (place, name) {
            (Some(place), None) => {
                let (relation, field) = from.qualified_field(*place);
                (relation.cloned(), Arc::clone(field))
            }
            (Some(place), Some(name)) => {
                let (_, field) = from.qualified_field(*place);
                (None, Arc::new(field.as_ref().clone().with_name(name)))
            }
            (None, _) => expr.to_field(from.as_ref())?,
        });
    }
    let schema = DFSchema::new_with_metadata(fields, from.metadata().clone())?;
    Projection::try_new_with_schema(exprs, Arc::new(input), Arc::new(schema)).map(LogicalPlan::Projection)
}

/// Every column with its field, in one pass.
pub(super) fn fields(op: &'static str, frame: &DataFrame) -> Result<Vec<(Column, FieldRef)>> {
    names(op, frame)?;
    let columns = schema(frame).iter();
    Ok(columns
        .map(|(relation, field)| (Column::new(relation.cloned(), field.name()), Arc::clone(field)))
        .collect())
}

/// A frame of the same session with another plan.
pub(super) fn with_plan(frame: &DataFrame, plan: LogicalPlan) -> DataFrame {
    let (state, _) = frame.inner().clone().into_parts();
    DataFrame::new(frame.session().clone(), datafusion::dataframe::DataFrame::new(state, plan))
}

pub(super) fn plan(frame: &DataFrame) -> LogicalPlan {
    frame.inner().logical_plan().clone()
}
