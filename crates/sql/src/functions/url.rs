//! URLs: their parts and their escapes.

use super::Set;
use crate::condition;
use crate::value::Value;
use datafusion::error::Result;
use trefoil_core::ErrorKind;

pub(super) fn add(set: &mut Set) {
    set.add("parse_url", "str str str? -> str", |row, _| {
        let Some(url) = Url::read(row[0].str()) else {
            return Err(condition::error(
                ErrorKind::InvalidArgument,
                "INVALID_URL",
                "22P02",
                format!("'{}' is no URL; use `try_parse_url` to get NULL instead.", row[0].str()),
            ));
        };
        let part = match row[1].str() {
            "HOST" => url.host,
            "PATH" => Some(url.path),
            "QUERY" => url.query,
            "REF" => url.fragment,
            "PROTOCOL" => Some(url.scheme),
            "FILE" => {
                let query = url.query.map_or(String::new(), |q| format!("?{q}"));
                return Ok(format!("{}{query}", url.path).into());
            }
            "AUTHORITY" => url.authority,
            "USERINFO" => url.user,
            _ => None,
        };
        match row.get(2) {
            Some(key) if row[1].str() == "QUERY" => {
                let value = part.and_then(|query| {
                    query.split('&').find_map(|pair| pair.strip_prefix(key.str())?.strip_prefix('='))
                });
                Ok(value.into())
            }
            Some(_) => Ok(Value::Null),
            None => Ok(part.into()),
        }
    });
    set.also_try("parse_url");
    set.add("url_encode", "str -> str", |row, _| {
        let mut out = String::new();
        for byte in row[0].str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                    out.push(char::from(byte))
                }
                b' ' => out.push('+'),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        Ok(out.into())
    });
    set.add("url_decode", "str -> str", |row, _| decode(row[0].str()).map(Value::Str));
    set.also_try("url_decode");
}

fn decode(text: &str) -> Result<String> {
    let wrong = || {
        condition::error(
            ErrorKind::InvalidArgument,
            "CANNOT_DECODE_URL",
            "22546",
            format!("'{text}' is no encoded URL; use `try_url_decode` to get NULL instead."),
        )
    };
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = text.get(at + 1..at + 3).ok_or_else(wrong)?;
                out.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
                at += 2;
            }
            other => out.push(other),
        }
        at += 1;
    }
    String::from_utf8(out).map_err(|_| wrong())
}

struct Url<'a> {
    scheme: &'a str,
    authority: Option<&'a str>,
    user: Option<&'a str>,
    host: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Url<'a> {
    /// RFC 3986, appendix B, without characters that a URI must not hold.
    fn read(text: &'a str) -> Option<Url<'a>> {
        if text.contains(|c: char| c.is_whitespace() || "<>\"{}|\\^`".contains(c)) {
            return None;
        }
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (text, None),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (scheme, rest) = rest.split_once(':')?;
        let valid = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(valid) {
            return None;
        }
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        let (user, place) = match authority.and_then(|a| a.rsplit_once('@')) {
            Some((user, place)) => (Some(user), Some(place)),
            None => (None, authority),
        };
        let host = place.map(|place| match place.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => place,
        });
        let host = host.filter(|host| !host.is_empty());
        Some(Url { scheme, authority, user, host, path, query, fragment })
    }
}
