//! Several results of one call, streams of results, and waiting for several refs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use trefoil_core::{
    Call, Either, Engine, Error, ErrorKind, Ref, RefStream, StreamCall, StreamSink, TaskSpec,
};

use crate::engine;

fn pair(count: &Arc<AtomicUsize>) -> Call<(Vec<u64>, String)> {
    let count = Arc::clone(count);
    Call::new(TaskSpec::new("pair"), (), move |()| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok((vec![1, 2, 3], "text".to_owned()))
    })
}

#[test]
fn a_tuple_becomes_a_tuple_of_refs_and_runs_once() {
    let engine = engine(2);
    let runs = Arc::new(AtomicUsize::new(0));
    let (numbers, text) = engine.spawn_split(pair(&runs));
    assert_eq!((numbers.get().unwrap(), text.get().unwrap().as_str()), (vec![1, 2, 3], "text"));
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    // As calls, the parts belong to a graph; kept, it can be spawned again and runs again.
    let (numbers, text) = pair(&runs).split();
    let total = numbers.map("sum", |xs| xs.iter().sum::<u64>()) + text.map("len", |text| text.len() as u64);
    for again in 2..4 {
        assert_eq!(engine.spawn(total.clone()).get().unwrap(), 10);
        assert_eq!(runs.load(Ordering::SeqCst), again);
    }
}

#[test]
fn parts_are_moved_not_copied() {
    let engine = engine(2);
    let (promise, address) = Ref::promise("address");
    let promise = parking_lot::Mutex::new(Some(promise));
    let call = Call::new(TaskSpec::new("big"), (), move |()| {
        let big = vec![7_u8; 1 << 20];
        if let Some(promise) = promise.lock().take() {
            promise.fulfil(Ok(big.as_ptr() as usize));
        }
        Ok((big, 1_u8))
    });
    let (big, _one) = engine.spawn_split(call);
    assert_eq!(big.get_value().unwrap().as_ptr() as usize, address.get().unwrap());
}

#[test]
fn three_thousand_returns() {
    let engine = engine(2);
    let call = Call::new(TaskSpec::new("many"), (), |()| Ok((0..3000).collect::<Vec<usize>>()));
    let refs = engine.spawn_split_list(call, 3000);
    let values = engine.block_on(engine.gather(refs)).unwrap();
    assert_eq!(values, (0..3000).collect::<Vec<_>>());
}

#[test]
fn failures_and_wrong_counts_reach_every_part() {
    let engine = engine(2);
    let failing: Call<(u8, u8, u8)> = Call::new(TaskSpec::new("bad"), (), |()| {
        Err(Error::new(ErrorKind::MalformedData, "parse", "no number"))
    });
    let (a, b, c) = engine.spawn_split(failing);
    let first = a.get().unwrap_err();
    assert_eq!(first.task().unwrap().name, "bad");
    assert!(b.get().unwrap_err().same_as(&first) && c.get().unwrap_err().same_as(&first));

    let two = Call::new(TaskSpec::new("two"), (), |()| Ok(vec![1, 2]));
    for part in engine.spawn_split_list(two, 3) {
        let error = part.get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ShapeMismatch);
        assert!(error.message().contains("3 results were asked for, the call gave 2"), "{error}");
    }
    let (left, right) = engine.spawn_split(Call::value((1, 2)));
    assert_eq!((left.get().unwrap(), right.get().unwrap()), (1, 2), "a value is split too");
}

/// Counts up for ever, and how far it got.
fn counting(produced: &Arc<AtomicUsize>) -> StreamCall<usize> {
    let produced = Arc::clone(produced);
    StreamCall::new(TaskSpec::new("count"), (), move |(), sink: StreamSink<usize>| {
        let produced = Arc::clone(&produced);
        async move {
            for i in 0.. {
                produced.store(i + 1, Ordering::SeqCst);
                if !sink.push(i).await {
                    break;
                }
            }
            Ok(())
        }
    })
}

#[test]
fn a_stream_looks_ahead_so_far_and_no_further() {
    let engine = engine(2);
    let produced = Arc::new(AtomicUsize::new(0));
    let mut stream = engine.spawn_stream(counting(&produced).look_ahead(4)).into_iter();
    for i in 0..1000 {
        assert_eq!(stream.next().unwrap().get().unwrap(), i);
        // Read so far, four ahead, and the one being pushed.
        assert!(produced.load(Ordering::SeqCst) <= i + 1 + 4 + 1);
    }
}

#[test]
fn dropping_a_stream_stops_the_producer_and_frees_items() {
    let engine = engine(2);
    let item = Arc::new(());
    let (ended, end) = Ref::<()>::promise("end");
    let ended = Arc::new(parking_lot::Mutex::new(Some(ended)));
    let given = Arc::clone(&item);
    let call = StreamCall::new(TaskSpec::new("items"), (), move |(), sink: StreamSink<Arc<()>>| {
        // Dropped with the future, however it ends.
        let promise = ended.lock().take();
        let item = Arc::clone(&given);
        async move {
            let _promise = promise;
            while sink.push(Arc::clone(&item)).await {}
            Ok(())
        }
    });
    let mut stream = engine.spawn_stream(call.look_ahead(10)).into_iter();
    let kept = stream.next().unwrap();
    drop(stream);
    assert!(end.get().is_err(), "the body ended");
    drop(kept);
    // Ours, and none in a queue: the body's own goes with its closure.
    engine.shutdown();
    assert!(Arc::strong_count(&item) <= 2, "{}", Arc::strong_count(&item));
}

#[test]
fn an_error_is_one_failed_ref_and_then_the_end() {
    let engine = engine(2);
    let call = StreamCall::new(TaskSpec::new("three"), (), |(), sink: StreamSink<u8>| async move {
        for i in 0..3 {
            sink.push(i).await;
        }
        Err(Error::user(std::io::Error::other("the fourth is broken")))
    });
    let items: Vec<Ref<u8>> = engine.spawn_stream(call).into_iter().collect();
    assert_eq!(items.len(), 4);
    assert_eq!(items[2].get().unwrap(), 2);
    let error = items[3].get().unwrap_err();
    assert!(error.downcast_ref::<std::io::Error>().is_some(), "{error}");
    assert_eq!(error.task().unwrap().name, "three");

    let panicking = StreamCall::new(TaskSpec::new("bang"), (), |(), sink: StreamSink<u8>| async move {
        sink.push(1).await;
        assert!(sink.push(2).await && std::hint::black_box(false), "bang");
        Ok(())
    });
    let items: Vec<Ref<u8>> = engine.spawn_stream(panicking).into_iter().collect();
    assert_eq!(items.len(), 3);
    assert_eq!(items[2].get().unwrap_err().kind(), ErrorKind::Panicked);

    let failed: Ref<u8> = Ref::failed(Error::new(ErrorKind::DataLost, "test", "gone"));
    let args = (trefoil_core::Arg::Ref(failed),);
    let never = StreamCall::new(TaskSpec::new("never"), args, |_, _: StreamSink<u8>| async { Ok(()) });
    let items: Vec<Ref<u8>> = engine.spawn_stream(never).into_iter().collect();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].get().unwrap_err().kind(), ErrorKind::DataLost);
}

#[tokio::test]
async fn a_stream_is_a_stream_in_a_foreign_runtime() {
    let engine = engine(2);
    let produced = Arc::new(AtomicUsize::new(0));
    let stream: RefStream<usize> = engine.spawn_stream(counting(&produced));
    let firsts: Vec<usize> = stream.take(500).then(|item| async move { item.await.unwrap() }).collect().await;
    assert_eq!(firsts, (0..500).collect::<Vec<_>>());
}

#[test]
fn streams_are_read_inside_tasks_of_a_single_worker() {
    let engine = Engine::builder().workers(1).memory("64MiB").build().unwrap();
    let produced = Arc::new(AtomicUsize::new(0));
    let inner = engine.clone();
    let sum = engine.spawn_fn(move || {
        let stream = inner.spawn_stream(counting(&produced).look_ahead(1));
        stream.into_iter().take(100).map(|item| item.get().unwrap()).sum::<usize>()
    });
    assert_eq!(sum.get().unwrap(), 4950);
}

#[test]
fn a_shutdown_ends_a_stream_with_an_error() {
    let engine = engine(2);
    let forever = StreamCall::new(TaskSpec::new("forever"), (), |(), sink: StreamSink<u8>| async move {
        sink.push(1).await;
        std::future::pending().await
    });
    let mut stream = engine.spawn_stream(forever).into_iter();
    assert_eq!(stream.next().unwrap().get().unwrap(), 1);
    engine.shutdown();
    assert!(stream.next().unwrap().get().is_err());
    assert!(stream.next().is_none());
}

#[test]
fn select_join_and_gather_with_a_timeout() {
    let engine = engine(2);
    let (promise, late) = Ref::<u8>::promise("late");
    let early = engine.spawn_fn(|| "early".to_owned());
    assert!(matches!(engine.block_on(engine.select(&late, &early)), Either::Second(Ok(_))));
    assert!(matches!(engine.block_on(engine.select(&early, &late)), Either::First(Ok(_))));
    let error = engine
        .block_on(engine.gather_timeout(&[late.clone(), Ref::ready(1)], Duration::from_millis(5)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.message().starts_with("1 of 2"), "{error}");
    assert!(!late.is_done(), "a timeout does not cancel");
    promise.fulfil(Ok(3));
    assert_eq!(engine.block_on(engine.join(late.clone(), early)).unwrap(), (3, "early".to_owned()));
    let values = engine.block_on(engine.gather_timeout(&[late, Ref::ready(1)], Duration::from_secs(60)));
    assert_eq!(values.unwrap(), [3, 1]);
}

#[test]
fn gather_fails_fast_with_the_first_error() {
    let engine = engine(2);
    let (_promise, never) = Ref::<u8>::promise("never");
    let bad = engine.try_spawn_fn(|| Err::<u8, _>(std::io::Error::other("at once")));
    let error = engine.block_on(engine.gather([never, bad])).unwrap_err();
    assert_eq!(error.message(), "at once");
}

#[test]
fn refs_inside_values_stay_refs_and_keep_their_value() {
    let engine = engine(2);
    let big = engine.put(vec![1_u8; 1000]).unwrap();
    let used = engine.budget().reserved();
    let inside: Ref<Vec<Ref<Vec<u8>>>> = engine.put(vec![big.clone()]).unwrap();
    drop(big);
    assert!(engine.budget().reserved() >= used, "the structure keeps it");
    let length = engine.map([inside.clone()], |list| list[0].get_value().map(|v| v.len())).remove(0);
    assert_eq!(length.get_value().unwrap().as_ref().unwrap(), &1000);

    // Encoded within the process, they come back as the same value.
    let bytes = postcard::to_stdvec(&*inside.get_value().unwrap()).unwrap();
    let back: Vec<Ref<Vec<u8>>> = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(back[0].id(), inside.get_value().unwrap()[0].id());
    assert!(postcard::from_bytes::<Vec<Ref<String>>>(&bytes).is_err(), "of another type");
    drop((back, inside, length));
    assert!(postcard::from_bytes::<Vec<Ref<Vec<u8>>>>(&bytes).is_err(), "the value is gone");
}
