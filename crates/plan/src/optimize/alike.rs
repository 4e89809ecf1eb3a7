//! The rule that makes parts of a plan equal which differ by one filter.
//!
//! This year's sales and last year's are one common table expression, used twice with different years. The filter goes
//! down to the table of dates, and the two parts differ there and nowhere else. If what the filter looks at is a key of
//! the groups, the groups of both can be made at once, and the filter asked of them:
//!
//! ```text
//!   groups ─ join ─ filter year = 2000 ─ dates          filter year = 2000 ─ groups ─ join ─ filter either year ─ dates
//!   groups ─ join ─ filter year = 2001 ─ dates          filter year = 2001 ─ the same
//! ```
//!
//! [`CommonPlans`](super::common) then lets them run once. The way up from the filter to the groups must keep its
//! columns and must not care which rows are there: inner joins, and other joins from the side whose rows they keep.

use super::OptimizeOptions;
use super::common::{address, draws, results, same, same_node, scans_alike};
use super::replace::with_children;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use datafusion::physical_expr::utils::{collect_columns, conjunction};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::collections::HashMap;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;
type Expr = Arc<dyn PhysicalExpr>;

#[derive(Debug)]
pub(crate) struct AlikePlans;

impl PhysicalOptimizerRule for AlikePlans {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let options = OptimizeOptions::of(config);
        if !options.share_plans || !options.share_alike {
            return Ok(plan);
        }
        let found = results(&plan)?;
        let mut others: HashMap<*const (), Plan> = HashMap::new();
        for (at, one) in found.iter().enumerate() {
            if others.contains_key(&address(one)) {
                continue;
            }
            // Outer parts come first; what is in a part that is changed goes with it.
            let free = found[at + 1..].iter().filter(|other| !others.contains_key(&address(other)));
            let Some(group) = Group::of(one, free) else { continue };
            let Some(made) = group.made()? else { continue };
            for (place, other) in made {
                place.apply(|node| {
                    others.entry(address(node)).or_insert_with(|| Arc::clone(node));
                    Ok(TreeNodeRecursion::Continue)
                })?;
                others.insert(address(&place), other);
            }
        }
        if others.is_empty() {
            return Ok(plan);
        }
        plan.transform_down(|node| {
            Ok(match others.get(&address(&node)) {
                Some(other) => Transformed::new(Arc::clone(other), true, TreeNodeRecursion::Jump),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "alike_plans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Parts that differ by a filter in the same place.
struct Group<'a> {
    places: Vec<&'a Plan>,
    /// Which child from node to node.
    path: Vec<usize>,
}

impl<'a> Group<'a> {
    /// The first part and those that differ from it in one place, or not at all.
    fn of(one: &'a Plan, others: impl Iterator<Item = &'a Plan>) -> Option<Self> {
        let (mut places, mut path) = (vec![one], None);
        for other in others {
            match difference(one, other) {
                Some(None) => places.push(other),
                Some(Some(there)) if path.as_ref().is_none_or(|path| path == &there) => {
                    places.push(other);
                    path = Some(there);
                }
                _ => {}
            }
        }
        path.map(|path| Self { places, path })
    }

    /// What each part becomes; none if they stay.
    fn made(&self) -> Result<Option<Vec<(Plan, Plan)>>> {
        let first = self.places[0];
        let filters = self.places.iter().map(|place| filter_at(place, &self.path));
        let Some(filters) = filters.collect::<Option<Vec<&FilterExec>>>() else { return Ok(None) };
        let parts: Vec<Vec<&Expr>> =
            filters.iter().map(|filter| split_conjunction(filter.predicate())).collect();
        let is_common = |part: &&Expr| parts.iter().all(|other| other.contains(part));
        let common: Vec<Expr> =
            parts[0].iter().filter(|part| is_common(part)).map(|part| Arc::clone(part)).collect();
        // What each asks beyond that; one that asks nothing has all rows, and leaves nothing to gain.
        let own: Vec<Vec<Expr>> = parts
            .iter()
            .map(|parts| parts.iter().filter(|part| !is_common(part)).map(|part| Arc::clone(part)).collect())
            .collect();
        if own.iter().any(Vec::is_empty) {
            return Ok(None);
        }
        let own: Vec<Expr> = own.into_iter().map(conjunction).collect();
        for place in &self.places {
            if draws(place)? {
                return Ok(None);
            }
        }
        let mut asked = Vec::new();
        for own in &own {
            let Some(above) = lifted(own, first, &self.path)? else { return Ok(None) };
            asked.push(above);
        }
        let all: Vec<Expr> = common.into_iter().chain(either(&own)).collect();
        let scans: Option<Vec<Expr>> = filters.iter().map(|filter| scan_filter(filter.input())).collect();
        let scan = scans.and_then(|scans| either(&scans));
        let merged = replaced_at(first, &self.path, &conjunction(all), scan.as_ref())?;
        let mut made = Vec::new();
        for (place, asked) in self.places.iter().zip(asked) {
            let filter: Plan = Arc::new(FilterExec::try_new(asked, Arc::clone(&merged))?);
            // What is above may count on the order and the partitions of the rows.
            let kept = filter.schema() == place.schema()
                && filter.output_partitioning() == place.output_partitioning()
                && (place.output_ordering().is_none() || filter.output_ordering() == place.output_ordering());
            if !kept {
                return Ok(None);
            }
            made.push((Arc::clone(place), filter));
        }
        Ok(Some(made))
    }
}

/// Where two plans differ by a filter over a table, and nowhere else; `None` inside if they are the same.
fn difference(one: &Plan, other: &Plan) -> Option<Option<Vec<usize>>> {
    let (mine, theirs) = (one.children(), other.children());
    let shape = one.schema() == other.schema()
        && one.output_partitioning().partition_count() == other.output_partitioning().partition_count()
        && mine.len() == theirs.len();
    if !shape {
        return None;
    }
    if let (Some(a), Some(b)) = (one.downcast_ref::<FilterExec>(), other.downcast_ref::<FilterExec>())
        && a.predicate() != b.predicate()
    {
        let alike = a.projection() == b.projection() && a.fetch() == b.fetch() && a.fetch().is_none();
        return (alike && tables_alike(a.input(), b.input())).then(|| Some(Vec::new()));
    }
    if !same_node(one.as_ref(), other.as_ref()) {
        return None;
    }
    let mut found = None;
    for (at, (mine, theirs)) in mine.iter().zip(theirs).enumerate() {
        match difference(mine, theirs)? {
            None => {}
            Some(_) if found.is_some() => return None,
            Some(mut path) => {
                path.insert(0, at);
                found = Some(path);
            }
        }
    }
    Some(found)
}

/// Whether two plans read the same rows of one table, but for what a scan may leave out by a filter above it.
fn tables_alike(one: &Plan, other: &Plan) -> bool {
    match (one.downcast_ref::<DataSourceExec>(), other.downcast_ref::<DataSourceExec>()) {
        (Some(a), Some(b)) => one.schema() == other.schema() && scans_alike(a, b),
        _ => match (&one.children()[..], &other.children()[..]) {
            ([mine], [theirs]) => {
                one.schema() == other.schema()
                    && same_node(one.as_ref(), other.as_ref())
                    && tables_alike(mine, theirs)
            }
            _ => same(one, other),
        },
    }
}

fn filter_at<'a>(plan: &'a Plan, path: &[usize]) -> Option<&'a FilterExec> {
    match path {
        [] => plan.downcast_ref(),
        [first, rest @ ..] => filter_at(plan.children().get(*first)?, rest),
    }
}

/// What the scan below a filter leaves out, if it is of files and knows a filter.
fn scan_filter(plan: &Plan) -> Option<Expr> {
    match plan.downcast_ref::<DataSourceExec>() {
        Some(scan) => scan.data_source().downcast_ref::<FileScanConfig>()?.file_source.filter(),
        None => match plan.children()[..] {
            [child] => scan_filter(child),
            _ => None,
        },
    }
}

/// One of some conditions; each is taken once.
fn either(conditions: &[Expr]) -> Option<Expr> {
    let mut different: Vec<&Expr> = Vec::new();
    for condition in conditions {
        if !different.contains(&condition) {
            different.push(condition);
        }
    }
    let or = |left: Expr, right: Expr| Arc::new(BinaryExpr::new(left, Operator::Or, right)) as Expr;
    different.into_iter().cloned().reduce(or)
}

/// A filter's condition at the top of the plan; none if its columns do not get there.
fn lifted(condition: &Expr, plan: &Plan, path: &[usize]) -> Result<Option<Expr>> {
    let mut nodes = vec![plan];
    for at in path {
        let Some(child) = nodes.last().and_then(|node| node.children().get(*at).copied()) else {
            return Ok(None);
        };
        nodes.push(child);
    }
    let Some(filter) = nodes.pop().and_then(|node| node.downcast_ref::<FilterExec>()) else {
        return Ok(None);
    };
    let mut places = HashMap::new();
    for column in collect_columns(condition) {
        let mut at = match filter.projection() {
            Some(projection) => projection.iter().position(|place| *place == column.index()),
            None => Some(column.index()),
        };
        for (node, child) in nodes.iter().zip(path).rev() {
            at = at.and_then(|at| passed(node, *child, at));
        }
        let Some(at) = at else { return Ok(None) };
        places.insert(column.index(), at);
    }
    let schema = plan.schema();
    let lifted = Arc::clone(condition).transform_up(|expr| {
        Ok(match expr.downcast_ref::<Column>().and_then(|column| places.get(&column.index())) {
            Some(at) => Transformed::yes(Arc::new(Column::new(schema.field(*at).name(), *at)) as Expr),
            None => Transformed::no(expr),
        })
    });
    lifted.data().map(Some)
}

/// Where column `at` of a child is in the output of a node, if rows that a filter leaves out of the child are left out of the
/// output, and no others.
fn passed(node: &Plan, child: usize, at: usize) -> Option<usize> {
    if node.is::<CoalescePartitionsExec>() || node.is::<RepartitionExec>() || node.is::<CooperativeExec>() {
        return node.fetch().is_none().then_some(at);
    }
    let is_it = |expr: &Expr| expr.downcast_ref::<Column>().is_some_and(|column| column.index() == at);
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        return match filter.projection() {
            _ if filter.fetch().is_some() => None,
            Some(projection) => projection.iter().position(|place| *place == at),
            None => Some(at),
        };
    }
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        return projection.expr().iter().position(|item| is_it(&item.expr));
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr();
        let plain = !groups.has_grouping_set() && aggregate.limit_options().is_none();
        return groups.expr().iter().position(|(expr, _)| plain && is_it(expr));
    }
    let join = node.downcast_ref::<HashJoinExec>()?;
    let left = join.left().schema().fields().len();
    let at = match (join.join_type(), child) {
        (JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti, 0) => at,
        (JoinType::Inner | JoinType::Right, 1) => left + at,
        (JoinType::RightSemi | JoinType::RightAnti, 1) => at,
        _ => return None,
    };
    match &join.projection {
        _ if join.fetch().is_some() || join.null_aware => None,
        Some(projection) => projection.iter().position(|place| *place == at),
        None => Some(at),
    }
}

/// The plan with another condition in the filter at the end of the path, and in the scan below that.
fn replaced_at(plan: &Plan, path: &[usize], condition: &Expr, scan: Option<&Expr>) -> Result<Plan> {
    let mut children: Vec<Plan> = plan.children().into_iter().cloned().collect();
    if let [first, rest @ ..] = path {
        children[*first] = replaced_at(&children[*first], rest, condition, scan)?;
        return with_children(plan, children);
    }
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Arc::clone(plan)) };
    let builder = FilterExecBuilder::from(filter).with_predicate(Arc::clone(condition));
    Ok(Arc::new(builder.with_input(rescanned(filter.input(), scan)?).build()?))
}

fn rescanned(plan: &Plan, filter: Option<&Expr>) -> Result<Plan> {
    let Some(scan) = plan.downcast_ref::<DataSourceExec>() else {
        let children = plan.children().into_iter().map(|child| rescanned(child, filter));
        return with_children(plan, children.collect::<Result<_>>()?);
    };
    let Some(config) = scan.data_source().downcast_ref::<FileScanConfig>() else {
        return Ok(Arc::clone(plan));
    };
    let Some(parquet) = config.file_source.downcast_ref::<ParquetSource>() else {
        return Ok(Arc::clone(plan));
    };
    let source = match filter {
        Some(filter) => parquet.with_predicate(Arc::clone(filter)),
        // A condition that is always true, for there is no way to take one back.
        None => parquet.with_predicate(lit(true)),
    };
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build();
    Ok(DataSourceExec::from_data_source(config))
}
