//! Graphs given whole: a shape, one closure, and no ref per node.
//!
//! A [`Dag`] is three arrays: where each node's successors begin, the successors, and how many predecessors
//! each node has. A run copies the last into counters; whoever finishes a node counts its successors down,
//! runs the first that becomes ready next, and keeps the others in its own deque.
//!
//! ```text
//!   roots (a cursor over the nodes) ──> lane 0: next, deque <──steal── lane 1: next, deque ...
//! ```
//!
//! A lane is an ordinary task of the pool, at most one per worker. It works for a time slice, then queues
//! itself behind what else is waiting, so a graph of millions leaves room for others. A lane that finds
//! nothing ends; a lane with more than it can run at once starts another. The one that ends counts itself
//! out and then looks once more, the one that has more publishes it and then looks who is out, so that work
//! is not left to one lane by accident. It cannot be lost: a lane ends only with an empty deque.
//!
//! Nodes done are counted per slice; whoever counts the last one completes the ref of the run.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use crossbeam_deque::{Steal, Stealer, Worker};
use parking_lot::Mutex;

use super::call::prepare;
use super::jobs::{FnJob, Named};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::refs::{Promise, Ref, Scope, current_scope};
use crate::runtime::{PoolShared, shut_down};

/// How long a lane works before it lets others go first.
const SLICE: Duration = Duration::from_micros(500);
/// Nodes between two looks at the clock and at who has stopped the run, at first and at most; they should take about
/// [`LOOK`].
const BETWEEN_LOOKS: (u32, u32) = (16, 1024);
const LOOK: Duration = Duration::from_micros(10);
/// Nodes taken from the cursor over the roots at a time.
const ROOTS: usize = 256;

/// The shape of a directed graph without cycles: nodes `0..len`, and which must be done before which.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use trefoil_core::{Dag, Engine};
///
/// // Each node is the sum of the two before it.
/// let edges = (2..50).flat_map(|i| [(i - 2, i), (i - 1, i)]);
/// let dag = Dag::new(50, edges)?;
/// let values: Arc<Vec<AtomicU64>> = Arc::new((0..50).map(|_| AtomicU64::new(1)).collect());
/// let engine = Engine::new()?;
/// let own = values.clone();
/// engine.spawn_dag(&dag, move |i| {
///     if i >= 2 {
///         let sum = own[i - 1].load(Ordering::Relaxed) + own[i - 2].load(Ordering::Relaxed);
///         own[i].store(sum, Ordering::Relaxed);
///     }
///     Ok(())
/// }).get()?;
/// assert_eq!(values[49].load(Ordering::Relaxed), 12_586_269_025);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dag(Arc<Shape>);

#[derive(Debug)]
struct Shape {
    /// Where the successors of each node begin; one more at the end.
    begins: Vec<u32>,
    successors: Vec<u32>,
    /// How many predecessors each node has.
    needs: Vec<u32>,
}

impl Dag {
    /// The graph of `nodes` nodes with these edges: `(a, b)` means that `a` is done before `b` begins. An
    /// edge may be given more than once. The edges are gone through twice.
    ///
    /// Whoever runs a node goes on with the first of its edges that leads to a node that is ready, so give the edge
    /// first whose node works on what is in the cache: the next in a row before the one below.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if an edge names a node that is not there, or for more than 4 billion
    /// nodes or edges; [`ErrorKind::Cycle`] if a node comes before itself, naming some nodes of the cycle.
    pub fn new<I>(nodes: usize, edges: I) -> Result<Self>
    where
        I: IntoIterator<Item = (usize, usize)>,
        I::IntoIter: Clone,
    {
        let edges = edges.into_iter();
        let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, "dag", message);
        if u32::try_from(nodes).is_err() {
            return Err(wrong(format!("{nodes} nodes are too many")).with_help("split the graph"));
        }
        let (mut begins, mut needs) = (vec![0u32; nodes + 2], vec![0u32; nodes]);
        let mut count = 0usize;
        for (from, to) in edges.clone() {
            if from >= nodes || to >= nodes {
                return Err(wrong(format!("edge {from} -> {to} of a graph of {nodes} nodes"))
                    .with_help("nodes are numbered from 0"));
            }
            begins[from + 2] += 1;
            needs[to] += 1;
            count += 1;
        }
        if u32::try_from(count).is_err() {
            return Err(wrong(format!("{count} edges are too many")).with_help("split the graph"));
        }
        // From counts to begins, one place too far on; filling turns a node's begin into its end, the next one's begin.
        let mut end = 0;
        for begin in &mut begins {
            end += *begin;
            *begin = end;
        }
        let mut successors = vec![0u32; count];
        for (from, to) in edges {
            let place = begins.get_mut(from + 1);
            match place.and_then(|place| successors.get_mut(*place as usize).map(|slot| (place, slot))) {
                Some((place, slot)) => {
                    *slot = to as u32;
                    *place += 1;
                }
                None => return Err(changed()),
            }
        }
        begins.pop();
        let shape = Shape { begins, successors, needs };
        shape.check_cycles()?;
        Ok(Self(Arc::new(shape)))
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.0.needs.len()
    }

    /// How many edges there are.
    pub fn edge_count(&self) -> usize {
        self.0.successors.len()
    }
}

impl Shape {
    fn successors(&self, node: u32) -> &[u32] {
        let at = node as usize;
        &self.successors[self.begins[at] as usize..self.begins[at + 1] as usize]
    }

    /// Kahn's algorithm (1962): what cannot be taken away leaf by leaf is on a cycle or behind one.
    fn check_cycles(&self) -> Result<()> {
        let mut left = self.needs.clone();
        let mut ready: Vec<u32> = (0..left.len() as u32).filter(|&node| left[node as usize] == 0).collect();
        let mut taken = 0;
        while let Some(node) = ready.pop() {
            taken += 1;
            for &next in self.successors(node) {
                let before = left[next as usize];
                left[next as usize] = before.checked_sub(1).ok_or_else(changed)?;
                if before == 1 {
                    ready.push(next);
                }
            }
        }
        if taken == left.len() {
            return Ok(());
        }
        // Each stuck node has a stuck predecessor; going back along them must come round.
        let mut back = vec![u32::MAX; left.len()];
        for node in (0..left.len() as u32).filter(|&node| left[node as usize] > 0) {
            self.successors(node).iter().for_each(|&next| back[next as usize] = node);
        }
        let mut node = (0..left.len()).find(|&node| left[node] > 0).unwrap_or(0) as u32;
        let mut seen = std::collections::HashSet::new();
        while seen.insert(node) {
            node = back[node as usize];
            if node == u32::MAX {
                return Err(changed());
            }
        }
        let mut cycle = vec![node];
        while back[cycle[cycle.len() - 1] as usize] != node {
            cycle.push(back[cycle[cycle.len() - 1] as usize]);
        }
        cycle.push(node);
        cycle.reverse();
        const SHOWN: usize = 8;
        let mut names: Vec<String> = cycle.iter().take(SHOWN).map(u32::to_string).collect();
        if cycle.len() > SHOWN {
            names.push(format!("({} more)", cycle.len() - SHOWN));
        }
        let message = format!("node {node} comes before itself: {}", names.join(" -> "));
        Err(Error::new(ErrorKind::Cycle, "dag", message).with_help("leave out one of these edges"))
    }
}

/// The error of edges of which a second look shows others.
fn changed() -> Error {
    Error::new(ErrorKind::InvalidArgument, "dag", "the edges were not the same the second time")
        .with_help("give an iterator whose clones give the same")
}

/// What lanes are called in events.
struct Lane;

impl Named for Lane {
    const NAME: &'static str = "graph";
}

/// Looks for work before a lane ends.
const LOOKS: usize = 200;

/// A lane that takes from others waits a little before, if it soon ran out of what it took before: two lanes that follow
/// one another through a grid would otherwise hand single nodes to and fro, and their cache lines.
struct Thief {
    /// When it last had work again.
    since: Instant,
    pause: Duration,
}

/// The pauses of a [`Thief`], and what it should get for one.
const PAUSES: (Duration, Duration) = (Duration::from_nanos(250), Duration::from_micros(4));

impl Thief {
    fn new(since: Instant) -> Self {
        Self { since, pause: Duration::ZERO }
    }

    /// It ran out of work: how long it waits before it takes again.
    fn ran_out(&mut self, now: Instant) -> Duration {
        self.pause = match now - self.since {
            worked if worked < PAUSES.1 => (self.pause * 2).clamp(PAUSES.0, PAUSES.1),
            worked if worked < PAUSES.1 * 4 => self.pause,
            _ => self.pause / 4,
        };
        self.pause
    }
}

/// How many nodes to run until the next look, after so many took so long.
fn looks_after(nodes: u32, time: Duration) -> u32 {
    match time {
        time if time < LOOK / 2 => (nodes * 2).min(BETWEEN_LOOKS.1),
        time if time > LOOK * 2 => (nodes / 2).max(1),
        _ => nodes,
    }
}

/// One run of a graph.
struct Run<F> {
    shape: Arc<Shape>,
    /// Predecessors not done yet, of each node.
    left: Vec<AtomicU32>,
    work: F,
    /// Up to here the nodes were looked through for roots.
    cursor: AtomicUsize,
    undone: AtomicUsize,
    /// A deque for each lane; the lane that runs has it.
    seats: Vec<Mutex<Option<Worker<u32>>>>,
    stealers: Vec<Stealer<u32>>,
    lanes: AtomicUsize,
    stopped: AtomicBool,
    promise: Mutex<Option<Promise<()>>>,
    location: &'static Location<'static>,
    /// Of the task that started the run: it is cancelled with it.
    parent: Option<Arc<Scope>>,
    pool: Arc<PoolShared>,
}

impl<F: Fn(usize) -> Result<()> + Send + Sync + 'static> Run<F> {
    /// Starts a lane unless all run.
    fn start_lane(self: &Arc<Self>) {
        let count = self.seats.len();
        let more = |lanes: usize| (lanes < count).then_some(lanes + 1);
        if self.lanes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok() {
            self.queue_lane();
        }
    }

    fn queue_lane(self: &Arc<Self>) {
        let run = Arc::clone(self);
        let work = move || {
            run.lane();
            Ok(())
        };
        let (lane, task) = prepare(&self.pool, FnJob::<_, Lane>::new(self.location, work));
        drop::<Ref<()>>(lane);
        task.into_iter().for_each(|task| self.pool.submit_last(task));
    }

    /// Works until there is nothing to do or the slice is over.
    fn lane(self: Arc<Self>) {
        let seat = self.seats.iter().enumerate().find_map(|(at, seat)| Some((at, seat.try_lock()?.take()?)));
        let Some((at, deque)) = seat else {
            // As many seats as lanes: a seat that is locked right now is about to be free.
            return self.queue_lane();
        };
        let begin = Instant::now();
        let (mut now, mut most, mut thief) = (begin, BETWEEN_LOOKS.0, Thief::new(begin));
        let mut next = None;
        let goes_on = loop {
            let current = Cell::new(0);
            // Nothing is left half-changed by a panic: the run stops.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.some(most, next, at, &deque, &current)));
            // A run that fails goes on with nothing.
            let done;
            (done, next) = match outcome {
                Ok(Ok(after)) => after,
                Ok(Err(error)) => {
                    self.fail(current.get(), error);
                    (0, None)
                }
                Err(payload) => {
                    self.fail(current.get(), Error::panicked("graph", &*payload));
                    (0, None)
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
            if done == most {
                most = looks_after(most, now - before);
            } else if !self.wait_for_work(&mut thief, now) {
                // Out first, then a last look: see the header.
                self.lanes.fetch_sub(1, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                let lanes = self.lanes.load(Ordering::Relaxed);
                let back = |now: usize| (now < self.seats.len()).then_some(now + 1);
                let again = self.has_work()
                    && lanes < self.seats.len()
                    && self.lanes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, back).is_ok();
                if !again {
                    break false;
                }
            }
            // Where the order is repeated, time decides nothing.
            if now - begin >= SLICE || self.pool.is_replayed() {
                break true;
            }
        };
        if let Some(node) = next {
            deque.push(node);
        }
        *self.seats[at].lock() = Some(deque);
        if goes_on {
            self.queue_lane();
        }
    }

    /// Runs nodes until there is none or `most` are done: how many, and which is to be next. What the loop keeps
    /// stays in registers, but for the node that may fail.
    fn some(
        self: &Arc<Self>,
        most: u32,
        mut next: Option<u32>,
        at: usize,
        deque: &Worker<u32>,
        current: &Cell<u32>,
    ) -> Result<(u32, Option<u32>)> {
        let mut done = 0;
        while done < most {
            let Some(node) = next.or_else(|| self.find(at, deque)) else { return Ok((done, None)) };
            current.set(node);
            (self.work)(node as usize)?;
            done += 1;
            next = self.finish(node, deque);
        }
        Ok((done, next))
    }

    /// Counts the successors of a node down; the first that is ready is to be run next.
    fn finish(self: &Arc<Self>, node: u32, deque: &Worker<u32>) -> Option<u32> {
        let mut next = None;
        let mut more = false;
        for &successor in self.shape.successors(node) {
            let at = successor as usize;
            // The only predecessor need not count.
            if self.shape.needs[at] == 1 || self.left[at].fetch_sub(1, Ordering::AcqRel) == 1 {
                if next.is_none() {
                    next = Some(successor);
                } else {
                    deque.push(successor);
                    more = true;
                }
            }
        }
        if more {
            self.offer();
        }
        next
    }

    /// There is more than one lane can run at once.
    fn offer(self: &Arc<Self>) {
        fence(Ordering::SeqCst);
        if self.lanes.load(Ordering::Relaxed) < self.seats.len() {
            self.start_lane();
        }
    }

    fn find(self: &Arc<Self>, at: usize, deque: &Worker<u32>) -> Option<u32> {
        deque.pop().or_else(|| self.root(deque)).or_else(|| {
            let others = (1..self.stealers.len()).map(|step| (at + step) % self.stealers.len());
            others.into_iter().find_map(|other| {
                loop {
                    match self.stealers[other].steal_batch_and_pop(deque) {
                        Steal::Success(node) => return Some(node),
                        Steal::Empty => return None,
                        Steal::Retry => {}
                    }
                }
            })
        })
    }

    /// The next node that needs no other, and more of them into the deque.
    fn root(self: &Arc<Self>, deque: &Worker<u32>) -> Option<u32> {
        let count = self.shape.needs.len();
        while self.cursor.load(Ordering::Relaxed) < count {
            let begin = self.cursor.fetch_add(ROOTS, Ordering::Relaxed);
            let nodes = begin.min(count)..begin.saturating_add(ROOTS).min(count);
            let mut roots = nodes.filter(|&node| self.shape.needs[node] == 0).map(|node| node as u32);
            if let Some(first) = roots.next() {
                roots.for_each(|root| deque.push(root));
                self.offer();
                return Some(first);
            }
        }
        None
    }

    /// Looks for a moment: to end a lane and to start one again costs more.
    fn wait_for_work(&self, thief: &mut Thief, now: Instant) -> bool {
        let pause = thief.ran_out(now);
        while !pause.is_zero() && now.elapsed() < pause && !self.stopped.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        let found = (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            self.has_work() || self.stopped.load(Ordering::Relaxed)
        });
        thief.since = Instant::now();
        found
    }

    fn has_work(&self) -> bool {
        self.cursor.load(Ordering::Relaxed) < self.shape.needs.len()
            || self.stealers.iter().any(|stealer| !stealer.is_empty())
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

impl Engine {
    /// Runs `work` once for each node of a graph, each after its predecessors are done, and gives one ref for
    /// the whole. Made for millions of small nodes: a node costs some tens of nanoseconds and 12 bytes, and 4
    /// bytes an edge, besides what the closure keeps.
    ///
    /// What a node writes, its successors see. The first error or panic stops the run: no further node
    /// starts, and the ref has that error with the node's number. Cancelling the ref stops it too.
    #[track_caller]
    pub fn spawn_dag<F>(&self, dag: &Dag, work: F) -> Ref<()>
    where
        F: Fn(usize) -> Result<()> + Send + Sync + 'static,
    {
        let (promise, reference) = Ref::promise("graph");
        let shape = Arc::clone(&dag.0);
        let count = shape.needs.len();
        if count == 0 {
            promise.fulfil(Ok(()));
            return reference;
        }
        let deques: Vec<Worker<u32>> = (0..self.workers()).map(|_| Worker::new_lifo()).collect();
        let run = Arc::new(Run {
            left: shape.needs.iter().map(|&needs| AtomicU32::new(needs)).collect(),
            shape,
            work,
            cursor: AtomicUsize::new(0),
            undone: AtomicUsize::new(count),
            stealers: deques.iter().map(Worker::stealer).collect(),
            seats: deques.into_iter().map(|deque| Mutex::new(Some(deque))).collect(),
            lanes: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            promise: Mutex::new(Some(promise)),
            location: Location::caller(),
            parent: current_scope(),
            pool: Arc::clone(self.pool()),
        });
        run.start_lane();
        reference
    }
}
