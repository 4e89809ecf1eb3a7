//! How an error of DataFusion becomes an error of trefoil.
//!
//! DataFusion wraps the cause in contexts, diagnostics and shared pointers; what the user needs is the
//! innermost cause, its kind and, where a name was not found, the nearest names. An error of ours that
//! travelled through a plan comes out unchanged.

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use trefoil_core::{Error, ErrorKind};

/// Turns an error of DataFusion into one of trefoil, with `operation` as the operation that failed.
///
/// The original error stays in the chain of causes.
///
/// ```
/// use datafusion::error::DataFusionError;
/// use trefoil_plan::{ErrorKind, plan_error};
///
/// let error = plan_error(DataFusionError::NotImplemented("time travel".into()), "sql");
/// assert_eq!(error.kind(), ErrorKind::Unsupported);
/// assert_eq!(error.to_string(), "sql: time travel");
/// ```
pub fn plan_error(error: DataFusionError, operation: &'static str) -> Error {
    if let Some(own) = own_error(&error) {
        return own.clone();
    }
    translate(root(&error), operation).with_source(error)
}

/// Line and column (both from 1) of the piece of SQL text that an error of DataFusion is about, if known.
pub fn span_of(error: &DataFusionError) -> Option<(u64, u64)> {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => diagnostic
            .span
            .map(|span| (span.start.line, span.start.column))
            .filter(|(line, _)| *line > 0)
            .or_else(|| span_of(inner)),
        DataFusionError::Context(_, inner) => span_of(inner),
        DataFusionError::Shared(inner) => span_of(inner),
        DataFusionError::Collection(all) => all.first().and_then(span_of),
        DataFusionError::SQL(parser, _) => position(parser_message(parser)).map(|(_, place)| place),
        _ => None,
    }
}

/// The innermost DataFusion error.
pub(crate) fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, root),
        DataFusionError::ArrowError(arrow, _) => match &**arrow {
            ArrowError::ExternalError(inner) => inner.downcast_ref().map_or(error, root),
            _ => error,
        },
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => root(inner),
            None => match inner.downcast_ref::<ArrowError>() {
                Some(ArrowError::ExternalError(inner)) => inner.downcast_ref().map_or(error, root),
                _ => error,
            },
        },
        _ => error,
    }
}

/// An error of ours somewhere in the chain of causes.
fn own_error(error: &DataFusionError) -> Option<&Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(root(error));
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own);
        }
        cause = error.source();
    }
    None
}

/// Whether the query ran out of memory budget.
pub(crate) fn is_out_of_memory(error: &DataFusionError) -> bool {
    matches!(root(error), DataFusionError::ResourcesExhausted(_))
}

/// Whether the error came from reading bytes that break their format.
pub(crate) fn is_malformed(error: &DataFusionError) -> bool {
    match root(error) {
        DataFusionError::ArrowError(arrow, _) => {
            use ArrowError::{AvroError, CastError, CsvError, JsonError, ParseError};
            // a CSV with words for null of its own is converted by casts
            matches!(**arrow, CsvError(_) | ParseError(_) | JsonError(_) | CastError(_) | AvroError(_))
        }
        DataFusionError::ParquetError(_) => true,
        DataFusionError::Execution(text) => text.contains("unequal lengths between records"),
        _ => false,
    }
}

fn translate(error: &DataFusionError, operation: &'static str) -> Error {
    use ErrorKind::*;
    let new = |kind: ErrorKind, message: &str| Error::new(kind, operation, message.trim_end());
    match error {
        DataFusionError::SchemaError(schema, _) => schema_error(schema, operation),
        DataFusionError::SQL(parser, _) => syntax_error(parser, operation),
        DataFusionError::ResourcesExhausted(text) => new(OutOfMemory, text)
            .with_help("raise the engine's memory limit, or ask for fewer columns and rows"),
        DataFusionError::NotImplemented(text) => unsupported(text, operation),
        DataFusionError::Plan(text) => new(plan_kind(text), text),
        DataFusionError::Configuration(text) | DataFusionError::Execution(text) => {
            new(if is_type_message(text) { TypeMismatch } else { InvalidArgument }, text)
        }
        DataFusionError::ArrowError(arrow, _) => arrow_error(arrow, operation),
        DataFusionError::ParquetError(parquet) => new(MalformedData, &parquet.to_string()),
        DataFusionError::IoError(io) => io_error(io, operation),
        DataFusionError::ObjectStore(store) => match &**store {
            object_store::Error::NotFound { path, .. } => new(NotFound, &format!("`{path}` does not exist")),
            refused @ (object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }) => new(Io, &refused.to_string()).with_help(
                "see whether the environment has the keys of this store, and whether they may read it",
            ),
            other => new(Io, &other.to_string()),
        },
        DataFusionError::ExecutionJoin(join) if join.is_cancelled() => {
            new(Cancelled, "the query was cancelled")
        }
        DataFusionError::ExecutionJoin(join) => new(Panicked, &join.to_string()),
        DataFusionError::External(other) => match other.downcast_ref::<io::Error>() {
            Some(io) => io_error(io, operation),
            None => match other.downcast_ref::<ArrowError>() {
                Some(arrow) => arrow_error(arrow, operation),
                None => new(User, &other.to_string()),
            },
        },
        other => new(Internal, &other.strip_backtrace()),
    }
}

/// Some of DataFusion's messages are just the clause, some a dump of the syntax tree.
fn unsupported(text: &str, operation: &'static str) -> Error {
    let new = |text: &str| Error::new(ErrorKind::Unsupported, operation, text);
    if text.starts_with("Hive formats not supported") {
        return new("CREATE TABLE with USING, STORED AS or LOCATION is not supported")
            .with_help("write CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'path'");
    }
    if text.starts_with("Hive distribution not supported") {
        return new("CREATE TABLE with PARTITIONED BY is not supported");
    }
    match text.chars().any(char::is_lowercase) {
        true => new(text),
        false => new(&format!("{text} is not supported")),
    }
}

fn plan_kind(text: &str) -> ErrorKind {
    let function =
        text.starts_with("Invalid function") || (text.contains("function") && text.contains("not found"));
    if is_type_message(text) {
        ErrorKind::TypeMismatch
    } else if function || text.starts_with("No files found at") {
        ErrorKind::NotFound
    } else if text.contains("already exists") {
        ErrorKind::AlreadyExists
    } else {
        ErrorKind::InvalidArgument
    }
}

/// DataFusion has no variant of its own for type errors.
fn is_type_message(text: &str) -> bool {
    const SIGNS: [&str; 9] = [
        "Cannot coerce",
        "coercion",
        "No function matches the given name and argument types",
        "Cannot infer common argument type",
        "Cannot get result type",
        "There isn't a common type",
        "Cannot create filter with non-boolean predicate",
        "Cannot cast",
        "type mismatch",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

fn arrow_error(error: &ArrowError, operation: &'static str) -> Error {
    use ErrorKind::*;
    let (kind, text): (ErrorKind, Cow<'_, str>) = match error {
        ArrowError::CsvError(text) | ArrowError::JsonError(text) | ArrowError::ParseError(text) => {
            (MalformedData, text.as_str().into())
        }
        ArrowError::CastError(text) => (TypeMismatch, text.as_str().into()),
        ArrowError::SchemaError(text) => (TypeMismatch, text.as_str().into()),
        ArrowError::NotYetImplemented(text) => (Unsupported, text.as_str().into()),
        ArrowError::DivideByZero => (InvalidArgument, "division by zero".into()),
        ArrowError::InvalidArgumentError(text) | ArrowError::ArithmeticOverflow(text) => {
            (InvalidArgument, text.as_str().into())
        }
        ArrowError::IoError(_, io) => return io_error(io, operation),
        ArrowError::ParquetError(text) | ArrowError::IpcError(text) | ArrowError::AvroError(text) => {
            (MalformedData, text.as_str().into())
        }
        other => (Internal, other.to_string().into()),
    };
    Error::new(kind, operation, text)
}

pub(crate) fn io_error(error: &io::Error, operation: &'static str) -> Error {
    let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Io };
    Error::new(kind, operation, error.to_string())
}

fn schema_error(error: &SchemaError, operation: &'static str) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields, operation),
        SchemaError::AmbiguousReference { field } => {
            Error::new(ErrorKind::InvalidArgument, operation, format!("column `{}` is ambiguous", field.name))
                .with_help("say which table it is from, as in `t.column`, or rename one of the columns")
        }
        SchemaError::DuplicateUnqualifiedField { name }
        | SchemaError::DuplicateQualifiedField { name, .. } => {
            Error::new(ErrorKind::InvalidArgument, operation, format!("two columns are named `{name}`"))
                .with_help("give one of them another name")
        }
    }
}

fn unknown_column(field: &Column, valid: &[Column], operation: &'static str) -> Error {
    let mut known: Vec<&str> = Vec::new();
    for column in valid {
        if !known.contains(&column.name.as_str()) {
            known.push(&column.name);
        }
    }
    // A qualifier matters only if the name exists under another one.
    if let (Some(relation), true) = (&field.relation, known.contains(&field.name.as_str())) {
        let owners: Vec<String> = valid.iter().filter(|c| c.name == field.name).map(readable).collect();
        return Error::new(
            ErrorKind::UnknownColumn,
            operation,
            format!("no column `{}` in `{relation}`", field.name),
        )
        .with_help(format!("did you mean `{}`?", owners.join("` or `")));
    }
    let error = Error::unknown_column(operation, &field.name, &known);
    match known.iter().find(|name| name.to_lowercase() == field.name.to_lowercase()) {
        Some(name) => error.with_help(format!(
            "did you mean `{name}`? Names without back-ticks are read in lower case, so write it in back-ticks"
        )),
        None => error,
    }
}

/// A column with its table, without DataFusion's name for tables that have none.
fn readable(column: &Column) -> String {
    column.flat_name().trim_start_matches("?table?.").to_owned()
}

fn parser_message(error: &ParserError) -> &str {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => "the query is nested too deeply",
    }
}

fn syntax_error(error: &ParserError, operation: &'static str) -> Error {
    let text = parser_message(error);
    match position(text) {
        Some((rest, (line, column))) => {
            Error::new(ErrorKind::Syntax, operation, format!("{rest} at line {line}, column {column}"))
        }
        None => Error::new(ErrorKind::Syntax, operation, text),
    }
}

/// Splits `... at Line: 1, Column: 10` into the rest and the place.
fn position(text: &str) -> Option<(&str, (u64, u64))> {
    let start = text.rfind(" at Line: ")?;
    let (line, column) = text[start + " at Line: ".len()..].split_once(", Column: ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some((&text[..start], (line.parse().ok()?, column.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn kinds_and_texts() {
        let check = |error: DataFusionError, kind: ErrorKind, text: &str| {
            let error = plan_error(error, "query");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        };
        let missing = || {
            DataFusionError::SchemaError(
                Box::new(SchemaError::FieldNotFound {
                    field: Box::new(Column::from_name("prise")),
                    valid_fields: vec![Column::from_qualified_name("d.price"), Column::from_name("cut")],
                }),
                Box::new(None),
            )
        };
        check(missing(), ErrorKind::UnknownColumn, "no column `prise`; did you mean `price`?");
        check(
            DataFusionError::Context(
                "type_coercion".into(),
                Box::new(DataFusionError::Shared(Arc::new(missing()))),
            ),
            ErrorKind::UnknownColumn,
            "did you mean `price`",
        );
        check(
            DataFusionError::ResourcesExhausted("Sort asked for 5 B".into()),
            ErrorKind::OutOfMemory,
            "Sort asked for 5 B",
        );
        check(
            DataFusionError::SQL(
                Box::new(ParserError::ParserError("Expected: end, found: x at Line: 2, Column: 7".into())),
                None,
            ),
            ErrorKind::Syntax,
            "Expected: end, found: x at line 2, column 7",
        );
        check(
            DataFusionError::Plan("Cannot coerce arithmetic expression Utf8 + Int64 to valid types".into()),
            ErrorKind::TypeMismatch,
            "Utf8 + Int64",
        );
        check(DataFusionError::IoError(io::ErrorKind::NotFound.into()), ErrorKind::NotFound, "query: ");
        let own = Error::new(ErrorKind::DataLost, "store", "gone");
        check(
            DataFusionError::ArrowError(
                Box::new(ArrowError::ExternalError(Box::new(DataFusionError::External(Box::new(own))))),
                None,
            ),
            ErrorKind::DataLost,
            "store: gone",
        );
    }
}
