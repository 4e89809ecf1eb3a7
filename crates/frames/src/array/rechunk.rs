//! Rechunking: the same array under another grid.
//!
//! Every new block is one call over exactly the old blocks it overlaps; blocks that stay as
//! they are are passed on, not copied.

use ndarray::{ArrayD, IxDyn, Slice};
use trefoil_core::{Call, Input, Result, TaskSpec};

use super::element::Element;
use super::grid::{Axis, Chunks, Grid};
use super::lazy::{Array, Block};

/// A run of one old chunk that goes into a new chunk: which, from where, to where, how long.
#[derive(Debug, Clone, Copy)]
struct Piece {
    chunk: usize,
    from: usize,
    to: usize,
    len: usize,
}

/// For each new chunk of an axis, the pieces of old chunks it is made of.
fn pieces(old: &Axis, new: &Axis) -> Vec<Vec<Piece>> {
    (0..new.count())
        .map(|chunk| {
            let (start, end) = (new.starts[chunk], new.starts[chunk + 1]);
            if start == end {
                return vec![Piece { chunk: old.chunk_of(start), from: 0, to: 0, len: 0 }];
            }
            (old.chunk_of(start)..=old.chunk_of(end - 1))
                .filter_map(|source| {
                    let from = start.max(old.starts[source]);
                    let until = end.min(old.starts[source + 1]);
                    (from < until).then(|| Piece {
                        chunk: source,
                        from: from - old.starts[source],
                        to: from - start,
                        len: until - from,
                    })
                })
                .collect()
        })
        .collect()
}

/// The blocks of `new` out of the blocks of `old`; both grids have the same shape.
pub(crate) fn recut<T: Element>(blocks: &[Block<T>], old: &Grid, new: &Grid) -> Result<Vec<Block<T>>> {
    let plan: Vec<Vec<Vec<Piece>>> =
        old.axes.iter().zip(&new.axes).map(|(old, new)| pieces(old, new)).collect();
    let mut out = Vec::with_capacity(new.blocks());
    for index in new.indices() {
        let parts: Vec<&[Piece]> = index.iter().zip(&plan).map(|(&i, axis)| axis[i].as_slice()).collect();
        let shape = new.block_shape(&index);
        let counts = Grid::new(parts.iter().map(|parts| Axis::even(parts.len(), 1)).collect());
        let mut args = Vec::with_capacity(counts.blocks());
        let mut moves: Vec<Vec<Piece>> = Vec::with_capacity(counts.blocks());
        let mut source = 0;
        for choice in counts.indices() {
            let piece: Vec<Piece> = choice.iter().zip(&parts).map(|(&i, parts)| parts[i]).collect();
            let position: Vec<usize> = piece.iter().map(|piece| piece.chunk).collect();
            source = old.flat(&position);
            args.push(blocks[source].arg());
            moves.push(piece);
        }
        if let [only] = moves.as_slice() {
            let position: Vec<usize> = only.iter().map(|piece| piece.chunk).collect();
            if old.block_shape(&position) == shape {
                out.push(blocks[source].clone());
                continue;
            }
        }
        let call = Call::new(TaskSpec::new("rechunk"), args, move |blocks: Vec<Input<ArrayD<T>>>| {
            let mut result = ArrayD::from_elem(IxDyn(&shape), T::default());
            for (block, piece) in blocks.iter().zip(&moves) {
                let from = block.slice_each_axis(|axis| {
                    let piece = piece[axis.axis.index()];
                    Slice::from(piece.from..piece.from + piece.len)
                });
                result
                    .slice_each_axis_mut(|axis| {
                        let piece = piece[axis.axis.index()];
                        Slice::from(piece.to..piece.to + piece.len)
                    })
                    .assign(&from);
            }
            Ok(result)
        });
        out.push(Block::Call(call));
    }
    Ok(out)
}

impl<T: Element> Array<T> {
    /// The same array cut into other chunks.
    ///
    /// # Errors
    /// A chunk size of 0, another number of chunk sizes than axes, explicit lengths that do
    /// not add up.
    pub fn rechunk(&self, chunks: impl Into<Chunks>) -> Result<Array<T>> {
        self.check()?;
        let grid = Grid::plan("rechunk", self.shape(), &chunks.into(), size_of::<T>())?;
        self.to_grid(grid)
    }

    pub(crate) fn to_grid(&self, grid: Grid) -> Result<Array<T>> {
        if &grid == self.grid() {
            return Ok(self.clone());
        }
        let blocks = recut(self.block_list()?, self.grid(), &grid)?;
        Ok(Array::from_blocks(&self.engine, grid, blocks))
    }
}
