//! Where in the query text an error is: the line, with a caret below the column.

use trefoil_core::Error;

/// Adds the line of the text and a caret to the help of an error.
pub(crate) fn point(error: Error, text: &str, (line, column): (u64, u64)) -> Error {
    let Some(excerpt) = excerpt(text, line, column) else {
        return error;
    };
    let help = match error.help() {
        Some(help) => format!("{help}\n{excerpt}"),
        None => format!("here:\n{excerpt}"),
    };
    error.with_help(help)
}

/// Columns count characters, from 1.
fn excerpt(text: &str, line: u64, column: u64) -> Option<String> {
    const BEFORE: usize = 60;
    const AFTER: usize = 40;
    let line: Vec<char> = text.lines().nth(usize::try_from(line.checked_sub(1)?).ok()?)?.chars().collect();
    let at = usize::try_from(column.checked_sub(1)?).ok()?.min(line.len());
    // A long line is cut around the place.
    let start = at.saturating_sub(BEFORE);
    let end = (at + AFTER).min(line.len());
    let shown: String = line[start..end].iter().map(|c| if c.is_whitespace() { ' ' } else { *c }).collect();
    Some(format!("    {shown}\n    {}^", " ".repeat(at - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts() {
        let check = |text: &str, line, column, expect: Option<&str>| {
            assert_eq!(excerpt(text, line, column).as_deref(), expect, "{text:?} {line}:{column}");
        };
        check("SELECT 1 FORM t", 1, 10, Some("    SELECT 1 FORM t\n             ^"));
        check("SELECT\n  x,,", 2, 5, Some("      x,,\n        ^"));
        check("äö x", 1, 4, Some("    äö x\n       ^"));
        check("x", 1, 9, Some("    x\n     ^"));
        check("x", 3, 1, None);
        check("x", 0, 0, None);
        let long = format!("{}HERE{}", "a".repeat(200), "b".repeat(200));
        assert!(excerpt(&long, 1, 201).unwrap().starts_with(&format!("    {}HERE", "a".repeat(60))));
    }
}
