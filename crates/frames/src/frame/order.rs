//! The order of rows: what it is, and how verbs that look at neighbouring rows get it.
//!
//! A frame has an order if its rows were sorted, or come from a table with known divisions, and only steps
//! followed that keep it: filters, limits, and projections that keep the sort columns. Expressions such as `shift` say [`ROW_ORDER`] where a window
//! wants its order; the verb that takes them puts the keys of the frame there, or refuses. After windows
//! with keys of their own the frame is put back into its order.

use super::check::{self, Named, invalid};
use super::expr::{Expr, SortKey};
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableScan};
use std::any::Any;
use trefoil_plan::{DataFrame, Divisions, Result, StoredTable, plan_error};

/// Stands for the order of the frame among the sort keys of a window.
pub(super) const ROW_ORDER: &str = "__trefoil_row_order";

fn is_placeholder(key: &Sort) -> bool {
    matches!(&key.expr, Expr::Column(column) if column.relation.is_none() && column.name == ROW_ORDER)
}

/// The keys a frame is sorted by, as expressions over its columns.
pub(super) fn of(frame: &DataFrame) -> Option<Vec<Sort>> {
    of_plan(frame.inner().logical_plan())
}

fn of_plan(plan: &LogicalPlan) -> Option<Vec<Sort>> {
    match plan {
        LogicalPlan::Sort(sort) => Some(sort.expr.clone()),
        LogicalPlan::Filter(filter) => of_plan(&filter.input),
        LogicalPlan::Limit(limit) => of_plan(&limit.input),
        LogicalPlan::Projection(projection) => {
            let outputs = projection.schema.columns();
            let mut keys = of_plan(&projection.input)?;
            for key in &mut keys {
                let at = projection.expr.iter().position(|e| e.clone().unalias() == key.expr)?;
                key.expr = Expr::Column(outputs.get(at)?.clone());
            }
            Some(keys)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let (inner, outer) = (alias.input.schema().columns(), alias.schema.columns());
            let mut keys = of_plan(&alias.input)?;
            for key in &mut keys {
                let Expr::Column(column) = &key.expr else { return None };
                let at = inner.iter().position(|c| c == column)?;
                key.expr = Expr::Column(outer.get(at)?.clone());
            }
            Some(keys)
        }
        LogicalPlan::TableScan(scan) => {
            let columns = scan.projected_schema.columns();
            let keys = known(scan)?.keys().into_iter().map_while(|(name, options)| {
                let column = columns.iter().find(|column| column.name == name)?.clone();
                Some(Sort::new(Expr::Column(column), !options.descending, options.nulls_first))
            });
            Some(keys.collect::<Vec<_>>()).filter(|keys| !keys.is_empty())
        }
        _ => None,
    }
}

/// The known divisions of the table that is scanned.
fn known(scan: &TableScan) -> Option<Divisions> {
    let provider = source_as_provider(&scan.source).ok()?;
    let provider: &dyn TableProvider = provider.as_ref();
    (provider as &dyn Any).downcast_ref::<StoredTable>()?.divisions().cloned()
}

/// The frame with its order as the last step, if it comes from known divisions: rows of several partitions
/// come in any order otherwise. The planner sees that nothing is left to sort.
pub(super) fn made_plain(op: &'static str, frame: &DataFrame) -> Result<DataFrame> {
    fn comes_from_table(plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::Sort(_) => false,
            LogicalPlan::TableScan(_) => true,
            other => other.inputs().first().is_some_and(|input| comes_from_table(input)),
        }
    }
    match of(frame) {
        Some(keys) if comes_from_table(frame.inner().logical_plan()) => {
            let inner = frame.inner().clone().sort(keys).map_err(|e| plan_error(e, op))?;
            Ok(DataFrame::new(frame.session().clone(), inner))
        }
        _ => Ok(frame.clone()),
    }
}

/// The names of the columns a frame is sorted by: those that whole-frame verbs leave alone.
pub(super) fn key_columns(frame: &DataFrame) -> Vec<String> {
    let keys = of(frame).unwrap_or_default();
    keys.iter().flat_map(|key| key.expr.column_refs().into_iter().map(|c| c.name.clone())).collect()
}

/// Puts the order of the frame into the windows that ask for it.
pub(super) fn fill(op: &'static str, frame: &DataFrame, expr: Expr) -> Result<Expr> {
    let wanted = expr.exists(|node| {
        Ok(matches!(node, Expr::WindowFunction(w) if w.params.order_by.iter().any(is_placeholder)))
    });
    if !wanted.unwrap_or(false) {
        return Ok(expr);
    }
    let Some(keys) = of(frame) else {
        let bare = replace(expr, &[]);
        return Err(invalid(op, format!("`{}` looks at neighbouring rows, and the frame has no order", text(&bare)))
            .with_help("`sort` the frame first (its sort columns must still be there), or give the expression an order with `sorted_by([asc(\"time\")])`"));
    };
    Ok(replace(expr, &keys))
}

fn text(expr: &Expr) -> String {
    check::output_name(expr)
}

/// Replaces the placeholder by keys.
fn replace(expr: Expr, keys: &[Sort]) -> Expr {
    let plain = expr.clone();
    let filled = expr.transform_up(|node| {
        let Expr::WindowFunction(mut window) = node else { return Ok(Transformed::no(node)) };
        if !window.params.order_by.iter().any(is_placeholder) {
            return Ok(Transformed::no(Expr::WindowFunction(window)));
        }
        window.params.order_by = window
            .params
            .order_by
            .into_iter()
            .flat_map(|key| if is_placeholder(&key) { keys.to_vec() } else { vec![key] })
            .collect();
        Ok(Transformed::yes(Expr::WindowFunction(window)))
    });
    // the closure never fails
    filled.map(|t| t.data).unwrap_or(plain)
}

/// Gives the windows of an expression that have no order yet this one.
pub(super) fn sorted_by(expr: Expr, keys: impl IntoIterator<Item = SortKey>) -> Expr {
    let keys: Vec<Sort> = keys
        .into_iter()
        .map(|key| {
            let by = key.expr().clone();
            key.with_expr(by)
        })
        .collect();
    replace(expr, &keys)
}

/// A frame that computes columns with windows: innermost windows first, then those that use their results;
/// afterwards in the order the frame had.
pub(super) fn project(op: &'static str, frame: &DataFrame, mut columns: Vec<Named>) -> Result<DataFrame> {
    let order = of(frame);
    let mut plan = check::plan(frame);
    let mut made = 0;
    loop {
        let mut found: Vec<Expr> = Vec::new();
        for (_, expr) in &mut columns {
            let taken = std::mem::take(expr).transform_up(|node| {
                let ready = match &node {
                    Expr::WindowFunction(window) => {
                        let params = &window.params;
                        let parts = params.args.iter().chain(&params.partition_by);
                        let all = parts.chain(params.order_by.iter().map(|key| &key.expr));
                        !all.into_iter().any(|e| e.column_refs().iter().any(|c| is_made(c, made)))
                    }
                    _ => false,
                };
                if !ready {
                    return Ok(Transformed::no(node));
                }
                let at = found.iter().position(|e| *e == node).unwrap_or_else(|| {
                    found.push(node);
                    found.len() - 1
                });
                Ok(Transformed::yes(super::col(format!("{WINDOW}{}", made + at))))
            });
            *expr = taken.map_err(|e| plan_error(e, op))?.data;
        }
        if found.is_empty() {
            break;
        }
        plan = add_windows(op, plan, found, made)?;
        made = count_made(&plan);
    }
    if let Some(order) = order {
        plan = LogicalPlanBuilder::from(plan)
            .sort(order)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|e| plan_error(e, op))?;
    }
    let exprs = columns.into_iter().map(|(name, expr)| expr.alias(name)).collect();
    let plan = check::projection(exprs, plan).map_err(|e| plan_error(e, op))?;
    Ok(check::with_plan(frame, plan))
}

const WINDOW: &str = "__trefoil_window_";

fn number(column: &Column) -> Option<usize> {
    column.name.strip_prefix(WINDOW)?.parse().ok()
}

/// Whether a column is a window of this round, which cannot be used within the round.
fn is_made(column: &Column, from: usize) -> bool {
    number(column).is_some_and(|number| number >= from)
}

fn count_made(plan: &LogicalPlan) -> usize {
    plan.schema().columns().iter().filter_map(number).max().map_or(0, |last| last + 1)
}

/// Windows over the same groups and order are computed together.
fn add_windows(
    op: &'static str,
    mut plan: LogicalPlan,
    found: Vec<Expr>,
    first: usize,
) -> Result<LogicalPlan> {
    let mut groups: Vec<(Expr, Vec<Expr>)> = Vec::new();
    for (at, window) in found.into_iter().enumerate() {
        let named = window.clone().alias(format!("{WINDOW}{}", first + at));
        let same = |a: &Expr, b: &Expr| match (a, b) {
            (Expr::WindowFunction(a), Expr::WindowFunction(b)) => {
                a.params.partition_by == b.params.partition_by && a.params.order_by == b.params.order_by
            }
            _ => false,
        };
        match groups.iter_mut().find(|(one, _)| same(one, &window)) {
            Some((_, group)) => group.push(named),
            None => groups.push((window, vec![named])),
        }
    }
    for (_, group) in groups {
        plan = LogicalPlanBuilder::from(plan)
            .window(group)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|e| plan_error(e, op))?;
    }
    Ok(plan)
}
