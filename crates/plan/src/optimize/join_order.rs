//! The rule that orders joins by estimated cost.
//!
//! Only inner joins move; semi- and anti-joins are done at a table if that is guessed to leave out at least half
//! of its rows, else last. Where a table has no statistics the plan stays as it is. What else joins gets its sides
//! from [`outer`].

use super::OptimizeOptions;
use super::build::{Builder, Placed};
use super::estimate::{Estimate, estimate};
use super::graph::{Graph, Semi, is_movable};
use super::outer;
use super::search::{Sizes, search};
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
        let plan = reorder(plan, partitions)?;
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

fn reorder(plan: Arc<dyn ExecutionPlan>, partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    if is_movable(&plan)
        && let Some(mut graph) = Graph::of(&plan)?
    {
        // What joins below tables and other sides of semi-joins are ordered first.
        for table in &mut graph.tables {
            *table = reorder(Arc::clone(table), partitions)?;
        }
        for semi in &mut graph.semis {
            semi.other = reorder(Arc::clone(&semi.other), partitions)?;
        }
        if let Some(ordered) = ordered(&graph, &plan, partitions)? {
            return Ok(ordered);
        }
    }
    let children: Vec<_> = plan.children().into_iter().cloned().collect();
    let children =
        children.into_iter().map(|child| reorder(child, partitions)).collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(plan, children)
}

fn ordered(
    graph: &Graph,
    original: &Arc<dyn ExecutionPlan>,
    partitions: usize,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(estimates) = graph.tables.iter().map(estimate).collect::<Option<Vec<Estimate>>>() else {
        return Ok(None);
    };
    let mut sizes = Sizes {
        tables: estimates.iter().map(|table| (table.rows, table.base)).collect(),
        distinct: graph
            .columns
            .iter()
            .map(|(table, at)| {
                estimates[*table].columns.get(*at).map_or(estimates[*table].base, |column| column.distinct)
            })
            .collect(),
    };
    let mut placed = Vec::with_capacity(graph.semis.len());
    for semi in &graph.semis {
        let Some(other) = estimate(&semi.other) else { return Ok(None) };
        placed.push(place(graph, semi, &other, &mut sizes));
    }
    let Some(tree) = search(graph, &sizes) else { return Ok(None) };
    Builder::new(graph, &placed, partitions).build(&tree, original).map(Some)
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
