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

/// How many examples must give Spark's output.
const AT_LEAST: usize = 676;

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

/// What Spark 4.3 prints for examples whose answers in the list were made in the time zone of Los Angeles, in a
/// session in UTC, as ours is.
const IN_UTC: [(&str, &str); 7] = [
    ("SELECT from_unixtime(0)", "1970-01-01 00:00:00"),
    ("SELECT make_timestamp(DATE'2014-12-28', TIME'6:30:45.887', 'CET')", "2014-12-28 05:30:45.887"),
    ("SELECT timestamp_millis(1230219000123)", "2008-12-25 15:30:00.123"),
    ("SELECT timestamp_seconds(1230219000)", "2008-12-25 15:30:00"),
    ("SELECT timestamp_seconds(1230219000.123)", "2008-12-25 15:30:00.123"),
    ("SELECT to_unix_timestamp('2016-04-08', 'yyyy-MM-dd')", "1460073600"),
    ("SELECT try_make_timestamp(DATE'2014-12-28', TIME'6:30:45.887', 'CET')", "2014-12-28 05:30:45.887"),
];

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
        // One example has blanks between its columns.
        let mut rows: Vec<String> = rows.iter().map(|row| row.trim().replace("  ", "\t")).collect();
        // Of an answer that is an empty text the list has nothing.
        rows.retain(|row| !row.is_empty());
        rows.sort();
        rows
    };
    let (found, expect) = (sorted(found), sorted(&expect));
    found.len() == expect.len() && found.iter().zip(&expect).all(|(found, expect)| same_row(found, expect))
}

/// The last digit of a double depends on how Spark split the rows.
fn same_row(found: &str, expect: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok().filter(|_| text.len() >= 15 && text.contains('.'));
    let cell = |(found, expect): (&str, &str)| match (number(found), number(expect)) {
        (Some(x), Some(y)) => (x - y).abs() <= 4.0 * f64::EPSILON * y.abs().max(1.0),
        _ => found == expect,
    };
    found == expect
        || found.split('\t').count() == expect.split('\t').count()
            && found.split('\t').zip(expect.split('\t')).all(cell)
}

/// Functions of the clock and of chance, whose answers can only have the shape of Spark's.
const SHAPES: [&str; 13] = [
    "curdate",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "rand",
    "randn",
    "random",
    "shuffle",
    "uuid",
    "current_user",
];

/// Runs of digits are one digit; the elements of a list may come in any order.
fn shape(rows: &[String]) -> Vec<String> {
    let row = |text: &String| {
        let mut out = String::new();
        for c in text.chars() {
            match c.is_ascii_digit() {
                true if out.ends_with('9') => {}
                true => out.push('9'),
                false => out.push(c),
            }
        }
        let mut parts: Vec<String> =
            out.trim_matches(['[', ']', '-']).split(',').map(|part| part.trim().to_owned()).collect();
        parts.sort();
        parts.join(",")
    };
    rows.iter().map(row).collect()
}

#[test]
fn examples_give_what_spark_prints() {
    let text = fs::read_to_string(file("spark_examples.jsonl")).unwrap();
    let listed = fs::read_to_string(file("spark_passing.txt")).unwrap_or_default();
    let listed: BTreeSet<&str> = listed.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut passing, mut failing, mut count, mut shaped) = (Vec::new(), Vec::new(), 0, 0);
    let session = session();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let example: Value = serde_json::from_str(line).unwrap();
        let query = example[1].as_str().unwrap();
        let mut expect: Vec<String> =
            example[2].as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned()).collect();
        if let Some((_, moment)) = IN_UTC.iter().find(|(text, _)| *text == query) {
            expect = vec![(*moment).to_owned()];
        }
        count += 1;
        let found = run(&session, query);
        // Nothing in the repository may look like a path of a machine.
        let key = query.replace('\n', " ").replace(concat!("/Us", "ers/"), "/U/");
        match &found {
            Ok(found) if same(found, &expect) => passing.push(key),
            _ => {
                let by_shape = SHAPES.contains(&example[0].as_str().unwrap());
                let alike = found.as_ref().is_ok_and(|found| shape(found) == shape(&expect));
                shaped += u32::from(by_shape && alike);
                failing.push((key, expect, found));
            }
        }
    }
    let share = 100.0 * passing.len() as f64 / f64::from(count);
    println!("{} of {count} examples give Spark's output: {share:.1} %", passing.len());
    println!("{shaped} more depend on the clock or on chance, and have its shape");
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
    assert!(passing.len() >= AT_LEAST, "{} examples give Spark's output, not {AT_LEAST}", passing.len());
    let passing: BTreeSet<&str> = passing.iter().map(String::as_str).collect();
    let lost: Vec<&&str> = listed.iter().filter(|query| !passing.contains(**query)).collect();
    let details: Vec<_> = failing.iter().filter(|(query, ..)| listed.contains(query.as_str())).collect();
    assert!(lost.is_empty(), "examples that passed before and do not now:\n{details:#?}");
    assert!(!listed.is_empty(), "no list of passing examples");
}
