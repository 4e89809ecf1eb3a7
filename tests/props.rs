//! One random table through every front end: SQL, frames and tasks say what a loop over its rows says.

use std::sync::LazyLock;

use proptest::prelude::*;
use trefoil::arrow::array::{Array, AsArray, RecordBatch};
use trefoil::arrow::compute::cast;
use trefoil::arrow::datatypes::{DataType, Int64Type};
use trefoil::prelude::*;
use trefoil_testkit::{Row, Table, table};

/// Small enough that some cases spill.
static SESSION: LazyLock<Session> =
    LazyLock::new(|| Session::builder().workers(2).memory("32MiB").build().unwrap());

fn rows_of(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let k = cast(batch.column(0), &DataType::Utf8).unwrap();
        let v = cast(batch.column(1), &DataType::Int64).unwrap();
        let (k, v) = (k.as_string::<i32>(), v.as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            let key = k.is_valid(row).then(|| k.value(row).to_owned());
            rows.push((key, v.is_valid(row).then(|| v.value(row))));
        }
    }
    rows.sort();
    rows
}

/// The rows of a partition above a limit, by a loop in a task.
#[task]
fn above(part: &Partition, limit: i64) -> Result<Vec<Row>, trefoil::Error> {
    Ok(rows_of(&part.batches()?).into_iter().filter(|(_, v)| v.is_some_and(|v| v > limit)).collect())
}

async fn check(table: &Table, limit: i64, persist: bool) -> trefoil::Result<()> {
    let session = &*SESSION;
    let refs: Vec<Ref<Partition>> = table.partitions()?.into_iter().map(Ref::ready).collect();
    let mut frame = session.frame_from_refs(refs).await?;
    if persist {
        frame = frame.persist().await?;
        session.store().spill(usize::MAX);
    }
    session.register("t", &frame)?;

    let mut want = table.above(limit);
    want.sort();
    let sql = session.sql(&format!("SELECT k, v FROM t WHERE v > {limit}")).await?.collect().await?;
    assert_eq!(rows_of(&sql), want);
    let frames = frame.filter(col("v").gt(lit(limit)))?.collect().await?;
    assert_eq!(rows_of(&frames), want);
    let parts = frame.persist().await?.partitions()?;
    let tasks: Vec<Ref<Vec<Row>>> = parts.iter().map(|part| session.spawn(above(part, limit))).collect();
    let mut tasks = session.gather(tasks).await?.concat();
    tasks.sort();
    assert_eq!(tasks, want);

    let want = table.sums();
    let sql = session.sql("SELECT k, sum(v) FROM t GROUP BY k").await?.collect().await?;
    assert_eq!(rows_of(&sql), want);
    let frames = frame.group_by(["k"]).sum(["v"])?.collect().await?;
    assert_eq!(rows_of(&frames), want);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_front_end_agrees_with_a_loop(table in table(), limit in -20..20_i64, persist in any::<bool>()) {
        SESSION.block_on(check(&table, limit, persist)).unwrap();
        prop_assert_eq!(SESSION.deregister("t").is_ok(), true);
        prop_assert_eq!(SESSION.budget().reserved(), 0, "nothing stays behind");
    }
}
