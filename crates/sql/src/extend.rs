//! Rust closures as SQL functions.
//!
//! A scalar function is any closure over up to six values: `i8` to `i64`, `f32`, `f64`, `bool`, `&str`,
//! `&[u8]`, or an `Option` of these to see nulls. Without `Option` a null argument gives null. What comes
//! back is a number, `bool`, `String`, `Vec<u8>`, an `Option` of these, or a `Result`, whose error fails the
//! query. The columns are read in place: no argument is copied.

mod later;
mod window;

pub use later::AsyncScalarFn;
pub(crate) use later::later;
pub use window::WindowFn;
pub(crate) use window::window;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error as StdError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

/// The type of an argument of a closure, read from a column.
pub trait SqlArgument {
    /// What the closure gets; borrows from the column for text and bytes.
    type Item<'a>;

    /// The type that the argument is cast to.
    fn data_type() -> DataType;

    /// The value of a row; none if a null must not reach the closure.
    fn get<'a>(column: &'a ArrayRef, row: usize) -> Option<Self::Item<'a>>;
}

/// The type of a value that a closure makes.
pub trait SqlValue: Sized + Send + Sync + 'static {
    /// Its type in tables.
    fn data_type() -> DataType;

    /// A column of values.
    fn column(values: Vec<Option<Self>>) -> ArrayRef;
}

macro_rules! numbers {
    ($($rust:ty, $arrow:ty, $array:ty;)*) => {$(
        impl SqlArgument for $rust {
            type Item<'a> = $rust;

            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            fn get(column: &ArrayRef, row: usize) -> Option<$rust> {
                column.is_valid(row).then(|| column.as_primitive::<$arrow>().value(row))
            }
        }

        impl SqlValue for $rust {
            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            fn column(values: Vec<Option<Self>>) -> ArrayRef {
                Arc::new(<$array>::from(values))
            }
        }
    )*};
}

numbers! {
    i8, Int8Type, Int8Array;
    i16, Int16Type, Int16Array;
    i32, Int32Type, Int32Array;
    i64, Int64Type, Int64Array;
    f32, Float32Type, Float32Array;
    f64, Float64Type, Float64Array;
}

impl SqlArgument for bool {
    type Item<'a> = bool;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn get(column: &ArrayRef, row: usize) -> Option<bool> {
        column.is_valid(row).then(|| column.as_boolean().value(row))
    }
}

impl SqlValue for bool {
    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn column(values: Vec<Option<Self>>) -> ArrayRef {
        Arc::new(BooleanArray::from(values))
    }
}

impl SqlArgument for &str {
    type Item<'a> = &'a str;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn get(column: &ArrayRef, row: usize) -> Option<&str> {
        column.is_valid(row).then(|| column.as_string::<i32>().value(row))
    }
}

impl SqlArgument for String {
    type Item<'a> = String;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn get(column: &ArrayRef, row: usize) -> Option<String> {
        column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned())
    }
}

impl SqlValue for String {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn column(values: Vec<Option<Self>>) -> ArrayRef {
        Arc::new(StringArray::from(values))
    }
}

impl SqlArgument for &[u8] {
    type Item<'a> = &'a [u8];

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn get(column: &ArrayRef, row: usize) -> Option<&[u8]> {
        column.is_valid(row).then(|| column.as_binary::<i32>().value(row))
    }
}

impl SqlValue for Vec<u8> {
    fn data_type() -> DataType {
        DataType::Binary
    }

    fn column(values: Vec<Option<Self>>) -> ArrayRef {
        Arc::new(values.iter().map(|v| v.as_deref()).collect::<BinaryArray>())
    }
}

impl<T: SqlArgument> SqlArgument for Option<T> {
    type Item<'a> = Option<T::Item<'a>>;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn get<'a>(column: &'a ArrayRef, row: usize) -> Option<Option<T::Item<'a>>> {
        Some(T::get(column, row))
    }
}

/// What a closure may give back: a value, an `Option`, or a `Result` of either.
pub trait SqlReturn {
    /// The value in it.
    type Value: SqlValue;

    /// The value, null, or the error that fails the query.
    ///
    /// # Errors
    /// The closure's own.
    fn outcome(self) -> Result<Option<Self::Value>, Box<dyn StdError + Send + Sync>>;
}

impl<V: SqlValue> SqlReturn for V {
    type Value = V;

    fn outcome(self) -> Result<Option<V>, Box<dyn StdError + Send + Sync>> {
        Ok(Some(self))
    }
}

impl<V: SqlValue> SqlReturn for Option<V> {
    type Value = V;

    fn outcome(self) -> Result<Option<V>, Box<dyn StdError + Send + Sync>> {
        Ok(self)
    }
}

impl<R: SqlReturn, E: Into<Box<dyn StdError + Send + Sync>>> SqlReturn for Result<R, E> {
    type Value = R::Value;

    fn outcome(self) -> Result<Option<R::Value>, Box<dyn StdError + Send + Sync>> {
        self.map_err(Into::into)?.outcome()
    }
}

/// A closure that can be a scalar function; `Marker` is its signature and is always inferred.
pub trait ScalarFn<Marker>: Send + Sync + 'static {
    /// The types of the arguments.
    fn arguments() -> Vec<DataType>;

    /// The type of the result.
    fn result() -> DataType;

    /// The results for the rows of some columns.
    ///
    /// # Errors
    /// The first error of the closure.
    fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, Box<dyn StdError + Send + Sync>>;
}

macro_rules! closures {
    ($($argument:ident $index:tt),*) => {
        impl<F, R, $($argument),*> ScalarFn<fn($($argument),*) -> R> for F
        where
            $($argument: SqlArgument + 'static,)*
            R: SqlReturn + 'static,
            F: Fn($($argument),*) -> R + for<'a> Fn($($argument::Item<'a>),*) -> R + Send + Sync + 'static,
        {
            fn arguments() -> Vec<DataType> {
                vec![$($argument::data_type()),*]
            }

            fn result() -> DataType {
                R::Value::data_type()
            }

            #[allow(non_snake_case, unused_variables, clippy::needless_lifetimes, clippy::extra_unused_lifetimes)]
            fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, Box<dyn StdError + Send + Sync>> {
                fn apply<'a, R, $($argument: SqlArgument),*>(
                    f: &impl Fn($($argument::Item<'a>),*) -> R,
                    columns: &'a [ArrayRef],
                    row: usize,
                ) -> Option<R> {
                    $(let $argument = $argument::get(&columns[$index], row)?;)*
                    Some(f($($argument),*))
                }
                let mut out = Vec::with_capacity(rows);
                for row in 0..rows {
                    out.push(match apply::<R, $($argument),*>(self, columns, row) {
                        Some(made) => made.outcome()?,
                        None => None,
                    });
                }
                Ok(R::Value::column(out))
            }
        }
    };
}

closures!();
closures!(A 0);
closures!(A 0, B 1);
closures!(A 0, B 1, C 2);
closures!(A 0, B 1, C 2, D 3);
closures!(A 0, B 1, C 2, D 3, E 4);
closures!(A 0, B 1, C 2, D 3, E 4, G 5);

fn failed(name: &str, error: Box<dyn StdError + Send + Sync>) -> DataFusionError {
    let error = match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(foreign) => {
            let text = foreign.to_string();
            Error::new(ErrorKind::User, name.to_owned(), text).with_source(foreign)
        }
    };
    DataFusionError::External(Box::new(error))
}

/// Runs a user's code; its panic is an error that names the function.
fn guarded<T>(
    name: &str,
    code: impl FnOnce() -> Result<T, Box<dyn StdError + Send + Sync>>,
) -> PlanResult<T> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(done) => done.map_err(|error| failed(name, error)),
        Err(payload) => {
            let error = Error::panicked(format!("function `{name}`"), payload.as_ref());
            Err(DataFusionError::External(Box::new(error)))
        }
    }
}

/// A function of the user's with its name. `K` says what kind of function it is, `M` what its signature is.
struct Closure<F, K, M> {
    name: String,
    f: Arc<F>,
    signature: Signature,
    marker: PhantomData<fn() -> (K, M)>,
}

/// The kinds: a value of each row now, or later, of all rows of a window, or of a group of rows.
enum Now {}
enum Later {}
enum Windowed {}
enum Grouped {}

impl<F, K, M> Closure<F, K, M> {
    fn new(name: &str, f: F, signature: Signature) -> Self {
        Self { name: name.to_lowercase(), f: Arc::new(f), signature, marker: PhantomData }
    }

    /// The signature of a function that casts its arguments itself.
    fn own_casts() -> Signature {
        Signature::user_defined(Volatility::Immutable)
    }
}

impl<F, K, M> Clone for Closure<F, K, M> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            f: Arc::clone(&self.f),
            signature: self.signature.clone(),
            marker: PhantomData,
        }
    }
}

impl<F, K, M> fmt::Debug for Closure<F, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closure").field("name", &self.name).finish()
    }
}

// Two functions of one name are told apart by their closures: a later registration is another function.
impl<F, K, M> PartialEq for Closure<F, K, M> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.f, &other.f)
    }
}

impl<F, K, M> Eq for Closure<F, K, M> {}

impl<F, K, M> Hash for Closure<F, K, M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn casts(name: &str, given: &[DataType], wanted: Vec<DataType>) -> PlanResult<Vec<DataType>> {
    if given.len() != wanted.len() {
        return Err(crate::condition::argument_count(name, &wanted.len().to_string(), given.len()));
    }
    for (index, (from, to)) in given.iter().zip(&wanted).enumerate() {
        if !crate::value::cast::possible(from, to) {
            return Err(crate::condition::argument_type(
                name,
                format!(
                    "argument {} is of type {}, not {}",
                    index + 1,
                    crate::value::types::name(from).to_uppercase(),
                    crate::value::types::name(to).to_uppercase()
                ),
            ));
        }
    }
    Ok(wanted)
}

impl<M: 'static, F: ScalarFn<M>> ScalarUDFImpl for Closure<F, Now, M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> PlanResult<Vec<DataType>> {
        casts(&self.name, given, F::arguments())
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(F::result())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let constant =
            !args.args.is_empty() && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|a| a.to_array(rows)).collect::<PlanResult<Vec<_>>>()?;
        let made = guarded(&self.name, || self.f.call(&columns, rows))?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?));
        }
        Ok(ColumnarValue::Array(made))
    }
}

/// A scalar function of a closure.
pub(crate) fn scalar<M: 'static, F: ScalarFn<M>>(name: &str, f: F) -> ScalarUDF {
    let signature = if F::arguments().is_empty() {
        Signature::nullary(Volatility::Immutable)
    } else {
        Closure::<F, Now, M>::own_casts()
    };
    ScalarUDF::new_from_impl(Closure::<F, Now, M>::new(name, f, signature))
}

/// An aggregate function: a state that starts as `init`, takes values, joins with other states, and ends as
/// a result.
///
/// The query is split over threads, so `merge` must give what `update` on both parts would have given.
pub struct Aggregate<S, A, R> {
    init: S,
    update: Change<S, A>,
    merge: Change<S, S>,
    finish: Box<dyn Fn(S) -> R + Send + Sync>,
}

/// What a value does to a state.
type Change<S, A> = Box<dyn Fn(&mut S, A) + Send + Sync>;

impl<S, A, R> Aggregate<S, A, R> {
    /// Puts an aggregate together.
    ///
    /// ```
    /// use trefoil_sql::Aggregate;
    ///
    /// let product = Aggregate::new(1.0, |p, x: f64| *p *= x, |p, q| *p *= q, |p| p);
    /// # let _: Aggregate<f64, f64, f64> = product;
    /// ```
    pub fn new(
        init: S,
        update: impl Fn(&mut S, A) + Send + Sync + 'static,
        merge: impl Fn(&mut S, S) + Send + Sync + 'static,
        finish: impl Fn(S) -> R + Send + Sync + 'static,
    ) -> Self {
        Self { init, update: Box::new(update), merge: Box::new(merge), finish: Box::new(finish) }
    }
}

impl<S, A, R> AggregateUDFImpl for Closure<Aggregate<S, A, R>, Grouped, ()>
where
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    A: for<'a> SqlArgument<Item<'a> = A> + 'static,
    R: SqlReturn + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> PlanResult<Vec<DataType>> {
        casts(&self.name, given, vec![A::data_type()])
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(R::Value::data_type())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> PlanResult<Box<dyn Accumulator>> {
        Ok(Box::new(Running {
            name: self.name.clone(),
            parts: Arc::clone(&self.f),
            state: self.f.init.clone(),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> PlanResult<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), DataType::Binary, true))])
    }
}

struct Running<S, A, R> {
    name: String,
    parts: Arc<Aggregate<S, A, R>>,
    state: S,
}

impl<S, A, R> fmt::Debug for Running<S, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("name", &self.name).finish()
    }
}

impl<S, A, R> Accumulator for Running<S, A, R>
where
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    A: for<'a> SqlArgument<Item<'a> = A> + 'static,
    R: SqlReturn + 'static,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        let Some(column) = values.first() else { return Ok(()) };
        let (parts, state) = (&self.parts, &mut self.state);
        guarded(&self.name, || {
            for row in 0..column.len() {
                if let Some(value) = A::get(column, row) {
                    (parts.update)(state, value);
                }
            }
            Ok(())
        })
    }

    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        let (parts, state) = (&self.parts, self.state.clone());
        let made = guarded(&self.name, || (parts.finish)(state).outcome())?;
        ScalarValue::try_from_array(&R::Value::column(vec![made]), 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + postcard::to_stdvec(&self.state).map_or(0, |bytes| bytes.len())
    }

    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        let bytes = postcard::to_stdvec(&self.state).map_err(|error| failed(&self.name, Box::new(error)))?;
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> PlanResult<()> {
        let Some(column) = states.first() else { return Ok(()) };
        for bytes in column.as_binary::<i32>().iter().flatten() {
            let other: S =
                postcard::from_bytes(bytes).map_err(|error| failed(&self.name, Box::new(error)))?;
            let (parts, state) = (&self.parts, &mut self.state);
            guarded(&self.name, || {
                (parts.merge)(state, other);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// An aggregate function of closures.
pub(crate) fn aggregate<S, A, R>(name: &str, parts: Aggregate<S, A, R>) -> AggregateUDF
where
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    A: for<'a> SqlArgument<Item<'a> = A> + 'static,
    R: SqlReturn + 'static,
{
    type Function<S, A, R> = Closure<Aggregate<S, A, R>, Grouped, ()>;
    let signature = Function::<S, A, R>::own_casts();
    AggregateUDF::new_from_impl(Function::new(name, parts, signature))
}

/// A table function: constants to batches of rows.
pub(crate) struct Table<F> {
    pub(crate) name: String,
    pub(crate) f: F,
}

impl<F> fmt::Debug for Table<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish()
    }
}

impl<F> TableFunctionImpl for Table<F>
where
    F: Fn(&[ScalarValue]) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
{
    fn call_with_args(&self, args: TableFunctionArgs) -> PlanResult<Arc<dyn TableProvider>> {
        let constant = |expr: &Expr| match expr {
            Expr::Literal(scalar, _) => Ok(scalar.clone()),
            other => Err(crate::condition::parameter(&self.name, format!("`{other}` is no constant"))),
        };
        let constants = args.exprs().iter().map(constant).collect::<PlanResult<Vec<_>>>()?;
        let batches = guarded(&self.name, || Ok((self.f)(&constants)?))?;
        let Some(first) = batches.first() else {
            return Err(crate::condition::parameter(
                &self.name,
                "the function made no batch, not even an empty one",
            ));
        };
        Ok(Arc::new(MemTable::try_new(first.schema(), vec![batches])?))
    }
}
