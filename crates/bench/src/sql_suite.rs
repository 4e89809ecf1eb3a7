//! Suite `sql`: TPC-H through trefoil and through plain DataFusion, query by query in turns.
//!
//! Both read the same Parquet files, both start from SQL text and fetch every row. Plain DataFusion has its
//! defaults on a tokio runtime with as many threads; trefoil has its session's defaults: its budget, its
//! CPU runtime. Row counts and checksums of both results must agree, else the suite fails at its end.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use serde_json::{Map, json};
use trefoil_plan::{DataFrame, Session};
use trefoil_sql::SqlSession;

use crate::arguments::Arguments;
use crate::measure::{Machine, median, rounded};
use crate::report::{Report, Row};
use crate::resident;
use crate::tpch::{self, QUERIES};
use crate::{Error, Result};

/// Warm runs of each query unless `--repeat` says otherwise.
const RUNS: usize = 5;

/// Who runs the queries.
enum Peer {
    /// With what stays in the store meanwhile.
    Trefoil(&'static str, Session, #[allow(dead_code)] Vec<DataFrame>),
    Plain(tokio::runtime::Runtime, SessionContext),
}

impl Peer {
    fn name(&self) -> &'static str {
        match self {
            Self::Trefoil(name, ..) => name,
            Self::Plain(..) => "datafusion",
        }
    }

    fn trefoil(
        name: &'static str,
        arguments: &Arguments,
        settings: &[(String, String)],
        tables: &[(&str, PathBuf)],
    ) -> Result<Self> {
        let mut builder = Session::builder().workers(arguments.workers);
        if let Some(memory) = &arguments.memory {
            builder = builder.memory(memory);
        }
        let session = builder.build()?;
        let stored = session.block_on(async {
            for (key, value) in settings {
                session.sql(&format!("SET {key} = {value}")).await?.collect().await?;
            }
            let mut stored = Vec::new();
            for (name, path) in tables {
                let mut table = session.read_parquet(path).await?;
                if arguments.in_memory {
                    table = table.persist().await?;
                    stored.push(table.clone());
                }
                session.register(name, &table)?;
            }
            if let Some(table) = &arguments.occupy {
                stored.push(session.table(table).await?.persist().await?);
            }
            Ok::<_, Error>(stored)
        })?;
        Ok(Self::Trefoil(name, session, stored))
    }

    fn plain(arguments: &Arguments, tables: &[(&str, PathBuf)]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(arguments.workers)
            .enable_all()
            .build()?;
        let config = SessionConfig::new().with_target_partitions(arguments.workers);
        let context = SessionContext::new_with_config(config);
        runtime.block_on(async {
            for (name, path) in tables {
                let path = path.to_string_lossy();
                if arguments.in_memory {
                    let table = context.read_parquet(path.as_ref(), ParquetReadOptions::default()).await?;
                    let schema = Arc::clone(table.schema().inner());
                    let table = MemTable::try_new(schema, table.collect_partitioned().await?)?;
                    context.register_table(*name, Arc::new(table))?;
                } else {
                    context.register_parquet(*name, path, ParquetReadOptions::default()).await?;
                }
            }
            Ok::<(), Error>(())
        })?;
        Ok(Self::Plain(runtime, context))
    }

    fn run(&self, query: &str) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Trefoil(_, session, _) => {
                session.block_on(async { Ok(session.sql(query).await?.collect().await?) })
            }
            Self::Plain(runtime, context) => {
                runtime.block_on(async { Ok(context.sql(query).await?.collect().await?) })
            }
        }
    }
}

/// What was measured of one query on one peer.
#[derive(Default)]
struct Timing {
    first: f64,
    runs: Vec<f64>,
    rows: usize,
    checksum: u64,
    failure: Option<String>,
}

/// Runs the suite.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    let scale = arguments.scale;
    let dir = arguments.data.clone().unwrap_or_else(|| default_dir(scale));
    let tables = tpch::tables(&dir, scale, |line| report.say(line))?;

    let mut peers = Vec::new();
    if arguments.wants_peer("trefoil") {
        peers.push(Peer::trefoil("trefoil", arguments, &arguments.settings, &tables)?);
    }
    if !arguments.versus.is_empty() {
        peers.push(Peer::trefoil("varied", arguments, &arguments.versus, &tables)?);
    }
    if arguments.wants_peer("datafusion") {
        peers.push(Peer::plain(arguments, &tables)?);
    }
    let runs = arguments.repeat.unwrap_or(RUNS);
    let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
    let mut failures = Vec::new();
    let whole = Machine::now();
    let start = resident::peak();
    let mut peak: f64 = start.unwrap_or(0.0);
    for (name, text) in QUERIES {
        if !arguments.wants_case(name) {
            continue;
        }
        let query = tpch::query(text, scale);
        let machine = Machine::now();
        resident::forget_peak();
        let timings = in_turns(&peers, &query, runs);
        let high = resident::peak();
        peak = peak.max(high.unwrap_or(0.0));
        let other = machine.and_then(|before| before.other_cpu());
        let mut rows = Vec::new();
        for (peer, timing) in peers.iter().zip(&timings) {
            let mut params = params(arguments);
            params.insert("rows".into(), json!(timing.rows));
            params.insert("checksum".into(), json!(format!("{:x}", timing.checksum)));
            params.insert("first".into(), json!(rounded(timing.first)));
            params.insert(
                "runs".into(),
                json!(timing.runs.iter().map(|run| rounded(*run)).collect::<Vec<_>>()),
            );
            if let Some(other) = other {
                params.insert("other_cpu".into(), json!(rounded(other)));
            }
            let value = median(&timing.runs);
            // The peak is the process's, so it means something for one peer alone only.
            if let (1, Some(high)) = (peers.len(), high) {
                params.insert("peak_mb".into(), json!(rounded(high)));
            }
            let mut row = Row::new(peer.name(), name, value, "s", params);
            if let Some(failure) = &timing.failure {
                row.value = None;
                row.params.insert("error".into(), json!(failure));
                failures.push(format!("{name} of {}: {failure}", peer.name()));
            } else {
                *totals.entry(peer.name()).or_default() += value;
            }
            rows.push(row);
        }
        let done: Vec<&Timing> = timings.iter().filter(|timing| timing.failure.is_none()).collect();
        for pair in done.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            if (a.rows, a.checksum) != (b.rows, b.checksum) {
                failures.push(format!(
                    "{name}: {} rows with checksum {:x} and {} rows with checksum {:x}",
                    a.rows, a.checksum, b.rows, b.checksum
                ));
            }
        }
        report.case(rows)?;
        if let (Some(path), Some(peer)) = (&arguments.explain, peers.first()) {
            explain(path, name, peer, &query)?;
        }
    }

    let other = whole.and_then(|before| before.other_cpu());
    let total = |peer: &Peer| {
        let mut params = params(arguments);
        params.insert("runs".into(), json!(runs));
        params.insert("failed".into(), json!(failures.len()));
        if let Some(other) = other {
            params.insert("other_cpu".into(), json!(rounded(other)));
        }
        Row::new(peer.name(), "total", *totals.get(peer.name()).unwrap_or(&0.0), "s", params)
    };
    report.case(peers.iter().map(total).collect())?;
    if let ([peer], Some(start)) = (&peers[..], start) {
        let mut params = params(arguments);
        params.insert("start_mb".into(), json!(rounded(start)));
        params.insert("files_mb".into(), json!(resident::of_files().map(rounded)));
        report.case(vec![Row::new(peer.name(), "peak_rss", peak, "MB", params)])?;
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n").into()),
    }
}

/// One run of each peer that is timed as the first, then `runs` more in changing order.
fn in_turns(peers: &[Peer], query: &str, runs: usize) -> Vec<Timing> {
    let mut timings: Vec<Timing> = peers.iter().map(|_| Timing::default()).collect();
    for turn in 0..=runs {
        for step in 0..peers.len() {
            let at = (turn + step) % peers.len();
            let (peer, timing) = (&peers[at], &mut timings[at]);
            if timing.failure.is_some() {
                continue;
            }
            let begin = Instant::now();
            let result = peer.run(query);
            let time = begin.elapsed().as_secs_f64();
            match result {
                Err(error) => timing.failure = Some(error.to_string()),
                Ok(batches) if turn == 0 => {
                    timing.first = time;
                    timing.rows = batches.iter().map(RecordBatch::num_rows).sum();
                    match checksum(&batches) {
                        Ok(checksum) => timing.checksum = checksum,
                        Err(error) => timing.failure = Some(error.to_string()),
                    }
                }
                Ok(_) => timing.runs.push(time),
            }
        }
    }
    timings
}

/// Adds the plan of a query, as it ran, to a file.
fn explain(path: &Path, name: &str, peer: &Peer, query: &str) -> Result<()> {
    let plan = peer.run(&format!("EXPLAIN ANALYZE {query}"))?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "-- {name}")?;
    for batch in &plan {
        for column in batch.columns() {
            for text in texts(column.as_ref())? {
                writeln!(file, "{text}")?;
            }
        }
    }
    Ok(())
}

fn params(arguments: &Arguments) -> Map<String, serde_json::Value> {
    let mut params = Map::new();
    params.insert("suite".into(), json!("tpch"));
    params.insert("sf".into(), json!(arguments.scale));
    params.insert("workers".into(), json!(arguments.workers));
    if let Some(memory) = &arguments.memory {
        params.insert("memory".into(), json!(memory));
    }
    params
}

/// Where the tables of a scale are, unless `--data` says otherwise.
pub(crate) fn default_dir(scale: f64) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(2).unwrap_or(manifest);
    root.join("target/tpch").join(format!("sf{scale}"))
}

/// A number that two results share if they hold the same rows in any order; floats count to six digits,
/// because their sums depend on the order of addition.
fn checksum(batches: &[RecordBatch]) -> Result<u64> {
    let mut sum = 0u64;
    for batch in batches {
        let columns =
            batch.columns().iter().map(|column| texts(column.as_ref())).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let mut hasher = DefaultHasher::new();
            for column in &columns {
                column[row].hash(&mut hasher);
            }
            sum = sum.wrapping_add(hasher.finish());
        }
    }
    Ok(sum)
}

fn texts(column: &dyn Array) -> Result<Vec<String>> {
    if column.data_type().is_floating() {
        let wide = cast(column, &DataType::Float64)?;
        let values = wide.as_primitive::<Float64Type>();
        return Ok(values.iter().map(|value| value.map_or("null".into(), |v| format!("{v:.5e}"))).collect());
    }
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(column, &options)?;
    Ok((0..column.len()).map(|row| formatter.value(row).to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float64Array, Int64Array};

    fn batch(ints: Vec<i64>, floats: Vec<f64>) -> RecordBatch {
        RecordBatch::try_from_iter([
            ("i", Arc::new(Int64Array::from(ints)) as _),
            ("f", Arc::new(Float64Array::from(floats)) as _),
        ])
        .unwrap()
    }

    #[test]
    fn checksums_ignore_order_batches_and_last_digits() {
        let one = checksum(&[batch(vec![1, 2], vec![0.1, 0.5])]).unwrap();
        let other = checksum(&[batch(vec![2], vec![0.5]), batch(vec![1], vec![0.1 + 1e-12])]).unwrap();
        assert_eq!(one, other);
        assert_ne!(one, checksum(&[batch(vec![1, 2], vec![0.5, 0.1])]).unwrap());
        assert_ne!(one, checksum(&[batch(vec![1], vec![0.1])]).unwrap());
    }

    #[test]
    fn two_queries_of_tiny_tables_agree() {
        let dir = std::env::temp_dir().join(format!("trefoil-bench-tpch-{}", std::process::id()));
        let data = dir.to_string_lossy().into_owned();
        let texts = ["sql", "--scale", "0.001", "--repeat", "1", "--case", "q06,q13", "--data", &data];
        let result = run(&Arguments::parse(texts.map(str::to_owned)).unwrap());
        std::fs::remove_dir_all(&dir).unwrap();
        result.unwrap();
    }
}
