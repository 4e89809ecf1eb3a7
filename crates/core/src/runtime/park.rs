//! A parker: one thread waits, any thread wakes it, and a wake-up before the wait is not lost.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use super::sync::{Condvar, Mutex};

/// A flag a thread can sleep on.
#[derive(Default)]
pub(crate) struct Parker {
    notified: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    /// Sleeps until notified (false: until `deadline`), and consumes the notification.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        let mut notified = self.notified.lock();
        while !*notified {
            match deadline {
                None => self.changed.wait(&mut notified),
                Some(deadline) => {
                    if self.changed.wait_until(&mut notified, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut *notified)
    }

    pub(crate) fn is_notified(&self) -> bool {
        *self.notified.lock()
    }

    pub(crate) fn unpark(&self) {
        *self.notified.lock() = true;
        self.changed.notify_one();
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}
