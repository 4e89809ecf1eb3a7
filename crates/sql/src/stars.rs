//! `s.*` of a struct: its fields as columns.
//!
//! DataFusion takes what stands before the star for a table. Where there is none of that name, the column of the name
//! is planned by itself to see its fields, and they take the star's place.

use crate::clauses::{parsed, quoted};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement as SqlStatement, VisitMut, VisitorMut,
    WildcardAdditionalOptions, With,
};
use std::ops::ControlFlow;

/// Whether an error says that a star has no table before it.
pub(crate) fn is_about_stars(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Plan(text) if text.starts_with("Invalid qualifier"))
}

/// Puts the fields of structs in the place of their stars; whether there was one.
pub(crate) async fn expand(state: &SessionState, statement: &mut SqlStatement) -> bool {
    let mut found = Stars { with: Vec::new(), probes: Vec::new() };
    let _ = VisitMut::visit(statement, &mut found);
    let mut fields = Vec::new();
    for (name, probe) in found.probes {
        let probe = Statement::Statement(Box::new(SqlStatement::Query(Box::new(probe))));
        // Not a column either: the first error stands.
        let Ok(plan) = state.statement_to_plan(probe).await else { continue };
        if let Some(DataType::Struct(inner)) = plan.schema().fields().first().map(|field| field.data_type()) {
            fields.push((name, inner.iter().map(|field| field.name().clone()).collect()));
        }
    }
    let mut put = Put { fields, changed: false };
    let _ = VisitMut::visit(statement, &mut put);
    put.changed
}

/// The name before a star.
fn starred(item: &SelectItem) -> Option<Vec<Ident>> {
    let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(ObjectName(parts)), _) =
        item
    else {
        return None;
    };
    parts.iter().map(|part| ObjectNamePart::as_ident(part).cloned()).collect()
}

/// The names after EXCEPT; none if the star has options of other kinds.
fn without(item: &SelectItem) -> Option<Vec<String>> {
    let SelectItem::QualifiedWildcard(_, options) = item else { return None };
    let except = options.opt_except.as_ref();
    let only = WildcardAdditionalOptions { opt_except: options.opt_except.clone(), ..Default::default() };
    let names =
        except.into_iter().flat_map(|e| std::iter::once(&e.first_element).chain(&e.additional_elements));
    (options.opt_ilike == only.opt_ilike
        && options.opt_exclude == only.opt_exclude
        && options.opt_replace == only.opt_replace
        && options.opt_rename == only.opt_rename)
        .then(|| names.map(|ident| ident.value.clone()).collect())
}

fn column(mut parts: Vec<Ident>) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => Expr::Identifier(only),
        (_, last) => {
            parts.extend(last);
            Expr::CompoundIdentifier(parts)
        }
    }
}

/// Finds the stars, each with a query for the column before it.
struct Stars {
    /// The CTEs around.
    with: Vec<Vec<Cte>>,
    probes: Vec<(Vec<Ident>, Query)>,
}

impl VisitorMut for Stars {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.with.push(query.with.as_ref().map(|with| with.cte_tables.clone()).unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.with.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for name in select.projection.iter().filter_map(starred) {
            let Some(mut probe) = parsed("WITH c AS (SELECT 1) SELECT 1") else { continue };
            let mut inner = select.clone();
            inner.projection = vec![SelectItem::UnnamedExpr(column(name.clone()))];
            inner.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
            inner.distinct = None;
            (inner.having, inner.qualify) = (None, None);
            probe.with = probe.with.take().and_then(|with| {
                let cte_tables: Vec<Cte> = self.with.iter().flatten().cloned().collect();
                (!cte_tables.is_empty()).then_some(With { cte_tables, ..with })
            });
            *probe.body = SetExpr::Select(Box::new(inner));
            self.probes.push((name, probe));
        }
        ControlFlow::Continue(())
    }
}

struct Put {
    fields: Vec<(Vec<Ident>, Vec<String>)>,
    changed: bool,
}

impl VisitorMut for Put {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut projection = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            let name = starred(&item);
            let known = name.and_then(|name| self.fields.iter().find(|(known, _)| *known == name));
            let (Some((name, fields)), Some(without)) = (known, without(&item)) else {
                projection.push(item);
                continue;
            };
            self.changed = true;
            let kept = fields.iter().filter(|field| !without.iter().any(|w| w.eq_ignore_ascii_case(field)));
            for field in kept {
                let mut parts = name.clone();
                parts.push(quoted(field));
                projection.push(SelectItem::ExprWithAlias { expr: column(parts), alias: quoted(field) });
            }
        }
        select.projection = projection;
        ControlFlow::Continue(())
    }
}
