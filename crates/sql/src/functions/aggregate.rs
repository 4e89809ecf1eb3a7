//! Aggregate functions written value by value: a state, how a row changes it, how two become one, and what
//! it is worth at the end.

use super::plans::{append, plans, push};
use super::row::{Known, Shape, Site, literal};
use crate::value::{self, Value, cast, types};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub(super) type Typer = fn(&Site) -> Result<DataType>;

/// What an aggregate function does; every part is a plain function, so calls are told apart by name.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) spec: &'static str,
    pub(super) result: Typer,
    pub(super) state: Typer,
    pub(super) update: fn(&mut Value, &[Value], &Site) -> Result<()>,
    pub(super) merge: fn(&mut Value, Value, &Site) -> Result<()>,
    pub(super) finish: fn(&Value, &Site) -> Result<Value>,
}

#[derive(Clone)]
struct RowAggregate {
    plan: Plan,
    shape: Arc<Shape>,
    signature: Signature,
}

impl RowAggregate {
    fn new(plan: Plan) -> Self {
        let shape = Arc::new(Shape::read(plan.spec));
        Self { plan, shape, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    fn site(&self, given: &[DataType], literals: Vec<Option<Value>>) -> Result<Site> {
        let types = self.shape.cast_types(self.plan.name, given)?;
        let mut site = Site { types, literals, ..Site::default() };
        site.result = Known((self.plan.result)(&site)?);
        Ok(site)
    }
}

impl fmt::Debug for RowAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowAggregate").field("name", &self.plan.name).finish()
    }
}

impl PartialEq for RowAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.plan.name == other.plan.name
    }
}

impl Eq for RowAggregate {}

impl Hash for RowAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plan.name.hash(state);
    }
}

impl AggregateUDFImpl for RowAggregate {
    fn name(&self) -> &str {
        self.plan.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(self.site(given, vec![None; given.len()])?.result.0)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let given: Vec<DataType> = args.expr_fields.iter().map(|f| f.data_type().clone()).collect();
        let literals = args
            .exprs
            .iter()
            .map(|expr| expr.downcast_ref::<Literal>().and_then(|l| literal(l.value())))
            .collect();
        let site = self.site(&given, literals)?;
        let mut state_type = (self.plan.state)(&site)?;
        let mut order = Vec::new();
        let mut keys = Vec::new();
        for by in args.order_bys {
            order.push((by.options.descending, by.options.nulls_first));
            keys.push(types::plain(&by.expr.data_type(args.schema)?));
        }
        if !order.is_empty() {
            state_type = ordered_state(&site.types, keys.iter());
        }
        Ok(Box::new(Running {
            order,
            plan: self.plan.clone(),
            given: given.iter().map(types::plain).collect(),
            site,
            state: Value::Null,
            state_type,
            distinct: args.is_distinct,
            strict: self.shape.strict,
        }))
    }

    /// What there is without rows, which sub-queries for a row that finds none must know: `collect_list` gives an empty list.
    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        let site = Site { result: Known(types::plain(data_type)), ..Site::default() };
        let value = (self.plan.finish)(&Value::Null, &site).unwrap_or_default();
        ScalarValue::try_from_array(&value::build(&[value], site.result())?, 0)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let given: Vec<DataType> = args.input_fields.iter().map(|f| f.data_type().clone()).collect();
        let site = self.site(&given, vec![None; given.len()])?;
        let state = if args.ordering_fields.is_empty() {
            (self.plan.state)(&site)?
        } else {
            let keys: Vec<DataType> =
                args.ordering_fields.iter().map(|f| types::plain(f.data_type())).collect();
            ordered_state(&site.types, keys.iter())
        };
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), state, true))])
    }
}

/// With an ORDER BY the state is the rows with their keys; they are put in order at the end.
fn ordered_state<'a>(row: &[DataType], keys: impl Iterator<Item = &'a DataType>) -> DataType {
    let fields = |types: Vec<DataType>| {
        types::struct_of(types.into_iter().enumerate().map(|(index, t)| (index.to_string(), t)))
    };
    types::list_of(types::struct_of([
        ("row", fields(row.to_vec())),
        ("keys", fields(keys.cloned().collect())),
    ]))
}

struct Running {
    plan: Plan,
    /// Descending and nulls first, for each key of an ORDER BY.
    order: Vec<(bool, bool)>,
    given: Vec<DataType>,
    site: Site,
    state: Value,
    state_type: DataType,
    distinct: bool,
    strict: bool,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("name", &self.plan.name).finish()
    }
}

/// Bytes that a value holds.
fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Str(text) => text.capacity(),
            Value::Bin(bytes) => bytes.capacity(),
            Value::List(items) | Value::Struct(items) => items.iter().map(size).sum(),
            Value::Map(entries) => entries.iter().map(|(k, v)| size(k) + size(v)).sum(),
            _ => 0,
        }
}

impl Running {
    fn compare(&self, a: &[Value], b: &[Value]) -> std::cmp::Ordering {
        let mut order = std::cmp::Ordering::Equal;
        for ((a, b), (descending, nulls_first)) in a.iter().zip(b).zip(&self.order) {
            order = order.then_with(|| match (a.is_null(), b.is_null()) {
                (false, false) if *descending => b.cmp(a),
                (false, false) => a.cmp(b),
                // `cmp` has null first.
                _ if *nulls_first => a.cmp(b),
                _ => b.cmp(a),
            });
        }
        order
    }
}

impl Accumulator for Running {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut columns = Vec::with_capacity(values.len());
        for ((column, from), to) in values.iter().zip(&self.given).zip(&self.site.types) {
            let read = value::read(column)?;
            let read: Vec<Value> = if from == to {
                read
            } else {
                read.iter().map(|v| cast::cast(v, from, to)).collect::<Result<_>>()?
            };
            columns.push(read.into_iter());
        }
        // The keys of an ORDER BY come after the arguments.
        let mut keys = Vec::new();
        if !self.order.is_empty() {
            let read =
                values.iter().skip(self.site.types.len()).map(value::read).collect::<Result<Vec<_>>>()?;
            keys = (0..rows)
                .map(|row| read.iter().map(|column| column[row].clone()).collect::<Vec<_>>())
                .collect();
        }
        let mut keys = keys.into_iter();
        for _ in 0..rows {
            let row: Vec<Value> = columns.iter_mut().map(|c| c.next().unwrap_or_default()).collect();
            if self.strict && row.first().is_some_and(Value::is_null) {
                keys.next();
                continue;
            }
            if self.order.is_empty() {
                (self.plan.update)(&mut self.state, &row, &self.site)?;
            } else {
                let pair =
                    Value::Struct(vec![Value::Struct(row), Value::Struct(keys.next().unwrap_or_default())]);
                push(&mut self.state, &[pair], &self.site)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if !self.order.is_empty() {
            let mut rows = std::mem::take(&mut self.state).into_list();
            rows.sort_by(|a, b| self.compare(a.list()[1].list(), b.list()[1].list()));
            for row in &rows {
                (self.plan.update)(&mut self.state, row.list()[0].list(), &self.site)?;
            }
            self.order.clear();
        }
        let finished = if self.distinct {
            let unique = match &self.state {
                Value::List(items) => {
                    let mut seen = std::collections::BTreeSet::new();
                    Value::List(items.iter().filter(|v| seen.insert((*v).clone())).cloned().collect())
                }
                other => other.clone(),
            };
            (self.plan.finish)(&unique, &self.site)?
        } else {
            (self.plan.finish)(&self.state, &self.site)?
        };
        ScalarValue::try_from_array(&value::build(&[finished], self.site.result())?, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + size(&self.state)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = std::mem::take(&mut self.state);
        Ok(vec![ScalarValue::try_from_array(&value::build(&[state], &self.state_type)?, 0)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else { return Ok(()) };
        for state in value::read(states)? {
            if state.is_null() {
                continue;
            }
            if self.state.is_null() {
                self.state = state;
            } else if !self.order.is_empty() {
                append(&mut self.state, state, &self.site)?;
            } else {
                (self.plan.merge)(&mut self.state, state, &self.site)?;
            }
        }
        Ok(())
    }
}

/// The signature of an aggregate function.
pub(crate) fn spec(name: &str) -> Option<&'static str> {
    plans().into_iter().find(|plan| plan.name == name).map(|plan| plan.spec)
}

/// The aggregate functions of the dialect.
pub(crate) fn all() -> Vec<Arc<AggregateUDF>> {
    plans().into_iter().map(|plan| Arc::new(AggregateUDF::new_from_impl(RowAggregate::new(plan)))).collect()
}
