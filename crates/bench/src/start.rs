//! Suite `start`: from the start of a process to its first answer.
//!
//! The program starts itself with a hidden first argument; the child does one thing, writes its answer as
//! one line and ends. Measured is the wall time from before the start until the line is read.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::{CsvReadOptions, SessionContext};
use serde_json::{Map, json};
use trefoil_core::Engine;
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

use crate::arguments::Arguments;
use crate::measure::{Machine, median, percentile, rounded};
use crate::report::{Report, Row};
use crate::{Error, Result};

/// The hidden first argument.
pub const CHILD: &str = "__child";

/// Starts of each peer unless `--repeat` says otherwise.
const STARTS: usize = 20;

const QUERY: &str = "SELECT sum(a) AS total FROM t WHERE b = 'x'";
const ANSWER: i64 = 4;

/// Case, peer, and what the child is told to do.
const CASES: [(&str, &[(&str, &str)]); 3] = [
    ("start_first_sql", &[("trefoil", "trefoil-sql"), ("datafusion", "datafusion-sql")]),
    ("start_first_task", &[("trefoil", "trefoil-task"), ("tokio", "tokio-task")]),
    ("start_process", &[("process", "nothing")]),
];

/// Runs the suite.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.json.as_deref())?;
    let program = std::env::current_exe()?;
    let file = TinyCsv::make()?;
    let starts = arguments.repeat.unwrap_or(STARTS);
    for (case, peers) in CASES {
        let peers: Vec<_> = peers.iter().filter(|(peer, _)| arguments.wants_peer(peer)).collect();
        if !arguments.wants_case(case) || peers.is_empty() {
            continue;
        }
        let mut times = vec![(Vec::new(), Vec::new()); peers.len()];
        for (_, what) in &peers {
            start(&program, what, &file.0)?;
        }
        let machine = Machine::now();
        for turn in 0..starts {
            for step in 0..peers.len() {
                let at = (turn + step) % peers.len();
                let (answer, end) = start(&program, peers[at].1, &file.0)?;
                times[at].0.push(answer);
                times[at].1.push(end);
            }
        }
        let other = machine.and_then(|before| before.other_cpu());
        let rows = peers.iter().zip(times).map(|((peer, _), (mut answers, ends))| {
            answers.sort_by(f64::total_cmp);
            let mut params = Map::new();
            params.insert("n".into(), json!(answers.len()));
            params.insert("best".into(), json!(rounded(percentile(&answers, 0.0))));
            params.insert("p90".into(), json!(rounded(percentile(&answers, 90.0))));
            params.insert("exit_ms".into(), json!(rounded(median(&ends))));
            if let Some(other) = other {
                params.insert("other_cpu".into(), json!(rounded(other)));
            }
            Row::new(peer, case, percentile(&answers, 50.0), "ms", params)
        });
        report.case(rows.collect())?;
    }
    Ok(())
}

/// Milliseconds until the child's answer and until its end.
fn start(program: &Path, what: &str, file: &Path) -> Result<(f64, f64)> {
    let begin = Instant::now();
    let mut child = Command::new(program).arg(CHILD).arg(what).arg(file).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let answer = begin.elapsed().as_secs_f64() * 1e3;
    let status = child.wait()?;
    let end = begin.elapsed().as_secs_f64() * 1e3;
    if !status.success() || line.trim() != ANSWER.to_string() {
        return Err(format!("the process for `{what}` ended with {status} and said `{}`", line.trim()).into());
    }
    Ok((answer, end))
}

/// What the started process does; its answer goes to `output`.
pub fn child(arguments: &[String], mut output: impl Write) -> Result<()> {
    let [what, file] = arguments else { return Err("the hidden argument takes two more".into()) };
    let answer = match &**what {
        "trefoil-sql" => {
            let session = Session::local()?;
            session.block_on(async {
                session.register("t", &session.read_csv(file).await?)?;
                single(&session.sql(QUERY).await?.collect().await?)
            })?
        }
        "datafusion-sql" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                let context = SessionContext::new();
                context.register_csv("t", file, CsvReadOptions::new()).await?;
                single(&context.sql(QUERY).await?.collect().await?)
            })?
        }
        "trefoil-task" => Engine::new()?.spawn_fn(|| ANSWER).get()?,
        "tokio-task" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
            runtime.block_on(runtime.spawn(async { ANSWER }))?
        }
        "nothing" => ANSWER,
        other => return Err(format!("nothing is called `{other}`").into()),
    };
    writeln!(output, "{answer}")?;
    Ok(())
}

fn single(batches: &[RecordBatch]) -> Result<i64> {
    let batch = batches.iter().find(|batch| batch.num_rows() == 1).ok_or("the answer is not one row")?;
    let column = batch.column(0).as_primitive_opt::<Int64Type>().ok_or("the answer is not an integer")?;
    Ok::<i64, Error>(column.value(0))
}

/// A file of three rows, removed at the end.
struct TinyCsv(PathBuf);

impl TinyCsv {
    fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("trefoil-bench-{}.csv", std::process::id()));
        std::fs::write(&path, "a,b\n1,x\n2,y\n3,x\n")
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for TinyCsv {
    fn drop(&mut self) {
        // Nothing can be done about a file that stays.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_answer() {
        let file = TinyCsv::make().unwrap();
        let file = file.0.to_string_lossy().into_owned();
        for (_, what) in CASES.iter().flat_map(|(_, peers)| peers.iter()) {
            let mut answer = Vec::new();
            child(&[what.to_string(), file.clone()], &mut answer).unwrap();
            assert_eq!(answer, format!("{ANSWER}\n").into_bytes(), "{what}");
        }
        assert!(child(&["other".into(), file], Vec::new()).unwrap_err().to_string().contains("other"));
    }
}
