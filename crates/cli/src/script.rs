//! Statements one after another, their answers to a writer.

use crate::Outcome;
use crate::args::Output;
use crate::interrupt::Interrupts;
use crate::print::Printer;
use crate::write_error;
use std::io::Write;
use std::time::Instant;
use trefoil_core::ErrorKind;
use trefoil_plan::Session;
use trefoil_sql::{SqlSession, split_statements};

/// Runs every statement of the texts; stops at the first that fails unless told to go on.
pub(crate) fn run(
    session: &Session,
    texts: &[String],
    options: &Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
    interrupts: &Interrupts,
) -> Outcome {
    let mut first = Ok(());
    for statement in texts.iter().flat_map(|text| split_statements(text)) {
        let begin = Instant::now();
        let done = one(session, statement, &Printer::new(options.format, usize::MAX), out, interrupts);
        if options.timing {
            let _ = writeln!(err, "{:.3} s", begin.elapsed().as_secs_f64());
        }
        match done {
            Ok(_) => {}
            Err(error) if options.keep_going && error.kind() != ErrorKind::Cancelled => {
                // Told here, as only the first reaches the end; the caller tells that one.
                if first.is_ok() {
                    first = Err(error);
                } else {
                    let _ = writeln!(err, "{error}");
                }
            }
            Err(error) => return Err(error),
        }
    }
    out.flush().map_err(write_error)?;
    first
}

/// Runs one statement and prints its answer; gives the number of rows.
pub(crate) fn one(
    session: &Session,
    statement: &str,
    printer: &Printer,
    out: &mut dyn Write,
    interrupts: &Interrupts,
) -> trefoil_core::Result<usize> {
    session.block_on(interrupts.guard(async {
        let frame = session.sql(statement).await?;
        // A command that answers nothing prints nothing.
        if frame.columns().is_empty() {
            return Ok(0);
        }
        let rows = printer.print(&frame, out).await?;
        out.flush().map_err(write_error)?;
        Ok(rows)
    }))
}
