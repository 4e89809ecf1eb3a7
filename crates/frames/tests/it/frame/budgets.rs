//! Data of ten times the memory budget: groups, sorts and a join give the right answer, and everything is given back.
//!
//! The rows are made while they are read (`range`), so that nothing but the operators holds memory; the answers are
//! known in closed form.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use futures::TryStreamExt;
use trefoil_frames::frame::*;
use trefoil_plan::{DataFrame, Result, Session};

fn small_session(budget: usize) -> Session {
    Session::builder().workers(2).memory_bytes(budget).build().unwrap()
}

/// Ten budgets of rows of two columns of 8 bytes, in an order of no use: `k` is a permutation of the rows `v`.
async fn scattered(session: &Session, rows: i64) -> DataFrame {
    let text = format!("SELECT value AS v, (value * 7919) % {rows} AS k FROM range(0, {rows})");
    DataFrame::new(session.clone(), session.context().sql(&text).await.unwrap())
}

async fn one_row(frame: &DataFrame) -> Result<Vec<i64>> {
    let batches = frame.collect().await?;
    let row = batches.iter().find(|batch| batch.num_rows() == 1).unwrap();
    Ok(row.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect())
}

async fn group(f: &DataFrame, rows: i64) -> Result<()> {
    // a group for each row
    let groups = f.group_by(["k"]).sum(["v"])?;
    let all = groups.agg([col("k").count().alias("n"), col("v").sum().alias("sum")])?;
    assert_eq!(one_row(&all).await?, [rows, rows * (rows - 1) / 2]);
    Ok(())
}

async fn sort(f: &DataFrame, rows: i64) -> Result<()> {
    let mut stream = f.sort_by([asc("k")])?.stream();
    let mut next = 0;
    while let Some(batch) = stream.try_next().await? {
        for k in batch.column(1).as_primitive::<Int64Type>().values() {
            assert_eq!(*k, next);
            next += 1;
        }
    }
    assert_eq!(next, rows);
    Ok(())
}

/// Keys wider than the rows: what a merge of what is in memory would need is more than the rows.
async fn sort_by_two(f: &DataFrame, rows: i64) -> Result<()> {
    let one = f.select([col("k")])?;
    let sorted = one.sort_by([asc(col("k") % lit(1000_i64)), desc("k")])?;
    let (mut stream, mut before, mut seen) = (sorted.stream(), (0, i64::MAX), 0);
    while let Some(batch) = stream.try_next().await? {
        for k in batch.column(0).as_primitive::<Int64Type>().values() {
            assert!((before.0, -before.1) < (k % 1000, -k), "{before:?} {k}");
            before = (k % 1000, *k);
            seen += 1;
        }
    }
    assert_eq!(seen, rows);
    Ok(())
}

async fn join(f: &DataFrame, rows: i64) -> Result<()> {
    let other = f.rename([("v", "w")])?;
    let joined = f.join(&other, ["k"], JoinKind::Inner)?;
    let differ = col("v").not_eq(col("w")).cast(DataType::Int64);
    let all = joined.agg([lit(1_i64).count().alias("n"), differ.sum().alias("wrong")])?;
    assert_eq!(one_row(&all).await?, [rows, 0]);
    Ok(())
}

/// Quantiles of columns that do not fit: they are read off the sorted columns.
async fn describe(f: &DataFrame, rows: i64) -> Result<()> {
    let figures = f.select([col("k"), col("k").alias("l")])?.describe().await?.collect().await?;
    let last = (rows - 1) as f64;
    let wanted = [rows as f64, last / 2.0, 0.0, last * 0.25, last * 0.5, last * 0.75, last];
    for column in 1..=2 {
        let found = figures[0].column(column).as_primitive::<Float64Type>().values();
        // but for the deviation
        let found = found.iter().take(2).chain(&found[3..]);
        for (found, wanted) in found.zip(wanted) {
            assert!((found - wanted).abs() <= 1e-6 * wanted.max(1.0), "{found}, not {wanted}");
        }
    }
    Ok(())
}

/// A file is written in row groups of what there is memory for.
async fn write(f: &DataFrame, rows: i64) -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scattered.parquet");
    assert_eq!(f.write_parquet(&path).await?, rows as usize);
    let back = f.session().read_parquet(&path).await?;
    let all = back.agg([col("v").count().alias("n"), col("k").sum().alias("sum")])?;
    assert_eq!(one_row(&all).await?, [rows, rows * (rows - 1) / 2]);
    Ok(())
}

fn given_back(session: &Session) {
    let begin = std::time::Instant::now();
    while session.budget().reserved() > 0 {
        assert!(begin.elapsed().as_secs() < 20, "{:?}", session.budget().consumers());
        std::thread::yield_now();
    }
}

#[test]
fn ten_budgets_are_grouped_sorted_and_joined() {
    let budget = 2 << 20;
    let rows = (10 * budget / 16) as i64;
    let session = small_session(budget);
    session
        .block_on(async {
            let f = scattered(&session, rows).await;
            group(&f, rows).await?;
            sort(&f, rows).await?;
            sort_by_two(&f, rows).await?;
            join(&f, rows).await?;
            describe(&f, rows).await?;
            write(&f, rows).await
        })
        .unwrap();
    assert!(session.budget().peak() <= budget, "{}", session.budget().peak());
    given_back(&session);
}
