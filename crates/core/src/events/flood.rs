//! When to look at the clock: a pure state machine that tells single tasks from floods of tiny ones.
//!
//! ```text
//!              64 alike in a row, under 2 us each
//!   Single ───────────────────────────────────────> Flood: every 16th is timed, for all 16
//!      ^                                               │
//!      └── another name, a pause, or 4 us each ────────┘
//! ```
//!
//! Reading the clock and writing an entry costs more than a tiny task does. So tasks alike (one name, one
//! place in the source) that come in an unbroken flood are recorded in groups, each entry with a count;
//! everything else is recorded one by one. A group is cut before anything that is not alike.

/// So many alike in a row, fast enough, make a flood.
const WINDOW: u32 = 64;
/// So many are recorded as one in a flood.
const GROUP: u32 = 16;
/// The mean time, in nanoseconds, below which a window begins a flood.
const SHORT: u64 = 2_000;
/// The mean time, in nanoseconds, above which a group ends it.
const LONG: u64 = 4_000;

/// What to record of something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// It alone, now.
    Single(u64),
    /// Nothing yet: it is in the group that is being gathered.
    Held,
    /// A group that ends with it.
    Group(Group),
}

/// So many, between two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) count: u32,
    pub(super) since: u64,
    pub(super) until: u64,
}

/// The state for one thread and one kind of happening.
#[derive(Debug, Default)]
pub(super) struct Flood {
    flooding: bool,
    /// Singles in the present window.
    singles: u32,
    /// Held in the present group.
    held: u32,
    /// When the window or the group began.
    since: u64,
}

impl Flood {
    pub(super) fn is_on(&self) -> bool {
        self.flooding
    }

    /// One more of the same.
    #[inline]
    pub(super) fn note(&mut self, clock: impl FnOnce() -> u64) -> Note {
        if !self.flooding {
            let now = clock();
            if self.singles == 0 {
                self.since = now;
            }
            self.singles += 1;
            if self.singles > WINDOW {
                self.flooding = now.saturating_sub(self.since) < u64::from(WINDOW) * SHORT;
                self.singles = 0;
                self.since = now;
            }
            return Note::Single(now);
        }
        self.held += 1;
        if self.held < GROUP {
            return Note::Held;
        }
        let group = Group { count: self.held, since: self.since, until: clock() };
        self.held = 0;
        self.since = group.until;
        if group.until.saturating_sub(group.since) > u64::from(GROUP) * LONG {
            self.flooding = false;
        }
        Note::Group(group)
    }

    /// Something else comes, or nothing: what was held, and back to singles.
    pub(super) fn cut(&mut self, clock: impl FnOnce() -> u64) -> Option<Group> {
        let group = (self.held > 0).then(|| Group { count: self.held, since: self.since, until: clock() });
        *self = Self::default();
        group
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_flood_is_grouped_and_a_slow_one_is_not() {
        for (step, grouped) in [(100, true), (1_900, true), (2_100, false), (1_000_000, false)] {
            let mut flood = Flood::default();
            let mut now = 0;
            let notes: Vec<Note> = (0..1000)
                .map(|_| {
                    now += step;
                    flood.note(|| now)
                })
                .collect();
            let groups = notes.iter().filter(|note| matches!(note, Note::Group(_))).count();
            assert_eq!(groups > 50, grouped, "{step} ns each: {groups} groups");
        }
    }

    proptest! {
        /// Nothing is lost: singles, groups and what a cut gives add up; times never go back or overlap.
        #[test]
        fn counts_add_up(steps in prop::collection::vec((0..6_000u64, 0..200u8), 1..600)) {
            let mut flood = Flood::default();
            let (mut now, mut seen, mut recorded, mut last) = (0, 0u32, 0u32, 0);
            let take = |group: Group, last: &mut u64| {
                assert!(group.since >= *last && group.until >= group.since);
                *last = group.until;
                group.count
            };
            for (step, dice) in steps {
                now += step;
                if dice == 0 {
                    recorded += flood.cut(|| now).map_or(0, |group| take(group, &mut last));
                    prop_assert!(!flood.is_on());
                    prop_assert_eq!(recorded, seen);
                }
                seen += 1;
                match flood.note(|| now) {
                    Note::Single(at) => {
                        prop_assert!(at >= last);
                        last = at;
                        recorded += 1;
                    }
                    Note::Held => {}
                    Note::Group(group) => recorded += take(group, &mut last),
                }
                prop_assert!(seen - recorded < GROUP);
            }
            recorded += flood.cut(|| now).map_or(0, |group| take(group, &mut last));
            prop_assert_eq!(recorded, seen);
        }
    }
}
