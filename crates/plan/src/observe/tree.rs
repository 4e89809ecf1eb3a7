//! A plan that ran, as a tree with aligned columns.

use std::time::Duration;
use trefoil_core::{OperatorMetrics, format_bytes};

/// Longer details are cut.
const DETAIL: usize = 100;

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1e-3 => format!("{:.0} us", s * 1e6),
        s if s < 10.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn cut(text: &str) -> String {
    if text.chars().count() <= DETAIL {
        return text.to_owned();
    }
    text.chars().take(DETAIL - 1).chain(['…']).collect()
}

/// One line per operator: its place in the tree, rows, compute time and its share, memory, spilled bytes, and
/// what it works on. Columns that are empty everywhere are left out.
pub(crate) fn tree(operators: &[OperatorMetrics]) -> String {
    const HEADS: [&str; 7] = ["operator", "rows", "compute", "share", "memory", "spilled", "detail"];
    let all: Duration = operators.iter().filter_map(|operator| operator.compute).sum();
    let lines: Vec<[String; 7]> = operators
        .iter()
        .enumerate()
        .map(|(at, operator)| {
            let share = operator.compute.map(|own| own.as_secs_f64() / all.as_secs_f64().max(1e-9));
            [
                format!("{}{}", branches(operators, at), operator.name),
                operator.rows.map(thousands).unwrap_or_default(),
                operator.compute.map(time).unwrap_or_default(),
                share.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default(),
                operator.memory_bytes.map(|bytes| format_bytes(bytes as usize)).unwrap_or_default(),
                match operator.spilled_bytes {
                    0 => String::new(),
                    bytes => format!("{} in {}", format_bytes(bytes as usize), operator.spills),
                },
                cut(&operator.detail),
            ]
        })
        .collect();
    let used: Vec<usize> = (0..HEADS.len())
        .filter(|column| *column == 0 || lines.iter().any(|line| !line[*column].is_empty()))
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.chain([HEADS[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let row = |cells: &[&str]| {
        let mut text = String::new();
        for column in &used {
            let (cell, width) = (cells[*column], widths[*column]);
            text.push_str(&match column {
                0 | 6 => format!("{cell:<width$}  "),
                _ => format!("{cell:>width$}  "),
            });
        }
        text.trim_end().to_owned()
    };
    let mut text = vec![row(&HEADS)];
    text.extend(lines.iter().map(|line| row(&line.each_ref().map(String::as_str))));
    text.join("\n")
}

/// The lines that lead from the parents of an operator to it.
fn branches(operators: &[OperatorMetrics], at: usize) -> String {
    let depth = operators[at].depth;
    // Whether a later operator hangs on the same parent at that depth.
    let goes_on = |level: usize| {
        operators[at + 1..].iter().take_while(|later| later.depth >= level).any(|later| later.depth == level)
    };
    (1..=depth)
        .map(|level| match (level == depth, goes_on(level)) {
            (true, true) => "├─ ",
            (true, false) => "└─ ",
            (false, true) => "│  ",
            (false, false) => "   ",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, depth: usize, rows: u64, compute: u64) -> OperatorMetrics {
        let mut operator = OperatorMetrics::default();
        operator.name = name.to_owned();
        operator.depth = depth;
        operator.rows = Some(rows);
        operator.compute = Some(Duration::from_micros(compute));
        operator
    }

    #[test]
    fn the_tree_is_drawn_and_columns_are_aligned() {
        let mut join = operator("Join", 1, 1_234_567, 750);
        join.memory_bytes = Some(3 << 20);
        join.detail = "on a = b".to_owned();
        let mut scan = operator("Scan", 3, 7, 1000);
        scan.spilled_bytes = 2 << 10;
        scan.spills = 2;
        let operators = [
            operator("Sort", 0, 5, 0),
            join,
            operator("Filter", 2, 7, 250),
            scan,
            operator("Values", 2, 1, 20_000_000),
        ];
        let expect = "\
operator            rows  compute  share   memory       spilled  detail
Sort                   5     0 us    0 %
└─ Join        1,234,567   750 us    0 %  3.0 MiB                on a = b
   ├─ Filter           7   250 us    0 %
   │  └─ Scan          7   1.0 ms    0 %           2.0 KiB in 2
   └─ Values           1   20.0 s  100 %";
        assert_eq!(tree(&operators), expect, "\n{}", tree(&operators));
    }

    #[test]
    fn empty_columns_are_left_out() {
        assert_eq!(
            tree(&[operator("Empty", 0, 0, 0)]),
            "operator  rows  compute  share\nEmpty        0     0 us    0 %"
        );
    }
}
