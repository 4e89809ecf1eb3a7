//! From text to tokens, as Spark reads them: raw strings, escapes, suffixes of numbers, intervals.
//!
//! The tokenizer of the parser library runs without touching escapes; this pass reads them, joins `1` and
//! `S` to a number with a suffix, and joins an interval's words to one text (`INTERVAL 5 DAYS 3 HOURS` to
//! `INTERVAL '5 DAYS 3 HOURS'`). Positions of tokens stay those of the text.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError, Word};

/// The tokens of a text; `raw` leaves backslashes in strings as they are.
///
/// # Errors
/// For text that is not even tokens, such as a string without an end.
pub(crate) fn tokens(
    dialect: &dyn Dialect,
    text: &str,
    raw: bool,
) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let tokens = Tokenizer::new(dialect, text).with_unescape(false).tokenize_with_location()?;
    Ok(join(tokens, raw))
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

fn join(raw: Vec<TokenWithSpan>, raw_strings: bool) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(raw.len());
    // In lists of options, a text after a text is its value.
    let first = raw.iter().find(|t| !matches!(t.token, Token::Whitespace(_)));
    let options = first.is_some_and(|t| {
        ["create", "copy", "alter", "cache", "insert"].iter().any(|word| is_word(&t.token, word))
    });
    let mut index = 0;
    while index < raw.len() {
        let current = &raw[index];
        let next = raw.get(index + 1);
        let mut push = |token: Token, used: usize| {
            let end = raw[(index + used - 1).min(raw.len() - 1)].span.end;
            let mut span = current.span;
            span.end = end;
            out.push(TokenWithSpan::new(token, span));
            used
        };
        let used = match (&current.token, next.map(|n| &n.token)) {
            // r'..' is adjacent, as is a suffix of a number.
            (Token::Word(w), Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)))
                if w.quote_style.is_none() && w.value.eq_ignore_ascii_case("r") =>
            {
                push(Token::SingleQuotedString(text.clone()), 2)
            }
            (Token::Number(number, false), Some(Token::Word(w)))
                if is_suffix(w) && adjacent(current, next) =>
            {
                push(Token::Number(format!("{number}{}", w.value.to_uppercase()), false), 2)
            }
            (Token::Word(w), _) if w.value.eq_ignore_ascii_case("x") && w.quote_style.is_none() => {
                match raw.get(index + 1..index + 3) {
                    Some([blank, string])
                        if matches!(blank.token, Token::Whitespace(_))
                            && matches!(string.token, Token::SingleQuotedString(_)) =>
                    {
                        let Token::SingleQuotedString(hex) = &string.token else { return out };
                        push(Token::HexStringLiteral(hex.clone()), 3)
                    }
                    _ => push(current.token.clone(), 1),
                }
            }
            // exists(array, x -> ..) is a call, EXISTS (SELECT ..) is not.
            (token, _) if is_word(token, "exists") && !before_query(&raw[index + 1..]) => {
                push(Token::make_word("exists", Some('`')), 1)
            }
            // trim(BOTH FROM text) trims blanks.
            (Token::Word(w), _)
                if matches!(w.keyword, Keyword::BOTH | Keyword::LEADING | Keyword::TRAILING)
                    && raw[index + 1..]
                        .iter()
                        .find(|t| !matches!(t.token, Token::Whitespace(_)))
                        .is_some_and(|t| is_word(&t.token, "from")) =>
            {
                push(current.token.clone(), 1);
                out.push(TokenWithSpan::new(Token::SingleQuotedString(" ".into()), current.span));
                1
            }
            (Token::Word(w), _)
                if w.value.eq_ignore_ascii_case("timestamp_ltz") && w.quote_style.is_none() =>
            {
                push(Token::make_keyword("TIMESTAMP"), 1)
            }
            (token, _) if is_word(token, "interval") => match interval(&raw[index + 1..]) {
                Some((text, used)) => {
                    let mut span = current.span;
                    span.end = raw[index + used].span.end;
                    out.push(TokenWithSpan::new(current.token.clone(), current.span));
                    out.push(TokenWithSpan::new(Token::SingleQuotedString(text), span));
                    used + 1
                }
                None => push(current.token.clone(), 1),
            },
            (Token::SingleQuotedString(text) | Token::DoubleQuotedString(text), _) => {
                let quote = if matches!(current.token, Token::SingleQuotedString(_)) { '\'' } else { '"' };
                let text = if raw_strings { text.clone() } else { unescape(text, quote) };
                // 'a' 'b' is 'ab'.
                let before = out.iter_mut().rev().find(|t| !matches!(t.token, Token::Whitespace(_)));
                match before {
                    Some(TokenWithSpan { token: Token::SingleQuotedString(start), span }) if !options => {
                        start.push_str(&text);
                        span.end = current.span.end;
                        1
                    }
                    _ => {
                        out.push(TokenWithSpan::new(Token::SingleQuotedString(text), current.span));
                        1
                    }
                }
            }
            // The tokenizer leaves doubled back-ticks in names as well.
            (Token::Word(w), _) if w.quote_style == Some('`') && w.value.contains("``") => {
                push(Token::make_word(&w.value.replace("``", "`"), Some('`')), 1)
            }
            (token, _) => push(token.clone(), 1),
        };
        index += used;
    }
    out
}

/// Whether a query in parentheses follows.
fn before_query(rest: &[TokenWithSpan]) -> bool {
    let mut rest = rest.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_)));
    if rest.next() != Some(&Token::LParen) {
        return true;
    }
    loop {
        match rest.next() {
            Some(Token::LParen) => {}
            Some(token) => {
                return ["select", "with", "values", "from", "table"].iter().any(|word| is_word(token, word));
            }
            None => return true,
        }
    }
}

fn is_suffix(word: &Word) -> bool {
    word.quote_style.is_none()
        && matches!(word.value.to_uppercase().as_str(), "S" | "Y" | "D" | "F" | "BD" | "L")
}

fn adjacent(a: &TokenWithSpan, b: Option<&TokenWithSpan>) -> bool {
    b.is_some_and(|b| a.span.end == b.span.start)
}

fn is_unit(word: &str) -> bool {
    let word = word.to_lowercase();
    matches!(
        word.strip_suffix('s').unwrap_or(&word),
        "year"
            | "quarter"
            | "month"
            | "week"
            | "day"
            | "hour"
            | "minute"
            | "second"
            | "millisecond"
            | "microsecond"
    )
}

/// The text of the interval after the word INTERVAL, and how many tokens it takes.
fn interval(rest: &[TokenWithSpan]) -> Option<(String, usize)> {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    let mut used = 0;
    let skip = |mut at: usize| {
        while rest.get(at).is_some_and(|t| matches!(t.token, Token::Whitespace(_))) {
            at += 1;
        }
        at
    };
    loop {
        at = skip(at);
        let mut sign = "";
        let mut after = at;
        match rest.get(after).map(|t| &t.token) {
            Some(Token::Minus) => {
                sign = "-";
                after = skip(after + 1);
            }
            Some(Token::Plus) => after = skip(after + 1),
            _ => {}
        }
        let number = match rest.get(after).map(|t| &t.token) {
            Some(Token::Number(number, false)) => number.clone(),
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.trim().to_owned(),
            _ => break,
        };
        let unit_at = skip(after + 1);
        let unit = match rest.get(unit_at).map(|t| &t.token) {
            Some(Token::Word(w)) if w.quote_style.is_none() && is_unit(&w.value) => w.value.clone(),
            // A whole interval as one text.
            _ if parts.is_empty() && sign.is_empty() && crate::interval::parse(&number).is_some() => {
                return Some((canonical(&crate::interval::parse(&number)?), after + 1));
            }
            _ => break,
        };
        // `'1-2' YEAR TO MONTH`.
        let to_at = skip(unit_at + 1);
        if rest.get(to_at).is_some_and(|t| is_word(&t.token, "to")) {
            let last_at = skip(to_at + 1);
            let Some(Token::Word(last)) = rest.get(last_at).map(|t| &t.token) else { break };
            let found = crate::interval::Interval::between(&format!("{sign}{number}"), &unit, &last.value);
            let found = found?;
            return Some((canonical(&found), last_at + 1));
        }
        let number = match (sign, number.strip_prefix('-')) {
            ("-", Some(positive)) => positive.to_owned(),
            _ => format!("{sign}{number}"),
        };
        parts.push(format!("{number} {}", unit.to_lowercase()));
        at = unit_at + 1;
        used = at;
    }
    (!parts.is_empty()).then(|| (parts.join(" "), used))
}

fn canonical(interval: &crate::interval::Interval) -> String {
    let mut parts = Vec::new();
    if interval.has_months {
        parts.push(format!("{} months", interval.months));
    }
    if interval.has_days || !interval.has_months {
        parts.push(format!("{} days", interval.days));
        if interval.micros != 0 {
            parts.push(format!("{} microseconds", interval.micros));
        }
    }
    parts.join(" ")
}

/// Spark's escapes: `\n`, `\\`, `\u0041`, `\101`; `\%` and `\_` stay as they are, for LIKE.
fn unescape(text: &str, quote: char) -> String {
    let doubled: String = [quote, quote].iter().collect();
    let text =
        if text.contains(&doubled) { text.replace(&doubled, &quote.to_string()) } else { text.to_owned() };
    if !text.contains('\\') {
        return text;
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        if chars[at] != '\\' || at + 1 == chars.len() {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        let code = |from: usize, length: usize, radix: u32| -> Option<char> {
            let digits: String = chars.get(from..from + length)?.iter().collect();
            char::from_u32(u32::from_str_radix(&digits, radix).ok()?)
        };
        let next = chars[at + 1];
        if next == 'u'
            && let Some(c) = code(at + 2, 4, 16)
        {
            out.push(c);
            at += 6;
            continue;
        }
        if next == 'U'
            && let Some(c) = code(at + 2, 8, 16)
        {
            out.push(c);
            at += 10;
            continue;
        }
        if ('0'..='1').contains(&next)
            && let Some(c) = code(at + 1, 3, 8)
        {
            out.push(c);
            at += 4;
            continue;
        }
        match next {
            '0' => out.push('\0'),
            'b' => out.push('\u{8}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'Z' => out.push('\u{1a}'),
            '%' | '_' => {
                out.push('\\');
                out.push(next);
            }
            other => out.push(other),
        }
        at += 2;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::TrefoilDialect;

    #[test]
    fn texts() {
        let check = |text: &str, expect: &[&str]| {
            let found = tokens(&TrefoilDialect, text, false).unwrap();
            let found: Vec<String> = found
                .iter()
                .filter(|t| !matches!(t.token, Token::Whitespace(_)))
                .map(|t| t.token.to_string())
                .collect();
            assert_eq!(found, expect, "{text}");
        };
        check(r"'a\nb'", &["'a\nb'"]);
        check(r"r'\d'", &[r"'\d'"]);
        check(r"'\\d', '\%'", &[r"'\d'", ",", r"'\%'"]);
        check("'it''s'", &["'it's'"]);
        check("SELECT 'a' 'b' \"c\", 'd'", &["SELECT", "'abc'", ",", "'d'"]);
        check(
            "CREATE TABLE t OPTIONS ('a' 'b')",
            &["CREATE", "TABLE", "t", "OPTIONS", "(", "'a'", "'b'", ")"],
        );
        check("1S 1.5BD x", &["1S", "1.5BD", "x"]);
        check("1 S", &["1", "S"]);
        check("interval 5 days 3 hours + 1", &["interval", "'5 days 3 hours'", "+", "1"]);
        check("INTERVAL '1-2' YEAR TO MONTH", &["INTERVAL", "'14 months'"]);
        check("interval -'1-1' YEAR TO MONTH)", &["interval", "'-13 months'", ")"]);
        check("INTERVAL '2' DAY", &["INTERVAL", "'2 day'"]);
        check("X 'F0'", &["X'F0'"]);
    }
}
