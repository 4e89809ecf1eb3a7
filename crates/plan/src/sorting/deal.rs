//! Putting rows together by their ranges, block by block.

use super::keys::Prefix;
use super::ranges::{Block, Cuts, Entry, Keys};
use super::table;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use std::ops::Range;
use tokio::task::yield_now;

/// Bytes of text in a block, of all columns: one array cannot hold more than twice that.
const MOST_TEXT: usize = 1 << 30;

/// What a worker has made of its blocks.
pub(super) struct Dealt<P> {
    /// The rows of each range.
    pub(super) ranges: Vec<Vec<Entry<P>>>,
    pub(super) blocks: Vec<Block>,
    /// The columns of each block.
    pub(super) columns: Vec<Vec<ArrayRef>>,
}

/// Puts the rows of blocks, the first of which has this number, together by their ranges.
pub(super) async fn deal<P: Prefix>(
    keys: &Keys,
    cuts: &Cuts<P>,
    blocks: &[Range<usize>],
    first: usize,
    mut batches: Vec<RecordBatch>,
) -> Result<Dealt<P>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let expected = rows / cuts.ranges() * 9 / 8 + 8;
    let mut dealt = Dealt {
        ranges: (0..cuts.ranges()).map(|_| Vec::with_capacity(expected)).collect(),
        blocks: Vec::with_capacity(blocks.len()),
        columns: Vec::with_capacity(blocks.len()),
    };
    for (at, block) in blocks.iter().enumerate() {
        let rest = batches.split_off(block.len());
        let these = std::mem::replace(&mut batches, rest);
        let block = keys.deal(block.clone(), first + at, cuts, &mut dealt.ranges);
        dealt.columns.push(table::regrouped(&these, &block)?);
        dealt.blocks.push(block.moved());
        // a cancelled query stops here
        yield_now().await;
    }
    Ok(dealt)
}

/// Neighbours that become a block of about so many rows each.
pub(super) fn blocks(batches: &[RecordBatch], block_rows: usize) -> Vec<Range<usize>> {
    let (mut blocks, mut start, mut rows, mut text) = (Vec::new(), 0, 0, 0);
    for (at, batch) in batches.iter().enumerate() {
        let of_batch = table::text_bytes(batch);
        if at > start && text + of_batch > MOST_TEXT {
            blocks.push(start..at);
            (start, rows, text) = (at, 0, 0);
        }
        rows += batch.num_rows();
        text += of_batch;
        if rows >= block_rows || at + 1 == batches.len() {
            blocks.push(start..at + 1);
            (start, rows, text) = (at + 1, 0, 0);
        }
    }
    blocks
}
