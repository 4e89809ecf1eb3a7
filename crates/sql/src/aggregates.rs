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
    if name == "any_value" {
        function.name = ObjectName::from(vec![Ident::new("first_value")]);
    }
}
