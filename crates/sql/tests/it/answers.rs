//! Recorded answers (CSV with a header, `\N` for null) compared with those of a session.

use std::fs;
use std::path::{Path, PathBuf};

use trefoil_plan::Session;
use trefoil_sql::{SqlSession, spark_format};

/// Numbers agree within this much of their size, or within a hundredth.
const RELATIVE: f64 = 1e-4;
const ABSOLUTE: f64 = 0.011;

/// A session with settings that must not change an answer: workers, rows of a batch, memory.
pub(crate) fn session(workers: usize, batch: usize, memory: &str) -> Session {
    let session = Session::builder().workers(workers).memory(memory).build().unwrap();
    let state = session.context().state_ref();
    state
        .write()
        .config_mut()
        .options_mut()
        .set("datafusion.execution.batch_size", &batch.to_string())
        .unwrap();
    session
}

/// The recorded answers of `tests/data`.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{name}.csv"))
}

/// The rows of a recorded answer; fields hold no line breaks.
fn recorded(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(|line| fields(&line.replace("\\N", "NULL"))).collect()
}

fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for ch in line.chars() {
        match ch {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

fn agree(expect: &str, given: &str) -> bool {
    match (expect.parse::<f64>(), given.parse::<f64>()) {
        (Ok(x), Ok(y)) => (x - y).abs() <= ABSOLUTE + RELATIVE * x.abs().max(y.abs()),
        _ => expect == given,
    }
}

/// Texts first, then numbers without their last digits, so that rounding cannot change the order.
fn key(row: &[String]) -> (Vec<String>, Vec<i64>) {
    let numbers = row.iter().filter_map(|cell| cell.parse::<f64>().ok()).map(|x| x.round() as i64).collect();
    (row.iter().filter(|cell| cell.parse::<f64>().is_err()).cloned().collect(), numbers)
}

fn answer(session: &Session, query: &str) -> Result<Vec<Vec<String>>, trefoil_plan::Error> {
    let mut rows = Vec::new();
    for statement in trefoil_sql::split_statements(query) {
        let batches = session.block_on(async { session.sql(statement).await?.collect().await })?;
        for batch in batches {
            rows.extend(spark_format::rows(&batch)?);
        }
    }
    Ok(rows)
}

/// How the answer of a query differs from the recorded one; none if it does not. `ordered` answers must have
/// their rows in the recorded order.
pub(crate) fn difference(session: &Session, query: &str, file: &Path, ordered: bool) -> Option<String> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut expect = recorded(file);
    let mut given = match answer(session, query) {
        Ok(rows) => rows,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    if !ordered {
        expect.sort_by_key(|row| key(row));
        given.sort_by_key(|row| key(row));
    }
    let row =
        |x: &Vec<String>, y: &Vec<String>| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| agree(x, y));
    if expect.len() == given.len() && expect.iter().zip(&given).all(|(x, y)| row(x, y)) {
        return None;
    }
    let first = expect.iter().zip(&given).find(|(x, y)| !row(x, y));
    Some(format!("{name}: {} rows, expected {}; first difference {first:?}", given.len(), expect.len()))
}
