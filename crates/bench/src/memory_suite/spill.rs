//! Spilling and restoring beside the bare disk, and a stored table of ten budgets.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use futures::StreamExt;
use serde_json::Map;
use trefoil_core::{Engine, Partition};
use trefoil_plan::{Dialect, Session};
use trefoil_sql::SqlSession;

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::{Case, rounded};
use crate::report::{Report, Row};
use crate::resident;

/// Rows of a batch and batches of the partition: two columns of 8 bytes, 256 MB.
const ROWS: usize = 64 * 1024;
const BATCHES: usize = 256;
const BYTES: usize = ROWS * BATCHES * 16;

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

pub(super) fn run(arguments: &Arguments, report: &mut Report) -> Result<()> {
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
                sum ^= crc32fast::hash(piece);
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
    let resident = partition(&engine)?;
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
        .peer("resident", || match sum(&resident.batches()?) == expected {
            true => Ok(()),
            false => Err("another sum".into()),
        })
        .run(arguments, report)
}

/// Rows of the table of ten budgets: two columns of 8 bytes, 640 MiB.
const TABLE_ROWS: i64 = 40 << 20;

/// Makes the table on an engine with this much memory, iterates it, groups it; the seconds of both, and
/// the peak of resident memory meanwhile.
fn table(arguments: &Arguments, memory: &str) -> Result<[f64; 3]> {
    let builder = Session::builder().workers(arguments.workers).memory(memory);
    let session = builder.dialect(Dialect::DataFusion).build()?;
    session.block_on(async {
        let text = format!("SELECT value AS n, value * 3 AS m FROM range(0, {TABLE_ROWS})");
        let frame = session.sql(&text).await?.persist().await?;
        session.register("t", &frame)?;
        let stored: usize = session.store().objects().iter().map(|object| object.memory_bytes).sum();
        if stored < 640 << 20 {
            return Err(format!("{stored} bytes are not ten budgets").into());
        }
        resident::forget_peak();
        let begin = Instant::now();
        let (mut stream, mut rows, mut total) = (frame.stream(), 0, 0i64);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows += batch.num_rows() as i64;
            total += batch.column(1).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        }
        let iterated = begin.elapsed().as_secs_f64();
        if (rows, total) != (TABLE_ROWS, 3 * (TABLE_ROWS - 1) * (TABLE_ROWS / 2)) {
            return Err(format!("{rows} rows with the sum {total}").into());
        }
        let begin = Instant::now();
        let text = "SELECT n % 1024 AS k, count(*) AS c, sum(m) AS s FROM t GROUP BY 1 ORDER BY 1";
        let groups = session.sql(text).await?.collect().await?;
        let grouped = begin.elapsed().as_secs_f64();
        let mut key = 0;
        for batch in &groups {
            let (counts, sums) = (batch.column(1), batch.column(2));
            for row in 0..batch.num_rows() {
                let each = TABLE_ROWS / 1024;
                let expected = 3 * (each * key + 1024 * (each * (each - 1) / 2));
                let found = sums.as_primitive::<Int64Type>().value(row);
                if counts.as_primitive::<Int64Type>().value(row) != each || found != expected {
                    return Err(format!("group {key} has the sum {found}, not {expected}").into());
                }
                key += 1;
            }
        }
        match key {
            1024 => Ok([iterated, grouped, resident::peak().unwrap_or(f64::NAN)]),
            _ => Err(format!("{key} groups").into()),
        }
    })
}

pub(super) fn ten_budgets(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let names = ["ten_budgets_iterate", "ten_budgets_group", "ten_budgets_peak"];
    if !names.iter().any(|name| arguments.wants_case(name)) {
        return Ok(());
    }
    let tight = table(arguments, "64MiB")?;
    let wide = table(arguments, "2GiB")?;
    for (at, name) in names.into_iter().enumerate() {
        let unit = if at == 2 { "MB" } else { "s" };
        let mut params = Map::new();
        params.insert("rows".into(), TABLE_ROWS.into());
        params.insert("workers".into(), arguments.workers.into());
        let row = |peer, value| Row::new(peer, name, rounded(value), unit, params.clone());
        report.case(vec![row("64MiB", tight[at]), row("2GiB", wide[at])])?;
    }
    Ok(())
}
