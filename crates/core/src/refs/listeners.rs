//! Those who listen to one cell: mostly nobody, often one.
//!
//! One word: every task carries this, and a flood of tasks is as fast as its cells are small. Whoever listens is about to
//! sleep, which costs more than the memory that is made for it then.

use super::cell::Waiter;

/// A list of waiters.
#[derive(Default)]
pub(crate) struct Listeners(Option<Box<Few>>);

enum Few {
    One(Waiter),
    Many(Vec<Waiter>),
}

impl Listeners {
    pub(super) fn push(&mut self, waiter: Waiter) {
        if let Some(Few::Many(all)) = self.0.as_deref_mut() {
            return all.push(waiter);
        }
        let few = match self.0.take().map(|few| *few) {
            Some(Few::One(first)) => Few::Many(vec![first, waiter]),
            _ => Few::One(waiter),
        };
        self.0 = Some(Box::new(few));
    }

    pub(super) fn as_slice(&self) -> &[Waiter] {
        match self.0.as_deref() {
            None => &[],
            Some(Few::One(waiter)) => std::slice::from_ref(waiter),
            Some(Few::Many(all)) => all,
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Waiter) -> bool) {
        match self.0.as_deref_mut() {
            Some(Few::One(waiter)) if !keep(waiter) => self.0 = None,
            Some(Few::Many(all)) => all.retain(keep),
            _ => {}
        }
    }

    /// Tells each, in the order in which they came.
    pub(super) fn tell(self) {
        match self.0.map(|few| *few) {
            None => {}
            Some(Few::One(waiter)) => waiter.tell(),
            Some(Few::Many(all)) => all.into_iter().for_each(Waiter::tell),
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
    fn nobody_takes_one_word() {
        assert_eq!(size_of::<Listeners>(), size_of::<usize>());
    }
}
