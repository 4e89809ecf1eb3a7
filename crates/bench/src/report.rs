//! Rows of results: printed as a table, written and read as JSON lines.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Result;
use crate::measure::rounded;

/// One result: a peer's value in a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Who did the work.
    pub peer: String,
    /// Which work.
    pub case: String,
    /// The figure; none if the peer failed.
    pub value: Option<f64>,
    /// What the figure counts; `x/s` is better when larger, a time or size when smaller.
    pub unit: String,
    /// Sizes, spread, circumstances.
    #[serde(default)]
    pub params: Map<String, Value>,
}

impl Row {
    /// A result.
    pub fn new(peer: &str, case: &str, value: f64, unit: &str, params: Map<String, Value>) -> Self {
        Self { peer: peer.into(), case: case.into(), value: Some(rounded(value)), unit: unit.into(), params }
    }

    /// How many times better this is than `other`: over 1 when this is the faster or smaller one.
    pub fn times_better(&self, other: &Row) -> Option<f64> {
        let (own, other_value) = (self.value?, other.value?);
        if self.unit != other.unit || own <= 0.0 || other_value <= 0.0 {
            return None;
        }
        Some(if self.unit.ends_with("/s") { own / other_value } else { other_value / own })
    }
}

/// Where rows go: a table for people, and JSON lines if asked for.
pub struct Report {
    json: Option<Box<dyn Write>>,
    /// The table gives way when standard output carries the lines.
    table_to_stderr: bool,
}

impl Report {
    /// A report whose JSON lines go to `json`; `-` is standard output.
    pub fn new(json: Option<&Path>) -> Result<Self> {
        let table_to_stderr = json == Some(Path::new("-"));
        let json: Option<Box<dyn Write>> = match json {
            None => None,
            Some(_) if table_to_stderr => Some(Box::new(std::io::stdout())),
            Some(path) => Some(Box::new(
                File::create(path).map_err(|error| format!("cannot write `{}`: {error}", path.display()))?,
            )),
        };
        Ok(Self { json, table_to_stderr })
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        if self.table_to_stderr { eprintln!("{line}") } else { println!("{line}") }
    }

    /// The rows of one case; the first is compared with the others.
    pub fn case(&mut self, rows: Vec<Row>) -> Result<()> {
        for (at, row) in rows.iter().enumerate() {
            if let Some(json) = &mut self.json {
                writeln!(json, "{}", serde_json::to_string(row)?)?;
                json.flush()?;
            }
            let value = row.value.map_or("failed".to_owned(), |value| format!("{value}"));
            let case = if at == 0 { &*row.case } else { "" };
            let mut line = format!("{case:<26} {:<13} {value:>12} {:<9}", row.peer, row.unit);
            for (name, unit) in [("ns_per_op", "ns"), ("p50_us", "us p50"), ("p99_us", "us p99")] {
                if let Some(Value::Number(number)) = row.params.get(name) {
                    line.push_str(&format!(" {number:>9} {unit}"));
                }
            }
            if at > 0
                && let Some(times) = rows[0].times_better(row)
            {
                line.push_str(&format!("   {} is {times:.2}x", rows[0].peer));
            }
            self.say(line.trim_end());
        }
        Ok(())
    }
}

/// The rows of a file of JSON lines; lines that are no objects (what a peer printed beside) are passed over.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let rows = parse(&text).map_err(|error| format!("`{}`, {error}", path.display()))?;
    if rows.is_empty() {
        return Err(format!("`{}` holds no results", path.display()).into());
    }
    Ok(rows)
}

fn parse(text: &str) -> Result<Vec<Row>, String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with('{'))
        .map(|(at, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_of_the_peers_form() {
        let mut params = Map::new();
        params.insert("n".into(), 10.into());
        let row = Row::new("trefoil", "task_sync", 1234.56, "ops/s", params);
        let line = serde_json::to_string(&row).unwrap();
        assert_eq!(
            line,
            r#"{"peer":"trefoil","case":"task_sync","value":1235.0,"unit":"ops/s","params":{"n":10}}"#
        );
        assert_eq!(parse(&line).unwrap(), [row]);
    }

    #[test]
    fn reads_what_peers_write() {
        let text = concat!(
            "WARNING something\n",
            r#"{"peer":"spark","suite":"tpch","sf":1.0,"case":"q01","value":2.5,"unit":"s","rows":4,"runs":[2.5]}"#,
            "\n",
            r#"{"peer":"spark","case":"q02","value":null,"unit":"s","error":"no"}"#,
        );
        let rows = parse(text).unwrap();
        assert_eq!((rows[0].value, rows[1].value), (Some(2.5), None));
        assert!(parse("{\"peer\":1}").unwrap_err().starts_with("line 1: "));
    }

    #[test]
    fn better_is_more_of_a_rate_and_less_of_a_time() {
        let row = |value, unit| Row::new("p", "c", value, unit, Map::new());
        assert_eq!(row(10.0, "ops/s").times_better(&row(5.0, "ops/s")), Some(2.0));
        assert_eq!(row(10.0, "ms").times_better(&row(5.0, "ms")), Some(0.5));
        assert_eq!(row(10.0, "ms").times_better(&row(5.0, "s")), None);
        assert_eq!(row(10.0, "ms").times_better(&row(0.0, "ms")), None);
    }
}
