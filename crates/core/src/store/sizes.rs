//! The heap of a value, found by walking it as if to serialise it.
//!
//! Exact for vectors of numbers and for strings up to spare capacity, which nobody can see from outside;
//! a struct on the heap counts its fields without padding. Maps count an eighth more for their tables.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

/// Bytes a `String`, `Vec` or map takes where it stands, besides what it points to.
const HEADER: usize = 3 * size_of::<usize>();

/// About how many bytes of memory the fields of a value take, pointed-to memory included; none if the type
/// refuses to be walked.
pub(super) fn walked_bytes<T: Serialize + ?Sized>(value: &T) -> Option<usize> {
    let mut walk = Walk(0);
    value.serialize(&mut walk).ok().map(|()| walk.0)
}

struct Walk(usize);

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! plain {
    ($($method:ident($type:ty)),*) => {
        $(fn $method(self, _: $type) -> Result<(), Refused> {
            self.0 += size_of::<$type>();
            Ok(())
        })*
    };
}

impl<'a> Serializer for &'a mut Walk {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    plain!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char)
    );

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_str(self, text: &str) -> Result<(), Refused> {
        self.0 += HEADER + text.len();
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Refused> {
        self.0 += HEADER + bytes.len();
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.0 += size_of::<usize>();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Refused> {
        self.0 += size_of::<u8>();
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, v: &T) -> Result<(), Refused> {
        v.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.0 += size_of::<usize>();
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Refused> {
        self.0 += HEADER;
        Ok(Parts { walk: self, eighths: 8, start: 0 })
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Refused> {
        Ok(Parts { walk: self, eighths: 8, start: 0 })
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Refused> {
        Ok(Parts { walk: self, eighths: 8, start: 0 })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Refused> {
        self.0 += size_of::<usize>();
        Ok(Parts { walk: self, eighths: 8, start: 0 })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Refused> {
        self.0 += 2 * HEADER;
        let start = self.0;
        Ok(Parts { walk: self, eighths: 9, start })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Refused> {
        Ok(Parts { walk: self, eighths: 8, start: 0 })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Refused> {
        self.0 += size_of::<usize>();
        Ok(Parts { walk: self, eighths: 8, start: 0 })
    }
}

/// Elements, fields or pairs; what came since `start` counts `eighths` of itself.
struct Parts<'a> {
    walk: &'a mut Walk,
    eighths: usize,
    start: usize,
}

impl Parts<'_> {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(&mut *self.walk)
    }

    fn finish(self) {
        let own = self.walk.0 - self.start.min(self.walk.0);
        self.walk.0 += own / 8 * (self.eighths - 8);
    }
}

macro_rules! parts {
    ($($trait:ident::$method:ident),*) => {
        $(impl ser::$trait for Parts<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.part(value)
            }

            fn end(self) -> Result<(), Refused> {
                self.finish();
                Ok(())
            }
        })*
    };
}

parts!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Parts<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.part(value)
            }

            fn end(self) -> Result<(), Refused> {
                self.finish();
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.part(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Serialize)]
    struct Sensor {
        name: String,
        samples: Vec<f64>,
        next: Option<Box<Sensor>>,
    }

    #[test]
    fn sizes_of_values() {
        let sensor = |count: usize, next| Sensor { name: "abcd".into(), samples: vec![0.5; count], next };
        let check = |found: Option<usize>, expect: usize| assert_eq!(found, Some(expect));
        check(walked_bytes(&7u64), 8);
        check(walked_bytes(&vec![1u8; 1000]), HEADER + 1000);
        check(walked_bytes(&vec![0i64; 1000]), HEADER + 8000);
        check(walked_bytes("text"), HEADER + 4);
        check(walked_bytes(&vec!["ab".to_owned(); 3]), HEADER + 3 * (HEADER + 2));
        check(walked_bytes(&sensor(10, None)), size_of::<Sensor>() + 4 + 80);
        let two = walked_bytes(&sensor(10, Some(Box::new(sensor(5, None)))));
        check(two, 2 * (HEADER + 4 + HEADER) + 120 + 8);
        let map: BTreeMap<u64, u64> = (0..64).map(|i| (i, i)).collect();
        check(walked_bytes(&map), 2 * HEADER + 64 * 18);
    }
}
