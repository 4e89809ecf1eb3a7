//! `ALTER VIEW .. AS`, `ALTER VIEW | TABLE .. RENAME TO`, `ALTER TABLE .. ADD COLUMNS`.

use crate::databases::TableName;
use crate::parameters::Parameters;
use crate::statements::{Words, nothing, restore, spaced, wrong};
use crate::{condition, lengths, session, tables};
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::TableType;
use datafusion::sql::sqlparser::tokenizer::Token;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{DataFrame, Session};

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, "sql", message)
}

/// Carries an ALTER out; none for one that is not about a table or a view.
pub(crate) async fn run(session: &Session, words: &Words<'_>) -> Option<Result<DataFrame>> {
    let is_view = words.is(1, "view");
    if !is_view && !words.is(1, "table") {
        return None;
    }
    let (name, at) = TableName::read(words, 2)?;
    Some(
        async {
            if is_view && words.is(at, "as") {
                find(session, &name, true).await?;
                return redefine(session, words, &name, at + 1).await;
            }
            if words.are(at, &["rename", "to"])
                && let Some(to) = TableName::all(words, at + 2)
            {
                return rename(session, &name, &to, is_view).await;
            }
            if !is_view && words.is(at, "add") && (words.is(at + 1, "columns") || words.is(at + 1, "column"))
            {
                return add_columns(session, words, &name, at + 2).await;
            }
            let what = if is_view { "ALTER VIEW" } else { "ALTER TABLE" };
            let clause = words.name(at).map_or_else(String::new, |word| word.to_uppercase());
            let help = match is_view {
                true => "known are AS and RENAME TO",
                false => "known are RENAME TO and ADD COLUMNS",
            };
            Err(unsupported(format!("{what} .. {clause} is not supported")).with_help(help))
        }
        .await,
    )
}

/// The table or view of a name.
async fn find(session: &Session, name: &TableName, is_view: bool) -> Result<Arc<dyn TableProvider>> {
    if !name.exists(session)? {
        let known = session.tables_in(&name.database(session))?;
        return Err(condition::named(Error::unknown_table("ALTER", &name.table, known)));
    }
    let provider = session.context().table_provider(name.reference(session)).await;
    let provider = provider.map_err(|error| session.error(error, "ALTER"))?;
    let found = provider.table_type() == TableType::View && !tables::is_one(session, name);
    let (condition, what, help) = match (is_view, found) {
        (true, false) => {
            ("EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE", "a table, not a view", "write ALTER TABLE")
        }
        (false, true) => ("EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW", "a view, not a table", "write ALTER VIEW"),
        _ => return Ok(provider),
    };
    let message = format!("[{condition}] {} is {what} SQLSTATE: 42809", name.quoted());
    Err(Error::new(ErrorKind::InvalidArgument, "ALTER", message).with_help(help))
}

async fn redefine(session: &Session, words: &Words<'_>, name: &TableName, at: usize) -> Result<DataFrame> {
    let mut tokens = spaced(["CREATE", "OR", "REPLACE", "VIEW"].map(Token::make_keyword));
    tokens.extend(spaced(name.tokens()));
    tokens.extend(spaced([Token::make_keyword("AS")]));
    tokens.extend(words.rest(at));
    Box::pin(session::query(session, tokens, "", &Parameters::new())).await
}

async fn rename(session: &Session, from: &TableName, to: &TableName, is_view: bool) -> Result<DataFrame> {
    find(session, from, is_view).await?;
    // A name alone is one of the database of the table.
    let to = to.or_in(&from.database(session));
    if to.exists(session)? {
        let message = format!(
            "[TABLE_OR_VIEW_ALREADY_EXISTS] there is a table {} already SQLSTATE: 42P07",
            to.quoted()
        );
        return Err(Error::new(ErrorKind::AlreadyExists, "ALTER", message));
    }
    tables::rename(session, from, &to)?;
    restore(session, &from.key(session))?;
    let error = |error| session.error(error, "ALTER");
    let moved = session.context().deregister_table(from.reference(session)).map_err(error)?;
    if let Some(provider) = moved {
        session.context().register_table(to.reference(session), provider).map_err(error)?;
    }
    nothing(session)
}

/// Adds columns, which are null in the rows there are.
async fn add_columns(session: &Session, words: &Words<'_>, name: &TableName, at: usize) -> Result<DataFrame> {
    let form = || wrong("ADD COLUMNS (column type, ..)");
    let provider = find(session, name, false).await?;
    if tables::is_one(session, name) {
        return Err(unsupported("ADD COLUMNS to a table of files is not supported").with_help(
            "rows with other columns cannot be added to its files: write CREATE TABLE .. AS SELECT",
        ));
    }
    let (from, to) = match words.token(at) {
        Some(Token::LParen) => {
            (at + 1, words.close(at).filter(|end| end + 1 == words.len()).ok_or_else(form)?)
        }
        _ => (at, words.len()),
    };
    let unknown = ["first", "after", "default"];
    if let Some(clause) = (from..to).find(|at| unknown.iter().any(|word| words.is(*at, word))) {
        let clause = words.name(clause).unwrap_or_default().to_uppercase();
        return Err(unsupported(format!("{clause} in ADD COLUMNS is not supported")));
    }
    let added = tables::columns(session, words, from, to).await?;
    if lengths::any(&added) {
        return Err(
            unsupported("CHAR and VARCHAR in ADD COLUMNS are not supported").with_help("write STRING")
        );
    }
    let known = provider.schema();
    let mut names: Vec<&String> = known.fields().iter().map(|field| field.name()).collect();
    for field in added.fields() {
        if names.iter().any(|name| name.eq_ignore_ascii_case(field.name())) {
            let message = format!(
                "[COLUMN_ALREADY_EXISTS] there is a column `{}` already SQLSTATE: 42711",
                field.name()
            );
            return Err(Error::new(ErrorKind::AlreadyExists, "ALTER", message));
        }
        names.push(field.name());
    }
    restore(session, &name.key(session))?;
    let bound = known
        .fields()
        .iter()
        .any(|field| !field.is_nullable() || provider.get_column_default(field.name()).is_some());
    if bound || provider.constraints().is_some_and(|constraints| constraints.iter().next().is_some()) {
        return Err(unsupported("ADD COLUMNS to a table with constraints or defaults is not supported")
            .with_help("create a table with the columns, and insert the rows into it"));
    }
    let mut tokens = spaced(["CREATE", "OR", "REPLACE", "TABLE"].map(Token::make_keyword));
    tokens.extend(spaced(name.tokens()));
    tokens.extend(spaced([Token::make_keyword("AS"), Token::make_keyword("SELECT"), Token::Mul]));
    for field in added.fields() {
        tokens.extend(spaced([Token::Comma, Token::make_keyword("CAST"), Token::LParen]));
        tokens.extend(spaced([Token::make_keyword("NULL"), Token::make_keyword("AS")]));
        tokens.extend(spaced(tables::type_tokens(field.data_type())?));
        let alias = Token::make_word(field.name(), Some('`'));
        tokens.extend(spaced([Token::RParen, Token::make_keyword("AS"), alias]));
    }
    tokens.extend(spaced([Token::make_keyword("FROM")]));
    tokens.extend(spaced(name.tokens()));
    Box::pin(session::query(session, tokens, "", &Parameters::new())).await
}
