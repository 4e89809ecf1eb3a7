//! Every reduction over every choice of axes, beside a direct evaluation.

use ndarray::{ArrayD, Axis, IxDyn};
use proptest::prelude::*;
use trefoil_frames::array::{Array, ArraySession, Axes, axes, chunks};

use super::{Dice, close, engine, run};

/// `f` of each lane of `m` along `list`, the axes kept with length 1.
fn lanes(m: &ArrayD<f64>, list: &[usize], f: impl Fn(&[f64]) -> f64) -> ArrayD<f64> {
    let mut shape = m.shape().to_vec();
    list.iter().for_each(|&axis| shape[axis] = 1);
    ArrayD::from_shape_fn(IxDyn(&shape), |index| {
        let mut view = m.view();
        for axis in 0..m.ndim() {
            if !list.contains(&axis) {
                let i = index[axis];
                view.collapse_axis(Axis(axis), i);
            }
        }
        f(&view.iter().copied().collect::<Vec<_>>())
    })
}

fn mean(lane: &[f64]) -> f64 {
    lane.iter().sum::<f64>() / lane.len() as f64
}

fn var(lane: &[f64], ddof: f64) -> f64 {
    let m = mean(lane);
    let n = lane.len() as f64 - ddof;
    if n <= 0.0 { f64::NAN } else { lane.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / n }
}

fn position(lane: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = 0;
    for (i, &v) in lane.iter().enumerate() {
        if (v.is_nan() && !lane[best].is_nan()) || (!lane[best].is_nan() && better(v, lane[best])) {
            best = i;
        }
    }
    best as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn reductions_agree(seed: u64, ndim in 1usize..4, nans: bool) {
        let mut dice = Dice(seed);
        let shape: Vec<usize> = (0..ndim).map(|_| 1 + dice.roll(6)).collect();
        let mut m = dice.data(&shape);
        if nans {
            m.iter_mut().for_each(|v| if dice.roll(9) == 0 { *v = f64::NAN });
        }
        let x = engine().array().from_ndarray(&m, dice.chunks(&shape)).unwrap();
        // A lazy chain in front tries the fused path, a transposed copy the other memory order.
        let x = match dice.roll(3) {
            0 => &x * 2.0,
            1 => { m = m.t().as_standard_layout().into_owned(); x.t() * 2.0 }
            _ => (&x * 2.0).rechunk(dice.chunks(&shape)).unwrap(),
        };
        let m = m.mapv(|v| v * 2.0);
        let list: Vec<usize> = (0..ndim).filter(|_| dice.roll(2) == 0).collect();
        let signed: Vec<i32> = list.iter().map(|&a| a as i32 - if dice.roll(2) == 0 { 0 } else { ndim as i32 }).collect();
        let spec: Axes = match signed.as_slice() {
            [] => axes(..),
            [a] => axes(*a),
            [a, b] => axes([*a, *b]),
            [a, b, c] => axes([*c, *a, *b]),
            _ => unreachable!(),
        };
        let list = if list.is_empty() { (0..ndim).collect() } else { list };
        let check = |name: &str, got: Array<f64>, f: &dyn Fn(&[f64]) -> f64| {
            let want = lanes(&m, &list, f);
            let got = run(&got);
            prop_assert!(close(&got, &want, 1e-10), "{name} of {m:?} along {list:?}: {got:?}, not {want:?}");
            Ok(())
        };
        let kept = || spec.clone().keepdims();
        check("sum", x.sum(kept()).unwrap(), &|l| l.iter().sum())?;
        check("prod", x.prod(kept()).unwrap(), &|l| l.iter().product())?;
        check("mean", x.mean(kept()).unwrap(), &mean)?;
        check("var", x.var(kept()).unwrap(), &|l| var(l, 0.0))?;
        check("var 1", x.var_with(kept(), 1).unwrap(), &|l| var(l, 1.0))?;
        check("std", x.std(kept()).unwrap(), &|l| var(l, 0.0).sqrt())?;
        let nan_or = |l: &[f64], v: f64| if l.iter().any(|v| v.is_nan()) { f64::NAN } else { v };
        check("min", x.min(kept()).unwrap(), &|l| nan_or(l, l.iter().copied().fold(f64::INFINITY, f64::min)))?;
        check("max", x.max(kept()).unwrap(), &|l| nan_or(l, l.iter().copied().fold(f64::NEG_INFINITY, f64::max)))?;
        check("any", x.greater(5.0).unwrap().any(kept()).unwrap().cast(), &|l| f64::from(l.iter().any(|&v| v > 5.0)))?;
        check("all", x.less(5.0).unwrap().all(kept()).unwrap().cast(), &|l| f64::from(l.iter().all(|&v| v < 5.0)))?;
        if list.len() == 1 || list.len() == ndim {
            check("argmax", x.argmax(kept()).unwrap().cast(), &|l| position(l, |a, b| a > b))?;
            check("argmin", x.argmin(kept()).unwrap().cast(), &|l| position(l, |a, b| a < b))?;
        }
        // Without keepdims only the shape differs.
        let dropped = run(&x.sum(spec.clone()).unwrap());
        let kept = run(&x.sum(kept()).unwrap());
        prop_assert_eq!(dropped.ndim(), ndim - list.len());
        prop_assert!(dropped.iter().map(|v| v.to_bits()).eq(kept.iter().map(|v| v.to_bits())));
    }
}

#[test]
fn empty_reductions_have_neutral_values() {
    let x = engine().array().zeros::<f64>([0, 3], chunks(2)).unwrap();
    assert_eq!(run(&x.sum(0).unwrap()).as_slice().unwrap(), [0.0; 3]);
    assert_eq!(run(&x.prod(..).unwrap()).first(), Some(&1.0));
    assert!(run(&x.mean(0).unwrap()).iter().all(|v| v.is_nan()));
    assert!(run(&x.var(..).unwrap()).iter().all(|v| v.is_nan()));
    assert_eq!(run(&x.sum(1).unwrap()).shape(), [0]);
}

#[test]
fn long_sums_are_pairwise() {
    // 0.1 a million times: adding one by one is off by 1e-6 or more.
    let x = engine().array().full([100_000], 0.1, chunks(30_000)).unwrap();
    let sum: f64 = run(&x.sum(..).unwrap())[IxDyn(&[])];
    assert!((sum - 10_000.0).abs() < 1e-9, "{sum}");
}

#[test]
fn variance_survives_a_large_mean() {
    let x = engine().array().from_fn([1000], chunks(37), |i| 1e9 + (i[0] % 2) as f64).unwrap();
    let var = run(&x.var(..).unwrap())[IxDyn(&[])];
    // E[x²] - E[x]² would be off by a hundred here.
    assert!((var - 0.25).abs() < 1e-7, "{var}");
}

#[test]
fn a_fused_sum_equals_the_sum_of_what_was_stored() {
    let x = engine().array().random_uniform([70, 90], chunks([33, 41]), 5).unwrap();
    let y = &x * 2.0 + x.sin();
    let fused = run(&y.sum(..).unwrap())[IxDyn(&[])];
    let stored = run(&y.persist().unwrap().sum(..).unwrap())[IxDyn(&[])];
    assert_eq!(fused.to_bits(), stored.to_bits());
}
