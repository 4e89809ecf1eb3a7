//! Lengths of time: `"2h"`, `"30min"`, `"1mo"`.

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;
use std::time::Duration;
use trefoil_plan::{Error, ErrorKind, Result};

/// A length of time: a number of months or a fixed length.
///
/// Made from text, a number and a unit (`ns`, `us`, `ms`, `s`, `min`, `h`, `d`, `w`; `mo`, `q`, `y` where
/// calendar lengths make sense), or from a [`Duration`]. Text that is no length is reported by the verb that
/// takes it.
///
/// ```
/// use trefoil_frames::frame::Span;
/// assert_eq!(Span::from("90min").nanoseconds(), Some(5_400_000_000_000));
/// assert_eq!(Span::from("1mo").nanoseconds(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span(Result<Length, String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Months(i32),
    Nanoseconds(i64),
}

const FIXED: [(&str, i64); 12] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("H", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("D", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
    ("W", 604_800_000_000_000),
];
const CALENDAR: [(&str, i32); 3] = [("mo", 1), ("q", 3), ("y", 12)];

fn parse(text: &str) -> Option<Length> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: i64 = if number.is_empty() { 1 } else { number.parse().ok()? };
    let unit = unit.trim();
    if number == 0 {
        return None;
    }
    if let Some((_, nanoseconds)) = FIXED.iter().find(|(name, _)| *name == unit) {
        return number.checked_mul(*nanoseconds).map(Length::Nanoseconds);
    }
    let (_, months) = CALENDAR.iter().find(|(name, _)| *name == unit)?;
    i32::try_from(number).ok()?.checked_mul(*months).map(Length::Months)
}

impl From<&str> for Span {
    fn from(text: &str) -> Self {
        Span(parse(text).ok_or_else(|| text.to_owned()))
    }
}

impl From<Duration> for Span {
    fn from(length: Duration) -> Self {
        let nanoseconds = i64::try_from(length.as_nanos()).ok().filter(|n| *n > 0);
        Span(nanoseconds.map(Length::Nanoseconds).ok_or_else(|| format!("{length:?}")))
    }
}

impl Span {
    /// The fixed length, `None` of calendar lengths and of text that is no length.
    pub fn nanoseconds(&self) -> Option<i64> {
        match self.0 {
            Ok(Length::Nanoseconds(n)) => Some(n),
            _ => None,
        }
    }

    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        match &self.0 {
            Ok(_) => Ok(()),
            Err(text) => {
                Err(Error::new(ErrorKind::InvalidArgument, op, format!("`{text}` is no length of time"))
                    .with_help("write a number and a unit: ns, us, ms, s, min, h, d, w, mo, q or y"))
            }
        }
    }

    /// The length as an interval; null if it is none.
    pub(super) fn interval(&self) -> ScalarValue {
        ScalarValue::IntervalMonthDayNano(match self.0 {
            Ok(Length::Nanoseconds(n)) => Some(IntervalMonthDayNano::new(0, 0, n)),
            Ok(Length::Months(months)) => Some(IntervalMonthDayNano::new(months, 0, 0)),
            Err(_) => None,
        })
    }

    /// For windows that are open at one end. What is no fixed length becomes a negative bound, which
    /// planning refuses.
    pub(super) fn less_a_nanosecond(&self) -> ScalarValue {
        let length = self.nanoseconds().map_or(-1, |n| n - 1);
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 0, length)))
    }
}
