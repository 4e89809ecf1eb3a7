//! The loop of an actor: a future on the control runtime that owns the state.
//!
//! One poll takes what is in the queue and runs it, up to a budget, then looks at what else goes on (see
//! `work`). Short synchronous methods run one after another without touching anything shared but their own
//! cells. Whatever ends the loop, by itself, killed or dropped with its runtime, goes through
//! [`ActorTask::finish`]: the end is written, what runs is given up, the state is dropped, what is queued
//! fails, and then those who wait for the end are told.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use trefoil_core::{ActorProbe, Error, EventKind, Label, Note};

use super::Actor;
use super::call::{Crash, Kind, Late, Ran, Unstarted};
use super::context::{Here, Inside, Mode, polling};
use super::life::ActorEnd;
use super::mailbox::{AnyCore, Core, Mail, Mailed, Taken};
use super::names;
use super::origin::{Origin, Restart};
use super::work::{Event, Work};

/// Calls per poll; then others have their turn on the thread.
const BUDGET: usize = 128;

/// From here on a call is heavy: others should not wait for the thread it runs on.
const HEAVY: Duration = Duration::from_millis(1);

/// Of calls that are not heavy, so many pass between two that are timed.
const TIMED: u64 = 64;

/// Limits of the groups; the first is that of methods without one.
pub(crate) type Limits = Arc<[usize]>;

pub(crate) struct ActorTask<A: Actor> {
    core: Arc<Core<A>>,
    /// What its thread says while it runs.
    here: Option<Here>,
    /// None before the first is made, between two, and while an `async fn(&mut self)` has it.
    state: Option<Arc<A>>,
    origin: Origin<A>,
    batch: VecDeque<Mail<A>>,
    work: Option<Box<Work<A>>>,
    limits: Limits,
    /// `&self` methods that are not asynchronous run on threads of their own.
    threads: bool,
    /// How the actor will end when it is quiet.
    ending: Option<ActorEnd>,
    /// Calls run so far, and whether the last one kept its thread long.
    runs: u64,
    heavy: bool,
    /// Calls of one method that are to be one event.
    stretch: Option<Stretch>,
    finished: bool,
}

/// Calls of one method that followed each other without a pause, while events are recorded.
struct Stretch {
    label: &'static str,
    since: Duration,
    count: u32,
}

/// The actor cannot go on.
struct End(ActorEnd, Option<Error>);

/// What a poll comes to.
enum Turn {
    /// There is nothing to do until something wakes the loop.
    Wait,
    /// There is more to do; others first.
    Yield,
}

impl<A: Actor> ActorTask<A> {
    pub(crate) fn new(core: Arc<Core<A>>, origin: Origin<A>, limits: Limits, threads: bool) -> Self {
        let here = Some(Here::new(Arc::clone(&core) as Arc<dyn AnyCore>, true));
        Self {
            core,
            here,
            state: None,
            origin,
            batch: VecDeque::new(),
            work: None,
            limits,
            threads,
            ending: None,
            runs: 0,
            heavy: false,
            stretch: None,
            finished: false,
        }
    }

    fn work(&mut self) -> &mut Work<A> {
        self.work.get_or_insert_with(|| Box::new(Work::new(&self.limits)))
    }

    fn held(&self) -> usize {
        self.batch.len() + self.work.as_ref().map_or(0, |work| work.held)
    }

    fn serve(&mut self, context: &mut Context<'_>) -> Result<Turn, End> {
        self.core.set_waker(context.waker());
        let mut budget = BUDGET;
        loop {
            self.check_life()?;
            if !self.ready_to_work(context)? {
                return Ok(Turn::Wait);
            }
            self.go_on(context)?;
            while self.ending.is_none() && budget > 0 {
                let Some(mail) = self.batch.pop_front() else { break };
                budget -= 1;
                self.open(mail, context)?;
            }
            if self.work.as_ref().is_some_and(|work| work.fresh) {
                if budget == 0 {
                    return Ok(Turn::Yield);
                }
                continue;
            }
            if let Some(end) = self.ending {
                let quiet = match &self.work {
                    None => true,
                    // Who leaves lets the calls that run end, and drops the rest.
                    Some(work) if end == ActorEnd::Exited => work.is_still(),
                    Some(work) => work.is_quiet(),
                };
                if quiet {
                    return Err(End(end, None));
                }
                return Ok(Turn::Wait);
            }
            if budget == 0 {
                return Ok(Turn::Yield);
            }
            if self.batch.is_empty() {
                let held = self.held();
                match self.core.take(&mut self.batch, held) {
                    Taken::One(mail) => {
                        budget -= 1;
                        self.open(mail, context)?;
                    }
                    Taken::Many => {}
                    Taken::Nothing => return Ok(Turn::Wait),
                    Taken::Orphaned => self.ending = Some(ActorEnd::Dropped),
                }
            }
        }
    }

    fn open(&mut self, mail: Mail<A>, context: &mut Context<'_>) -> Result<(), End> {
        // What was sent after a kill is taken after it; looked at only before, it would still run.
        let life = self.check_life();
        if life.is_err() || self.ending.is_some() {
            self.batch.push_front(mail);
            return life;
        }
        match mail {
            Mail::Call(call) => self.accept(call, context)?,
            Mail::Stop => self.ending = Some(ActorEnd::Stopped),
        }
        self.check_life()
    }

    /// Sees a kill, and a method's wish to leave.
    fn check_life(&mut self) -> Result<(), End> {
        let life = &self.core.life;
        if life.goes_on() {
            return Ok(());
        }
        if life.has_ended() {
            // Written down already; this one does not count.
            return Err(End(ActorEnd::Killed, None));
        }
        self.ending = Some(ActorEnd::Exited);
        Ok(())
    }

    /// Makes a state if there is none; false while a restart waits.
    fn ready_to_work(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        if self.state.is_some() || self.work.as_ref().is_some_and(|work| work.alone.is_some()) {
            return Ok(true);
        }
        if let Some(work) = &mut self.work
            && let Some(pause) = &mut work.pause
        {
            if pause.as_mut().poll(context).is_pending() {
                return Ok(false);
            }
            work.pause = None;
        }
        match self.origin.make() {
            Ok(state) => self.state = Some(state),
            Err(error) => return Err(End(ActorEnd::Failed, Some(error))),
        }
        Ok(true)
    }

    /// Looks at what goes on, and starts what may start now.
    fn go_on(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        if self.work.is_none() {
            return Ok(());
        }
        let mut changed = self.core.take_cancelled() && self.work().skip_cancelled(context);
        changed |= self.start_waiting(context)?;
        while let Some(event) = self.work().poll(context) {
            changed = true;
            if let Event::Ended(late) = event {
                self.ended(late)?;
            }
            self.check_life()?;
            self.start_waiting(context)?;
            if self.state.is_none() && self.work().alone.is_none() {
                // A restart that waits.
                break;
            }
        }
        if changed {
            self.tell_held();
        }
        Ok(())
    }

    fn start_waiting(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        let mut started = false;
        while self.ending != Some(ActorEnd::Exited)
            && self.state.is_some()
            && let Some(call) = self.work().next()
        {
            started = true;
            self.run(call, context)?;
            self.check_life()?;
        }
        Ok(started)
    }

    fn tell_held(&self) {
        self.core.set_held(self.held());
        self.core.made_room();
    }

    /// A call from the queue.
    fn accept(&mut self, call: Mailed<A>, context: &mut Context<'_>) -> Result<(), End> {
        let call = match &mut self.work {
            None => call,
            Some(work) => match work.behind_late(call) {
                None => return Ok(()),
                Some(call) if work.is_quiet() => call,
                Some(call) => {
                    let (kind, group) = (call.kind(), call.note().group);
                    if kind.shares() && work.has_room(group) {
                        call
                    } else if call.is_over() || call.poll_args(context).is_ready() {
                        work.offer(call);
                        let _ = self.start_waiting(context)?;
                        self.tell_held();
                        return Ok(());
                    } else {
                        work.wait_for_arguments(call);
                        return Ok(());
                    }
                }
            },
        };
        if self.state.is_none() {
            // Between two states.
            if call.is_over() || call.poll_args(context).is_ready() {
                self.work().offer(call);
            } else {
                self.work().wait_for_arguments(call);
            }
            return Ok(());
        }
        if self.core.is_bounded() && !call.is_over() && call.poll_args(context).is_pending() {
            // It keeps its room: were that given away first, a caller could take it in between.
            self.work().wait_for_arguments(call);
            return Ok(());
        }
        self.tell_held();
        self.run(call, context)
    }

    /// Runs a call whose turn it is.
    fn run(&mut self, call: Mailed<A>, context: &mut Context<'_>) -> Result<(), End> {
        let note = call.note();
        let (group, shares) = (note.group, note.shares);
        if note.blocking || (self.threads && shares) || group > 0 {
            let kind = call.kind();
            if kind == Kind::Shared && !call.is_over() {
                return self.run_on_thread(call, context);
            }
        }
        let ran = self.run_now(call);
        match ran {
            Ran::Done => {
                if !shares {
                    self.changed()?;
                }
                Ok(())
            }
            Ran::Waits(call) => {
                self.not_begun();
                self.work().wait_for_arguments(call);
                self.core.set_held(self.held());
                Ok(())
            }
            Ran::Crashed(crash) => self.crashed(crash),
            Ran::Running(mut future) => {
                // Many asynchronous methods are done at once.
                let mode = if shares { Mode::Shared } else { Mode::Alone };
                let polled = polling(mode, || future.as_mut().poll(context));
                match polled {
                    Poll::Ready(late) => self.ended(late),
                    Poll::Pending if shares => {
                        self.work().started(future, group);
                        Ok(())
                    }
                    Poll::Pending => {
                        self.work().alone = Some(future);
                        Ok(())
                    }
                }
            }
        }
    }

    /// Runs a call up to its first await.
    ///
    /// The control runtime has few threads, and actors, timers and IO share them. An actor whose last call
    /// was heavy gives its runtime another thread for the time of the next one; that costs microseconds,
    /// which light calls would feel and heavy ones do not. Reading the clock costs as much as a light call,
    /// so of those only some are timed.
    fn run_now(&mut self, call: Mailed<A>) -> Ran<A> {
        self.runs = self.runs.wrapping_add(1);
        self.core.set_calls(self.runs);
        if self.core.events.is_on() {
            self.tell_call(call.note().label);
        }
        let blocking = self.heavy || call.note().blocking;
        if !blocking && !self.runs.is_power_of_two() && !self.runs.is_multiple_of(TIMED) {
            return call.run(&mut self.state, &self.core);
        }
        let start = Instant::now();
        let ran = if blocking {
            tokio::task::block_in_place(|| call.run(&mut self.state, &self.core))
        } else {
            call.run(&mut self.state, &self.core)
        };
        self.heavy = start.elapsed() >= HEAVY;
        if self.heavy {
            self.end_stretch();
        }
        ran
    }

    /// A call begins, and events are recorded. Two looks at the clock and an event cost as much as a light
    /// call, so calls of one method that are run in one go are one event.
    #[cold]
    fn tell_call(&mut self, label: &'static str) {
        match &mut self.stretch {
            Some(stretch) if std::ptr::eq(stretch.label, label) => stretch.count += 1,
            _ => {
                self.end_stretch();
                self.stretch = Some(Stretch { label, since: self.core.events.now(), count: 1 });
            }
        }
    }

    /// The arguments of the call that was just told were not there: it has yet to begin.
    fn not_begun(&mut self) {
        self.runs = self.runs.wrapping_sub(1);
        self.core.set_calls(self.runs);
        if let Some(stretch) = &mut self.stretch {
            stretch.count -= 1;
            if stretch.count == 0 {
                self.stretch = None;
            }
        }
    }

    fn end_stretch(&mut self) {
        if let Some(Stretch { label, since, count }) = self.stretch.take() {
            let id = self.core.life.id.number();
            self.core.events.emit(|| EventKind::ActorCalled {
                id,
                name: label.into(),
                started: since,
                count,
            });
        }
    }

    /// Runs a `fn(&self)` beside the loop.
    fn run_on_thread(&mut self, call: Mailed<A>, context: &mut Context<'_>) -> Result<(), End> {
        if call.poll_args(context).is_pending() {
            self.work().wait_for_arguments(call);
            self.core.set_held(self.held());
            return Ok(());
        }
        let Some(state) = self.state.clone() else { return Ok(()) };
        let group = call.note().group;
        let unstarted = Unstarted::new(call, &self.core);
        let core = Arc::clone(&self.core);
        // Without an engine the call is answered with the end of the actor.
        let Some(engine) = core.engine.upgrade() else { return Ok(()) };
        let thread = engine.run_blocking(move || {
            let nothing = Late { state: None, crash: None, again: None };
            let Some(call) = unstarted.into_call() else { return nothing };
            let mut here = Some(Here::new(Arc::clone(&core) as Arc<dyn AnyCore>, false));
            let _inside = Inside::enter(&mut here);
            let (label, started) = (call.note().label, core.events.is_on().then(|| core.events.now()));
            let late = call.run_blocking(state, &core);
            if let Some(started) = started {
                let id = core.life.id.number();
                core.events.emit(|| EventKind::ActorCalled { id, name: label.into(), started, count: 1 });
            }
            late
        });
        let future = async move {
            // Only a runtime that shuts down loses it.
            thread.await.unwrap_or(Late { state: None, crash: None, again: None })
        };
        self.work().started(Box::pin(future), group);
        Ok(())
    }

    /// An asynchronous call, or one on a thread, is over.
    fn ended(&mut self, late: Late<A>) -> Result<(), End> {
        let Late { state, crash, again } = late;
        let alone = state.is_some();
        if let Some(state) = state {
            self.state = Some(state);
        }
        if let Some(call) = again {
            self.work().offer_again(call);
        }
        match crash {
            Some(crash) => self.crashed(crash),
            None if alone => self.changed(),
            None => Ok(()),
        }
    }

    /// An exclusive call has run.
    fn changed(&mut self) -> Result<(), End> {
        if self.origin.care.is_some()
            && let Some(state) = &self.state
            && let Err(error) = self.origin.changed(state)
        {
            return Err(End(ActorEnd::Panicked, Some(error)));
        }
        Ok(())
    }

    /// After a panic: a fresh state if a restart is left, otherwise the end.
    fn crashed(&mut self, crash: Crash<A>) -> Result<(), End> {
        let Crash { error, call } = crash;
        let core = Arc::clone(&self.core);
        let life = &core.life;
        let done = life.restarts.load(Ordering::Acquire);
        if !self.origin.may_restart(done) || !life.goes_on() {
            life.finish(ActorEnd::Panicked, Some(error.clone()));
            call.answer(error);
            return Err(End(ActorEnd::Panicked, None));
        }
        life.restarting.store(true, Ordering::Release);
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            if let Some(work) = &mut self.work {
                work.interrupt();
            }
            drop(self.state.take());
        }));
        let mut again = core.take_interrupted();
        let told = if call.rearm() {
            again.insert(0, call);
            None
        } else {
            Some(call)
        };
        for call in again.into_iter().rev() {
            self.work().offer_again(call);
        }
        let fresh = match dropped {
            Err(payload) => Err(Error::panicked(format!("dropping the state of {}", A::NAME), &*payload)),
            Ok(()) => match self.origin.pause(done) {
                Some(pause) => {
                    self.work().pause = Some(Box::pin(tokio::time::sleep(pause)));
                    self.work().fresh = true;
                    Ok(None)
                }
                None => self.origin.make().map(Some),
            },
        };
        life.restarting.store(false, Ordering::Release);
        let outcome = match fresh {
            Ok(state) => {
                self.state = state;
                life.restarts.store(done + 1, Ordering::Release);
                self.origin.tell(&Restart { number: done + 1, error: error.clone() });
                if let Some(engine) = core.engine.upgrade() {
                    let name =
                        life.name.as_ref().map_or(Label::Static(life.kind), |name| name.name.clone().into());
                    let (id, restarts) = (life.id.number(), done + 1);
                    engine.emit(|| EventKind::ActorRestarted { id, name, restarts });
                }
                Ok(())
            }
            Err(cause) => {
                let end = if dropped_badly(&cause) { ActorEnd::Panicked } else { ActorEnd::Failed };
                life.finish(end, Some(cause));
                Err(End(end, None))
            }
        };
        if let Some(call) = told {
            call.answer(error);
        }
        outcome
    }

    /// Ends the actor; the first end that was written counts.
    fn finish(&mut self, end: ActorEnd, cause: Option<Error>) {
        self.finished = true;
        let core = Arc::clone(&self.core);
        core.life.finish(end, cause);
        names::release(&core.life);
        // The drops of states and arguments are the user's code.
        let _ = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().map(|work| work.interrupt())));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.state.take())));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.origin.first.take())));
        let mut calls = core.take_interrupted();
        calls.extend(self.work.as_mut().map(|work| work.drain()).unwrap_or_default());
        let queued = std::mem::take(&mut self.batch).into_iter().chain(core.close());
        calls.extend(queued.filter_map(|mail| match mail {
            Mail::Call(call) => Some(call),
            Mail::Stop => None,
        }));
        core.set_held(0);
        if let Some(engine) = core.engine.upgrade() {
            engine.end_actor(core.status());
        }
        for call in calls {
            let error = core.life.lost(call.note().info());
            let _ = catch_unwind(AssertUnwindSafe(|| call.answer(error)));
        }
        core.life.bury();
    }
}

fn dropped_badly(cause: &Error) -> bool {
    cause.operation().starts_with("dropping the state")
}

impl<A: Actor> Future for ActorTask<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut here = this.here.take();
        let turn = {
            let _inside = Inside::enter(&mut here);
            this.serve(context)
        };
        this.end_stretch();
        this.here = here;
        match turn {
            Ok(Turn::Wait) => Poll::Pending,
            Ok(Turn::Yield) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(End(end, cause)) => {
                this.here = None;
                this.finish(end, cause);
                Poll::Ready(())
            }
        }
    }
}

impl<A: Actor> Unpin for ActorTask<A> {}

impl<A: Actor> Drop for ActorTask<A> {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody wrote an end: the loop was dropped by its runtime, or something panicked in it.
            let end = if std::thread::panicking() { ActorEnd::Panicked } else { ActorEnd::ShutDown };
            self.finish(end, None);
        }
    }
}
