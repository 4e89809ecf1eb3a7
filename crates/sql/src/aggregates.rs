//! Spark's aggregate functions: other names for DataFusion's, and those that DataFusion lacks.

use datafusion::sql::sqlparser::ast::*;

/// DataFusion's name for an aggregate or window function of Spark's with the same meaning.
fn other_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "any" | "some" => "bool_or",
        "every" => "bool_and",
        "mean" => "avg",
        "std" | "stddev_samp" => "stddev",
        "variance" => "var_samp",
        "approx_count_distinct" => "approx_distinct",
        "first" => "first_value",
        "last" => "last_value",
        "char_length" => "character_length",
        _ => return None,
    })
}

/// Whether an aggregate function has this name.
pub(crate) fn is_known(name: &str) -> bool {
    other_name(name).is_some() || matches!(name, "sum" | "avg" | "min" | "max" | "count" | "stddev" | "corr")
}

/// Gives a call the name and the shape under which the registry knows the function.
pub(crate) fn rename(function: &mut Function, name: &str) {
    if let Some(other) = other_name(name) {
        function.name = ObjectName::from(vec![Ident::new(other)]);
    }
    // first(x, true) is first(x) IGNORE NULLS.
    if matches!(name, "first" | "last" | "first_value" | "last_value" | "any_value")
        && let FunctionArguments::List(list) = &mut function.args
        && list.args.len() == 2
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(flag)))) = list.args.get(1)
        && let Value::Boolean(ignore) = flag.value
    {
        list.args.truncate(1);
        if ignore {
            function.null_treatment = Some(NullTreatment::IgnoreNulls);
        }
    }
    // WITHIN GROUP (ORDER BY x): x is the argument of what looks at an order, and the order of what joins.
    if !function.within_group.is_empty() && function.over.is_none() {
        let order = std::mem::take(&mut function.within_group);
        if let FunctionArguments::List(list) = &mut function.args {
            match name {
                "listagg" | "string_agg" | "array_agg" | "collect_list" => {
                    list.clauses.push(FunctionArgumentClause::OrderBy(order));
                }
                "mode" | "percentile_cont" | "percentile_disc" => {
                    let descending = order.first().is_some_and(|o| o.options.asc == Some(false));
                    if let Some(OrderByExpr { expr, .. }) = order.into_iter().next() {
                        list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)));
                    }
                    // From the other end.
                    if descending
                        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(fraction))) =
                            list.args.get_mut(1)
                    {
                        let taken = std::mem::replace(fraction, Expr::value(Value::Null));
                        *fraction = Expr::BinaryOp {
                            left: Box::new(crate::rewrite::number(1)),
                            op: BinaryOperator::Minus,
                            right: Box::new(taken),
                        };
                    }
                }
                _ => function.within_group = order,
            }
        }
    }
    // Spark allows an argument that a rank does not look at.
    if matches!(name, "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "row_number")
        && function.over.is_some()
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args.clear();
    }
    if name == "any_value" {
        function.name = ObjectName::from(vec![Ident::new("first_value")]);
    }
}
