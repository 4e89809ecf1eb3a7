//! A gang that is reserved, and the seats in its bundles.
//!
//! A seat is a share of one bundle; who wants one waits in the line of that bundle, from before the gang is
//! placed. A gang that is removed gives seats to nobody, stops what runs on its seats, and gives its amounts
//! back when the last of them is free, so that a node is never charged twice.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use trefoil_core::{Arg, Call, Engine, Error, ErrorKind, Input, Promise, Ref, Result, TaskSpec};

use super::bundle::{Amounts, Bundle, CPUS, fits, give, take};
use super::nodes::Shared;

/// Someone who waits for a seat.
struct Waiting {
    bundle: usize,
    need: Amounts,
    promise: Promise<Arc<Seat>>,
}

type Stop = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    /// The node of each bundle, once it is placed.
    nodes: Option<Vec<String>>,
    removed: bool,
    free: Vec<Amounts>,
    waiting: VecDeque<Waiting>,
    /// Seats that are taken, and how to stop what runs on them.
    seats: HashMap<u64, Option<Stop>>,
    last: u64,
    ready: Option<Promise<()>>,
}

/// A gang: its bundles, its place, its seats.
pub(super) struct Gang {
    shared: Arc<Shared>,
    number: u64,
    bundles: Vec<Amounts>,
    ready: Ref<()>,
    state: Mutex<State>,
}

fn removed() -> Error {
    Error::new(ErrorKind::Cancelled, "placement group", "the group was removed")
}

impl Gang {
    pub(super) fn new(shared: Arc<Shared>, number: u64, bundles: Vec<Amounts>) -> Self {
        let (promise, ready) = Ref::promise("placement group");
        let state = State { free: bundles.clone(), ready: Some(promise), ..State::default() };
        Self { shared, number, bundles, ready, state: Mutex::new(state) }
    }

    /// The ledger has found a place for every bundle.
    pub(super) fn placed(self: &Arc<Self>, nodes: Vec<String>) {
        let mut state = self.state.lock();
        state.nodes = Some(nodes);
        let ready = state.ready.take();
        drop(state);
        if let Some(ready) = ready {
            ready.fulfil(Ok(()));
        }
        self.admit();
    }

    fn request(self: &Arc<Self>, bundle: usize, need: Amounts) -> Ref<Arc<Seat>> {
        let (promise, seat) = Ref::promise("seat");
        let mut state = self.state.lock();
        if state.removed {
            drop(state);
            promise.pass_on(removed());
            return seat;
        }
        state.waiting.push_back(Waiting { bundle, need, promise });
        drop(state);
        self.admit();
        seat
    }

    /// Gives seats to those at the head of each bundle's line. Promises are kept without the lock: a seat that
    /// nobody wants any more comes back at once.
    fn admit(self: &Arc<Self>) {
        let mut given = Vec::new();
        {
            let mut state = self.state.lock();
            if state.nodes.is_none() || state.removed {
                return;
            }
            let mut blocked = vec![false; self.bundles.len()];
            for waiting in std::mem::take(&mut state.waiting) {
                if waiting.promise.is_cancelled() {
                    continue;
                }
                if blocked[waiting.bundle] || !fits(&waiting.need, &state.free[waiting.bundle]) {
                    blocked[waiting.bundle] = true;
                    state.waiting.push_back(waiting);
                    continue;
                }
                let Waiting { bundle, need, promise } = waiting;
                take(&need, &mut state.free[bundle]);
                let number = state.last;
                state.last += 1;
                state.seats.insert(number, None);
                given.push((promise, Seat { gang: Arc::clone(self), bundle, need, number }));
            }
        }
        given.into_iter().for_each(|(promise, seat)| promise.fulfil(Ok(Arc::new(seat))));
    }

    fn remove(&self) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.removed, true) {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        let ready = state.ready.take();
        let stops: Vec<Stop> = state.seats.values_mut().filter_map(Option::take).collect();
        let idle = state.seats.is_empty();
        drop(state);
        if idle {
            self.shared.release(self.number);
        }
        stops.iter().for_each(|stop| stop());
        waiting.into_iter().for_each(|waiting| waiting.promise.pass_on(removed()));
        if let Some(ready) = ready {
            ready.pass_on(removed());
        }
    }
}

impl Drop for Gang {
    fn drop(&mut self) {
        // Seats hold the gang, so none is out. Twice is no harm.
        self.shared.release(self.number);
    }
}

/// A gang of bundles on virtual nodes; from [`Nodes::reserve`](super::Nodes::reserve).
///
/// A clone is the same group. Its amounts go back when it is removed, or when no handle, no seat and nothing
/// that waits for a seat is left.
#[derive(Clone)]
pub struct PlacementGroup(Arc<Gang>);

impl PlacementGroup {
    pub(super) fn new(gang: Arc<Gang>) -> Self {
        Self(gang)
    }

    /// Completes when every bundle has its place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cancelled`] if the group is removed.
    pub fn ready(&self) -> impl Future<Output = Result<()>> + Send + use<> {
        self.0.ready.clone()
    }

    /// Whether every bundle has its place.
    pub fn is_ready(&self) -> bool {
        self.0.state.lock().nodes.is_some()
    }

    /// The node of each bundle, once all have their place.
    pub fn nodes(&self) -> Option<Vec<String>> {
        self.0.state.lock().nodes.clone()
    }

    /// How many bundles there are.
    pub fn len(&self) -> usize {
        self.0.bundles.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.bundles.is_empty()
    }

    /// A bundle, to run things in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if there is no such bundle.
    pub fn bundle(&self, index: usize) -> Result<Slot> {
        let Some(amounts) = self.0.bundles.get(index) else {
            let message = format!("there is no bundle {index} in a group of {}", self.len());
            return Err(Error::new(ErrorKind::InvalidArgument, "placement group", message));
        };
        // As in Ray, a task takes one cpu unless it says otherwise.
        let cpus = amounts.get(CPUS).map_or(0, |cpus| (*cpus).min(10_000));
        let need = Amounts::from_iter((cpus > 0).then(|| (CPUS.to_owned(), cpus)));
        Ok(Slot { gang: Arc::clone(&self.0), bundle: index, need })
    }

    /// Removes the group: what waits in it fails, what runs in it is cancelled, and its amounts go back as
    /// soon as nothing runs. Once more has no effect.
    pub fn remove(&self) {
        self.0.remove();
    }
}

impl fmt::Debug for PlacementGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        let how = if state.removed {
            "removed".to_owned()
        } else {
            state.nodes.as_ref().map_or("pending".to_owned(), |nodes| nodes.join(", "))
        };
        write!(f, "PlacementGroup({} bundles, {how})", self.len())
    }
}

/// One bundle of a group, to run things in: by default each takes one cpu of it, or what it has if that is
/// less.
#[derive(Clone)]
pub struct Slot {
    gang: Arc<Gang>,
    bundle: usize,
    need: Amounts,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({}, {})", self.bundle, Bundle::of(&self.need))
    }
}

impl Slot {
    /// What each thing takes of the bundle.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the bundle does not have it.
    pub fn needs(mut self, need: &Bundle) -> Result<Self> {
        let counted = need.counted()?;
        let has = &self.gang.bundles[self.bundle];
        if !fits(&counted, has) {
            let message = format!("{need} is more than the bundle has: {}", Bundle::of(has));
            return Err(Error::new(ErrorKind::InvalidArgument, "placement group", message));
        }
        self.need = counted;
        Ok(self)
    }

    /// Each thing takes the whole bundle.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.need = self.gang.bundles[self.bundle].clone();
        self
    }

    /// Waits for a seat, for something that is no call: an actor, say, that keeps it in its state. A method
    /// that runs on a seat is not stopped when the group is removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cancelled`] if the group is removed.
    pub fn seat(&self) -> impl Future<Output = Result<Arc<Seat>>> + Send + use<> {
        let gang = Arc::clone(&self.gang);
        let seat = gang.request(self.bundle, self.need.clone());
        async move {
            let seat = seat.await;
            drop(gang);
            seat
        }
    }

    /// Starts a call on a seat, when there is one. If the group is removed, the call is cancelled and the ref
    /// fails with [`ErrorKind::Cancelled`].
    #[track_caller]
    pub fn spawn<T: Clone + Send + Sync + 'static>(&self, engine: &Engine, call: Call<T>) -> Ref<T> {
        let seat = self.gang.request(self.bundle, self.need.clone());
        let (weak, call) = (engine.downgrade(), Mutex::new(Some(call)));
        // Who waits keeps the group: a call may outlive every handle. Given up, it lets the group go.
        let waits_in = Arc::clone(&self.gang);
        let work = move |(seat,): (Input<Arc<Seat>>,)| {
            let _ = &waits_in;
            let (engine, call) = (weak.upgrade(), call.lock().take());
            async move {
                let (Some(engine), Some(call)) = (engine, call) else {
                    return Err(Error::new(ErrorKind::ShutDown, "placement group", "the engine is gone"));
                };
                let seat = seat.into_owned();
                let running = engine.spawn(call);
                drop(engine);
                let occupied = Occupied::new(&seat, &running);
                let result = running.value().await;
                let removed_meanwhile = seat.gang.state.lock().removed;
                drop(occupied);
                match result {
                    // The last handle: the value is moved out.
                    Ok(value) => {
                        drop(value);
                        running.await
                    }
                    Err(error) if removed_meanwhile && error.kind() == ErrorKind::Cancelled => Err(removed()),
                    Err(error) => Err(error),
                }
            }
        };
        engine.spawn(Call::new_async(TaskSpec::new("placed"), (Arg::Ref(seat),), work))
    }
}

/// A share of a bundle, taken until it is dropped.
pub struct Seat {
    gang: Arc<Gang>,
    bundle: usize,
    need: Amounts,
    number: u64,
}

impl Seat {
    /// The node the seat is on.
    pub fn node(&self) -> String {
        let state = self.gang.state.lock();
        state.nodes.as_ref().and_then(|nodes| nodes.get(self.bundle)).cloned().unwrap_or_default()
    }

    /// The number of the bundle it is a share of.
    pub fn bundle(&self) -> usize {
        self.bundle
    }

    /// The group, for instance to start more in it.
    pub fn group(&self) -> PlacementGroup {
        PlacementGroup(Arc::clone(&self.gang))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.gang.state.lock();
        give(&self.need, &mut state.free[self.bundle]);
        state.seats.remove(&self.number);
        let over = state.removed && state.seats.is_empty();
        drop(state);
        if over {
            self.gang.shared.release(self.gang.number);
        } else {
            self.gang.admit();
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({} of bundle {} on {})", Bundle::of(&self.need), self.bundle, self.node())
    }
}

/// Something runs on a seat: it is stopped when the group is removed, or when nobody waits for it any more.
struct Occupied<'s, T: Send + Sync + 'static> {
    seat: &'s Seat,
    running: Ref<T>,
}

impl<'s, T: Send + Sync + 'static> Occupied<'s, T> {
    fn new(seat: &'s Seat, running: &Ref<T>) -> Self {
        let stopped = running.clone();
        let stop: Stop = Box::new(move || {
            stopped.cancel();
        });
        let mut state = seat.gang.state.lock();
        if state.removed {
            drop(state);
            running.cancel();
        } else {
            state.seats.insert(seat.number, Some(stop));
        }
        Self { seat, running: running.clone() }
    }
}

impl<T: Send + Sync + 'static> Drop for Occupied<'_, T> {
    fn drop(&mut self) {
        self.running.cancel();
        let mut state = self.seat.gang.state.lock();
        let stop = state.seats.insert(self.seat.number, None);
        drop(state);
        drop(stop);
    }
}
