//! Suite `memory`: what spilling costs beside the bare disk, how soon a dropped query is gone, and how much
//! memory TPC-H really takes under a budget.
//!
//! | case | trefoil | peer |
//! |---|---|---|
//! | `spill_write` | the store spills one partition of 256 MB | `write`: as many bytes, written front to back in pieces of 1 MiB; `write_crc`: with the same checksum |
//! | `spill_restore` | the partition mapped back, checked and summed | `read`: a file of that size read into memory and summed |
//! | `cancel_query` | from the drop of a running query until its memory is back and its files are gone | |
//! | `tpch_*` | all 22 queries in a process of their own, with budgets; peak of its resident memory | the same without a limit |
//!
//! Files are written to the system's directory for temporary files and not synced: spill files never are.
//! The answers of the TPC-H runs must be those of the run without a limit.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use futures::StreamExt;
use serde_json::{Map, json};
use trefoil_core::{Engine, Partition};
use trefoil_plan::{Dialect, Session};
use trefoil_sql::SqlSession;

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::Case;
use crate::report::{Report, Row};

/// Rows of a batch and batches of the partition: two columns of 8 bytes, 256 MB.
const ROWS: usize = 64 * 1024;
const BATCHES: usize = 256;
const BYTES: usize = ROWS * BATCHES * 16;

/// Budgets of the TPC-H runs; the first is the yardstick.
const BUDGETS: [Option<&str>; 3] = [None, Some("256MiB"), Some("128MiB")];

/// Runs the suite.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    spill(arguments, &mut report)?;
    cancel(arguments, &mut report)?;
    tpch(arguments, &mut report)
}

fn partition(engine: &Engine) -> Result<Partition> {
    let batch = |at: usize| {
        let ints = Int64Array::from_iter_values((0..ROWS as i64).map(|i| i ^ at as i64));
        let floats = Float64Array::from_iter_values((0..ROWS).map(|i| (i * at) as f64));
        RecordBatch::try_from_iter([("i", Arc::new(ints) as ArrayRef), ("f", Arc::new(floats) as ArrayRef)])
    };
    let batches = (0..BATCHES).map(batch).collect::<Result<Vec<_>, _>>()?;
    Ok(engine.put_batches(batches[0].schema(), batches)?)
}

fn sum(batches: &[RecordBatch]) -> f64 {
    let of = |batch: &RecordBatch| {
        let ints: i64 = batch.column(0).as_primitive::<Int64Type>().values().iter().sum();
        ints as f64 + batch.column(1).as_primitive::<Float64Type>().values().iter().sum::<f64>()
    };
    batches.iter().map(of).sum()
}

fn spill(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants_case("spill_write") && !arguments.wants_case("spill_restore") {
        return Ok(());
    }
    let engine = Engine::builder().workers(arguments.workers).memory("2GiB").build()?;
    // Read from memory, as the partition is, and not from the processor's cache.
    let bytes = vec![0x5au8; BYTES];
    let path = engine.spill_dir().join("plain");
    let plain = |crc: bool| -> Result<Duration> {
        let begin = Instant::now();
        let mut file = File::create(&path)?;
        let mut sum = 0;
        for piece in bytes.chunks(1 << 20) {
            if crc {
                sum ^= crc32(piece);
            }
            file.write_all(piece)?;
        }
        drop(file);
        let time = begin.elapsed();
        std::hint::black_box(sum);
        std::fs::remove_file(&path)?;
        Ok(time)
    };
    Case::rate("spill_write", 1, "GB/s")
        .amount(BYTES as f64 / 1e9)
        .param("mb", BYTES / 1_000_000)
        .timed_peer("trefoil", || {
            let stored = partition(&engine)?;
            let begin = Instant::now();
            let given = engine.store().spill(usize::MAX);
            let time = begin.elapsed();
            match stored.is_spilled() && given >= BYTES {
                true => Ok(time),
                false => Err(format!("{given} bytes were spilled").into()),
            }
        })
        .timed_peer("write", || plain(false))
        .timed_peer("write_crc", || plain(true))
        .run(arguments, report)?;

    let stored = partition(&engine)?;
    let expected = sum(&stored.batches()?);
    engine.store().spill(usize::MAX);
    let whole = (0..BYTES / 8).map(|i| i as f64).flat_map(f64::to_le_bytes).collect::<Vec<u8>>();
    std::fs::write(&path, &whole)?;
    drop(whole);
    Case::rate("spill_restore", 1, "GB/s")
        .amount(BYTES as f64 / 1e9)
        .param("mb", BYTES / 1_000_000)
        .peer("trefoil", || match sum(&stored.batches()?) == expected {
            true => Ok(()),
            false => Err("another sum".into()),
        })
        .peer("read", || {
            let mut bytes = Vec::new();
            File::open(&path)?.read_to_end(&mut bytes)?;
            let (numbers, _) = bytes.as_chunks::<8>();
            std::hint::black_box(numbers.iter().map(|n| f64::from_le_bytes(*n)).sum::<f64>());
            Ok(())
        })
        .run(arguments, report)
}

/// The checksum of spill files.
fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn files(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

fn cancel(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants_case("cancel_query") {
        return Ok(());
    }
    // Small enough that sort and join spill.
    let builder = Session::builder().workers(arguments.workers).memory("64MiB");
    let session = builder.dialect(Dialect::DataFusion).build()?;
    let queries = [
        "SELECT * FROM range(0, 30000000) ORDER BY value % 1000, value DESC",
        "SELECT value % 5000000, count(*) FROM range(0, 30000000) GROUP BY 1",
        "SELECT a.value FROM range(0, 3000000) a JOIN range(0, 3000000) b ON a.value = b.value + 1 ORDER BY 1 DESC",
    ];
    let mut turn = 0;
    Case::latency("cancel_query", 12)
        .timed_peer("trefoil", || {
            let query = queries[turn % queries.len()];
            turn += 1;
            let frame = session.block_on(session.sql(query))?;
            let mut stream = frame.stream();
            let begin = Instant::now();
            session.block_on(async {
                // In flight: some time and some polls into the query.
                while begin.elapsed() < Duration::from_millis(20 + 13 * (turn as u64 % 7)) {
                    let _ = futures::poll!(stream.next());
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let begin = Instant::now();
            drop(stream);
            while session.budget().reserved() > 0 || files(session.spill_dir()) > 0 {
                if begin.elapsed() > Duration::from_secs(20) {
                    return Err(format!("{:?} {query}", session.budget().consumers()).into());
                }
                std::thread::yield_now();
            }
            Ok(begin.elapsed())
        })
        .run(arguments, report)
}

/// What a run of TPC-H in a process of its own printed.
struct Child {
    /// Row count and checksum by query.
    answers: BTreeMap<String, String>,
    total: f64,
    peak: f64,
}

fn tpch(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let mut failures = Vec::new();
    for occupied in [false, true] {
        let name = if occupied { "tpch_occupied" } else { "tpch" };
        let mut yardstick: Option<Child> = None;
        for budget in BUDGETS {
            let case = format!("{name}_{}", budget.unwrap_or("unlimited"));
            if budget.is_some() && !arguments.wants_case(&case) {
                continue;
            }
            if !BUDGETS
                .iter()
                .any(|budget| arguments.wants_case(&format!("{name}_{}", budget.unwrap_or("unlimited"))))
            {
                continue;
            }
            let child = match child(arguments, budget, occupied) {
                Ok(child) => child,
                Err(error) => {
                    failures.push(format!("{case}: {error}"));
                    continue;
                }
            };
            let mut params = Map::new();
            params.insert("sf".into(), json!(arguments.scale));
            params.insert("workers".into(), json!(arguments.workers));
            params.insert("seconds".into(), json!(child.total));
            if let Some(budget) = budget {
                let bytes = trefoil_core::parse_bytes(budget)? as f64 / 1_048_576.0;
                params.insert("over_budget".into(), json!(crate::measure::rounded(child.peak / bytes)));
            }
            if let Some(yardstick) = &yardstick
                && yardstick.answers != child.answers
            {
                failures.push(format!("{case}: other answers than without a limit"));
            }
            report.case(vec![Row::new("trefoil", &case, child.peak, "MB", params)])?;
            yardstick.get_or_insert(child);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn child(arguments: &Arguments, budget: Option<&str>, occupied: bool) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // Measured is what is in use, not what the allocator keeps for later: it gives pages back at once.
    command.env("MIMALLOC_PURGE_DELAY", "0").env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    command.args(["sql", "--peer", "trefoil", "--repeat", "1", "--json", "-"]);
    command.args(["--scale", &arguments.scale.to_string(), "--workers", &arguments.workers.to_string()]);
    if let Some(data) = &arguments.data {
        command.arg("--data").arg(data);
    }
    if let Some(budget) = budget {
        command.args(["--memory", budget]);
    }
    if occupied {
        command.args(["--occupy", "lineitem"]);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("failed").into());
    }
    let mut child = Child { answers: BTreeMap::new(), total: 0.0, peak: 0.0 };
    for line in String::from_utf8(output.stdout)?.lines() {
        let row: Row = serde_json::from_str(line)?;
        match &*row.case {
            "total" => child.total = row.value.unwrap_or(f64::NAN),
            "peak_rss" => child.peak = row.value.unwrap_or(f64::NAN),
            query => {
                let answer = format!("{:?} {:?}", row.params.get("rows"), row.params.get("checksum"));
                child.answers.insert(query.to_owned(), answer);
            }
        }
    }
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_measured() {
        let texts = ["memory", "--repeat", "1", "--workers", "2", "--case", "cancel_query"];
        run(&Arguments::parse(texts.map(str::to_owned)).unwrap()).unwrap();
    }
}
