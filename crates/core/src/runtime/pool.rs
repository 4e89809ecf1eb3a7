//! The task pool: threads of our own with work-stealing deques.
//!
//! A push from a worker goes to its own deque, one from outside to the shared injector, or, if the thread pushes
//! much, to a deque it gets (`outside`); `idle` tells when a
//! push has to wake someone. A worker looks in its own deque, the injector and the others' deques, searches
//! for a bounded time when all are empty, and then sleeps. Its own deque is last in, first out, which keeps
//! what was just made in the cache; every `FAIR` tasks it takes the oldest instead, from the injector, the deques of
//! threads outside, its own and the tasks of low priority by turns, so that neither a flood nor a chain starves the rest.
//! Tasks of high priority (`prioritised`) come before all of that, except at those turns.
//!
//! A worker that blocks (a task waiting for something no one here can run inline) is counted; while fewer
//! than `workers` threads are unblocked, a spare thread takes its place. Spares retire when they are too
//! many. At most `MAX_SPARES` are started, then blocked tasks simply wait.
//!
//! `tests/it/schedules` runs this file, and those it is made of, under random schedules.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use core_affinity::CoreId;
use tokio::runtime::Handle;

use super::home::{Home, settle};
use super::idle::Idle;
use super::managed::Desk;
use super::outside;
use super::prioritised::Prioritised;
use super::replay::Replay;
use super::sync::{
    AtomicBool, AtomicUsize, Ordering, RwLock, ThreadBuilder, now, sleep, spin_loop, thread_local, yield_now,
};
use super::sync::{Injector, Steal, Stealer, Worker};
use super::tuning::{BUSY_ROUNDS, FAIR, FEW, MAX_SPARES, NAP, OFTEN, PAUSES, ROUNDS, TINY};
use super::{Budget, Capacity, Error, ErrorKind, Hub, Managed, Result, Task, lend_cpus, take_cpus_back};

/// Tasks may nest: a waiting task runs the awaited one on its stack.
const STACK_BYTES: usize = 8 << 20;

/// The deque of a thread, for others.
#[derive(Clone)]
struct Other {
    /// Of the thread.
    number: usize,
    stealer: Stealer<Task>,
    /// Whether it is no worker's.
    outside: bool,
}

/// The deques of all threads.
type Stealers = Arc<Vec<Other>>;

pub(crate) struct PoolShared {
    name: String,
    workers: usize,
    injector: Injector<Task>,
    /// One per thread, spares and those of `outside` included; a retired thread's entry is removed.
    stealers: RwLock<Stealers>,
    /// Grows with every change of `stealers`, so that workers can keep a copy.
    stealers_version: AtomicUsize,
    idle: Idle,
    /// Threads that exist, and how many of them are blocked.
    threads: AtomicUsize,
    blocked: AtomicUsize,
    next_thread: AtomicUsize,
    down: AtomicBool,
    prioritised: Prioritised,
    /// For tasks with options.
    desk: Desk,
    /// Instead of threads.
    replay: Option<Replay>,
    /// The cores that workers are kept on, if they are.
    cores: Vec<CoreId>,
    cpu: Handle,
    events: Arc<Hub>,
    home: Arc<Home>,
}

/// What a pool is started with.
pub(crate) struct Parts<'a> {
    pub(crate) name: &'a str,
    pub(crate) workers: usize,
    pub(crate) pinned: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) capacity: Capacity,
    pub(crate) budget: Budget,
    pub(crate) cpu: Handle,
    pub(crate) control: Handle,
    pub(crate) events: Arc<Hub>,
    pub(crate) home: Arc<Home>,
}

/// Stops a future that the pool runs.
pub(crate) enum Abort {
    Tokio(tokio::task::AbortHandle),
    Driven(futures::future::AbortHandle),
}

impl Abort {
    pub(crate) fn abort(&self) {
        match self {
            Abort::Tokio(handle) => handle.abort(),
            Abort::Driven(handle) => handle.abort(),
        }
    }
}

/// What a worker thread keeps to itself.
struct Local {
    pool: Arc<PoolShared>,
    deque: Worker<Task>,
    number: usize,
    stealers: Stealers,
    stealers_version: usize,
    /// Tasks taken, for fairness.
    tick: u32,
    /// Made ready by what ran last, and run next: it needs no queue.
    next: Option<Task>,
    /// Whether the last task came from outside the pool.
    injected: bool,
    /// How long to let tasks gather before the next search, in turns of a loop that does nothing.
    pause: u32,
    /// How often in a row few tasks at once were to be had elsewhere, though there were always some; when that was so
    /// too often, and how many; how long to let them gather for it.
    few: u32,
    taken: Option<(Instant, u32)>,
    gathering: u32,
    /// Whether a task that is pushed now may become `next`: only while waiters are told, so that nothing is
    /// held back by code that runs long.
    keeping: bool,
}

thread_local! {
    static WORKER: RefCell<Option<Local>> = const { RefCell::new(None) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The pool whose worker the calling thread is.
pub(super) fn worker_pool() -> Option<Arc<PoolShared>> {
    WORKER.with_borrow(|worker| worker.as_ref().map(|local| Arc::clone(&local.pool)))
}

/// Tells waiters that tasks they need are done; the first that becomes ready is what this worker runs next.
/// Not inside a waiting task: what runs above it on the stack must be what it waits for.
pub(crate) fn keep_first(tell: impl FnOnce()) {
    struct Keeping;
    impl Drop for Keeping {
        fn drop(&mut self) {
            keep(false);
        }
    }
    fn keep(on: bool) {
        WORKER.with_borrow_mut(|worker| {
            if let Some(local) = worker {
                local.keeping = on;
            }
        });
    }
    let _keeping = (DEPTH.get() == 0).then(|| {
        keep(true);
        Keeping
    });
    tell();
}

/// Counts tasks run inside a waiting task on this thread.
pub(super) struct Inline;

impl Inline {
    pub(super) fn enter(limit: usize) -> Option<Self> {
        let depth = DEPTH.get();
        (depth < limit).then(|| {
            DEPTH.set(depth + 1);
            Self
        })
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

impl PoolShared {
    /// Starts the worker threads, or has the calling thread drive the pool.
    pub(crate) fn start(parts: Parts<'_>) -> Result<Arc<Self>> {
        let Parts { name, workers, pinned, seed, capacity, budget, cpu, control, events, home } = parts;
        let cores = if pinned { cores()? } else { Vec::new() };
        let pool = Arc::new(Self {
            name: name.to_owned(),
            workers,
            injector: Injector::new(),
            stealers: RwLock::default(),
            stealers_version: AtomicUsize::new(0),
            idle: Idle::new(workers.div_ceil(2)),
            threads: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            next_thread: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            prioritised: Prioritised::default(),
            desk: Desk::new(capacity, budget, control),
            replay: seed.map(Replay::new),
            cores,
            cpu,
            events,
            home,
        });
        if pool.replay.is_some() {
            pool.drive_here();
            return Ok(pool);
        }
        let (pinned, pins) = mpsc::channel();
        for _ in 0..workers {
            let started = pool.start_thread((!pool.cores.is_empty()).then(|| pinned.clone()));
            if let Err(error) = started {
                pool.shut_down();
                return Err(Error::new(
                    ErrorKind::Io,
                    "engine",
                    format!("cannot start {workers} worker threads: {error}"),
                )
                .with_source(error));
            }
        }
        drop(pinned);
        if pins.iter().any(|pinned| !pinned) {
            pool.shut_down();
            return Err(Error::new(
                ErrorKind::Io,
                "engine",
                "the system does not let workers be kept on cores",
            )
            .with_help("leave out `pin_workers`"));
        }
        Ok(pool)
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(super) fn replay(&self) -> Option<&Replay> {
        self.replay.as_ref()
    }

    pub(super) fn prioritised(&self) -> &Prioritised {
        &self.prioritised
    }

    /// Whether work runs on the thread that waits, in an order that is repeated.
    pub(crate) fn is_replayed(&self) -> bool {
        self.replay.is_some()
    }

    /// Runs a future on the CPU runtime, or has the driving thread poll it.
    pub(crate) fn spawn_future(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) -> Abort {
        match &self.replay {
            Some(_) => Abort::Driven(self.spawn_driven(Box::pin(future))),
            None => Abort::Tokio(self.cpu.spawn(future).abort_handle()),
        }
    }

    pub(crate) fn cpu(&self) -> &Handle {
        &self.cpu
    }

    /// How many workers are awake, and how many tasks are ready and wait.
    pub(crate) fn load(&self) -> (usize, usize) {
        let threads = self.threads.load(Ordering::Relaxed);
        let away = self.idle.sleeping() + self.blocked.load(Ordering::Relaxed);
        let queued = self.stealers.read().iter().map(|other| other.stealer.len()).sum::<usize>();
        let waiting = self.replay.as_ref().map_or(0, Replay::len) + self.prioritised.len();
        (threads.saturating_sub(away).min(self.workers), queued + self.injector.len() + waiting)
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    pub(crate) fn events(&self) -> &Arc<Hub> {
        &self.events
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// `pinned` hears whether a worker that is to be kept on a core is.
    fn start_thread(self: &Arc<Self>, pinned: Option<mpsc::Sender<bool>>) -> std::io::Result<()> {
        let number = self.next_thread.fetch_add(1, Ordering::Relaxed);
        let deque = Worker::new_lifo();
        let stealer = deque.stealer();
        self.change_stealers(|stealers| stealers.push(Other { number, stealer, outside: false }));
        self.threads.fetch_add(1, Ordering::SeqCst);
        let pool = Arc::clone(self);
        let started = ThreadBuilder::new()
            .name(format!("{}-task-{number}", self.name))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                if let (Some(pinned), Some(core)) = (pinned, pool.cores.get(number % pool.cores.len().max(1)))
                {
                    // Nobody listens any more if another could not be started.
                    let _ = pinned.send(core_affinity::set_for_current(*core));
                }
                pool.work(number, deque)
            });
        if started.is_err() {
            self.threads.fetch_sub(1, Ordering::SeqCst);
            self.change_stealers(|stealers| stealers.retain(|other| other.number != number));
        }
        started.map(drop)
    }

    fn change_stealers(&self, change: impl FnOnce(&mut Vec<Other>)) {
        change(Arc::make_mut(&mut *self.stealers.write()));
        self.stealers_version.fetch_add(1, Ordering::Release);
    }

    /// How many deques are listed.
    #[cfg(test)]
    pub(super) fn listed(&self) -> usize {
        self.stealers.read().len()
    }

    /// Lists the deque of a thread outside; the number it goes by.
    pub(super) fn list_outside(&self, stealer: Stealer<Task>) -> usize {
        let number = self.next_thread.fetch_add(1, Ordering::Relaxed);
        self.change_stealers(|stealers| stealers.push(Other { number, stealer, outside: true }));
        number
    }

    /// A thread outside ends; `left` is what nobody has taken.
    pub(super) fn unlist_outside(&self, number: usize, left: impl Iterator<Item = Task>) {
        left.for_each(|task| self.injector.push(task));
        self.change_stealers(|stealers| stealers.retain(|other| other.number != number));
        self.idle.pushed();
        if self.is_down() {
            self.fail_queued();
        }
    }

    /// Queues the task unless it was cancelled meanwhile; the phase of its cell says so first.
    pub(crate) fn push_if_waiting(self: &Arc<Self>, task: Task) -> bool {
        if self.is_down() {
            task.fail_unstarted(shut_down());
            return false;
        }
        if !task.queue() {
            return false;
        }
        match task.managed().map_or(0, |managed: &Managed| managed.ask.priority) {
            0 => self.submit(task),
            priority => {
                self.prioritised.push(priority, task);
                self.idle.pushed();
                if self.is_down() {
                    self.fail_queued();
                }
            }
        }
        true
    }

    /// Queues a task whose cell is queued already.
    pub(crate) fn submit(self: &Arc<Self>, task: Task) {
        if self.enqueue(task) {
            self.idle.pushed();
        }
        if self.is_down() {
            self.fail_queued();
        }
    }

    /// Queues a task behind all that wait in the injector.
    pub(crate) fn submit_last(&self, task: Task) {
        match &self.replay {
            Some(replay) => replay.push(task),
            None => self.injector.push(task),
        }
        self.idle.pushed();
        if self.is_down() {
            self.fail_queued();
        }
    }

    /// Queues several with few looks at who sleeps.
    pub(crate) fn submit_all(self: &Arc<Self>, tasks: impl IntoIterator<Item = Task>) {
        for (count, task) in tasks.into_iter().enumerate() {
            self.enqueue(task);
            // The first wakes a worker while the rest is queued.
            if count.is_multiple_of(64) {
                self.idle.pushed();
            }
        }
        self.idle.pushed();
        if self.is_down() {
            self.fail_queued();
        }
    }

    /// Puts a task into the thread's own deque, or the injector; false if the worker keeps it to run next.
    fn enqueue(self: &Arc<Self>, task: Task) -> bool {
        if let Some(replay) = &self.replay {
            replay.push(task);
            return false;
        }
        let rest = WORKER.with_borrow_mut(|worker| match worker {
            Some(local) if Arc::ptr_eq(&local.pool, self) => {
                if local.keeping && local.next.is_none() {
                    local.next = Some(task);
                    return Err(false);
                }
                local.deque.push(task);
                Err(true)
            }
            _ => Ok(task),
        });
        match rest {
            Ok(task) => {
                if let Err(task) = outside::push(self, task) {
                    self.injector.push(task);
                }
                true
            }
            Err(pushed) => pushed,
        }
    }

    fn work(self: Arc<Self>, number: usize, deque: Worker<Task>) {
        let stealers = Arc::default();
        let local = Local {
            pool: Arc::clone(&self),
            deque,
            number,
            stealers,
            stealers_version: usize::MAX,
            tick: 0,
            next: None,
            injected: false,
            pause: 0,
            few: 0,
            taken: None,
            gathering: 0,
            keeping: false,
        };
        WORKER.set(Some(local));
        settle(&self.home);
        let (mut searching, mut in_vain) = (false, false);
        while !self.is_down() && !self.retire() {
            match self.find().or_else(|| self.search(&mut searching)) {
                Some(task) => {
                    in_vain = false;
                    if std::mem::take(&mut searching) {
                        self.idle.found(|| !self.is_idle());
                    }
                    // The job's panics are caught further in; this is for wakers and destructors.
                    let _ = catch_unwind(AssertUnwindSafe(|| task.run()));
                }
                None if std::mem::take(&mut in_vain) && self.has_others_awake() => {
                    self.events.idle();
                    if std::mem::take(&mut searching) {
                        self.idle.found(|| !self.is_idle());
                    }
                    if self.is_idle() {
                        sleep(NAP);
                    }
                }
                None => {
                    self.events.idle();
                    searching = self.idle.sleep(searching, || !self.is_idle() || self.is_down());
                    in_vain = searching;
                }
            }
        }
        if searching {
            self.idle.found(|| !self.is_idle());
        }
        // What is left in this thread's deque must not be lost with it.
        if let Some(local) = WORKER.take() {
            local.next.into_iter().for_each(|task| self.injector.push(task));
            while let Some(task) = local.deque.pop() {
                self.injector.push(task);
            }
        }
        self.change_stealers(|stealers| stealers.retain(|other| other.number != number));
        if self.is_down() {
            self.fail_queued();
            self.threads.fetch_sub(1, Ordering::SeqCst);
        }
        self.idle.pushed();
    }

    /// Whether another thread that is not blocked is awake.
    fn has_others_awake(&self) -> bool {
        let away = self.blocked.load(Ordering::Relaxed) + self.idle.sleeping();
        self.threads.load(Ordering::Relaxed) > away + 1
    }

    /// Whether this thread is one too many; if so it has been counted out.
    ///
    /// A thread that blocks counts itself as blocked and then looks at the threads; one that retires counts
    /// itself out and then looks at the blocked. One of the two sees the other, so that the last unblocked
    /// thread does not go while another relies on it.
    fn retire(&self) -> bool {
        let unblocked = || {
            let threads = self.threads.load(Ordering::SeqCst);
            threads - self.blocked.load(Ordering::SeqCst).min(threads)
        };
        if unblocked() <= self.workers {
            return false;
        }
        self.threads.fetch_sub(1, Ordering::SeqCst);
        if unblocked() < self.workers {
            self.threads.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// The next task for this worker, if any queue has one.
    fn find(&self) -> Option<Task> {
        WORKER.with_borrow_mut(|worker| {
            let local = worker.as_mut()?;
            local.injected = false;
            let injected = |local: &mut Local| {
                local.gather();
                let task = self.batch(local, || self.injector.steal_batch_and_pop(&local.deque))?;
                local.took(true);
                Some(task)
            };
            local.tick = local.tick.wrapping_add(1);
            let fair = local.tick.is_multiple_of(FAIR);
            if !fair && let Some(urgent) = self.prioritised.pop(true) {
                return Some(urgent);
            }
            if let Some(next) = local.next.take() {
                if !fair {
                    return Some(next);
                }
                local.deque.push(next);
            }
            if fair {
                local.refresh(self);
                let oldest = || {
                    let own = local.stealers.iter().find(|other| other.number == local.number);
                    own.and_then(|own| retry(|| own.stealer.steal()))
                };
                let injected = || retry(|| self.injector.steal());
                let outside = || {
                    let mut outside = local.others().filter(|other| other.outside);
                    outside.find_map(|other| retry(|| other.stealer.steal()))
                };
                let found = match (local.tick / FAIR) % 4 {
                    0 => injected().or_else(outside).or_else(oldest),
                    1 => oldest(),
                    2 => outside().or_else(injected).or_else(oldest),
                    _ => self.prioritised.pop(false).or_else(oldest),
                };
                if found.is_some() {
                    return found;
                }
            }
            local.deque.pop().or_else(|| injected(local)).or_else(|| {
                local.refresh(self);
                let stolen = local.others().find_map(|other| {
                    let first = self.batch(local, || other.stealer.steal_batch_and_pop(&local.deque))?;
                    Some((first, other.outside))
                });
                let stolen = stolen.map(|(first, outside)| {
                    local.took(outside);
                    first
                });
                // At a turn of the others, the urgent ones were not looked at.
                stolen.or_else(|| self.prioritised.pop(true)).or_else(|| self.prioritised.pop(false))
            })
        })
    }

    /// Takes several tasks into the deque of the worker, and one to run. On their way no queue has them: a worker
    /// that took its last look meanwhile sleeps, and is woken for them here.
    fn batch(&self, local: &Local, steal: impl FnMut() -> Steal<Task>) -> Option<Task> {
        let first = retry(steal)?;
        if !local.deque.is_empty() {
            self.idle.pushed();
        }
        Some(first)
    }

    /// Looks for work a bounded number of times, if not enough others do.
    fn search(&self, searching: &mut bool) -> Option<Task> {
        *searching = *searching || self.idle.search();
        if !*searching {
            return None;
        }
        let pause = WORKER.with_borrow(|worker| worker.as_ref().map_or(0, |local| local.pause));
        (0..pause).for_each(|_| std::hint::spin_loop());
        let found = (0..ROUNDS).find_map(|round| {
            if round < BUSY_ROUNDS {
                spin_loop();
            } else {
                yield_now();
            }
            if self.is_idle() { None } else { self.find() }
        });
        WORKER.with_borrow_mut(|worker| {
            if let Some(local) = worker {
                (local.few, local.taken, local.gathering) = (0, None, 0);
                let several = found.is_some() && local.injected && !local.deque.is_empty();
                local.pause = if several { (2 * pause).clamp(PAUSES.0, PAUSES.1) } else { 0 };
            }
        });
        found
    }

    fn is_idle(&self) -> bool {
        self.injector.is_empty()
            && self.prioritised.len() == 0
            && self.stealers.read().iter().all(|other| other.stealer.is_empty())
    }

    /// Runs `wait`, which blocks this worker, while another thread may work in its place and others may use
    /// the cpus of its tasks.
    pub(super) fn blocking<R>(self: &Arc<Self>, wait: impl FnOnce() -> R) -> R {
        lend_cpus();
        // Work in this thread's deque stays stealable; the others only need to be awake.
        let blocked = self.blocked.fetch_add(1, Ordering::SeqCst) + 1;
        let threads = self.threads.load(Ordering::SeqCst);
        if threads - blocked.min(threads) < self.workers && threads < self.workers + MAX_SPARES {
            // Without a thread to spare the wait goes on without a replacement.
            let _ = self.start_thread(None);
        }
        self.idle.pushed();
        let result = wait();
        // Before it counts as unblocked: it may have to wait for them.
        take_cpus_back();
        self.blocked.fetch_sub(1, Ordering::SeqCst);
        result
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    /// Refuses new tasks, fails queued ones, lets the threads end after what they run now.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        self.down.store(true, Ordering::SeqCst);
        self.fail_queued();
        self.shut_desk();
        self.idle.wake_all();
    }

    fn fail_queued(&self) {
        let stealers = Arc::clone(&*self.stealers.read());
        let steal = || stealers.iter().find_map(|other| retry(|| other.stealer.steal()));
        while let Some(task) = retry(|| self.injector.steal()).or_else(steal) {
            task.fail_unstarted(shut_down());
        }
        for task in self.replay.iter().flat_map(Replay::drain) {
            task.fail_unstarted(shut_down());
        }
        while let Some(task) = self.prioritised.pop(true).or_else(|| self.prioritised.pop(false)) {
            task.fail_unstarted(shut_down());
        }
    }
}

/// The cores this process may use.
fn cores() -> Result<Vec<CoreId>> {
    core_affinity::get_core_ids().filter(|cores| !cores.is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::Io, "engine", "this system does not tell which cores there are")
            .with_help("leave out `pin_workers`")
    })
}

impl Local {
    /// The deques of the others; another one first each time, so that nobody is passed over.
    fn others(&self) -> impl Iterator<Item = &Other> {
        let first = self.tick as usize % self.stealers.len().max(1);
        let (before, behind) = self.stealers.split_at(first);
        behind.iter().chain(before).filter(|other| other.number != self.number)
    }

    /// A task was taken from elsewhere, and perhaps others with it, which are in the deque.
    fn took(&mut self, from_outside: bool) {
        self.injected = from_outside;
        let more = self.deque.len();
        if more >= FEW {
            (self.few, self.gathering) = (0, self.gathering - self.gathering / 8);
            return;
        }
        self.few += 1;
        if self.few >= OFTEN {
            self.taken = Some((now(), more as u32 + 1));
        }
    }

    /// Lets tasks gather elsewhere if there were few at once for a while, and tiny ones, see [`FEW`].
    fn gather(&mut self) {
        let Some((at, count)) = self.taken.take() else { return };
        self.few = 0;
        if now().saturating_duration_since(at) < TINY * count {
            self.gathering = (2 * self.gathering).clamp(PAUSES.0, PAUSES.1);
            (0..self.gathering).for_each(|_| spin_loop());
        } else {
            self.gathering = 0;
        }
    }

    /// Renews the copy of the others' deques if threads came or went.
    fn refresh(&mut self, pool: &PoolShared) {
        let version = pool.stealers_version.load(Ordering::Acquire);
        if version != self.stealers_version {
            self.stealers = Arc::clone(&*pool.stealers.read());
            self.stealers_version = version;
        }
    }
}

fn retry(mut steal: impl FnMut() -> Steal<Task>) -> Option<Task> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// The error of work given to an engine that has been shut down.
pub(crate) fn shut_down() -> Error {
    Error::new(ErrorKind::ShutDown, "engine", "the engine has been shut down")
        .with_help("start a new one; values that were computed stay readable")
}
