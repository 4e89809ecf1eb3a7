//! Refs and tasks: results, blocking at depth, maps, waits, cancel.

use std::sync::mpsc;
use std::time::Duration;

use trefoil_core::{Arg, Call, Engine, ErrorKind, Ref, TaskSpec};

use crate::{Counter, engine};

#[test]
fn values_come_back_by_every_way() {
    let engine = engine(2);
    let r = engine.spawn_fn(|| vec![1, 2, 3]);
    assert_eq!(*r.get_value().unwrap(), [1, 2, 3]);
    assert_eq!(r.get().unwrap(), [1, 2, 3]);
    assert_eq!(engine.block_on(r.value()).unwrap().len(), 3);
    assert_eq!(engine.block_on(r).unwrap(), [1, 2, 3]);
}

#[test]
fn the_last_handle_gives_the_value_away() {
    let engine = engine(1);
    let r = engine.put(vec![7u8; 1000]).unwrap();
    let address = r.get_value().unwrap().as_ptr();
    let value = engine.block_on(r).unwrap();
    assert_eq!(value.as_ptr(), address, "the last handle moves the value out");
    assert_eq!(engine.budget().reserved(), 0);
}

#[test]
fn a_value_is_borrowed_in_place() {
    let engine = engine(2);
    let stored = engine.put(vec![1i64; 100]).unwrap();
    let address = stored.get_value().unwrap().as_ptr() as usize;
    let seen = engine.map([stored.clone()], |v| v.as_ptr() as usize).remove(0);
    assert_eq!(seen.get().unwrap(), address);
}

/// Every node blocks on two children: more waits than threads at any time.
fn fib(engine: &Engine, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (left, right) = (engine.clone(), engine.clone());
    let a = engine.spawn_fn(move || fib(&left, n - 1));
    let b = engine.spawn_fn(move || fib(&right, n - 2));
    a.get().unwrap() + b.get().unwrap()
}

#[test]
fn tasks_block_on_tasks_at_any_depth() {
    let engine = engine(2);
    let inner = engine.clone();
    assert_eq!(engine.spawn_fn(move || fib(&inner, 16)).get().unwrap(), 987);
}

fn descend(engine: &Engine, depth: u32) -> u32 {
    if depth == 0 {
        return 0;
    }
    let inner = engine.clone();
    engine.spawn_fn(move || descend(&inner, depth - 1)).get().unwrap() + 1
}

#[test]
fn a_thousand_nested_waits() {
    for workers in [1, 2] {
        let engine = engine(workers);
        let inner = engine.clone();
        assert_eq!(engine.spawn_fn(move || descend(&inner, 1000)).get().unwrap(), 1000);
    }
}

/// The waited-for task is not ready: its own dependency is still queued behind the waiter.
#[test]
fn a_wait_runs_what_the_awaited_task_needs() {
    let engine = engine(1);
    let inner = engine.clone();
    let outer = engine.spawn_fn(move || {
        let first = Call::new(TaskSpec::new("first"), (), |()| Ok(20));
        let second = Call::new(TaskSpec::new("second"), (Arg::Call(first),), |(x,)| Ok(*x + 1));
        inner.spawn(second).get().unwrap() * 2
    });
    assert_eq!(outer.get().unwrap(), 42);
}

#[test]
fn a_long_chain_of_dataflow_edges() {
    let engine = engine(2);
    let mut call = Call::value(0u64);
    for _ in 0..100_000 {
        call = Call::new(TaskSpec::new("inc"), (Arg::Call(call),), |(x,)| Ok(*x + 1));
    }
    assert_eq!(engine.block_on(engine.compute(call)).unwrap(), 100_000);
    // The same chain, never started: dropping it must not overflow the stack.
    let mut call = Call::value(0u64);
    for _ in 0..100_000 {
        call = Call::new(TaskSpec::new("inc"), (Arg::Call(call),), |(x,)| Ok(*x + 1));
    }
    drop(call);
}

#[test]
fn a_failed_head_fails_a_long_chain_with_its_own_error() {
    let engine = engine(2);
    let mut r = engine.try_spawn_fn(|| Err::<u64, _>("first of all"));
    let head = r.clone();
    for _ in 0..50_000 {
        r = engine.spawn(Call::new(TaskSpec::new("inc"), (Arg::Ref(r),), |(x,)| Ok(*x + 1)));
    }
    let error = r.get().unwrap_err();
    assert!(error.same_as(&head.get().unwrap_err()));
}

#[test]
fn wait_splits_done_from_pending() {
    let engine = engine(2);
    let (release, gate) = mpsc::channel::<()>();
    let slow = engine.spawn_fn(move || {
        gate.recv().unwrap();
        -1
    });
    let mut refs = vec![slow.clone()];
    refs.extend((0..4).map(|i| engine.spawn_fn(move || i)));
    let (done, rest) = engine.block_on(engine.wait(&refs, 4, None)).unwrap();
    assert_eq!(done.len(), 4);
    assert_eq!(rest.iter().map(Ref::id).collect::<Vec<_>>(), [slow.id()]);
    let (done, rest) = engine.block_on(engine.wait(&refs, 5, Some(Duration::from_millis(5)))).unwrap();
    assert_eq!((done.len(), rest.len()), (4, 1), "the time-out returns what there is");
    assert_eq!(slow.get_timeout(Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::TimedOut);
    release.send(()).unwrap();
    assert_eq!(slow.get().unwrap(), -1, "a time-out does not cancel");
    let error = engine.block_on(engine.wait(&refs, 6, None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn cancel_stops_what_has_not_started() {
    let engine = engine(1);
    let (release, gate) = mpsc::channel::<()>();
    let blocker = engine.spawn_fn(move || gate.recv().unwrap());
    let ran = Counter::default();
    let counter = ran.clone();
    let doomed = engine.spawn_fn(move || counter.add());
    let dependent = engine.map([doomed.clone()], |x| x + 1).remove(0);
    assert!(doomed.cancel());
    assert!(doomed.get().unwrap_err().is_cancelled());
    assert!(dependent.get().unwrap_err().is_cancelled());
    release.send(()).unwrap();
    blocker.get().unwrap();
    assert_eq!(engine.spawn_fn(|| 1).get().unwrap(), 1);
    assert_eq!(ran.get(), 0);
    assert!(!doomed.cancel(), "a finished ref cannot be cancelled");
}

#[test]
fn cancel_reaches_running_code() {
    let engine = engine(2);
    let (started, begin) = mpsc::channel();
    let spinning = engine.spawn_fn(move || {
        started.send(()).unwrap();
        while !trefoil_core::task_is_cancelled() {
            std::hint::spin_loop();
        }
        "saw it"
    });
    begin.recv().unwrap();
    assert!(spinning.cancel());
    assert_eq!(spinning.get().unwrap(), "saw it", "synchronous code decides how it ends");

    let waiting: Ref<()> = engine.spawn_async(std::future::pending());
    assert!(waiting.cancel());
    assert!(waiting.get().unwrap_err().is_cancelled());
}

#[test]
fn declared_cpus_bound_how_many_run_at_once() {
    let engine = engine(2);
    let (now, most) = (Counter::default(), Counter::default());
    let refs: Vec<Ref<()>> = (0..20)
        .map(|_| {
            let (now, most) = (now.clone(), most.clone());
            let call = Call::new(TaskSpec::new("heavy"), (), move |()| {
                let running = now.add();
                most.0.fetch_max(running, std::sync::atomic::Ordering::SeqCst);
                std::thread::yield_now();
                now.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                Ok(())
            });
            engine.spawn(call.cpus(2.0))
        })
        .collect();
    engine.block_on(engine.gather(refs)).unwrap();
    assert_eq!(most.get(), 1, "two cpus each on two workers: one at a time");

    let never = engine.spawn(Call::value(1).map("greedy", |x| *x).cpus(3.0)).get().unwrap_err();
    assert_eq!(never.kind(), ErrorKind::InvalidArgument);
    assert!(never.to_string().contains("3 cpus can never be granted"), "{never}");
}
