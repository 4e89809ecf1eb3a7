//! The rule that orders joins by estimated cost.
//!
//! Only inner joins move; semi- and anti-joins are done at a table if that is guessed to leave out at least half
//! of its rows, else last. Where a table has no statistics the plan stays as it is. What else joins gets its sides
//! from [`outer`].

use super::OptimizeOptions;
use super::build::{Builder, Placed};
use super::estimate::{Estimate, estimate};
use super::graph::{Graph, Semi, is_movable};
use super::joined::Found;
use super::outer;
use super::search::{Node, Sizes, search};
use super::twice::joined_once;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};
use std::sync::Arc;

/// A semi-join that keeps less of a table is done before the table is joined.
const EARLY: f64 = 0.5;

#[derive(Debug)]
pub(crate) struct JoinOrder;

impl PhysicalOptimizerRule for JoinOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = OptimizeOptions::of(config);
        if !options.join_order {
            return Ok(plan);
        }
        let partitions = config.execution.target_partitions;
        let orderer =
            Orderer { partitions, joined_groups: options.joined_groups, always: options.eager_rows == 0 };
        let plan = match options.joined_groups {
            true => joined_once(plan, partitions, orderer.always)?,
            false => plan,
        };
        let plan = orderer.reorder(plan)?;
        if !options.outer_sides {
            return Ok(plan);
        }
        let sided = |plan| {
            Ok(match outer::sided(&plan, partitions)? {
                Some(sided) => Transformed::yes(sided),
                None => Transformed::no(plan),
            })
        };
        plan.transform_up(sided).data()
    }

    fn name(&self) -> &str {
        "join_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// How joins are ordered.
struct Orderer {
    partitions: usize,
    /// Makes groups of rows that a join has anyway.
    joined_groups: bool,
    /// Whatever is guessed of sizes.
    always: bool,
}

impl Orderer {
    fn reorder(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if is_movable(&plan)
            && let Some(mut graph) = Graph::of(&plan)?
        {
            let found = if self.joined_groups { Found::of(&graph)? } else { None };
            // What joins below tables and other sides of semi-joins are ordered first.
            for table in &mut graph.tables {
                *table = self.reorder(Arc::clone(table))?;
            }
            for semi in &mut graph.semis {
                semi.other = self.reorder(Arc::clone(&semi.other))?;
            }
            if let Some(found) = found
                && let Some(joined) = found.joined(&graph, self.partitions, self.always)?
            {
                graph = joined;
            }
            if let Some((tree, placed)) = tree_of(&graph) {
                let builder = Builder::new(&graph, &placed, self.partitions);
                return builder.build(&tree, plan.schema().fields());
            }
        }
        let children: Vec<_> = plan.children().into_iter().cloned().collect();
        let children = children.into_iter().map(|child| self.reorder(child)).collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }
}

/// The tree of joins that is guessed to cost least, and where semi-joins go; none if sizes are unknown or tables not connected.
pub(super) fn tree_of(graph: &Graph) -> Option<(Arc<Node>, Vec<Placed>)> {
    let estimates = graph.tables.iter().map(estimate).collect::<Option<Vec<Estimate>>>()?;
    let distinct = |(table, at): &(usize, usize)| {
        // Columns may be left of a table that is none of the graph's any more.
        let table = estimates.get(*table)?;
        Some(table.columns.get(*at).map_or(table.base, |column| column.distinct))
    };
    let mut sizes = Sizes {
        tables: estimates.iter().map(|table| (table.rows, table.base)).collect(),
        distinct: graph.columns.iter().map(|column| distinct(column).unwrap_or(1.0)).collect(),
    };
    let mut placed = Vec::with_capacity(graph.semis.len());
    for semi in &graph.semis {
        placed.push(place(graph, semi, &estimate(&semi.other)?, &mut sizes));
    }
    search(graph, &sizes).map(|tree| (tree, placed))
}

fn place(graph: &Graph, semi: &Semi, other: &Estimate, sizes: &mut Sizes) -> Placed {
    let late = Placed { table: None, rows: other.rows };
    let tables = graph.tables_of(&semi.columns());
    if semi.anti || tables.count_ones() != 1 {
        return late;
    }
    let table = tables.trailing_zeros() as usize;
    let (rows, base) = sizes.tables[table];
    let keys = semi.on.iter().map(|(mine, _)| match mine.columns[..] {
        [one] => sizes.distinct[one],
        _ => base,
    });
    let kept = other.rows / keys.product::<f64>().min(base).max(1.0);
    if kept >= EARLY || other.rows >= rows {
        return late;
    }
    sizes.tables[table].0 = (rows * kept).max(1.0);
    Placed { table: Some(table), rows: other.rows }
}
