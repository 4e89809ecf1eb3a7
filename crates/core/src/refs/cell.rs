//! Cells with a meaning on top of the bare cell of `raw`: what tasks and promises have in common, and who is
//! told when they are done.
//!
//! One allocation per task holds identity, state, the job until it runs and the outcome afterwards. Waiting
//! tasks are a lock-free list in the cell; wakers and blocked threads, which are rarer and cost a system
//! call anyway, are a list under a lock that is only taken if there are any.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::errand::WaitMark;
use super::listeners::Listeners;
use super::raw::{Head, Told, Waiters};
use super::scope::Scope;
use super::task::Managed;
use crate::error::{Error, Result, TaskInfo};
use crate::graph::Subscriber;
use crate::id::{RefId, next_ref_number};
use crate::runtime::{Parker, PoolShared};

/// A task that can be queued, run or failed.
pub(crate) type Task = Arc<dyn Runnable>;

/// Why a task is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    /// Its deadline has passed.
    Expired,
    ShutDown,
}

/// Who, besides dependent tasks, is told when a cell is done.
pub(crate) enum Waiter {
    /// An async waiter.
    Waker(Waker),
    /// A blocked thread.
    Thread(Arc<Parker>),
    /// Someone who waits for several cells, and the number of this one among them.
    Collector(Arc<dyn Collector>, usize),
}

/// Waits for several cells.
pub(crate) trait Collector: Send + Sync {
    /// The cell registered with this number is done.
    fn collect(&self, number: usize);
}

impl Waiter {
    pub(super) fn tell(self) {
        match self {
            Waiter::Waker(waker) => waker.wake(),
            Waiter::Thread(parker) => parker.unpark(),
            Waiter::Collector(collector, number) => collector.collect(number),
        }
    }
}

/// The part of a cell that does not depend on the value's type.
pub(crate) type Base = Head<Rest, Task>;

/// What a cell knows of itself besides its state. In the head's word are the dependencies that are not done yet,
/// with one more while they are being registered, and in its highest bits why it was told to stop, or 0.
pub(crate) struct Rest {
    number: u64,
    waiters: Mutex<Listeners>,
}

/// Where in the word the reason to stop begins.
const STOP: u32 = 30;
const PENDING: u32 = (1 << STOP) - 1;

impl Rest {
    #[inline]
    pub(super) fn new() -> Self {
        Self { number: next_ref_number(), waiters: Mutex::new(Listeners::default()) }
    }

    pub(crate) fn id(&self) -> RefId {
        RefId::of(self.number)
    }

    /// The number of its id.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Base {
    /// Why it was told to stop.
    #[inline]
    pub(super) fn stop(&self) -> Option<Stop> {
        match self.word.load(Ordering::Acquire) >> STOP {
            0 => None,
            1 => Some(Stop::Cancelled),
            2 => Some(Stop::Expired),
            _ => Some(Stop::ShutDown),
        }
    }

    /// Tells it to stop; the first reason stays.
    pub(super) fn tell_to_stop(&self, stop: Stop) {
        let reason = match stop {
            Stop::Cancelled => 1,
            Stop::Expired => 2,
            Stop::ShutDown => 3,
        };
        let marked = |word: u32| (word >> STOP == 0).then_some(word | reason << STOP);
        // SeqCst: who makes the scope of a task's children looks here after it has made it.
        let _ = self.word.fetch_update(Ordering::SeqCst, Ordering::Acquire, marked);
    }

    /// Whether all dependencies are done, while the registration holds.
    pub(super) fn is_last(&self) -> bool {
        self.word.load(Ordering::Acquire) & PENDING == 1
    }

    pub(crate) fn add_dependency(&self) {
        self.word.fetch_add(1, Ordering::Relaxed);
    }

    /// One dependency (or the hold of the registration) fewer; true if that was the last.
    pub(crate) fn dependency_done(&self) -> bool {
        self.word.fetch_sub(1, Ordering::AcqRel) & PENDING == 1
    }

    /// Registers a waiter; gives it back if the cell is done already.
    pub(crate) fn register(&self, waiter: Waiter) -> Option<Waiter> {
        if self.is_done() {
            return Some(waiter);
        }
        let mut waiters = self.rest.waiters.lock();
        // Under the lock: whoever completes the cell sees the mark, and then comes for the list.
        if !self.listen() {
            return Some(waiter);
        }
        if let Waiter::Waker(new) = &waiter {
            let known = |other: &Waiter| matches!(other, Waiter::Waker(old) if old.will_wake(new));
            if waiters.as_slice().iter().any(known) {
                return None;
            }
        }
        waiters.push(waiter);
        None
    }

    /// Those who listen to a cell that is done, if there are any.
    #[inline]
    pub(super) fn listeners(&self, listened: bool) -> Listeners {
        if listened { std::mem::take(&mut *self.rest.waiters.lock()) } else { Listeners::default() }
    }

    /// Forgets the registrations of a collector.
    pub(crate) fn unregister(&self, collector: &Arc<dyn Collector>) {
        let matches =
            |waiter: &Waiter| matches!(waiter, Waiter::Collector(other, _) if Arc::ptr_eq(other, collector));
        self.rest.waiters.lock().retain(|waiter| !matches(waiter));
    }
}

/// Tells all who wait for a cell that it is done. The handle that completed it goes before, so that whoever
/// waits may be the last to hold the value, and take it without a copy.
#[inline]
pub(super) fn announce<E, T, J>(told: Told<Rest, Task, E, Result<T>, J>) {
    let Told { waiters, listened, cell } = told;
    if waiters.is_empty() && !listened {
        return;
    }
    let error = cell.outcome().and_then(|outcome| outcome.as_ref().err()).cloned();
    let listeners = cell.head.listeners(listened);
    drop(cell);
    tell(waiters, listeners, error);
}

/// Tells dependent tasks and those who listen that what they waited for is done, or has failed.
pub(super) fn tell(waiters: Waiters<Task>, listeners: Listeners, error: Option<Error>) {
    match error {
        None if waiters.is_empty() => {}
        None => crate::runtime::keep_first(|| waiters.for_each(dependency_done)),
        Some(error) => fail_all(waiters, &error),
    }
    listeners.tell();
}

fn dependency_done(task: Task) {
    if task.base().dependency_done() {
        task.ready();
    }
}

/// Tasks to fail, and with what.
type Failing = Option<Vec<(Task, Error)>>;

thread_local! {
    /// Tasks to fail, while an outer `fail_all` on this thread is at it. Never dropped by itself, so that it is
    /// still there when the last handle of an engine goes with another value of a thread that ends.
    static FAILING: RefCell<ManuallyDrop<Failing>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Fails dependent tasks with the error of what they needed; they do not run. A chain of a million
/// dependents must not fail by a million nested calls: the outermost call collects what the inner ones would
/// fail and works through it in a loop.
fn fail_all(tasks: impl Iterator<Item = Task>, error: &Error) {
    struct Outermost;
    impl Drop for Outermost {
        fn drop(&mut self) {
            drop(ManuallyDrop::into_inner(FAILING.take()));
        }
    }
    let outermost = FAILING.with_borrow_mut(|failing| {
        let outermost = failing.is_none();
        failing.get_or_insert_default().extend(tasks.map(|task| (task, error.clone())));
        outermost.then(|| Outermost)
    });
    if let Some(_outermost) = outermost {
        let next = || FAILING.with_borrow_mut(|list| (**list).as_mut().and_then(Vec::pop));
        while let Some((task, error)) = next() {
            task.fail_unstarted(error);
        }
    }
}

/// A task as the executor sees it.
pub(crate) trait Runnable: Send + Sync {
    fn base(&self) -> &Base;
    /// All dependencies are done: queue it.
    fn ready(self: Arc<Self>);
    /// Marks it as queued; false if somebody has claimed it.
    fn queue(&self) -> bool;
    /// Runs the job of a queued task, unless someone else has claimed it.
    fn run(self: Arc<Self>);
    /// Completes the task with `error` if it has not started.
    fn fail_unstarted(self: Arc<Self>, error: Error);
    /// Stops the work and what it has spawned: unstarted work at once, async work at its next await; sync code
    /// sees a flag. Whether it was unfinished.
    fn stop(self: Arc<Self>, stop: Stop) -> bool;
    /// Whether it was told to stop, or whoever spawned it was.
    fn is_stopped(&self) -> bool;
    /// Unfinished tasks this one waits for.
    fn upstream(&self, visit: &mut dyn FnMut(Task));
    /// Its options, if it has any that the scheduler looks at.
    fn managed(&self) -> Option<&Managed>;
    /// Its name, unless it runs.
    fn name(&self) -> Option<String>;
    fn pool(&self) -> &Arc<PoolShared>;
    /// The scope of the tasks it spawns.
    fn scope(&self) -> Arc<Scope>;
}

/// A cell as a ref sees it.
pub(crate) trait Outcome<T>: Send + Sync {
    fn base(&self) -> &Base;
    fn peek(&self) -> Option<&Result<T>>;
    fn take(&mut self) -> Option<Result<T>>;
    /// Stops the work: unstarted work at once, async work at its next await; sync code sees a flag.
    fn cancel(self: Arc<Self>) -> bool;
    /// The task behind the cell, if it is one that has not finished.
    fn as_runnable(self: Arc<Self>) -> Option<Task>;
    /// Called before someone waits for an outcome that is not there: the error if it could never come. What
    /// it gives is held while a thread `blocks`.
    fn before_wait(&self, _blocks: bool) -> Result<WaitMark> {
        Ok(None)
    }
}

/// What running a job's first part gave.
pub(crate) enum Started<T> {
    Done(Result<T>),
    /// An argument has failed: its error, unchanged.
    NotRun(Error),
    /// The rest is asynchronous and goes on on the CPU runtime.
    Future(BoxFuture<'static, Result<T>>),
}

/// The work of a task.
pub(crate) trait Job<T>: Send + 'static {
    fn run(self) -> Started<T>;
    /// Whether `subscribe` may have anything to show.
    fn reads_refs(&mut self) -> bool {
        true
    }
    /// Shows the subscriber every ref this job reads.
    fn subscribe(&self, subscriber: &mut Subscriber<'_>);
    /// The task's name and call site for errors.
    fn info(&self) -> TaskInfo;
    /// The same work for a further attempt, if it can be done again.
    fn again(&self) -> Option<Box<dyn DynJob<T>>> {
        None
    }
}

/// A job without the type of its work.
pub(crate) trait DynJob<T>: Send {
    fn run(self: Box<Self>) -> Started<T>;
    fn subscribe(&self, subscriber: &mut Subscriber<'_>);
    fn info(&self) -> TaskInfo;
    fn again(&self) -> Option<Box<dyn DynJob<T>>>;
}

impl<T, J: Job<T>> DynJob<T> for J {
    fn run(self: Box<Self>) -> Started<T> {
        Job::run(*self)
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        Job::subscribe(self, subscriber);
    }

    fn info(&self) -> TaskInfo {
        Job::info(self)
    }

    fn again(&self) -> Option<Box<dyn DynJob<T>>> {
        Job::again(self)
    }
}

/// A boxed job as a job.
pub(crate) struct Boxed<T>(pub(crate) Box<dyn DynJob<T>>);

impl<T: Send + Sync + 'static> Job<T> for Boxed<T> {
    fn run(self) -> Started<T> {
        self.0.run()
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        self.0.subscribe(subscriber);
    }

    fn info(&self) -> TaskInfo {
        self.0.info()
    }

    fn again(&self) -> Option<Box<dyn DynJob<T>>> {
        self.0.again()
    }
}
