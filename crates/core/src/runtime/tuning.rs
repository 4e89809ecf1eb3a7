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
