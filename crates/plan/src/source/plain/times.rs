//! Points in time as they are usually written, `2024-02-29T13:45:07.125` or with a blank between, `Z` behind it or not.
//!
//! Anything else is the parser's of Arrow, so it means what it means to DataFusion's reader.

use chrono::Utc;
use datafusion::arrow::array::{ArrayRef, Int64Builder};
use datafusion::arrow::compute::kernels::cast_utils::string_to_datetime;
use datafusion::arrow::datatypes::{
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use std::sync::Arc;

/// A cell as a count of units since 1970, at UTC; none if it is no point in time or too far away.
#[inline]
pub(super) fn time(cell: &str, unit: TimeUnit) -> Option<i64> {
    let (seconds, nanos) = usual(cell.as_bytes()).or_else(|| {
        let time = string_to_datetime(&Utc, cell).ok()?;
        Some((time.timestamp(), i64::from(time.timestamp_subsec_nanos())))
    })?;
    match unit {
        TimeUnit::Second => Some(seconds),
        TimeUnit::Millisecond => seconds.checked_mul(1_000)?.checked_add(nanos / 1_000_000),
        TimeUnit::Microsecond => seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000),
        // by the later second, so that the earliest nanosecond of all is not an overflow on the way
        TimeUnit::Nanosecond if seconds < 0 => {
            (seconds + 1).checked_mul(1_000_000_000)?.checked_add(nanos - 1_000_000_000)
        }
        TimeUnit::Nanosecond => seconds.checked_mul(1_000_000_000)?.checked_add(nanos),
    }
}

/// Seconds since 1970 and nanoseconds behind them, of what is written in the usual way.
#[inline]
fn usual(cell: &[u8]) -> Option<(i64, i64)> {
    let cell = cell.strip_suffix(b"Z").unwrap_or(cell);
    let (date, rest) = cell.split_first_chunk::<10>()?;
    let (clock, fraction) = rest.split_first_chunk::<9>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let [b'T' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] = *clock else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day < 1 || day > days_of(year, month) {
        return None;
    }
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let mut nanos = 0;
            for at in 0..9 {
                nanos = nanos * 10 + digits.get(at).map_or(Some(0), |digit| number(*digit))?;
            }
            nanos
        }
        _ => return None,
    };
    Some((days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second, nanos))
}

#[inline]
fn number(digit: u8) -> Option<i64> {
    let number = digit.wrapping_sub(b'0');
    (number <= 9).then_some(i64::from(number))
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<i64> {
    Some(number(tens)? * 10 + number(ones)?)
}

#[inline]
fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 in the Gregorian calendar, for years from 0: a year begins in March, so that the leap day is its
/// last (H. Hinnant, "chrono-compatible low-level date algorithms", 2013).
#[inline]
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let of_400 = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_400 * 365 + of_400 / 4 - of_400 / 100 + of_year - 719_468
}

/// A column of counts as a column of times.
pub(super) fn finish(counts: &mut Int64Builder, unit: TimeUnit) -> ArrayRef {
    let counts = counts.finish();
    match unit {
        TimeUnit::Second => Arc::new(counts.reinterpret_cast::<TimestampSecondType>()),
        TimeUnit::Millisecond => Arc::new(counts.reinterpret_cast::<TimestampMillisecondType>()),
        TimeUnit::Microsecond => Arc::new(counts.reinterpret_cast::<TimestampMicrosecondType>()),
        TimeUnit::Nanosecond => Arc::new(counts.reinterpret_cast::<TimestampNanosecondType>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNITS: [TimeUnit; 4] =
        [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];

    /// As Arrow's reader of CSV makes counts of what the parser gives.
    fn check(text: &str) {
        for unit in UNITS {
            let wanted = string_to_datetime(&Utc, text).ok().and_then(|time| match unit {
                TimeUnit::Second => Some(time.timestamp()),
                TimeUnit::Millisecond => Some(time.timestamp_millis()),
                TimeUnit::Microsecond => Some(time.timestamp_micros()),
                TimeUnit::Nanosecond => time.timestamp_nanos_opt(),
            });
            assert_eq!(time(text, unit), wanted, "{text:?} {unit:?}");
        }
    }

    proptest! {
        #[test]
        fn as_the_parser_says(
            number in -99_999_999_999_i64..253_402_300_800,
            nanos in 0..1_000_000_000_u32,
            form in prop::sample::select(vec![
                "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.3f",
                "%Y-%m-%dT%H:%M:%S%.6fZ", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M", "%H:%M:%S",
            ]),
            cut in 0..40_usize,
            odd in prop::option::weighted(0.3, (0..30_usize, "[0-9TZ:. -]")),
        ) {
            let time = chrono::DateTime::from_timestamp(number, nanos).unwrap();
            let mut text = time.format(form).to_string();
            check(&text);
            if let Some((at, with)) = odd && at < text.len() && text.is_ascii() {
                text.replace_range(at..=at, &with);
                check(&text);
            }
            check(text.get(..cut).unwrap_or(&text));
        }
    }

    #[test]
    fn edges() {
        for text in [
            "",
            "1970-01-01T00:00:00",
            "1969-12-31T23:59:59.999999999",
            "2000-02-29T00:00:00",
            "1900-02-29T00:00:00",
            "2024-02-30T00:00:00",
            "0000-01-01T00:00:00",
            "9999-12-31T23:59:59.9",
            "1677-09-21T00:12:43.145224192",
            "1677-09-21T00:12:43.145224191",
            "2262-04-11T23:47:16.854775807",
            "2262-04-11T23:47:16.854775808",
            "2024-01-01T24:00:00",
            "2024-01-01T23:59:60",
            "2024-01-01T23:59:59.",
            "2024-01-01T23:59:59.1234567891",
            "2024-01-01T23:59:59Z",
            "2024-01-01T23:59:59+02:00",
            "2024-01-01 23:59:59 Europe/Paris",
            "2024-13-01T00:00:00",
            "2024-00-10T00:00:00",
            "2024-01-00T00:00:00",
        ] {
            check(text);
        }
    }
}
