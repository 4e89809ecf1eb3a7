//! A number of permits: at most so many do something at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use trefoil_core::{Result, block_on, block_on_timeout};

use super::handles::{next_id, travels};
use super::{closed, timed_out};

struct Inner {
    id: u64,
    permits: Arc<tokio::sync::Semaphore>,
}

/// Permits shared by tasks and actors, given out first come, first served.
///
/// # Examples
///
/// ```
/// use trefoil_tasks::{Engine, sync::Semaphore};
///
/// let engine = Engine::new()?;
/// let two_at_once = Semaphore::new(2);
/// let work: Vec<_> = (0..6)
///     .map(|i| {
///         let semaphore = two_at_once.clone();
///         engine.spawn_async(async move {
///             let _permit = semaphore.acquire().await?;      // given back when it is dropped
///             Ok(i * i)
///         })
///     })
///     .collect();
/// assert_eq!(engine.block_on(engine.gather(work))?, [0, 1, 4, 9, 16, 25]);
/// # Ok::<(), trefoil_tasks::Error>(())
/// ```
pub struct Semaphore(Arc<Inner>);

travels!(Semaphore, Inner);

impl Clone for Semaphore {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Semaphore({} free)", self.available())
    }
}

/// A permit of a [`Semaphore`]; dropping it gives it back.
#[must_use = "a permit is given back when it is dropped"]
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Semaphore {
    /// A semaphore with so many permits (2^61 at most).
    pub fn new(permits: usize) -> Self {
        let permits = permits.min(tokio::sync::Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner { id: next_id(), permits: Arc::new(tokio::sync::Semaphore::new(permits)) }))
    }

    /// How many permits are free.
    pub fn available(&self) -> usize {
        self.0.permits.available_permits()
    }

    /// Waits for a permit. Dropped before it is done, it takes none and loses its place in the line.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub async fn acquire(&self) -> Result<Permit> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await;
        permit.map(|permit| Permit { _permit: permit }).map_err(|_| closed("acquire", "semaphore"))
    }

    /// A permit if one is free now; none also when the semaphore is closed.
    pub fn try_acquire(&self) -> Option<Permit> {
        Arc::clone(&self.0.permits).try_acquire_owned().ok().map(|permit| Permit { _permit: permit })
    }

    /// [`Semaphore::acquire`] for blocking code.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn blocking_acquire(&self) -> Result<Permit> {
        block_on(self.acquire())
    }

    /// [`Semaphore::acquire`] for blocking code, waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut), [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn blocking_acquire_timeout(&self, timeout: Duration) -> Result<Permit> {
        block_on_timeout(self.acquire(), timeout).unwrap_or_else(|| Err(timed_out("acquire", timeout)))
    }

    /// Gives no more permits: who waits fails, with [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn close(&self) {
        self.0.permits.close();
    }
}
