//! What happened: the vocabulary that progress bars, traces, tables and subscribers share.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// A name in an event: cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Label {
    /// Text of the program.
    Static(&'static str),
    /// Text made while it ran.
    Shared(Arc<str>),
}

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl std::ops::Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&'static str> for Label {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

impl From<Arc<str>> for Label {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<&Cow<'static, str>> for Label {
    fn from(text: &Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Static(text),
            Cow::Owned(text) => Self::Shared(text.as_str().into()),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// How a piece of work ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// With a value.
    Succeeded,
    /// With an error or a panic.
    Failed(Error),
    /// It was cancelled, or the engine was shut down.
    Cancelled,
}

impl Outcome {
    /// The outcome of a result.
    pub fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Succeeded,
            Err(error) => Self::of_error(error),
        }
    }

    /// The outcome of an error: cancellation and shutdown are no failures.
    pub fn of_error(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Cancelled | ErrorKind::ShutDown => Self::Cancelled,
            _ => Self::Failed(error.clone()),
        }
    }

    /// The word for it: `finished`, `failed` or `cancelled`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "finished",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The error of a failure.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// What one operator of a query did, all its partitions together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperatorMetrics {
    /// The operator's name, such as `HashJoinExec`.
    pub name: String,
    /// What it works on, in a few words: file, condition, keys.
    pub detail: String,
    /// How deep it stands in the plan; the root is 0. Operators are listed parents first.
    pub depth: usize,
    /// Rows it gave.
    pub rows: Option<u64>,
    /// Rows it will give in all, if that is known before it runs.
    pub expected_rows: Option<u64>,
    /// Time it computed, summed over its partitions.
    pub compute: Option<Duration>,
    /// Bytes it wrote to disk because memory was short.
    pub spilled_bytes: u64,
    /// How many spill files it wrote.
    pub spills: u64,
    /// The most memory it held, in bytes.
    pub memory_bytes: Option<u64>,
    /// When its first partition began and its last ended, since the start of the engine.
    pub span: Option<(Duration, Duration)>,
}

/// Something that happened in an engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, since the start of the engine.
    pub at: Duration,
    /// On which thread: the index of a row of [`Status::workers`](crate::Status).
    pub lane: u32,
    /// What.
    pub kind: EventKind,
}

/// What happened. Identifiers are numbers unique within the process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A task was made. In a flood of tasks alike one event stands for `count` of them.
    TaskSubmitted {
        /// The task, the last one of the group.
        id: u64,
        /// Its name.
        name: Label,
        /// The task that made it.
        parent: Option<u64>,
        /// How many it stands for.
        count: u32,
    },
    /// A task that waited for other tasks or for cpus may run. Tasks that wait for nothing have no such event.
    TaskQueued {
        /// The task.
        id: u64,
    },
    /// A task began to run on this thread.
    TaskStarted {
        /// The task.
        id: u64,
        /// Its name.
        name: Label,
    },
    /// A task ended, or never ran. In a flood of tasks alike one event stands for `count` of them.
    TaskFinished {
        /// The task, the last one of the group.
        id: u64,
        /// Its name.
        name: Label,
        /// When it began, or the group did; none if it never ran.
        started: Option<Duration>,
        /// How it ended.
        outcome: Outcome,
        /// Which attempt it was, from 1.
        attempt: u32,
        /// Whether it was asynchronous: then it may have run on several threads, others between.
        asynchronous: bool,
        /// How many it stands for.
        count: u32,
    },
    /// An attempt of a task failed, and the task is run again.
    TaskRetried {
        /// The task.
        id: u64,
        /// Its name.
        name: Label,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// Why.
        error: Error,
    },
    /// A query was given to the engine.
    QueryStarted {
        /// The query.
        id: u64,
        /// Its text, or what it does.
        text: Label,
    },
    /// A query was planned, and its operators start.
    QueryPlanned {
        /// The query.
        id: u64,
        /// How many operators the plan has.
        operators: usize,
    },
    /// A query ended.
    QueryFinished {
        /// The query.
        id: u64,
        /// Its text, or what it does.
        text: Label,
        /// When it was given to the engine.
        started: Duration,
        /// How it ended.
        outcome: Outcome,
        /// What its operators did.
        operators: Arc<[OperatorMetrics]>,
    },
    /// A stored value was written to disk to make room.
    Spilled {
        /// The stored object.
        object: u64,
        /// Bytes of memory given back.
        bytes: usize,
        /// When the writing began.
        started: Duration,
    },
    /// A stored value was read back from disk.
    Restored {
        /// The stored object.
        object: u64,
        /// Its bytes in memory.
        bytes: usize,
        /// When the reading began.
        started: Duration,
    },
    /// The memory budget was full: someone asked for more than was free.
    MemoryPressure {
        /// Who asked.
        consumer: Label,
        /// For how many bytes.
        asked: usize,
        /// Bytes reserved then.
        reserved: usize,
        /// Whether the request was refused in the end.
        refused: bool,
    },
    /// An actor started.
    ActorStarted {
        /// The actor.
        id: u64,
        /// Its name, or the name of its type.
        name: Label,
    },
    /// An actor got a fresh state after a panic.
    ActorRestarted {
        /// The actor.
        id: u64,
        /// Its name, or the name of its type.
        name: Label,
        /// How often it has been restarted.
        restarts: u32,
    },
    /// An actor ended.
    ActorStopped {
        /// The actor.
        id: u64,
        /// Its name, or the name of its type.
        name: Label,
        /// How: dropped, stopped, killed, panicked.
        how: Label,
        /// Calls it answered.
        calls: u64,
    },
    /// An actor's method ran to its end, or to its first await. One event stands for `count` calls of one
    /// method that followed each other without a pause.
    ActorCalled {
        /// The actor.
        id: u64,
        /// `Actor.method`.
        name: Label,
        /// When the method began, the first of the calls.
        started: Duration,
        /// How many calls it stands for.
        count: u32,
    },
    /// A stretch of the user's own code, from [`Engine::span`](crate::Engine::span).
    Span {
        /// The name it was given.
        name: Label,
        /// When it began.
        started: Duration,
    },
}

impl EventKind {
    /// The word for it, such as `task finished`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::TaskSubmitted { .. } => "task submitted",
            Self::TaskQueued { .. } => "task queued",
            Self::TaskStarted { .. } => "task started",
            Self::TaskFinished { outcome: Outcome::Succeeded, .. } => "task finished",
            Self::TaskFinished { outcome: Outcome::Failed(_), .. } => "task failed",
            Self::TaskFinished { outcome: Outcome::Cancelled, .. } => "task cancelled",
            Self::TaskRetried { .. } => "task retried",
            Self::QueryStarted { .. } => "query started",
            Self::QueryPlanned { .. } => "query planned",
            Self::QueryFinished { outcome: Outcome::Succeeded, .. } => "query finished",
            Self::QueryFinished { outcome: Outcome::Failed(_), .. } => "query failed",
            Self::QueryFinished { outcome: Outcome::Cancelled, .. } => "query cancelled",
            Self::Spilled { .. } => "spilled",
            Self::Restored { .. } => "restored",
            Self::MemoryPressure { .. } => "memory pressure",
            Self::ActorStarted { .. } => "actor started",
            Self::ActorRestarted { .. } => "actor restarted",
            Self::ActorStopped { .. } => "actor stopped",
            Self::ActorCalled { .. } => "actor called",
            Self::Span { .. } => "span",
        }
    }
}

impl Event {
    /// When what this event ends began, for events that end something.
    pub fn started(&self) -> Option<Duration> {
        match &self.kind {
            EventKind::TaskFinished { started, .. } => *started,
            EventKind::QueryFinished { started, .. }
            | EventKind::Spilled { started, .. }
            | EventKind::Restored { started, .. }
            | EventKind::ActorCalled { started, .. }
            | EventKind::Span { started, .. } => Some(*started),
            _ => None,
        }
    }
}
