//! The engine's budget as DataFusion's memory pool.
//!
//! Operators of a query and stored partitions take their bytes from one counter. When an operator asks
//! for more than is free, the budget first spills cold stored partitions; only if that is not enough is the
//! operator refused, and then it spills by itself (sort, aggregate, sort-merge join) or the query fails
//! with the largest consumers named.
//!
//! First come, first served would let a few sorts take everything, and the next one, with nothing to spill
//! yet, fail. So when more than half of the budget is taken, an operator that can spill gets at most its
//! share of three quarters of it. The last quarter is for those that cannot. Nothing here waits for another task, so it is safe inside `poll`.
//!
//! Operators hold more than they ask for. A hash join copies its gathered batches into one; an aggregate
//! gives its account back before the groups it handed out are gone; batches between operators and pages
//! being decoded are in nobody's account. So nothing is granted unless a quarter of what all operators hold
//! is free beside it, and for a hash join as much again as it has gathered.
//!
//! What runs out of memory nevertheless is planned again with a [`BudgetPool::frugal`], in which sorts hold little. That is for what is beside them:
//! sorts of ours foresee what a run takes. DataFusion's, which sort what ours cannot encode, merge the batches they hold, and copy
//! the keys of all of them for that; so there they spill so early that a run can be sorted at once.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use trefoil_core::{Budget, format_bytes};

/// A [`MemoryPool`] over the engine's [`Budget`].
pub(crate) struct BudgetPool {
    budget: Budget,
    counts: Arc<Counts>,
    /// The most that a sort of DataFusion's holds, if sorts are bounded besides.
    run: Option<usize>,
}

/// What the pools of one budget count together.
#[derive(Default)]
struct Counts {
    /// Operators running now that can spill.
    spillers: AtomicUsize,
    /// What all operators hold.
    held: AtomicUsize,
}

/// In a frugal pool a sort of DataFusion's holds at most this much: it is sorted in one go, in which it cannot be cancelled.
const RUN: usize = 4 << 20;
/// The part of the budget that all sorts of ours have there.
const RUNS: usize = 8;

impl BudgetPool {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, counts: Arc::default(), run: None }
    }

    /// The same, for a plan that is to need little at a time.
    pub(crate) fn frugal(&self) -> Self {
        let run = (self.budget.limit() / 16).min(RUN);
        Self { budget: self.budget.clone(), counts: Arc::clone(&self.counts), run: Some(run) }
    }

    /// What is to be free besides, when an operator grows.
    fn unaccounted(&self, reservation: &MemoryReservation, additional: usize) -> usize {
        let copied = match reservation.consumer().name().starts_with("HashJoinInput") {
            true => reservation.size(),
            false => 0,
        };
        copied + self.counts.held.load(Ordering::Relaxed).saturating_add(additional) / UNACCOUNTED
    }

    /// Whether an operator that can spill should do so instead of growing.
    fn over_its_share(&self, reservation: &MemoryReservation, additional: usize) -> bool {
        let limit = self.budget.limit();
        let consumer = reservation.consumer();
        let spillers = self.counts.spillers.load(Ordering::Relaxed).max(1);
        let share = if let Some(run) = self.run.filter(|_| consumer.name().starts_with("ExternalSorter[")) {
            run / spillers
        } else if self.run.is_some() && consumer.name().starts_with("RunSort[") {
            limit / RUNS / spillers
        } else if self.budget.reserved().saturating_add(additional) <= limit / 2 {
            return false;
        } else if is_spiller(consumer) {
            limit / 4 * 3 / spillers
        } else if consumer.can_spill() {
            limit / 32
        } else {
            return false;
        };
        // What has nothing yet could only fail.
        reservation.size() > 0 && reservation.size().saturating_add(additional) > share
    }
}

/// Operators hold about one part in so many more than they account for.
const UNACCOUNTED: usize = 4;

/// A repartition can spill, but holds little and has very many consumers.
fn is_spiller(consumer: &MemoryConsumer) -> bool {
    consumer.can_spill() && !consumer.name().starts_with("RepartitionExec")
}

/// Operators number their consumers by partition (`HashJoinInput[3]`); people want the operator.
fn account(reservation: &MemoryReservation) -> &str {
    let name = reservation.consumer().name();
    name.split('[').next().unwrap_or(name).trim_end()
}

impl MemoryPool for BudgetPool {
    fn name(&self) -> &str {
        "trefoil"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if is_spiller(consumer) {
            self.counts.spillers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if is_spiller(consumer) {
            self.counts.spillers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.counts.held.fetch_add(additional, Ordering::Relaxed);
        self.budget.grow(account(reservation), additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.budget.shrink(account(reservation), shrink);
        self.counts.held.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        // Operators that can spill recognise exactly this variant.
        if self.over_its_share(reservation, additional) {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} asked for {} more than its {}, which is over its share of {}",
                account(reservation),
                format_bytes(additional),
                format_bytes(reservation.size()),
                format_bytes(self.budget.limit()),
            )));
        }
        let free = self.unaccounted(reservation, additional);
        self.budget
            .try_grow_beside(account(reservation), additional, free)
            .map_err(|error| DataFusionError::ResourcesExhausted(error.message().to_owned()))?;
        self.counts.held.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.budget.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.budget.limit())
    }
}

impl fmt::Debug for BudgetPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.budget)
    }
}

impl fmt::Display for BudgetPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(pool: &Arc<dyn MemoryPool>, name: &str) -> MemoryReservation {
        MemoryConsumer::new(name).with_can_spill(!name.ends_with("Merge[0]")).register(pool)
    }

    /// How much a lone operator is granted, in steps of a sixty-fourth of the budget.
    fn granted(pool: &Arc<dyn MemoryPool>, name: &str) -> usize {
        let operator = consumer(pool, name);
        let step = pool_limit(pool) / 64;
        (0..64).take_while(|_| operator.try_grow(step).is_ok()).count()
    }

    fn pool_limit(pool: &Arc<dyn MemoryPool>) -> usize {
        match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit,
            _ => 0,
        }
    }

    #[test]
    fn a_frugal_pool_has_sorts_spill_early_and_leaves_others_alone() {
        let usual = BudgetPool::new(Budget::new(64 << 20));
        let frugal: Arc<dyn MemoryPool> = Arc::new(usual.frugal());
        let usual: Arc<dyn MemoryPool> = Arc::new(usual);
        let check = |name: &str, expect: [usize; 2]| {
            assert_eq!([granted(&usual, name), granted(&frugal, name)], expect, "{name}");
        };
        check("ExternalSorter[0]", [48, 4]);
        check("ExternalSorterMerge[0]", [51, 51]);
        check("RunSort[0]", [48, 8]);
        check("GroupedHashAggregateStream[0] (count(1))", [48, 48]);
        check("RepartitionExec[0]", [32, 32]);
        // Hash joins copy what they have gathered.
        check("HashJoinInput[0]", [28, 28]);
        assert_eq!(usual.reserved(), 0);
    }

    #[test]
    fn sorters_share_what_a_frugal_pool_gives() {
        let pool = BudgetPool::new(Budget::new(64 << 20));
        let frugal: Arc<dyn MemoryPool> = Arc::new(pool.frugal());
        let other = consumer(&frugal, "ExternalSorter[1]");
        assert_eq!(granted(&frugal, "ExternalSorter[0]"), 2);
        drop(other);
        assert_eq!(granted(&frugal, "ExternalSorter[0]"), 4);
        // What has nothing yet is not refused.
        let first = consumer(&frugal, "ExternalSorter[2]");
        assert!(first.try_grow(8 << 20).is_ok());
        assert!(first.try_grow(1).is_err());
    }
}
