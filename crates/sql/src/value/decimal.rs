//! Decimals: text, rounding, Spark's result types.

use super::Value;
use datafusion::arrow::datatypes::{DataType, i256};
use std::cmp::Ordering;

/// The greatest precision.
pub(crate) const MAX: u8 = 38;

pub(crate) fn to_f64(unscaled: i128, scale: i8) -> f64 {
    // Through text: dividing two rounded numbers would round twice.
    text(unscaled, scale).parse().unwrap_or(f64::NAN)
}

pub(crate) fn pow10(n: u32) -> i128 {
    10_i128.checked_pow(n).unwrap_or(i128::MAX)
}

/// `-12.30` for -1230 with scale 2.
pub(crate) fn text(unscaled: i128, scale: i8) -> String {
    if scale <= 0 {
        let zeros = "0".repeat(usize::from(scale.unsigned_abs()));
        return if unscaled == 0 { "0".into() } else { format!("{unscaled}{zeros}") };
    }
    let scale = scale as usize;
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

/// The number in plain or scientific notation, as unscaled value and scale.
pub(crate) fn parse(text: &str) -> Option<(i128, i8)> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty()
        || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let mut digits = format!("{whole}{fraction}");
    let mut scale = i32::try_from(fraction.len()).ok()? - exponent;
    if scale < 0 {
        digits.push_str(&"0".repeat(usize::try_from(scale.unsigned_abs()).ok().filter(|n| *n < 60)?));
        scale = 0;
    }
    while scale > 38 {
        digits.pop();
        scale -= 1;
    }
    let digits = if digits.is_empty() { "0" } else { &digits };
    let number: i128 = digits.parse().ok()?;
    Some((if negative { -number } else { number }, i8::try_from(scale).ok()?))
}

/// The digits of a number.
pub(crate) fn digits(number: i128) -> u8 {
    let mut n = number.unsigned_abs();
    let mut digits = 1;
    while n >= 10 {
        n /= 10;
        digits += 1;
    }
    digits
}

/// A value with another scale, rounded half up; none if it does not fit.
pub(crate) fn rescale(value: &Value, scale: i8) -> Option<i128> {
    match value {
        Value::Decimal(n, s) => scaled(*n, *s, scale),
        Value::Float(x) => {
            let (n, s) = parse(&format!("{x}"))?;
            scaled(n, s, scale)
        }
        Value::Int(n) => scaled(i128::from(*n), 0, scale),
        _ => None,
    }
}

/// Rounds half up (away from zero).
pub(crate) fn scaled(n: i128, from: i8, to: i8) -> Option<i128> {
    let shift = i32::from(to) - i32::from(from);
    if shift >= 0 {
        return n.checked_mul(10_i128.checked_pow(shift as u32)?);
    }
    let Some(unit) = 10_i128.checked_pow(shift.unsigned_abs()) else { return Some(0) };
    let (whole, rest) = (n / unit, n % unit);
    Some(if rest.unsigned_abs() * 2 >= unit.unsigned_abs() { whole + n.signum() } else { whole })
}

/// Whether the unscaled value has at most `precision` digits.
pub(crate) fn fits(n: i128, precision: u8) -> bool {
    n.unsigned_abs() < pow10(u32::from(precision)).unsigned_abs()
}

pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    let parts = |v: &Value| match v {
        Value::Decimal(n, s) => (*n, *s),
        other => (i128::from(other.int()), 0),
    };
    let ((a, s), (b, t)) = (parts(a), parts(b));
    let scale = s.max(t);
    let wide = |n: i128, s: i8| {
        i256::from_i128(n).wrapping_mul(i256::from_i128(pow10(u32::from((scale - s).unsigned_abs()))))
    };
    wide(a, s).cmp(&wide(b, t))
}

/// The decimal type that holds every value of a numeric type.
pub(crate) fn type_for(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Decimal128(p, s) => (*p, *s),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 | DataType::UInt64 => (20, 0),
        DataType::Null => (1, 0),
        _ => return None,
    })
}

/// Spark's adjustment of a type beyond 38 digits: whole digits are kept, the scale gives way down to 6.
pub(crate) fn adjust(precision: i32, scale: i32) -> (u8, i8) {
    if precision <= i32::from(MAX) {
        return (precision.max(1) as u8, scale as i8);
    }
    let whole = precision - scale;
    let scale = (i32::from(MAX) - whole).max(scale.min(6));
    (MAX, scale as i8)
}

/// The type of a quotient.
pub(crate) fn quotient((p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> (u8, i8) {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    let scale = (s1 + p2 + 1).max(6);
    adjust(p1 - s1 + s2 + scale, scale)
}

/// `a / b` with the scale asked for, rounded half up; none if it overflows or `b` is zero.
pub(crate) fn divide((a, s1): (i128, i8), (b, s2): (i128, i8), scale: i8) -> Option<i128> {
    if b == 0 {
        return None;
    }
    let shift = i32::from(scale) + i32::from(s2) - i32::from(s1);
    let ten = i256::from_i128(10);
    let (mut a, mut b) = (i256::from_i128(a), i256::from_i128(b));
    let power = ten.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 {
        a = a.checked_mul(power)?;
    } else {
        b = b.checked_mul(power)?;
    }
    let whole = a.checked_div(b)?;
    let rest = a.wrapping_sub(whole.wrapping_mul(b));
    let abs = |n: i256| if n < i256::ZERO { n.wrapping_neg() } else { n };
    let up = abs(rest).wrapping_add(abs(rest)) >= abs(b);
    let one = if (a < i256::ZERO) == (b < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    if up { whole.wrapping_add(one).to_i128() } else { whole.to_i128() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_scales() {
        let check = |text: &str, expect: Option<(i128, i8)>| assert_eq!(parse(text), expect, "{text}");
        check("12.30", Some((1230, 2)));
        check("-.5", Some((-5, 1)));
        check("1e3", Some((1000, 0)));
        check("1.5E-2", Some((15, 3)));
        check("x", None);
        check("", None);
        assert_eq!(text(-5, 1), "-0.5");
        assert_eq!(scaled(125, 2, 1), Some(13));
        assert_eq!(scaled(-125, 2, 1), Some(-13));
        assert_eq!(divide((1, 0), (3, 0), 4), Some(3333));
        assert_eq!(divide((-2, 0), (3, 0), 2), Some(-67));
        assert_eq!(quotient((10, 0), (2, 1)), (17, 6));
    }
}
