//! Maps as keys of groups: two are equal whatever the order of their entries is.
//!
//! As Spark does, the entries are put in order before rows are grouped; a distinct aggregate sees such maps, too.

use crate::functions::call;
use crate::value::types;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{
    Aggregate, Cast, Expr, ExprSchemable, GroupingSet, LogicalPlan, LogicalPlanBuilder,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The name of the function that puts the entries of maps in order.
pub(crate) const SORTED: &str = "#sorted";

/// The rule.
#[derive(Debug)]
pub(crate) struct MapKeys;

impl MapKeys {
    /// Adds the rule where DISTINCT has become an aggregate, and before distinct aggregates become groups.
    pub(crate) fn add_to(rules: &mut Vec<Arc<dyn OptimizerRule + Send + Sync>>) {
        let at = rules.iter().position(|rule| rule.name() == "replace_distinct_aggregate");
        rules.insert(at.map_or(0, |at| at + 1), Arc::new(Self));
    }
}

impl OptimizerRule for MapKeys {
    fn name(&self) -> &str {
        "map_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        let schema = aggregate.input.schema();
        let wanted = |expr: &Expr| !is_sorted(expr) && expr.get_type(schema).is_ok_and(|t| holds_map(&t));
        if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
            return match sorted_input(aggregate, sets, &wanted)? {
                Some(made) => Ok(Transformed::yes(made)),
                None => Ok(Transformed::no(plan)),
            };
        }
        let mut changed = false;
        let mut group_expr = Vec::with_capacity(aggregate.group_expr.len());
        for expr in &aggregate.group_expr {
            group_expr.push(match wanted(expr) {
                true => {
                    changed = true;
                    sorted(expr, schema)?
                }
                false => expr.clone(),
            });
        }
        let mut aggr_expr = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            aggr_expr.push(match distinct(expr, schema, &wanted)? {
                Some(made) => {
                    changed = true;
                    made
                }
                None => expr.clone(),
            });
        }
        if !changed {
            return Ok(Transformed::no(plan));
        }
        let made = Aggregate::try_new(Arc::clone(&aggregate.input), group_expr, aggr_expr)?;
        Ok(Transformed::yes(LogicalPlan::Aggregate(made)))
    }
}

fn is_sorted(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_sorted(&alias.expr),
        Expr::Cast(cast) => is_sorted(&cast.expr),
        Expr::ScalarFunction(call) => call.func.name() == SORTED,
        _ => false,
    }
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| holds_map(field.data_type())),
        other => types::item_of(other).is_some_and(holds_map),
    }
}

/// The value with its maps in order, under the name that it had.
fn sorted(expr: &Expr, schema: &DFSchema) -> Result<Expr> {
    let (table, name) = expr.qualified_name();
    let given = expr.get_type(schema)?;
    let made = call(SORTED, vec![expr.clone().unalias()])?;
    let made = match types::plain(&given) == given {
        true => made,
        false => Expr::Cast(Cast::new(Box::new(made), given)),
    };
    Ok(made.alias_qualified(table, name))
}

/// A distinct aggregate of maps, over maps in order.
fn distinct(expr: &Expr, schema: &DFSchema, wanted: &impl Fn(&Expr) -> bool) -> Result<Option<Expr>> {
    let Expr::AggregateFunction(function) = expr.clone().unalias() else { return Ok(None) };
    if !function.params.distinct || !function.params.args.iter().any(wanted) {
        return Ok(None);
    }
    let (table, name) = expr.qualified_name();
    let mut made = function;
    for argument in &mut made.params.args {
        if wanted(argument) {
            *argument = sorted(argument, schema)?.unalias();
        }
    }
    Ok(Some(Expr::AggregateFunction(made).alias_qualified(table, name)))
}

/// Sets of columns: the columns are put in order below them.
fn sorted_input(
    aggregate: &Aggregate,
    sets: &GroupingSet,
    wanted: &impl Fn(&Expr) -> bool,
) -> Result<Option<LogicalPlan>> {
    let schema = aggregate.input.schema();
    let mut keys = sets.distinct_expr();
    keys.retain(|key| matches!(key, Expr::Column(_)) && wanted(key));
    // Put in order already.
    if let LogicalPlan::Projection(below) = aggregate.input.as_ref() {
        keys.retain(|key| match key {
            Expr::Column(column) => {
                schema.index_of_column(column).is_ok_and(|at| !is_sorted(&below.expr[at]))
            }
            _ => false,
        });
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let columns = schema.columns().into_iter().map(Expr::Column);
    let columns = columns
        .map(|column| if keys.contains(&&column) { sorted(&column, schema) } else { Ok(column) })
        .collect::<Result<Vec<_>>>()?;
    let input = LogicalPlanBuilder::from(aggregate.input.as_ref().clone()).project(columns)?.build()?;
    let made =
        Aggregate::try_new(Arc::new(input), aggregate.group_expr.clone(), aggregate.aggr_expr.clone())?;
    Ok(Some(LogicalPlan::Aggregate(made)))
}
