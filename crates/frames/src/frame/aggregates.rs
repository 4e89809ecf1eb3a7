//! Aggregations of our own: products, and closures of the user.

use super::expr::{Expr, ExprMethods};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{DataFusionError, ScalarValue, exec_err};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility,
};
use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

pub(super) fn product_udaf() -> Arc<AggregateUDF> {
    static UDAF: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Arc::new(AggregateUDF::from(Product::new())));
    Arc::clone(&UDAF)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Product {
    signature: Signature,
}

impl Product {
    fn new() -> Self {
        let exact = [DataType::Int64, DataType::Float64].map(|t| TypeSignature::Exact(vec![t]));
        Self { signature: Signature::one_of(exact.to_vec(), Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Product {
    fn name(&self) -> &str {
        "product"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> PlanResult<DataType> {
        Ok(match arg_types {
            [DataType::Int64] => DataType::Int64,
            _ => DataType::Float64,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> PlanResult<Box<dyn Accumulator>> {
        Ok(match args.return_type() {
            DataType::Int64 => Box::new(Times::<i64>(None)),
            _ => Box::new(Times::<f64>(None)),
        })
    }
}

#[derive(Debug)]
struct Times<T>(Option<T>);

impl Accumulator for Times<f64> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        let values = values.iter().flat_map(|a| a.as_primitive::<Float64Type>().iter().flatten());
        self.0 = values.fold(self.0, |product, value| Some(product.unwrap_or(1.0) * value));
        Ok(())
    }

    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        Ok(ScalarValue::Float64(self.0))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> PlanResult<()> {
        self.update_batch(states)
    }
}

impl Accumulator for Times<i64> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        for value in values.iter().flat_map(|a| a.as_primitive::<Int64Type>().iter().flatten()) {
            self.0 = match self.0.unwrap_or(1).checked_mul(value) {
                None => return exec_err!("the product does not fit in Int64: cast the column to Float64"),
                product => product,
            };
        }
        Ok(())
    }

    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        Ok(ScalarValue::Int64(self.0))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> PlanResult<()> {
        self.update_batch(states)
    }
}

type Work = dyn Fn(&ArrayRef) -> Result<ScalarValue, Box<dyn std::error::Error + Send + Sync>> + Send + Sync;

/// An aggregation by a closure: it gets all values of a group as one Arrow array (nulls included, in no
/// promised order) and gives a value of type `output`. Holds a group's values in memory.
/// pandas: `groupby(keys)["x"].agg(f)`.
///
/// ```
/// use datafusion::arrow::array::{Array, ArrayRef};
/// use datafusion::arrow::datatypes::DataType;
/// use datafusion::common::ScalarValue;
/// use trefoil_frames::frame::{agg_with, col};
///
/// let nulls = agg_with("nulls", col("price"), DataType::UInt64, |values: &ArrayRef| {
///     Ok::<_, std::fmt::Error>(ScalarValue::from(values.null_count() as u64))
/// });
/// # let _ = nulls;
/// ```
pub fn agg_with<E>(
    name: impl Into<String>,
    value: Expr,
    output: DataType,
    work: impl Fn(&ArrayRef) -> Result<ScalarValue, E> + Send + Sync + 'static,
) -> Expr
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let name = name.into();
    custom_udaf(name.clone(), output, work).call(vec![value.to_expr()]).alias(name)
}

/// A closure as an aggregate function, of groups and of windows.
pub(super) fn custom_udaf<E>(
    name: String,
    output: DataType,
    work: impl Fn(&ArrayRef) -> Result<ScalarValue, E> + Send + Sync + 'static,
) -> Arc<AggregateUDF>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Arc::new(AggregateUDF::from(Custom {
        name,
        output,
        work: Arc::new(move |values| work(values).map_err(Into::into)),
        signature: Signature::any(1, Volatility::Volatile),
    }))
}

struct Custom {
    name: String,
    output: DataType,
    work: Arc<Work>,
    signature: Signature,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(closure)", self.name)
    }
}

impl PartialEq for Custom {
    /// Two closures are the same if they are one.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.work, &other.work) && self.name == other.name
    }
}
impl Eq for Custom {}
impl Hash for Custom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        Arc::as_ptr(&self.work).cast::<()>().hash(state);
    }
}

impl AggregateUDFImpl for Custom {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> PlanResult<DataType> {
        Ok(self.output.clone())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> PlanResult<Vec<FieldRef>> {
        let item = args.input_fields.first().map_or(DataType::Null, |f| f.data_type().clone());
        let list = DataType::new_list(item, true);
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "values"), list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> PlanResult<Box<dyn Accumulator>> {
        let item = args.expr_fields.first().map_or(DataType::Null, |f| f.data_type().clone());
        let output = self.output.clone();
        Ok(Box::new(Gathered { work: Arc::clone(&self.work), item, output, parts: VecDeque::new() }))
    }
}

struct Gathered {
    work: Arc<Work>,
    item: DataType,
    output: DataType,
    parts: VecDeque<ArrayRef>,
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gathered({} parts)", self.parts.len())
    }
}

impl Gathered {
    fn all(&self) -> PlanResult<ArrayRef> {
        let parts: Vec<&dyn Array> = self.parts.iter().map(AsRef::as_ref).collect();
        match parts.as_slice() {
            [] => Ok(datafusion::arrow::array::new_empty_array(&self.item)),
            parts => Ok(concat(parts)?),
        }
    }
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        self.parts.extend(values.first().filter(|a| !a.is_empty()).cloned());
        Ok(())
    }

    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        let value = (self.work)(&self.all()?).map_err(DataFusionError::External)?;
        if value.data_type() == self.output {
            return Ok(value);
        }
        value.cast_to(&self.output)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.parts.iter().map(|a| a.get_array_memory_size()).sum::<usize>()
    }

    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        Ok(vec![SingleRowListArrayBuilder::new(self.all()?).build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> PlanResult<()> {
        let Some(lists) = states.first() else { return Ok(()) };
        for list in lists.as_list::<i32>().iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }

    /// The rows that leave a window are those that came first.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        let mut gone = values.first().map_or(0, |values| values.len());
        while let Some(part) = self.parts.front_mut().filter(|_| gone > 0) {
            if part.len() > gone {
                *part = part.slice(gone, part.len() - gone);
                break;
            }
            gone -= part.len();
            self.parts.pop_front();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}
