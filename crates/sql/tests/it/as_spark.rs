//! Answers that Spark 4.3 gave, in files of `tests/data` made by the scripts beside them: each line has a time zone, a query, the
//! number of its columns, and its rows as text.

use super::session;
use std::fs;
use trefoil_plan::Session;
use trefoil_sql::{SqlSession, spark_format};

/// Rows as Spark prints them, cells separated by a bar.
pub(crate) fn rows(session: &Session, query: &str) -> Result<Vec<String>, trefoil_plan::Error> {
    let batches = session.block_on(async { session.sql(query).await?.collect().await })?;
    let rows = batches.iter().flat_map(|batch| spark_format::rows(batch).unwrap());
    Ok(rows.map(|row| row.join("|")).collect())
}

/// Asks every query of a file in its zone; `known` are beginnings of those that are not expected to agree.
pub(crate) fn check_file(name: &str, least: usize, known: &[&str]) {
    let session = session();
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let (mut wrong, mut count, mut found) = (Vec::new(), 0, 0);
    for line in fs::read_to_string(path).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let (zone, query) = (line["zone"].as_str().unwrap(), line["query"].as_str().unwrap());
        let expect: Vec<&str> =
            line["rows"].as_array().unwrap().iter().map(|row| row.as_str().unwrap()).collect();
        let set = format!("SET TIME ZONE '{zone}'");
        let _ = session.block_on(session.sql(&set)).unwrap();
        let names: Vec<String> = (0..line["width"].as_u64().unwrap()).map(|at| format!("c{at}")).collect();
        let texts: Vec<String> = names.iter().map(|name| format!("CAST({name} AS STRING)")).collect();
        let text = format!("SELECT {} FROM ({query}) AS t({})", texts.join(", "), names.join(", "));
        let mut got = rows(&session, &text).unwrap_or_else(|error| vec![error.to_string()]);
        got.sort();
        count += 1;
        let is_known = known.iter().any(|start| query.starts_with(start));
        found += usize::from(is_known);
        if (got != expect) != is_known {
            wrong.push(format!("{zone}: {query}\n  Spark {expect:?}\n  here  {got:?}"));
        }
    }
    assert!(count >= least && found >= known.len(), "{count}, {found}");
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn everyday_statements() {
    check_file("spark_everyday.jsonl", 55, &[]);
}
