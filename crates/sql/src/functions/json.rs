//! JSON and CSV as text.

use super::Set;
use super::json_text::{Json, quote};
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, decimal, format, types};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;

pub(super) fn add(set: &mut Set) {
    set.add("get_json_object", "str str -> str", |row, _| {
        let Some(json) = Json::parse(row[0].str()) else { return Ok(Value::Null) };
        let Some(steps) = path(row[1].str()) else { return Ok(Value::Null) };
        let wild = steps.contains(&Step::All);
        let mut found = walk(&json, &steps);
        Ok(match found.len() {
            0 => Value::Null,
            1 if !wild || !matches!(found[0], Json::Text(_)) => match found.pop() {
                Some(Json::Null) | None => Value::Null,
                Some(one) => one.plain().into(),
            },
            1 => found.pop().map(|one| one.text()).into(),
            _ => Json::Array(found.into_iter().cloned().collect()).text().into(),
        })
    });
    set.add("json_array_length", "str -> int", |row, _| {
        Ok(match Json::parse(row[0].str()) {
            Some(Json::Array(items)) => Value::Int(items.len() as i64),
            _ => Value::Null,
        })
    });
    set.typed(
        "json_object_keys",
        "str -> ..",
        |_| Ok(types::list_of(DataType::Utf8)),
        |row, _| {
            Ok(match Json::parse(row[0].str()) {
                Some(Json::Object(entries)) => {
                    Value::List(entries.into_iter().map(|(k, _)| k.into()).collect())
                }
                _ => Value::Null,
            })
        },
    );
    set.typed(
        "#json_tuple",
        "! str str* -> ..",
        |site| {
            let fields = (0..site.types.len() - 1).map(|index| (format!("c{index}"), DataType::Utf8));
            Ok(types::struct_of(fields))
        },
        |row, _| {
            let json = Json::parse(row[0].str());
            let value = |key: &Value| match json.as_ref().and_then(|json| json.get(key.str())) {
                None | Some(Json::Null) => Value::Null,
                Some(found) => found.plain().into(),
            };
            Ok(Value::Struct(row[1..].iter().map(value).collect()))
        },
    );
    set.typed(
        "from_json",
        "str str map? -> ..",
        |site| schema(site, "from_json"),
        |row, site| {
            let options = Options::read(row.get(2));
            let Some(json) = Json::parse(row[0].str()) else {
                if options.get("mode").is_some_and(|mode| mode.eq_ignore_ascii_case("FAILFAST")) {
                    return Err(condition::error(
                        trefoil_core::ErrorKind::MalformedData,
                        "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION",
                        "22023",
                        format!("the record '{}' is malformed.", row[0].str()),
                    ));
                }
                // A malformed record is a row of nulls.
                return Ok(match site.result() {
                    DataType::Struct(fields) => Value::Struct(vec![Value::Null; fields.len()]),
                    _ => Value::Null,
                });
            };
            // A lone object where an array of structs is wanted, and the reverse.
            match (&json, site.result()) {
                (Json::Object(_), t) if types::item_of(t).is_some() => {
                    let item = types::item_of(t).cloned().unwrap_or(DataType::Null);
                    Ok(Value::List(vec![convert(&json, &item, &options)]))
                }
                _ => Ok(convert(&json, site.result(), &options)),
            }
        },
    );
    set.add("to_json", "any map? -> str", |row, site| {
        let options = Options::read(row.get(1));
        let mut out = String::new();
        print(&row[0], site.argument(0), &options, &mut out)?;
        Ok(out.into())
    });
    set.add("schema_of_json", "str map? -> str", |row, _| {
        let Some(json) = Json::parse(row[0].str()) else {
            return Err(condition::parameter("schema_of_json", "the text is no JSON"));
        };
        Ok(types::sql_name(&infer(&json)).into())
    });
    set.typed(
        "from_csv",
        "str str map? -> ..",
        |site| schema(site, "from_csv"),
        |row, site| {
            let options = Options::read(row.get(2));
            let separator = options.get("sep").or(options.get("delimiter")).unwrap_or(",");
            let DataType::Struct(fields) = site.result() else { return Ok(Value::Null) };
            let cells = split_csv(row[0].str(), separator);
            let cell = |(index, field): (usize, &FieldRef)| match cells.get(index) {
                None => Value::Null,
                Some(text) if text.is_empty() => Value::Null,
                Some(text) => parse_text(text, field.data_type(), &options),
            };
            Ok(Value::Struct(fields.iter().enumerate().map(cell).collect()))
        },
    );
    set.add("to_csv", "struct map? -> str", |row, site| {
        let options = Options::read(row.get(1));
        let separator = options.get("sep").or(options.get("delimiter")).unwrap_or(",");
        let DataType::Struct(fields) = site.argument(0) else { return Ok(Value::Null) };
        let cell = |(value, field): (&Value, &FieldRef)| -> Result<String> {
            let text = match value {
                Value::Null => return Ok(options.get("nullValue").unwrap_or("").to_owned()),
                other => dated(other, field.data_type(), &options)?,
            };
            Ok(if text.contains(separator) || text.contains(['"', '\n']) {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            } else {
                text
            })
        };
        let cells: Vec<String> = row[0].list().iter().zip(fields).map(cell).collect::<Result<_>>()?;
        Ok(cells.join(separator).into())
    });
    set.add("schema_of_csv", "str map? -> str", |row, _| {
        let options = Options::read(row.get(1));
        let separator = options.get("sep").or(options.get("delimiter")).unwrap_or(",");
        let fields = split_csv(row[0].str(), separator)
            .into_iter()
            .enumerate()
            .map(|(index, cell)| (format!("_c{index}"), infer_csv(&cell)))
            .collect::<Vec<_>>();
        Ok(types::sql_name(&types::struct_of(fields)).into())
    });
}

pub(super) fn schema(site: &Site, function: &str) -> Result<DataType> {
    let text =
        site.literal(1).ok_or_else(|| condition::parameter(function, "the schema must be a constant"))?;
    types::parse_schema(text).ok_or_else(|| condition::parameter(function, format!("'{text}' is no schema")))
}

/// The options of a reader or writer.
pub(super) struct Options(Vec<(String, String)>);

impl Options {
    pub(super) fn read(map: Option<&Value>) -> Options {
        let entries = map.map(Value::map).unwrap_or_default();
        Options(entries.iter().map(|(k, v)| (k.str().to_lowercase(), v.str().to_owned())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    All,
}

/// `$.a[0].b[*]['c']`.
pub(super) fn path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let key = &tail[..end];
            steps.push(if key == "*" { Step::All } else { Step::Key(key.to_owned()) });
            rest = &tail[end..];
        } else {
            let tail = rest.strip_prefix('[')?;
            let end = tail.find(']')?;
            let inner = &tail[..end];
            steps.push(match inner.strip_prefix('\'').and_then(|i| i.strip_suffix('\'')) {
                Some(key) => Step::Key(key.to_owned()),
                None if inner == "*" => Step::All,
                None => Step::Index(inner.parse().ok()?),
            });
            rest = &tail[end + 1..];
        }
    }
    Some(steps)
}

fn walk<'a>(json: &'a Json, steps: &[Step]) -> Vec<&'a Json> {
    let Some((first, rest)) = steps.split_first() else { return vec![json] };
    match (first, json) {
        (Step::Key(key), Json::Object(_)) => json.get(key).map(|v| walk(v, rest)).unwrap_or_default(),
        (Step::Key(_), Json::Array(items)) => items.iter().flat_map(|v| walk(v, steps)).collect(),
        (Step::Index(index), Json::Array(items)) => {
            items.get(*index).map(|v| walk(v, rest)).unwrap_or_default()
        }
        (Step::All, Json::Array(items)) => items.iter().flat_map(|v| walk(v, rest)).collect(),
        (Step::All, Json::Object(entries)) => entries.iter().flat_map(|(_, v)| walk(v, rest)).collect(),
        _ => Vec::new(),
    }
}

/// The value of a type that JSON holds; null where it holds something else.
fn convert(json: &Json, data_type: &DataType, options: &Options) -> Value {
    match (json, data_type) {
        (Json::Null, _) => Value::Null,
        (Json::Object(_), DataType::Struct(fields)) => Value::Struct(
            fields
                .iter()
                .map(|f| json.get(f.name()).map_or(Value::Null, |v| convert(v, f.data_type(), options)))
                .collect(),
        ),
        (Json::Object(entries), DataType::Map(..)) => match types::entry_of(data_type) {
            Some((key, value)) => {
                let key = |k: &str| parse_text(k, key, options);
                Value::Map(entries.iter().map(|(k, v)| (key(k), convert(v, value, options))).collect())
            }
            None => Value::Null,
        },
        (Json::Array(items), t) if let Some(item) = types::item_of(t) => {
            Value::List(items.iter().map(|v| convert(v, item, options)).collect())
        }
        (json, DataType::Utf8) => json.plain().into(),
        (Json::Bool(b), DataType::Boolean) => Value::Bool(*b),
        (Json::Number(n), t) if t.is_integer() && n.contains(['.', 'e', 'E']) => Value::Null,
        (Json::Number(n), t) if t.is_numeric() => parse_text(n, t, options),
        (Json::Text(text), t) if types::is_datetime(t) || t.is_floating() => parse_text(text, t, options),
        (Json::Text(text), DataType::Binary) => Value::Bin(text.clone().into_bytes()),
        _ => Value::Null,
    }
}

pub(super) fn parse_text(text: &str, data_type: &DataType, options: &Options) -> Value {
    let pattern = match data_type {
        DataType::Date32 => options.get("dateFormat"),
        DataType::Timestamp(..) => options.get("timestampFormat"),
        _ => None,
    };
    if let Some(pattern) = pattern {
        let Ok(micros) = super::timeparts::read(text.trim(), pattern) else { return Value::Null };
        return cast::cast(&Value::Ts(micros), &types::TIMESTAMP, data_type).unwrap_or_default();
    }
    let text = if data_type == &DataType::Utf8 { text } else { text.trim() };
    cast::cast(&text.into(), &DataType::Utf8, data_type).unwrap_or_default()
}

/// Dates by the options' patterns, everything else as a cast to text.
pub(super) fn dated(value: &Value, data_type: &DataType, options: &Options) -> Result<String> {
    match (value, options.get("dateFormat"), options.get("timestampFormat")) {
        (Value::Date(days), Some(pattern), _) => {
            super::timeparts::print(i64::from(*days) * crate::value::datetime::DAY, pattern)
        }
        (Value::Ts(micros), _, Some(pattern)) => super::timeparts::print(*micros, pattern),
        (Value::Ts(micros), ..) => super::timeparts::print(*micros, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
        _ => Ok(format::cast_text(value, data_type)),
    }
}

fn print(value: &Value, data_type: &DataType, options: &Options, out: &mut String) -> Result<()> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(_) | Value::Int(_) | Value::Decimal(..) => {
            out.push_str(&format::cast_text(value, data_type))
        }
        Value::Float(x) if x.is_finite() => out.push_str(&format::cast_text(value, data_type)),
        Value::List(items) => {
            let item = types::item_of(data_type).unwrap_or(&DataType::Null);
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                print(value, item, options, out)?;
            }
            out.push(']');
        }
        Value::Struct(values) => {
            let DataType::Struct(fields) = data_type else { return Ok(()) };
            let nulls = options.get("ignoreNullFields").is_some_and(|v| v == "false");
            let mut shown: Vec<(&Value, &FieldRef)> =
                values.iter().zip(fields).filter(|(v, _)| nulls || !v.is_null()).collect();
            if options.get("sortKeys").is_some_and(|v| v == "true") {
                shown.sort_by_key(|(_, field)| field.name().clone());
            }
            out.push('{');
            for (index, (value, field)) in shown.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(field.name(), out);
                out.push(':');
                print(value, field.data_type(), options, out)?;
            }
            out.push('}');
        }
        Value::Map(entries) => {
            let (key, mapped) = types::entry_of(data_type).unwrap_or((&DataType::Null, &DataType::Null));
            out.push('{');
            for (index, (k, v)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                // A struct as a key is written as its values.
                let name = match k {
                    Value::Struct(_) => {
                        let inner = format::cast_text(k, key);
                        format!("[{}]", inner.trim_matches(['{', '}']))
                    }
                    other => format::cast_text(other, key),
                };
                quote(&name, out);
                out.push(':');
                print(v, mapped, options, out)?;
            }
            out.push('}');
        }
        other => quote(&dated(other, data_type, options)?, out),
    }
    Ok(())
}

/// The type of a JSON value.
fn infer(json: &Json) -> DataType {
    match json {
        Json::Null => DataType::Utf8,
        Json::Bool(_) => DataType::Boolean,
        Json::Number(n) if n.parse::<i64>().is_ok() => DataType::Int64,
        Json::Number(n) if !n.contains(['.', 'e', 'E']) => DataType::Decimal128(decimal::MAX, 0),
        Json::Number(_) => DataType::Float64,
        Json::Text(_) => DataType::Utf8,
        Json::Array(items) => {
            let item = items.iter().map(infer).reduce(|a, b| merge(&a, &b));
            types::list_of(item.unwrap_or(DataType::Utf8))
        }
        Json::Object(entries) => {
            let mut fields: Vec<(String, DataType)> =
                entries.iter().map(|(k, v)| (k.clone(), infer(v))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            types::struct_of(fields)
        }
    }
}

pub(super) fn merge(a: &DataType, b: &DataType) -> DataType {
    match (a, b) {
        (DataType::Struct(x), DataType::Struct(y)) => {
            let mut fields: Vec<(String, DataType)> = Vec::new();
            for field in x.iter().chain(y) {
                match fields.iter_mut().find(|(name, _)| name == field.name()) {
                    Some((_, t)) => *t = merge(t, field.data_type()),
                    None => fields.push((field.name().clone(), field.data_type().clone())),
                }
            }
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            types::struct_of(fields)
        }
        _ if a == b => a.clone(),
        _ if a.is_numeric() && b.is_numeric() => types::wider(a, b).unwrap_or(DataType::Float64),
        _ => match (types::item_of(a), types::item_of(b)) {
            (Some(x), Some(y)) => types::list_of(merge(x, y)),
            _ => DataType::Utf8,
        },
    }
}

pub(super) fn infer_csv(cell: &str) -> DataType {
    let cell = cell.trim();
    let tries = [DataType::Int32, DataType::Int64, DataType::Float64];
    for data_type in tries {
        if cast::cast(&cell.into(), &DataType::Utf8, &data_type).is_ok() {
            return data_type;
        }
    }
    if crate::value::datetime::parse_date(cell).is_some() && cell.len() == 10 {
        return DataType::Date32;
    }
    if crate::value::datetime::parse_timestamp(cell).is_some() {
        return types::TIMESTAMP;
    }
    match cell.to_lowercase().as_str() {
        "true" | "false" => DataType::Boolean,
        _ => DataType::Utf8,
    }
}

/// The cells of one line, with double quotes around cells that hold the separator.
fn split_csv(line: &str, separator: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if c == '"' && (quoted || cell.trim().is_empty()) {
            quoted = !quoted;
            rest = &rest[1..];
        } else if !quoted && !separator.is_empty() && rest.starts_with(separator) {
            cells.push(std::mem::take(&mut cell));
            rest = &rest[separator.len()..];
        } else {
            cell.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    cells.push(cell);
    cells
}
