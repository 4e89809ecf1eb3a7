//! A tree of joins taken apart: tables, equalities between their columns, conditions, and semi-joins.
//!
//! Every column of every table has a number in the graph. Columns that are equated with each other form a
//! class; a join of two sets of tables equates one column of either side for each class that has some on both.
//! By induction all columns of a class are then equal within a set, so any order of the joins keeps exactly the
//! rows of the original.
//!
//! Semi- and anti-joins whose kept side is in the tree commute with its inner joins and become conditions. What
//! else stands between joins (computed columns, outer joins, aggregates) is a table.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::projection::ProjectionExec;
use std::sync::Arc;

/// A set of tables, one bit each.
pub(super) type Tables = u64;

/// The number of a column in the graph.
pub(super) type Id = usize;

#[derive(Clone, Default)]
pub(super) struct Graph {
    pub(super) tables: Vec<Arc<dyn ExecutionPlan>>,
    /// The table of a column and its place there.
    pub(super) columns: Vec<(usize, usize)>,
    /// Columns that are equal.
    pub(super) classes: Vec<Vec<Id>>,
    /// Equalities of expressions.
    pub(super) equalities: Vec<(Expr, Expr)>,
    pub(super) conditions: Vec<Condition>,
    pub(super) semis: Vec<Semi>,
    /// The columns of the whole.
    pub(super) outputs: Vec<Id>,
}

/// An expression whose columns are numbered by the graph.
#[derive(Clone)]
pub(super) struct Expr {
    pub(super) expr: Arc<dyn PhysicalExpr>,
    pub(super) columns: Vec<Id>,
}

/// A predicate over a small batch whose columns come from the graph.
#[derive(Clone)]
pub(super) struct Condition {
    pub(super) expr: Arc<dyn PhysicalExpr>,
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<Id>,
}

/// Keeps the rows for which the other side has a partner, or those for which it has none.
#[derive(Clone)]
pub(super) struct Semi {
    pub(super) other: Arc<dyn ExecutionPlan>,
    /// Expressions of the graph and of the other side.
    pub(super) on: Vec<(Expr, Arc<dyn PhysicalExpr>)>,
    pub(super) filter: Option<SemiFilter>,
    pub(super) anti: bool,
    pub(super) null_equality: NullEquality,
}

#[derive(Clone)]
pub(super) struct SemiFilter {
    pub(super) expr: Arc<dyn PhysicalExpr>,
    pub(super) schema: SchemaRef,
    /// From the graph, or from the other side.
    pub(super) columns: Vec<Result<Id, usize>>,
}

impl Semi {
    /// The columns of the graph that it reads.
    pub(super) fn columns(&self) -> Vec<Id> {
        let keys = self.on.iter().flat_map(|(mine, _)| mine.columns.iter().copied());
        let filter =
            self.filter.iter().flat_map(|filter| filter.columns.iter().filter_map(|column| column.ok()));
        keys.chain(filter).collect()
    }
}

impl Graph {
    /// The graph of a join; none if the plan is no join that can be moved.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let mut graph = Self::default();
        if !is_movable(plan) {
            return Ok(None);
        }
        graph.outputs = graph.take(plan)?;
        Ok((graph.tables.len() <= Tables::BITS as usize).then_some(graph))
    }

    /// The graph of any plan; one that joins nothing has one table.
    pub(super) fn of_rows(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut graph = Self::default();
        graph.outputs = graph.take(plan)?;
        Ok(graph)
    }

    pub(super) fn tables_of<'a>(&self, columns: impl IntoIterator<Item = &'a Id>) -> Tables {
        columns.into_iter().fold(0, |tables, id| tables | 1 << self.columns[*id].0)
    }

    /// Takes a plan in and gives its columns.
    fn take(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<Id>> {
        if let Some(join) = plan.downcast_ref::<HashJoinExec>().filter(|_| is_movable(plan)) {
            return self.take_join(join);
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>().filter(|_| has_join_below(plan)) {
            let columns: Option<Vec<usize>> = projection
                .expr()
                .iter()
                .map(|item| item.expr.downcast_ref::<Column>().map(Column::index))
                .collect();
            if let Some(columns) = columns {
                let input = self.take(projection.input())?;
                return Ok(columns.into_iter().map(|at| input[at]).collect());
            }
        }
        if let Some(filter) = plan
            .downcast_ref::<FilterExec>()
            .filter(|filter| has_join_below(plan) && filter.fetch().is_none())
        {
            let input = self.take(filter.input())?;
            let mut columns: Vec<usize> =
                datafusion::physical_expr::utils::collect_columns(filter.predicate())
                    .iter()
                    .map(Column::index)
                    .collect();
            columns.sort_unstable();
            let schema = Arc::new(filter.input().schema().project(&columns)?);
            let expr = renumber(filter.predicate(), |at| {
                columns.iter().position(|column| *column == at).unwrap_or(at)
            })?;
            self.conditions.push(Condition {
                expr,
                schema,
                columns: columns.iter().map(|at| input[*at]).collect(),
            });
            return Ok(match filter.projection() {
                Some(projection) => projection.iter().map(|at| input[*at]).collect(),
                None => input,
            });
        }
        let table = self.tables.len();
        let first = self.columns.len();
        self.tables.push(Arc::clone(plan));
        self.columns.extend((0..plan.schema().fields().len()).map(|at| (table, at)));
        Ok((first..self.columns.len()).collect())
    }

    fn take_join(&mut self, join: &HashJoinExec) -> Result<Vec<Id>> {
        let kept = match join.join_type() {
            JoinType::Inner => return self.take_inner(join),
            JoinType::LeftSemi | JoinType::LeftAnti => JoinSide::Left,
            _ => JoinSide::Right,
        };
        let (input, other) = match kept {
            JoinSide::Left => (join.left(), join.right()),
            _ => (join.right(), join.left()),
        };
        let input = self.take(input)?;
        let on = join
            .on()
            .iter()
            .map(|(left, right)| {
                let (mine, theirs) = if kept == JoinSide::Left { (left, right) } else { (right, left) };
                Ok((self.expr(mine, &input)?, Arc::clone(theirs)))
            })
            .collect::<Result<Vec<_>>>()?;
        let filter = join.filter().map(|filter| SemiFilter {
            expr: Arc::clone(filter.expression()),
            schema: Arc::clone(filter.schema()),
            columns: filter
                .column_indices()
                .iter()
                .map(|column| if column.side == kept { Ok(input[column.index]) } else { Err(column.index) })
                .collect(),
        });
        self.semis.push(Semi {
            other: Arc::clone(other),
            on,
            filter,
            anti: matches!(join.join_type(), JoinType::LeftAnti | JoinType::RightAnti),
            null_equality: join.null_equality(),
        });
        Ok(project(input, join))
    }

    fn take_inner(&mut self, join: &HashJoinExec) -> Result<Vec<Id>> {
        let left = self.take(join.left())?;
        let right = self.take(join.right())?;
        for (mine, theirs) in join.on() {
            let columns = mine.downcast_ref::<Column>().zip(theirs.downcast_ref::<Column>());
            let same = mine.data_type(&join.left().schema())? == theirs.data_type(&join.right().schema())?;
            match columns.filter(|_| same) {
                Some((mine, theirs)) => self.equate(left[mine.index()], right[theirs.index()]),
                None => {
                    let pair = (self.expr(mine, &left)?, self.expr(theirs, &right)?);
                    self.equalities.push(pair);
                }
            }
        }
        if let Some(filter) = join.filter() {
            self.conditions.push(condition(filter, &left, &right));
        }
        Ok(project([left, right].concat(), join))
    }

    fn expr(&self, expr: &Arc<dyn PhysicalExpr>, input: &[Id]) -> Result<Expr> {
        let columns = datafusion::physical_expr::utils::collect_columns(expr);
        let columns = columns.iter().map(|column| input[column.index()]).collect();
        Ok(Expr { expr: renumber(expr, |at| input[at])?, columns })
    }

    fn equate(&mut self, one: Id, other: Id) {
        let find = |classes: &[Vec<Id>], id: Id| classes.iter().position(|class| class.contains(&id));
        match (find(&self.classes, one), find(&self.classes, other)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => {
                let more = self.classes.swap_remove(a.max(b));
                self.classes[a.min(b)].extend(more);
            }
            (Some(a), None) => self.classes[a].push(other),
            (None, Some(b)) => self.classes[b].push(one),
            (None, None) => self.classes.push(vec![one, other]),
        }
    }
}

fn condition(filter: &JoinFilter, left: &[Id], right: &[Id]) -> Condition {
    let columns = filter
        .column_indices()
        .iter()
        .map(|column| if column.side == JoinSide::Left { left[column.index] } else { right[column.index] })
        .collect();
    Condition { expr: Arc::clone(filter.expression()), schema: Arc::clone(filter.schema()), columns }
}

fn project(columns: Vec<Id>, join: &HashJoinExec) -> Vec<Id> {
    match &join.projection {
        Some(projection) => projection.iter().map(|at| columns[*at]).collect(),
        None => columns,
    }
}

/// The expression with its columns at other places.
pub(super) fn renumber(
    expr: &Arc<dyn PhysicalExpr>,
    place: impl Fn(usize) -> usize,
) -> Result<Arc<dyn PhysicalExpr>> {
    Arc::clone(expr)
        .transform_up(|expr| {
            Ok(match expr.downcast_ref::<Column>() {
                Some(column) => {
                    let moved = Column::new(column.name(), place(column.index()));
                    Transformed::yes(Arc::new(moved) as Arc<dyn PhysicalExpr>)
                }
                None => Transformed::no(expr),
            })
        })
        .data()
}

/// A join whose place among other inner joins does not matter.
pub(super) fn is_movable(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return false };
    let kind = match join.join_type() {
        JoinType::Inner => join.null_equality() == NullEquality::NullEqualsNothing,
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti => true,
        _ => false,
    };
    kind && !join.null_aware && join.fetch().is_none()
}

/// Looks through projections and filters.
fn has_join_below(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children()[..] {
        [child] => {
            is_movable(child)
                || ((child.is::<ProjectionExec>() || child.is::<FilterExec>()) && has_join_below(child))
        }
        _ => false,
    }
}
