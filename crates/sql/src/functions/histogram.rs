//! `histogram_numeric`: so many bins, the two nearest of which become one whenever there is one too many (Ben-Haim and
//! Tom-Tov, as in Hive). Of several pairs that are equally near the first is taken; Spark draws one.

use super::aggregate::Plan;
use super::row::Site;
use crate::condition;
use crate::value::{Value, cast, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

/// The middle of a bin and how many values it has.
type Bin = (f64, f64);

fn read(state: &Value) -> Vec<Bin> {
    state.list().iter().map(|bin| (bin.list()[0].float(), bin.list()[1].float())).collect()
}

fn write(bins: &[Bin]) -> Value {
    Value::List(bins.iter().map(|(x, y)| Value::Struct(vec![Value::Float(*x), Value::Float(*y)])).collect())
}

fn add(bins: &mut Vec<Bin>, (x, y): Bin, most: usize) {
    let at = bins.partition_point(|(other, _)| *other < x);
    match bins.get_mut(at) {
        Some((other, count)) if *other == x => *count += y,
        _ => bins.insert(at, (x, y)),
    }
    while bins.len() > most {
        let gap = |at: &usize| bins[at + 1].0 - bins[*at].0;
        let Some(nearest) = (0..bins.len() - 1).min_by(|a, b| gap(a).total_cmp(&gap(b))) else { return };
        let (right_x, right_y) = bins.remove(nearest + 1);
        let (left_x, left_y) = bins[nearest];
        let count = left_y + right_y;
        bins[nearest] = (left_x * (left_y / count) + right_x * (right_y / count), count);
    }
}

fn most(site: &Site) -> Result<usize> {
    match site.literals.get(1) {
        Some(Some(Value::Int(most))) if *most >= 2 => Ok(*most as usize),
        Some(Some(Value::Int(most))) => Err(condition::parameter(
            "histogram_numeric",
            format!("there must be at least 2 bins, not {most}"),
        )),
        _ => Err(condition::parameter("histogram_numeric", "the number of bins must be a constant")),
    }
}

fn bins(x: DataType) -> DataType {
    types::list_of(types::struct_of([("x", x), ("y", DataType::Float64)]))
}

/// The function.
pub(super) fn plan() -> Plan {
    Plan {
        name: "histogram_numeric",
        spec: "num int -> ..",
        result: |site| Ok(bins(site.argument(0).clone())),
        state: |_| Ok(bins(DataType::Float64)),
        update: |state, row, site| {
            let mut bins = read(state);
            add(&mut bins, (row[0].float(), 1.0), most(site)?);
            *state = write(&bins);
            Ok(())
        },
        merge: |state, other, site| {
            let mut bins = read(state);
            let most = most(site)?;
            read(&other).into_iter().for_each(|bin| add(&mut bins, bin, most));
            *state = write(&bins);
            Ok(())
        },
        finish: |state, site| {
            if state.is_null() {
                return Ok(Value::Null);
            }
            let bin = |(x, y): Bin| {
                // Whole numbers lose what is behind the point.
                let x = if site.argument(0).is_integer() { x.trunc() } else { x };
                let x = cast::cast(&Value::Float(x), &DataType::Float64, site.argument(0))?;
                Ok(Value::Struct(vec![x, Value::Float(y)]))
            };
            Ok(Value::List(read(state).into_iter().map(bin).collect::<Result<_>>()?))
        },
    }
}
