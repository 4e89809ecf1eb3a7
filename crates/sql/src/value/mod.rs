//! One value of a row, outside of arrays: what the row-wise functions, casts and printing of the Spark
//! dialect work on.
//!
//! A [`Value`] does not know its type; the Arrow type travels beside it. [`read`] takes a column apart,
//! [`build`] puts one together. Functions whose speed matters work on arrays instead and never come here.

pub(crate) mod cast;
pub(crate) mod datetime;
pub(crate) mod decimal;
pub(crate) mod format;
pub(crate) mod types;

use datafusion::arrow::array::*;
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::*;
use datafusion::error::{DataFusionError, Result};
use std::cmp::Ordering;
use std::sync::Arc;

/// One value. Floats of both widths are `Float`, integers of all widths `Int`; the type says which.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Unscaled; the scale is in the type and repeated here.
    Decimal(i128, i8),
    Str(String),
    Bin(Vec<u8>),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Ts(i64),
    /// Microseconds since midnight.
    Time(i64),
    /// An interval of months.
    Months(i32),
    /// An interval of microseconds.
    Micros(i64),
    /// A calendar interval: months, days, microseconds.
    Calendar(i32, i32, i64),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Struct(Vec<Value>),
}

use Value::*;

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Null)
    }

    pub(crate) fn str(&self) -> &str {
        match self {
            Str(text) => text,
            _ => "",
        }
    }

    pub(crate) fn int(&self) -> i64 {
        match self {
            Int(n) => *n,
            Bool(b) => i64::from(*b),
            Float(x) => *x as i64,
            Decimal(n, s) => i64::try_from(*n / 10_i128.pow((*s).max(0) as u32)).unwrap_or(i64::MAX),
            Date(d) => i64::from(*d),
            Ts(t) | Time(t) | Micros(t) => *t,
            Months(m) => i64::from(*m),
            _ => 0,
        }
    }

    pub(crate) fn float(&self) -> f64 {
        match self {
            Float(x) => *x,
            Decimal(n, s) => decimal::to_f64(*n, *s),
            other => other.int() as f64,
        }
    }

    pub(crate) fn truth(&self) -> bool {
        matches!(self, Bool(true))
    }

    /// The bytes of a string or of a binary value.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Str(text) => text.as_bytes(),
            Bin(bytes) => bytes,
            _ => &[],
        }
    }

    pub(crate) fn list(&self) -> &[Value] {
        match self {
            List(items) | Struct(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn into_list(self) -> Vec<Value> {
        match self {
            List(items) | Struct(items) => items,
            _ => Vec::new(),
        }
    }

    pub(crate) fn map(&self) -> &[(Value, Value)] {
        match self {
            Map(entries) => entries,
            _ => &[],
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Str(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Str(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Int(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Bool(b)
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Float(x)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Null, Into::into)
    }
}

/// Spark's order: nulls first, NaN above all numbers, -0.0 equal to 0.0.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Null, Null) => Ordering::Equal,
            (Null, _) => Ordering::Less,
            (_, Null) => Ordering::Greater,
            (Bool(a), Bool(b)) => a.cmp(b),
            (Float(_), _) | (_, Float(_)) => float_order(self.float(), other.float()),
            (Decimal(a, s), Decimal(b, t)) if s == t => a.cmp(b),
            (Decimal(..), _) | (_, Decimal(..)) => decimal::compare(self, other),
            (Str(a), Str(b)) => a.cmp(b),
            (Str(_) | Bin(_), Str(_) | Bin(_)) => self.bytes().cmp(other.bytes()),
            (Calendar(a, b, c), Calendar(x, y, z)) => (a, b, c).cmp(&(x, y, z)),
            (List(a), List(b)) | (Struct(a), Struct(b)) => a.cmp(b),
            (Map(a), Map(b)) => a.cmp(b),
            _ => self.int().cmp(&other.int()),
        }
    }
}

fn float_order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

macro_rules! primitives {
    ($array:expr, $type:ty, $make:expr) => {{
        let array = $array.as_primitive::<$type>();
        let make = $make;
        Ok(array.iter().map(|v| v.map_or(Null, &make)).collect())
    }};
}

/// The values of a column.
///
/// # Errors
/// For a type that Spark has no like of, such as unions.
pub(crate) fn read(array: &ArrayRef) -> Result<Vec<Value>> {
    use DataType as T;
    match array.data_type() {
        T::Null => Ok(vec![Null; array.len()]),
        T::Boolean => Ok(array.as_boolean().iter().map(|v| v.map_or(Null, Bool)).collect()),
        T::Int8 => primitives!(array, Int8Type, |v| Int(i64::from(v))),
        T::Int16 => primitives!(array, Int16Type, |v| Int(i64::from(v))),
        T::Int32 => primitives!(array, Int32Type, |v| Int(i64::from(v))),
        T::Int64 => primitives!(array, Int64Type, Int),
        T::UInt8 => primitives!(array, UInt8Type, |v| Int(i64::from(v))),
        T::UInt16 => primitives!(array, UInt16Type, |v| Int(i64::from(v))),
        T::UInt32 => primitives!(array, UInt32Type, |v| Int(i64::from(v))),
        T::UInt64 => primitives!(array, UInt64Type, |v| Int(v as i64)),
        T::Float16 => read(&arrow_cast(array, &T::Float32)?),
        T::Float32 => primitives!(array, Float32Type, |v| Float(f64::from(v))),
        T::Float64 => primitives!(array, Float64Type, Float),
        T::Decimal128(_, scale) => {
            let scale = *scale;
            primitives!(array, Decimal128Type, |v| Decimal(v, scale))
        }
        T::Utf8 => Ok(array.as_string::<i32>().iter().map(Value::from).collect()),
        T::LargeUtf8 => Ok(array.as_string::<i64>().iter().map(Value::from).collect()),
        T::Utf8View => Ok(array.as_string_view().iter().map(Value::from).collect()),
        T::Binary => Ok(array.as_binary::<i32>().iter().map(binary).collect()),
        T::LargeBinary => Ok(array.as_binary::<i64>().iter().map(binary).collect()),
        T::BinaryView => Ok(array.as_binary_view().iter().map(binary).collect()),
        T::FixedSizeBinary(_) => Ok(array.as_fixed_size_binary().iter().map(binary).collect()),
        T::Date32 => primitives!(array, Date32Type, Date),
        T::Date64 => read(&arrow_cast(array, &T::Date32)?),
        T::Timestamp(TimeUnit::Microsecond, _) => primitives!(array, TimestampMicrosecondType, Ts),
        T::Timestamp(TimeUnit::Nanosecond, _) => {
            primitives!(array, TimestampNanosecondType, |v: i64| Ts(v.div_euclid(1000)))
        }
        T::Timestamp(TimeUnit::Millisecond, _) => {
            primitives!(array, TimestampMillisecondType, |v: i64| Ts(v.saturating_mul(1000)))
        }
        T::Timestamp(TimeUnit::Second, _) => {
            primitives!(array, TimestampSecondType, |v: i64| Ts(v.saturating_mul(1_000_000)))
        }
        T::Time64(TimeUnit::Nanosecond) => primitives!(array, Time64NanosecondType, |v: i64| Time(v / 1000)),
        T::Time64(TimeUnit::Microsecond) => primitives!(array, Time64MicrosecondType, Time),
        T::Time32(_) => read(&arrow_cast(array, &T::Time64(TimeUnit::Microsecond))?),
        T::Interval(IntervalUnit::YearMonth) => primitives!(array, IntervalYearMonthType, Months),
        T::Interval(IntervalUnit::DayTime) => {
            primitives!(array, IntervalDayTimeType, |v: IntervalDayTime| Calendar(
                0,
                v.days,
                i64::from(v.milliseconds) * 1000
            ))
        }
        T::Interval(IntervalUnit::MonthDayNano) => {
            primitives!(array, IntervalMonthDayNanoType, |v: IntervalMonthDayNano| Calendar(
                v.months,
                v.days,
                v.nanoseconds / 1000
            ))
        }
        T::Duration(TimeUnit::Microsecond) => primitives!(array, DurationMicrosecondType, Micros),
        T::Duration(_) => read(&arrow_cast(array, &T::Duration(TimeUnit::Microsecond))?),
        T::List(_) => {
            let array = array.as_list::<i32>();
            lists(array.offsets().iter().map(|o| *o as usize), array.nulls(), array.values())
        }
        T::LargeList(_) => {
            let array = array.as_list::<i64>();
            lists(array.offsets().iter().map(|o| *o as usize), array.nulls(), array.values())
        }
        T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            read(&arrow_cast(array, &T::List(Arc::clone(item)))?)
        }
        T::Struct(_) => {
            let array = array.as_struct();
            let mut columns: Vec<_> =
                array.columns().iter().map(|c| Ok(read(c)?.into_iter())).collect::<Result<_>>()?;
            let row = |index: usize| {
                let row = columns.iter_mut().map(|c| c.next().unwrap_or(Null)).collect();
                if array.is_null(index) { Null } else { Struct(row) }
            };
            Ok((0..array.len()).map(row).collect())
        }
        T::Map(..) => {
            let array = array.as_map();
            let (keys, values) = (read(array.keys())?, read(array.values())?);
            let offsets: Vec<usize> = array.offsets().iter().map(|o| *o as usize).collect();
            let entries = |index: usize| {
                let range = offsets[index]..offsets[index + 1];
                Map(keys[range.clone()].iter().cloned().zip(values[range].iter().cloned()).collect())
            };
            Ok((0..array.len()).map(|i| if array.is_null(i) { Null } else { entries(i) }).collect())
        }
        T::Dictionary(_, value) => read(&arrow_cast(array, value)?),
        T::RunEndEncoded(_, value) => read(&arrow_cast(array, value.data_type())?),
        T::Decimal32(p, s) | T::Decimal64(p, s) => read(&arrow_cast(array, &T::Decimal128(*p, *s))?),
        other => Err(DataFusionError::NotImplemented(format!("values of type {other}"))),
    }
}

fn binary(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Null, |bytes| Bin(bytes.to_vec()))
}

fn lists(
    offsets: impl Iterator<Item = usize>,
    nulls: Option<&NullBuffer>,
    values: &ArrayRef,
) -> Result<Vec<Value>> {
    let offsets: Vec<usize> = offsets.collect();
    let values = read(values)?;
    let one = |(index, pair): (usize, &[usize])| {
        if nulls.is_some_and(|nulls| nulls.is_null(index)) {
            Null
        } else {
            List(values[pair[0]..pair[1]].to_vec())
        }
    };
    Ok(offsets.windows(2).enumerate().map(one).collect())
}

macro_rules! collect {
    ($values:expr, $array:ty, |$v:ident| $make:expr) => {
        Arc::new($values.iter().map(|$v| if $v.is_null() { None } else { Some($make) }).collect::<$array>())
    };
}

/// A column of a type from values that have it.
///
/// # Errors
/// For types that [`read`] does not read, and for more elements than an offset can count.
pub(crate) fn build(values: &[Value], data_type: &DataType) -> Result<ArrayRef> {
    use DataType as T;
    Ok(match data_type {
        T::Null => Arc::new(NullArray::new(values.len())),
        T::Boolean => collect!(values, BooleanArray, |v| v.truth()),
        T::Int8 => collect!(values, Int8Array, |v| v.int() as i8),
        T::Int16 => collect!(values, Int16Array, |v| v.int() as i16),
        T::Int32 => collect!(values, Int32Array, |v| v.int() as i32),
        T::Int64 => collect!(values, Int64Array, |v| v.int()),
        T::Float32 => collect!(values, Float32Array, |v| v.float() as f32),
        T::Float64 => collect!(values, Float64Array, |v| v.float()),
        T::Decimal128(p, s) => {
            let array: Decimal128Array =
                values.iter().map(|v| if v.is_null() { None } else { decimal::rescale(v, *s) }).collect();
            Arc::new(array.with_precision_and_scale(*p, *s)?)
        }
        T::Utf8 => collect!(values, StringArray, |v| v.str()),
        T::LargeUtf8 => collect!(values, LargeStringArray, |v| v.str()),
        T::Utf8View => collect!(values, StringViewArray, |v| v.str()),
        T::Binary => collect!(values, BinaryArray, |v| v.bytes()),
        T::Date32 => collect!(values, Date32Array, |v| v.int() as i32),
        T::Timestamp(TimeUnit::Microsecond, zone) => {
            let array: TimestampMicrosecondArray =
                values.iter().map(|v| (!v.is_null()).then(|| v.int())).collect();
            Arc::new(array.with_timezone_opt(zone.clone()))
        }
        T::Time64(TimeUnit::Nanosecond) => collect!(values, Time64NanosecondArray, |v| v.int() * 1000),
        T::Time64(TimeUnit::Microsecond) => collect!(values, Time64MicrosecondArray, |v| v.int()),
        T::Interval(IntervalUnit::YearMonth) => {
            collect!(values, IntervalYearMonthArray, |v| v.int() as i32)
        }
        T::Interval(IntervalUnit::MonthDayNano) => {
            collect!(values, IntervalMonthDayNanoArray, |v| calendar(v))
        }
        T::Duration(TimeUnit::Microsecond) => collect!(values, DurationMicrosecondArray, |v| v.int()),
        T::List(item) => {
            let offsets = offsets(values.iter().map(|v| v.list().len()))?;
            let flat: Vec<Value> = values.iter().flat_map(|v| v.list().iter().cloned()).collect();
            let items = build(&flat, item.data_type())?;
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls(values))?)
        }
        T::LargeList(item) => {
            let list = build(values, &T::List(Arc::clone(item)))?;
            arrow_cast(&list, data_type)?
        }
        T::Map(entries, sorted) => {
            let T::Struct(fields) = entries.data_type() else {
                return Err(DataFusionError::Internal("a map without a struct of entries".into()));
            };
            let offsets = offsets(values.iter().map(|v| v.map().len()))?;
            let (keys, mapped): (Vec<Value>, Vec<Value>) =
                values.iter().flat_map(|v| v.map().iter().cloned()).unzip();
            let columns = vec![build(&keys, fields[0].data_type())?, build(&mapped, fields[1].data_type())?];
            let pairs = StructArray::try_new(fields.clone(), columns, None)?;
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls(values), *sorted)?)
        }
        T::Struct(fields) => {
            if fields.is_empty() {
                return Ok(Arc::new(StructArray::new_empty_fields(values.len(), nulls(values))));
            }
            let column = |(index, field): (usize, &FieldRef)| {
                let column: Vec<Value> =
                    values.iter().map(|v| v.list().get(index).cloned().unwrap_or(Null)).collect();
                build(&column, field.data_type())
            };
            let columns = fields.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, nulls(values))?)
        }
        other => return Err(DataFusionError::NotImplemented(format!("making values of type {other}"))),
    })
}

fn calendar(value: &Value) -> IntervalMonthDayNano {
    match value {
        Calendar(months, days, micros) => {
            IntervalMonthDayNano::new(*months, *days, micros.saturating_mul(1000))
        }
        Months(months) => IntervalMonthDayNano::new(*months, 0, 0),
        other => IntervalMonthDayNano::new(0, 0, other.int().saturating_mul(1000)),
    }
}

fn nulls(values: &[Value]) -> Option<NullBuffer> {
    values.iter().any(Value::is_null).then(|| values.iter().map(|v| !v.is_null()).collect())
}

fn offsets(lengths: impl Iterator<Item = usize>) -> Result<OffsetBuffer<i32>> {
    let mut total = 0_usize;
    let mut offsets = vec![0_i32];
    for length in lengths {
        total += length;
        let end = i32::try_from(total).map_err(|_| {
            DataFusionError::Execution("more than 2^31 elements in one batch of lists".into())
        })?;
        offsets.push(end);
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}
