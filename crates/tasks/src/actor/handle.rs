//! `ActorHandle`: what users hold of an actor.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trefoil_core::{Error, ErrorKind, Ref, Result, suggest};

use super::Actor;
use super::life::{ActorEnd, ActorId, Life, task_info};
use super::mailbox::{AnyCore, Core, Mail};
use super::names;
use super::port::Port;
use super::reserve::{Reserved, Reserving};
use super::timer::{self, Timer};

/// A live handle of an actor: its methods give [`Ref`](crate::Ref)s of their results.
///
/// A method call puts a message in the actor's queue and returns at once.
/// Calls made through one handle start in the order in which they were made, even when an argument is a
/// `Ref` that is ready late: the message keeps its place and those behind it wait. A clone is another
/// caller; between callers there is no order, and a late argument of one does not hold up the other.
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
/// * a method called [`ActorContext::exit`](crate::ActorContext::exit) ([`ActorEnd::Exited`]),
/// * a method panicked and no restart is left ([`ActorEnd::Panicked`]),
/// * its state could not be made ([`ActorEnd::Failed`]),
/// * the engine was shut down ([`ActorEnd::ShutDown`]).
///
/// A call that an ended actor did not run fails with
/// [`ErrorKind::ActorDead`](crate::ErrorKind::ActorDead)
/// ([`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown) in the last case), and
/// the message says which end it was. No call is left without an answer.
///
/// An actor that holds a handle to itself is never dropped: keep a [`WeakHandle`], or stop it.
/// A method that waits for a call of its own actor which could only run after it gets
/// [`ErrorKind::Deadlock`](crate::ErrorKind::Deadlock) instead of a hang.
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
    methods: A::Methods,
}

impl<A: Actor> ActorHandle<A> {
    pub(crate) fn new(port: Port<A>) -> Self {
        Self { methods: A::methods(port) }
    }

    /// A handle of a core that may have none left.
    pub(crate) fn revive(core: Arc<Core<A>>) -> Option<Self> {
        core.revive_handle().then(|| Self::new(Port::counted(core)))
    }

    pub(crate) fn port(&self) -> &Port<A> {
        A::port(&self.methods)
    }

    fn core(&self) -> &Arc<Core<A>> {
        &self.port().core
    }

    fn life(&self) -> &Life {
        &self.core().life
    }

    /// The actor's identifier.
    pub fn id(&self) -> ActorId {
        self.life().id
    }

    /// The name given when it was spawned.
    pub fn name(&self) -> Option<&str> {
        self.life().name.as_ref().map(|name| name.name.as_str())
    }

    /// The actor's own methods, the ones this handle dereferences to.
    pub fn methods(&self) -> &A::Methods {
        &self.methods
    }

    /// How many calls have been made and not started.
    pub fn pending(&self) -> usize {
        self.core().waiting()
    }

    /// How often the actor was given a fresh state after a panic.
    pub fn restarts(&self) -> u32 {
        self.life().restarts.load(Ordering::Acquire)
    }

    /// Whether the actor has not ended. One that was told to stop lives until its queue is done.
    pub fn is_alive(&self) -> bool {
        !self.life().has_ended()
    }

    /// Ends the actor after the calls made before this one. Calls made after it fail.
    pub fn stop(&self) {
        // The actor of a closed queue has ended already.
        let _ = self.core().push(Mail::Stop, false);
    }

    /// Ends the actor now: queued calls fail, asynchronous calls stop at their next await, and a running
    /// synchronous method is the last one to run; it can see the kill in
    /// [`ActorContext::is_killed`](crate::ActorContext::is_killed).
    pub fn kill(&self) {
        self.life().finish(ActorEnd::Killed, None);
        self.core().wake();
    }

    /// Waits until the actor has ended and its state is dropped, and tells how it ended.
    ///
    /// The future does not hold the handle, so it does not keep the actor alive.
    pub fn wait_ended(&self) -> impl Future<Output = ActorEnd> + Send + use<A> {
        let core = Arc::clone(self.core());
        async move { core.life.wait_over().await }
    }

    /// A handle that does not keep the actor alive.
    pub fn downgrade(&self) -> WeakHandle<A> {
        WeakHandle::new(Arc::clone(self.core()))
    }

    /// A handle whose `&self` calls run in the group of that name, whatever their own is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], with the nearest name, if no method of the actor names the group.
    pub fn in_group(&self, group: &str) -> Result<Self> {
        Ok(Self::new(self.port().in_group(group_number::<A>(group)?)))
    }

    /// Waits until a bounded mailbox has room, and keeps it for one call.
    ///
    /// Without a limit there is always room.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ActorDead`] or [`ErrorKind::ShutDown`] if the actor has ended.
    #[track_caller]
    pub fn reserve(&self) -> impl Future<Output = Result<Reserved<A>>> + Send + '_ {
        let location = Location::caller();
        async move {
            match Reserving::new(self.core()).await {
                Ok(()) => Ok(Reserved::new(Self::new(self.port().with_room()))),
                Err(_) => Err(self.life().lost(task_info(A::NAME, location, 1))),
            }
        }
    }

    /// Makes a call again and again, first after one `period`, until the actor ends or the timer is cancelled.
    ///
    /// A tick whose call before has not been answered is left out. The timer does not keep the actor alive.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a period of 0, [`ErrorKind::ShutDown`] after the engine's shutdown.
    pub fn every<T: Send + Sync + 'static>(
        &self,
        period: Duration,
        call: impl Fn(&Self) -> Ref<T> + Send + 'static,
    ) -> Result<Timer> {
        timer::every(self.core(), period, call)
    }

    /// Makes a call once, after `delay`, unless the actor has ended or the timer was cancelled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ShutDown`] after the engine's shutdown.
    pub fn after<T: Send + Sync + 'static>(
        &self,
        delay: Duration,
        call: impl FnOnce(&Self) -> Ref<T> + Send + 'static,
    ) -> Result<Timer> {
        timer::after(self.core(), delay, call)
    }
}

/// The number of a group by its name, from 1.
pub(crate) fn group_number<A: Actor>(group: &str) -> Result<u16> {
    match A::GROUPS.iter().position(|known| *known == group) {
        Some(at) => Ok(u16::try_from(at + 1).unwrap_or(u16::MAX)),
        None => {
            let message = format!("no method of {} names the group `{group}`", A::NAME);
            let error = Error::new(ErrorKind::NotFound, "group", message);
            Err(match suggest(group, A::GROUPS) {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error.with_help("groups are named on methods: `#[actor(group = \"io\")]`"),
            })
        }
    }
}

impl<A: Actor> Clone for ActorHandle<A> {
    /// Another handle, which is another caller: calls through one handle keep their order.
    fn clone(&self) -> Self {
        Self::new(self.port().clone())
    }
}

impl<A: Actor> Deref for ActorHandle<A> {
    type Target = A::Methods;

    fn deref(&self) -> &A::Methods {
        &self.methods
    }
}

/// A handle that does not keep its actor alive; from [`ActorHandle::downgrade`] and
/// [`ActorContext::weak`](crate::ActorContext::weak).
///
/// What an actor keeps of itself, or of an actor that keeps a handle of it, should be weak: handles in a
/// circle keep each other's actors alive until they are stopped or the engine goes.
pub struct WeakHandle<A: Actor>(Arc<Core<A>>);

impl<A: Actor> WeakHandle<A> {
    pub(crate) fn new(core: Arc<Core<A>>) -> Self {
        Self(core)
    }

    /// A handle, unless the last one is gone.
    pub fn upgrade(&self) -> Option<ActorHandle<A>> {
        ActorHandle::revive(Arc::clone(&self.0))
    }

    /// The actor's identifier.
    pub fn id(&self) -> ActorId {
        self.0.life.id
    }
}

impl<A: Actor> Clone for WeakHandle<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> fmt::Debug for WeakHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakHandle({})", self.0.life)
    }
}

impl<A: Actor> fmt::Debug for ActorHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let life = self.life();
        let state = life.end().map_or("alive", |end| end.word());
        write!(f, "ActorHandle({life}, {state})")
    }
}

/// Handles travel as the actor's id; only the process of the actor can read them back.
impl<A: Actor> Serialize for ActorHandle<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id().serialize(serializer)
    }
}

impl<'de, A: Actor> Deserialize<'de> for ActorHandle<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = ActorId::deserialize(deserializer)?;
        let gone = || D::Error::custom(format_args!("the actor {id} does not live in this process"));
        let core: Arc<dyn std::any::Any + Send + Sync> = names::by_id(id).ok_or_else(gone)?;
        let core = core
            .downcast::<Core<A>>()
            .map_err(|_| D::Error::custom(format_args!("the actor {id} is not a {}", A::NAME)))?;
        Self::revive(core).ok_or_else(gone)
    }
}
