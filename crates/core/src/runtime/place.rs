//! Which runtime a future runs on, and how a light one stays prompt.
//!
//! ```text
//!   promptly: control runtime ── polled for 20 ms and not ready ──> CPU runtime
//! ```
//!
//! Whoever floods the workers and the CPU runtime keeps their threads busy; those of the control runtime are
//! others, so the system's scheduler lets them go first. What is light is not known before it has run: so a
//! future is polled there until it has used its time, and is carried over between two polls.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::runtime::shut_down;

/// What a light future may use of a thread of the control runtime, all polls together.
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

    /// As [`Engine::on_cpu`], for work that is expected to be short: it begins on the control runtime, where it
    /// is prompt whatever keeps the workers busy, and moves to the CPU runtime when it has computed for 20 ms.
    /// What the future spawns with tokio stays where it was spawned.
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
        match AbortOnDrop(self.control().spawn(light(Box::pin(future)))).output().await? {
            Light::Done(output) => Ok(output),
            Light::Heavy(rest) => self.on_cpu(rest).await,
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

async fn light<F: Future>(future: Pin<Box<F>>) -> Light<F> {
    let mut future = Some(future);
    let mut used = Duration::ZERO;
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

    #[test]
    fn a_light_future_stays_and_a_heavy_one_moves() {
        let engine = Engine::builder().name("place").workers(1).build().unwrap();
        let (first, last) = engine
            .block_on(engine.promptly(async {
                let first = here();
                let begin = Instant::now();
                while begin.elapsed() < LIGHT {
                    std::hint::spin_loop();
                }
                tokio::task::yield_now().await;
                (first, here())
            }))
            .unwrap();
        assert_eq!((&*first, &*last), ("place-control", "place-cpu"));
        assert_eq!(engine.block_on(engine.promptly(async { here() })).unwrap(), "place-control");
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
