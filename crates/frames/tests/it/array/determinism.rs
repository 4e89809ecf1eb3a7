//! The same answers on any number of workers, at any time; random numbers by position.

use ndarray::ArrayD;
use trefoil_core::{Engine, Result};
use trefoil_frames::array::{ArraySession, Chunks, auto, chunks};
use trefoil_frames::delayed::DelayedSession;
use trefoil_frames::seed;

use super::{engine, run};

/// Some of everything where order of evaluation could show.
fn program(engine: &Engine) -> Result<Vec<ArrayD<f64>>> {
    let x = engine.array().random_normal([60, 40], chunks([7, 9]), seed(11))?;
    let y = (&x * 1.1 + x.sin()).rechunk([13, 40])?;
    let (q, r) = y.qr()?;
    let (_, s, _) = y.svd()?;
    let parts = vec![
        x.sum(..)?,
        x.mean(0)?,
        y.var(1)?,
        x.dot(&x.t())?,
        x.cumsum(0)?,
        y.t().std(..)?,
        q,
        r,
        s,
        x.exp(),
    ];
    engine.block_on(engine.compute_all(parts))
}

#[test]
fn worker_count_and_repetition_change_no_bit() {
    let bits = |results: Vec<ArrayD<f64>>| -> Vec<Vec<u64>> {
        results.iter().map(|a| a.iter().map(|v| v.to_bits()).collect()).collect()
    };
    let first = bits(program(engine()).unwrap());
    for workers in [1, 2, 4, 4] {
        let engine = Engine::builder().workers(workers).build().unwrap();
        assert_eq!(first, bits(program(&engine).unwrap()), "{workers} workers");
    }
}

#[test]
fn random_numbers_do_not_depend_on_chunks() {
    let cuts: [Chunks; 4] = [chunks([30, 20]), chunks([7, 3]), chunks(vec![vec![1, 29], vec![20]]), auto()];
    let uniform = run(&engine().array().random_uniform([30, 20], cuts[0].clone(), seed(1)).unwrap());
    let normal = run(&engine().array().random_normal([30, 20], cuts[0].clone(), seed(1)).unwrap());
    for cut in cuts {
        assert_eq!(uniform, run(&engine().array().random_uniform([30, 20], cut.clone(), seed(1)).unwrap()));
        assert_eq!(normal, run(&engine().array().random_normal([30, 20], cut, seed(1)).unwrap()));
    }
    assert_ne!(uniform, run(&engine().array().random_uniform([30, 20], auto(), seed(2)).unwrap()));
}

#[test]
fn random_numbers_have_the_moments_they_claim() {
    let n = 40_000;
    let mut seen = Vec::new();
    for number in [0, 1, 2, u64::MAX] {
        let uniform = run(&engine().array().random_uniform([n], auto(), seed(number)).unwrap());
        assert!(uniform.iter().all(|&v| (0.0..1.0).contains(&v)));
        let mean = uniform.sum() / n as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let lag: f64 = uniform.iter().zip(uniform.iter().skip(1)).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum();
        assert!((lag / n as f64).abs() < 0.003, "{lag}");
        let normal = run(&engine().array().random_normal([n], auto(), seed(number)).unwrap());
        let mean = normal.sum() / n as f64;
        let var = normal.iter().map(|v| v * v).sum::<f64>() / n as f64 - mean * mean;
        let kurtosis = normal.iter().map(|v| v.powi(4)).sum::<f64>() / n as f64;
        assert!(
            mean.abs() < 0.03 && (var - 1.0).abs() < 0.04 && (kurtosis - 3.0).abs() < 0.25,
            "{mean} {var} {kurtosis}"
        );
        // Streams of different seeds must not be shifted copies of each other.
        seen.push(uniform.iter().take(1000).map(|v| v.to_bits()).collect::<std::collections::HashSet<_>>());
    }
    for i in 0..seen.len() {
        for j in 0..i {
            assert!(seen[i].is_disjoint(&seen[j]));
        }
    }
}

#[test]
fn shared_parts_run_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let x = engine()
        .array()
        .from_fn([4, 4], chunks(2), |i| (i[0] * 4 + i[1]) as f64)
        .unwrap()
        .map_blocks(move |block| {
            counted.fetch_add(1, Ordering::SeqCst);
            block.clone()
        })
        .unwrap();
    run(&x.dot(&x.t()).unwrap());
    assert_eq!(runs.swap(0, Ordering::SeqCst), 4);
    let both = engine().block_on(engine().compute_all((x.sum(0).unwrap(), x.sum(1).unwrap()))).unwrap();
    assert_eq!(both.0.sum(), both.1.sum());
    assert_eq!(runs.swap(0, Ordering::SeqCst), 4);
    let held = x.dot(&x).unwrap().persist().unwrap();
    run(&held);
    run(&held.sum(..).unwrap());
    assert_eq!(runs.swap(0, Ordering::SeqCst), 4);
    // Only what a slice needs is computed.
    run(&x.slice(ndarray::s![0..1, 0..2]).unwrap());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}
