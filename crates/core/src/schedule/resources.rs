//! What an engine has of each resource, and what of a task's demand can never be met.
//!
//! Cpus and named resources are counted in steps of 1/10,000, so that fractions add up exactly; memory is
//! counted in bytes.

use std::borrow::Cow;

use super::demand::{CPUS, Demand, MEMORY, NAMED};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::format_bytes;

/// Steps of one cpu, or of one of a named resource.
const UNIT: f64 = 10_000.0;

/// What an engine has of each resource.
#[derive(Clone, Debug)]
pub(crate) struct Capacity {
    names: Vec<String>,
    amounts: Vec<u64>,
}

impl Capacity {
    /// `workers` cpus, `memory` bytes, and named resources, whose amounts were checked.
    pub(crate) fn new(workers: usize, memory: usize, named: &[(String, f64)]) -> Self {
        let mut capacity = Self {
            names: vec!["cpus".to_owned(), "memory".to_owned()],
            amounts: vec![workers as u64 * UNIT as u64, memory as u64],
        };
        for (name, amount) in named {
            capacity.names.push(name.clone());
            capacity.amounts.push((amount * UNIT).round() as u64);
        }
        capacity
    }

    /// The amounts by place.
    pub(crate) fn amounts(&self) -> &[u64] {
        &self.amounts
    }

    /// The name of the resource at a place.
    pub(crate) fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("?", String::as_str)
    }

    fn named(&self) -> &[String] {
        self.names.get(NAMED..).unwrap_or(&[])
    }

    /// The demand that these options stand for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for an amount that is no number from 0 up or more than there is, with
    /// the name of what is missing; [`ErrorKind::NotFound`] for a name that was not declared.
    pub(crate) fn demand(
        &self,
        cpus: f64,
        memory: usize,
        named: &[(Cow<'static, str>, f64)],
    ) -> Result<Demand> {
        let mut parts = Vec::new();
        let cpus = steps(cpus).ok_or_else(|| wrong(format!("{cpus} is no number of cpus")))?;
        let workers = self.amounts[CPUS];
        if cpus > workers {
            return Err(wrong(format!("{} cpus can never be granted", shown(cpus)))
                .with_help(format!("this engine has {} workers", shown(workers))));
        }
        parts.push((CPUS, cpus));
        if memory as u64 > self.amounts[MEMORY] {
            return Err(wrong(format!("{} of memory can never be granted", format_bytes(memory)))
                .with_help(format!("this engine has {}", format_bytes(self.amounts[MEMORY] as usize))));
        }
        parts.push((MEMORY, memory as u64));
        for (name, amount) in named {
            let Some(at) = self.named().iter().position(|known| known == name) else {
                return Err(Error::unknown(
                    ErrorKind::NotFound,
                    "resource",
                    "spawn".into(),
                    name,
                    self.named(),
                ));
            };
            let asked = steps(*amount)
                .ok_or_else(|| wrong(format!("{amount} is no amount of the resource `{name}`")))?;
            let has = self.amounts[NAMED + at];
            if asked > has {
                return Err(wrong(format!("{} of the resource `{name}` can never be granted", shown(asked)))
                    .with_help(format!("this engine has {}", shown(has))));
            }
            parts.push((NAMED + at, asked));
        }
        Ok(Demand::new(parts))
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, "spawn", message)
}

/// An amount in steps, if it is a number from 0 up. What is not nothing is at least one step.
fn steps(amount: f64) -> Option<u64> {
    if !amount.is_finite() || amount < 0.0 {
        return None;
    }
    // Too much for 64 bits becomes the most there is, which no engine has.
    let steps = (amount * UNIT).round() as u64;
    Some(if amount > 0.0 { steps.max(1) } else { 0 })
}

/// Steps as a number.
fn shown(steps: u64) -> f64 {
    steps as f64 / UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity() -> Capacity {
        Capacity::new(2, 1 << 20, &[("gpu".to_owned(), 1.0), ("licence".to_owned(), 2.5)])
    }

    #[test]
    fn demands_in_fixed_point() {
        let check = |cpus: f64, memory: usize, named: &[(&'static str, f64)], expect: &[(usize, u64)]| {
            let named: Vec<_> = named.iter().map(|(name, amount)| (Cow::Borrowed(*name), *amount)).collect();
            let demand = capacity().demand(cpus, memory, &named).unwrap();
            assert_eq!(demand.parts().collect::<Vec<_>>(), expect, "{cpus} {memory} {named:?}");
        };
        check(0.0, 0, &[], &[]);
        check(0.5, 0, &[], &[(0, 5000)]);
        check(0.1 + 0.2, 0, &[], &[(0, 3000)]);
        check(1e-9, 0, &[], &[(0, 1)]);
        check(
            2.0,
            1 << 20,
            &[("licence", 2.5), ("gpu", 0.25)],
            &[(0, 20000), (1, 1 << 20), (2, 2500), (3, 25000)],
        );
        check(0.0, 1, &[("gpu", 0.0)], &[(1, 1)]);
    }

    #[test]
    fn what_can_never_be_met_is_named() {
        let check = |cpus: f64, memory: usize, name: &'static str, amount: f64, expect: &str| {
            let error = capacity().demand(cpus, memory, &[(Cow::Borrowed(name), amount)]).unwrap_err();
            assert_eq!(error.to_string(), format!("spawn: {expect}"));
        };
        check(3.0, 0, "gpu", 0.0, "3 cpus can never be granted; this engine has 2 workers");
        check(2.0001, 0, "gpu", 0.0, "2.0001 cpus can never be granted; this engine has 2 workers");
        check(-1.0, 0, "gpu", 0.0, "-1 is no number of cpus");
        check(f64::NAN, 0, "gpu", 0.0, "NaN is no number of cpus");
        check(f64::INFINITY, 0, "gpu", 0.0, "inf is no number of cpus");
        check(0.0, 2 << 20, "gpu", 0.0, "2.0 MiB of memory can never be granted; this engine has 1.0 MiB");
        check(0.0, 0, "gpu", 1.5, "1.5 of the resource `gpu` can never be granted; this engine has 1");
        check(0.0, 0, "gpu", -0.5, "-0.5 is no amount of the resource `gpu`");
        check(0.0, 0, "gpus", 1.0, "no resource `gpus`; did you mean `gpu`? (resources: gpu, licence)");
        check(
            0.0,
            0,
            "gpu",
            1e300,
            "1844674407370955.2 of the resource `gpu` can never be granted; this engine has 1",
        );
        let none = Capacity::new(1, 0, &[]).demand(0.0, 0, &[("tpu".into(), 1.0)]).unwrap_err();
        assert_eq!(none.to_string(), "spawn: no resource `tpu`; there are no resources here");
        assert_eq!(none.kind(), ErrorKind::NotFound);
    }
}
