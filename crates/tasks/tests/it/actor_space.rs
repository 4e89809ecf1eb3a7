//! What surrounds an actor: names, lists, bounded mailboxes, timers, its own context, pools.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use trefoil_tasks::{
    ActorContext, ActorEnd, ActorHandle, ActorPool, ActorSession, Error, ErrorKind, Overflow, Ref,
    WeakHandle, actor,
};

use crate::engine;

#[derive(Clone, Default)]
struct Counter(u64);

#[actor]
impl Counter {
    pub fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }

    pub fn double(&self, n: u64) -> u64 {
        2 * n
    }

    pub fn fail_on(&mut self, n: u64) -> Result<u64, String> {
        self.0 += 1;
        if n == 3 { Err("three".to_owned()) } else { Ok(n) }
    }

    pub fn explode_on(&mut self, n: u64) -> u64 {
        assert!(n != 3, "three");
        n
    }
}

#[test]
fn names_count_in_their_namespace() {
    let engine = engine();
    let here = engine.actor(Counter(1)).name("hits").spawn().unwrap();
    let there = engine.actor(Counter(2)).name("hits").namespace("blue").spawn().unwrap();
    assert_ne!(here.id(), there.id());
    assert_eq!(engine.actor_named::<Counter>("hits").unwrap().id(), here.id());
    assert_eq!(engine.actor_in::<Counter>("blue", "hits").unwrap().id(), there.id());
    let missing = engine.actor_in::<Counter>("blue", "hit").unwrap_err();
    assert!(missing.to_string().contains("namespace `blue`; did you mean `hits`?"), "{missing}");
    let same = engine.actor(Counter(3)).name("hits").namespace("blue").spawn_or_get().unwrap();
    assert_eq!(same.id(), there.id());
}

#[test]
fn a_detached_actor_lives_until_it_is_killed() {
    let engine = engine();
    let nameless = engine.actor(Counter(0)).detached().spawn().unwrap_err();
    assert_eq!(nameless.kind(), ErrorKind::InvalidArgument);
    let id = engine.actor(Counter(5)).name("keeper").detached().spawn().unwrap().id();
    let found = engine.actor_named::<Counter>("keeper").unwrap();
    assert_eq!((found.id(), found.add(1).get().unwrap()), (id, 6));
    drop(found);
    let found = engine.actor_named::<Counter>("keeper").unwrap();
    found.kill();
    assert_eq!(engine.block_on(found.wait_ended()), ActorEnd::Killed);
    assert_eq!(engine.actor_named::<Counter>("keeper").unwrap_err().kind(), ErrorKind::NotFound);

    let weak = engine.actor(Counter(5)).name("keeper").detached().spawn().unwrap().downgrade();
    let ended = weak.upgrade().unwrap().wait_ended();
    let other = crate::engine();
    drop(engine);
    assert_eq!(other.block_on(ended), ActorEnd::ShutDown);
    assert!(weak.upgrade().is_none(), "the registry lets go of it");
}

#[test]
fn living_actors_are_listed() {
    let engine = engine();
    let named = engine.actor(Counter(0)).name("a").namespace("n").spawn().unwrap();
    let (_promise, late) = Ref::<u64>::promise("late");
    let waiting = engine.actor(Counter(0)).spawn().unwrap();
    let _answers = [waiting.add(late), waiting.add(1)];
    let list = engine.actors();
    assert_eq!(list.len(), 2);
    assert_eq!((list[0].id, list[0].kind.as_str()), (named.id().number(), "Counter"));
    assert_eq!((list[0].name.as_deref(), list[1].name.as_deref()), (Some("a"), None));
    assert_eq!(list[0].pending, 0);
    // A call on its way from the queue to its place in the line is not counted for a moment.
    let counted = |_| {
        std::thread::yield_now();
        engine.actors()[1].pending == 2
    };
    assert!((0..1_000_000).any(counted));
    named.add(1).get().unwrap();
    named.stop();
    engine.block_on(named.wait_ended());
    let list = engine.actors();
    assert_eq!(list[0].end.as_ref().map(|end| end.as_str()), Some("stopped"));
    assert_eq!((list[0].calls, list.len()), (1, 2));
    assert!(list[1].end.is_none() && crate::engine().actors().is_empty());
}

#[test]
fn room_can_be_reserved() {
    let engine = engine();
    let counter = engine.actor(Counter(0)).mailbox(2).spawn().unwrap();
    let (promise, late) = Ref::promise("late");
    let first = counter.add(late);
    let second = engine.block_on(counter.reserve()).unwrap();
    assert_eq!(counter.add(1).get().unwrap_err().kind(), ErrorKind::Overloaded, "the room is promised");
    let second = second.add(10);
    let mut third = Box::pin(counter.reserve());
    assert!(third.as_mut().now_or_never().is_none());
    promise.fulfil(Ok(1));
    let third = engine.block_on(third).unwrap();
    assert_eq!((first.get().unwrap(), second.get().unwrap(), third.add(100).get().unwrap()), (1, 11, 111));
    // Room that is not used goes back.
    let unused = [engine.block_on(counter.reserve()).unwrap(), engine.block_on(counter.reserve()).unwrap()];
    assert_eq!(counter.add(1).get().unwrap_err().kind(), ErrorKind::Overloaded);
    drop(unused);
    assert_eq!(counter.add(1).get().unwrap(), 112);
    counter.kill();
    engine.block_on(counter.wait_ended());
    assert_eq!(engine.block_on(counter.reserve()).unwrap_err().kind(), ErrorKind::ActorDead);
}

/// A call whose argument is late never gives its room away, not even while the loop looks at it.
#[test]
fn a_late_argument_keeps_its_room() {
    let engine = engine();
    for _ in 0..500 {
        let counter = engine.actor(Counter(0)).mailbox(1).spawn().unwrap();
        let (promise, late) = Ref::promise("late");
        let first = counter.add(late);
        for _ in 0..20 {
            let refused = counter.add(1);
            assert!(refused.is_done(), "the call took the room of one that waits");
            assert_eq!(refused.get().unwrap_err().kind(), ErrorKind::Overloaded);
        }
        promise.fulfil(Ok(1));
        assert_eq!(first.get().unwrap(), 1);
    }
}

/// Who waits for room is told once, by the waker it gave last, and passes it on when it has gone.
#[test]
fn room_goes_to_who_still_waits() {
    let engine = &engine();
    let counter = engine.actor(Counter(0)).mailbox(1).spawn().unwrap();
    let place = engine.block_on(counter.reserve()).unwrap();
    let mut moved = Box::pin(counter.reserve());
    let mut gone = Box::pin(counter.reserve());
    assert!(moved.as_mut().now_or_never().is_none(), "with a waker that wakes nobody");
    std::thread::scope(|scope| {
        let (waits, waiting) = std::sync::mpsc::channel();
        let moved = scope.spawn({
            let moved = &mut moved;
            move || {
                engine.block_on(async {
                    // The first poll leaves a waker of this thread.
                    let early = moved.as_mut().now_or_never();
                    assert!(early.is_none());
                    let told = std::future::poll_fn(|context| {
                        let polled = moved.as_mut().poll(context);
                        // The test may have gone.
                        let _ = waits.send(());
                        polled
                    });
                    told.await.map(|place| place.add(1))
                })
            }
        });
        waiting.recv().unwrap();
        drop(place);
        assert_eq!(moved.join().unwrap().unwrap().get().unwrap(), 1);
    });
    let place = engine.block_on(counter.reserve()).unwrap();
    assert!(gone.as_mut().now_or_never().is_none());
    std::thread::scope(|scope| {
        let (waits, waiting) = std::sync::mpsc::channel();
        let counter = &counter;
        let last = scope.spawn(move || {
            let mut last = Box::pin(counter.reserve());
            engine.block_on(std::future::poll_fn(|context| {
                let polled = last.as_mut().poll(context);
                let _ = waits.send(());
                polled
            }))
        });
        waiting.recv().unwrap();
        // The room is offered to the first in the line, which leaves.
        drop(place);
        drop(gone);
        assert_eq!(last.join().unwrap().unwrap().add(1).get().unwrap(), 2);
    });
}

#[test]
fn a_full_mailbox_can_make_callers_wait() {
    let engine = engine();
    let counter = engine.actor(Counter(0)).mailbox(1).overflow(Overflow::Wait).spawn().unwrap();
    let (promise, late) = Ref::promise("late");
    let first = counter.add(late);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let counter = counter.clone();
                scope.spawn(move || (0..20).map(|_| counter.add(1)).collect::<Vec<_>>())
            })
            .collect();
        assert!(!first.is_done());
        promise.fulfil(Ok(0));
        for caller in callers {
            for answer in caller.join().unwrap() {
                answer.get().unwrap();
            }
        }
    });
    assert_eq!(counter.add(0).get().unwrap(), 60);
}

struct Ticker {
    ticks: Arc<AtomicUsize>,
    told: std::sync::mpsc::Sender<usize>,
}

#[actor]
impl Ticker {
    pub fn tick(&mut self) -> usize {
        let now = self.ticks.fetch_add(1, Ordering::SeqCst) + 1;
        // The test may have gone.
        let _ = self.told.send(now);
        now
    }

    pub fn begin(&mut self) -> Result<(), Error> {
        let me = ActorContext::<Self>::current()?.handle();
        if let Some(me) = me {
            me.every(Duration::from_millis(1), |me| me.tick())?;
        }
        Ok(())
    }
}

#[test]
fn timers_tick_and_end_with_the_actor() {
    let engine = engine();
    let ticks = Arc::new(AtomicUsize::new(0));
    let (told, heard) = channel();
    let ticker = engine.actor(Ticker { ticks: Arc::clone(&ticks), told }).spawn().unwrap();
    let once = ticker.after(Duration::from_millis(1), |me| me.tick()).unwrap();
    assert_eq!(heard.recv().unwrap(), 1);
    ticker.begin().get().unwrap();
    for expected in 2..5 {
        assert_eq!(heard.recv().unwrap(), expected);
    }
    let never = ticker.after(Duration::from_secs(3600), |me| me.tick()).unwrap();
    never.cancel();
    let late = ticker.after(Duration::from_secs(3600), |me| me.tick()).unwrap();
    let zero = ticker.every(Duration::ZERO, |me| me.tick()).unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::InvalidArgument);
    let ended = ticker.wait_ended();
    drop(ticker);
    assert_eq!(engine.block_on(ended), ActorEnd::Dropped, "timers keep no actor alive");
    for timer in [once, never, late] {
        while !timer.is_over() {
            std::thread::yield_now();
        }
    }
    assert_eq!(heard.iter().count(), ticks.load(Ordering::SeqCst) - 4);
}

struct Waiter {
    peer: Option<ActorHandle<Waiter>>,
    killed: Arc<AtomicBool>,
}

#[actor]
impl Waiter {
    pub fn value(&mut self) -> u8 {
        1
    }

    pub async fn glance(&self) -> u8 {
        2
    }

    pub fn meet(&mut self, peer: ActorHandle<Waiter>) {
        self.peer = Some(peer);
    }

    pub fn block_on_self(&mut self) -> Result<u8, Error> {
        let me = ActorContext::<Self>::current()?.handle();
        me.map_or(Ok(0), |me| me.value().get())
    }

    pub fn block_on_shared(&self) -> Result<u8, Error> {
        let me = ActorContext::<Self>::current()?.handle();
        me.map_or(Ok(0), |me| me.glance().get())
    }

    pub fn drive_shared(&self) -> Result<u8, Error> {
        let me = ActorContext::<Self>::current()?.handle();
        me.map_or(Ok(0), |me| futures::executor::block_on(me.glance()))
    }

    pub async fn await_self(&mut self, me: ActorHandle<Waiter>) -> Result<u8, Error> {
        me.value().await
    }

    pub async fn await_shared(&self, me: ActorHandle<Waiter>) -> Result<u8, Error> {
        me.glance().await
    }

    pub async fn await_exclusive(&self, me: ActorHandle<Waiter>) -> Result<u8, Error> {
        me.value().await
    }

    pub fn ask_peer(&mut self) -> Result<u8, Error> {
        self.peer.as_ref().map_or(Ok(7), |peer| peer.ask_peer().get())
    }

    pub fn until_killed(&mut self, started: Ref2) -> Result<(), Error> {
        let context = ActorContext::<Self>::current()?;
        started.0.store(true, Ordering::SeqCst);
        while !context.is_killed() {
            std::thread::yield_now();
        }
        self.killed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// A flag as an argument.
#[derive(Clone, Default)]
struct Ref2(Arc<AtomicBool>);

impl serde::Serialize for Ref2 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> serde::Deserialize<'de> for Ref2 {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self::default())
    }
}

fn waiter() -> Waiter {
    Waiter { peer: None, killed: Arc::default() }
}

#[test]
fn waiting_for_oneself_is_an_error_that_names_the_actor() {
    let engine = engine();
    let actor = engine.actor(waiter()).name("narcissus").spawn().unwrap();
    let refused = [
        actor.block_on_self(),
        actor.block_on_shared(),
        actor.drive_shared(),
        actor.await_self(actor.clone()),
        actor.await_exclusive(actor.clone()),
    ];
    for answer in refused {
        let error = answer.get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}");
        assert!(error.to_string().contains("the actor `narcissus` (Waiter) waits for `Waiter::"), "{error}");
    }
    assert_eq!(actor.await_shared(actor.clone()).get().unwrap(), 2, "shared calls run beside each other");
    assert_eq!(actor.value().get().unwrap(), 1, "it goes on");
}

#[test]
fn a_circle_of_waits_is_an_error() {
    let engine = engine();
    let actors: Vec<_> = (0..3).map(|_| engine.actor(waiter()).spawn().unwrap()).collect();
    for (at, actor) in actors.iter().enumerate() {
        actor.meet(actors[(at + 1) % 3].clone()).get().unwrap();
    }
    let error = actors[0].ask_peer().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}");
    assert!(error.to_string().contains("waits for this one"), "{error}");
    // Opened, the chain answers. Whichever of the three saw the circle, the others may still be in it.
    actors[2].kill();
    let kinds = std::iter::repeat_with(|| actors[0].ask_peer().get().unwrap_err().kind());
    assert_eq!(kinds.into_iter().find(|kind| *kind != ErrorKind::Deadlock), Some(ErrorKind::ActorDead));
    actors.iter().for_each(|actor| actor.kill());
}

#[test]
fn a_running_method_sees_that_it_was_killed() {
    let engine = engine();
    let state = waiter();
    let killed = Arc::clone(&state.killed);
    let actor = engine.actor(state).spawn().unwrap();
    let started = Ref2::default();
    let running = actor.until_killed(started.clone());
    while !started.0.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    let queued = actor.value();
    actor.kill();
    assert_eq!(queued.get().unwrap_err().kind(), ErrorKind::ActorDead);
    running.get().unwrap();
    assert!(killed.load(Ordering::SeqCst));
    assert_eq!(engine.block_on(actor.wait_ended()), ActorEnd::Killed);
}

#[test]
fn the_context_is_that_of_the_running_actor() {
    assert_eq!(ActorContext::<Waiter>::current().err().unwrap().kind(), ErrorKind::NotFound);
}

#[test]
fn weak_handles_keep_nothing_alive() {
    let engine = engine();
    let counter = engine.actor(Counter(0)).spawn().unwrap();
    let weak: WeakHandle<Counter> = counter.downgrade();
    assert_eq!(weak.upgrade().unwrap().add(1).get().unwrap(), 1);
    assert_eq!(weak.id(), counter.id());
    let ended = counter.wait_ended();
    drop(counter);
    assert_eq!(engine.block_on(ended), ActorEnd::Dropped);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_pool_maps_in_order_and_out_of_it() {
    let engine = engine();
    let actors: Vec<_> = (0..3).map(|_| engine.actor(Counter(0)).spawn().unwrap()).collect();
    let pool = ActorPool::new(&engine, actors);
    let doubled: Vec<u64> =
        pool.map(0..1000_u64, |actor, n| actor.double(n)).into_iter().map(Result::unwrap).collect();
    assert_eq!(doubled, (0..1000).map(|n| 2 * n).collect::<Vec<_>>());
    let mut unordered: Vec<u64> = engine
        .block_on(pool.map_unordered(0..1000_u64, |actor, n| actor.double(n)).map(Result::unwrap).collect());
    unordered.sort_unstable();
    assert_eq!(unordered, doubled);
    assert_eq!((pool.len(), pool.idle()), (3, 3));

    let results: Vec<_> = pool.map(0..6_u64, |actor, n| actor.fail_on(n)).into_iter().collect();
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert_eq!(results[3].as_ref().unwrap_err().kind(), ErrorKind::User);
    assert_eq!(*results[5].as_ref().unwrap(), 5, "an error does not end the map");

    let mut some = pool.map(0..u64::MAX, |actor, n| actor.double(n)).into_iter();
    assert_eq!(some.next().unwrap().unwrap(), 0);
    drop(some);
    assert_eq!((pool.len(), pool.idle()), (3, 3), "a dropped map gives its actors back");

    let taken = pool.pop_idle().unwrap();
    assert_eq!((pool.len(), pool.idle()), (2, 2));
    pool.push(taken);
    let (first, second) = (pool.map(0..50_u64, |a, n| a.double(n)), pool.map(0..50_u64, |a, n| a.double(n)));
    let both = futures::future::join(first.count(), second.count());
    assert_eq!(engine.block_on(both), (50, 50), "two maps share the actors");
}

#[test]
fn a_pool_scales_between_its_bounds_and_replaces_the_dead() {
    let engine = engine();
    let made = Arc::new(AtomicUsize::new(0));
    let (maker, count) = (engine.clone(), Arc::clone(&made));
    let make = move || {
        count.fetch_add(1, Ordering::SeqCst);
        maker.actor(Counter(0)).spawn()
    };
    let pool = ActorPool::scaled(&engine, 1..=4, make).unwrap();
    assert_eq!((pool.len(), made.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(
        pool.map(0..100_u64, |actor, n| actor.double(n)).into_iter().filter(Result::is_ok).count(),
        100
    );
    assert_eq!((pool.len(), made.load(Ordering::SeqCst)), (1, 4), "up to four, and back to one");
    let results: Vec<_> = pool.map(0..6_u64, |actor, n| actor.explode_on(n)).into_iter().collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert_eq!(results[3].as_ref().unwrap_err().kind(), ErrorKind::Panicked);
    drop(pool);

    let fixed = ActorPool::new(&engine, [engine.actor(Counter(0)).spawn().unwrap()]);
    let results: Vec<_> = fixed.map(2..6_u64, |actor, n| actor.explode_on(n)).into_iter().collect();
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Panicked), Some(ErrorKind::ActorDead)], "nobody is left");
    let empty = ActorPool::scaled(&engine, 0..=0, || Err::<ActorHandle<Counter>, _>(unused())).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::InvalidArgument);
}

fn unused() -> Error {
    Error::new(ErrorKind::Internal, "test", "not called")
}
