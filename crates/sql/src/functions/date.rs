//! Dates and timestamps.

use super::Set;
use super::timeparts;
use crate::condition;
use crate::value::{Value, cast, datetime, decimal, types};
use chrono::{Datelike, Days, NaiveDate, Weekday};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use trefoil_core::ErrorKind;

pub(super) fn add(set: &mut Set) {
    parts(set);
    moves(set);
    epochs(set);
    making(set);
    zones(set);
    reading(set);
    buckets(set);
    for name in ["now", "current_timestamp", "localtimestamp"] {
        set.add(name, "~ int? -> ts", |_, _| Ok(Value::Ts(datetime::now())));
    }
    for name in ["current_date", "curdate"] {
        set.add(name, "~ -> date", |_, _| Ok(Value::Date(datetime::split(datetime::now()).0)));
    }
    set.add("#time_digits", "time int -> time", |row, _| {
        let unit = 10_i64.pow(6 - row[1].int().clamp(0, 6) as u32);
        Ok(Value::Time(row[0].int() / unit * unit))
    });
    for name in ["current_time", "localtime"] {
        set.add(name, "~ int? -> time", |row, _| {
            let micros = datetime::split(datetime::now()).1;
            let unit = 10_i64.pow(6 - row.first().map_or(6, Value::int).clamp(0, 6) as u32);
            Ok(Value::Time(micros / unit * unit))
        });
    }
}

fn day_of(value: &Value) -> NaiveDate {
    datetime::date(match value {
        Value::Ts(micros) => datetime::split(*micros).0,
        other => other.int() as i32,
    })
}

fn parts(set: &mut Set) {
    type Part = fn(NaiveDate) -> i64;
    let of_date: [(&str, Part); 11] = [
        ("year", |d| i64::from(d.year())),
        ("quarter", |d| i64::from(d.month0() / 3 + 1)),
        ("month", |d| i64::from(d.month())),
        ("day", |d| i64::from(d.day())),
        ("dayofmonth", |d| i64::from(d.day())),
        ("dayofyear", |d| i64::from(d.ordinal())),
        ("dayofweek", |d| i64::from(d.weekday().number_from_sunday())),
        ("weekday", |d| i64::from(d.weekday().num_days_from_monday())),
        ("weekofyear", |d| i64::from(d.iso_week().week())),
        ("yearofweek", |d| i64::from(d.iso_week().year())),
        ("week", |d| i64::from(d.iso_week().week())),
    ];
    for (name, part) in of_date {
        set.add(name, "date -> int", move |row, _| Ok(Value::Int(part(day_of(&row[0])))));
    }
    for (name, unit) in [("hour", 3_600_000_000), ("minute", 60_000_000), ("second", 1_000_000)] {
        set.typed(
            name,
            "any -> ..",
            |_| Ok(DataType::Int32),
            move |row, site| {
                let micros = of_day(&row[0], site.argument(0))?;
                let most = if unit == 3_600_000_000 { 24 } else { 60 };
                Ok(Value::Int(micros / unit % most))
            },
        );
    }
    set.add("dayname", "date -> str", |row, _| Ok(day_of(&row[0]).format("%a").to_string().into()));
    set.add("monthname", "date -> str", |row, _| Ok(day_of(&row[0]).format("%b").to_string().into()));
    set.add("last_day", "date -> date", |row, _| {
        let d = day_of(&row[0]);
        Ok(Value::Date(row[0].int() as i32 + (datetime::last_day(d.year(), d.month()) - d.day()) as i32))
    });
    for name in ["date_part", "datepart", "extract"] {
        set.typed(
            name,
            "str any -> ..",
            |site| {
                let part = site.literal(0).unwrap_or_default().to_lowercase();
                Ok(match part.as_str() {
                    "second" | "seconds" | "s" | "sec" | "secs" => DataType::Decimal128(8, 6),
                    _ => DataType::Int32,
                })
            },
            |row, site| timeparts::part(row[0].str(), &row[1], site.argument(1)),
        );
    }
}

/// Microseconds of the day.
fn of_day(value: &Value, from: &DataType) -> Result<i64> {
    Ok(match value {
        Value::Time(micros) => *micros,
        other => datetime::split(cast::cast(other, from, &types::TIMESTAMP)?.int()).1,
    })
}

fn unit_months(unit: &str) -> Option<i64> {
    Some(match unit {
        "year" => 12,
        "quarter" => 3,
        "month" => 1,
        _ => return None,
    })
}

fn unit_micros(unit: &str) -> Option<i64> {
    Some(match unit {
        "week" => 7 * datetime::DAY,
        "day" | "dayofyear" => datetime::DAY,
        "hour" => 3_600_000_000,
        "minute" => 60_000_000,
        "second" => 1_000_000,
        "millisecond" => 1000,
        "microsecond" => 1,
        _ => return None,
    })
}

fn moves(set: &mut Set) {
    let overflow = || condition::overflow("date add");
    set.add("date_sub", "date int -> date", move |row, _| {
        i32::try_from(row[0].int() - row[1].int()).map(Value::Date).map_err(|_| overflow())
    });
    set.typed(
        "date_add dateadd timestampadd",
        "any any any? -> ..",
        |site| {
            Ok(match site.types.get(2) {
                Some(when) if types::zone_of(when).is_some() => when.clone(),
                Some(_) => types::TIMESTAMP,
                None => DataType::Date32,
            })
        },
        move |row, site| {
            if row.len() == 2 {
                let day = cast::cast(&row[0], site.argument(0), &DataType::Date32)?.int();
                let days = cast::cast(&row[1], site.argument(1), &DataType::Int32)?.int();
                return i32::try_from(day + days).map(Value::Date).map_err(|_| overflow());
            }
            let unit = row[0].str().to_lowercase();
            let count = cast::cast(&row[1], site.argument(1), &DataType::Int64)?.int();
            if let Some(zone) = types::zone_of(site.argument(2)) {
                // Days are those of the calendar, hours are time that passes.
                let delta = match (unit_months(&unit), unit_micros(&unit)) {
                    (Some(months), _) => {
                        count.checked_mul(months).and_then(|m| i32::try_from(m).ok()).map(Value::Months)
                    }
                    (_, Some(micros)) if micros % datetime::DAY == 0 => {
                        let days = count.checked_mul(micros / datetime::DAY);
                        days.and_then(|d| i32::try_from(d).ok()).map(|days| Value::Calendar(0, days, 0))
                    }
                    (_, Some(micros)) => {
                        count.checked_mul(micros).map(|micros| Value::Calendar(0, 0, micros))
                    }
                    _ => return Err(bad_unit("timestampadd", &unit)),
                };
                let moved =
                    delta.and_then(|delta| super::arithmetic::shift_in(row[2].int(), &delta, 1, zone));
                return moved.map(Value::Ts).ok_or_else(overflow);
            }
            let when = cast::cast(&row[2], site.argument(2), &types::TIMESTAMP)?.int();
            let moved = match (unit_months(&unit), unit_micros(&unit)) {
                (Some(months), _) => count.checked_mul(months).and_then(|m| datetime::add_months_ts(when, m)),
                (_, Some(micros)) => count.checked_mul(micros).and_then(|m| when.checked_add(m)),
                _ => return Err(bad_unit("timestampadd", &unit)),
            };
            moved.map(Value::Ts).ok_or_else(overflow)
        },
    );
    set.typed(
        "datediff date_diff timestampdiff",
        "any any any? -> ..",
        |site| Ok(if site.types.len() == 3 { DataType::Int64 } else { DataType::Int32 }),
        |row, site| {
            if row.len() == 2 {
                let day = |i: usize| {
                    Ok::<i64, datafusion::error::DataFusionError>(
                        cast::cast(&row[i], site.argument(i), &DataType::Date32)?.int(),
                    )
                };
                return Ok(Value::Int(day(0)? - day(1)?));
            }
            let unit = row[0].str().to_lowercase();
            let start = cast::cast(&row[1], site.argument(1), &types::TIMESTAMP)?.int();
            let end = cast::cast(&row[2], site.argument(2), &types::TIMESTAMP)?.int();
            Ok(Value::Int(match (unit_months(&unit), unit_micros(&unit)) {
                (Some(months), _) => months_passed(start, end) / months,
                (_, Some(micros)) => (end - start) / micros,
                _ => return Err(bad_unit("timestampdiff", &unit)),
            }))
        },
    );
    set.add("add_months", "date int -> date", move |row, _| {
        datetime::add_months(row[0].int() as i32, row[1].int()).map(Value::Date).ok_or_else(overflow)
    });
    set.add("months_between", "ts ts bool? -> double", |row, _| {
        let months = months_between(row[0].int(), row[1].int());
        let round = row.get(2).is_none_or(Value::truth);
        Ok(if round { (months * 1e8).round() / 1e8 } else { months }.into())
    });
    set.add("next_day", "date str -> date", |row, _| {
        let Some(wanted) = weekday(row[1].str()) else {
            return Err(condition::error(
                ErrorKind::InvalidArgument,
                "ILLEGAL_DAY_OF_WEEK",
                "22009",
                format!("`{}` is no day of the week.", row[1].str()),
            ));
        };
        let day = day_of(&row[0]);
        let ahead = (wanted.num_days_from_monday() + 6 - day.weekday().num_days_from_monday()) % 7 + 1;
        Ok(day
            .checked_add_days(Days::new(u64::from(ahead)))
            .map_or(Value::Null, |d| Value::Date(datetime::days(d))))
    });
    set.add("trunc", "date str -> date", |row, _| {
        Ok(match truncate(i64::from(row[0].int() as i32) * datetime::DAY, row[1].str()) {
            Some(micros) if unit_is_date(row[1].str()) => Value::Date(datetime::split(micros).0),
            _ => Value::Null,
        })
    });
    set.add("date_trunc", "str ts -> ts", |row, _| {
        Ok(truncate(row[1].int(), row[0].str()).map_or(Value::Null, Value::Ts))
    });
}

fn bad_unit(function: &str, unit: &str) -> datafusion::error::DataFusionError {
    condition::error(
        ErrorKind::InvalidArgument,
        "INVALID_PARAMETER_VALUE.DATETIME_UNIT",
        "22023",
        format!("`{function}`: `{unit}` is no unit of time."),
    )
}

fn whole_months(start: i64, end: i64) -> i64 {
    let (a, b) = (datetime::naive(start), datetime::naive(end));
    let mut months = i64::from(b.year() - a.year()) * 12 + i64::from(b.month() as i32 - a.month() as i32);
    let shifted = datetime::add_months_ts(start, months).unwrap_or(start);
    if months > 0 && shifted > end {
        months -= 1;
    } else if months < 0 && shifted < end {
        months += 1;
    }
    months
}

/// Whole months from one reading to another, as Java counts them: the 31st is not reached in a shorter month.
fn months_passed(start: i64, end: i64) -> i64 {
    let ((first, from), (mut last, to)) = (datetime::split(start), datetime::split(end));
    if last > first && to < from {
        last -= 1;
    } else if last < first && to > from {
        last += 1;
    }
    let place = |days: i32| {
        let d = datetime::date(days);
        (i64::from(d.year()) * 12 + i64::from(d.month0())) * 32 + i64::from(d.day())
    };
    (place(last) - place(first)) / 32
}

fn months_between(end: i64, start: i64) -> f64 {
    let ((d1, t1), (d2, t2)) = (datetime::split(end), datetime::split(start));
    let (a, b) = (datetime::date(d1), datetime::date(d2));
    let months = f64::from((a.year() - b.year()) * 12 + a.month() as i32 - b.month() as i32);
    let last = |d: NaiveDate| d.day() == datetime::last_day(d.year(), d.month());
    if a.day() == b.day() || last(a) && last(b) {
        return months;
    }
    let seconds = f64::from(a.day() as i32 - b.day() as i32) * 86_400.0 + ((t1 - t2) / 1_000_000) as f64;
    months + seconds / (31.0 * 86_400.0)
}

fn weekday(name: &str) -> Option<Weekday> {
    let name = name.trim().to_lowercase();
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let index = days.iter().position(|d| *d == name || d[..2] == name || d[..3] == name)?;
    Weekday::try_from(index as u8).ok()
}

fn unit_is_date(unit: &str) -> bool {
    matches!(
        unit.to_lowercase().as_str(),
        "year" | "yyyy" | "yy" | "quarter" | "month" | "mon" | "mm" | "week"
    )
}

/// The start of the unit that an instant is in.
fn truncate(micros: i64, unit: &str) -> Option<i64> {
    let (days, of_day) = datetime::split(micros);
    let d = datetime::date(days);
    let at = |year: i32, month: u32| datetime::ymd(i64::from(year), i64::from(month), 1);
    let day = match unit.to_lowercase().as_str() {
        "year" | "yyyy" | "yy" => at(d.year(), 1)?,
        "quarter" => at(d.year(), d.month0() / 3 * 3 + 1)?,
        "month" | "mon" | "mm" => at(d.year(), d.month())?,
        "week" => days - d.weekday().num_days_from_monday() as i32,
        "day" | "dd" => days,
        other => {
            let unit = unit_micros(other)?;
            return Some(micros - of_day % unit);
        }
    };
    Some(i64::from(day) * datetime::DAY)
}

fn epochs(set: &mut Set) {
    set.add("unix_date", "date -> int", |row, _| Ok(Value::Int(row[0].int())));
    set.add("date_from_unix_date", "int -> date", |row, _| Ok(Value::Date(row[0].int() as i32)));
    for (name, unit) in [("unix_seconds", 1_000_000), ("unix_millis", 1000), ("unix_micros", 1)] {
        set.add(name, "ts -> long", move |row, _| Ok(Value::Int(row[0].int().div_euclid(unit))));
    }
    for (name, unit) in [("timestamp_millis", 1000), ("timestamp_micros", 1)] {
        set.add(name, "long -> ts", move |row, _| {
            row[0].int().checked_mul(unit).map(Value::Ts).ok_or_else(|| condition::overflow("timestamp"))
        });
    }
    set.add("timestamp_seconds", "num -> ts", |row, _| {
        let micros = match &row[0] {
            // As Java casts: what is less than a microsecond is cut off.
            Value::Float(x) if x.is_finite() && (x * 1e6).abs() < 9.2e18 => Some((x * 1e6) as i128),
            Value::Float(x) if x.is_nan() || x.is_infinite() => return Ok(Value::Null),
            Value::Float(_) => None,
            Value::Decimal(n, s) if *s > 6 && n % decimal::pow10(u32::from((s - 6).unsigned_abs())) != 0 => {
                return Err(condition::error(
                    ErrorKind::InvalidArgument,
                    "ARITHMETIC_OVERFLOW",
                    "22003",
                    "`timestamp_seconds`: a decimal number of seconds has at most 6 digits after the point.",
                ));
            }
            other => decimal::rescale(other, 6),
        };
        micros
            .and_then(|micros| i64::try_from(micros).ok())
            .map(Value::Ts)
            .ok_or_else(|| condition::overflow("timestamp"))
    });
    set.add("from_unixtime", "long str? -> str", |row, _| {
        let micros = row[0].int().saturating_mul(1_000_000);
        timeparts::print(micros, row.get(1).map_or("yyyy-MM-dd HH:mm:ss", |f| f.str())).map(Value::Str)
    });
    for name in ["unix_timestamp", "to_unix_timestamp"] {
        set.add(name, "~ any? str? -> long", |row, site| {
            let Some(first) = row.first() else {
                return Ok(Value::Int(datetime::now().div_euclid(1_000_000)));
            };
            let micros = match (first, row.get(1)) {
                (Value::Str(text), pattern) => {
                    timeparts::read(text, pattern.map_or("yyyy-MM-dd HH:mm:ss", |p| p.str()))?
                }
                (other, _) => cast::cast(other, site.argument(0), &types::TIMESTAMP)?.int(),
            };
            Ok(Value::Int(micros.div_euclid(1_000_000)))
        });
    }
}

/// Midnight of a date plus hour, minute and seconds with six decimals; 60 seconds are the next minute.
fn instant(parts: &[Value]) -> Option<i64> {
    let day = datetime::ymd(parts[0].int(), parts[1].int(), parts[2].int())?;
    let (hour, minute) = (parts[3].int(), parts[4].int());
    let micros = i64::try_from(decimal::rescale(&parts[5], 6)?).ok()?;
    let whole_minute = micros == 60_000_000;
    if !(0..24).contains(&hour)
        || !(0..60).contains(&minute)
        || micros < 0
        || micros > 60_000_000 && !whole_minute
    {
        return None;
    }
    Some(i64::from(day) * datetime::DAY + (hour * 60 + minute) * 60_000_000 + micros)
}

fn making(set: &mut Set) {
    let wrong =
        || condition::datetime("the parts make no date or time; use the `try_` form to get NULL instead.");
    set.add("make_date", "int int int -> date", move |row, _| {
        datetime::ymd(row[0].int(), row[1].int(), row[2].int()).map(Value::Date).ok_or_else(wrong)
    });
    set.also_try("make_date");
    for name in ["make_timestamp", "make_timestamp_ltz", "make_timestamp_ntz"] {
        set.add(name, "any any? any? any? any? any? str? -> ts", move |row, site| {
            let zoned = |local: i64, zone: Option<&Value>| match zone {
                Some(zone) => {
                    datetime::to_utc(local, zone.str()).map(Value::Ts).ok_or_else(|| bad_zone(zone.str()))
                }
                None => Ok(Value::Ts(local)),
            };
            if row.len() <= 3 {
                let day = cast::cast(&row[0], site.argument(0), &DataType::Date32)?.int() * datetime::DAY;
                let time = match row.get(1) {
                    Some(time) => cast::cast(time, site.argument(1), &types::TIME)?.int(),
                    None => 0,
                };
                return zoned(day + time, row.get(2));
            }
            if row.len() < 6 {
                return Err(condition::argument_count(name, "1 to 3, 6 or 7", row.len()));
            }
            let mut parts = Vec::with_capacity(6);
            for (index, value) in row.iter().take(6).enumerate() {
                let to = if index == 5 { DataType::Decimal128(16, 6) } else { DataType::Int32 };
                parts.push(cast::cast(value, site.argument(index), &to)?);
            }
            zoned(instant(&parts).ok_or_else(wrong)?, row.get(6))
        });
        set.also_try(name);
    }
    set.add("make_time", "int int any -> time", move |row, site| {
        let seconds = cast::cast(&row[2], site.argument(2), &DataType::Decimal128(16, 6))?;
        let parts = [Value::Int(1970), Value::Int(1), Value::Int(1), row[0].clone(), row[1].clone(), seconds];
        instant(&parts).filter(|t| *t < datetime::DAY).map(Value::Time).ok_or_else(wrong)
    });
    set.also_try("make_time");
    let seconds = |value: Option<&Value>, from: &DataType| -> Result<i64> {
        let Some(value) = value else { return Ok(0) };
        Ok(match cast::cast(value, from, &DataType::Decimal128(18, 6))? {
            Value::Decimal(n, _) => n as i64,
            _ => 0,
        })
    };
    let int = |row: &[Value], index: usize| row.get(index).map_or(0, Value::int);
    set.add("make_interval", "int? int? int? int? int? int? any? -> calendar", move |row, site| {
        let overflow = || condition::overflow("make_interval");
        let months = int(row, 0).checked_mul(12).and_then(|m| m.checked_add(int(row, 1)));
        let days = int(row, 2).checked_mul(7).and_then(|d| d.checked_add(int(row, 3)));
        let micros =
            int(row, 4) * 3_600_000_000 + int(row, 5) * 60_000_000 + seconds(row.get(6), site.argument(6))?;
        Ok(Value::Calendar(
            months.and_then(|m| i32::try_from(m).ok()).ok_or_else(overflow)?,
            days.and_then(|d| i32::try_from(d).ok()).ok_or_else(overflow)?,
            micros,
        ))
    });
    set.also_try("make_interval");
    set.add("make_dt_interval", "int? int? int? any? -> micros", move |row, site| {
        let micros = int(row, 0) * datetime::DAY + int(row, 1) * 3_600_000_000 + int(row, 2) * 60_000_000;
        Ok(Value::Micros(micros + seconds(row.get(3), site.argument(3))?))
    });
    set.add("make_ym_interval", "int? int? -> months", move |row, _| {
        i32::try_from(int(row, 0) * 12 + int(row, 1))
            .map(Value::Months)
            .map_err(|_| condition::overflow("make_ym_interval"))
    });
    set.typed(
        "interval_of",
        "any str -> ..",
        |site| {
            Ok(match site.literal(1).unwrap_or_default().to_lowercase().trim_end_matches('s') {
                "year" | "quarter" | "month" => types::YEAR_MONTH,
                _ => types::DAY_TIME,
            })
        },
        |row, site| {
            let text = crate::value::format::cast_text(&row[0], site.argument(0));
            let found = crate::interval::parse(&format!("{text} {}", row[1].str()));
            found.and_then(|i| i.as_type(site.result())).ok_or_else(|| bad_unit("interval", row[1].str()))
        },
    );
}

fn bad_zone(zone: &str) -> datafusion::error::DataFusionError {
    condition::error(
        ErrorKind::InvalidArgument,
        "INVALID_TIMEZONE",
        "22009",
        format!("there is no time zone `{zone}`; write an offset (`+02:00`) or a place (`Europe/Paris`)."),
    )
}

fn zones(set: &mut Set) {
    type Shift = fn(i64, &str) -> Option<i64>;
    let both: [(&str, Shift); 2] =
        [("from_utc_timestamp", datetime::from_utc), ("to_utc_timestamp", datetime::to_utc)];
    for (name, shift) in both {
        set.add(name, "ts str -> ts", move |row, _| {
            shift(row[0].int(), row[1].str()).map(Value::Ts).ok_or_else(|| bad_zone(row[1].str()))
        });
    }
    set.add("convert_timezone", "str any any? -> ts", |row, site| {
        let (from, to, when, at) = match row {
            [to, when] => ("UTC", to.str(), when, 1),
            [from, to, when, ..] => (from.str(), to.str(), when, 2),
            _ => return Ok(Value::Null),
        };
        let local = cast::cast(when, site.argument(at), &types::TIMESTAMP)?.int();
        let utc = datetime::to_utc(local, from).ok_or_else(|| bad_zone(from))?;
        datetime::from_utc(utc, to).map(Value::Ts).ok_or_else(|| bad_zone(to))
    });
}

fn reading(set: &mut Set) {
    set.add("to_date", "any str? -> date", |row, site| match (&row[0], row.get(1)) {
        (Value::Str(text), Some(pattern)) => {
            Ok(Value::Date(datetime::split(timeparts::read(text, pattern.str())?).0))
        }
        (other, _) => cast::cast(other, site.argument(0), &DataType::Date32),
    });
    set.also_try("to_date");
    for name in ["to_timestamp", "to_timestamp_ltz", "to_timestamp_ntz"] {
        set.add(name, "any str? -> ts", |row, site| match (&row[0], row.get(1)) {
            (Value::Str(text), Some(pattern)) => Ok(Value::Ts(timeparts::read(text, pattern.str())?)),
            (other, _) => cast::cast(other, site.argument(0), &types::TIMESTAMP),
        });
        set.also_try(name);
    }
    // In the zone that the last argument names: what `to_timestamp` is in a session with a zone.
    for (name, attempt) in [("#to_timestamp", false), ("#try_to_timestamp", true)] {
        set.typed(
            name,
            "any str? str -> ..",
            |site| {
                let zone = site.literals.last().and_then(Option::as_ref).map(Value::str).unwrap_or_default();
                Ok(types::zoned(&zone.into()))
            },
            move |row, site| {
                let read = match (&row[0], row.get(1)) {
                    (Value::Str(text), Some(pattern)) if row.len() == 3 => {
                        timeparts::read_in(text, pattern.str(), types::zone_of(site.result())).map(Value::Ts)
                    }
                    (other, _) => cast::cast(other, site.argument(0), site.result()),
                };
                if attempt { Ok(read.unwrap_or(Value::Null)) } else { read }
            },
        );
    }
    set.add("to_time", "str str? -> time", |row, site| match row.get(1) {
        Some(pattern) => Ok(Value::Time(datetime::split(timeparts::read(row[0].str(), pattern.str())?).1)),
        None => cast::cast(&row[0], site.argument(0), &types::TIME),
    });
    set.also_try("to_time");
    set.add("date_format", "any str -> str", |row, site| {
        let micros = match &row[0] {
            Value::Time(micros) => *micros,
            Value::Ts(micros) => {
                let zone = types::zone_of(site.argument(0));
                return timeparts::print_in(*micros, row[1].str(), zone).map(Value::Str);
            }
            other => cast::cast(other, site.argument(0), &types::TIMESTAMP)?.int(),
        };
        timeparts::print(micros, row[1].str()).map(Value::Str)
    });
}

fn time_unit(function: &str, unit: &str) -> Result<i64> {
    match unit.to_lowercase().as_str() {
        unit @ ("hour" | "minute" | "second" | "millisecond" | "microsecond") => {
            unit_micros(unit).ok_or_else(|| bad_unit(function, unit))
        }
        other => Err(bad_unit(function, other)),
    }
}

fn buckets(set: &mut Set) {
    set.add("time_trunc", "str time -> time", |row, _| {
        let unit = time_unit("time_trunc", row[0].str())?;
        Ok(Value::Time(row[1].int() / unit * unit))
    });
    set.add("time_diff", "str time time -> long", |row, _| {
        Ok(Value::Int((row[2].int() - row[1].int()) / time_unit("time_diff", row[0].str())?))
    });
    for (name, unit) in [("time_to_micros", 1), ("time_to_millis", 1000)] {
        set.add(name, "time -> long", move |row, _| Ok(Value::Int(row[0].int() / unit)));
    }
    set.add("time_to_seconds", "time -> decimal(14,6)", |row, _| {
        Ok(Value::Decimal(i128::from(row[0].int()), 6))
    });
    let in_day = |micros: i64| {
        if (0..datetime::DAY).contains(&micros) {
            Ok(Value::Time(micros))
        } else {
            Err(condition::datetime("a time is between 00:00:00 and 23:59:59.999999."))
        }
    };
    for (name, unit) in [("time_from_micros", 1), ("time_from_millis", 1000)] {
        set.add(name, "long -> time", move |row, _| in_day(row[0].int().saturating_mul(unit)));
    }
    set.add("time_from_seconds", "num -> time", move |row, _| {
        in_day(decimal::rescale(&row[0], 6).and_then(|n| i64::try_from(n).ok()).unwrap_or(-1))
    });
    set.add("time_bucket", "interval ts ts? -> ts", |row, _| {
        let (when, origin) = (row[1].int(), row.get(2).map_or(0, Value::int));
        let floor = |width: i64| {
            if width <= 0 {
                return Err(condition::parameter("time_bucket", "the width must be positive"));
            }
            Ok(Value::Ts(when - (when - origin).rem_euclid(width)))
        };
        match &row[0] {
            Value::Micros(width) => floor(*width),
            Value::Calendar(0, days, micros) => floor(i64::from(*days) * datetime::DAY + micros),
            Value::Months(width) | Value::Calendar(width, 0, 0) if *width > 0 => {
                let width = i64::from(*width);
                let mut months = whole_months(origin, when).div_euclid(width) * width;
                while datetime::add_months_ts(origin, months).is_some_and(|at| at > when) {
                    months -= width;
                }
                Ok(datetime::add_months_ts(origin, months).map_or(Value::Null, Value::Ts))
            }
            _ => Err(condition::parameter("time_bucket", "the width mixes months with days")),
        }
    });
}
