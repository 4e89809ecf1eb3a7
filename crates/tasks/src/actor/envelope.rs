//! A call on its way: arguments, the method, and the promise of the answer.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use trefoil_core::{Args, Error, ErrorKind, Promise, Ref, Result};

use super::life::Life;

/// How a method gets the state.
pub(crate) enum Access<'a, A> {
    Alone(&'a mut A),
    Shared(Arc<A>),
}

/// How far a call has come.
pub(crate) enum Progress<'a> {
    /// It is answered.
    Done,
    /// It panicked; the caller hears of it through [`Crash::tell`].
    Crashed(Crash),
    /// The rest is asynchronous.
    Running(BoxFuture<'a, Option<Crash>>),
}

/// A panic in a method. The actor's fate is settled before the caller is told.
pub(crate) struct Crash {
    pub(crate) error: Error,
    answer: Box<dyn FnOnce(Error) + Send>,
}

impl Crash {
    pub(crate) fn tell(self) {
        (self.answer)(self.error);
    }
}

/// What the loop sees of a call.
pub(crate) trait Envelope<A>: Send {
    /// Waits for arguments that are not there yet; none if all are.
    fn wait(&mut self) -> Option<BoxFuture<'_, ()>>;
    /// Whether the method shares the state with others.
    fn shares(&self) -> bool;
    /// Runs the method, or answers with the error of an argument.
    fn run<'a>(self: Box<Self>, access: Access<'a, A>) -> Progress<'a>;
}

/// What a method's body gave so far.
pub(crate) enum Body<'a, T> {
    Done(Result<T>),
    Running(BoxFuture<'a, Result<T>>),
}

/// One of the four kinds of method.
pub(crate) trait Method<A, I, T>: Send + 'static {
    const SHARES: bool;
    const ASYNC: bool;
    fn start<'a>(self, access: Access<'a, A>, inputs: I) -> Body<'a, T>;
}

/// `fn(&mut self)`.
pub(crate) struct Alone<F>(pub(crate) F);
/// `async fn(&mut self)`.
pub(crate) struct AloneAsync<F>(pub(crate) F);
/// `fn(&self)`.
pub(crate) struct Shared<F>(pub(crate) F);
/// `async fn(&self)`.
pub(crate) struct SharedAsync<F>(pub(crate) F);

impl<A, I, T, F> Method<A, I, T> for Alone<F>
where
    F: FnOnce(&mut A, I) -> Result<T> + Send + 'static,
{
    const SHARES: bool = false;
    const ASYNC: bool = false;

    fn start<'a>(self, access: Access<'a, A>, inputs: I) -> Body<'a, T> {
        match access {
            Access::Alone(state) => Body::Done((self.0)(state, inputs)),
            Access::Shared(_) => Body::Done(Err(wrong_access())),
        }
    }
}

impl<A, I, T, F> Method<A, I, T> for AloneAsync<F>
where
    F: for<'s> FnOnce(&'s mut A, I) -> BoxFuture<'s, Result<T>> + Send + 'static,
{
    const SHARES: bool = false;
    const ASYNC: bool = true;

    fn start<'a>(self, access: Access<'a, A>, inputs: I) -> Body<'a, T> {
        match access {
            Access::Alone(state) => Body::Running((self.0)(state, inputs)),
            Access::Shared(_) => Body::Done(Err(wrong_access())),
        }
    }
}

impl<A, I, T, F> Method<A, I, T> for Shared<F>
where
    F: FnOnce(&A, I) -> Result<T> + Send + 'static,
{
    const SHARES: bool = true;
    const ASYNC: bool = false;

    fn start<'a>(self, access: Access<'a, A>, inputs: I) -> Body<'a, T> {
        match access {
            Access::Alone(state) => Body::Done((self.0)(state, inputs)),
            Access::Shared(state) => Body::Done((self.0)(&state, inputs)),
        }
    }
}

impl<A, I, T, F> Method<A, I, T> for SharedAsync<F>
where
    F: FnOnce(Arc<A>, I) -> BoxFuture<'static, Result<T>> + Send + 'static,
{
    const SHARES: bool = true;
    const ASYNC: bool = true;

    fn start<'a>(self, access: Access<'a, A>, inputs: I) -> Body<'a, T> {
        match access {
            Access::Alone(_) => Body::Done(Err(wrong_access())),
            Access::Shared(state) => Body::Running((self.0)(state, inputs)),
        }
    }
}

fn wrong_access() -> Error {
    Error::new(ErrorKind::Internal, "actor", "the state was lent the wrong way")
}

/// A call with its types.
pub(crate) struct Call<I: Args, T: Send + Sync + 'static, F> {
    args: I,
    method: F,
    reply: Reply<T>,
    /// The caller's end of the answer, of asynchronous methods: done early if it is cancelled.
    answer: Option<Ref<T>>,
}

/// The promise of an answer. Dropped without one, it answers with the actor's end.
pub(crate) struct Reply<T: Send + Sync + 'static> {
    promise: Option<Promise<T>>,
    life: Arc<Life>,
    label: &'static str,
    location: &'static Location<'static>,
    /// Whether the call still counts among those that wait.
    waits: bool,
}

impl<T: Send + Sync + 'static> Reply<T> {
    pub(crate) fn new(
        promise: Promise<T>,
        life: Arc<Life>,
        label: &'static str,
        location: &'static Location<'static>,
    ) -> Self {
        Self { promise: Some(promise), life, label, location, waits: true }
    }

    fn started(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.life.release();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.promise.as_ref().is_some_and(Promise::is_cancelled)
    }

    fn answer(mut self, result: Result<T>) {
        if let Some(promise) = self.promise.take() {
            promise.fulfil(result);
        }
    }
}

impl<T: Send + Sync + 'static> Reply<T> {
    /// Answers with the error of an argument, as it is.
    fn pass_on(mut self, error: Error) {
        if let Some(promise) = self.promise.take() {
            promise.pass_on(error);
        }
    }
}

impl<T: Send + Sync + 'static> Drop for Reply<T> {
    fn drop(&mut self) {
        self.started();
        if let Some(promise) = self.promise.take() {
            promise.fulfil(Err(self.life.lost(self.label, self.location)));
        }
    }
}

impl<I: Args, T: Send + Sync + 'static, F> Call<I, T, F> {
    pub(crate) fn new(args: I, method: F, reply: Reply<T>, answer: Option<Ref<T>>) -> Self {
        Self { args, method, reply, answer }
    }
}

impl<A, I, T, F> Envelope<A> for Call<I, T, F>
where
    A: Send + Sync + 'static,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    fn wait(&mut self) -> Option<BoxFuture<'_, ()>> {
        // Values, and refs that are done, need no future.
        if self.args.ready().now_or_never().is_some() { None } else { Some(self.args.ready().boxed()) }
    }

    fn shares(&self) -> bool {
        F::SHARES
    }

    fn run<'a>(self: Box<Self>, access: Access<'a, A>) -> Progress<'a> {
        let Self { args, method, mut reply, answer } = *self;
        reply.started();
        if reply.is_cancelled() {
            return Progress::Done;
        }
        let inputs = match args.resolve() {
            Ok(inputs) => inputs,
            Err(error) => {
                reply.pass_on(error);
                return Progress::Done;
            }
        };
        // After a panic the state is dropped, so nobody sees it half-changed.
        match catch_unwind(AssertUnwindSafe(|| method.start(access, inputs))) {
            Ok(Body::Done(result)) => {
                reply.answer(result);
                Progress::Done
            }
            Err(payload) => Progress::Crashed(crash(reply, &*payload)),
            Ok(Body::Running(future)) => Progress::Running(
                async move {
                    let future = AssertUnwindSafe(future).catch_unwind();
                    let outcome = match answer.map(|answer| answer.value()) {
                        // The watch on the answer goes before it is given, so that the caller's handle
                        // is the last one.
                        Some(cancelled) => match select(future, cancelled).await {
                            Either::Left((outcome, _)) => outcome,
                            Either::Right(_) => return None,
                        },
                        None => future.await,
                    };
                    match outcome {
                        Ok(result) => {
                            reply.answer(result);
                            None
                        }
                        Err(payload) => Some(crash(reply, &*payload)),
                    }
                }
                .boxed(),
            ),
        }
    }
}

fn crash<T: Send + Sync + 'static>(reply: Reply<T>, payload: &(dyn std::any::Any + Send)) -> Crash {
    let error = Error::panicked("task", payload).in_task(Life::task(reply.label, reply.location));
    Crash { error, answer: Box::new(move |error| reply.answer(Err(error))) }
}
