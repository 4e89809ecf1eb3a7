//! Statements that the parser or DataFusion lacks: `SHOW ..`, `DESCRIBE`, `CACHE TABLE`, SQL functions.
//!
//! They are recognised by their first words. What a session remembers for them is [`SparkState`], an
//! extension of its configuration.

use crate::databases::{self, TableName};
use crate::parameters::Parameters;
use crate::tables::{self, FileTable};
use crate::value;
use crate::variables::{self, Variable};
use crate::{aggregates, alter, describe, functions, install, session, zone};
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{DataFrame, Session};

/// A function whose body is an expression: its parameters with types and defaults, and the tokens of its
/// type and body.
#[derive(Clone, Debug)]
pub(crate) struct SqlFunction {
    parameters: Vec<(String, Vec<Token>, Option<Vec<Token>>)>,
    result: Option<Vec<Token>>,
    body: Vec<Token>,
}

/// Where the catalog has a cached table, and what it stands for.
type Cached = (TableReference, Arc<dyn TableProvider>);

/// What a session remembers.
#[derive(Default)]
pub(crate) struct SparkState {
    pub(crate) variables: Mutex<BTreeMap<String, Variable>>,
    functions: Mutex<BTreeMap<String, SqlFunction>>,
    /// By their names.
    cached: Mutex<BTreeMap<String, Cached>>,
    /// Comments of databases.
    pub(crate) comments: Mutex<BTreeMap<String, String>>,
    pub(crate) file_tables: Mutex<BTreeMap<String, FileTable>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn state(session: &Session) -> Arc<SparkState> {
    session.context().state_ref().read().config().get_extension::<SparkState>().unwrap_or_default()
}

/// The tokens of a statement that mean something, with their places.
pub(crate) struct Words<'a> {
    all: &'a [TokenWithSpan],
    /// Indices into `all`.
    at: Vec<usize>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(all: &'a [TokenWithSpan]) -> Self {
        let blank = |token: &Token| matches!(token, Token::Whitespace(_) | Token::EOF);
        let mut at: Vec<usize> = (0..all.len()).filter(|index| !blank(&all[*index].token)).collect();
        while at.last().is_some_and(|last| all[*last].token == Token::SemiColon) {
            at.pop();
        }
        Self { all, at }
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    pub(crate) fn token(&self, index: usize) -> Option<&'a Token> {
        self.at.get(index).map(|at| &self.all[*at].token)
    }

    pub(crate) fn is(&self, index: usize, word: &str) -> bool {
        matches!(self.token(index), Some(Token::Word(w)) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
    }

    /// Whether the words stand here, in this order.
    pub(crate) fn are(&self, start: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(index, word)| self.is(start + index, word))
    }

    pub(crate) fn name(&self, index: usize) -> Option<String> {
        match self.token(index)? {
            Token::Word(w) if w.quote_style.is_some() => Some(w.value.clone()),
            Token::Word(w) => Some(w.value.to_lowercase()),
            _ => None,
        }
    }

    pub(crate) fn text(&self, index: usize) -> Option<&'a str> {
        match self.token(index)? {
            Token::SingleQuotedString(text) => Some(text),
            _ => None,
        }
    }

    /// Where a word stands among all tokens.
    pub(crate) fn place(&self, index: usize) -> Option<usize> {
        self.at.get(index).copied()
    }

    /// The tokens from a word on, blanks included.
    pub(crate) fn rest(&self, index: usize) -> Vec<TokenWithSpan> {
        match (self.at.get(index), self.at.last()) {
            (Some(from), Some(to)) => self.all[*from..=*to].to_vec(),
            _ => Vec::new(),
        }
    }

    /// The tokens of the words in a range.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Vec<Token> {
        (from..to).filter_map(|index| self.token(index).cloned()).collect()
    }

    /// The index after the parenthesis that closes the one at `open`.
    pub(crate) fn close(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for index in open..self.len() {
            match self.token(index)? {
                Token::LParen => depth += 1,
                Token::RParen => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(index);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Where the top level is parted by commas, from one word to another.
    pub(crate) fn parts(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let (mut depth, mut start, mut out) = (0_i32, from, Vec::new());
        for index in from..to {
            match self.token(index) {
                Some(Token::LParen | Token::LBracket) => depth += 1,
                Some(Token::RParen | Token::RBracket) => depth -= 1,
                Some(Token::Comma) if depth == 0 => {
                    out.push((start, index));
                    start = index + 1;
                }
                _ => {}
            }
        }
        if start < to {
            out.push((start, to));
        }
        out
    }
}

pub(crate) fn wrong(form: &str) -> Error {
    Error::new(ErrorKind::Syntax, "sql", format!("[PARSE_SYNTAX_ERROR] expected {form} SQLSTATE: 42601"))
}

pub(crate) fn spaced(tokens: impl IntoIterator<Item = Token>) -> Vec<TokenWithSpan> {
    tokens.into_iter().map(TokenWithSpan::wrap).collect()
}

/// Carries out a statement of ours; none if it is not one.
///
/// # Errors
/// Those of the statement.
pub(crate) async fn run(session: &Session, all: &[TokenWithSpan]) -> Option<Result<DataFrame>> {
    let words = Words::new(all);
    let first = words.name(0)?;
    Some(match first.as_str() {
        "show" if words.is(1, "functions") => show_functions(session, &words),
        "show" if words.is(1, "databases") || words.is(1, "schemas") => databases::show(session, &words),
        "create" if words.is(1, "database") || words.is(1, "schema") => databases::create(session, &words),
        "drop" if words.is(1, "database") || words.is(1, "schema") => {
            Box::pin(databases::drop(session, &words)).await
        }
        "use" => databases::set_current(session, &words),
        "describe" | "desc" if words.is(1, "database") || words.is(1, "schema") => {
            databases::describe(session, &words)
        }
        "show" if words.is(1, "tables") || words.is(1, "views") => show_tables(session, &words),
        "show" if words.is(1, "columns") => match TableName::all(&words, 3) {
            Some(name) => columns_of(session, &name).await,
            None => Err(wrong("SHOW COLUMNS IN table")),
        },
        "describe" | "desc" if words.is(1, "function") => describe_function(session, &words),
        "describe" | "desc" => return Box::pin(describe::run(session, &words)).await,
        "alter" => return Box::pin(alter::run(session, &words)).await,
        "cache" => cache(session, &words).await,
        "uncache" => uncache(session, &words),
        "clear" if words.is(1, "cache") => {
            let names: Vec<String> = lock(&state(session).cached).keys().cloned().collect();
            names
                .iter()
                .try_for_each(|name| restore(session, name).map(|_| ()))
                .and_then(|()| nothing(session))
        }
        "declare" => variables::declare(session, &words).await,
        "set" if words.is(1, "var") || words.is(1, "variable") => variables::set(session, &words).await,
        "drop" if words.are(1, &["temporary", "variable"]) => variables::drop(session, &words),
        "set" if words.are(1, &["time", "zone"]) => set_zone(session, &words, 3).await,
        "set" if setting_of_zone(&words).is_some_and(|at| at < words.len()) => {
            set_zone(session, &words, setting_of_zone(&words).unwrap_or_default()).await
        }
        "set" if setting_of_zone(&words).is_some() => setting(session, install::zone(session).name()),
        "execute" if words.is(1, "immediate") => {
            Box::pin(variables::execute_immediate(session, &words)).await
        }
        "insert" => return Box::pin(tables::insert(session, &words)).await,
        "truncate" if words.is(1, "table") => truncate(session, &words).await,
        "show" if words.is(1, "partitions") => tables::show_partitions(session, &words).await,
        "show" if words.are(1, &["create", "table"]) => return tables::show_create(session, &words),
        "drop" if words.is(1, "table") => return tables::drop_table(session, &words).await,
        "create" => {
            if let Some(done) = Box::pin(tables::create(session, &words)).await {
                return Some(done);
            }
            let mut at = 1;
            at += if words.are(at, &["or", "replace"]) { 2 } else { 0 };
            at += usize::from(words.is(at, "temporary") || words.is(at, "temp"));
            if !words.is(at, "function") {
                return None;
            }
            create_function(session, &words, at + 1)
        }
        "drop" if words.is(1, "function") || words.are(1, &["temporary", "function"]) => {
            let at = 2 + usize::from(words.is(1, "temporary"));
            let exists = words.are(at, &["if", "exists"]);
            let name = words.name(at + if exists { 2 } else { 0 });
            match name {
                Some(name) if lock(&state(session).functions).remove(&name).is_none() && !exists => {
                    let known: Vec<String> = lock(&state(session).functions).keys().cloned().collect();
                    Err(missing("function", &name, known))
                }
                Some(_) => nothing(session),
                None => Err(wrong("DROP FUNCTION name")),
            }
        }
        _ => return None,
    })
}

/// `TRUNCATE TABLE t` leaves the table without rows.
async fn truncate(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let Some(name) = TableName::all(words, 2) else {
        return Err(wrong("TRUNCATE TABLE name"));
    };
    let name = name.quoted();
    let text = format!("INSERT OVERWRITE TABLE {name} SELECT * FROM {name} WHERE false");
    // Carried out by now.
    let _done = Box::pin(session::text(session, &text, &Parameters::new())).await?;
    nothing(session)
}

/// `SET spark.sql.session.timeZone [= ..]`: where the value begins.
fn setting_of_zone(words: &Words<'_>) -> Option<usize> {
    let parts = ["spark", "sql", "session", "timezone"];
    let named = parts.iter().enumerate().all(|(index, part)| {
        words.is(1 + 2 * index, part) && (index == 0 || words.token(2 * index) == Some(&Token::Period))
    });
    let at = 2 * parts.len();
    match words.token(at) {
        _ if !named => None,
        Some(Token::Eq) => Some(at + 1),
        None => Some(at),
        _ => None,
    }
}

fn setting(session: &Session, zone: String) -> Result<DataFrame> {
    let key = texts(vec!["spark.sql.session.timeZone".into()]);
    table(session, vec![("key", key), ("value", texts(vec![zone]))])
}

/// `SET TIME ZONE 'name' | LOCAL | INTERVAL ..`, and the setting with its value as it is written.
async fn set_zone(session: &Session, words: &Words<'_>, at: usize) -> Result<DataFrame> {
    let form = || wrong("SET TIME ZONE 'name', LOCAL or INTERVAL ..");
    let zone = if words.is(at, "local") && at == 3 && words.len() == 4 {
        zone::local()?
    } else if words.is(at, "interval") && at == 3 {
        let mut tokens = vec![Token::make_keyword("SELECT"), Token::make_keyword("CAST"), Token::LParen];
        tokens.extend(words.slice(at, words.len()));
        tokens.extend([Token::make_keyword("AS"), Token::make_keyword("INTERVAL"), Token::RParen]);
        let frame = Box::pin(session::query(session, spaced(tokens), "", &Parameters::new())).await?;
        let batches = frame.collect().await?;
        offset(&batches).ok_or_else(|| {
            let message = "[INVALID_INTERVAL_FORMAT.TIMEZONE_INTERVAL_OUT_OF_RANGE] the offset of a time zone is a number of \
                           hours and minutes between -18 and 18 hours SQLSTATE: 22006";
            Error::new(ErrorKind::InvalidArgument, "SET", message)
        })?
    } else {
        match words.text(at) {
            Some(text) if words.len() == at + 1 => text.to_owned(),
            _ if at == 3 || at == words.len() => return Err(form()),
            // As it is written: Europe/Berlin, +02:00.
            _ => (at..words.len()).filter_map(|index| words.token(index)).map(ToString::to_string).collect(),
        }
    };
    let context = session.context();
    let state = context.state_ref();
    let done = state.write().config_mut().options_mut().set("spark.sql.session.timeZone", &zone);
    done.map_err(|error| session.error(error, "SET"))?;
    setting(session, zone)
}

/// The offset that an interval of hours and minutes is.
fn offset(batches: &[RecordBatch]) -> Option<String> {
    let value = batches.iter().find(|batch| batch.num_rows() == 1).map(|batch| batch.column(0))?;
    let micros = match value::read(value).ok()?.pop()? {
        value::Value::Micros(micros) | value::Value::Calendar(0, 0, micros) => micros,
        _ => return None,
    };
    let minutes = micros / 60_000_000;
    if micros % 60_000_000 != 0 || minutes.abs() > 18 * 60 {
        return None;
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    Some(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60))
}

pub(crate) fn missing(what: &str, name: &str, known: Vec<String>) -> Error {
    let error = Error::new(ErrorKind::NotFound, "sql", format!("there is no {what} `{name}`"));
    match trefoil_core::suggest(name, known) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => error,
    }
}

pub(crate) fn texts(values: Vec<String>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

pub(crate) fn table(session: &Session, columns: Vec<(&str, ArrayRef)>) -> Result<DataFrame> {
    let batch = RecordBatch::try_from_iter(columns)
        .map_err(|error| Error::new(ErrorKind::Internal, "sql", error.to_string()))?;
    session.frame_from_batches(vec![batch])
}

pub(crate) fn nothing(session: &Session) -> Result<DataFrame> {
    let schema = Arc::new(datafusion::arrow::datatypes::Schema::empty());
    session.frame_from_batches(vec![RecordBatch::new_empty(schema)])
}

/// `*` for any text, `|` between patterns, in any case.
pub(crate) fn matches(pattern: Option<&str>, name: &str) -> bool {
    let Some(pattern) = pattern else { return true };
    let translated: Vec<String> =
        pattern.split('|').map(|p| regex::escape(p.trim()).replace("\\*", ".*").replace('%', ".*")).collect();
    regex::Regex::new(&format!("(?i)^({})$", translated.join("|"))).is_ok_and(|regex| regex.is_match(name))
}

pub(crate) fn pattern<'a>(words: &Words<'a>) -> Option<&'a str> {
    (2..words.len()).find_map(|index| words.text(index))
}

fn show_functions(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let mut names: Vec<String> = functions::names();
    names.extend(lock(&state(session).functions).keys().cloned());
    names.extend(session.context().state().window_functions().keys().cloned());
    names.extend(session.context().state().aggregate_functions().keys().cloned());
    names.sort();
    names.dedup();
    names.retain(|name| !name.starts_with('#') && matches(pattern(words), name));
    table(session, vec![("function", texts(names))])
}

fn show_tables(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let database = match words.is(2, "in") || words.is(2, "from") {
        true => words.name(3).ok_or_else(|| wrong("SHOW TABLES IN database"))?,
        false => session.database(),
    };
    let mut names = databases::tables_of(session, &database)?;
    names.retain(|name| matches(pattern(words), name));
    let spaces = vec![database; names.len()];
    let temporary: ArrayRef = Arc::new(BooleanArray::from(vec![false; names.len()]));
    table(
        session,
        vec![("namespace", texts(spaces)), ("tableName", texts(names)), ("isTemporary", temporary)],
    )
}

pub(crate) async fn find(session: &Session, name: &TableName) -> Result<DataFrame> {
    let (database, table) = (name.database(session), name.table.as_str());
    let known = databases::tables_of(session, &database)?;
    let spelled = known.iter().find(|known| known.as_str() == table);
    let spelled = spelled.or_else(|| known.iter().find(|known| known.eq_ignore_ascii_case(table)));
    session.table_in(&database, spelled.map_or(table, String::as_str)).await
}

async fn columns_of(session: &Session, name: &TableName) -> Result<DataFrame> {
    let frame = find(session, name).await?;
    table(session, vec![("col_name", texts(frame.columns()))])
}

fn describe_function(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let at = 2 + usize::from(words.is(2, "extended"));
    let name = words.name(at).ok_or_else(|| wrong("DESCRIBE FUNCTION name"))?;
    let known = functions::names();
    let own = lock(&state(session).functions).contains_key(&name);
    if !own && !known.contains(&name) {
        return Err(missing("function", &name, known));
    }
    let usage = if own { "a SQL function of this session".into() } else { functions::usage(&name) };
    table(
        session,
        vec![("function_desc", texts(vec![format!("Function: {name}"), format!("Usage: {usage}")]))],
    )
}

async fn cache(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let at = 1 + usize::from(words.is(1, "lazy"));
    if !words.is(at, "table") {
        return Err(wrong("CACHE TABLE name"));
    }
    if at == 2 {
        return Err(Error::new(ErrorKind::Unsupported, "sql", "CACHE LAZY TABLE is not supported")
            .with_help("write CACHE TABLE, which reads the table at once"));
    }
    let (name, end) = TableName::read(words, at + 1).ok_or_else(|| wrong("CACHE TABLE name"))?;
    let (database, key) = (name.database(session), name.key(session));
    if words.len() > end {
        let from = end + usize::from(words.is(end, "as"));
        if words.is(from, "options") {
            return Err(Error::new(ErrorKind::Unsupported, "sql", "OPTIONS of CACHE TABLE is not supported"));
        }
        let frame = Box::pin(session::query(session, words.rest(from), "", &Parameters::new())).await?;
        session.register_in(&database, &name.table, &frame.persist().await?)?;
        return nothing(session);
    }
    let frame = find(session, &name).await?;
    let reference = name.reference(session);
    let provider = session.context().table_provider(reference.clone()).await;
    let provider = provider.map_err(|error| session.error(error, "sql"))?;
    let stored = frame.persist().await?;
    lock(&state(session).cached).entry(key).or_insert((reference, provider));
    session.register_in(&database, &name.table, &stored)?;
    nothing(session)
}

/// Puts the table back that a cached one stands for.
pub(crate) fn restore(session: &Session, name: &str) -> Result<bool> {
    let Some((reference, provider)) = lock(&state(session).cached).remove(name) else { return Ok(false) };
    let error = |e| session.error(e, "sql");
    session.context().deregister_table(reference.clone()).map_err(error)?;
    session.context().register_table(reference, provider).map_err(error)?;
    Ok(true)
}

fn uncache(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let exists = words.are(2, &["if", "exists"]);
    let name =
        TableName::all(words, if exists { 4 } else { 2 }).ok_or_else(|| wrong("UNCACHE TABLE name"))?;
    let name = name.key(session);
    if !restore(session, &name)? && !exists {
        let known: Vec<String> = lock(&state(session).cached).keys().cloned().collect();
        return Err(missing("cached table", &name, known));
    }
    nothing(session)
}

fn create_function(session: &Session, words: &Words<'_>, at: usize) -> Result<DataFrame> {
    let form = || wrong("CREATE FUNCTION name(parameter type, ..) RETURNS type RETURN expression");
    let at = if words.are(at, &["if", "not", "exists"]) { at + 3 } else { at };
    let name = words.name(at).ok_or_else(form)?;
    if functions::names().contains(&name) || aggregates::is_known(&name) {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            "sql",
            format!("`{name}` is a function of the dialect"),
        ));
    }
    if !matches!(words.token(at + 1), Some(Token::LParen)) {
        return Err(form());
    }
    let close = words.close(at + 1).ok_or_else(form)?;
    let mut parameters = Vec::new();
    for (from, to) in words.parts(at + 2, close) {
        let parameter = words.name(from).ok_or_else(form)?;
        let default = (from + 1..to).find(|index| words.is(*index, "default"));
        let data_type = words.slice(from + 1, default.unwrap_or(to));
        let default = default.map(|index| words.slice(index + 1, to));
        parameters.push((parameter, data_type, default));
    }
    let body = (close + 1..words.len()).find(|index| words.is(*index, "return")).ok_or_else(form)?;
    if words.is(close + 1, "returns") && words.is(close + 2, "table") || words.is(body + 1, "select") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "sql",
            "a SQL function that returns a table is not supported",
        )
        .with_help("create a view, or register a table function in Rust"));
    }
    let result = words.is(close + 1, "returns").then(|| words.slice(close + 2, body));
    let function = SqlFunction { parameters, result, body: words.slice(body + 1, words.len()) };
    lock(&state(session).functions).insert(name, function);
    nothing(session)
}

/// Replaces calls of SQL functions by their bodies.
///
/// # Errors
/// For a call with too few or too many arguments, and for functions that call themselves.
pub(crate) fn expand(session: &Session, tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let state = state(session);
    let functions = lock(&state.functions).clone();
    if functions.is_empty() {
        return Ok(tokens);
    }
    let mut tokens = tokens;
    for _ in 0..32 {
        let Some(expanded) = expand_once(&functions, &tokens)? else { return Ok(tokens) };
        tokens = expanded;
    }
    Err(Error::new(ErrorKind::InvalidArgument, "sql", "SQL functions call each other more than 32 deep"))
}

fn expand_once(
    functions: &BTreeMap<String, SqlFunction>,
    tokens: &[TokenWithSpan],
) -> Result<Option<Vec<TokenWithSpan>>> {
    let words = Words::new(tokens);
    for index in 0..words.len() {
        let Some(name) = words.name(index) else { continue };
        let Some(function) = functions.get(&name) else { continue };
        if !matches!(words.token(index + 1), Some(Token::LParen)) {
            continue;
        }
        let close = words.close(index + 1).ok_or_else(|| wrong("`)`"))?;
        let given = words.parts(index + 2, close);
        let required = function.parameters.iter().filter(|(.., default)| default.is_none()).count();
        if given.len() < required || given.len() > function.parameters.len() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "sql",
                format!(
                    "[WRONG_NUM_ARGS.WITHOUT_SUGGESTION] `{name}` takes {} arguments, {} were given. SQLSTATE: 42605",
                    function.parameters.len(),
                    given.len()
                ),
            ));
        }
        let cast = |value: Vec<Token>, data_type: &[Token]| {
            let mut out = vec![Token::make_keyword("CAST"), Token::LParen];
            out.extend(value);
            out.push(Token::make_keyword("AS"));
            out.extend(data_type.to_vec());
            out.push(Token::RParen);
            out
        };
        let mut body = Vec::new();
        for token in &function.body {
            let parameter = match token {
                Token::Word(w) => {
                    function.parameters.iter().position(|(p, ..)| p.eq_ignore_ascii_case(&w.value))
                }
                _ => None,
            };
            match parameter {
                Some(at) => {
                    let (_, data_type, default) = &function.parameters[at];
                    let value = match given.get(at) {
                        Some((from, to)) => words.slice(*from, *to),
                        None => default.clone().unwrap_or_default(),
                    };
                    body.extend(cast(value, data_type));
                }
                None => body.push(token.clone()),
            }
        }
        let whole = match &function.result {
            Some(result) => cast(body, result),
            None => [vec![Token::LParen], body, vec![Token::RParen]].concat(),
        };
        let mut out = tokens[..words.at[index]].to_vec();
        out.extend(spaced(whole));
        out.extend_from_slice(&tokens[words.at[close] + 1..]);
        return Ok(Some(out));
    }
    Ok(None)
}

/// `TABLE t` is `SELECT * FROM t`, at the start and where a sub-query or a part of a set operation begins.
pub(crate) fn table_query(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words = Words::new(&tokens);
    let begins = |index: usize| match index.checked_sub(1) {
        None => true,
        Some(before) => {
            let set = ["union", "all", "distinct", "except", "intersect", "minus"];
            // `explode(TABLE t)` is an argument.
            let open = matches!(words.token(before), Some(Token::LParen))
                && !matches!(before.checked_sub(1).and_then(|at| words.token(at)), Some(Token::Word(w)) if !is_clause(&w.value));
            open || set.iter().any(|word| words.is(before, word))
        }
    };
    let starts = |index: &usize| {
        words.is(*index, "table") && matches!(words.token(index + 1), Some(Token::Word(_))) && begins(*index)
    };
    let at: Vec<usize> =
        (0..words.len()).filter(starts).filter_map(|index| words.at.get(index).copied()).collect();
    if at.is_empty() {
        return tokens;
    }
    let select = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
    let mut out = Vec::with_capacity(tokens.len() + 2 * at.len());
    for (index, token) in tokens.into_iter().enumerate() {
        match at.contains(&index) {
            true => out.extend(select.iter().map(|new| TokenWithSpan::new(new.clone(), token.span))),
            false => out.push(token),
        }
    }
    out
}

/// A word before a parenthesis that is no name of a function.
fn is_clause(word: &str) -> bool {
    let clauses =
        ["from", "join", "as", "in", "exists", "union", "all", "except", "intersect", "minus", "select"];
    clauses.iter().any(|clause| word.eq_ignore_ascii_case(clause))
}

/// `VALUES 'a', 'b'` is `VALUES ('a'), ('b')`: a row of one column needs no parentheses.
pub(crate) fn bare_values(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words = Words::new(&tokens);
    let is_literal = |index: usize| match words.token(index) {
        Some(Token::SingleQuotedString(_) | Token::Number(..)) => true,
        _ => ["null", "true", "false"].iter().any(|word| words.is(index, word)),
    };
    // What is put before which of the words.
    let mut put: BTreeMap<usize, Vec<Token>> = BTreeMap::new();
    for values in (0..words.len()).filter(|index| words.is(*index, "values") && is_literal(index + 1)) {
        let (mut depth, mut at, mut complete) = (0_usize, values + 1, false);
        put.entry(at).or_default().push(Token::LParen);
        while let Some(token) = words.token(at) {
            match token {
                Token::LParen => depth += 1,
                Token::RParen if depth > 0 => depth -= 1,
                Token::RParen | Token::SemiColon => break,
                Token::Comma if depth == 0 => {
                    put.entry(at).or_default().push(Token::RParen);
                    put.entry(at + 1).or_default().push(Token::LParen);
                    complete = false;
                    at += 1;
                    continue;
                }
                // A word behind a value is the alias, or the next clause.
                Token::Word(_) if depth == 0 && complete => break,
                _ => {}
            }
            complete = depth > 0 || matches!(token, Token::RParen | Token::Word(_)) || is_literal(at);
            at += 1;
        }
        put.entry(at).or_default().push(Token::RParen);
    }
    if put.is_empty() {
        return tokens;
    }
    let places: BTreeMap<usize, Vec<Token>> = put
        .into_iter()
        .map(|(word, new)| (words.at.get(word).copied().unwrap_or(tokens.len()), new))
        .collect();
    let mut out = Vec::with_capacity(tokens.len() + 2 * places.len());
    for (index, token) in tokens.iter().enumerate() {
        out.extend(spaced(places.get(&index).cloned().unwrap_or_default()));
        out.push(token.clone());
    }
    out.extend(spaced(places.get(&tokens.len()).cloned().unwrap_or_default()));
    out
}

/// `EXPLAIN EXTENDED` and `FORMATTED` in DataFusion's words.
///
/// # Errors
/// For `COST` and `CODEGEN`, which have no like here.
pub(crate) fn explained(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let words = Words::new(&tokens);
    if !words.is(0, "explain") {
        return Ok(tokens);
    }
    let with: &[&str] = if words.is(1, "extended") {
        &["VERBOSE"]
    } else if words.is(1, "formatted") {
        &["FORMAT", "TREE"]
    } else if words.is(1, "cost") || words.is(1, "codegen") {
        return Err(Error::new(ErrorKind::Unsupported, "sql", "EXPLAIN COST / CODEGEN is not supported")
            .with_help("write EXPLAIN, EXPLAIN EXTENDED, EXPLAIN FORMATTED or EXPLAIN ANALYZE"));
    } else {
        return Ok(tokens);
    };
    let at = words.at[1];
    tokens.splice(at..=at, spaced(with.iter().map(|word| Token::make_keyword(word))));
    Ok(tokens)
}
