//! Actors whose values cannot be sent, and calls to actors that do not fit.
extern crate trefoil_tasks as trefoil;
use trefoil::{ActorHandle, ActorSession, Engine, actor};

struct Opaque;

struct Sender;

#[actor]
impl Sender {
    pub fn give(&mut self) -> Opaque { Opaque }
}

struct Counter(i64);

#[actor]
impl Counter {
    pub fn add(&mut self, by: i64) -> i64 { self.0 += by; self.0 }
    fn private(&self) {}
}

struct NotAnActor;

fn calls(engine: &Engine, counter: &ActorHandle<Counter>) {
    let _a = counter.add("five");
    let _b = counter.private();
    let _c = engine.actor(NotAnActor);
    let _d = engine.actor(Counter(0)).max_restarts(2);
}

fn main() {}
