//! Sketches: small summaries of many rows that answer how many values differ, what their quantiles are and which
//! are frequent, and that can be merged.
//!
//! The algorithms and the bytes are those of Apache DataSketches (crate `datasketches`), which Spark uses too, so a
//! sketch that one of both made can be read by the other; `approx_top_k_accumulate` says where that ends. A sketch
//! lives as itself while rows come in ([`Sketch`]) and travels as bytes.

mod hll;
mod kll;
mod theta;
mod top;
mod tuple;

use super::Set;
use super::row::{Known, Shape, Site, literal};
use crate::condition;
use crate::value::{self, Value, cast, types};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;
use datasketches::hash::value::{canonical_float, raw_bytes};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use trefoil_core::ErrorKind;

/// A sketch while rows come in.
trait Sketch: Send + Sync {
    /// Adds a row.
    fn update(&mut self, row: &[Value], site: &Site) -> Result<()>;

    /// Adds what another one gave as its state.
    fn merge(&mut self, state: Value, site: &Site) -> Result<()>;

    /// Itself as a value, null if there is nothing to hand on.
    fn state(&mut self) -> Result<Value>;

    /// The result.
    fn finish(&mut self, site: &Site) -> Result<Value>;

    /// Bytes that it holds.
    fn size(&self) -> usize;
}

type Typer = fn(&Site) -> Result<DataType>;

/// An aggregate function that keeps a sketch.
#[derive(Clone)]
struct Kind {
    name: &'static str,
    spec: &'static str,
    result: Typer,
    make: fn(&'static str, &Site) -> Result<Box<dyn Sketch>>,
}

fn kinds() -> Vec<Kind> {
    [hll::kinds(), theta::kinds(), tuple::kinds(), kll::kinds(), top::kinds()].concat()
}

/// The scalar functions of sketches.
pub(super) fn add(set: &mut Set) {
    hll::add(set);
    theta::add(set);
    tuple::add(set);
    kll::add(set);
    top::add(set);
}

/// The aggregate functions that keep sketches.
pub(crate) fn all() -> Vec<Arc<AggregateUDF>> {
    kinds().into_iter().map(|kind| Arc::new(AggregateUDF::new_from_impl(SketchFn::new(kind)))).collect()
}

/// The signature of an aggregate function that keeps a sketch.
pub(crate) fn spec(name: &str) -> Option<&'static str> {
    kinds().into_iter().find(|kind| kind.name == name).map(|kind| kind.spec)
}

// --- what the kinds share ----------------------------------------------------------------------------------------

fn binary(_: &Site) -> Result<DataType> {
    Ok(DataType::Binary)
}

/// An error about a value.
fn refused(name: &str, state: &str, message: String) -> DataFusionError {
    condition::error(ErrorKind::InvalidArgument, name, state, message)
}

/// An error of the library's that the arguments cannot cause: they were checked.
fn internal(error: datasketches::error::Error) -> DataFusionError {
    DataFusionError::Execution(format!("sketch: {error}"))
}

/// A whole number that must be constant, or its default; `wrong` makes the error if it is not.
fn constant(site: &Site, index: usize, default: i64, wrong: impl Fn() -> DataFusionError) -> Result<i64> {
    match site.literals.get(index) {
        None => Ok(default),
        Some(Some(value)) if !value.is_null() => Ok(value.int()),
        Some(_) => Err(wrong()),
    }
}

/// A value as sketches hash it; the same bytes as Java hashes.
struct Key<'a> {
    value: &'a Value,
    /// Of a list: whether its elements have eight bytes.
    wide: bool,
}

impl<'a> Key<'a> {
    /// None for what sketches pass over: empty texts and lists.
    fn of(value: &'a Value, data_type: &DataType) -> Option<Self> {
        let empty = match value {
            Value::Null => true,
            Value::Str(_) | Value::Bin(_) => value.bytes().is_empty(),
            Value::List(items) => items.is_empty(),
            _ => false,
        };
        (!empty).then(|| Self { value, wide: types::item_of(data_type) == Some(&DataType::Int64) })
    }
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.value {
            Value::Float(x) => canonical_float::from_f64(*x).hash(state),
            Value::Str(_) | Value::Bin(_) => raw_bytes::from_slice(self.value.bytes()).hash(state),
            Value::List(items) => {
                let mut bytes = Vec::with_capacity(items.len() * 8);
                for item in items {
                    match self.wide {
                        true => bytes.extend(item.int().to_le_bytes()),
                        false => bytes.extend((item.int() as i32).to_le_bytes()),
                    }
                }
                raw_bytes::from_slice(&bytes).hash(state);
            }
            other => other.int().hash(state),
        }
    }
}

/// Refuses types that sketches do not hash; `more` allows floats and lists of whole numbers.
fn hashable(function: &str, data_type: &DataType, more: bool) -> Result<()> {
    let list =
        |t: &DataType| matches!(types::item_of(t), Some(DataType::Int32 | DataType::Int64 | DataType::Null));
    let known = match data_type {
        DataType::Utf8 | DataType::Binary | DataType::Null => true,
        t if t.is_integer() => true,
        t => more && (t.is_floating() || list(t)),
    };
    if known {
        return Ok(());
    }
    let kinds = if more {
        "a whole number, a float, a text, binary or an array of whole numbers"
    } else {
        "a whole number, a text or binary"
    };
    let name = types::name(data_type).to_uppercase();
    Err(condition::argument_type(function, format!("the first argument must be {kinds}, not {name}")))
}

/// The size of a Theta or Tuple sketch as a power of two.
fn lg_entries(function: &str, site: &Site, index: usize) -> Result<u8> {
    let wrong = || {
        let message = format!("invalid call to `{function}`; the `lgNomEntries` value must be a constant.");
        refused("THETA_LG_NOM_ENTRIES_MUST_BE_CONSTANT", "42K0E", message)
    };
    entries(function, constant(site, index, 12, wrong)?)
}

fn entries(function: &str, given: i64) -> Result<u8> {
    match u8::try_from(given) {
        Ok(given @ 4..=26) => Ok(given),
        _ => Err(refused(
            "SKETCH_INVALID_LG_NOM_ENTRIES",
            "22003",
            format!(
                "invalid call to `{function}`; the `lgNomEntries` value must be between 4 and 26, inclusive: {given}."
            ),
        )),
    }
}

// --- the aggregate function --------------------------------------------------------------------------------------

struct SketchFn {
    kind: Kind,
    shape: Shape,
    signature: Signature,
}

impl SketchFn {
    fn new(kind: Kind) -> Self {
        let shape = Shape::read(kind.spec);
        Self { kind, shape, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    fn site(&self, given: &[DataType], literals: Vec<Option<Value>>) -> Result<Site> {
        let types = self.shape.cast_types(self.kind.name, given)?;
        let mut site = Site { types, literals, ..Site::default() };
        site.result = Known((self.kind.result)(&site)?);
        Ok(site)
    }
}

impl fmt::Debug for SketchFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SketchFn").field("name", &self.kind.name).finish()
    }
}

impl PartialEq for SketchFn {
    fn eq(&self, other: &Self) -> bool {
        self.kind.name == other.kind.name
    }
}

impl Eq for SketchFn {}

impl Hash for SketchFn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.name.hash(state);
    }
}

impl AggregateUDFImpl for SketchFn {
    fn name(&self) -> &str {
        self.kind.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(self.site(given, vec![None; given.len()])?.result.0)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(condition::unsupported(format!("DISTINCT in `{}`.", self.kind.name)));
        }
        let given: Vec<DataType> = args.expr_fields.iter().map(|f| f.data_type().clone()).collect();
        let constants =
            args.exprs.iter().map(|e| e.downcast_ref::<Literal>().and_then(|l| literal(l.value())));
        let mut site = self.site(&given, Vec::new())?;
        let given: Vec<DataType> = given.iter().map(types::plain).collect();
        for ((constant, from), to) in constants.zip(&given).zip(&site.types) {
            let constant = constant.map(|value| cast::cast(&value, from, to)).transpose()?;
            site.literals.push(constant);
        }
        let sketch = (self.kind.make)(self.kind.name, &site)?;
        Ok(Box::new(Running { name: self.kind.name, sketch, given, site, strict: self.shape.strict }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[sketch]", args.name), DataType::Binary, true))])
    }
}

struct Running {
    name: &'static str,
    sketch: Box<dyn Sketch>,
    given: Vec<DataType>,
    site: Site,
    /// Whether rows with a null are passed over.
    strict: bool,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("name", &self.name).finish()
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
        for _ in 0..rows {
            let row: Vec<Value> = columns.iter_mut().map(|c| c.next().unwrap_or_default()).collect();
            if !(self.strict && row.iter().any(Value::is_null)) {
                self.sketch.update(&row, &self.site)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let finished = self.sketch.finish(&self.site)?;
        ScalarValue::try_from_array(&value::build(&[finished], self.site.result())?, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.sketch.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.sketch.state()?;
        Ok(vec![ScalarValue::try_from_array(&value::build(&[state], &DataType::Binary)?, 0)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else { return Ok(()) };
        for state in value::read(states)? {
            if !state.is_null() {
                self.sketch.merge(state, &self.site)?;
            }
        }
        Ok(())
    }
}
