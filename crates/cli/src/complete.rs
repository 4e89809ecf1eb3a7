//! Completion at the prompt: keywords, functions, tables, the columns of tables, meta commands.

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use std::borrow::Cow;
use std::collections::BTreeSet;
use trefoil_plan::Session;
use trefoil_sql::is_complete;

/// Words of the dialect that people type most; the parser knows more.
const KEYWORDS: &str = "ALL ANALYZE AND ANTI AS ASC BETWEEN BY CACHE CASE CAST COPY CREATE CROSS CUBE CURRENT \
    DESC DESCRIBE DISTINCT DROP ELSE END EXCEPT EXISTS EXPLAIN EXTERNAL FALSE FILTER FIRST FOLLOWING FROM FULL \
    FUNCTION GROUP GROUPING HAVING IN INNER INSERT INTERSECT INTERVAL INTO IS JOIN LAST LATERAL LEFT LIKE LIMIT \
    LOCATION NOT NULL NULLS OFFSET ON OR ORDER OUTER OVER OVERWRITE PARTITION PIVOT PRECEDING QUALIFY RECURSIVE \
    REPLACE RIGHT ROLLUP ROW ROWS SELECT SEMI SET SETS SHOW STORED TABLE TABLES TABLESAMPLE TEMPORARY THEN TRUE \
    UNBOUNDED UNCACHE UNION UNPIVOT USING VALUES VIEW WHEN WHERE WINDOW WITH";

const META: [&str; 7] = ["\\d", "\\f", "\\rows", "\\timing", "\\i", "\\?", "\\q"];

/// What rustyline asks while a line is edited.
pub(crate) struct Assistant {
    session: Session,
    history: HistoryHinter,
}

impl Assistant {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, history: HistoryHinter::default() }
    }
}

/// Where the word before `position` begins, and the word.
fn word(line: &str, position: usize) -> (usize, &str) {
    let before = &line[..position];
    let part = |ch: char| ch.is_alphanumeric() || ch == '_' || ch == '\\' || ch == '?';
    let begin =
        before.char_indices().rev().take_while(|(_, ch)| part(*ch)).last().map_or(position, |(at, _)| at);
    (begin, &before[begin..])
}

/// What may stand for `word`: names of the session as they are, keywords in the case of what was typed.
pub(crate) fn candidates(session: &Session, word: &str) -> Vec<String> {
    if word.is_empty() {
        return Vec::new();
    }
    if word.starts_with('\\') {
        return META.iter().filter(|name| name.starts_with(word)).map(|name| (*name).to_owned()).collect();
    }
    let lower = word.to_lowercase();
    let fits = |name: &str| name.to_lowercase().starts_with(&lower);
    let small = word.chars().any(char::is_lowercase);
    let mut found = BTreeSet::new();
    for keyword in KEYWORDS.split_whitespace().filter(|keyword| fits(keyword)) {
        found.insert(if small { keyword.to_lowercase() } else { keyword.to_owned() });
    }
    let state = session.context().state();
    let functions = state
        .scalar_functions()
        .keys()
        .chain(state.aggregate_functions().keys())
        .chain(state.window_functions().keys());
    found.extend(functions.filter(|name| fits(name)).cloned());
    for table in session.tables() {
        if let Ok(frame) = session.block_on(session.table(&table)) {
            found.extend(frame.columns().iter().filter(|name| fits(name)).map(|name| (*name).to_owned()));
        }
        if fits(&table) {
            found.insert(table);
        }
    }
    found.into_iter().collect()
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let (begin, word) = word(line, position);
        Ok((begin, candidates(&self.session, word)))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<String> {
        self.history.hint(line, position, context)
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[m"))
    }
}

impl Validator for Assistant {
    /// A statement goes on over lines until its semicolon; an empty line and a meta command do not.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        let done = input.trim_start().starts_with('\\') || is_complete(input);
        Ok(if done { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        #[track_caller]
        fn check(line: &str, expect: (usize, &str)) {
            assert_eq!(word(line, line.len()), expect, "{line}");
        }
        check("", (0, ""));
        check("sel", (0, "sel"));
        check("SELECT a.na", (9, "na"));
        check("\\tim", (0, "\\tim"));
        check("select größ", (7, "größ"));
        check("select ", (7, ""));
    }
}
