//! Amounts of resources, exact in steps of 1/10,000.

use std::collections::BTreeMap;
use std::fmt;

use trefoil_core::{Error, ErrorKind, Result};

/// Ten-thousandths of each resource; none is 0.
pub(super) type Amounts = BTreeMap<String, u64>;

/// The name under which cpus are counted.
pub(super) const CPUS: &str = "cpus";

const STEPS: f64 = 10_000.0;

/// Amounts of resources: what a node has, what a gang asks of one node, what a task takes of its bundle.
///
/// Names mean nothing to trefoil; `cpus` is one of them. Amounts count in steps of 1/10,000.
///
/// # Examples
///
/// ```
/// use trefoil_tasks::placement::Bundle;
///
/// let bundle = Bundle::cpus(2.0).with("gpu", 0.5);
/// assert_eq!(bundle.amount("gpu"), 0.5);
/// assert_eq!(bundle.to_string(), "{cpus: 2, gpu: 0.5}");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundle(BTreeMap<String, f64>);

impl Bundle {
    /// Nothing: what asks for nothing fits everywhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many cpus.
    pub fn cpus(count: f64) -> Self {
        Self::new().with(CPUS, count)
    }

    /// And so much of a resource. Given twice, the last amount counts.
    #[must_use]
    pub fn with(mut self, resource: impl Into<String>, amount: f64) -> Self {
        self.0.insert(resource.into(), amount);
        self
    }

    /// The amount of a resource, 0 if it is not named.
    pub fn amount(&self, resource: &str) -> f64 {
        self.0.get(resource).copied().unwrap_or(0.0)
    }

    pub(super) fn counted(&self) -> Result<Amounts> {
        let mut amounts = Amounts::new();
        for (name, amount) in &self.0 {
            let steps = (amount * STEPS).round();
            if !steps.is_finite() || !(0.0..=1e18).contains(&steps) {
                let message = format!("{amount} is no amount of `{name}`");
                return Err(Error::new(ErrorKind::InvalidArgument, "placement", message)
                    .with_help("give a finite number from 0 up"));
            }
            if steps > 0.0 {
                amounts.insert(name.clone(), steps as u64);
            }
        }
        Ok(amounts)
    }

    pub(super) fn of(amounts: &Amounts) -> Self {
        Self(amounts.iter().map(|(name, steps)| (name.clone(), *steps as f64 / STEPS)).collect())
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(name, amount)| format!("{name}: {amount}")).collect();
        write!(f, "{{{}}}", parts.join(", "))
    }
}

/// Whether `need` is within `free`.
pub(super) fn fits(need: &Amounts, free: &Amounts) -> bool {
    need.iter().all(|(name, amount)| free.get(name).copied().unwrap_or(0) >= *amount)
}

/// Takes `need`, which fits, from `free`.
pub(super) fn take(need: &Amounts, free: &mut Amounts) {
    for (name, amount) in need {
        if let Some(left) = free.get_mut(name) {
            *left = left.saturating_sub(*amount);
        }
    }
}

/// Gives back what was taken.
pub(super) fn give(need: &Amounts, free: &mut Amounts) {
    for (name, amount) in need {
        if let Some(left) = free.get_mut(name) {
            *left += amount;
        }
    }
}
