//! What generators make of one row: a list of structs, to be unnested.

use super::Set;
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

/// The fields that `explode` makes of a list or a map, after those given.
fn exploded(site: &Site, mut fields: Vec<(String, DataType)>) -> Result<DataType> {
    if let Some((key, value)) = types::entry_of(site.argument(0)) {
        fields.push(("key".into(), key.clone()));
        fields.push(("value".into(), value.clone()));
    } else if types::item_of(site.argument(0)).is_some() {
        fields.push(("col".into(), site.item(0)));
    } else {
        return Err(condition::argument_type("explode", "the argument is no ARRAY and no MAP"));
    }
    Ok(types::list_of(types::struct_of(fields)))
}

/// Where nothing was made, an outer generator makes one row of nulls.
fn outer(rows: Vec<Value>, outer: bool, site: &Site) -> Value {
    match types::item_of(site.result()) {
        Some(DataType::Struct(fields)) if rows.is_empty() && outer => {
            Value::List(vec![Value::Struct(vec![Value::Null; fields.len()])])
        }
        _ => Value::List(rows),
    }
}

pub(super) fn add(set: &mut Set) {
    for (suffix, is_outer) in [("", false), ("_outer", true)] {
        set.typed(
            &format!("#explode{suffix}"),
            "! any -> ..",
            |site| exploded(site, Vec::new()),
            move |row, site| {
                let rows = match &row[0] {
                    Value::Map(entries) => {
                        entries.iter().map(|(k, v)| Value::Struct(vec![k.clone(), v.clone()])).collect()
                    }
                    other => other.list().iter().map(|v| Value::Struct(vec![v.clone()])).collect(),
                };
                Ok(outer(rows, is_outer, site))
            },
        );
        set.typed(
            &format!("#posexplode{suffix}"),
            "! any -> ..",
            |site| exploded(site, vec![("pos".into(), DataType::Int32)]),
            move |row, site| {
                let at = |index: usize| Value::Int(index as i64);
                let rows = match &row[0] {
                    Value::Map(entries) => entries
                        .iter()
                        .enumerate()
                        .map(|(i, (k, v))| Value::Struct(vec![at(i), k.clone(), v.clone()]))
                        .collect(),
                    other => other
                        .list()
                        .iter()
                        .enumerate()
                        .map(|(i, v)| Value::Struct(vec![at(i), v.clone()]))
                        .collect(),
                };
                Ok(outer(rows, is_outer, site))
            },
        );
        set.typed(
            &format!("#inline{suffix}"),
            "! any -> ..",
            |site| match types::item_of(site.argument(0)) {
                Some(DataType::Struct(_)) => Ok(site.argument(0).clone()),
                _ => Err(condition::argument_type("inline", "the argument is no ARRAY of STRUCTs")),
            },
            move |row, site| {
                let width = match types::item_of(site.result()) {
                    Some(DataType::Struct(fields)) => fields.len(),
                    _ => 0,
                };
                let rows = row[0].list().iter().map(|v| match v {
                    Value::Null => Value::Struct(vec![Value::Null; width]),
                    other => other.clone(),
                });
                Ok(outer(rows.collect(), is_outer, site))
            },
        );
        set.typed(
            &format!("#stack{suffix}"),
            "! int any* -> ..",
            |site| {
                let (rows, width) = stack_shape(site)?;
                let column = |index: usize| {
                    let cells = (0..rows).filter_map(|row| site.types.get(1 + row * width + index));
                    let common = types::common(cells).ok_or_else(|| {
                        condition::argument_type(
                            "stack",
                            format!("column {index} has values of several types"),
                        )
                    })?;
                    Ok((format!("col{index}"), common))
                };
                Ok(types::list_of(types::struct_of((0..width).map(column).collect::<Result<Vec<_>>>()?)))
            },
            |row, site| {
                let (rows, width) = stack_shape(site)?;
                let Some(DataType::Struct(fields)) = types::item_of(site.result()) else {
                    return Ok(Value::Null);
                };
                let mut out = Vec::with_capacity(rows);
                for index in 0..rows {
                    let mut cells = Vec::with_capacity(width);
                    for (column, field) in fields.iter().enumerate() {
                        let at = 1 + index * width + column;
                        cells.push(match row.get(at) {
                            Some(value) => cast::cast(value, site.argument(at), field.data_type())?,
                            None => Value::Null,
                        });
                    }
                    out.push(Value::Struct(cells));
                }
                Ok(Value::List(out))
            },
        );
    }
    let Some(tuple) = set.all.get("#json_tuple").cloned() else { return };
    let Some(tuple) = tuple.inner().downcast_ref::<super::row::RowFn>().cloned() else { return };
    let eval = tuple.eval;
    set.typed(
        "#json_tuple",
        "! str str* -> ..",
        |site| {
            let fields = (0..site.types.len() - 1).map(|index| (format!("c{index}"), DataType::Utf8));
            Ok(types::list_of(types::struct_of(fields)))
        },
        move |row, site| Ok(Value::List(vec![eval(row, site)?])),
    );
}

/// How many rows and columns `stack(n, ..)` makes.
fn stack_shape(site: &Site) -> Result<(usize, usize)> {
    let rows = match site.literals.first() {
        Some(Some(Value::Int(n))) if *n > 0 => *n as usize,
        _ => return Err(condition::parameter("stack", "the number of rows must be a positive constant")),
    };
    Ok((rows, (site.types.len() - 1).div_ceil(rows)))
}
