//! Graphs of a million nodes and more: a chain, a random graph and a stencil, given whole and through refs.
//!
//! A node adds up what its predecessors wrote, in the same array for all peers. Rayon's version is the bare
//! one: successors in one array, a counter a node; whoever brings a counter to zero runs the first such
//! node next and spawns the others into a scope.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use trefoil_core::{Arg, Call, Dag, Input, Ref, TaskSpec};

use super::{Peers, check};
use crate::arguments::Arguments;
use crate::measure::{Case, rounded};
use crate::report::{Report, Row};
use crate::{Error, Result};

/// Runs the cases.
pub fn run(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const MILLION: usize = 1_000_000;
    let cases: [(&str, Make); 3] =
        [("graph_chain_1m", chain), ("graph_random_1m", random), ("graph_stencil_1m", stencil)];
    for (name, make) in cases {
        if arguments.wants_case(name) {
            case(peers, name, &Shape::new(make(MILLION))?).run(arguments, report)?;
        }
    }
    large(peers, arguments, report)
}

type Make = fn(usize) -> Vec<[u32; 3]>;

/// No predecessor.
const NONE: u32 = u32::MAX;

fn chain(count: usize) -> Vec<[u32; 3]> {
    (0..count as u32).map(|node| [node.wrapping_sub(1), NONE, NONE]).collect()
}

/// Up to two predecessors, drawn from all earlier nodes.
fn random(count: usize) -> Vec<[u32; 3]> {
    (0..count as u64)
        .map(|node| {
            let draw = |step: u64| match node {
                0 => NONE,
                _ => (super::work(node.wrapping_mul(2).wrapping_add(step)) % node) as u32,
            };
            let (first, second) = (draw(0), draw(1));
            [first, if first == second { NONE } else { second }, NONE]
        })
        .collect()
}

/// A square, each node after its three neighbours to the left and above.
fn stencil(count: usize) -> Vec<[u32; 3]> {
    let side = (count as f64).sqrt() as u32;
    let at = |row: u32, column: u32| if row < side && column < side { row * side + column } else { NONE };
    (0..side * side)
        .map(|node| {
            let (row, column) = (node / side, node % side);
            let (above, left) = (row.wrapping_sub(1), column.wrapping_sub(1));
            [at(above, column), at(row, left), at(above, left)]
        })
        .collect()
}

/// A graph with the values of its nodes and what they have to be.
struct Shape {
    below: Vec<[u32; 3]>,
    begins: Vec<u32>,
    successors: Vec<u32>,
    needs: Vec<u32>,
    dag: Dag,
    expected: u64,
}

fn predecessors(below: &[u32; 3]) -> impl Iterator<Item = usize> + Clone {
    below.iter().filter(|node| **node != NONE).map(|node| *node as usize)
}

fn combine(node: usize, values: impl Iterator<Item = u64>) -> u64 {
    values.fold(node as u64, |sum, value| sum.rotate_left(1).wrapping_add(value))
}

impl Shape {
    fn new(below: Vec<[u32; 3]>) -> Result<Arc<Self>> {
        let count = below.len();
        let dag = {
            let edges = below
                .iter()
                .enumerate()
                .flat_map(|(node, below)| predecessors(below).map(move |before| (before, node)));
            Dag::new(count, edges)?
        };
        let needs: Vec<u32> = below.iter().map(|below| predecessors(below).count() as u32).collect();
        let mut begins = vec![0u32; count + 1];
        below.iter().flat_map(predecessors).for_each(|before| begins[before + 1] += 1);
        for node in 0..count {
            begins[node + 1] += begins[node];
        }
        let mut next = begins.clone();
        let mut successors = vec![0u32; begins[count] as usize];
        for (node, below) in below.iter().enumerate() {
            for before in predecessors(below) {
                successors[next[before] as usize] = node as u32;
                next[before] += 1;
            }
        }
        let mut values = vec![0u64; count];
        for node in 0..count {
            values[node] = combine(node, predecessors(&below[node]).map(|before| values[before]));
        }
        let expected = values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value));
        Ok(Arc::new(Self { below, begins, successors, needs, dag, expected }))
    }

    fn run_node(&self, values: &[AtomicU64], node: usize) {
        let below = predecessors(&self.below[node]).map(|before| values[before].load(Ordering::Relaxed));
        values[node].store(combine(node, below), Ordering::Relaxed);
    }

    fn values(&self) -> Arc<Vec<AtomicU64>> {
        Arc::new(self.below.iter().map(|_| AtomicU64::new(0)).collect())
    }

    fn verify(&self, values: &[AtomicU64]) -> Result<()> {
        check(
            values.iter().fold(0, |sum, value| sum.wrapping_add(value.load(Ordering::Relaxed))),
            self.expected,
        )
    }
}

/// One run with bare rayon.
struct Bare<'a> {
    shape: &'a Shape,
    left: Vec<AtomicU32>,
    values: &'a [AtomicU64],
}

impl<'a> Bare<'a> {
    fn run(&'a self, scope: &rayon::Scope<'a>, node: u32) {
        let mut next = Some(node);
        while let Some(node) = next.take() {
            self.shape.run_node(self.values, node as usize);
            let at = node as usize;
            let range = self.shape.begins[at] as usize..self.shape.begins[at + 1] as usize;
            for &successor in &self.shape.successors[range] {
                if self.left[successor as usize].fetch_sub(1, Ordering::AcqRel) == 1 {
                    if next.is_none() {
                        next = Some(successor);
                    } else {
                        scope.spawn(move |scope| self.run(scope, successor));
                    }
                }
            }
        }
    }
}

fn case<'a>(peers: &'a Peers, name: &str, shape: &Arc<Shape>) -> Case<'a> {
    let Peers { engine, rayon, .. } = peers;
    let count = shape.below.len();
    let (given, refs, bare) = (Arc::clone(shape), Arc::clone(shape), Arc::clone(shape));
    Case::rate(name, count, "nodes/s")
        .param("edges", shape.successors.len())
        .param("note", "trefoil: a Dag; trefoil-refs: a ref a node; rayon: counters, first ready run inline")
        .timed_peer("trefoil", move || {
            let values = given.values();
            let (own, work) = (Arc::clone(&given), Arc::clone(&values));
            let begin = Instant::now();
            engine
                .spawn_dag(&given.dag, move |node| {
                    own.run_node(&work, node);
                    Ok(())
                })
                .get_value()?;
            let time = begin.elapsed();
            given.verify(&values)?;
            Ok(time)
        })
        .timed_peer("trefoil-refs", move || {
            let begin = Instant::now();
            let mut nodes: Vec<Ref<u64>> = Vec::with_capacity(count);
            for (node, below) in refs.below.iter().enumerate() {
                let args: Vec<Arg<u64>> =
                    predecessors(below).map(|before| Arg::Ref(nodes[before].clone())).collect();
                let work = move |below: Vec<Input<u64>>| Ok(combine(node, below.iter().map(|value| **value)));
                nodes.push(engine.spawn(Call::new(TaskSpec::new("node"), args, work)));
            }
            let sum = super::sum_refs(&nodes)?;
            let time = begin.elapsed();
            check(sum, refs.expected)?;
            Ok(time)
        })
        .timed_peer("rayon", move || {
            let values = bare.values();
            let begin = Instant::now();
            let left = bare.needs.iter().map(|&needs| AtomicU32::new(needs)).collect();
            let run = Bare { shape: &bare, left, values: &values };
            rayon.scope(|scope| {
                for node in (0..count).filter(|&node| bare.needs[node] == 0) {
                    let run = &run;
                    scope.spawn(move |scope| run.run(scope, node as u32));
                }
            });
            let time = begin.elapsed();
            bare.verify(&values)?;
            Ok(time)
        })
}

/// Ten million nodes: time a node, and the growth of the process while it runs; Linux only.
fn large(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const NAME: &str = "graph_random_10m";
    const COUNT: usize = 10_000_000;
    if !arguments.wants_case(NAME) || !arguments.wants_peer("trefoil") {
        return Ok(());
    }
    let below = random(COUNT);
    let values: Arc<Vec<AtomicU64>> = Arc::new((0..COUNT).map(|_| AtomicU64::new(0)).collect());
    let before = peak_resident(true)?;
    let edges = below
        .iter()
        .enumerate()
        .flat_map(|(node, below)| predecessors(below).map(move |before| (before, node)));
    let dag = Dag::new(COUNT, edges)?;
    let below = Arc::new(below);
    let mut times = Vec::new();
    for _ in 0..arguments.repeat.unwrap_or(5) {
        let (own, work) = (Arc::clone(&below), Arc::clone(&values));
        let begin = Instant::now();
        let run = peers.engine.spawn_dag(&dag, move |node| {
            let sum = predecessors(&own[node]).map(|before| work[before].load(Ordering::Relaxed));
            work[node].store(combine(node, sum), Ordering::Relaxed);
            Ok(())
        });
        run.get_value()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    let grown = peak_resident(false)?.saturating_sub(before);
    let median = crate::measure::median(&times);
    let mut params = serde_json::Map::new();
    params.insert("n".into(), COUNT.into());
    params.insert("rounds".into(), times.len().into());
    params.insert("ns_per_op".into(), rounded(median * 1e9 / COUNT as f64).into());
    params.insert("bytes_per_node".into(), rounded(grown as f64 / COUNT as f64).into());
    report.case(vec![Row::new("trefoil", NAME, COUNT as f64 / median, "nodes/s", params)])
}

/// The resident set at its peak, in bytes; `now` starts the peak anew and gives what is resident.
fn peak_resident(now: bool) -> Result<usize> {
    let field = if now {
        std::fs::write("/proc/self/clear_refs", "5")?;
        "VmRSS:"
    } else {
        "VmHWM:"
    };
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.map(|kb| kb * 1024).ok_or_else(|| Error::from("the system does not tell what is resident"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert_eq!(chain(3), [[NONE; 3], [0, NONE, NONE], [1, NONE, NONE]]);
        assert_eq!(stencil(4), [[NONE; 3], [NONE, 0, NONE], [0, NONE, NONE], [1, 2, 0]]);
        let random = random(1000);
        assert!(
            random.iter().enumerate().all(|(node, below)| predecessors(below).all(|before| before < node))
        );
        for make in [chain, stencil, super::random] {
            let shape = Shape::new(make(100)).unwrap();
            assert_eq!(shape.dag.node_count(), 100);
            assert_eq!(shape.dag.edge_count(), shape.successors.len());
        }
    }
}
