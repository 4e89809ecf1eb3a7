//! Where arrays come from: `engine.array()` and its constructors.

use ndarray::{ArrayD, Slice};
use trefoil_core::{Arg, Call, Engine, Error, ErrorKind, Input, IntoArg, Result, TaskSpec};

use super::element::{Element, Float, Numeric};
use super::grid::{Chunks, Grid};
use super::lazy::{Array, Block, Kind};
use super::{expr, lower, random};
use crate::Seed;

mod sealed {
    pub trait Sealed {}
    impl Sealed for trefoil_core::Engine {}
}

/// Adds [`array`](ArraySession::array) to an engine (and to what dereferences to one).
pub trait ArraySession: sealed::Sealed {
    /// Constructors of arrays that this engine will compute.
    fn array(&self) -> ArrayBuilder<'_>;
}

impl ArraySession for Engine {
    fn array(&self) -> ArrayBuilder<'_> {
        ArrayBuilder { engine: self }
    }
}

/// Makes arrays; see [`ArraySession`]. Every constructor takes the chunks last or before the
/// seed: `chunks([50, 40])`, `[50, 40]`, `auto()` or `whole()`.
///
/// All of them fail when a chunk size is 0, when there are not as many chunk sizes as axes,
/// when the shape has more elements than can be addressed, and when one chunk alone would
/// not fit the engine's memory budget.
#[derive(Debug, Clone, Copy)]
pub struct ArrayBuilder<'e> {
    engine: &'e Engine,
}

/// The axis lengths of an array: `[3, 4]`, `&[3, 4]`, `vec![3, 4]`, or `5` for one axis.
pub trait IntoShape {
    /// The lengths.
    fn into_shape(self) -> Vec<usize>;
}

impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> Vec<usize> {
        self.to_vec()
    }
}

impl IntoShape for &[usize] {
    fn into_shape(self) -> Vec<usize> {
        self.to_vec()
    }
}

impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Vec<usize> {
        self
    }
}

impl IntoShape for usize {
    fn into_shape(self) -> Vec<usize> {
        vec![self]
    }
}

impl ArrayBuilder<'_> {
    fn grid<T>(&self, operation: &'static str, shape: &[usize], chunks: Chunks) -> Result<Grid> {
        let grid = Grid::plan(operation, shape, &chunks, size_of::<T>())?;
        let largest = grid.largest_block().saturating_mul(size_of::<T>());
        let limit = self.engine.budget().limit();
        if largest > limit {
            return Err(Error::new(
                ErrorKind::OutOfMemory,
                operation,
                format!(
                    "a chunk of shape {shape:?} would take {largest} bytes, the memory budget is {limit} bytes"
                ),
            )
            .with_help("use smaller chunks, or a larger memory budget"));
        }
        Ok(grid)
    }

    /// An array whose block at `start` with `shape` is made by `make`.
    #[track_caller]
    fn generate<T: Element>(
        &self,
        name: &'static str,
        grid: Grid,
        make: impl Fn(&[usize], &[usize]) -> Result<ArrayD<T>> + Clone + Send + Sync + 'static,
    ) -> Array<T> {
        let spec = TaskSpec::new(name);
        let calls = grid
            .indices()
            .map(|index| {
                let (shape, start) = (grid.block_shape(&index), grid.block_start(&index));
                let make = make.clone();
                Call::new(spec.clone(), (), move |()| make(&start, &shape))
            })
            .collect();
        Array::from_calls(self.engine, grid, calls)
    }

    /// An array of one value. It takes no memory until it is needed as a whole.
    ///
    /// # Errors
    /// See [`ArrayBuilder`] (so for every constructor).
    pub fn full<T: Element>(
        &self,
        shape: impl IntoShape,
        value: T,
        chunks: impl Into<Chunks>,
    ) -> Result<Array<T>> {
        let grid = self.grid::<T>("full", &shape.into_shape(), chunks.into())?;
        Ok(Array::with_kind(self.engine, grid, Kind::Expr(expr::constant(value))))
    }

    /// An array of zeros.
    ///
    /// # Errors
    /// See [`ArrayBuilder`].
    pub fn zeros<T: Numeric>(&self, shape: impl IntoShape, chunks: impl Into<Chunks>) -> Result<Array<T>> {
        self.full(shape, T::ZERO, chunks)
    }

    /// An array of ones.
    ///
    /// # Errors
    /// See [`ArrayBuilder`].
    pub fn ones<T: Numeric>(&self, shape: impl IntoShape, chunks: impl Into<Chunks>) -> Result<Array<T>> {
        self.full(shape, T::ONE, chunks)
    }

    /// The values `start`, `start + step`, ... below `stop` (above it for a negative step).
    ///
    /// # Errors
    /// A step of 0, bounds or step that are not finite, and see [`ArrayBuilder`].
    #[track_caller]
    pub fn arange<T: Numeric>(
        &self,
        start: T,
        stop: T,
        step: T,
        chunks: impl Into<Chunks>,
    ) -> Result<Array<T>> {
        let (from, to, by) = (start.as_f64(), stop.as_f64(), step.as_f64());
        if !from.is_finite() || !to.is_finite() || !by.is_finite() || by == 0.0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "arange",
                format!("from {start} to {stop} by {step} has no number of elements"),
            )
            .with_help("the bounds must be finite and the step finite and not 0"));
        }
        let count = ((to - from) / by).ceil().max(0.0);
        if count >= isize::MAX as f64 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "arange",
                format!("from {start} to {stop} by {step} has {count} elements, too many"),
            ));
        }
        let grid = self.grid::<T>("arange", &[count as usize], chunks.into())?;
        Ok(self.generate("arange", grid, move |offset, shape| {
            let first = offset[0];
            let value = |i: usize| start.plus(T::from_i64((first + i) as i64).times(step));
            lower::from_vec(shape, (0..shape[0]).map(value).collect())
        }))
    }

    /// `count` evenly spaced values from `start` to `stop`, both included.
    ///
    /// # Errors
    /// Bounds that are not finite, and see [`ArrayBuilder`].
    #[track_caller]
    pub fn linspace<T: Float>(
        &self,
        start: T,
        stop: T,
        count: usize,
        chunks: impl Into<Chunks>,
    ) -> Result<Array<T>> {
        if !start.finite() || !stop.finite() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "linspace",
                format!("bounds {start} and {stop} are not both finite"),
            )
            .with_help("give two finite numbers"));
        }
        let grid = self.grid::<T>("linspace", &[count], chunks.into())?;
        let last = count.saturating_sub(1);
        Ok(self.generate("linspace", grid, move |offset, shape| {
            let value = |i: usize| {
                let i = offset[0] + i;
                if i == last && i > 0 {
                    return stop;
                }
                // A weighted mean: the difference of the bounds may overflow where they do not.
                let share = T::from_f64(if last == 0 { 0.0 } else { i as f64 / last as f64 });
                start.times(T::ONE.minus(share)).plus(stop.times(share))
            };
            lower::from_vec(shape, (0..shape[0]).map(value).collect())
        }))
    }

    /// The `n` x `n` identity matrix.
    ///
    /// # Errors
    /// See [`ArrayBuilder`].
    #[track_caller]
    pub fn eye<T: Numeric>(&self, n: usize, chunks: impl Into<Chunks>) -> Result<Array<T>> {
        let grid = self.grid::<T>("eye", &[n, n], chunks.into())?;
        Ok(self.generate("eye", grid, |start, shape| {
            let mut data = vec![T::ZERO; shape[0] * shape[1]];
            for row in 0..shape[0] {
                if let Some(col) = (start[0] + row).checked_sub(start[1])
                    && col < shape[1]
                {
                    data[row * shape[1] + col] = T::ONE;
                }
            }
            lower::from_vec(shape, data)
        }))
    }

    /// A copy of `array`, cut into chunks that the engine holds and its memory budget pays for.
    ///
    /// # Errors
    /// See [`ArrayBuilder`]; a copy that does not fit the budget; an engine that is shut down.
    pub fn from_ndarray<T: Element>(&self, array: &ArrayD<T>, chunks: impl Into<Chunks>) -> Result<Array<T>> {
        let grid = self.grid::<T>("from_ndarray", array.shape(), chunks.into())?;
        let mut blocks = Vec::with_capacity(grid.blocks());
        for index in grid.indices() {
            let (start, shape) = (grid.block_start(&index), grid.block_shape(&index));
            let block = array.slice_each_axis(|axis| {
                let i = axis.axis.index();
                Slice::from(start[i]..start[i] + shape[i])
            });
            let bytes = size_of::<T>().saturating_mul(block.len());
            let block = block.as_standard_layout().into_owned();
            blocks.push(Block::Ref(self.engine.put_sized(block, bytes)?));
        }
        Ok(Array::from_blocks(self.engine, grid, blocks))
    }

    /// An array out of blocks that exist or will: refs, calls (results of tasks) or values, in
    /// C order of their positions. `chunks` says how `shape` is cut.
    ///
    /// A block that others hold too is copied when it is used; a task's result is not.
    ///
    /// # Errors
    /// See [`ArrayBuilder`]; another number of blocks than chunks. A block of another shape
    /// than its chunk is reported when computed.
    ///
    /// ```
    /// use ndarray::ArrayD;
    /// use trefoil_core::Engine;
    /// use trefoil_frames::array::{ArraySession, chunks};
    /// let engine = Engine::new()?;
    /// let parts = (1..3).map(|i| engine.spawn_fn(move || ArrayD::from_elem(vec![2], f64::from(i))));
    /// let x = engine.array().from_blocks([4], chunks(2), parts)?;
    /// assert_eq!(engine.block_on(x.compute())?.into_raw_vec_and_offset().0, [1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn from_blocks<T: Element>(
        &self,
        shape: impl IntoShape,
        chunks: impl Into<Chunks>,
        blocks: impl IntoIterator<Item: IntoArg<ArrayD<T>>>,
    ) -> Result<Array<T>> {
        let shape = shape.into_shape();
        let grid = self.grid::<T>("from_blocks", &shape, chunks.into())?;
        let args: Vec<Arg<ArrayD<T>>> = blocks.into_iter().map(IntoArg::into_arg).collect();
        if args.len() != grid.blocks() {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "from_blocks",
                format!("{} blocks for shape {shape:?} in {} chunks", args.len(), grid.blocks()),
            )
            .with_help("give one block per chunk, the last axis running fastest"));
        }
        let spec = TaskSpec::new("block");
        let calls = args
            .into_iter()
            .zip(grid.indices())
            .map(|(arg, index)| {
                let shape = grid.block_shape(&index);
                Call::new(spec.clone(), (arg,), move |(block,): (Input<ArrayD<T>>,)| {
                    if block.shape() == shape {
                        return Ok(lower::tidy(block.into_owned()));
                    }
                    Err(Error::new(
                        ErrorKind::ShapeMismatch,
                        "from_blocks",
                        format!("block {index:?} has shape {:?}, its chunk {shape:?}", block.shape()),
                    ))
                })
            })
            .collect();
        Ok(Array::from_calls(self.engine, grid, calls))
    }

    /// An array whose element at each index is `f(index)`.
    ///
    /// # Errors
    /// See [`ArrayBuilder`].
    #[track_caller]
    pub fn from_fn<T: Element>(
        &self,
        shape: impl IntoShape,
        chunks: impl Into<Chunks>,
        f: impl Fn(&[usize]) -> T + Clone + Send + Sync + 'static,
    ) -> Result<Array<T>> {
        let grid = self.grid::<T>("from_fn", &shape.into_shape(), chunks.into())?;
        Ok(self.generate("from_fn", grid, move |start, shape| {
            let mut data = Vec::with_capacity(shape.iter().product());
            each_index(start, shape, |index| data.push(f(index)));
            lower::from_vec(shape, data)
        }))
    }

    /// Uniform random numbers in `[0, 1)`.
    ///
    /// Element `i` depends on the seed and `i` only: not on scheduling, not on the number of
    /// workers, not on the chunks.
    ///
    /// # Errors
    /// See [`ArrayBuilder`].
    #[track_caller]
    pub fn random_uniform(
        &self,
        shape: impl IntoShape,
        chunks: impl Into<Chunks>,
        seed: impl Into<Seed>,
    ) -> Result<Array<f64>> {
        self.random("random_uniform", shape.into_shape(), chunks.into(), seed.into(), random::uniform)
    }

    /// Normal random numbers with mean 0 and standard deviation 1, as independent of
    /// scheduling and chunks as [`random_uniform`](ArrayBuilder::random_uniform).
    ///
    /// # Errors
    /// See [`ArrayBuilder`].
    #[track_caller]
    pub fn random_normal(
        &self,
        shape: impl IntoShape,
        chunks: impl Into<Chunks>,
        seed: impl Into<Seed>,
    ) -> Result<Array<f64>> {
        self.random("random_normal", shape.into_shape(), chunks.into(), seed.into(), random::normal)
    }

    #[track_caller]
    fn random(
        &self,
        name: &'static str,
        full: Vec<usize>,
        chunks: Chunks,
        seed: Seed,
        draw: fn(Seed, u64) -> f64,
    ) -> Result<Array<f64>> {
        let grid = self.grid::<f64>(name, &full, chunks)?;
        Ok(self.generate(name, grid, move |start, shape| {
            let mut data = Vec::with_capacity(shape.iter().product());
            each_index(start, shape, |index| {
                let element = index.iter().zip(&full).fold(0u64, |at, (&i, &len)| at * len as u64 + i as u64);
                data.push(draw(seed, element));
            });
            lower::from_vec(shape, data)
        }))
    }
}

/// Calls `visit` with every index of the block at `start`, in C order.
fn each_index(start: &[usize], shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut index = start.to_vec();
    if shape.contains(&0) {
        return;
    }
    loop {
        visit(&index);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < start[axis] + shape[axis] {
                break;
            }
            index[axis] = start[axis];
        }
    }
}
