//! Options that a task does not have, or values they cannot take.
extern crate trefoil_tasks as trefoil;
use trefoil::task;

#[task(retrys = 3)]
fn misspelt() {}

#[task(gpus = 3)]
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

#[task(priority = "high")]
fn ranked() {}

#[task(memory = "lots")]
fn large() {}

#[task(resources = 3)]
fn resources() {}

#[task(resources(gpu = "one"))]
fn amount() {}

#[task(deadline = "soon")]
fn hurried() {}

#[task(backoff = "1s")]
fn backs_off_never() {}

#[task(retry_if)]
fn bare() {}

#[task(retries = 1, retry_if = 3)]
fn no_predicate() {}

#[task(look_ahead = 3)]
fn looks() {}

#[task(stream, retries = 2)]
fn stream_again() -> impl Iterator<Item = i64> { 0..3 }

#[task(stream, look_ahead = 0)]
fn stream_blind() -> impl Iterator<Item = i64> { 0..3 }

fn main() {}
