//! Lanes: what one thread writes down. Only the thread itself writes, so its lock is never waited for but
//! by readers, who hold it for a few entries at a time.
//!
//! A thread finds its lane through a thread-local; a thread that serves several engines in turn keeps the
//! last one at hand. When a thread ends, what it held back is written and its lane stays readable.

use std::cell::RefCell;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::event::{Event, EventKind, Label, Outcome};
use super::flood::{Flood, Group, Note};
use super::ring::Ring;
use super::{Bell, Hub, Running};
use crate::error::TaskInfo;

/// What readers see of a thread.
pub(super) struct Lane {
    pub(super) id: u32,
    pub(super) name: Mutex<String>,
    pub(super) alive: AtomicBool,
    bell: Arc<Bell>,
    pub(super) ring: Mutex<Ring<Event>>,
    /// Tasks made, ended well, failed and cancelled on this thread. Only the thread itself writes.
    pub(super) submitted: AtomicU64,
    pub(super) finished: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) cancelled: AtomicU64,
    /// Nanoseconds spent in tasks that have ended.
    pub(super) busy: AtomicU64,
    /// Tasks that run now, outermost first; those of a flood are not listed.
    pub(super) running: Mutex<Vec<Running>>,
}

impl Lane {
    pub(super) fn new(id: u32, name: String, capacity: usize, bell: Arc<Bell>) -> Self {
        Self {
            id,
            name: Mutex::new(name),
            alive: AtomicBool::new(true),
            bell,
            ring: Mutex::new(Ring::new(capacity)),
            submitted: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            running: Mutex::default(),
        }
    }

    pub(super) fn push(&self, at: u64, kind: EventKind) {
        let event = Event { at: Duration::from_nanos(at), lane: self.id, kind };
        let oldest = self.ring.lock().push(event);
        // Outside the lock: an event may hold the last handle to a user's error.
        drop(oldest);
        self.bell.ring();
    }
}

/// Adds to a counter that only the calling thread writes.
#[inline]
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// Tasks alike: one name at one place.
#[derive(Clone, Copy)]
struct Alike {
    name: *const u8,
    location: &'static Location<'static>,
}

impl Alike {
    fn of(info: &TaskInfo) -> Self {
        Self { name: info.name.as_ptr(), location: info.location }
    }

    #[inline]
    fn is(&self, info: &TaskInfo) -> bool {
        std::ptr::eq(self.name, info.name.as_ptr()) && std::ptr::eq(self.location, info.location)
    }
}

/// A flood, and of what.
#[derive(Default)]
struct Stretch {
    flood: Flood,
    alike: Option<(Alike, Label)>,
    last: u64,
}

impl Stretch {
    /// Whether the flood goes on with this one.
    #[inline]
    fn goes_on(&self, info: &TaskInfo) -> bool {
        self.alike.as_ref().is_some_and(|(alike, _)| alike.is(info))
    }

    /// Ends the flood unless it goes on with this one; gives what was held.
    fn change(&mut self, info: &TaskInfo, clock: impl FnOnce() -> u64) -> Option<(Group, Label, u64)> {
        if self.goes_on(info) {
            return None;
        }
        let held = self.cut(clock);
        // An owned name may be freed and another made at its place; only static ones can be told apart.
        self.alike = match &info.name {
            std::borrow::Cow::Borrowed(_) => Some((Alike::of(info), Label::from(&info.name))),
            std::borrow::Cow::Owned(_) => None,
        };
        held
    }

    fn cut(&mut self, clock: impl FnOnce() -> u64) -> Option<(Group, Label, u64)> {
        let group = self.flood.cut(clock)?;
        let (_, label) = self.alike.as_ref()?;
        Some((group, label.clone(), self.last))
    }
}

/// What only the thread itself sees.
pub(super) struct Local {
    hub: u64,
    base: std::time::Instant,
    pub(super) lane: Arc<Lane>,
    submitting: Stretch,
    running: Stretch,
    /// The tasks that run on this thread, innermost last.
    stack: Vec<u64>,
    /// Time already counted in tasks inside the present one, per level.
    nested: u64,
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// What a started task must remember until its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    /// When; none in a flood.
    pub(super) started: Option<u64>,
    nested_before: u64,
}

impl Local {
    fn clock(base: std::time::Instant) -> impl Fn() -> u64 {
        move || super::nanos(base.elapsed())
    }

    pub(super) fn submitted(&mut self, id: u64, info: &TaskInfo) {
        let clock = Self::clock(self.base);
        add(&self.lane.submitted, 1);
        if let Some((group, name, last)) = self.submitting.change(info, &clock) {
            self.push_submitted(group.until, last, name, group.count);
        }
        self.submitting.last = id;
        match self.submitting.flood.note(&clock) {
            Note::Held => {}
            Note::Single(now) => self.push_submitted(now, id, Label::from(&info.name), 1),
            Note::Group(group) => {
                self.push_submitted(group.until, id, Label::from(&info.name), group.count);
            }
        }
    }

    fn push_submitted(&self, at: u64, id: u64, name: Label, count: u32) {
        let parent = self.stack.last().copied();
        self.lane.push(at, EventKind::TaskSubmitted { id, name, parent, count });
    }

    pub(super) fn begin(&mut self, id: u64, info: &TaskInfo) -> Begun {
        self.stack.push(id);
        if self.running.flood.is_on() && self.running.goes_on(info) {
            return Begun { started: None, nested_before: self.nested };
        }
        if self.running.flood.is_on() {
            self.cut_running();
        }
        let now = Self::clock(self.base)();
        let name = Label::from(&info.name);
        self.lane.running.lock().push(Running { id, name: name.clone(), since: Duration::from_nanos(now) });
        self.lane.push(now, EventKind::TaskStarted { id, name });
        Begun { started: Some(now), nested_before: std::mem::take(&mut self.nested) }
    }

    /// A task is off this thread and goes on elsewhere.
    pub(super) fn detach(&mut self, id: u64, begun: Begun) -> u64 {
        self.stack.pop();
        self.lane.running.lock().retain(|running| running.id != id);
        let now = Self::clock(self.base)();
        match begun.started {
            Some(started) => {
                self.account(started, now, begun);
                started
            }
            None => now,
        }
    }

    /// Counts the time of a task that has ended, without that of tasks inside it.
    fn account(&mut self, started: u64, now: u64, begun: Begun) {
        let own = now.saturating_sub(started);
        add(&self.lane.busy, own.saturating_sub(self.nested));
        self.nested = begun.nested_before + own;
        if self.stack.is_empty() {
            self.nested = 0;
        }
    }

    pub(super) fn end(&mut self, id: u64, info: &TaskInfo, attempt: u32, begun: Begun, outcome: Outcome) {
        self.stack.pop();
        let clock = Self::clock(self.base);
        let well = matches!(outcome, Outcome::Succeeded);
        self.count(&outcome, 1);
        match begun.started {
            None if well && self.running.goes_on(info) => {
                self.running.last = id;
                match self.running.flood.note(&clock) {
                    Note::Held => {}
                    Note::Single(now) => self.push_end(now, id, info, None, attempt, outcome, 1),
                    Note::Group(group) => self.push_group(group, Label::from(&info.name), id),
                }
            }
            // It failed, or another flood came between: written down alone, as long as is known.
            None => {
                self.cut_running();
                let now = clock();
                self.push_end(now, id, info, Some(now), attempt, outcome, 1);
            }
            Some(started) => {
                if self.running.flood.is_on() {
                    self.cut_running();
                }
                let now = if well { self.single(info, &clock) } else { clock() };
                {
                    let mut running = self.lane.running.lock();
                    if running.last().is_some_and(|running| running.id == id) {
                        running.pop();
                    } else {
                        running.retain(|running| running.id != id);
                    }
                }
                self.account(started, now, begun);
                self.push_end(now, id, info, Some(started), attempt, outcome, 1);
            }
        }
    }

    /// Notes the end of a task that is written down alone.
    fn single(&mut self, info: &TaskInfo, clock: &impl Fn() -> u64) -> u64 {
        // No flood is on, so nothing is held; this only makes the window one of this name.
        let _ = self.running.change(info, clock);
        match self.running.flood.note(clock) {
            Note::Single(now) => now,
            Note::Held | Note::Group(_) => clock(),
        }
    }

    /// Writes down what a flood held back.
    pub(super) fn cut_running(&mut self) {
        let clock = Self::clock(self.base);
        if let Some((group, name, last)) = self.running.cut(clock) {
            self.push_group(group, name, last);
        }
    }

    fn push_group(&mut self, group: Group, name: Label, last: u64) {
        add(&self.lane.busy, group.until - group.since);
        self.lane.push(
            group.until,
            EventKind::TaskFinished {
                id: last,
                name,
                started: Some(Duration::from_nanos(group.since)),
                outcome: Outcome::Succeeded,
                attempt: 1,
                asynchronous: false,
                count: group.count,
            },
        );
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    fn push_end(
        &self,
        at: u64,
        id: u64,
        info: &TaskInfo,
        started: Option<u64>,
        attempt: u32,
        outcome: Outcome,
        count: u32,
    ) {
        self.lane.push(
            at,
            EventKind::TaskFinished {
                id,
                name: Label::from(&info.name),
                started: started.map(Duration::from_nanos),
                outcome,
                attempt,
                asynchronous: false,
                count,
            },
        );
    }

    pub(super) fn count(&self, outcome: &Outcome, count: u64) {
        match outcome {
            Outcome::Succeeded => add(&self.lane.finished, count),
            Outcome::Failed(_) => add(&self.lane.failed, count),
            Outcome::Cancelled => add(&self.lane.cancelled, count),
        }
    }

    pub(super) fn idle(&mut self) {
        if self.running.flood.is_on() {
            self.cut_running();
        }
    }

    fn leave(&mut self) {
        let clock = Self::clock(self.base);
        self.cut_running();
        if let Some((group, name, last)) = self.submitting.cut(clock) {
            self.push_submitted(group.until, last, name, group.count);
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.leave();
        self.lane.alive.store(false, Ordering::Relaxed);
    }
}

/// Runs `work` with the calling thread's lane of `hub`; none while the thread is being torn down, or when
/// called from inside itself.
#[inline]
pub(super) fn with<R>(hub: &Hub, work: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL
        .try_with(|local| {
            let mut local = local.try_borrow_mut().ok()?;
            match &mut *local {
                Some(local) if local.hub == hub.id => Some(work(local)),
                other => {
                    // What a dropped lane frees may be a user's value; it must not find the cell borrowed.
                    let old = other.replace(enter(hub));
                    let result = other.as_mut().map(work);
                    drop(local);
                    drop(old);
                    result
                }
            }
        })
        .ok()
        .flatten()
}

#[cold]
fn enter(hub: &Hub) -> Local {
    Local {
        hub: hub.id,
        base: hub.base,
        lane: hub.lane(),
        submitting: Stretch::default(),
        running: Stretch::default(),
        stack: Vec::new(),
        nested: 0,
    }
}
