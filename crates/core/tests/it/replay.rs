//! Engines without threads: the same seed runs the same order, whatever the program does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use trefoil_core::{Arg, Backoff, Call, Dag, Engine, Error, ErrorKind, Input, Ref, TaskSpec};

type Log = Arc<Mutex<Vec<String>>>;

fn engine(seed: u64) -> Engine {
    Engine::builder().workers(2).memory("64MiB").deterministic(seed).build().unwrap()
}

/// A program with everything that a schedule decides about.
fn program(engine: &Engine) -> Vec<String> {
    let log = Log::default();
    let note = |text: String| log.lock().unwrap().push(text);
    let noting = |text: String| {
        let log = Arc::clone(&log);
        move || log.lock().unwrap().push(text.clone())
    };
    let plain = engine.spawn_fns((0..10).map(|i| noting(format!("plain {i}"))));
    let needs = engine.map(plain.iter().cloned(), {
        let log = Arc::clone(&log);
        move |()| log.lock().unwrap().push("after".to_owned())
    });
    let cpus: Vec<Ref<()>> = (0..6)
        .map(|i| {
            let note = noting(format!("cpus {i}"));
            let spec = TaskSpec::new("cpus").cpus(1.5).priority(i % 3);
            engine.spawn(Call::new(spec, (), move |()| Ok(note())))
        })
        .collect();
    let steps: Vec<Ref<()>> = (0..3)
        .map(|i| {
            let log = Arc::clone(&log);
            engine.spawn_async(async move {
                for step in 0..3 {
                    log.lock().unwrap().push(format!("async {i} {step}"));
                    tokio::task::yield_now().await;
                }
                Ok(())
            })
        })
        .collect();
    let nested = {
        let (own, log) = (engine.clone(), Arc::clone(&log));
        engine.spawn_fn(move || {
            let refs = own.spawn_fns((0..4).map(|i| {
                let log = Arc::clone(&log);
                move || log.lock().unwrap().push(format!("inner {i}"))
            }));
            refs.iter().rev().for_each(|inner| inner.get().unwrap());
        })
    };
    let flaky = {
        let log = Arc::clone(&log);
        let spec = TaskSpec::new("flaky").retries(2).backoff(Backoff::new(Duration::from_secs(3600)));
        engine.spawn(Call::new(spec, (), move |()| -> trefoil_core::Result<()> {
            log.lock().unwrap().push("flaky".to_owned());
            Err(Error::user("no"))
        }))
    };
    let graph = {
        let log = Arc::clone(&log);
        engine.spawn_dag(&Dag::new(40, (1..40).map(|i| (i / 2, i))).unwrap(), move |node| {
            log.lock().unwrap().push(format!("node {node}"));
            Ok(())
        })
    };
    for all in [plain, needs, cpus, steps] {
        engine.block_on(engine.gather(all)).unwrap();
        note("waited".to_owned());
    }
    nested.get().unwrap();
    graph.get().unwrap();
    assert_eq!(flaky.get().unwrap_err().task().unwrap().attempt, 3);
    let log = log.lock().unwrap().clone();
    assert_eq!(log.len(), 10 + 10 + 6 + 9 + 4 + 3 + 40 + 4);
    log
}

#[test]
fn the_same_seed_runs_the_same_order() {
    let orders: Vec<Vec<String>> = (0..6).map(|seed| program(&engine(seed))).collect();
    for (seed, order) in orders.iter().enumerate() {
        assert_eq!(*order, program(&engine(seed as u64)), "seed {seed}");
    }
    let distinct: std::collections::BTreeSet<_> = orders.iter().collect();
    assert_eq!(distinct.len(), orders.len(), "each seed tries another order");
}

#[test]
fn deadlines_pass_when_nothing_else_is_left() {
    let engine = engine(1);
    let hour = Duration::from_secs(3600);
    let late = Call::new_async(TaskSpec::new("late").deadline(hour), (), |()| {
        std::future::pending::<trefoil_core::Result<()>>()
    });
    assert_eq!(engine.spawn(late).get().unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    // What was queued when the engine goes fails, as elsewhere.
    let queued = engine.spawn_fn(|| 1);
    engine.shutdown();
    assert_eq!(queued.get().unwrap_err().kind(), ErrorKind::ShutDown);
}

#[test]
fn others_may_complete_what_is_waited_for() {
    let engine = engine(1);
    let (promise, value) = Ref::<u32>::promise("from outside");
    let doubled = engine.map([value], |x| x * 2).remove(0);
    let helper = std::thread::spawn(move || promise.fulfil(Ok(21)));
    assert_eq!(doubled.get().unwrap(), 42);
    helper.join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Random graphs of calls in a random order give what they always give.
    #[test]
    fn no_order_changes_the_outcome(
        below in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..40),
        seed in any::<u64>(),
    ) {
        let engine = engine(seed);
        let mut calls: Vec<Call<u64>> = Vec::new();
        let mut model: Vec<u64> = Vec::new();
        for (i, below) in below.iter().enumerate() {
            let below: Vec<usize> = below.iter().filter(|_| i > 0).map(|index| index.index(i)).collect();
            model.push(below.iter().fold(i as u64, |sum, &b| sum.wrapping_mul(3).wrapping_add(model[b])));
            let args: Vec<Arg<u64>> = below.iter().map(|&b| Arg::Call(calls[b].clone())).collect();
            calls.push(Call::new(TaskSpec::new("node"), args, move |inputs: Vec<Input<u64>>| {
                Ok(inputs.iter().fold(i as u64, |sum, x| sum.wrapping_mul(3).wrapping_add(**x)))
            }));
        }
        let found = engine.block_on(engine.gather(engine.spawn_all(calls))).unwrap();
        prop_assert_eq!(found, model);
    }
}
