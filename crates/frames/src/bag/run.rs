//! Running bags: compute, persist, iterate with back-pressure, and the graph that would run.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use trefoil_core::{Arg, Call, Ref, Result, TaskGraph};

use super::Bag;
use super::part::{Held, Part, Stage, gather};

/// A list that its reader takes out; so items need not be `Clone`.
type Once<T> = Arc<Mutex<Option<Held<T>>>>;

/// Cancels what is not finished when the waiting future or iterator is dropped.
pub(super) struct CancelOnDrop<T>(VecDeque<Ref<T>>);

impl<T> CancelOnDrop<T> {
    pub fn new(refs: Vec<Ref<T>>) -> Self {
        CancelOnDrop(refs.into())
    }
}

impl<T: Send + Sync + 'static> CancelOnDrop<T> {
    /// Waits for all; the first failure cancels the rest.
    pub async fn finish(&self) -> Result<()> {
        for done in &self.0 {
            done.value().await?;
        }
        Ok(())
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        for unfinished in &self.0 {
            unfinished.cancel();
        }
    }
}

impl<T: Send + 'static> Bag<T> {
    #[track_caller]
    fn gathering(&self) -> Vec<Call<Once<T>>> {
        let budget = self.engine.budget();
        self.parts
            .iter()
            .map(|part| {
                let budget = budget.clone();
                part.task("gather", move |items| Ok(Arc::new(Mutex::new(Some(gather(items, &budget)?)))))
            })
            .collect()
    }

    /// All items, in order. Charged to the budget until they are handed out; dropping the future stops the
    /// work. Dask: `b.compute()`.
    ///
    /// # Errors
    /// What a step or the source reports; [`OutOfMemory`](trefoil_core::ErrorKind::OutOfMemory) when the
    /// items do not fit the budget.
    pub async fn compute(&self) -> Result<Vec<T>> {
        let mut running = CancelOnDrop::new(self.engine.spawn_all(self.gathering()));
        let mut all = Vec::new();
        while let Some(next) = running.0.front() {
            let list = next.value().await?;
            if let Some(held) = list.lock().take() {
                all.extend(held.items);
            }
            drop(list);
            running.0.pop_front();
        }
        Ok(all)
    }

    /// The items, for blocking code, while later partitions are being computed: as many as there are
    /// workers are computed ahead and no more, so a slow reader holds that many partitions in memory.
    /// Dropping the iterator stops the work.
    pub fn iter(&self) -> impl Iterator<Item = Result<T>> + use<T> {
        let engine = self.engine.clone();
        let ahead = engine.workers().max(1);
        let mut waiting = self.gathering().into_iter();
        let mut running = CancelOnDrop::new(Vec::new());
        let mut current = Vec::new().into_iter();
        let mut failed = false;
        std::iter::from_fn(move || {
            loop {
                if let Some(item) = current.next() {
                    return Some(Ok(item));
                }
                if failed {
                    return None;
                }
                while running.0.len() < ahead
                    && let Some(call) = waiting.next()
                {
                    running.0.push_back(engine.spawn(call));
                }
                let next = running.0.pop_front()?;
                match next.get_value() {
                    Ok(list) => {
                        let held = list.lock().take();
                        current = held.map(|held| held.items).unwrap_or_default().into_iter();
                    }
                    Err(error) => {
                        failed = true;
                        return Some(Err(error));
                    }
                }
            }
        })
    }

    /// The partitions as calls of lists, for use as arguments of tasks and delayed functions.
    /// Dask: `b.to_delayed()`.
    #[track_caller]
    pub fn to_calls(&self) -> Vec<Call<Vec<T>>>
    where
        T: Sync,
    {
        self.parts.iter().map(|part| part.task("partition", |items| items.collect())).collect()
    }

    /// Computes every partition and keeps the items in memory, charged to the budget while the bag that
    /// comes back, or one made from it, lives. Dask: `b.persist()`.
    ///
    /// # Errors
    /// As [`compute`](Bag::compute).
    pub async fn persist(&self) -> Result<Bag<T>>
    where
        T: Clone + Sync,
    {
        let budget = self.engine.budget();
        let calls = self
            .parts
            .iter()
            .map(|part| {
                let budget = budget.clone();
                part.task("persist", move |items| Ok(Arc::new(gather(items, &budget)?) as Stage))
            })
            .collect();
        let mut running = CancelOnDrop::new(self.engine.spawn_all(calls));
        running.finish().await?;
        let refs = std::mem::take(&mut running.0);
        let parts = refs.into_iter().map(|done| Part::of_held(Arg::Ref(done))).collect();
        Ok(Bag::new(self.engine.clone(), parts))
    }

    /// The graph of tasks that computing would run, to look at or draw (`graph().save("bag.svg")`).
    /// Dask: `b.visualize()`.
    pub fn graph(&self) -> TaskGraph
    where
        T: Clone + Sync,
    {
        crate::delayed::collect_calls::<Vec<T>, _>(self.to_calls()).graph()
    }
}
