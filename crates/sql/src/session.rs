//! `session.sql(text)`.

use crate::dialect::TrefoilDialect;
use crate::{place, refuse};
use datafusion::arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use std::collections::VecDeque;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{DataFrame, Session, span_of};

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
        let statement = parse(self, text)?;
        refuse::check(&statement)?;
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
            Done::Lazy(frame) => Ok(DataFrame::new(self.clone(), *frame)),
            Done::Answer(batches) => self.frame_from_batches(batches),
        }
    }
}

enum Done {
    Lazy(Box<datafusion::dataframe::DataFrame>),
    Answer(Vec<RecordBatch>),
}

async fn run(context: &SessionContext, statement: Statement) -> PlanResult<Done> {
    let plan = context.state().statement_to_plan(statement).await?;
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

fn parse(session: &Session, text: &str) -> Result<Statement> {
    let limit = session.context().state().config().options().sql_parser.recursion_limit.get();
    let parsed: PlanResult<VecDeque<Statement>> = DFParserBuilder::new(text)
        .with_dialect(&TrefoilDialect)
        .with_recursion_limit(limit)
        .build()
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
