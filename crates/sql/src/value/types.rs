//! Types as Spark names them: `int`, `array<string>`, `struct<a:int>`, and the text form in schemas.

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};
use std::sync::Arc;

/// `TIMESTAMP_NTZ`, and `TIMESTAMP` in a session in UTC: microseconds. In a session in another zone `TIMESTAMP` has that
/// zone in its type; see [`zone`](crate::zone).
pub(crate) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
/// A moment in a zone.
pub(crate) fn zoned(zone: &Arc<str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone)))
}

/// The zone in which a moment is shown; none for UTC, and for readings of a clock.
pub(crate) fn zone_of(data_type: &DataType) -> Option<&str> {
    match data_type {
        DataType::Timestamp(_, Some(zone))
            if !matches!(zone.as_ref(), "UTC" | "Etc/UTC" | "GMT" | "Z" | "+00:00") =>
        {
            Some(zone)
        }
        _ => None,
    }
}

/// Whether a type is one that a predicate finds, or holds one.
pub(crate) fn has(data_type: &DataType, found: &dyn Fn(&DataType) -> bool) -> bool {
    found(data_type)
        || match data_type {
            DataType::Struct(fields) => fields.iter().any(|field| has(field.data_type(), found)),
            DataType::Dictionary(_, value) => has(value, found),
            other => match (item_of(other), entry_of(other)) {
                (Some(item), _) => has(item, found),
                (_, Some((key, value))) => has(key, found) || has(value, found),
                _ => false,
            },
        }
}

/// The type with every timestamp in it replaced.
pub(crate) fn with_timestamps(data_type: &DataType, replaced: &dyn Fn(&DataType) -> DataType) -> DataType {
    let field = |field: &FieldRef| {
        Arc::new(field.as_ref().clone().with_data_type(with_timestamps(field.data_type(), replaced)))
    };
    match data_type {
        DataType::Timestamp(..) => replaced(data_type),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::ListView(item) => DataType::ListView(field(item)),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

/// `TIME`.
pub(crate) const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);
/// An interval of days to seconds.
pub(crate) const DAY_TIME: DataType = DataType::Duration(TimeUnit::Microsecond);
/// An interval of years and months.
pub(crate) const YEAR_MONTH: DataType = DataType::Interval(IntervalUnit::YearMonth);
/// A calendar interval.
pub(crate) const CALENDAR: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

pub(crate) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

pub(crate) fn map_of(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

pub(crate) fn struct_of<N: Into<String>>(fields: impl IntoIterator<Item = (N, DataType)>) -> DataType {
    DataType::Struct(fields.into_iter().map(|(name, t)| Field::new(name, t, true)).collect())
}

/// The field of the struct that a VARIANT is.
const VARIANT: &str = "#variant";

/// `VARIANT`: JSON text, in a struct of its own.
pub(crate) fn variant() -> DataType {
    struct_of([(VARIANT, DataType::Utf8)])
}

pub(crate) fn is_variant(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(fields) if fields.len() == 1 && fields[0].name() == VARIANT)
}

/// The first field of the struct that a GEOMETRY, or a GEOGRAPHY, is.
pub(crate) const GEOMETRY: &str = "#geometry";
pub(crate) const GEOGRAPHY: &str = "#geography";

pub(crate) fn is_geometry(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(fields) if fields.len() == 2 && fields[0].name() == GEOMETRY)
}

pub(crate) fn is_geography(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(fields) if fields.len() == 2 && fields[0].name() == GEOGRAPHY)
}

/// The type of the elements of a list.
pub(crate) fn item_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item) => Some(item.data_type()),
        _ => None,
    }
}

/// The types of keys and values of a map.
pub(crate) fn entry_of(data_type: &DataType) -> Option<(&DataType, &DataType)> {
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => Some((fields[0].data_type(), fields[1].data_type())),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn is_string(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(crate) fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    )
}

pub(crate) fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

pub(crate) fn is_datetime(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// The type that functions work with: one width of strings, microseconds, plain lists.
pub(crate) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        t if is_string(t) => DataType::Utf8,
        t if is_binary(t) => DataType::Binary,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Time32(_) | DataType::Time64(_) => TIME,
        DataType::Interval(IntervalUnit::DayTime) => CALENDAR,
        DataType::Duration(_) => DAY_TIME,
        DataType::Dictionary(_, value) => plain(value),
        DataType::RunEndEncoded(_, value) => plain(value.data_type()),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(..) => match entry_of(data_type) {
            Some((key, value)) => map_of(plain(key), plain(value)),
            None => data_type.clone(),
        },
        other => match item_of(other) {
            Some(item) => list_of(plain(item)),
            None => other.clone(),
        },
    }
}

fn plain_field(field: &FieldRef) -> Field {
    Field::new(field.name(), plain(field.data_type()), true)
}

/// The name in lower case, as `typeof` gives it.
pub(crate) fn name(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Null => "void".into(),
        T::Boolean => "boolean".into(),
        T::Int8 => "tinyint".into(),
        T::Int16 | T::UInt8 => "smallint".into(),
        T::Int32 | T::UInt16 => "int".into(),
        T::Int64 | T::UInt32 | T::UInt64 => "bigint".into(),
        T::Float16 | T::Float32 => "float".into(),
        T::Float64 => "double".into(),
        T::Decimal128(p, s) | T::Decimal256(p, s) | T::Decimal32(p, s) | T::Decimal64(p, s) => {
            format!("decimal({p},{s})")
        }
        t if is_string(t) => "string".into(),
        t if is_binary(t) => "binary".into(),
        T::Date32 | T::Date64 => "date".into(),
        T::Timestamp(..) => "timestamp".into(),
        T::Time32(_) | T::Time64(_) => "time(6)".into(),
        T::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        T::Interval(_) => "interval".into(),
        T::Duration(_) => "interval day to second".into(),
        t if is_variant(t) => "variant".into(),
        t if is_geometry(t) => "geometry".into(),
        t if is_geography(t) => "geography".into(),
        T::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{}:{}", f.name(), name(f.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        T::Map(..) => match entry_of(data_type) {
            Some((k, v)) => format!("map<{},{}>", name(k), name(v)),
            None => "map".into(),
        },
        T::Dictionary(_, value) => name(value),
        other => match item_of(other) {
            Some(item) => format!("array<{}>", name(item)),
            None => other.to_string().to_lowercase(),
        },
    }
}

/// The name in upper case with spaces after colons, as schemas are written.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.name(), sql_name(f.data_type()))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        DataType::Map(..) => match entry_of(data_type) {
            Some((k, v)) => format!("MAP<{}, {}>", sql_name(k), sql_name(v)),
            None => "MAP".into(),
        },
        other => match item_of(other) {
            Some(item) => format!("ARRAY<{}>", sql_name(item)),
            None => name(other).to_uppercase(),
        },
    }
}

/// Reads a type, or a list of columns (`a INT, b STRING`) as a struct.
pub(crate) fn parse_schema(text: &str) -> Option<DataType> {
    let mut reader = Reader { rest: text.trim() };
    if let Some(found) = reader.data_type()
        && reader.rest.trim().is_empty()
    {
        return Some(found);
    }
    let mut reader = Reader { rest: text.trim() };
    let fields = reader.fields("")?;
    reader.rest.trim().is_empty().then_some(DataType::Struct(fields))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('`') {
            let end = rest.find('`')?;
            self.rest = &rest[end + 1..];
            return Some(&rest[..end]);
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn number(&mut self) -> Option<i64> {
        let negative = self.take("-");
        let n: i64 = self.word()?.parse().ok()?;
        Some(if negative { -n } else { n })
    }

    fn data_type(&mut self) -> Option<DataType> {
        let word = self.word()?.to_lowercase();
        Some(match word.as_str() {
            "void" | "null" => DataType::Null,
            "boolean" | "bool" => DataType::Boolean,
            "tinyint" | "byte" => DataType::Int8,
            "smallint" | "short" => DataType::Int16,
            "int" | "integer" => DataType::Int32,
            "bigint" | "long" => DataType::Int64,
            "float" | "real" => DataType::Float32,
            "double" => DataType::Float64,
            "string" => DataType::Utf8,
            "char" | "varchar" | "character" => {
                if self.take("(") {
                    self.number()?;
                    self.take(")").then_some(())?;
                }
                DataType::Utf8
            }
            "binary" => DataType::Binary,
            "variant" => variant(),
            "date" => DataType::Date32,
            "timestamp" | "timestamp_ltz" | "timestamp_ntz" => TIMESTAMP,
            "time" => {
                if self.take("(") {
                    self.number()?;
                    self.take(")").then_some(())?;
                }
                TIME
            }
            "interval" => {
                let first = self.word().map(str::to_lowercase);
                let rest = self.rest;
                if self.word().is_some_and(|w| w.eq_ignore_ascii_case("to")) {
                    self.word()?;
                } else {
                    self.rest = rest;
                }
                match first.as_deref() {
                    Some("year" | "month") => YEAR_MONTH,
                    Some(_) => DAY_TIME,
                    None => CALENDAR,
                }
            }
            "decimal" | "dec" | "numeric" => {
                let (mut precision, mut scale) = (10, 0);
                if self.take("(") {
                    precision = u8::try_from(self.number()?).ok()?;
                    if self.take(",") {
                        scale = i8::try_from(self.number()?).ok()?;
                    }
                    self.take(")").then_some(())?;
                }
                DataType::Decimal128(precision, scale)
            }
            "array" => {
                self.take("<").then_some(())?;
                let item = self.data_type()?;
                self.take(">").then_some(())?;
                list_of(item)
            }
            "map" => {
                self.take("<").then_some(())?;
                let key = self.data_type()?;
                self.take(",").then_some(())?;
                let value = self.data_type()?;
                self.take(">").then_some(())?;
                map_of(key, value)
            }
            "struct" => {
                self.take("<").then_some(())?;
                if self.take(">") {
                    return Some(DataType::Struct(Fields::empty()));
                }
                let fields = self.fields(">")?;
                self.take(">").then_some(())?;
                DataType::Struct(fields)
            }
            _ => return None,
        })
    }

    fn fields(&mut self, end: &str) -> Option<Fields> {
        let mut fields = Vec::new();
        loop {
            let name = self.word()?.to_owned();
            self.take(":");
            let data_type = self.data_type()?;
            let rest = self.rest;
            if self.word().is_some_and(|w| w.eq_ignore_ascii_case("not")) {
                self.word()?;
            } else {
                self.rest = rest;
            }
            let rest = self.rest;
            if self.word().is_some_and(|w| w.eq_ignore_ascii_case("comment")) {
                self.take("'").then_some(())?;
                self.rest = &self.rest[self.rest.find('\'')? + 1..];
            } else {
                self.rest = rest;
            }
            fields.push(Field::new(name, data_type, true));
            if !self.take(",") {
                break;
            }
        }
        self.rest = self.rest.trim_start();
        (self.rest.is_empty() || !end.is_empty() && self.rest.starts_with(end)).then(|| fields.into())
    }
}

/// The widest numeric type of two, as Spark finds it.
pub(crate) fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    let (a, b) = (plain(a), plain(b));
    if a == b {
        return Some(a);
    }
    let rank = |t: &DataType| match t {
        T::Int8 => 1,
        T::Int16 => 2,
        T::Int32 => 3,
        T::Int64 => 4,
        T::Float32 => 6,
        T::Float64 => 7,
        _ => 0,
    };
    Some(match (&a, &b) {
        (T::Null, t) | (t, T::Null) => t.clone(),
        (T::Decimal128(..), T::Float32 | T::Float64) | (T::Float32 | T::Float64, T::Decimal128(..)) => {
            T::Float64
        }
        (T::Decimal128(..), _) | (_, T::Decimal128(..))
            if let (Some((p, s)), Some((q, t))) =
                (super::decimal::type_for(&a), super::decimal::type_for(&b)) =>
        {
            let scale = i32::from(s.max(t));
            let whole = (i32::from(p) - i32::from(s)).max(i32::from(q) - i32::from(t));
            let (p, s) = super::decimal::adjust(whole + scale, scale);
            T::Decimal128(p, s)
        }
        (T::Float32, T::Int32 | T::Int64) | (T::Int32 | T::Int64, T::Float32) => T::Float64,
        _ if rank(&a) > 0 && rank(&b) > 0 => {
            if rank(&a) > rank(&b) {
                a
            } else {
                b
            }
        }
        (T::Utf8, t) | (t, T::Utf8) => match t {
            t if t.is_integer() => T::Int64,
            t if t.is_numeric() => T::Float64,
            T::Boolean | T::Date32 | T::Timestamp(..) | T::Binary => t.clone(),
            _ => return None,
        },
        (T::Date32, T::Timestamp(..)) => b,
        (T::Timestamp(_, None), T::Timestamp(..)) if zone_of(&b).is_some() => b,
        (T::Timestamp(..), T::Date32 | T::Timestamp(..)) => a,
        (T::Struct(x), T::Struct(y)) if x.len() == y.len() => {
            let field = |(x, y): (&FieldRef, &FieldRef)| {
                Some(Field::new(x.name(), wider(x.data_type(), y.data_type())?, true))
            };
            T::Struct(x.iter().zip(y).map(field).collect::<Option<Vec<_>>>()?.into())
        }
        _ => match (item_of(&a), item_of(&b), entry_of(&a), entry_of(&b)) {
            (Some(x), Some(y), ..) => list_of(wider(x, y)?),
            (_, _, Some((k, v)), Some((l, w))) => map_of(wider(k, l)?, wider(v, w)?),
            _ => return None,
        },
    })
}

/// As [`wider`], with a string winning over a number, for functions that put values side by side.
pub(crate) fn common<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Option<DataType> {
    types.into_iter().try_fold(DataType::Null, |a, b| wider(&a, b))
}
