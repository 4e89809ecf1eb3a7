//! Tasks with a priority that may run: before the others if it is above 0, after them if it is below.
//!
//! Most engines have none, so workers look at a count before they take the lock. Every so many tasks a
//! worker looks elsewhere first, so that neither starves the rest.

use super::sync::{AtomicUsize, Mutex, Ordering};
use super::{Lineup, Task};

#[derive(Default)]
struct Line {
    count: AtomicUsize,
    lineup: Mutex<Lineup<Task>>,
}

/// See the header.
#[derive(Default)]
pub(super) struct Prioritised {
    urgent: Line,
    late: Line,
}

impl Prioritised {
    fn line(&self, urgent: bool) -> &Line {
        if urgent { &self.urgent } else { &self.late }
    }

    pub(super) fn push(&self, priority: i32, task: Task) {
        let line = self.line(priority > 0);
        let mut lineup = line.lineup.lock();
        lineup.push(priority, task);
        line.count.store(lineup.len(), Ordering::SeqCst);
    }

    /// The next one of those above 0, or of those below.
    pub(super) fn pop(&self, urgent: bool) -> Option<Task> {
        let line = self.line(urgent);
        if line.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut lineup = line.lineup.lock();
        let task = lineup.pop();
        line.count.store(lineup.len(), Ordering::SeqCst);
        task
    }

    pub(super) fn len(&self) -> usize {
        self.urgent.count.load(Ordering::Relaxed) + self.late.count.load(Ordering::Relaxed)
    }
}
