//! The border between queries and stored partitions: nothing is copied.

use super::{batch, session};
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::logical_expr::col;
use std::collections::HashSet;
use trefoil_plan::{DataFrame, ErrorKind};

/// The addresses of the buffers of all columns.
fn buffers(batches: &[RecordBatch]) -> HashSet<usize> {
    batches
        .iter()
        .flat_map(|batch| batch.columns())
        .flat_map(|column| column.to_data().buffers().to_vec())
        .map(|buffer| buffer.as_ptr() as usize)
        .collect()
}

#[test]
fn a_persisted_frame_is_scanned_in_place() {
    let session = session();
    session.block_on(async {
        let frame = session.frame_from_batches(vec![batch(0, 40_000), batch(40_000, 40_000)]).unwrap();
        let even = frame
            .inner()
            .clone()
            .filter((col("n") % datafusion::logical_expr::lit(2)).eq(datafusion::logical_expr::lit(0)))
            .unwrap();
        let stored = DataFrame::new(session.clone(), even).persist().await.unwrap();
        let mut inside = HashSet::new();
        for partition in session.gather(stored.partitions().unwrap()).await.unwrap() {
            assert!(partition.is_stored());
            inside.extend(buffers(&partition.batches().unwrap()));
        }
        assert!(!inside.is_empty());
        assert_eq!(buffers(&stored.collect().await.unwrap()), inside);

        // Through the catalog and SQL, with a projection.
        session.register("even", &stored).unwrap();
        let all = session.context().sql("SELECT * FROM even").await.unwrap();
        let all = DataFrame::new(session.clone(), all).collect().await.unwrap();
        assert_eq!(buffers(&all), inside);
        let some = session.context().sql("SELECT f, n FROM even").await.unwrap();
        let some = DataFrame::new(session.clone(), some).collect().await.unwrap();
        assert!(buffers(&some).is_subset(&inside) && !some.is_empty());

        // Back from refs, and persisted again: still the same.
        let again = session.frame_from_refs(stored.partitions().unwrap()).await.unwrap();
        let again = again.persist().await.unwrap();
        assert_eq!(buffers(&again.collect().await.unwrap()), inside);
        assert_eq!(
            session.table("even").await.unwrap().partitions().unwrap().len(),
            stored.partitions().unwrap().len()
        );
    });
}

#[test]
fn batches_of_the_user_are_not_copied() {
    let session = session();
    let mine = vec![batch(0, 1000), batch(1000, 1000)];
    let expect = buffers(&mine);
    let frame = session.frame_from_batches(mine).unwrap();
    let out = session.block_on(frame.collect()).unwrap();
    assert_eq!(buffers(&out), expect);
    // In the order they were given.
    assert_eq!(out[0], batch(0, 1000));
}

#[test]
fn partitions_are_arguments_of_tasks_and_results_are_frames() {
    let session = session();
    let frame = session.frame_from_batches(vec![batch(0, 50_000), batch(50_000, 50_000)]).unwrap();
    let parts = frame.partitions().unwrap();
    assert_eq!(parts.len(), 2);
    let halves = session.try_map(parts, |part| {
        let batches = part.batches()?;
        let halves = batches.iter().map(|batch| batch.slice(0, batch.num_rows() / 2)).collect();
        trefoil_core::Partition::from_batches(part.schema().clone(), halves)
    });
    let frame = session.block_on(session.frame_from_refs(halves)).unwrap();
    assert_eq!(session.block_on(frame.count()).unwrap(), 50_000);
}

#[test]
fn wrong_partitions() {
    let session = session();
    let frame = session.frame_from_batches(vec![batch(0, 3)]).unwrap();
    let narrow = batch(0, 3).project(&[1, 0]).unwrap();
    let error = session.frame_from_batches(vec![batch(0, 3), narrow.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert!(error.to_string().contains("partition 1 has 2 columns, partition 0 has 3"), "{error}");
    let other = session.frame_from_batches(vec![narrow]).unwrap();
    let mut refs = frame.inner().schema().fields().len();
    refs -= 2;
    let mut both = frame.partitions().unwrap();
    both.extend(other.partitions().unwrap());
    assert_eq!(both.len(), refs + 1);
    let error = session.block_on(session.frame_from_refs(both)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert_eq!(session.frame_from_batches(vec![]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let none = session.block_on(session.frame_from_refs([])).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidArgument);
    let lazy = session.block_on(session.read_csv(super::data("diamonds.csv"))).unwrap();
    let error = lazy.partitions().unwrap_err();
    assert!(error.to_string().contains("call `persist().await` first"), "{error}");
}
