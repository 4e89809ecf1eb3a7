//! A session works, and can be dropped, wherever its user is: plain code, any runtime, its own tasks.

use trefoil::prelude::*;

#[task]
fn twice(x: i64) -> i64 {
    2 * x
}

async fn work(session: &Session) -> trefoil::Result<()> {
    let frame = session.sql("SELECT 20 AS n UNION ALL SELECT 1").await?;
    assert_eq!(frame.count().await?, 2);
    assert_eq!(session.spawn(twice(21)).await?, 42);
    let ones = session.array().ones::<f64>([4, 4], chunks([2, 2]))?;
    assert_eq!(ones.sum(..)?.compute_scalar().await?, 16.0);
    Ok(())
}

fn session() -> Session {
    Session::builder().workers(2).memory("64MiB").build().unwrap()
}

#[test]
fn in_plain_code() {
    let session = session();
    session.block_on(work(&session)).unwrap();
    assert_eq!(session.spawn(twice(2)).get().unwrap(), 4);
}

#[tokio::test]
async fn in_a_single_threaded_runtime() {
    let session = session();
    work(&session).await.unwrap();
    session.block_on(work(&session)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_many_threaded_runtime() {
    let session = session();
    work(&session).await.unwrap();
    let inner = session.clone();
    tokio::spawn(async move { work(&inner).await }).await.unwrap().unwrap();
    session.block_on(work(&session)).unwrap();
}

#[test]
fn in_another_executor() {
    futures::executor::block_on(async {
        let session = session();
        work(&session).await.unwrap();
    });
}

#[test]
fn inside_its_own_tasks() {
    let session = session();
    let inner = session.clone();
    session.try_spawn_fn(move || inner.block_on(work(&inner))).get().unwrap();
    let inner = session.clone();
    session.spawn_async(async move { work(&inner).await }).get().unwrap();
}

#[test]
fn sessions_and_engines_side_by_side() {
    let (one, other) = (session(), session());
    let shared = Session::builder().engine(one.engine().clone()).build().unwrap();
    one.block_on(async {
        let frame = one.sql("SELECT 1 AS x").await.unwrap();
        one.register("t", &frame).unwrap();
        assert_eq!(one.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 1);
        for stranger in [&shared, &other] {
            let error = stranger.sql("SELECT * FROM t").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownTable, "catalogs are apart: {error}");
        }
        one.shutdown();
        assert!(shared.is_shut_down(), "two sessions on one engine end together");
        work(&other).await.unwrap();
    });
}
