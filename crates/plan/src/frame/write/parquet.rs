//! One Parquet file by all workers: while rows are gathered for a row group, the columns of those before it are encoded,
//! each by a task of its own, and written in their order.
//!
//! A row group has rows of one partition, where those are enough: a file that was read by several workers in parts, and was
//! in some order, keeps row groups of narrow ranges, by which readers leave them out.
//!
//! What is gathered and not yet written is charged to the budget. When that is refused, the row groups that are under
//! way are finished first, and if there are none, what was gathered is a row group, however small.

use super::file::parquet_properties;
use crate::frame::new_bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use datafusion::parquet::file::writer::SerializedFileWriter;
use futures::StreamExt;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, yield_now};

/// Rows of a row group; what readers expect.
const GROUP_ROWS: usize = 1 << 20;
/// Rows of a partition's end that are a row group of their own. Fewer are put together with the ends of others.
const OWN_ROWS: usize = GROUP_ROWS / 4;
/// Rows that are gathered, of all partitions; more, and the largest part is a row group.
const MOST_ROWS: usize = 4 * GROUP_ROWS;
/// Row groups that are encoded at once, so that nobody waits for the last column of one.
const UNDER_WAY: usize = 2;
/// The least bytes of a row group, whatever the budget.
const LEAST_BYTES: usize = 1 << 20;

/// Writes the rows of the partitions of a plan to a new file; gives their number.
pub(super) async fn file(
    path: &Path,
    schema: SchemaRef,
    streams: Vec<SendableRecordBatchStream>,
    context: &TaskContext,
) -> PlanResult<usize> {
    let pool = context.memory_pool();
    let group_bytes = match pool.memory_limit() {
        MemoryLimit::Finite(bytes) => (bytes / 8).max(LEAST_BYTES),
        _ => usize::MAX,
    };
    let out = BufWriter::new(File::create(path)?);
    let writer = ArrowWriter::try_new(out, schema.clone(), Some(parquet_properties()))?;
    let (writer, factory) = writer.into_serialized_writer()?;
    let account = MemoryConsumer::new("ParquetWriter").register(pool);
    let mut groups = Groups { schema, writer, factory, begun: 0, under_way: VecDeque::new() };
    // One for each partition, and one for what partitions end with.
    let mut parts: Vec<Gathered> = (0..=streams.len()).map(|_| Gathered::new(&account)).collect();
    let rest = streams.len();
    let mut rows = 0;
    let mut read = Read::of(streams);
    while let Some((from, batch)) = read.next().await {
        let Some(batch) = batch else {
            // Few rows are no row group of their own.
            let ended = std::mem::replace(&mut parts[from], Gathered::new(&account));
            if ended.rows >= OWN_ROWS {
                groups.begin(ended).await?;
            } else {
                parts[rest].append(ended);
                if parts[rest].rows >= OWN_ROWS {
                    groups.begin(std::mem::replace(&mut parts[rest], Gathered::new(&account))).await?;
                }
            }
            continue;
        };
        let mut batch = batch?;
        rows += batch.num_rows();
        // A cancelled query stops at the next batch, even if its operators always have one ready.
        yield_now().await;
        while batch.num_rows() > 0 {
            let fits = batch.num_rows().min(GROUP_ROWS - parts[from].rows);
            let first = batch.slice(0, fits);
            batch = batch.slice(fits, batch.num_rows() - fits);
            let mut bytes = new_bytes(&first, &mut parts[from].seen);
            while parts[from].held.try_grow(bytes).is_err() {
                if !groups.finish_one().await? {
                    // nothing else gives memory back
                    let most = largest(&parts);
                    if parts[most].rows > 0 {
                        groups.begin(std::mem::replace(&mut parts[most], Gathered::new(&account))).await?;
                        groups.finish_one().await?;
                        if most == from {
                            bytes = new_bytes(&first, &mut parts[from].seen);
                        }
                        continue;
                    }
                    // one batch there must be
                    break;
                }
            }
            parts[from].push(first);
            let gathered: usize = parts.iter().map(|part| part.rows).sum();
            let held: usize = parts.iter().map(|part| part.held.size()).sum();
            let ready = if parts[from].rows == GROUP_ROWS || parts[from].held.size() >= group_bytes {
                from
            } else if gathered >= MOST_ROWS || held >= 2 * group_bytes {
                largest(&parts)
            } else {
                continue;
            };
            groups.begin(std::mem::replace(&mut parts[ready], Gathered::new(&account))).await?;
        }
    }
    read.end().await?;
    for part in parts {
        groups.begin(part).await?;
    }
    while groups.finish_one().await? {}
    groups.writer.into_inner()?.flush()?;
    Ok(rows)
}

/// The one with the most rows.
fn largest(parts: &[Gathered]) -> usize {
    (0..parts.len()).max_by_key(|at| parts[*at].rows).unwrap_or(0)
}

/// The batches of several streams as they come, each with the place of its stream; none where that has ended.
struct Read {
    batches: mpsc::Receiver<(usize, Option<PlanResult<RecordBatch>>)>,
    // stopped when this is dropped
    readers: JoinSet<()>,
}

impl Read {
    fn of(streams: Vec<SendableRecordBatchStream>) -> Self {
        let (sender, batches) = mpsc::channel(streams.len().max(1));
        let mut readers = JoinSet::new();
        for (from, mut stream) in streams.into_iter().enumerate() {
            let sender = sender.clone();
            readers.spawn(async move {
                while let Some(batch) = stream.next().await {
                    if sender.send((from, Some(batch))).await.is_err() {
                        return;
                    }
                }
                // who does not wait for it needs it no more
                let _ = sender.send((from, None)).await;
            });
        }
        Self { batches, readers }
    }

    async fn next(&mut self) -> Option<(usize, Option<PlanResult<RecordBatch>>)> {
        self.batches.recv().await
    }

    /// A reader that panicked has sent no end.
    async fn end(mut self) -> PlanResult<()> {
        while let Some(done) = self.readers.join_next().await {
            done.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        }
        Ok(())
    }
}

/// Rows of the next row group.
struct Gathered {
    batches: Vec<RecordBatch>,
    rows: usize,
    seen: HashSet<usize>,
    held: MemoryReservation,
}

impl Gathered {
    fn new(account: &MemoryReservation) -> Self {
        Self { batches: Vec::new(), rows: 0, seen: HashSet::new(), held: account.new_empty() }
    }

    fn append(&mut self, other: Gathered) {
        let Gathered { batches, rows, seen, held } = other;
        self.rows += rows;
        self.batches.extend(batches);
        self.seen.extend(seen);
        self.held.grow(held.free());
    }

    fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.batches.push(batch);
    }
}

/// The columns of a row group that are being encoded, and what is charged for the group.
struct Group {
    columns: Vec<SpawnedTask<PlanResult<Vec<ArrowColumnChunk>>>>,
    _held: MemoryReservation,
}

struct Groups {
    schema: SchemaRef,
    writer: SerializedFileWriter<BufWriter<File>>,
    factory: ArrowRowGroupWriterFactory,
    begun: usize,
    under_way: VecDeque<Group>,
}

impl Groups {
    /// Begins to encode a row group.
    async fn begin(&mut self, gathered: Gathered) -> PlanResult<()> {
        if gathered.rows == 0 {
            return Ok(());
        }
        while self.under_way.len() >= UNDER_WAY {
            self.finish_one().await?;
        }
        let mut writers = self.factory.create_column_writers(self.begun)?.into_iter();
        self.begun += 1;
        let mut columns = Vec::new();
        for (at, field) in self.schema.fields().iter().enumerate() {
            let arrays: Vec<ArrayRef> =
                gathered.batches.iter().map(|batch| batch.column(at).clone()).collect();
            // a nested column is several in the file
            let leaves = match arrays.first() {
                Some(first) => compute_leaves(field, &first.slice(0, 0))?.len(),
                None => 0,
            };
            let writers: Vec<ArrowColumnWriter> = writers.by_ref().take(leaves).collect();
            columns.push(SpawnedTask::spawn(encode(field.clone(), arrays, writers)));
        }
        self.under_way.push_back(Group { columns, _held: gathered.held });
        Ok(())
    }

    /// Writes the oldest row group when it is encoded; whether there was one.
    async fn finish_one(&mut self) -> PlanResult<bool> {
        let Some(group) = self.under_way.pop_front() else { return Ok(false) };
        let mut chunks = Vec::new();
        for column in group.columns {
            let encoded = column.join().await.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))?;
            chunks.extend(encoded?);
        }
        let mut out = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut out)?;
        }
        out.close()?;
        Ok(true)
    }
}

async fn encode(
    field: FieldRef,
    arrays: Vec<ArrayRef>,
    mut writers: Vec<ArrowColumnWriter>,
) -> PlanResult<Vec<ArrowColumnChunk>> {
    for array in arrays {
        for (writer, leaf) in writers.iter_mut().zip(compute_leaves(&field, &array)?) {
            writer.write(&leaf)?;
        }
        // a cancelled query stops here
        yield_now().await;
    }
    Ok(writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{AsArray, Int64Array, ListArray, StringArray, StructArray};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use std::sync::Arc;

    /// Plain, nested, and text columns with nulls.
    fn batch(from: i64, rows: usize) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows as i64));
        let texts = (0..rows).map(|row| (row % 5 > 0).then(|| format!("text {}", (row * 7919) % 1000)));
        let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
        let lists = (0..rows).map(|row| (row % 3 > 0).then(|| vec![Some(row as i64); row % 4]));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        let pair: ArrayRef = Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("a", DataType::Int64, true)), numbers.clone()),
            (Arc::new(Field::new("b", DataType::Utf8, true)), texts.clone()),
        ]));
        let columns = [("n", numbers), ("t", texts), ("l", lists), ("p", pair)];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    }

    async fn check(batches: Vec<RecordBatch>, memory: usize) -> usize {
        let (written, wanted, groups) = write(vec![batches], memory).await;
        assert_eq!(written, wanted);
        groups
    }

    /// What is read again, what was to be written, and the number of row groups.
    async fn write(parts: Vec<Vec<RecordBatch>>, memory: usize) -> (RecordBatch, RecordBatch, usize) {
        let schema = parts[0][0].schema();
        let pool = Arc::new(GreedyMemoryPool::new(memory));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool.clone()).build_arc().unwrap();
        let context = TaskContext::default().with_runtime(runtime);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        let stream = |batches: &Vec<RecordBatch>| {
            let rows = futures::stream::iter(batches.clone().into_iter().map(Ok));
            Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows)) as SendableRecordBatchStream
        };
        let streams = parts.iter().map(stream).collect();
        let written = file(&path, schema.clone(), streams, &context).await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let groups = reader.metadata().num_row_groups();
        let back: Vec<RecordBatch> = reader.build().unwrap().collect::<Result<_, _>>().unwrap();
        let back = concat_batches(&schema, &back).unwrap();
        let wanted = concat_batches(&schema, parts.iter().flatten()).unwrap();
        assert_eq!(written, wanted.num_rows());
        assert_eq!(datafusion::execution::memory_pool::MemoryPool::reserved(&*pool), 0);
        (back, wanted, groups)
    }

    #[tokio::test]
    async fn what_is_written_is_read_again() {
        let many = || (0..20).map(|at| batch(at * 1000, 1000)).collect::<Vec<_>>();
        assert_eq!(check(vec![batch(0, 0)], 1 << 30).await, 0);
        assert_eq!(check(vec![batch(0, 10), batch(10, 0), batch(10, 1)], 1 << 30).await, 1);
        assert_eq!(check(many(), 1 << 30).await, 1);
        // with little memory there are more row groups, with none each batch is one
        assert!((2..20).contains(&check(many(), 1 << 18).await));
        assert_eq!(check(many(), 1).await, 20);
    }

    fn numbers(from: i64, rows: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows as i64));
        RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
    }

    #[tokio::test]
    async fn groups_are_cut_at_their_size() {
        assert_eq!(check(vec![numbers(0, GROUP_ROWS)], 1 << 30).await, 1);
        assert_eq!(check(vec![numbers(0, 3), numbers(3, GROUP_ROWS * 2)], 1 << 30).await, 3);
    }

    #[tokio::test]
    async fn groups_have_rows_of_one_partition() {
        // Partitions of `rows` rows each, the values of one before those of the next.
        let check = async |partitions: usize, rows: usize, memory: usize, expect: usize| {
            const STEP: usize = 10_000;
            let part = |part: usize| {
                let first = (0..rows).step_by(STEP);
                first.map(|at| numbers((part * rows + at) as i64, STEP.min(rows - at))).collect()
            };
            let (back, wanted, groups) = write((0..partitions).map(part).collect(), memory).await;
            assert_eq!(groups, expect, "{partitions} of {rows}");
            let back = back.column(0).as_primitive::<Int64Type>().values();
            let breaks = back.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
            assert!(breaks <= groups.max(partitions), "{breaks} breaks in {groups} groups");
            let mut back = back.to_vec();
            back.sort_unstable();
            assert_eq!(back, *wanted.column(0).as_primitive::<Int64Type>().values());
        };
        check(2, GROUP_ROWS, 1 << 30, 2).await;
        check(2, GROUP_ROWS + OWN_ROWS, 1 << 30, 4).await;
        check(3, OWN_ROWS, 1 << 30, 3).await;
        // Small ones are put together.
        check(8, 1000, 1 << 30, 1).await;
        check(6, OWN_ROWS / 2, 1 << 30, 3).await;
    }
}
