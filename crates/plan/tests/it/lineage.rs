//! Persisted partitions whose files are lost or damaged: computed again, or an error that says why not.

use super::{batch, write};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::col;
use datafusion::prelude::{cast, random};
use std::path::PathBuf;
use trefoil_plan::{DataFrame, ErrorKind, Session};

fn session() -> (Session, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let builder = Session::builder().workers(2).memory("64MiB").spill_dir(dir.path());
    (builder.build().unwrap(), dir)
}

fn files(session: &Session) -> Vec<PathBuf> {
    let all = std::fs::read_dir(session.spill_dir()).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|end| end == "arrow")).collect()
}

/// Spills everything and damages the files in turn: removed, cut, one bit changed.
fn damage(session: &Session) -> usize {
    session.store().spill(usize::MAX);
    let files = files(session);
    for (at, file) in files.iter().enumerate() {
        let mut bytes = std::fs::read(file).unwrap();
        match at % 3 {
            0 => std::fs::remove_file(file).unwrap(),
            1 => std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap(),
            _ => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                std::fs::write(file, bytes).unwrap();
            }
        }
    }
    files.len()
}

fn rows(session: &Session, frame: &DataFrame) -> Vec<String> {
    let batches = session.block_on(frame.collect()).unwrap();
    let mut lines: Vec<String> = Vec::new();
    for batch in batches {
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&[batch]).unwrap().to_string();
        lines.extend(text.lines().skip(3).filter(|line| line.starts_with('|')).map(str::to_owned));
    }
    lines.sort();
    lines
}

#[test]
fn persisted_partitions_are_computed_again() {
    let (session, dir) = session();
    let path = dir.path().join("t.parquet");
    let numbers: Vec<_> = (0..40).map(|i| batch(i * 5000, 5000)).collect();
    let frame = session.frame_from_batches(numbers).unwrap();
    session.block_on(frame.write_parquet(&path)).unwrap();
    drop(frame);
    let scan = session.block_on(session.read_parquet(&path)).unwrap();
    let grouped = scan
        .inner()
        .clone()
        .aggregate(
            vec![(col("n") % datafusion::prelude::lit(1000)).alias("k")],
            vec![
                datafusion::functions_aggregate::expr_fn::sum(col("f")).alias("f"),
                datafusion::functions_aggregate::expr_fn::count(col("s")).alias("c"),
            ],
        )
        .unwrap();
    for frame in [scan.clone(), DataFrame::new(session.clone(), grouped)] {
        let expect = rows(&session, &frame);
        let kept = session.block_on(frame.persist()).unwrap();
        assert!(damage(&session) >= 2);
        assert_eq!(rows(&session, &kept), expect);
        assert!(session.store().recompute_count() > 0);
        // Through a ref and a task, too.
        damage(&session);
        let counted = session.map(kept.partitions().unwrap(), |part| {
            part.batches().map(|b| b.iter().map(|b| b.num_rows()).sum::<usize>())
        });
        let counted = session.block_on(session.gather(counted)).unwrap();
        assert_eq!(counted.into_iter().map(Result::unwrap).sum::<usize>(), expect.len());
        // Of a frame persisted out of a persisted one, both generations are lost.
        let doubled = kept
            .inner()
            .clone()
            .filter(col(kept.columns()[0].as_str()).gt(datafusion::prelude::lit(500)))
            .unwrap();
        let doubled = DataFrame::new(session.clone(), doubled);
        let again = session.block_on(doubled.persist()).unwrap();
        let expect = rows(&session, &again);
        damage(&session);
        assert_eq!(rows(&session, &again), expect);
    }
    // Streams that were left early give their memory back when they are next polled.
    let begin = std::time::Instant::now();
    while session.budget().reserved() > 0 || !files(&session).is_empty() {
        assert!(begin.elapsed().as_secs() < 20, "{:?} {:?}", session.budget().consumers(), files(&session));
        std::thread::yield_now();
    }
}

#[test]
fn other_rows_are_an_error() {
    let (session, dir) = session();
    let path = write(&dir, "t.csv", "a\n1\n2\n3\n");
    let scan = session.block_on(session.read_csv(&path)).unwrap();
    let lots = scan
        .inner()
        .clone()
        .select(vec![cast(random() * datafusion::prelude::lit(1e9), DataType::Int64).alias("a")])
        .unwrap();
    let kept = session.block_on(scan.persist()).unwrap();
    let drawn = session.block_on(DataFrame::new(session.clone(), lots).persist()).unwrap();
    damage(&session);
    std::fs::write(&path, "a\n1\n2\n4\n").unwrap();
    for frame in [kept, drawn] {
        let error = session.block_on(frame.collect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLost, "{error}");
        assert!(error.to_string().contains("other rows this time"), "{error}");
    }
}

#[test]
fn rows_given_from_outside_are_lost_for_good() {
    let (session, _dir) = session();
    let frame = session.frame_from_batches(vec![batch(0, 1000)]).unwrap();
    damage(&session);
    let error = session.block_on(frame.collect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLost, "{error}");
    assert!(error.to_string().contains("store them again"), "{error}");
}
