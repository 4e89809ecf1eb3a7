//! Whether one tree of joins is in another.
//!
//! Each table of the one is one of the other's: the same scan under the same filters, or the same plan; what it equates and asks
//! is equated and asked there, and nothing else of those tables. Whatever else the other joins hangs on given columns, the
//! keys. Then the other has for each key that it keeps all rows of the one, each equally often.

use super::common::{rows_alike, same, scanned};
use super::graph::{Condition, Graph, Id, Tables, renumber};
use super::grouped::place;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// One tree of joins that is looked for in another.
pub(super) struct Embedding<'a> {
    pub(super) theirs: &'a Graph,
    pub(super) graph: &'a Graph,
    /// Tables of `graph` that are not looked at.
    pub(super) except: Tables,
    /// Columns of `theirs` on which other tables of `graph` may hang.
    pub(super) keys: Vec<Id>,
    /// Of some keys, by their place, columns of `graph` of which one must be equal to it.
    pub(super) equal: Vec<(usize, Vec<Id>)>,
}

impl Embedding<'_> {
    /// The column of the graph for each output of `theirs`; none if it is not in there. Of semi-joins of the graph nothing is
    /// known here.
    pub(super) fn outputs(&self) -> Option<Vec<Id>> {
        let theirs = self.theirs;
        let count = self.graph.tables.len() - self.except.count_ones() as usize;
        if !theirs.semis.is_empty() || !theirs.equalities.is_empty() || count < theirs.tables.len() {
            return None;
        }
        let columns = self.placed(&mut Vec::new())?;
        theirs.outputs.iter().map(|id| columns[*id]).collect()
    }

    /// Tries the tables of the groups in each place among those of the graph; gives the column of the graph for each of theirs.
    fn placed(&self, tables: &mut Vec<usize>) -> Option<Vec<Option<Id>>> {
        let Some(plan) = self.theirs.tables.get(tables.len()) else {
            return self.is_fit(tables);
        };
        for (table, mine) in self.graph.tables.iter().enumerate() {
            let free = self.except & (1 << table) == 0 && !tables.contains(&table);
            if free && rows_of(plan).zip(rows_of(mine)).is_some_and(|(one, other)| one.is_like(&other)) {
                tables.push(table);
                if let Some(columns) = self.placed(tables) {
                    return Some(columns);
                }
                tables.pop();
            }
        }
        None
    }

    fn is_fit(&self, tables: &[usize]) -> Option<Vec<Option<Id>>> {
        let (theirs, graph) = (self.theirs, self.graph);
        let columns = theirs.columns.iter().map(|(table, at)| {
            let (one, other) = (rows_of(&theirs.tables[*table])?, rows_of(&graph.tables[tables[*table]])?);
            let at = other.columns.iter().position(|column| *column == one.columns[*at])?;
            graph.columns.iter().position(|column| *column == (tables[*table], at))
        });
        let columns: Vec<Option<Id>> = columns.collect();
        let to = |id: &Id| columns[*id];
        let back = |id: Id| columns.iter().position(|column| *column == Some(id));
        let class_of = |graph: &Graph, id: Id| graph.classes.iter().position(|class| class.contains(&id));
        let same_class = |of: &Graph, a: Id, b: Id| {
            a == b || class_of(of, a).is_some_and(|at| of.classes[at].contains(&b))
        };
        let covered: Tables = tables.iter().fold(0, |all, table| all | 1 << table);
        let is_theirs = |id: &Id| covered & (1 << graph.columns[*id].0) != 0;
        let is_groups = |id: &Id| self.except & (1 << graph.columns[*id].0) != 0;
        let is_key =
            |id: Id| back(id).is_some_and(|id| self.keys.iter().any(|key| same_class(theirs, *key, id)));

        // Each key is asked for by a column that is equal to it.
        let asked = self.keys.iter().enumerate().all(|(group, id)| {
            let mine = to(id);
            self.equal
                .iter()
                .filter(|(key, _)| *key == group)
                .flat_map(|(_, ids)| ids)
                .any(|id| mine.is_some_and(|mine| same_class(graph, mine, *id)))
        });
        // What they equate is equal here, and nothing else is; other tables hang on keys.
        let equated = theirs.classes.iter().all(|class| {
            let ids: Option<Vec<Id>> = class.iter().map(to).collect();
            ids.is_some_and(|ids| ids.iter().all(|id| same_class(graph, ids[0], *id)))
        });
        let no_more = graph.classes.iter().all(|class| {
            let (mine, others): (Vec<Id>, Vec<Id>) =
                class.iter().copied().filter(|id| !is_groups(id)).partition(is_theirs);
            let one = mine.first().copied().and_then(back);
            let together = mine.len() < 2
                || mine.iter().all(|id| one.zip(back(*id)).is_some_and(|(a, b)| same_class(theirs, a, b)));
            together && (mine.is_empty() || others.is_empty() || mine.iter().all(|id| is_key(*id)))
        });
        let apart = !graph.equalities.iter().any(|(left, right)| {
            let mut ids = left.columns.iter().chain(&right.columns);
            let groups = left.columns.iter().chain(&right.columns).any(is_groups);
            !groups && ids.any(is_theirs)
        });
        let mut open: Vec<&Condition> = theirs.conditions.iter().collect();
        let conditions =
            graph.conditions.iter().filter(|one| !one.columns.iter().any(is_groups)).all(|mine| {
                let is_it = |other: &&Condition| {
                    let ids: Option<Vec<Id>> = other.columns.iter().map(to).collect();
                    ids.as_ref() == Some(&mine.columns) && other.expr.eq(&mine.expr)
                };
                if let Some(at) = open.iter().position(is_it) {
                    open.swap_remove(at);
                    return true;
                }
                !mine.columns.is_empty()
                    && mine.columns.iter().filter(|id| is_theirs(id)).all(|id| is_key(*id))
            });
        let fits = asked && equated && no_more && apart && conditions && open.is_empty();
        fits.then_some(columns)
    }
}

/// The rows of a table: a scan with filters, or any plan.
struct Rows<'a> {
    plan: &'a Plan,
    /// Conditions over the columns of the file or stored table.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// For each column, which it is there.
    columns: Vec<usize>,
}

fn rows_of(plan: &Plan) -> Option<Rows<'_>> {
    if let Some(filter) = plan.downcast_ref::<FilterExec>().filter(|filter| filter.fetch().is_none())
        && let Some(mut rows) = rows_of(filter.input()).filter(|rows| rows.plan.is::<DataSourceExec>())
    {
        for part in split_conjunction(filter.predicate()) {
            // Names differ with the columns that are read.
            rows.filters.push(renumber(part, |at| rows.columns[at]).ok()?);
        }
        if let Some(projection) = filter.projection() {
            rows.columns = projection.iter().map(|at| rows.columns[*at]).collect();
        }
        return Some(rows);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>()
        && let Some(columns) =
            projection.expr().iter().map(|item| place(&item.expr)).collect::<Option<Vec<_>>>()
        && let Some(mut rows) = rows_of(projection.input()).filter(|rows| rows.plan.is::<DataSourceExec>())
    {
        rows.columns = columns.into_iter().map(|at| rows.columns[at]).collect();
        return Some(rows);
    }
    let columns = match plan.downcast_ref::<DataSourceExec>() {
        Some(scan) => scanned(scan)?,
        None => (0..plan.schema().fields().len()).collect(),
    };
    Some(Rows { plan, filters: Vec::new(), columns })
}

impl Rows<'_> {
    fn is_like(&self, other: &Self) -> bool {
        let within = |a: &Self, b: &Self| a.filters.iter().all(|filter| b.filters.contains(filter));
        let scans =
            self.plan.downcast_ref::<DataSourceExec>().zip(other.plan.downcast_ref::<DataSourceExec>());
        let alike = match scans {
            Some((one, other)) => rows_alike(one, other),
            None => same(self.plan, other.plan),
        };
        alike && within(self, other) && within(other, self)
    }
}
