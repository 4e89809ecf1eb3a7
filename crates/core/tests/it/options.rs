//! Options of tasks, end to end: what is declared is held, what is asked for happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use proptest::prelude::*;
use trefoil_core::{Arg, Backoff, Call, Engine, Error, ErrorKind, Ref, TaskSpec, task_is_cancelled};

use crate::{Counter, busy, engine};

const HOUR: Duration = Duration::from_secs(3600);

fn call<T: Send + Sync + 'static>(
    spec: TaskSpec,
    work: impl Fn() -> trefoil_core::Result<T> + Send + Sync + 'static,
) -> Call<T> {
    Call::new(spec, (), move |()| work())
}

/// An engine whose tasks run in the order of this seed while the test waits.
fn replayed(seed: u64) -> Engine {
    Engine::builder().workers(2).memory("64MiB").resource("gpu", 1.0).deterministic(seed).build().unwrap()
}

/// How much is used at once, and the most that ever was.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

impl Gauge {
    fn during<T>(&self, amount: usize, work: impl FnOnce() -> T) -> T {
        let now = self.0.0.fetch_add(amount, Ordering::SeqCst) + amount;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        let result = work();
        self.0.0.fetch_sub(amount, Ordering::SeqCst);
        result
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Tasks of random demands, some of which spawn and wait for others: nothing is ever over-committed,
    /// everything ends, and everything is free at the end.
    #[test]
    fn nothing_is_over_committed(demands in prop::collection::vec((0u32..=20, 0u32..=10, 0usize..=8, any::<bool>()), 1..60)) {
        let engine = Engine::builder().workers(2).memory("16MiB").resource("gpu", 1.0).build().unwrap();
        let gauges: [Gauge; 3] = Default::default();
        let refs: Vec<Ref<()>> = demands
            .iter()
            .map(|&(cpus, gpu, mib, nests)| {
                let (weak, gauges) = (engine.downgrade(), gauges.clone());
                let spec = TaskSpec::new("t")
                    .cpus(f64::from(cpus) / 10.0)
                    .resource("gpu", f64::from(gpu) / 10.0)
                    .memory(mib << 20);
                let work = move || {
                    gauges[0].during(cpus as usize, || {
                        gauges[1].during(gpu as usize, || gauges[2].during(mib, std::thread::yield_now));
                    });
                    if nests && let Some(engine) = weak.upgrade() {
                        // While it waits, its cpus are another's.
                        let gauge = gauges[0].clone();
                        let inner = call(TaskSpec::new("inner").cpus(2.0), move || {
                            gauge.during(20, std::thread::yield_now);
                            Ok(())
                        });
                        engine.spawn(inner).get()?;
                    }
                    gauges[0].during(cpus as usize, std::thread::yield_now);
                    Ok(())
                };
                engine.spawn(call(spec, work))
            })
            .collect();
        engine.block_on(engine.gather(refs)).unwrap();
        let most: Vec<usize> = gauges.iter().map(Gauge::most).collect();
        prop_assert!(most[0] <= 20 && most[1] <= 10 && most[2] <= 16, "{most:?}");
        prop_assert_eq!(engine.budget().reserved(), 0);
        let all = TaskSpec::new("all").cpus(2.0).resource("gpu", 1.0).memory(16 << 20);
        prop_assert!(engine.spawn(call(all, || Ok(()))).get().is_ok());
    }
}

#[test]
fn what_can_never_be_met_is_an_error_at_once() {
    let engine = Engine::builder().workers(2).memory("1MiB").resource("gpu", 1.0).build().unwrap();
    let ran = Counter::default();
    let check = |spec: TaskSpec, kind: ErrorKind, expect: &str| {
        let counter = ran.clone();
        let reference = engine.spawn(call(spec, move || Ok(counter.add())));
        assert!(reference.is_done(), "at once");
        let error = reference.get().unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(expect), "{error}");
        assert_eq!(error.task().unwrap().name, "greedy");
    };
    let spec = || TaskSpec::new("greedy");
    check(
        spec().cpus(2.5),
        ErrorKind::InvalidArgument,
        "2.5 cpus can never be granted; this engine has 2 workers",
    );
    check(spec().memory(2 << 20), ErrorKind::InvalidArgument, "of memory can never be granted");
    check(
        spec().resource("gpu", 2.0),
        ErrorKind::InvalidArgument,
        "2 of the resource `gpu` can never be granted",
    );
    check(spec().resource("cpu", 1.0), ErrorKind::NotFound, "no resource `cpu`; did you mean `gpu`?");
    assert_eq!(ran.get(), 0);
}

#[test]
fn declared_memory_is_in_the_budget_and_waits_for_it() {
    let engine = Engine::builder().workers(1).memory("8MiB").build().unwrap();
    let pinned = engine.put(vec![0u8; 6 << 20]).unwrap();
    let budget = engine.budget().clone();
    let large = engine.spawn(call(TaskSpec::new("large").memory(4 << 20), move || Ok(budget.reserved())));
    // Not in the way of others while it waits.
    assert_eq!(engine.spawn_fn(|| 1).get().unwrap(), 1);
    assert!(!large.is_done());
    drop(pinned);
    assert_eq!(large.get().unwrap(), 4 << 20);
    assert_eq!(engine.budget().reserved(), 0);
}

#[test]
fn the_highest_priority_runs_first() {
    for seed in 0..5 {
        let engine = replayed(seed);
        let log = Arc::new(Mutex::new(Vec::new()));
        let refs: Vec<Ref<()>> = [0, 5, -3, 5, 1, -1, 0]
            .into_iter()
            .enumerate()
            .map(|(at, priority)| {
                let log = Arc::clone(&log);
                engine.spawn(call(TaskSpec::new("p").priority(priority), move || {
                    log.lock().unwrap().push((priority, at));
                    Ok(())
                }))
            })
            .collect();
        engine.block_on(engine.gather(refs)).unwrap();
        let mut log = log.lock().unwrap().clone();
        log[3..5].sort_unstable();
        assert_eq!(log, [(5, 1), (5, 3), (1, 4), (0, 0), (0, 6), (-1, 5), (-3, 2)]);
    }
}

#[test]
fn priorities_and_floods_share_the_workers() {
    let engine = engine(1);
    let (release, blocker) = busy(&engine);
    let ran = Counter::default();
    let flood = engine.spawn_fns((0..10_000).map(|_| {
        let ran = ran.clone();
        move || ran.add()
    }));
    let before = ran.clone();
    let urgent = engine.spawn(call(TaskSpec::new("urgent").priority(1), move || Ok(before.get())));
    release.send(()).unwrap();
    blocker.get().unwrap();
    let before = urgent.get().unwrap();
    assert!(before < 100, "{before} of the flood ran before it");
    engine.block_on(engine.gather(flood)).unwrap();

    // A flood that only ends when the late task has run; urgent tasks that only end when a plain one has.
    for priority in [-1, 0] {
        let done = Arc::new(AtomicBool::new(false));
        fn again(engine: &Engine, done: &Arc<AtomicBool>, priority: i32) {
            if !done.load(Ordering::SeqCst) {
                let (own, done) = (engine.clone(), Arc::clone(done));
                let spec = TaskSpec::new("flood").priority(priority);
                drop(engine.spawn(call(spec, move || {
                    again(&own, &done, priority);
                    Ok(())
                })));
            }
        }
        (0..10).for_each(|_| again(&engine, &done, priority + 1));
        let own = Arc::clone(&done);
        let late = call(TaskSpec::new("late").priority(priority), move || {
            own.store(true, Ordering::SeqCst);
            Ok(())
        });
        engine.spawn(late).get().unwrap();
    }
}

#[test]
fn deadlines_end_what_waits_runs_or_pauses() {
    let short = Duration::from_millis(10);
    let engine = engine(1);
    let check = |reference: Ref<usize>, text: &str| {
        let error = reference.get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.task().unwrap().name, "slow");
    };
    let spec = || TaskSpec::new("slow").deadline(short);
    // Queued, and with a dependency.
    let (release, blocker) = busy(&engine);
    let ran = Counter::default();
    let counter = ran.clone();
    check(engine.spawn(call(spec(), move || Ok(counter.add()))), "had not started within 10ms");
    let counter = ran.clone();
    let needs = Call::new(spec(), (Arg::Ref(blocker.clone()),), move |(_,)| Ok(counter.add()));
    check(engine.spawn(needs), "had not started within 10ms");
    release.send(()).unwrap();
    blocker.get().unwrap();
    assert_eq!((engine.spawn_fn(|| 1).get().unwrap(), ran.get()), (1, 0));
    // Asynchronous, and synchronous code that looks.
    check(
        engine.spawn(Call::new_async(spec(), (), |()| std::future::pending::<trefoil_core::Result<usize>>())),
        "did not end within 10ms",
    );
    let looks = move || {
        while !task_is_cancelled() {
            std::thread::yield_now();
        }
        Ok(7)
    };
    check(engine.spawn(call(spec(), looks)), "did not end within 10ms");
    // Between attempts; the cause is what the last one failed with.
    let failing = || Err::<usize, _>(Error::user(std::io::Error::other("flaky")));
    check(
        engine.spawn(call(spec().retries(9).backoff(Backoff::new(HOUR)), failing)),
        "attempt 2): had not started within 10ms",
    );
    // In time.
    assert_eq!(engine.spawn(call(TaskSpec::new("quick").deadline(HOUR), || Ok(3))).get().unwrap(), 3);
}

#[test]
fn retries_follow_the_predicate_and_the_pauses() {
    let engine = replayed(1);
    let check = |retries: u32, worth: bool, expect_runs: usize| {
        let runs = Counter::default();
        let counter = runs.clone();
        let work = move || -> trefoil_core::Result<()> {
            counter.add();
            Err(Error::user(std::io::Error::other("down")))
        };
        let spec = TaskSpec::new("flaky")
            .retries(retries)
            .retry_if(move |error| worth && error.downcast_ref::<std::io::Error>().is_some())
            .backoff(Backoff::new(HOUR).max(10 * HOUR));
        let error = engine.spawn(call(spec, work)).get().unwrap_err();
        assert_eq!((error.kind(), runs.get()), (ErrorKind::User, expect_runs));
        assert_eq!(error.task().unwrap().attempt as usize, expect_runs);
    };
    check(0, true, 1);
    check(5, false, 1);
    check(3, true, 4);
    // A predicate that panics wants no further attempt.
    let runs = Counter::default();
    let counter = runs.clone();
    let spec = TaskSpec::new("flaky").retries(3).retry_if(|_| panic!("as asked"));
    let failed = call(spec, move || -> trefoil_core::Result<()> {
        counter.add();
        Err(Error::user("down"))
    });
    assert_eq!(engine.spawn(failed).get().unwrap_err().kind(), ErrorKind::User);
    assert_eq!(runs.get(), 1);
}

#[test]
fn what_a_task_holds_is_free_between_attempts() {
    let engine = replayed(3);
    let log = Arc::new(Mutex::new(Vec::new()));
    let (first, runs) = (Arc::clone(&log), Counter::default());
    let spec = TaskSpec::new("flaky").resource("gpu", 1.0).retries(1).backoff(Backoff::new(HOUR));
    let flaky = engine.spawn(call(spec, move || {
        first.lock().unwrap().push("flaky");
        if runs.add() == 1 { Err(Error::user("once")) } else { Ok(()) }
    }));
    let second = Arc::clone(&log);
    let other = engine.spawn(call(TaskSpec::new("other").resource("gpu", 0.5), move || {
        second.lock().unwrap().push("other");
        Ok(())
    }));
    flaky.get().unwrap();
    other.get().unwrap();
    assert_eq!(*log.lock().unwrap(), ["flaky", "other", "flaky"]);
}

#[test]
fn arguments_of_further_attempts_are_whole() {
    let engine = engine(2);
    let given = engine.spawn_fn(|| vec![1, 2, 3]);
    let runs = Counter::default();
    let counter = runs.clone();
    let spec = TaskSpec::new("flaky").retries(2);
    let sum = Call::new(spec, (Arg::Ref(given), Arg::Value(vec![4])), move |(a, b)| {
        let (mut a, b): (Vec<i32>, Vec<i32>) = (a.into_owned(), b.into_owned());
        a.extend(b);
        if counter.add() < 3 { Err(Error::user("not yet")) } else { Ok(a) }
    });
    assert_eq!(engine.spawn(sum).get().unwrap(), [1, 2, 3, 4]);
    assert_eq!(runs.get(), 3);
}

#[test]
fn a_cancelled_pause_ends_at_once() {
    let engine = engine(1);
    let failed = Counter::default();
    let counter = failed.clone();
    let spec = TaskSpec::new("flaky").retries(3).backoff(Backoff::new(HOUR));
    let task = engine.spawn(call(spec, move || -> trefoil_core::Result<()> {
        counter.add();
        Err(Error::user("no"))
    }));
    while failed.get() == 0 {
        std::thread::yield_now();
    }
    // The attempt may be about to end; either way, there is no other.
    assert!(task.cancel());
    let kind = task.get().unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::Cancelled | ErrorKind::User), "{kind:?}");
    assert_eq!(failed.get(), 1);
    // And so does one that an engine that ends meets.
    let spec = TaskSpec::new("flaky").retries(3).backoff(Backoff::new(HOUR));
    let task = engine.spawn(call(spec, || -> trefoil_core::Result<()> { Err(Error::user("no")) }));
    let lined =
        engine.spawn(Call::new(TaskSpec::new("lined").cpus(1.0), (Arg::Ref(task.clone()),), |(_,)| Ok(())));
    engine.shutdown();
    for reference in [task, lined] {
        let kind = reference.get().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::ShutDown | ErrorKind::User), "{kind:?}");
    }
}

#[test]
fn what_a_task_spawned_is_cancelled_with_it() {
    let engine = engine(1);
    let (ran, kept) = (Counter::default(), Counter::default());
    let (never, gate) = Ref::<()>::promise("never");
    let children: Arc<OnceLock<Vec<Ref<usize>>>> = Arc::default();
    let (own, slot) = (engine.clone(), Arc::clone(&children));
    let (counter, survivor) = (ran.clone(), kept.clone());
    let parent = engine.spawn_fn(move || {
        let counting = || {
            let counter = counter.clone();
            move || Ok(counter.add())
        };
        let count = counting();
        let needs_ref = Call::new(TaskSpec::new("needs"), (Arg::Ref(gate.clone()),), move |(_,)| count());
        let deep = {
            // A grandchild that waits, and its parent with it.
            let (engine, gate) = (own.clone(), gate.clone());
            own.try_spawn_fn(move || engine.map([gate], |()| 1usize).remove(0).get())
        };
        let refs = vec![
            own.spawn(call(TaskSpec::new("queued"), counting())),
            own.spawn(call(TaskSpec::new("later").priority(-1), counting())),
            own.spawn(needs_ref),
            own.spawn_async(async { std::future::pending::<trefoil_core::Result<usize>>().await }),
            deep,
            own.spawn(call(TaskSpec::new("kept").detached(), move || Ok(survivor.add()))),
        ];
        slot.set(refs).unwrap();
        while !task_is_cancelled() {
            std::thread::yield_now();
        }
    });
    let children = children.wait();
    assert!(parent.cancel());
    for child in &children[..5] {
        let error = child.get().unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    }
    assert_eq!(children[5].get().unwrap(), 1, "a detached task goes on");
    assert_eq!((ran.get(), kept.get()), (0, 1));
    drop(never);
    // Asynchronous ones, down two generations.
    let slot: Arc<OnceLock<Ref<()>>> = Arc::default();
    let (own, inner) = (engine.clone(), Arc::clone(&slot));
    let parent = engine.spawn_async(async move {
        let (engine, slot) = (own.clone(), Arc::clone(&inner));
        own.spawn_async(async move {
            let deepest = engine.spawn_async(std::future::pending::<trefoil_core::Result<()>>());
            slot.set(deepest.clone()).unwrap();
            deepest.await
        })
        .await
    });
    let deepest = slot.wait();
    assert!(parent.cancel());
    assert!(deepest.get().unwrap_err().is_cancelled());
    assert!(parent.get().unwrap_err().is_cancelled());
    // After its end nothing hangs on a parent.
    let own = engine.clone();
    let ended = engine.spawn_fn(move || own.spawn_fn(|| 5));
    let child = ended.get().unwrap();
    assert!(!ended.cancel());
    assert_eq!(child.get().unwrap(), 5);
}

#[test]
fn a_program_that_waits_on_itself_is_told() {
    let engine = Engine::builder().workers(2).memory("64MiB").resource("gpu", 1.0).build().unwrap();
    let slots: Arc<[OnceLock<Ref<usize>>; 2]> = Arc::default();
    let check = |error: Error, expect: &[&str]| {
        assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}");
        assert!(expect.iter().any(|text| error.to_string().contains(text)), "{error}");
    };
    // A task waits for itself.
    let own = Arc::clone(&slots);
    let selfish = engine.spawn(call(TaskSpec::new("selfish"), move || own[0].wait().get()));
    slots[0].set(selfish.clone()).unwrap();
    check(selfish.get().unwrap_err(), &["a wait that could never end: `selfish` waits for `selfish`"]);
    // Two wait for each other; whoever comes second is told, the other fails with that.
    let slots: Arc<[OnceLock<Ref<usize>>; 2]> = Arc::default();
    let tasks: Vec<Ref<usize>> = [("left", 1), ("right", 0)]
        .into_iter()
        .map(|(name, other)| {
            let slots = Arc::clone(&slots);
            engine.spawn(call(TaskSpec::new(name), move || slots[other].wait().get()))
        })
        .collect();
    for (slot, task) in slots.iter().zip(&tasks) {
        slot.set(task.clone()).unwrap();
    }
    for task in tasks {
        let texts = [
            "`left` waits for `right`, which waits for `left`",
            "`right` waits for `left`, which waits for `right`",
        ];
        check(task.get().unwrap_err(), &texts);
    }
    // Through a task that needs another, and through a resource.
    let slot: Arc<OnceLock<Ref<usize>>> = Arc::default();
    let late = Arc::clone(&slot);
    let head = engine.spawn(call(TaskSpec::new("head"), move || late.wait().get()));
    let tail = engine.spawn(Call::new(TaskSpec::new("tail"), (Arg::Ref(head.clone()),), |(x,)| Ok(*x)));
    slot.set(tail).unwrap();
    check(
        head.get().unwrap_err(),
        &[
            "`head` waits for `tail`, which waits for `head`",
            "`tail` waits for `head`, which waits for `tail`",
        ],
    );
    let own = engine.clone();
    let holder = engine.spawn(call(TaskSpec::new("holder").resource("gpu", 0.75), move || {
        own.spawn(call(TaskSpec::new("second").resource("gpu", 0.5), || Ok(1))).get()
    }));
    check(
        holder.get().unwrap_err(),
        &[
            "`holder` waits for `second`, which waits for the resource `gpu` that `holder` holds",
            "`second` waits for the resource `gpu` that `holder` holds, which waits for `second`",
        ],
    );
    // A wait with an end is none, and the engine still works.
    let slot: Arc<OnceLock<Ref<usize>>> = Arc::default();
    let late = Arc::clone(&slot);
    let timed =
        engine.spawn(call(TaskSpec::new("timed"), move || late.wait().get_timeout(Duration::from_millis(1))));
    slot.set(timed.clone()).unwrap();
    assert_eq!(timed.get().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(
        engine.spawn(call(TaskSpec::new("all").resource("gpu", 1.0).cpus(2.0), || Ok(1))).get().unwrap(),
        1
    );
}
