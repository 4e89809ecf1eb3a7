//! The tasks running on a thread: whose children are spawned, who is asked to stop, who waits.
//!
//! Innermost last, because a task that waits for another may run it inside. The tasks of asynchronous work
//! are there while it is polled.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;

use super::cell::Task;
use super::scope::Scope;
use crate::error::{Result, TaskInfo};
use crate::runtime::{Home, Wait};
use crate::schedule::TaskId;

struct Current {
    task: Task,
    info: TaskInfo,
    /// Of the tasks it spawns, once it has spawned one.
    scope: Option<Arc<Scope>>,
    /// What it waits for, while it does, and whether that has been noted.
    awaited: Option<Task>,
    noted: bool,
    /// It blocks and has lent its cpus to others.
    lent: bool,
}

thread_local! {
    static CURRENT: RefCell<Vec<Current>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct CurrentTask;

impl CurrentTask {
    pub(super) fn enter(task: Task, info: &TaskInfo) -> Self {
        let info = info.clone();
        CURRENT.with_borrow_mut(|stack| {
            stack.push(Current { task, info, scope: None, awaited: None, noted: false, lent: false });
        });
        Self
    }
}

impl Drop for CurrentTask {
    fn drop(&mut self) {
        let ended = CURRENT.with_borrow_mut(Vec::pop);
        drop(ended);
    }
}

/// A future that is polled as part of a task.
pub(super) struct WithCurrent<T> {
    task: Task,
    info: TaskInfo,
    future: BoxFuture<'static, Result<T>>,
}

impl<T> WithCurrent<T> {
    pub(super) fn new(task: Task, info: &TaskInfo, future: BoxFuture<'static, Result<T>>) -> Self {
        Self { task, info: info.clone(), future }
    }
}

impl<T> Future for WithCurrent<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let _current = CurrentTask::enter(Arc::clone(&self.task), &self.info);
        self.future.as_mut().poll(context)
    }
}

/// The scope of the tasks that the task running on this thread spawns.
pub(crate) fn current_scope() -> Option<Arc<Scope>> {
    let known = CURRENT.try_with(|stack| {
        let stack = stack.try_borrow().ok()?;
        let current = stack.last()?;
        Some(current.scope.clone().ok_or_else(|| Arc::clone(&current.task)))
    });
    match known.ok().flatten()? {
        Ok(scope) => Some(scope),
        Err(task) => {
            // Not under the borrow: this may cancel what is in the scope.
            let scope = task.scope();
            CURRENT.with_borrow_mut(|stack| {
                if let Some(current) = stack.last_mut() {
                    current.scope = Some(Arc::clone(&scope));
                }
            });
            Some(scope)
        }
    }
}

/// The engine of the task running on this thread, which need not be that of the thread.
pub(crate) fn current_task_home() -> Option<Arc<Home>> {
    let home = |stack: &RefCell<Vec<Current>>| {
        stack.borrow().last().map(|current| Arc::clone(current.task.pool().home()))
    };
    CURRENT.try_with(home).ok().flatten()
}

/// Whether the task running on this thread was asked to stop.
pub(crate) fn current_task_cancelled() -> bool {
    CURRENT.with_borrow(|stack| stack.last().is_some_and(|current| current.task.is_stopped()))
}

/// Whether a task runs on this thread.
pub(crate) fn in_task() -> bool {
    CURRENT.with_borrow(|stack| !stack.is_empty())
}

/// Marks the innermost task of this thread as waiting; [`AwaitingMark`] ends it.
pub(crate) struct AwaitingMark;

impl AwaitingMark {
    /// None outside tasks, and if the innermost task waits already.
    pub(crate) fn enter(awaited: Task) -> Option<Self> {
        CURRENT.with_borrow_mut(|stack| {
            let current = stack.last_mut().filter(|current| current.awaited.is_none())?;
            current.awaited = Some(awaited);
            Some(Self)
        })
    }

    /// Notes what the tasks on this thread wait for, before it parks.
    ///
    /// # Errors
    ///
    /// `Deadlock` if the innermost could never go on.
    pub(crate) fn note(&self) -> Result<()> {
        let (waits, last) = CURRENT.with_borrow_mut(|stack| {
            let last = stack.last().map(|current| Arc::clone(&current.task));
            let mut waits: Vec<(TaskId, Wait)> = Vec::new();
            for current in stack.iter_mut().filter(|current| !current.noted) {
                if let Some(awaited) = &current.awaited {
                    current.noted = true;
                    let wait = Wait { name: current.info.name.to_string(), awaited: Arc::clone(awaited) };
                    waits.push((current.task.base().rest.number(), wait));
                }
            }
            (waits, last)
        });
        match last {
            Some(last) => last.pool().note_waits(waits, &last),
            None => Ok(()),
        }
    }
}

impl Drop for AwaitingMark {
    fn drop(&mut self) {
        let ended = CURRENT.with_borrow_mut(|stack| {
            let current = stack.last_mut()?;
            let awaited = current.awaited.take();
            let noted = std::mem::take(&mut current.noted);
            Some((awaited, noted.then(|| Arc::clone(&current.task))))
        });
        if let Some((_, Some(task))) = &ended {
            task.pool().forget_wait(task.base().rest.number());
        }
        drop(ended);
    }
}

/// Lends the cpus of all tasks on this thread, which is about to block, to others. Those that hold something
/// else only say that they block: the scheduler keeps nothing from others then.
pub(crate) fn lend_cpus() {
    let lending: Vec<Task> = CURRENT.with_borrow_mut(|stack| {
        let holds =
            |current: &&mut Current| !current.lent && current.task.managed().is_some_and(|m| m.holds());
        stack
            .iter_mut()
            .filter(holds)
            .map(|current| {
                current.lent = true;
                Arc::clone(&current.task)
            })
            .collect()
    });
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
    let lent = CURRENT.with_borrow_mut(|stack| {
        let current = stack.last_mut().filter(|current| current.lent)?;
        current.lent = false;
        Some(Arc::clone(&current.task))
    });
    if let Some(task) = lent {
        task.pool().take_cpus_back(task.base().rest.number());
    }
}
