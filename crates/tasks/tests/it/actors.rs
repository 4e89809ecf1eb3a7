//! Actors: calls, order, concurrency, names, restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Barrier, Semaphore};
use trefoil_tasks::{ActorHandle, ActorSession, Error, ErrorKind, Ref, actor, registry, task};

use crate::engine;

#[derive(Clone)]
struct Counter {
    n: i64,
    log: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    n: i64,
    log: Vec<i64>,
}

#[actor]
impl Counter {
    fn new(n: i64) -> Self {
        Self { n, log: Vec::new() }
    }

    /// Adds and tells the new value.
    pub fn add(&mut self, by: i64) -> i64 {
        self.n += by;
        self.log.push(by);
        self.n
    }

    pub async fn add_slowly(&mut self, by: i64) -> i64 {
        let seen = self.n;
        tokio::task::yield_now().await;
        self.n = seen + by;
        self.log.push(by);
        self.n
    }

    pub fn add_all(&mut self, all: &[i64], label: &str) -> String {
        self.n += all.iter().sum::<i64>();
        format!("{label}{}", self.n)
    }

    pub fn report(&self) -> Report {
        Report { n: self.n, log: self.log.clone() }
    }

    pub async fn peek(&self) -> i64 {
        tokio::task::yield_now().await;
        self.n
    }

    pub fn checked(&mut self, by: i64) -> Result<i64, std::num::TryFromIntError> {
        self.n += i64::from(u8::try_from(by)?);
        Ok(self.n)
    }

    pub fn explode(&mut self) {
        self.n = -1;
        panic!("half-way");
    }

    #[actor(fallible)]
    pub fn aliased(&self, fail: bool) -> Aliased {
        if fail { Err("asked to".to_owned()) } else { Ok(self.n) }
    }

    #[actor(skip)]
    pub fn pair_with<T>(&self, other: T) -> (i64, T) {
        (self.n, other)
    }

    fn private(&self) -> i64 {
        self.n
    }

    pub fn twin(&self) -> Result<Self2, String> {
        Ok(Self2(self.private()))
    }
}

type Aliased = Result<i64, String>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Self2(i64);

#[task]
fn negate(n: i64) -> i64 {
    -n
}

#[task]
fn through(counter: ActorHandle<Counter>, by: i64) -> Result<i64, Error> {
    counter.add(by).get()
}

#[test]
fn every_kind_of_method_and_argument() {
    let engine = engine();
    let counter = engine.actor(Counter::new(0)).spawn().unwrap();
    let five = engine.put(5).unwrap();
    assert_eq!(counter.add(1).get().unwrap(), 1);
    assert_eq!(counter.add(&five).get().unwrap(), 6);
    assert_eq!(counter.add(negate(&five)).get().unwrap(), 1);
    assert_eq!(counter.add(counter.peek()).get().unwrap(), 2);
    assert_eq!(counter.add_slowly(8).get().unwrap(), 10);
    assert_eq!(counter.add_all([1, 2], "n=").get().unwrap(), "n=13");
    assert_eq!(counter.report().get().unwrap(), Report { n: 13, log: vec![1, 5, -5, 1, 8] });
    assert_eq!(counter.twin().get().unwrap(), Self2(13));
    assert_eq!(counter.aliased(false).get().unwrap(), 13);
    assert_eq!(counter.aliased(true).get().unwrap_err().message(), "asked to");
    assert_eq!(Counter::new(3).pair_with("x"), (3, "x"), "the methods stay callable as they are");
    assert_eq!(Counter::new(3).add(4), 7);

    let error = counter.checked(1000).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.downcast_ref::<std::num::TryFromIntError>().is_some());
    assert_eq!(error.task().unwrap().name, "Counter::checked");
    assert!(error.task().unwrap().location.file().ends_with("actors.rs"));
    assert_eq!(counter.checked(7).get().unwrap(), 20, "an error of the method's own is no end");
}

#[test]
fn calls_keep_their_order_when_arguments_come_late() {
    let engine = engine();
    let counter = engine.actor(Counter::new(0)).spawn().unwrap();
    let (promises, late): (Vec<_>, Vec<_>) = (0..6).map(|_| Ref::promise("late")).unzip();
    let mut answers = Vec::new();
    for (i, late) in (0_i64..).zip(&late) {
        answers.push(if i % 2 == 0 { counter.add(late) } else { counter.add_slowly(late) });
        answers.push(counter.add(100 + i));
    }
    assert_eq!(answers[1].get_timeout(Duration::from_millis(20)).unwrap_err().kind(), ErrorKind::TimedOut);
    for (i, promise) in promises.into_iter().enumerate().rev() {
        promise.fulfil(Ok(i as i64));
    }
    for answer in answers {
        answer.get().unwrap();
    }
    let log = counter.report().get().unwrap().log;
    assert_eq!(log, [0, 100, 1, 101, 2, 102, 3, 103, 4, 104, 5, 105]);
}

#[test]
fn a_failed_argument_fails_that_call_only_with_the_same_error() {
    let engine = engine();
    let counter = engine.actor(Counter::new(0)).spawn().unwrap();
    let cause = Error::new(ErrorKind::DataLost, "read", "gone");
    let lost: Ref<i64> = Ref::failed(cause.clone());
    let error = counter.add(lost).get().unwrap_err();
    assert!(error.same_as(&cause), "{error}");
    let panicked = engine.spawn_fn(|| -> i64 { panic!("boom") });
    assert_eq!(counter.add_slowly(panicked).get().unwrap_err().kind(), ErrorKind::Panicked);
    assert_eq!(counter.add(1).get().unwrap(), 1);
    assert!(counter.is_alive());
}

struct Meeting {
    barrier: Barrier,
    gate: Arc<Semaphore>,
    inside: AtomicUsize,
    most: AtomicUsize,
    changes: u32,
}

#[actor]
impl Meeting {
    fn new(size: usize) -> Self {
        Self {
            barrier: Barrier::new(size),
            gate: Arc::new(Semaphore::new(0)),
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            changes: 0,
        }
    }

    /// Ends only when as many calls are inside as the barrier counts.
    pub async fn meet(&self) -> u32 {
        self.barrier.wait().await;
        self.changes
    }

    pub async fn crowd(&self) -> usize {
        let now = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.most.load(Ordering::SeqCst)
    }

    pub async fn wait_at_gate(&self) -> u32 {
        let _permit = self.gate.acquire().await;
        self.changes
    }

    pub fn open(&self, count: usize) {
        self.gate.add_permits(count);
    }

    pub fn change(&mut self) -> u32 {
        self.changes += 1;
        self.changes
    }

    pub async fn explode_beside(&self) {
        tokio::task::yield_now().await;
        panic!("beside");
    }
}

#[test]
fn shared_async_methods_overlap_and_exclusive_ones_keep_their_place() {
    let engine = engine();
    let meeting = engine.actor(Meeting::new(3)).spawn().unwrap();
    let answers: Vec<_> = (0..3).map(|_| meeting.meet()).collect();
    let changed = meeting.change();
    let after: Vec<_> = (0..3).map(|_| meeting.meet()).collect();
    for answer in answers {
        assert_eq!(answer.get().unwrap(), 0, "before the change");
    }
    assert_eq!(changed.get().unwrap(), 1);
    for answer in after {
        assert_eq!(answer.get().unwrap(), 1, "after the change");
    }
}

#[test]
fn an_exclusive_method_waits_for_the_shared_ones_before_it() {
    let engine = engine();
    let meeting = engine.actor(Meeting::new(1)).spawn().unwrap();
    let gate = meeting.wait_at_gate();
    meeting.open(0).get().unwrap();
    let changed = meeting.change();
    assert_eq!(changed.get_timeout(Duration::from_millis(20)).unwrap_err().kind(), ErrorKind::TimedOut);
    // Cancelling the shared call stops it at its await, and the exclusive one has its turn.
    assert!(gate.cancel());
    assert!(gate.get().unwrap_err().is_cancelled());
    assert_eq!(changed.get().unwrap(), 1);
}

#[test]
fn a_cancelled_call_in_the_queue_is_not_run() {
    let engine = engine();
    let counter = engine.actor(Counter::new(0)).spawn().unwrap();
    let (promise, late) = Ref::promise("late");
    let first = counter.add(late);
    let second = counter.add(10);
    assert!(second.cancel());
    promise.fulfil(Ok(1));
    assert_eq!(first.get().unwrap(), 1);
    assert!(second.get().unwrap_err().is_cancelled());
    assert_eq!(counter.add(1).get().unwrap(), 2);
}

#[test]
fn the_limit_of_concurrency_holds() {
    for limit in [1, 2, 5] {
        let engine = engine();
        let meeting = engine.actor(Meeting::new(1)).concurrency(limit).spawn().unwrap();
        let answers: Vec<_> = (0..40).map(|_| meeting.crowd()).collect();
        let most = answers.iter().map(|answer| answer.get().unwrap()).max().unwrap();
        assert!(most <= limit, "{most} of {limit}");
    }
}

#[test]
fn names() {
    let engine = engine();
    let counter = engine.actor(Counter::new(1)).name("hits").spawn().unwrap();
    assert_eq!(counter.name(), Some("hits"));
    let same = engine.actor_named::<Counter>("hits").unwrap();
    assert_eq!(same.id(), counter.id());
    assert_eq!(same.add(1).get().unwrap(), 2);

    let taken = engine.actor(Counter::new(0)).name("hits").spawn().unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    let missing = engine.actor_named::<Counter>("hist").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("did you mean `hits`?"), "{missing}");
    let wrong = engine.actor_named::<Meeting>("hits").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::TypeMismatch);
    assert!(wrong.to_string().contains("is a Counter, not a Meeting"), "{wrong}");
    let elsewhere = crate::engine();
    assert_eq!(elsewhere.actor_named::<Counter>("hits").unwrap_err().kind(), ErrorKind::NotFound);

    drop((counter, same));
    let next = engine.actor(Counter::new(10)).name("hits").spawn().unwrap();
    assert_eq!(engine.actor_named::<Counter>("hits").unwrap().add(0).get().unwrap(), 10);
    next.kill();
    assert_eq!(engine.actor_named::<Counter>("hits").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn options_are_checked() {
    let engine = engine();
    let check = |built: trefoil_tasks::Result<ActorHandle<Counter>>| {
        assert_eq!(built.unwrap_err().kind(), ErrorKind::InvalidArgument);
    };
    check(engine.actor(Counter::new(0)).mailbox(0).spawn());
    check(engine.actor(Counter::new(0)).concurrency(0).spawn());
    check(engine.actor(Counter::new(0)).name(" ").spawn());
}

#[test]
fn a_full_mailbox_refuses_and_recovers() {
    let engine = engine();
    let counter = engine.actor(Counter::new(0)).mailbox(2).spawn().unwrap();
    let (promise, late) = Ref::promise("late");
    let first = counter.add(&late);
    let second = counter.add(1);
    assert_eq!(counter.pending(), 2);
    let refused = counter.add(1).get().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(refused.to_string().contains("2 calls wait"), "{refused}");
    promise.fulfil(Ok(10));
    assert_eq!((first.get().unwrap(), second.get().unwrap()), (10, 11));
    assert_eq!(counter.add(1).get().unwrap(), 12);
}

#[test]
fn restarts_give_a_fresh_state_and_keep_the_queue() {
    let engine = engine();
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let make = move || Counter::new(i64::from(count.fetch_add(1, Ordering::SeqCst)) * 100);
    let counter = engine.actor_fn(make).max_restarts(2).spawn().unwrap();
    let answers = [
        counter.add(1),
        {
            drop(counter.explode());
            counter.add(1)
        },
        {
            drop(counter.explode());
            counter.add(1)
        },
    ];
    let values: Vec<i64> = answers.iter().map(|answer| answer.get().unwrap()).collect();
    assert_eq!(values, [1, 101, 201]);
    assert_eq!(counter.restarts(), 2);
    assert_eq!(counter.explode().get().unwrap_err().kind(), ErrorKind::Panicked);
    let dead = counter.add(1).get().unwrap_err();
    assert_eq!(dead.kind(), ErrorKind::ActorDead);
    assert!(dead.to_string().contains("half-way"), "{dead}");
    assert_eq!(made.load(Ordering::SeqCst), 3);

    let clone = engine.actor(Counter::new(5)).max_restarts(1).spawn().unwrap();
    clone.add(1).get().unwrap();
    assert_eq!(clone.explode().get().unwrap_err().kind(), ErrorKind::Panicked);
    assert_eq!(clone.add(1).get().unwrap(), 6, "a clone of the first state");
}

#[test]
fn a_panic_beside_gives_up_what_ran_beside_it() {
    let engine = engine();
    let meeting = engine.actor_fn(|| Meeting::new(2)).max_restarts(1).spawn().unwrap();
    let stuck = meeting.wait_at_gate();
    let exploded = meeting.explode_beside();
    assert_eq!(exploded.get().unwrap_err().kind(), ErrorKind::Panicked);
    let lost = stuck.get().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::ActorDead);
    assert!(lost.to_string().contains("was restarted after a panic"), "{lost}");
    assert_eq!(meeting.change().get().unwrap(), 1);
}

#[test]
fn handles_are_values() {
    let engine = engine();
    let counter = engine.actor(Counter::new(0)).spawn().unwrap();
    assert_eq!(engine.spawn(through(counter.clone(), 4)).get().unwrap(), 4);
    let bytes = registry::encode(&(counter.clone(), 5_i64)).unwrap();
    let name = "it::actors::through";
    let answer = registry::run_by_name(&engine, name, bytes.clone()).get().unwrap();
    assert_eq!(registry::decode::<i64>(&answer).unwrap(), 9);
    drop(counter);
    let error = registry::run_by_name(&engine, name, bytes).get().unwrap_err();
    assert!(
        error.to_string().contains("does not live in this process")
            || error.kind() == ErrorKind::MalformedData
    );
}

/// A chain of actors, each of which blocks on the next inside a synchronous method.
struct Link(Option<ActorHandle<Link>>);

#[actor]
impl Link {
    pub fn depth(&mut self) -> Result<u32, Error> {
        match &self.0 {
            Some(next) => Ok(1 + next.depth().get()?),
            None => Ok(0),
        }
    }
}

#[test]
fn actors_that_block_on_actors_do_not_starve_the_runtime() {
    let engine = engine();
    let mut last = engine.actor(Link(None)).spawn().unwrap();
    for _ in 0..20 {
        last = engine.actor(Link(Some(last))).spawn().unwrap();
    }
    assert_eq!(last.depth().get_timeout(Duration::from_secs(20)).unwrap(), 20);
}

#[test]
fn many_callers_each_see_their_own_order() {
    let engine = engine();
    let counter = engine.actor(Counter::new(0)).spawn().unwrap();
    std::thread::scope(|scope| {
        for caller in 0..4_i64 {
            let counter = counter.clone();
            scope.spawn(move || (0..200).for_each(|i| drop(counter.add(caller * 1000 + i))));
        }
    });
    let log = counter.report().get().unwrap().log;
    assert_eq!(log.len(), 800);
    for caller in 0..4 {
        let own: Vec<i64> = log.iter().copied().filter(|n| n / 1000 == caller).collect();
        assert!(own.is_sorted(), "caller {caller}: {own:?}");
    }
}

#[test]
fn of_many_who_ask_one_starts_the_actor() {
    let engine = engine();
    let made = Arc::new(AtomicU32::new(0));
    let ids: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let count = Arc::clone(&made);
                    let make = move || Counter::new(i64::from(count.fetch_add(1, Ordering::SeqCst)));
                    let counter = engine.actor_fn(make).name("one").spawn_or_get().unwrap();
                    counter.add(1).get().unwrap();
                    counter
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|counter| counter.id() == ids[0].id()));
    assert_eq!((made.load(Ordering::SeqCst), ids[0].report().get().unwrap().n), (1, 8));
    let nameless = engine.actor(Counter::new(0)).spawn_or_get().unwrap_err();
    assert_eq!(nameless.kind(), ErrorKind::InvalidArgument);
    let other = engine.actor_fn(|| Meeting::new(1)).name("one").spawn_or_get().unwrap_err();
    assert_eq!(other.kind(), ErrorKind::TypeMismatch);
}

struct Heavy(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

#[actor]
impl Heavy {
    pub fn work(&mut self) {
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
    }

    pub fn block(&mut self) {
        self.0.lock().unwrap().recv().unwrap();
    }
}

#[test]
fn heavy_actors_leave_the_threads_to_others() {
    let engine = engine();
    let (heavy, release): (Vec<_>, Vec<_>) = (0..4)
        .map(|_| {
            let (sender, receiver) = std::sync::mpsc::channel();
            (engine.actor(Heavy(std::sync::Mutex::new(receiver))).spawn().unwrap(), sender)
        })
        .unzip();
    for actor in &heavy {
        actor.work().get().unwrap();
    }
    let blocked: Vec<_> = heavy.iter().map(|actor| actor.block()).collect();
    let counter = engine.actor(Counter::new(0)).spawn().unwrap();
    assert_eq!(counter.add(1).get_timeout(Duration::from_secs(20)).unwrap(), 1);
    assert!(blocked.iter().all(|answer| !answer.is_done()));
    release.iter().for_each(|sender| sender.send(()).unwrap());
    blocked.iter().for_each(|answer| answer.get().unwrap());
}
