//! Choosing between values, looking at types, and errors on purpose.

use super::Set;
use crate::condition;
use crate::value::{Value, cast, format, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use trefoil_core::ErrorKind;

/// The collation of texts.
const BINARY: &str = "SYSTEM.BUILTIN.UTF8_BINARY";

/// The full name of a collation.
///
/// # Errors
/// For a name that no collation of Spark's can have.
pub(crate) fn collation(name: &str) -> Result<String> {
    let upper = name.to_uppercase();
    let upper = upper.strip_prefix("SYSTEM.BUILTIN.").unwrap_or(&upper);
    let mut parts = upper.split('_');
    let first = parts.next().unwrap_or_default();
    let known = match first {
        "UTF8" => matches!(upper.trim_end_matches("_RTRIM"), "UTF8_BINARY" | "UTF8_LCASE"),
        "UNICODE" => parts.all(|part| matches!(part, "CI" | "CS" | "AI" | "AS" | "RTRIM")),
        // A language of ICU's.
        _ => matches!(first.len(), 2 | 3) && first.chars().all(|c| c.is_ascii_alphabetic()),
    };
    match known {
        true => Ok(format!("SYSTEM.BUILTIN.{upper}")),
        false => Err(condition::error(
            ErrorKind::InvalidArgument,
            "COLLATION_INVALID_NAME",
            "42704",
            format!("the value {name} does not represent a correct collation name."),
        )),
    }
}

pub(super) fn add(set: &mut Set) {
    set.typed(
        "cast",
        "! any any -> ..",
        |site| Ok(site.argument(1).clone()),
        |row, site| cast::cast(&row[0], site.argument(0), site.result()),
    );
    set.typed(
        "try_cast",
        "! any any -> ..",
        |site| Ok(site.argument(1).clone()),
        |row, site| Ok(cast::cast(&row[0], site.argument(0), site.result()).unwrap_or(Value::Null)),
    );
    // Stands for a call with a column that is not there, until the planner reports that.
    set.add("#unknown", "! any* -> str", |_, _| Ok(Value::Null));
    set.add("isnull", "! any -> bool", |row, _| Ok(row[0].is_null().into()));
    set.add("isnotnull", "! any -> bool", |row, _| Ok((!row[0].is_null()).into()));
    set.add("isnan", "! double -> bool", |row, _| Ok(row[0].float().is_nan().into()));
    set.typed(
        "nanvl",
        "double double -> double",
        |_| Ok(DataType::Float64),
        |row, _| Ok(if row[0].float().is_nan() { row[1].clone() } else { row[0].clone() }),
    );
    set.typed(
        "zeroifnull",
        "! any -> ..",
        |site| {
            Ok(match site.argument(0) {
                DataType::Null => DataType::Int32,
                given => given.clone(),
            })
        },
        |row, site| {
            if row[0].is_null() {
                cast::cast(&Value::Int(0), &DataType::Int32, site.result())
            } else {
                Ok(row[0].clone())
            }
        },
    );
    set.typed(
        "nullifzero",
        "any -> ..",
        |site| Ok(site.argument(0).clone()),
        |row, _| {
            let zero = matches!(row[0], Value::Int(_) | Value::Float(_) | Value::Decimal(..))
                && row[0].float() == 0.0;
            Ok(if zero { Value::Null } else { row[0].clone() })
        },
    );
    for (name, greatest) in [("greatest", true), ("least", false)] {
        set.typed(
            name,
            "! any any* -> ..",
            move |site| {
                types::common(&site.types)
                    .ok_or_else(|| condition::argument_type(name, "the arguments have no common type"))
            },
            move |row, site| {
                let mut best = Value::Null;
                for (value, from) in row.iter().zip(&site.types) {
                    let value = cast::cast(value, from, site.result())?;
                    let better = match value.cmp(&best) {
                        _ if value.is_null() => false,
                        _ if best.is_null() => true,
                        order => {
                            order
                                == if greatest {
                                    std::cmp::Ordering::Greater
                                } else {
                                    std::cmp::Ordering::Less
                                }
                        }
                    };
                    if better {
                        best = value;
                    }
                }
                Ok(best)
            },
        );
    }
    set.add("typeof", "! any -> str", |_, site| Ok(types::name(site.argument(0)).into()));
    set.add("assert_true", "! bool str? -> void", |row, _| {
        if row[0].truth() {
            return Ok(Value::Null);
        }
        let text = row.get(1).map_or("the condition is not true", |v| v.str());
        Err(condition::error(ErrorKind::User, "USER_RAISED_EXCEPTION", "P0001", text))
    });
    set.add("raise_error", "! any any? -> void", |row, site| {
        let text = format::cast_text(row.last().unwrap_or(&Value::Null), site.argument(row.len() - 1));
        Err(condition::error(ErrorKind::User, "USER_RAISED_EXCEPTION", "P0001", text))
    });
    // Texts compare by their bytes here; another collation would change answers.
    set.typed(
        "collate",
        "str str -> ..",
        |site| Ok(site.argument(0).clone()),
        |row, _| match collation(row[1].str())?.as_str() {
            BINARY => Ok(row[0].clone()),
            other => {
                Err(condition::unsupported(format!("the collation {other}; texts compare by their bytes.")))
            }
        },
    );
    set.add("collation", "! any -> str", |_, _| Ok(BINARY.into()));
    for (name, text) in [
        ("current_catalog", "spark_catalog"),
        ("current_timezone", "UTC"),
        ("current_user", "user"),
        ("session_user", "user"),
        ("user", "user"),
        ("input_file_name", ""),
    ] {
        set.add(name, " -> str", move |_, _| Ok(text.into()));
    }
    set.add("version", " -> str", |_, _| Ok(concat!("trefoil ", env!("CARGO_PKG_VERSION")).into()));
    for name in ["input_file_block_start", "input_file_block_length"] {
        set.add(name, " -> long", |_, _| Ok(Value::Int(-1)));
    }
    set.add("spark_partition_id", " -> int", |_, _| Ok(Value::Int(0)));
}
