//! Systems of equations on matrices of one chunk.

use ndarray::{ArrayD, Axis as NdAxis};
use trefoil_core::{Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::Float;
use super::grid::Grid;
use super::kernels;
use super::lazy::Array;

impl<T: Float> Array<T> {
    fn check_square(&self, operation: &'static str) -> Result<()> {
        self.check_matrix(operation)?;
        if self.shape()[0] != self.shape()[1] {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                operation,
                format!("shape {:?} is not square", self.shape()),
            ));
        }
        self.check_single(operation)
    }

    fn check_single(&self, operation: &'static str) -> Result<()> {
        self.check()?;
        if self.num_blocks() > 1 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                operation,
                format!("shape {:?} is cut in {} chunks", self.shape(), self.num_blocks()),
            )
            .with_help("this works on one chunk: rechunk(whole()) first"));
        }
        Ok(())
    }

    /// The solution `x` of `self x = b`, for a vector or a matrix `b`, by LU with partial
    /// pivoting.
    ///
    /// # Errors
    /// A matrix that is not square, not in one chunk, or of another height than `b`; when
    /// computed: a singular matrix, NaN or infinite values.
    #[track_caller]
    pub fn solve(&self, b: &Array<T>) -> Result<Array<T>> {
        self.check_square("solve")?;
        b.check_single("solve")?;
        if b.ndim() == 0 || b.ndim() > 2 || b.shape()[0] != self.shape()[0] {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "solve",
                format!("a right side of shape {:?} for a matrix of shape {:?}", b.shape(), self.shape()),
            )
            .with_help("the right side is a vector or a matrix with as many rows as the matrix"));
        }
        let vector = b.ndim() == 1;
        let args = vec![self.block_list()?[0].arg(), b.block_list()?[0].arg()];
        let call = Call::new(TaskSpec::new("solve"), args, move |inputs: Vec<Input<ArrayD<T>>>| {
            if !vector {
                return kernels::solve(&inputs[0], &inputs[1]);
            }
            let right = ArrayD::clone(&inputs[1]).insert_axis(NdAxis(1));
            let x = kernels::solve(&inputs[0], &right)?.index_axis_move(NdAxis(1), 0);
            Ok(super::lower::tidy(x))
        });
        Ok(Array::from_calls(&self.engine, Grid::single(b.shape()), vec![call]))
    }

    /// The lower triangular `l` with `self = l lᵀ`; only the lower half is read.
    ///
    /// # Errors
    /// A matrix that is not square or not in one chunk; when computed: one that is not
    /// positive definite, NaN or infinite values.
    #[track_caller]
    pub fn cholesky(&self) -> Result<Array<T>> {
        self.check_square("cholesky")?;
        let block = self.block_list()?[0].arg();
        let call = Call::new(TaskSpec::new("cholesky"), (block,), |(block,): (Input<ArrayD<T>>,)| {
            kernels::cholesky(&block)
        });
        Ok(Array::from_calls(&self.engine, Grid::single(self.shape()), vec![call]))
    }
}
