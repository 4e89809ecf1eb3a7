//! Tasks that need each other: chain, tree, fan-out and fan-in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinHandle;
use trefoil::task;
use trefoil_core::{Arg, Call, Input, Ref, TaskSpec};

use super::{Cell, Peers, check};
use crate::Result;
use crate::arguments::Arguments;
use crate::measure::Case;
use crate::report::Report;

#[task]
fn inc(x: u64) -> u64 {
    x + 1
}

#[task]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// Runs the cases.
pub fn run(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    chain(peers).run(arguments, report)?;
    tree(peers).run(arguments, report)?;
    fan(peers).run(arguments, report)
}

/// A thousand tasks, each with the result of the one before it as its argument.
fn chain(peers: &Peers) -> Case<'_> {
    const DEPTH: u64 = 1000;
    fn step(left: u64, value: u64, result: Cell) {
        if left == 0 {
            let _ = result.set(value);
        } else {
            rayon::spawn(move || step(left - 1, value + 1, result));
        }
    }
    let Peers { engine, tokio, rayon, .. } = peers;
    Case::rate("task_chain_1000", DEPTH as usize, "tasks/s")
        .param("depth", DEPTH)
        .param("note", "rayon: each task spawns the next, so nothing waits")
        .peer("trefoil", move || {
            let mut value = engine.put(0u64)?;
            for _ in 0..DEPTH {
                value = engine.spawn(inc(value));
            }
            check(*value.get_value()?, DEPTH)
        })
        .peer("trefoil-map", move || {
            let mut value = engine.put(0u64)?;
            for _ in 0..DEPTH {
                value = engine.map([value], |x| x + 1).remove(0);
            }
            check(*value.get_value()?, DEPTH)
        })
        .peer("trefoil-graph", move || {
            let mut value = Call::value(0u64);
            for _ in 0..DEPTH {
                value = inc(value);
            }
            check(*engine.spawn(value).get_value()?, DEPTH)
        })
        .peer("trefoil-fused", move || {
            let mut value = Call::value(0u64);
            for _ in 0..DEPTH {
                value = inc(value);
            }
            check(*engine.spawn(value.fused()).get_value()?, DEPTH)
        })
        .peer("tokio", move || {
            let mut value = tokio.spawn(async { 0 });
            for _ in 0..DEPTH {
                let before = value;
                value = tokio.spawn(async move { before.await.unwrap_or(0) + 1 });
            }
            check(tokio.block_on(value)?, DEPTH)
        })
        .peer("rayon", move || {
            let cell = Cell::default();
            let result = Arc::clone(&cell);
            rayon.spawn(move || step(DEPTH, 0, result));
            check(*cell.wait(), DEPTH)
        })
}

/// 1,024 leaves, added two by two.
fn tree(peers: &Peers) -> Case<'_> {
    const LEAVES: u64 = 1024;
    const TOTAL: u64 = LEAVES * (LEAVES + 1) / 2;
    fn pairs<T>(mut level: Vec<T>, mut join: impl FnMut(T, T) -> T) -> Option<T> {
        while level.len() > 1 {
            let mut next = Vec::with_capacity(level.len() / 2);
            let mut items = level.into_iter();
            while let (Some(a), Some(b)) = (items.next(), items.next()) {
                next.push(join(a, b));
            }
            level = next;
        }
        level.pop()
    }
    fn halves(from: u64, to: u64) -> u64 {
        if to - from == 1 {
            return from + 1;
        }
        let middle = (from + to) / 2;
        let (a, b) = rayon::join(|| halves(from, middle), || halves(middle, to));
        a + b
    }
    let Peers { engine, tokio, rayon, .. } = peers;
    let empty = "a tree without leaves";
    Case::rate("task_tree_1024_binary", 2 * LEAVES as usize - 1, "tasks/s")
        .param("leaves", LEAVES)
        .param("fan_in", 2)
        .param("note", "rayon: join, without cells")
        .peer("trefoil", move || {
            let leaves: Vec<Ref<u64>> = (0..LEAVES).map(|i| engine.spawn(inc(i))).collect();
            let root = pairs(leaves, |a, b| engine.spawn(add(a, b))).ok_or(empty)?;
            check(*root.get_value()?, TOTAL)
        })
        .peer("trefoil-graph", move || {
            let root = pairs((0..LEAVES).map(inc).collect(), |a: Call<u64>, b| add(a, b)).ok_or(empty)?;
            check(*engine.spawn(root).get_value()?, TOTAL)
        })
        .peer("tokio", move || {
            let leaves: Vec<JoinHandle<u64>> =
                (0..LEAVES).map(|i| tokio.spawn(async move { i + 1 })).collect();
            let root =
                pairs(leaves, |a, b| tokio.spawn(async move { a.await.unwrap_or(0) + b.await.unwrap_or(0) }));
            check(tokio.block_on(root.ok_or(empty)?)?, TOTAL)
        })
        .peer("rayon", move || check(rayon.install(|| halves(0, LEAVES)), TOTAL))
}

/// One value read by a thousand tasks, whose results are the arguments of one.
fn fan(peers: &Peers) -> Case<'_> {
    const WIDTH: u64 = 1000;
    let Peers { engine, tokio, rayon, .. } = peers;
    Case::rate("task_fanout_fanin_1000", WIDTH as usize + 1, "tasks/s")
        .param("width", WIDTH)
        .param("note", "rayon: the last of a counter spawns the sum")
        .peer("trefoil", move || {
            let one = engine.put(1u64)?;
            let wide: Vec<Arg<u64>> = (0..WIDTH).map(|_| Arg::Ref(engine.spawn(inc(&one)))).collect();
            let total = Call::new(TaskSpec::new("sum_all"), wide, |values: Vec<Input<u64>>| {
                Ok(values.iter().map(|value| **value).sum::<u64>())
            });
            check(*engine.spawn(total).get_value()?, 2 * WIDTH)
        })
        .peer("tokio", move || {
            let one = Arc::new(1u64);
            let wide: Vec<JoinHandle<u64>> = (0..WIDTH)
                .map(|_| {
                    let one = Arc::clone(&one);
                    tokio.spawn(async move { *one + 1 })
                })
                .collect();
            let total = tokio.spawn(async move {
                let mut sum = 0;
                for value in wide {
                    sum += value.await.unwrap_or(0);
                }
                sum
            });
            check(tokio.block_on(total)?, 2 * WIDTH)
        })
        .peer("rayon", move || {
            let one = Arc::new(1u64);
            let total = Cell::default();
            let cells: Arc<Vec<Cell>> = Arc::new((0..WIDTH).map(|_| Cell::default()).collect());
            let left = Arc::new(AtomicUsize::new(WIDTH as usize));
            for at in 0..WIDTH as usize {
                let (one, total, cells, left) = (one.clone(), total.clone(), cells.clone(), left.clone());
                rayon.spawn(move || {
                    let _ = cells[at].set(*one + 1);
                    if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                        rayon::spawn(move || {
                            let _ = total.set(super::sum_cells(&cells));
                        });
                    }
                });
            }
            check(*total.wait(), 2 * WIDTH)
        })
}
