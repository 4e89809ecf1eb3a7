//! Dates, timestamps and times: civil calendar, text in and out. In UTC where no zone is named.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::{OffsetName, Tz};
use std::str::FromStr;

pub(crate) const DAY: i64 = 86_400_000_000;

pub(crate) fn date(days: i32) -> NaiveDate {
    NaiveDate::from_epoch_days(days).unwrap_or(if days < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
}

pub(crate) fn days(date: NaiveDate) -> i32 {
    date.to_epoch_days()
}

pub(crate) fn ymd(year: i64, month: i64, day: i64) -> Option<i32> {
    let year = i32::try_from(year).ok()?;
    Some(days(NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?))
}

/// Days and microseconds of the day.
pub(crate) fn split(micros: i64) -> (i32, i64) {
    (micros.div_euclid(DAY) as i32, micros.rem_euclid(DAY))
}

pub(crate) fn naive(micros: i64) -> NaiveDateTime {
    DateTime::<Utc>::from_timestamp_micros(micros).map(|t| t.naive_utc()).unwrap_or_default()
}

pub(crate) fn date_text(days: i32) -> String {
    let d = date(days);
    if (0..10_000).contains(&d.year()) {
        format!("{:04}-{:02}-{:02}", d.year(), d.month(), d.day())
    } else {
        format!("{:+05}-{:02}-{:02}", d.year(), d.month(), d.day())
    }
}

pub(crate) fn time_text(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { clock } else { format!("{clock}.{}", format!("{fraction:06}").trim_end_matches('0')) }
}

pub(crate) fn timestamp_text(micros: i64) -> String {
    let (days, of_day) = split(micros);
    format!("{} {}", date_text(days), time_text(of_day))
}

/// As [`timestamp_text`], of nanoseconds.
pub(crate) fn nanos_text(nanos: i64) -> String {
    let (micros, rest) = (nanos.div_euclid(1000), nanos.rem_euclid(1000));
    let text = timestamp_text(micros);
    if rest == 0 {
        return text;
    }
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    let fraction = format!("{:06}{rest:03}", micros.rem_euclid(1_000_000));
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// The same day of another month, or that month's last day.
pub(crate) fn add_months(days_: i32, months: i64) -> Option<i32> {
    let d = date(days_);
    let total = i64::from(d.year()) * 12 + i64::from(d.month0()) + months;
    let (year, month) = (i32::try_from(total.div_euclid(12)).ok()?, total.rem_euclid(12) as u32 + 1);
    let day = d.day().min(last_day(year, month));
    Some(days(NaiveDate::from_ymd_opt(year, month, day)?))
}

pub(crate) fn add_months_ts(micros: i64, months: i64) -> Option<i64> {
    let (days, of_day) = split(micros);
    i64::from(add_months(days, months)?).checked_mul(DAY)?.checked_add(of_day)
}

pub(crate) fn last_day(year: i32, month: u32) -> u32 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    NaiveDate::from_ymd_opt(next.0, next.1, 1).and_then(|d| d.pred_opt()).map_or(28, |d| d.day())
}

struct Scan<'a>(&'a [u8], usize);

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.0.get(self.1).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.1 += usize::from(there);
        there
    }

    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let start = self.1;
        while self.1 - start < most && self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.1 += 1;
        }
        let digits = self.1 - start;
        (digits >= least).then(|| std::str::from_utf8(&self.0[start..self.1]).ok()?.parse().ok()).flatten()
    }

    fn date(&mut self) -> Option<i32> {
        let negative = self.eat(b'-');
        if !negative {
            self.eat(b'+');
        }
        let year = self.number(4, 7)?;
        let (mut month, mut day) = (1, 1);
        if self.eat(b'-') {
            month = self.number(1, 2)?;
            if self.eat(b'-') {
                day = self.number(1, 2)?;
            }
        }
        ymd(if negative { -year } else { year }, month, day)
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.number(1, 2)?;
        let (mut minute, mut second, mut micros) = (0, 0, 0);
        if self.eat(b':') {
            minute = self.number(1, 2)?;
            if self.eat(b':') {
                second = self.number(1, 2)?;
                if self.eat(b'.') {
                    let start = self.1;
                    self.number(0, 18)?;
                    let digits = std::str::from_utf8(&self.0[start..self.1]).ok()?;
                    micros = format!("{digits:0<6}")[..6].parse().ok()?;
                }
            }
        }
        (hour < 24 && minute < 60 && second < 60)
            .then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
    }

    fn rest(&self) -> &str {
        std::str::from_utf8(&self.0[self.1..]).unwrap_or("?")
    }
}

/// `2024`, `2024-1`, `2024-01-31`, and anything after a space or `T`.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let text = text.trim();
    let mut scan = Scan(text.as_bytes(), 0);
    // A bare number of fewer or more than four digits is no year.
    let days = scan.date()?;
    let rest = scan.rest();
    (rest.is_empty() || rest.starts_with([' ', 'T'])).then_some(days)
}

/// A date, with an optional time and zone.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    parse_timestamp_in(text, None)
}

/// As [`parse_timestamp`], in a zone where the text names none.
pub(crate) fn parse_timestamp_in(text: &str, session: Option<&str>) -> Option<i64> {
    let settle = |local: i64| match session {
        Some(zone) => to_utc(local, zone),
        None => Some(local),
    };
    let text = text.trim();
    let mut scan = Scan(text.as_bytes(), 0);
    let days = i64::from(scan.date()?);
    if scan.rest().is_empty() {
        return settle(days.checked_mul(DAY)?);
    }
    if !scan.eat(b' ') && !scan.eat(b'T') {
        return None;
    }
    let local = days.checked_mul(DAY)?.checked_add(scan.time()?)?;
    let zone = scan.rest().trim();
    if zone.is_empty() { settle(local) } else { to_utc(local, zone) }
}

/// As [`parse_timestamp`], in nanoseconds; none if it has none of these beside microseconds.
pub(crate) fn parse_nanos(text: &str) -> Option<i64> {
    let micros = parse_timestamp(text)?;
    let (_, fraction) = text.split_once('.')?;
    let digits: String =
        fraction.chars().take_while(char::is_ascii_digit).chain("000000000".chars()).take(9).collect();
    let nanos: i64 = digits[6..].parse().ok()?;
    if nanos == 0 { None } else { micros.checked_mul(1000)?.checked_add(nanos) }
}

/// `14:30:45.887`.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let mut scan = Scan(text.trim().as_bytes(), 0);
    let time = scan.time()?;
    scan.rest().is_empty().then_some(time)
}

/// A zone by name or offset, as seconds east of UTC at the given UTC microseconds.
enum Zone {
    Named(Tz),
    Fixed(i64),
}

fn zone(name: &str) -> Option<Zone> {
    let name = name.trim();
    let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
    if offset.is_empty() || offset == "Z" {
        return Some(Zone::Fixed(0));
    }
    if let Some(sign) = offset.chars().next().filter(|c| "+-".contains(*c)) {
        let digits = &offset[1..];
        let (hours, minutes) = match digits.split_once(':') {
            Some((h, m)) => (h.parse::<i64>().ok()?, m.get(..2).unwrap_or(m).parse::<i64>().ok()?),
            None if digits.len() == 4 => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
            None => (digits.parse().ok()?, 0),
        };
        if hours > 18 || minutes > 59 {
            return None;
        }
        let seconds = hours * 3600 + minutes * 60;
        return Some(Zone::Fixed(if sign == '-' { -seconds } else { seconds }));
    }
    let name = match name {
        "PST" => "America/Los_Angeles",
        "EST" => "America/New_York",
        "CST" => "America/Chicago",
        "JST" => "Asia/Tokyo",
        "IST" => "Asia/Kolkata",
        other => other,
    };
    Tz::from_str(name).ok().map(Zone::Named)
}

/// The UTC instant of a clock reading in a zone; a reading in a gap is taken as the later offset's.
pub(crate) fn to_utc(local: i64, name: &str) -> Option<i64> {
    match zone(name)? {
        Zone::Fixed(seconds) => local.checked_sub(seconds * 1_000_000),
        Zone::Named(tz) => {
            let reading = naive(local);
            let found = tz.from_local_datetime(&reading);
            match found.earliest() {
                Some(instant) => Some(instant.timestamp_micros()),
                None => {
                    // In a gap: by the offset before it. Most are an hour, the largest a day.
                    [3_600_000_000, DAY + 3_600_000_000].into_iter().find_map(|back| {
                        let before = tz.from_local_datetime(&naive(local - back)).earliest()?;
                        Some(before.timestamp_micros() + back)
                    })
                }
            }
        }
    }
}

/// As [`to_utc`], of a reading that was moved from one with a known offset: where a reading comes twice, the one with
/// that offset.
pub(crate) fn to_utc_near(local: i64, name: &str, offset: i64) -> Option<i64> {
    let same = local.checked_sub(offset)?;
    if from_utc(same, name)? == local { Some(same) } else { to_utc(local, name) }
}

/// The name of a zone as everybody writes it, with an offset as `+hh:mm`; none for UTC. An error if there is no such zone.
pub(crate) fn zone_label(name: &str) -> Result<Option<String>, ()> {
    match zone(name).ok_or(())? {
        Zone::Fixed(0) => Ok(None),
        Zone::Fixed(seconds) => {
            let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
            Ok(Some(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)))
        }
        Zone::Named(Tz::UTC | Tz::Etc__UTC | Tz::GMT | Tz::Etc__GMT | Tz::UCT | Tz::Etc__UCT | Tz::Zulu) => {
            Ok(None)
        }
        Zone::Named(tz) => Ok(Some(tz.name().to_owned())),
    }
}

/// The short name of a zone at an instant: `CET`, or the offset.
pub(crate) fn abbreviation(instant: i64, name: &str) -> String {
    match zone(name) {
        Some(Zone::Named(tz)) => {
            let offset = tz.offset_from_utc_datetime(&naive(instant));
            offset.abbreviation().unwrap_or(name).to_owned()
        }
        _ => name.to_owned(),
    }
}

/// The clock reading in a zone of a UTC instant.
pub(crate) fn from_utc(instant: i64, name: &str) -> Option<i64> {
    match zone(name)? {
        Zone::Fixed(seconds) => instant.checked_add(seconds * 1_000_000),
        Zone::Named(tz) => {
            Some(tz.from_utc_datetime(&naive(instant)).naive_local().and_utc().timestamp_micros())
        }
    }
}

pub(crate) fn now() -> i64 {
    Utc::now().timestamp_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(parse_timestamp(text).map(timestamp_text).as_deref(), expect, "{text}");
        };
        check("2024-02-29", Some("2024-02-29 00:00:00"));
        check("2023-02-29", None);
        check("2024-1-2 3:4:5.60", Some("2024-01-02 03:04:05.6"));
        check("2024-01-01T12:00:00+02:00", Some("2024-01-01 10:00:00"));
        check("2024-07-01 12:00:00 Europe/Paris", Some("2024-07-01 10:00:00"));
        check("x", None);
        check("", None);
        check("2024-01-01 25:00:00", None);
        assert_eq!(parse_date("2024").map(date_text).as_deref(), Some("2024-01-01"));
        assert_eq!(parse_date("2024-01-31 x").map(date_text).as_deref(), Some("2024-01-31"));
        assert_eq!(
            add_months(parse_date("2024-01-31").unwrap(), 1).map(date_text).as_deref(),
            Some("2024-02-29")
        );
        assert_eq!(timestamp_text(-1), "1969-12-31 23:59:59.999999");
    }
}
