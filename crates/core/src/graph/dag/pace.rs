//! How long a lane works, waits and holds. Only speed hangs on it: no promise does.

use std::time::{Duration, Instant};

/// How long a lane works before it lets others go first.
pub(super) const SLICE: Duration = Duration::from_micros(500);
/// Nodes between two looks at the clock and at who has stopped the run, at first and at most; they should take about
/// [`LOOK`].
const BETWEEN_LOOKS: (u32, u32) = (16, 1024);
const LOOK: Duration = Duration::from_micros(10);
/// Nodes of a look by nodes claimed at once, and the most of those: what is claimed waits for the node before it, so it
/// must not take long, and if it does, not much should wait. In a row the next node waits anyway.
const CLAIMS: (u32, u32) = (16, 8);
const CLAIMS_IN_ROWS: (u32, u32) = (4, 32);
/// Nodes of a look if they are slow: then what it costs to find the next one counts for little.
const SLOW: u32 = 8;
/// How long a lane that met a node that is not ready waits for it before it goes on behind it: so long, another lane
/// may just be about to get there. To leave a node behind costs more than to run a few.
const HOLD: Duration = Duration::from_micros(10);
/// How long a lane leaves a block that has just become ready to whoever made it so, and how long it goes on waiting for
/// one block after the other.
const COURTESY: Duration = Duration::from_nanos(500);
const PATIENCE: Duration = Duration::from_micros(100);
/// How long a lane that found nothing ready in a block waits before it takes the next one. Without it, a lane would go
/// through the whole graph as soon as another is held up, and leave all nodes behind.
const BARREN: Duration = Duration::from_micros(20);
/// The pauses of a lane that takes from others, and what it should get for one.
const PAUSES: (Duration, Duration) = (Duration::from_nanos(250), Duration::from_micros(4));

/// The pace of one lane.
pub(super) struct Pace {
    /// Whether time decides nothing, because the order is to be repeated.
    timeless: bool,
    /// Whether blocks are rows.
    in_rows: bool,
    /// Nodes until the next look.
    most: u32,
    /// When it last had work again, and how long it then waits. A lane that takes from others waits a little before, if
    /// it soon ran out of what it took before: two lanes that follow one another through a grid would otherwise hand
    /// single nodes to and fro, and their cache lines.
    since: Instant,
    pause: Duration,
    /// The same for the lane of a row that has caught up with the row before: it lets that one get ahead.
    held: Instant,
    lag: Duration,
    /// Whether it did not hold in this block yet, or with success.
    holds: bool,
    /// Whether nothing was ready in this block so far.
    barren: bool,
    next_block: Option<Instant>,
}

impl Pace {
    pub(super) fn new(since: Instant, timeless: bool, in_rows: bool) -> Self {
        Self {
            timeless,
            in_rows,
            most: BETWEEN_LOOKS.0,
            since,
            pause: Duration::ZERO,
            held: since,
            lag: Duration::ZERO,
            holds: true,
            barren: false,
            next_block: None,
        }
    }

    /// How many nodes to run until the next look.
    #[inline]
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// How many nodes to claim at once.
    #[inline]
    pub(super) fn claims(&self) -> u32 {
        let (share, most) = if self.in_rows { CLAIMS_IN_ROWS } else { CLAIMS };
        (self.most / share).clamp(1, most)
    }

    /// Whether nodes take a microsecond or more.
    #[inline]
    pub(super) fn is_slow(&self) -> bool {
        self.most < SLOW && !self.timeless
    }

    /// So many nodes took so long.
    pub(super) fn looked(&mut self, nodes: u32, time: Duration) {
        self.most = match time {
            time if time < LOOK / 2 => (nodes * 2).min(BETWEEN_LOOKS.1),
            // One slow node among fast ones is rarely alone.
            time if time > LOOK * 2 => (u128::from(nodes) * LOOK.as_nanos() / time.as_nanos()).max(1) as u32,
            _ => nodes,
        };
    }

    /// Nodes of the block are run.
    #[inline]
    pub(super) fn gets_on(&mut self) {
        self.barren = false;
    }

    /// Whether it is time to take another block; if so, it is taken. The next one begins at `next`: if that is not
    /// ready, the lane waits a little before it takes it, unless there is something `else_` to do. Where blocks hang on
    /// one another, whoever has run one then takes the next as well, and has what is in its cache.
    pub(super) fn takes_block(
        &mut self,
        next: impl Fn() -> u32,
        ready: impl Fn(u32) -> bool,
        else_: impl Fn() -> bool,
    ) -> bool {
        if self.barren && !self.timeless {
            let now = Instant::now();
            if now < *self.next_block.get_or_insert(now + BARREN) {
                return false;
            }
        }
        if !self.timeless && !ready(next()) {
            let begin = Instant::now();
            let (mut place, mut until) = (next(), begin + HOLD);
            let mut held = true;
            while Instant::now() < until {
                std::hint::spin_loop();
                if else_() {
                    return false;
                }
                if next() != place {
                    (place, until, held) = (next(), Instant::now() + HOLD, true);
                    if until - begin > PATIENCE {
                        return false;
                    }
                } else if held && ready(place) {
                    (until, held) = (Instant::now() + COURTESY, false);
                }
            }
        }
        (self.holds, self.barren, self.next_block) = (true, true, None);
        true
    }

    /// Waits a little for a node, until it is ready or there is something `else_` to do; false if neither.
    pub(super) fn hold(&mut self, ready: impl Fn() -> bool, else_: impl Fn() -> bool) -> bool {
        if !self.holds || self.timeless {
            return false;
        }
        let begin = Instant::now();
        loop {
            if (0..16).any(|_| {
                std::hint::spin_loop();
                ready()
            }) {
                if self.in_rows && !self.is_slow() {
                    self.lag = longer(self.lag, begin - self.held);
                    spin(Instant::now(), self.lag, else_);
                    self.held = Instant::now();
                }
                return true;
            }
            if else_() {
                return true;
            }
            if begin.elapsed() > HOLD {
                self.holds = false;
                return false;
            }
        }
    }

    /// It ran out of work: spins until it may take again.
    pub(super) fn wait(&mut self, now: Instant, enough: impl Fn() -> bool) {
        self.pause = longer(self.pause, now - self.since);
        spin(now, self.pause, enough);
    }

    /// As long as it must not take a block, it waits for what else there is.
    pub(super) fn wait_for_block(&self, enough: impl Fn() -> bool) {
        if let Some(until) = self.next_block {
            while Instant::now() < until && !enough() {
                std::hint::spin_loop();
            }
        }
    }

    /// It looks for work again.
    pub(super) fn waited(&mut self) {
        self.since = Instant::now();
    }
}

/// The pause after one that was followed by so much work.
fn longer(pause: Duration, worked: Duration) -> Duration {
    match worked {
        worked if worked < PAUSES.1 => (pause * 2).clamp(PAUSES.0, PAUSES.1),
        worked if worked < PAUSES.1 * 4 => pause,
        _ => pause / 4,
    }
}

fn spin(since: Instant, pause: Duration, enough: impl Fn() -> bool) {
    while !pause.is_zero() && since.elapsed() < pause && !enough() {
        std::hint::spin_loop();
    }
}
