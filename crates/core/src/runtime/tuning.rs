//! Numbers of the pool that were measured or chosen. Models (`tests/it/schedules`) have smaller ones, so that few
//! tasks reach what takes many here.

/// Spare threads beyond `workers` while tasks block.
pub(super) const MAX_SPARES: usize = 512;

/// Every so many tasks a worker takes the oldest task instead of its newest.
pub(super) const FAIR: u32 = 61;

/// Looks for work before sleeping; the first few without giving the processor away.
pub(super) const ROUNDS: usize = 64;
pub(super) const BUSY_ROUNDS: usize = 8;
