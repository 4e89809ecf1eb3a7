//! Parts of dates and intervals by name, and Java's patterns of dates (`yyyy-MM-dd HH:mm:ss`).

use crate::condition;
use crate::value::{Value, cast, datetime, types};
use chrono::{Datelike, NaiveDate, Timelike};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

/// The part of a value that `EXTRACT(part FROM value)` asks for.
pub(crate) fn part(name: &str, value: &Value, from: &DataType) -> Result<Value> {
    let lower = name.to_lowercase();
    let name = lower.as_str();
    let seconds = |micros: i64| Value::Decimal(i128::from(micros % 60_000_000), 6);
    let bad = || {
        condition::error(
            trefoil_core::ErrorKind::InvalidArgument,
            "INVALID_EXTRACT_FIELD",
            "42000",
            format!("there is no part `{name}` in a value of type {}.", types::name(from).to_uppercase()),
        )
    };
    let clock = |micros: i64| match name {
        "hour" | "hours" | "h" | "hr" | "hrs" => Ok(Value::Int(micros / 3_600_000_000)),
        "minute" | "minutes" | "m" | "min" | "mins" => Ok(Value::Int(micros / 60_000_000 % 60)),
        "second" | "seconds" | "s" | "sec" | "secs" => Ok(seconds(micros)),
        _ => Err(bad()),
    };
    let months = |months: i32| match name {
        "year" | "years" | "y" | "yr" | "yrs" => Ok(Value::Int(i64::from(months / 12))),
        "month" | "months" | "mon" | "mons" => Ok(Value::Int(i64::from(months % 12))),
        _ => Err(bad()),
    };
    match value {
        Value::Time(micros) => clock(*micros),
        Value::Months(n) => months(*n),
        Value::Micros(micros) => match name {
            "day" | "days" | "d" => Ok(Value::Int(micros / datetime::DAY)),
            _ => clock(micros % datetime::DAY),
        },
        Value::Calendar(n, days, micros) => match name {
            "day" | "days" | "d" => Ok(Value::Int(i64::from(*days))),
            "year" | "years" | "month" | "months" => months(*n),
            _ => clock(*micros),
        },
        other => {
            let micros = cast::cast(other, from, &types::TIMESTAMP)?.int();
            let (days, of_day) = datetime::split(micros);
            let d = datetime::date(days);
            Ok(Value::Int(match name {
                "year" | "years" | "y" | "yr" | "yrs" => i64::from(d.year()),
                "yearofweek" => i64::from(d.iso_week().year()),
                "quarter" | "qtr" => i64::from(d.month0() / 3 + 1),
                "month" | "months" | "mon" | "mons" => i64::from(d.month()),
                "week" | "weeks" | "w" => i64::from(d.iso_week().week()),
                "day" | "days" | "d" => i64::from(d.day()),
                "dayofweek" | "dow" => i64::from(d.weekday().number_from_sunday()),
                "dayofweek_iso" | "dow_iso" => i64::from(d.weekday().number_from_monday()),
                "doy" => i64::from(d.ordinal()),
                _ => return clock(of_day),
            }))
        }
    }
}

/// A pattern taken apart: runs of a letter, and text.
enum Piece {
    Field(char, usize),
    Text(String),
}

fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut out: Vec<Piece> = Vec::new();
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c.is_ascii_alphabetic() {
            let run = chars[at..].iter().take_while(|next| **next == c).count();
            if !"GyMLdDEuaHhKkmsSnVzOXxZQqF".contains(c) || (c == 'u' || c == 'F') {
                return Err(condition::error(
                    trefoil_core::ErrorKind::InvalidArgument,
                    "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER",
                    "22007",
                    format!("the pattern '{pattern}' has the letter `{c}`, which stands for nothing."),
                ));
            }
            out.push(Piece::Field(c, run));
            at += run;
        } else if c == '\'' {
            let end =
                chars[at + 1..].iter().position(|next| *next == '\'').map_or(chars.len(), |n| at + 1 + n);
            let text: String = chars[at + 1..end].iter().collect();
            out.push(Piece::Text(if text.is_empty() { "'".into() } else { text }));
            at = end + 1;
        } else if c == '[' || c == ']' {
            at += 1;
        } else {
            out.push(Piece::Text(c.to_string()));
            at += 1;
        }
    }
    Ok(out)
}

/// An instant as the pattern says, in UTC.
pub(crate) fn print(micros: i64, pattern: &str) -> Result<String> {
    print_in(micros, pattern, None)
}

/// A zone as Java's letters ask for it.
fn zone_text(letter: char, width: usize, name: &str, instant: i64, offset: i64) -> String {
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60_000_000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let colon = format!("{sign}{hours:02}:{minutes:02}");
    match (letter, width) {
        ('V', _) => name.to_owned(),
        ('z', _) => datetime::abbreviation(instant, name),
        ('O', 1) if minutes == 0 => format!("GMT{sign}{hours}"),
        ('O', 1) => format!("GMT{sign}{hours}:{minutes:02}"),
        ('O', _) | ('Z', 4) => format!("GMT{colon}"),
        ('X', _) if offset == 0 => "Z".into(),
        ('X' | 'x', 1) if minutes == 0 => format!("{sign}{hours:02}"),
        ('X' | 'x', 1 | 2 | 4) | ('Z', 1..=3) => format!("{sign}{hours:02}{minutes:02}"),
        _ => colon,
    }
}

/// An instant as the pattern says, in a zone.
pub(crate) fn print_in(instant: i64, pattern: &str, zone: Option<&str>) -> Result<String> {
    let micros = zone.and_then(|zone| datetime::from_utc(instant, zone)).unwrap_or(instant);
    let t = datetime::naive(micros);
    let mut out = String::new();
    for piece in pieces(pattern)? {
        let (letter, width) = match piece {
            Piece::Text(text) => {
                out.push_str(&text);
                continue;
            }
            Piece::Field(letter, width) => (letter, width),
        };
        let number = |n: u32| format!("{n:0width$}");
        let text = match (letter, width) {
            ('y', 2) => format!("{:02}", t.year().rem_euclid(100)),
            ('y', _) => format!("{:0width$}", t.year()),
            ('M' | 'L', 1 | 2) => number(t.month()),
            ('M' | 'L', 3) => t.format("%b").to_string(),
            ('M' | 'L', _) => t.format("%B").to_string(),
            ('d', _) => number(t.day()),
            ('D', _) => number(t.ordinal()),
            ('Q' | 'q', 1 | 2) => number(t.month0() / 3 + 1),
            ('Q' | 'q', _) => format!("Q{}", t.month0() / 3 + 1),
            ('E', 1..=3) => t.format("%a").to_string(),
            ('E', _) => t.format("%A").to_string(),
            ('a', _) => if t.hour() < 12 { "AM" } else { "PM" }.into(),
            ('H', _) => number(t.hour()),
            ('k', _) => number(if t.hour() == 0 { 24 } else { t.hour() }),
            ('h', _) => number((t.hour() + 11) % 12 + 1),
            ('K', _) => number(t.hour() % 12),
            ('m', _) => number(t.minute()),
            ('s', _) => number(t.second()),
            ('S', n) => format!("{:09}", t.nanosecond())[..n.min(9)].to_owned(),
            ('n', _) => number(t.nanosecond()),
            ('G', _) => if t.year() > 0 { "AD" } else { "BC" }.into(),
            ('V' | 'z' | 'O' | 'X' | 'x' | 'Z', _) if let Some(zone) = zone => {
                zone_text(letter, width, zone, instant, micros - instant)
            }
            ('V', _) => "Etc/UTC".into(),
            ('z', _) => "UTC".into(),
            ('O', _) => "GMT".into(),
            ('X', _) => "Z".into(),
            ('x' | 'Z', 3) => "+00:00".into(),
            ('x' | 'Z', _) => "+0000".into(),
            _ => String::new(),
        };
        out.push_str(&text);
    }
    Ok(out)
}

/// The instant that a text gives in a pattern.
///
/// # Errors
/// `CANNOT_PARSE_TIMESTAMP` when the text does not follow it.
pub(crate) fn read(text: &str, pattern: &str) -> Result<i64> {
    read_in(text, pattern, None)
}

/// As [`read`], in a zone where the text names none.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_in(text: &str, pattern: &str, zone: Option<&str>) -> Result<i64> {
    let pieces = pieces(pattern)?;
    scan(text, &pieces, zone).ok_or_else(|| condition::cannot_parse(text, pattern))
}

fn scan(text: &str, pieces: &[Piece], session: Option<&str>) -> Option<i64> {
    let (mut year, mut month, mut day, mut ordinal) = (1970_i64, 1_i64, 1_i64, None);
    let (mut hour, mut minute, mut second, mut micros) = (0_i64, 0_i64, 0_i64, 0_i64);
    let (mut half, mut afternoon, mut zone) = (false, false, None);
    let mut rest = text;
    for (index, piece) in pieces.iter().enumerate() {
        let (letter, width) = match piece {
            Piece::Text(expected) => {
                rest = rest.strip_prefix(expected.as_str())?;
                continue;
            }
            Piece::Field(letter, width) => (*letter, *width),
        };
        // A number next to another number has exactly its width.
        let tight =
            matches!(pieces.get(index + 1), Some(Piece::Field(next, _)) if "yMdHhmsSD".contains(*next));
        let mut number = |most: usize| -> Option<i64> {
            let most = if tight || width > 1 && letter != 'y' {
                width.max(if tight { 1 } else { most.min(width) })
            } else {
                most
            };
            let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            if digits == 0 || width > 1 && digits < width && letter != 'S' {
                return None;
            }
            let (number, tail) = rest.split_at(digits);
            rest = tail;
            number.parse().ok()
        };
        match letter {
            'y' => {
                let n = number(if width == 2 { 2 } else { width.max(4) })?;
                year = if width == 2 { 2000 + n } else { n };
            }
            'M' | 'L' if width <= 2 => month = number(2)?,
            'M' | 'L' => {
                let names = [
                    "January",
                    "February",
                    "March",
                    "April",
                    "May",
                    "June",
                    "July",
                    "August",
                    "September",
                    "October",
                    "November",
                    "December",
                ];
                let found = names.iter().position(|name| {
                    let name = if width == 3 { &name[..3] } else { name };
                    rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                })?;
                rest = &rest[if width == 3 { 3 } else { names[found].len() }..];
                month = found as i64 + 1;
            }
            'd' => day = number(2)?,
            'D' => ordinal = Some(number(3)?),
            'H' | 'k' => hour = number(2)? % if letter == 'k' { 24 } else { 100 },
            'h' | 'K' => {
                hour = number(2)? % 12;
                half = true;
            }
            'm' => minute = number(2)?,
            's' => second = number(2)?,
            'S' => {
                let digits = rest.bytes().take(width.max(1)).take_while(u8::is_ascii_digit).count();
                if digits == 0 {
                    return None;
                }
                micros = format!("{:0<6}", &rest[..digits])[..6].parse().ok()?;
                rest = &rest[digits..];
            }
            'a' => {
                afternoon = rest.get(..2)?.eq_ignore_ascii_case("pm");
                rest = &rest[2..];
            }
            'E' => rest = rest.trim_start_matches(|c: char| c.is_alphabetic()),
            'X' | 'x' | 'Z' | 'V' | 'z' | 'O' => {
                let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
                zone = Some(&rest[..end]);
                rest = &rest[end..];
            }
            _ => return None,
        }
    }
    if !rest.is_empty() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if half && afternoon {
        hour += 12;
    }
    let days = match ordinal {
        Some(n) => datetime::days(NaiveDate::from_yo_opt(year as i32, n as u32)?),
        None => datetime::ymd(year, month, day)?,
    };
    let local = i64::from(days) * datetime::DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    match zone.or(session) {
        Some(zone) => datetime::to_utc(local, zone),
        None => Some(local),
    }
}
