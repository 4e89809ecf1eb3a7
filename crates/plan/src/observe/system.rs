//! The schema `trefoil` of every session: tables of what the engine knows of itself.
//!
//! A table is read anew each time a query over it is planned, whole, so filters and limits see every row.
//! The columns are described in `docs/tutorials/observe.md`.

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use trefoil_core::{Engine, Error, ErrorKind, ObjectKind, WeakEngine};

/// The name of the schema.
pub(crate) const SCHEMA: &str = "trefoil";

type Read = fn(&Engine) -> Result<RecordBatch>;

/// The tables, and how each is read.
const TABLES: [(&str, Read); 6] = [
    ("actors", actors),
    ("engine", engine),
    ("objects", objects),
    ("queries", queries),
    ("tasks", tasks),
    ("workers", workers),
];

/// Adds the schema to the catalog of a session.
pub(crate) fn register(context: &SessionContext, engine: &Engine) -> Result<()> {
    let schema = Arc::new(SystemSchema { engine: engine.downgrade() });
    match context.catalog("datafusion") {
        Some(catalog) => catalog.register_schema(SCHEMA, schema).map(drop),
        None => Ok(()),
    }
}

#[derive(Debug)]
struct SystemSchema {
    /// Weak: a catalog outlives its session in the plans that were made with it.
    engine: WeakEngine,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = TABLES.iter().find(|(known, _)| *known == name);
        found
            .map(|(name, read)| {
                let schema =
                    self.engine.upgrade().map_or_else(|| Err(shut_down()), |engine| read(&engine))?.schema();
                let engine = self.engine.clone();
                Ok(Arc::new(SystemTable { name, schema, read: *read, engine }) as _)
            })
            .transpose()
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.iter().any(|(known, _)| *known == name)
    }
}

fn shut_down() -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(
        ErrorKind::ShutDown,
        "system table",
        "the engine has been shut down",
    )))
}

#[derive(Debug)]
struct SystemTable {
    name: &'static str,
    schema: SchemaRef,
    read: Read,
    engine: WeakEngine,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let engine = self.engine.upgrade().ok_or_else(shut_down)?;
        let rows = (self.read)(&engine)?;
        warn_of_gaps(self.name, &engine);
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![vec![rows]])?;
        table.scan(state, projection, filters, limit).await
    }
}

/// Rows that a ring has overwritten are missing; who reads the table is told so, in its logs and in
/// `trefoil.engine`.
fn warn_of_gaps(table: &str, engine: &Engine) {
    let missing = match table {
        "tasks" if !engine.records_events() => {
            return tracing::warn!(
                target: "trefoil",
                "trefoil.tasks is empty because events are not recorded; build the engine with `events(capacity)`"
            );
        }
        "tasks" => engine.status().lost_events(),
        "queries" => engine.queries().1,
        "actors" => engine.forgotten_actors(),
        _ => 0,
    };
    if missing > 0 {
        tracing::warn!(target: "trefoil", missing, "trefoil.{table} has lost its oldest entries");
    }
}

type Column = (&'static str, ArrayRef);

fn batch(columns: Vec<Column>) -> Result<RecordBatch> {
    // All may be null, so that the schema does not depend on the rows.
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )?)
}

fn int<T, N: TryInto<i64>>(name: &'static str, rows: &[T], of: impl Fn(&T) -> Option<N>) -> Column {
    let values = rows.iter().map(|row| of(row).and_then(|number| number.try_into().ok()));
    (name, Arc::new(values.collect::<Int64Array>()))
}

fn text<T, S: AsRef<str>>(name: &'static str, rows: &[T], of: impl Fn(&T) -> Option<S>) -> Column {
    (name, Arc::new(rows.iter().map(of).collect::<StringArray>()))
}

fn truth<T>(name: &'static str, rows: &[T], of: impl Fn(&T) -> bool) -> Column {
    (name, Arc::new(rows.iter().map(|row| Some(of(row))).collect::<BooleanArray>()))
}

fn millis<T>(name: &'static str, rows: &[T], of: impl Fn(&T) -> Option<Duration>) -> Column {
    let values = rows.iter().map(|row| of(row).map(|time| time.as_secs_f64() * 1e3));
    (name, Arc::new(values.collect::<Float64Array>()))
}

/// Points of time, from times since the start of the engine.
fn moment<T>(name: &'static str, engine: &Engine, rows: &[T], of: impl Fn(&T) -> Option<Duration>) -> Column {
    let start = engine.started_at().duration_since(UNIX_EPOCH).unwrap_or_default();
    let values =
        rows.iter().map(|row| of(row).and_then(|time| i64::try_from((start + time).as_micros()).ok()));
    (name, Arc::new(values.collect::<TimestampMicrosecondArray>()))
}

fn tasks(engine: &Engine) -> Result<RecordBatch> {
    let (rows, _) = engine.tasks();
    batch(vec![
        int("id", &rows, |task| Some(task.id)),
        text("name", &rows, |task| Some(task.name.to_string())),
        text("state", &rows, |task| Some(task.state)),
        text("worker", &rows, |task| task.worker.clone()),
        int("parent", &rows, |task| task.parent),
        int("attempt", &rows, |task| Some(task.attempt)),
        int("tasks", &rows, |task| Some(task.count)),
        moment("submitted", engine, &rows, |task| task.submitted),
        moment("started", engine, &rows, |task| task.started),
        moment("finished", engine, &rows, |task| task.finished),
        millis("run_ms", &rows, |task| task.finished?.checked_sub(task.started?)),
        text("error", &rows, |task| task.error.clone()),
    ])
}

fn queries(engine: &Engine) -> Result<RecordBatch> {
    let (rows, _) = engine.queries();
    batch(vec![
        int("id", &rows, |query| Some(query.id)),
        text("text", &rows, |query| Some(query.text.to_string())),
        text("state", &rows, |query| Some(query.state())),
        moment("started", engine, &rows, |query| Some(query.started)),
        millis("elapsed_ms", &rows, |query| Some(query.elapsed)),
        int("rows", &rows, |query| query.rows()),
        int("operators", &rows, |query| Some(query.operators.len())),
        millis("compute_ms", &rows, |query| Some(query.operators.iter().filter_map(|op| op.compute).sum())),
        int("spilled_bytes", &rows, |query| Some(query.spilled_bytes())),
        text("error", &rows, |query| Some(query.outcome.as_ref()?.error()?.to_string())),
    ])
}

fn workers(engine: &Engine) -> Result<RecordBatch> {
    let rows = engine.status().threads;
    batch(vec![
        int("id", &rows, |thread| Some(thread.id)),
        text("name", &rows, |thread| Some(thread.name.clone())),
        truth("alive", &rows, |thread| thread.alive),
        text("running", &rows, |thread| Some(thread.running.last()?.name.to_string())),
        int("submitted", &rows, |thread| Some(thread.submitted)),
        int("finished", &rows, |thread| Some(thread.finished)),
        int("failed", &rows, |thread| Some(thread.failed)),
        int("cancelled", &rows, |thread| Some(thread.cancelled)),
        millis("busy_ms", &rows, |thread| Some(thread.busy)),
        int("events", &rows, |thread| Some(thread.events)),
        int("lost_events", &rows, |thread| Some(thread.lost)),
    ])
}

fn actors(engine: &Engine) -> Result<RecordBatch> {
    let rows = engine.actors();
    batch(vec![
        int("id", &rows, |actor| Some(actor.id)),
        text("name", &rows, |actor| actor.name.clone()),
        text("kind", &rows, |actor| Some(actor.kind.to_string())),
        text("state", &rows, |actor| {
            Some(actor.end.as_ref().map_or_else(|| "alive".to_owned(), ToString::to_string))
        }),
        int("pending", &rows, |actor| Some(actor.pending)),
        int("calls", &rows, |actor| Some(actor.calls)),
        int("restarts", &rows, |actor| Some(actor.restarts)),
    ])
}

/// The word for a kind of object, and its rows if it has some.
fn kind(kind: &ObjectKind) -> (&'static str, Option<usize>) {
    match kind {
        ObjectKind::Partition { rows } => ("partition", Some(*rows)),
        _ => ("value", None),
    }
}

fn objects(engine: &Engine) -> Result<RecordBatch> {
    let rows = engine.store().objects();
    batch(vec![
        int("id", &rows, |object| Some(object.id)),
        text("kind", &rows, |object| Some(kind(&object.kind).0)),
        int("rows", &rows, |object| kind(&object.kind).1),
        text("type", &rows, |object| Some(object.type_name)),
        text("place", &rows, |object| Some(format!("{:?}", object.place).to_lowercase())),
        int("memory_bytes", &rows, |object| Some(object.memory_bytes)),
        int("disk_bytes", &rows, |object| Some(object.disk_bytes)),
        int("users", &rows, |object| Some(object.users)),
        truth("recomputable", &rows, |object| object.recomputable),
    ])
}

fn engine(engine: &Engine) -> Result<RecordBatch> {
    let rows = [engine.status()];
    batch(vec![
        text("name", &rows, |status| Some(status.engine.clone())),
        millis("uptime_ms", &rows, |status| Some(status.uptime)),
        int("workers", &rows, |status| Some(status.workers)),
        int("busy", &rows, |status| Some(status.busy)),
        int("queued", &rows, |status| Some(status.queued)),
        int("memory_limit", &rows, |status| Some(status.memory_limit)),
        int("memory_reserved", &rows, |status| Some(status.memory_reserved)),
        int("memory_peak", &rows, |status| Some(status.memory_peak)),
        int("pinned_bytes", &rows, |_| Some(engine.store().pinned_bytes())),
        int("spills", &rows, |status| Some(status.spills)),
        int("spilled_bytes", &rows, |status| Some(status.spilled_bytes)),
        truth("recording", &rows, |status| status.recording),
        int("lost_events", &rows, |status| Some(status.lost_events())),
        int("forgotten_queries", &rows, |_| Some(engine.queries().1)),
        int("forgotten_actors", &rows, |_| Some(engine.forgotten_actors())),
    ])
}
