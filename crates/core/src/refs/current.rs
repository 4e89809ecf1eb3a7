//! The tasks running on a thread: whose children are spawned, who is asked to stop, who waits.
//!
//! Innermost last, because a task that waits for another may run it inside. The tasks of asynchronous work
//! are there while it is polled.

use std::borrow::Cow;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use scoped_tls_hkt::scoped_thread_local;

use super::cell::{Runnable, Task};
use super::scope::Scope;
use crate::error::{Result, TaskInfo};
use crate::runtime::{Home, Wait};
use crate::schedule::TaskId;

/// A task while a thread runs it, on the stack of that thread: a tiny task has no time for more.
pub(super) trait Frame {
    fn runnable(&self) -> &dyn Runnable;
    /// One more handle of the task.
    fn task(&self) -> Task;
    fn info(&self) -> &TaskInfo;
    fn state(&self) -> &RefCell<State>;
}

/// What happens to a task while a thread runs it.
#[derive(Default)]
pub(super) struct State {
    /// Of the tasks it spawns, once it has spawned one.
    scope: Option<Arc<Scope>>,
    /// What it waits for, while it does, and whether that has been noted.
    awaited: Option<Task>,
    noted: bool,
    /// It blocks and has lent its cpus to others.
    lent: bool,
}

/// A task of this thread that waits while another runs above it.
struct Below {
    task: Task,
    name: Cow<'static, str>,
    state: State,
}

scoped_thread_local!(static INNERMOST: dyn Frame);

thread_local! {
    static BELOW: RefCell<Vec<Below>> = const { RefCell::new(Vec::new()) };
}

fn innermost<R>(look: impl FnOnce(&(dyn Frame + 'static)) -> R) -> Option<R> {
    INNERMOST.is_set().then(|| INNERMOST.with(look))
}

/// Runs a part of a task.
#[inline]
pub(super) fn run_as<R>(frame: &(dyn Frame + 'static), work: impl FnOnce() -> R) -> R {
    let _below = Lowered::enter();
    INNERMOST.set(frame, work)
}

/// Keeps the innermost task among those below until it is that again.
struct Lowered;

impl Lowered {
    #[inline]
    fn enter() -> Option<Self> {
        if INNERMOST.is_set() { Self::lower() } else { None }
    }

    #[cold]
    fn lower() -> Option<Self> {
        innermost(|frame| {
            let (task, name, state) = (frame.task(), frame.info().name.clone(), frame.state().take());
            BELOW.with_borrow_mut(|below| below.push(Below { task, name, state }));
            Self
        })
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        if let Some(Below { task, state, .. }) = BELOW.with_borrow_mut(Vec::pop) {
            innermost(|frame| frame.state().replace(state));
            drop(task);
        }
    }
}

/// A future that is polled as part of a task.
pub(super) struct WithCurrent<T> {
    polled: Polled,
    future: BoxFuture<'static, Result<T>>,
}

struct Polled {
    task: Task,
    info: TaskInfo,
    state: RefCell<State>,
}

impl Frame for Polled {
    fn runnable(&self) -> &dyn Runnable {
        &*self.task
    }

    fn task(&self) -> Task {
        Arc::clone(&self.task)
    }

    fn info(&self) -> &TaskInfo {
        &self.info
    }

    fn state(&self) -> &RefCell<State> {
        &self.state
    }
}

impl<T> WithCurrent<T> {
    pub(super) fn new(task: Task, info: &TaskInfo, future: BoxFuture<'static, Result<T>>) -> Self {
        Self { polled: Polled { task, info: info.clone(), state: RefCell::default() }, future }
    }
}

impl<T> Future for WithCurrent<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { polled, future } = &mut *self;
        run_as(polled, || future.as_mut().poll(context))
    }
}

/// The scope of the tasks that the task running on this thread spawns.
#[inline]
pub(crate) fn current_scope() -> Option<Arc<Scope>> {
    if INNERMOST.is_set() { scope_of_innermost() } else { None }
}

fn scope_of_innermost() -> Option<Arc<Scope>> {
    innermost(|frame| {
        let known = frame.state().borrow().scope.clone();
        known.unwrap_or_else(|| {
            // Not under the borrow: this may cancel what is in the scope.
            let scope = frame.task().scope();
            frame.state().borrow_mut().scope = Some(Arc::clone(&scope));
            scope
        })
    })
}

/// The engine of the task running on this thread, which need not be that of the thread.
pub(crate) fn current_task_home() -> Option<Arc<Home>> {
    innermost(|frame| Arc::clone(frame.runnable().pool().home()))
}

/// Whether the task running on this thread was asked to stop.
pub(crate) fn current_task_cancelled() -> bool {
    innermost(|frame| frame.runnable().is_stopped()).unwrap_or(false)
}

/// Whether a task runs on this thread.
pub(crate) fn in_task() -> bool {
    INNERMOST.is_set()
}

/// Marks the innermost task of this thread as waiting; [`AwaitingMark`] ends it.
pub(crate) struct AwaitingMark;

impl AwaitingMark {
    /// None outside tasks, and if the innermost task waits already.
    pub(crate) fn enter(awaited: Task) -> Option<Self> {
        let waits = innermost(|frame| {
            let mut state = frame.state().borrow_mut();
            let first = state.awaited.is_none();
            if first {
                state.awaited = Some(awaited);
            }
            first
        });
        waits.unwrap_or(false).then_some(Self)
    }

    /// Notes what the tasks on this thread wait for, before it parks.
    ///
    /// # Errors
    ///
    /// `Deadlock` if the innermost could never go on.
    pub(crate) fn note(&self) -> Result<()> {
        let mut waits: Vec<(TaskId, Wait)> = Vec::new();
        let mut note = |task: &dyn Runnable, name: &str, state: &mut State| {
            if let Some(awaited) = state.awaited.as_ref().filter(|_| !state.noted) {
                let wait = Wait { name: name.to_owned(), awaited: Arc::clone(awaited) };
                waits.push((task.base().rest.number(), wait));
                state.noted = true;
            }
        };
        BELOW.with_borrow_mut(|below| {
            below.iter_mut().for_each(|Below { task, name, state }| note(&**task, name, state));
        });
        let last = innermost(|frame| {
            note(frame.runnable(), &frame.info().name, &mut frame.state().borrow_mut());
            frame.task()
        });
        match last {
            Some(last) => last.pool().note_waits(waits, &last),
            None => Ok(()),
        }
    }
}

impl Drop for AwaitingMark {
    fn drop(&mut self) {
        innermost(|frame| {
            let (awaited, noted) = {
                let mut state = frame.state().borrow_mut();
                (state.awaited.take(), std::mem::take(&mut state.noted))
            };
            if noted {
                frame.runnable().pool().forget_wait(frame.runnable().base().rest.number());
            }
            drop(awaited);
        });
    }
}

/// Lends the cpus of all tasks on this thread, which is about to block, to others. Those that hold something
/// else only say that they block: the scheduler keeps nothing from others then.
pub(crate) fn lend_cpus() {
    let lends = |task: &dyn Runnable, state: &mut State| {
        let lends = !state.lent && task.managed().is_some_and(|managed| managed.holds());
        state.lent |= lends;
        lends
    };
    let mut lending: Vec<Task> = BELOW.with_borrow_mut(|below| {
        let lending = below
            .iter_mut()
            .filter_map(|Below { task, state, .. }| lends(&**task, state).then(|| Arc::clone(task)));
        lending.collect()
    });
    lending.extend(
        innermost(|frame| lends(frame.runnable(), &mut frame.state().borrow_mut()).then(|| frame.task()))
            .flatten(),
    );
    for task in lending {
        task.pool().lend_cpus(task.base().rest.number());
    }
}

/// Takes the cpus of the innermost task back at the end of a wait, however it ends.
pub(crate) struct CpusBack;

impl Drop for CpusBack {
    fn drop(&mut self) {
        take_cpus_back();
    }
}

/// Waits until the innermost task has the cpus back that it lent.
pub(crate) fn take_cpus_back() {
    innermost(|frame| {
        if std::mem::take(&mut frame.state().borrow_mut().lent) {
            frame.runnable().pool().take_cpus_back(frame.runnable().base().rest.number());
        }
    });
}
