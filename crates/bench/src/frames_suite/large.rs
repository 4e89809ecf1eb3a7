//! A group-by, a sort and a join of ten times the memory budget: the right answer, and the peak of the
//! resident memory of a process that does nothing else.
//!
//! The rows are made while they are read (`range`), so that nothing but the operators holds memory; answers
//! are known in closed form. The peak is set beside 1.3 budgets and beside the peak of a process that only
//! starts the engine and does the same on a hundredth of the rows.

use std::io::Write;
use std::process::Command;
use std::time::Instant;

use futures::TryStreamExt;
use serde_json::{Map, json};
use trefoil_frames::frame::{ExprMethods, FrameMethods, JoinKind, asc, col, lit};
use trefoil_plan::{DataFrame, Session};

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::rounded;
use crate::report::{Report, Row};

use super::CHILD;

const BUDGET: usize = 32 << 20;
/// 16 bytes a row as two columns of 8: ten budgets.
const ROWS: i64 = (10 * BUDGET / 16) as i64;
const WORK: [&str; 3] = ["group_by", "sort", "join"];

/// Runs the cases, each in a process of its own.
pub fn run(arguments: &Arguments, report: &mut Report) -> Result<()> {
    for work in WORK {
        let name = format!("ten_budgets_{work}");
        if !arguments.wants_case(&name) {
            continue;
        }
        let mut peaks = Vec::new();
        let mut seconds = 0.0;
        for rows in [ROWS / 100, ROWS] {
            let mut command = Command::new(std::env::current_exe()?);
            // measured is what is in use, not what the allocator keeps for later
            command.env("MIMALLOC_PURGE_DELAY", "0").env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
            command.args([CHILD, work, &rows.to_string(), &arguments.workers.to_string()]);
            let output = command.output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let mut words = text.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
            let (Some(peak), Some(time), true) = (words.next(), words.next(), output.status.success()) else {
                return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
            };
            peaks.push(peak);
            seconds = time;
        }
        let budget = (BUDGET >> 20) as f64;
        let mut params = Map::new();
        params.insert("budget_mb".into(), json!(budget));
        params.insert("seconds".into(), json!(rounded(seconds)));
        params.insert("small_mb".into(), json!(rounded(peaks[0])));
        params.insert("over_budget".into(), json!(rounded(peaks[1] / budget)));
        params.insert("above_small_over_budget".into(), json!(rounded((peaks[1] - peaks[0]) / budget)));
        report.case(vec![Row::new("trefoil", &name, peaks[1], "MB", params)])?;
    }
    Ok(())
}

/// Does one of the works and prints the peak of the resident memory in MB and the seconds it took.
pub fn child(arguments: &[String], mut out: impl Write) -> Result<()> {
    let [work, rows, workers] = arguments else { return Err("which work, rows, workers?".into()) };
    let (rows, workers): (i64, usize) = (rows.parse()?, workers.parse()?);
    let session = Session::builder().workers(workers).memory_bytes(BUDGET).build()?;
    let begin = Instant::now();
    session.block_on(answer(&session, work, rows))?;
    let seconds = begin.elapsed().as_secs_f64();
    writeln!(out, "{} {seconds}", crate::measure::peak_megabytes().unwrap_or(0.0))?;
    Ok(())
}

/// Rows from 0 in an order of no use: `k` is a permutation of them, `v` the row.
async fn scattered(session: &Session, rows: i64) -> Result<DataFrame> {
    let text = format!("SELECT value AS v, (value * 7919) % {rows} AS k FROM range(0, {rows})");
    let frame = session.context().sql(&text).await?;
    Ok(DataFrame::new(session.clone(), frame))
}

async fn answer(session: &Session, work: &str, rows: i64) -> Result<()> {
    let f = scattered(session, rows).await?;
    match work {
        "group_by" => {
            // a group for each row, looked at in one pass over the result
            let groups = f.group_by(["k"]).sum(["v"])?;
            let all = groups.agg([col("k").count().alias("n"), col("v").sum().alias("sum")])?;
            expect(&all, &[rows, rows * (rows - 1) / 2]).await
        }
        "sort" => {
            let mut stream = f.sort_by([asc("k")])?.stream();
            let mut next = 0;
            while let Some(batch) = stream.try_next().await? {
                use datafusion::arrow::array::AsArray;
                use datafusion::arrow::datatypes::Int64Type;
                for k in batch.column(1).as_primitive::<Int64Type>().values() {
                    if *k != next {
                        return Err(format!("{k} stands where {next} should be").into());
                    }
                    next += 1;
                }
            }
            if next == rows { Ok(()) } else { Err(format!("{next} rows of {rows}").into()) }
        }
        _ => {
            let other = f.rename([("v", "w")])?;
            let joined = f.join(&other, ["k"], JoinKind::Inner)?;
            let differ = col("v").not_eq(col("w")).cast(datafusion::arrow::datatypes::DataType::Int64);
            let all = joined.agg([lit(1_i64).count().alias("n"), differ.sum().alias("wrong")])?;
            expect(&all, &[rows, 0]).await
        }
    }
}

async fn expect(frame: &DataFrame, wanted: &[i64]) -> Result<()> {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;
    let batches = frame.collect().await?;
    let row = batches.iter().find(|batch| batch.num_rows() == 1).ok_or("no row")?;
    let found: Vec<i64> = row.columns().iter().map(|c| c.as_primitive::<Int64Type>().value(0)).collect();
    if found == wanted { Ok(()) } else { Err(format!("{found:?} instead of {wanted:?}").into()) }
}
