//! Tasks as the pool sees them, with a phase under a lock in the place of the library's cells.

use std::cell::RefCell;
use std::sync::Arc;

use trefoil_core::{Error, Result};

use super::machine::{Ask, Event, TaskId};
use super::managed::Wait;
use super::park::Parker;
use super::pool::{PoolShared, keep_first, worker_pool};
use super::sync::{AtomicUsize, Mutex, Ordering, thread_local};

pub(crate) type Task = Arc<Cell>;

/// The options of a task.
pub(crate) struct Managed {
    pub(crate) ask: Arc<Ask>,
}

impl Managed {
    pub(crate) fn memory(&self) -> usize {
        self.ask.memory() as usize
    }
}

/// Why a task is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    Expired,
    ShutDown,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Ran,
    NeverRan,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Queued,
    Claimed,
    Done(End),
}

struct State {
    phase: Phase,
    waiters: Vec<Arc<Parker>>,
}

pub(crate) struct Base {
    pub(crate) rest: Rest,
    state: Mutex<State>,
}

pub(crate) struct Rest(TaskId);

impl Rest {
    pub(crate) fn number(&self) -> TaskId {
        self.0
    }
}

impl Base {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Done(_))
    }
}

type Work = Box<dyn Fn(&Task) + Send + Sync>;

pub(crate) struct Cell {
    base: Base,
    pool: Arc<PoolShared>,
    managed: Option<Managed>,
    /// Made ready by its end, whichever that is.
    then: Vec<Task>,
    pending: AtomicUsize,
    work: Mutex<Option<Work>>,
}

struct Current {
    task: Task,
    lent: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

impl Cell {
    /// A task that nobody has queued. `number` is its own.
    pub(super) fn new(
        pool: &Arc<PoolShared>,
        number: TaskId,
        ask: Option<Ask>,
        work: impl Fn(&Task) + Send + Sync + 'static,
    ) -> Task {
        Self::followed(pool, number, ask, Vec::new(), work)
    }

    /// A task whose end makes others ready.
    pub(super) fn followed(
        pool: &Arc<PoolShared>,
        number: TaskId,
        ask: Option<Ask>,
        then: Vec<Task>,
        work: impl Fn(&Task) + Send + Sync + 'static,
    ) -> Task {
        then.iter().for_each(|next| {
            next.pending.fetch_add(1, Ordering::SeqCst);
        });
        Arc::new(Self {
            base: Base {
                rest: Rest(number),
                state: Mutex::new(State { phase: Phase::Waiting, waiters: Vec::new() }),
            },
            pool: Arc::clone(pool),
            managed: ask.map(|ask| Managed { ask: Arc::new(ask) }),
            then,
            pending: AtomicUsize::new(0),
            work: Mutex::new(Some(Box::new(work))),
        })
    }

    /// Hands the task to the pool, as the library's `TaskCell::make` does.
    pub(super) fn spawn(self: &Arc<Self>) {
        if let Some(managed) = &self.managed {
            self.pool.spawned(self.number(), managed, Arc::clone(self));
            let claimed = matches!(self.base.state.lock().phase, Phase::Claimed | Phase::Done(_));
            if claimed {
                self.pool.ended(self.number());
            }
        }
        self.ready();
    }

    fn number(&self) -> TaskId {
        self.base.rest.number()
    }

    fn ready(self: &Arc<Self>) {
        match &self.managed {
            Some(_) => self.pool.admit(self.number(), Arc::clone(self)),
            None => drop(self.pool.push_if_waiting(Arc::clone(self))),
        }
    }

    /// Takes the right to end it, if it is in one of these phases.
    fn claim(&self, from: &[Phase]) -> bool {
        let mut state = self.base.state.lock();
        let claimed = from.contains(&state.phase);
        if claimed {
            state.phase = Phase::Claimed;
        }
        claimed
    }

    fn end(self: Arc<Self>, end: End) {
        if self.managed.is_some() {
            self.pool.ended(self.number());
        }
        // Handles that the work holds go before anybody hears of the end.
        drop(self.work.lock().take());
        let mut state = self.base.state.lock();
        state.phase = Phase::Done(end);
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        if !self.then.is_empty() {
            keep_first(|| {
                for next in &self.then {
                    if next.pending.fetch_sub(1, Ordering::SeqCst) == 1 {
                        next.ready();
                    }
                }
            });
        }
        waiters.iter().for_each(|parker| parker.unpark());
    }

    fn park(self: &Arc<Self>) {
        let parker = Arc::new(Parker::default());
        let mut state = self.base.state.lock();
        if matches!(state.phase, Phase::Done(_)) {
            return;
        }
        state.waiters.push(Arc::clone(&parker));
        drop(state);
        parker.park(None);
    }

    /// Waits for the end, as `wait_blocking` does, but runs nothing inside.
    pub(super) fn wait(self: &Arc<Self>) -> Result<End> {
        let current =
            CURRENT.with_borrow(|current| current.as_ref().map(|current| Arc::clone(&current.task)));
        let outcome = self.wait_in(current.as_ref());
        if let Some(current) = current {
            self.pool.forget_wait(current.number());
        }
        outcome
    }

    fn wait_in(self: &Arc<Self>, current: Option<&Task>) -> Result<End> {
        loop {
            if let Phase::Done(end) = self.base.state.lock().phase {
                return Ok(end);
            }
            match (worker_pool(), current) {
                (Some(pool), Some(current)) => {
                    lend_cpus();
                    let wait = Wait { name: current.number().to_string(), awaited: Arc::clone(self) };
                    let noted = pool.note_waits([(current.number(), wait)], current);
                    if let Err(error) = noted {
                        take_cpus_back();
                        return Err(error);
                    }
                    pool.blocking(|| self.park());
                }
                _ => self.park(),
            }
        }
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    pub(crate) fn queue(&self) -> bool {
        let mut state = self.base.state.lock();
        let waiting = state.phase == Phase::Waiting;
        if waiting {
            state.phase = Phase::Queued;
        }
        waiting
    }

    pub(crate) fn run(self: Arc<Self>) {
        if !self.claim(&[Phase::Queued]) {
            return;
        }
        CURRENT.set(Some(Current { task: Arc::clone(&self), lent: false }));
        let work = self.work.lock().take();
        if let Some(work) = work {
            work(&self);
        }
        drop(CURRENT.take());
        self.end(End::Ran);
    }

    pub(crate) fn fail_unstarted(self: Arc<Self>, _: Error) {
        if self.claim(&[Phase::Waiting, Phase::Queued]) {
            self.end(End::NeverRan);
        }
    }

    pub(crate) fn stop(self: Arc<Self>, _: Stop) -> bool {
        if self.base.is_done() {
            return false;
        }
        if self.claim(&[Phase::Waiting, Phase::Queued]) {
            self.end(End::NeverRan);
        } else if self.managed.is_some() {
            self.pool.tell(Event::Cancelled { id: self.number() });
        }
        true
    }

    pub(crate) fn upstream(&self, _: &mut dyn FnMut(Task)) {}

    pub(crate) fn managed(&self) -> Option<&Managed> {
        self.managed.as_ref()
    }

    pub(crate) fn name(&self) -> Option<String> {
        Some(self.number().to_string())
    }
}

pub(crate) fn lend_cpus() {
    let lending = CURRENT.with_borrow_mut(|current| {
        let current = current.as_mut().filter(|current| !current.lent && current.task.managed.is_some())?;
        current.lent = true;
        Some(Arc::clone(&current.task))
    });
    if let Some(task) = lending {
        task.pool.lend_cpus(task.number());
    }
}

pub(crate) fn take_cpus_back() {
    let lent = CURRENT.with_borrow_mut(|current| {
        let current = current.as_mut().filter(|current| current.lent)?;
        current.lent = false;
        Some(Arc::clone(&current.task))
    });
    if let Some(task) = lent {
        task.pool.take_cpus_back(task.number());
    }
}
