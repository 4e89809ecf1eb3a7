//! What a task asks for, in fixed point: amounts by place.
//!
//! Place 0 is cpus, place 1 memory, the rest are the named resources in the order of their declaration.

use std::sync::Arc;

pub(crate) const CPUS: usize = 0;
pub(crate) const MEMORY: usize = 1;
/// The first of the named ones.
pub(super) const NAMED: usize = 2;

/// What a task holds while it runs: places and amounts, without zeros, in the order of places. Tasks of one
/// kind ask alike and share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Demand(Arc<[(usize, u64)]>);

impl Demand {
    /// Of amounts by place, each place once.
    pub(crate) fn new(mut parts: Vec<(usize, u64)>) -> Self {
        parts.retain(|(_, amount)| *amount > 0);
        parts.sort_unstable();
        Self(parts.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied()
    }

    pub(crate) fn amount(&self, place: usize) -> u64 {
        self.parts().find(|(at, _)| *at == place).map_or(0, |(_, amount)| amount)
    }
}
