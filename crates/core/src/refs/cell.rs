//! Cells with a meaning: tasks and promises on top of the bare cell of `raw`, and who is told when they are
//! done.
//!
//! One allocation per task holds identity, state, the job until it runs and the outcome afterwards. Waiting
//! tasks are a lock-free list in the cell; wakers and blocked threads, which are rarer and cost a system
//! call anyway, are a list under a lock that is only taken if there are any.

use std::any::Any;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::task::AbortHandle;

use super::errand::WaitMark;
use super::raw::{Claim, Core, Head, Told, Waiters};
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::events::{Hub, Mark};
use crate::graph::{Subscriber, SubscriberKind};
use crate::id::{RefId, next_ref_number};
use crate::runtime::{Home, Parker, PoolShared, ReleaseOnDrop};

/// A task that can be queued, run or failed.
pub(crate) type Task = Arc<dyn Runnable>;

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

/// Those who listen to one cell: mostly one, who then needs no memory of its own.
pub(crate) type Listeners = SmallVec<[Waiter; 1]>;

/// The part of a cell that does not depend on the value's type.
pub(crate) type Base = Head<Rest, Task>;

/// What a cell knows of itself besides its state.
pub(crate) struct Rest {
    number: u64,
    /// Dependencies not done yet, plus one while they are being registered.
    pending: AtomicUsize,
    cancelled: AtomicBool,
    /// Thousandths of a cpu the task declared; 0 if none.
    pub(crate) milli_cpus: u32,
    waiters: Mutex<Listeners>,
}

impl Rest {
    pub(super) fn new(milli_cpus: u32) -> Self {
        Self {
            number: next_ref_number(),
            pending: AtomicUsize::new(1),
            cancelled: AtomicBool::new(false),
            milli_cpus,
            waiters: Mutex::new(Listeners::new()),
        }
    }

    pub(crate) fn id(&self) -> RefId {
        RefId::of(self.number)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn add_dependency(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// One dependency (or the hold of the registration) fewer; true if that was the last.
    pub(crate) fn dependency_done(&self) -> bool {
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Base {
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
            if waiters.iter().any(known) {
                return None;
            }
        }
        waiters.push(waiter);
        None
    }

    /// Those who listen to a cell that is done, if there are any.
    pub(super) fn listeners(&self, listened: bool) -> Listeners {
        if listened { std::mem::take(&mut *self.rest.waiters.lock()) } else { Listeners::new() }
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
pub(super) fn announce<E, T, J>(told: Told<Rest, Task, E, Result<T>, J>) {
    let Told { waiters, listened, cell } = told;
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
    for waiter in listeners {
        match waiter {
            Waiter::Waker(waker) => waker.wake(),
            Waiter::Thread(parker) => parker.unpark(),
            Waiter::Collector(collector, number) => collector.collect(number),
        }
    }
}

fn dependency_done(task: Task) {
    if task.base().rest.dependency_done() {
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
    /// Runs the job of a queued task, unless someone else has claimed it.
    fn run(self: Arc<Self>);
    /// Completes the task with `error` if it has not started.
    fn fail_unstarted(self: Arc<Self>, error: Error);
    /// The engine it belongs to, which need not be that of the thread that runs it.
    fn home(&self) -> Arc<Home>;
    /// Unfinished tasks this one waits for.
    fn upstream(&self, visit: &mut dyn FnMut(Task));
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
    /// The rest is asynchronous and goes on on the CPU runtime.
    Future(BoxFuture<'static, Result<T>>),
}

/// The work of a task.
pub(crate) trait Job<T>: Send + 'static {
    fn run(self) -> Started<T>;
    /// Whether `subscribe` may have anything to show.
    fn reads_refs(&self) -> bool {
        true
    }
    /// Shows the subscriber every ref this job reads.
    fn subscribe(&self, subscriber: &mut Subscriber<'_>);
    /// The task's name and call site for errors.
    fn info(&self) -> TaskInfo;
}

/// What a task's cell has besides.
pub(crate) struct TaskExtra {
    pool: Arc<PoolShared>,
    /// Of the async part, for cancel.
    abort: Mutex<Option<AbortHandle>>,
}

/// A cell whose value a job will produce.
pub(crate) type TaskCell<T, J> = Core<Rest, Task, TaskExtra, Result<T>, J>;

type TaskClaim<T, J> = Claim<Rest, Task, TaskExtra, Result<T>, J>;

impl<T: Send + Sync + 'static, J: Job<T>> TaskCell<T, J> {
    /// Makes a task and registers it with what it depends on. Gives it back as the second part if it can be
    /// queued at once: then the caller has to do that.
    pub(crate) fn make(pool: &Arc<PoolShared>, milli_cpus: u32, job: J) -> (Arc<Self>, Option<Task>) {
        let rest = Rest::new(milli_cpus);
        pool.events().submitted(rest.number, || job.info());
        let extra = TaskExtra { pool: Arc::clone(pool), abort: Mutex::new(None) };
        if milli_cpus == 0 && !job.reads_refs() {
            let cell = Arc::new(Self::queued(rest, extra, job));
            let task = Arc::clone(&cell) as Task;
            return (cell, Some(task));
        }
        let (cell, failure) = Self::wired(rest, extra, job, |cell, job| {
            let task = Arc::clone(cell) as Task;
            let mut failure = None;
            job.subscribe(&mut Subscriber(SubscriberKind::Task(&task, &mut failure)));
            failure
        });
        let task = Arc::clone(&cell) as Task;
        if let Some(error) = failure {
            task.fail_unstarted(error);
            return (cell, None);
        }
        // The hold counted by `Rest::new` has kept it from starting in between.
        if !cell.head.rest.dependency_done() {
            return (cell, None);
        }
        if milli_cpus > 0 {
            task.ready();
            return (cell, None);
        }
        let queued = cell.head.queue();
        (cell, queued.then_some(task))
    }

    /// Ends a task that has not started, with the error made of its name and call site.
    fn end_unstarted(self: Arc<Self>, error: impl FnOnce(TaskInfo) -> Error) -> bool {
        let Some((job, claim)) = Self::claim_unstarted(self) else { return false };
        if claim.was_queued {
            claim.cell().release_cpus();
        }
        let info = job.info();
        let error = error(info.clone());
        claim.cell().events().never_ran(claim.cell().head.rest.number, Some(info), &error);
        discard(job);
        announce(claim.complete(Err(error)));
        true
    }

    fn events(&self) -> &Arc<Hub> {
        self.extra.pool.events()
    }

    fn release_cpus(&self) {
        self.extra.pool.release_cpus(self.head.rest.milli_cpus);
    }

    /// Goes on with a job's asynchronous part on the CPU runtime.
    fn go_on(claim: TaskClaim<T, J>, info: TaskInfo, begun: Mark, future: BoxFuture<'static, Result<T>>) {
        let cell = Arc::clone(claim.cell());
        let release = ReleaseOnDrop::new(Arc::clone(&cell.extra.pool), cell.head.rest.milli_cpus);
        // The guard completes the cell if the runtime drops the future, on abort or shutdown.
        let guard = CompletionGuard { claim: Some(claim), info: info.clone() };
        let (events, number) = (Arc::clone(cell.events()), cell.head.rest.number);
        let begun = events.detach(begun, number);
        let task = cell.extra.pool.cpu().spawn(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            drop(release);
            let result = finished(outcome, &info);
            events.end_detached(begun, number, &info, &result);
            guard.complete(result);
        });
        *cell.extra.abort.lock() = Some(task.abort_handle());
        if cell.head.rest.is_cancelled() {
            task.abort();
        }
    }
}

/// Drops what a user gave; a panic in there must not take the thread with it.
fn discard(value: impl Sized) {
    let _ = catch_unwind(AssertUnwindSafe(move || drop(value)));
}

/// What a job gave, with the task's mark on errors and panics.
fn finished<T>(outcome: Result<Result<T>, Box<dyn Any + Send>>, info: &TaskInfo) -> Result<T> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.in_task(info.clone())),
        Err(payload) => Err(Error::panicked("task", &*payload).in_task(info.clone())),
    }
}

/// Completes a task's cell with "cancelled" unless its future got to the end.
struct CompletionGuard<T: Send + Sync + 'static, J: Job<T>> {
    claim: Option<TaskClaim<T, J>>,
    info: TaskInfo,
}

impl<T: Send + Sync + 'static, J: Job<T>> CompletionGuard<T, J> {
    fn complete(mut self, result: Result<T>) {
        if let Some(claim) = self.claim.take() {
            announce(claim.complete(result));
        }
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Drop for CompletionGuard<T, J> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            let error = Error::new(ErrorKind::Cancelled, "task", "was cancelled while it ran");
            announce(claim.complete(Err(error.in_task(self.info.clone()))));
        }
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Runnable for TaskCell<T, J> {
    fn base(&self) -> &Base {
        &self.head
    }

    fn ready(self: Arc<Self>) {
        let pool = Arc::clone(&self.extra.pool);
        pool.admit(self);
    }

    fn run(self: Arc<Self>) {
        let Some((job, claim)) = Self::claim(self) else { return };
        let info = job.info();
        if claim.cell().head.rest.is_cancelled() {
            claim.cell().release_cpus();
            discard(job);
            return announce(claim.complete(Err(cancelled(info))));
        }
        let number = claim.cell().head.rest.number;
        let begun = claim.cell().events().begin(number, &info);
        let started = {
            let _current = CurrentTask::enter(Arc::clone(claim.cell()) as Task);
            // Nothing of ours is left half-changed by a panic here: the job is consumed.
            catch_unwind(AssertUnwindSafe(|| job.run()))
        };
        let outcome = match started {
            Ok(Started::Future(future)) => return Self::go_on(claim, info, begun, future),
            Ok(Started::Done(result)) => Ok(result),
            Err(payload) => Err(payload),
        };
        claim.cell().release_cpus();
        let result = finished(outcome, &info);
        claim.cell().events().end(begun, number, &info, &result);
        announce(claim.complete(result));
    }

    fn fail_unstarted(self: Arc<Self>, error: Error) {
        self.end_unstarted(|_| error);
    }

    fn home(&self) -> Arc<Home> {
        Arc::clone(self.extra.pool.home())
    }

    fn upstream(&self, visit: &mut dyn FnMut(Task)) {
        self.inspect(|job| job.subscribe(&mut Subscriber(SubscriberKind::Upstream(visit))));
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Outcome<T> for TaskCell<T, J> {
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
        if self.head.is_done() {
            return false;
        }
        self.head.rest.cancelled.store(true, Ordering::Release);
        if Arc::clone(&self).end_unstarted(cancelled) {
            return true;
        }
        if let Some(abort) = &*self.extra.abort.lock() {
            abort.abort();
        }
        true
    }

    fn as_runnable(self: Arc<Self>) -> Option<Task> {
        if self.head.is_done() { None } else { Some(self) }
    }
}

/// The error of a task that was cancelled before it ran.
fn cancelled(info: TaskInfo) -> Error {
    Error::new(ErrorKind::Cancelled, "task", "was cancelled").in_task(info)
}

thread_local! {
    /// The tasks running on this thread, innermost last: waiting for one task may run another inline.
    static CURRENT: RefCell<Vec<Task>> = const { RefCell::new(Vec::new()) };
}

struct CurrentTask;

impl CurrentTask {
    fn enter(task: Task) -> Self {
        CURRENT.with_borrow_mut(|stack| stack.push(task));
        Self
    }
}

impl Drop for CurrentTask {
    fn drop(&mut self) {
        let ended = CURRENT.with_borrow_mut(Vec::pop);
        drop(ended);
    }
}

/// Whether the task running on this thread was asked to stop.
pub(crate) fn current_task_cancelled() -> bool {
    CURRENT.with_borrow(|stack| stack.last().is_some_and(|task| task.base().rest.is_cancelled()))
}

/// The engine of the task running on this thread.
pub(crate) fn current_task_home() -> Option<Arc<Home>> {
    CURRENT.try_with(|stack| stack.borrow().last().map(|task| task.home())).ok().flatten()
}

/// Thousandths of a cpu that the task running on this thread holds.
pub(crate) fn current_task_cpus() -> u32 {
    CURRENT.with_borrow(|stack| stack.last().map_or(0, |task| task.base().rest.milli_cpus))
}
