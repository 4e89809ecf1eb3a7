//! Rust code over the partitions of a frame, as tasks of the engine.

use super::check::{invalid, mismatch};
use datafusion::arrow::array::RecordBatch;
use trefoil_core::{Error, ErrorKind, Partition, Ref};
use trefoil_plan::{DataFrame, Result};

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
    let Some(first) = outputs.first() else {
        return Err(invalid(OP, "the closure gave no batch for any partition, so the columns are not known")
            .with_help("return a batch without rows rather than no batch"));
    };
    for other in &outputs {
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
            return Err(mismatch(OP, format!("the closure gave ({}) and then ({})", text(want), text(have)))
                .with_help("give the same columns for every partition"));
        }
    }
    frame.session().frame_from_refs(outputs.into_iter().map(Ref::ready)).await
}
