//! Scopes: which tasks a task has spawned, so that they are cancelled with it.
//!
//! ```text
//!   task ── its own scope ──> tasks that have not started, or run asynchronously
//!                        └──> scopes of the tasks it spawned ──> ...
//! ```
//!
//! A task gets a scope when it spawns its first task. Cancelling goes down the scopes in a loop: each is
//! marked, and what is listed in it is stopped. A task that needs no list, because it is queued as soon as
//! it is made, looks at the mark of the scope it was spawned in when it begins; running synchronous code
//! sees it through `task_is_cancelled`. Who adds to a scope and who cancels it are under one lock, so that
//! one of them sees the other. Nothing points upwards, and a list holds a task only until it has begun or
//! ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::cell::Task;

#[derive(Default)]
struct Listed {
    /// By the numbers of their cells.
    tasks: HashMap<u64, Task>,
    below: Vec<Weak<Scope>>,
    /// The scopes below are tidied when they are so many.
    tidy_at: usize,
}

/// See the header.
#[derive(Default)]
pub(crate) struct Scope {
    cancelled: AtomicBool,
    listed: Mutex<Listed>,
}

impl Scope {
    /// The scope of a task that was spawned in `parent`.
    pub(super) fn below(parent: Option<&Arc<Scope>>) -> Arc<Self> {
        let scope = Arc::new(Self::default());
        if let Some(parent) = parent {
            let mut listed = parent.listed.lock();
            if parent.is_cancelled() {
                scope.cancelled.store(true, Ordering::Release);
                return scope;
            }
            if listed.below.len() >= listed.tidy_at {
                listed.below.retain(|scope| scope.strong_count() > 0);
                listed.tidy_at = 2 * listed.below.len() + 16;
            }
            listed.below.push(Arc::downgrade(&scope));
        }
        scope
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Lists a task; false if the scope is cancelled, and so is the task then.
    pub(super) fn add(&self, number: u64, task: Task) -> bool {
        let mut listed = self.listed.lock();
        if self.is_cancelled() {
            return false;
        }
        listed.tasks.insert(number, task);
        true
    }

    pub(super) fn remove(&self, number: u64) {
        // Dropped outside the lock.
        let removed = self.listed.lock().tasks.remove(&number);
        drop(removed);
    }

    /// Cancels what was spawned in this scope and below.
    pub(super) fn cancel(self: &Arc<Self>) {
        let mut scopes = vec![Arc::clone(self)];
        while let Some(scope) = scopes.pop() {
            let listed = {
                let mut listed = scope.listed.lock();
                scope.cancelled.store(true, Ordering::Release);
                std::mem::take(&mut *listed)
            };
            scopes.extend(listed.below.iter().filter_map(Weak::upgrade));
            let mut tasks: Vec<(u64, Task)> = listed.tasks.into_iter().collect();
            tasks.sort_unstable_by_key(|(number, _)| *number);
            for (_, task) in tasks {
                task.stop(super::cell::Stop::Cancelled);
            }
        }
    }
}
