//! A first-in, first-out queue with many writers and readers, bounded or not.
//!
//! Two semaphores count: `ready` what can be read, `space` what can still be written. A permit is taken
//! first (the only wait) and the list is changed after it without another wait, so a dropped wait changes
//! nothing. Closing refuses writers at once and lets readers empty the queue.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use trefoil_core::{Error, ErrorKind, Result, block_on, block_on_timeout};

use super::handles::{next_id, travels};
use super::{closed, timed_out};

struct Inner<T> {
    id: u64,
    items: Mutex<VecDeque<T>>,
    ready: Semaphore,
    space: Option<Semaphore>,
    capacity: Option<usize>,
}

/// A queue shared by tasks and actors: many may write, many may read, each item is read once.
///
/// # Examples
///
/// ```
/// use trefoil_tasks::{Engine, sync::Queue};
///
/// let engine = Engine::new()?;
/// let queue: Queue<u64> = Queue::bounded(2);
/// let writer = queue.clone();
/// let written = engine.try_spawn_fn(move || {
///     for i in 0..5 {
///         writer.blocking_put(i)?;          // waits while two items are unread
///     }
///     writer.close();
///     Ok::<(), trefoil_tasks::Error>(())
/// });
/// let mut read = Vec::new();
/// while let Some(item) = queue.blocking_get() {
///     read.push(item);
/// }
/// assert_eq!(read, [0, 1, 2, 3, 4]);
/// written.get()?;
/// # Ok::<(), trefoil_tasks::Error>(())
/// ```
pub struct Queue<T>(Arc<Inner<T>>);

travels!(Queue<T>, Inner<T>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.0.ready.is_closed() { ", closed" } else { "" };
        write!(f, "Queue({} items{open})", self.len())
    }
}

impl<T> Queue<T> {
    fn new(capacity: Option<usize>) -> Self {
        Self(Arc::new(Inner {
            id: next_id(),
            items: Mutex::default(),
            ready: Semaphore::new(0),
            space: capacity.map(Semaphore::new),
            capacity,
        }))
    }

    /// A queue that takes as many items as there is memory for.
    pub fn unbounded() -> Self {
        Self::new(None)
    }

    /// A queue of at most `capacity` items (1 at least, 2^61 at most): writers wait for readers.
    pub fn bounded(capacity: usize) -> Self {
        Self::new(Some(capacity.clamp(1, Semaphore::MAX_PERMITS)))
    }

    /// The most items there may be, if there is a limit.
    pub fn capacity(&self) -> Option<usize> {
        self.0.capacity
    }

    /// How many items are waiting to be read.
    pub fn len(&self) -> usize {
        self.0.items.lock().len()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses further items and ends the readers when the rest is read. Writers that wait fail.
    pub fn close(&self) {
        // Under the lock, so that an item is in the list before the end or refused.
        let _items = self.0.items.lock();
        if let Some(space) = &self.0.space {
            space.close();
        }
        self.0.ready.close();
    }

    /// Whether the queue was closed.
    pub fn is_closed(&self) -> bool {
        self.0.ready.is_closed()
    }

    fn push(&self, item: T) -> Result<()> {
        {
            let mut items = self.0.items.lock();
            // Under the lock: a reader that sees the queue closed and empty is right to go.
            if self.0.ready.is_closed() {
                return Err(closed("put", "queue"));
            }
            items.push_back(item);
        }
        self.0.ready.add_permits(1);
        Ok(())
    }

    fn pop(&self) -> Option<T> {
        let item = self.0.items.lock().pop_front();
        if let (Some(_), Some(space)) = (&item, &self.0.space) {
            space.add_permits(1);
        }
        item
    }

    /// Adds an item, waiting while the queue is full. Dropped before it is done, it adds nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub async fn put(&self, item: T) -> Result<()> {
        if let Some(space) = &self.0.space {
            space.acquire().await.map_err(|_| closed("put", "queue"))?.forget();
        }
        self.push(item)
    }

    /// Adds an item if there is room now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if the queue is full, [`ErrorKind::Closed`].
    pub fn try_put(&self, item: T) -> Result<()> {
        if let Some(space) = &self.0.space {
            match space.try_acquire() {
                Ok(permit) => permit.forget(),
                Err(tokio::sync::TryAcquireError::Closed) => return Err(closed("put", "queue")),
                Err(tokio::sync::TryAcquireError::NoPermits) => {
                    let message = format!("the queue holds {} items, its limit", self.len());
                    return Err(
                        Error::new(ErrorKind::Overloaded, "put", message).with_help("`put` waits for room")
                    );
                }
            }
        }
        self.push(item)
    }

    /// [`Queue::put`] for blocking code.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub fn blocking_put(&self, item: T) -> Result<()> {
        block_on(self.put(item))
    }

    /// The next item, waiting for one; none when the queue is closed and read to its end.
    pub async fn get(&self) -> Option<T> {
        match self.0.ready.acquire().await {
            Ok(permit) => permit.forget(),
            // Closed: what is left is there for whoever asks.
            Err(_) => return self.pop(),
        }
        self.pop()
    }

    /// The next item if there is one now.
    pub fn try_get(&self) -> Option<T> {
        match self.0.ready.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(tokio::sync::TryAcquireError::NoPermits) => return None,
            Err(tokio::sync::TryAcquireError::Closed) => {}
        }
        self.pop()
    }

    /// [`Queue::get`] for blocking code.
    pub fn blocking_get(&self) -> Option<T> {
        block_on(self.get())
    }

    /// [`Queue::get`] for blocking code, waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`].
    pub fn blocking_get_timeout(&self, timeout: Duration) -> Result<Option<T>> {
        block_on_timeout(self.get(), timeout).ok_or_else(|| timed_out("get", timeout))
    }
}
