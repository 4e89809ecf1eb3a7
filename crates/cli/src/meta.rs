//! Meta commands of the prompt: lines that begin with a backslash.

use crate::args::{Format, read_file};
use clap::ValueEnum;
use std::path::Path;
use trefoil_core::{Error, ErrorKind, Result, suggest};

/// What a meta command asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Meta {
    Help,
    Quit,
    /// Statements to run in its stead.
    Run(String),
    Timing(Option<bool>),
    Format(Option<Format>),
    /// Rows shown of an answer; 0 is all.
    Rows(Option<usize>),
}

/// What `\?` prints.
pub(crate) const HELP: &str = "\
  \\d             list tables and views
  \\d TABLE       describe a table
  \\f [FORMAT]    show or set the form of answers: table, csv, json
  \\rows [N]      show or set how many rows of an answer are shown; 0 is all
  \\timing [on|off]
  \\i FILE        run the statements of a file
  \\? , \\h        this help
  \\q             quit
A statement ends with a semicolon and may span lines. Ctrl-C cancels it, Ctrl-D quits.
";

const NAMES: [&str; 9] = ["\\d", "\\f", "\\rows", "\\timing", "\\i", "\\?", "\\h", "\\q", "\\format"];

/// Reads a line that begins with a backslash.
pub(crate) fn parse(line: &str) -> Result<Meta> {
    let line = line.trim().trim_end_matches(';');
    let (name, argument) = match line.split_once(char::is_whitespace) {
        Some((name, argument)) => (name, argument.trim()),
        None => (line, ""),
    };
    let invalid = |what: String| Error::new(ErrorKind::InvalidArgument, "prompt", what);
    match (name, argument) {
        ("\\?" | "\\h", _) => Ok(Meta::Help),
        ("\\q", _) => Ok(Meta::Quit),
        ("\\d", "") => Ok(Meta::Run("SHOW TABLES".to_owned())),
        ("\\d", table) => Ok(Meta::Run(format!("DESCRIBE {table}"))),
        ("\\i", "") => Err(invalid("`\\i` needs the name of a file".to_owned())),
        ("\\i", file) => Ok(Meta::Run(read_file(Path::new(file))?)),
        ("\\timing", "") => Ok(Meta::Timing(None)),
        ("\\timing", "on") => Ok(Meta::Timing(Some(true))),
        ("\\timing", "off") => Ok(Meta::Timing(Some(false))),
        ("\\timing", other) => Err(invalid(format!("`\\timing` is on or off, not `{other}`"))),
        ("\\f" | "\\format", "") => Ok(Meta::Format(None)),
        ("\\f" | "\\format", format) => Format::from_str(format, true)
            .map(|format| Meta::Format(Some(format)))
            .map_err(|_| invalid(format!("there is no format `{format}`: table, csv or json"))),
        ("\\rows", "") => Ok(Meta::Rows(None)),
        ("\\rows", n) => n
            .parse()
            .map(|n| Meta::Rows(Some(n)))
            .map_err(|_| invalid(format!("`\\rows` takes a number, not `{n}`"))),
        (other, _) => {
            let error = invalid(format!("there is no command `{other}`"));
            Err(match suggest(other, NAMES) {
                Some(near) => error.with_help(format!("did you mean `{near}`? `\\?` lists all")),
                None => error.with_help("`\\?` lists all"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        #[track_caller]
        fn check(line: &str, expect: Meta) {
            assert_eq!(parse(line).unwrap(), expect, "{line}");
        }
        check("\\?", Meta::Help);
        check("\\q", Meta::Quit);
        check("\\d", Meta::Run("SHOW TABLES".into()));
        check("\\d flights;", Meta::Run("DESCRIBE flights".into()));
        check("\\timing", Meta::Timing(None));
        check("\\timing on", Meta::Timing(Some(true)));
        check("\\f csv", Meta::Format(Some(Format::Csv)));
        check("\\f", Meta::Format(None));
        check("\\rows 0", Meta::Rows(Some(0)));
    }

    #[test]
    fn refusals() {
        #[track_caller]
        fn check(line: &str, expect: &str) {
            let text = parse(line).unwrap_err().to_string();
            assert!(text.contains(expect), "{line}: {text}");
        }
        check("\\timign on", "did you mean `\\timing`?");
        check("\\f xml", "there is no format `xml`");
        check("\\rows many", "`\\rows` takes a number, not `many`");
        check("\\i", "needs the name of a file");
        check("\\i no/such/file.sql", "cannot read `no/such/file.sql`");
        check("\\timing maybe", "`\\timing` is on or off");
    }
}
