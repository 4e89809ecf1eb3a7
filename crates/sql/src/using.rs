//! Keys of outer joins: after `a FULL JOIN b USING (k)`, `k` is the key of whichever side has the row. `NATURAL` joins
//! are such joins where both sides are sub-queries that name their columns.
//!
//! DataFusion takes the left side's. Here `k` without a table becomes `coalesce(a.k, b.k)` in the columns, the
//! filter and the groups, and `*` gives it once.

use datafusion::sql::sqlparser::ast::*;
use std::ops::ControlFlow;

/// The tables and the keys of a join that needs it.
struct Keys {
    tables: [Ident; 2],
    columns: Vec<Ident>,
}

fn name(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

fn keys(select: &Select) -> Option<Keys> {
    let [from] = select.from.as_slice() else { return None };
    let [join] = from.joins.as_slice() else { return None };
    let (JoinOperator::FullOuter(constraint)
    | JoinOperator::Right(constraint)
    | JoinOperator::RightOuter(constraint)) = &join.join_operator
    else {
        return None;
    };
    let columns = match constraint {
        JoinConstraint::Using(columns) => {
            columns.iter().map(|c| c.0.last()?.as_ident().cloned()).collect::<Option<Vec<_>>>()?
        }
        JoinConstraint::Natural => shared(&from.relation, &join.relation)?,
        _ => return None,
    };
    Some(Keys { tables: [name(&from.relation)?, name(&join.relation)?], columns })
}

/// The columns that two sub-queries have in common, if both name all of theirs.
fn shared(left: &TableFactor, right: &TableFactor) -> Option<Vec<Ident>> {
    let columns = |factor: &TableFactor| match factor {
        TableFactor::Derived { subquery, alias: Some(alias), .. } if alias.columns.is_empty() => {
            crate::clauses::columns(&subquery.body)
        }
        _ => None,
    };
    let right = columns(right)?;
    let mut both = columns(left)?;
    both.retain(|name| right.iter().any(|other| other.eq_ignore_ascii_case(name)));
    Some(both.into_iter().map(|name| Ident::with_quote('`', name)).collect())
}

impl Keys {
    fn find(&self, ident: &Ident) -> Option<Expr> {
        let column = self.columns.iter().find(|c| c.value.eq_ignore_ascii_case(&ident.value))?;
        let side = |table: &Ident| {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(vec![
                table.clone(),
                column.clone(),
            ])))
        };
        Some(Expr::Function(Function {
            name: ObjectName::from(vec![Ident::new("coalesce")]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: self.tables.iter().map(side).collect(),
                clauses: Vec::new(),
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        }))
    }
}

impl VisitorMut for Keys {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr
            && let Some(key) = self.find(ident)
        {
            *expr = key;
        }
        ControlFlow::Continue(())
    }
}

/// Changes a `SELECT` over such a join.
pub(crate) fn coalesce(select: &mut Select) {
    let Some(mut keys) = keys(select) else { return };
    let mut columns = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => match keys.find(&ident) {
                Some(expr) => columns.push(SelectItem::ExprWithAlias { expr, alias: ident }),
                None => columns.push(SelectItem::UnnamedExpr(Expr::Identifier(ident))),
            },
            SelectItem::Wildcard(mut options) if options.opt_except.is_none() => {
                for column in &keys.columns {
                    let expr = keys.find(column);
                    columns
                        .extend(expr.map(|expr| SelectItem::ExprWithAlias { expr, alias: column.clone() }));
                }
                if let [first, rest @ ..] = keys.columns.as_slice() {
                    options.opt_except = Some(ExceptSelectItem {
                        first_element: first.clone(),
                        additional_elements: rest.to_vec(),
                    });
                }
                for table in &keys.tables {
                    let table = ObjectName::from(vec![table.clone()]);
                    let of = SelectItemQualifiedWildcardKind::ObjectName(table);
                    columns.push(SelectItem::QualifiedWildcard(of, options.clone()));
                }
            }
            SelectItem::UnnamedExpr(mut expr) => {
                // Named before it is changed, so that the name is what was written.
                let name = crate::names::of(&expr);
                let _ = VisitMut::visit(&mut expr, &mut keys);
                columns.push(match name {
                    Some(name) if !crate::names::is_generator(&expr) => {
                        SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) }
                    }
                    _ => SelectItem::UnnamedExpr(expr),
                });
            }
            SelectItem::ExprWithAlias { mut expr, alias } => {
                let _ = VisitMut::visit(&mut expr, &mut keys);
                columns.push(SelectItem::ExprWithAlias { expr, alias });
            }
            other => columns.push(other),
        }
    }
    select.projection = columns;
    for clause in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten() {
        let _ = clause.visit(&mut keys);
    }
    if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
        for group in groups {
            let _ = group.visit(&mut keys);
        }
    }
}
