//! Subscribers: each reads every lane with cursors of its own, at its own pace.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::Stream;

use super::Hub;
use super::event::Event;
use crate::runtime::Parker;

/// Events copied while a lane is locked: its thread may wait that long.
const AT_ONCE: usize = 128;

/// The events of an engine from the moment of [`Engine::events`](crate::Engine::events) on: an async
/// `Stream`, or with [`EventStream::blocking`] an iterator.
///
/// Events of one thread come in order; those of several are sorted by time as far as they are there when
/// the stream looks. A reader that is slower than a thread's ring loses that thread's oldest events and
/// finds the number in [`EventStream::lost`]. Events are recorded while a stream lives. It ends when the
/// engine has been shut down and everything was read.
#[must_use = "a stream does nothing unless it is read; while it lives events are recorded"]
pub struct EventStream {
    hub: Arc<Hub>,
    /// Per lane, the number of the next event.
    cursors: Vec<u64>,
    ready: VecDeque<Event>,
    lost: u64,
}

impl EventStream {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        hub.wanted.fetch_add(1, Ordering::Relaxed);
        let cursors = hub.lanes().iter().map(|lane| lane.ring.lock().written()).collect();
        Self { hub, cursors, ready: VecDeque::new(), lost: 0 }
    }

    /// How many events this reader has lost so far because it was too slow.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// All events that are there now, without waiting.
    pub fn drain(&mut self) -> Vec<Event> {
        self.look();
        self.ready.drain(..).collect()
    }

    /// The same events for code that blocks.
    pub fn blocking(self) -> BlockingEvents {
        BlockingEvents(self)
    }

    fn look(&mut self) {
        let mut fresh = Vec::new();
        for (at, lane) in self.hub.lanes().iter().enumerate() {
            if self.cursors.len() <= at {
                self.cursors.push(0);
            }
            // Not for ever, however fast the thread writes.
            for _ in 0..=self.hub.capacity / AT_ONCE {
                let before = fresh.len();
                self.lost += lane.ring.lock().read(&mut self.cursors[at], AT_ONCE, &mut fresh);
                if fresh.len() - before < AT_ONCE {
                    break;
                }
            }
        }
        fresh.sort_by_key(|event| event.at);
        self.ready.extend(fresh);
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Event>> {
        if self.ready.is_empty() {
            self.look();
        }
        if self.ready.is_empty() {
            let closed = self.hub.closed.load(Ordering::Acquire);
            self.hub.bell.wait(context.waker());
            // What came before the announcement rang no bell.
            self.look();
            if self.ready.is_empty() {
                let closed = closed || self.hub.closed.load(Ordering::Acquire);
                return if closed { Poll::Ready(None) } else { Poll::Pending };
            }
        }
        Poll::Ready(self.ready.pop_front())
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(context)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.hub.wanted.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("ready", &self.ready.len()).field("lost", &self.lost).finish()
    }
}

/// An [`EventStream`] as an iterator that blocks until the next event comes.
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are read"]
pub struct BlockingEvents(EventStream);

impl BlockingEvents {
    /// How many events this reader has lost so far because it was too slow.
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }

    /// The next event, if one comes before the deadline.
    pub fn next_before(&mut self, deadline: Instant) -> Option<Event> {
        let parker = Arc::new(Parker::default());
        let waker = parker.waker();
        loop {
            match self.0.poll(&Context::from_waker(&waker)) {
                Poll::Ready(event) => return event,
                Poll::Pending if Instant::now() >= deadline => return None,
                Poll::Pending => {
                    parker.park(Some(deadline));
                }
            }
        }
    }
}

impl Iterator for BlockingEvents {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        crate::runtime::block_on(std::future::poll_fn(|context| self.0.poll(context)))
    }
}
