//! The files of `tests/slt`: queries with the answers of real Spark, and DuckDB's for none.
//!
//! Every file runs in sessions that differ in workers, batch size and memory, as none of them may change an
//! answer. `known.txt` lists the records whose answer is not Spark's yet; it must be exact, so whoever mends
//! one takes its line out, and nobody adds one unseen. `TREFOIL_SLT=write` writes the list anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner, parse_file};
use trefoil_plan::{Error, Session};
use trefoil_sql::{SqlSession, spark_format};

/// What sessions differ in: workers, rows of a batch, memory.
const SETTINGS: [(usize, usize, &str); 3] = [(1, 8192, "256MiB"), (2, 2, "64MiB"), (3, 100, "16MiB")];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt")
}

/// A session as the runner sees a database.
struct Database(Session);

impl Database {
    fn new((workers, batch, memory): (usize, usize, &str)) -> Self {
        let session = Session::builder().workers(workers).memory(memory).build().unwrap();
        let state = session.context().state_ref();
        state
            .write()
            .config_mut()
            .options_mut()
            .set("datafusion.execution.batch_size", &batch.to_string())
            .unwrap();
        Self(session)
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let frame = self.0.sql(sql).await?;
        let mut rows = Vec::new();
        for batch in frame.collect().await? {
            for row in spark_format::rows(&batch)? {
                rows.push(row.into_iter().map(cell).collect());
            }
        }
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; frame.columns().len()], rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "trefoil"
    }
}

/// A value as it stands in a file.
fn cell(text: String) -> String {
    match text.is_empty() {
        true => "(empty)".to_owned(),
        false => text.replace('\n', "\\n"),
    }
}

/// The queries of a file that fail with these settings, each with its first line of complaint, and how many
/// there are.
fn failures(file: &Path, settings: (usize, usize, &str)) -> (Vec<(String, String)>, usize) {
    let records = parse_file::<DefaultColumnType>(file).unwrap();
    let engine = Database::new(settings);
    let session = engine.0.clone();
    let mut runner = Runner::new(|| {
        let session = session.clone();
        async move { Ok(Database(session)) }
    });
    let (mut failed, mut queries) = (Vec::new(), 0);
    for record in records {
        let sql = match &record {
            Record::Query { sql, .. } | Record::Statement { sql, .. } => sql.clone(),
            _ => continue,
        };
        queries += usize::from(!sql.starts_with("CREATE"));
        if let Err(error) = engine.0.block_on(runner.run_async(record)) {
            failed.push((sql, error.to_string()));
        }
    }
    drop(runner);
    let budget = engine.0.engine().budget().clone();
    drop((engine, session));
    assert_eq!(budget.reserved(), 0, "{}: memory left behind", file.display());
    (failed, queries)
}

fn known() -> BTreeSet<String> {
    let text = fs::read_to_string(directory().join("known.txt")).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn answers_are_those_of_spark() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    let (mut found, mut complaints, mut all) = (BTreeSet::new(), String::new(), 0);
    let known = known();
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for (turn, settings) in SETTINGS.into_iter().enumerate() {
            let (failed, queries) = failures(file, settings);
            all += if turn == 0 { queries } else { 0 };
            for (sql, complaint) in failed {
                let line = format!("{name}: {}", sql.replace('\n', " "));
                if !known.contains(&line) {
                    writeln!(complaints, "{settings:?} {line}\n{complaint}\n").unwrap();
                }
                found.insert(line);
            }
        }
    }
    println!("{} of {all} records answer as Spark does", all - found.len());
    if std::env::var("TREFOIL_SLT").is_ok_and(|value| value == "write") {
        let head = "# Records whose answer is not Spark's yet; written by TREFOIL_SLT=write cargo test -p trefoil-sql slt\n";
        let lines: Vec<&str> = found.iter().map(String::as_str).collect();
        fs::write(directory().join("known.txt"), format!("{head}{}\n", lines.join("\n"))).unwrap();
        println!("{complaints}");
        return;
    }
    assert!(complaints.is_empty(), "records that fail and are not in known.txt:\n{complaints}");
    let mended: Vec<&String> = known.difference(&found).collect();
    assert!(mended.is_empty(), "mended; take them out of tests/slt/known.txt: {mended:#?}");
}
