//! Impl blocks that cannot be actors, and methods that cannot be remote.
#![allow(unused_variables)]
extern crate trefoil_tasks as trefoil;
use trefoil::actor;

struct Plain;

#[actor]
impl Plain {
    pub fn generic<T: ToString>(&self, value: T) -> String { value.to_string() }
    pub fn borrowed(&self) -> &str { "x" }
    pub fn in_place(&mut self, xs: &mut Vec<i64>) {}
    pub fn stop(&mut self) {}
    pub fn fine(&self) -> i64 { 1 }
}

struct Wrapper<T>(T);

#[actor]
impl<T> Wrapper<T> {
    pub fn get(&self) -> i64 { 1 }
}

#[actor]
impl Wrapper<i64> {
    pub fn get_number(&self) -> i64 { 1 }
}

struct Shown;

#[actor]
impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("shown") }
}

#[actor(retries = 3)]
impl Shown {
    pub fn get(&self) -> i64 { 1 }
}

struct Marked;

#[actor]
impl Marked {
    #[actor(hidden)]
    pub fn get(&self) -> i64 { 1 }
}

struct Grouped;

#[actor]
impl Grouped {
    #[actor(group = "io")]
    pub fn change(&mut self) {}
    #[actor(blocking)]
    pub async fn wait(&self) {}
    pub fn every(&self) {}
}

struct Unnamed;

#[actor]
impl Unnamed {
    #[actor(group = " ")]
    pub fn read(&self) {}
}

#[actor]
fn function() {}

fn main() {}
