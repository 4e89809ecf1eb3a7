//! Tables of files: `CREATE TABLE .. USING parquet`, `INSERT INTO / OVERWRITE` them, `DROP TABLE`, `SHOW PARTITIONS`.
//!
//! Such a table is a directory, a format and, if they were declared, types. It is written like a frame is: what
//! fails leaves it as it was. After each write its files are listed anew. Without `LOCATION` the directory is
//! below `spark.sql.warehouse.dir`, and goes with the table. Both may be in an object store. Rows for a
//! `CREATE EXTERNAL TABLE`, which DataFusion keeps, are written in the same way.

use crate::databases::TableName;
use crate::lengths::{Length, WRITTEN};
use crate::parameters::Parameters;
use crate::session;
use crate::settings::SparkSettings;
use crate::statements::{Words, lock, missing, nothing, spaced, state, table, texts, wrong};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::listing::ListingTable;
use datafusion::logical_expr::{Expr, TableType, cast, lit};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{CsvOptions, DataFrame, Session, WriteMode, WriteOptions};

/// A table of files.
#[derive(Clone, Debug)]
pub(crate) struct FileTable {
    format: Format,
    path: PathBuf,
    /// Whether the files go when the table is dropped.
    managed: bool,
    /// Whether every query lists the files anew, as it does those of `CREATE EXTERNAL TABLE`.
    listed: bool,
    /// The columns, with those that name directories last.
    schema: SchemaRef,
    partition_by: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Parquet,
    Csv,
    Json,
    Arrow,
    Avro,
    Delta,
}

impl Format {
    fn read(word: &str) -> Result<Self> {
        Ok(match word {
            "parquet" => Self::Parquet,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "arrow" => Self::Arrow,
            "avro" => Self::Avro,
            "delta" => Self::Delta,
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "sql",
                    format!("CREATE TABLE .. USING {other} is not supported"),
                )
                .with_help("formats are parquet, csv, json, arrow and, to be read, avro and delta"));
            }
        })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, "sql", message)
}

/// What stands after the columns of `CREATE TABLE`.
#[derive(Default)]
struct Clauses {
    format: Option<Format>,
    partition_by: Vec<String>,
    location: Option<String>,
    /// The word after AS.
    query: Option<usize>,
}

/// `CREATE [OR REPLACE] TABLE [IF NOT EXISTS] name [(columns)] USING format ..`; none without USING.
pub(crate) async fn create(session: &Session, words: &Words<'_>) -> Option<Result<DataFrame>> {
    let replace = words.are(1, &["or", "replace"]);
    let at = if replace { 3 } else { 1 };
    if !words.is(at, "table") {
        return None;
    }
    let if_not_exists = words.are(at + 1, &["if", "not", "exists"]);
    let name_at = at + if if_not_exists { 4 } else { 1 };
    let (name, mut after) = TableName::read(words, name_at)?;
    let columns = matches!(words.token(after), Some(Token::LParen)).then_some(after);
    if columns.is_some() {
        after = words.close(after)? + 1;
    }
    if !words.is(after, "using") {
        return None;
    }
    Some(
        async {
            let exists = name.exists(session)?;
            if exists && if_not_exists {
                return nothing(session);
            }
            if exists && !replace {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    "sql",
                    format!(
                        "[TABLE_OR_VIEW_ALREADY_EXISTS] there is a table {} already SQLSTATE: 42P07",
                        name.quoted()
                    ),
                )
                .with_help("drop it first, or write CREATE OR REPLACE TABLE"));
            }
            let clauses = clauses(words, after)?;
            make(session, words, &name, columns, clauses, replace).await
        }
        .await,
    )
}

fn clauses(words: &Words<'_>, mut at: usize) -> Result<Clauses> {
    let mut found = Clauses::default();
    let form =
        || wrong("USING format, PARTITIONED BY (columns), LOCATION 'path', COMMENT 'text' or AS query");
    while at < words.len() {
        if words.is(at, "using") {
            found.format = Some(Format::read(&words.name(at + 1).ok_or_else(form)?)?);
            at += 2;
        } else if words.are(at, &["partitioned", "by"]) {
            let close = words.close(at + 2).ok_or_else(form)?;
            for (from, to) in words.parts(at + 3, close) {
                if to != from + 1 {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "sql",
                        "PARTITIONED BY takes names of columns; types and transforms are not supported",
                    ));
                }
                found.partition_by.push(words.name(from).ok_or_else(form)?);
            }
            at = close + 1;
        } else if words.is(at, "location") {
            found.location = Some(words.text(at + 1).ok_or_else(form)?.to_owned());
            at += 2;
        } else if words.is(at, "comment") {
            at += 2;
        } else if words.is(at, "as") {
            found.query = Some(at + 1);
            return Ok(found);
        } else if words.is(at, "select") || words.is(at, "with") || words.is(at, "values") {
            found.query = Some(at);
            return Ok(found);
        } else {
            let clause = words.name(at).map_or_else(String::new, |word| word.to_uppercase());
            return Err(Error::new(
                ErrorKind::Unsupported,
                "sql",
                format!("the clause {clause} of CREATE TABLE .. USING is not supported"),
            )
            .with_help("known are PARTITIONED BY, LOCATION, COMMENT and AS"));
        }
    }
    Ok(found)
}

async fn make(
    session: &Session,
    words: &Words<'_>,
    name: &TableName,
    columns: Option<usize>,
    clauses: Clauses,
    replace: bool,
) -> Result<DataFrame> {
    let format = clauses.format.unwrap_or(Format::Parquet);
    let managed = clauses.location.is_none();
    let absolute = |path: PathBuf| std::path::absolute(path).map_err(|error| invalid(error.to_string()));
    let path = match &clauses.location {
        Some(location) => match location.strip_prefix("file://") {
            Some(path) => absolute(PathBuf::from(path))?,
            // In a store.
            None if location.contains("://") => PathBuf::from(location),
            None => absolute(PathBuf::from(location))?,
        },
        None => match warehouse(session, &name.database(session)).join(&name.table) {
            path if path.to_string_lossy().contains("://") => path,
            path => absolute(path)?,
        },
    };
    let declared = match columns {
        Some(open) => Some(declared(session, words, open).await?),
        None => None,
    };
    let query = match clauses.query {
        Some(_) if declared.is_some() => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "sql",
                "columns and AS in one CREATE TABLE are not supported",
            )
            .with_help("name the columns in the query"));
        }
        Some(at) => Some(Box::pin(session::query(session, words.rest(at), "", &Parameters::new())).await?),
        None => None,
    };
    let schema = match (&declared, &query) {
        (Some(schema), _) => Arc::clone(schema),
        (None, Some(query)) => query.schema(),
        // What is there says what the columns are.
        (None, None) => {
            if managed {
                return Err(invalid("CREATE TABLE needs columns, a LOCATION with files, or AS query"));
            }
            read(session, format, &path, None).await?.schema()
        }
    };
    let mut fields: Vec<Field> =
        schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    for key in &clauses.partition_by {
        let at = fields.iter().position(|field| field.name() == key).ok_or_else(|| {
            Error::unknown_column("PARTITIONED BY", key, schema.fields().iter().map(|field| field.name()))
        })?;
        let field = fields.remove(at);
        fields.push(field);
    }
    let table = FileTable {
        format,
        path,
        managed,
        listed: false,
        schema: Arc::new(Schema::new(fields)),
        partition_by: clauses.partition_by,
    };
    if let Some(query) = query {
        let mode = if replace { WriteMode::Overwrite } else { WriteMode::ErrorIfExists };
        write(&table, &query, mode).await?;
    } else if managed && replace {
        session.remove_directory(&table.path).await?;
    }
    register(session, name, &table).await?;
    lock(&state(session).file_tables).insert(name.key(session), table);
    nothing(session)
}

/// The types of `(a INT, b STRING)`.
async fn declared(session: &Session, words: &Words<'_>, open: usize) -> Result<SchemaRef> {
    let close = words.close(open).ok_or_else(|| wrong("(column type, ..)"))?;
    columns(session, words, open + 1, close).await
}

/// The types of `a INT, b STRING`.
///
/// # Errors
/// For another form, and types that are not known.
pub(crate) async fn columns(
    session: &Session,
    words: &Words<'_>,
    from: usize,
    to: usize,
) -> Result<SchemaRef> {
    let form = || wrong("(column type, ..)");
    let mut tokens = vec![Token::make_keyword("SELECT")];
    let mut lengths = Vec::new();
    for (index, (from, to)) in outside_of_types(words, words.parts(from, to)).into_iter().enumerate() {
        let name = words.name(from).ok_or_else(form)?;
        let end = (from + 1..to).find(|at| words.is(*at, "comment") || words.are(*at, &["not", "null"]));
        if end.is_some_and(|at| words.is(at, "not")) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "sql",
                "NOT NULL of these columns is not supported",
            ));
        }
        if index > 0 {
            tokens.push(Token::Comma);
        }
        lengths.push(length(words, from + 1));
        tokens.extend([Token::make_keyword("CAST"), Token::LParen, Token::make_keyword("NULL")]);
        tokens.push(Token::make_keyword("AS"));
        tokens.extend(words.slice(from + 1, end.unwrap_or(to)));
        tokens.extend([Token::RParen, Token::make_keyword("AS"), Token::make_word(&name, Some('`'))]);
    }
    let frame = Box::pin(session::query(session, spaced(tokens), "", &Parameters::new())).await?;
    let schema = frame.schema();
    let fields = schema.fields().iter().zip(lengths).map(|(field, length)| match length {
        Some(length) => length.field(field.name()),
        None => field.as_ref().clone(),
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The length of `CHAR(n)` or `VARCHAR(n)` at a word.
fn length(words: &Words<'_>, at: usize) -> Option<Length> {
    let fills = words.is(at, "char") || words.is(at, "character");
    let named = fills || words.is(at, "varchar");
    match (words.token(at + 1), words.token(at + 2)) {
        (Some(Token::LParen), Some(Token::Number(most, _))) if named => {
            Some(Length::new(most.parse().ok()?, fills))
        }
        _ => None,
    }
}

/// The parts of a list, where commas within `struct<a: int, b: int>` part nothing.
fn outside_of_types(words: &Words<'_>, parts: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let depth = |from: usize, to: usize| -> i32 {
        let of = |index: usize| match words.token(index) {
            Some(Token::Lt) => 1,
            Some(Token::Gt) => -1,
            Some(Token::ShiftRight) => -2,
            _ => 0,
        };
        (from..to).map(of).sum()
    };
    let mut out: Vec<(usize, usize)> = Vec::with_capacity(parts.len());
    for (from, to) in parts {
        match out.last_mut() {
            Some(last) if depth(last.0, last.1) > 0 => last.1 = to,
            _ => out.push((from, to)),
        }
    }
    out
}

/// Where the rows of a table made with `USING delta` are.
pub(crate) fn delta_path(session: &Session, name: &str) -> Option<String> {
    let state = state(session);
    let tables = lock(&state.file_tables);
    let key = |name: &str| TableName::bare(name).key(session);
    let table = tables.get(&key(name)).or_else(|| tables.get(&key(&name.to_lowercase())))?;
    (table.format == Format::Delta).then(|| table.path.to_string_lossy().into_owned())
}

/// Where the tables of a database are that have no LOCATION.
fn warehouse(session: &Session, database: &str) -> PathBuf {
    let state = session.context().state();
    let settings = state.config().options().extensions.get::<SparkSettings>();
    let path = PathBuf::from(settings.map_or("spark-warehouse", |settings| settings.warehouse()));
    if database == "default" { path } else { path.join(format!("{database}.db")) }
}

async fn read(
    session: &Session,
    format: Format,
    path: &Path,
    types: Option<&FileTable>,
) -> Result<DataFrame> {
    match format {
        Format::Parquet => session.read_parquet(path).await,
        Format::Json => session.read_json(path).await,
        Format::Arrow => session.read_arrow(path).await,
        Format::Avro => session.read_avro(path).await,
        Format::Delta => session.read_delta(path).await,
        Format::Csv => {
            let mut options = CsvOptions::new();
            for field in types.iter().flat_map(|table| table.schema.fields()) {
                let in_file = types.is_some_and(|table| !table.partition_by.contains(field.name()));
                // Nested and binary values are not in CSV.
                if in_file && !field.data_type().is_nested() {
                    options = options.column_type(field.name(), field.data_type().clone());
                }
            }
            session.read_csv_with(path, options).await
        }
    }
}

async fn write(table: &FileTable, frame: &DataFrame, mode: WriteMode) -> Result<usize> {
    let options = WriteOptions::new().mode(mode).partition_by(table.partition_by.clone());
    match table.format {
        Format::Parquet => frame.write_parquet_with(&table.path, options).await,
        Format::Csv => frame.write_csv_with(&table.path, options).await,
        Format::Json => frame.write_json_with(&table.path, options).await,
        Format::Arrow => frame.write_arrow_with(&table.path, options).await,
        Format::Avro | Format::Delta => Err(Error::new(
            ErrorKind::Unsupported,
            "sql",
            "tables of Avro files and Delta tables are read, not written",
        )
        .with_help("write parquet, csv, json or arrow")),
    }
}

/// Lists the files, and makes them visible under the name with the columns as they were declared.
async fn register(session: &Session, name: &TableName, table: &FileTable) -> Result<()> {
    let frame = match read(session, table.format, &table.path, Some(table)).await {
        Ok(frame) => {
            let have = frame.columns();
            let columns = table.schema.fields().iter().map(|field| {
                let value = match have.contains(field.name()) {
                    true => Expr::Column(Column::from_name(field.name())),
                    false => lit(ScalarValue::Null),
                };
                let value = cast(value, field.data_type().clone());
                let Some(length) = Length::of(field) else { return Ok(value.alias(field.name())) };
                let metadata = FieldMetadata::from(field.metadata());
                Ok(length.read(value)?.alias_with_metadata(field.name(), Some(metadata)))
            });
            let columns = columns.collect::<datafusion::error::Result<Vec<_>>>();
            let columns = columns.map_err(|error| session.error(error, "sql"))?;
            let inner = frame.inner().clone().select(columns);
            DataFrame::new(session.clone(), inner.map_err(|error| session.error(error, "sql"))?)
        }
        // Nothing has been written yet.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            session.frame_from_batches(vec![RecordBatch::new_empty(Arc::clone(&table.schema))])?
        }
        Err(error) => return Err(error),
    };
    session.register_in(&name.database(session), &name.table, &frame)
}

/// `INSERT [INTO | OVERWRITE] [TABLE] name [PARTITION (..)] [(columns)] query`; none for a table of another kind.
pub(crate) async fn insert(session: &Session, words: &Words<'_>) -> Option<Result<DataFrame>> {
    let overwrite = words.is(1, "overwrite");
    let mut at = 1 + usize::from(overwrite || words.is(1, "into"));
    at += usize::from(words.is(at, "table"));
    let (name, at) = TableName::read(words, at)?;
    let known = lock(&state(session).file_tables).get(&name.key(session)).cloned();
    let table = match known {
        Some(table) => table,
        None => match external(session, &name).await? {
            Ok(table) => table,
            Err(error) => return Some(Err(error)),
        },
    };
    Some(rows(session, words, &name, &table, at, overwrite).await)
}

/// A table of `CREATE EXTERNAL TABLE`; none for one that is no directory of files.
async fn external(session: &Session, name: &TableName) -> Option<Result<FileTable>> {
    let provider = session.context().table_provider(name.reference(session)).await.ok()?;
    let name = &name.table;
    let listing = provider.downcast_ref::<ListingTable>()?;
    let unsupported = |message: String| Error::new(ErrorKind::Unsupported, "INSERT", message);
    let [url] = listing.table_paths().as_slice() else {
        return Some(Err(unsupported(format!("`{name}` is made of several paths"))));
    };
    if !url.is_collection() {
        let error = unsupported(format!("`{name}` is one file, to which nothing is added"));
        return Some(Err(error.with_help("end its LOCATION with `/`, so that it is a directory")));
    }
    let options = listing.options();
    let format = match Format::read(&options.format.get_ext()) {
        Ok(format) => format,
        Err(error) => return Some(Err(error)),
    };
    // Files of ours have a header, commas, and are not compressed.
    if let Some(csv) = (options.format.as_ref() as &dyn Any).downcast_ref::<CsvFormat>()
        && (csv.options().has_header == Some(false) || csv.delimiter() != b',')
    {
        let error = unsupported(format!(
            "`{name}` has CSV files in a layout of its own; those written have a header and commas"
        ));
        return Some(Err(error.with_help("create it with OPTIONS ('format.has_header' 'true')")));
    }
    if options.format.compression_type().is_some_and(|compression| compression.is_compressed()) {
        return Some(Err(unsupported(format!("`{name}` has compressed files, which are not written"))));
    }
    let path = match url.scheme() {
        "file" => PathBuf::from(format!("/{}", url.prefix())),
        _ => {
            let origin = url.object_store();
            PathBuf::from(format!("{}/{}", origin.as_str().trim_end_matches('/'), url.prefix()))
        }
    };
    Some(Ok(FileTable {
        format,
        path,
        managed: false,
        listed: true,
        schema: listing.schema(),
        partition_by: options.table_partition_cols.iter().map(|(name, _)| name.clone()).collect(),
    }))
}

/// Values of `PARTITION (k = value, l)`: the key and its value, if it has one.
type Given = Vec<(String, Option<Vec<Token>>)>;

fn given(words: &Words<'_>, at: usize, table: &FileTable) -> Result<(Given, usize)> {
    if !words.is(at, "partition") {
        return Ok((Vec::new(), at));
    }
    let form = || wrong("PARTITION (column = value, ..)");
    let close = words.close(at + 1).ok_or_else(form)?;
    let mut out = Vec::new();
    for (from, to) in words.parts(at + 2, close) {
        let key = words.name(from).ok_or_else(form)?;
        if !table.partition_by.contains(&key) {
            return Err(invalid(format!("`{key}` is no partition column"))
                .with_help(format!("partition columns are {}", table.partition_by.join(", "))));
        }
        let value = matches!(words.token(from + 1), Some(Token::Eq)).then(|| words.slice(from + 2, to));
        if value.is_none() && to != from + 1 {
            return Err(form());
        }
        out.push((key, value));
    }
    Ok((out, close + 1))
}

async fn rows(
    session: &Session,
    words: &Words<'_>,
    name: &TableName,
    table: &FileTable,
    at: usize,
    overwrite: bool,
) -> Result<DataFrame> {
    let (given, at) = given(words, at, table)?;
    let form = || wrong("a query after INSERT");
    let (columns, at) = match words.token(at) {
        // A query may begin with a parenthesis too.
        Some(Token::LParen) if !words.is(at + 1, "select") && !words.is(at + 1, "with") => {
            let close = words.close(at).ok_or_else(form)?;
            let names =
                words.parts(at + 1, close).into_iter().map(|(from, _)| words.name(from).ok_or_else(form));
            (Some(names.collect::<Result<Vec<_>>>()?), close + 1)
        }
        _ => (None, at),
    };
    if at >= words.len() {
        return Err(form());
    }
    let query = Box::pin(session::query(session, words.rest(at), "", &Parameters::new())).await?;
    let fixed =
        |name: &String| given.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.clone());
    let open: Vec<String> = match columns {
        Some(columns) => columns,
        None => {
            let names = table.schema.fields().iter().map(|field| field.name().clone());
            names.filter(|name| fixed(name).is_none()).collect()
        }
    };
    let have = query.columns();
    if have.len() != open.len() {
        return Err(invalid(format!(
            "[INSERT_COLUMN_ARITY_MISMATCH] the query has {} columns, {} are to be filled: {} SQLSTATE: 21S01",
            have.len(),
            open.len(),
            open.join(", ")
        )));
    }
    if let Some(unknown) = open.iter().find(|name| table.schema.index_of(name).is_err()) {
        return Err(Error::unknown_column("INSERT", unknown, table.schema.fields().iter().map(|f| f.name())));
    }
    // The values of the statement as a query over the query, so that casts are those of the dialect.
    session.register(SOURCE, &renamed(session, &query, open.len())?)?;
    let mut tokens = vec![Token::make_keyword("SELECT")];
    for (index, field) in table.schema.fields().iter().enumerate() {
        let value = match (fixed(field.name()), open.iter().position(|name| name == field.name())) {
            (Some(value), _) => value,
            (None, Some(at)) => vec![Token::make_word(&format!("c{at}"), Some('`'))],
            (None, None) => vec![Token::make_keyword("NULL")],
        };
        if index > 0 {
            tokens.push(Token::Comma);
        }
        let length = Length::of(field);
        if length.is_some() {
            tokens.extend([Token::make_word(WRITTEN, Some('`')), Token::LParen]);
        }
        tokens.extend([Token::make_keyword("CAST"), Token::LParen]);
        tokens.extend(value);
        tokens.push(Token::make_keyword("AS"));
        tokens.extend(type_tokens(field.data_type())?);
        tokens.push(Token::RParen);
        if let Some((most, fills)) = length.map(Length::arguments) {
            tokens.extend([Token::Comma, Token::Number(most.to_string(), false), Token::Comma]);
            tokens.extend([Token::make_keyword(if fills { "true" } else { "false" }), Token::RParen]);
        }
        tokens.extend([Token::make_keyword("AS"), Token::make_word(field.name(), Some('`'))]);
    }
    tokens.extend([Token::make_keyword("FROM"), Token::make_word(SOURCE, Some('`'))]);
    let frame = Box::pin(session::query(session, spaced(tokens), "", &Parameters::new())).await;
    session.deregister(SOURCE)?;
    let frame = frame?;

    let all_fixed = !given.is_empty()
        && given.len() == table.partition_by.len()
        && given.iter().all(|(_, value)| value.is_some());
    let mode = match overwrite {
        false => WriteMode::Append,
        true if table.partition_by.is_empty() => WriteMode::Overwrite,
        true if all_fixed || dynamic(session) => WriteMode::OverwritePartitions,
        true if given.is_empty() => WriteMode::Overwrite,
        true => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "sql",
                "INSERT OVERWRITE of a part of the partition columns is not supported",
            )
            .with_help(
                "give all of them a value, or SET spark.sql.sources.partitionOverwriteMode = dynamic",
            ));
        }
    };
    let written = write(table, &frame, mode).await?;
    if written == 0 && overwrite && all_fixed {
        session.remove_directory(fixed_directory(session, table, &given).await?).await?;
    }
    match table.listed {
        true => forget_listing(session),
        false => register(session, name, table).await?,
    }
    nothing(session)
}

/// The name under which the rows of an INSERT are known while they are planned.
const SOURCE: &str = "#insert";

fn renamed(session: &Session, query: &DataFrame, width: usize) -> Result<DataFrame> {
    let columns = query.inner().schema().columns().into_iter().enumerate();
    let columns: Vec<Expr> =
        columns.take(width).map(|(index, column)| Expr::Column(column).alias(format!("c{index}"))).collect();
    let inner = query.inner().clone().select(columns).map_err(|error| session.error(error, "sql"))?;
    Ok(DataFrame::new(session.clone(), inner))
}

pub(crate) fn type_tokens(data_type: &DataType) -> Result<Vec<Token>> {
    let name = match data_type {
        // Whatever the zone of the session.
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        other => crate::value::types::name(other),
    };
    let tokens = crate::tokens::tokens(&crate::dialect::TrefoilDialect, &name, false)
        .map_err(|error| invalid(format!("the type {name}: {error}")))?;
    Ok(tokens.into_iter().map(|token| token.token).collect())
}

fn dynamic(session: &Session) -> bool {
    let state = session.context().state();
    state.config().options().extensions.get::<SparkSettings>().is_some_and(SparkSettings::dynamic_overwrite)
}

/// The directory of a partition whose keys all have values.
async fn fixed_directory(session: &Session, table: &FileTable, given: &Given) -> Result<PathBuf> {
    let mut path = table.path.clone();
    for key in &table.partition_by {
        let Some((_, Some(value))) = given.iter().find(|(name, _)| name == key) else { continue };
        let mut tokens = vec![Token::make_keyword("SELECT"), Token::make_keyword("CAST"), Token::LParen];
        tokens.extend(value.clone());
        tokens.extend([Token::make_keyword("AS"), Token::make_keyword("STRING"), Token::RParen]);
        let frame = Box::pin(session::query(session, spaced(tokens), "", &Parameters::new())).await?;
        let batches = frame.collect().await?;
        let text = batches.first().map(|batch| crate::spark_format::column(batch.column(0))).transpose()?;
        let text = text.and_then(|mut text| text.pop()).unwrap_or_default();
        path.push(trefoil_plan::partition_directory(key, Some(&text)));
    }
    Ok(path)
}

/// `DROP TABLE [IF EXISTS] name`; none for a table of another kind.
pub(crate) async fn drop_table(session: &Session, words: &Words<'_>) -> Option<Result<DataFrame>> {
    let at = if words.are(2, &["if", "exists"]) { 4 } else { 2 };
    let name = TableName::all(words, at)?;
    drop_files(session, &name).await
}

/// Drops a table of files; none for a table of another kind.
pub(crate) async fn drop_files(session: &Session, name: &TableName) -> Option<Result<DataFrame>> {
    let table = lock(&state(session).file_tables).remove(&name.key(session))?;
    let dropped = async {
        session.deregister_in(&name.database(session), &name.table)?;
        if table.managed {
            session.remove_directory(&table.path).await?;
        }
        nothing(session)
    };
    Some(dropped.await)
}

/// Whether a name is that of a table of files.
pub(crate) fn is_one(session: &Session, name: &TableName) -> bool {
    lock(&state(session).file_tables).contains_key(&name.key(session))
}

/// The columns of a table of files, as they were declared.
pub(crate) fn schema(session: &Session, name: &TableName) -> Option<SchemaRef> {
    lock(&state(session).file_tables).get(&name.key(session)).map(|table| Arc::clone(&table.schema))
}

/// Gives a table of files another name; its files stay where they are.
///
/// # Errors
/// For a table whose directory has its name.
pub(crate) fn rename(session: &Session, from: &TableName, to: &TableName) -> Result<()> {
    let state = state(session);
    let mut tables = lock(&state.file_tables);
    let Some(table) = tables.remove(&from.key(session)) else { return Ok(()) };
    if table.managed {
        tables.insert(from.key(session), table);
        return Err(Error::new(
            ErrorKind::Unsupported,
            "ALTER",
            format!("the files of {} are in a directory of its name, which is not moved", from.quoted()),
        )
        .with_help("write CREATE TABLE .. AS SELECT and DROP TABLE, or give a table a LOCATION"));
    }
    tables.insert(to.key(session), table);
    Ok(())
}

/// What `DESCRIBE EXTENDED` says of a table beside its columns.
///
/// # Errors
/// For a table that is not there.
pub(crate) async fn details(session: &Session, name: &TableName) -> Result<Vec<(&'static str, String)>> {
    if let Some(table) = lock(&state(session).file_tables).get(&name.key(session)) {
        let kind = if table.managed { "MANAGED" } else { "EXTERNAL" };
        let format = format!("{:?}", table.format).to_lowercase();
        let mut out = vec![("Type", kind.to_owned()), ("Provider", format)];
        out.push(("Location", table.path.to_string_lossy().into_owned()));
        if !table.partition_by.is_empty() {
            out.push(("Partition Columns", table.partition_by.join(", ")));
        }
        return Ok(out);
    }
    let provider = session.context().table_provider(name.reference(session)).await;
    let provider = provider.map_err(|error| session.error(error, "DESCRIBE"))?;
    let kind = match provider.table_type() {
        TableType::View => "VIEW",
        _ if provider.downcast_ref::<ListingTable>().is_some() => "EXTERNAL",
        _ => "MANAGED",
    };
    let mut out = vec![("Type", kind.to_owned())];
    out.extend(provider.get_table_definition().map(|text| ("View Text", text.to_owned())));
    Ok(out)
}

/// `SHOW PARTITIONS name`: the directories below the table.
pub(crate) async fn show_partitions(session: &Session, words: &Words<'_>) -> Result<DataFrame> {
    let name = TableName::all(words, 2).ok_or_else(|| wrong("SHOW PARTITIONS name"))?.key(session);
    let tables = lock(&state(session).file_tables).clone();
    let Some(file_table) = tables.get(&name) else {
        return Err(missing("table of files", &name, tables.keys().cloned().collect()));
    };
    if file_table.partition_by.is_empty() {
        return Err(invalid(format!("`{name}` is not partitioned")));
    }
    let labels = session.partition_directories(&file_table.path, file_table.partition_by.len()).await?;
    table(session, vec![("partition", texts(labels))])
}

/// `SHOW CREATE TABLE name`, for a table of files.
pub(crate) fn show_create(session: &Session, words: &Words<'_>) -> Option<Result<DataFrame>> {
    let name = TableName::all(words, 3)?.key(session);
    let file_table = lock(&state(session).file_tables).get(&name).cloned()?;
    let column = |field: &Arc<Field>| {
        format!("  {} {}", field.name(), crate::describe::type_name(session, field).to_uppercase())
    };
    let columns: Vec<String> = file_table.schema.fields().iter().map(column).collect();
    let mut text = format!("CREATE TABLE {name} (\n{})\n", columns.join(",\n"));
    text.push_str(&format!("USING {}\n", format!("{:?}", file_table.format).to_lowercase()));
    if !file_table.partition_by.is_empty() {
        text.push_str(&format!("PARTITIONED BY ({})\n", file_table.partition_by.join(", ")));
    }
    if !file_table.managed {
        text.push_str(&format!("LOCATION '{}'\n", file_table.path.display()));
    }
    Some(table(session, vec![("createtab_stmt", texts(vec![text]))]))
}

/// Lets the next query list the files of an external table anew.
fn forget_listing(session: &Session) {
    if let Some(listings) = session.context().runtime_env().cache_manager.get_list_files_cache() {
        listings.clear();
    }
}
