//! Restarts, retries and what survives them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proptest::prelude::*;
use trefoil_tasks::{
    ActorContext, ActorEnd, ActorHandle, ActorSession, Checkpoint, Engine, Error, ErrorKind, Restarts, actor,
};

use crate::engine;

/// Panics as often as it is told to, over all its states.
#[derive(Clone)]
struct Flaky {
    value: u32,
    panics: Arc<AtomicU32>,
    runs: Arc<AtomicU32>,
}

fn once_less(count: &AtomicU32) -> bool {
    count.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

impl Flaky {
    fn new(panics: u32) -> Self {
        Self { value: 0, panics: Arc::new(AtomicU32::new(panics)), runs: Arc::default() }
    }
}

#[actor]
impl Flaky {
    pub fn add(&mut self, by: u32) -> u32 {
        self.value += by;
        self.value
    }

    pub fn work(&mut self, by: u32) -> u32 {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.value += by;
        assert!(!once_less(&self.panics), "flaky");
        self.value
    }

    pub async fn work_later(&self, by: u32) -> u32 {
        self.runs.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        assert!(!once_less(&self.panics), "flaky");
        self.value + by
    }

    pub fn refuse(&mut self) -> Result<u32, std::io::Error> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if once_less(&self.panics) { Err(std::io::Error::other("not yet")) } else { Ok(self.value) }
    }

    pub fn explode(&mut self) {
        panic!("always");
    }

    pub fn leave(&mut self) -> Result<u32, Error> {
        ActorContext::<Self>::current()?.exit();
        Ok(self.value)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A call runs once plus its retries, at most once per restart, and never after it was answered.
    #[test]
    fn runs_are_counted_exactly(panics in 0_u32..6, restarts in 0_u32..6, retries in 0_u32..6, later in any::<bool>()) {
        thread_local! { static ENGINE: Engine = crate::engine(); }
        let engine = ENGINE.with(Engine::clone);
        let flaky = Flaky::new(panics);
        let runs = Arc::clone(&flaky.runs);
        let actor = engine.actor(flaky).max_restarts(restarts).max_call_retries(retries).spawn().unwrap();
        let answer = if later { actor.work_later(7) } else { actor.work(7) };
        let answer = answer.get();
        // The panic that no restart is left for ends the actor, the one that no retry is left for the call.
        let attempts = 1 + retries.min(restarts).min(panics);
        prop_assert_eq!(runs.load(Ordering::SeqCst), attempts);
        prop_assert_eq!(answer.is_ok(), panics < attempts);
        match answer {
            Ok(value) => prop_assert_eq!(value, 7, "a fresh state"),
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Panicked);
                prop_assert_eq!(error.task().unwrap().attempt, attempts);
            }
        }
        let dead = panics > restarts && retries >= restarts;
        prop_assert_eq!(actor.is_alive(), !dead);
        prop_assert_eq!(actor.restarts(), attempts.min(panics).min(restarts));
    }
}

#[test]
fn calls_beside_a_panic_run_again_if_they_may() {
    let engine = engine();
    let flaky = Flaky::new(1);
    let runs = Arc::clone(&flaky.runs);
    let actor = engine.actor(flaky).max_restarts(1).max_call_retries(1).spawn().unwrap();
    let answers: Vec<_> = (0..5).map(|n| actor.work_later(n)).collect();
    for (n, answer) in (0..).zip(answers) {
        assert_eq!(answer.get().unwrap(), n);
    }
    assert_eq!(actor.restarts(), 1);
    assert!((6..=10).contains(&runs.load(Ordering::SeqCst)), "those that were answered did not run again");
}

#[test]
fn errors_are_retried_if_asked_for() {
    let engine = engine();
    let check = |wanted: bool, errors, retries, expected: Result<u32, ErrorKind>, runs| {
        let flaky = Flaky::new(errors);
        let counted = Arc::clone(&flaky.runs);
        let builder = engine.actor(flaky).max_call_retries(retries);
        let actor = builder.retry_if(move |error| wanted && error.downcast_ref::<std::io::Error>().is_some());
        let answer = actor.spawn().unwrap().refuse().get().map_err(|error| error.kind());
        assert_eq!((answer, counted.load(Ordering::SeqCst)), (expected, runs));
    };
    check(true, 2, 3, Ok(0), 3);
    check(true, 5, 3, Err(ErrorKind::User), 4);
    check(false, 1, 3, Err(ErrorKind::User), 1);
    check(true, 0, 3, Ok(0), 1);
}

#[test]
fn restarts_without_end() {
    let engine = engine();
    let actor = engine.actor(Flaky::new(0)).max_restarts(Restarts::Unlimited).spawn().unwrap();
    for _ in 0..50 {
        assert_eq!(actor.explode().get().unwrap_err().kind(), ErrorKind::Panicked);
    }
    assert_eq!((actor.restarts(), actor.add(1).get().unwrap()), (50, 1));
}

#[test]
fn the_supervisor_hears_of_restarts_and_they_wait() {
    let engine = engine();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&heard);
    let pause = Duration::from_millis(5);
    let actor = engine
        .actor(Flaky::new(0))
        .max_restarts(3)
        .backoff(pause, 2 * pause)
        .on_restart(move |restart| list.lock().push((restart.number, restart.error.kind())))
        .spawn()
        .unwrap();
    let begin = Instant::now();
    for _ in 0..3 {
        assert!(actor.explode().get().is_err());
        assert_eq!(actor.add(1).get().unwrap(), 1, "the queue waits for the fresh state");
    }
    assert!(begin.elapsed() >= 5 * pause, "5, 10 and 10 ms");
    let expected: Vec<_> = (1..=3).map(|number| (number, ErrorKind::Panicked)).collect();
    assert_eq!(*heard.lock(), expected);
    assert!(actor.explode().get().is_err() && !actor.is_alive());
}

#[test]
fn a_kill_ends_the_wait_for_a_restart() {
    let engine = engine();
    let day = Duration::from_secs(86_400);
    let actor = engine.actor(Flaky::new(0)).max_restarts(3).backoff(day, day).spawn().unwrap();
    assert!(actor.explode().get().is_err());
    let queued = actor.add(1);
    actor.kill();
    assert_eq!(queued.get().unwrap_err().kind(), ErrorKind::ActorDead);
    assert_eq!(engine.block_on(actor.wait_ended()), ActorEnd::Killed);
}

#[test]
fn who_was_killed_or_left_is_not_restarted() {
    let engine = engine();
    type End = fn(&ActorHandle<Flaky>);
    let ends: [(End, ActorEnd, &str); 2] = [
        (|actor| actor.kill(), ActorEnd::Killed, "was killed"),
        (
            |actor| assert_eq!(actor.leave().get().unwrap(), 0),
            ActorEnd::Exited,
            "one of its methods called `exit`",
        ),
    ];
    for (end, expected, text) in ends {
        let actor = engine.actor(Flaky::new(0)).max_restarts(9).max_call_retries(9).spawn().unwrap();
        end(&actor);
        assert_eq!(engine.block_on(actor.wait_ended()), expected);
        let error = actor.add(1).get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActorDead);
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(actor.restarts(), 0);
    }
}

#[test]
fn leaving_lets_the_call_end_and_drops_the_queue() {
    let engine = engine();
    let actor = engine.actor(Flaky::new(0)).spawn().unwrap();
    let (promise, late) = trefoil_tasks::Ref::promise("late");
    let before = actor.add(late);
    let leave = actor.leave();
    let behind = actor.add(1);
    promise.fulfil(Ok(4));
    assert_eq!((before.get().unwrap(), leave.get().unwrap()), (4, 4));
    assert_eq!(behind.get().unwrap_err().kind(), ErrorKind::ActorDead);
}

#[derive(Debug)]
struct NoRoom;

impl std::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no room")
    }
}

impl std::error::Error for NoRoom {}

#[test]
fn every_call_sees_why_the_state_could_not_be_made() {
    let engine = engine();
    let actor = engine.try_actor_fn(|| Err::<Flaky, _>(NoRoom)).max_restarts(3).spawn().unwrap();
    for _ in 0..3 {
        let error = actor.add(1).get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActorDead);
        assert!(error.downcast_ref::<NoRoom>().is_some() && error.to_string().contains("no room"), "{error}");
    }
    assert_eq!(engine.block_on(actor.wait_ended()), ActorEnd::Failed);
    let made = engine.try_actor_fn(|| Ok::<_, NoRoom>(Flaky::new(0))).spawn().unwrap();
    assert_eq!(made.add(1).get().unwrap(), 1);
}

impl Checkpoint for Flaky {
    type Saved = u32;

    fn checkpoint(&self) -> u32 {
        self.value
    }

    fn restore(&mut self, saved: &u32) {
        self.value = *saved;
    }
}

#[test]
fn a_fresh_state_goes_on_from_the_last_checkpoint() {
    let engine = engine();
    for every in 1..5 {
        let builder = engine.actor(Flaky::new(0)).max_restarts(1).checkpoint_every(every);
        let actor = builder.spawn().unwrap();
        for _ in 0..10 {
            actor.add(1).get().unwrap();
        }
        assert!(actor.explode().get().is_err());
        assert_eq!(actor.add(0).get().unwrap(), 10 / every * every, "every {every}");
    }
}
