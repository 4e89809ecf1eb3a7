//! A table of ratios from two files of results.
//!
//! Each row of the left file is set beside each row of the right file with the same case; of a left file
//! with several peers only `trefoil`'s rows count, where it has one.

use std::fmt::Write;

use crate::report::Row;

const OWN: &str = "trefoil";

/// The table as text.
pub fn table(left: &[Row], right: &[Row]) -> String {
    let mut lines = vec![[
        "case".to_owned(),
        "left".to_owned(),
        "value".to_owned(),
        "right".to_owned(),
        "value".to_owned(),
        "unit".to_owned(),
        "left is".to_owned(),
    ]];
    let mut alone = Vec::new();
    for row in chosen(left) {
        let before = lines.len();
        for other in right.iter().filter(|other| other.case == row.case) {
            // The same file on both sides compares its peers.
            if other == row {
                continue;
            }
            let verdict = match row.times_better(other) {
                Some(times) => format!("{times:.3}x"),
                None if row.unit != other.unit => format!("? ({})", other.unit),
                None => "?".to_owned(),
            };
            let value = |row: &Row| row.value.map_or("failed".to_owned(), |value| format!("{value}"));
            lines.push([
                row.case.clone(),
                row.peer.clone(),
                value(row),
                other.peer.clone(),
                value(other),
                row.unit.clone(),
                verdict,
            ]);
        }
        if lines.len() == before {
            alone.push(&*row.case);
        }
    }

    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (at, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Numbers to the right, words to the left.
            let number = matches!(at, 2 | 4 | 6);
            let gap = if at == 0 { "" } else { "  " };
            // Writing to a string cannot fail.
            let _ =
                if number { write!(row, "{gap}{cell:>width$}") } else { write!(row, "{gap}{cell:<width$}") };
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text.push_str("x: how many times faster or smaller the left side is\n");
    if !alone.is_empty() {
        let _ = writeln!(text, "only on the left: {}", alone.join(", "));
    }
    text
}

/// `trefoil`'s rows, and all rows of cases without one.
fn chosen(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter()
        .filter(|row| row.peer == OWN || !rows.iter().any(|own| own.peer == OWN && own.case == row.case))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    fn row(peer: &str, case: &str, value: f64, unit: &str) -> Row {
        Row::new(peer, case, value, unit, Map::new())
    }

    #[test]
    fn rates_and_times_beside_each_other() {
        let left = [
            row("trefoil", "task_sync", 100_000.0, "ops/s"),
            row("tokio", "task_sync", 50_000.0, "ops/s"),
            row("trefoil", "q01", 0.5, "s"),
            row("trefoil", "own_case", 1.0, "s"),
        ];
        let right = [
            row("ray", "task_sync", 500.0, "ops/s"),
            row("spark", "q01", 2.0, "s"),
            Row { value: None, ..row("sail", "q01", 0.0, "s") },
        ];
        let expected = "\
case       left      value  right   value  unit    left is
task_sync  trefoil  100000  ray       500  ops/s  200.000x
q01        trefoil     0.5  spark       2  s        4.000x
q01        trefoil     0.5  sail   failed  s             ?
x: how many times faster or smaller the left side is
only on the left: own_case
";
        assert_eq!(table(&left, &right), expected);
    }

    #[test]
    fn one_file_twice_compares_its_peers() {
        let rows = [row("trefoil", "a", 4.0, "ops/s"), row("rayon", "a", 8.0, "ops/s")];
        let text = table(&rows, &rows);
        assert!(text.contains("rayon") && text.contains("0.500x"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
