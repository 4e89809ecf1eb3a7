//! Calls that are made and not started, and refs that nobody holds.
#![deny(unused_must_use)]
extern crate trefoil_tasks as trefoil;
use trefoil::{Engine, task};

#[task]
fn sum(xs: &[i64]) -> i64 { xs.iter().sum() }

fn main() {
    let engine = Engine::new().unwrap();
    sum([1, 2]);
    engine.spawn(sum([1, 2]));
}
