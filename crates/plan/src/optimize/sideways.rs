//! The rule that makes only those groups which a join above will ask for.
//!
//! "The cheapest offer for each part", joined with a few parts by the part and the price: a running filter of that join
//! looks at both, and as the price is what the groups calculate, it cannot go below them. All groups are made, and most are
//! thrown away. The join's hashed rows are known before, so those rows of the groups' input whose part is among them are
//! kept, and no others (magic sets: C. Beeri and R. Ramakrishnan, "On the power of magic", 1987):
//!
//! ```text
//!   join on part, price                      join on part, price
//!     few parts                                few parts, run once
//!     groups by part ─ offers                  groups by part ─ semi join on part ┬ the same few parts
//!                                                                                 └ offers
//! ```
//!
//! Where all columns of the join are keys of the groups its own filter goes down, and nothing is done here.

use super::OptimizeOptions;
use super::estimate::{estimate, of_aggregate};
use super::grouped::{Asked, place, regrouped};
use super::replace::with_children;
use super::shared::{Cell, SharedExec};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;
type Expr = Arc<dyn PhysicalExpr>;

/// Guessed groups for each hashed row from which it is done.
const GROUPS_A_ROW: f64 = 10.0;
/// Guessed groups below which it is not worth a join.
const LEAST: f64 = 10_000.0;

#[derive(Debug)]
pub(crate) struct WantedGroups;

impl PhysicalOptimizerRule for WantedGroups {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let options = OptimizeOptions::of(config);
        if !options.wanted_groups {
            return Ok(plan);
        }
        let always = options.eager_rows == 0;
        plan.transform_up(|node| {
            Ok(match wanted(&node, always)? {
                Some(other) => Transformed::yes(other),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "wanted_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn wanted(plan: &Plan, always: bool) -> Result<Option<Plan>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>().filter(|join| is_for_us(join)) else {
        return Ok(None);
    };
    let few = Few { rows: join.left(), cell: Arc::default(), always };
    let Some(groups) = few.of_groups(join.right(), join.on())? else { return Ok(None) };
    with_children(plan, vec![few.shared(), groups]).map(Some)
}

/// A join in which rows of the right side matter only where they match.
fn is_for_us(join: &HashJoinExec) -> bool {
    let kind = matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
    );
    kind && join.on().len() > 1
        && !join.null_aware
        && join.null_equality() == NullEquality::NullEqualsNothing
        && join.partition_mode() == &PartitionMode::CollectLeft
        && join.left().output_partitioning().partition_count() == 1
        && !join.left().is::<SharedExec>()
        && join.dynamic_expressions_produced().is_empty()
        && !join.on().iter().any(|(left, _)| is_volatile(left))
}

/// The rows that the join hashes.
struct Few<'a> {
    rows: &'a Plan,
    cell: Arc<Cell>,
    /// Whatever is guessed of sizes.
    always: bool,
}

impl Few<'_> {
    fn shared(&self) -> Plan {
        Arc::new(SharedExec::new(Arc::clone(self.rows), Arc::clone(&self.cell)))
    }

    fn pays(&self, groups: &AggregateExec) -> bool {
        match (estimate(self.rows), of_aggregate(groups)) {
            _ if self.always => true,
            (Some(few), Some(groups)) => groups.rows >= LEAST && few.rows * GROUPS_A_ROW <= groups.rows,
            _ => false,
        }
    }

    /// The plan that makes fewer groups; none if it makes none, or not of these keys.
    fn of_groups(&self, plan: &Plan, on: &[(Expr, Expr)]) -> Result<Option<Plan>> {
        let asked = on.iter().map(|(_, right)| place(right)).collect();
        regrouped(plan, &asked, &|aggregate, keys| {
            let found = keys.iter().flatten().count();
            if found == 0 || found == keys.len() || !self.pays(aggregate) {
                return Ok(None);
            }
            self.of_rows(aggregate, on, keys)
        })
    }

    /// Those rows whose keys are among the few.
    fn of_rows(&self, aggregate: &AggregateExec, on: &[(Expr, Expr)], keys: &Asked) -> Result<Option<Plan>> {
        let groups = aggregate.group_expr().expr();
        let on: Vec<(Expr, Expr)> = on
            .iter()
            .zip(keys)
            .filter_map(|((left, _), at)| Some((Arc::clone(left), Arc::clone(&groups.get((*at)?)?.0))))
            .filter(|(_, right)| !is_volatile(right) && !collect_columns(right).is_empty())
            .collect();
        if on.is_empty() {
            return Ok(None);
        }
        let semi = HashJoinExec::try_new(
            self.shared(),
            Arc::clone(aggregate.input()),
            on,
            None,
            &JoinType::RightSemi,
            None,
            PartitionMode::CollectLeft,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        Ok(Some(Arc::new(semi)))
    }
}
