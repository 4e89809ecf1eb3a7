//! `ActorHandle`: what users hold of an actor.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Actor;
use super::life::{ActorEnd, ActorId};
use super::mailbox::Message;
use super::names;
use super::port::{Inner, Port};

/// A live handle of an actor: its methods give [`Ref`](crate::Ref)s of their results.
///
/// A method call puts a message in the actor's queue and returns at once.
/// Calls made through one handle (or one after another through several) start
/// in the order in which they were made, even when an argument is a `Ref` that
/// is ready late: the message keeps its place and those behind it wait.
/// Methods with `&mut self` run alone; asynchronous methods with `&self` run
/// beside each other. A call whose answer does not matter runs all the same:
/// `drop(counter.add(1))`. [`Ref::cancel`](crate::Ref::cancel) takes a call back that has
/// not started, and stops an asynchronous one at its next await.
///
/// Handles are cheap to clone and can be arguments of tasks and of other
/// actors; within the process they can be serialised. The actor lives until
///
/// * its last handle is dropped and the calls made before have run
///   ([`ActorEnd::Dropped`]),
/// * [`stop`](Self::stop) was called and the calls made before have run
///   ([`ActorEnd::Stopped`]),
/// * [`kill`](Self::kill) was called ([`ActorEnd::Killed`]),
/// * a method panicked and no restart is left ([`ActorEnd::Panicked`]),
/// * the engine was shut down ([`ActorEnd::ShutDown`]).
///
/// A call that an ended actor did not run fails with
/// [`ErrorKind::ActorDead`](crate::ErrorKind::ActorDead)
/// ([`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown) in the last case), and
/// the message says which end it was. No call is left without an answer.
///
/// An actor that holds a handle to itself is never dropped: stop it.
/// A method that blocks on a `Ref` of its own actor waits for ever.
///
/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use trefoil_tasks::{ActorSession, Engine, ErrorKind, actor};
///
/// struct Counter {
///     n: i64,
/// }
///
/// #[actor]
/// impl Counter {
///     fn new(n: i64) -> Self {
///         Self { n }
///     }
///     pub fn add(&mut self, by: i64) -> i64 {
///         self.n += by;
///         self.n
///     }
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
/// let counter = engine.actor(Counter::new(0)).name("hits").spawn()?;
/// let late = engine.spawn_fn(|| 10);
/// let first = counter.add(late);         // waits for its argument,
/// let second = counter.add(1);           // and this one waits for its turn
/// assert_eq!((first.get()?, second.get()?), (10, 11));
///
/// counter.stop();
/// assert_eq!(counter.add(1).get().unwrap_err().kind(), ErrorKind::ActorDead);
/// # Ok(())
/// # }
/// ```
pub struct ActorHandle<A: Actor> {
    port: Port<A>,
    methods: A::Methods,
}

impl<A: Actor> ActorHandle<A> {
    pub(crate) fn new(port: Port<A>) -> Self {
        Self { methods: A::methods(port.clone()), port }
    }

    fn inner(&self) -> &Arc<Inner<A>> {
        &self.port.0
    }

    /// The actor's identifier.
    pub fn id(&self) -> ActorId {
        self.inner().life.id
    }

    /// The name given when it was spawned.
    pub fn name(&self) -> Option<&str> {
        self.inner().life.name.as_deref()
    }

    /// The actor's own methods, the ones this handle dereferences to.
    pub fn methods(&self) -> &A::Methods {
        &self.methods
    }

    /// How many calls have been made and not started.
    pub fn pending(&self) -> usize {
        self.inner().life.pending.load(Ordering::Acquire)
    }

    /// How often the actor was given a fresh state after a panic.
    pub fn restarts(&self) -> u32 {
        self.inner().life.restarts.load(Ordering::Acquire)
    }

    /// Whether the actor has not ended. One that was told to stop lives until its queue is done.
    pub fn is_alive(&self) -> bool {
        self.inner().life.end().is_none()
    }

    /// Ends the actor after the calls made before this one. Calls made after it fail.
    pub fn stop(&self) {
        // The actor of a closed queue has ended already.
        let _ = self.inner().sender.send(Message::Stop);
    }

    /// Ends the actor now: queued calls fail, asynchronous calls stop at their next await, and a running
    /// synchronous method is the last one to run.
    pub fn kill(&self) {
        self.inner().life.kill();
    }

    /// Waits until the actor has ended and its state is dropped, and tells how it ended.
    ///
    /// The future does not hold the handle, so it does not keep the actor alive.
    pub fn wait_ended(&self) -> impl Future<Output = ActorEnd> + Send + use<A> {
        let life = Arc::clone(&self.inner().life);
        async move { life.wait_over().await }
    }
}

impl<A: Actor> Clone for ActorHandle<A> {
    fn clone(&self) -> Self {
        Self::new(self.port.clone())
    }
}

impl<A: Actor> Deref for ActorHandle<A> {
    type Target = A::Methods;

    fn deref(&self) -> &A::Methods {
        &self.methods
    }
}

impl<A: Actor> fmt::Debug for ActorHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let life = &self.inner().life;
        let state = life.end().map_or("alive".to_owned(), |end| format!("{end:?}").to_lowercase());
        write!(f, "ActorHandle({life}, {state})")
    }
}

/// Handles travel as the actor's id; only the process of the actor can read them back.
impl<A: Actor> Serialize for ActorHandle<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner: Arc<dyn std::any::Any + Send + Sync> = Arc::<Inner<A>>::clone(self.inner());
        names::list(self.id(), Arc::downgrade(&inner));
        self.id().serialize(serializer)
    }
}

impl<'de, A: Actor> Deserialize<'de> for ActorHandle<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = ActorId::deserialize(deserializer)?;
        let port = names::by_id(id)
            .ok_or_else(|| D::Error::custom(format_args!("the actor {id} does not live in this process")))?;
        let inner = port
            .downcast::<Inner<A>>()
            .map_err(|_| D::Error::custom(format_args!("the actor {id} is not a {}", A::NAME)))?;
        Ok(Self::new(Port(inner)))
    }
}
