//! Cells completed by hand: a promise is the writing end, its ref the reading end.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use super::cell::{Base, Outcome, Runnable, fire};
use super::reference::Ref;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::memory::Reservation;

/// Something that takes an outcome, once.
pub(crate) trait Completion<T>: Send + Sync {
    fn complete(&self, result: Result<T>);
}

/// Completes a task's cell with "cancelled" unless its future got to the end.
pub(crate) struct CompletionGuard<T: 'static> {
    cell: Option<Arc<dyn Completion<T>>>,
    info: TaskInfo,
}

impl<T> CompletionGuard<T> {
    pub(crate) fn new(cell: Arc<dyn Completion<T>>, info: TaskInfo) -> Self {
        Self { cell: Some(cell), info }
    }

    pub(crate) fn complete(mut self, result: Result<T>) {
        if let Some(cell) = self.cell.take() {
            cell.complete(result);
        }
    }
}

impl<T> Drop for CompletionGuard<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            let error = Error::new(ErrorKind::Cancelled, "task", "was cancelled while it ran");
            cell.complete(Err(error.in_task(self.info.clone())));
        }
    }
}

/// A cell without a job.
pub(crate) struct PromiseCell<T> {
    base: Base,
    outcome: OnceLock<Result<T>>,
    /// What `put` charged for the value; given back with the last handle.
    _reservation: Option<Reservation>,
}

impl<T: Send + Sync + 'static> PromiseCell<T> {
    fn new(reservation: Option<Reservation>) -> Arc<Self> {
        Arc::new(Self { base: Base::new(0), outcome: OnceLock::new(), _reservation: reservation })
    }
}

impl<T: Send + Sync + 'static> Completion<T> for PromiseCell<T> {
    fn complete(&self, result: Result<T>) {
        if self.outcome.set(result).is_ok() {
            let error = self.outcome.get().and_then(|result| result.as_ref().err());
            fire(self.base.finish(), error);
        }
    }
}

impl<T: Send + Sync + 'static> Outcome<T> for PromiseCell<T> {
    fn base(&self) -> &Base {
        &self.base
    }

    fn peek(&self) -> Option<&Result<T>> {
        self.outcome.get()
    }

    fn take(&mut self) -> Option<Result<T>> {
        self.outcome.take()
    }

    fn cancel(&self) -> bool {
        if self.base.is_done() {
            return false;
        }
        self.complete(Err(Error::new(ErrorKind::Cancelled, "ref", "was cancelled")));
        true
    }

    fn as_runnable(self: Arc<Self>) -> Option<Arc<dyn Runnable>> {
        None
    }
}

pub(super) fn completed<T: Send + Sync + 'static>(
    result: Result<T>,
    reservation: Option<Reservation>,
) -> Arc<dyn Outcome<T>> {
    let cell = PromiseCell::new(reservation);
    cell.complete(result);
    cell
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
        let cell = PromiseCell::new(None);
        let info = TaskInfo { name: name.into(), location: Location::caller(), attempt: 1 };
        let reference = Ref::from_cell(Arc::clone(&cell) as Arc<dyn Outcome<T>>);
        (Self { cell: Some(cell), info }, reference)
    }

    /// Completes the ref. An error is marked with the promise's name and call site.
    pub fn fulfil(mut self, result: Result<T>) {
        if let Some(cell) = self.cell.take() {
            cell.complete(result.map_err(|e| e.in_task(self.info.clone())));
        }
    }

    /// Completes the ref with the error of something it depended on, unchanged: it keeps its own mark, or none.
    pub fn pass_on(mut self, error: Error) {
        if let Some(cell) = self.cell.take() {
            cell.complete(Err(error));
        }
    }

    /// Whether the ref was cancelled meanwhile, so that the value would not be seen.
    pub fn is_cancelled(&self) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.base.is_done())
    }
}

impl<T: Send + Sync + 'static> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            let error = Error::new(ErrorKind::Cancelled, "task", "ended without a result");
            cell.complete(Err(error.in_task(self.info.clone())));
        }
    }
}
