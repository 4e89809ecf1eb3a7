//! `#[task(stream)]`: iterators and async streams, borrowed arguments, failures, the table of tasks.

use std::num::ParseIntError;

use futures::{Stream, StreamExt};
use trefoil_tasks::{ErrorKind, Ref, StreamCall, registry, task};

use crate::engine;

/// All numbers from `from` on.
#[task(stream, look_ahead = 4)]
fn upwards(from: u64) -> impl Iterator<Item = u64> {
    from..
}

/// The iterator borrows from the stored text.
#[task(stream)]
fn words(text: &str, least: usize) -> impl Iterator<Item = String> {
    text.split_whitespace().filter(move |word| word.len() >= least).map(str::to_owned)
}

#[task(stream, name = "parsed")]
fn parsed(text: &str) -> impl Iterator<Item = Result<i64, ParseIntError>> {
    text.split(',').map(str::parse)
}

#[task(stream)]
fn ticks(count: u64) -> impl Stream<Item = u64> {
    futures::stream::iter(0..count).then(|i| async move {
        tokio::task::yield_now().await;
        i * i
    })
}

#[task(stream)]
fn slow_parsed(texts: &[String]) -> impl Stream<Item = Result<i64, ParseIntError>> + Send {
    futures::stream::iter(texts.iter().map(|text| text.parse()))
}

#[task]
fn text() -> String {
    "a leaf of clover".to_owned()
}

#[test]
fn items_become_refs_as_they_are_produced() {
    let engine = engine();
    let call: StreamCall<u64> = upwards(10);
    let firsts: Vec<u64> =
        engine.spawn_stream(call).into_iter().take(5).map(|item| item.get().unwrap()).collect();
    assert_eq!(firsts, [10, 11, 12, 13, 14]);

    let squares: Vec<Ref<u64>> = engine.spawn_stream(ticks(4)).into_iter().collect();
    assert_eq!(engine.block_on(engine.gather(squares)).unwrap(), [0, 1, 4, 9]);

    // An item is an argument like any other ref.
    #[task]
    fn double(n: u64) -> u64 {
        2 * n
    }
    let mut stream = engine.spawn_stream(upwards(7));
    let item = engine.block_on(stream.next()).unwrap();
    assert_eq!(engine.spawn(double(item)).get().unwrap(), 14);
}

#[test]
fn arguments_are_values_refs_and_calls_and_may_be_borrowed() {
    let engine = engine();
    let all = |call: StreamCall<String>| -> Vec<String> {
        engine.spawn_stream(call).into_iter().map(|item| item.get().unwrap()).collect()
    };
    assert_eq!(all(words("one two", 1)), ["one", "two"]);
    assert_eq!(all(words(text(), 3)), ["leaf", "clover"]);
    let stored = engine.put("x yy".to_owned()).unwrap();
    assert_eq!(all(words(&stored, 2)), ["yy"]);
}

#[test]
fn a_failing_item_is_one_failed_ref_and_then_the_end() {
    let engine = engine();
    let check = |name: &str, call: StreamCall<i64>| {
        let items: Vec<Ref<i64>> = engine.spawn_stream(call).into_iter().collect();
        assert_eq!(items.len(), 3, "{name}");
        assert_eq!(items[1].get().unwrap(), 2);
        let error = items[2].get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.downcast_ref::<ParseIntError>().is_some());
        let task = error.task().unwrap();
        assert_eq!(task.name, name);
        assert!(task.location.file().ends_with("streams.rs"));
    };
    check("parsed", parsed("1,2,x,4"));
    check("slow_parsed", slow_parsed(["1", "2", "x", "4"].map(str::to_owned)));
}

#[test]
fn by_name_a_stream_gives_the_list_of_its_items() {
    let engine = engine();
    let arguments = registry::encode(&("1,2,3".to_owned(),)).unwrap();
    let result = registry::run_by_name(&engine, "parsed", arguments).get().unwrap();
    assert_eq!(registry::decode::<Vec<i64>>(&result).unwrap(), [1, 2, 3]);
    let arguments = registry::encode(&("1,no".to_owned(),)).unwrap();
    let error = registry::run_by_name(&engine, "parsed", arguments).get().unwrap_err();
    assert!(error.downcast_ref::<ParseIntError>().is_some());
}
