//! Where an engine stands, at a glance.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::registry::{ActorStatus, Failure, QueryStatus};
use super::{Hub, Running};
use crate::memory::format_bytes;

/// A thread that took part, and what it did while events were recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its number: [`Event::lane`](crate::Event).
    pub id: u32,
    /// The thread's name.
    pub name: String,
    /// Whether the thread is still there.
    pub alive: bool,
    /// Tasks that run on it, outermost first; tiny ones in a flood are not listed.
    pub running: Vec<Running>,
    /// Tasks it made.
    pub submitted: u64,
    /// Tasks it ended well.
    pub finished: u64,
    /// Tasks it ended with an error.
    pub failed: u64,
    /// Tasks it cancelled.
    pub cancelled: u64,
    /// Time spent in tasks that have ended.
    pub busy: Duration,
    /// Events it wrote.
    pub events: u64,
    /// Of these, how many were overwritten.
    pub lost: u64,
}

/// Where an engine stands; from [`Engine::status`](crate::Engine::status). Its `Display` is for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The engine's name.
    pub engine: String,
    /// How long it has been up.
    pub uptime: Duration,
    /// How many tasks run at once at most.
    pub workers: usize,
    /// How many of the worker threads are awake.
    pub busy: usize,
    /// Tasks that are ready and wait for a worker.
    pub queued: usize,
    /// Declared resources: name, in use, all.
    pub resources: Vec<(String, f64, f64)>,
    /// Whether events are recorded now. While they are not, running tasks and what threads did are unknown.
    pub recording: bool,
    /// Threads that took part while events were recorded.
    pub threads: Vec<WorkerStatus>,
    /// The memory limit in bytes.
    pub memory_limit: usize,
    /// Bytes reserved now, and the most ever.
    pub memory_reserved: usize,
    /// The most bytes that were reserved at once.
    pub memory_peak: usize,
    /// Bytes by consumer, largest first.
    pub consumers: Vec<(String, usize)>,
    /// Stored partitions.
    pub partitions: usize,
    /// Bytes of memory given back by spilling since the start.
    pub spilled_bytes: usize,
    /// How often something was spilled.
    pub spills: usize,
    /// Actors that live.
    pub actors: Vec<ActorStatus>,
    /// Queries that run.
    pub queries: Vec<QueryStatus>,
    /// The last failures of queries, and of tasks while events are recorded; the newest last.
    pub failures: Vec<Failure>,
}

impl Status {
    /// Events that were overwritten before anyone could have asked for them now.
    pub fn lost_events(&self) -> u64 {
        self.threads.iter().map(|thread| thread.lost).sum()
    }

    /// Tasks that run now, with the thread they run on.
    pub fn running(&self) -> impl Iterator<Item = (&str, &Running)> {
        self.threads.iter().flat_map(|thread| thread.running.iter().map(|task| (thread.name.as_str(), task)))
    }
}

impl Hub {
    pub(super) fn threads(&self) -> Vec<WorkerStatus> {
        let status = |lane: &super::Lane| {
            let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            let (events, lost) = {
                let ring = lane.ring.lock();
                (ring.written(), ring.overwritten())
            };
            WorkerStatus {
                id: lane.id,
                name: lane.name.lock().clone(),
                alive: lane.alive.load(Ordering::Relaxed),
                running: lane.running.lock().clone(),
                submitted: get(&lane.submitted),
                finished: get(&lane.finished),
                failed: get(&lane.failed),
                cancelled: get(&lane.cancelled),
                busy: Duration::from_nanos(get(&lane.busy)),
                events,
                lost,
            }
        };
        self.lanes().iter().map(|lane| status(lane)).collect()
    }
}

/// Seconds with as many places as are of interest.
fn short(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 100.0 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

fn one_line(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most - 1).chain(['…']).collect()
}

/// At most so many of a kind are listed; the rest is counted.
const SHOWN: usize = 10;

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: &[T],
    mut line: impl FnMut(&T) -> String,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(f, "\n{title} ({})", items.len())?;
    for item in items.iter().take(SHOWN) {
        write!(f, "\n  {}", line(item))?;
    }
    match items.len().checked_sub(SHOWN) {
        Some(more @ 1..) => write!(f, "\n  and {more} more"),
        _ => Ok(()),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "engine {}, up {}", self.engine, short(self.uptime))?;
        writeln!(f, "workers {} busy of {}, {} tasks queued", self.busy, self.workers, self.queued)?;
        write!(
            f,
            "memory  {} of {} reserved, peak {}",
            format_bytes(self.memory_reserved),
            format_bytes(self.memory_limit),
            format_bytes(self.memory_peak)
        )?;
        let consumers: Vec<String> = self
            .consumers
            .iter()
            .take(5)
            .map(|(name, bytes)| format!("{name} {}", format_bytes(*bytes)))
            .collect();
        if !consumers.is_empty() {
            write!(f, " ({})", consumers.join(", "))?;
        }
        write!(
            f,
            "\nstore   {} partitions, {} spilled in {} files",
            self.partitions,
            format_bytes(self.spilled_bytes),
            self.spills
        )?;
        for (name, used, all) in &self.resources {
            write!(f, "\n{name:<7} {used} of {all} in use")?;
        }
        let sum = |of: fn(&WorkerStatus) -> u64| self.threads.iter().map(of).sum::<u64>();
        if !self.threads.is_empty() {
            write!(
                f,
                "\ntasks   {} submitted, {} finished, {} failed, {} cancelled",
                sum(|t| t.submitted),
                sum(|t| t.finished),
                sum(|t| t.failed),
                sum(|t| t.cancelled)
            )?;
        }
        match (self.recording, self.lost_events()) {
            (false, _) => write!(f, "\nevents  not recorded: build the engine with `events(capacity)`")?,
            (true, lost) => write!(f, "\nevents  recorded, {lost} overwritten")?,
        }
        let running: Vec<_> = self.running().collect();
        list(f, "running tasks", &running, |(thread, task)| {
            let since = self.uptime.saturating_sub(task.since);
            format!("{} on {thread}, {}", one_line(&task.name, 60), short(since))
        })?;
        list(f, "running queries", &self.queries, |query| {
            let rows = query.rows().map(|rows| format!(", {rows} rows so far")).unwrap_or_default();
            format!("{}, {}{rows}", one_line(&query.text, 72), short(query.elapsed))
        })?;
        list(f, "actors", &self.actors, |actor| {
            let name = actor.name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
            format!(
                "{} #{}{name}: {} calls, {} wait, {} restarts",
                actor.kind, actor.id, actor.calls, actor.pending, actor.restarts
            )
        })?;
        list(f, "last failures", &self.failures, |failure| {
            let ago = self.uptime.saturating_sub(failure.at);
            format!(
                "{} ago, {}: {}",
                short(ago),
                one_line(&failure.what, 40),
                one_line(&failure.error.to_string(), 160)
            )
        })
    }
}
