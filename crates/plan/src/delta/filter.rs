//! Filters of a query for the kernel, which rules files out by keys of directories and by least and greatest values.
//!
//! Rows are filtered again by the plan, so a part that cannot be translated is left out of a conjunction. Numbers with a
//! fraction are not translated: `NaN` is not in the statistics.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use delta_kernel::expressions::Scalar;
use delta_kernel::{Expression, Predicate};

/// All filters together, as far as they can be translated.
pub(super) fn all(filters: &[Expr], schema: &Schema) -> Option<Predicate> {
    let parts: Vec<Predicate> = filters.iter().filter_map(|filter| one(filter, schema)).collect();
    (!parts.is_empty()).then(|| Predicate::and_from(parts))
}

/// What holds wherever the filter does.
pub(super) fn one(filter: &Expr, schema: &Schema) -> Option<Predicate> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (one(left, schema), one(right, schema)) {
                (Some(left), Some(right)) => Some(Predicate::and(left, right)),
                (left, right) => left.or(right),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Predicate::or(one(left, schema)?, one(right, schema)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => compare(&column.name, *op, value, schema),
            (Expr::Literal(value, _), Expr::Column(column)) => {
                compare(&column.name, op.swap()?, value, schema)
            }
            _ => None,
        },
        Expr::IsNull(inner) => column(inner).map(Predicate::is_null),
        Expr::IsNotNull(inner) => column(inner).map(Predicate::is_not_null),
        _ => None,
    }
}

fn column(expr: &Expr) -> Option<Expression> {
    match expr {
        Expr::Column(column) => Some(Expression::column([column.name.as_str()])),
        _ => None,
    }
}

fn compare(name: &str, op: Operator, value: &ScalarValue, schema: &Schema) -> Option<Predicate> {
    let value = Expression::literal(scalar(value, schema.field_with_name(name).ok()?.data_type())?);
    let column = Expression::column([name]);
    Some(match op {
        Operator::Eq => Predicate::eq(column, value),
        Operator::Lt => Predicate::lt(column, value),
        Operator::LtEq => Predicate::le(column, value),
        Operator::Gt => Predicate::gt(column, value),
        Operator::GtEq => Predicate::ge(column, value),
        _ => return None,
    })
}

/// A value of exactly the type of its column.
fn scalar(value: &ScalarValue, of: &DataType) -> Option<Scalar> {
    Some(match (value, of) {
        (ScalarValue::Int8(Some(x)), DataType::Int8) => Scalar::Byte(*x),
        (ScalarValue::Int16(Some(x)), DataType::Int16) => Scalar::Short(*x),
        (ScalarValue::Int32(Some(x)), DataType::Int32) => Scalar::Integer(*x),
        (ScalarValue::Int64(Some(x)), DataType::Int64) => Scalar::Long(*x),
        (ScalarValue::Boolean(Some(x)), DataType::Boolean) => Scalar::Boolean(*x),
        (ScalarValue::Date32(Some(x)), DataType::Date32) => Scalar::Date(*x),
        (ScalarValue::Utf8(Some(x)) | ScalarValue::Utf8View(Some(x)), DataType::Utf8) => {
            Scalar::String(x.clone())
        }
        _ => return None,
    })
}
