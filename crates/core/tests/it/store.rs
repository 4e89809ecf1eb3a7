//! The store: exact accounting, spill and read-back without a copy, damage found.

use std::sync::Arc;

use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use trefoil_core::{Engine, ErrorKind, Partition};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("s", DataType::Utf8, true)]))
}

fn batch(rows: usize, seed: i64) -> RecordBatch {
    let n: Int64Array = (0..rows as i64).map(|i| (i % 7 != 0).then_some(i * seed)).collect();
    let s: StringArray = (0..rows).map(|i| (i % 5 != 0).then(|| format!("{seed}-{i}"))).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(n), Arc::new(s)]).unwrap()
}

fn small(limit: usize) -> (Engine, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder().workers(1).memory_bytes(limit).spill_dir(dir.path()).build().unwrap();
    (engine, dir)
}

fn files(engine: &Engine) -> usize {
    std::fs::read_dir(engine.spill_dir()).unwrap().count()
}

#[test]
fn nothing_is_copied_on_the_way_in_and_out() {
    let (engine, _dir) = small(64 << 20);
    let original = batch(1000, 1);
    let address = original.column(0).to_data().buffers()[0].as_ptr();
    let partition = engine.put_batches(schema(), vec![original]).unwrap();
    let back = partition.batches().unwrap();
    assert_eq!(back[0].column(0).to_data().buffers()[0].as_ptr(), address);
    assert_eq!(engine.budget().reserved(), partition.memory_bytes());
}

#[test]
fn cold_partitions_spill_when_memory_is_short_and_come_back_equal() {
    let (engine, _dir) = small(1 << 20);
    let partitions: Vec<Partition> = (0..60)
        .map(|i| engine.put_batches(schema(), vec![batch(2000, i), batch(10, i + 100)]).unwrap())
        .collect();
    assert!(engine.store().spill_count() > 0);
    assert!(engine.budget().peak() <= engine.budget().limit());
    assert!(partitions[0].is_spilled());
    for (i, partition) in partitions.iter().enumerate() {
        assert_eq!(partition.num_rows(), 2010);
        let back = partition.batches().unwrap();
        assert_eq!(back[0], batch(2000, i as i64));
        assert_eq!(back[1], batch(10, i as i64 + 100));
    }
    drop(partitions);
    assert_eq!(engine.budget().reserved(), 0);
    assert_eq!(files(&engine), 0);
    assert_eq!(engine.store().partition_count(), 0);
}

#[test]
fn what_someone_uses_is_not_spilled() {
    let (engine, _dir) = small(4 << 20);
    let partition = engine.put_batches(schema(), vec![batch(1000, 1)]).unwrap();
    let used = partition.batches().unwrap();
    assert_eq!(engine.store().spill(usize::MAX), 0);
    let column = Arc::clone(used[0].column(0));
    drop(used);
    assert_eq!(engine.store().spill(usize::MAX), 0, "a column of it is still held");
    drop(column);
    assert_eq!(engine.store().spill(usize::MAX), partition.memory_bytes());
    assert_eq!(engine.budget().reserved(), 0);
    let (a, b) = (partition.batches().unwrap(), partition.batches().unwrap());
    assert_eq!(
        a[0].column(0).to_data().buffers()[0].as_ptr(),
        b[0].column(0).to_data().buffers()[0].as_ptr()
    );
}

#[test]
fn a_damaged_or_missing_file_is_told_not_read() {
    let (engine, _dir) = small(4 << 20);
    for damage in ["flip", "truncate", "remove"] {
        let partition = engine.put_batches(schema(), vec![batch(1000, 1)]).unwrap();
        engine.store().spill(usize::MAX);
        let file = std::fs::read_dir(engine.spill_dir()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        match damage {
            "flip" => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&file, bytes).unwrap();
            }
            "truncate" => std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap(),
            _ => std::fs::remove_file(&file).unwrap(),
        }
        let error = partition.batches().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLost, "{damage}: {error}");
        assert!(error.to_string().contains("store them again"), "{error}");
    }
    assert_eq!(files(&engine), 0);
}

#[test]
fn a_vanished_spill_directory_leaves_data_in_memory() {
    let (engine, _dir) = small(2 << 20);
    let partition = engine.put_batches(schema(), vec![batch(1000, 3)]).unwrap();
    std::fs::remove_dir_all(engine.spill_dir()).unwrap();
    assert_eq!(engine.store().spill(usize::MAX), 0);
    assert_eq!(partition.batches().unwrap()[0], batch(1000, 3));
    let error = engine.put_batches(schema(), vec![batch(200_000, 3)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(engine.budget().reserved(), partition.memory_bytes());
}

#[test]
fn a_partition_outlives_its_engine() {
    let (engine, dir) = small(4 << 20);
    let partition = engine.put_batches(schema(), vec![batch(500, 2)]).unwrap();
    engine.store().spill(usize::MAX);
    drop(engine);
    assert_eq!(partition.batches().unwrap()[0], batch(500, 2));
    drop(partition);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn other_columns_are_refused() {
    let (engine, _dir) = small(4 << 20);
    let narrow = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let error = engine.put_batches(narrow, vec![batch(10, 1)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert_eq!(engine.budget().reserved(), 0);
}

#[test]
fn a_value_too_big_for_the_budget_is_refused_with_the_consumers() {
    let (engine, _dir) = small(1 << 20);
    let kept = engine.put(vec![0u8; 600 << 10]).unwrap();
    let error = engine.put(vec![0u8; 600 << 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("put values 600.0 KiB"), "{error}");
    drop(kept);
    assert_eq!(engine.budget().reserved(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Slices, spills and serialisation give the same rows back, and the account returns to zero.
    #[test]
    fn partitions_survive_every_trip(rows in 0usize..300, cut in any::<prop::sample::Index>()) {
        let (engine, _dir) = small(8 << 20);
        let whole = batch(rows, 9);
        let at = cut.index(rows + 1);
        let parts = vec![whole.slice(0, at), whole.slice(at, rows - at)];
        let partition = engine.put_batches(schema(), parts.clone()).unwrap();
        drop(whole);
        let wire = postcard::to_stdvec(&partition).unwrap();
        let copy: Partition = postcard::from_bytes(&wire).unwrap();
        prop_assert_eq!(&copy.batches().unwrap()[..], &parts[..]);
        let expect = parts.clone();
        drop(parts);
        engine.store().spill(usize::MAX);
        prop_assert_eq!(&partition.batches().unwrap()[..], &expect[..]);
        drop(partition);
        prop_assert_eq!(engine.budget().reserved(), 0);
    }
}
