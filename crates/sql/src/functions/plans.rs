//! The aggregate functions of the dialect: their states and what they make of them.

use super::aggregate::{Plan, Typer};
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, decimal, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use std::collections::BTreeMap;

// --- states --------------------------------------------------------------------------------------------------

fn items_of(site: &Site) -> Result<DataType> {
    Ok(types::list_of(site.argument(0).clone()))
}

fn first_type(site: &Site) -> Result<DataType> {
    Ok(site.argument(0).clone())
}

fn double(_: &Site) -> Result<DataType> {
    Ok(DataType::Float64)
}

fn rows_of(site: &Site) -> Result<DataType> {
    let fields = site.types.iter().enumerate().map(|(index, t)| (index.to_string(), t.clone()));
    Ok(types::list_of(types::struct_of(fields)))
}

/// Adds the first argument to a list.
pub(super) fn push(state: &mut Value, row: &[Value], _: &Site) -> Result<()> {
    match state {
        Value::List(items) => items.push(row[0].clone()),
        other => *other = Value::List(vec![row[0].clone()]),
    }
    Ok(())
}

fn push_row(state: &mut Value, row: &[Value], _: &Site) -> Result<()> {
    let row = Value::Struct(row.to_vec());
    match state {
        Value::List(items) => items.push(row),
        other => *other = Value::List(vec![row]),
    }
    Ok(())
}

/// Adds a list to a list.
pub(super) fn append(state: &mut Value, other: Value, _: &Site) -> Result<()> {
    if let (Value::List(items), Value::List(more)) = (state, other) {
        items.extend(more);
    }
    Ok(())
}

fn unique(items: &[Value]) -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    items.iter().filter(|v| seen.insert((*v).clone())).cloned().collect()
}

/// The best pairs of a value and its rank, as a list of structs.
fn pairs(site: &Site) -> Result<DataType> {
    Ok(types::list_of(types::struct_of([
        ("value", site.argument(0).clone()),
        ("rank", site.argument(1).clone()),
    ])))
}

fn best<const GREATEST: bool>(state: &mut Value, row: &[Value], site: &Site) -> Result<()> {
    if row[1].is_null() {
        return Ok(());
    }
    let keep = row.get(2).map_or(1, |n| n.int().max(1)) as usize;
    let one = Value::List(vec![Value::Struct(row[..2].to_vec())]);
    if state.is_null() {
        *state = one;
        return Ok(());
    }
    rank::<GREATEST>(state, one, keep, site)
}

fn rank<const GREATEST: bool>(state: &mut Value, other: Value, keep: usize, _: &Site) -> Result<()> {
    if let (Value::List(items), Value::List(more)) = (state, other) {
        for pair in more {
            let at = items.partition_point(|have| {
                let order = have.list()[1].cmp(&pair.list()[1]);
                if GREATEST { order.is_ge() } else { order.is_le() }
            });
            items.insert(at, pair);
        }
        items.truncate(keep);
    }
    Ok(())
}

fn keep_of(site: &Site) -> usize {
    match site.literals.get(2) {
        Some(Some(n)) => n.int().max(1) as usize,
        _ if site.types.len() > 2 => usize::MAX,
        _ => 1,
    }
}

fn best_type(site: &Site) -> Result<DataType> {
    Ok(if site.types.len() > 2 { types::list_of(site.argument(0).clone()) } else { site.argument(0).clone() })
}

fn best_of(state: &Value, site: &Site) -> Result<Value> {
    let values = state.list().iter().map(|pair| pair.list()[0].clone());
    if site.types.len() > 2 {
        return Ok(if state.is_null() { Value::List(Vec::new()) } else { Value::List(values.collect()) });
    }
    Ok(values.into_iter().next().unwrap_or_default())
}

// --- moments ---------------------------------------------------------------------------------------------------

fn floats(state: &Value) -> Vec<f64> {
    state.list().iter().map(Value::float).collect()
}

fn numbers(_: &Site) -> Result<DataType> {
    Ok(types::list_of(DataType::Float64))
}

/// Count, mean, and the sums of the second to fourth powers of the distances from it (Pébay 2008), added in the
/// order that gives Spark's last digits.
fn moments(state: &mut Value, row: &[Value], _: &Site) -> Result<()> {
    let old = if state.is_null() { vec![0.0; 5] } else { floats(state) };
    let n = old[0] + 1.0;
    let d = row[0].float() - old[1];
    let dn = d / n;
    let m2 = old[2] + d * (d - dn);
    let m3 = old[3] - 3.0 * dn * m2 + d * (d * d - dn * dn);
    let m4 = old[4] - 4.0 * dn * m3 - 6.0 * dn * dn * m2 + d * (d * (d * d) - dn * (dn * dn));
    *state = Value::List([n, old[1] + dn, m2, m3, m4].into_iter().map(Value::Float).collect());
    Ok(())
}

fn join_moments(state: &mut Value, other: Value, _: &Site) -> Result<()> {
    let (a, b) = (floats(state), floats(&other));
    let (na, nb) = (a[0], b[0]);
    let n = na + nb;
    let d = b[1] - a[1];
    let (dn, d2) = (d / n, d * d);
    let m2 = a[2] + b[2] + d2 * na * nb / n;
    let m3 = a[3] + b[3] + dn * dn * d * na * nb * (na - nb) + 3.0 * dn * (na * b[2] - nb * a[2]);
    let m4 = a[4]
        + b[4]
        + dn * dn * dn * d * na * nb * (na * na - na * nb + nb * nb)
        + 6.0 * dn * dn * (na * na * b[2] + nb * nb * a[2])
        + 4.0 * dn * (na * b[3] - nb * a[3]);
    *state = Value::List([n, a[1] + dn * nb, m2, m3, m4].into_iter().map(Value::Float).collect());
    Ok(())
}

fn skewness(state: &Value, _: &Site) -> Result<Value> {
    let m = floats(state);
    Ok(match m[..] {
        [n, _, m2, m3, _] if m2 != 0.0 => (n.sqrt() * m3 / (m2 * m2 * m2).sqrt()).into(),
        _ => Value::Null,
    })
}

fn kurtosis(state: &Value, _: &Site) -> Result<Value> {
    let m = floats(state);
    Ok(match m[..] {
        [n, _, m2, _, m4] if m2 != 0.0 => (n * m4 / (m2 * m2) - 3.0).into(),
        _ => Value::Null,
    })
}

// --- percentiles -------------------------------------------------------------------------------------------------

fn percentile_type(site: &Site, exact: bool) -> Result<DataType> {
    let one = match site.argument(0) {
        t if types::is_interval(t) || !exact => t.clone(),
        _ => DataType::Float64,
    };
    Ok(match types::item_of(site.argument(1)) {
        Some(_) => types::list_of(one),
        None => one,
    })
}

fn fractions(state: &Value) -> (Value, Vec<f64>) {
    let first = state.list().first().map(|row| row.list()[1].clone()).unwrap_or_default();
    let all = match &first {
        Value::List(items) => items.iter().map(Value::float).collect(),
        other => vec![other.float()],
    };
    (first, all)
}

/// The rows' values, each as often as its frequency says, in order.
fn ordered(state: &Value) -> Vec<Value> {
    let mut values = Vec::new();
    for row in state.list() {
        let row = row.list();
        let times = row.get(2).map_or(1, |n| n.int().max(0));
        values.extend(std::iter::repeat_n(row[0].clone(), times as usize));
    }
    values.sort();
    values
}

fn percentiles(state: &Value, site: &Site, pick: impl Fn(&[Value], f64) -> Value) -> Result<Value> {
    let (given, fractions) = fractions(state);
    if fractions.iter().any(|f| !(0.0..=1.0).contains(f)) {
        return Err(condition::parameter("percentile", "a percentage is between 0.0 and 1.0"));
    }
    let values = ordered(state);
    if values.is_empty() {
        return Ok(Value::Null);
    }
    let mut made: Vec<Value> = fractions.iter().map(|f| pick(&values, *f)).collect();
    let _ = site;
    Ok(if matches!(given, Value::List(_)) { Value::List(made) } else { made.pop().unwrap_or_default() })
}

/// Between the two values around the place, in proportion.
fn interpolated(values: &[Value], fraction: f64) -> Value {
    let place = (values.len() - 1) as f64 * fraction;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let (a, b) = (&values[low], &values[high]);
    let between = |a: f64, b: f64| a + (b - a) * (place - low as f64);
    match (a, b) {
        (Value::Months(a), Value::Months(b)) => {
            Value::Months(between(f64::from(*a), f64::from(*b)).round() as i32)
        }
        (Value::Micros(a), Value::Micros(b)) => Value::Micros(between(*a as f64, *b as f64).round() as i64),
        (a, b) if low == high => a.clone().max(b.clone()).float().into(),
        (a, b) => between(a.float(), b.float()).into(),
    }
}

/// The smallest value with at least this share of the values at or below it.
fn nearest(values: &[Value], fraction: f64) -> Value {
    let rank = (fraction * values.len() as f64).ceil().max(1.0) as usize;
    values[rank - 1].clone()
}

/// A percentile is a double or an interval.
fn measured(value: Value) -> Value {
    match value {
        v @ (Value::Months(_) | Value::Micros(_)) => v,
        other => other.float().into(),
    }
}

/// The least and the greatest of the values that are there most often.
fn modes(state: &Value) -> (Value, Value) {
    let mut counts: BTreeMap<&Value, usize> = BTreeMap::new();
    for row in state.list() {
        let value = &row.list()[0];
        if !value.is_null() {
            *counts.entry(value).or_insert(0) += 1;
        }
    }
    let most = counts.values().max().copied().unwrap_or(0);
    let mut modes = counts.into_iter().filter(|(_, count)| *count == most).map(|(value, _)| value.clone());
    let least = modes.next().unwrap_or_default();
    (least.clone(), modes.next_back().unwrap_or(least))
}

fn mode(state: &Value, site: &Site) -> Result<Value> {
    let mut counts: BTreeMap<&Value, (usize, usize)> = BTreeMap::new();
    for (index, row) in state.list().iter().enumerate() {
        counts.entry(&row.list()[0]).or_insert((0, index)).0 += 1;
    }
    let most = counts.values().map(|(count, _)| *count).max().unwrap_or(0);
    // With `true` the least of several modes, otherwise any: the middle one as Spark's hash map gives.
    let deterministic = matches!(site.literals.get(1), Some(Some(Value::Bool(true))));
    let mut candidates: Vec<(&Value, usize)> =
        counts.iter().filter(|(_, (count, _))| *count == most).map(|(v, (_, index))| (*v, *index)).collect();
    if !deterministic {
        candidates.sort_by_key(|(value, _)| value.int().unsigned_abs());
    }
    Ok(candidates.first().map(|(value, _)| (*value).clone()).unwrap_or_default())
}

fn bytes_merge(state: &mut Value, other: &[u8], and: bool) {
    const SIZE: usize = 4096;
    let mut full = other.to_vec();
    full.resize(SIZE, 0);
    match state {
        Value::Bin(have) => {
            for (a, b) in have.iter_mut().zip(&full) {
                *a = if and { *a & b } else { *a | b };
            }
        }
        empty => *empty = Value::Bin(full),
    }
}

fn text(state: &Value, site: &Site) -> Result<Value> {
    let separator = match site.literals.get(1) {
        Some(Some(Value::Str(separator))) => separator.as_str(),
        _ => "",
    };
    let parts: Vec<&str> = state.list().iter().filter_map(|v| v.list().first()).map(Value::str).collect();
    Ok(if parts.is_empty() { Value::Null } else { parts.join(separator).into() })
}

fn total_type(site: &Site) -> Result<DataType> {
    Ok(match site.argument(0) {
        t if t.is_integer() => DataType::Int64,
        DataType::Decimal128(p, s) => DataType::Decimal128((p + 10).min(decimal::MAX), *s),
        t if types::is_interval(t) => t.clone(),
        _ => DataType::Float64,
    })
}

/// A running total, with an empty struct once it has overflowed.
fn total(state: &mut Value, value: &Value, site: &Site) {
    let sum = match (&*state, value) {
        (Value::Null, value) => cast::cast(value, site.argument(0), site.result()).ok(),
        (Value::Str(_), _) => None,
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int),
        (Value::Decimal(a, s), Value::Decimal(b, _)) => a.checked_add(*b).map(|n| Value::Decimal(n, *s)),
        (Value::Months(a), Value::Months(b)) => a.checked_add(*b).map(Value::Months),
        (Value::Micros(a), Value::Micros(b)) => a.checked_add(*b).map(Value::Micros),
        (a, b) => Some(Value::Float(a.float() + b.float())),
    };
    *state = sum.unwrap_or_else(|| "overflow".into());
}

fn total_state(site: &Site) -> Result<DataType> {
    Ok(types::struct_of([
        ("total", total_type(site)?),
        ("overflow", DataType::Boolean),
        ("count", DataType::Int64),
    ]))
}

fn add_total(state: &mut Value, row: &[Value], site: &Site) -> Result<()> {
    let (mut sum, count) = match &*state {
        Value::Struct(parts) if parts[1].truth() => return Ok(()),
        Value::Struct(parts) => (parts[0].clone(), parts[2].int()),
        _ => (Value::Null, 0),
    };
    total(&mut sum, &row[0], site);
    let overflow = matches!(sum, Value::Str(_));
    let sum = if overflow { Value::Null } else { sum };
    *state = Value::Struct(vec![sum, Value::Bool(overflow), Value::Int(count + 1)]);
    Ok(())
}

fn merge_total(state: &mut Value, other: Value, site: &Site) -> Result<()> {
    let (mut a, b) = (state.list().to_vec(), other.into_list());
    if a[1].truth() || b[1].truth() {
        a[1] = Value::Bool(true);
    } else {
        total(&mut a[0], &b[0], site);
        if matches!(a[0], Value::Str(_)) {
            (a[0], a[1]) = (Value::Null, Value::Bool(true));
        }
    }
    a[2] = Value::Int(a[2].int() + b[2].int());
    *state = Value::Struct(a);
    Ok(())
}

fn list(
    name: &'static str,
    spec: &'static str,
    result: Typer,
    finish: fn(&Value, &Site) -> Result<Value>,
) -> Plan {
    Plan { name, spec, result, state: items_of, update: push, merge: append, finish }
}

fn rows(
    name: &'static str,
    spec: &'static str,
    result: Typer,
    finish: fn(&Value, &Site) -> Result<Value>,
) -> Plan {
    Plan { name, spec, result, state: rows_of, update: push_row, merge: append, finish }
}

fn collected(state: &Value, _: &Site) -> Result<Value> {
    Ok(if state.is_null() { Value::List(Vec::new()) } else { state.clone() })
}

fn collected_set(state: &Value, _: &Site) -> Result<Value> {
    Ok(Value::List(unique(state.list())))
}

/// The aggregate functions: what each does.
pub(super) fn plans() -> Vec<Plan> {
    let by = |name, greatest: bool| Plan {
        name,
        spec: "! any any int? -> ..",
        result: best_type,
        state: pairs,
        update: if greatest { best::<true> } else { best::<false> },
        merge: if greatest {
            |s: &mut Value, o: Value, site: &Site| rank::<true>(s, o, keep_of(site), site)
        } else {
            |s: &mut Value, o: Value, site: &Site| rank::<false>(s, o, keep_of(site), site)
        },
        finish: best_of,
    };
    let moment = |name, finish| Plan {
        name,
        spec: "double -> ..",
        result: double,
        state: numbers,
        update: moments,
        merge: join_moments,
        finish,
    };
    let bitmap = |name, and: bool| Plan {
        name,
        spec: "bin -> ..",
        result: |_| Ok(DataType::Binary),
        state: |_| Ok(DataType::Binary),
        update: if and {
            |s: &mut Value, row: &[Value], _: &Site| {
                bytes_merge(s, row[0].bytes(), true);
                Ok(())
            }
        } else {
            |s: &mut Value, row: &[Value], _: &Site| {
                bytes_merge(s, row[0].bytes(), false);
                Ok(())
            }
        },
        merge: if and {
            |s: &mut Value, o: Value, _: &Site| {
                bytes_merge(s, o.bytes(), true);
                Ok(())
            }
        } else {
            |s: &mut Value, o: Value, _: &Site| {
                bytes_merge(s, o.bytes(), false);
                Ok(())
            }
        },
        finish: |state, _| Ok(if state.is_null() { Value::Bin(vec![0; 4096]) } else { state.clone() }),
    };
    let exact = |name| {
        rows(
            name,
            "any any any? -> ..",
            |site| percentile_type(site, true),
            |state, site| percentiles(state, site, interpolated),
        )
    };
    // The third argument is an accuracy, which an exact answer always has.
    let disc = |name| {
        rows(
            name,
            "any any any? -> ..",
            |site| percentile_type(site, false),
            |state, site| {
                let values: Vec<Value> = state
                    .list()
                    .iter()
                    .map(|row| Value::Struct(row.list().iter().take(2).cloned().collect()))
                    .collect();
                percentiles(&Value::List(values), site, nearest)
            },
        )
    };
    let mut all = vec![
        list("collect_list", "any -> ..", items_of, collected),
        list("array_agg", "any -> ..", items_of, collected),
        list("collect_set", "any -> ..", items_of, collected_set),
        list("collect_union", "arr -> ..", first_type, |state, _| {
            let all: Vec<Value> = state.list().iter().flat_map(|v| v.list().to_vec()).collect();
            Ok(Value::List(unique(&all)))
        }),
        by("max_by", true),
        by("min_by", false),
        moment("skewness", skewness),
        moment("kurtosis", kurtosis),
        exact("percentile"),
        exact("percentile_cont"),
        disc("percentile_approx"),
        disc("approx_percentile"),
        rows(
            "percentile_disc",
            "any any -> ..",
            |site| percentile_type(site, true),
            |state, site| percentiles(state, site, |values, f| measured(nearest(values, f))),
        ),
        rows(
            "#percentile_disc_descending",
            "any any -> ..",
            |site| percentile_type(site, true),
            |state, site| {
                percentiles(state, site, |values, f| {
                    let values: Vec<Value> = values.iter().rev().cloned().collect();
                    measured(nearest(&values, f))
                })
            },
        ),
        rows("#mode_ascending", "any -> ..", first_type, |state, _| Ok(modes(state).0)),
        rows("#mode_descending", "any -> ..", first_type, |state, _| Ok(modes(state).1)),
        list(
            "median",
            "any -> ..",
            |site| {
                Ok(if types::is_interval(site.argument(0)) {
                    site.argument(0).clone()
                } else {
                    DataType::Float64
                })
            },
            |state, _| {
                let mut values = state.list().to_vec();
                values.sort();
                Ok(if values.is_empty() { Value::Null } else { interpolated(&values, 0.5) })
            },
        ),
        list(
            "schema_of_variant_agg",
            "struct -> ..",
            |_| Ok(DataType::Utf8),
            |state, _| Ok(super::variant::schema_of_all(state.list()).into()),
        ),
        rows("mode", "any bool? -> ..", first_type, mode),
        rows("listagg", "str str? -> ..", |_| Ok(DataType::Utf8), text),
        rows("string_agg", "str str? -> ..", |_| Ok(DataType::Utf8), text),
        bitmap("bitmap_and_agg", true),
        bitmap("bitmap_or_agg", false),
        Plan {
            name: "bitmap_construct_agg",
            spec: "long -> ..",
            result: |_| Ok(DataType::Binary),
            state: |_| Ok(DataType::Binary),
            update: |state, row, _| {
                let bit = row[0].int();
                if !(0..32_768).contains(&bit) {
                    return Err(condition::parameter(
                        "bitmap_construct_agg",
                        "a position is between 0 and 32767",
                    ));
                }
                let mut bytes = vec![0; 4096];
                bytes[bit as usize / 8] = 1 << (bit % 8);
                bytes_merge(state, &bytes, false);
                Ok(())
            },
            merge: |s, o, _| {
                bytes_merge(s, o.bytes(), false);
                Ok(())
            },
            finish: |state, _| Ok(if state.is_null() { Value::Bin(vec![0; 4096]) } else { state.clone() }),
        },
        Plan {
            name: "try_sum",
            spec: "num -> ..",
            result: total_type,
            state: total_state,
            update: add_total,
            merge: merge_total,
            finish: |state, _| Ok(state.list().first().cloned().unwrap_or_default()),
        },
        Plan {
            name: "try_avg",
            spec: "num -> ..",
            result: |site| {
                Ok(match site.argument(0) {
                    DataType::Decimal128(p, s) => {
                        DataType::Decimal128((p + 4).min(decimal::MAX), (s + 4).min(38))
                    }
                    t if types::is_interval(t) => t.clone(),
                    _ => DataType::Float64,
                })
            },
            state: numbers,
            update: |state, row, site| {
                let x = cast::cast(&row[0], site.argument(0), &DataType::Float64)
                    .unwrap_or(Value::Float(row[0].int() as f64));
                let (sum, n) = match &*state {
                    Value::List(parts) => (parts[0].float(), parts[1].float()),
                    _ => (0.0, 0.0),
                };
                *state = Value::List(vec![Value::Float(sum + x.float()), Value::Float(n + 1.0)]);
                Ok(())
            },
            merge: |state, other, _| {
                let (a, b) = (floats(state), floats(&other));
                *state = Value::List(vec![Value::Float(a[0] + b[0]), Value::Float(a[1] + b[1])]);
                Ok(())
            },
            finish: |state, site| {
                let parts = floats(state);
                let [sum, n] = parts[..] else { return Ok(Value::Null) };
                Ok(match site.result() {
                    t if t == &types::YEAR_MONTH => Value::Months((sum / n).round() as i32),
                    t if t == &types::DAY_TIME => Value::Micros((sum / n).round() as i64),
                    t => cast::cast(&Value::Float(sum / n), &DataType::Float64, t)?,
                })
            },
        },
        Plan {
            name: "count_if",
            spec: "bool -> ..",
            result: |_| Ok(DataType::Int64),
            state: |_| Ok(DataType::Int64),
            update: |state, row, _| {
                *state = Value::Int(state.int() + i64::from(row[0].truth()));
                Ok(())
            },
            merge: |state, other, _| {
                *state = Value::Int(state.int() + other.int());
                Ok(())
            },
            finish: |state, _| Ok(Value::Int(state.int())),
        },
    ];
    all.extend(vectors());
    all.extend(super::regression::plans());
    all.push(super::histogram::plan());
    all
}

fn vectors() -> Vec<Plan> {
    let sum = |name, average: bool| Plan {
        name,
        spec: "arr -> ..",
        result: first_type,
        state: |_| Ok(types::list_of(DataType::Float64)),
        update: |state, row, _| {
            let mut row: Vec<Value> = row[0].list().iter().map(|v| Value::Float(v.float())).collect();
            row.push(Value::Float(1.0));
            add_vectors(state, row)
        },
        merge: |state, other, _| add_vectors(state, other.into_list()),
        finish: if average {
            |state: &Value, _: &Site| {
                let Some((n, items)) = state.list().split_last() else { return Ok(Value::Null) };
                Ok(Value::List(items.iter().map(|v| Value::Float(v.float() / n.float())).collect()))
            }
        } else {
            |state: &Value, _: &Site| match state.list().split_last() {
                Some((_, items)) => Ok(Value::List(items.to_vec())),
                None => Ok(Value::Null),
            }
        },
    };
    vec![sum("vector_sum", false), sum("vector_avg", true)]
}

fn add_vectors(state: &mut Value, more: Vec<Value>) -> Result<()> {
    match state {
        Value::List(have) if have.len() == more.len() => {
            for (a, b) in have.iter_mut().zip(more) {
                *a = Value::Float(a.float() + b.float());
            }
        }
        Value::List(_) => {
            return Err(condition::parameter("vector_sum", "the vectors are of different lengths"));
        }
        empty => *empty = Value::List(more),
    }
    Ok(())
}
