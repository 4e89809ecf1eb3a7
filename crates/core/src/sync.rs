//! Atomics, locks, threads and deques of the parts that are checked by running their interleavings.
//!
//! These parts are compiled again in `tests/it`, where this module is a model checker's: loom's for the
//! lock-free ones (`runtime/idle.rs`, `refs/raw.rs`), which then runs every interleaving of a few threads, and
//! shuttle's for the larger ones (the pool and the budget), which runs many that are drawn at random. What
//! both compile names this module by `super`, as well as what it needs of the rest of the crate: so each
//! checker puts its own in the place.

pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker};
pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};
pub(crate) use std::thread::{Builder as ThreadBuilder, sleep, yield_now};
pub(crate) use std::thread_local;

/// What the clock says.
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// The cell of the standard library with the model checker's interface, which sees when it is accessed.
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Gives a pointer to read through.
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Gives a pointer to write through.
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
