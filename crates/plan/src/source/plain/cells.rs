//! One line of plain CSV into the columns of a batch.
//!
//! What a cell means is what DataFusion's reader makes of it: nothing is null, and whatever is not written in the usual way
//! goes to the same parsers.

use super::times;
use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
    StringViewBuilder,
};
use datafusion::arrow::compute::kernels::cast_utils::Parser;
use datafusion::arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimeUnit};
use std::sync::Arc;

/// A column that is being read.
#[derive(Debug)]
pub(super) enum Cells {
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Mask(BooleanBuilder),
    Day(Date32Builder),
    /// Counts of a unit since 1970.
    Time(TimeUnit, Int64Builder),
    Text(StringBuilder),
    View(StringViewBuilder),
}

/// Whether there is a column of this type.
pub(super) fn knows(data_type: &DataType) -> bool {
    Cells::new(data_type, 0).is_some()
}

impl Cells {
    pub(super) fn new(data_type: &DataType, rows: usize) -> Option<Self> {
        Some(match data_type {
            DataType::Int32 => Cells::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Cells::Int64(Int64Builder::with_capacity(rows)),
            DataType::Float64 => Cells::Float64(Float64Builder::with_capacity(rows)),
            DataType::Boolean => Cells::Mask(BooleanBuilder::with_capacity(rows)),
            DataType::Date32 => Cells::Day(Date32Builder::with_capacity(rows)),
            DataType::Timestamp(unit, None) => Cells::Time(*unit, Int64Builder::with_capacity(rows)),
            DataType::Utf8 => Cells::Text(StringBuilder::with_capacity(rows, rows * 8)),
            DataType::Utf8View => Cells::View(StringViewBuilder::with_capacity(rows)),
            _ => return None,
        })
    }

    /// Appends a cell; whether it fits.
    #[inline]
    fn push(&mut self, cell: &str) -> bool {
        /// Appends what there is, null for an empty cell, or says that the cell does not fit.
        macro_rules! append {
            ($builder:expr, $value:expr) => {
                match $value {
                    Some(value) => $builder.append_value(value),
                    None if cell.is_empty() => $builder.append_null(),
                    None => return false,
                }
            };
        }
        match self {
            Cells::Int64(builder) => append!(builder, integer(cell).or_else(|| Int64Type::parse(cell))),
            Cells::Int32(builder) => append!(builder, Int32Type::parse(cell)),
            Cells::Float64(builder) => append!(builder, decimal(cell).or_else(|| Float64Type::parse(cell))),
            Cells::Mask(builder) => append!(builder, mask(cell)),
            Cells::Day(builder) => append!(builder, Date32Type::parse(cell)),
            Cells::Time(unit, builder) => append!(builder, times::time(cell, *unit)),
            Cells::Text(builder) => append!(builder, Some(cell).filter(|cell| !cell.is_empty())),
            Cells::View(builder) => append!(builder, Some(cell).filter(|cell| !cell.is_empty())),
        }
        true
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Cells::Int32(builder) => Arc::new(builder.finish()),
            Cells::Int64(builder) => Arc::new(builder.finish()),
            Cells::Float64(builder) => Arc::new(builder.finish()),
            Cells::Mask(builder) => Arc::new(builder.finish()),
            Cells::Day(builder) => Arc::new(builder.finish()),
            Cells::Time(unit, builder) => times::finish(builder, *unit),
            Cells::Text(builder) => Arc::new(builder.finish()),
            Cells::View(builder) => Arc::new(builder.finish()),
        }
    }
}

fn mask(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A whole number of at most 18 digits.
#[inline]
fn integer(cell: &str) -> Option<i64> {
    let bytes = cell.as_bytes();
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Powers of ten that are exact.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A number of at most 15 digits without exponent: digits and power of ten are exact, so their quotient is the nearest
/// number there is (W. D. Clinger, 1990).
#[inline]
fn decimal(cell: &str) -> Option<f64> {
    let bytes = cell.as_bytes();
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 16 {
        return None;
    }
    let (mut value, mut point) = (0_u64, None);
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let behind = match point {
        // digits on both sides: the rest is the parser's
        Some(at) if at > 0 && at + 1 < digits.len() => digits.len() - at - 1,
        None if !digits.is_empty() && digits.len() <= 15 => 0,
        _ => return None,
    };
    let number = value as f64 / TENS[behind];
    Some(if negative { -number } else { number })
}

/// What a line looks like.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) delimiter: u8,
    /// For each column of the file its place among those that are read.
    pub(super) places: Vec<Option<usize>>,
}

impl Layout {
    /// Reads the line that `text` begins with, which ends in it; gives its length, or nothing if it is not plain.
    #[inline]
    pub(super) fn line(&self, text: &str, returns: bool, columns: &mut [Cells]) -> Option<usize> {
        let bytes = text.as_bytes();
        let last = self.places.len().checked_sub(1)?;
        let mut at = 0;
        for (column, place) in self.places.iter().enumerate() {
            let end = at + end_of_cell(bytes.get(at..)?, self.delimiter)?;
            let at_line_end = bytes.get(end) == Some(&b'\n');
            if at_line_end != (column == last) {
                return None;
            }
            let mut cell = text.get(at..end)?;
            if returns && at_line_end {
                cell = cell.strip_suffix('\r').unwrap_or(cell);
            }
            if returns && cell.contains('\r') {
                return None;
            }
            // an empty line is no row
            if last == 0 && cell.is_empty() {
                return None;
            }
            if let Some(place) = place
                && !columns.get_mut(*place)?.push(cell)
            {
                return None;
            }
            at = end + 1;
        }
        Some(at)
    }
}

/// Where the first delimiter or line end is, eight bytes at a time.
#[inline]
fn end_of_cell(bytes: &[u8], delimiter: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // the lowest bit that is set is that of the first byte that is zero
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (delimiters, ends) = (ONES * u64::from(delimiter), ONES * u64::from(b'\n'));
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let found = zeros(word ^ delimiters) | zeros(word ^ ends);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| *byte == delimiter || *byte == b'\n').map(|place| at + place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_as_the_parsers_say(text in prop_oneof![
            "-?[0-9]{0,20}",
            "-?[0-9]{0,12}\\.?[0-9]{0,12}",
            "[-+.e0-9]{0,10}",
            any::<f64>().prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
        ]) {
            if let Some(found) = integer(&text) {
                prop_assert_eq!(Some(found), Int64Type::parse(&text), "{}", text);
            }
            if let Some(found) = decimal(&text) {
                prop_assert_eq!(Some(found.to_bits()), Float64Type::parse(&text).map(f64::to_bits), "{}", text);
            }
        }

        #[test]
        fn the_first_end(bytes in prop::collection::vec(prop::sample::select(b"ab,\n\xac\x2d\x0b".to_vec()), 0..40)) {
            let wanted = bytes.iter().position(|byte| *byte == b',' || *byte == b'\n');
            prop_assert_eq!(end_of_cell(&bytes, b','), wanted);
        }
    }

    #[test]
    fn lines() {
        let layout = Layout { delimiter: b',', places: vec![Some(0), None, Some(1)] };
        let check = |text: &str, returns: bool, wanted: Option<usize>| {
            let mut columns = [DataType::Int64, DataType::Utf8].map(|t| Cells::new(&t, 4).unwrap());
            assert_eq!(layout.line(text, returns, &mut columns), wanted, "{text:?}");
        };
        check("1,2,3\n", false, Some(6));
        check("1,skipped,x\nmore", false, Some(12));
        check(",,\n", false, Some(3));
        check("1,2,3\r\n", true, Some(7));
        check("1,2\r,3\n", true, None);
        check("1,\r2,3\n", true, None);
        check("1,2\n", false, None);
        check("1,2,3,4\n", false, None);
        check("x,2,3\n", false, None);
        check("\n", false, None);
        check("1,2,3", false, None);
        let numbers = ["0", "-0", "0.5", "72.401423", "-1.25", "100", "123456789012345"];
        numbers.iter().for_each(|text| assert_eq!(decimal(text), text.parse().ok(), "{text}"));
        ["", "-", ".", "1.", ".5", "1e5", "NaN", "1_0"]
            .iter()
            .for_each(|text| assert_eq!(decimal(text), None));
    }
}
