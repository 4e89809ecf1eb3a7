//! Slicing: ranges with steps, single positions and new axes, as ndarray's `s![]` says them.

use ndarray::{ArrayD, Axis as NdAxis, Slice, SliceInfoElem};
use trefoil_core::{Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::Element;
use super::grid::{Axis, Grid};
use super::lazy::{Array, Block};
use super::lower;

/// What one axis of the result takes from one chunk of the array.
#[derive(Debug, Clone)]
struct Cut {
    chunk: usize,
    slice: Slice,
    len: usize,
    whole: bool,
}

/// One entry of the slice, resolved against the axis it applies to.
enum Pick {
    Range(Vec<Cut>),
    Index { chunk: usize, at: usize },
    New,
}

fn out_of_bounds(axis: usize, len: usize, what: String) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        "slice",
        format!("{what} is out of bounds for axis {axis} of length {len}"),
    )
    .with_help("negative positions count from the end; a range may end at the length but not beyond it")
}

fn resolve(position: isize, len: usize) -> Option<usize> {
    if position >= 0 { usize::try_from(position).ok() } else { len.checked_sub(position.unsigned_abs()) }
}

/// The cuts of `start..end` by `step` (negative: the same range from its end) on an axis.
fn range(axis: usize, grid: &Axis, start: isize, end: Option<isize>, step: isize) -> Result<Vec<Cut>> {
    let len = grid.len();
    let shown = || match end {
        Some(end) => format!("the range {start}..{end}"),
        None => format!("the range {start}.."),
    };
    if step == 0 {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "slice",
            format!("{} with step 0 on axis {axis}", shown()),
        )
        .with_help("steps are 1 or more, or negative to go backwards"));
    }
    let from =
        resolve(start, len).filter(|&at| at <= len).ok_or_else(|| out_of_bounds(axis, len, shown()))?;
    let until = match end {
        None => len,
        Some(end) => {
            resolve(end, len).filter(|&at| at <= len).ok_or_else(|| out_of_bounds(axis, len, shown()))?
        }
    };
    let stride = step.unsigned_abs();
    let until = until.max(from);
    // Positions first, first + stride, ... ; taken from the end when the step is negative.
    let count = (until - from).div_ceil(stride);
    let first = if step > 0 || count == 0 { from } else { until - 1 - (count - 1) * stride };
    let mut cuts = Vec::new();
    let mut done = 0;
    while done < count {
        let at = first + done * stride;
        let chunk = grid.chunk_of(at);
        let inside = (grid.starts[chunk + 1] - at).div_ceil(stride).min(count - done);
        let local = at - grid.starts[chunk];
        let last = local + (inside - 1) * stride + 1;
        let slice = Slice::new(local as isize, Some(last as isize), stride as isize);
        let whole = inside == grid.lens[chunk] && step > 0;
        cuts.push(Cut { chunk, slice, len: inside, whole });
        done += inside;
    }
    if cuts.is_empty() {
        let slice = Slice::new(0, Some(0), 1);
        cuts.push(Cut { chunk: 0, slice, len: 0, whole: len == 0 });
    }
    if step < 0 {
        cuts.reverse();
        for cut in &mut cuts {
            cut.slice.step = -cut.slice.step;
        }
    }
    Ok(cuts)
}

impl<T: Element> Array<T> {
    /// A part of the array, written as ndarray's `s![]` writes it: `x.slice(s![2..8;2, .., 0])?`.
    ///
    /// Entries are ranges with an optional step (negative: the range from its end), single
    /// positions (which drop their axis) and `NewAxis`; negative positions count from the end;
    /// axes not mentioned at the end are taken whole. Only the chunks needed are computed.
    ///
    /// # Errors
    /// More entries than axes, positions or range ends beyond the axis, a step of 0.
    ///
    /// ```
    /// use trefoil_core::Engine;
    /// use trefoil_frames::array::{ArraySession, chunks, s};
    /// let engine = Engine::new()?;
    /// let x = engine.array().arange(0, 10, 1, chunks(4))?;
    /// let y = engine.block_on(x.slice(s![1..8;3])?.compute())?;
    /// assert_eq!(y.into_raw_vec_and_offset().0, [1, 4, 7]);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn slice(&self, slice: impl AsRef<[SliceInfoElem]>) -> Result<Array<T>> {
        self.check()?;
        let slice = slice.as_ref();
        let named = slice.iter().filter(|entry| !matches!(entry, SliceInfoElem::NewAxis)).count();
        if named > self.ndim() {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "slice",
                format!("{named} entries for shape {:?} with {} axes", self.shape(), self.ndim()),
            )
            .with_help("give at most one entry per axis"));
        }
        let mut picks = Vec::new();
        let mut axis = 0;
        let rest =
            std::iter::repeat_n(SliceInfoElem::Slice { start: 0, end: None, step: 1 }, self.ndim() - named);
        for entry in slice.iter().copied().chain(rest) {
            match entry {
                SliceInfoElem::NewAxis => picks.push(Pick::New),
                SliceInfoElem::Slice { start, end, step } => {
                    picks.push(Pick::Range(range(axis, self.axis_grid(axis), start, end, step)?));
                    axis += 1;
                }
                SliceInfoElem::Index(position) => {
                    let grid = self.axis_grid(axis);
                    let at = resolve(position, grid.len())
                        .filter(|&at| at < grid.len())
                        .ok_or_else(|| out_of_bounds(axis, grid.len(), format!("position {position}")))?;
                    let chunk = grid.chunk_of(at);
                    picks.push(Pick::Index { chunk, at: at - grid.starts[chunk] });
                    axis += 1;
                }
            }
        }
        self.take(&picks)
    }

    fn take(&self, picks: &[Pick]) -> Result<Array<T>> {
        let axes = picks.iter().filter_map(|pick| match pick {
            Pick::Range(cuts) => Some(Axis::new(cuts.iter().map(|cut| cut.len).collect())),
            Pick::New => Some(Axis::whole(1)),
            Pick::Index { .. } => None,
        });
        let grid = Grid::new(axes.collect());
        let source = self.block_list()?;
        let mut blocks = Vec::with_capacity(grid.blocks());
        for index in grid.indices() {
            let mut position = Vec::with_capacity(self.ndim());
            let mut slices = Vec::with_capacity(self.ndim());
            let mut at = Vec::new();
            let mut new_axes = Vec::new();
            let mut whole = true;
            let mut out_axis = 0;
            for pick in picks {
                match pick {
                    Pick::Range(cuts) => {
                        let cut = &cuts[index[out_axis]];
                        whole &= cut.whole;
                        position.push(cut.chunk);
                        slices.push(cut.slice);
                        out_axis += 1;
                    }
                    Pick::Index { chunk, at: local } => {
                        whole = false;
                        at.push(position.len());
                        position.push(*chunk);
                        let local = *local as isize;
                        slices.push(Slice::new(local, Some(local + 1), 1));
                    }
                    Pick::New => {
                        whole = false;
                        new_axes.push(out_axis);
                        out_axis += 1;
                    }
                }
            }
            let block = &source[self.grid().flat(&position)];
            if whole {
                blocks.push(block.clone());
                continue;
            }
            let call =
                Call::new(TaskSpec::new("slice"), (block.arg(),), move |(block,): (Input<ArrayD<T>>,)| {
                    let mut view = block.slice_each_axis(|axis| slices[axis.axis.index()]);
                    for &axis in at.iter().rev() {
                        view = view.index_axis_move(NdAxis(axis), 0);
                    }
                    for &axis in &new_axes {
                        view = view.insert_axis(NdAxis(axis));
                    }
                    Ok(lower::tidy(view.to_owned()))
                });
            blocks.push(Block::Call(call));
        }
        Ok(Array::from_blocks(&self.engine, grid, blocks))
    }
}
