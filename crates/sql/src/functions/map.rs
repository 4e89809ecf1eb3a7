//! Maps.

use super::Set;
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use trefoil_core::ErrorKind;

/// A map, unless a key is null or there twice.
fn checked(entries: Vec<(Value, Value)>) -> Result<Value> {
    let mut seen = std::collections::BTreeSet::new();
    for (key, _) in &entries {
        if key.is_null() {
            return Err(condition::error(
                ErrorKind::InvalidArgument,
                "NULL_MAP_KEY",
                "2200E",
                "a key is null.",
            ));
        }
        if !seen.insert(key) {
            return Err(condition::error(
                ErrorKind::InvalidArgument,
                "DUPLICATED_MAP_KEY",
                "23505",
                format!("the key {} is there twice.", crate::value::format::cast_text(key, &DataType::Null)),
            ));
        }
    }
    Ok(Value::Map(entries))
}

fn from_entries(site: &Site, index: usize) -> Result<DataType> {
    match types::item_of(site.argument(index)) {
        Some(DataType::Struct(fields)) if fields.len() == 2 => {
            Ok(types::map_of(fields[0].data_type().clone(), fields[1].data_type().clone()))
        }
        _ => Err(condition::argument_type("map_from_entries", "the argument is no array of pairs")),
    }
}

/// The value with the entries of its maps in the order of their keys.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Map(entries) => {
            let mut entries: Vec<(Value, Value)> =
                entries.iter().map(|(key, value)| (in_order(key), in_order(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Map(entries)
        }
        Value::List(items) => Value::List(items.iter().map(in_order).collect()),
        Value::Struct(fields) => Value::Struct(fields.iter().map(in_order).collect()),
        other => other.clone(),
    }
}

pub(super) fn add(set: &mut Set) {
    set.typed(
        crate::map_keys::SORTED,
        "any -> ..",
        |site| Ok(site.argument(0).clone()),
        |row, _| Ok(in_order(&row[0])),
    );
    set.typed(
        "map",
        "! any* -> ..",
        |site| {
            if site.types.len() % 2 == 1 {
                return Err(condition::argument_count("map", "an even number of", site.types.len()));
            }
            let common = |skip: usize| {
                types::common(site.types.iter().skip(skip).step_by(2))
                    .ok_or_else(|| condition::argument_type("map", "keys or values have no common type"))
            };
            Ok(types::map_of(common(0)?, common(1)?))
        },
        |row, site| {
            let (key, value) = types::entry_of(site.result()).unwrap_or((&DataType::Null, &DataType::Null));
            let mut entries = Vec::with_capacity(row.len() / 2);
            for index in (0..row.len()).step_by(2) {
                let k = cast::cast(&row[index], site.argument(index), key)?;
                entries.push((k, cast::cast(&row[index + 1], site.argument(index + 1), value)?));
            }
            checked(entries)
        },
    );
    set.typed(
        "map_from_arrays",
        "arr arr -> ..",
        |site| Ok(types::map_of(site.item(0), site.item(1))),
        |row, _| {
            let (keys, values) = (row[0].list(), row[1].list());
            if keys.len() != values.len() {
                return Err(condition::parameter(
                    "map_from_arrays",
                    format!("{} keys and {} values", keys.len(), values.len()),
                ));
            }
            checked(keys.iter().cloned().zip(values.iter().cloned()).collect())
        },
    );
    set.typed(
        "map_from_entries",
        "arr -> ..",
        |site| from_entries(site, 0),
        |row, _| {
            if row[0].list().iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            let pair = |v: &Value| (v.list()[0].clone(), v.list()[1].clone());
            checked(row[0].list().iter().map(pair).collect())
        },
    );
    set.typed(
        "map_keys",
        "map -> ..",
        |site| Ok(types::list_of(site.entry(0).0)),
        |row, _| Ok(Value::List(row[0].map().iter().map(|(k, _)| k.clone()).collect())),
    );
    set.typed(
        "map_values",
        "map -> ..",
        |site| Ok(types::list_of(site.entry(0).1)),
        |row, _| Ok(Value::List(row[0].map().iter().map(|(_, v)| v.clone()).collect())),
    );
    set.typed(
        "map_entries",
        "map -> ..",
        |site| {
            let (key, value) = site.entry(0);
            Ok(types::list_of(types::struct_of([("key", key), ("value", value)])))
        },
        |row, _| {
            let pair = |(k, v): &(Value, Value)| Value::Struct(vec![k.clone(), v.clone()]);
            Ok(Value::List(row[0].map().iter().map(pair).collect()))
        },
    );
    set.add("map_contains_key", "map any -> bool", |row, site| {
        let wanted = cast::cast(&row[1], site.argument(1), &site.entry(0).0)?;
        Ok(row[0].map().iter().any(|(k, _)| *k == wanted).into())
    });
    set.typed(
        "map_concat",
        "map* -> ..",
        |site| {
            if site.types.is_empty() {
                return Ok(types::map_of(DataType::Utf8, DataType::Utf8));
            }
            types::common(&site.types)
                .ok_or_else(|| condition::argument_type("map_concat", "the maps have no common type"))
        },
        |row, site| {
            let mut entries = Vec::new();
            for (map, from) in row.iter().zip(&site.types) {
                if let Value::Map(more) = cast::cast(map, from, site.result())? {
                    entries.extend(more);
                }
            }
            checked(entries)
        },
    );
    set.typed(
        "str_to_map",
        "str str? str? -> ..",
        |_| Ok(types::map_of(DataType::Utf8, DataType::Utf8)),
        |row, _| {
            let between = super::pattern::compile("str_to_map", row.get(1).map_or(",", |d| d.str()))?;
            let inside = super::pattern::compile("str_to_map", row.get(2).map_or(":", |d| d.str()))?;
            let pair = |part: &str| {
                let mut sides = inside.splitn(part, 2);
                let key = sides.next().unwrap_or_default().to_owned();
                (Value::Str(key), sides.next().map_or(Value::Null, Value::from))
            };
            checked(between.split(row[0].str()).map(pair).collect())
        },
    );
}
