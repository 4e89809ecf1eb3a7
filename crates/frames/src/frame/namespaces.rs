//! Functions of text, of dates and times, of lists and of structs.

use super::dates::{self, Way};
use super::expr::{Expr, ExprMethods, lit};
use super::span::Span;
use super::text::{self, End, Kind};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as f;
use datafusion::functions_nested::expr_fn as n;

/// The text functions of an expression; see [`str`](super::ExprMethods::str). Null stays null.
#[derive(Clone, Debug)]
pub struct StrExpr(Expr);

impl StrExpr {
    pub(super) fn new(expr: Expr) -> Self {
        Self(expr)
    }

    fn op(self, op: text::Op) -> Expr {
        text::call(self.0, op)
    }

    /// In lower case. pandas: `s.str.lower()`.
    pub fn lower(self) -> Expr {
        f::lower(self.0)
    }

    /// In upper case. pandas: `s.str.upper()`.
    pub fn upper(self) -> Expr {
        f::upper(self.0)
    }

    /// Every word with a capital. pandas: `s.str.title()`.
    pub fn title(self) -> Expr {
        self.op(text::Op::Title)
    }

    /// The first character in upper, the others in lower case. pandas: `s.str.capitalize()`.
    pub fn capitalize(self) -> Expr {
        self.op(text::Op::Capitalize)
    }

    /// Upper case in lower and the other way round. pandas: `s.str.swapcase()`.
    pub fn swapcase(self) -> Expr {
        self.op(text::Op::SwapCase)
    }

    /// The number of characters. pandas: `s.str.len()`.
    pub fn len(self) -> Expr {
        f::character_length(self.0)
    }

    /// Whether `part` occurs, taken literally. pandas: `s.str.contains(part, regex=False)`.
    pub fn contains(self, part: impl Into<String>) -> Expr {
        f::contains(self.0, lit(part.into()))
    }

    /// Whether a regular expression matches anywhere. pandas: `s.str.contains(pattern)`; for `s.str.match`
    /// begin the pattern with `^`.
    pub fn matches(self, pattern: impl Into<String>) -> Expr {
        self.op(text::Op::Matches(pattern.into()))
    }

    /// Whether a regular expression matches all of it. pandas: `s.str.fullmatch(pattern)`.
    pub fn fullmatch(self, pattern: impl Into<String>) -> Expr {
        self.op(text::Op::FullMatch(pattern.into()))
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

    /// Every match of a regular expression replaced by `to`, where `$1` is the first group.
    /// pandas: `s.str.replace(pattern, to, regex=True)`.
    pub fn replace_matches(self, pattern: impl Into<String>, to: impl Into<String>) -> Expr {
        self.op(text::Op::ReplaceMatches(pattern.into(), to.into()))
    }

    /// Group `group` of the first match of a regular expression (0: all of it), null if it does not match.
    /// pandas: `s.str.extract(pattern)`.
    pub fn extract(self, pattern: impl Into<String>, group: usize) -> Expr {
        self.op(text::Op::Extract(pattern.into(), group))
    }

    /// All matches of a regular expression, as a list. pandas: `s.str.findall(pattern)`.
    pub fn extract_all(self, pattern: impl Into<String>) -> Expr {
        self.op(text::Op::ExtractAll(pattern.into()))
    }

    /// How often `part` occurs, taken literally. pandas: `s.str.count(re.escape(part))`.
    pub fn count(self, part: impl Into<String>) -> Expr {
        self.op(text::Op::Count(part.into()))
    }

    /// How often a regular expression matches. pandas: `s.str.count(pattern)`.
    pub fn count_matches(self, pattern: impl Into<String>) -> Expr {
        self.op(text::Op::CountMatches(pattern.into()))
    }

    /// The place of the first `part`, from 0; -1 if there is none. pandas: `s.str.find(part)`.
    pub fn find(self, part: impl Into<String>) -> Expr {
        self.op(text::Op::Find(part.into()))
    }

    /// The place of the last `part`, from 0; -1 if there is none. pandas: `s.str.rfind(part)`.
    pub fn rfind(self, part: impl Into<String>) -> Expr {
        self.op(text::Op::FindLast(part.into()))
    }

    /// Without white space at both ends. pandas: `s.str.strip()`.
    pub fn strip(self) -> Expr {
        self.op(text::Op::Strip(End::Both, None))
    }

    /// Without white space at the start. pandas: `s.str.lstrip()`.
    pub fn lstrip(self) -> Expr {
        self.op(text::Op::Strip(End::Left, None))
    }

    /// Without white space at the end. pandas: `s.str.rstrip()`.
    pub fn rstrip(self) -> Expr {
        self.op(text::Op::Strip(End::Right, None))
    }

    /// Without any of these characters at both ends. pandas: `s.str.strip(characters)`.
    pub fn strip_chars(self, characters: impl Into<String>) -> Expr {
        self.op(text::Op::Strip(End::Both, Some(characters.into())))
    }

    /// Without `prefix`, where it starts with it. pandas: `s.str.removeprefix(prefix)`.
    pub fn remove_prefix(self, prefix: impl Into<String>) -> Expr {
        self.op(text::Op::RemovePrefix(prefix.into()))
    }

    /// Without `suffix`, where it ends with it. pandas: `s.str.removesuffix(suffix)`.
    pub fn remove_suffix(self, suffix: impl Into<String>) -> Expr {
        self.op(text::Op::RemoveSuffix(suffix.into()))
    }

    /// Filled up at the start to `width` characters. pandas: `s.str.rjust(width, fill)`.
    pub fn pad_start(self, width: usize, fill: char) -> Expr {
        self.op(text::Op::Pad(End::Left, width, fill))
    }

    /// Filled up at the end to `width` characters. pandas: `s.str.ljust(width, fill)`.
    pub fn pad_end(self, width: usize, fill: char) -> Expr {
        self.op(text::Op::Pad(End::Right, width, fill))
    }

    /// Filled up at both ends to `width` characters. pandas: `s.str.center(width, fill)`.
    pub fn center(self, width: usize, fill: char) -> Expr {
        self.op(text::Op::Pad(End::Both, width, fill))
    }

    /// Filled up with zeros after the sign. pandas: `s.str.zfill(width)`.
    pub fn zfill(self, width: usize) -> Expr {
        self.op(text::Op::ZeroFill(width))
    }

    /// Repeated. pandas: `s.str.repeat(times)`.
    pub fn repeat(self, times: usize) -> Expr {
        self.op(text::Op::Repeat(times))
    }

    /// Backwards. pandas: `s.str[::-1]`.
    pub fn reverse(self) -> Expr {
        self.op(text::Op::Reverse)
    }

    /// The characters from `start` up to `stop` (to the end if `None`); negative places count from the end.
    /// pandas: `s.str.slice(start, stop)`.
    pub fn slice(self, start: i64, stop: Option<i64>) -> Expr {
        self.op(text::Op::Slice(start, stop))
    }

    /// The character at a place, null if there is none; negative places count from the end.
    /// pandas: `s.str.get(i)`.
    pub fn get(self, place: i64) -> Expr {
        self.op(text::Op::Get(place))
    }

    /// The pieces between `by`, as a list. pandas: `s.str.split(by, regex=False)`.
    pub fn split(self, by: impl Into<String>) -> Expr {
        self.op(text::Op::Split(Some(by.into()), None))
    }

    /// The pieces between `by`, split at most `limit` times. pandas: `s.str.split(by, n=limit)`.
    pub fn splitn(self, by: impl Into<String>, limit: usize) -> Expr {
        self.op(text::Op::Split(Some(by.into()), Some(limit)))
    }

    /// The pieces between `by`, split at most `limit` times, counted from the end.
    /// pandas: `s.str.rsplit(by, n=limit)`.
    pub fn rsplitn(self, by: impl Into<String>, limit: usize) -> Expr {
        self.op(text::Op::SplitLast(by.into(), limit))
    }

    /// A list of three: what is before the first `by`, `by`, and what is after it; the text and twice nothing, if it
    /// is not there. pandas: `s.str.partition(by)`.
    pub fn partition(self, by: impl Into<String>) -> Expr {
        self.op(text::Op::Partition(text::End::Left, by.into()))
    }

    /// The same around the last `by`; twice nothing and the text, if it is not there. pandas: `s.str.rpartition(by)`.
    pub fn rpartition(self, by: impl Into<String>) -> Expr {
        self.op(text::Op::Partition(text::End::Right, by.into()))
    }

    /// The words between white space, as a list. pandas: `s.str.split()`.
    pub fn words(self) -> Expr {
        self.op(text::Op::Split(None, None))
    }

    /// Joined with other texts, `sep` between; null if one of them is. pandas: `s.str.cat(other, sep)`.
    pub fn cat(self, other: Expr, sep: impl Into<String>) -> Expr {
        let sep = sep.into();
        let left = if sep.is_empty() { self.0 } else { self.0 + lit(sep) };
        left + other
    }

    /// Whether all characters are letters. pandas: `s.str.isalpha()`.
    pub fn is_alpha(self) -> Expr {
        self.op(text::Op::Is(Kind::Alphabetic))
    }

    /// Whether all characters are numbers. pandas: `s.str.isnumeric()`.
    pub fn is_numeric(self) -> Expr {
        self.op(text::Op::Is(Kind::Numeric))
    }

    /// Whether all characters are letters or numbers. pandas: `s.str.isalnum()`.
    pub fn is_alnum(self) -> Expr {
        self.op(text::Op::Is(Kind::Alphanumeric))
    }

    /// Whether there are letters and none is upper case. pandas: `s.str.islower()`.
    pub fn is_lower(self) -> Expr {
        self.op(text::Op::Is(Kind::Lower))
    }

    /// Whether there are letters and none is lower case. pandas: `s.str.isupper()`.
    pub fn is_upper(self) -> Expr {
        self.op(text::Op::Is(Kind::Upper))
    }

    /// Whether all characters are white space. pandas: `s.str.isspace()`.
    pub fn is_space(self) -> Expr {
        self.op(text::Op::Is(Kind::Space))
    }

    /// Parsed as a timestamp in nanoseconds, ISO 8601 or one of these `chrono` formats
    /// (`"%d/%m/%Y %H:%M"`); text that is none is an error when the frame runs.
    /// pandas: `pd.to_datetime(s, format=...)`.
    pub fn to_timestamp<S: Into<String>>(self, formats: impl IntoIterator<Item = S>) -> Expr {
        let mut args = vec![self.0];
        args.extend(formats.into_iter().map(|format| lit(format.into())));
        f::to_timestamp_nanos(args)
    }
}

/// The date and time functions of an expression; see [`dt`](super::ExprMethods::dt). Null stays null; times
/// with a zone answer in their zone.
#[derive(Clone, Debug)]
pub struct DtExpr(Expr);

impl DtExpr {
    pub(super) fn new(expr: Expr) -> Self {
        Self(expr)
    }

    fn part(self, part: &str) -> Expr {
        f::date_part(lit(part), self.0)
    }

    fn op(self, op: dates::Op) -> Expr {
        dates::call(self.0, op)
    }

    /// The year. pandas: `s.dt.year`.
    pub fn year(self) -> Expr {
        self.part("year")
    }

    /// The quarter, 1 to 4. pandas: `s.dt.quarter`.
    pub fn quarter(self) -> Expr {
        self.part("quarter")
    }

    /// The month, 1 to 12. pandas: `s.dt.month`.
    pub fn month(self) -> Expr {
        self.part("month")
    }

    /// The ISO week, 1 to 53. pandas: `s.dt.isocalendar().week`.
    pub fn week(self) -> Expr {
        self.part("week")
    }

    /// The day of the month, 1 to 31. pandas: `s.dt.day`.
    pub fn day(self) -> Expr {
        self.part("day")
    }

    /// The day of the year, 1 to 366. pandas: `s.dt.dayofyear`.
    pub fn day_of_year(self) -> Expr {
        self.part("doy")
    }

    /// The hour, 0 to 23. pandas: `s.dt.hour`.
    pub fn hour(self) -> Expr {
        self.part("hour")
    }

    /// The minute, 0 to 59. pandas: `s.dt.minute`.
    pub fn minute(self) -> Expr {
        self.part("minute")
    }

    /// The second, 0 to 59. pandas: `s.dt.second`.
    pub fn second(self) -> Expr {
        f::floor(self.part("second")).cast(DataType::Int32)
    }

    /// The day of the week, Monday = 0. pandas: `s.dt.weekday`.
    pub fn weekday(self) -> Expr {
        (self.part("dow") + lit(6)) % lit(7)
    }

    /// The name of the day, in English. pandas: `s.dt.day_name()`.
    pub fn day_name(self) -> Expr {
        self.strftime("%A")
    }

    /// The name of the month, in English. pandas: `s.dt.month_name()`.
    pub fn month_name(self) -> Expr {
        self.strftime("%B")
    }

    /// As text in a `chrono` format. pandas: `s.dt.strftime(format)`.
    pub fn strftime(self, format: impl Into<String>) -> Expr {
        f::to_char(self.0, lit(format.into()))
    }

    /// The date without the time. pandas: `s.dt.date`.
    pub fn date(self) -> Expr {
        self.0.cast(DataType::Date32)
    }

    /// Midnight of the day. pandas: `s.dt.normalize()`.
    pub fn normalize(self) -> Expr {
        self.floor("1d")
    }

    /// The start of the length of time (since 1970, in the time's zone) it lies in. pandas: `s.dt.floor("h")`.
    pub fn floor(self, span: impl Into<Span>) -> Expr {
        self.op(dates::Op::to(Way::Floor, &span.into()))
    }

    /// The end of the length of time it lies in, unless it is a start. pandas: `s.dt.ceil("h")`.
    pub fn ceil(self, span: impl Into<Span>) -> Expr {
        self.op(dates::Op::to(Way::Ceil, &span.into()))
    }

    /// The nearest start of a length of time, halves to even. pandas: `s.dt.round("h")`.
    pub fn round(self, span: impl Into<Span>) -> Expr {
        self.op(dates::Op::to(Way::Round, &span.into()))
    }

    /// The same instants, read in another zone such as `"Europe/Paris"`. pandas: `s.dt.tz_convert(zone)`.
    pub fn tz_convert(self, zone: impl Into<String>) -> Expr {
        self.op(dates::Op::Zone(zone.into()))
    }

    /// The wall-clock time without its zone. pandas: `s.dt.tz_localize(None)`.
    pub fn tz_drop(self) -> Expr {
        f::to_local_time(vec![self.0])
    }

    /// The length of a duration in seconds. pandas: `s.dt.total_seconds()`.
    pub fn total_seconds(self) -> Expr {
        self.op(dates::Op::TotalSeconds)
    }

    /// How many days the month has. pandas: `s.dt.days_in_month`.
    pub fn days_in_month(self) -> Expr {
        self.op(dates::Op::DaysInMonth)
    }

    /// Whether the year has 366 days. pandas: `s.dt.is_leap_year`.
    pub fn is_leap_year(self) -> Expr {
        self.op(dates::Op::IsLeapYear)
    }

    /// Whether it is the first day of its month. pandas: `s.dt.is_month_start`.
    pub fn is_month_start(self) -> Expr {
        self.op(dates::Op::IsMonthStart)
    }

    /// Whether it is the last day of its month. pandas: `s.dt.is_month_end`.
    pub fn is_month_end(self) -> Expr {
        self.op(dates::Op::IsMonthEnd)
    }

    /// Whether it is the first day of its quarter. pandas: `s.dt.is_quarter_start`.
    pub fn is_quarter_start(self) -> Expr {
        self.op(dates::Op::IsQuarterStart)
    }

    /// Whether it is the last day of its quarter. pandas: `s.dt.is_quarter_end`.
    pub fn is_quarter_end(self) -> Expr {
        self.op(dates::Op::IsQuarterEnd)
    }

    /// Whether it is the first day of its year. pandas: `s.dt.is_year_start`.
    pub fn is_year_start(self) -> Expr {
        self.op(dates::Op::IsYearStart)
    }

    /// Whether it is the last day of its year. pandas: `s.dt.is_year_end`.
    pub fn is_year_end(self) -> Expr {
        self.op(dates::Op::IsYearEnd)
    }
}

/// The functions of lists; see [`list`](super::ExprMethods::list). Null stays null.
#[derive(Clone, Debug)]
pub struct ListExpr(Expr);

impl ListExpr {
    pub(super) fn new(expr: Expr) -> Self {
        Self(expr)
    }

    /// The number of values. polars: `c.list.len()`.
    pub fn len(self) -> Expr {
        n::cardinality(self.0).cast(DataType::Int64)
    }

    /// The value at a place from 0, null if there is none; negative places count from the end.
    /// pandas: `s.str[place]`; polars: `c.list.get(place)`.
    pub fn get(self, place: i64) -> Expr {
        // SQL counts from 1
        n::array_element(self.0, lit(if place < 0 { place } else { place.saturating_add(1) }))
    }

    /// The first value. polars: `c.list.first()`.
    pub fn first(self) -> Expr {
        self.get(0)
    }

    /// The last value. polars: `c.list.last()`.
    pub fn last(self) -> Expr {
        self.get(-1)
    }

    /// Whether a value is in the list. polars: `c.list.contains(value)`.
    pub fn contains(self, value: Expr) -> Expr {
        n::array_has(self.0, value)
    }

    /// The values as one text, `sep` between. pandas: `s.str.join(sep)`.
    pub fn join(self, sep: impl Into<String>) -> Expr {
        n::array_to_string(self.0, lit(sep.into()))
    }

    /// From the smallest value to the largest. polars: `c.list.sort()`.
    pub fn sort(self) -> Expr {
        n::array_sort(self.0, lit("ASC"), lit("NULLS LAST"))
    }

    /// Backwards. polars: `c.list.reverse()`.
    pub fn reverse(self) -> Expr {
        n::array_reverse(self.0)
    }

    /// Every value once. polars: `c.list.unique()`.
    pub fn unique(self) -> Expr {
        n::array_distinct(self.0)
    }

    /// The smallest value. polars: `c.list.min()`.
    pub fn min(self) -> Expr {
        n::array_min(self.0)
    }

    /// The largest value. polars: `c.list.max()`.
    pub fn max(self) -> Expr {
        n::array_max(self.0)
    }

    /// The sum of the values, as `Float64`. polars: `c.list.sum()`.
    pub fn sum(self) -> Expr {
        n::array_sum(self.0)
    }

    /// The mean of the values. polars: `c.list.mean()`.
    pub fn mean(self) -> Expr {
        n::array_avg(self.0)
    }
}

/// The functions of structs; see [`structs`](super::ExprMethods::structs).
#[derive(Clone, Debug)]
pub struct StructExpr(Expr);

impl StructExpr {
    pub(super) fn new(expr: Expr) -> Self {
        Self(expr)
    }

    /// One field; null where the struct is null. pandas: `s.struct.field(name)`.
    pub fn field(self, name: impl Into<String>) -> Expr {
        // below a null struct Arrow allows any value, and `get_field` would show it
        let field = f::get_field(self.0.clone(), ScalarValue::from(name.into()));
        super::expr::choose(self.0.is_not_null(), field, None)
    }
}
