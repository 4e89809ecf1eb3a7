//! Which object goes first: GreedyDual-Size, in whose order cheap, large and cold objects leave early.
//!
//! Source: P. Cao and S. Irani, "Cost-Aware WWW Proxy Caching Algorithms", USITS 1997. Each object has a
//! worth, `floor + cost / size`, set when it is stored and at every use; the object of least worth is evicted,
//! and the floor rises to its worth. So an object that is not used sinks below those that are, the sooner
//! the less a byte of it costs to get back. Objects of equal worth go in the order of their last use.
//!
//! The cost is the time that eviction and the way back take, in nanoseconds: the least of
//!
//! - nothing but the way back, if a file was written before (stored objects never change);
//! - writing a file and reading it;
//! - for an object that can be computed again, computing it: then it is dropped and no file is written.
//!
//! Sizes count in powers of two, so that among objects of about one size the coldest goes first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Making, opening, mapping and removing a file.
const FILE: f64 = 60_000.0;
/// Writing a byte to the page cache, with its checksum.
const WRITE: f64 = 1.0;
/// Reading a mapped byte once, for its checksum.
const MAP: f64 = 0.3;
/// Building a byte of a value from its encoded form.
const DECODE: f64 = 3.0;
/// A recomputation needs threads and memory that others want, so it must be cheaper by this factor.
const RECOMPUTE: f64 = 4.0;

/// How an object leaves memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A file has it already.
    Forget,
    /// Into a file.
    Write,
    /// Nowhere: it will be computed again.
    Drop,
}

/// What is known of an object when its cost is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) bytes: usize,
    pub(super) has_file: bool,
    /// A value is decoded when it comes back, a partition is mapped.
    pub(super) is_value: bool,
    /// How long it took to compute, if that can be done again.
    pub(super) recompute: Option<Duration>,
}

impl Facts {
    /// The cheapest way out and back, and its cost in nanoseconds.
    pub(super) fn way(&self) -> (Way, f64) {
        let bytes = self.bytes as f64;
        let back = FILE + bytes * if self.is_value { DECODE } else { MAP };
        if self.has_file {
            return (Way::Forget, back);
        }
        let file = FILE + bytes * WRITE + back;
        match self.recompute {
            Some(time) if (time.as_nanos() as f64) * RECOMPUTE < file => (Way::Drop, time.as_nanos() as f64),
            _ => (Way::Write, file),
        }
    }
}

/// Worths are whole numbers of this part of a nanosecond a byte, so that sums are exact and ties are ties.
const UNIT: f64 = 1.0 / 1024.0;

/// The floor, which only rises.
#[derive(Debug, Default)]
pub(super) struct GreedyDual {
    floor: AtomicU64,
}

impl GreedyDual {
    /// The worth of an object used now.
    pub(super) fn worth(&self, facts: &Facts) -> u64 {
        let size = facts.bytes.max(1).next_power_of_two();
        let (_, cost) = Facts { bytes: size, ..*facts }.way();
        let own = (cost / size as f64 / UNIT) as u64;
        self.floor.load(Ordering::Relaxed).saturating_add(own)
    }

    /// An object of this worth was evicted.
    pub(super) fn evicted(&self, worth: u64) {
        self.floor.fetch_max(worth, Ordering::Relaxed);
    }
}

/// The worth and the last use of an object.
#[derive(Debug)]
pub(super) struct Rank {
    worth: AtomicU64,
    last_use: AtomicU64,
}

impl Rank {
    pub(super) fn new(worth: u64, now: u64) -> Self {
        Self { worth: AtomicU64::new(worth), last_use: AtomicU64::new(now) }
    }

    pub(super) fn touch(&self, worth: u64, now: u64) {
        self.worth.store(worth, Ordering::Relaxed);
        self.last_use.store(now, Ordering::Relaxed);
    }

    /// Worth first, then last use: the order of eviction.
    pub(super) fn get(&self) -> (u64, u64) {
        (self.worth.load(Ordering::Relaxed), self.last_use.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts(bytes: usize, recompute: Option<Duration>) -> Facts {
        Facts { bytes, has_file: false, is_value: false, recompute }
    }

    #[test]
    fn the_cheapest_way_out() {
        let micros = |us| Some(Duration::from_micros(us));
        let check = |facts: Facts, expect: Way| assert_eq!(facts.way().0, expect, "{facts:?}");
        check(facts(1 << 20, None), Way::Write);
        check(facts(1 << 20, micros(100)), Way::Drop);
        check(facts(1 << 20, micros(10_000)), Way::Write);
        check(facts(100 << 20, micros(10_000)), Way::Drop);
        check(Facts { has_file: true, ..facts(1 << 20, micros(1)) }, Way::Forget);
    }

    #[test]
    fn who_goes_first() {
        let policy = GreedyDual::default();
        let worth = |facts| policy.worth(&facts);
        let plain = facts(1 << 20, None);
        // Large before small, written before unwritten, cheap before dear.
        assert!(worth(facts(64 << 20, None)) < worth(plain));
        assert!(worth(Facts { has_file: true, ..plain }) < worth(plain));
        assert!(worth(Facts { is_value: true, ..plain }) > worth(plain));
        assert!(worth(facts(1 << 20, Some(Duration::from_micros(5)))) < worth(plain));
        assert_eq!(worth(facts((1 << 20) - 5000, None)), worth(plain), "about one size is one size");
        // A use after an eviction outweighs one before it.
        let before = worth(facts(1 << 10, None));
        policy.evicted(before);
        assert!(worth(plain) > before);
    }

    proptest! {
        /// Against the algorithm as the paper writes it, where an eviction lowers all worths instead.
        #[test]
        fn the_floor_stands_for_lowering_everyone(
            steps in prop::collection::vec((any::<bool>(), 0usize..12), 1..200),
        ) {
            let policy = GreedyDual::default();
            let mut ours: Vec<(usize, Rank)> = Vec::new();
            let mut paper: Vec<(usize, u64, u64)> = Vec::new();
            for (now, (evict, at)) in steps.into_iter().enumerate() {
                let now = now as u64;
                if evict {
                    let Some(mine) = (0..ours.len()).min_by_key(|&i| ours[i].1.get()) else { continue };
                    let theirs = (0..paper.len()).min_by_key(|&i| (paper[i].1, paper[i].2)).unwrap();
                    prop_assert_eq!(ours[mine].0, paper[theirs].0);
                    policy.evicted(ours.remove(mine).1.get().0);
                    let least = paper.remove(theirs).1;
                    paper.iter_mut().for_each(|(_, worth, _)| *worth -= least);
                } else if let Some(known) = ours.iter().position(|(id, _)| *id == at) {
                    let bytes = 1 << (at % 5 + 10);
                    ours[known].1.touch(policy.worth(&facts(bytes, None)), now);
                    let fresh = GreedyDual::default().worth(&facts(bytes, None));
                    paper[known] = (at, fresh, now);
                } else {
                    let bytes = 1 << (at % 5 + 10);
                    ours.push((at, Rank::new(policy.worth(&facts(bytes, None)), now)));
                    paper.push((at, GreedyDual::default().worth(&facts(bytes, None)), now));
                }
            }
        }
    }
}
