//! Pools of equal actors that share a stream of work: each has one call at a time.
//!
//! A pool lends idle actors. A map takes one per item, calls it, and gives it back with the answer. It is
//! driven by whoever takes its results, so nothing runs ahead of an unread map by more than its actors and,
//! in order, a bounded number of answers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, Stream, StreamExt};
use parking_lot::Mutex;
use trefoil_core::{Engine, Error, ErrorKind, Ref, Result};

use super::Actor;
use super::handle::ActorHandle;

/// Answers that an ordered map keeps per actor while an earlier one is missing.
const AHEAD: usize = 64;

type Make<A> = Box<dyn Fn() -> Result<ActorHandle<A>> + Send + Sync>;

struct State<A: Actor> {
    idle: VecDeque<ActorHandle<A>>,
    /// Idle and lent.
    total: usize,
    waiters: Vec<Waker>,
}

struct Shared<A: Actor> {
    engine: Engine,
    state: Mutex<State<A>>,
    /// How many there are at least and at most, and what makes more.
    scale: Option<(RangeInclusive<usize>, Make<A>)>,
}

/// Equal actors that share work, one call at a time each.
///
/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use trefoil_tasks::{ActorPool, ActorSession, Engine, actor};
///
/// struct Squarer;
///
/// #[actor]
/// impl Squarer {
///     pub fn square(&mut self, n: u64) -> u64 {
///         n * n
///     }
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
/// let make = engine.clone();
/// let pool = ActorPool::scaled(&engine, 1..=3, move || make.actor(Squarer).spawn())?;
/// let squares: Vec<u64> =
///     pool.map(1..=4_u64, |actor, n| actor.square(n)).into_iter().collect::<Result<_, _>>()?;
/// assert_eq!(squares, [1, 4, 9, 16]);
/// # Ok(())
/// # }
/// ```
pub struct ActorPool<A: Actor>(Arc<Shared<A>>);

impl<A: Actor> Clone for ActorPool<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> std::fmt::Debug for ActorPool<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ActorPool({} of {}, {} idle)", self.len(), A::NAME, self.idle())
    }
}

impl<A: Actor> ActorPool<A> {
    /// A pool of these actors.
    pub fn new(engine: &Engine, actors: impl IntoIterator<Item = ActorHandle<A>>) -> Self {
        let idle: VecDeque<_> = actors.into_iter().collect();
        let state = State { total: idle.len(), idle, waiters: Vec::new() };
        Self(Arc::new(Shared { engine: engine.clone(), state: Mutex::new(state), scale: None }))
    }

    /// A pool that starts with the lower number of actors, makes more while there is work that all are too
    /// busy for, up to the upper number, and goes back to the lower one when a map has ended. Actors that
    /// have died are replaced.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for bounds without a number above 0 between them, and the first error
    /// of `make`.
    pub fn scaled(
        engine: &Engine,
        bounds: RangeInclusive<usize>,
        make: impl Fn() -> Result<ActorHandle<A>> + Send + Sync + 'static,
    ) -> Result<Self> {
        if bounds.is_empty() || *bounds.end() == 0 {
            let message = format!("a pool of {} to {} actors", bounds.start(), bounds.end());
            return Err(Error::new(ErrorKind::InvalidArgument, "pool", message)
                .with_help("give bounds such as 1..=4"));
        }
        let idle = (0..*bounds.start()).map(|_| make()).collect::<Result<VecDeque<_>>>()?;
        let state = State { total: idle.len(), idle, waiters: Vec::new() };
        let scale = Some((bounds, Box::new(make) as Make<A>));
        Ok(Self(Arc::new(Shared { engine: engine.clone(), state: Mutex::new(state), scale })))
    }

    /// How many actors there are, lent ones included.
    pub fn len(&self) -> usize {
        self.0.state.lock().total
    }

    /// Whether there is no actor.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many actors have nothing to do.
    pub fn idle(&self) -> usize {
        self.0.state.lock().idle.len()
    }

    /// Adds an actor.
    pub fn push(&self, actor: ActorHandle<A>) {
        self.0.state.lock().total += 1;
        self.0.give_back(actor);
    }

    /// Takes an idle actor out of the pool, if there is one.
    pub fn pop_idle(&self) -> Option<ActorHandle<A>> {
        let mut state = self.0.state.lock();
        let actor = state.idle.pop_front()?;
        state.total -= 1;
        Some(actor)
    }

    /// Calls an actor with each item; answers come in the order of the items.
    ///
    /// The result is a stream, and an iterator that blocks.
    pub fn map<I, T, F>(&self, items: I, call: F) -> PoolResults<A, T>
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        T: Clone + Send + Sync + 'static,
        F: FnMut(&ActorHandle<A>, I::Item) -> Ref<T> + Send + 'static,
    {
        self.results(items, call, Some(BTreeMap::new()))
    }

    /// Calls an actor with each item; answers come as they are found.
    ///
    /// The result is a stream, and an iterator that blocks.
    pub fn map_unordered<I, T, F>(&self, items: I, call: F) -> PoolResults<A, T>
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        T: Clone + Send + Sync + 'static,
        F: FnMut(&ActorHandle<A>, I::Item) -> Ref<T> + Send + 'static,
    {
        self.results(items, call, None)
    }

    fn results<I, T, F>(
        &self,
        items: I,
        mut call: F,
        order: Option<BTreeMap<u64, Result<T>>>,
    ) -> PoolResults<A, T>
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        T: Clone + Send + Sync + 'static,
        F: FnMut(&ActorHandle<A>, I::Item) -> Ref<T> + Send + 'static,
    {
        let mut items = items.into_iter();
        let next = move |actor: &ActorHandle<A>| items.next().map(|item| call(actor, item));
        PoolResults {
            pool: Arc::clone(&self.0),
            next: Some(Box::new(next)),
            running: FuturesUnordered::new(),
            order,
            begun: 0,
            given: 0,
        }
    }
}

impl<A: Actor> Shared<A> {
    /// Lends an actor, makes one, or remembers who waits.
    fn poll_lend(&self, waker: &Waker) -> Poll<Result<ActorHandle<A>>> {
        let mut state = self.state.lock();
        while let Some(actor) = state.idle.pop_front() {
            if actor.is_alive() {
                return Poll::Ready(Ok(actor));
            }
            state.total -= 1;
        }
        if let Some((bounds, make)) = &self.scale
            && state.total < *bounds.end()
        {
            state.total += 1;
            drop(state);
            let made = make();
            if made.is_err() {
                self.state.lock().total -= 1;
            }
            return Poll::Ready(made);
        }
        if state.total == 0 {
            let message = format!("no actor of type {} is left in the pool", A::NAME);
            return Poll::Ready(Err(Error::new(ErrorKind::ActorDead, "pool", message)
                .with_help("`push` one, or make the pool with `scaled`, which replaces those that die")));
        }
        if !state.waiters.iter().any(|known| known.will_wake(waker)) {
            state.waiters.push(waker.clone());
        }
        Poll::Pending
    }

    fn give_back(&self, actor: ActorHandle<A>) {
        let mut state = self.state.lock();
        if actor.is_alive() {
            state.idle.push_back(actor);
        } else {
            state.total -= 1;
        }
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Lets go of idle actors beyond the lower bound.
    fn shrink(&self) {
        let Some((bounds, _)) = &self.scale else { return };
        let mut surplus = Vec::new();
        let mut state = self.state.lock();
        while state.total > *bounds.start()
            && let Some(actor) = state.idle.pop_back()
        {
            state.total -= 1;
            surplus.push(actor);
        }
        drop(state);
    }
}

/// An actor that is lent; it goes back however its call ends.
struct Lent<A: Actor> {
    pool: Arc<Shared<A>>,
    actor: Option<ActorHandle<A>>,
}

impl<A: Actor> Drop for Lent<A> {
    fn drop(&mut self) {
        if let Some(actor) = self.actor.take() {
            self.pool.give_back(actor);
        }
    }
}

type Next<A, T> = Box<dyn FnMut(&ActorHandle<A>) -> Option<Ref<T>> + Send>;

/// The answers of a map over a pool: a [`Stream`], or with `for` and `into_iter` an iterator that blocks.
///
/// After an error the map goes on. Dropped, it makes no further call; those made run to their end.
#[must_use = "a map calls actors as its results are taken"]
pub struct PoolResults<A: Actor, T> {
    pool: Arc<Shared<A>>,
    /// Makes the next call; none when the items are used up.
    next: Option<Next<A, T>>,
    running: FuturesUnordered<BoxFuture<'static, (u64, Result<T>)>>,
    /// Answers that wait for earlier ones; none if order does not matter.
    order: Option<BTreeMap<u64, Result<T>>>,
    begun: u64,
    given: u64,
}

impl<A: Actor, T: Clone + Send + Sync + 'static> PoolResults<A, T> {
    /// Begins as many calls as there are actors for.
    fn begin(&mut self, context: &mut Context<'_>) {
        loop {
            let Some(next) = &mut self.next else { return };
            let kept = self.order.as_ref().map_or(0, BTreeMap::len);
            if kept > 0 && kept >= AHEAD * self.running.len().max(1) {
                return;
            }
            let number = self.begun;
            let (answer, lent) = match self.pool.poll_lend(context.waker()) {
                Poll::Pending => return,
                Poll::Ready(Err(error)) => {
                    // An answer like any other; then there is nobody to go on with.
                    self.next = None;
                    (Ref::failed(error), None)
                }
                Poll::Ready(Ok(actor)) => {
                    let lent = Lent { pool: Arc::clone(&self.pool), actor: Some(actor) };
                    match lent.actor.as_ref().and_then(next) {
                        Some(answer) => (answer, Some(lent)),
                        None => {
                            self.next = None;
                            return;
                        }
                    }
                }
            };
            self.begun += 1;
            self.running.push(Box::pin(async move {
                let answer = answer.await;
                drop(lent);
                (number, answer)
            }));
        }
    }
}

impl<A: Actor, T: Clone + Send + Sync + 'static> Stream for PoolResults<A, T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        loop {
            if let Some(order) = &mut this.order
                && let Some(answer) = order.remove(&this.given)
            {
                this.given += 1;
                return Poll::Ready(Some(answer));
            }
            this.begin(context);
            match this.running.poll_next_unpin(context) {
                Poll::Ready(Some((number, answer))) => match &mut this.order {
                    Some(order) => drop(order.insert(number, answer)),
                    None => return Poll::Ready(Some(answer)),
                },
                Poll::Ready(None) if this.next.is_none() => {
                    this.pool.shrink();
                    return Poll::Ready(None);
                }
                // Its actors are lent to another map: `begin` has left word.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<A: Actor, T> Unpin for PoolResults<A, T> {}

impl<A: Actor, T> Drop for PoolResults<A, T> {
    fn drop(&mut self) {
        self.running.clear();
        self.pool.shrink();
    }
}

impl<A: Actor, T: Clone + Send + Sync + 'static> IntoIterator for PoolResults<A, T> {
    type Item = Result<T>;
    type IntoIter = PoolIter<A, T>;

    fn into_iter(self) -> PoolIter<A, T> {
        PoolIter(self)
    }
}

/// The answers of a map over a pool; blocks until the next is there.
pub struct PoolIter<A: Actor, T>(PoolResults<A, T>);

impl<A: Actor, T: Clone + Send + Sync + 'static> Iterator for PoolIter<A, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let engine = self.0.pool.engine.clone();
        engine.block_on(self.0.next())
    }
}
