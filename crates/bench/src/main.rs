//! Benchmarks of trefoil, each beside a peer that does the same work in the same run.
//!
//! `cargo run --release -p trefoil-bench -- SUITE` runs a suite and prints a table; `--json FILE` also
//! writes one JSON object a line, `{"peer":..,"case":..,"value":..,"unit":..,"params":{..}}`, the form all
//! peers write, so that `compare A.json B.json` can set any two runs beside each other.
//!
//! Exit codes: 0 done, 1 a case failed or two peers disagree, 2 the arguments are wrong.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

// The macros of the tasks leaf name `::trefoil`; without the facade this crate builds without DataFusion.
extern crate trefoil_tasks as trefoil;

mod arguments;
mod compare;
mod core_suite;
#[cfg(feature = "sql")]
mod frames_suite;
mod measure;
#[cfg(feature = "sql")]
mod memory_suite;
#[cfg(feature = "sql")]
mod mixed;
mod report;
#[cfg(feature = "sql")]
mod resident;
#[cfg(feature = "sql")]
mod small_files;
#[cfg(feature = "sql")]
mod sql_peer;
#[cfg(feature = "sql")]
mod sql_suite;
#[cfg(feature = "sql")]
mod start;
#[cfg(feature = "sql")]
mod tpcds;
#[cfg(feature = "sql")]
mod tpch;
#[cfg(feature = "sql")]
mod trivial;

use std::process::ExitCode;

use arguments::{Arguments, Suite};

/// A library sets no allocator; binaries and benches do. Every peer in this process uses the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let texts: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(feature = "sql")]
    if let [first, rest @ ..] = &texts[..]
        && first == start::CHILD
    {
        return exit_code(start::child(rest, std::io::stdout()));
    }
    #[cfg(feature = "sql")]
    if let [first, rest @ ..] = &texts[..]
        && first == frames_suite::CHILD
    {
        return exit_code(frames_suite::child(rest, std::io::stdout()));
    }
    match Arguments::parse(texts) {
        Ok(arguments) => exit_code(run(arguments)),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trefoil-bench: {error}");
            ExitCode::from(1)
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match &arguments.suite {
        Suite::Help => {
            println!("{}", arguments::USAGE);
            Ok(())
        }
        Suite::Compare(left, right) => {
            print!("{}", compare::table(&report::read(left)?, &report::read(right)?));
            Ok(())
        }
        Suite::Core => core_suite::run(&arguments),
        #[cfg(feature = "sql")]
        Suite::Sql => sql_suite::run(&arguments),
        #[cfg(feature = "sql")]
        Suite::Tpcds => sql_suite::run_tpcds(&arguments),
        #[cfg(feature = "sql")]
        Suite::Files => sql_suite::run_files(&arguments),
        #[cfg(feature = "sql")]
        Suite::Frames => frames_suite::run(&arguments),
        #[cfg(feature = "sql")]
        Suite::Memory => memory_suite::run(&arguments),
        #[cfg(feature = "sql")]
        Suite::Mixed => mixed::run(&arguments),
        #[cfg(feature = "sql")]
        Suite::Start => start::run(&arguments),
        #[cfg(not(feature = "sql"))]
        Suite::Sql
        | Suite::Tpcds
        | Suite::Files
        | Suite::Frames
        | Suite::Memory
        | Suite::Mixed
        | Suite::Start => {
            Err("this binary was built without the feature `sql`, which this suite needs".into())
        }
    }
}
