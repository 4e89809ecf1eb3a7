//! Atomics and locks of the lock-free parts, by one name.
//!
//! The parts that come through here (`runtime/idle.rs`, `refs/raw.rs`) are compiled a second time in
//! `tests/it`, where this module is the model checker's: it then runs every interleaving of a few threads.

pub(crate) use parking_lot::{Condvar, Mutex};
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering, fence};
