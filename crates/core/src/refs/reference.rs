//! `Ref<T>`: the handle users hold, and `Value<T>`: a borrowed, counted view of its value.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::cell::{Outcome, Task, Waiter};
use super::promise::{Promise, completed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RefId;
use crate::memory::Reservation;
use crate::runtime;

/// A value that exists or will: of a stored object, a running task, an actor's answer.
///
/// Awaiting a ref gives the value; the last handle gives it away, otherwise it is cloned. Big values are
/// better borrowed with [`Ref::value`]. Blocking code uses [`Ref::get`] from any thread, tasks included.
/// A clone is another handle to the same value; dropping handles never stops the work, [`Ref::cancel`]
/// does. A failure is an [`Error`] that every handle and every dependent sees unchanged.
///
/// # Examples
///
/// ```
/// use trefoil_core::Engine;
///
/// let engine = Engine::new()?;
/// let six = engine.spawn_fn(|| 2 * 3);
/// let text = engine.map([six.clone()], |n| format!("{n} leaves")).remove(0);
/// assert_eq!(text.get()?, "6 leaves");
/// assert_eq!(engine.block_on(six)?, 6);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
#[must_use = "a ref holds the value or the error of the work; drop it explicitly if neither matters"]
pub struct Ref<T>(Arc<dyn Outcome<T>>);

impl<T> Ref<T> {
    pub(crate) fn from_cell(cell: Arc<dyn Outcome<T>>) -> Self {
        Self(cell)
    }

    pub(crate) fn cell(&self) -> &dyn Outcome<T> {
        &*self.0
    }

    pub(super) fn shared(&self) -> &Arc<dyn Outcome<T>> {
        &self.0
    }

    /// The unfinished task that will complete this ref.
    pub(crate) fn runnable(&self) -> Option<Task> {
        Arc::clone(&self.0).as_runnable()
    }

    /// The error of a ref that has failed.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.0.peek()?.as_ref().err().cloned()
    }

    /// The value of a finished ref, borrowed; the handle becomes the borrow.
    pub(crate) fn into_value(self) -> Result<Value<T>> {
        match self.0.peek() {
            Some(Ok(_)) => Ok(Value(self.0)),
            Some(Err(error)) => Err(error.clone()),
            None => Err(never_set()),
        }
    }

    /// The identifier of the value.
    pub fn id(&self) -> RefId {
        self.0.base().rest.id()
    }

    /// Whether the value or its error is there.
    pub fn is_done(&self) -> bool {
        self.0.base().is_done()
    }

    /// Asks the work to stop. Work that has not started never will; async work stops at its next await;
    /// running synchronous code sees [`task_is_cancelled`](crate::task_is_cancelled). The tasks it spawned are
    /// cancelled with it, and those they spawned, unless they are [detached](crate::TaskSpec::detached).
    /// Returns whether the ref was unfinished. Dependents fail with the same error.
    pub fn cancel(&self) -> bool {
        Arc::clone(&self.0).cancel()
    }

    /// The value if it is there, without waiting.
    pub fn try_value(&self) -> Option<Result<Value<T>>> {
        self.0.peek().map(|result| match result {
            Ok(_) => Ok(Value(Arc::clone(&self.0))),
            Err(error) => Err(error.clone()),
        })
    }

    /// Waits for the value and borrows it in place; nothing is copied.
    ///
    /// # Errors
    ///
    /// The error of the work.
    pub fn value(&self) -> ValueFuture<T> {
        ValueFuture(Arc::clone(&self.0))
    }

    /// Blocks until the value is there and borrows it in place.
    ///
    /// Inside a task of the engine the waiting thread runs the awaited task itself if nobody has started it.
    ///
    /// # Errors
    ///
    /// The error of the work; [`ErrorKind::Deadlock`] in a task that what it waits for waits for.
    pub fn get_value(&self) -> Result<Value<T>> {
        self.wait(None)?;
        self.try_value().unwrap_or_else(|| Err(never_set()))
    }

    /// Blocks until the value is there, at most for `timeout`, and borrows it. The work goes on after a
    /// time-out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`], or the error of the work.
    pub fn get_value_timeout(&self, timeout: Duration) -> Result<Value<T>> {
        self.wait(Some(timeout))?;
        self.try_value().unwrap_or_else(|| Err(timed_out(timeout)))
    }

    /// Blocks until the outcome is there, or the time is over. An error instead of a wait that could never end.
    #[inline]
    fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        if self.is_done() { Ok(()) } else { self.wait_long(timeout) }
    }

    fn wait_long(&self, timeout: Option<Duration>) -> Result<()> {
        let _mark = self.0.before_wait(true)?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        runtime::wait_blocking(self, deadline)
    }

    pub(crate) fn poll_done(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_done() || self.0.base().register(Waiter::Waker(context.waker().clone())).is_some() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<T: Send + Sync + 'static> Ref<T> {
    /// A ref whose value is there already, outside any store.
    pub fn ready(value: T) -> Self {
        Self(completed(Ok(value), None))
    }

    pub(crate) fn stored(value: T, reservation: Reservation) -> Self {
        Self(completed(Ok(value), Some(reservation)))
    }

    /// A ref that has failed already.
    pub fn failed(error: Error) -> Self {
        Self(completed(Err(error), None))
    }

    /// A ref to be completed by hand, and the promise that does it. `name` marks errors.
    #[track_caller]
    pub fn promise(name: impl Into<Cow<'static, str>>) -> (Promise<T>, Self) {
        Promise::new(name)
    }
}

impl<T: Clone> Ref<T> {
    /// Blocks until the value is there, and clones it; [`Ref::get_value`] borrows it, awaiting the last handle takes it.
    ///
    /// # Errors
    ///
    /// The error of the work.
    pub fn get(&self) -> Result<T> {
        self.wait(None)?;
        self.0.peek().cloned().unwrap_or_else(|| Err(never_set()))
    }

    /// Blocks until the value is there, at most for `timeout`. The work goes on after a time-out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`], or the error of the work.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T> {
        self.wait(Some(timeout))?;
        self.0.peek().cloned().unwrap_or_else(|| Err(timed_out(timeout)))
    }
}

fn timed_out(timeout: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, "get", format!("no value within {timeout:?}"))
        .with_help("the work goes on: wait again, or stop it with `cancel`")
}

fn never_set() -> Error {
    Error::new(ErrorKind::Internal, "ref", "a finished ref has no value")
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0.peek() {
            None => "pending",
            Some(Ok(_)) => "ready",
            Some(Err(_)) => "failed",
        };
        write!(f, "Ref({}, {state})", self.id())
    }
}

impl<T: Clone> Future for Ref<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.poll_done(context) {
            Poll::Pending => match self.0.before_wait(false) {
                Ok(_) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            Poll::Ready(()) => {
                // A future is not polled after it is ready, but must stay sound if it is: it keeps a
                // handle whenever it cannot take the value out.
                if let Some(cell) = Arc::get_mut(&mut self.0)
                    && let Some(result) = cell.take()
                {
                    return Poll::Ready(result);
                }
                Poll::Ready(self.0.peek().cloned().unwrap_or_else(|| Err(never_set())))
            }
        }
    }
}

/// The future of [`Ref::value`].
#[must_use = "a future does nothing unless awaited"]
pub struct ValueFuture<T>(Arc<dyn Outcome<T>>);

impl<T> Future for ValueFuture<T> {
    type Output = Result<Value<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reference = Ref(Arc::clone(&self.0));
        match reference.poll_done(context) {
            Poll::Ready(()) => Poll::Ready(reference.try_value().unwrap_or_else(|| Err(never_set()))),
            Poll::Pending => match self.0.before_wait(false) {
                Ok(_) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

/// A counted borrow of a ref's value: the value stays where it is while this lives.
pub struct Value<T>(Arc<dyn Outcome<T>>);

impl<T> Value<T> {
    /// The ref this value belongs to.
    pub fn to_ref(&self) -> Ref<T> {
        Ref(Arc::clone(&self.0))
    }

    /// Moves the value out if this is the only handle to it, else gives the borrow back.
    pub(crate) fn take_if_last(mut self) -> Result<T, Self> {
        match Arc::get_mut(&mut self.0).and_then(|cell| cell.take()) {
            Some(Ok(value)) => Ok(value),
            _ => Err(self),
        }
    }
}

impl<T> Deref for Value<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.0.peek() {
            Some(Ok(value)) => value,
            // A `Value` is only made of a cell that holds one, and a shared cell never loses it.
            _ => unreachable!("a Value is made of a finished ref"),
        }
    }
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
