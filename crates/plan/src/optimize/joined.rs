//! Groups of rows that a join has found anyway.
//!
//! "Orders of some parts that are below a fifth of the part's average": the average is a join with groups of all orders, which
//! are read twice. Where the groups' tables are among the tables of the join, under the same conditions, and whatever else
//! is joined hangs on nothing but the groups' keys, the join has for each key that matters all of the groups' rows, each
//! equally often. So the groups are made of the rest of the join (C. Zuzarte et al., "WinMagic", 2003):
//!
//! ```text
//!   join on part                        join on part
//!     join on part ┬ some parts           rows ─ join on part ┬ some parts
//!                  └ orders                                   └ orders
//!     groups by part ─ orders             groups by part ─ the same rows
//! ```
//!
//! Only for functions that do not see how often each row comes, unless nothing else is joined; and only where the rows are guessed to be
//! few, because they are kept for both places.

use super::embed::Embedding;
use super::estimate::estimate;
use super::graph::{Condition, Expr, Graph, Id, Semi, SemiFilter, Tables, renumber};
use super::grouped::{Asked, place, regrouped};
use super::once::Once;
use crate::known::{self, Trait};
use datafusion::common::{NullEquality, Result, internal_err};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// Rows of the groups for each row of the join from which it is done.
const ROWS_A_ROW: f64 = 4.0;

/// Groups among what a graph joins, whose rows the rest of it has.
pub(super) struct Found {
    place: Place,
    /// For each column that the groups are made of, the same column in the graph.
    columns: Vec<Id>,
}

#[derive(Clone, Copy)]
enum Place {
    /// The other side of the only semi-join.
    Semi,
    Table(usize),
}

impl Found {
    pub(super) fn of(graph: &Graph) -> Result<Option<Self>> {
        if let [semi] = &graph.semis[..] {
            if semi.null_equality != NullEquality::NullEqualsNothing {
                return Ok(None);
            }
            let asked = semi.on.iter().map(|(_, theirs)| place(theirs)).collect();
            let of =
                |at: usize| semi.on.get(at).and_then(|(mine, _)| place(&mine.expr)).into_iter().collect();
            return groups_of(graph, &semi.other, &asked, of, Place::Semi);
        }
        if !graph.semis.is_empty() {
            return Ok(None);
        }
        for (table, plan) in graph.tables.iter().enumerate() {
            let mine = |id: &Id| graph.columns[*id].0 == table;
            let classes = || graph.classes.iter().filter(|class| class.iter().any(mine));
            let asked =
                classes().map(|class| class.iter().find(|id| mine(id)).map(|id| graph.columns[*id].1));
            let of = |at: usize| {
                let others = classes().nth(at).into_iter().flatten().copied();
                others.filter(|id| !mine(id)).collect()
            };
            if let Some(found) = groups_of(graph, plan, &asked.collect(), of, Place::Table(table))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The graph of two tables, the rest of `graph` and the groups of that; none if it does not pay.
    pub(super) fn joined(&self, graph: &Graph, partitions: usize, always: bool) -> Result<Option<Graph>> {
        let (except, groups) = match (self.place, &graph.semis[..]) {
            (Place::Table(table), _) => (Some(table), &graph.tables[table]),
            (Place::Semi, [semi]) => (None, &semi.other),
            (Place::Semi, _) => return Ok(None),
        };
        let rest = self.rest(graph, except);
        let read = RefCell::new(None);
        let input = |aggregate: &AggregateExec, _: &Asked| {
            read.replace(estimate(aggregate.input()).map(|input| input.rows));
            Ok(None)
        };
        regrouped(groups, &Vec::new(), &input)?;
        let read = read.into_inner();
        let pays = |rows: f64| always || read.is_some_and(|read| rows * ROWS_A_ROW <= read);
        let Some(once) = Once::of(&rest, partitions, pays)? else { return Ok(None) };
        let over =
            |aggregate: &AggregateExec, _: &Asked| once.projected(&self.columns, &aggregate.input().schema());
        let Some(groups) = regrouped(groups, &Vec::new(), &over)? else { return Ok(None) };
        Ok(Some(above(graph, except, once.columns(), once.rows(), groups)?))
    }

    /// The graph without the groups; its columns keep their numbers.
    fn rest(&self, graph: &Graph, except: Option<usize>) -> Graph {
        let groups = except.map_or(0, |table| 1 << table);
        // Tables behind the one that is left out move up.
        let moved = |table: usize| match except {
            Some(gone) if table == gone => usize::MAX,
            Some(gone) if table > gone => table - 1,
            _ => table,
        };
        let kept = |columns: &[Id]| graph.tables_of(columns) & groups == 0;
        let mut rest = Graph {
            tables: graph.tables.clone(),
            columns: graph.columns.iter().map(|(table, at)| (moved(*table), *at)).collect(),
            ..Graph::default()
        };
        if let Some(table) = except {
            rest.tables.remove(table);
        }
        let mut read: BTreeSet<Id> = self.columns.iter().chain(&graph.outputs).copied().collect();
        for class in &graph.classes {
            let mine: Vec<Id> = class.iter().copied().filter(|id| kept(&[*id])).collect();
            if mine.len() < class.len() {
                read.extend(mine.first());
            }
            if mine.len() > 1 {
                rest.classes.push(mine);
            }
        }
        for condition in &graph.conditions {
            match kept(&condition.columns) {
                true => rest.conditions.push(condition.clone()),
                false => read.extend(&condition.columns),
            }
        }
        for pair in &graph.equalities {
            match kept(&pair.0.columns) && kept(&pair.1.columns) {
                true => rest.equalities.push(pair.clone()),
                false => read.extend(pair.0.columns.iter().chain(&pair.1.columns)),
            }
        }
        read.extend(graph.semis.iter().flat_map(Semi::columns));
        rest.outputs = read.into_iter().filter(|id| kept(&[*id])).collect();
        rest
    }
}

/// The graph of what is left of `graph` when all but the groups is a table of these columns.
fn above(graph: &Graph, except: Option<usize>, columns: &[Id], rows: Plan, groups: Plan) -> Result<Graph> {
    let mut above = Graph { tables: vec![rows], ..Graph::default() };
    above.columns.extend((0..columns.len()).map(|at| (0, at)));
    let is_of_groups = |id: Id| except == Some(graph.columns[id].0);
    // Columns of the groups stand behind the others.
    let at = |id: Id| match is_of_groups(id) {
        true => Some(columns.len() + graph.columns[id].1),
        false => columns.iter().position(|one| *one == id),
    };
    let all = |ids: &[Id]| match ids.iter().map(|id| at(*id)).collect::<Option<Vec<Id>>>() {
        Some(all) => Ok(all),
        None => internal_err!("columns {ids:?} are not in the join"),
    };
    let moved = |expr: &Expr| -> Result<Expr> {
        Ok(Expr {
            columns: all(&expr.columns)?,
            expr: renumber(&expr.expr, |id| at(id).unwrap_or_default())?,
        })
    };
    above.outputs = all(&graph.outputs)?;
    if except.is_none() {
        for semi in &graph.semis {
            let on = semi.on.iter().map(|(mine, theirs)| Ok((moved(mine)?, Arc::clone(theirs))));
            let filter = semi.filter.as_ref().map(|filter| -> Result<SemiFilter> {
                let columns = filter.columns.iter().map(|column| match column {
                    Ok(id) => all(&[*id]).map(|ids| Ok(ids[0])),
                    Err(at) => Ok(Err(*at)),
                });
                Ok(SemiFilter {
                    expr: Arc::clone(&filter.expr),
                    schema: Arc::clone(&filter.schema),
                    columns: columns.collect::<Result<_>>()?,
                })
            });
            above.semis.push(Semi {
                other: Arc::clone(&groups),
                on: on.collect::<Result<_>>()?,
                filter: filter.transpose()?,
                anti: semi.anti,
                null_equality: semi.null_equality,
            });
        }
        return Ok(above);
    }
    above.columns.extend((0..groups.schema().fields().len()).map(|at| (1, at)));
    above.tables.push(groups);
    for class in graph.classes.iter().filter(|class| class.iter().any(|id| is_of_groups(*id))) {
        above.classes.push(class.iter().filter_map(|id| at(*id)).collect());
    }
    let reads_groups = |ids: &[Id]| ids.iter().any(|id| is_of_groups(*id));
    for condition in graph.conditions.iter().filter(|condition| reads_groups(&condition.columns)) {
        above.conditions.push(Condition { columns: all(&condition.columns)?, ..condition.clone() });
    }
    for (left, right) in &graph.equalities {
        if reads_groups(&left.columns) || reads_groups(&right.columns) {
            above.equalities.push((moved(left)?, moved(right)?));
        }
    }
    Ok(above)
}

/// Whether `plan` is groups of rows that the graph has: `asked` are its columns that are compared, each with the columns
/// of the graph that `of` gives.
fn groups_of(
    graph: &Graph,
    plan: &Plan,
    asked: &Asked,
    of: impl Fn(usize) -> Vec<Id>,
    place: Place,
) -> Result<Option<Found>> {
    let found = RefCell::new(None);
    regrouped(plan, asked, &|aggregate, keys| {
        let equal = keys.iter().enumerate().filter_map(|(at, key)| Some(((*key)?, of(at)))).collect();
        found.replace(rows_of(graph, place, aggregate, equal)?);
        Ok(None)
    })?;
    Ok(found.into_inner().map(|columns| Found { place, columns }))
}

/// The columns of the graph that the aggregate reads. `equal` are keys of it, each with columns of the graph that it is
/// compared with.
fn rows_of(
    graph: &Graph,
    at: Place,
    aggregate: &AggregateExec,
    equal: Vec<(usize, Vec<Id>)>,
) -> Result<Option<Vec<Id>>> {
    let groups = aggregate.group_expr().expr();
    let keys: Option<Vec<usize>> = groups.iter().map(|(expr, _)| place(expr)).collect();
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return Ok(None) };
    let theirs = Graph::of_rows(aggregate.input())?;
    let except: Tables = match at {
        Place::Semi => 0,
        Place::Table(table) => 1 << table,
    };
    // Whoever counts sees that a row comes twice, if something else is joined.
    let more = graph.tables.len() - except.count_ones() as usize > theirs.tables.len();
    if more && counts(aggregate) {
        return Ok(None);
    }
    let keys = keys.iter().map(|key| theirs.outputs[*key]).collect();
    Ok(Embedding { theirs: &theirs, graph, except, keys, equal }.outputs())
}

/// Whether a function sees that all rows of a group come twice. Means of them do not, but for digits that sums of floating-point
/// numbers lose.
fn counts(aggregate: &AggregateExec) -> bool {
    aggregate
        .aggr_expr()
        .iter()
        .any(|function| !known::is(function.fun().name(), Trait::Twice) && !function.is_distinct())
}
