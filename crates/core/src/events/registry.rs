//! What lives now: queries and actors announce themselves and are asked when someone wants to know.
//!
//! A query is listed from [`Hub::begin_query`] until its guard is finished or dropped; the last few that
//! ended stay listed. An actor is listed as long as its probe lives, and tells of its end itself. None of
//! this depends on whether events are recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::event::{EventKind, Label, OperatorMetrics, Outcome};
use super::ring::Ring;
use super::{Hub, nanos};
use crate::error::Error;
use crate::id::next_number;

/// Queries and actors that have ended and stay listed, of each so many.
const ENDED: usize = 256;
/// Failures that stay listed.
const ERRORS: usize = 16;

type Probe = Arc<dyn Fn() -> Vec<OperatorMetrics> + Send + Sync>;

/// A query that runs, or one of the last that ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueryStatus {
    /// The query.
    pub id: u64,
    /// Its text, or what it does.
    pub text: Label,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
    /// When it was given to the engine, since its start.
    pub started: Duration,
    /// How long it has run, or ran.
    pub elapsed: Duration,
    /// What its operators have done so far, parents first; empty before it is planned.
    pub operators: Arc<[OperatorMetrics]>,
}

impl QueryStatus {
    /// Rows the query gave so far.
    pub fn rows(&self) -> Option<u64> {
        self.operators.first().and_then(|root| root.rows)
    }

    /// Bytes its operators wrote to disk because memory was short.
    pub fn spilled_bytes(&self) -> u64 {
        self.operators.iter().map(|operator| operator.spilled_bytes).sum()
    }

    /// The word for its state: `running`, `finished`, `failed` or `cancelled`.
    pub fn state(&self) -> &'static str {
        self.outcome.as_ref().map_or("running", Outcome::word)
    }
}

/// Where an actor stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ActorStatus {
    /// The actor.
    pub id: u64,
    /// The name it was given.
    pub name: Option<String>,
    /// The name of its type.
    pub kind: Label,
    /// How it ended; none while it lives.
    pub end: Option<Label>,
    /// Calls that wait.
    pub pending: usize,
    /// Calls that were begun.
    pub calls: u64,
    /// How often it was given a fresh state after a panic.
    pub restarts: u32,
}

impl ActorStatus {
    /// A living actor without calls.
    pub fn new(id: u64, name: Option<String>, kind: impl Into<Label>) -> Self {
        Self { id, name, kind: kind.into(), end: None, pending: 0, calls: 0, restarts: 0 }
    }
}

/// Something that can say where its actor stands.
pub trait ActorProbe: Send + Sync {
    /// Where the actor stands now.
    fn status(&self) -> ActorStatus;
}

/// A failure, and when it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// When, since the start of the engine.
    pub at: Duration,
    /// What failed.
    pub what: Label,
    /// The error.
    pub error: Error,
}

struct Running {
    text: Label,
    started: Duration,
    probe: Option<Probe>,
}

/// Queries, actors and failures of an engine.
pub(super) struct Registry {
    running: Mutex<BTreeMap<u64, Running>>,
    ended: Mutex<Ring<QueryStatus>>,
    /// Queries that ended since the start: well, with an error, cancelled.
    counts: [AtomicU64; 3],
    actors: Mutex<Vec<Weak<dyn ActorProbe>>>,
    ended_actors: Mutex<Ring<ActorStatus>>,
    failures: Mutex<Ring<Failure>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            ended: Mutex::new(Ring::new(ENDED)),
            counts: Default::default(),
            actors: Mutex::default(),
            ended_actors: Mutex::new(Ring::new(ENDED)),
            failures: Mutex::new(Ring::new(ERRORS)),
        }
    }
}

fn all<T: Clone>(ring: &Mutex<Ring<T>>) -> Vec<T> {
    let mut all = Vec::new();
    ring.lock().read(&mut 0, usize::MAX, &mut all);
    all
}

impl Hub {
    pub(crate) fn begin_query(self: &Arc<Self>, text: Label) -> QueryGuard {
        let id = next_number();
        let started = self.now();
        let running = Running { text: text.clone(), started, probe: None };
        self.registry.running.lock().insert(id, running);
        let span = tracing::debug_span!(target: "trefoil", "query", id, text = %text);
        self.emit(|| EventKind::QueryStarted { id, text });
        QueryGuard { hub: Arc::clone(self), id, open: true, span }
    }

    fn end_query(&self, id: u64, outcome: Outcome) {
        let Some(query) = self.registry.running.lock().remove(&id) else { return };
        let operators: Arc<[OperatorMetrics]> = query.probe.map(|probe| probe()).unwrap_or_default().into();
        if let Outcome::Failed(error) = &outcome {
            self.note_failure(query.text.clone(), error.clone());
        }
        let count = match &outcome {
            Outcome::Succeeded => 0,
            Outcome::Failed(_) => 1,
            Outcome::Cancelled => 2,
        };
        self.registry.counts[count].fetch_add(1, Ordering::Relaxed);
        let (text, started) = (query.text.clone(), query.started);
        let status = QueryStatus {
            id,
            text: query.text,
            outcome: Some(outcome.clone()),
            started,
            elapsed: self.now().saturating_sub(started),
            operators: Arc::clone(&operators),
        };
        let oldest = self.registry.ended.lock().push(status);
        drop(oldest);
        self.emit(|| EventKind::QueryFinished { id, text, started, outcome, operators });
    }

    pub(super) fn note_failure(&self, what: Label, error: Error) {
        let failure = Failure { at: self.now(), what, error };
        let oldest = self.registry.failures.lock().push(failure);
        drop(oldest);
    }

    /// Queries that run, and the last that ended, in the order they were started.
    pub(crate) fn queries(&self) -> Vec<QueryStatus> {
        let running: Vec<(u64, Label, Duration, Option<Probe>)> = {
            let running = self.registry.running.lock();
            running.iter().map(|(id, q)| (*id, q.text.clone(), q.started, q.probe.clone())).collect()
        };
        let mut queries = all(&self.registry.ended);
        let now = self.now();
        queries.extend(running.into_iter().map(|(id, text, started, probe)| QueryStatus {
            id,
            text,
            outcome: None,
            started,
            elapsed: now.saturating_sub(started),
            operators: probe.map(|probe| probe()).unwrap_or_default().into(),
        }));
        queries.sort_by_key(|query| query.id);
        // One that ended while this looked is in both lists.
        queries.dedup_by_key(|query| query.id);
        queries
    }

    /// How many ended queries are no longer listed.
    pub(crate) fn forgotten_queries(&self) -> u64 {
        self.registry.ended.lock().overwritten()
    }

    /// How many queries ended since the start: well, with an error, cancelled.
    #[cfg(feature = "metrics")]
    pub(super) fn ended_queries(&self) -> [u64; 3] {
        self.registry.counts.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// How many ended actors are no longer listed.
    pub(crate) fn forgotten_actors(&self) -> u64 {
        self.registry.ended_actors.lock().overwritten()
    }

    pub(crate) fn failures(&self) -> Vec<Failure> {
        all(&self.registry.failures)
    }

    pub(crate) fn add_actor(&self, probe: Weak<dyn ActorProbe>) {
        if let Some(actor) = probe.upgrade() {
            let ActorStatus { id, name, kind, .. } = actor.status();
            self.emit(|| EventKind::ActorStarted { id, name: name.map_or(kind, Label::from) });
        }
        let mut actors = self.registry.actors.lock();
        if actors.len() == actors.capacity() {
            actors.retain(|actor| actor.strong_count() > 0);
        }
        actors.push(probe);
    }

    pub(crate) fn end_actor(&self, status: ActorStatus) {
        let how = status.end.clone().unwrap_or(Label::Static("ended"));
        let name = status.name.clone().map_or_else(|| status.kind.clone(), Label::from);
        let (id, calls) = (status.id, status.calls);
        self.registry.ended_actors.lock().push(status);
        self.emit(|| EventKind::ActorStopped { id, name, how, calls });
    }

    /// Actors that live, and the last that ended, in the order they were started.
    pub(crate) fn actors(&self) -> Vec<ActorStatus> {
        let living: Vec<_> = self.registry.actors.lock().iter().filter_map(Weak::upgrade).collect();
        let mut actors = all(&self.registry.ended_actors);
        // Handles outlive the end of an actor, so an ended one may be in both lists.
        actors.extend(living.iter().map(|actor| actor.status()));
        actors.sort_by_key(|actor| (actor.id, actor.end.is_none()));
        actors.dedup_by_key(|actor| actor.id);
        actors
    }
}

/// A query that runs; from [`Engine::begin_query`](crate::Engine::begin_query). Dropped before it is
/// finished, the query counts as cancelled.
#[must_use = "the query counts as cancelled when this is dropped"]
pub struct QueryGuard {
    hub: Arc<Hub>,
    id: u64,
    open: bool,
    span: tracing::Span,
}

impl QueryGuard {
    /// The query's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The query was planned; `metrics` tells at any time what its operators have done, parents first. A
    /// query that is planned again counts with its last plan.
    pub fn planned(&self, metrics: impl Fn() -> Vec<OperatorMetrics> + Send + Sync + 'static) {
        let operators = if self.hub.on() { metrics().len() } else { 0 };
        if let Some(query) = self.hub.registry.running.lock().get_mut(&self.id) {
            query.probe = Some(Arc::new(metrics));
        }
        self.hub.emit(|| EventKind::QueryPlanned { id: self.id, operators });
    }

    /// The query's span for `tracing`; none of it costs anything while nobody listens.
    pub fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// A time of the clock as time since the start of the engine.
    pub fn since_start(&self, time: std::time::Instant) -> Duration {
        Duration::from_nanos(nanos(self.hub.at(time)))
    }

    /// The query ended.
    pub fn finish(mut self, outcome: Outcome) {
        self.open = false;
        self.hub.end_query(self.id, outcome);
    }
}

impl Drop for QueryGuard {
    fn drop(&mut self) {
        if self.open {
            self.hub.end_query(self.id, Outcome::Cancelled);
        }
    }
}

impl fmt::Debug for QueryGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryGuard({})", self.id)
    }
}
