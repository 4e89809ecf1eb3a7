//! A group-by, a sort and a join of ten times the memory budget, with answers known in closed form. The bench
//! suite `frames` does the same on more rows and measures the resident memory.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use trefoil_frames::frame::*;
use trefoil_plan::{DataFrame, Session};

const BUDGET: usize = 4 << 20;
/// Two columns of 8 bytes.
const ROWS: i64 = (10 * BUDGET / 16) as i64;

fn numbers(frame: &DataFrame) -> Vec<i64> {
    let batches = frame.session().block_on(frame.collect()).unwrap();
    let row = batches.iter().find(|batch| batch.num_rows() == 1).unwrap();
    row.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect()
}

#[test]
fn ten_times_the_budget() {
    let session = Session::builder().workers(2).memory_bytes(BUDGET).build().unwrap();
    // `k` is a permutation of the rows, so a group, and a pair, for each of them
    let text = format!("SELECT value AS v, (value * 7919) % {ROWS} AS k FROM range(0, {ROWS})");
    let f = session.block_on(session.context().sql(&text)).unwrap();
    let f = DataFrame::new(session.clone(), f);

    let groups = f.group_by(["k"]).sum(["v"]).unwrap();
    let all = groups.agg([col("k").count().alias("n"), col("v").sum().alias("sum")]).unwrap();
    assert_eq!(numbers(&all), [ROWS, ROWS * (ROWS - 1) / 2]);

    let sorted = f.sort(["k"]).unwrap();
    session.block_on(async {
        let mut stream = sorted.stream();
        let mut next = 0;
        while let Some(batch) = stream.try_next().await.unwrap() {
            for k in batch.column(1).as_primitive::<Int64Type>().values() {
                assert_eq!(*k, next);
                next += 1;
            }
        }
        assert_eq!(next, ROWS);
    });

    let other = f.rename([("v", "w")]).unwrap();
    let joined = f.join(&other, ["k"], JoinKind::Inner).unwrap();
    let differ = col("v").not_eq(col("w")).cast(DataType::Int64);
    let all = joined.agg([lit(1_i64).count().alias("n"), differ.sum().alias("wrong")]).unwrap();
    assert_eq!(numbers(&all), [ROWS, 0]);
    assert_eq!(session.budget().reserved(), 0, "{:?}", session.budget().consumers());
}
