//! Streaming tasks that are none.
#![allow(unused_variables)]
extern crate trefoil_tasks as trefoil;
use trefoil::task;

#[task(stream)]
fn nothing() {}

#[task(stream)]
fn list() -> Vec<i64> { vec![] }

#[task(stream)]
fn unnamed() -> impl Iterator { 0..3 }

#[task(stream)]
fn other() -> impl std::fmt::Debug { 0 }

#[task(stream)]
async fn later() -> impl Iterator<Item = i64> { 0..3 }

#[task(stream)]
fn borrowed(xs: &[String]) -> impl Iterator<Item = &str> { xs.iter().map(|x| x.as_str()) }

fn main() {}
