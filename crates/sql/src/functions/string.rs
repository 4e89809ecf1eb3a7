//! Text. Positions count characters, from 1.

use super::Set;
use super::math::{hex, unhex};
use super::row::Site;
use crate::value::{Value, cast, format, types};
use crate::{condition, lengths};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

pub(super) fn add(set: &mut Set) {
    set.add(lengths::WRITTEN, "str int bool -> str", |row, _| {
        lengths::write(row[0].str(), usize::try_from(row[1].int()).unwrap_or(0), row[2].truth())
    });
    set.add(lengths::FILLED, "str int -> str", |row, _| {
        Ok(lengths::fill(row[0].str(), usize::try_from(row[1].int()).unwrap_or(0)))
    });
    cases(set);
    pieces(set);
    trims(set);
    searches(set);
    encodings(set);
    misc(set);
}

/// Text or bytes, whatever the first argument is.
fn same(site: &Site) -> Result<DataType> {
    Ok(if types::is_binary(site.argument(0)) { DataType::Binary } else { DataType::Utf8 })
}

fn cases(set: &mut Set) {
    set.add("upper ucase", "str -> str", |row, _| Ok(row[0].str().to_uppercase().into()));
    set.add("lower lcase", "str -> str", |row, _| Ok(row[0].str().to_lowercase().into()));
    set.add("initcap", "str -> str", |row, _| {
        let mut start = true;
        let capped: String = row[0]
            .str()
            .chars()
            .flat_map(|c| {
                let made: Vec<char> =
                    if start { c.to_uppercase().collect() } else { c.to_lowercase().collect() };
                start = c == ' ';
                made
            })
            .collect();
        Ok(capped.into())
    });
    set.add("length len char_length character_length", "bytes -> int", |row, _| {
        Ok(Value::Int(match &row[0] {
            Value::Str(text) => text.chars().count() as i64,
            other => other.bytes().len() as i64,
        }))
    });
    set.add("octet_length", "bytes -> int", |row, _| Ok(Value::Int(row[0].bytes().len() as i64)));
    set.add("bit_length", "bytes -> int", |row, _| Ok(Value::Int(row[0].bytes().len() as i64 * 8)));
    set.add("ascii", "str -> int", |row, _| {
        Ok(Value::Int(row[0].str().chars().next().map_or(0, |c| i64::from(u32::from(c)))))
    });
    set.add("char chr", "long -> str", |row, _| {
        let n = row[0].int();
        Ok(if n < 0 { "".into() } else { char::from((n % 256) as u8).to_string().into() })
    });
    set.add("space", "int -> str", |row, _| Ok(" ".repeat(row[0].int().max(0) as usize).into()));
    set.add("repeat", "str int -> str", |row, _| {
        let (text, times) = (row[0].str(), row[1].int().max(0) as usize);
        if text.len().saturating_mul(times) > 1 << 30 {
            return Err(condition::parameter("repeat", "the result is longer than 1 GiB"));
        }
        Ok(text.repeat(times).into())
    });
    set.typed(
        "reverse",
        "any -> ..",
        |site| Ok(if site.argument(0).is_nested() { site.argument(0).clone() } else { DataType::Utf8 }),
        |row, site| {
            Ok(match &row[0] {
                Value::List(items) => Value::List(items.iter().rev().cloned().collect()),
                other => format::cast_text(other, site.argument(0)).chars().rev().collect::<String>().into(),
            })
        },
    );
    set.add("soundex", "str -> str", |row, _| Ok(soundex(row[0].str()).into()));
}

fn pieces(set: &mut Set) {
    set.typed("substring substr", "bytes int int? -> ..", same, |row, _| {
        let length = row.get(2).map_or(i64::MAX, Value::int);
        Ok(match &row[0] {
            Value::Str(text) => {
                let chars: Vec<char> = text.chars().collect();
                let (from, to) = slice(chars.len(), row[1].int(), length);
                chars[from..to].iter().collect::<String>().into()
            }
            other => {
                let bytes = other.bytes();
                let (from, to) = slice(bytes.len(), row[1].int(), length);
                Value::Bin(bytes[from..to].to_vec())
            }
        })
    });
    set.typed("left", "bytes int -> ..", same, |row, _| {
        let n = row[1].int().max(0) as usize;
        Ok(match &row[0] {
            Value::Bin(bytes) => Value::Bin(bytes[..n.min(bytes.len())].to_vec()),
            other => other.str().chars().take(n).collect::<String>().into(),
        })
    });
    set.add("right", "str int -> str", |row, _| {
        let (text, n) = (row[0].str(), row[1].int().max(0) as usize);
        let count = text.chars().count();
        Ok(text.chars().skip(count.saturating_sub(n)).collect::<String>().into())
    });
    set.add("substring_index", "str str int -> str", |row, _| {
        let (text, delimiter, count) = (row[0].str(), row[1].str(), row[2].int());
        if delimiter.is_empty() || count == 0 {
            return Ok("".into());
        }
        let found = if count > 0 {
            text.match_indices(delimiter).nth(count as usize - 1).map(|(at, _)| &text[..at])
        } else {
            text.rmatch_indices(delimiter)
                .nth(count.unsigned_abs() as usize - 1)
                .map(|(at, _)| &text[at + delimiter.len()..])
        };
        Ok(found.unwrap_or(text).into())
    });
    for (name, left) in [("lpad", true), ("rpad", false)] {
        set.typed(name, "bytes int bytes? -> ..", same, move |row, _| {
            let width = row[1].int().clamp(0, 1 << 30) as usize;
            Ok(match &row[0] {
                Value::Bin(bytes) => {
                    let pad = row.get(2).map_or(&[0][..], Value::bytes);
                    Value::Bin(padded(bytes, pad, width, left))
                }
                other => {
                    let text: Vec<char> = other.str().chars().collect();
                    let pad: Vec<char> = row.get(2).map_or(" ", |p| p.str()).chars().collect();
                    padded(&text, &pad, width, left).into_iter().collect::<String>().into()
                }
            })
        });
    }
    set.typed("overlay", "bytes bytes int int? -> ..", same, |row, _| {
        fn overlay<T: Clone>(text: &[T], with: &[T], at: i64, length: i64) -> Vec<T> {
            let length = if length < 0 { with.len() as i64 } else { length };
            let (_, head) = slice(text.len(), 1, at - 1);
            let tail = (at + length - 1).clamp(0, text.len() as i64) as usize;
            [&text[..head], with, &text[tail..]].concat()
        }
        let (at, length) = (row[2].int(), row.get(3).map_or(-1, Value::int));
        Ok(match &row[0] {
            Value::Bin(bytes) => Value::Bin(overlay(bytes, row[1].bytes(), at, length)),
            other => {
                let text: Vec<char> = other.str().chars().collect();
                let with: Vec<char> = row[1].str().chars().collect();
                overlay(&text, &with, at, length).into_iter().collect::<String>().into()
            }
        })
    });
    set.typed(
        "concat",
        "any* -> ..",
        |site| {
            if site.types.iter().any(|t| types::item_of(t).is_some()) {
                return types::common(&site.types)
                    .ok_or_else(|| condition::argument_type("concat", "the arrays have no common type"));
            }
            let binary = !site.types.is_empty() && site.types.iter().all(types::is_binary);
            Ok(if binary { DataType::Binary } else { DataType::Utf8 })
        },
        |row, site| {
            if types::item_of(site.result()).is_some() {
                let mut all = Vec::new();
                for (value, from) in row.iter().zip(&site.types) {
                    all.extend(cast::cast(value, from, site.result())?.into_list());
                }
                return Ok(Value::List(all));
            }
            if types::is_binary(site.result()) {
                return Ok(Value::Bin(row.iter().flat_map(|v| v.bytes().to_vec()).collect()));
            }
            Ok(row.iter().zip(&site.types).map(|(v, t)| format::cast_text(v, t)).collect::<String>().into())
        },
    );
    set.add("concat_ws", "! str any* -> str", |row, site| {
        if row[0].is_null() {
            return Ok(Value::Null);
        }
        let mut parts = Vec::new();
        for (value, data_type) in row.iter().zip(&site.types).skip(1) {
            match value {
                Value::Null => {}
                Value::List(items) => {
                    let item = types::item_of(data_type).unwrap_or(&DataType::Null);
                    parts.extend(items.iter().filter(|v| !v.is_null()).map(|v| format::cast_text(v, item)));
                }
                other => parts.push(format::cast_text(other, data_type)),
            }
        }
        Ok(parts.join(row[0].str()).into())
    });
    set.add("elt", "! int str* -> str", |row, _| {
        if row[0].is_null() {
            return Ok(Value::Null);
        }
        let n = row[0].int();
        if n < 1 || n as usize >= row.len() {
            return Err(condition::index(n, row.len() - 1));
        }
        Ok(row[n as usize].clone())
    });
    set.add("split_part", "str str int -> str", |row, _| {
        let parts: Vec<&str> = if row[1].str().is_empty() {
            vec![row[0].str()]
        } else {
            row[0].str().split(row[1].str()).collect()
        };
        let n = row[2].int();
        if n == 0 {
            return Err(condition::error(
                trefoil_core::ErrorKind::InvalidArgument,
                "INVALID_INDEX_OF_ZERO",
                "22003",
                "parts count from 1, or from -1 at the end.",
            ));
        }
        let index = if n > 0 { n - 1 } else { parts.len() as i64 + n };
        Ok(usize::try_from(index).ok().and_then(|i| parts.get(i)).copied().unwrap_or("").into())
    });
}

/// The range of Spark's `substring`: positions from 1, from the end if negative, 0 as 1.
pub(crate) fn slice(count: usize, position: i64, length: i64) -> (usize, usize) {
    let n = count as i64;
    let start = match position {
        p if p > 0 => p - 1,
        0 => 0,
        p => n + p,
    };
    let end = start.saturating_add(length.max(0));
    let clamp = |x: i64| x.clamp(0, n) as usize;
    let (from, to) = (clamp(start), clamp(end));
    (from, to.max(from))
}

fn padded<T: Clone>(text: &[T], pad: &[T], width: usize, left: bool) -> Vec<T> {
    if text.len() >= width || pad.is_empty() {
        return text[..width.min(text.len())].to_vec();
    }
    let fill: Vec<T> = pad.iter().cycle().take(width - text.len()).cloned().collect();
    if left { [&fill, text].concat() } else { [text, &fill].concat() }
}

fn trims(set: &mut Set) {
    for (name, start, end) in
        [("trim", true, true), ("btrim", true, true), ("ltrim", true, false), ("rtrim", false, true)]
    {
        set.typed(name, "bytes bytes? -> ..", same, move |row, _| {
            // ltrim(what, text) is Spark's old order of two arguments; its own form is (text, what).
            match &row[0] {
                Value::Bin(bytes) => {
                    let what = row.get(1).map_or(&b" "[..], Value::bytes);
                    let mut rest = bytes.as_slice();
                    while let [first, tail @ ..] = rest
                        && start
                        && what.contains(first)
                    {
                        rest = tail;
                    }
                    while let [head @ .., last] = rest
                        && end
                        && what.contains(last)
                    {
                        rest = head;
                    }
                    Ok(Value::Bin(rest.to_vec()))
                }
                other => {
                    let what: Vec<char> = row.get(1).map_or(" ", |w| w.str()).chars().collect();
                    let mut text = other.str();
                    if start {
                        text = text.trim_start_matches(|c| what.contains(&c));
                    }
                    if end {
                        text = text.trim_end_matches(|c| what.contains(&c));
                    }
                    Ok(text.into())
                }
            }
        });
    }
    set.add("quote", "str -> str", |row, _| {
        Ok(format!("'{}'", row[0].str().replace('\\', "\\\\").replace('\'', "\\'")).into())
    });
}

fn char_position(text: &str, byte: usize) -> i64 {
    text[..byte].chars().count() as i64 + 1
}

fn searches(set: &mut Set) {
    type Test = fn(&[u8], &[u8]) -> bool;
    let tests: [(&str, Test); 3] = [
        ("startswith", |a, b| a.starts_with(b)),
        ("endswith", |a, b| a.ends_with(b)),
        ("contains", |a, b| b.is_empty() || a.windows(b.len()).any(|w| w == b)),
    ];
    for (name, test) in tests {
        set.add(name, "bytes bytes -> bool", move |row, _| Ok(test(row[0].bytes(), row[1].bytes()).into()));
    }
    set.add("instr", "str str int? int? -> int", |row, _| {
        let (text, part) = (row[0].str(), row[1].str());
        let (start, nth) = (row.get(2).map_or(1, Value::int), row.get(3).map_or(1, Value::int));
        let chars: Vec<char> = text.chars().collect();
        let part: Vec<char> = part.chars().collect();
        let mut seen = 0;
        let last = chars.len() as i64 - part.len() as i64 + 1;
        for at in start.max(1)..=last {
            if chars[at as usize - 1..].starts_with(&part) {
                seen += 1;
                if seen == nth {
                    return Ok(Value::Int(at));
                }
            }
        }
        Ok(Value::Int(0))
    });
    set.add("locate position charindex", "! str str int? -> int", |row, _| {
        if row[0].is_null() || row[1].is_null() {
            return Ok(Value::Null);
        }
        let start = row.get(2).map_or(1, Value::int);
        let text = row[1].str();
        if start < 1 {
            return Ok(Value::Int(0));
        }
        let from = text.char_indices().nth(start as usize - 1).map(|(at, _)| at);
        let from = match from {
            Some(from) => from,
            None if start as usize == text.chars().count() + 1 => text.len(),
            None => return Ok(Value::Int(0)),
        };
        Ok(Value::Int(text[from..].find(row[0].str()).map_or(0, |at| char_position(text, from + at))))
    });
    set.add("find_in_set", "str str -> int", |row, _| {
        if row[0].str().contains(',') {
            return Ok(Value::Int(0));
        }
        Ok(Value::Int(row[1].str().split(',').position(|p| p == row[0].str()).map_or(0, |i| i as i64 + 1)))
    });
    set.add("levenshtein", "str str int? -> int", |row, _| {
        let distance = levenshtein(row[0].str(), row[1].str());
        Ok(Value::Int(match row.get(2) {
            Some(limit) if distance > limit.int() => -1,
            _ => distance,
        }))
    });
    set.add("jaro_winkler_similarity", "str str -> double", |row, _| {
        Ok(jaro_winkler(row[0].str(), row[1].str()).into())
    });
    set.add("replace", "str str str? -> str", |row, _| {
        let with = row.get(2).map_or("", |w| w.str());
        let what = row[1].str();
        Ok(if what.is_empty() { row[0].clone() } else { row[0].str().replace(what, with).into() })
    });
    set.add("translate", "str str str -> str", |row, _| {
        let (from, to): (Vec<char>, Vec<char>) =
            (row[1].str().chars().collect(), row[2].str().chars().collect());
        let made: String = row[0]
            .str()
            .chars()
            .filter_map(|c| match from.iter().position(|f| *f == c) {
                Some(at) => to.get(at).copied(),
                None => Some(c),
            })
            .collect();
        Ok(made.into())
    });
}

fn encodings(set: &mut Set) {
    set.add("base64", "bytes -> str", |row, _| Ok(BASE64.encode(row[0].bytes()).into()));
    set.add("unbase64", "str -> bin", |row, _| {
        let clean: String = row[0].str().chars().filter(|c| !c.is_whitespace()).collect();
        let decoded = BASE64.decode(&clean).or_else(|_| {
            base64::engine::general_purpose::STANDARD_NO_PAD.decode(clean.trim_end_matches('='))
        });
        decoded.map(Value::Bin).map_err(|_| condition::parameter("unbase64", "the text is not base64"))
    });
    set.add("to_base32", "bytes -> str", |row, _| Ok(base32(row[0].bytes()).into()));
    set.add("from_base32", "str -> bin", |row, _| {
        from_base32(row[0].str())
            .map(Value::Bin)
            .ok_or_else(|| condition::parameter("from_base32", "the text is not base32"))
    });
    set.add("encode", "str str -> bin", |row, _| {
        let text = row[0].str();
        Ok(Value::Bin(match charset("encode", row[1].str())? {
            Charset::Utf8 => text.as_bytes().to_vec(),
            Charset::Ascii => {
                let byte = |c: char| c.is_ascii().then_some(c as u8);
                text.chars()
                    .map(byte)
                    .collect::<Option<_>>()
                    .ok_or_else(|| malformed("encode", row[1].str()))?
            }
            Charset::Latin => {
                let byte = |c: char| u8::try_from(u32::from(c)).ok();
                text.chars()
                    .map(byte)
                    .collect::<Option<_>>()
                    .ok_or_else(|| malformed("encode", row[1].str()))?
            }
            Charset::Utf16(true) => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Charset::Utf16(false) => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Charset::Utf16Mark => {
                [0xFE, 0xFF].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
            }
        }))
    });
    set.add("decode", "! any any any* -> str", decode);
    set.add("to_binary", "str str? -> bin", |row, _| {
        let text = row[0].str();
        let bad = || condition::error(
            trefoil_core::ErrorKind::InvalidArgument,
            "CONVERSION_INVALID_INPUT",
            "22018",
            format!("the text '{text}' cannot be converted to BINARY; use `try_to_binary` to get NULL instead."),
        );
        match row.get(1).map_or("hex", |f| f.str()).to_lowercase().as_str() {
            "utf-8" | "utf8" => Ok(Value::Bin(text.as_bytes().to_vec())),
            "hex" => unhex(text).map(Value::Bin).ok_or_else(bad),
            "base64" => BASE64.decode(text).map(Value::Bin).map_err(|_| bad()),
            other => Err(condition::parameter("to_binary", format!("`{other}` is not hex, utf-8 or base64"))),
        }
    });
    set.also_try("to_binary");
    set.add("is_valid_utf8", "bytes -> bool", |row, _| {
        Ok(std::str::from_utf8(row[0].bytes()).is_ok().into())
    });
    set.add("make_valid_utf8", "bytes -> str", |row, _| {
        Ok(String::from_utf8_lossy(row[0].bytes()).into_owned().into())
    });
    set.add("validate_utf8", "bytes -> str", |row, _| {
        String::from_utf8(row[0].bytes().to_vec()).map(Value::Str).map_err(|_| {
            condition::error(
                trefoil_core::ErrorKind::InvalidArgument,
                "INVALID_UTF8_STRING",
                "22029",
                format!("the bytes {} are not UTF-8.", hex(row[0].bytes())),
            )
        })
    });
    set.also_try("validate_utf8");
}

enum Charset {
    Utf8,
    Ascii,
    Latin,
    Utf16(bool),
    Utf16Mark,
}

fn charset(function: &str, name: &str) -> Result<Charset> {
    Ok(match name.to_uppercase().as_str() {
        "UTF-8" | "UTF8" => Charset::Utf8,
        "US-ASCII" | "ASCII" => Charset::Ascii,
        "ISO-8859-1" | "LATIN1" => Charset::Latin,
        "UTF-16BE" => Charset::Utf16(true),
        "UTF-16LE" => Charset::Utf16(false),
        "UTF-16" => Charset::Utf16Mark,
        other => return Err(condition::parameter(function, format!("there is no charset `{other}`"))),
    })
}

/// Two functions of one name: bytes to text, and a lookup of pairs.
fn decode(row: &[Value], site: &Site) -> Result<Value> {
    if row.len() > 2 {
        let key = &row[0];
        for pair in row[1..].chunks(2) {
            match pair {
                [candidate, result] if candidate == key || candidate.is_null() && key.is_null() => {
                    return Ok(text_of(result, site, row));
                }
                [default] => return Ok(text_of(default, site, row)),
                _ => {}
            }
        }
        return Ok(Value::Null);
    }
    if row.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let bytes = row[0].bytes();
    let units = |big: bool, bytes: &[u8]| -> Vec<u16> {
        bytes
            .chunks_exact(2)
            .map(|p| if big { u16::from_be_bytes([p[0], p[1]]) } else { u16::from_le_bytes([p[0], p[1]]) })
            .collect()
    };
    Ok(match charset("decode", row[1].str())? {
        Charset::Ascii if !bytes.is_ascii() => return Err(malformed("decode", row[1].str())),
        Charset::Utf8 | Charset::Ascii => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(malformed("decode", row[1].str())),
        },
        Charset::Latin => bytes.iter().map(|b| char::from(*b)).collect(),
        Charset::Utf16(big) => String::from_utf16_lossy(&units(big, bytes)),
        Charset::Utf16Mark => match bytes {
            [0xFF, 0xFE, rest @ ..] => String::from_utf16_lossy(&units(false, rest)),
            [0xFE, 0xFF, rest @ ..] => String::from_utf16_lossy(&units(true, rest)),
            rest => String::from_utf16_lossy(&units(true, rest)),
        },
    }
    .into())
}

fn malformed(function: &str, charset: &str) -> datafusion::error::DataFusionError {
    condition::error(
        trefoil_core::ErrorKind::InvalidArgument,
        "MALFORMED_CHARACTER_CODING",
        "22000",
        format!("`{function}`: the value has characters that {charset} does not have."),
    )
}

fn text_of(value: &Value, site: &Site, row: &[Value]) -> Value {
    let at = row.iter().position(|v| std::ptr::eq(v, value)).unwrap_or(0);
    if value.is_null() { Value::Null } else { format::cast_text(value, site.argument(at)).into() }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 5];
        block[..chunk.len()].copy_from_slice(chunk);
        let bits = block.iter().fold(0_u64, |bits, b| bits << 8 | u64::from(*b));
        let used = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            if index < used {
                out.push(char::from(BASE32[(bits >> (35 - 5 * index) & 31) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u64, 0);
    for c in text.trim_end_matches('=').bytes() {
        let digit = BASE32.iter().position(|b| *b == c.to_ascii_uppercase())?;
        bits = bits << 5 | digit as u64;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 255) as u8);
        }
    }
    Some(out)
}

fn misc(set: &mut Set) {
    set.add("mask", "! str str? str? str? str? -> str", |row, _| {
        if row[0].is_null() {
            return Ok(Value::Null);
        }
        let with = |index: usize, default: Option<char>| match row.get(index) {
            None => default,
            Some(value) => value.str().chars().next(),
        };
        let (upper, lower, digit, other) =
            (with(1, Some('X')), with(2, Some('x')), with(3, Some('n')), with(4, None));
        let masked: String = row[0]
            .str()
            .chars()
            .map(|c| {
                let mask = match c {
                    c if c.is_uppercase() => upper,
                    c if c.is_lowercase() => lower,
                    c if c.is_ascii_digit() => digit,
                    _ => other,
                };
                mask.unwrap_or(c)
            })
            .collect();
        Ok(masked.into())
    });
    set.add("luhn_check", "str -> bool", |row, _| {
        let text = row[0].str();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(false.into());
        }
        let sum: u32 = text
            .bytes()
            .rev()
            .enumerate()
            .map(|(index, b)| {
                let digit = u32::from(b - b'0') * (1 + index as u32 % 2);
                if digit > 9 { digit - 9 } else { digit }
            })
            .sum();
        Ok(sum.is_multiple_of(10).into())
    });
    set.typed(
        "sentences",
        "str str? str? -> ..",
        |_| Ok(types::list_of(types::list_of(DataType::Utf8))),
        |row, _| {
            let words = |sentence: &str| {
                Value::List(
                    sentence
                        .split(|c: char| !c.is_alphanumeric() && c != '\'')
                        .filter(|w| !w.is_empty())
                        .map(Value::from)
                        .collect(),
                )
            };
            let all = row[0].str().split(['.', '!', '?']).filter(|s| !s.trim().is_empty()).map(words);
            Ok(Value::List(all.collect()))
        },
    );
    set.add("randstr", "~ int long? -> str", |row, _| {
        let length = row[0].int().max(0) as usize;
        let seed = row.get(1).map_or_else(|| crate::value::datetime::now() as u64, |s| s.int() as u64);
        let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
        let alphabet = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let made: String = (0..length)
            .map(|_| {
                // A linear congruential step (Knuth's MMIX constants).
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(alphabet[(state >> 33) as usize % alphabet.len()])
            })
            .collect();
        Ok(made.into())
    });
}

fn soundex(text: &str) -> String {
    let code = |c: char| match c.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        'H' | 'W' => '7',
        _ => '0',
    };
    let Some(first) = text.chars().next().filter(char::is_ascii_alphabetic) else { return text.to_owned() };
    let mut out = first.to_ascii_uppercase().to_string();
    let mut last = code(first);
    for c in text.chars().skip(1).filter(char::is_ascii_alphabetic) {
        match code(c) {
            // H and W do not part equal codes.
            '7' => {}
            digit => {
                if digit != '0' && digit != last {
                    out.push(digit);
                    if out.len() == 4 {
                        break;
                    }
                }
                last = digit;
            }
        }
    }
    format!("{out:0<4}")
}

fn levenshtein(a: &str, b: &str) -> i64 {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<i64> = (0..=b.len() as i64).collect();
    for (i, c) in a.chars().enumerate() {
        let mut diagonal = i as i64;
        row[0] = diagonal + 1;
        for (j, d) in b.iter().enumerate() {
            let next = (diagonal + i64::from(c != *d)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

/// Winkler (1990): Jaro's similarity, raised by a common prefix of up to four characters.
fn jaro_winkler(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut used = vec![false; b.len()];
    let mut matched_a = Vec::new();
    for (i, c) in a.iter().enumerate() {
        let range = i.saturating_sub(window)..(i + window + 1).min(b.len());
        for j in range {
            if !used[j] && b[j] == *c {
                used[j] = true;
                matched_a.push(*c);
                break;
            }
        }
    }
    if matched_a.is_empty() {
        return 0.0;
    }
    let matched_b = b.iter().zip(&used).filter(|(_, used)| **used).map(|(c, _)| c);
    let swaps = matched_a.iter().zip(matched_b).filter(|(a, b)| a != b).count() as f64 / 2.0;
    let m = matched_a.len() as f64;
    let jaro = (m / a.len() as f64 + m / b.len() as f64 + (m - swaps) / m) / 3.0;
    let prefix = a.iter().zip(&b).take(4).take_while(|(x, y)| x == y).count() as f64;
    jaro + prefix * 0.1 * (1.0 - jaro)
}
