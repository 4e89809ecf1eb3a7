//! The SQL shell of trefoil: one binary, `trefoil`, for queries over files and tables.
//!
//! ```text
//!   trefoil sql "SELECT 1 + 1"                   one or several statements, then exit
//!   trefoil sql --file report.sql --format csv   from a file, or from standard input with `--file -`
//!   trefoil                                      a prompt with history, completion and meta commands
//!   trefoil serve --listen 127.0.0.1:50051       a Flight SQL server (feature `serve`)
//! ```
//!
//! Answers go to standard output as `table`, `csv` or `json`; errors to standard error, with exit code 1.
//! Ctrl-C cancels the query that runs; outside the prompt it then ends the program with exit code 130.
//!
//! The parts: `args` reads the command line, `script` runs statements one after another, `print` writes
//! answers, `prompt` is the interactive loop with `complete` and `meta` beside it, `serve` the server, `interrupt`
//! turns Ctrl-C into the end of a query.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod args;
mod complete;
mod interrupt;
mod meta;
mod print;
mod prompt;
mod script;
#[cfg(feature = "serve")]
mod serve;

use args::{Arguments, Command};
use clap::Parser;
use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use trefoil_core::{Error, ErrorKind, Result};

/// Runs the shell with the arguments, standard streams and signals of this process.
///
/// The exit code is 0, 1 after an error in a statement, 2 after one in the command line, and 130 after
/// Ctrl-C.
pub fn main() -> ExitCode {
    let interrupts = interrupt::Interrupts::of_process();
    let mut stdin = std::io::stdin();
    let interactive = stdin.is_terminal();
    let mut out = std::io::stdout().lock();
    let code =
        run(std::env::args_os(), &mut stdin, interactive, &mut out, &mut std::io::stderr(), &interrupts);
    ExitCode::from(code)
}

/// Runs the shell with arguments and streams of the caller's choice, as a test does; `args` begins with the
/// program's name. Gives the exit code.
///
/// ```
/// let (mut out, mut err) = (Vec::new(), Vec::new());
/// let args = ["trefoil", "sql", "--format", "csv", "SELECT 1 AS a, 'x' AS b"];
/// assert_eq!(trefoil_cli::run_with(args, &mut std::io::empty(), &mut out, &mut err), 0);
/// assert_eq!(String::from_utf8_lossy(&out), "a,b\n1,x\n");
/// ```
pub fn run_with<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    run(args, input, false, out, err, &interrupt::Interrupts::never())
}

fn run<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    input: &mut dyn Read,
    interactive: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
    interrupts: &interrupt::Interrupts,
) -> u8 {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(refused) => {
            let text = refused.render();
            let wrong = refused.use_stderr();
            // Nobody is left to tell when the streams are gone.
            let _ = match wrong {
                true => write!(err, "{text}"),
                false => write!(out, "{text}"),
            };
            return if wrong { 2 } else { 0 };
        }
    };
    let done = match arguments.command {
        Some(Command::Sql(sql)) => sql.texts(input).and_then(|texts| {
            let session = arguments.settings.session()?;
            script::run(&session, &texts, &sql.options, out, err, interrupts)
        }),
        #[cfg(feature = "serve")]
        Some(Command::Serve(serve)) => {
            arguments.settings.session().and_then(|session| serve::run(&session, &serve, out, interrupts))
        }
        None => arguments.settings.session().and_then(|session| match interactive {
            true => prompt::run(&session, out, interrupts),
            false => {
                let text = args::read_all(input, "standard input")?;
                script::run(&session, &[text], &args::Output::default(), out, err, interrupts)
            }
        }),
    };
    match done {
        Ok(()) => 0,
        Err(error) if error.kind() == ErrorKind::Cancelled && interrupts.happened() => 130,
        // A reader that has had enough (`trefoil sql .. | head`) is no failure.
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            let _ = writeln!(err, "{error}");
            1
        }
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if at.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = at.source();
    }
    false
}

/// A failure to write an answer.
fn write_error(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "print", error.to_string()).with_source(error)
}

type Outcome = Result<()>;
