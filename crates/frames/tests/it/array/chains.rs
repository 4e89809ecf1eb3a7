//! Random chains of operations on random shapes and chunkings, beside the same on ndarray.

use ndarray::{ArrayD, Axis, IxDyn, SliceInfo, SliceInfoElem, concatenate as nd_concatenate};
use proptest::prelude::*;
use trefoil_frames::array::{Array, axes, concatenate, stack};

use super::{Dice, close, run};

fn slice_of(dice: &mut Dice, shape: &[usize]) -> Vec<SliceInfoElem> {
    let mut out = Vec::new();
    for &len in shape {
        if dice.roll(10) == 0 {
            out.push(SliceInfoElem::NewAxis);
        }
        if len > 0 && dice.roll(5) == 0 {
            let at = dice.roll(len) as isize;
            out.push(SliceInfoElem::Index(if dice.roll(2) == 0 { at } else { at - len as isize }));
            continue;
        }
        let start = dice.roll(len + 1);
        let end = start + dice.roll(len - start + 1);
        let step = [1, 1, 2, 3, -1, -2][dice.roll(6)];
        let end = if dice.roll(4) == 0 { None } else { Some(end as isize) };
        out.push(SliceInfoElem::Slice { start: start as isize, end, step });
    }
    out
}

/// One random step on both sides; the shape may change.
fn step(dice: &mut Dice, x: Array<f64>, m: ArrayD<f64>) -> (String, Array<f64>, ArrayD<f64>) {
    let shape = m.shape().to_vec();
    let ndim = shape.len();
    match dice.roll(15) {
        0 => ("x*2-3".into(), x * 2.0 - 3.0, m.mapv(|v| v * 2.0 - 3.0)),
        1 => ("abs(-x)".into(), (-x).abs(), m.mapv(f64::abs)),
        2 => {
            // Broadcasting: some axes of length 1, leading ones left out.
            let skip = dice.roll(ndim + 1);
            let other: Vec<usize> =
                shape[skip..].iter().map(|&n| if dice.roll(3) == 0 { 1 } else { n }).collect();
            let (y, n) = dice.array(&other);
            let wide = n.broadcast(IxDyn(&shape)).unwrap().to_owned();
            match dice.roll(3) {
                0 => (format!("x + {other:?}"), &x + &y, &m + &wide),
                1 => (format!("{other:?} - x"), &y - &x, &wide - &m),
                _ => (format!("x max {other:?}"), x.maximum(&y).unwrap(), {
                    let mut out = m.clone();
                    out.zip_mut_with(&wide, |a, b| *a = a.max(*b));
                    out
                }),
            }
        }
        3 => ("t".into(), x.t(), m.t().to_owned()),
        4 => {
            let mut order: Vec<usize> = (0..ndim).collect();
            for i in (1..ndim).rev() {
                order.swap(i, dice.roll(i + 1));
            }
            (format!("transpose {order:?}"), x.transpose(&order).unwrap(), m.permuted_axes(IxDyn(&order)))
        }
        5 | 6 => {
            let parts = slice_of(dice, &shape);
            let info = SliceInfo::<_, IxDyn, IxDyn>::try_from(parts.clone()).unwrap();
            (format!("slice {parts:?}"), x.slice(&parts).unwrap(), m.slice(info).to_owned())
        }
        7 => {
            let cut = dice.chunks(&shape);
            (format!("rechunk {cut:?}"), x.rechunk(cut).unwrap(), m)
        }
        8 => {
            let all = m.len();
            let divisor =
                (1..=all.max(1)).rev().find(|&d| all.is_multiple_of(d) && dice.roll(2) == 0).unwrap_or(1);
            let target: Vec<usize> = if all == 0 { vec![0, 3] } else { vec![divisor, all / divisor] };
            let flat = m.as_standard_layout().into_owned();
            let out = flat.into_shape_with_order(IxDyn(&target)).unwrap();
            (format!("reshape {target:?}"), x.reshape(target.as_slice()).unwrap(), out)
        }
        9 if ndim > 0 => {
            let axis = dice.roll(ndim);
            let mut other = shape.clone();
            other[axis] = dice.roll(4);
            let (y, n) = dice.array(&other);
            let both = nd_concatenate(Axis(axis), &[m.view(), n.view()]).unwrap();
            (format!("concatenate {other:?}"), concatenate(&[x, y], axis as isize).unwrap(), both)
        }
        10 => {
            let axis = dice.roll(ndim + 1);
            let both = ndarray::stack(Axis(axis), &[m.view(), m.view()]).unwrap();
            (format!("stack {axis}"), stack(&[x.clone(), x], axis as isize).unwrap(), both)
        }
        11 if ndim > 0 => {
            let axis = dice.roll(ndim);
            let sum = m.sum_axis(Axis(axis));
            if dice.roll(2) == 0 {
                (format!("sum {axis}"), x.sum(axis).unwrap(), sum)
            } else {
                let kept = sum.insert_axis(Axis(axis));
                (format!("sum {axis} kept"), x.sum(axes(axis).keepdims()).unwrap(), kept)
            }
        }
        12 if ndim > 0 => {
            let axis = dice.roll(ndim);
            let mut out = m;
            out.accumulate_axis_inplace(Axis(axis), |&before, now| *now += before);
            (format!("cumsum {axis}"), x.cumsum(axis as isize).unwrap(), out)
        }
        13 => {
            let y = x.greater(1.0).unwrap().where_(&x, -1.0).unwrap();
            ("where".into(), y, m.mapv(|v| if v > 1.0 { v } else { -1.0 }))
        }
        _ => {
            let y = x.map_blocks(|block| block.mapv(|v| v / 2.0)).unwrap();
            ("map_blocks".into(), y, m.mapv(|v| v / 2.0))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn chains_agree_with_ndarray(seed: u64, ndim in 0usize..4, steps in 1usize..7) {
        let mut dice = Dice(seed);
        let shape = dice.shape(ndim, 6);
        let (mut x, mut m) = dice.array(&shape);
        let mut story = vec![format!("{shape:?}")];
        for _ in 0..steps {
            if m.ndim() > 4 || m.len() > 4000 {
                break;
            }
            let said;
            (said, x, m) = step(&mut dice, x, m);
            story.push(said);
            prop_assert_eq!(x.shape(), m.shape(), "{}", story.join(" | "));
            let sums: Vec<usize> = x.chunk_lengths().iter().map(|lens| lens.iter().sum()).collect();
            prop_assert_eq!(x.shape(), sums.as_slice(), "{}", story.join(" | "));
        }
        let got = run(&x);
        prop_assert!(got.is_standard_layout());
        prop_assert!(close(&got, &m, 1e-12), "{}\n got {got:?}\nwant {m:?}", story.join(" | "));
    }

    #[test]
    fn dot_agrees_with_ndarray(seed: u64, m in 1usize..9, k in 0usize..9, n in 1usize..9) {
        let mut dice = Dice(seed);
        let (a, na) = dice.array(&[m, k]);
        let (b, nb) = dice.array(&[k, n]);
        let (v, nv) = dice.array(&[k]);
        let two = |x: &ArrayD<f64>| x.clone().into_dimensionality::<ndarray::Ix2>().unwrap();
        let one = nv.clone().into_dimensionality::<ndarray::Ix1>().unwrap();
        let (na, nb) = (two(&na), two(&nb));
        let same = |x: &Array<f64>, want: ArrayD<f64>| close(&run(x), &want, 1e-12);
        prop_assert!(same(&a.dot(&b).unwrap(), na.dot(&nb).into_dyn()));
        prop_assert!(same(&b.t().dot(&a.t()).unwrap(), na.dot(&nb).t().to_owned().into_dyn()));
        prop_assert!(same(&a.dot(&v).unwrap(), na.dot(&one).into_dyn()));
        prop_assert!(same(&v.dot(&b).unwrap(), one.dot(&nb).into_dyn()));
        prop_assert!(same(&v.dot(&v).unwrap(), ArrayD::from_elem(IxDyn(&[]), one.dot(&one))));
        prop_assert!(same(&a.dot(&a.t()).unwrap(), na.dot(&na.t()).into_dyn()));
        // Integers go through a kernel of their own.
        let ints = a.cast::<i64>().dot(&b.cast::<i64>()).unwrap().cast::<f64>();
        prop_assert!(same(&ints, na.dot(&nb).into_dyn()));
    }
}
