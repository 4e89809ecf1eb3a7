//! Errands: a call on its way to whoever runs it, in the same allocation as the cell of its answer.
//!
//! ```text
//!   Waiting(load) ──take──> Running ──complete──> Over
//!        │  ^──── put back ────┘ │
//!        └──────── cancel ───────┴──────────────────^
//! ```
//!
//! Whoever takes the load runs it and completes the errand; the executor knows nothing of it. Actors queue
//! errands: one allocation holds the arguments, the method and the answer. The first outcome wins, as for
//! every cell, and a cancelled errand drops its load at once and wakes whoever polls it.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::cell::{Base, Outcome, Rest, Task, tell};
use super::raw::Core;
use super::reference::Ref;
use crate::error::{Error, ErrorKind, Result, TaskInfo};

/// What is held while a thread is blocked on an answer.
pub type WaitMark = Option<Box<dyn Any>>;

/// What is known of an errand from the start to the end.
#[doc(hidden)]
pub trait Note: Send + Sync + 'static {
    /// Name and call site, for errors.
    fn info(&self) -> TaskInfo;

    /// Called before someone waits for the answer that is not there: the error if it could never come.
    /// `started` finds out whether the load has been taken; `blocks` tells whether a thread will be blocked.
    fn before_wait(&self, started: &dyn Fn() -> bool, blocks: bool) -> Result<WaitMark>;

    /// Called when the errand was cancelled.
    fn cancelled(&self) {}
}

enum Stage<C> {
    Waiting(C),
    /// With the waker of the future that runs it.
    Running(Option<Waker>),
    Over,
}

/// A cell of an answer, with what it takes to find it.
#[doc(hidden)]
pub struct Errand<T, N, C> {
    cell: Core<Rest, Task, (), Result<T>, ()>,
    note: N,
    stage: Mutex<Stage<C>>,
}

impl<T, N, C> Errand<T, N, C>
where
    T: Send + Sync + 'static,
    N: Note,
    C: Send + 'static,
{
    /// An errand that nobody runs yet, and the ref of its answer.
    pub fn new(note: N, load: C) -> (Arc<Self>, Ref<T>) {
        let stage = Mutex::new(Stage::Waiting(load));
        let errand = Arc::new(Self { cell: Core::queued(Rest::new(), (), ()), note, stage });
        let answer = Ref::from_cell(Arc::clone(&errand) as Arc<dyn Outcome<T>>);
        (errand, answer)
    }

    /// What is known of it.
    pub fn note(&self) -> &N {
        &self.note
    }

    /// Whether it has an outcome: then it was cancelled, for whoever runs it.
    pub fn is_over(&self) -> bool {
        self.cell.head.is_done()
    }

    /// Looks at the load, if nobody has taken it.
    pub fn with_load<R>(&self, look: impl FnOnce(&C) -> R) -> Option<R> {
        match &*self.stage.lock() {
            Stage::Waiting(load) => Some(look(load)),
            _ => None,
        }
    }

    /// Takes the load in order to run it, if `ready` agrees and nobody has taken it; none and `true` if it
    /// is still waiting.
    pub fn take_if(&self, ready: impl FnOnce(&C) -> bool) -> (Option<C>, bool) {
        let mut stage = self.stage.lock();
        match &*stage {
            Stage::Waiting(load) if !ready(load) => (None, true),
            Stage::Waiting(_) => match std::mem::replace(&mut *stage, Stage::Running(None)) {
                Stage::Waiting(load) => (Some(load), false),
                _ => (None, false),
            },
            _ => (None, false),
        }
    }

    /// Gives a load back, so that it can be taken again; false if the errand is over.
    pub fn put_back(&self, load: C) -> bool {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::Over) || self.is_over() {
            return false;
        }
        *stage = Stage::Waiting(load);
        true
    }

    /// Remembers whom a cancel has to wake; true if the errand is over already.
    pub fn watch(&self, waker: &Waker) -> bool {
        if let Stage::Running(known) = &mut *self.stage.lock()
            && !known.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            *known = Some(waker.clone());
        }
        self.is_over()
    }

    /// Forgets the waker of [`watch`](Self::watch): an answer that is kept must not keep its actor's memory.
    pub fn unwatch(&self) {
        if let Stage::Running(waker) = &mut *self.stage.lock() {
            *waker = None;
        }
    }

    /// Writes the outcome, unless there is one. This handle goes before anyone is told, so that whoever
    /// waits may be the last one to hold the answer and take it without a copy.
    pub fn complete(self: Arc<Self>, result: Result<T>) {
        let error = result.as_ref().err().cloned();
        if let Some((waiters, listened)) = self.cell.finish(result) {
            let listeners = self.cell.head.listeners(listened);
            drop(self);
            tell(waiters, listeners, error);
        }
    }
}

impl<T, N, C> Outcome<T> for Errand<T, N, C>
where
    T: Send + Sync + 'static,
    N: Note,
    C: Send + 'static,
{
    fn base(&self) -> &Base {
        &self.cell.head
    }

    fn peek(&self) -> Option<&Result<T>> {
        self.cell.outcome()
    }

    fn take(&mut self) -> Option<Result<T>> {
        self.cell.take()
    }

    fn cancel(self: Arc<Self>) -> bool {
        if self.is_over() {
            return false;
        }
        let error = Error::new(ErrorKind::Cancelled, "task", "was cancelled").in_task(self.note.info());
        if let Some((waiters, listened)) = self.cell.finish(Err(error.clone())) {
            tell(waiters, self.cell.head.listeners(listened), Some(error));
            // Dropped outside the lock: a load may hold the last handle of anything.
            let stage = std::mem::replace(&mut *self.stage.lock(), Stage::Over);
            if let Stage::Running(Some(waker)) = stage {
                waker.wake();
            }
            self.note.cancelled();
        }
        true
    }

    fn as_runnable(self: Arc<Self>) -> Option<Task> {
        None
    }

    fn before_wait(&self, blocks: bool) -> Result<WaitMark> {
        self.note.before_wait(&|| !matches!(*self.stage.lock(), Stage::Waiting(_)), blocks)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;

    struct Plain;

    impl Note for Plain {
        fn info(&self) -> TaskInfo {
            TaskInfo { name: "errand".into(), location: Location::caller(), attempt: 1 }
        }

        fn before_wait(&self, _: &dyn Fn() -> bool, blocks: bool) -> Result<WaitMark> {
            if blocks { Err(Error::new(ErrorKind::Deadlock, "get", "would wait for ever")) } else { Ok(None) }
        }
    }

    #[test]
    fn an_errand_runs_once_and_its_first_outcome_stays() {
        let (errand, answer) = Errand::new(Plain, 20);
        assert_eq!(errand.take_if(|_| false), (None, true));
        assert_eq!(answer.get().unwrap_err().kind(), ErrorKind::Deadlock);
        let (load, waits) = errand.take_if(|load| *load == 20);
        assert!(load.is_some() && !waits);
        assert_eq!(errand.take_if(|_| true), (None, false), "taken");
        assert!(errand.put_back(21));
        assert_eq!(errand.take_if(|_| true), (Some(21), false));
        Arc::clone(&errand).complete(Ok(1));
        errand.complete(Ok(2));
        assert_eq!(answer.get().unwrap(), 1);
        assert!(!answer.cancel());
    }

    #[test]
    fn a_cancelled_errand_drops_its_load_and_takes_none_back() {
        let load = Arc::new(());
        let (errand, answer) = Errand::<(), _, _>::new(Plain, Arc::clone(&load));
        assert!(answer.cancel() && errand.is_over());
        assert_eq!(Arc::strong_count(&load), 1);
        assert!(!errand.put_back(load));
        assert!(errand.watch(Waker::noop()));
        assert!(answer.get().unwrap_err().is_cancelled());
    }

    #[test]
    fn the_last_holder_takes_the_answer_without_a_copy() {
        let (errand, answer) = Errand::new(Plain, ());
        let value = vec![1u8; 1000];
        let place = value.as_ptr();
        errand.complete(Ok(value));
        let taken = futures::executor::block_on(answer).unwrap();
        assert_eq!(taken.as_ptr(), place);
    }
}
