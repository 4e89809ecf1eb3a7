//! Directories named `key=value`: how values are written in names, and what types they are read as.
//!
//! Hive's rules: bytes that a file system or a pattern would take for something else are written as `%` and two
//! hexadecimal digits; null, and the empty text, are `__HIVE_DEFAULT_PARTITION__`. A key whose values are all
//! whole numbers is read as one, a key of dates as a date, everything else as text.

use datafusion::arrow::compute::kernels::cast_utils::Parser;
use datafusion::arrow::datatypes::{DataType, Date32Type};
use datafusion::functions::core::expr_fn::nullif;
use datafusion::functions::string::expr_fn::replace;
use datafusion::logical_expr::{Expr, cast, lit};
use std::collections::BTreeSet;

/// The directory of null.
pub(crate) const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// What stands for another character in the name of a directory.
const SPECIAL: &str = "\"#%'*/:=?\\{[]^";

fn is_special(c: char) -> bool {
    c.is_control() || SPECIAL.contains(c)
}

/// A text as part of the name of a directory.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_special(c) {
            true => out.push_str(&format!("%{:02X}", u32::from(c))),
            false => out.push(c),
        }
    }
    out
}

/// The value's part of the name of a directory.
pub(crate) fn directory(value: Option<&str>) -> String {
    match value {
        None | Some("") => NULL.to_owned(),
        Some(text) => escape(text),
    }
}

/// The name of a directory of a partitioned table: `key=value`, with the characters escaped that a file system would
/// take for something else, and `__HIVE_DEFAULT_PARTITION__` for null.
///
/// ```
/// assert_eq!(trefoil_plan::partition_directory("city", Some("a/b")), "city=a%2Fb");
/// ```
pub fn partition_directory(key: &str, value: Option<&str>) -> String {
    format!("{}={}", escape(key), directory(value))
}

/// A key of a tree: the values of its directories as they are written.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    values: BTreeSet<String>,
}

impl Key {
    pub(crate) fn new(name: &str, values: impl Iterator<Item = String>) -> Self {
        Self { name: name.to_owned(), values: values.collect() }
    }

    /// The type of the values.
    pub(crate) fn data_type(&self) -> DataType {
        let all = |test: fn(&str) -> bool| {
            let mut values = self.values.iter().filter(|value| *value != NULL).peekable();
            values.peek().is_some() && values.all(|value| test(value))
        };
        // `007` is a text, as is `+7`.
        if all(|text| text.parse::<i32>().is_ok_and(|n| n.to_string() == text)) {
            DataType::Int32
        } else if all(|text| text.parse::<i64>().is_ok_and(|n| n.to_string() == text)) {
            DataType::Int64
        } else if all(is_date) {
            DataType::Date32
        } else {
            DataType::Utf8
        }
    }

    /// Whether DataFusion, which takes names of directories as they are, reads the values right.
    pub(crate) fn is_plain(&self) -> bool {
        !self.values.iter().any(|value| value == NULL || value.contains('%'))
    }

    /// The value of a column of directory names.
    pub(crate) fn decoded(&self, column: Expr) -> Expr {
        let mut value = nullif(column, lit(NULL));
        let used = |code: &str| self.values.iter().any(|value| value.contains(code));
        // What `%25` stands for may look like another code, so it is last.
        let controls = (0..32_u8).map(char::from);
        for c in controls.chain(SPECIAL.chars().filter(|c| *c != '%')).chain(['%']) {
            let code = format!("%{:02X}", u32::from(c));
            if used(&code) {
                value = replace(value, lit(code), lit(c.to_string()));
            }
        }
        match self.data_type() {
            DataType::Utf8 => value,
            other => cast(value, other),
        }
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Date32Type::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |value: Option<&str>, expect: &str| assert_eq!(directory(value), expect);
        check(Some("a b"), "a b");
        check(Some("50%"), "50%25");
        check(Some("a/b=c:d"), "a%2Fb%3Dc%3Ad");
        check(Some("x\ny"), "x%0Ay");
        check(Some(""), NULL);
        check(None, NULL);
    }

    #[test]
    fn types() {
        let check = |values: &[&str], expect: DataType| {
            let key = Key::new("k", values.iter().map(|v| (*v).to_owned()));
            assert_eq!(key.data_type(), expect, "{values:?}");
        };
        check(&["1", "-20"], DataType::Int32);
        check(&["1", NULL], DataType::Int32);
        check(&["3000000000", "1"], DataType::Int64);
        check(&["007", "1"], DataType::Utf8);
        check(&["2024-01-31", "2024-02-28"], DataType::Date32);
        check(&["2024-01-31", "2024-02-30"], DataType::Utf8);
        check(&["1", "x"], DataType::Utf8);
        check(&[NULL], DataType::Utf8);
    }
}
