//! Casts with Spark's ANSI meaning.

use super::types::{self, entry_of, item_of};
use super::{Value, datetime, decimal, format};
use crate::condition;
use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use datafusion::error::{DataFusionError, Result};

/// The value as another type.
///
/// # Errors
/// `CAST_INVALID_INPUT` for text that is no such value, `CAST_OVERFLOW` and
/// `NUMERIC_VALUE_OUT_OF_RANGE` for numbers that do not fit, `DATATYPE_MISMATCH` for types without a cast.
pub(crate) fn cast(value: &Value, from: &DataType, to: &DataType) -> Result<Value> {
    use DataType as T;
    if value.is_null() || from == to {
        return Ok(value.clone());
    }
    let invalid = || {
        Err(condition::cast_invalid_input(
            &format::cast_text(value, from),
            &types::name(from),
            &types::name(to),
        ))
    };
    let or_invalid = |made: Option<Value>| made.map_or_else(invalid, Ok);
    if types::is_variant(from) {
        return crate::functions::variant::cast_variant(value, to);
    }
    match (value, to) {
        (_, t) if types::is_string(t) => Ok(Value::Str(format::cast_text(value, from))),
        (Value::Str(_) | Value::Bin(_), t) if types::is_binary(t) => Ok(Value::Bin(value.bytes().to_vec())),
        (Value::Int(n), t) if types::is_binary(t) => {
            let width = from.primitive_width().unwrap_or(8);
            Ok(Value::Bin(n.to_be_bytes()[8 - width.min(8)..].to_vec()))
        }
        (Value::Str(text), T::Boolean) => or_invalid(match text.trim().to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "1" => Some(Value::Bool(true)),
            "f" | "false" | "n" | "no" | "0" => Some(Value::Bool(false)),
            _ => None,
        }),
        (Value::Str(text), t) if t.is_integer() => {
            or_invalid(text.trim().parse::<i64>().ok().filter(|n| in_range(*n, t)).map(Value::Int))
        }
        (Value::Str(text), T::Float32 | T::Float64) => or_invalid(parse_double(text).map(Value::Float)),
        (Value::Str(text), T::Decimal128(p, s)) => {
            let Some((n, scale)) = decimal::parse(text) else { return invalid() };
            match decimal::scaled(n, scale, *s).filter(|n| decimal::fits(*n, *p)) {
                Some(n) => Ok(Value::Decimal(n, *s)),
                None => Err(condition::out_of_range(text.trim(), *p, *s)),
            }
        }
        (Value::Str(text), T::Date32) => or_invalid(datetime::parse_date(text).map(Value::Date)),
        (Value::Str(text), T::Timestamp(..)) => {
            or_invalid(datetime::parse_timestamp_in(text, types::zone_of(to)).map(Value::Ts))
        }
        (Value::Str(text), T::Time64(_)) => or_invalid(datetime::parse_time(text).map(Value::Time)),
        (Value::Str(text), T::Interval(_) | T::Duration(_)) => {
            or_invalid(crate::interval::parse(text).and_then(|i| i.as_type(to)))
        }
        (Value::Bool(b), t) if t.is_numeric() => cast(&Value::Int(i64::from(*b)), &T::Int32, t),
        (Value::Int(_) | Value::Float(_) | Value::Decimal(..), T::Boolean) => {
            Ok(Value::Bool(value.float() != 0.0))
        }
        (Value::Int(n), t) if t.is_integer() => {
            if in_range(*n, t) {
                Ok(Value::Int(*n))
            } else {
                Err(condition::cast_overflow(
                    &format::cast_text(value, from),
                    &types::name(from),
                    &types::name(t),
                ))
            }
        }
        (Value::Float(_) | Value::Decimal(..), t) if t.is_integer() => {
            let whole = match value {
                Value::Decimal(n, s) => {
                    i64::try_from(if *s > 0 { n / decimal::pow10(*s as u32) } else { *n }).ok()
                }
                _ => {
                    let x = value.float().trunc();
                    (x.abs() < 9_223_372_036_854_775_808.0).then_some(x as i64)
                }
            };
            match whole.filter(|n| in_range(*n, t)) {
                Some(n) => Ok(Value::Int(n)),
                None => Err(condition::cast_overflow(
                    &format::cast_text(value, from),
                    &types::name(from),
                    &types::name(t),
                )),
            }
        }
        (Value::Int(_) | Value::Float(_) | Value::Decimal(..), T::Float64) => Ok(Value::Float(value.float())),
        (Value::Int(_) | Value::Float(_) | Value::Decimal(..), T::Float32) => {
            Ok(Value::Float(f64::from(value.float() as f32)))
        }
        (Value::Float(x), T::Decimal128(..)) if !x.is_finite() => Ok(Value::Null),
        (Value::Int(_) | Value::Float(_) | Value::Decimal(..), T::Decimal128(p, s)) => {
            match decimal::rescale(value, *s).filter(|n| decimal::fits(*n, *p)) {
                Some(n) => Ok(Value::Decimal(n, *s)),
                None => Err(condition::out_of_range(&format::cast_text(value, from), *p, *s)),
            }
        }
        (Value::Int(n), T::Timestamp(..)) => {
            n.checked_mul(1_000_000).map(Value::Ts).ok_or_else(|| condition::overflow("timestamp"))
        }
        (Value::Float(x), T::Timestamp(..)) if !x.is_finite() => invalid(),
        (Value::Float(_) | Value::Decimal(..), T::Timestamp(..)) => match decimal::rescale(value, 6) {
            Some(micros) => Ok(Value::Ts(micros as i64)),
            None => Ok(Value::Null),
        },
        (Value::Ts(t), t2) if t2.is_numeric() => {
            if matches!(t2, T::Float64 | T::Float32) {
                return Ok(Value::Float(*t as f64 / 1e6));
            }
            if let T::Decimal128(..) = t2 {
                return cast(&Value::Decimal(i128::from(*t), 6), &T::Decimal128(38, 6), t2);
            }
            cast(&Value::Int(t.div_euclid(1_000_000)), &T::Int64, t2)
        }
        (Value::Ts(t), T::Date32) => Ok(Value::Date(datetime::split(reading(*t, from)).0)),
        (Value::Ts(t), T::Time64(_)) => Ok(Value::Time(datetime::split(reading(*t, from)).1)),
        // Between moments nothing changes; a moment and a reading of a clock meet in the zone of the moment.
        (Value::Ts(t), T::Timestamp(_, there)) => match (from, there) {
            (T::Timestamp(_, Some(_)), None) => Ok(Value::Ts(reading(*t, from))),
            (T::Timestamp(_, None), Some(_)) => or_invalid(moment(*t, to).map(Value::Ts)),
            _ => Ok(Value::Ts(*t)),
        },
        (Value::Date(d), T::Timestamp(..)) => {
            or_invalid(moment(i64::from(*d) * datetime::DAY, to).map(Value::Ts))
        }
        (Value::Time(t), T::Time64(_)) => Ok(Value::Time(*t)),
        (Value::Months(m), T::Interval(IntervalUnit::MonthDayNano)) => Ok(Value::Calendar(*m, 0, 0)),
        (Value::Micros(m), T::Interval(IntervalUnit::MonthDayNano)) => {
            Ok(Value::Calendar(0, (m / datetime::DAY) as i32, m % datetime::DAY))
        }
        (Value::Months(m), t) if t.is_integer() => Ok(Value::Int(i64::from(*m))),
        (Value::Calendar(0, days, micros), T::Duration(_)) => {
            Ok(Value::Micros(i64::from(*days) * datetime::DAY + micros))
        }
        (Value::Calendar(months, 0, 0), T::Interval(IntervalUnit::YearMonth)) => Ok(Value::Months(*months)),
        (Value::List(items), _) if let (Some(a), Some(b)) = (item_of(from), item_of(to)) => {
            Ok(Value::List(items.iter().map(|v| cast(v, a, b)).collect::<Result<_>>()?))
        }
        (Value::Map(entries), _) if let (Some((k, v)), Some((l, w))) = (entry_of(from), entry_of(to)) => {
            let entry = |(a, b): &(Value, Value)| Ok((cast(a, k, l)?, cast(b, v, w)?));
            Ok(Value::Map(entries.iter().map(entry).collect::<Result<_>>()?))
        }
        (Value::Struct(values), T::Struct(to)) if let T::Struct(from) = from => {
            let field = |((v, a), b): ((&Value, _), _)| {
                let (a, b): (
                    &datafusion::arrow::datatypes::FieldRef,
                    &datafusion::arrow::datatypes::FieldRef,
                ) = (a, b);
                cast(v, a.data_type(), b.data_type())
            };
            Ok(Value::Struct(values.iter().zip(from).zip(to).map(field).collect::<Result<_>>()?))
        }
        _ if types::plain(from) == types::plain(to) => Ok(value.clone()),
        _ => Err(mismatch(from, to)),
    }
}

/// What a clock in the zone of the type shows at a moment.
fn reading(micros: i64, from: &DataType) -> i64 {
    types::zone_of(from).and_then(|zone| datetime::from_utc(micros, zone)).unwrap_or(micros)
}

/// The moment at which a clock in the zone of the type shows a reading.
fn moment(local: i64, to: &DataType) -> Option<i64> {
    match types::zone_of(to) {
        Some(zone) => datetime::to_utc(local, zone),
        None => Some(local),
    }
}

/// The error of a cast that does not exist.
pub(crate) fn mismatch(from: &DataType, to: &DataType) -> DataFusionError {
    use DataType as T;
    // Spark has functions for what its older casts did, and a setting for the rest.
    let name = match (&types::plain(from), &types::plain(to)) {
        (f, T::Date32) | (T::Date32, f) if f.is_numeric() => "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION",
        (f, T::Boolean) if types::is_datetime(f) => "DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION",
        (T::Boolean, T::Timestamp(..)) => "DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION",
        _ => "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION",
    };
    condition::error(
        trefoil_core::ErrorKind::TypeMismatch,
        name,
        "42K09",
        format!(
            "cannot cast \"{}\" to \"{}\"",
            types::name(from).to_uppercase(),
            types::name(to).to_uppercase()
        ),
    )
}

/// Whether values of one type can be cast to the other at all.
pub(crate) fn possible(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let (from, to) = (types::plain(from), types::plain(to));
    match (&from, &to) {
        _ if from == to => true,
        (f, _) if types::is_variant(f) => true,
        (T::Null, _) | (_, T::Utf8) => true,
        (T::Utf8, t) => !t.is_nested(),
        (f, T::Binary) => f.is_integer(),
        (T::Boolean, t) | (t, T::Boolean) => t.is_numeric(),
        (f, t) if f.is_numeric() && t.is_numeric() => true,
        (f, T::Timestamp(..)) => f.is_numeric() || types::is_datetime(f),
        (T::Timestamp(..), t) => t.is_numeric() || types::is_datetime(t) || matches!(t, T::Time64(_)),
        (T::List(a), T::List(b)) => possible(a.data_type(), b.data_type()),
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| possible(a.data_type(), b.data_type()))
        }
        (T::Map(..), T::Map(..)) => match (entry_of(&from), entry_of(&to)) {
            (Some((k, v)), Some((l, w))) => possible(k, l) && possible(v, w),
            _ => false,
        },
        (f, t) if types::is_interval(f) => types::is_interval(t) || t.is_integer(),
        _ => false,
    }
}

fn in_range(n: i64, data_type: &DataType) -> bool {
    match data_type {
        DataType::Int8 => i8::try_from(n).is_ok(),
        DataType::Int16 => i16::try_from(n).is_ok(),
        DataType::Int32 => i32::try_from(n).is_ok(),
        _ => true,
    }
}

/// Java's reading of a number: with exponent, `NaN`, `Infinity`, a trailing `d` or `f`.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.to_lowercase().as_str() {
        "nan" => return Some(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => return Some(f64::INFINITY),
        "-inf" | "-infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    number.bytes().next_back().filter(|b| b.is_ascii_digit() || *b == b'.')?;
    number.parse().ok()
}
