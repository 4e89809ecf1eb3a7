//! What an engine does with its store: putting partitions and values, and running calls whose partitions
//! can be computed again.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sizes::walked_bytes;
use super::{CONSUMER, Lineage, Stored};
use crate::data::{Partition, check_schema};
use crate::engine::Engine;
use crate::error::Result;
use crate::graph::{Arg, Call, TaskSpec};
use crate::memory::known_heap_bytes;
use crate::refs::Ref;
use crate::runtime::shut_down;

impl Engine {
    /// Stores record batches as one partition, charged to the budget and spilled to disk when memory is
    /// short. Nothing is copied; buffers that several partitions share are charged once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`](crate::ErrorKind::TypeMismatch) if a batch has other columns than `schema`; [`ErrorKind::Io`](crate::ErrorKind::Io) if the
    /// batches fit neither in memory nor on disk; [`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown).
    pub fn put_batches(&self, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Partition> {
        self.check_up()?;
        check_schema(&schema, &batches)?;
        self.store().put(schema, batches, None).map(Partition::stored)
    }

    /// Stores record batches as [`Engine::put_batches`] does, with a way to compute them again: a partition
    /// whose spill file is lost or damaged then comes back instead of failing with
    /// [`ErrorKind::DataLost`](crate::ErrorKind::DataLost).
    ///
    /// # Errors
    ///
    /// As [`Engine::put_batches`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    /// use trefoil_core::{Engine, Lineage};
    ///
    /// let make = || {
    ///     let numbers = Arc::new(Int64Array::from_iter_values(0..1000)) as ArrayRef;
    ///     RecordBatch::try_from_iter([("n", numbers)]).map(|batch| vec![batch]).map_err(trefoil_core::Error::user)
    /// };
    /// let engine = Engine::new()?;
    /// let batches = make()?;
    /// let partition = engine.put_batches_with(batches[0].schema(), batches, Lineage::new(make))?;
    /// engine.store().spill(usize::MAX);
    /// for file in std::fs::read_dir(engine.spill_dir()).map_err(trefoil_core::Error::user)? {
    ///     std::fs::remove_file(file.map_err(trefoil_core::Error::user)?.path()).map_err(trefoil_core::Error::user)?;
    /// }
    /// assert_eq!(partition.batches()?[0].num_rows(), 1000);
    /// assert_eq!(engine.store().recompute_count(), 1);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn put_batches_with(
        &self,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        lineage: Lineage,
    ) -> Result<Partition> {
        self.check_up()?;
        check_schema(&schema, &batches)?;
        self.store().put(schema, batches, Some(lineage)).map(Partition::stored)
    }

    /// Starts a call and keeps the partition it gives in the store, together with the call: if the data is
    /// lost, the call and what it needs run again. The call's arguments live as long as the partition.
    ///
    /// The call must give the same rows each time.
    pub fn spawn_stored(&self, call: Call<Partition>) -> Ref<Partition> {
        let engine = self.downgrade();
        let again = call.clone();
        let begin = Instant::now();
        // The time from the start to the result; with other work beside it that is more than computing again
        // would take, so a partition is rather spilled than dropped.
        let keep = Call::new(TaskSpec::new("store"), (Arg::Call(call),), move |(made,)| {
            let made: Partition = made.into_owned();
            let running = engine.upgrade().ok_or_else(shut_down)?;
            let (engine, again) = (engine.clone(), again.clone());
            let lineage = Lineage::new(move || {
                let engine = engine.upgrade().ok_or_else(shut_down)?;
                let made = engine.spawn(again.clone()).get_value()?;
                made.batches().map(|batches| batches.to_vec())
            });
            let lineage = lineage.takes(begin.elapsed());
            // An entry of its own, over the same buffers: the one the call gave may be what the call was
            // given, and a partition that holds itself is never freed.
            let batches = made.batches()?.to_vec();
            running.put_batches_with(Arc::clone(made.schema()), batches, lineage)
        });
        self.spawn(keep)
    }

    /// Stores a value that may be spilled to disk when memory is short, and is read back when it is asked
    /// for. Its size is found by walking it, exact up to spare capacity and padding.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory) if the budget cannot hold it, [`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown).
    ///
    /// # Examples
    ///
    /// ```
    /// use trefoil_core::Engine;
    ///
    /// let engine = Engine::builder().memory("1MiB").build()?;
    /// let vectors = (0..8).map(|i| engine.put_spillable(vec![i; 100_000])).collect::<Result<Vec<_>, _>>()?;
    /// assert!(vectors[0].is_spilled(), "three megabytes do not fit into one");
    /// assert_eq!(vectors[0].load()?[99_999], 0);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn put_spillable<T>(&self, value: T) -> Result<Stored<T>>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let heap = match known_heap_bytes(&value) {
            0 => walked_bytes(&value).map_or(0, |all| all.saturating_sub(size_of::<T>())),
            known => known,
        };
        self.put_spillable_sized(value, heap)
    }

    /// Stores a value as [`Engine::put_spillable`] does, charging `heap` bytes besides its own size.
    ///
    /// # Errors
    ///
    /// As [`Engine::put_spillable`].
    pub fn put_spillable_sized<T>(&self, value: T, heap: usize) -> Result<Stored<T>>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.check_up()?;
        let bytes = size_of::<T>().saturating_add(heap);
        self.budget().try_grow(CONSUMER, bytes)?;
        Ok(Stored::new(&self.store().0, value, bytes))
    }
}
