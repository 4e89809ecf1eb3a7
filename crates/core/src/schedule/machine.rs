//! The life of a task that asks for something, as a pure state machine: events in, actions out.
//!
//! ```text
//!             Ready            granted             Ended
//!   Waiting ─────────> Lined ─────────> Running ─────────────────────> (gone)
//!  (dependencies)    ^  ^  ^             │ ^  │ Failed                    ^
//!                    │  │  └─ Refused ───┘ │  ├── no attempt left, doomed ┤
//!                    │  │ (no memory)      │  └─> Between ─ Again ┬───────┤ doomed meanwhile
//!                    │  └── pause over ────┼──── Pausing <────────┤       │
//!                    └─────────────────────┼──── no pause ────────┘       │
//!   Running ─ Blocked ─> Blocked ─ Unblocked ─> Resuming ─ cpus free ─> Running
//!
//!   Cancelled, or the deadline:  Waiting, Lined, Pausing ─> gone (End)    │
//!                                the others ─> doomed: no further attempt ┘ (Expire tells who runs)
//! ```
//!
//! *Grants.* Tasks that ask alike stand in one line, in the order of their turns (`lineup`), and only the
//! first of a line is looked at. Those whose demand fits into what is free are granted, in the order of
//! turns over all lines. Who does not fit is overtaken by whoever does, but at most `PATIENCE` times by
//! tasks that want some of the same; then nobody later gets any of what it asks for. A task that blocked
//! and goes on comes before all of them. So nothing is ever over-committed and nobody waits for ever.
//!
//! *Memory.* Declared memory is counted here against the budget's limit, and then taken from the budget by
//! whoever carries out `Start`. If queries and objects hold the bytes meanwhile, that is `Refused`; the task
//! keeps its turn and is offered again when a task that holds memory ends, and every `LOOK`.
//!
//! *Time* comes in with each event; timers that are due go before the event itself. Nothing here waits,
//! locks, allocates memory of others or reads a clock, so that `model` can drive it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::demand::{CPUS, Demand, MEMORY};
use super::lineup::Turn;

/// The number of a task's cell.
pub(crate) type TaskId = u64;

/// Since the start of the engine.
pub(crate) type Time = Duration;

/// How often a task that waits is overtaken by later ones that want some of the same.
pub(crate) const PATIENCE: u32 = 16;

/// How long until a task that got no memory is offered again if nothing else happens.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// What a task asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) demand: Demand,
    pub(crate) priority: i32,
    /// From when it is spawned.
    pub(crate) deadline: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) backoff: Option<Backoff>,
}

impl Ask {
    pub(crate) fn memory(&self) -> u64 {
        self.demand.amount(MEMORY)
    }

    pub(crate) fn cpus(&self) -> u64 {
        self.demand.amount(CPUS)
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event<W> {
    /// A task was made; `who` acts for it until its second attempt.
    Spawned { id: TaskId, ask: Arc<Ask>, who: W },
    /// Its dependencies are done.
    Ready { id: TaskId },
    /// It was started, but the budget does not have the memory it asked for.
    Refused { id: TaskId },
    /// It blocks its thread until something else is done.
    Blocked { id: TaskId },
    /// It wants to go on.
    Unblocked { id: TaskId },
    /// An attempt failed, with an error that is worth another. Answered by `Retry` or `GiveUp`.
    Failed { id: TaskId },
    /// Who makes the next attempt.
    Again { id: TaskId, who: W },
    /// It has an outcome.
    Ended { id: TaskId },
    /// Nobody wants it any more.
    Cancelled { id: TaskId },
    /// A timer may be due.
    Tick,
    /// The engine ends.
    ShutDown,
}

/// Why a task ends without another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doom {
    Cancelled,
    Deadline,
    ShutDown,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<W> {
    /// Run it: it holds what it asked for.
    Start { id: TaskId, who: W },
    /// A blocked task has its cpus again.
    Resume { id: TaskId },
    /// The attempt that failed is followed by another; say `Again`.
    Retry { id: TaskId, attempt: u32 },
    /// The attempt that failed was the last.
    GiveUp { id: TaskId },
    /// It does not run, and never will.
    End { who: W, doom: Doom },
    /// Its deadline has passed while it runs.
    Expire { who: W },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Lined,
    Running,
    Blocked,
    Resuming,
    Between,
    Pausing,
}

struct Entry<W> {
    ask: Arc<Ask>,
    /// Empty between attempts.
    who: Option<W>,
    state: State,
    turn: Turn,
    /// Its number among all that came: what jitter is drawn from.
    number: u64,
    /// Attempts that failed.
    failed: u32,
    overtaken: u32,
    /// The budget had no memory when it was last offered.
    refused: bool,
    doom: Option<Doom>,
    deadline: Option<Time>,
    /// When the pause before the next attempt is over.
    due: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Deadline,
    Pause,
    /// Offers memory again.
    Look,
}

/// See the header.
pub(crate) struct Machine<W> {
    free: Vec<u64>,
    tasks: HashMap<TaskId, Entry<W>>,
    lines: HashMap<Demand, BTreeMap<Turn, TaskId>>,
    resuming: VecDeque<TaskId>,
    timers: BTreeSet<(Time, Timer, TaskId)>,
    /// When memory is offered again, while somebody was refused.
    look: Option<Time>,
    came: u64,
    down: bool,
}

type Actions<W> = Vec<Action<W>>;

impl<W: Clone> Machine<W> {
    /// With these amounts of each resource.
    pub(crate) fn new(capacity: &[u64]) -> Self {
        Self {
            free: capacity.to_vec(),
            tasks: HashMap::new(),
            lines: HashMap::new(),
            resuming: VecDeque::new(),
            timers: BTreeSet::new(),
            look: None,
            came: 0,
            down: false,
        }
    }

    /// The next moment at which something happens by itself.
    pub(crate) fn next_timer(&self) -> Option<Time> {
        self.timers.first().map(|(at, ..)| *at)
    }

    /// What a task that waits for resources asks for.
    pub(crate) fn lined(&self, id: TaskId) -> Option<&Demand> {
        let entry = self.tasks.get(&id)?;
        (entry.state == State::Lined && !entry.refused).then_some(&entry.ask.demand)
    }

    /// What is free of each resource.
    pub(crate) fn free(&self) -> &[u64] {
        &self.free
    }

    /// Who holds something now, and what.
    pub(crate) fn holders(&self) -> impl Iterator<Item = (TaskId, &W, Vec<(usize, u64)>)> {
        self.tasks.iter().filter_map(|(id, entry)| {
            let held: Vec<_> = entry.held().collect();
            Some((*id, entry.who.as_ref()?, held)).filter(|(_, _, held)| !held.is_empty())
        })
    }

    /// Takes an event in and says what is to be done, in this order.
    pub(crate) fn on(&mut self, now: Time, event: Event<W>) -> Actions<W> {
        let mut out = Vec::new();
        self.due(now, &mut out);
        match event {
            Event::Spawned { who, .. } if self.down => {
                out.push(Action::End { who, doom: Doom::ShutDown });
            }
            Event::Spawned { id, ask, who } => self.spawned(now, id, ask, who),
            Event::Ready { id } => {
                if self.state(id) == Some(State::Waiting) {
                    self.line_up(id, &mut out);
                }
            }
            Event::Refused { id } => self.refused(now, id, &mut out),
            Event::Blocked { id } => self.blocked(id, &mut out),
            Event::Unblocked { id } => self.unblocked(id, &mut out),
            Event::Failed { id } => self.failed(now, id, &mut out),
            Event::Again { id, who } => self.again(now, id, who, &mut out),
            Event::Ended { id } => self.ended(id, &mut out),
            Event::Cancelled { id } => self.doom(id, Doom::Cancelled, &mut out),
            // Due timers went first; what else is due follows from the time.
            Event::Tick => self.due(now, &mut out),
            Event::ShutDown => self.shut_down(&mut out),
        }
        out
    }

    pub(super) fn state(&self, id: TaskId) -> Option<State> {
        self.tasks.get(&id).map(|entry| entry.state)
    }

    fn spawned(&mut self, now: Time, id: TaskId, ask: Arc<Ask>, who: W) {
        let deadline = ask.deadline.and_then(|deadline| now.checked_add(deadline));
        if let Some(at) = deadline {
            self.timers.insert((at, Timer::Deadline, id));
        }
        self.came += 1;
        let turn = Turn::new(self.came, ask.priority);
        let entry = Entry {
            ask,
            who: Some(who),
            state: State::Waiting,
            turn,
            number: self.came,
            failed: 0,
            overtaken: 0,
            refused: false,
            doom: None,
            deadline,
            due: now,
        };
        self.tasks.insert(id, entry);
    }

    /// Puts a task into the line of those that ask alike; it came now.
    fn line_up(&mut self, id: TaskId, out: &mut Actions<W>) {
        self.came += 1;
        let came = self.came;
        let Some(entry) = self.tasks.get_mut(&id) else { return };
        entry.turn = Turn::new(came, entry.ask.priority);
        entry.state = State::Lined;
        if entry.ask.demand.is_empty() {
            return self.start(id, out);
        }
        let (demand, turn) = (entry.ask.demand.clone(), entry.turn);
        self.lines.entry(demand).or_default().insert(turn, id);
        self.deal(out);
    }

    fn leave_line(&mut self, demand: &Demand, turn: Turn) {
        if let Some(line) = self.lines.get_mut(demand) {
            line.remove(&turn);
            if line.is_empty() {
                self.lines.remove(demand);
            }
        }
    }

    /// Hands a task what it asks for, which is free.
    fn start(&mut self, id: TaskId, out: &mut Actions<W>) {
        let Some(entry) = self.tasks.get_mut(&id) else { return };
        entry.state = State::Running;
        entry.overtaken = 0;
        for (place, amount) in entry.ask.demand.parts() {
            self.free[place] -= amount;
        }
        if let Some(who) = entry.who.clone() {
            out.push(Action::Start { id, who });
        }
    }

    fn release(&mut self, id: TaskId) {
        if let Some(entry) = self.tasks.get(&id) {
            for (place, amount) in entry.held() {
                self.free[place] += amount;
            }
        }
    }

    /// Grants what can be granted; see the header.
    fn deal(&mut self, out: &mut Actions<W>) {
        let mut closed = vec![false; self.free.len()];
        while let Some(&id) = self.resuming.front() {
            let need = self.tasks.get(&id).map_or(0, |entry| entry.ask.demand.amount(CPUS));
            if need > self.free[CPUS] {
                closed[CPUS] = true;
                break;
            }
            self.resuming.pop_front();
            self.free[CPUS] -= need;
            if let Some(entry) = self.tasks.get_mut(&id) {
                entry.state = State::Running;
                out.push(Action::Resume { id });
            }
        }
        let firsts = self.lines.values().filter_map(|line| line.first_key_value());
        let mut heads: Vec<(Turn, TaskId)> = firsts.map(|(turn, id)| (*turn, *id)).collect();
        heads.sort_unstable();
        // Those before `at` do not fit.
        let mut at = 0;
        while let Some(&(turn, id)) = heads.get(at) {
            let Some(entry) = self.tasks.get(&id) else { break };
            let demand = entry.ask.demand.clone();
            let fits = |(place, amount): (usize, u64)| !closed[place] && amount <= self.free[place];
            if entry.refused || !demand.parts().all(fits) {
                entry.close(&mut closed);
                at += 1;
                continue;
            }
            self.leave_line(&demand, turn);
            self.start(id, out);
            for (_, earlier) in &heads[..at] {
                if let Some(earlier) = self.tasks.get_mut(earlier)
                    && earlier.ask.demand.parts().any(|(place, _)| demand.amount(place) > 0)
                {
                    earlier.overtaken += 1;
                    earlier.close(&mut closed);
                }
            }
            heads.remove(at);
            // The next of its line comes later in the order.
            if let Some((turn, id)) = self.lines.get(&demand).and_then(|line| line.first_key_value()) {
                let next = (*turn, *id);
                heads.insert(heads.partition_point(|head| *head < next), next);
            }
        }
    }

    fn refused(&mut self, now: Time, id: TaskId, out: &mut Actions<W>) {
        if self.state(id) != Some(State::Running) {
            return;
        }
        self.release(id);
        let Some(entry) = self.tasks.get_mut(&id) else { return };
        entry.state = State::Lined;
        entry.refused = true;
        let (demand, turn) = (entry.ask.demand.clone(), entry.turn);
        self.lines.entry(demand).or_default().insert(turn, id);
        if self.look.is_none() {
            let at = now.saturating_add(LOOK);
            self.look = Some(at);
            self.timers.insert((at, Timer::Look, 0));
        }
        self.deal(out);
    }

    /// Memory may have come free.
    fn offer_again(&mut self) {
        if let Some(at) = self.look.take() {
            self.timers.remove(&(at, Timer::Look, 0));
            self.tasks.values_mut().for_each(|entry| entry.refused = false);
        }
    }

    fn blocked(&mut self, id: TaskId, out: &mut Actions<W>) {
        let Some(entry) = self.tasks.get_mut(&id).filter(|entry| entry.state == State::Running) else {
            return;
        };
        entry.state = State::Blocked;
        self.free[CPUS] += entry.ask.demand.amount(CPUS);
        self.deal(out);
    }

    fn unblocked(&mut self, id: TaskId, out: &mut Actions<W>) {
        match self.tasks.get_mut(&id) {
            Some(entry) if entry.state == State::Blocked => {
                entry.state = State::Resuming;
                self.resuming.push_back(id);
                self.deal(out);
            }
            // Ended or shut down meanwhile: nothing is counted any more.
            _ => out.push(Action::Resume { id }),
        }
    }

    fn failed(&mut self, now: Time, id: TaskId, out: &mut Actions<W>) {
        let Some(entry) = self.tasks.get_mut(&id) else {
            out.push(Action::GiveUp { id });
            return;
        };
        entry.failed += 1;
        if entry.failed > entry.ask.retries || entry.doom.is_some() {
            out.push(Action::GiveUp { id });
            return self.ended(id, out);
        }
        let (attempt, holds_memory) = (entry.failed, entry.ask.demand.amount(MEMORY) > 0);
        let pause = entry.ask.backoff.map_or(Duration::ZERO, |backoff| backoff.pause(attempt, entry.number));
        entry.due = now.saturating_add(pause);
        entry.who = None;
        out.push(Action::Retry { id, attempt });
        self.release(id);
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.state = State::Between;
        }
        if holds_memory {
            self.offer_again();
        }
        self.deal(out);
    }

    fn again(&mut self, now: Time, id: TaskId, who: W, out: &mut Actions<W>) {
        let Some(entry) = self.tasks.get_mut(&id).filter(|entry| entry.state == State::Between) else {
            out.push(Action::End { who, doom: Doom::ShutDown });
            return;
        };
        if let Some(doom) = entry.doom {
            self.remove(id);
            out.push(Action::End { who, doom });
            return;
        }
        entry.who = Some(who);
        if entry.due > now {
            entry.state = State::Pausing;
            let due = entry.due;
            self.timers.insert((due, Timer::Pause, id));
        } else {
            self.line_up(id, out);
        }
    }

    fn ended(&mut self, id: TaskId, out: &mut Actions<W>) {
        self.release(id);
        if let Some(entry) = self.remove(id) {
            if entry.ask.demand.amount(MEMORY) > 0 {
                self.offer_again();
            }
            if !entry.ask.demand.is_empty() {
                self.deal(out);
            }
        }
    }

    /// Forgets a task, whose resources were given back.
    fn remove(&mut self, id: TaskId) -> Option<Entry<W>> {
        let entry = self.tasks.remove(&id)?;
        if let Some(at) = entry.deadline {
            self.timers.remove(&(at, Timer::Deadline, id));
        }
        match entry.state {
            State::Lined => self.leave_line(&entry.ask.demand, entry.turn),
            State::Pausing => {
                self.timers.remove(&(entry.due, Timer::Pause, id));
            }
            State::Resuming => self.resuming.retain(|other| *other != id),
            _ => {}
        }
        Some(entry)
    }

    /// It is not to be tried again; what does not run ends.
    fn doom(&mut self, id: TaskId, doom: Doom, out: &mut Actions<W>) {
        let Some(entry) = self.tasks.get_mut(&id) else { return };
        match entry.state {
            State::Waiting | State::Lined | State::Pausing => {
                let who = self.remove(id).and_then(|entry| entry.who);
                out.extend(who.map(|who| Action::End { who, doom }));
                // Whoever it held up may go on.
                self.deal(out);
            }
            State::Between => {
                entry.doom.get_or_insert(doom);
            }
            State::Running | State::Blocked | State::Resuming => {
                let first = entry.doom.is_none();
                entry.doom.get_or_insert(doom);
                if first && doom == Doom::Deadline {
                    out.extend(entry.who.clone().map(|who| Action::Expire { who }));
                }
            }
        }
    }

    /// Handles the timers that are due.
    fn due(&mut self, now: Time, out: &mut Actions<W>) {
        while let Some(&(at, timer, id)) = self.timers.first() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            match timer {
                Timer::Deadline => {
                    if let Some(entry) = self.tasks.get_mut(&id) {
                        entry.deadline = None;
                    }
                    self.doom(id, Doom::Deadline, out);
                }
                Timer::Pause => self.line_up(id, out),
                Timer::Look => {
                    self.offer_again();
                    self.deal(out);
                }
            }
        }
    }

    fn shut_down(&mut self, out: &mut Actions<W>) {
        self.down = true;
        let mut tasks: Vec<_> = self.tasks.drain().collect();
        tasks.sort_unstable_by_key(|(id, _)| *id);
        for (id, entry) in tasks {
            for (place, amount) in entry.held() {
                self.free[place] += amount;
            }
            match entry.state {
                State::Waiting | State::Lined | State::Pausing => {
                    out.extend(entry.who.map(|who| Action::End { who, doom: Doom::ShutDown }));
                }
                State::Resuming => out.push(Action::Resume { id }),
                // Those that run end by themselves.
                State::Running | State::Blocked | State::Between => {}
            }
        }
        self.lines.clear();
        self.resuming.clear();
        self.timers.clear();
        self.look = None;
    }
}

impl<W> Entry<W> {
    /// What it holds now.
    fn held(&self) -> impl Iterator<Item = (usize, u64)> {
        let (all, cpus) = match self.state {
            State::Running => (true, true),
            State::Blocked | State::Resuming => (true, false),
            State::Waiting | State::Lined | State::Between | State::Pausing => (false, false),
        };
        self.ask.demand.parts().filter(move |(place, _)| all && (cpus || *place != CPUS))
    }

    /// Who has been overtaken often enough keeps what it asks for from those behind it; who waits for the
    /// budget, only the memory.
    fn close(&self, closed: &mut [bool]) {
        if self.overtaken >= PATIENCE {
            for (place, _) in self.ask.demand.parts() {
                closed[place] |= !self.refused || place == MEMORY;
            }
        }
    }
}
