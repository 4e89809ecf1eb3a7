//! A tree reduction: leaves make numbers, inner calls add them up, and nothing runs before the whole tree is
//! composed. The tree is drawn as text, and its chains are fused.

use std::fmt;

use trefoil::prelude::*;

/// The whole numbers of one share.
#[task]
fn leaf(share: u64) -> Vec<u64> {
    (share * 1000..(share + 1) * 1000).collect()
}

/// What the tree gave.
pub struct Tree {
    pub sum: u64,
    /// Calls before and after fusing.
    pub calls: (usize, usize),
    /// The graph of the first four leaves.
    pub picture: String,
}

/// The sum of `calls` as a tree of additions.
fn reduce(mut calls: Vec<Call<u64>>) -> Call<u64> {
    while calls.len() > 1 {
        let last = (calls.len() % 2 == 1).then(|| calls.pop()).flatten();
        let mut pairs = calls.into_iter();
        let mut above = Vec::new();
        while let (Some(left), Some(right)) = (pairs.next(), pairs.next()) {
            above.push(left + right);
        }
        above.extend(last);
        calls = above;
    }
    calls.pop().unwrap_or_else(|| Call::value(0))
}

/// Adds up 1,000 numbers for each of `2^depth` leaves.
pub fn run(engine: &Engine, depth: u32) -> trefoil::Result<Tree> {
    let sums =
        |leaves: u64| (0..leaves).map(|share| leaf(share).map("sum", |numbers| numbers.iter().sum::<u64>()));
    let total = reduce(sums(1 << depth).collect());
    let before = total.graph().node_count();
    let fused = total.fused();
    let calls = (before, fused.graph().node_count());
    let sum = engine.block_on(engine.compute(fused))?;
    Ok(Tree { sum, calls, picture: reduce(sums(4).collect()).fused().graph().to_mermaid() })
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sum {}; {} calls, {} after chains were fused", self.sum, self.calls.0, self.calls.1)?;
        write!(f, "the first four leaves:\n{}", self.picture.trim_end())
    }
}
