//! Calls with the wrong arguments.
extern crate trefoil_tasks as trefoil;
use trefoil::{Call, Ref, task};

#[task]
fn sum(xs: &[i64]) -> i64 { xs.iter().sum() }

#[task]
fn greet(name: &str, times: u32) -> String { name.repeat(times as usize) }

fn wrong_types(text: Ref<String>, call: Call<u32>) {
    let _a = sum("text");
    let _b = sum(text);
    let _c = greet("a", call);
}

fn wrong_count() {
    let _a = greet("a");
}

fn main() {}
