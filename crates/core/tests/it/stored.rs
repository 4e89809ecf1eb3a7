//! Spillable values, exact counts over many objects, the order of eviction, lineage of calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, StringViewArray};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use trefoil_core::{
    Arg, Call, Compression, Engine, ErrorKind, ObjectKind, Partition, Place, Stored, TaskSpec,
};

use super::Counter;

fn small(limit: usize) -> (Engine, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder().workers(2).memory_bytes(limit).spill_dir(dir.path()).build().unwrap();
    (engine, dir)
}

fn files(engine: &Engine) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(engine.spill_dir()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn batch(rows: usize, seed: i64) -> RecordBatch {
    let n: Int64Array = (0..rows as i64).map(|i| (i % 7 != 0).then_some(i ^ seed)).collect();
    let s: StringArray = (0..rows).map(|i| Some(format!("{seed:03}-{i:05}"))).collect();
    let v: StringViewArray =
        (0..rows).map(|i| Some(format!("a text of some length {seed:03}-{i:05}"))).collect();
    let d: DictionaryArray<Int32Type> = (0..rows).map(|i| ["red", "green", "blue"][i % 3]).collect();
    let columns = [
        ("n", Arc::new(n) as ArrayRef),
        ("s", Arc::new(s) as ArrayRef),
        ("v", Arc::new(v) as ArrayRef),
        ("d", Arc::new(d) as ArrayRef),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn put(engine: &Engine, rows: usize, seed: i64) -> Partition {
    let rows = batch(rows, seed);
    engine.put_batches(rows.schema(), vec![rows]).unwrap()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    place: String,
    values: Vec<f64>,
    notes: BTreeMap<u32, String>,
    next: Option<Box<Reading>>,
}

fn reading(seed: u32) -> Reading {
    Reading {
        place: format!("place {seed}"),
        values: (0..2000).map(|i| f64::from(seed * i)).collect(),
        notes: (0..seed % 9).map(|i| (i, "x".repeat(i as usize))).collect(),
        next: (seed % 2 == 1).then(|| Box::new(reading(seed - 1))),
    }
}

#[test]
fn values_spill_and_come_back_equal() {
    for compression in [Compression::None, Compression::Lz4] {
        let dir = tempfile::tempdir().unwrap();
        let builder = Engine::builder().memory_bytes(1 << 20).spill_dir(dir.path());
        let engine = builder.spill_compression(compression).build().unwrap();
        let values: Vec<Stored<Reading>> =
            (0..200).map(|seed| engine.put_spillable(reading(seed)).unwrap()).collect();
        assert!(values[0].is_spilled());
        assert!(!values[199].is_spilled());
        assert!(values.iter().all(|value| value.memory_bytes() >= 16_000));
        for (seed, value) in values.iter().enumerate() {
            assert_eq!(*value.load().unwrap(), reading(seed as u32));
        }
        assert!(engine.budget().peak() <= engine.budget().limit());
        assert!(engine.store().restore_count() > 0);
        drop(values);
        assert_eq!((engine.budget().reserved(), files(&engine).len()), (0, 0));
    }
}

#[test]
fn a_value_in_use_stays_and_a_file_is_written_once() {
    let (engine, _dir) = small(4 << 20);
    let value = engine.put_spillable(vec![3u64; 10_000]).unwrap();
    let used = value.load().unwrap();
    assert_eq!(engine.store().spill(usize::MAX), 0);
    assert_eq!(engine.store().objects()[0].users, 1);
    drop(used);
    for _ in 0..3 {
        assert_eq!(engine.store().spill(usize::MAX), value.memory_bytes());
        assert_eq!(value.load().unwrap()[9_999], 3);
    }
    assert_eq!((engine.store().spill_count(), engine.store().restore_count()), (1, 3));
    // A value is an argument of calls.
    let sum = Call::new(TaskSpec::new("sum"), (Arg::Value(1u64),), |(x,)| Ok(*x));
    drop(sum);
    let load: Arg<Vec<u64>> = trefoil_core::IntoArg::into_arg(&value);
    let sum = Call::new(TaskSpec::new("sum"), (load,), |(xs,)| Ok(xs.iter().sum::<u64>()));
    engine.store().spill(usize::MAX);
    assert_eq!(engine.block_on(engine.compute(sum)).unwrap(), 30_000);
}

/// Reads back as something else: the field is left out on the way out, and not on the way in.
#[derive(Serialize, Deserialize)]
struct Lopsided {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first: Vec<u8>,
    second: Vec<u8>,
}

/// Postcard cannot read this at all.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[test]
fn what_does_not_come_back_from_bytes_stays_in_memory_and_is_reported() {
    let (engine, _dir) = small(4 << 20);
    let lopsided = engine.put_spillable(Lopsided { first: Vec::new(), second: vec![5; 9] }).unwrap();
    let untagged = engine.put_spillable(vec![Untagged::Number(1), Untagged::Text("one".into())]).unwrap();
    let pinned = engine.put(vec![1u8; 1000]).unwrap();
    assert_eq!(engine.store().pinned_bytes(), 1000 + size_of::<Vec<u8>>());
    assert_eq!(engine.store().spill(usize::MAX), 0);
    assert!(engine.store().objects().iter().all(|object| object.place == Place::Pinned));
    assert!(engine.store().objects()[1].type_name.contains("Untagged"));
    assert_eq!(lopsided.load().unwrap().second, [5; 9]);
    assert!(matches!(&untagged.load().unwrap()[0], Untagged::Number(1)));
    drop((lopsided, untagged, pinned));
    assert_eq!((engine.budget().reserved(), files(&engine).len()), (0, 0));
}

#[test]
fn ten_thousand_objects_in_and_the_budget_back_to_nothing_out() {
    let (engine, _dir) = small(6 << 20);
    let whole = batch(20_000, 1);
    let bytes = engine.put_batches(whole.schema(), vec![whole.clone()]).unwrap().memory_bytes();
    assert_eq!(engine.budget().reserved(), 0);
    let slices: Vec<Partition> =
        (0..4000).map(|i| engine.put_batches(whole.schema(), vec![whole.slice(i * 5, 5)]).unwrap()).collect();
    // The slices share all buffers, except bitmaps that are cut anew.
    assert!(engine.budget().reserved() >= bytes);
    assert!(engine.budget().reserved() < bytes + bytes / 8, "{} {bytes}", engine.budget().reserved());
    let values: Vec<Stored<Vec<u32>>> =
        (0..3000u32).map(|i| engine.put_spillable(vec![i; 300]).unwrap()).collect();
    let partitions: Vec<Partition> = (0..2000).map(|i| put(&engine, 20, i)).collect();
    let pinned: Vec<_> = (0..1000u64).map(|i| engine.put(i).unwrap()).collect();
    assert_eq!(engine.store().object_count(), 9000);
    assert_eq!(engine.store().partition_count(), 6000);
    assert!(engine.budget().peak() <= engine.budget().limit());
    drop(whole);
    assert_eq!(slices[3999].batches().unwrap()[0], batch(20_000, 1).slice(3999 * 5, 5));
    assert_eq!(values[2999].load().unwrap()[299], 2999);
    drop((values, pinned));
    drop(slices);
    assert_eq!(*partitions[7].batches().unwrap(), [batch(20, 7)]);
    drop(partitions);
    assert_eq!(engine.budget().reserved(), 0, "{:?}", engine.budget().consumers());
    assert_eq!((engine.store().object_count(), files(&engine).len()), (0, 0));
}

#[test]
fn shared_buffers_are_charged_once_and_freed_with_the_last() {
    let (engine, _dir) = small(16 << 20);
    let whole = batch(10_000, 1);
    let first = engine.put_batches(whole.schema(), vec![whole.clone()]).unwrap();
    let charged = engine.budget().reserved();
    assert_eq!(charged, first.memory_bytes());
    let second = engine.put_batches(whole.schema(), vec![whole.clone(), whole.clone()]).unwrap();
    assert_eq!(engine.budget().reserved(), charged);
    assert_eq!(engine.store().spill(usize::MAX), 0, "the test holds the columns");
    drop(whole);
    assert_eq!(engine.store().spill(1), charged, "given back when both are on disk");
    assert!(first.is_spilled() && second.is_spilled());
    assert_eq!(engine.budget().reserved(), 0);
    drop((first, second));
    assert_eq!(files(&engine).len(), 0);
}

#[test]
fn a_restored_partition_lies_in_the_mapping() {
    let (engine, _dir) = small(16 << 20);
    let partition = put(&engine, 30_000, 5);
    engine.store().spill(usize::MAX);
    let batches = partition.batches().unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let dir = engine.spill_dir().to_str().unwrap();
    let ranges: Vec<(usize, usize)> = maps
        .lines()
        .filter(|line| line.contains(dir))
        .map(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            (usize::from_str_radix(start, 16).unwrap(), usize::from_str_radix(end, 16).unwrap())
        })
        .collect();
    assert_eq!(ranges.len(), 1, "one file, one mapping");
    let mut buffers = 0;
    for column in batches[0].columns() {
        let mut data = vec![column.to_data()];
        while let Some(next) = data.pop() {
            let nulls = next.nulls().map(|nulls| nulls.buffer());
            for buffer in next.buffers().iter().chain(nulls).filter(|buffer| !buffer.is_empty()) {
                let at = buffer.as_ptr() as usize;
                assert!((ranges[0].0..ranges[0].1).contains(&at), "{:?} was copied", column.data_type());
                buffers += 1;
            }
            data.extend(next.child_data().iter().cloned());
        }
    }
    assert!(buffers >= 8, "{buffers}");
    assert_eq!(engine.budget().reserved(), 0, "the pages are the kernel's");
}

#[test]
fn calls_are_run_again_when_their_partition_is_lost() {
    let (engine, _dir) = small(16 << 20);
    let runs = Counter::default();
    let count = runs.clone();
    let make = Call::new(TaskSpec::new("make"), (Arg::Value(40i64),), move |(seed,)| {
        count.add();
        let rows = batch(2000, *seed);
        Partition::from_batches(rows.schema(), vec![rows])
    });
    let partition = engine.spawn_stored(make).get().unwrap();
    assert!(partition.is_stored());
    let info = &engine.store().objects()[0];
    assert_eq!((info.kind, info.recomputable), (ObjectKind::Partition { rows: 2000 }, true));
    engine.store().spill(usize::MAX);
    for file in files(&engine) {
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(*partition.batches().unwrap(), [batch(2000, 40)]);
    assert_eq!((runs.get(), engine.store().recompute_count()), (2, 1));
    // A task may ask, too.
    engine.store().spill(usize::MAX);
    for file in files(&engine) {
        std::fs::write(file, b"garbage").unwrap();
    }
    let asked = partition.clone();
    assert_eq!(engine.try_spawn_fn(move || asked.batches().map(|b| b[0].num_rows())).get().unwrap(), 2000);
    // Without its engine nothing can be computed.
    engine.store().spill(usize::MAX);
    for file in files(&engine) {
        std::fs::remove_file(file).unwrap();
    }
    let weak = engine.downgrade();
    drop(engine);
    // A task that has just ended may hold it for a moment.
    while weak.upgrade().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(partition.batches().unwrap_err().kind(), ErrorKind::DataLost);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random puts, uses, drops and reliefs beside a dumb model of GreedyDual-Size: the same objects are in
    /// memory, and the account is exact.
    #[test]
    fn the_least_worth_leaves_first(
        steps in prop::collection::vec((0usize..5, 0usize..10, 10u32..16), 1..80),
    ) {
        const LIMIT: usize = 1 << 20;
        let (engine, _dir) = small(LIMIT);
        struct Object { value: Stored<Vec<u8>>, worth: u64, used: usize, resident: bool, written: bool }
        let mut model: Vec<Option<Object>> = (0..10).map(|_| None).collect();
        let mut floor = 0u64;
        // In 1/1024 of a nanosecond a byte, as `evict` has them: decoding, writing, and a file's constant.
        let cost = |bytes: usize, written: bool| {
            let size = bytes.next_power_of_two() as f64;
            let back = 60_000.0 + size * 3.0;
            ((if written { back } else { 60_000.0 + size + back }) / size * 1024.0) as u64
        };
        for (now, (step, at, size)) in steps.into_iter().enumerate() {
            match step {
                0 | 1 => {
                    let value = engine.put_spillable(vec![at as u8; 1 << size]).unwrap();
                    let worth = floor + cost(value.memory_bytes(), false);
                    model[at] = Some(Object { value, worth, used: now, resident: true, written: false });
                }
                2 => {
                    if let Some(object) = &mut model[at] {
                        prop_assert_eq!(object.value.load().unwrap()[0], at as u8);
                        object.worth = floor + cost(object.value.memory_bytes(), object.written);
                        object.used = now;
                        object.resident = true;
                    }
                }
                3 => model[at] = None,
                _ => {
                    // One relief gives back what is asked for, and at least an eighth of the budget.
                    let wanted = (1usize << size).max(LIMIT / 8);
                    let freed = engine.store().spill(1 << size);
                    let mut leaving: Vec<&mut Object> =
                        model.iter_mut().flatten().filter(|object| object.resident).collect();
                    leaving.sort_by_key(|object| (object.worth, object.used));
                    let mut expect = 0;
                    for object in leaving {
                        if expect >= wanted {
                            break;
                        }
                        expect += object.value.memory_bytes();
                        floor = floor.max(object.worth);
                        object.resident = false;
                        object.written = true;
                    }
                    prop_assert_eq!(freed, expect);
                }
            }
            for object in model.iter().flatten() {
                prop_assert_eq!(object.value.is_spilled(), !object.resident);
            }
            let charged: usize = model.iter().flatten().filter(|o| o.resident).map(|o| o.value.memory_bytes()).sum();
            prop_assert_eq!(engine.budget().reserved(), charged);
        }
    }
}
