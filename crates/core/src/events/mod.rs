//! Events: what happens in an engine, written down per thread and read by whoever asks.
//!
//! ```text
//!   task, query, spill, actor ──emit──> lane of the thread (a ring) ──┬─> EventStream   subscribers
//!                                                                     ├─> Trace         a file for Perfetto
//!                                                                     └─> tasks()       tables, status
//! ```
//!
//! Protocol. A hub belongs to an engine. Each thread that emits has a *lane* of its own: a ring of a fixed
//! capacity that overwrites its oldest events and counts them ([`ring`]). Only the thread writes its lane,
//! so writers never wait for each other; readers keep a cursor per lane and are told what they missed.
//! Nothing is written while recording is off, which costs one relaxed load at each place that could emit.
//! Tiny tasks in a flood are written down in groups ([`flood`]), so that recording costs little also then.
//!
//! Recording is on while the engine was built with [`EngineBuilder::events`](crate::EngineBuilder::events)
//! or a subscriber or trace lives. What must be known at any time, the queries and actors that live, is
//! kept in registries of their own and does not depend on it.

mod api;
mod event;
mod flood;
mod lane;
#[cfg(feature = "metrics")]
mod metrics;
mod progress;
mod registry;
mod ring;
mod status;
mod stream;
mod tasks;
mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::task::Waker;
use std::thread::ThreadId;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Mutex, RwLock};
use tracing::span::EnteredSpan;

use crate::error::{Error, TaskInfo};
use crate::id::next_number;
pub use api::EventSink;
pub use event::{Event, EventKind, Label, OperatorMetrics, Outcome};
use lane::{Begun, Lane};
#[cfg(feature = "metrics")]
pub use metrics::MetricsReporter;
#[cfg(feature = "prometheus")]
pub use metrics::Prometheus;
use registry::Registry;
pub use registry::{ActorProbe, ActorStatus, Failure, QueryGuard, QueryStatus};
pub use status::{Status, WorkerStatus};
pub use stream::{BlockingEvents, EventStream};
pub use tasks::TaskRecord;
pub use trace::{Trace, TraceRecorder};

/// Events each thread keeps if nobody says otherwise.
pub(crate) const DEFAULT_CAPACITY: usize = 4096;

/// Lanes of threads that have ended are kept up to this many, then taken over by new threads.
const ENDED_LANES: usize = 64;

/// Nanoseconds, which last for 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A task that runs now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Running {
    /// The task.
    pub id: u64,
    /// Its name.
    pub name: Label,
    /// Since when, counted from the start of the engine.
    pub since: Duration,
}

/// Tells sleeping subscribers of news.
#[derive(Default)]
struct Bell {
    waiting: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Bell {
    #[inline]
    fn ring(&self) {
        // The event is written before the look; a subscriber announces itself and then looks for events.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        let wakers = {
            let mut wakers = self.wakers.lock();
            self.waiting.store(false, Ordering::Relaxed);
            std::mem::take(&mut *wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wait(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        self.waiting.store(true, Ordering::Relaxed);
        drop(wakers);
        fence(Ordering::SeqCst);
    }
}

/// The events of an engine.
pub(crate) struct Hub {
    id: u64,
    base: Instant,
    /// The same moment for people.
    pub(crate) wall: SystemTime,
    /// Who wants events recorded: the builder, and each subscriber.
    wanted: AtomicU32,
    /// Per lane.
    capacity: usize,
    lanes: RwLock<Vec<(ThreadId, Arc<Lane>)>>,
    bell: Arc<Bell>,
    closed: AtomicBool,
    /// Events that could not be written: emitted by a destructor of what an event held.
    unwritten: AtomicU64,
    registry: Registry,
    /// Who draws progress bars.
    drawer: Mutex<Option<tokio::task::AbortHandle>>,
}

impl Hub {
    /// A hub whose lanes keep `capacity` events; without a capacity nothing is recorded until someone asks.
    pub(crate) fn new(capacity: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            id: next_number(),
            base: Instant::now(),
            wall: SystemTime::now(),
            wanted: AtomicU32::new(u32::from(capacity.is_some())),
            capacity: capacity.unwrap_or(DEFAULT_CAPACITY),
            lanes: RwLock::default(),
            bell: Arc::default(),
            closed: AtomicBool::new(false),
            unwritten: AtomicU64::new(0),
            registry: Registry::default(),
            drawer: Mutex::default(),
        })
    }

    /// Whether events are recorded now.
    #[inline]
    pub(crate) fn on(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0
    }

    /// The time since the start of the engine.
    pub(crate) fn now(&self) -> Duration {
        self.base.elapsed()
    }

    /// A time of the clock as time since the start of the engine.
    pub(crate) fn at(&self, time: Instant) -> Duration {
        time.saturating_duration_since(self.base)
    }

    /// The lane of the calling thread, made if it has none.
    fn lane(&self) -> Arc<Lane> {
        let thread = std::thread::current();
        let mut lanes = self.lanes.write();
        if let Some((_, known)) = lanes.iter().find(|(id, _)| *id == thread.id()) {
            known.alive.store(true, Ordering::Relaxed);
            return Arc::clone(known);
        }
        let name = match thread.name() {
            Some(name) => name.to_owned(),
            None => format!("thread {}", lanes.len()),
        };
        let ended = |lane: &Arc<Lane>| !lane.alive.load(Ordering::Relaxed);
        if lanes.iter().filter(|(_, lane)| ended(lane)).count() > ENDED_LANES
            && let Some((owner, lane)) = lanes.iter_mut().find(|(_, lane)| ended(lane))
        {
            *owner = thread.id();
            *lane.name.lock() = name;
            lane.alive.store(true, Ordering::Relaxed);
            return Arc::clone(lane);
        }
        let lane = Arc::new(Lane::new(lanes.len() as u32, name, self.capacity, Arc::clone(&self.bell)));
        lanes.push((thread.id(), Arc::clone(&lane)));
        lane
    }

    fn lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.read().iter().map(|(_, lane)| Arc::clone(lane)).collect()
    }

    /// Writes an event down, if events are recorded.
    #[inline]
    pub(crate) fn emit(&self, kind: impl FnOnce() -> EventKind) {
        if self.on() {
            self.write(kind());
        }
    }

    fn write(&self, kind: EventKind) {
        let at = nanos(self.now());
        if lane::with(self, |local| local.lane.push(at, kind)).is_none() {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A task was made.
    #[inline]
    pub(crate) fn submitted(&self, id: u64, info: impl FnOnce() -> TaskInfo) {
        if self.on() {
            let info = info();
            lane::with(self, |local| local.submitted(id, &info));
        }
    }

    /// The calling thread begins to run a task; to be followed by [`Hub::end`] or [`Hub::detach`].
    #[inline]
    pub(crate) fn begin(&self, id: u64, info: &TaskInfo) -> Mark {
        let span = if tracing::enabled!(target: "trefoil", tracing::Level::DEBUG) {
            Some(Box::new(
                tracing::debug_span!(target: "trefoil", "task", id, name = %info.name, at = %info.location)
                    .entered(),
            ))
        } else {
            None
        };
        let begun = if self.on() { lane::with(self, |local| local.begin(id, info)) } else { None };
        Mark { begun, span }
    }

    /// A task that the calling thread began has ended.
    #[inline]
    pub(crate) fn end<T>(&self, mark: Mark, id: u64, info: &TaskInfo, result: &Result<T, Error>) {
        if mark.span.is_some() {
            tell(result);
        }
        if let Some(begun) = mark.begun {
            self.note_task_failure(info, result);
            let attempt = attempt(info, result);
            lane::with(self, |local| local.end(id, info, attempt, begun, Outcome::of(result)));
        }
    }

    /// A task that the calling thread began goes on asynchronously; gives when it began.
    pub(crate) fn detach(&self, mark: Mark, id: u64) -> Detached {
        let begun = mark.begun;
        let started = begun.and_then(|begun| lane::with(self, |local| local.detach(id, begun)));
        Detached { started, span: mark.span.map(|span| span.exit()) }
    }

    /// The asynchronous part of a task has ended.
    pub(crate) fn end_detached<T>(
        &self,
        detached: Detached,
        id: u64,
        info: &TaskInfo,
        result: &Result<T, Error>,
    ) {
        if let Some(span) = detached.span {
            span.in_scope(|| tell(result));
        }
        let Some(started) = detached.started else { return };
        self.note_task_failure(info, result);
        self.finish(Some(started), id, info, attempt(info, result), Outcome::of(result));
    }

    /// A task ended without having run.
    pub(crate) fn never_ran(&self, id: u64, info: Option<TaskInfo>, error: &Error) {
        if self.on()
            && let Some(info) = info
        {
            self.finish(None, id, &info, 1, Outcome::of_error(error));
        }
    }

    fn note_task_failure<T>(&self, info: &TaskInfo, result: &Result<T, Error>) {
        // An error that an argument passed on was noted where it came from.
        if let Err(error) = result
            && let Outcome::Failed(_) = Outcome::of_error(error)
            && error.task().is_some_and(|task| std::ptr::eq(task.location, info.location))
        {
            self.note_failure(Label::from(&info.name), error.clone());
        }
    }

    fn finish(&self, started: Option<u64>, id: u64, info: &TaskInfo, attempt: u32, outcome: Outcome) {
        lane::with(self, |local| local.count(&outcome, 1));
        self.write(EventKind::TaskFinished {
            id,
            name: Label::from(&info.name),
            started: started.map(Duration::from_nanos),
            outcome,
            attempt,
            asynchronous: started.is_some(),
            count: 1,
        });
    }

    /// The calling worker found nothing to do.
    #[inline]
    pub(crate) fn idle(&self) {
        if self.on() {
            lane::with(self, lane::Local::idle);
        }
    }

    /// A subscriber; events are recorded while it lives.
    pub(crate) fn subscribe(self: &Arc<Self>) -> EventStream {
        EventStream::new(Arc::clone(self))
    }

    /// No more events will come: subscribers end when they have read what is there.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        self.bell.wake();
    }
}

/// A task that runs on this thread: what is remembered until its end.
pub(crate) struct Mark {
    begun: Option<Begun>,
    /// Rare, and not to be carried along.
    span: Option<Box<EnteredSpan>>,
}

/// A task whose asynchronous part runs.
pub(crate) struct Detached {
    started: Option<u64>,
    span: Option<tracing::Span>,
}

/// Tells subscribers of `tracing` how a task ended, within its span.
#[cold]
fn tell<T>(result: &Result<T, Error>) {
    match result {
        Ok(_) => tracing::trace!(target: "trefoil", "finished"),
        Err(error) => tracing::debug!(target: "trefoil", %error, "failed"),
    }
}

/// Which attempt a result is of: a failure says so itself.
fn attempt<T>(info: &TaskInfo, result: &Result<T, Error>) -> u32 {
    let failed = result.as_ref().err().and_then(Error::task);
    failed.filter(|task| std::ptr::eq(task.location, info.location)).map_or(info.attempt, |task| task.attempt)
}
