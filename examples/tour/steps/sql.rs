//! SQL over files by their path.

use std::fmt;
use std::path::Path;

use trefoil::prelude::*;

use super::{below, numbers, texts};

/// What the flights table holds.
pub struct Flights {
    /// Rows in all files together.
    pub rows: usize,
    /// Minutes of delay, summed.
    pub delay_sum: f64,
    /// The first rows, as shown.
    pub preview: String,
}

/// Reads a directory of Parquet files as one table.
pub async fn flights(session: &Session, data: &Path) -> trefoil::Result<Flights> {
    let path = below(data, "flights");
    let all = session.sql(&format!("SELECT * FROM parquet.`{path}`")).await?;
    let sum = session.sql(&format!("SELECT sum(delay) AS delay FROM parquet.`{path}`")).await?;
    Ok(Flights {
        rows: all.count().await?,
        delay_sum: super::one_number(&sum, "delay").await?,
        preview: all.to_text(5).await?,
    })
}

impl fmt::Display for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{} flights, {} minutes of delay in all", self.preview, self.rows, self.delay_sum)
    }
}

/// Average delay by origin.
pub struct SlowOrigins {
    /// Origin, average delay in minutes, flights; longest delay first.
    pub origins: Vec<(String, f64, f64)>,
    /// The result, as shown.
    pub table: String,
    /// How the engine ran it, with the rows and the time of each operator.
    pub plan: String,
}

/// The workshop's query: origins with more than 500 flights, by average delay.
pub async fn slow_origins(session: &Session, data: &Path) -> trefoil::Result<SlowOrigins> {
    let slow = session
        .sql(&format!(
            "SELECT origin, AVG(delay) AS delay, count(1) AS n FROM parquet.`{}`
             GROUP BY origin HAVING count(1) > 500 ORDER BY delay DESC",
            below(data, "flights")
        ))
        .await?;
    let batches = slow.collect().await?;
    let (delays, counts) = (numbers(&batches, "delay")?, numbers(&batches, "n")?);
    let origins = texts(&batches, "origin")?;
    Ok(SlowOrigins {
        origins: origins.into_iter().zip(delays).zip(counts).map(|((o, d), n)| (o, d, n)).collect(),
        table: slow.to_text(8).await?,
        plan: slow.explain_analyze().await?,
    })
}

impl fmt::Display for SlowOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.table)?;
        writeln!(f, "How it ran (EXPLAIN ANALYZE, first lines):")?;
        for line in self.plan.lines().take(6) {
            writeln!(f, "  {}", line.chars().take(150).collect::<String>())?;
        }
        Ok(())
    }
}
