//! Spark's aggregate functions: other names for DataFusion's, and those that DataFusion lacks.

use datafusion::sql::sqlparser::ast::*;
use trefoil_plan::Session;

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

/// Whether an aggregate function of the session has this name: one of the dialect or one registered by its user.
pub(crate) fn is_one(session: &Session, name: &str) -> bool {
    let registered = other_name(name).unwrap_or(name);
    let state = session.context().state_ref();
    state.read().aggregate_functions().keys().any(|known| known.eq_ignore_ascii_case(registered))
}

/// Gives a call the name and the shape under which the registry knows the function.
pub(crate) fn rename(function: &mut Function, name: &str) {
    if let Some(other) = other_name(name) {
        function.name = ObjectName::from(vec![Ident::new(other)]);
    }
    if matches!(
        name,
        "sum"
            | "avg"
            | "mean"
            | "std"
            | "stddev"
            | "stddev_samp"
            | "stddev_pop"
            | "variance"
            | "var_samp"
            | "var_pop"
    ) && let FunctionArguments::List(list) = &mut function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_mut_slice()
    {
        let given = std::mem::replace(argument, Expr::value(Value::Null));
        *argument = crate::rewrite::mark("numeric", vec![given]);
    }
    // count(DISTINCT a, b) counts rows without a null.
    if name == "count"
        && let FunctionArguments::List(list) = &mut function.args
        && matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct))
        && list.args.len() > 1
    {
        let parts: Option<Vec<Expr>> = list
            .args
            .iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })
            .collect();
        if let Some(parts) = parts {
            let there = parts.iter().map(|part| Expr::IsNotNull(Box::new(part.clone())));
            let there = there.reduce(|left, right| Expr::BinaryOp {
                left: Box::new(left),
                op: BinaryOperator::And,
                right: Box::new(right),
            });
            let row = Expr::Case {
                case_token: helpers::attached_token::AttachedToken::empty(),
                end_token: helpers::attached_token::AttachedToken::empty(),
                operand: None,
                conditions: there
                    .map(|condition| CaseWhen { condition, result: crate::rewrite::mark("struct", parts) })
                    .into_iter()
                    .collect(),
                else_result: None,
            };
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(row))];
        }
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
                    // Of several modes the first in the order; of values the first from the other end.
                    let other = match (name, descending) {
                        ("mode", true) => Some("#mode_descending"),
                        ("mode", false) => Some("#mode_ascending"),
                        ("percentile_disc", true) => Some("#percentile_disc_descending"),
                        _ => None,
                    };
                    if let Some(other) = other {
                        function.name = ObjectName::from(vec![Ident::with_quote('`', other)]);
                    }
                    if let Some(OrderByExpr { expr, .. }) = order.into_iter().next() {
                        list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)));
                    }
                    // From the other end.
                    if descending
                        && name == "percentile_cont"
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
