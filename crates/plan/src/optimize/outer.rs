//! The sides of outer, semi- and anti-joins, which no order of joins moves.
//!
//! DataFusion chooses the side that is hashed by the bytes that statistics tell, and where these end (behind a join, a group)
//! it keeps what is written: a million rows were hashed for two hundred thousand to look up. The guesses that order
//! inner joins go further. It also deals both sides to the workers again, where one table for all of them is less
//! work (see [`mode`]).

use super::build::mode;
use super::estimate::estimate;
use datafusion::common::{JoinType, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use std::sync::Arc;

/// How many times larger a hashed side is guessed to be before sides are changed.
const LARGER: f64 = 2.0;

/// The join with the other side hashed, or by one table; none if it stays as it is.
pub(super) fn sided(
    plan: &Arc<dyn ExecutionPlan>,
    partitions: usize,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return Ok(None) };
    let ours = match join.join_type() {
        JoinType::Left | JoinType::Right | JoinType::LeftSemi | JoinType::RightSemi => true,
        JoinType::LeftAnti | JoinType::RightAnti => !join.null_aware,
        _ => false,
    };
    if !ours || join.fetch().is_some() {
        return Ok(None);
    }
    let (Some(left), Some(right)) = (estimate(join.left()), estimate(join.right())) else { return Ok(None) };
    if left.rows > LARGER * right.rows {
        return join.swap_inputs(mode(right.rows, left.rows, partitions)).map(Some);
    }
    let mode = mode(left.rows, right.rows, partitions);
    if join.partition_mode() == &mode || mode == PartitionMode::Partitioned {
        return Ok(None);
    }
    join.builder().with_partition_mode(mode).build().map(|join| Some(Arc::new(join) as _))
}
