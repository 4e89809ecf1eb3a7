//! The columns of a key as one number.
//!
//! Whole numbers, dates and times take the bits they have, a decimal takes 64 if its digits fit, a text takes 32: its number
//! among the texts of its column ([`texts`](super::texts)). Null is the text zero; of numbers with 32 bits or more it is the
//! least one, whose own value then does not fit; shorter ones take one bit more. Where 64 bits are enough the number
//! is a `u64`. A key of one number is not null itself: null is a group apart.
//!
//! ```text
//!   i_category, s_store_name, d_year | number | number | value |           96 bits
//!   o_custkey (never null)           | value |                             64 bits
//!   day, hour (either may be null)   | value | value |                     64 bits
//! ```

use super::texts::Texts;
use datafusion::arrow::array::{Array, ArrayData, ArrayRef, AsArray, Decimal128Array, make_array};
use datafusion::arrow::buffer::{Buffer, NullBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Schema};
use datafusion::common::Result;
use std::sync::Arc;

/// A number that a key is packed into.
pub(super) trait Key: Copy + Eq + Default + Send + 'static {
    fn with(self, part: u64, shift: u32) -> Self;
    fn part(self, shift: u32, bits: u32) -> u64;
    fn hash(self) -> u64;
    /// The key as a number with an order, if it is one.
    fn number(self) -> Option<i64>;
}

/// Multiplies to 128 bits and folds them, as foldhash does.
pub(super) fn fold(key: u64) -> u64 {
    let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * u128::from(0xd6e8_feb8_6659_fd93_u64);
    (product as u64) ^ ((product >> 64) as u64)
}

fn mask(part: u64, bits: u32) -> u64 {
    if bits >= 64 { part } else { part & ((1 << bits) - 1) }
}

impl Key for u64 {
    fn with(self, part: u64, shift: u32) -> Self {
        self | (part << shift)
    }

    fn part(self, shift: u32, bits: u32) -> u64 {
        mask(self >> shift, bits)
    }

    fn hash(self) -> u64 {
        fold(self)
    }

    fn number(self) -> Option<i64> {
        Some(self as i64)
    }
}

impl Key for u128 {
    fn with(self, part: u64, shift: u32) -> Self {
        self | (Self::from(part) << shift)
    }

    fn part(self, shift: u32, bits: u32) -> u64 {
        mask((self >> shift) as u64, bits)
    }

    fn hash(self) -> u64 {
        fold(self as u64 ^ fold((self >> 64) as u64))
    }

    fn number(self) -> Option<i64> {
        None
    }
}

#[derive(Clone, Debug)]
enum Form {
    /// A value of so many bits.
    Bits(u32),
    Decimal,
    Text,
}

impl Form {
    fn bits(&self) -> u32 {
        match self {
            Form::Bits(bits) => *bits,
            Form::Decimal => 64,
            Form::Text => 32,
        }
    }

    /// The value that says null.
    fn least(&self) -> u64 {
        1 << (self.bits() - 1)
    }
}

/// How null is said.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Null {
    /// Not in the key.
    Apart,
    /// By a bit.
    Bit(u32),
    /// By the least value.
    Least,
}

#[derive(Clone, Debug)]
struct Part {
    data_type: DataType,
    form: Form,
    shift: u32,
    null: Null,
}

/// How keys are packed.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    parts: Vec<Part>,
    bits: u32,
}

/// The keys of a batch.
pub(super) struct Keys<K> {
    pub(super) keys: Vec<K>,
    /// Of a key that is one number.
    pub(super) nulls: Option<NullBuffer>,
}

impl Layout {
    /// None if columns have other types, or do not fit.
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        let single = schema.fields().len() == 1;
        let (mut parts, mut bits) = (Vec::new(), 0);
        for field in schema.fields() {
            use DataType as T;
            let form = match field.data_type() {
                T::Int8 | T::UInt8 => Form::Bits(8),
                T::Int16 | T::UInt16 => Form::Bits(16),
                T::Int32 | T::UInt32 | T::Date32 | T::Time32(_) => Form::Bits(32),
                T::Int64 | T::UInt64 | T::Date64 | T::Time64(_) | T::Timestamp(..) | T::Duration(_) => {
                    Form::Bits(64)
                }
                T::Decimal128(..) => Form::Decimal,
                T::Utf8View | T::Utf8 | T::LargeUtf8 => Form::Text,
                _ => return None,
            };
            let shift = bits;
            bits += form.bits();
            let null = match form {
                _ if single || !field.is_nullable() => Null::Apart,
                Form::Text => Null::Apart,
                Form::Bits(8 | 16) => Null::Bit(bits),
                _ => Null::Least,
            };
            bits += u32::from(matches!(null, Null::Bit(_)));
            parts.push(Part { data_type: field.data_type().clone(), form, shift, null });
        }
        (bits <= 128).then_some(Self { parts, bits })
    }

    /// Whether keys need more than 64 bits.
    pub(super) fn is_wide(&self) -> bool {
        self.bits > 64
    }

    /// What the texts of keys are kept in, a part each.
    pub(super) fn texts(&self) -> Vec<Texts> {
        self.parts.iter().map(|_| Texts::default()).collect()
    }

    /// None if a value does not fit, or a column is not what was said.
    pub(super) fn pack<K: Key>(&self, columns: &[ArrayRef], texts: &mut [Texts]) -> Option<Keys<K>> {
        let rows = columns.first()?.len();
        let mut keys = vec![K::default(); rows];
        let mut alone = None;
        for ((part, column), texts) in self.parts.iter().zip(columns).zip(texts) {
            if column.data_type() != &part.data_type {
                return None;
            }
            let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
            if let Some(nulls) = nulls.filter(|_| !matches!(part.form, Form::Text)) {
                let mark = |mark: u64| nulls.iter().map(move |valid| if valid { 0 } else { mark });
                match part.null {
                    Null::Apart if self.parts.len() == 1 => alone = Some(nulls.clone()),
                    Null::Apart => return None,
                    Null::Bit(bit) => put(&mut keys, mark(1), bit, None),
                    Null::Least => put(&mut keys, mark(part.form.least()), part.shift, None),
                }
            }
            let (shift, data) = (part.shift, column.to_data());
            let (marked, least) = (part.null == Null::Least, part.form.least());
            match part.form {
                Form::Bits(8) => {
                    put(&mut keys, data.buffer::<u8>(0).iter().map(|v| u64::from(*v)), shift, nulls)
                }
                Form::Bits(16) => {
                    put(&mut keys, data.buffer::<u16>(0).iter().map(|v| u64::from(*v)), shift, nulls)
                }
                Form::Bits(32) => {
                    let values = data.buffer::<u32>(0);
                    if marked && !valid(values, nulls, |value| u64::from(*value) != least) {
                        return None;
                    }
                    put(&mut keys, values.iter().map(|v| u64::from(*v)), shift, nulls)
                }
                Form::Bits(_) => {
                    let values = data.buffer::<u64>(0);
                    if marked && !valid(values, nulls, |value| *value != least) {
                        return None;
                    }
                    put(&mut keys, values.iter().copied(), shift, nulls)
                }
                Form::Decimal => {
                    let values = column.as_primitive::<Decimal128Type>().values();
                    let fits = |value: &i128| {
                        i64::try_from(*value).is_ok_and(|value| !marked || value as u64 != least)
                    };
                    if !valid(values, nulls, fits) {
                        return None;
                    }
                    put(&mut keys, values.iter().map(|value| *value as u64), shift, nulls);
                }
                Form::Text => {
                    let put = |row: usize, number| keys[row] = keys[row].with(u64::from(number), shift);
                    let views = match part.data_type {
                        DataType::Utf8View => Arc::clone(column),
                        _ => cast(column, &DataType::Utf8View).ok()?,
                    };
                    if !texts.number(views.as_string_view(), put) {
                        return None;
                    }
                }
            }
        }
        Some(Keys { keys, nulls: alone })
    }

    /// The columns that keys were packed from; `null` is the one of them that stands for null. Their texts are taken out.
    pub(super) fn unpack<K: Key>(
        &self,
        keys: &[K],
        null: Option<usize>,
        texts: &mut [Texts],
    ) -> Result<Vec<ArrayRef>> {
        self.parts.iter().zip(texts).map(|(part, texts)| part.unpack(keys, null, texts)).collect()
    }
}

/// Puts a part into each key; what stands below a null may be anything, and is left out.
fn put<K: Key>(keys: &mut [K], parts: impl Iterator<Item = u64>, shift: u32, nulls: Option<&NullBuffer>) {
    match nulls {
        None => keys.iter_mut().zip(parts).for_each(|(key, part)| *key = key.with(part, shift)),
        Some(nulls) => {
            for ((key, part), valid) in keys.iter_mut().zip(parts).zip(nulls) {
                if valid {
                    *key = key.with(part, shift);
                }
            }
        }
    }
}

fn valid<T>(values: &[T], nulls: Option<&NullBuffer>, fits: impl Fn(&T) -> bool) -> bool {
    match nulls {
        None => values.iter().all(fits),
        Some(nulls) => values.iter().zip(nulls).all(|(value, valid)| !valid || fits(value)),
    }
}

impl Part {
    fn unpack<K: Key>(&self, keys: &[K], null: Option<usize>, texts: &mut Texts) -> Result<ArrayRef> {
        let (bits, least) = (self.form.bits(), self.form.least());
        let values = |bits: u32| keys.iter().map(move |key| key.part(self.shift, bits));
        let nulls: Option<NullBuffer> = match (self.null, null) {
            (Null::Bit(bit), _) => {
                Some(keys.iter().map(|key| key.part(bit, 1) == 0).collect::<Vec<bool>>().into())
            }
            (Null::Least, _) => Some(values(bits).map(|value| value != least).collect::<Vec<bool>>().into()),
            (Null::Apart, Some(null)) => {
                Some((0..keys.len()).map(|at| at != null).collect::<Vec<bool>>().into())
            }
            (Null::Apart, None) => None,
        };
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let buffer = match self.form {
            Form::Decimal => {
                let numbers = values(64).map(|bits| i128::from(bits as i64)).collect::<Vec<_>>();
                let numbers = Decimal128Array::new(numbers.into(), nulls);
                return Ok(Arc::new(numbers.with_data_type(self.data_type.clone())));
            }
            Form::Text => {
                let views = texts.take(values(32).map(|number| number as u32))?;
                return match self.data_type {
                    DataType::Utf8View => Ok(views),
                    _ => Ok(cast(&views, &self.data_type)?),
                };
            }
            Form::Bits(8) => Buffer::from_vec(values(8).map(|bits| bits as u8).collect()),
            Form::Bits(16) => Buffer::from_vec(values(16).map(|bits| bits as u16).collect()),
            Form::Bits(32) => Buffer::from_vec(values(32).map(|bits| bits as u32).collect()),
            Form::Bits(_) => Buffer::from_vec(values(64).collect::<Vec<u64>>()),
        };
        let data = ArrayData::builder(self.data_type.clone()).len(keys.len()).add_buffer(buffer).nulls(nulls);
        Ok(make_array(data.build()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{
        Date32Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, StringArray,
        StringViewArray, TimestampMicrosecondArray, UInt64Array,
    };
    use datafusion::arrow::datatypes::Field;

    fn round<K: Key>(columns: &[ArrayRef], nullable: bool) -> Option<Vec<ArrayRef>> {
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new("c", column.data_type().clone(), nullable)).collect();
        let layout = Layout::of(&Schema::new(fields))?;
        let mut texts = layout.texts();
        let keys = layout.pack::<K>(columns, &mut texts)?;
        let null = keys.nulls.as_ref().and_then(|nulls| (0..nulls.len()).find(|at| nulls.is_null(*at)));
        Some(layout.unpack(&keys.keys, null, &mut texts).unwrap())
    }

    #[test]
    fn columns_come_back() {
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![0, -1, i64::MIN, i64::MAX]));
        let gaps: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), None, Some(-7), Some(i64::MAX)]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![None, Some(-1), Some(i32::MIN + 1), Some(0)]));
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![0, -1, i32::MIN, i32::MAX]));
        let shorts: ArrayRef = Arc::new(Int16Array::from(vec![Some(-1), None, Some(i16::MIN), Some(0)]));
        let bytes: ArrayRef = Arc::new(Int8Array::from(vec![Some(-1), Some(i8::MIN), None, Some(0)]));
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1, 2]));
        let times: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![0, -1, i64::MIN, i64::MAX]).with_timezone("UTC"));
        let texts: ArrayRef =
            Arc::new(StringViewArray::from(vec![Some("more than twelve bytes"), None, Some(""), Some("\0")]));
        let short: ArrayRef = Arc::new(StringArray::from(vec![Some("one"), Some(""), None, Some("one")]));
        let long: ArrayRef = Arc::new(LargeStringArray::from(vec![None, Some("a"), Some("b"), Some("a")]));
        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![
                Some(-1),
                None,
                Some(i128::from(i64::MIN + 1)),
                Some(i128::from(i64::MAX)),
            ])
            .with_precision_and_scale(20, 2)
            .unwrap(),
        );
        let sliced = Int32Array::from(vec![9, 0, -1, i32::MIN, i32::MAX, 9]).slice(1, 4);
        let sliced: ArrayRef = Arc::new(sliced);
        // columns, nullable, in 64 bits
        let rows: [(Vec<&ArrayRef>, bool, bool); 18] = [
            (vec![&longs], false, true),
            (vec![&large], false, true),
            (vec![&times], false, true),
            (vec![&ints], false, true),
            (vec![&sliced, &ints], false, true),
            (vec![&ints, &ints], false, true),
            (vec![&bytes, &shorts, &days], true, true),
            (vec![&longs, &ints, &ints], false, false),
            (vec![&texts, &days], true, true),
            (vec![&days, &days], true, true),
            (vec![&texts, &texts, &texts], true, false),
            (vec![&decimals, &bytes], true, false),
            (vec![&gaps, &days, &shorts], true, false),
            (vec![&texts], true, true),
            (vec![&texts, &texts], true, true),
            (vec![&short], true, true),
            (vec![&short, &texts], true, true),
            (vec![&long, &short, &bytes], true, false),
        ];
        for (columns, nullable, small) in rows {
            let columns: Vec<ArrayRef> = columns.into_iter().cloned().collect();
            let back =
                if small { round::<u64>(&columns, nullable) } else { round::<u128>(&columns, nullable) };
            let types: Vec<_> = columns.iter().map(|column| column.data_type()).collect();
            assert_eq!(back.as_deref(), Some(&columns[..]), "{types:?}");
        }
    }

    #[test]
    fn what_does_not_fit() {
        // The least value says null.
        let least: ArrayRef = Arc::new(Int32Array::from(vec![i32::MIN]));
        assert!(round::<u64>(&[Arc::clone(&least), Arc::clone(&least)], true).is_none());
        assert!(round::<u64>(&[Arc::clone(&least), Arc::clone(&least)], false).is_some());
        assert!(round::<u64>(&[least], true).is_some());
        let wide: ArrayRef =
            Arc::new(Decimal128Array::from(vec![i128::MAX]).with_precision_and_scale(38, 0).unwrap());
        let floats: ArrayRef = Arc::new(datafusion::arrow::array::Float64Array::from(vec![1.0]));
        for column in [wide, floats] {
            let kind = column.data_type().clone();
            assert!(round::<u64>(&[column], false).is_none(), "{kind}");
        }
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let three = vec![longs; 3];
        assert!(round::<u128>(&three, false).is_none(), "192 bits");
    }
}
