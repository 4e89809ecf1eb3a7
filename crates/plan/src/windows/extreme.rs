//! The smallest or largest of a window: the end of a queue of values that only rise or fall (D. Lemire, "Streaming
//! maximum-minimum filter", 2006).

use std::cmp::Ordering;
use std::collections::VecDeque;

/// The smallest or largest value.
#[derive(Debug)]
pub(super) struct Extreme<T> {
    rows: Option<usize>,
    largest: bool,
    order: fn(&T, &T) -> Ordering,
    /// The rows and values that may become the best, the best first.
    queue: VecDeque<(usize, T)>,
    row: usize,
}

impl<T: Copy> Extreme<T> {
    pub(super) fn new(rows: Option<usize>, largest: bool, order: fn(&T, &T) -> Ordering) -> Self {
        Extreme { rows, largest, order, queue: VecDeque::new(), row: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, value: Option<T>) -> Option<T> {
        if let Some(rows) = self.rows {
            while self.queue.front().is_some_and(|(row, _)| row + rows <= self.row) {
                self.queue.pop_front();
            }
        }
        if let Some(value) = value {
            let beats = |old: &T| {
                let order = (self.order)(&value, old);
                if self.largest { order != Ordering::Less } else { order != Ordering::Greater }
            };
            while self.queue.back().is_some_and(|(_, old)| beats(old)) {
                self.queue.pop_back();
            }
            // of a window that nothing leaves only the best counts
            if self.rows.is_some() || self.queue.is_empty() {
                self.queue.push_back((self.row, value));
            }
        }
        self.row += 1;
        self.queue.front().map(|(_, value)| *value)
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.row = 0;
    }
}
