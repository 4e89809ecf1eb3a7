//! What part of the rows a predicate keeps: comparisons of a column with a literal from the least and the
//! greatest value of the column, everything else by rules of thumb.

use super::estimate::Column;
use super::kernels::Pieces;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column as ColumnExpr, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal,
    NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use std::collections::HashMap;
use std::sync::Arc;

/// A value that equals a column without statistics.
const EQUAL: f64 = 0.1;
/// A value below or above a column without statistics, and whatever else is not understood.
const OTHER: f64 = 1.0 / 3.0;
/// Different values that are believed to be different.
const FEW: f64 = 100.0;
const LIKE: f64 = 0.1;

/// Between 0 and 1; `columns` are those of the input.
pub(super) fn selectivity(predicate: &Arc<dyn PhysicalExpr>, columns: &[Column]) -> f64 {
    let mut ranges: HashMap<usize, (f64, f64)> = HashMap::new();
    let mut kept = 1.0;
    for part in split_conjunction(predicate) {
        // Two bounds of one column are one range, not two independent conditions.
        match bound(part, columns) {
            Some((column, low, high)) => {
                let range = ranges.entry(column).or_insert((f64::NEG_INFINITY, f64::INFINITY));
                *range = (range.0.max(low), range.1.min(high));
            }
            None => kept *= single(part, columns),
        }
    }
    for (column, (low, high)) in ranges {
        kept *= columns[column].range.map_or(OTHER, |(least, greatest)| {
            let width = (greatest - least).max(1.0);
            ((high.min(greatest) - low.max(least)) / width).clamp(0.0, 1.0)
        });
    }
    kept.clamp(0.0, 1.0)
}

/// The range that `column < literal` and the like leave of a column with known limits.
fn bound(predicate: &Arc<dyn PhysicalExpr>, columns: &[Column]) -> Option<(usize, f64, f64)> {
    let binary = predicate.downcast_ref::<BinaryExpr>()?;
    let (column, value, op) = match (column_of(binary.left()), column_of(binary.right())) {
        (Some(column), None) => (column, number_of(binary.right())?, *binary.op()),
        (None, Some(column)) => (column, number_of(binary.left())?, binary.op().swap()?),
        _ => return None,
    };
    columns.get(column)?.range?;
    match op {
        Operator::Lt | Operator::LtEq => Some((column, f64::NEG_INFINITY, value)),
        Operator::Gt | Operator::GtEq => Some((column, value, f64::INFINITY)),
        _ => None,
    }
}

fn single(predicate: &Arc<dyn PhysicalExpr>, columns: &[Column]) -> f64 {
    if let Some(binary) = predicate.downcast_ref::<BinaryExpr>() {
        let sides = (binary.left(), binary.right());
        return match binary.op() {
            Operator::And => selectivity(sides.0, columns) * selectivity(sides.1, columns),
            Operator::Or => {
                let (a, b) = (selectivity(sides.0, columns), selectivity(sides.1, columns));
                a + b - a * b
            }
            Operator::Eq => equal(column_of(sides.0).or_else(|| column_of(sides.1)), columns),
            Operator::NotEq => 1.0 - equal(column_of(sides.0).or_else(|| column_of(sides.1)), columns),
            _ => OTHER,
        };
    }
    if let Some(list) = predicate.downcast_ref::<InListExpr>() {
        let kept = (equal(column_of(list.expr()), columns) * list.list().len() as f64).min(0.9);
        return if list.negated() { 1.0 - kept } else { kept };
    }
    if let Some(pieces) = predicate.downcast_ref::<Pieces>() {
        return single(pieces.plain(), columns);
    }
    if let Some(like) = predicate.downcast_ref::<LikeExpr>() {
        return if like.negated() { 1.0 - LIKE } else { LIKE };
    }
    if let Some(not) = predicate.downcast_ref::<NotExpr>() {
        return 1.0 - selectivity(not.arg(), columns);
    }
    if predicate.downcast_ref::<IsNotNullExpr>().is_some() {
        return 1.0;
    }
    if predicate.downcast_ref::<IsNullExpr>().is_some() {
        return EQUAL;
    }
    match predicate.downcast_ref::<Literal>().map(Literal::value) {
        Some(ScalarValue::Boolean(Some(true))) => 1.0,
        Some(_) => 0.0,
        None => OTHER,
    }
}

fn equal(column: Option<usize>, columns: &[Column]) -> f64 {
    match column.and_then(|column| columns.get(column)) {
        Some(Column { distinct, range: Some(_), .. }) => 1.0 / distinct.max(1.0),
        // A letter; or a name in a small table, which is there once.
        Some(Column { distinct, .. }) if *distinct <= FEW => 1.0 / distinct.max(1.0),
        _ => EQUAL,
    }
}

/// A column, also below casts.
fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    match expr.downcast_ref::<CastExpr>() {
        Some(cast) => column_of(cast.expr()),
        None => expr.downcast_ref::<ColumnExpr>().map(ColumnExpr::index),
    }
}

fn number_of(expr: &Arc<dyn PhysicalExpr>) -> Option<f64> {
    match expr.downcast_ref::<CastExpr>() {
        Some(cast) => number_of(cast.expr()),
        None => number(expr.downcast_ref::<Literal>()?.value()),
    }
}

/// A value on the axis of its type.
pub(super) fn number(value: &ScalarValue) -> Option<f64> {
    match value {
        ScalarValue::Int8(v) => v.map(f64::from),
        ScalarValue::Int16(v) => v.map(f64::from),
        ScalarValue::Int32(v) | ScalarValue::Date32(v) => v.map(f64::from),
        ScalarValue::Int64(v) | ScalarValue::Date64(v) => v.map(|v| v as f64),
        ScalarValue::UInt8(v) => v.map(f64::from),
        ScalarValue::UInt16(v) => v.map(f64::from),
        ScalarValue::UInt32(v) => v.map(f64::from),
        ScalarValue::UInt64(v) => v.map(|v| v as f64),
        ScalarValue::Float32(v) => v.map(f64::from),
        ScalarValue::Float64(v) => *v,
        ScalarValue::Decimal128(v, _, scale) => v.map(|v| v as f64 / 10f64.powi(i32::from(*scale))),
        ScalarValue::TimestampSecond(v, _)
        | ScalarValue::TimestampMillisecond(v, _)
        | ScalarValue::TimestampMicrosecond(v, _)
        | ScalarValue::TimestampNanosecond(v, _) => v.map(|v| v as f64),
        _ => None,
    }
}
