//! Decompositions against reconstruction and against faer on the dense matrix.

use faer::Mat;
use ndarray::{ArrayD, Ix2, IxDyn};
use proptest::prelude::*;
use trefoil_frames::array::{Array, ArraySession, chunks, s, whole};
use trefoil_frames::delayed::DelayedSession;
use trefoil_frames::seed;

use super::{Dice, close, engine, run};

fn dense(m: &ArrayD<f64>) -> Mat<f64> {
    Mat::from_fn(m.shape()[0], m.shape()[1], |i, j| m[[i, j]])
}

fn product(a: &ArrayD<f64>, b: &ArrayD<f64>) -> ArrayD<f64> {
    let two = |x: &ArrayD<f64>| x.clone().into_dimensionality::<Ix2>().unwrap();
    two(a).dot(&two(b)).into_dyn()
}

fn identity(n: usize) -> ArrayD<f64> {
    ndarray::Array2::eye(n).into_dyn()
}

/// What must hold of `x = u s vt`.
fn check_svd(x: &Array<f64>, m: &ArrayD<f64>) -> Result<(), TestCaseError> {
    let (u, s, vt) = x.svd().unwrap();
    let (rows, cols) = (m.shape()[0], m.shape()[1]);
    let k = rows.min(cols);
    prop_assert_eq!((u.shape(), s.shape(), vt.shape()), (&[rows, k][..], &[k][..], &[k, cols][..]));
    let (u, s, vt) = engine().block_on(engine().compute_all((&u, &s, &vt))).unwrap();
    let scaled = ArrayD::from_shape_fn(IxDyn(&[rows, k]), |i| u[&i] * s[i[1]]);
    prop_assert!(close(&product(&scaled, &vt), m, 1e-10), "u s vt of {m:?}");
    prop_assert!(close(&product(&u.t().to_owned(), &u), &identity(k), 1e-10), "u of {m:?}");
    prop_assert!(close(&product(&vt, &vt.t().to_owned()), &identity(k), 1e-10), "vt of {m:?}");
    let want = dense(m).singular_values().unwrap();
    let want = ArrayD::from_shape_vec(IxDyn(&[k]), want).unwrap();
    prop_assert!(close(&s, &want, 1e-10), "{s:?}, not {want:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn qr_and_svd_of_any_one_way_chunking(seed: u64, rows in 1usize..24, cols in 1usize..12) {
        let mut dice = Dice(seed);
        // Real numbers with rank full in practice; sometimes a repeated column.
        let mut m = dice.data(&[rows, cols]).mapv(|v| v + (v * 12.9898).sin());
        m.iter_mut().enumerate().for_each(|(i, v)| *v += (i as f64 * 0.7).cos());
        if cols > 1 && dice.roll(4) == 0 {
            let column = m.slice(s![.., 0]).to_owned();
            m.slice_mut(s![.., 1]).assign(&column);
        }
        let x = engine().array().from_ndarray(&m, dice.chunks(&[rows, cols])).unwrap();
        let tall = x.rechunk(vec![x.chunk_lengths()[0].clone(), vec![cols]]).unwrap();
        let wide = x.rechunk(vec![vec![rows], x.chunk_lengths()[1].clone()]).unwrap();
        check_svd(&tall, &m)?;
        check_svd(&wide, &m)?;
        check_svd(&wide.t(), &m.t().as_standard_layout().into_owned())?;

        let (q, r) = tall.qr().unwrap();
        let k = rows.min(cols);
        let (q, r) = engine().block_on(engine().compute_all((q, r))).unwrap();
        prop_assert!(close(&product(&q, &r), &m, 1e-10));
        prop_assert!(close(&product(&q.t().to_owned(), &q), &identity(k), 1e-10));
        for i in 0..k {
            prop_assert!(r[[i, i]] >= 0.0);
            for j in 0..i {
                prop_assert_eq!(r[[i, j]], 0.0);
            }
        }
    }
}

/// 569 x 30 with columns of very different size that depend on each other, as measurements do.
fn measurements() -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(&[569, 30]), |i| {
        let (row, col) = (i[0] as f64, i[1]);
        let base = 10.0 + 5.0 * (row * 0.37).sin() + 2.0 * (row * 1.7).cos();
        let own = (row * (0.11 + 0.03 * col as f64)).sin();
        let scale = [1.0, 100.0, 0.01, 1000.0, 0.1][col % 5];
        scale * (base + own)
    })
}

#[test]
fn svd_of_a_table_of_measurements() {
    let m = measurements();
    let x = engine().array().from_ndarray(&m, chunks([50, 30])).unwrap();
    let standard = x.try_sub(x.mean(0).unwrap()).unwrap().try_div(x.std(0).unwrap()).unwrap();
    let full = run(&standard);
    check_svd(&standard, &full).unwrap();
    check_svd(&standard.rechunk([569, 7]).unwrap(), &full).unwrap();
}

#[test]
fn the_north_star_program() {
    let x = engine().array().random_uniform([200, 200], chunks([50, 40]), seed(1)).unwrap();
    let (_u, s, _v) = x.dot(&x.t()).unwrap().rechunk([200, 20]).unwrap().svd().unwrap();
    let s = engine().block_on(s.compute_as::<ndarray::Ix1>()).unwrap();
    let want = dense(&run(&x)).singular_values().unwrap();
    let want: Vec<f64> = want.iter().map(|s| s * s).collect();
    assert!(s.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-9 * want[0]), "{s:?}");
}

#[test]
fn the_compressed_svd_finds_a_low_rank() {
    let a = engine().array().random_normal([90, 4], chunks([20, 4]), seed(3)).unwrap();
    let b = engine().array().random_normal([4, 60], chunks([4, 25]), seed(4)).unwrap();
    let x = a.dot(&b).unwrap();
    let (u, s, vt) = x.svd_compressed(4, 1, seed(5)).unwrap();
    let (x, u, s, vt) = engine().block_on(engine().compute_all((x, u, s, vt))).unwrap();
    let scaled = ArrayD::from_shape_fn(IxDyn(&[90, 4]), |i| u[&i] * s[i[1]]);
    assert!(close(&product(&scaled, &vt), &x, 1e-8));
    let want = dense(&x).singular_values().unwrap();
    assert!((0..4).all(|i| (s[i] - want[i]).abs() < 1e-8 * want[0]));
}

#[test]
fn solve_cholesky_and_norm() {
    let g = engine().array().random_normal([12, 12], chunks(5), seed(9)).unwrap();
    let a = (g.dot(&g.t()).unwrap() + engine().array().eye::<f64>(12, chunks(5)).unwrap())
        .rechunk(whole())
        .unwrap();
    let b = engine().array().random_normal([12, 3], whole(), seed(10)).unwrap();
    let x = a.solve(&b).unwrap();
    assert!(close(&run(&a.dot(&x).unwrap()), &run(&b), 1e-9));
    let v = b.slice(s![.., 1]).unwrap();
    assert!(close(&run(&a.dot(&a.solve(&v).unwrap()).unwrap()), &run(&v), 1e-9));
    let l = a.cholesky().unwrap();
    assert!(close(&run(&l.dot(&l.t()).unwrap()), &run(&a), 1e-9));
    assert!(run(&l)[[0, 5]] == 0.0);
    let norm = engine().block_on(a.norm().unwrap().compute_scalar()).unwrap();
    assert!((norm - run(&a).iter().map(|v| v * v).sum::<f64>().sqrt()).abs() < 1e-9 * norm);
}

#[test]
fn single_precision_works_too() {
    let x = engine().array().random_uniform([30, 5], chunks([7, 5]), seed(2)).unwrap().cast::<f32>();
    let (q, r) = x.qr().unwrap();
    let back = run(&q.dot(&r).unwrap().cast::<f64>());
    assert!(close(&back, &run(&x.cast::<f64>()), 1e-5));
    let (_, s, _) = x.svd().unwrap();
    let want = dense(&run(&x.cast::<f64>())).singular_values().unwrap();
    assert!((f64::from(run(&s)[0]) - want[0]).abs() < 1e-4);
}
