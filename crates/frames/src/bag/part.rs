//! One partition of a bag: what it needs first, and how its items are then pulled.
//!
//! A chain of `map`, `filter` and the like is one iterator per partition, made anew whenever a task opens the
//! partition: nothing is held between the steps. Only what has to be complete before its first item can be
//! given (a shuffle, a persisted bag, a running state) is a call of its own; its result is `above`.

use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;

use trefoil_core::{Arg, Budget, Call, Error, ErrorKind, Input, Reservation, Result, TaskSpec};

/// The items of one partition, pulled one by one; after an error there are no more.
pub type Items<T> = Box<dyn Iterator<Item = Result<T>> + Send>;

/// The result of an earlier stage, whatever its type.
pub(super) type Stage = Arc<dyn Any + Send + Sync>;

type Open<T> = dyn Fn(&[Stage]) -> Result<Items<T>> + Send + Sync;

pub(super) struct Part<T> {
    pub above: Vec<Arg<Stage>>,
    open: Arc<Open<T>>,
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Part { above: self.above.clone(), open: Arc::clone(&self.open) }
    }
}

impl<T: Send + 'static> Part<T> {
    pub fn new(
        above: Vec<Arg<Stage>>,
        open: impl Fn(&[Stage]) -> Result<Items<T>> + Send + Sync + 'static,
    ) -> Self {
        // looked at where items begin: a filter may drop them all
        Part { above, open: Arc::new(move |above| Ok(stoppable(open(above)?))) }
    }

    /// The items of a list that is there already.
    pub fn of_list(list: Vec<T>) -> Self
    where
        T: Clone + Sync,
    {
        let list = Arc::new(list);
        Part::new(Vec::new(), move |_| Ok(each(Arc::clone(&list))))
    }

    /// The items of a stage that gives a [`Held`] list.
    pub fn of_held(stage: Arg<Stage>) -> Self
    where
        T: Clone + Sync,
    {
        Part::new(vec![stage], |above| Ok(each(stage_at::<Held<T>>(above, 0)?)))
    }

    pub fn open(&self, above: &[Stage]) -> Result<Items<T>> {
        (self.open)(above)
    }

    /// A further step of the chain.
    pub fn then<U: Send + 'static>(
        &self,
        step: impl Fn(Items<T>) -> Items<U> + Send + Sync + 'static,
    ) -> Part<U> {
        let open = Arc::clone(&self.open);
        Part { above: self.above.clone(), open: Arc::new(move |above| Ok(step(open(above)?))) }
    }

    /// The task that pulls the whole partition through `work`.
    #[track_caller]
    pub fn task<R: Send + Sync + 'static>(
        &self,
        name: &'static str,
        work: impl Fn(Items<T>) -> Result<R> + Send + Sync + 'static,
    ) -> Call<R> {
        let open = Arc::clone(&self.open);
        Call::new(TaskSpec::new(name), self.above.clone(), move |above: Vec<Input<Stage>>| {
            let above: Vec<Stage> = above.iter().map(|stage| Arc::clone(stage)).collect();
            work(open(&above)?)
        })
    }
}

/// How many items are pulled between two looks at the outside: whether the task was cancelled, whether the
/// budget has room.
const STRIDE: usize = 1024;

/// Ends with an error when the task that pulls is cancelled.
fn stoppable<T: Send + 'static>(items: Items<T>) -> Items<T> {
    let mut pulled = 0_usize;
    let mut over = false;
    let mut items = items;
    Box::new(std::iter::from_fn(move || {
        if over {
            return None;
        }
        pulled += 1;
        if pulled.is_multiple_of(STRIDE) && trefoil_core::task_is_cancelled() {
            over = true;
            return Some(Err(Error::new(ErrorKind::Cancelled, "bag", "the work was cancelled")));
        }
        let item = items.next();
        over = !matches!(item, Some(Ok(_)));
        item
    }))
}

/// The result of stage `index`.
pub(super) fn stage_at<S: Send + Sync + 'static>(above: &[Stage], index: usize) -> Result<Arc<S>> {
    let stage = above.get(index).cloned();
    stage
        .and_then(|stage| stage.downcast::<S>().ok())
        .ok_or_else(|| Error::new(ErrorKind::Internal, "bag", "a stage of another type than its reader's"))
}

/// Clones of the items of a shared list.
pub(super) fn each<T, L>(list: Arc<L>) -> Items<T>
where
    T: Clone + Send + 'static,
    L: AsRef<[T]> + Send + Sync + 'static,
{
    let mut next = 0;
    Box::new(std::iter::from_fn(move || {
        let item = (*list).as_ref().get(next).cloned();
        next += 1;
        item.map(Ok)
    }))
}

/// A list in memory with what it is charged.
pub(super) struct Held<T> {
    pub items: Vec<T>,
    _charge: Vec<Reservation>,
}

impl<T> Held<T> {
    pub fn new(items: Vec<T>, charge: Vec<Reservation>) -> Self {
        Held { items, _charge: charge }
    }
}

impl<T> AsRef<[T]> for Held<T> {
    fn as_ref(&self) -> &[T] {
        &self.items
    }
}

/// The heap of values whose type tells it.
fn heap_bytes<T: 'static>(value: &T) -> usize {
    let value: &dyn Any = value;
    match (value.downcast_ref::<String>(), value.downcast_ref::<Vec<u8>>()) {
        (Some(text), _) => text.capacity(),
        (_, Some(bytes)) => bytes.capacity(),
        _ => 0,
    }
}

/// Charges the budget as a list or table grows, a stride at a time.
pub(super) struct Meter {
    budget: Budget,
    pending: usize,
    items: usize,
    charge: Vec<Reservation>,
}

impl Meter {
    pub fn new(budget: &Budget) -> Self {
        Meter { budget: budget.clone(), pending: 0, items: 0, charge: Vec::new() }
    }

    pub fn add<T: 'static>(&mut self, item: &T) -> Result<()> {
        self.pending += size_of::<T>() + heap_bytes(item);
        self.items += 1;
        if self.items.is_multiple_of(STRIDE) { self.settle() } else { Ok(()) }
    }

    fn settle(&mut self) -> Result<()> {
        if self.pending > 0 {
            self.charge.push(self.budget.reserve("bags", self.pending)?);
            self.pending = 0;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Vec<Reservation>> {
        self.settle()?;
        Ok(self.charge)
    }
}

/// All items in memory, charged to the budget.
pub(super) fn gather<T: 'static>(items: Items<T>, budget: &Budget) -> Result<Held<T>> {
    let mut meter = Meter::new(budget);
    let mut all = Vec::new();
    for item in items {
        let item = item?;
        meter.add(&item)?;
        all.push(item);
    }
    Ok(Held { items: all, _charge: meter.finish()? })
}

/// The bucket of a key: the same in every run and process.
pub(super) fn bucket<K: Hash>(key: &K, buckets: usize) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    usize::try_from(hash % buckets.max(1) as u64).unwrap_or(0)
}

/// A map that gives its entries in the order they came.
pub(super) struct Ordered<K, V> {
    index: HashMap<K, usize>,
    pub entries: Vec<(K, V)>,
}

impl<K: Hash + Eq + Clone, V> Ordered<K, V> {
    pub fn new() -> Self {
        Ordered { index: HashMap::new(), entries: Vec::new() }
    }

    /// The value of a key, made by `new` when the key is first seen; and whether it is new.
    pub fn entry(&mut self, key: K, new: impl FnOnce() -> V) -> (&mut V, bool) {
        let entries = &mut self.entries;
        let mut fresh = false;
        let at = *self.index.entry(key).or_insert_with_key(|key| {
            fresh = true;
            entries.push((key.clone(), new()));
            entries.len() - 1
        });
        (&mut self.entries[at].1, fresh)
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.index.get(key).map(|at| &self.entries[*at].1)
    }
}
