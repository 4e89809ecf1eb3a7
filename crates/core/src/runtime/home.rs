//! Which engine the running code belongs to.
//!
//! Every thread of an engine knows its home from the start; the engine moves in once it is complete. A weak
//! handle, so that threads keep no engine alive.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use crate::engine::WeakEngine;

/// The engine of a set of threads, from when it is complete.
pub(crate) type Home = OnceLock<WeakEngine>;

thread_local! {
    static HOME: RefCell<Option<Arc<Home>>> = const { RefCell::new(None) };
}

/// Called first on every thread of an engine.
pub(crate) fn settle(home: &Arc<Home>) {
    HOME.set(Some(Arc::clone(home)));
}

/// Runs `work` as if the calling thread were one of the engine's.
pub(crate) fn at_home<T>(home: &Arc<Home>, work: impl FnOnce() -> T) -> T {
    struct Back(Option<Arc<Home>>);
    impl Drop for Back {
        fn drop(&mut self) {
            HOME.set(self.0.take());
        }
    }
    let _back = Back(HOME.replace(Some(Arc::clone(home))));
    work()
}

/// The home of the calling thread, if it is an engine's.
pub(crate) fn thread_home() -> Option<Arc<Home>> {
    HOME.try_with(|home| home.borrow().clone()).ok().flatten()
}
