//! `session.sql(text)`.

use crate::dialect::TrefoilDialect;
use crate::{install, place, refuse, repair, rewrite, tokens};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::{CreateMemoryTable, DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::{Dialect as Dialects, GenericDialect};
use datafusion::sql::sqlparser::parser::ParserError;
use std::collections::VecDeque;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{DataFrame, Dialect, Session, span_of};

mod sealed {
    pub trait Sealed {}
    impl Sealed for trefoil_plan::Session {}
}

/// SQL for a [`Session`].
pub trait SqlSession: sealed::Sealed {
    /// Plans one statement. A query gives a lazy frame; a command is carried out before this returns, and
    /// its frame holds the answer (the number of rows, or nothing).
    ///
    /// A trailing semicolon is allowed. See the [crate documentation](crate) for what the text means.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] with line, column and a caret; [`ErrorKind::UnknownTable`] and
    /// [`ErrorKind::UnknownColumn`] with near names; [`ErrorKind::TypeMismatch`];
    /// [`ErrorKind::Unsupported`] for a clause that would be ignored; [`ErrorKind::NotFound`] for a path;
    /// [`ErrorKind::ShutDown`].
    ///
    /// ```
    /// use trefoil_plan::Session;
    /// use trefoil_sql::SqlSession;
    ///
    /// let session = Session::local()?;
    /// let text = session.block_on(async { session.sql("SELECT 1 + 1 AS two").await?.to_text(5).await })?;
    /// assert_eq!(text, " two\n int64\n-------\n     2\n1 row x 1 column");
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    fn sql(&self, text: &str) -> impl Future<Output = Result<DataFrame>> + Send;
}

impl SqlSession for Session {
    async fn sql(&self, text: &str) -> Result<DataFrame> {
        let spark = self.dialect() == Dialect::Spark;
        let mut statement = parse(self, text, spark)?;
        refuse::check(&statement)?;
        if spark {
            install::install(self);
            if let Some(inner) = inner(&mut statement) {
                rewrite::rewrite(inner);
            }
        }
        let context = self.context().clone();
        let planned = self.engine().on_cpu(async move { run(&context, statement).await }).await?;
        let done = planned.map_err(|error| {
            let place = span_of(&error);
            let error = self.error(error, "sql");
            match place {
                Some(place) => place::point(error, text, place),
                None => error,
            }
        })?;
        match done {
            Done::Create(create) => {
                self.create_table(*create).await?;
                self.frame_from_batches(vec![RecordBatch::new_empty(Arc::new(Schema::empty()))])
            }
            Done::Lazy(frame) => Ok(DataFrame::new(self.clone(), *frame).with_text(text)),
            Done::Answer(batches) => self.frame_from_batches(batches),
        }
    }
}

enum Done {
    Lazy(Box<datafusion::dataframe::DataFrame>),
    Answer(Vec<RecordBatch>),
    /// A table of rows, which go to the engine's store and not to DataFusion's.
    Create(Box<CreateMemoryTable>),
}

/// The statement of the syntax tree, inside of an explanation too.
fn inner(statement: &mut Statement) -> Option<&mut SqlStatement> {
    match statement {
        Statement::Statement(statement) => Some(statement),
        Statement::Explain(explain) => inner(&mut explain.statement),
        _ => None,
    }
}

/// How often names are looked for in another spelling.
const REPAIRS: usize = 256;

/// Plans, and plans again with names that were not found in another spelling.
async fn plan(context: &SessionContext, mut statement: Statement) -> PlanResult<LogicalPlan> {
    let state = context.state();
    let mut first = None;
    for _ in 0..REPAIRS {
        let error = match state.statement_to_plan(statement.clone()).await {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        let repaired = inner(&mut statement).is_some_and(|inner| repair::repair(inner, &error));
        // The error of the text as it was written is the one to show, unless a later one says more.
        if !repaired {
            return Err(error);
        }
        first.get_or_insert(error);
    }
    Err(first.unwrap_or_else(|| DataFusionError::Internal("no plan".into())))
}

async fn run(context: &SessionContext, statement: Statement) -> PlanResult<Done> {
    let plan = match plan(context, statement).await? {
        LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) if !create.temporary => {
            return Ok(Done::Create(Box::new(create)));
        }
        other => other,
    };
    // Commands that write: DataFusion would leave them for later, and a forgotten `collect` would lose them.
    // Explanations are the root of a plan or nothing, so that no limit could be put on them.
    let at_once = matches!(
        plan,
        LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)
    );
    let frame = context.execute_logical_plan(plan).await?;
    if !at_once {
        return Ok(Done::Lazy(Box::new(frame)));
    }
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let mut batches = frame.collect().await?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    Ok(Done::Answer(batches))
}

fn parse(session: &Session, text: &str, spark: bool) -> Result<Statement> {
    let limit = session.context().state().config().options().sql_parser.recursion_limit.get();
    let dialect: &dyn Dialects = if spark { &TrefoilDialect } else { &GenericDialect {} };
    let parsed: PlanResult<VecDeque<Statement>> = if spark {
        tokens::tokens(&TrefoilDialect, text)
            .map_err(|error| DataFusionError::SQL(Box::new(ParserError::from(error)), None))
            .and_then(|tokens| {
                DFParserBuilder::new(tokens).with_dialect(dialect).with_recursion_limit(limit).build()
            })
    } else {
        DFParserBuilder::new(text).with_dialect(dialect).with_recursion_limit(limit).build()
    }
    .and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| syntax(session, error, text))?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(session_wide(statement)),
        (None, _) => Err(Error::new(ErrorKind::Syntax, "sql", "the text holds no statement")),
        (Some(_), more) => {
            Err(Error::new(ErrorKind::Unsupported, "sql", format!("the text holds {} statements", more + 1))
                .with_help("call `sql` once for each"))
        }
    }
}

/// Every view lives as long as its session, so a temporary one is a view.
fn session_wide(mut statement: Statement) -> Statement {
    if let Statement::Statement(inner) = &mut statement
        && let SqlStatement::CreateView(view) = inner.as_mut()
    {
        view.temporary = false;
    }
    statement
}

fn syntax(session: &Session, error: DataFusionError, text: &str) -> Error {
    // A statement that ends too early has no token to point at.
    let end = || {
        let line = text.lines().count().max(1);
        let column = text.lines().last().map_or(0, |line| line.chars().count()) + 1;
        (line as u64, column as u64)
    };
    let place = span_of(&error).unwrap_or_else(end);
    place::point(session.error(error, "sql"), text, place)
}
