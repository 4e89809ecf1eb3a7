//! Options that come as text, with the path: what `read_csv('path', header => false)` becomes.
//!
//! The names are Spark's, in any case, with DataFusion's and DuckDB's words beside them.

use super::find::Format;
use super::{CsvOptions, Malformed};
use trefoil_core::{Error, ErrorKind, Result, suggest};

/// Between a path and its options, and between these: a character that no path has.
pub const PATH_OPTION: char = '\u{1}';

/// A path, and what stands after it.
pub(super) fn split<'a>(
    operation: &'static str,
    path: &'a str,
) -> Result<(&'a str, Vec<(&'a str, &'a str)>)> {
    let mut parts = path.split(PATH_OPTION);
    let path = parts.next().unwrap_or_default();
    let pair = |part: &'a str| {
        part.split_once('=').ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, operation, format!("`{part}` is no option with a value"))
        })
    };
    Ok((path, parts.map(pair).collect::<Result<_>>()?))
}

const NAMES: [&str; 14] = [
    "header",
    "sep",
    "delimiter",
    "quote",
    "escape",
    "comment",
    "nullValue",
    "multiLine",
    "mode",
    "columnNameOfCorruptRecord",
    "dateFormat",
    "timestampFormat",
    "inferRows",
    "padShortRows",
];

/// The options.
pub(super) fn options(
    operation: &'static str,
    format: Format,
    stated: &[(&str, &str)],
) -> Result<CsvOptions> {
    let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, operation, message);
    let mut options = CsvOptions::new();
    let (mut column, mut mode) = ("_corrupt_record".to_owned(), "FAILFAST".to_owned());
    for (name, value) in stated {
        let flag = || match value.to_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong(format!("the option {name} is true or false, not `{value}`"))),
        };
        let byte = || match value.as_bytes() {
            [one] => Ok(*one),
            b"\\t" => Ok(b'\t'),
            _ => Err(wrong(format!("the option {name} is one character, not `{value}`"))),
        };
        let word = name.to_lowercase().replace('_', "");
        if !matches!(format, Format::Csv | Format::Json) {
            return Err(wrong(format!("{} files have no option {name}", format.title())));
        }
        let for_csv = !matches!(word.as_str(), "mode" | "columnnameofcorruptrecord" | "inferrows");
        if format == Format::Json && for_csv {
            return Err(wrong(format!("JSON files have no option {name}")));
        }
        options = match word.as_str() {
            "header" if value.eq_ignore_ascii_case("auto") => options.detect_header(),
            "header" => options.header(flag()?),
            "sep" | "delimiter" | "delim" => options.delimiter(byte()?),
            "quote" => options.quote(byte()?),
            "escape" => options.escape(byte()?),
            "comment" => options.comment(byte()?),
            "nullvalue" | "nullstr" | "nulls" => options.nulls([*value]),
            "multiline" => options.newlines_in_values(flag()?),
            "padshortrows" => options.pad_short_rows(flag()?),
            "dateformat" => options.date_format(strftime(operation, value)?),
            "timestampformat" => options.timestamp_format(strftime(operation, value)?),
            "inferrows" => options
                .infer_rows(value.parse().map_err(|_| wrong(format!("`{value}` is no number of rows")))?),
            "mode" => {
                mode = value.to_uppercase();
                options
            }
            "columnnameofcorruptrecord" => {
                column = (*value).to_owned();
                options
            }
            _ => {
                let error =
                    Error::new(ErrorKind::Unsupported, operation, format!("the option {name} is not known"));
                return Err(match suggest(name, NAMES) {
                    Some(near) => error.with_help(format!("did you mean `{near}`?")),
                    None => error.with_help(format!("known are {}", NAMES.join(", "))),
                });
            }
        };
    }
    Ok(options.malformed(match mode.as_str() {
        "FAILFAST" => Malformed::Fail,
        "DROPMALFORMED" => Malformed::Drop,
        "PERMISSIVE" => Malformed::Keep(column),
        other => {
            return Err(wrong(format!("the mode `{other}` is not known"))
                .with_help("modes are FAILFAST, DROPMALFORMED and PERMISSIVE"));
        }
    }))
}

/// A pattern of Spark's (`dd/MM/yyyy`) as one of `strftime`'s; the latter stay as they are.
fn strftime(operation: &'static str, pattern: &str) -> Result<String> {
    if pattern.contains('%') {
        return Ok(pattern.to_owned());
    }
    let chars: Vec<char> = pattern.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    while at < chars.len() {
        let c = chars[at];
        let run = chars[at..].iter().take_while(|next| **next == c).count();
        let code = match (c, run) {
            ('y', 4) => "%Y",
            ('y', 2) => "%y",
            ('M', 1 | 2) => "%m",
            ('M', 3) => "%b",
            ('M', 4) => "%B",
            ('d', 1 | 2) => "%d",
            ('H', 1 | 2) => "%H",
            ('h', 1 | 2) => "%I",
            ('m', 1 | 2) => "%M",
            ('s', 1 | 2) => "%S",
            ('a', 1) => "%p",
            ('S', 1..=9) => "%f",
            ('E', 1..=3) => "%a",
            ('D', 1..=3) => "%j",
            ('\'', _) => {
                let text: String = chars[at + 1..].iter().take_while(|next| **next != '\'').collect();
                at += text.chars().count() + 2;
                out.push_str(&text);
                continue;
            }
            (c, _) if c.is_ascii_alphabetic() => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    operation,
                    format!("the letters `{}` of the pattern `{pattern}`", c.to_string().repeat(run)),
                ));
            }
            (c, run) => {
                out.extend(std::iter::repeat_n(c, run));
                at += run;
                continue;
            }
        };
        out.push_str(code);
        at += run;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, expect: Option<&str>| {
            assert_eq!(strftime("test", pattern).ok().as_deref(), expect, "{pattern}");
        };
        check("dd/MM/yyyy", Some("%d/%m/%Y"));
        check("yyyy-MM-dd'T'HH:mm:ss", Some("%Y-%m-%dT%H:%M:%S"));
        check("%d.%m.%y", Some("%d.%m.%y"));
        check("GG", None);
    }
}
