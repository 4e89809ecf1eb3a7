//! Queries under a small budget: they spill, re-plan or fail with a clear error, and give all back.

use super::batch;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::JoinType;
use datafusion::logical_expr::col;
use futures::StreamExt;
use trefoil_plan::{DataFrame, ErrorKind, Session};

fn small(memory: &str) -> Session {
    Session::builder().workers(2).memory(memory).build().unwrap()
}

fn sorted(frame: &DataFrame) -> DataFrame {
    let inner = frame.inner().clone().sort(vec![col("s").sort(false, true)]).unwrap();
    DataFrame::new(frame.session().clone(), inner)
}

#[test]
fn settings_out_of_range() {
    let check = |builder: trefoil_plan::SessionBuilder, kind: ErrorKind| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    };
    let new = Session::builder;
    check(new().memory("0"), ErrorKind::InvalidArgument);
    check(new().memory_bytes(0), ErrorKind::InvalidArgument);
    check(new().memory("plenty"), ErrorKind::InvalidArgument);
    check(new().workers(0), ErrorKind::InvalidArgument);
    check(new().spill_dir("/proc/nowhere"), ErrorKind::Io);
    let engine = small("64MiB").engine().clone();
    check(new().engine(engine.clone()).memory("1GiB"), ErrorKind::InvalidArgument);
    engine.shutdown();
    check(new().engine(engine), ErrorKind::ShutDown);
}

#[test]
fn cold_partitions_make_room_and_everything_is_given_back() {
    let session = small("48MiB");
    session.block_on(async {
        // About 24 MiB of rows a frame: the second pushes the first to disk, and a sort both.
        let load = |start: i64| {
            let batches = (0..60).map(|i| batch(start + i * 8192, 8192)).collect();
            session.frame_from_batches(batches).unwrap()
        };
        let first = load(0);
        let second = load(1_000_000);
        assert_eq!(
            sorted(&second).collect().await.unwrap().iter().map(|b| b.num_rows()).sum::<usize>(),
            60 * 8192
        );
        assert_eq!(first.count().await.unwrap(), 60 * 8192);
        let rows = first.collect().await.unwrap();
        assert_eq!(rows[0].slice(0, 10), batch(0, 10));
        assert!(session.store().spill_count() > 0);
        drop((rows, first, second));
    });
    let files = |dir: &std::path::Path| {
        let mut count = 0;
        let mut dirs = vec![dir.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                match entry.path().is_dir() {
                    true => dirs.push(entry.path()),
                    false => count += 1,
                }
            }
        }
        count
    };
    assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
    assert_eq!(files(session.spill_dir()), 0);
}

#[test]
fn a_join_that_does_not_fit_sorts_instead() {
    let session = small("24MiB");
    session.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let batches = (0..80).map(|i| batch(i * 8192, 8192)).collect::<Vec<_>>();
        let path = dir.path().join("t.parquet");
        let frame = session.frame_from_batches(batches).unwrap();
        frame.write_parquet(&path).await.unwrap();
        drop(frame);
        let left = session.read_parquet(&path).await.unwrap();
        let right = left.inner().clone().select(vec![col("n").alias("m"), col("s").alias("t")]).unwrap();
        let joined = left.inner().clone().join(right, JoinType::Inner, &["n"], &["m"], None).unwrap();
        let hashed = joined.clone();
        let hashed = session.on_cpu(async move { hashed.collect().await.map(|_| ()) }).await.unwrap();
        assert!(hashed.unwrap_err().to_string().contains("Resources exhausted"));
        let joined = DataFrame::new(session.clone(), joined);
        assert_eq!(joined.write_parquet(dir.path().join("joined.parquet")).await.unwrap(), 80 * 8192);
        let rows: Vec<usize> = joined.stream().map(|batch| batch.unwrap().num_rows()).collect().await;
        assert_eq!(rows.iter().sum::<usize>(), 80 * 8192);
    });
}

#[test]
fn a_refusal_names_the_consumers() {
    let session = small("1MiB");
    // More than the budget goes straight to disk.
    let spilled = session.frame_from_batches(vec![batch(0, 200_000)]).unwrap();
    assert_eq!(session.block_on(spilled.count()).unwrap(), 200_000);
    drop(spilled);
    session.block_on(async {
        let frame = session.read_csv(super::data("diamonds.csv")).await.unwrap();
        let error = frame.collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        assert!(error.to_string().contains("asked for"), "{error}");
        assert!(error.to_string().contains("largest: "), "{error}");
        // The engine keeps working.
        assert_eq!(frame.count().await.unwrap(), 53_940);
    });
    assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
}

#[test]
fn a_result_that_does_not_fit_is_refused_while_it_is_gathered() {
    let session = small("32MiB");
    session.block_on(async {
        let frame = session.frame_from_batches(vec![batch(0, 5000)]).unwrap();
        session.register("t", &frame).unwrap();
        let cross = session.context().sql("SELECT a.n, b.n AS m FROM t a CROSS JOIN t b").await.unwrap();
        let error = DataFrame::new(session.clone(), cross).collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        assert!(error.to_string().contains("collected rows"), "{error}");
        // What is stored may be collected whatever its size: nothing is copied.
        let large = session.frame_from_batches((0..30).map(|i| batch(i * 8192, 8192)).collect()).unwrap();
        assert!(session.budget().reserved() > 5 << 20);
        assert_eq!(large.collect().await.unwrap().iter().map(|b| b.num_rows()).sum::<usize>(), 30 * 8192);
    });
}

/// Many queries at once on a budget that few of them fit in, with a stored table that takes half of it.
#[test]
fn an_over_subscribed_engine_degrades() {
    const ROWS: i64 = 12 * 8192;
    let session = small("24MiB");
    let table = session.frame_from_batches((0..12).map(|i| batch(i * 8192, 8192)).collect()).unwrap();
    session.register("t", &table).unwrap();
    let texts = [
        "SELECT n FROM t ORDER BY s DESC",
        "SELECT s, sum(n) AS n FROM t GROUP BY s",
        "SELECT a.n FROM t a JOIN t b ON a.s = b.s",
        "SELECT sum(n) OVER (PARTITION BY n % 7 ORDER BY s) - sum(n) OVER (PARTITION BY n % 7 ORDER BY s) + n AS n FROM t",
    ];
    let frames: Vec<DataFrame> = (0..16)
        .map(|at| {
            let frame = session.block_on(session.context().sql(texts[at % texts.len()])).unwrap();
            DataFrame::new(session.clone(), frame)
        })
        .collect();
    let answers = session.block_on(futures::future::join_all(frames.iter().map(|frame| async move {
        let (mut stream, mut rows, mut sum) = (frame.stream(), 0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            let column = batch.column_by_name("n").expect("a column n").as_primitive::<Int64Type>();
            rows += batch.num_rows() as i64;
            sum += column.values().iter().sum::<i64>();
        }
        Ok::<_, trefoil_plan::Error>((rows, sum))
    })));
    let mut refused = 0;
    for (at, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(answer) => assert_eq!(answer, (ROWS, ROWS * (ROWS - 1) / 2), "{}", texts[at % texts.len()]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
                refused += 1;
            }
        }
    }
    // A window keeps its partition in memory and cannot spill; whoever can spill gets through.
    assert!(refused <= 8, "{refused} of 16 were refused");
    drop((frames, table));
    session.deregister("t").unwrap();
    let begin = std::time::Instant::now();
    while session.budget().reserved() > 0 {
        assert!(begin.elapsed().as_secs() < 20, "{:?}", session.budget().consumers());
        std::thread::yield_now();
    }
}
