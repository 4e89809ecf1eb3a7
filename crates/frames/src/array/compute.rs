//! Running arrays: compute, persist, and the graph that would run.

use ndarray::{ArrayD, Dimension, IxDyn, Slice};
use trefoil_core::{Call, Error, ErrorKind, Input, Result, TaskGraph, TaskSpec};

use super::element::Element;
use super::lazy::{Array, Block};
use super::lower;

impl<T: Element> Array<T> {
    /// The whole array as one call: what [`compute`](Array::compute) runs.
    ///
    /// # Errors
    /// An error an operator left behind.
    pub fn to_call(&self) -> Result<Call<ArrayD<T>>> {
        let blocks = self.block_list()?;
        if let [Block::Call(call)] = blocks {
            return Ok(call.clone());
        }
        let grid = self.grid().clone();
        let args = blocks.iter().map(Block::arg).collect::<Vec<_>>();
        Ok(Call::new(TaskSpec::new("assemble"), args, move |mut blocks: Vec<Input<ArrayD<T>>>| {
            if blocks.len() == 1
                && let Some(only) = blocks.pop()
            {
                return Ok(only.into_owned());
            }
            let mut out = ArrayD::from_elem(IxDyn(&grid.shape), T::default());
            for (flat, block) in blocks.into_iter().enumerate() {
                let start = grid.block_start(&grid.index(flat));
                out.slice_each_axis_mut(|axis| {
                    let i = axis.axis.index();
                    Slice::from(start[i]..start[i] + block.shape()[i])
                })
                .assign(&*block);
            }
            Ok(out)
        }))
    }

    /// Computes the array and gives it as one ndarray, in C order.
    ///
    /// # Errors
    /// What a block's computation reports; [`ErrorKind::OutOfMemory`] when the result does
    /// not fit the engine's memory budget.
    pub async fn compute(&self) -> Result<ArrayD<T>> {
        let call = self.to_call()?;
        let _held = self.reserve("compute")?;
        let result = self.engine.compute(call).await?;
        Ok(if result.is_standard_layout() { result } else { result.as_standard_layout().into_owned() })
    }

    /// Computes the array with its number of axes in the type: `compute_as::<Ix1>()`.
    ///
    /// # Errors
    /// As [`compute`](Array::compute), and when the array has another number of axes.
    pub async fn compute_as<D: Dimension>(&self) -> Result<ndarray::Array<T, D>> {
        if D::NDIM.is_some_and(|ndim| ndim != self.ndim()) {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "compute_as",
                format!("shape {:?} has {} axes, not {:?}", self.shape(), self.ndim(), D::NDIM.unwrap_or(0)),
            ));
        }
        let result = self.compute().await?;
        result.into_dimensionality().map_err(|e| {
            Error::new(ErrorKind::ShapeMismatch, "compute_as", format!("shape {:?}: {e}", self.shape()))
        })
    }

    /// Computes an array of one element, and gives the element.
    ///
    /// # Errors
    /// As [`compute`](Array::compute), and when there is not exactly one element.
    pub async fn compute_scalar(&self) -> Result<T> {
        self.check()?;
        if self.len() != 1 {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "compute_scalar",
                format!("shape {:?} has {} elements, not 1", self.shape(), self.len()),
            )
            .with_help("reduce the array first, or use compute()"));
        }
        let result = self.compute().await?;
        result.first().copied().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "compute_scalar", "the computed array has no element")
        })
    }

    /// Starts computing every block now and gives an array that holds the results: later
    /// computations start from them. The memory stays reserved in the engine's budget while
    /// the array or one made from it lives.
    ///
    /// # Errors
    /// An error an operator left behind; [`ErrorKind::OutOfMemory`] when the array does not
    /// fit the engine's memory budget. Errors of the computation come out of the result.
    pub fn persist(&self) -> Result<Array<T>> {
        let blocks = self.block_list()?.to_vec();
        let held = self.reserve("persist")?;
        let refs = super::exec::spawn_all(&self.engine, blocks);
        Ok(Array::from_refs(&self.engine, self.grid().clone(), refs, Some(Box::new(held))))
    }

    /// The blocks as calls, in C order of their positions, for use as arguments of tasks.
    ///
    /// # Errors
    /// An error an operator left behind.
    pub fn blocks(&self) -> Result<Vec<Call<ArrayD<T>>>> {
        Ok(self.block_list()?.iter().map(super::exec::as_call).collect())
    }

    /// The graph of tasks that computing would run, to look at or draw.
    ///
    /// # Errors
    /// An error an operator left behind.
    pub fn graph(&self) -> Result<TaskGraph> {
        Ok(self.to_call()?.graph())
    }

    fn reserve(&self, operation: &'static str) -> Result<trefoil_core::Reservation> {
        let bytes = self.nbytes();
        let limit = self.engine.budget().limit();
        if bytes > limit {
            return Err(Error::new(
                ErrorKind::OutOfMemory,
                operation,
                format!(
                    "an array of shape {:?} takes {bytes} bytes, the memory budget is {limit} bytes",
                    self.shape()
                ),
            )
            .with_help("reduce or slice it first, or give the engine a larger memory budget"));
        }
        self.engine.budget().reserve("array", bytes)
    }

    /// Every block through `f`, which must keep the block's shape.
    ///
    /// # Errors
    /// An error an operator left behind. A block of another shape is reported when computed.
    #[track_caller]
    pub fn map_blocks<U: Element>(
        &self,
        f: impl Fn(&ArrayD<T>) -> ArrayD<U> + Clone + Send + Sync + 'static,
    ) -> Result<Array<U>> {
        self.map_blocks_at(move |block, _start| f(block))
    }

    /// As [`map_blocks`](Array::map_blocks), with the index of the block's first element.
    ///
    /// # Errors
    /// As [`map_blocks`](Array::map_blocks).
    #[track_caller]
    pub fn map_blocks_at<U: Element>(
        &self,
        f: impl Fn(&ArrayD<T>, &[usize]) -> ArrayD<U> + Clone + Send + Sync + 'static,
    ) -> Result<Array<U>> {
        let grid = self.grid().clone();
        let spec = TaskSpec::new("map_blocks");
        let calls = self
            .block_list()?
            .iter()
            .zip(grid.indices())
            .map(|(block, index)| {
                let (shape, start, f) = (grid.block_shape(&index), grid.block_start(&index), f.clone());
                Call::new(spec.clone(), (block.arg(),), move |(block,): (Input<ArrayD<T>>,)| {
                    let out = f(&block, &start);
                    if out.shape() != shape {
                        return Err(Error::new(
                            ErrorKind::ShapeMismatch,
                            "map_blocks",
                            format!(
                                "the function gave shape {:?} for a block of shape {shape:?}",
                                out.shape()
                            ),
                        )
                        .with_help("the function must keep the shape of each block"));
                    }
                    Ok(lower::tidy(out))
                })
            })
            .collect();
        Ok(Array::from_calls(&self.engine, grid, calls))
    }
}
