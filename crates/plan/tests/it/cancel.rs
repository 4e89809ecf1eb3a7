//! Dropping a query stops it and gives its memory back.

use super::{batch, session};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::JoinType;
use futures::StreamExt;
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};
use trefoil_plan::{DataFrame, Session};

/// A cross join with far too many rows to wait for.
fn endless(session: &Session) -> DataFrame {
    let frame = session.frame_from_batches(vec![batch(0, 30_000)]).unwrap();
    let other = session.frame_from_batches(vec![batch(0, 30_000)]).unwrap();
    session.register("a", &frame).unwrap();
    let other = other.inner().clone().alias("b").unwrap();
    let cross =
        frame.inner().clone().alias("a").unwrap().join(other, JoinType::Inner, &[], &[], None).unwrap();
    DataFrame::new(session.clone(), cross)
}

/// Waits until nothing but the stored partitions is reserved.
fn settles_at(session: &Session, bytes: usize) {
    let started = Instant::now();
    while session.budget().reserved() != bytes {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", session.budget().consumers());
        std::thread::yield_now();
    }
}

#[test]
fn a_dropped_stream_and_a_dropped_future() {
    let session = session();
    let frame = endless(&session);
    let stored = session.budget().reserved();
    session.block_on(async {
        let mut stream = frame.stream();
        let first: RecordBatch = stream.next().await.unwrap().unwrap();
        assert!(first.num_rows() > 0);
        drop(stream);
    });
    settles_at(&session, stored);
    session.block_on(async {
        let mut collect = Box::pin(frame.stream().collect::<Vec<_>>());
        while session.budget().reserved() == stored {
            assert!(futures::poll!(&mut collect).is_pending());
        }
        drop(collect);
    });
    settles_at(&session, stored);
    assert_eq!(session.block_on(async { session.table("a").await?.count().await }).unwrap(), 30_000);
}

#[test]
fn an_aggregate_over_an_endless_join_stops() {
    let session = session();
    let _persisted = endless(&session);
    let stored = session.budget().reserved();
    let sum = "SELECT sum(a.n * b.n) FROM a CROSS JOIN a AS b";
    let sum = session.block_on(session.context().sql(sum)).unwrap();
    let sum = DataFrame::new(session.clone(), sum);
    session.block_on(async {
        let mut collect = Box::pin(sum.collect());
        while session.budget().reserved() == stored {
            assert!(futures::poll!(&mut collect).is_pending());
        }
        drop(collect);
    });
    settles_at(&session, stored);
}

/// Threads of this process whose name starts so; the kernel keeps 15 characters of a name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .filter(|comm| comm.starts_with(name))
        .count()
}

fn files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>());
    entries
        .unwrap_or_default()
        .iter()
        .map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 })
        .sum()
}

fn until(session: &Session, what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}: {:?}", session.budget().consumers());
        std::thread::yield_now();
    }
}

/// Queries that hold memory in different ways: scan, sort, grouping, join, join by sorting, window.
fn query(session: &Session, kind: usize) -> DataFrame {
    let text = match kind {
        0 => "SELECT * FROM t",
        1 => "SELECT * FROM t ORDER BY s DESC",
        2 => "SELECT s, count(*), sum(f) FROM t GROUP BY s",
        3 => "SELECT a.n, b.s FROM t a JOIN t b ON a.n = b.n",
        4 => "SELECT a.n, b.s FROM t a JOIN t b ON a.s = b.s ORDER BY a.s",
        5 => "SELECT n, sum(f) OVER (PARTITION BY n % 10 ORDER BY n) FROM t",
        _ => "SELECT a.n FROM t a CROSS JOIN t b",
    };
    let frame = session.block_on(session.context().sql(text)).unwrap();
    DataFrame::new(session.clone(), frame)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// A query dropped after a random number of items and polls, on a budget that makes it spill or not.
    #[test]
    fn queries_end_at_any_moment(
        steps in prop::collection::vec((0usize..7, 0usize..6, 0usize..40, any::<bool>()), 1..5),
        small in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("q{seed:08x}");
        let memory = if small { 2 << 20 } else { 256 << 20 };
        let builder = Session::builder().workers(2).memory_bytes(memory).spill_dir(dir.path());
        let session = builder.name(&name).build().unwrap();
        let rows = (0..6).map(|i| batch(i * 2048, 2048)).collect();
        session.register_batches("t", rows).unwrap();
        let stored = || session.store().objects().iter()
            .filter(|object| object.place == trefoil_core::Place::Memory)
            .map(|object| object.memory_bytes)
            .sum::<usize>();
        for (kind, items, polls, persist) in steps {
            let frame = query(&session, kind);
            session.block_on(async {
                if persist {
                    let mut persist = Box::pin(frame.persist());
                    for _ in 0..polls {
                        if futures::poll!(&mut persist).is_ready() {
                            break;
                        }
                        std::thread::yield_now();
                    }
                } else {
                    let mut stream = frame.stream();
                    for _ in 0..items {
                        if !matches!(stream.next().await, Some(Ok(_))) {
                            break;
                        }
                    }
                    for _ in 0..polls {
                        let _ = futures::poll!(stream.next());
                    }
                }
            });
        }
        until(&session, "only the table is reserved", || session.budget().reserved() == stored());
        until(&session, "only the table is stored", || session.store().objects().iter().all(|o| !o.recomputable));
        let spilled = session.store().objects().iter().filter(|object| object.disk_bytes > 0).count();
        until(&session, "no file of an operator is left", || files(session.spill_dir()) == spilled);
        // The engine goes on as before.
        prop_assert_eq!(session.block_on(async { session.table("t").await?.count().await }).unwrap(), 6 * 2048);
        drop(session);
        let begin = Instant::now();
        while threads(&name) > 0 || files(dir.path()) > 0 {
            prop_assert!(begin.elapsed() < Duration::from_secs(30), "{} threads, {} files", threads(&name), files(dir.path()));
            std::thread::yield_now();
        }
    }
}
