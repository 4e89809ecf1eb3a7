//! Fusing chains: calls that only wait for one another run as one task.
//!
//! ```text
//!   a ──> b ──> c        three tasks: three cells, two edges
//!   [a → b → c]          one task: `b` calls `a`, `c` calls `b`
//! ```
//!
//! A call is fused into its consumer if it is the only call its consumer waits for and nobody else takes its
//! result, so that nothing that could run beside something else no longer can. It must be synchronous and
//! ask the scheduler for nothing. Fused calls keep their names in errors; to the scheduler and in events they
//! are their consumer. What is not reachable from a call is not part of its graph, so there is nothing to
//! cull.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;

use super::args::{Input, Subscriber};
use super::call::Call;
use super::launch::{Launch, below_first, exclusive_nodes};
use super::node::Node;
use super::then::Work;
use crate::error::{Error, ErrorKind, Result};
use crate::refs::{DynJob, Started};

/// At most so many calls run inside one task: they run on each other's stack.
const MOST: usize = 64;

/// A call that runs inside the task that takes its result. Taken when it runs.
#[doc(hidden)]
pub struct Fused<T>(Arc<Mutex<Option<Result<Work<T>>>>>);

impl<T> Clone for Fused<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> Fused<T> {
    pub(super) fn new(call: &Call<T>, launch: &Launch<'_>) -> Self {
        let node = call.typed();
        // If the consumer may not take its arguments it holds a copy, and this is not the only handle.
        let take = Arc::strong_count(node) == 1;
        Self(Arc::new(Mutex::new(Some(node.work(launch, take)))))
    }

    pub(super) fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        match &*self.0.lock() {
            Some(Ok(Work::Job(job))) => job.subscribe(subscriber),
            Some(Ok(Work::Value(value))) => subscriber.see(value),
            Some(Err(_)) | None => {}
        }
    }

    pub(super) fn run(self) -> Result<Input<T>> {
        let work = self.0.lock().take();
        let wrong = |what| Error::new(ErrorKind::Internal, "fuse", what);
        match work.unwrap_or_else(|| Err(wrong("a fused call was started twice")))? {
            Work::Value(value) => value.into_value().map(Input::Shared),
            Work::Job(job) => {
                // What fails here is this call, not the task it is a part of.
                let info = job.info();
                let result = match catch_unwind(AssertUnwindSafe(|| DynJob::run(job))) {
                    Ok(Started::Done(result)) => result.map(Input::Owned),
                    // The error of an argument passes unchanged.
                    Ok(Started::NotRun(error)) => return Err(error),
                    Ok(Started::Future(_)) => Err(wrong("a fused call is asynchronous")),
                    Err(payload) => Err(Error::panicked("task", &*payload)),
                };
                result.map_err(|error| error.in_task(info))
            }
        }
    }
}

/// The nodes below, without those that are fused into this one: what those wait for is in their place.
pub(super) fn skip_fused(below: Vec<Arc<dyn Node>>) -> Vec<Arc<dyn Node>> {
    if !below.iter().any(|node| node.is_fused()) {
        return below;
    }
    below.into_iter().flat_map(|node| if node.is_fused() { node.below() } else { vec![node] }).collect()
}

impl<T: Send + Sync + 'static> Call<T> {
    /// The same graph with chains fused: calls that only wait for one another become one task.
    ///
    /// Only calls that nobody else holds are fused, so fuse a graph before you clone its root. Asynchronous
    /// calls, and those with options such as `cpus` or `retries`, stay tasks of their own.
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::{Call, Engine};
    ///
    /// let engine = Engine::new()?;
    /// let chain = Call::value(1).map("double", |x| 2 * x).map("next", |x| x + 1).map("square", |x| x * x);
    /// assert_eq!(chain.graph().node_count(), 4);
    /// let fused = chain.fused();
    /// assert_eq!(fused.graph().labels().collect::<Vec<_>>(), ["value", "double → next → square"]);
    /// assert_eq!(engine.spawn(fused).get()?, 9);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn fused(self) -> Self {
        let root = self.node();
        let order = below_first(&[Arc::clone(&root)]);
        // Handles of the root: `root` and this call.
        let exclusive = exclusive_nodes(&order, &HashMap::from([(root.id(), 2)]));
        let below: Vec<_> = order.iter().map(|node| node.below()).collect();
        let mut consumers: HashMap<u64, usize> = HashMap::new();
        for node in below.iter().flatten() {
            *consumers.entry(node.id()).or_default() += 1;
        }
        let mut lengths: HashMap<u64, usize> = HashMap::new();
        for (node, below) in order.iter().zip(&below) {
            let [only] = below.as_slice() else { continue };
            let length = lengths.get(&only.id()).copied().unwrap_or(1) + 1;
            let alone = exclusive.contains(&only.id()) && consumers.get(&only.id()) == Some(&1);
            if alone && only.may_be_fused() && node.takes_fused() && length <= MOST {
                only.fuse();
                lengths.insert(node.id(), length);
            }
        }
        self
    }
}
