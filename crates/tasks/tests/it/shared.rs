//! Queue, semaphore, event and barrier: shared by tasks and actors, async and blocking, safe to cancel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use trefoil_tasks::sync::{Barrier, Event, Queue, Semaphore};
use trefoil_tasks::{ActorSession, Engine, ErrorKind, Ref, actor, registry, task};

use crate::engine;

#[task]
fn fill(queue: Queue<u64>, from: u64, count: u64) -> Result<(), trefoil_tasks::Error> {
    (from..from + count).try_for_each(|i| queue.blocking_put(i))
}

struct Reader(Vec<u64>);

#[actor]
impl Reader {
    pub fn read(&mut self, queue: &Queue<u64>, count: u64) -> u64 {
        for _ in 0..count {
            self.0.extend(queue.blocking_get());
        }
        self.0.iter().sum()
    }
}

#[test]
fn tasks_and_actors_share_a_queue() {
    let engine = engine();
    let queue: Queue<u64> = Queue::bounded(3);
    let reader = engine.actor(Reader(Vec::new())).spawn().unwrap();
    let total = reader.read(queue.clone(), 400);
    let writers: Vec<Ref<()>> = (0..4).map(|i| engine.spawn(fill(queue.clone(), i * 100, 100))).collect();
    engine.block_on(engine.gather(writers)).unwrap();
    assert_eq!(total.get().unwrap(), (0..400).sum::<u64>());
    assert!(queue.is_empty());
}

#[test]
fn more_blocked_tasks_than_workers() {
    let engine = Engine::builder().workers(1).memory("64MiB").build().unwrap();
    let (queue, gate) = (Queue::<u64>::unbounded(), Event::new());
    let readers: Vec<Ref<Option<u64>>> = (0..20)
        .map(|_| {
            let (queue, gate) = (queue.clone(), gate.clone());
            engine.spawn_fn(move || {
                gate.blocking_wait();
                queue.blocking_get()
            })
        })
        .collect();
    let inner = queue.clone();
    engine.try_spawn_fn(move || (0..20).try_for_each(|i| inner.try_put(i))).get().unwrap();
    gate.set();
    let mut read: Vec<u64> = readers.iter().map(|one| one.get().unwrap().unwrap()).collect();
    read.sort_unstable();
    assert_eq!(read, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_full_or_closed_queue_says_so() {
    let queue: Queue<u64> = Queue::bounded(1);
    queue.try_put(1).unwrap();
    assert_eq!(queue.try_put(2).unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(queue.capacity(), Some(1));
    let engine = engine();
    let waiting = {
        let queue = queue.clone();
        engine.spawn_async(async move { queue.put(3).await })
    };
    queue.close();
    assert_eq!(waiting.get().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(queue.try_put(4).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(queue.blocking_get(), Some(1), "what is in it can be read");
    assert_eq!(queue.blocking_get(), None);
    assert_eq!(queue.try_get(), None);
}

#[test]
fn timeouts() {
    let soon = Duration::from_millis(2);
    let timed_out = |kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::TimedOut));
    let queue: Queue<u64> = Queue::unbounded();
    timed_out(queue.blocking_get_timeout(soon).err().map(|e| e.kind()));
    timed_out(Event::new().blocking_wait_timeout(soon).err().map(|e| e.kind()));
    timed_out(Semaphore::new(0).blocking_acquire_timeout(soon).err().map(|e| e.kind()));
    let barrier = Barrier::new(2);
    timed_out(barrier.blocking_wait_timeout(soon).err().map(|e| e.kind()));
    assert_eq!(format!("{barrier:?}"), "Barrier(0 of 2 waiting)", "a wait that ended does not count");
    queue.try_put(1).unwrap();
    assert_eq!(queue.blocking_get_timeout(soon).unwrap(), Some(1), "the wait before took nothing");
}

#[test]
fn at_most_so_many_at_once() {
    let engine = engine();
    let (semaphore, now, most) =
        (Semaphore::new(3), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let work: Vec<Ref<()>> = (0..60)
        .map(|_| {
            let (semaphore, now, most) = (semaphore.clone(), Arc::clone(&now), Arc::clone(&most));
            engine.spawn_async(async move {
                let _permit = semaphore.acquire().await?;
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        })
        .collect();
    engine.block_on(engine.gather(work)).unwrap();
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_eq!(semaphore.available(), 3);
    semaphore.close();
    assert_eq!(semaphore.blocking_acquire().unwrap_err().kind(), ErrorKind::Closed);
    assert!(semaphore.try_acquire().is_none());
}

#[test]
fn a_cancelled_wait_takes_nothing() {
    let engine = engine();
    let (queue, semaphore, event) = (Queue::<u64>::bounded(1), Semaphore::new(1), Event::new());
    engine.block_on(async {
        queue.put(1).await.unwrap();
        let permit = semaphore.acquire().await.unwrap();
        for _ in 0..10 {
            let mut put = Box::pin(queue.put(2));
            let mut acquire = Box::pin(semaphore.acquire());
            let mut wait = Box::pin(event.wait());
            assert!(futures::poll!(&mut put).is_pending());
            assert!(futures::poll!(&mut acquire).is_pending());
            assert!(futures::poll!(&mut wait).is_pending());
        }
        drop(permit);
        assert_eq!(semaphore.available(), 1);
        assert_eq!(queue.get().await, Some(1));
        let mut get = Box::pin(queue.get());
        assert!(futures::poll!(&mut get).is_pending());
        queue.put(5).await.unwrap();
        drop(get);
        assert_eq!(queue.get().await, Some(5), "the dropped reader did not lose it");
    });
}

#[test]
fn a_barrier_meets_again_and_again() {
    let engine = engine();
    let barrier = Barrier::new(4);
    let rounds = 50;
    let parties: Vec<Ref<usize>> = (0..4)
        .map(|_| {
            let barrier = barrier.clone();
            engine.spawn_async(async move {
                let mut led = 0;
                for _ in 0..rounds {
                    led += usize::from(barrier.wait().await);
                }
                Ok(led)
            })
        })
        .collect();
    let led: usize = engine.block_on(engine.gather(parties)).unwrap().iter().sum();
    assert_eq!(led, rounds, "one leads each round");
}

#[test]
fn handles_travel_within_the_process() {
    let queue: Queue<u64> = Queue::unbounded();
    let bytes = registry::encode(&queue).unwrap();
    let same: Queue<u64> = registry::decode(&bytes).unwrap();
    same.try_put(1).unwrap();
    assert_eq!(queue.try_get(), Some(1));
    assert!(registry::decode::<Queue<String>>(&bytes).is_err(), "of another type");
    drop((queue, same));
    assert!(registry::decode::<Queue<u64>>(&bytes).is_err());
}

proptest! {
    /// Random operations on a queue against a list.
    #[test]
    fn a_queue_is_a_list(capacity in 1..6_usize, operations in prop::collection::vec(0..5_u8, 0..80)) {
        let queue: Queue<usize> = Queue::bounded(capacity);
        let mut list = VecDeque::new();
        let mut open = true;
        for (at, operation) in operations.into_iter().enumerate() {
            match operation {
                0 | 1 => {
                    let result = queue.try_put(at).map_err(|error| error.kind());
                    let expect = match (open, list.len() < capacity) {
                        (false, _) => Err(ErrorKind::Closed),
                        (true, false) => Err(ErrorKind::Overloaded),
                        (true, true) => {
                            list.push_back(at);
                            Ok(())
                        }
                    };
                    prop_assert_eq!(result, expect);
                }
                2 | 3 => prop_assert_eq!(queue.try_get(), list.pop_front()),
                _ if at % 7 == 0 => {
                    queue.close();
                    open = false;
                }
                _ => prop_assert_eq!(queue.len(), list.len()),
            }
        }
    }
}
