//! Functions of text and of dates and times.

use super::expr::{Expr, lit};
use datafusion::functions::expr_fn as f;

/// The text functions of an expression; see [`str`](super::ExprMethods::str).
#[derive(Clone, Debug)]
pub struct StrExpr(Expr);

impl StrExpr {
    pub(super) fn new(expr: Expr) -> Self {
        Self(expr)
    }

    /// In lower case. pandas: `s.str.lower()`.
    pub fn lower(self) -> Expr {
        f::lower(self.0)
    }

    /// In upper case. pandas: `s.str.upper()`.
    pub fn upper(self) -> Expr {
        f::upper(self.0)
    }

    /// The number of characters. pandas: `s.str.len()`.
    pub fn len(self) -> Expr {
        f::character_length(self.0)
    }

    /// Whether `part` occurs, taken literally. pandas: `s.str.contains(part, regex=False)`.
    pub fn contains(self, part: impl Into<String>) -> Expr {
        f::contains(self.0, lit(part.into()))
    }

    /// Whether the text starts with `prefix`. pandas: `s.str.startswith(prefix)`.
    pub fn starts_with(self, prefix: impl Into<String>) -> Expr {
        f::starts_with(self.0, lit(prefix.into()))
    }

    /// Whether the text ends with `suffix`. pandas: `s.str.endswith(suffix)`.
    pub fn ends_with(self, suffix: impl Into<String>) -> Expr {
        f::ends_with(self.0, lit(suffix.into()))
    }

    /// Every `from` replaced by `to`, both literally. pandas: `s.str.replace(from, to, regex=False)`.
    pub fn replace(self, from: impl Into<String>, to: impl Into<String>) -> Expr {
        f::replace(self.0, lit(from.into()), lit(to.into()))
    }

    /// Without spaces at both ends. pandas: `s.str.strip()` (which takes off tabs and newlines too).
    pub fn strip(self) -> Expr {
        f::trim(vec![self.0])
    }
}

/// The date and time functions of an expression; see [`dt`](super::ExprMethods::dt).
#[derive(Clone, Debug)]
pub struct DtExpr(Expr);

impl DtExpr {
    pub(super) fn new(expr: Expr) -> Self {
        Self(expr)
    }

    fn part(self, part: &str) -> Expr {
        f::date_part(lit(part), self.0)
    }

    /// The year. pandas: `s.dt.year`.
    pub fn year(self) -> Expr {
        self.part("year")
    }

    /// The month, 1 to 12. pandas: `s.dt.month`.
    pub fn month(self) -> Expr {
        self.part("month")
    }

    /// The day of the month, 1 to 31. pandas: `s.dt.day`.
    pub fn day(self) -> Expr {
        self.part("day")
    }

    /// The hour, 0 to 23. pandas: `s.dt.hour`.
    pub fn hour(self) -> Expr {
        self.part("hour")
    }

    /// The minute, 0 to 59. pandas: `s.dt.minute`.
    pub fn minute(self) -> Expr {
        self.part("minute")
    }

    /// The day of the week, Monday = 0. pandas: `s.dt.weekday`.
    pub fn weekday(self) -> Expr {
        (self.part("dow") + lit(6)) % lit(7)
    }
}
