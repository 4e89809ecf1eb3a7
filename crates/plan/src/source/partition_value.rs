//! Values in the names of directories, as Hive writes them: `key=value`, with `%XX` for characters that make
//! trouble in paths and a word for null. DataFusion takes the `%XX` apart when it lists directories, and leaves
//! the word.

use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::{Expr, lit};
use std::fmt::Write;

/// The name of the directory of null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A value as part of a name.
pub(crate) fn written(value: Option<&str>) -> String {
    match value {
        None | Some("") => NULL.to_owned(),
        Some(value) => escaped(value),
    }
}

/// Text with the characters that Hive escapes as `%XX`.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^<>|~`}".contains(c) {
            // writing to a string cannot fail
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The value of a partition column as it was before it became a name.
pub(super) fn read(column: Expr) -> Expr {
    nullif(column, lit(NULL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let rows = [
            (Some("plain"), "plain"),
            (Some("two words"), "two words"),
            (Some("a/b"), "a%2Fb"),
            (Some("50%"), "50%25"),
            (Some("k=v"), "k%3Dv"),
            (Some("x:y?"), "x%3Ay%3F"),
            (Some("ü"), "ü"),
            (Some("tab\there"), "tab%09here"),
            (Some(""), NULL),
            (None, NULL),
        ];
        for (value, name) in rows {
            assert_eq!(written(value), name);
        }
    }
}
