//! Tasks with options: carries out what `schedule`'s machine says. Here are its lock, its clock, the budget,
//! and the waits that a program could lock itself up with.
//!
//! ```text
//!   cell, timer, waiting thread ──event──> machine (under the lock) ──actions──> start, resume, end, expire
//! ```
//!
//! Actions are carried out after the lock is given back, in a loop; they may meet a task that has ended
//! meanwhile, and then do nothing. One task of the control runtime sleeps until the next timer; it is only
//! started when there is one. Memory is taken from the budget between the machine's grant and the queue, and
//! given back before the machine hears that the task has ended.
//!
//! *Deadlocks.* A thread that is about to park in a task notes what the tasks on its stack wait for, and
//! looks for a cycle through waiting, blocked and resource-hungry tasks; so does a task that did not get
//! what it asked for. All under one lock, so whoever closes a cycle sees it. Waits with a time limit end by
//! themselves, and what is awaited in async code may be one of several things; neither is noted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::park::Parker;
use super::pool::PoolShared;
use super::sync::{AtomicBool, Mutex, Ordering};
use super::{Action, Capacity, Doom, Event, Machine, Needs, TaskId, Time, find_cycle};
use super::{Budget, Error, ErrorKind, Managed, Reservation, Result, Stop, Task};

/// Tasks looked at before the search for a cycle is given up.
const MOST_LOOKED_AT: usize = 50_000;

/// A blocked task: its name, and what it waits for.
pub(crate) struct Wait {
    pub(crate) name: String,
    pub(crate) awaited: Task,
}

/// Who holds something, and what.
type Holder = (TaskId, Task, Vec<(usize, u64)>);

/// The pool's part for tasks with options.
pub(super) struct Desk {
    machine: Mutex<Machine<Task>>,
    capacity: Capacity,
    budget: Budget,
    control: Handle,
    begun: Instant,
    /// Memory of running tasks.
    held: Mutex<HashMap<TaskId, Reservation>>,
    /// Threads whose task wants its cpus back.
    resuming: Mutex<HashMap<TaskId, Arc<Parker>>>,
    /// What blocked tasks wait for.
    waits: Mutex<HashMap<TaskId, Wait>>,
    timer_changed: Notify,
    timer_runs: AtomicBool,
}

impl Desk {
    pub(super) fn new(capacity: Capacity, budget: Budget, control: Handle) -> Self {
        Self {
            machine: Mutex::new(Machine::new(capacity.amounts())),
            capacity,
            budget,
            control,
            begun: Instant::now(),
            held: Mutex::default(),
            resuming: Mutex::default(),
            waits: Mutex::default(),
            timer_changed: Notify::new(),
            timer_runs: AtomicBool::new(false),
        }
    }
}

impl PoolShared {
    /// What there is of each resource.
    pub(crate) fn capacity(&self) -> &Capacity {
        &self.desk().capacity
    }

    fn now(&self) -> Time {
        self.replay().map_or_else(|| self.desk().begun.elapsed(), |replay| replay.now())
    }

    /// Takes an event to the machine.
    fn event(self: &Arc<Self>, event: Event<Task>) -> Vec<Action<Task>> {
        let now = self.now();
        let mut machine = self.desk().machine.lock();
        let before = machine.next_timer();
        let actions = machine.on(now, event);
        let after = machine.next_timer();
        drop(machine);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) && self.replay().is_none() {
            self.arm_timer();
        }
        actions
    }

    /// Takes an event to the machine and does what follows.
    pub(crate) fn tell(self: &Arc<Self>, event: Event<Task>) {
        let actions = self.event(event);
        self.carry_out(actions);
    }

    fn carry_out(self: &Arc<Self>, actions: Vec<Action<Task>>) {
        let mut todo: VecDeque<Action<Task>> = actions.into();
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Start { id, who } => match self.take_memory(id, &who) {
                    Ok(()) => {
                        if !self.push_if_waiting(who) {
                            // It ended meanwhile, perhaps before its memory was noted.
                            self.give_memory_back(id);
                        }
                    }
                    Err(_) => todo.extend(self.event(Event::Refused { id })),
                },
                Action::Resume { id } => {
                    let parker = self.desk().resuming.lock().remove(&id);
                    if let Some(parker) = parker {
                        parker.unpark();
                    }
                }
                Action::End { who, doom } => {
                    who.stop(match doom {
                        Doom::Cancelled => Stop::Cancelled,
                        Doom::Deadline => Stop::Expired,
                        Doom::ShutDown => Stop::ShutDown,
                    });
                }
                Action::Expire { who } => {
                    who.stop(Stop::Expired);
                }
                // Answers to `failed`, which has looked at them.
                Action::Retry { .. } | Action::GiveUp { .. } => {}
            }
        }
    }

    /// Reserves the memory a task declared.
    fn take_memory(&self, id: TaskId, task: &Task) -> Result<()> {
        let bytes = task.managed().map_or(0, Managed::memory);
        if bytes > 0 {
            let reservation = self.desk().budget.reserve("tasks", bytes)?;
            self.desk().held.lock().insert(id, reservation);
        }
        Ok(())
    }

    fn give_memory_back(&self, id: TaskId) {
        let reservation = self.desk().held.lock().remove(&id);
        drop(reservation);
    }

    /// A task was made, which may act for itself from now on.
    pub(crate) fn spawned(self: &Arc<Self>, id: TaskId, managed: &Managed, who: Task) {
        self.tell(Event::Spawned { id, ask: Arc::clone(&managed.ask), who });
    }

    /// Its dependencies are done: it is queued when it has what it asks for.
    pub(crate) fn admit(self: &Arc<Self>, id: TaskId, task: Task) {
        self.tell(Event::Ready { id });
        // Whoever holds what it waits for may be waiting for it. No lock is held over the search.
        let somebody_waits = !self.desk().waits.lock().is_empty();
        let lined = somebody_waits && self.desk().machine.lock().lined(id).is_some();
        if lined && let Err(error) = self.check_stuck(id, &task) {
            task.fail_unstarted(error);
        }
    }

    /// An attempt has failed: whether there is another. Otherwise it has ended.
    pub(crate) fn failed(self: &Arc<Self>, id: TaskId) -> bool {
        self.give_memory_back(id);
        let actions = self.event(Event::Failed { id });
        let again = actions.iter().any(|action| matches!(action, Action::Retry { id: of, .. } if *of == id));
        self.carry_out(actions);
        again
    }

    /// A task has its outcome, or is about to get it.
    pub(crate) fn ended(self: &Arc<Self>, id: TaskId) {
        self.give_memory_back(id);
        self.tell(Event::Ended { id });
    }

    /// The engine ends.
    pub(super) fn shut_desk(self: &Arc<Self>) {
        self.tell(Event::ShutDown);
        self.desk().timer_changed.notify_one();
    }

    pub(super) fn next_timer(&self) -> Option<Time> {
        self.desk().machine.lock().next_timer()
    }

    /// Sees to it that somebody sleeps until the next timer.
    fn arm_timer(self: &Arc<Self>) {
        if self.desk().timer_runs.swap(true, Ordering::AcqRel) {
            return self.desk().timer_changed.notify_one();
        }
        let pool = Arc::clone(self);
        self.desk().control.spawn(async move {
            while !pool.is_down() {
                let changed = pool.desk().timer_changed.notified();
                match pool.next_timer() {
                    None => changed.await,
                    Some(at) => {
                        let pause = tokio::time::sleep(at.saturating_sub(pool.now()));
                        futures::future::select(std::pin::pin!(pause), std::pin::pin!(changed)).await;
                        pool.tell(Event::Tick);
                    }
                }
            }
        });
    }

    /// A task that blocks lends its cpus to others.
    pub(crate) fn lend_cpus(self: &Arc<Self>, id: TaskId) {
        self.tell(Event::Blocked { id });
    }

    /// Waits until a task that lent its cpus has them back.
    pub(crate) fn take_cpus_back(self: &Arc<Self>, id: TaskId) {
        let parker = Arc::new(Parker::default());
        self.desk().resuming.lock().insert(id, Arc::clone(&parker));
        self.tell(Event::Unblocked { id });
        match self.replay() {
            None => {
                parker.park(None);
            }
            Some(_) => self.drive_until(&parker),
        }
    }

    /// Notes what the tasks on this thread's stack wait for, and refuses if the last of them could never go on.
    pub(crate) fn note_waits(
        &self,
        stack: impl IntoIterator<Item = (TaskId, Wait)>,
        last: &Task,
    ) -> Result<()> {
        self.desk().waits.lock().extend(stack);
        self.check_stuck(last.base().rest.number(), last)
    }

    /// A task waits no more.
    pub(crate) fn forget_wait(&self, id: TaskId) {
        let awaited = self.desk().waits.lock().remove(&id);
        drop(awaited);
    }

    /// An error if `task` can never go on.
    fn check_stuck(&self, id: TaskId, task: &Task) -> Result<()> {
        let mut names: HashMap<TaskId, Option<String>> = HashMap::new();
        let mut needs: HashMap<TaskId, Needs> = HashMap::new();
        // A task may be the last handle of a user's value: none is dropped under the locks.
        let mut kept: Vec<Task> = Vec::new();
        let (cycle, capacity) = {
            let waits = self.desk().waits.lock();
            let machine = self.desk().machine.lock();
            // Only looked for if somebody waits for what others hold.
            let mut holders: Option<Vec<Holder>> = None;
            let mut todo = vec![(id, Arc::clone(task))];
            while let Some((id, task)) = todo.pop() {
                if names.contains_key(&id) || task.base().is_done() || names.len() > MOST_LOOKED_AT {
                    // What is not looked at counts as going on.
                    kept.push(task);
                    continue;
                }
                let mut below: Vec<(TaskId, Task)> = Vec::new();
                if let Some(wait) = waits.get(&id) {
                    below.push((wait.awaited.base().rest.number(), Arc::clone(&wait.awaited)));
                } else {
                    task.upstream(&mut |needed| below.push((needed.base().rest.number(), needed)));
                }
                if !below.is_empty() {
                    needs.insert(id, Needs::All(below.iter().map(|(id, _)| *id).collect()));
                    todo.extend(below);
                } else if let Some(demand) = machine.lined(id) {
                    needs.insert(id, Needs::Free(demand.parts().collect()));
                    let wanted = |held: &[(usize, u64)]| held.iter().any(|(at, _)| demand.amount(*at) > 0);
                    let all = || machine.holders().map(|(id, who, held)| (id, Arc::clone(who), held));
                    let holders = holders.get_or_insert_with(|| all().collect());
                    let holding = holders.iter().filter(|(_, _, held)| wanted(held));
                    todo.extend(holding.map(|(id, who, _)| (*id, Arc::clone(who))));
                }
                names.insert(id, waits.get(&id).map(|wait| wait.name.clone()).or_else(|| task.name()));
                kept.push(task);
            }
            let (whos, held): (Vec<_>, Vec<_>) =
                holders.into_iter().flatten().map(|(id, who, held)| (who, (id, held))).unzip();
            kept.extend(whos);
            (find_cycle(id, &needs, &held, machine.free()), &self.desk().capacity)
        };
        let Some(cycle) = cycle else { return Ok(()) };
        let name = |id: &TaskId| names.get(id).cloned().flatten().unwrap_or_else(|| "?".to_owned());
        let mut text = String::new();
        for (at, (step, place)) in cycle.iter().enumerate() {
            let next = name(&cycle[(at + 1) % cycle.len()].0);
            let then = if at == 0 { "" } else { ", which " };
            let subject = if at == 0 { format!("`{}` ", name(step)) } else { String::new() };
            text.push_str(&match place {
                Some(place) => {
                    format!(
                        "{subject}{then}waits for the {} that `{next}` holds",
                        resource(capacity.name(*place))
                    )
                }
                None => format!("{subject}{then}waits for `{next}`"),
            });
        }
        Err(Error::new(ErrorKind::Deadlock, "get", format!("a wait that could never end: {text}"))
            .with_help("one of them must not wait: pass the ref on as an argument, or ask for less"))
    }
}

fn resource(name: &str) -> String {
    match name {
        "cpus" | "memory" => name.to_owned(),
        name => format!("resource `{name}`"),
    }
}
