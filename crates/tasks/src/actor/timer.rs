//! Calls that an actor gets after a time, or again and again.
//!
//! A timer is a small task of the control runtime. It holds the actor weakly and ends with it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::select;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval_at, sleep};
use trefoil_core::{Engine, Error, ErrorKind, Ref, Result};

use super::Actor;
use super::handle::{ActorHandle, WeakHandle};
use super::mailbox::Core;

/// A timer of an actor; from [`ActorHandle::every`] and [`ActorHandle::after`]. Dropping it leaves it running.
#[derive(Clone, Debug)]
pub struct Timer(AbortHandle);

impl Timer {
    /// Makes no further call. Calls made already are not taken back.
    pub fn cancel(&self) {
        self.0.abort();
    }

    /// Whether it will make no further call: cancelled, done, or its actor has ended.
    pub fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

fn engine<A: Actor>(core: &Core<A>) -> Result<Engine> {
    core.engine
        .upgrade()
        .filter(|engine| !engine.is_shut_down())
        .ok_or_else(|| Error::new(ErrorKind::ShutDown, "timer", "the engine has been shut down"))
}

pub(crate) fn every<A: Actor, T: Send + Sync + 'static>(
    core: &Arc<Core<A>>,
    period: Duration,
    call: impl Fn(&ActorHandle<A>) -> Ref<T> + Send + 'static,
) -> Result<Timer> {
    if period.is_zero() {
        return Err(Error::new(ErrorKind::InvalidArgument, "timer", "a period of 0 would never pause"));
    }
    let weak = WeakHandle::new(Arc::clone(core));
    let ticks = async move {
        let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last: Option<Ref<T>> = None;
        loop {
            ticks.tick().await;
            if last.as_ref().is_some_and(|last| !last.is_done()) {
                continue;
            }
            let Some(handle) = weak.upgrade().filter(ActorHandle::is_alive) else { return };
            last = Some(call(&handle));
        }
    };
    Ok(start(&engine(core)?, core, ticks))
}

pub(crate) fn after<A: Actor, T: Send + Sync + 'static>(
    core: &Arc<Core<A>>,
    delay: Duration,
    call: impl FnOnce(&ActorHandle<A>) -> Ref<T> + Send + 'static,
) -> Result<Timer> {
    let weak = WeakHandle::new(Arc::clone(core));
    let once = async move {
        sleep(delay).await;
        if let Some(handle) = weak.upgrade() {
            drop(call(&handle));
        }
    };
    Ok(start(&engine(core)?, core, once))
}

/// Runs the timer until it or its actor ends.
fn start<A: Actor>(
    engine: &Engine,
    core: &Arc<Core<A>>,
    timer: impl Future<Output = ()> + Send + 'static,
) -> Timer {
    let core = Arc::clone(core);
    let task = engine.control().spawn(async move {
        let ended = std::pin::pin!(core.life.wait_over());
        let timer = std::pin::pin!(timer);
        // Whichever comes first.
        let _ = select(ended, timer).await;
    });
    Timer(task.abort_handle())
}
