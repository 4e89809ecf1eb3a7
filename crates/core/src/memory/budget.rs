//! The budget: a counter with a limit, an account per consumer, and a reliever.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use super::sync::{AtomicUsize, Mutex, Ordering};
use super::{Error, ErrorKind, EventKind, Hub, Result, format_bytes};

/// Frees budget on demand; the store is the only one.
pub(crate) trait Relief: Send + Sync {
    /// Tries to give back at least `bytes` to the budget; returns what it gave.
    fn relieve(&self, bytes: usize) -> usize;
}

struct Inner {
    limit: usize,
    /// Everything granted; may pass the limit only through `grow`, which cannot refuse.
    reserved: AtomicUsize,
    peak: AtomicUsize,
    /// Bytes by consumer name, for the message of a refusal and for reports.
    accounts: Mutex<HashMap<String, usize>>,
    /// Weak, because the store owns a budget.
    relief: OnceLock<Weak<dyn Relief>>,
    /// Of the engine the budget belongs to.
    events: OnceLock<Arc<Hub>>,
}

/// A byte budget shared by queries, the object store and tasks. A clone is the same budget.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

impl Budget {
    /// A budget of `limit` bytes with nothing reserved.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit,
            reserved: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            accounts: Mutex::default(),
            relief: OnceLock::new(),
            events: OnceLock::new(),
        }))
    }

    pub(crate) fn set_relief(&self, relief: Weak<dyn Relief>) {
        let _ = self.0.relief.set(relief);
    }

    pub(crate) fn set_events(&self, events: Arc<Hub>) {
        let _ = self.0.events.set(events);
    }

    /// Writes an event of the engine down, if events are recorded.
    pub(crate) fn emit(&self, kind: impl FnOnce(&Hub) -> EventKind) {
        if let Some(events) = self.0.events.get() {
            events.emit(|| kind(events));
        }
    }

    fn emit_pressure(&self, consumer: &str, asked: usize, refused: bool) {
        let reserved = self.reserved();
        let consumer = || consumer.to_owned().into();
        self.emit(|_| EventKind::MemoryPressure { consumer: consumer(), asked, reserved, refused });
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Bytes reserved now by all consumers.
    pub fn reserved(&self) -> usize {
        self.0.reserved.load(Ordering::Acquire)
    }

    /// The most bytes that were ever reserved at once.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Acquire)
    }

    /// Bytes reserved by consumer name, largest first.
    pub fn consumers(&self) -> Vec<(String, usize)> {
        let mut list: Vec<_> =
            self.0.accounts.lock().iter().map(|(name, bytes)| (name.clone(), *bytes)).collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        list
    }

    /// Bytes reserved by one consumer.
    pub(crate) fn held_by(&self, consumer: &str) -> usize {
        self.0.accounts.lock().get(consumer).copied().unwrap_or(0)
    }

    /// Reserves `bytes` for `consumer` until the reservation is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfMemory`] as in [`Budget::try_grow`].
    pub fn reserve(&self, consumer: &str, bytes: usize) -> Result<Reservation> {
        self.try_grow(consumer, bytes)?;
        Ok(Reservation { budget: self.clone(), consumer: consumer.to_owned(), bytes })
    }

    /// Adds `bytes` to `consumer`'s account, spilling cold stored objects if they would not fit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfMemory`] if the bytes do not fit even then; the message lists the largest
    /// consumers. Nothing is reserved in that case.
    pub fn try_grow(&self, consumer: &str, bytes: usize) -> Result<()> {
        self.try_grow_beside(consumer, bytes, 0)
    }

    /// Adds `bytes` to `consumer`'s account as [`Budget::try_grow`] does, if `free` bytes more would fit now:
    /// for consumers that hold more for a moment than they account for.
    ///
    /// # Errors
    ///
    /// As [`Budget::try_grow`].
    ///
    /// # Examples
    ///
    /// ```
    /// let budget = trefoil_core::Budget::new(1000);
    /// budget.try_grow_beside("sort", 600, 300)?;
    /// assert!(budget.try_grow_beside("sort", 200, 300).is_err());
    /// assert_eq!(budget.reserved(), 600);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn try_grow_beside(&self, consumer: &str, bytes: usize, free: usize) -> Result<()> {
        loop {
            match self.claim(bytes, free) {
                Ok(()) => {
                    self.credit(consumer, bytes);
                    return Ok(());
                }
                Err(missing) => {
                    let relief = self.0.relief.get().and_then(Weak::upgrade);
                    // Every round with relief frees something, so the loop ends.
                    let freed = relief.map_or(0, |relief| relief.relieve(missing));
                    self.emit_pressure(consumer, bytes, freed == 0);
                    if freed == 0 {
                        return Err(self.refusal(consumer, bytes));
                    }
                }
            }
        }
    }

    /// Adds `bytes` to `consumer`'s account even past the limit, for callers that cannot fail.
    /// Cold stored objects are spilled afterwards if the limit is passed.
    pub fn grow(&self, consumer: &str, bytes: usize) {
        let after = self.0.reserved.fetch_add(bytes, Ordering::AcqRel) + bytes;
        self.0.peak.fetch_max(after, Ordering::AcqRel);
        self.credit(consumer, bytes);
        if after > self.0.limit
            && let Some(relief) = self.0.relief.get().and_then(Weak::upgrade)
        {
            relief.relieve(after - self.0.limit);
        }
    }

    /// Gives `bytes` of `consumer`'s account back.
    pub fn shrink(&self, consumer: &str, bytes: usize) {
        let mut accounts = self.0.accounts.lock();
        if let Some(account) = accounts.get_mut(consumer) {
            *account = account.saturating_sub(bytes);
            if *account == 0 {
                accounts.remove(consumer);
            }
        }
        drop(accounts);
        self.0.reserved.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn claim(&self, bytes: usize, free: usize) -> Result<(), usize> {
        let limit = self.0.limit;
        let grown = self.0.reserved.fetch_update(Ordering::AcqRel, Ordering::Acquire, |reserved| {
            reserved.checked_add(bytes).filter(|after| after.saturating_add(free) <= limit)
        });
        match grown {
            Ok(before) => {
                self.0.peak.fetch_max(before + bytes, Ordering::AcqRel);
                Ok(())
            }
            Err(reserved) => Err(reserved.saturating_add(bytes).saturating_add(free) - limit),
        }
    }

    fn credit(&self, consumer: &str, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut accounts = self.0.accounts.lock();
        match accounts.get_mut(consumer) {
            Some(account) => *account += bytes,
            None => {
                accounts.insert(consumer.to_owned(), bytes);
            }
        }
    }

    fn refusal(&self, consumer: &str, bytes: usize) -> Error {
        let top: Vec<String> = self
            .consumers()
            .into_iter()
            .take(5)
            .map(|(name, bytes)| format!("{name} {}", format_bytes(bytes)))
            .collect();
        let held = if top.is_empty() { "nothing".to_owned() } else { top.join(", ") };
        Error::new(
            ErrorKind::OutOfMemory,
            "memory budget",
            format!(
                "{consumer} asked for {}, with {} of {} reserved (largest: {held})",
                format_bytes(bytes),
                format_bytes(self.reserved()),
                format_bytes(self.limit()),
            ),
        )
        .with_help("raise the memory limit of the engine, or work in smaller partitions")
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {})", format_bytes(self.reserved()), format_bytes(self.limit()))
    }
}

/// Bytes held in a [`Budget`]; dropping it gives them back.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    consumer: String,
    bytes: usize,
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.shrink(&self.consumer, self.bytes);
    }
}
