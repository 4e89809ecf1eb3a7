//! Call graphs: sharing, reuse, order, retries; random graphs against sequential evaluation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use trefoil_core::{Arg, Call, Error, ErrorKind, Input, Ref, TaskSpec};

use crate::{Counter, engine};

#[test]
fn shared_calls_run_once_per_spawn_and_can_be_spawned_again() {
    let engine = engine(2);
    let runs = Counter::default();
    let counter = runs.clone();
    let shared = Call::new(TaskSpec::new("shared"), (Arg::Value(vec![20]),), move |(v,)| {
        counter.add();
        Ok(v[0])
    });
    let sum = shared.clone() + shared.clone() + shared;
    assert_eq!(engine.block_on(engine.compute(sum.clone())).unwrap(), 60);
    assert_eq!(runs.get(), 1);
    assert_eq!(engine.block_on(engine.compute(sum)).unwrap(), 60);
    assert_eq!(runs.get(), 2);
}

#[test]
fn owned_arguments_are_moved_not_cloned() {
    let engine = engine(1);
    let big = vec![1u8; 4096];
    let address = big.as_ptr() as usize;
    let call = Call::new(TaskSpec::new("own"), (Arg::Value(big),), |(v,): (Input<Vec<u8>>,)| {
        Ok(v.into_owned().as_ptr() as usize)
    });
    assert_eq!(engine.spawn(call).get().unwrap(), address);
}

#[test]
fn retries_are_counted_exactly() {
    let engine = engine(1);
    let check = |fail_first: usize, retries: u32, expect_runs: usize, expect_ok: bool, panics: bool| {
        let runs = Counter::default();
        let counter = runs.clone();
        let call = Call::new(TaskSpec::new("flaky"), (Arg::Value(5),), move |(x,)| {
            if counter.add() <= fail_first {
                assert!(!panics, "as asked");
                return Err(Error::user("not yet"));
            }
            Ok(*x)
        });
        let result = engine.spawn(call.retries(retries)).get();
        assert_eq!(runs.get(), expect_runs);
        assert_eq!(result.is_ok(), expect_ok);
        if let Err(error) = result {
            assert_eq!(error.task().unwrap().attempt as usize, expect_runs);
        }
    };
    for panics in [false, true] {
        check(0, 0, 1, true, panics);
        check(1, 0, 1, false, panics);
        check(2, 3, 3, true, panics);
        check(9, 3, 4, false, panics);
    }
    let runs = Counter::default();
    let counter = runs.clone();
    let call = Call::new_async(TaskSpec::new("flaky"), (), move |()| {
        let run = counter.add();
        async move {
            tokio::task::yield_now().await;
            if run < 3 { Err(Error::user("not yet")) } else { Ok(run) }
        }
    });
    assert_eq!(engine.spawn(call.retries(5)).get().unwrap(), 3);
}

/// Results that exist now, and the most there ever were.
type Count = Arc<(AtomicUsize, AtomicUsize)>;

/// A result that is counted while it exists.
struct Counted(Count);

impl Counted {
    fn new(count: &Count) -> Self {
        let now = count.0.fetch_add(1, Ordering::SeqCst) + 1;
        count.1.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// 512 leaves, added two by two.
fn tree(count: &Count) -> Call<Counted> {
    let node = |below: Vec<Arg<Counted>>| {
        let count = Arc::clone(count);
        Call::new(TaskSpec::new("node"), below, move |_: Vec<Input<Counted>>| Ok(Counted::new(&count)))
    };
    let mut level: Vec<Call<Counted>> = (0..512).map(|_| node(vec![])).collect();
    while level.len() > 1 {
        let mut pairs = level.into_iter();
        level = std::iter::from_fn(|| Some(vec![pairs.next()?, pairs.next()?]))
            .map(|pair| node(pair.into_iter().map(Arg::Call).collect()))
            .collect();
    }
    level.remove(0)
}

#[test]
fn graphs_run_depth_first_and_keep_few_results() {
    // Eleven results are the least; each worker may be in a branch of its own, and at the turns of
    // fairness a leaf comes early.
    let check = |workers: usize, inside: bool| {
        let engine = engine(workers);
        let count = Count::default();
        let gate = Ref::<()>::promise("gate");
        let own = engine.clone();
        let tree = tree(&count);
        let root = if inside {
            let nested = engine.map([gate.1], move |()| own.spawn(tree.clone())).remove(0);
            gate.0.fulfil(Ok(()));
            nested.get().unwrap()
        } else {
            engine.spawn(tree)
        };
        root.get_value().unwrap();
        let most = count.1.load(Ordering::SeqCst);
        assert!(most < 64, "{most} results at once with {workers} workers, inside: {inside}");
        drop(root);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    };
    for workers in [1, 2] {
        check(workers, false);
        check(workers, true);
    }
}

#[test]
fn a_wait_inside_a_task_costs_as_much_as_what_it_waits_for() {
    let engine = engine(1);
    let own = engine.clone();
    let length = engine.spawn_fn(move || {
        let mut last = own.spawn(Call::new(TaskSpec::new("first"), (), |()| Ok(0u64)));
        for _ in 0..50_000 {
            last = own.spawn(Call::new(TaskSpec::new("inc"), (Arg::Ref(last),), |(x,)| Ok(*x + 1)));
        }
        last.get().unwrap()
    });
    assert_eq!(length.get().unwrap(), 50_000);
}

#[test]
fn graphs_are_drawn() {
    let a = Call::value(1).map("inc", |x| x + 1);
    let b = Call::value(2).map("dec", |x| x - 1);
    let sum = a + b;
    let graph = sum.graph();
    assert_eq!((graph.node_count(), graph.edge_count()), (5, 4));
    assert_eq!(
        graph.to_mermaid(),
        "flowchart BT\n    n0([\"value\"])\n    n1([\"inc\"])\n    n2([\"value\"])\n    n3([\"dec\"])\n    \
         n4([\"add\"])\n    n0 --> n1\n    n2 --> n3\n    n1 --> n4\n    n3 --> n4\n"
    );
    let svg = graph.to_svg().unwrap();
    assert_eq!(svg.matches("<rect").count(), 5);
    assert_eq!(svg.matches("<line").count(), 4);
    let dir = tempfile::tempdir().unwrap();
    for name in ["g.svg", "g.mmd", "g.dot"] {
        graph.save(dir.path().join(name)).unwrap();
    }
    assert_eq!(graph.save(dir.path().join("g.png")).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(graph.save(dir.path().join("none/g.svg")).unwrap_err().kind(), ErrorKind::Io);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A random graph: node i adds i to the sum of up to three earlier nodes; some nodes fail.
    #[test]
    fn random_graphs_give_what_sequential_evaluation_gives(
        edges in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..60),
        failing in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        workers in 1usize..4,
    ) {
        let failing = failing.map(|index| index.index(edges.len()));
        let engine = engine(workers);
        let mut calls: Vec<Call<Option<u64>>> = Vec::new();
        let mut model: Vec<Option<u64>> = Vec::new();
        let mut refs = Vec::new();
        for (i, below) in edges.iter().enumerate() {
            let below: Vec<usize> =
                if i == 0 { vec![] } else { below.iter().map(|index| index.index(i)).collect() };
            let fails = failing == Some(i);
            let expected = below.iter().try_fold(i as u64, |sum, &b| Some(sum.wrapping_add(model[b]?)));
            model.push(if fails { None } else { expected });
            let work = move |inputs: Vec<Input<Option<u64>>>| {
                if fails {
                    return Err(Error::user("asked to fail"));
                }
                Ok(inputs.iter().try_fold(i as u64, |sum, x| Some(sum.wrapping_add((**x)?))))
            };
            // Half of the edges are calls, half refs of calls started before.
            let args = below
                .iter()
                .map(|&b| match b % 2 {
                    0 => Arg::Call(calls[b].clone()),
                    _ => Arg::Ref(engine.spawn(calls[b].clone())),
                })
                .collect::<Vec<_>>();
            let call = Call::new(TaskSpec::new("node"), args, work);
            calls.push(call);
        }
        for call in &calls {
            refs.push(engine.spawn(call.clone()));
        }
        for (r, expected) in refs.iter().zip(&model) {
            match (r.get(), expected) {
                (Ok(got), Some(_)) => prop_assert_eq!(got, *expected),
                (Err(error), None) => prop_assert_eq!(error.kind(), ErrorKind::User),
                (got, expected) => prop_assert!(false, "{got:?} instead of {expected:?}"),
            }
        }
    }
}
