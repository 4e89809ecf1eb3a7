//! A little memory that an operator gets whatever others hold.
//!
//! An operator that spills still needs some memory to go on: a table of groups, a run of rows, two batches of two files. If others hold all of
//! the budget, and wait for it, nobody would end. So what stays under a floor is not refused; past the budget, if need be. And what takes as much as
//! it gets, but could do with less, has a ceiling.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use trefoil_core::format_bytes;

/// The floor, and the part of the budget that it is at most.
const FLOOR: (usize, usize) = (256 << 10, 64);

/// The pool of one operator in one partition.
#[derive(Debug)]
pub(crate) struct Floor {
    pool: Arc<dyn MemoryPool>,
    least: usize,
    most: usize,
    /// What is held through this one.
    held: AtomicUsize,
}

impl Floor {
    /// What an operator registers with instead of `pool`.
    pub(crate) fn under(pool: &Arc<dyn MemoryPool>) -> Arc<dyn MemoryPool> {
        Self::and_ceiling(pool, usize::MAX)
    }

    /// The same, for what gets so much at most.
    pub(crate) fn and_ceiling(pool: &Arc<dyn MemoryPool>, most: usize) -> Arc<dyn MemoryPool> {
        let (floor, part) = FLOOR;
        let least = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => floor.min(limit / part),
            _ => floor,
        };
        Arc::new(Self { pool: Arc::clone(pool), least, most, held: AtomicUsize::new(0) })
    }
}

impl MemoryPool for Floor {
    fn name(&self) -> &str {
        self.pool.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.pool.grow(reservation, additional);
        self.held.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.held.fetch_sub(shrink, Ordering::Relaxed);
        self.pool.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let held = self.held.load(Ordering::Relaxed).saturating_add(additional);
        if held > self.most.max(self.least) {
            let (account, most) = (reservation.consumer().name(), format_bytes(self.most));
            let refused = format!("{account} asked for {} and gets {most}", format_bytes(held));
            return Err(DataFusionError::ResourcesExhausted(refused));
        }
        match self.pool.try_grow(reservation, additional) {
            Err(DataFusionError::ResourcesExhausted(_)) if held <= self.least => {
                self.pool.grow(reservation, additional);
            }
            granted => granted?,
        }
        self.held.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.pool.memory_limit()
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    #[test]
    fn what_others_hold_leaves_a_little() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
        let other = MemoryConsumer::new("other").register(&pool);
        let floor = Floor::under(&pool);
        let (run, merge) =
            (MemoryConsumer::new("run").register(&floor), MemoryConsumer::new("merge").register(&floor));
        // A 64th is 16 KiB, of all consumers together; nothing else is granted while others have all.
        assert!(run.try_grow(1 << 20).is_ok());
        run.free();
        other.grow(1 << 20);
        assert!(run.try_grow(10 << 10).is_ok());
        assert!(merge.try_grow(7 << 10).is_err());
        assert!(merge.try_grow(6 << 10).is_ok());
        assert!(run.try_grow(1).is_err());
        run.free();
        assert!(merge.try_grow(10 << 10).is_ok());
        other.free();
        assert!(run.try_grow(1 << 19).is_ok());
        let least = Floor::and_ceiling(&pool, 64 << 10);
        let capped = MemoryConsumer::new("capped").register(&least);
        assert!(capped.try_grow(64 << 10).is_ok());
        assert!(capped.try_grow(1).is_err());
        drop((run, merge, capped));
        assert_eq!((floor.reserved(), pool.reserved()), (0, 0));
    }
}
