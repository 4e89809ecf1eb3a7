//! Moving the rows of a sort, column by column.
//!
//! Twice each row is copied: within a block of neighbours, so that the rows of each range lie together there, and from
//! the blocks into its place in the range, which fits into a core's cache. So memory is read and written in runs, not row
//! by row from all over it. Columns of numbers without nulls are moved by loops of ours, others by Arrow's kernels.

use super::keys::Prefix;
use super::ranges::{Block, Entry};
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    UInt32Array, downcast_primitive,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{concat, interleave, take};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result;
use std::sync::Arc;

/// The columns of a block, its rows put together by their ranges.
pub(super) fn regrouped(batches: &[RecordBatch], block: &Block) -> Result<Vec<ArrayRef>> {
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    // made for the first column that needs it
    let mut origins: Option<Vec<(usize, usize)>> = None;
    let mut columns = Vec::with_capacity(first.num_columns());
    for at in 0..first.num_columns() {
        let arrays: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(at)).collect();
        if let Some(dealt) = dealt(&arrays, &block.places) {
            columns.push(dealt);
            continue;
        }
        let origins = origins.get_or_insert_with(|| {
            let mut origins = vec![(0, 0); block.places.len()];
            let rows = batches.iter().enumerate();
            let rows = rows.flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row)));
            block.places.iter().zip(rows).for_each(|(place, row)| origins[*place as usize] = row);
            origins
        });
        let arrays: Vec<&dyn Array> = arrays.into_iter().map(AsRef::as_ref).collect();
        columns.push(interleave(&arrays, origins)?);
    }
    Ok(columns)
}

/// The bytes of texts whose places in their array are counted in 32 bits.
pub(super) fn text_bytes(batch: &RecordBatch) -> usize {
    let bytes = |offsets: &OffsetBuffer<i32>| match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => usize::try_from(last - first).unwrap_or(0),
        _ => 0,
    };
    let of = |array: &ArrayRef| match array.data_type() {
        DataType::Utf8 => bytes(array.as_string::<i32>().offsets()),
        DataType::Binary => bytes(array.as_binary::<i32>().offsets()),
        _ => 0,
    };
    batch.columns().iter().map(of).sum()
}

/// Whether a column of numbers is there, all of it.
fn is_plain(arrays: &[&ArrayRef]) -> bool {
    arrays.iter().all(|array| array.null_count() == 0)
}

/// Columns of numbers without nulls, each value at its place.
fn dealt(arrays: &[&ArrayRef], places: &[u32]) -> Option<ArrayRef> {
    fn of<T: ArrowPrimitiveType>(arrays: &[&ArrayRef], places: &[u32], data_type: &DataType) -> ArrayRef {
        let mut out = vec![T::Native::default(); places.len()];
        let mut rest = places;
        for array in arrays {
            let values = array.as_primitive::<T>().values();
            let (these, others) = rest.split_at(values.len());
            values.iter().zip(these).for_each(|(value, place)| out[*place as usize] = *value);
            rest = others;
        }
        Arc::new(PrimitiveArray::<T>::new(out.into(), None).with_data_type(data_type.clone()))
    }
    macro_rules! call {
        ($data_type:ty, $known:expr) => {
            Some(of::<$data_type>(arrays, places, $known))
        };
    }
    let data_type = arrays.first()?.data_type();
    if !is_plain(arrays) {
        return None;
    }
    downcast_primitive! { data_type => (call, data_type), _ => None }
}

/// All rows, in blocks.
#[derive(Debug)]
pub(super) struct Table {
    schema: SchemaRef,
    /// For each column its arrays, one a block.
    columns: Vec<Vec<ArrayRef>>,
    /// For each block where its ranges begin.
    starts: Vec<Vec<u32>>,
}

/// Ranges of more rows are not put together first: many keys are the same, so their rows come in order, or nearly.
const LARGE: usize = 256 * 1024;

impl Table {
    /// Of the columns of blocks and where the ranges begin in each.
    pub(super) fn new(schema: SchemaRef, blocks: Vec<Vec<ArrayRef>>, starts: Vec<Vec<u32>>) -> Self {
        let columns = (0..schema.fields().len())
            .map(|at| blocks.iter().map(|block| Arc::clone(&block[at])).collect())
            .collect();
        Self { schema, columns, starts }
    }

    /// The rows of a range in their order, in batches of at most so many.
    pub(super) fn rows<P: Prefix>(
        &self,
        range: usize,
        entries: &[Entry<P>],
        batch_rows: usize,
    ) -> Result<Vec<RecordBatch>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let pieces = entries.len().div_ceil(batch_rows);
        let piece = entries.len().div_ceil(pieces);
        if entries.len() <= LARGE && !self.columns.is_empty() {
            match self.put_together(range, entries, piece) {
                Err(ArrowError::OffsetOverflowError(_)) => {}
                batches => return Ok(batches?),
            }
        }
        let mut out = Vec::with_capacity(pieces);
        for entries in entries.chunks(piece) {
            out.extend(self.some(entries)?);
        }
        Ok(out)
    }

    /// Rows from anywhere as a batch, or several.
    pub(super) fn some<P: Prefix>(&self, entries: &[Entry<P>]) -> Result<Vec<RecordBatch>> {
        let places: Vec<(usize, usize)> = entries.iter().map(Entry::at).collect();
        let mut out = Vec::with_capacity(1);
        self.push(&places, &mut out)?;
        Ok(out)
    }

    /// Puts the columns of a range together, then takes their rows in order.
    fn put_together<P: Prefix>(
        &self,
        range: usize,
        entries: &[Entry<P>],
        piece: usize,
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        // of each block the rows, and what makes a place in it one among all of them
        let (mut spans, mut shifts, mut before) = (Vec::new(), Vec::new(), 0_u32);
        for starts in &self.starts {
            let (start, end) = (starts[range], starts[range + 1]);
            spans.push(start as usize..end as usize);
            shifts.push(before.wrapping_sub(start));
            before += end - start;
        }
        let order = entries.iter().map(|entry| {
            let (block, place) = entry.at();
            (place as u32).wrapping_add(shifts[block])
        });
        let order = UInt32Array::from_iter_values(order);
        let pieces: Vec<UInt32Array> = (0..entries.len())
            .step_by(piece)
            .map(|from| order.slice(from, piece.min(entries.len() - from)))
            .collect();
        let mut columns: Vec<Vec<ArrayRef>> = pieces.iter().map(|_| Vec::new()).collect();
        for blocks in &self.columns {
            let rows: Vec<ArrayRef> = blocks
                .iter()
                .zip(&spans)
                .filter(|(_, span)| !span.is_empty())
                .map(|(block, span)| block.slice(span.start, span.len()))
                .collect();
            let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
            let all = concat(&rows)?;
            for (column, piece) in columns.iter_mut().zip(&pieces) {
                column.push(compact(take(&all, piece, None)?));
            }
        }
        columns.into_iter().map(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns)).collect()
    }

    /// These rows as a batch; as several, if there is more text in them than an array holds.
    fn push(&self, places: &[(usize, usize)], out: &mut Vec<RecordBatch>) -> Result<()> {
        let column = |arrays: &Vec<ArrayRef>| {
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            interleave(&arrays, places)
        };
        match self.columns.iter().map(column).collect::<Result<Vec<_>, _>>() {
            Ok(columns) => {
                let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
                out.push(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?);
                Ok(())
            }
            Err(ArrowError::OffsetOverflowError(_)) if places.len() > 1 => {
                let (first, second) = places.split_at(places.len() / 2);
                self.push(first, out)?;
                self.push(second, out)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Views with the texts they mean in a buffer of their own: what was taken names the buffers of all blocks.
fn compact(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View if !array.as_string_view().data_buffers().is_empty() => {
            Arc::new(array.as_string_view().gc())
        }
        DataType::BinaryView if !array.as_binary_view().data_buffers().is_empty() => {
            Arc::new(array.as_binary_view().gc())
        }
        _ => array,
    }
}
