//! `DESCRIBE`: the columns of a table or a query, one column, and what is known of a table beside them.

use crate::databases::TableName;
use crate::lengths::Length;
use crate::parameters::Parameters;
use crate::statements::{Words, find, table, texts};
use crate::value::types;
use crate::{install, session, tables};
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, Field};
use std::sync::Arc;
use trefoil_core::{Error, Result};
use trefoil_plan::{DataFrame, Session};

/// `DESCRIBE [TABLE] [EXTENDED | FORMATTED] name [column]` and `DESCRIBE [QUERY] query`; none for another form.
pub(crate) async fn run(session: &Session, words: &Words<'_>) -> Option<Result<DataFrame>> {
    let at = 1 + usize::from(words.is(1, "query"));
    let queries = ["select", "with", "values", "from"];
    if at == 2 || queries.iter().any(|word| words.is(at, word)) {
        return Some(query(session, words, at).await);
    }
    let mut at = 1 + usize::from(words.is(1, "table"));
    let extended = words.len() > at + 1 && (words.is(at, "extended") || words.is(at, "formatted"));
    at += usize::from(extended);
    let (name, end) = TableName::read(words, at)?;
    match words.len() - end {
        0 => Some(columns(session, &name, extended).await),
        1 => Some(one(session, &name, &words.name(end)?).await),
        _ => None,
    }
}

/// The name of the type of a column, as it was declared.
pub(crate) fn type_name(session: &Session, field: &Field) -> String {
    if let Some(length) = Length::of(field) {
        return length.name();
    }
    match field.data_type() {
        DataType::Timestamp(_, None) if install::zone(session).label().is_some() => {
            "timestamp_ntz".to_owned()
        }
        other => types::name(other),
    }
}

/// Names, types and comments; a null comment is none.
type Lines = Vec<(String, String, Option<String>)>;

fn lines(session: &Session, lines: Lines) -> Result<DataFrame> {
    let comments: ArrayRef =
        Arc::new(lines.iter().map(|(.., comment)| comment.clone()).collect::<StringArray>());
    let (names, kinds) = lines.into_iter().map(|(name, kind, _)| (name, kind)).unzip();
    table(session, vec![("col_name", texts(names)), ("data_type", texts(kinds)), ("comment", comments)])
}

fn fields(session: &Session, frame: &DataFrame, name: Option<&TableName>) -> Lines {
    let declared = name.and_then(|name| tables::schema(session, name));
    let schema = declared.unwrap_or_else(|| frame.schema());
    schema.fields().iter().map(|field| (field.name().clone(), type_name(session, field), None)).collect()
}

async fn query(session: &Session, words: &Words<'_>, at: usize) -> Result<DataFrame> {
    let frame = Box::pin(session::query(session, words.rest(at), "", &Parameters::new())).await?;
    lines(session, fields(session, &frame, None))
}

async fn columns(session: &Session, name: &TableName, extended: bool) -> Result<DataFrame> {
    let frame = find(session, name).await?;
    let mut found = fields(session, &frame, Some(name));
    if extended {
        let mut more = |name: &str, value: String| found.push((name.to_owned(), value, Some(String::new())));
        more("", String::new());
        more("# Detailed Table Information", String::new());
        more("Catalog", "spark_catalog".into());
        more("Database", name.database(session));
        more("Table", name.table.clone());
        for (label, value) in tables::details(session, name).await? {
            more(label, value);
        }
    }
    lines(session, found)
}

async fn one(session: &Session, name: &TableName, column: &str) -> Result<DataFrame> {
    let frame = find(session, name).await?;
    let known = fields(session, &frame, Some(name));
    let found = known.iter().find(|(name, ..)| name.eq_ignore_ascii_case(column));
    let Some((column, kind, _)) = found else {
        let names = known.iter().map(|(name, ..)| name);
        return Err(crate::condition::named(Error::unknown_column("DESCRIBE", column, names)));
    };
    let labels = ["col_name", "data_type", "comment"].map(str::to_owned).to_vec();
    let values = vec![column.clone(), kind.clone(), "NULL".to_owned()];
    table(session, vec![("info_name", texts(labels)), ("info_value", texts(values))])
}
