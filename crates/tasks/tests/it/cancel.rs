//! Actors ended at random moments: no method runs afterwards, the budget is back, no file and no thread stays.
//!
//! Moments are counted in methods that were begun, not in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use proptest::prelude::*;
use trefoil_core::{Partition, WeakEngine};
use trefoil_tasks::{ActorContext, ActorHandle, ActorSession, Engine, Ref, actor};

#[derive(Default)]
struct Shared {
    started: AtomicUsize,
    states: AtomicUsize,
    stop: AtomicBool,
}

impl Shared {
    fn start(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }
}

/// Holds partitions, waits, loops.
struct Clerk {
    engine: WeakEngine,
    shared: Arc<Shared>,
    kept: Vec<Partition>,
}

impl Clerk {
    fn new(engine: &Engine, shared: &Arc<Shared>) -> Self {
        shared.states.fetch_add(1, Ordering::SeqCst);
        Self { engine: engine.downgrade(), shared: Arc::clone(shared), kept: Vec::new() }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.shared.states.fetch_sub(1, Ordering::SeqCst);
    }
}

#[actor]
impl Clerk {
    pub fn add(&mut self, by: u64) -> u64 {
        self.shared.start();
        by + 1
    }

    pub fn store(&mut self, by: u64) -> Result<u64, trefoil_tasks::Error> {
        self.shared.start();
        let Some(engine) = self.engine.upgrade() else { return Ok(by) };
        let numbers = Arc::new(Int64Array::from_iter_values(0..40_000)) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("n", numbers)]).map_err(trefoil_tasks::Error::user)?;
        self.kept.push(engine.put_batches(rows.schema(), vec![rows])?);
        Ok(by)
    }

    pub fn spin(&mut self, by: u64) -> Result<u64, trefoil_tasks::Error> {
        self.shared.start();
        let context = ActorContext::<Self>::current()?;
        while !context.is_killed() && !self.shared.stop.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Ok(by)
    }

    pub async fn wait(&self, by: u64) -> u64 {
        self.shared.start();
        std::future::pending::<()>().await;
        by
    }

    pub async fn wait_alone(&mut self, by: u64) -> u64 {
        self.shared.start();
        std::future::pending::<()>().await;
        by
    }
}

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

#[derive(Clone, Copy, Debug)]
enum End {
    /// Every answer is cancelled, then the handles are dropped.
    Cancel,
    Kill,
    ShutDown,
    /// Handles and answers are dropped, then the engine.
    Drop,
}

#[derive(Clone, Copy, Debug)]
enum Method {
    Add,
    Store,
    Spin,
    Wait,
    WaitAlone,
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        4 => Just(Method::Add),
        2 => Just(Method::Store),
        1 => Just(Method::Spin),
        1 => Just(Method::Wait),
        1 => Just(Method::WaitAlone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn actors_end_at_any_moment(
        actors in 1usize..4,
        calls in prop::collection::vec((method(), any::<prop::sample::Index>(), any::<bool>()), 1..30),
        moment in 0usize..20,
        end in prop_oneof![Just(End::Cancel), Just(End::Kill), Just(End::ShutDown), Just(End::Drop)],
        seed in any::<u32>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("a{seed:08x}");
        let engine = Engine::builder().workers(2).memory_bytes(1 << 20).spill_dir(dir.path()).name(&name);
        let engine = engine.build().unwrap();
        until("threads have their names", || threads(&name) > 0);
        let kept = engine.put_spillable(vec![7u8; 1000]).unwrap();
        let shared = Arc::new(Shared::default());
        let handles: Vec<ActorHandle<Clerk>> =
            (0..actors).map(|_| engine.actor(Clerk::new(&engine, &shared)).spawn().unwrap()).collect();
        let mut answers: Vec<Ref<u64>> = Vec::new();
        // The last call may wait for an argument that never comes.
        let (promise, never) = Ref::<u64>::promise("never");
        for (method, at, rooted) in &calls {
            let actor = &handles[at.index(handles.len())];
            let argument = match (answers.is_empty(), rooted) {
                (true, _) => never.clone(),
                (false, true) => Ref::ready(1),
                (false, false) => answers[at.index(answers.len())].clone(),
            };
            answers.push(match method {
                Method::Add => actor.add(&argument),
                Method::Store => actor.store(&argument),
                Method::Spin => actor.spin(&argument),
                Method::Wait => actor.wait(&argument),
                Method::WaitAlone => actor.wait_alone(&argument),
            });
        }
        // Not reached if every actor loops or waits before: then the end comes soon, too.
        let begin = Instant::now();
        while shared.started.load(Ordering::SeqCst) < moment && begin.elapsed() < Duration::from_millis(10) {
            std::thread::yield_now();
        }
        match end {
            End::Cancel => {
                answers.iter().for_each(|answer| { answer.cancel(); });
                shared.stop.store(true, Ordering::SeqCst);
                until("all are answered", || answers.iter().all(Ref::is_done));
                let ends: Vec<_> = handles.iter().map(ActorHandle::wait_ended).collect();
                drop(handles);
                ends.into_iter().for_each(|end| { engine.block_on(end); });
            }
            End::Kill => {
                handles.iter().for_each(ActorHandle::kill);
                until("all are answered", || answers.iter().all(Ref::is_done));
                drop(handles);
            }
            End::ShutDown => {
                engine.shutdown();
                shared.stop.store(true, Ordering::SeqCst);
                until("all are answered", || answers.iter().all(Ref::is_done));
                drop(handles);
            }
            End::Drop => {
                shared.stop.store(true, Ordering::SeqCst);
                drop((handles, std::mem::take(&mut answers)));
            }
        }
        drop(promise);
        if !matches!(end, End::Drop) {
            until("every state is gone", || shared.states.load(Ordering::SeqCst) == 0);
            let after = shared.started.load(Ordering::SeqCst);
            drop(answers);
            until("only the kept value is stored", || engine.store().object_count() == 1);
            let expected = if kept.is_spilled() { 0 } else { kept.memory_bytes() };
            until("the budget is back", || engine.budget().reserved() == expected);
            prop_assert_eq!(shared.started.load(Ordering::SeqCst), after, "a method ran after the end");
        }
        prop_assert_eq!(kept.load().unwrap()[999], 7);
        drop(kept);
        drop(engine);
        until("no state is left", || shared.states.load(Ordering::SeqCst) == 0);
        until("no thread is left", || threads(&name) == 0);
        until("no directory is left", || std::fs::read_dir(dir.path()).unwrap().count() == 0);
    }
}
