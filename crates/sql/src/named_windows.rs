//! Windows that are built on named ones: `OVER (w)`, `OVER (w ROWS ..)`, `WINDOW v AS (w ORDER BY x)`.
//!
//! DataFusion knows `OVER w` and passes over a name within parentheses, so what the name stands for is written out.

use datafusion::sql::sqlparser::ast::*;
use std::ops::ControlFlow;

/// Writes out the named windows of a select and of the order of its query.
pub(crate) fn write_out(select: &mut Select, order_by: Option<&mut OrderBy>) {
    // One that stands on another comes after it in most texts, but need not.
    for _ in 0..select.named_window.len() {
        let known = select.named_window.clone();
        for NamedWindowDefinition(_, window) in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = window {
                complete(spec, &known);
            }
        }
    }
    let mut calls = Calls { known: &select.named_window.clone() };
    let _ = VisitMut::visit(&mut select.projection, &mut calls);
    let _ = VisitMut::visit(&mut select.qualify, &mut calls);
    if let Some(order_by) = order_by {
        let _ = VisitMut::visit(order_by, &mut calls);
    }
}

/// The definition that a name stands for.
fn find<'a>(name: &Ident, known: &'a [NamedWindowDefinition]) -> Option<&'a WindowSpec> {
    let of =
        |name: &Ident| known.iter().find(|definition| definition.0.value.eq_ignore_ascii_case(&name.value));
    let mut found = of(name)?;
    for _ in 0..known.len() {
        match &found.1 {
            NamedWindowExpr::WindowSpec(spec) => return Some(spec),
            NamedWindowExpr::NamedWindow(next) => found = of(next)?,
        }
    }
    None
}

fn complete(spec: &mut WindowSpec, known: &[NamedWindowDefinition]) {
    let Some(base) = spec.window_name.as_ref().and_then(|name| find(name, known)) else { return };
    // The base stands on another itself: next round.
    if base.window_name.is_some() {
        return;
    }
    spec.window_name = None;
    if spec.partition_by.is_empty() {
        spec.partition_by.clone_from(&base.partition_by);
    }
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&base.order_by);
    }
    if spec.window_frame.is_none() {
        spec.window_frame.clone_from(&base.window_frame);
    }
}

struct Calls<'a> {
    known: &'a [NamedWindowDefinition],
}

impl VisitorMut for Calls<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { over: Some(over), .. }) = expr
            && let WindowType::WindowSpec(spec) = over
        {
            complete(spec, self.known);
            // A name that nobody gave: the planner says so.
            if let Some(name) = spec.window_name.take() {
                *over = WindowType::NamedWindow(name);
            }
        }
        ControlFlow::Continue(())
    }
}
