//! Dropping a query stops it and gives its memory back.

use super::{batch, session};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::JoinType;
use futures::StreamExt;
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
