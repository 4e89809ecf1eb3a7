//! Delayed graphs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use trefoil_core::{Call, Engine, ErrorKind};
use trefoil_frames::array::{ArraySession, chunks};
use trefoil_frames::delayed::{DelayedSession, collect_calls, delayed, delayed_try, visualize};

fn engine() -> &'static Engine {
    super::array::engine()
}

#[test]
fn closures_of_every_arity() {
    let one = delayed("one", |a: &i64| a + 1);
    let two = delayed("two", |a: &i64, b: &String| format!("{a}{b}"));
    let three = delayed("three", |a: &String, b: &i64, c: &i64| format!("{a}{b}{c}"));
    let four = delayed("four", |a: &String, b: &i64, c: &i64, d: &Vec<i64>| format!("{a}{b}{c}{d:?}"));
    let held = engine().put(7i64).unwrap();
    let call =
        four.call(three.call(two.call(one.call(1), "x"), &held, one.call(&held)), 5, one.call(5), [1, 2]);
    assert_eq!(engine().block_on(engine().compute(call)).unwrap(), "2x7856[1, 2]");
}

#[test]
fn compute_all_shares() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let slow = delayed("slow", move |x: &i64| {
        counted.fetch_add(1, Ordering::SeqCst);
        x * 10
    });
    let base = slow.call(4);
    let plus = delayed("plus", |x: &i64| x + 1).call(&base);
    let text = delayed("text", |x: &i64| x.to_string()).call(&base);
    let array = engine().array().ones::<f64>([3], chunks(2)).unwrap();
    let got = engine().block_on(engine().compute_all((plus, text, &base, array.sum(..).unwrap()))).unwrap();
    assert_eq!((got.0, got.1.as_str(), got.2, got.3.sum()), (41, "40", 40, 3.0));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let many = vec![base.clone(), base.clone(), slow.call(1)];
    assert_eq!(engine().block_on(engine().compute_all(many)).unwrap(), [40, 40, 10]);
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[test]
fn errors_of_closures_come_through() {
    let parse = delayed_try("parse", |text: &String| text.parse::<i64>());
    let sum = delayed("sum", |xs: &Vec<i64>| xs.iter().sum::<i64>());
    let good = collect_calls(["1", "2"].map(|t| parse.call(t)));
    assert_eq!(engine().block_on(engine().compute(sum.call(good))).unwrap(), 3);
    let bad = collect_calls(["1", "x"].map(|t| parse.call(t)));
    let error = engine().block_on(engine().compute(sum.call(bad))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    let task = error.task().unwrap();
    assert_eq!((task.name.as_ref(), task.location.file()), ("parse", file!()));
}

#[test]
fn graphs_are_drawn() {
    let inc = delayed("inc", |x: &i64| x + 1);
    let total = delayed("total", |xs: &Vec<i64>| xs.iter().sum::<i64>());
    let call = total.call(collect_calls((0..3).map(|i| inc.call(i))));
    let dir = tempfile::tempdir().unwrap();
    for ending in ["svg", "mmd", "dot"] {
        let path = dir.path().join(format!("graph.{ending}"));
        let graph = visualize(&call, &path).unwrap();
        assert_eq!(graph.topological_order().unwrap().len(), 5);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("inc") && text.contains("total"), "{text}");
    }
    assert!(visualize(&call, dir.path().join("graph.xyz")).is_err());
    assert!(visualize(&call, dir.path().join("nowhere/graph.svg")).is_err());
}

/// Dask's annotations, and its keys: a call has a name and options of its own.
#[test]
fn calls_have_names_and_options() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let flaky = delayed_try("flaky", move |x: &i64| match counted.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Err(std::io::Error::other("not yet")),
        _ => Ok(x * 2),
    });
    let call = flaky.call(21).name("answer").retries(2).cpus(0.5).priority(1);
    assert_eq!(engine().block_on(engine().compute(call)).unwrap(), 42);
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    runs.store(0, Ordering::SeqCst);
    let error = engine().block_on(engine().compute(flaky.call(21).name("answer").retries(1))).unwrap_err();
    assert_eq!((error.kind(), error.task().unwrap().name.as_ref()), (ErrorKind::User, "answer"));
    // an option that can never be met is refused
    let error =
        engine().block_on(engine().compute(flaky.call(1).resource("no such thing", 1.0))).unwrap_err();
    assert!(error.to_string().contains("no such thing"), "{error}");
}

/// `is_dask_collection`: what is lazy is another type than what it gives.
#[test]
fn types_say_what_is_lazy() {
    fn lazy<T: Clone + Send + Sync + 'static>(call: &Call<T>) -> Call<T> {
        call.clone()
    }
    let call: Call<i64> = delayed("one", |x: &i64| x + 1).call(1);
    let value: i64 = engine().block_on(engine().compute(lazy(&call))).unwrap();
    let array = engine().array().ones::<f64>([3], chunks(2)).unwrap();
    let sum: Call<_> = lazy(&array.sum(..).unwrap().to_call().unwrap());
    let (sum, again) = engine().block_on(engine().compute_all((sum, call))).unwrap();
    assert_eq!((value, sum.sum(), again), (2, 3.0, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A random DAG of additions gives what adding in order gives.
    #[test]
    fn random_graphs_agree_with_evaluation(edges in proptest::collection::vec((any::<u16>(), any::<u16>()), 1..60)) {
        let add = delayed("add", |a: &i64, b: &i64| a.wrapping_add(*b));
        let mut calls: Vec<Call<i64>> = vec![Call::value(1)];
        let mut values = vec![1i64];
        for (a, b) in edges {
            let (a, b) = (a as usize % calls.len(), b as usize % calls.len());
            calls.push(add.call(&calls[a], &calls[b]));
            values.push(values[a].wrapping_add(values[b]));
        }
        prop_assert_eq!(engine().block_on(engine().compute_all(calls)).unwrap(), values);
    }
}
