//! Session variables: `DECLARE VARIABLE`, `SET VAR`, `DROP TEMPORARY VARIABLE`, and `EXECUTE IMMEDIATE`, which fills them.
//!
//! A variable is named `x`, `session.x` or `system.session.x`. Its value is kept as text with its type, and put into the
//! tokens or the tree of a statement where no column has its name.

use crate::parameters::{Parameter, Parameters, literal};
use crate::statements::{Words, lock, missing, nothing, spaced, state, wrong};
use crate::value::types;
use crate::{session, spark_format, tokens};
use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::tokenizer::Token;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{DataFrame, Session};

/// A variable of a session.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    value: Parameter,
    /// The type of every value it is given.
    data_type: String,
    /// The expression after DEFAULT.
    default: Vec<Token>,
}

impl Variable {
    /// The tokens of its value.
    fn tokens(&self) -> Vec<Token> {
        match &self.value {
            Parameter::Null => cast(literal(&Parameter::Null), self.type_tokens()),
            value => literal(value),
        }
    }

    fn type_tokens(&self) -> Vec<Token> {
        let read = tokens::tokens(&crate::dialect::TrefoilDialect, &self.data_type, false);
        read.unwrap_or_default().into_iter().map(|token| token.token).collect()
    }
}

fn cast(value: Vec<Token>, data_type: Vec<Token>) -> Vec<Token> {
    let mut out = vec![Token::make_keyword("CAST"), Token::LParen];
    out.extend(value);
    out.push(Token::make_keyword("AS"));
    out.extend(data_type);
    out.push(Token::RParen);
    out
}

/// The tokens of a variable's value.
pub(crate) fn tokens_of(session: &Session, name: &str) -> Option<Vec<Token>> {
    let state = state(session);
    let variables = lock(&state.variables);
    variables.get(&name.to_lowercase()).map(Variable::tokens)
}

/// The name of a variable and where the text goes on.
fn named(words: &Words<'_>, at: usize) -> Option<(String, usize)> {
    let dotted = |at: usize, word: &str| words.is(at, word) && words.token(at + 1) == Some(&Token::Period);
    let mut from = at;
    if dotted(from, "system") && dotted(from + 2, "session") {
        from += 4;
    } else if dotted(from, "session") {
        from += 2;
    }
    let name = words.name(from)?.to_lowercase();
    (words.token(from + 1) != Some(&Token::Period)).then_some((name, from + 1))
}

fn unknown(session: &Session, name: &str) -> Error {
    let known: Vec<String> = lock(&state(session).variables).keys().cloned().collect();
    missing("variable", name, known)
}

/// The row that a list of expressions or a query gives, as columns of at most one value.
async fn row(session: &Session, query: Vec<Token>) -> Result<Option<Vec<ArrayRef>>> {
    let frame = Box::pin(session::query(session, spaced(query), "", &Parameters::new())).await?;
    one_row(&frame).await
}

async fn one_row(frame: &DataFrame) -> Result<Option<Vec<ArrayRef>>> {
    let batches = frame.collect().await?;
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    if rows > 1 {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "sql",
            "[ROW_SUBQUERY_TOO_MANY_ROWS] variables take one row, the query gives more SQLSTATE: 21000",
        )
        .with_help("add LIMIT 1"));
    }
    Ok(batches.iter().find(|batch| batch.num_rows() == 1).map(|batch| batch.columns().to_vec()))
}

/// The first value of a column, and the name of its type.
fn parameter(column: &ArrayRef) -> Result<(Parameter, String)> {
    let data_type = types::name(column.data_type());
    if column.is_null(0) {
        return Ok((Parameter::Null, data_type));
    }
    // A value travels as text.
    let bytes = match column.data_type() {
        DataType::Binary => Some(column.as_binary::<i32>().value(0)),
        DataType::LargeBinary => Some(column.as_binary::<i64>().value(0)),
        DataType::BinaryView => Some(column.as_binary_view().value(0)),
        _ => None,
    };
    if bytes.is_some_and(|bytes| std::str::from_utf8(bytes).is_err()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "sql",
            "a variable or parameter of BINARY that is no UTF-8 is not supported",
        )
        .with_help("give its hex() and write unhex(..) where it is used"));
    }
    let text = spark_format::column(column)?.swap_remove(0);
    Ok((Parameter::Typed(text, data_type.clone()), data_type))
}

/// The value of an expression, of this type if one is given, and the name of its type.
async fn value(
    session: &Session,
    expression: Vec<Token>,
    data_type: Option<Vec<Token>>,
) -> Result<(Parameter, String)> {
    let mut query = vec![Token::make_keyword("SELECT")];
    query.extend(match data_type {
        Some(data_type) => cast(expression, data_type),
        None => expression,
    });
    let columns = Box::pin(row(session, query)).await?.unwrap_or_default();
    match columns.first() {
        Some(column) => parameter(column),
        None => Ok((Parameter::Null, "void".into())),
    }
}

/// `DECLARE [OR REPLACE] [VARIABLE] name, .. [type] [DEFAULT expression]`.
///
/// # Errors
/// For another form, a name that is taken, and those of the expression.
pub(crate) async fn declare(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let form = || wrong("DECLARE VARIABLE name type DEFAULT value");
    let replace = words.are(1, &["or", "replace"]);
    let mut at = if replace { 3 } else { 1 };
    at += usize::from(words.is(at, "variable") || words.is(at, "var"));
    let mut names = Vec::new();
    loop {
        let (name, next) = named(words, at).ok_or_else(form)?;
        if names.contains(&name) {
            let message = format!(
                "[DUPLICATE_VARIABLE_NAME_INSIDE_DECLARE] the variable `{name}` is declared twice SQLSTATE: 42734"
            );
            return Err(Error::new(ErrorKind::Syntax, "sql", message));
        }
        names.push(name);
        at = next;
        if words.token(at) != Some(&Token::Comma) {
            break;
        }
        at += 1;
    }
    if !replace && let Some(name) = names.iter().find(|name| tokens_of(session, name).is_some()) {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            "sql",
            format!("[VARIABLE_ALREADY_EXISTS] there is a variable `{name}` SQLSTATE: 42723"),
        )
        .with_help("write DECLARE OR REPLACE VARIABLE, or SET VAR"));
    }
    let starts =
        |index: &usize| words.is(*index, "default") || matches!(words.token(*index), Some(Token::Eq));
    let start = (at..words.len()).find(starts);
    let data_type = words.slice(at, start.unwrap_or(words.len()));
    if data_type.is_empty() && start.is_none() {
        return Err(form());
    }
    let data_type = (!data_type.is_empty()).then_some(data_type);
    let default = match start {
        Some(start) => words.slice(start + 1, words.len()),
        None => vec![Token::make_keyword("NULL")],
    };
    let (value, data_type) = value(session, default.clone(), data_type).await?;
    for name in names {
        let made = Variable { value: value.clone(), data_type: data_type.clone(), default: default.clone() };
        lock(&state(session).variables).insert(name, made);
    }
    nothing(session)
}

/// `SET VAR x = 1, y = DEFAULT` and `SET VAR (x, y) = (SELECT ..)`.
///
/// # Errors
/// For another form, a variable that is not there, and those of the expressions.
pub(crate) async fn set(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let form = || wrong("SET VAR name = value");
    if words.token(2) == Some(&Token::LParen) {
        let close = words.close(2).ok_or_else(form)?;
        let names = names(words, 3, close).ok_or_else(form)?;
        let open = close + 2;
        let is_query = words.token(close + 1) == Some(&Token::Eq)
            && words.token(open) == Some(&Token::LParen)
            && words.close(open) == Some(words.len() - 1);
        if !is_query {
            return Err(form());
        }
        let columns = row(session, words.slice(open + 1, words.len() - 1)).await?;
        return Box::pin(fill(session, &names, columns)).await;
    }
    // All are evaluated before any is changed.
    let mut made = Vec::new();
    for (from, to) in words.parts(2, words.len()) {
        let (name, next) = named(words, from).ok_or_else(form)?;
        if !matches!(words.token(next), Some(Token::Eq)) {
            return Err(form());
        }
        let variable = lock(&state(session).variables).get(&name).cloned();
        let variable = variable.ok_or_else(|| unknown(session, &name))?;
        if made.iter().any(|(other, _): &(String, Variable)| *other == name) {
            let message =
                format!("[DUPLICATE_ASSIGNMENTS] the variable `{name}` is set twice SQLSTATE: 42701");
            return Err(Error::new(ErrorKind::Syntax, "sql", message));
        }
        let expression = if words.is(next + 1, "default") && to == next + 2 {
            variable.default.clone()
        } else {
            words.slice(next + 1, to)
        };
        let (value, _) = Box::pin(value(session, expression, Some(variable.type_tokens()))).await?;
        made.push((name, Variable { value, ..variable }));
    }
    lock(&state(session).variables).extend(made);
    nothing(session)
}

/// The names of a list, parted by commas.
fn names(words: &Words<'_>, from: usize, to: usize) -> Option<Vec<String>> {
    let name = |(from, to): (usize, usize)| named(words, from).filter(|(_, next)| *next == to);
    words.parts(from, to).into_iter().map(|part| name(part).map(|(name, _)| name)).collect()
}

/// Gives variables the values of a row, or nulls if there is none.
async fn fill(session: &Session, names: &[String], columns: Option<Vec<ArrayRef>>) -> Result<DataFrame> {
    if let Some(columns) = &columns
        && columns.len() != names.len()
    {
        let message = format!(
            "[ASSIGNMENT_ARITY_MISMATCH] {} columns for {} variables SQLSTATE: 42802",
            columns.len(),
            names.len()
        );
        return Err(Error::new(ErrorKind::ShapeMismatch, "sql", message));
    }
    let mut made = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let variable = lock(&state(session).variables).get(name).cloned();
        let variable = variable.ok_or_else(|| unknown(session, name))?;
        let given = match columns.as_ref().map(|columns| parameter(&columns[index])) {
            Some(given) => given?.0,
            None => Parameter::Null,
        };
        let (value, _) = Box::pin(value(session, literal(&given), Some(variable.type_tokens()))).await?;
        made.push((name.clone(), Variable { value, ..variable }));
    }
    lock(&state(session).variables).extend(made);
    nothing(session)
}

/// `DROP TEMPORARY VARIABLE [IF EXISTS] name`.
///
/// # Errors
/// For another form, and a variable that is not there.
pub(crate) fn drop(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let exists = words.are(3, &["if", "exists"]);
    match named(words, if exists { 5 } else { 3 }) {
        Some((name, end)) if end == words.len() => {
            if lock(&state(session).variables).remove(&name).is_none() && !exists {
                return Err(unknown(session, &name));
            }
            nothing(session)
        }
        _ => Err(wrong("DROP TEMPORARY VARIABLE name")),
    }
}

/// `EXECUTE IMMEDIATE text [INTO x, ..] [USING value [AS name], ..]`.
///
/// # Errors
/// For another form, and those of the statement.
pub(crate) async fn execute_immediate(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let clause = |word: &str| {
        let mut depth = 0_usize;
        (2..words.len()).find(|index| {
            match words.token(*index) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && words.is(*index, word)
        })
    };
    let using = clause("using");
    let into = clause("into").filter(|into| using.is_none_or(|using| *into < using));
    let until = using.unwrap_or(words.len());
    let end = into.unwrap_or(until);
    let text = match (words.text(2), end) {
        (Some(text), 3) => text.to_owned(),
        _ => match value(session, words.slice(2, end), None).await?.0 {
            Parameter::Typed(text, _) => text,
            _ => return Err(wrong("EXECUTE IMMEDIATE text")),
        },
    };
    let mut parameters = Parameters::new();
    if let Some(using) = using {
        let open = usize::from(
            matches!(words.token(using + 1), Some(Token::LParen))
                && words.close(using + 1) == Some(words.len() - 1),
        );
        for (from, to) in words.parts(using + 1 + open, words.len() - open) {
            let named = (from + 1..to).find(|index| words.is(*index, "as"));
            let (made, _) = value(session, words.slice(from, named.unwrap_or(to)), None).await?;
            parameters = match named.and_then(|index| words.name(index + 1)) {
                Some(name) => parameters.name(name, made),
                None => parameters.with(made),
            };
        }
    }
    let Some(into) = into else { return Box::pin(session::text(session, &text, &parameters)).await };
    let names = names(words, into + 1, until).ok_or_else(|| wrong("INTO variable, .."))?;
    let frame = Box::pin(session::text(session, &text, &parameters)).await?;
    let columns = one_row(&frame).await?;
    if columns.is_none() && frame.columns().is_empty() {
        let message = "[INVALID_STATEMENT_FOR_EXECUTE_INTO] INTO takes the row of a query SQLSTATE: 07501";
        return Err(Error::new(ErrorKind::InvalidArgument, "sql", message));
    }
    Box::pin(fill(session, &names, columns)).await
}
