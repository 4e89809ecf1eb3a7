//! Expressions that have a value for every row.
//!
//! A plan may ask an expression about rows that the query itself never asks about (before a join that would drop them, or
//! before a filter that stands to its left) only if it cannot fail: `100 / x` must not stop a query for a zero that
//! the join leaves out. What is not known here counts as able to fail.

use datafusion::arrow::datatypes::DataType::{self, Decimal128};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use std::sync::Arc;

/// Whether the expression has a value whatever the rows hold. `schema` has the columns that it reads.
pub(crate) fn is_infallible(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    is_infallible_within(expr, schema, &|_| None)
}

/// The same, where the least and greatest values of some columns are known: a sum that could leave its type does not.
pub(crate) fn is_infallible_within(
    expr: &Arc<dyn PhysicalExpr>,
    schema: &Schema,
    range: &dyn Fn(&Column) -> Option<(f64, f64)>,
) -> bool {
    let of = |expr: &Arc<dyn PhysicalExpr>| expr.data_type(schema).ok();
    let own = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        match (of(binary.left()), of(binary.right())) {
            (Some(left), Some(right)) => calculates(&left, binary.op(), &right),
            _ => false,
        }
    } else if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        of(cast.expr()).is_some_and(|from| widens(&from, cast.cast_type()))
    } else if expr.is::<ScalarFunctionExpr>() {
        match (of(expr), reach(expr, range)) {
            (Some(kind), Some((least, most))) => {
                let bound = match kind {
                    DataType::Int32 => f64::from(i32::MAX),
                    // Beyond it floats have no room for every number.
                    DataType::Int64 => 9e15,
                    _ => return false,
                };
                -bound <= least && most <= bound
            }
            _ => false,
        }
    } else {
        expr.is::<Column>()
            || expr.is::<Literal>()
            || expr.is::<InListExpr>()
            || expr.is::<LikeExpr>()
            || expr.is::<IsNullExpr>()
            || expr.is::<IsNotNullExpr>()
            || expr.is::<NotExpr>()
            || expr.is::<CaseExpr>()
    };
    own && expr.children().into_iter().all(|child| is_infallible_within(child, schema, range))
}

/// The least and greatest value of columns, numbers and what is added, subtracted and multiplied of them by the functions of the
/// SQL leaf, which fail where a result leaves its type.
fn reach(expr: &Arc<dyn PhysicalExpr>, range: &dyn Fn(&Column) -> Option<(f64, f64)>) -> Option<(f64, f64)> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return range(column);
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        let value = match literal.value() {
            ScalarValue::Int32(value) => f64::from((*value)?),
            ScalarValue::Int64(value) => (*value)? as f64,
            _ => return None,
        };
        return Some((value, value));
    }
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let [left, right] = call.args() else { return None };
    let ((a, b), (c, d)) = (reach(left, range)?, reach(right, range)?);
    match call.name() {
        "add" => Some((a + c, b + d)),
        "subtract" => Some((a - d, b - c)),
        "multiply" => {
            let products = [a * c, a * d, b * c, b * d];
            Some(
                products
                    .into_iter()
                    .fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(v), most.max(v))),
            )
        }
        _ => None,
    }
}

fn calculates(left: &DataType, op: &Operator, right: &DataType) -> bool {
    use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
    use Operator::{Divide, Minus, Multiply, Plus};
    if matches!(op, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom) {
        return true;
    }
    match (left, right) {
        (DataType::Float64, DataType::Float64) | (DataType::Float32, DataType::Float32) => {
            matches!(op, Plus | Minus | Multiply | Divide)
        }
        // The result has room for every value, unless it would need more digits than there are.
        (Decimal128(p, s), Decimal128(q, t)) => match op {
            Plus | Minus => whole_digits(*p, *s).max(whole_digits(*q, *t)) + i32::from(*s.max(t)) < MOST,
            Multiply => i32::from(*p) + i32::from(*q) < MOST && i32::from(*s) + i32::from(*t) <= MOST,
            _ => false,
        },
        _ => false,
    }
}

const MOST: i32 = DECIMAL128_MAX_PRECISION as i32;

/// Digits before the point.
fn whole_digits(precision: u8, scale: i8) -> i32 {
    i32::from(precision) - i32::from(scale)
}

/// Whether each value of one type has its place in the other. Floats may lose digits, as they do.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{Boolean, Float32, Float64, Utf8, Utf8View};
    let (bits, digits) = match from {
        DataType::Int8 => (8, 3),
        DataType::Int16 => (16, 5),
        DataType::Int32 => (32, 10),
        DataType::Int64 => (64, 19),
        DataType::UInt8 => (9, 3),
        DataType::UInt16 => (17, 5),
        DataType::UInt32 => (33, 10),
        DataType::UInt64 => (65, 20),
        _ => (0, 0),
    };
    match (from, to) {
        _ if from == to => true,
        (Utf8 | Utf8View, Utf8 | Utf8View) => true,
        (Float32 | Decimal128(..) | Boolean, Float64) => true,
        (Decimal128(p, s), Decimal128(q, t)) => t >= s && whole_digits(*q, *t) >= whole_digits(*p, *s),
        _ if bits == 0 => false,
        (_, Float32 | Float64) => true,
        (_, DataType::Int16) => bits <= 16,
        (_, DataType::Int32) => bits <= 32,
        (_, DataType::Int64) => bits <= 64,
        (_, Decimal128(q, t)) => *t >= 0 && whole_digits(*q, *t) >= digits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{Field, TimeUnit};
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
    use datafusion::prelude::SessionContext;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("i", DataType::Int64, true),
            Field::new("n", DataType::Int32, true),
            Field::new("u", DataType::UInt64, true),
            Field::new("x", DataType::Float64, true),
            Field::new("y", DataType::Float64, true),
            Field::new("d", Decimal128(7, 2), true),
            Field::new("e", Decimal128(38, 2), true),
            Field::new("t", DataType::Utf8View, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Second, None), true),
        ])
    }

    /// As the SQL leaf's functions are called; what they do does not matter here.
    fn checked(name: &str) -> ScalarUDF {
        let kinds = vec![DataType::Int64, DataType::Int64];
        let zero = |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::Int64(Some(0))));
        create_udf(name, kinds, DataType::Int64, Volatility::Immutable, Arc::new(zero))
    }

    #[test]
    fn what_cannot_leave_its_type() {
        let check = |sql: &str, expect: bool| {
            let schema = schema();
            let named = DFSchema::try_from(schema.clone()).unwrap();
            let context = SessionContext::new();
            for name in ["add", "subtract", "multiply", "other"] {
                context.register_udf(checked(name));
            }
            let expr = context.parse_sql_expr(sql, &named).unwrap();
            let expr = context.create_physical_expr(expr, &named).unwrap();
            let range = |column: &Column| (column.name() == "i").then_some((-5.0, 1e9));
            assert_eq!(is_infallible_within(&expr, &schema, &range), expect, "{sql}: {expr}");
            assert!(!is_infallible(&expr, &schema), "{sql}");
        };
        check("add(i, 3)", true);
        check("subtract(i, i)", true);
        check("multiply(i, 1000000)", true);
        check("multiply(i, 10000000)", false);
        check("add(i, 9223372036854775807)", false);
        check("multiply(i, multiply(i, i))", false);
        check("other(i, 3)", false);
        check("CASE WHEN subtract(i, 2) > 30 THEN 1 ELSE 0 END", true);
    }

    #[test]
    fn what_cannot_fail() {
        let check = |sql: &str, expect: bool| {
            let schema = schema();
            let named = DFSchema::try_from(schema.clone()).unwrap();
            let context = SessionContext::new();
            let expr = context.parse_sql_expr(sql, &named).unwrap();
            let expr = context.create_physical_expr(expr, &named).unwrap();
            assert_eq!(is_infallible(&expr, &schema), expect, "{sql}: {expr}");
        };
        check("i", true);
        check("3", true);
        check("i = 3 AND (t LIKE 'a%' OR x IS NULL) AND NOT n IN (1, 2)", true);
        check("x / y - 2.5 * x", true);
        check("i + 1", false);
        check("100 / i", false);
        check("d - d + d * d", true);
        check("e + d", false);
        check("e * d", false);
        check("d / d", false);
        check("CAST(i AS DOUBLE)", true);
        check("CAST(u AS BIGINT)", false);
        check("CAST(n AS BIGINT)", true);
        check("CAST(i AS INT)", false);
        check("CAST(i AS DECIMAL(21, 2))", true);
        check("CAST(i AS DECIMAL(20, 2))", false);
        check("CAST(d AS DECIMAL(9, 3))", true);
        check("CAST(d AS DECIMAL(9, 1))", false);
        check("CAST(e AS DECIMAL(38, 3))", false);
        check("CAST(t AS BIGINT)", false);
        check("CAST(x AS BIGINT)", false);
        check("CASE WHEN n = 1 THEN d END", true);
        check("CASE WHEN n <> 0 THEN 100 / n ELSE 0 END", false);
        check("abs(i)", false);
    }
}
