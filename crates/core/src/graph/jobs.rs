//! Jobs without a call: those of `spawn_fn` and of `map`, which go straight into a task.

use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use super::args::Subscriber;
use crate::error::{Result, TaskInfo};
use crate::refs::{Job, Ref, Started};

/// What a closure is called in errors and events: a type, as every task would carry a text.
pub(crate) trait Named: Send + 'static {
    const NAME: &'static str;
}

/// The name of a closure that a user spawns.
pub(crate) struct Closure;

impl Named for Closure {
    const NAME: &'static str = "closure";
}

/// The job of `spawn_fn`: a closure without dependencies.
pub(crate) struct FnJob<F, N> {
    location: &'static Location<'static>,
    work: F,
    _name: PhantomData<N>,
}

impl<F, N> FnJob<F, N> {
    pub(crate) fn new(location: &'static Location<'static>, work: F) -> Self {
        Self { location, work, _name: PhantomData }
    }
}

impl<T, F, N> Job<T> for FnJob<F, N>
where
    T: Send + Sync + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
    N: Named,
{
    fn run(self) -> Started<T> {
        Started::Done((self.work)())
    }

    fn reads_refs(&mut self) -> bool {
        false
    }

    fn subscribe(&self, _: &mut Subscriber<'_>) {}

    fn info(&self) -> TaskInfo {
        TaskInfo { name: N::NAME.into(), location: self.location, attempt: 1 }
    }
}

/// The job of `map`: a shared closure on one borrowed input.
pub(crate) struct MapJob<T: 'static, F> {
    pub(crate) location: &'static Location<'static>,
    pub(crate) input: Ref<T>,
    pub(crate) work: Arc<F>,
}

impl<T, U, F> Job<U> for MapJob<T, F>
where
    T: Send + Sync + 'static,
    U: Send + Sync + 'static,
    F: Fn(&T) -> Result<U> + Send + Sync + 'static,
{
    fn run(self) -> Started<U> {
        Started::Done(self.input.into_value().and_then(|value| (self.work)(&value)))
    }

    fn subscribe(&self, subscriber: &mut Subscriber<'_>) {
        subscriber.see(&self.input);
    }

    fn info(&self) -> TaskInfo {
        TaskInfo { name: "map".into(), location: self.location, attempt: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Closure, FnJob};
    use crate::refs::TaskCell;

    #[test]
    fn a_tiny_task_takes_96_bytes() {
        let counts = 2 * size_of::<usize>();
        assert_eq!(counts + size_of::<TaskCell<u64, FnJob<u64, Closure>>>(), 96);
    }
}
