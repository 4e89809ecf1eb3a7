//! Which runtime a future runs on, and how a light one stays prompt.
//!
//! ```text
//!   promptly: thread in `block_on` ── has to wait ──> light runtime ── polled for 20 ms and not ready ──> CPU runtime
//! ```
//!
//! Whoever floods the workers and the CPU runtime keeps their threads busy; those of the light runtime are
//! others, so the system's scheduler lets them go first. What is light is not known before it has run: so a
//! future is polled there until it has used its time, and is carried over between two polls. Actors and timers have
//! threads of their own again, the control runtime: one that has just computed for some milliseconds has used its share,
//! and would answer as late as the busy ones.
//!
//! To hand a future to another thread and to be woken when it is done costs some ten microseconds each, as much as a
//! small query computes. A thread that does nothing but wait in [`Engine::block_on`] is as good as one of the light
//! runtime: so the future begins there, and moves when it really has to wait for something. The threads of other
//! executors are their own; nothing is run on them.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::runtime::wait::is_lent;
use crate::runtime::{at_home, shut_down};

/// What a light future may use of a thread of the light runtime, all polls together.
const LIGHT: Duration = Duration::from_millis(20);

pub(crate) struct AbortOnDrop<T>(pub tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> AbortOnDrop<T> {
    async fn output(mut self) -> Result<T> {
        match (&mut self.0).await {
            Ok(output) => Ok(output),
            Err(error) if error.is_panic() => Err(Error::panicked("query", &*error.into_panic())),
            Err(_) => Err(shut_down()),
        }
    }
}

impl Engine {
    /// Runs a future on the CPU runtime. Can be awaited from any executor; dropping it stops the work.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown) if the engine is or gets shut down,
    /// [`ErrorKind::Panicked`](crate::ErrorKind::Panicked).
    pub async fn on_cpu<F>(&self, future: F) -> Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.check_up()?;
        AbortOnDrop(self.cpu().spawn(future)).output().await
    }

    /// As [`Engine::on_cpu`], for work that is expected to be short: it begins on a runtime of its own, where it
    /// is prompt whatever keeps the workers busy, and moves to the CPU runtime when it has computed for 20 ms.
    /// What the future spawns with tokio stays where it was spawned. Below [`Engine::block_on`] on a thread that is not
    /// the engine's, that thread does what can be done without waiting.
    ///
    /// # Errors
    ///
    /// As [`Engine::on_cpu`].
    ///
    /// # Examples
    ///
    /// ```
    /// let engine = trefoil_core::Engine::new()?;
    /// assert_eq!(engine.block_on(engine.promptly(async { 6 * 7 }))?, 42);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub async fn promptly<F>(&self, future: F) -> Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.check_up()?;
        let (mut future, mut used) = (Box::pin(future), Duration::ZERO);
        if is_lent() {
            match self.begin_here(future)? {
                (Light::Done(output), _) => return Ok(output),
                (Light::Heavy(rest), spent) if spent >= LIGHT => return self.on_cpu(rest).await,
                (Light::Heavy(rest), spent) => (future, used) = (rest, spent),
            }
        }
        match AbortOnDrop(self.light().spawn(light(future, used))).output().await? {
            Light::Done(output) => Ok(output),
            Light::Heavy(rest) => self.on_cpu(rest).await,
        }
    }

    /// Polls a future on the calling thread as long as it only gives way, and says how long that took.
    fn begin_here<F: Future>(&self, mut future: Pin<Box<F>>) -> Result<(Light<F>, Duration)> {
        let again = Arc::new(Again::default());
        let waker = Waker::from(Arc::clone(&again));
        let mut context = Context::from_waker(&waker);
        // Timers and sockets are the light runtime's, and what is spawned runs there.
        let _runtime = self.light().enter();
        let begin = Instant::now();
        loop {
            let poll = || at_home(self.pool().home(), || future.as_mut().poll(&mut context));
            match catch_unwind(AssertUnwindSafe(poll)) {
                Err(payload) => return Err(Error::panicked("query", &*payload)),
                Ok(Poll::Ready(output)) => return Ok((Light::Done(output), begin.elapsed())),
                Ok(Poll::Pending) => {}
            }
            let spent = begin.elapsed();
            if !again.0.swap(false, Ordering::Acquire) || spent >= LIGHT {
                return Ok((Light::Heavy(future), spent));
            }
        }
    }

    /// Runs work that may block its thread on a thread of the control runtime, beside the engine's workers.
    /// The work begins at once; dropping the future does not stop it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown) if the engine is shut down before the work has
    /// begun, [`ErrorKind::Panicked`](crate::ErrorKind::Panicked).
    ///
    /// # Examples
    ///
    /// ```
    /// let engine = trefoil_core::Engine::new()?;
    /// let lines = engine.run_blocking(|| "a\nb".lines().count());
    /// assert_eq!(engine.block_on(lines)?, 2);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn run_blocking<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let task = self.control().spawn_blocking(work);
        async move {
            task.await.map_err(|error| match error.try_into_panic() {
                Ok(payload) => Error::panicked("blocking work", &*payload),
                Err(_) => shut_down(),
            })
        }
    }
}

enum Light<F: Future> {
    Done(F::Output),
    /// It has used its time and goes on elsewhere; its next poll registers with that task.
    Heavy(Pin<Box<F>>),
}

/// Whether a future was woken while it was polled: then it gave way and waits for nobody.
#[derive(Default)]
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

async fn light<F: Future>(future: Pin<Box<F>>, mut used: Duration) -> Light<F> {
    let mut future = Some(future);
    poll_fn(move |cx| {
        let Some(mut running) = future.take() else { return Poll::Pending };
        let begin = Instant::now();
        if let Poll::Ready(output) = running.as_mut().poll(cx) {
            return Poll::Ready(Light::Done(output));
        }
        used += begin.elapsed();
        if used >= LIGHT {
            return Poll::Ready(Light::Heavy(running));
        }
        future = Some(running);
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    fn here() -> String {
        current().name().unwrap_or_default().to_owned()
    }

    /// Computes until nobody would call it light.
    async fn long() -> (String, String) {
        let first = here();
        let begin = Instant::now();
        while begin.elapsed() < LIGHT {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
        (first, here())
    }

    #[test]
    fn a_light_future_stays_and_a_heavy_one_moves() {
        let engine = Engine::builder().name("place").workers(1).build().unwrap();
        let (first, last) = futures::executor::block_on(engine.promptly(long())).unwrap();
        assert_eq!((&*first, &*last), ("place-light", "place-cpu"));
        let place = futures::executor::block_on(engine.promptly(async { here() })).unwrap();
        assert_eq!(place, "place-light");
    }

    #[test]
    fn a_thread_in_block_on_does_what_needs_no_waiting() {
        let engine = Engine::builder().name("lent").workers(1).build().unwrap();
        let mine = here();
        let (first, again, spawned) = engine
            .block_on(engine.promptly(async move {
                let first = here();
                tokio::task::yield_now().await;
                let again = here();
                // What is spawned belongs to the engine, which is the one that runs this.
                assert_eq!(Engine::current().unwrap().name(), "lent");
                (first, again, tokio::spawn(async { here() }).await.unwrap())
            }))
            .unwrap();
        assert_eq!((first, again, &*spawned), (mine.clone(), mine.clone(), "lent-light"));
        // What waits for something goes on where it can be polled again; so does what begins there.
        let inner = engine.clone();
        let places = engine.block_on(engine.promptly(async move {
            let first = here();
            let mut waited = false;
            std::future::poll_fn(|_| match std::mem::replace(&mut waited, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            [first, here(), inner.promptly(async { here() }).await.unwrap()]
        }));
        assert_eq!(places.unwrap(), [mine.clone(), "lent-light".to_owned(), "lent-light".to_owned()]);
        assert!(Engine::current().is_err());
        let (first, last) = engine.block_on(engine.promptly(long())).unwrap();
        assert_eq!((first, &*last), (mine.clone(), "lent-cpu"));
        // Not on the threads of others, and not where a wait has an end.
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(other.block_on(engine.promptly(async { here() })).unwrap(), "lent-light");
        let end = Duration::from_secs(600);
        let place = crate::block_on_timeout(engine.promptly(async { here() }), end);
        assert_eq!(place.unwrap().unwrap(), "lent-light");
        // Its timers are the engine's.
        let timed = engine.block_on(engine.promptly(async {
            tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err()
        }));
        assert!(timed.unwrap());
        // Dropped while it waits, it is dropped.
        let kept = Arc::new(());
        let weak = Arc::downgrade(&kept);
        engine.block_on(async {
            let waits = engine.promptly(async move {
                std::future::pending::<()>().await;
                drop(kept);
            });
            futures::future::select(std::pin::pin!(waits), futures::future::ready(())).await;
        });
        while weak.upgrade().is_some() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_panic_and_a_shutdown_are_errors() {
        use crate::error::ErrorKind;
        let engine = Engine::builder().workers(1).build().unwrap();
        let panicked: Result<()> = engine.block_on(engine.promptly(async { panic!("in there") }));
        assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Panicked);
        engine.shutdown();
        assert_eq!(engine.block_on(engine.promptly(async {})).unwrap_err().kind(), ErrorKind::ShutDown);
    }
}
