//! Reductions: per chunk, then combined pairwise along the chunk grid.
//!
//! The order of combination depends on the chunk grid only, never on which task ends first,
//! so that results repeat to the last bit on any number of workers. Sums are pairwise inside
//! a chunk too (Higham, "The accuracy of floating point summation", 1993).

use ndarray::{ArrayD, ArrayViewD, Axis as NdAxis, IxDyn};
use trefoil_core::{Arg, Call, Engine, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::{Element, Numeric};
use super::grid::{Axis, Grid};
use super::interp::BLOCK;
use super::lazy::{Array, Kind};
use super::lower;
use super::shape::axis_index;

/// How many partial results one combining task takes.
const FAN_IN: usize = 8;

/// Which axes to reduce, and whether they stay as axes of length 1.
///
/// From `..` (all), a number, or a list of numbers, negative ones counting from the end:
/// `x.sum(..)`, `x.sum(0)`, `x.sum([0, -1])`, `x.sum(axes(1).keepdims())`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes {
    list: Option<Vec<isize>>,
    keep: bool,
}

/// Names axes to reduce, in order to say more about them: `axes(0).keepdims()`.
pub fn axes(spec: impl Into<Axes>) -> Axes {
    spec.into()
}

impl Axes {
    /// Keeps reduced axes as axes of length 1.
    pub fn keepdims(mut self) -> Axes {
        self.keep = true;
        self
    }

    /// The axes as sorted numbers, and whether to keep them.
    pub(crate) fn resolve(&self, operation: &'static str, ndim: usize) -> Result<(Vec<usize>, bool)> {
        let Some(list) = &self.list else { return Ok(((0..ndim).collect(), self.keep)) };
        let mut resolved = Vec::with_capacity(list.len());
        for &axis in list {
            let axis = axis_index(operation, axis, ndim)?;
            if resolved.contains(&axis) {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    operation,
                    format!("axis {axis} is named twice"),
                )
                .with_help("name each axis once"));
            }
            resolved.push(axis);
        }
        resolved.sort_unstable();
        Ok((resolved, self.keep))
    }
}

impl From<std::ops::RangeFull> for Axes {
    fn from(_: std::ops::RangeFull) -> Self {
        Axes { list: None, keep: false }
    }
}

impl From<Option<usize>> for Axes {
    fn from(axis: Option<usize>) -> Self {
        Axes { list: axis.map(|axis| vec![isize::try_from(axis).unwrap_or(isize::MAX)]), keep: false }
    }
}

macro_rules! axes_from {
    ($($type:ty),*) => {$(
        impl From<$type> for Axes {
            fn from(axis: $type) -> Self {
                Axes { list: Some(vec![isize::try_from(axis).unwrap_or(isize::MAX)]), keep: false }
            }
        }
        impl<const N: usize> From<[$type; N]> for Axes {
            fn from(axes: [$type; N]) -> Self {
                let list = axes.iter().map(|&axis| isize::try_from(axis).unwrap_or(isize::MAX)).collect();
                Axes { list: Some(list), keep: false }
            }
        }
    )*};
}

axes_from!(i32, isize, usize);

/// The grid after reducing `axes`, kept as length 1.
pub(crate) fn reduced(grid: &Grid, axes: &[usize]) -> Grid {
    let cut = |(i, axis): (usize, &Axis)| if axes.contains(&i) { Axis::whole(1) } else { axis.clone() };
    Grid::new(grid.axes.iter().enumerate().map(cut).collect())
}

/// Combines the partial results of the blocks of `grid` along `axes`, [`FAN_IN`] at a time,
/// and gives one call per block of the reduced grid.
pub(crate) fn tree<P: Clone + Send + Sync + 'static>(
    name: &'static str,
    grid: &Grid,
    axes: &[usize],
    partials: &[Call<P>],
    combine: impl Fn(&[&P]) -> Result<P> + Clone + Send + Sync + 'static,
) -> Vec<Call<P>> {
    let out = reduced(grid, axes);
    let inner = Grid::new(axes.iter().map(|&axis| grid.axes[axis].clone()).collect());
    out.indices()
        .map(|index| {
            let mut level: Vec<Call<P>> = inner
                .indices()
                .map(|within| {
                    let mut position = index.clone();
                    for (&axis, &i) in axes.iter().zip(&within) {
                        position[axis] = i;
                    }
                    partials[grid.flat(&position)].clone()
                })
                .collect();
            while level.len() > 1 {
                level = level
                    .chunks(FAN_IN)
                    .map(|group| {
                        if let [only] = group {
                            return only.clone();
                        }
                        let args: Vec<Arg<P>> = group.iter().map(|call| Arg::Call(call.clone())).collect();
                        let combine = combine.clone();
                        Call::new(TaskSpec::new(name), args, move |parts: Vec<Input<P>>| {
                            let parts: Vec<&P> = parts.iter().map(|part| &**part).collect();
                            combine(&parts)
                        })
                    })
                    .collect();
            }
            level.swap_remove(0)
        })
        .collect()
}

/// The array of finished reductions; drops the reduced axes unless they are kept.
pub(crate) fn finish<P: Clone + Send + Sync + 'static, T: Element>(
    name: &'static str,
    engine: &Engine,
    grid: &Grid,
    axes: &[usize],
    keep: bool,
    calls: Vec<Call<P>>,
    f: impl Fn(&P) -> ArrayD<T> + Clone + Send + Sync + 'static,
) -> Array<T> {
    let kept = reduced(grid, axes);
    let out = if keep {
        kept
    } else {
        let rest = kept.axes.iter().enumerate().filter(|(i, _)| !axes.contains(i));
        Grid::new(rest.map(|(_, axis)| axis.clone()).collect())
    };
    let calls = calls
        .into_iter()
        .map(|call| {
            let (f, axes) = (f.clone(), axes.to_vec());
            Call::new(TaskSpec::new(name), (Arg::Call(call),), move |(part,): (Input<P>,)| {
                let mut block = f(&part);
                if !keep {
                    for &axis in axes.iter().rev() {
                        block = block.index_axis_move(NdAxis(axis), 0);
                    }
                }
                Ok(lower::tidy(block))
            })
        })
        .collect();
    Array::from_calls(engine, out, calls)
}

/// Pairwise combination of a stream of values: like a tree over them, in constant space.
pub(crate) struct Pairwise<T> {
    stack: Vec<(T, u32)>,
}

impl<T: Copy> Pairwise<T> {
    pub fn new() -> Self {
        Pairwise { stack: Vec::new() }
    }

    pub fn push(&mut self, mut value: T, op: impl Fn(T, T) -> T) {
        let mut level = 0;
        while let Some(&(top, at)) = self.stack.last() {
            if at != level {
                break;
            }
            self.stack.pop();
            value = op(top, value);
            level += 1;
        }
        self.stack.push((value, level));
    }

    pub fn finish(mut self, op: impl Fn(T, T) -> T) -> Option<T> {
        let (mut value, _) = self.stack.pop()?;
        while let Some((left, _)) = self.stack.pop() {
            value = op(left, value);
        }
        Some(value)
    }
}

/// One run folded with 16 independent accumulators, which vectorises.
#[inline]
pub(crate) fn fold_run<T: Copy>(run: &[T], identity: T, op: impl Fn(T, T) -> T + Copy) -> T {
    const LANES: usize = 16;
    let mut lanes = [identity; LANES];
    let chunks = run.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = op(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = op(*lane, value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = op(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Folds `view` along `axis`, pairwise; the axis stays with length 1.
pub(crate) fn fold_axis<T: Element>(
    view: ArrayViewD<'_, T>,
    axis: usize,
    identity: T,
    op: impl Fn(T, T) -> T + Copy,
) -> ArrayD<T> {
    let len = view.shape()[axis];
    if len <= 8 {
        let mut shape = view.shape().to_vec();
        shape[axis] = 1;
        let mut out = ArrayD::from_elem(IxDyn(&shape), identity);
        for slice in view.axis_chunks_iter(NdAxis(axis), 1) {
            out.zip_mut_with(&slice, |out, &value| *out = op(*out, value));
        }
        return out;
    }
    let (left, right) = view.split_at(NdAxis(axis), len / 2);
    let mut out = fold_axis(left, axis, identity, op);
    let right = fold_axis(right, axis, identity, op);
    out.zip_mut_with(&right, |out, &value| *out = op(*out, value));
    out
}

/// Folds a block along several axes, which stay with length 1.
pub(crate) fn fold_block<T: Element>(
    block: &ArrayD<T>,
    axes: &[usize],
    identity: T,
    op: impl Fn(T, T) -> T + Copy,
) -> ArrayD<T> {
    if axes.len() == block.ndim()
        && let Some(data) = block.as_slice()
    {
        let mut sum = Pairwise::new();
        data.chunks(BLOCK).for_each(|run| sum.push(fold_run(run, identity, op), op));
        let value = sum.finish(op).unwrap_or(identity);
        return ArrayD::from_elem(IxDyn(&vec![1; axes.len()]), value);
    }
    let mut out: Option<ArrayD<T>> = None;
    for &axis in axes.iter().rev() {
        let view = out.as_ref().map_or_else(|| block.view(), |out| out.view());
        out = Some(fold_axis(view, axis, identity, op));
    }
    out.unwrap_or_else(|| block.clone())
}

impl<T: Element> Array<T> {
    /// A reduction by an associative operation on elements.
    pub(crate) fn fold(
        &self,
        name: &'static str,
        axes: impl Into<Axes>,
        identity: T,
        op: impl Fn(T, T) -> T + Copy + Send + Sync + 'static,
    ) -> Result<Array<T>> {
        self.check()?;
        let (axes, keep) = axes.into().resolve(name, self.ndim())?;
        let grid = self.grid().clone();
        let partials = match &self.inner.kind {
            // All of an expression: folded as it is evaluated, never stored.
            Kind::Expr(expr) if axes.len() == grid.ndim() => {
                lower::fused(name, expr, &grid, move |program, frame, shape, _| {
                    let mut sum = Pairwise::new();
                    program
                        .run(frame, shape.iter().product(), |run| sum.push(fold_run(run, identity, op), op));
                    let value = sum.finish(op).unwrap_or(identity);
                    Ok(ArrayD::from_elem(IxDyn(&vec![1; shape.len()]), value))
                })?
            }
            _ => {
                let partial = axes.clone();
                self.partials(name, move |block, _| Ok(fold_block(block, &partial, identity, op)))?
            }
        };
        let calls = tree(name, &grid, &axes, &partials, move |parts| Ok(pairwise_blocks(parts, op)));
        Ok(finish(name, &self.engine, &grid, &axes, keep, calls, ArrayD::clone))
    }

    /// One call per block, given the block and the index of its first element.
    pub(crate) fn partials<P: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        f: impl Fn(&ArrayD<T>, &[usize]) -> Result<P> + Clone + Send + Sync + 'static,
    ) -> Result<Vec<Call<P>>> {
        let grid = self.grid();
        Ok(self
            .block_list()?
            .iter()
            .zip(grid.indices())
            .map(|(block, index)| {
                let (start, f) = (grid.block_start(&index), f.clone());
                Call::new(TaskSpec::new(name), (block.arg(),), move |(block,): (Input<ArrayD<T>>,)| {
                    f(&block, &start)
                })
            })
            .collect())
    }
}

fn pairwise_blocks<T: Element>(parts: &[&ArrayD<T>], op: impl Fn(T, T) -> T + Copy) -> ArrayD<T> {
    match parts {
        [] => ArrayD::from_elem(IxDyn(&[]), T::default()),
        [only] => ArrayD::clone(only),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            let mut out = pairwise_blocks(left, op);
            let right = pairwise_blocks(right, op);
            out.zip_mut_with(&right, |out, &value| *out = op(*out, value));
            out
        }
    }
}

impl<T: Numeric> Array<T> {
    /// The sum along `axes`; of nothing, 0. Integers wrap: cast `i32` to `i64` first if in doubt.
    ///
    /// # Errors
    /// An axis out of range or named twice.
    pub fn sum(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        self.fold("sum", axes, T::ZERO, T::plus)
    }

    /// The product along `axes`; of nothing, 1.
    ///
    /// # Errors
    /// As [`sum`](Array::sum).
    pub fn prod(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        self.fold("prod", axes, T::ONE, T::times)
    }
}

impl Array<bool> {
    /// Whether any element along `axes` is true.
    ///
    /// # Errors
    /// An axis out of range or named twice.
    pub fn any(&self, axes: impl Into<Axes>) -> Result<Array<bool>> {
        self.fold("any", axes, false, |a, b| a | b)
    }

    /// Whether all elements along `axes` are true.
    ///
    /// # Errors
    /// As [`any`](Array::any).
    pub fn all(&self, axes: impl Into<Axes>) -> Result<Array<bool>> {
        self.fold("all", axes, true, |a, b| a & b)
    }
}
