//! A text of several statements to its statements.
//!
//! The tokenizer of the dialect does the work, so semicolons in strings, names and comments separate
//! nothing. What it cannot read (a quote that is never closed) stays with the last statement, where the
//! parser reports it.

use crate::dialect::TrefoilDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

/// The statements of a text, in order, without the semicolons between them; pieces that hold nothing but
/// white space and comments are left out.
///
/// ```
/// use trefoil_sql::split_statements;
///
/// let text = "SELECT ';' AS a; -- first; done\nSELECT 2;";
/// assert_eq!(split_statements(text), ["SELECT ';' AS a", "-- first; done\nSELECT 2"]);
/// ```
pub fn split_statements(text: &str) -> Vec<&str> {
    scan(text).statements
}

/// Whether a text ends with the semicolon that ends its last statement, comments aside, or holds no
/// statement at all: a prompt may then run it instead of asking for another line.
///
/// ```
/// use trefoil_sql::is_complete;
///
/// assert!(is_complete("SELECT 1;  -- one"));
/// assert!(!is_complete("SELECT 1"));
/// assert!(!is_complete("SELECT 'a;"));
/// ```
pub fn is_complete(text: &str) -> bool {
    let scan = scan(text);
    scan.closed && !scan.tail
}

struct Scan<'a> {
    statements: Vec<&'a str>,
    /// Every quote and comment is closed.
    closed: bool,
    /// The last statement has no semicolon.
    tail: bool,
}

fn scan(text: &str) -> Scan<'_> {
    let dialect = TrefoilDialect;
    let mut tokens: Vec<TokenWithSpan> = Vec::new();
    // Tokens read before a failure stay in the buffer.
    let closed = Tokenizer::new(&dialect, text).tokenize_with_location_into_buf(&mut tokens).is_ok();
    let mut places = Places::new(text);
    let mut statements = Vec::new();
    let (mut begin, mut holds) = (0, false);
    for token in &tokens {
        match &token.token {
            Token::SemiColon => {
                let end = places.offset(token.span.start);
                if holds {
                    statements.push(text[begin..end].trim());
                }
                (begin, holds) = (end + 1, false);
            }
            Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_))
            | Token::Whitespace(_)
            | Token::EOF => {}
            _ => holds = true,
        }
    }
    let rest = text[begin..].trim();
    let tail = holds || (!closed && !rest.is_empty());
    if tail {
        statements.push(rest);
    }
    Scan { statements, closed, tail }
}

/// Line and column to byte offset, for places in rising order.
struct Places<'a> {
    text: &'a str,
    line: u64,
    /// Where the line begins.
    begin: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, line: 1, begin: 0 }
    }

    fn offset(&mut self, place: Location) -> usize {
        while self.line < place.line {
            match self.text[self.begin..].find('\n') {
                Some(length) => self.begin += length + 1,
                None => break,
            }
            self.line += 1;
        }
        let line = &self.text[self.begin..];
        let column = (place.column as usize).saturating_sub(1);
        self.begin + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        #[track_caller]
        fn check(text: &str, expect: &[&str]) {
            assert_eq!(split_statements(text), expect, "{text}");
        }
        check("", &[]);
        check(" ; ;; ", &[]);
        check("SELECT 1", &["SELECT 1"]);
        check("SELECT 1;", &["SELECT 1"]);
        check("SELECT 1; SELECT 2", &["SELECT 1", "SELECT 2"]);
        check("SELECT ';', \"a;b\", `c;d`; SELECT 2;", &["SELECT ';', \"a;b\", `c;d`", "SELECT 2"]);
        check("-- one; two\nSELECT 1; /* three; four */", &["-- one; two\nSELECT 1"]);
        check("SELECT 'größe;', 'ü'; SELECT 'ß;'", &["SELECT 'größe;', 'ü'", "SELECT 'ß;'"]);
        check("SELECT 1\n;\n\nSELECT\n 2\n;\n", &["SELECT 1", "SELECT\n 2"]);
        check("SELECT 1; SELECT 'open", &["SELECT 1", "SELECT 'open"]);
        check("SELECT 1; /* open", &["SELECT 1", "/* open"]);
        check("SELECT 'it''s; so'; SELECT 2", &["SELECT 'it''s; so'", "SELECT 2"]);
    }

    #[test]
    fn completeness() {
        #[track_caller]
        fn check(text: &str, expect: bool) {
            assert_eq!(is_complete(text), expect, "{text}");
        }
        check("", true);
        check("-- nothing", true);
        check("SELECT 1", false);
        check("SELECT 1;", true);
        check("SELECT 1; -- done", true);
        check("SELECT 1; SELECT", false);
        check("SELECT ';", false);
        check("SELECT 1 /* ;", false);
        check("SELECT 1\n\n;\n", true);
    }
}
