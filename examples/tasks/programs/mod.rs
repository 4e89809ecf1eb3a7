//! The programs: each is a function that returns a value, which `tests/programs.rs` checks against a dumb
//! computation of the same thing, and which prints.

pub mod crawler;
pub mod limiter;
pub mod pi;
pub mod server;
pub mod sweep;
pub mod tree;
pub mod words;

use std::path::Path;

/// A CSV file of numbers and texts without quoted separators: its rows, without the header.
pub fn rows(path: &Path) -> trefoil::Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| trefoil::Error::user(format!("{}: {error}", path.display())))?;
    let cells = |line: &str| line.split(',').map(|cell| cell.trim_matches('"').to_owned()).collect();
    Ok(text.lines().skip(1).map(cells).collect())
}

/// The number in a cell.
pub fn number(cell: &str) -> trefoil::Result<f64> {
    cell.parse().map_err(trefoil::Error::user)
}
