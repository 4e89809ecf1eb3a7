//! Tasks: cells whose value a job will produce, attempt by attempt.
//!
//! ```text
//!   make ─ dependencies ─> queued ─> attempt 1 ── ok, or no attempt left ──────────> outcome
//!                                        │ failed                                      ^
//!                                        └──> [`Attempt`] waits for its turn ─> attempt 2 ...
//! ```
//!
//! A task without options goes from its dependencies to the queue and runs once. One with options
//! ([`Managed`]) tells the scheduler what happens to it and is queued when that says so. After a failure that
//! is worth another attempt, the claim of the cell and a fresh copy of the job wait in an `Attempt`, which
//! stands for the task until it ends. The scheduler hears of the end before anybody hears of the outcome, so
//! that what the task held is free by then.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use once_cell::race::OnceBox;
use parking_lot::Mutex;

use super::cell::{Base, Boxed, DynJob, Job, Outcome, Rest, Runnable, Started, Stop, Task, announce};
use super::current::{Frame, State, WithCurrent, current_scope, run_as};
use super::raw::{Claim, Core};
use super::scope::Scope;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::events::{Detached, EventKind, Hub, Label, Mark};
use crate::graph::{RetryIf, Subscriber, SubscriberKind};
use crate::runtime::{Abort, PoolShared, shut_down};
use crate::schedule::{Ask, Event};

/// The options of a task, as the scheduler takes them.
pub(crate) struct Managed {
    pub(crate) ask: Arc<Ask>,
    pub(crate) retry_if: Option<RetryIf>,
}

impl Managed {
    /// Bytes of the budget the task declared.
    pub(crate) fn memory(&self) -> usize {
        self.ask.memory() as usize
    }

    /// Whether it holds anything while it runs.
    pub(crate) fn holds(&self) -> bool {
        !self.ask.demand.is_empty()
    }
}

/// Where a task comes from, and under which options it runs.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    /// The scope of the task that spawned it, unless it is detached.
    pub(crate) parent: Option<Arc<Scope>>,
    pub(crate) managed: Option<Arc<Managed>>,
}

impl Origin {
    /// Of a task without options that is spawned here.
    #[inline]
    pub(crate) fn here() -> Self {
        Self { parent: current_scope(), managed: None }
    }
}

/// What only some tasks have, most of them none of it, in an allocation of its own.
#[derive(Default)]
struct Side {
    managed: Option<Arc<Managed>>,
    /// Whether the parent's scope lists it.
    listed: AtomicBool,
    later: Mutex<Later>,
}

/// What comes while it runs.
#[derive(Default)]
struct Later {
    /// Of the async part, for cancel.
    abort: Option<Abort>,
    /// Of the tasks it spawns.
    scope: Option<Arc<Scope>>,
}

/// What a task's cell has besides.
pub(crate) struct TaskExtra {
    /// None before it is started.
    pool: Option<Arc<PoolShared>>,
    parent: Option<Arc<Scope>>,
    side: OnceBox<Side>,
}

impl TaskExtra {
    #[inline]
    fn new(pool: &Arc<PoolShared>, origin: Origin) -> Self {
        let Origin { parent, managed } = origin;
        let side = match managed {
            None => OnceBox::new(),
            managed => OnceBox::with_value(Box::new(Side { managed, ..Side::default() })),
        };
        Self { pool: Some(Arc::clone(pool)), parent, side }
    }

    fn pool(&self) -> &Arc<PoolShared> {
        match &self.pool {
            Some(pool) => pool,
            None => unreachable!("nobody has a task before it is started in a pool"),
        }
    }

    #[inline]
    fn managed(&self) -> Option<&Managed> {
        self.side.get()?.managed.as_deref()
    }

    /// Made when it is needed.
    fn side(&self) -> &Side {
        self.side.get_or_init(Box::default)
    }
}

/// A cell whose value a job will produce.
pub(crate) type TaskCell<T, J> = Core<Rest, Task, TaskExtra, Result<T>, J>;

type TaskClaim<T, J> = Claim<Rest, Task, TaskExtra, Result<T>, J>;

impl<T: Send + Sync + 'static, J: Job<T>> TaskCell<T, J> {
    /// Makes a task and registers it with what it depends on. Gives it back as the second part if it can be
    /// queued at once: then the caller has to do that.
    pub(crate) fn make(pool: &Arc<PoolShared>, origin: Origin, mut job: J) -> (Arc<Self>, Option<Task>) {
        let rest = Rest::new();
        pool.events().submitted(rest.number(), || job.info());
        let managed = origin.managed.is_some();
        let extra = TaskExtra::new(pool, origin);
        if !managed && !job.reads_refs() {
            let cell = Arc::new(Self::queued(rest, extra, job));
            let task = Arc::clone(&cell) as Task;
            return (cell, Some(task));
        }
        let (cell, failure) = Self::wired(rest, extra, job, Self::wire_up);
        Self::set_off(cell, failure)
    }

    /// The work of a call, not started. What it is to be started in is not known yet.
    pub(crate) fn of_call(job: J) -> Self {
        Self::unstarted(Rest::new(), TaskExtra { pool: None, parent: None, side: OnceBox::new() }, job)
    }

    /// Starts a cell of [`TaskCell::of_call`] that nobody else has, as [`TaskCell::make`] does.
    ///
    /// # Errors
    ///
    /// The cell, if others have it, too.
    pub(crate) fn start(
        mut cell: Arc<Self>,
        pool: &Arc<PoolShared>,
        origin: Origin,
    ) -> Result<(Arc<Self>, Option<Task>), Arc<Self>> {
        let Some(own) = Arc::get_mut(&mut cell) else { return Err(cell) };
        let (number, managed) = (own.head.rest.number(), origin.managed.is_some());
        own.extra = TaskExtra::new(pool, origin);
        let Some(job) = own.unstarted_job_mut() else { return Err(cell) };
        pool.events().submitted(number, || job.info());
        if !managed && !job.reads_refs() {
            own.start_queued();
            let task = Arc::clone(&cell) as Task;
            return Ok((cell, Some(task)));
        }
        let (cell, failure) = Self::start_wired(cell, Self::wire_up)?;
        Ok(Self::set_off(cell, failure))
    }

    /// Registers a task with what it depends on; the error of what has failed already.
    fn wire_up(cell: &Arc<Self>, job: &J) -> Option<Error> {
        let task = Arc::clone(cell) as Task;
        let mut failure = None;
        job.subscribe(&mut Subscriber(SubscriberKind::Task(&task, &mut failure)));
        failure
    }

    /// The rest of the making of a task that is registered with what it depends on.
    fn set_off(cell: Arc<Self>, failure: Option<Error>) -> (Arc<Self>, Option<Task>) {
        let (pool, managed) = (cell.extra.pool(), cell.options().is_some());
        let task = Arc::clone(&cell) as Task;
        if let Some(error) = failure {
            task.fail_unstarted(error);
            return (cell, None);
        }
        if managed || !cell.head.is_last() {
            cell.list();
            if let Some(stop) = cell.head.stop() {
                let own = Arc::clone(&cell);
                Arc::clone(&cell).end_unstarted(|info| own.stop_error(stop, info, false));
                return (cell, None);
            }
        }
        if let Some(managed) = cell.options() {
            let number = cell.head.rest.number();
            pool.spawned(number, managed, Arc::clone(&task));
            // Whoever has ended it meanwhile said so before the scheduler knew it.
            if cell.head.is_claimed() {
                pool.ended(number);
            }
        }
        // The hold that the word begins with has kept it from starting in between.
        if !cell.head.dependency_done() {
            return (cell, None);
        }
        if managed {
            task.ready();
            return (cell, None);
        }
        let queued = cell.head.queue();
        (cell, queued.then_some(task))
    }

    fn events(&self) -> &Arc<Hub> {
        self.extra.pool().events()
    }

    fn options(&self) -> Option<&Managed> {
        self.extra.managed()
    }

    /// Has the parent's scope list it, so that it is stopped with the parent.
    fn list(self: &Arc<Self>) {
        if let Some(parent) = &self.extra.parent
            && !self.extra.side().listed.swap(true, Ordering::AcqRel)
            && !parent.add(self.head.rest.number(), Arc::clone(self) as Task)
        {
            self.head.tell_to_stop(Stop::Cancelled);
        }
    }

    fn unlist(&self) {
        if let Some(parent) = &self.extra.parent
            && let Some(side) = self.extra.side.get()
            && side.listed.swap(false, Ordering::AcqRel)
        {
            parent.remove(self.head.rest.number());
        }
    }

    /// Why it is not to go on, if so.
    fn stopped(&self) -> Option<Stop> {
        let parent = || self.extra.parent.as_ref().is_some_and(|parent| parent.is_cancelled());
        self.head.stop().or_else(|| parent().then_some(Stop::Cancelled))
    }

    /// The error of a task that was told to stop.
    fn stop_error(&self, stop: Stop, info: TaskInfo, ran: bool) -> Error {
        let error = match stop {
            Stop::Cancelled if ran => Error::new(ErrorKind::Cancelled, "task", "was cancelled while it ran"),
            Stop::Cancelled => Error::new(ErrorKind::Cancelled, "task", "was cancelled"),
            Stop::Expired => {
                let deadline = self.options().and_then(|managed| managed.ask.deadline).unwrap_or_default();
                let how = if ran { "did not end" } else { "had not started" };
                Error::new(ErrorKind::DeadlineExceeded, "task", format!("{how} within {deadline:?}"))
                    .with_help("give it a later deadline, or a higher priority")
            }
            Stop::ShutDown => return shut_down(),
        };
        error.in_task(info)
    }

    /// Tells the scheduler that the task holds nothing any more.
    fn settle(&self) {
        if self.extra.managed().is_some() {
            self.extra.pool().ended(self.head.rest.number());
        }
        self.unlist();
    }

    /// Ends a task that has not started, with the error made of its name and call site.
    fn end_unstarted(self: Arc<Self>, error: impl FnOnce(TaskInfo) -> Error) -> bool {
        let Some((job, claim)) = Self::claim_unstarted(self) else { return false };
        claim.cell().settle();
        let info = job.info();
        let error = error(info.clone());
        claim.cell().events().never_ran(claim.cell().head.rest.number(), Some(info), &error);
        discard(job);
        announce(claim.complete(Err(error)));
        true
    }

    /// Makes an attempt; `number` counts from 1.
    fn attempt<K: Job<T>>(claim: TaskClaim<T, J>, job: K, number: u32) {
        let mut info = job.info();
        info.attempt = number;
        let cell = claim.cell();
        if let Some(stop) = cell.stopped() {
            return Self::not_begun(claim, job, info, stop);
        }
        let retries = cell.options().map_or(0, |managed| managed.ask.retries);
        let next = if number <= retries { job.again() } else { None };
        let begun = cell.events().begin(cell.head.rest.number(), &info);
        let here = Here { claim, info, state: RefCell::default() };
        // Nothing of ours is left half-changed by a panic here: the job is consumed.
        let started = run_as(&here, || catch_unwind(AssertUnwindSafe(|| job.run())));
        let Here { claim, info, .. } = here;
        match started {
            // The way of a tiny task: it has nothing that the scheduler or a scope is to be told of.
            Ok(Started::Done(result @ Ok(_))) if claim.cell().extra.side.get().is_none() => {
                let cell = claim.cell();
                cell.events().end(begun, cell.head.rest.number(), &info, &result);
                announce(claim.complete(result));
            }
            started => Self::leave(claim, Run { info, begun, next, number }, started),
        }
    }

    /// Ends a task that was told to stop before it began.
    #[cold]
    fn not_begun<K: Job<T>>(claim: TaskClaim<T, J>, job: K, info: TaskInfo, stop: Stop) {
        let cell = claim.cell();
        cell.settle();
        discard(job);
        let error = cell.stop_error(stop, info.clone(), false);
        cell.events().never_ran(cell.head.rest.number(), Some(info), &error);
        announce(claim.complete(Err(error)));
    }

    /// Goes on after the part of a job that runs at once.
    #[inline(never)]
    fn leave(claim: TaskClaim<T, J>, run: Run<T, Mark>, started: std::thread::Result<Started<T>>) {
        match started {
            Ok(Started::Future(future)) => Self::go_on(claim, run, future),
            Ok(Started::NotRun(error)) => Self::end(claim, run, Err(error)),
            Ok(Started::Done(result)) => Self::close(claim, run, Ok(result)),
            Err(payload) => Self::close(claim, run, Err(payload)),
        }
    }

    /// Ends an attempt: with another one, or with the outcome of the task.
    fn close<B: Begun>(
        claim: TaskClaim<T, J>,
        mut run: Run<T, B>,
        outcome: Result<Result<T>, Box<dyn Any + Send>>,
    ) {
        let cell = claim.cell();
        let mut result = finished(outcome, &run.info);
        if cell.head.stop() == Some(Stop::Expired) {
            // Whatever it gave came too late.
            let error = cell.stop_error(Stop::Expired, run.info.clone(), true);
            let given = std::mem::replace(&mut result, Err(error.clone()));
            match given {
                Err(last) if last.kind() != ErrorKind::DeadlineExceeded => {
                    result = Err(error.with_source(last));
                }
                given => discard(given),
            }
        }
        let next = run.next.take();
        if let (Err(error), Some(job)) = (&result, next)
            && cell.stopped().is_none()
            && cell.worth_another(error)
        {
            let id = cell.head.rest.number();
            if cell.extra.pool().failed(id) {
                let Run { info, begun, number, .. } = run;
                drop(begun.detach(cell.events(), id));
                cell.events().emit(|| EventKind::TaskRetried {
                    id,
                    name: Label::from(&info.name),
                    attempt: info.attempt,
                    error: error.clone(),
                });
                let (pool, cell) = (Arc::clone(cell.extra.pool()), Arc::clone(cell));
                let left = Mutex::new(Some((job, claim)));
                let again = Arc::new(Attempt { cell, left, number: number + 1 });
                return pool.tell(Event::Again { id, who: again });
            }
        }
        Self::end(claim, run, result);
    }

    /// Ends a task with its outcome.
    fn end<B: Begun>(claim: TaskClaim<T, J>, run: Run<T, B>, result: Result<T>) {
        let cell = claim.cell();
        cell.settle();
        run.begun.end(cell.events(), cell.head.rest.number(), &run.info, &result);
        announce(claim.complete(result));
    }

    /// Whether the user's predicate, if there is one, wants another attempt; not if it panics.
    fn worth_another(&self, error: &Error) -> bool {
        match self.options().and_then(|managed| managed.retry_if.as_ref()) {
            None => true,
            Some(retry_if) => catch_unwind(AssertUnwindSafe(|| retry_if(error))).unwrap_or(false),
        }
    }

    /// Goes on with a job's asynchronous part on the CPU runtime.
    fn go_on(claim: TaskClaim<T, J>, run: Run<T, Mark>, future: BoxFuture<'static, Result<T>>) {
        let cell = Arc::clone(claim.cell());
        cell.list();
        let number = cell.head.rest.number();
        let Run { info, begun, next, number: attempt } = run;
        let begun = begun.detach(cell.events(), number);
        let future = WithCurrent::new(Arc::clone(&cell) as Task, &info, future);
        // The guard completes the cell if the runtime drops the future, on abort or shutdown.
        let run = Run { info, begun, next, number: attempt };
        let guard = CompletionGuard { left: Some((claim, run)) };
        let abort = cell.extra.pool().spawn_future(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            guard.complete(outcome);
        });
        let mut later = cell.extra.side().later.lock();
        let abort = later.abort.insert(abort);
        // Who stops the task marks it and then looks for this; one of the two sees the other.
        if cell.stopped().is_some() {
            abort.abort();
        }
    }

    fn make_scope(&self) -> Arc<Scope> {
        let mut later = self.extra.side().later.lock();
        if let Some(scope) = &later.scope {
            return Arc::clone(scope);
        }
        let scope = Scope::below(self.extra.parent.as_ref());
        later.scope = Some(Arc::clone(&scope));
        drop(later);
        // Who stops the task marks it and then looks for the scope; one of the two sees the other.
        if self.head.stop().is_some() {
            scope.cancel();
        }
        scope
    }

    fn stop_all(self: Arc<Self>, stop: Stop) -> bool {
        if self.head.is_done() {
            return false;
        }
        self.head.tell_to_stop(stop);
        let stop = self.head.stop().unwrap_or(stop);
        let own = Arc::clone(&self);
        if !Arc::clone(&self).end_unstarted(|info| own.stop_error(stop, info, false)) {
            if self.extra.managed().is_some() {
                self.extra.pool().tell(Event::Cancelled { id: self.head.rest.number() });
            }
            if let Some(abort) = &self.extra.side().later.lock().abort {
                abort.abort();
            }
        }
        self.stop_children();
        true
    }

    fn stop_children(&self) {
        // Made here if need be: who makes the scope then finds the mark.
        let scope = self.extra.side().later.lock().scope.clone();
        if let Some(scope) = scope {
            scope.cancel();
        }
    }
}

/// An attempt on the thread that makes it.
struct Here<T: Send + Sync + 'static, J: Job<T>> {
    claim: TaskClaim<T, J>,
    info: TaskInfo,
    state: RefCell<State>,
}

impl<T: Send + Sync + 'static, J: Job<T>> Frame for Here<T, J> {
    fn runnable(&self) -> &dyn Runnable {
        &**self.claim.cell()
    }

    fn task(&self) -> Task {
        Arc::clone(self.claim.cell()) as Task
    }

    fn info(&self) -> &TaskInfo {
        &self.info
    }

    fn state(&self) -> &RefCell<State> {
        &self.state
    }
}

/// What is known of an attempt that has begun.
struct Run<T, B> {
    info: TaskInfo,
    begun: B,
    /// The job of the next attempt.
    next: Option<Box<dyn DynJob<T>>>,
    number: u32,
}

/// What events remember of an attempt until its end: on this thread, or no longer.
trait Begun {
    fn end<T>(self, events: &Arc<Hub>, id: u64, info: &TaskInfo, result: &Result<T>);
    fn detach(self, events: &Arc<Hub>, id: u64) -> Detached;
}

impl Begun for Mark {
    fn end<T>(self, events: &Arc<Hub>, id: u64, info: &TaskInfo, result: &Result<T>) {
        events.end(self, id, info, result);
    }

    fn detach(self, events: &Arc<Hub>, id: u64) -> Detached {
        events.detach(self, id)
    }
}

impl Begun for Detached {
    fn end<T>(self, events: &Arc<Hub>, id: u64, info: &TaskInfo, result: &Result<T>) {
        events.end_detached(self, id, info, result);
    }

    fn detach(self, _: &Arc<Hub>, _: u64) -> Detached {
        self
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
    left: Option<(TaskClaim<T, J>, Run<T, Detached>)>,
}

impl<T: Send + Sync + 'static, J: Job<T>> CompletionGuard<T, J> {
    fn complete(mut self, outcome: Result<Result<T>, Box<dyn Any + Send>>) {
        if let Some((claim, run)) = self.left.take() {
            TaskCell::<T, J>::close(claim, run, outcome);
        }
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Drop for CompletionGuard<T, J> {
    fn drop(&mut self) {
        if let Some((claim, run)) = self.left.take() {
            let stop = claim.cell().head.stop().unwrap_or(Stop::Cancelled);
            let error = claim.cell().stop_error(stop, run.info.clone(), true);
            TaskCell::<T, J>::end(claim, run, Err(error));
        }
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Runnable for TaskCell<T, J> {
    fn base(&self) -> &Base {
        &self.head
    }

    fn ready(self: Arc<Self>) {
        let pool = Arc::clone(self.extra.pool());
        if self.extra.managed().is_some() {
            let number = self.head.rest.number();
            pool.admit(number, self);
        } else {
            pool.push_if_waiting(self);
        }
    }

    fn queue(&self) -> bool {
        self.head.queue()
    }

    fn run(self: Arc<Self>) {
        let Some((job, claim)) = Self::claim(self) else { return };
        if claim.cell().extra.managed().is_none() {
            // It has begun; asynchronous work is listed again.
            claim.cell().unlist();
        }
        Self::attempt(claim, job, 1);
    }

    fn fail_unstarted(self: Arc<Self>, error: Error) {
        self.end_unstarted(|_| error);
    }

    fn stop(self: Arc<Self>, stop: Stop) -> bool {
        self.stop_all(stop)
    }

    fn is_stopped(&self) -> bool {
        self.stopped().is_some()
    }

    fn upstream(&self, visit: &mut dyn FnMut(Task)) {
        self.inspect(|job| job.subscribe(&mut Subscriber(SubscriberKind::Upstream(visit))));
    }

    fn managed(&self) -> Option<&Managed> {
        self.options()
    }

    fn name(&self) -> Option<String> {
        self.inspect(|job| job.info().name.into_owned())
    }

    fn pool(&self) -> &Arc<PoolShared> {
        self.extra.pool()
    }

    fn scope(&self) -> Arc<Scope> {
        self.make_scope()
    }
}

/// A job that has not begun, and the right to complete its cell.
type Left<T, J> = (Box<dyn DynJob<T>>, TaskClaim<T, J>);

/// The next attempt of a task: stands for it until it has begun.
struct Attempt<T: Send + Sync + 'static, J: Job<T>> {
    cell: Arc<TaskCell<T, J>>,
    left: Mutex<Option<Left<T, J>>>,
    number: u32,
}

impl<T: Send + Sync + 'static, J: Job<T>> Attempt<T, J> {
    fn end_unstarted(self: Arc<Self>, error: impl FnOnce(&TaskCell<T, J>, TaskInfo) -> Error) -> bool {
        let Some((job, claim)) = self.left.lock().take() else { return false };
        let mut info = job.info();
        info.attempt = self.number;
        let cell = Arc::clone(&self.cell);
        drop(self);
        cell.settle();
        discard(job);
        let error = error(&cell, info.clone());
        cell.events().never_ran(cell.head.rest.number(), Some(info), &error);
        drop(cell);
        announce(claim.complete(Err(error)));
        true
    }
}

impl<T: Send + Sync + 'static, J: Job<T>> Runnable for Attempt<T, J> {
    fn base(&self) -> &Base {
        &self.cell.head
    }

    fn ready(self: Arc<Self>) {
        let pool = Arc::clone(self.cell.extra.pool());
        pool.push_if_waiting(self);
    }

    fn queue(&self) -> bool {
        self.left.lock().is_some()
    }

    fn run(self: Arc<Self>) {
        let Some((job, claim)) = self.left.lock().take() else { return };
        let number = self.number;
        // Before anybody hears of the outcome: this holds the cell.
        drop(self);
        TaskCell::<T, J>::attempt(claim, Boxed(job), number);
    }

    fn fail_unstarted(self: Arc<Self>, error: Error) {
        self.end_unstarted(|_, _| error);
    }

    fn stop(self: Arc<Self>, stop: Stop) -> bool {
        self.cell.head.tell_to_stop(stop);
        let cell = Arc::clone(&self.cell);
        if !self.end_unstarted(|cell, info| cell.stop_error(cell.head.stop().unwrap_or(stop), info, false)) {
            return cell.stop_all(stop);
        }
        cell.stop_children();
        true
    }

    fn is_stopped(&self) -> bool {
        self.cell.stopped().is_some()
    }

    fn upstream(&self, _: &mut dyn FnMut(Task)) {}

    fn managed(&self) -> Option<&Managed> {
        self.cell.options()
    }

    fn name(&self) -> Option<String> {
        self.left.lock().as_ref().map(|(job, _)| job.info().name.into_owned())
    }

    fn pool(&self) -> &Arc<PoolShared> {
        self.cell.extra.pool()
    }

    fn scope(&self) -> Arc<Scope> {
        self.cell.make_scope()
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
        self.stop_all(Stop::Cancelled)
    }

    fn as_runnable(self: Arc<Self>) -> Option<Task> {
        if self.head.is_done() { None } else { Some(self) }
    }
}
