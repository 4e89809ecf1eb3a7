//! Drawing task graphs: Mermaid and DOT text, and SVG laid out by dagre.

use std::fmt::Write;

use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, layout};

use super::task_graph::{NodeKind, TaskGraph};
use crate::error::{Error, ErrorKind, Result};

/// Layout time grows faster than the square of the nodes; above this a picture is no help anyway.
const MAX_DRAWN: usize = 300;

const CHAR_WIDTH: f64 = 7.5;
const NODE_HEIGHT: f64 = 30.0;

impl TaskGraph {
    /// The graph as Mermaid text, which many Markdown viewers draw.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart BT\n");
        for (at, node) in self.nodes().iter().enumerate() {
            let label = node.label.replace('"', "#quot;");
            let _ = match node.kind {
                NodeKind::Task => writeln!(text, "    n{at}([\"{label}\"])"),
                NodeKind::Data => writeln!(text, "    n{at}[\"{label}\"]"),
            };
        }
        for (from, to) in self.edges() {
            let _ = writeln!(text, "    n{from} --> n{to}");
        }
        text
    }

    /// The graph as DOT text for Graphviz.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph tasks {\n    rankdir=BT;\n");
        for (at, node) in self.nodes().iter().enumerate() {
            let label = node.label.replace('\\', "\\\\").replace('"', "\\\"");
            let shape = match node.kind {
                NodeKind::Task => "ellipse",
                NodeKind::Data => "box",
            };
            let _ = writeln!(text, "    n{at} [label=\"{label}\", shape={shape}];");
        }
        for (from, to) in self.edges() {
            let _ = writeln!(text, "    n{from} -> n{to};");
        }
        text.push_str("}\n");
        text
    }

    /// The graph as an SVG picture, arguments below the tasks that take them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for more than 300 nodes (use [`TaskGraph::to_dot`]),
    /// [`ErrorKind::Cycle`] for a graph that depends on itself.
    pub fn to_svg(&self) -> Result<String> {
        if self.node_count() > MAX_DRAWN {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "draw graph",
                format!("{} nodes are more than {MAX_DRAWN}", self.node_count()),
            )
            .with_help("draw a part of it, or write .dot or .mmd text"));
        }
        self.topological_order()?;
        let mut graph: Graph<NodeLabel, EdgeLabel> =
            Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: false });
        for (at, node) in self.nodes().iter().enumerate() {
            let mut label = NodeLabel::default();
            label.width = node.label.chars().count() as f64 * CHAR_WIDTH + 24.0;
            label.height = NODE_HEIGHT;
            graph.set_node(at.to_string(), Some(label));
        }
        // Upside down for the layout, so that the result is on top.
        let mut edges = self.edges().to_vec();
        edges.sort_unstable();
        edges.dedup();
        for (from, to) in &edges {
            graph.set_edge(to.to_string(), from.to_string(), Some(EdgeLabel::default()), None);
        }
        layout(&mut graph, Some(LayoutOptions::default()));

        let place = |at: usize| {
            let node = graph.node(&at.to_string());
            node.map_or((0.0, 0.0, 0.0), |n| (n.x.unwrap_or(0.0), n.y.unwrap_or(0.0), n.width))
        };
        let (mut width, mut height) = (0.0f64, 0.0f64);
        for at in 0..self.node_count() {
            let (x, y, w) = place(at);
            width = width.max(x + w / 2.0);
            height = height.max(y + NODE_HEIGHT / 2.0);
        }
        let mut svg = String::new();
        let _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-10 -10 {:.0} {:.0}\" \
             font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">",
            width + 20.0,
            height + 20.0
        );
        svg.push_str(
            "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
             markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n",
        );
        for (from, to) in &edges {
            let ((x1, y1, _), (x2, y2, _)) = (place(*from), place(*to));
            let _ = writeln!(
                svg,
                "<line x1=\"{x1:.1}\" y1=\"{:.1}\" x2=\"{x2:.1}\" y2=\"{:.1}\" stroke=\"#555\" \
                 marker-end=\"url(#arrow)\"/>",
                y1 - NODE_HEIGHT / 2.0,
                y2 + NODE_HEIGHT / 2.0
            );
        }
        for (at, node) in self.nodes().iter().enumerate() {
            let (x, y, w) = place(at);
            let (radius, fill) = match node.kind {
                NodeKind::Task => (15, "#dff0d8"),
                NodeKind::Data => (0, "#eeeeee"),
            };
            let label = node.label.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{NODE_HEIGHT}\" rx=\"{radius}\" \
                 fill=\"{fill}\" stroke=\"#555\"/><text x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
                x - w / 2.0,
                y - NODE_HEIGHT / 2.0,
                y + 4.5
            );
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}
