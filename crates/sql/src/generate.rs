//! Relations that Spark has and DataFusion's planner lacks: generators (`explode`, `LATERAL VIEW`), `PIVOT`,
//! `UNPIVOT`, `TABLESAMPLE`.
//!
//! In the tree, `FROM t LATERAL VIEW explode(x) v AS c` and `SELECT explode(x) AS c FROM t` both become a
//! relation that holds `t` and the call: a `PIVOT` whose column is the mark `#generate`. [`SparkRelations`]
//! plans it: a function makes a list of structs of each row, which is then unnested; the columns of `t` keep
//! their qualifiers.

use crate::functions::call;
use crate::{condition, functions, names};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, TableReference, UnnestOptions};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit, when,
};
use datafusion::sql::sqlparser::ast::{self, *};
use std::ops::ControlFlow;

const GENERATE: &str = "#generate";
const ONE_ROW: &str = "#one";
const COLUMN: &str = "#gen";

/// Whether a function makes rows.
pub(crate) fn is_generator(name: &str) -> bool {
    let name = name.to_lowercase();
    let base = name.strip_suffix("_outer").unwrap_or(&name);
    matches!(base, "explode" | "posexplode" | "inline" | "stack" | "json_tuple" | "variant_explode")
}

/// Moves generators of select lists and lateral views into FROM.
pub(crate) struct Generators;

impl VisitorMut for Generators {
    type Break = ();

    /// `FROM IDENTIFIER('name')` is `FROM name`.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args, .. } = factor
            && name.to_string().eq_ignore_ascii_case("identifier")
            && let Some([FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Value(value)))]) =
                args.as_ref().map(|args| args.args.as_slice())
            && let Value::SingleQuotedString(text) = &value.value
        {
            let parts: Vec<Ident> = text.split('.').map(|part| Ident::new(part.trim_matches('`'))).collect();
            *name = ObjectName::from(parts);
            *args = None;
        }
        read(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for view in std::mem::take(&mut select.lateral_views) {
            let columns = view.lateral_col_alias;
            wrap(select, view.lateral_view, &view.lateral_view_name.to_string(), columns, view.outer);
        }
        let mut count = 0;
        for index in 0..select.projection.len() {
            let (call, columns) = match &select.projection[index] {
                SelectItem::UnnamedExpr(expr) if names::is_generator(expr) => (expr.clone(), Vec::new()),
                SelectItem::ExprWithAlias { expr, alias } if names::is_generator(expr) => {
                    (expr.clone(), vec![alias.clone()])
                }
                SelectItem::ExprWithAliases { expr, aliases } if names::is_generator(expr) => {
                    (expr.clone(), aliases.clone())
                }
                _ => continue,
            };
            let table = format!("{COLUMN}{count}");
            count += 1;
            wrap(select, call, &table, columns, false);
            select.projection[index] = SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![quoted(&table)])),
                WildcardAdditionalOptions::default(),
            );
        }
        ControlFlow::Continue(())
    }
}

/// `read_csv('path', header => false)` is ``csv.`path` `` with the options after the path.
fn read(factor: &mut TableFactor) {
    let TableFactor::Table { name, args: Some(given), .. } = factor else { return };
    let function = name.to_string().to_lowercase();
    let format = match function.strip_prefix("read_") {
        Some(format @ ("parquet" | "csv" | "json" | "arrow" | "avro" | "delta")) => format.to_owned(),
        _ => return,
    };
    let text = |expr: &ast::Expr| match expr {
        ast::Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text.clone()),
            Value::Number(..) | Value::Boolean(_) => Some(value.value.to_string()),
            _ => None,
        },
        _ => None,
    };
    let mut path = None;
    let mut options = String::new();
    for argument in &given.args {
        let (key, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            })) => (Some(left.to_string()), text(right)),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (None, text(expr)),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                (Some(name.value.clone()), text(expr))
            }
            FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                (Some(name.to_string()), text(expr))
            }
            _ => return,
        };
        match (key, value) {
            (None, Some(value)) if path.is_none() => path = Some(value),
            (Some(key), Some(value)) => {
                options.push(trefoil_plan::PATH_OPTION);
                options.push_str(&format!("{key}={value}"));
            }
            // What is no path and no option is left to the registry, which says so.
            _ => return,
        }
    }
    if let Some(path) = path {
        *name = ObjectName::from(vec![Ident::new(format), quoted(&format!("{path}{options}"))]);
        factor_arguments(factor);
    }
}

fn factor_arguments(factor: &mut TableFactor) {
    if let TableFactor::Table { args, alias, name, .. } = factor {
        *args = None;
        // Columns are of `read_csv`, not of a path with options.
        if let (None, Some(format)) = (&alias, name.0.first()) {
            let name = quoted(&format!("read_{format}"));
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('`', name)
}

fn table(name: &str) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(vec![quoted(name)]),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

fn alone(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: Vec::new() }
}

/// Puts a generator around everything that FROM holds.
fn wrap(select: &mut Select, call: ast::Expr, name: &str, columns: Vec<Ident>, outer: bool) {
    let mut from = std::mem::take(&mut select.from).into_iter();
    let input = match from.next() {
        None => table(ONE_ROW),
        Some(mut first) => {
            for other in from {
                let relation = if other.joins.is_empty() { other.relation } else { nested(other) };
                first.joins.push(Join {
                    relation,
                    global: false,
                    join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
                });
            }
            if first.joins.is_empty() { first.relation } else { nested(first) }
        }
    };
    let call = match call {
        ast::Expr::Function(mut function) if outer && !function.name.to_string().ends_with("_outer") => {
            let name = format!("{}_outer", function.name.to_string().to_lowercase());
            function.name = ObjectName::from(vec![Ident::new(name)]);
            ast::Expr::Function(function)
        }
        other => other,
    };
    let columns = columns.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect();
    let alias = TableAlias { explicit: true, name: quoted(name.trim_matches('`')), columns, at: None };
    let generate = TableFactor::Pivot {
        table: Box::new(input),
        aggregate_functions: vec![ExprWithAlias { expr: call, alias: None }],
        value_column: vec![ast::Expr::Identifier(quoted(GENERATE))],
        value_source: PivotValueSource::List(Vec::new()),
        default_on_null: None,
        alias: Some(alias),
    };
    select.from = vec![alone(generate)];
}

fn nested(table: TableWithJoins) -> TableFactor {
    TableFactor::NestedJoin { table_with_joins: Box::new(table), alias: None }
}

/// Plans the relations above.
#[derive(Debug)]
pub(crate) struct SparkRelations;

impl RelationPlanner for SparkRelations {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let Some(planned) = crate::zone::relation(&mut relation, context)? {
            return Ok(planned);
        }
        let planned = |plan: LogicalPlan, alias: Option<TableAlias>| {
            Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
        };
        match relation {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                crate::sample::sample(relation, context)
            }
            TableFactor::Table { ref name, .. } if name.to_string().trim_matches('`') == ONE_ROW => {
                planned(LogicalPlanBuilder::empty(true).build()?, None)
            }
            TableFactor::Table { ref name, args: Some(ref args), ref alias, .. }
                if is_generator(&name.to_string()) =>
            {
                planned(call_of(name, &args.args, alias, context)?, None)
            }
            // `LATERAL explode(x)`: the columns of the tables before it are outside of it.
            TableFactor::Function { lateral: true, ref name, ref args, ref alias, .. }
                if is_generator(&name.to_string()) =>
            {
                planned(call_of(name, args, alias, context)?, None)
            }
            TableFactor::Table { ref name, args: Some(ref args), ref alias, .. }
                if name.to_string().eq_ignore_ascii_case("range") && args.args.len() < 5 =>
            {
                let arguments = args.args.iter().map(argument).collect::<Result<Vec<_>>>()?;
                planned(range(arguments, context)?, alias.clone())
            }
            TableFactor::Pivot {
                table,
                aggregate_functions,
                value_column,
                value_source,
                default_on_null,
                alias,
            } => {
                let input = context.plan(*table)?;
                let marked = matches!(
                    value_column.as_slice(),
                    [ast::Expr::Identifier(ident)] if ident.value == GENERATE
                );
                if marked {
                    let Some(ast::Expr::Function(function)) =
                        aggregate_functions.into_iter().next().map(|e| e.expr)
                    else {
                        return Err(condition::unsupported("a generator that is no function."));
                    };
                    let FunctionArguments::List(list) = &function.args else {
                        return Err(condition::argument_count(&function.name.to_string(), "at least 1", 0));
                    };
                    let arguments = list.args.iter().map(argument).collect::<Result<Vec<_>>>()?;
                    let name = function.name.to_string().trim_matches('`').to_lowercase();
                    let (table, columns) = match &alias {
                        Some(alias) => {
                            let columns = alias.columns.iter().map(|c| c.name.value.clone()).collect();
                            (alias.name.value.clone(), columns)
                        }
                        None => (name.clone(), Vec::new()),
                    };
                    return planned(generate(input, &name, arguments, &table, columns, context)?, None);
                }
                let PivotValueSource::List(values) = value_source else {
                    return Err(condition::unsupported("PIVOT without a list of values."));
                };
                if default_on_null.is_some() {
                    return Err(condition::unsupported("DEFAULT ON NULL of PIVOT."));
                }
                planned(pivot(input, aggregate_functions, value_column, values, context)?, alias)
            }
            TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } => {
                let input = context.plan(*table)?;
                let keep = matches!(null_inclusion, Some(NullInclusion::IncludeNulls));
                planned(unpivot(input, &value, &name, columns, keep, context)?, alias)
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

fn argument(argument: &FunctionArg) -> Result<ast::Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
        | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } => Ok(expr.clone()),
        other => Err(condition::unsupported(format!("the argument `{other}` of a generator."))),
    }
}

/// A generator that stands alone in FROM.
fn call_of(
    name: &ObjectName,
    arguments: &[FunctionArg],
    alias: &Option<TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let arguments = arguments.iter().map(argument).collect::<Result<Vec<_>>>()?;
    let input = LogicalPlanBuilder::empty(true).build()?;
    let function = name.to_string().to_lowercase();
    let columns = alias.iter().flat_map(|a| &a.columns).map(|c| c.name.value.clone()).collect();
    let table = alias.as_ref().map_or_else(|| function.clone(), |a| a.name.value.clone());
    generate(input, &function, arguments, &table, columns, context)
}

fn all_columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

fn generate(
    input: LogicalPlan,
    function: &str,
    arguments: Vec<ast::Expr>,
    table: &str,
    columns: Vec<String>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = std::sync::Arc::clone(input.schema());
    let arguments =
        arguments.into_iter().map(|a| context.sql_to_expr(a, &schema)).collect::<Result<Vec<_>>>()?;
    let rows = call(&format!("#{function}"), arguments)?;
    let fields = match crate::value::types::item_of(&rows.get_type(schema.as_ref())?) {
        Some(DataType::Struct(fields)) => fields.clone(),
        _ => return Err(condition::unsupported(format!("`{function}` here."))),
    };
    if !columns.is_empty() && columns.len() != fields.len() {
        return Err(condition::error(
            trefoil_core::ErrorKind::InvalidArgument,
            "UDTF_ALIAS_NUMBER_MISMATCH",
            "42802",
            format!("`{function}` makes {} columns, {} names were given.", fields.len(), columns.len()),
        ));
    }
    let kept = all_columns(&input);
    let mut with = kept.clone();
    with.push(rows.alias(COLUMN));
    let unnested = LogicalPlanBuilder::from(input).project(with)?.unnest_column_with_options(
        Column::from_name(COLUMN),
        UnnestOptions::new().with_preserve_nulls(false),
    )?;
    let mut out = kept;
    for (index, field) in fields.iter().enumerate() {
        let name = columns.get(index).unwrap_or(field.name()).clone();
        let value = datafusion::functions::core::expr_fn::get_field(
            Expr::Column(Column::from_name(COLUMN)),
            field.name().clone(),
        );
        out.push(value.alias_qualified(Some(TableReference::bare(table)), name));
    }
    unnested.project(out)?.build()
}

/// `range(end)`, `range(start, end[, step[, partitions]])`: a column `id`.
fn range(arguments: Vec<ast::Expr>, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let empty = LogicalPlanBuilder::empty(true).build()?;
    let mut numbers = Vec::new();
    for argument in arguments.into_iter().take(3) {
        match context.sql_to_expr(argument, empty.schema())? {
            Expr::Literal(scalar, _) => match functions::row::literal(&scalar) {
                Some(value @ crate::value::Value::Int(_)) => numbers.push(lit(value.int())),
                _ => return Err(condition::parameter("range", "the limits must be whole numbers")),
            },
            _ => return Err(condition::parameter("range", "the limits must be constants")),
        }
    }
    let source = context.context_provider().get_table_function_source("range", numbers)?;
    let scan = LogicalPlanBuilder::scan(TableReference::bare("range"), source, None)?;
    let column = scan.schema().columns().into_iter().next().map(Expr::Column);
    let columns = column.map(|c| c.alias("id")).into_iter().collect::<Vec<_>>();
    scan.project(columns)?.build()
}

/// One row for each group of the columns that are not named, one column for each value and aggregate.
fn pivot(
    input: LogicalPlan,
    aggregates: Vec<ExprWithAlias>,
    keys: Vec<ast::Expr>,
    values: Vec<ExprWithAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = std::sync::Arc::clone(input.schema());
    let keys = keys.into_iter().map(|k| context.sql_to_expr(k, &schema)).collect::<Result<Vec<_>>>()?;
    let several = aggregates.len() > 1;
    let mut made = Vec::new();
    let mut used: std::collections::HashSet<Column> =
        keys.iter().flat_map(|k| k.column_refs().into_iter().cloned().collect::<Vec<_>>()).collect();
    let mut planned = Vec::new();
    for aggregate in aggregates {
        let name = aggregate.alias.as_ref().map(|a| a.value.clone());
        let expr = context.sql_to_expr(aggregate.expr, &schema)?;
        used.extend(expr.column_refs().into_iter().cloned());
        planned.push((name.unwrap_or_default(), expr.unalias()));
    }
    for value in values {
        let name = value.alias.as_ref().map(|a| a.value.clone());
        let parts = match value.expr {
            ast::Expr::Tuple(parts) => parts,
            one => vec![one],
        };
        let name = name.unwrap_or_default();
        if parts.len() != keys.len() {
            return Err(condition::error(
                trefoil_core::ErrorKind::InvalidArgument,
                "PIVOT_VALUE_DATA_TYPE_MISMATCH",
                "42K09",
                format!("PIVOT is for {} columns, `{name}` has {} values.", keys.len(), parts.len()),
            ));
        }
        let mut matches: Option<Expr> = None;
        for (key, part) in keys.iter().zip(parts) {
            let part = context.sql_to_expr(part, &schema)?;
            let equal = key.clone().eq(part);
            matches = Some(match matches {
                Some(all) => all.and(equal),
                None => equal,
            });
        }
        for (label, aggregate) in &planned {
            let Expr::AggregateFunction(function) = aggregate else {
                return Err(condition::unsupported(format!(
                    "`{label}` in PIVOT, which is no aggregate function."
                )));
            };
            let mut function = function.clone();
            let filter = match (function.params.filter.take(), matches.clone()) {
                (Some(own), Some(all)) => Some(all.and(*own)),
                (_, all) => all,
            };
            function.params.filter = filter.map(Box::new);
            let column = if several { format!("{name}_{label}") } else { name.clone() };
            // A group without rows of this value has no count, not a count of none.
            let counts =
                ["count", "count_if", "approx_distinct", "regr_count", "collect_list", "collect_set"];
            let rows = counts.contains(&function.func.name()).then(|| {
                datafusion::functions_aggregate::expr_fn::count(lit(1_i64))
                    .filter(matches.clone().unwrap_or_else(|| lit(true)))
                    .build()
            });
            made.push((Expr::AggregateFunction(function), rows.transpose()?, column));
        }
    }
    let groups: Vec<Expr> =
        schema.columns().into_iter().filter(|column| !used.contains(column)).map(Expr::Column).collect();
    // Each expression once: two columns may need the same count of rows.
    let mut computed: Vec<Expr> = Vec::new();
    let mut place = |expr: &Expr| {
        computed.iter().position(|have| have == expr).unwrap_or_else(|| {
            computed.push(expr.clone());
            computed.len() - 1
        })
    };
    let places: Vec<(usize, Option<usize>, String)> = made
        .iter()
        .map(|(expr, rows, name)| (place(expr), rows.as_ref().map(&mut place), name.clone()))
        .collect();
    let aggregated = LogicalPlanBuilder::from(input).aggregate(groups.clone(), computed)?;
    let mut out = groups;
    let columns = aggregated.schema().columns().split_off(out.len());
    for (value, rows, name) in places {
        let value = Expr::Column(columns[value].clone());
        let value = match rows {
            Some(rows) => when(Expr::Column(columns[rows].clone()).gt(lit(0_i64)), value).end()?,
            None => value,
        };
        out.push(value.alias(name));
    }
    aggregated.project(out)?.build()
}

/// One row for each of the named columns, or groups of them: its name and its values.
fn unpivot(
    input: LogicalPlan,
    value: &ast::Expr,
    name: &Ident,
    columns: Vec<ExprWithAlias>,
    keep_nulls: bool,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = std::sync::Arc::clone(input.schema());
    let parts = |expr: &ast::Expr| match expr {
        ast::Expr::Tuple(parts) => parts.clone(),
        ast::Expr::Nested(one) => vec![one.as_ref().clone()],
        one => vec![one.clone()],
    };
    let plain = |expr: &ast::Expr| match expr {
        ast::Expr::Identifier(ident) => ident.value.clone(),
        other => other.to_string(),
    };
    let values: Vec<String> = parts(value).iter().map(plain).collect();
    let mut rows = Vec::new();
    let mut used = Vec::new();
    for column in columns {
        let parts = parts(&column.expr);
        let label = match &column.alias {
            Some(alias) => alias.value.clone(),
            None => parts.iter().map(plain).collect::<Vec<_>>().join("_"),
        };
        if parts.len() != values.len() {
            return Err(condition::error(
                trefoil_core::ErrorKind::InvalidArgument,
                "UNPIVOT_VALUE_SIZE_MISMATCH",
                "428C4",
                format!("UNPIVOT makes {} columns, `{label}` has {}.", values.len(), parts.len()),
            ));
        }
        let mut row = vec![lit("name"), lit(label)];
        for (at, part) in parts.into_iter().enumerate() {
            let expr = context.sql_to_expr(part, &schema)?;
            used.extend(expr.column_refs().into_iter().cloned());
            row.extend([lit(format!("value{at}")), expr]);
        }
        rows.push(call("named_struct", row)?);
    }
    let kept: Vec<Expr> =
        schema.columns().into_iter().filter(|column| !used.contains(column)).map(Expr::Column).collect();
    let mut with = kept.clone();
    with.push(call("array", rows)?.alias(COLUMN));
    let field = |field: &str| {
        datafusion::functions::core::expr_fn::get_field(
            Expr::Column(Column::from_name(COLUMN)),
            field.to_owned(),
        )
    };
    let mut out = kept;
    out.push(field("name").alias(name.value.clone()));
    let places = values.iter().enumerate().map(|(at, name)| (format!("value{at}"), name));
    out.extend(places.clone().map(|(place, name)| field(&place).alias(name.clone())));
    let there = places.map(|(place, _)| field(&place).is_not_null()).reduce(Expr::or);
    let unnested = LogicalPlanBuilder::from(input).project(with)?.unnest_column_with_options(
        Column::from_name(COLUMN),
        UnnestOptions::new().with_preserve_nulls(false),
    )?;
    let unnested = match there {
        Some(there) if !keep_nulls => unnested.filter(there)?,
        _ => unnested,
    };
    unnested.project(out)?.build()
}
