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
use super::estimate::estimate;
use super::replace::with_children;
use super::shared::{Cell, SharedExec};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
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

/// What the join compares: on its left side, and which column of the right side, if it is one.
type Keys = Vec<(Expr, Option<usize>)>;

fn wanted(plan: &Plan, always: bool) -> Result<Option<Plan>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>().filter(|join| is_for_us(join)) else {
        return Ok(None);
    };
    let keys = join.on().iter().map(|(left, right)| (Arc::clone(left), place(right))).collect();
    let few = Few { rows: join.left(), cell: Arc::default(), always };
    let Some(groups) = few.of_groups(join.right(), keys)? else { return Ok(None) };
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

fn place(expr: &Expr) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

/// The keys by the columns below, given which column of those a column is.
fn moved(keys: &Keys, to: impl Fn(usize) -> Option<usize>) -> Keys {
    keys.iter().map(|(left, at)| (Arc::clone(left), at.and_then(&to))).collect()
}

/// The input of a node that hands on all rows as they are.
fn handed_on(plan: &Plan) -> Option<&Plan> {
    let is_one =
        plan.is::<RepartitionExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<CooperativeExec>();
    match plan.children()[..] {
        [child] if is_one && plan.fetch().is_none() => Some(child),
        _ => None,
    }
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

    fn pays(&self, groups: &Plan) -> bool {
        match (estimate(self.rows), estimate(groups)) {
            _ if self.always => true,
            (Some(few), Some(groups)) => groups.rows >= LEAST && few.rows * GROUPS_A_ROW <= groups.rows,
            _ => false,
        }
    }

    /// The plan that makes fewer groups; none if it makes none, or not of these keys.
    fn of_groups(&self, plan: &Plan, keys: Keys) -> Result<Option<Plan>> {
        let below = match (plan.downcast_ref::<ProjectionExec>(), handed_on(plan)) {
            (Some(projection), _) => {
                let of = |at: usize| projection.expr().get(at).and_then(|item| place(&item.expr));
                self.of_groups(projection.input(), moved(&keys, of))?
            }
            (None, Some(child)) => self.of_groups(child, keys)?,
            (None, None) => {
                let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else { return Ok(None) };
                let groups = aggregate.group_expr();
                let keys = moved(&keys, |at| (at < groups.expr().len()).then_some(at));
                let asked = keys.iter().filter(|(_, at)| at.is_some()).count();
                let plain = !groups.has_grouping_set() && aggregate.limit_options().is_none();
                if !plain || asked == 0 || asked == keys.len() || !self.pays(plan) {
                    return Ok(None);
                }
                match aggregate.mode() {
                    AggregateMode::Single | AggregateMode::SinglePartitioned => {
                        return self.of_rows(plan, aggregate, &keys);
                    }
                    AggregateMode::Final | AggregateMode::FinalPartitioned => {
                        let of = |at: usize| groups.expr().get(at).and_then(|(expr, _)| place(expr));
                        self.of_partial_groups(aggregate.input(), &moved(&keys, of))?
                    }
                    AggregateMode::Partial | AggregateMode::PartialReduce => return Ok(None),
                }
            }
        };
        below.map(|child| with_children(plan, vec![child])).transpose()
    }

    fn of_partial_groups(&self, plan: &Plan, keys: &Keys) -> Result<Option<Plan>> {
        match plan.downcast_ref::<AggregateExec>() {
            Some(aggregate) if aggregate.mode() == &AggregateMode::Partial => {
                self.of_rows(plan, aggregate, keys)
            }
            Some(_) => Ok(None),
            None => {
                let Some(child) = handed_on(plan) else { return Ok(None) };
                let below = self.of_partial_groups(child, keys)?;
                below.map(|child| with_children(plan, vec![child])).transpose()
            }
        }
    }

    /// The aggregate over those rows whose keys are among the few.
    fn of_rows(&self, plan: &Plan, aggregate: &AggregateExec, keys: &Keys) -> Result<Option<Plan>> {
        let groups = aggregate.group_expr().expr();
        let on: Vec<(Expr, Expr)> = keys
            .iter()
            .filter_map(|(left, at)| Some((Arc::clone(left), Arc::clone(&groups.get((*at)?)?.0))))
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
        with_children(plan, vec![Arc::new(semi)]).map(Some)
    }
}
