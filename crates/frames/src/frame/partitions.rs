//! Rust code over the partitions of a frame, as tasks of the engine.

use super::check::{self, invalid, mismatch};
use super::expr::asc;
use super::rows;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Partition, Ref};
use trefoil_plan::{DataFrame, Result, plan_error};

const OP: &str = "map_partitions";

/// Persists the frame, runs `work` on each partition as a task, and makes a frame of what they give.
pub(super) async fn map<F, E>(frame: &DataFrame, work: F) -> Result<DataFrame>
where
    F: Fn(&Partition) -> Result<Vec<RecordBatch>, E> + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let inputs = frame.persist().await?.partitions()?;
    // a task must not keep its own engine alive
    let engine = frame.session().engine().downgrade();
    let outputs = frame.session().try_map(inputs, move |partition: &Partition| {
        let batches = work(partition).map_err(Error::user)?;
        let Some(first) = batches.first() else { return Ok::<_, Error>(None) };
        let engine =
            engine.upgrade().ok_or_else(|| Error::new(ErrorKind::ShutDown, OP, "the engine is gone"))?;
        Ok(Some(engine.put_batches(first.schema(), batches)?))
    });
    let outputs: Vec<Partition> = frame.session().gather(outputs).await?.into_iter().flatten().collect();
    if outputs.is_empty() {
        return Err(invalid(OP, "the closure gave no batch for any partition, so the columns are not known")
            .with_help("return a batch without rows rather than no batch"));
    }
    same_columns(OP, &outputs)?;
    frame.session().frame_from_refs(outputs.into_iter().map(Ref::ready)).await
}

/// The same with declared columns.
pub(super) async fn map_as<F, E>(frame: &DataFrame, columns: Schema, work: F) -> Result<DataFrame>
where
    F: Fn(&Partition) -> Result<Vec<RecordBatch>, E> + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let nullable = columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    let inputs = frame.persist().await?.partitions()?;
    let engine = frame.session().engine().downgrade();
    let wanted = Arc::clone(&schema);
    let outputs = frame.session().try_map(inputs, move |partition: &Partition| {
        let engine =
            engine.upgrade().ok_or_else(|| Error::new(ErrorKind::ShutDown, OP, "the engine is gone"))?;
        let fitted = work(partition).map_err(Error::user)?.into_iter().map(|batch| {
            let found = batch.schema();
            RecordBatch::try_new(Arc::clone(&wanted), batch.columns().to_vec())
                .ok()
                .filter(|_| found.fields().iter().zip(wanted.fields()).all(|(a, b)| a.name() == b.name()))
                .ok_or_else(|| other_columns(OP, &wanted, &found))
        });
        engine.put_batches(Arc::clone(&wanted), fitted.collect::<Result<Vec<_>>>()?)
    });
    let outputs: Vec<Partition> = frame.session().gather(outputs).await?;
    frame.session().frame_from_refs(outputs.into_iter().map(Ref::ready)).await
}

fn other_columns(op: &'static str, want: &Schema, have: &Schema) -> Error {
    let text = |schema: &Schema| {
        let fields = schema.fields().iter();
        fields.map(|f| format!("{} {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", ")
    };
    mismatch(op, format!("the columns are ({}), the closure gave ({})", text(want), text(have)))
        .with_help("give the declared columns for every partition")
}

/// Results of a closure or task must have the same columns for all partitions.
pub(super) fn same_columns(op: &'static str, outputs: &[Partition]) -> Result<()> {
    let Some(first) = outputs.first() else { return Ok(()) };
    for other in outputs {
        let (want, have) = (first.schema(), other.schema());
        let same = want.fields().len() == have.fields().len()
            && want
                .fields()
                .iter()
                .zip(have.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !same {
            let text = |schema: &datafusion::arrow::datatypes::Schema| {
                let fields = schema.fields().iter();
                fields.map(|f| format!("{} {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", ")
            };
            return Err(mismatch(op, format!("the closure gave ({}) and then ({})", text(want), text(have)))
                .with_help("give the same columns for every partition"));
        }
    }
    Ok(())
}

/// Persists the frame and numbers its rows, partition after partition; the others' columns are not copied.
pub(super) async fn with_row_index(frame: &DataFrame, name: &str) -> Result<DataFrame> {
    const OP: &str = "with_row_index";
    let mut names = check::names(OP, frame)?;
    names.insert(0, name.to_owned());
    check::distinct(OP, &names)?;
    let kept = frame.persist().await?;
    let index = Arc::new(Field::new(name, DataType::Int64, false));
    let old = frame.schema();
    let fields = std::iter::once(index).chain(old.fields().iter().cloned());
    let schema = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), old.metadata().clone()));
    let mut next = 0_i64;
    let mut numbered = Vec::new();
    for partition in kept.partitions()? {
        let partition = partition.await?;
        let mut batches = Vec::new();
        for batch in partition.batches()?.iter() {
            let end = next + i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
            let index: ArrayRef = Arc::new(Int64Array::from_iter_values(next..end));
            next = end;
            let columns = std::iter::once(index).chain(batch.columns().iter().cloned()).collect();
            batches.push(
                RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|e| plan_error(e.into(), OP))?,
            );
        }
        numbered.push(frame.session().engine().put_batches(Arc::clone(&schema), batches)?);
    }
    let key = (name.to_owned(), SortOptions { descending: false, nulls_first: false });
    let frame = frame.session().frame_from_sorted(numbered, vec![key]).await?;
    // the planner knows that this sorts nothing
    rows::sort(OP, &frame, [asc(name)])
}
