//! How a frame is cut into partitions, and Rust code that sees more than one of them.
//!
//! All of this works on partitions in the store, in their order: the frame is persisted first (which is free
//! if it is already), and what comes back is persisted too.

use super::check::{self, invalid};
use super::expr::asc;
use super::{partitions, rows};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::{SortOptions, concat_batches, partition as partition_rows};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use std::sync::Arc;
use trefoil_core::{Call, Error, ErrorKind, Partition, Ref, parse_bytes};
use trefoil_plan::{DataFrame, DivisionKey, Result, plan_error};

/// How to cut a frame; for [`repartition`](super::FrameReports::repartition).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Partitions {
    /// So many, of about the same number of rows, in the order of the frame. Dask: `npartitions=`.
    Count(usize),
    /// Of so many rows at most, in the order of the frame.
    Rows(usize),
    /// Of about so many bytes, such as `"64MiB"`, in the order of the frame. Dask: `partition_size=`.
    Size(String),
    /// So many, rows with equal values in these columns together. Dask: `shuffle(on=..., npartitions=...)`.
    Key(Vec<String>, usize),
    /// So many at most, sorted by these columns, equal values together. Where each begins is then known: sorts
    /// by these columns, groups and joins over them cost less, filters pass partitions over.
    /// Dask: `set_index(...)`.
    Sorted(Vec<String>, usize),
    /// As it is, if it is sorted by these columns (nulls last), which is looked at and then known.
    /// Dask: `set_index(..., sorted=True)`.
    Known(Vec<String>),
    /// Sorted by these columns and cut where another frame with known divisions is, whose keys have the same
    /// types: the two are then joined partition by partition. Dask: `repartition(divisions=other.divisions)`.
    Like(Vec<String>, Box<DataFrame>),
    /// Sorted by these columns and cut at these values, one per column and split, in rising order.
    /// Dask: `repartition(divisions=...)`.
    At(Vec<String>, Vec<Vec<ScalarValue>>),
}

const OP: &str = "repartition";

pub(super) async fn repartition(frame: &DataFrame, how: Partitions) -> Result<DataFrame> {
    match how {
        Partitions::Count(count) => {
            some(count)?;
            let all = Pieces::of(frame).await?;
            let cuts = (1..count).map(|i| all.rows * i / count).collect();
            all.cut(frame, cuts).await
        }
        Partitions::Rows(each) => {
            some(each)?;
            let all = Pieces::of(frame).await?;
            let cuts = (each..all.rows).step_by(each).collect();
            all.cut(frame, cuts).await
        }
        Partitions::Size(text) => {
            let bytes = parse_bytes(&text)?;
            let all = Pieces::of(frame).await?;
            let count = all.bytes.div_ceil(bytes).max(1);
            let cuts = (1..count).map(|i| all.rows * i / count).collect();
            all.cut(frame, cuts).await
        }
        Partitions::Key(columns, count) => {
            some(count)?;
            let columns = check::list(OP, frame, columns)?;
            by_key(frame, columns, count).await
        }
        Partitions::Sorted(columns, count) => {
            some(count)?;
            let columns = check::list(OP, frame, columns)?;
            let sorted = rows::sort(OP, frame, columns.iter().map(asc))?;
            let all = Pieces::of(&sorted).await?;
            let cuts = all.cuts_between_keys(&columns, count)?;
            let parts = all.parts(frame, cuts)?;
            frame.session().frame_from_sorted(parts, keys_of(columns)).await
        }
        Partitions::Known(columns) => {
            let columns = check::list(OP, frame, columns)?;
            let all = Pieces::of(frame).await?;
            frame.session().frame_from_sorted(all.partitions, keys_of(columns)).await
        }
        Partitions::Like(columns, other) => {
            let Some(divisions) = other.divided() else {
                return Err(invalid(OP, "the other frame has no known divisions")
                    .with_help("give it some with `repartition(Partitions::Sorted(columns, n))`"));
            };
            at_splits(frame, columns, divisions.splits().to_vec()).await
        }
        Partitions::At(columns, splits) => at_splits(frame, columns, splits).await,
    }
}

/// Sorted as `sort` does it: rising, nulls last.
fn keys_of(columns: Vec<String>) -> Vec<DivisionKey> {
    let rising = SortOptions { descending: false, nulls_first: false };
    columns.into_iter().map(|name| (name, rising)).collect()
}

async fn at_splits(
    frame: &DataFrame,
    columns: Vec<String>,
    splits: Vec<Vec<ScalarValue>>,
) -> Result<DataFrame> {
    let columns = check::list(OP, frame, columns)?;
    if let Some(wrong) = splits.iter().find(|split| split.len() != columns.len()) {
        let text = format!("a split has {} values, there are {} columns", wrong.len(), columns.len());
        return Err(invalid(OP, text));
    }
    let sorted = rows::sort(OP, frame, columns.iter().map(asc))?;
    let all = Pieces::of(&sorted).await?;
    let cuts = all.cuts_at(&columns, &splits)?;
    let parts = all.parts(frame, cuts)?;
    frame.session().frame_from_divided(parts, keys_of(columns), splits).await
}

fn some(count: usize) -> Result<()> {
    if count > 0 { Ok(()) } else { Err(invalid(OP, "there is at least one partition, of at least one row")) }
}

/// The rows of a persisted frame, in order.
struct Pieces {
    schema: SchemaRef,
    partitions: Vec<Partition>,
    rows: usize,
    bytes: usize,
}

impl Pieces {
    async fn of(frame: &DataFrame) -> Result<Pieces> {
        let kept = frame.persist().await?;
        let partitions = frame.session().gather(kept.partitions()?).await?;
        Ok(Pieces {
            schema: kept.schema(),
            rows: partitions.iter().map(Partition::num_rows).sum(),
            bytes: partitions.iter().map(Partition::memory_bytes).sum(),
            partitions,
        })
    }

    /// The rows from `start` to `end`; of partitions that are taken whole nothing is copied.
    fn slice(&self, start: usize, end: usize) -> Result<Vec<RecordBatch>> {
        let mut found = Vec::new();
        let mut at = 0;
        for partition in &self.partitions {
            let next = at + partition.num_rows();
            if next > start && at < end {
                for batch in partition.batches()?.iter() {
                    let (from, to) =
                        (start.clamp(at, at + batch.num_rows()), end.clamp(at, at + batch.num_rows()));
                    if to - from == batch.num_rows() && to > from {
                        found.push(batch.clone());
                    } else if to > from {
                        // a slice would keep, and be charged for, the whole batch
                        let slice = batch.slice(from - at, to - from);
                        found.push(copied(&slice)?);
                    }
                    at += batch.num_rows();
                }
            }
            at = next;
        }
        Ok(found)
    }

    async fn cut(&self, frame: &DataFrame, cuts: Vec<usize>) -> Result<DataFrame> {
        let parts = self.parts(frame, cuts)?;
        frame.session().frame_from_refs(parts.into_iter().map(Ref::ready)).await
    }

    fn parts(&self, frame: &DataFrame, cuts: Vec<usize>) -> Result<Vec<Partition>> {
        let engine = frame.session().engine();
        let ends: Vec<usize> = cuts.iter().copied().chain([self.rows]).collect();
        let mut parts = Vec::with_capacity(ends.len());
        let mut start = 0;
        for end in ends {
            parts.push(engine.put_batches(Arc::clone(&self.schema), self.slice(start, end)?)?);
            start = end;
        }
        Ok(parts)
    }

    fn keys(batch: &RecordBatch, columns: &[String]) -> Vec<ArrayRef> {
        columns.iter().filter_map(|c| batch.column_by_name(c).cloned()).collect()
    }

    /// Places where a new key begins, near those that give `count` equal parts.
    fn cuts_between_keys(&self, columns: &[String], count: usize) -> Result<Vec<usize>> {
        let wanted: Vec<usize> = (1..count).map(|i| self.rows * i / count).collect();
        let mut cuts: Vec<usize> = Vec::with_capacity(wanted.len());
        // the last place before the wanted one is not known to be the nearest until the next is seen
        let mut before: Option<usize> = None;
        let mut meet = |start: usize| {
            while let Some(place) = wanted.get(cuts.len()).copied().filter(|place| *place <= start) {
                cuts.push(match before {
                    Some(before) if place - before < start - place => before,
                    _ => start,
                });
            }
            before = Some(start);
        };
        let mut last: Option<RecordBatch> = None;
        let mut at = 0;
        for partition in &self.partitions {
            for batch in partition.batches()?.iter().filter(|batch| batch.num_rows() > 0) {
                // with the last row before it, a key that goes on is no new one
                let whole = match &last {
                    Some(row) => {
                        concat_batches(&self.schema, [row, batch]).map_err(|e| plan_error(e.into(), OP))?
                    }
                    None => batch.clone(),
                };
                let ranges =
                    partition_rows(&Self::keys(&whole, columns)).map_err(|e| plan_error(e.into(), OP))?;
                let extra = usize::from(last.is_some());
                for range in ranges.ranges().iter().filter(|range| range.start > 0) {
                    meet(at + range.start - extra);
                }
                at += batch.num_rows();
                last = Some(copied(&batch.slice(batch.num_rows() - 1, 1))?);
            }
        }
        while cuts.len() < wanted.len() {
            let Some(before) = before else { break };
            cuts.push(before);
        }
        cuts.dedup();
        Ok(cuts)
    }

    /// Places where the first key at or after each split is.
    fn cuts_at(&self, columns: &[String], splits: &[Vec<ScalarValue>]) -> Result<Vec<usize>> {
        let fail = |e: datafusion::arrow::error::ArrowError| plan_error(e.into(), OP);
        let rising = SortOptions { descending: false, nulls_first: false };
        let mut types = Vec::new();
        for name in columns {
            types.push(self.schema.field_with_name(name).map_err(fail)?.data_type().clone());
        }
        let fields = types.iter().map(|t| SortField::new_with_options(t.clone(), rising)).collect();
        let converter = RowConverter::new(fields).map_err(fail)?;
        let mut edges = Vec::new();
        for split in splits {
            let values = split.iter().zip(&types);
            let values =
                values.map(|(value, to)| value.cast_to(to)?.to_array()).collect::<Result<Vec<_>, _>>();
            let values = values.map_err(|e| plan_error(e, OP))?;
            edges.push(converter.convert_columns(&values).map_err(fail)?.row(0).owned());
        }
        let mut cuts = Vec::new();
        let mut at = 0;
        for partition in &self.partitions {
            for batch in partition.batches()?.iter() {
                let rows = converter.convert_columns(&Self::keys(batch, columns)).map_err(fail)?;
                let mut from = 0;
                while let Some(edge) = edges.get(cuts.len()) {
                    let (mut low, mut high) = (from, batch.num_rows());
                    while low < high {
                        let middle = low.midpoint(high);
                        if rows.row(middle) < edge.row() { low = middle + 1 } else { high = middle }
                    }
                    if low == batch.num_rows() {
                        break;
                    }
                    cuts.push(at + low);
                    from = low;
                }
                at += batch.num_rows();
            }
        }
        cuts.resize(splits.len(), self.rows);
        Ok(cuts)
    }
}

/// Rows by the hash of their keys: each partition is split by one task, into partitions of the store.
///
/// A repartitioning plan will not do: the planner takes it out again when nothing above it asks for it.
async fn by_key(frame: &DataFrame, columns: Vec<String>, count: usize) -> Result<DataFrame> {
    let inputs = frame.persist().await?.partitions()?;
    let engine = frame.session().engine().downgrade();
    let split = frame.session().try_map(inputs, move |partition: &Partition| {
        let fail = |e: datafusion::arrow::error::ArrowError| plan_error(e.into(), OP);
        let engine =
            engine.upgrade().ok_or_else(|| Error::new(ErrorKind::ShutDown, OP, "the engine is gone"))?;
        let mut buckets: Vec<Vec<RecordBatch>> = vec![Vec::new(); count];
        for batch in partition.batches()?.iter() {
            let keys: Vec<_> = columns.iter().filter_map(|c| batch.column_by_name(c).cloned()).collect();
            let hashes =
                trefoil_plan::row_hashes(0, &keys, batch.num_rows()).map_err(|e| plan_error(e, OP))?;
            let mut rows: Vec<Vec<u64>> = vec![Vec::new(); count];
            for (row, hash) in hashes.values().iter().enumerate() {
                let bucket = usize::try_from(hash % count as u64).unwrap_or(0);
                rows[bucket].push(row as u64);
            }
            for (bucket, rows) in buckets.iter_mut().zip(rows) {
                if !rows.is_empty() {
                    let rows = datafusion::arrow::array::UInt64Array::from(rows);
                    bucket.push(datafusion::arrow::compute::take_record_batch(batch, &rows).map_err(fail)?);
                }
            }
        }
        let schema = partition.schema();
        buckets
            .into_iter()
            .map(|batches| engine.put_batches(Arc::clone(schema), batches))
            .collect::<Result<Vec<_>>>()
    });
    let split: Vec<Vec<Partition>> = frame.session().gather(split).await?;
    let schema = frame.schema();
    let mut parts = Vec::with_capacity(count);
    for bucket in 0..count {
        let mut batches = Vec::new();
        for pieces in &split {
            if let Some(piece) = pieces.get(bucket) {
                batches.extend(piece.batches()?.iter().cloned());
            }
        }
        parts.push(frame.session().engine().put_batches(Arc::clone(&schema), batches)?);
    }
    frame.session().frame_from_refs(parts.into_iter().map(Ref::ready)).await
}

fn copied(batch: &RecordBatch) -> Result<RecordBatch> {
    let indices = datafusion::arrow::array::UInt64Array::from_iter_values(0..batch.num_rows() as u64);
    datafusion::arrow::compute::take_record_batch(batch, &indices).map_err(|e| plan_error(e.into(), OP))
}

/// The smallest and largest value of a column in each partition, as one-row arrays would print them.
pub(super) async fn divisions(frame: &DataFrame, column: &str) -> Result<Vec<Option<(String, String)>>> {
    const OP: &str = "divisions";
    use datafusion::arrow::util::display::array_value_to_string;
    check::find(OP, frame, column)?;
    if let Some(bounds) = frame.divided().and_then(|divisions| divisions.bounds(column)) {
        let text = |value: &ScalarValue| {
            let array = value.to_array().map_err(|e| plan_error(e, OP))?;
            array_value_to_string(&array, 0).map_err(|e| plan_error(e.into(), OP))
        };
        let pair = |bounds: Option<(ScalarValue, ScalarValue)>| match bounds {
            Some((low, high)) => Ok(Some((text(&low)?, text(&high)?))),
            None => Ok(None),
        };
        return bounds.into_iter().map(pair).collect();
    }
    let all = Pieces::of(frame).await?;
    let mut found = Vec::new();
    for partition in &all.partitions {
        let batches = partition.batches()?;
        let whole = concat_batches(&all.schema, batches.iter()).map_err(|e| plan_error(e.into(), OP))?;
        let Some(values) = whole.column_by_name(column).filter(|c| c.null_count() < c.len()) else {
            found.push(None);
            continue;
        };
        let order = datafusion::arrow::compute::sort_to_indices(values, None, None)
            .map_err(|e| plan_error(e.into(), OP))?;
        // nulls come first
        let first = order.value(values.null_count()) as usize;
        let last = order.value(order.len() - 1) as usize;
        let text = |at| array_value_to_string(values, at).map_err(|e| plan_error(e.into(), OP));
        found.push(Some((text(first)?, text(last)?)));
    }
    Ok(found)
}

/// A partition with the rows around it; for [`map_overlap`](super::FrameReports::map_overlap).
#[derive(Clone, Debug)]
pub struct Overlap {
    /// The rows before, the partition's own and the rows after, as one batch.
    pub rows: RecordBatch,
    /// How many rows come before the partition's own.
    pub before: usize,
    /// How many rows are the partition's own.
    pub own: usize,
}

impl Overlap {
    /// The partition's own rows of a batch that has a row for each of [`rows`](Overlap::rows).
    pub fn trim(&self, result: &RecordBatch) -> RecordBatch {
        let start = self.before.min(result.num_rows());
        result.slice(start, self.own.min(result.num_rows() - start))
    }
}

pub(super) async fn map_overlap<F, E>(
    frame: &DataFrame,
    before: usize,
    after: usize,
    work: F,
) -> Result<DataFrame>
where
    F: Fn(&Overlap) -> Result<RecordBatch, E> + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let all = Arc::new(Pieces::of(frame).await?);
    let engine = frame.session().engine().downgrade();
    let mut start = 0;
    let ranges: Vec<Ref<(usize, usize)>> = all
        .partitions
        .iter()
        .map(|partition| {
            let range = (start, start + partition.num_rows());
            start = range.1;
            Ref::ready(range)
        })
        .collect();
    let outputs = frame.session().try_map(ranges, move |(start, end): &(usize, usize)| {
        let from = start.saturating_sub(before);
        let batches = all.slice(from, end.saturating_add(after).min(all.rows))?;
        let rows = concat_batches(&all.schema, &batches).map_err(|e| plan_error(e.into(), "map_overlap"))?;
        let overlap = Overlap { rows, before: start - from, own: end - start };
        let result = work(&overlap).map_err(Error::user)?;
        let engine = engine
            .upgrade()
            .ok_or_else(|| Error::new(ErrorKind::ShutDown, "map_overlap", "the engine is gone"))?;
        engine.put_batches(result.schema(), vec![result])
    });
    let outputs = frame.session().gather(outputs).await?;
    partitions::same_columns("map_overlap", &outputs)?;
    frame.session().frame_from_refs(outputs.into_iter().map(Ref::ready)).await
}

/// Each partition through a call, such as that of a `#[task]`.
pub(super) async fn map_calls(
    frame: &DataFrame,
    call: impl Fn(Ref<Partition>) -> Call<Partition> + Send,
) -> Result<DataFrame> {
    let calls = frame.persist().await?.partitions()?.into_iter().map(call).collect();
    let outputs = frame.session().engine().spawn_all(calls);
    let outputs = frame.session().gather(outputs).await?;
    partitions::same_columns("map_calls", &outputs)?;
    frame.session().frame_from_refs(outputs.into_iter().map(Ref::ready)).await
}
