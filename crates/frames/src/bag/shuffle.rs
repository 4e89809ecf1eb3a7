//! Items brought together by key: every partition is split into as many buckets as there are partitions, and
//! bucket `j` of all of them makes partition `j` of the result.
//!
//! The buckets of a partition are read by one task each, which empties its own; the task runs once per
//! computation, since calls are shared within one.

use std::hash::Hash;
use std::sync::Arc;

use trefoil_core::{Arg, Budget, Call, Input, Result, TaskSpec};

use parking_lot::Mutex;

use super::Bag;
use super::part::{Held, Items, Meter, Ordered, Part, Stage, bucket, gather, stage_at};

/// What one partition gives: a list per bucket, emptied by its reader.
type Buckets<T> = Vec<Mutex<Option<Held<T>>>>;

/// Splits a partition; `of` names the bucket of an item.
#[track_caller]
fn split<T: Send + 'static>(
    name: &'static str,
    part: &Part<T>,
    budget: &Budget,
    buckets: usize,
    of: impl Fn(&T) -> usize + Send + Sync + 'static,
) -> Arg<Stage> {
    let budget = budget.clone();
    Arg::Call(part.task(name, move |items| {
        let mut lists: Vec<(Vec<T>, Meter)> =
            (0..buckets).map(|_| (Vec::new(), Meter::new(&budget))).collect();
        for item in items {
            let item = item?;
            if let Some((list, meter)) = lists.get_mut(of(&item)) {
                meter.add(&item)?;
                list.push(item);
            }
        }
        let lists: Buckets<T> = lists
            .into_iter()
            .map(|(list, meter)| Ok(Mutex::new(Some(Held::new(list, meter.finish()?)))))
            .collect::<Result<_>>()?;
        Ok(Arc::new(lists) as Stage)
    }))
}

/// Bucket `index` of every stage, in order, taken out.
fn take_bucket<T: Send + 'static>(above: &[Stage], index: usize) -> Result<Vec<Held<T>>> {
    let mut taken = Vec::with_capacity(above.len());
    for at in 0..above.len() {
        let lists = stage_at::<Buckets<T>>(above, at)?;
        taken.extend(lists.get(index).and_then(|list| list.lock().take()));
    }
    Ok(taken)
}

/// The partition that `work` makes of bucket `index`.
#[track_caller]
fn collected<R: Clone + Send + Sync + 'static>(
    name: &'static str,
    above: Vec<Arg<Stage>>,
    budget: &Budget,
    work: impl Fn(&[Stage]) -> Result<Vec<R>> + Send + Sync + 'static,
) -> Part<R> {
    let budget = budget.clone();
    let call = Call::new(TaskSpec::new(name), above, move |above: Vec<Input<Stage>>| {
        let above: Vec<Stage> = above.iter().map(|stage| Arc::clone(stage)).collect();
        let mut rows = work(&above)?.into_iter().map(Ok);
        let rows: Items<R> = Box::new(std::iter::from_fn(move || rows.next()));
        Ok(Arc::new(gather(rows, &budget)?) as Stage)
    });
    Part::of_held(Arg::Call(call))
}

impl<T: Clone + Send + Sync + 'static> Bag<T> {
    #[track_caller]
    fn shuffled<K: Hash, R: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
        work: impl Fn(Vec<Held<T>>) -> Vec<R> + Send + Sync + 'static,
    ) -> Bag<R> {
        let buckets = self.parts.len();
        let budget = self.engine.budget();
        let stages: Vec<Arg<Stage>> = self
            .parts
            .iter()
            .map(|part| {
                let key = key.clone();
                split(name, part, budget, buckets, move |item| bucket(&key(item), buckets))
            })
            .collect();
        let work = Arc::new(work);
        let parts = (0..buckets)
            .map(|j| {
                let work = Arc::clone(&work);
                collected(name, stages.clone(), budget, move |above| Ok(work(take_bucket(above, j)?)))
            })
            .collect();
        Bag::new(self.engine.clone(), parts)
    }

    /// The items of each key together. All items are held in memory at once, charged to the budget; where
    /// a fold per key is enough, [`fold_by`](Bag::fold_by) holds one state per key.
    /// Dask: `b.groupby(key)`.
    #[track_caller]
    pub fn group_by<K>(&self, key: impl Fn(&T) -> K + Clone + Send + Sync + 'static) -> Bag<(K, Vec<T>)>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let again = key.clone();
        self.shuffled("group_by", key, move |lists| {
            let mut groups: Ordered<K, Vec<T>> = Ordered::new();
            for item in lists.into_iter().flat_map(|list| list.items) {
                groups.entry(again(&item), Vec::new).0.push(item);
            }
            groups.entries
        })
    }

    /// Pairs of items of the two bags that have the same key. Dask: `b.join(other, key, other_key)`, where
    /// `other` has one partition.
    #[track_caller]
    pub fn join<U, K>(
        &self,
        other: &Bag<U>,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
        other_key: impl Fn(&U) -> K + Clone + Send + Sync + 'static,
    ) -> Bag<(T, U)>
    where
        U: Clone + Send + Sync + 'static,
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let buckets = self.parts.len();
        let budget = self.engine.budget();
        let left = self.parts.iter().map(|part| {
            let key = key.clone();
            split("join", part, budget, buckets, move |item| bucket(&key(item), buckets))
        });
        let right = other.parts.iter().map(|part| {
            let key = other_key.clone();
            split("join", part, budget, buckets, move |item| bucket(&key(item), buckets))
        });
        let stages: Vec<Arg<Stage>> = left.chain(right).collect();
        let lefts = self.parts.len();
        let parts = (0..buckets)
            .map(|j| {
                let (key, other_key) = (key.clone(), other_key.clone());
                collected("join", stages.clone(), budget, move |above| {
                    let (ours, theirs) = above.split_at(lefts.min(above.len()));
                    let mut table: Ordered<K, Vec<U>> = Ordered::new();
                    for item in take_bucket::<U>(theirs, j)?.into_iter().flat_map(|list| list.items) {
                        table.entry(other_key(&item), Vec::new).0.push(item);
                    }
                    let mut pairs = Vec::new();
                    for item in take_bucket::<T>(ours, j)?.into_iter().flat_map(|list| list.items) {
                        let matches = table.get(&key(&item)).map(Vec::as_slice).unwrap_or_default();
                        pairs.extend(matches.iter().map(|other| (item.clone(), other.clone())));
                    }
                    Ok(pairs)
                })
            })
            .collect();
        Bag::new(self.engine.clone(), parts)
    }

    /// The first item of each key. Dask: `b.distinct(key)`.
    #[track_caller]
    pub fn distinct_by<K>(&self, key: impl Fn(&T) -> K + Clone + Send + Sync + 'static) -> Bag<T>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        self.states(key, |item| item, |_, _| {}, |first, _| first).map(|(_, first)| first)
    }

    /// One state per key: the first item of a partition makes it, the others are added, and the states of
    /// the partitions are joined in order.
    #[track_caller]
    fn states<K, A>(
        &self,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
        first: impl Fn(T) -> A + Send + Sync + 'static,
        add: impl Fn(&mut A, T) + Send + Sync + 'static,
        join: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Bag<(K, A)>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        A: Clone + Send + Sync + 'static,
    {
        let buckets = self.parts.len();
        let budget = self.engine.budget();
        let (first, add, join) = (Arc::new(first), Arc::new(add), Arc::new(join));
        let stages: Vec<Arg<Stage>> = self
            .parts
            .iter()
            .map(|part| {
                let (key, first, add) = (key.clone(), Arc::clone(&first), Arc::clone(&add));
                let budget = budget.clone();
                Arg::Call(part.task("fold_by", move |items| {
                    let mut states: Ordered<K, Option<A>> = Ordered::new();
                    let mut meter = Meter::new(&budget);
                    for item in items {
                        let item = item?;
                        let key = key(&item);
                        let (state, fresh) = states.entry(key.clone(), || None);
                        match state {
                            Some(state) => add(state, item),
                            None => *state = Some(first(item)),
                        }
                        if fresh {
                            meter.add(&key)?;
                            meter.add(&*state)?;
                        }
                    }
                    let mut lists: Vec<Vec<(K, A)>> = (0..buckets).map(|_| Vec::new()).collect();
                    for (key, state) in states.entries {
                        if let (Some(list), Some(state)) = (lists.get_mut(bucket(&key, buckets)), state) {
                            list.push((key, state));
                        }
                    }
                    // the charge stays with the first bucket; it is given back when that one is read
                    let mut charge = meter.finish()?;
                    let lists: Buckets<(K, A)> = lists
                        .into_iter()
                        .map(|list| Mutex::new(Some(Held::new(list, std::mem::take(&mut charge)))))
                        .collect();
                    Ok(Arc::new(lists) as Stage)
                }))
            })
            .collect();
        let parts = (0..buckets)
            .map(|j| {
                let join = Arc::clone(&join);
                collected("fold_by", stages.clone(), budget, move |above| {
                    let mut states: Ordered<K, Option<A>> = Ordered::new();
                    for (key, state) in take_bucket::<(K, A)>(above, j)?.into_iter().flat_map(|l| l.items) {
                        let slot = states.entry(key, || None).0;
                        *slot = Some(match slot.take() {
                            Some(before) => join(before, state),
                            None => state,
                        });
                    }
                    let entries = states.entries.into_iter();
                    Ok(entries.filter_map(|(key, state)| Some((key, state?))).collect())
                })
            })
            .collect();
        Bag::new(self.engine.clone(), parts)
    }

    /// A fold per key: each partition folds its items from `initial`, the results of the partitions are
    /// joined with `combine`. Holds one state per key and partition.
    /// Dask: `b.foldby(key, fold, initial, combine, initial)`.
    ///
    /// ```
    /// use trefoil_core::Engine;
    /// use trefoil_frames::bag::BagSession;
    /// let engine = Engine::new()?;
    /// let sums = engine.bag().range(10, 3)?.fold_by(|n| n % 2, 0, |sum, n| sum + n, |a, b| a + b);
    /// let mut found = engine.block_on(sums.compute())?;
    /// found.sort();
    /// assert_eq!(found, [(0, 20), (1, 25)]);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn fold_by<K, A>(
        &self,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
        initial: A,
        fold: impl Fn(A, T) -> A + Clone + Send + Sync + 'static,
        combine: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Bag<(K, A)>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        A: Clone + Send + Sync + 'static,
    {
        let again = fold.clone();
        self.states(
            key,
            move |item| fold(initial.clone(), item),
            move |state, item| *state = again(state.clone(), item),
            combine,
        )
    }
}

impl<T: Hash + Eq + Clone + Send + Sync + 'static> Bag<T> {
    /// How often each item occurs. Dask: `b.frequencies()`.
    #[track_caller]
    pub fn frequencies(&self) -> Bag<(T, u64)> {
        self.states(T::clone, |_| 1, |count, _| *count += 1, |a, b| a + b)
    }

    /// Each different item once. Dask: `b.distinct()`.
    #[track_caller]
    pub fn distinct(&self) -> Bag<T> {
        self.distinct_by(T::clone)
    }
}
