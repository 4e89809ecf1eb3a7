//! Chunk grids: how an array's axes are cut.
//!
//! [`Chunks`] is what the caller asks for; [`Grid`] is the checked answer: for each axis the
//! lengths of its chunks, which may differ. Blocks are numbered in C order of their positions.

use std::sync::Arc;

use trefoil_core::{Error, ErrorKind, Result};

/// Chunks of this many bytes are made when the caller leaves it open.
pub(crate) const AUTO_BYTES: usize = 4 << 20;
/// A grid of more blocks than this is refused: each block costs a task.
const MAX_BLOCKS: usize = 20_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
enum AxisChunks {
    Size(usize),
    Lengths(Vec<usize>),
    Whole,
    Auto,
}

/// How to cut an array: made by [`chunks`], [`auto`] and [`whole`], or from `[usize; N]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    /// One entry per axis, or one entry for all axes if `every` is set.
    axes: Vec<AxisChunks>,
    every: bool,
}

/// Chunks of at most these lengths, one per axis; or one length for every axis; or, given a
/// list of lists, exactly these lengths along each axis.
///
/// ```
/// use trefoil_frames::array::{Chunks, chunks};
/// let _even = chunks([50, 40]);                        // blocks of 50 x 40
/// let _square = chunks(64);                            // 64 along every axis
/// let _uneven = chunks(vec![vec![3, 5], vec![8]]);     // rows cut in 3 and 5, columns whole
/// ```
pub fn chunks(spec: impl Into<Chunks>) -> Chunks {
    spec.into()
}

/// Chunks of about 4 MB, near to cubes.
pub fn auto() -> Chunks {
    Chunks { axes: vec![AxisChunks::Auto], every: true }
}

/// One chunk, the whole array.
pub fn whole() -> Chunks {
    Chunks { axes: vec![AxisChunks::Whole], every: true }
}

impl From<usize> for Chunks {
    fn from(size: usize) -> Self {
        Chunks { axes: vec![AxisChunks::Size(size)], every: true }
    }
}

impl<const N: usize> From<[usize; N]> for Chunks {
    fn from(sizes: [usize; N]) -> Self {
        Chunks { axes: sizes.iter().map(|&size| AxisChunks::Size(size)).collect(), every: false }
    }
}

impl From<&[usize]> for Chunks {
    fn from(sizes: &[usize]) -> Self {
        Chunks { axes: sizes.iter().map(|&size| AxisChunks::Size(size)).collect(), every: false }
    }
}

impl From<Vec<usize>> for Chunks {
    fn from(sizes: Vec<usize>) -> Self {
        sizes.as_slice().into()
    }
}

impl From<Vec<Vec<usize>>> for Chunks {
    fn from(lengths: Vec<Vec<usize>>) -> Self {
        Chunks { axes: lengths.into_iter().map(AxisChunks::Lengths).collect(), every: false }
    }
}

impl From<&Grid> for Chunks {
    fn from(grid: &Grid) -> Self {
        grid.lengths().into()
    }
}

/// One axis: chunk lengths and where each chunk starts (`starts` has one entry more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Axis {
    pub lens: Arc<[usize]>,
    pub starts: Arc<[usize]>,
}

impl Axis {
    pub fn new(lens: Vec<usize>) -> Self {
        let mut starts = Vec::with_capacity(lens.len() + 1);
        let mut at = 0;
        starts.push(0);
        for len in &lens {
            at += len;
            starts.push(at);
        }
        Axis { lens: lens.into(), starts: starts.into() }
    }

    pub fn whole(len: usize) -> Self {
        Axis::new(vec![len])
    }

    pub fn even(len: usize, size: usize) -> Self {
        let size = size.clamp(1, len.max(1));
        let mut lens = vec![size; len / size];
        if !len.is_multiple_of(size) || len == 0 {
            lens.push(len % size);
        }
        Axis::new(lens)
    }

    pub fn len(&self) -> usize {
        self.starts[self.lens.len()]
    }

    pub fn count(&self) -> usize {
        self.lens.len()
    }

    /// The chunk that holds position `at`.
    pub fn chunk_of(&self, at: usize) -> usize {
        self.starts[1..].partition_point(|&end| end <= at).min(self.lens.len() - 1)
    }

    /// The coarsest cut that refines both.
    pub fn refine(&self, other: &Axis) -> Axis {
        if self == other {
            return self.clone();
        }
        let mut cuts: Vec<usize> = self.starts.iter().chain(other.starts.iter()).copied().collect();
        cuts.sort_unstable();
        cuts.dedup();
        if cuts.len() == 1 {
            return Axis::whole(cuts[0]);
        }
        Axis::new(cuts.windows(2).map(|pair| pair[1] - pair[0]).collect())
    }
}

/// The chunk grid of an array: also says its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    pub(crate) axes: Vec<Axis>,
    pub(crate) shape: Vec<usize>,
}

impl Grid {
    pub(crate) fn new(axes: Vec<Axis>) -> Grid {
        let shape = axes.iter().map(Axis::len).collect();
        Grid { axes, shape }
    }

    /// Checks `chunks` against `shape` for elements of `item` bytes.
    pub(crate) fn plan(
        operation: &'static str,
        shape: &[usize],
        chunks: &Chunks,
        item: usize,
    ) -> Result<Grid> {
        check_size(operation, shape, item)?;
        let specs: Vec<AxisChunks> = if chunks.every {
            vec![chunks.axes[0].clone(); shape.len()]
        } else if chunks.axes.len() == shape.len() {
            chunks.axes.clone()
        } else {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                operation,
                format!(
                    "{} chunk sizes for an array of {} axes, shape {shape:?}",
                    chunks.axes.len(),
                    shape.len()
                ),
            )
            .with_help("give one chunk size per axis, a single number for all axes, or auto()"));
        };
        for (axis, spec) in specs.iter().enumerate() {
            let zero = match spec {
                AxisChunks::Size(size) => *size == 0,
                AxisChunks::Lengths(lens) => lens.contains(&0) && lens.as_slice() != [0],
                _ => false,
            };
            if zero {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    operation,
                    format!("chunk size 0 along axis {axis} of shape {shape:?}"),
                )
                .with_help("chunk sizes are at least 1; auto() chooses about 4 MB"));
            }
            if let AxisChunks::Lengths(lens) = spec {
                let total = lens.iter().fold(0usize, |sum, &len| sum.saturating_add(len));
                if total != shape[axis] || lens.is_empty() {
                    return Err(Error::new(
                        ErrorKind::ShapeMismatch,
                        operation,
                        format!(
                            "the chunk lengths of axis {axis} sum to {total}, but the axis has length {}",
                            shape[axis]
                        ),
                    )
                    .with_help("explicit chunk lengths must add up to the axis length"));
                }
            }
        }
        let auto = auto_sizes(shape, &specs, item);
        let mut blocks = 1usize;
        let sizes: Vec<usize> = specs
            .iter()
            .enumerate()
            .map(|(axis, spec)| match spec {
                AxisChunks::Size(size) => *size,
                AxisChunks::Lengths(_) | AxisChunks::Whole => shape[axis].max(1),
                AxisChunks::Auto => auto[axis],
            })
            .collect();
        for (axis, spec) in specs.iter().enumerate() {
            let count = match spec {
                AxisChunks::Lengths(lens) => lens.len(),
                _ => shape[axis].div_ceil(sizes[axis]).max(1),
            };
            blocks = blocks.saturating_mul(count);
        }
        if blocks > MAX_BLOCKS {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                operation,
                format!(
                    "shape {shape:?} would be cut into {blocks} chunks; at most {MAX_BLOCKS} are allowed"
                ),
            )
            .with_help("use larger chunks, or auto()"));
        }
        let axes = specs
            .into_iter()
            .enumerate()
            .map(|(axis, spec)| match spec {
                AxisChunks::Lengths(lens) => Axis::new(lens),
                _ => Axis::even(shape[axis], sizes[axis]),
            })
            .collect();
        Ok(Grid::new(axes))
    }

    pub(crate) fn single(shape: &[usize]) -> Grid {
        Grid::new(shape.iter().map(|&len| Axis::whole(len)).collect())
    }

    pub(crate) fn ndim(&self) -> usize {
        self.axes.len()
    }

    pub(crate) fn size(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.axes.iter().map(Axis::count).product()
    }

    pub(crate) fn lengths(&self) -> Vec<Vec<usize>> {
        self.axes.iter().map(|axis| axis.lens.to_vec()).collect()
    }

    /// The position of block number `flat` along each axis.
    pub(crate) fn index(&self, mut flat: usize) -> Vec<usize> {
        let mut index = vec![0; self.ndim()];
        for (slot, axis) in index.iter_mut().zip(&self.axes).rev() {
            *slot = flat % axis.count();
            flat /= axis.count();
        }
        index
    }

    /// The number of the block at `index`.
    pub(crate) fn flat(&self, index: &[usize]) -> usize {
        index.iter().zip(&self.axes).fold(0, |flat, (&i, axis)| flat * axis.count() + i)
    }

    pub(crate) fn block_shape(&self, index: &[usize]) -> Vec<usize> {
        index.iter().zip(&self.axes).map(|(&i, axis)| axis.lens[i]).collect()
    }

    pub(crate) fn block_start(&self, index: &[usize]) -> Vec<usize> {
        index.iter().zip(&self.axes).map(|(&i, axis)| axis.starts[i]).collect()
    }

    /// The number of elements in the largest block.
    pub(crate) fn largest_block(&self) -> usize {
        self.axes.iter().map(|axis| axis.lens.iter().copied().max().unwrap_or(0)).product()
    }

    /// Every block's position, in C order.
    pub(crate) fn indices(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        (0..self.blocks()).map(|flat| self.index(flat))
    }
}

/// The number of bytes of an array, or the error that there cannot be so many.
pub(crate) fn check_size(operation: &'static str, shape: &[usize], item: usize) -> Result<usize> {
    let mut bytes = Some(item);
    // Lengths of zero must not hide an overflow of the other axes: ndarray refuses those too.
    for &len in shape.iter().filter(|&&len| len != 0) {
        bytes = bytes.and_then(|bytes| bytes.checked_mul(len));
    }
    match bytes {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(if shape.contains(&0) { 0 } else { bytes }),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            operation,
            format!("shape {shape:?} has more elements than memory can be addressed for"),
        )
        .with_help("check the axis lengths")),
    }
}

fn auto_sizes(shape: &[usize], specs: &[AxisChunks], item: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = shape.iter().map(|&len| len.max(1)).collect();
    let mut room = (AUTO_BYTES / item.max(1)).max(1) as f64;
    let mut open = Vec::new();
    for (axis, spec) in specs.iter().enumerate() {
        match spec {
            AxisChunks::Auto => open.push(axis),
            AxisChunks::Size(size) => room /= (*size).min(sizes[axis]).max(1) as f64,
            AxisChunks::Lengths(lens) => room /= lens.iter().copied().max().unwrap_or(1).max(1) as f64,
            AxisChunks::Whole => room /= sizes[axis] as f64,
        }
    }
    // Short axes stay whole and leave their share of the room to the long ones.
    loop {
        let ideal = room.max(1.0).powf(1.0 / open.len().max(1) as f64);
        let before = open.len();
        open.retain(|&axis| {
            let fits = (sizes[axis] as f64) <= ideal;
            if fits {
                room /= sizes[axis] as f64;
            }
            !fits
        });
        if open.len() == before {
            for &axis in &open {
                sizes[axis] = (ideal as usize).max(1);
            }
            return sizes;
        }
    }
}
