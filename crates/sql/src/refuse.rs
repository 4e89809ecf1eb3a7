//! Clauses that DataFusion's planner would pass over in silence.
//!
//! The parser understands more than the planner looks at. Each clause that has no effect there is refused
//! here, by name, before planning. The list follows datafusion-sql 55.2 (`select.rs`, `query.rs`,
//! `relation/mod.rs`): the fields of the syntax tree that these never read.

use crate::outside;
use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{
    ColumnDef, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, GroupByWithModifier,
    LimitClause, PipeOperator, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier,
    Statement as SqlStatement, TableFactor, TableVersion, UnaryOperator, Value, Visit, Visitor,
};
use std::ops::ControlFlow;
use trefoil_core::{Error, ErrorKind, Result};

/// Refuses a statement with a clause that would have no effect, or, in Spark's dialect, with a function that
/// is left out.
pub(crate) fn check(statement: &Statement, spark: bool) -> Result<()> {
    let mut ignored = Ignored { spark };
    let refused = match statement {
        Statement::Statement(statement) if spark && has_lengths_beside_rows(statement) => {
            Some(("CHAR or VARCHAR beside AS query".into(), "create the table, and insert the rows"))
        }
        Statement::Statement(statement) => statement.visit(&mut ignored).break_value(),
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => query.visit(&mut ignored).break_value(),
            CopyToSource::Relation(_) => None,
        },
        Statement::Explain(explain) => return check(&explain.statement, spark),
        _ => None,
    };
    match refused {
        Some((clause, help)) => {
            let error = Error::new(ErrorKind::Unsupported, "sql", format!("{clause} is not supported"));
            Err(if help.is_empty() { error } else { error.with_help(help) })
        }
        None => Ok(()),
    }
}

/// `CREATE TABLE t (a CHAR(2)) AS SELECT ..`: the rows would be cast and not checked.
fn has_lengths_beside_rows(statement: &SqlStatement) -> bool {
    let SqlStatement::CreateTable(table) = statement else { return false };
    let sized = |column: &ColumnDef| crate::lengths::declared(&column.data_type).is_ok_and(|l| l.is_some());
    table.query.is_some() && table.columns.iter().any(sized)
}

/// A clause and what to write instead.
type Refused = (String, &'static str);

struct Ignored {
    spark: bool,
}

impl Visitor for Ignored {
    type Break = Refused;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Refused> {
        if let Expr::Function(function) = expr
            && self.spark
            && let name = function.name.to_string()
            && let Some(family) = outside::family(&name)
        {
            return ControlFlow::Break((
                format!("the function `{name}` ({family})"),
                "docs/reference/sql-functions.md lists what is left out",
            ));
        }
        if let Expr::Function(function) = expr
            && self.spark
            && function.name.to_string().eq_ignore_ascii_case("count")
            && let FunctionArguments::List(list) = &function.args
        {
            let star = |argument: &FunctionArg| {
                matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)))
            };
            if list.args.is_empty() {
                let refused = "[WRONG_NUM_ARGS.WITH_SUGGESTION] count()";
                return ControlFlow::Break((refused.into(), "write count(*)"));
            }
            if list.args.iter().any(star) {
                let help = "it counts the rows without a null: write count(a, b), or count(*) for all rows";
                return ControlFlow::Break(("count(t.*)".into(), help));
            }
        }
        if let Expr::Case { operand: None, conditions, .. } = expr
            && self.spark
            && conditions
                .iter()
                .any(|when| matches!(&when.condition, Expr::Value(v) if v.value == Value::Null))
        {
            let refused = "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] CASE WHEN NULL, which is no BOOLEAN,";
            return ControlFlow::Break((refused.into(), "write CAST(NULL AS BOOLEAN)"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refused> {
        let limit_by = matches!(
            &query.limit_clause,
            Some(LimitClause::LimitOffset { limit_by, .. }) if !limit_by.is_empty()
        );
        if self.spark && uncounted(&query.body) {
            return ControlFlow::Break((
                "EXCEPT ALL / INTERSECT ALL of columns that are not named".into(),
                "name the columns instead of `*`",
            ));
        }
        let by_position = |operator: &PipeOperator| {
            match operator {
            PipeOperator::Aggregate { group_by_expr, .. } => group_by_expr.iter().any(|key| {
                matches!(&key.expr.expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
            }),
            _ => false,
        }
        };
        if self.spark && query.pipe_operators.iter().any(by_position) {
            return ControlFlow::Break((
                "a position in GROUP BY of |> AGGREGATE".into(),
                "write the name of the column",
            ));
        }
        let limit = match &query.limit_clause {
            Some(
                LimitClause::LimitOffset { limit: Some(limit), .. }
                | LimitClause::OffsetCommaLimit { limit, .. },
            ) => Some(limit),
            _ => None,
        };
        if self.spark && matches!(limit, Some(Expr::UnaryOp { op: UnaryOperator::Minus, .. })) {
            let refused = "[INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE] a LIMIT below 0";
            return ControlFlow::Break((refused.into(), "leave it out for all rows"));
        }
        first([
            (!query.locks.is_empty(), "FOR UPDATE / FOR SHARE", "tables are immutable; leave it out"),
            (query.for_clause.is_some(), "FOR XML / FOR JSON", ""),
            (query.settings.is_some(), "SETTINGS", "use SET before the query"),
            (query.format_clause.is_some(), "FORMAT", ""),
            (limit_by, "LIMIT .. BY", "number the rows of each group with row_number() and filter"),
        ])
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Refused> {
        let modified = match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => !modifiers.is_empty(),
        };
        if self.spark && !crate::clauses::has_sets(select) && groups(select) {
            return ControlFlow::Break((
                "[UNSUPPORTED_GROUPING_EXPRESSION] grouping() without GROUPING SETS, CUBE or ROLLUP".into(),
                "",
            ));
        }
        first([
            (
                modified && !(self.spark && rolled(&select.group_by)),
                "this modifier of GROUP BY",
                "write GROUP BY ROLLUP(..) or GROUP BY CUBE(..)",
            ),
            (
                !select.optimizer_hints.is_empty() && !self.spark,
                "an optimizer hint",
                "leave it out; the planner chooses the join by size",
            ),
            (
                !(self.spark
                    || select.sort_by.is_empty()
                        && select.cluster_by.is_empty()
                        && select.distribute_by.is_empty()),
                "SORT BY / CLUSTER BY / DISTRIBUTE BY",
                "write ORDER BY",
            ),
            (select.select_modifiers.is_some(), "a modifier of SELECT", ""),
            (select.exclude.is_some(), "EXCLUDE after the select list", "write SELECT * EXCEPT (..)"),
            (select.prewhere.is_some(), "PREWHERE", "write WHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY", "write a recursive WITH"),
            (select.value_table_mode.is_some(), "SELECT AS VALUE / AS STRUCT", "write struct(..)"),
        ])
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Refused> {
        const SAMPLE: &str = "filter with WHERE random() < 0.01, or use train_test_split of the frames";
        match factor {
            TableFactor::Table {
                version,
                sample,
                with_hints,
                partitions,
                json_path,
                with_ordinality,
                index_hints,
                ..
            } => {
                if let Some(version) = version {
                    let clause = match version {
                        TableVersion::VersionAsOf(_) => "VERSION AS OF",
                        TableVersion::TimestampAsOf(_) => "TIMESTAMP AS OF",
                        TableVersion::ForSystemTimeAsOf(_) => "FOR SYSTEM_TIME AS OF",
                        _ => "a table version",
                    };
                    return ControlFlow::Break((clause.into(), "only Delta tables have versions"));
                }
                first([
                    (sample.is_some() && !self.spark, "TABLESAMPLE", SAMPLE),
                    (!with_hints.is_empty(), "WITH (hints) after a table", ""),
                    (!partitions.is_empty(), "PARTITION (..) after a table", "filter with WHERE"),
                    (json_path.is_some(), "a JSON path after a table", ""),
                    (*with_ordinality, "WITH ORDINALITY", "number the rows with row_number()"),
                    (!index_hints.is_empty(), "an index hint", "leave it out; there are no indexes"),
                ])
            }
            TableFactor::Derived { sample, .. } => {
                first([(sample.is_some() && !self.spark, "TABLESAMPLE", SAMPLE)])
            }
            TableFactor::Function { with_ordinality, .. } => {
                first([(*with_ordinality, "WITH ORDINALITY", "number the rows with row_number()")])
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Whether a statement has an `EXCEPT ALL` or `INTERSECT ALL` of columns that its text does not name.
pub(crate) fn counts_unnamed(statement: &SqlStatement) -> bool {
    struct Unnamed;
    impl Visitor for Unnamed {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if uncounted(&query.body) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Unnamed).is_break()
}

/// `EXCEPT ALL` and `INTERSECT ALL` number their rows by columns that must be known.
fn uncounted(body: &SetExpr) -> bool {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return false };
    let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
    let numbered = all && !matches!(op, SetOperator::Union);
    numbered && crate::clauses::columns(left).is_none() || uncounted(left) || uncounted(right)
}

fn rolled(group_by: &GroupByExpr) -> bool {
    matches!(
        group_by,
        GroupByExpr::Expressions(_, modifiers)
            if matches!(
                modifiers.as_slice(),
                [
                    GroupByWithModifier::Rollup
                        | GroupByWithModifier::Cube
                        | GroupByWithModifier::GroupingSets(Expr::GroupingSets(_))
                ]
            )
    )
}

/// Whether the select list or HAVING asks for a grouping.
fn groups(select: &Select) -> bool {
    struct Calls;
    impl Visitor for Calls {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function)
                    if matches!(
                        function.name.to_string().to_lowercase().as_str(),
                        "grouping" | "grouping_id"
                    ) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let expr = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            !matches!(expr, Expr::Subquery(_)) && expr.visit(&mut Calls).is_break()
        }
        _ => false,
    };
    select.projection.iter().any(expr)
        || select.having.as_ref().is_some_and(|h| h.visit(&mut Calls).is_break())
}

fn first<const N: usize>(clauses: [(bool, &'static str, &'static str); N]) -> ControlFlow<Refused> {
    match clauses.into_iter().find(|(there, ..)| *there) {
        Some((_, clause, help)) => ControlFlow::Break((clause.into(), help)),
        None => ControlFlow::Continue(()),
    }
}
