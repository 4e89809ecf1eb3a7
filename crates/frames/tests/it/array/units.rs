//! Constructors, types, fusion and the rest, one by one.

use ndarray::{ArrayD, IxDyn, s};
use trefoil_frames::array::{Array, ArraySession, auto, chunks, whole};

use super::{engine, run};

fn values<T: trefoil_frames::array::Element>(array: &Array<T>) -> Vec<T> {
    run(array).into_iter().collect()
}

#[test]
fn constructors() {
    let b = engine().array();
    assert_eq!(values(&b.arange(0, 7, 2, chunks(2)).unwrap()), [0, 2, 4, 6]);
    assert_eq!(values(&b.arange(5i64, 0, -2, chunks(2)).unwrap()), [5, 3, 1]);
    assert_eq!(values(&b.arange(1.0, 1.0, 0.5, auto()).unwrap()), [0.0; 0]);
    assert_eq!(values(&b.linspace(0.0, 1.0, 5, chunks(2)).unwrap()), [0.0, 0.25, 0.5, 0.75, 1.0]);
    assert_eq!(values(&b.linspace(3.0, 9.0, 1, auto()).unwrap()), [3.0]);
    assert_eq!(values(&b.linspace(3.0f32, 9.0, 0, auto()).unwrap()), [0.0; 0]);
    assert_eq!(run(&b.eye::<f64>(5, chunks([2, 3])).unwrap()), ndarray::Array2::<f64>::eye(5).into_dyn());
    assert_eq!(values(&b.full([2, 2], true, auto()).unwrap()), [true; 4]);
    assert_eq!(values(&b.zeros::<i32>(3, auto()).unwrap()), [0; 3]);
    let x = b.from_fn([3, 4], chunks([2, 3]), |i| (10 * i[0] + i[1]) as i64).unwrap();
    assert_eq!(run(&x), ArrayD::from_shape_fn(IxDyn(&[3, 4]), |i| (10 * i[0] + i[1]) as i64));
    assert_eq!(run(&b.full([], 7.5, auto()).unwrap()), ArrayD::from_elem(IxDyn(&[]), 7.5));
}

#[test]
fn automatic_chunks_are_about_four_megabytes() {
    let bytes = |x: &Array<f64>| -> usize { x.chunk_lengths().iter().map(|l| l[0]).product::<usize>() * 8 };
    for shape in [vec![10_000, 10_000], vec![100_000_000], vec![3, 40_000_000], vec![500, 500, 500]] {
        let x = engine().array().zeros::<f64>(shape.clone(), auto()).unwrap();
        assert!((2_000_000..=(4 << 20)).contains(&bytes(&x)), "{shape:?} in {:?}", bytes(&x));
    }
    assert_eq!(engine().array().zeros::<f64>([10, 10], auto()).unwrap().num_blocks(), 1);
}

#[test]
fn types_mix_in_one_fused_expression() {
    let b = engine().array();
    let ints = b.arange(0, 6, 1, chunks(2)).unwrap();
    let flags = b.from_fn([6], chunks(4), |i| i[0] % 3 == 0).unwrap();
    let floats = b.linspace(0.0, 0.5, 6, chunks(3)).unwrap();
    let x = flags.where_(ints.cast::<f64>() + &floats, -1.0).unwrap();
    assert_eq!(values(&x), [0.0, -1.0, -1.0, 3.3, -1.0, -1.0]);
    assert_eq!(
        values(&flags.negate().and(ints.greater(3).unwrap()).unwrap()),
        [false, false, false, false, true, true]
    );
    assert_eq!(values(&flags.or(true).unwrap().cast::<i64>().sum(..).unwrap()), [6]);
}

#[test]
fn integers_wrap_and_never_panic() {
    let x = engine().array().full([3], i32::MAX, auto()).unwrap();
    assert_eq!(values(&(&x + 1)), [i32::MIN; 3]);
    assert_eq!(values(&x.sum(..).unwrap()), [i32::MAX.wrapping_mul(3)]);
    assert_eq!(values(&(-(&x + 1)).abs()), [i32::MIN; 3]);
    assert_eq!(values(&x.powi(-1)), [0; 3]);
    let x = engine().array().arange(-1, 3, 1, auto()).unwrap();
    assert_eq!(values(&x.powi(3)), [-1, 0, 1, 8]);
    assert_eq!(values(&(10i32 - &x).clip(9, 10)), [10, 10, 9, 9]);
}

#[test]
fn unary_functions() {
    let x = engine().array().linspace(0.25, 4.0, 16, chunks(5)).unwrap();
    let check = |y: Array<f64>, f: fn(f64) -> f64| {
        assert!(values(&y).iter().zip(values(&x)).all(|(&got, x)| got == f(x)));
    };
    check(x.sqrt(), f64::sqrt);
    check(x.exp(), f64::exp);
    check(x.ln(), f64::ln);
    check(x.sin(), f64::sin);
    check(x.cos(), f64::cos);
    check(x.tanh(), f64::tanh);
    check(x.floor(), f64::floor);
    check(x.ceil(), f64::ceil);
    check(x.powf(1.5).unwrap(), |v| v.powf(1.5));
    check(1.0 / &x, |v| 1.0 / v);
    assert_eq!(values(&(-&x).sqrt().is_nan()), [true; 16]);
}

#[test]
fn a_chain_is_one_task_per_chunk() {
    let x = engine().array().from_fn([8], chunks(4), |i| i[0] as f64).unwrap();
    let y = ((&x * 2.0 + &x).sqrt() - 1.0).abs().greater(2.0).unwrap();
    let graph = y.graph().unwrap().to_mermaid();
    assert_eq!(graph.matches("elementwise").count(), 2, "{graph}");
    let sum = (&x * 2.0).sum(..).unwrap().graph().unwrap().to_mermaid();
    assert_eq!(sum.matches("elementwise").count(), 0, "{sum}");
}

#[test]
fn shared_subexpressions_do_not_explode() {
    let mut x = engine().array().ones::<f64>([5], chunks(3)).unwrap();
    for _ in 0..60 {
        x = &x + &x;
    }
    assert_eq!(values(&x), [2f64.powi(60); 5]);
    let mut x = engine().array().from_fn([5], chunks(3), |_| 1.0).unwrap();
    for _ in 0..30_000 {
        x = x + 1.0;
    }
    assert_eq!(values(&x), [30_001.0; 5]);
}

#[test]
fn more_than_one_interpreter_block() {
    // Rows longer than a block, broadcast both ways, transposed.
    let b = engine().array();
    let x = b.from_fn([3, 5000], chunks([2, 4500]), |i| (i[0] * 5000 + i[1]) as f64).unwrap();
    let row = b.arange(0.0, 5000.0, 1.0, chunks(1000)).unwrap();
    let column = b.arange(0.0, 3.0, 1.0, whole()).unwrap().reshape([3, 1]).unwrap();
    let want = ArrayD::from_shape_fn(IxDyn(&[3, 5000]), |i| (i[0] * 5001 + 2 * i[1]) as f64);
    assert_eq!(run(&(&x + &row + &column)), want);
    assert_eq!(run(&(x.t() + column.t() + row.reshape([-1, 1]).unwrap())), want.t());
}

#[test]
fn transposing_and_slicing_know_their_chunks() {
    let x = engine().array().from_fn([6, 4], chunks([4, 3]), |i| i[0] as f64 - i[1] as f64).unwrap();
    assert_eq!(x.t().chunk_lengths(), [vec![3, 1], vec![4, 2]]);
    let y = x.slice(s![1..;2, ..]).unwrap();
    assert_eq!((y.shape(), y.chunk_lengths()), (&[3, 4][..], vec![vec![2, 1], vec![3, 1]]));
    assert_eq!(x.rechunk(whole()).unwrap().num_blocks(), 1);
    assert_eq!(x.reshape([3, 2, 4]).unwrap().chunk_lengths(), [vec![2, 1], vec![2], vec![3, 1]]);
    assert_eq!(format!("{x:?}"), "Array<f64>(shape [6, 4], chunks [[4, 2], [3, 1]])");
    assert_eq!(x.expand_dims(-1).unwrap().squeeze().unwrap().shape(), [6, 4]);
}

#[test]
fn blocks_are_calls_for_tasks() {
    let x = engine().array().from_fn([4], chunks(2), |i| i[0] as f64).unwrap();
    for x in [x.persist().unwrap(), x] {
        let sums: Vec<f64> = x
            .blocks()
            .unwrap()
            .into_iter()
            .map(|block| {
                engine().block_on(engine().compute(block.map("sum", |b: &ArrayD<f64>| b.sum()))).unwrap()
            })
            .collect();
        assert_eq!(sums, [1.0, 5.0]);
    }
}

#[test]
fn products_of_nothing_are_zero() {
    let b = engine().array();
    let (a, c) = (b.zeros::<f64>([2, 0], chunks(2)).unwrap(), b.zeros::<f64>([0, 3], chunks(2)).unwrap());
    assert_eq!(run(&a.dot(&c).unwrap()), ArrayD::from_elem(IxDyn(&[2, 3]), 0.0));
    assert_eq!(run(&c.t().dot(&a.t()).unwrap()), ArrayD::from_elem(IxDyn(&[3, 2]), 0.0));
    assert_eq!(run(&c.dot(&b.zeros::<f64>([3, 0], auto()).unwrap()).unwrap()).shape(), [0, 0]);
    let (u, s, vt) = c.svd().unwrap();
    assert_eq!((run(&u).shape(), run(&s).shape(), run(&vt).shape()), (&[0, 0][..], &[0][..], &[0, 3][..]));
    assert_eq!(run(&(c.t() + 1.0)).shape(), [3, 0]);
}

#[test]
fn arrays_of_the_results_of_tasks() {
    let make = |rows: usize| move || ArrayD::from_shape_fn(IxDyn(&[2, rows]), |i| (i[0] * 10 + i[1]) as f64);
    let parts = [engine().spawn_fn(make(3)), engine().spawn_fn(make(1))];
    let cut = chunks(vec![vec![2], vec![3, 1]]);
    let x = engine().array().from_blocks([2, 4], cut.clone(), &parts).unwrap();
    assert_eq!(values(&x), [0.0, 1.0, 2.0, 0.0, 10.0, 11.0, 12.0, 10.0]);
    // Blocks in another memory order are brought into line.
    let turned = parts.each_ref().map(|part| {
        engine()
            .block_on(part.clone())
            .unwrap()
            .as_standard_layout()
            .slice_move(ndarray::s![..;-1, ..])
            .into_dyn()
            .into_owned()
    });
    let y = engine().array().from_blocks([2, 4], cut, turned).unwrap();
    assert_eq!(values(&(y - &x)), [10.0, 10.0, 10.0, 10.0, -10.0, -10.0, -10.0, -10.0]);
    let wrong = engine().array().from_blocks([4, 2], chunks([4, 1]), &parts).unwrap();
    // Both blocks are wrong; which is seen first is chance.
    assert!(super::fail(&wrong).to_string().contains(", its chunk [4, 1]"));
    let few = engine().array().from_blocks([4, 2], chunks([1, 1]), &parts).unwrap_err();
    assert!(few.to_string().contains("2 blocks for shape [4, 2] in 8 chunks"), "{few}");
}
