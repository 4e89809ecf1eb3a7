//! VARIANT: values of any type, kept as JSON text.
//!
//! In tables a VARIANT is a struct with the one field `#variant`, so that it is a type of its own. Keys of
//! objects are sorted when they are read.

use super::Set;
use super::json::{Step, path};
use super::json_text::Json;
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, decimal, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use trefoil_core::ErrorKind;

fn sorted(json: Json) -> Json {
    match json {
        Json::Object(mut entries) => {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(entries.into_iter().map(|(k, v)| (k, sorted(v))).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn wrap(json: &Json) -> Value {
    Value::Struct(vec![json.text().into()])
}

/// The JSON in a VARIANT.
pub(crate) fn json_of(value: &Value) -> Option<Json> {
    Json::parse(value.list().first()?.str())
}

/// Any value as JSON; null is none.
fn to_json(value: &Value, data_type: &DataType) -> Json {
    match value {
        Value::Null => Json::Null,
        _ if types::is_variant(data_type) => json_of(value).unwrap_or(Json::Null),
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(_) | Value::Float(_) | Value::Decimal(..) => {
            Json::Number(crate::value::format::cast_text(value, data_type))
        }
        Value::List(items) => {
            let item = types::item_of(data_type).unwrap_or(&DataType::Null);
            Json::Array(items.iter().map(|v| to_json(v, item)).collect())
        }
        Value::Map(entries) => {
            let (key, mapped) = types::entry_of(data_type).unwrap_or((&DataType::Null, &DataType::Null));
            let name = |k: &Value| crate::value::format::cast_text(k, key);
            sorted(Json::Object(entries.iter().map(|(k, v)| (name(k), to_json(v, mapped))).collect()))
        }
        Value::Struct(values) => match data_type {
            DataType::Struct(fields) => sorted(Json::Object(
                values
                    .iter()
                    .zip(fields)
                    .map(|(v, f)| (f.name().clone(), to_json(v, f.data_type())))
                    .collect(),
            )),
            _ => Json::Null,
        },
        other => Json::Text(crate::value::format::cast_text(other, data_type)),
    }
}

fn variant(_: &Site) -> Result<DataType> {
    Ok(types::variant())
}

fn malformed(text: &str) -> DataFusionError {
    condition::error(
        ErrorKind::MalformedData,
        "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION",
        "22023",
        format!("'{text}' is no JSON; use `try_parse_json` to get NULL instead."),
    )
}

fn mismatch(function: &str, path: &str) -> DataFusionError {
    condition::error(
        ErrorKind::InvalidArgument,
        "VARIANT_PATH_TYPE_MISMATCH",
        "22023",
        format!("`{function}`: the value has no place `{path}`; use `try_{function}` to get NULL instead."),
    )
}

fn steps(function: &str, text: &str) -> Result<Vec<Step>> {
    path(text).ok_or_else(|| condition::parameter(function, format!("'{text}' is no path")))
}

fn find<'a>(json: &'a Json, steps: &[Step]) -> Option<&'a Json> {
    let Some((first, rest)) = steps.split_first() else { return Some(json) };
    match (first, json) {
        (Step::Key(key), Json::Object(_)) => find(json.get(key)?, rest),
        (Step::Index(index), Json::Array(items)) => find(items.get(*index)?, rest),
        _ => None,
    }
}

/// A value of a type; none if the variant holds no such value.
fn cast_to(json: &Json, to: &DataType) -> Option<Value> {
    match (json, to) {
        (Json::Null, _) => Some(Value::Null),
        (_, t) if types::is_variant(t) => Some(wrap(json)),
        (json, DataType::Utf8) => Some(json.plain().into()),
        (Json::Array(items), t) if let Some(item) = types::item_of(t) => {
            Some(Value::List(items.iter().map(|v| cast_to(v, item)).collect::<Option<_>>()?))
        }
        (Json::Object(_), DataType::Struct(fields)) => Some(Value::Struct(
            fields
                .iter()
                .map(|f| json.get(f.name()).map_or(Some(Value::Null), |v| cast_to(v, f.data_type())))
                .collect::<Option<_>>()?,
        )),
        (Json::Object(entries), DataType::Map(..)) => {
            let (_, value) = types::entry_of(to)?;
            let entry = |(k, v): &(String, Json)| Some((k.as_str().into(), cast_to(v, value)?));
            Some(Value::Map(entries.iter().map(entry).collect::<Option<_>>()?))
        }
        (Json::Bool(b), t) => cast::cast(&Value::Bool(*b), &DataType::Boolean, t).ok(),
        (Json::Number(n), t) => {
            let (unscaled, scale) = decimal::parse(n)?;
            let from = DataType::Decimal128(decimal::MAX, scale);
            cast::cast(&Value::Decimal(unscaled, scale), &from, t).ok()
        }
        (Json::Text(text), t) => cast::cast(&text.as_str().into(), &DataType::Utf8, t).ok(),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Insert,
    Set,
}

/// The value with another one at a path; objects on the way are made.
fn changed(json: Json, steps: &[Step], value: &Json, change: Change) -> Option<Json> {
    let Some((first, rest)) = steps.split_first() else { return Some(value.clone()) };
    match (first, json) {
        (Step::Key(key), Json::Object(mut entries)) => {
            match entries.iter().position(|(k, _)| k == key) {
                Some(_) if rest.is_empty() && change == Change::Insert => return None,
                Some(at) => {
                    let old = std::mem::replace(&mut entries[at].1, Json::Null);
                    entries[at].1 = changed(old, rest, value, change)?;
                }
                None => {
                    let empty = match rest.first() {
                        Some(Step::Index(_)) => Json::Array(Vec::new()),
                        _ => Json::Object(Vec::new()),
                    };
                    entries.push((key.clone(), changed(empty, rest, value, change)?));
                }
            }
            Some(sorted(Json::Object(entries)))
        }
        (Step::Index(index), Json::Array(mut items)) => {
            if rest.is_empty() && change == Change::Insert && *index <= items.len() {
                items.insert(*index, value.clone());
            } else if *index < items.len() {
                let old = std::mem::replace(&mut items[*index], Json::Null);
                items[*index] = changed(old, rest, value, change)?;
            } else {
                items.resize(*index, Json::Null);
                items.push(changed(Json::Null, rest, value, change)?);
            }
            Some(Json::Array(items))
        }
        _ => None,
    }
}

/// The value without what is at a path.
fn deleted(json: Json, steps: &[Step]) -> Json {
    let Some((first, rest)) = steps.split_first() else { return json };
    match (first, json) {
        (Step::Key(key), Json::Object(entries)) => Json::Object(
            entries
                .into_iter()
                .filter(|(k, _)| !(rest.is_empty() && k == key))
                .map(|(k, v)| if k == *key { (k, deleted(v, rest)) } else { (k, v) })
                .collect(),
        ),
        (Step::Index(index), Json::Array(items)) => Json::Array(
            items
                .into_iter()
                .enumerate()
                .filter(|(i, _)| !(rest.is_empty() && i == index))
                .map(|(i, v)| if i == *index { deleted(v, rest) } else { v })
                .collect(),
        ),
        (_, other) => other,
    }
}

fn without_nulls(json: Json, arrays: bool) -> Json {
    match json {
        Json::Object(entries) => Json::Object(
            entries
                .into_iter()
                .filter(|(_, v)| *v != Json::Null)
                .map(|(k, v)| (k, without_nulls(v, arrays)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .filter(|v| !arrays || *v != Json::Null)
                .map(|v| without_nulls(v, arrays))
                .collect(),
        ),
        other => other,
    }
}

/// The array at a path with one more element; the value as it is if nothing is there.
fn appended(json: Json, steps: &[Step], value: &Json) -> Option<Json> {
    let Some((first, rest)) = steps.split_first() else {
        return match json {
            Json::Array(mut items) => {
                items.push(value.clone());
                Some(Json::Array(items))
            }
            _ => None,
        };
    };
    match (first, json) {
        (Step::Key(key), Json::Object(entries)) => {
            let one = |(k, v): (String, Json)| {
                let v = if k == *key { appended(v, rest, value)? } else { v };
                Some((k, v))
            };
            Some(Json::Object(entries.into_iter().map(one).collect::<Option<_>>()?))
        }
        (Step::Index(index), Json::Array(items)) => {
            let one = |(i, v): (usize, Json)| if i == *index { appended(v, rest, value) } else { Some(v) };
            Some(Json::Array(items.into_iter().enumerate().map(one).collect::<Option<_>>()?))
        }
        (_, other) => Some(other),
    }
}

/// The schema of a value, in the words of `schema_of_variant`.
#[derive(Clone, PartialEq)]
enum Schema {
    Void,
    Plain(DataType),
    Array(Box<Schema>),
    Object(Vec<(String, Schema)>),
    Variant,
}

fn schema(json: &Json) -> Schema {
    match json {
        Json::Null => Schema::Void,
        Json::Bool(_) => Schema::Plain(DataType::Boolean),
        Json::Text(_) => Schema::Plain(DataType::Utf8),
        Json::Number(n) => Schema::Plain(match decimal::parse(n) {
            Some(_) if n.parse::<i64>().is_ok() => DataType::Int64,
            Some((unscaled, scale)) if !n.contains(['e', 'E']) => {
                DataType::Decimal128(decimal::digits(unscaled).max(scale.unsigned_abs()), scale)
            }
            _ => DataType::Float64,
        }),
        Json::Array(items) => Schema::Array(Box::new(
            items.iter().map(schema).reduce(|a, b| merged(&a, &b)).unwrap_or(Schema::Void),
        )),
        Json::Object(entries) => {
            Schema::Object(entries.iter().map(|(k, v)| (k.clone(), schema(v))).collect())
        }
    }
}

fn merged(a: &Schema, b: &Schema) -> Schema {
    match (a, b) {
        (Schema::Void, other) | (other, Schema::Void) => other.clone(),
        (Schema::Plain(x), Schema::Plain(y)) if x == y => a.clone(),
        (Schema::Plain(x), Schema::Plain(y)) if x.is_numeric() && y.is_numeric() => {
            types::wider(x, y).map_or(Schema::Variant, Schema::Plain)
        }
        (Schema::Array(x), Schema::Array(y)) => Schema::Array(Box::new(merged(x, y))),
        (Schema::Object(x), Schema::Object(y)) => {
            let mut fields = x.clone();
            for (name, schema) in y {
                match fields.iter_mut().find(|(known, _)| known == name) {
                    Some((_, have)) => *have = merged(have, schema),
                    None => fields.push((name.clone(), schema.clone())),
                }
            }
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Schema::Object(fields)
        }
        _ => Schema::Variant,
    }
}

fn text(schema: &Schema) -> String {
    match schema {
        Schema::Void => "VOID".into(),
        Schema::Variant => "VARIANT".into(),
        Schema::Plain(t) => types::name(t).to_uppercase(),
        Schema::Array(item) => format!("ARRAY<{}>", text(item)),
        Schema::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, schema)| format!("{name}: {}", text(schema))).collect();
            format!("OBJECT<{}>", fields.join(", "))
        }
    }
}

/// The schema of several values, for the aggregate.
pub(crate) fn schema_of_all(values: &[Value]) -> String {
    let all = values.iter().filter_map(json_of).map(|json| schema(&json));
    text(&all.reduce(|a, b| merged(&a, &b)).unwrap_or(Schema::Void))
}

pub(super) fn add(set: &mut Set) {
    set.typed("parse_json", "str -> ..", variant, |row, _| {
        let text = row[0].str();
        Json::parse(text).map(|json| wrap(&sorted(json))).ok_or_else(|| malformed(text))
    });
    set.also_try("parse_json");
    for (name, fails) in [("variant_get", true), ("try_variant_get", false)] {
        set.typed(
            name,
            "struct str str? -> ..",
            |site| match site.types.len() {
                3 => {
                    let wanted = site.literal(2).and_then(types::parse_schema);
                    wanted.ok_or_else(|| condition::parameter("variant_get", "the type must be a constant"))
                }
                _ => Ok(types::variant()),
            },
            move |row, site| {
                let Some(json) = json_of(&row[0]) else { return Ok(Value::Null) };
                let steps = steps("variant_get", row[1].str())?;
                let Some(found) = find(&json, &steps) else { return Ok(Value::Null) };
                match cast_to(found, site.result()) {
                    Some(value) => Ok(value),
                    None if fails => Err(condition::error(
                        ErrorKind::InvalidArgument,
                        "INVALID_VARIANT_CAST",
                        "22023",
                        format!(
                            "{} is no {}; use `try_variant_get` to get NULL instead.",
                            found.text(),
                            types::name(site.result()).to_uppercase()
                        ),
                    )),
                    None => Ok(Value::Null),
                }
            },
        );
    }
    set.add("is_variant_null", "! any -> bool", |row, _| Ok((json_of(&row[0]) == Some(Json::Null)).into()));
    set.add("is_valid_variant", "struct -> bool", |row, _| Ok(json_of(&row[0]).is_some().into()));
    set.add("schema_of_variant", "struct -> str", |row, _| {
        Ok(json_of(&row[0]).map(|json| text(&schema(&json))).into())
    });
    set.typed("to_variant_object", "any -> ..", variant, |row, site| {
        Ok(wrap(&to_json(&row[0], site.argument(0))))
    });
    for (name, change) in [("variant_insert", Change::Insert), ("variant_set", Change::Set)] {
        set.typed(name, "struct str any -> ..", variant, move |row, site| {
            let Some(json) = json_of(&row[0]) else { return Ok(Value::Null) };
            let value = to_json(&row[2], site.argument(2));
            let steps = steps(name, row[1].str())?;
            let made = changed(json, &steps, &value, change);
            made.map(|json| wrap(&json)).ok_or_else(|| mismatch(name, row[1].str()))
        });
        set.also_try(name);
    }
    set.typed("variant_array_append", "struct str any -> ..", variant, |row, site| {
        let Some(json) = json_of(&row[0]) else { return Ok(Value::Null) };
        let value = to_json(&row[2], site.argument(2));
        let steps = steps("variant_array_append", row[1].str())?;
        let made = appended(json, &steps, &value);
        made.map(|json| wrap(&json)).ok_or_else(|| mismatch("variant_array_append", row[1].str()))
    });
    set.also_try("variant_array_append");
    set.typed("variant_delete", "! any str* -> ..", variant, |row, _| {
        let Some(mut json) = json_of(&row[0]) else { return Ok(Value::Null) };
        for path in row[1..].iter().filter(|path| !path.is_null()) {
            json = deleted(json, &steps("variant_delete", path.str())?);
        }
        Ok(wrap(&json))
    });
    set.typed("variant_strip_nulls", "any bool? -> ..", variant, |row, _| {
        let arrays = row.get(1).is_none_or(Value::truth);
        Ok(json_of(&row[0]).map_or(Value::Null, |json| wrap(&without_nulls(json, arrays))))
    });
    for name in ["#variant_explode", "#variant_explode_outer"] {
        set.typed(
            name,
            "! any -> ..",
            |_| {
                Ok(types::list_of(types::struct_of([
                    ("pos", DataType::Int32),
                    ("key", DataType::Utf8),
                    ("value", types::variant()),
                ])))
            },
            |row, _| {
                let one = |(index, key, value): (usize, Value, &Json)| {
                    Value::Struct(vec![Value::Int(index as i64), key, wrap(value)])
                };
                Ok(Value::List(match json_of(&row[0]) {
                    Some(Json::Object(entries)) => {
                        entries.iter().enumerate().map(|(i, (k, v))| one((i, k.as_str().into(), v))).collect()
                    }
                    Some(Json::Array(items)) => {
                        items.iter().enumerate().map(|(i, v)| one((i, Value::Null, v))).collect()
                    }
                    _ => Vec::new(),
                }))
            },
        );
    }
}

/// A VARIANT cast to another type.
///
/// # Errors
/// `INVALID_VARIANT_CAST` when it holds no such value.
pub(crate) fn cast_variant(value: &Value, to: &DataType) -> Result<Value> {
    let Some(json) = json_of(value) else { return Ok(Value::Null) };
    cast_to(&json, to).ok_or_else(|| {
        condition::error(
            ErrorKind::InvalidArgument,
            "INVALID_VARIANT_CAST",
            "22023",
            format!("{} is no {}.", json.text(), types::name(to).to_uppercase()),
        )
    })
}
