//! Stored objects: put, get, wait.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use trefoil_core::Ref;

use super::{Peers, check, work};
use crate::Result;
use crate::arguments::Arguments;
use crate::measure::Case;
use crate::report::Report;

/// Runs the cases.
pub fn run(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    small(peers, arguments, report)?;
    large(peers, arguments, report)?;
    wait(peers, arguments, report)
}

fn small(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const MANY: u64 = 1000;
    let engine = &peers.engine;
    Case::latency("put_small", 2000)
        .peer("trefoil", || {
            drop(black_box(engine.put(black_box(0u64))?));
            Ok(())
        })
        .peer("arc", || {
            drop(black_box(Arc::new(black_box(0u64))));
            Ok(())
        })
        .run(arguments, report)?;
    let (stored, plain) = (engine.put(7u64)?, Arc::new(7u64));
    Case::latency("get_small", 5000)
        .peer("trefoil", || check(black_box(&stored).get()?, 7))
        .peer("arc", || check(*black_box(&plain).clone(), 7))
        .run(arguments, report)?;
    Case::rate("put_multi_1000", MANY as usize, "puts/s")
        .peer("trefoil", || {
            let refs = (0..MANY).map(|i| engine.put(i)).collect::<Result<Vec<Ref<u64>>, _>>()?;
            check(refs.len() as u64, MANY)
        })
        .peer("arc", || check(black_box((0..MANY).map(Arc::new).collect::<Vec<_>>()).len() as u64, MANY))
        .run(arguments, report)
}

/// 100 MB borrowed from the store, and read.
fn large(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants_case("get_100MB_zero_copy") && !arguments.wants_case("get_100MB_and_sum") {
        return Ok(());
    }
    let values = vec![1.0f64; 12_500_000];
    let plain = Arc::new(values.clone());
    let stored = peers.engine.put(values)?;
    Case::latency("get_100MB_zero_copy", 500)
        .param("mb", 100)
        .peer("trefoil", || check(black_box(&stored).get_value()?.len() as u64, 12_500_000))
        .peer("arc", || check(black_box(&plain).len() as u64, 12_500_000))
        .run(arguments, report)?;
    let sum = |values: &[f64]| check(values.iter().sum::<f64>() as u64, 12_500_000);
    Case::rate("get_100MB_and_sum", 1, "GB/s")
        .amount(0.1)
        .param("mb", 100)
        .peer("trefoil", || sum(&black_box(&stored).get_value()?))
        .peer("arc", || sum(black_box(&plain)))
        .run(arguments, report)
}

/// Waiting for any of a thousand, until none is left; and for all of them.
fn wait(peers: &Peers, arguments: &Arguments, report: &mut Report) -> Result<()> {
    const MANY: u64 = 1000;
    let Peers { engine, tokio, .. } = peers;
    let spawn = || (0..MANY).map(|seed| engine.spawn_fn(move || work(seed))).collect::<Vec<Ref<u64>>>();
    let spawn_tokio =
        || (0..MANY).map(|seed| tokio.spawn(async move { work(seed) })).collect::<FuturesUnordered<_>>();
    Case::rate("wait_1k_refs", MANY as usize, "refs/s")
        .param("note", "wait for 1 until all 1000 are done; tokio: FuturesUnordered")
        .peer("trefoil", || {
            let mut rest = spawn();
            let mut done = VecDeque::new();
            while !rest.is_empty() {
                let (ready, left) = engine.block_on(engine.wait(&rest, 1, None))?;
                done.extend(ready);
                rest = left;
            }
            check(done.len() as u64, MANY)
        })
        .peer("trefoil-take", || {
            let mut rest = spawn();
            let mut done = 0;
            while !rest.is_empty() {
                done += engine.block_on(engine.take_done(&mut rest, 1, None))?.len() as u64;
            }
            check(done, MANY)
        })
        .peer("trefoil-completed", || {
            let done = engine.block_on(engine.as_completed(spawn()).count());
            check(done as u64, MANY)
        })
        .peer("tokio", || {
            let mut rest = spawn_tokio();
            let mut done = 0;
            while let Some(value) = tokio.block_on(rest.next()) {
                value?;
                done += 1;
            }
            check(done, MANY)
        })
        .run(arguments, report)?;
    Case::rate("wait_all_1k", MANY as usize, "refs/s")
        .peer("trefoil", || {
            let (ready, _) = engine.block_on(engine.wait(&spawn(), MANY as usize, None))?;
            check(ready.len() as u64, MANY)
        })
        .peer("tokio", || check(tokio.block_on(spawn_tokio().collect::<Vec<_>>()).len() as u64, MANY))
        .run(arguments, report)
}
