//! The names that Spark gives to columns without an alias: `count(1)`, `(a + 1)`, `CAST(x AS INT)`.

use datafusion::sql::sqlparser::ast::*;

/// The name of an expression as a column; none for a plain lower-case name, which is its own.
pub(crate) fn of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => (ident.value != ident.value.to_lowercase()).then(|| ident.value.clone()),
        Expr::CompoundIdentifier(parts) => {
            let last = &parts.last()?.value;
            (parts.len() > 2 || *last != last.to_lowercase()).then(|| last.clone())
        }
        other => Some(text(other)),
    }
}

/// Whether an expression makes rows, and so has no single name.
pub(crate) fn is_generator(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    function.over.is_none() && crate::generate::is_generator(&function.name.to_string())
}

/// The text of a value or an aggregate in PIVOT.
pub(crate) fn pivoted(expr: &Expr) -> String {
    match expr {
        Expr::Tuple(parts) => format!("{{{}}}", list(parts)),
        other => text(other),
    }
}

fn list<'a>(parts: impl IntoIterator<Item = &'a Expr>) -> String {
    parts.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

fn text(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::CompoundIdentifier(parts) => {
            parts.iter().map(|p| p.value.as_str()).collect::<Vec<_>>().join(".")
        }
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            Value::Number(number, _) => number.trim_end_matches(|c: char| c.is_ascii_uppercase()).to_owned(),
            Value::Null => "NULL".into(),
            other => other.to_string(),
        },
        Expr::TypedString(typed) => match typed.value.value.clone().into_string() {
            Some(text) => format!("{} '{text}'", typed.data_type),
            None => typed.to_string(),
        },
        Expr::Nested(inner) => text(inner),
        Expr::BinaryOp { left, op, right } => {
            let op = match op {
                BinaryOperator::MyIntegerDivide => "div".to_owned(),
                BinaryOperator::And | BinaryOperator::Or => op.to_string().to_uppercase(),
                BinaryOperator::NotEq => {
                    return format!("(NOT ({} = {}))", text(left), text(right));
                }
                other => other.to_string(),
            };
            format!("({} {op} {})", text(left), text(right))
        }
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Minus => match expr.as_ref() {
                Expr::Value(_) => format!("-{}", text(expr)),
                _ => format!("(- {})", text(expr)),
            },
            UnaryOperator::Plus => format!("(+ {})", text(expr)),
            UnaryOperator::Not | UnaryOperator::BangNot => format!("(NOT {})", text(expr)),
            other => format!("{other}{}", text(expr)),
        },
        Expr::Cast { kind, expr, data_type, .. } => {
            let word = if matches!(kind, CastKind::TryCast) { "TRY_CAST" } else { "CAST" };
            format!("{word}({} AS {})", text(expr), data_type.to_string().to_uppercase())
        }
        Expr::IsNull(inner) => format!("({} IS NULL)", text(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", text(inner)),
        Expr::Between { expr, negated, low, high } => {
            let (e, low, high) = (text(expr), text(low), text(high));
            let inner = format!("(({e} >= {low}) AND ({e} <= {high}))");
            if *negated { format!("(NOT {inner})") } else { inner }
        }
        Expr::InList { expr, list: items, negated } => {
            let inner = format!("({} IN ({}))", text(expr), list(items));
            if *negated { format!("(NOT {inner})") } else { inner }
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let mut out = "CASE".to_owned();
            if let Some(operand) = operand {
                out.push_str(&format!(" {}", text(operand)));
            }
            for when in conditions {
                out.push_str(&format!(" WHEN {} THEN {}", text(&when.condition), text(&when.result)));
            }
            if let Some(otherwise) = else_result {
                out.push_str(&format!(" ELSE {}", text(otherwise)));
            }
            out + " END"
        }
        Expr::Extract { field, expr, .. } => format!("extract({field} FROM {})", text(expr)),
        Expr::Interval(interval) => {
            let value = text(&interval.value);
            match &interval.leading_field {
                Some(unit) => format!("INTERVAL '{value}' {unit}"),
                None => format!("INTERVAL '{value}'"),
            }
        }
        Expr::Array(array) => format!("array({})", list(&array.elem)),
        Expr::Struct { values, fields } if fields.is_empty() => format!("struct({})", list(values)),
        Expr::Named { expr, name } => format!("{} AS {}", text(expr), name.value),
        Expr::Subquery(_) => "scalarsubquery()".into(),
        Expr::Exists { .. } => "exists()".into(),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut out = text(root);
            for access in access_chain {
                match access {
                    AccessExpr::Dot(field) => out.push_str(&format!(".{}", text(field))),
                    AccessExpr::Subscript(Subscript::Index { index }) => {
                        out.push_str(&format!("[{}]", text(index)));
                    }
                    AccessExpr::Subscript(other) => out.push_str(&format!("[{other}]")),
                }
            }
            out
        }
        Expr::Function(function) => call(function),
        Expr::Lambda(lambda) => format!("lambdafunction({})", text(&lambda.body)),
        Expr::Ceil { expr, .. } => format!("CEIL({})", text(expr)),
        Expr::Floor { expr, .. } => format!("FLOOR({})", text(expr)),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let parts: Vec<&Expr> = [Some(expr), substring_from.as_ref(), substring_for.as_ref()]
                .into_iter()
                .flatten()
                .map(|e| &**e)
                .collect();
            format!("substring({})", list(parts))
        }
        Expr::Like { negated, expr, pattern, .. } => {
            let inner = format!("{} LIKE {}", text(expr), text(pattern));
            if *negated { format!("(NOT {inner})") } else { inner }
        }
        other => other.to_string(),
    }
}

fn call(function: &Function) -> String {
    let name = function.name.to_string();
    let mut out = name.trim_matches('`').to_owned();
    match &function.args {
        FunctionArguments::None => out.push_str("()"),
        FunctionArguments::Subquery(query) => out.push_str(&format!("({query})")),
        FunctionArguments::List(arguments) => {
            let distinct = match arguments.duplicate_treatment {
                Some(DuplicateTreatment::Distinct) => "DISTINCT ",
                _ => "",
            };
            let parts: Vec<String> = arguments
                .args
                .iter()
                .map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => text(expr),
                    // count(*) is count(1).
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => "1".into(),
                    FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                        format!("{name} => {}", text(expr))
                    }
                    other => other.to_string(),
                })
                .collect();
            out.push_str(&format!("({distinct}{})", parts.join(", ")));
        }
    }
    if let Some(filter) = &function.filter {
        out.push_str(&format!(" FILTER (WHERE {})", text(filter)));
    }
    match &function.over {
        Some(WindowType::WindowSpec(spec)) => out.push_str(&format!(" OVER ({spec})")),
        Some(WindowType::NamedWindow(name)) => out.push_str(&format!(" OVER {name}")),
        None => {}
    }
    out
}
