//! The types of `UNION` and its kin, and the names of the columns of `EXCEPT ALL` and `INTERSECT ALL`.
//!
//! DataFusion plans what is around a union with the types of its first query, and widens a decimal and a double to a
//! decimal. Where a plan has a union whose queries differ in their types, each query of the text is planned by itself, and
//! the columns of both sides are cast to the type that Spark gives them.
//!
//! `EXCEPT ALL` numbers rows by their columns; where the text does not name them (`SELECT *`), a plan of its left side does.

use crate::clauses::{parsed, quoted};
use crate::condition;
use crate::rewrite;
use crate::value::types;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement as SqlStatement,
    TableFactor, VisitMut, VisitorMut, With,
};
use std::ops::ControlFlow;

/// Whether a plan has a union of queries with different types.
pub(crate) fn differ(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node
            && let [first, rest @ ..] = union.inputs.as_slice()
        {
            let types = |plan: &LogicalPlan| {
                plan.schema().fields().iter().map(|field| types::plain(field.data_type())).collect::<Vec<_>>()
            };
            let first = types(first);
            found |= rest.iter().any(|input| types(input) != first);
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && found
}

/// Casts the sides of the set operations of a statement; whether one was changed.
///
/// # Errors
/// `INCOMPATIBLE_COLUMN_TYPE` for columns that no type holds.
pub(crate) async fn cast(state: &SessionState, statement: &mut SqlStatement) -> Result<bool> {
    let mut changed = false;
    // The innermost first: what is around it sees its types.
    for index in 0.. {
        let mut at = At { with: Vec::new(), wanted: by_place, index, seen: 0, found: None };
        let _ = VisitMut::visit(statement, &mut at);
        let Some((with, left, right)) = at.found else { break };
        let left_plan = plan(state, &with, left).await;
        let right_plan = plan(state, &with, right).await;
        // What refers outside cannot be planned by itself, and stays as it is.
        let (Some(left), Some(right)) = (left_plan, right_plan) else { continue };
        if left.len() != right.len() {
            continue;
        }
        let mut casts = Vec::new();
        for (at, ((_, a), (_, b))) in left.iter().zip(&right).enumerate() {
            match types::common(&[a.clone(), b.clone()]) {
                Some(common) => casts.push(common),
                None => {
                    return Err(condition::error(
                        trefoil_core::ErrorKind::TypeMismatch,
                        "INCOMPATIBLE_COLUMN_TYPE",
                        "42825",
                        format!(
                            "column {} of a set operation is {} on one side and {} on the other.",
                            at + 1,
                            types::name(a).to_uppercase(),
                            types::name(b).to_uppercase()
                        ),
                    ));
                }
            }
        }
        let needs = |side: &[(String, DataType)]| side.iter().zip(&casts).any(|((_, t), c)| t != c);
        let (cast_left, cast_right) = (needs(&left), needs(&right));
        if cast_left || cast_right {
            let mut put = Put {
                wanted: by_place,
                index,
                seen: 0,
                left: cast_left.then(|| side(&left, &casts)).flatten(),
                right: cast_right.then(|| side(&right, &casts)).flatten(),
            };
            changed |= put.left.is_some() || put.right.is_some();
            let _ = VisitMut::visit(statement, &mut put);
        }
    }
    Ok(changed)
}

/// Whether the rows of a set operation are numbered by columns that the text does not name.
fn is_unnamed(body: &SetExpr) -> bool {
    let SetExpr::SetOperation { op, set_quantifier: SetQuantifier::All, left, .. } = body else {
        return false;
    };
    !matches!(op, SetOperator::Union) && crate::clauses::columns(left).is_none()
}

/// Names the columns of `EXCEPT ALL` and `INTERSECT ALL` where a plan of the left side tells them; before the tree is
/// given Spark's meaning, which `mean` does for a query.
pub(crate) async fn name_columns(
    state: &SessionState,
    statement: &mut SqlStatement,
    mean: impl Fn(&mut SqlStatement),
) {
    let mut index = 0;
    loop {
        let mut at = At { with: Vec::new(), wanted: is_unnamed, index, seen: 0, found: None };
        let _ = VisitMut::visit(statement, &mut at);
        let Some((with, left, _)) = at.found else { return };
        let columns = match probe(&with, left) {
            Some(mut query) => {
                mean(&mut query);
                planned(state, query).await
            }
            None => None,
        };
        let named = columns.and_then(|columns| {
            let types: Vec<DataType> = columns.iter().map(|(_, data_type)| data_type.clone()).collect();
            side(&columns, &types)
        });
        match named {
            // Named by now, and so no longer among those that are wanted.
            Some(left) => {
                let mut put = Put { wanted: is_unnamed, index, seen: 0, left: Some(left), right: None };
                let _ = VisitMut::visit(statement, &mut put);
            }
            None => index += 1,
        }
    }
}

/// The columns of a body with their types.
async fn plan(state: &SessionState, with: &[Cte], body: SetExpr) -> Option<Vec<(String, DataType)>> {
    planned(state, probe(with, body)?).await
}

/// A query of a body within the CTEs around it; of two of a name the inner one is seen.
pub(crate) fn probe(with: &[Cte], body: SetExpr) -> Option<SqlStatement> {
    let mut probe = parsed("WITH c AS (SELECT 1) SELECT 1")?;
    let name = |table: &Cte| table.alias.name.value.to_lowercase();
    let hidden = |at: usize| with[at + 1..].iter().any(|inner| name(inner) == name(&with[at]));
    let cte_tables: Vec<Cte> = (0..with.len()).filter(|at| !hidden(*at)).map(|at| with[at].clone()).collect();
    probe.with =
        probe.with.take().and_then(|clause| (!with.is_empty()).then_some(With { cte_tables, ..clause }));
    *probe.body = body;
    Some(SqlStatement::Query(Box::new(probe)))
}

pub(crate) async fn planned(state: &SessionState, query: SqlStatement) -> Option<Vec<(String, DataType)>> {
    let plan = state.statement_to_plan(Statement::Statement(Box::new(query))).await.ok()?;
    let fields = plan.schema().fields().iter();
    Some(fields.map(|field| (field.name().clone(), types::plain(field.data_type()))).collect())
}

/// A select of the columns, cast, over a sub-query that takes the side's place.
fn side(columns: &[(String, DataType)], casts: &[DataType]) -> Option<Query> {
    let unique = |name: &str| columns.iter().filter(|(other, _)| other == name).count() == 1;
    if !columns.iter().all(|(name, _)| unique(name) && !name.contains('`')) {
        return None;
    }
    let mut query = parsed("SELECT * FROM (SELECT 1) AS `#typed`")?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    select.projection = Vec::with_capacity(columns.len());
    for ((name, given), wanted) in columns.iter().zip(casts) {
        let column = Expr::Identifier(quoted(name));
        let expr = if given == wanted {
            column
        } else {
            let mut cast = expression(&format!("CAST(`{name}` AS {})", types::name(wanted)))?;
            rewrite::expression(&mut cast);
            cast
        };
        select.projection.push(SelectItem::ExprWithAlias { expr, alias: quoted(name) });
    }
    Some(query)
}

fn expression(text: &str) -> Option<Expr> {
    let query = parsed(&format!("SELECT {text}"))?;
    let SetExpr::Select(select) = *query.body else { return None };
    match select.projection.into_iter().next()? {
        SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    }
}

/// Whether the sides are matched by place.
fn by_place(body: &SetExpr) -> bool {
    !matches!(
        body,
        SetExpr::SetOperation {
            set_quantifier: SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName,
            ..
        }
    )
}

/// Calls `each` for the set operations of a body, the innermost first.
fn operations(body: &mut SetExpr, each: &mut impl FnMut(&mut SetExpr)) {
    if let SetExpr::SetOperation { left, right, .. } = body {
        operations(left, each);
        operations(right, each);
        each(body);
    }
}

/// Finds a set operation by its number, with the CTEs around it.
struct At {
    with: Vec<Vec<Cte>>,
    wanted: fn(&SetExpr) -> bool,
    index: usize,
    seen: usize,
    found: Option<(Vec<Cte>, SetExpr, SetExpr)>,
}

impl VisitorMut for At {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.with.push(query.with.as_ref().map(|with| with.cte_tables.clone()).unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Self { with, wanted, index, seen, found } = self;
        operations(&mut query.body, &mut |body| {
            if !wanted(body) {
                return;
            }
            if let SetExpr::SetOperation { left, right, .. } = body
                && *seen == *index
            {
                let with = with.iter().flatten().cloned().collect();
                *found = Some((with, left.as_ref().clone(), right.as_ref().clone()));
            }
            *seen += 1;
        });
        self.with.pop();
        ControlFlow::Continue(())
    }
}

/// Puts the casts over the sides of a set operation.
struct Put {
    wanted: fn(&SetExpr) -> bool,
    index: usize,
    seen: usize,
    left: Option<Query>,
    right: Option<Query>,
}

impl VisitorMut for Put {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Self { wanted, index, seen, left: over_left, right: over_right } = self;
        operations(&mut query.body, &mut |body| {
            if !wanted(body) {
                return;
            }
            if let SetExpr::SetOperation { left, right, .. } = body
                && *seen == *index
            {
                for (side, over) in [(left, over_left.take()), (right, over_right.take())] {
                    if let Some(mut over) = over
                        && let SetExpr::Select(select) = over.body.as_mut()
                        && let Some(inner) = derived(select)
                    {
                        std::mem::swap(inner, side.as_mut());
                        **side = *over.body;
                    }
                }
            }
            *seen += 1;
        });
        ControlFlow::Continue(())
    }
}

/// The body of the sub-query that a select is over.
fn derived(select: &mut Select) -> Option<&mut SetExpr> {
    match select.from.first_mut().map(|from| &mut from.relation) {
        Some(TableFactor::Derived { subquery, .. }) => Some(subquery.body.as_mut()),
        _ => None,
    }
}
