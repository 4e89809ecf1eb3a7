//! The engine's budget as DataFusion's memory pool.
//!
//! Operators of a query and stored partitions take their bytes from one counter. When an operator asks
//! for more than is free, the budget first spills cold stored partitions; only if that is not enough is the
//! operator refused, and then it spills by itself (sort, aggregate, sort-merge join) or the query fails
//! with the largest consumers named. Nothing here waits for another task, so it is safe inside `poll`.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use std::fmt;
use trefoil_core::Budget;

/// A [`MemoryPool`] over the engine's [`Budget`].
pub(crate) struct BudgetPool(Budget);

impl BudgetPool {
    pub(crate) fn new(budget: Budget) -> Self {
        Self(budget)
    }
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

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.0.grow(account(reservation), additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.0.shrink(account(reservation), shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        // Operators that can spill recognise exactly this variant.
        self.0
            .try_grow(account(reservation), additional)
            .map_err(|error| DataFusionError::ResourcesExhausted(error.message().to_owned()))
    }

    fn reserved(&self) -> usize {
        self.0.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.0.limit())
    }
}

impl fmt::Debug for BudgetPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for BudgetPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
