//! Numbers of the pool that were measured or chosen. Models (`tests/it/schedules`) have smaller ones, so that few
//! tasks reach what takes many here.

use std::time::Duration;

/// Spare threads beyond `workers` while tasks block.
pub(super) const MAX_SPARES: usize = 512;

/// Every so many tasks a worker takes the oldest task instead of its newest.
pub(super) const FAIR: u32 = 61;

/// Looks for work before sleeping; the first few without giving the processor away.
pub(super) const ROUNDS: usize = 64;
pub(super) const BUSY_ROUNDS: usize = 8;

/// A worker that was woken in vain, while others work, is away for so long before it can be woken again: a flood of
/// tasks that one worker keeps up with would otherwise wake another with every few of them, and a wake-up takes longer
/// than hundreds of tiny tasks. For the others it is as if it ran a task of this length.
pub(super) const NAP: Duration = Duration::from_micros(500);

/// A worker that keeps up with a flood from outside lets tasks gather before it looks again, the longer, the more often
/// it found several: to take each as it comes moves the cache lines of queue and task to and fro, which costs both sides
/// more than the tasks. One that finds a single task does not wait the next time. In turns of a loop that does nothing.
pub(super) const PAUSES: (u32, u32) = (8, 512);

/// A worker that is about as fast as who pushes never finds nothing, but ever fewer: a thief takes half. So if it could
/// not take so many more than one, so often in a row, and they took less than so long each, it lets tasks gather in the
/// same way. Slower ones must not wait for one another.
pub(super) const FEW: usize = 31;
pub(super) const OFTEN: u32 = 2;
pub(super) const TINY: Duration = Duration::from_nanos(500);

/// A thread outside gets a deque of its own with so many pushes: to list one costs as much as dozens of pushes.
pub(super) const SOON: u32 = 64;

/// So many tasks are in the deque of a thread outside, at most; it never gives room back, 16 bytes a task.
pub(super) const MOST: usize = 1 << 14;
