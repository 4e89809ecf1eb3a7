//! `Call<T>`: a typed call that has not started, and how calls become tasks.
//!
//! Spawning walks the graph below a call without recursion, gives each node one task however many parents
//! it has, and wires the tasks by refs. A node that nobody outside this graph holds gives its arguments
//! away; a shared one clones them, so a kept call can be spawned again and runs again.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::args::{Arg, Args, Input, Subscriber};
use super::fuse::skip_fused;
use super::options::TaskSpec;
use super::task_graph::{NodeKind, TaskGraph};
use super::then::Work;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::id::next_ref_number;
use crate::refs::{DynJob, Job, Origin, Outcome, Ref, Started, Task, TaskCell};
use crate::runtime::PoolShared;
use crate::schedule::{Below, depth_first};

/// The work of a call: made by [`Call::new`] and [`Call::new_async`] from closures.
#[doc(hidden)]
pub trait Body<I, T>: Clone + Send + Sync + 'static {
    fn start(&self, inputs: I) -> BodyStart<T>;
    /// Whether `start` may give a future.
    fn is_async(&self) -> bool;
}

#[doc(hidden)]
pub enum BodyStart<T> {
    Done(Result<T>),
    Future(BoxFuture<'static, Result<T>>),
}

#[derive(Clone)]
struct SyncBody<F>(F);

impl<I, T, F: Fn(I) -> Result<T> + Clone + Send + Sync + 'static> Body<I, T> for SyncBody<F> {
    fn start(&self, inputs: I) -> BodyStart<T> {
        BodyStart::Done((self.0)(inputs))
    }

    fn is_async(&self) -> bool {
        false
    }
}

#[derive(Clone)]
struct AsyncBody<F>(F);

impl<I, T, F, Fut> Body<I, T> for AsyncBody<F>
where
    F: Fn(I) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
{
    fn start(&self, inputs: I) -> BodyStart<T> {
        BodyStart::Future((self.0)(inputs).boxed())
    }

    fn is_async(&self) -> bool {
        true
    }
}

/// A node of a call graph, without its type.
#[doc(hidden)]
pub trait Node: Send + Sync {
    fn id(&self) -> u64;
    fn label(&self) -> String;
    fn below(&self) -> Vec<Arc<dyn Node>>;
    fn external_refs(&self) -> Vec<String>;
    /// Whether the arguments are held by this node alone.
    fn is_sole_owner(&self) -> bool {
        true
    }
    /// Starts the node's task and remembers its ref in `launch`; everything below is launched already.
    fn launch(&self, launch: &mut Launch<'_>);
    /// Whether it may run inside the task of its only consumer; see `fuse`.
    fn may_be_fused(&self) -> bool {
        false
    }
    /// Whether the only call it waits for may run inside its task.
    fn takes_fused(&self) -> bool {
        false
    }
    /// Marks it as a part of its consumer.
    fn fuse(&self) {}
    /// Whether it may hold other calls.
    fn may_hold_calls(&self) -> bool {
        true
    }
    fn is_fused(&self) -> bool {
        false
    }
}

/// A node of a call graph whose result is a `T`.
pub(super) trait TypedNode<T>: Node {
    fn change_spec(self: Arc<Self>, change: &dyn Fn(TaskSpec) -> TaskSpec) -> Arc<dyn TypedNode<T>>;
    fn upcast(self: Arc<Self>) -> Arc<dyn Node>;
    /// Starts the node's task; everything below is in `launch`. `take` gives the arguments away.
    fn start(&self, launch: &Launch<'_>, take: bool) -> Ref<T>;
    /// As `start` with `take`, of what nobody else has and what takes no other calls; else gives it back.
    fn start_alone(self: Arc<Self>, launch: &Launch<'_>) -> Result<Ref<T>, Arc<dyn TypedNode<T>>>;
    /// Name and options, if the node is a task.
    fn spec(&self) -> Option<&TaskSpec>;
    /// What `start` would start, for a node that does it inside its own task.
    fn work(&self, launch: &Launch<'_>, take: bool) -> Result<Work<T>>;
}

/// The work of a call: a task's job from the start, so that a call that is spawned becomes the task it is, in place.
struct CallJob<A, B> {
    spec: TaskSpec,
    /// Taken when the graph that holds the node is the only one that does.
    args: Mutex<Option<A>>,
    /// Shared by counting, or, as the functions of tasks, of no size.
    body: B,
    /// Runs inside the task of the node that takes its result.
    fused: AtomicBool,
}

impl<A: Clone, B: Clone> CallJob<A, B> {
    fn new(spec: TaskSpec, args: Option<A>, body: B) -> Self {
        Self { spec, args: Mutex::new(args), body, fused: AtomicBool::new(false) }
    }

    fn args(&self, take: bool) -> Option<A> {
        let mut args = self.args.lock();
        if take { args.take() } else { args.clone() }
    }
}

impl<A: Args, B> CallJob<A, B> {
    /// The calls among the arguments, fused ones included.
    fn arguments(&self) -> Vec<Arc<dyn Node>> {
        let mut nodes = Vec::new();
        if let Some(args) = &*self.args.lock() {
            args.nodes(&mut nodes);
        }
        nodes
    }
}

/// A call: a task that is not started.
type CallCell<T, A, B> = TaskCell<T, CallJob<A, B>>;

impl<T, A, B> CallCell<T, A, B>
where
    T: Send + Sync + 'static,
    A: Args,
    B: Body<A::Inputs, T>,
{
    fn call(&self) -> &CallJob<A, B> {
        match self.unstarted_job() {
            Some(job) => job,
            None => unreachable!("who starts a call's own cell has the last handle of the call"),
        }
    }

    fn job(&self, launch: &Launch<'_>, take: bool) -> Result<CallJob<A, B>> {
        let call = self.call();
        let Some(mut args) = call.args(take) else { return Err(started_twice()) };
        args.launch(launch);
        Ok(CallJob::new(call.spec.clone(), Some(args), call.body.clone()))
    }
}

fn started_twice() -> Error {
    Error::new(ErrorKind::Internal, "spawn", "the call was started twice")
}

impl<T, A, B> Node for CallCell<T, A, B>
where
    T: Send + Sync + 'static,
    A: Args,
    B: Body<A::Inputs, T>,
{
    fn id(&self) -> u64 {
        self.head.rest.number()
    }

    fn label(&self) -> String {
        let fused = self.call().arguments().into_iter().filter(|node| node.is_fused());
        fused.map(|node| node.label() + " → ").collect::<String>() + &self.call().spec.name
    }

    fn below(&self) -> Vec<Arc<dyn Node>> {
        skip_fused(self.call().arguments())
    }

    fn may_be_fused(&self) -> bool {
        self.call().spec.managed().is_none() && !self.call().body.is_async()
    }

    fn takes_fused(&self) -> bool {
        self.call().spec.managed().is_none()
    }

    fn fuse(&self) {
        self.call().fused.store(true, Ordering::Release);
    }

    fn may_hold_calls(&self) -> bool {
        // None if they were taken.
        self.call().args.lock().as_ref().is_some_and(Args::reads_refs)
    }

    fn is_fused(&self) -> bool {
        self.call().fused.load(Ordering::Acquire)
    }

    fn external_refs(&self) -> Vec<String> {
        let mut refs = Vec::new();
        for fused in self.call().arguments().into_iter().filter(|node| node.is_fused()) {
            refs.extend(fused.external_refs());
        }
        if let Some(args) = &*self.call().args.lock() {
            args.external_refs(&mut refs);
        }
        refs
    }

    fn launch(&self, launch: &mut Launch<'_>) {
        let reference = self.start(launch, launch.may_take(self.id()));
        launch.insert(self.id(), reference);
    }
}

impl<T, A, B> TypedNode<T> for CallCell<T, A, B>
where
    T: Send + Sync + 'static,
    A: Args,
    B: Body<A::Inputs, T>,
{
    fn change_spec(mut self: Arc<Self>, change: &dyn Fn(TaskSpec) -> TaskSpec) -> Arc<dyn TypedNode<T>> {
        if let Some(job) = Arc::get_mut(&mut self).and_then(|cell| cell.unstarted_job_mut()) {
            job.spec = change(job.spec.clone());
            return self;
        }
        let CallJob { spec, body, .. } = self.call();
        let job = CallJob::new(change(spec.clone()), self.call().args(false), body.clone());
        Arc::new(TaskCell::of_call(job))
    }

    fn upcast(self: Arc<Self>) -> Arc<dyn Node> {
        self
    }

    fn start(&self, launch: &Launch<'_>, take: bool) -> Ref<T> {
        match self.job(launch, take) {
            Ok(job) => start_with_spec(launch, Some(&self.call().spec), job),
            Err(error) => Ref::failed(error),
        }
    }

    fn start_alone(mut self: Arc<Self>, launch: &Launch<'_>) -> Result<Ref<T>, Arc<dyn TypedNode<T>>> {
        let Some(job) = Arc::get_mut(&mut self).and_then(|cell| cell.unstarted_job_mut()) else {
            return Err(self);
        };
        match job.args.get_mut() {
            Some(args) if args.reads_refs() => {
                let mut calls = Vec::new();
                args.nodes(&mut calls);
                if !calls.is_empty() {
                    return Err(self);
                }
            }
            Some(_) => {}
            None => return Err(self),
        }
        match job.spec.origin(launch.pool) {
            Ok(origin) => match TaskCell::start(self, launch.pool, origin) {
                Ok((cell, ready)) => Ok(queue(launch, cell, ready)),
                Err(cell) => Err(cell),
            },
            Err(error) => Ok(Ref::failed(error)),
        }
    }

    fn spec(&self) -> Option<&TaskSpec> {
        Some(&self.call().spec)
    }

    fn work(&self, launch: &Launch<'_>, take: bool) -> Result<Work<T>> {
        self.job(launch, take).map(|job| Work::Job(Box::new(job)))
    }
}

/// A value as a node.
struct ValueNode<T> {
    id: u64,
    value: Ref<T>,
}

impl<T: Send + Sync + 'static> Node for ValueNode<T> {
    fn id(&self) -> u64 {
        self.id
    }

    fn label(&self) -> String {
        "value".to_owned()
    }

    fn below(&self) -> Vec<Arc<dyn Node>> {
        Vec::new()
    }

    fn external_refs(&self) -> Vec<String> {
        Vec::new()
    }

    fn launch(&self, launch: &mut Launch<'_>) {
        launch.insert(self.id, self.value.clone());
    }
}

impl<T: Send + Sync + 'static> TypedNode<T> for ValueNode<T> {
    fn change_spec(self: Arc<Self>, _: &dyn Fn(TaskSpec) -> TaskSpec) -> Arc<dyn TypedNode<T>> {
        self
    }

    fn upcast(self: Arc<Self>) -> Arc<dyn Node> {
        self
    }

    fn start(&self, _: &Launch<'_>, _: bool) -> Ref<T> {
        self.value.clone()
    }

    fn start_alone(self: Arc<Self>, _: &Launch<'_>) -> Result<Ref<T>, Arc<dyn TypedNode<T>>> {
        Ok(self.value.clone())
    }

    fn spec(&self) -> Option<&TaskSpec> {
        None
    }

    fn work(&self, _: &Launch<'_>, _: bool) -> Result<Work<T>> {
        Ok(Work::Value(self.value.clone()))
    }
}

/// One spawn in progress: the refs of the nodes launched so far.
#[doc(hidden)]
pub struct Launch<'a> {
    pool: &'a Arc<PoolShared>,
    /// None for a call without calls below it. What is ready at once in a graph is begun in the order of the
    /// launch, also by a worker, which otherwise begins with what it made last.
    graph: Option<Graph>,
}

struct Graph {
    refs: HashMap<u64, Box<dyn Any>>,
    exclusive: HashSet<u64>,
}

impl Launch<'_> {
    pub(super) fn insert<T: Send + Sync + 'static>(&mut self, id: u64, reference: Ref<T>) {
        if let Some(graph) = &mut self.graph {
            graph.refs.insert(id, Box::new(reference));
        }
    }

    /// Forgets the ref of a node that no later one takes.
    fn forget(&mut self, id: u64) {
        if let Some(graph) = &mut self.graph {
            graph.refs.remove(&id);
        }
    }

    pub(super) fn may_take(&self, id: u64) -> bool {
        self.graph.as_ref().is_some_and(|graph| graph.exclusive.contains(&id))
    }

    pub(crate) fn launched<T: Send + Sync + 'static>(&self, call: &Call<T>) -> Ref<T> {
        let found = self.graph.as_ref().and_then(|graph| graph.refs.get(&call.typed().id()));
        let found = found.and_then(|any| any.downcast_ref::<Ref<T>>());
        found.cloned().unwrap_or_else(|| {
            Ref::failed(Error::new(ErrorKind::Internal, "spawn", "a node was launched out of order"))
        })
    }
}

/// A typed call that has not started.
///
/// Made by a `#[task]` function, or from a closure with [`Call::new`]. Give it to
/// [`Engine::spawn`](crate::Engine::spawn) to start it now, or use it as an argument of other calls and
/// compute the graph later. A clone is the same node: within one spawn it runs once.
///
/// # Examples
///
/// ```
/// use trefoil_core::{Arg, Call, Engine, TaskSpec};
///
/// let engine = Engine::new()?;
/// let data = Call::new(TaskSpec::new("data"), (), |()| Ok(vec![1, 2, 3]));
/// let sum = Call::new(TaskSpec::new("sum"), (Arg::Call(data),), |(xs,)| Ok(xs.iter().sum::<i32>()));
/// let doubled = sum.clone() + sum;                     // `sum` runs once
/// assert_eq!(doubled.graph().node_count(), 3);
/// assert_eq!(engine.block_on(engine.compute(doubled))?, 12);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
#[must_use = "a call does nothing until it is given to `spawn` or `compute`"]
pub struct Call<T>(Option<Arc<dyn TypedNode<T>>>);

impl<T> Clone for Call<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

thread_local! {
    /// Nodes to free, while an outer drop on this thread is at it.
    static DROPPING: RefCell<Option<Vec<Arc<dyn Node>>>> = const { RefCell::new(None) };
}

impl<T> Drop for Call<T> {
    /// A chain of a million calls must not be freed by a million nested drops: the outermost drop collects
    /// what the inner ones let go and frees it in a loop.
    fn drop(&mut self) {
        let Some(node) = self.0.take() else { return };
        if Arc::strong_count(&node) > 1 || !node.may_hold_calls() {
            return;
        }
        let mut node = Some(node.upcast());
        let outermost = DROPPING
            .try_with(|dropping| {
                let mut dropping = dropping.borrow_mut();
                match &mut *dropping {
                    Some(list) => {
                        list.extend(node.take());
                        false
                    }
                    empty => {
                        *empty = Some(Vec::new());
                        true
                    }
                }
            })
            .unwrap_or(false);
        if outermost {
            drop(node.take());
            while let Some(next) = DROPPING.with_borrow_mut(|list| list.as_mut().and_then(Vec::pop)) {
                drop(next);
            }
            DROPPING.set(None);
        }
    }
}

impl<T> Call<T> {
    pub(super) fn from_node(node: Arc<dyn TypedNode<T>>) -> Self {
        Self(Some(node))
    }

    pub(super) fn typed(&self) -> &Arc<dyn TypedNode<T>> {
        match &self.0 {
            Some(node) => node,
            None => unreachable!("a call has its node until it is dropped"),
        }
    }

    pub(crate) fn node(&self) -> Arc<dyn Node> {
        Arc::clone(self.typed()).upcast()
    }

    pub(super) fn change_spec(mut self, change: impl Fn(TaskSpec) -> TaskSpec) -> Self {
        match self.0.take() {
            Some(node) => Self(Some(node.change_spec(&change))),
            None => unreachable!("a call has its node until it is dropped"),
        }
    }

    /// The graph of this call and everything below it, for drawing.
    pub fn graph(&self) -> TaskGraph {
        let mut graph = TaskGraph::new();
        for node in below_first(&[self.node()]) {
            let id = node.id().to_string();
            graph.add_node(&id, node.label(), NodeKind::Task);
            for below in node.below() {
                graph.add_edge(below.id().to_string(), &id);
            }
            for reference in node.external_refs() {
                graph.add_node(&reference, format!("ref {reference}"), NodeKind::Data);
                graph.add_edge(&reference, &id);
            }
        }
        graph
    }
}

impl<T: Send + Sync + 'static> Call<T> {
    /// A call of `work` with `args`: a tuple of [`Arg`](super::Arg)s (lists allowed) or one list of them.
    ///
    /// The work may run several times (retries, several spawns), so it is `Fn`.
    pub fn new<A: Args>(
        spec: TaskSpec,
        args: A,
        work: impl Fn(A::Inputs) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        let work = Arc::new(work);
        Self::with_body(spec, args, SyncBody(move |inputs| work(inputs)))
    }

    /// [`Call::new`] of work that costs nothing to clone, such as a function.
    #[doc(hidden)]
    pub fn of<A: Args>(
        spec: TaskSpec,
        args: A,
        work: impl Fn(A::Inputs) -> Result<T> + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::with_body(spec, args, SyncBody(work))
    }

    /// [`Call::new_async`] of work that costs nothing to clone, such as a function.
    #[doc(hidden)]
    pub fn of_async<A: Args, Fut: Future<Output = Result<T>> + Send + 'static>(
        spec: TaskSpec,
        args: A,
        work: impl Fn(A::Inputs) -> Fut + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::with_body(spec, args, AsyncBody(work))
    }

    /// A call of asynchronous `work`; it runs on the CPU runtime.
    pub fn new_async<A: Args, Fut: Future<Output = Result<T>> + Send + 'static>(
        spec: TaskSpec,
        args: A,
        work: impl Fn(A::Inputs) -> Fut + Send + Sync + 'static,
    ) -> Self {
        let work = Arc::new(work);
        Self::with_body(spec, args, AsyncBody(move |inputs| work(inputs)))
    }

    fn with_body<A: Args, B: Body<A::Inputs, T>>(spec: TaskSpec, args: A, body: B) -> Self {
        Self(Some(Arc::new(TaskCell::of_call(CallJob::new(spec, Some(args), body)))))
    }

    /// A value as a call: a leaf of a graph.
    pub fn value(value: T) -> Self {
        Self(Some(Arc::new(ValueNode { id: next_ref_number(), value: Ref::ready(value) })))
    }

    /// The call of `work` on this call's result.
    #[track_caller]
    pub fn map<U: Send + Sync + 'static>(
        self,
        name: impl Into<Cow<'static, str>>,
        work: impl Fn(&T) -> U + Send + Sync + 'static,
    ) -> Call<U>
    where
        T: Clone,
    {
        Call::new(TaskSpec::new(name), (Arg::Call(self),), move |(input,): (Input<T>,)| Ok(work(&input)))
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.typed().label())
    }
}

/// The nodes below some roots, each once, arguments before the calls that take them, in the order in which
/// they are best begun.
struct Plan {
    nodes: Vec<Arc<dyn Node>>,
    /// By place in `nodes`: the places of nodes that no later one takes.
    last_taken: Vec<Vec<u32>>,
}

impl Plan {
    fn new(roots: &[Arc<dyn Node>]) -> Self {
        let mut places: HashMap<u64, u32> = HashMap::new();
        let mut found: Vec<Option<Arc<dyn Node>>> = Vec::new();
        let mut place = |found: &mut Vec<Option<Arc<dyn Node>>>, node: &Arc<dyn Node>| {
            *places.entry(node.id()).or_insert_with(|| {
                found.push(Some(Arc::clone(node)));
                found.len() as u32 - 1
            })
        };
        let roots: Vec<u32> = roots.iter().map(|root| place(&mut found, root)).collect();
        let mut graph = Below::new();
        let mut next = 0;
        while let Some(Some(node)) = found.get(next) {
            let below = node.below();
            graph.push(below.iter().map(|node| place(&mut found, node)).collect::<Vec<_>>());
            next += 1;
        }
        let order = depth_first(&mut graph, &roots);
        // Roots are kept to the end.
        let mut kept = vec![false; found.len()];
        roots.iter().for_each(|root| kept[*root as usize] = true);
        let mut position = vec![0u32; found.len()];
        order.iter().enumerate().for_each(|(at, node)| position[*node as usize] = at as u32);
        let mut last_taken = vec![Vec::new(); order.len()];
        for (at, node) in order.iter().enumerate().rev() {
            for &below in graph.of(*node) {
                if !std::mem::replace(&mut kept[below as usize], true) {
                    last_taken[at].push(position[below as usize]);
                }
            }
        }
        let nodes = order.into_iter().filter_map(|node| found[node as usize].take()).collect();
        Self { nodes, last_taken }
    }
}

/// The nodes below `roots`, each once, arguments before the calls that take them.
pub(super) fn below_first(roots: &[Arc<dyn Node>]) -> Vec<Arc<dyn Node>> {
    Plan::new(roots).nodes
}

/// The nodes nobody outside this graph can reach: their arguments may be taken instead of cloned.
///
/// A node is exclusive if its handles are exactly those of exclusive nodes above it (plus ours). Nobody
/// else can make a new handle of it meanwhile, since nobody else has one.
pub(super) fn exclusive_nodes(order: &[Arc<dyn Node>], roots: &HashMap<u64, usize>) -> HashSet<u64> {
    let mut from_exclusive: HashMap<u64, usize> = HashMap::new();
    let mut exclusive = HashSet::new();
    for node in order.iter().rev() {
        // `order` holds one handle; a root has one more for each call of it being spawned.
        let ours = 1 + roots.get(&node.id()).copied().unwrap_or(0);
        let parents = from_exclusive.get(&node.id()).copied().unwrap_or(0);
        if Arc::strong_count(node) == ours + parents && node.is_sole_owner() {
            exclusive.insert(node.id());
            for below in node.below() {
                *from_exclusive.entry(below.id()).or_default() += 1;
            }
        }
    }
    exclusive
}

/// Starts a call and everything below it.
pub(crate) fn spawn_call<T: Send + Sync + 'static>(pool: &Arc<PoolShared>, mut call: Call<T>) -> Ref<T> {
    // The usual call of a task takes values and refs only, so there is no graph to walk, and is nobody else's.
    let alone = Launch { pool, graph: None };
    match call.0.take().map(|node| node.start_alone(&alone)) {
        Some(Ok(reference)) => return reference,
        Some(Err(node)) => call.0 = Some(node),
        None => {}
    }
    let node = call.typed();
    if node.below().is_empty() {
        let take = Arc::strong_count(node) == 1 && node.is_sole_owner();
        return node.start(&alone, take);
    }
    let launch = launch_all(pool, &[call.node()]);
    launch.launched(&call)
}

/// Starts several calls and everything below them; what they share starts once.
pub(crate) fn spawn_calls<T: Send + Sync + 'static>(
    pool: &Arc<PoolShared>,
    calls: Vec<Call<T>>,
) -> Vec<Ref<T>> {
    let roots: Vec<Arc<dyn Node>> = calls.iter().map(Call::node).collect();
    let launch = launch_all(pool, &roots);
    calls.iter().map(|call| launch.launched(call)).collect()
}

/// Starts the nodes `roots` and everything below them. Each root is held by us, and by the call it is of.
pub(crate) fn launch_all<'p>(pool: &'p Arc<PoolShared>, roots: &[Arc<dyn Node>]) -> Launch<'p> {
    let Plan { nodes, last_taken } = Plan::new(roots);
    let mut handles: HashMap<u64, usize> = HashMap::with_capacity(roots.len());
    for root in roots {
        *handles.entry(root.id()).or_default() += 2;
    }
    let exclusive = exclusive_nodes(&nodes, &handles);
    let graph = Graph { refs: HashMap::new(), exclusive };
    let mut launch = Launch { pool, graph: Some(graph) };
    for (node, taken) in nodes.iter().zip(last_taken) {
        node.launch(&mut launch);
        // A result that is there before the graph is launched must not live longer for it.
        for place in taken {
            launch.forget(nodes[place as usize].id());
        }
    }
    launch
}

/// Starts a job under the options of its node.
pub(super) fn start_with_spec<T: Send + Sync + 'static, J: Job<T>>(
    launch: &Launch<'_>,
    spec: Option<&TaskSpec>,
    job: J,
) -> Ref<T> {
    let origin = match spec.map_or_else(|| Ok(Origin::here()), |spec| spec.origin(launch.pool)) {
        Ok(origin) => origin,
        Err(error) => return Ref::failed(error),
    };
    let (cell, ready) = TaskCell::make(launch.pool, origin, job);
    queue(launch, cell, ready)
}

/// Queues a task that is ready; its ref.
fn queue<T: Send + Sync + 'static>(
    launch: &Launch<'_>,
    cell: Arc<dyn Outcome<T>>,
    ready: Option<Task>,
) -> Ref<T> {
    match ready {
        Some(task) if launch.graph.is_some() => launch.pool.submit_last(task),
        Some(task) => launch.pool.submit(task),
        None => {}
    }
    Ref::from_cell(cell)
}

/// Makes the task of a job, wires its dependencies, and queues it when the last of them is done.
pub(crate) fn start<T: Send + Sync + 'static, J: Job<T>>(
    pool: &Arc<PoolShared>,
    origin: Origin,
    job: J,
) -> Ref<T> {
    let (cell, ready) = TaskCell::make(pool, origin, job);
    if let Some(task) = ready {
        pool.submit(task);
    }
    Ref::from_cell(cell as Arc<dyn Outcome<T>>)
}

/// Makes the task of a job that belongs to no other, and gives it back to be queued if it is ready.
pub(super) fn prepare<T: Send + Sync + 'static, J: Job<T>>(
    pool: &Arc<PoolShared>,
    job: J,
) -> (Ref<T>, Option<Task>) {
    let (cell, ready) = TaskCell::make(pool, Origin::default(), job);
    (Ref::from_cell(cell as Arc<dyn Outcome<T>>), ready)
}

/// Starts many tasks without dependencies among each other, and queues them a batch at a time.
pub(crate) fn start_all<T: Send + Sync + 'static, J: Job<T>>(
    pool: &Arc<PoolShared>,
    origin: &Origin,
    jobs: impl IntoIterator<Item = J>,
) -> Vec<Ref<T>> {
    const BATCH: usize = 256;
    let jobs = jobs.into_iter();
    let mut refs = Vec::with_capacity(jobs.size_hint().0);
    let mut batch = Vec::with_capacity(BATCH);
    for job in jobs {
        let (cell, ready) = TaskCell::make(pool, origin.clone(), job);
        batch.extend(ready);
        refs.push(Ref::from_cell(cell as Arc<dyn Outcome<T>>));
        if batch.len() == BATCH {
            pool.submit_all(batch.drain(..));
        }
    }
    pool.submit_all(batch);
    refs
}

impl<T, A, B> Job<T> for CallJob<A, B>
where
    T: Send + Sync + 'static,
    A: Args,
    B: Body<A::Inputs, T>,
{
    fn run(self) -> Started<T> {
        let Some(args) = self.args.into_inner() else { return Started::NotRun(started_twice()) };
        // A failed argument is this task's failure, unchanged; the work does not run.
        match args.resolve() {
            Err(error) => Started::NotRun(error),
            Ok(inputs) => match self.body.start(inputs) {
                BodyStart::Done(result) => Started::Done(result),
                BodyStart::Future(future) => Started::Future(future),
            },
        }
    }

    fn reads_refs(&mut self) -> bool {
        self.args.get_mut().as_ref().is_some_and(Args::reads_refs)
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        if let Some(args) = &*self.args.lock() {
            args.subscribe(subscriber);
        }
    }

    fn info(&self) -> TaskInfo {
        self.spec.info(1)
    }

    fn again(&self) -> Option<Box<dyn DynJob<T>>> {
        Some(Box::new(Self::new(self.spec.clone(), self.args(false), self.body.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_call_takes_160_bytes() {
        type Work = fn((Input<u64>,)) -> Result<u64>;
        fn counted<B>(_: &B, cell: usize) -> usize {
            2 * size_of::<usize>() + cell - size_of::<B>()
        }
        // The work of a task is a function of no size; this one has that of a pointer, which is taken off.
        let work: SyncBody<Work> = SyncBody(|(seed,)| Ok(*seed));
        assert_eq!(counted(&work, size_of::<CallCell<u64, (Arg<u64>,), SyncBody<Work>>>()), 160);
    }
}
