//! The sending end of an actor's queue: what the generated methods call.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures::future::BoxFuture;
use trefoil_core::{Arg, Args, Errand, Error, ErrorKind, Note, Ref, Result};

use super::Actor;
use super::call::{Alone, AloneAsync, CallNote, Envelope, Load, Method, Shared, SharedAsync};
use super::context;
use super::mailbox::{Core, Mail, Overflow, Refusal};
use super::reserve::Reserving;

/// What the macro says of a method.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct MethodInfo {
    label: &'static str,
    group: u16,
    blocking: bool,
    /// Is never run again: some of its results are out.
    once: bool,
}

impl MethodInfo {
    /// `group`: 0 for none, or its place in [`Actor::GROUPS`], from 1.
    pub const fn new(label: &'static str, group: u16, blocking: bool, once: bool) -> Self {
        Self { label, group, blocking, once }
    }
}

/// Sends calls to an actor. Used by the code that `#[actor]` writes.
///
/// Every port is a caller of its own: calls through one keep their order. The actor lives while there is one.
#[doc(hidden)]
pub struct Port<A: Actor> {
    pub(crate) core: Arc<Core<A>>,
    lane: u32,
    /// Overrides the group of `&self` methods.
    group: Option<u16>,
    /// Room for one call was promised.
    reserved: AtomicBool,
}

impl<A: Actor> Port<A> {
    /// The port of a handle that is counted already.
    pub(crate) fn counted(core: Arc<Core<A>>) -> Self {
        Self::with(core, None)
    }

    fn with(core: Arc<Core<A>>, group: Option<u16>) -> Self {
        let lane = core.next_lane();
        Self { core, lane, group, reserved: AtomicBool::new(false) }
    }

    pub(crate) fn in_group(&self, group: u16) -> Self {
        self.core.add_handle();
        Self::with(Arc::clone(&self.core), Some(group))
    }

    /// The same caller, whose next call has its room.
    pub(crate) fn with_room(&self) -> Self {
        self.core.add_handle();
        let core = Arc::clone(&self.core);
        Self { core, lane: self.lane, group: self.group, reserved: AtomicBool::new(true) }
    }
}

impl<A: Actor> Clone for Port<A> {
    fn clone(&self) -> Self {
        self.core.add_handle();
        Self::with(Arc::clone(&self.core), self.group)
    }
}

impl<A: Actor> Drop for Port<A> {
    fn drop(&mut self) {
        if *self.reserved.get_mut() {
            self.core.unreserve();
        }
        self.core.drop_handle();
    }
}

impl<A: Actor> Port<A> {
    /// Starts an argument that is a call, so that it is computed while the message waits.
    pub fn argument<T: Clone + Send + Sync + 'static>(&self, argument: Arg<T>) -> Arg<T> {
        match argument {
            Arg::Call(call) => Arg::Ref(match self.core.engine.upgrade() {
                Some(engine) => engine.spawn(call),
                None => Ref::failed(shut_down()),
            }),
            other => other,
        }
    }

    /// Calls `fn(&mut self)`.
    #[track_caller]
    pub fn call_mut<I: Args, T: Send + Sync + 'static>(
        &self,
        info: MethodInfo,
        args: I,
        method: impl FnOnce(&mut A, I::Inputs) -> Result<T> + Clone + Send + Sync + 'static,
    ) -> Ref<T> {
        self.send(info, args, Alone(method))
    }

    /// Calls `async fn(&mut self)`.
    #[track_caller]
    pub fn call_mut_async<I: Args, T: Send + Sync + 'static>(
        &self,
        info: MethodInfo,
        args: I,
        method: impl for<'s> FnOnce(&'s mut A, I::Inputs) -> BoxFuture<'s, Result<T>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Ref<T> {
        self.send(info, args, AloneAsync(method))
    }

    /// Calls `fn(&self)`.
    #[track_caller]
    pub fn call_ref<I: Args, T: Send + Sync + 'static>(
        &self,
        info: MethodInfo,
        args: I,
        method: impl FnOnce(&A, I::Inputs) -> Result<T> + Clone + Send + Sync + 'static,
    ) -> Ref<T> {
        self.send(info, args, Shared(method))
    }

    /// Calls `async fn(&self)`.
    #[track_caller]
    pub fn call_ref_async<I: Args, T: Send + Sync + 'static>(
        &self,
        info: MethodInfo,
        args: I,
        method: impl FnOnce(Arc<A>, I::Inputs) -> BoxFuture<'static, Result<T>> + Clone + Send + Sync + 'static,
    ) -> Ref<T> {
        self.send(info, args, SharedAsync(method))
    }

    #[track_caller]
    fn send<I, T, M>(&self, info: MethodInfo, args: I, method: M) -> Ref<T>
    where
        I: Args,
        T: Send + Sync + 'static,
        M: Method<A, I::Inputs, T>,
    {
        let core = &*self.core;
        let shares = M::KIND.shares();
        let note = CallNote {
            actor: core.life.id.number(),
            lane: self.lane,
            group: if shares { self.group.unwrap_or(info.group) } else { 0 },
            shares,
            blocking: info.blocking,
            label: info.label,
            location: Location::caller(),
            retries: if info.once { 0 } else { core.settings.retries },
            attempt: AtomicU32::new(0),
        };
        let (call, answer) = Errand::new(note, Load { args, method });
        let reserved = core.settings.capacity != usize::MAX && self.reserved.swap(false, Ordering::AcqRel);
        if let Err((mail, refusal)) = core.push(Mail::Call(call), reserved) {
            self.refused(mail, refusal);
        }
        answer
    }

    #[cold]
    fn refused(&self, mut mail: Mail<A>, mut refusal: Refusal) {
        let core = &*self.core;
        let wait = core.settings.overflow == Overflow::Wait && !context::is_loop_of(core.life.id.number());
        while wait
            && matches!(refusal, Refusal::Full(_))
            && let Some(engine) = core.engine.upgrade()
        {
            refusal = match engine.block_on(Reserving::new(&self.core)) {
                Err(refusal) => refusal,
                Ok(()) => match core.push(mail, true) {
                    Ok(()) => return,
                    Err((back, refusal)) => {
                        mail = back;
                        refusal
                    }
                },
            };
        }
        let Mail::Call(call) = mail else { return };
        let info = Envelope::note(&*call).info();
        let error = match refusal {
            Refusal::Full(waiting) => core.overloaded(waiting).in_task(info),
            Refusal::Closed => core.life.lost(info),
        };
        Envelope::answer(call, error);
    }
}

fn shut_down() -> Error {
    Error::new(ErrorKind::ShutDown, "engine", "the engine has been shut down")
}
