//! The command line: read by hand, every mistake answered with what was wrong.

use std::path::PathBuf;

use trefoil_core::suggest;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: trefoil-bench SUITE [options]
       trefoil-bench compare A.json B.json

suites
  core      tasks, graphs, actors and objects, beside tokio, rayon and hand-written loops
  sql       the 22 queries of TPC-H, beside plain DataFusion
  tpcds     queries of the class of TPC-DS, beside the same
  files     ten thousand small Parquet files counted and summed, beside the same; with --python beside Spark too
  frames    the db-benchmark and everyday work on tables; with --python beside Polars, DuckDB, pandas, Dask
  memory    spilling beside the bare disk, cancelling, events, resident memory of TPC-H under budgets
  mixed     queries, tasks and a kernel at once, beside a light query and an actor
  start     process start to the first answer, beside plain DataFusion
  compare   two files of JSON lines, case by case

options
  --json FILE       also write JSON lines; `-` writes them to standard output, and the table to standard error
  --case TEXTS      only cases whose name contains one of these, separated by commas
  --peer NAMES      only these peers, separated by commas
  --repeat N        rounds of each case (default: core at least 7 and 0.3 s a peer, sql 5, start 20)
  --workers N       threads of each peer (default: the cores this process may use)
  --scale F         sql, tpcds: scale factor (default 0.1)
  --rows N          frames: rows of the tables, such as 1e7 (default 1e6)
  --python PATH     sql, tpcds, files, frames: a Python with polars, duckdb, pyspark (frames: pandas, dask); what it has
                    is run beside trefoil, Spark for files, or where --peer names it
  --data DIR        sql, frames: where the tables are, or are made (default below target/)
  --memory LIMIT    sql, frames: trefoil's memory budget, such as 128MiB (default 80 % of the machine)
  --occupy TABLE    sql: keep this table persisted in trefoil's store meanwhile
  --tables WHERE    sql: `parquet`, or `memory`: trefoil's store, DataFusion's tables in memory
  --set K=V,K=V     sql: settings of trefoil's session
  --versus K=V,K=V  sql: one more trefoil, named `varied`, with these settings
  --explain FILE    sql: also write the plan of each query as trefoil ran it, with its figures";

const SUITES: [&str; 9] = ["core", "sql", "tpcds", "files", "frames", "memory", "mixed", "start", "compare"];
const OPTIONS: [&str; 15] = [
    "--json",
    "--case",
    "--peer",
    "--repeat",
    "--workers",
    "--scale",
    "--rows",
    "--python",
    "--data",
    "--memory",
    "--occupy",
    "--tables",
    "--set",
    "--versus",
    "--explain",
];

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Suite {
    /// Tasks, graphs, actors, objects.
    Core,
    /// TPC-H.
    Sql,
    /// TPC-DS.
    Tpcds,
    /// Many small files.
    Files,
    /// The db-benchmark.
    Frames,
    /// Spilling, cancelling, resident memory.
    Memory,
    /// Everything at once.
    Mixed,
    /// Process start.
    Start,
    /// A table from two files.
    Compare(PathBuf, PathBuf),
    /// The usage.
    Help,
}

/// The command line.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(not(feature = "sql"), allow(dead_code))]
pub struct Arguments {
    /// What to do.
    pub suite: Suite,
    /// Where JSON lines go.
    pub json: Option<PathBuf>,
    /// Parts of case names.
    pub cases: Vec<String>,
    /// Names of peers.
    pub peers: Vec<String>,
    /// Rounds of each case.
    pub repeat: Option<usize>,
    /// Threads of each peer.
    pub workers: usize,
    /// Scale factor of TPC-H and TPC-DS.
    pub scale: f64,
    /// Rows of the db-benchmark's tables.
    pub rows: usize,
    /// The Python that runs peers.
    pub python: Option<PathBuf>,
    /// Directory of the tables.
    pub data: Option<PathBuf>,
    /// trefoil's memory budget.
    pub memory: Option<String>,
    /// A table that stays in trefoil's store.
    pub occupy: Option<String>,
    /// Whether the tables are in memory.
    pub in_memory: bool,
    /// Settings of trefoil's session.
    pub settings: Vec<(String, String)>,
    /// Settings of one more.
    pub versus: Vec<(String, String)>,
    /// Where plans go.
    pub explain: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line without the program's name; the error is for the user.
    pub fn parse(texts: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            suite: Suite::Help,
            json: None,
            cases: Vec::new(),
            peers: Vec::new(),
            repeat: None,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            scale: 0.1,
            rows: 1_000_000,
            python: None,
            data: None,
            memory: None,
            occupy: None,
            in_memory: false,
            settings: Vec::new(),
            versus: Vec::new(),
            explain: None,
        };
        let mut words = Vec::new();
        let mut texts = texts.into_iter();
        while let Some(text) = texts.next() {
            if text == "--help" || text == "-h" {
                return Ok(arguments);
            }
            if !text.starts_with("--") {
                words.push(text);
                continue;
            }
            let (name, inline) = match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text, None),
            };
            if !OPTIONS.contains(&&*name) {
                return Err(unknown("option", &name, &OPTIONS));
            }
            let value = inline.or_else(|| texts.next()).ok_or_else(|| format!("`{name}` needs a value"))?;
            arguments.set(&name, value)?;
        }
        arguments.suite = suite(&words)?;
        Ok(arguments)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let list = |value: &str| value.split(',').filter(|v| !v.is_empty()).map(str::to_owned).collect();
        match name {
            "--json" => self.json = Some(value.into()),
            "--case" => self.cases = list(&value),
            "--peer" => self.peers = list(&value),
            "--repeat" => self.repeat = Some(count(name, &value)?),
            "--workers" => self.workers = count(name, &value)?,
            "--occupy" => self.occupy = Some(value),
            "--python" => self.python = Some(value.into()),
            "--rows" => {
                self.rows = match value.parse::<f64>() {
                    Ok(rows) if (100.0..=1e10).contains(&rows) => rows as usize,
                    _ => return Err(format!("`{name}` takes a number from 100 to 1e10, not `{value}`")),
                }
            }
            "--data" => self.data = Some(value.into()),
            "--set" => self.settings = settings(name, &value)?,
            "--versus" => self.versus = settings(name, &value)?,
            "--explain" => self.explain = Some(value.into()),
            "--tables" => {
                self.in_memory = match &*value {
                    "parquet" => false,
                    "memory" => true,
                    other => return Err(format!("`{name}` takes `parquet` or `memory`, not `{other}`")),
                }
            }
            "--memory" => {
                trefoil_core::parse_bytes(&value).map_err(|error| format!("`{name}`: {error}"))?;
                self.memory = Some(value);
            }
            _ => {
                self.scale = match value.parse::<f64>() {
                    Ok(scale) if (0.001..=100.0).contains(&scale) => scale,
                    _ => return Err(format!("`{name}` takes a number from 0.001 to 100, not `{value}`")),
                }
            }
        }
        Ok(())
    }

    /// Whether a case was asked for.
    pub fn wants_case(&self, name: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|part| name.contains(&**part))
    }

    /// Whether a peer was asked for.
    pub fn wants_peer(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|peer| peer == name)
    }
}

fn suite(words: &[String]) -> Result<Suite, String> {
    let Some((first, rest)) = words.split_first() else {
        return Err(format!("which suite?\n\n{USAGE}"));
    };
    let suite = match (&**first, rest) {
        ("core", []) => Suite::Core,
        ("sql", []) => Suite::Sql,
        ("tpcds", []) => Suite::Tpcds,
        ("files", []) => Suite::Files,
        ("frames", []) => Suite::Frames,
        ("memory", []) => Suite::Memory,
        ("mixed", []) => Suite::Mixed,
        ("start", []) => Suite::Start,
        ("compare", [left, right]) => Suite::Compare(left.into(), right.into()),
        ("compare", _) => return Err(format!("`compare` takes two files, not {}", rest.len())),
        (name, _) if !SUITES.contains(&name) => return Err(unknown("suite", name, &SUITES)),
        (name, [extra, ..]) => return Err(format!("`{name}` takes no `{extra}`")),
        (name, []) => return Err(unknown("suite", name, &SUITES)),
    };
    Ok(suite)
}

fn settings(name: &str, value: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = value.split(',').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("`{name}` takes settings such as `key=value`, not `{pair}`")),
    });
    pairs.collect()
}

fn count(name: &str, value: &str) -> Result<usize, String> {
    match value.parse::<usize>() {
        Ok(count) if (1..=10_000).contains(&count) => Ok(count),
        _ => Err(format!("`{name}` takes a whole number from 1 to 10000, not `{value}`")),
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = suggest(name, known.iter()).map(|near| format!("; did you mean `{near}`?"));
    format!("no {what} `{name}`{}\n{what}s: {}", near.unwrap_or_default(), known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_suites_and_options() {
        let arguments = parse("sql --scale=1 --json out.json --case q01,q02 --repeat 3").unwrap();
        assert_eq!(arguments.suite, Suite::Sql);
        assert_eq!((arguments.scale, arguments.repeat), (1.0, Some(3)));
        assert!(arguments.wants_case("q02") && !arguments.wants_case("q03") && arguments.wants_peer("tokio"));
        assert_eq!(parse("compare a b").unwrap().suite, Suite::Compare("a".into(), "b".into()));
        assert_eq!(parse("frames --rows 1e7").unwrap().rows, 10_000_000);
        assert_eq!(parse("core --help").unwrap().suite, Suite::Help);
    }

    #[test]
    fn says_what_is_wrong() {
        let rows = [
            ("", "which suite?"),
            ("cor", "did you mean `core`?"),
            ("core --jsn x", "did you mean `--json`?"),
            ("core --json", "`--json` needs a value"),
            ("core --repeat 0", "from 1 to 10000, not `0`"),
            ("sql --scale many", "not `many`"),
            ("sql --memory lots", "`--memory`"),
            ("sql --tables disk", "not `disk`"),
            ("sql --set fast", "not `fast`"),
            ("compare one", "two files, not 1"),
            ("frames --rows some", "not `some`"),
            ("core more", "takes no `more`"),
        ];
        for (line, expected) in rows {
            let message = parse(line).expect_err(line);
            assert!(message.contains(expected), "{line}: {message}");
        }
    }
}
