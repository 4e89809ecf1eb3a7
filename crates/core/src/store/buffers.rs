//! Which buffers the store holds, how often, and who else does: so that a buffer shared by slices, columns
//! and partitions is charged once, and one that somebody outside still uses is not "freed" by eviction.
//!
//! A buffer is known by the address of its allocation. The register counts the handles that stored
//! partitions hold on it; `Buffer::strong_count` counts all there are. The first partition to hold a buffer
//! pays for it, the last to let go gives the bytes back, whichever they are.

use std::collections::HashMap;

use arrow_array::{Array, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::ArrowError;
use parking_lot::Mutex;

struct Held {
    handles: usize,
    bytes: usize,
}

/// The register of an engine's store.
#[derive(Default)]
pub(super) struct Buffers(Mutex<HashMap<usize, Held>>);

/// Every buffer handle of an array that holds memory; empty buffers share an address that means nothing.
fn each_of(data: &ArrayData, visit: &mut dyn FnMut(&Buffer)) {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    data.buffers().iter().chain(nulls).filter(|buffer| buffer.capacity() > 0).for_each(&mut *visit);
    data.child_data().iter().for_each(|child| each_of(child, visit));
}

/// Every buffer handle of the batches.
pub(crate) fn each(batches: &[RecordBatch], visit: &mut dyn FnMut(&Buffer)) {
    batches.iter().flat_map(RecordBatch::columns).for_each(|column| each_of(&column.to_data(), visit));
}

/// The same batches in arrays of their own, over the same buffers. What somebody else holds of the given
/// arrays then shows in the counts of the buffers alone.
pub(super) fn own_arrays(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ArrowError> {
    let own = |batch: RecordBatch| {
        let columns = batch.columns().iter().map(|column| make_array(column.to_data())).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(batch.schema(), columns, &options)
    };
    batches.into_iter().map(own).collect()
}

pub(crate) fn address(buffer: &Buffer) -> usize {
    buffer.data_ptr().as_ptr() as usize
}

impl Buffers {
    /// Counts the batches in; returns the bytes that nobody had paid for.
    pub(super) fn add(&self, batches: &[RecordBatch]) -> usize {
        let mut register = self.0.lock();
        let mut new = 0;
        each(batches, &mut |buffer| {
            let held = register.entry(address(buffer)).or_insert(Held { handles: 0, bytes: 0 });
            if held.handles == 0 {
                held.bytes = buffer.capacity();
                new += held.bytes;
            }
            held.handles += 1;
        });
        new
    }

    /// Counts the batches out; returns the bytes that nobody pays for any more.
    pub(super) fn remove(&self, batches: &[RecordBatch]) -> usize {
        let mut register = self.0.lock();
        let mut gone = 0;
        each(batches, &mut |buffer| {
            if let Some(held) = register.get_mut(&address(buffer)) {
                held.handles -= 1;
                if held.handles == 0 {
                    gone += held.bytes;
                    register.remove(&address(buffer));
                }
            }
        });
        gone
    }

    /// Whether somebody outside the store holds a buffer of these batches.
    pub(super) fn used_outside(&self, batches: &[RecordBatch]) -> bool {
        let register = self.0.lock();
        batches.iter().any(|batch| {
            batch.columns().iter().any(|column| {
                // Looking makes handles of its own, which must not count.
                let data = column.to_data();
                let mut own: HashMap<usize, usize> = HashMap::new();
                each_of(&data, &mut |buffer| *own.entry(address(buffer)).or_default() += 1);
                let mut outside = false;
                each_of(&data, &mut |buffer| {
                    let at = address(buffer);
                    let stored = register.get(&at).map_or(0, |held| held.handles);
                    outside |= buffer.strong_count() > stored + own.get(&at).copied().unwrap_or(0);
                });
                outside
            })
        })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}
