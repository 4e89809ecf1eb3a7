//! Sessions from every kind of caller, side by side, and after shutdown.

use super::{batch, data, session};
use trefoil_plan::{Engine, ErrorKind, Session};

async fn count(session: &Session) -> usize {
    session.read_csv(data("diamonds.csv")).await.unwrap().count().await.unwrap()
}

#[test]
fn from_every_executor() {
    // Plain main.
    let session = session();
    assert_eq!(session.block_on(count(&session)), 53_940);
    // An executor without a reactor.
    assert_eq!(futures::executor::block_on(count(&session)), 53_940);
    // A current-thread tokio runtime, with the session made and dropped inside.
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    current.block_on(async {
        let session = super::session();
        assert_eq!(count(&session).await, 53_940);
    });
    // A multi-thread runtime, blocking inside of it.
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    multi.block_on(async {
        let session = super::session();
        assert_eq!(session.block_on(count(&session)), 53_940);
        let moved = session.clone();
        assert_eq!(tokio::spawn(async move { count(&moved).await }).await.unwrap(), 53_940);
    });
    // Inside the engine itself.
    let inner = session.clone();
    let answer = session.spawn_async(async move { Ok(count(&inner).await) });
    assert_eq!(answer.get().unwrap(), 53_940);
}

#[test]
fn many_sessions_and_engines_side_by_side() {
    let engine = Engine::builder().workers(2).memory("256MiB").build().unwrap();
    let make = |engine: &Engine| Session::builder().engine(engine.clone()).build().unwrap();
    let (one, two) = (make(&engine), make(&engine));
    let alone = super::session();
    for (session, rows) in [(&one, 10), (&two, 20), (&alone, 30)] {
        session.register_batches("t", vec![batch(0, rows)]).unwrap();
    }
    for (session, rows) in [(&one, 10), (&two, 20), (&alone, 30)] {
        let found = session.block_on(async { session.table("t").await?.count().await });
        assert_eq!(found.unwrap(), rows);
    }
    let reserved = engine.budget().reserved();
    drop(one);
    assert!(engine.budget().reserved() < reserved);
    two.deregister("t").unwrap();
    assert_eq!(two.deregister("t").unwrap_err().kind(), ErrorKind::UnknownTable);
    assert_eq!(
        two.register(" ", &alone.block_on(alone.table("t")).unwrap()).unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
}

#[test]
fn after_shutdown() {
    let session = session();
    let frame = session.frame_from_batches(vec![batch(0, 10)]).unwrap();
    let mut stream = frame.stream();
    session.shutdown();
    let kinds = session.block_on(async {
        use futures::StreamExt;
        [
            session.read_csv(data("diamonds.csv")).await.unwrap_err().kind(),
            frame.collect().await.unwrap_err().kind(),
            frame.to_text(3).await.unwrap_err().kind(),
            session.table("t").await.unwrap_err().kind(),
            stream.next().await.unwrap().unwrap_err().kind(),
        ]
    });
    assert_eq!(kinds, [ErrorKind::ShutDown; 5]);
}
