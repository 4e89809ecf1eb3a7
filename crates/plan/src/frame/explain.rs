//! Plans as text: before and after they ran.

use super::DataFrame;
use crate::observe::{Operators, tree};
use datafusion::physical_plan::{collect_partitioned, displayable};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trefoil_core::Result;

impl DataFrame {
    /// The logical plan after optimisation and the physical plan, without running anything.
    ///
    /// # Errors
    /// When the frame cannot be planned, as [`DataFrame::collect`].
    pub async fn explain(&self) -> Result<String> {
        self.run("explain", |frame| async move {
            let logical = frame.clone().into_optimized_plan()?;
            let physical = frame.create_physical_plan().await?;
            Ok(format!(
                "== logical plan ==\n{}\n\n== physical plan ==\n{}",
                logical.display_indent(),
                displayable(physical.as_ref()).indent(false)
            ))
        })
        .await
    }

    /// Runs the frame, throws the rows away, and gives the physical plan as a tree with what each operator
    /// did: the rows it gave, the time it computed (summed over its partitions, its inputs' time excluded)
    /// and its share of the whole, the most memory it held, the bytes it spilled and in how many files.
    ///
    /// ```text
    /// == 5 rows in 48.2 ms, planned in 3.1 ms ==
    /// operator                  rows  compute  share    memory  detail
    /// SortExec                     5   0.1 ms    0 %   1.2 KiB  expr=[cut@0 ASC], preserve_partitioning=[false]
    /// └─ PartedAggregateExec       5   2.5 ms    8 %  12.0 KiB  mode=Final, gby=[cut@0 as cut], aggr=[...]
    /// ```
    ///
    /// # Errors
    /// As [`DataFrame::collect`].
    pub async fn explain_analyze(&self) -> Result<String> {
        self.run("explain_analyze", |frame| async move {
            let started = Instant::now();
            let context = Arc::new(frame.task_ctx());
            let plan = frame.create_physical_plan().await?;
            let planned = started.elapsed();
            let batches = collect_partitioned(Arc::clone(&plan), context).await?;
            let rows: usize = batches.iter().flatten().map(|batch| batch.num_rows()).sum();
            Ok(format!(
                "== {rows} rows in {:.1} ms, planned in {:.1} ms ==\n{}",
                (started.elapsed() - planned).as_secs_f64() * 1e3,
                planned.as_secs_f64() * 1e3,
                tree(&Operators::new(plan, |_| Duration::ZERO).read())
            ))
        })
        .await
    }
}
