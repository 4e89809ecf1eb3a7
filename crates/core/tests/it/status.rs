//! Status and the records behind tables: what runs, what ended, what failed.

use std::sync::{Arc, Barrier};

use trefoil_core::{ActorProbe, ActorStatus, Engine, Error};

#[test]
fn status_names_what_runs_and_what_failed() {
    let engine = Engine::builder().workers(1).memory("64MiB").name("probe").events(1000).build().unwrap();
    let (reached, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let inside = (Arc::clone(&reached), Arc::clone(&go));
    let _ = engine.try_spawn_fn(|| Err::<(), _>(Error::user("out of luck"))).get();
    let blocker = engine.spawn_fn(move || {
        inside.0.wait();
        inside.1.wait();
    });
    reached.wait();
    let next = engine.spawn_fn(|| ());
    let query = engine.begin_query("SELECT\n  1");
    let kept = engine.put(vec![0u8; 1 << 20]).unwrap();
    let status = engine.status();
    assert_eq!((status.busy, status.queued, status.workers), (1, 1, 1));
    let running: Vec<_> = status.running().map(|(thread, task)| (thread, task.name.to_string())).collect();
    assert_eq!(running, [("probe-task-0", "closure".to_owned())]);
    assert_eq!(status.queries[0].text.as_str(), "SELECT\n  1");
    assert_eq!(status.failures.len(), 1);
    let text = status.to_string();
    for part in [
        "engine probe, up ",
        "workers 1 busy of 1, 1 tasks queued",
        "of 64.0 MiB reserved",
        "tasks   3 submitted, 0 finished, 1 failed, 0 cancelled",
        "events  recorded, 0 overwritten",
        "running tasks (1)\n  closure on probe-task-0",
        "running queries (1)\n  SELECT 1, ",
        "last failures (1)",
        "out of luck",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    go.wait();
    drop((query, kept));
    blocker.get().unwrap();
    next.get().unwrap();
    let (tasks, lost) = engine.tasks();
    let states: Vec<_> = tasks.iter().map(|task| task.state).collect();
    assert_eq!((states, lost), (vec!["failed", "finished", "finished"], 0));
    assert!(tasks[0].error.as_ref().unwrap().contains("out of luck"));
    assert!(tasks.iter().all(|task| task.worker.as_deref() == Some("probe-task-0")));
    assert!(tasks.iter().all(|task| task.submitted <= task.started && task.started <= task.finished));
}

#[test]
fn records_of_a_flood_add_up() {
    let engine = Engine::builder().workers(2).events(100_000).build().unwrap();
    let mut events = engine.events().blocking();
    let refs: Vec<_> = (0..5000).map(|n| engine.spawn_fn(move || n)).collect();
    refs.iter().for_each(|r| assert!(r.get().is_ok()));
    let mut ended = 0;
    while ended < 5000 {
        if let trefoil_core::EventKind::TaskFinished { count, .. } = events.next().unwrap().kind {
            ended += count;
        }
    }
    let (tasks, lost) = engine.tasks();
    let finished: u32 = tasks.iter().filter(|task| task.has_ended()).map(|task| task.count).sum();
    assert_eq!((finished, lost), (5000, 0));
}

struct Probe(ActorStatus);

impl ActorProbe for Probe {
    fn status(&self) -> ActorStatus {
        self.0.clone()
    }
}

#[test]
fn actors_are_listed_while_they_live_and_after_their_end() {
    let engine = crate::engine(1);
    let named =
        |id, name: Option<&str>| Arc::new(Probe(ActorStatus::new(id, name.map(str::to_owned), "Counter")));
    let (one, two) = (named(1, Some("hits")), named(2, None));
    for probe in [&one, &two] {
        let probe: Arc<dyn ActorProbe> = Arc::clone(probe) as _;
        engine.add_actor(Arc::downgrade(&probe));
    }
    assert_eq!(engine.status().actors.len(), 2);
    let mut ended = one.0.clone();
    ended.end = Some("stopped".into());
    engine.end_actor(ended);
    // The handle is still there, yet the end is what counts.
    let actors = engine.actors();
    let seen: Vec<_> =
        actors.iter().map(|actor| (actor.id, actor.end.as_deref().map(str::to_owned))).collect();
    assert_eq!(seen, [(1, Some("stopped".to_owned())), (2, None)]);
    drop((one, two));
    assert_eq!(engine.actors().len(), 1);
    assert!(engine.status().actors.is_empty());
}
