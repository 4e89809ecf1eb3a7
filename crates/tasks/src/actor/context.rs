//! Where a method runs: the actor's view of itself, and waits that could never end.
//!
//! While the loop of an actor runs, its thread says so. A method can ask for its [`ActorContext`], and a wait
//! on an answer that only this very loop could give is an error instead of a hang. Blocking waits of one
//! actor for another are listed while they last; one that would close a circle is refused too.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use trefoil_core::{Error, ErrorKind, Result, WaitMark};

use super::Actor;
use super::call::CallNote;
use super::handle::{ActorHandle, WeakHandle};
use super::life::ActorId;
use super::mailbox::{AnyCore, Core};

/// What a thread that runs an actor says of it.
pub(crate) struct Here {
    core: Arc<dyn AnyCore>,
    /// The thread runs the loop itself, so that nothing else of the actor runs while it blocks.
    on_loop: bool,
}

impl Here {
    pub(crate) fn new(core: Arc<dyn AnyCore>, on_loop: bool) -> Self {
        Self { core, on_loop }
    }
}

/// What the loop is at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A method that is not asynchronous: until it returns, nothing else of the actor runs.
    Method,
    /// Asynchronous `&self` methods.
    Shared,
    /// An `async fn(&mut self)`.
    Alone,
}

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
    static MODE: Cell<Mode> = const { Cell::new(Mode::Method) };
}

/// Marks the thread as running an actor; dropping it restores what was there. The mark is lent by its owner,
/// so that entering and leaving counts no references.
pub(crate) struct Inside<'a> {
    mark: &'a mut Option<Here>,
}

impl<'a> Inside<'a> {
    pub(crate) fn enter(mark: &'a mut Option<Here>) -> Self {
        HERE.with_borrow_mut(|here| std::mem::swap(here, mark));
        Self { mark }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        HERE.with_borrow_mut(|here| std::mem::swap(here, self.mark));
    }
}

/// Polls futures of methods.
pub(crate) fn polling<R>(mode: Mode, poll: impl FnOnce() -> R) -> R {
    MODE.set(mode);
    let polled = poll();
    MODE.set(Mode::Method);
    polled
}

/// Which actor blocks on which; by number, while it lasts.
static BLOCKED: LazyLock<Mutex<HashMap<u64, u64>>> = LazyLock::new(Mutex::default);

struct Blocked(u64);

impl Drop for Blocked {
    fn drop(&mut self) {
        BLOCKED.lock().remove(&self.0);
    }
}

/// Refuses a wait for an answer that cannot come before the waiting method has ended.
pub(crate) fn before_wait(note: &CallNote, started: &dyn Fn() -> bool, blocks: bool) -> Result<WaitMark> {
    let checked = HERE.try_with(|here| -> Result<WaitMark> {
        let here = here.borrow();
        let Some(Here { core, on_loop }) = &*here else { return Ok(None) };
        let own = core.life().id.number();
        if own == note.actor {
            let never = *on_loop
                && match MODE.get() {
                    _ if blocks => true,
                    Mode::Method => true,
                    Mode::Shared => !note.shares && !started(),
                    Mode::Alone => !started(),
                };
            if never {
                let message = format!(
                    "a method of {} waits for `{}` of the same actor, which runs when that method has ended",
                    core.life(),
                    note.label
                );
                return Err(deadlock(message).with_help(
                    "call the method on `self`, or give the `Ref` away instead of waiting for it",
                ));
            }
        } else if blocks && *on_loop {
            let mut blocked = BLOCKED.lock();
            let mut next = note.actor;
            let mut steps = 0;
            while let Some(&waits_for) = blocked.get(&next) {
                steps += 1;
                if waits_for == own || steps > blocked.len() {
                    let message = format!(
                        "a method of {} waits for `{}`, whose actor waits for this one",
                        core.life(),
                        note.label
                    );
                    return Err(deadlock(message).with_help("one of them must not wait: give the `Ref` away"));
                }
                next = waits_for;
            }
            blocked.insert(own, note.actor);
            return Ok(Some(Box::new(Blocked(own))));
        }
        Ok(None)
    });
    // A thread that is going away runs no actor.
    checked.unwrap_or(Ok(None))
}

fn deadlock(message: String) -> Error {
    Error::new(ErrorKind::Deadlock, "get", message)
}

/// An actor as its own running method sees it.
///
/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use trefoil_tasks::{ActorContext, ActorEnd, ActorSession, Engine, actor};
///
/// struct Door;
///
/// #[actor]
/// impl Door {
///     pub fn close(&mut self) -> Result<String, trefoil_tasks::Error> {
///         ActorContext::<Self>::current()?.exit();
///         Ok("closed".to_owned())
///     }
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
/// let door = engine.actor(Door).spawn()?;
/// assert_eq!(door.close().get()?, "closed");
/// assert_eq!(engine.block_on(door.wait_ended()), ActorEnd::Exited);
/// # Ok(())
/// # }
/// ```
pub struct ActorContext<A: Actor>(Arc<Core<A>>);

impl<A: Actor> ActorContext<A> {
    /// The context of the method that runs on this thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] outside of the methods of actors, [`ErrorKind::TypeMismatch`] in those of
    /// another type.
    pub fn current() -> Result<Self> {
        let core = HERE.with_borrow(|here| here.as_ref().map(|here| Arc::clone(&here.core)));
        let Some(core) = core else {
            let message = format!("this thread runs no method of {}", A::NAME);
            return Err(Error::new(ErrorKind::NotFound, "actor", message));
        };
        let kind = core.life().kind;
        let any: Arc<dyn std::any::Any + Send + Sync> = core;
        any.downcast::<Core<A>>().map(Self).map_err(|_| {
            let message = format!("this thread runs a method of {kind}, not of {}", A::NAME);
            Error::new(ErrorKind::TypeMismatch, "actor", message)
        })
    }

    /// The actor's identifier.
    pub fn id(&self) -> ActorId {
        self.0.life.id
    }

    /// The name given when it was spawned.
    pub fn name(&self) -> Option<&str> {
        self.0.life.name.as_ref().map(|name| name.name.as_str())
    }

    /// A handle of this actor that does not keep it alive.
    pub fn weak(&self) -> WeakHandle<A> {
        WeakHandle::new(Arc::clone(&self.0))
    }

    /// A handle of this actor, unless the last one is gone already. Kept in the actor's own state, it would
    /// keep the actor alive for ever: keep [`weak`](Self::weak) there.
    pub fn handle(&self) -> Option<ActorHandle<A>> {
        self.weak().upgrade()
    }

    /// Ends the actor when the calls that run now are done; those in the queue fail with
    /// [`ErrorKind::ActorDead`]. It is not restarted.
    pub fn exit(&self) {
        self.0.life.leave();
    }

    /// Whether the actor has been killed meanwhile: long synchronous methods should look now and then and
    /// return early.
    pub fn is_killed(&self) -> bool {
        self.0.life.has_ended()
    }

    /// How often the actor was given a fresh state.
    pub fn restarts(&self) -> u32 {
        self.0.life.restarts.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// Whether this thread runs the loop of the actor of that number.
pub(crate) fn is_loop_of(actor: u64) -> bool {
    HERE.with_borrow(|here| {
        here.as_ref().is_some_and(|here| here.on_loop && here.core.life().id.number() == actor)
    })
}
