//! Lowering: from element-wise expressions to one fused call per block.
//!
//! A fused call takes the blocks of the expression's leaves as arguments. When all leaves
//! have one element type they are passed as they are; otherwise each goes through a small
//! node that erases its type without copying the data.

use std::any::Any;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use trefoil_core::{Arg, Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::Element;
use super::expr::{Compiler, Expr};
use super::grid::{Axis, Grid};
use super::interp::{Cursor, Frame, Program};
use super::lazy::{Block, Inner};
use super::{kernels, rechunk};

/// A leaf block whose element type is known only to the leaf.
#[derive(Clone)]
pub(crate) struct Erased(Arc<dyn Any + Send + Sync>);

/// A leaf of an expression, its element type erased.
pub(crate) trait AnyLeaf: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    /// The leaf cut as `grid` is (axes of length 1 stay so), so that its blocks line up.
    fn aligned(&self, grid: &Grid) -> Result<Arc<dyn AnyLeaf>>;
    fn erased_arg(&self, out: &Grid, index: &[usize]) -> Result<Arg<Erased>>;
    fn bind<'a>(&self, block: &'a Erased, shape: &[usize], frame: &mut Frame<'a>) -> Result<()>;
}

impl<T: Element> AnyLeaf for Arc<Inner<T>> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn aligned(&self, grid: &Grid) -> Result<Arc<dyn AnyLeaf>> {
        let skip = grid.ndim() - self.grid.ndim();
        let axes = self
            .grid
            .axes
            .iter()
            .zip(&grid.axes[skip..])
            .map(|(own, out)| if own.len() == 1 { Axis::whole(1) } else { out.clone() });
        let target = Grid::new(axes.collect());
        if target == self.grid {
            return Ok(Arc::new(self.clone()));
        }
        let blocks = rechunk::recut(self.blocks()?, &self.grid, &target)?;
        Ok(Arc::new(Arc::new(Inner::from_parts(target, blocks))))
    }

    fn erased_arg(&self, out: &Grid, index: &[usize]) -> Result<Arg<Erased>> {
        let arg = block_for(self, out, index)?.arg();
        let call = Call::new(TaskSpec::new("leaf"), (arg,), |(block,): (Input<ArrayD<T>>,)| {
            Ok(Erased(Arc::new(block)))
        });
        Ok(Arg::Call(call))
    }

    fn bind<'a>(&self, block: &'a Erased, shape: &[usize], frame: &mut Frame<'a>) -> Result<()> {
        let block = block.0.downcast_ref::<Input<ArrayD<T>>>().ok_or_else(mistyped)?;
        bind(block, shape, frame)
    }
}

fn mistyped() -> Error {
    Error::new(ErrorKind::Internal, "array", "a leaf block has another element type than its array")
}

/// The block of `leaf` that block `index` of the result reads.
fn block_for<'l, T: Element>(leaf: &'l Arc<Inner<T>>, out: &Grid, index: &[usize]) -> Result<&'l Block<T>> {
    let skip = out.ndim() - leaf.grid.ndim();
    let own: Vec<usize> = leaf
        .grid
        .axes
        .iter()
        .zip(&index[skip..])
        .map(|(axis, &i)| if axis.len() == 1 { 0 } else { i })
        .collect();
    Ok(&leaf.blocks()?[leaf.grid.flat(&own)])
}

/// Adds a leaf block to the frame, broadcast to `shape`.
pub(crate) fn bind<'a, T: Element>(
    block: &'a ArrayD<T>,
    shape: &[usize],
    frame: &mut Frame<'a>,
) -> Result<()> {
    let data = kernels::elements(block)?;
    let skip = shape.len() - block.ndim();
    let mut strides = vec![0; shape.len()];
    for (axis, (&len, &stride)) in block.shape().iter().zip(block.strides()).enumerate() {
        if len != shape[skip + axis] && len != 1 {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "array",
                format!("a block of shape {:?} does not broadcast to {shape:?}", block.shape()),
            ));
        }
        strides[skip + axis] = if len == 1 { 0 } else { stride.unsigned_abs() };
    }
    T::file_mut(frame).leaves.push(Cursor::new(data, shape, &strides));
    Ok(())
}

/// One call per block of `grid`, each evaluating `expr` and giving its runs to what
/// `consume` makes of them.
pub(crate) fn fused<T: Element, U: Clone + Send + Sync + 'static>(
    name: &'static str,
    expr: &Arc<Expr<T>>,
    grid: &Grid,
    consume: impl Fn(&Program<T>, &mut Frame<'_>, &[usize], &[usize]) -> Result<U> + Clone + Send + Sync + 'static,
) -> Result<Vec<Call<U>>> {
    let (program, leaves) = Compiler::compile(expr);
    let program = Arc::new(program);
    let leaves = leaves.iter().map(|leaf| leaf.aligned(grid)).collect::<Result<Vec<_>>>()?;
    let mut calls = Vec::with_capacity(grid.blocks());
    let same: Option<Vec<Arc<Inner<T>>>> =
        leaves.iter().map(|leaf| leaf.as_any().downcast_ref::<Arc<Inner<T>>>().cloned()).collect();
    let floats: Option<Vec<Arc<Inner<f64>>>> =
        leaves.iter().map(|leaf| leaf.as_any().downcast_ref::<Arc<Inner<f64>>>().cloned()).collect();
    for index in grid.indices() {
        let call = if let Some(leaves) = &same {
            typed_call(name, &program, leaves, grid, index, consume.clone())?
        } else if let Some(leaves) = &floats {
            typed_call(name, &program, leaves, grid, index, consume.clone())?
        } else {
            erased_call(name, &program, &leaves, grid, index, consume.clone())?
        };
        calls.push(call);
    }
    Ok(calls)
}

fn typed_call<L: Element, T: Element, U: Clone + Send + Sync + 'static>(
    name: &'static str,
    program: &Arc<Program<T>>,
    leaves: &[Arc<Inner<L>>],
    grid: &Grid,
    index: Vec<usize>,
    consume: impl Fn(&Program<T>, &mut Frame<'_>, &[usize], &[usize]) -> Result<U> + Send + Sync + 'static,
) -> Result<Call<U>> {
    let args = leaves
        .iter()
        .map(|leaf| Ok(block_for(leaf, grid, &index)?.arg()))
        .collect::<Result<Vec<Arg<ArrayD<L>>>>>()?;
    let shape = grid.block_shape(&index);
    let start = grid.block_start(&index);
    let program = program.clone();
    Ok(Call::new(TaskSpec::new(name), args, move |blocks: Vec<Input<ArrayD<L>>>| {
        let mut frame = Frame::new(program.regs);
        for block in &blocks {
            bind(block, &shape, &mut frame)?;
        }
        consume(&program, &mut frame, &shape, &start)
    }))
}

fn erased_call<T: Element, U: Clone + Send + Sync + 'static>(
    name: &'static str,
    program: &Arc<Program<T>>,
    leaves: &[Arc<dyn AnyLeaf>],
    grid: &Grid,
    index: Vec<usize>,
    consume: impl Fn(&Program<T>, &mut Frame<'_>, &[usize], &[usize]) -> Result<U> + Send + Sync + 'static,
) -> Result<Call<U>> {
    let args = leaves.iter().map(|leaf| leaf.erased_arg(grid, &index)).collect::<Result<Vec<_>>>()?;
    let shape = grid.block_shape(&index);
    let start = grid.block_start(&index);
    let program = program.clone();
    let leaves = leaves.to_vec();
    Ok(Call::new(TaskSpec::new(name), args, move |blocks: Vec<Input<Erased>>| {
        let mut frame = Frame::new(program.regs);
        for (leaf, block) in leaves.iter().zip(&blocks) {
            leaf.bind(block, &shape, &mut frame)?;
        }
        consume(&program, &mut frame, &shape, &start)
    }))
}

/// The blocks of an element-wise array.
pub(crate) fn elementwise<T: Element>(expr: &Arc<Expr<T>>, grid: &Grid) -> Result<Vec<Block<T>>> {
    let calls = fused("elementwise", expr, grid, |program, frame, shape, _start| {
        let len = shape.iter().product();
        let mut out = Vec::with_capacity(len);
        program.run(frame, len, |run| out.extend_from_slice(run));
        from_vec(shape, out)
    })?;
    Ok(calls.into_iter().map(Block::Call).collect())
}

/// A block out of its elements in C order.
pub(crate) fn from_vec<T>(shape: &[usize], data: Vec<T>) -> Result<ArrayD<T>> {
    ArrayD::from_shape_vec(IxDyn(shape), data)
        .map_err(|e| Error::new(ErrorKind::Internal, "array", format!("a block of shape {shape:?}: {e}")))
}

/// A block as the rest of the leaf expects it: contiguous, axes in any order, steps positive.
pub(crate) fn tidy<T: Element>(block: ArrayD<T>) -> ArrayD<T> {
    let forward = block.shape().iter().zip(block.strides()).all(|(&len, &stride)| len <= 1 || stride > 0);
    if forward && block.as_slice_memory_order().is_some() {
        block
    } else {
        block.as_standard_layout().into_owned()
    }
}
