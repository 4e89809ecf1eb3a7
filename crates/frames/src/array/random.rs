//! Random numbers by position: element `i` (in C order) of a random array is a function of
//! the seed and `i` alone.
//!
//! So the numbers depend neither on scheduling nor on the number of workers, and, unlike a
//! stream per chunk, not on the chunking either: rechunking a random array and asking for
//! other chunks in the first place give the same values. The function is SplitMix64 (Steele,
//! Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014), whose state
//! after `i` steps is known without taking them. Not for cryptography.

use std::convert::Infallible;

use rand::TryRng;
use rand_distr::{Distribution, StandardNormal};

use crate::Seed;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The stream of one element: its first number is the element's own, more are drawn when a
/// distribution rejects.
pub(crate) struct ElementRng {
    state: u64,
}

impl ElementRng {
    pub fn new(seed: Seed, element: u64) -> Self {
        // Seeds are mixed first: the streams of seeds 1 and 2 must not be shifted copies.
        let key = mix(seed.value().wrapping_add(GOLDEN));
        ElementRng { state: key.wrapping_add(element.wrapping_mul(GOLDEN)) }
    }

    fn next(&mut self) -> u64 {
        let value = mix(self.state.wrapping_add(GOLDEN));
        self.state = mix(value ^ GOLDEN.rotate_left(17));
        value
    }
}

impl TryRng for ElementRng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for part in dst.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
        Ok(())
    }
}

/// Uniform in `[0, 1)`, with all 53 bits.
pub(crate) fn uniform(seed: Seed, element: u64) -> f64 {
    (ElementRng::new(seed, element).next() >> 11) as f64 / (1u64 << 53) as f64
}

/// Normal with mean 0 and standard deviation 1.
pub(crate) fn normal(seed: Seed, element: u64) -> f64 {
    StandardNormal.sample(&mut ElementRng::new(seed, element))
}
