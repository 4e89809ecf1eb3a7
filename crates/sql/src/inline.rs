//! `VALUES`: its columns are called `col1`, `col2`, .., and an inline table may have an alias where a query stands.
//!
//! DataFusion calls them `column1`, `column2`. In FROM the columns get an alias; as a query (`CREATE VIEW v AS VALUES ..`)
//! the list becomes a select over itself. The rows of `INSERT` stay as they are: they take the types of the table.

use crate::clauses::{parsed, quoted};
use crate::statements::{Words, spaced};
use datafusion::sql::sqlparser::ast::*;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use std::ops::ControlFlow;

/// What stands behind a `VALUES` that is a query, and so is no alias.
const CLAUSES: [&str; 10] =
    ["union", "except", "intersect", "minus", "order", "sort", "limit", "offset", "cluster", "distribute"];

/// `VALUES (1, 2) AS t(a, b)` as a query is `SELECT * FROM VALUES (1, 2) AS t(a, b)`.
pub(crate) fn selected(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words = Words::new(&tokens);
    let is_list =
        |index: usize| words.is(index, "values") && matches!(words.token(index + 1), Some(Token::LParen));
    let mut put = Vec::new();
    for index in (0..words.len()).filter(|index| is_list(*index)) {
        // In FROM and behind INSERT the word before is another.
        let query = match index.checked_sub(1) {
            None => true,
            Some(before) => match words.token(before) {
                Some(Token::LParen) => true,
                Some(Token::Word(_)) => ["as", "union", "all", "distinct", "except", "intersect", "minus"]
                    .iter()
                    .any(|word| words.is(before, word)),
                _ => false,
            },
        };
        if !query {
            continue;
        }
        let mut at = index + 1;
        while matches!(words.token(at), Some(Token::LParen)) {
            let Some(close) = words.close(at) else { break };
            at = close + 1;
            match words.token(at) {
                Some(Token::Comma) => at += 1,
                _ => break,
            }
        }
        let alias = match words.token(at) {
            Some(Token::Word(word)) => {
                word.quote_style.is_some() || !CLAUSES.iter().any(|clause| words.is(at, clause))
            }
            _ => false,
        };
        // `FROM (VALUES ..) AS t` has its alias outside; here it is within.
        if alias {
            put.extend(words.place(index));
        }
    }
    if put.is_empty() {
        return tokens;
    }
    let select = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
    let mut out = Vec::with_capacity(tokens.len() + 3 * put.len());
    for (index, token) in tokens.into_iter().enumerate() {
        if put.contains(&index) {
            out.extend(spaced(select.clone()));
        }
        out.push(token);
    }
    out
}

/// Names the columns of the lists of a statement.
pub(crate) fn name_columns(statement: &mut Statement) {
    match statement {
        Statement::Query(query) => body(&mut query.body),
        Statement::CreateView(view) => body(&mut view.query.body),
        Statement::CreateTable(table) => {
            if let Some(query) = &mut table.query {
                body(&mut query.body);
            }
        }
        _ => {}
    }
    let _ = VisitMut::visit(statement, &mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            if table.alias.columns.is_empty() {
                body(&mut table.query.body);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, alias, .. } = factor {
            match subquery.body.as_mut() {
                SetExpr::Values(values) if alias.as_ref().is_none_or(|alias| alias.columns.is_empty()) => {
                    let columns = columns(values);
                    let alias = alias.get_or_insert_with(|| TableAlias {
                        explicit: true,
                        name: quoted("#values"),
                        columns: Vec::new(),
                        at: None,
                    });
                    alias.columns = columns;
                }
                SetExpr::Values(_) => {}
                other => body(other),
            }
        }
        ControlFlow::Continue(())
    }
}

fn columns(values: &Values) -> Vec<TableAliasColumnDef> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    (1..=width).map(|index| TableAliasColumnDef::from_name(format!("col{index}").as_str())).collect()
}

/// A list that is a query, or the first of a set operation, as a select over it.
fn body(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, .. } => self::body(left),
        SetExpr::Query(query) => self::body(&mut query.body),
        SetExpr::Values(values) => {
            let columns = columns(values);
            let Some(mut query) = parsed("SELECT * FROM (SELECT 1) AS `#values`") else { return };
            if let SetExpr::Select(select) = query.body.as_mut()
                && let Some(TableFactor::Derived { subquery, alias: Some(alias), .. }) =
                    select.from.first_mut().map(|from| &mut from.relation)
            {
                std::mem::swap(subquery.body.as_mut(), body);
                alias.columns = columns;
                *body = *query.body;
            }
        }
        _ => {}
    }
}
