//! Grouping sets: positions within them, and what they give of no rows.

use crate::clauses::function;
use datafusion::sql::sqlparser::ast::*;

/// The lists of a grouping set, a cube or a rollup.
fn sets(expr: &mut Expr) -> Option<&mut Vec<Vec<Expr>>> {
    match expr {
        Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => Some(sets),
        _ => None,
    }
}

/// `CUBE (1, b)`: 1 is the first column of the select list. DataFusion sees positions outside of sets only.
pub(crate) fn by_position(select: &mut Select) {
    let GroupByExpr::Expressions(expressions, _) = &mut select.group_by else { return };
    for key in expressions.iter_mut().filter_map(sets).flatten().flatten() {
        let Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. }) = key else { continue };
        let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        if let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) =
            at.and_then(|at| select.projection.get(at))
        {
            *key = expr.clone();
        }
    }
}

/// Of no rows Spark makes no sets, where DataFusion makes a row for `()`: that row counts none.
pub(crate) fn of_no_rows(select: &mut Select) {
    let GroupByExpr::Expressions(expressions, _) = &select.group_by else { return };
    let whole = |expr: &Expr| match expr {
        Expr::Rollup(_) | Expr::Cube(_) => true,
        Expr::GroupingSets(sets) => sets.iter().any(Vec::is_empty),
        _ => false,
    };
    // A key beside the sets is a key of each of them.
    if expressions.is_empty() || !expressions.iter().all(whole) {
        return;
    }
    let mut count = function("count", vec![Expr::value(Value::Number("1".into(), false))]);
    if let Expr::Function(call) = &mut count
        && let FunctionArguments::List(list) = &mut call.args
    {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
    }
    let some = Expr::BinaryOp {
        left: Box::new(count),
        op: BinaryOperator::Gt,
        right: Box::new(Expr::value(Value::Number("0".into(), false))),
    };
    select.having = Some(match select.having.take() {
        Some(having) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(having))),
            op: BinaryOperator::And,
            right: Box::new(some),
        },
        None => some,
    });
}

/// The most columns of a CUBE within sets: 4,096 sets, as many as DataFusion takes.
const CUBE: usize = 12;

/// `GROUPING SETS (ROLLUP (a, b), c)` is `GROUPING SETS ((a, b), (a), (), c)`: what is a list of sets takes their place.
pub(crate) fn flatten(select: &mut Select) {
    let GroupByExpr::Expressions(expressions, _) = &mut select.group_by else { return };
    for expression in expressions {
        if let Expr::GroupingSets(sets) = expression {
            *sets = std::mem::take(sets).into_iter().flat_map(flat).collect();
        }
    }
}

/// The sets that stand for one.
fn flat(set: Vec<Expr>) -> Vec<Vec<Expr>> {
    let [only] = set.as_slice() else { return vec![set] };
    if let Expr::GroupingSets(inner) = only {
        return inner.iter().cloned().flat_map(flat).collect();
    }
    // The parser takes them for functions.
    let Expr::Function(call) = only else { return vec![set] };
    let name = call.name.to_string().to_lowercase();
    let Some(arguments) = crate::rewrite::positional(call) else { return vec![set] };
    let parts: Vec<Vec<Expr>> = arguments
        .into_iter()
        .map(|argument| match argument {
            Expr::Tuple(parts) => parts,
            Expr::Nested(inner) => vec![*inner],
            other => vec![other],
        })
        .collect();
    match name.as_str() {
        "rollup" => (0..=parts.len()).rev().map(|end| parts[..end].concat()).collect(),
        "cube" if parts.len() <= CUBE => {
            let sets = 1_usize << parts.len();
            // The first column is left out last, as in Spark.
            let holds = |set: usize, at: usize| set & (1 << (parts.len() - 1 - at)) == 0;
            let chosen = |set: usize| parts.iter().enumerate().filter(move |(at, _)| holds(set, *at));
            (0..sets).map(|set| chosen(set).flat_map(|(_, part)| part.clone()).collect()).collect()
        }
        _ => vec![set],
    }
}
