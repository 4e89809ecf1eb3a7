//! Threads: the task pool, the three tokio runtimes, and blocking waits that cannot starve them.
//!
//! Who runs what:
//! - the task pool (`pool`): `workers` threads with work-stealing deques; synchronous tasks;
//! - the CPU runtime (tokio, `workers` threads): DataFusion's operators and async tasks;
//! - the control runtime (tokio, 2 threads): actors, timers and IO, so that they stay prompt;
//! - the light runtime (tokio, 2 threads): planning and light queries, for the same reason (`place`).
//!
//! Tasks with options pass `managed` on their way from their dependencies to the pool, which drives the pure
//! state machine of `schedule`. An engine for tests has no worker threads: `replay` runs its tasks.
//!
//! Order of shutdown: the pool refuses new tasks and fails queued ones, then the runtimes drop their
//! futures (whose guards complete their refs), without waiting for running code. No ref is left pending.

mod home;
mod idle;
mod managed;
mod outside;
mod park;
mod place;
mod pool;
mod prioritised;
mod replay;
mod tuning;
mod wait;

// What the files that models compile again take from elsewhere: by `super`, see `sync`.
use crate::error::{Error, ErrorKind, Result};
use crate::events::Hub;
use crate::memory::{Budget, Reservation};
use crate::refs::{Managed, Stop, Task, lend_cpus, take_cpus_back};
use crate::schedule::{Action, Capacity, Doom, Event, Lineup, Machine, Needs, TaskId, Time, find_cycle};
use crate::sync;
use home::at_home;
pub(crate) use home::{Home, settle, thread_home};
pub(crate) use managed::Wait;
pub(crate) use park::Parker;
pub(crate) use place::AbortOnDrop;
pub(crate) use pool::{Abort, Parts, PoolShared, keep_first, shut_down};
pub(crate) use wait::{block_on, block_on_until, mark_runtime_thread, wait_blocking};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn who_spawns_much_is_listed_until_the_end_of_the_thread() {
        let engine = crate::Engine::builder().workers(2).build().unwrap();
        let pool = Arc::clone(engine.pool());
        for (count, listed) in [(tuning::SOON - 1, 2), (tuning::SOON, 3), (1000, 3)] {
            let (engine, pool) = (engine.clone(), Arc::clone(&pool));
            let seen = std::thread::spawn(move || {
                (0..count).for_each(|_| drop(engine.spawn_fn(|| ())));
                pool.listed()
            });
            assert_eq!(seen.join().unwrap(), listed, "after {count} tasks");
        }
        assert_eq!(pool.listed(), 2);
    }

    /// Clock-free: a worker on the condition variable uses no processor time until it is woken.
    #[test]
    fn idle_workers_end_up_asleep() {
        let cpu = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let pool = PoolShared::start(Parts {
            name: "idle",
            workers: 3,
            pinned: false,
            seed: None,
            capacity: Capacity::new(3, 1 << 20, &[]),
            budget: Budget::new(1 << 20),
            cpu: cpu.handle().clone(),
            control: cpu.handle().clone(),
            events: Hub::new(None),
            home: Arc::default(),
        })
        .unwrap();
        let all_asleep = || {
            while pool.load().0 > 0 {
                std::thread::yield_now();
            }
        };
        all_asleep();
        for _ in 0..100 {
            // Wakes one, for nothing.
            pool.submit_all([]);
            all_asleep();
        }
        pool.shut_down();
    }
}
