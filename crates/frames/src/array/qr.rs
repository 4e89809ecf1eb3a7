//! QR of tall matrices over row chunks (TSQR: Demmel, Grigori, Hoemmen, Langou,
//! "Communication-optimal parallel and sequential QR and LU factorizations", 2012).
//!
//! Each chunk is factored; the small R factors are stacked a few at a time and factored again
//! until one is left; on the way back every chunk's Q is multiplied by its part of the Q above.

use ndarray::{ArrayD, s};
use trefoil_core::{Arg, Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::Float;
use super::grid::{Axis, Grid};
use super::kernels;
use super::lazy::Array;

/// How many R factors are stacked for one factoring of the next level.
const FAN_IN: usize = 8;

/// The factors of one block.
pub(crate) struct Factors<T> {
    pub q: ArrayD<T>,
    pub r: ArrayD<T>,
}

impl<T: Clone> Clone for Factors<T> {
    fn clone(&self) -> Self {
        Factors { q: self.q.clone(), r: self.r.clone() }
    }
}

/// The row count of each Q block is that of its input; all share one R.
pub(crate) struct Tsqr<T: 'static> {
    pub q: Vec<Call<ArrayD<T>>>,
    pub r: Call<ArrayD<T>>,
}

fn factor<T: Float>(block: Arg<ArrayD<T>>) -> Call<Factors<T>> {
    Call::new(TaskSpec::new("qr"), (block,), |(block,): (Input<ArrayD<T>>,)| {
        let (q, r) = kernels::qr(&block)?;
        Ok(Factors { q, r })
    })
}

/// TSQR of row blocks; `rows[i]` is the row count of block `i`, `cols` the column count.
pub(crate) fn tsqr<T: Float>(blocks: Vec<Arg<ArrayD<T>>>, rows: &[usize], cols: usize) -> Tsqr<T> {
    let leaves: Vec<Call<Factors<T>>> = blocks.into_iter().map(factor).collect();
    if let [only] = leaves.as_slice() {
        let q = only.clone().map("q", |factors| factors.q.clone());
        return Tsqr { q: vec![q], r: only.clone().map("r", |factors| factors.r.clone()) };
    }
    let heights: Vec<usize> = rows.iter().map(|&rows| rows.min(cols)).collect();
    let mut stacked = Vec::new();
    let mut stacked_rows = Vec::new();
    for (group, heights) in leaves.chunks(FAN_IN).zip(heights.chunks(FAN_IN)) {
        let args: Vec<Arg<Factors<T>>> = group.iter().map(|call| Arg::Call(call.clone())).collect();
        stacked.push(Arg::Call(Call::new(TaskSpec::new("stack"), args, |parts: Vec<Input<Factors<T>>>| {
            kernels::vstack(&parts.iter().map(|part| &part.r).collect::<Vec<_>>())
        })));
        stacked_rows.push(heights.iter().sum());
    }
    let above = tsqr(stacked, &stacked_rows, cols);
    let q = leaves
        .into_iter()
        .enumerate()
        .map(|(i, leaf)| {
            let group = i / FAN_IN;
            let from: usize = heights[group * FAN_IN..i].iter().sum();
            let height = heights[i];
            Call::new(
                TaskSpec::new("q"),
                (Arg::Call(leaf), Arg::Call(above.q[group].clone())),
                move |(leaf, above): (Input<Factors<T>>, Input<ArrayD<T>>)| {
                    let part = above.slice(s![from..from + height, ..]).to_owned().into_dyn();
                    kernels::product(&leaf.q, &part)
                },
            )
        })
        .collect();
    Tsqr { q, r: above.r }
}

impl<T: Float> Array<T> {
    pub(crate) fn check_matrix(&self, operation: &'static str) -> Result<()> {
        self.check()?;
        if self.ndim() != 2 {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                operation,
                format!("shape {:?} is not a matrix", self.shape()),
            )
            .with_help("slice or reshape to two axes"));
        }
        Ok(())
    }

    /// The factors of `self = q r`: `q` has orthonormal columns, `r` is upper triangular with
    /// a diagonal that is not negative. With `k = min(rows, columns)`, `q` is `rows x k` and
    /// cut as `self` is, `r` is `k x columns` in one chunk.
    ///
    /// # Errors
    /// An array that is not a matrix, or whose columns are cut.
    pub fn qr(&self) -> Result<(Array<T>, Array<T>)> {
        self.check_matrix("qr")?;
        if self.axis_grid(1).count() > 1 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "qr",
                format!(
                    "the columns of shape {:?} are cut in {} chunks",
                    self.shape(),
                    self.axis_grid(1).count()
                ),
            )
            .with_help(format!(
                "rechunk to a single column of chunks: rechunk([{}, {}])",
                self.axis_grid(0).lens.iter().max().unwrap_or(&1),
                self.shape()[1]
            )));
        }
        let (rows, cols) = (self.axis_grid(0), self.shape()[1]);
        let blocks = self.block_list()?.iter().map(|block| block.arg()).collect();
        let Tsqr { q, r } = tsqr(blocks, &rows.lens, cols);
        let k = self.shape()[0].min(cols);
        let q = Array::from_calls(&self.engine, Grid::new(vec![rows.clone(), Axis::whole(k)]), q);
        let r = Array::from_calls(&self.engine, Grid::single(&[k, cols]), vec![r]);
        Ok((q, r))
    }
}
