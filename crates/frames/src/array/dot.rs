//! Matrix products, blocked: one task per block of the result, summing over the inner chunks
//! in order, so that the answer is the same on any number of workers.

use ndarray::{ArrayD, Axis as NdAxis};
use trefoil_core::{Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::Numeric;
use super::grid::Grid;
use super::kernels;
use super::lazy::Array;
use super::lower;

impl<T: Numeric> Array<T> {
    /// The matrix product; of a matrix and a vector, or of two vectors, as in NumPy.
    ///
    /// The other array is rechunked if its rows are cut elsewhere than these columns.
    ///
    /// # Errors
    /// Inner lengths that differ (both shapes are named), more than two axes.
    ///
    /// ```
    /// use trefoil_core::Engine;
    /// use trefoil_frames::array::{ArraySession, chunks};
    /// let engine = Engine::new()?;
    /// let x = engine.array().arange(0.0, 6.0, 1.0, chunks(2))?.reshape([2, 3])?;
    /// let gram = engine.block_on(x.dot(&x.t())?.compute())?;
    /// assert_eq!(gram.into_raw_vec_and_offset().0, [5.0, 14.0, 14.0, 50.0]);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn dot(&self, other: &Array<T>) -> Result<Array<T>> {
        self.check()?;
        other.check()?;
        for array in [self, other] {
            if array.ndim() == 0 || array.ndim() > 2 {
                return Err(Error::new(
                    ErrorKind::ShapeMismatch,
                    "dot",
                    format!("shape {:?} is neither a matrix nor a vector", array.shape()),
                )
                .with_help("multiply by a scalar with `*`; reshape or slice to at most two axes"));
            }
        }
        let inner = self.shape()[self.ndim() - 1];
        if inner != other.shape()[0] {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "dot",
                format!(
                    "shapes {:?} and {:?} do not multiply: inner lengths {inner} and {}",
                    self.shape(),
                    other.shape(),
                    other.shape()[0]
                ),
            )
            .with_help("the last axis of the left must be as long as the first of the right; maybe transpose with t()"));
        }
        let left_axis = self.axis_grid(self.ndim() - 1);
        let cut = left_axis.refine(other.axis_grid(0));
        // Cut the side that needs it like the other; both only if neither refines the other.
        let mut left = self.grid().clone();
        let mut right = other.grid().clone();
        left.axes[self.ndim() - 1] = cut.clone();
        right.axes[0] = cut.clone();
        let (a, b) = (self.to_grid(left)?, other.to_grid(right)?);
        let (row_vector, column_vector) = (self.ndim() == 1, other.ndim() == 1);
        let rows = (!row_vector).then(|| a.axis_grid(0).clone());
        let cols = (!column_vector).then(|| b.axis_grid(1).clone());
        let row_chunks = rows.as_ref().map_or(1, |axis| axis.count());
        let col_chunks = cols.as_ref().map_or(1, |axis| axis.count());
        let depth = cut.count();
        let (a_blocks, b_blocks) = (a.block_list()?, b.block_list()?);
        let mut calls = Vec::with_capacity(row_chunks * col_chunks);
        for i in 0..row_chunks {
            for j in 0..col_chunks {
                let mut args = Vec::with_capacity(2 * depth);
                for k in 0..depth {
                    args.push(a_blocks[i * depth + k].arg());
                    args.push(b_blocks[k * col_chunks + j].arg());
                }
                calls.push(Call::new(TaskSpec::new("dot"), args, move |blocks: Vec<Input<ArrayD<T>>>| {
                    multiply(&blocks, row_vector, column_vector)
                }));
            }
        }
        let grid = Grid::new(rows.into_iter().chain(cols).collect());
        super::grid::check_size("dot", &grid.shape, size_of::<T>())?;
        Ok(Array::from_calls(&self.engine, grid, calls))
    }

    /// The matrix product, by its other name.
    ///
    /// # Errors
    /// As [`dot`](Array::dot).
    #[track_caller]
    pub fn matmul(&self, other: &Array<T>) -> Result<Array<T>> {
        self.dot(other)
    }
}

/// The sum of the products of pairs of blocks.
fn multiply<T: Numeric>(
    blocks: &[Input<ArrayD<T>>],
    row_vector: bool,
    column_vector: bool,
) -> Result<ArrayD<T>> {
    let mut out = Vec::new();
    let mut shape = (0, 0);
    for pair in blocks.chunks_exact(2) {
        let raised_left;
        let left = if row_vector {
            raised_left = ArrayD::clone(&pair[0]).insert_axis(NdAxis(0));
            &raised_left
        } else {
            &*pair[0]
        };
        let raised_right;
        let right = if column_vector {
            raised_right = ArrayD::clone(&pair[1]).insert_axis(NdAxis(1));
            &raised_right
        } else {
            &*pair[1]
        };
        let (a, b) = (kernels::matrix(left)?, kernels::matrix(right)?);
        if a.cols != b.rows {
            return Err(kernels::broken("the inner lengths of two blocks differ"));
        }
        shape = (a.rows, b.cols);
        if out.is_empty() {
            out = vec![T::ZERO; a.rows * b.cols];
        }
        T::matmul_add(a, b, &mut out);
    }
    let mut dims = Vec::with_capacity(2);
    if !row_vector {
        dims.push(shape.0);
    }
    if !column_vector {
        dims.push(shape.1);
    }
    lower::from_vec(&dims, out)
}
