//! Admission of tasks that declare cpus: a pure state machine, events in, grants out.
//!
//! ```text
//!   request ──fits──> granted ──release──> free
//!      └──does not──> waiting (first come, first served) ──release of others──> granted
//! ```
//!
//! Cpus are counted in thousandths, so fractions add up exactly. A task that blocks on a ref gives its cpus
//! back for the time (`release`) and takes them again without asking (`reclaim`), as a blocked task uses
//! none; only then may more be granted than there are.

mod backoff;

use std::collections::VecDeque;

pub use backoff::Backoff;

/// Who may run, given declared cpus.
#[derive(Debug)]
pub(crate) struct CpuGate<W> {
    free: i64,
    waiting: VecDeque<(u32, W)>,
}

impl<W> CpuGate<W> {
    pub(crate) fn new(workers: usize) -> Self {
        Self { free: workers as i64 * 1000, waiting: VecDeque::new() }
    }

    /// Asks for `milli` thousandths; gives the asker back if it may run now.
    pub(crate) fn request(&mut self, milli: u32, asker: W) -> Option<W> {
        if self.waiting.is_empty() && i64::from(milli) <= self.free {
            self.free -= i64::from(milli);
            return Some(asker);
        }
        self.waiting.push_back((milli, asker));
        None
    }

    /// Gives `milli` thousandths back; returns who may run now.
    pub(crate) fn release(&mut self, milli: u32) -> Vec<W> {
        self.free += i64::from(milli);
        let mut granted = Vec::new();
        while let Some((need, _)) = self.waiting.front() {
            if i64::from(*need) > self.free {
                break;
            }
            self.free -= i64::from(*need);
            granted.extend(self.waiting.pop_front().map(|(_, asker)| asker));
        }
        granted
    }

    /// Takes cpus back that a blocked task had given.
    pub(crate) fn reclaim(&mut self, milli: u32) {
        self.free -= i64::from(milli);
    }

    /// Everyone still waiting, for shutdown.
    pub(crate) fn drain(&mut self) -> Vec<W> {
        self.waiting.drain(..).map(|(_, asker)| asker).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_come_first_served() {
        let mut gate = CpuGate::new(1);
        assert_eq!(gate.request(600, 'a'), Some('a'));
        assert_eq!(gate.request(600, 'b'), None);
        assert_eq!(gate.request(100, 'c'), None, "c may not overtake b");
        assert_eq!(gate.release(600), vec!['b', 'c']);
    }

    proptest! {
        /// Random requests and releases: never more granted than there is, and everyone runs in the end.
        #[test]
        fn never_over_committed(needs in prop::collection::vec(0u32..=2000, 1..60), seed in any::<u64>()) {
            let mut gate = CpuGate::new(2);
            let mut running: Vec<u32> = Vec::new();
            let mut done = 0;
            let mut dice = seed;
            for need in &needs {
                running.extend(gate.request(*need, *need));
                prop_assert!(running.iter().sum::<u32>() <= 2000);
                dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                if dice >> 63 == 1 && !running.is_empty() {
                    let ended = running.swap_remove((dice >> 33) as usize % running.len());
                    done += 1;
                    running.extend(gate.release(ended));
                    prop_assert!(running.iter().sum::<u32>() <= 2000);
                }
            }
            while let Some(ended) = running.pop() {
                done += 1;
                running.extend(gate.release(ended));
                prop_assert!(running.iter().sum::<u32>() <= 2000);
            }
            prop_assert_eq!(done, needs.len());
        }
    }
}
