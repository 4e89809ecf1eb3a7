//! Values printed as Spark prints them.

use super::datetime;
use super::types::{entry_of, item_of};
use super::{Value, decimal};
use datafusion::arrow::datatypes::DataType;

/// The text of a value of a type: `NULL`, `1.5`, `["a","b"]`, `{1:"x"}`, `{"f":2}`.
pub(crate) fn text(value: &Value, data_type: &DataType) -> String {
    match value {
        Value::Null => "NULL".into(),
        _ => {
            let mut out = String::new();
            write(&mut out, value, data_type, false);
            out
        }
    }
}

fn write(out: &mut String, value: &Value, data_type: &DataType, nested: bool) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Str(text) if nested => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Value::List(items) => {
            let item = item_of(data_type).unwrap_or(&DataType::Null);
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, value, item, true);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let (key, mapped) = entry_of(data_type).unwrap_or((&DataType::Null, &DataType::Null));
            out.push('{');
            for (index, (k, v)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, k, key, true);
                out.push(':');
                write(out, v, mapped, true);
            }
            out.push('}');
        }
        Value::Struct(values) if super::types::is_variant(data_type) => {
            out.push_str(values.first().map_or("null", |text| text.str()));
        }
        Value::Struct(values) => {
            let DataType::Struct(fields) = data_type else { return };
            out.push('{');
            for (index, (value, field)) in values.iter().zip(fields).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push('"');
                out.push_str(field.name());
                out.push_str("\":");
                write(out, value, field.data_type(), true);
            }
            out.push('}');
        }
        Value::Micros(micros) => out.push_str(&day_time_hive(*micros)),
        other => out.push_str(&cast_text(other, data_type)),
    }
}

/// The text that `CAST(.. AS STRING)` gives.
pub(crate) fn cast_text(value: &Value, data_type: &DataType) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(x) if matches!(data_type, DataType::Float32) => float(*x as f32),
        Value::Float(x) => double(*x),
        Value::Decimal(n, s) => decimal::text(*n, *s),
        Value::Str(text) => text.clone(),
        Value::Bin(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Date(days) => datetime::date_text(*days),
        Value::Ts(micros) => {
            let zone = super::types::zone_of(data_type);
            let local = zone.and_then(|zone| datetime::from_utc(*micros, zone));
            datetime::timestamp_text(local.unwrap_or(*micros))
        }
        Value::Time(micros) => datetime::time_text(*micros),
        Value::Months(months) => year_month(*months),
        Value::Micros(micros) => day_time_hive(*micros),
        Value::Calendar(months, days, micros) => calendar(*months, *days, *micros),
        Value::List(items) => {
            let item = item_of(data_type).unwrap_or(&DataType::Null);
            let items: Vec<String> = items.iter().map(|v| cast_text(v, item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let (key, mapped) = entry_of(data_type).unwrap_or((&DataType::Null, &DataType::Null));
            let entries: Vec<String> = entries
                .iter()
                .map(|(k, v)| format!("{} -> {}", cast_text(k, key), cast_text(v, mapped)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        // A text in a VARIANT is itself, everything else is JSON.
        Value::Struct(_) if super::types::is_variant(data_type) => {
            crate::functions::variant::json_of(value).map_or_else(|| "null".into(), |json| json.plain())
        }
        Value::Struct(values) => {
            let DataType::Struct(fields) = data_type else { return String::new() };
            let values: Vec<String> =
                values.iter().zip(fields).map(|(v, f)| cast_text(v, f.data_type())).collect();
            format!("{{{}}}", values.join(", "))
        }
    }
}

/// The shortest digits that read back as the same double, in Java's layout: `1.0`, `1.0E10`, `1.0E-5`.
pub(crate) fn double(x: f64) -> String {
    java(x.is_nan(), x.is_infinite(), x.is_sign_negative(), x.abs(), format!("{:e}", x.abs()))
}

/// As [`double`], for 32 bits.
pub(crate) fn float(x: f32) -> String {
    let wide = f64::from(x.abs());
    java(x.is_nan(), x.is_infinite(), x.is_sign_negative(), wide, format!("{:e}", x.abs()))
}

fn java(nan: bool, infinite: bool, negative: bool, size: f64, scientific: String) -> String {
    let sign = if negative { "-" } else { "" };
    if nan {
        return "NaN".into();
    }
    if infinite {
        return format!("{sign}Infinity");
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        let dot = if mantissa.contains('.') { "" } else { ".0" };
        return format!("{sign}{mantissa}{dot}E{exponent}");
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        format!("{sign}{digits}{}.0", "0".repeat(whole - digits.len()))
    } else {
        format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
    }
}

/// `-1-2` for one year and two months ago.
pub(crate) fn year_month(months: i32) -> String {
    let sign = if months < 0 { "-" } else { "" };
    let months = months.unsigned_abs();
    format!("{sign}{}-{}", months / 12, months % 12)
}

/// `1 02:03:04.000000000`.
pub(crate) fn day_time_hive(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    format!(
        "{sign}{} {:02}:{:02}:{:02}.{:09}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        micros % 1_000_000 * 1000
    )
}

/// `1 years 2 months 3 days 4 hours`, without the parts that are zero.
pub(crate) fn calendar(months: i32, days: i32, micros: i64) -> String {
    let mut parts = Vec::new();
    let mut push = |n: i64, unit: &str| {
        if n != 0 {
            parts.push(format!("{n} {unit}"));
        }
    };
    push(i64::from(months / 12), "years");
    push(i64::from(months % 12), "months");
    push(i64::from(days), "days");
    let (minutes, rest) = (micros / 60_000_000, micros % 60_000_000);
    push(minutes / 60, "hours");
    push(minutes % 60, "minutes");
    if rest != 0 {
        let (n, mut scale) = (rest, 6_i8);
        let mut n = i128::from(n);
        while scale > 0 && n % 10 == 0 {
            n /= 10;
            scale -= 1;
        }
        parts.push(format!("{} seconds", decimal::text(n, scale)));
    }
    if parts.is_empty() { "0 seconds".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles() {
        let check = |x: f64, expect: &str| assert_eq!(double(x), expect);
        check(1.0, "1.0");
        check(-0.0, "-0.0");
        check(0.1, "0.1");
        check(1e7, "1.0E7");
        check(9_999_999.0, "9999999.0");
        check(1.25e-5, "1.25E-5");
        check(0.001, "0.001");
        check(123.456, "123.456");
        check(f64::NEG_INFINITY, "-Infinity");
        check(f64::NAN, "NaN");
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(16_777_216.0), "1.6777216E7");
    }

    #[test]
    fn intervals() {
        assert_eq!(year_month(-11), "-0-11");
        assert_eq!(day_time_hive(1_500_000), "0 00:00:01.500000000");
        assert_eq!(
            calendar(1211, 8, 45_001_001_001),
            "100 years 11 months 8 days 12 hours 30 minutes 1.001001 seconds"
        );
        assert_eq!(calendar(0, 0, 0), "0 seconds");
    }
}
