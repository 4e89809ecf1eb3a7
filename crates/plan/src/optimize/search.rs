//! The cheapest tree of joins over a set of tables.
//!
//! Up to [`EXHAUSTIVE`] tables every bushy tree without cross products is considered, by dynamic programming
//! over subsets (Moerkotte and Neumann's DPsub); more are joined greedily, smallest result first. Costs count
//! rows: those hashed, those looked up, those put out.
//!
//! The size of a join is `|A| * |B| / d`, where `d` is the number of different keys: of a pair of columns the
//! smaller guess of either side, because the guess of a foreign key is only a bound and that of a primary key is
//! exact; of several pairs the product, but no more than the rows of the smaller table before filters.

use super::graph::{Graph, Tables};
use std::sync::Arc;

/// Three to the power of this many steps are taken.
const EXHAUSTIVE: usize = 9;

/// Tables joined, and how many rows that is guessed to give.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Table(usize),
    /// The side to hash, and the side to look up.
    Join(Arc<Node>, Arc<Node>),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) tree: Tree,
    pub(super) tables: Tables,
    pub(super) rows: f64,
    cost: f64,
}

/// What the search knows of tables and columns.
pub(super) struct Sizes {
    /// Rows of each table, after filters and before.
    pub(super) tables: Vec<(f64, f64)>,
    /// Different values of each column of the graph.
    pub(super) distinct: Vec<f64>,
}

/// None if the tables are not connected.
pub(super) fn search(graph: &Graph, sizes: &Sizes) -> Option<Arc<Node>> {
    let count = graph.tables.len();
    let tables: Vec<Arc<Node>> = (0..count)
        .map(|at| Node { tree: Tree::Table(at), tables: 1 << at, rows: sizes.tables[at].0, cost: 0.0 })
        .map(Arc::new)
        .collect();
    if count <= EXHAUSTIVE { exhaustive(graph, sizes, tables) } else { greedy(graph, sizes, tables) }
}

fn exhaustive(graph: &Graph, sizes: &Sizes, tables: Vec<Arc<Node>>) -> Option<Arc<Node>> {
    let all: Tables = (1 << tables.len()) - 1;
    let mut best: Vec<Option<Arc<Node>>> = vec![None; all as usize + 1];
    for node in tables {
        let at = node.tables as usize;
        best[at] = Some(node);
    }
    for set in 1..=all {
        if set.count_ones() < 2 {
            continue;
        }
        let mut part = (set - 1) & set;
        while part > 0 {
            let rest = set & !part;
            // Either half once.
            if part > rest
                && let (Some(a), Some(b)) = (&best[part as usize], &best[rest as usize])
                && let Some(joined) = join(graph, sizes, a, b)
                && best[set as usize].as_ref().is_none_or(|have| joined.cost < have.cost)
            {
                best[set as usize] = Some(Arc::new(joined));
            }
            part = (part - 1) & set;
        }
    }
    best.pop().flatten()
}

fn greedy(graph: &Graph, sizes: &Sizes, mut nodes: Vec<Arc<Node>>) -> Option<Arc<Node>> {
    while nodes.len() > 1 {
        let mut best: Option<(usize, usize, Node)> = None;
        for a in 0..nodes.len() {
            for b in a + 1..nodes.len() {
                if let Some(joined) = join(graph, sizes, &nodes[a], &nodes[b])
                    && best.as_ref().is_none_or(|(_, _, have)| joined.rows < have.rows)
                {
                    best = Some((a, b, joined));
                }
            }
        }
        let (a, b, joined) = best?;
        nodes.swap_remove(b);
        nodes.swap_remove(a);
        nodes.push(Arc::new(joined));
    }
    nodes.pop()
}

/// None if nothing equates the two sides.
fn join(graph: &Graph, sizes: &Sizes, a: &Arc<Node>, b: &Arc<Node>) -> Option<Node> {
    let mut keys = 1.0;
    let mut connected = false;
    // The tables of each side that hold its keys.
    let (mut left, mut right): (Tables, Tables) = (0, 0);
    for class in &graph.classes {
        let least = |tables: Tables| {
            let mine = class.iter().filter(|id| tables & (1 << graph.columns[**id].0) != 0);
            mine.min_by(|x, y| sizes.distinct[**x].total_cmp(&sizes.distinct[**y])).copied()
        };
        if let (Some(mine), Some(theirs)) = (least(a.tables), least(b.tables)) {
            connected = true;
            keys *= sizes.distinct[mine].min(sizes.distinct[theirs]);
            left |= 1 << graph.columns[mine].0;
            right |= 1 << graph.columns[theirs].0;
        }
    }
    for (mine, theirs) in &graph.equalities {
        let (mine, theirs) = (graph.tables_of(&mine.columns), graph.tables_of(&theirs.columns));
        let within = |x: Tables, y: Tables| x & !a.tables == 0 && y & !b.tables == 0;
        if within(mine, theirs) || within(theirs, mine) {
            connected = true;
            keys *= a.rows.min(b.rows).max(1.0);
        }
    }
    if !connected {
        return None;
    }
    for side in [left, right] {
        if side.count_ones() == 1 {
            keys = keys.min(sizes.tables[side.trailing_zeros() as usize].1);
        }
    }
    let rows = (a.rows * b.rows / keys.max(1.0)).max(1.0);
    let (build, probe) = if a.rows <= b.rows { (a, b) } else { (b, a) };
    let cost = a.cost + b.cost + 2.0 * build.rows + probe.rows + rows;
    Some(Node {
        tree: Tree::Join(Arc::clone(build), Arc::clone(probe)),
        tables: a.tables | b.tables,
        rows,
        cost,
    })
}
