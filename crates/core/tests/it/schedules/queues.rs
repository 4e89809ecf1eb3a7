//! The pool's threads: no push is missed, no task is lost or run twice, no thread is missing or left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pool::PoolShared;
use super::task::{Cell, End, Task};
use super::{Budget, check, pool};
use crate::desk::machine::Ask;

/// Counts runs; not one of the model's atomics, so that it adds no steps.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicUsize>);

impl Runs {
    fn task(&self, pool: &Arc<PoolShared>, number: u64) -> Task {
        let runs = self.clone();
        Cell::new(pool, number, None, move |_| runs.add())
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn urgent() -> Ask {
    Ask { priority: 1, ..Ask::default() }
}

/// Ends the pool, and waits until its threads, and whatever holds it, are gone.
fn end(pool: Arc<PoolShared>) {
    pool.shut_down();
    while Arc::strong_count(&pool) > 1 {
        shuttle::thread::yield_now();
    }
}

#[test]
fn every_push_is_run_once() {
    check(1000, || {
        let (pool, runs) = (pool(2, 2, &Budget::new(100)), Runs::default());
        let push = |from: u64, pool: &Arc<PoolShared>, runs: &Runs| -> Vec<Task> {
            let child = runs.task(pool, from + 1);
            let parent = Cell::new(pool, from, None, {
                let (runs, child) = (runs.clone(), Arc::clone(&child));
                move |_| {
                    runs.add();
                    // Into the deque of the worker, which may be stolen from.
                    child.spawn();
                }
            });
            let other = Cell::new(pool, from + 2, Some(urgent()), {
                let runs = runs.clone();
                move |_| runs.add()
            });
            parent.spawn();
            other.spawn();
            vec![parent, child, other]
        };
        let helper = shuttle::thread::spawn({
            let (pool, runs) = (Arc::clone(&pool), runs.clone());
            move || push(10, &pool, &runs)
        });
        let mut tasks = push(20, &pool, &runs);
        tasks.extend(helper.join().unwrap());
        for task in &tasks {
            assert_eq!(task.wait().unwrap(), End::Ran);
        }
        assert_eq!(runs.get(), tasks.len());
        drop(tasks);
        end(pool);
    });
}

/// Two threads outside that push so much that they get deques of their own, which are full in between; one ends at
/// once.
#[test]
fn what_threads_outside_push_is_run_once() {
    check(1000, || {
        let (pool, runs) = (pool(2, 2, &Budget::new(100)), Runs::default());
        let push = |from: u64, count: u64, pool: &Arc<PoolShared>, runs: &Runs| -> Vec<Task> {
            let tasks: Vec<Task> = (from..from + count).map(|number| runs.task(pool, number)).collect();
            tasks.iter().for_each(Cell::spawn);
            tasks
        };
        let helper = shuttle::thread::spawn({
            let (pool, runs) = (Arc::clone(&pool), runs.clone());
            move || push(10, 4, &pool, &runs)
        });
        let mut tasks = push(20, 7, &pool, &runs);
        tasks.extend(helper.join().unwrap());
        for task in &tasks {
            assert_eq!(task.wait().unwrap(), End::Ran);
        }
        assert_eq!(runs.get(), tasks.len());
        drop(tasks);
        end(pool);
    });
}

/// Three that each run only while the others do, and do not tell the pool that they wait: whoever takes several
/// from a queue has somebody else woken for the next.
#[test]
fn as_many_run_at_once_as_there_are_workers() {
    check(1000, || {
        let (pool, runs) = (pool(3, 3, &Budget::new(100)), Runs::default());
        let all = Arc::new(shuttle::sync::Barrier::new(3));
        let tasks: Vec<Task> = (0..3)
            .map(|number| {
                let (runs, all) = (runs.clone(), Arc::clone(&all));
                Cell::new(&pool, number, None, move |_| {
                    all.wait();
                    runs.add();
                })
            })
            .collect();
        tasks.iter().for_each(Cell::spawn);
        for task in &tasks {
            assert_eq!(task.wait().unwrap(), End::Ran);
        }
        drop(tasks);
        end(pool);
    });
}

/// Two that wait for one: the worker keeps the first for itself and the other is to be found by someone.
#[test]
fn what_a_task_makes_ready_is_run() {
    check(1000, || {
        let (pool, runs) = (pool(2, 2, &Budget::new(100)), Runs::default());
        let last = runs.task(&pool, 1);
        let middle: Vec<Task> = (2..5)
            .map(|number| {
                let runs = runs.clone();
                Cell::followed(&pool, number, None, vec![Arc::clone(&last)], move |_| runs.add())
            })
            .collect();
        let first = Cell::followed(&pool, 5, Some(urgent()), middle, |_| {});
        first.spawn();
        drop(first);
        assert_eq!(last.wait().unwrap(), End::Ran);
        assert_eq!(runs.get(), 4);
        drop(last);
        end(pool);
    });
}

/// Each waits for the one made before it, which is queued behind it, and leaves a child in the deque of its thread, which may
/// be one too many when it goes on. The second round is run only if neither is a thread missing.
#[test]
fn a_thread_that_blocks_is_replaced() {
    check(1000, || {
        let (pool, runs) = (pool(1, 1, &Budget::new(100)), Runs::default());
        for round in 0..2 {
            let mut tasks = vec![runs.task(&pool, round * 10)];
            for number in 1..4 {
                let child = runs.task(&pool, round * 10 + number + 3);
                let awaited = Arc::clone(tasks.last().unwrap());
                let parent = Cell::new(&pool, round * 10 + number, None, {
                    let (runs, child) = (runs.clone(), Arc::clone(&child));
                    move |_| {
                        child.spawn();
                        assert_eq!(awaited.wait().unwrap(), End::Ran);
                        runs.add();
                    }
                });
                tasks.extend([child, parent]);
            }
            [6, 4, 2, 0].into_iter().for_each(|at| tasks[at].spawn());
            tasks.iter().for_each(|task| assert_eq!(task.wait().unwrap(), End::Ran));
        }
        assert_eq!(runs.get(), 14);
        end(pool);
    });
}

/// Whatever comes before, while or after the pool ends: it runs, or it is told that it will not.
#[test]
fn the_end_leaves_nobody_waiting() {
    check(1000, || {
        let (pool, runs) = (pool(2, 2, &Budget::new(100)), Runs::default());
        let pushers: Vec<_> = (0..2)
            .map(|from| {
                let (pool, runs) = (Arc::clone(&pool), runs.clone());
                shuttle::thread::spawn(move || {
                    let plain = runs.task(&pool, from * 10);
                    let awaits = Cell::new(&pool, from * 10 + 1, None, {
                        let (runs, plain) = (runs.clone(), Arc::clone(&plain));
                        move |_| {
                            plain.wait().unwrap();
                            runs.add();
                        }
                    });
                    let late =
                        Cell::new(&pool, from * 10 + 2, Some(Ask { priority: -1, ..Ask::default() }), {
                            let runs = runs.clone();
                            move |_| runs.add()
                        });
                    [&awaits, &late, &plain].into_iter().for_each(Cell::spawn);
                    [awaits, late, plain]
                })
            })
            .collect();
        // The worker that runs the first keeps the next, just when the end comes.
        let next = runs.task(&pool, 100);
        let first = Cell::followed(&pool, 101, None, vec![Arc::clone(&next)], |_| {});
        first.spawn();
        first.wait().unwrap();
        pool.shut_down();
        let mut ran = usize::from(next.wait().unwrap() == End::Ran);
        for pusher in pushers {
            for task in pusher.join().unwrap() {
                ran += usize::from(task.wait().unwrap() == End::Ran);
            }
        }
        assert_eq!(runs.get(), ran);
        drop((first, next));
        end(pool);
    });
}
