//! A node that goes on with the result of another inside the same task: no second task, no copy.

use std::sync::Arc;

use futures::FutureExt;

use super::args::{Input, Subscriber};
use super::call::Call;
use super::launch::{Launch, start_with_spec};
use super::node::{Node, TypedNode};
use super::options::TaskSpec;
use crate::error::{Result, TaskInfo};
use crate::id::next_ref_number;
use crate::refs::{Boxed, DynJob, Job, Ref, Started};

/// What a node would do if it were started: run a job, or hand out a value.
pub(crate) enum Work<T> {
    Job(Box<dyn DynJob<T>>),
    Value(Ref<T>),
}

impl<T> Work<T> {
    /// The same work once more, if it can be done again.
    fn again(&self) -> Option<Self> {
        match self {
            Work::Job(job) => job.again().map(Work::Job),
            Work::Value(value) => Some(Work::Value(value.clone())),
        }
    }
}

struct ThenNode<T, F> {
    id: u64,
    inner: Call<T>,
    finish: Arc<F>,
}

impl<T, S, F> Node for ThenNode<T, F>
where
    T: Send + Sync + 'static,
    S: Send + Sync + 'static,
    F: Fn(Input<T>) -> Result<S> + Send + Sync + 'static,
{
    fn id(&self) -> u64 {
        self.id
    }

    fn label(&self) -> String {
        self.inner.node().label()
    }

    fn below(&self) -> Vec<Arc<dyn Node>> {
        self.inner.node().below()
    }

    fn external_refs(&self) -> Vec<String> {
        self.inner.node().external_refs()
    }

    fn is_sole_owner(&self) -> bool {
        Arc::strong_count(self.inner.typed()) == 1 && self.inner.typed().is_sole_owner()
    }

    fn launch(&self, launch: &mut Launch<'_>) {
        let reference = self.start(launch, launch.may_take(self.id));
        launch.insert(self.id, reference);
    }
}

impl<T, S, F> TypedNode<S> for ThenNode<T, F>
where
    T: Send + Sync + 'static,
    S: Send + Sync + 'static,
    F: Fn(Input<T>) -> Result<S> + Send + Sync + 'static,
{
    fn change_spec(self: Arc<Self>, change: &dyn Fn(TaskSpec) -> TaskSpec) -> Arc<dyn TypedNode<S>> {
        let inner = self.inner.clone();
        let finish = Arc::clone(&self.finish);
        drop(self);
        Arc::new(Self { id: next_ref_number(), inner: inner.change_spec(change), finish })
    }

    fn upcast(self: Arc<Self>) -> Arc<dyn Node> {
        self
    }

    fn spec(&self) -> Option<&TaskSpec> {
        self.inner.typed().spec()
    }

    fn start(&self, launch: &Launch<'_>, take: bool) -> Ref<S> {
        match self.work(launch, take) {
            Ok(Work::Value(value)) => value,
            Ok(Work::Job(job)) => start_with_spec(launch, self.spec(), Boxed(job)),
            Err(error) => Ref::failed(error),
        }
    }

    fn start_alone(self: Arc<Self>, _: &Launch<'_>) -> Result<Ref<S>, Arc<dyn TypedNode<S>>> {
        Err(self)
    }

    fn work(&self, launch: &Launch<'_>, take: bool) -> Result<Work<S>> {
        let work = self.inner.typed().work(launch, take && self.is_sole_owner())?;
        let name = self.label();
        Ok(Work::Job(Box::new(ThenJob { work, name, finish: Arc::clone(&self.finish) })))
    }
}

struct ThenJob<T, F> {
    work: Work<T>,
    name: String,
    finish: Arc<F>,
}

impl<T, S, F> Job<S> for ThenJob<T, F>
where
    T: Send + Sync + 'static,
    S: Send + Sync + 'static,
    F: Fn(Input<T>) -> Result<S> + Send + Sync + 'static,
{
    fn run(self) -> Started<S> {
        let finish = self.finish;
        match self.work {
            Work::Value(value) => {
                Started::Done(value.into_value().and_then(|value| finish(Input::Shared(value))))
            }
            Work::Job(job) => match job.run() {
                Started::Done(result) => Started::Done(result.and_then(|value| finish(Input::Owned(value)))),
                Started::NotRun(error) => Started::NotRun(error),
                Started::Future(future) => Started::Future(
                    future.map(move |result| result.and_then(|value| finish(Input::Owned(value)))).boxed(),
                ),
            },
        }
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        match &self.work {
            Work::Value(value) => subscriber.see(value),
            Work::Job(job) => job.subscribe(subscriber),
        }
    }

    fn info(&self) -> TaskInfo {
        match &self.work {
            Work::Job(job) => job.info(),
            Work::Value(_) => TaskSpec::new(self.name.clone()).info(1),
        }
    }

    fn again(&self) -> Option<Box<dyn DynJob<S>>> {
        let work = self.work.again()?;
        Some(Box::new(Self { work, name: self.name.clone(), finish: Arc::clone(&self.finish) }))
    }
}

impl<T: Send + Sync + 'static> Call<T> {
    /// The call that goes on with this one's result inside the same task, which keeps its name and options.
    /// The result is owned unless this call is a value.
    pub(super) fn then_in_place<S: Send + Sync + 'static>(
        self,
        finish: impl Fn(Input<T>) -> Result<S> + Send + Sync + 'static,
    ) -> Call<S> {
        Call::from_node(Arc::new(ThenNode { id: next_ref_number(), inner: self, finish: Arc::new(finish) }))
    }
}
