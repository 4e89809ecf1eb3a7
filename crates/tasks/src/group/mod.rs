//! Worker groups: a fixed number of ranks that compute together.
//!
//! Collective operations are built on one primitive, the *round* (`round`): every rank deposits something
//! and gets what all deposited. Ranks count their rounds, so the n-th operation of each rank meets the n-th
//! of the others; if they are not the same operation, the group breaks with an error that names both. A rank
//! that is dropped (its task ended, panicked or was cancelled) breaks the rounds that need it, so nobody
//! waits for the dead.
//!
//! Reductions combine in the order of ranks, each element the same way on every rank: the results are equal
//! to the bit everywhere, and in every run.

mod arrays;
mod numeric;
mod rank;
mod round;

pub use numeric::{Numeric, Reduce};
pub use rank::{BlockingRank, Rank};

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use trefoil_core::{Engine, Error, ErrorKind, Ref, Result};

use round::Shared;

/// The most ranks a group can have.
const MOST: usize = 4096;

/// A group of ranks that meet in collective operations: barrier, broadcast, reductions, gathers.
///
/// [`WorkerGroup::run`] starts a task for each rank; or take the [`Rank`]s with [`WorkerGroup::ranks`] and
/// give them to tasks and actors of your own. Groups are independent of each other, and of names.
///
/// # Examples
///
/// ```
/// use trefoil_tasks::{Engine, group::{Reduce, WorkerGroup}};
///
/// let engine = Engine::new()?;
/// let group = WorkerGroup::new(4)?;
/// let sums = group.run(&engine, |rank| {
///     let mut values = [rank.rank() as f64, 1.0];
///     rank.blocking().all_reduce(&mut values, Reduce::Sum)?;
///     Ok(values)
/// })?;
/// for sum in sums {
///     assert_eq!(sum.get()?, [6.0, 4.0]);
/// }
/// # Ok::<(), trefoil_tasks::Error>(())
/// ```
pub struct WorkerGroup {
    shared: Arc<Shared>,
    /// Given out once.
    ranks: Mutex<Option<Vec<Rank>>>,
}

impl WorkerGroup {
    /// A group of `size` ranks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for no rank or more than 4,096.
    pub fn new(size: usize) -> Result<Self> {
        if !(1..=MOST).contains(&size) {
            let message = format!("a group cannot have {size} ranks");
            return Err(Error::new(ErrorKind::InvalidArgument, "worker group", message)
                .with_help(format!("choose 1 to {MOST}")));
        }
        let shared = Shared::new(size);
        let ranks = (0..size).map(|rank| Rank::new(Arc::clone(&shared), rank)).collect();
        Ok(Self { shared, ranks: Mutex::new(Some(ranks)) })
    }

    /// How many ranks the group has.
    pub fn size(&self) -> usize {
        self.shared.size()
    }

    /// The ranks, in order, to be given to those who play them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if they were given out before, [`ErrorKind::GroupBroken`] after
    /// [`WorkerGroup::destroy`].
    pub fn ranks(&self) -> Result<Vec<Rank>> {
        self.shared.check()?;
        self.ranks.lock().take().ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "worker group", "the ranks were given out before")
                .with_help("make a new group for another run")
        })
    }

    /// Starts a task for each rank; the refs are in the order of ranks. Ranks may block on each other: the
    /// engine lets other threads work in their place.
    ///
    /// # Errors
    ///
    /// As [`WorkerGroup::ranks`].
    #[track_caller]
    pub fn run<T: Send + Sync + 'static>(
        &self,
        engine: &Engine,
        work: impl Fn(&mut Rank) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Vec<Ref<T>>> {
        let work = Arc::new(work);
        let mut running = Vec::with_capacity(self.size());
        // A loop, not a closure, so that errors name the caller's line.
        for mut rank in self.ranks()? {
            let work = Arc::clone(&work);
            running.push(engine.try_spawn_fn(move || work(&mut rank)));
        }
        Ok(running)
    }

    /// Starts an asynchronous task for each rank; the refs are in the order of ranks.
    ///
    /// # Errors
    ///
    /// As [`WorkerGroup::ranks`].
    #[track_caller]
    pub fn run_async<T, Fut>(&self, engine: &Engine, work: impl Fn(Rank) -> Fut) -> Result<Vec<Ref<T>>>
    where
        T: Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let mut running = Vec::with_capacity(self.size());
        for rank in self.ranks()? {
            running.push(engine.spawn_async(work(rank)));
        }
        Ok(running)
    }

    /// Ends the group: ranks that wait fail, and so does every later operation, with
    /// [`ErrorKind::GroupBroken`].
    pub fn destroy(&self) {
        self.shared.break_up(|| {
            Error::new(ErrorKind::GroupBroken, "worker group", "the group was destroyed")
                .with_help("make a new group")
        });
        *self.ranks.lock() = None;
    }
}

impl fmt::Debug for WorkerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.shared.check().is_ok() { "" } else { ", broken" };
        write!(f, "WorkerGroup({} ranks{state})", self.size())
    }
}
