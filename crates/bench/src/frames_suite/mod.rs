//! Suite `frames`: the db-benchmark's ten group-by and five join questions, reading and writing files, and
//! everyday work on tables, through trefoil's frames and, with `--python`, through Polars, DuckDB, pandas and
//! Dask (`peers/frames.py`), each in a process of its own.
//!
//! Tables are made once per size (`data`), as Parquet and CSV; every peer loads the Parquet files first and is
//! then timed on what it holds in memory, as in the db-benchmark. The value is the best of `--repeat` rounds
//! (2 unless said), as the peers' script does it. `check` among the parameters is the number of rows (or the
//! figure) of the answer; peers with another one make the suite fail at its end.
//!
//! Apart from the times: `chain_100` is what building a lazy chain of a hundred verbs costs, and
//! `ten_budgets_*` are a group-by, a sort and a join of ten times the memory budget, in processes of their
//! own, with the peak of their resident memory (`large`).

mod cases;
mod data;
mod large;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Map, Value, json};
use trefoil_plan::Session;

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::{Machine, rounded};
use crate::report::{Report, Row};

pub use large::child;

/// First argument of the processes of [`large`].
pub const CHILD: &str = "frames-child";

const PEERS: [&str; 4] = ["polars", "duckdb", "pandas", "dask"];
const ROUNDS: usize = 2;

/// Runs the suite.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    let rows = arguments.rows;
    let dir = arguments.data.clone().unwrap_or_else(|| default_dir(rows));
    let tables = data::tables(&dir, rows, |line| report.say(line))?;
    let mut found: Vec<Row> = Vec::new();
    if arguments.wants_peer("trefoil") {
        let mut builder = Session::builder().workers(arguments.workers);
        if let Some(memory) = &arguments.memory {
            builder = builder.memory(memory);
        }
        let session = builder.build()?;
        let mut timing = Timing { arguments, session: &session, report: &mut report, found: &mut found };
        cases::run(&mut timing, &tables)?;
        drop(session);
        large::run(arguments, &mut report)?;
    }
    if let Some(python) = &arguments.python {
        for peer in PEERS.iter().filter(|peer| arguments.wants_peer(peer)) {
            let rows = peer_rows(arguments, python, peer, &dir)?;
            for row in rows {
                found.push(row.clone());
                report.case(vec![row])?;
            }
        }
    }
    summary(&report, &found);
    let wrong = disagreements(&found);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Measures and reports trefoil's cases.
pub struct Timing<'a> {
    arguments: &'a Arguments,
    pub session: &'a Session,
    report: &'a mut Report,
    found: &'a mut Vec<Row>,
}

impl Timing<'_> {
    /// Whether any of the cases is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.arguments.wants_case(name)
    }

    /// The best of some rounds of `work`, which gives what to compare with the peers.
    pub fn case(&mut self, name: &str, mut work: impl FnMut(&Session) -> Result<f64>) -> Result<()> {
        if !self.wants(name) {
            return Ok(());
        }
        let machine = Machine::now();
        let (mut times, mut check) = (Vec::new(), 0.0);
        let mut failure = None;
        for _ in 0..self.arguments.repeat.unwrap_or(ROUNDS) {
            let begin = Instant::now();
            match work(self.session) {
                Ok(value) => check = value,
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            }
            times.push(begin.elapsed().as_secs_f64());
        }
        let mut params = Map::new();
        params.insert("rows".into(), json!(self.arguments.rows));
        params.insert("check".into(), json!(check));
        params.insert("all_s".into(), json!(times.iter().map(|time| rounded(*time)).collect::<Vec<_>>()));
        if let Some(other) = machine.and_then(|before| before.other_cpu()) {
            params.insert("other_cpus".into(), json!(rounded(other)));
        }
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        let mut row = Row::new("trefoil", name, best, "s", params);
        if let Some(failure) = failure {
            row.value = None;
            row.params.insert("error".into(), json!(failure));
        }
        self.found.push(row.clone());
        self.report.case(vec![row])
    }
}

/// What a peer prints, a JSON object a line.
fn peer_rows(arguments: &Arguments, python: &Path, peer: &str, dir: &Path) -> Result<Vec<Row>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/frames.py");
    let mut command = Command::new(python);
    command.arg(&script).args(["--peer", peer, "--threads", &arguments.workers.to_string()]);
    command.args(["--repeat", &arguments.repeat.unwrap_or(ROUNDS).to_string()]);
    command.arg("--data").arg(dir);
    if !arguments.cases.is_empty() {
        command.args(["--case", &arguments.cases.join(",")]);
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("`{}` of {peer} failed", script.display()).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().filter(|line| line.starts_with('{'));
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn default_dir(rows: usize) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(2).unwrap_or(manifest);
    root.join("target/frames").join(rows.to_string())
}

/// A line per case with trefoil's time and, for each peer, how many times faster trefoil is.
fn summary(report: &Report, rows: &[Row]) {
    let mut peers: Vec<&str> = rows.iter().map(|row| &*row.peer).filter(|peer| *peer != "trefoil").collect();
    peers.sort_unstable();
    peers.dedup();
    if peers.is_empty() {
        return;
    }
    report.say("");
    report.say(&format!("{:<20} {:>10} {}", "case", "trefoil", columns(&peers)));
    let mut totals: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for own in rows.iter().filter(|row| row.peer == "trefoil") {
        let Some(value) = own.value else { continue };
        let mut cells = Vec::new();
        for peer in &peers {
            let other = rows.iter().find(|row| row.peer == *peer && row.case == own.case);
            let Some(time) = other.and_then(|row| row.value) else {
                cells.push("-".to_owned());
                continue;
            };
            cells.push(format!("{:.2}x", time / value));
            if own.case.starts_with("gb_") || own.case.starts_with("join_") {
                let total = totals.entry(*peer).or_default();
                *total = (total.0 + value, total.1 + time);
            }
        }
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        report.say(&format!("{:<20} {value:>10} {}", own.case, columns(&cells)));
    }
    for (peer, (own, other)) in totals {
        report.say(&format!("db-benchmark against {peer}: {own:.3} s and {other:.3} s, {:.2}x", other / own));
    }
}

fn columns(cells: &[&str]) -> String {
    cells.iter().map(|cell| format!("{cell:>10}")).collect::<Vec<_>>().join(" ")
}

/// Cases in which a peer's answer has another number of rows than trefoil's.
fn disagreements(rows: &[Row]) -> Vec<String> {
    let check = |row: &Row| row.params.get("check").and_then(Value::as_f64);
    let mut wrong = Vec::new();
    for own in rows.iter().filter(|row| row.peer == "trefoil") {
        if let Some(error) = own.params.get("error") {
            wrong.push(format!("{}: {error}", own.case));
        }
        let Some(ours) = check(own) else { continue };
        for other in rows.iter().filter(|row| row.peer != "trefoil" && row.case == own.case) {
            if let Some(theirs) = check(other)
                && (ours - theirs).abs() > 1e-6 * theirs.abs().max(1.0)
            {
                wrong.push(format!("{}: {ours}, {} of {}", own.case, theirs, other.peer));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_tables_go_through_every_case() {
        let dir = std::env::temp_dir().join(format!("trefoil-bench-frames-{}", std::process::id()));
        let data = dir.to_string_lossy().into_owned();
        let texts = ["frames", "--rows", "3000", "--repeat", "1", "--workers", "2", "--data", &data];
        let texts = texts.into_iter().chain(["--case", "gb_,join_,read_,sort,pivot,dummies,rolling,cumsum"]);
        let result = run(&Arguments::parse(texts.map(str::to_owned)).unwrap());
        std::fs::remove_dir_all(&dir).unwrap();
        result.unwrap();
    }

    #[test]
    fn answers_that_differ_are_told() {
        let row = |peer: &str, check: f64| {
            let mut params = Map::new();
            params.insert("check".into(), json!(check));
            Row::new(peer, "gb_q1", 1.0, "s", params)
        };
        assert!(disagreements(&[row("trefoil", 100.0), row("polars", 100.0)]).is_empty());
        let wrong = disagreements(&[row("trefoil", 100.0), row("polars", 99.0)]);
        assert_eq!(wrong, ["gb_q1: 100, 99 of polars"]);
    }
}
