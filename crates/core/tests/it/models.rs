//! Models of the lock-free parts: loom runs every interleaving of a few threads, with the memory orders the
//! code asks for. The files of the library are compiled here a second time, over loom's atomics.

use crate::sync::{self, Arc, AtomicUsize, Mutex, Ordering, UnsafeCell};

// shuttle's models (`schedules`) have it as well.
#[path = "../../src/runtime/idle.rs"]
#[allow(dead_code, clippy::duplicate_mod)]
mod idle;

#[path = "../../src/refs/raw.rs"]
#[allow(dead_code)]
pub(crate) mod raw;

/// Explores the model. With `preemptions`, interleavings with more switches away from a thread that could go
/// on are left out, which bounds the time and, as loom's authors found, still finds nearly all defects.
fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
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
    check(Some(4), || {
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
    check(Some(2), || {
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

/// A value whose end is seen by the model checker: reading it after that is an error, and so is a leak.
struct Token(Arc<UnsafeCell<usize>>);

impl Token {
    fn new(value: usize) -> Self {
        Self(Arc::new(UnsafeCell::new(value)))
    }

    fn value(&self) -> usize {
        // The access is what the model checker looks at.
        self.0.with(|value| value as usize);
        Arc::strong_count(&self.0)
    }
}

type Cell = raw::Core<Mutex<Vec<usize>>, usize, (), Token, Token>;

fn queued() -> Arc<Cell> {
    Arc::new(Cell::queued(Mutex::new(Vec::new()), (), Token::new(1)))
}

fn waiting() -> Arc<Cell> {
    Cell::wired(Mutex::new(Vec::new()), (), Token::new(1), |_, _| {}).0
}

/// Runs the cell as a worker does; the waiters to tell, and whether someone listens.
fn run(cell: Arc<Cell>) -> Option<(Vec<usize>, bool)> {
    let (job, claim) = Cell::claim(cell)?;
    assert_eq!(job.value(), 1);
    let told = claim.complete(Token::new(2));
    Some((told.waiters.collect(), told.listened))
}

#[test]
fn a_waiter_is_told_or_finds_the_outcome() {
    check(None, || {
        let cell = queued();
        let waiter = loom::thread::spawn({
            let cell = cell.clone();
            move || {
                let registered = cell.head.push(7).is_ok();
                // Not registered means done, and then the outcome is there to read.
                assert!(registered || cell.outcome().unwrap().value() == 1);
                registered
            }
        });
        let (told, _) = run(cell).unwrap();
        let registered = waiter.join().unwrap();
        assert_eq!(told, if registered { vec![7] } else { vec![] });
    });
}

/// As `Base::register` in `refs/cell.rs`: the list is under a lock, the mark in the cell.
#[test]
fn a_listener_is_told_or_finds_the_outcome() {
    check(None, || {
        let cell = queued();
        let listener = loom::thread::spawn({
            let cell = cell.clone();
            move || {
                let mut list = cell.head.rest.lock();
                let registered = cell.head.listen();
                if registered {
                    list.push(7);
                } else {
                    cell.outcome().unwrap().value();
                }
                registered
            }
        });
        let (_, listened) = run(cell.clone()).unwrap();
        let told = if listened { std::mem::take(&mut *cell.head.rest.lock()) } else { vec![] };
        let registered = listener.join().unwrap();
        assert_eq!(told, if registered { vec![7] } else { vec![] });
    });
}

/// A task with two dependencies: whoever completes the last of them queues it, once, and it reads both.
#[test]
fn the_last_dependency_starts_the_dependent() {
    check(Some(4), || {
        let (first, second) = (queued(), queued());
        let dependent = waiting();
        let pending = Arc::new(AtomicUsize::new(2));
        for cell in [&first, &second] {
            cell.head.push(0).unwrap();
        }
        let complete = move |cell: Arc<Cell>, others: [Arc<Cell>; 2], dependent: Arc<Cell>| {
            let (waiters, _) = run(cell).unwrap();
            assert_eq!(waiters.len(), 1);
            let last = pending.fetch_sub(1, Ordering::AcqRel) == 1;
            if last {
                assert!(dependent.head.queue());
                others.iter().for_each(|cell| assert_eq!(cell.outcome().unwrap().value(), 1));
                assert!(run(dependent).is_some());
            }
            last
        };
        let other = loom::thread::spawn({
            let (complete, cells) = (complete.clone(), [first.clone(), second.clone()]);
            let dependent = dependent.clone();
            move || complete(cells[0].clone(), cells, dependent)
        });
        let here = complete(second.clone(), [first, second], dependent.clone());
        assert!(here ^ other.join().unwrap());
        assert!(dependent.outcome().is_some());
    });
}

/// Completing, reading and giving up handles at once: the model checker reports leaks and use after free.
#[test]
fn the_last_handle_frees_the_cell() {
    check(None, || {
        let cell = queued();
        let _ = cell.head.push(3);
        let reader = loom::thread::spawn({
            let mut cell = cell.clone();
            move || {
                if let Some(outcome) = cell.outcome() {
                    outcome.value();
                }
                // The last handle takes the value.
                let taken = Arc::get_mut(&mut cell).and_then(|cell| cell.take());
                if let Some(token) = taken {
                    assert_eq!(token.value(), 1);
                    assert!(cell.outcome().is_none());
                }
            }
        });
        drop(run(cell));
        reader.join().unwrap();
    });
}

/// Cancel, readiness and a look at the job by a thread that waits: the job goes to exactly one of them.
#[test]
fn a_job_is_taken_once() {
    check(Some(2), || {
        let cell = waiting();
        let cancel = loom::thread::spawn({
            let cell = cell.clone();
            move || {
                Cell::claim_unstarted(cell).map(|(_, claim)| drop(claim.complete(Token::new(9)))).is_some()
            }
        });
        let look = loom::thread::spawn({
            let cell = cell.clone();
            move || cell.inspect(|job| assert_eq!(job.value(), 1))
        });
        let ran = cell.head.queue() && run(cell.clone()).is_some();
        assert!(ran ^ cancel.join().unwrap());
        look.join().unwrap();
        assert!(cell.outcome().is_some());
    });
}
