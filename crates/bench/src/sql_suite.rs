//! Suites `sql`, `tpcds` and `files`: queries through trefoil and through plain DataFusion, one by one in turns.
//!
//! `sql` is TPC-H (`tpch`), `tpcds` queries of the class of TPC-DS (`tpcds`), `files` counts and sums a directory of
//! ten thousand small files (`small_files`).
//!
//! Both read the same Parquet files, both start from SQL text and fetch every row. Plain DataFusion has its
//! defaults on a tokio runtime with as many threads; trefoil has its session's defaults: its budget, its
//! CPU runtime. With `--python` Polars, DuckDB and Spark take their turns from processes of their own (`sql_peer`). Row
//! counts and the sums of numeric columns of all results must agree, else the suite fails at its end.
//!
//! `trivial_query` is what a query costs before its rows (`trivial`).

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, sum};
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
use crate::sql_peer::{self, PythonPeer};
use crate::{Error, Result};
use crate::{small_files, tpcds, tpch};

/// Warm runs of each query unless `--repeat` says otherwise.
const RUNS: usize = 5;

/// Who runs the queries.
enum Peer {
    /// With what stays in the store meanwhile.
    Trefoil(&'static str, Session, #[allow(dead_code)] Vec<DataFrame>),
    Plain(tokio::runtime::Runtime, SessionContext),
    Python(PythonPeer),
}

impl Peer {
    fn name(&self) -> &'static str {
        match self {
            Self::Trefoil(name, ..) => name,
            Self::Plain(..) => "datafusion",
            Self::Python(peer) => peer.name,
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

    /// The query as this peer writes it.
    fn text(&self, query: &str, tables: &[(&str, PathBuf)]) -> String {
        let (name, path) = tables.first().map_or(("", Path::new("")), |(name, path)| (*name, path.as_path()));
        match self {
            Self::Trefoil(..) => query.replace("{small}", &format!("parquet.`{}`", path.display())),
            _ => query.replace("{small}", name),
        }
    }

    /// Runs a query to its last row; seconds, and what it answers.
    fn run(&self, query: &str) -> Result<(f64, Digest)> {
        if let Self::Python(peer) = self {
            return peer.run(query);
        }
        let begin = Instant::now();
        let batches = self.batches(query)?;
        Ok((begin.elapsed().as_secs_f64(), Digest::of(&batches)?))
    }

    fn batches(&self, query: &str) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Trefoil(_, session, _) => {
                session.block_on(async { Ok(session.sql(query).await?.collect().await?) })
            }
            Self::Plain(runtime, context) => {
                runtime.block_on(async { Ok(context.sql(query).await?.collect().await?) })
            }
            Self::Python(peer) => Err(format!("{} gives no batches", peer.name).into()),
        }
    }
}

/// What a result holds, whatever the types of its numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest {
    pub(crate) rows: usize,
    /// Of numeric columns.
    pub(crate) sums: Vec<Option<f64>>,
}

impl Digest {
    fn of(batches: &[RecordBatch]) -> Result<Self> {
        let width = batches.first().map_or(0, RecordBatch::num_columns);
        let mut sums = vec![None; width];
        for batch in batches {
            for (total, column) in sums.iter_mut().zip(batch.columns()) {
                if column.data_type().is_numeric() {
                    let wide = cast(column, &DataType::Float64)?;
                    let part = sum(wide.as_primitive::<Float64Type>()).unwrap_or(0.0);
                    *total = Some(total.unwrap_or(0.0) + part);
                }
            }
        }
        Ok(Self { rows: batches.iter().map(RecordBatch::num_rows).sum(), sums })
    }

    /// Equal but for the places that dialects round to: Spark's quotients of decimals have six.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * a.abs().max(b.abs()) + 1e-2;
        let sums = |(a, b): (&Option<f64>, &Option<f64>)| a.zip(*b).is_none_or(|(a, b)| near(a, b));
        self.rows == other.rows
            && (self.rows == 0 || self.sums.len() == other.sums.len())
            && self.sums.iter().zip(&other.sums).all(sums)
    }
}

/// What was measured of one query on one peer.
#[derive(Default)]
struct Timing {
    first: f64,
    runs: Vec<f64>,
    digest: Digest,
    failure: Option<String>,
}

/// Tables and what is asked of them.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) tables: Vec<(&'static str, PathBuf)>,
    /// Names and texts; `{small}` in a text is the one table, as a peer names it.
    pub(crate) queries: Vec<(String, String)>,
}

/// Runs the suite `sql`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    crate::trivial::run(arguments, &mut report)?;
    let scale = arguments.scale;
    let dir = arguments.data.clone().unwrap_or_else(|| default_dir(scale));
    let tables = tpch::tables(&dir, scale, |line| report.say(line))?;
    let queries = tpch::QUERIES.map(|(name, text)| (name.to_owned(), tpch::query(text, scale)));
    measure(arguments, &mut report, &Workload { name: "tpch", tables, queries: queries.to_vec() })
}

/// Runs the suite `tpcds`.
pub fn run_tpcds(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    let scale = arguments.scale;
    let dir = arguments.data.clone().unwrap_or_else(|| data_dir("tpcds", &format!("sf{scale}")));
    let tables = tpcds::tables(&dir, scale, |line| report.say(line))?;
    measure(arguments, &mut report, &Workload { name: "tpcds", tables, queries: tpcds::queries() })
}

/// Runs the suite `files`.
pub fn run_files(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    let dir = arguments.data.clone().unwrap_or_else(|| data_dir("files", "small"));
    let workload = small_files::workload(&dir, |line| report.say(line))?;
    measure(arguments, &mut report, &workload)
}

fn measure(arguments: &Arguments, report: &mut Report, workload: &Workload) -> Result<()> {
    let tables = &workload.tables;
    let mut peers = Vec::new();
    if arguments.wants_peer("trefoil") {
        peers.push(Peer::trefoil("trefoil", arguments, &arguments.settings, tables)?);
    }
    if !arguments.versus.is_empty() {
        peers.push(Peer::trefoil("varied", arguments, &arguments.versus, tables)?);
    }
    if arguments.wants_peer("datafusion") {
        peers.push(Peer::plain(arguments, tables)?);
    }
    if let Some(python) = &arguments.python {
        for name in sql_peer::names(python, arguments, workload.name)? {
            peers.push(Peer::Python(PythonPeer::start(name, python, arguments.workers, tables)?));
        }
    }
    let runs = arguments.repeat.unwrap_or(RUNS);
    let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
    let mut failures = Vec::new();
    let whole = Machine::now();
    let start = resident::peak();
    let mut peak: f64 = start.unwrap_or(0.0);
    for (name, query) in &workload.queries {
        if !arguments.wants_case(name) {
            continue;
        }
        let machine = Machine::now();
        resident::forget_peak();
        let timings = in_turns(&peers, query, runs, tables);
        let high = resident::peak();
        peak = peak.max(high.unwrap_or(0.0));
        let other = machine.and_then(|before| before.other_cpu());
        let mut rows = Vec::new();
        for (peer, timing) in peers.iter().zip(&timings) {
            let mut params = params(arguments, workload.name);
            params.insert("rows".into(), json!(timing.digest.rows));
            params.insert("sums".into(), json!(timing.digest.sums));
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
            if !a.digest.agrees(&b.digest) {
                failures.push(format!("{name}: {:?} and {:?}", a.digest, b.digest));
            }
        }
        report.case(rows)?;
        if let (Some(path), Some(peer)) = (&arguments.explain, peers.first()) {
            explain(path, name, peer, &peer.text(query, tables))?;
        }
    }

    let other = whole.and_then(|before| before.other_cpu());
    let total = |peer: &Peer| {
        let mut params = params(arguments, workload.name);
        params.insert("runs".into(), json!(runs));
        params.insert("failed".into(), json!(failures.len()));
        if let Some(other) = other {
            params.insert("other_cpu".into(), json!(rounded(other)));
        }
        Row::new(peer.name(), "total", *totals.get(peer.name()).unwrap_or(&0.0), "s", params)
    };
    report.case(peers.iter().map(total).collect())?;
    if let ([peer], Some(start)) = (&peers[..], start) {
        let mut params = params(arguments, workload.name);
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
fn in_turns(peers: &[Peer], query: &str, runs: usize, tables: &[(&str, PathBuf)]) -> Vec<Timing> {
    let mut timings: Vec<Timing> = peers.iter().map(|_| Timing::default()).collect();
    let texts: Vec<String> = peers.iter().map(|peer| peer.text(query, tables)).collect();
    for turn in 0..=runs {
        for step in 0..peers.len() {
            let at = (turn + step) % peers.len();
            let (peer, timing) = (&peers[at], &mut timings[at]);
            if timing.failure.is_some() {
                continue;
            }
            match peer.run(&texts[at]) {
                Err(error) => timing.failure = Some(error.to_string()),
                Ok((time, digest)) if turn == 0 => (timing.first, timing.digest) = (time, digest),
                Ok((time, _)) => timing.runs.push(time),
            }
        }
    }
    timings
}

/// Adds the plan of a query, as it ran, to a file.
fn explain(path: &Path, name: &str, peer: &Peer, query: &str) -> Result<()> {
    let plan = peer.batches(&format!("EXPLAIN ANALYZE {query}"))?;
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

fn params(arguments: &Arguments, suite: &str) -> Map<String, serde_json::Value> {
    let mut params = Map::new();
    params.insert("suite".into(), json!(suite));
    params.insert("sf".into(), json!(arguments.scale));
    params.insert("workers".into(), json!(arguments.workers));
    if let Some(memory) = &arguments.memory {
        params.insert("memory".into(), json!(memory));
    }
    params
}

/// Where the tables of a scale are, unless `--data` says otherwise.
pub(crate) fn default_dir(scale: f64) -> PathBuf {
    data_dir("tpch", &format!("sf{scale}"))
}

fn data_dir(kind: &str, name: &str) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(2).unwrap_or(manifest);
    root.join("target").join(kind).join(name)
}

/// The values of a column of text as they are.
fn texts(column: &dyn Array) -> Result<Vec<String>> {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(column, &options)?;
    Ok((0..column.len()).map(|row| formatter.value(row).to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Decimal128Array, Float64Array, Int64Array};

    #[test]
    fn digests_ignore_order_batches_types_and_last_digits() {
        let ints =
            |ints: Vec<i64>| RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(ints)) as _)]);
        let decimals = Decimal128Array::from(vec![300_000]).with_precision_and_scale(9, 5).unwrap();
        let floats =
            RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![0.999_99, 2.0])) as _)]);
        let of = |batches: &[RecordBatch]| Digest::of(batches).unwrap();
        let one = of(&[ints(vec![1, 2]).unwrap()]);
        assert!(one.agrees(&of(&[ints(vec![2]).unwrap(), ints(vec![1]).unwrap()])));
        assert!(one.agrees(&of(&[floats.unwrap()])));
        assert!(!one.agrees(&of(&[ints(vec![1, 3]).unwrap()])));
        let decimals = RecordBatch::try_from_iter([("x", Arc::new(decimals) as _)]).unwrap();
        assert!(!one.agrees(&of(std::slice::from_ref(&decimals))), "another number of rows");
        assert!(of(&[ints(vec![3]).unwrap()]).agrees(&of(&[decimals])));
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
