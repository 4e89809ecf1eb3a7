//! Arrays. Positions count from 1, and from -1 at the end.

use super::Set;
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, datetime, format, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

fn first(site: &Site) -> Result<DataType> {
    Ok(site.argument(0).clone())
}

fn item_type(site: &Site) -> Result<DataType> {
    Ok(site.item(0))
}

/// A list whose elements have the common type of the list's and of a value's.
fn with_value(function: &'static str) -> impl Fn(&Site) -> Result<DataType> {
    move |site| {
        let value = site.types.last().unwrap_or(&DataType::Null);
        types::wider(&site.item(0), value).map(types::list_of).ok_or_else(|| {
            condition::argument_type(function, "the value is of another type than the elements")
        })
    }
}

/// The common type of the lists of a call.
fn both(function: &'static str) -> impl Fn(&Site) -> Result<DataType> {
    move |site| {
        types::common(&site.types)
            .ok_or_else(|| condition::argument_type(function, "the arrays have no common type"))
    }
}

fn unique(items: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

pub(super) fn add(set: &mut Set) {
    set.typed(
        "array",
        "! any* -> ..",
        |site| {
            let item = types::common(&site.types)
                .ok_or_else(|| condition::argument_type("array", "the elements have no common type"))?;
            Ok(types::list_of(item))
        },
        |row, site| {
            let item = types::item_of(site.result()).cloned().unwrap_or(DataType::Null);
            let cast = |(v, t): (&Value, &DataType)| cast::cast(v, t, &item);
            Ok(Value::List(row.iter().zip(&site.types).map(cast).collect::<Result<_>>()?))
        },
    );
    for (name, front) in [("array_append", false), ("array_prepend", true)] {
        set.typed(name, "! arr any -> ..", with_value(name), move |row, site| {
            if row[0].is_null() {
                return Ok(Value::Null);
            }
            let mut items = cast::cast(&row[0], site.argument(0), site.result())?.into_list();
            let item = types::item_of(site.result()).cloned().unwrap_or(DataType::Null);
            let value = cast::cast(&row[1], site.argument(1), &item)?;
            if front {
                items.insert(0, value);
            } else {
                items.push(value);
            }
            Ok(Value::List(items))
        });
    }
    set.typed("array_insert", "! arr int any -> ..", with_value("array_insert"), |row, site| {
        if row[0].is_null() || row[1].is_null() {
            return Ok(Value::Null);
        }
        let mut items = cast::cast(&row[0], site.argument(0), site.result())?.into_list();
        let item = types::item_of(site.result()).cloned().unwrap_or(DataType::Null);
        let value = cast::cast(&row[2], site.argument(2), &item)?;
        let at = row[1].int();
        if at == 0 || at.unsigned_abs() > 1 << 24 {
            return Err(condition::index(at, items.len()));
        }
        if at > 0 {
            let at = at as usize - 1;
            if at > items.len() {
                items.resize(at, Value::Null);
            }
            items.insert(at, value);
        } else {
            let back = at.unsigned_abs() as usize - 1;
            while items.len() < back {
                items.insert(0, Value::Null);
            }
            let at = items.len() - back;
            items.insert(at, value);
        }
        Ok(Value::List(items))
    });
    set.typed("array_compact", "arr -> ..", first, |row, _| {
        Ok(Value::List(row[0].list().iter().filter(|v| !v.is_null()).cloned().collect()))
    });
    set.add("array_contains", "arr any -> bool", |row, site| {
        let common = types::wider(&site.item(0), site.argument(1)).unwrap_or_else(|| site.item(0));
        let wanted = cast::cast(&row[1], site.argument(1), &common)?;
        let mut null = false;
        for item in row[0].list() {
            null |= item.is_null();
            if !item.is_null() && cast::cast(item, &site.item(0), &common)? == wanted {
                return Ok(true.into());
            }
        }
        Ok(if null { Value::Null } else { false.into() })
    });
    set.typed("array_distinct", "arr -> ..", first, |row, _| Ok(Value::List(unique(row[0].list().to_vec()))));
    for name in ["array_except", "array_intersect", "array_union"] {
        set.typed(name, "arr arr -> ..", both(name), move |row, site| {
            let a = cast::cast(&row[0], site.argument(0), site.result())?.into_list();
            let b = cast::cast(&row[1], site.argument(1), site.result())?.into_list();
            Ok(Value::List(unique(match name {
                "array_union" => a.into_iter().chain(b).collect::<Vec<_>>(),
                "array_except" => a.into_iter().filter(|v| !b.contains(v)).collect(),
                _ => a.into_iter().filter(|v| b.contains(v)).collect(),
            })))
        });
    }
    set.add("arrays_overlap", "arr arr -> bool", |row, site| {
        let common =
            types::wider(site.argument(0), site.argument(1)).unwrap_or_else(|| site.argument(0).clone());
        let a = cast::cast(&row[0], site.argument(0), &common)?.into_list();
        let b = cast::cast(&row[1], site.argument(1), &common)?.into_list();
        if a.iter().any(|v| !v.is_null() && b.contains(v)) {
            return Ok(true.into());
        }
        let null = !a.is_empty() && !b.is_empty() && a.iter().chain(&b).any(Value::is_null);
        Ok(if null { Value::Null } else { false.into() })
    });
    set.add("array_join", "! arr str str? -> str", |row, site| {
        if row[0].is_null() || row[1].is_null() {
            return Ok(Value::Null);
        }
        let instead = row.get(2).filter(|v| !v.is_null());
        let parts: Vec<String> = row[0]
            .list()
            .iter()
            .filter_map(|v| match (v, instead) {
                (Value::Null, None) => None,
                (Value::Null, Some(instead)) => Some(instead.str().to_owned()),
                (v, _) => Some(format::cast_text(v, &site.item(0))),
            })
            .collect();
        Ok(parts.join(row[1].str()).into())
    });
    set.typed("array_max", "arr -> ..", item_type, |row, _| {
        Ok(row[0].list().iter().filter(|v| !v.is_null()).max().cloned().unwrap_or_default())
    });
    set.typed("array_min", "arr -> ..", item_type, |row, _| {
        Ok(row[0].list().iter().filter(|v| !v.is_null()).min().cloned().unwrap_or_default())
    });
    set.add("array_position", "arr any -> long", |row, site| {
        let wanted = cast::cast(&row[1], site.argument(1), &site.item(0))?;
        Ok(Value::Int(row[0].list().iter().position(|v| *v == wanted).map_or(0, |at| at as i64 + 1)))
    });
    set.typed("array_remove", "arr any -> ..", first, |row, site| {
        let unwanted = cast::cast(&row[1], site.argument(1), &site.item(0))?;
        Ok(Value::List(row[0].list().iter().filter(|v| **v != unwanted).cloned().collect()))
    });
    set.typed(
        "array_repeat",
        "! any int -> ..",
        |site| Ok(types::list_of(site.argument(0).clone())),
        |row, _| {
            if row[1].is_null() {
                return Ok(Value::Null);
            }
            let times = usize::try_from(row[1].int().max(0)).unwrap_or(0);
            if times > 1 << 24 {
                return Err(condition::parameter("array_repeat", "more than 16,777,216 elements"));
            }
            Ok(Value::List(vec![row[0].clone(); times]))
        },
    );
    set.add("array_size", "arr -> int", |row, _| Ok(Value::Int(row[0].list().len() as i64)));
    set.add("size cardinality", "any -> int", |row, _| {
        Ok(Value::Int(match &row[0] {
            Value::Map(entries) => entries.len(),
            other => other.list().len(),
        } as i64))
    });
    set.typed("array_sort", "arr -> ..", first, |row, _| {
        let mut items = row[0].list().to_vec();
        // Nulls at the end.
        items.sort_by(|a, b| a.is_null().cmp(&b.is_null()).then_with(|| a.cmp(b)));
        Ok(Value::List(items))
    });
    set.typed("sort_array", "arr bool? -> ..", first, |row, _| {
        let mut items = row[0].list().to_vec();
        items.sort();
        if row.get(1).is_some_and(|ascending| !ascending.truth()) {
            items.reverse();
        }
        Ok(Value::List(items))
    });
    set.typed("slice", "arr int int -> ..", first, |row, _| {
        let items = row[0].list();
        let (start, length) = (row[1].int(), row[2].int());
        if start == 0 || length < 0 {
            return Err(condition::parameter("slice", "the start must not be 0 and the length not negative"));
        }
        let from = if start > 0 { start - 1 } else { items.len() as i64 + start };
        if from < 0 || from as usize >= items.len() {
            return Ok(Value::List(Vec::new()));
        }
        let from = from as usize;
        Ok(Value::List(items[from..(from + length as usize).min(items.len())].to_vec()))
    });
    set.typed("flatten", "arr -> ..", item_type, |row, _| {
        if row[0].list().iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        Ok(Value::List(row[0].list().iter().flat_map(|v| v.list().to_vec()).collect()))
    });
    set.typed(
        "arrays_zip",
        "arr* -> ..",
        |site| {
            let fields = (0..site.types.len()).map(|index| (index.to_string(), site.item(index)));
            Ok(types::list_of(types::struct_of(fields)))
        },
        |row, _| {
            let longest = row.iter().map(|v| v.list().len()).max().unwrap_or(0);
            let at = |index: usize| {
                Value::Struct(row.iter().map(|v| v.list().get(index).cloned().unwrap_or_default()).collect())
            };
            Ok(Value::List((0..longest).map(at).collect()))
        },
    );
    for (name, strict) in [("element_at", true), ("try_element_at", false)] {
        set.typed(
            name,
            "any any -> ..",
            |site| match types::entry_of(site.argument(0)) {
                Some((_, value)) => Ok(value.clone()),
                None if types::item_of(site.argument(0)).is_some() => Ok(site.item(0)),
                None => {
                    Err(condition::argument_type("element_at", "the first argument is no array and no map"))
                }
            },
            move |row, site| {
                if let Value::Map(entries) = &row[0] {
                    let (key, _) = site.entry(0);
                    let wanted = cast::cast(&row[1], site.argument(1), &key)?;
                    return Ok(entries
                        .iter()
                        .find(|(k, _)| *k == wanted)
                        .map_or(Value::Null, |(_, v)| v.clone()));
                }
                let (items, at) = (row[0].list(), row[1].int());
                let index = if at > 0 { at - 1 } else { items.len() as i64 + at };
                match usize::try_from(index).ok().and_then(|i| items.get(i)) {
                    _ if at == 0 => Err(condition::error(
                        trefoil_core::ErrorKind::InvalidArgument,
                        "INVALID_INDEX_OF_ZERO",
                        "22003",
                        "elements count from 1, or from -1 at the end.",
                    )),
                    Some(item) => Ok(item.clone()),
                    None if strict => Err(condition::index(at, items.len())),
                    None => Ok(Value::Null),
                }
            },
        );
    }
    // array[index] counts from 0 and fails outside, get(array, index) gives null.
    for (name, strict) in [("#item", true), ("get", false)] {
        set.typed(name, "arr int -> ..", item_type, move |row, _| {
            let (items, at) = (row[0].list(), row[1].int());
            match usize::try_from(at).ok().and_then(|i| items.get(i)) {
                Some(item) => Ok(item.clone()),
                None if strict => Err(condition::error(
                    trefoil_core::ErrorKind::InvalidArgument,
                    "INVALID_ARRAY_INDEX",
                    "22003",
                    format!(
                        "the index {at} is out of bounds, the array has {} elements; use `get` to get NULL instead.",
                        items.len()
                    ),
                )),
                None => Ok(Value::Null),
            }
        });
    }
    set.typed("shuffle", "~ arr long? -> ..", first, |row, _| {
        let mut items = row[0].list().to_vec();
        let mut state = row.get(1).map_or_else(datetime::now, Value::int) as u64 | 1;
        for index in (1..items.len()).rev() {
            // Fisher and Yates; the random number is Marsaglia's xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            items.swap(index, (state % (index as u64 + 1)) as usize);
        }
        Ok(Value::List(items))
    });
    set.typed(
        "sequence",
        "any any any? -> ..",
        |site| {
            let common = types::wider(site.argument(0), site.argument(1))
                .ok_or_else(|| condition::argument_type("sequence", "start and stop have no common type"))?;
            Ok(types::list_of(common))
        },
        sequence,
    );
    structs(set);
    vectors(set);
}

fn sequence(row: &[Value], site: &Site) -> Result<Value> {
    const MOST: usize = 1 << 24;
    let item = types::item_of(site.result()).cloned().unwrap_or(DataType::Null);
    let start = cast::cast(&row[0], site.argument(0), &item)?;
    let stop = cast::cast(&row[1], site.argument(1), &item)?;
    let wrong = || condition::parameter("sequence", "the step does not lead from start to stop");
    let up = start <= stop;
    let mut out = Vec::new();
    if let (Value::Int(start), Value::Int(stop)) = (&start, &stop) {
        let step = row.get(2).map_or(if up { 1 } else { -1 }, Value::int);
        if start != stop && (step == 0 || (step > 0) != up) {
            return Err(wrong());
        }
        let mut at = *start;
        loop {
            out.push(Value::Int(at));
            let Some(next) = at.checked_add(step) else { break };
            if step == 0 || step > 0 && next > *stop || step < 0 && next < *stop {
                break;
            }
            if out.len() >= MOST {
                return Err(condition::parameter("sequence", "more than 16,777,216 elements"));
            }
            at = next;
        }
        return Ok(Value::List(out));
    }
    let micros = |v: &Value| match v {
        Value::Date(d) => i64::from(*d) * datetime::DAY,
        other => other.int(),
    };
    let dates = matches!(start, Value::Date(_));
    let step = match row.get(2) {
        Some(Value::Str(text)) => crate::interval::parse(text)
            .map(|i| Value::Calendar(i.months, i.days, i.micros))
            .ok_or_else(wrong)?,
        Some(step) => step.clone(),
        None => Value::Calendar(0, if up { 1 } else { -1 }, 0),
    };
    let (from, to) = (micros(&start), micros(&stop));
    for n in 0.. {
        // Each from the start, so that the end of a month stays one.
        let delta = match &step {
            Value::Months(m) => Value::Months(m * n),
            Value::Micros(m) => Value::Micros(m * i64::from(n)),
            Value::Calendar(m, d, u) => Value::Calendar(m * n, d * n, u * i64::from(n)),
            _ => return Err(wrong()),
        };
        let Some(at) = super::arithmetic::shift(from, &delta, 1) else { break };
        if up && at > to || !up && at < to {
            break;
        }
        if n > 0 && (at == from || (at > from) != up) {
            return Err(wrong());
        }
        out.push(if dates { Value::Date(datetime::split(at).0) } else { Value::Ts(at) });
        if out.len() >= MOST {
            return Err(condition::parameter("sequence", "more than 16,777,216 elements"));
        }
        if from == to {
            break;
        }
    }
    Ok(Value::List(out))
}

fn structs(set: &mut Set) {
    set.typed(
        "struct",
        "! any* -> ..",
        |site| {
            let field = |(index, t): (usize, &DataType)| {
                let name = site.names.get(index).filter(|n| !n.is_empty() && plain_name(n));
                (name.cloned().unwrap_or_else(|| format!("col{}", index + 1)), t.clone())
            };
            Ok(types::struct_of(site.types.iter().enumerate().map(field)))
        },
        |row, _| Ok(Value::Struct(row.to_vec())),
    );
    set.typed(
        "named_struct",
        "! any* -> ..",
        |site| {
            if site.types.len() % 2 == 1 {
                return Err(condition::argument_count("named_struct", "an even number of", site.types.len()));
            }
            let fields = (0..site.types.len() / 2).map(|index| {
                let name = site.literal(2 * index).ok_or_else(|| {
                    condition::parameter("named_struct", "the names of the fields must be constants")
                })?;
                Ok((name.to_owned(), site.argument(2 * index + 1).clone()))
            });
            Ok(types::struct_of(fields.collect::<Result<Vec<_>>>()?))
        },
        |row, _| Ok(Value::Struct(row.iter().skip(1).step_by(2).cloned().collect())),
    );
}

/// Names of columns name the fields of a struct; names made up for expressions do not.
fn plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && super::scalar(name).is_none()
        && name != "lit"
}

fn vectors(set: &mut Set) {
    let floats = |v: &Value| v.list().iter().map(Value::float).collect::<Vec<f64>>();
    let pair = move |function: &'static str, row: &[Value]| {
        let (a, b) = (floats(&row[0]), floats(&row[1]));
        if a.len() == b.len() {
            Ok((a, b))
        } else {
            Err(condition::parameter(function, format!("{} and {} elements", a.len(), b.len())))
        }
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    set.add("vector_inner_product", "arr arr -> float", move |row, _| {
        let (a, b) = pair("vector_inner_product", row)?;
        Ok(Value::Float(dot(&a, &b)))
    });
    set.add("vector_cosine_similarity", "arr arr -> float", move |row, _| {
        let (a, b) = pair("vector_cosine_similarity", row)?;
        Ok(Value::Float(dot(&a, &b) / (dot(&a, &a).sqrt() * dot(&b, &b).sqrt())))
    });
    set.add("vector_l2_distance", "arr arr -> float", move |row, _| {
        let (a, b) = pair("vector_l2_distance", row)?;
        Ok(Value::Float(a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()))
    });
    fn norm(items: &[f64], degree: f64) -> f64 {
        if degree.is_infinite() {
            items.iter().fold(0.0, |most: f64, x| most.max(x.abs()))
        } else {
            items.iter().map(|x| x.abs().powf(degree)).sum::<f64>().powf(1.0 / degree)
        }
    }
    set.add("vector_norm", "arr double? -> float", move |row, _| {
        Ok(Value::Float(norm(&floats(&row[0]), row.get(1).map_or(2.0, Value::float))))
    });
    set.typed("vector_normalize", "arr double? -> ..", first, move |row, _| {
        let items = floats(&row[0]);
        let size = norm(&items, row.get(1).map_or(2.0, Value::float));
        Ok(Value::List(items.into_iter().map(|x| Value::Float(x / size)).collect()))
    });
}
