//! Mathematics.

use super::Set;
use super::row::Site;
use crate::condition;
use crate::value::{Value, decimal, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

pub(super) fn add(set: &mut Set) {
    type Unary = fn(f64) -> f64;
    let unary: [(&str, Unary); 24] = [
        ("acos", f64::acos),
        ("acosh", f64::acosh),
        ("asin", f64::asin),
        ("asinh", |x| x.signum() * (x.abs() + (x * x + 1.0).sqrt()).ln()),
        ("atan", f64::atan),
        ("atanh", f64::atanh),
        ("cbrt", f64::cbrt),
        ("cos", f64::cos),
        ("cosh", f64::cosh),
        ("cot", |x| 1.0 / x.tan()),
        ("csc", |x| 1.0 / x.sin()),
        ("degrees", f64::to_degrees),
        ("exp", f64::exp),
        ("expm1", f64::exp_m1),
        ("radians", f64::to_radians),
        ("rint", f64::round_ties_even),
        ("sec", |x| 1.0 / x.cos()),
        ("sign", sign),
        ("signum", sign),
        ("sin", f64::sin),
        ("sinh", f64::sinh),
        ("sqrt", f64::sqrt),
        ("tan", f64::tan),
        ("tanh", f64::tanh),
    ];
    for (name, f) in unary {
        set.add(name, "double -> double", move |row, _| Ok(f(row[0].float()).into()));
    }
    // Of a number that is not positive there is no logarithm.
    let logarithms: [(&str, Unary, f64); 4] = [
        ("ln", f64::ln, 0.0),
        ("log2", f64::log2, 0.0),
        ("log10", f64::log10, 0.0),
        ("log1p", f64::ln_1p, -1.0),
    ];
    for (name, f, least) in logarithms {
        set.add(name, "double -> double", move |row, _| {
            let x = row[0].float();
            Ok(if x <= least { Value::Null } else { f(x).into() })
        });
    }
    set.add("log", "double double? -> double", |row, _| {
        let (base, x) = match row {
            [x] => (std::f64::consts::E, x.float()),
            [base, x, ..] => (base.float(), x.float()),
            [] => return Ok(Value::Null),
        };
        if x <= 0.0 || base <= 0.0 {
            return Ok(Value::Null);
        }
        Ok(if row.len() == 1 { x.ln() } else { x.ln() / base.ln() }.into())
    });
    set.add("pi", " -> double", |_, _| Ok(std::f64::consts::PI.into()));
    set.add("e", " -> double", |_, _| Ok(std::f64::consts::E.into()));
    set.add("pow power", "double double -> double", |row, _| {
        let (base, exponent) = (row[0].float(), row[1].float());
        // As in Java: no number to a power that is none, and 1 to an infinite one is none.
        let none = exponent.is_nan() || base.abs() == 1.0 && exponent.is_infinite();
        Ok(if none { f64::NAN } else { base.powf(exponent) }.into())
    });
    set.add("atan2", "double double -> double", |row, _| {
        Ok((row[0].float() + 0.0).atan2(row[1].float() + 0.0).into())
    });
    set.add("hypot", "double double -> double", |row, _| Ok(row[0].float().hypot(row[1].float()).into()));
    set.add("factorial", "int -> long", |row, _| {
        let n = row[0].int();
        Ok(if (0..=20).contains(&n) { Value::Int((1..=n).product()) } else { Value::Null })
    });
    for (name, mode) in [("ceil", Mode::Up), ("ceiling", Mode::Up), ("floor", Mode::Down)] {
        set.typed(
            name,
            "num int? -> ..",
            move |site| rounded_type(site, true),
            move |row, site| round(row, site, mode),
        );
    }
    for (name, mode) in [("round", Mode::HalfUp), ("bround", Mode::HalfEven)] {
        set.typed(
            name,
            "num int? -> ..",
            move |site| rounded_type(site, false),
            move |row, site| round(row, site, mode),
        );
    }
    set.add("bin", "long -> str", |row, _| Ok(format!("{:b}", row[0].int()).into()));
    set.add("hex", "any -> str", |row, _| {
        Ok(match &row[0] {
            Value::Str(_) | Value::Bin(_) => hex(row[0].bytes()).into(),
            other => format!("{:X}", other.int()).into(),
        })
    });
    set.add("unhex", "str -> bin", |row, _| Ok(unhex(row[0].str()).map_or(Value::Null, Value::Bin)));
    set.add("conv", "str int int -> str", |row, _| Ok(conv(row[0].str(), row[1].int(), row[2].int()).into()));
    set.add("bit_count", "any -> int", |row, site| {
        Ok(Value::Int(match site.argument(0) {
            DataType::Boolean => i64::from(row[0].truth()),
            _ => i64::from(row[0].int().count_ones()),
        }))
    });
    set.add("bit_get getbit", "num int -> tinyint", |row, site| {
        let (bit, width) = (row[1].int(), site.argument(0).primitive_width().unwrap_or(8) as i64 * 8);
        if !(0..width).contains(&bit) {
            return Err(condition::parameter(
                "bit_get",
                format!("bit {bit} is not between 0 and {}", width - 1),
            ));
        }
        Ok(Value::Int(row[0].int() >> bit & 1))
    });
    set.add("width_bucket", "any any any long -> long", |row, site| {
        let n = row[3].int();
        let f = |i: usize| match &row[i] {
            Value::Str(text) => text.trim().parse().unwrap_or(f64::NAN),
            other => other.float(),
        };
        let (x, low, high) = (f(0), f(1), f(2));
        let _ = site;
        if n <= 0 || n == i64::MAX || low == high || x.is_nan() || !low.is_finite() || !high.is_finite() {
            return Ok(Value::Null);
        }
        let (below, above) = if low < high { (x < low, x >= high) } else { (x > low, x <= high) };
        Ok(Value::Int(if below {
            0
        } else if above {
            n + 1
        } else {
            ((x - low) / (high - low) * n as f64) as i64 + 1
        }))
    });
    set.add("bitmap_bit_position", "long -> long", |row, _| {
        let n = row[0].int();
        Ok(Value::Int(if n > 0 { (n - 1) % 32_768 } else { -n % 32_768 }))
    });
    set.add("bitmap_bucket_number", "long -> long", |row, _| {
        let n = row[0].int();
        Ok(Value::Int(if n > 0 { 1 + (n - 1) / 32_768 } else { n / 32_768 }))
    });
    set.add("bitmap_count", "bin -> long", |row, _| {
        Ok(Value::Int(row[0].bytes().iter().map(|b| i64::from(b.count_ones())).sum()))
    });
}

fn sign(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Up,
    Down,
    HalfUp,
    HalfEven,
}

fn places(site: &Site) -> Result<Option<i64>> {
    match site.literals.get(1) {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value.int())),
        Some(None) => Err(condition::parameter("round", "the number of places must be a constant")),
    }
}

fn rounded_type(site: &Site, whole: bool) -> Result<DataType> {
    let places = places(site)?;
    Ok(match (site.argument(0), places) {
        (DataType::Decimal128(p, s), None) if whole => {
            DataType::Decimal128((p - s.unsigned_abs().min(*p) + 1).clamp(1, 38), 0)
        }
        (DataType::Float32 | DataType::Float64, None) if whole => DataType::Int64,
        (t, None) if whole && t.is_integer() => DataType::Int64,
        (DataType::Float32 | DataType::Float64, Some(n)) if whole => {
            let (p, s) = decimal::adjust(15 + n.clamp(0, 15) as i32 + 1, n.clamp(0, 15) as i32);
            DataType::Decimal128(p, s)
        }
        (t, Some(_)) if whole && t.is_integer() => {
            let (p, _) = decimal::type_for(t).unwrap_or((20, 0));
            DataType::Decimal128(p + 1, 0)
        }
        (DataType::Decimal128(p, s), places) => {
            let n = places.unwrap_or(0);
            let whole_digits = i32::from(*p) - i32::from(*s) + 1;
            if n < 0 {
                DataType::Decimal128(whole_digits.max(1 - n as i32).clamp(1, 38) as u8, 0)
            } else {
                let scale = n.min(i64::from(*s)) as i32;
                DataType::Decimal128((whole_digits + scale).min(38) as u8, scale as i8)
            }
        }
        (DataType::Null, _) => DataType::Float64,
        (t, _) => t.clone(),
    })
}

fn round(row: &[Value], site: &Site, mode: Mode) -> Result<Value> {
    let places = row.get(1).map_or(0, Value::int).clamp(-38, 38) as i32;
    let overflow = || condition::overflow(&format!("{} round", types::name(site.result())));
    match (&row[0], site.result()) {
        (Value::Float(x), DataType::Int64) if !x.is_finite() || x.abs() >= 9.3e18 => Err(overflow()),
        (Value::Float(x), t) if t.is_floating() => {
            if !x.is_finite() {
                return Ok(row[0].clone());
            }
            // In decimal digits, as the number is printed: 2.5 rounds as it reads.
            let text = if matches!(t, DataType::Float32) { format!("{}", *x as f32) } else { format!("{x}") };
            let Some((n, s)) = decimal::parse(&text) else { return Ok(row[0].clone()) };
            let n = rescale(n, i32::from(s), places, mode).ok_or_else(overflow)?;
            let shown = if places > 0 {
                decimal::text(n, places as i8)
            } else {
                decimal::text(n.saturating_mul(decimal::pow10(places.unsigned_abs())), 0)
            };
            Ok(Value::Float(shown.parse().unwrap_or(*x)))
        }
        (value, t) => {
            let (n, s) = match value {
                Value::Decimal(n, s) => (*n, i32::from(*s)),
                Value::Float(x) => match decimal::parse(&format!("{x}")) {
                    Some((n, s)) => (n, i32::from(s)),
                    None => return Ok(Value::Null),
                },
                other => (i128::from(other.int()), 0),
            };
            let places =
                if matches!(t, DataType::Decimal128(..)) { places.min(s.max(places.min(s))) } else { places };
            let n = rescale(n, s, places, mode).ok_or_else(overflow)?;
            match t {
                DataType::Decimal128(_, scale) => {
                    let scaled = if places < 0 {
                        n.checked_mul(decimal::pow10(places.unsigned_abs()))
                            .and_then(|n| decimal::scaled(n, 0, *scale))
                    } else {
                        decimal::scaled(n, places as i8, *scale)
                    };
                    Ok(Value::Decimal(scaled.ok_or_else(overflow)?, *scale))
                }
                t => {
                    let n = if places < 0 {
                        n.checked_mul(decimal::pow10(places.unsigned_abs()))
                    } else {
                        decimal::scaled(n, places as i8, 0)
                    };
                    let n = n.and_then(|n| i64::try_from(n).ok()).ok_or_else(overflow)?;
                    crate::value::cast::cast(&Value::Int(n), &DataType::Int64, t).map_err(|_| overflow())
                }
            }
        }
    }
}

/// The number of units of `10^-places`.
fn rescale(n: i128, scale: i32, places: i32, mode: Mode) -> Option<i128> {
    if places >= scale {
        return n.checked_mul(10_i128.checked_pow((places - scale) as u32)?);
    }
    let Some(unit) = 10_i128.checked_pow((scale - places) as u32) else { return Some(0) };
    let (whole, rest) = (n.div_euclid(unit), n.rem_euclid(unit));
    Some(match mode {
        Mode::Down => whole,
        Mode::Up => whole + i128::from(rest > 0),
        Mode::HalfUp => {
            let up = if n < 0 { rest * 2 > unit } else { rest * 2 >= unit };
            whole + i128::from(up)
        }
        Mode::HalfEven => {
            let up = rest * 2 > unit || rest * 2 == unit && whole % 2 != 0;
            whole + i128::from(up)
        }
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let padded = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    let digits = padded.as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// A number from one base to another; a negative target base gives a signed result.
fn conv(text: &str, from: i64, to: i64) -> Option<String> {
    if !(2..=36).contains(&from.abs()) || !(2..=36).contains(&to.abs()) {
        return None;
    }
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut number: u64 = 0;
    for c in digits.chars() {
        let Some(digit) = c.to_digit(from.unsigned_abs() as u32) else { break };
        number = match number.checked_mul(from.unsigned_abs()).and_then(|n| n.checked_add(u64::from(digit))) {
            Some(n) => n,
            None => {
                number = u64::MAX;
                break;
            }
        };
    }
    let mut minus = false;
    if to < 0 {
        let signed = if negative { (number as i64).wrapping_neg() } else { number as i64 };
        minus = signed < 0;
        number = signed.unsigned_abs();
    } else if negative {
        number = (number as i64).wrapping_neg() as u64;
    }
    let base = to.unsigned_abs();
    let mut out = Vec::new();
    loop {
        out.push(char::from_digit((number % base) as u32, base as u32)?.to_ascii_uppercase());
        number /= base;
        if number == 0 {
            break;
        }
    }
    if minus {
        out.push('-');
    }
    Some(out.into_iter().rev().collect())
}
