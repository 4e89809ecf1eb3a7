//! Changes of shape: transposing, new and dropped axes, reshaping.

use ndarray::{ArrayD, Axis as NdAxis, IxDyn};
use trefoil_core::{Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::Element;
use super::grid::{AUTO_BYTES, Axis, Grid};
use super::lazy::{Array, Block, Kind};

/// The axis a signed number means, or the error that names both.
pub(crate) fn axis_index(operation: &'static str, axis: isize, ndim: usize) -> Result<usize> {
    let index = if axis < 0 { ndim.checked_sub(axis.unsigned_abs()) } else { Some(axis.unsigned_abs()) };
    index.filter(|&index| index < ndim).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            operation,
            format!("axis {axis} is out of range for an array of {ndim} axes"),
        )
        .with_help("axes count from 0; negative ones from the end, -1 is the last")
    })
}

/// The target of a reshape: axis lengths, one of which may be -1 ("whatever fits").
pub trait IntoReshape {
    /// The lengths, -1 for the open one.
    fn into_reshape(self) -> Vec<i64>;
}

macro_rules! into_reshape {
    ($($type:ty),*) => {$(
        impl<const N: usize> IntoReshape for [$type; N] {
            fn into_reshape(self) -> Vec<i64> {
                self.iter().map(|&len| i64::try_from(len).unwrap_or(i64::MAX)).collect()
            }
        }
        impl IntoReshape for &[$type] {
            fn into_reshape(self) -> Vec<i64> {
                self.iter().map(|&len| i64::try_from(len).unwrap_or(i64::MAX)).collect()
            }
        }
    )*};
}

into_reshape!(usize, i32, i64);

impl<T: Element> Array<T> {
    /// Every block through `f`, under a grid with as many blocks in the same order.
    fn regrid(
        &self,
        name: &'static str,
        grid: Grid,
        blocks: &[Block<T>],
        f: impl Fn(ArrayD<T>, &[usize]) -> Result<ArrayD<T>> + Clone + Send + Sync + 'static,
    ) -> Array<T> {
        let calls = blocks
            .iter()
            .zip(grid.indices())
            .map(|(block, index)| {
                let (shape, f) = (grid.block_shape(&index), f.clone());
                Call::new(TaskSpec::new(name), (block.arg(),), move |(block,): (Input<ArrayD<T>>,)| {
                    f(block.into_owned(), &shape)
                })
            })
            .collect();
        Array::from_calls(&self.engine, grid, calls)
    }

    /// The array with its axes reversed; for a matrix, its transpose.
    pub fn t(&self) -> Array<T> {
        let order: Vec<usize> = (0..self.ndim()).rev().collect();
        self.permuted(&order)
    }

    /// The array with its axes in another order: axis `i` of the result is axis `order[i]`.
    ///
    /// # Errors
    /// An order that does not name every axis once.
    pub fn transpose(&self, order: &[usize]) -> Result<Array<T>> {
        self.check()?;
        let mut seen = vec![false; self.ndim()];
        for &axis in order {
            if let Some(seen) = seen.get_mut(axis) {
                *seen = true;
            }
        }
        if order.len() != self.ndim() || seen.contains(&false) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "transpose",
                format!("{order:?} does not name each of the {} axes once", self.ndim()),
            )
            .with_help("give every axis number exactly once"));
        }
        Ok(self.permuted(order))
    }

    fn permuted(&self, order: &[usize]) -> Array<T> {
        let old = self.grid();
        let grid = Grid::new(order.iter().map(|&axis| old.axes[axis].clone()).collect());
        if order.len() < 2 {
            return self.clone();
        }
        let blocks = match self.block_list() {
            Ok(blocks) => blocks,
            Err(error) => return Array::with_kind(&self.engine, grid, Kind::Failed(error)),
        };
        let moved: Vec<Block<T>> = grid
            .indices()
            .map(|index| {
                let mut source = vec![0; index.len()];
                for (&axis, &i) in order.iter().zip(&index) {
                    source[axis] = i;
                }
                blocks[old.flat(&source)].clone()
            })
            .collect();
        // Only the axes' order changes: a block that no one else holds is not touched at all.
        let axes = IxDyn(order);
        self.regrid("transpose", grid, &moved, move |block, _| Ok(block.permuted_axes(axes.clone())))
    }

    /// The array with a new axis of length 1 before `axis`.
    pub(crate) fn insert_axis(&self, axis: usize) -> Result<Array<T>> {
        let mut axes = self.grid().axes.clone();
        axes.insert(axis, Axis::whole(1));
        let blocks = self.block_list()?;
        Ok(self.regrid("insert_axis", Grid::new(axes), blocks, move |block, _| {
            Ok(block.insert_axis(NdAxis(axis)))
        }))
    }

    /// The array with a new axis of length 1 before `axis` (negative: from the end of the result).
    ///
    /// # Errors
    /// An axis out of range.
    pub fn expand_dims(&self, axis: isize) -> Result<Array<T>> {
        self.check()?;
        self.insert_axis(axis_index("expand_dims", axis, self.ndim() + 1)?)
    }

    /// The array without its axes of length 1.
    ///
    /// # Errors
    /// An error an operator left behind.
    pub fn squeeze(&self) -> Result<Array<T>> {
        let axes = self.grid().axes.iter().filter(|axis| axis.len() != 1).cloned().collect();
        let blocks = self.block_list()?;
        Ok(self.regrid("squeeze", Grid::new(axes), blocks, into_shape))
    }

    /// The same elements in C order under another shape; one length may be -1.
    ///
    /// Chunks are kept where axes are only split or merged along chunk borders; otherwise the
    /// array is first cut along C order.
    ///
    /// # Errors
    /// A shape with another number of elements, negative lengths, more than one -1.
    pub fn reshape(&self, shape: impl IntoReshape) -> Result<Array<T>> {
        self.check()?;
        let shape = self.target(&shape.into_reshape())?;
        if shape == self.shape() {
            return Ok(self.clone());
        }
        if let Some(grid) = kept(self.grid(), &shape) {
            return Ok(self.regrid("reshape", grid, self.block_list()?, into_shape));
        }
        if self.is_empty() {
            let whole = self.to_grid(Grid::single(self.shape()))?;
            return Ok(self.regrid("reshape", Grid::single(&shape), whole.block_list()?, into_shape));
        }
        // Cut so that each block is a run of the C order, line the runs up in one dimension,
        // move the cuts to where the new shape wants them, and fold up again.
        let target = self.grid().largest_block().max(1);
        let runs = self.to_grid(run_grid(self.shape(), target))?;
        let flat = run_axis(runs.grid());
        let line = runs.regrid("flatten", Grid::new(vec![flat]), runs.block_list()?, into_shape);
        let grid = run_grid(&shape, target);
        let line = line.to_grid(Grid::new(vec![run_axis(&grid)]))?;
        Ok(line.regrid("reshape", grid, line.block_list()?, into_shape))
    }

    /// All elements in C order along one axis.
    ///
    /// # Errors
    /// An error an operator left behind.
    pub fn flatten(&self) -> Result<Array<T>> {
        self.reshape([-1i64])
    }

    fn target(&self, shape: &[i64]) -> Result<Vec<usize>> {
        let fail = |message: String| {
            Error::new(ErrorKind::ShapeMismatch, "reshape", message)
                .with_help("the number of elements must stay the same; one length may be -1")
        };
        let open = shape.iter().filter(|&&len| len == -1).count();
        if open > 1 || shape.iter().any(|&len| len < -1) {
            return Err(fail(format!("{shape:?} is not a shape")));
        }
        let known = shape
            .iter()
            .filter(|&&len| len >= 0)
            .try_fold(1usize, |product, &len| product.checked_mul(usize::try_from(len).ok()?));
        let mismatch =
            || fail(format!("shape {:?} of {} elements cannot become {shape:?}", self.shape(), self.len()));
        let known = known.ok_or_else(mismatch)?;
        let rest = match (open, known) {
            (0, known) if known == self.len() => 1,
            (1, known) if known > 0 && self.len().is_multiple_of(known) => self.len() / known,
            _ => return Err(mismatch()),
        };
        Ok(shape.iter().map(|&len| usize::try_from(len).unwrap_or(rest)).collect())
    }
}

fn into_shape<T: Element>(block: ArrayD<T>, shape: &[usize]) -> Result<ArrayD<T>> {
    // Memory may be in another order than C: then, and only then, this copies.
    let block = if block.is_standard_layout() { block } else { block.as_standard_layout().into_owned() };
    block
        .into_shape_with_order(IxDyn(shape))
        .map_err(|e| Error::new(ErrorKind::Internal, "reshape", format!("a block to shape {shape:?}: {e}")))
}

/// The grid of `shape` that needs no data moved between blocks, if there is one.
fn kept(grid: &Grid, shape: &[usize]) -> Option<Grid> {
    if grid.size() == 0 {
        return None;
    }
    if grid.blocks() == 1 {
        return Some(Grid::single(shape));
    }
    let mut axes = Vec::with_capacity(shape.len());
    let (mut i, mut j) = (0, 0);
    while i < grid.ndim() || j < shape.len() {
        // The next group: as many old and new axes as it takes to have equal products.
        let (from, to) = (i, j);
        let (mut old, mut new) = (1, 1);
        if i < grid.ndim() {
            old = grid.shape[i];
            i += 1;
        }
        if j < shape.len() {
            new = shape[j];
            j += 1;
        }
        while old != new {
            if old < new {
                old *= *grid.shape.get(i)?;
                i += 1;
            } else {
                new *= *shape.get(j)?;
                j += 1;
            }
        }
        let olds: Vec<&Axis> = grid.axes[from..i].iter().filter(|axis| axis.len() != 1).collect();
        let news: Vec<usize> = shape[to..j].iter().copied().filter(|&len| len != 1).collect();
        let cut = match (olds.as_slice(), news.as_slice()) {
            ([], []) => None,
            ([head, tail @ ..], [_, inner @ ..]) => {
                if tail.iter().any(|axis| axis.count() > 1) {
                    return None;
                }
                let outer: usize = tail.iter().map(|axis| axis.len()).product();
                let inner: usize = inner.iter().product();
                let lens: Option<Vec<usize>> = head
                    .lens
                    .iter()
                    .map(|len| (len * outer).is_multiple_of(inner).then(|| len * outer / inner))
                    .collect();
                Some(Axis::new(lens?))
            }
            _ => return None,
        };
        let mut cut = cut;
        for &len in &shape[to..j] {
            axes.push(if len == 1 { Axis::whole(1) } else { cut.take().unwrap_or_else(|| Axis::whole(len)) });
        }
    }
    Some(Grid::new(axes))
}

/// A grid whose blocks are runs of the C order of about `target` elements: leading axes cut
/// to 1, one axis cut evenly, the rest whole.
fn run_grid(shape: &[usize], target: usize) -> Grid {
    let target = target.min(AUTO_BYTES);
    let mut axes = vec![Axis::whole(1); shape.len()];
    let mut inner = 1usize;
    let mut cut = false;
    for axis in (0..shape.len()).rev() {
        let len = shape[axis];
        axes[axis] = if cut {
            Axis::even(len, 1)
        } else if inner.saturating_mul(len) <= target {
            Axis::whole(len)
        } else {
            cut = true;
            Axis::even(len, (target / inner).max(1))
        };
        inner = inner.saturating_mul(len);
    }
    Grid::new(axes)
}

/// The blocks of a run grid, lined up.
fn run_axis(grid: &Grid) -> Axis {
    Axis::new(grid.indices().map(|index| grid.block_shape(&index).iter().product()).collect())
}
