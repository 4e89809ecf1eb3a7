//! Borders: the partitions of a frame are arguments of tasks, results of tasks are tables in SQL, and the
//! buffers are the same on both sides.

use std::fmt;
use std::path::{Path, PathBuf};

use trefoil::arrow::array::RecordBatch;
use trefoil::prelude::*;

use super::{below, numbers};

/// The addresses of all buffers of a table, in order.
fn addresses(batches: &[RecordBatch]) -> Vec<usize> {
    batches
        .iter()
        .flat_map(|batch| batch.columns())
        .flat_map(|column| {
            let data = column.to_data();
            data.buffers().iter().map(|buffer| buffer.as_ptr() as usize).collect::<Vec<_>>()
        })
        .collect()
}

/// Rows of a partition and the addresses of its buffers, as the task saw them.
#[task]
fn inspect(part: &Partition) -> Result<(usize, Vec<usize>), trefoil::Error> {
    Ok((part.num_rows(), addresses(&part.batches()?)))
}

/// The flights of a partition that were more than `limit` minutes late.
#[task]
fn later_than(part: &Partition, limit: f64) -> Result<Partition, trefoil::Error> {
    use trefoil::arrow::array::{BooleanArray, Float64Array};
    use trefoil::arrow::compute::filter_record_batch;
    let late = part
        .batches()?
        .iter()
        .map(|batch| {
            let delays = numbers(std::slice::from_ref(batch), "delay")?;
            let delays = Float64Array::from(delays);
            let mask: BooleanArray = delays.iter().map(|delay| Some(delay? > limit)).collect();
            filter_record_batch(batch, &mask).map_err(trefoil::Error::user)
        })
        .collect::<trefoil::Result<Vec<_>>>()?;
    Partition::from_batches(part.schema().clone(), late)
}

/// What crossed the borders.
pub struct Borders {
    /// Partitions of the persisted frame.
    pub partitions: usize,
    /// Rows the tasks saw.
    pub rows: usize,
    /// Buffers that the store holds.
    pub buffers: usize,
    /// Buffers whose address was the same in a task.
    pub same_in_tasks: usize,
    /// Buffers whose address was the same in the result of a query over the table.
    pub same_in_sql: usize,
    /// Flights more than two hours late, counted by SQL over the results of tasks.
    pub late: usize,
    /// Where that table was written.
    pub written: PathBuf,
}

/// Persists a frame, hands its partitions to tasks, and their results to SQL.
pub async fn borders(session: &Session, data: &Path, out: &Path) -> trefoil::Result<Borders> {
    let frame = session.read_parquet(below(data, "flights")).await?.persist().await?;
    let parts = frame.partitions()?;

    let mut held = Vec::new();
    for part in &parts {
        held.extend(addresses(&part.value().await?.batches()?));
    }
    let seen = parts.iter().map(|part| session.spawn(inspect(part))).collect::<Vec<_>>();
    let seen = session.gather(seen).await?;
    let rows = seen.iter().map(|(rows, _)| rows).sum();
    let in_tasks: Vec<usize> = seen.into_iter().flat_map(|(_, addresses)| addresses).collect();

    session.register("flights", &frame)?;
    let mut in_sql = addresses(&session.sql("SELECT * FROM flights").await?.collect().await?);
    let mut sorted = held.clone();
    sorted.sort_unstable();
    in_sql.sort_unstable();
    let same_in_sql = sorted.iter().filter(|address| in_sql.binary_search(address).is_ok()).count();

    // Results of tasks, back in SQL.
    let late: Vec<Ref<Partition>> = parts.iter().map(|part| session.spawn(later_than(part, 120.0))).collect();
    let late = session.frame_from_refs(late).await?;
    session.register("late", &late)?;
    let count = session.sql("SELECT count(*) AS n FROM late").await?;
    let written = out.join("late");
    let _ = std::fs::remove_dir_all(&written);
    session.sql("SELECT * FROM late").await?.write_parquet(&written).await?;

    Ok(Borders {
        partitions: parts.len(),
        rows,
        buffers: held.len(),
        same_in_tasks: held.iter().zip(&in_tasks).filter(|(a, b)| a == b).count(),
        same_in_sql,
        late: super::one_number(&count, "n").await? as usize,
        written,
    })
}

impl fmt::Display for Borders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} partitions, {} rows, {} buffers in the store",
            self.partitions, self.rows, self.buffers
        )?;
        writeln!(
            f,
            "buffers at the same address inside the tasks: {} of {}",
            self.same_in_tasks, self.buffers
        )?;
        writeln!(
            f,
            "buffers at the same address in the SQL result: {} of {}",
            self.same_in_sql, self.buffers
        )?;
        write!(
            f,
            "{} flights more than two hours late, filtered by tasks, counted by SQL, written to {}",
            self.late,
            self.written.display()
        )
    }
}
