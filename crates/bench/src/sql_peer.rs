//! A peer of the suite `sql` that lives in Python: one process, asked line by line (`peers/sql.py`).

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

use crate::arguments::Arguments;
use crate::sql_suite::Digest;
use crate::{Error, Result};

/// The peers that the script knows.
const NAMES: [&str; 3] = ["polars", "duckdb", "spark"];

/// Of the suite `files` alone unless it is asked for: it takes minutes for the others.
const SLOW: &str = "spark";

/// The peers to run: those that were named, or those that this Python has.
pub fn names(python: &Path, arguments: &Arguments, suite: &str) -> Result<Vec<&'static str>> {
    if !arguments.peers.is_empty() {
        return Ok(NAMES.into_iter().filter(|name| arguments.wants_peer(name)).collect());
    }
    let asked = Command::new(python)
        .arg(script())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{}`: {error}", python.display()))?;
    let there: Vec<String> = serde_json::from_slice(&asked.stdout)
        .map_err(|error| format!("`{}` does not say which peers it has: {error}", python.display()))?;
    let wanted = |name: &&str| there.iter().any(|there| there == name) && (*name != SLOW || suite == "files");
    Ok(NAMES.into_iter().filter(wanted).collect())
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/sql.py")
}

/// A running process.
pub struct PythonPeer {
    pub name: &'static str,
    process: RefCell<Process>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    time: f64,
    #[serde(default)]
    rows: usize,
    #[serde(default)]
    sums: Vec<Option<f64>>,
    error: Option<String>,
}

impl PythonPeer {
    pub fn start(
        name: &'static str,
        python: &Path,
        threads: usize,
        tables: &[(&str, PathBuf)],
    ) -> Result<Self> {
        let tables = tables.iter().map(|(table, path)| format!("{table}={}", path.display()));
        let mut child = Command::new(python)
            .arg(script())
            .args([name, &threads.to_string()])
            .args(tables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start `{}`: {error}", python.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err("no pipe to the peer".into()) };
        let process = Process { child, input, output: BufReader::new(output) };
        Ok(Self { name, process: RefCell::new(process) })
    }

    /// Runs a query; seconds, and what it answers.
    pub fn run(&self, query: &str) -> Result<(f64, Digest)> {
        let mut process = self.process.borrow_mut();
        let line = serde_json::to_string(query)?;
        writeln!(process.input, "{line}")?;
        let mut answer = String::new();
        if process.output.read_line(&mut answer)? == 0 {
            return Err(format!("{} ended", self.name).into());
        }
        let answer: Answer = serde_json::from_str(&answer)?;
        match answer.error {
            Some(error) => Err(Error::from(error)),
            None => Ok((answer.time, Digest { rows: answer.rows, sums: answer.sums })),
        }
    }
}

impl Drop for PythonPeer {
    fn drop(&mut self) {
        // It may be gone already; either way it is waited for.
        let child = &mut self.process.get_mut().child;
        let _ = child.kill();
        let _ = child.wait();
    }
}
