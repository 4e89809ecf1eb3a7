//! Rust code over the groups of a frame.
//!
//! The frame is sorted by its keys (which spills), streamed, and cut where a key changes; groups that came in
//! one batch of the stream go to one task. So many tasks run as there are workers; results go to the store.

use super::check::{self, Named, invalid};
use super::expr::{Expr, asc};
use super::{columns, rows};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{concat_batches, partition};
use datafusion::arrow::datatypes::Schema;
use futures::TryStreamExt;
use std::collections::VecDeque;
use std::sync::Arc;
use trefoil_core::{Error, Partition, Ref};
use trefoil_plan::{DataFrame, Result, plan_error};

const OP: &str = "apply";
const KEY: &str = "__trefoil_key_";

pub(super) async fn apply<F, E>(
    frame: &DataFrame,
    keys: Vec<Expr>,
    declared: Option<Arc<Schema>>,
    work: F,
) -> Result<DataFrame>
where
    F: Fn(&RecordBatch) -> Result<RecordBatch, E> + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if keys.is_empty() {
        return Err(invalid(OP, "the list of group keys is empty"));
    }
    let width = check::names(OP, frame)?.len();
    let mut named: Vec<Named> = Vec::new();
    for (i, key) in keys.iter().enumerate() {
        named.push((format!("{KEY}{i}"), check::named_row(OP, frame, key)?.1));
    }
    let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    // within a group the rows keep the order of the frame, if it has one
    let order = super::order::of(frame).unwrap_or_default();
    let keyed = columns::with_columns(OP, frame, named)?;
    let sorted = rows::sort(OP, &keyed, names.iter().map(asc))?;
    let sorted = if order.is_empty() {
        sorted
    } else {
        let keys = names.iter().map(|n| super::col(n).sort(true, false));
        let inner = keyed.inner().clone().sort(keys.chain(order).collect());
        DataFrame::new(frame.session().clone(), inner.map_err(|e| plan_error(e, OP))?)
    };

    let engine = frame.session().engine();
    let ahead = engine.workers().max(1);
    let work = Arc::new(move |group: &RecordBatch| work(group).map_err(Error::user));
    let mut running: VecDeque<Ref<Vec<RecordBatch>>> = VecDeque::new();
    let mut done: Vec<Partition> = Vec::new();
    let mut stream = sorted.stream();
    let mut open: Vec<RecordBatch> = Vec::new();
    loop {
        let batch = stream.try_next().await?;
        let last = batch.is_none();
        open.extend(batch);
        // the last group may go on in the next batch
        let (closed, rest) = close(&open, width, last)?;
        open = rest;
        if !closed.is_empty() {
            let work = Arc::clone(&work);
            running
                .push_back(engine.try_spawn_fn(move || {
                    closed.iter().map(|group| work(group)).collect::<Result<Vec<_>>>()
                }));
        }
        while running.len() > ahead || (last && !running.is_empty()) {
            let Some(next) = running.pop_front() else { break };
            let batches: Vec<RecordBatch> = next.await?;
            let Some(first) = batches.first() else { continue };
            let known = declared.clone().or_else(|| done.first().map(|part| part.schema().clone()));
            let schema = known.unwrap_or_else(|| first.schema());
            let batches = batches.into_iter().map(|b| fit(&schema, b)).collect::<Result<Vec<_>>>()?;
            done.push(engine.put_batches(schema, batches)?);
        }
        if last {
            break;
        }
    }
    if done.is_empty() {
        return match declared {
            Some(schema) => frame.session().frame_from_batches(vec![RecordBatch::new_empty(schema)]),
            None => Err(invalid(OP, "the frame has no rows, so the columns of the result are not known")
                .with_help("declare them with `apply_as`")),
        };
    }
    frame.session().frame_from_refs(done.into_iter().map(Ref::ready)).await
}

/// The result of a group under the schema of all, which may differ in what is nullable.
fn fit(schema: &Arc<Schema>, batch: RecordBatch) -> Result<RecordBatch> {
    let text = |schema: &Schema| {
        let fields = schema.fields().iter();
        fields.map(|f| format!("{} {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", ")
    };
    let (want, have) = (text(schema), text(&batch.schema()));
    if want != have {
        return Err(check::mismatch(OP, format!("the closure gave ({have}) instead of ({want})"))
            .with_help("give the same columns for every group, those that were declared if any were"));
    }
    RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec()).map_err(|e| plan_error(e.into(), OP))
}

/// Splits rows that are sorted by their last columns into groups without these columns, and the rows of the
/// last group, which is not known to be complete.
fn close(open: &[RecordBatch], width: usize, last: bool) -> Result<(Vec<RecordBatch>, Vec<RecordBatch>)> {
    let fail = |e: datafusion::arrow::error::ArrowError| plan_error(e.into(), OP);
    let Some(first) = open.first() else { return Ok((Vec::new(), Vec::new())) };
    let all = concat_batches(&first.schema(), open).map_err(fail)?;
    let ranges = partition(&all.columns()[width..]).map_err(fail)?.ranges();
    let bare: Vec<usize> = (0..width).collect();
    let mut groups = Vec::new();
    let mut rest = Vec::new();
    for (i, range) in ranges.iter().enumerate() {
        let slice = all.slice(range.start, range.len());
        if !last && i + 1 == ranges.len() {
            rest.push(slice);
        } else {
            groups.push(slice.project(&bare).map_err(fail)?);
        }
    }
    Ok((groups, rest))
}
