//! What handles and the loop of an actor share: its queue and its life.
//!
//! A call is pushed under one small lock. The first push to an idle actor wakes its loop; while the loop is
//! awake, pushes wake nobody. The loop takes everything at once, runs it, and becomes idle under the same
//! lock if nothing came meanwhile, so that no wake-up is lost. Closing happens under it too: after that,
//! every push gets its message back, and none is left in the queue.
//!
//! An idle actor holds no thread and, in its queue, no memory to speak of.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use trefoil_core::{ActorProbe, ActorStatus, Engine, Error, ErrorKind, EventSink, Label, Result, WeakEngine};

use super::Actor;
use super::call::Envelope;
use super::life::Life;

pub(crate) type Mailed<A> = Arc<dyn Envelope<A>>;

/// What travels through the queue.
pub(crate) enum Mail<A: Actor> {
    Call(Mailed<A>),
    /// Ends the actor; calls behind it are not run.
    Stop,
}

/// What a call does on a full mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Its `Ref` fails with [`ErrorKind::Overloaded`].
    #[default]
    Refuse,
    /// It blocks its thread until there is room. Async callers reserve room first, with
    /// [`ActorHandle::reserve`](crate::ActorHandle::reserve).
    Wait,
}

/// Settings that concern single calls.
pub(crate) struct Settings {
    /// Calls that may wait; `usize::MAX` for no limit.
    pub(crate) capacity: usize,
    pub(crate) overflow: Overflow,
    pub(crate) retries: u32,
    pub(crate) retry_if: Option<RetryIf>,
}

pub(crate) type RetryIf = Box<dyn Fn(&Error) -> bool + Send + Sync>;

/// An actor without its type.
pub(crate) trait AnyCore: Any + Send + Sync {
    fn life(&self) -> &Life;
    /// Makes the loop look at the actor's life.
    fn wake(&self);
    fn waiting(&self) -> usize;
    /// Whether a handle is left.
    fn is_reachable(&self) -> bool;
    /// A call was cancelled before it had run.
    fn see_cancelled(&self);
}

struct Queue<A: Actor> {
    mails: VecDeque<Mail<A>>,
    /// The loop is awake, or will be.
    scheduled: bool,
    closed: bool,
    /// Room promised to callers who have not called yet.
    reserved: usize,
    /// Who waits for room, with their numbers, which ascend.
    waiters: VecDeque<(u64, Waker)>,
    /// The number of the next who waits.
    next_waiter: u64,
    /// Calls that a panic beside them interrupted, to run again.
    interrupted: Vec<Mailed<A>>,
}

impl<A: Actor> Queue<A> {
    fn find_waiter(&self, place: Option<u64>) -> Option<usize> {
        place.and_then(|place| self.waiters.binary_search_by_key(&place, |(number, _)| *number).ok())
    }
}

/// The shared part of an actor.
pub(crate) struct Core<A: Actor> {
    pub(crate) life: Life,
    pub(crate) settings: Settings,
    pub(crate) engine: WeakEngine,
    pub(crate) events: EventSink,
    queue: Mutex<Queue<A>>,
    /// Of the loop, once it has run.
    waker: OnceLock<Waker>,
    /// Handles that keep the actor alive.
    handles: AtomicUsize,
    lanes: AtomicU32,
    /// Calls taken from the queue and not started; written by the loop alone.
    held: AtomicUsize,
    /// Calls begun; written by the loop alone.
    calls: AtomicU64,
    /// A call was cancelled since the loop last looked.
    cancelled: AtomicBool,
}

/// Why a message was not taken.
pub(crate) enum Refusal {
    Closed,
    Full(usize),
}

/// What the loop found in the queue.
pub(crate) enum Taken<A: Actor> {
    /// A single message; the usual case needs no second buffer.
    One(Mail<A>),
    /// Several, in the batch.
    Many,
    /// The actor is idle from now on.
    Nothing,
    /// No handle is left, so nothing will come.
    Orphaned,
}

/// More than this stays allocated in no idle queue.
const KEPT: usize = 64;

impl<A: Actor> Core<A> {
    /// A core with one handle. It counts as awake until its loop has looked once.
    pub(crate) fn new(life: Life, settings: Settings, engine: &Engine) -> Self {
        let queue = Queue {
            mails: VecDeque::new(),
            scheduled: true,
            closed: false,
            reserved: 0,
            waiters: VecDeque::new(),
            next_waiter: 0,
            interrupted: Vec::new(),
        };
        Self {
            life,
            settings,
            engine: engine.downgrade(),
            events: engine.event_sink(),
            queue: Mutex::new(queue),
            waker: OnceLock::new(),
            handles: AtomicUsize::new(1),
            lanes: AtomicU32::new(0),
            held: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Queues a message. `reserved`: it uses room that was promised.
    pub(crate) fn push(&self, mail: Mail<A>, reserved: bool) -> Result<(), (Mail<A>, Refusal)> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err((mail, Refusal::Closed));
        }
        if self.is_bounded() && matches!(mail, Mail::Call(_)) {
            if reserved {
                queue.reserved = queue.reserved.saturating_sub(1);
            } else {
                let waiting = self.filled(&queue);
                if waiting >= self.settings.capacity {
                    return Err((mail, Refusal::Full(waiting)));
                }
            }
        }
        queue.mails.push_back(mail);
        let idle = !std::mem::replace(&mut queue.scheduled, true);
        drop(queue);
        if idle {
            self.wake();
        }
        Ok(())
    }

    fn filled(&self, queue: &Queue<A>) -> usize {
        queue.mails.len() + self.held.load(Ordering::Acquire) + queue.reserved
    }

    /// Promises room for one call, or remembers who waits for it: once, with the waker it gave last, since a
    /// wake-up that goes to an earlier one is lost. `place` is its number in the line.
    pub(crate) fn poll_reserve(&self, place: &mut Option<u64>, waker: &Waker) -> Poll<Result<(), Refusal>> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Poll::Ready(Err(Refusal::Closed));
        }
        if self.filled(&queue) < self.settings.capacity {
            if let Some(index) = queue.find_waiter(place.take()) {
                queue.waiters.remove(index);
            }
            queue.reserved += 1;
            return Poll::Ready(Ok(()));
        }
        match queue.find_waiter(*place) {
            Some(index) => queue.waiters[index].1.clone_from(waker),
            None => {
                let number = queue.next_waiter;
                queue.next_waiter += 1;
                *place = Some(number);
                queue.waiters.push_back((number, waker.clone()));
            }
        }
        Poll::Pending
    }

    /// Someone no longer waits. If it has been told of room, the next in line can have that.
    pub(crate) fn leave_line(&self, place: u64) {
        let mut queue = self.queue.lock();
        match queue.find_waiter(Some(place)) {
            Some(index) => drop(queue.waiters.remove(index)),
            None => {
                drop(queue);
                self.made_room();
            }
        }
    }

    /// Takes a promise back that was not used.
    pub(crate) fn unreserve(&self) {
        self.queue.lock().reserved -= 1;
        self.made_room();
    }

    /// Tells those who wait that there may be room.
    pub(crate) fn made_room(&self) {
        if !self.is_bounded() {
            return;
        }
        let mut queue = self.queue.lock();
        let room = self.settings.capacity.saturating_sub(self.filled(&queue)).min(queue.waiters.len());
        let woken: Vec<_> = queue.waiters.drain(..room).collect();
        drop(queue);
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Moves everything into `batch`, which is empty, or makes the actor idle.
    pub(crate) fn take(&self, batch: &mut VecDeque<Mail<A>>, held: usize) -> Taken<A> {
        let mut queue = self.queue.lock();
        if queue.mails.is_empty() {
            if self.handles.load(Ordering::Acquire) == 0 {
                return Taken::Orphaned;
            }
            queue.scheduled = false;
            if queue.mails.capacity() > KEPT {
                queue.mails = VecDeque::new();
            }
            return Taken::Nothing;
        }
        if queue.mails.len() == 1
            && let Some(mail) = queue.mails.pop_front()
        {
            self.held.store(held + 1, Ordering::Release);
            return Taken::One(mail);
        }
        std::mem::swap(&mut queue.mails, batch);
        self.held.store(held + batch.len(), Ordering::Release);
        Taken::Many
    }

    /// Whether calls may find the mailbox full.
    pub(crate) fn is_bounded(&self) -> bool {
        self.settings.capacity != usize::MAX
    }

    /// Says how many calls the loop holds that have not started.
    pub(crate) fn set_held(&self, held: usize) {
        self.held.store(held, Ordering::Release);
    }

    /// Whether a call was cancelled since this was last asked.
    pub(crate) fn take_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire) && self.cancelled.swap(false, Ordering::AcqRel)
    }

    /// Says how many calls have been begun.
    pub(crate) fn set_calls(&self, calls: u64) {
        self.calls.store(calls, Ordering::Relaxed);
    }

    /// Refuses messages from now on and gives back what is queued.
    pub(crate) fn close(&self) -> VecDeque<Mail<A>> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let waiters = std::mem::take(&mut queue.waiters);
        let mails = std::mem::take(&mut queue.mails);
        drop(queue);
        waiters.into_iter().for_each(|(_, waker)| waker.wake());
        mails
    }

    /// Hands over a call to run again after the restart.
    pub(crate) fn interrupt(&self, call: Mailed<A>) {
        self.queue.lock().interrupted.push(call);
    }

    pub(crate) fn take_interrupted(&self) -> Vec<Mailed<A>> {
        std::mem::take(&mut self.queue.lock().interrupted)
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// A number for a caller, different for each.
    pub(crate) fn next_lane(&self) -> u32 {
        self.lanes.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// One more handle, unless there is none left.
    pub(crate) fn revive_handle(&self) -> bool {
        let add = |count: usize| (count > 0).then_some(count + 1);
        self.handles.try_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    pub(crate) fn drop_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let idle = !std::mem::replace(&mut self.queue.lock().scheduled, true);
            if idle {
                self.wake();
            }
        }
    }

    /// The error of a call that found the mailbox full.
    pub(crate) fn overloaded(&self, waiting: usize) -> Error {
        let message = format!("{} has a full mailbox: {waiting} calls wait", self.life);
        Error::new(ErrorKind::Overloaded, "task", message)
            .with_help("wait for an earlier call, `reserve` room, or give the actor a larger `mailbox`")
    }
}

impl<A: Actor> ActorProbe for Core<A> {
    fn status(&self) -> ActorStatus {
        let life = &self.life;
        let name = life.name.as_ref().map(|name| name.name.clone());
        let mut status = ActorStatus::new(life.id.number(), name, life.kind);
        status.end = life.end().map(|end| Label::Static(end.word()));
        status.pending = self.waiting();
        status.calls = self.calls.load(Ordering::Relaxed);
        status.restarts = life.restarts.load(Ordering::Acquire);
        status
    }
}

impl<A: Actor> AnyCore for Core<A> {
    fn life(&self) -> &Life {
        &self.life
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    fn waiting(&self) -> usize {
        self.queue.lock().mails.len() + self.held.load(Ordering::Acquire)
    }

    fn is_reachable(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 0
    }

    fn see_cancelled(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.wake();
    }
}
