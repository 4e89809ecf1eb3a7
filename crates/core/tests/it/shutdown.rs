//! Shutdown: nothing is left pending, nothing is left on disk, values stay readable.

use std::sync::mpsc;

use trefoil_core::{Call, ErrorKind, Ref};

use crate::engine;

#[test]
fn pending_work_fails_and_values_stay() {
    let engine = engine(1);
    let done = engine.spawn_fn(|| 5);
    assert_eq!(*done.get_value().unwrap(), 5);
    let (release, gate) = mpsc::channel::<()>();
    let (started, begin) = mpsc::channel();
    let running = engine.spawn_fn(move || {
        started.send(()).unwrap();
        gate.recv().unwrap();
        6
    });
    begin.recv().unwrap();
    let queued: Vec<Ref<i32>> = (0..10).map(|i| engine.spawn_fn(move || i)).collect();
    let dependent = engine.map([queued[3].clone()], |x| *x).remove(0);
    let asynchronous: Ref<()> = engine.spawn_async(std::future::pending());
    let inner = engine.clone();
    engine.shutdown();
    assert!(engine.is_shut_down());
    for r in queued.iter().chain([&dependent]) {
        assert_eq!(r.get().unwrap_err().kind(), ErrorKind::ShutDown);
    }
    let error = asynchronous.get().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::ShutDown), "{error}");
    release.send(()).unwrap();
    assert_eq!(running.get().unwrap(), 6, "what runs may end");
    assert_eq!(done.get().unwrap(), 5);

    assert_eq!(inner.spawn_fn(|| 1).get().unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(inner.spawn(Call::value(1).map("x", |x| *x)).get().unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(inner.put(1).unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(inner.block_on(inner.on_cpu(async {})).unwrap_err().kind(), ErrorKind::ShutDown);
    inner.shutdown();
}

#[test]
fn the_spill_directory_goes_with_the_engine() {
    let parent = tempfile::tempdir().unwrap();
    let engine = trefoil_core::Engine::builder().workers(1).spill_dir(parent.path()).build().unwrap();
    assert!(engine.spill_dir().exists());
    drop(engine);
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn directories_of_dead_processes_are_swept() {
    let parent = tempfile::tempdir().unwrap();
    let stale = parent.path().join("trefoil-4294967294-1");
    let other = parent.path().join("precious");
    std::fs::create_dir(&stale).unwrap();
    std::fs::create_dir(&other).unwrap();
    let _engine = trefoil_core::Engine::builder().workers(1).spill_dir(parent.path()).build().unwrap();
    assert!(!stale.exists());
    assert!(other.exists());
}

#[test]
fn engines_side_by_side_share_nothing() {
    let (a, b) = (engine(1), engine(1));
    let x = a.put(vec![0u8; 1000]).unwrap();
    assert!(a.budget().reserved() >= 1000);
    assert_eq!(b.budget().reserved(), 0);
    assert_ne!(a.spill_dir(), b.spill_dir());
    a.shutdown();
    assert_eq!(b.map([x], Vec::len).remove(0).get().unwrap(), 1000);
}

#[test]
fn a_wait_with_a_timer_survives_the_shutdown() {
    let engine = engine(1);
    let pending: Ref<()> = engine.spawn_async(std::future::pending());
    let (waiting, begin) = mpsc::channel();
    let inner = engine.clone();
    let waiter = std::thread::spawn(move || {
        let refs = [pending];
        let wait = inner.wait(&refs, 1, Some(std::time::Duration::from_secs(600)));
        waiting.send(()).unwrap();
        futures::executor::block_on(wait).unwrap().0.len()
    });
    begin.recv().unwrap();
    engine.shutdown();
    assert!(waiter.join().unwrap() <= 1, "the ref failed, or the timer ended with the runtime");
    let (done, rest) =
        engine.block_on(engine.wait(&[Ref::ready(1)], 1, Some(std::time::Duration::MAX))).unwrap();
    assert_eq!((done.len(), rest.len()), (1, 0));
}
