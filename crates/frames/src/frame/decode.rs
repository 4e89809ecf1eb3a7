//! The rows of a batch as values of serde.
//!
//! Arrow writes a batch as JSON, an object per row with its columns in their order. A struct or a map reads the object. A
//! tuple reads the values of the object by position, a number or a text the only one: [`Row`] stands between the type
//! and the object and says which of these was asked for.

use super::check::mismatch;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::json::writer::{JsonArray, WriterBuilder};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;
use std::marker::PhantomData;
use trefoil_plan::{Result, plan_error};

/// The rows of a batch.
///
/// # Errors
/// [`ErrorKind::TypeMismatch`](trefoil_plan::ErrorKind::TypeMismatch) for a row that is no `T`.
pub(super) fn decode<T: DeserializeOwned>(op: &'static str, batch: &RecordBatch) -> Result<Vec<T>> {
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|e| plan_error(e.into(), op))?;
    let schema = batch.schema();
    let shape = Shape {
        columns: schema.fields().len(),
        list: matches!(
            schema.fields().iter().map(|field| field.data_type()).collect::<Vec<_>>().as_slice(),
            [DataType::List(_)
                | DataType::LargeList(_)
                | DataType::FixedSizeList(..)
                | DataType::ListView(_)]
        ),
    };
    let json = writer.into_inner();
    let mut json = serde_json::Deserializer::from_slice(&json);
    json.deserialize_seq(Rows { shape, rows: PhantomData }).map_err(|e| {
        mismatch(op, format!("a row does not fit `{}`: {e}", std::any::type_name::<T>()))
            .with_help("take a struct with a field per column, a tuple of all columns, or select one column")
            .with_source(e)
    })
}

#[derive(Clone, Copy)]
struct Shape {
    columns: usize,
    /// Whether the only column holds lists.
    list: bool,
}

/// All rows.
struct Rows<T> {
    shape: Shape,
    rows: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Rows<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> std::result::Result<Vec<T>, A::Error> {
        let mut out = Vec::new();
        while let Some(row) = rows.next_element_seed(RowOf { shape: self.shape, row: PhantomData })? {
            out.push(row);
        }
        Ok(out)
    }
}

struct RowOf<T> {
    shape: Shape,
    row: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for RowOf<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> std::result::Result<T, D::Error> {
        T::deserialize(Row { object, shape: self.shape })
    }
}

/// The object of a row, as the type that reads it wants it.
struct Row<D> {
    object: D,
    shape: Shape,
}

/// What a type asks the only value of a row for; each is a method of [`Deserializer`].
#[derive(Clone, Copy)]
enum Ask {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Text,
    Bytes,
    Option,
    Seq,
}

struct Only<V> {
    ask: Ask,
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Only<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<V::Value, A::Error> {
        map.next_key::<IgnoredAny>()?;
        map.next_value_seed(self)
    }
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Only<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> std::result::Result<V::Value, D::Error> {
        let visitor = self.visitor;
        match self.ask {
            Ask::Bool => value.deserialize_bool(visitor),
            Ask::I8 => value.deserialize_i8(visitor),
            Ask::I16 => value.deserialize_i16(visitor),
            Ask::I32 => value.deserialize_i32(visitor),
            Ask::I64 => value.deserialize_i64(visitor),
            Ask::I128 => value.deserialize_i128(visitor),
            Ask::U8 => value.deserialize_u8(visitor),
            Ask::U16 => value.deserialize_u16(visitor),
            Ask::U32 => value.deserialize_u32(visitor),
            Ask::U64 => value.deserialize_u64(visitor),
            Ask::U128 => value.deserialize_u128(visitor),
            Ask::F32 => value.deserialize_f32(visitor),
            Ask::F64 => value.deserialize_f64(visitor),
            Ask::Char => value.deserialize_char(visitor),
            Ask::Text => value.deserialize_string(visitor),
            Ask::Bytes => value.deserialize_byte_buf(visitor),
            Ask::Option => value.deserialize_option(visitor),
            Ask::Seq => value.deserialize_seq(visitor),
        }
    }
}

/// The values of a row in their order.
struct Values<V> {
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Values<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<V::Value, A::Error> {
        self.visitor.visit_seq(ValuesOf(map))
    }
}

struct ValuesOf<A>(A);

impl<'de, A: MapAccess<'de>> SeqAccess<'de> for ValuesOf<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> std::result::Result<Option<S::Value>, A::Error> {
        match self.0.next_key::<IgnoredAny>()? {
            Some(_) => self.0.next_value_seed(seed).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, D: Deserializer<'de>> Row<D> {
    fn only<V: Visitor<'de>>(self, ask: Ask, visitor: V) -> std::result::Result<V::Value, D::Error> {
        if self.shape.columns == 1 {
            return self.object.deserialize_map(Only { ask, visitor });
        }
        Err(D::Error::custom(format_args!("one value is wanted of {} columns", self.shape.columns)))
    }

    fn tuple<V: Visitor<'de>>(self, parts: usize, visitor: V) -> std::result::Result<V::Value, D::Error> {
        if self.shape.columns == parts {
            return self.object.deserialize_map(Values { visitor });
        }
        let columns = self.shape.columns;
        Err(D::Error::custom(format_args!("a tuple of {parts} is wanted of {columns} columns")))
    }
}

macro_rules! only {
    ($($method:ident $ask:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
            self.only(Ask::$ask, visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Row<D> {
    type Error = D::Error;

    only! {
        deserialize_bool Bool, deserialize_i8 I8, deserialize_i16 I16, deserialize_i32 I32, deserialize_i64 I64,
        deserialize_i128 I128, deserialize_u8 U8, deserialize_u16 U16, deserialize_u32 U32, deserialize_u64 U64,
        deserialize_u128 U128, deserialize_f32 F32, deserialize_f64 F64, deserialize_char Char,
        deserialize_str Text, deserialize_string Text, deserialize_bytes Bytes, deserialize_byte_buf Bytes,
    }

    /// Of one column the value or null; of more the row, which is there.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
        if self.shape.columns == 1 { self.only(Ask::Option, visitor) } else { visitor.visit_some(self) }
    }

    /// A column of lists is the list; otherwise the values of the row are.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
        if self.shape.list {
            self.only(Ask::Seq, visitor)
        } else {
            self.object.deserialize_map(Values { visitor })
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        parts: usize,
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        self.tuple(parts, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        parts: usize,
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        self.tuple(parts, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_unit(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_identifier(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, D::Error> {
        self.object.deserialize_ignored_any(visitor)
    }
}
