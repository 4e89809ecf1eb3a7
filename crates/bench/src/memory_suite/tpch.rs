//! TPC-H in processes of their own, with budgets: the answers, the time, the peak of resident memory.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Map, json};

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::rounded;
use crate::report::{Report, Row};
use crate::sql_suite::Digest;

/// Budgets of the runs; the first is the yardstick.
const BUDGETS: [Option<&str>; 3] = [None, Some("256MiB"), Some("128MiB")];

/// What a run printed.
struct Child {
    answers: BTreeMap<String, Digest>,
    /// Seconds and peak by query.
    queries: Map<String, serde_json::Value>,
    total: f64,
    /// The most of all queries, with its name.
    peak: (f64, String),
    /// Pages of files at the end, and the peak before the first query.
    files: f64,
    start: f64,
}

pub(super) fn run(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let mut failures = Vec::new();
    for occupied in [false, true] {
        let name = |budget: Option<&str>| {
            format!("tpch_{}{}", if occupied { "occupied_" } else { "" }, budget.unwrap_or("unlimited"))
        };
        if !BUDGETS.iter().any(|budget| arguments.wants_case(&name(*budget))) {
            continue;
        }
        let mut yardstick: Option<Child> = None;
        for budget in BUDGETS {
            let case = name(budget);
            if budget.is_some() && !arguments.wants_case(&case) {
                continue;
            }
            let child = match child(arguments, budget, occupied) {
                Ok(child) => child,
                Err(error) => {
                    failures.push(format!("{case}: {error}"));
                    continue;
                }
            };
            let mut params = Map::new();
            params.insert("sf".into(), json!(arguments.scale));
            params.insert("workers".into(), json!(arguments.workers));
            params.insert("seconds".into(), json!(child.total));
            params.insert("start_mb".into(), json!(rounded(child.start)));
            params.insert("files_mb".into(), json!(rounded(child.files)));
            params.insert("at".into(), json!(child.peak.1));
            if let Some(budget) = budget {
                let bytes = trefoil_core::parse_bytes(budget)? as f64 / 1_048_576.0;
                params.insert("over_budget".into(), json!(rounded(child.peak.0 / bytes)));
                // The constant that makes 1.3 times the budget true.
                params.insert("beyond_mb".into(), json!(rounded(child.peak.0 - 1.3 * bytes)));
            }
            params.insert("queries".into(), child.queries.clone().into());
            report.say(&format!("{case}: {}", serde_json::to_string(&params)?));
            if let Some(yardstick) = &yardstick
                && !agree(&yardstick.answers, &child.answers)
            {
                failures.push(format!("{case}: other answers than without a limit"));
            }
            report.case(vec![Row::new("trefoil", &case, child.peak.0, "MB", params)])?;
            yardstick.get_or_insert(child);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The answer of a query as its row tells it.
fn digest(row: &Row) -> Result<Digest> {
    let param = |name: &str| row.params.get(name).ok_or_else(|| format!("{} has no {name}", row.case));
    let (rows, sums) = (param("rows")?, param("sums")?);
    Ok(Digest { rows: serde_json::from_value(rows.clone())?, sums: serde_json::from_value(sums.clone())? })
}

fn agree(one: &BTreeMap<String, Digest>, other: &BTreeMap<String, Digest>) -> bool {
    one.keys().eq(other.keys()) && one.values().zip(other.values()).all(|(one, other)| one.agrees(other))
}

fn child(arguments: &Arguments, budget: Option<&str>, occupied: bool) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // Measured is what is in use, not what the allocator keeps for later: it gives pages back at once.
    command.env("MIMALLOC_PURGE_DELAY", "0").env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    command.args(["sql", "--peer", "trefoil", "--repeat", "1", "--json", "-"]);
    command.args(["--scale", &arguments.scale.to_string(), "--workers", &arguments.workers.to_string()]);
    if let Some(data) = &arguments.data {
        command.arg("--data").arg(data);
    }
    if let Some(budget) = budget {
        command.args(["--memory", budget]);
    }
    if occupied {
        command.args(["--occupy", "lineitem"]);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("failed").into());
    }
    let mut child = Child {
        answers: BTreeMap::new(),
        queries: Map::new(),
        total: 0.0,
        peak: (0.0, String::new()),
        files: 0.0,
        start: 0.0,
    };
    for line in String::from_utf8(output.stdout)?.lines() {
        let row: Row = serde_json::from_str(line)?;
        let value = row.value.unwrap_or(f64::NAN);
        let param = |name: &str| row.params.get(name).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
        match &*row.case {
            "total" | "trivial_query" => {}
            "peak_rss" => {
                child.files = param("files_mb");
                child.start = param("start_mb");
            }
            query => {
                child.answers.insert(query.to_owned(), digest(&row)?);
                let peak = param("peak_mb");
                child.queries.insert(query.to_owned(), json!([rounded(value), rounded(peak)]));
                child.total += value;
                if peak > child.peak.0 {
                    child.peak = (peak, query.to_owned());
                }
            }
        }
    }
    child.total = rounded(child.total);
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_answers_are_seen() {
        let row = |rows: usize, sums: serde_json::Value| {
            let mut params = Map::new();
            params.insert("rows".into(), json!(rows));
            params.insert("sums".into(), sums);
            Row::new("trefoil", "q01", 1.0, "s", params)
        };
        let answers = |row: Row| BTreeMap::from([("q01".to_owned(), digest(&row).unwrap())]);
        let first = answers(row(2, json!([1.5, null])));
        assert!(agree(&first, &answers(row(2, json!([1.5, null])))));
        assert!(!agree(&first, &answers(row(3, json!([1.5, null])))));
        assert!(!agree(&first, &answers(row(2, json!([2.5, null])))));
        assert!(!agree(&first, &BTreeMap::new()));
        assert!(digest(&Row::new("trefoil", "q01", 1.0, "s", Map::new())).is_err());
    }
}
