//! The receiving end of an actor's queue. However its loop ends, by itself,
//! aborted or dropped with the runtime, dropping the mailbox fails the calls
//! that are left and tells those who wait for the end.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::envelope::Envelope;
use super::life::{ActorEnd, Life};
use super::names;

/// What travels through the queue.
pub(crate) enum Message<A> {
    Call(Box<dyn Envelope<A>>),
    /// Ends the actor; calls behind it are not run.
    Stop,
}

pub(crate) struct Mailbox<A> {
    receiver: UnboundedReceiver<Message<A>>,
    pub(crate) life: Arc<Life>,
}

impl<A> Mailbox<A> {
    pub(crate) fn new(receiver: UnboundedReceiver<Message<A>>, life: Arc<Life>) -> Self {
        Self { receiver, life }
    }

    /// The next message; none when no handle is left.
    pub(crate) async fn next(&mut self) -> Option<Message<A>> {
        self.receiver.recv().await
    }
}

impl<A> Drop for Mailbox<A> {
    fn drop(&mut self) {
        // Nobody wrote an end: the loop was dropped by its runtime, or the state's own `drop` panicked in it.
        let end = if std::thread::panicking() { ActorEnd::Panicked } else { ActorEnd::ShutDown };
        self.life.finish(end, None);
        names::release(&self.life);
        self.receiver.close();
        while let Ok(message) = self.receiver.try_recv() {
            // A dropped call fails its ref with the end written down above.
            drop(message);
        }
        self.life.bury();
    }
}
