//! Cancelling and dropping at random moments: nothing runs afterwards, the budget is back, no file and no
//! thread stays.
//!
//! Moments are counted in finished tasks and loaded values, not in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use proptest::prelude::*;
use trefoil_core::{Arg, Call, Engine, Partition, Ref, TaskSpec, task_is_cancelled};

/// Threads of this process whose name starts so; the kernel keeps 15 characters of a name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .filter(|comm| comm.starts_with(name))
        .count()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::yield_now();
    }
}

/// What a task of the graph does.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// A few steps of arithmetic.
    Short,
    /// A loop that looks whether it is cancelled.
    Looping,
    /// An await that nothing ends.
    Waiting,
    /// A partition in the store.
    Storing,
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        4 => Just(Work::Short),
        1 => Just(Work::Looping),
        1 => Just(Work::Waiting),
        2 => Just(Work::Storing),
    ]
}

struct Shared {
    started: AtomicUsize,
    stop: AtomicBool,
}

fn call(engine: &Engine, shared: &Arc<Shared>, work: Work, below: Vec<Ref<u64>>) -> Call<u64> {
    let spec = TaskSpec::new(format!("{work:?}"));
    let shared = Arc::clone(shared);
    let first: Arg<u64> = below.into_iter().next().map_or(Arg::Value(1), Arg::Ref);
    match work {
        Work::Short => Call::new(spec, (first,), move |(x,)| {
            shared.started.fetch_add(1, Ordering::SeqCst);
            Ok(*x + 1)
        }),
        Work::Looping => Call::new(spec, (first,), move |(x,)| {
            shared.started.fetch_add(1, Ordering::SeqCst);
            while !task_is_cancelled() && !shared.stop.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            Ok(*x)
        }),
        Work::Waiting => Call::new_async(spec, (first,), move |(x,)| {
            shared.started.fetch_add(1, Ordering::SeqCst);
            async move {
                let _kept = x;
                std::future::pending::<()>().await;
                Ok(0)
            }
        }),
        Work::Storing => {
            let engine = engine.downgrade();
            Call::new(spec, (first,), move |(x,)| {
                shared.started.fetch_add(1, Ordering::SeqCst);
                let Some(engine) = engine.upgrade() else { return Ok(0) };
                let numbers = Arc::new(Int64Array::from_iter_values(0..40_000)) as ArrayRef;
                let rows = RecordBatch::try_from_iter([("n", numbers)]).map_err(trefoil_core::Error::user)?;
                let partition: Partition = engine.put_batches(rows.schema(), vec![rows])?;
                Ok(*x + partition.batches()?[0].num_rows() as u64)
            })
        }
    }
}

/// How the work is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Cancel,
    Drop,
    ShutDown,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn graphs_end_at_any_moment(
        works in prop::collection::vec((work(), any::<prop::sample::Index>(), any::<bool>()), 1..40),
        moment in 0usize..30,
        end in prop_oneof![Just(End::Cancel), Just(End::Drop), Just(End::ShutDown)],
        seed in any::<u32>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("x{seed:08x}");
        let builder = Engine::builder().workers(2).memory_bytes(1 << 20).spill_dir(dir.path());
        let engine = builder.name(&name).build().unwrap();
        until("threads have their names", || threads(&name) > 0);
        let shared = Arc::new(Shared { started: AtomicUsize::new(0), stop: AtomicBool::new(false) });
        let kept = engine.put_spillable(vec![7u8; 1000]).unwrap();
        let baseline = engine.budget().reserved();
        let mut refs: Vec<Ref<u64>> = Vec::new();
        for (work, at, rooted) in works {
            let below = match refs.is_empty() || rooted {
                true => Vec::new(),
                false => vec![refs[at.index(refs.len())].clone()],
            };
            refs.push(engine.spawn(call(&engine, &shared, work, below)));
        }
        // The moment is a number of started tasks. It is not reached if both workers loop before: then the
        // end comes soon, too.
        let moment = moment.min(refs.len());
        let begin = Instant::now();
        while shared.started.load(Ordering::SeqCst) < moment && begin.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        match end {
            End::Cancel => {
                for reference in &refs {
                    reference.cancel();
                }
                until("all refs are done", || refs.iter().all(Ref::is_done));
            }
            End::Drop => {
                // Work that nobody awaits goes on; loops and waits are told to end with the engine.
                shared.stop.store(true, Ordering::SeqCst);
                drop(std::mem::take(&mut refs));
            }
            End::ShutDown => {
                engine.shutdown();
                shared.stop.store(true, Ordering::SeqCst);
                until("all refs are done", || refs.iter().all(Ref::is_done));
            }
        }
        if matches!(end, End::Cancel) {
            // Whatever was queued before these has run or was removed.
            engine.block_on(engine.gather((0..4).map(|i| engine.spawn_fn(move || i)))).unwrap();
            let after = shared.started.load(Ordering::SeqCst);
            engine.block_on(engine.gather((0..4).map(|i| engine.spawn_fn(move || i)))).unwrap();
            prop_assert_eq!(shared.started.load(Ordering::SeqCst), after, "a cancelled task ran");
        }
        if !matches!(end, End::Drop) {
            drop(refs);
            let reserved = || engine.budget().reserved() + if kept.is_spilled() { kept.memory_bytes() } else { 0 };
            until("the budget is back", || reserved() == baseline);
            until("only the kept value is stored", || engine.store().object_count() == 1);
        }
        prop_assert_eq!(kept.load().unwrap()[999], 7);
        drop(kept);
        drop(engine);
        until("no thread is left", || threads(&name) == 0);
        until("no directory is left", || std::fs::read_dir(dir.path()).unwrap().count() == 0);
    }
}
