//! Singular value decompositions: exact for matrices cut one way, and a randomised one of
//! low rank for any (Halko, Martinsson, Tropp, "Finding structure with randomness", 2011).

use ndarray::ArrayD;
use trefoil_core::{Arg, Call, Error, ErrorKind, Input, Result, TaskSpec};

use super::element::Float;
use super::grid::{Axis, Grid, whole};
use super::kernels::{self, Svd};
use super::lazy::Array;
use super::qr::{Tsqr, tsqr};
use crate::Seed;

/// The factors of a singular value decomposition: `u`, `s`, and `v` transposed.
type Parts<T> = (Array<T>, Array<T>, Array<T>);

impl<T: Float> Array<T> {
    /// The singular value decomposition `self = u diag(s) vt`, as NumPy's with
    /// `full_matrices=False`: with `k = min(rows, columns)`, `u` is `rows x k`, `s` holds `k`
    /// values from large to small, and the third is `vt`, `k x columns`.
    ///
    /// The matrix must be cut one way only: into chunks of rows or into chunks of columns (or
    /// not at all). Signs are fixed: along its shorter factor, the entry of largest magnitude
    /// of every singular vector is positive.
    ///
    /// # Errors
    /// An array that is not a matrix, or cut both ways; NaN or infinite values when computed.
    ///
    /// ```
    /// use trefoil_core::Engine;
    /// use trefoil_frames::{array::{ArraySession, chunks}, seed};
    /// let engine = Engine::new()?;
    /// let x = engine.array().random_uniform([20, 20], chunks([5, 4]), seed(1))?;
    /// let (_u, s, _vt) = x.dot(&x.t())?.rechunk([20, 2])?.svd()?;
    /// let s = engine.block_on(s.compute())?;
    /// assert!(s[0] > s[1] && s[19] >= 0.0);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    #[track_caller]
    pub fn svd(&self) -> Result<Parts<T>> {
        self.check_matrix("svd")?;
        let (row_chunks, col_chunks) = (self.axis_grid(0).count(), self.axis_grid(1).count());
        let (rows, cols) = (self.shape()[0], self.shape()[1]);
        if row_chunks > 1 && col_chunks > 1 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "svd",
                format!("shape [{rows}, {cols}] is cut both ways, into {row_chunks} x {col_chunks} chunks"),
            )
            .with_help(format!(
                "rechunk to a single row or column of chunks, such as rechunk([{rows}, {}]), or use svd_compressed()",
                self.axis_grid(1).lens.iter().max().unwrap_or(&1)
            )));
        }
        if col_chunks > 1 || (row_chunks == 1 && cols > rows) {
            // Short and fat: the decomposition of the transpose, turned round.
            let (u, s, vt) = self.t().tall_svd()?;
            return Ok((vt.t(), s, u.t()));
        }
        self.tall_svd()
    }

    /// With the columns in one chunk: TSQR, then the decomposition of the small R.
    #[track_caller]
    fn tall_svd(&self) -> Result<Parts<T>> {
        let (rows, cols) = (self.axis_grid(0).clone(), self.shape()[1]);
        let k = rows.len().min(cols);
        let blocks = self.block_list()?.iter().map(|block| block.arg()).collect();
        let Tsqr { q, r } = tsqr(blocks, &rows.lens, cols);
        let small: Call<Svd<T>> =
            Call::new(TaskSpec::new("svd"), (Arg::Call(r),), |(r,): (Input<ArrayD<T>>,)| kernels::svd(&r));
        let u = q
            .into_iter()
            .map(|q| {
                Call::new(
                    TaskSpec::new("u"),
                    (Arg::Call(q), Arg::Call(small.clone())),
                    |(q, small): (Input<ArrayD<T>>, Input<Svd<T>>)| kernels::product(&q, &small.u),
                )
            })
            .collect();
        let s = small.clone().map("s", |small| small.s.clone());
        let vt = small.map("vt", |small| small.vt.clone());
        let engine = &self.engine;
        Ok((
            Array::from_calls(engine, Grid::new(vec![rows, Axis::whole(k)]), u),
            Array::from_calls(engine, Grid::single(&[k]), vec![s]),
            Array::from_calls(engine, Grid::single(&[k, cols]), vec![vt]),
        ))
    }
}

impl Array<f64> {
    /// The `k` largest singular values and their vectors, approximately, for a matrix of any
    /// size and chunking: `u` is `rows x k`, `s` holds `k` values, `vt` is `k x columns`.
    ///
    /// A random projection to `k + 10` columns, sharpened by `power_iterations` (0 to 3;
    /// more where singular values fall slowly), then the exact decomposition of what is left.
    ///
    /// # Errors
    /// An array that is not a matrix, `k` of 0 or beyond the smaller side.
    #[track_caller]
    pub fn svd_compressed(
        &self,
        k: usize,
        power_iterations: usize,
        seed: impl Into<Seed>,
    ) -> Result<Parts<f64>> {
        self.check_matrix("svd_compressed")?;
        let (rows, cols) = (self.shape()[0], self.shape()[1]);
        if k == 0 || k > rows.min(cols) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "svd_compressed",
                format!("{k} singular values of shape [{rows}, {cols}]"),
            )
            .with_help(format!("ask for 1 to {} of them", rows.min(cols))));
        }
        use super::build::ArraySession;
        let width = (k + 10).min(rows.min(cols));
        let inner = self.axis_grid(1).lens.to_vec();
        let omega = self.engine.array().random_normal([cols, width], vec![inner, vec![width]], seed)?;
        let transposed = self.t();
        let mut y = self.dot(&omega)?;
        for _ in 0..power_iterations {
            // Orthonormal bases in between keep small singular values above the rounding.
            let (q, _) = y.qr()?;
            let (q, _) = transposed.dot(&q)?.qr()?;
            y = self.dot(&q)?;
        }
        let (q, _) = y.qr()?;
        let b = q.t().dot(self)?;
        let b = if b.axis_grid(0).count() > 1 { b.rechunk(whole())? } else { b };
        let (u, s, vt) = b.svd()?;
        let u = q.dot(&u)?;
        let top = ndarray::SliceInfoElem::Slice { start: 0, end: Some(k as isize), step: 1 };
        let all = ndarray::SliceInfoElem::Slice { start: 0, end: None, step: 1 };
        Ok((u.slice([all, top])?, s.slice([top])?, vt.slice([top, all])?))
    }
}
