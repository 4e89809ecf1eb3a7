//! `IN (query)` where unknown is neither true nor false.
//!
//! DataFusion answers `x NOT IN (query)` right where it is a filter by itself; within OR and below NOT, it takes what is
//! unknown for false, and its opposite for true. Here NOT is pushed down to the tests, and `NOT IN` becomes `NOT EXISTS` of a
//! row that is equal or might be. And a query of one row, an aggregate without groups, is compared as the value that it
//! is: joined, it would have no row for what has none.

use crate::clauses::in_subquery;
use crate::group_all::aggregates;
use crate::using::name;
use datafusion::sql::sqlparser::ast::*;
use std::ops::ControlFlow;

/// Changes the filters of a select.
pub(crate) fn spell_out(select: &mut Select, is_aggregate: &dyn Fn(&str) -> bool) {
    let table = match select.from.as_slice() {
        [only] if only.joins.is_empty() => name(&only.relation),
        _ => None,
    };
    for filter in [&mut select.selection, &mut select.having].into_iter().flatten() {
        let mut one_row = OneRow { is_aggregate, depth: 0 };
        let _ = VisitMut::visit(filter, &mut one_row);
        conjunct(filter, table.as_ref());
    }
}

/// What stands by itself, or beside others with AND, stays as it is.
fn conjunct(expr: &mut Expr, table: Option<&Ident>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjunct(left, table);
            conjunct(right, table);
        }
        Expr::Nested(inner) => conjunct(inner, table),
        Expr::InSubquery { .. } => {}
        // `NOT x IN (..)` is `x NOT IN (..)`.
        Expr::UnaryOp { op: UnaryOperator::Not, expr: inner }
            if matches!(**inner, Expr::InSubquery { .. }) =>
        {
            let mut test = take(inner);
            if let Expr::InSubquery { negated, .. } = &mut test {
                *negated = !*negated;
            }
            *expr = test;
        }
        other => holds(other, false, table),
    }
}

/// Whether a test by a query is in it, below AND, OR and NOT.
fn tests(expr: &Expr) -> bool {
    match expr {
        Expr::InSubquery { .. } => true,
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            tests(left) || tests(right)
        }
        Expr::Nested(inner)
        | Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr: inner } => tests(inner),
        _ => false,
    }
}

/// Makes an expression, or its opposite, one of which only matters whether it is true. `table` is the only one of FROM.
fn holds(expr: &mut Expr, opposite: bool, table: Option<&Ident>) {
    if !tests(expr) {
        if opposite {
            let inner = Box::new(Expr::Nested(Box::new(take(expr))));
            *expr = Expr::UnaryOp { op: UnaryOperator::Not, expr: inner };
        }
        return;
    }
    match expr {
        Expr::Nested(inner) => holds(inner, opposite, table),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr: inner } => {
            holds(inner, !opposite, table);
            *expr = Expr::Nested(Box::new(take(inner)));
        }
        Expr::BinaryOp { left, op, right } => {
            holds(left, opposite, table);
            holds(right, opposite, table);
            if opposite {
                *op = if *op == BinaryOperator::And { BinaryOperator::Or } else { BinaryOperator::And };
                // OR binds less than AND does.
                *expr = Expr::Nested(Box::new(take(expr)));
            }
        }
        Expr::InSubquery { expr: value, subquery, negated } => {
            *negated ^= opposite;
            if *negated
                && !matches!(**value, Expr::Tuple(_))
                && let Some(made) = within(value, subquery, table)
                    .or_else(|| in_subquery(std::slice::from_ref(value.as_ref()), subquery, true))
            {
                *expr = made;
            }
        }
        _ => {}
    }
}

/// `NOT IN` as `NOT EXISTS` with the test among the filters of the query, which may then refer outside as it did. Only where
/// the value means the same in there.
fn within(value: &Expr, query: &Query, table: Option<&Ident>) -> Option<Expr> {
    let parts = match (value, table) {
        (Expr::CompoundIdentifier(parts), _) if parts.len() == 2 => parts.clone(),
        (Expr::Identifier(column), Some(table)) => vec![table.clone(), column.clone()],
        _ => return None,
    };
    let mut query = query.clone();
    let plain = query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.pipe_operators.is_empty();
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let whole = matches!(&select.group_by, GroupByExpr::Expressions(keys, modifiers) if keys.is_empty() && modifiers.is_empty());
    let rows = plain && whole && select.having.is_none() && select.qualify.is_none();
    if !rows || !select.lateral_views.is_empty() {
        return None;
    }
    let relations = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    for relation in relations {
        if name(relation)?.value.eq_ignore_ascii_case(&parts.first()?.value) {
            return None;
        }
    }
    let item = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => expr.clone(),
        _ => return None,
    };
    if !matches!(item, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return None;
    }
    let (left, right) = (Box::new(item), Box::new(Expr::CompoundIdentifier(parts)));
    let equal = Expr::BinaryOp { left, op: BinaryOperator::Eq, right };
    let test = Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(equal))));
    select.selection = Some(match select.selection.take() {
        Some(filter) => {
            let (left, right) = (Box::new(Expr::Nested(Box::new(filter))), Box::new(test));
            Expr::BinaryOp { left, op: BinaryOperator::And, right }
        }
        None => test,
    });
    Some(Expr::Exists { subquery: Box::new(query), negated: true })
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}

/// `x IN (SELECT count(*) ..)` is `x = (SELECT count(*) ..)`.
struct OneRow<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    /// Sub-queries have filters of their own.
    depth: usize,
}

impl VisitorMut for OneRow<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::InSubquery { expr: value, subquery, negated } = expr
            && self.depth == 0
            && gives_one_row(subquery, self.is_aggregate)
        {
            let op = if *negated { BinaryOperator::NotEq } else { BinaryOperator::Eq };
            let right = Box::new(Expr::Subquery(subquery.clone()));
            *expr = Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(take(value)), op, right }));
        }
        ControlFlow::Continue(())
    }
}

/// Whether a query is an aggregate of all rows.
fn gives_one_row(query: &Query, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let plain = query.limit_clause.is_none() && query.fetch.is_none() && query.pipe_operators.is_empty();
    let whole = matches!(&select.group_by, GroupByExpr::Expressions(keys, modifiers) if keys.is_empty() && modifiers.is_empty());
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_slice()
    else {
        return false;
    };
    plain
        && whole
        && select.having.is_none()
        && select.qualify.is_none()
        && select.lateral_views.is_empty()
        && aggregates(expr, is_aggregate)
}
