//! `VERSION AS OF` and `TIMESTAMP AS OF`: older versions of Delta tables.
//!
//! A version belongs to the path: ``delta.`path` VERSION AS OF 3`` is ``delta.`path@v3` ``, and a moment is written as
//! Delta does, `path@yyyyMMddHHmmssSSS`. A table made with `USING delta` is its path. Every other table has one version
//! only; its clause is left in the tree, where it is refused.

use crate::clauses::quoted;
use crate::parameters::Parameters;
use crate::{functions, session, tables};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Statement, TableAlias, TableFactor, TableVersion, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::Session;

/// Whether a statement with this token may have a version in it: most have none, and their trees need not be searched.
pub(crate) fn may_begin(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.keyword == Keyword::OF)
}

/// Gives tables with versions the paths of these versions.
///
/// # Errors
/// For a version that is no number, and a moment that is no constant moment.
pub(crate) async fn resolve(session: &Session, statement: &mut Statement) -> Result<()> {
    let mut found = Found { session, versions: Vec::new() };
    let _ = Visit::visit(&*statement, &mut found);
    if found.versions.is_empty() {
        return Ok(());
    }
    let mut behind = VecDeque::with_capacity(found.versions.len());
    for version in found.versions {
        behind.push_back(match version {
            TableVersion::VersionAsOf(expr) => format!("v{}", number(&expr)?),
            TableVersion::TimestampAsOf(expr) => moment(session, &expr).await?,
            _ => return Ok(()),
        });
    }
    let _ = VisitMut::visit(statement, &mut Put { session, behind });
    Ok(())
}

/// The path of a table that has versions.
fn path(session: &Session, factor: &TableFactor) -> Option<String> {
    let TableFactor::Table {
        name,
        args: None,
        version: Some(TableVersion::VersionAsOf(_) | TableVersion::TimestampAsOf(_)),
        ..
    } = factor
    else {
        return None;
    };
    let parts: Vec<&str> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|i| i.value.as_str()).collect();
    match parts[..] {
        [format, path] if format.eq_ignore_ascii_case("delta") => Some(path.to_owned()),
        [table] => tables::delta_path(session, table),
        _ => None,
    }
}

struct Found<'a> {
    session: &'a Session,
    versions: Vec<TableVersion>,
}

impl Visitor for Found<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if path(self.session, factor).is_some()
            && let TableFactor::Table { version: Some(version), .. } = factor
        {
            self.versions.push(version.clone());
        }
        ControlFlow::Continue(())
    }
}

struct Put<'a> {
    session: &'a Session,
    /// Of the tables that [`Found`] finds, in its order.
    behind: VecDeque<String>,
}

impl VisitorMut for Put<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let Some(path) = path(self.session, factor) else { return ControlFlow::Continue(()) };
        if let TableFactor::Table { name, version, alias, .. } = factor
            && let Some(behind) = self.behind.pop_front()
        {
            // The columns of a table go on by its name.
            if alias.is_none()
                && let [only] = name.0.as_slice()
                && let Some(ident) = only.as_ident()
            {
                *alias =
                    Some(TableAlias { explicit: true, name: ident.clone(), columns: Vec::new(), at: None });
            }
            *name = ObjectName::from(vec![Ident::new("delta"), quoted(&format!("{path}@{behind}"))]);
            *version = None;
        }
        ControlFlow::Continue(())
    }
}

fn number(expr: &Expr) -> Result<u64> {
    let text = match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Some(text.as_str()),
            Value::SingleQuotedString(text) => Some(text.as_str()),
            _ => None,
        },
        _ => None,
    };
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let message = format!("VERSION AS OF {expr}: a version is a number");
        Error::new(ErrorKind::InvalidArgument, "sql", message)
    })
}

/// A constant moment as Delta writes it behind a path.
async fn moment(session: &Session, expr: &Expr) -> Result<String> {
    let wrong = |why: &str| {
        let name = "[INVALID_TIME_TRAVEL_TIMESTAMP_EXPR]";
        let message = format!("{name} TIMESTAMP AS OF {expr}: {why} SQLSTATE: 42K0E");
        Error::new(ErrorKind::InvalidArgument, "sql", message)
    };
    let text = format!("SELECT unix_micros(CAST({expr} AS TIMESTAMP))");
    let asked = Box::pin(async { session::text(session, &text, &Parameters::new()).await?.collect().await });
    let batches = asked.await.map_err(|error| wrong("it must be a constant moment").with_source(error))?;
    let column = batches.iter().find(|batch| batch.num_rows() == 1).map(|batch| batch.column(0));
    let column = column.ok_or_else(|| wrong("it must be one moment"))?;
    if column.is_null(0) {
        return Err(wrong("it is null"));
    }
    let micros = column.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong("it must be a moment"))?.value(0);
    // In UTC, whatever the zone of the session.
    functions::print_moment(micros, "yyyyMMddHHmmssSSS").map_err(|error| session.error(error, "sql"))
}
