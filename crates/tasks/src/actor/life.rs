//! An actor's life, as its handles, its loop and its callers see it: who it is and how it ended.
//!
//! An end is written once, before the first call fails because of it, so that whoever saw the failure finds
//! the actor dead. [`Life::bury`] comes last, when the state is dropped and the queue is empty.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::panic::Location;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
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
    /// A method called [`ActorContext::exit`](crate::ActorContext::exit), and the calls that ran were done.
    Exited,
    /// A method panicked and no restart was left.
    Panicked,
    /// The function that makes the state returned an error or panicked.
    Failed,
    /// The engine was shut down.
    ShutDown,
}

impl ActorEnd {
    /// The end in a word, for lists.
    pub(crate) fn word(self) -> &'static str {
        match self {
            ActorEnd::Dropped => "dropped",
            ActorEnd::Stopped => "stopped",
            ActorEnd::Killed => "killed",
            ActorEnd::Exited => "exited",
            ActorEnd::Panicked => "panicked",
            ActorEnd::Failed => "failed",
            ActorEnd::ShutDown => "shut down",
        }
    }
}

impl fmt::Display for ActorEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ActorEnd::Dropped => "ended when its last handle was dropped",
            ActorEnd::Stopped => "was stopped",
            ActorEnd::Killed => "was killed",
            ActorEnd::Exited => "left: one of its methods called `exit`",
            ActorEnd::Panicked => "panicked",
            ActorEnd::Failed => "could not be made",
            ActorEnd::ShutDown => "ended because the engine was shut down",
        })
    }
}

/// The name given to one actor, and where it counts.
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) namespace: String,
}

/// What an actor is called, and where it stands.
pub(crate) struct Life {
    pub(crate) id: ActorId,
    /// The name of the type, or the one in `#[actor(name = "..")]`.
    pub(crate) kind: &'static str,
    pub(crate) name: Option<Box<Name>>,
    /// The engine it lives on.
    pub(crate) engine: u64,
    pub(crate) restarts: AtomicU32,
    /// Set while the calls that a panic interrupted are being given up.
    pub(crate) restarting: AtomicBool,
    /// `ALIVE`, `LEAVING` or `ENDED`: one look per call.
    status: AtomicU8,
    end: Mutex<Option<Box<Ended>>>,
    over: Mutex<Over>,
}

/// The end and its cause.
type Ended = (ActorEnd, Option<Error>);

const ALIVE: u8 = 0;
const LEAVING: u8 = 1;
const ENDED: u8 = 2;

#[derive(Default)]
struct Over {
    over: bool,
    waiters: Vec<Waker>,
}

impl Life {
    pub(crate) fn new(kind: &'static str, name: Option<Box<Name>>, engine: u64) -> Self {
        Self {
            id: ActorId::next(),
            kind,
            name,
            engine,
            restarts: AtomicU32::new(0),
            restarting: AtomicBool::new(false),
            status: AtomicU8::new(ALIVE),
            end: Mutex::new(None),
            over: Mutex::default(),
        }
    }

    /// Writes down the end, unless there is one.
    pub(crate) fn finish(&self, end: ActorEnd, cause: Option<Error>) {
        let mut written = self.end.lock();
        if written.is_none() {
            *written = Some(Box::new((end, cause)));
            self.status.store(ENDED, Ordering::Release);
        }
    }

    /// Asks the loop to end after the calls that run.
    pub(crate) fn leave(&self) {
        let _ = self.status.compare_exchange(ALIVE, LEAVING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the loop may go on as always.
    pub(crate) fn goes_on(&self) -> bool {
        self.status.load(Ordering::Acquire) == ALIVE
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.status.load(Ordering::Acquire) == ENDED
    }

    /// Says that nothing of the actor is left; the end is known.
    pub(crate) fn bury(&self) {
        let waiters = {
            let mut over = self.over.lock();
            over.over = true;
            std::mem::take(&mut over.waiters)
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn end(&self) -> Option<ActorEnd> {
        if self.has_ended() { self.end.lock().as_ref().map(|end| end.0) } else { None }
    }

    /// Waits until nothing of the actor is left.
    pub(crate) async fn wait_over(&self) -> ActorEnd {
        std::future::poll_fn(|context| {
            let mut over = self.over.lock();
            if over.over {
                return Poll::Ready(());
            }
            if !over.waiters.iter().any(|waker| waker.will_wake(context.waker())) {
                over.waiters.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        self.end().unwrap_or(ActorEnd::ShutDown)
    }

    /// The error of a call that was not, or not fully, run.
    pub(crate) fn lost(&self, task: TaskInfo) -> Error {
        let (end, cause) = match self.end.lock().as_deref() {
            Some((end, cause)) => (*end, cause.clone()),
            None if self.restarting.load(Ordering::Acquire) => {
                let message = format!("{self} was restarted after a panic while the call ran");
                return Error::new(ErrorKind::ActorDead, "task", message)
                    .with_help("`max_call_retries` runs such calls again")
                    .in_task(task);
            }
            None => (ActorEnd::ShutDown, None),
        };
        let kind = if end == ActorEnd::ShutDown { ErrorKind::ShutDown } else { ErrorKind::ActorDead };
        let cause_text = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        // The operation "task" is not repeated beside the name of the call.
        let error = Error::new(kind, "task", format!("{self} {end}{cause_text}"));
        let error = match end {
            ActorEnd::Stopped => {
                error.with_help("calls after `stop` are not run; `wait_ended` waits for the ones before")
            }
            ActorEnd::Panicked => {
                error.with_help("`engine.actor_fn(..).max_restarts(n)` gives it a fresh state after a panic")
            }
            _ => error,
        };
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
        .in_task(task)
    }
}

/// How a call of this method, made there, is called in errors.
pub(crate) fn task_info(
    method: &'static str,
    location: &'static Location<'static>,
    attempt: u32,
) -> TaskInfo {
    TaskInfo { name: Cow::Borrowed(method), location, attempt }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the actor `{}` ({})", name.name, self.kind),
            None => write!(f, "the actor {} ({})", self.id, self.kind),
        }
    }
}
