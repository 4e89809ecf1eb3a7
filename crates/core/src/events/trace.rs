//! A trace: events as a file that Perfetto (<https://ui.perfetto.dev>) and `chrome://tracing` draw.
//!
//! The format is the JSON array of the "Trace Event Format" of Chromium. Four groups of rows are written:
//! the threads of the engine (tasks, spills, the user's spans; these nest, as calls do), queries and their
//! operators, actors (a row each), and asynchronous tasks. What may overlap without nesting (operators,
//! asynchronous tasks) is spread over as many rows as it needs. An arrow leads from where a task was made to
//! where it began. Slices that a full ring has lost the end of reach to the end of the trace and say so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::event::{Event, EventKind, Label};
use super::{EventStream, Hub};
use crate::error::{Error, ErrorKind, Result};

/// Events a recorder keeps; later ones are counted as lost.
const MOST: usize = 2_000_000;

const THREADS: u32 = 1;
const QUERIES: u32 = 2;
const ACTORS: u32 = 3;
const ASYNC: u32 = 4;

/// What happened in an engine between two times; from [`Engine::trace`](crate::Engine::trace) or
/// [`Engine::start_trace`](crate::Engine::start_trace).
#[derive(Clone, Debug)]
pub struct Trace {
    engine: String,
    events: Vec<Event>,
    lanes: Vec<String>,
    until: Duration,
    lost: u64,
}

/// Text in a JSON document.
fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// Microseconds with three places.
fn micros(time: Duration) -> String {
    format!("{}.{:03}", time.as_micros(), time.subsec_nanos() % 1000)
}

/// Something that lasted.
struct Slice {
    row: (u32, u64),
    name: String,
    category: &'static str,
    start: Duration,
    end: Duration,
    /// Pairs of a key and a JSON value.
    args: Vec<(&'static str, String)>,
}

/// Cuts slices of one row so that each lies within the one around it.
fn nest(slices: &mut [Slice]) {
    slices.sort_by(|a, b| (a.row, a.start).cmp(&(b.row, b.start)).then(b.end.cmp(&a.end)));
    let mut around: Vec<((u32, u64), Duration)> = Vec::new();
    for slice in slices {
        while around.last().is_some_and(|(row, end)| *row != slice.row || *end <= slice.start) {
            around.pop();
        }
        if let Some((_, end)) = around.last() {
            slice.end = slice.end.min(*end);
        }
        around.push((slice.row, slice.end));
    }
}

/// Spreads slices that may overlap over rows of `process`, so that those of one row do not.
fn spread(slices: &mut [Slice], process: u32) -> usize {
    slices.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
    let mut rows: Vec<Duration> = Vec::new();
    for slice in slices {
        let free = rows.iter().position(|end| *end <= slice.start).unwrap_or(rows.len());
        if free == rows.len() {
            rows.push(slice.end);
        } else {
            rows[free] = slice.end;
        }
        slice.row = (process, free as u64 + 1);
    }
    rows.len()
}

impl Trace {
    /// The events, in the order of time.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events are missing because a ring or the recorder was full.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes the trace to a file that Perfetto opens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        std::fs::write(path, self.to_json()).map_err(|error| {
            Error::new(ErrorKind::Io, "trace", format!("cannot write {}: {error}", path.display()))
                .with_source(error)
        })
    }

    /// The trace as JSON in Chromium's trace event format.
    pub fn to_json(&self) -> String {
        let mut writer = Writer::default();
        let mut rows: BTreeMap<(u32, u64), String> = BTreeMap::new();
        for (lane, name) in self.lanes.iter().enumerate() {
            rows.insert((THREADS, lane as u64 + 1), name.clone());
        }
        let mut slices = self.thread_slices();
        nest(&mut slices);
        let mut asynchronous = self.async_slices();
        for row in 1..=spread(&mut asynchronous, ASYNC) {
            rows.insert((ASYNC, row as u64), format!("async {row}"));
        }
        let mut queries = self.query_slices();
        for row in 1..=spread(&mut queries, QUERIES) {
            rows.insert((QUERIES, row as u64), format!("row {row}"));
        }
        let mut actors = self.actor_slices(&mut rows);
        nest(&mut actors);

        let engine = format!("engine {}", self.engine);
        for (process, name) in
            [(THREADS, engine.as_str()), (QUERIES, "queries"), (ACTORS, "actors"), (ASYNC, "async tasks")]
        {
            if rows.keys().any(|(of, _)| *of == process) {
                writer.name("process_name", (process, 0), name);
            }
        }
        for (row, name) in &rows {
            writer.name("thread_name", *row, name);
        }
        for slice in slices.iter().chain(&asynchronous).chain(&queries).chain(&actors) {
            writer.slice(slice);
        }
        self.instants(&mut writer);
        self.arrows(&mut writer);
        writer.finish(self.lost)
    }

    /// Tasks, groups of tasks, spills and spans on threads.
    fn thread_slices(&self) -> Vec<Slice> {
        let ended: HashSet<u64> = self
            .events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::TaskFinished { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        let row = |event: &Event| (THREADS, u64::from(event.lane) + 1);
        let bytes =
            |object: u64, bytes: usize| vec![("object", object.to_string()), ("bytes", bytes.to_string())];
        let slices = self.events.iter().filter_map(|event| {
            let (name, category, start, args) = match &event.kind {
                EventKind::TaskFinished {
                    id,
                    name,
                    started: Some(started),
                    outcome,
                    attempt,
                    asynchronous: false,
                    count,
                } => {
                    let mut args = vec![
                        ("id", id.to_string()),
                        ("outcome", quoted(outcome.word())),
                        ("attempt", attempt.to_string()),
                    ];
                    if let Some(error) = outcome.error() {
                        args.push(("error", quoted(&error.to_string())));
                    }
                    let name = match count {
                        1 => name.to_string(),
                        _ => {
                            args.push(("count", count.to_string()));
                            format!("{count} x {name}")
                        }
                    };
                    (name, "task", *started, args)
                }
                EventKind::Span { name, started } => (name.to_string(), "span", *started, Vec::new()),
                EventKind::Spilled { object, bytes: size, started } => {
                    ("spill".to_owned(), "store", *started, bytes(*object, *size))
                }
                EventKind::Restored { object, bytes: size, started } => {
                    ("restore".to_owned(), "store", *started, bytes(*object, *size))
                }
                EventKind::TaskStarted { id, name } if !ended.contains(id) => {
                    let args = vec![("id", id.to_string()), ("unfinished", "true".to_owned())];
                    return Some(Slice {
                        row: row(event),
                        name: name.to_string(),
                        category: "task",
                        start: event.at,
                        end: self.until,
                        args,
                    });
                }
                _ => return None,
            };
            Some(Slice { row: row(event), name, category, start, end: event.at.max(start), args })
        });
        slices.collect()
    }

    fn async_slices(&self) -> Vec<Slice> {
        let slices = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::TaskFinished {
                id, name, started: Some(started), outcome, asynchronous: true, ..
            } => Some(Slice {
                row: (ASYNC, 0),
                name: name.to_string(),
                category: "task",
                start: *started,
                end: event.at.max(*started),
                args: vec![("id", id.to_string()), ("outcome", quoted(outcome.word()))],
            }),
            _ => None,
        });
        slices.collect()
    }

    fn query_slices(&self) -> Vec<Slice> {
        let mut slices = Vec::new();
        for event in &self.events {
            let EventKind::QueryFinished { id, text, started, outcome, operators } = &event.kind else {
                continue;
            };
            let mut args = vec![("id", id.to_string()), ("outcome", quoted(outcome.word()))];
            if let Some(error) = outcome.error() {
                args.push(("error", quoted(&error.to_string())));
            }
            slices.push(Slice {
                row: (QUERIES, 0),
                name: text.to_string(),
                category: "query",
                start: *started,
                end: event.at.max(*started),
                args,
            });
            for operator in operators.iter() {
                let Some((start, end)) = operator.span else { continue };
                let start = start.clamp(*started, event.at.max(*started));
                let mut args = vec![("query", id.to_string()), ("detail", quoted(&operator.detail))];
                let mut number = |key, value: Option<u64>| {
                    args.extend(value.map(|value| (key, value.to_string())));
                };
                number("rows", operator.rows);
                number("compute_us", operator.compute.map(|time| time.as_micros() as u64));
                number("memory_bytes", operator.memory_bytes);
                number("spilled_bytes", Some(operator.spilled_bytes));
                slices.push(Slice {
                    row: (QUERIES, 0),
                    name: operator.name.clone(),
                    category: "operator",
                    start,
                    end: end.clamp(start, event.at.max(start)),
                    args,
                });
            }
        }
        slices
    }

    fn actor_slices(&self, rows: &mut BTreeMap<(u32, u64), String>) -> Vec<Slice> {
        let mut slices = Vec::new();
        for event in &self.events {
            match &event.kind {
                EventKind::ActorStarted { id, name }
                | EventKind::ActorStopped { id, name, .. }
                | EventKind::ActorRestarted { id, name, .. } => {
                    rows.insert((ACTORS, *id), format!("{name} #{id}"));
                }
                EventKind::ActorCalled { id, name, started, count } => {
                    rows.entry((ACTORS, *id)).or_insert_with(|| format!("actor #{id}"));
                    let (name, args) = match count {
                        1 => (name.to_string(), Vec::new()),
                        _ => (format!("{count} x {name}"), vec![("count", count.to_string())]),
                    };
                    slices.push(Slice {
                        row: (ACTORS, *id),
                        name,
                        category: "actor",
                        start: *started,
                        end: event.at.max(*started),
                        args,
                    });
                }
                _ => {}
            }
        }
        slices
    }

    fn instants(&self, writer: &mut Writer) {
        for event in &self.events {
            let thread = (THREADS, u64::from(event.lane) + 1);
            let (row, name, category, args) = match &event.kind {
                EventKind::MemoryPressure { consumer, asked, reserved, refused } => (
                    thread,
                    "memory pressure",
                    "memory",
                    vec![
                        ("consumer", quoted(consumer)),
                        ("asked", asked.to_string()),
                        ("reserved", reserved.to_string()),
                        ("refused", refused.to_string()),
                    ],
                ),
                EventKind::TaskRetried { name, attempt, error, .. } => (
                    thread,
                    "retry",
                    "task",
                    vec![
                        ("task", quoted(name)),
                        ("attempt", attempt.to_string()),
                        ("error", quoted(&error.to_string())),
                    ],
                ),
                EventKind::ActorStarted { id, .. } => ((ACTORS, *id), "started", "actor", Vec::new()),
                EventKind::ActorRestarted { id, .. } => ((ACTORS, *id), "restarted", "actor", Vec::new()),
                EventKind::ActorStopped { id, how, .. } => {
                    ((ACTORS, *id), "stopped", "actor", vec![("how", quoted(how))])
                }
                _ => continue,
            };
            writer.instant(row, name, category, event.at, &args);
        }
    }

    /// From where a task was made to where it began, for tasks made inside another task or span.
    fn arrows(&self, writer: &mut Writer) {
        let mut made: HashMap<u64, (&Event, &Label)> = HashMap::new();
        for event in &self.events {
            match &event.kind {
                EventKind::TaskSubmitted { id, name, count: 1, .. } => {
                    made.insert(*id, (event, name));
                }
                EventKind::TaskStarted { id, .. } => {
                    if let Some((from, name)) = made.remove(id) {
                        writer.arrow(*id, name, (from.lane, from.at), (event.lane, event.at));
                    }
                }
                _ => {}
            }
        }
    }
}

#[derive(Default)]
struct Writer(String);

impl Writer {
    fn line(&mut self, text: &str) {
        self.0.push_str(if self.0.is_empty() { "{\"traceEvents\":[\n" } else { ",\n" });
        self.0.push_str(text);
    }

    fn name(&mut self, what: &str, row: (u32, u64), name: &str) {
        let (process, thread) = row;
        self.line(&format!(
            "{{\"ph\":\"M\",\"name\":\"{what}\",\"pid\":{process},\"tid\":{thread},\"args\":{{\"name\":{}}}}}",
            quoted(name)
        ));
    }

    fn args(args: &[(&'static str, String)]) -> String {
        let pairs: Vec<String> = args.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        pairs.join(",")
    }

    fn slice(&mut self, slice: &Slice) {
        self.line(&format!(
            "{{\"ph\":\"X\",\"name\":{},\"cat\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{},\"dur\":{},\"args\":{{{}}}}}",
            quoted(&slice.name),
            slice.category,
            slice.row.0,
            slice.row.1,
            micros(slice.start),
            micros(slice.end - slice.start),
            Self::args(&slice.args),
        ));
    }

    fn instant(
        &mut self,
        row: (u32, u64),
        name: &str,
        category: &str,
        at: Duration,
        args: &[(&'static str, String)],
    ) {
        self.line(&format!(
            "{{\"ph\":\"i\",\"s\":\"t\",\"name\":\"{name}\",\"cat\":\"{category}\",\"pid\":{},\"tid\":{},\"ts\":{},\"args\":{{{}}}}}",
            row.0,
            row.1,
            micros(at),
            Self::args(args),
        ));
    }

    fn arrow(&mut self, id: u64, name: &str, from: (u32, Duration), to: (u32, Duration)) {
        for (phase, end, (lane, at)) in [("s", "", from), ("f", ",\"bp\":\"e\"", to)] {
            self.line(&format!(
                "{{\"ph\":\"{phase}\"{end},\"id\":{id},\"name\":{},\"cat\":\"submit\",\"pid\":{THREADS},\"tid\":{},\"ts\":{}}}",
                quoted(name),
                u64::from(lane) + 1,
                micros(at),
            ));
        }
    }

    fn finish(mut self, lost: u64) -> String {
        if self.0.is_empty() {
            self.0.push_str("{\"traceEvents\":[");
        }
        let _ = write!(self.0, "\n],\"displayTimeUnit\":\"ms\",\"otherData\":{{\"lost_events\":{lost}}}}}\n");
        self.0
    }
}

impl Hub {
    /// What the rings hold.
    pub(crate) fn trace(&self, engine: &str) -> Trace {
        let (events, lanes, lost) = self.recorded();
        Trace { engine: engine.to_owned(), events, lanes, until: self.now(), lost }
    }
}

struct Recording {
    stream: EventStream,
    events: Vec<Event>,
    left_out: u64,
}

impl Recording {
    fn drain(&mut self) {
        let fresh = self.stream.drain();
        let room = MOST - self.events.len();
        self.left_out += fresh.len().saturating_sub(room) as u64;
        self.events.extend(fresh.into_iter().take(room));
    }
}

/// A trace that is being recorded; from [`Engine::start_trace`](crate::Engine::start_trace). Dropping it
/// throws the trace away.
#[must_use = "the trace is thrown away unless `stop` is called"]
pub struct TraceRecorder {
    engine: String,
    hub: Arc<Hub>,
    recording: Arc<Mutex<Recording>>,
    drainer: tokio::task::AbortHandle,
}

impl TraceRecorder {
    pub(crate) fn start(engine: &str, hub: Arc<Hub>, control: &tokio::runtime::Handle) -> Self {
        let stream = EventStream::new(Arc::clone(&hub));
        let recording = Arc::new(Mutex::new(Recording { stream, events: Vec::new(), left_out: 0 }));
        let drained = Arc::clone(&recording);
        let drainer = control.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                drained.lock().drain();
            }
        });
        Self { engine: engine.to_owned(), hub, recording, drainer: drainer.abort_handle() }
    }

    /// Ends the recording and gives what happened since its start.
    pub fn stop(self) -> Trace {
        self.drainer.abort();
        let mut recording = self.recording.lock();
        recording.drain();
        let mut events = std::mem::take(&mut recording.events);
        events.sort_by_key(|event| event.at);
        Trace {
            engine: self.engine.clone(),
            events,
            lanes: self.hub.lanes().iter().map(|lane| lane.name.lock().clone()).collect(),
            until: self.hub.now(),
            lost: recording.stream.lost() + recording.left_out,
        }
    }
}

impl Drop for TraceRecorder {
    fn drop(&mut self) {
        self.drainer.abort();
    }
}

impl std::fmt::Debug for TraceRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TraceRecorder({} events)", self.recording.lock().events.len())
    }
}
