//! The sending end of an actor's queue: what the generated methods call.

use std::panic::Location;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;
use trefoil_core::{Arg, Args, Error, ErrorKind, Ref, Result, WeakEngine};

use super::Actor;
use super::envelope::{Alone, AloneAsync, Call, Method, Reply, Shared, SharedAsync};
use super::life::Life;
use super::mailbox::Message;

/// Sends calls to an actor. Used by the code that `#[actor]` writes.
#[doc(hidden)]
pub struct Port<A: Actor>(pub(crate) Arc<Inner<A>>);

/// Dropped with the last handle, which closes the queue.
pub(crate) struct Inner<A> {
    pub(crate) life: Arc<Life>,
    pub(crate) sender: UnboundedSender<Message<A>>,
    pub(crate) engine: WeakEngine,
}

impl<A: Actor> Clone for Port<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Port<A> {
    /// Starts an argument that is a call, so that it is computed while the message waits.
    pub fn argument<T: Clone + Send + Sync + 'static>(&self, argument: Arg<T>) -> Arg<T> {
        match argument {
            Arg::Call(call) => Arg::Ref(match self.0.engine.upgrade() {
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
        label: &'static str,
        args: I,
        method: impl FnOnce(&mut A, I::Inputs) -> Result<T> + Send + 'static,
    ) -> Ref<T> {
        self.send(label, args, Alone(method))
    }

    /// Calls `async fn(&mut self)`.
    #[track_caller]
    pub fn call_mut_async<I: Args, T: Send + Sync + 'static>(
        &self,
        label: &'static str,
        args: I,
        method: impl for<'s> FnOnce(&'s mut A, I::Inputs) -> BoxFuture<'s, Result<T>> + Send + 'static,
    ) -> Ref<T> {
        self.send(label, args, AloneAsync(method))
    }

    /// Calls `fn(&self)`.
    #[track_caller]
    pub fn call_ref<I: Args, T: Send + Sync + 'static>(
        &self,
        label: &'static str,
        args: I,
        method: impl FnOnce(&A, I::Inputs) -> Result<T> + Send + 'static,
    ) -> Ref<T> {
        self.send(label, args, Shared(method))
    }

    /// Calls `async fn(&self)`.
    #[track_caller]
    pub fn call_ref_async<I: Args, T: Send + Sync + 'static>(
        &self,
        label: &'static str,
        args: I,
        method: impl FnOnce(Arc<A>, I::Inputs) -> BoxFuture<'static, Result<T>> + Send + 'static,
    ) -> Ref<T> {
        self.send(label, args, SharedAsync(method))
    }

    #[track_caller]
    fn send<I, T, M>(&self, label: &'static str, args: I, method: M) -> Ref<T>
    where
        I: Args,
        T: Send + Sync + 'static,
        M: Method<A, I::Inputs, T>,
    {
        let location = Location::caller();
        let life = &self.0.life;
        if let Err(waiting) = life.admit() {
            let message = format!("{life} has a full mailbox: {waiting} calls wait");
            let error = Error::new(ErrorKind::Overloaded, "task", message)
                .with_help("wait for an earlier call, or give the actor a larger `mailbox`");
            return Ref::failed(error.in_task(Life::task(label, location)));
        }
        let (promise, answer) = Ref::promise(label);
        let reply = Reply::new(promise, Arc::clone(life), label, location);
        let watched = M::ASYNC.then(|| answer.clone());
        // An actor that has ended gives the message back, and the dropped reply names the end.
        let _ = self.0.sender.send(Message::Call(Box::new(Call::new(args, method, reply, watched))));
        answer
    }
}

fn shut_down() -> Error {
    Error::new(ErrorKind::ShutDown, "engine", "the engine has been shut down")
}
