//! Numbers as formatted text: `format_number`, `printf`, `to_char`, `to_number`.

use super::Set;
use super::number_pattern::NumberPattern;
use crate::condition;
use crate::value::{Value, cast, decimal, format, types};
use base64::Engine as _;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

pub(super) fn add(set: &mut Set) {
    set.add("format_number", "num any -> str", |row, _| {
        let places = match &row[1] {
            Value::Str(pattern) => {
                // Java's DecimalFormat: digits after the dot, grouping by a comma.
                let least = pattern.split_once('.').map_or(0, |(_, f)| f.matches('0').count());
                let most = pattern.split_once('.').map_or(0, |(_, f)| f.matches(['#', '0']).count());
                return Ok(fixed(&row[0], most, least, pattern.contains(',')).into());
            }
            other => other.int(),
        };
        Ok(match usize::try_from(places) {
            Ok(places) => fixed(&row[0], places, places, true).into(),
            Err(_) => Value::Null,
        })
    });
    set.add("format_string printf", "! str any* -> str", |row, site| {
        if row[0].is_null() {
            return Ok(Value::Null);
        }
        printf(row[0].str(), &row[1..], &site.types[1..]).map(Value::Str)
    });
    for name in ["to_char", "to_varchar"] {
        set.add(name, "any str -> str", |row, site| match &row[0] {
            Value::Date(_) | Value::Ts(_) => {
                if let (Value::Ts(micros), Some(zone)) = (&row[0], types::zone_of(site.argument(0))) {
                    return super::timeparts::print_in(*micros, row[1].str(), Some(zone)).map(Value::Str);
                }
                let micros = cast::cast(&row[0], site.argument(0), &types::TIMESTAMP)?.int();
                super::timeparts::print(micros, row[1].str()).map(Value::Str)
            }
            Value::Bin(bytes) => match row[1].str().to_lowercase().as_str() {
                "hex" => Ok(super::math::hex(bytes).into()),
                "base64" => Ok(base64::engine::general_purpose::STANDARD.encode(bytes).into()),
                "utf-8" => Ok(String::from_utf8_lossy(bytes).into_owned().into()),
                other => {
                    Err(condition::parameter("to_char", format!("`{other}` is not hex, utf-8 or base64")))
                }
            },
            number => {
                let pattern = NumberPattern::read(row[1].str())?;
                let (n, scale) = exact(number, site.argument(0))?;
                Ok(pattern.print(n, scale).into())
            }
        });
    }
    set.typed(
        "to_number",
        "str str -> ..",
        |site| {
            let Some(pattern) = site.literal(1) else {
                return Err(condition::parameter("to_number", "the format must be a constant"));
            };
            let (digits, scale) = NumberPattern::read(pattern)?.digits();
            // As many as a DECIMAL has.
            Ok(DataType::Decimal128(digits.min(38) as u8, scale.min(38) as i8))
        },
        |row, site| {
            let DataType::Decimal128(_, scale) = *site.result() else { return Ok(Value::Null) };
            NumberPattern::read(row[1].str())?.parse(row[0].str()).map(|n| Value::Decimal(n, scale))
        },
    );
    set.also_try("to_number");
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// At most `most` and at least `least` digits after the dot, rounded half to even.
fn fixed(value: &Value, most: usize, least: usize, group: bool) -> String {
    let text = match value {
        Value::Float(x) if !x.is_finite() => return format::double(*x),
        Value::Float(x) => format!("{x}"),
        Value::Decimal(n, s) => decimal::text(*n, *s),
        other => other.int().to_string(),
    };
    let Some((n, s)) = decimal::parse(&text) else { return text };
    let places = most.min(30) as i8;
    let n = if s > places {
        let unit = decimal::pow10((s - places) as u32);
        let (whole, rest) = (n.div_euclid(unit), n.rem_euclid(unit));
        whole + i128::from(rest * 2 > unit || rest * 2 == unit && whole % 2 != 0)
    } else {
        decimal::scaled(n, s, places).unwrap_or(n)
    };
    let text = decimal::text(n, places);
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut fraction = fraction.to_owned();
    while fraction.len() > least && fraction.ends_with('0') {
        fraction.pop();
    }
    let whole = if group { grouped(whole) } else { whole.to_owned() };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// C's format with Java's conversions: `%d %s %x %o %e %f %c %b %%`, with flags, width and precision.
fn printf(pattern: &str, arguments: &[Value], given: &[DataType]) -> Result<String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut next = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_ascii_alphabetic() && *c != '%') {
            spec.push(c);
        }
        let Some(conversion) = chars.next() else {
            return Err(condition::parameter("format_string", "the format ends after `%`"));
        };
        if conversion == '%' {
            out.push('%');
            continue;
        }
        if conversion == 'n' {
            out.push('\n');
            continue;
        }
        let mut index = next;
        if let Some((position, rest)) = spec.clone().split_once('$') {
            index = position.parse::<usize>().unwrap_or(1).saturating_sub(1);
            spec = rest.to_owned();
        } else {
            next += 1;
        }
        let Some(value) = arguments.get(index) else {
            return Err(condition::parameter(
                "format_string",
                format!("`%{spec}{conversion}` has no argument, {} were given", arguments.len()),
            ));
        };
        let flags: String = spec.chars().take_while(|c| "-+ 0,#(".contains(*c)).collect();
        let sizes = &spec[flags.len()..];
        let (width, precision) = sizes.split_once('.').unwrap_or((sizes, ""));
        let (width, precision) =
            (width.parse::<usize>().unwrap_or(0).min(4096), precision.parse::<usize>().ok());
        let plus = |text: String| {
            if flags.contains('+') && !text.starts_with('-') { format!("+{text}") } else { text }
        };
        let mut text = match conversion {
            _ if value.is_null() => "null".into(),
            'd' => {
                let digits = value.int().unsigned_abs().to_string();
                let digits = if flags.contains(',') { grouped(&digits) } else { digits };
                plus(if value.int() < 0 { format!("-{digits}") } else { digits })
            }
            'x' => format!("{:x}", value.int()),
            'X' => format!("{:X}", value.int()),
            'o' => format!("{:o}", value.int()),
            'c' => match value {
                Value::Str(text) => text.chars().take(1).collect(),
                other => char::from_u32(other.int() as u32).map_or(String::new(), |c| c.to_string()),
            },
            'f' => {
                let text = match value {
                    Value::Decimal(n, s) => fixed(
                        &Value::Decimal(*n, *s),
                        precision.unwrap_or(6),
                        precision.unwrap_or(6),
                        flags.contains(','),
                    ),
                    other => format!("{:.*}", precision.unwrap_or(6), other.float()),
                };
                plus(text)
            }
            'e' | 'E' => {
                let text = format!("{:.*e}", precision.unwrap_or(6), value.float());
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let power: i32 = exponent.parse().unwrap_or(0);
                let sign = if power < 0 { '-' } else { '+' };
                let text = plus(format!("{mantissa}e{sign}{:02}", power.abs()));
                if conversion == 'E' { text.to_uppercase() } else { text }
            }
            'b' | 'B' => value.truth().to_string(),
            's' | 'S' => {
                let text = format::cast_text(value, given.get(index).unwrap_or(&DataType::Null));
                let text = precision.map_or(text.clone(), |p| text.chars().take(p).collect());
                if conversion == 'S' { text.to_uppercase() } else { text }
            }
            other => {
                return Err(condition::parameter(
                    "format_string",
                    format!("there is no conversion `%{other}`"),
                ));
            }
        };
        let missing = width.saturating_sub(text.chars().count());
        if flags.contains('-') {
            text.push_str(&" ".repeat(missing));
        } else if flags.contains('0') {
            let at = usize::from(text.starts_with(['-', '+']));
            text.insert_str(at, &"0".repeat(missing));
        } else {
            text.insert_str(0, &" ".repeat(missing));
        }
        out.push_str(&text);
    }
    Ok(out)
}

/// A number as it is printed: without its point, and the digits behind it.
fn exact(value: &Value, from: &DataType) -> Result<(i128, i8)> {
    let scale = match from {
        DataType::Decimal128(_, scale) => *scale,
        DataType::Float32 => 7,
        DataType::Float64 => 15,
        DataType::Utf8 => 18,
        _ => 0,
    };
    match cast::cast(value, from, &DataType::Decimal128(decimal::MAX, scale))? {
        Value::Decimal(n, scale) => Ok((n, scale)),
        _ => Err(condition::parameter("to_char", "the value is no number")),
    }
}
