//! A supervised rate limiter: an actor with a bucket of tokens that crashes now and then.
//!
//! Its supervisor makes a fresh one, which goes on from the last checkpoint, so no token is given twice. The
//! call that crashed is run again; callers notice nothing. Ticks come by hand here; in a service,
//! `limiter.every(period, |me| me.tick())` sends them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use trefoil::Checkpoint;
use trefoil::prelude::*;

struct Limiter {
    tokens: u32,
    most: u32,
    /// Crashes when it gets to 0; shared, so that a fresh limiter does not crash at the same place.
    fuse: Arc<AtomicU32>,
}

#[actor]
impl Limiter {
    /// A token, if there is one.
    pub fn take(&mut self) -> bool {
        let burnt = self.fuse.fetch_sub(1, Ordering::SeqCst) == 1;
        assert!(!burnt, "a bug that shows once in a while");
        let granted = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        granted
    }

    /// One more token, up to the most there may be.
    pub fn tick(&mut self) {
        self.tokens = (self.tokens + 1).min(self.most);
    }
}

impl Checkpoint for Limiter {
    type Saved = u32;

    fn checkpoint(&self) -> u32 {
        self.tokens
    }

    fn restore(&mut self, tokens: &u32) {
        self.tokens = *tokens;
    }
}

/// What happened.
pub struct Limited {
    /// Requests granted in each round.
    pub granted: Vec<usize>,
    pub restarts: u32,
}

/// Six rounds of four requests against two new tokens each; the limiter crashes in the third round.
pub fn run(engine: &Engine) -> trefoil::Result<Limited> {
    let fuse = Arc::new(AtomicU32::new(10));
    let limiter = engine
        .actor_fn(move || Limiter { tokens: 3, most: 3, fuse: Arc::clone(&fuse) })
        .name("limiter")
        .max_restarts(5)
        .max_call_retries(1)
        .checkpoint_every(1)
        .on_restart(|restart| eprintln!("limiter restarts: {}", restart.error))
        .spawn()?;
    let mut granted = Vec::new();
    for _ in 0..6 {
        let requests: Vec<Ref<bool>> = (0..4).map(|_| limiter.take()).collect();
        let answers = engine.block_on(engine.gather(requests))?;
        granted.push(answers.iter().filter(|granted| **granted).count());
        for tick in [limiter.tick(), limiter.tick()] {
            tick.get()?;
        }
    }
    Ok(Limited { granted, restarts: limiter.restarts() })
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "granted of 4 in each round: {:?}; restarts: {}", self.granted, self.restarts)
    }
}
