//! A bounded queue that overwrites its oldest entries and counts them, so that no reader is misled.
//!
//! Entries are numbered from 0 in the order they came. A reader keeps the number it wants next (its
//! *cursor*); what was overwritten before it came is told to it as a count. Any number of readers may read
//! the same ring, and none of them holds the writer up.

use std::collections::VecDeque;

/// The last `capacity` of the entries that were pushed.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    entries: VecDeque<T>,
    capacity: usize,
    /// How many were pushed since the start: the number of the next entry.
    written: u64,
}

impl<T: Clone> Ring<T> {
    /// An empty ring for `capacity` entries, at least one. Memory is taken as it fills.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1), written: 0 }
    }

    /// Adds an entry; gives the oldest back if there was no room.
    pub(crate) fn push(&mut self, entry: T) -> Option<T> {
        let oldest = if self.entries.len() == self.capacity { self.entries.pop_front() } else { None };
        self.entries.push_back(entry);
        self.written += 1;
        oldest
    }

    /// The number of the next entry.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How many entries were overwritten.
    pub(crate) fn overwritten(&self) -> u64 {
        self.written - self.entries.len() as u64
    }

    /// Appends up to `most` entries from `cursor` on, moves the cursor past them, and returns how many at
    /// the cursor were overwritten before.
    pub(crate) fn read(&self, cursor: &mut u64, most: usize, into: &mut Vec<T>) -> u64 {
        let oldest = self.overwritten();
        let lost = oldest.saturating_sub(*cursor);
        *cursor = (*cursor).max(oldest);
        let skip = usize::try_from(*cursor - oldest).unwrap_or(usize::MAX);
        let before = into.len();
        into.extend(self.entries.iter().skip(skip).take(most).cloned());
        *cursor += (into.len() - before) as u64;
        lost
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u16),
        Read { reader: usize, most: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<u16>().prop_map(Step::Push),
            (0..3usize, 0..6usize).prop_map(|(reader, most)| Step::Read { reader, most }),
        ]
    }

    proptest! {
        /// Beside a list that keeps everything: every reader sees each entry once and in order, or is told
        /// that it was lost, and only entries that the capacity could not hold are lost.
        #[test]
        fn reads_like_a_list_that_keeps_everything(
            capacity in 1..7usize,
            steps in prop::collection::vec(step(), 0..120),
        ) {
            let mut ring = Ring::new(capacity);
            let mut all: Vec<u16> = Vec::new();
            let mut cursors = [0u64; 3];
            let mut positions = [0usize; 3];
            for step in steps {
                match step {
                    Step::Push(value) => {
                        let oldest = ring.push(value);
                        all.push(value);
                        let gone = all.len().checked_sub(capacity + 1);
                        prop_assert_eq!(oldest, gone.map(|at| all[at]));
                    }
                    Step::Read { reader, most } => {
                        let mut read = Vec::new();
                        let lost = ring.read(&mut cursors[reader], most, &mut read);
                        let first_kept = all.len().saturating_sub(capacity);
                        let expect_lost = first_kept.saturating_sub(positions[reader]);
                        prop_assert_eq!(lost, expect_lost as u64);
                        positions[reader] += expect_lost;
                        let end = (positions[reader] + most).min(all.len());
                        prop_assert_eq!(&read, &all[positions[reader]..end]);
                        positions[reader] = end;
                    }
                }
                prop_assert_eq!(ring.written(), all.len() as u64);
                prop_assert_eq!(ring.overwritten(), all.len().saturating_sub(capacity) as u64);
            }
        }
    }
}
