//! Methods that give many results, as refs, as they are produced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{Stream, StreamExt};
use trefoil_tasks::{ActorSession, Error, ErrorKind, RefStream, actor, registry};

use crate::engine;

struct Source {
    made: Arc<AtomicUsize>,
    offset: usize,
}

impl Source {
    fn new() -> (Self, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        (Self { made: Arc::clone(&made), offset: 0 }, made)
    }
}

#[actor]
impl Source {
    #[actor(stream, look_ahead = 4)]
    pub fn count(&self, to: usize) -> impl Iterator<Item = usize> {
        (0..to).map(|n| {
            self.made.fetch_add(1, Ordering::SeqCst);
            n + self.offset
        })
    }

    #[actor(stream)]
    pub fn lines(&self, text: &str) -> impl Stream<Item = Result<usize, std::num::ParseIntError>> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        futures::stream::iter(lines).then(|line: String| async move {
            tokio::task::yield_now().await;
            line.parse()
        })
    }

    #[actor(stream)]
    pub fn drain(&mut self) -> impl Iterator<Item = usize> {
        let from = self.offset;
        self.offset = 0;
        0..from
    }

    pub fn shift(&mut self, by: usize) -> usize {
        self.offset += by;
        self.offset
    }

    pub fn quick(&self) -> usize {
        self.offset
    }
}

fn values(stream: RefStream<usize>) -> Vec<Result<usize, ErrorKind>> {
    stream.into_iter().map(|item| item.get().map_err(|error| error.kind())).collect()
}

#[test]
fn items_become_refs_with_a_bounded_look_ahead() {
    let engine = engine();
    let (source, made) = Source::new();
    let source = engine.actor(source).spawn().unwrap();
    let mut items = source.count(1000).into_iter();
    for expected in 0..1000 {
        assert_eq!(items.next().unwrap().get().unwrap(), expected);
        // One more may be on its way into the full queue.
        assert!(made.load(Ordering::SeqCst) <= expected + 1 + 4 + 1);
    }
    assert!(items.next().is_none());
    assert_eq!(source.quick().get().unwrap(), 0);
}

#[test]
fn an_unread_stream_holds_up_no_shared_call_and_stops_when_dropped() {
    let engine = engine();
    let (source, made) = Source::new();
    let source = engine.actor(source).spawn().unwrap();
    let stream = source.count(usize::MAX);
    assert_eq!(source.quick().get().unwrap(), 0);
    let shifted = source.shift(1);
    assert!(!shifted.is_done(), "an exclusive call waits for the stream");
    drop(stream);
    assert_eq!(shifted.get().unwrap(), 1);
    assert!(made.load(Ordering::SeqCst) <= 5);
}

#[test]
fn an_error_is_one_failed_ref_and_then_the_end() {
    let engine = engine();
    let source = engine.actor(Source::new().0).spawn().unwrap();
    assert_eq!(values(source.lines("1\n2\nx\n4")), [Ok(1), Ok(2), Err(ErrorKind::User)]);
    let all: Vec<usize> = engine
        .block_on(source.lines("7\n8").then(|item| async move { item.await.unwrap() }).collect::<Vec<_>>());
    assert_eq!(all, [7, 8]);
    source.shift(3).get().unwrap();
    assert_eq!(values(source.drain()), [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(source.quick().get().unwrap(), 0);

    let stream = source.count(1_000_000);
    source.kill();
    let all = values(stream);
    assert_eq!(*all.last().unwrap(), Err(ErrorKind::ActorDead), "{} items", all.len());
    assert_eq!(values(source.drain()), [Err(ErrorKind::ActorDead)]);
}

#[test]
fn a_stream_by_name_is_a_list() -> Result<(), Error> {
    let engine = engine();
    let source = engine.actor(Source::new().0).spawn()?;
    let entry = registry::lookup_actor("it::actor_streams::Source")?;
    let bytes = entry.method("count")?.call(&source, &registry::encode(&(3_usize,))?)?;
    assert_eq!(registry::decode::<Vec<usize>>(&engine.block_on(bytes)?)?, [0, 1, 2]);
    Ok(())
}
