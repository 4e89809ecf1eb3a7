//! Functions that cannot be tasks.
#![allow(unused_variables)]
extern crate trefoil_tasks as trefoil;
use trefoil::task;

#[task]
fn generic<T>(value: T) -> i64 { 0 }

#[task]
fn constant<const N: usize>(n: i64) -> i64 { n }

#[task]
fn lifetime<'a>(text: &'a str) -> i64 { 0 }

#[task]
fn forever(text: &'static str) -> i64 { 0 }

#[task]
fn anything(value: impl ToString) -> i64 { 0 }

#[task]
fn in_place(xs: &mut Vec<i64>) -> i64 { 0 }

#[task]
fn inner_reference(xs: Vec<&str>, pair: &(i64, &i64)) -> i64 { 0 }

#[task]
fn object(f: &dyn std::fmt::Debug, g: fn(i64) -> i64) -> i64 { 0 }

#[task]
fn borrowed_result(xs: &[i64]) -> &[i64] { xs }

#[task]
fn borrowed_inside(xs: &[i64]) -> Option<&i64> { xs.first() }

#[task]
fn hidden_result() -> impl Iterator<Item = i64> { 0..3 }

#[task]
unsafe fn dangerous(n: i64) -> i64 { n }

#[task]
extern "C" fn foreign(n: i64) -> i64 { n }

#[task]
fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8) {}

#[task]
fn method(&self) -> i64 { 0 }

#[task]
struct NotAFunction;

fn main() {}
