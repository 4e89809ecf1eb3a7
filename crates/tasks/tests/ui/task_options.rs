//! Options that a task does not have, or values they cannot take.
extern crate trefoil_tasks as trefoil;
use trefoil::task;

#[task(retrys = 3)]
fn misspelt() {}

#[task(priority = 3)]
fn unknown() {}

#[task(retries = -1)]
fn negative() {}

#[task(retries = "three")]
fn text() {}

#[task(cpus = 0)]
fn none() {}

#[task(name = "")]
fn nameless() {}

#[task(retries = 1, retries = 2)]
fn twice() {}

#[task(fallible = true)]
fn valued() -> i64 { 1 }

#[task(3)]
fn number() {}

fn main() {}
