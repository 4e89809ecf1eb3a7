//! `Call<T>`: a typed call that has not started.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::args::{Arg, Args, Input};
use super::launch::below_first;
use super::node::{AsyncBody, Body, Node, SyncBody, TypedNode, call_node, value_node};
use super::options::TaskSpec;
use super::task_graph::{NodeKind, TaskGraph};
use crate::error::Result;

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

    /// The call's handle of its node.
    pub(super) fn into_node(mut self) -> Arc<dyn TypedNode<T>> {
        match self.0.take() {
            Some(node) => node,
            None => unreachable!("a call has its node until it is dropped"),
        }
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

    pub(super) fn change_spec(self, change: impl Fn(TaskSpec) -> TaskSpec) -> Self {
        Self::from_node(self.into_node().change_spec(&change))
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
        Self(Some(call_node(spec, args, body)))
    }

    /// A value as a call: a leaf of a graph.
    pub fn value(value: T) -> Self {
        Self(Some(value_node(value)))
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
