//! An actor's state is shared by its `&self` methods.
extern crate trefoil_tasks as trefoil;
use trefoil::actor;

struct Unshared(std::cell::Cell<i64>);

#[actor]
impl Unshared {
    pub fn get(&self) -> i64 { self.0.get() }
}

fn main() {}
