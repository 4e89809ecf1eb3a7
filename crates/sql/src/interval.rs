//! Intervals as text: `3 days 2 hours`, `'1-2' YEAR TO MONTH`, `interval 1 day`.

use crate::value::{Value, datetime::DAY, types};
use datafusion::arrow::datatypes::{DataType, IntervalUnit};

/// Months, days and microseconds, and which of Spark's three interval types they were written as.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Interval {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) micros: i64,
    /// Whether years or months were written.
    pub(crate) has_months: bool,
    /// Whether weeks, days or smaller units were written.
    pub(crate) has_days: bool,
}

impl Interval {
    fn add(&mut self, number: &str, unit: &str) -> Option<()> {
        let unit = unit.to_lowercase();
        let unit = unit.strip_suffix('s').unwrap_or(&unit);
        let whole = || number.parse::<i64>().ok();
        match unit {
            "year" => {
                self.months = self.months.checked_add(i32::try_from(whole()?.checked_mul(12)?).ok()?)?
            }
            "quarter" => {
                self.months = self.months.checked_add(i32::try_from(whole()?.checked_mul(3)?).ok()?)?
            }
            "month" => self.months = self.months.checked_add(i32::try_from(whole()?).ok()?)?,
            "week" => self.days = self.days.checked_add(i32::try_from(whole()?.checked_mul(7)?).ok()?)?,
            "day" => self.days = self.days.checked_add(i32::try_from(whole()?).ok()?)?,
            _ => {
                let unit = match unit {
                    "hour" => 3_600_000_000,
                    "minute" => 60_000_000,
                    "second" => 1_000_000,
                    "millisecond" => 1000,
                    "microsecond" => 1,
                    _ => return None,
                };
                let (n, scale) = crate::value::decimal::parse(number)?;
                // What is less than a microsecond is cut off.
                let micros = n.checked_mul(unit)? / 10_i128.checked_pow(u32::from(scale.unsigned_abs()))?;
                self.micros = self.micros.checked_add(i64::try_from(micros).ok()?)?;
            }
        }
        if matches!(unit, "year" | "quarter" | "month") {
            self.has_months = true;
        } else {
            self.has_days = true;
        }
        Some(())
    }

    /// The type that a literal of this interval has.
    pub(crate) fn data_type(&self) -> DataType {
        match (self.has_months, self.has_days) {
            (true, true) => types::CALENDAR,
            (true, false) => types::YEAR_MONTH,
            _ => types::DAY_TIME,
        }
    }

    /// The value in an interval type, if it can be one.
    pub(crate) fn as_type(&self, data_type: &DataType) -> Option<Value> {
        match data_type {
            DataType::Interval(IntervalUnit::YearMonth) => {
                (self.days == 0 && self.micros == 0).then_some(Value::Months(self.months))
            }
            DataType::Duration(_) => {
                let days = i64::from(self.days).checked_mul(DAY)?;
                (self.months == 0).then_some(Value::Micros(days.checked_add(self.micros)?))
            }
            _ => Some(Value::Calendar(self.months, self.days, self.micros)),
        }
    }

    /// `'1-2'` between the units of `YEAR TO MONTH`, `'3 04:05:06'` between those of `DAY TO SECOND`.
    pub(crate) fn between(text: &str, from: &str, to: &str) -> Option<Interval> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest.trim()),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let units = ["day", "hour", "minute", "second"];
        let mut interval = Interval::default();
        if from.eq_ignore_ascii_case("year") && to.eq_ignore_ascii_case("month") {
            let (years, months) = text.split_once('-')?;
            interval.add(years, "year")?;
            interval.add(months, "month")?;
        } else {
            let place = |unit: &str| units.iter().position(|u| u.eq_ignore_ascii_case(unit));
            let (from, to) = (place(from)?, place(to)?);
            let parts: Vec<&str> = text.split([' ', ':']).filter(|part| !part.is_empty()).collect();
            if to < from || parts.len() != to - from + 1 {
                return None;
            }
            for (part, unit) in parts.iter().zip(&units[from..]) {
                interval.add(part, unit)?;
            }
        }
        if negative {
            interval.months = -interval.months;
            interval.days = -interval.days;
            interval.micros = -interval.micros;
        }
        Some(interval)
    }
}

/// `1 year 2 days`, with or without the word `interval` before it; also `1-2` and `3 04:05:06`.
pub(crate) fn parse(text: &str) -> Option<Interval> {
    let text = text.trim();
    let body = match text.get(..8) {
        Some(word) if word.eq_ignore_ascii_case("interval") => text[8..].trim(),
        _ => text,
    };
    let words: Vec<&str> = body.split_whitespace().collect();
    if let [one] = words[..]
        && let Some(found) = Interval::between(one, "year", "month")
    {
        return Some(found);
    }
    // The form that casts to text write: INTERVAL '1-2' YEAR TO MONTH.
    if let Some(rest) = body.strip_prefix('\'')
        && let Some((inner, units)) = rest.split_once('\'')
    {
        let units: Vec<&str> = units.split_whitespace().collect();
        return match units[..] {
            [from, _, to] => Interval::between(inner, from, to),
            [unit] => {
                let mut interval = Interval::default();
                interval.add(inner.trim(), unit)?;
                Some(interval)
            }
            _ => None,
        };
    }
    if words.is_empty() {
        return None;
    }
    let mut interval = Interval::default();
    let mut rest = &words[..];
    while let [number, tail @ ..] = rest {
        // `- 1 day` and `+ 1 day`.
        if let ("-" | "+", [digits, unit, tail @ ..]) = (*number, tail) {
            interval.add(&format!("{number}{digits}"), unit)?;
            rest = tail;
            continue;
        }
        // `1 day` and `04:05:06` after days.
        if number.contains(':') {
            let clock = Interval::between(number, "hour", "second")?;
            interval.micros = interval.micros.checked_add(clock.micros)?;
            interval.has_days = true;
            rest = tail;
            continue;
        }
        let [unit, tail @ ..] = tail else { return None };
        if unit.contains(':') {
            let clock = Interval::between(&format!("{number} {unit}"), "day", "second")?;
            interval.days = interval.days.checked_add(clock.days)?;
            interval.micros = interval.micros.checked_add(clock.micros)?;
            interval.has_days = true;
        } else {
            interval.add(number, unit)?;
        }
        rest = tail;
    }
    Some(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: &str, expect: Option<(i32, i32, i64)>| {
            assert_eq!(parse(text).map(|i| (i.months, i.days, i.micros)), expect, "{text}");
        };
        check("1 day", Some((0, 1, 0)));
        check("interval 2 years 3 months", Some((27, 0, 0)));
        check("1-2", Some((14, 0, 0)));
        check("-1 week 1.5 seconds", Some((0, -7, 1_500_000)));
        check("3 04:05:06", Some((0, 3, 14_706_000_000)));
        check("day", None);
        check("1 lightyear", None);
        check("", None);
    }
}
