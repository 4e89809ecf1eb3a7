//! Functions that take a lambda: `transform`, `filter`, `exists`, `forall`, `aggregate`, `zip_with`,
//! `array_sort`, and those of maps.
//!
//! The lambda runs on arrays: once over all elements of all rows, for `aggregate` once for each position,
//! for `array_sort` once over all pairs of a row. In the registry the names end in `_lambda`, because some
//! of them are also functions without one.

use crate::condition;
use crate::value::{self, Value, cast, types};
use datafusion::arrow::array::{ArrayRef, UInt32Array};
use datafusion::arrow::compute::take_arrays;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaArgument, LambdaParametersProgress, ValueOrLambda, Volatility,
};
use std::cmp::Ordering;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Transform,
    Filter,
    Exists,
    ForAll,
    Aggregate,
    ZipWith,
    Sort,
    MapFilter,
    TransformKeys,
    TransformValues,
    MapZipWith,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LambdaFn {
    name: &'static str,
    kind: Kind,
    signature: HigherOrderSignature,
}

/// All functions that take a lambda.
pub(crate) fn all() -> Vec<Arc<HigherOrderUDF>> {
    [
        ("transform_lambda", Kind::Transform),
        ("filter_lambda", Kind::Filter),
        ("exists_lambda", Kind::Exists),
        ("forall_lambda", Kind::ForAll),
        ("aggregate_lambda", Kind::Aggregate),
        ("reduce_lambda", Kind::Aggregate),
        ("zip_with_lambda", Kind::ZipWith),
        ("array_sort_lambda", Kind::Sort),
        ("map_filter_lambda", Kind::MapFilter),
        ("transform_keys_lambda", Kind::TransformKeys),
        ("transform_values_lambda", Kind::TransformValues),
        ("map_zip_with_lambda", Kind::MapZipWith),
    ]
    .into_iter()
    .map(|(name, kind)| {
        let signature = HigherOrderSignature::variadic_any(Volatility::Immutable);
        Arc::new(HigherOrderUDF::new_from_impl(LambdaFn { name, kind, signature }))
    })
    .collect()
}

fn field(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

type Slots<L> = Vec<ValueOrLambda<FieldRef, L>>;

impl LambdaFn {
    fn wrong(&self) -> DataFusionError {
        let name = self.name.trim_end_matches("_lambda");
        let form = match self.kind {
            Kind::Aggregate => "an array, a start, a lambda of two, and perhaps a lambda of one",
            Kind::ZipWith => "two arrays and a lambda of two",
            Kind::MapFilter | Kind::TransformKeys | Kind::TransformValues => "a map and a lambda of two",
            Kind::MapZipWith => "two maps and a lambda of three",
            _ => "an array and a lambda",
        };
        condition::argument_type(name, format!("it takes {form}"))
    }

    /// The types of the arguments that are no lambdas, in their plain form.
    fn values<L>(slots: &[ValueOrLambda<FieldRef, L>]) -> Vec<DataType> {
        slots
            .iter()
            .filter_map(|slot| match slot {
                ValueOrLambda::Value(field) => Some(types::plain(field.data_type())),
                ValueOrLambda::Lambda(_) => None,
            })
            .collect()
    }

    /// The types of the parameters of each lambda.
    fn parameters(&self, values: &[DataType], lambdas: usize) -> Result<Vec<Vec<DataType>>> {
        let item =
            |index: usize| values.get(index).and_then(types::item_of).cloned().ok_or_else(|| self.wrong());
        let entry = |index: usize| {
            let found = values.get(index).and_then(types::entry_of);
            found.map(|(k, v)| (k.clone(), v.clone())).ok_or_else(|| self.wrong())
        };
        let expected = match self.kind {
            Kind::Aggregate => 1..=2,
            _ => 1..=1,
        };
        if !expected.contains(&lambdas) {
            return Err(self.wrong());
        }
        Ok(match self.kind {
            Kind::Transform | Kind::Filter | Kind::Exists | Kind::ForAll => {
                vec![vec![item(0)?, DataType::Int32]]
            }
            Kind::Sort => vec![vec![item(0)?, item(0)?]],
            Kind::ZipWith => vec![vec![item(0)?, item(1)?]],
            Kind::Aggregate => {
                let state = values.get(1).cloned().ok_or_else(|| self.wrong())?;
                let mut all = vec![vec![state.clone(), item(0)?], vec![state]];
                all.truncate(lambdas);
                all
            }
            Kind::MapFilter | Kind::TransformKeys | Kind::TransformValues => {
                let (key, value) = entry(0)?;
                vec![vec![key, value]]
            }
            Kind::MapZipWith => {
                let ((key, a), (_, b)) = (entry(0)?, entry(1)?);
                vec![vec![key, a, b]]
            }
        })
    }

    fn result(&self, values: &[DataType], lambdas: &[DataType]) -> Result<DataType> {
        let made = || lambdas.last().cloned().ok_or_else(|| self.wrong());
        let first = || values.first().cloned().ok_or_else(|| self.wrong());
        let entry = || {
            let found = values.first().and_then(types::entry_of);
            found.map(|(k, v)| (k.clone(), v.clone())).ok_or_else(|| self.wrong())
        };
        Ok(match self.kind {
            Kind::Transform | Kind::ZipWith => types::list_of(made()?),
            Kind::Filter | Kind::Sort | Kind::MapFilter => first()?,
            Kind::Exists | Kind::ForAll => DataType::Boolean,
            Kind::Aggregate if lambdas.len() == 2 => made()?,
            Kind::Aggregate => values.get(1).cloned().ok_or_else(|| self.wrong())?,
            Kind::TransformKeys => types::map_of(made()?, entry()?.1),
            Kind::TransformValues => types::map_of(entry()?.0, made()?),
            Kind::MapZipWith => types::map_of(entry()?.0, made()?),
        })
    }
}

impl HigherOrderUDFImpl for LambdaFn {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn clear_null_values(&self) -> bool {
        false
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        slots: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let lambdas = slots.iter().filter(|slot| matches!(slot, ValueOrLambda::Lambda(_))).count();
        let parameters = self.parameters(&Self::values(slots), lambdas)?;
        let named = |types: Vec<DataType>| {
            types.into_iter().enumerate().map(|(i, t)| field(&format!("p{i}"), t)).collect()
        };
        Ok(LambdaParametersProgress::Complete(parameters.into_iter().map(named).collect()))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let lambdas: Vec<DataType> = args
            .arg_fields
            .iter()
            .filter_map(|slot| match slot {
                ValueOrLambda::Lambda(field) => Some(types::plain(field.data_type())),
                ValueOrLambda::Value(_) => None,
            })
            .collect();
        let slots: Slots<FieldRef> = args.arg_fields.to_vec();
        Ok(field(self.name, self.result(&Self::values(&slots), &lambdas)?))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (mut columns, mut given, mut lambdas) = (Vec::new(), Vec::new(), Vec::new());
        for argument in &args.args {
            match argument {
                ValueOrLambda::Value(column) => {
                    let array = column.to_array(args.number_rows)?;
                    given.push(types::plain(array.data_type()));
                    columns.push(value::read(&array)?);
                }
                ValueOrLambda::Lambda(lambda) => lambdas.push(lambda),
            }
        }
        let parameters = self.parameters(&given, lambdas.len())?;
        let run = Run { rows: args.number_rows, columns: &columns, given: &given, parameters: &parameters };
        let lambda = *lambdas.first().ok_or_else(|| self.wrong())?;
        let out = match self.kind {
            Kind::Aggregate => run.aggregate(lambda, lambdas.get(1).copied())?,
            Kind::Sort => run.sort(lambda)?,
            _ => run.each(self.kind, lambda)?,
        };
        Ok(ColumnarValue::Array(value::build(&out, args.return_field.data_type())?))
    }
}

struct Run<'a> {
    rows: usize,
    columns: &'a [Vec<Value>],
    given: &'a [DataType],
    parameters: &'a [Vec<DataType>],
}

/// The lambda's results for these parameters; `rows` says of which row each is.
fn call(
    lambda: &LambdaArgument,
    parameters: &[Vec<Value>],
    data_types: &[DataType],
    rows: &[u32],
) -> Result<(Vec<Value>, DataType)> {
    let arrays: Vec<ArrayRef> =
        parameters.iter().zip(data_types).map(|(v, t)| value::build(v, t)).collect::<Result<_>>()?;
    let makers: Vec<Box<dyn Fn() -> Result<ArrayRef>>> = arrays
        .into_iter()
        .map(|array| Box::new(move || Ok(Arc::clone(&array))) as Box<dyn Fn() -> Result<ArrayRef>>)
        .collect();
    let makers: Vec<&dyn Fn() -> Result<ArrayRef>> = makers.iter().map(|maker| maker.as_ref()).collect();
    let indices = UInt32Array::from(rows.to_vec());
    let made = lambda.evaluate(&makers, |captured| Ok(take_arrays(captured, &indices, None)?))?;
    let array = made.into_array(rows.len())?;
    Ok((value::read(&array)?, types::plain(array.data_type())))
}

impl Run<'_> {
    /// One call over all elements of all rows.
    fn each(&self, kind: Kind, lambda: &LambdaArgument) -> Result<Vec<Value>> {
        let types = &self.parameters[0];
        let mut flat: Vec<Vec<Value>> = vec![Vec::new(); types.len()];
        let mut rows = Vec::new();
        let mut push = |row: usize, values: Vec<Value>| {
            rows.push(row as u32);
            for (column, value) in flat.iter_mut().zip(values) {
                column.push(value);
            }
        };
        for row in 0..self.rows {
            let first = &self.columns[0][row];
            match kind {
                Kind::ZipWith => {
                    let second = &self.columns[1][row];
                    if first.is_null() || second.is_null() {
                        continue;
                    }
                    let at = |v: &Value, i: usize| v.list().get(i).cloned().unwrap_or_default();
                    for index in 0..first.list().len().max(second.list().len()) {
                        push(row, vec![at(first, index), at(second, index)]);
                    }
                }
                Kind::MapZipWith => {
                    let second = &self.columns[1][row];
                    if first.is_null() || second.is_null() {
                        continue;
                    }
                    let find = |v: &Value, key: &Value| {
                        v.map().iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap_or_default()
                    };
                    for key in joined_keys(first, second) {
                        let (a, b) = (find(first, &key), find(second, &key));
                        push(row, vec![key, a, b]);
                    }
                }
                Kind::MapFilter | Kind::TransformKeys | Kind::TransformValues => {
                    for (key, value) in first.map() {
                        push(row, vec![key.clone(), value.clone()]);
                    }
                }
                _ => {
                    for (index, value) in first.list().iter().enumerate() {
                        push(row, vec![value.clone(), Value::Int(index as i64)]);
                    }
                }
            }
        }
        let (made, _) = call(lambda, &flat, types, &rows)?;
        let mut made = made.into_iter();
        let mut take = |count: usize| made.by_ref().take(count).collect::<Vec<Value>>();
        let mut out = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            let first = &self.columns[0][row];
            let null = first.is_null()
                || matches!(kind, Kind::ZipWith | Kind::MapZipWith) && self.columns[1][row].is_null();
            if null {
                out.push(Value::Null);
                continue;
            }
            out.push(match kind {
                Kind::Transform => Value::List(take(first.list().len())),
                Kind::Filter => {
                    let keep = take(first.list().len());
                    let kept = first.list().iter().zip(keep).filter(|(_, keep)| keep.truth());
                    Value::List(kept.map(|(v, _)| v.clone()).collect())
                }
                Kind::Exists | Kind::ForAll => {
                    let found = take(first.list().len());
                    let decisive = Value::Bool(kind == Kind::Exists);
                    if found.contains(&decisive) {
                        decisive
                    } else if found.iter().any(Value::is_null) {
                        Value::Null
                    } else {
                        Value::Bool(kind == Kind::ForAll)
                    }
                }
                Kind::ZipWith => Value::List(take(first.list().len().max(self.columns[1][row].list().len()))),
                Kind::MapFilter => {
                    let keep = take(first.map().len());
                    let kept = first.map().iter().zip(keep).filter(|(_, keep)| keep.truth());
                    Value::Map(kept.map(|(entry, _)| entry.clone()).collect())
                }
                Kind::TransformKeys => {
                    let keys = take(first.map().len());
                    Value::Map(keys.into_iter().zip(first.map().iter().map(|(_, v)| v.clone())).collect())
                }
                Kind::TransformValues => {
                    let values = take(first.map().len());
                    Value::Map(first.map().iter().map(|(k, _)| k.clone()).zip(values).collect())
                }
                Kind::MapZipWith => {
                    let keys = joined_keys(first, &self.columns[1][row]);
                    let values = take(keys.len());
                    Value::Map(keys.into_iter().zip(values).collect())
                }
                Kind::Aggregate | Kind::Sort => Value::Null,
            });
        }
        Ok(out)
    }

    /// One call for each position, over the rows that have it.
    fn aggregate(&self, merge: &LambdaArgument, finish: Option<&LambdaArgument>) -> Result<Vec<Value>> {
        let state_type = &self.given[1];
        let lists = &self.columns[0];
        let mut states = self.columns[1].clone();
        let longest = lists.iter().map(|v| v.list().len()).max().unwrap_or(0);
        for position in 0..longest {
            let rows: Vec<u32> = (0..self.rows)
                .filter(|row| lists[*row].list().len() > position)
                .map(|row| row as u32)
                .collect();
            let current = rows.iter().map(|row| states[*row as usize].clone()).collect();
            let items = rows.iter().map(|row| lists[*row as usize].list()[position].clone()).collect();
            let (made, from) = call(merge, &[current, items], &self.parameters[0], &rows)?;
            for (row, value) in rows.iter().zip(made) {
                states[*row as usize] = cast::cast(&value, &from, state_type)?;
            }
        }
        let rows: Vec<u32> = (0..self.rows as u32).collect();
        let mut out = match finish {
            Some(finish) => call(finish, &[states], &self.parameters[1], &rows)?.0,
            None => states,
        };
        for (value, list) in out.iter_mut().zip(lists) {
            if list.is_null() {
                *value = Value::Null;
            }
        }
        Ok(out)
    }

    /// One call over all pairs of a row, then a merge sort: the lambda need not be an order.
    fn sort(&self, compare: &LambdaArgument) -> Result<Vec<Value>> {
        const MOST: usize = 4096;
        let mut out = Vec::with_capacity(self.rows);
        for (row, list) in self.columns[0].iter().enumerate() {
            let items = list.list();
            if list.is_null() || items.len() < 2 {
                out.push(list.clone());
                continue;
            }
            if items.len() > MOST {
                return Err(condition::parameter(
                    "array_sort",
                    format!("a lambda sorts at most {MOST} elements, the array has {}", items.len()),
                ));
            }
            let n = items.len();
            let left = items.iter().flat_map(|v| std::iter::repeat_n(v.clone(), n)).collect();
            let right = (0..n).flat_map(|_| items.iter().cloned()).collect();
            let (orders, _) = call(compare, &[left, right], &self.parameters[0], &vec![row as u32; n * n])?;
            let order = |a: &usize, b: &usize| orders[a * n + b].int().cmp(&0);
            let sorted = merge_sort((0..n).collect(), &order);
            out.push(Value::List(sorted.into_iter().map(|index| items[index].clone()).collect()));
        }
        Ok(out)
    }
}

fn merge_sort(mut items: Vec<usize>, order: &impl Fn(&usize, &usize) -> Ordering) -> Vec<usize> {
    if items.len() < 2 {
        return items;
    }
    let right = merge_sort(items.split_off(items.len() / 2), order);
    let left = merge_sort(items, order);
    let mut out = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if order(a, b) == Ordering::Greater { right.next() } else { left.next() };
        out.extend(next);
    }
    out.extend(left);
    out.extend(right);
    out
}

/// The keys of the first map, then those that only the second has.
fn joined_keys(a: &Value, b: &Value) -> Vec<Value> {
    let mut keys: Vec<Value> = a.map().iter().map(|(k, _)| k.clone()).collect();
    for (key, _) in b.map() {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys
}
