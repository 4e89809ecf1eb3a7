//! Who runs a node of a graph, whether it is done, and whether somebody waits: four bits a node.
//!
//! ```text
//!   claimed   \ one word for 32 nodes: whoever sets a bit runs the node, so no node runs twice;
//!   left      / a lane came by when it was not ready
//!   done      \ one word for the same 32 nodes, both halves changed together:
//!   watched   / whoever marks a node done learns in the same step whether a node left behind waits for it
//! ```
//!
//! A node may be watched until it is done, and whoever finishes it sees that; whoever comes later learns that it is
//! done. So no one waits for a node whose end nobody tells. As nodes are marked 32 at a time, fast nodes cost next
//! to no atomic operations, and the marks of ten million nodes fit in a cache.

use std::sync::atomic::{AtomicU64, Ordering};

/// Nodes in a word.
pub(super) const GROUP: u32 = 32;

/// The bit of a node in the words of its group.
#[inline]
pub(super) fn bit(node: u32) -> u32 {
    1 << (node % GROUP)
}

/// A bit in the upper half of a word.
#[inline]
fn upper(node: u32) -> u64 {
    u64::from(bit(node)) << 32
}

pub(super) struct Marks {
    /// Claimed in the lower half, left in the upper one.
    claims: Vec<AtomicU64>,
    /// Done in the lower half, watched in the upper one.
    states: Vec<AtomicU64>,
}

impl Marks {
    pub(super) fn new(nodes: usize) -> Self {
        let words = || (0..nodes.div_ceil(GROUP as usize)).map(|_| AtomicU64::new(0)).collect();
        Self { claims: words(), states: words() }
    }

    /// Claims these nodes of a group: the ones that nobody else has.
    #[inline]
    pub(super) fn claim(&self, group: u32, wanted: u32) -> u32 {
        let before = self.claims[group as usize].fetch_or(u64::from(wanted), Ordering::AcqRel);
        wanted & !(before as u32)
    }

    /// Gives nodes back that were claimed and not begun.
    #[inline]
    pub(super) fn release(&self, group: u32, nodes: u32) {
        self.claims[group as usize].fetch_and(!u64::from(nodes), Ordering::AcqRel);
    }

    /// Leaves a node behind that is not ready, unless it is claimed: whether it was left. Its predecessors are to be
    /// watched then.
    #[inline]
    pub(super) fn leave(&self, node: u32) -> bool {
        let before = self.claims[(node / GROUP) as usize].fetch_or(upper(node), Ordering::AcqRel);
        before & u64::from(bit(node)) == 0
    }

    /// Whether a node was left behind, and is not claimed.
    #[inline]
    pub(super) fn is_left(&self, node: u32) -> bool {
        let marks = self.claims[(node / GROUP) as usize].load(Ordering::Acquire);
        marks & (upper(node) | u64::from(bit(node))) == upper(node)
    }

    #[inline]
    pub(super) fn is_claimed(&self, node: u32) -> bool {
        self.claims[(node / GROUP) as usize].load(Ordering::Acquire) & u64::from(bit(node)) != 0
    }

    /// Whether a node is done; then what it wrote is seen.
    #[inline]
    pub(super) fn is_done(&self, node: u32) -> bool {
        self.states[(node / GROUP) as usize].load(Ordering::Acquire) & u64::from(bit(node)) != 0
    }

    /// Up to where all nodes are done, at most `end`, if all before `begin` are; both at the begin of a group, or lower.
    #[inline]
    pub(super) fn done_from(&self, begin: u32, end: u32) -> u32 {
        let full = |group: &u32| self.states[*group as usize].load(Ordering::Acquire) as u32 == u32::MAX;
        let groups = begin / GROUP..end / GROUP;
        groups.clone().find(|group| !full(group)).unwrap_or(groups.end.max(begin / GROUP)) * GROUP
    }

    /// Asks to be told of the end of a node, unless it is done: whether it is.
    ///
    /// Always a change, even where the bit is set: what the caller did before has to be seen by whoever finishes the
    /// node.
    #[inline]
    pub(super) fn watch(&self, node: u32) -> bool {
        let before = self.states[(node / GROUP) as usize].fetch_or(upper(node), Ordering::AcqRel);
        before & u64::from(bit(node)) != 0
    }

    /// Marks nodes of a group as done: those somebody has asked for.
    #[inline]
    pub(super) fn finish(&self, group: u32, nodes: u32) -> u32 {
        let before = self.states[group as usize].fetch_or(u64::from(nodes), Ordering::AcqRel);
        (before >> 32) as u32 & nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_claimed_once_and_their_ends_told_once() {
        let marks = Marks::new(40);
        assert_eq!(marks.claim(0, 0b1110), 0b1110);
        assert_eq!(marks.claim(0, 0b0111), 0b0001);
        marks.release(0, 0b0100);
        assert!(marks.is_claimed(1) && !marks.is_claimed(2));
        assert!(marks.leave(2) && marks.is_left(2) && !marks.leave(1) && !marks.is_left(1));
        assert_eq!(marks.claim(0, 0b1111), 0b0100);
        assert!(!marks.watch(1) && !marks.watch(33));
        assert_eq!(marks.finish(0, 0b0110), 0b0010);
        assert!(!marks.is_left(2));
        assert!(marks.is_done(1) && marks.is_done(2) && !marks.is_done(3) && !marks.is_done(33));
        assert!(marks.watch(2));
        assert_eq!(marks.done_from(0, 40), 0);
        marks.finish(0, u32::MAX);
        assert_eq!((marks.done_from(0, 31), marks.done_from(0, 40), marks.done_from(32, 8)), (0, 32, 32));
        assert_eq!(marks.finish(1, 0b11), 0b10);
    }
}
