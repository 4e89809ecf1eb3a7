//! Arithmetic with Spark's ANSI meaning: overflow and division by zero are errors, `/` is fractional; dates
//! and intervals take part. Each has a `try_` form that gives null instead.

use super::Set;
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, datetime, decimal, types};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(super) fn add(set: &mut Set) {
    for name in ["add", "subtract", "multiply", "divide", "mod", "div", "pmod"] {
        set.typed(
            name,
            "any any -> ..",
            move |site| result_type(name, site.argument(0), site.argument(1)),
            move |row, site| operate(name, row, site),
        );
        set.also_try(name);
    }
    // The common case, whole arrays of one type, without a value at a time.
    for name in ["add", "subtract", "multiply", "divide"] {
        if let Some(slow) = set.all.get(name).cloned() {
            set.udf(ScalarUDF::new_from_impl(Fast {
                name,
                slow,
                signature: Signature::any(2, Volatility::Immutable),
            }));
        }
    }
    set.typed(
        "negative",
        "any -> ..",
        |site| numeric_or_text(site.argument(0)),
        |row, site| {
            let zero = match &row[0] {
                Value::Str(_) => Value::Float(0.0),
                _ => Value::Int(0),
            };
            match &row[0] {
                Value::Float(x) => Ok(Value::Float(-x)),
                Value::Decimal(n, s) => Ok(Value::Decimal(-n, *s)),
                Value::Months(m) => {
                    m.checked_neg().map(Value::Months).ok_or_else(|| condition::overflow("negative"))
                }
                Value::Micros(m) => {
                    m.checked_neg().map(Value::Micros).ok_or_else(|| condition::overflow("negative"))
                }
                Value::Calendar(m, d, u) => Ok(Value::Calendar(-m, -d, -u)),
                other => {
                    let other = cast::cast(other, site.argument(0), site.result())?;
                    numbers("subtract", &zero, &other, site.result())
                }
            }
        },
    );
    set.typed(
        "abs",
        "any -> ..",
        |site| numeric_or_text(site.argument(0)),
        |row, site| {
            let overflow = || condition::overflow("abs");
            Ok(match &row[0] {
                Value::Int(n) => cast::cast(
                    &Value::Int(n.checked_abs().ok_or_else(overflow)?),
                    &DataType::Int64,
                    site.result(),
                )
                .map_err(|_| overflow())?,
                Value::Float(x) => Value::Float(x.abs()),
                Value::Decimal(n, s) => Value::Decimal(n.abs(), *s),
                Value::Months(m) => Value::Months(m.checked_abs().ok_or_else(overflow)?),
                Value::Micros(m) => Value::Micros(m.checked_abs().ok_or_else(overflow)?),
                other => Value::Float(cast::cast(other, site.argument(0), &DataType::Float64)?.float().abs()),
            })
        },
    );
    let bits = |name: &'static str| {
        move |row: &[Value], site: &Site| {
            let by = row[1].int() as u32;
            Ok(Value::Int(match (site.result(), name) {
                (DataType::Int64, "left") => row[0].int().wrapping_shl(by),
                (DataType::Int64, "right") => row[0].int().wrapping_shr(by),
                (DataType::Int64, _) => (row[0].int() as u64).wrapping_shr(by) as i64,
                (_, "left") => i64::from((row[0].int() as i32).wrapping_shl(by)),
                (_, "right") => i64::from((row[0].int() as i32).wrapping_shr(by)),
                _ => i64::from((row[0].int() as u32).wrapping_shr(by) as i32),
            }))
        }
    };
    let wide = |site: &Site| {
        Ok(if site.argument(0) == &DataType::Int64 { DataType::Int64 } else { DataType::Int32 })
    };
    set.typed("shiftleft <<", "num int -> ..", wide, bits("left"));
    set.typed("shiftright >>", "num int -> ..", wide, bits("right"));
    set.typed("shiftrightunsigned >>>", "num int -> ..", wide, bits("unsigned"));
    set.add("~", "num -> ..", |row, _| Ok(Value::Int(!row[0].int())));
}

fn numeric_or_text(given: &DataType) -> Result<DataType> {
    match given {
        t if t.is_numeric() || types::is_interval(t) => Ok(t.clone()),
        DataType::Utf8 | DataType::Null => Ok(DataType::Float64),
        t => Err(condition::argument_type(
            "negative",
            format!("{} is no number", types::name(t).to_uppercase()),
        )),
    }
}

fn result_type(name: &str, a: &DataType, b: &DataType) -> Result<DataType> {
    use DataType as T;
    let wrong = || {
        condition::error(
            trefoil_core::ErrorKind::TypeMismatch,
            "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
            "42K09",
            format!(
                "`{name}` does not take {} and {}.",
                types::name(a).to_uppercase(),
                types::name(b).to_uppercase()
            ),
        )
    };
    let interval = |t: &T| types::is_interval(t);
    let time = |t: &T| matches!(t, T::Time64(_));
    Ok(match (name, a, b) {
        (_, T::Null, T::Null) => T::Float64,
        ("add", T::Date32, t) | ("add", t, T::Date32) if t.is_integer() || matches!(t, T::Null) => T::Date32,
        ("subtract", T::Date32, t) if t.is_integer() => T::Date32,
        ("subtract", T::Date32, T::Date32 | T::Utf8) | ("subtract", T::Utf8, T::Date32) => types::DAY_TIME,
        ("subtract", T::Timestamp(..), T::Timestamp(..) | T::Date32 | T::Utf8)
        | ("subtract", T::Date32 | T::Utf8, T::Timestamp(..)) => types::DAY_TIME,
        ("subtract", x, y) if time(x) && time(y) => types::DAY_TIME,
        ("add" | "subtract", T::Date32, t) if t == &types::YEAR_MONTH => T::Date32,
        ("add", t, T::Date32) if t == &types::YEAR_MONTH => T::Date32,
        // A whole number of days keeps a date a date; this is known of literals only.
        ("add" | "subtract", T::Date32, t) | ("add", t, T::Date32) if interval(t) => types::TIMESTAMP,
        ("add" | "subtract", when @ T::Timestamp(..), t) | ("add", t, when @ T::Timestamp(..))
            if interval(t) =>
        {
            if types::zone_of(when).is_some() {
                when.clone()
            } else {
                types::TIMESTAMP
            }
        }
        ("add" | "subtract", T::Utf8, t) | ("add", t, T::Utf8) if interval(t) => types::TIMESTAMP,
        ("add" | "subtract", x, t) | ("add", t, x) if time(x) && interval(t) => types::TIME,
        ("add" | "subtract", x, y) if interval(x) && interval(y) => {
            if x == y {
                x.clone()
            } else {
                types::CALENDAR
            }
        }
        ("multiply" | "divide", x, y) if interval(x) && (y.is_numeric() || matches!(y, T::Utf8)) => x.clone(),
        ("multiply", x, y) if interval(y) && (x.is_numeric() || matches!(x, T::Utf8)) => y.clone(),
        ("div", x, y) if interval(x) && x == y => T::Int64,
        ("div", x, y) if x.is_numeric() && y.is_numeric() => T::Int64,
        ("divide", x, y) => match (decimals(x, y), x.is_floating() || y.is_floating()) {
            (Some((x, y)), false) => {
                let (p, s) = decimal::quotient(x, y);
                T::Decimal128(p, s)
            }
            _ if number(x) && number(y) => T::Float64,
            _ => return Err(wrong()),
        },
        ("mod" | "pmod", x, y) => match decimals(x, y) {
            Some(((p, s), (q, t))) if !(x.is_floating() || y.is_floating()) => {
                let scale = s.max(t);
                let whole = (i32::from(p) - i32::from(s)).min(i32::from(q) - i32::from(t));
                let (p, s) = decimal::adjust(whole + i32::from(scale), i32::from(scale));
                T::Decimal128(p, s)
            }
            _ if number(x) && number(y) => types::wider(x, y).filter(T::is_numeric).unwrap_or(T::Float64),
            _ => return Err(wrong()),
        },
        (_, x, y) => match (decimals(x, y), x.is_floating() || y.is_floating()) {
            (Some(((p, s), (q, t))), false) => {
                let (p, s, q, t) = (i32::from(p), i32::from(s), i32::from(q), i32::from(t));
                let (p, s) = if name == "multiply" {
                    decimal::adjust(p + q + 1, s + t)
                } else {
                    decimal::adjust((p - s).max(q - t) + s.max(t) + 1, s.max(t))
                };
                T::Decimal128(p, s)
            }
            _ if number(x) && number(y) => types::wider(x, y).filter(T::is_numeric).unwrap_or(T::Float64),
            _ => return Err(wrong()),
        },
    })
}

fn number(t: &DataType) -> bool {
    t.is_numeric() || matches!(t, DataType::Utf8 | DataType::Null)
}

/// The decimal types of both sides, if one of them is a decimal.
fn decimals(a: &DataType, b: &DataType) -> Option<((u8, i8), (u8, i8))> {
    let is = |t: &DataType| matches!(t, DataType::Decimal128(..));
    if !is(a) && !is(b) {
        return None;
    }
    Some((decimal::type_for(a)?, decimal::type_for(b)?))
}

/// Whether Arrow's `+ - *` of these decimals have Spark's type: they cut digits of the whole number, Spark those
/// after the point.
pub(super) fn decimals_are_native(name: &str, a: &DataType, b: &DataType) -> bool {
    let Some(((p, s), (q, t))) = decimals(a, b) else { return true };
    let (p, s, q, t) = (i32::from(p), i32::from(s), i32::from(q), i32::from(t));
    let (precision, scale) =
        if name == "multiply" { (p + q + 1, s + t) } else { ((p - s).max(q - t) + s.max(t) + 1, s.max(t)) };
    decimal::adjust(precision, scale) == (precision.min(38) as u8, scale as i8)
}

fn overflows(result: &DataType, name: &str) -> datafusion::error::DataFusionError {
    let what = format!("{} {name}", types::name(result));
    match result {
        DataType::Int8 | DataType::Int16 => condition::short_overflow(&what),
        _ => condition::overflow(&what),
    }
}

fn operate(name: &str, row: &[Value], site: &Site) -> Result<Value> {
    let (a, b) = (&row[0], &row[1]);
    let overflow = || overflows(site.result(), name);
    let some = |value: Option<Value>| value.ok_or_else(overflow);
    let sign = if name == "subtract" { -1 } else { 1 };
    match (a, b) {
        (Value::Date(d), Value::Int(n)) | (Value::Int(n), Value::Date(d)) => {
            some(i32::try_from(i64::from(*d) + sign * n).ok().map(Value::Date))
        }
        (Value::Date(d), Value::Months(m)) | (Value::Months(m), Value::Date(d)) => {
            some(datetime::add_months(*d, sign * i64::from(*m)).map(Value::Date))
        }
        (Value::Date(a), Value::Date(b)) => Ok(Value::Micros(i64::from(a - b) * datetime::DAY)),
        (Value::Time(t), Value::Micros(m)) | (Value::Micros(m), Value::Time(t)) => {
            let sum = t + sign * m;
            some((0..datetime::DAY).contains(&sum).then_some(Value::Time(sum)))
        }
        (Value::Time(a), Value::Time(b)) => Ok(Value::Micros(a - b)),
        (
            Value::Date(_) | Value::Ts(_) | Value::Str(_),
            Value::Months(_) | Value::Micros(_) | Value::Calendar(..),
        )
        | (
            Value::Months(_) | Value::Micros(_) | Value::Calendar(..),
            Value::Date(_) | Value::Ts(_) | Value::Str(_),
        ) if matches!(site.result(), DataType::Timestamp(..)) => {
            let (when, delta, at) = if types::is_interval(site.argument(0)) { (b, a, 1) } else { (a, b, 0) };
            if let Some(zone) = types::zone_of(site.result()) {
                return some(shift_in(when.int(), delta, sign, zone).map(Value::Ts));
            }
            let when = cast::cast(when, site.argument(at), &types::TIMESTAMP)?.int();
            some(shift(when, delta, sign).map(Value::Ts))
        }
        (Value::Ts(_) | Value::Date(_) | Value::Str(_), Value::Ts(_) | Value::Date(_) | Value::Str(_))
            if site.result() == &types::DAY_TIME =>
        {
            let a = cast::cast(a, site.argument(0), &types::TIMESTAMP)?.int();
            let b = cast::cast(b, site.argument(1), &types::TIMESTAMP)?.int();
            some(a.checked_sub(b).map(Value::Micros))
        }
        (Value::Months(a), Value::Months(b)) if name == "div" => whole(i64::from(*a), i64::from(*b)),
        (Value::Micros(a), Value::Micros(b)) if name == "div" => whole(*a, *b),
        (Value::Months(a), Value::Months(b)) => some(a.checked_add(sign as i32 * b).map(Value::Months)),
        (Value::Micros(a), Value::Micros(b)) => some(a.checked_add(sign * b).map(Value::Micros)),
        (
            Value::Calendar(..) | Value::Months(_) | Value::Micros(_),
            Value::Calendar(..) | Value::Months(_) | Value::Micros(_),
        ) => {
            let parts = |v: &Value| match v {
                Value::Calendar(m, d, u) => (*m, *d, *u),
                Value::Months(m) => (*m, 0, 0),
                other => (0, 0, other.int()),
            };
            let ((m, d, u), (x, y, z)) = (parts(a), parts(b));
            let s = sign as i32;
            Ok(Value::Calendar(m + s * x, d + s * y, u + sign * z))
        }
        (Value::Months(_) | Value::Micros(_), Value::Int(_) | Value::Decimal(..)) => {
            exactly(a, b, name)?.ok_or_else(overflow)
        }
        (Value::Int(_) | Value::Decimal(..), Value::Months(_) | Value::Micros(_)) => {
            exactly(b, a, name)?.ok_or_else(overflow)
        }
        (Value::Months(_) | Value::Micros(_) | Value::Calendar(..), factor) => {
            scale(a, cast::cast(factor, site.argument(1), &DataType::Float64)?.float(), name)
                .ok_or_else(overflow)?
        }
        (factor, Value::Months(_) | Value::Micros(_) | Value::Calendar(..)) => {
            scale(b, cast::cast(factor, site.argument(0), &DataType::Float64)?.float(), name)
                .ok_or_else(overflow)?
        }
        _ => {
            let number = |v: &Value, t: &DataType| match v {
                Value::Str(_) if site.result().is_integer() => cast::cast(v, t, &DataType::Int64),
                Value::Str(_) => cast::cast(v, t, &DataType::Float64),
                other => Ok(other.clone()),
            };
            numbers(name, &number(a, site.argument(0))?, &number(b, site.argument(1))?, site.result())
        }
    }
}

/// A moment moved by an interval in a zone: months and whole days on the calendar there, the rest in time that passes.
pub(crate) fn shift_in(when: i64, delta: &Value, sign: i64, zone: &str) -> Option<i64> {
    let (months, days, micros) = match delta {
        Value::Months(months) => (i64::from(*months), 0, 0),
        Value::Micros(micros) => (0, micros / datetime::DAY, micros % datetime::DAY),
        Value::Calendar(months, days, micros) => (i64::from(*months), i64::from(*days), *micros),
        _ => return None,
    };
    let mut moved = when;
    if months != 0 || days != 0 {
        let local = datetime::from_utc(when, zone)?;
        let there =
            datetime::add_months_ts(local, sign * months)?.checked_add(sign * days * datetime::DAY)?;
        moved = datetime::to_utc_near(there, zone, local - when)?;
    }
    moved.checked_add(sign.checked_mul(micros)?)
}

/// An instant moved by an interval.
pub(crate) fn shift(when: i64, delta: &Value, sign: i64) -> Option<i64> {
    match delta {
        Value::Months(m) => datetime::add_months_ts(when, sign * i64::from(*m)),
        Value::Micros(m) => when.checked_add(sign.checked_mul(*m)?),
        Value::Calendar(months, days, micros) => datetime::add_months_ts(when, sign * i64::from(*months))?
            .checked_add(sign * i64::from(*days) * datetime::DAY)?
            .checked_add(sign.checked_mul(*micros)?),
        _ => None,
    }
}

fn whole(a: i64, b: i64) -> Result<Value> {
    if b == 0 {
        return Err(condition::divide_by_zero());
    }
    a.checked_div(b).map(Value::Int).ok_or_else(|| condition::overflow("bigint div"))
}

/// An interval by a whole number or a decimal, rounded half up once.
fn exactly(interval: &Value, factor: &Value, name: &str) -> Result<Option<Value>> {
    let (n, s) = match factor {
        Value::Decimal(n, s) => (*n, *s),
        other => (i128::from(other.int()), 0),
    };
    if name == "divide" && n == 0 {
        return Err(condition::divide_by_zero());
    }
    let times = |units: i64| {
        let unit = 10_i128.checked_pow(u32::from(s.unsigned_abs()))?;
        let (over, under) = if name == "divide" { (unit, n) } else { (n, unit) };
        let product = i128::from(units).checked_mul(over)?;
        let (whole, rest) = (product.checked_div(under)?, product % under);
        let up = rest.unsigned_abs() * 2 >= under.unsigned_abs();
        let away = if (product < 0) == (under < 0) { 1 } else { -1 };
        i64::try_from(if up && rest != 0 { whole + away } else { whole }).ok()
    };
    Ok(match interval {
        Value::Months(m) => times(i64::from(*m)).and_then(|m| i32::try_from(m).ok()).map(Value::Months),
        other => times(other.int()).map(Value::Micros),
    })
}

fn scale(interval: &Value, factor: f64, name: &str) -> Option<Result<Value>> {
    if name == "divide" && factor == 0.0 {
        return Some(Err(condition::divide_by_zero()));
    }
    let times = |n: f64| {
        let product = if name == "divide" { n / factor } else { n * factor };
        // Half up, away from zero.
        let rounded = product.round();
        (rounded.abs() < 9.2e18).then_some(rounded as i64)
    };
    Some(Ok(match interval {
        Value::Months(m) => Value::Months(i32::try_from(times(f64::from(*m))?).ok()?),
        Value::Micros(m) => Value::Micros(times(*m as f64)?),
        Value::Calendar(m, d, u) => Value::Calendar(
            i32::try_from(times(f64::from(*m))?).ok()?,
            i32::try_from(times(f64::from(*d))?).ok()?,
            times(*u as f64)?,
        ),
        _ => return None,
    }))
}

/// Numbers, as the type of the result says.
fn numbers(name: &str, a: &Value, b: &Value, result: &DataType) -> Result<Value> {
    let overflow = || overflows(result, name);
    let zero = match b {
        Value::Float(x) => *x == 0.0,
        Value::Decimal(n, _) => *n == 0,
        other => other.int() == 0,
    };
    match name {
        "divide" | "div" if zero => return Err(condition::divide_by_zero()),
        "mod" | "pmod" if zero => return Err(condition::remainder_by_zero()),
        _ => {}
    }
    let parts = |v: &Value| match v {
        Value::Decimal(n, s) => (*n, *s),
        other => (i128::from(other.int()), 0),
    };
    match result {
        _ if name == "div" => {
            let truncated = match (a, b) {
                (Value::Float(_), _) | (_, Value::Float(_)) => (a.float() / b.float()).trunc() as i128,
                _ => {
                    let ((x, s), (y, t)) = (parts(a), parts(b));
                    let scale = s.max(t);
                    let x = decimal::scaled(x, s, scale).ok_or_else(overflow)?;
                    let y = decimal::scaled(y, t, scale).ok_or_else(overflow)?;
                    x.checked_div(y).ok_or_else(overflow)?
                }
            };
            Ok(Value::Int(i64::try_from(truncated).map_err(|_| overflow())?))
        }
        DataType::Decimal128(precision, scale) => {
            let ((x, s), (y, t)) = (parts(a), parts(b));
            let made = match name {
                "divide" => decimal::divide((x, s), (y, t), *scale),
                "multiply" => x.checked_mul(y).and_then(|n| decimal::scaled(n, s + t, *scale)),
                _ => {
                    let wide = s.max(t);
                    let x = decimal::scaled(x, s, wide).ok_or_else(overflow)?;
                    let y = decimal::scaled(y, t, wide).ok_or_else(overflow)?;
                    let n = match name {
                        "add" => x.checked_add(y),
                        "subtract" => x.checked_sub(y),
                        "mod" => x.checked_rem(y),
                        _ => x.checked_rem(y).map(|r| if r < 0 { (r + y) % y } else { r }),
                    };
                    n.and_then(|n| decimal::scaled(n, wide, *scale))
                }
            };
            match made.filter(|n| decimal::fits(*n, *precision)) {
                Some(n) => Ok(Value::Decimal(n, *scale)),
                None => Err(overflow()),
            }
        }
        t if t.is_floating() => {
            let (x, y) = (a.float(), b.float());
            let made = match name {
                "add" => x + y,
                "subtract" => x - y,
                "multiply" => x * y,
                "divide" => x / y,
                "mod" => x % y,
                _ => {
                    let r = x % y;
                    if r < 0.0 { (r + y) % y } else { r }
                }
            };
            Ok(Value::Float(made))
        }
        t => {
            let (x, y) = (a.int(), b.int());
            let made = match name {
                "add" => x.checked_add(y),
                "subtract" => x.checked_sub(y),
                "multiply" => x.checked_mul(y),
                "mod" => Some(x.wrapping_rem(y)),
                _ => {
                    let r = x.wrapping_rem(y);
                    Some(if r < 0 { (r + y) % y } else { r })
                }
            };
            cast::cast(&Value::Int(made.ok_or_else(overflow)?), &DataType::Int64, t).map_err(|_| overflow())
        }
    }
}

/// Whole arrays: Arrow's checked kernels for numbers of one type, the slow form for everything else.
#[derive(Debug)]
struct Fast {
    name: &'static str,
    slow: std::sync::Arc<ScalarUDF>,
    signature: Signature,
}

impl PartialEq for Fast {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Fast {}

impl std::hash::Hash for Fast {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Fast {
    fn arrays(&self, a: &ArrayRef, b: &ArrayRef, result: &DataType) -> Option<Result<ArrayRef>> {
        let wrapped = |made: std::result::Result<ArrayRef, ArrowError>| match made {
            Ok(array) => Some(Ok(array)),
            Err(ArrowError::ArithmeticOverflow(_)) => Some(Err(overflows(result, self.name))),
            Err(error) => Some(Err(error.into())),
        };
        if a.data_type() != b.data_type() || a.data_type() != result {
            return None;
        }
        match self.name {
            "divide" if result == &DataType::Float64 => {
                let divisor = b.as_primitive::<Float64Type>();
                let zero = (0..divisor.len()).any(|i| {
                    divisor.is_valid(i) && divisor.value(i) == 0.0 && (a.len() == 1 || a.is_valid(i))
                });
                if zero {
                    return Some(Err(condition::divide_by_zero()));
                }
                wrapped(numeric::div(a, b))
            }
            "divide" => None,
            _ if !result.is_integer() => None,
            "add" => wrapped(numeric::add(a, b)),
            "subtract" => wrapped(numeric::sub(a, b)),
            _ => wrapped(numeric::mul(a, b)),
        }
    }
}

impl ScalarUDFImpl for Fast {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.slow.inner().return_type(given)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [a, b] = args.args.as_slice() {
            let constant = matches!((a, b), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
            let rows = if constant { 1 } else { args.number_rows };
            let (x, y) = (a.to_array(rows)?, b.to_array(rows)?);
            if let Some(made) = self.arrays(&x, &y, args.return_field.data_type()) {
                let made = made?;
                return Ok(if constant {
                    ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
                } else {
                    ColumnarValue::Array(made)
                });
            }
        }
        self.slow.inner().invoke_with_args(args)
    }
}
