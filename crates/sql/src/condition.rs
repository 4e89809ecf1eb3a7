//! Spark's error conditions: a name, an SQLSTATE and a message.

use datafusion::error::DataFusionError;
use trefoil_core::{Error, ErrorKind};

/// An error with a condition, as `[NAME] message SQLSTATE: state`.
pub(crate) fn error(kind: ErrorKind, name: &str, state: &str, message: impl AsRef<str>) -> DataFusionError {
    let error = Error::new(kind, "sql", format!("[{name}] {} SQLSTATE: {state}", message.as_ref()));
    DataFusionError::External(Box::new(error))
}

/// Gives an error of DataFusion's the condition that Spark has for it, if there is one.
pub(crate) fn named(error: Error) -> Error {
    let text = error.message();
    if text.starts_with('[') {
        return error;
    }
    let has = |part: &str| text.contains(part);
    let (name, state) = match error.kind() {
        ErrorKind::Syntax => ("PARSE_SYNTAX_ERROR", "42601"),
        ErrorKind::UnknownColumn => ("UNRESOLVED_COLUMN.WITH_SUGGESTION", "42703"),
        ErrorKind::UnknownTable => ("TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        ErrorKind::NotFound if has("unction") && (has("Invalid") || has("not found")) => {
            ("UNRESOLVED_ROUTINE", "42883")
        }
        ErrorKind::AlreadyExists => ("TABLE_OR_VIEW_ALREADY_EXISTS", "42P07"),
        _ if has("is ambiguous") => ("AMBIGUOUS_REFERENCE", "42704"),
        _ if has("must be part of GROUP BY")
            || has("must appear in the GROUP BY")
            || has("non-aggregate values") =>
        {
            ("MISSING_AGGREGATION", "42803")
        }
        _ if has("number of columns") => ("NUM_COLUMNS_MISMATCH", "42826"),
        _ if has("Order by column out of bounds") => ("ORDER_BY_POS_OUT_OF_RANGE", "42805"),
        _ if has("LIMIT must be >= 0") || has("OFFSET must be >=0") => {
            ("INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE", "42K0E")
        }
        _ if has("not found in struct") => ("FIELD_NOT_FOUND", "42704"),
        _ => return error,
    };
    let message = format!("[{name}] {text}");
    let state = format!("SQLSTATE: {state}");
    match error.help().map(str::to_owned) {
        Some(help) => error.with_message(message).with_help(format!("{help} {state}")),
        None => error.with_message(format!("{message} {state}")),
    }
}

fn value(name: &str, state: &str, message: impl AsRef<str>) -> DataFusionError {
    error(ErrorKind::InvalidArgument, name, state, message)
}

/// Division by zero.
pub(crate) fn divide_by_zero() -> DataFusionError {
    value("DIVIDE_BY_ZERO", "22012", "division by zero; use `try_divide` to get NULL instead.")
}

/// Remainder of a division by zero.
pub(crate) fn remainder_by_zero() -> DataFusionError {
    value("REMAINDER_BY_ZERO", "22012", "remainder by zero; use `try_mod` to get NULL instead.")
}

/// A result outside of its type.
pub(crate) fn overflow(what: &str) -> DataFusionError {
    let message = match what.rsplit_once(' ') {
        Some((_, "add")) => format!("{what} overflows; use `try_add` to get NULL instead."),
        Some((_, "subtract")) => format!("{what} overflows; use `try_subtract` to get NULL instead."),
        Some((_, "multiply")) => format!("{what} overflows; use `try_multiply` to get NULL instead."),
        _ => format!("{what} overflows."),
    };
    value("ARITHMETIC_OVERFLOW", "22003", message)
}

/// A result outside of SMALLINT or TINYINT.
pub(crate) fn short_overflow(what: &str) -> DataFusionError {
    value(
        "BINARY_ARITHMETIC_OVERFLOW",
        "22003",
        format!("{what} overflows; use the `try_` form to get NULL instead."),
    )
}

/// Text that is no value of the type.
pub(crate) fn cast_invalid_input(text: &str, from: &str, to: &str) -> DataFusionError {
    let (from, to) = (from.to_uppercase(), to.to_uppercase());
    value(
        "CAST_INVALID_INPUT",
        "22018",
        format!(
            "the value '{text}' of type \"{from}\" cannot be cast to \"{to}\" because it is malformed; use \
             `try_cast` to get NULL instead."
        ),
    )
}

/// A number outside of the type it is cast to.
pub(crate) fn cast_overflow(text: &str, from: &str, to: &str) -> DataFusionError {
    let (from, to) = (from.to_uppercase(), to.to_uppercase());
    value(
        "CAST_OVERFLOW",
        "22003",
        format!(
            "the value {text} of type \"{from}\" does not fit \"{to}\"; use `try_cast` to get NULL instead."
        ),
    )
}

/// A number with more digits than the decimal has.
pub(crate) fn out_of_range(text: &str, precision: u8, scale: i8) -> DataFusionError {
    value(
        "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
        "22003",
        format!("{text} cannot be represented as DECIMAL({precision}, {scale})."),
    )
}

/// An index outside of an array.
pub(crate) fn index(index: i64, length: usize) -> DataFusionError {
    value(
        "INVALID_ARRAY_INDEX_IN_ELEMENT_AT",
        "22003",
        format!(
            "the index {index} is out of bounds, the array has {length} elements; use `try_element_at` to get \
             NULL instead."
        ),
    )
}

/// An argument whose value a function does not take.
pub(crate) fn parameter(function: &str, message: impl AsRef<str>) -> DataFusionError {
    value("INVALID_PARAMETER_VALUE", "22023", format!("`{function}`: {}.", message.as_ref()))
}

/// An argument whose type a function does not take.
pub(crate) fn argument_type(function: &str, message: impl AsRef<str>) -> DataFusionError {
    error(
        ErrorKind::TypeMismatch,
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
        "42K09",
        format!("`{function}`: {}.", message.as_ref()),
    )
}

/// Another number of arguments than a function takes.
pub(crate) fn argument_count(function: &str, expected: &str, actual: usize) -> DataFusionError {
    error(
        ErrorKind::InvalidArgument,
        "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        "42605",
        format!("`{function}` takes {expected} arguments, {actual} were given."),
    )
}

/// A date or time that does not exist.
pub(crate) fn datetime(message: impl AsRef<str>) -> DataFusionError {
    value("DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION", "22023", message)
}

/// Text that does not follow a pattern of dates.
pub(crate) fn cannot_parse(text: &str, pattern: &str) -> DataFusionError {
    value(
        "CANNOT_PARSE_TIMESTAMP",
        "22007",
        format!(
            "the text '{text}' does not follow the pattern '{pattern}'; use the `try_` form to get NULL instead."
        ),
    )
}

/// What is understood and not done.
pub(crate) fn unsupported(what: impl AsRef<str>) -> DataFusionError {
    error(ErrorKind::Unsupported, "UNSUPPORTED_FEATURE", "0A000", what)
}
