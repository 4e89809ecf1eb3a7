//! A partition: an immutable slice of a table, the unit of placement, spilling and recovery.

use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Entry, address, each};

/// Record batches in memory. While a clone of this lives, they stay there.
#[derive(Clone)]
pub struct Batches(pub(crate) Arc<Vec<RecordBatch>>);

impl Batches {
    /// Whether nobody else holds these batches or their columns, so that dropping them frees memory.
    pub(crate) fn is_unshared(&self) -> bool {
        Arc::strong_count(&self.0) == 1
            && self.0.iter().all(|batch| batch.columns().iter().all(|column| Arc::strong_count(column) == 1))
    }
}

impl Deref for Batches {
    type Target = [RecordBatch];

    fn deref(&self) -> &[RecordBatch] {
        &self.0
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batches({})", self.len())
    }
}

#[derive(Clone)]
enum Held {
    /// Owned by whoever holds the handle; not charged, never spilled.
    Loose { schema: SchemaRef, batches: Batches },
    /// In an engine's store.
    Stored(Arc<Entry>),
}

/// A slice of a table. Cloning it copies a pointer, never data.
///
/// A stored partition ([`Engine::put_batches`](crate::Engine::put_batches)) is charged to the engine's
/// memory budget and may be on disk; [`Partition::batches`] brings it back. A loose one is the caller's.
#[derive(Clone)]
pub struct Partition(Held);

impl Partition {
    pub(crate) fn stored(entry: Arc<Entry>) -> Self {
        Self(Held::Stored(entry))
    }

    /// A loose partition of these batches: outside any store and budget.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] if a batch has other columns than `schema`.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Self> {
        check_schema(&schema, &batches)?;
        Ok(Self(Held::Loose { schema, batches: Batches(Arc::new(batches)) }))
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        match &self.0 {
            Held::Loose { schema, .. } => schema,
            Held::Stored(entry) => &entry.schema,
        }
    }

    /// The number of rows, known without loading.
    pub fn num_rows(&self) -> usize {
        match &self.0 {
            Held::Loose { batches, .. } => batches.iter().map(RecordBatch::num_rows).sum(),
            Held::Stored(entry) => entry.rows,
        }
    }

    /// Bytes of memory the data takes when loaded; buffers shared by several columns count once.
    pub fn memory_bytes(&self) -> usize {
        match &self.0 {
            Held::Loose { batches, .. } => unique_bytes(batches),
            Held::Stored(entry) => entry.bytes,
        }
    }

    /// Whether the data is on disk now.
    pub fn is_spilled(&self) -> bool {
        match &self.0 {
            Held::Loose { .. } => false,
            Held::Stored(entry) => entry.is_spilled(),
        }
    }

    /// Whether the partition is in an engine's store.
    pub fn is_stored(&self) -> bool {
        matches!(self.0, Held::Stored(_))
    }

    /// The data; read back by mapping its file if it was spilled, computed again if it was lost and came
    /// from a call or a query.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DataLost`] if the spill file is gone or damaged and the data cannot be computed again.
    pub fn batches(&self) -> Result<Batches> {
        match &self.0 {
            Held::Loose { batches, .. } => Ok(batches.clone()),
            Held::Stored(entry) => entry.batches(),
        }
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (self.is_stored(), self.is_spilled()) {
            (false, _) => "loose",
            (true, false) => "stored",
            (true, true) => "spilled",
        };
        let columns = self.schema().fields().len();
        write!(f, "Partition({} rows x {columns} columns, {place})", self.num_rows())
    }
}

impl Serialize for Partition {
    /// As an Arrow IPC stream, so only when it leaves the process.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let batches = self.batches().map_err(S::Error::custom)?;
        let encode = || -> Result<Vec<u8>, ArrowError> {
            let mut writer = StreamWriter::try_new(Vec::new(), self.schema())?;
            for batch in batches.iter() {
                writer.write(batch)?;
            }
            writer.finish()?;
            writer.into_inner()
        };
        serializer.serialize_bytes(&encode().map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let bytes = bytes::Bytes::deserialize(deserializer)?;
        let reader = StreamReader::try_new(&*bytes, None).map_err(D::Error::custom)?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(D::Error::custom)?;
        Partition::from_batches(schema, batches).map_err(D::Error::custom)
    }
}

/// All batches must have the columns of `schema` (names, types, order).
pub(crate) fn check_schema(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
    for (index, batch) in batches.iter().enumerate() {
        let same =
            batch.schema_ref() == schema
                || (batch.num_columns() == schema.fields().len()
                    && batch.schema_ref().fields().iter().zip(schema.fields()).all(|(have, want)| {
                        have.name() == want.name() && have.data_type() == want.data_type()
                    }));
        if !same {
            return Err(Error::new(
                ErrorKind::TypeMismatch,
                "partition",
                format!(
                    "batch {index} has columns {:?}, expected {:?}",
                    names(batch.schema_ref()),
                    names(schema)
                ),
            ));
        }
    }
    Ok(())
}

fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect()
}

/// Bytes held by the batches, each buffer counted once however many columns or slices share it.
pub(crate) fn unique_bytes(batches: &[RecordBatch]) -> usize {
    let (mut seen, mut total) = (HashSet::new(), 0);
    each(batches, &mut |buffer| {
        if seen.insert(address(buffer)) {
            total += buffer.capacity();
        }
    });
    total
}
