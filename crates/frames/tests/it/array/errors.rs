//! What does not fit is said: kind, operation, both sides, what to do; the engine goes on.

use ndarray::{Array2, s};
use trefoil_core::{Engine, Error, ErrorKind, Result};
use trefoil_frames::array::{Array, ArraySession, auto, axes, chunks, concatenate, stack, whole};
use trefoil_frames::seed;

use super::{engine, fail, run};

fn check<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, operation: &str, parts: &[&str]) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert_eq!(error.operation(), operation, "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in `{text}`");
    }
}

fn ones(shape: &[usize]) -> Array<f64> {
    engine().array().ones(shape, chunks(2)).unwrap()
}

#[test]
fn each_mistake_has_its_error() {
    use ErrorKind::{InvalidArgument, OutOfMemory, ShapeMismatch, Unsupported};
    let b = engine().array();
    let (a23, a45) = (ones(&[2, 3]), ones(&[4, 5]));

    check(
        b.zeros::<f64>([4, 4], chunks([2, 0])),
        InvalidArgument,
        "full",
        &["chunk size 0", "axis 1", "[4, 4]"],
    );
    check(a23.rechunk(0), InvalidArgument, "rechunk", &["chunk size 0"]);
    check(
        b.random_uniform([4, 4], [2], seed(1)),
        ShapeMismatch,
        "random_uniform",
        &["1 chunk sizes", "2 axes", "one chunk size per axis"],
    );
    check(a23.rechunk(vec![vec![1], vec![3]]), ShapeMismatch, "rechunk", &["axis 0", "sum to 1", "length 2"]);
    check(a23.rechunk(vec![vec![2], vec![0, 3]]), InvalidArgument, "rechunk", &["chunk size 0"]);

    check(a23.dot(&a45), ShapeMismatch, "dot", &["[2, 3]", "[4, 5]", "3", "4"]);
    check(a23.dot(&ones(&[])), ShapeMismatch, "dot", &["[]", "neither a matrix nor a vector"]);
    check(a23.try_add(&a45), ShapeMismatch, "add", &["[2, 3]", "[4, 5]", "broadcast"]);
    check(a23.less(&a45), ShapeMismatch, "less", &["[2, 3]", "[4, 5]"]);
    check(a23.less(1.0).unwrap().where_(&a45, 0.0), ShapeMismatch, "where_", &["[2, 3]", "[4, 5]"]);

    check(a23.sum(2), InvalidArgument, "sum", &["axis 2", "2 axes"]);
    check(a23.mean(-3), InvalidArgument, "mean", &["axis -3"]);
    check(a23.max([0, -2]), InvalidArgument, "max", &["axis 0", "twice"]);
    check(ones(&[0, 2]).min(0), InvalidArgument, "min", &["[0, 2]"]);
    check(ones(&[2, 2, 2]).argmax([0, 1]), Unsupported, "argmax", &["one axis or all"]);
    check(a23.cumsum(2), InvalidArgument, "cumsum", &["axis 2"]);
    check(a23.transpose(&[0, 0]), InvalidArgument, "transpose", &["[0, 0]"]);
    check(a23.expand_dims(3), InvalidArgument, "expand_dims", &["axis 3"]);

    check(b.linspace(0.0, f64::NAN, 5, auto()), InvalidArgument, "linspace", &["NaN", "finite"]);
    check(b.linspace(f64::NEG_INFINITY, 1.0, 5, auto()), InvalidArgument, "linspace", &["-inf"]);
    check(b.arange(0.0, 1.0, 0.0, auto()), InvalidArgument, "arange", &["by 0"]);
    check(b.arange(0.0, f64::INFINITY, 1.0, auto()), InvalidArgument, "arange", &["inf"]);
    check(b.arange(0.0, 1e300, 1e-300, auto()), InvalidArgument, "arange", &["too many"]);

    check(a23.slice(s![0..3, ..]), InvalidArgument, "slice", &["0..3", "axis 0", "length 2"]);
    check(a23.slice(s![.., 3]), InvalidArgument, "slice", &["position 3", "axis 1", "length 3"]);
    check(a23.slice(s![-3.., ..]), InvalidArgument, "slice", &["axis 0"]);
    check(a23.slice(s![0, 0, 0]), ShapeMismatch, "slice", &["3 entries", "2 axes"]);
    let zero = ndarray::SliceInfoElem::Slice { start: 0, end: None, step: 0 };
    check(a23.slice([zero]), InvalidArgument, "slice", &["step 0"]);

    check(a23.reshape([4, 2]), ShapeMismatch, "reshape", &["[2, 3]", "6", "[4, 2]"]);
    check(a23.reshape([-1, -1]), ShapeMismatch, "reshape", &["[-1, -1]"]);
    check(a23.reshape([-2, 3]), ShapeMismatch, "reshape", &["[-2, 3]"]);
    check(a23.reshape([-1, 4]), ShapeMismatch, "reshape", &["[-1, 4]"]);
    check(a23.reshape([usize::MAX, usize::MAX]), ShapeMismatch, "reshape", &[]);

    check(ones(&[5, 5]).svd(), InvalidArgument, "svd", &["cut both ways", "3 x 3", "rechunk([5, 2])"]);
    check(ones(&[5, 5]).qr(), InvalidArgument, "qr", &["3 chunks", "rechunk([2, 5])"]);
    check(ones(&[5]).svd(), ShapeMismatch, "svd", &["[5]", "not a matrix"]);
    check(ones(&[5, 5]).svd_compressed(6, 1, seed(1)), InvalidArgument, "svd_compressed", &["6", "1 to 5"]);
    check(ones(&[5, 5]).svd_compressed(0, 1, seed(1)), InvalidArgument, "svd_compressed", &["1 to 5"]);
    check(ones(&[2, 3]).solve(&ones(&[2])), ShapeMismatch, "solve", &["[2, 3]", "square"]);
    check(ones(&[4, 4]).cholesky(), InvalidArgument, "cholesky", &["4 chunks", "whole()"]);
    check(ones(&[2, 2]).solve(&ones(&[1])), ShapeMismatch, "solve", &["[1]", "[2, 2]"]);

    check(concatenate(&[a23.clone(), a45.clone()], 0), ShapeMismatch, "concatenate", &["[4, 5]", "[2, 3]"]);
    check(concatenate(std::slice::from_ref(&a23), 2), InvalidArgument, "concatenate", &["axis 2"]);
    check(concatenate::<f64>(&[], 0), InvalidArgument, "concatenate", &["no arrays"]);
    check(stack(&[a23.clone(), a45.clone()], 0), ShapeMismatch, "stack", &["[4, 5]", "concatenate()"]);
    check(stack::<f64>(&[], 0), InvalidArgument, "stack", &["no arrays"]);

    check(b.zeros::<f64>([1 << 40, 1 << 40], auto()), InvalidArgument, "full", &["more elements"]);
    check(b.zeros::<f64>([usize::MAX, 0], auto()), InvalidArgument, "full", &["more elements"]);
    check(b.zeros::<f64>([1 << 40], chunks(1)), InvalidArgument, "full", &["chunks", "larger chunks"]);
    check(b.zeros::<f64>([1 << 50], whole()), OutOfMemory, "full", &["memory budget", "smaller chunks"]);
    check(
        engine().block_on(b.zeros::<f64>([1 << 40], chunks(1 << 20)).unwrap().compute()),
        OutOfMemory,
        "compute",
        &["memory budget"],
    );
    check(engine().block_on(a23.compute_scalar()), ShapeMismatch, "compute_scalar", &["6 elements"]);
    check(engine().block_on(a23.compute_as::<ndarray::Ix1>()), ShapeMismatch, "compute_as", &["[2, 3]"]);

    // After all that the engine works.
    assert_eq!(run(&a23.sum(axes(..)).unwrap()).first(), Some(&6.0));
}

#[test]
fn operators_keep_their_error_until_it_can_be_reported() {
    let wrong = (ones(&[2, 3]) + ones(&[4, 5])) * 2.0;
    let again = (-&wrong + 1.0).t().abs();
    for error in
        [fail(&wrong), fail(&again), again.sum(..).unwrap_err(), wrong.graph().map(|_| ()).unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::ShapeMismatch);
        assert_eq!(error.operation(), "add");
    }
    assert_eq!(wrong.persist().unwrap_err().operation(), "add");
    assert_eq!(ones(&[2]).try_add(&wrong).unwrap_err().operation(), "add");
}

#[test]
fn what_only_the_values_show_is_said_when_computed() {
    let b = engine().array();
    let of = |rows: &[[f64; 2]]| {
        let flat: Vec<f64> = rows.iter().flatten().copied().collect();
        let matrix = Array2::from_shape_vec((rows.len(), 2), flat).unwrap().into_dyn();
        b.from_ndarray(&matrix, whole()).unwrap()
    };
    let errors: Vec<(Error, &str)> = vec![
        (fail(&of(&[[1.0, 2.0], [2.0, 4.0]]).solve(&of(&[[1.0, 0.0], [0.0, 1.0]])).unwrap()), "singular"),
        (fail(&of(&[[1.0, 2.0], [2.0, 1.0]]).cholesky().unwrap()), "positive definite"),
        (fail(&of(&[[1.0, f64::NAN], [2.0, 1.0]]).svd().unwrap().1), "NaN"),
        (fail(&of(&[[1.0, f64::INFINITY], [2.0, 1.0]]).svd().unwrap().0), "infinite"),
        (fail(&of(&[[1.0, 2.0]]).map_blocks(|block| block.t().to_owned()).unwrap()), "keep the shape"),
    ];
    for (error, part) in errors {
        assert!(error.to_string().contains(part), "{error}");
    }
    let panicking = ones(&[4]).map_blocks(|block| {
        assert!(block.is_empty(), "deliberate");
        block.clone()
    });
    let error = fail(&panicking.unwrap().sum(..).unwrap());
    assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
    assert!(error.to_string().contains("deliberate"), "{error}");
    let task = error.task().unwrap();
    assert_eq!((task.name.as_ref(), task.location.file()), ("map_blocks", file!()));
    assert_eq!(run(&ones(&[2])).sum(), 2.0);
}

#[test]
fn persisted_memory_is_in_the_budget_until_dropped() {
    let engine = Engine::builder().workers(1).memory("1MiB").build().unwrap();
    let before = engine.budget().reserved();
    let x = engine.array().ones::<f64>([100, 1000], chunks([10, 1000])).unwrap();
    let held = x.persist().unwrap();
    assert!(engine.budget().reserved() >= before + 800_000);
    let error = x.persist().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    drop(held);
    assert_eq!(engine.budget().reserved(), before);
    let data = ndarray::ArrayD::from_elem(ndarray::IxDyn(&[70_000]), 1.0);
    let copy = engine.array().from_ndarray(&data, chunks(10_000)).unwrap();
    assert!(engine.budget().reserved() >= before + 560_000);
    assert_eq!(
        engine.array().from_ndarray(&data, chunks(10_000)).unwrap_err().kind(),
        ErrorKind::OutOfMemory
    );
    drop(copy);
    assert_eq!(engine.budget().reserved(), before);
    assert_eq!(engine.block_on(x.sum(..).unwrap().compute_scalar()).unwrap(), 100_000.0);
}

#[test]
fn after_shutdown_computing_is_refused() {
    let engine = Engine::builder().workers(1).build().unwrap();
    let x = engine.array().ones::<f64>([4], chunks(2)).unwrap();
    engine.shutdown();
    let error = engine.block_on(x.compute()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ShutDown | ErrorKind::Cancelled), "{error}");
}
