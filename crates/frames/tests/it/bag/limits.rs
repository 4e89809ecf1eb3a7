//! Memory and cancellation of bags.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use trefoil_core::{Engine, ErrorKind};
use trefoil_frames::bag::BagSession;

fn small() -> Engine {
    Engine::builder().workers(2).memory("1MiB").build().unwrap()
}

#[test]
fn a_chain_holds_nothing() {
    let engine = small();
    // eight million bytes of numbers go through, eight-fold the budget
    let sum = engine.bag().range(1_000_000, 4).unwrap().map(|x| x + 1).filter(|x| x % 2 == 0).sum();
    assert_eq!(engine.block_on(engine.compute(sum)).unwrap(), 500_000 * 500_001);
    assert_eq!(engine.budget().peak(), 0);
    let counts = engine.bag().range(1_000_000, 4).unwrap().fold_by(|x| x % 10, 0, |n, _| n + 1, |a, b| a + b);
    assert_eq!(engine.block_on(counts.compute()).unwrap().len(), 10);
    assert_eq!(engine.budget().reserved(), 0);
}

#[test]
fn what_does_not_fit_is_refused_and_given_back() {
    let engine = small();
    let big = engine.bag().range(1_000_000, 4).unwrap();
    for error in [
        engine.block_on(big.compute()).unwrap_err(),
        engine.block_on(big.persist()).unwrap_err(),
        engine.block_on(big.group_by(|x| x % 3).compute()).unwrap_err(),
        engine.block_on(big.distinct().compute()).unwrap_err(),
        engine.block_on(big.repartition(8).unwrap().compute()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    }
    // Partitions that ran beside the one that failed end a little later.
    let begin = std::time::Instant::now();
    while engine.budget().reserved() > 0 {
        assert!(begin.elapsed().as_secs() < 20, "{:?}", engine.budget().consumers());
        std::thread::yield_now();
    }
    assert_eq!(engine.block_on(engine.bag().range(10, 2).unwrap().compute()).unwrap().len(), 10);
    let held = engine.block_on(engine.bag().range(10_000, 2).unwrap().persist()).unwrap();
    assert!(engine.budget().reserved() >= 80_000);
    drop(held);
}

#[test]
fn dropping_the_future_stops_the_work() {
    let engine = Engine::builder().workers(1).build().unwrap();
    let (started, starts) = mpsc::channel();
    let started = std::sync::Mutex::new(started);
    let pulled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pulled);
    let endless = engine.bag().range(u64::MAX, 1).unwrap().filter(move |x| {
        if *x == 0 {
            started.lock().unwrap().send(()).unwrap();
        }
        counted.fetch_add(1, Ordering::Relaxed);
        false
    });
    let mut future = Box::pin(endless.compute());
    assert!(futures::FutureExt::now_or_never(&mut future).is_none());
    starts.recv().unwrap();
    drop(future);
    // the only worker is free again
    assert_eq!(engine.spawn_fn(|| 7).get().unwrap(), 7);
    assert!(pulled.load(Ordering::Relaxed) > 0);
}

#[test]
fn the_iterator_keeps_its_distance() {
    let engine = Engine::builder().workers(2).build().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    let bag = engine.bag().range(100, 100).unwrap().map_partitions(move |items| {
        counted.fetch_add(1, Ordering::SeqCst);
        items
    });
    let mut items = bag.iter();
    assert_eq!(items.next().unwrap().unwrap(), 0);
    assert!(opened.load(Ordering::SeqCst) <= 2);
    assert_eq!(items.by_ref().take(50).count(), 50);
    assert!(opened.load(Ordering::SeqCst) <= 53);
}
