//! Events: what is recorded, who is told, and what it means to be slow.

use std::collections::HashMap;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures::StreamExt;
use trefoil_core::{Engine, Error, Event, EventKind, Outcome};

use crate::engine;

fn word_of(event: &Event) -> (&'static str, String) {
    let name = match &event.kind {
        EventKind::TaskSubmitted { name, .. }
        | EventKind::TaskStarted { name, .. }
        | EventKind::TaskFinished { name, .. }
        | EventKind::Span { name, .. } => name.to_string(),
        _ => String::new(),
    };
    (event.kind.word(), name)
}

/// Reads until an event is what `last` says, that one included.
fn until(events: &mut trefoil_core::BlockingEvents, last: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut seen = Vec::new();
    for event in events {
        let found = last(&event);
        seen.push(event);
        if found {
            break;
        }
    }
    seen
}

#[test]
fn a_task_is_submitted_started_and_finished() {
    let engine = engine(1);
    let mut events = engine.events().blocking();
    engine.spawn_fn(|| ()).get().unwrap();
    let seen = until(&mut events, |event| matches!(event.kind, EventKind::TaskFinished { .. }));
    let words: Vec<_> = seen.iter().map(|event| event.kind.word()).collect();
    assert_eq!(words, ["task submitted", "task started", "task finished"]);
    assert!(seen.windows(2).all(|two| two[0].at <= two[1].at), "{seen:?}");
    let ids: Vec<u64> = seen
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::TaskSubmitted { id, .. }
            | EventKind::TaskStarted { id, .. }
            | EventKind::TaskFinished { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    assert!(ids.windows(2).all(|two| two[0] == two[1]), "{ids:?}");
}

#[test]
fn every_end_has_its_word() {
    let engine = engine(1);
    let mut events = engine.events().blocking();
    let (hold, held) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let blocks = (Arc::clone(&hold), Arc::clone(&held));
    let blocker = engine.spawn_fn(move || {
        blocks.0.wait();
        blocks.1.wait();
    });
    hold.wait();
    // The only worker is busy, so this one is cancelled before it runs.
    let never = engine.spawn_fn(|| ());
    assert!(never.cancel());
    held.wait();
    blocker.get().unwrap();
    let _ = engine.try_spawn_fn(|| Err::<(), _>(Error::user("no"))).get();
    let _ = engine.spawn_fn(|| panic!("ouch")).get();
    engine.block_on(engine.spawn_async(async { Ok(()) })).unwrap();
    let seen =
        until(&mut events, |event| matches!(event.kind, EventKind::TaskFinished { asynchronous: true, .. }));
    let ends: Vec<_> = seen
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::TaskFinished { started, outcome, .. } => {
                let error = outcome.error().map(|error| error.to_string());
                Some((outcome.word(), started.is_some(), error))
            }
            _ => None,
        })
        .collect();
    let words: Vec<_> = ends.iter().map(|(word, ran, _)| (*word, *ran)).collect();
    assert_eq!(
        words,
        [("cancelled", false), ("finished", true), ("failed", true), ("failed", true), ("finished", true)]
    );
    assert!(ends[3].2.as_ref().unwrap().contains("ouch"), "{ends:?}");
}

#[test]
fn children_know_their_parent() {
    let engine = engine(2);
    let mut events = engine.events().blocking();
    let inside = engine.clone();
    let parent = engine.spawn_fn(move || inside.spawn_fn(|| 1).get());
    let parent_id = parent.id().number();
    parent.get().unwrap().unwrap();
    let seen = until(
        &mut events,
        |event| matches!(event.kind, EventKind::TaskFinished { id, .. } if id == parent_id),
    );
    let parents: Vec<_> = seen
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::TaskSubmitted { parent, .. } => Some(parent),
            _ => None,
        })
        .collect();
    assert_eq!(parents, [None, Some(parent_id)]);
}

#[test]
fn a_flood_is_recorded_in_groups_that_add_up() {
    const TASKS: u32 = 20_000;
    let engine = Engine::builder().workers(2).events(100_000).build().unwrap();
    let mut events = engine.events().blocking();
    let refs: Vec<_> = (0..TASKS).map(|n| engine.spawn_fn(move || n)).collect();
    for reference in refs {
        reference.get().unwrap();
    }
    // What a flood holds back is written when its worker finds nothing to do.
    let (mut finished, mut entries) = (0, 0);
    for event in &mut events {
        if let EventKind::TaskFinished { count, .. } = event.kind {
            finished += count;
            entries += 1;
        }
        if finished == TASKS {
            break;
        }
    }
    assert_eq!(events.lost(), 0);
    assert!(entries <= TASKS);
}

#[test]
fn a_slow_subscriber_is_told_what_it_lost() {
    let engine = Engine::builder().workers(1).events(10).build().unwrap();
    let mut events = engine.events();
    for _ in 0..100 {
        engine.span("s", || ());
    }
    let seen = events.drain();
    assert_eq!((seen.len(), events.lost()), (10, 90));
    assert!(seen.iter().all(|event| word_of(event) == ("span", "s".to_owned())));
    engine.span("after", || ());
    assert_eq!(events.drain().iter().map(word_of).collect::<Vec<_>>(), [("span", "after".to_owned())]);
    assert_eq!(events.lost(), 90);
}

#[test]
fn subscribers_read_independently_and_only_what_comes() {
    let engine = engine(1);
    engine.span("nobody listens", || ());
    let mut first = engine.events();
    engine.span("one", || ());
    let mut second = engine.events();
    engine.span("two", || ());
    let names = |events: &mut trefoil_core::EventStream| {
        events.drain().iter().map(|event| word_of(event).1).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut first), ["one", "two"]);
    assert_eq!(names(&mut second), ["two"]);
    drop((first, second));
    engine.span("nobody listens any more", || ());
    assert_eq!(names(&mut engine.events()), Vec::<String>::new());
}

#[test]
fn a_stream_ends_with_its_engine() {
    let engine = engine(1);
    let events = engine.events();
    engine.span("last", || ());
    engine.shutdown();
    drop(engine);
    let all: Vec<Event> = futures::executor::block_on(events.collect());
    assert_eq!(all.iter().map(word_of).collect::<Vec<_>>(), [("span", "last".to_owned())]);
}

#[test]
fn a_waiting_subscriber_is_woken_by_each_thread() {
    let engine = engine(2);
    let events = engine.events();
    let counted = std::thread::spawn(move || {
        let mut finished: HashMap<u64, u32> = HashMap::new();
        for event in events.blocking() {
            if let EventKind::TaskFinished { id, outcome: Outcome::Succeeded, count, .. } = event.kind {
                *finished.entry(id).or_default() += count;
            }
        }
        finished.values().sum::<u32>()
    });
    for n in 0..50 {
        engine.spawn_fn(move || n).get().unwrap();
    }
    engine.shutdown();
    drop(engine);
    // A worker that is still on its way to sleep may hold nothing back: fifty are no flood.
    assert_eq!(counted.join().unwrap(), 50);
}

#[test]
fn a_wait_for_an_event_can_be_given_up() {
    let engine = engine(1);
    let mut events = engine.events().blocking();
    assert!(events.next_before(std::time::Instant::now() + Duration::from_millis(1)).is_none());
    engine.span("now", || ());
    assert!(events.next_before(std::time::Instant::now() + Duration::from_secs(60)).is_some());
}

#[test]
fn spills_and_pressure_are_events() {
    use arrow_array::{Int64Array, RecordBatch};
    let engine = Engine::builder().workers(1).memory("2MiB").build().unwrap();
    let mut events = engine.events();
    let batch = || {
        let column = Arc::new(Int64Array::from_iter_values(0..100_000));
        RecordBatch::try_from_iter([("n", column as _)]).unwrap()
    };
    let stored: Vec<_> =
        (0..4).map(|_| engine.put_batches(batch().schema(), vec![batch()]).unwrap()).collect();
    assert!(stored.iter().any(|partition| partition.batches().unwrap().len() == 1 && partition.is_spilled()));
    let words: Vec<_> = events.drain().iter().map(|event| event.kind.word()).collect();
    for word in ["memory pressure", "spilled", "restored"] {
        assert!(words.contains(&word), "no `{word}` in {words:?}");
    }
}
