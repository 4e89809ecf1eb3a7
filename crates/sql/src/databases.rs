//! Databases: `CREATE DATABASE`, `DROP DATABASE`, `USE`, `SHOW DATABASES`, `DESCRIBE DATABASE`, and names of tables with a
//! database before them.
//!
//! A database is a schema of DataFusion's catalog. Spark's `default` is DataFusion's `public` there, and the catalog itself,
//! `spark_catalog`, needs no name: both are settled in the tokens, before anything else reads them.

use crate::statements::{Words, lock, matches, nothing, pattern, state, table, texts, wrong};
use crate::tables;
use datafusion::common::TableReference;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{DataFrame, Session};

/// The only catalog.
const CATALOG: &str = "spark_catalog";

/// DataFusion's name of the database `default`.
const PUBLIC: &str = "public";

/// Spark's name of a schema of the catalog.
pub(crate) fn of_schema(schema: &str) -> &str {
    if schema == PUBLIC { "default" } else { schema }
}

/// The name of a table as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableName {
    /// None for a table of the current database.
    database: Option<String>,
    pub(crate) table: String,
}

impl TableName {
    /// The name that begins at a word, and what stands after it.
    pub(crate) fn read(words: &Words<'_>, at: usize) -> Option<(Self, usize)> {
        let first = words.name(at)?;
        if words.token(at + 1) != Some(&Token::Period) {
            return Some((Self { database: None, table: first }, at + 1));
        }
        let database = of_schema(&first).to_owned();
        Some((Self { database: Some(database), table: words.name(at + 2)? }, at + 3))
    }

    /// The name, if it is all there is from a word on.
    pub(crate) fn all(words: &Words<'_>, at: usize) -> Option<Self> {
        Self::read(words, at).filter(|(_, end)| *end == words.len()).map(|(name, _)| name)
    }

    /// The name as tokens of a text.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let word = |part: &str| Token::make_word(part, Some('`'));
        match &self.database {
            Some(database) => {
                let schema = if database == "default" { PUBLIC } else { database };
                vec![word(schema), Token::Period, word(&self.table)]
            }
            None => vec![word(&self.table)],
        }
    }

    /// The name with its database, which is this one if it has none.
    pub(crate) fn or_in(&self, database: &str) -> Self {
        let database = self.database.clone().unwrap_or_else(|| database.to_owned());
        Self { database: Some(database), table: self.table.clone() }
    }

    /// A table of the current database.
    pub(crate) fn bare(table: &str) -> Self {
        Self { database: None, table: table.to_owned() }
    }

    pub(crate) fn database(&self, session: &Session) -> String {
        self.database.clone().unwrap_or_else(|| session.database())
    }

    /// Where the catalog has the table.
    pub(crate) fn reference(&self, session: &Session) -> TableReference {
        session.table_reference(&self.database(session), &self.table)
    }

    /// The name by which a session remembers the table.
    pub(crate) fn key(&self, session: &Session) -> String {
        match self.database(session).as_str() {
            "default" => self.table.clone(),
            database => format!("{database}.{}", self.table),
        }
    }

    /// The name in a text.
    pub(crate) fn quoted(&self) -> String {
        let quote = |part: &str| format!("`{}`", part.replace('`', "``"));
        match &self.database {
            Some(database) => format!("{}.{}", quote(database), quote(&self.table)),
            None => quote(&self.table),
        }
    }

    /// Whether there is a table or a view of the name.
    ///
    /// # Errors
    /// For a database that is not there.
    pub(crate) fn exists(&self, session: &Session) -> Result<bool> {
        Ok(tables_of(session, &self.database(session))?.contains(&self.table))
    }
}

/// The tables of a database.
///
/// # Errors
/// `SCHEMA_NOT_FOUND`.
pub(crate) fn tables_of(session: &Session, database: &str) -> Result<Vec<String>> {
    session.tables_in(database).map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_found(error),
        _ => error,
    })
}

fn condition(error: Error, name: &str, sql_state: &str) -> Error {
    let message = format!("[{name}] {} SQLSTATE: {sql_state}", error.message());
    error.with_message(message)
}

fn not_found(error: Error) -> Error {
    condition(error, "SCHEMA_NOT_FOUND", "42704")
}

/// The tokens with the names that the catalog has: no `spark_catalog`, and `public` for `default`.
pub(crate) fn catalog_names(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |at: usize, name: &str| matches!(tokens.get(at).map(|token| &token.token), Some(Token::Word(word)) if word.value.eq_ignore_ascii_case(name));
    let period = |at: usize| tokens.get(at).is_some_and(|token| token.token == Token::Period);
    let qualifies = |at: usize| {
        let first =
            at.checked_sub(1).is_none_or(|before| !period(before) || is(before.wrapping_sub(1), CATALOG));
        let more = matches!(tokens.get(at + 2).map(|token| &token.token), Some(Token::Word(_)));
        first && period(at + 1) && more
    };
    if !(0..tokens.len()).any(|at| (is(at, CATALOG) || is(at, "default")) && qualifies(at)) {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if is(at, CATALOG) && qualifies(at) {
            at += 2;
            continue;
        }
        out.push(match is(at, "default") && qualifies(at) {
            true => TokenWithSpan::new(Token::make_word(PUBLIC, None), token.span),
            false => token.clone(),
        });
        at += 1;
    }
    out
}

/// `CREATE DATABASE | SCHEMA [IF NOT EXISTS] name [COMMENT 'text']`.
///
/// # Errors
/// For another form, and a database that is there.
pub(crate) fn create(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let if_not_exists = words.are(2, &["if", "not", "exists"]);
    let at = if if_not_exists { 5 } else { 2 };
    let form = || wrong("CREATE DATABASE name");
    let name = words.name(at).ok_or_else(form)?;
    let comment = if words.is(at + 1, "comment") { words.text(at + 2) } else { None };
    let end = at + if comment.is_some() { 3 } else { 1 };
    if let Some(clause) = words.name(end) {
        let message = format!("the clause {} of CREATE DATABASE is not supported", clause.to_uppercase());
        return Err(Error::new(ErrorKind::Unsupported, "sql", message)
            .with_help("give each table a LOCATION, or SET spark.sql.warehouse.dir"));
    }
    if end < words.len() {
        return Err(form());
    }
    match session.create_database(&name) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !if_not_exists => {
            return Err(condition(error, "SCHEMA_ALREADY_EXISTS", "42P06"));
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        done => {
            done?;
            if let Some(comment) = comment {
                lock(&state(session).comments).insert(name, comment.to_owned());
            }
        }
    }
    nothing(session)
}

/// `DROP DATABASE | SCHEMA [IF EXISTS] name [RESTRICT | CASCADE]`; the files of its tables go as with `DROP TABLE`.
///
/// # Errors
/// For another form, a database that is not there or that has tables.
pub(crate) async fn drop(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let if_exists = words.are(2, &["if", "exists"]);
    let at = if if_exists { 4 } else { 2 };
    let form = || wrong("DROP DATABASE name [RESTRICT | CASCADE]");
    let name = words.name(at).ok_or_else(form)?;
    let cascade = words.is(at + 1, "cascade");
    let end = at + 1 + usize::from(cascade || words.is(at + 1, "restrict"));
    if end != words.len() {
        return Err(form());
    }
    if name == "default" {
        let message =
            "[UNSUPPORTED_FEATURE.DROP_DATABASE] the database `default` cannot be dropped SQLSTATE: 0A000";
        return Err(Error::new(ErrorKind::Unsupported, "sql", message));
    }
    let tables = match tables_of(session, &name) {
        Err(error) if error.kind() == ErrorKind::NotFound && if_exists => return nothing(session),
        tables => tables?,
    };
    if cascade {
        for table in tables {
            let table = TableName { database: Some(name.clone()), table };
            if let Some(dropped) = tables::drop_files(session, &table).await {
                let _ = dropped?;
            }
        }
    }
    match session.drop_database(&name, cascade) {
        Err(error) if error.kind() == ErrorKind::InvalidArgument => {
            Err(condition(error, "SCHEMA_NOT_EMPTY", "2BP01"))
        }
        done => {
            done?;
            lock(&state(session).comments).remove(&name);
            nothing(session)
        }
    }
}

/// `USE [DATABASE | SCHEMA | NAMESPACE] name`.
///
/// # Errors
/// For another form, and a database that is not there.
pub(crate) fn set_current(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let kinds = ["database", "schema", "namespace"];
    let at = 1 + usize::from(words.len() > 2 && kinds.iter().any(|kind| words.is(1, kind)));
    match words.name(at).filter(|_| words.len() == at + 1) {
        Some(name) if name == CATALOG => nothing(session),
        Some(name) => {
            session.use_database(&name).map_err(not_found)?;
            nothing(session)
        }
        None => Err(wrong("USE database")),
    }
}

/// `SHOW DATABASES | SCHEMAS [LIKE 'pattern']`.
pub(crate) fn show(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let mut names = session.databases();
    names.retain(|name| matches(pattern(words), name));
    table(session, vec![("namespace", texts(names))])
}

/// `DESCRIBE DATABASE | SCHEMA [EXTENDED] name`.
///
/// # Errors
/// For another form, and a database that is not there.
pub(crate) fn describe(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let at = 2 + usize::from(words.is(2, "extended") && words.len() > 3);
    let Some(name) = words.name(at).filter(|_| words.len() == at + 1) else {
        return Err(wrong("DESCRIBE DATABASE name"));
    };
    tables_of(session, &name)?;
    let comment = lock(&state(session).comments).get(&name).cloned().unwrap_or_default();
    let names = ["Catalog Name", "Namespace Name", "Comment"].map(str::to_owned).to_vec();
    let values = vec![CATALOG.to_owned(), name, comment];
    table(session, vec![("info_name", texts(names)), ("info_value", texts(values))])
}
