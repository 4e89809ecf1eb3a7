//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::Read;
use std::path::{Path, PathBuf};
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{Dialect, Session};

/// SQL over files and tables, in one process.
///
/// Without a command: a prompt, or, when standard input is not a terminal, the statements found there.
#[derive(Debug, Parser)]
#[command(name = "trefoil", version, about)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run statements and exit; the exit code is 1 after the first that fails.
    Sql(Sql),
    /// Answer Flight SQL clients (ADBC, JDBC) until Ctrl-C.
    #[cfg(feature = "serve")]
    Serve(crate::serve::Serve),
}

/// Settings of the session.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Worker threads [default: one per core]
    #[arg(long, global = true)]
    workers: Option<usize>,
    /// Memory budget, such as 512MiB or 2GB [default: 80 % of what is granted]
    #[arg(long, global = true)]
    memory: Option<String>,
    /// Directory for spilled data [default: that of the system]
    #[arg(long, global = true, value_name = "DIR")]
    spill_dir: Option<PathBuf>,
    /// What the text of queries means
    #[arg(long, global = true, value_enum, default_value_t)]
    dialect: Meaning,
    /// Draw no progress bars (they are drawn on standard error if it is a terminal)
    #[arg(long, global = true)]
    no_progress: bool,
}

/// The dialects, as words of the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Meaning {
    /// Spark 4's SQL in ANSI mode
    #[default]
    Spark,
    /// DataFusion's SQL
    Datafusion,
}

impl Settings {
    pub(crate) fn session(&self) -> Result<Session> {
        let dialect = match self.dialect {
            Meaning::Spark => Dialect::Spark,
            Meaning::Datafusion => Dialect::DataFusion,
        };
        let mut builder = Session::builder().name("shell").dialect(dialect);
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        if let Some(memory) = &self.memory {
            builder = builder.memory(memory);
        }
        if let Some(dir) = &self.spill_dir {
            builder = builder.spill_dir(dir);
        }
        let session = builder.build()?;
        session.progress(!self.no_progress);
        Ok(session)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// Statements, separated by semicolons
    #[arg(value_name = "QUERY", required_unless_present = "file")]
    queries: Vec<String>,
    /// File of statements; `-` is standard input. Runs before QUERY; may be given several times
    #[arg(long, short, value_name = "FILE")]
    file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) options: Output,
}

impl Sql {
    /// The texts to run, files first.
    pub(crate) fn texts(&self, input: &mut dyn Read) -> Result<Vec<String>> {
        let mut texts = Vec::with_capacity(self.file.len() + self.queries.len());
        for file in &self.file {
            texts.push(match file == Path::new("-") {
                true => read_all(input, "standard input")?,
                false => read_file(file)?,
            });
        }
        texts.extend(self.queries.iter().cloned());
        Ok(texts)
    }
}

/// How answers are written.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Output {
    /// Form of the answers
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Go on after a statement that fails; the exit code is 1 all the same
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Print the time each statement took to standard error
    #[arg(long)]
    pub(crate) timing: bool,
}

/// A form in which answers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table with borders, for people
    #[default]
    Table,
    /// Comma-separated values with a header line; null is NULL without quotes
    Csv,
    /// An array of objects, one per line
    Json,
}

pub(crate) fn read_file(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        Error::new(kind, "read", format!("cannot read `{}`: {error}", path.display())).with_source(error)
    })
}

pub(crate) fn read_all(input: &mut dyn Read, name: &str) -> Result<String> {
    let mut text = String::new();
    input.read_to_string(&mut text).map_err(|error| {
        Error::new(ErrorKind::Io, "read", format!("cannot read {name}: {error}")).with_source(error)
    })?;
    Ok(text)
}
