//! The interactive loop: read a statement or a meta command, run it, print, again.
//!
//! The history lives in `$XDG_STATE_HOME/trefoil/history` (or `~/.local/state/..`); without a home there is
//! none. A statement that fails is reported and the prompt goes on.

use crate::args::Format;
use crate::complete::Assistant;
use crate::interrupt::Interrupts;
use crate::meta::{HELP, Meta, parse};
use crate::print::Printer;
use crate::{Outcome, script, write_error};
use clap::ValueEnum;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::Session;
use trefoil_sql::split_statements;

/// Rows of an answer that are shown until `\rows` says otherwise.
const ROWS: usize = 100;

/// What the meta commands change.
struct State {
    format: Format,
    rows: usize,
    timing: bool,
}

pub(crate) fn run(session: &Session, out: &mut dyn Write, interrupts: &Interrupts) -> Outcome {
    let fail =
        |error: ReadlineError| Error::new(ErrorKind::Io, "prompt", error.to_string()).with_source(error);
    let config = Config::builder().auto_add_history(true).build();
    let mut editor: Editor<Assistant, FileHistory> = Editor::with_config(config).map_err(fail)?;
    editor.set_helper(Some(Assistant::new(session.clone())));
    let history = history_file();
    if let Some(file) = &history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    writeln!(out, "trefoil {} (\\? for help, \\q to quit)", env!("CARGO_PKG_VERSION"))
        .map_err(write_error)?;
    let mut state = State { format: Format::Table, rows: ROWS, timing: true };
    loop {
        match editor.readline("trefoil> ") {
            Ok(text) => {
                interrupts.forget();
                match step(session, &text, &mut state, out, interrupts) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => writeln!(out, "{error}").map_err(write_error)?,
                }
            }
            // Ctrl-C at the prompt gives the line up.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(fail(error)),
        }
    }
    if let Some(file) = &history {
        // A history that cannot be written is no reason to end with an error.
        let _ = file.parent().map(std::fs::create_dir_all);
        let _ = editor.save_history(file);
    }
    Ok(())
}

/// Runs what was typed; false to quit.
fn step(
    session: &Session,
    text: &str,
    state: &mut State,
    out: &mut dyn Write,
    interrupts: &Interrupts,
) -> Result<bool> {
    if !text.trim_start().starts_with('\\') {
        statements(session, text, state, out, interrupts)?;
        return Ok(true);
    }
    let say = |out: &mut dyn Write, text: String| writeln!(out, "{text}").map_err(write_error);
    match parse(text)? {
        Meta::Quit => return Ok(false),
        Meta::Help => write!(out, "{HELP}").map_err(write_error)?,
        Meta::Run(text) => statements(session, &text, state, out, interrupts)?,
        Meta::Timing(change) => {
            state.timing = change.unwrap_or(!state.timing);
            say(out, format!("timing is {}", if state.timing { "on" } else { "off" }))?;
        }
        Meta::Format(change) => {
            state.format = change.unwrap_or(state.format);
            let name =
                state.format.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
            say(out, format!("format is {name}"))?;
        }
        Meta::Rows(change) => {
            state.rows = change.unwrap_or(state.rows);
            let rows = if state.rows == 0 { "all".to_owned() } else { state.rows.to_string() };
            say(out, format!("rows shown: {rows}"))?;
        }
    }
    Ok(true)
}

fn statements(
    session: &Session,
    text: &str,
    state: &State,
    out: &mut dyn Write,
    interrupts: &Interrupts,
) -> Outcome {
    let limit = if state.rows == 0 { usize::MAX } else { state.rows };
    for statement in split_statements(text) {
        let begin = Instant::now();
        let rows = script::one(session, statement, &Printer::new(state.format, limit), out, interrupts)?;
        if state.timing {
            let more = if rows == limit { ", perhaps more: see \\rows" } else { "" };
            let plural = if rows == 1 { "" } else { "s" };
            let seconds = begin.elapsed().as_secs_f64();
            writeln!(out, "{rows} row{plural}{more} ({seconds:.3} s)").map_err(write_error)?;
        }
    }
    Ok(())
}

fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    Some(state?.join("trefoil/history"))
}
