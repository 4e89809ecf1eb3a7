//! `st_..`: geometries and geographies as well-known binary.
//!
//! In tables such a value is a struct of its bytes and its reference system, whose first field's name says which of
//! both types it has.

use super::Set;
use super::row::Site;
use crate::condition;
use crate::value::{Value, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use trefoil_core::ErrorKind;

/// The reference system of longitude and latitude.
const WORLD: i64 = 4326;

/// The systems that are known: none, web maps, the world.
const KNOWN: [i64; 3] = [0, 3857, WORLD];

fn shape(kind: &str) -> DataType {
    types::struct_of([(kind, DataType::Binary), ("srid", DataType::Int32)])
}

fn is_geography(site: &Site) -> bool {
    types::is_geography(site.argument(0))
}

fn system(srid: i64, geography: bool) -> Result<i64> {
    match KNOWN.contains(&srid) && (!geography || srid == WORLD) {
        true => Ok(srid),
        false => Err(condition::error(
            ErrorKind::InvalidArgument,
            "ST_INVALID_SRID_VALUE",
            "22023",
            format!("invalid or unsupported SRID (spatial reference identifier) value: {srid}."),
        )),
    }
}

fn malformed(message: &str, at: usize) -> DataFusionError {
    condition::error(
        ErrorKind::InvalidArgument,
        "WKB_PARSE_ERROR",
        "22023",
        format!("error parsing WKB: {message} at position {at}."),
    )
}

/// Walks well-known binary, to say where it is wrong.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let end = self.at + N;
        let taken = self.bytes.get(self.at..end).and_then(|part| <[u8; N]>::try_from(part).ok());
        let taken = taken.ok_or_else(|| malformed("unexpected end of the bytes", self.at))?;
        self.at = end;
        Ok(taken)
    }

    fn count(&mut self, little: bool) -> Result<u32> {
        let bytes = self.take::<4>()?;
        Ok(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn points(&mut self, count: u32, dimensions: usize) -> Result<()> {
        let bytes = (count as usize).saturating_mul(dimensions * 8);
        match self.bytes.len().checked_sub(self.at) {
            Some(left) if left >= bytes => self.at += bytes,
            _ => return Err(malformed("unexpected end of the bytes", self.at)),
        }
        Ok(())
    }

    fn geometry(&mut self, depth: usize) -> Result<()> {
        let start = self.at;
        let little = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            [other] => return Err(malformed(&format!("invalid byte order {other}"), start)),
        };
        let kind = self.count(little)?;
        // 1000 for Z, 2000 for M, 3000 for both.
        let dimensions = match kind / 1000 {
            0 => 2,
            1 | 2 => 3,
            3 => 4,
            _ => return Err(malformed(&format!("invalid type {kind}"), start + 1)),
        };
        match kind % 1000 {
            1 => self.points(1, dimensions),
            2 => {
                let points = self.count(little)?;
                self.points(points, dimensions)
            }
            3 => {
                for _ in 0..self.count(little)? {
                    let points = self.count(little)?;
                    self.points(points, dimensions)?;
                }
                Ok(())
            }
            4..=7 if depth < 32 => {
                for _ in 0..self.count(little)? {
                    self.geometry(depth + 1)?;
                }
                Ok(())
            }
            _ => Err(malformed(&format!("invalid type {kind}"), start + 1)),
        }
    }
}

fn checked(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader { bytes, at: 0 };
    reader.geometry(0)?;
    match reader.at == bytes.len() {
        true => Ok(Value::Bin(bytes.to_vec())),
        false => Err(malformed("bytes after the end", reader.at)),
    }
}

/// The argument is a geometry or a geography.
fn spatial(function: &str, site: &Site) -> Result<()> {
    if types::is_geometry(site.argument(0)) || is_geography(site) || site.argument(0) == &DataType::Null {
        return Ok(());
    }
    let name = types::name(site.argument(0)).to_uppercase();
    Err(condition::argument_type(
        function,
        format!("the first argument must be a GEOMETRY or a GEOGRAPHY, not {name}"),
    ))
}

pub(super) fn add(set: &mut Set) {
    set.typed(
        "st_geomfromwkb",
        "bin int? -> ..",
        |_| Ok(shape(types::GEOMETRY)),
        |row, _| {
            let srid = system(row.get(1).map_or(0, Value::int), false)?;
            Ok(Value::Struct(vec![checked(row[0].bytes())?, Value::Int(srid)]))
        },
    );
    set.typed(
        "st_geogfromwkb",
        "bin -> ..",
        |_| Ok(shape(types::GEOGRAPHY)),
        |row, _| Ok(Value::Struct(vec![checked(row[0].bytes())?, Value::Int(WORLD)])),
    );
    set.typed(
        "st_asbinary",
        "any -> ..",
        |site| spatial("st_asbinary", site).map(|()| DataType::Binary),
        |row, _| Ok(row[0].list().first().cloned().unwrap_or_default()),
    );
    set.typed(
        "st_srid",
        "any -> ..",
        |site| spatial("st_srid", site).map(|()| DataType::Int32),
        |row, _| Ok(row[0].list().get(1).cloned().unwrap_or_default()),
    );
    set.typed(
        "st_setsrid",
        "any int -> ..",
        |site| spatial("st_setsrid", site).map(|()| site.argument(0).clone()),
        |row, site| {
            let srid = system(row[1].int(), is_geography(site))?;
            let bytes = row[0].list().first().cloned().unwrap_or_default();
            Ok(Value::Struct(vec![bytes, Value::Int(srid)]))
        },
    );
}
