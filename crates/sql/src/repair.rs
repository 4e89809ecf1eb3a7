//! Names that the planner did not find, found in another spelling.
//!
//! DataFusion compares names exactly. When it reports one that is not there, the tree is changed and planned
//! again: the name takes the spelling of the only column that differs in case; a name of an earlier column
//! of the same `SELECT` takes that column's expression (a lateral column alias). Each step changes at least
//! one name, and their number is bounded.

use crate::dialect::TrefoilDialect;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::*;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use std::ops::ControlFlow;

/// The missing column of an error, and what there is instead.
pub(crate) fn missing(error: &DataFusionError) -> Option<(&Column, &[Column])> {
    match error {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => Some((field, valid_fields)),
            _ => None,
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => missing(inner),
        DataFusionError::Shared(inner) => missing(inner),
        DataFusionError::Collection(all) => all.first().and_then(missing),
        _ => None,
    }
}

/// Changes the tree so that the missing column is found; whether something was changed.
///
/// `variable` gives the tokens of a session variable's value.
pub(crate) fn repair(
    statement: &mut Statement,
    error: &DataFusionError,
    variable: impl Fn(&str) -> Option<Vec<Token>>,
) -> bool {
    let Some((field, valid)) = missing(error) else { return false };
    let mut found: Vec<&str> = valid
        .iter()
        .filter(|column| column.name.eq_ignore_ascii_case(&field.name) && column.name != field.name)
        .filter(|column| field.relation.is_none() || table_of(column) == table_of(field))
        .map(|column| column.name.as_str())
        .collect();
    found.sort_unstable();
    found.dedup();
    // A column of the result goes before one of a table.
    if found.len() > 1 {
        let results: Vec<&str> = valid
            .iter()
            .filter(|column| column.relation.is_none())
            .map(|column| column.name.as_str())
            .collect();
        if let [only] = found.iter().copied().filter(|name| results.contains(name)).collect::<Vec<_>>()[..] {
            found = vec![only];
        }
    }
    match found.as_slice() {
        [only] => {
            let table = field.relation.as_ref().map(|relation| relation.table());
            let mut spelling = Spelling { table, name: &field.name, right: only, changed: false };
            let _ = statement.visit(&mut spelling);
            spelling.changed
        }
        [] if field.relation.is_none() => {
            let mut lateral = Lateral { name: &field.name, changed: false };
            let _ = statement.visit(&mut lateral);
            lateral.changed || variable(&field.name).is_some_and(|value| put(statement, &field.name, value))
        }
        // `session.x` is a variable.
        [] if field.relation.as_ref().is_some_and(|relation| relation.table() == "session") => {
            variable(&field.name).is_some_and(|value| put(statement, &field.name, value))
        }
        _ => false,
    }
}

fn table_of(column: &Column) -> Option<&str> {
    column.relation.as_ref().map(|relation| relation.table())
}

/// Puts a value where a name is used as a column.
fn put(statement: &mut Statement, name: &str, value: Vec<Token>) -> bool {
    let Ok(mut expr) = Parser::new(&TrefoilDialect).with_tokens(value).parse_expr() else { return false };
    crate::rewrite::expression(&mut expr);
    let mut replace = Replace { variable: true, name, with: &expr, changed: false };
    let _ = statement.visit(&mut replace);
    replace.changed
}

fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

struct Spelling<'a> {
    /// The qualifier that the name was looked for with.
    table: Option<&'a str>,
    name: &'a str,
    right: &'a str,
    changed: bool,
}

impl VisitorMut for Spelling<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let last = match (expr, self.table) {
            (Expr::Identifier(ident), None) => Some(ident),
            (Expr::CompoundIdentifier(parts), table) => match (parts.as_mut_slice(), table) {
                ([.., qualifier, last], Some(table)) if qualifier.value.eq_ignore_ascii_case(table) => {
                    Some(last)
                }
                // The first part of `column.field`.
                ([column, _], None) => Some(column),
                _ => None,
            },
            _ => None,
        };
        if let Some(ident) = last
            && normal(ident) == self.name
        {
            ident.value = self.right.to_owned();
            ident.quote_style = Some('`');
            self.changed = true;
        }
        ControlFlow::Continue(())
    }
}

/// `SELECT a + 1 AS b, b * 2`: in the columns after it, and in WHERE and GROUP BY, `b` is `a + 1`.
struct Lateral<'a> {
    name: &'a str,
    changed: bool,
}

impl VisitorMut for Lateral<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let alias = select.projection.iter().enumerate().find_map(|(index, item)| match item {
            SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(self.name) => {
                Some((index, expr.clone()))
            }
            _ => None,
        });
        let Some((index, expr)) = alias else { return ControlFlow::Continue(()) };
        let mut replace = Replace { variable: false, name: self.name, with: &expr, changed: false };
        for item in &mut select.projection[index + 1..] {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    let _ = expr.visit(&mut replace);
                }
                _ => {}
            }
        }
        self.changed |= replace.changed;
        ControlFlow::Continue(())
    }
}

struct Replace<'a> {
    /// Whether it is a variable, which `session` may stand before.
    variable: bool,
    name: &'a str,
    with: &'a Expr,
    changed: bool,
}

impl VisitorMut for Replace<'_> {
    type Break = ();

    /// A column that is a variable keeps the variable's name.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in select.projection.iter_mut().filter(|_| self.variable) {
            if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
                && normal(ident).eq_ignore_ascii_case(self.name)
            {
                let (expr, alias) = (Expr::Identifier(ident.clone()), ident.clone());
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let found = match expr {
            Expr::Identifier(ident) => Some(&*ident),
            // The variable `session.x`.
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., scope, name] if self.variable && scope.value.eq_ignore_ascii_case("session") => {
                    Some(name)
                }
                _ => None,
            },
            _ => None,
        };
        if found.is_some_and(|ident| normal(ident).eq_ignore_ascii_case(self.name)) {
            *expr = Expr::Nested(Box::new(self.with.clone()));
            self.changed = true;
        }
        ControlFlow::Continue(())
    }
}
