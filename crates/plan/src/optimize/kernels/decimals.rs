//! Sums, differences and products of decimals that fit into 64 bits.
//!
//! Arrow multiplies decimals of 128 bits and checks every product, which costs a call each. Numbers of up to 18
//! digits, which is what prices and quantities are, have products that always fit. Whether they are that small is
//! looked at while they are multiplied; if one of a batch is not, Arrow's kernel does that batch.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Scalar};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, FieldRef, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// In the place of `left + right`, `left - right` or `left * right`.
#[derive(Debug)]
pub(super) struct Decimals {
    left: Arc<dyn PhysicalExpr>,
    op: Operator,
    right: Arc<dyn PhysicalExpr>,
    result: DataType,
    /// What bring both sides of a sum to one scale.
    factors: (i64, i64),
    /// What it stands for; answers for types and texts.
    plain: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Decimals {
    fn eq(&self, other: &Self) -> bool {
        self.plain.eq(&other.plain)
    }
}

impl Eq for Decimals {}

impl Hash for Decimals {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plain.hash(state);
    }
}

impl Decimals {
    /// None if these are no decimals, or not of types that calculate without loss.
    pub(super) fn of(plain: &BinaryExpr, schema: &Schema) -> Option<Arc<dyn PhysicalExpr>> {
        let (left, right) = (plain.left(), plain.right());
        let types = (left.data_type(schema).ok()?, right.data_type(schema).ok()?);
        let (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) = types else { return None };
        let shift =
            |from: i8, to: i8| 10_i64.checked_pow(u32::try_from(i32::from(to) - i32::from(from)).ok()?);
        let (result, factors) = match plain.op() {
            Operator::Multiply => {
                let scale = s.checked_add(t).filter(|scale| *scale <= DECIMAL128_MAX_PRECISION as i8)?;
                let precision = p.saturating_add(q + 1).min(DECIMAL128_MAX_PRECISION);
                (DataType::Decimal128(precision, scale), (1, 1))
            }
            Operator::Plus | Operator::Minus => {
                let scale = s.max(t);
                let whole = (i32::from(p) - i32::from(s)).max(i32::from(q) - i32::from(t));
                let precision = u8::try_from(whole + i32::from(scale) + 1).ok()?;
                let result = DataType::Decimal128(precision.min(DECIMAL128_MAX_PRECISION), scale);
                (result, (shift(s, scale)?, shift(t, scale)?))
            }
            _ => return None,
        };
        // Should Arrow's rules change, this is not the place to decide.
        if plain.data_type(schema).ok()? != result {
            return None;
        }
        Some(Arc::new(Self {
            left: Arc::clone(left),
            op: *plain.op(),
            right: Arc::clone(right),
            result,
            factors,
            plain: Arc::new(plain.clone()),
        }))
    }

    fn small(&self, left: &Side, right: &Side) -> Option<Vec<i128>> {
        let (a, b) = self.factors;
        let wide = |number: i64, factor: i64| i128::from(number) * i128::from(factor);
        match self.op {
            Operator::Multiply => combine(left, right, |x, y| i128::from(x) * i128::from(y)),
            Operator::Plus if a == 1 && b == 1 => combine(left, right, |x, y| i128::from(x) + i128::from(y)),
            Operator::Minus if a == 1 && b == 1 => combine(left, right, |x, y| i128::from(x) - i128::from(y)),
            Operator::Plus => combine(left, right, |x, y| wide(x, a) + wide(y, b)),
            _ => combine(left, right, |x, y| wide(x, a) - wide(y, b)),
        }
    }

    fn plainly(&self, left: &ColumnarValue, right: &ColumnarValue) -> Result<ArrayRef> {
        let apply = |left: &dyn datafusion::arrow::array::Datum,
                     right: &dyn datafusion::arrow::array::Datum| {
            match self.op {
                Operator::Plus => numeric::add(left, right),
                Operator::Minus => numeric::sub(left, right),
                _ => numeric::mul(left, right),
            }
        };
        let one = |value: &ScalarValue| value.to_array().map(Scalar::new);
        Ok(match (left, right) {
            (ColumnarValue::Array(left), ColumnarValue::Array(right)) => apply(left, right)?,
            (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => apply(left, &one(right)?)?,
            (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => apply(&one(left)?, right)?,
            (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => apply(&one(left)?, &one(right)?)?,
        })
    }
}

/// One side of an operation.
enum Side<'a> {
    Each(&'a [i128]),
    All(i64),
}

impl<'a> Side<'a> {
    /// None for a null and for what does not fit.
    fn of(value: &'a ColumnarValue) -> Option<Self> {
        match value {
            ColumnarValue::Array(array) => {
                array.as_primitive_opt::<Decimal128Type>().map(|array| Self::Each(array.values()))
            }
            ColumnarValue::Scalar(ScalarValue::Decimal128(Some(number), ..)) => {
                i64::try_from(*number).ok().map(Self::All)
            }
            ColumnarValue::Scalar(_) => None,
        }
    }
}

/// None if a number of an array does not fit into 64 bits.
fn combine(left: &Side, right: &Side, f: impl Fn(i64, i64) -> i128) -> Option<Vec<i128>> {
    // Not 0 as soon as the upper half of a number is anything but the sign of its lower half.
    let mut upper = 0_i64;
    let mut low = |number: i128| {
        let low = number as i64;
        upper |= (number >> 64) as i64 ^ (low >> 63);
        low
    };
    let made: Vec<i128> = match (left, right) {
        (Side::Each(left), Side::Each(right)) => {
            left.iter().zip(*right).map(|(x, y)| f(low(*x), low(*y))).collect()
        }
        (Side::Each(left), Side::All(y)) => left.iter().map(|x| f(low(*x), *y)).collect(),
        (Side::All(x), Side::Each(right)) => right.iter().map(|y| f(*x, low(*y))).collect(),
        (Side::All(x), Side::All(y)) => vec![f(*x, *y)],
    };
    (upper == 0).then_some(made)
}

fn nulls(value: &ColumnarValue) -> Option<&NullBuffer> {
    match value {
        ColumnarValue::Array(array) => array.nulls(),
        ColumnarValue::Scalar(_) => None,
    }
}

impl fmt::Display for Decimals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "small({})", self.plain)
    }
}

impl PhysicalExpr for Decimals {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.plain.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.plain.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let (left, right) = (self.left.evaluate(batch)?, self.right.evaluate(batch)?);
        let constant = matches!((&left, &right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let made = match (Side::of(&left), Side::of(&right)) {
            (Some(x), Some(y)) => self.small(&x, &y),
            _ => None,
        };
        let made: ArrayRef = match made {
            Some(numbers) => {
                let nulls = NullBuffer::union(nulls(&left), nulls(&right));
                let numbers = Decimal128Array::new(numbers.into(), nulls);
                Arc::new(numbers.with_data_type(self.result.clone()))
            }
            None => self.plainly(&left, &right)?,
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [left, right] = &children[..] else { return internal_err!("a sum or product has two sides") };
        Ok(Arc::new(Self {
            left: Arc::clone(left),
            op: self.op,
            right: Arc::clone(right),
            result: self.result.clone(),
            factors: self.factors,
            plain: Arc::clone(&self.plain).with_new_children(children)?,
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{Column, Literal};
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = Option<i128>> {
        let edge = i128::from(i64::MAX);
        prop_oneof![
            1 => Just(None),
            8 => (-1_000_000_i128..1_000_000).prop_map(Some),
            2 => (edge - 2..edge + 3).prop_map(Some),
            2 => (-edge - 3..-edge + 2).prop_map(Some),
            1 => (-10_i128.pow(30)..10_i128.pow(30)).prop_map(Some),
        ]
    }

    fn column(numbers: &[Option<i128>], digits: u8, scale: i8) -> ArrayRef {
        let array: Decimal128Array = numbers.iter().copied().collect();
        Arc::new(array.with_data_type(DataType::Decimal128(digits, scale)))
    }

    /// The same numbers, or both fail.
    fn check(left: &[Option<i128>], right: &[Option<i128>], types: ((u8, i8), (u8, i8)), op: Operator) {
        let ((p, s), (q, t)) = types;
        let columns = vec![column(left, p, s), column(right, q, t)];
        let fields: Vec<Field> = ["x", "y"]
            .iter()
            .zip(&columns)
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let literal = |numbers: &[Option<i128>], digits, scale| -> Arc<dyn PhysicalExpr> {
            Arc::new(Literal::new(ScalarValue::Decimal128(numbers[0], digits, scale)))
        };
        let place = |name, at| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(name, at)) };
        let (x, y) = (place("x", 0), place("y", 1));
        let sides = [
            (Arc::clone(&x), Arc::clone(&y)),
            (Arc::clone(&x), literal(right, q, t)),
            (literal(left, p, s), y),
            (literal(left, p, s), literal(right, q, t)),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        for (left, right) in sides {
            let plain = BinaryExpr::new(left, op, right);
            let Some(ours) = Decimals::of(&plain, &schema) else {
                assert!(t > 18 || s > 18, "{plain} over {schema}");
                continue;
            };
            let expect = plain.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
            let got = ours.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
            match (expect, got) {
                (Ok(expect), Ok(got)) => assert_eq!(&expect, &got, "{plain}"),
                (expect, got) => assert_eq!(expect.is_err(), got.is_err(), "{plain}"),
            }
        }
    }

    proptest! {
        #[test]
        fn calculates_as_arrow_does(
            rows in proptest::collection::vec((number(), number()), 1..20),
            types in (((5_u8..=38), (0_i8..5)), ((5_u8..=38), (0_i8..5))),
            op in prop_oneof![Just(Operator::Plus), Just(Operator::Minus), Just(Operator::Multiply)],
        ) {
            let (left, right): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            check(&left, &right, types, op);
        }
    }

    #[test]
    fn limits() {
        let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
        let numbers = [least, least - 1, most, most + 1, 0, -1, i128::MAX, i128::MIN];
        for x in numbers {
            for y in numbers {
                for op in [Operator::Plus, Operator::Minus, Operator::Multiply] {
                    check(&[Some(x)], &[Some(y)], ((38, 2), (38, 0)), op);
                    check(&[Some(x)], &[Some(y)], ((19, 0), (19, 0)), op);
                }
            }
        }
    }
}
