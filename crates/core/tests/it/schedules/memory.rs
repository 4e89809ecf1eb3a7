//! The budget: never more than the limit, and no byte is lost on either side of a relief.

use std::sync::{Arc, Weak};

use super::budget::{Budget, Relief};
use super::check;
use super::sync::Mutex;

const LIMIT: usize = 100;

/// Objects that can go, each of so many bytes.
struct Cache {
    budget: Budget,
    objects: Mutex<Vec<usize>>,
}

impl Cache {
    fn new(budget: &Budget) -> Arc<Self> {
        let cache = Arc::new(Self { budget: budget.clone(), objects: Mutex::default() });
        let relief: Weak<dyn Relief> = Arc::downgrade(&(Arc::clone(&cache) as Arc<dyn Relief>));
        budget.set_relief(relief);
        cache
    }

    fn put(&self, bytes: usize) -> bool {
        let paid = self.budget.try_grow("cache", bytes).is_ok();
        if paid {
            self.objects.lock().push(bytes);
        }
        paid
    }
}

impl Relief for Cache {
    fn relieve(&self, bytes: usize) -> usize {
        let mut freed = 0;
        while freed < bytes {
            let Some(object) = self.objects.lock().pop() else { break };
            self.budget.shrink("cache", object);
            freed += object;
        }
        freed
    }
}

#[test]
fn the_limit_holds_and_every_byte_comes_back() {
    check(1000, || {
        let budget = Budget::new(LIMIT);
        let cache = Cache::new(&budget);
        assert!(cache.put(30) && cache.put(20));
        let users: Vec<_> = [("sort", 50), ("join", 40)]
            .into_iter()
            .map(|(name, bytes)| {
                let (budget, cache) = (budget.clone(), Arc::clone(&cache));
                shuttle::thread::spawn(move || {
                    let first = budget.reserve(name, bytes);
                    let more = budget.try_grow(name, 10).is_ok();
                    assert!(budget.reserved() <= LIMIT);
                    cache.put(20);
                    assert!(budget.held_by(name) >= first.as_ref().map_or(0, |held| held.bytes()));
                    if more {
                        budget.shrink(name, 10);
                    }
                })
            })
            .collect();
        users.into_iter().for_each(|user| user.join().unwrap());
        assert!(budget.peak() <= LIMIT, "{} reserved", budget.peak());
        assert_eq!(budget.reserved(), cache.objects.lock().iter().sum::<usize>());
        assert_eq!(budget.held_by("cache"), budget.reserved());
        cache.relieve(LIMIT);
        assert_eq!(budget.reserved(), 0);
        assert!(budget.consumers().is_empty());
    });
}
