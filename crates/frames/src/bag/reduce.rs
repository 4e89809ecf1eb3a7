//! From a bag to one value: a task per partition, then a tree of tasks that combine eight results each.

use std::cmp::Ordering;
use std::iter::Sum;
use std::sync::Arc;

use trefoil_core::{Arg, Call, Input, Result, TaskSpec};

use super::Bag;
use super::chain::joined;
use super::part::Items;

/// How many results one task of the tree combines.
const FAN_IN: usize = 8;

/// Combines results in their order until one is left; there is at least one.
#[track_caller]
fn tree<A: Clone + Send + Sync + 'static>(
    name: &'static str,
    mut level: Vec<Call<A>>,
    combine: impl Fn(Vec<A>) -> A + Send + Sync + 'static,
) -> Call<A> {
    let combine = Arc::new(combine);
    let spec = TaskSpec::new(name);
    loop {
        let wide = level.len() > FAN_IN;
        let mut next = Vec::with_capacity(level.len().div_ceil(FAN_IN));
        let mut below = level.into_iter().peekable();
        while below.peek().is_some() {
            let args: Vec<Arg<A>> = below.by_ref().take(FAN_IN).map(Arg::Call).collect();
            let combine = Arc::clone(&combine);
            next.push(Call::new(spec.clone(), args, move |inputs: Vec<Input<A>>| {
                Ok(combine(inputs.into_iter().map(Input::into_owned).collect()))
            }));
        }
        level = next;
        if !wide && let Some(root) = level.pop() {
            return root;
        }
    }
}

impl<T: Send + 'static> Bag<T> {
    /// Each partition's items through `partial`, then the results through `combine`, eight at a time, in
    /// their order; `combine` must not care how they are bracketed. Dask: `b.reduction(partial, combine)`.
    ///
    /// ```
    /// use trefoil_core::{Engine, Error};
    /// use trefoil_frames::bag::BagSession;
    /// let engine = Engine::new()?;
    /// let longest = engine.bag().of(["a", "ccc", "bb"], 2)?.reduction(
    ///     |items| {
    ///         let lengths = items.map(|item| Ok(item?.len())).collect::<Result<Vec<_>, Error>>()?;
    ///         Ok(lengths.into_iter().max())
    ///     },
    ///     |partial| partial.into_iter().flatten().max(),
    /// );
    /// assert_eq!(engine.block_on(engine.compute(longest))?, Some(3));
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn reduction<A: Clone + Send + Sync + 'static>(
        &self,
        partial: impl Fn(Items<T>) -> Result<A> + Send + Sync + 'static,
        combine: impl Fn(Vec<A>) -> A + Send + Sync + 'static,
    ) -> Call<A> {
        let partial = Arc::new(partial);
        let level = self
            .parts
            .iter()
            .map(|part| {
                let partial = Arc::clone(&partial);
                part.task("reduce", move |items| partial(items))
            })
            .collect();
        tree("combine", level, combine)
    }

    /// Folds each partition from `initial` with `fold`, then joins the results, in order, with `combine`.
    /// `initial` is taken once per partition, so it must be neutral for `combine`.
    /// Dask: `b.fold(fold, combine, initial=initial)`.
    #[track_caller]
    pub fn fold<A: Clone + Send + Sync + 'static>(
        &self,
        initial: A,
        fold: impl Fn(A, T) -> A + Send + Sync + 'static,
        combine: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Call<A> {
        let empty = initial.clone();
        self.reduction(
            move |mut items| items.try_fold(initial.clone(), |state, item| Ok(fold(state, item?))),
            move |partial| partial.into_iter().reduce(&combine).unwrap_or_else(|| empty.clone()),
        )
    }

    /// The number of items. Dask: `b.count()`.
    #[track_caller]
    pub fn count(&self) -> Call<u64> {
        self.fold(0, |n, _| n + 1, |a, b| a + b)
    }

    /// Whether `test` is true of all items; a partition stops at the first that fails. Dask: `b.all()`.
    #[track_caller]
    pub fn all(&self, test: impl Fn(&T) -> bool + Send + Sync + 'static) -> Call<bool> {
        let found = self.any(move |item| !test(item));
        found.map("all", |found| !found)
    }

    /// Whether `test` is true of any item; a partition stops at the first that passes. Dask: `b.any()`.
    #[track_caller]
    pub fn any(&self, test: impl Fn(&T) -> bool + Send + Sync + 'static) -> Call<bool> {
        self.reduction(
            move |items| {
                for item in items {
                    if test(&item?) {
                        return Ok(true);
                    }
                }
                Ok(false)
            },
            |partial| partial.into_iter().any(|found| found),
        )
    }

    /// The first `n` items; partitions are opened one after the other, and no further than needed.
    /// Dask: `b.take(n, npartitions=-1)`.
    #[track_caller]
    pub fn take(&self, n: usize) -> Call<Vec<T>>
    where
        T: Clone + Sync,
    {
        joined(&self.parts).task("take", move |items| items.take(n).collect())
    }

    /// The smallest item by `compare`, the first of equal ones; `None` of nothing.
    #[track_caller]
    pub fn min_by(
        &self,
        compare: impl Fn(&T, &T) -> Ordering + Clone + Send + Sync + 'static,
    ) -> Call<Option<T>>
    where
        T: Clone + Sync,
    {
        let again = compare.clone();
        self.reduction(
            move |items| {
                let mut best: Option<T> = None;
                for item in items {
                    let item = item?;
                    if best.as_ref().is_none_or(|best| compare(&item, best) == Ordering::Less) {
                        best = Some(item);
                    }
                }
                Ok(best)
            },
            move |partial| {
                partial.into_iter().flatten().reduce(|a, b| match again(&b, &a) {
                    Ordering::Less => b,
                    _ => a,
                })
            },
        )
    }

    /// The largest item by `compare`, the first of equal ones; `None` of nothing.
    #[track_caller]
    pub fn max_by(
        &self,
        compare: impl Fn(&T, &T) -> Ordering + Clone + Send + Sync + 'static,
    ) -> Call<Option<T>>
    where
        T: Clone + Sync,
    {
        self.min_by(move |a, b| compare(b, a))
    }

    /// The `k` items with the largest keys, largest first, ties in their order. Holds `2 k` items per
    /// partition. Dask: `b.topk(k, key)`.
    #[track_caller]
    pub fn top_k_by<K: Ord>(
        &self,
        k: usize,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
    ) -> Call<Vec<T>>
    where
        T: Clone + Sync,
    {
        let again = key.clone();
        let best = move |mut all: Vec<T>| {
            // stable, so that earlier items come first among equal keys
            all.sort_by_cached_key(|item| std::cmp::Reverse(again(item)));
            all.truncate(k);
            all
        };
        let cut = best.clone();
        self.reduction(
            move |items| {
                let mut all = Vec::new();
                for item in items {
                    all.push(item?);
                    if all.len() >= k.saturating_mul(2).max(64) {
                        all = cut(all);
                    }
                }
                Ok(cut(all))
            },
            move |partial| best(partial.into_iter().flatten().collect()),
        )
    }
}

impl<T: Ord + Clone + Send + Sync + 'static> Bag<T> {
    /// The smallest item, `None` of nothing. Dask: `b.min()`.
    #[track_caller]
    pub fn min(&self) -> Call<Option<T>> {
        self.min_by(T::cmp)
    }

    /// The largest item, `None` of nothing. Dask: `b.max()`.
    #[track_caller]
    pub fn max(&self) -> Call<Option<T>> {
        self.max_by(T::cmp)
    }

    /// The `k` largest items, largest first. Dask: `b.topk(k)`.
    #[track_caller]
    pub fn top_k(&self, k: usize) -> Call<Vec<T>> {
        self.top_k_by(k, T::clone)
    }
}

impl<T: Sum<T> + Clone + Send + Sync + 'static> Bag<T> {
    /// The sum. Dask: `b.sum()`.
    #[track_caller]
    pub fn sum(&self) -> Call<T> {
        self.reduction(|items| items.sum(), |partial| partial.into_iter().sum())
    }
}
