//! A model of `runtime/managed.rs`: the machine under a lock, cells, and memory, with threads that make tasks
//! ready, run, fail, cancel and shut down at once. loom runs the interleavings.
//!
//! The machine and the cells are the library's files; what carries the actions out is written as in the
//! library, without its queues: who gets `Start` runs the task.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::sync::{Arc, AtomicUsize, Mutex, Ordering};

#[path = "../../src/schedule/backoff.rs"]
#[allow(dead_code)]
pub(crate) mod backoff;

#[path = "../../src/schedule/demand.rs"]
#[allow(dead_code)]
pub(crate) mod demand;

#[path = "../../src/schedule/lineup.rs"]
#[allow(dead_code)]
pub(crate) mod lineup;

#[path = "../../src/schedule/machine.rs"]
#[allow(dead_code)]
pub(crate) mod machine;

use crate::models::raw;
use demand::{CPUS, Demand, MEMORY};
use machine::{Action, Ask, Doom, Event, Machine, TaskId};

/// A cell whose outcome says whether it ran.
type Cell = raw::Core<(), usize, (), bool, ()>;

struct Desk {
    machine: Mutex<Machine<TaskId>>,
    cells: Vec<Arc<Cell>>,
    /// Bytes taken from the budget, by task.
    held: Mutex<HashMap<TaskId, usize>>,
    budget: AtomicUsize,
    running: AtomicUsize,
    ran: AtomicUsize,
}

const TASK_BYTES: usize = 60;

impl Desk {
    /// Tasks that each want the one cpu there is, and more than half of the memory.
    fn new(tasks: usize) -> Arc<Self> {
        let desk = Arc::new(Self {
            machine: Mutex::new(Machine::new(&[10_000, 100])),
            cells: (0..tasks).map(|_| Cell::wired((), (), (), |_, _| {}).0).collect(),
            held: Mutex::new(HashMap::new()),
            budget: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            ran: AtomicUsize::new(0),
        });
        let ask =
            Ask { demand: Demand::new(vec![(CPUS, 10_000), (MEMORY, TASK_BYTES as u64)]), ..Ask::default() };
        let ask = std::sync::Arc::new(ask);
        for id in 0..tasks as TaskId {
            desk.tell(Event::Spawned { id, ask: ask.clone(), who: id });
        }
        desk
    }

    fn event(&self, event: Event<TaskId>) -> Vec<Action<TaskId>> {
        self.machine.lock().on(Duration::ZERO, event)
    }

    fn tell(&self, event: Event<TaskId>) {
        let mut todo: VecDeque<_> = self.event(event).into();
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Start { id, who } => {
                    self.budget.fetch_add(TASK_BYTES, Ordering::SeqCst);
                    self.held.lock().insert(id, TASK_BYTES);
                    if self.cells[who as usize].head.queue() {
                        self.run(id);
                    } else {
                        self.give_back(id);
                    }
                }
                Action::End { who, .. } => self.end_unstarted(who),
                Action::Resume { .. }
                | Action::Expire { .. }
                | Action::Retry { .. }
                | Action::GiveUp { .. } => {}
            }
        }
    }

    fn give_back(&self, id: TaskId) {
        if let Some(bytes) = self.held.lock().remove(&id) {
            self.budget.fetch_sub(bytes, Ordering::SeqCst);
        }
    }

    fn settle(&self, id: TaskId) {
        self.give_back(id);
        self.tell(Event::Ended { id });
    }

    fn run(&self, id: TaskId) {
        let Some(((), claim)) = Cell::claim(self.cells[id as usize].clone()) else { return };
        assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0, "there is one cpu");
        self.ran.fetch_add(1, Ordering::SeqCst);
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.settle(id);
        drop(claim.complete(true));
    }

    fn end_unstarted(&self, id: TaskId) {
        if let Some(((), claim)) = Cell::claim_unstarted(self.cells[id as usize].clone()) {
            self.settle(id);
            drop(claim.complete(false));
        }
    }

    fn cancel(&self, id: TaskId) {
        self.end_unstarted(id);
        self.tell(Event::Cancelled { id });
    }

    fn check(&self, least_ran: usize) {
        assert!(self.cells.iter().all(|cell| cell.outcome().is_some()), "a ref is left pending");
        assert_eq!(self.machine.lock().free(), [10_000, 100]);
        assert_eq!(self.budget.load(Ordering::SeqCst), 0);
        assert!(self.ran.load(Ordering::SeqCst) >= least_ran);
    }
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn two_become_ready_while_one_is_cancelled() {
    check(2, || {
        let desk = Desk::new(2);
        let threads: Vec<_> = (0..2)
            .map(|id| {
                let desk = desk.clone();
                loom::thread::spawn(move || desk.tell(Event::Ready { id }))
            })
            .collect();
        desk.cancel(0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        desk.check(1);
    });
}

#[test]
fn what_waits_when_the_engine_ends_is_completed() {
    check(2, || {
        let desk = Desk::new(2);
        let other = loom::thread::spawn({
            let desk = desk.clone();
            move || {
                desk.tell(Event::Ready { id: 0 });
                desk.tell(Event::Ready { id: 1 });
            }
        });
        desk.tell(Event::ShutDown);
        other.join().unwrap();
        desk.check(0);
        assert_eq!(
            desk.event(Event::Again { id: 7, who: 7 }),
            [Action::End { who: 7, doom: Doom::ShutDown }]
        );
    });
}
