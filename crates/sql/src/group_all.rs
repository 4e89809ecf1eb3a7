//! `GROUP BY ALL`, spelled out.
//!
//! DataFusion groups by the select list as it stands, aliases included, and then does not find `month(day)` of a window's
//! order in `month(day) AS m`. So the expressions without an aggregate are written into `GROUP BY`, without their
//! aliases.

use datafusion::sql::sqlparser::ast::*;
use std::ops::ControlFlow;

/// Writes the expressions of the select list that hold no aggregate into `GROUP BY ALL`.
///
/// A select list with `*`, or with nothing but constants and aggregates, keeps `ALL`.
pub(crate) fn spell_out(select: &mut Select, is_aggregate: &dyn Fn(&str) -> bool) {
    let GroupByExpr::All(modifiers) = &select.group_by else { return };
    if !modifiers.is_empty() {
        return;
    }
    let mut keys = Vec::new();
    for item in &select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return };
        // A number in GROUP BY is the position of a column.
        if !is_constant(expr) && !aggregates(expr, is_aggregate) {
            keys.push(expr.clone());
        }
    }
    if !keys.is_empty() {
        select.group_by = GroupByExpr::Expressions(keys, Vec::new());
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_constant(inner),
        _ => false,
    }
}

/// Whether an expression holds an aggregate outside of its sub-queries. A call with `OVER` is none, but its arguments may be.
pub(crate) fn aggregates(expr: &Expr, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    struct Calls<'a> {
        is_aggregate: &'a dyn Fn(&str) -> bool,
        queries: usize,
    }
    impl Visitor for Calls<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(call)
                    if self.queries == 0
                        && call.over.is_none()
                        && (self.is_aggregate)(&call.name.to_string().to_lowercase()) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Calls { is_aggregate, queries: 0 }).is_break()
}
