//! Hashes: MD5, SHA, CRC-32, and Spark's `hash` (Murmur3) and `xxhash64`.

use super::Set;
use crate::value::{Value, types};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

fn lower_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn add(set: &mut Set) {
    set.add("md5", "bytes -> str", |row, _| Ok(lower_hex(&Md5::digest(row[0].bytes())).into()));
    set.add("sha sha1", "bytes -> str", |row, _| Ok(lower_hex(&Sha1::digest(row[0].bytes())).into()));
    set.add("sha2", "bytes int -> str", |row, _| {
        let bytes = row[0].bytes();
        Ok(match row[1].int() {
            224 => lower_hex(&Sha224::digest(bytes)).into(),
            0 | 256 => lower_hex(&Sha256::digest(bytes)).into(),
            384 => lower_hex(&Sha384::digest(bytes)).into(),
            512 => lower_hex(&Sha512::digest(bytes)).into(),
            _ => Value::Null,
        })
    });
    set.add("crc32", "bytes -> long", |row, _| Ok(Value::Int(i64::from(crc32(row[0].bytes())))));
    set.add("hash", "! any* -> int", |row, site| {
        let hash = row.iter().zip(&site.types).fold(42, |seed, (v, t)| murmur(v, t, seed));
        Ok(Value::Int(i64::from(hash as i32)))
    });
    set.add("xxhash64", "! any* -> long", |row, site| {
        let hash = row.iter().zip(&site.types).fold(42, |seed, (v, t)| xx(v, t, seed));
        Ok(Value::Int(hash as i64))
    });
}

/// The polynomial of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

// --- Murmur3, x86, 32 bits (Appleby), with Spark's tail of single bytes ---------------------------------------

fn mix(hash: u32, block: u32) -> u32 {
    let k = block.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
    (hash ^ k).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64)
}

fn finish(mut hash: u32, length: u32) -> u32 {
    hash ^= length;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

pub(super) fn murmur_bytes(bytes: &[u8], seed: u32) -> u32 {
    let mut blocks = bytes.chunks_exact(4);
    let mut hash = seed;
    for block in &mut blocks {
        hash = mix(hash, u32::from_le_bytes([block[0], block[1], block[2], block[3]]));
    }
    for byte in blocks.remainder() {
        hash = mix(hash, i32::from(*byte as i8) as u32);
    }
    finish(hash, bytes.len() as u32)
}

fn murmur_int(n: i32, seed: u32) -> u32 {
    finish(mix(seed, n as u32), 4)
}

fn murmur_long(n: i64, seed: u32) -> u32 {
    finish(mix(mix(seed, n as u32), (n >> 32) as u32), 8)
}

/// What is hashed of a value: 32 bits, 64 bits, bytes, or parts.
enum Parts<'a> {
    None,
    Int(i32),
    Long(i64),
    Bytes(Vec<u8>),
    Each(Vec<(&'a Value, DataType)>),
}

fn parts<'a>(value: &'a Value, data_type: &DataType) -> Parts<'a> {
    match value {
        Value::Null => Parts::None,
        Value::Bool(b) => Parts::Int(i32::from(*b)),
        Value::Int(n) if data_type == &DataType::Int64 => Parts::Long(*n),
        Value::Int(n) => Parts::Int(*n as i32),
        Value::Float(x) if data_type == &DataType::Float32 => {
            let x = *x as f32;
            Parts::Int(if x == 0.0 { 0 } else { x.to_bits() as i32 })
        }
        Value::Float(x) => Parts::Long(if *x == 0.0 { 0 } else { x.to_bits() as i64 }),
        Value::Decimal(n, _) => match data_type {
            DataType::Decimal128(precision, _) if *precision > 18 => {
                let bytes = n.to_be_bytes();
                // Two's complement in as few bytes as hold it.
                let sign = if *n < 0 { 0xFF } else { 0 };
                let skip = bytes
                    .windows(2)
                    .take_while(|pair| pair[0] == sign && (pair[1] & 0x80 == sign & 0x80))
                    .count();
                Parts::Bytes(bytes[skip..].to_vec())
            }
            _ => Parts::Long(*n as i64),
        },
        Value::Str(_) | Value::Bin(_) => Parts::Bytes(value.bytes().to_vec()),
        Value::Date(_) | Value::Months(_) => Parts::Int(value.int() as i32),
        Value::Ts(n) | Value::Time(n) | Value::Micros(n) => Parts::Long(*n),
        Value::Calendar(months, days, micros) => {
            let mut bytes = micros.to_le_bytes().to_vec();
            bytes.extend(days.to_le_bytes());
            bytes.extend(months.to_le_bytes());
            Parts::Bytes(bytes)
        }
        Value::List(items) => {
            let item = types::item_of(data_type).cloned().unwrap_or(DataType::Null);
            Parts::Each(items.iter().map(|v| (v, item.clone())).collect())
        }
        Value::Struct(values) => match data_type {
            DataType::Struct(fields) => Parts::Each(
                values.iter().zip(fields).map(|(v, f): (_, &FieldRef)| (v, f.data_type().clone())).collect(),
            ),
            _ => Parts::None,
        },
        Value::Map(entries) => {
            let (key, mapped) = types::entry_of(data_type)
                .map_or((DataType::Null, DataType::Null), |(k, v)| (k.clone(), v.clone()));
            Parts::Each(entries.iter().flat_map(|(k, v)| [(k, key.clone()), (v, mapped.clone())]).collect())
        }
    }
}

fn murmur(value: &Value, data_type: &DataType, seed: u32) -> u32 {
    match parts(value, data_type) {
        Parts::None => seed,
        Parts::Int(n) => murmur_int(n, seed),
        Parts::Long(n) => murmur_long(n, seed),
        Parts::Bytes(bytes) => murmur_bytes(&bytes, seed),
        Parts::Each(all) => all.into_iter().fold(seed, |seed, (v, t)| murmur(v, &t, seed)),
    }
}

// --- xxHash64 (Collet) ----------------------------------------------------------------------------------------

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

fn avalanche(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(P2);
    hash = (hash ^ hash >> 29).wrapping_mul(P3);
    hash ^ hash >> 32
}

fn round(hash: u64, lane: u64) -> u64 {
    hash.wrapping_add(lane.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

fn eight(hash: u64, lane: u64) -> u64 {
    (hash ^ round(0, lane)).rotate_left(27).wrapping_mul(P1).wrapping_add(P4)
}

fn four(hash: u64, lane: u32) -> u64 {
    (hash ^ u64::from(lane).wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2).wrapping_add(P3)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn xx_bytes(bytes: &[u8], seed: u64) -> u64 {
    let mut rest = bytes;
    let mut hash = if bytes.len() >= 32 {
        let mut lanes =
            [seed.wrapping_add(P1).wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
        while let Some((stripe, tail)) = rest.split_at_checked(32) {
            for (lane, piece) in lanes.iter_mut().zip(stripe.chunks(8)) {
                *lane = round(*lane, word(piece));
            }
            rest = tail;
        }
        let [a, b, c, d] = lanes;
        let mut hash = a
            .rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18));
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4);
        }
        hash
    } else {
        seed.wrapping_add(P5)
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    while let Some((lane, tail)) = rest.split_at_checked(8) {
        hash = eight(hash, word(lane));
        rest = tail;
    }
    if let Some((lane, tail)) = rest.split_at_checked(4) {
        hash = four(hash, word(lane) as u32);
        rest = tail;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    avalanche(hash)
}

fn xx(value: &Value, data_type: &DataType, seed: u64) -> u64 {
    match parts(value, data_type) {
        Parts::None => seed,
        Parts::Int(n) => avalanche(four(seed.wrapping_add(P5).wrapping_add(4), n as u32)),
        Parts::Long(n) => avalanche(eight(seed.wrapping_add(P5).wrapping_add(8), n as u64)),
        Parts::Bytes(bytes) => xx_bytes(&bytes, seed),
        Parts::Each(all) => all.into_iter().fold(seed, |seed, (v, t)| xx(v, &t, seed)),
    }
}
