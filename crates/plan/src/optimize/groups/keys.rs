//! The columns of a key as one number.
//!
//! Whole numbers, dates and times take the bits they have, a decimal takes 64 if its digits fit, a text takes 64
//! if it has at most seven bytes, and a column that may be null, unless it is text, takes one more. Where 64 bits are enough the number
//! is a `u64`. A key of one column needs no bit for null: null is a group apart.
//!
//! ```text
//!   l_returnflag, l_linestatus       | length, bytes | length, bytes |        128 bits
//!   o_custkey (never null)           | value |                                 64 bits
//!   day, hour (either may be null)   | null | value | null | value |           66 bits
//! ```

use datafusion::arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, Decimal128Array, StringViewArray, make_array,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Schema};
use datafusion::common::Result;
use std::sync::Arc;

/// Bytes of a text beside its length.
const TEXT: u32 = 7;
/// The length of a null.
const NO_TEXT: u64 = 0xff;

/// A number that a key is packed into.
pub(super) trait Key: Copy + Eq + Default + Send + 'static {
    fn with(self, part: u64, shift: u32) -> Self;
    fn part(self, shift: u32, bits: u32) -> u64;
    fn hash(self) -> u64;
    /// The key as a number with an order, if it is one.
    fn number(self) -> Option<i64>;
}

/// Multiplies to 128 bits and folds them, as foldhash does.
fn fold(key: u64) -> u64 {
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

#[derive(Clone, Debug)]
struct Part {
    data_type: DataType,
    form: Form,
    shift: u32,
    /// Where the bit is that says null.
    null: Option<u32>,
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
    /// Of a key with one column.
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
                T::Utf8View => Form::Text,
                _ => return None,
            };
            let shift = bits;
            bits += match form {
                Form::Bits(bits) => bits,
                Form::Decimal | Form::Text => 64,
            };
            let marked = !single && !matches!(form, Form::Text);
            let null = (field.is_nullable() && marked).then_some(bits);
            bits += u32::from(null.is_some());
            parts.push(Part { data_type: field.data_type().clone(), form, shift, null });
        }
        (bits <= 128).then_some(Self { parts, bits })
    }

    /// Whether keys need more than 64 bits.
    pub(super) fn is_wide(&self) -> bool {
        self.bits > 64
    }

    /// None if a value does not fit, or a column is not what was said.
    pub(super) fn pack<K: Key>(&self, columns: &[ArrayRef]) -> Option<Keys<K>> {
        let rows = columns.first()?.len();
        let mut keys = vec![K::default(); rows];
        let mut alone = None;
        for (part, column) in self.parts.iter().zip(columns) {
            if column.data_type() != &part.data_type {
                return None;
            }
            let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
            if let Some(nulls) = nulls.filter(|_| !matches!(part.form, Form::Text)) {
                match part.null {
                    None if self.parts.len() == 1 => alone = Some(nulls.clone()),
                    None => return None,
                    Some(bit) => put(&mut keys, nulls.iter().map(|valid| u64::from(!valid)), bit, None),
                }
            }
            let (shift, data) = (part.shift, column.to_data());
            match part.form {
                Form::Bits(8) => {
                    put(&mut keys, data.buffer::<u8>(0).iter().map(|v| u64::from(*v)), shift, nulls)
                }
                Form::Bits(16) => {
                    put(&mut keys, data.buffer::<u16>(0).iter().map(|v| u64::from(*v)), shift, nulls)
                }
                Form::Bits(32) => {
                    put(&mut keys, data.buffer::<u32>(0).iter().map(|v| u64::from(*v)), shift, nulls)
                }
                Form::Bits(_) => put(&mut keys, data.buffer::<u64>(0).iter().copied(), shift, nulls),
                Form::Decimal => {
                    let values = column.as_primitive::<Decimal128Type>().values();
                    let fits = |value: &i128| i64::try_from(*value).is_ok();
                    if !valid(values, nulls, fits) {
                        return None;
                    }
                    put(&mut keys, values.iter().map(|value| *value as u64), shift, nulls);
                }
                Form::Text => {
                    let views = column.as_string_view().views();
                    if !valid(views, nulls, |view| *view as u32 <= TEXT) {
                        return None;
                    }
                    let packed = |view: &u128| (*view >> 32) as u64 | (u64::from(*view as u32) << 56);
                    put(&mut keys, views.iter().map(packed), shift, nulls);
                    if let Some(nulls) = nulls {
                        let marks = nulls.iter().map(|valid| if valid { 0 } else { NO_TEXT << 56 });
                        put(&mut keys, marks, shift, None);
                    }
                }
            }
        }
        Some(Keys { keys, nulls: alone })
    }

    /// The columns that keys were packed from; `null` is the one of them that stands for null.
    pub(super) fn unpack<K: Key>(&self, keys: &[K], null: Option<usize>) -> Result<Vec<ArrayRef>> {
        self.parts.iter().map(|part| part.unpack(keys, null)).collect()
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
    fn unpack<K: Key>(&self, keys: &[K], null: Option<usize>) -> Result<ArrayRef> {
        let text = matches!(self.form, Form::Text);
        let length = |key: &K| key.part(self.shift + 56, 8);
        let nulls: Option<NullBuffer> = match (self.null, null) {
            _ if text => Some(keys.iter().map(|key| length(key) != NO_TEXT).collect::<Vec<bool>>().into()),
            (Some(bit), _) => {
                Some(keys.iter().map(|key| key.part(bit, 1) == 0).collect::<Vec<bool>>().into())
            }
            (None, Some(null)) => Some((0..keys.len()).map(|at| at != null).collect::<Vec<bool>>().into()),
            (None, None) => None,
        };
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let values = |bits: u32| keys.iter().map(move |key| key.part(self.shift, bits));
        let buffer = match self.form {
            Form::Decimal => {
                let numbers = values(64).map(|bits| i128::from(bits as i64)).collect::<Vec<_>>();
                let numbers = Decimal128Array::new(numbers.into(), nulls);
                return Ok(Arc::new(numbers.with_data_type(self.data_type.clone())));
            }
            Form::Text => {
                let views = values(64).map(|bits| match bits >> 56 {
                    NO_TEXT => 0,
                    length => u128::from(length) | (u128::from(mask(bits, 56)) << 32),
                });
                let views = views.collect::<Vec<_>>().into();
                return Ok(Arc::new(StringViewArray::try_new(views, vec![], nulls)?));
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
        Date32Array, Int8Array, Int16Array, Int32Array, Int64Array, TimestampMicrosecondArray, UInt64Array,
    };
    use datafusion::arrow::datatypes::Field;

    fn round<K: Key>(columns: &[ArrayRef], nullable: bool) -> Option<Vec<ArrayRef>> {
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new("c", column.data_type().clone(), nullable)).collect();
        let layout = Layout::of(&Schema::new(fields))?;
        let keys = layout.pack::<K>(columns)?;
        let null = keys.nulls.as_ref().and_then(|nulls| (0..nulls.len()).find(|at| nulls.is_null(*at)));
        Some(layout.unpack(&keys.keys, null).unwrap())
    }

    #[test]
    fn columns_come_back() {
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![0, -1, i64::MIN, i64::MAX]));
        let gaps: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), None, Some(-7), Some(i64::MAX)]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![None, Some(-1), Some(i32::MIN), Some(0)]));
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![0, -1, i32::MIN, i32::MAX]));
        let shorts: ArrayRef = Arc::new(Int16Array::from(vec![Some(-1), None, Some(i16::MIN), Some(0)]));
        let bytes: ArrayRef = Arc::new(Int8Array::from(vec![Some(-1), Some(i8::MIN), None, Some(0)]));
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1, 2]));
        let times: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![0, -1, i64::MIN, i64::MAX]).with_timezone("UTC"));
        let texts: ArrayRef =
            Arc::new(StringViewArray::from(vec![Some("seven b"), None, Some(""), Some("\0")]));
        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![
                Some(-1),
                None,
                Some(i128::from(i64::MIN)),
                Some(i128::from(i64::MAX)),
            ])
            .with_precision_and_scale(20, 2)
            .unwrap(),
        );
        let sliced = Int32Array::from(vec![9, 0, -1, i32::MIN, i32::MAX, 9]).slice(1, 4);
        let sliced: ArrayRef = Arc::new(sliced);
        // columns, nullable, in 64 bits
        let rows: [(Vec<&ArrayRef>, bool, bool); 13] = [
            (vec![&longs], false, true),
            (vec![&large], false, true),
            (vec![&times], false, true),
            (vec![&ints], false, true),
            (vec![&sliced, &ints], false, true),
            (vec![&ints, &ints], false, true),
            (vec![&bytes, &shorts, &days], true, true),
            (vec![&longs, &ints, &ints], false, false),
            (vec![&texts, &days], true, false),
            (vec![&decimals, &bytes], true, false),
            (vec![&gaps, &days, &shorts], true, false),
            (vec![&texts], true, true),
            (vec![&texts, &texts], true, false),
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
        let long: ArrayRef = Arc::new(StringViewArray::from(vec!["eight by"]));
        let wide: ArrayRef =
            Arc::new(Decimal128Array::from(vec![i128::MAX]).with_precision_and_scale(38, 0).unwrap());
        let floats: ArrayRef = Arc::new(datafusion::arrow::array::Float64Array::from(vec![1.0]));
        for column in [long, wide, floats] {
            let kind = column.data_type().clone();
            assert!(round::<u64>(&[column], false).is_none(), "{kind}");
        }
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let three = vec![longs; 3];
        assert!(round::<u128>(&three, false).is_none(), "192 bits");
    }
}
