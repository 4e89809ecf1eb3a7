//! The ends of actors: each is named, and no call is left without an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trefoil_tasks::{ActorEnd, ActorHandle, ActorSession, ErrorKind, Ref, actor};

use crate::engine;

struct Cell {
    value: i64,
    dropped: Arc<AtomicBool>,
}

#[actor]
impl Cell {
    pub fn set(&mut self, value: i64) -> i64 {
        std::mem::replace(&mut self.value, value)
    }

    pub async fn never(&self) -> i64 {
        std::future::pending().await
    }

    pub async fn never_mut(&mut self) -> i64 {
        std::future::pending().await
    }

    pub fn explode(&mut self) {
        panic!("boom {}", self.value);
    }

    pub async fn explode_later(&mut self) {
        tokio::task::yield_now().await;
        panic!("later");
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

fn cell() -> (Cell, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    (Cell { value: 0, dropped: Arc::clone(&dropped) }, dropped)
}

fn assert_dead(answer: Ref<i64>, kind: ErrorKind, text: &str) {
    let error = answer.get().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
    assert!(error.to_string().contains("Cell::"), "{error}");
}

#[test]
fn dropped_after_the_queue() {
    let engine = engine();
    let (state, dropped) = cell();
    let handle = engine.actor(state).spawn().unwrap();
    let (promise, late) = Ref::promise("late");
    let answers = [handle.set(&late), handle.set(2), handle.set(3)];
    let ended = handle.wait_ended();
    drop(handle);
    assert!(!dropped.load(Ordering::SeqCst), "calls are waiting");
    promise.fulfil(Ok(1));
    assert_eq!(engine.block_on(ended), ActorEnd::Dropped);
    assert!(dropped.load(Ordering::SeqCst), "the state goes before the end is told");
    let values: Vec<i64> = answers.iter().map(|answer| answer.get().unwrap()).collect();
    assert_eq!(values, [0, 1, 2]);
}

#[test]
fn stopped_after_the_queue() {
    let engine = engine();
    let (state, dropped) = cell();
    let handle = engine.actor(state).name("cell").spawn().unwrap();
    let (promise, late) = Ref::promise("late");
    let before = handle.set(&late);
    handle.stop();
    let after = handle.set(2);
    assert!(handle.is_alive(), "the queue is not done");
    promise.fulfil(Ok(1));
    assert_eq!(engine.block_on(handle.wait_ended()), ActorEnd::Stopped);
    assert!(!handle.is_alive() && dropped.load(Ordering::SeqCst));
    assert_eq!(before.get().unwrap(), 0);
    assert_dead(after, ErrorKind::ActorDead, "the actor `cell` (Cell) was stopped");
    assert_dead(handle.set(3), ErrorKind::ActorDead, "was stopped");
    handle.stop();
    handle.kill();
    assert_eq!(engine.block_on(handle.wait_ended()), ActorEnd::Stopped, "the first end stays");
}

#[test]
fn killed_now() {
    let engine = engine();
    for exclusive in [false, true] {
        let (state, dropped) = cell();
        let handle = engine.actor(state).spawn().unwrap();
        let running = if exclusive { handle.never_mut() } else { handle.never() };
        let (_promise, late) = Ref::promise("late");
        let waiting = handle.set(&late);
        let queued = handle.set(1);
        handle.kill();
        assert!(!handle.is_alive());
        for answer in [running, waiting, queued, handle.set(2)] {
            assert_dead(answer, ErrorKind::ActorDead, "was killed");
        }
        assert_eq!(engine.block_on(handle.wait_ended()), ActorEnd::Killed);
        // Aborted calls beside the loop are dropped by the runtime soon after.
        while !dropped.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}

/// A loop that is about to take the next call sees a kill that came before that call was made.
#[test]
fn what_is_called_after_a_kill_never_runs() {
    let engine = engine();
    for _ in 0..3_000 {
        let (state, _) = cell();
        let handle = engine.actor(state).spawn().unwrap();
        let _before = handle.set(1);
        handle.kill();
        assert_dead(handle.set(2), ErrorKind::ActorDead, "was killed");
    }
}

#[test]
fn panicked() {
    type Explode = fn(&ActorHandle<Cell>) -> Ref<()>;
    let cases: [(Explode, &str); 2] =
        [(|handle| handle.explode(), "boom 7"), (|handle| handle.explode_later(), "later")];
    for (explode, text) in cases {
        let engine = engine();
        let (state, dropped) = cell();
        let handle = engine.actor(state).spawn().unwrap();
        handle.set(7).get().unwrap();
        let beside = handle.set(7);
        let exploded = explode(&handle);
        let queued = handle.set(1);
        beside.get().unwrap();
        let error = exploded.get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert!(error.to_string().contains(text), "{error}");
        assert!(!handle.is_alive(), "whoever saw the panic finds the actor dead");
        assert_dead(handle.set(2), ErrorKind::ActorDead, text);
        assert_dead(queued, ErrorKind::ActorDead, "panicked");
        assert_eq!(engine.block_on(handle.wait_ended()), ActorEnd::Panicked);
        assert!(dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn a_constructor_that_panics() {
    let engine = engine();
    let handle = engine.actor_fn(|| -> Cell { panic!("no state") }).max_restarts(5).spawn().unwrap();
    assert_dead(handle.set(1), ErrorKind::ActorDead, "no state");
    assert_eq!(engine.block_on(handle.wait_ended()), ActorEnd::Failed);
}

struct Brittle(Arc<AtomicBool>);

#[actor]
impl Brittle {
    pub fn set(&mut self, value: i64) -> i64 {
        value
    }

    pub fn explode(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        panic!("first");
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        assert!(!self.0.swap(false, Ordering::SeqCst), "second, while the state is dropped");
    }
}

#[test]
fn a_state_that_panics_when_it_is_dropped() {
    let engine = engine();
    let make = || Brittle(Arc::new(AtomicBool::new(false)));
    for restarts in [0, 1] {
        let handle = engine.actor_fn(make).max_restarts(restarts).spawn().unwrap();
        let exploded = handle.explode();
        let queued = handle.set(1);
        assert_eq!(exploded.get().unwrap_err().kind(), ErrorKind::Panicked);
        assert_eq!(queued.get().unwrap_err().kind(), ErrorKind::ActorDead);
        assert_eq!(engine.block_on(handle.wait_ended()), ActorEnd::Panicked);
    }
    assert_eq!(engine.actor_fn(make).spawn().unwrap().set(2).get().unwrap(), 2, "the runtime goes on");
}

#[test]
fn shut_down_with_the_engine() {
    for last_drop in [false, true] {
        let engine = engine();
        let (state, dropped) = cell();
        let handle = engine.actor(state).spawn().unwrap();
        let running = handle.never_mut();
        let queued = handle.set(1);
        let ended = handle.wait_ended();
        let other = crate::engine();
        if last_drop {
            drop(engine);
        } else {
            engine.shutdown();
        }
        for answer in [running, queued] {
            assert_dead(answer, ErrorKind::ShutDown, "the engine was shut down");
        }
        assert_eq!(other.block_on(ended), ActorEnd::ShutDown);
        assert_dead(handle.set(2), ErrorKind::ShutDown, "the engine was shut down");
        while !dropped.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn after_shutdown_nothing_starts() {
    let engine = engine();
    engine.shutdown();
    let error = engine.actor(cell().0).spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ShutDown);
}

/// An actor that holds a handle of another and of itself must not keep the engine alive.
struct Owner {
    _others: Vec<ActorHandle<Cell>>,
    me: Option<ActorHandle<Owner>>,
    _dropped: DropFlag,
}

struct DropFlag(Arc<AtomicBool>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[actor]
impl Owner {
    pub fn meet(&mut self, me: ActorHandle<Owner>) {
        self.me = Some(me);
    }
}

#[test]
fn handles_inside_actors_do_not_keep_the_engine_alive() {
    let engine = engine();
    let (state, dropped) = cell();
    let owner_dropped = Arc::new(AtomicBool::new(false));
    let other = engine.actor(state).spawn().unwrap();
    let owner = Owner { _others: vec![other], me: None, _dropped: DropFlag(Arc::clone(&owner_dropped)) };
    let owner = engine.actor(owner).spawn().unwrap();
    owner.meet(owner.clone()).get().unwrap();
    drop(owner);
    drop(engine);
    while !(dropped.load(Ordering::SeqCst) && owner_dropped.load(Ordering::SeqCst)) {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn everything_inside_a_foreign_runtime() {
    let engine = engine();
    let handle = engine.actor(cell().0).spawn().unwrap();
    assert_eq!(handle.set(5).await.unwrap(), 0);
    assert_eq!(handle.set(6).value().await.map(|value| *value).unwrap(), 5);
    let waiting = handle.never();
    let ended = handle.wait_ended();
    drop(engine);
    assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(ended.await, ActorEnd::ShutDown);
    assert_eq!(handle.set(7).await.unwrap_err().kind(), ErrorKind::ShutDown);
    drop(handle);
}

#[test]
fn everything_dropped_inside_a_task_and_inside_an_actor() {
    let outer = engine();
    let value = outer.spawn_fn(|| {
        let engine = engine();
        let handle = engine.actor(cell().0).spawn().unwrap();
        handle.set(3).get().unwrap();
        handle.set(4).get().unwrap()
    });
    assert_eq!(value.get().unwrap(), 3);
}
