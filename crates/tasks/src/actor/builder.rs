//! Starting actors, and finding them by name.

use std::marker::PhantomData;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use trefoil_core::{ActorProbe, Engine, Error, ErrorKind, Result};

use super::Actor;
use super::handle::{ActorHandle, group_number};
use super::life::{Life, Name};
use super::mailbox::{AnyCore, Core, Overflow, RetryIf, Settings};
use super::names;
use super::origin::{Origin, Restart, Restarts};
use super::port::Port;
use super::run::{ActorTask, Limits};

/// Calls of `&self` that run beside each other unless the builder says otherwise.
const CONCURRENCY: usize = 1000;

/// The limits of most actors, which share them.
static USUAL: LazyLock<Limits> = LazyLock::new(|| Arc::new([CONCURRENCY]));

mod sealed {
    pub trait Sealed {}
    impl Sealed for trefoil_core::Engine {}
}

/// Actors of an [`Engine`] (and so of everything that dereferences to one).
///
/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use trefoil_tasks::{ActorSession, Engine, actor};
///
/// struct Log(Vec<String>);
///
/// #[actor]
/// impl Log {
///     pub fn push(&mut self, line: &str) -> usize {
///         self.0.push(line.to_owned());
///         self.0.len()
///     }
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
/// let log = engine.actor_fn(|| Log(Vec::new())).name("log").max_restarts(3).spawn()?;
/// log.push("first").get()?;
/// let same = engine.actor_named::<Log>("log")?;
/// assert_eq!(same.push("second").get()?, 2);
/// # Ok(())
/// # }
/// ```
pub trait ActorSession: sealed::Sealed {
    /// Begins an actor whose state is `state`; [`ActorBuilder::spawn`] starts it.
    fn actor<A: Actor>(&self, state: A) -> ActorBuilder<A, FromValue>;

    /// Begins an actor whose state `make` makes, now and after each restart.
    fn actor_fn<A: Actor>(&self, make: impl FnMut() -> A + Send + 'static) -> ActorBuilder<A, FromFn>;

    /// Begins an actor whose state `make` makes, or fails to: then every call fails with the cause.
    fn try_actor_fn<A, E>(
        &self,
        make: impl FnMut() -> Result<A, E> + Send + 'static,
    ) -> ActorBuilder<A, FromFn>
    where
        A: Actor,
        E: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// Another handle of the living actor of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], with the nearest name, if no living actor has the name;
    /// [`ErrorKind::TypeMismatch`] if it is an actor of another type.
    fn actor_named<A: Actor>(&self, name: &str) -> Result<ActorHandle<A>> {
        self.actor_in("", name)
    }

    /// Another handle of the living actor of this name in a namespace.
    ///
    /// # Errors
    ///
    /// As for [`actor_named`](Self::actor_named).
    fn actor_in<A: Actor>(&self, namespace: &str, name: &str) -> Result<ActorHandle<A>>;
}

impl ActorSession for Engine {
    fn actor<A: Actor>(&self, state: A) -> ActorBuilder<A, FromValue> {
        ActorBuilder::new(self, Origin { first: Some(state), care: None })
    }

    fn actor_fn<A: Actor>(&self, mut make: impl FnMut() -> A + Send + 'static) -> ActorBuilder<A, FromFn> {
        let mut origin = Origin { first: None, care: None };
        origin.care().factory = Some(Box::new(move || Ok(make())));
        ActorBuilder::new(self, origin)
    }

    fn try_actor_fn<A, E>(
        &self,
        mut make: impl FnMut() -> Result<A, E> + Send + 'static,
    ) -> ActorBuilder<A, FromFn>
    where
        A: Actor,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut origin = Origin { first: None, care: None };
        origin.care().factory = Some(Box::new(move || make().map_err(Error::user)));
        ActorBuilder::new(self, origin)
    }

    fn actor_in<A: Actor>(&self, namespace: &str, name: &str) -> Result<ActorHandle<A>> {
        let core = names::find(self.id(), namespace, name)?;
        let kind = core.life().kind;
        let any: Arc<dyn std::any::Any + Send + Sync> = core;
        let core = any.downcast::<Core<A>>().map_err(|_| {
            let message = format!("the actor `{name}` is a {kind}, not a {}", A::NAME);
            Error::new(ErrorKind::TypeMismatch, "actor_named", message)
        })?;
        ActorHandle::revive(core).ok_or_else(|| {
            let message = format!("the last handle of the actor `{name}` has just been dropped");
            Error::new(ErrorKind::NotFound, "actor_named", message)
        })
    }
}

/// The state was given as a value; it restarts as a clone of it.
#[derive(Debug)]
pub struct FromValue(());

/// The state is made by a function; it restarts by another call of it.
#[derive(Debug)]
pub struct FromFn(());

/// A state that outlives a restart: what it saves is given to the fresh state.
///
/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use trefoil_tasks::{ActorSession, Checkpoint, Engine, actor};
///
/// #[derive(Default)]
/// struct Total(u64);
///
/// #[actor]
/// impl Total {
///     pub fn add(&mut self, n: u64) -> u64 {
///         assert!(n != 13, "unlucky");
///         self.0 += n;
///         self.0
///     }
/// }
///
/// impl Checkpoint for Total {
///     type Saved = u64;
///     fn checkpoint(&self) -> u64 {
///         self.0
///     }
///     fn restore(&mut self, saved: &u64) {
///         self.0 = *saved;
///     }
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
/// let total = engine.actor_fn(Total::default).max_restarts(1).checkpoint_every(1).spawn()?;
/// total.add(5).get()?;
/// assert!(total.add(13).get().is_err());
/// assert_eq!(total.add(1).get()?, 6);
/// # Ok(())
/// # }
/// ```
pub trait Checkpoint: Actor {
    /// What is kept, in memory.
    type Saved: Send + 'static;

    /// What a fresh state needs to go on.
    fn checkpoint(&self) -> Self::Saved;

    /// Brings a fresh state up to what was saved last.
    fn restore(&mut self, saved: &Self::Saved);
}

/// An actor that has not started; from [`ActorSession::actor`] or [`ActorSession::actor_fn`].
#[must_use = "an actor starts with `spawn()`"]
pub struct ActorBuilder<A: Actor, S = FromValue> {
    engine: Engine,
    origin: Origin<A>,
    name: Option<String>,
    namespace: String,
    detached: bool,
    settings: Settings,
    concurrency: usize,
    threads: usize,
    groups: Vec<(String, usize)>,
    source: PhantomData<S>,
}

impl<A: Actor, S> ActorBuilder<A, S> {
    fn new(engine: &Engine, origin: Origin<A>) -> Self {
        let settings =
            Settings { capacity: usize::MAX, overflow: Overflow::Refuse, retries: 0, retry_if: None };
        Self {
            engine: engine.clone(),
            origin,
            name: None,
            namespace: String::new(),
            detached: false,
            settings,
            concurrency: CONCURRENCY,
            threads: 1,
            groups: Vec::new(),
            source: PhantomData,
        }
    }

    /// Names the actor, for errors and for [`ActorSession::actor_named`]. Default: no name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where the name counts: names in different namespaces do not meet. Default: the empty namespace.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Lets the actor live without handles until it is stopped or killed, or the engine is shut down. It
    /// needs a name, by which it is found.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Limits how many calls may wait, from 1 up. Default: no limit.
    ///
    /// A call on a full mailbox is not queued: its `Ref` fails at once with
    /// [`ErrorKind::Overloaded`], unless [`overflow`](Self::overflow) says otherwise.
    pub fn mailbox(mut self, capacity: usize) -> Self {
        self.settings.capacity = capacity;
        self
    }

    /// What a call does on a full mailbox. Default: [`Overflow::Refuse`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self
    }

    /// Limits how many asynchronous `&self` calls without a group run beside each other, from 1 up. Default:
    /// 1,000.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.concurrency = limit;
        self
    }

    /// Runs `&self` methods that are not asynchronous on up to `limit` threads beside each other, instead of
    /// one after another in the loop. For methods that block or compute for long; a call costs some
    /// microseconds more. Default: 1, which means in the loop.
    pub fn threads(mut self, limit: usize) -> Self {
        self.threads = limit;
        self
    }

    /// Limits how many calls of a group run beside each other, from 1 up. Groups are named on `&self`
    /// methods, `#[actor(group = "io")]`; one that is full or blocked does not hold up the others. Default
    /// for each: 1,000.
    pub fn group(mut self, name: impl Into<String>, limit: usize) -> Self {
        self.groups.push((name.into(), limit));
        self
    }

    /// How often a call that a panic interrupted, its own or one beside it, is run again on the fresh state.
    /// Default: 0, so that a call runs at most once. Calls that were answered never run again. Arguments are
    /// cloned for it.
    pub fn max_call_retries(mut self, count: u32) -> Self {
        self.settings.retries = count;
        self
    }

    /// Also runs a call again, as often, when it returned an error for which `wanted` is true; the state
    /// stays as the call left it.
    pub fn retry_if(mut self, wanted: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        let wanted: RetryIf = Box::new(wanted);
        self.settings.retry_if = Some(wanted);
        self
    }

    /// Waits before each restart: `first`, then twice as long each time, at most `most`. Default: no wait.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.origin.care().backoff = Some((first, most));
        self
    }

    /// Tells a supervisor of each restart. The hook runs in the actor's loop and should be short.
    pub fn on_restart(mut self, hook: impl FnMut(&Restart) + Send + 'static) -> Self {
        self.origin.care().on_restart = Some(Box::new(hook));
        self
    }

    fn limited(mut self, restarts: Restarts) -> Self {
        self.origin.care().restarts = restarts;
        self
    }

    /// Starts the actor.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if a living actor of this engine has the name,
    /// [`ErrorKind::NotFound`] for a group that no method names,
    /// [`ErrorKind::InvalidArgument`] for an empty name, a detached actor without one or a limit of 0, and
    /// [`ErrorKind::ShutDown`] after the engine's shutdown.
    pub fn spawn(self) -> Result<ActorHandle<A>> {
        self.start(|taken, _| Some(Err(taken)))
    }

    /// Starts the actor, or finds the living one of its name if there is one; which of the two is decided
    /// at once, so that of many callers one starts it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] without a name, [`ErrorKind::TypeMismatch`] if the living actor is of
    /// another type, and those of [`spawn`](Self::spawn).
    pub fn spawn_or_get(self) -> Result<ActorHandle<A>> {
        let Some(name) = self.name.clone() else {
            return invalid("only an actor with a name can be found: give it one with `name`");
        };
        let namespace = self.namespace.clone();
        self.start(|_, engine| match engine.actor_in(&namespace, &name) {
            // It ended meanwhile: the name is free.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => Some(found),
        })
    }

    fn check(&self) -> Result<Limits> {
        if self.settings.capacity == 0 {
            return invalid("a mailbox of 0 calls would refuse every call");
        }
        if self.concurrency == 0 || self.threads == 0 {
            return invalid("a concurrency of 0 would run no call");
        }
        if self.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return invalid("the name is empty");
        }
        if self.detached && self.name.is_none() {
            return invalid("a detached actor needs a name: without handles it is found by that alone");
        }
        let first = if self.threads > 1 { self.threads } else { self.concurrency };
        let mut limits = vec![CONCURRENCY; 1 + A::GROUPS.len()];
        limits[0] = first;
        for (group, limit) in &self.groups {
            if *limit == 0 {
                return invalid("a group with a limit of 0 would run no call");
            }
            limits[usize::from(group_number::<A>(group)?)] = *limit;
        }
        if self.engine.is_shut_down() {
            return Err(Error::new(ErrorKind::ShutDown, "actor", "the engine has been shut down"));
        }
        if limits == [CONCURRENCY] {
            return Ok(Arc::clone(&USUAL));
        }
        Ok(limits.into())
    }

    /// `taken` says what to do when the name is taken: none to try again.
    fn start(
        self,
        taken: impl Fn(Error, &Engine) -> Option<Result<ActorHandle<A>>>,
    ) -> Result<ActorHandle<A>> {
        let limits = self.check()?;
        let Self { engine, origin, name, namespace, detached, settings, threads, .. } = self;
        let name = name.map(|name| Box::new(Name { name, namespace }));
        let life = Life::new(A::NAME, name, engine.id());
        let core = Arc::new(Core::new(life, settings, &engine));
        let any: Arc<dyn AnyCore> = Arc::clone(&core) as Arc<dyn AnyCore>;
        while let Err(error) = names::claim(&any) {
            if let Some(outcome) = taken(error, &engine) {
                return outcome;
            }
        }
        let handle: ActorHandle<A> = ActorHandle::new(Port::counted(Arc::clone(&core)));
        if detached {
            names::keep(&any, Box::new(ActorHandle::clone(&handle)));
        }
        let probe: Weak<dyn ActorProbe> = Arc::<Core<A>>::downgrade(&core);
        engine.add_actor(probe);
        engine.control().spawn(ActorTask::new(core, origin, limits, threads > 1));
        Ok(handle)
    }
}

fn invalid<T>(message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidArgument, "actor", message))
}

impl<A: Actor> ActorBuilder<A, FromFn> {
    /// How often the actor may be given a fresh state after a panic. Default: 0.
    ///
    /// The call that panicked fails with [`ErrorKind::Panicked`], asynchronous
    /// calls that ran beside it fail with [`ErrorKind::ActorDead`], unless they are
    /// [retried](Self::max_call_retries); the queue is kept and handles stay valid. An actor that was killed
    /// or has left is not restarted.
    pub fn max_restarts(self, count: impl Into<Restarts>) -> Self {
        self.limited(count.into())
    }
}

impl<A: Actor + Clone> ActorBuilder<A, FromValue> {
    /// How often the actor may start again, from a clone of its first state, after a panic. Default: 0.
    ///
    /// The call that panicked fails with [`ErrorKind::Panicked`], asynchronous
    /// calls that ran beside it fail with [`ErrorKind::ActorDead`], unless they are
    /// [retried](Self::max_call_retries); the queue is kept and handles stay valid. An actor that was killed
    /// or has left is not restarted.
    pub fn max_restarts(mut self, count: impl Into<Restarts>) -> Self {
        if let Some(first) = &self.origin.first {
            let fresh = first.clone();
            self.origin.care().factory = Some(Box::new(move || Ok(fresh.clone())));
        }
        self.limited(count.into())
    }
}

impl<A: Checkpoint, S> ActorBuilder<A, S> {
    /// Saves the state after every so many `&mut self` calls, from 1 up, and restores the last one saved
    /// after a restart. Default: never.
    pub fn checkpoint_every(mut self, calls: u32) -> Self {
        let saved: Arc<Mutex<Option<A::Saved>>> = Arc::default();
        let kept = Arc::clone(&saved);
        let care = self.origin.care();
        care.save_every = calls.max(1);
        care.save = Some(Box::new(move |state: &A| *saved.lock() = Some(state.checkpoint())));
        care.restore = Some(Box::new(move |state: &mut A| {
            if let Some(saved) = &*kept.lock() {
                state.restore(saved);
            }
        }));
        self
    }
}
