//! What Ray's users rely on without thinking, where no other test names it; the table in
//! `docs/coming-from/ray.md` lists them all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use trefoil_tasks::sync::Event;
use trefoil_tasks::{ActorSession, Call, Engine, Error, ErrorKind, Ref, actor, task};

use crate::engine;

fn single() -> Engine {
    Engine::builder().workers(1).memory("64MiB").build().unwrap()
}

/// Core tasks: `.remote()` returns at once.
#[test]
fn a_call_returns_before_its_task_runs() {
    #[task]
    fn blocked(gate: Event, value: u32) -> u32 {
        gate.blocking_wait();
        value
    }
    let (engine, gate) = (single(), Event::new());
    let refs: Vec<Ref<u32>> = (0..50).map(|i| engine.spawn(blocked(gate.clone(), i))).collect();
    assert!(refs.iter().all(|one| !one.is_done()));
    gate.set();
    assert_eq!(engine.block_on(engine.gather(refs)).unwrap(), (0..50).collect::<Vec<_>>());
}

/// A value with a ref inside.
#[derive(Clone, Serialize, Deserialize)]
struct Holder {
    inner: Ref<Vec<u8>>,
}

#[task]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

#[task]
fn inner_is_done(holder: &Holder) -> bool {
    holder.inner.is_done()
}

#[task]
fn inner_length(holder: Holder) -> Result<usize, Error> {
    Ok(holder.inner.get_value()?.len())
}

struct Reader;

#[actor]
impl Reader {
    pub fn length(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }
    pub fn inner_is_done(&mut self, holder: &Holder) -> bool {
        holder.inner.is_done()
    }
    pub fn inner_length(&mut self, holder: Holder) -> Result<usize, Error> {
        Ok(holder.inner.get_value()?.len())
    }
}

/// Core tasks: a ref as an argument is its value, a ref inside an argument stays a ref; for tasks and actors,
/// small and large values, there already and late.
#[test]
fn refs_on_top_are_resolved_and_refs_inside_stay_refs() {
    let engine = engine();
    for through_actor in [false, true] {
        for size in [3, 1 << 20] {
            for late in [false, true] {
                let reader = engine.actor(Reader).spawn().unwrap();
                let (promise, inner) = Ref::promise("bytes");
                let mut promise = Some(promise);
                let mut fulfil = || promise.take().into_iter().for_each(|p| p.fulfil(Ok(vec![7; size])));
                if !late {
                    fulfil();
                }
                let holder = Holder { inner: inner.clone() };
                // A ref inside is nothing to wait for: the body runs and sees it as it is.
                let seen = if through_actor {
                    reader.inner_is_done(holder.clone())
                } else {
                    engine.spawn(inner_is_done(holder.clone()))
                };
                assert_eq!(seen.get().unwrap(), !late);
                // A ref on top is waited for: the body sees the value.
                let on_top = if through_actor { reader.length(&inner) } else { engine.spawn(length(&inner)) };
                assert!(!(late && on_top.is_done()));
                fulfil();
                assert_eq!(on_top.get().unwrap(), size);
                let inside = if through_actor {
                    reader.inner_length(holder)
                } else {
                    engine.spawn(inner_length(holder))
                };
                assert_eq!(inside.get().unwrap(), size);
            }
        }
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Threads of this process whose name begins so; Linux only, else none.
fn threads(prefix: &str) -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let names = tasks.flatten().filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

#[task]
fn fib(n: u64) -> Result<u64, Error> {
    if n == 3 {
        THREADS.fetch_max(threads("nest-task"), Ordering::SeqCst);
    }
    if n < 2 {
        return Ok(n);
    }
    let engine = Engine::current()?;
    let (one, two) = (engine.spawn(fib(n - 1)), engine.spawn(fib(n - 2)));
    Ok(one.get()? + two.get()?)
}

/// Core tasks: tasks submit tasks and wait for them, far deeper than there are workers.
#[test]
fn nested_tasks_on_two_workers_need_few_threads() {
    let engine = Engine::builder().workers(2).memory("64MiB").name("nest").build().unwrap();
    assert_eq!(engine.spawn(fib(15)).get().unwrap(), 610);
    let most = THREADS.load(Ordering::SeqCst);
    assert!(most < 2 * 15 + 8, "{most} threads for a depth of 15");
}

/// Scheduling: a blocked `get` gives its cpu back.
#[test]
fn a_blocked_task_gives_its_cpu_back() {
    #[task(cpus = 1)]
    fn descend(depth: u32) -> Result<u32, Error> {
        if depth == 0 {
            return Ok(0);
        }
        Ok(1 + Engine::current()?.spawn(descend(depth - 1)).get()?)
    }
    assert_eq!(single().spawn(descend(20)).get().unwrap(), 20);
}

/// Check list: values are snapshots.
#[test]
fn arguments_and_stored_values_are_snapshots() {
    let engine = engine();
    let (promise, late) = Ref::promise("late");
    #[task]
    fn count(bytes: &[u8], _late: u32) -> usize {
        bytes.len()
    }
    let mut bytes = vec![1, 2, 3];
    let call = engine.spawn(count(bytes.as_slice(), late));
    let stored = engine.put(bytes.clone()).unwrap();
    bytes.push(4);
    promise.fulfil(Ok(1));
    assert_eq!((call.get().unwrap(), stored.get().unwrap().len()), (3, 3));
    // What a task does with an owned argument is its own affair.
    #[task]
    fn sorted(mut numbers: Vec<u8>) -> Vec<u8> {
        numbers.sort_unstable();
        numbers
    }
    let numbers = engine.put(vec![3_u8, 1, 2]).unwrap();
    assert_eq!(engine.spawn(sorted(&numbers)).get().unwrap(), [1, 2, 3]);
    assert_eq!(numbers.get().unwrap(), [3, 1, 2]);
}

/// Check list: what nobody waits for still runs.
#[test]
fn a_task_nobody_waits_for_still_runs() {
    #[task]
    fn tell(told: Event) {
        told.set();
    }
    let (engine, told) = (engine(), Event::new());
    drop(engine.spawn(tell(told.clone())));
    told.blocking_wait();
}

/// Check list: a time-out cancels nothing, at `get` and at `gather`.
#[test]
fn a_time_out_cancels_nothing() {
    let (engine, gate) = (engine(), Event::new());
    #[task]
    async fn pass(gate: Event) -> u32 {
        gate.wait().await;
        5
    }
    let refs = [engine.spawn(pass(gate.clone())), engine.spawn(pass(gate.clone()))];
    let soon = Duration::from_millis(1);
    assert_eq!(refs[0].get_timeout(soon).unwrap_err().kind(), ErrorKind::TimedOut);
    let error = engine.block_on(engine.gather_timeout(&refs, soon)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let (ready, rest) = engine.block_on(engine.wait(&refs, 2, Some(soon))).unwrap();
    assert_eq!((ready.len(), rest.len()), (0, 2));
    gate.set();
    assert_eq!(engine.block_on(engine.gather(refs)).unwrap(), [5, 5]);
}

/// Objects: `wait` gives at most as many as asked for, the rest in its order; a ref given twice counts twice.
#[test]
fn wait_never_gives_more_than_asked_for() {
    let engine = engine();
    let done: Vec<Ref<u32>> = (0..5).map(|i| engine.put(i).unwrap()).collect();
    for count in 0..=5 {
        let (ready, rest) = engine.block_on(engine.wait(&done, count, None)).unwrap();
        assert_eq!(ready.len(), count);
        let rest: Vec<u32> = rest.iter().map(|one| one.get().unwrap()).collect();
        assert_eq!(rest, (count as u32..5).collect::<Vec<_>>());
    }
    assert_eq!(engine.block_on(engine.wait(&done, 6, None)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let twice = [done[0].clone(), done[0].clone()];
    assert_eq!(engine.block_on(engine.wait(&twice, 2, None)).unwrap().0.len(), 2);
}

#[derive(Debug, Clone, PartialEq)]
struct Refused(u32);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "refused with {}", self.0)
    }
}

impl std::error::Error for Refused {}

#[task]
fn refuse(n: u32) -> Result<u32, Refused> {
    Err(Refused(n))
}

static DEPENDENTS: AtomicU32 = AtomicU32::new(0);

#[task]
fn dependent(n: u32) -> u32 {
    DEPENDENTS.fetch_add(1, Ordering::SeqCst);
    n
}

struct Hop;

#[actor]
impl Hop {
    pub fn pass(&mut self, n: u32) -> u32 {
        DEPENDENTS.fetch_add(1, Ordering::SeqCst);
        n
    }
    pub async fn ask(&self, n: u32) -> Result<u32, Error> {
        Engine::current()?.spawn(refuse(n)).await
    }
}

/// Failure: the user's error keeps type and message over every hop, and what depends on it never runs.
#[test]
fn an_error_survives_every_hop() {
    let engine = engine();
    let hop = engine.actor(Hop).spawn().unwrap();
    let failed = engine.spawn(refuse(7));
    let hops: Vec<(&str, Ref<u32>)> = vec![
        ("itself", failed.clone()),
        ("a dependent task", engine.spawn(dependent(&failed))),
        ("a graph", engine.spawn(dependent(dependent(refuse(7))) + 1)),
        ("an actor's argument", hop.pass(&failed)),
        ("a call as an actor's argument", hop.pass(refuse(7))),
        ("a task inside an actor", hop.ask(7)),
        ("a task after an actor", engine.spawn(dependent(hop.pass(refuse(7))))),
        ("a wait inside a task", engine.try_spawn_fn(move || failed.get())),
    ];
    for (how, result) in hops {
        let error = result.get().unwrap_err();
        assert_eq!(error.downcast_ref::<Refused>(), Some(&Refused(7)), "{how}");
        assert_eq!(error.kind(), ErrorKind::User, "{how}");
        let task = error.task().unwrap();
        assert_eq!((task.name.as_ref(), task.attempt), ("refuse", 1), "{how}");
        assert!(task.location.file().ends_with("ray.rs"), "{how}");
        assert!(error.to_string().contains("refused with 7"), "{how}");
    }
    assert_eq!(DEPENDENTS.load(Ordering::SeqCst), 0);
}

/// Check list: `shutdown` releases everything, and a new engine works.
#[test]
fn an_engine_can_be_shut_down_and_made_again() {
    for round in 0..3 {
        let engine = engine();
        let reader = engine.actor(Reader).name("reader").spawn().unwrap();
        assert_eq!(reader.length(vec![0; round]).get().unwrap(), round);
        let stored = engine.put(vec![0_u8; 1 << 20]).unwrap();
        engine.shutdown();
        assert_eq!(engine.spawn(length([1])).get().unwrap_err().kind(), ErrorKind::ShutDown);
        // A call that is under way may be the last to run; none is left without an answer.
        let _ = reader.length([1]).get();
        assert_eq!(stored.get_value().unwrap().len(), 1 << 20, "values that are there stay readable");
    }
}

static RUNS: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

#[task]
fn counted(key: &str, list: Vec<i64>) -> Vec<i64> {
    *RUNS.lock().entry(key.to_owned()).or_default() += 1;
    list
}

fn runs(key: &str) -> u32 {
    RUNS.lock().get(key).copied().unwrap_or(0)
}

/// Graphs: operators with values, refs and calls on both sides, look-ups, methods.
#[test]
fn operators_take_values_refs_and_calls() {
    let engine = engine();
    let stored = engine.put(10_i64).unwrap();
    let call = || Call::value(6_i64);
    let check = |call: Call<i64>, expect: i64| assert_eq!(engine.spawn(call).get().unwrap(), expect);
    check(call() + 1, 7);
    check(call() - &stored, -4);
    check(call() * call(), 36);
    check(&call() / 4, 1);
    check(call() % stored.clone(), 6);
    check(-call(), -6);
    check(1 - call(), -5);
    check(2 * &call() + 3 * call(), 30);
    check(call().map("square", |x| x * x), 36);
    let list = counted("look-up", vec![4, 5, 6]);
    check(list.clone().at(1) + list.clone().at(Call::value(2_usize)), 11);
    let table = Call::value(HashMap::from([("a".to_owned(), 3_i64)]));
    check(table.clone().at("a") * 5, 15);
    assert_eq!(engine.spawn(table.at("b")).get().unwrap_err().kind(), ErrorKind::NotFound);
    let error = engine.spawn(list.at(3)).get().unwrap_err();
    assert_eq!(error.message(), "there is no element 3 in a list of 3");
    assert_eq!(runs("look-up"), 2, "once for each spawn");
    // A division by zero is the user's panic, with the name of the operator.
    let error = engine.spawn(call() / 0).get().unwrap_err();
    assert_eq!((error.kind(), error.task().unwrap().name.as_ref()), (ErrorKind::Panicked, "div"));
}

/// Graphs: what the result does not need never runs, and fused chains give what they gave.
#[test]
fn graphs_are_culled_and_chains_are_fused() {
    let engine = engine();
    let (needed, unneeded) = (counted("needed", vec![2]), counted("unneeded", vec![3]));
    let all = [needed.at(0) + 1, unneeded.at(0)];
    let [total, _] = all;
    assert_eq!(engine.spawn(total).get().unwrap(), 3);
    assert_eq!((runs("needed"), runs("unneeded")), (1, 0));

    let mut chain = counted("fused", vec![0]).map("first", |list| list[0]);
    for _ in 0..200 {
        chain = chain.map("next", |n| n + 1);
    }
    assert_eq!(chain.graph().node_count(), 202);
    let fused = chain.fused();
    assert_eq!(fused.graph().node_count(), 4, "at most 64 calls in a task");
    assert_eq!(engine.spawn(fused.clone()).get().unwrap(), 200);
    assert_eq!(engine.spawn(fused).get().unwrap(), 200);
    assert_eq!(runs("fused"), 2);
}

/// Graphs: fusing leaves alone what is shared, asynchronous or has options, and keeps names in errors.
#[test]
fn fusing_changes_no_meaning() {
    let engine = engine();
    let labels = |call: &Call<i64>| call.graph().labels().map(str::to_owned).collect::<Vec<_>>();
    let node = |name: &'static str| move |call: Call<i64>| call.map(name, |n| n + 1);
    // Both branches start at one call; each branch is a chain.
    let shared = node("shared")(Call::value(0));
    let left = node("l2")(node("l1")(shared.clone()));
    let right = node("r2")(node("r1")(shared));
    let both = (left + right).fused();
    assert_eq!(labels(&both), ["value", "shared", "l1 → l2", "r1 → r2", "add"]);
    assert_eq!(engine.spawn(both).get().unwrap(), 6);
    let held = node("held")(Call::value(0));
    let above = node("above")(held.clone()).fused();
    assert_eq!(labels(&above), ["value", "held", "above"]);
    assert_eq!(engine.spawn(held).get().unwrap() + engine.spawn(above).get().unwrap(), 3);
    let optional = node("c")(node("b")(node("a")(Call::value(0))).cpus(1.0)).fused();
    assert_eq!(labels(&optional), ["value", "a", "b", "c"]);
    assert_eq!(engine.spawn(optional).get().unwrap(), 3);
    let failing = node("after")(refuse(3).map("wide", |n| i64::from(*n))).fused();
    assert_eq!(failing.graph().node_count(), 1);
    let error = engine.spawn(failing).get().unwrap_err();
    assert_eq!(error.task().unwrap().name, "refuse");
    let panicking = node("after")(Call::value(0_i64).map("burst", |_| -> i64 { panic!("now") })).fused();
    let error = engine.spawn(panicking).get().unwrap_err();
    assert_eq!((error.kind(), error.task().unwrap().name.as_ref()), (ErrorKind::Panicked, "burst"));
}

/// Tasks: several returns of a `#[task]` become refs of their own, moved, not copied.
#[test]
fn several_returns_are_several_refs() {
    #[task]
    fn halves(list: Vec<u64>) -> (Vec<u64>, Vec<u64>) {
        let mut list = list;
        let right = list.split_off(list.len() / 2);
        (list, right)
    }
    #[task]
    async fn parts(count: u64) -> Result<Vec<u64>, String> {
        if count == 0 { Err("nothing".to_owned()) } else { Ok((0..count).collect()) }
    }
    let engine = engine();
    let (left, right) = engine.spawn_split(halves(vec![1, 2, 3]));
    assert_eq!((left.get().unwrap(), right.get().unwrap()), (vec![1], vec![2, 3]));
    let three = engine.spawn_split_list(parts(3), 3);
    assert_eq!(engine.block_on(engine.gather(three)).unwrap(), [0, 1, 2]);
    for one in engine.spawn_split_list(parts(0), 2) {
        assert_eq!(one.get().unwrap_err().kind(), ErrorKind::User);
    }
}

/// Tasks: a map over refs, in order and as they are done.
#[test]
fn maps_over_refs_with_and_without_order() {
    use futures::StreamExt;
    let engine = engine();
    let inputs = || (0..20_u64).map(|i| engine.put(i).unwrap()).collect::<Vec<_>>();
    let ordered = engine.block_on(engine.gather(engine.map(inputs(), |i| i * i))).unwrap();
    assert_eq!(ordered, (0..20).map(|i| i * i).collect::<Vec<_>>());
    let mut seen: Vec<(usize, u64)> = engine.block_on(
        engine
            .as_completed(engine.map(inputs(), |i| i * i))
            .map(|(place, square)| (place, square.get().unwrap()))
            .collect(),
    );
    seen.sort_unstable();
    assert_eq!(seen, (0..20).map(|i| (i, (i * i) as u64)).collect::<Vec<_>>());
}

/// Nested tasks: a task knows the engine that runs it.
#[test]
fn the_engine_of_a_task_is_known_inside() {
    let (one, two) = (engine(), engine());
    let who = |engine: &Engine| engine.try_spawn_fn(|| Ok::<_, Error>(Engine::current()?.id()));
    assert_eq!(who(&one).get().unwrap(), one.id());
    assert_eq!(who(&two).get().unwrap(), two.id());
    // A wait for a task of another engine may run it here; it still knows its own.
    let other = two.clone();
    let across = one.try_spawn_fn(move || {
        let inner = other.try_spawn_fn(|| Ok::<_, Error>(Engine::current()?.id())).get()?;
        Ok::<_, Error>((inner, Engine::current()?.id()))
    });
    assert_eq!(across.get().unwrap(), (two.id(), one.id()));
    let later = one.spawn_async(async { Ok(Engine::current()?.id()) });
    assert_eq!(later.get().unwrap(), one.id());
    assert_eq!(Engine::current().unwrap_err().kind(), ErrorKind::NotFound);
    let outlived = Arc::new(Event::new());
    let (waits, told) = (Arc::clone(&outlived), Arc::new(Event::new()));
    let tell = Arc::clone(&told);
    let orphan = one.try_spawn_fn(move || {
        tell.set();
        waits.blocking_wait();
        Engine::current().map(|_| ())
    });
    told.blocking_wait();
    drop(one);
    outlived.set();
    assert_eq!(orphan.get().unwrap_err().kind(), ErrorKind::ShutDown);
}
