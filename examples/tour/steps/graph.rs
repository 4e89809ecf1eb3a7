//! A delayed graph: calls composed from calls, drawn before they run.

use std::fmt;
use std::path::{Path, PathBuf};

use trefoil::prelude::*;

/// Three numbers from `i` on.
#[task]
pub fn get_data(i: i64) -> Vec<i64> {
    vec![i, i + 1, i + 2]
}

/// Their sum.
#[task]
pub fn sum(xs: &[i64]) -> i64 {
    xs.iter().sum()
}

/// The graph and its value.
pub struct Delayed {
    /// The value of the whole graph.
    pub total: i64,
    /// Tasks in the graph.
    pub tasks: usize,
    /// The graph as Mermaid text.
    pub mermaid: String,
    /// The graph as a picture.
    pub svg: PathBuf,
}

/// Composes `sum(get_data(7)) + sum(get_data(100))`, draws it, computes it.
pub async fn delayed(session: &Session, out: &Path) -> trefoil::Result<Delayed> {
    let total = sum(get_data(7)) + sum(get_data(100)); // a `Call<i64>`: nothing has run
    let graph = total.graph();
    let svg = out.join("total.svg");
    graph.save(&svg)?;
    Ok(Delayed {
        tasks: graph.node_count(),
        mermaid: graph.to_mermaid(),
        svg,
        total: session.compute(total).await?,
    })
}

impl fmt::Display for Delayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}drawn to {}", self.mermaid, self.svg.display())?;
        write!(f, "sum(get_data(7)) + sum(get_data(100)) = {}, in {} tasks", self.total, self.tasks)
    }
}
