//! Lanes: ordinary tasks of the pool, at most one per worker, that run the nodes of a graph.
//!
//! A lane works for a time slice, then queues itself behind what else is waiting, so a graph of millions leaves room for
//! others. What it runs: the node it has just made ready, then what is in its deque, then the nodes of its block in
//! order, then a new block, and last what other lanes have, in their deques and blocks.
//!
//! Before a node is run it is claimed. A lane claims some nodes of its block at once, fewer the longer nodes take, and
//! marks them done at once. Between two of them it looks whether another lane has nothing to do. If so it gives the rest
//! back for it to take, and from then on claims together only nodes that hang each on the one before, which it had to
//! run itself anyway. So at most the time of one node passes before a ready node is free to be taken. If that is a slow
//! one in the midst of fast ones, those few claimed with it wait for it; among slow ones each is claimed alone.
//!
//! # No node is forgotten
//!
//! Each node is looked at by the lane whose block it is in. If a predecessor is not done, the lane waits for a moment
//! ([`pace`](super::pace)), then watches that predecessor and goes on behind the node; whoever finishes what is watched
//! looks at its successors that were left behind, and claims them, or watches another predecessor of theirs. A lane that
//! must not run what it has claimed gives it back *before* it watches. So a node that is ready and not claimed is one
//! that the lane of its block has yet to come to, or that somebody is looking at now.
//!
//! # No lane is missing
//!
//! A lane that finds nothing ends, a lane with more than it can run at once starts another. The one that ends counts
//! itself out and then looks once more, the one that has more publishes it and then looks who is out, so that work is
//! not left to one lane by accident. It cannot be lost: a lane ends only with an empty deque and at the end of its
//! block.
//!
//! Nodes done are counted per look at the clock; whoever counts the last one completes the ref of the run.

use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use crossbeam_deque::{Steal, Stealer, Worker};
use parking_lot::Mutex;

use super::marks::{GROUP, Marks, bit};
use super::pace::{Pace, SLICE};
use super::shape::Shape;
use crate::error::{Error, Result, TaskInfo};
use crate::graph::jobs::{FnJob, Named};
use crate::graph::launch::prepare;
use crate::refs::{Promise, Ref, Scope};
use crate::runtime::{PoolShared, shut_down};

/// Looks for work before a lane ends, and how long it looks: to wake a worker again takes some tens of microseconds.
const LOOKS: usize = 200;
const LINGER: Duration = Duration::from_micros(50);

/// What lanes are called in events.
struct Graph;

impl Named for Graph {
    const NAME: &'static str = "graph";
}

/// One run of a graph.
pub(super) struct Run<F> {
    shape: Arc<Shape>,
    marks: Marks,
    work: F,
    /// Up to here the blocks are taken by lanes.
    cursor: AtomicUsize,
    undone: AtomicUsize,
    /// What a lane has, for each; the lane that runs holds it.
    seats: Vec<Mutex<Option<Seat>>>,
    views: Vec<View>,
    lanes: AtomicUsize,
    /// Lanes that look for work.
    idle: AtomicUsize,
    /// Lanes that wait for a node to become ready, and would rather take another.
    waiting: AtomicUsize,
    stopped: AtomicBool,
    promise: Mutex<Option<Promise<()>>>,
    location: &'static Location<'static>,
    /// Of the task that started the run: it is cancelled with it.
    parent: Option<Arc<Scope>>,
    pool: Arc<PoolShared>,
}

/// What a lane keeps from one slice to the next.
struct Seat {
    /// Nodes it has claimed.
    deque: Worker<u32>,
    /// What is left of its block.
    block: Range<u32>,
    /// All nodes before are known to be done.
    done_below: u32,
}

/// What other lanes see of a seat.
#[repr(align(128))]
struct View {
    deque: Stealer<u32>,
    /// What is left of its block, as far as is known.
    at: AtomicU32,
    end: AtomicU32,
}

/// A lane at work.
struct Lane {
    number: usize,
    seat: Seat,
    /// Claimed, to be run next.
    next: Option<u32>,
    /// Whether there may be something in the deque: to look costs a fence.
    has_more: bool,
    pace: Pace,
}

impl Lane {
    fn keep(&mut self, node: u32) {
        self.seat.deque.push(node);
        self.has_more = true;
    }

    fn kept(&mut self) -> Option<u32> {
        if !self.has_more {
            return None;
        }
        let node = self.seat.deque.pop();
        self.has_more = node.is_some();
        node
    }
}

impl<F: Fn(usize) -> Result<()> + Send + Sync + 'static> Run<F> {
    pub(super) fn start(
        shape: Arc<Shape>,
        work: F,
        promise: Promise<()>,
        location: &'static Location<'static>,
        parent: Option<Arc<Scope>>,
        pool: &Arc<PoolShared>,
        workers: usize,
    ) {
        let count = shape.node_count();
        // Where there is never more than one node to run, other lanes would only look on.
        let workers = if shape.is_chain { 1 } else { workers };
        let deques: Vec<Worker<u32>> = (0..workers).map(|_| Worker::new_lifo()).collect();
        let view = |deque: &Worker<u32>| View {
            deque: deque.stealer(),
            at: AtomicU32::new(0),
            end: AtomicU32::new(0),
        };
        let views = deques.iter().map(view).collect();
        let seat = |deque| Mutex::new(Some(Seat { deque, block: 0..0, done_below: 0 }));
        let run = Arc::new(Self {
            marks: Marks::new(count),
            shape,
            work,
            cursor: AtomicUsize::new(0),
            undone: AtomicUsize::new(count),
            views,
            seats: deques.into_iter().map(seat).collect(),
            lanes: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            promise: Mutex::new(Some(promise)),
            location,
            parent,
            pool: Arc::clone(pool),
        });
        run.start_lane();
    }

    /// Starts a lane unless all run.
    fn start_lane(self: &Arc<Self>) {
        if self.count_in() {
            self.queue_lane();
        }
    }

    fn count_in(&self) -> bool {
        let more = |lanes: usize| (lanes < self.seats.len()).then_some(lanes + 1);
        self.lanes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    fn queue_lane(self: &Arc<Self>) {
        let run = Arc::clone(self);
        let work = move || {
            run.lane();
            Ok(())
        };
        let (lane, task) = prepare(&self.pool, FnJob::<_, Graph>::new(self.location, work));
        drop::<Ref<()>>(lane);
        task.into_iter().for_each(|task| self.pool.submit_last(task));
    }

    /// Works until there is nothing to do or the slice is over.
    fn lane(self: Arc<Self>) {
        let seat = self.seats.iter().enumerate().find_map(|(at, seat)| Some((at, seat.try_lock()?.take()?)));
        let Some((number, seat)) = seat else {
            // As many seats as lanes: a seat that is locked right now is about to be free.
            return self.queue_lane();
        };
        let begin = Instant::now();
        let pace = Pace::new(begin, self.pool.is_replayed(), self.shape.is_in_rows());
        let mut lane = Lane { number, seat, next: None, has_more: true, pace };
        let mut now = begin;
        let goes_on = loop {
            let (most, current) = (lane.pace.most(), Cell::new(0));
            // Nothing is left half-changed by a panic: the run stops.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.some(most, &mut lane, &current)));
            // A run that fails goes on with nothing.
            let done = match outcome {
                Ok(Ok(done)) => done,
                Ok(Err(error)) => {
                    self.fail(current.get(), error);
                    0
                }
                Err(payload) => {
                    self.fail(current.get(), Error::panicked("graph", &*payload));
                    0
                }
            };
            let before = std::mem::replace(&mut now, Instant::now());
            let undone = self.undone.fetch_sub(done as usize, Ordering::AcqRel) - done as usize;
            if undone == 0 {
                self.complete(Ok(()));
            }
            if undone == 0 || self.is_stopped() {
                break false;
            }
            if done >= most {
                lane.pace.looked(done, now - before);
            } else if !self.wait_for_work(&mut lane, now) {
                // Out first, then a last look: see the header.
                self.lanes.fetch_sub(1, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                let again = (self.has_work() || self.sees_work(&lane)) && self.count_in();
                if !again {
                    break false;
                }
            }
            // Where the order is repeated, time decides nothing.
            if now - begin >= SLICE || self.pool.is_replayed() {
                break true;
            }
        };
        let Lane { seat, next, .. } = lane;
        if let Some(node) = next {
            seat.deque.push(node);
        }
        *self.seats[number].lock() = Some(seat);
        if goes_on {
            self.queue_lane();
        }
    }

    /// Runs nodes until there is none or `most` are done, or a few more: how many.
    fn some(self: &Arc<Self>, most: u32, lane: &mut Lane, current: &Cell<u32>) -> Result<u32> {
        let mut done = 0;
        while done < most {
            // What others may take is theirs first if there is something else to run.
            let keeps = lane.has_more
                && !lane.seat.block.is_empty()
                && (self.waiting.load(Ordering::Relaxed) > 0 || self.is_hungry());
            if lane.pace.claims() == 1 && !lane.seat.block.is_empty() {
                // What is ready of the block must not wait for a slow node.
                self.offer();
            }
            if let Some(node) = lane.next.take().or_else(|| if keeps { None } else { lane.kept() }) {
                self.run(node, current)?;
                done += 1;
                self.finish(node / GROUP, bit(node), lane);
            } else if !lane.seat.block.is_empty() {
                done += self.sweep(most - done, lane, current)?;
            } else if !self.take_block(lane) {
                match self.take_from_others(lane) {
                    Some(node) => {
                        lane.next = Some(node);
                        // Where there was one, there may be others.
                        self.offer();
                    }
                    None => break,
                }
            }
        }
        Ok(done)
    }

    fn run(&self, place: u32, current: &Cell<u32>) -> Result<()> {
        let node = self.shape.order().get(place as usize).copied().unwrap_or(place);
        current.set(node);
        (self.work)(node as usize)
    }

    /// Runs some nodes of the block, at most so many, up to one that is not ready or another lane may run: how many.
    /// Goes past one node that is not ready.
    fn sweep(self: &Arc<Self>, most: u32, lane: &mut Lane, current: &Cell<u32>) -> Result<u32> {
        let begin = lane.seat.block.start;
        self.views[lane.number].at.store(begin, Ordering::Relaxed);
        let (group, offset) = (begin / GROUP, begin % GROUP);
        let end = lane.seat.block.end.min(begin - offset + GROUP);
        let mut count = lane.pace.claims().min(most).min(end - begin);
        let shares = self.is_hungry();
        if shares {
            count = self.followers(begin, begin + count);
        }
        let places = begin..begin + count;
        let mut is_free = self.shape.is_free(places.clone(), lane.seat.done_below);
        if !is_free {
            // Only now: to look where others are takes the line from them that they write.
            let done_below = self.marks.done_from(lane.seat.done_below, begin);
            if done_below > lane.seat.done_below {
                lane.seat.done_below = done_below;
                is_free = self.shape.is_free(places.clone(), done_below);
            }
        }
        let done_below = lane.seat.done_below;
        let wanted = (u32::MAX >> (GROUP - count)) << offset;
        let claimed = self.marks.claim(group, wanted);
        lane.seat.block.start = begin + count;
        let (mut ran, mut unready) = (0, None);
        if claimed == wanted && is_free {
            // The same as below, of which nothing but the nodes themselves should take time.
            let (order, work) = (self.shape.order(), &self.work);
            for place in places {
                if place != begin && !shares && self.is_hungry() {
                    break;
                }
                // Past the end there is none: an order is empty or has all places.
                let node = order.get(place as usize).copied().unwrap_or(place);
                current.set(node);
                work(node as usize)?;
                ran |= bit(place);
            }
        } else {
            let mut last = u32::MAX;
            for (place, predecessors) in (begin..).zip(self.shape.predecessors_of(places)) {
                if claimed & bit(place) == 0 {
                    continue;
                }
                let (mut ready, mut follows) = (true, ran == 0);
                for &before in predecessors {
                    follows |= before == last;
                    // What this lane has just run is not marked yet.
                    let ran = before / GROUP == group && ran & bit(before) != 0;
                    ready &= ran || before < done_below || self.marks.is_done(before);
                }
                if !ready {
                    unready = Some(place);
                    break;
                }
                if !follows && self.is_hungry() {
                    break;
                }
                self.run(place, current)?;
                ran |= bit(place);
                last = place;
            }
        }
        let rest = claimed & !ran;
        if rest != 0 {
            self.marks.release(group, rest);
            lane.seat.block.start = group * GROUP + rest.trailing_zeros();
        }
        if ran != 0 {
            lane.pace.gets_on();
            self.finish(group, ran, lane);
        }
        if let Some(place) = unready {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let number = lane.number;
            let goes_on = lane.pace.hold(|| self.is_ready(place), || self.others_keep(number));
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if !goes_on {
                lane.seat.block.start += 1;
                if self.sees_ready(place) && self.claims(place) {
                    self.give(place, lane);
                }
            } else if !self.is_ready(place) {
                lane.next = self.steal(lane);
            }
        }
        if rest != 0 {
            self.offer();
        }
        Ok(ran.count_ones())
    }

    /// How many nodes from `begin` on, and before `end`, need each the one before it.
    fn followers(&self, begin: u32, end: u32) -> u32 {
        1 + (begin + 1..end).take_while(|&place| self.shape.follows(place)).count() as u32
    }

    fn is_ready(&self, place: u32) -> bool {
        self.shape.predecessors(place).iter().all(|&before| self.marks.is_done(before))
    }

    /// Whether nobody has the node and it is ready. If it is not ready it is left behind, and whoever finishes what it
    /// waits for looks again.
    fn sees_ready(&self, place: u32) -> bool {
        !self.marks.is_claimed(place)
            && (self.is_ready(place) || self.marks.leave(place) && self.watches_none(place))
    }

    /// Watches the first predecessor of a node left behind that is not done; true if there is none.
    fn watches_none(&self, place: u32) -> bool {
        let done = |before: &u32| self.marks.is_done(*before) || self.marks.watch(*before);
        self.shape.predecessors(place).iter().all(done)
    }

    fn claims(&self, place: u32) -> bool {
        self.marks.claim(place / GROUP, bit(place)) != 0
    }

    /// Marks nodes as done that were run, and takes what waited for them.
    fn finish(self: &Arc<Self>, group: u32, nodes: u32, lane: &mut Lane) {
        let mut watched = self.marks.finish(group, nodes);
        while watched != 0 {
            let place = group * GROUP + watched.trailing_zeros();
            watched &= watched - 1;
            for &after in self.shape.successors(place) {
                if self.marks.is_left(after) && self.watches_none(after) && self.claims(after) {
                    self.give(after, lane);
                }
            }
        }
        // Slow ones are worth going on with what they let: then what they made is soon not needed any more.
        if lane.pace.is_slow() {
            let mut nodes = nodes;
            while nodes != 0 {
                let place = group * GROUP + nodes.trailing_zeros();
                nodes &= nodes - 1;
                for &after in self.shape.successors(place) {
                    if self.is_takeable(after) && self.claims(after) {
                        self.go_on_with(after, lane);
                    }
                }
            }
        }
    }

    /// Gives a lane a node that it has claimed, as the next one if there is none.
    fn go_on_with(self: &Arc<Self>, node: u32, lane: &mut Lane) {
        if lane.next.is_none() {
            lane.next = Some(node);
        } else {
            lane.keep(node);
            self.offer();
        }
    }

    /// Gives a lane a node that it has claimed.
    fn give(self: &Arc<Self>, node: u32, lane: &mut Lane) {
        if lane.next.is_none() && lane.seat.block.is_empty() {
            lane.next = Some(node);
        } else {
            lane.keep(node);
            self.offer();
        }
    }

    /// There is more than one lane can run at once.
    fn offer(self: &Arc<Self>) {
        fence(Ordering::SeqCst);
        if self.lanes.load(Ordering::Relaxed) < self.seats.len() {
            self.start_lane();
        }
    }

    /// Whether a lane has nothing to run, or is not there.
    fn is_hungry(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > 0 || self.lanes.load(Ordering::Relaxed) < self.seats.len()
    }

    fn take_block(self: &Arc<Self>, lane: &mut Lane) -> bool {
        let view = &self.views[lane.number];
        if self.cursor.load(Ordering::Relaxed) >= self.shape.block_count() {
            view.end.store(0, Ordering::Relaxed);
            return false;
        }
        let last = self.shape.node_count() as u32 - 1;
        let next = || self.shape.block(self.cursor.load(Ordering::Relaxed)).start.min(last);
        let number = lane.number;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let takes = lane.pace.takes_block(next, |place| self.is_ready(place), || self.others_keep(number));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if !takes {
            return false;
        }
        let block = self.shape.block(self.cursor.fetch_add(1, Ordering::Relaxed));
        view.at.store(block.start, Ordering::Relaxed);
        view.end.store(block.end, Ordering::Relaxed);
        lane.seat.block = block;
        self.offer();
        !lane.seat.block.is_empty()
    }

    fn take_from_others(&self, lane: &mut Lane) -> Option<u32> {
        self.steal(lane).or_else(|| {
            let mut others = self.others(lane.number);
            others.find_map(|other| self.takeable_of(other).find(|&place| self.claims(place)))
        })
    }

    /// What is ready in the block of a lane and not claimed.
    fn takeable_of(&self, lane: usize) -> impl Iterator<Item = u32> {
        let (at, end) =
            (self.views[lane].at.load(Ordering::Relaxed), self.views[lane].end.load(Ordering::Relaxed));
        (at..end).filter(|&place| self.is_takeable(place))
    }

    /// Whether nobody has the node and it is ready. Another lane looks at it if it is not.
    fn is_takeable(&self, place: u32) -> bool {
        !self.marks.is_claimed(place) && self.is_ready(place)
    }

    fn others(&self, number: usize) -> impl Iterator<Item = usize> + use<F> {
        let count = self.views.len();
        (1..count).map(move |step| (number + step) % count)
    }

    fn others_keep(&self, number: usize) -> bool {
        self.others(number).any(|other| !self.views[other].deque.is_empty())
    }

    fn steal(&self, lane: &mut Lane) -> Option<u32> {
        let stolen = self.others(lane.number).find_map(|other| {
            loop {
                match self.views[other].deque.steal_batch_and_pop(&lane.seat.deque) {
                    Steal::Success(node) => return Some(node),
                    Steal::Empty => return None,
                    Steal::Retry => {}
                }
            }
        });
        lane.has_more |= stolen.is_some();
        stolen
    }

    /// Looks for a moment: to end a lane and to start one again costs more.
    fn wait_for_work(&self, lane: &mut Lane, now: Instant) -> bool {
        self.idle.fetch_add(1, Ordering::Relaxed);
        let is_stopped = || self.stopped.load(Ordering::Relaxed);
        lane.pace.wait(now, is_stopped);
        lane.pace.wait_for_block(|| is_stopped() || self.has_kept());
        let look = || {
            (0..LOOKS).any(|_| {
                std::hint::spin_loop();
                self.has_work() || is_stopped()
            })
        };
        let mut found = look();
        while !found && now.elapsed() < LINGER {
            found = look() || self.sees_work(lane);
        }
        lane.pace.waited();
        self.idle.fetch_sub(1, Ordering::Relaxed);
        found
    }

    /// Whether there are blocks to take, or nodes in deques.
    fn has_work(&self) -> bool {
        self.cursor.load(Ordering::Relaxed) < self.shape.block_count() || self.has_kept()
    }

    fn has_kept(&self) -> bool {
        self.views.iter().any(|view| !view.deque.is_empty())
    }

    /// Whether there are nodes in the blocks of others.
    fn sees_work(&self, lane: &Lane) -> bool {
        self.others(lane.number).any(|other| self.takeable_of(other).next().is_some())
    }

    fn is_stopped(&self) -> bool {
        // A shut-down fails the queued lanes, and whoever drops the run fails its ref.
        self.stopped.load(Ordering::Relaxed)
            || self.promise.lock().as_ref().is_none_or(Promise::is_cancelled)
            || self.parent.as_ref().is_some_and(|parent| parent.is_cancelled())
            || self.pool.is_down()
    }

    fn fail(&self, node: u32, error: Error) {
        let info = TaskInfo { name: format!("node {node}").into(), location: self.location, attempt: 1 };
        self.complete(Err(error.in_task(info)));
    }

    fn complete(&self, result: Result<()>) {
        self.stopped.store(true, Ordering::Relaxed);
        let promise = self.promise.lock().take();
        if let Some(promise) = promise {
            promise.fulfil(result);
        }
    }
}

impl<F> Drop for Run<F> {
    /// Reached with the promise if the engine ends first: the promise then says so.
    fn drop(&mut self) {
        if let Some(promise) = self.promise.get_mut().take()
            && self.pool.is_down()
        {
            promise.pass_on(shut_down());
        }
    }
}
