//! A meeting point: nobody goes on before everybody is there.
//!
//! A generation ends when `parties` are waiting; a wait that is dropped before takes itself off the count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use trefoil_core::{Result, block_on, block_on_timeout};

use super::handles::{next_id, travels};
use super::timed_out;

struct Inner {
    id: u64,
    parties: usize,
    waiting: Mutex<usize>,
    generation: watch::Sender<u64>,
}

/// A meeting point of a fixed number of tasks or actors, again and again.
///
/// It does not know its parties: one that never comes leaves the others waiting, so give them a timeout, or
/// use a [`WorkerGroup`](crate::group::WorkerGroup), where a dead rank is an error for the others.
///
/// # Examples
///
/// ```
/// use trefoil_tasks::{Engine, sync::Barrier};
///
/// let engine = Engine::new()?;
/// let barrier = Barrier::new(3);
/// let parties: Vec<_> = (0..3)
///     .map(|_| {
///         let barrier = barrier.clone();
///         engine.spawn_fn(move || barrier.blocking_wait())
///     })
///     .collect();
/// let leaders = engine.block_on(engine.gather(parties))?;
/// assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
/// # Ok::<(), trefoil_tasks::Error>(())
/// ```
pub struct Barrier(Arc<Inner>);

travels!(Barrier, Inner);

impl Clone for Barrier {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Barrier({} of {} waiting)", self.0.waiting.lock(), self.0.parties)
    }
}

/// Takes a wait that is dropped off the count.
struct Waiting<'b> {
    inner: &'b Inner,
    generation: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.inner.waiting.lock();
        if *self.inner.generation.borrow() == self.generation {
            *waiting -= 1;
        }
    }
}

impl Barrier {
    /// A meeting point of `parties`, 1 at least.
    pub fn new(parties: usize) -> Self {
        Self(Arc::new(Inner {
            id: next_id(),
            parties: parties.max(1),
            waiting: Mutex::new(0),
            generation: watch::Sender::new(0),
        }))
    }

    /// Waits until all parties wait; true for the one that came last. A dropped wait does not count.
    pub async fn wait(&self) -> bool {
        let inner = &*self.0;
        let mut generations = inner.generation.subscribe();
        let guard = {
            let mut waiting = inner.waiting.lock();
            let generation = *inner.generation.borrow();
            if *waiting + 1 == inner.parties {
                *waiting = 0;
                inner.generation.send_replace(generation + 1);
                return true;
            }
            *waiting += 1;
            Waiting { inner, generation }
        };
        let mine = guard.generation;
        // The sender is ours, so the wait cannot end for want of one.
        let _ = generations.wait_for(|now| *now != mine).await;
        false
    }

    /// [`Barrier::wait`] for blocking code.
    pub fn blocking_wait(&self) -> bool {
        block_on(self.wait())
    }

    /// [`Barrier::wait`] for blocking code, for `timeout` at most; after it the wait does not count.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut).
    pub fn blocking_wait_timeout(&self, timeout: Duration) -> Result<bool> {
        block_on_timeout(self.wait(), timeout).ok_or_else(|| timed_out("wait", timeout))
    }
}
