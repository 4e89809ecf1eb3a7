//! An actor's life, as its handles, its mailbox and its callers see it: who it
//! is, how many calls wait, and how it ended.
//!
//! An end is written once, before the first call fails because of it, so that
//! whoever saw the failure finds the actor dead.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use trefoil_core::{Error, ErrorKind, TaskInfo};

/// The identifier of an actor: which process made it, and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActorId {
    process: u64,
    number: u64,
}

impl ActorId {
    fn next() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { process: *PROCESS, number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The actor's number within the process that made it, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.process >> 32, self.number)
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How an actor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ActorEnd {
    /// The last handle was dropped, and the calls made before had run.
    Dropped,
    /// [`stop`](crate::ActorHandle::stop) was called, and the calls made before had run.
    Stopped,
    /// [`kill`](crate::ActorHandle::kill) was called.
    Killed,
    /// A method panicked and no restart was left.
    Panicked,
    /// The engine was shut down.
    ShutDown,
}

/// What an actor is called, and where it stands.
pub(crate) struct Life {
    pub(crate) id: ActorId,
    /// The name of the type, or the one in `#[actor(name = "..")]`.
    pub(crate) kind: &'static str,
    /// The name given to this one.
    pub(crate) name: Option<String>,
    /// The engine it lives on.
    pub(crate) engine: u64,
    pub(crate) capacity: Option<usize>,
    pub(crate) restarts: AtomicU32,
    /// Calls that have been made and not started.
    pub(crate) pending: AtomicUsize,
    /// Set while the calls that a panic interrupted are being given up.
    pub(crate) restarting: AtomicBool,
    end: Mutex<Option<(ActorEnd, Option<Error>)>>,
    over: watch::Sender<bool>,
    abort: OnceLock<AbortHandle>,
}

impl Life {
    pub(crate) fn new(
        kind: &'static str,
        name: Option<String>,
        engine: u64,
        capacity: Option<usize>,
    ) -> Self {
        Self {
            id: ActorId::next(),
            kind,
            name,
            engine,
            capacity,
            restarts: AtomicU32::new(0),
            pending: AtomicUsize::new(0),
            restarting: AtomicBool::new(false),
            end: Mutex::new(None),
            over: watch::Sender::new(false),
            abort: OnceLock::new(),
        }
    }

    /// Hands over what aborts the actor's loop.
    pub(crate) fn started(&self, abort: AbortHandle) {
        let _ = self.abort.set(abort);
        // Killed by someone who found it by name before it had started.
        if self.end() == Some(ActorEnd::Killed) {
            self.kill();
        }
    }

    /// Writes down the end, unless there is one.
    pub(crate) fn finish(&self, end: ActorEnd, cause: Option<Error>) {
        self.end.lock().get_or_insert((end, cause));
    }

    /// Says that nothing of the actor is left; the end is known.
    pub(crate) fn bury(&self) {
        self.over.send_replace(true);
    }

    pub(crate) fn end(&self) -> Option<ActorEnd> {
        self.end.lock().as_ref().map(|(end, _)| *end)
    }

    pub(crate) fn kill(&self) {
        self.finish(ActorEnd::Killed, None);
        if let Some(abort) = self.abort.get() {
            abort.abort();
        }
    }

    pub(crate) async fn wait_over(&self) -> ActorEnd {
        // The sender lives as long as `self`, so this ends with the value `true`.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
        self.end().unwrap_or(ActorEnd::ShutDown)
    }

    /// Counts one more waiting call, or says how many wait when there is no room.
    pub(crate) fn admit(&self) -> Result<(), usize> {
        match self.capacity {
            None => {
                self.pending.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Some(capacity) => self
                .pending
                .try_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < capacity).then_some(n + 1))
                .map(|_| ()),
        }
    }

    /// One waiting call less.
    pub(crate) fn release(&self) {
        self.pending.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn task(method: &'static str, location: &'static Location<'static>) -> TaskInfo {
        TaskInfo { name: Cow::Borrowed(method), location, attempt: 1 }
    }

    /// The error of a call that was not, or not fully, run.
    pub(crate) fn lost(&self, method: &'static str, location: &'static Location<'static>) -> Error {
        let (end, cause) = match self.end.lock().clone() {
            Some((end, cause)) => (end, cause),
            None if self.restarting.load(Ordering::Acquire) => {
                let message = format!("{self} was restarted after a panic while the call ran");
                return self.error(ErrorKind::ActorDead, message, method, location);
            }
            None => (ActorEnd::ShutDown, None),
        };
        let error = match end {
            ActorEnd::Dropped => self.dead("ended when its last handle was dropped", method, location),
            ActorEnd::Stopped => self
                .dead("was stopped", method, location)
                .with_help("calls after `stop` are not run; `wait_ended` waits for the ones before"),
            ActorEnd::Killed => self.dead("was killed", method, location),
            ActorEnd::Panicked => {
                let cause = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
                self.dead(&format!("panicked{cause}"), method, location)
                    .with_help("`engine.actor_fn(..).max_restarts(n)` gives it a fresh state after a panic")
            }
            ActorEnd::ShutDown => {
                let message = format!("{self} ended because the engine was shut down");
                self.error(ErrorKind::ShutDown, message, method, location)
            }
        };
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }

    fn dead(&self, how: &str, method: &'static str, location: &'static Location<'static>) -> Error {
        self.error(ErrorKind::ActorDead, format!("{self} {how}"), method, location)
    }

    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        message: String,
        method: &'static str,
        location: &'static Location<'static>,
    ) -> Error {
        // The operation "task" is not repeated beside the name of the call.
        Error::new(kind, "task", message).in_task(Self::task(method, location))
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the actor `{name}` ({})", self.kind),
            None => write!(f, "the actor {} ({})", self.id, self.kind),
        }
    }
}
