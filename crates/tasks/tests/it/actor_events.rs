//! What actors tell of themselves: events whose counts add up, and a row each in traces.

use trefoil_core::{EventKind, Trace};
use trefoil_tasks::{ActorSession, Engine, Ref, actor};

struct Adder(u64);

#[actor]
impl Adder {
    pub fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }

    pub fn read(&self) -> u64 {
        self.0
    }

    #[actor(group = "blocking")]
    pub fn slow(&self) -> u64 {
        self.0
    }

    pub async fn later(&self) -> u64 {
        tokio::task::yield_now().await;
        self.0
    }
}

/// Calls by method, as events of the actor tell.
fn calls(trace: &Trace, actor: u64) -> Vec<(String, u32)> {
    let mut calls = std::collections::BTreeMap::new();
    for event in trace.events() {
        if let EventKind::ActorCalled { id, name, started, count } = &event.kind
            && *id == actor
        {
            assert!(*started <= event.at && *count > 0, "{event:?}");
            *calls.entry(name.to_string()).or_default() += count;
        }
    }
    calls.into_iter().collect()
}

#[test]
fn a_call_that_waits_for_an_argument_is_counted_when_it_begins() {
    let engine = Engine::builder().workers(2).memory("64MiB").build().unwrap();
    let recorder = engine.start_trace();
    let one = engine.actor(Adder(0)).spawn().unwrap();
    let (promise, late) = Ref::promise("late");
    let answer = one.add(&late);
    // Another handle's call comes behind it and is not held up: the loop has looked at the first by then.
    assert_eq!(one.clone().read().get().unwrap(), 0);
    promise.fulfil(Ok(5));
    assert_eq!(answer.get().unwrap(), 5);
    let (id, end) = (one.id().number(), one.wait_ended());
    drop(one);
    engine.block_on(end);
    let trace = recorder.stop();
    assert_eq!(calls(&trace, id), [("Adder::add".to_owned(), 1), ("Adder::read".to_owned(), 1)]);
}

#[test]
fn calls_of_actors_are_events_and_rows() {
    let engine = Engine::builder().workers(2).memory("64MiB").build().unwrap();
    let before = engine.actor(Adder(0)).spawn().unwrap();
    before.add(1).get().unwrap();
    let recorder = engine.start_trace();
    let one = engine.actor(Adder(0)).name("one").spawn().unwrap();
    let two = engine.actor(Adder(0)).group("blocking", 2).spawn().unwrap();
    // Behind a late argument they gather, and then they are run in one go.
    let (promise, late) = Ref::promise("late");
    let mut answers = vec![one.add(&late)];
    answers.extend((1..1000).map(|_| one.add(1)));
    promise.fulfil(Ok(1));
    assert_eq!(engine.block_on(engine.gather(answers)).unwrap()[999], 1000);
    for _ in 0..10 {
        one.read().get().unwrap();
        two.later().get().unwrap();
        two.slow().get().unwrap();
    }
    before.read().get().unwrap();
    let (first, second, third) = (one.id().number(), two.id().number(), before.id().number());
    let (ends, end) = ((one.wait_ended(), two.wait_ended()), before.wait_ended());
    drop((one, two, before));
    engine.block_on(async { (ends.0.await, ends.1.await, end.await) });
    let trace = recorder.stop();
    let named = |name: &str, count| (format!("Adder::{name}"), count);
    assert_eq!(calls(&trace, first), [named("add", 1000), named("read", 10)]);
    assert_eq!(calls(&trace, second), [named("later", 10), named("slow", 10)]);
    assert_eq!(calls(&trace, third), [named("read", 1)], "only what was called while it was recorded");
    let json = trace.to_json();
    for row in [format!("\"one #{first}\""), format!("\"Adder #{second}\""), "\"actors\"".to_owned()] {
        assert!(json.contains(&row), "no row {row} in\n{json}");
    }
    // Calls run in one go are one slice.
    let slices = json.matches("Adder::add\"").count();
    assert!((1..500).contains(&slices), "{slices} slices");
}
