//! Starting actors, and finding them by name.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;
use trefoil_core::{Engine, Error, ErrorKind, Result};

use super::Actor;
use super::handle::ActorHandle;
use super::life::Life;
use super::mailbox::Mailbox;
use super::names;
use super::port::{Inner, Port};
use super::run::{Factory, Origin, run};

/// Calls of `&self` that run beside each other unless the builder says otherwise.
const CONCURRENCY: usize = 1000;

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

    /// Another handle of the living actor of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], with the nearest name, if no living actor has the name;
    /// [`ErrorKind::TypeMismatch`] if it is an actor of another type.
    fn actor_named<A: Actor>(&self, name: &str) -> Result<ActorHandle<A>>;
}

impl ActorSession for Engine {
    fn actor<A: Actor>(&self, state: A) -> ActorBuilder<A, FromValue> {
        ActorBuilder::new(self, Origin { first: Some(state), factory: None, max_restarts: 0 })
    }

    fn actor_fn<A: Actor>(&self, make: impl FnMut() -> A + Send + 'static) -> ActorBuilder<A, FromFn> {
        let factory: Factory<A> = Box::new(make);
        ActorBuilder::new(self, Origin { first: None, factory: Some(factory), max_restarts: 0 })
    }

    fn actor_named<A: Actor>(&self, name: &str) -> Result<ActorHandle<A>> {
        let (port, kind) = names::find(self.id(), name)?;
        match port.downcast::<Inner<A>>() {
            Ok(inner) => Ok(ActorHandle::new(Port(inner))),
            Err(_) => Err(Error::new(
                ErrorKind::TypeMismatch,
                "actor_named",
                format!("the actor `{name}` is a {kind}, not a {}", A::NAME),
            )),
        }
    }
}

/// The state was given as a value; it restarts as a clone of it.
#[derive(Debug)]
pub struct FromValue(());

/// The state is made by a function; it restarts by another call of it.
#[derive(Debug)]
pub struct FromFn(());

/// An actor that has not started; from [`ActorSession::actor`] or [`ActorSession::actor_fn`].
#[must_use = "an actor starts with `spawn()`"]
pub struct ActorBuilder<A: Actor, S = FromValue> {
    engine: Engine,
    origin: Origin<A>,
    name: Option<String>,
    capacity: Option<usize>,
    concurrency: usize,
    source: PhantomData<S>,
}

impl<A: Actor, S> ActorBuilder<A, S> {
    fn new(engine: &Engine, origin: Origin<A>) -> Self {
        Self {
            engine: engine.clone(),
            origin,
            name: None,
            capacity: None,
            concurrency: CONCURRENCY,
            source: PhantomData,
        }
    }

    /// Names the actor, for errors and for [`ActorSession::actor_named`]. Default: no name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Limits how many calls may wait, from 1 up. Default: no limit.
    ///
    /// A call on a full mailbox is not queued: its `Ref` fails at once with
    /// [`ErrorKind::Overloaded`]. (A call never blocks its caller; to slow
    /// producers down, await an earlier `Ref` before the next call.)
    pub fn mailbox(mut self, capacity: usize) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// Limits how many asynchronous `&self` calls run beside each other, from 1 up. Default: 1,000.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.concurrency = limit;
        self
    }

    fn limited(mut self, count: u32) -> Self {
        self.origin.max_restarts = count;
        self
    }

    /// Starts the actor.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if a living actor of this engine has the name,
    /// [`ErrorKind::InvalidArgument`] for an empty name or a limit of 0, and
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
        self.start(|_, engine| match engine.actor_named(&name) {
            // It ended meanwhile: the name is free.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => Some(found),
        })
    }

    /// `taken` says what to do when the name is taken: none to try again.
    fn start(
        self,
        taken: impl Fn(Error, &Engine) -> Option<Result<ActorHandle<A>>>,
    ) -> Result<ActorHandle<A>> {
        let Self { engine, origin, name, capacity, concurrency, source: _ } = self;
        if capacity == Some(0) {
            return invalid("a mailbox of 0 calls would refuse every call");
        }
        if concurrency == 0 {
            return invalid("a concurrency of 0 would run no call");
        }
        if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return invalid("the name is empty");
        }
        if engine.is_shut_down() {
            return Err(Error::new(ErrorKind::ShutDown, "actor", "the engine has been shut down"));
        }
        let life = Arc::new(Life::new(A::NAME, name, engine.id(), capacity));
        let (sender, receiver) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner { life: Arc::clone(&life), sender, engine: engine.downgrade() });
        let port: Weak<dyn Any + Send + Sync> = Arc::<Inner<A>>::downgrade(&inner);
        while let Err(error) = names::claim(&life, port.clone()) {
            if let Some(outcome) = taken(error, &engine) {
                return outcome;
            }
        }
        let mailbox = Mailbox::new(receiver, Arc::clone(&life));
        let task = engine.control().spawn(run(mailbox, origin, concurrency));
        life.started(task.abort_handle());
        Ok(ActorHandle::new(Port(inner)))
    }
}

fn invalid<T>(message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidArgument, "actor", message))
}

impl<A: Actor> ActorBuilder<A, FromFn> {
    /// How often the actor may be given a fresh state after a panic. Default: 0.
    ///
    /// The call that panicked fails with [`ErrorKind::Panicked`], asynchronous
    /// calls that ran beside it fail with [`ErrorKind::ActorDead`]; the queue
    /// is kept and handles stay valid.
    pub fn max_restarts(self, count: u32) -> Self {
        self.limited(count)
    }
}

impl<A: Actor + Clone> ActorBuilder<A, FromValue> {
    /// How often the actor may start again, from a clone of its first state, after a panic. Default: 0.
    ///
    /// The call that panicked fails with [`ErrorKind::Panicked`], asynchronous
    /// calls that ran beside it fail with [`ErrorKind::ActorDead`]; the queue
    /// is kept and handles stay valid.
    pub fn max_restarts(mut self, count: u32) -> Self {
        if let Some(first) = &self.origin.first {
            let fresh = first.clone();
            self.origin.factory = Some(Box::new(move || fresh.clone()));
        }
        self.limited(count)
    }
}
