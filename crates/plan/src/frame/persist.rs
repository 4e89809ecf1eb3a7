//! Keeping a computed frame in the engine's store, and its partitions as refs.

use super::DataFrame;
use super::bytes::{compact, new_bytes};
use super::origin::{Origin, repeatable, streams};
use crate::stored::{Divisions, StoredTable};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::source_as_provider;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use futures::StreamExt;
use std::any::Any;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use tokio::task::{JoinSet, yield_now};
use trefoil_core::{Dataset, Engine, Error, ErrorKind, Partition, Ref, Result};

/// A partition that grows past this many bytes is stored and a next one begun, so that a large result is
/// charged, and can be spilled, while it is being computed. With a small budget it is a 32nd of that: what
/// is being gathered, and what of a spilled partition is mapped while it is read, is then small beside it.
const PARTITION_BYTES: usize = 64 << 20;
const LEAST_PARTITION_BYTES: usize = 1 << 20;

impl DataFrame {
    /// Computes the frame and keeps its partitions in the engine's store: charged to the budget, spilled to
    /// disk when memory is short, freed with the last frame or ref that holds them.
    ///
    /// The frame that comes back scans them without a copy. A partition whose spill file is lost or damaged
    /// is computed again from the files and tables the frame was made of, if those still give the same rows;
    /// otherwise the error is of kind [`ErrorKind::DataLost`].
    ///
    /// # Errors
    /// As [`DataFrame::collect`].
    ///
    /// ```
    /// use trefoil_plan::Session;
    ///
    /// let session = Session::local()?;
    /// session.block_on(async {
    ///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?.persist().await?;
    ///     let rows: usize =
    ///         session.gather(diamonds.partitions()?).await?.iter().map(|part| part.num_rows()).sum();
    ///     assert_eq!(rows, 53_940);
    ///     Ok::<(), trefoil_plan::Error>(())
    /// })?;
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub async fn persist(&self) -> Result<DataFrame> {
        if self.stored().is_some() {
            return Ok(self.clone());
        }
        let partitions = self.store("persist").await?;
        self.session().frame_from_stored("persist", StoredTable::new(self.schema(), partitions))
    }

    /// Computes the frame into partitions of the store.
    pub(crate) async fn store(&self, operation: &'static str) -> Result<Vec<Partition>> {
        let engine = self.session().engine().clone();
        let schema = self.schema();
        self.run(operation, move |frame| {
            let (engine, schema) = (engine.clone(), schema.clone());
            async move {
                let frame = repeatable(frame);
                let streams = streams(&frame).await?;
                let origin = Origin::new(&engine, frame);
                store_all(&engine, &schema, streams, &origin).await
            }
        })
        .await
    }

    /// The partitions of a persisted frame, ready to be arguments of tasks. Nothing is copied.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when the frame is not persisted.
    pub fn partitions(&self) -> Result<Vec<Ref<Partition>>> {
        match self.stored() {
            Some(table) => Ok(table.partitions().iter().cloned().map(Ref::ready).collect()),
            None => Err(Error::new(
                ErrorKind::InvalidArgument,
                "partitions",
                "the frame is lazy, it has no partitions yet",
            )
            .with_help("call `persist().await` first, and take the partitions of the frame it gives")),
        }
    }

    /// The schema and partitions of a persisted frame.
    ///
    /// # Errors
    /// As [`DataFrame::partitions`].
    pub fn dataset(&self) -> Result<Dataset> {
        Ok(Dataset::new(self.schema(), self.partitions()?))
    }

    /// How the partitions follow one another, of a persisted frame for which it is known.
    pub fn divided(&self) -> Option<Divisions> {
        self.stored()?.divisions().cloned()
    }

    /// The stored table, if the frame is nothing but its scan.
    pub(crate) fn stored(&self) -> Option<StoredTable> {
        let LogicalPlan::TableScan(scan) = self.inner().logical_plan() else {
            return None;
        };
        if scan.projection.is_some() || !scan.filters.is_empty() || scan.fetch.is_some() {
            return None;
        }
        let provider = source_as_provider(&scan.source).ok()?;
        let provider: &dyn TableProvider = provider.as_ref();
        (provider as &dyn Any).downcast_ref::<StoredTable>().cloned()
    }
}

/// Reads all streams at once and stores what they give, in the order of the streams.
async fn store_all(
    engine: &Engine,
    schema: &SchemaRef,
    streams: Vec<SendableRecordBatchStream>,
    origin: &Arc<Origin>,
) -> PlanResult<Vec<Partition>> {
    let mut readers = JoinSet::new();
    for (index, stream) in streams.into_iter().enumerate() {
        let (engine, schema, origin) = (engine.clone(), schema.clone(), Arc::clone(origin));
        readers.spawn(async move { (index, store_one(&engine, &schema, stream, index, &origin).await) });
    }
    let mut stored: Vec<(usize, Vec<Partition>)> = Vec::new();
    while let Some(done) = readers.join_next().await {
        let (index, partitions) = done.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        stored.push((index, partitions?));
    }
    stored.sort_by_key(|(index, _)| *index);
    let mut partitions: Vec<Partition> = stored.into_iter().flat_map(|(_, parts)| parts).collect();
    if partitions.is_empty() {
        partitions.push(engine.put_batches(schema.clone(), Vec::new()).map_err(to_plan)?);
    }
    Ok(partitions)
}

async fn store_one(
    engine: &Engine,
    schema: &SchemaRef,
    mut stream: SendableRecordBatchStream,
    index: usize,
    origin: &Arc<Origin>,
) -> PlanResult<Vec<Partition>> {
    let mut gathering = Gathering::new(engine, schema.clone());
    gathering.origin = Some((Arc::clone(origin), index));
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        // A cancelled query stops at the next batch, even if its operators always have one ready.
        yield_now().await;
        gathering.add(batch)?;
    }
    gathering.finish()
}

/// Batches on their way to the store, partition by partition.
pub(crate) struct Gathering {
    engine: Engine,
    schema: SchemaRef,
    /// The plan the rows come from and which of its streams, if they can be computed again.
    origin: Option<(Arc<Origin>, usize)>,
    limit: usize,
    batches: Vec<RecordBatch>,
    bytes: usize,
    seen: HashSet<usize>,
    /// Of the stream, those in `batches`.
    rows: Range<usize>,
    partitions: Vec<Partition>,
}

impl Gathering {
    pub(crate) fn new(engine: &Engine, schema: SchemaRef) -> Self {
        Self {
            limit: (engine.budget().limit() / 32).clamp(LEAST_PARTITION_BYTES, PARTITION_BYTES),
            engine: engine.clone(),
            schema,
            origin: None,
            batches: Vec::new(),
            bytes: 0,
            seen: HashSet::new(),
            rows: 0..0,
            partitions: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, batch: RecordBatch) -> PlanResult<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = compact(batch)?;
        // Operators hand out slices of one large batch; those belong in one partition.
        self.bytes += new_bytes(&batch, &mut self.seen);
        self.rows.end += batch.num_rows();
        self.batches.push(batch);
        if self.bytes >= self.limit { self.put() } else { Ok(()) }
    }

    fn put(&mut self) -> PlanResult<()> {
        let batches = std::mem::take(&mut self.batches);
        let stored = match &self.origin {
            Some((origin, stream)) => {
                let lineage = origin.lineage(*stream, self.rows.clone(), &batches)?;
                self.engine.put_batches_with(self.schema.clone(), batches, lineage)
            }
            None => self.engine.put_batches(self.schema.clone(), batches),
        };
        self.partitions.push(stored.map_err(to_plan)?);
        self.rows.start = self.rows.end;
        self.bytes = 0;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> PlanResult<Vec<Partition>> {
        if !self.batches.is_empty() {
            self.put()?;
        }
        Ok(self.partitions)
    }
}

fn to_plan(error: Error) -> DataFusionError {
    match error.kind() {
        ErrorKind::OutOfMemory => DataFusionError::ResourcesExhausted(error.message().to_owned()),
        _ => DataFusionError::External(Box::new(error)),
    }
}
