//! The loop of an actor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trefoil_core::Error;

use super::Actor;
use super::envelope::{Access, Crash, Envelope, Progress};
use super::life::ActorEnd;
use super::mailbox::{Mailbox, Message};

/// Makes a fresh state.
pub(crate) type Factory<A> = Box<dyn FnMut() -> A + Send>;

/// Where states come from.
pub(crate) struct Origin<A> {
    /// The first state; without it the factory makes it.
    pub(crate) first: Option<A>,
    pub(crate) factory: Option<Factory<A>>,
    pub(crate) max_restarts: u32,
}

impl<A: Actor> Origin<A> {
    fn make(&mut self) -> Result<Arc<A>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Arc::new(first));
        }
        let Some(factory) = &mut self.factory else {
            return Err(Error::new(
                trefoil_core::ErrorKind::Internal,
                "actor",
                "no state and no way to make one",
            ));
        };
        // A factory that panicked is not called again.
        catch_unwind(AssertUnwindSafe(factory)).map(Arc::new).map_err(|payload| {
            Error::panicked(format!("the function that makes the state of {}", A::NAME), &*payload)
        })
    }
}

struct Loop<A: Actor> {
    // Dropped in this order: calls that run, the state, and last the mailbox, which tells of the end.
    running: JoinSet<Option<Crash>>,
    state: Arc<A>,
    origin: Origin<A>,
    mailbox: Mailbox<A>,
    concurrency: usize,
    /// Whether the last call kept its thread long.
    heavy: bool,
}

/// The actor cannot go on; its end is written down.
struct Dead;

/// From here on a call is heavy: others should not wait for the thread it runs on.
const HEAVY: Duration = Duration::from_millis(1);

/// Runs a call up to its first await.
///
/// The control runtime has few threads, and actors, timers and IO share them. An actor whose last call was
/// heavy gives its runtime another thread for the time of the next one; that costs microseconds, which light
/// calls would feel and heavy ones do not.
fn run_now<'a, A: Actor>(
    heavy: &mut bool,
    call: Box<dyn Envelope<A>>,
    access: Access<'a, A>,
) -> Progress<'a> {
    let start = Instant::now();
    let progress = if *heavy { tokio::task::block_in_place(|| call.run(access)) } else { call.run(access) };
    *heavy = start.elapsed() >= HEAVY;
    progress
}

/// Runs an actor until it ends.
pub(crate) async fn run<A: Actor>(mailbox: Mailbox<A>, mut origin: Origin<A>, concurrency: usize) {
    let state = match origin.make() {
        Ok(state) => state,
        Err(error) => return mailbox.life.finish(ActorEnd::Panicked, Some(error)),
    };
    let mut actor = Loop { running: JoinSet::new(), mailbox, state, origin, concurrency, heavy: false };
    // A dead actor's end is written down already; nothing else is left to do.
    let _ = actor.serve().await;
}

impl<A: Actor> Loop<A> {
    async fn serve(&mut self) -> Result<(), Dead> {
        loop {
            let message = if self.running.is_empty() {
                self.mailbox.next().await
            } else {
                tokio::select! {
                    biased;
                    ended = self.running.join_next() => {
                        self.settle(ended.and_then(Result::ok).flatten()).await?;
                        continue;
                    }
                    message = self.mailbox.next() => message,
                }
            };
            let end = match message {
                Some(Message::Call(call)) => {
                    self.call(call).await?;
                    // Killed while a synchronous method ran: an abort takes hold at the next await only.
                    if self.mailbox.life.end().is_some() {
                        return Err(Dead);
                    }
                    continue;
                }
                Some(Message::Stop) => ActorEnd::Stopped,
                None => ActorEnd::Dropped,
            };
            self.quiet(0).await?;
            self.mailbox.life.finish(end, None);
            return Ok(());
        }
    }

    async fn call(&mut self, mut call: Box<dyn Envelope<A>>) -> Result<(), Dead> {
        self.wait_for_arguments(&mut call).await?;
        if call.shares() {
            match run_now(&mut self.heavy, call, Access::Shared(Arc::clone(&self.state))) {
                Progress::Done => Ok(()),
                Progress::Crashed(crash) => self.settle(Some(crash)).await,
                Progress::Running(future) => {
                    self.running.spawn(future);
                    self.quiet(self.concurrency - 1).await
                }
            }
        } else {
            self.quiet(0).await?;
            let crash = match Arc::get_mut(&mut self.state) {
                Some(state) => match run_now(&mut self.heavy, call, Access::Alone(state)) {
                    Progress::Done => None,
                    Progress::Crashed(crash) => Some(crash),
                    Progress::Running(future) => future.await,
                },
                // Every call that shared the state has ended, and took its handle with it.
                None => match call.run(Access::Shared(Arc::clone(&self.state))) {
                    Progress::Crashed(crash) => Some(crash),
                    _ => None,
                },
            };
            self.settle(crash).await
        }
    }

    /// Waits for a call's arguments, with an eye on the calls that run meanwhile.
    async fn wait_for_arguments(&mut self, call: &mut Box<dyn Envelope<A>>) -> Result<(), Dead> {
        loop {
            let Some(arguments) = call.wait() else { return Ok(()) };
            if self.running.is_empty() {
                arguments.await;
                continue;
            }
            let ended = tokio::select! {
                biased;
                ended = self.running.join_next() => ended,
                () = arguments => continue,
            };
            self.settle(ended.and_then(Result::ok).flatten()).await?;
        }
    }

    /// Waits until at most `most` calls run beside the loop.
    async fn quiet(&mut self, most: usize) -> Result<(), Dead> {
        while self.running.len() > most {
            let ended = self.running.join_next().await;
            self.settle(ended.and_then(Result::ok).flatten()).await?;
        }
        Ok(())
    }

    /// After a panic: a fresh state if a restart is left, otherwise the end.
    async fn settle(&mut self, crash: Option<Crash>) -> Result<(), Dead> {
        let Some(crash) = crash else { return Ok(()) };
        let life = Arc::clone(&self.mailbox.life);
        let done = life.restarts.load(Ordering::Acquire);
        if self.origin.factory.is_none() || done >= self.origin.max_restarts {
            life.finish(ActorEnd::Panicked, Some(crash.error.clone()));
            crash.tell();
            return Err(Dead);
        }
        life.restarting.store(true, Ordering::Release);
        self.running.shutdown().await;
        let state = self.origin.make().and_then(|fresh| {
            let old = std::mem::replace(&mut self.state, fresh);
            catch_unwind(AssertUnwindSafe(|| drop(old)))
                .map_err(|payload| Error::panicked(format!("dropping the state of {}", A::NAME), &*payload))
        });
        life.restarting.store(false, Ordering::Release);
        let fresh = match state {
            Ok(()) => {
                life.restarts.store(done + 1, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                life.finish(ActorEnd::Panicked, Some(error));
                Err(Dead)
            }
        };
        crash.tell();
        fresh
    }
}
