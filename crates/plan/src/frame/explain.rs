//! Plans as text: before and after they ran.

use super::DataFrame;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{collect_partitioned, displayable};
use std::sync::Arc;
use std::time::Instant;
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

    /// Runs the frame, throws the rows away, and gives the physical plan with what each operator did: rows,
    /// time, spills.
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
                DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(false)
            ))
        })
        .await
    }
}
