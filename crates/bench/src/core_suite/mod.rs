//! Suite `core`: what a task, a graph, an actor's answer and an object cost.
//!
//! Cases that exist in Ray's micro-benchmark carry its names. Peers run in this process, with as many
//! threads and the same allocator, and take turns with trefoil round by round:
//!
//! | peer | is |
//! |---|---|
//! | `trefoil` | the way a user writes it: closures and `#[task]`s through `Ref`s |
//! | `trefoil-events` | the same on an engine that records events |
//! | `tokio` | `spawn` on a multi-thread runtime, results through `JoinHandle`s |
//! | `rayon` | `spawn` on a pool, results through a cell (`Arc<OnceLock>`) each; `join` where the work is a tree |
//! | `kameo` | actors of the crate of that name, with an unbounded mailbox |
//! | `mpsc` | an actor by hand: a loop on an unbounded `mpsc`, answers through `oneshot` |
//! | `arc` | a plain `Arc`: the floor of put and get |
//!
//! Every round checks its result, so that no peer can win by not working.

mod actors;
mod graphs;
mod objects;
mod shapes;
mod tasks;

use std::hint::black_box;
use std::sync::{Arc, OnceLock};

use trefoil_core::{Engine, Ref};

use crate::arguments::Arguments;
use crate::measure;
use crate::report::Report;
use crate::{Error, Result};

/// The engine and the peers' threads.
struct Peers {
    engine: Engine,
    /// Another that records events.
    recording: Engine,
    tokio: tokio::runtime::Runtime,
    rayon: rayon::ThreadPool,
    /// As many threads as trefoil's control runtime, where its actors live.
    actors: tokio::runtime::Runtime,
}

/// Runs the suite.
pub fn run(arguments: &Arguments) -> Result<()> {
    let runtime = |threads| tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build();
    let peers = Peers {
        engine: Engine::builder().workers(arguments.workers).build()?,
        recording: Engine::builder().workers(arguments.workers).events(4096).build()?,
        tokio: runtime(arguments.workers)?,
        rayon: rayon::ThreadPoolBuilder::new().num_threads(arguments.workers).build()?,
        actors: runtime(2)?,
    };
    let mut report = Report::new(arguments.json.as_deref())?;
    tasks::run(&peers, arguments, &mut report)?;
    graphs::run(&peers, arguments, &mut report)?;
    shapes::run(&peers, arguments, &mut report)?;
    first_task(arguments, &mut report)?;
    actors::run(&peers, arguments, &mut report)?;
    objects::run(&peers, arguments, &mut report)
}

/// From nothing to the first result of an engine's first task, engine dropped again.
fn first_task(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let workers = arguments.workers;
    let expected = work(7);
    measure::Case::latency("engine_first_task", 20)
        .peer("trefoil", move || {
            let engine = Engine::builder().workers(workers).build()?;
            check(*engine.spawn_fn(|| work(7)).get_value()?, expected)
        })
        .peer("tokio", move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build()?;
            check(runtime.block_on(runtime.spawn(async { work(7) }))?, expected)
        })
        .run(arguments, report)
}

/// The work of a tiny task: a few nanoseconds.
fn work(seed: u64) -> u64 {
    let mut value = black_box(seed);
    for _ in 0..4 {
        value = value.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) ^ seed;
    }
    value
}

/// The sum of the work of `0..count`.
fn work_sum(count: u64) -> u64 {
    (0..count).map(work).fold(0, u64::wrapping_add)
}

/// The sum of the values of refs, waited for one after another.
fn sum_refs(refs: &[Ref<u64>]) -> Result<u64> {
    let mut sum = 0u64;
    for reference in refs {
        sum = sum.wrapping_add(*reference.get_value()?);
    }
    Ok(sum)
}

/// A result of a rayon task.
type Cell = Arc<OnceLock<u64>>;

/// The sum of cells, waited for one after another.
fn sum_cells(cells: &[Cell]) -> u64 {
    cells.iter().fold(0, |sum, cell| sum.wrapping_add(*cell.wait()))
}

/// An error unless the peer computed what was asked.
fn check(found: u64, expected: u64) -> Result<()> {
    if found == expected { Ok(()) } else { Err(wrong(found, expected)) }
}

fn wrong(found: u64, expected: u64) -> Error {
    format!("the result is {found}, not {expected}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One case of each kind, once: that peers agree is checked inside the rounds.
    #[test]
    fn a_case_of_each_kind_runs() {
        let texts = ["core", "--repeat", "1", "--workers", "2", "--case", "task_sync,tree,fan,_64,put_small"];
        let arguments = Arguments::parse(texts.map(str::to_owned)).unwrap();
        run(&arguments).unwrap();
    }
}
