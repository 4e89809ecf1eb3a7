//! Who comes next among those that wait: by priority, and by time, so that nobody waits for ever.
//!
//! Whoever comes gets a number. A step of priority is worth `STEP` numbers: a task overtakes those of one
//! priority less that came up to `STEP` before it, and nobody else. So the order is that of
//! `number - STEP * priority`, which does not change while one waits: whatever its priority, only so many
//! can come later and still go first. That is ageing without a clock.

use std::collections::BTreeMap;

/// How many later arrivals one step of priority outweighs.
pub(crate) const STEP: i128 = 1000;

/// A place in the order: the smaller comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Turn(i128, u64);

impl Turn {
    /// The turn of the `number`th that came.
    pub(crate) fn new(number: u64, priority: i32) -> Self {
        Self(i128::from(number) - STEP * i128::from(priority), number)
    }
}

/// Those that wait for one thing.
#[derive(Debug)]
pub(crate) struct Lineup<W> {
    came: u64,
    waiting: BTreeMap<Turn, W>,
}

impl<W> Default for Lineup<W> {
    fn default() -> Self {
        Self { came: 0, waiting: BTreeMap::new() }
    }
}

impl<W> Lineup<W> {
    pub(crate) fn push(&mut self, priority: i32, who: W) {
        self.came += 1;
        self.waiting.insert(Turn::new(self.came, priority), who);
    }

    /// The next one.
    pub(crate) fn pop(&mut self) -> Option<W> {
        self.waiting.pop_first().map(|(_, who)| who)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_priority_then_by_arrival() {
        let check = |priorities: &[i32], expect: &[usize]| {
            let mut lineup = Lineup::default();
            priorities.iter().enumerate().for_each(|(at, priority)| lineup.push(*priority, at));
            assert_eq!(std::iter::from_fn(|| lineup.pop()).collect::<Vec<_>>(), expect, "{priorities:?}");
        };
        check(&[], &[]);
        check(&[0, 0, 0], &[0, 1, 2]);
        check(&[-1, 5, 0, 5], &[1, 3, 2, 0]);
        check(&[i32::MIN, i32::MAX], &[1, 0]);
    }

    proptest! {
        /// However many come later with a higher priority: only so many go first.
        #[test]
        fn nobody_waits_for_ever(behind in 0i32..3, steps in 1i32..4) {
            let mut lineup = Lineup::default();
            lineup.push(behind, 0u64);
            let mut overtaken = 0;
            for later in 1u64.. {
                lineup.push(behind + steps, later);
                if lineup.pop() == Some(0) {
                    break;
                }
                overtaken += 1;
            }
            prop_assert_eq!(overtaken, STEP as u64 * steps as u64 - 1);
        }
    }
}
