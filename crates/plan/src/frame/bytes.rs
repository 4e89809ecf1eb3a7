//! What batches take, and batches that take no more than they need.

use datafusion::arrow::array::{Array, ArrayData, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use std::collections::HashSet;

/// The batch without the memory that its texts were given and did not take: operators write the texts of a batch into a block
/// of up to a megabyte, of which a batch of short ones fills a part.
pub(crate) fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    let blocks = |column: &ArrayRef| -> Option<(usize, usize)> {
        let data = match column.data_type() {
            DataType::Utf8View => column.as_string_view().data_buffers(),
            DataType::BinaryView => column.as_binary_view().data_buffers(),
            _ => return None,
        };
        Some(
            data.iter().fold((0, 0), |(given, taken), block| (given + block.capacity(), taken + block.len())),
        )
    };
    let is_loose = |column: &ArrayRef| blocks(column).is_some_and(|(given, taken)| given > 2 * taken);
    if !batch.columns().iter().any(is_loose) {
        return Ok(batch);
    }
    let (schema, mut columns, rows) = batch.into_parts();
    for column in columns.iter_mut().filter(|column| is_loose(column)) {
        // does nothing where others hold it, too
        column.shrink_to_fit();
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// Bytes of the buffers that were not seen before: batches are often slices of one.
pub(crate) fn new_bytes(batch: &RecordBatch, seen: &mut HashSet<usize>) -> usize {
    fn of(data: &ArrayData, seen: &mut HashSet<usize>) -> usize {
        let nulls = data.nulls().map(|nulls| nulls.buffer());
        let own: usize = data
            .buffers()
            .iter()
            .chain(nulls)
            .filter(|buffer| seen.insert(buffer.data_ptr().as_ptr() as usize))
            .map(|buffer| buffer.capacity())
            .sum();
        own + data.child_data().iter().map(|child| of(child, seen)).sum::<usize>()
    }
    batch.columns().iter().map(|column| of(&column.to_data(), seen)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringViewArray;
    use datafusion::arrow::array::builder::StringViewBuilder;
    use std::sync::Arc;

    #[test]
    fn blocks_of_texts_are_as_long_as_the_texts() {
        let mut texts = StringViewBuilder::new().with_fixed_block_size(1 << 20);
        texts.append_value("a text of more than twelve bytes");
        texts.append_null();
        texts.append_value("short");
        let texts: StringViewArray = texts.finish();
        let expect = texts.clone();
        let batch = |texts: StringViewArray| {
            RecordBatch::try_from_iter_with_nullable([("t", Arc::new(texts) as ArrayRef, true)]).unwrap()
        };
        // Somebody else holds the block: it stays.
        let held = compact(batch(texts)).unwrap();
        assert!(new_bytes(&held, &mut HashSet::new()) >= 1 << 20);
        drop(expect);
        let compacted = compact(held).unwrap();
        assert!(new_bytes(&compacted, &mut HashSet::new()) < 4096);
        let texts = compacted.column(0).as_string_view().iter().collect::<Vec<_>>();
        assert_eq!(texts, [Some("a text of more than twelve bytes"), None, Some("short")]);
        // Counted once, whoever holds it.
        let mut seen = HashSet::new();
        assert!(new_bytes(&compacted, &mut seen) > 0);
        assert_eq!(new_bytes(&compacted.slice(1, 2), &mut seen), 0);
    }
}
