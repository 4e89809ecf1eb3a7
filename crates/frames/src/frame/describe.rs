//! `describe`: the usual figures of every numeric column.
//!
//! They are one aggregation (`trefoil_plan::summary_udaf`) that keeps the values of a column in memory once. If that
//! is too much, the columns are looked at one after another: what needs no values is aggregated, and the quantiles are
//! read off the sorted column, which is spilled.

use super::check::{self, Class, class, invalid};
use super::expr::{Expr, ExprMethods, asc, col, lit};
use super::summary::one_row;
use super::{columns, rows};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use futures::TryStreamExt;
use std::sync::Arc;
use trefoil_plan::{DataFrame, Error, ErrorKind, Result, plan_error};

const OP: &str = "describe";

/// What `describe` shows without being told.
pub(super) const QUARTILES: [f64; 3] = [0.25, 0.5, 0.75];

/// `0.25` as `25%`, with as many digits as it takes.
fn percent(q: f64) -> String {
    // of 0.07 a hundred times is 7.000000000000001
    let text = format!("{:.10}", q * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

pub(super) async fn describe(frame: &DataFrame, quantiles: Vec<f64>) -> Result<DataFrame> {
    if let Some(wrong) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q)) {
        return Err(invalid(OP, format!("a quantile is {wrong}, it must be between 0 and 1")));
    }
    let mut quantiles = quantiles;
    quantiles.sort_by(f64::total_cmp);
    quantiles.dedup_by(|a, b| percent(*a) == percent(*b));
    let names = check::names(OP, frame)?;
    let schema = frame.schema();
    let fields = names.into_iter().zip(schema.fields());
    let numeric = fields.filter(|(_, field)| class(field.data_type()) == Class::Number);
    let numeric: Vec<String> = numeric.map(|(name, _)| name).collect();
    if numeric.is_empty() {
        return Err(invalid(OP, "no column is numeric").with_help("see `value_counts` for text"));
    }
    let figures = match at_once(frame, &numeric, &quantiles).await {
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            let mut figures = Vec::new();
            for name in &numeric {
                figures.push(one_by_one(frame, name, &quantiles).await?);
            }
            figures
        }
        figures => figures?,
    };
    let percents = quantiles.iter().map(|q| percent(*q));
    let head = ["count", "mean", "std", "min"].map(str::to_owned).into_iter();
    let statistics = head.chain(percents).chain(["max".to_owned()]);
    let mut columns: Vec<(String, ArrayRef, bool)> =
        vec![("statistic".to_owned(), Arc::new(StringArray::from_iter_values(statistics)), false)];
    for (name, figures) in numeric.into_iter().zip(figures) {
        columns.push((name, Arc::new(figures), true));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| plan_error(e.into(), OP))?;
    frame.session().frame_from_batches(vec![batch])
}

fn value(name: &str) -> Expr {
    col(name).cast(DataType::Float64)
}

/// The figures of all columns in one pass, which needs their values in memory.
async fn at_once(frame: &DataFrame, names: &[String], quantiles: &[f64]) -> Result<Vec<Float64Array>> {
    let outputs = names.iter().enumerate().map(|(i, name)| {
        let arguments = std::iter::once(value(name)).chain(quantiles.iter().map(|q| lit(*q)));
        (i.to_string(), trefoil_plan::summary_udaf().call(arguments.collect()))
    });
    let row = one_row(OP, frame, outputs.collect()).await?;
    let lists = row.columns().iter().map(|array| {
        let list = array.as_list_opt::<i32>().filter(|list| list.len() == 1).map(|list| list.value(0));
        list.and_then(|list| list.as_primitive_opt::<Float64Type>().cloned())
            .ok_or_else(|| Error::new(ErrorKind::Internal, OP, "the figures of a column are not a list"))
    });
    lists.collect()
}

/// The figures of a column of any size.
pub(super) async fn one_by_one(frame: &DataFrame, name: &str, quantiles: &[f64]) -> Result<Float64Array> {
    let plain =
        [value(name).count(), value(name).mean(), value(name).std(), value(name).min(), value(name).max()];
    let plain = plain.into_iter().enumerate().map(|(i, figure)| (i.to_string(), figure)).collect();
    let row = one_row(OP, frame, plain).await?;
    let mut figures = row.columns().iter().map(number).collect::<Result<Vec<_>>>()?;
    let greatest = figures.pop().flatten();
    let count = figures.first().copied().flatten().unwrap_or(0.0) as usize;
    let sorted = {
        let column = columns::select(frame, [value(name).alias(name)])?;
        let column = rows::dropna(OP, &column, check::list(OP, &column, [name])?)?;
        rows::sort(OP, &column, [asc(name)])?
    };
    figures.extend(read_off(&sorted, count, quantiles).await?);
    figures.push(greatest);
    Ok(Float64Array::from(figures))
}

fn number(array: &ArrayRef) -> Result<Option<f64>> {
    let array = cast(array, &DataType::Float64).map_err(|e| plan_error(e.into(), OP))?;
    Ok(array.as_primitive::<Float64Type>().iter().next().flatten())
}

/// Quantiles, rising, of a sorted column with so many values.
async fn read_off(sorted: &DataFrame, count: usize, quantiles: &[f64]) -> Result<Vec<Option<f64>>> {
    let Some(last) = count.checked_sub(1) else { return Ok(vec![None; quantiles.len()]) };
    let places = quantiles.iter().map(|q| q * last as f64).collect::<Vec<f64>>();
    // the value below each place, and the one above
    let mut found = vec![(f64::NAN, f64::NAN); places.len()];
    let (mut batches, mut seen) = (sorted.stream(), 0);
    while let Some(batch) = batches.try_next().await? {
        let values = batch.column(0).as_primitive::<Float64Type>().values();
        let here = seen..seen + values.len();
        for (place, (low, high)) in places.iter().zip(&mut found) {
            let below = (place.floor() as usize).min(last);
            let above = (below + 1).min(last);
            if here.contains(&below) {
                *low = values[below - seen];
            }
            if here.contains(&above) {
                *high = values[above - seen];
            }
        }
        seen = here.end;
    }
    let between = places.iter().zip(found).map(|(place, (low, high))| {
        let part = place - place.floor();
        Some(if part > 0.0 && low != high { low + (high - low) * part } else { low })
    });
    Ok(between.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_as_people_write_them() {
        let check = |q: f64, wanted: &str| assert_eq!(percent(q), wanted);
        check(0.25, "25%");
        check(0.07, "7%");
        check(0.999, "99.9%");
        check(0.0, "0%");
        check(1.0, "100%");
        check(1.0 / 3.0, "33.3333333333%");
    }

    #[test]
    fn one_by_one_as_at_once() {
        let session = trefoil_plan::Session::builder().workers(2).build().unwrap();
        let check = |values: Vec<Option<f64>>, quantiles: &[f64]| {
            let column = Arc::new(Float64Array::from(values.clone())) as ArrayRef;
            let batch = RecordBatch::try_from_iter_with_nullable([("v", column, true)]).unwrap();
            let frame = session.frame_from_batches(vec![batch]).unwrap();
            session.block_on(async {
                let once = at_once(&frame, &["v".to_owned()], quantiles).await.unwrap();
                let apart = one_by_one(&frame, "v", quantiles).await.unwrap();
                for (a, b) in once[0].iter().zip(&apart) {
                    let same = a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0));
                    assert!(same || a == b, "{values:?}: {once:?}, {apart:?}");
                }
                assert_eq!(once[0].len(), apart.len());
            });
        };
        check(vec![], &[0.5]);
        check(vec![None, None], &[0.0, 0.5, 1.0]);
        check(vec![Some(2.5)], &[0.0, 0.3, 1.0]);
        check(vec![Some(3.0), None, Some(-1.0), Some(7.5)], &[0.1, 0.25, 0.5, 0.9, 1.0]);
        check((0..20_000).map(|i| Some(f64::from(i * 7919 % 20_011))).collect(), &[0.01, 0.5, 0.999]);
    }
}
