//! Waiting for several refs: the first of two, both, all of a list within a time.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::refs::{Ref, Value};

/// Which of two refs was done first; from [`Engine::select`].
#[derive(Clone, Debug)]
pub enum Either<A, B> {
    /// The first one.
    First(A),
    /// The second one.
    Second(B),
}

impl Engine {
    /// Waits for the first of two refs to be done, failed or not. The other goes on.
    ///
    /// If both are done, the first one is given.
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::{Either, Engine, Ref};
    ///
    /// let engine = Engine::new()?;
    /// let (_promise, never) = Ref::<i64>::promise("never");
    /// let answer = engine.spawn_fn(|| "here".to_owned());
    /// match engine.block_on(engine.select(&never, &answer)) {
    ///     Either::First(_) => unreachable!(),
    ///     Either::Second(text) => assert_eq!(*text?, "here"),
    /// }
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub async fn select<A: Send + Sync + 'static, B: Send + Sync + 'static>(
        &self,
        first: &Ref<A>,
        second: &Ref<B>,
    ) -> Either<Result<Value<A>>, Result<Value<B>>> {
        let is_first = poll_fn(|context| {
            if first.poll_done(context).is_ready() {
                Poll::Ready(true)
            } else {
                second.poll_done(context).map(|()| false)
            }
        })
        .await;
        if is_first { Either::First(first.value().await) } else { Either::Second(second.value().await) }
    }

    /// Waits for both refs.
    ///
    /// # Errors
    ///
    /// The first error seen; the other work goes on.
    pub async fn join<A: Clone, B: Clone>(&self, first: Ref<A>, second: Ref<B>) -> Result<(A, B)> {
        futures::future::try_join(first, second).await
    }

    /// [`Engine::wait`] that takes the refs which are done out of the list, so that the others are not copied: for
    /// loops that wait again and again.
    ///
    /// # Errors
    ///
    /// As [`Engine::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::Engine;
    ///
    /// let engine = Engine::new()?;
    /// let mut rest: Vec<_> = (0..100).map(|i| engine.spawn_fn(move || i)).collect();
    /// let mut sum = 0;
    /// while !rest.is_empty() {
    ///     for done in engine.block_on(engine.take_done(&mut rest, 1, None))? {
    ///         sum += done.get()?;
    ///     }
    /// }
    /// assert_eq!(sum, 4950);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub async fn take_done<T: Send + Sync + 'static>(
        &self,
        refs: &mut Vec<Ref<T>>,
        count: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<Ref<T>>> {
        let mut places = self.places_of_done(refs, count, timeout).await?;
        places.sort_unstable();
        let mut done = Vec::with_capacity(places.len());
        // From the back, so that the places before stay what they are.
        for place in places.into_iter().rev() {
            done.push(refs.remove(place));
        }
        done.reverse();
        Ok(done)
    }

    /// Awaits all refs and returns their values in order, waiting for `timeout` at most. The work goes on
    /// after a time-out.
    ///
    /// # Errors
    ///
    /// The first error seen, at once; [`ErrorKind::TimedOut`], with how many were not done.
    pub async fn gather_timeout<T: Clone + Send + Sync + 'static>(
        &self,
        refs: &[Ref<T>],
        timeout: Duration,
    ) -> Result<Vec<T>> {
        let all = self.gather(refs.iter().cloned());
        let timer = self.timer(timeout);
        match futures::future::select(std::pin::pin!(all), std::pin::pin!(timer)).await {
            futures::future::Either::Left((values, _)) => values,
            futures::future::Either::Right(_) => {
                let waiting = refs.iter().filter(|one| !one.is_done()).count();
                let message = format!("{waiting} of {} refs are not done within {timeout:?}", refs.len());
                Err(Error::new(ErrorKind::TimedOut, "gather", message)
                    .with_help("the work goes on: wait again, or stop it with `cancel`"))
            }
        }
    }
}
