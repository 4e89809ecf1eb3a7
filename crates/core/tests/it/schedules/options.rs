//! Tasks with options: nothing is granted twice, everything comes back, nobody waits for what will not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use trefoil_core::ErrorKind;

use super::pool::PoolShared;
use super::task::{Cell, End, Stop, Task};
use super::{CPU, check, pool};
use crate::desk::demand::{CPUS, Demand, MEMORY};
use crate::desk::machine::Ask;

/// Asks for this many cpus and bytes.
fn ask(cpus: u64, bytes: u64) -> Ask {
    Ask { demand: Demand::new(vec![(CPUS, cpus * CPU), (MEMORY, bytes)]), ..Ask::default() }
}

/// The one cpu there is.
#[derive(Clone, Default)]
struct Cpu(Arc<AtomicUsize>);

impl Cpu {
    fn on(&self, work: impl FnOnce()) {
        assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0, "granted twice");
        shuttle::thread::yield_now();
        work();
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// While the task that has it blocks.
    fn lent<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.0.fetch_sub(1, Ordering::SeqCst);
        let result = wait();
        assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0, "granted twice");
        result
    }
}

/// Ends the pool, waits until nobody has a hand in it, and looks whether it has everything back.
fn end(pool: Arc<PoolShared>, budget: &super::Budget) {
    pool.shut_down();
    while Arc::strong_count(&pool) > 1 {
        shuttle::thread::yield_now();
    }
    assert_eq!(budget.reserved(), 0);
    assert!(budget.peak() <= 100);
}

/// Each wants the cpu, and more than half of the memory; two are cancelled whenever that comes: before they have
/// it, between the grant and the queue, while they run.
#[test]
fn a_grant_is_given_back_however_its_task_ends() {
    check(1000, || {
        let (pool, budget) = pool_and_budget(2);
        let cpu = Cpu::default();
        let tasks: Vec<Task> = (1..4)
            .map(|number| {
                let cpu = cpu.clone();
                Cell::new(&pool, number, Some(ask(1, 60)), move |_| cpu.on(|| {}))
            })
            .collect();
        let cancel = shuttle::thread::spawn({
            let tasks = [Arc::clone(&tasks[0]), Arc::clone(&tasks[1])];
            move || tasks.map(|task| task.stop(Stop::Cancelled))
        });
        tasks.iter().for_each(Cell::spawn);
        let ends: Vec<End> = tasks.iter().map(|task| task.wait().unwrap()).collect();
        let cancelled = cancel.join().unwrap();
        for (end, cancelled) in ends.iter().zip([cancelled[0], cancelled[1], false]) {
            assert!(cancelled || *end == End::Ran);
        }
        drop(tasks);
        end(pool, &budget);
    });
}

fn pool_and_budget(workers: usize) -> (Arc<PoolShared>, super::Budget) {
    let budget = super::Budget::new(100);
    (pool(workers, 1, &budget), budget)
}

/// What a task waits for wants the cpu that it has.
#[test]
fn a_task_that_blocks_lends_its_cpu() {
    check(1000, || {
        let (pool, budget) = pool_and_budget(2);
        let cpu = Cpu::default();
        let tasks: Vec<Task> = (0..2)
            .map(|at| {
                let inner = Cell::new(&pool, at * 10 + 1, Some(ask(1, 0)), {
                    let cpu = cpu.clone();
                    move |_| cpu.on(|| {})
                });
                let cpu = cpu.clone();
                Cell::new(&pool, at * 10, Some(ask(1, 40)), move |_| {
                    cpu.on(|| {
                        inner.spawn();
                        assert_eq!(cpu.lent(|| inner.wait()).unwrap(), End::Ran);
                    });
                })
            })
            .collect();
        tasks.iter().for_each(Cell::spawn);
        tasks.iter().for_each(|task| assert_eq!(task.wait().unwrap(), End::Ran));
        drop(tasks);
        end(pool, &budget);
    });
}

/// Two that wait for each other: at least one is told.
#[test]
fn who_closes_a_cycle_is_told() {
    check(1000, || {
        let (pool, budget) = pool_and_budget(2);
        let told = Arc::new(AtomicUsize::new(0));
        let other: Arc<super::OnceLock<Task>> = Arc::default();
        let wait = |for_whom: &Task, told: &AtomicUsize| {
            if let Err(error) = for_whom.wait() {
                assert_eq!(error.kind(), ErrorKind::Deadlock);
                told.fetch_add(1, Ordering::SeqCst);
            }
        };
        let first = Cell::new(&pool, 1, None, {
            let (other, told) = (Arc::clone(&other), Arc::clone(&told));
            move |_| wait(other.get().unwrap(), &told)
        });
        let second = Cell::new(&pool, 2, None, {
            let (first, told) = (Arc::clone(&first), Arc::clone(&told));
            move |_| wait(&first, &told)
        });
        other.set(Arc::clone(&second)).ok().unwrap();
        first.spawn();
        second.spawn();
        first.wait().unwrap();
        second.wait().unwrap();
        assert!(told.load(Ordering::SeqCst) >= 1);
        drop((first, second, other));
        end(pool, &budget);
    });
}

/// Tasks in line, with a grant, and not yet known when the engine ends.
#[test]
fn the_end_takes_every_grant_back() {
    check(1000, || {
        let (pool, budget) = pool_and_budget(2);
        let cpu = Cpu::default();
        let spawner = shuttle::thread::spawn({
            let (pool, cpu) = (Arc::clone(&pool), cpu.clone());
            move || {
                let tasks: Vec<Task> = (1..4)
                    .map(|number| {
                        let cpu = cpu.clone();
                        Cell::new(&pool, number, Some(ask(1, 60)), move |_| cpu.on(|| {}))
                    })
                    .collect();
                tasks.iter().for_each(Cell::spawn);
                tasks
            }
        });
        pool.shut_down();
        spawner.join().unwrap().iter().for_each(|task| {
            task.wait().unwrap();
        });
        end(pool, &budget);
    });
}
