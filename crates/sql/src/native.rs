//! Calls that DataFusion's own vectorised functions answer with Spark's meaning, given the types at hand.
//!
//! The functions of [`functions`](crate::functions) take a value at a time. Where a kernel of DataFusion means
//! the same, for text that is text and dates that are dates, it is taken instead; queries over many rows
//! notice.

use crate::value::types;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::functions::{datetime, math, string, unicode};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, lit};

/// The call with a kernel of DataFusion, if there is one for it.
pub(crate) fn call(name: &str, arguments: &[Expr], schema: &DFSchema) -> Option<Expr> {
    let of = |index: usize| arguments.get(index)?.get_type(schema).ok();
    let all_text = || arguments.iter().all(|a| a.get_type(schema).is_ok_and(|t| types::is_string(&t)));
    let int = |index: usize| match arguments.get(index)? {
        Expr::Literal(ScalarValue::Int32(Some(n)), _) => Some(i64::from(*n)),
        Expr::Literal(ScalarValue::Int64(Some(n)), _) => Some(*n),
        _ => None,
    };
    match (name, arguments) {
        ("upper" | "ucase", [text]) if all_text() => Some(string::expr_fn::upper(text.clone())),
        ("lower" | "lcase", [text]) if all_text() => Some(string::expr_fn::lower(text.clone())),
        ("length" | "len" | "char_length" | "character_length", [text]) if all_text() => {
            let length = unicode::expr_fn::character_length(text.clone());
            Some(Expr::Cast(Cast::new(Box::new(length), DataType::Int32)))
        }
        ("startswith", [text, start]) if all_text() => {
            Some(string::expr_fn::starts_with(text.clone(), start.clone()))
        }
        ("endswith", [text, end]) if all_text() => {
            Some(string::expr_fn::ends_with(text.clone(), end.clone()))
        }
        ("contains", [text, part]) if all_text() => {
            Some(string::expr_fn::contains(text.clone(), part.clone()))
        }
        ("substring" | "substr", [text, ..]) if types::is_string(&of(0)?) => {
            // From the end, or from 0, Spark counts in its own way.
            let start = int(1).filter(|start| *start >= 1)?;
            match arguments.len() {
                2 => Some(unicode::expr_fn::substr(text.clone(), lit(start))),
                _ => {
                    let length = int(2).filter(|length| *length >= 0)?;
                    Some(unicode::expr_fn::substring(text.clone(), lit(start), lit(length)))
                }
            }
        }
        ("concat", [first, rest @ ..]) if !rest.is_empty() && all_text() => {
            // `||` gives null for a null, as Spark's concat does.
            let joined = rest.iter().fold(first.clone(), |left, right| {
                Expr::BinaryExpr(BinaryExpr::new(
                    Box::new(left),
                    Operator::StringConcat,
                    Box::new(right.clone()),
                ))
            });
            Some(joined)
        }
        ("year" | "month" | "day" | "dayofmonth" | "quarter" | "hour" | "minute", [when]) => {
            part(name, when, &of(0)?)
        }
        ("date_part" | "datepart" | "extract", [Expr::Literal(ScalarValue::Utf8(Some(name)), _), when]) => {
            part(&name.to_lowercase(), when, &of(1)?)
        }
        ("sqrt" | "exp" | "sin" | "cos" | "tan" | "atan", [x]) if of(0)? == DataType::Float64 => {
            Some(match name {
                "sqrt" => math::expr_fn::sqrt(x.clone()),
                "exp" => math::expr_fn::exp(x.clone()),
                "sin" => math::expr_fn::sin(x.clone()),
                "cos" => math::expr_fn::cos(x.clone()),
                "tan" => math::expr_fn::tan(x.clone()),
                _ => math::expr_fn::atan(x.clone()),
            })
        }
        _ => None,
    }
}

fn part(name: &str, when: &Expr, data_type: &DataType) -> Option<Expr> {
    let name = match name {
        "year" | "month" | "quarter" => name,
        "day" | "dayofmonth" => "day",
        "hour" | "minute" if matches!(data_type, DataType::Timestamp(..)) => name,
        _ => return None,
    };
    types::is_datetime(data_type).then(|| datetime::expr_fn::date_part(lit(name), when.clone()))
}
