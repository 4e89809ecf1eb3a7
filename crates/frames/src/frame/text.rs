//! Functions of text that DataFusion has not, as one scalar function with a table of what it does.
//!
//! Text is read from any of Arrow's layouts (dictionaries too) and written as `Utf8`. A regular expression
//! is compiled once per batch; a wrong one is refused by the verb that takes the expression.

use super::check::invalid;
use super::expr::Expr;
use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::DataFusionError;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;
use std::any::Any;
use std::sync::Arc;
use trefoil_plan::Result;

/// Which end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    Left,
    Right,
    Both,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Strip(End, Option<String>),
    Title,
    Capitalize,
    SwapCase,
    Slice(i64, Option<i64>),
    Get(i64),
    Pad(End, usize, char),
    ZeroFill(usize),
    Repeat(usize),
    Reverse,
    RemovePrefix(String),
    RemoveSuffix(String),
    Find(String),
    FindLast(String),
    Count(String),
    Split(Option<String>, Option<usize>),
    SplitLast(String, usize),
    Partition(End, String),
    Is(Kind),
    Matches(String),
    FullMatch(String),
    CountMatches(String),
    Extract(String, usize),
    ExtractAll(String),
    ReplaceMatches(String, String),
}

/// What all characters of a text are; an empty text is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Alphabetic,
    Numeric,
    Alphanumeric,
    Lower,
    Upper,
    Space,
}

impl Op {
    fn name(&self) -> &'static str {
        match self {
            Op::Strip(End::Left, _) => "lstrip",
            Op::Strip(End::Right, _) => "rstrip",
            Op::Strip(End::Both, _) => "strip",
            Op::Title => "title",
            Op::Capitalize => "capitalize",
            Op::SwapCase => "swapcase",
            Op::Slice(..) => "str_slice",
            Op::Get(_) => "str_get",
            Op::Pad(..) => "pad",
            Op::ZeroFill(_) => "zfill",
            Op::Repeat(_) => "str_repeat",
            Op::Reverse => "str_reverse",
            Op::RemovePrefix(_) => "removeprefix",
            Op::RemoveSuffix(_) => "removesuffix",
            Op::Find(_) => "str_find",
            Op::FindLast(_) => "str_rfind",
            Op::Count(_) => "str_count",
            Op::Split(..) => "split",
            Op::SplitLast(..) => "rsplit",
            Op::Partition(..) => "partition",
            Op::Is(Kind::Alphabetic) => "isalpha",
            Op::Is(Kind::Numeric) => "isnumeric",
            Op::Is(Kind::Alphanumeric) => "isalnum",
            Op::Is(Kind::Lower) => "islower",
            Op::Is(Kind::Upper) => "isupper",
            Op::Is(Kind::Space) => "isspace",
            Op::Matches(_) => "matches",
            Op::FullMatch(_) => "fullmatch",
            Op::CountMatches(_) => "count_matches",
            Op::Extract(..) => "extract",
            Op::ExtractAll(_) => "extract_all",
            Op::ReplaceMatches(..) => "replace_matches",
        }
    }

    fn pattern(&self) -> Option<String> {
        match self {
            Op::Matches(p) | Op::CountMatches(p) | Op::Extract(p, _) | Op::ExtractAll(p) => Some(p.clone()),
            Op::ReplaceMatches(p, _) => Some(p.clone()),
            Op::FullMatch(p) => Some(format!("^(?:{p})$")),
            _ => None,
        }
    }

    fn output(&self) -> DataType {
        match self {
            Op::Is(_) | Op::Matches(_) | Op::FullMatch(_) => DataType::Boolean,
            Op::Find(_) | Op::FindLast(_) | Op::Count(_) | Op::CountMatches(_) => DataType::Int64,
            Op::Split(..) | Op::SplitLast(..) | Op::Partition(..) | Op::ExtractAll(_) => {
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
            }
            _ => DataType::Utf8,
        }
    }
}

pub(super) fn call(value: Expr, op: Op) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(TextFunction { op, signature }).call(vec![value])
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TextFunction {
    op: Op,
    signature: Signature,
}

/// Whether a function is one of these; a wrong pattern is an error.
pub(super) fn check(op: &'static str, function: &ScalarUDF) -> Result<bool> {
    let inner: &dyn ScalarUDFImpl = function.inner().as_ref();
    let Some(ours) = (inner as &dyn Any).downcast_ref::<TextFunction>() else { return Ok(false) };
    if let Some(pattern) = ours.op.pattern() {
        let regex = Regex::new(&pattern).map_err(|e| {
            let last = e.to_string().lines().last().unwrap_or_default().to_owned();
            invalid(op, format!("`{pattern}` is no regular expression: {last}")).with_source(e)
        })?;
        if let Op::Extract(_, group) = &ours.op
            && *group >= regex.captures_len()
        {
            let text =
                format!("`{pattern}` has {} groups, there is no group {group}", regex.captures_len() - 1);
            return Err(invalid(op, text).with_help("group 0 is the whole match, groups count from 1"));
        }
    }
    Ok(true)
}

impl ScalarUDFImpl for TextFunction {
    fn name(&self) -> &str {
        self.op.name()
    }

    /// With what it does: two of them on one column are two columns.
    fn schema_name(&self, args: &[Expr]) -> PlanResult<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({}) {:?}", self.name(), args.join(", "), self.op))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> PlanResult<DataType> {
        Ok(self.op.output())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [value] = datafusion::common::utils::take_function_args(self.name(), arrays)?;
        let texts = cast(&value, &DataType::Utf8)?;
        let regex = match self.op.pattern() {
            Some(pattern) => Some(Regex::new(&pattern).map_err(|e| DataFusionError::External(Box::new(e)))?),
            None => None,
        };
        Ok(ColumnarValue::Array(apply(&self.op, regex.as_ref(), texts.as_string::<i32>())))
    }
}

fn apply(op: &Op, regex: Option<&Regex>, texts: &StringArray) -> ArrayRef {
    match op.output() {
        DataType::Boolean => {
            let all = texts.iter().map(|text| text.map(|text| is(op, regex, text)));
            Arc::new(all.collect::<BooleanArray>())
        }
        DataType::Int64 => {
            let all = texts.iter().map(|text| text.map(|text| number(op, regex, text)));
            Arc::new(all.collect::<Int64Array>())
        }
        DataType::List(_) => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for text in texts {
                if let Some(text) = text {
                    pieces(op, regex, text, |piece| lists.values().append_value(piece));
                }
                lists.append(text.is_some());
            }
            Arc::new(lists.finish())
        }
        _ => {
            let all = texts.iter().map(|text| text.and_then(|text| change(op, regex, text)));
            Arc::new(all.collect::<StringArray>())
        }
    }
}

fn is(op: &Op, regex: Option<&Regex>, text: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    // as in Python, a text is lower (upper) if it has cased letters and none of the other case
    let cased = |wanted: fn(char) -> bool, other: fn(char) -> bool| {
        text.chars().any(wanted) && !text.chars().any(other)
    };
    match op {
        Op::Is(Kind::Alphabetic) => all(char::is_alphabetic),
        Op::Is(Kind::Numeric) => all(char::is_numeric),
        Op::Is(Kind::Alphanumeric) => all(char::is_alphanumeric),
        Op::Is(Kind::Space) => all(char::is_whitespace),
        Op::Is(Kind::Lower) => cased(char::is_lowercase, char::is_uppercase),
        Op::Is(Kind::Upper) => cased(char::is_uppercase, char::is_lowercase),
        _ => regex.is_some_and(|regex| regex.is_match(text)),
    }
}

fn count_of(text: &str, part: &str) -> usize {
    if part.is_empty() { text.chars().count() + 1 } else { text.matches(part).count() }
}

fn number(op: &Op, regex: Option<&Regex>, text: &str) -> i64 {
    let place = |bytes: Option<usize>| bytes.map_or(-1, |at| size(text[..at].chars().count()));
    match op {
        Op::Find(part) => place(text.find(part.as_str())),
        Op::FindLast(part) => place(text.rfind(part.as_str())),
        Op::Count(part) => size(count_of(text, part)),
        _ => size(regex.map_or(0, |regex| regex.find_iter(text).count())),
    }
}

fn size(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn pieces<'t>(op: &Op, regex: Option<&Regex>, text: &'t str, mut add: impl FnMut(&'t str)) {
    match op {
        Op::Split(None, None) => text.split_whitespace().for_each(add),
        Op::Split(None, Some(limit)) => {
            let mut rest = text.trim_start();
            let mut left = *limit;
            while !rest.is_empty() {
                let end = if left == 0 { None } else { rest.find(char::is_whitespace) };
                let (piece, more) = rest.split_at(end.unwrap_or(rest.len()));
                add(if end.is_none() && left > 0 { piece.trim_end() } else { piece });
                rest = more.trim_start();
                left = left.saturating_sub(1);
            }
        }
        Op::Split(Some(by), _) if by.is_empty() => add(text),
        Op::Split(Some(by), None) => text.split(by.as_str()).for_each(add),
        Op::Split(Some(by), Some(limit)) => text.splitn(limit.saturating_add(1), by.as_str()).for_each(add),
        Op::SplitLast(by, _) if by.is_empty() => add(text),
        Op::SplitLast(by, limit) => {
            let mut found: Vec<&str> = text.rsplitn(limit.saturating_add(1), by.as_str()).collect();
            found.reverse();
            found.into_iter().for_each(add);
        }
        Op::Partition(end, by) => {
            let at = if *end == End::Right { text.rfind(by.as_str()) } else { text.find(by.as_str()) };
            let parts = match at {
                Some(at) => [&text[..at], &text[at..at + by.len()], &text[at + by.len()..]],
                None if *end == End::Right => ["", "", text],
                None => [text, "", ""],
            };
            parts.into_iter().for_each(add);
        }
        _ => {
            for found in regex.into_iter().flat_map(|regex| regex.find_iter(text)) {
                add(found.as_str());
            }
        }
    }
}

fn strip<'t>(text: &'t str, end: End, set: Option<&str>) -> &'t str {
    let gone = |c: char| set.map_or(c.is_whitespace(), |set| set.contains(c));
    let text = if end == End::Right { text } else { text.trim_start_matches(gone) };
    if end == End::Left { text } else { text.trim_end_matches(gone) }
}

fn pad(text: &str, end: End, width: usize, fill: char) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let (before, after) = match end {
        End::Left => (missing, 0),
        End::Right => (0, missing),
        // as Python's `center`: the odd one goes left of texts with an odd number of characters to fill
        End::Both => {
            let left = missing / 2 + (missing & width & 1);
            (left, missing - left)
        }
    };
    let fill = |n: usize| std::iter::repeat_n(fill, n);
    fill(before).chain(text.chars()).chain(fill(after)).collect()
}

fn capitalized(mut chars: impl Iterator<Item = char>) -> String {
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.flat_map(char::to_lowercase)).collect()
}

/// Start and end of a slice as Python reads them: negative ones count from the end.
fn bounds(length: usize, start: i64, stop: Option<i64>) -> (usize, usize) {
    let length = size(length);
    let at = |i: i64| if i < 0 { (length + i).max(0) } else { i.min(length) };
    let (start, stop) = (at(start), at(stop.unwrap_or(length)));
    (usize::try_from(start).unwrap_or(0), usize::try_from(stop.max(start)).unwrap_or(0))
}

fn change(op: &Op, regex: Option<&Regex>, text: &str) -> Option<String> {
    Some(match op {
        Op::Strip(end, set) => strip(text, *end, set.as_deref()).to_owned(),
        Op::Title => {
            let mut inside = false;
            text.chars()
                .map(|c| {
                    let cased =
                        if inside { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
                    inside = c.is_alphabetic();
                    cased
                })
                .collect()
        }
        Op::Capitalize => capitalized(text.chars()),
        Op::SwapCase => {
            text.chars()
                .map(|c| {
                    if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() }
                })
                .collect()
        }
        Op::Slice(start, stop) => {
            let (start, stop) = bounds(text.chars().count(), *start, *stop);
            text.chars().skip(start).take(stop - start).collect()
        }
        Op::Get(at) => {
            let length = size(text.chars().count());
            let at = if *at < 0 { at + length } else { *at };
            return usize::try_from(at).ok().and_then(|at| text.chars().nth(at)).map(String::from);
        }
        Op::Pad(end, width, fill) => pad(text, *end, *width, *fill),
        Op::ZeroFill(width) => match text.strip_prefix(['-', '+']) {
            Some(digits) => {
                let sign = &text[..1];
                format!("{sign}{}", pad(digits, End::Left, width.saturating_sub(1), '0'))
            }
            None => pad(text, End::Left, *width, '0'),
        },
        Op::Repeat(times) => text.repeat(*times),
        Op::Reverse => text.chars().rev().collect(),
        Op::RemovePrefix(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(text).to_owned(),
        Op::RemoveSuffix(suffix) => text.strip_suffix(suffix.as_str()).unwrap_or(text).to_owned(),
        Op::Extract(_, group) => return regex?.captures(text)?.get(*group).map(|m| m.as_str().to_owned()),
        Op::ReplaceMatches(_, to) => regex?.replace_all(text, to.as_str()).into_owned(),
        _ => return None,
    })
}
