//! Arrays against ndarray.

mod chains;
mod determinism;
mod errors;
mod linalg;
mod reductions;
mod units;

use std::sync::OnceLock;

use ndarray::{ArrayD, IxDyn};
use trefoil_core::{Engine, Error};
use trefoil_frames::array::{Array, ArraySession, Chunks, Element, chunks};

/// One engine for all tests that do not ask for another.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::builder().workers(2).build().unwrap())
}

pub fn run<T: Element>(array: &Array<T>) -> ArrayD<T> {
    array.engine().block_on(array.compute()).unwrap()
}

pub fn fail<T: Element>(array: &Array<T>) -> Error {
    array.engine().block_on(array.compute()).unwrap_err()
}

/// A small generator, so that a failing case is one number.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides.max(1)
    }

    /// A random cut of every axis, often uneven.
    pub fn chunks(&mut self, shape: &[usize]) -> Chunks {
        let axes: Vec<Vec<usize>> = shape
            .iter()
            .map(|&len| {
                let mut lens = Vec::new();
                let mut left = len;
                while left > 0 {
                    let take = 1 + self.roll(left);
                    lens.push(take);
                    left -= take;
                }
                if lens.is_empty() { vec![0] } else { lens }
            })
            .collect();
        chunks(axes)
    }

    pub fn shape(&mut self, axes: usize, longest: usize) -> Vec<usize> {
        (0..axes).map(|_| if self.roll(12) == 0 { 0 } else { 1 + self.roll(longest) }).collect()
    }

    /// Small whole numbers: sums of them are exact in any order.
    pub fn data(&mut self, shape: &[usize]) -> ArrayD<f64> {
        let n = shape.iter().product();
        let values = (0..n).map(|_| self.roll(19) as f64 - 9.0).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()
    }

    pub fn array(&mut self, shape: &[usize]) -> (Array<f64>, ArrayD<f64>) {
        let data = self.data(shape);
        (engine().array().from_ndarray(&data, self.chunks(shape)).unwrap(), data)
    }
}

pub fn close(a: &ArrayD<f64>, b: &ArrayD<f64>, tolerance: f64) -> bool {
    a.shape() == b.shape()
        && a.iter().zip(b).all(|(&a, &b)| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
        })
}
