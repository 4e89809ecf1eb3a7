//! Nodes of call graphs: what a call holds, and what a spawn asks of it.
//!
//! The node of a call is the cell of the task it will be: not started, it holds the options, the arguments and the
//! work; who spawns the last handle of it starts it in place, and who keeps a handle spawns copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::args::{Args, Subscriber};
use super::fuse::skip_fused;
use super::launch::{Launch, queue, start_with_spec};
use super::options::TaskSpec;
use super::then::Work;
use crate::error::{Error, ErrorKind, Result, TaskInfo};
use crate::id::next_ref_number;
use crate::refs::{DynJob, Job, Ref, Started, TaskCell};

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
pub(super) struct SyncBody<F>(pub F);

impl<I, T, F: Fn(I) -> Result<T> + Clone + Send + Sync + 'static> Body<I, T> for SyncBody<F> {
    fn start(&self, inputs: I) -> BodyStart<T> {
        BodyStart::Done((self.0)(inputs))
    }

    fn is_async(&self) -> bool {
        false
    }
}

#[derive(Clone)]
pub(super) struct AsyncBody<F>(pub F);

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
        match job.spec.origin(launch.pool()) {
            Ok(origin) => match TaskCell::start(self, launch.pool(), origin) {
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

/// The node of a call of `body`.
pub(super) fn call_node<T: Send + Sync + 'static, A: Args, B: Body<A::Inputs, T>>(
    spec: TaskSpec,
    args: A,
    body: B,
) -> Arc<dyn TypedNode<T>> {
    Arc::new(TaskCell::of_call(CallJob::new(spec, Some(args), body)))
}

/// The node of a value.
pub(super) fn value_node<T: Send + Sync + 'static>(value: T) -> Arc<dyn TypedNode<T>> {
    Arc::new(ValueNode { id: next_ref_number(), value: Ref::ready(value) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arg, Input};

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
