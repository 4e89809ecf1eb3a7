//! Those who listen to one cell: mostly nobody or one, and each cell has room for one.
//!
//! In a word more than a listener takes: every task carries this, and a flood of tasks is as fast as its cells are
//! small.

use super::cell::Waiter;

/// A list of waiters that needs no memory for the first.
#[derive(Default)]
pub(crate) enum Listeners {
    #[default]
    None,
    One(Waiter),
    Many(Vec<Waiter>),
}

impl Listeners {
    pub(super) fn push(&mut self, waiter: Waiter) {
        *self = match std::mem::take(self) {
            Listeners::None => Listeners::One(waiter),
            Listeners::One(first) => Listeners::Many(vec![first, waiter]),
            Listeners::Many(mut all) => {
                all.push(waiter);
                Listeners::Many(all)
            }
        };
    }

    pub(super) fn as_slice(&self) -> &[Waiter] {
        match self {
            Listeners::None => &[],
            Listeners::One(waiter) => std::slice::from_ref(waiter),
            Listeners::Many(all) => all,
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Waiter) -> bool) {
        match self {
            Listeners::None => {}
            Listeners::One(waiter) if keep(waiter) => {}
            Listeners::One(_) => *self = Listeners::None,
            Listeners::Many(all) => all.retain(keep),
        }
    }

    /// Tells each, in the order in which they came.
    pub(super) fn tell(self) {
        match self {
            Listeners::None => {}
            Listeners::One(waiter) => waiter.tell(),
            Listeners::Many(all) => all.into_iter().for_each(Waiter::tell),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Collector;
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Default)]
    struct Heard(Mutex<Vec<usize>>);

    impl Collector for Heard {
        fn collect(&self, number: usize) {
            self.0.lock().push(number);
        }
    }

    #[test]
    fn listeners_are_told_in_order_but_for_those_who_left() {
        let check = |count: usize, leave: &[usize], expect: &[usize]| {
            let heard = Arc::new(Heard::default());
            let mut listeners = Listeners::default();
            for number in 0..count {
                listeners.push(Waiter::Collector(heard.clone(), number));
            }
            assert_eq!(listeners.as_slice().len(), count);
            listeners
                .retain(|waiter| !matches!(waiter, Waiter::Collector(_, number) if leave.contains(number)));
            listeners.tell();
            assert_eq!(*heard.0.lock(), expect);
        };
        check(0, &[], &[]);
        check(1, &[], &[0]);
        check(1, &[0], &[]);
        check(2, &[], &[0, 1]);
        check(2, &[0], &[1]);
        check(5, &[1, 3], &[0, 2, 4]);
        check(3, &[0, 1, 2], &[]);
    }

    #[test]
    fn a_cell_has_no_more_room_for_them_than_for_one() {
        assert_eq!(size_of::<Listeners>(), size_of::<Waiter>());
    }
}
