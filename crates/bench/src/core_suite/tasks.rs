//! Independent tasks: floods from outside and inside, one at a time, nested, failing.

use std::sync::Arc;
use std::time::Instant;

use trefoil::placement::{Bundle, Nodes, PlacementGroup, Strategy};
use trefoil::task;
use trefoil_core::{Engine, Ref};

use super::{Cell, Peers, check, sum_cells, sum_refs, work, work_sum};
use crate::Result;
use crate::arguments::Arguments;
use crate::measure::Case;
use crate::report::Report;

#[task]
fn work_task(seed: u64) -> u64 {
    work(seed)
}

#[task]
fn bytes_of(values: &[f64]) -> usize {
    size_of_val(values)
}

/// Runs the cases.
pub fn run(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    one_at_a_time(peers, arguments, report)?;
    for (name, count) in
        [("tasks_async_1k", 1_000), ("tasks_async_10k", 10_000), ("tasks_async_1m", 1_000_000)]
    {
        flood(peers, name, count).run(arguments, report)?;
    }
    submission(peers).run(arguments, report)?;
    inside(peers).run(arguments, report)?;
    nested(peers).run(arguments, report)?;
    recursive(peers).run(arguments, report)?;
    streamed(peers).run(arguments, report)?;
    gangs(peers)?.run(arguments, report)?;
    shared_argument(peers)?.run(arguments, report)
}

fn spawn_all(engine: &Engine, count: u64) -> Vec<Ref<u64>> {
    (0..count).map(|seed| engine.spawn_fn(move || work(seed))).collect()
}

fn tokio_all(tokio: &tokio::runtime::Handle, count: u64) -> Vec<tokio::task::JoinHandle<u64>> {
    (0..count).map(|seed| tokio.spawn(async move { work(seed) })).collect()
}

async fn sum_handles(handles: Vec<tokio::task::JoinHandle<u64>>) -> Result<u64> {
    let mut sum = 0u64;
    for handle in handles {
        sum = sum.wrapping_add(handle.await?);
    }
    Ok(sum)
}

fn rayon_all(count: u64, spawn: impl Fn(Box<dyn FnOnce() + Send>)) -> Vec<Cell> {
    (0..count)
        .map(|seed| {
            let cell = Cell::default();
            let result = Arc::clone(&cell);
            spawn(Box::new(move || {
                let _ = result.set(work(seed));
            }));
            cell
        })
        .collect()
}

fn one_at_a_time(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    let Peers { engine, tokio, rayon, .. } = peers;
    let expected = work(7);
    Case::latency("task_sync", 1000)
        .peer("trefoil", || check(*engine.spawn_fn(|| work(7)).get_value()?, expected))
        .peer("trefoil-task", || check(*engine.spawn(work_task(7)).get_value()?, expected))
        .peer("tokio", || check(tokio.block_on(tokio.spawn(async { work(7) }))?, expected))
        .peer("rayon", || {
            let cell = Cell::default();
            let result = Arc::clone(&cell);
            rayon.spawn(move || {
                let _ = result.set(work(7));
            });
            check(*cell.wait(), expected)
        })
        .run(arguments, report)?;

    let failed = || Err::<u64, _>(std::io::Error::other("x"));
    Case::latency("task_error_sync", 300)
        .peer("trefoil", || {
            let error = engine.try_spawn_fn(failed).get().err();
            check(error.is_some_and(|e| e.downcast_ref::<std::io::Error>().is_some()).into(), 1)
        })
        .peer("tokio", || {
            let result = tokio.block_on(tokio.spawn(async move { failed() }))?;
            check(result.is_err().into(), 1)
        })
        .run(arguments, report)
}

/// Spawned from outside, then all results read.
fn flood<'a>(peers: &'a Peers, name: &str, count: u64) -> Case<'a> {
    let Peers { engine, recording, tokio, rayon, .. } = peers;
    let expected = work_sum(count);
    Case::rate(name, count as usize, "tasks/s")
        .peer("trefoil", move || check(sum_refs(&spawn_all(engine, count))?, expected))
        .peer("trefoil-events", move || check(sum_refs(&spawn_all(recording, count))?, expected))
        .peer("trefoil-task", move || {
            let refs: Vec<Ref<u64>> = (0..count).map(|seed| engine.spawn(work_task(seed))).collect();
            check(sum_refs(&refs)?, expected)
        })
        .peer("tokio", move || {
            check(tokio.block_on(sum_handles(tokio_all(tokio.handle(), count)))?, expected)
        })
        .peer("rayon", move || check(sum_cells(&rayon_flood(rayon, count)), expected))
}

/// As [`rayon_all`] without the box that stands for the closure there.
fn rayon_flood(rayon: &rayon::ThreadPool, count: u64) -> Vec<Cell> {
    (0..count)
        .map(|seed| {
            let cell = Cell::default();
            let result = Arc::clone(&cell);
            rayon.spawn(move || {
                let _ = result.set(work(seed));
            });
            cell
        })
        .collect()
}

/// The time of the caller's part alone.
fn submission(peers: &Peers) -> Case<'_> {
    const COUNT: u64 = 10_000;
    let Peers { engine, tokio, rayon, .. } = peers;
    let expected = work_sum(COUNT);
    Case::rate("tasks_submit_10k", COUNT as usize, "tasks/s")
        .param("note", "submission only")
        .timed_peer("trefoil", move || {
            let begin = Instant::now();
            let refs = spawn_all(engine, COUNT);
            let time = begin.elapsed();
            check(sum_refs(&refs)?, expected)?;
            Ok(time)
        })
        .timed_peer("tokio", move || {
            let begin = Instant::now();
            let handles = tokio_all(tokio.handle(), COUNT);
            let time = begin.elapsed();
            check(tokio.block_on(sum_handles(handles))?, expected)?;
            Ok(time)
        })
        .timed_peer("rayon", move || {
            let begin = Instant::now();
            let cells = rayon_flood(rayon, COUNT);
            let time = begin.elapsed();
            check(sum_cells(&cells), expected)?;
            Ok(time)
        })
}

/// One task spawns the others and hands their handles out; the caller reads all results.
fn inside(peers: &Peers) -> Case<'_> {
    const COUNT: u64 = 100_000;
    let Peers { engine, tokio, rayon, .. } = peers;
    let expected = work_sum(COUNT);
    Case::rate("tasks_inside_100k", COUNT as usize, "tasks/s")
        .peer("trefoil", move || {
            let own = engine.clone();
            let refs = engine.spawn_fn(move || spawn_all(&own, COUNT));
            check(sum_refs(&refs.get_value()?)?, expected)
        })
        .peer("tokio", move || {
            let handle = tokio.handle().clone();
            let sum =
                async { sum_handles(tokio.spawn(async move { tokio_all(&handle, COUNT) }).await?).await };
            check(tokio.block_on(sum)?, expected)
        })
        .peer("rayon", move || {
            let cells: Arc<std::sync::OnceLock<Vec<Cell>>> = Arc::default();
            let result = Arc::clone(&cells);
            rayon.spawn(move || {
                let all = (0..COUNT).map(|seed| {
                    let cell = Cell::default();
                    let own = Arc::clone(&cell);
                    rayon::spawn(move || {
                        let _ = own.set(work(seed));
                    });
                    cell
                });
                let _ = result.set(all.collect());
            });
            check(sum_cells(cells.wait()), expected)
        })
}

/// Four tasks that each spawn 250 and wait for them inside.
fn nested(peers: &Peers) -> Case<'_> {
    const INNER: u64 = 250;
    let Peers { engine, tokio, rayon, .. } = peers;
    let expected = work_sum(INNER).wrapping_mul(4);
    Case::rate("task_nested_4x250", 1004, "tasks/s")
        .peer("trefoil", move || {
            let refs: Vec<Ref<u64>> = (0..4)
                .map(|_| {
                    let own = engine.clone();
                    let wait = move || sum_refs(&spawn_all(&own, INNER));
                    engine.try_spawn_fn(wait)
                })
                .collect();
            check(sum_refs(&refs)?, expected)
        })
        .peer("tokio", move || {
            let outer = || {
                let handle = tokio.handle().clone();
                tokio.spawn(async move { sum_handles(tokio_all(&handle, INNER)).await.unwrap_or(0) })
            };
            check(tokio.block_on(sum_handles((0..4).map(|_| outer()).collect()))?, expected)
        })
        .peer("rayon", move || {
            let cells: Vec<Cell> = (0..4)
                .map(|_| {
                    let cell = Cell::default();
                    let result = Arc::clone(&cell);
                    rayon.spawn(move || {
                        let inner = rayon::scope(|scope| rayon_all(INNER, |job| scope.spawn(move |_| job())));
                        let _ = result.set(sum_cells(&inner));
                    });
                    cell
                })
                .collect();
            check(sum_cells(&cells), expected)
        })
}

/// Fibonacci of 10 in 177 tasks that wait for their children.
fn recursive(peers: &Peers) -> Case<'_> {
    const N: u64 = 10;
    const RESULT: u64 = 55;
    fn own(engine: &Engine, n: u64) -> Result<u64> {
        if n < 2 {
            return Ok(n);
        }
        let child = |n| {
            let engine = engine.clone();
            engine.clone().try_spawn_fn(move || own(&engine, n))
        };
        sum_refs(&[child(n - 1), child(n - 2)])
    }
    fn with_tokio(n: u64) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            if n < 2 {
                return n;
            }
            let (a, b) = (tokio::spawn(with_tokio(n - 1)), tokio::spawn(with_tokio(n - 2)));
            a.await.unwrap_or(0) + b.await.unwrap_or(0)
        })
    }
    fn with_join(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = rayon::join(|| with_join(n - 1), || with_join(n - 2));
        a + b
    }
    let Peers { engine, tokio, rayon, .. } = peers;
    Case::rate("task_recursive_fib_10", 177, "tasks/s")
        .param("note", "rayon: join, without cells")
        .peer("trefoil", move || {
            let root = engine.clone();
            check(*engine.try_spawn_fn(move || own(&root, N)).get_value()?, RESULT)
        })
        .peer("tokio", move || check(tokio.block_on(tokio.spawn(with_tokio(N)))?, RESULT))
        .peer("rayon", move || check(rayon.install(|| with_join(N)), RESULT))
}

#[task(stream)]
fn numbers(count: u64) -> impl Iterator<Item = u64> {
    0..count
}

/// A task that gives a thousand items, each with a ref of its own; tokio: a bounded channel, without refs.
fn streamed(peers: &Peers) -> Case<'_> {
    const COUNT: u64 = 1000;
    const TOTAL: u64 = COUNT * (COUNT - 1) / 2;
    const AHEAD: usize = 64;
    let Peers { engine, tokio, .. } = peers;
    Case::rate("stream_generator_1000", COUNT as usize, "items/s")
        .param("look_ahead", AHEAD)
        .param("note", "tokio: a bounded channel of plain numbers")
        .peer("trefoil", move || {
            let mut sum = 0;
            for item in engine.spawn_stream(numbers(COUNT).look_ahead(AHEAD)) {
                sum += *item.get_value()?;
            }
            check(sum, TOTAL)
        })
        .peer("tokio", move || {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(AHEAD);
            tokio.spawn(async move {
                for number in 0..COUNT {
                    if sender.send(number).await.is_err() {
                        break;
                    }
                }
            });
            let mut sum = 0;
            while let Some(number) = receiver.blocking_recv() {
                sum += number;
            }
            check(sum, TOTAL)
        })
}

/// Placement groups of one bundle, made, waited for, removed.
fn gangs(peers: &Peers) -> Result<Case<'_>> {
    const COUNT: usize = 20;
    let nodes = Nodes::of(&peers.engine)?;
    Ok(Case::rate("placement_group_create_remove", COUNT, "pgs/s").peer("trefoil", move || {
        let gangs = (0..COUNT)
            .map(|_| nodes.reserve(Strategy::Pack, [Bundle::cpus(0.001)]))
            .collect::<Result<Vec<_>, _>>()?;
        for gang in &gangs {
            peers.engine.block_on(gang.ready())?;
        }
        gangs.iter().for_each(PlacementGroup::remove);
        check(gangs.len() as u64, COUNT as u64)
    }))
}

/// A thousand tasks borrow one stored vector of 10 MB.
fn shared_argument(peers: &Peers) -> Result<Case<'_>> {
    const COUNT: u64 = 1000;
    const BYTES: u64 = 10_000_000;
    let Peers { engine, tokio, .. } = peers;
    let values = vec![1.0f64; BYTES as usize / 8];
    let shared = Arc::new(values.clone());
    let stored = engine.put(values)?;
    Ok(Case::rate("task_10MB_arg_1000", COUNT as usize, "tasks/s")
        .param("arg_mb", 10)
        .peer("trefoil", move || {
            let refs: Vec<Ref<usize>> = (0..COUNT).map(|_| engine.spawn(bytes_of(&stored))).collect();
            let mut sum = 0;
            for reference in refs {
                sum += *reference.get_value()? as u64;
            }
            check(sum, COUNT * BYTES)
        })
        .peer("tokio", move || {
            let task = || {
                let shared = Arc::clone(&shared);
                tokio.spawn(async move { size_of_val(&shared[..]) as u64 })
            };
            check(tokio.block_on(sum_handles((0..COUNT).map(|_| task()).collect()))?, COUNT * BYTES)
        }))
}
