//! The one way to name a source of randomness: the same seed draws the same numbers and rows.

/// A seed of random draws; made by [`seed`] or from a `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The number inside.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl From<u64> for Seed {
    fn from(value: u64) -> Self {
        Seed(value)
    }
}

/// A seed: `seed(7)` draws the same numbers every time, on every machine and partitioning.
pub fn seed(value: u64) -> Seed {
    Seed(value)
}
