//! Where bags come from: lists, ranges, calls. Files are in `text`.

use std::sync::Arc;

use trefoil_core::{Arg, Call, Engine, Error, ErrorKind, Input, Ref, Result, TaskSpec};

use super::Bag;
use super::part::{Part, Stage, each, stage_at};

mod sealed {
    pub trait Sealed {}
    impl Sealed for trefoil_core::Engine {}
}

/// Adds [`bag`](BagSession::bag) to an engine (and to a session, which is one).
pub trait BagSession: sealed::Sealed {
    /// Constructors of bags that this engine will compute.
    fn bag(&self) -> BagBuilder<'_>;
}

impl BagSession for Engine {
    fn bag(&self) -> BagBuilder<'_> {
        BagBuilder { engine: self }
    }
}

/// Makes bags; see [`BagSession`].
#[derive(Clone, Copy, Debug)]
pub struct BagBuilder<'e> {
    pub(super) engine: &'e Engine,
}

pub(super) fn invalid(op: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, op, message)
}

impl BagBuilder<'_> {
    /// A bag of these items in `partitions` runs of about the same length (some empty if there are fewer
    /// items). Dask: `db.from_sequence(items, npartitions=partitions)`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no partitions.
    pub fn of<T>(&self, items: impl IntoIterator<Item = T>, partitions: usize) -> Result<Bag<T>>
    where
        T: Clone + Send + Sync + 'static,
    {
        some_partitions("bag of items", partitions)?;
        let items: Vec<T> = items.into_iter().collect();
        let (total, mut items) = (items.len(), items.into_iter());
        let parts = (0..partitions)
            .map(|i| {
                let (start, end) = share(total, partitions, i);
                Part::of_list(items.by_ref().take(end - start).collect())
            })
            .collect();
        Ok(Bag::new(self.engine.clone(), parts))
    }

    /// The numbers from 0 to `end - 1`. Dask: `db.range(end, npartitions=partitions)`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no partitions.
    pub fn range(&self, end: u64, partitions: usize) -> Result<Bag<u64>> {
        some_partitions("range", partitions)?;
        let count = partitions as u64;
        let parts = (0..count)
            .map(|i| {
                // the same shares as `share`, in numbers that may be larger than an address
                let (each, more) = (end / count, end % count);
                let start = i * each + i.min(more);
                let stop = start + each + u64::from(i < more);
                Part::new(Vec::new(), move |_| Ok(Box::new((start..stop).map(Ok)) as _))
            })
            .collect();
        Ok(Bag::new(self.engine.clone(), parts))
    }

    /// A bag whose partitions are the lists that these calls will give. Dask: `db.from_delayed(calls)`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no calls.
    pub fn from_calls<T>(&self, calls: impl IntoIterator<Item = Call<Vec<T>>>) -> Result<Bag<T>>
    where
        T: Clone + Send + Sync + 'static,
    {
        let calls = calls.into_iter().map(Arg::Call).collect();
        self.of_args("from_calls", calls)
    }

    /// A bag whose partitions are lists that exist or are being computed: results of tasks.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no refs.
    pub fn from_refs<T>(&self, refs: impl IntoIterator<Item = Ref<Vec<T>>>) -> Result<Bag<T>>
    where
        T: Clone + Send + Sync + 'static,
    {
        self.of_args("from_refs", refs.into_iter().map(Arg::Ref).collect())
    }

    fn of_args<T>(&self, op: &'static str, args: Vec<Arg<Vec<T>>>) -> Result<Bag<T>>
    where
        T: Clone + Send + Sync + 'static,
    {
        if args.is_empty() {
            return Err(invalid(op, "there is no partition").with_help("give at least one, if need be empty"));
        }
        let parts = args
            .into_iter()
            .map(|arg| {
                let stage = Call::new(TaskSpec::new("partition"), (arg,), |(list,): (Input<Vec<T>>,)| {
                    Ok(Arc::new(list) as Stage)
                });
                Part::new(vec![Arg::Call(stage)], |above| {
                    Ok(each(Arc::new(Shared(stage_at::<Input<Vec<T>>>(above, 0)?))))
                })
            })
            .collect();
        Ok(Bag::new(self.engine.clone(), parts))
    }
}

struct Shared<T>(Arc<Input<Vec<T>>>);

impl<T> AsRef<[T]> for Shared<T> {
    fn as_ref(&self) -> &[T] {
        &self.0
    }
}

pub(super) fn some_partitions(op: &'static str, partitions: usize) -> Result<()> {
    if partitions > 0 { Ok(()) } else { Err(invalid(op, "a bag has at least one partition")) }
}

/// Start and end of the `i`-th of `parts` shares of `total` items; the first ones are larger by one.
pub(super) fn share(total: usize, parts: usize, i: usize) -> (usize, usize) {
    let (each, more) = (total / parts, total % parts);
    let start = i * each + i.min(more);
    (start, start + each + usize::from(i < more))
}
