//! The plan of a tree of joins.
//!
//! Each join hashes the smaller side, looks the other up, equates one column per class, checks the conditions
//! that can be checked for the first time, and hands on only the columns that something above still reads.

use super::graph::{Condition, Expr, Graph, Id, Semi, Tables, renumber};
use super::search::{Node, Tree};
use datafusion::arrow::datatypes::{Field, Fields, Schema};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result, internal_err};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::conjunction;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a semi-join goes.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    /// At a table; else above all joins.
    pub(super) table: Option<usize>,
    /// Rows its other side is guessed to have.
    pub(super) rows: f64,
}

pub(super) struct Builder<'a> {
    graph: &'a Graph,
    placed: &'a [Placed],
    partitions: usize,
    conditions: Vec<Option<Condition>>,
    equalities: Vec<Option<(Expr, Expr)>>,
}

/// A plan and what its columns are in the graph.
struct Part {
    plan: Arc<dyn ExecutionPlan>,
    columns: Vec<Id>,
    tables: Tables,
    rows: f64,
}

impl Part {
    fn place(&self, id: Id) -> Option<usize> {
        self.columns.iter().position(|column| *column == id)
    }

    fn column(&self, id: Id) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(at) = self.place(id) else { return internal_err!("column {id} is not in the join") };
        Ok(Arc::new(Column::new(self.plan.schema().field(at).name(), at)))
    }

    fn expr(&self, expr: &Expr) -> Result<Arc<dyn PhysicalExpr>> {
        if expr.columns.iter().any(|id| self.place(*id).is_none()) {
            return internal_err!("columns of `{}` are not in the join", expr.expr);
        }
        renumber(&expr.expr, |id| self.place(id).unwrap_or_default())
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(graph: &'a Graph, placed: &'a [Placed], partitions: usize) -> Self {
        let conditions = graph.conditions.iter().cloned().map(Some).collect();
        let equalities = graph.equalities.iter().cloned().map(Some).collect();
        Self { graph, placed, partitions, conditions, equalities }
    }

    /// The plan, whose columns are named as these fields are.
    pub(super) fn build(mut self, tree: &Node, fields: &Fields) -> Result<Arc<dyn ExecutionPlan>> {
        let mut part = self.part(tree)?;
        for condition in std::mem::take(&mut self.conditions).into_iter().flatten() {
            part = filtered(part, &condition)?;
        }
        let graph = self.graph;
        for (semi, placed) in graph.semis.iter().zip(self.placed) {
            if placed.table.is_none() {
                part = self.semi(part, semi, placed.rows)?;
            }
        }
        let wanted = graph.outputs.iter().zip(fields);
        let columns = wanted
            .map(|(id, field)| Ok((part.column(*id)?, field.name().clone())))
            .collect::<Result<Vec<_>>>()?;
        if part.columns == graph.outputs && part.plan.schema().fields() == fields {
            return Ok(part.plan);
        }
        Ok(Arc::new(ProjectionExec::try_new(columns, part.plan)?))
    }

    fn part(&mut self, node: &Node) -> Result<Part> {
        let mut part = match &node.tree {
            Tree::Table(at) => self.table(*at)?,
            Tree::Join(build, probe) => {
                let build = self.part(build)?;
                let probe = self.part(probe)?;
                self.join(build, probe)?
            }
        };
        part.rows = node.rows;
        Ok(part)
    }

    fn table(&mut self, at: usize) -> Result<Part> {
        let plan = Arc::clone(&self.graph.tables[at]);
        let columns = (0..self.graph.columns.len()).filter(|id| self.graph.columns[*id].0 == at).collect();
        let mut part = Part { plan, columns, tables: 1 << at, rows: 0.0 };
        for condition in self.due(part.tables) {
            part = filtered(part, &condition)?;
        }
        let graph = self.graph;
        for (semi, placed) in graph.semis.iter().zip(self.placed) {
            if placed.table == Some(at) {
                // It was placed there because it is the smaller side.
                part.rows = f64::INFINITY;
                part = self.semi(part, semi, placed.rows)?;
            }
        }
        Ok(part)
    }

    /// Conditions that these tables allow to check; each is given once.
    fn due(&mut self, tables: Tables) -> Vec<Condition> {
        let graph = self.graph;
        let checkable = |condition: &mut Condition| {
            let mine = graph.tables_of(&condition.columns);
            mine != 0 && mine & !tables == 0
        };
        self.conditions.iter_mut().filter_map(|slot| slot.take_if(checkable)).collect()
    }

    fn join(&mut self, build: Part, probe: Part) -> Result<Part> {
        let graph = self.graph;
        let tables = build.tables | probe.tables;
        let mut on = Vec::new();
        for class in &graph.classes {
            let one = |part: &Part| class.iter().copied().find(|id| part.place(*id).is_some());
            if let (Some(mine), Some(theirs)) = (one(&build), one(&probe)) {
                on.push((build.column(mine)?, probe.column(theirs)?));
            }
        }
        for slot in &mut self.equalities {
            let due = |pair: &mut (Expr, Expr)| {
                (graph.tables_of(&pair.0.columns) | graph.tables_of(&pair.1.columns)) & !tables == 0
            };
            let Some((left, right)) = slot.take_if(due) else { continue };
            let (of_left, of_right) = (graph.tables_of(&left.columns), graph.tables_of(&right.columns));
            if of_left & !build.tables == 0 && of_right & !probe.tables == 0 {
                on.push((build.expr(&left)?, probe.expr(&right)?));
            } else if of_right & !build.tables == 0 && of_left & !probe.tables == 0 {
                on.push((build.expr(&right)?, probe.expr(&left)?));
            } else {
                self.conditions.push(Some(equal(graph, &left, &right)?));
            }
        }
        let filter = match self.due(tables) {
            due if due.is_empty() => None,
            due => Some(join_filter(&due, &build, &probe)?),
        };
        let all: Vec<Id> = build.columns.iter().chain(&probe.columns).copied().collect();
        let needed = self.needed(tables, &all);
        let kept: Vec<usize> = (0..all.len()).filter(|at| needed.contains(&all[*at])).collect();
        let columns = kept.iter().map(|at| all[*at]).collect();
        let mode = self.mode(build.rows, probe.rows);
        let join = HashJoinExec::try_new(
            build.plan,
            probe.plan,
            on,
            filter,
            &JoinType::Inner,
            (kept.len() < all.len()).then_some(kept),
            mode,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        Ok(Part { plan: Arc::new(join), columns, tables, rows: 0.0 })
    }

    /// What is still read of the columns of some tables that have been joined.
    fn needed(&self, tables: Tables, have: &[Id]) -> BTreeSet<Id> {
        let graph = self.graph;
        let mut needed: BTreeSet<Id> = graph.outputs.iter().copied().collect();
        for condition in self.conditions.iter().flatten() {
            needed.extend(&condition.columns);
        }
        for (left, right) in self.equalities.iter().flatten() {
            needed.extend(left.columns.iter().chain(&right.columns));
        }
        for (semi, _) in graph.semis.iter().zip(self.placed).filter(|(_, placed)| placed.table.is_none()) {
            needed.extend(semi.columns());
        }
        for class in &graph.classes {
            let open = class.iter().any(|id| tables & (1 << graph.columns[*id].0) == 0);
            let kept = class.iter().any(|id| have.contains(id) && needed.contains(id));
            if open
                && !kept
                && let Some(one) = class.iter().find(|id| have.contains(id))
            {
                needed.insert(*one);
            }
        }
        needed
    }

    fn semi(&self, part: Part, semi: &Semi, rows: f64) -> Result<Part> {
        // Hash the smaller side.
        let mine_first = part.rows <= rows;
        let mut on = Vec::with_capacity(semi.on.len());
        for (mine, theirs) in &semi.on {
            let mine = part.expr(mine)?;
            let theirs = Arc::clone(theirs);
            on.push(if mine_first { (mine, theirs) } else { (theirs, mine) });
        }
        let (my_side, their_side) =
            if mine_first { (JoinSide::Left, JoinSide::Right) } else { (JoinSide::Right, JoinSide::Left) };
        let mut filter = None;
        if let Some(of) = &semi.filter {
            let mut places = Vec::with_capacity(of.columns.len());
            for column in &of.columns {
                places.push(match column {
                    Ok(id) => match part.place(*id) {
                        Some(index) => ColumnIndex { index, side: my_side },
                        None => return internal_err!("column {id} is not in the join"),
                    },
                    Err(index) => ColumnIndex { index: *index, side: their_side },
                });
            }
            filter = Some(JoinFilter::new(Arc::clone(&of.expr), places, Arc::clone(&of.schema)));
        }
        let join_type = match (mine_first, semi.anti) {
            (true, false) => JoinType::LeftSemi,
            (true, true) => JoinType::LeftAnti,
            (false, false) => JoinType::RightSemi,
            (false, true) => JoinType::RightAnti,
        };
        let other = Arc::clone(&semi.other);
        let mode = if mine_first { self.mode(part.rows, rows) } else { self.mode(rows, part.rows) };
        let (left, right) = if mine_first { (part.plan, other) } else { (other, part.plan) };
        let join = HashJoinExec::try_new(
            left,
            right,
            on,
            filter,
            &join_type,
            None,
            mode,
            semi.null_equality,
            false,
        )?;
        Ok(Part { plan: Arc::new(join), ..part })
    }

    fn mode(&self, build: f64, probe: f64) -> PartitionMode {
        mode(build, probe, self.partitions)
    }
}

/// One table for all threads, or one for each and rows exchanged. Building one table is the work of one
/// thread; exchanging is the work of all, but for both sides, and every column.
pub(super) fn mode(build: f64, probe: f64, partitions: usize) -> PartitionMode {
    let spare = partitions.saturating_sub(2) as f64;
    match build * spare <= probe {
        true => PartitionMode::CollectLeft,
        false => PartitionMode::Partitioned,
    }
}

fn filtered(part: Part, condition: &Condition) -> Result<Part> {
    let columns = &condition.columns;
    if columns.iter().any(|id| part.place(*id).is_none()) {
        return internal_err!("columns of `{}` are not in the join", condition.expr);
    }
    let predicate = renumber(&condition.expr, |at| part.place(columns[at]).unwrap_or_default())?;
    let plan = Arc::new(FilterExec::try_new(predicate, Arc::clone(&part.plan))?);
    Ok(Part { plan, ..part })
}

/// An equality whose sides do not belong to the sides of a join.
fn equal(graph: &Graph, left: &Expr, right: &Expr) -> Result<Condition> {
    let columns: Vec<Id> = left.columns.iter().chain(&right.columns).copied().collect();
    let fields: Vec<Field> = columns
        .iter()
        .map(|id| {
            let (table, at) = graph.columns[*id];
            graph.tables[table].schema().field(at).clone()
        })
        .collect();
    let place = |id: Id| columns.iter().position(|column| *column == id).unwrap_or_default();
    let expr = BinaryExpr::new(renumber(&left.expr, place)?, Operator::Eq, renumber(&right.expr, place)?);
    Ok(Condition { expr: Arc::new(expr), schema: Arc::new(Schema::new(fields)), columns })
}

/// All conditions in one, over one small batch.
fn join_filter(conditions: &[Condition], build: &Part, probe: &Part) -> Result<JoinFilter> {
    let (mut fields, mut places, mut predicates) = (Vec::new(), Vec::new(), Vec::new());
    for condition in conditions {
        let first = fields.len();
        fields.extend(condition.schema.fields().iter().cloned());
        for id in &condition.columns {
            places.push(match (build.place(*id), probe.place(*id)) {
                (Some(index), _) => ColumnIndex { index, side: JoinSide::Left },
                (None, Some(index)) => ColumnIndex { index, side: JoinSide::Right },
                (None, None) => return internal_err!("column {id} is not in the join"),
            });
        }
        predicates.push(renumber(&condition.expr, |at| at + first)?);
    }
    Ok(JoinFilter::new(conjunction(predicates), places, Arc::new(Schema::new(fields))))
}
