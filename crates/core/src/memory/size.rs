//! Sizes: parsing and printing byte counts, what the machine grants, what a value holds.

use std::any::Any;

use crate::error::{Error, ErrorKind, Result};

const UNITS: [(&str, u64); 13] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1_000),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
];

/// Parses a byte count such as `2GiB`, `512 MB`, `1.5g` or `1048576`.
///
/// `KB`, `MB`, … are powers of 1000; `KiB`, `MiB`, … and the bare letters are powers of 1024.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] for text that is not a byte count, for zero, and for more than fits.
///
/// # Examples
///
/// ```
/// assert_eq!(trefoil_core::parse_bytes("2 KiB")?, 2048);
/// assert!(trefoil_core::parse_bytes("plenty").is_err());
/// # Ok::<(), trefoil_core::Error>(())
/// ```
pub fn parse_bytes(text: &str) -> Result<usize> {
    let wrong = |why: &str| {
        Error::new(ErrorKind::InvalidArgument, "memory size", format!("`{text}` {why}"))
            .with_help("write a number and a unit, such as \"512MiB\" or \"2GB\"")
    };
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong("is not a byte count"))?;
    let unit = unit.trim().to_lowercase();
    let factor = match unit.as_str() {
        "" => 1,
        unit => UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
            .ok_or_else(|| wrong("has an unknown unit"))?,
    };
    let bytes = number * factor as f64;
    if bytes < 1.0 {
        return Err(wrong("is no memory at all"));
    }
    if bytes >= usize::MAX as f64 {
        return Err(wrong("is more than a machine can address"));
    }
    Ok(bytes as usize)
}

/// Writes a byte count for people: `700 B`, `1.5 MiB`.
pub fn format_bytes(bytes: usize) -> String {
    const NAMES: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = NAMES[0];
    for name in &NAMES[1..] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = name;
    }
    format!("{size:.1} {unit}")
}

/// 80 % of what the control group or the machine grants; 1 GiB where neither can be read.
pub(crate) fn default_limit() -> usize {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let cgroup = read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .and_then(|text| text.trim().parse::<usize>().ok());
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok()?.checked_mul(1024)
    });
    let granted = match (cgroup, machine) {
        (Some(group), Some(machine)) => group.min(machine),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return 1 << 30,
    };
    granted / 5 * 4
}

/// Heap bytes of the values whose layout we know; others count only their own size.
///
/// `Any` instead of a trait bound keeps `put` open to every type.
pub(crate) fn known_heap_bytes(value: &dyn Any) -> usize {
    macro_rules! vectors {
        ($($element:ty),*) => {
            $(if let Some(v) = value.downcast_ref::<Vec<$element>>() {
                return v.capacity() * size_of::<$element>();
            })*
        };
    }
    vectors!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, usize, bool);
    if let Some(text) = value.downcast_ref::<String>() {
        return text.capacity();
    }
    if let Some(bytes) = value.downcast_ref::<bytes::Bytes>() {
        return bytes.len();
    }
    if let Some(texts) = value.downcast_ref::<Vec<String>>() {
        return texts.iter().map(|t| t.capacity() + size_of::<String>()).sum();
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, expect: Option<usize>| {
            assert_eq!(parse_bytes(text).ok(), expect, "{text}");
        };
        check("1048576", Some(1 << 20));
        check("2GiB", Some(2 << 30));
        check(" 1.5 MB ", Some(1_500_000));
        check("3k", Some(3072));
        check("0", None);
        check("0GiB", None);
        check("-1GiB", None);
        check("lots", None);
        check("5 bananas", None);
        check("", None);
        check("99999999999999TiB", None);
        assert_eq!(format_bytes(700), "700 B");
        assert_eq!(format_bytes(3 << 20), "3.0 MiB");
    }
}
