//! How long to wait before each further attempt.

use std::time::Duration;

/// Pauses between attempts: `initial`, then `factor` times the pause before, at most `max`.
///
/// With a jitter seed, each pause is between half of that and all of it, so that tasks which failed together
/// do not come back together ("equal jitter": Brooker, *Exponential Backoff and Jitter*, 2015). The draw is
/// a function of the seed, the task and the attempt, hence repeatable.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use trefoil_core::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(100)).factor(3.0).max(Duration::from_millis(500));
/// let pauses: Vec<u128> = (1..=4).map(|retry| backoff.pause(retry, 0).as_millis()).collect();
/// assert_eq!(pauses, [100, 300, 500, 500]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The pause before the first retry.
    pub initial: Duration,
    /// What the pause grows by from retry to retry. Default 2; less than 1 or no number counts as 1.
    pub factor: f64,
    /// The longest pause. Default one minute.
    pub max: Duration,
    /// The seed of the jitter; none by default.
    pub jitter: Option<u64>,
}

impl Backoff {
    /// Pauses from `initial` on, doubling up to one minute, without jitter.
    pub fn new(initial: Duration) -> Self {
        Self { initial, factor: 2.0, max: Duration::from_secs(60), jitter: None }
    }

    /// What the pause grows by from retry to retry.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The longest pause.
    #[must_use]
    pub fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// Shortens each pause at random, by up to half.
    #[must_use]
    pub fn jitter(mut self, seed: u64) -> Self {
        self.jitter = Some(seed);
        self
    }

    /// The pause before retry number `retry` (from 1) of the task with this number.
    pub fn pause(&self, retry: u32, task: u64) -> Duration {
        let factor = if self.factor >= 1.0 { self.factor } else { 1.0 };
        // In floating point, a pause too long for a duration is infinite and becomes the longest.
        let grown = self.initial.as_secs_f64() * factor.powf(f64::from(retry.saturating_sub(1)));
        let pause = if grown >= self.max.as_secs_f64() {
            self.max
        } else {
            Duration::try_from_secs_f64(grown).unwrap_or(self.max)
        };
        match self.jitter {
            None => pause,
            Some(seed) => {
                let draw = mix(seed ^ mix(task ^ mix(u64::from(retry))));
                pause.mul_f64(0.5 + 0.5 * (draw >> 11) as f64 / (1u64 << 53) as f64)
            }
        }
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): a bijection that
/// spreads every bit, for numbers drawn from a seed.
///
/// ```
/// use trefoil_core::mix;
///
/// assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
/// assert_ne!(mix(1) >> 32, mix(2) >> 32);
/// ```
pub fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        let ms = Duration::from_millis;
        let check = |backoff: Backoff, expect: &[u64]| {
            let found: Vec<Duration> =
                (1..=expect.len() as u32).map(|retry| backoff.pause(retry, 7)).collect();
            assert_eq!(found, expect.iter().map(|n| ms(*n)).collect::<Vec<_>>(), "{backoff:?}");
        };
        check(Backoff::new(ms(10)), &[10, 20, 40, 80]);
        check(Backoff::new(ms(10)).factor(1.0), &[10, 10, 10]);
        check(Backoff::new(ms(10)).factor(0.1), &[10, 10]);
        check(Backoff::new(ms(10)).factor(f64::NAN), &[10, 10]);
        check(Backoff::new(ms(10)).factor(f64::INFINITY), &[10, 60_000]);
        check(Backoff::new(ms(10)).max(ms(15)), &[10, 15, 15]);
        check(Backoff::new(Duration::ZERO), &[0, 0, 0]);
        assert_eq!(Backoff::new(ms(1)).pause(u32::MAX, 0), Duration::from_secs(60));
        assert_eq!(Backoff::new(Duration::MAX).max(Duration::MAX).pause(9, 0), Duration::MAX);
    }

    #[test]
    fn jitter_is_repeatable_and_stays_in_the_upper_half() {
        let backoff = Backoff::new(Duration::from_secs(1)).factor(1.0).jitter(3);
        let mut distinct = std::collections::BTreeSet::new();
        for task in 0..100 {
            let pause = backoff.pause(1, task);
            assert_eq!(pause, backoff.pause(1, task));
            assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&pause));
            distinct.insert(pause);
        }
        assert!(distinct.len() > 90, "tasks of one backoff draw different pauses");
    }
}
