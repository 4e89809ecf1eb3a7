//! Collective operations on Arrow arrays. What is only passed on is shared, not copied.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_schema::DataType;
use trefoil_core::{Error, ErrorKind, Result};

use super::numeric::{Numeric, Reduce};
use super::rank::{BlockingRank, Rank, wait};
use super::round::{Item, Operation};

fn array(item: &Item, operation: &'static str) -> Result<ArrayRef> {
    item.downcast_ref::<ArrayRef>().cloned().ok_or_else(|| {
        Error::new(ErrorKind::TypeMismatch, operation, "the other rank sent something else than an array")
    })
}

impl Rank {
    /// Everyone's array, in the order of ranks; they are shared, not copied, and may differ in type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::GroupBroken`].
    pub async fn all_gather_array(&mut self, values: ArrayRef) -> Result<Vec<ArrayRef>> {
        let operation = Operation { element: "array", ..Operation::new("all_gather_array") };
        let all = self.exchange(operation, Arc::new(values)).await?;
        all.iter().map(|item| array(item, "all_gather_array")).collect()
    }

    /// The array of `root`, shared with every rank; the others give none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if there is no such rank or the root gives no array,
    /// [`ErrorKind::GroupBroken`].
    pub async fn broadcast_array(&mut self, values: Option<ArrayRef>, root: usize) -> Result<ArrayRef> {
        self.check_rank("broadcast_array", root)?;
        let operation = Operation {
            element: "array",
            detail: format!("from {root}"),
            ..Operation::new("broadcast_array")
        };
        let item: Item = match values {
            Some(values) if self.rank() == root => Arc::new(values),
            _ => Arc::new(()),
        };
        let all = self.exchange(operation, item).await?;
        all[root].downcast_ref::<ArrayRef>().cloned().ok_or_else(|| {
            let message = format!("rank {root} is the root and gave no array");
            Error::new(ErrorKind::InvalidArgument, "broadcast_array", message)
        })
    }

    /// Combines an array of numbers without nulls of all ranks, element by element.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] for an array that holds other things than numbers,
    /// [`ErrorKind::InvalidArgument`] for one with nulls, else as [`Rank::all_reduce`]. The first two do not
    /// take part in the operation, so the group breaks if other ranks do.
    pub async fn all_reduce_array(&mut self, values: &dyn Array, how: Reduce) -> Result<ArrayRef> {
        if values.null_count() > 0 {
            let message = format!("{} values are null", values.null_count());
            return Err(Error::new(ErrorKind::InvalidArgument, "all_reduce_array", message)
                .with_help("fill the nulls first, for example with zeros"));
        }
        match values.data_type() {
            DataType::Int8 => self.reduced_array::<Int8Type>(values, how).await,
            DataType::Int16 => self.reduced_array::<Int16Type>(values, how).await,
            DataType::Int32 => self.reduced_array::<Int32Type>(values, how).await,
            DataType::Int64 => self.reduced_array::<Int64Type>(values, how).await,
            DataType::UInt8 => self.reduced_array::<UInt8Type>(values, how).await,
            DataType::UInt16 => self.reduced_array::<UInt16Type>(values, how).await,
            DataType::UInt32 => self.reduced_array::<UInt32Type>(values, how).await,
            DataType::UInt64 => self.reduced_array::<UInt64Type>(values, how).await,
            DataType::Float16 => self.reduced_array::<Float16Type>(values, how).await,
            DataType::Float32 => self.reduced_array::<Float32Type>(values, how).await,
            DataType::Float64 => self.reduced_array::<Float64Type>(values, how).await,
            other => {
                let message = format!("cannot reduce an array of type {other}");
                Err(Error::new(ErrorKind::TypeMismatch, "all_reduce_array", message)
                    .with_help("reduce arrays of whole or floating-point numbers"))
            }
        }
    }

    async fn reduced_array<A>(&mut self, values: &dyn Array, how: Reduce) -> Result<ArrayRef>
    where
        A: ArrowPrimitiveType,
        A::Native: Numeric,
    {
        let Some(typed) = values.as_any().downcast_ref::<PrimitiveArray<A>>() else {
            return Err(Error::new(ErrorKind::Internal, "all_reduce_array", "an array of two types"));
        };
        let mut values = typed.values().to_vec();
        self.all_reduce(&mut values, how).await?;
        Ok(Arc::new(PrimitiveArray::<A>::from_iter_values(values)))
    }

    /// Sends an array to rank `to`; it is shared, not copied.
    ///
    /// # Errors
    ///
    /// As [`Rank::send`].
    pub fn send_array(&self, values: ArrayRef, to: usize) -> Result<()> {
        self.send_item(Arc::new(values), to)
    }

    /// The next array that rank `from` sent to this one.
    ///
    /// # Errors
    ///
    /// As [`Rank::receive`].
    pub async fn receive_array(&mut self, from: usize) -> Result<ArrayRef> {
        array(&self.receive_item(from).await?, "receive_array")
    }
}

impl BlockingRank<'_> {
    /// [`Rank::all_gather_array`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn all_gather_array(&mut self, values: ArrayRef) -> Result<Vec<ArrayRef>> {
        wait(self.0.all_gather_array(values))
    }

    /// [`Rank::broadcast_array`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn broadcast_array(&mut self, values: Option<ArrayRef>, root: usize) -> Result<ArrayRef> {
        wait(self.0.broadcast_array(values, root))
    }

    /// [`Rank::all_reduce_array`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn all_reduce_array(&mut self, values: &dyn Array, how: Reduce) -> Result<ArrayRef> {
        wait(self.0.all_reduce_array(values, how))
    }

    /// [`Rank::send_array`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_array(&self, values: ArrayRef, to: usize) -> Result<()> {
        self.0.send_array(values, to)
    }

    /// [`Rank::receive_array`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_array(&mut self, from: usize) -> Result<ArrayRef> {
        wait(self.0.receive_array(from))
    }
}
