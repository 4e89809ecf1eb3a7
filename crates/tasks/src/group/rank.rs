//! `Rank`: one member's end of a group, and the collective operations.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use trefoil_core::{Error, ErrorKind, Result, block_on};

use super::numeric::{Numeric, Reduce};
use super::round::{Item, Operation, Shared};

/// From so many elements on, each rank reduces a share of them and the shares are gathered.
const SHARED_FROM: usize = 4096;

/// One rank of a [`WorkerGroup`](super::WorkerGroup): what its task or actor calls.
///
/// Every rank calls the same operations in the same order. The methods are asynchronous;
/// [`Rank::blocking`] has them for blocking code. A dropped rank has left the group: operations that need it
/// fail for everyone with [`ErrorKind::GroupBroken`], as they do when one of them is dropped half-way.
pub struct Rank {
    shared: Arc<Shared>,
    rank: usize,
    /// The number of the next round.
    next: u64,
}

impl fmt::Debug for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rank({} of {})", self.rank, self.size())
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        let how = if std::thread::panicking() { "panicked" } else { "ended" };
        self.shared.leave(self.rank, how);
    }
}

fn wrong(operation: &'static str, message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, operation, message)
}

/// What a rank deposited, as the list it is.
fn list<T: 'static>(item: &Item) -> &[T] {
    // The operations agree on the type, so the fallback is never reached.
    item.downcast_ref::<Vec<T>>().map_or(&[], Vec::as_slice)
}

/// The half-open range of elements that `rank` of `size` reduces.
fn share(count: usize, rank: usize, size: usize) -> std::ops::Range<usize> {
    count * rank / size..count * (rank + 1) / size
}

/// `range` of every deposit, reduced in the order of ranks.
fn reduced<T: Numeric>(all: &[Item], range: std::ops::Range<usize>, how: Reduce) -> Vec<T> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let mut total = list::<T>(first)[range.clone()].to_vec();
    for other in others {
        how.fold(&mut total, &list::<T>(other)[range.clone()]);
    }
    total
}

impl Rank {
    pub(super) fn new(shared: Arc<Shared>, rank: usize) -> Self {
        Self { shared, rank, next: 0 }
    }

    /// This rank, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many ranks the group has.
    pub fn size(&self) -> usize {
        self.shared.size()
    }

    /// The operations for blocking code.
    pub fn blocking(&mut self) -> BlockingRank<'_> {
        BlockingRank(self)
    }

    pub(super) async fn exchange(&mut self, operation: Operation, item: Item) -> Result<Arc<Vec<Item>>> {
        let number = self.next;
        self.next += 1;
        self.shared.exchange(self.rank, number, operation, item).await
    }

    pub(super) fn check_rank(&self, operation: &'static str, rank: usize) -> Result<()> {
        if rank < self.size() {
            return Ok(());
        }
        Err(wrong(operation, format!("there is no rank {rank} in a group of {}", self.size())))
    }

    /// Waits until every rank is here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::GroupBroken`].
    pub async fn barrier(&mut self) -> Result<()> {
        self.exchange(Operation::new("barrier"), Arc::new(())).await.map(drop)
    }

    /// Combines `values` of all ranks, element by element, into everyone's `values`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::GroupBroken`], also when the ranks differ in length, type or kind of reduction.
    pub async fn all_reduce<T: Numeric>(&mut self, values: &mut [T], how: Reduce) -> Result<()> {
        let mut operation = reduction::<T>("all_reduce", values.len(), how);
        let all = self.exchange(operation.clone(), Arc::new(values.to_vec())).await?;
        if values.len() < SHARED_FROM || self.size() == 1 {
            values.copy_from_slice(&reduced::<T>(&all, 0..values.len(), how));
            return Ok(());
        }
        let mine = reduced::<T>(&all, share(values.len(), self.rank, self.size()), how);
        drop(all);
        operation.detail.push_str(", second half");
        let shares = self.exchange(operation, Arc::new(mine)).await?;
        let mut rest = values;
        for part in shares.iter().map(list::<T>) {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        Ok(())
    }

    /// Combines `values` of all ranks into those of `root`; the others keep theirs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if there is no such rank, else as [`Rank::all_reduce`].
    pub async fn reduce<T: Numeric>(&mut self, values: &mut [T], how: Reduce, root: usize) -> Result<()> {
        self.check_rank("reduce", root)?;
        let mut operation = reduction::<T>("reduce", values.len(), how);
        operation.detail = format!("{} at {root}", operation.detail);
        let all = self.exchange(operation, Arc::new(values.to_vec())).await?;
        if self.rank == root {
            values.copy_from_slice(&reduced::<T>(&all, 0..values.len(), how));
        }
        Ok(())
    }

    /// Copies `values` of `root` to every rank.
    ///
    /// # Errors
    ///
    /// As [`Rank::reduce`].
    pub async fn broadcast<T: Numeric>(&mut self, values: &mut [T], root: usize) -> Result<()> {
        self.check_rank("broadcast", root)?;
        let operation = Operation {
            element: T::NAME,
            count: Some(values.len()),
            detail: format!("from {root}"),
            ..Operation::new("broadcast")
        };
        let item: Item = if self.rank == root { Arc::new(values.to_vec()) } else { Arc::new(()) };
        let all = self.exchange(operation, item).await?;
        if self.rank != root {
            values.copy_from_slice(list::<T>(&all[root]));
        }
        Ok(())
    }

    /// The values of every rank, in the order of ranks; they may differ in length.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::GroupBroken`], also when the ranks differ in type.
    pub async fn all_gather<T: Numeric>(&mut self, values: &[T]) -> Result<Vec<Vec<T>>> {
        let operation = Operation { element: T::NAME, ..Operation::new("all_gather") };
        let all = self.exchange(operation, Arc::new(values.to_vec())).await?;
        Ok(all.iter().map(|item| list::<T>(item).to_vec()).collect())
    }

    /// Combines `values` of all ranks and gives each rank its share: of `size` shares of equal length, the
    /// one with the rank's number.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the length is no multiple of the group's size, else as
    /// [`Rank::all_reduce`].
    pub async fn reduce_scatter<T: Numeric>(&mut self, values: &[T], how: Reduce) -> Result<Vec<T>> {
        if !values.len().is_multiple_of(self.size()) {
            let message = format!("{} values cannot be shared out to {} ranks", values.len(), self.size());
            return Err(wrong("reduce_scatter", message));
        }
        let operation = reduction::<T>("reduce_scatter", values.len(), how);
        let all = self.exchange(operation, Arc::new(values.to_vec())).await?;
        Ok(reduced::<T>(&all, share(values.len(), self.rank, self.size()), how))
    }

    pub(super) fn send_item(&self, item: Item, to: usize) -> Result<()> {
        self.check_rank("send", to)?;
        self.shared.send(self.rank, to, item)
    }

    pub(super) async fn receive_item(&self, from: usize) -> Result<Item> {
        self.check_rank("receive", from)?;
        self.shared.receive(from, self.rank).await
    }

    /// Sends a copy of `values` to rank `to`, which gets them with [`Rank::receive`] in the order of
    /// sending. It does not wait.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::GroupBroken`] if the rank is gone, [`ErrorKind::InvalidArgument`] if there is none.
    pub fn send<T: Numeric>(&self, values: &[T], to: usize) -> Result<()> {
        self.send_item(Arc::new(values.to_vec()), to)
    }

    /// The next values that rank `from` sent to this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] if they are of another type, [`ErrorKind::GroupBroken`] if the rank is
    /// gone and has sent nothing more.
    pub async fn receive<T: Numeric>(&mut self, from: usize) -> Result<Vec<T>> {
        let item = self.receive_item(from).await?;
        let values = item.downcast::<Vec<T>>().map_err(|_| {
            let message = format!("rank {from} sent something else than values of type {}", T::NAME);
            Error::new(ErrorKind::TypeMismatch, "receive", message)
        })?;
        Ok(Arc::unwrap_or_clone(values))
    }
}

fn reduction<T: Numeric>(name: &'static str, count: usize, how: Reduce) -> Operation {
    Operation { element: T::NAME, count: Some(count), detail: how.name().to_owned(), ..Operation::new(name) }
}

/// The operations of a [`Rank`] for blocking code; see there.
#[derive(Debug)]
pub struct BlockingRank<'r>(pub(super) &'r mut Rank);

macro_rules! blocking {
    ($($(#[$doc:meta])* $name:ident $(<$t:ident>)? ($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        impl BlockingRank<'_> {$(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// As the method of the same name of [`Rank`].
            pub fn $name $(<$t: Numeric>)? (&mut self, $($arg: $type),*) -> Result<$out> {
                wait(self.0.$name($($arg),*))
            }
        )*}
    };
}

pub(super) fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    block_on(future)
}

blocking! {
    /// [`Rank::barrier`].
    barrier() -> ();
    /// [`Rank::all_reduce`].
    all_reduce<T>(values: &mut [T], how: Reduce) -> ();
    /// [`Rank::reduce`].
    reduce<T>(values: &mut [T], how: Reduce, root: usize) -> ();
    /// [`Rank::broadcast`].
    broadcast<T>(values: &mut [T], root: usize) -> ();
    /// [`Rank::all_gather`].
    all_gather<T>(values: &[T]) -> Vec<Vec<T>>;
    /// [`Rank::reduce_scatter`].
    reduce_scatter<T>(values: &[T], how: Reduce) -> Vec<T>;
    /// [`Rank::receive`].
    receive<T>(from: usize) -> Vec<T>;
}

impl BlockingRank<'_> {
    /// [`Rank::send`].
    ///
    /// # Errors
    ///
    /// As [`Rank::send`].
    pub fn send<T: Numeric>(&self, values: &[T], to: usize) -> Result<()> {
        self.0.send(values, to)
    }
}
