//! `LATERAL` sub-queries that DataFusion does not take apart: a rule for the logical plan.
//!
//! A sub-query that refers to columns of the tables before it means one run of it for each of their rows. DataFusion
//! joins such a sub-query where it only compares and aggregates a table. [`Laterals`] does the rest as Neumann and Kemper's
//! "Unnesting Arbitrary Queries" (2015) does: the sub-query runs once, over the *domain*, all different values of the
//! columns that it refers to, and its rows are joined back to those they belong to.
//!
//! ```text
//!   left ──────────────────────────┐
//!    └─ domain: its columns, once ─┤ join: equal, null with null
//!         └─ the sub-query for it ─┘       (`dependent`)
//! ```
//!
//! Where the sub-query reads no table and works row by row (`LATERAL (SELECT a + 1)`, `LATERAL explode(xs)`) the domain
//! is the left side itself, and nothing is joined.

mod asked;
mod dependent;

use crate::condition;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, Expr, Filter, Join, LogicalPlan, Projection, Subquery};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use dependent::{Domain, equal, refers};
use std::sync::Arc;

/// The rule; it stands around DataFusion's, which takes filters out of joins that must keep them, and so only gets what
/// filters and aggregates.
#[derive(Debug)]
pub(crate) struct Laterals {
    /// Whether it leaves plain sub-queries to DataFusion.
    before: bool,
}

impl Laterals {
    /// DataFusion's rules with ours in its place.
    pub(crate) fn add_to(rules: &mut Vec<Arc<dyn OptimizerRule + Send + Sync>>) {
        let at = rules.iter().position(|rule| rule.name() == "decorrelate_lateral_join").unwrap_or(0);
        rules.insert((at + 1).min(rules.len()), Arc::new(Self { before: false }));
        rules.insert((at + 1).min(rules.len()), Arc::new(asked::Asked { before: false }));
        rules.insert(0, Arc::new(asked::Asked { before: true }));
        // And it takes what is two steps outside for what is one step outside.
        rules.insert(0, Arc::new(Self { before: true }));
    }
}

impl OptimizerRule for Laterals {
    fn name(&self) -> &str {
        if self.before { "laterals" } else { "plain_laterals" }
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        // Sub-queries within first: what they refer to further outside is then an expression like others.
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = &plan else { return Ok(Transformed::no(plan)) };
        let marked = subquery(&join.right).map(|subquery| subquery.subquery.as_ref());
        let inside = match marked {
            Some(inside) if self.before && is_plain(inside) => return Ok(Transformed::no(plan)),
            Some(inside) => inside,
            // What refers outside in sub-queries of its own alone has no mark of DataFusion's planner.
            None if self.before && has_subqueries(&join.right)? => join.right.as_ref(),
            None => return Ok(Transformed::no(plan)),
        };
        let outer = outer_columns(inside, join.left.schema())?;
        if outer.is_empty() {
            return Ok(Transformed::no(plan));
        }
        // References know no more than names: one that is also a table's within could mean either.
        if has_subqueries(inside)? && has_any(inside, &outer)? {
            return match marked {
                Some(_) => Err(condition::unsupported(
                    "this form of a LATERAL sub-query; give its tables other names than those before it.",
                )),
                None => Ok(Transformed::no(plan)),
            };
        }
        // Plain ones within are left to DataFusion only where nothing around them refers outside.
        let rest = Self { before: false };
        let inside = inside.clone().transform_up(|node| rest.rewrite(node, config))?.data;
        let alias = TableReference::bare(config.alias_generator().next("#lateral"));
        let joined = match join.join_type {
            JoinType::Inner | JoinType::Left => joined(join, &inside, outer, alias)?,
            _ => None,
        };
        match joined {
            Some(joined) => Ok(Transformed::yes(joined)),
            None => Err(condition::unsupported("this form of a LATERAL sub-query.")),
        }
    }
}

/// The sub-query of a right side that has one.
fn subquery(right: &LogicalPlan) -> Option<&Subquery> {
    match right {
        LogicalPlan::Subquery(subquery) => Some(subquery),
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => Some(subquery),
            _ => None,
        },
        _ => None,
    }
}

/// The columns of `left` that a plan refers to.
fn outer_columns(plan: &LogicalPlan, left: &DFSchema) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    plan.apply_with_subqueries(|node| {
        for expr in node.all_out_ref_exprs() {
            if let Expr::OuterReferenceColumn(_, column) = expr
                && left.has_column(&column)
                && !columns.contains(&column)
            {
                columns.push(column);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

fn joined(
    join: &Join,
    subquery: &LogicalPlan,
    outer: Vec<Column>,
    alias: TableReference,
) -> Result<Option<LogicalPlan>> {
    let left = join.left.schema();
    let conditions = join.on.iter().map(|(mine, theirs)| mine.clone().eq(theirs.clone()));
    let condition = conditions.chain(join.filter.clone()).reduce(Expr::and);
    if join.join_type == JoinType::Inner && is_row_wise(subquery) {
        let domain = Domain::new(Arc::clone(&join.left), left.columns(), alias)?;
        let Some(rows) = domain.dependent(subquery)? else { return Ok(None) };
        let rows = Arc::new(renamed(rows, join.schema.as_ref())?);
        return Ok(Some(match condition {
            Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, rows)?),
            None => Arc::unwrap_or_clone(rows),
        }));
    }
    if draws(&join.left)? {
        return Ok(None);
    }
    let domain = Domain::new(Arc::clone(&join.left), outer.clone(), alias)?.distinct()?;
    let Some(rows) = domain.dependent(subquery)? else { return Ok(None) };
    // The domain, and the columns of the sub-query as they are called outside.
    let fields = domain.plan().schema().iter().chain(join.right.schema().iter());
    let fields = fields.map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
    let rows = renamed(rows, &DFSchema::new_with_metadata(fields, Default::default())?)?;
    let on = domain.pairs(outer.into_iter().map(Expr::Column))?;
    let joined = equal(Arc::clone(&join.left), Arc::new(rows), on, condition, join.join_type)?;
    let kept = join.schema.columns().into_iter().map(Expr::Column).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(kept, Arc::new(joined))?)))
}

/// The columns of a plan, place by place, under the names of `schema`.
fn renamed(plan: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
    let columns = plan.schema().columns().into_iter().zip(schema.iter());
    let exprs = columns
        .map(|(column, (qualifier, field))| match (&column.relation, qualifier) {
            (mine, theirs) if mine.as_ref() == theirs && column.name == *field.name() => Expr::Column(column),
            (_, qualifier) => Expr::Column(column).alias_qualified(qualifier.cloned(), field.name()),
        })
        .collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

/// Whether a plan filters, computes and aggregates a table, and nothing else.
fn is_plain(plan: &LogicalPlan) -> bool {
    if nests(plan) {
        return false;
    }
    let here = match plan {
        // DISTINCT by now: DataFusion takes filters out of it with their columns, and rows come twice.
        LogicalPlan::Aggregate(aggregate) => !aggregate.aggr_expr.is_empty(),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::TableScan(_) => true,
        _ => false,
    };
    here && plan.inputs().into_iter().all(is_plain)
}

/// Whether a node has sub-queries in its expressions.
fn nests(node: &LogicalPlan) -> bool {
    let nested = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
        ))
    };
    node.expressions().iter().any(|expr| expr.exists(nested).unwrap_or(true))
}

/// Whether expressions of a plan have sub-queries.
fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(nests(node)))
}

/// Whether a plan has one of these columns itself.
fn has_any(plan: &LogicalPlan, columns: &[Column]) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= columns.iter().any(|column| node.schema().has_column(column));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether a plan makes its rows of one row, each from what is there alone.
fn is_row_wise(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_) => plan.inputs().into_iter().all(is_row_wise),
        _ => false,
    }
}

/// Whether a plan gives other rows each time it runs.
fn draws(plan: &LogicalPlan) -> Result<bool> {
    let mut volatile = false;
    plan.apply_with_subqueries(|node| {
        volatile |= node.expressions().iter().any(Expr::is_volatile);
        Ok(if volatile { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(volatile)
}

impl Domain {
    /// Each of its rows once.
    fn distinct(self) -> Result<Self> {
        let keys = self.columns().map(Expr::Column).collect();
        let plan =
            LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(self.plan().clone()), keys, Vec::new())?);
        Ok(self.over(plan))
    }
}

/// Whether a node or what is below it refers to one of these columns outside.
fn depends(plan: &LogicalPlan, columns: &[Column]) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= node.expressions().iter().any(|expr| refers(expr, columns));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
