//! Dense kernels on single blocks: faer on ndarray's memory, one thread each.
//!
//! The engine already runs one task per core, so every kernel is called with `Par::Seq`.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, Ix2, ShapeBuilder};
use trefoil_core::{Error, ErrorKind, Result};

use super::element::{Float, Matrix, Numeric};

/// `out += a b`, `out` in row order.
pub(crate) fn matmul_add<T: faer::traits::RealField>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T]) {
    let (rows, cols) = (a.rows, b.cols);
    let out = MatMut::from_row_major_slice_mut(out, rows, cols);
    matmul(out, Accum::Add, borrow(a), borrow(b), T::one_impl(), Par::Seq);
}

/// A two-dimensional block as the kernels take it.
pub(crate) fn matrix<T: Numeric>(block: &ArrayD<T>) -> Result<Matrix<'_, T>> {
    let view = two_axes(block)?;
    let (rows, cols) = view.dim();
    let data = elements(block)?;
    // Of a single row or column both orders are one.
    let row_major = view.is_standard_layout();
    Ok(Matrix { data, rows, cols, row_major })
}

/// A block's elements in memory order.
pub(crate) fn elements<T>(block: &ArrayD<T>) -> Result<&[T]> {
    // ndarray does not count every array without elements as contiguous.
    if block.is_empty() {
        return Ok(&[]);
    }
    block.as_slice_memory_order().ok_or_else(|| broken("a block is not contiguous in memory"))
}

pub(crate) fn two_axes<T>(block: &ArrayD<T>) -> Result<ArrayView2<'_, T>> {
    block.view().into_dimensionality::<Ix2>().map_err(|_| broken("a block is not a matrix"))
}

pub(crate) fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, "array", what)
}

/// A view for faer's decompositions.
fn faer_view<T: Float>(block: &ArrayD<T>) -> Result<MatRef<'_, T>> {
    Ok(borrow(matrix(block)?))
}

fn borrow<T>(m: Matrix<'_, T>) -> MatRef<'_, T> {
    if m.row_major {
        MatRef::from_row_major_slice(m.data, m.rows, m.cols)
    } else {
        MatRef::from_column_major_slice(m.data, m.rows, m.cols)
    }
}

/// A faer matrix as an ndarray, in row order.
fn to_ndarray<T: Float>(m: MatRef<'_, T>) -> Array2<T> {
    Array2::from_shape_fn((m.nrows(), m.ncols()), |(i, j)| m[(i, j)])
}

/// `a b` of two matrices.
pub(crate) fn product<T: Numeric>(a: &ArrayD<T>, b: &ArrayD<T>) -> Result<ArrayD<T>> {
    let (a, b) = (matrix(a)?, matrix(b)?);
    if a.cols != b.rows {
        return Err(broken("the inner lengths of two blocks differ"));
    }
    let mut out = vec![T::ZERO; a.rows * b.cols];
    T::matmul_add(a, b, &mut out);
    super::lower::from_vec(&[a.rows, b.cols], out)
}

/// Thin QR by Householder reflections: `q` is `m x min(m, n)`, `r` is `min(m, n) x n`.
/// The diagonal of `r` is made non-negative, so that the answer does not depend on the kernel.
pub(crate) fn qr<T: Float>(block: &ArrayD<T>) -> Result<(ArrayD<T>, ArrayD<T>)> {
    let view = faer_view(block)?;
    if view.nrows() == 0 || view.ncols() == 0 {
        let k = view.nrows().min(view.ncols());
        let q = Array2::from_elem((view.nrows(), k), T::ZERO);
        return Ok((q.into_dyn(), Array2::from_elem((k, view.ncols()), T::ZERO).into_dyn()));
    }
    let factors = view.qr();
    let mut q = to_ndarray(factors.compute_thin_Q().as_ref());
    let mut r = to_ndarray(factors.thin_R());
    for i in 0..r.nrows() {
        for j in 0..i.min(r.ncols()) {
            r[(i, j)] = T::ZERO;
        }
        if r[(i, i)] < T::ZERO {
            r.row_mut(i).mapv_inplace(T::negated);
            q.column_mut(i).mapv_inplace(T::negated);
        }
    }
    Ok((q.into_dyn(), r.into_dyn()))
}

/// Thin singular value decomposition: `u` is `m x k`, `s` has `k` values from large to small,
/// `vt` is `k x n`, with `k = min(m, n)`. The entry of largest magnitude in each row of `vt`
/// is made positive, which fixes the signs.
pub(crate) struct Svd<T> {
    pub u: ArrayD<T>,
    pub s: ArrayD<T>,
    pub vt: ArrayD<T>,
}

impl<T: Clone> Clone for Svd<T> {
    fn clone(&self) -> Self {
        Svd { u: self.u.clone(), s: self.s.clone(), vt: self.vt.clone() }
    }
}

pub(crate) fn svd<T: Float>(block: &ArrayD<T>) -> Result<Svd<T>> {
    check_finite("svd", block)?;
    let view = faer_view(block)?;
    let (m, n) = (view.nrows(), view.ncols());
    let k = m.min(n);
    if k == 0 {
        return Ok(Svd {
            u: Array2::from_elem((m, 0), T::ZERO).into_dyn(),
            s: Array1::from_elem(0, T::ZERO).into_dyn(),
            vt: Array2::from_elem((0, n), T::ZERO).into_dyn(),
        });
    }
    let svd = view.thin_svd().map_err(|_| {
        Error::new(ErrorKind::InvalidArgument, "svd", "the singular value iteration did not converge")
            .with_help("scale the matrix: its entries may be too large or too small")
    })?;
    let mut u = to_ndarray(svd.U());
    let mut vt = to_ndarray(svd.V().transpose());
    let s = svd.S().column_vector();
    let s = Array1::from_shape_fn(k, |i| s[i]);
    for i in 0..k {
        let mut largest = T::ZERO;
        for &value in vt.row(i) {
            if value.magnitude() > largest.magnitude() {
                largest = value;
            }
        }
        if largest < T::ZERO {
            vt.row_mut(i).mapv_inplace(T::negated);
            u.column_mut(i).mapv_inplace(T::negated);
        }
    }
    Ok(Svd { u: u.into_dyn(), s: s.into_dyn(), vt: vt.into_dyn() })
}

/// The lower Cholesky factor of a symmetric positive definite matrix (its lower half is read).
pub(crate) fn cholesky<T: Float>(block: &ArrayD<T>) -> Result<ArrayD<T>> {
    check_finite("cholesky", block)?;
    let view = faer_view(block)?;
    if view.nrows() == 0 {
        return Ok(block.clone());
    }
    let factor = view.llt(faer::Side::Lower).map_err(|_| {
        Error::new(ErrorKind::InvalidArgument, "cholesky", "the matrix is not positive definite")
            .with_help("use solve(), qr() or svd() for general matrices")
    })?;
    let mut l = to_ndarray(factor.L());
    for i in 0..l.nrows() {
        for j in i + 1..l.ncols() {
            l[(i, j)] = T::ZERO;
        }
    }
    Ok(l.into_dyn())
}

/// `x` with `a x = b`, by LU with partial pivoting.
pub(crate) fn solve<T: Float>(a: &ArrayD<T>, b: &ArrayD<T>) -> Result<ArrayD<T>> {
    use faer::linalg::solvers::Solve;
    check_finite("solve", a)?;
    let view = faer_view(a)?;
    let right = faer_view(b)?;
    if view.nrows() == 0 || right.ncols() == 0 {
        return Ok(b.clone());
    }
    let lu = view.partial_piv_lu();
    let upper = lu.U();
    if (0..upper.nrows()).any(|i| upper[(i, i)] == T::ZERO) {
        return Err(Error::new(ErrorKind::InvalidArgument, "solve", "the matrix is singular")
            .with_help("its rows or columns are linearly dependent; svd() gives its rank"));
    }
    let mut x = Mat::from_fn(right.nrows(), right.ncols(), |i, j| right[(i, j)]);
    lu.solve_in_place(x.as_mut());
    Ok(to_ndarray(x.as_ref()).into_dyn())
}

fn check_finite<T: Float>(operation: &'static str, block: &ArrayD<T>) -> Result<()> {
    if block.iter().all(|&value| value.finite()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, operation, "the matrix holds NaN or infinite values")
        .with_help("replace them first, for example with is_nan() and where_()"))
}

/// The matrices stacked on top of each other.
pub(crate) fn vstack<T: Float>(parts: &[&ArrayD<T>]) -> Result<ArrayD<T>> {
    let rows: usize = parts.iter().map(|part| part.shape()[0]).sum();
    let cols = parts.first().map_or(0, |part| part.shape()[1]);
    let mut out = Array2::from_elem((rows, cols).set_f(false), T::ZERO);
    let mut at = 0;
    for part in parts {
        let view = two_axes(part)?;
        out.slice_mut(ndarray::s![at..at + view.nrows(), ..]).assign(&view);
        at += view.nrows();
    }
    Ok(out.into_dyn())
}
