//! What an engine counts, told through the facade of the crate `metrics`; with the feature `prometheus` also
//! as text for Prometheus.
//!
//! ```text
//!   registries, lanes, budget, store ──totals──┐
//!                                              ├─> facade ──> the program's recorder, or one of ours
//!   event stream ──────────────────durations───┘
//! ```
//!
//! Protocol. A [`MetricsReporter`] subscribes to events, so they are recorded while it lives. A task of the
//! control runtime sleeps until something happens, waits a little for more, and reports; an idle engine does
//! nothing. Counters are totals that the engine keeps itself, so a reporter that was too slow for a ring
//! loses durations of single tasks, which it counts, and never a count. Nothing global is installed: the
//! program decides where the facade leads, and [`Prometheus`] has a recorder of its own.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use metrics::{SharedString, Unit, counter, gauge, histogram};
use parking_lot::Mutex;

use super::event::{Event, EventKind};
use super::{EventStream, Hub};
use crate::engine::{Engine, WeakEngine};

/// Between two reports.
const PAUSE: Duration = Duration::from_millis(250);

/// Everything that is reported: kind, name, unit, meaning. All have the label `engine`.
const METRICS: [(Kind, &str, Option<Unit>, &str); 25] = {
    use Kind::{Counter, Gauge, Histogram};
    const BYTES: Option<Unit> = Some(Unit::Bytes);
    const SECONDS: Option<Unit> = Some(Unit::Seconds);
    [
        (Counter, "trefoil_tasks_submitted_total", None, "tasks made"),
        (Counter, "trefoil_tasks_total", None, "tasks that ended, by outcome"),
        (
            Histogram,
            "trefoil_task_seconds",
            SECONDS,
            "how long tasks ran, by name; groups of tiny tasks by their mean",
        ),
        (Gauge, "trefoil_tasks_queued", None, "tasks that are ready and wait for a worker"),
        (Gauge, "trefoil_workers", None, "worker threads"),
        (Gauge, "trefoil_workers_busy", None, "worker threads that are awake"),
        (Counter, "trefoil_queries_total", None, "queries that ended, by outcome"),
        (Histogram, "trefoil_query_seconds", SECONDS, "how long queries took, by outcome"),
        (Gauge, "trefoil_queries_running", None, "queries that run"),
        (Gauge, "trefoil_actors", None, "actors that live"),
        (Counter, "trefoil_actor_calls_reported_total", None, "calls of actors that were seen in events"),
        (Gauge, "trefoil_memory_limit_bytes", BYTES, "the memory budget"),
        (Gauge, "trefoil_memory_reserved_bytes", BYTES, "bytes of the budget that are taken"),
        (Gauge, "trefoil_memory_peak_bytes", BYTES, "the most that was ever taken at once"),
        (Gauge, "trefoil_memory_pinned_bytes", BYTES, "bytes of stored values that cannot be spilled"),
        (Gauge, "trefoil_objects", None, "stored objects"),
        (Counter, "trefoil_spills_total", None, "objects written to disk to make room"),
        (Counter, "trefoil_spilled_bytes_total", BYTES, "bytes of memory given back by spilling objects"),
        (Counter, "trefoil_spill_failures_total", None, "spill files that could not be written"),
        (Histogram, "trefoil_spill_seconds", SECONDS, "how long writing an object to disk took"),
        (Counter, "trefoil_restores_total", None, "objects read back from disk"),
        (Histogram, "trefoil_restore_seconds", SECONDS, "how long reading an object back took"),
        (Counter, "trefoil_recomputations_total", None, "lost partitions that were computed again"),
        (
            Counter,
            "trefoil_memory_refusals_reported_total",
            None,
            "requests for memory refused, seen in events",
        ),
        (
            Counter,
            "trefoil_events_missed_total",
            None,
            "events the reporter was too slow for; durations, not counts",
        ),
    ]
};

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Where the facade leads.
enum Sink {
    /// To the recorder that the program installed.
    Program,
    #[cfg(feature = "prometheus")]
    Prometheus(metrics_exporter_prometheus::PrometheusRecorder),
}

impl Sink {
    fn within(&self, report: impl FnOnce()) {
        match self {
            Self::Program => report(),
            #[cfg(feature = "prometheus")]
            Self::Prometheus(recorder) => metrics::with_local_recorder(recorder, report),
        }
    }
}

struct Reporter {
    engine: WeakEngine,
    label: SharedString,
    events: EventStream,
    sink: Sink,
    actor_calls: u64,
    refusals: u64,
}

impl Reporter {
    fn report(&mut self) {
        let events = self.events.drain();
        for event in &events {
            match &event.kind {
                EventKind::ActorCalled { count, .. } => self.actor_calls += u64::from(*count),
                EventKind::MemoryPressure { refused: true, .. } => self.refusals += 1,
                _ => {}
            }
        }
        let (missed, calls, refusals) = (self.events.lost(), self.actor_calls, self.refusals);
        let (engine, label) = (self.engine.upgrade(), self.label.clone());
        self.sink.within(|| {
            events.iter().for_each(|event| durations(event, &label));
            counter!("trefoil_events_missed_total", "engine" => label.clone()).absolute(missed);
            counter!("trefoil_actor_calls_reported_total", "engine" => label.clone()).absolute(calls);
            counter!("trefoil_memory_refusals_reported_total", "engine" => label.clone()).absolute(refusals);
            if let Some(engine) = engine {
                totals(&engine, &label);
            }
        });
    }
}

/// What an event says about how long something took.
fn durations(event: &Event, engine: &SharedString) {
    let took = |started: Duration| event.at.saturating_sub(started).as_secs_f64();
    match &event.kind {
        EventKind::TaskFinished { name, started: Some(started), count, .. } => {
            let task = SharedString::from(name.to_string());
            let seconds = took(*started) / f64::from((*count).max(1));
            histogram!("trefoil_task_seconds", "engine" => engine.clone(), "task" => task)
                .record_many(seconds, *count as usize);
        }
        EventKind::QueryFinished { started, outcome, .. } => {
            histogram!("trefoil_query_seconds", "engine" => engine.clone(), "outcome" => outcome.word())
                .record(took(*started));
        }
        EventKind::Spilled { started, .. } => {
            histogram!("trefoil_spill_seconds", "engine" => engine.clone()).record(took(*started));
        }
        EventKind::Restored { started, .. } => {
            histogram!("trefoil_restore_seconds", "engine" => engine.clone()).record(took(*started));
        }
        _ => {}
    }
}

/// What the engine has counted so far, and where it stands.
fn totals(engine: &Engine, label: &SharedString) {
    let (status, store) = (engine.status(), engine.store());
    let count = |name: &'static str, value: u64| {
        counter!(name, "engine" => label.clone()).absolute(value);
    };
    let by_outcome = |name: &'static str, values: [u64; 3]| {
        for (outcome, value) in ["finished", "failed", "cancelled"].into_iter().zip(values) {
            counter!(name, "engine" => label.clone(), "outcome" => outcome).absolute(value);
        }
    };
    let level = |name: &'static str, value: usize| {
        gauge!(name, "engine" => label.clone()).set(value as f64);
    };
    let sum = |of: fn(&super::WorkerStatus) -> u64| status.threads.iter().map(of).sum::<u64>();
    count("trefoil_tasks_submitted_total", sum(|t| t.submitted));
    by_outcome("trefoil_tasks_total", [sum(|t| t.finished), sum(|t| t.failed), sum(|t| t.cancelled)]);
    level("trefoil_tasks_queued", status.queued);
    level("trefoil_workers", status.workers);
    level("trefoil_workers_busy", status.busy);
    by_outcome("trefoil_queries_total", engine.hub().ended_queries());
    level("trefoil_queries_running", status.queries.len());
    level("trefoil_actors", status.actors.len());
    level("trefoil_memory_limit_bytes", status.memory_limit);
    level("trefoil_memory_reserved_bytes", status.memory_reserved);
    level("trefoil_memory_peak_bytes", status.memory_peak);
    level("trefoil_memory_pinned_bytes", store.pinned_bytes());
    level("trefoil_objects", store.object_count());
    count("trefoil_spills_total", status.spills as u64);
    count("trefoil_spilled_bytes_total", status.spilled_bytes as u64);
    count("trefoil_spill_failures_total", store.spill_failure_count() as u64);
    count("trefoil_restores_total", store.restore_count() as u64);
    count("trefoil_recomputations_total", store.recompute_count() as u64);
}

fn describe() {
    for (kind, name, unit, text) in METRICS {
        match (kind, unit) {
            (Kind::Counter, Some(unit)) => metrics::describe_counter!(name, unit, text),
            (Kind::Counter, None) => metrics::describe_counter!(name, text),
            (Kind::Gauge, Some(unit)) => metrics::describe_gauge!(name, unit, text),
            (Kind::Gauge, None) => metrics::describe_gauge!(name, text),
            (Kind::Histogram, Some(unit)) => metrics::describe_histogram!(name, unit, text),
            (Kind::Histogram, None) => metrics::describe_histogram!(name, text),
        }
    }
}

/// Reports what an engine counts through the facade of the crate `metrics`, until it is dropped; from
/// [`Engine::report_metrics`].
#[must_use = "reporting ends when this is dropped"]
pub struct MetricsReporter {
    reporter: Arc<Mutex<Reporter>>,
    task: tokio::task::AbortHandle,
}

impl MetricsReporter {
    fn start(engine: &Engine, sink: Sink) -> Self {
        sink.within(describe);
        let reporter = Arc::new(Mutex::new(Reporter {
            engine: engine.downgrade(),
            label: SharedString::from(engine.name().to_owned()),
            events: engine.hub().subscribe(),
            sink,
            actor_calls: 0,
            refusals: 0,
        }));
        let (reporting, hub) = (Arc::clone(&reporter), Arc::downgrade(engine.hub()));
        let task = engine.control().spawn(async move {
            // A second subscriber, which only tells that something happened.
            let Some(mut bell) = hub.upgrade().as_ref().map(Hub::subscribe) else { return };
            while bell.next().await.is_some() {
                tokio::time::sleep(PAUSE).await;
                bell.drain();
                reporting.lock().report();
            }
        });
        let reporter = Self { reporter, task: task.abort_handle() };
        reporter.flush();
        reporter
    }

    /// Reports now what has not been reported yet.
    pub fn flush(&self) {
        self.reporter.lock().report();
    }
}

impl Drop for MetricsReporter {
    fn drop(&mut self) {
        self.task.abort();
        self.flush();
    }
}

impl std::fmt::Debug for MetricsReporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MetricsReporter({})", self.reporter.lock().label)
    }
}

/// What an engine counts, as text that Prometheus reads; from [`Engine::prometheus`].
#[cfg(feature = "prometheus")]
#[derive(Debug)]
#[must_use = "it holds what was counted"]
pub struct Prometheus {
    reporter: MetricsReporter,
    handle: Handle,
}

#[cfg(feature = "prometheus")]
struct Handle(metrics_exporter_prometheus::PrometheusHandle);

#[cfg(feature = "prometheus")]
impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrometheusHandle")
    }
}

#[cfg(feature = "prometheus")]
impl Prometheus {
    /// Everything up to now in Prometheus' text format, to be answered to `GET /metrics` with the content type
    /// `text/plain; version=0.0.4`.
    pub fn render(&self) -> String {
        self.reporter.flush();
        self.handle.0.render()
    }
}

impl Engine {
    /// Reports what the engine counts through the facade of the crate [`metrics`](https://docs.rs/metrics), to
    /// whatever recorder the program has installed, four times a second while anything happens. Events are
    /// recorded meanwhile. Feature `metrics`.
    ///
    /// ```
    /// let engine = trefoil_core::Engine::new()?;
    /// let reporter = engine.report_metrics();      // after the program has installed its recorder
    /// engine.spawn_fn(|| 6 * 7).get()?;
    /// reporter.flush();
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn report_metrics(&self) -> MetricsReporter {
        MetricsReporter::start(self, Sink::Program)
    }

    /// Counts for Prometheus from now on, beside whatever recorder the program has. Feature `prometheus`.
    ///
    /// ```
    /// let engine = trefoil_core::Engine::builder().workers(2).name("shop").build()?;
    /// let prometheus = engine.prometheus();
    /// engine.spawn_fn(|| 6 * 7).get()?;
    /// let text = prometheus.render();
    /// assert!(text.contains("trefoil_workers{engine=\"shop\"} 2"), "{text}");
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> Prometheus {
        use metrics_exporter_prometheus::PrometheusBuilder;
        // Powers of four from a microsecond: what tasks and queries take. None can be wrong, so the error,
        // which is about an empty list, cannot come; the default is summaries.
        let buckets: Vec<f64> = (0..14).map(|power| 1e-6 * 4f64.powi(power)).collect();
        let builder =
            PrometheusBuilder::new().set_buckets(&buckets).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = Handle(recorder.handle());
        Prometheus { reporter: MetricsReporter::start(self, Sink::Prometheus(recorder)), handle }
    }
}
