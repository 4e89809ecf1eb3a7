//! Joining arrays: along an axis they have, or along a new one.

use trefoil_core::{Error, ErrorKind, Result};

use super::element::Element;
use super::grid::{Axis, Grid};
use super::lazy::{Array, Block};
use super::shape::axis_index;

/// Joins arrays along `axis` (negative: from the end); the other axes must agree. Nothing is
/// copied unless the other axes are cut differently.
///
/// # Errors
/// No arrays, an axis out of range, shapes that differ elsewhere.
///
/// ```
/// use trefoil_core::Engine;
/// use trefoil_frames::array::{ArraySession, auto, concatenate};
/// let engine = Engine::new()?;
/// let a = engine.array().ones::<f64>([2, 3], auto())?;
/// let b = engine.array().zeros::<f64>([1, 3], auto())?;
/// assert_eq!(concatenate(&[a, b], 0)?.shape(), [3, 3]);
/// # Ok::<(), trefoil_core::Error>(())
/// ```
pub fn concatenate<T: Element>(arrays: &[Array<T>], axis: isize) -> Result<Array<T>> {
    let first = arrays.first().ok_or_else(|| nothing("concatenate"))?;
    for array in arrays {
        array.check()?;
    }
    let axis = axis_index("concatenate", axis, first.ndim())?;
    let mut axes = first.grid().axes.clone();
    for (number, array) in arrays.iter().enumerate() {
        let same = array.ndim() == first.ndim()
            && (0..array.ndim()).all(|i| i == axis || array.shape()[i] == first.shape()[i]);
        if !same {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "concatenate",
                format!(
                    "array {number} of shape {:?} does not continue shape {:?} along axis {axis}",
                    array.shape(),
                    first.shape()
                ),
            )
            .with_help("all axes but the joined one must have equal lengths"));
        }
        for (i, own) in array.grid().axes.iter().enumerate() {
            if i != axis {
                axes[i] = axes[i].refine(own);
            }
        }
    }
    // Empty arrays add nothing, and a chunk of length 0 in the middle would only be in the way.
    let parts = arrays
        .iter()
        .filter(|array| array.shape()[axis] > 0)
        .map(|array| {
            let mut own = axes.clone();
            own[axis] = array.axis_grid(axis).clone();
            array.to_grid(Grid::new(own))
        })
        .collect::<Result<Vec<_>>>()?;
    if parts.is_empty() {
        return Ok(first.clone());
    }
    let mut sources: Vec<(usize, usize)> = Vec::new();
    let mut lens = Vec::new();
    for (part, array) in parts.iter().enumerate() {
        for (chunk, &len) in array.axis_grid(axis).lens.iter().enumerate() {
            sources.push((part, chunk));
            lens.push(len);
        }
    }
    axes[axis] = Axis::new(lens);
    let grid = Grid::new(axes);
    super::grid::check_size("concatenate", &grid.shape, size_of::<T>())?;
    let lists = parts.iter().map(Array::block_list).collect::<Result<Vec<&[Block<T>]>>>()?;
    let blocks = grid
        .indices()
        .map(|mut index| {
            let (part, chunk) = sources[index[axis]];
            index[axis] = chunk;
            lists[part][parts[part].grid().flat(&index)].clone()
        })
        .collect();
    Ok(Array::from_blocks(&first.engine, grid, blocks))
}

/// Joins arrays of one shape along a new axis, before `axis` (negative: from the end).
///
/// # Errors
/// No arrays, an axis out of range, shapes that differ.
pub fn stack<T: Element>(arrays: &[Array<T>], axis: isize) -> Result<Array<T>> {
    let first = arrays.first().ok_or_else(|| nothing("stack"))?;
    let axis = axis_index("stack", axis, first.ndim() + 1)?;
    for (number, array) in arrays.iter().enumerate() {
        array.check()?;
        if array.shape() != first.shape() {
            return Err(Error::new(
                ErrorKind::ShapeMismatch,
                "stack",
                format!("array {number} has shape {:?}, the first {:?}", array.shape(), first.shape()),
            )
            .with_help("stacked arrays must have one shape; concatenate() joins along an axis"));
        }
    }
    let raised = arrays.iter().map(|array| array.insert_axis(axis)).collect::<Result<Vec<_>>>()?;
    concatenate(&raised, axis as isize)
}

fn nothing(operation: &'static str) -> Error {
    Error::new(ErrorKind::InvalidArgument, operation, "there are no arrays to join")
        .with_help("give at least one array")
}
