//! Argument and result types that cannot be sent.
extern crate trefoil_tasks as trefoil;
use trefoil::task;

struct Opaque(i64);

#[task]
fn takes(value: &Opaque) -> i64 { value.0 }

#[task]
fn gives() -> Opaque { Opaque(1) }

#[task]
fn counted(value: std::rc::Rc<i64>) -> i64 { *value }

#[task(fallible)]
fn not_a_result() -> Option<i64> { None }

#[task]
fn bad_error() -> Result<i64, Opaque> { Ok(1) }

fn main() {}
