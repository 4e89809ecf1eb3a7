//! Closures as window functions: a closure sees all rows of a partition of the window, in its order, and gives
//! a value for each.

use super::{SqlArgument, SqlReturn, SqlValue, casts, guarded};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use std::error::Error as StdError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind};

/// A closure that can be a window function; `Marker` is its signature and is always inferred.
///
/// It takes up to three columns as slices of `Option`s and gives a `Vec` of as many values as there are rows.
pub trait WindowFn<Marker>: Send + Sync + 'static {
    /// The types of the arguments.
    fn arguments() -> Vec<DataType>;

    /// The type of the result.
    fn result() -> DataType;

    /// The results for the rows of a partition.
    ///
    /// # Errors
    /// The first error of the closure, or one that says how many values it gave.
    fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, Box<dyn StdError + Send + Sync>>;
}

macro_rules! closures {
    ($($argument:ident $index:tt),*) => {
        impl<F, R, $($argument),*> WindowFn<fn($($argument),*) -> R> for F
        where
            $($argument: for<'a> SqlArgument<Item<'a> = $argument> + 'static,)*
            R: SqlReturn + 'static,
            F: Fn($(&[Option<$argument>]),*) -> Vec<R> + Send + Sync + 'static,
        {
            fn arguments() -> Vec<DataType> {
                vec![$($argument::data_type()),*]
            }

            fn result() -> DataType {
                R::Value::data_type()
            }

            #[allow(non_snake_case)]
            fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, Box<dyn StdError + Send + Sync>> {
                $(let $argument: Vec<Option<$argument>> =
                    (0..rows).map(|row| $argument::get(&columns[$index], row)).collect();)*
                let made = self($(&$argument),*);
                if made.len() != rows {
                    let message = format!("the function gave {} values for {rows} rows", made.len());
                    return Err(Box::new(Error::new(ErrorKind::InvalidArgument, "window function", message)));
                }
                let values = made.into_iter().map(SqlReturn::outcome).collect::<Result<Vec<_>, _>>()?;
                Ok(R::Value::column(values))
            }
        }
    };
}

closures!(A 0);
closures!(A 0, B 1);
closures!(A 0, B 1, C 2);

struct Closure<F, M> {
    name: String,
    f: Arc<F>,
    signature: Signature,
    marker: PhantomData<fn() -> M>,
}

impl<F, M> fmt::Debug for Closure<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closure").field("name", &self.name).finish()
    }
}

impl<F, M> PartialEq for Closure<F, M> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.f, &other.f)
    }
}

impl<F, M> Eq for Closure<F, M> {}

impl<F, M> Hash for Closure<F, M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl<M: 'static, F: WindowFn<M>> WindowUDFImpl for Closure<F, M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> PlanResult<Vec<DataType>> {
        casts(&self.name, given, F::arguments())
    }

    fn field(&self, args: WindowUDFFieldArgs) -> PlanResult<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), F::result(), true)))
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> PlanResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator { name: self.name.clone(), f: Arc::clone(&self.f), marker: PhantomData }))
    }
}

struct Evaluator<F, M> {
    name: String,
    f: Arc<F>,
    marker: PhantomData<fn() -> M>,
}

impl<F, M> fmt::Debug for Evaluator<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator").field("name", &self.name).finish()
    }
}

impl<M: 'static, F: WindowFn<M>> PartitionEvaluator for Evaluator<F, M> {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> PlanResult<ArrayRef> {
        guarded(&self.name, || self.f.call(values, num_rows))
    }
}

/// A window function of a closure.
pub(crate) fn window<M: 'static, F: WindowFn<M>>(name: &str, f: F) -> WindowUDF {
    WindowUDF::new_from_impl(Closure {
        name: name.to_lowercase(),
        f: Arc::new(f),
        signature: Signature::user_defined(Volatility::Immutable),
        marker: PhantomData::<fn() -> M>,
    })
}
