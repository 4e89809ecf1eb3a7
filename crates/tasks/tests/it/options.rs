//! Options of `#[task(..)]`: they reach the scheduler, and the call's own win.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use trefoil_tasks::sync::Event;
use trefoil_tasks::{Backoff, Engine, Error, ErrorKind, Ref, task};

fn is_transient(error: &Error) -> bool {
    error.message().contains("transient")
}

#[task(
    name = "everything",
    cpus = 0.5,
    memory = "1MiB",
    resources(gpu = 1, "tpu-v4" = 0.5),
    priority = -3,
    deadline = "1m",
    retries = 2,
    retry_if = is_transient,
    backoff = "1us",
    detached
)]
fn everything(n: i64) -> i64 {
    n
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[task(retries = 5, retry_if = is_transient, backoff = Backoff::new(Duration::from_nanos(1)).factor(1.0))]
fn flaky(text: &str, fail: u32) -> Result<u32, String> {
    match RUNS.fetch_add(1, Ordering::SeqCst) + 1 {
        n if n <= fail => Err(format!("{text} failure {n}")),
        n => Ok(n),
    }
}

fn engine() -> Engine {
    Engine::builder().workers(2).memory("64MiB").resource("gpu", 2.0).resource("tpu-v4", 1.0).build().unwrap()
}

#[test]
fn options_at_definition_and_at_the_call() {
    let engine = engine();
    assert_eq!(engine.spawn(everything(1)).get().unwrap(), 1);
    let call = everything(2)
        .name("other")
        .cpus(1.0)
        .memory(10)
        .resource("gpu", 2.0)
        .priority(7)
        .deadline(Duration::from_secs(60))
        .retries(0)
        .backoff(Backoff::new(Duration::from_secs(1)));
    assert_eq!(call.graph().labels().collect::<Vec<_>>(), ["other"]);
    assert_eq!(engine.spawn(call).get().unwrap(), 2);
    let error = engine.spawn(everything(3).cpus(99.0)).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.task().unwrap().name, "everything");
}

#[test]
fn a_retry_predicate_decides_and_attempts_are_counted() {
    let engine = engine();
    let check = |call: trefoil_tasks::Call<u32>, runs: u32, expect: Result<u32, u32>| {
        RUNS.store(0, Ordering::SeqCst);
        let result = engine.spawn(call).get();
        assert_eq!(RUNS.load(Ordering::SeqCst), runs);
        let result = result.map_err(|error| error.task().unwrap().attempt);
        assert_eq!(result, expect);
    };
    check(flaky("transient", 0), 1, Ok(1));
    check(flaky("transient", 3), 4, Ok(4));
    check(flaky("transient", 9), 6, Err(6));
    check(flaky("transient", 9).retries(1), 2, Err(2));
    check(flaky("lasting", 9).retry_if(|_| true), 6, Err(6));
}

#[test]
fn a_name_is_not_part_of_what_another_call_gets() {
    let first = everything(1).name("one");
    let second = everything(1);
    let labels =
        |call: &trefoil_tasks::Call<i64>| call.graph().labels().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((labels(&first), labels(&second)), (vec!["one".to_owned()], vec!["everything".to_owned()]));
}

/// 100 MB as an argument and as a result: the pointer stays the same through the store, a borrowing task, a
/// dependent and `get_value`.
#[test]
fn a_hundred_megabytes_are_not_copied() {
    #[task]
    fn address(bytes: &[u8]) -> usize {
        bytes.as_ptr() as usize
    }
    #[task]
    async fn address_later(bytes: &[u8]) -> usize {
        tokio::task::yield_now().await;
        bytes.as_ptr() as usize
    }
    #[task]
    fn produce() -> Arc<Vec<u8>> {
        Arc::new(vec![1; 100 << 20])
    }
    #[task]
    fn address_shared(bytes: &Arc<Vec<u8>>) -> usize {
        bytes.as_ptr() as usize
    }
    let engine = Engine::builder().workers(2).memory("256MiB").build().unwrap();
    let stored: Ref<Vec<u8>> = engine.put(vec![0_u8; 100 << 20]).unwrap();
    let at = stored.get_value().unwrap().as_ptr() as usize;
    for call in [address(&stored), address_later(&stored)] {
        assert_eq!(engine.spawn(call).get().unwrap(), at);
    }
    drop(stored);
    let made = engine.spawn(produce());
    let at = made.get_value().unwrap().as_ptr() as usize;
    assert_eq!(engine.spawn(address_shared(&made)).get().unwrap(), at);
    assert_eq!(made.get().unwrap().as_ptr() as usize, at, "taking the value out moves it");

    // A value given away as an argument is moved into the task.
    let own = vec![2_u8; 100 << 20];
    let at = own.as_ptr() as usize;
    assert_eq!(engine.spawn(address(own)).get().unwrap(), at);
}

#[task(deadline = "1ms")]
async fn never() -> u32 {
    std::future::pending().await
}

#[task(cpus = 1, resources(gpu = 1))]
fn on_gpu(running: Event, go: Event) -> u32 {
    running.set();
    go.blocking_wait();
    1
}

/// Scheduling and failures: a deadline stops the task, and what waits for it.
#[test]
fn a_deadline_stops_the_task() {
    let engine = engine();
    let error = engine.spawn(never()).get().unwrap_err();
    assert_eq!((error.kind(), error.task().unwrap().name.as_ref()), (ErrorKind::DeadlineExceeded, "never"));
    let gate = Event::new();
    #[task]
    async fn pass(gate: Event) -> u32 {
        gate.wait().await;
        1
    }
    let error = engine.spawn(pass(gate).deadline(Duration::from_millis(1)) + 1).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "the call's own, and its dependents fail with it");
}

/// Scheduling: what can never run is an error with the reason, at once.
#[test]
fn what_can_never_run_is_refused_with_the_reason() {
    let engine = engine();
    let gate = Event::new();
    let check = |call: trefoil_tasks::Call<u32>, text: &str| {
        let error = engine.spawn(call).get().unwrap_err();
        let kind = if text == "gqu" { ErrorKind::NotFound } else { ErrorKind::InvalidArgument };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };
    let call = || on_gpu(gate.clone(), gate.clone());
    check(call().resource("gpu", 3.0), "gpu");
    check(call().resource("gqu", 1.0), "gqu");
    check(call().cpus(3.0), "cpus");
    check(call().cpus(f64::NAN), "cpus");
    check(call().memory(1 << 40), "memory");
}

/// Scheduling: custom resources bound how many run.
#[test]
fn a_resource_is_held_while_a_task_runs() {
    let engine = Engine::builder().workers(2).memory("64MiB").resource("gpu", 1.0).build().unwrap();
    let (first, second, go) = (Event::new(), Event::new(), Event::new());
    let one = engine.spawn(on_gpu(first.clone(), go.clone()));
    first.blocking_wait();
    let two = engine.spawn(on_gpu(second.clone(), go.clone()));
    // Everything else goes on, and the second has not begun when the first has not ended.
    assert_eq!(engine.spawn_fn(|| 5).get().unwrap(), 5);
    assert!(!second.is_set());
    go.set();
    assert_eq!((one.get().unwrap(), two.get().unwrap()), (1, 1));
    assert!(second.is_set());
}

#[task]
fn parent(child_started: Event, never: Event, detached: bool) -> Result<u32, Error> {
    #[task]
    async fn child(started: Event, never: Event) -> u32 {
        started.set();
        never.wait().await;
        1
    }
    let call = child(child_started, never);
    let call = if detached { call.detached() } else { call };
    Engine::current()?.spawn(call).get()
}

/// Failures: a cancel reaches the tasks a task has started, unless they are detached.
#[test]
fn a_cancel_reaches_children_unless_they_are_detached() {
    let engine = engine();
    for detached in [false, true] {
        let (started, never) = (Event::new(), Event::new());
        let running = engine.spawn(parent(started.clone(), never.clone(), detached));
        started.blocking_wait();
        assert!(running.cancel());
        if detached {
            never.set();
            // The parent is synchronous: it ends when its child has ended.
            let _ = running.get();
        } else {
            // Nobody sets the event: without the cancel the child, and its parent, would wait for ever.
            assert_eq!(running.get().unwrap_err().kind(), ErrorKind::Cancelled);
        }
    }
}
