//! Joins that several aggregates read.
//!
//! "Parts whose value is above a thousandth of all": the value of each part and that of all are two aggregates of the same
//! joins. They are not the same part of the plan, as the one reads the part's key and the other does not; so that
//! [`CommonPlans`](super::common) finds nothing. The joins run once here, with the columns that either reads, if their rows are
//! guessed to be few beside those of the tables, and if one of the aggregates has all the columns that others need: scans are not widened.

use super::common::{address, same};
use super::embed::Embedding;
use super::estimate::estimate;
use super::graph::Graph;
use super::once::Once;
use super::replace::with_children;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// Rows of the largest table for each row of the joins from which it is done.
const ROWS_A_ROW: f64 = 4.0;
/// Guessed rows from which they are not kept.
const MOST: f64 = 4_000_000.0;

/// An aggregate, and the joins below it.
struct Reader {
    plan: Plan,
    graph: Graph,
}

pub(super) fn joined_once(plan: Plan, partitions: usize, always: bool) -> Result<Plan> {
    let mut readers = readers(&plan)?;
    // Those that read many columns have those of the others.
    readers.sort_by_key(|reader| Reverse(reader.graph.columns.len()));
    let mut inputs: HashMap<*const (), Plan> = HashMap::new();
    for (at, one) in readers.iter().enumerate() {
        if inputs.contains_key(&address(&one.plan)) {
            continue;
        }
        let mut places = vec![(one, one.graph.outputs.clone())];
        for other in readers[at + 1..].iter().filter(|other| !inputs.contains_key(&address(&other.plan))) {
            if let Some(columns) = joins_alike(one, other) {
                places.push((other, columns));
            }
        }
        if places.len() == 1 {
            continue;
        }
        let mut graph = one.graph.clone();
        graph.outputs = places.iter().flat_map(|(_, columns)| columns).copied().collect();
        graph.outputs.sort_unstable();
        graph.outputs.dedup();
        let largest = graph.tables.iter().filter_map(estimate).map(|table| table.rows).fold(0.0, f64::max);
        let pays = |rows: f64| always || (rows <= MOST && rows * ROWS_A_ROW <= largest);
        let Some(once) = Once::of(&graph, partitions, pays)? else { continue };
        let mut projected = Vec::new();
        for (reader, columns) in &places {
            let Some(input) = reader.plan.children().first().map(|input| input.schema()) else { continue };
            projected.extend(once.projected(columns, &input)?.map(|rows| (address(&reader.plan), rows)));
        }
        if projected.len() == places.len() {
            inputs.extend(projected);
        }
    }
    if inputs.is_empty() {
        return Ok(plan);
    }
    plan.transform_down(|node| {
        Ok(match inputs.get(&address(&node)) {
            Some(input) => {
                let over = with_children(&node, vec![Arc::clone(input)])?;
                Transformed::new(over, true, TreeNodeRecursion::Jump)
            }
            None => Transformed::no(node),
        })
    })
    .data()
}

/// Aggregates over joins, outer ones first; none of a plan with a recursive query, which runs its parts again.
fn readers(plan: &Plan) -> Result<Vec<Reader>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        if node.is::<RecursiveQueryExec>() {
            found.clear();
            return Ok(TreeNodeRecursion::Stop);
        }
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>()
            && !matches!(aggregate.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned)
        {
            let graph = Graph::of_rows(aggregate.input())?;
            if graph.tables.len() > 1 && graph.semis.is_empty() && graph.equalities.is_empty() {
                found.push(Reader { plan: Arc::clone(node), graph });
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The columns of the one's joins that the other reads, if both have the same joins. Aggregates that are the same as a whole are
/// left to [`CommonPlans`](super::common), which keeps their groups.
fn joins_alike(one: &Reader, other: &Reader) -> Option<Vec<usize>> {
    if one.graph.tables.len() != other.graph.tables.len() || same(&one.plan, &other.plan) {
        return None;
    }
    let embedding =
        Embedding { theirs: &other.graph, graph: &one.graph, except: 0, keys: Vec::new(), equal: Vec::new() };
    embedding.outputs()
}
