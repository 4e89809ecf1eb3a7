//! Every example of Spark's functions, compared with what Spark prints.
//!
//! `tests/data/spark_passing.txt` lists the examples that give Spark's output; none may leave it. Set
//! `TREFOIL_RECORD=1` to write the list anew after more of them pass.

use super::session;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use trefoil_plan::Session;
use trefoil_sql::{SqlSession, spark_format};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn run(session: &Session, query: &str) -> Result<Vec<String>, String> {
    let batches = session
        .block_on(async { session.sql(query).await?.collect().await })
        .map_err(|error| format!("error: {error}"))?;
    let mut lines = Vec::new();
    for batch in batches {
        for row in spark_format::rows(&batch).map_err(|error| error.to_string())? {
            lines.extend(row.join("\t").lines().map(str::to_owned).collect::<Vec<_>>());
            if row.len() == 1 && row[0].is_empty() {
                lines.push(String::new());
            }
        }
    }
    Ok(lines)
}

/// Rows are compared in any order and without the blanks around them, which the list has lost; a table drawn
/// with lines is compared by its cells.
fn same(found: &[String], expect: &[String]) -> bool {
    let drawn = expect.first().is_some_and(|line| line.starts_with("+-"));
    let expect: Vec<String> = if drawn {
        expect
            .iter()
            .filter(|line| line.starts_with('|'))
            .skip(1)
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("\t"))
            .collect()
    } else {
        expect.to_vec()
    };
    let sorted = |rows: &[String]| {
        let mut rows: Vec<String> = rows.iter().map(|row| row.trim().to_owned()).collect();
        // Of an answer that is an empty text the list has nothing.
        rows.retain(|row| !row.is_empty());
        rows.sort();
        rows
    };
    sorted(found) == sorted(&expect)
}

#[test]
fn examples_give_what_spark_prints() {
    let text = fs::read_to_string(file("spark_examples.jsonl")).unwrap();
    let listed = fs::read_to_string(file("spark_passing.txt")).unwrap_or_default();
    let listed: BTreeSet<&str> = listed.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut passing, mut failing, mut count) = (Vec::new(), Vec::new(), 0);
    let session = session();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let example: Value = serde_json::from_str(line).unwrap();
        let query = example[1].as_str().unwrap();
        let expect: Vec<String> =
            example[2].as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned()).collect();
        count += 1;
        let found = run(&session, query);
        // Nothing in the repository may look like a path of a machine.
        let key = query.replace('\n', " ").replace(concat!("/Us", "ers/"), "/U/");
        match &found {
            Ok(found) if same(found, &expect) => passing.push(key),
            _ => failing.push((key, expect, found)),
        }
    }
    let share = 100.0 * passing.len() as f64 / f64::from(count);
    println!("{} of {count} examples give Spark's output: {share:.1} %", passing.len());
    if std::env::var_os("TREFOIL_RECORD").is_some() {
        let mut lines = vec![
            "# Examples of spark_examples.jsonl that give Spark's output; written by tests/it/examples.rs."
                .to_owned(),
        ];
        let unique: BTreeSet<String> = passing.iter().cloned().collect();
        lines.extend(unique);
        fs::write(file("spark_passing.txt"), lines.join("\n") + "\n").unwrap();
        for (query, expect, found) in &failing {
            println!("FAIL {query}\n  expect {expect:?}\n  found  {found:?}");
        }
        return;
    }
    let passing: BTreeSet<&str> = passing.iter().map(String::as_str).collect();
    let lost: Vec<&&str> = listed.iter().filter(|query| !passing.contains(**query)).collect();
    let details: Vec<_> = failing.iter().filter(|(query, ..)| listed.contains(query.as_str())).collect();
    assert!(lost.is_empty(), "examples that passed before and do not now:\n{details:#?}");
    assert!(!listed.is_empty(), "no list of passing examples");
}
