//! The pool, the desk of tasks with options and the budget under random schedules: shuttle switches between
//! threads wherever one takes a lock or reads an atomic, as a fixed seed says, and calls a run in which all
//! threads wait a deadlock. loom (`models`) runs every interleaving, of what is small enough for that;
//! here are whole worker threads with their queues, spares and sleep.
//!
//! | from the library, compiled again | what is put in its place |
//! |---|---|
//! | `runtime/pool.rs`, `outside.rs`, `idle.rs`, `prioritised.rs`, `park.rs`, `managed.rs`, `memory/budget.rs`, `schedule/machine.rs`, `stuck.rs` | crossbeam's deques by lists under locks (`sync`), cells by a phase under a lock (`task`), events, replay and timers by nothing |
//!
//! Memory orders are not seen: shuttle takes every atomic for sequentially consistent. Those of `idle` and of
//! cells are loom's part.

use std::sync::{Arc, OnceLock};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, MaxSteps, Runner};
use trefoil_core::{Error, ErrorKind, Result, format_bytes};

use crate::desk::lineup::Lineup;
use crate::desk::machine::{self, Action, Doom, Event, Machine, TaskId, Time};
use budget::{Budget, Reservation};
use stuck::{Needs, find_cycle};
use task::{Managed, Stop, Task, lend_cpus, take_cpus_back};

mod memory;
mod options;
mod queues;
mod sync;
mod task;

#[path = "../../../src/memory/budget.rs"]
#[allow(dead_code)]
mod budget;

// loom's models have it as well.
#[path = "../../../src/runtime/idle.rs"]
#[allow(dead_code, clippy::duplicate_mod)]
mod idle;

#[path = "../../../src/runtime/managed.rs"]
#[allow(dead_code)]
mod managed;

#[path = "../../../src/runtime/outside.rs"]
#[allow(dead_code)]
mod outside;

#[path = "../../../src/runtime/park.rs"]
#[allow(dead_code)]
mod park;

#[path = "../../../src/runtime/pool.rs"]
#[allow(dead_code)]
mod pool;

#[path = "../../../src/runtime/prioritised.rs"]
#[allow(dead_code)]
mod prioritised;

#[path = "../../../src/schedule/stuck.rs"]
#[allow(dead_code)]
mod stuck;

/// Smaller than in the library: few tasks get to the turns of the others, and few steps to sleep.
mod tuning {
    pub(super) const MAX_SPARES: usize = 3;
    pub(super) const FAIR: u32 = 3;
    pub(super) const ROUNDS: usize = 2;
    pub(super) const BUSY_ROUNDS: usize = 1;
    pub(super) const NAP: std::time::Duration = std::time::Duration::ZERO;
    pub(super) const PAUSES: (u32, u32) = (1, 2);
    pub(super) const FEW: usize = 1;
    pub(super) const OFTEN: u32 = 2;
    pub(super) const TINY: std::time::Duration = std::time::Duration::from_nanos(500);
    pub(super) const SOON: u32 = 2;
    pub(super) const MOST: usize = 3;
}

/// Which engine a thread belongs to: nobody asks here.
mod home {
    pub(super) type Home = ();

    pub(super) fn settle(_: &super::Arc<Home>) {}
}

/// Engines without threads: there are none here.
mod replay {
    use futures::future::{AbortHandle, BoxFuture};

    use super::park::Parker;
    use super::pool::PoolShared;
    use super::{Arc, Task, Time};

    pub(super) enum Replay {}

    impl Replay {
        pub(super) fn new(_: u64) -> Self {
            unreachable!("pools of models have threads")
        }

        pub(super) fn push(&self, _: Task) {
            match *self {}
        }

        pub(super) fn len(&self) -> usize {
            match *self {}
        }

        pub(super) fn drain(&self) -> Vec<Task> {
            match *self {}
        }

        pub(super) fn now(&self) -> Time {
            match *self {}
        }
    }

    impl PoolShared {
        pub(super) fn drive_here(self: &Arc<Self>) {}

        pub(super) fn spawn_driven(self: &Arc<Self>, _: BoxFuture<'static, ()>) -> AbortHandle {
            unreachable!("pools of models have threads")
        }

        pub(super) fn drive_until(self: &Arc<Self>, _: &Parker) {}
    }
}

/// Events, which nobody records.
struct Hub;

impl Hub {
    fn emit(&self, kind: impl FnOnce() -> EventKind) {
        drop(kind());
    }

    fn idle(&self) {}
}

#[allow(dead_code)]
enum EventKind {
    MemoryPressure { consumer: Arc<str>, asked: usize, reserved: usize, refused: bool },
}

/// What there is: cpus in steps, and bytes.
pub(crate) struct Capacity([u64; 2]);

impl Capacity {
    fn amounts(&self) -> &[u64] {
        &self.0
    }

    fn name(&self, place: usize) -> &str {
        ["cpus", "memory"][place]
    }
}

const CPU: u64 = 10_000;

/// Steps after which a run is taken for one that does not end.
const STEPS: usize = 100_000;

const SEED: u64 = 0x7ef0_11ed;

/// Runs the model under `runs` schedules, the same each time: half of them switch anywhere, half seldom, at
/// points that are drawn, which finds what needs one thread to stand still for long.
fn check(runs: usize, model: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    // That memory orders are not seen.
    config.silence_warnings = true;
    Runner::new(RandomScheduler::new_from_seed(SEED, runs / 2), config.clone()).run(model);
    Runner::new(PctScheduler::new_from_seed(SEED, 3, runs / 2), config).run(model);
}

/// A pool of `workers` threads for tasks that ask for up to `cpus` and what is in the budget.
fn pool(workers: usize, cpus: u64, budget: &Budget) -> Arc<pool::PoolShared> {
    // For timers, of which there are none.
    static TOKIO: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let tokio = TOKIO.get_or_init(|| tokio::runtime::Builder::new_current_thread().build().unwrap());
    pool::PoolShared::start(pool::Parts {
        name: "model",
        workers,
        pinned: false,
        seed: None,
        capacity: Capacity([cpus * CPU, budget.limit() as u64]),
        budget: budget.clone(),
        cpu: tokio.handle().clone(),
        control: tokio.handle().clone(),
        events: Arc::new(Hub),
        home: Arc::default(),
    })
    .unwrap()
}
