//! The engine: threads, budget, store and scheduler behind one cheap handle.
//!
//! Owners: every `Engine` clone shares one inner part; the last one to go shuts it down. Threads and
//! runtimes hold the pool, never the engine, so nothing keeps an engine alive but its handles. Order of
//! shutdown: no new work; queued tasks fail with `ShutDown`; the runtimes drop their futures, which fails
//! the refs that wait for them; running code ends on its own; the spill directory goes with the store and
//! the last stored partition.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};
use crate::events::Hub;
use crate::graph::{
    Call, Closure, FnJob, Launch, MapJob, Node, launch_all, spawn_call, spawn_calls, start, start_all,
};
use crate::id::next_number;
use crate::memory::{Budget, default_limit, format_bytes, known_heap_bytes, parse_bytes};
use crate::refs::{Completed, Origin, Ref, current_task_home, wait_for};
use crate::runtime::{
    AbortOnDrop, Home, Parts, PoolShared, block_on, mark_runtime_thread, settle, shut_down, thread_home,
};
use crate::schedule::Capacity;
use crate::store::{Compression, Disk, OsDisk, PINNED, SpillDir, Store};

/// Threads of the control runtime, and of the light one: one may write a spill file, or compute, while the other stays
/// prompt.
const CONTROL_THREADS: usize = 2;

/// The least memory an engine can do anything useful with.
const MIN_MEMORY: usize = 1 << 20;

struct Inner {
    id: u64,
    name: String,
    budget: Budget,
    store: Store,
    events: Arc<Hub>,
    pool: Arc<PoolShared>,
    cpu: Handle,
    control: Handle,
    light: Handle,
    /// Taken at shutdown.
    runtimes: Mutex<Option<[Runtime; 3]>>,
}

impl Inner {
    fn shut_down(&self) {
        self.pool.shut_down();
        let runtimes = self.runtimes.lock().take();
        // In the background: this may be called on one of their own threads or in another runtime,
        // where waiting is not allowed.
        runtimes.into_iter().flatten().for_each(Runtime::shutdown_background);
        self.events.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Threads, memory budget, object store and scheduler: what all front ends stand on.
///
/// A clone is another handle to the same engine; the last handle dropped shuts it down, and so does
/// [`Engine::shutdown`]. An engine can be made and dropped anywhere: in plain `main`, inside any async
/// runtime, in a task. Several engines side by side share nothing.
///
/// # Examples
///
/// ```
/// use trefoil_core::Engine;
///
/// let engine = Engine::builder().workers(2).memory("256MiB").build()?;
/// let refs: Vec<_> = (0..4).map(|i| engine.spawn_fn(move || i * i)).collect();
/// assert_eq!(engine.block_on(engine.gather(refs))?, [0, 1, 4, 9]);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl Engine {
    /// The engine whose task or actor calls this, so that a `#[task]` can start tasks itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] outside the threads of an engine, [`ErrorKind::ShutDown`] if the last handle of
    /// the engine is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::Engine;
    ///
    /// let engine = Engine::new()?;
    /// let nested = engine.try_spawn_fn(|| Engine::current()?.spawn_fn(|| 6 * 7).get());
    /// assert_eq!(nested.get()?, 42);
    /// assert!(Engine::current().is_err());
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn current() -> Result<Self> {
        let Some(home) = current_task_home().or_else(thread_home) else {
            let message = "no engine runs this code";
            return Err(Error::new(ErrorKind::NotFound, "engine", message)
                .with_help("call it in a task or an actor, or hand an `Engine` over"));
        };
        home.get().and_then(WeakEngine::upgrade).ok_or_else(shut_down)
    }

    /// An engine with the defaults of [`Engine::builder`].
    ///
    /// # Errors
    ///
    /// As for [`EngineBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts the configuration of an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            workers: None,
            memory: Memory::Default,
            spill_dir: None,
            compression: Compression::None,
            disk: Arc::new(OsDisk),
            name: None,
            resources: Vec::new(),
            pinned: false,
            seed: None,
            events: None,
            progress: false,
        }
    }

    /// A number no other engine of this process has.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// A handle that does not keep the engine running.
    pub fn downgrade(&self) -> WeakEngine {
        WeakEngine(Arc::downgrade(&self.0))
    }

    /// The engine's name, the first part of its threads' names.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many tasks run at once.
    pub fn workers(&self) -> usize {
        self.0.pool.workers()
    }

    /// The memory budget.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// The object store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The directory spill files go to.
    pub fn spill_dir(&self) -> &Path {
        self.0.store.spill_dir()
    }

    /// The runtime for CPU-bound async work, such as query operators.
    pub fn cpu(&self) -> &Handle {
        &self.0.cpu
    }

    /// The runtime for actors, timers and IO: work that must stay prompt.
    pub fn control(&self) -> &Handle {
        &self.0.control
    }

    /// The runtime for what computes for some milliseconds and must stay prompt.
    pub(crate) fn light(&self) -> &Handle {
        &self.0.light
    }

    /// Stores a value and charges its size to the budget until the last handle is dropped.
    ///
    /// Counted are the value's own size and, for strings, bytes and vectors of numbers or strings, their
    /// heap; other types' heap is not known. The value stays in memory; what may be spilled goes in with
    /// [`Engine::put_batches`] (tables) and [`Engine::put_spillable`] (values of serde types).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfMemory`] if the budget cannot hold it, [`ErrorKind::ShutDown`].
    pub fn put<T: Send + Sync + 'static>(&self, value: T) -> Result<Ref<T>> {
        let heap = known_heap_bytes(&value);
        self.put_sized(value, heap)
    }

    /// Stores a value as [`Engine::put`] does, charging `heap` bytes besides its own size: for types whose
    /// heap only the caller knows.
    ///
    /// # Errors
    ///
    /// As [`Engine::put`].
    pub fn put_sized<T: Send + Sync + 'static>(&self, value: T, heap: usize) -> Result<Ref<T>> {
        self.check_up()?;
        let bytes = size_of::<T>().saturating_add(heap);
        let reservation = self.0.budget.reserve(PINNED, bytes)?;
        Ok(Ref::stored(value, reservation))
    }

    /// Starts a call and every call it needs; calls used twice run once. Errors are in the refs.
    pub fn spawn<T: Send + Sync + 'static>(&self, call: Call<T>) -> Ref<T> {
        spawn_call(&self.0.pool, call)
    }

    /// Starts several calls as one graph: calls that more than one of them needs run once.
    pub fn spawn_all<T: Send + Sync + 'static>(&self, calls: Vec<Call<T>>) -> Vec<Ref<T>> {
        spawn_calls(&self.0.pool, calls)
    }

    /// Runs a closure as a task.
    #[track_caller]
    pub fn spawn_fn<T, F>(&self, work: F) -> Ref<T>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let location = Location::caller();
        start(&self.0.pool, Origin::here(), FnJob::<_, Closure>::new(location, move || Ok(work())))
    }

    /// Runs closures as tasks, as [`Engine::spawn_fn`] does, for less each: they are queued in batches.
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::Engine;
    ///
    /// let engine = Engine::new()?;
    /// let squares = engine.spawn_fns((0..1000u64).map(|i| move || i * i));
    /// assert_eq!(engine.block_on(engine.gather(squares))?.iter().sum::<u64>(), 332_833_500);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_fns<T, F>(&self, works: impl IntoIterator<Item = F>) -> Vec<Ref<T>>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let location = Location::caller();
        let job = |work: F| FnJob::<_, Closure>::new(location, move || Ok(work()));
        start_all(&self.0.pool, &Origin::here(), works.into_iter().map(job))
    }

    /// Runs a closure that may fail as a task; its error reaches the ref, downcastable.
    #[track_caller]
    pub fn try_spawn_fn<T, E, F>(&self, work: F) -> Ref<T>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let location = Location::caller();
        let work = move || work().map_err(Error::user);
        start(&self.0.pool, Origin::here(), FnJob::<_, Closure>::new(location, work))
    }

    /// Runs a future on the CPU runtime as a task.
    #[track_caller]
    pub fn spawn_async<T, F>(&self, future: F) -> Ref<T>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let future = Mutex::new(Some(future.boxed()));
        self.spawn(Call::new_async(crate::graph::TaskSpec::new("future"), (), move |()| {
            let once = future.lock().take();
            async move {
                match once {
                    Some(future) => future.await,
                    None => Err(Error::new(ErrorKind::Internal, "spawn", "a future runs only once")),
                }
            }
        }))
    }

    /// Applies a closure to each value as it becomes ready; results keep the order of the inputs.
    #[track_caller]
    pub fn map<T, U, F>(&self, inputs: impl IntoIterator<Item = Ref<T>>, work: F) -> Vec<Ref<U>>
    where
        T: Send + Sync + 'static,
        U: Send + Sync + 'static,
        F: Fn(&T) -> U + Send + Sync + 'static,
    {
        self.map_results(inputs, Location::caller(), move |value| Ok(work(value)))
    }

    /// Like [`Engine::map`] for a closure that may fail.
    #[track_caller]
    pub fn try_map<T, U, E, F>(&self, inputs: impl IntoIterator<Item = Ref<T>>, work: F) -> Vec<Ref<U>>
    where
        T: Send + Sync + 'static,
        U: Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
        F: Fn(&T) -> Result<U, E> + Send + Sync + 'static,
    {
        self.map_results(inputs, Location::caller(), move |value| work(value).map_err(Error::user))
    }

    fn map_results<T, U, F>(
        &self,
        inputs: impl IntoIterator<Item = Ref<T>>,
        location: &'static Location<'static>,
        work: F,
    ) -> Vec<Ref<U>>
    where
        T: Send + Sync + 'static,
        U: Send + Sync + 'static,
        F: Fn(&T) -> Result<U> + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        let job = |input| MapJob { location, input, work: Arc::clone(&work) };
        start_all(&self.0.pool, &Origin::here(), inputs.into_iter().map(job))
    }

    /// Waits until `count` of the refs are done, failed ones included, or the time is up; returns those
    /// that are done (at most `count`, in order of completion as far as seen) and the rest in their order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if `count` is more than there are refs.
    pub async fn wait<T: Send + Sync + 'static>(
        &self,
        refs: &[Ref<T>],
        count: usize,
        timeout: Option<Duration>,
    ) -> Result<(Vec<Ref<T>>, Vec<Ref<T>>)> {
        let done = self.places_of_done(refs, count, timeout).await?;
        let mut waited_for = vec![false; refs.len()];
        done.iter().for_each(|&at| waited_for[at] = true);
        let rest =
            refs.iter().zip(waited_for).filter(|(_, waited)| !waited).map(|(rest, _)| rest.clone()).collect();
        Ok((done.iter().map(|&at| refs[at].clone()).collect(), rest))
    }

    /// Waits until `count` of the refs are done or the time is up; their places.
    pub(crate) async fn places_of_done<T: Send + Sync + 'static>(
        &self,
        refs: &[Ref<T>],
        count: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<usize>> {
        if count > refs.len() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "wait",
                format!("cannot wait for {count} of {} refs", refs.len()),
            ));
        }
        let mut done: Vec<usize> = (0..refs.len()).filter(|&at| refs[at].is_done()).take(count).collect();
        if done.len() < count {
            let collect = wait_for(refs, &mut done, count);
            match timeout {
                None => collect.await,
                // The timer is a task of the control runtime, so that any executor may await this, and so
                // that a shutdown meanwhile ends it instead of breaking it.
                Some(timeout) => {
                    let mut timer = AbortOnDrop(self.0.control.spawn(async move {
                        tokio::time::sleep(timeout).await;
                    }));
                    futures::future::select(std::pin::pin!(collect), &mut timer.0).await;
                }
            }
        }
        Ok(done)
    }

    /// The refs in the order in which they are done, failed ones included, each with its place among `refs`.
    ///
    /// To take results as they come, this is cheaper than [`Engine::wait`] again and again: each ref is
    /// registered once, whatever the order of completion.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use trefoil_core::Engine;
    ///
    /// let engine = Engine::new()?;
    /// let refs: Vec<_> = (0..10).map(|i| engine.spawn_fn(move || i * i)).collect();
    /// let sum = engine.block_on(async {
    ///     let mut completed = engine.as_completed(refs);
    ///     let mut sum = 0;
    ///     while let Some((place, square)) = completed.next().await {
    ///         sum += square.await? - (place * place) as i32 + 1;
    ///     }
    ///     Ok::<_, trefoil_core::Error>(sum)
    /// })?;
    /// assert_eq!(sum, 10);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn as_completed<T>(&self, refs: impl IntoIterator<Item = Ref<T>>) -> Completed<T> {
        Completed::new(refs)
    }

    /// Awaits all refs and returns their values in order.
    ///
    /// # Errors
    ///
    /// The first error seen; the other work goes on.
    pub async fn gather<T: Clone + Send + Sync + 'static>(
        &self,
        refs: impl IntoIterator<Item = Ref<T>>,
    ) -> Result<Vec<T>> {
        futures::future::try_join_all(refs).await
    }

    /// Starts a call and awaits its value.
    ///
    /// # Errors
    ///
    /// The error of the call or of the call below it that failed.
    pub async fn compute<T: Clone + Send + Sync + 'static>(&self, call: Call<T>) -> Result<T> {
        self.spawn(call).await
    }

    /// Drives a future to its end on the calling thread. Works in plain code, in tasks and inside other
    /// runtimes (where it blocks the thread it is called on).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0.events
    }

    pub(crate) fn pool(&self) -> &Arc<PoolShared> {
        &self.0.pool
    }

    /// How many worker threads are awake, and how many tasks are ready and wait.
    pub(crate) fn pool_load(&self) -> (usize, usize) {
        self.0.pool.load()
    }

    /// Starts everything below some nodes as one graph.
    pub(crate) fn launch(&self, roots: &[Arc<dyn Node>]) -> Launch<'_> {
        launch_all(&self.0.pool, roots)
    }

    /// Completes after `time`, or when the engine is shut down; on any executor.
    pub(crate) async fn timer(&self, time: Duration) {
        let mut timer = AbortOnDrop(self.0.control.spawn(async move { tokio::time::sleep(time).await }));
        // An error means shutdown: there is nothing to wait for then.
        let _ = (&mut timer.0).await;
    }

    pub(crate) fn check_up(&self) -> Result<()> {
        if self.is_shut_down() { Err(shut_down()) } else { Ok(()) }
    }

    /// Stops the engine: queued work fails with [`ErrorKind::ShutDown`], async work is dropped at its next
    /// await, running synchronous code ends on its own. Values that were computed stay readable.
    pub fn shutdown(&self) {
        self.0.shut_down();
    }

    /// Whether the engine has been shut down.
    pub fn is_shut_down(&self) -> bool {
        self.0.pool.is_down()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({}, {} workers, {:?})", self.name(), self.workers(), self.budget())
    }
}

/// A handle that does not keep the engine running; from [`Engine::downgrade`].
#[derive(Clone)]
pub struct WeakEngine(Weak<Inner>);

impl WeakEngine {
    /// The engine, unless its last handle is gone.
    pub fn upgrade(&self) -> Option<Engine> {
        self.0.upgrade().map(Engine)
    }
}

impl fmt::Debug for WeakEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakEngine")
    }
}

/// A tokio task that stops when nobody waits for it any more.
enum Memory {
    Default,
    Bytes(usize),
    Text(String),
}

/// The configuration of an [`Engine`]; everything is checked in [`EngineBuilder::build`].
#[must_use = "a builder does nothing until `build`"]
pub struct EngineBuilder {
    workers: Option<usize>,
    memory: Memory,
    spill_dir: Option<PathBuf>,
    compression: Compression,
    /// The machine's; tests put one in its place that fails.
    disk: Arc<dyn Disk>,
    name: Option<String>,
    resources: Vec<(String, f64)>,
    pinned: bool,
    seed: Option<u64>,
    events: Option<usize>,
    progress: bool,
}

impl EngineBuilder {
    /// How many tasks run at once. Default: the cores this process may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The memory budget, such as `"2GiB"`; see [`parse_bytes`]. Default: 80 % of what the control group
    /// or the machine grants.
    pub fn memory(mut self, limit: impl Into<String>) -> Self {
        self.memory = Memory::Text(limit.into());
        self
    }

    /// The memory budget in bytes.
    pub fn memory_bytes(mut self, limit: usize) -> Self {
        self.memory = Memory::Bytes(limit);
        self
    }

    /// Where spill files go: a directory of the engine's own is made below it and removed at the end.
    /// Default: the system's directory for temporary files.
    pub fn spill_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.spill_dir = Some(path.into());
        self
    }

    /// Whether spill files are compressed. Default: not, so that they are mapped back without a copy.
    pub fn spill_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    #[cfg(test)]
    pub(crate) fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// A name for threads and reports. Default: `trefoil` with a number.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Declares how much there is of a resource that tasks ask for with
    /// [`TaskSpec::resource`](crate::TaskSpec::resource), such as `("gpu", 2.0)`; counted in steps of
    /// 1/10,000. The name says what it is, the engine only counts. Given twice, the last amount counts.
    pub fn resource(mut self, name: impl Into<String>, amount: f64) -> Self {
        let name = name.into();
        self.resources.retain(|(known, _)| *known != name);
        self.resources.push((name, amount));
        self
    }

    /// Keeps each worker on a core of its own, as far as there are cores: worker `n` on the `n`th that the
    /// process may use, and again from the first. Threads that tasks start inherit it. Default: the system
    /// places them. Where it cannot be done, [`build`](Self::build) says so.
    pub fn pin_workers(mut self, pinned: bool) -> Self {
        self.pinned = pinned;
        self
    }

    /// For tests: tasks run on the thread that builds the engine, one at a time, while that thread waits for
    /// a [`Ref`] or in [`Engine::block_on`], in an order drawn from `seed`. The same program with the same seed
    /// runs them in the same order; another seed tries another. Pauses and deadlines take no time: when
    /// nothing else is left, the clock jumps. [`workers`](Self::workers) is still what tasks that declare cpus
    /// share.
    ///
    /// Only tasks and their graphs are replayed: actors, queries and timers of other libraries run on runtimes
    /// of their own. A task that blocks runs others on its stack meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use trefoil_core::Engine;
    ///
    /// let order = |seed| -> trefoil_core::Result<Vec<usize>> {
    ///     let engine = Engine::builder().deterministic(seed).build()?;
    ///     let log = Arc::new(Mutex::new(Vec::new()));
    ///     let refs = engine.spawn_fns((0..10).map(|i| {
    ///         let log = log.clone();
    ///         move || log.lock().map(|mut log| log.push(i)).unwrap_or_default()
    ///     }));
    ///     engine.block_on(engine.gather(refs))?;
    ///     Ok(log.lock().map(|log| log.clone()).unwrap_or_default())
    /// };
    /// assert_eq!(order(7)?, order(7)?);
    /// assert_ne!(order(7)?, order(8)?);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn deterministic(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Records what happens, from the start on: each thread keeps the last `capacity` events in a ring and
    /// counts those it overwrites. An event takes about 120 bytes; rings grow as they fill. Default: nothing
    /// is recorded until someone asks with [`Engine::events`], and then with a capacity of 4,096.
    pub fn events(mut self, capacity: usize) -> Self {
        self.events = Some(capacity);
        self
    }

    /// Draws progress bars of running queries and tasks on standard error, if that is a terminal; as
    /// [`Engine::progress`]. Default: no.
    pub fn progress(mut self, on: bool) -> Self {
        self.progress = on;
        self
    }

    /// Checks the configuration and starts the engine.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for zero or more than 4,096 workers, a memory limit that is not a
    /// byte count or is under 1 MiB, or an amount of a resource below 0; [`ErrorKind::Io`] if the spill
    /// directory cannot be written, or threads cannot be started or pinned.
    pub fn build(self) -> Result<Engine> {
        const MAX_WORKERS: usize = 4096;
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, "engine", message);

        let workers = match self.workers {
            None => std::thread::available_parallelism().map_or(1, usize::from),
            Some(count @ 1..=MAX_WORKERS) => count,
            Some(count) => {
                return Err(wrong(format!("cannot run {count} workers"))
                    .with_help(format!("choose 1 to {MAX_WORKERS}, or leave it out for one per core")));
            }
        };
        let limit = match self.memory {
            Memory::Default => default_limit().max(MIN_MEMORY),
            Memory::Bytes(bytes) => bytes,
            Memory::Text(text) => parse_bytes(&text)?,
        };
        if limit < MIN_MEMORY {
            return Err(wrong(format!("a memory limit of {} is too small", format_bytes(limit)))
                .with_help("give at least 1 MiB; 64 MiB and more let queries run"));
        }
        for (resource, amount) in &self.resources {
            if resource.is_empty() || !amount.is_finite() || *amount < 0.0 {
                return Err(wrong(format!("cannot declare {amount} of the resource `{resource}`"))
                    .with_help("give a name and an amount from 0 up"));
            }
        }
        let name = self.name.unwrap_or_else(|| format!("trefoil-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let spill_parent = self.spill_dir.unwrap_or_else(std::env::temp_dir);

        let budget = Budget::new(limit);
        let dir = SpillDir::create(&spill_parent, self.disk, self.compression)?;
        let store = Store::new(budget.clone(), dir);
        let events = Hub::new(self.events);
        budget.set_events(Arc::clone(&events));
        let home = Arc::new(Home::new());
        let cpu = runtime(&format!("{name}-cpu"), workers, &home)?;
        let control = runtime(&format!("{name}-control"), CONTROL_THREADS, &home)?;
        let light = runtime(&format!("{name}-light"), CONTROL_THREADS, &home)?;
        let pool = PoolShared::start(Parts {
            name: &name,
            workers,
            pinned: self.pinned,
            seed: self.seed,
            capacity: Capacity::new(workers, limit, &self.resources),
            budget: budget.clone(),
            cpu: cpu.handle().clone(),
            control: control.handle().clone(),
            events: Arc::clone(&events),
            home: Arc::clone(&home),
        })?;
        let engine = Engine(Arc::new(Inner {
            id: next_number(),
            name,
            budget,
            store,
            events,
            pool,
            cpu: cpu.handle().clone(),
            control: control.handle().clone(),
            light: light.handle().clone(),
            runtimes: Mutex::new(Some([cpu, control, light])),
        }));
        let _ = home.set(engine.downgrade());
        if self.progress {
            engine.progress(true);
        }
        Ok(engine)
    }
}

fn runtime(name: &str, threads: usize, home: &Arc<Home>) -> Result<Runtime> {
    let home = Arc::clone(home);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        // timers, and sockets in builds with an object store or the Flight SQL server
        .enable_all()
        .on_thread_start(move || {
            mark_runtime_thread();
            settle(&home);
        })
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Io, "engine", format!("cannot start threads: {error}")).with_source(error)
        })
}
