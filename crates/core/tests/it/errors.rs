//! Failures of tasks and of the configuration: typed, named, and the engine works on.

use trefoil_core::{Arg, Call, Engine, ErrorKind, Ref, TaskSpec};

use crate::{Counter, engine};

#[test]
fn a_task_error_is_downcastable_and_reaches_dependents_unchanged_without_running_them() {
    let engine = engine(2);
    let failed =
        engine.try_spawn_fn(|| Err::<i32, _>(std::io::Error::new(std::io::ErrorKind::NotFound, "gone")));
    let ran = Counter::default();
    let counter = ran.clone();
    let call = Call::new(TaskSpec::new("next"), (Arg::Ref(failed.clone()),), move |(x,)| {
        counter.add();
        Ok(*x)
    });
    let dependent = engine.spawn(call.map("third", |x| *x));
    let error = dependent.get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::NotFound);
    assert!(error.same_as(&failed.get().unwrap_err()));
    assert_eq!(ran.get(), 0);
    assert!(error.task().unwrap().location.file().ends_with("errors.rs"));
    assert!(error.to_string().contains("gone"), "{error}");
    assert_eq!(engine.spawn_fn(|| 1).get().unwrap(), 1);
}

#[test]
fn a_panic_is_caught_and_named_and_the_worker_lives_on() {
    let engine = engine(1);
    let error = engine.spawn_fn(|| -> i32 { panic!("number {}", 13) }).get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("number 13"), "{error}");
    let error = engine.spawn_async(async { panic!("in a future") }).get().map(|(): ()| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    let error = engine.block_on(engine.on_cpu(async { panic!("in a query") })).map(|(): ()| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(engine.spawn_fn(|| 1).get().unwrap(), 1);
}

#[test]
fn configuration_is_checked() {
    let check = |builder: trefoil_core::EngineBuilder, kind: ErrorKind, part: &str| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    use ErrorKind::{InvalidArgument, Io};
    check(Engine::builder().workers(0), InvalidArgument, "0 workers");
    check(Engine::builder().workers(1 << 30), InvalidArgument, "choose 1 to 4096");
    check(Engine::builder().memory("0"), InvalidArgument, "no memory at all");
    check(Engine::builder().memory("a lot"), InvalidArgument, "`a lot` is not a byte count");
    check(Engine::builder().memory_bytes(0), InvalidArgument, "0 B is too small");
    check(Engine::builder().memory_bytes(1000), InvalidArgument, "at least 1 MiB");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    check(Engine::builder().spill_dir(file.join("below")), Io, "cannot write to");
    check(Engine::builder().spill_dir("/proc/trefoil"), Io, "choose a writable directory");
}

/// Both a dependency that fails later and one that has failed already: no worker is free to run anything.
#[test]
fn a_failure_needs_no_worker_to_reach_dependents() {
    let engine = engine(1);
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let (started, begin) = std::sync::mpsc::channel();
    let blocker = engine.spawn_fn(move || {
        started.send(()).unwrap();
        gate.recv().unwrap();
    });
    begin.recv().unwrap();
    let (promise, pending) = Ref::<i32>::promise("late");
    let next = |r: &Ref<i32>| {
        let call = Call::new(TaskSpec::new("next"), (Arg::Ref(r.clone()),), |(x,)| Ok(*x + 1));
        engine.spawn(call.cpus(1.0))
    };
    let later = next(&next(&pending));
    promise.fulfil(Err(trefoil_core::Error::user("gone")));
    let already = next(&next(&pending));
    for r in [later, already] {
        assert!(r.get().unwrap_err().same_as(&pending.get().unwrap_err()));
    }
    release.send(()).unwrap();
    blocker.get().unwrap();
    assert_eq!(next(&Ref::ready(1)).get().unwrap(), 2, "no declared cpu was lost");
}
