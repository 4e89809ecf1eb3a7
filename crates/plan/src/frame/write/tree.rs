//! Tables in directories: a file for each partition of the plan, or trees of `key=value` directories.
//!
//! For a tree, the rows of each partition of the plan are sorted by the keys, by an operator that spills, so that one
//! file is open at a time whatever the number of directories.

use super::file::{Format, Writer};
use super::place::unique;
use crate::source::keys;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::partition;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use futures::StreamExt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Writes one file.
pub(super) async fn file(
    path: &Path,
    schema: SchemaRef,
    format: Format,
    mut stream: SendableRecordBatchStream,
) -> PlanResult<usize> {
    let mut writer = Writer::create(path, schema, format)?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(rows)
}

/// Writes a file for each partition of the plan.
pub(super) async fn flat(
    dir: &Path,
    schema: &SchemaRef,
    format: Format,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> PlanResult<usize> {
    let (mut writers, tag) = (JoinSet::new(), unique());
    for (index, stream) in execute_stream_partitioned(plan, context)?.into_iter().enumerate() {
        let path = dir.join(format!("part-{index:05}-{tag}.{}", format.extension()));
        let schema = schema.clone();
        writers.spawn(async move {
            let rows = file(&path, schema, format, stream).await?;
            // The first file stays even if it is empty: it has the schema.
            if rows == 0 && index > 0 {
                fs::remove_file(path)?;
            }
            Ok::<usize, DataFusionError>(rows)
        });
    }
    total(writers).await
}

async fn total(mut writers: JoinSet<PlanResult<usize>>) -> PlanResult<usize> {
    let mut rows = 0;
    while let Some(done) = writers.join_next().await {
        rows += done.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
    }
    Ok(rows)
}

/// Writes a tree of directories named by the values of `by`.
pub(super) async fn parted(
    dir: &Path,
    by: &[String],
    format: Format,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> PlanResult<usize> {
    let schema = plan.schema();
    let places = by.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let rest: Vec<usize> = (0..schema.fields().len()).filter(|index| !places.contains(index)).collect();
    let order = by
        .iter()
        .map(|name| Ok(PhysicalSortExpr::new_default(col(name, &schema)?)))
        .collect::<PlanResult<Vec<_>>>()?;
    let sorted: Arc<dyn ExecutionPlan> = match LexOrdering::new(order) {
        Some(order) => Arc::new(SortExec::new(order, plan).with_preserve_partitioning(true)),
        None => plan,
    };
    let (mut writers, tag) = (JoinSet::new(), unique());
    for (index, stream) in execute_stream_partitioned(sorted, context)?.into_iter().enumerate() {
        let keys = Keys { by: by.to_vec(), places: places.clone(), rest: rest.clone() };
        let (dir, name) = (dir.to_owned(), format!("part-{index:05}-{tag}.{}", format.extension()));
        writers.spawn(async move { keys.write(stream, &dir, &name, format).await });
    }
    total(writers).await
}

/// Which columns name directories, and which are in the files.
struct Keys {
    by: Vec<String>,
    places: Vec<usize>,
    rest: Vec<usize>,
}

impl Keys {
    async fn write(
        &self,
        mut stream: SendableRecordBatchStream,
        dir: &Path,
        name: &str,
        format: Format,
    ) -> PlanResult<usize> {
        let mut rows = 0;
        let mut open: Option<(PathBuf, Writer)> = None;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows += batch.num_rows();
            let columns: Vec<ArrayRef> = self.places.iter().map(|at| Arc::clone(batch.column(*at))).collect();
            for range in partition(&columns)?.ranges() {
                let part = dir.join(self.directory(&batch, range.start)?);
                let slice = batch.slice(range.start, range.len()).project(&self.rest)?;
                let writer = match &mut open {
                    Some((path, writer)) if *path == part => writer,
                    _ => {
                        if let Some((_, finished)) = open.take() {
                            finished.finish()?;
                        }
                        fs::create_dir_all(&part)?;
                        let writer = Writer::create(&part.join(name), slice.schema(), format)?;
                        &mut open.insert((part, writer)).1
                    }
                };
                writer.write(&slice)?;
            }
        }
        if let Some((_, last)) = open {
            last.finish()?;
        }
        Ok(rows)
    }

    /// `year=2024/city=New York`
    fn directory(&self, batch: &RecordBatch, row: usize) -> PlanResult<PathBuf> {
        let options = FormatOptions::default();
        let mut path = PathBuf::new();
        for (key, at) in self.by.iter().zip(&self.places) {
            let column = batch.column(*at);
            let value = match column.is_null(row) {
                true => None,
                false => Some(ArrayFormatter::try_new(column, &options)?.value(row).to_string()),
            };
            path.push(keys::partition_directory(key, value.as_deref()));
        }
        Ok(path)
    }
}
