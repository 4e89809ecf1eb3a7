//! Ctrl-C as the end of the query that runs.
//!
//! The signal's thread does nothing but note the fact and wake; whoever runs a query selects between the
//! query and [`Interrupts::next`], and drops the query when the latter comes first, which cancels it.

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::lock::Mutex;
use futures::{FutureExt, StreamExt, pin_mut, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trefoil_core::{Error, ErrorKind, Result};

/// The interrupts of one shell.
pub(crate) struct Interrupts {
    happened: Arc<AtomicBool>,
    /// `None` if nothing can interrupt.
    signals: Option<Mutex<UnboundedReceiver<()>>>,
}

impl Interrupts {
    /// Ctrl-C of this process. A second shell in the process (a test) gets none.
    pub(crate) fn of_process() -> Self {
        let happened = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = unbounded();
        let noted = happened.clone();
        let set = ctrlc::set_handler(move || {
            noted.store(true, Ordering::Release);
            // Nobody listens after the shell has ended.
            let _ = sender.unbounded_send(());
        });
        Self { happened, signals: set.is_ok().then(|| Mutex::new(receiver)) }
    }

    pub(crate) fn never() -> Self {
        Self { happened: Arc::new(AtomicBool::new(false)), signals: None }
    }

    /// Whether there was one since the last [`Interrupts::forget`].
    pub(crate) fn happened(&self) -> bool {
        self.happened.load(Ordering::Acquire)
    }

    /// Forgets what happened before the next query.
    pub(crate) fn forget(&self) {
        self.happened.store(false, Ordering::Release);
        if let Some(signals) = &self.signals
            && let Some(mut signals) = signals.try_lock()
        {
            while signals.try_recv().is_ok() {}
        }
    }

    /// Runs a query until its end or the next interrupt, which drops it.
    pub(crate) async fn guard<T>(&self, query: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(signals) = &self.signals else {
            return query.await;
        };
        // One query runs at a time, so the lock is free; were it not, the query would run unguarded.
        let Some(mut signals) = signals.try_lock() else {
            return query.await;
        };
        let query = query.fuse();
        pin_mut!(query);
        select! {
            done = query => done,
            _ = signals.next() => Err(Error::new(ErrorKind::Cancelled, "sql", "interrupted")),
        }
    }
}
