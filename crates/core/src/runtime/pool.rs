//! The task pool: threads of our own with work-stealing deques.
//!
//! A push from a worker goes to its own deque, one from outside to the shared injector; then, if a worker
//! sleeps, one is woken. A worker looks in its own deque, the injector, the others' deques, and sleeps on a
//! condition variable when all are empty: idle costs nothing. Lost wake-ups are ruled out by order: a
//! sleeper announces itself and then looks once more, a pusher pushes and then looks for sleepers, with a
//! sequentially consistent fence between on both sides.
//!
//! A worker that blocks (a task waiting for something no one here can run inline) is counted; while fewer
//! than `workers` threads are unblocked, a spare thread takes its place. Spares retire when they are too
//! many. At most `MAX_SPARES` are started, then blocked tasks simply wait.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use crossbeam_deque::{Injector, Steal, Stealer, Worker};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind, Result};
use crate::refs::{Runnable, current_task_cpus};
use crate::schedule::CpuGate;

type Task = Arc<dyn Runnable>;

/// Spare threads beyond `workers` while tasks block.
const MAX_SPARES: usize = 512;

/// Tasks may nest: a waiting task runs the awaited one on its stack.
const STACK_BYTES: usize = 8 << 20;

pub(crate) struct PoolShared {
    name: String,
    workers: usize,
    injector: Injector<Task>,
    /// One per thread, spares included; a retired thread's entry is removed.
    stealers: RwLock<Vec<(usize, Stealer<Task>)>>,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    /// Threads that exist, and how many of them are blocked.
    threads: AtomicUsize,
    blocked: AtomicUsize,
    next_thread: AtomicUsize,
    down: AtomicBool,
    gate: Mutex<CpuGate<Task>>,
    cpu: Handle,
}

thread_local! {
    static WORKER: RefCell<Option<(Arc<PoolShared>, Worker<Task>)>> = const { RefCell::new(None) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The pool whose worker the calling thread is.
pub(super) fn worker_pool() -> Option<Arc<PoolShared>> {
    WORKER.with_borrow(|worker| worker.as_ref().map(|(pool, _)| Arc::clone(pool)))
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

/// Gives declared cpus back when an async task ends, however it ends.
pub(crate) struct ReleaseOnDrop(Arc<PoolShared>, u32);

impl ReleaseOnDrop {
    pub(crate) fn new(pool: Arc<PoolShared>, milli: u32) -> Self {
        Self(pool, milli)
    }
}

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        self.0.release_cpus(self.1);
    }
}

impl PoolShared {
    /// Starts the worker threads.
    pub(crate) fn start(name: &str, workers: usize, cpu: Handle) -> Result<Arc<Self>> {
        let pool = Arc::new(Self {
            name: name.to_owned(),
            workers,
            injector: Injector::new(),
            stealers: RwLock::default(),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            threads: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            next_thread: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            gate: Mutex::new(CpuGate::new(workers)),
            cpu,
        });
        for _ in 0..workers {
            if let Err(error) = pool.start_thread() {
                pool.shut_down();
                return Err(Error::new(
                    ErrorKind::Io,
                    "engine",
                    format!("cannot start {workers} worker threads: {error}"),
                )
                .with_source(error));
            }
        }
        Ok(pool)
    }

    pub(crate) fn cpu(&self) -> &Handle {
        &self.cpu
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    fn start_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let number = self.next_thread.fetch_add(1, Ordering::Relaxed);
        let local = Worker::new_lifo();
        self.stealers.write().push((number, local.stealer()));
        self.threads.fetch_add(1, Ordering::SeqCst);
        let pool = Arc::clone(self);
        let started = std::thread::Builder::new()
            .name(format!("{}-task-{number}", self.name))
            .stack_size(STACK_BYTES)
            .spawn(move || pool.work(number, local));
        if started.is_err() {
            self.threads.fetch_sub(1, Ordering::SeqCst);
            self.stealers.write().retain(|(other, _)| *other != number);
        }
        started.map(drop)
    }

    /// A task whose dependencies are done: queue it, or let it wait for its declared cpus.
    pub(crate) fn admit(self: &Arc<Self>, task: Task) {
        let milli = task.base().milli_cpus;
        if milli == 0 {
            return self.push(task);
        }
        let granted = self.gate.lock().request(milli, task);
        if let Some(task) = granted {
            self.push_granted(task);
        }
    }

    fn push_granted(self: &Arc<Self>, task: Task) {
        let milli = task.base().milli_cpus;
        // Cancelled while it waited for cpus: nothing will run, so nothing will release them.
        if !self.push_if_waiting(task) {
            self.release_cpus(milli);
        }
    }

    pub(crate) fn release_cpus(self: &Arc<Self>, milli: u32) {
        if milli == 0 {
            return;
        }
        let granted = self.gate.lock().release(milli);
        for task in granted {
            self.push_granted(task);
        }
    }

    fn push(self: &Arc<Self>, task: Task) {
        self.push_if_waiting(task);
    }

    /// Queues the task unless it was cancelled meanwhile.
    fn push_if_waiting(self: &Arc<Self>, task: Task) -> bool {
        if self.is_down() {
            task.fail_unstarted(shut_down());
            return false;
        }
        if !task.base().mark_queued() {
            return false;
        }
        let rest = WORKER.with_borrow(|worker| match worker {
            Some((pool, local)) if Arc::ptr_eq(pool, self) => {
                local.push(task);
                None
            }
            _ => Some(task),
        });
        if let Some(task) = rest {
            self.injector.push(task);
        }
        self.notify();
        if self.is_down() {
            self.fail_queued();
        }
        true
    }

    fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // The lock orders this wake-up after the sleeper's last look.
            drop(self.sleep.lock());
            self.wake.notify_one();
        }
    }

    fn work(self: Arc<Self>, number: usize, local: Worker<Task>) {
        WORKER.set(Some((Arc::clone(&self), local)));
        while !self.is_down() && !self.retire() {
            match self.find() {
                Some(task) => run(task),
                None => self.sleep(),
            }
        }
        // What is left in this thread's deque must not be lost with it.
        if let Some((_, local)) = WORKER.take() {
            while let Some(task) = local.pop() {
                self.injector.push(task);
            }
        }
        self.stealers.write().retain(|(other, _)| *other != number);
        if self.is_down() {
            self.fail_queued();
            self.threads.fetch_sub(1, Ordering::SeqCst);
        }
        self.notify();
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

    fn find(&self) -> Option<Task> {
        let own = WORKER.with_borrow(|worker| {
            let (_, local) = worker.as_ref()?;
            local.pop().or_else(|| retry(|| self.injector.steal_batch_and_pop(local)))
        });
        own.or_else(|| self.steal())
    }

    fn steal(&self) -> Option<Task> {
        let stealers = self.stealers.read();
        stealers.iter().find_map(|(_, stealer)| retry(|| stealer.steal()))
    }

    fn is_idle(&self) -> bool {
        self.injector.is_empty() && self.stealers.read().iter().all(|(_, stealer)| stealer.is_empty())
    }

    fn sleep(&self) {
        let mut guard = self.sleep.lock();
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.is_idle() && !self.is_down() {
            self.wake.wait(&mut guard);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Runs `wait`, which blocks this worker, while another thread may work in its place.
    pub(super) fn blocking<R>(self: &Arc<Self>, wait: impl FnOnce() -> R) -> R {
        let milli = current_task_cpus();
        self.release_cpus(milli);
        // Work in this thread's deque stays stealable; the others only need to be awake.
        let blocked = self.blocked.fetch_add(1, Ordering::SeqCst) + 1;
        let threads = self.threads.load(Ordering::SeqCst);
        if threads - blocked.min(threads) < self.workers && threads < self.workers + MAX_SPARES {
            // Without a thread to spare the wait goes on without a replacement.
            let _ = self.start_thread();
        }
        self.notify();
        let result = wait();
        self.blocked.fetch_sub(1, Ordering::SeqCst);
        if milli > 0 {
            self.gate.lock().reclaim(milli);
        }
        result
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    /// Refuses new tasks, fails queued ones, lets the threads end after what they run now.
    pub(crate) fn shut_down(&self) {
        self.down.store(true, Ordering::SeqCst);
        self.fail_queued();
        let waiting = self.gate.lock().drain();
        for task in waiting {
            task.fail_unstarted(shut_down());
        }
        drop(self.sleep.lock());
        self.wake.notify_all();
    }

    fn fail_queued(&self) {
        while let Some(task) = retry(|| self.injector.steal()).or_else(|| self.steal()) {
            task.fail_unstarted(shut_down());
        }
    }
}

fn run(task: Task) {
    if task.base().claim() {
        task.run();
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
