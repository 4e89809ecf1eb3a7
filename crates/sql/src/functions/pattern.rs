//! Regular expressions, LIKE and splitting.
//!
//! Java's syntax is close to the `regex` crate's; look-around and back-references are refused by it.

use super::Set;
use crate::condition;
use crate::value::{Value, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// Patterns are mostly constants; each is compiled once per thread.
    static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
}

/// A compiled pattern.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE.PATTERN` for a pattern that is none.
pub(crate) fn compile(function: &str, pattern: &str) -> Result<Regex> {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(found) = compiled.get(pattern) {
            return Ok(found.clone());
        }
        let made = Regex::new(pattern).map_err(|error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            condition::error(
                trefoil_core::ErrorKind::InvalidArgument,
                "INVALID_PARAMETER_VALUE.PATTERN",
                "22023",
                format!("`{function}`: '{pattern}' is no regular expression: {last}."),
            )
        })?;
        if compiled.len() > 256 {
            compiled.clear();
        }
        compiled.insert(pattern.to_owned(), made.clone());
        Ok(made)
    })
}

/// The matches as Java finds them: an empty one may stand right behind another.
fn matches<'a>(regex: &Regex, text: &'a str) -> Vec<regex::Captures<'a>> {
    let (mut at, mut found) = (0, Vec::new());
    while at <= text.len()
        && let Some(captures) = regex.captures_at(text, at)
        && let Some(whole) = captures.get(0)
    {
        at = match text[whole.end()..].chars().next() {
            Some(next) if whole.is_empty() => whole.end() + next.len_utf8(),
            None if whole.is_empty() => text.len() + 1,
            _ => whole.end(),
        };
        found.push(captures);
    }
    found
}

/// The pattern of LIKE as a regular expression.
fn like_pattern(pattern: &str, escape: char, ignore_case: bool) -> Result<String> {
    let mut out = String::from(if ignore_case { "(?si)^" } else { "(?s)^" });
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == escape => match chars.next() {
                Some(next) if next == '%' || next == '_' || next == escape => {
                    out.push_str(&regex::escape(&next.to_string()));
                }
                _ => {
                    return Err(condition::error(
                        trefoil_core::ErrorKind::InvalidArgument,
                        "INVALID_FORMAT.ESC_IN_THE_MIDDLE",
                        "42601",
                        format!("the pattern '{pattern}' escapes a character that needs no escape."),
                    ));
                }
            },
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    Ok(out)
}

pub(super) fn add(set: &mut Set) {
    for (name, ignore_case) in [("like", false), ("ilike", true)] {
        set.add(name, "str str str? -> bool", move |row, _| {
            let escape = row.get(2).and_then(|e| e.str().chars().next()).unwrap_or('\\');
            let pattern = like_pattern(row[1].str(), escape, ignore_case)?;
            Ok(compile(name, &pattern)?.is_match(row[0].str()).into())
        });
    }
    set.add("rlike regexp regexp_like", "str str -> bool", |row, _| {
        Ok(compile("rlike", row[1].str())?.is_match(row[0].str()).into())
    });
    set.add("regexp_count", "str str -> int", |row, _| {
        Ok(Value::Int(matches(&compile("regexp_count", row[1].str())?, row[0].str()).len() as i64))
    });
    set.add("regexp_substr", "str str -> str", |row, _| {
        Ok(compile("regexp_substr", row[1].str())?.find(row[0].str()).map(|m| m.as_str()).into())
    });
    set.add("regexp_instr", "str str int? -> int", |row, _| {
        let text = row[0].str();
        let found = compile("regexp_instr", row[1].str())?.find(text);
        Ok(Value::Int(found.map_or(0, |m| text[..m.start()].chars().count() as i64 + 1)))
    });
    let group = |function: &'static str, row: &[Value], regex: &Regex| {
        let group = row.get(2).map_or(1, Value::int);
        if group < 0 || group as usize >= regex.captures_len() {
            return Err(condition::parameter(
                function,
                format!("there is no group {group}, the pattern has {}", regex.captures_len() - 1),
            ));
        }
        Ok(group as usize)
    };
    set.add("regexp_extract", "str str int? -> str", move |row, _| {
        let regex = compile("regexp_extract", row[1].str())?;
        let group = group("regexp_extract", row, &regex)?;
        let found = regex.captures(row[0].str()).and_then(|c| c.get(group)).map_or("", |m| m.as_str());
        Ok(found.into())
    });
    set.typed(
        "regexp_extract_all",
        "str str int? -> ..",
        |_| Ok(types::list_of(DataType::Utf8)),
        move |row, _| {
            let regex = compile("regexp_extract_all", row[1].str())?;
            let group = group("regexp_extract_all", row, &regex)?;
            let all = matches(&regex, row[0].str()).into_iter();
            Ok(Value::List(all.map(|c| c.get(group).map_or("", |m| m.as_str()).into()).collect()))
        },
    );
    set.add("regexp_replace", "str str str int? -> str", |row, _| {
        let regex = compile("regexp_replace", row[1].str())?;
        let from = row.get(3).map_or(1, Value::int);
        if from < 1 {
            return Err(condition::parameter("regexp_replace", "the position must be at least 1"));
        }
        let text = row[0].str();
        let at = text.char_indices().nth(from as usize - 1).map_or(text.len(), |(at, _)| at);
        // Java's `$1` ends where the digits end, Rust's where the word ends.
        let with = braced(row[2].str());
        Ok(format!("{}{}", &text[..at], regex.replace_all(&text[at..], with.as_str())).into())
    });
    set.typed(
        "split",
        "str str int? -> ..",
        |_| Ok(types::list_of(DataType::Utf8)),
        |row, _| {
            let (text, limit) = (row[0].str(), row.get(2).map_or(-1, Value::int));
            let regex = compile("split", row[1].str())?;
            // A letter a part, the rest in the last.
            if row[1].str().is_empty() && limit > 0 {
                let mut letters = text.chars();
                let mut parts: Vec<Value> =
                    letters.by_ref().take(limit as usize - 1).map(|c| c.to_string().into()).collect();
                let rest = letters.as_str();
                if !rest.is_empty() || parts.is_empty() {
                    parts.push(rest.into());
                }
                return Ok(Value::List(parts));
            }
            let mut parts: Vec<Value> = if limit > 0 {
                regex.splitn(text, limit as usize).map(Value::from).collect()
            } else {
                regex.split(text).map(Value::from).collect()
            };
            // An empty match at the start parts nothing off.
            if parts.len() > 1 && parts[0].str().is_empty() && regex.find(text).is_some_and(|m| m.is_empty())
            {
                parts.remove(0);
                if parts.len() > 1 && parts.last().is_some_and(|p| p.str().is_empty()) && limit <= 0 {
                    parts.pop();
                }
            }
            Ok(Value::List(parts))
        },
    );
}

fn braced(replacement: &str) -> String {
    let mut out = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if let Some(next) = chars.next() {
                    out.push_str(if next == '$' { "$$" } else { "" });
                    if next != '$' {
                        out.push(next);
                    }
                }
            }
            '$' if chars.peek().is_some_and(char::is_ascii_digit) => {
                out.push_str("${");
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    out.push(digit);
                }
                out.push('}');
            }
            c => out.push(c),
        }
    }
    out
}
