//! What an engine tells of itself: the methods of [`Engine`] that read events and registries.

use std::sync::{Arc, Weak};

use super::progress;
use super::registry::{ActorProbe, ActorStatus, QueryGuard, QueryStatus};
use super::status::Status;
use super::tasks::TaskRecord;
use super::trace::{Trace, TraceRecorder};
use super::{EventKind, EventStream, Hub, Label};
use crate::engine::Engine;

impl Engine {
    /// What happens in the engine from now on, as a stream of events; see [`EventStream`].
    ///
    /// ```
    /// use trefoil_core::{Engine, EventKind};
    ///
    /// let engine = Engine::new()?;
    /// let mut events = engine.events().blocking();
    /// engine.spawn_fn(|| 6 * 7).get()?;
    /// let finished = events.find(|event| matches!(event.kind, EventKind::TaskFinished { .. }));
    /// assert!(finished.is_some());
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn events(&self) -> EventStream {
        self.hub().subscribe()
    }

    /// Runs `work` as a named stretch of the calling thread: it shows in traces, around the tasks it starts.
    ///
    /// Spans may be nested. While nothing is recorded this only calls `work`.
    ///
    /// ```
    /// let engine = trefoil_core::Engine::new()?;
    /// let sum = engine.span("load and add", || (1..=100).sum::<i32>());
    /// assert_eq!(sum, 5050);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn span<R>(&self, name: impl Into<Label>, work: impl FnOnce() -> R) -> R {
        if !self.hub().on() {
            return work();
        }
        let _span = SpanGuard { engine: self, name: name.into(), started: self.hub().now() };
        work()
    }

    /// Where the engine stands: workers, memory, running tasks and queries, actors, failures. Print it.
    ///
    /// ```
    /// let engine = trefoil_core::Engine::builder().workers(2).memory("64MiB").build()?;
    /// let status = engine.status();
    /// assert_eq!((status.workers, status.queued), (2, 0));
    /// assert!(status.to_string().contains("of 64.0 MiB reserved"), "{status}");
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn status(&self) -> Status {
        let (budget, store, hub) = (self.budget(), self.store(), self.hub());
        let (busy, queued) = self.pool_load();
        Status {
            engine: self.name().to_owned(),
            uptime: hub.now(),
            workers: self.workers(),
            busy,
            queued,
            resources: Vec::new(),
            recording: hub.on(),
            threads: hub.threads(),
            memory_limit: budget.limit(),
            memory_reserved: budget.reserved(),
            memory_peak: budget.peak(),
            consumers: budget.consumers(),
            partitions: store.partition_count(),
            spilled_bytes: store.spilled_bytes(),
            spills: store.spill_count(),
            actors: hub.actors().into_iter().filter(|actor| actor.end.is_none()).collect(),
            queries: hub.queries().into_iter().filter(|query| query.outcome.is_none()).collect(),
            failures: hub.failures(),
        }
    }

    /// When the engine was started: the time from which events are counted.
    pub fn started_at(&self) -> std::time::SystemTime {
        self.hub().wall
    }

    /// What is known of tasks, in the order they were made, and how many events were overwritten and are
    /// missing in it. Empty unless events are recorded; see [`EngineBuilder::events`](crate::EngineBuilder::events).
    pub fn tasks(&self) -> (Vec<TaskRecord>, u64) {
        self.hub().tasks()
    }

    /// The queries that run and the last that ended, in the order they were started, and how many that ended
    /// are no longer listed.
    pub fn queries(&self) -> (Vec<QueryStatus>, u64) {
        (self.hub().queries(), self.hub().forgotten_queries())
    }

    /// The actors that live and the last that ended, in the order they were started.
    pub fn actors(&self) -> Vec<ActorStatus> {
        self.hub().actors()
    }

    /// How many actors that ended are no longer listed by [`Engine::actors`].
    pub fn forgotten_actors(&self) -> u64 {
        self.hub().forgotten_actors()
    }

    /// What the rings hold, as a trace; see [`Trace`]. Empty unless events are recorded.
    pub fn trace(&self) -> Trace {
        self.hub().trace(self.name())
    }

    /// Records everything from now on, beyond what the rings hold.
    ///
    /// ```
    /// let engine = trefoil_core::Engine::builder().workers(2).build()?;
    /// let recorder = engine.start_trace();
    /// engine.span("squares", || {
    ///     let refs: Vec<_> = (0..4).map(|n| engine.spawn_fn(move || n * n)).collect();
    ///     engine.block_on(engine.gather(refs))
    /// })?;
    /// let trace = recorder.stop();
    /// assert!(trace.to_json().contains("squares"));
    /// // trace.save("trace.json")?; and open it at https://ui.perfetto.dev
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn start_trace(&self) -> TraceRecorder {
        TraceRecorder::start(self.name(), self.hub().clone(), self.control())
    }

    /// Draws progress bars of running queries and tasks on standard error from now on, or no longer. Nothing
    /// is drawn where standard error is no terminal.
    pub fn progress(&self, on: bool) {
        progress::switch(self.hub(), self.control(), on);
    }

    /// Announces a query to status, tables and traces; for what plans and runs queries on the engine.
    ///
    /// ```
    /// use trefoil_core::{Engine, Outcome};
    ///
    /// let engine = Engine::new()?;
    /// let query = engine.begin_query("SELECT 1");
    /// assert_eq!(engine.status().queries.len(), 1);
    /// query.finish(Outcome::Succeeded);
    /// assert_eq!(engine.queries().0[0].state(), "finished");
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn begin_query(&self, text: impl Into<Label>) -> QueryGuard {
        self.hub().begin_query(text.into())
    }

    /// Lists an actor for as long as its probe lives; for what runs actors on the engine.
    pub fn add_actor(&self, probe: Weak<dyn ActorProbe>) {
        self.hub().add_actor(probe);
    }

    /// Keeps what is known of an actor that has ended; for what runs actors on the engine.
    pub fn end_actor(&self, status: ActorStatus) {
        self.hub().end_actor(status);
    }

    /// Whether events are recorded now.
    #[inline]
    pub fn records_events(&self) -> bool {
        self.hub().on()
    }

    /// A handle for writing events.
    #[doc(hidden)]
    pub fn event_sink(&self) -> EventSink {
        EventSink(self.hub().clone())
    }

    /// Writes an event down if events are recorded; for what runs work on the engine.
    #[inline]
    pub fn emit(&self, kind: impl FnOnce() -> EventKind) {
        self.hub().emit(kind);
    }
}

/// Writes events of an engine and keeps nothing of it running; for what runs work on the engine.
#[doc(hidden)]
#[derive(Clone)]
pub struct EventSink(Arc<Hub>);

impl EventSink {
    /// Whether events are recorded now.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.on()
    }

    /// The time since the start of the engine.
    pub fn now(&self) -> std::time::Duration {
        self.0.now()
    }

    /// Writes an event down if events are recorded.
    #[inline]
    pub fn emit(&self, kind: impl FnOnce() -> EventKind) {
        self.0.emit(kind);
    }
}

/// Ends a span, also when its work panics.
struct SpanGuard<'a> {
    engine: &'a Engine,
    name: Label,
    started: std::time::Duration,
}

impl Drop for SpanGuard<'_> {
    fn drop(&mut self) {
        let (name, started) = (self.name.clone(), self.started);
        self.engine.emit(|| EventKind::Span { name, started });
    }
}
