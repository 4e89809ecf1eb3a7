//! Cells completed by hand: a promise is the writing end, its ref the reading end.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;

use super::cell::{Base, Outcome, Rest, Task, announce};
use super::raw::Core;
use super::reference::Ref;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::memory::Reservation;

/// A cell without a job; a value that `put` charged for gives that back with the last handle.
pub(crate) type PromiseCell<T> = Core<Rest, Task, Option<Reservation>, Result<T>, ()>;

/// Completes the cell unless that has happened.
fn complete<T>(cell: Arc<PromiseCell<T>>, result: Result<T>) -> bool {
    let claimed = Core::claim(cell);
    claimed.map(|((), claim)| announce(claim.complete(result))).is_some()
}

impl<T: Send + Sync + 'static> Outcome<T> for PromiseCell<T> {
    fn base(&self) -> &Base {
        &self.head
    }

    fn peek(&self) -> Option<&Result<T>> {
        self.outcome()
    }

    fn take(&mut self) -> Option<Result<T>> {
        Core::take(self)
    }

    fn cancel(self: Arc<Self>) -> bool {
        complete(self, Err(Error::new(ErrorKind::Cancelled, "ref", "was cancelled")))
    }

    fn as_runnable(self: Arc<Self>) -> Option<Task> {
        None
    }
}

pub(super) fn completed<T: Send + Sync + 'static>(
    result: Result<T>,
    reservation: Option<Reservation>,
) -> Arc<dyn Outcome<T>> {
    PromiseCell::done(Rest::new(), reservation, (), result)
}

/// The writing end of a [`Ref`]: whoever holds it decides the value.
///
/// Dropped without a value, it completes the ref with an error, so nobody waits for ever.
///
/// # Examples
///
/// ```
/// use trefoil_core::Ref;
///
/// let (promise, answer) = Ref::promise("oracle");
/// promise.fulfil(Ok(42));
/// assert_eq!(answer.get()?, 42);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
pub struct Promise<T: Send + Sync + 'static> {
    cell: Option<Arc<PromiseCell<T>>>,
    info: TaskInfo,
}

impl<T: Send + Sync + 'static> Promise<T> {
    #[track_caller]
    pub(super) fn new(name: impl Into<Cow<'static, str>>) -> (Self, Ref<T>) {
        let cell = Arc::new(PromiseCell::queued(Rest::new(), None, ()));
        let info = TaskInfo { name: name.into(), location: Location::caller(), attempt: 1 };
        let reference = Ref::from_cell(Arc::clone(&cell) as Arc<dyn Outcome<T>>);
        (Self { cell: Some(cell), info }, reference)
    }

    /// Completes the ref. An error is marked with the promise's name and call site.
    pub fn fulfil(mut self, result: Result<T>) {
        if let Some(cell) = self.cell.take() {
            complete(cell, result.map_err(|e| e.in_task(self.info.clone())));
        }
    }

    /// Completes the ref with the error of something it depended on, unchanged: it keeps its own mark, or none.
    pub fn pass_on(mut self, error: Error) {
        if let Some(cell) = self.cell.take() {
            complete(cell, Err(error));
        }
    }

    /// Whether the ref was cancelled meanwhile, so that the value would not be seen.
    pub fn is_cancelled(&self) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.head.is_done())
    }
}

impl<T: Send + Sync + 'static> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            let error = Error::new(ErrorKind::Cancelled, "task", "ended without a result");
            complete(cell, Err(error.in_task(self.info.clone())));
        }
    }
}
