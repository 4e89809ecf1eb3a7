//! A call on its way: note, arguments and method, in the cell of the answer.
//!
//! The loop sees an [`Envelope`]; behind it is one allocation, an [`Errand`]. A call runs at most once, plus
//! its retries; whoever drops it half-way (see [`Unfinished`]) gives it up, which answers or queues it again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use futures::future::BoxFuture;
use trefoil_core::{Args, Errand, Error, ErrorKind, Note, Result, TaskInfo, WaitMark};

use super::Actor;
use super::context;
use super::life::task_info;
use super::mailbox::{Core, Mailed};
use super::names;

/// What is known of a call from its start to its end.
pub(crate) struct CallNote {
    /// The number of the actor.
    pub(crate) actor: u64,
    /// Which handle it was made through: calls of one keep their order.
    pub(crate) lane: u32,
    pub(crate) group: u16,
    /// `&self`
    pub(crate) shares: bool,
    /// Runs on a thread that may be blocked.
    pub(crate) blocking: bool,
    pub(crate) label: &'static str,
    pub(crate) location: &'static Location<'static>,
    pub(crate) retries: u32,
    /// Times it was started; counted only if it may be retried.
    pub(crate) attempt: AtomicU32,
}

impl CallNote {
    /// Whether it may be run again.
    fn may_retry(&self) -> bool {
        self.retries >= self.attempt.load(Ordering::Relaxed).max(1)
    }
}

impl Note for CallNote {
    fn info(&self) -> TaskInfo {
        task_info(self.label, self.location, self.attempt.load(Ordering::Relaxed).max(1))
    }

    fn before_wait(&self, started: &dyn Fn() -> bool, blocks: bool) -> Result<WaitMark> {
        context::before_wait(self, started, blocks)
    }

    fn cancelled(&self) {
        // It may have waited for arguments in front of others.
        names::cancelled(self.actor);
    }
}

/// What a call carries until it runs.
#[derive(Clone)]
pub(crate) struct Load<I, F> {
    pub(crate) args: I,
    pub(crate) method: F,
}

/// How a method uses the state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `fn(&mut self)`
    Alone,
    /// `async fn(&mut self)`
    AloneAsync,
    /// `fn(&self)`
    Shared,
    /// `async fn(&self)`
    SharedAsync,
}

impl Kind {
    pub(crate) fn shares(self) -> bool {
        matches!(self, Kind::Shared | Kind::SharedAsync)
    }
}

/// How far a call has come.
pub(crate) enum Ran<A: Actor> {
    /// It is answered.
    Done,
    /// Its arguments are not there.
    Waits(Mailed<A>),
    /// It panicked; nobody was told yet.
    Crashed(Crash<A>),
    /// The rest is asynchronous.
    Running(BoxFuture<'static, Late<A>>),
}

/// A panic in a method. The actor's fate is settled before the caller is told.
pub(crate) struct Crash<A: Actor> {
    pub(crate) error: Error,
    pub(crate) call: Mailed<A>,
}

/// What an asynchronous call leaves behind.
pub(crate) struct Late<A: Actor> {
    /// The state, if it was lent to this call alone.
    pub(crate) state: Option<Arc<A>>,
    pub(crate) crash: Option<Crash<A>>,
    /// The call itself if it is to run again.
    pub(crate) again: Option<Mailed<A>>,
}

/// What the loop sees of a call.
pub(crate) trait Envelope<A: Actor>: Send + Sync {
    fn note(&self) -> &CallNote;
    fn kind(&self) -> Kind;
    /// Answered already, which means cancelled.
    fn is_over(&self) -> bool;
    fn poll_args(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Runs the call if its arguments are there. `state` is taken out for an `async fn(&mut self)`.
    fn run(self: Arc<Self>, state: &mut Option<Arc<A>>, core: &Arc<Core<A>>) -> Ran<A>;
    /// Runs a `fn(&self)` on a thread of its own.
    fn run_blocking(self: Arc<Self>, state: Arc<A>, core: &Arc<Core<A>>) -> Late<A>;
    /// Prepares another run after a crash; false if there is none left.
    fn rearm(&self) -> bool;
    fn answer(self: Arc<Self>, error: Error);
}

/// The body of a method, of one of the four kinds.
pub(crate) trait Method<A, I, T: Send + 'static>: Clone + Send + Sync + 'static {
    const KIND: Kind;
    fn alone(self, _state: &mut A, _inputs: I) -> Result<T> {
        Err(wrong_kind())
    }
    fn shared(self, _state: &A, _inputs: I) -> Result<T> {
        Err(wrong_kind())
    }
    fn alone_async(self, _state: &mut A, _inputs: I) -> BoxFuture<'_, Result<T>> {
        Box::pin(std::future::ready(Err(wrong_kind())))
    }
    fn shared_async(self, _state: Arc<A>, _inputs: I) -> BoxFuture<'static, Result<T>> {
        Box::pin(std::future::ready(Err(wrong_kind())))
    }
}

fn wrong_kind() -> Error {
    Error::new(ErrorKind::Internal, "actor", "a method was run as one of another kind")
}

#[derive(Clone)]
pub(crate) struct Alone<F>(pub(crate) F);
#[derive(Clone)]
pub(crate) struct AloneAsync<F>(pub(crate) F);
#[derive(Clone)]
pub(crate) struct Shared<F>(pub(crate) F);
#[derive(Clone)]
pub(crate) struct SharedAsync<F>(pub(crate) F);

impl<A, I, T: Send + 'static, F> Method<A, I, T> for Alone<F>
where
    F: FnOnce(&mut A, I) -> Result<T> + Clone + Send + Sync + 'static,
{
    const KIND: Kind = Kind::Alone;

    fn alone(self, state: &mut A, inputs: I) -> Result<T> {
        (self.0)(state, inputs)
    }
}

impl<A, I, T: Send + 'static, F> Method<A, I, T> for AloneAsync<F>
where
    F: for<'s> FnOnce(&'s mut A, I) -> BoxFuture<'s, Result<T>> + Clone + Send + Sync + 'static,
{
    const KIND: Kind = Kind::AloneAsync;

    fn alone_async(self, state: &mut A, inputs: I) -> BoxFuture<'_, Result<T>> {
        (self.0)(state, inputs)
    }
}

impl<A, I, T: Send + 'static, F> Method<A, I, T> for Shared<F>
where
    F: FnOnce(&A, I) -> Result<T> + Clone + Send + Sync + 'static,
{
    const KIND: Kind = Kind::Shared;

    fn shared(self, state: &A, inputs: I) -> Result<T> {
        (self.0)(state, inputs)
    }
}

impl<A, I, T: Send + 'static, F> Method<A, I, T> for SharedAsync<F>
where
    F: FnOnce(Arc<A>, I) -> BoxFuture<'static, Result<T>> + Clone + Send + Sync + 'static,
{
    const KIND: Kind = Kind::SharedAsync;

    fn shared_async(self, state: Arc<A>, inputs: I) -> BoxFuture<'static, Result<T>> {
        (self.0)(state, inputs)
    }
}

/// A call with its types.
pub(crate) type TypedCall<I, T, F> = Errand<T, CallNote, Load<I, F>>;

/// What one attempt gave.
enum Attempt<T> {
    Answer(Result<T>),
    /// The load is back in place.
    Again,
    Panicked(Error),
}

/// Settles the outcome of an attempt: errors are marked, or retried if the actor's settings say so.
fn settle<A, I, T, F>(
    call: &TypedCall<I, T, F>,
    outcome: Result<Result<T>, Box<dyn Any + Send>>,
    spare: Option<Load<I, F>>,
    core: &Core<A>,
) -> Attempt<T>
where
    A: Actor,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    let note = call.note();
    match outcome {
        Ok(Ok(value)) => Attempt::Answer(Ok(value)),
        Ok(Err(error)) => {
            let again =
                note.may_retry() && core.settings.retry_if.as_ref().is_some_and(|wanted| wanted(&error));
            match spare {
                Some(spare) if again => {
                    if call.put_back(spare) {
                        Attempt::Again
                    } else {
                        Attempt::Answer(Err(error))
                    }
                }
                _ => Attempt::Answer(Err(error.in_task(note.info()))),
            }
        }
        Err(payload) => {
            let error = Error::panicked("task", &*payload).in_task(note.info());
            if note.may_retry()
                && let Some(spare) = spare
            {
                call.put_back(spare);
            }
            Attempt::Panicked(error)
        }
    }
}

impl<A, I, T, F> Envelope<A> for TypedCall<I, T, F>
where
    A: Actor,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    fn note(&self) -> &CallNote {
        Errand::note(self)
    }

    fn kind(&self) -> Kind {
        F::KIND
    }

    fn is_over(&self) -> bool {
        Errand::is_over(self)
    }

    fn poll_args(&self, context: &mut Context<'_>) -> Poll<()> {
        self.with_load(|load| poll_ready(&load.args, context)).unwrap_or(Poll::Ready(()))
    }

    fn run(self: Arc<Self>, state: &mut Option<Arc<A>>, core: &Arc<Core<A>>) -> Ran<A> {
        loop {
            let ready = |load: &Load<I, F>| {
                poll_ready(&load.args, &mut Context::from_waker(Waker::noop())).is_ready()
            };
            let load = match self.take_if(ready) {
                (Some(load), _) => load,
                (None, true) => return Ran::Waits(self),
                // Cancelled.
                (None, false) => return Ran::Done,
            };
            if Errand::is_over(&self) {
                return Ran::Done;
            }
            let note = Errand::note(&self);
            if note.retries > 0 {
                note.attempt.fetch_add(1, Ordering::Relaxed);
            }
            let spare = (note.retries > 0).then(|| load.clone());
            let Load { args, method } = load;
            let inputs = match args.resolve() {
                Ok(inputs) => inputs,
                Err(error) => {
                    self.complete(Err(error));
                    return Ran::Done;
                }
            };
            // After a panic the state is dropped, so nobody sees it half-changed.
            let outcome = match F::KIND {
                Kind::Alone => match state.as_mut().and_then(Arc::get_mut) {
                    Some(state) => catch_unwind(AssertUnwindSafe(|| method.alone(state, inputs))),
                    None => Ok(Err(lent())),
                },
                Kind::Shared => match state.as_deref() {
                    Some(state) => catch_unwind(AssertUnwindSafe(|| method.shared(state, inputs))),
                    None => Ok(Err(lent())),
                },
                Kind::AloneAsync => match state.take() {
                    Some(state) => {
                        let unfinished = Unfinished { call: Some(self), spare, core: Arc::clone(core) };
                        return Ran::Running(alone_later(unfinished, state, method, inputs).boxed());
                    }
                    None => Ok(Err(lent())),
                },
                Kind::SharedAsync => match state.as_ref().map(Arc::clone) {
                    Some(state) => {
                        let unfinished = Unfinished { call: Some(self), spare, core: Arc::clone(core) };
                        return Ran::Running(shared_later(unfinished, state, method, inputs).boxed());
                    }
                    None => Ok(Err(lent())),
                },
            };
            match settle(&self, outcome, spare, core) {
                Attempt::Answer(result) => {
                    self.complete(result);
                    return Ran::Done;
                }
                Attempt::Panicked(error) => return Ran::Crashed(Crash { error, call: self }),
                Attempt::Again => {}
            }
        }
    }

    fn run_blocking(self: Arc<Self>, state: Arc<A>, core: &Arc<Core<A>>) -> Late<A> {
        let mut state = Some(state);
        let ran = self.run(&mut state, core);
        drop(state);
        match ran {
            Ran::Crashed(crash) => Late { state: None, crash: Some(crash), again: None },
            Ran::Waits(call) => Late { state: None, crash: None, again: Some(call) },
            Ran::Done | Ran::Running(_) => Late { state: None, crash: None, again: None },
        }
    }

    fn rearm(&self) -> bool {
        !Errand::is_over(self) && Errand::note(self).may_retry() && self.with_load(|_| ()).is_some()
    }

    fn answer(self: Arc<Self>, error: Error) {
        self.complete(Err(error));
    }
}

fn poll_ready<I: Args>(args: &I, context: &mut Context<'_>) -> Poll<()> {
    std::pin::pin!(args.ready()).poll_unpin(context)
}

fn lent() -> Error {
    Error::new(ErrorKind::Internal, "actor", "the state of the actor is lent to another call")
}

/// A call on its way to a thread of its own. Dropped on the way, it is answered with what became of the actor.
pub(crate) struct Unstarted<A: Actor> {
    call: Option<Mailed<A>>,
    core: Arc<Core<A>>,
}

impl<A: Actor> Unstarted<A> {
    pub(crate) fn new(call: Mailed<A>, core: &Arc<Core<A>>) -> Self {
        Self { call: Some(call), core: Arc::clone(core) }
    }

    pub(crate) fn into_call(mut self) -> Option<Mailed<A>> {
        self.call.take()
    }
}

impl<A: Actor> Drop for Unstarted<A> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let error = self.core.life.lost(call.note().info());
            call.answer(error);
        }
    }
}

/// A call whose asynchronous part runs. Dropped, it is given up: if a panic beside it interrupted it and it
/// has retries left, it is handed back to run again, otherwise answered with what became of the actor.
struct Unfinished<A, I, T, F>
where
    A: Actor,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    call: Option<Arc<TypedCall<I, T, F>>>,
    spare: Option<Load<I, F>>,
    core: Arc<Core<A>>,
}

impl<A, I, T, F> Unfinished<A, I, T, F>
where
    A: Actor,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    /// What is left when the future has ended; none if it was cancelled.
    fn finish(
        mut self,
        outcome: Option<Result<Result<T>, Box<dyn Any + Send>>>,
        state: Option<Arc<A>>,
    ) -> Late<A> {
        let mut late = Late { state, crash: None, again: None };
        let (Some(call), Some(outcome)) = (self.call.take(), outcome) else { return late };
        call.unwatch();
        match settle(&call, outcome, self.spare.take(), &self.core) {
            Attempt::Answer(result) => call.complete(result),
            Attempt::Again => late.again = Some(call),
            Attempt::Panicked(error) => late.crash = Some(Crash { error, call }),
        }
        late
    }
}

impl<A, I, T, F> Drop for Unfinished<A, I, T, F>
where
    A: Actor,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        call.unwatch();
        let life = &self.core.life;
        if life.restarting.load(Ordering::Acquire)
            && !life.has_ended()
            && Errand::note(&call).may_retry()
            && let Some(spare) = self.spare.take()
        {
            if call.put_back(spare) {
                self.core.interrupt(call);
            }
            return;
        }
        let error = life.lost(Note::info(Errand::note(&call)));
        call.complete(Err(error));
    }
}

/// Runs a future of a call until it is done, panics or the call is cancelled (none).
async fn guarded<I, T, F, R>(
    call: &TypedCall<I, T, F>,
    future: impl Future<Output = R>,
) -> Option<Result<R, Box<dyn Any + Send>>>
where
    I: Args,
    T: Send + Sync + 'static,
    F: Send + 'static,
{
    let mut future = std::pin::pin!(AssertUnwindSafe(future).catch_unwind());
    std::future::poll_fn(|context| {
        if call.is_over() {
            return Poll::Ready(None);
        }
        match future.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if call.watch(context.waker()) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Runs an `async fn(&mut self)`; the state comes back with what it leaves.
async fn alone_later<A, I, T, F>(
    unfinished: Unfinished<A, I, T, F>,
    mut state: Arc<A>,
    method: F,
    inputs: I::Inputs,
) -> Late<A>
where
    A: Actor,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    let outcome = match (&unfinished.call, Arc::get_mut(&mut state)) {
        (Some(call), Some(state)) => guarded(call, method.alone_async(state, inputs)).await,
        _ => Some(Ok(Err(lent()))),
    };
    unfinished.finish(outcome, Some(state))
}

/// Runs an `async fn(&self)`.
async fn shared_later<A, I, T, F>(
    unfinished: Unfinished<A, I, T, F>,
    state: Arc<A>,
    method: F,
    inputs: I::Inputs,
) -> Late<A>
where
    A: Actor,
    I: Args,
    T: Send + Sync + 'static,
    F: Method<A, I::Inputs, T>,
{
    let outcome = match &unfinished.call {
        Some(call) => guarded(call, method.shared_async(state, inputs)).await,
        None => None,
    };
    unfinished.finish(outcome, None)
}
