//! Pi by Monte Carlo, with streamed results: several endless streams of samples, read until the estimate is
//! good enough, then dropped, which stops their tasks.

use std::fmt;

use futures::StreamExt;
use futures::stream::select_all;
use trefoil::prelude::*;

/// Random points, as SplitMix64 (Steele, Lea and Flood, 2014) gives them.
struct Points(u64);

impl Points {
    /// A number from 0 up to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How many of so many points fall into the quarter of a circle, again and again.
#[task(stream, look_ahead = 4)]
fn hits(seed: u64, points: u64) -> impl Iterator<Item = u64> {
    let mut random = Points(seed.wrapping_mul(0xD134_2543_DE82_EF95));
    std::iter::repeat_with(move || {
        (0..points).filter(|_| random.unit().powi(2) + random.unit().powi(2) < 1.0).count() as u64
    })
}

/// The estimate.
pub struct Pi {
    pub estimate: f64,
    pub error: f64,
    pub points: u64,
}

/// Samples until the standard error is below `good_enough`.
pub fn run(engine: &Engine, good_enough: f64) -> trefoil::Result<Pi> {
    const POINTS: u64 = 2_000;
    let streams = (1..=engine.workers() as u64).map(|seed| engine.spawn_stream(hits(seed, POINTS)));
    let mut all = select_all(streams);
    engine.block_on(async {
        let mut pi = Pi { estimate: 0.0, error: f64::INFINITY, points: 0 };
        let mut inside = 0;
        while pi.error > good_enough {
            let Some(hits) = all.next().await else { break };
            inside += hits.await?;
            pi.points += POINTS;
            let share = inside as f64 / pi.points as f64;
            pi.estimate = 4.0 * share;
            pi.error = 4.0 * (share * (1.0 - share) / pi.points as f64).sqrt();
        }
        Ok(pi)
    })
}

impl fmt::Display for Pi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ± {:.4} after {} points", self.estimate, self.error, self.points)
    }
}
