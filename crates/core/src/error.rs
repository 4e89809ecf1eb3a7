//! The one error type of the trefoil crates: opaque, cheap to clone, matchable by kind.
//!
//! An error says what was wrong (`message`), where (`operation`, and for tasks the task's name, call site
//! and attempt), what to do (`help`) and why (the `source` chain, which keeps the user's own error
//! downcastable). It is counted, because the error of one task reaches all its dependents unchanged.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or option is outside what the operation accepts.
    InvalidArgument,
    /// A file, a named actor or another thing that was asked for does not exist.
    NotFound,
    /// A name is already taken.
    AlreadyExists,
    /// A column name that the table does not have.
    UnknownColumn,
    /// A table name that the catalog does not have.
    UnknownTable,
    /// A value or expression has another type than the operation needs.
    TypeMismatch,
    /// Array shapes or chunkings that do not fit together.
    ShapeMismatch,
    /// Text that could not be parsed, such as a query.
    Syntax,
    /// Input data that breaks its own format, such as a ragged CSV row.
    MalformedData,
    /// The operating system refused to read or write.
    Io,
    /// The memory budget cannot hold what was asked for.
    OutOfMemory,
    /// A task or actor method returned an error of its own.
    User,
    /// A task or actor method panicked.
    Panicked,
    /// The work was cancelled.
    Cancelled,
    /// A wait took longer than its caller allows; the work goes on.
    TimedOut,
    /// A task's own deadline passed before it ended.
    DeadlineExceeded,
    /// A queue with a limit is full; the work was not taken.
    Overloaded,
    /// A queue or a semaphore was closed.
    Closed,
    /// A worker group was destroyed, or one of its ranks ended or broke the protocol.
    GroupBroken,
    /// The actor has ended.
    ActorDead,
    /// The engine has been shut down.
    ShutDown,
    /// A graph depends on itself.
    Cycle,
    /// A wait that could never end: the one who waits is needed for what it waits for.
    Deadlock,
    /// Something trefoil understands but does not do.
    Unsupported,
    /// A stored value is lost or its file is damaged.
    DataLost,
    /// A defect in trefoil; please report it.
    Internal,
}

/// Which task an error comes from.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// The task's name.
    pub name: Cow<'static, str>,
    /// Where the call was written.
    pub location: &'static Location<'static>,
    /// Which attempt failed, from 1.
    pub attempt: u32,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    message: String,
    help: Option<String>,
    task: Option<TaskInfo>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The error of every fallible trefoil operation.
///
/// # Examples
///
/// ```
/// use trefoil_core::{Error, ErrorKind};
///
/// let error = Error::unknown_column("select", "prise", ["price", "carat"]);
/// assert_eq!(error.kind(), ErrorKind::UnknownColumn);
/// assert_eq!(error.to_string(), "select: no column `prise`; did you mean `price`? (columns: price, carat)");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

impl Error {
    /// An error of `kind`, raised by `operation`, with a message that says what was wrong and where.
    pub fn new(kind: ErrorKind, operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            operation: operation.into(),
            message: message.into(),
            help: None,
            task: None,
            source: None,
        }))
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        self.edit(|inner| inner.help = Some(help.into()))
    }

    /// Adds the cause; it stays reachable through [`Error::downcast_ref`] and `source`.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.edit(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// Wraps the error that a task or actor method returned. An [`Error`] comes through unchanged.
    pub fn user(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match error.into().downcast::<Error>() {
            Ok(own) => *own,
            Err(foreign) => {
                let message = foreign.to_string();
                Self::new(ErrorKind::User, "task", message).with_source(foreign)
            }
        }
    }

    /// The error of a panic whose payload was caught by `operation`.
    pub fn panicked(operation: impl Into<Cow<'static, str>>, payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is not text".to_owned());
        Self::new(ErrorKind::Panicked, operation, format!("panicked: {text}"))
    }

    /// A column that is not there, with the nearest known name.
    pub fn unknown_column<S: AsRef<str>>(
        operation: impl Into<Cow<'static, str>>,
        name: &str,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::unknown(ErrorKind::UnknownColumn, "column", operation.into(), name, known)
    }

    /// A table that is not there, with the nearest known name.
    pub fn unknown_table<S: AsRef<str>>(
        operation: impl Into<Cow<'static, str>>,
        name: &str,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::unknown(ErrorKind::UnknownTable, "table", operation.into(), name, known)
    }

    /// A name that is not there, with the nearest known one.
    pub(crate) fn unknown<S: AsRef<str>>(
        kind: ErrorKind,
        what: &str,
        operation: Cow<'static, str>,
        name: &str,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        const SHOWN: usize = 12;
        let known: Vec<String> = known.into_iter().map(|s| s.as_ref().to_owned()).collect();
        let mut list = known.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if known.len() > SHOWN {
            list.push_str(&format!(", and {} more", known.len() - SHOWN));
        }
        let error = Self::new(kind, operation, format!("no {what} `{name}`"));
        match (suggest(name, &known), known.is_empty()) {
            (Some(near), _) => error.with_help(format!("did you mean `{near}`? ({what}s: {list})")),
            (None, false) => error.with_help(format!("{what}s: {list}")),
            (None, true) => error.with_help(format!("there are no {what}s here")),
        }
    }

    /// The same error, said to come from this task; an inner task's mark is kept.
    #[must_use]
    pub fn in_task(self, task: TaskInfo) -> Self {
        if self.0.task.is_some() { self } else { self.edit(|inner| inner.task = Some(task)) }
    }

    /// What went wrong, for matching.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, in the user's words, such as `read_csv`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What was wrong and where, without operation and help.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The task that failed, when the error comes from one.
    pub fn task(&self) -> Option<&TaskInfo> {
        self.0.task.as_ref()
    }

    /// Whether the work was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.kind() == ErrorKind::Cancelled
    }

    /// Whether two handles are the same error: a failure that reached a dependent is.
    pub fn same_as(&self, other: &Error) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Searches the chain of causes for an `E`, such as the error a task returned.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, message, help, task, .. } = &*self.0;
        match task {
            Some(TaskInfo { name, location, attempt }) => {
                write!(f, "task `{name}` (called at {}:{}", location.file(), location.line())?;
                if *attempt > 1 {
                    write!(f, ", attempt {attempt}")?;
                }
                write!(f, "): ")?;
                if operation != "task" {
                    write!(f, "{operation}: ")?;
                }
            }
            None => write!(f, "{operation}: ")?,
        }
        f.write_str(message)?;
        match help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    /// `Debug` is what `fn main() -> Result<()>` prints, so it reads like `Display` plus the causes: the
    /// first line of each that says something new.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{:?}]", self.0.kind)?;
        let mut said = self.0.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            if !said.contains(line) {
                write!(f, "\n  caused by: {line}")?;
                said.push_str(&text);
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The name in `known` nearest to `name`, if any is near enough to be a slip of the hand.
///
/// Comparison ignores case; the measure is the Damerau-Levenshtein distance, at most a third of the
/// longer name (and at least one slip).
pub fn suggest<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            let lower = candidate.as_ref().to_lowercase();
            let limit = (wanted.chars().count().max(lower.chars().count()) / 3).max(1);
            (strsim::damerau_levenshtein(&wanted, &lower), limit, candidate)
        })
        .filter(|(distance, limit, _)| distance <= limit)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., candidate)| candidate.as_ref().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        let check = |name: &str, known: &[&str], expect: Option<&str>| {
            assert_eq!(suggest(name, known).as_deref(), expect, "{name} in {known:?}");
        };
        check("prise", &["price", "carat"], Some("price"));
        check("PRICE", &["price"], Some("price"));
        check("carta", &["price", "carat"], Some("carat"));
        check("colour", &["color", "cut"], Some("color"));
        check("zebra", &["price", "carat"], None);
        check("x", &[], None);
    }

    #[test]
    fn the_user_error_stays_downcastable_and_is_not_wrapped_twice() {
        let first = Error::user(std::io::Error::other("disk on fire"));
        assert_eq!(first.kind(), ErrorKind::User);
        assert!(first.downcast_ref::<std::io::Error>().is_some());
        let second = Error::user(first.clone());
        assert!(second.same_as(&first));
    }
}
