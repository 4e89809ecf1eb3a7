//! A flag to wait for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trefoil_core::{Result, block_on, block_on_timeout};

use super::handles::{next_id, travels};
use super::timed_out;

struct Inner {
    id: u64,
    flag: watch::Sender<bool>,
}

/// A flag shared by tasks and actors: those who wait go on when somebody sets it.
///
/// # Examples
///
/// ```
/// use trefoil_tasks::{Engine, sync::Event};
///
/// let engine = Engine::new()?;
/// let start = Event::new();
/// let flag = start.clone();
/// let runner = engine.spawn_async(async move {
///     flag.wait().await;
///     Ok("off")
/// });
/// start.set();
/// assert_eq!(runner.get()?, "off");
/// # Ok::<(), trefoil_tasks::Error>(())
/// ```
pub struct Event(Arc<Inner>);

travels!(Event, Inner);

impl Clone for Event {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({})", if self.is_set() { "set" } else { "not set" })
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self(Arc::new(Inner { id: next_id(), flag: watch::Sender::new(false) }))
    }

    /// Sets the flag: everyone who waits goes on, and so does who comes later.
    pub fn set(&self) {
        self.0.flag.send_replace(true);
    }

    /// Takes the flag back: who comes from now on waits.
    pub fn clear(&self) {
        self.0.flag.send_replace(false);
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        *self.0.flag.borrow()
    }

    /// Waits until the flag is set. A flag set and cleared in one go may be missed.
    pub async fn wait(&self) {
        // The sender is ours, so the wait cannot end for want of one.
        let _ = self.0.flag.subscribe().wait_for(|set| *set).await;
    }

    /// [`Event::wait`] for blocking code.
    pub fn blocking_wait(&self) {
        block_on(self.wait());
    }

    /// [`Event::wait`] for blocking code, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut).
    pub fn blocking_wait_timeout(&self, timeout: Duration) -> Result<()> {
        block_on_timeout(self.wait(), timeout).ok_or_else(|| timed_out("wait", timeout))
    }
}
