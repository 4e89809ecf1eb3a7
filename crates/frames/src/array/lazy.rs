//! The lazy array itself: a grid of chunks and a recipe, element-wise expressions kept
//! unlowered so that chains of them fuse.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ndarray::ArrayD;
use trefoil_core::{Arg, Call, Engine, Error, IntoArg, Ref, Result};

use super::element::Element;
use super::expr::{self, Expr, MAX_NODES};
use super::grid::{Axis, Grid};
use super::lower;

/// One block of an array: yet to be computed, or a value that exists or will.
pub(crate) enum Block<T> {
    Call(Call<ArrayD<T>>),
    Ref(Ref<ArrayD<T>>),
}

impl<T> Clone for Block<T> {
    fn clone(&self) -> Self {
        match self {
            Block::Call(call) => Block::Call(call.clone()),
            Block::Ref(value) => Block::Ref(value.clone()),
        }
    }
}

impl<T: Element> Block<T> {
    pub fn arg(&self) -> Arg<ArrayD<T>> {
        match self {
            Block::Call(call) => call.into_arg(),
            Block::Ref(value) => value.into_arg(),
        }
    }
}

/// What an array is made of.
pub(crate) enum Kind<T: Element> {
    /// A block per grid cell, in C order.
    Blocks(Vec<Block<T>>),
    /// An element-wise expression over other arrays.
    Expr(Arc<Expr<T>>),
    /// An operator was given arrays that do not fit; every later use reports it.
    Failed(Error),
}

pub(crate) struct Inner<T: Element> {
    pub grid: Grid,
    pub kind: Kind<T>,
    lowered: OnceLock<Result<Vec<Block<T>>>>,
    /// What stands for a long expression in longer ones: its blocks, without the expression.
    leaf: OnceLock<Arc<Inner<T>>>,
    /// Memory that a persisted array holds in the engine's budget.
    _held: Option<Box<dyn std::any::Any + Send + Sync>>,
}

impl<T: Element> Inner<T> {
    pub fn from_parts(grid: Grid, blocks: Vec<Block<T>>) -> Self {
        Inner {
            grid,
            kind: Kind::Blocks(blocks),
            lowered: OnceLock::new(),
            leaf: OnceLock::new(),
            _held: None,
        }
    }

    /// The blocks, in C order; an expression is lowered (once) to one fused call per block.
    pub fn blocks(&self) -> Result<&[Block<T>]> {
        match &self.kind {
            Kind::Blocks(blocks) => Ok(blocks),
            Kind::Failed(error) => Err(error.clone()),
            Kind::Expr(expr) => match self.lowered.get_or_init(|| lower::elementwise(expr, &self.grid)) {
                Ok(blocks) => Ok(blocks),
                Err(error) => Err(error.clone()),
            },
        }
    }
}

/// A lazy, chunked, n-dimensional array.
///
/// Nothing is computed until [`compute`](Array::compute) or [`persist`](Array::persist):
/// methods only describe. Chains of element-wise operations are fused into one task per
/// chunk that makes no temporaries. Cloning is cheap and shares the description; shared
/// parts run once per computation.
///
/// Named methods report what does not fit at once, as `Err`. The operators `+ - * /` cannot,
/// so a mismatch stays in the array they return and comes out of the next fallible method.
///
/// ```
/// use trefoil_core::Engine;
/// use trefoil_frames::array::{ArraySession, chunks};
///
/// let engine = Engine::new()?;
/// let x = engine.array().arange(0.0, 6.0, 1.0, chunks(2))?.reshape([2, 3])?;
/// let y = (&x * 2.0 + 1.0).sum(0)?;
/// let values = engine.block_on(y.compute())?;
/// assert_eq!(values.as_slice(), Some([8.0, 12.0, 16.0].as_slice()));
/// # Ok::<(), trefoil_core::Error>(())
/// ```
pub struct Array<T: Element = f64> {
    pub(crate) engine: Engine,
    pub(crate) inner: Arc<Inner<T>>,
}

impl<T: Element> Clone for Array<T> {
    fn clone(&self) -> Self {
        Array { engine: self.engine.clone(), inner: self.inner.clone() }
    }
}

impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Kind::Failed(error) = &self.inner.kind {
            return write!(f, "Array<{}>(failed: {error})", T::NAME);
        }
        write!(f, "Array<{}>(shape {:?}, chunks {:?})", T::NAME, self.shape(), self.inner.grid.lengths())
    }
}

impl<T: Element> Array<T> {
    pub(crate) fn with_kind(engine: &Engine, grid: Grid, kind: Kind<T>) -> Self {
        let inner = Inner { grid, kind, lowered: OnceLock::new(), leaf: OnceLock::new(), _held: None };
        Array { engine: engine.clone(), inner: Arc::new(inner) }
    }

    pub(crate) fn from_blocks(engine: &Engine, grid: Grid, blocks: Vec<Block<T>>) -> Self {
        debug_assert_eq!(grid.blocks(), blocks.len());
        Array::with_kind(engine, grid, Kind::Blocks(blocks))
    }

    pub(crate) fn from_calls(engine: &Engine, grid: Grid, calls: Vec<Call<ArrayD<T>>>) -> Self {
        Array::from_blocks(engine, grid, calls.into_iter().map(Block::Call).collect())
    }

    pub(crate) fn from_refs(
        engine: &Engine,
        grid: Grid,
        refs: Vec<Ref<ArrayD<T>>>,
        held: Option<Box<dyn std::any::Any + Send + Sync>>,
    ) -> Self {
        let kind = Kind::Blocks(refs.into_iter().map(Block::Ref).collect());
        let inner = Inner { grid, kind, lowered: OnceLock::new(), leaf: OnceLock::new(), _held: held };
        Array { engine: engine.clone(), inner: Arc::new(inner) }
    }

    pub(crate) fn failed(engine: &Engine, grid: Grid, error: Error) -> Self {
        Array::with_kind(engine, grid, Kind::Failed(error))
    }

    pub(crate) fn error(&self) -> Option<&Error> {
        match &self.inner.kind {
            Kind::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The error an operator left behind, if one did.
    pub(crate) fn check(&self) -> Result<()> {
        self.error().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// This array as an operand of an element-wise expression.
    ///
    /// A long expression is lowered here, while what it stands on is lowered already, and
    /// forgotten: a chain of any length is neither lowered nor freed by deep recursion.
    pub(crate) fn expr(&self) -> Arc<Expr<T>> {
        match &self.inner.kind {
            Kind::Expr(expr) if expr.nodes < MAX_NODES => expr.clone(),
            Kind::Expr(_) => match self.inner.blocks() {
                Ok(blocks) => {
                    let make = || Arc::new(Inner::from_parts(self.grid().clone(), blocks.to_vec()));
                    expr::leaf(self.inner.leaf.get_or_init(make).clone())
                }
                Err(_) => expr::leaf(self.inner.clone()),
            },
            _ => expr::leaf(self.inner.clone()),
        }
    }

    /// The blocks in C order of their positions.
    pub(crate) fn block_list(&self) -> Result<&[Block<T>]> {
        self.inner.blocks()
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.inner.grid
    }

    pub(crate) fn axis_grid(&self, axis: usize) -> &Axis {
        &self.inner.grid.axes[axis]
    }

    /// The length of every axis. Empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.inner.grid.shape
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.inner.grid.ndim()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.inner.grid.size()
    }

    /// Whether some axis has length 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes the computed array takes.
    pub fn nbytes(&self) -> usize {
        self.len().saturating_mul(size_of::<T>())
    }

    /// The lengths of the chunks along each axis.
    pub fn chunk_lengths(&self) -> Vec<Vec<usize>> {
        self.inner.grid.lengths()
    }

    /// The number of chunks.
    pub fn num_blocks(&self) -> usize {
        self.inner.grid.blocks()
    }

    /// The engine that will run it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}
