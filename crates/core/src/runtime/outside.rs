//! Deques of threads outside the pool: who pushes much gets one of its own.
//!
//! ```text
//!   first pushes of a thread ──> injector                        the thread ends
//!   SOON-th push ──> its own deque, listed with the workers' ──────────────────────> what is left: injector
//!                      └── MOST are in it ──> injector
//! ```
//!
//! A push into the injector is two locked instructions and a place that all pushers write to; one into a deque is
//! two stores, and a thief takes many with one instruction. The thread owns its deque and is the only one that pushes;
//! nobody pops, thieves take the oldest first. It keeps no pool alive, and of several pools it has a deque each.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::Task;
use super::pool::PoolShared;
use super::sync::{Worker, thread_local};
use super::tuning::{MOST, SOON};

/// What a thread has of one pool.
struct Own {
    pool: Weak<PoolShared>,
    /// Before it got a deque.
    pushes: u32,
    deque: Option<(usize, Worker<Task>)>,
}

impl Own {
    fn is_of(&self, pool: &PoolShared) -> bool {
        // The weak handle keeps the address from being another pool's.
        std::ptr::eq(self.pool.as_ptr(), pool)
    }

    /// Takes the task, or gives it back to be pushed elsewhere.
    fn push(&mut self, pool: &PoolShared, task: Task) -> Result<(), Task> {
        match &self.deque {
            Some((_, deque)) if deque.len() < MOST => {
                deque.push(task);
                Ok(())
            }
            Some(_) => Err(task),
            None => {
                self.pushes += 1;
                if self.pushes == SOON {
                    let deque = Worker::new_fifo();
                    self.deque = Some((pool.list_outside(deque.stealer()), deque));
                }
                Err(task)
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let (Some((number, deque)), Some(pool)) = (self.deque.take(), self.pool.upgrade()) {
            pool.unlist_outside(number, std::iter::from_fn(|| deque.pop()));
        }
    }
}

thread_local! {
    static OWNS: RefCell<Vec<Own>> = const { RefCell::new(Vec::new()) };
}

/// Pushes into the deque that the calling thread, which is no worker of the pool, has of it; gives the task back if it
/// has none, or that is full.
pub(super) fn push(pool: &Arc<PoolShared>, task: Task) -> Result<(), Task> {
    // None while the thread is torn down. Made outside the call, so that the task is not lost then.
    let mut task = Some(task);
    let mut gone = Vec::new();
    let _ = OWNS.try_with(|owns| {
        let Ok(mut owns) = owns.try_borrow_mut() else { return };
        let Some(given) = task.take() else { return };
        if let Some(own) = owns.iter_mut().find(|own| own.is_of(pool)) {
            task = own.push(pool, given).err();
        } else {
            gone.extend(owns.extract_if(.., |own| own.pool.strong_count() == 0));
            owns.push(Own { pool: Arc::downgrade(pool), pushes: 1, deque: None });
            task = Some(given);
        }
    });
    task.map_or(Ok(()), Err)
}
