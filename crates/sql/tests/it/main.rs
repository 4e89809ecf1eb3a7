//! Integration tests of the SQL leaf, one binary.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod as_spark;
mod clauses;
mod databases;
mod errors;
mod examples;
mod files;
mod functions;
mod hunted;
mod lateral;
mod property;
mod queries;
mod reference;
mod samples;
mod sketches;
mod slt;
mod spark;
mod statements;
mod stores;
mod tpcds;
mod tpcds_tables;
mod tpch;
mod zones;

use trefoil_plan::{Error, Session};
use trefoil_sql::SqlSession;

fn session() -> Session {
    Session::builder().workers(2).memory("256MiB").build().unwrap()
}

/// The rows of a query as text, cells separated by a bar; without names and types.
fn rows(session: &Session, query: &str) -> Result<Vec<String>, Error> {
    let text = session.block_on(async { session.sql(query).await?.to_text(1000).await })?;
    let lines: Vec<&str> = text.lines().collect();
    let cells = |line: &&str| line.split('|').map(str::trim).collect::<Vec<_>>().join("|");
    Ok(lines[3..lines.len() - 1].iter().map(cells).collect())
}

#[track_caller]
fn check(session: &Session, query: &str, expect: &[&str]) {
    match rows(session, query) {
        Ok(rows) => assert_eq!(rows, expect, "{query}"),
        Err(error) => panic!("{query}\n{error}"),
    }
}

/// As [`check`], with values as Spark prints them.
#[track_caller]
fn prints(session: &Session, query: &str, expect: &[&str]) {
    let batches = session
        .block_on(async { session.sql(query).await?.collect().await })
        .unwrap_or_else(|error| panic!("{query}\n{error}"));
    let rows = batches.iter().flat_map(|batch| trefoil_sql::spark_format::rows(batch).unwrap());
    assert_eq!(rows.map(|row| row.join("|")).collect::<Vec<_>>(), expect, "{query}");
}

fn data(name: &str) -> String {
    format!("{}/../../examples/data/{name}", env!("CARGO_MANIFEST_DIR"))
}
