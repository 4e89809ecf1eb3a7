//! The rule that groups before it joins.
//!
//! Sales by brand are asked of a table of sales and a table of items: each sale is joined with its item, to be summed
//! by the item's brand. The sales of one item can as well be summed first, and the join then has as many rows as there
//! are items (W. P. Yan and P.-Å. Larson, "Eager aggregation and lazy aggregation", 1995):
//!
//! ```text
//!   sales ─ join items ─ Partial by brand            sales ─ Partial by item ─ join items ─ PartialReduce by brand
//! ```
//!
//! What goes through the join is the partial state of each function, and states are merged behind it as they are behind
//! an exchange. A row that the join repeats is a state merged twice. So the functions may be any that DataFusion groups,
//! as long as the order of their rows does not matter and what they read is of one side and cannot fail for a row that the
//! join leaves out. Only a condition may be of the other side ([`conditions`](super::conditions)). It is done where that side is guessed to have many rows in few groups, and again below, as far as that
//! holds.

use super::OptimizeOptions;
use super::conditions::Early;
use super::estimate::{estimate, of_expr};
use super::instead::needs_order;
use super::sets;
use crate::infallible::is_infallible_within;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;
type Expr = Arc<dyn PhysicalExpr>;

/// Guessed rows to a group from which groups before the join are worth their table.
const ROWS_A_GROUP: f64 = 8.0;
/// The same where a group is found by texts otherwise, which costs more than by the keys of a join.
const ROWS_A_GROUP_OF_TEXTS: f64 = 4.0;
/// The part of its rows that the join must be guessed to keep: others would be summed for nothing.
const KEPT: f64 = 0.5;

/// Groups before joins.
#[derive(Debug)]
pub(crate) struct EagerGroups;

impl PhysicalOptimizerRule for EagerGroups {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let options = OptimizeOptions::of(config);
        if !options.eager_groups {
            return Ok(plan);
        }
        let least = options.eager_rows as f64;
        plan.transform_up(|node| {
            Ok(match eager(&node, least)? {
                Some(early) => Transformed::yes(early),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "eager_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The aggregate with groups made before its join; none if it stays as it is.
fn eager(plan: &Plan, least: f64) -> Result<Option<Plan>> {
    let Some(aggregate) = plan.downcast_ref::<AggregateExec>().filter(|aggregate| is_for_us(aggregate))
    else {
        return Ok(None);
    };
    let Some(split) = Split::of(aggregate)? else { return Ok(None) };
    if !split.pays(least) {
        return Ok(None);
    }
    let Some(early) = split.early(aggregate)? else { return Ok(None) };
    // The groups may as well be made before the next join.
    let early = eager(&early, least)?.unwrap_or(early);
    let rows = split.joined(early, aggregate)?;
    let ours = sets::merged(aggregate, rows)?;
    // Where the names or types differ, somebody above would not find them.
    Ok((ours.schema() == plan.schema()).then_some(ours))
}

fn is_for_us(aggregate: &AggregateExec) -> bool {
    let mode = match aggregate.mode() {
        AggregateMode::Partial => true,
        AggregateMode::Single => aggregate.input().output_partitioning().partition_count() == 1,
        _ => false,
    };
    let functions = aggregate.aggr_expr().iter().all(|function| {
        function.groups_accumulator_supported()
            && !function.is_distinct()
            && function.order_bys().is_empty()
            && function.order_sensitivity().is_insensitive()
    });
    let sets = aggregate.group_expr();
    mode && functions
        && !sets.expr().is_empty()
        && (!sets.has_grouping_set() || sets.groups().iter().any(|set| set.iter().all(|null| !null)))
        && !needs_order(aggregate)
        && aggregate.limit_options().is_none()
        && aggregate.dynamic_expressions_produced().is_empty()
}

/// An aggregate over a join, seen from below its projections: expressions are of the columns of the left side and, behind
/// them, of the right.
struct Split<'a> {
    join: &'a HashJoinExec,
    /// Whether the values of the functions come from the right side.
    right: bool,
    /// Columns of the left side.
    width: usize,
    groups: Vec<Expr>,
    functions: Vec<Early>,
    /// What the early groups are made of, by columns of their side, with names that differ.
    keys: Vec<(Expr, String)>,
}

impl<'a> Split<'a> {
    /// None if the aggregate is not over such a join, or its functions read both sides.
    fn of(aggregate: &'a AggregateExec) -> Result<Option<Self>> {
        let mut groups: Vec<Expr> =
            aggregate.group_expr().expr().iter().map(|(expr, _)| Arc::clone(expr)).collect();
        let mut arguments: Vec<Vec<Expr>> =
            aggregate.aggr_expr().iter().map(|function| function.expressions()).collect();
        let mut filters = aggregate.filter_expr().to_vec();
        let mut rewrite = |by: &dyn Fn(&Column) -> Option<Expr>| -> Result<()> {
            let all = groups.iter_mut().chain(arguments.iter_mut().flatten());
            for expr in all.chain(filters.iter_mut().flatten()) {
                *expr = rewritten(expr, by)?;
            }
            Ok(())
        };
        let mut plan = aggregate.input();
        while let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            rewrite(&|column| projection.expr().get(column.index()).map(|item| Arc::clone(&item.expr)))?;
            plan = projection.input();
        }
        let Some(join) = plan.downcast_ref::<HashJoinExec>().filter(|join| is_plain(join)) else {
            return Ok(None);
        };
        if let Some(projection) = &join.projection {
            let whole = join.join_schema();
            rewrite(&|column| {
                let at = *projection.get(column.index())?;
                Some(Arc::new(Column::new(whole.field(at).name(), at)))
            })?;
        }
        let read: Vec<&Expr> =
            arguments.iter().flatten().chain(filters.iter().flatten()).chain(&groups).collect();
        if read.iter().any(|expr| is_volatile(expr)) {
            return Ok(None);
        }
        // A row that has no partner may make a calculation fail, and was never asked before.
        let (schema, width) = (join.join_schema(), join.left().schema().fields().len());
        let sides = OnceCell::new();
        let range = |column: &Column| {
            let (left, right) = sides.get_or_init(|| (estimate(join.left()), estimate(join.right())));
            match column.index().checked_sub(width) {
                None => left.as_ref()?.columns.get(column.index())?.range,
                Some(at) => right.as_ref()?.columns.get(at)?.range,
            }
        };
        let is_safe = |expr: &Expr| is_infallible_within(expr, schema, &range);
        if !arguments.iter().flatten().chain(filters.iter().flatten()).all(is_safe) {
            return Ok(None);
        }
        let of_side = |right: bool| -> Option<Vec<Early>> {
            let is_of_side = |column: &Column| (column.index() >= width) == right;
            let functions = aggregate.aggr_expr().iter().zip(&arguments).zip(&filters);
            functions
                .map(|((function, arguments), filter)| Early::of(function, arguments, filter, &is_of_side))
                .collect()
        };
        let (functions, right) = match (of_side(false), of_side(true)) {
            (None, None) => return Ok(None),
            (Some(left), None) => (left, false),
            (None, Some(right)) => (right, true),
            // Rows are counted, say.
            (Some(left), Some(right)) => match (estimate(join.left()), estimate(join.right())) {
                (Some(one), Some(other)) if one.rows > other.rows => (left, false),
                (Some(_), Some(_)) => (right, true),
                _ => return Ok(None),
            },
        };
        let keys = Vec::new();
        let mut split = Self { join, right, width, groups, functions, keys };
        split.keys = split.keys()?;
        Ok(Some(split))
    }

    /// The side that is grouped early.
    fn side(&self) -> &Plan {
        if self.right { self.join.right() } else { self.join.left() }
    }

    fn is_of_side(&self, column: &Column) -> bool {
        (column.index() >= self.width) == self.right
    }

    /// An expression of the side, by the columns that the side alone has.
    fn by_side(&self, expr: &Expr) -> Result<Expr> {
        let offset = if self.right { self.width } else { 0 };
        rewritten(expr, &|column| {
            let at = column.index().checked_sub(offset)?;
            Some(Arc::new(Column::new(column.name(), at)))
        })
    }

    /// Whether an expression is a column of the side. Calculations wait until the join has been made.
    fn is_whole(&self, expr: &Expr) -> bool {
        expr.downcast_ref::<Column>().is_some_and(|column| self.is_of_side(column))
    }

    /// What rows of one early group have in common: what the join compares, and what the groups are made of.
    fn keys(&self) -> Result<Vec<(Expr, String)>> {
        let compared = self.join.on().iter().map(|(left, right)| if self.right { right } else { left });
        let mut keys: Vec<Expr> = compared.cloned().collect();
        for group in &self.groups {
            if self.is_whole(group) {
                keys.push(self.by_side(group)?);
                continue;
            }
            let mut columns: Vec<Column> = collect_columns(group).into_iter().collect();
            columns.retain(|column| self.is_of_side(column));
            columns.sort_by_key(Column::index);
            for column in columns {
                keys.push(self.by_side(&(Arc::new(column) as Expr))?);
            }
        }
        let (mut seen, mut names) = (Vec::<Expr>::new(), HashSet::new());
        let mut named = Vec::new();
        for key in keys {
            if seen.contains(&key) {
                continue;
            }
            let own = key.downcast_ref::<Column>().map_or("key", Column::name);
            let mut name = own.to_owned();
            while !names.insert(name.clone()) {
                name = format!("{own}:{}", names.len());
            }
            named.push((Arc::clone(&key), name));
            seen.push(key);
        }
        Ok(named)
    }

    /// Whether less work is left; always, if nothing is the least of rows.
    fn pays(&self, least: f64) -> bool {
        if least == 0.0 {
            return true;
        }
        let (left, right) = (estimate(self.join.left()), estimate(self.join.right()));
        let (Some(left), Some(right)) = (left, right) else { return false };
        let (rows, other) = if self.right { (right, left) } else { (left, right) };
        let distinct = |key: &Expr| {
            let guess = of_expr(key, &rows);
            if guess.is_one { 1.0 } else { guess.distinct }
        };
        let groups: f64 = self.keys.iter().map(|(key, _)| distinct(key)).product();
        let schema = self.join.join_schema();
        let is_text = |expr: &Expr| {
            let kind = expr.data_type(schema);
            kind.is_ok_and(|kind| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View))
        };
        let by_texts = self.groups.iter().any(|group| is_text(group) && !self.is_whole(group));
        let wanted = if by_texts { ROWS_A_GROUP_OF_TEXTS } else { ROWS_A_GROUP };
        rows.rows >= least && groups * wanted <= rows.rows && other.rows >= KEPT * other.base
    }

    /// The first function whose early states are those of the function at a place.
    fn first_like(&self, aggregate: &AggregateExec, at: usize) -> usize {
        let functions = aggregate.aggr_expr();
        let is_like = |first: &usize| {
            let (one, other) = (&functions[*first], &functions[at]);
            let is_same = one.fun() == other.fun() && one.ignore_nulls() == other.ignore_nulls();
            is_same && self.functions[*first].is_like(&self.functions[at])
        };
        (0..at).find(is_like).unwrap_or(at)
    }

    /// The groups of the side; none if a function cannot be moved there.
    fn early(&self, aggregate: &AggregateExec) -> Result<Option<Plan>> {
        let side = self.side();
        let schema = side.schema();
        let (mut functions, mut filters) = (Vec::new(), Vec::new());
        for (at, (function, early)) in aggregate.aggr_expr().iter().zip(&self.functions).enumerate() {
            if self.first_like(aggregate, at) < at {
                continue;
            }
            let arguments =
                early.arguments.iter().map(|one| self.by_side(one)).collect::<Result<Vec<_>>>()?;
            let moved = AggregateExprBuilder::new(Arc::new(function.fun().clone()), arguments)
                .schema(Arc::clone(&schema))
                .alias(function.name())
                .with_ignore_nulls(function.ignore_nulls())
                .build()?;
            if types(&moved)? != types(function)? {
                return Ok(None);
            }
            functions.push(Arc::new(moved));
            filters.push(early.filter.as_ref().map(|one| self.by_side(one)).transpose()?);
        }
        let keys = PhysicalGroupBy::new_single(self.keys.clone());
        let early = AggregateExec::try_new(
            AggregateMode::Partial,
            keys,
            functions,
            filters,
            Arc::clone(side),
            schema,
        )?;
        Ok(Some(Arc::new(early)))
    }

    /// The join of the early groups with the other side, as the columns of the groups and then the states.
    fn joined(&self, early: Plan, aggregate: &AggregateExec) -> Result<Plan> {
        let offset = if self.right { self.width } else { 0 };
        let other_offset = if self.right { 0 } else { early.schema().fields().len() };
        let place = |key: &Expr| self.keys.iter().position(|(known, _)| known == key);
        let on = self.join.on().iter().map(|(left, right)| {
            let key = if self.right { right } else { left };
            let Some(at) = place(key) else { return internal_err!("`{key}` is no key of the early groups") };
            let key = Arc::new(Column::new(&self.keys[at].1, at)) as Expr;
            Ok(if self.right { (Arc::clone(left), key) } else { (key, Arc::clone(right)) })
        });
        let on = on.collect::<Result<Vec<_>>>()?;
        let children = match self.right {
            true => vec![Arc::clone(self.join.left()), Arc::clone(&early)],
            false => vec![Arc::clone(&early), Arc::clone(self.join.right())],
        };
        let join = self.join.builder().reset_state().with_projection(None).with_new_children(children)?;
        let join: Plan = Arc::new(join.with_on(on).build()?);
        let schema: SchemaRef = join.schema();
        let column = |at: usize| Arc::new(Column::new(schema.field(at).name(), at)) as Expr;
        let other = |old: &Column| {
            let at = if self.right { old.index() } else { old.index() - self.width };
            Some(column(other_offset + at))
        };
        let mut columns: Vec<(Expr, String)> = Vec::new();
        for (group, (_, name)) in self.groups.iter().zip(aggregate.group_expr().expr()) {
            let whole = match self.is_whole(group) {
                true => place(&self.by_side(group)?),
                false => None,
            };
            let expr = match whole {
                Some(at) => column(offset + at),
                None => rewritten(group, &|old| {
                    if !self.is_of_side(old) {
                        return other(old);
                    }
                    let key = self.by_side(&(Arc::new(old.clone()) as Expr)).ok()?;
                    place(&key).map(|at| column(offset + at))
                })?,
            };
            columns.push((expr, name.clone()));
        }
        let mut next = offset + self.keys.len();
        let mut begins = Vec::new();
        for (at, (function, early)) in aggregate.aggr_expr().iter().zip(&self.functions).enumerate() {
            let fields = function.state_fields()?;
            let begin = match self.first_like(aggregate, at) {
                first if first < at => begins[first],
                _ => {
                    next += fields.len();
                    next - fields.len()
                }
            };
            begins.push(begin);
            for (state, field) in fields.iter().enumerate() {
                let state = column(begin + state);
                let state = match &early.condition {
                    Some(condition) => condition.applied(state, |expr| rewritten(expr, &other))?,
                    None => state,
                };
                columns.push((state, field.name().clone()));
            }
        }
        Ok(Arc::new(ProjectionExec::try_new(columns, join)?))
    }
}

fn is_plain(join: &HashJoinExec) -> bool {
    join.join_type() == &JoinType::Inner
        && join.null_equality() == NullEquality::NullEqualsNothing
        && join.filter().is_none()
        && join.fetch().is_none()
        && join.dynamic_expressions_produced().is_empty()
}

/// The types of the states of a function.
fn types(function: &AggregateFunctionExpr) -> Result<Vec<DataType>> {
    Ok(function.state_fields()?.iter().map(|field| field.data_type().clone()).collect())
}

/// The expression with others in the place of its columns; those of which nothing is said stay.
fn rewritten(expr: &Expr, by: &dyn Fn(&Column) -> Option<Expr>) -> Result<Expr> {
    Arc::clone(expr)
        .transform_up(|expr| {
            Ok(match expr.downcast_ref::<Column>().and_then(by) {
                Some(other) => Transformed::yes(other),
                None => Transformed::no(expr),
            })
        })
        .data()
}
