//! The untyped picture of a graph of tasks: nodes with labels, edges, an order, cycles named.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// What a node of a [`TaskGraph`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// A task to run.
    Task,
    /// A value that is there or comes from outside.
    Data,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) kind: NodeKind,
}

/// Nodes and edges: what a call, an array or a frame draws.
///
/// # Examples
///
/// ```
/// use trefoil_core::{NodeKind, TaskGraph};
///
/// let mut graph = TaskGraph::new();
/// graph.add_node("a", "load", NodeKind::Task);
/// graph.add_node("b", "sum", NodeKind::Task);
/// graph.add_edge("a", "b");
/// assert_eq!(graph.topological_order()?, ["a", "b"]);
/// graph.add_edge("b", "a");
/// assert_eq!(graph.topological_order().unwrap_err().message(), "a depends on itself: a -> b -> a");
/// # Ok::<(), trefoil_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TaskGraph {
    nodes: Vec<Node>,
    index: HashMap<String, usize>,
    edges: Vec<(usize, usize)>,
}

impl TaskGraph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node, or relabels the one of this id.
    pub fn add_node(&mut self, id: impl Into<String>, label: impl Into<String>, kind: NodeKind) {
        let (id, label) = (id.into(), label.into());
        match self.index.get(&id) {
            Some(&at) => self.nodes[at] = Node { id, label, kind },
            None => {
                self.index.insert(id.clone(), self.nodes.len());
                self.nodes.push(Node { id, label, kind });
            }
        }
    }

    /// Adds an edge: `to` needs the result of `from`. Unknown ids become task nodes labelled by their id.
    pub fn add_edge(&mut self, from: impl AsRef<str>, to: impl AsRef<str>) {
        let (from, to) = (self.at(from.as_ref()), self.at(to.as_ref()));
        self.edges.push((from, to));
    }

    fn at(&mut self, id: &str) -> usize {
        if !self.index.contains_key(id) {
            self.add_node(id, id, NodeKind::Task);
        }
        self.index[id]
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many edges there are.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Labels of the nodes, in the order they were added.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.label.as_str())
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn edges(&self) -> &[(usize, usize)] {
        &self.edges
    }

    /// The ids in an order in which every node comes after those it needs (Kahn's algorithm, 1962).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cycle`] if a node depends on itself; the message names the cycle.
    pub fn topological_order(&self) -> Result<Vec<String>> {
        let mut needs = vec![0usize; self.nodes.len()];
        let mut above = vec![Vec::new(); self.nodes.len()];
        for &(from, to) in &self.edges {
            needs[to] += 1;
            above[from].push(to);
        }
        let mut ready: VecDeque<usize> = (0..needs.len()).filter(|&node| needs[node] == 0).collect();
        let mut order = Vec::with_capacity(needs.len());
        while let Some(node) = ready.pop_front() {
            order.push(self.nodes[node].id.clone());
            for &next in &above[node] {
                needs[next] -= 1;
                if needs[next] == 0 {
                    ready.push_back(next);
                }
            }
        }
        match needs.iter().position(|&count| count > 0) {
            None => Ok(order),
            Some(stuck) => Err(self.cycle_error(stuck, &needs)),
        }
    }

    /// Every stuck node needs a stuck node, so walking upwards from one must come round.
    fn cycle_error(&self, start: usize, needs: &[usize]) -> Error {
        let mut path = vec![start];
        let mut node = start;
        let cycle = loop {
            let next = self.edges.iter().find(|(from, to)| *to == node && needs[*from] > 0);
            let Some(&(from, _)) = next else { break path };
            if let Some(begin) = path.iter().position(|&seen| seen == from) {
                path.push(from);
                break path.split_off(begin);
            }
            path.push(from);
            node = from;
        };
        // Shown in the direction data flows, starting where it was added first.
        let mut ids: Vec<usize> = cycle.into_iter().rev().collect();
        ids.pop();
        let first = (0..ids.len()).min_by_key(|&at| ids[at]).unwrap_or(0);
        ids.rotate_left(first);
        ids.extend(ids.first().copied());
        let names: Vec<&str> = ids.iter().map(|&at| self.nodes[at].id.as_str()).collect();
        Error::new(
            ErrorKind::Cycle,
            "task graph",
            format!("{} depends on itself: {}", names.first().unwrap_or(&"?"), names.join(" -> ")),
        )
        .with_help("remove one of these dependencies")
    }

    /// Writes the graph to a file; the extension chooses the form: `.svg`, `.mmd` (Mermaid) or `.dot`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for another extension, [`ErrorKind::Io`] if the file cannot be
    /// written, and the errors of [`TaskGraph::to_svg`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => self.to_svg()?,
            Some("mmd") => self.to_mermaid(),
            Some("dot") => self.to_dot(),
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    "save graph",
                    format!("cannot tell the form from {}", path.display()),
                )
                .with_help("end the name in .svg, .mmd or .dot"));
            }
        };
        std::fs::write(path, text).map_err(|error| {
            Error::new(ErrorKind::Io, "save graph", format!("{}: {error}", path.display())).with_source(error)
        })
    }
}
