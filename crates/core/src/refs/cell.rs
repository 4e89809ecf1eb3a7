//! The cell behind a ref: identity, state, waiters, the job until it runs, the outcome afterwards.
//!
//! One allocation per task: cell, job closure and result live in one `Arc`.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::task::AbortHandle;

use super::errand::WaitMark;
use super::promise::Completion;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::graph::{Subscriber, SubscriberKind};
use crate::id::RefId;
use crate::runtime::{Parker, PoolShared};

const WAITING: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const DONE: u8 = 3;

/// Who is told when a cell is done.
pub(crate) enum Waiter {
    /// A dependent task: one dependency fewer.
    Task(Arc<dyn Runnable>),
    /// An async waiter.
    Waker(Waker),
    /// A blocked thread.
    Thread(Arc<Parker>),
}

struct Waiters {
    /// Set under the lock together with taking the list, so no registration is lost.
    done: bool,
    list: SmallVec<[Waiter; 1]>,
}

/// The part of a cell that does not depend on the value's type.
pub(crate) struct Base {
    pub(crate) id: RefId,
    state: AtomicU8,
    /// Dependencies not done yet, plus one while they are being registered.
    pending: AtomicUsize,
    cancelled: AtomicBool,
    /// Thousandths of a cpu the task declared; 0 if none.
    pub(crate) milli_cpus: u32,
    waiters: Mutex<Waiters>,
}

impl Base {
    pub(crate) fn new(milli_cpus: u32) -> Self {
        Self {
            id: RefId::next(),
            state: AtomicU8::new(WAITING),
            pending: AtomicUsize::new(1),
            cancelled: AtomicBool::new(false),
            milli_cpus,
            waiters: Mutex::new(Waiters { done: false, list: SmallVec::new() }),
        }
    }

    /// Registers a waiter; gives it back if the cell is done already.
    pub(crate) fn register(&self, waiter: Waiter) -> Option<Waiter> {
        let mut waiters = self.waiters.lock();
        if waiters.done {
            return Some(waiter);
        }
        if let Waiter::Waker(new) = &waiter {
            for known in &mut waiters.list {
                if let Waiter::Waker(old) = known
                    && old.will_wake(new)
                {
                    return None;
                }
            }
        }
        waiters.list.push(waiter);
        None
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    pub(crate) fn add_dependency(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// One dependency (or the hold of the registration) fewer; true if that was the last.
    pub(crate) fn dependency_done(&self) -> bool {
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Moves to `Queued`; false if the cell went elsewhere meanwhile.
    pub(crate) fn mark_queued(&self) -> bool {
        self.state.compare_exchange(WAITING, QUEUED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Claims a queued task for the calling thread.
    pub(crate) fn claim(&self) -> bool {
        self.state.compare_exchange(QUEUED, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Claims a task that has not started in order to fail it; tells whether it was queued already, which
    /// means that it holds the cpus it declared.
    fn claim_unstarted(&self) -> Option<bool> {
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |s| (s < RUNNING).then_some(RUNNING))
            .ok()
            .map(|state| state == QUEUED)
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.state.load(Ordering::Acquire) == QUEUED
    }

    /// Marks the cell done and hands out its waiters; the outcome must be written before.
    pub(super) fn finish(&self) -> SmallVec<[Waiter; 1]> {
        let mut waiters = self.waiters.lock();
        waiters.done = true;
        self.state.store(DONE, Ordering::Release);
        std::mem::take(&mut waiters.list)
    }
}

/// Who is still to be told, and of which failure.
type Firing = Vec<(Waiter, Option<Error>)>;

thread_local! {
    /// Waiters to tell, while an outer `fire` on this thread is at it.
    static FIRING: RefCell<Option<Firing>> = const { RefCell::new(None) };
}

/// Tells waiters that what they waited for is done; after a failure, dependent tasks fail with the same
/// error and do not run. A chain of a million dependents must not fail by a million nested calls: the
/// outermost call collects what the inner ones would tell and works through it in a loop.
pub(crate) fn fire(waiters: SmallVec<[Waiter; 1]>, error: Option<&Error>) {
    if waiters.is_empty() {
        return;
    }
    if error.is_none() {
        waiters.into_iter().for_each(|waiter| tell(waiter, None));
        return;
    }
    let outermost = FIRING.with_borrow_mut(|firing| {
        let outermost = firing.is_none();
        let list = firing.get_or_insert_default();
        list.extend(waiters.into_iter().map(|waiter| (waiter, error.cloned())));
        outermost
    });
    if outermost {
        while let Some((waiter, error)) = FIRING.with_borrow_mut(|list| list.as_mut().and_then(Vec::pop)) {
            tell(waiter, error);
        }
        FIRING.set(None);
    }
}

fn tell(waiter: Waiter, error: Option<Error>) {
    match (waiter, error) {
        (Waiter::Task(task), Some(error)) => task.fail_unstarted(error),
        (Waiter::Task(task), None) => {
            if task.base().dependency_done() {
                task.ready();
            }
        }
        (Waiter::Waker(waker), _) => waker.wake(),
        (Waiter::Thread(parker), _) => parker.unpark(),
    }
}

/// A task as the executor sees it.
pub(crate) trait Runnable: Send + Sync {
    fn base(&self) -> &Base;
    /// All dependencies are done: queue it.
    fn ready(self: Arc<Self>);
    /// Runs the job; the caller has claimed the task.
    fn run(self: Arc<Self>);
    /// Completes the task with `error` if it has not started.
    fn fail_unstarted(&self, error: Error);
    /// Unfinished tasks this one waits for.
    fn upstream(&self, visit: &mut dyn FnMut(Arc<dyn Runnable>));
}

/// A cell as a ref sees it.
pub(crate) trait Outcome<T>: Send + Sync {
    fn base(&self) -> &Base;
    fn peek(&self) -> Option<&Result<T>>;
    fn take(&mut self) -> Option<Result<T>>;
    /// Stops the work: unstarted work at once, async work at its next await; sync code sees a flag.
    fn cancel(&self) -> bool;
    /// The task behind the cell, if it is one that has not finished.
    fn as_runnable(self: Arc<Self>) -> Option<Arc<dyn Runnable>>;
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
    /// Shows the subscriber every ref this job reads.
    fn subscribe(&self, subscriber: &mut Subscriber<'_>);
    /// The task's name and call site for errors.
    fn info(&self) -> TaskInfo;
}

/// A cell whose value a job will produce.
pub(crate) struct TaskCell<T, J> {
    base: Base,
    /// Taken by whoever runs or fails the task.
    job: Mutex<Option<J>>,
    outcome: OnceLock<Result<T>>,
    /// Of the async part, for cancel.
    abort: Mutex<Option<AbortHandle>>,
    pool: Arc<PoolShared>,
}

impl<T: Send + Sync + 'static, J: Job<T>> TaskCell<T, J> {
    pub(crate) fn new(pool: Arc<PoolShared>, milli_cpus: u32, job: J) -> Arc<Self> {
        Arc::new(Self {
            base: Base::new(milli_cpus),
            job: Mutex::new(Some(job)),
            outcome: OnceLock::new(),
            abort: Mutex::new(None),
            pool,
        })
    }

    /// Registers the task with what it depends on, and queues it if that is done already, or fails it if
    /// some of that has failed. The hold counted by `Base::new` keeps it from starting in between.
    pub(crate) fn wire(self: &Arc<Self>) {
        let task = Arc::clone(self) as Arc<dyn Runnable>;
        let mut failure = None;
        if let Some(job) = &*self.job.lock() {
            self.pool.events().submitted(self.base.id.number(), || job.info());
            job.subscribe(&mut Subscriber(SubscriberKind::Task(&task, &mut failure)));
        }
        // Only now: failing the task takes the lock of its job.
        if let Some(error) = failure {
            return task.fail_unstarted(error);
        }
        if self.base.dependency_done() {
            task.ready();
        }
    }

    /// Ends a task that has not started, with the error made of its name and call site.
    fn end_unstarted(&self, error: impl FnOnce(Option<TaskInfo>) -> Error) -> bool {
        let Some(was_queued) = self.base.claim_unstarted() else { return false };
        if was_queued {
            self.pool.release_cpus(self.base.milli_cpus);
        }
        let job = self.job.lock().take();
        let error = error(job.as_ref().map(Job::info));
        self.pool.events().never_ran(self.base.id.number(), job.as_ref().map(Job::info), &error);
        drop(job);
        self.complete(Err(error));
        true
    }

    fn complete(&self, result: Result<T>) {
        // The first outcome wins: a cancelled task that ends anyway changes nothing.
        if self.outcome.set(result).is_ok() {
            let error = self.outcome.get().and_then(|result| result.as_ref().err());
            fire(self.base.finish(), error);
        }
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Completion<T> for TaskCell<T, J> {
    fn complete(&self, result: Result<T>) {
        Self::complete(self, result);
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Runnable for TaskCell<T, J> {
    fn base(&self) -> &Base {
        &self.base
    }

    fn ready(self: Arc<Self>) {
        let pool = Arc::clone(&self.pool);
        pool.admit(self);
    }

    fn run(self: Arc<Self>) {
        let Some(job) = self.job.lock().take() else { return };
        if self.base.cancelled.load(Ordering::Acquire) {
            return self.complete(Err(cancelled(&job.info())));
        }
        let info = job.info();
        let milli_cpus = self.base.milli_cpus;
        let (events, id) = (Arc::clone(self.pool.events()), self.base.id.number());
        let begun = events.begin(id, &info);
        let started = {
            let _current = CurrentTask::enter(Arc::clone(&self) as Arc<dyn Runnable>);
            // Nothing of ours is left half-changed by a panic here: the job is consumed.
            catch_unwind(AssertUnwindSafe(|| job.run()))
        };
        let future = match started {
            Ok(Started::Done(result)) => {
                self.pool.release_cpus(milli_cpus);
                let result = result.map_err(|e| e.in_task(info.clone()));
                events.end(begun, id, &info, &result);
                return self.complete(result);
            }
            Err(payload) => {
                self.pool.release_cpus(milli_cpus);
                let result = Err(Error::panicked("task", &*payload).in_task(info.clone()));
                events.end(begun, id, &info, &result);
                return self.complete(result);
            }
            Ok(Started::Future(future)) => future,
        };
        // The guard completes the cell if the runtime drops the future, on abort or shutdown.
        let guard =
            super::promise::CompletionGuard::new(Arc::clone(&self) as Arc<dyn Completion<T>>, info.clone());
        let begun = events.detach(begun, id);
        let pool = Arc::clone(&self.pool);
        let release = crate::runtime::ReleaseOnDrop::new(pool, milli_cpus);
        let task = self.pool.cpu().spawn(async move {
            use futures::FutureExt;
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            drop(release);
            let result = match outcome {
                Ok(result) => result.map_err(|e| e.in_task(info.clone())),
                Err(payload) => Err(Error::panicked("task", &*payload).in_task(info.clone())),
            };
            events.end_detached(begun, id, &info, &result);
            guard.complete(result);
        });
        *self.abort.lock() = Some(task.abort_handle());
        if self.base.cancelled.load(Ordering::Acquire) {
            task.abort();
        }
    }

    fn fail_unstarted(&self, error: Error) {
        self.end_unstarted(|_| error);
    }

    fn upstream(&self, visit: &mut dyn FnMut(Arc<dyn Runnable>)) {
        if let Some(job) = &*self.job.lock() {
            job.subscribe(&mut Subscriber(SubscriberKind::Upstream(visit)));
        }
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Outcome<T> for TaskCell<T, J> {
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
        self.base.cancelled.store(true, Ordering::Release);
        let ended = self.end_unstarted(|info| {
            let error = Error::new(ErrorKind::Cancelled, "task", "was cancelled");
            match info {
                Some(info) => error.in_task(info),
                None => error,
            }
        });
        if ended {
            return true;
        }
        if let Some(abort) = &*self.abort.lock() {
            abort.abort();
        }
        true
    }

    fn as_runnable(self: Arc<Self>) -> Option<Arc<dyn Runnable>> {
        if self.base.is_done() { None } else { Some(self) }
    }
}

/// The error of a task that was cancelled before or while it ran.
fn cancelled(info: &TaskInfo) -> Error {
    Error::new(ErrorKind::Cancelled, "task", "was cancelled").in_task(info.clone())
}

thread_local! {
    /// The tasks running on this thread, innermost last: waiting for one task may run another inline.
    static CURRENT: RefCell<Vec<Arc<dyn Runnable>>> = const { RefCell::new(Vec::new()) };
}

struct CurrentTask;

impl CurrentTask {
    fn enter(task: Arc<dyn Runnable>) -> Self {
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
    CURRENT
        .with_borrow(|stack| stack.last().is_some_and(|task| task.base().cancelled.load(Ordering::Acquire)))
}

/// Thousandths of a cpu that the task running on this thread holds.
pub(crate) fn current_task_cpus() -> u32 {
    CURRENT.with_borrow(|stack| stack.last().map_or(0, |task| task.base().milli_cpus))
}
