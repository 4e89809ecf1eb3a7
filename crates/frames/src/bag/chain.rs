//! Steps that work item by item or partition by partition; they become one iterator.

use std::sync::Arc;

use rand::TryRng;
use trefoil_core::{Arg, Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::Bag;
use super::build::{invalid, share, some_partitions};
use super::part::{Held, Items, Part, Stage, gather, stage_at};
use crate::Seed;
use crate::array::ElementRng;

impl<T: Send + 'static> Bag<T> {
    fn then<U: Send + 'static>(&self, step: impl Fn(Items<T>) -> Items<U> + Send + Sync + 'static) -> Bag<U> {
        let step = Arc::new(step);
        let parts = self.parts.iter().map(|part| {
            let step = Arc::clone(&step);
            part.then(move |items| step(items))
        });
        Bag::new(self.engine.clone(), parts.collect())
    }

    /// Every item through `f`. Dask: `b.map(f)`; of pairs, `b.starmap(f)` is `map(|(a, b)| f(a, b))`.
    pub fn map<U: Send + 'static>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> Bag<U> {
        self.try_map(move |item| Ok::<U, Error>(f(item)))
    }

    /// Every item through a closure that may fail; the first failure ends the work with
    /// [`ErrorKind::User`], and the closure's error can be downcast.
    pub fn try_map<U, E>(&self, f: impl Fn(T) -> Result<U, E> + Send + Sync + 'static) -> Bag<U>
    where
        U: Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let f = Arc::new(f);
        self.then(move |items| {
            let f = Arc::clone(&f);
            Box::new(items.map(move |item| item.and_then(|item| f(item).map_err(Error::user))))
        })
    }

    /// The items for which `keep` is true. Dask: `b.filter(keep)`; `b.remove(f)` is `filter(|x| !f(x))`.
    pub fn filter(&self, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> Bag<T> {
        let keep = Arc::new(keep);
        self.then(move |items| {
            let keep = Arc::clone(&keep);
            Box::new(items.filter(move |item| item.as_ref().map_or(true, |item| keep(item))))
        })
    }

    /// All items of what `f` makes of each item. Dask: `b.map(f).flatten()`.
    pub fn flat_map<I>(&self, f: impl Fn(T) -> I + Send + Sync + 'static) -> Bag<I::Item>
    where
        I: IntoIterator + 'static,
        I::IntoIter: Send,
        I::Item: Send,
    {
        let f = Arc::new(f);
        self.then(move |items| {
            let f = Arc::clone(&f);
            Box::new(items.flat_map(move |item| -> Items<I::Item> {
                match item {
                    Ok(item) => Box::new(f(item).into_iter().map(Ok)),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                }
            }))
        })
    }

    /// Each partition's iterator through `f`, which may look ahead, batch or drop items.
    /// Dask: `b.map_partitions(f)`.
    ///
    /// ```
    /// use trefoil_core::Engine;
    /// use trefoil_frames::bag::BagSession;
    /// let engine = Engine::new()?;
    /// let firsts = engine.bag().range(10, 3)?.map_partitions(|items| items.take(1));
    /// assert_eq!(engine.block_on(firsts.compute())?, [0, 4, 7]);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn map_partitions<U, I>(&self, f: impl Fn(Items<T>) -> I + Send + Sync + 'static) -> Bag<U>
    where
        U: Send + 'static,
        I: Iterator<Item = Result<U>> + Send + 'static,
    {
        self.then(move |items| Box::new(f(items)))
    }

    /// Each item with a chance of `probability`; which ones depends on the seed, the partition and the
    /// place in it alone. Dask: `b.random_sample(probability, random_state)`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a probability outside 0..=1.
    pub fn random_sample(&self, probability: f64, seed: Seed) -> Result<Bag<T>> {
        if !(0.0..=1.0).contains(&probability) {
            let text = format!("the probability is {probability}, it must be between 0 and 1");
            return Err(invalid("random_sample", text));
        }
        let parts = self.parts.iter().enumerate().map(|(index, part)| {
            part.then(move |items| {
                let mut rng = ElementRng::new(seed, index as u64);
                Box::new(items.filter(move |item| {
                    let Ok(bits) = rng.try_next_u64();
                    item.is_err() || ((bits >> 11) as f64) < probability * (1_u64 << 53) as f64
                }))
            })
        });
        Ok(Bag::new(self.engine.clone(), parts.collect()))
    }

    /// The partitions of this bag, then those of `other`. Dask: `db.concat([b, other])`.
    pub fn concat(&self, other: &Bag<T>) -> Bag<T> {
        Bag::new(self.engine.clone(), self.parts.iter().chain(&other.parts).cloned().collect())
    }

    /// Pairs of items at the same place. Dask: `db.zip(b, other)`.
    ///
    /// # Errors
    /// [`ErrorKind::ShapeMismatch`] for other numbers of partitions; when it runs, for partitions of
    /// different lengths.
    pub fn zip<U: Send + 'static>(&self, other: &Bag<U>) -> Result<Bag<(T, U)>> {
        let (left, right) = (self.parts.len(), other.parts.len());
        if left != right {
            let text = format!("one bag has {left} partitions, the other {right}");
            return Err(Error::new(ErrorKind::ShapeMismatch, "zip", text)
                .with_help("make both from the same source, or `repartition` first"));
        }
        let parts = self.parts.iter().zip(&other.parts).enumerate().map(|(index, (left, right))| {
            two(left, right, move |mut left, mut right| {
                Ok(Box::new(std::iter::from_fn(move || match (left.next(), right.next()) {
                    (None, None) => None,
                    (Some(Ok(a)), Some(Ok(b))) => Some(Ok((a, b))),
                    (Some(Err(error)), _) | (_, Some(Err(error))) => Some(Err(error)),
                    _ => {
                        let text = format!("one side of partition {index} has more items than the other");
                        Some(Err(Error::new(ErrorKind::ShapeMismatch, "zip", text)))
                    }
                })))
            })
        });
        Ok(Bag::new(self.engine.clone(), parts.collect()))
    }

    /// Every item with every item of `other`, whose partitions are held in memory one at a time.
    /// Dask: `b.product(other)`.
    pub fn product<U>(&self, other: &Bag<U>) -> Bag<(T, U)>
    where
        T: Clone + Sync,
        U: Clone + Send + Sync + 'static,
    {
        let mut parts = Vec::with_capacity(self.parts.len() * other.parts.len());
        for left in &self.parts {
            for right in &other.parts {
                let budget = self.engine.budget().clone();
                parts.push(two(left, right, move |left, right| {
                    let right = Arc::new(gather(right, &budget)?);
                    Ok(Box::new(left.flat_map(move |a| -> Items<(T, U)> {
                        match a {
                            Err(error) => Box::new(std::iter::once(Err(error))),
                            Ok(a) => {
                                let right = super::part::each::<U, Held<U>>(Arc::clone(&right));
                                Box::new(right.map(move |b| b.map(|b| (a.clone(), b))))
                            }
                        }
                    })))
                }));
            }
        }
        Bag::new(self.engine.clone(), parts)
    }

    /// The running results of `f`, after each item, over all partitions. Every item is computed twice: once
    /// for the state the next partition starts from. Dask: `b.accumulate(f, initial=initial)`, which gives
    /// the initial value too.
    pub fn accumulate<A>(&self, initial: A, f: impl Fn(&A, T) -> A + Send + Sync + 'static) -> Bag<A>
    where
        A: Clone + Send + Sync + 'static,
    {
        let f = Arc::new(f);
        let first: Call<Stage> = Call::value(Arc::new(initial) as Stage);
        let mut state = first;
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let before = Arg::Call(state.clone());
            let scan = {
                let (part, f) = (part.clone(), Arc::clone(&f));
                Part::new(with(&part.above, before.clone()), move |above| {
                    let Some((state, above)) = above.split_last() else { return Err(no_stage()) };
                    let mut state = A::clone(&*stage_at::<A>(std::slice::from_ref(state), 0)?);
                    let f = Arc::clone(&f);
                    Ok(Box::new(part.open(above)?.map(move |item| {
                        state = f(&state, item?);
                        Ok(state.clone())
                    })) as Items<A>)
                })
            };
            let (part, f) = (part.clone(), Arc::clone(&f));
            state = Call::new(
                TaskSpec::new("accumulate"),
                with(&part.above, before),
                move |above: Vec<Input<Stage>>| {
                    let above: Vec<Stage> = above.iter().map(|stage| Arc::clone(stage)).collect();
                    let Some((state, above)) = above.split_last() else { return Err(no_stage()) };
                    let mut state = A::clone(&*stage_at::<A>(std::slice::from_ref(state), 0)?);
                    for item in part.open(above)? {
                        state = f(&state, item?);
                    }
                    Ok(Arc::new(state) as Stage)
                },
            );
            parts.push(scan);
        }
        Bag::new(self.engine.clone(), parts)
    }

    /// The same items in `partitions` partitions, in the same order: fewer are runs of old ones, pulled one
    /// after the other; more are pieces of old ones, which are then held in memory.
    /// Dask: `b.repartition(npartitions=partitions)`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no partitions.
    pub fn repartition(&self, partitions: usize) -> Result<Bag<T>>
    where
        T: Clone + Sync,
    {
        some_partitions("repartition", partitions)?;
        let old = self.parts.len();
        let parts = if partitions <= old {
            (0..partitions)
                .map(|i| {
                    let (start, end) = share(old, partitions, i);
                    joined(&self.parts[start..end])
                })
                .collect()
        } else {
            let mut parts = Vec::with_capacity(partitions);
            for (i, part) in self.parts.iter().enumerate() {
                let (start, end) = share(partitions, old, i);
                let pieces = end - start;
                let budget = self.engine.budget().clone();
                let whole = Arg::Call(
                    part.task("repartition", move |items| Ok(Arc::new(gather(items, &budget)?) as Stage)),
                );
                for piece in 0..pieces {
                    parts.push(Part::new(vec![whole.clone()], move |above| {
                        let list = stage_at::<Held<T>>(above, 0)?;
                        let (start, end) = share(list.items.len(), pieces, piece);
                        Ok(Box::new((start..end).map(move |i| Ok(list.items[i].clone()))) as Items<T>)
                    }));
                }
            }
            parts
        };
        Ok(Bag::new(self.engine.clone(), parts))
    }
}

fn no_stage() -> Error {
    Error::new(ErrorKind::Internal, "bag", "a stage is missing")
}

fn with(above: &[Arg<Stage>], last: Arg<Stage>) -> Vec<Arg<Stage>> {
    above.iter().cloned().chain(std::iter::once(last)).collect()
}

/// A partition that reads two.
fn two<A: Send + 'static, B: Send + 'static, C: Send + 'static>(
    left: &Part<A>,
    right: &Part<B>,
    step: impl Fn(Items<A>, Items<B>) -> Result<Items<C>> + Send + Sync + 'static,
) -> Part<C> {
    let (left, right) = (left.clone(), right.clone());
    let above = left.above.iter().chain(&right.above).cloned().collect();
    let split = left.above.len();
    Part::new(above, move |above| {
        let (ours, theirs) = above.split_at(split.min(above.len()));
        step(left.open(ours)?, right.open(theirs)?)
    })
}

/// Several partitions as one, opened one after the other.
pub(super) fn joined<T: Send + 'static>(parts: &[Part<T>]) -> Part<T> {
    let parts = parts.to_vec();
    let above = parts.iter().flat_map(|part| part.above.iter().cloned()).collect();
    Part::new(above, move |above| {
        let mut rest = above.to_vec();
        let mut left = Vec::with_capacity(parts.len());
        for part in &parts {
            let later = rest.split_off(part.above.len().min(rest.len()));
            left.push((part.clone(), rest));
            rest = later;
        }
        Ok(Box::new(left.into_iter().flat_map(|(part, above)| -> Items<T> {
            part.open(&above).unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
        })) as Items<T>)
    })
}

impl<I> Bag<I>
where
    I: IntoIterator + Send + 'static,
    I::IntoIter: Send,
    I::Item: Send,
{
    /// The items of the items. Dask: `b.flatten()`.
    pub fn flatten(&self) -> Bag<I::Item> {
        self.flat_map(|items| items)
    }
}

impl<A: Send + 'static, B: Send + 'static> Bag<(A, B)> {
    /// The first parts and the second parts of pairs, as two bags. Dask: `b.unzip(2)`.
    pub fn unzip(&self) -> (Bag<A>, Bag<B>) {
        (self.map(|(a, _)| a), self.map(|(_, b)| b))
    }
}

impl Bag<serde_json::Value> {
    /// The value of `key` in each object, `null` where there is none. Dask: `b.pluck(key, default=None)`.
    pub fn pluck(&self, key: impl Into<String>) -> Bag<serde_json::Value> {
        let key = key.into();
        self.map(move |mut value| value.get_mut(&key).map(serde_json::Value::take).unwrap_or_default())
    }
}
