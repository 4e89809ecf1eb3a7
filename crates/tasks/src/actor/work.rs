//! What an actor has going on besides the call it runs now: calls whose arguments are late, calls that wait
//! for their turn, and asynchronous calls on the way. Actors that only ever run short synchronous calls have
//! none of it.
//!
//! ```text
//!   queue ──> lane (handle and group): waits for arguments ──> group: waits for its turn ──> runs
//! ```
//!
//! A call whose arguments are late holds up its own lane only. In its group, calls start in order: shared
//! ones while fewer run than the group's limit, an exclusive one when nothing runs at all. An exclusive call
//! that waits for its turn keeps the other groups from starting more, otherwise it might wait for ever.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Sleep;

use super::Actor;
use super::call::Late;
use super::context::{Mode, polling};
use super::mailbox::Mailed;

/// Which calls keep their order: those of one handle in one group.
type Lane = (u32, u16);

/// A call whose arguments are late.
struct Arrival<A: Actor>(Mailed<A>);

impl<A: Actor> Future for Arrival<A> {
    type Output = Lane;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Lane> {
        // A cancelled call has dropped its arguments.
        if self.0.is_over() {
            Poll::Ready(lane(&self.0))
        } else {
            self.0.poll_args(context).map(|()| lane(&self.0))
        }
    }
}

fn lane<A: Actor>(call: &Mailed<A>) -> Lane {
    (call.note().lane, call.note().group)
}

/// An asynchronous call on the way, with its group.
struct Running<A: Actor>(BoxFuture<'static, Late<A>>, u16);

impl<A: Actor> Future for Running<A> {
    type Output = (Late<A>, u16);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let group = self.1;
        self.0.as_mut().poll(context).map(|late| (late, group))
    }
}

struct Group<A: Actor> {
    /// Arguments are there; waits for its turn.
    ready: VecDeque<Mailed<A>>,
    running: usize,
    limit: usize,
}

pub(crate) struct Work<A: Actor> {
    lanes: HashMap<Lane, VecDeque<Mailed<A>>>,
    arrivals: FuturesUnordered<Arrival<A>>,
    groups: Vec<Group<A>>,
    running: FuturesUnordered<Running<A>>,
    /// An `async fn(&mut self)`, which has the state.
    pub(crate) alone: Option<BoxFuture<'static, Late<A>>>,
    /// Until when a restart waits.
    pub(crate) pause: Option<Pin<Box<Sleep>>>,
    /// Calls in lanes and groups.
    pub(crate) held: usize,
    /// Something was added that has not been polled.
    pub(crate) fresh: bool,
}

/// What became of something that was going on.
pub(crate) enum Event<A: Actor> {
    Ended(Late<A>),
    /// Arguments have come; the call can be offered.
    Arrived,
}

impl<A: Actor> Work<A> {
    pub(crate) fn new(limits: &[usize]) -> Self {
        Self {
            lanes: HashMap::new(),
            arrivals: FuturesUnordered::new(),
            groups: limits.iter().map(|&limit| Group { ready: VecDeque::new(), running: 0, limit }).collect(),
            running: FuturesUnordered::new(),
            alone: None,
            pause: None,
            held: 0,
            fresh: false,
        }
    }

    /// Nothing is left that was begun or has to be.
    pub(crate) fn is_quiet(&self) -> bool {
        self.held == 0 && self.is_still()
    }

    /// Nothing runs.
    pub(crate) fn is_still(&self) -> bool {
        self.alone.is_none() && self.running.is_empty()
    }

    /// Puts the call behind others of its lane whose arguments are late, or gives it back if there are none.
    pub(crate) fn behind_late(&mut self, call: Mailed<A>) -> Option<Mailed<A>> {
        if self.lanes.is_empty() {
            return Some(call);
        }
        match self.lanes.get_mut(&lane(&call)) {
            Some(waiting) => {
                waiting.push_back(call);
                self.held += 1;
                None
            }
            None => Some(call),
        }
    }

    /// The first call of a lane waits for its arguments.
    pub(crate) fn wait_for_arguments(&mut self, call: Mailed<A>) {
        self.arrivals.push(Arrival(call.clone()));
        self.lanes.entry(lane(&call)).or_default().push_front(call);
        self.held += 1;
        self.fresh = true;
    }

    /// Puts a call with its arguments in its group.
    pub(crate) fn offer(&mut self, call: Mailed<A>) {
        self.held += 1;
        let group = usize::from(call.note().group);
        self.groups[group].ready.push_back(call);
    }

    /// Puts a call that is to run again in front of its group.
    pub(crate) fn offer_again(&mut self, call: Mailed<A>) {
        self.held += 1;
        let group = usize::from(call.note().group);
        self.groups[group].ready.push_front(call);
        self.fresh = true;
    }

    /// The next call that may start.
    pub(crate) fn next(&mut self) -> Option<Mailed<A>> {
        if self.held == 0 || self.alone.is_some() {
            return None;
        }
        let exclusive_waits = self.groups[0].ready.front().is_some_and(|call| !call.kind().shares());
        let still = self.running.is_empty();
        for (number, group) in self.groups.iter_mut().enumerate() {
            let Some(call) = group.ready.front() else { continue };
            let may = if call.is_over() {
                true
            } else if call.kind().shares() {
                group.running < group.limit && (number == 0 || !exclusive_waits)
            } else {
                still
            };
            if may {
                self.held -= 1;
                return group.ready.pop_front();
            }
        }
        None
    }

    /// A shared call has started and is not done.
    pub(crate) fn started(&mut self, future: BoxFuture<'static, Late<A>>, group: u16) {
        self.groups[usize::from(group)].running += 1;
        self.running.push(Running(future, group));
        self.fresh = true;
    }

    /// Whether a shared call of this group might start now if its arguments were there.
    pub(crate) fn has_room(&self, group: u16) -> bool {
        let group = &self.groups[usize::from(group)];
        self.alone.is_none() && group.ready.is_empty() && group.running < group.limit && {
            let first = self.groups[0].ready.front();
            first.is_none_or(|call| call.kind().shares())
        }
    }

    /// What has happened meanwhile.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Option<Event<A>> {
        if let Some(future) = &mut self.alone
            && let Poll::Ready(late) = polling(Mode::Alone, || future.as_mut().poll(context))
        {
            self.alone = None;
            return Some(Event::Ended(late));
        }
        if !self.running.is_empty()
            && let Poll::Ready(Some((late, group))) =
                polling(Mode::Shared, || self.running.poll_next_unpin(context))
        {
            self.groups[usize::from(group)].running -= 1;
            return Some(Event::Ended(late));
        }
        if let Poll::Ready(Some(lane)) = self.arrivals.poll_next_unpin(context) {
            self.arrived(lane, context);
            return Some(Event::Arrived);
        }
        self.fresh = false;
        None
    }

    /// Moves a lane on: its first call, and those behind it that are ready too.
    fn arrived(&mut self, lane: Lane, context: &mut Context<'_>) {
        let Some(waiting) = self.lanes.get_mut(&lane) else { return };
        while let Some(call) = waiting.front() {
            if !call.is_over() && call.poll_args(context).is_pending() {
                self.arrivals.push(Arrival(call.clone()));
                self.fresh = true;
                return;
            }
            if let Some(call) = waiting.pop_front() {
                self.groups[usize::from(lane.1)].ready.push_back(call);
            }
        }
        self.lanes.remove(&lane);
    }

    /// Moves on the lanes whose first call was cancelled; true if there was one.
    pub(crate) fn skip_cancelled(&mut self, context: &mut Context<'_>) -> bool {
        let over: Vec<Lane> = self
            .lanes
            .iter()
            .filter(|(_, waiting)| waiting.front().is_some_and(|call| call.is_over()))
            .map(|(lane, _)| *lane)
            .collect();
        over.iter().for_each(|lane| self.arrived(*lane, context));
        !over.is_empty()
    }

    /// Drops what runs, which gives the calls up.
    pub(crate) fn interrupt(&mut self) {
        self.alone = None;
        self.running.clear();
        self.groups.iter_mut().for_each(|group| group.running = 0);
    }

    /// Takes every call that has not started.
    pub(crate) fn drain(&mut self) -> Vec<Mailed<A>> {
        self.held = 0;
        self.arrivals.clear();
        let lanes = std::mem::take(&mut self.lanes).into_values().flatten();
        let groups = self.groups.iter_mut().flat_map(|group| std::mem::take(&mut group.ready));
        lanes.chain(groups).collect()
    }
}
