//! Groups on disk, in parts: all rows of a group are in one of them.
//!
//! A table of groups is written part by part, and not row group by row group of it, so that a write is long. Linux keeps what is
//! written in pieces of memory as long as the write, up to some hundred KiB, and gives them back one by one when the files are
//! removed: 240 MB in writes of 8 KiB took 38 ms to be removed, in writes of 256 KiB 16 ms (and 170 ms to write, 50 ms). That
//! is what someone who cancels a query waits for.
//!
//! Turns are as long as that allows and no shorter: a table keeps its memory until all of it is written, and who waits for a turn
//! behind a dozen other queries after each of 32 files keeps theirs from them meanwhile.

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::common::Result;
use datafusion::common::hash_utils::{QualityRandomState, create_hashes};
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::spill::SpillManager;
use std::sync::Arc;
use tokio::task::yield_now;

/// Files that groups are spread over.
pub(super) const PARTS: usize = 32;
/// What is written in one turn, about.
pub(super) const TURN_BYTES: usize = 1 << 20;
/// Rows whose parts are found at a time, and what finding one counts as.
const LOOK_ROWS: usize = 8 * 1024;
const LOOK_BYTES: usize = 16;

/// How keys are hashed of groups that have been cut into parts so often; the exchange has used zero.
pub(super) fn hash(depth: usize) -> QualityRandomState {
    QualityRandomState::with_seed(1 + depth as u64)
}

/// The part of each row.
pub(super) fn dealt(
    keys: &[ArrayRef],
    state: &QualityRandomState,
    rows: usize,
) -> Result<impl Iterator<Item = usize> + use<>> {
    let mut hashes = vec![0; rows];
    create_hashes(keys, state, &mut hashes)?;
    Ok(hashes.into_iter().map(|hash| (hash >> 32) as usize % PARTS))
}

/// Writes a batch behind those before it, or, without one, ends the file. The type of an open file has no name outside
/// DataFusion.
type Append = Box<dyn FnMut(Option<&RecordBatch>) -> Result<Option<Arc<dyn SpillFile>>> + Send>;

/// Files that are being written.
pub(super) struct Parts {
    manager: SpillManager,
    /// Columns of the key, which come first.
    keys: usize,
    state: QualityRandomState,
    files: Vec<Option<Append>>,
    turn: Turn,
}

impl Parts {
    /// What spreading takes for each row.
    pub(super) const ROW_BYTES: usize = size_of::<u8>() + size_of::<u32>();

    pub(super) fn new(manager: SpillManager, keys: usize, depth: usize) -> Self {
        Self {
            manager,
            keys,
            state: hash(depth),
            files: (0..PARTS).map(|_| None).collect(),
            turn: Turn::default(),
        }
    }

    /// Spreads groups over the parts. A cancelled query stops between two turns.
    pub(super) async fn add(&mut self, groups: &RecordBatch, busy: &Time) -> Result<()> {
        let rows = groups.num_rows();
        let turn = &mut self.turn;
        let (mut parts, mut counts) = (Vec::with_capacity(rows), [0; PARTS]);
        for from in (0..rows).step_by(LOOK_ROWS) {
            turn.spend(LOOK_ROWS * LOOK_BYTES).await;
            let _timer = busy.timer();
            let look = groups.slice(from, LOOK_ROWS.min(rows - from));
            for part in dealt(&look.columns()[..self.keys], &self.state, look.num_rows())? {
                counts[part] += 1;
                parts.push(part as u8);
            }
        }
        let mut starts = [0; PARTS];
        for at in 1..PARTS {
            starts[at] = starts[at - 1] + counts[at - 1];
        }
        let mut next = starts;
        let mut order = vec![0_u32; rows];
        for (look, parts) in parts.chunks(LOOK_ROWS).enumerate() {
            turn.spend(LOOK_ROWS * LOOK_BYTES).await;
            let _timer = busy.timer();
            for (at, part) in parts.iter().enumerate() {
                let place = &mut next[usize::from(*part)];
                order[*place] = (look * LOOK_ROWS + at) as u32;
                *place += 1;
            }
        }
        drop(parts);
        let bytes = (groups.get_array_memory_size() / rows.max(1)).max(1);
        let most = (TURN_BYTES / bytes).max(1);
        for (at, file) in self.files.iter_mut().enumerate() {
            for rows in order[starts[at]..next[at]].chunks(most) {
                turn.spend(rows.len() * bytes).await;
                let _timer = busy.timer();
                let rows = take_record_batch(groups, &UInt32Array::from(rows.to_vec()))?;
                let file = match file {
                    Some(file) => file,
                    None => file.insert(open(&self.manager)?),
                };
                file(Some(&rows))?;
            }
        }
        Ok(())
    }

    /// The files of all parts that have rows.
    pub(super) fn finish(self) -> Result<Vec<Arc<dyn SpillFile>>> {
        let mut files = Vec::new();
        for mut file in self.files.into_iter().flatten() {
            files.extend(file(None)?);
        }
        Ok(files)
    }
}

/// Bytes that have been handled since others had their turn.
#[derive(Default)]
pub(super) struct Turn(usize);

impl Turn {
    /// Lets others have their turn, if this one would become too long.
    pub(super) async fn spend(&mut self, bytes: usize) {
        if self.0 + bytes > TURN_BYTES {
            self.0 = 0;
            yield_now().await;
        }
        self.0 += bytes;
    }
}

fn open(manager: &SpillManager) -> Result<Append> {
    let mut file = manager.create_in_progress_file("groups")?;
    Ok(Box::new(move |batch| match batch {
        Some(batch) => file.append_batch(batch).map(|_| None),
        None => file.finish(),
    }))
}
