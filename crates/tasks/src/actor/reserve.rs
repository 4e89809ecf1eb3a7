//! Room in a bounded mailbox, promised before the call is made: back-pressure for callers that must not block.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Actor;
use super::handle::ActorHandle;
use super::mailbox::{Core, Refusal};

/// Waits for a promise of room.
pub(crate) struct Reserving<'a, A: Actor> {
    core: &'a Arc<Core<A>>,
    /// Its place in the line, while it waits.
    place: Option<u64>,
}

impl<'a, A: Actor> Reserving<'a, A> {
    pub(crate) fn new(core: &'a Arc<Core<A>>) -> Self {
        Self { core, place: None }
    }
}

impl<A: Actor> Future for Reserving<'_, A> {
    type Output = Result<(), Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let core = self.core;
        core.poll_reserve(&mut self.place, context.waker())
    }
}

impl<A: Actor> Drop for Reserving<'_, A> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.core.leave_line(place);
        }
    }
}

/// Room for one call in a bounded mailbox; from [`ActorHandle::reserve`].
///
/// It dereferences to the actor's methods. The first call made through it has its place for certain; dropped
/// without a call, it gives the place back. Its calls keep their order with those of the handle it came from.
pub struct Reserved<A: Actor>(ActorHandle<A>);

impl<A: Actor> Reserved<A> {
    /// Of a handle with room.
    pub(crate) fn new(handle: ActorHandle<A>) -> Self {
        Self(handle)
    }
}

impl<A: Actor> Deref for Reserved<A> {
    type Target = A::Methods;

    fn deref(&self) -> &A::Methods {
        self.0.methods()
    }
}

impl<A: Actor> std::fmt::Debug for Reserved<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reserved({:?})", self.0)
    }
}
