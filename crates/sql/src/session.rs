//! `session.sql(text)`.

use crate::dialect::TrefoilDialect;
use crate::extend::{self, Aggregate, AsyncScalarFn, ScalarFn, SqlArgument, SqlReturn, WindowFn};
use crate::hints::Hints;
use crate::parameters::Parameters;
use crate::{
    aggregates, condition, databases, hints, inline, install, lengths, place, planner, refuse, repair,
    rewrite, sample, sets, settings, stars, statements, tokens, travel, using, variables,
};
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{CreateMemoryTable, DdlStatement, LogicalPlan};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{OrderByKind, Set, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::{DataFrame, Dialect, Session, is_known_aggregate, span_of};

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
    /// assert_eq!(text, " two\n int32\n-------\n     2\n1 row x 1 column");
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    fn sql(&self, text: &str) -> impl Future<Output = Result<DataFrame>> + Send;

    /// As [`SqlSession::sql`], with values for the places `?` and `:name` of the text.
    ///
    /// A value is a value: a text cannot become part of the statement.
    ///
    /// # Errors
    /// As [`SqlSession::sql`], and [`ErrorKind::InvalidArgument`] for a place without a value or a value
    /// without a place.
    ///
    /// ```
    /// use trefoil_plan::Session;
    /// use trefoil_sql::{Parameters, SqlSession};
    ///
    /// let session = Session::local()?;
    /// let rows = session.block_on(async {
    ///     let few = session.sql_with("SELECT * FROM range(10) WHERE id < ?", [3]).await?;
    ///     let one = session.sql_with("SELECT :who AS who", Parameters::new().name("who", "Ada")).await?;
    ///     Ok::<_, trefoil_plan::Error>(few.count().await? + one.count().await?)
    /// })?;
    /// assert_eq!(rows, 4);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    fn sql_with(
        &self,
        text: &str,
        parameters: impl Into<Parameters> + Send,
    ) -> impl Future<Output = Result<DataFrame>> + Send;

    /// Makes a closure a scalar function of this session's queries, found in upper or lower case.
    ///
    /// Arguments are cast to the closure's types. Without `Option` a null argument gives null; a `Result`
    /// fails the query with the closure's error, a panic with an error that names the function.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an empty name, [`ErrorKind::AlreadyExists`] for that of a function
    /// of Spark's dialect.
    ///
    /// ```
    /// use trefoil_plan::Session;
    /// use trefoil_sql::SqlSession;
    ///
    /// let session = Session::local()?;
    /// session.register_fn("plus1", |x: i64| x + 1)?;
    /// session.register_fn("initial", |name: Option<&str>| name.and_then(|n| n.chars().next()).map(String::from))?;
    /// let text = session.block_on(async {
    ///     session.sql("SELECT plus1(n) AS n, initial(s) AS i FROM VALUES (41, 'Ada') AS t(n, s)").await?.to_text(5).await
    /// })?;
    /// assert!(text.contains(" 42 | A"), "{text}");
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    fn register_fn<M: 'static, F: ScalarFn<M>>(&self, name: &str, f: F) -> Result<()>;

    /// Makes an async closure a scalar function: the futures of 64 rows run at a time. See [`AsyncScalarFn`].
    ///
    /// A `Ref` is a future, so tasks are such functions.
    ///
    /// # Errors
    /// As [`SqlSession::register_fn`].
    ///
    /// ```
    /// use trefoil_plan::Session;
    /// use trefoil_sql::SqlSession;
    ///
    /// let session = Session::local()?;
    /// session.register_async_fn("slow_square", |x: i64| async move { x * x })?;
    /// let text = session.block_on(async {
    ///     session.sql("SELECT slow_square(n) AS s FROM VALUES (7) AS t(n)").await?.to_text(5).await
    /// })?;
    /// assert!(text.contains(" 49"), "{text}");
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    fn register_async_fn<M: 'static, F: AsyncScalarFn<M>>(&self, name: &str, f: F) -> Result<()>;

    /// Makes a closure a window function: it sees the rows of a partition of the window, in its order, and gives
    /// a value for each. See [`WindowFn`].
    ///
    /// # Errors
    /// As [`SqlSession::register_fn`], and [`ErrorKind::AlreadyExists`] for the name of an aggregate function that plans
    /// know by its name (`sum`, `max` and the like), in any dialect.
    ///
    /// ```
    /// use trefoil_plan::Session;
    /// use trefoil_sql::SqlSession;
    ///
    /// let session = Session::local()?;
    /// session.register_window_fn("share", |xs: &[Option<f64>]| {
    ///     let sum: f64 = xs.iter().flatten().sum();
    ///     xs.iter().map(|x| x.map(|x| x / sum)).collect()
    /// })?;
    /// let text = session.block_on(async {
    ///     session.sql("SELECT share(n) OVER (ORDER BY n) AS s FROM VALUES (1), (3) AS t(n)").await?.to_text(5).await
    /// })?;
    /// assert!(text.contains("0.25") && text.contains("0.75"), "{text}");
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    fn register_window_fn<M: 'static, F: WindowFn<M>>(&self, name: &str, f: F) -> Result<()>;

    /// Makes closures an aggregate function of this session's queries; see [`Aggregate`].
    ///
    /// The state travels between threads and to disk as bytes, hence `Serialize`.
    ///
    /// # Errors
    /// As [`SqlSession::register_window_fn`].
    fn register_aggregate<S, A, R>(&self, name: &str, parts: Aggregate<S, A, R>) -> Result<()>
    where
        S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
        A: for<'a> SqlArgument<Item<'a> = A> + 'static,
        R: SqlReturn + 'static;

    /// Makes a closure a table function: `SELECT * FROM name(1, 'x')` calls it with the constants while the
    /// query is planned, and reads the batches it gives, at least one.
    ///
    /// # Errors
    /// As [`SqlSession::register_fn`].
    fn register_table_fn<F>(&self, name: &str, f: F) -> Result<()>
    where
        F: Fn(&[ScalarValue]) -> Result<Vec<RecordBatch>> + Send + Sync + 'static;
}

fn checked<'a>(session: &Session, name: &'a str) -> Result<&'a str> {
    match name.trim() {
        taken if session.dialect() == Dialect::Spark && planner::is_planned(&taken.to_lowercase()) => {
            Err(Error::new(
                ErrorKind::AlreadyExists,
                "register",
                format!("`{taken}` is a function of Spark's dialect"),
            )
            .with_help("take another name"))
        }
        "" => Err(Error::new(ErrorKind::InvalidArgument, "register", "the name of a function is empty")),
        name => Ok(name),
    }
}

/// As [`checked`], for functions of many rows: rules of plans know some of these by their names.
fn checked_of_rows<'a>(session: &Session, name: &'a str) -> Result<&'a str> {
    match checked(session, name)? {
        taken if is_known_aggregate(taken) => Err(Error::new(
            ErrorKind::AlreadyExists,
            "register",
            format!("`{taken}` is an aggregate function that plans know by its name"),
        )
        .with_help("take another name")),
        name => Ok(name),
    }
}

impl SqlSession for Session {
    async fn sql(&self, query: &str) -> Result<DataFrame> {
        text(self, query, &Parameters::new()).await
    }

    async fn sql_with(&self, query: &str, parameters: impl Into<Parameters> + Send) -> Result<DataFrame> {
        text(self, query, &parameters.into()).await
    }

    fn register_fn<M: 'static, F: ScalarFn<M>>(&self, name: &str, f: F) -> Result<()> {
        if self.dialect() == Dialect::Spark {
            install::install(self);
        }
        self.context().register_udf(extend::scalar(checked(self, name)?, f));
        self.note_closure(name);
        Ok(())
    }

    fn register_async_fn<M: 'static, F: AsyncScalarFn<M>>(&self, name: &str, f: F) -> Result<()> {
        if self.dialect() == Dialect::Spark {
            install::install(self);
        }
        self.context().register_udf(extend::later(checked(self, name)?, f));
        self.note_closure(name);
        Ok(())
    }

    fn register_window_fn<M: 'static, F: WindowFn<M>>(&self, name: &str, f: F) -> Result<()> {
        if self.dialect() == Dialect::Spark {
            install::install(self);
        }
        self.context().register_udwf(extend::window(checked_of_rows(self, name)?, f));
        self.note_closure(name);
        Ok(())
    }

    fn register_aggregate<S, A, R>(&self, name: &str, parts: Aggregate<S, A, R>) -> Result<()>
    where
        S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
        A: for<'a> SqlArgument<Item<'a> = A> + 'static,
        R: SqlReturn + 'static,
    {
        if self.dialect() == Dialect::Spark {
            install::install(self);
        }
        self.context().register_udaf(extend::aggregate(checked_of_rows(self, name)?, parts));
        self.note_closure(name);
        Ok(())
    }

    fn register_table_fn<F>(&self, name: &str, f: F) -> Result<()>
    where
        F: Fn(&[ScalarValue]) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    {
        let name = checked(self, name)?.to_lowercase();
        self.context().register_udtf(&name.clone(), Arc::new(extend::Table { name, f }));
        Ok(())
    }
}

/// Plans a text.
///
/// # Errors
/// As [`SqlSession::sql_with`].
pub(crate) async fn text(session: &Session, text: &str, parameters: &Parameters) -> Result<DataFrame> {
    if session.dialect() != Dialect::Spark {
        let statement = parse(session, DFParserBuilder::new(text).with_dialect(&GenericDialect {}), text)?;
        refuse::check(&statement, false)?;
        return Box::pin(carry_out(session, statement, text)).await;
    }
    install::install(session);
    let tokens = tokens::tokens(&TrefoilDialect, text, install::raw_strings(session))
        .map_err(|error| DataFusionError::SQL(Box::new(ParserError::from(error)), None))
        .map_err(|error| syntax(session, error, text))?;
    query(session, tokens, text, parameters).await
}

/// Plans the tokens of a statement in Spark's dialect; `text` is where they come from, for errors.
///
/// # Errors
/// As [`SqlSession::sql_with`].
pub(crate) async fn query(
    session: &Session,
    tokens: Vec<TokenWithSpan>,
    text: &str,
    parameters: &Parameters,
) -> Result<DataFrame> {
    let tokens = databases::catalog_names(parameters.fill(tokens)?);
    // On the heap: statements run statements, and each has a large future.
    if let Some(done) = Box::pin(statements::run(session, &tokens)).await {
        return done;
    }
    let tokens = statements::table_query(statements::expand(session, tokens)?);
    let tokens = inline::selected(statements::bare_values(tokens));
    let tokens = sample::alias_first(statements::explained(tokens)?);
    let travels = tokens.iter().any(|token| travel::may_begin(&token.token));
    let mut statement = parse(session, DFParserBuilder::new(tokens).with_dialect(&TrefoilDialect), text)?;
    if travels && let Some(inner) = inner(&mut statement) {
        travel::resolve(session, inner).await?;
    }
    let mean = |statement: &mut SqlStatement| {
        rewrite::rewrite(statement, install::nanoseconds(session), &|name| aggregates::is_one(session, name));
    };
    if let Some(inner) = inner(&mut statement)
        && refuse::counts_unnamed(inner)
    {
        Box::pin(sets::name_columns(&session.context().state(), inner, mean)).await;
    }
    if let Some(inner) = inner(&mut statement)
        && using::is_in(inner)
    {
        Box::pin(using::spell_out(&session.context().state(), inner, mean)).await;
    }
    refuse::check(&statement, true)?;
    let setting = setting(&statement);
    if let Some(inner) = inner(&mut statement) {
        mean(inner);
    }
    let done = Box::pin(carry_out(session, statement, text)).await?;
    // Spark answers a setting with its name and value.
    match setting {
        Some((name, value)) => {
            settings::pass_on(session.context().state_ref().write().config_mut().options_mut());
            session.frame_from_batches(vec![pair(name, value)?])
        }
        None => Ok(done),
    }
}

async fn carry_out(session: &Session, statement: Statement, text: &str) -> Result<DataFrame> {
    // What only plans must not wait behind queries that run.
    let plans =
        matches!(&statement, Statement::Statement(inner) if matches!(**inner, SqlStatement::Query(_)));
    let (own, engine) = (session.clone(), session.engine());
    let running = async move { run(&own, statement).await };
    let planned = if plans { engine.promptly(running).await? } else { engine.on_cpu(running).await? };
    let done = planned.map_err(|error| {
        let place = span_of(&error);
        let error = spark_error(session, session.error(error, "sql"));
        match place {
            Some(place) => place::point(error, text, place),
            None => error,
        }
    })?;
    match done {
        Done::Create(create) => {
            session.create_table(*create).await?;
            session.frame_from_batches(vec![RecordBatch::new_empty(Arc::new(Schema::empty()))])
        }
        Done::Lazy(planned) => {
            let (state, plan) = *planned;
            Ok(DataFrame::planned(session.clone(), state, plan).with_text(text))
        }
        Done::Answer(batches) => session.frame_from_batches(batches),
    }
}

/// Name and value of `SET spark.name = value`.
fn setting(statement: &Statement) -> Option<(String, String)> {
    let Statement::Statement(statement) = statement else { return None };
    let SqlStatement::Set(Set::SingleAssignment { variable, values, .. }) = statement.as_ref() else {
        return None;
    };
    let name = variable.to_string();
    let value = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    name.to_lowercase().starts_with("spark.").then(|| (name, value.trim_matches('\'').to_owned()))
}

fn pair(name: String, value: String) -> Result<RecordBatch> {
    let columns = [("key", name), ("value", value)]
        .map(|(column, text)| (column, Arc::new(StringArray::from(vec![text])) as ArrayRef));
    RecordBatch::try_from_iter(columns)
        .map_err(|error| Error::new(ErrorKind::Internal, "sql", error.to_string()))
}

enum Done {
    Lazy(Box<(SessionState, LogicalPlan)>),
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

/// Plans, and plans again with names that were not found in another spelling; with the state that planned.
async fn plan(session: &Session, mut statement: Statement) -> PlanResult<(SessionState, LogicalPlan)> {
    let state = session.context().state();
    let spark = session.dialect() == Dialect::Spark;
    if spark {
        order_by_all(&state, &mut statement).await?;
    }
    let mut first = None;
    let mut cast = !spark;
    for _ in 0..REPAIRS {
        let error = match state.statement_to_plan(statement.clone()).await {
            Ok(plan) => {
                let again = !cast && sets::differ(&plan);
                cast = true;
                if again
                    && let Some(inner) = inner(&mut statement)
                    && sets::cast(&state, inner).await?
                {
                    continue;
                }
                return Ok((state, plan));
            }
            Err(error) => error,
        };
        let variable = |name: &str| variables::tokens_of(session, name);
        let repaired = spark
            && match inner(&mut statement) {
                Some(inner) if stars::is_about_stars(&error) => stars::expand(&state, inner).await,
                Some(inner) => repair::repair(inner, &error, variable),
                None => false,
            };
        // The error of the text as it was written is the one to show, unless a later one says more.
        if !repaired {
            return Err(error);
        }
        first.get_or_insert(error);
    }
    Err(first.unwrap_or_else(|| DataFusionError::Internal("no plan".into())))
}

/// `ORDER BY ALL` over `*`: by all columns of the query without it.
async fn order_by_all(state: &SessionState, statement: &mut Statement) -> PlanResult<()> {
    let Some(SqlStatement::Query(query)) = inner(statement) else { return Ok(()) };
    let Some(OrderByKind::All(options)) = query.order_by.as_ref().map(|order_by| &order_by.kind) else {
        return Ok(());
    };
    let options = *options;
    let mut unordered = query.clone();
    unordered.order_by = None;
    unordered.limit_clause = None;
    let unordered = Statement::Statement(Box::new(SqlStatement::Query(unordered)));
    // If it cannot be planned, the statement as a whole cannot, and says so better.
    let Ok(plan) = state.statement_to_plan(unordered).await else { return Ok(()) };
    if let Some(order_by) = &mut query.order_by {
        order_by.kind = rewrite::by_all_columns(plan.schema().fields().len(), options);
    }
    Ok(())
}

async fn run(session: &Session, mut statement: Statement) -> PlanResult<Done> {
    let context = session.context();
    let hints = match inner(&mut statement) {
        Some(inner) => hints::read(inner).map_err(|error| DataFusionError::External(Box::new(error)))?,
        None => Hints::default(),
    };
    let (mut state, plan) = match plan(session, statement).await? {
        (_, LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create))) if !create.temporary => {
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
    let frame = match plan {
        LogicalPlan::Ddl(_) | LogicalPlan::Statement(_) => context.execute_logical_plan(plan).await?,
        // With the state that planned it: each copy of a state copies the names of all functions.
        plan => {
            let plan = if session.dialect() == Dialect::Spark { lengths::checked(plan)? } else { plan };
            hints.apply(state.config_mut().options_mut());
            datafusion::dataframe::DataFrame::new(state, plan)
        }
    };
    if !at_once {
        return Ok(Done::Lazy(Box::new(frame.into_parts())));
    }
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let mut batches = frame.collect().await?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    Ok(Done::Answer(batches))
}

fn parse(session: &Session, parser: DFParserBuilder<'_, '_>, text: &str) -> Result<Statement> {
    let limit = session.context().state_ref().read().config().options().sql_parser.recursion_limit.get();
    let parsed: PlanResult<VecDeque<Statement>> =
        parser.with_recursion_limit(limit).build().and_then(|mut parser| parser.parse_statements());
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
    place::point(spark_error(session, session.error(error, "sql")), text, place)
}

/// With the name of Spark's condition, in its dialect.
fn spark_error(session: &Session, error: Error) -> Error {
    match session.dialect() {
        Dialect::Spark => condition::named(error),
        _ => error,
    }
}
