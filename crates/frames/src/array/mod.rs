//! Lazy, chunked, n-dimensional arrays.
//!
//! An [`Array`] is a grid of chunks and a recipe. Constructors come from
//! [`ArraySession::array`]; element-wise methods build expressions that are fused, the others
//! build one call per chunk; [`Array::compute`] runs the calls on the engine's workers.
//!
//! ```text
//!   Array ── ops, operators, expr (lazy trees) ── lower (fused call per chunk) ── interp (2048 at a time)
//!     │
//!     └── rechunk, slice, join, shape, reduce, scan, dot, qr, svd, solve (calls per chunk)
//!                 └── kernels (faer on ndarray memory, one thread)
//! ```
//!
//! Two invariants hold everywhere: blocks are in C order of their positions in the grid of chunks (`grid`),
//! and a block's elements are contiguous in memory with positive steps, axes in any order.

mod build;
mod compute;
mod dot;
mod element;
mod exec;
mod expr;
mod grid;
mod interp;
mod join;
mod kernels;
mod lazy;
mod lower;
mod operators;
mod ops;
mod qr;
mod random;
mod rechunk;
mod reduce;
mod scan;
mod shape;
mod slice;
mod solve;
mod stats;
mod svd;

pub use build::{ArrayBuilder, ArraySession, IntoShape};
pub use element::{Element, Float, Numeric};
pub use grid::{Chunks, auto, chunks, whole};
pub use join::{concatenate, stack};
pub use lazy::Array;
pub use ndarray::s;
pub use ops::Operand;
pub(crate) use random::ElementRng;
pub use reduce::{Axes, axes};
pub use shape::IntoReshape;
