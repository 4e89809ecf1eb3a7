//! Models of the lock-free parts: loom runs every interleaving of a few threads, with the memory orders the
//! code asks for. The files of the library are compiled here a second time, over loom's atomics.

use std::sync::Arc;

use crate::sync::{AtomicUsize, Ordering};

#[path = "../../src/runtime/idle.rs"]
#[allow(dead_code)]
mod idle;

/// Explores the model; more than three switches between runnable threads at a time are left out, which
/// bounds the time and, as loom's authors found, finds nearly all defects.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A queue of tasks that all are alike; relaxed, so that only `idle` orders push and look.
#[derive(Clone)]
struct Queue(Arc<(AtomicUsize, idle::Idle)>);

impl Queue {
    fn new() -> Self {
        Self(Arc::new((AtomicUsize::new(0), idle::Idle::new(1))))
    }

    fn push(&self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0.1.pushed();
    }

    fn is_empty(&self) -> bool {
        self.0.0.load(Ordering::Relaxed) == 0
    }

    fn take(&self) -> bool {
        self.0.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    /// A worker as in `pool`, until it has taken `count` tasks; a missed push leaves it asleep for ever,
    /// which loom reports as a deadlock.
    fn work(&self, count: usize) {
        let idle = &self.0.1;
        let mut searching = false;
        let mut taken = 0;
        while taken < count {
            let mut found = self.take();
            if !found {
                searching = searching || idle.search();
                found = searching && self.take();
            }
            if found {
                taken += 1;
                if std::mem::take(&mut searching) {
                    idle.found(|| !self.is_empty());
                }
            } else {
                searching = idle.sleep(searching, || !self.is_empty());
            }
        }
        if searching {
            idle.found(|| !self.is_empty());
        }
        idle.pushed();
    }
}

#[test]
fn a_sleeper_misses_no_push() {
    check(|| {
        let queue = Queue::new();
        let worker = loom::thread::spawn({
            let queue = queue.clone();
            move || queue.work(2)
        });
        queue.push();
        queue.push();
        worker.join().unwrap();
    });
}

#[test]
fn a_push_that_relied_on_a_searcher_wakes_the_next_worker() {
    check(|| {
        let queue = Queue::new();
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                // Each takes one task and ends: nobody comes back for what was left.
                loom::thread::spawn(move || queue.work(1))
            })
            .collect();
        queue.push();
        queue.push();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}
