//! Waiting for several refs at once: each is registered once, and tells its number when it is done.
//!
//! Whoever waits is woken once per completion and takes what has arrived; nothing looks at the refs again,
//! so waiting for n refs costs n however they are taken. What is still registered at the end is taken back.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::Stream;
use parking_lot::Mutex;

use super::cell::{Collector, Waiter};
use super::reference::Ref;

/// The numbers of refs that are done, until somebody takes them.
#[derive(Default)]
struct Arrivals(Mutex<(VecDeque<usize>, Option<Waker>)>);

impl Collector for Arrivals {
    fn collect(&self, number: usize) {
        let mut arrivals = self.0.lock();
        arrivals.0.push_back(number);
        let waker = arrivals.1.take();
        drop(arrivals);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Arrivals {
    fn poll(&self, context: &Context<'_>) -> Poll<usize> {
        let mut arrivals = self.0.lock();
        match arrivals.0.pop_front() {
            Some(number) => Poll::Ready(number),
            None => {
                arrivals.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Registers with a ref that is number `number`; one that is done arrives at once.
    fn register<T>(self: &Arc<Self>, reference: &Ref<T>, number: usize) {
        let collector = Arc::clone(self) as Arc<dyn Collector>;
        if reference.cell().base().register(Waiter::Collector(collector, number)).is_some() {
            self.collect(number);
        }
    }

    fn unregister<T>(self: &Arc<Self>, reference: &Ref<T>) {
        if !reference.is_done() {
            reference.cell().base().unregister(&(Arc::clone(self) as Arc<dyn Collector>));
        }
    }
}

/// Refs in the order in which they are done, with their numbers: what
/// [`Engine::as_completed`](crate::Engine::as_completed) gives.
///
/// A stream; it can be dropped at any time, the work goes on.
#[must_use = "a stream does nothing unless polled"]
pub struct Completed<T> {
    arrivals: Arc<Arrivals>,
    /// Empty where a ref has been given out.
    refs: Vec<Option<Ref<T>>>,
    left: usize,
}

impl<T> Completed<T> {
    pub(crate) fn new(refs: impl IntoIterator<Item = Ref<T>>) -> Self {
        let refs: Vec<_> = refs.into_iter().map(Some).collect();
        let arrivals = Arc::<Arrivals>::default();
        for (number, reference) in refs.iter().flatten().enumerate() {
            arrivals.register(reference, number);
        }
        let left = refs.len();
        Self { arrivals, refs, left }
    }

    /// How many refs are still to come.
    pub fn remaining(&self) -> usize {
        self.left
    }
}

impl<T> Stream for Completed<T> {
    type Item = (usize, Ref<T>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while self.left > 0 {
            match self.arrivals.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(number) => {
                    if let Some(reference) = self.refs[number].take() {
                        self.left -= 1;
                        return Poll::Ready(Some((number, reference)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> Drop for Completed<T> {
    fn drop(&mut self) {
        if self.left > 0 {
            self.refs.iter().flatten().for_each(|reference| self.arrivals.unregister(reference));
        }
    }
}

impl<T> fmt::Debug for Completed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Completed({} of {} left)", self.left, self.refs.len())
    }
}

/// Waits until `done` holds the numbers of `count` refs that are done, in the order of their completion;
/// those in `done` already are known to be. Dropped early, `done` holds what has been seen.
pub(crate) async fn wait_for<T>(refs: &[Ref<T>], done: &mut Vec<usize>, count: usize) {
    struct Registered<'a, T>(Arc<Arrivals>, &'a [Ref<T>]);
    impl<T> Drop for Registered<'_, T> {
        fn drop(&mut self) {
            self.1.iter().for_each(|reference| self.0.unregister(reference));
        }
    }
    let registered = Registered(Arc::default(), refs);
    let mut listed = vec![false; refs.len()];
    done.iter().for_each(|&number| listed[number] = true);
    for (number, reference) in refs.iter().enumerate().filter(|(number, _)| !listed[*number]) {
        registered.0.register(reference, number);
    }
    while done.len() < count {
        done.push(std::future::poll_fn(|context| registered.0.poll(context)).await);
    }
}
