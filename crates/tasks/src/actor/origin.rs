//! Where an actor's states come from: the first one, and a fresh one after each panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use trefoil_core::{Error, ErrorKind, Result};

use super::Actor;

/// Makes a fresh state.
pub(crate) type Factory<A> = Box<dyn FnMut() -> Result<A> + Send>;

/// Keeps what a state may be restored to.
pub(crate) type Save<A> = Box<dyn FnMut(&A) + Send>;
/// Brings a fresh state up to what was saved last.
pub(crate) type Restore<A> = Box<dyn FnMut(&mut A) + Send>;

/// How often an actor may be given a fresh state after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restarts {
    /// So many times in its life.
    Times(u32),
    /// Without end.
    Unlimited,
}

impl From<u32> for Restarts {
    fn from(count: u32) -> Self {
        Restarts::Times(count)
    }
}

/// What a supervisor is told of a restart.
#[derive(Clone, Debug)]
pub struct Restart {
    /// Which restart it is, from 1.
    pub number: u32,
    /// The panic that made it necessary.
    pub error: Error,
}

pub(crate) type OnRestart = Box<dyn FnMut(&Restart) + Send>;

/// States of an actor, and what happens between them.
pub(crate) struct Origin<A> {
    /// The first state; without it the factory makes it.
    pub(crate) first: Option<A>,
    /// What few actors have.
    pub(crate) care: Option<Box<Care<A>>>,
}

/// How an actor is looked after.
pub(crate) struct Care<A> {
    pub(crate) factory: Option<Factory<A>>,
    pub(crate) restarts: Restarts,
    /// The first pause before a restart and the longest one; each is twice the one before.
    pub(crate) backoff: Option<(Duration, Duration)>,
    pub(crate) on_restart: Option<OnRestart>,
    /// After how many `&mut self` calls the state is saved.
    pub(crate) save_every: u32,
    pub(crate) save: Option<Save<A>>,
    pub(crate) restore: Option<Restore<A>>,
    pub(crate) unsaved: u32,
}

impl<A> Default for Care<A> {
    fn default() -> Self {
        Self {
            factory: None,
            restarts: Restarts::Times(0),
            backoff: None,
            on_restart: None,
            save_every: 0,
            save: None,
            restore: None,
            unsaved: 0,
        }
    }
}

impl<A: Actor> Origin<A> {
    pub(crate) fn care(&mut self) -> &mut Care<A> {
        self.care.get_or_insert_default()
    }

    /// A state: the first one, or a fresh one.
    pub(crate) fn make(&mut self) -> Result<Arc<A>> {
        if let Some(first) = self.first.take() {
            return Ok(Arc::new(first));
        }
        let Some(Care { factory: Some(factory), restore, .. }) = self.care.as_deref_mut() else {
            return Err(Error::new(ErrorKind::Internal, "actor", "no state and no way to make one"));
        };
        let make = || {
            let mut state = factory()?;
            if let Some(restore) = restore {
                restore(&mut state);
            }
            Ok(Arc::new(state))
        };
        // A factory that panicked is not called again.
        catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|payload| {
            Err(Error::panicked(format!("the function that makes the state of {}", A::NAME), &*payload))
        })
    }

    /// Whether one more restart is allowed after so many.
    pub(crate) fn may_restart(&self, done: u32) -> bool {
        self.care.as_ref().is_some_and(|care| {
            care.factory.is_some()
                && match care.restarts {
                    Restarts::Times(count) => done < count,
                    Restarts::Unlimited => true,
                }
        })
    }

    /// How long to wait before the next restart after so many.
    pub(crate) fn pause(&self, done: u32) -> Option<Duration> {
        let (first, most) = self.care.as_ref()?.backoff?;
        Some(first.saturating_mul(2_u32.saturating_pow(done)).min(most))
    }

    /// Tells of a restart; a panic in the hook changes nothing.
    pub(crate) fn tell(&mut self, restart: &Restart) {
        if let Some(hook) = self.care.as_mut().and_then(|care| care.on_restart.as_mut()) {
            let _ = catch_unwind(AssertUnwindSafe(|| hook(restart)));
        }
    }

    /// Counts a call that may have changed the state, and saves it when it is time.
    ///
    /// # Errors
    ///
    /// The panic of the actor's `checkpoint`.
    pub(crate) fn changed(&mut self, state: &A) -> Result<()> {
        let Some(Care { save: Some(save), save_every, unsaved, .. }) = self.care.as_deref_mut() else {
            return Ok(());
        };
        *unsaved += 1;
        if *unsaved < *save_every {
            return Ok(());
        }
        *unsaved = 0;
        catch_unwind(AssertUnwindSafe(|| save(state)))
            .map_err(|payload| Error::panicked(format!("`checkpoint` of {}", A::NAME), &*payload))
    }
}
