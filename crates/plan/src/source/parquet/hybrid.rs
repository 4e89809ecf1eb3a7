//! Parquet's hybrid of run lengths and packed bits: numbers of dictionary entries, and which rows are null.
//!
//! A run is either one value many times or groups of eight values of `width` bits. [`Hybrid`] keeps its place between
//! calls and is handed the bytes each time, because they belong to the page that it stands in.
//!
//! Source: the chapter "Run Length Encoding / Bit-Packing Hybrid" of the Parquet format.

use super::broken;
use super::levels::Valid;
use datafusion::common::Result;

/// A place among the runs of a page.
#[derive(Debug, Clone)]
pub(super) struct Hybrid {
    width: u8,
    /// Of the byte behind the current run.
    at: usize,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    Same {
        value: u32,
        left: usize,
    },
    /// `first` of the group of values that begins at the byte `from`, and how many are left from there.
    Packed {
        from: usize,
        first: usize,
        left: usize,
    },
}

impl Hybrid {
    /// The runs that begin at byte `at`, of values of `width` bits.
    pub(super) fn new(at: usize, width: u8) -> Result<Self> {
        if width > 32 {
            return Err(broken(format!("values of {width} bits")));
        }
        Ok(Self { width, at, run: Run::Same { value: 0, left: 0 } })
    }

    /// Puts the next `count` values behind `out`.
    pub(super) fn read(&mut self, bytes: &[u8], mut count: usize, out: &mut Vec<u32>) -> Result<()> {
        if self.width == 0 {
            out.resize(out.len() + count, 0);
            return Ok(());
        }
        while count > 0 {
            let taken = self.in_run(bytes, count)?;
            match self.run {
                Run::Same { value, left } => {
                    out.resize(out.len() + taken, value);
                    self.run = Run::Same { value, left: left - taken };
                }
                Run::Packed { from, first, left } => {
                    let begin = out.len();
                    out.resize(begin + taken, 0);
                    unpack(&bytes[from..self.at.min(bytes.len())], self.width, first, &mut out[begin..]);
                    self.run = Run::Packed { from, first: first + taken, left: left - taken };
                }
            }
            count -= taken;
        }
        Ok(())
    }

    /// Puts the next `count` values, which have one bit, behind `out`.
    pub(super) fn read_bits(&mut self, bytes: &[u8], mut count: usize, out: &mut Valid) -> Result<()> {
        while count > 0 {
            let taken = self.in_run(bytes, count)?;
            match self.run {
                Run::Same { value, left } => {
                    out.push_run(value & 1 == 1, taken);
                    self.run = Run::Same { value, left: left - taken };
                }
                Run::Packed { from, first, left } => {
                    out.push_packed(&bytes[from..self.at.min(bytes.len())], first, taken);
                    self.run = Run::Packed { from, first: first + taken, left: left - taken };
                }
            }
            count -= taken;
        }
        Ok(())
    }

    /// Leaves out the next `count` values.
    pub(super) fn skip(&mut self, bytes: &[u8], mut count: usize) -> Result<()> {
        if self.width == 0 {
            return Ok(());
        }
        while count > 0 {
            let taken = self.in_run(bytes, count)?;
            self.run = match self.run {
                Run::Same { value, left } => Run::Same { value, left: left - taken },
                Run::Packed { from, first, left } => {
                    Run::Packed { from, first: first + taken, left: left - taken }
                }
            };
            count -= taken;
        }
        Ok(())
    }

    /// The value that the next `count` values are, if the first run alone says so.
    pub(super) fn same(&mut self, bytes: &[u8], count: usize) -> Result<Option<u32>> {
        if self.width == 0 {
            return Ok(Some(0));
        }
        self.in_run(bytes, count)?;
        Ok(match self.run {
            Run::Same { value, left } if left >= count => Some(value),
            _ => None,
        })
    }

    /// How many of `count` values the current run, or else the next one, has.
    fn in_run(&mut self, bytes: &[u8], count: usize) -> Result<usize> {
        loop {
            match self.run {
                Run::Same { left, .. } | Run::Packed { left, .. } if left > 0 => {
                    return Ok(left.min(count));
                }
                _ => self.next_run(bytes)?,
            }
        }
    }

    fn next_run(&mut self, bytes: &[u8]) -> Result<()> {
        let end = || broken("a page ends inside of its runs".into());
        let (mut header, mut shift) = (0_u64, 0);
        loop {
            let byte = *bytes.get(self.at).ok_or_else(end)?;
            self.at += 1;
            header |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 35 {
                return Err(broken("the length of a run has too many digits".into()));
            }
        }
        let count = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        let width = usize::from(self.width);
        if header & 1 == 1 {
            let from = self.at;
            let length = count.checked_mul(width).ok_or_else(end)?;
            self.at = from.checked_add(length).ok_or_else(end)?;
            // Some writers leave out the bytes behind the last value.
            let held = bytes.len().saturating_sub(from).saturating_mul(8) / width;
            self.run = Run::Packed { from, first: 0, left: count.saturating_mul(8).min(held) };
        } else {
            let mut value = [0; 4];
            let length = width.div_ceil(8);
            let held = bytes.get(self.at..self.at + length).ok_or_else(end)?;
            value[..length].copy_from_slice(held);
            self.at += length;
            self.run = Run::Same { value: u32::from_le_bytes(value), left: count };
        }
        Ok(())
    }
}

/// Eight bytes from a place on, zeros behind the end.
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    if let Some(held) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        return u64::from_le_bytes(*held);
    }
    let (mut word, rest) = ([0; 8], bytes.get(at..).unwrap_or_default());
    word[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(word)
}

/// The values from `first` on.
fn unpack(bytes: &[u8], width: u8, mut first: usize, mut out: &mut [u32]) {
    let bits = usize::from(width);
    let mask = (1_u64 << width) - 1;
    let single = |at: usize| {
        let bit = at * bits;
        u32::try_from((word(bytes, bit / 8) >> (bit % 8)) & mask).unwrap_or_default()
    };
    let head = (first.next_multiple_of(8) - first).min(out.len());
    for place in &mut out[..head] {
        *place = single(first);
        first += 1;
    }
    out = &mut out[head..];
    let (groups, tail) = out.as_chunks_mut::<8>();
    let at = first / 8 * bits;
    match width {
        1 => unpack_groups::<1>(bytes, at, groups),
        2 => unpack_groups::<2>(bytes, at, groups),
        3 => unpack_groups::<3>(bytes, at, groups),
        4 => unpack_groups::<4>(bytes, at, groups),
        5 => unpack_groups::<5>(bytes, at, groups),
        6 => unpack_groups::<6>(bytes, at, groups),
        7 => unpack_groups::<7>(bytes, at, groups),
        8 => unpack_groups::<8>(bytes, at, groups),
        9 => unpack_groups::<9>(bytes, at, groups),
        10 => unpack_groups::<10>(bytes, at, groups),
        11 => unpack_groups::<11>(bytes, at, groups),
        12 => unpack_groups::<12>(bytes, at, groups),
        13 => unpack_groups::<13>(bytes, at, groups),
        14 => unpack_groups::<14>(bytes, at, groups),
        15 => unpack_groups::<15>(bytes, at, groups),
        16 => unpack_groups::<16>(bytes, at, groups),
        _ => {
            for (group, places) in groups.iter_mut().enumerate() {
                for (offset, place) in places.iter_mut().enumerate() {
                    *place = single(first + group * 8 + offset);
                }
            }
        }
    }
    first += groups.len() * 8;
    for place in tail {
        *place = single(first);
        first += 1;
    }
}

/// Groups of eight values from a byte on: one number holds all eight, or one each half.
#[allow(clippy::cast_possible_truncation)]
fn unpack_groups<const WIDTH: usize>(bytes: &[u8], at: usize, groups: &mut [[u32; 8]]) {
    let mask = (1_u64 << WIDTH) - 1;
    let (packed, _) = bytes.get(at..).unwrap_or_default().as_chunks::<WIDTH>();
    for (places, packed) in groups.iter_mut().zip(packed) {
        let mut held = [0; 16];
        held[..WIDTH].copy_from_slice(packed);
        let held = u128::from_le_bytes(held);
        let (low, high) = (held as u64, (held >> (4 * WIDTH)) as u64);
        for offset in 0..4 {
            places[offset] = ((low >> (offset * WIDTH)) & mask) as u32;
            places[offset + 4] = ((high >> (offset * WIDTH)) & mask) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packs values as the format says, bit by bit.
    fn packed(values: &[u32], width: u8) -> Vec<u8> {
        let groups = values.len().div_ceil(8);
        let mut bytes = vec![0; groups * usize::from(width)];
        for (at, value) in values.iter().enumerate() {
            for bit in 0..usize::from(width) {
                let place = at * usize::from(width) + bit;
                bytes[place / 8] |= u8::try_from(value >> bit & 1).unwrap() << (place % 8);
            }
        }
        bytes
    }

    fn length(bytes: &mut Vec<u8>, mut header: usize) {
        while header > 0x7f {
            bytes.push(u8::try_from(header & 0x7f).unwrap() | 0x80);
            header >>= 7;
        }
        bytes.push(u8::try_from(header).unwrap());
    }

    proptest! {
        #[test]
        fn values_come_back(
            width in 1_u8..=32,
            runs in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u32>(), 1..40)), 1..6),
            steps in prop::collection::vec((any::<bool>(), 1_usize..30), 1..40),
        ) {
            let mask = u32::try_from((1_u64 << width) - 1).unwrap();
            let (mut bytes, mut expect) = (vec![7, 7], Vec::new());
            for (same, values) in &runs {
                let mut values: Vec<u32> = values.iter().map(|value| value & mask).collect();
                if *same {
                    length(&mut bytes, values.len() << 1);
                    bytes.extend(&values[0].to_le_bytes()[..usize::from(width).div_ceil(8)]);
                    expect.extend(vec![values[0]; values.len()]);
                } else {
                    values.resize(values.len().next_multiple_of(8), 0);
                    length(&mut bytes, ((values.len() / 8) << 1) | 1);
                    bytes.extend(packed(&values, width));
                    expect.extend(values);
                }
            }
            let (mut hybrid, mut at) = (Hybrid::new(2, width).unwrap(), 0);
            for (read, count) in steps {
                let count = count.min(expect.len() - at);
                if read {
                    let mut out = vec![9];
                    hybrid.read(&bytes, count, &mut out).unwrap();
                    prop_assert_eq!(&out[1..], &expect[at..at + count]);
                } else {
                    hybrid.skip(&bytes, count).unwrap();
                }
                at += count;
            }
            let mut rest = Vec::new();
            hybrid.read(&bytes, expect.len() - at, &mut rest).unwrap();
            prop_assert_eq!(&rest[..], &expect[at..]);
            prop_assert!(hybrid.read(&bytes, 1, &mut rest).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), width in 0_u8..=32) {
            let mut hybrid = Hybrid::new(0, width).unwrap();
            let mut out = Vec::new();
            while out.len() < 10_000 && hybrid.read(&bytes, 100, &mut out).is_ok() {}
        }
    }
}
