//! `#[task]`: arguments in every form, results of every kind, failures.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trefoil_tasks::{Call, Error, ErrorKind, Ref, task};

use crate::engine;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i64,
    y: i64,
}

#[derive(Debug, PartialEq)]
struct Refused(i64);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

type Outcome = Result<i64, Refused>;

/// Three numbers from `i` on.
#[task]
fn get_data(i: i64) -> Vec<i64> {
    vec![i, i + 1, i + 2]
}

#[task]
fn sum(xs: &[i64]) -> i64 {
    xs.iter().sum()
}

#[task]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task]
fn greet(name: &str, times: u32) -> String {
    vec![name; times as usize].join(" ")
}

#[task]
fn shift(point: &Point, by: i64) -> Point {
    Point { x: point.x + by, y: point.y + by }
}

#[task]
fn sorted(mut xs: Vec<i64>) -> Vec<i64> {
    xs.sort_unstable();
    xs
}

#[task]
fn swap((a, b): (i64, String), _ignored: bool) -> (String, i64) {
    (b, a)
}

#[task]
fn nothing() {}

#[task]
async fn slow_double(n: i64) -> i64 {
    tokio::task::yield_now().await;
    2 * n
}

#[task]
async fn slow_sum(xs: &[i64], label: &str) -> Result<String, Refused> {
    tokio::task::yield_now().await;
    match xs.iter().sum() {
        n if n < 0 => Err(Refused(n)),
        n => Ok(format!("{label}{n}")),
    }
}

#[task]
fn positive(n: i64) -> Result<i64, Refused> {
    if n > 0 { Ok(n) } else { Err(Refused(n)) }
}

#[task(fallible)]
fn positive_alias(n: i64) -> Outcome {
    positive::run(n)
}

#[task]
fn text_error(n: i64) -> Result<i64, String> {
    Err(format!("no {n}"))
}

#[task]
fn own_error() -> trefoil_tasks::Result<i64> {
    Err(Error::new(ErrorKind::ShapeMismatch, "dot", "3 columns against 4 rows"))
}

#[task]
fn explode(n: i64) -> i64 {
    assert!(n < 0, "boom {n}");
    n
}

#[task]
fn maybe(n: Option<i64>) -> i64 {
    n.unwrap_or(-1)
}

#[test]
fn arguments_are_values_refs_and_calls() {
    let engine = engine();
    let data: Ref<Vec<i64>> = engine.spawn(get_data(7));
    let call: Call<i64> = sum(&data);
    let check = |name: &str, call: Call<i64>, expect: i64| {
        assert_eq!(engine.spawn(call).get().unwrap(), expect, "{name}");
    };
    check("ref by reference", call, 24);
    check("ref by value", sum(data.clone()), 24);
    check("vec", sum(vec![1, 2]), 3);
    check("array", sum([1, 2, 3]), 6);
    check("slice", sum([4_i64, 5].as_slice()), 9);
    check("call", sum(get_data(100)), 303);
    let shared = get_data(1);
    check("call by reference, twice", sum(&shared) + sum(&shared), 12);
    check("nested three deep", add(sum(get_data(7)), add(1, sum(&data))), 49);
    check("arithmetic of calls", sum(get_data(7)) + sum(get_data(100)), 327);
    check("async of sync", slow_double(sum(&data)), 48);
    check("none", maybe(None), -1);
    check("some", maybe(Some(3)), 3);
}

#[test]
fn borrowed_owned_and_odd_parameters() {
    let engine = engine();
    assert_eq!(engine.spawn(greet("hi", 2)).get().unwrap(), "hi hi");
    assert_eq!(engine.spawn(greet(String::from("yo"), 1)).get().unwrap(), "yo");
    let origin = engine.put(Point { x: 0, y: 1 }).unwrap();
    assert_eq!(engine.spawn(shift(&origin, 2)).get().unwrap(), Point { x: 2, y: 3 });
    assert_eq!(engine.spawn(shift(Point { x: 1, y: 1 }, 1)).get().unwrap(), Point { x: 2, y: 2 });
    let unsorted = engine.put(vec![3, 1, 2]).unwrap();
    assert_eq!(engine.spawn(sorted(&unsorted)).get().unwrap(), [1, 2, 3]);
    assert_eq!(unsorted.get().unwrap(), [3, 1, 2], "a task that owns its argument gets a copy");
    assert_eq!(engine.spawn(swap((1, "a".to_owned()), true)).get().unwrap(), ("a".to_owned(), 1));
    engine.spawn(nothing()).get().unwrap();
    assert_eq!(engine.spawn(slow_sum([1, 2], "n=")).get().unwrap(), "n=3");
}

#[test]
fn the_plain_function_and_the_name_stay_reachable() {
    assert_eq!(get_data::run(7), [7, 8, 9]);
    assert_eq!(sum::run(&[1, 2]), 3);
    assert_eq!(positive::run(-1), Err(Refused(-1)));
    assert_eq!(sum::NAME, "it::tasks::sum");
}

#[test]
fn a_task_inside_a_function_sees_its_scope() {
    const OFFSET: i64 = 40;
    #[task]
    fn local(n: i64) -> i64 {
        n + OFFSET
    }
    assert_eq!(engine().spawn(local(2)).get().unwrap(), 42);
}

#[test]
fn user_errors_keep_their_type_through_edges() {
    let engine = engine();
    let direct = engine.spawn(positive(-3));
    let error = direct.get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert_eq!(error.downcast_ref::<Refused>(), Some(&Refused(-3)));
    let task = error.task().unwrap();
    assert_eq!((task.name.as_ref(), task.attempt), ("positive", 1));
    assert!(task.location.file().ends_with("tasks.rs"), "{:?}", task.location);
    assert!(error.to_string().contains("refused -3"), "{error}");

    // Three dependents on, it is the same error, not a copy of its text.
    let far = engine.spawn(slow_double(add(&direct, slow_double(1)))).get().unwrap_err();
    assert!(far.same_as(&error), "{far}");
    let alias = engine.spawn(positive_alias(-4)).get().unwrap_err();
    assert_eq!(alias.downcast_ref::<Refused>(), Some(&Refused(-4)));
    let asynchronous = engine.spawn(slow_sum([-5], "")).get().unwrap_err();
    assert_eq!(asynchronous.downcast_ref::<Refused>(), Some(&Refused(-5)));
    let text = engine.spawn(text_error(1)).get().unwrap_err();
    assert_eq!((text.kind(), text.message()), (ErrorKind::User, "no 1"));
    assert_eq!(engine.spawn(own_error()).get().unwrap_err().kind(), ErrorKind::ShapeMismatch);
    assert_eq!(engine.spawn(positive(5)).get().unwrap(), 5, "the engine goes on");
}

#[test]
fn a_dependent_of_a_failure_is_not_run() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[task]
    fn count(n: i64) -> i64 {
        RUNS.fetch_add(1, Ordering::SeqCst);
        n
    }
    let engine = engine();
    let failed = engine.spawn(count(positive(0))).get().unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::User);
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
}

#[test]
fn panics_are_errors_with_a_name() {
    let engine = engine();
    let error = engine.spawn(slow_double(explode(7))).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("`explode`") && error.to_string().contains("boom 7"), "{error}");
    assert_eq!(engine.spawn(explode(-1)).get().unwrap(), -1, "the engine goes on");
}

#[test]
fn retries_are_counted_exactly() {
    static SYNC: AtomicU32 = AtomicU32::new(0);
    static ASYNC: AtomicU32 = AtomicU32::new(0);

    #[task(retries = 3)]
    fn third_time(fail: u32) -> Result<u32, String> {
        match SYNC.fetch_add(1, Ordering::SeqCst) + 1 {
            n if n <= fail => Err(format!("run {n}")),
            n => Ok(n),
        }
    }
    #[task(retries = 2, name = "flaky")]
    async fn third_time_async(text: String, fail: u32) -> Result<String, String> {
        match ASYNC.fetch_add(1, Ordering::SeqCst) + 1 {
            n if n <= fail => Err(format!("run {n}")),
            n => Ok(format!("{text}{n}")),
        }
    }
    let engine = engine();
    assert_eq!(engine.spawn(third_time(2)).get().unwrap(), 3);
    SYNC.store(0, Ordering::SeqCst);
    let error = engine.spawn(third_time(9)).get().unwrap_err();
    assert_eq!(SYNC.load(Ordering::SeqCst), 4, "once and three retries");
    assert_eq!((error.message(), error.task().unwrap().attempt), ("run 4", 4));
    SYNC.store(0, Ordering::SeqCst);
    assert!(engine.spawn(third_time(9).retries(0)).get().is_err());
    assert_eq!(SYNC.load(Ordering::SeqCst), 1, "the call's own setting wins");

    assert_eq!(engine.spawn(third_time_async("x", 2)).get().unwrap(), "x3");
    ASYNC.store(0, Ordering::SeqCst);
    let error = engine.spawn(third_time_async("x", 9)).get().unwrap_err();
    assert_eq!(ASYNC.load(Ordering::SeqCst), 3);
    assert_eq!(error.task().unwrap().name, "flaky");
}

#[test]
fn cancelling_stops_dependents_too() {
    #[task]
    async fn forever() -> i64 {
        std::future::pending().await
    }
    let engine = engine();
    let stuck = engine.spawn(forever());
    let dependent = engine.spawn(add(&stuck, 1));
    assert_eq!(stuck.get_timeout(Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(stuck.cancel());
    assert!(stuck.get().unwrap_err().is_cancelled());
    assert!(dependent.get().unwrap_err().is_cancelled());
    assert_eq!(engine.spawn(add(1, 1)).get().unwrap(), 2);
}

#[test]
fn options_reach_the_scheduler() {
    #[task(cpus = 0.5, name = "half")]
    fn half(n: i64) -> i64 {
        n
    }
    let engine = engine();
    assert_eq!(engine.spawn(half(1)).get().unwrap(), 1);
    assert!(half(1).graph().to_mermaid().contains("half"));
    let error = engine.spawn(half(1).cpus(1000.0)).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn tasks_start_tasks_and_wait_for_them_at_any_depth() {
    #[task]
    fn fib(n: u64) -> u64 {
        if n < 2 { n } else { fib::run(n - 1) + fib::run(n - 2) }
    }
    let engine = engine();
    let inner = engine.clone();
    fn nested(engine: &trefoil_tasks::Engine, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let left = {
            let engine = engine.clone();
            engine.clone().spawn_fn(move || nested(&engine, n - 1))
        };
        left.get().unwrap() + nested(engine, n - 2)
    }
    let through_tasks = engine.spawn_fn(move || nested(&inner, 10)).get().unwrap();
    assert_eq!(through_tasks, engine.spawn(fib(10)).get().unwrap());
}

#[tokio::test]
async fn tasks_in_a_foreign_runtime() {
    let engine = engine();
    let total = sum(get_data(7)) + slow_double(1);
    assert_eq!(engine.compute(total).await.unwrap(), 26);
    drop(engine);
}
